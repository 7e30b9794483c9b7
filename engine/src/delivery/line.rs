//! What waits for one endpoint: a pure state machine, without clock, threads or disk.

use std::collections::{BTreeSet, HashMap, HashSet, VecDeque};
use std::sync::Arc;

use crate::id::Seq;
use crate::journal::Event;

/// Events under way to one endpoint at the same time, each of another path.
const MAX_UNDER_WAY: usize = 4;
/// After so many failures in a row one event at a time is tried.
const CAREFUL_AFTER: u32 = 3;
/// Events read ahead of what is sent.
const READ_AHEAD: usize = 256;

/// An event, with what keeps its order.
#[derive(Debug, Clone, PartialEq)]
pub struct Posted {
    /// As it stands in the journal.
    pub event: Event,
    /// `/workspace/path`, folded.
    pub key: String,
}

/// What is to be brought next.
#[derive(Debug, Clone, PartialEq)]
pub enum Job {
    /// An event that was not tried yet.
    Fresh(Arc<Posted>),
    /// The oldest of a path that waits in the table.
    Held(String),
}

impl Job {
    /// What keeps its order.
    pub fn key(&self) -> &str {
        match self {
            Self::Fresh(posted) => &posted.key,
            Self::Held(key) => key,
        }
    }
}

/// What became of a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Finished, for good or bad. What else of its path waits in the table is due then.
    Finished {
        /// Of the oldest.
        next_due_ms: Option<i64>,
    },
    /// It waits in the table.
    Held {
        /// Until then.
        due_ms: i64,
    },
}

/// What waits for one endpoint. A path is free, under way, or held: then everything of it is in the table. That keeps the
/// order of a path whatever fails, and memory bounded.
#[derive(Debug, Default)]
pub struct Line {
    read_up_to: Seq,
    /// Beyond the cursor, and in the table already.
    known: BTreeSet<Seq>,
    /// What waits in memory, by path, oldest first.
    waiting: HashMap<String, VecDeque<Arc<Posted>>>,
    n_waiting: usize,
    /// The paths of which something waits in memory and nothing is under way, in turn.
    turns: VecDeque<String>,
    under_way: HashSet<String>,
    held: HashMap<String, i64>,
    by_due: BTreeSet<(i64, String)>,
    /// In memory and not finished.
    unfinished: BTreeSet<Seq>,
    /// Failures in a row.
    failures: u32,
    /// Nothing is sent before.
    cool_until_ms: i64,
}

impl Line {
    /// Of an endpoint that has come as far as `cursor`, with the events after it that are in the table already, and the
    /// paths of which something waits there, each with the time of its oldest.
    pub fn new(cursor: Seq, known: BTreeSet<Seq>, held: Vec<(String, i64)>) -> Self {
        let mut line = Self { read_up_to: cursor, known, ..Self::default() };
        held.into_iter().for_each(|(key, due_ms)| line.hold(key, due_ms));
        line
    }

    /// How far the journal was read.
    pub fn read_up_to(&self) -> Seq {
        self.read_up_to
    }

    /// Up to here everything is finished or in the table.
    pub fn cursor(&self) -> Seq {
        match self.unfinished.first() {
            Some(oldest) => Seq(oldest.0 - 1),
            None => self.read_up_to,
        }
    }

    /// Whether the journal should be read on.
    pub fn wants_more(&self) -> bool {
        self.n_waiting < READ_AHEAD
    }

    /// Takes the next event of the journal; `wanted` by the endpoint or not. Gives back one that belongs into the table,
    /// because older ones of its path wait there.
    #[must_use]
    pub fn offer(&mut self, posted: &Arc<Posted>, wanted: bool) -> Option<Arc<Posted>> {
        let seq = posted.event.seq;
        self.read_up_to = seq;
        if self.known.remove(&seq) || !wanted {
            return None;
        }
        if self.held.contains_key(&posted.key) {
            return Some(Arc::clone(posted));
        }
        self.unfinished.insert(seq);
        self.n_waiting += 1;
        let of_path = self.waiting.entry(posted.key.clone()).or_default();
        of_path.push_back(Arc::clone(posted));
        if of_path.len() == 1 && !self.under_way.contains(&posted.key) {
            self.turns.push_back(posted.key.clone());
        }
        None
    }

