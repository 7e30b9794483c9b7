//! Folders: each is the files in it that may be read, and goes or stays as a whole.

use std::sync::Arc;

use super::changing::WriteOptions;
use super::error::{Error, Result};
use super::replies::WriteReply;
use super::session::Session;
use super::sites::{Site, absent_file, check_new_name};
use super::workspace::OpenWorkspace;
use crate::access::Verb;
use crate::change::{ChangeError, Done, Expected, Step};
use crate::id::{RelPath, Seq, WorkspaceName, join_path};
use crate::journal::{self, Outcome};
use crate::pattern::Pattern;

/// Files in one move, copy or removal of a folder at most.
const MAX_FILES: usize = 10_000;

impl Session {
    /// Makes a folder and those above it; one that is there already stays as it is. No gate stands before it, for it brings
    /// no content.
    ///
    /// # Errors
    /// As [`Self::write_file`].
    pub fn create_folder(&self, path: &str) -> Result<WriteReply> {
        self.check_not_private(path)?;
        let (name, below) = self.split(path, "folder")?;
        check_new_name(&below)?;
        let rule = self.authorize("folder.create", Verb::Write, path, "folder")?;
        let was_seen = self.is_folder_seen(&name, &below)?;
        let make = || -> Result<Seq> {
            let absent = || Error::NotFound { what: "folder", name: path.to_owned() };
            let workspace = self.engine.workspace(&name).ok_or_else(absent)?;
            if let Some(other) = workspace.tree.folder_clash(&below)? {
                return Err(Error::Change(ChangeError::NameConflict { path: path.to_owned(), other }));
            }
            if workspace.tree.entry(&below)?.is_some() {
                return Err(Error::Change(ChangeError::Exists { path: path.to_owned() }));
            }
            if !workspace.tree.can_hold_file(&below.join("x"))? {
                return Err(Error::Change(ChangeError::NotAFile { path: path.to_owned() }));
            }
            workspace.tree.check_current()?;
            workspace.tree.make_folder(&below)?;
            Ok(journal::last_event(&self.engine.catalog)?)
        };
        let made = make().map_err(|error| self.without_hidden_name(error));
        let seq = self.note_failure("folder.create", Verb::Write, path, made)?;
        self.record("folder.create", Verb::Write, path, "", Outcome::Allowed, &rule)?;
        Ok(WriteReply { created: !was_seen, ..self.folder_reply(&join_path(&name, &below), seq)? })
    }

    /// A folder has no version that a change could stand on.
    pub(super) fn check_no_version(&self, path: &str, options: &WriteOptions) -> Result<()> {
        if options.expected == Expected::Any {
            return Ok(());
        }
        let refused = Error::Invalid {
            field: "expected_version",
            found: format!("given for `{path}`, which is a folder"),
            expected: "none: only files have versions".to_owned(),
        };
        self.note_failure("folder.change", Verb::Write, path, Err(refused))
    }

    pub(super) fn is_folder(&self, name: &WorkspaceName, below: &RelPath) -> Result<bool> {
        match self.engine.workspace(name) {
            Some(workspace) => Ok(!below.is_root() && workspace.tree.is_folder(below)?),
            None => Ok(false),
        }
    }

    pub(super) fn delete_folder(
        &self,
        path: &str,
        name: &WorkspaceName,
        below: &RelPath,
        recursive: bool,
        options: &WriteOptions,
    ) -> Result<WriteReply> {
        let rule = self.authorize("file.delete", Verb::Delete, path, "file")?;
        // Only now: that it is a folder is told to nobody who may not take it away.
        self.check_no_version(path, options)?;
        let deleted = self.delete_all(path, name, below, rule, recursive, options.fence);
        self.note_failure("file.delete", Verb::Delete, path, deleted)
    }

