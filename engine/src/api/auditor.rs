//! Writes acts that change nothing into the audit chain, and the decisions of routing beside it, many at a time, from a
//! thread of its own.

use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread::JoinHandle;
use std::time::Duration;

use super::error::{Error, Result};
use crate::catalog::{Catalog, CatalogError};
use crate::journal::Act;
use crate::route::DecisionRow;

/// How long an act waits for others to be written down with it.
const PATIENCE: Duration = Duration::from_millis(25);
/// How long after a refusal of the disk the next try comes.
const PAUSE: Duration = Duration::from_millis(500);
/// How long one who acts waits for room.
const ROOM_PATIENCE: Duration = Duration::from_secs(2);
/// Acts that wait at most; without room nothing more is done, for nothing is done unrecorded.
const MAX_WAITING: usize = 20_000;

/// Takes acts, and writes them down soon.
pub struct Auditor {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

struct Shared {
    catalog: Arc<Catalog>,
    key: [u8; 32],
    waiting: Mutex<Waiting>,
    changed: Condvar,
}

/// A decision, and the revisions that it stands on.
type Decision = (DecisionRow, Arc<[i64]>);

#[derive(Default)]
struct Waiting {
    acts: Vec<(Act, i64)>,
    decisions: Vec<Decision>,
    is_writing: bool,
    is_ended: bool,
}

impl Auditor {
    /// Starts the thread.
    pub fn start(catalog: Arc<Catalog>, key: [u8; 32]) -> Self {
        let shared = Arc::new(Shared { catalog, key, waiting: Mutex::default(), changed: Condvar::new() });
        let worker = Arc::clone(&shared);
        Self { shared, thread: Some(std::thread::spawn(move || worker.work())) }
    }

    /// Takes an act; it is in the chain soon, and for certain after [`Self::flush`]. Where too many wait, it waits for
    /// room.
    ///
    /// # Errors
    /// [`Error::AuditFull`] where acts can't be written down.
    pub fn record(&self, act: Act, now_ms: i64) -> Result<()> {
        self.take(|waiting| waiting.acts.push((act, now_ms)))
    }

    /// Takes a decision, which is kept as acts are.
    ///
    /// # Errors
    /// As [`Self::record`].
    pub fn keep_decision(&self, decision: DecisionRow, revisions: Arc<[i64]>) -> Result<()> {
        self.take(|waiting| waiting.decisions.push((decision, revisions)))
    }

    fn take(&self, put: impl FnOnce(&mut Waiting)) -> Result<()> {
        let waiting = self.shared.lock();
        let is_full = |waiting: &mut Waiting| waiting.acts.len().max(waiting.decisions.len()) >= MAX_WAITING;
        let (mut waiting, timeout) = self
            .shared
            .changed
            .wait_timeout_while(waiting, ROOM_PATIENCE, is_full)
            .unwrap_or_else(|poisoned| poisoned.into_inner());
        if timeout.timed_out() {
            return Err(Error::AuditFull);
        }
        put(&mut waiting);
        self.shared.changed.notify_all();
        Ok(())
    }

    /// Waits until everything taken so far is in the chain.
    ///
    /// # Errors
    /// [`Error::AuditFull`] where that does not come about within five seconds.
    pub fn flush(&self) -> Result<()> {
        let waiting = self.shared.lock();
        let is_busy = |waiting: &mut Waiting| waiting.is_writing || !waiting.is_empty();
        let (_waiting, timeout) = self
            .shared
            .changed
            .wait_timeout_while(waiting, Duration::from_secs(5), is_busy)
            .unwrap_or_else(|poisoned| poisoned.into_inner());
        if timeout.timed_out() { Err(Error::AuditFull) } else { Ok(()) }
    }
}

impl Waiting {
    fn is_empty(&self) -> bool {
        self.acts.is_empty() && self.decisions.is_empty()
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    fn work(&self) {
        loop {
            let mut waiting = self.lock();
            while waiting.is_empty() && !waiting.is_ended {
                waiting = self.changed.wait(waiting).unwrap_or_else(|poisoned| poisoned.into_inner());
            }
            if waiting.is_empty() {
                return;
            }
            if !waiting.is_ended {
                waiting = self
                    .changed
                    .wait_timeout_while(waiting, PATIENCE, |waiting| !waiting.is_ended)
                    .unwrap_or_else(|poisoned| poisoned.into_inner())
                    .0;
            }
            let acts = std::mem::take(&mut waiting.acts);
            let decisions = std::mem::take(&mut waiting.decisions);
            waiting.is_writing = true;
            self.changed.notify_all();
            drop(waiting);
            let written = self.catalog.write(|tx| -> std::result::Result<(), CatalogError> {
                tx.put_decisions(decisions.iter().map(|(row, revisions)| (row, &**revisions)))?;
                tx.audit_all(acts.iter().map(|(act, at_ms)| (act, *at_ms)), &self.key)
            });
            let mut waiting = self.lock();
            waiting.is_writing = false;
            let is_ended = waiting.is_ended;
            if let Err(error) = &written {
                tracing::error!(%error, "acts can't be written into the audit chain");
                let later = std::mem::replace(&mut waiting.acts, acts);
                waiting.acts.extend(later);
                let later = std::mem::replace(&mut waiting.decisions, decisions);
                waiting.decisions.extend(later);
            }
            self.changed.notify_all();
            drop(waiting);
            match written {
                Err(_) if is_ended => return,
                Err(_) => std::thread::sleep(PAUSE),
                Ok(()) => {}
            }
        }
    }
}

impl Drop for Auditor {
    fn drop(&mut self) {
        self.shared.lock().is_ended = true;
        self.shared.changed.notify_all();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