    /// What may be sent now; it is under way then, until [`Self::finish`].
    pub fn next(&mut self, now_ms: i64) -> Option<Job> {
        if now_ms < self.cool_until_ms || self.under_way.len() >= self.limit() {
            return None;
        }
        if let Some((due_ms, key)) = self.by_due.first().filter(|(due_ms, _)| *due_ms <= now_ms).cloned() {
            self.by_due.remove(&(due_ms, key.clone()));
            self.held.remove(&key);
            self.under_way.insert(key.clone());
            return Some(Job::Held(key));
        }
        loop {
            let key = self.turns.pop_front()?;
            // Something of it was replayed meanwhile, and goes first; its end gives the path its turn again.
            if self.under_way.contains(&key) || self.held.contains_key(&key) {
                continue;
            }
            let Some(posted) = self.waiting.get_mut(&key).and_then(VecDeque::pop_front) else { continue };
            self.n_waiting -= 1;
            self.under_way.insert(key);
            return Some(Job::Fresh(posted));
        }
    }

    fn limit(&self) -> usize {
        if self.failures >= CAREFUL_AFTER { 1 } else { MAX_UNDER_WAY }
    }

    /// Ends a job; gives the events that belong into the table now, because theirs waits there.
    #[must_use]
    pub fn finish(&mut self, job: &Job, outcome: Outcome) -> Vec<Arc<Posted>> {
        if let Job::Fresh(posted) = job {
            self.unfinished.remove(&posted.event.seq);
        }
        let key = job.key();
        self.under_way.remove(key);
        let due_ms = match outcome {
            Outcome::Held { due_ms } => Some(due_ms),
            Outcome::Finished { next_due_ms } => next_due_ms,
        };
        let Some(following) = self.waiting.remove(key) else {
            self.hold_again(key, due_ms);
            return Vec::new();
        };
        if self.hold_again(key, due_ms) {
            self.n_waiting -= following.len();
            for posted in &following {
                self.unfinished.remove(&posted.event.seq);
            }
            return following.into();
        }
        if !following.is_empty() {
            self.waiting.insert(key.to_owned(), following);
            self.turns.push_back(key.to_owned());
        }
        Vec::new()
    }

    /// Holds a path where something of it waits in the table; whether that is so. It may have been replayed meanwhile.
    fn hold_again(&mut self, key: &str, due_ms: Option<i64>) -> bool {
        let Some(due_ms) = due_ms.or_else(|| self.held.get(key).copied()) else { return false };
        self.hold(key.to_owned(), due_ms);
        true
    }

    /// Notes that something of a path waits in the table.
    pub fn hold(&mut self, key: String, due_ms: i64) {
        // The oldest of the table decides, but for one that is replayed: that is due at once.
        let due_ms = self.held.get(&key).map_or(due_ms, |known| due_ms.min(*known));
        if let Some(before) = self.held.insert(key.clone(), due_ms) {
            self.by_due.remove(&(before, key.clone()));
        }
        if !self.under_way.contains(&key) {
            self.by_due.insert((due_ms, key));
        }
    }

    /// When something that is held is due, or the endpoint may be asked again; `None`: nothing waits for a time.
    pub fn wakes_at(&self) -> Option<i64> {
        if self.under_way.len() >= self.limit() {
            return None;
        }
        let due_ms = if self.turns.is_empty() { self.by_due.first()?.0 } else { 0 };
        Some(due_ms.max(self.cool_until_ms))
    }

    /// Notes that the endpoint answered.
    pub fn succeeded(&mut self) {
        self.failures = 0;
        self.cool_until_ms = 0;
    }

    /// Notes that it did not, and gives how often that was so in a row.
    pub fn failed(&mut self) -> u32 {
        self.failures = self.failures.saturating_add(1);
        self.failures
    }

    /// Leaves the endpoint alone until then.
    pub fn cool(&mut self, until_ms: i64) {
        self.cool_until_ms = self.cool_until_ms.max(until_ms);
    }

