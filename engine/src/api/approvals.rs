use serde::{Deserialize, Serialize};

use super::error::{Error, Result};
use super::keys::fresh_id;
use super::replies::{ApprovalInfo, WriteReply};
use super::session::Session;
use super::sites::{Site, absent_file};
use crate::access::{self, Actor, Approval, ApprovalState, Decision, Limits, NewApproval, Target, Verb};
use crate::catalog::Tx;
use crate::change::{self, Author, ChangeError, Done, Expected, Step};
use crate::clock::rfc3339;
use crate::id::{VersionId, split_path};
use crate::journal::{EventKind, NewEvent, Outcome};
use crate::registry::ToolId;
use crate::store::Staged;
use crate::trace::Evidence;

/// What waits, with the versions that were shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "act", rename_all = "lowercase")]
pub(super) enum GatedAct {
    /// These bytes over what stands there.
    Write { path: String, version: VersionId, expected: Option<VersionId> },
    /// This file to there.
    Move { from: String, version: VersionId, to: String },
    /// These bytes to there.
    Copy { from: String, version: VersionId, to: String },
    /// This file goes.
    Delete { path: String, version: VersionId },
    /// This task goes on, after a trouble; it is given up where that is denied.
    Task { task: String, path: String, version: VersionId, attempts: u32, reason: String },
    /// This trace goes on, although agents went in circles; it ends where that is denied.
    Trace {
        trace: String,
        /// Who began it: the id alone may name several.
        root: String,
        path: String,
        from: String,
        to: String,
        reason: String,
        evidence: Option<Evidence>,
    },
    /// What a person decides about this path, as it stands; nothing happens by itself.
    Request { path: String, version: Option<VersionId>, reason: String },
    /// This tool is used as it says now; it stays set aside where that is denied.
    Tool { tool: ToolId, hash: String, reason: String },
}

impl GatedAct {
    /// The bytes that it is about.
    pub(super) fn version(&self) -> Option<VersionId> {
        match self {
            Self::Write { version, .. }
            | Self::Move { version, .. }
            | Self::Copy { version, .. }
            | Self::Delete { version, .. }
            | Self::Task { version, .. } => Some(*version),
            Self::Request { version, .. } => *version,
            Self::Trace { .. } | Self::Tool { .. } => None,
        }
    }

    /// Who has to have `approve` on what is decided about: a path, or a tool.
    fn kind(&self) -> Target {
        if matches!(self, Self::Tool { .. }) { Target::Tool } else { Target::Path }
    }

    /// The task that it is about.
    pub(super) fn task(&self) -> Option<&str> {
        if let Self::Task { task, .. } = self { Some(task) } else { None }
    }

    /// What its requester must be allowed for it to happen, and who lets it through a gate: verbs and paths.
    fn sites(&self) -> Vec<(Verb, &str)> {
        match self {
            Self::Write { path, .. } => vec![(Verb::Write, path)],
            Self::Move { from, to, .. } => vec![(Verb::Write, to), (Verb::Delete, from)],
            Self::Copy { to, .. } => vec![(Verb::Write, to)],
            Self::Delete { path, .. } => vec![(Verb::Delete, path)],
            Self::Task { .. } | Self::Trace { .. } | Self::Request { .. } | Self::Tool { .. } => Vec::new(),
        }
    }

    /// Whether the engine asks, and not its requester, who therefore can't take it back.
    pub(super) fn is_of_the_house(&self) -> bool {
        matches!(self, Self::Task { .. } | Self::Trace { .. })
    }

    /// Whose bytes it shows.
    fn shown_paths(&self) -> Vec<&str> {
        match self {
            Self::Write { path, .. }
            | Self::Delete { path, .. }
            | Self::Task { path, .. }
            | Self::Trace { path, .. }
            | Self::Request { path, .. } => vec![path],
            Self::Move { from, to, .. } | Self::Copy { from, to, .. } => vec![from, to],
            Self::Tool { .. } => Vec::new(),
        }
    }

