//! How the use of a workspace ends: for a moment, to switch its indexing or to build its index anew, or for good.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::engine::Engine;
use super::error::{Error, Result};
use super::workspace::OpenWorkspace;
use crate::catalog::WorkspaceRow;
use crate::id::{WorkspaceId, WorkspaceName};

/// How long the end of a workspace that somebody asked for waits for those who still work on it.
const PATIENCE: Duration = Duration::from_secs(10);
/// Between two looks.
const STEP: Duration = Duration::from_millis(5);

impl Engine {
    /// Switches the indexing of a workspace; switched off, its index goes, and its files and versions stay.
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::WorkspaceBusy`], and nothing was changed; or where catalog or index can't be written.
    pub(super) fn set_intelligence(&self, name: &WorkspaceName, intelligence: bool) -> Result<()> {
        let absent = || Error::NotFound { what: "workspace", name: name.to_string() };
        let _opening = self.take_opening();
        let workspace = self.workspace(name).ok_or_else(absent)?;
        if workspace.row.intelligence == intelligence {
            return Ok(());
        }
        let before = workspace.row.clone();
        let id = before.id;
        self.end(workspace)?;
        let set = self.catalog.write(|tx| tx.set_intelligence(id, intelligence));
        let is_set = set.is_ok();
        let removed = if is_set && !intelligence { self.remove_index(id) } else { Ok(()) };
        // Whatever failed, the workspace is there again, as the catalog has it.
        let row = if is_set { WorkspaceRow { intelligence, ..before } } else { before };
        let opened = self.open_or_note(row);
        self.wake(name);
        set?;
        removed.and(opened)
    }

    /// Forgets a workspace; the folder of an attached one stays as it is, that of any other goes when `and_files`, and else
    /// waits until a workspace of its name is made again.
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::WorkspaceBusy`], and nothing was changed; or where catalog or folders can't be changed.
    pub(super) fn remove_workspace(&self, name: &WorkspaceName, and_files: bool) -> Result<()> {
        let absent = || Error::NotFound { what: "workspace", name: name.to_string() };
        let _opening = self.take_opening();
        let row = match self.workspace(name) {
            Some(workspace) => {
                let row = workspace.row.clone();
                self.end(workspace)?;
                row
            }
            // One whose folder is missing can be let go, too.
            None => {
                let rows = self.catalog.workspaces()?;
                rows.into_iter().find(|row| row.name == *name).ok_or_else(absent)?
            }
        };
        let removed = self.catalog.write(|tx| {
            // Also where its files go: what a kill leaves of them is no new workspace.
            if !row.attached {
                tx.let_go(name)?;
            }
            tx.remove_workspace(row.id)
        });
        if let Err(error) = removed {
            if let Err(error) = self.open_or_note(row) {
                tracing::warn!(workspace = %name, %error, "a workspace is not available");
            }
            return Err(error.into());
        }
        self.unavailable.write().unwrap_or_else(|poisoned| poisoned.into_inner()).remove(name);
        self.remove_index(row.id)?;
        if and_files && !row.attached {
            if row.root.exists() {
                let in_folder = |source| Error::Folder { path: row.root.clone(), source };
                std::fs::remove_dir_all(&row.root).map_err(in_folder)?;
            }
            self.catalog.write(|tx| tx.forget_let_go(name))?;
        }
        self.wake(name);
        Ok(())
    }

    /// Throws an index away; it is built anew.
    pub(super) fn drop_index(&self, workspace: Arc<OpenWorkspace>) -> Result<()> {
        let _opening = self.take_opening();
        let row = workspace.row.clone();
        self.end(workspace)?;
        let removed = self.remove_index(row.id);
        removed.and(self.open_or_note(row))
    }

    /// Ends the use of a workspace on somebody's word. Where that fails, what was broken off goes on.
    fn end(&self, workspace: Arc<OpenWorkspace>) -> Result<()> {
        let name = workspace.row.name.clone();
        let ended = self.close(workspace, PATIENCE);
        if ended.is_err() {
            self.wake(&name);
        }
        ended
    }

    /// Ends the use of a workspace: whoever indexes it is told to end, and everybody else is waited for, for so long. An index
    /// that ends badly ends all the same.
    ///
    /// # Errors
    /// [`Error::WorkspaceBusy`]: it stays open.
    pub(super) fn close(&self, mut workspace: Arc<OpenWorkspace>, patience: Duration) -> Result<()> {
        let name = workspace.row.name.clone();
        workspace.closing.store(true, Ordering::Relaxed);
        self.workspaces.write().unwrap_or_else(|poisoned| poisoned.into_inner()).remove(&name);
        let deadline = Instant::now() + patience;
        loop {
            // The writer's lock on the folder ends with the last user of the old index.
            match Arc::try_unwrap(workspace) {
                Ok(workspace) => {
                    if let Err(error) = workspace.index.close() {
                        tracing::debug!(workspace = %name, %error, "an index ends badly");
                    }
                    return Ok(());
                }
                Err(shared) if Instant::now() < deadline => {
                    workspace = shared;
                    std::thread::sleep(STEP);
                }
                Err(shared) => {
                    shared.closing.store(false, Ordering::Relaxed);
                    let mut open = self.workspaces.write().unwrap_or_else(|poisoned| poisoned.into_inner());
                    open.insert(name.clone(), shared);
                    return Err(Error::WorkspaceBusy { name: name.to_string() });
                }
            }
        }
    }

    fn remove_index(&self, id: WorkspaceId) -> Result<()> {
        let folder = self.layout.index(id);
        match std::fs::remove_dir_all(&folder) {
            Err(source) if source.kind() != std::io::ErrorKind::NotFound => {
                Err(Error::Folder { path: folder, source })
            }
            _ => Ok(()),
        }
    }
}
