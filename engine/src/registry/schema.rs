//! JSON Schemas of tools: compiled once, checked against arguments and results. No reference is ever fetched.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use jsonschema::{PatternOptions, Validator};
use serde_json::Value;

/// Compiled schemas kept at most; with one more all are compiled again.
const MAX_KEPT: usize = 2048;
/// Steps back at most while a text is held against a `pattern`, which comes from outside.
const BACKTRACK_LIMIT: usize = 100_000;
/// Bytes of a compiled `pattern` at most.
const PATTERN_BYTES: usize = 1 << 20;
/// Of what is said about a value that does not fit.
const MAX_TOLD_CHARS: usize = 400;

/// Where a value does not fit, and what would.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// Such as `to/amount`; empty for the arguments as a whole.
    pub argument: String,
    /// In words.
    pub expected: String,
}

/// Compiled schemas, by the hash of their text.
#[derive(Default)]
pub struct Validators {
    kept: Mutex<BTreeMap<[u8; 32], Arc<Validator>>>,
}

impl Validators {
    /// The first violation of a schema by a value. A schema that can't be compiled is violated by everything.
    pub fn check(&self, schema: &Value, value: &Value) -> Option<Violation> {
        let validator = match self.validator(schema) {
            Ok(validator) => validator,
            Err(expected) => return Some(Violation { argument: String::new(), expected }),
        };
        let error = validator.iter_errors(value).next()?;
        let argument = error.instance_path().to_string().trim_start_matches('/').to_owned();
        Some(Violation { argument: short(&argument), expected: short(&error.to_string()) })
    }

    fn validator(&self, schema: &Value) -> Result<Arc<Validator>, String> {
        let hash = *blake3::hash(schema.to_string().as_bytes()).as_bytes();
        if let Some(validator) = self.lock().get(&hash) {
            return Ok(Arc::clone(validator));
        }
        let validator = Arc::new(compile(schema)?);
        let mut kept = self.lock();
        if kept.len() >= MAX_KEPT {
            kept.clear();
        }
        kept.insert(hash, Arc::clone(&validator));
        Ok(validator)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<[u8; 32], Arc<Validator>>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Why a value is no schema that can be used here.
pub(super) fn fault(schema: &Value) -> Option<String> {
    if !schema.is_object() {
        return Some("expected an object".to_owned());
    }
    compile(schema).err()
}

fn compile(schema: &Value) -> Result<Validator, String> {
    let patterns = PatternOptions::fancy_regex().backtrack_limit(BACKTRACK_LIMIT).size_limit(PATTERN_BYTES);
    let options = jsonschema::options().offline().with_pattern_options(patterns);
    options.build(schema).map_err(|error| short(&error.to_string()))
}

fn short(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(MAX_TOLD_CHARS).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_violation_names_the_argument_and_what_was_expected() {
        let schema = json!({
            "type": "object",
            "properties": {"to": {"type": "object", "properties": {"amount": {"type": "integer", "maximum": 9}}}},
            "required": ["to"],
            "additionalProperties": false,
        });
        let validators = Validators::default();
        let check = |value: Value| validators.check(&schema, &value);
        assert_eq!(check(json!({"to": {"amount": 5}})), None);
        let wrong = check(json!({"to": {"amount": "five"}})).unwrap();
        assert_eq!(wrong.argument, "to/amount");
        assert!(wrong.expected.contains("integer"), "{wrong:?}");
        let missing = check(json!({})).unwrap();
        assert!(missing.expected.contains("to") && missing.argument.is_empty(), "{missing:?}");
        assert!(check(json!({"to": {}, "more": 1})).unwrap().expected.contains("more"));
    }

    #[test]
    fn a_pattern_that_would_run_for_ever_ends() {
        let schema = json!({"type": "object", "properties": {"x": {"pattern": "^(a+)+(?=b)$"}}});
        let begun = std::time::Instant::now();
        let violation = Validators::default().check(&schema, &json!({"x": "a".repeat(40) + "!"}));
        assert!(violation.is_some());
        assert!(begun.elapsed() < std::time::Duration::from_secs(5));
    }
}