    /// Where it takes effect.
    fn target(&self) -> &str {
        match self {
            Self::Write { path, .. }
            | Self::Delete { path, .. }
            | Self::Task { path, .. }
            | Self::Trace { path, .. }
            | Self::Request { path, .. } => path,
            Self::Move { to, .. } | Self::Copy { to, .. } => to,
            Self::Tool { tool, .. } => tool.as_str(),
        }
    }

    fn verb(&self) -> Verb {
        match self {
            Self::Delete { .. } => Verb::Delete,
            Self::Request { .. } => Verb::Read,
            Self::Tool { .. } => Verb::Approve,
            _ => Verb::Write,
        }
    }

    fn action(&self) -> &'static str {
        match self {
            Self::Write { .. } => "file.write",
            Self::Move { .. } => "file.move",
            Self::Copy { .. } => "file.copy",
            Self::Delete { .. } => "file.delete",
            Self::Task { .. } => "task.resume",
            Self::Trace { .. } => "trace.resume",
            Self::Request { .. } => "approval.request",
            Self::Tool { .. } => "tool.approve",
        }
    }
}

impl Session {
    /// Leaves an act to wait, and gives the error that says so.
    pub(super) fn ask_approval(
        &self,
        action: &'static str,
        act: &GatedAct,
        gate: &str,
        site: &Site,
        staged: Option<&Staged>,
    ) -> Result<Error> {
        let text = serde_json::to_string(act).expect("names and hashes can be written");
        let id = fresh_id("ap");
        let new =
            NewApproval { requester: &self.actor.principal, gate, path: &site.full, act: &text, id: &id };
        let approval = self.engine.catalog.write(|tx| -> std::result::Result<String, ChangeError> {
            if let Some(staged) = staged {
                tx.put_blob(staged)?;
            }
            let waiting = tx.request_approval(&new, self.now_ms())?;
            if waiting == id {
                self.append_approval_event(tx, EventKind::ApprovalRequested, &waiting, site)?;
            }
            Ok(waiting)
        })?;
        let version = act.version().map(|version| version.to_string()).unwrap_or_default();
        self.record(action, act.verb(), &site.full, &version, Outcome::Pending, gate)?;
        Ok(Error::ApprovalRequired { path: site.full.clone(), approval })
    }

    pub(super) fn append_approval_event(
        &self,
        tx: &Tx<'_>,
        kind: EventKind,
        approval: &str,
        site: &Site,
    ) -> std::result::Result<(), ChangeError> {
        let data = serde_json::json!({"approval": approval}).to_string();
        tx.append_event(&NewEvent {
            kind,
            workspace: site.workspace.row.id,
            path: site.path.as_str(),
            data: Some(&data),
            actor: &self.actor.principal,
            trace: Some(self.cause()),
            occurred_ms: self.now_ms(),
        })?;
        Ok(())
    }

    /// The approvals that this principal asked for or may decide, newest first.
    ///
    /// # Errors
    /// Where the catalog can't be read.
    pub fn approvals(&self, state: Option<ApprovalState>) -> Result<Vec<ApprovalInfo>> {
        let all = access::approvals(&self.engine.catalog)?;
        self.record("approval.list", Verb::Approve, "/", "", Outcome::Allowed, "scope")?;
        let seen = all.into_iter().filter(|approval| self.may_see(approval));
        seen.map(|approval| self.show_approval(approval))
            .filter(|info| state.is_none_or(|state| info.as_ref().is_ok_and(|info| info.state == state)))
            .collect()
    }

