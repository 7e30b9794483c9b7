//! What a grant asks of the arguments of a call: pure, over the call's JSON alone.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Serialize, Serializer};
use serde_json::Value;

use super::AccessError;
use super::policy::Effect;
use crate::id::fold;
use crate::pattern::{Pattern, PatternError};

/// Arguments at most that one grant names.
const MAX_ARGUMENTS: usize = 32;
/// Longer values match nothing that allows, in bytes: patterns are for names.
const MAX_VALUE_BYTES: usize = 4096;
/// Larger whole numbers are not told apart by every reader of JSON.
const MAX_WHOLE: f64 = 9_007_199_254_740_992.0;

/// Argument to patterns, of which one must match; every argument must. A name with dots, such as `target.repo`, leads into
/// nested objects.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Conditions(BTreeMap<String, Vec<Pattern>>);

/// What is known of a call's arguments.
#[derive(Clone, Copy)]
pub(super) enum Arguments<'a> {
    /// Nothing: whether there are some with which the call is allowed.
    Open,
    /// All of them.
    Given(&'a Value),
}

impl Conditions {
    /// Reads patterns; one with a leading `/` matches values with one.
    ///
    /// # Errors
    /// [`AccessError::Pattern`]; [`AccessError::Invalid`] for an argument without a name or a pattern, or too many.
    pub fn new(arguments: &BTreeMap<String, Vec<String>>) -> Result<Self, AccessError> {
        if arguments.len() > MAX_ARGUMENTS {
            return Err(AccessError::invalid("arguments", "", format!("at most {MAX_ARGUMENTS} arguments")));
        }
        let mut conditions = BTreeMap::new();
        for (name, patterns) in arguments {
            if name.split('.').any(str::is_empty) || patterns.is_empty() {
                return Err(AccessError::invalid("arguments", name, "a name, and at least one pattern"));
            }
            let patterns: Vec<Pattern> = patterns.iter().map(|text| read(text)).collect::<Result<_, _>>()?;
            conditions.insert(name.clone(), patterns);
        }
        Ok(Self(conditions))
    }

    /// Whether nothing is asked.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether a grant with these conditions is about a call. What can't be judged, such as a missing argument or a list,
    /// is not what an allow means, and is what a deny means.
    pub(super) fn hold(&self, effect: Effect, arguments: Arguments<'_>) -> bool {
        match arguments {
            _ if self.0.is_empty() => true,
            Arguments::Open => effect == Effect::Allow,
            Arguments::Given(arguments) => self.0.iter().all(|(name, patterns)| {
                let value = find(arguments, name).and_then(text);
                match effect {
                    Effect::Allow => {
                        value.is_some_and(|value| is_plain(&value) && matches_exactly(patterns, &value))
                    }
                    Effect::Deny => value.is_none_or(|value| !is_plain(&value) || matches(patterns, &value)),
                }
            }),
        }
    }
}

impl Serialize for Conditions {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl JsonSchema for Conditions {
    fn schema_name() -> Cow<'static, str> {
        "Conditions".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "object", "additionalProperties": {"type": "array", "items": {"type": "string"}}})
    }
}

/// `branch is main or release/*, repo is acme/*`.
impl fmt::Display for Conditions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let one = |(name, patterns): (&String, &Vec<Pattern>)| {
            let patterns: Vec<&str> = patterns.iter().map(Pattern::as_str).collect();
            format!("{name} is {}", patterns.join(" or "))
        };
        let all: Vec<String> = self.0.iter().map(one).collect();
        f.write_str(&all.join(", "))
    }
}

fn read(text: &str) -> Result<Pattern, PatternError> {
    if text.starts_with('/') { Pattern::path(text) } else { Pattern::name(text) }
}

/// The value under a dotted name; `None` where there is none, or where two could be meant.
fn find<'a>(arguments: &'a Value, name: &str) -> Option<&'a Value> {
    let whole = arguments.get(name);
    if !name.contains('.') {
        return whole;
    }
    let nested = name.split('.').try_fold(arguments, |value, part| value.as_object()?.get(part));
    match (whole, nested) {
        (Some(_), Some(_)) => None,
        (one, other) => one.or(other),
    }
}

/// Texts, numbers and booleans as text; `1.0` is `1`.
fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Bool(flag) => Some(flag.to_string()),
        Value::Number(number) => Some(match number.as_f64() {
            Some(float) if float.fract() == 0.0 && float.abs() < MAX_WHOLE => format!("{float:.0}"),
            _ => number.to_string(),
        }),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

