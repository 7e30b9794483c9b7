use super::super::approvals::read_act;
use super::super::error::{Error, Result};
use super::super::session::Session;
use super::ending::MAX_TRIES;
use super::info::TaskInfo;
use super::looking::Seen;
use super::passing::{Passed, Passing, Trouble, late};
use crate::access::{Approval, ApprovalState, Verb};
use crate::change::ChangeError;
use crate::journal::{EventKind, NewEvent, Outcome};
use crate::tasks::{self, Mishap, Note, TaskError, TaskRow, TaskState};

impl Session {
    /// Accepts what was done. A `fence` is held against that of whoever has the task, where somebody has.
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::Forbidden`]: it takes `approve` on the task's path, or to be its creator;
    /// [`TaskError::OwnWork`]; [`TaskError::WrongState`]; [`crate::store::StoreError::LockExpired`] for another fence.
    pub fn accept_task(&self, id: &str, fence: Option<u64>) -> Result<TaskInfo> {
        let action = "task.accept";
        self.until_done(id, action, &|seen| {
            self.check_fence(seen, fence)?;
            self.check_state(seen, &[TaskState::Review], "review")?;
            let rule = self.check_reviewer(action, seen)?;
            let mut after = seen.row.clone();
            after.state = TaskState::Done;
            after.note(self.now_ms(), &self.actor.principal, "accepted", None);
            let passing = self.plain_passing(seen, after, action, &rule, EventKind::TaskCompleted);
            self.pass_on(passing, &mut |_, _| Ok(()))
        })
    }

    /// Sends a task back that was done, with the reason. Once it was accepted that stands.
    ///
    /// # Errors
    /// As [`Self::accept_task`]; [`Error::Invalid`] without a reason.
    pub fn reject_task(&self, id: &str, fence: Option<u64>, reason: &str) -> Result<TaskInfo> {
        let action = "task.reject";
        if reason.trim().is_empty() {
            let refused = Error::Invalid {
                field: "reason",
                found: "empty".to_owned(),
                expected: "what has to be better: the next worker reads it in the file".to_owned(),
            };
            return self.note_failure(action, Verb::Approve, id, Err(refused));
        }
        self.until_done(id, action, &|seen| {
            self.check_fence(seen, fence)?;
            self.check_state(
                seen,
                &[TaskState::Review, TaskState::Done],
                "review, or done without a review",
            )?;
            check_not_accepted(seen)?;
            let rule = self.check_reviewer(action, seen)?;
            let note = Note { by: &self.actor.principal, text: reason, at_ms: self.now_ms() };
            let trouble = Trouble {
                mishap: Mishap::Rejection,
                reason,
                what: "rejected",
                action,
                verb: Verb::Approve,
                rule: &rule,
                event: EventKind::TaskRejected,
                note: Some(note),
                usage: None,
            };
            self.meet_trouble(seen, &trouble)
        })
    }

    /// Gives a task up, whoever has it.
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::Forbidden`]: it takes to be its creator, or `delete` on its path;
    /// [`TaskError::WrongState`].
    pub fn cancel_task(&self, id: &str, reason: &str) -> Result<TaskInfo> {
        let action = "task.cancel";
        let open = [TaskState::Pending, TaskState::Waiting, TaskState::InProgress, TaskState::Review];
        self.until_done(id, action, &|seen| {
            self.check_state(seen, &open, "not ended yet")?;
            let decision = self.decide(Verb::Delete, &seen.path());
            if !decision.allowed && seen.row.creator != self.actor.principal {
                return Err(self.deny_task(action, Verb::Delete, seen, &decision.rule)?);
            }
            let rule = if decision.allowed { decision.rule } else { "creator".to_owned() };
            let mut after = seen.row.clone();
            after.state = TaskState::Failed;
            after.last_error = Some(reason.to_owned());
            after.note(self.now_ms(), &self.actor.principal, "cancelled", Some(reason));
            let mut passing = self.plain_passing(seen, after, action, &rule, EventKind::TaskFailed);
            passing.reason = Some(reason);
            passing.rewrites = true;
            passing.lifts = seen.row.lease.as_ref().map(|lease| lease.holder.as_str());
            self.pass_on(passing, &mut |tx, after| {
                if let Some(approval) = after.approval.take() {
                    let by = &self.actor.principal;
                    tx.decide_approval(&approval, ApprovalState::Stale, by, Some(reason), self.now_ms())?;
                }
                Ok(tasks::drop_lease(tx, after)?)
            })
        })
    }

    fn plain_passing<'a>(
        &self,
        seen: &'a Seen,
        after: TaskRow,
        action: &'static str,
        rule: &'a str,
        event: EventKind,
    ) -> Passing<'a> {
        let verb = if action == "task.cancel" { Verb::Delete } else { Verb::Approve };
        Passing {
            seen,
            after,
            queue: Self::queue_of(seen),
            action,
            verb,
            rule,
            event,
            reason: None,
            rewrites: false,
            note: None,
            lifts: None,
            steps: Vec::new(),
            usage: None,
        }
    }

    /// Looks and acts again where somebody was faster.
    fn until_done(
        &self,
        id: &str,
        action: &'static str,
        act: &dyn Fn(&Seen) -> Result<Passed>,
    ) -> Result<TaskInfo> {
        for _ in 0..MAX_TRIES {
            self.engine.adopt_tasks()?;
            let seen = self.find_task(action, id)?;
            let done = self.note_failure(action, Verb::Write, &seen.path(), act(&seen))?;
            if let Some((row, seq)) = done {
                return self.task_reply(&seen, row, seq);
            }
        }
        Err(TaskError::Busy { task: id.to_owned() }.into())
    }

    fn check_state(&self, seen: &Seen, expected: &[TaskState], named: &'static str) -> Result<()> {
        if expected.contains(&seen.row.state) {
            return Ok(());
        }
        let (task, state) = (seen.row.id.clone(), seen.row.state.as_str());
        Err(TaskError::WrongState { task, state, expected: named }.into())
    }

    /// A fence counts as long as somebody has the task.
    fn check_fence(&self, seen: &Seen, fence: Option<u64>) -> Result<()> {
        let held = seen.row.lease.as_ref().filter(|lease| lease.expires_ms > self.now_ms());
        match fence.zip(held) {
            Some((fence, lease)) if lease.fence != fence => Err(late(fence)),
            _ => Ok(()),
        }
    }

    /// What lets somebody judge a task: `approve` on its path, or that it is theirs; never their own work.
    fn check_reviewer(&self, action: &'static str, seen: &Seen) -> Result<String> {
        let decision = self.decide(Verb::Approve, &seen.path());
        if !decision.allowed && seen.row.creator != self.actor.principal {
            return Err(self.deny_task(action, Verb::Approve, seen, &decision.rule)?);
        }
        // The home's owner has nobody above to ask.
        if seen.row.worker.as_deref() == Some(&self.actor.principal) && !self.actor.is_owner {
            return Err(TaskError::OwnWork { task: seen.row.id.clone() }.into());
        }
        Ok(if decision.allowed { decision.rule } else { "creator".to_owned() })
    }

    fn deny_task(&self, action: &'static str, verb: Verb, seen: &Seen, rule: &str) -> Result<Error> {
        self.record(action, verb, &seen.path(), "", Outcome::Denied, rule)?;
        let (principal, path) = (self.actor.principal.clone(), seen.path());
        Ok(Error::Forbidden { principal, verb: verb.as_str(), path })
    }

    /// Decides about a task that waits for a person: it goes on, or is given up. Exactly one decision counts.
    ///
    /// # Errors
    /// [`Error::ApprovalClosed`] where the task does not wait for this any more.
    pub(in crate::api) fn decide_task(
        &self,
        approval: &Approval,
        grant: bool,
        reason: Option<&str>,
        rule: &str,
    ) -> Result<()> {
        self.engine.adopt_tasks()?;
        let closed = |state| Error::ApprovalClosed { approval: approval.id.clone(), state };
        let act = read_act(approval)?;
        let row = act.task().map(|id| tasks::task(&self.engine.catalog, id)).transpose()?.flatten();
        let row = row
            .filter(|row| row.state == TaskState::Waiting && row.approval.as_deref() == Some(&approval.id));
        let workspace = row.as_ref().and_then(|row| self.engine.workspace_numbered(row.workspace));
        let Some((row, workspace)) = row.zip(workspace) else {
            self.close_approval(approval, ApprovalState::Stale, Some("the task has moved on"))?;
            return Err(closed("stale"));
        };
        let seen = Seen { row, workspace };
        let mut after = seen.row.clone();
        (after.approval, after.not_before_ms) = (None, 0);
        let (action, what) = if grant { ("approval.grant", "granted") } else { ("approval.deny", "denied") };
        after.state = if grant { TaskState::Pending } else { TaskState::Failed };
        after.note(self.now_ms(), &self.actor.principal, what, reason);
        let event = if grant { EventKind::TaskCreated } else { EventKind::TaskFailed };
        let mut passing = self.plain_passing(&seen, after, action, rule, event);
        (passing.reason, passing.rewrites) = (reason, true);
        let passed = self.pass_on(passing, &mut |tx, after| {
            let (by, now_ms) = (&self.actor.principal, self.now_ms());
            let state = if grant { ApprovalState::Granted } else { ApprovalState::Denied };
            if !tx.decide_approval(&approval.id, state, by, reason, now_ms)? {
                return Err(ChangeError::Missing { path: approval.path.clone() });
            }
            let kind = if grant { EventKind::ApprovalGranted } else { EventKind::ApprovalDenied };
            let data = serde_json::json!({"approval": approval.id, "task_id": after.id}).to_string();
            tx.append_event(&NewEvent {
                kind,
                workspace: after.workspace,
                path: after.path.as_str(),
                data: Some(&data),
                actor: by,
                trace: Some(self.cause()),
                occurred_ms: now_ms,
            })?;
            Ok(())
        })?;
        passed.map(drop).ok_or_else(|| closed("decided"))
    }
}

/// What has to be accepted is done only once it is.
fn check_not_accepted(seen: &Seen) -> Result<()> {
    if seen.row.state != TaskState::Done || !seen.row.spec.review {
        return Ok(());
    }
    let expected = "one in review; make a new task for what is missing, or move its file back to `pending`";
    Err(TaskError::WrongState { task: seen.row.id.clone(), state: "done and accepted", expected }.into())
}
