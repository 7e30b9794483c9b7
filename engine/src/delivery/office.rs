//! What waits for all endpoints, shared between the threads that bring events and those who change endpoints.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::Instant;

use super::Endpoint;
use super::ledger::{Entry, Place};
use super::line::{Head, Job, Line};
use crate::journal::News;

/// A place in the journal is written down after so many events that an endpoint did not want.
const MAX_UNWRITTEN: u64 = 1000;

/// What is shared between the threads and those who change endpoints.
#[derive(Default)]
pub struct Office {
    state: Mutex<State>,
    /// Wakes the reader. A writer rings it, and waits for nothing else here.
    pub(super) bell: News,
    /// How often the journal grew.
    pub(super) n_grown: AtomicU64,
    pub(super) for_sender: Condvar,
    pub(super) for_ledger: Condvar,
    pub(super) written: Condvar,
}

#[derive(Default)]
pub(super) struct State {
    pub(super) lines: BTreeMap<String, Counter>,
    /// The endpoint that was served last: the next one is served next.
    pub(super) last: String,
    pub(super) entries: Vec<Entry>,
    /// Places of endpoints that were paused.
    pub(super) leaving: Vec<Place>,
    /// Entries ever, and those that are written down.
    pub(super) n_entries: u64,
    pub(super) n_written: u64,
    pub(super) endpoints_changed: bool,
    pub(super) n_senders: usize,
    pub(super) n_idle: usize,
    /// When a sender last ended something, or began.
    pub(super) last_end: Option<Instant>,
    pub(super) ended: bool,
}

/// One endpoint at work.
pub(super) struct Counter {
    pub(super) endpoint: Arc<Endpoint>,
    pub(super) line: Line,
    /// Of this line: what belongs to an older one of the same endpoint ends without it.
    pub(super) generation: u64,
    /// The journal was read to its end when it had grown so often.
    pub(super) read_at: Option<u64>,
    pub(super) failing_since_ms: Option<i64>,
    pub(super) written: Place,
}

impl Counter {
    /// Whether the journal, which has grown so often, holds more for it.
    pub(super) fn is_hungry(&self, n_grown: u64) -> bool {
        self.line.wants_more() && self.read_at != Some(n_grown)
    }

    pub(super) fn place(&self) -> Place {
        Place {
            webhook: self.endpoint.id.clone(),
            cursor: self.line.cursor(),
            failing_since_ms: self.failing_since_ms,
        }
    }
}

impl Office {
    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// The journal has grown.
    pub fn tell(&self) {
        self.n_grown.fetch_add(1, Ordering::SeqCst);
        self.bell.tell();
    }

    /// Endpoints came, went, or changed.
    pub fn endpoints_changed(&self) {
        self.lock().endpoints_changed = true;
        self.bell.tell();
    }

    /// An endpoint was changed so that what is known of it here does not hold any more: its place, or whether it is active.
    pub fn reopen(&self, webhook: &str) {
        let mut state = self.lock();
        state.lines.remove(webhook);
        state.endpoints_changed = true;
        drop(state);
        self.bell.tell();
    }

    /// These were put into the table again, to be brought at once.
    pub fn replay(&self, webhook: &str, heads: &[Head]) {
        let mut state = self.lock();
        if let Some(counter) = state.lines.get_mut(webhook) {
            heads.iter().for_each(|head| counter.line.replay(head));
        }
        drop(state);
        self.bell.tell();
        self.for_sender.notify_one();
    }

    /// Waits until everything that was to be written down so far is.
    pub fn barrier(&self) {
        let state = self.lock();
        let n_entries = state.n_entries;
        let waiting = |state: &mut State| state.n_written < n_entries && !state.ended;
        drop(self.written.wait_while(state, waiting));
    }
}

impl State {
    /// The next job of the next endpoint that has one.
    pub(super) fn pick(&mut self, now_ms: i64) -> Option<(Arc<Endpoint>, u64, Job)> {
        use std::ops::Bound::{Excluded, Included, Unbounded};
        let last = std::mem::take(&mut self.last);
        let after = (Excluded(last.clone()), Unbounded);
        let before = (Unbounded, Included(last.clone()));
        for range in [after, before] {
            for (id, counter) in self.lines.range_mut::<String, _>(range) {
                if let Some(job) = counter.line.next(now_ms) {
                    self.last = id.clone();
                    return Some((Arc::clone(&counter.endpoint), counter.generation, job));
                }
            }
        }
        self.last = last;
        None
    }

    /// Whether an endpoint came far without an entry.
    pub(super) fn has_moved(&self) -> bool {
        self.lines.values().any(|counter| counter.line.cursor().0 - counter.written.cursor.0 >= MAX_UNWRITTEN)
    }

    /// The places that have changed since they were written.
    pub(super) fn places(&mut self) -> Vec<Place> {
        let mut places = std::mem::take(&mut self.leaving);
        for counter in self.lines.values_mut() {
            let place = counter.place();
            if place != counter.written {
                counter.written = place.clone();
                places.push(place);
            }
        }
        places
    }
}
