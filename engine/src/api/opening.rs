//! Workspaces of a home: made, attached, taken in, opened and opened anew. How their use ends is in `closing`.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, MutexGuard, TryLockError};
use std::time::Duration;

use super::engine::Engine;
use super::error::{Error, Result};
use super::workspace::OpenWorkspace;
use crate::catalog::WorkspaceRow;
use crate::change::ChangeError;
use crate::id::{WorkspaceName, is_private_name};
use crate::index::{Stale, WorkspaceIndex};
use crate::store::{StoreError, Tree};

/// How long a workspace whose folder was replaced waits for those who still work on it; it is tried again soon.
const REOPEN_PATIENCE: Duration = Duration::from_millis(200);

impl Engine {
    pub(super) fn open_workspace(&self, row: WorkspaceRow) -> Result<Arc<OpenWorkspace>> {
        let tree = Tree::open(&row.root)?;
        let (folder, fingerprint) = (self.layout.index(row.id), self.fingerprint());
        let (index, stale) = match self.leaves_stale {
            true => WorkspaceIndex::open_as_it_is(&folder, &fingerprint)?,
            false => {
                let (index, reason) = WorkspaceIndex::open(&folder, &fingerprint)?;
                (index, reason.map(Stale::Replaced))
            }
        };
        if let Some(Stale::Replaced(reason)) = &stale {
            tracing::warn!(workspace = %row.name, reason, "the index is rebuilt");
            let line = format!("{}: {reason}", row.name);
            self.rebuilt.write().unwrap_or_else(|poisoned| poisoned.into_inner()).push(line);
        }
        let name = row.name.clone();
        let mut open = OpenWorkspace::new(row, tree, index, Arc::clone(&self.catalog));
        if let Some(Stale::Left(reason)) = stale {
            open.stale = Some(reason);
        }
        let open = Arc::new(open);
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

    /// Opens a workspace of the catalog; one that can't be opened is not available, and tried again while serving.
    pub(super) fn open_or_note(&self, row: WorkspaceRow) -> Result<()> {
        let name = row.name.clone();
        let opened = self.open_workspace(row);
        let mut unavailable = self.unavailable.write().unwrap_or_else(|poisoned| poisoned.into_inner());
        match opened {
            Ok(_) => {
                unavailable.remove(&name);
                Ok(())
            }
            Err(error) => {
                unavailable.insert(name, error.to_string());
                Err(error)
            }
        }
    }

    /// Workspaces whose folder can't be opened now, each with the reason.
    pub fn unavailable(&self) -> Vec<(WorkspaceName, String)> {
        let unavailable = self.unavailable.read().unwrap_or_else(|poisoned| poisoned.into_inner());
        unavailable.iter().map(|(name, reason)| (name.clone(), reason.clone())).collect()
    }

    pub(super) fn take_opening(&self) -> MutexGuard<'_, ()> {
        self.opening.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// Takes in folders that are new in the home, opens what was not available and is there again, and anew what stands under
    /// another folder by now. What has gone is not available from then on. One that fails keeps nobody from the others; the
    /// first failure is told.
    pub(super) fn reopen(&self) -> Result<()> {
        // Who makes or lets go of a workspace now is waited for by nobody; the next look is soon.
        let _opening = match self.opening.try_lock() {
            Ok(opening) => opening,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => return Ok(()),
        };
        let mut outcome = self.take_in_all().map(drop);
        let unavailable = self.unavailable();
        if !unavailable.is_empty() {
            for row in self.catalog.workspaces()? {
                if unavailable.iter().any(|(name, _)| *name == row.name) {
                    outcome = outcome.and(self.open_if_there(row));
                }
            }
        }
        for workspace in self.open_workspaces() {
            if !workspace.tree.is_current() {
                outcome = outcome.and(self.open_anew(workspace));
            }
        }
        outcome
    }

    /// What can't be opened now, for whatever reason, is tried again later.
    fn open_anew(&self, workspace: Arc<OpenWorkspace>) -> Result<()> {
        let row = workspace.row.clone();
        let name = row.name.clone();
        if let Err(error) = self.close(workspace, REOPEN_PATIENCE) {
            // The next look is soon.
            tracing::debug!(workspace = %name, %error, "a workspace is opened anew later");
            return Ok(());
        }
        let opened = self.open_if_there(row);
        if let Err(error) = &opened {
            let mut unavailable = self.unavailable.write().unwrap_or_else(|poisoned| poisoned.into_inner());
            unavailable.insert(name, error.to_string());
        }
        opened
    }

    /// Makes a workspace of each folder among the home's own that is none yet: the plain files are the truth. One that was
    /// let go stays so. Gives what can't be a workspace, with the reason; each is named once.
    ///
    /// # Errors
    /// Where the home's folders can't be read, or the catalog not be written.
    pub fn take_in_folders(&self) -> Result<Vec<String>> {
        let _opening = self.take_opening();
        self.take_in_all()
    }

    /// The caller holds `opening`.
    fn take_in_all(&self) -> Result<Vec<String>> {
        let kept = self.layout.workspaces();
        let in_folder = |source| Error::Folder { path: kept.clone(), source };
        let entries = match std::fs::read_dir(&kept) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries.map_err(in_folder)?,
        };
        let mut folders = Vec::new();
        for entry in entries {
            let entry = entry.map_err(in_folder)?;
            let (name, kind) = (entry.file_name(), entry.file_type().map_err(in_folder)?);
            let name = name.to_string_lossy().into_owned();
            if !kind.is_file() && !is_private_name(&name) {
                folders.push((name, kind.is_dir()));
            }
        }
        folders.sort();
        let rows = self.catalog.workspaces()?;
        folders.retain(|(name, _)| rows.iter().all(|row| row.name.as_str() != name));
        self.begin_to_take_in(if rows.is_empty() { &[] } else { &folders })?;
        let (mut told, mut outcome) = (Vec::new(), Ok(()));
        for (name, is_folder) in folders {
            let why = match self.take_in_folder(&name, is_folder) {
                Ok(Ok(())) => continue,
                Ok(Err(why)) => why,
                // One that fails keeps nobody from the others.
                Err(error) => {
                    outcome = outcome.and(Err(error));
                    continue;
                }
            };
            let mut passed_over = self.passed_over.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
            if passed_over.insert(name.clone()) {
                tracing::warn!(folder = %name, why, "a folder of the home is no workspace");
                told.push(format!("`workspaces/{name}` is no workspace: {why}"));
            }
        }
        outcome.map(|()| told)
    }

