//! A task's way from one state to the next, whoever takes it there.

use super::super::approvals::GatedAct;
use super::super::error::{Error, Result};
use super::super::keys::fresh_id;
use super::super::session::Session;
use super::looking::Seen;
use crate::access::{self, APPROVAL_TTL_MS, NewApproval, Verb};
use crate::budget::UsageReport;
use crate::catalog::Tx;
use crate::change::{self, Author, ChangeError, Done, Expected, Step};
use crate::id::{RelPath, Seq, VersionId};
use crate::journal::{EventKind, NewEvent, Outcome};
use crate::tasks::{self, MAX_FILE_BYTES, Mishap, Next, Note, Queue, TaskRow, TaskState};

/// The gate's name of a task that waits for a person.
const GATE: &str = "on_trouble";

/// Where a task goes.
pub(super) struct Passing<'a> {
    /// As it is.
    pub seen: &'a Seen,
    /// As it shall be; its path follows from queue and state.
    pub after: TaskRow,
    /// Where it goes.
    pub queue: Queue,
    /// For the audit log.
    pub action: &'static str,
    /// For the audit log.
    pub verb: Verb,
    /// What allows it.
    pub rule: &'a str,
    /// What subscribers are told.
    pub event: EventKind,
    /// In whose words.
    pub reason: Option<&'a str>,
    /// Whether the file says what became of it; what a reviewer adds.
    pub rewrites: bool,
    /// What a reviewer says.
    pub note: Option<Note<'a>>,
    /// Whose locks do not bind: those of a worker whom the task is taken from.
    pub lifts: Option<&'a str>,
    /// What changes beside the task's own file.
    pub steps: Vec<Step<'a>>,
    /// What its worker says that it took.
    pub usage: Option<UsageReport>,
}

/// A trouble, as whoever meets it tells it.
pub(super) struct Trouble<'a> {
    pub mishap: Mishap,
    pub reason: &'a str,
    /// For the history.
    pub what: &'static str,
    pub action: &'static str,
    pub verb: Verb,
    pub rule: &'a str,
    /// What subscribers are told, unless the task is given up.
    pub event: EventKind,
    pub note: Option<Note<'a>>,
    /// What the attempt took.
    pub usage: Option<UsageReport>,
}

/// A task as it is now, and the place of what was told of it; nothing where somebody was faster.
pub(super) type Passed = Option<(TaskRow, Seq)>;

