//! Decides, over plain data: whether a worker may have a task, and what follows a trouble.

use std::fmt;

use super::queue::TaskState;
use super::rows::TaskRow;
use super::spec::{TaskSpec, Trouble};
use crate::clock::rfc3339;

/// The longest wait after a failure, in milliseconds.
const MAX_RETRY_DELAY_MS: u64 = 300_000;

/// Who asks for a task.
#[derive(Debug, Clone, Copy)]
pub struct Worker<'a> {
    /// The principal.
    pub principal: &'a str,
    /// What it can do.
    pub capabilities: &'a [String],
}

/// What keeps a task from a worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hindrance<'a> {
    /// It stands elsewhere.
    State(TaskState),
    /// It is for another one.
    For(&'a str),
    /// The worker did not say that it can do this.
    Capability(&'a str),
    /// Nobody gets it before; milliseconds since 1970.
    NotBefore(i64),
}

impl fmt::Display for Hindrance<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::State(state) => write!(f, "is {}: only a pending one can be claimed", state.as_str()),
            Self::For(to) => write!(f, "is for `{to}`"),
            Self::Capability(needed) => {
                write!(f, "takes the capability `{needed}`: name it in `capabilities`")
            }
            Self::NotBefore(ms) => write!(f, "is tried again from {} on", rfc3339(*ms)),
        }
    }
}

/// What keeps a task from a worker now, as far as its row says; on what others it depends is asked elsewhere.
pub fn hindrance<'a>(row: &'a TaskRow, worker: Worker<'_>, now_ms: i64) -> Option<Hindrance<'a>> {
    if row.state != TaskState::Pending {
        return Some(Hindrance::State(row.state));
    }
    if let Some(to) = row.spec.to.as_deref().filter(|to| *to != worker.principal) {
        return Some(Hindrance::For(to));
    }
    if let Some(needed) = row.spec.capability.as_ref().filter(|needed| !worker.capabilities.contains(needed))
    {
        return Some(Hindrance::Capability(needed));
    }
    (row.not_before_ms > now_ms).then_some(Hindrance::NotBefore(row.not_before_ms))
}

/// What went wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mishap {
    /// The worker gave it back, and says whether it is worth another try.
    Failure {
        /// Whether it is.
        is_worth_it: bool,
    },
    /// A reviewer sent it back.
    Rejection,
    /// The lease ran out.
    Expiry,
}

/// What follows a trouble.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Next {
    /// It is pending again.
    Again {
        /// Nobody gets it before.
        delay_ms: u64,
        /// Whom it is for from now on.
        to: Option<String>,
    },
    /// A person decides.
    Human,
    /// It is given up.
    Failed,
}

/// What follows a trouble of a task that was claimed so many times and had so many troubles before. A step that its file
/// names for this very trouble is taken; the limit of attempts ends what comes after the last step. Only after a failure it
/// takes a while: then what hindered it has time to go away.
pub fn after_trouble(spec: &TaskSpec, attempts: u32, troubles: u32, mishap: Mishap) -> Next {
    let named = spec.on_trouble.get(troubles as usize);
    let is_over = named.is_none() && attempts >= spec.max_attempts;
    if is_over || mishap == (Mishap::Failure { is_worth_it: false }) {
        return Next::Failed;
    }
    match named.or(spec.on_trouble.last()) {
        Some(Trouble::Human) => Next::Human,
        Some(Trouble::Reassign(to)) => Next::Again { delay_ms: 0, to: Some(to.clone()) },
        Some(Trouble::Retry) | None if matches!(mishap, Mishap::Failure { .. }) => {
            Next::Again { delay_ms: retry_delay_ms(spec.retry_delay_ms, attempts), to: None }
        }
        Some(Trouble::Retry) | None => Next::Again { delay_ms: 0, to: None },
    }
}

/// Doubles with each attempt.
fn retry_delay_ms(first_ms: u64, attempts: u32) -> u64 {
    let factor = 2u64.saturating_pow(attempts.saturating_sub(1));
    first_ms.saturating_mul(factor).min(MAX_RETRY_DELAY_MS)
}

#[cfg(test)]
mod tests {
    use super::*;

    const FAILURE: Mishap = Mishap::Failure { is_worth_it: true };

    #[test]
    fn a_failure_waits_longer_each_time_and_ends() {
        let spec = TaskSpec { max_attempts: 20, ..TaskSpec::named("x") };
        let delay = |attempts| match after_trouble(&spec, attempts, attempts - 1, FAILURE) {
            Next::Again { delay_ms, to: None } => delay_ms,
            other => panic!("{other:?}"),
        };
        assert_eq!(
            [1, 2, 3, 8, 9, 10, 19].map(delay),
            [1000, 2000, 4000, 128_000, 256_000, 300_000, 300_000]
        );
        assert_eq!(after_trouble(&spec, 20, 19, FAILURE), Next::Failed);
        assert_eq!(after_trouble(&spec, 1, 0, Mishap::Failure { is_worth_it: false }), Next::Failed);
        let again = Next::Again { delay_ms: 0, to: None };
        assert_eq!(after_trouble(&spec, 3, 2, Mishap::Expiry), again);
        assert_eq!(after_trouble(&spec, 3, 2, Mishap::Rejection), again);
    }

    #[test]
    fn the_nth_trouble_takes_the_nth_step_and_the_last_repeats() {
        let steps = vec![Trouble::Retry, Trouble::Reassign("agent:b".to_owned()), Trouble::Human];
        let spec = TaskSpec { max_attempts: 5, on_trouble: steps, ..TaskSpec::named("x") };
        let next = |n| after_trouble(&spec, n + 1, n, Mishap::Expiry);
        assert_eq!(next(0), Next::Again { delay_ms: 0, to: None });
        assert_eq!(next(1), Next::Again { delay_ms: 0, to: Some("agent:b".to_owned()) });
        assert_eq!([next(2), next(3), next(4)], [Next::Human, Next::Human, Next::Failed]);
    }

    #[test]
    fn the_limit_of_attempts_cuts_no_step_that_is_named() {
        let to = |name: &str| Trouble::Reassign(name.to_owned());
        let again = |to: Option<&str>| Next::Again { delay_ms: 0, to: to.map(str::to_owned) };
        for (max_attempts, steps, expected) in [
            (
                3,
                vec![Trouble::Retry, to("agent:b"), Trouble::Human],
                vec![again(None), again(Some("agent:b")), Next::Human, Next::Failed],
            ),
            (2, vec![to("agent:b"), Trouble::Human], vec![again(Some("agent:b")), Next::Human, Next::Failed]),
            (1, vec![Trouble::Human], vec![Next::Human, Next::Failed]),
            (2, vec![], vec![again(None), Next::Failed]),
        ] {
            let spec = TaskSpec { max_attempts, on_trouble: steps, ..TaskSpec::named("x") };
            for (troubles, expected) in expected.into_iter().enumerate() {
                let troubles = troubles as u32;
                assert_eq!(
                    after_trouble(&spec, troubles + 1, troubles, Mishap::Expiry),
                    expected,
                    "{spec:?}"
                );
            }
            let given_up = Mishap::Failure { is_worth_it: false };
            assert_eq!(after_trouble(&spec, 1, 0, given_up), Next::Failed);
        }
    }
}
