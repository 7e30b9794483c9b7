//! Workspaces of a home: made, attached, opened, opened anew, switched and let go.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::engine::Engine;
use super::error::{Error, Result};
use super::workspace::OpenWorkspace;
use crate::catalog::WorkspaceRow;
use crate::change::ChangeError;
use crate::id::{WorkspaceId, WorkspaceName};
use crate::index::WorkspaceIndex;
use crate::store::{StoreError, Tree};

/// How long the end of a workspace waits for those who still work on it.
const CLOSE_PATIENCE: std::time::Duration = std::time::Duration::from_secs(10);
/// Between two looks.
const CLOSE_STEP: std::time::Duration = std::time::Duration::from_millis(5);

impl Engine {
    pub(super) fn open_workspace(&self, row: WorkspaceRow) -> Result<Arc<OpenWorkspace>> {
        let tree = Tree::open(&row.root)?;
        let (index, reason) = WorkspaceIndex::open(&self.layout.index(row.id), &self.fingerprint())?;
        if let Some(reason) = reason {
            tracing::warn!(workspace = %row.name, reason, "the index is rebuilt");
            let line = format!("{}: {reason}", row.name);
            self.rebuilt.write().unwrap_or_else(|poisoned| poisoned.into_inner()).push(line);
        }
        let name = row.name.clone();
        let open = Arc::new(OpenWorkspace::new(row, tree, index, Arc::clone(&self.catalog)));
        let mut workspaces = self.workspaces.write().unwrap_or_else(|poisoned| poisoned.into_inner());
        workspaces.insert(name, Arc::clone(&open));
        Ok(open)
    }

    /// A workspace of the home's own lies in the home, wherever that was moved to; so does a folder of it that is attached.
    pub(super) fn in_this_home(&self, row: WorkspaceRow) -> Result<WorkspaceRow> {
        let row = self.moved_along(row)?;
        let root = self.layout.workspaces().join(row.name.as_str());
        if row.attached || row.root == root {
            return Ok(row);
        }
        self.catalog.write(|tx| tx.rehome(row.id, &root))?;
        Ok(WorkspaceRow { root, ..row })
    }

    /// As the catalog has it once it knows where the home is now.
    fn moved_along(&self, row: WorkspaceRow) -> Result<WorkspaceRow> {
        let home = self.layout.root();
        if self.catalog.home()?.is_none_or(|before| before != home) {
            self.catalog.write(|tx| tx.move_home(home))?;
        }
        let mut rows = self.catalog.workspaces()?.into_iter();
        Ok(rows.find(|found| found.id == row.id).unwrap_or(row))
    }

    /// A workspace whose folder is missing keeps nobody from the others; it is tried again while serving.
    pub(super) fn open_if_there(&self, row: WorkspaceRow) -> Result<()> {
        let name = row.name.clone();
        let outcome = self.open_workspace(row);
        let mut unavailable = self.unavailable.write().unwrap_or_else(|poisoned| poisoned.into_inner());
        match outcome {
            Ok(_) => drop(unavailable.remove(&name)),
            Err(Error::Store(error @ StoreError::Io { .. })) => {
                tracing::warn!(workspace = %name, %error, "a workspace is not available");
                unavailable.insert(name, error.to_string());
            }
            Err(error) => return Err(error),
        }
        Ok(())
    }

    /// Workspaces whose folder can't be opened now, each with the reason.
    pub fn unavailable(&self) -> Vec<(WorkspaceName, String)> {
        let unavailable = self.unavailable.read().unwrap_or_else(|poisoned| poisoned.into_inner());
        unavailable.iter().map(|(name, reason)| (name.clone(), reason.clone())).collect()
    }

    /// Opens what was not available and is there again, and opens anew what stands under another folder by now.
    pub(super) fn reopen(&self) -> Result<()> {
        let unavailable = self.unavailable();
        if !unavailable.is_empty() {
            for row in self.catalog.workspaces()? {
                if unavailable.iter().any(|(name, _)| *name == row.name) {
                    self.open_if_there(row)?;
                }
            }
        }
        for workspace in self.open_workspaces() {
            if !workspace.tree.is_current() && workspace.row.root.is_dir() {
                let row = workspace.row.clone();
                self.close(workspace)?;
                self.open_if_there(row)?;
            }
        }
        Ok(())
    }

