//! Who has a task: one exclusive lock over its file and one over its artifacts, under one fence, so that the write path
//! itself refuses whoever comes late.

use super::queue::{Queue, TaskState, spot};
use super::rows::{Lease, TaskRow};
use crate::catalog::Tx;
use crate::id::{WorkspaceName, join_path};
use crate::pattern::Pattern;
use crate::store::{Lock, LockMode, StoreError, Wanted};

/// Under which terms a lease is taken.
pub struct LeaseTerms<'a> {
    /// Whose it will be.
    pub principal: &'a str,
    /// Milliseconds since 1970.
    pub now_ms: i64,
    /// How long it holds.
    pub ttl_ms: i64,
    /// Gives ids of a kind.
    pub fresh_id: &'a dyn Fn(&str) -> String,
    /// Which locks of others stand in the way, by the place that both are over.
    pub concerns: &'a dyn Fn(&Lock, &Pattern) -> bool,
}

/// Gives a task to a principal; its path is already where it lies while it is worked on.
///
/// # Errors
/// [`StoreError::LockHeld`] where somebody else's lock stands in the way.
pub fn take_lease(
    tx: &Tx<'_>,
    row: &mut TaskRow,
    workspace: &WorkspaceName,
    terms: &LeaseTerms<'_>,
) -> Result<(), StoreError> {
    let lock = |pattern| Wanted { id: (terms.fresh_id)("lk"), pattern };
    let wanted: Vec<Wanted> = patterns(row, workspace).into_iter().map(lock).collect();
    let (mode, principal) = (LockMode::Exclusive, terms.principal);
    let locks = tx.acquire_locks(&wanted, mode, principal, terms.now_ms, terms.ttl_ms, terms.concerns)?;
    row.state = TaskState::InProgress;
    row.attempts += 1;
    row.worker = Some(principal.to_owned());
    row.lease = Some(Lease {
        holder: principal.to_owned(),
        fence: locks.iter().map(|lock| lock.fence).max().unwrap_or_default(),
        expires_ms: terms.now_ms.saturating_add(terms.ttl_ms),
        locks: locks.into_iter().map(|lock| lock.id).collect(),
    });
    Ok(())
}

/// What a lease covers. A star in a file's name would be read as any text, so it stands for one letter; a path that is
/// too long for a pattern is left to the row alone.
fn patterns(row: &TaskRow, workspace: &WorkspaceName) -> Vec<Pattern> {
    let file = join_path(workspace, &row.path).replace('*', "?");
    let queue = spot(workspace, &row.path).map_or(Queue::Tasks, |spot| spot.queue);
    let results = Pattern::literal(&join_path(workspace, &queue.artifacts(&row.id)), true);
    Pattern::path(&file).into_iter().chain([results]).collect()
}

/// Moves the end of a lease, counted from now.
///
/// # Errors
/// [`StoreError::LockExpired`] where it has run out.
pub fn extend_lease(tx: &Tx<'_>, row: &mut TaskRow, now_ms: i64, ttl_ms: i64) -> Result<(), StoreError> {
    if let Some(lease) = &mut row.lease {
        for lock in &lease.locks {
            tx.extend_lock(lock, &lease.holder, now_ms, ttl_ms)?;
        }
        lease.expires_ms = now_ms.saturating_add(ttl_ms);
    }
    Ok(())
}

/// Takes a task from whoever has it.
///
/// # Errors
/// [`StoreError::Catalog`].
pub fn drop_lease(tx: &Tx<'_>, row: &mut TaskRow) -> Result<(), StoreError> {
    for lock in row.lease.take().into_iter().flat_map(|lease| lease.locks) {
        tx.release_lock(&lock, None)?;
    }
    Ok(())
}
