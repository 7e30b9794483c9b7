//! Tasks: made, claimed, ended, reviewed, and looked after.
//!
//! Every operation first carries the rows on from the journal, so that a file that was just dropped counts at once. What
//! changes a task moves its file, keeps its row, tells its event and records the act in one transaction.

mod claiming;
mod creating;
mod ending;
mod info;
mod looking;
mod passing;
mod reviewing;
mod supervising;

pub use claiming::ClaimRequest;
pub use creating::NewTask;
pub(super) use creating::PreparedTask;
pub use ending::{Artifact, Completion, Failure};
pub use info::{InboxEntry, TaskInfo};
pub use looking::TasksFilter;
pub use supervising::Supervisor;

use std::collections::BTreeSet;
use std::sync::Mutex;

use crate::id::Seq;

/// A lease's length where nothing else is asked, in milliseconds.
const DEFAULT_TTL_MS: u64 = 60_000;

/// What the engine keeps in memory about tasks.
#[derive(Default)]
pub(super) struct Desk {
    /// How far the journal was read for tasks. Whoever reads on holds it meanwhile, so that a crowd of workers does not
    /// read the same stretch again and again; it is a turn, as every workspace has one.
    cursor: Mutex<Option<Seq>>,
    /// Tasks that somebody is about to claim: others choose another one, and nobody has to lose a race.
    reserved: Mutex<BTreeSet<String>>,
}

/// A task that nobody else chooses as long as this lives.
struct Reservation<'a> {
    desk: &'a Desk,
    task: String,
}

impl Desk {
    fn reserve(&self, task: &str) -> Option<Reservation<'_>> {
        let mut reserved = self.reserved.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        reserved.insert(task.to_owned()).then(|| Reservation { desk: self, task: task.to_owned() })
    }

    fn is_reserved(&self, task: &str) -> bool {
        self.reserved.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).contains(task)
    }
}

impl Drop for Reservation<'_> {
    fn drop(&mut self) {
        let mut reserved = self.desk.reserved.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        reserved.remove(&self.task);
    }
}
