//! What waits for one endpoint: a pure state machine, without clock, threads or disk.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet, VecDeque};
use std::sync::Arc;

use crate::id::Seq;
use crate::journal::Event;

/// Events under way to one endpoint at the same time, none of a key of another.
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
    /// Its path as `/workspace/path`, folded, and where there is one what else it must keep its order with: the path that a file came
    /// from, or the task that it is about.
    pub keys: Vec<String>,
}

impl Posted {
    /// `/workspace/path`, folded.
    pub fn path(&self) -> &str {
        self.keys.first().map_or("", String::as_str)
    }
}

/// The oldest event of a key that waits in the table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    /// Which event.
    pub seq: Seq,
    /// Not before.
    pub due_ms: i64,
    /// All of its keys.
    pub keys: Vec<String>,
}

/// What is to be brought next.
#[derive(Debug, Clone, PartialEq)]
pub enum Job {
    /// An event that was not tried yet.
    Fresh(Arc<Posted>),
    /// One that waits in the table.
    Held(Head),
}

impl Job {
    /// Which event.
    pub fn seq(&self) -> Seq {
        match self {
            Self::Fresh(posted) => posted.event.seq,
            Self::Held(head) => head.seq,
        }
    }

    /// What keeps its order.
    pub fn keys(&self) -> &[String] {
        match self {
            Self::Fresh(posted) => &posted.keys,
            Self::Held(head) => &head.keys,
        }
    }
}

/// What became of a job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// Finished, for good or bad.
    Finished {
        /// Of each of its keys the oldest that waits in the table, where something does.
        next: Vec<Head>,
    },
    /// It waits in the table.
    Held {
        /// Until then.
        due_ms: i64,
    },
}

/// What waits for one endpoint. A key is free, under way, or held: then everything of it is in the table. That keeps the
/// order of a key whatever fails, and memory bounded. An event of two keys is brought when it is the oldest of both.
#[derive(Debug, Default)]
pub struct Line {
    read_up_to: Seq,
    /// Beyond the cursor, and in the table already.
    known: BTreeSet<Seq>,
    /// What waits in memory, by key, oldest first.
    waiting: HashMap<String, VecDeque<Arc<Posted>>>,
    n_waiting: usize,
    /// Keys whose oldest may have its turn now.
    turns: VecDeque<String>,
    /// The keys of what is under way.
    under_way: HashSet<String>,
    n_under_way: usize,
    /// The keys that are held, each with its oldest.
    held: HashMap<String, Seq>,
    /// Those that are the oldest of a key.
    heads: HashMap<Seq, Head>,
    /// Those that are the oldest of all of their keys, of which nothing is under way.
    by_due: BTreeSet<(i64, Seq)>,
    /// In memory and not finished.
    unfinished: BTreeSet<Seq>,
    /// Failures in a row.
    failures: u32,
    /// Nothing is sent before.
    cool_until_ms: i64,
}

