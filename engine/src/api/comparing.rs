//! What differs between two states of a workspace.

use super::error::{Error, Result};
use super::replies::SnapshotDiff;
use super::session::Session;
use super::workspace::OpenWorkspace;
use crate::access::Verb;
use crate::clock::parse_rfc3339;
use crate::id::Seq;
use crate::journal::Outcome;
use crate::store::Snapshot;

impl Session {
    /// What differs between a snapshot and another one of the same workspace, or today.
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::Invalid`] for snapshots of two workspaces.
    pub fn diff_snapshot(&self, id: &str, other: Option<&str>) -> Result<SnapshotDiff> {
        let (snapshot, workspace) = self.open_snapshot(id)?;
        let other = other.map(|other| self.snapshot_in(&workspace, "with", other)).transpose()?;
        self.difference(&workspace, &snapshot.id, snapshot.seq, other.map(|other| other.seq))
    }

    /// What differs between two states of a workspace, or one and today: a state is named by a snapshot's id or name, and where
    /// the workspace is named also by a `seq` or a time.
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::Invalid`] for states of two workspaces, or one that names none.
    pub fn diff_states(&self, from: &str, to: Option<&str>, workspace: Option<&str>) -> Result<SnapshotDiff> {
        let workspace = match workspace {
            Some(name) => self.seen_workspace(name)?,
            None if is_place(from) => {
                return Err(Error::Invalid {
                    field: "workspace",
                    found: "missing".to_owned(),
                    expected: "the workspace of which `from` is a state".to_owned(),
                });
            }
            None => self.open_snapshot(from)?.1,
        };
        let before = self.state_in(&workspace, "from", from)?;
        let after = to.map(|to| self.state_in(&workspace, "to", to)).transpose()?;
        self.difference(&workspace, from, before, after)
    }

    fn state_in(&self, workspace: &OpenWorkspace, field: &'static str, text: &str) -> Result<Seq> {
        if is_place(text) {
            return self.read_as_of(text);
        }
        Ok(self.snapshot_in(workspace, field, text)?.seq)
    }

    fn snapshot_in(&self, workspace: &OpenWorkspace, field: &'static str, asked: &str) -> Result<Snapshot> {
        let seen = self.seen_snapshot(asked, Some(workspace.row.id));
        let snapshot = self.note_failure("snapshot.read", Verb::Read, asked, seen)?;
        if snapshot.workspace != workspace.row.id {
            return Err(Error::Invalid {
                field,
                found: "a snapshot of another workspace".to_owned(),
                expected: "one of the same".to_owned(),
            });
        }
        Ok(snapshot)
    }

    fn difference(
        &self,
        workspace: &OpenWorkspace,
        of: &str,
        before: Seq,
        after: Option<Seq>,
    ) -> Result<SnapshotDiff> {
        let root = format!("/{}", workspace.row.name);
        self.record("snapshot.diff", Verb::Read, &root, of, Outcome::Allowed, "scope")?;
        if after.is_none() {
            self.engine.take_in(workspace)?;
        }
        let before = self.states(workspace, Some(before))?;
        let after = self.states(workspace, after)?;
        let full = |path: &String| format!("/{}/{path}", workspace.row.name);
        Ok(SnapshotDiff {
            added: after.keys().filter(|path| !before.contains_key(*path)).map(full).collect(),
            removed: before.keys().filter(|path| !after.contains_key(*path)).map(full).collect(),
            changed: before
                .iter()
                .filter(|(path, state)| after.get(*path).is_some_and(|now| now.version != state.version))
                .map(|(path, _)| full(path))
                .collect(),
        })
    }
}

/// Whether a text names a state of all workspaces: a `seq`, or a time.
pub(super) fn is_place(text: &str) -> bool {
    text.starts_with("sq_") || parse_rfc3339(text).is_some()
}
