//! Whose turn it is to be embedded.
//!
//! Takes who waits and how long each turn took, gives who is next: whoever had the least time, and of those the one with the
//! least to do. Whoever comes new begins where the one who is served now began: nobody waits for the end of another's
//! pile, and nobody saves time up. Does not embed.
//!
//! Source: start-time fair queueing (Goyal, Vin, Cheng, SIGCOMM 1996), with time in place of bytes and equal weights.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::id::WorkspaceName;

/// Workspaces of which chunks wait.
#[derive(Debug, Default)]
pub struct Turns {
    waiting: BTreeSet<WorkspaceName>,
    /// The time that each had; of those who do not wait only what is more than `now`.
    had: BTreeMap<WorkspaceName, Duration>,
    /// What the one who was served last had before its turn.
    now: Duration,
}

impl Turns {
    /// Whether nobody waits.
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Lets a workspace wait for its turn, once.
    pub fn join(&mut self, name: WorkspaceName) {
        let had = self.had.entry(name.clone()).or_default();
        if self.waiting.insert(name) {
            *had = (*had).max(self.now);
        }
    }

    /// Whose turn it is; it waits no longer. `load` says how many chunks one has to do, and `None` of who is to wait on.
    pub fn next(&mut self, load: impl Fn(&WorkspaceName) -> Option<u64>) -> Option<WorkspaceName> {
        let of = |name| self.had.get(name).copied().unwrap_or_default();
        let able = self.waiting.iter().filter_map(|name| Some((of(name), load(name)?, name)));
        let (had, _, name) = able.min()?;
        let name = name.clone();
        self.now = self.now.max(had);
        self.waiting.remove(&name);
        // Who had to wait on meanwhile has no claim to more than the others afterwards.
        for name in &self.waiting {
            let had = self.had.entry(name.clone()).or_default();
            *had = (*had).max(self.now);
        }
        Some(name)
    }

    /// Notes how long a turn took.
    pub fn took(&mut self, name: &WorkspaceName, time: Duration) {
        *self.had.entry(name.clone()).or_default() += time;
        let Self { waiting, had, now } = self;
        had.retain(|name, had| waiting.contains(name) || *had > *now);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test ends where something it stands on fails")]

    use super::*;

    const PILE: Duration = Duration::from_secs(2);
    const NOTE: Duration = Duration::from_millis(100);

    fn name(text: &str) -> WorkspaceName {
        WorkspaceName::new(text).unwrap()
    }

    fn next(turns: &mut Turns) -> String {
        turns.next(|name| Some(if name.as_str() == "pile" { 1000 } else { 1 })).unwrap().to_string()
    }

    #[test]
    fn whoever_comes_new_goes_before_a_pile_that_was_begun() {
        let mut turns = Turns::default();
        turns.join(name("pile"));
        for _ in 0..3 {
            assert_eq!(next(&mut turns), "pile");
            turns.took(&name("pile"), PILE);
            turns.join(name("pile"));
        }
        turns.join(name("zz"));
        assert_eq!(next(&mut turns), "zz");
        turns.took(&name("zz"), NOTE);
        assert_eq!(next(&mut turns), "pile");
        assert!(turns.is_empty());
    }

    #[test]
    fn of_those_who_had_the_same_the_one_with_the_least_to_do_goes_first() {
        let mut turns = Turns::default();
        for text in ["pile", "zz"] {
            turns.join(name(text));
        }
        assert_eq!(next(&mut turns), "zz");
    }

    #[test]
    fn one_that_is_written_to_all_the_time_leaves_a_pile_its_half() {
        let mut turns = Turns::default();
        turns.join(name("pile"));
        let (mut of_pile, mut of_notes) = (Duration::ZERO, Duration::ZERO);
        for _ in 0..1000 {
            turns.join(name("notes"));
            let served = next(&mut turns);
            let (sum, time) = if served == "pile" { (&mut of_pile, PILE) } else { (&mut of_notes, NOTE) };
            *sum += time;
            turns.took(&name(&served), time);
            turns.join(name("pile"));
        }
        assert!(of_pile.abs_diff(of_notes) <= 2 * PILE, "{of_pile:?} against {of_notes:?}");
    }

    #[test]
    fn who_had_to_wait_on_saves_no_time_up() {
        let mut turns = Turns::default();
        turns.join(name("pile"));
        for _ in 0..100 {
            turns.join(name("notes"));
            let small = turns.next(|name| (name.as_str() != "pile").then_some(1)).unwrap();
            turns.took(&small, NOTE);
        }
        assert_eq!(next(&mut turns), "pile");
        turns.took(&name("pile"), PILE);
        turns.join(name("pile"));
        turns.join(name("notes"));
        assert_eq!(next(&mut turns), "notes");
    }
}
