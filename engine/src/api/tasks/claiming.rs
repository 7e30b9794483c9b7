use std::collections::BTreeSet;
use std::fmt;
use std::time::{Duration, Instant};

use super::super::error::{Error, Result};
use super::super::keys::fresh_id;
use super::super::locking::check_ttl;
use super::super::session::Session;
use super::info::TaskInfo;
use super::looking::Seen;
use super::passing::{Passing, late};
use super::{DEFAULT_TTL_MS, Reservation};
use crate::access::{ADMIN, Limits, Policy, Target, Verb};
use crate::catalog::CatalogError;
use crate::change::ChangeError;
use crate::id::{WorkspaceId, join_path};
use crate::journal::{EventKind, Outcome};
use crate::pattern::Pattern;
use crate::store::{Lock, StoreError};
use crate::tasks::{self, Hindrance, LeaseTerms, Queue, TaskRow, TaskState, Worker};

/// The longest wait for a task.
const MAX_WAIT: Duration = Duration::from_secs(25);
/// A wait looks again after so long even if nothing is told: a delay that is over makes no entry in the journal.
const LOOK_AGAIN: Duration = Duration::from_secs(1);
/// Longer files are not given along with a claim, in bytes.
const MAX_CONTENT_BYTES: u64 = 64 << 10;

/// Who asks for a task, and for which.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ClaimRequest {
    /// Of one workspace.
    pub workspace: Option<String>,
    /// This one and no other.
    pub task_id: Option<String>,
    /// What the worker can do.
    pub capabilities: Vec<String>,
    /// 1 ms to an hour; a minute where it is missing.
    pub ttl_ms: Option<u64>,
    /// Of inboxes alone, or of task queues alone.
    pub inbox: Option<bool>,
}

/// What keeps a task from whoever asks.
enum Kept<'a> {
    /// Its row says so.
    Row(Hindrance<'a>),
    /// Its file was taken elsewhere.
    Astray,
    /// It lies in an inbox, and was not asked for there; or the other way round.
    Elsewhere { is_inbox: bool },
    /// This verb is missing.
    Right(Verb, String),
    /// This one has to be done before.
    After(&'a str),
}

impl fmt::Display for Kept<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Row(hindrance) => hindrance.fmt(f),
            Self::Astray => f.write_str("lies in no queue any more"),
            Self::Elsewhere { is_inbox: true } => f.write_str("lies in an inbox, and `inbox` is false"),
            Self::Elsewhere { is_inbox: false } => f.write_str("lies in no inbox, and `inbox` is true"),
            Self::Right(verb, path) => write!(f, "takes `{verb}` on `{path}`"),
            Self::After(name) => write!(f, "waits until `{name}` is done"),
        }
    }
}

impl Session {
    /// Takes the task that is to be done next, of those that this principal may do; of many who ask, each gets another one.
    /// It comes with a fence, and goes back when its lease runs out.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a lease that is too long, [`Error::NotFound`] for a workspace or task that is not there.
    pub fn claim_task(&self, request: &ClaimRequest) -> Result<Option<TaskInfo>> {
        let ttl_ms = check_ttl(Some(request.ttl_ms.unwrap_or(DEFAULT_TTL_MS)))?;
        self.engine.adopt_tasks()?;
        self.engine.expire_tasks()?;
        let workspace = match &request.workspace {
            Some(name) => Some(self.seen_workspace(name)?.row.id),
            None => None,
        };
        if let Some(id) = &request.task_id {
            self.find_task("task.claim", id)?;
        }
        let mut passed_over = BTreeSet::new();
        loop {
            let Some((seen, reservation)) = self.next_task(request, workspace, &passed_over)? else {
                self.record("task.claim", Verb::Write, "/", "", Outcome::Allowed, "nothing")?;
                return Ok(None);
            };
            match self.take_task(&seen, ttl_ms) {
                Ok(Some(info)) => return Ok(Some(info)),
                Ok(None) | Err(Error::Change(ChangeError::Store(StoreError::LockHeld { .. }))) => {
                    passed_over.insert(seen.row.id.clone());
                }
                Err(error) => {
                    return self.note_failure("task.claim", Verb::Write, &seen.path(), Err(error));
                }
            }
            drop(reservation);
        }
    }

    /// As [`Self::claim_task`], and waits for a task, at most so long; 25 seconds at the longest.
    ///
    /// # Errors
    /// As [`Self::claim_task`].
    pub fn wait_for_task(&self, request: &ClaimRequest, patience: Duration) -> Result<Option<TaskInfo>> {
        let deadline = Instant::now() + patience.min(MAX_WAIT);
        loop {
            let news = self.engine.news.count();
            let claimed = self.claim_task(request)?;
            let now = Instant::now();
            if claimed.is_some() || now >= deadline || self.stop.is_asked() {
                return Ok(claimed);
            }
            self.engine.news.wait_beyond(news, deadline.min(now + LOOK_AGAIN));
        }
    }

