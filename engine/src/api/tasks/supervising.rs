use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::super::engine::Engine;
use super::super::error::{Error, Result};
use super::super::keys::fresh_id;
use super::super::session::Session;
use super::super::workspace::OpenWorkspace;
use super::DEFAULT_TTL_MS;
use super::looking::Seen;
use super::passing::{Passing, Trouble};
use crate::access::{Actor, ApprovalState, Limits, Verb};
use crate::change::ChangeError;
use crate::id::{WorkspaceId, WorkspaceName};
use crate::journal::EventKind;
use crate::store::StoreError;
use crate::tasks::{self, Adoption, Mishap, TaskState};

/// Who acts where nobody does: the house itself. No principal can have this name, for it has no kind.
const HOUSE: &str = "waypost";
/// How long the supervisor waits at most before it looks again.
const LOOK_AGAIN: Duration = Duration::from_secs(1);
/// How often what is old is forgotten, in milliseconds.
const PRUNE_EVERY_MS: i64 = 3_600_000;
const COMPACT_EVERY_MS: i64 = 24 * PRUNE_EVERY_MS;

/// When old things are forgotten next, in milliseconds since 1970.
struct Due {
    pruning_ms: i64,
    compaction_ms: i64,
}

impl Engine {
    /// Carries tasks on from the journal: what was dropped, moved and deleted since.
    ///
    /// # Errors
    /// Where catalog or blobs can't be read or written.
    pub fn adopt_tasks(&self) -> Result<()> {
        let mut cursor = self.tasks.cursor.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        let from = match *cursor {
            Some(cursor) => cursor,
            None => tasks::task_cursor(&self.catalog)?,
        };
        let adoption = Adoption {
            catalog: &self.catalog,
            blobs: &self.blobs,
            now_ms: self.clock.now_ms(),
            ttl_ms: DEFAULT_TTL_MS as i64,
            // One whose folder is not there now keeps its tasks.
            name_of: &|id| self.name_of(id).or_else(|| self.closed_name_of(id)),
            fresh_id: &fresh_id,
        };
        *cursor = Some(tasks::adopt(&adoption, from)?);
        Ok(())
    }

    /// Takes tasks back whose lease ran out, and gives those up for which no person decided in time.
    ///
    /// # Errors
    /// Where the catalog can't be read or written.
    pub fn expire_tasks(self: &Arc<Self>) -> Result<()> {
        let overdue = tasks::overdue(&self.catalog, self.clock.now_ms())?;
        if overdue.is_empty() {
            return Ok(());
        }
        let house = self.house_session();
        for row in overdue {
            let Some(workspace) = self.workspace_numbered(row.workspace) else { continue };
            let seen = Seen { row, workspace };
            let done = match seen.row.state {
                TaskState::Waiting => house.give_up(&seen),
                _ => house.take_back(&seen),
            };
            match done {
                // Somebody else's lock lies over the folder; it ends some day.
                Ok(()) | Err(Error::Change(ChangeError::Store(StoreError::LockHeld { .. }))) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// What happens by itself.
    pub(in crate::api) fn house_session(self: &Arc<Self>) -> Session {
        Session::new(
            Arc::clone(self),
            Actor {
                principal: HOUSE.to_owned(),
                token: String::new(),
                is_owner: true,
                limits: Limits::default(),
            },
        )
    }

    fn closed_name_of(&self, id: WorkspaceId) -> Option<WorkspaceName> {
        let rows = self.catalog.workspaces().ok()?;
        rows.into_iter().find(|row| row.id == id).map(|row| row.name)
    }

    /// An open workspace by its number.
    pub(in crate::api) fn workspace_numbered(&self, id: WorkspaceId) -> Option<Arc<OpenWorkspace>> {
        self.open_workspaces().into_iter().find(|workspace| workspace.row.id == id)
    }
}

impl Session {
    fn take_back(&self, seen: &Seen) -> Result<()> {
        let trouble = Trouble {
            mishap: Mishap::Expiry,
            reason: "lease expired",
            what: "expired",
            action: "task.expire",
            verb: Verb::Write,
            rule: "lease",
            event: EventKind::TaskExpired,
            note: None,
            usage: None,
        };
        // Where somebody was faster there is nothing left to do.
        self.meet_trouble(seen, &trouble).map(drop)
    }

    fn give_up(&self, seen: &Seen) -> Result<()> {
        let reason = "nobody decided in time";
        let mut after = seen.row.clone();
        after.state = TaskState::Failed;
        after.last_error = Some(reason.to_owned());
        after.note(self.now_ms(), &self.actor.principal, "failed", Some(reason));
        let passing = Passing {
            seen,
            after,
            queue: Self::queue_of(seen),
            action: "task.expire",
            verb: Verb::Write,
            rule: "approval",
            event: EventKind::TaskFailed,
            reason: Some(reason),
            rewrites: true,
            note: None,
            lifts: None,
            steps: Vec::new(),
            usage: None,
        };
        let passed = self.pass_on(passing, &mut |tx, after| {
            if let Some(approval) = after.approval.take() {
                let by = &self.actor.principal;
                tx.decide_approval(&approval, ApprovalState::Stale, by, Some(reason), self.now_ms())?;
            }
            Ok(())
        });
        passed.map(drop)
    }
}

/// Looks after the tasks of a home while it is served: one thread, which the journal wakes.
pub struct Supervisor {
    engine: Arc<Engine>,
    ended: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Supervisor {
    /// Starts the thread.
    pub fn start(engine: &Arc<Engine>) -> Self {
        let ended = Arc::new(AtomicBool::new(false));
        let (watched, is_ended) = (Arc::clone(engine), Arc::clone(&ended));
        let thread = std::thread::spawn(move || look_after(&watched, &is_ended));
        Self { engine: Arc::clone(engine), ended, thread: Some(thread) }
    }
}

impl Drop for Supervisor {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::Relaxed);
        self.engine.news.tell();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn look_after(engine: &Arc<Engine>, ended: &AtomicBool) {
    // The same failure again and again is told once.
    let mut told = String::new();
    let mut due = Due { pruning_ms: i64::MIN, compaction_ms: i64::MIN };
    while !ended.load(Ordering::Relaxed) {
        let news = engine.news.count();
        match engine
            .adopt_tasks()
            .and_then(|()| engine.expire_tasks())
            .and_then(|()| engine.settle_overdue())
            .and_then(|()| engine.learn_outcomes())
            .and_then(|()| prune_at(engine, &mut due))
        {
            Ok(()) => told.clear(),
            Err(error) if error.to_string() != told => {
                tracing::error!(%error, "tasks could not be looked after");
                told = error.to_string();
            }
            Err(_) => {}
        }
        engine.news.wait_beyond(news, Instant::now() + LOOK_AGAIN);
    }
}

/// Forgets what is old, every hour, and of the journal every day.
fn prune_at(engine: &Arc<Engine>, due: &mut Due) -> Result<()> {
    let now_ms = engine.clock.now_ms();
    if now_ms >= due.pruning_ms {
        due.pruning_ms = now_ms.saturating_add(PRUNE_EVERY_MS);
        engine.prune_counted()?;
        engine.forget_routing()?;
        engine.forget_expired()?;
    }
    if now_ms >= due.compaction_ms {
        due.compaction_ms = now_ms.saturating_add(COMPACT_EVERY_MS);
        let forgotten = engine.compact_journal()?;
        if forgotten > 0 {
            tracing::info!(forgotten, "old entries of the journal were forgotten");
        }
    }
    Ok(())
}
