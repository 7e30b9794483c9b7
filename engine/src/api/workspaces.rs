use std::path::Path;
use std::sync::Arc;

use super::asking::Asked;
use super::error::{Error, Result};
use super::replies::WorkspaceInfo;
use super::session::Session;
use super::workspace::OpenWorkspace;
use crate::access::Verb;
use crate::clock::rfc3339;
use crate::id::{RelPath, WorkspaceName};
use crate::journal::Outcome;

impl Session {
    /// All workspaces that may be seen, by name.
    ///
    /// # Errors
    /// Where the catalog can't be read.
    pub fn workspaces(&self) -> Result<Vec<WorkspaceInfo>> {
        self.record("workspace.list", Verb::List, "/", "", Outcome::Allowed, "scope")?;
        self.seen_workspaces()?.into_iter().map(|workspace| self.workspace_info(workspace)).collect()
    }

    pub(super) fn seen_workspaces(&self) -> Result<Vec<Arc<OpenWorkspace>>> {
        let mut seen = Vec::new();
        for workspace in self.engine.open_workspaces() {
            if self.sees(&workspace)? {
                seen.push(workspace);
            }
        }
        Ok(seen)
    }

    /// The workspace that is named, or else the only one that may be seen.
    ///
    /// # Errors
    /// [`Error::Invalid`] where none is named and there are several, or none.
    pub fn workspace_or_only(&self, named: Option<&str>) -> Result<String> {
        if let Some(name) = named {
            return Ok(name.to_owned());
        }
        let seen = self.seen_workspaces()?;
        if let [only] = seen.as_slice() {
            return Ok(only.row.name.to_string());
        }
        let names: Vec<String> = seen.iter().take(20).map(|seen| format!("`{}`", seen.row.name)).collect();
        let expected = if names.is_empty() {
            "the name of a workspace".to_owned()
        } else {
            format!("one of {}", names.join(", "))
        };
        Err(Error::Invalid { field: "workspace", found: "missing".to_owned(), expected })
    }

    /// One workspace, by name or id.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub fn workspace(&self, name: &str) -> Result<WorkspaceInfo> {
        let workspace = self.seen_workspace(name)?;
        let root = format!("/{}", workspace.row.name);
        self.record("workspace.read", Verb::List, &root, "", Outcome::Allowed, "scope")?;
        self.workspace_info(workspace)
    }

    fn workspace_info(&self, workspace: Arc<OpenWorkspace>) -> Result<WorkspaceInfo> {
        let row = workspace.row.clone();
        let scope = self.scope(Verb::Read);
        let files = self.files_in(&scope, &workspace)?;
        let (mut indexed, mut skipped, mut size_bytes) = (0, 0, 0);
        if files.is_none() {
            let stats = self.engine.catalog.file_stats(row.id)?;
            (indexed, skipped, size_bytes) = (stats.indexed, stats.skipped, stats.size_bytes);
        } else {
            for file in self.rows_in(&scope, &workspace, &RelPath::new("")?)? {
                if file.state.skipped.is_some() {
                    skipped += 1
                } else {
                    indexed += 1
                }
                size_bytes += file.state.size_bytes;
            }
        }
        skipped += self.left_out_of(&workspace, &RelPath::root()).len() as u64;
        let asked = [Asked::live(workspace, files)];
        let source = &asked[0].source;
        let chunks = source.searcher.doc_set(source.files.as_deref()).n_chunks;
        Ok(WorkspaceInfo {
            id: self.engine.keys.workspace_id(&row.name, row.created_ms),
            name: row.name.to_string(),
            attached: row.attached,
            intelligence: row.intelligence,
            created_at: rfc3339(row.created_ms),
            indexed_files: indexed,
            skipped_files: skipped,
            size_bytes,
            chunks,
            index: self.index_status(&asked, &[])?,
        })
    }

    /// Makes a workspace, or attaches an existing folder of this machine as one.
    ///
    /// # Errors
    /// [`Error::Forbidden`] for all but the admin; [`Error::Invalid`] for a name that is taken, or a folder that is none or
    /// holds the home.
    pub fn create_workspace(
        &self,
        name: &str,
        folder: Option<&Path>,
        intelligence: bool,
    ) -> Result<WorkspaceInfo> {
        let rule = self.require_admin("workspace.create", &format!("/{name}"))?;
        let name = WorkspaceName::new(name)?;
        if self.engine.workspace(&name).is_some() {
            return Err(Error::Change(crate::change::ChangeError::Exists { path: format!("/{name}") }));
        }
        let made = match folder {
            Some(folder) => self.engine.attach(&name, folder),
            None => self.engine.create_workspace(&name),
        };
        let root = format!("/{name}");
        self.note_failure("workspace.create", Verb::Admin, &root, made)?;
        if !intelligence {
            self.engine.set_intelligence(&name, false)?;
        }
        self.record("workspace.create", Verb::Admin, &root, "", Outcome::Allowed, &rule)?;
        let workspace = self
            .engine
            .workspace(&name)
            .ok_or_else(|| Error::NotFound { what: "workspace", name: name.to_string() })?;
        self.workspace_info(workspace)
    }

    /// Switches a workspace's intelligence: whether its files are indexed.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Forbidden`]: it takes `admin` on the workspace's root.
    pub fn set_intelligence(&self, name: &str, intelligence: bool) -> Result<WorkspaceInfo> {
        let name = self.seen_workspace(name)?.row.name.clone();
        let root = format!("/{name}");
        let rule = self.authorize_seen("workspace.update", Verb::Admin, &root)?;
        let set = self.engine.set_intelligence(&name, intelligence);
        self.note_failure("workspace.update", Verb::Admin, &root, set)?;
        self.record("workspace.update", Verb::Admin, &root, "", Outcome::Allowed, &rule)?;
        self.workspace(name.as_str())
    }

    /// Forgets a workspace. The folder of an attached one stays; that of one that Waypost made is deleted only with
    /// `and_files`.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Forbidden`] for all but the admin.
    pub fn remove_workspace(&self, name: &str, and_files: bool) -> Result<()> {
        // One whose folder is missing can't be seen, and is still to be let go.
        let lost = self.engine.unavailable().into_iter().find(|(lost, _)| lost.as_str() == name);
        let name = match lost.filter(|_| self.is_admin()) {
            Some((lost, _)) => lost,
            None => self.seen_workspace(name)?.row.name.clone(),
        };
        let root = format!("/{name}");
        let rule = self.require_admin("workspace.remove", &root)?;
        let removed = self.engine.remove_workspace(&name, and_files);
        self.note_failure("workspace.remove", Verb::Admin, &root, removed)?;
        self.record("workspace.remove", Verb::Admin, &root, "", Outcome::Allowed, &rule)
    }
}
