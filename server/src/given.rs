//! Takes JSON that somebody sent, gives a value of ours, or says what is wrong with it in words of JSON and not of our types.
//!
//! A member that is `null` counts as one that is missing, unless its null means something. A member that is not known is refused
//! all the same.

use std::collections::BTreeSet;
use std::fmt;

use serde::de::{DeserializeOwned, Error as _, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::Value;

/// Members among which the one to blame is looked for; nothing that is asked here has more.
const MAX_MEMBERS: usize = 32;
/// Of a value in which the member to blame is looked for: it is read once for each.
const MAX_EXPLAINED_BYTES: usize = 64 << 10;
/// Characters of a wrong value that are told.
const MAX_SHOWN: usize = 80;
/// What [`not_null`] says.
const NO_NULL: &str = "null says nothing here";

/// Reads a value.
///
/// # Errors
/// What is wrong, with the name of the member that is to blame.
pub fn read<T: DeserializeOwned>(mut given: Value) -> Result<T, String> {
    let read = T::deserialize(&given);
    let read = match read {
        Err(_) if drop_some_nulls(&mut given, |name| !refuses_null::<T>(name)) => T::deserialize(&given),
        read => read,
    };
    read.map_err(|error| told::<T>(&given, &error.to_string()))
}

/// Whether a member is not known, or must not be null.
fn refuses_null<T: DeserializeOwned>(name: &str) -> bool {
    let alone = Value::Object([(name.to_owned(), Value::Null)].into_iter().collect());
    refusal::<T>(&alone).is_some_and(|why| why.starts_with("unknown field") || why == NO_NULL)
}

/// For members whose absence gives more than any value of theirs: a null is refused.
pub fn not_null<'de, D: Deserializer<'de>, T: Deserialize<'de>>(given: D) -> Result<T, D::Error> {
    Option::deserialize(given)?.ok_or_else(|| D::Error::custom(NO_NULL))
}

/// Takes members away that are `null`.
pub fn drop_nulls(given: &mut Value) {
    drop_some_nulls(given, |_| true);
}

/// Whether there were any.
fn drop_some_nulls(given: &mut Value, may: impl Fn(&str) -> bool) -> bool {
    let Some(members) = given.as_object_mut() else { return false };
    let n_given = members.len();
    members.retain(|name, value| !(value.is_null() && may(name)));
    members.len() < n_given
}

/// JSON in which no object names a member twice; a [`Value`] would keep the last of them.
pub struct Once;

impl<'de> Deserialize<'de> for Once {
    fn deserialize<D: Deserializer<'de>>(given: D) -> Result<Self, D::Error> {
        given.deserialize_any(Self)
    }
}

impl<'de> Visitor<'de> for Once {
    type Value = Self;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_str<E>(self, _: &str) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self, A::Error> {
        while items.next_element::<Self>()?.is_some() {}
        Ok(self)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Self, A::Error> {
        let mut names = BTreeSet::new();
        while let Some((name, Self)) = members.next_entry::<String, Self>()? {
            if names.contains(&name) {
                return Err(A::Error::custom(format!("duplicate field `{name}`")));
            }
            names.insert(name);
        }
        Ok(self)
    }
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
    if serde_json::to_vec(given).map_or(0, |written| written.len()) > MAX_EXPLAINED_BYTES {
        return None;
    }
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
        #[serde(default, deserialize_with = "not_null")]
        only: Vec<String>,
    }

    #[test]
    fn a_null_is_as_good_as_nothing() {
        let read = read::<Asked>(json!({"query": "x", "mode": null, "kinds": null, "limit": null}));
        let read = read.unwrap();
        assert_eq!((read.query.as_str(), read.kinds.len(), read.limit), ("x", 0, None));
        assert!(read.mode.is_none() && read.only.is_empty());
    }

    #[test]
    fn a_null_that_is_not_known_or_would_give_more_is_refused() {
        let refused = |given: Value| read::<Asked>(given).unwrap_err();
        assert!(refused(json!({"query": "x", "mdoe": null})).starts_with("unknown field `mdoe`"));
        assert!(
            refused(json!({"query": "x", "mdoe": null, "kinds": null})).starts_with("unknown field `mdoe`")
        );
        assert_eq!(refused(json!({"query": "x", "only": null})), "`only`: null says nothing here");
    }

    #[test]
    fn a_member_is_named_once_however_deep() {
        let twice = |text: &str| serde_json::from_str::<Once>(text).err().map(|error| error.to_string());
        assert_eq!(twice(r#"{"a": [1, -1, 0.5, true, null, "x", {"a": {}}], "b": {"a": 1}}"#), None);
        assert!(twice(r#"{"b": [{"a": 1, "c": null, "a": 2}]}"#).unwrap().starts_with("duplicate field `a`"));
    }

    #[test]
    fn of_a_large_value_the_member_to_blame_is_not_looked_for() {
        let large = "x".repeat(MAX_EXPLAINED_BYTES);
        let refused = read::<Asked>(json!({"query": large, "limit": "3"})).unwrap_err();
        assert_eq!(refused, "invalid type: string \"3\", expected a whole number, 0 or more");
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