    /// The workspace whose folder this is, whatever it is called.
    pub fn workspace_in(&self, folder: &Path) -> Option<WorkspaceName> {
        let root = folder.canonicalize().ok()?;
        let mut open = self.open_workspaces().into_iter();
        open.find(|workspace| workspace.row.root == root).map(|workspace| workspace.row.name.clone())
    }

    /// Attaches an existing folder as a workspace; one that is attached already stays as it is.
    ///
    /// # Errors
    /// [`Error::Folder`] where it is no folder, [`Error::Invalid`] where the name stands for another one.
    pub fn attach(&self, name: &WorkspaceName, folder: &Path) -> Result<()> {
        let in_folder = |source| Error::Folder { path: folder.to_owned(), source };
        let root = folder.canonicalize().map_err(in_folder)?;
        self.check_place(name, &root)?;
        self.put_workspace(name, root, true)
    }

    /// Makes an empty workspace in the home; one that is there already stays as it is.
    ///
    /// # Errors
    /// [`Error::Folder`], [`Error::Invalid`] where the name stands for an attached folder.
    pub fn create_workspace(&self, name: &WorkspaceName) -> Result<()> {
        self.check_name(name)?;
        let root = self.layout.workspaces().join(name.as_str());
        std::fs::create_dir_all(&root).map_err(|source| Error::Folder { path: root.clone(), source })?;
        self.put_workspace(name, root, false)
    }

    fn put_workspace(&self, name: &WorkspaceName, root: PathBuf, attached: bool) -> Result<()> {
        let now_ms = self.clock.now_ms();
        self.check_name(name)?;
        // What can't be opened must not be remembered.
        Tree::open(&root).map_err(|error| match error {
            StoreError::Io { source, .. } => Error::Folder { path: root.clone(), source },
            other => other.into(),
        })?;
        let home = self.layout.root();
        let row = self.catalog.write(|tx| {
            tx.move_home(home)?;
            tx.put_workspace(name, &root, attached, now_ms)
        })?;
        if row.root != root {
            return Err(Error::Invalid {
                field: "name",
                found: format!("`{name}`, which stands for `{}`", row.root.display()),
                expected: "another name".to_owned(),
            });
        }
        if self.workspace(name).is_none() {
            self.open_workspace(row)?;
            self.wake(name);
        }
        Ok(())
    }

    /// Refuses a folder whose files would have two names: in the home, around it, or in another workspace's folder. The
    /// home's own folder may be attached, once; what is private in it is never shown.
    fn check_place(&self, name: &WorkspaceName, root: &Path) -> Result<()> {
        match self.workspace_in(root) {
            Some(there) if there == *name => return Ok(()),
            Some(there) => {
                return Err(Error::Invalid {
                    field: "folder",
                    found: format!("`{}`, which is the workspace `{there}` already", root.display()),
                    expected: format!("a folder of its own, or the name `{there}`"),
                });
            }
            None => {}
        }
        let nested = |other: &Path| root.starts_with(other) || other.starts_with(root);
        let home = self.layout.root();
        let taken = self.open_workspaces().into_iter().find(|workspace| {
            workspace.row.name != *name
                && root != home
                && workspace.row.root != home
                && nested(&workspace.row.root)
        });
        if (root != home && nested(home)) || taken.is_some() {
            return Err(Error::Invalid {
                field: "folder",
                found: format!("`{}`, which holds or lies in the home or another workspace", root.display()),
                expected: "a folder of its own".to_owned(),
            });
        }
        Ok(())
    }

