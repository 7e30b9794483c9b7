use std::sync::{Arc, MutexGuard};

use super::engine::Engine;
use super::error::{Error, Result};
use super::keys::fresh_id;
use super::stopping::Stop;
use super::visible::Visible;
use super::workspace::OpenWorkspace;
use crate::access::{Actor, Decision, Scope, Target, Verb};
use crate::catalog::{FileRow, Tx};
use crate::change::ChangeError;
use crate::id::{RelPath, WorkspaceName, join_path, split_path};
use crate::index::FileSet;
use crate::journal::{Act, Cause, Outcome};
use crate::trace::read_traceparent;

/// What one principal does with the engine. Whatever it does is decided, done and recorded.
#[derive(Clone)]
pub struct Session {
    pub(super) engine: Arc<Engine>,
    pub(super) actor: Actor,
    pub(super) trace: String,
    /// Of the span in which it acts, where its trace is one of W3C Trace Context.
    pub(super) traceparent: Option<String>,
    /// Whether somebody gave the trace its name.
    pub(super) is_trace_named: bool,
    pub(super) stop: Stop,
}

/// Who a session stands for.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, schemars::JsonSchema)]
pub struct Principal {
    /// Such as `human:admin`.
    pub id: String,
    /// Whether it manages the home.
    pub admin: bool,
}

impl Session {
    pub(super) fn new(engine: Arc<Engine>, actor: Actor) -> Self {
        Self {
            engine,
            actor,
            trace: fresh_id("tr"),
            traceparent: None,
            is_trace_named: false,
            stop: Stop::default(),
        }
    }

    /// As part of a request that has a name already: it stands in journal and audit log.
    #[must_use]
    pub fn with_trace(mut self, trace: &str) -> Self {
        let trace: String = trace.chars().filter(|c| !c.is_control()).take(128).collect();
        if self.trace != trace {
            self.traceparent = None;
        }
        self.trace = trace;
        self.is_trace_named = true;
        self
    }

    /// As a part of the span that a `traceparent` (W3C Trace Context) names: whoever goes on with what is done here goes on
    /// with that. A session whose trace has got another name stays as it is.
    #[must_use]
    pub fn in_span(mut self, traceparent: &str) -> Self {
        let Some((trace, _)) = read_traceparent(traceparent) else { return self };
        if !self.is_trace_named || self.trace == trace {
            self.trace = trace.to_owned();
            self.traceparent = Some(traceparent.to_owned());
        }
        self
    }

    /// The name under which journal and audit log have what it does.
    pub fn trace_id(&self) -> &str {
        &self.trace
    }

    /// See [`Self::in_span`].
    pub fn traceparent(&self) -> Option<&str> {
        self.traceparent.as_deref()
    }

