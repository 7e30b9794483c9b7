//! Takes JSON that somebody sent, gives a value of ours, or says what is wrong with it in words of JSON and not of our types.
//!
//! A member that is `null` counts as one that is missing, unless its null means something.

use serde::de::DeserializeOwned;
use serde_json::Value;

/// Members among which the one to blame is looked for; nothing that is asked here has more.
const MAX_MEMBERS: usize = 32;
/// Characters of a wrong value that are told.
const MAX_SHOWN: usize = 80;

/// Reads a value.
///
/// # Errors
/// What is wrong, with the name of the member that is to blame.
pub fn read<T: DeserializeOwned>(mut given: Value) -> Result<T, String> {
    let read = T::deserialize(&given);
    let read = match read {
        Err(_) if drop_nulls(&mut given) => T::deserialize(&given),
        read => read,
    };
    read.map_err(|error| told::<T>(&given, &error.to_string()))
}

/// Takes members away that are `null`; whether there were any.
pub fn drop_nulls(given: &mut Value) -> bool {
    let Some(members) = given.as_object_mut() else { return false };
    let n_given = members.len();
    members.retain(|_, value| !value.is_null());
    members.len() < n_given
}

fn told<T: DeserializeOwned>(given: &Value, wrong: &str) -> String {
    let Some(name) = blamed::<T>(given, wrong) else { return in_plain_words(wrong) };
    // Of a value that is no text its type is told, and not what else it may be.
    let with_text = given.get(&name).into_iter().flat_map(as_texts);
    let mut wrong_as_text = with_text.filter_map(|text| refusal::<T>(&with(given, &name, text)));
    let better = wrong_as_text.find(|wrong| wrong.starts_with("unknown variant"));
    let said = in_plain_words(better.as_deref().unwrap_or(wrong));
    if said.contains(&format!("`{name}`")) { said } else { format!("`{name}`: {said}") }
}

/// The member without which nothing is wrong, or something else.
fn blamed<T: DeserializeOwned>(given: &Value, wrong: &str) -> Option<String> {
    let members = given.as_object().filter(|members| members.len() <= MAX_MEMBERS)?;
    let is_to_blame = |name: &&String| {
        let mut others = members.clone();
        others.remove(*name);
        refusal::<T>(&Value::Object(others)).as_deref() != Some(wrong)
    };
    members.keys().find(is_to_blame).cloned()
}

fn refusal<T: DeserializeOwned>(given: &Value) -> Option<String> {
    T::deserialize(given).err().map(|error| error.to_string())
}

fn with(given: &Value, name: &str, value: Value) -> Value {
    let mut given = given.clone();
    given[name] = value;
    given
}

/// A value as the texts that stand in for it: those of a list's items, and that of the whole.
fn as_texts(value: &Value) -> Vec<Value> {
    let text = |value: &Value| match value {
        Value::String(text) => Value::String(text.clone()),
        other => Value::String(other.to_string().chars().take(MAX_SHOWN).collect()),
    };
    let items: Option<Value> = value.as_array().map(|items| items.iter().map(text).collect());
    let whole = (!value.is_string()).then(|| text(value));
    items.into_iter().chain(whole).collect()
}

/// What a value should be, for people who know JSON and not our types.
pub fn in_plain_words(said: &str) -> String {
    let mut said = said
        .replace("invalid type: sequence", "invalid type: list")
        .replace("invalid type: map", "invalid type: object")
        .replace("unknown variant", "unknown value")
        .replace("expected string or map", "expected a text");
    for number in ["usize", "u64", "u32", "u16", "u8"] {
        said = said.replace(&format!("expected {number}"), "expected a whole number, 0 or more");
    }
    for number in ["i64", "i32"] {
        said = said.replace(&format!("expected {number}"), "expected a whole number");
    }
    said = said
        .replace("expected f64", "expected a number")
        .replace("expected f32", "expected a number")
        .replace("expected a sequence", "expected a list")
        .replace("expected a map", "expected an object");
    // `duplicate field `name`` of one that has other names as well.
    if let Some((before, name)) = said.split_once("duplicate field ") {
        let end = name.get(1..).and_then(|rest| rest.find('`')).map_or(name.len(), |end| end + 2);
        let (name, after) = name.split_at(end);
        said = format!("{before}{name} is given twice, or under two of its names{after}");
    }
    // `expected struct Name with 5 elements`, or `expected struct Name`.
    if let Some((before, rest)) = said.split_once("expected struct ") {
        let name = rest.find([' ', ',']).unwrap_or(rest.len());
        let rest = &rest[name..];
        let after = rest
            .strip_prefix(" with ")
            .and_then(|rest| rest.split_once(" element"))
            .map_or(rest, |(_, rest)| rest.strip_prefix('s').unwrap_or(rest));
        said = format!("{before}expected an object{after}");
    }
    // `did not match any variant of untagged enum Name`.
    if let Some((before, _)) = said.split_once("did not match any variant of untagged enum") {
        said = format!("{before}has none of the forms that it may have");
    }
    said
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;
    use serde_json::json;

    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(rename_all = "lowercase")]
    enum Word {
        Fast,
        Slow,
    }

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Asked {
        #[serde(alias = "q")]
        query: String,
        #[serde(default)]
        mode: Option<Word>,
        #[serde(default)]
        kinds: Vec<Word>,
        limit: Option<usize>,
    }

    #[test]
    fn a_null_is_as_good_as_nothing() {
        let read = read::<Asked>(json!({"query": "x", "mode": null, "kinds": null, "limit": null}));
        let read = read.unwrap();
        assert_eq!((read.query.as_str(), read.kinds.len(), read.limit), ("x", 0, None));
        assert!(read.mode.is_none());
    }

    #[test]
    fn what_is_wrong_is_told_with_its_name_and_what_may_be() {
        for (given, said) in [
            (json!({"query": "x", "mode": 5}), "`mode`: unknown value `5`, expected `fast` or `slow`"),
            (
                json!({"query": "x", "kinds": ["fast", 5]}),
                "`kinds`: unknown value `5`, expected `fast` or `slow`",
            ),
            (
                json!({"query": "x", "kinds": [null]}),
                "`kinds`: unknown value `null`, expected `fast` or `slow`",
            ),
            (json!({"query": 5}), "`query`: invalid type: integer `5`, expected a string"),
            (
                json!({"query": "x", "limit": "3"}),
                "`limit`: invalid type: string \"3\", expected a whole number, 0 or more",
            ),
            (json!({"query": null}), "missing field `query`"),
            (json!({"query": "x", "q": "y"}), "`query` is given twice, or under two of its names"),
        ] {
            assert_eq!(read::<Asked>(given.clone()).unwrap_err().replace("`q`: ", ""), said, "{given}");
        }
    }

    #[test]
    fn no_name_of_a_type_is_told() {
        for (said, plain) in [
            (
                "limit: invalid type: floating point `3.0`, expected usize at line 1 column 9",
                "limit: invalid type: floating point `3.0`, expected a whole number, 0 or more at line 1 column 9",
            ),
            (
                "invalid type: string \"x\", expected struct SearchFilters with 5 elements at line 1",
                "invalid type: string \"x\", expected an object at line 1",
            ),
            ("invalid type: map, expected a sequence", "invalid type: object, expected a list"),
            ("invalid type: null, expected struct Price", "invalid type: null, expected an object"),
            ("invalid type: integer `5`, expected i64", "invalid type: integer `5`, expected a whole number"),
        ] {
            assert_eq!(in_plain_words(said), plain);
        }
    }
}
