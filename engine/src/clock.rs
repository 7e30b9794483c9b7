//! Time from outside, so that a run can be repeated.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

/// Where the engine reads the time.
#[derive(Debug, Clone, Copy)]
pub enum Clock {
    /// The machine's clock.
    System,
    /// Always the same instant, in milliseconds since 1970.
    Fixed(i64),
    /// What was last set from outside, in milliseconds since 1970: for leases that run out without anybody waiting.
    Set(&'static AtomicI64),
}

impl Clock {
    /// Milliseconds since 1970, UTC.
    pub fn now_ms(&self) -> i64 {
        match self {
            Self::System => to_ms(SystemTime::now()),
            Self::Fixed(ms) => *ms,
            Self::Set(ms) => ms.load(Ordering::Relaxed),
        }
    }
}

/// Milliseconds since 1970; instants before that are negative.
pub fn to_ms(time: SystemTime) -> i64 {
    match time.duration_since(UNIX_EPOCH) {
        Ok(since) => i64::try_from(since.as_millis()).unwrap_or(i64::MAX),
        Err(before) => -i64::try_from(before.duration().as_millis()).unwrap_or(i64::MAX),
    }
}

/// RFC 3339 in UTC, such as `2026-11-24T21:16:40Z`; out-of-range times give the nearest bound.
pub fn rfc3339(ms: i64) -> String {
    jiff::Timestamp::from_millisecond(ms).unwrap_or(jiff::Timestamp::MAX).to_string()
}

/// Reads RFC 3339 (or a bare date, as its first instant in UTC) into milliseconds since 1970.
pub fn parse_rfc3339(text: &str) -> Option<i64> {
    if let Ok(instant) = text.parse::<jiff::Timestamp>() {
        return Some(instant.as_millisecond());
    }
    let date = text.parse::<jiff::civil::Date>().ok()?;
    let midnight = date.at(0, 0, 0, 0);
    Some(jiff::tz::TimeZone::UTC.to_timestamp(midnight).ok()?.as_millisecond())
}
