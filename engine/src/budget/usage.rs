//! Amounts: whole micro-dollars, tokens, calls and bytes. No sum is ever a float.

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::Error as _;
use serde::ser::SerializeStruct;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::borrow::Cow;

use super::BudgetError;

/// No amount of one charge, report or limit is larger: a billion dollars, in micro-dollars. Thousands of them fit an `i64`.
pub const MAX_AMOUNT: u64 = 1_000_000_000_000_000;
/// Micro-dollars of a dollar.
const MICROS: u64 = 1_000_000;

/// What a budget limits.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Unit {
    /// Micro-dollars; shown as dollars.
    Usd,
    /// Of a model.
    Tokens,
    /// Of tools and agents.
    Calls,
    /// That were carried.
    Bytes,
}

impl Unit {
    /// All, in the order of columns and arrays.
    pub const ALL: [Self; 4] = [Self::Usd, Self::Tokens, Self::Calls, Self::Bytes];

    /// Its name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Usd => "usd",
            Self::Tokens => "tokens",
            Self::Calls => "calls",
            Self::Bytes => "bytes",
        }
    }

    /// An amount as people read it.
    pub fn show(self, amount: u64) -> String {
        if self == Self::Usd { show_usd(amount) } else { amount.to_string() }
    }

    /// An amount as JSON: a decimal text for dollars, else a number.
    pub fn json(self, amount: u64) -> serde_json::Value {
        if self == Self::Usd { show_usd(amount).into() } else { amount.into() }
    }
}

/// What was, or will be, used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Usage {
    /// Millionths of a dollar.
    pub usd_micros: u64,
    /// Of a model.
    pub tokens: u64,
    /// Of tools and agents.
    pub calls: u64,
    /// That were carried.
    pub bytes: u64,
}

impl Usage {
    /// One call, and nothing else that is known.
    pub fn call() -> Self {
        Self { calls: 1, ..Self::default() }
    }

    /// With so many millionths of a dollar.
    #[must_use]
    pub fn usd_micros(self, usd_micros: u64) -> Self {
        Self { usd_micros, ..self }
    }

    /// With so many tokens.
    #[must_use]
    pub fn tokens(self, tokens: u64) -> Self {
        Self { tokens, ..self }
    }

    /// With so many bytes.
    #[must_use]
    pub fn bytes(self, bytes: u64) -> Self {
        Self { bytes, ..self }
    }

    /// The amounts in the order of [`Unit::ALL`], none above [`MAX_AMOUNT`].
    pub(super) fn amounts(self) -> [i64; 4] {
        [self.usd_micros, self.tokens, self.calls, self.bytes].map(|amount| amount.min(MAX_AMOUNT) as i64)
    }

    pub(super) fn from_amounts(amounts: [i64; 4]) -> Self {
        let [usd_micros, tokens, calls, bytes] = amounts.map(|amount| amount.max(0) as u64);
        Self { usd_micros, tokens, calls, bytes }
    }

    /// Both together.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self {
            usd_micros: self.usd_micros.saturating_add(other.usd_micros),
            tokens: self.tokens.saturating_add(other.tokens),
            calls: self.calls.saturating_add(other.calls),
            bytes: self.bytes.saturating_add(other.bytes),
        }
    }

    /// One amount.
    pub fn of(self, unit: Unit) -> u64 {
        match unit {
            Unit::Usd => self.usd_micros,
            Unit::Tokens => self.tokens,
            Unit::Calls => self.calls,
            Unit::Bytes => self.bytes,
        }
    }
}

impl Serialize for Usage {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut shown = serializer.serialize_struct("Usage", 4)?;
        shown.serialize_field("usd", &show_usd(self.usd_micros))?;
        shown.serialize_field("tokens", &self.tokens)?;
        shown.serialize_field("calls", &self.calls)?;
        shown.serialize_field("bytes", &self.bytes)?;
        shown.end()
    }
}

impl JsonSchema for Usage {
    fn schema_name() -> Cow<'static, str> {
        "Usage".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let count = || json_schema!({"type": "integer", "minimum": 0});
        json_schema!({
            "type": "object",
            "properties": {
                "usd": {"type": "string", "description": "dollars, exactly, such as `0.02`"},
                "tokens": count(), "calls": count(), "bytes": count(),
            },
            "required": ["usd", "tokens", "calls", "bytes"],
        })
    }
}

/// What a worker says that something took: `{"usd": "0.02", "tokens": 1200}`. What it leaves out is as it was estimated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct UsageReport {
    /// Millionths of a dollar; written as dollars.
    #[serde(default, rename = "usd", deserialize_with = "dollars")]
    #[schemars(schema_with = "dollars_schema")]
    pub usd_micros: Option<u64>,
    /// Of a model.
    pub tokens: Option<u64>,
    /// Of tools and agents.
    pub calls: Option<u64>,
    /// That were carried.
    pub bytes: Option<u64>,
}

