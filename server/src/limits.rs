//! Takes the tokens of requests, says which of them ask too often: a bucket per token that fills at a steady rate.
//!
//! Noun: [`Limits`]. Counted is by token, after it was checked: a stranger fills nobody's bucket and no memory.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::http::{HeaderValue, StatusCode, header};

use crate::auth::TokenId;
use crate::problem::Problem;

/// Requests a second of one token, where nothing else is set: more than an agent needs, less than harms the others.
pub const DEFAULT_PER_SECOND: u32 = 5000;
/// Buckets that are held at most; the full ones are forgotten first, for a new one is full, too.
const MAX_BUCKETS: usize = 4096;

/// How often a token may ask.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// In the long run; 0: as often as it likes.
    pub per_second: u32,
    /// At once; twice the rate where it is 0.
    pub burst: u32,
}

impl Default for Rate {
    fn default() -> Self {
        Self { per_second: DEFAULT_PER_SECOND, burst: 0 }
    }
}

/// The buckets of all tokens.
#[derive(Debug)]
pub struct Limits {
    rate: f64,
    burst: f64,
    buckets: Mutex<HashMap<TokenId, Bucket>>,
}

#[derive(Debug, Clone, Copy)]
struct Bucket {
    left: f64,
    at: Instant,
}

impl Limits {
    /// With full buckets.
    pub fn new(rate: Rate) -> Self {
        let burst = if rate.burst == 0 { rate.per_second.saturating_mul(2) } else { rate.burst };
        Self { rate: rate.per_second.into(), burst: burst.max(1).into(), buckets: Mutex::default() }
    }

    /// Takes one request of a token out of its bucket.
    ///
    /// # Errors
    /// `rate_limited`, with the time after which there is room again.
    pub fn take(&self, token: &TokenId, now: Instant) -> Result<(), Problem> {
        if self.rate == 0.0 {
            return Ok(());
        }
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        if buckets.len() >= MAX_BUCKETS && !buckets.contains_key(token) {
            buckets.retain(|_, bucket| self.filled(*bucket, now) < self.burst);
        }
        let bucket = buckets.get(token).copied().unwrap_or(Bucket { left: self.burst, at: now });
        let left = self.filled(bucket, now);
        if left < 1.0 {
            return Err(refused(Duration::from_secs_f64((1.0 - left) / self.rate)));
        }
        buckets.insert(token.clone(), Bucket { left: left - 1.0, at: now });
        Ok(())
    }

    fn filled(&self, bucket: Bucket, now: Instant) -> f64 {
        let passed = now.saturating_duration_since(bucket.at).as_secs_f64();
        (bucket.left + passed * self.rate).min(self.burst)
    }
}

fn refused(wait: Duration) -> Problem {
    let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
    Problem::new(StatusCode::TOO_MANY_REQUESTS, "rate_limited", "this token asks more often than it may")
        .header(header::RETRY_AFTER, HeaderValue::from(seconds.max(1)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_empties_and_fills_again_for_its_token_alone() {
        let limits = Limits::new(Rate { per_second: 2, burst: 3 });
        let (one, other) = (TokenId::of("wp_one_x").unwrap(), TokenId::of("wp_other_x").unwrap());
        let now = Instant::now();
        for _ in 0..3 {
            limits.take(&one, now).unwrap();
        }
        let refused = limits.take(&one, now).unwrap_err();
        assert_eq!(refused.code, "rate_limited");
        assert_eq!(refused.headers.unwrap()[header::RETRY_AFTER], HeaderValue::from(1));
        limits.take(&other, now).unwrap();
        let later = now + Duration::from_millis(500);
        limits.take(&one, later).unwrap();
        limits.take(&one, later).unwrap_err();
    }

    #[test]
    fn without_a_rate_nobody_is_refused_and_the_buckets_are_bounded() {
        let free = Limits::new(Rate { per_second: 0, burst: 0 });
        let token = TokenId::of("wp_one_x").unwrap();
        let now = Instant::now();
        (0..100_000).for_each(|_| free.take(&token, now).unwrap());
        let limits = Limits::new(Rate { per_second: 1000, burst: 1 });
        for number in 0..3 * MAX_BUCKETS {
            let token = TokenId::of(&format!("wp_{number}_x")).unwrap();
            limits.take(&token, now + Duration::from_millis(2 * number as u64)).unwrap();
        }
        assert!(limits.buckets.lock().unwrap().len() <= MAX_BUCKETS);
    }
}
