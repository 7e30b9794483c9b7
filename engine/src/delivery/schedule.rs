//! When an event is brought again: a pure function of what came back.

use std::time::Duration;

use super::records::Attempt;

/// The longest wait that a receiver may ask for.
const MAX_RETRY_AFTER: Duration = Duration::from_secs(24 * 3600);
/// Waits vary by this share in both directions, so that many deliveries don't come back at the same instant.
const JITTER: f64 = 0.2;
/// So many failures in a row, of whichever events, and the endpoint is left alone for a while.
const COOLS_AFTER: u32 = 5;
/// The longest such while.
const MAX_COOL: Duration = Duration::from_secs(300);

/// How patient deliveries are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Schedule {
    /// The wait after each failure; after the last one the event is a dead letter.
    pub waits: Vec<Duration>,
    /// For one exchange as a whole.
    pub timeout: Duration,
    /// An endpoint that only failed for so long is paused.
    pub pause_after: Duration,
}

impl Default for Schedule {
    /// Ten attempts over 28 hours, 15 seconds each, paused after five days: as Svix has it, with two more within the first minute
    /// for endpoints that only restart.
    fn default() -> Self {
        let seconds = [1, 5, 30, 300, 1800, 7200, 18_000, 36_000, 36_000];
        Self {
            waits: seconds.map(Duration::from_secs).into(),
            timeout: Duration::from_secs(15),
            pause_after: Duration::from_secs(5 * 24 * 3600),
        }
    }
}

/// What follows from an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It arrived.
    Delivered,
    /// Again, so many milliseconds from now; with `all`, nothing else is sent to the endpoint until then.
    Later {
        /// From now.
        wait_ms: i64,
        /// The receiver asked for it.
        all: bool,
    },
    /// Never again by itself.
    Dead,
    /// The endpoint says that it is gone for good.
    Gone,
}

impl Schedule {
    /// What follows from an attempt that was the `attempts`th. `chance` in [0, 1).
    pub fn judge(&self, attempts: u32, attempt: &Attempt, now_ms: i64, chance: f64) -> Verdict {
        if attempt.is_success() {
            return Verdict::Delivered;
        }
        if attempt.status == Some(410) {
            return Verdict::Gone;
        }
        let Some(wait) = self.waits.get(attempts.saturating_sub(1) as usize) else { return Verdict::Dead };
        let wait_ms = (wait.as_millis() as f64 * (1.0 - JITTER + 2.0 * JITTER * chance)) as i64;
        let asked_ms = attempt.retry_after.as_deref().and_then(|text| read_retry_after(text, now_ms));
        Verdict::Later { wait_ms: wait_ms.max(asked_ms.unwrap_or(0)), all: asked_ms.is_some() }
    }

    /// How long an endpoint is left alone after so many failures in a row, in milliseconds; 0: not at all.
    pub fn cool_ms(&self, failures: u32) -> i64 {
        if failures < COOLS_AFTER {
            return 0;
        }
        let first = self.waits.first().copied().unwrap_or_default();
        let factor = 1u32 << (failures - COOLS_AFTER).min(16);
        first.saturating_mul(factor).min(MAX_COOL).as_millis() as i64
    }
}

/// `Retry-After` as milliseconds from now: seconds or a date (RFC 9110, section 10.2.3), cut to a day.
fn read_retry_after(text: &str, now_ms: i64) -> Option<i64> {
    let wait_ms = match text.trim().parse::<u32>() {
        Ok(seconds) => i64::from(seconds) * 1000,
        Err(_) => {
            let date = jiff::fmt::rfc2822::parse(text.trim()).ok()?;
            date.timestamp().as_millisecond() - now_ms
        }
    };
    (wait_ms > 0).then(|| wait_ms.min(MAX_RETRY_AFTER.as_millis() as i64))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attempt(status: i32, retry_after: Option<&str>) -> Attempt {
        Attempt { status: Some(status), retry_after: retry_after.map(str::to_owned), ..Attempt::default() }
    }

    #[test]
    fn waits_grow_and_end() {
        let schedule = Schedule::default();
        let failed = attempt(500, None);
        let waits: Vec<Verdict> = (1..=10).map(|n| schedule.judge(n, &failed, 0, 0.5)).collect();
        let seconds = [1, 5, 30, 300, 1800, 7200, 18_000, 36_000, 36_000];
        for (verdict, seconds) in waits.iter().zip(seconds) {
            assert_eq!(*verdict, Verdict::Later { wait_ms: seconds * 1000, all: false });
        }
        assert_eq!(waits[9], Verdict::Dead);
        assert_eq!(schedule.judge(1, &failed, 0, 0.0), Verdict::Later { wait_ms: 800, all: false });
    }

    #[test]
    fn only_2xx_arrives_and_410_ends_the_endpoint() {
        let schedule = Schedule::default();
        assert_eq!(schedule.judge(1, &attempt(204, None), 0, 0.0), Verdict::Delivered);
        assert_eq!(schedule.judge(1, &attempt(410, None), 0, 0.0), Verdict::Gone);
        for status in [199, 301, 304, 400, 404, 429, 500] {
            assert!(matches!(schedule.judge(1, &attempt(status, None), 0, 0.0), Verdict::Later { .. }));
        }
    }

    #[test]
    fn a_receiver_is_waited_for_as_it_asks_but_no_longer_than_a_day() {
        let schedule = Schedule::default();
        let wait = |text| schedule.judge(1, &attempt(429, Some(text)), 784_111_777_000, 0.5);
        assert_eq!(wait("120"), Verdict::Later { wait_ms: 120_000, all: true });
        assert_eq!(wait("Sun, 06 Nov 1994 08:51:37 GMT"), Verdict::Later { wait_ms: 120_000, all: true });
        assert_eq!(wait("999999999"), Verdict::Later { wait_ms: 86_400_000, all: true });
        assert_eq!(wait("soon"), Verdict::Later { wait_ms: 1000, all: false });
    }

    #[test]
    fn an_endpoint_that_only_fails_is_asked_less_and_less() {
        let schedule = Schedule::default();
        let cools: Vec<i64> = [0, 4, 5, 6, 11, 40].map(|failures| schedule.cool_ms(failures)).into();
        assert_eq!(cools, [0, 0, 1000, 2000, 64_000, 300_000]);
    }
}