impl UsageReport {
    /// The estimate with what was reported in its place.
    pub fn over(self, estimate: Usage) -> Usage {
        Usage {
            usd_micros: self.usd_micros.unwrap_or(estimate.usd_micros),
            tokens: self.tokens.unwrap_or(estimate.tokens),
            calls: self.calls.unwrap_or(estimate.calls),
            bytes: self.bytes.unwrap_or(estimate.bytes),
        }
    }
}

fn dollars_schema(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "anyOf": [{"type": "string", "pattern": r"^\$?([0-9]+\.?[0-9]*|\.[0-9]+)$"}, {"type": "number", "minimum": 0}, {"type": "null"}],
        "description": "dollars as a text, such as `0.02`, or as a number",
    })
}

/// Dollars as a text or a number, into micro-dollars.
fn dollars<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u64>, D::Error> {
    let text = match Option::<serde_json::Value>::deserialize(deserializer)? {
        None | Some(serde_json::Value::Null) => return Ok(None),
        Some(serde_json::Value::String(text)) => text,
        // The shortest text of a number is what was written, to within its own precision.
        Some(serde_json::Value::Number(number)) => number.to_string(),
        Some(_) => return Err(D::Error::custom("`usd` is dollars: expected a text such as \"0.02\"")),
    };
    read_usd(&text).map(Some).map_err(D::Error::custom)
}

/// Reads dollars, such as `12`, `0.02` or `$1.50`, into micro-dollars. Digits beyond the sixth place round up: what was
/// spent is never recorded as less.
///
/// # Errors
/// [`BudgetError::Invalid`] for anything else, and above a billion dollars.
pub fn read_usd(text: &str) -> Result<u64, BudgetError> {
    let refused = || BudgetError::invalid("usd", text, "dollars such as `0.02`, at most 1000000000");
    let digits = text.trim();
    let digits = digits.strip_prefix('$').unwrap_or(digits);
    let (whole, part) = digits.split_once('.').unwrap_or((digits, ""));
    let is_number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit()) && text.len() <= 40;
    if !is_number(whole) || !is_number(part) || (whole.is_empty() && part.is_empty()) {
        return Err(refused());
    }
    let whole: u64 = if whole.is_empty() { 0 } else { whole.parse().map_err(|_| refused())? };
    let (kept, beyond) = part.split_at(part.len().min(6));
    let micros: u64 = format!("{kept:0<6}").parse().map_err(|_| refused())?;
    let rounded = micros + u64::from(beyond.bytes().any(|digit| digit != b'0'));
    let sum = whole.checked_mul(MICROS).and_then(|whole| whole.checked_add(rounded));
    sum.filter(|sum| *sum <= MAX_AMOUNT).ok_or_else(refused)
}

/// Micro-dollars as dollars, exactly: `0.02`, `12`.
pub fn show_usd(micros: u64) -> String {
    let (whole, part) = (micros / MICROS, micros % MICROS);
    if part == 0 {
        return whole.to_string();
    }
    let part = format!("{part:06}");
    format!("{whole}.{}", part.trim_end_matches('0'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dollars_are_read_and_shown_exactly() {
        for (text, micros, shown) in [
            ("0.02", 20_000, "0.02"),
            ("$1.50", 1_500_000, "1.5"),
            ("12", 12_000_000, "12"),
            (".5", 500_000, "0.5"),
            ("0.000001", 1, "0.000001"),
            ("0.0000011", 2, "0.000002"),
            ("0.0000010", 1, "0.000001"),
            ("0.9999999", 1_000_000, "1"),
            ("1000000000", MAX_AMOUNT, "1000000000"),
        ] {
            assert_eq!(read_usd(text).unwrap(), micros, "{text}");
            assert_eq!(show_usd(micros), shown);
        }
        for bad in ["", ".", "-1", "1e3", "0,5", "1000000001", "x", "1.2.3", "99999999999999999999"] {
            assert!(read_usd(bad).is_err(), "{bad:?} was accepted");
        }
    }

    #[test]
    fn a_report_names_what_it_knows() {
        let report: UsageReport = serde_json::from_str(r#"{"usd": "0.02", "tokens": 1200}"#).unwrap();
        let estimate = Usage::call().usd_micros(5).bytes(7);
        assert_eq!(report.over(estimate), Usage { usd_micros: 20_000, tokens: 1200, calls: 1, bytes: 7 });
        let number: UsageReport = serde_json::from_str(r#"{"usd": 0.1}"#).unwrap();
        assert_eq!(number.usd_micros, Some(100_000));
        for bad in [r#"{"usd": -1}"#, r#"{"usd": true}"#, r#"{"tokens": -1}"#, r#"{"cost": 1}"#] {
            assert!(serde_json::from_str::<UsageReport>(bad).is_err(), "{bad}");
        }
    }
}
