//! Lengths of time that a request names. What is out of bounds is refused and never cut, in the words of the field that was given.

use std::time::Duration;

use crate::problem::Problem;

/// The longest lease, in seconds; the engine has the same limit in milliseconds.
const MAX_TTL_SECONDS: u64 = 3600;
/// The longest wait of one request, in seconds; the engine has the same limit.
const MAX_WAIT_SECONDS: u64 = 25;

/// A lease's length in milliseconds.
///
/// # Errors
/// For none, or one longer than an hour.
pub fn ttl(ms: Option<u64>, seconds: Option<u64>, field: &str) -> Result<Option<u64>, Problem> {
    match (ms, seconds) {
        (Some(ms), _) => Ok(Some(ms)),
        (None, Some(seconds)) if !(1..=MAX_TTL_SECONDS).contains(&seconds) => {
            Err(Problem::invalid(format!("`{field}` is {seconds}: expected 1 to {MAX_TTL_SECONDS}")))
        }
        (None, seconds) => Ok(seconds.map(|seconds| seconds * 1000)),
    }
}

/// How long something is waited for.
///
/// # Errors
/// For longer than one request may wait.
pub fn patience(seconds: u64, field: &str) -> Result<Duration, Problem> {
    if seconds > MAX_WAIT_SECONDS {
        let expected = format!("0 to {MAX_WAIT_SECONDS}, and to ask again where nothing has come");
        return Err(Problem::invalid(format!("`{field}` is {seconds}: expected {expected}")));
    }
    Ok(Duration::from_secs(seconds))
}