    /// One approval, with what would change.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub fn approval(&self, id: &str) -> Result<ApprovalInfo> {
        let approval = self.find_approval(id)?;
        self.record("approval.read", Verb::Approve, &approval.path, "", Outcome::Allowed, "scope")?;
        self.show_approval(approval)
    }

    fn find_approval(&self, id: &str) -> Result<Approval> {
        let absent = || Error::NotFound { what: "approval", name: id.chars().take(80).collect() };
        let all = access::approvals(&self.engine.catalog)?;
        let found =
            all.into_iter().find(|approval| approval.id == id).filter(|approval| self.may_see(approval));
        self.note_failure("approval.read", Verb::Approve, id, found.ok_or_else(absent))
    }

    fn may_see(&self, approval: &Approval) -> bool {
        let act = read_act(approval);
        if act.as_ref().is_ok_and(|act| act.kind() == Target::Tool) {
            return self.may_approve(Target::Tool, &approval.path).allowed;
        }
        let may_ask = |act: GatedAct| self.decide(act.verb(), act.target()).allowed;
        (approval.requester == self.actor.principal && act.is_ok_and(may_ask))
            || self.decide(Verb::Approve, &approval.path).allowed
    }

    fn may_approve(&self, target: Target, name: &str) -> Decision {
        self.actor.decide(&self.engine.policy(), Verb::Approve, target, name)
    }

    fn show_approval(&self, approval: Approval) -> Result<ApprovalInfo> {
        let act: GatedAct = read_act(&approval)?;
        // Who may not read there is not told what stands there.
        let may_read = act.shown_paths().into_iter().all(|path| self.decide(Verb::Read, path).allowed);
        let mut shown: serde_json::Value = serde_json::from_str(&approval.act).unwrap_or_default();
        if let Some(fields) = shown.as_object_mut().filter(|_| !may_read) {
            fields.remove("expected");
            fields.remove("reason");
        }
        // Who went in circles with whom is for whoever decides about it.
        if let Some(fields) =
            shown.as_object_mut().filter(|_| !self.decide(Verb::Approve, &approval.path).allowed)
        {
            fields.remove("evidence");
        }
        let has_run_out = approval.state == ApprovalState::Pending && approval.expires_ms <= self.now_ms();
        Ok(ApprovalInfo {
            state: if has_run_out { ApprovalState::Stale } else { approval.state },
            id: approval.id,
            requester: approval.requester,
            // What somebody asked of their own accord waits at none.
            gate: if matches!(act, GatedAct::Request { .. }) { String::new() } else { approval.gate },
            path: approval.path,
            act: shown,
            diff: if may_read { self.preview(&act)? } else { None },
            created_at: rfc3339(approval.created_ms),
            expires_at: rfc3339(approval.expires_ms),
            decided_at: approval.decided_ms.map(rfc3339),
            decided_by: approval.decided_by,
            reason: approval.reason,
        })
    }

    /// What a write would change, as far as both sides are text.
    fn preview(&self, act: &GatedAct) -> Result<Option<String>> {
        const MAX_PREVIEW_BYTES: usize = 64 << 10;
        let text = |version: Option<VersionId>| -> Result<Option<String>> {
            let Some(version) = version else { return Ok(Some(String::new())) };
            Ok(self.engine.blobs.get(version)?.and_then(|bytes| String::from_utf8(bytes).ok()))
        };
        let (path, before, after) = match act {
            GatedAct::Write { path, version, expected } => (path, *expected, Some(*version)),
            GatedAct::Move { to, version, .. } | GatedAct::Copy { to, version, .. } => {
                (to, None, Some(*version))
            }
            GatedAct::Delete { path, version } => (path, Some(*version), None),
            GatedAct::Task { .. } | GatedAct::Trace { .. } | GatedAct::Request { .. } => return Ok(None),
            GatedAct::Tool { tool, hash, .. } => return Ok(self.engine.toolbox.difference(tool, hash)),
        };
        Ok(match (text(before)?, text(after)?) {
            (Some(before), Some(after)) if before.len() + after.len() <= MAX_PREVIEW_BYTES => {
                Some(super::files::unified_diff(&before, &after, path))
            }
            _ => None,
        })
    }

    /// Lets an act through, or not. A granted act happens at once and exactly once, as of the versions that were shown,
    /// with the rights that its requester still has. Nobody decides about an act of their own.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Forbidden`], [`Error::ApprovalClosed`]; what the act itself gives: a version that has
    /// changed meanwhile closes the approval.
    pub fn decide_approval(&self, id: &str, grant: bool, reason: Option<&str>) -> Result<Option<WriteReply>> {
        let action = if grant { "approval.grant" } else { "approval.deny" };
        let approval = self.find_approval(id)?;
        let act = read_act(&approval)?;
        let decision = self.may_approve(act.kind(), &approval.path);
        // The home's owner has nobody above to ask about a trace.
        let is_own = approval.requester == self.actor.principal
            && !(self.actor.is_owner && matches!(act, GatedAct::Trace { .. }));
        if !decision.allowed || is_own {
            let rule = if is_own { "own_request" } else { &decision.rule };
            self.record(action, Verb::Approve, &approval.path, "", Outcome::Denied, rule)?;
            if is_own {
                return Err(Error::OwnRequest { approval: id.to_owned() });
            }
            return Err(Error::Forbidden {
                principal: self.actor.principal.clone(),
                verb: "approve",
                path: approval.path,
            });
        }
        let closed = |state: &'static str| Error::ApprovalClosed { approval: id.to_owned(), state };
        if approval.state != ApprovalState::Pending {
            return Err(closed(approval.state.as_str()));
        }
        if approval.expires_ms <= self.now_ms() {
            self.close_approval(&approval, ApprovalState::Stale, Some("it waited too long"))?;
            return Err(closed("stale"));
        }
        let decided = match &act {
            GatedAct::Task { .. } => Some(self.decide_task(&approval, grant, reason, &decision.rule)),
            GatedAct::Trace { .. } => {
                Some(self.decide_parked(&approval, &act, grant, reason, &decision.rule))
            }
            GatedAct::Request { version, .. } => {
                Some(self.decide_request(&approval, *version, grant, reason, &decision.rule))
            }
            GatedAct::Tool { tool, hash, .. } => {
                Some(self.decide_tool(tool, hash, Some(&approval), grant, reason))
            }
            _ => None,
        };
        if let Some(decided) = decided {
            return self.note_failure(action, Verb::Approve, &approval.path, decided.map(|()| None));
        }
        if !grant {
            self.close_approval(&approval, ApprovalState::Denied, reason)?;
            self.record(action, Verb::Approve, &approval.path, "", Outcome::Allowed, &decision.rule)?;
            return Ok(None);
        }
        match self.perform(&approval, &act, reason, &decision.rule) {
            Ok(done) => {
                let target = act.target();
                let reply = self.reply(target, done.iter().find(|done| done.path == target))?;
                Ok(Some(reply))
            }
            Err(error) => {
                let is_stale = matches!(
                    error,
                    Error::Change(
                        ChangeError::VersionConflict { .. }
                            | ChangeError::Missing { .. }
                            | ChangeError::Exists { .. }
                    ) | Error::NotFound { .. }
                        | Error::Forbidden { .. }
                );
                if is_stale {
                    self.close_approval(&approval, ApprovalState::Stale, Some(&error.to_string()))?;
                }
                let error = self.without_hidden_name(error);
                self.note_failure(action, Verb::Approve, &approval.path, Err(error))
            }
        }
    }

    /// Takes back what one asked for oneself.
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::Forbidden`] for requests of others that one may see, which are denied and not taken back;
    /// [`Error::ApprovalClosed`].
    pub fn withdraw_approval(&self, id: &str) -> Result<()> {
        let approval = self.find_approval(id)?;
        let is_own = approval.requester == self.actor.principal;
        // Who may decide about it denies it; who works or hands over did not ask for it, and can't spare a person the decision.
        if !is_own || read_act(&approval)?.is_of_the_house() {
            let verb = if is_own { "approve" } else { "withdraw" };
            let principal = self.actor.principal.clone();
            let refused = Error::Forbidden { principal, verb, path: approval.path };
            return self.note_failure("approval.withdraw", Verb::Approve, id, Err(refused));
        }
        self.close_approval(&approval, ApprovalState::Denied, Some("taken back"))?;
        self.record("approval.withdraw", Verb::Approve, &approval.path, "", Outcome::Allowed, "own_request")
    }

    pub(super) fn close_approval(
        &self,
        approval: &Approval,
        state: ApprovalState,
        reason: Option<&str>,
    ) -> Result<()> {
        let now_ms = self.now_ms();
        // A tool belongs to no workspace.
        let place = split_path(&approval.path).ok();
        let place = place.and_then(|(name, below)| Some((self.engine.workspace(&name)?, below)));
        let closed = self.engine.catalog.write(|tx| -> std::result::Result<bool, ChangeError> {
            let closed = tx.decide_approval(&approval.id, state, &self.actor.principal, reason, now_ms)?;
            let told = match state {
                ApprovalState::Denied => Some(EventKind::ApprovalDenied),
                ApprovalState::Granted => Some(EventKind::ApprovalGranted),
                ApprovalState::Pending | ApprovalState::Stale => None,
            };
            if let Some(((workspace, below), kind)) = place.as_ref().zip(told).filter(|_| closed) {
                let site = Site::bare(workspace, below, &approval.path);
                self.append_approval_event(tx, kind, &approval.id, &site)?;
            }
            Ok(closed)
        })?;
        if closed {
            return Ok(());
        }
        Err(Error::ApprovalClosed { approval: approval.id.clone(), state: "decided" })
    }

    /// Does what was approved: as its requester, through the gate by this principal.
    fn perform(
        &self,
        approval: &Approval,
        act: &GatedAct,
        reason: Option<&str>,
        rule: &str,
    ) -> Result<Vec<Done>> {
        let requester = Actor {
            principal: approval.requester.clone(),
            token: String::new(),
            is_owner: approval.requester == access::ADMIN,
            limits: Limits::default(),
        };
        let policy = self.engine.policy();
        for (verb, path) in act.sites() {
            let may = |verb| requester.decide(&policy, verb, Target::Path, path);
            let delete = may(Verb::Delete);
            // As for a move without a gate: `write` does for taking a file away, unless a rule forbids to delete it.
            let is_allowed = may(verb).allowed
                || (verb == Verb::Delete
                    && matches!(act, GatedAct::Move { .. })
                    && delete.rule == "default"
                    && may(Verb::Write).allowed);
            let may_read =
                !matches!(act, GatedAct::Move { .. }) || verb != Verb::Delete || may(Verb::Read).allowed;
            if !is_allowed || !may_read {
                let (principal, path) = (approval.requester.clone(), path.to_owned());
                return Err(Error::Forbidden { principal, verb: verb.as_str(), path });
            }
            if policy.gate(verb, path).is_some() && !self.decide(Verb::Approve, path).allowed {
                let (principal, path) = (self.actor.principal.clone(), path.to_owned());
                return Err(Error::Forbidden { principal, verb: "approve", path });
            }
        }
        if let GatedAct::Copy { from, .. } = act
            && !requester.decide(&policy, Verb::Read, Target::Path, from).allowed
        {
            let (principal, path) = (approval.requester.clone(), from.clone());
            return Err(Error::Forbidden { principal, verb: "read", path });
        }
        let target = act.target();
        let (name, below) = split_path(target)?;
        let absent = || absent_file(target);
        let workspace = self.engine.workspace(&name).ok_or_else(absent)?;
        let place = self.engine.place(&workspace);
        let by = Some(self.actor.principal.as_str());
        let put = |bytes: &[u8], expected: Expected, from: Option<String>| -> Result<Step<'_>> {
            let prepared = change::prepare(&place, &below, bytes, by)?;
            Ok(Step::Put { place, path: below.clone(), expected, prepared, from })
        };
        let source_of = |from: &str| -> Result<_> {
            let (name, below) = split_path(from)?;
            let absent = || absent_file(from);
            Ok((self.engine.workspace(&name).ok_or_else(absent)?, below))
        };
        let source;
        let kept = |version: VersionId| -> Result<Vec<u8>> {
            self.engine
                .blobs
                .get(version)?
                .ok_or_else(|| Error::NotFound { what: "version", name: version.to_string() })
        };
        let steps = match act {
            GatedAct::Write { version, expected, .. } => {
                let expected = expected.map_or(Expected::Absent, |version| Expected::OneOf(vec![version]));
                vec![put(&kept(*version)?, expected, None)?]
            }
            GatedAct::Copy { version, .. } => vec![put(&kept(*version)?, Expected::Absent, None)?],
            GatedAct::Delete { version, .. } => {
                let expected = Expected::OneOf(vec![*version]);
                vec![Step::Remove { place, path: below.clone(), expected, to: None }]
            }
            // They move no file by themselves; see `decide_task`, `decide_parked`, `decide_request` and `decide_tool`.
            GatedAct::Task { .. }
            | GatedAct::Trace { .. }
            | GatedAct::Request { .. }
            | GatedAct::Tool { .. } => Vec::new(),
            GatedAct::Move { from, version, .. } => {
                source = source_of(from)?;
                let (source, from_below) = (&source.0, source.1.clone());
                let expected = Expected::OneOf(vec![*version]);
                if source.row.id == workspace.row.id {
                    let approved_by = by.map(str::to_owned);
                    vec![Step::Move { place, from: from_below, expected, to: below.clone(), approved_by }]
                } else {
                    let here = self.engine.place(source);
                    let to = Some(target.to_owned());
                    let mut steps = vec![put(&kept(*version)?, Expected::Absent, Some(from.clone()))?];
                    steps.push(Step::Remove { place: here, path: from_below, expected, to });
                    steps
                }
            }
        };
        let author = Author {
            principal: &approval.requester,
            approved_by: by,
            fence: None,
            trace: Some(self.cause()),
            may_write: &|principal, path| access::may_write(&policy, principal, path),
        };
        let now_ms = self.now_ms();
        let done = change::execute(steps, author, &mut |tx, done| {
            // Spent in the same transaction: two who grant at once can't both make it happen.
            let by = &self.actor.principal;
            if !tx.decide_approval(&approval.id, ApprovalState::Granted, by, reason, now_ms)? {
                return Err(ChangeError::Missing { path: approval.id.clone() });
            }
            self.record_in(tx, "approval.grant", Verb::Approve, &approval.path, "", rule)?;
            let site = Site::bare(&workspace, &below, &approval.path);
            self.append_approval_event(tx, EventKind::ApprovalGranted, &approval.id, &site)?;
            done.iter().try_for_each(|done| {
                let version =
                    done.after.or(done.before).map(|version| version.to_string()).unwrap_or_default();
                self.record_in(tx, act.action(), act.verb(), &done.path, &version, &approval.gate)
            })
        });
        self.engine.wake(&name);
        Ok(done?)
    }
}

pub(super) fn read_act(approval: &Approval) -> Result<GatedAct> {
    serde_json::from_str(&approval.act).map_err(|_| Error::Invalid {
        field: "approval",
        found: format!("`{}`, whose act can't be read", approval.id),
        expected: "an act that this program wrote".to_owned(),
    })
}

/// What a pending act still needs: its bytes are kept from pruning.
pub(super) fn versions_waiting(all: &[Approval]) -> Vec<VersionId> {
    let waiting = all.iter().filter(|approval| approval.state == ApprovalState::Pending);
    waiting
        .filter_map(|approval| read_act(approval).ok())
        .flat_map(|act| match act {
            GatedAct::Write { version, expected, .. } => [Some(version), expected],
            other => [other.version(), None],
        })
        .flatten()
        .collect()
}
