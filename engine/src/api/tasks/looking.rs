use std::sync::Arc;

use super::super::error::{Error, Result};
use super::super::session::Session;
use super::super::workspace::OpenWorkspace;
use super::info::{InboxEntry, TaskInfo};
use crate::access::Verb;
use crate::id::{RelPath, join_path};
use crate::journal::Outcome;
use crate::route;
use crate::tasks::{self, TaskFilter, TaskRow, TaskState};

/// Which tasks; all conditions hold together.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TasksFilter {
    /// By name.
    pub workspace: Option<String>,
    /// In one state.
    pub state: Option<TaskState>,
    /// A principal, or an agent's name.
    pub to: Option<String>,
}

/// A task that may be seen, with the workspace that it is in.
pub(super) struct Seen {
    pub row: TaskRow,
    pub workspace: Arc<OpenWorkspace>,
}

impl Seen {
    /// The full form of a path of its workspace.
    pub(super) fn full(&self, path: &RelPath) -> String {
        join_path(&self.workspace.row.name, path)
    }

    /// Where its file is, `/workspace/…`.
    pub(super) fn path(&self) -> String {
        self.full(&self.row.path)
    }
}

impl Session {
    /// One task.
    ///
    /// # Errors
    /// [`Error::NotFound`], also where its file may not be read.
    pub fn task(&self, id: &str) -> Result<TaskInfo> {
        self.engine.adopt_tasks()?;
        let seen = self.find_task("task.read", id)?;
        self.record("task.read", Verb::Read, &seen.path(), "", Outcome::Allowed, "scope")?;
        let decision_id = route::dispatched(&self.engine.catalog, &seen.row.id)?;
        Ok(TaskInfo { decision_id, ..TaskInfo::new(seen.row, seen.workspace.row.name.as_str()) })
    }

    /// The tasks whose files this principal may read, oldest first.
    ///
    /// # Errors
    /// [`Error::NotFound`] for a workspace that is not there, [`Error::Invalid`] for a `to` that is no principal.
    pub fn tasks(&self, filter: &TasksFilter) -> Result<Vec<TaskInfo>> {
        self.engine.adopt_tasks()?;
        let workspace = match &filter.workspace {
            Some(name) => Some(self.seen_workspace(name)?.row.id),
            None => None,
        };
        let to = filter.to.as_deref().map(|to| check_address("to", to)).transpose()?;
        let rows = self.readable_tasks(&TaskFilter { workspace, state: filter.state, to })?;
        self.record("task.list", Verb::Read, "/", "", Outcome::Allowed, "scope")?;
        Ok(rows.into_iter().map(|(row, name)| TaskInfo::new(row, &name)).collect())
    }

    /// What lies before an agent, oldest first: the tasks in its inboxes, and those that are for it. Without a `state`
    /// those that are done are left out.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a name that is no agent's.
    pub fn inbox(&self, agent: &str, state: Option<TaskState>) -> Result<Vec<InboxEntry>> {
        self.engine.adopt_tasks()?;
        let to = Some(check_address("agent", agent)?);
        let rows = self.readable_tasks(&TaskFilter { workspace: None, state, to })?;
        self.record("task.inbox", Verb::Read, "/", "", Outcome::Allowed, "scope")?;
        let now_ms = self.now_ms();
        let open = rows.into_iter().filter(|(row, _)| state.is_some() || row.state != TaskState::Done);
        Ok(open.map(|(row, name)| InboxEntry::new(row, &name, now_ms)).collect())
    }

    /// Tasks with the names of their workspaces.
    fn readable_tasks(&self, filter: &TaskFilter) -> Result<Vec<(TaskRow, String)>> {
        let scope = self.scope(Verb::Read);
        let rows = tasks::tasks(&self.engine.catalog, filter)?;
        let named = rows.into_iter().filter_map(|row| {
            let name = self.engine.name_of(row.workspace)?;
            scope.allows(&join_path(&name, &row.path)).then(|| (row, name.to_string()))
        });
        Ok(named.collect())
    }

    /// A task whose file may be read; any other answers as one that is not there.
    pub(super) fn find_task(&self, action: &'static str, id: &str) -> Result<Seen> {
        let row = tasks::task(&self.engine.catalog, id)?;
        let seen = row.and_then(|row| {
            let workspace = self.engine.workspace_numbered(row.workspace)?;
            Some(Seen { row, workspace })
        });
        let seen = seen.filter(|seen| self.decide(Verb::Read, &seen.path()).allowed);
        let absent = || Error::NotFound { what: "task", name: id.chars().take(80).collect() };
        self.note_failure(action, Verb::Read, id, seen.ok_or_else(absent))
    }
}

/// The principal of an address.
pub(super) fn check_address(field: &'static str, text: &str) -> Result<String> {
    tasks::address(text).ok_or_else(|| Error::Invalid {
        field,
        found: format!("`{}`", text.chars().take(80).collect::<String>()),
        expected: "a principal such as `agent:researcher`, or an agent's name".to_owned(),
    })
}