    fn delete_all(
        &self,
        path: &str,
        name: &WorkspaceName,
        below: &RelPath,
        rule: String,
        recursive: bool,
        fence: Option<u64>,
    ) -> Result<WriteReply> {
        let workspace = self.engine.workspace(name).ok_or_else(|| absent_file(path))?;
        self.engine.take_in(&workspace)?;
        let files = self.files_to_take(&workspace, below, path)?;
        if !files.is_empty() && !recursive {
            return Err(Error::Invalid {
                field: "recursive",
                found: format!("false, and `{path}` holds {} files", files.len()),
                expected: "true, to delete the folder with everything in it".to_owned(),
            });
        }
        let place = self.engine.place(&workspace);
        let steps = files
            .iter()
            .map(|file| Step::Remove { place, path: file.clone(), expected: Expected::Any, to: None })
            .collect();
        let site = Site {
            workspace: Arc::clone(&workspace),
            path: below.clone(),
            full: path.to_owned(),
            rule,
            approved_by: None,
        };
        let done = self.execute("file.delete", Verb::Delete, steps, &site, fence)?;
        let folders = self.folders_in(&workspace, below)?;
        self.remove_empty(&workspace, below, &[files, folders].concat());
        let seq = match done.last() {
            Some(last) => last.seq,
            None => {
                self.record("file.delete", Verb::Delete, path, "", Outcome::Allowed, &site.rule)?;
                journal::last_event(&self.engine.catalog)?
            }
        };
        self.folder_reply(&join_path(name, below), seq)
    }

    /// The files of a folder that may be read and taken away; all that may be read must be.
    fn files_to_take(&self, workspace: &OpenWorkspace, below: &RelPath, path: &str) -> Result<Vec<RelPath>> {
        let files = self.files_to_read(workspace, below, path)?;
        let policy = self.engine.policy();
        for file in &files {
            let full = join_path(&workspace.row.name, file);
            if !self.may_take(&full) {
                return Err(self.refusal(Verb::Delete, &full, "file"));
            }
            if policy.gate(Verb::Delete, &full).is_some() && !self.decide(Verb::Approve, &full).allowed {
                return Err(self.crossing(Verb::Delete, &full));
            }
        }
        Ok(files)
    }

    /// The files of a folder that may be read.
    fn files_to_read(&self, workspace: &OpenWorkspace, below: &RelPath, path: &str) -> Result<Vec<RelPath>> {
        let rows = self.rows_in(&self.scope(Verb::Read), workspace, below)?;
        if rows.len() > MAX_FILES {
            return Err(Error::Invalid {
                field: "path",
                found: format!("`{path}`, with {} files", rows.len()),
                expected: format!("a folder of at most {MAX_FILES} files"),
            });
        }
        Ok(rows.into_iter().map(|row| row.path).collect())
    }

    /// Moving a file away takes `delete`, or `write` where no rule forbids to delete it.
    pub(super) fn may_take(&self, path: &str) -> bool {
        let delete = self.decide(Verb::Delete, path);
        delete.allowed || (delete.rule == "default" && self.decide(Verb::Write, path).allowed)
    }

    /// A folder is every file in it that may be read, and its folders; all of it goes, or nothing.
    pub(super) fn carry_folder(
        &self,
        action: &'static str,
        source: &Arc<OpenWorkspace>,
        from: &RelPath,
        to: &str,
        fence: Option<u64>,
        is_move: bool,
    ) -> Result<WriteReply> {
        let carried = self.carry_all(action, source, from, to, fence, is_move);
        self.note_failure(action, Verb::Write, to, carried)
    }

