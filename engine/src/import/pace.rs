use std::collections::HashMap;
use std::sync::Mutex;
use std::time::{Duration, Instant};

/// Between two requests of a walk to one host, where the host asks for nothing else.
const USUAL_GAP: Duration = Duration::from_millis(100);
/// Hosts that are remembered at most; those that were asked longest ago go first.
const MAX_HOSTS: usize = 1024;

/// When each host may be asked next. All walks of a process share it.
#[derive(Debug, Default)]
pub struct Pace(Mutex<HashMap<String, Instant>>);

impl Pace {
    /// Takes the next place at a host, and gives how long it is until then.
    pub fn take(&self, host: &str, asked_gap: Option<Duration>, now: Instant) -> Duration {
        let gap = asked_gap.unwrap_or_default().max(USUAL_GAP);
        let mut hosts = self.0.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        if hosts.len() >= MAX_HOSTS {
            hosts.retain(|_, next| *next > now);
        }
        let at = hosts.get(host).copied().unwrap_or(now).max(now);
        hosts.insert(host.to_owned(), at + gap);
        at - now
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_asked_with_gaps_and_others_do_not_wait_for_it() {
        let (pace, now) = (Pace::default(), Instant::now());
        let second = Duration::from_secs(1);
        assert_eq!(pace.take("a", None, now), Duration::ZERO);
        assert_eq!(pace.take("a", Some(second), now), USUAL_GAP);
        assert_eq!(pace.take("a", None, now), USUAL_GAP + second);
        assert_eq!(pace.take("b", None, now), Duration::ZERO);
        assert_eq!(pace.take("a", None, now + 5 * second), Duration::ZERO);
    }
}
