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

/// RFC 3339 in UTC, to the millisecond: `2026-11-24T21:16:40.000Z`, always as long, so that texts sort as times do.
/// Out-of-range times give the nearest bound.
pub fn rfc3339(ms: i64) -> String {
    let bound = if ms < 0 { jiff::Timestamp::MIN } else { jiff::Timestamp::MAX };
    format!("{:.3}", jiff::Timestamp::from_millisecond(ms).unwrap_or(bound))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_shown_to_the_millisecond_and_read_with_or_without_a_fraction() {
        for (ms, shown) in [
            (1_795_555_000_000, "2026-11-24T21:16:40.000Z"),
            (1_795_555_000_500, "2026-11-24T21:16:40.500Z"),
            (1_795_555_000_123, "2026-11-24T21:16:40.123Z"),
            (0, "1970-01-01T00:00:00.000Z"),
            (-1, "1969-12-31T23:59:59.999Z"),
        ] {
            assert_eq!(rfc3339(ms), shown);
            assert_eq!(parse_rfc3339(shown), Some(ms));
        }
        for (text, ms) in [
            ("2026-11-24T21:16:40Z", 1_795_555_000_000),
            ("2026-11-24T21:16:40.5Z", 1_795_555_000_500),
            ("2026-11-24T22:16:40+01:00", 1_795_555_000_000),
            ("1970-01-02", 86_400_000),
        ] {
            assert_eq!(parse_rfc3339(text), Some(ms), "{text}");
        }
        assert!(rfc3339(i64::MAX).starts_with("9999-12-3") && rfc3339(i64::MIN).starts_with('-'));
    }
}