/// What the transaction adds; it may refuse.
pub(super) type InTx<'a> = &'a mut dyn FnMut(&Tx<'_>, &mut TaskRow) -> std::result::Result<(), ChangeError>;

impl Session {
    /// Where a task of this spot goes by default: it stays in its queue.
    pub(super) fn queue_of(seen: &Seen) -> Queue {
        tasks::spot(&seen.workspace.row.name, &seen.row.path).map_or(Queue::Tasks, |spot| spot.queue)
    }

    /// Takes a task on, with file, row, event and audit record in one transaction. `None`: somebody was faster, and
    /// nothing has happened.
    pub(super) fn pass_on(&self, passing: Passing<'_>, in_tx: InTx<'_>) -> Result<Passed> {
        let Passing { seen, mut after, queue, rewrites, note, steps, .. } = passing;
        after.path = self.free_path(seen, &queue, after.state)?;
        let (mut told, full) = (Seq(0), seen.full(&after.path));
        let is_move = after.path != seen.row.path;
        let approved_by = if is_move { self.pass_gate(passing.action, passing.verb, &full)? } else { None };
        let own = self.file_steps(seen, &after, rewrites, note, approved_by.as_deref())?;
        let steps: Vec<Step<'_>> = steps.into_iter().chain(own).collect();
        let policy = self.engine.policy();
        let lifts = passing.lifts;
        let author = Author {
            principal: &self.actor.principal,
            approved_by: approved_by.as_deref(),
            fence: None,
            trace: Some(self.cause()),
            may_write: &|principal, path| {
                lifts != Some(principal) && access::may_write(&policy, principal, path)
            },
        };
        let mut act = |tx: &Tx<'_>, done: &[Done]| {
            let now = tx.task(&seen.row.id)?;
            if now.is_none_or(|now| now.revision != seen.row.revision) {
                return Err(ChangeError::Missing { path: seen.path() });
            }
            if let Some(done) = done.iter().find(|done| done.path == full) {
                (after.version, after.size_bytes) = (done.after.unwrap_or(after.version), done.size_bytes);
            }
            in_tx(tx, &mut after)?;
            self.count_usage(tx, &mut after, passing.usage)?;
            tx.put_task(&mut after)?;
            told = self.tell(tx, passing.event, &after, passing.reason)?;
            for done in done.iter().filter(|done| done.path != full && done.after.is_some()) {
                let version = done.after.map(|version| version.to_string()).unwrap_or_default();
                self.record_in(tx, passing.action, passing.verb, &done.path, &version, passing.rule)?;
            }
            let version = after.version.to_string();
            self.record_in(tx, passing.action, passing.verb, &full, &version, passing.rule)
        };
        let outcome = if steps.is_empty() {
            self.engine.catalog.write(|tx| act(tx, &[]))
        } else {
            change::execute(steps, author, &mut act).map(drop)
        };
        // Also where it was refused: what another program did there was taken in before.
        self.engine.wake(&seen.workspace.row.name);
        match outcome {
            Ok(()) => Ok(Some((after, told))),
            // The file has moved on, or its new name was taken in between: whoever asks looks again.
            Err(
                ChangeError::VersionConflict { .. }
                | ChangeError::Missing { .. }
                | ChangeError::Exists { .. },
            ) => Ok(None),
            Err(error) => Err(self.without_hidden_name(error.into())),
        }
    }

    /// Settles what was reserved for a task where it ends; what its worker took without that counts against the worker.
    fn count_usage(
        &self,
        tx: &Tx<'_>,
        after: &mut TaskRow,
        usage: Option<UsageReport>,
    ) -> std::result::Result<(), ChangeError> {
        let (now_ms, is_ok) = (self.now_ms(), matches!(after.state, TaskState::Done | TaskState::Review));
        let is_counted = tasks::settle_reserved(tx, after, usage, now_ms)?;
        if let Some(usage) = usage.filter(|_| !is_counted) {
            self.spend_in(tx, usage, is_ok, now_ms)?;
        }
        Ok(())
    }

    fn tell(
        &self,
        tx: &Tx<'_>,
        kind: EventKind,
        row: &TaskRow,
        reason: Option<&str>,
    ) -> std::result::Result<Seq, ChangeError> {
        let mut data = row.told(reason);
        if kind == EventKind::TaskCompleted {
            data["artifacts"] = serde_json::json!(row.artifacts);
        }
        Ok(tx.append_event(&NewEvent {
            kind,
            workspace: row.workspace,
            path: row.path.as_str(),
            data: Some(&data.to_string()),
            actor: &self.actor.principal,
            trace: Some(self.cause()),
            occurred_ms: self.now_ms(),
        })?)
    }

    /// Where a task's file goes: under its own name, or, where another task of that name ended there before, with its id
    /// beside it.
    fn free_path(&self, seen: &Seen, queue: &Queue, state: TaskState) -> Result<RelPath> {
        let name = seen.row.path.file_name();
        let path = queue.path(state, name);
        if path == seen.row.path || !seen.workspace.tree.is_taken(&path)? {
            return Ok(path);
        }
        let id = &seen.row.id;
        let named = match name.rsplit_once('.').filter(|(stem, _)| !stem.is_empty()) {
            Some((stem, ending)) => format!("{stem}.{id}.{ending}"),
            None => format!("{name}.{id}"),
        };
        Ok(queue.path(state, &named))
    }

    /// Who lets a task's file through the gate before its new place; `None` where there is none. Nothing waits here: who may
    /// not pass a gate takes no task through it.
    pub(in crate::api) fn pass_gate(
        &self,
        action: &'static str,
        verb: Verb,
        full: &str,
    ) -> Result<Option<String>> {
        let policy = self.engine.policy();
        let Some(gate) = policy.gate(Verb::Write, full) else { return Ok(None) };
        if self.decide(Verb::Approve, full).allowed {
            return Ok(Some(self.actor.principal.clone()));
        }
        self.record(action, verb, full, "", Outcome::Denied, &gate.id)?;
        let principal = self.actor.principal.clone();
        Err(Error::Forbidden { principal, verb: "approve", path: full.to_owned() })
    }

    /// What brings the file to its new place, and what became of the task into it.
    fn file_steps<'a>(
        &'a self,
        seen: &'a Seen,
        after: &TaskRow,
        rewrites: bool,
        note: Option<Note<'_>>,
        approved_by: Option<&str>,
    ) -> Result<Vec<Step<'a>>> {
        let place = self.engine.place(&seen.workspace);
        let (from, to) = (seen.row.path.clone(), after.path.clone());
        let is_move = from != to;
        let rewritten = if rewrites { self.rewritten(seen, after, note)? } else { None };
        let Some((version, bytes)) = rewritten else {
            let (expected, approved_by) = (Expected::Present, approved_by.map(str::to_owned));
            let step = Step::Move { place, from, expected, to, approved_by };
            return Ok(if is_move { vec![step] } else { Vec::new() });
        };
        let prepared = change::prepare(&place, &to, &bytes, approved_by)?;
        let as_read = Expected::OneOf(vec![version]);
        if !is_move {
            return Ok(vec![Step::Put { place, path: to, expected: as_read, prepared, from: None }]);
        }
        let (from_full, to_full) = (seen.full(&from), seen.full(&to));
        // The old file goes first: a kill in between leaves the new one aside, where it is found again. The other way round
        // both would stay, and be two tasks.
        Ok(vec![
            Step::Remove { place, path: from, expected: as_read, to: Some(to_full) },
            Step::Put { place, path: to, expected: Expected::Absent, prepared, from: Some(from_full) },
        ])
    }

    fn rewritten(
        &self,
        seen: &Seen,
        after: &TaskRow,
        note: Option<Note<'_>>,
    ) -> Result<Option<(VersionId, Vec<u8>)>> {
        if seen.row.size_bytes > MAX_FILE_BYTES as u64 {
            return Ok(None);
        }
        let Some((bytes, _)) = seen.workspace.tree.read(&seen.row.path, u64::MAX)? else { return Ok(None) };
        let rewritten = tasks::rewrite(&bytes, after, note);
        Ok(rewritten.map(|rewritten| (VersionId::of(&bytes), rewritten)))
    }

    /// Does what a task's spec says about a trouble. `None`: somebody was faster.
    pub(super) fn meet_trouble(&self, seen: &Seen, trouble: &Trouble<'_>) -> Result<Passed> {
        let (row, now_ms) = (&seen.row, self.now_ms());
        let next = tasks::after_trouble(&row.spec, row.attempts, row.troubles, trouble.mishap);
        let mut after = row.clone();
        let mut queue = Self::queue_of(seen);
        after.troubles += 1;
        after.last_error = Some(trouble.reason.to_owned());
        after.note(now_ms, &self.actor.principal, trouble.what, Some(trouble.reason));
        match &next {
            Next::Again { delay_ms, to } => {
                after.state = TaskState::Pending;
                after.not_before_ms = now_ms.saturating_add(i64::try_from(*delay_ms).unwrap_or(i64::MAX));
                if let Some(to) = to {
                    after.note(now_ms, &self.actor.principal, "reassigned", Some(to));
                    after.spec.to = Some(to.clone());
                    queue = queue_for(seen, queue, to);
                }
            }
            Next::Human => {
                after.state = TaskState::Waiting;
                after.not_before_ms = now_ms.saturating_add(APPROVAL_TTL_MS);
            }
            Next::Failed => after.state = TaskState::Failed,
        }
        let is_over = after.state == TaskState::Failed;
        let passing = Passing {
            seen,
            after,
            queue,
            action: trouble.action,
            verb: trouble.verb,
            rule: trouble.rule,
            event: if is_over { EventKind::TaskFailed } else { trouble.event },
            reason: Some(trouble.reason),
            rewrites: true,
            note: trouble.note,
            lifts: None,
            steps: Vec::new(),
            usage: trouble.usage,
        };
        self.pass_on(passing, &mut |tx, after| {
            tasks::drop_lease(tx, after)?;
            if after.state == TaskState::Waiting {
                after.approval = Some(self.ask_person(tx, seen, after, trouble.reason)?);
            }
            Ok(())
        })
    }

    /// Leaves a task to whoever may approve at its path; its worker counts as who asks, for nobody decides about work of
    /// their own.
    fn ask_person(
        &self,
        tx: &Tx<'_>,
        seen: &Seen,
        row: &TaskRow,
        reason: &str,
    ) -> std::result::Result<String, ChangeError> {
        let path = seen.full(&row.path);
        let act = GatedAct::Task {
            task: row.id.clone(),
            path: path.clone(),
            version: row.version,
            attempts: row.attempts,
            reason: reason.to_owned(),
        };
        let act = serde_json::to_string(&act).expect("names and hashes can be written");
        let id = fresh_id("ap");
        let requester = row.worker.as_deref().unwrap_or(&self.actor.principal);
        let new = NewApproval { requester, gate: GATE, path: &path, act: &act, id: &id };
        let waiting = tx.request_approval(&new, self.now_ms())?;
        let data = serde_json::json!({"approval": waiting, "task_id": row.id}).to_string();
        tx.append_event(&NewEvent {
            kind: EventKind::ApprovalRequested,
            workspace: row.workspace,
            path: row.path.as_str(),
            data: Some(&data),
            actor: &self.actor.principal,
            trace: Some(self.cause()),
            occurred_ms: self.now_ms(),
        })?;
        Ok(waiting)
    }
}

/// A task of an inbox goes to the inbox of whom it is for now.
fn queue_for(seen: &Seen, queue: Queue, to: &str) -> Queue {
    match (&queue, to.strip_prefix("agent:")) {
        (Queue::Inbox { .. }, Some(agent)) => Queue::inbox(&seen.workspace.row.name, agent),
        _ => queue,
    }
}

/// The error of who comes too late: the lease ran out, was given back, or is another one's.
pub(super) fn late(fence: u64) -> Error {
    Error::Store(crate::store::StoreError::LockExpired { lock: format!("fence {fence}") })
}