/// Whether patterns can judge a value: it has no empty, `.` or `..` segment, in which one name would hide another.
fn is_plain(value: &str) -> bool {
    let inner = value.strip_prefix('/').unwrap_or(value);
    value.len() <= MAX_VALUE_BYTES
        && !value.chars().any(|c| c.is_control() || c == '\\')
        && (inner.is_empty() || inner.split('/').all(|name| !matches!(name, "" | "." | "..")))
}

fn matches(patterns: &[Pattern], value: &str) -> bool {
    let folded = fold(value);
    patterns.iter().any(|pattern| pattern.matches(&folded))
}

fn matches_exactly(patterns: &[Pattern], value: &str) -> bool {
    let folded = fold(value);
    let is_same_kind = |pattern: &Pattern| pattern.as_str().starts_with('/') == value.starts_with('/');
    patterns.iter().any(|pattern| is_same_kind(pattern) && pattern.matches(&folded))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn conditions(pairs: &[(&str, &[&str])]) -> Conditions {
        let owned = |texts: &&[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
        let pairs = pairs.iter().map(|(name, texts)| ((*name).to_owned(), owned(texts)));
        Conditions::new(&pairs.collect()).unwrap()
    }

    #[track_caller]
    fn check(pairs: &[(&str, &[&str])], arguments: &Value, allow: bool, deny: bool) {
        let conditions = conditions(pairs);
        let found =
            [Effect::Allow, Effect::Deny].map(|effect| conditions.hold(effect, Arguments::Given(arguments)));
        assert_eq!(found, [allow, deny], "{conditions} for {arguments}");
    }

    #[test]
    fn every_argument_has_to_match_and_one_pattern_does() {
        let both: &[(&str, &[&str])] = &[("branch", &["main", "release/*"]), ("repo", &["acme/*"])];
        check(both, &json!({"branch": "main", "repo": "acme/web"}), true, true);
        check(both, &json!({"branch": "release/2", "repo": "Acme/Web"}), true, true);
        check(both, &json!({"branch": "release/2/x", "repo": "acme/web"}), false, false);
        check(both, &json!({"branch": "main", "repo": "other/web"}), false, false);
    }

    #[test]
    fn what_cannot_be_judged_is_denied_and_not_allowed() {
        let one: &[(&str, &[&str])] = &[("path", &["docs/**"])];
        for odd in [
            json!({}),
            json!({"path": null}),
            json!({"path": ["docs/a"]}),
            json!({"path": {"x": 1}}),
            json!("docs/a"),
            json!({"path": "docs/../secret"}),
            json!({"path": "docs//a"}),
            json!({"path": "docs\\..\\secret"}),
            json!({"path": "docs/a\n"}),
            json!({"path": "x".repeat(MAX_VALUE_BYTES + 1)}),
        ] {
            check(one, &odd, false, true);
        }
        check(one, &json!({"path": "/docs/a"}), false, true);
        check(&[("path", &["/docs/**"])], &json!({"path": "/docs/a"}), true, true);
    }

    #[test]
    fn numbers_booleans_and_nested_arguments_are_text() {
        let nested: &[(&str, &[&str])] = &[("to.amount", &["5"]), ("force", &["true"])];
        for amount in [json!(5), json!(5.0), json!("5"), json!(5e0)] {
            check(nested, &json!({"to": {"amount": amount}, "force": true}), true, true);
        }
        check(nested, &json!({"to": {"amount": 6}, "force": true}), false, false);
        check(nested, &json!({"to.amount": 5, "force": true}), true, true);
        check(nested, &json!({"to.amount": 6, "to": {"amount": 5}, "force": true}), false, true);
    }

    proptest! {
        /// Whatever an allow holds for, a deny of the same words holds for too: no spelling slips between them.
        #[test]
        fn a_deny_holds_wherever_an_allow_does(
            value in "[a-cA-C./\\\\ 0-9]{0,8}",
            pattern in "[a-c]{1,2}(/[a-c*]{1,2})?",
        ) {
            let conditions = conditions(&[("x", &[pattern.as_str()])]);
            let arguments = json!({"x": value});
            let allows = conditions.hold(Effect::Allow, Arguments::Given(&arguments));
            let denies = conditions.hold(Effect::Deny, Arguments::Given(&arguments));
            prop_assert!(!allows || denies);
        }
    }
}