    fn carry_all(
        &self,
        action: &'static str,
        source: &Arc<OpenWorkspace>,
        from: &RelPath,
        to: &str,
        fence: Option<u64>,
        is_move: bool,
    ) -> Result<WriteReply> {
        let (to_name, to_below) = self.split(to, "folder")?;
        let from_full = join_path(&source.row.name, from);
        if source.row.name == to_name && to_below.is_below(from) {
            return Err(Error::Invalid {
                field: "to",
                found: format!("`{to}`, which lies in `{from_full}`"),
                expected: "a folder outside of it".to_owned(),
            });
        }
        self.engine.take_in(source)?;
        let files = if is_move {
            self.files_to_take(source, from, &from_full)?
        } else {
            self.files_to_read(source, from, &from_full)?
        };
        let target = |below: &RelPath| join_path(&to_name, &below_of(below, from, &to_below));
        let folders = self.folders_in(source, from)?;
        // Everything must be allowed to go where it goes before the first of it does.
        let rule = self.authorize(action, Verb::Write, to, "folder")?;
        let mut sites = Vec::with_capacity(files.len());
        for file in &files {
            sites.push((file, self.site_of_many(action, Verb::Write, &target(file))?));
        }
        let absent = || absent_file(to);
        let there = self.engine.workspace(&to_name).ok_or_else(absent)?;
        let whole = Site {
            workspace: Arc::clone(&there),
            path: to_below.clone(),
            full: join_path(&to_name, &to_below),
            rule,
            approved_by: None,
        };
        let carried = || -> Result<Vec<Done>> {
            for folder in folders.iter().chain([from]) {
                self.create_folder(&target(folder))?;
            }
            let mut steps = Vec::new();
            for (file, site) in &sites {
                steps.extend(self.carry_steps(source, file, site, &Expected::Any, is_move)?);
            }
            self.execute(action, Verb::Write, steps, &whole, fence)
        };
        let was_there = there.tree.is_folder(&to_below)?;
        let done = carried().map_err(|error| {
            if !was_there {
                // Nothing went, so the folders made for it go again.
                let made: Vec<RelPath> =
                    folders.iter().map(|folder| below_of(folder, from, &to_below)).collect();
                remove_empty(&there, &to_below, &made, &|_| true);
            }
            self.without_hidden_name(error)
        })?;
        if is_move {
            self.remove_empty(source, from, &[files, folders].concat());
        }
        self.engine.wake(&source.row.name);
        let last = match done.last() {
            Some(done) => done.seq,
            None => journal::last_event(&self.engine.catalog)?,
        };
        self.folder_reply(&whole.full, last)
    }

    /// Takes the folders away that are empty now. Where a rule may hide something in one from this principal it stays,
    /// whether there is something or not: that it went or stayed would tell.
    pub(super) fn remove_empty(&self, workspace: &OpenWorkspace, folder: &RelPath, files: &[RelPath]) {
        let scope = self.scope(Verb::Read);
        let name = &workspace.row.name;
        let may_go = |folder: &RelPath| scope.holds_all(&Pattern::literal(&join_path(name, folder), true));
        remove_empty(workspace, folder, files, &may_go);
    }

    /// The folders below one that may be seen, outermost first.
    fn folders_in(&self, workspace: &OpenWorkspace, folder: &RelPath) -> Result<Vec<RelPath>> {
        let scope = self.scope(Verb::List);
        let mut found = Vec::new();
        let mut waiting = vec![folder.clone()];
        while let Some(folder) = waiting.pop() {
            for named in workspace.tree.list(&folder)?.unwrap_or_default() {
                let below = folder.join(&named.name);
                if named.is_folder && found.len() < MAX_FILES {
                    waiting.push(below.clone());
                    if scope.allows(&join_path(&workspace.row.name, &below)) {
                        found.push(below);
                    }
                }
            }
        }
        found.sort();
        Ok(found)
    }

    pub(super) fn folder_reply(&self, path: &str, seq: Seq) -> Result<WriteReply> {
        Ok(WriteReply {
            path: path.to_owned(),
            kind: Some("folder"),
            version: None,
            size: None,
            mime_type: String::new(),
            seq: self.show_seq(seq)?,
            created: false,
            previous: None,
        })
    }
}

/// Where a path below `from` comes to lie when `from` becomes `to`.
fn below_of(path: &RelPath, from: &RelPath, to: &RelPath) -> RelPath {
    let rest = path.as_str().get(from.as_str().len()..).unwrap_or_default();
    match rest.strip_prefix('/') {
        Some(rest) => to.join(rest),
        None => to.clone(),
    }
}

/// Takes the folders away that are empty now and may go; one that holds something else stays.
fn remove_empty(
    workspace: &OpenWorkspace,
    folder: &RelPath,
    files: &[RelPath],
    may_go: &dyn Fn(&RelPath) -> bool,
) {
    let mut folders: Vec<RelPath> = vec![folder.clone()];
    for file in files {
        if workspace.tree.is_folder(file).unwrap_or(false) {
            folders.push(file.clone());
        }
        let mut above = file.parent();
        while let Some(parent) = above.filter(|parent| parent.is_below(folder) && parent != folder) {
            above = parent.parent();
            folders.push(parent);
        }
    }
    folders.sort_by(|a, b| b.cmp(a));
    folders.dedup();
    for folder in folders.iter().filter(|folder| may_go(folder)) {
        // The removal of a folder that is not empty is refused, which is what is wanted.
        let _ = workspace.tree.remove_folder(folder);
    }
}