    /// The first task that this principal may have, kept from others meanwhile.
    fn next_task(
        &self,
        request: &ClaimRequest,
        workspace: Option<WorkspaceId>,
        passed_over: &BTreeSet<String>,
    ) -> Result<Option<(Seen, Reservation<'_>)>> {
        let (desk, policy, now_ms) = (&self.engine.tasks, self.engine.policy(), self.now_ms());
        let (mut found, mut failed) = (None, None);
        let principal = Some(self.actor.principal.as_str());
        tasks::each_pending(&self.engine.catalog, workspace, principal, now_ms, &mut |row| {
            let is_meant = request.task_id.as_ref().is_none_or(|id| *id == row.id);
            if !is_meant || passed_over.contains(&row.id) || desk.is_reserved(&row.id) {
                return true;
            }
            match self.kept(&row, request, &policy, now_ms).map(|kept| kept.is_none()) {
                Ok(true) => found = desk.reserve(&row.id).map(|reservation| (row, reservation)),
                Ok(false) => {}
                Err(error) => failed = Some(error),
            }
            found.is_none() && failed.is_none()
        })?;
        if let Some(error) = failed {
            return Err(error.into());
        }
        let Some((row, reservation)) = found else { return Ok(None) };
        // Looked at again under the reservation: the list may be older than what others did meanwhile.
        let row = tasks::task(&self.engine.catalog, &row.id)?.unwrap_or(row);
        let workspace = self.engine.workspace_numbered(row.workspace);
        Ok(workspace.map(|workspace| (Seen { row, workspace }, reservation)))
    }

    /// Why a claim gives nothing, in words: of the task that it names, or else of the first one that waits and may be seen.
    ///
    /// # Errors
    /// [`Error::NotFound`] for a workspace or task that is not there.
    pub fn why_unclaimed(&self, request: &ClaimRequest) -> Result<Option<String>> {
        let (policy, now_ms) = (self.engine.policy(), self.now_ms());
        let row = match &request.task_id {
            Some(id) => Some(self.find_task("task.claim", id)?.row),
            None => self.first_waiting(request, now_ms)?,
        };
        let Some(row) = row else { return Ok(None) };
        let kept = self.kept(&row, request, &policy, now_ms)?;
        Ok(kept.map(|kept| format!("task `{}` {kept}", row.id)))
    }

    fn first_waiting(&self, request: &ClaimRequest, now_ms: i64) -> Result<Option<TaskRow>> {
        let workspace = match &request.workspace {
            Some(name) => Some(self.seen_workspace(name)?.row.id),
            None => None,
        };
        let scope = self.scope(Verb::Read);
        let mut first = None;
        // Of those that it might have had; else of all, for one that is another's, or not tried again yet, says so.
        for (principal, now_ms) in [(Some(self.actor.principal.as_str()), now_ms), (None, i64::MAX)] {
            tasks::each_pending(&self.engine.catalog, workspace, principal, now_ms, &mut |row| {
                let name = self.engine.name_of(row.workspace);
                if name.is_some_and(|name| scope.allows(&join_path(&name, &row.path))) {
                    first = Some(row);
                }
                first.is_none()
            })?;
            if first.is_some() {
                break;
            }
        }
        Ok(first)
    }