    /// The paths that are held and not under way, at most so many: for looking at.
    #[cfg(test)]
    fn n_held(&self) -> usize {
        self.held.len()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test ends where something it stands on fails")]

    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;
    use crate::id::WorkspaceId;

    fn posted(seq: u64, key: &str) -> Arc<Posted> {
        let event = Event {
            seq: Seq(seq),
            kind: "file.created".to_owned(),
            workspace: WorkspaceId(1),
            path: key.to_owned(),
            version: None,
            gone: None,
            size_bytes: 0,
            mime_type: String::new(),
            other_path: None,
            actor: "human:admin".to_owned(),
            approved_by: None,
            trace: None,
            traceparent: None,
            data: None,
            occurred_ms: 0,
        };
        Arc::new(Posted { event, key: key.to_owned() })
    }

    #[test]
    fn of_one_path_one_event_is_under_way_and_four_of_all() {
        let mut line = Line::default();
        for (seq, key) in [(1, "/a"), (2, "/a"), (3, "/b"), (4, "/c"), (5, "/d"), (6, "/e")] {
            assert_eq!(line.offer(&posted(seq, key), true), None);
        }
        let jobs: Vec<Job> = std::iter::from_fn(|| line.next(0)).collect();
        let keys: Vec<&str> = jobs.iter().map(Job::key).collect();
        assert_eq!(keys, ["/a", "/b", "/c", "/d"]);
        assert_eq!(line.cursor(), Seq(0));
        assert!(line.finish(&jobs[0], Outcome::Finished { next_due_ms: None }).is_empty());
        assert_eq!(line.cursor(), Seq(1));
        // Each path has its turn.
        assert_eq!(line.next(0).unwrap(), Job::Fresh(posted(6, "/e")));
        assert!(line.finish(&jobs[1], Outcome::Finished { next_due_ms: None }).is_empty());
        assert_eq!(line.next(0).unwrap(), Job::Fresh(posted(2, "/a")));
    }

    #[test]
    fn what_follows_a_failure_on_its_path_goes_to_the_table_and_other_paths_go_on() {
        let mut line = Line::default();
        for (seq, key) in [(1, "/a"), (2, "/a"), (3, "/b")] {
            assert_eq!(line.offer(&posted(seq, key), true), None);
        }
        let first = line.next(0).unwrap();
        let other = line.next(0).unwrap();
        assert_eq!(other.key(), "/b");
        let to_table = line.finish(&first, Outcome::Held { due_ms: 50 });
        assert_eq!(to_table, [posted(2, "/a")]);
        assert_eq!(line.offer(&posted(4, "/a"), true), Some(posted(4, "/a")));
        assert_eq!(line.cursor(), Seq(2), "only `/b` is not finished");
        assert_eq!(line.next(49), None);
        assert_eq!(line.wakes_at(), Some(50));
        assert_eq!(line.next(50), Some(Job::Held("/a".to_owned())));
        assert_eq!(line.n_held(), 0);
    }

    #[test]
    fn what_comes_while_an_event_is_under_way_does_not_overtake_what_came_before() {
        let mut line = Line::default();
        let offer = |line: &mut Line, seq| assert_eq!(line.offer(&posted(seq, "/a"), true), None);
        offer(&mut line, 1);
        offer(&mut line, 2);
        let first = line.next(0).unwrap();
        offer(&mut line, 3);
        assert!(line.finish(&first, Outcome::Finished { next_due_ms: None }).is_empty());
        assert_eq!(line.next(0), Some(Job::Fresh(posted(2, "/a"))));
    }

    #[test]
    fn what_is_replayed_goes_before_what_waits_and_never_beside_it() {
        let mut line = Line::default();
        assert_eq!(line.offer(&posted(5, "/a"), true), None);
        line.hold("/a".to_owned(), 0);
        let replayed = line.next(0).unwrap();
        assert_eq!(replayed, Job::Held("/a".to_owned()));
        assert_eq!(line.next(0), None);
        assert!(line.finish(&replayed, Outcome::Finished { next_due_ms: None }).is_empty());
        assert_eq!(line.next(0), Some(Job::Fresh(posted(5, "/a"))));
    }

    #[test]
    fn an_endpoint_that_fails_is_tried_with_one_event_at_a_time_after_a_while() {
        let mut line = Line::default();
        (1..=6).for_each(|seq| assert_eq!(line.offer(&posted(seq, &format!("/{seq}")), true), None));
        for _ in 0..3 {
            line.failed();
        }
        line.cool(10);
        assert_eq!(line.next(9), None);
        assert!(line.next(10).is_some());
        assert_eq!(line.next(10), None);
        line.succeeded();
        assert!(line.next(10).is_some());
    }

    /// A receiver and a table, played by the test, with several jobs under way that end in any order: whatever fails, each
    /// event arrives once and in order of its path.
    fn play(events: &[u8], chances: &[u8], restart_at: usize) -> Vec<(u8, u64)> {
        let all: Vec<Arc<Posted>> = events
            .iter()
            .enumerate()
            .map(|(at, key)| posted(at as u64 + 1, &format!("/{}", key % 4)))
            .collect();
        // The table: per event whether it waits (true) or is finished.
        let mut table: BTreeMap<Seq, (String, bool)> = BTreeMap::new();
        let mut arrived: Vec<(u8, u64)> = Vec::new();
        let mut jobs: Vec<(Job, Seq)> = Vec::new();
        let mut line = Line::default();
        let mut chances = chances.iter().cycle().copied();
        for step in 0..100_000 {
            let now_ms = step as i64;
            let chance = chances.next().unwrap_or(0);
            if step == restart_at {
                // What is under way is lost; nothing of it was written down.
                jobs.clear();
                let cursor = line.cursor();
                let known = table.keys().copied().filter(|seq| *seq > cursor).collect();
                let held: BTreeMap<String, i64> =
                    table.values().filter(|(_, waits)| *waits).map(|(key, _)| (key.clone(), 0)).collect();
                line = Line::new(cursor, known, held.into_iter().collect());
            }
            let next = all.iter().find(|posted| posted.event.seq > line.read_up_to());
            if let Some(next) = next.filter(|_| line.wants_more() && chance % 3 != 0)
                && let Some(spilled) = line.offer(next, true)
            {
                table.insert(spilled.event.seq, (spilled.key.clone(), true));
            }
            if chance % 5 != 1
                && let Some(job) = line.next(now_ms)
            {
                let oldest = || table.iter().find(|(_, (key, waits))| *waits && key == job.key());
                let seq = match &job {
                    Job::Fresh(posted) => posted.event.seq,
                    Job::Held(_) => *oldest().unwrap().0,
                };
                jobs.push((job, seq));
            }
            if chance % 2 == 0 && !jobs.is_empty() {
                let (job, seq) = jobs.remove(usize::from(chance) % jobs.len());
                let outcome = if chance % 7 < 2 {
                    table.insert(seq, (job.key().to_owned(), true));
                    Outcome::Held { due_ms: now_ms + 2 }
                } else {
                    arrived.push((job.key().as_bytes()[1] - b'0', seq.0));
                    table.insert(seq, (job.key().to_owned(), false));
                    let waits = table.values().any(|(key, waits)| *waits && key == job.key());
                    Outcome::Finished { next_due_ms: waits.then_some(0) }
                };
                for spilled in line.finish(&job, outcome) {
                    table.insert(spilled.event.seq, (spilled.key.clone(), true));
                }
            }
            let is_over = table.len() == all.len() && table.values().all(|(_, waits)| !waits);
            if is_over && jobs.is_empty() && line.cursor() == Seq(all.len() as u64) {
                return arrived;
            }
        }
        panic!("it never ends");
    }

    proptest! {
        #[test]
        fn each_event_arrives_once_and_in_order_of_its_path(
            events in proptest::collection::vec(0u8..8, 1..80),
            chances in proptest::collection::vec(any::<u8>(), 50..400),
            restart_at in 1usize..300,
        ) {
            // Something of everything has to be among the chances, or nothing moves.
            let chances: Vec<u8> = chances.into_iter().chain(0..=209).collect();
            let arrived = play(&events, &chances, restart_at);
            for key in 0..4 {
                let of_key: Vec<u64> = arrived.iter().filter(|(other, _)| *other == key).map(|(_, seq)| *seq).collect();
                prop_assert!(of_key.is_sorted(), "{:?}", of_key);
            }
            let distinct: BTreeSet<u64> = arrived.iter().map(|(_, seq)| *seq).collect();
            prop_assert_eq!((arrived.len(), distinct.len()), (events.len(), events.len()));
        }
    }
}