    /// What stands in the journal of the request that it acts for.
    pub(super) fn cause(&self) -> Cause<'_> {
        Cause { trace: &self.trace, traceparent: self.traceparent() }
    }

    /// Who this is.
    pub fn principal(&self) -> Principal {
        Principal { id: self.actor.principal.clone(), admin: self.is_admin() }
    }

    /// Who this is, by id alone.
    pub fn principal_id(&self) -> &str {
        &self.actor.principal
    }

    /// The token's public id; empty for whoever opened the home itself.
    pub fn token_id(&self) -> &str {
        &self.actor.token
    }

    /// Whether it manages the home.
    pub(super) fn is_admin(&self) -> bool {
        self.decide(Verb::Admin, "/").allowed
    }

    /// Whether a path may be read, be it there or not.
    pub fn may_read(&self, path: &str) -> bool {
        self.split(path, "file").is_ok() && self.decide(Verb::Read, path).allowed
    }

    /// The same as long as the same names may be listed, whatever there is of them.
    pub fn listable(&self) -> [u8; 32] {
        self.scope(Verb::List).name()
    }

    pub(super) fn now_ms(&self) -> i64 {
        self.engine.clock.now_ms()
    }

    pub(super) fn decide(&self, verb: Verb, path: &str) -> Decision {
        self.actor.decide(&self.engine.policy(), verb, Target::Path, path)
    }

    pub(super) fn scope(&self, verb: Verb) -> Scope {
        self.actor.scope(&self.engine.policy(), verb)
    }

    fn act(
        &self,
        action: &'static str,
        verb: Verb,
        path: &str,
        version: &str,
        outcome: Outcome,
        rule: &str,
    ) -> Act {
        // One path, one spelling: the log is searched by it. The id of a tool is no path.
        let is_tool = action.starts_with("tool.");
        let shown = split_path(path).map(|(name, below)| join_path(&name, &below));
        Act {
            principal: self.actor.principal.clone(),
            token: self.actor.token.clone(),
            action,
            verb: verb.as_str(),
            path: shown.ok().filter(|_| !is_tool).unwrap_or_else(|| path.chars().take(4096).collect()),
            version: version.to_owned(),
            outcome,
            rule: rule.to_owned(),
            trace: self.trace.clone(),
        }
    }

    /// Records that the holder of the token signed in to the console, or out of it.
    ///
    /// # Errors
    /// [`Error::AuditFull`] where the audit log can't be written.
    pub fn record_sign(&self, is_in: bool) -> Result<()> {
        let action = if is_in { "session.open" } else { "session.close" };
        self.record(action, Verb::Read, "/", "", Outcome::Allowed, "token")
    }

    /// Records an act that changes nothing.
    pub(super) fn record(
        &self,
        action: &'static str,
        verb: Verb,
        path: &str,
        version: &str,
        outcome: Outcome,
        rule: &str,
    ) -> Result<()> {
        self.engine.auditor.record(self.act(action, verb, path, version, outcome, rule), self.now_ms())
    }

    /// Records an act in the transaction of its change.
    pub(super) fn record_in(
        &self,
        tx: &Tx<'_>,
        action: &'static str,
        verb: Verb,
        path: &str,
        version: &str,
        rule: &str,
    ) -> std::result::Result<(), ChangeError> {
        let act = self.act(action, verb, path, version, Outcome::Allowed, rule);
        Ok(tx.audit(&act, self.now_ms(), &self.engine.keys.audit)?)
    }

    /// Gives what `result` gives, and records it where it failed; what access refused is recorded already, but for what a gate
    /// holds up as a whole.
    pub(super) fn note_failure<T>(
        &self,
        action: &'static str,
        verb: Verb,
        path: &str,
        result: Result<T>,
    ) -> Result<T> {
        if let Err(error) = &result
            && !matches!(error, Error::Forbidden { .. } | Error::ApprovalRequired { .. })
        {
            let (outcome, rule) = match error {
                Error::CrossesGate { gate, .. } => (Outcome::Denied, gate.as_str()),
                _ => (Outcome::Failed, error.code()),
            };
            self.record(action, verb, path, "", outcome, rule)?;
        }
        result
    }

    /// The rule that allows an act, or its refusal: as absent where the path may not even be seen.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Forbidden`]; both are recorded.
    pub(super) fn authorize(
        &self,
        action: &'static str,
        verb: Verb,
        path: &str,
        what: &'static str,
    ) -> Result<String> {
        let decision = self.decide(verb, path);
        if decision.allowed {
            return Ok(decision.rule);
        }
        self.record(action, verb, path, "", Outcome::Denied, &decision.rule)?;
        Err(self.refusal(verb, path, what))
    }

    /// As [`Self::authorize`], for what the asker is known to see.
    ///
    /// # Errors
    /// [`Error::Forbidden`], which is recorded.
    pub(super) fn authorize_seen(&self, action: &'static str, verb: Verb, path: &str) -> Result<String> {
        let decision = self.decide(verb, path);
        if decision.allowed {
            return Ok(decision.rule);
        }
        self.record(action, verb, path, "", Outcome::Denied, &decision.rule)?;
        let principal = self.actor.principal.clone();
        Err(Error::Forbidden { principal, verb: verb.as_str(), path: path.to_owned() })
    }

    pub(super) fn refusal(&self, verb: Verb, path: &str, what: &'static str) -> Error {
        let may_see = |verb| self.decide(verb, path).allowed;
        if matches!(verb, Verb::Read | Verb::List) || !(may_see(Verb::Read) || may_see(Verb::List)) {
            return self.absent(path, what);
        }
        Error::Forbidden {
            principal: self.actor.principal.clone(),
            verb: verb.as_str(),
            path: path.to_owned(),
        }
    }

    /// What is told of a path that is not there, or may not be seen. Where its workspace is not seen, that is what is not there: whoever
    /// misspells its name looks in vain for a file.
    pub(super) fn absent(&self, path: &str, what: &'static str) -> Error {
        let is_of_tree = matches!(what, "file" | "folder" | "file or folder" | "topic");
        let is_seen = |name: &WorkspaceName| {
            let workspace = self.engine.workspace(name);
            workspace.is_some_and(|workspace| self.sees(&workspace).unwrap_or_default())
        };
        match split_path(path) {
            Ok((name, _)) if is_of_tree && !is_seen(&name) => absent_workspace(&name),
            _ => Error::NotFound { what, name: path.to_owned() },
        }
    }

    /// The workspace of a path on which an act is allowed.
    ///
    /// # Errors
    /// [`Error::NotFound`], in the words for one that may not be seen.
    pub(super) fn workspace_of(&self, name: &WorkspaceName) -> Result<Arc<OpenWorkspace>> {
        self.engine.workspace(name).ok_or_else(|| absent_workspace(name))
    }

    /// Only for whoever manages the home; others are told so, and nothing else.
    ///
    /// # Errors
    /// [`Error::Forbidden`].
    pub(super) fn require_admin(&self, action: &'static str, path: &str) -> Result<String> {
        let decision = self.decide(Verb::Admin, "/");
        if decision.allowed {
            return Ok(decision.rule);
        }
        self.record(action, Verb::Admin, path, "", Outcome::Denied, &decision.rule)?;
        Err(Error::Forbidden { principal: self.actor.principal.clone(), verb: "admin", path: "/".to_owned() })
    }

    /// Splits a path and refuses what no workspace shows.
    pub(super) fn split(&self, path: &str, what: &'static str) -> Result<(WorkspaceName, RelPath)> {
        let (name, below) = match split_path(path) {
            Ok(halves) => halves,
            Err(error) => {
                self.record("path.refused", Verb::Read, path, "", Outcome::Failed, "invalid_path")?;
                return Err(error.into());
            }
        };
        // The disk is looked at for those alone who may do something there.
        let may_look = || Verb::ALL.into_iter().any(|verb| self.decide(verb, path).allowed);
        let is_of_home = || below.names_home() && may_look() && self.engine.is_private(&name, &below);
        if below.is_hidden() || is_of_home() {
            self.record("path.refused", Verb::Read, path, "", Outcome::Denied, "private")?;
            // As of any path: whether its workspace is there is told only to who may see that.
            return Err(self.absent(path, what));
        }
        Ok((name, below))
    }

    /// Takes what this session's scope for a verb shows; nobody else may be asked for it meanwhile.
    pub(super) fn with_visible<T>(
        &self,
        scope: &Scope,
        look: impl FnOnce(&mut MutexGuard<'_, Visible>) -> Result<T>,
    ) -> Result<T> {
        let visible = self.engine.visible.of(scope);
        let mut visible = visible.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        look(&mut visible)
    }

    /// The files of a workspace that a scope shows; `None`: every file. Some of them may be gone.
    pub(super) fn files_in(&self, scope: &Scope, workspace: &OpenWorkspace) -> Result<Option<Arc<FileSet>>> {
        if scope.is_everything() {
            return Ok(None);
        }
        let row = &workspace.row;
        self.with_visible(scope, |visible| {
            Ok(Some(visible.files(&self.engine.catalog, scope, row.id, &row.name)?))
        })
    }

    /// The files of today in or below a folder that a scope shows, by path.
    pub(super) fn rows_in(
        &self,
        scope: &Scope,
        workspace: &OpenWorkspace,
        folder: &RelPath,
    ) -> Result<Vec<FileRow>> {
        let mut rows = self.engine.catalog.files_below(workspace.row.id, folder)?;
        rows.retain(|row| !workspace.tree.is_of_home(&row.path));
        if !scope.is_everything() {
            rows.retain(|row| scope.allows(&join_path(&workspace.row.name, &row.path)));
        }
        Ok(rows)
    }

    /// Whether a workspace may be seen: its root by a grant, or by any file in it.
    pub(super) fn sees(&self, workspace: &OpenWorkspace) -> Result<bool> {
        for verb in [Verb::List, Verb::Read] {
            let scope = self.scope(verb);
            if scope.allows(&format!("/{}", workspace.row.name)) {
                return Ok(true);
            }
            if scope.is_nothing() {
                continue;
            }
            let files = self.files_in(&scope, workspace)?;
            for file in files.iter().flat_map(|files| files.ids()) {
                if self.engine.catalog.file_by_id(*file)?.is_some() {
                    return Ok(true);
                }
            }
        }
        Ok(false)
    }

    /// A workspace by name or shown id, where it may be seen.
    pub(super) fn seen_workspace(&self, name: &str) -> Result<Arc<OpenWorkspace>> {
        let absent = || Error::NotFound { what: "workspace", name: name.chars().take(80).collect() };
        let by_id = || {
            let mut open = self.engine.open_workspaces().into_iter();
            open.find(|workspace| {
                self.engine.keys.workspace_id(&workspace.row.name, workspace.row.created_ms) == name
            })
        };
        let by_name = WorkspaceName::new(name).ok().and_then(|name| self.engine.workspace(&name));
        let workspace = by_name.or_else(by_id).ok_or_else(absent)?;
        if self.sees(&workspace)? { Ok(workspace) } else { Err(absent()) }
    }

    /// A workspace of which one path may be read.
    pub(super) fn readable(&self, name: &WorkspaceName, path: &RelPath) -> Option<Arc<OpenWorkspace>> {
        let allowed =
            self.decide(Verb::Read, &join_path(name, path)).allowed && !self.engine.is_private(name, path);
        allowed.then(|| self.engine.workspace(name)).flatten()
    }
}

fn absent_workspace(name: &WorkspaceName) -> Error {
    Error::NotFound { what: "workspace", name: name.to_string() }
}