    /// What keeps a task from this principal now; nothing where it may be claimed.
    fn kept<'a>(
        &self,
        row: &'a TaskRow,
        request: &ClaimRequest,
        policy: &Policy,
        now_ms: i64,
    ) -> std::result::Result<Option<Kept<'a>>, CatalogError> {
        let worker = Worker { principal: &self.actor.principal, capabilities: &request.capabilities };
        let Some(name) = self.engine.name_of(row.workspace) else { return Ok(Some(Kept::Astray)) };
        let Some(spot) = tasks::spot(&name, &row.path) else { return Ok(Some(Kept::Astray)) };
        let is_inbox = matches!(spot.queue, Queue::Inbox { .. });
        if request.inbox.is_some_and(|inbox| inbox != is_inbox) {
            return Ok(Some(Kept::Elsewhere { is_inbox }));
        }
        if let Some(hindrance) = tasks::hindrance(row, worker, now_ms) {
            return Ok(Some(Kept::Row(hindrance)));
        }
        let here = join_path(&name, &row.path);
        let there = join_path(&name, &spot.queue.path(TaskState::InProgress, &spot.name));
        let is_open =
            |verb, path: &str| policy.gate(verb, path).is_none() || self.decide(Verb::Approve, path).allowed;
        let missing = if !self.decide(Verb::Read, &here).allowed {
            Some((Verb::Read, here))
        } else if !self.decide(Verb::Write, &there).allowed {
            Some((Verb::Write, there))
        } else if !is_open(Verb::Write, &there) {
            Some((Verb::Approve, there))
        } else if here != there && !is_open(Verb::Delete, &here) {
            Some((Verb::Approve, here))
        } else {
            None
        };
        if let Some((verb, path)) = missing {
            return Ok(Some(Kept::Right(verb, path)));
        }
        Ok(self.awaited(row, policy)?.map(Kept::After))
    }

    /// What a task waits for that is not done yet. What its creator may not read counts as not there, so that nobody learns
    /// of a hidden task by waiting for it.
    fn awaited<'a>(
        &self,
        row: &'a TaskRow,
        policy: &Policy,
    ) -> std::result::Result<Option<&'a str>, CatalogError> {
        let Some(workspace) = self.engine.name_of(row.workspace) else { return Ok(None) };
        let creator = row.creator.as_str();
        let may_read = |path: &str| {
            let is_of_the_house = creator == ADMIN || crate::access::kind_of(creator).is_err();
            is_of_the_house
                || policy.decide(creator, &Limits::default(), Verb::Read, Target::Path, path).allowed
        };
        for name in &row.spec.depends_on {
            let named = tasks::newest_named(&self.engine.catalog, row.workspace, name)?;
            let newest = named.into_iter().find(|(path, _)| may_read(&join_path(&workspace, path)));
            if newest.is_none_or(|(_, state)| state != TaskState::Done) {
                return Ok(Some(name));
            }
        }
        Ok(None)
    }

    fn take_task(&self, seen: &Seen, ttl_ms: i64) -> Result<Option<TaskInfo>> {
        if seen.row.state != TaskState::Pending {
            return Ok(None);
        }
        let now_ms = self.now_ms();
        let mut after = seen.row.clone();
        after.state = TaskState::InProgress;
        after.note(now_ms, &self.actor.principal, "claimed", None);
        let queue = Self::queue_of(seen);
        let rule =
            self.decide(Verb::Write, &seen.full(&queue.path(after.state, after.path.file_name()))).rule;
        let passing = Passing {
            seen,
            after,
            queue,
            action: "task.claim",
            verb: Verb::Write,
            rule: &rule,
            event: EventKind::TaskClaimed,
            reason: None,
            rewrites: false,
            note: None,
            lifts: None,
            steps: Vec::new(),
            usage: None,
        };
        let concerns = |lock: &Lock, place: &Pattern| self.is_concerned_by(lock, place);
        let taken = self.pass_on(passing, &mut |tx, after| {
            let terms = LeaseTerms {
                principal: &self.actor.principal,
                now_ms,
                ttl_ms,
                fresh_id: &fresh_id,
                concerns: &concerns,
            };
            Ok(tasks::take_lease(tx, after, &seen.workspace.row.name, &terms)?)
        })?;
        let Some((row, seq)) = taken else { return Ok(None) };
        let content = self.content(&row)?;
        let mut info = TaskInfo::new(row, seen.workspace.row.name.as_str());
        (info.content, info.seq) = (content, Some(self.show_seq(seq)?));
        Ok(Some(info))
    }

    fn content(&self, row: &TaskRow) -> Result<Option<String>> {
        if row.size_bytes > MAX_CONTENT_BYTES {
            return Ok(None);
        }
        Ok(self.engine.blobs.get(row.version)?.and_then(|bytes| String::from_utf8(bytes).ok()))
    }

    /// Moves the end of one's own lease, counted from now.
    ///
    /// # Errors
    /// [`StoreError::LockExpired`] where it ran out, was taken away, or has another fence.
    pub fn heartbeat_task(
        &self,
        id: &str,
        fence: u64,
        ttl_ms: Option<u64>,
        note: Option<&str>,
    ) -> Result<TaskInfo> {
        let ttl_ms = check_ttl(Some(ttl_ms.unwrap_or(DEFAULT_TTL_MS)))?;
        self.engine.adopt_tasks()?;
        let seen = self.held_task("task.heartbeat", id, fence)?;
        let now_ms = self.now_ms();
        let extended = self.engine.catalog.write(|tx| -> std::result::Result<TaskRow, ChangeError> {
            let row = tx.task(id)?.filter(|row| self.holds(row, fence));
            let expired = || StoreError::LockExpired { lock: format!("fence {fence}") };
            let mut row = row.ok_or_else(expired)?;
            tasks::extend_lease(tx, &mut row, now_ms, ttl_ms)?;
            if let Some(note) = note {
                row.note(now_ms, &self.actor.principal, "noted", Some(note));
            }
            tx.put_task(&mut row)?;
            self.record_in(tx, "task.heartbeat", Verb::Write, &seen.path(), "", "holder")?;
            Ok(row)
        });
        let extended = extended.map_err(Error::from);
        let row = self.note_failure("task.heartbeat", Verb::Write, &seen.path(), extended)?;
        Ok(TaskInfo::new(row, seen.workspace.row.name.as_str()))
    }

    /// Whether this principal has a task under a fence, now.
    pub(super) fn holds(&self, row: &TaskRow, fence: u64) -> bool {
        row.state == TaskState::InProgress
            && row.lease.as_ref().is_some_and(|lease| {
                lease.holder == self.actor.principal
                    && lease.fence == fence
                    && lease.expires_ms > self.now_ms()
            })
    }

    /// A task that this principal has under a fence.
    pub(super) fn held_task(&self, action: &'static str, id: &str, fence: u64) -> Result<Seen> {
        let seen = self.find_task(action, id)?;
        if self.holds(&seen.row, fence) {
            return Ok(seen);
        }
        self.note_failure(action, Verb::Write, &seen.path(), Err(late(fence)))
    }
}
