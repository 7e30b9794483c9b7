//! How much an act matters, and so what of a limit it may use.

use schemars::{Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize};

/// Of a limit, in percent, rounded up: what work of low priority may use. So it stops first, and what is left serves the rest.
pub const LOW_SHARE: u64 = 80;
/// As [`LOW_SHARE`], for work of normal priority: the last twentieth is for what matters most.
pub const NORMAL_SHARE: u64 = 95;
/// As [`LOW_SHARE`], for work of high priority.
pub const HIGH_SHARE: u64 = 100;

/// How much an act matters.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Default, PartialOrd, Ord, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Priority {
    /// May use [`LOW_SHARE`] of a limit.
    Low,
    /// May use [`NORMAL_SHARE`].
    #[default]
    Normal,
    /// May use all of it.
    High,
}

impl Priority {
    /// Its name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Low => "low",
            Self::Normal => "normal",
            Self::High => "high",
        }
    }

    /// What of a limit it may use. Rounded up, so that a small limit is not cut to nothing.
    pub fn usable(self, limit: u64) -> u64 {
        let share = match self {
            Self::Low => LOW_SHARE,
            Self::Normal => NORMAL_SHARE,
            Self::High => HIGH_SHARE,
        };
        limit.saturating_mul(share).div_ceil(100)
    }

    /// The one of a number: below zero, zero, above it.
    pub fn of(number: i64) -> Self {
        match number {
            ..0 => Self::Low,
            0 => Self::Normal,
            1.. => Self::High,
        }
    }

    fn number(self) -> i64 {
        match self {
            Self::Low => -1,
            Self::Normal => 0,
            Self::High => 1,
        }
    }
}

/// Reads how much something matters: a whole number, higher first, or a name of [`Priority`], of which normal is 0.
///
/// # Errors
/// For anything else.
pub fn read_priority<'de, D: Deserializer<'de>>(given: D) -> Result<Option<i64>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged, expecting = "expected a whole number, or `low`, `normal` or `high`")]
    enum Given {
        Number(i64),
        Name(Priority),
    }
    Ok(Option::<Given>::deserialize(given)?.map(|given| match given {
        Given::Number(number) => number,
        Given::Name(name) => name.number(),
    }))
}

/// Of what [`read_priority`] reads.
pub fn priority_schema(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "anyOf": [{"type": "integer"}, {"type": "string", "enum": ["low", "normal", "high"]}, {"type": "null"}],
        "description": "higher first; `low` is -1, `normal` 0 and `high` 1",
    })
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn a_priority_is_a_number_or_a_name() {
        let read = |value: Value| read_priority(value).ok();
        for (given, number) in
            [(json!(7), 7), (json!(-2), -2), (json!("low"), -1), (json!("normal"), 0), (json!("high"), 1)]
        {
            assert_eq!(read(given.clone()), Some(Some(number)), "{given}");
        }
        assert_eq!(read(json!(null)), Some(None));
        for wrong in [json!("urgent"), json!(1.5), json!({}), json!("")] {
            assert_eq!(read(wrong.clone()), None, "{wrong}");
        }
        assert_eq!([-3, 0, 9].map(Priority::of), [Priority::Low, Priority::Normal, Priority::High]);
    }
}