    /// A home of before folders were taken in by themselves: what lies there without a workspace is what an operator let go.
    fn begin_to_take_in(&self, folders: &[(String, bool)]) -> Result<()> {
        if self.catalog.takes_in()? {
            return Ok(());
        }
        self.catalog.write(|tx| {
            for name in folders.iter().filter_map(|(name, _)| WorkspaceName::new(name).ok()) {
                tx.let_go(&name)?;
            }
            tx.note_takes_in()
        })?;
        Ok(())
    }

    /// Takes in one folder, or says why it can't be a workspace.
    fn take_in_folder(&self, name: &str, is_folder: bool) -> Result<std::result::Result<(), String>> {
        if !is_folder {
            return Ok(Err(
                "it is a link or a device: expected a folder, or attach the one it leads to".to_owned()
            ));
        }
        let name = match WorkspaceName::new(name) {
            Ok(name) => name,
            Err(error) => return Ok(Err(format!("{error}; rename it"))),
        };
        if self.catalog.was_let_go(&name)? {
            return Ok(Ok(()));
        }
        if let Err(error) = self.check_name(&name) {
            return Ok(Err(error.to_string()));
        }
        let root = self.layout.workspaces().join(name.as_str());
        match self.keep_workspace(&name, root, false) {
            // It went meanwhile, or may not be read.
            Err(error @ Error::Folder { .. }) => Ok(Err(error.to_string())),
            kept => kept.map(Ok),
        }
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
        let _opening = self.take_opening();
        self.check_place(name, &root)?;
        self.keep_workspace(name, root, true)
    }

    /// Makes an empty workspace in the home; one that is there already stays as it is.
    ///
    /// # Errors
    /// [`Error::Folder`], [`Error::Invalid`] where the name stands for an attached folder.
    pub fn create_workspace(&self, name: &WorkspaceName) -> Result<()> {
        let _opening = self.take_opening();
        self.check_name(name)?;
        let root = self.layout.workspaces().join(name.as_str());
        std::fs::create_dir_all(&root).map_err(|source| Error::Folder { path: root.clone(), source })?;
        self.keep_workspace(name, root, false)
    }

    /// The caller holds `opening`.
    fn keep_workspace(&self, name: &WorkspaceName, root: PathBuf, attached: bool) -> Result<()> {
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
            self.open_or_note(row)?;
            self.wake(name);
        }
        Ok(())
    }

    /// Refuses a folder whose files would have two names: in the home, around it, or in or around another workspace's folder,
    /// whether that is there now or not. The home's own folder may be attached, once, and while it keeps no workspace: what
    /// is private in it is never shown, and neither are workspaces that it keeps later.
    fn check_place(&self, name: &WorkspaceName, root: &Path) -> Result<()> {
        let rows = self.catalog.workspaces()?;
        let refuse = |what: String, expected: String| {
            let found = format!("`{}`, which {what}", root.display());
            Err(Error::Invalid { field: "folder", found, expected })
        };
        match rows.iter().find(|row| row.root == root).map(|row| &row.name) {
            Some(there) if there == name => return Ok(()),
            Some(there) => {
                return refuse(
                    format!("is the workspace `{there}` already"),
                    format!("a folder of its own, or the name `{there}`"),
                );
            }
            None => {}
        }
        let own = || "a folder of its own".to_owned();
        let home = self.layout.root();
        if root != home && (root.starts_with(home) || home.starts_with(root)) {
            return refuse("holds or lies in the home or another workspace".to_owned(), own());
        }
        for other in rows.iter().filter(|other| other.name != *name && other.root != home) {
            if other.root.starts_with(root) {
                let expected = if root == home {
                    "no folder: `waypost index` without one indexes what the home keeps".to_owned()
                } else {
                    own()
                };
                return refuse(format!("holds the folder of the workspace `{}`", other.name), expected);
            }
            if root.starts_with(&other.root) {
                return refuse(format!("lies in the folder of the workspace `{}`", other.name), own());
            }
        }
        Ok(())
    }

    /// Refuses a name that differs from another workspace's only in case.
    fn check_name(&self, name: &WorkspaceName) -> Result<()> {
        let rows = self.catalog.workspaces()?;
        let mut others = rows.into_iter().map(|row| row.name).filter(|other| other != name);
        match others.find(|other| other.as_str().eq_ignore_ascii_case(name.as_str())) {
            None => Ok(()),
            Some(other) => Err(Error::Change(ChangeError::NameConflict {
                path: name.to_string(),
                other: other.to_string(),
            })),
        }
    }
}