    /// Refuses a name that differs from another workspace's only in case.
    fn check_name(&self, name: &WorkspaceName) -> Result<()> {
        let mut others = self.workspace_names().into_iter().filter(|other| other != name);
        match others.find(|other| other.as_str().eq_ignore_ascii_case(name.as_str())) {
            None => Ok(()),
            Some(other) => Err(Error::Change(ChangeError::NameConflict {
                path: name.to_string(),
                other: other.to_string(),
            })),
        }
    }

    /// Switches the indexing of a workspace; switched off, its index goes, and its files and versions stay.
    ///
    /// # Errors
    /// [`Error::NotFound`], or where catalog or index can't be written.
    pub(super) fn set_intelligence(&self, name: &WorkspaceName, intelligence: bool) -> Result<()> {
        let absent = || Error::NotFound { what: "workspace", name: name.to_string() };
        let workspace = self.workspace(name).ok_or_else(absent)?;
        if workspace.row.intelligence == intelligence {
            return Ok(());
        }
        let id = workspace.row.id;
        self.catalog.write(|tx| tx.set_intelligence(id, intelligence))?;
        let row = WorkspaceRow { intelligence, ..workspace.row.clone() };
        self.close(workspace)?;
        if !intelligence {
            self.remove_index(id)?;
        }
        self.open_workspace(row)?;
        self.wake(name);
        Ok(())
    }

    /// Forgets a workspace; the folder of an attached one stays as it is, that of any other goes when `and_files`.
    ///
    /// # Errors
    /// [`Error::NotFound`], or where catalog or folders can't be changed.
    pub(super) fn remove_workspace(&self, name: &WorkspaceName, and_files: bool) -> Result<()> {
        let absent = || Error::NotFound { what: "workspace", name: name.to_string() };
        let row = match self.workspace(name) {
            Some(workspace) => {
                let row = workspace.row.clone();
                self.close(workspace)?;
                row
            }
            // One whose folder is missing can be let go, too.
            None => {
                self.unavailable.write().unwrap_or_else(|poisoned| poisoned.into_inner()).remove(name);
                let rows = self.catalog.workspaces()?;
                rows.into_iter().find(|row| row.name == *name).ok_or_else(absent)?
            }
        };
        self.catalog.write(|tx| tx.remove_workspace(row.id))?;
        self.remove_index(row.id)?;
        if and_files && !row.attached && row.root.exists() {
            let in_folder = |source| Error::Folder { path: row.root.clone(), source };
            std::fs::remove_dir_all(&row.root).map_err(in_folder)?;
        }
        self.wake(name);
        Ok(())
    }

    /// Ends the use of a workspace: waits until nobody works on its index, for at most ten seconds.
    fn close(&self, mut workspace: Arc<OpenWorkspace>) -> Result<()> {
        let name = workspace.row.name.clone();
        self.workspaces.write().unwrap_or_else(|poisoned| poisoned.into_inner()).remove(&name);
        let deadline = std::time::Instant::now() + CLOSE_PATIENCE;
        loop {
            // The writer's lock on the folder ends with the last user of the old index.
            match Arc::try_unwrap(workspace) {
                Ok(workspace) => return Ok(workspace.index.close()?),
                Err(shared) if std::time::Instant::now() < deadline => {
                    workspace = shared;
                    std::thread::sleep(CLOSE_STEP);
                }
                Err(shared) => {
                    let mut open = self.workspaces.write().unwrap_or_else(|poisoned| poisoned.into_inner());
                    open.insert(name.clone(), shared);
                    return Err(Error::Invalid {
                        field: "workspace",
                        found: format!("`{name}`, which is in use"),
                        expected: "no long search or indexing at the same time; try again".to_owned(),
                    });
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

    pub(super) fn drop_index(&self, workspace: Arc<OpenWorkspace>) -> Result<()> {
        let row = workspace.row.clone();
        match self.close(workspace) {
            // It goes all the same.
            Err(Error::Index(error)) => tracing::debug!(workspace = %row.name, %error, "an index ends badly"),
            closed => closed?,
        }
        self.remove_index(row.id)?;
        self.open_workspace(row)?;
        Ok(())
    }
}