impl Line {
    /// Of an endpoint that has come as far as `cursor`, with the events after it that are in the table already, and the
    /// oldest of each key that waits there.
    pub fn new(cursor: Seq, known: BTreeSet<Seq>, heads: Vec<Head>) -> Self {
        let mut line = Self { read_up_to: cursor, known, ..Self::default() };
        heads.into_iter().for_each(|head| line.put(head));
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

    /// Takes the next event of the journal; `wanted` by the endpoint or not. Gives the events that belong into the table,
    /// because older ones of their keys wait there.
    #[must_use]
    pub fn offer(&mut self, posted: &Arc<Posted>, wanted: bool) -> Vec<Arc<Posted>> {
        let seq = posted.event.seq;
        self.read_up_to = seq;
        if self.known.remove(&seq) {
            self.settle(seq);
            return Vec::new();
        }
        if !wanted {
            return Vec::new();
        }
        if posted.keys.iter().any(|key| self.held.contains_key(key)) {
            return self.spill(vec![Arc::clone(posted)]);
        }
        self.unfinished.insert(seq);
        self.n_waiting += 1;
        for key in &posted.keys {
            let of_key = self.waiting.entry(key.clone()).or_default();
            of_key.push_back(Arc::clone(posted));
            if of_key.len() == 1 && !self.under_way.contains(key) {
                self.turns.push_back(key.clone());
            }
        }
        Vec::new()
    }

    /// What may be sent now; it is under way then, until [`Self::finish`].
    pub fn next(&mut self, now_ms: i64) -> Option<Job> {
        if now_ms < self.cool_until_ms || self.n_under_way >= self.limit() {
            return None;
        }
        if self.by_due.first().is_some_and(|(due_ms, _)| *due_ms <= now_ms)
            && let Some((_, seq)) = self.by_due.pop_first()
            && let Some(head) = self.heads.remove(&seq)
        {
            for key in &head.keys {
                self.held.remove(key);
            }
            self.begin(&head.keys);
            return Some(Job::Held(head));
        }
        loop {
            let key = self.turns.pop_front()?;
            let Some(oldest) = self.waiting.get(&key).and_then(VecDeque::front).cloned() else { continue };
            // What stands in its way gives the key its turn again when it ends.
            if !oldest.keys.iter().all(|key| self.is_free_for(key, &oldest)) {
                continue;
            }
            for key in &oldest.keys {
                self.waiting.get_mut(key).and_then(VecDeque::pop_front);
            }
            self.n_waiting -= 1;
            self.begin(&oldest.keys);
            return Some(Job::Fresh(oldest));
        }
    }

    /// Whether nothing of a key goes before an event that waits in memory.
    fn is_free_for(&self, key: &str, posted: &Arc<Posted>) -> bool {
        let is_oldest =
            self.waiting.get(key).and_then(VecDeque::front).is_some_and(|oldest| Arc::ptr_eq(oldest, posted));
        is_oldest && !self.under_way.contains(key) && !self.held.contains_key(key)
    }

    fn begin(&mut self, keys: &[String]) {
        self.under_way.extend(keys.iter().cloned());
        self.n_under_way += 1;
    }

    fn limit(&self) -> usize {
        if self.failures >= CAREFUL_AFTER { 1 } else { MAX_UNDER_WAY }
    }

    /// Ends a job; gives the events that belong into the table now, because something older of theirs waits there.
    #[must_use]
    pub fn finish(&mut self, job: &Job, outcome: Outcome) -> Vec<Arc<Posted>> {
        if let Job::Fresh(posted) = job {
            self.unfinished.remove(&posted.event.seq);
        }
        self.n_under_way = self.n_under_way.saturating_sub(1);
        for key in job.keys() {
            self.under_way.remove(key);
        }
        match outcome {
            Outcome::Held { due_ms } => {
                self.put(Head { seq: job.seq(), due_ms, keys: job.keys().to_vec() });
            }
            Outcome::Finished { next } => next.into_iter().for_each(|head| self.put(head)),
        }
        let mut to_table = Vec::new();
        for key in job.keys() {
            // It may have been replayed meanwhile.
            if let Some(oldest) = self.held.get(key).copied() {
                let waiting = self.waiting.remove(key).unwrap_or_default();
                to_table.extend(self.spill(waiting.into()));
                self.settle(oldest);
            } else if self.waiting.get(key).is_some_and(|waiting| !waiting.is_empty()) {
                self.turns.push_back(key.clone());
            } else {
                self.waiting.remove(key);
            }
        }
        to_table
    }

    /// Gives events to the table, with all that waits in memory for a key of theirs, and of those in turn: nothing overtakes.
    fn spill(&mut self, mut open: Vec<Arc<Posted>>) -> Vec<Arc<Posted>> {
        let mut spilled: BTreeMap<Seq, Arc<Posted>> = BTreeMap::new();
        while let Some(posted) = open.pop() {
            for key in &posted.keys {
                open.extend(self.waiting.remove(key).unwrap_or_default());
            }
            spilled.insert(posted.event.seq, posted);
        }
        for (seq, posted) in &spilled {
            if self.unfinished.remove(seq) {
                self.n_waiting -= 1;
            }
            self.put(Head { seq: *seq, due_ms: 0, keys: posted.keys.clone() });
        }
        spilled.into_values().collect()
    }

    /// Notes an event of the table: of each of its keys it may be the oldest.
    fn put(&mut self, mut head: Head) {
        if let Some(known) = self.heads.get(&head.seq) {
            head.due_ms = head.due_ms.min(known.due_ms);
        }
        self.strike(head.seq);
        let mut is_oldest = false;
        for key in &head.keys {
            let known = self.held.get(key).copied();
            if known.is_some_and(|known| known < head.seq) {
                continue;
            }
            is_oldest = true;
            self.held.insert(key.clone(), head.seq);
            if let Some(later) = known.filter(|known| *known != head.seq) {
                self.pass_over(later);
            }
        }
        if is_oldest {
            let seq = head.seq;
            self.heads.insert(seq, head);
            self.settle(seq);
        }
    }

    /// Notes that one is no longer the oldest of a key.
    fn pass_over(&mut self, seq: Seq) {
        self.strike(seq);
        let is_oldest = |head: &Head| head.keys.iter().any(|key| self.held.get(key) == Some(&seq));
        if !self.heads.get(&seq).is_some_and(is_oldest) {
            self.heads.remove(&seq);
        }
    }

    fn strike(&mut self, seq: Seq) {
        if let Some(head) = self.heads.get(&seq) {
            self.by_due.remove(&(head.due_ms, seq));
        }
    }

    /// Lets one be brought where it is the oldest of all its keys and nothing of them is under way.
    fn settle(&mut self, seq: Seq) {
        // After a start something older may not have been read again; it is offered before this one.
        let Some(head) = self.heads.get(&seq).filter(|_| seq <= self.read_up_to) else { return };
        let is_free = |key: &String| self.held.get(key) == Some(&seq) && !self.under_way.contains(key);
        if head.keys.iter().all(is_free) {
            self.by_due.insert((head.due_ms, seq));
        }
    }

    /// Notes that an event was put into the table again: it is due at once, and so is what goes before it.
    pub fn replay(&mut self, head: &Head) {
        self.put(head.clone());
        for key in &head.keys {
            let oldest = self.held.get(key).and_then(|seq| self.heads.get(seq)).cloned();
            if let Some(oldest) = oldest {
                self.put(Head { due_ms: oldest.due_ms.min(head.due_ms), ..oldest });
            }
        }
    }

    /// When something that is held is due, or the endpoint may be asked again; `None`: nothing waits for a time.
    pub fn wakes_at(&self) -> Option<i64> {
        if self.n_under_way >= self.limit() {
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

    /// How many keys are held: for looking at.
    #[cfg(test)]
    fn n_held(&self) -> usize {
        self.held.len()
    }
}

#[cfg(test)]
mod tests;
