use std::sync::Arc;

use super::approvals::GatedAct;
use super::error::{Error, Result};
use super::files::unified_diff;
use super::replies::{EditReply, TextEdit, WriteReply};
use super::session::Session;
use super::workspace::OpenWorkspace;
use crate::access::{self, Target, Verb};
use crate::change::{self, Author, ChangeError, Done, Expected, Step};
use crate::id::{RelPath, VersionId, WorkspaceName, join_path};
use crate::journal::Outcome;

/// How often a change that stands on no version is tried again when somebody was faster.
const MAX_TRIES: usize = 1000;
/// Files in one move, copy or removal of a folder at most.
const MAX_FILES: usize = 10_000;

/// What a change stands on.
#[derive(Debug, Clone, Default)]
pub struct WriteOptions {
    /// What must stand under the path.
    pub expected: Expected,
    /// The fence of the lock that it stands under.
    pub fence: Option<u64>,
}

/// One file, with the right to change it.
pub(super) struct Site {
    pub workspace: Arc<OpenWorkspace>,
    pub path: RelPath,
    pub full: String,
    pub rule: String,
    /// Who lets it through the gate before it; `None` where there is none.
    pub approved_by: Option<String>,
}

impl Site {
    /// A place, without a right to anything.
    pub(super) fn bare(workspace: &Arc<OpenWorkspace>, path: &RelPath, full: &str) -> Self {
        Self {
            workspace: Arc::clone(workspace),
            path: path.clone(),
            full: full.to_owned(),
            rule: String::new(),
            approved_by: None,
        }
    }
}

impl Session {
    /// Puts bytes under a path.
    ///
    /// # Errors
    /// [`Error::Forbidden`], [`Error::NotFound`], [`Error::ApprovalRequired`], or a [`ChangeError`]: version, lock, name.
    pub fn write_file(&self, path: &str, bytes: &[u8], options: &WriteOptions) -> Result<WriteReply> {
        self.put("file.write", path, bytes, options)
    }

    fn put(
        &self,
        action: &'static str,
        path: &str,
        bytes: &[u8],
        options: &WriteOptions,
    ) -> Result<WriteReply> {
        self.check_precondition(path, options)?;
        let site = self.site(action, Verb::Write, path, || {
            let version = VersionId::of(bytes);
            Ok(GatedAct::Write { version, expected: self.version_at(path)?, path: path.to_owned() })
        });
        let site = match site {
            Err(Gated::Wait(waiting)) => {
                let staged = self.engine.blobs.stage(bytes)?;
                let Waiting { act, gate, site } = *waiting;
                return Err(self.ask_approval(action, &act, &gate, &site, Some(&staged))?);
            }
            Err(Gated::Refused(error)) => return Err(error),
            Ok(site) => site,
        };
        let place = self.engine.place(&site.workspace);
        let put = || -> Result<Vec<Done>> {
            let prepared = change::prepare(&place, &site.path, bytes, site.approved_by.as_deref())?;
            let expected = options.expected.clone();
            let step = Step::Put { place, path: site.path.clone(), expected, prepared, from: None };
            self.execute(action, Verb::Write, vec![step], &site, options.fence)
        };
        let done = put().map_err(|error| self.without_hidden_name(error));
        let done = self.note_failure(action, Verb::Write, path, done)?;
        self.reply(path, done.first())
    }

    /// An error that names nothing which may not be read.
    fn without_hidden_name(&self, error: Error) -> Error {
        match error {
            Error::Change(ChangeError::NameConflict { path, .. })
                if !self.decide(Verb::Read, &path).allowed =>
            {
                Error::Change(ChangeError::NameConflict { path, other: "another name".to_owned() })
            }
            other => other,
        }
    }

    /// Runs steps, with their record in the same transaction, and tells the indexer.
    pub(super) fn execute(
        &self,
        action: &'static str,
        verb: Verb,
        steps: Vec<Step<'_>>,
        site: &Site,
        fence: Option<u64>,
    ) -> Result<Vec<Done>> {
        let policy = self.engine.policy();
        let author = Author {
            principal: &self.actor.principal,
            approved_by: site.approved_by.as_deref(),
            fence,
            trace: Some(&self.trace),
            may_write: &|principal, path| access::may_write(&policy, principal, path),
        };
        let done = change::execute(steps, author, &mut |tx, done| {
            done.iter().try_for_each(|done| {
                let version =
                    done.after.or(done.before).map(|version| version.to_string()).unwrap_or_default();
                self.record_in(tx, action, verb, &done.path, &version, &site.rule)
            })
        })?;
        self.engine.wake(&site.workspace.row.name);
        Ok(done)
    }

    /// A precondition tells what stands there, so it takes `read`.
    fn check_precondition(&self, path: &str, options: &WriteOptions) -> Result<()> {
        if options.expected == Expected::Any || self.decide(Verb::Read, path).allowed {
            return Ok(());
        }
        if !self.decide(Verb::Write, path).allowed {
            return Ok(());
        }
        self.record("file.precondition", Verb::Read, path, "", Outcome::Denied, "default")?;
        let principal = self.actor.principal.clone();
        Err(Error::Forbidden { principal, verb: "read", path: path.to_owned() })
    }

    pub(super) fn reply(&self, path: &str, done: Option<&Done>) -> Result<WriteReply> {
        let absent = || Error::NotFound { what: "file", name: path.to_owned() };
        let done = done.ok_or_else(absent)?;
        // Who may not read must not learn whether something was there.
        let may_read = self.decide(Verb::Read, &done.path).allowed;
        Ok(WriteReply {
            path: done.path.clone(),
            version: done.after,
            size: done.size_bytes,
            mime_type: done.mime_type.clone(),
            seq: self.show_seq(done.seq)?,
            created: done.created || !may_read,
            previous: done.before.filter(|_| may_read),
        })
    }

    fn version_at(&self, path: &str) -> Result<Option<VersionId>> {
        let (name, below) = self.split(path, "file")?;
        let Some(workspace) = self.engine.workspace(&name) else { return Ok(None) };
        Ok(workspace.tree.read(&below, u64::MAX)?.map(|(bytes, _)| VersionId::of(&bytes)))
    }

    /// Replaces exact texts, each of which must stand in the file once, and gives the difference.
    ///
    /// # Errors
    /// As [`Self::write_file`]; [`Error::EditMismatch`]; with `dry_run` nothing is written.
    pub fn edit_file(
        &self,
        path: &str,
        edits: &[TextEdit],
        options: &WriteOptions,
        dry_run: bool,
    ) -> Result<EditReply> {
        let mut tries = 0;
        loop {
            tries += 1;
            let file = self.read_file(path, None, None)?;
            if let Expected::OneOf(versions) = &options.expected
                && !versions.contains(&file.version)
            {
                let versions: Vec<String> = versions.iter().map(ToString::to_string).collect();
                return Err(Error::Change(ChangeError::VersionConflict {
                    path: path.to_owned(),
                    expected: format!("version {}", versions.join(" or ")),
                    found: format!("version `{}`", file.version),
                }));
            }
            let before = String::from_utf8(file.bytes).map_err(|_| Error::Invalid {
                field: "path",
                found: format!("`{path}`, which is {}", file.mime_type),
                expected: "a UTF-8 text file".to_owned(),
            })?;
            let after = self.note_failure("file.edit", Verb::Write, path, apply(path, &before, edits))?;
            let diff = unified_diff(&before, &after, path);
            if dry_run || after == before {
                return Ok(EditReply { diff, written: None });
            }
            let standing_on =
                WriteOptions { expected: Expected::OneOf(vec![file.version]), ..options.clone() };
            match self.put("file.edit", path, after.as_bytes(), &standing_on) {
                Err(Error::Change(ChangeError::VersionConflict { .. }))
                    if options.expected == Expected::Any && tries < MAX_TRIES => {}
                written => return Ok(EditReply { diff, written: Some(written?) }),
            }
        }
    }

    /// Adds bytes at a file's end; makes the file where there is none.
    ///
    /// # Errors
    /// As [`Self::write_file`]. It takes `read` as well, for the new version tells of all bytes.
    pub fn append_file(&self, path: &str, bytes: &[u8], options: &WriteOptions) -> Result<WriteReply> {
        self.authorize("file.append", Verb::Read, path, "file")?;
        self.authorize("file.append", Verb::Write, path, "file")?;
        let mut tries = 0;
        loop {
            tries += 1;
            let (name, below) = self.split(path, "file")?;
            let absent = || Error::NotFound { what: "file", name: path.to_owned() };
            let workspace = self.engine.workspace(&name).ok_or_else(absent)?;
            let before = workspace.tree.read(&below, u64::MAX)?.map(|(bytes, _)| bytes);
            let standing_on = match (&options.expected, &before) {
                (Expected::Any, Some(before)) => Expected::OneOf(vec![VersionId::of(before)]),
                (Expected::Any, None) => Expected::Absent,
                (given, _) => given.clone(),
            };
            let whole = [before.unwrap_or_default().as_slice(), bytes].concat();
            let standing_on = WriteOptions { expected: standing_on, ..options.clone() };
            match self.put("file.append", path, &whole, &standing_on) {
                Err(Error::Change(ChangeError::VersionConflict { .. }))
                    if options.expected == Expected::Any && tries < MAX_TRIES => {}
                written => return written,
            }
        }
    }

    /// Makes an older version the newest one again; that too can be undone.
    ///
    /// # Errors
    /// As [`Self::write_file`]; [`Error::NotFound`] for a version that the path never had, or that is pruned.
    pub fn restore_version(&self, path: &str, version: &str, options: &WriteOptions) -> Result<WriteReply> {
        let old = self.read_file(path, Some(version), None)?;
        self.put("file.restore", path, &old.bytes, options)
    }

    /// Takes a file away, or, with `recursive`, a folder with every file in it that may be deleted.
    ///
    /// # Errors
    /// As [`Self::write_file`].
    pub fn delete(&self, path: &str, options: &WriteOptions, recursive: bool) -> Result<WriteReply> {
        let (name, below) = self.split(path, "file")?;
        if self.is_folder(&name, &below)? {
            self.check_no_version(path, options)?;
            return self.delete_folder(path, &name, &below, recursive, options.fence);
        }
        self.check_precondition(path, options)?;
        let site = self.site("file.delete", Verb::Delete, path, || {
            let version = self.version_at(path)?.ok_or_else(|| absent_file(path))?;
            Ok(GatedAct::Delete { path: path.to_owned(), version })
        });
        let site = match site {
            Err(gated) => return Err(self.wait_or_refuse("file.delete", gated)?),
            Ok(site) => site,
        };
        let place = self.engine.place(&site.workspace);
        let expected = options.expected.clone();
        let step = Step::Remove { place, path: site.path.clone(), expected, to: None };
        let done = self.execute("file.delete", Verb::Delete, vec![step], &site, options.fence);
        let done = self.note_failure("file.delete", Verb::Delete, path, done)?;
        self.reply(path, done.first())
    }

    /// A folder has no version that a change could stand on.
    fn check_no_version(&self, path: &str, options: &WriteOptions) -> Result<()> {
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

    fn is_folder(&self, name: &WorkspaceName, below: &RelPath) -> Result<bool> {
        match self.engine.workspace(name) {
            Some(workspace) => Ok(!below.is_root() && workspace.tree.is_folder(below)?),
            None => Ok(false),
        }
    }

    fn delete_folder(
        &self,
        path: &str,
        name: &WorkspaceName,
        below: &RelPath,
        recursive: bool,
        fence: Option<u64>,
    ) -> Result<WriteReply> {
        let rule = self.authorize("file.delete", Verb::Delete, path, "file")?;
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
        let done = self.execute("file.delete", Verb::Delete, steps, &site, fence);
        let done = self.note_failure("file.delete", Verb::Delete, path, done)?;
        let folders = self.folders_in(&workspace, below)?;
        remove_empty(&workspace, below, &[files, folders].concat());
        let seq = match done.last() {
            Some(last) => last.seq,
            None => {
                self.record("file.delete", Verb::Delete, path, "", Outcome::Allowed, &site.rule)?;
                crate::journal::last_seq(&self.engine.catalog, workspace.row.id)?
            }
        };
        self.folder_reply(&join_path(name, below), seq)
    }

    /// The files of a folder that may be read and taken away; all that may be read must be.
    fn files_to_take(&self, workspace: &OpenWorkspace, below: &RelPath, path: &str) -> Result<Vec<RelPath>> {
        let rows = self.rows_in(&self.scope(Verb::Read), workspace, below)?;
        if rows.len() > MAX_FILES {
            return Err(Error::Invalid {
                field: "path",
                found: format!("`{path}`, with {} files", rows.len()),
                expected: format!("a folder of at most {MAX_FILES} files"),
            });
        }
        let policy = self.engine.policy();
        for row in &rows {
            let full = join_path(&workspace.row.name, &row.path);
            if !self.may_take(&full) {
                return Err(self.refusal(Verb::Delete, &full, "file"));
            }
            if let Some(gate) = policy.gate(Verb::Delete, &full)
                && !self.decide(Verb::Approve, &full).allowed
            {
                return Err(Error::Invalid {
                    field: "path",
                    found: format!("`{path}`, with `{full}` behind gate {}", gate.id),
                    expected: "files behind a gate to be deleted one by one".to_owned(),
                });
            }
        }
        Ok(rows.into_iter().map(|row| row.path).collect())
    }

    /// Moving a file away takes `delete`, or `write` where no rule forbids to delete it.
    fn may_take(&self, path: &str) -> bool {
        let delete = self.decide(Verb::Delete, path);
        delete.allowed || (delete.rule == "default" && self.decide(Verb::Write, path).allowed)
    }

    /// Makes a folder and those above it; one that is there already stays as it is.
    ///
    /// # Errors
    /// As [`Self::write_file`].
    pub fn create_folder(&self, path: &str) -> Result<()> {
        let (name, below) = self.split(path, "folder")?;
        check_new_name(&below)?;
        let rule = self.authorize("folder.create", Verb::Write, path, "folder")?;
        if let Some(gate) = self.engine.policy().gate(Verb::Write, path)
            && !self.decide(Verb::Approve, path).allowed
        {
            self.record("folder.create", Verb::Write, path, "", Outcome::Denied, &gate.id)?;
            return Err(Error::Forbidden {
                principal: self.actor.principal.clone(),
                verb: "approve",
                path: path.to_owned(),
            });
        }
        let make = || -> Result<()> {
            let absent = || Error::NotFound { what: "folder", name: path.to_owned() };
            let workspace = self.engine.workspace(&name).ok_or_else(absent)?;
            if let Some(other) = workspace.tree.folder_clash(&below)? {
                return Err(Error::Change(ChangeError::NameConflict { path: path.to_owned(), other }));
            }
            if workspace.tree.entry(&below)?.is_some() {
                return Err(Error::Change(ChangeError::Exists { path: path.to_owned() }));
            }
            workspace
                .tree
                .make_folder(&below)
                .map_err(|_| Error::Change(ChangeError::NotAFile { path: path.to_owned() }))?;
            Ok(())
        };
        self.note_failure("folder.create", Verb::Write, path, make())?;
        self.record("folder.create", Verb::Write, path, "", Outcome::Allowed, &rule)
    }

    /// Gives a file, or every file of a folder, another path; atomic: of two movers of one file exactly one wins.
    ///
    /// # Errors
    /// As [`Self::write_file`]; [`ChangeError::Missing`] for who came second, [`ChangeError::Exists`] where something
    /// stands at the new path.
    pub fn move_path(&self, from: &str, to: &str, options: &WriteOptions) -> Result<WriteReply> {
        self.carry(from, to, options, true)
    }

    /// Puts a file's bytes, or those of every file of a folder, under another path too.
    ///
    /// # Errors
    /// As [`Self::move_path`].
    pub fn copy_path(&self, from: &str, to: &str, options: &WriteOptions) -> Result<WriteReply> {
        self.carry(from, to, options, false)
    }

    fn carry(&self, from: &str, to: &str, options: &WriteOptions, is_move: bool) -> Result<WriteReply> {
        let action = if is_move { "file.move" } else { "file.copy" };
        let (from_name, from_below) = self.split(from, "file")?;
        let (to_name, to_below) = self.split(to, "file")?;
        self.authorize(action, Verb::Read, from, "file")?;
        if is_move && !self.may_take(from) {
            self.authorize(action, Verb::Delete, from, "file")?;
        }
        if from_name == to_name && from_below == to_below {
            let there = Error::Change(ChangeError::Exists { path: to.to_owned() });
            return self.note_failure(action, Verb::Write, to, Err(there));
        }
        let source = self.engine.workspace(&from_name).ok_or_else(|| absent_file(from));
        let source = self.note_failure(action, Verb::Read, from, source)?;
        if self.is_folder(&from_name, &from_below)? {
            self.check_no_version(from, options)?;
            return self.carry_folder(action, &source, &from_below, to, options.fence, is_move);
        }
        let version = self.version_at(from)?.ok_or_else(|| absent_file(from));
        let version = self.note_failure(action, Verb::Read, from, version)?;
        let act = || {
            let (from, to) = (from.to_owned(), to.to_owned());
            if is_move { GatedAct::Move { from, version, to } } else { GatedAct::Copy { from, version, to } }
        };
        let site = match self.site(action, Verb::Write, to, || Ok(act())) {
            Err(gated) => return Err(self.wait_or_refuse(action, gated)?),
            Ok(site) => site,
        };
        if is_move {
            self.pass_exit(action, from, act)?;
        }
        let carried = || -> Result<Vec<Done>> {
            let steps = self.carry_steps(&source, &from_below, &site, &options.expected, is_move)?;
            self.execute(action, Verb::Write, steps, &site, options.fence)
        };
        let done = carried().map_err(|error| self.without_hidden_name(error));
        let done = self.note_failure(action, Verb::Write, to, done)?;
        self.engine.wake(&source.row.name);
        self.reply(to, done.iter().find(|done| done.path == site.full))
    }

    /// Taking a file out from behind a gate is deleting it there: it waits where that does.
    fn pass_exit(&self, action: &'static str, from: &str, act: impl FnOnce() -> GatedAct) -> Result<()> {
        match self.leave(from)? {
            None => Ok(()),
            Some((gate, site)) => Err(self.ask_approval(action, &act(), &gate, &site, None)?),
        }
    }

    /// The closed gate before taking a file away from its place.
    fn leave(&self, path: &str) -> Result<Option<(String, Site)>> {
        let (name, below) = self.split(path, "file")?;
        let policy = self.engine.policy();
        let full = join_path(&name, &below);
        let Some(gate) = policy.gate(Verb::Delete, &full) else { return Ok(None) };
        if self.decide(Verb::Approve, &full).allowed {
            return Ok(None);
        }
        let workspace = self.engine.workspace(&name).ok_or_else(|| absent_file(path))?;
        Ok(Some((gate.id.clone(), Site::bare(&workspace, &below, &full))))
    }

    /// What it takes to bring one file to its site; everything is allowed already. Who may not read there learns nothing of
    /// what stands there: it is written over.
    fn carry_steps<'a>(
        &'a self,
        source: &'a OpenWorkspace,
        from: &RelPath,
        site: &'a Site,
        expected: &Expected,
        is_move: bool,
    ) -> Result<Vec<Step<'a>>> {
        let from_full = join_path(&source.row.name, from);
        let (here, there) = (self.engine.place(source), self.engine.place(&site.workspace));
        let may_read = self.decide(Verb::Read, &site.full).allowed;
        if is_move && may_read && source.row.id == site.workspace.row.id {
            return Ok(vec![Step::Move {
                place: here,
                from: from.clone(),
                expected: expected.clone(),
                to: site.path.clone(),
                approved_by: site.approved_by.clone(),
            }]);
        }
        let missing = || Error::Change(ChangeError::Missing { path: from_full.clone() });
        let (bytes, _) = source.tree.read(from, u64::MAX)?.ok_or_else(missing)?;
        let version = VersionId::of(&bytes);
        if let Expected::OneOf(versions) = expected
            && !versions.contains(&version)
        {
            return Err(Error::Change(ChangeError::VersionConflict {
                path: from_full,
                expected: "the version that was given".to_owned(),
                found: format!("version `{version}`"),
            }));
        }
        if may_read && site.workspace.tree.is_taken(&site.path)? {
            return Err(Error::Change(ChangeError::Exists { path: site.full.clone() }));
        }
        let prepared = change::prepare(&there, &site.path, &bytes, site.approved_by.as_deref())?;
        let mut steps = vec![Step::Put {
            place: there,
            path: site.path.clone(),
            expected: if may_read { Expected::Absent } else { Expected::Any },
            prepared,
            from: is_move.then(|| from_full.clone()),
        }];
        if is_move {
            let expected = Expected::OneOf(vec![version]);
            steps.push(Step::Remove {
                place: here,
                path: from.clone(),
                expected,
                to: Some(site.full.clone()),
            });
        }
        Ok(steps)
    }

    /// A folder is every file in it that may be read, and its folders; all of it goes, or nothing.
    fn carry_folder(
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
            let rows = self.rows_in(&self.scope(Verb::Read), source, from)?;
            rows.into_iter().map(|row| row.path).collect()
        };
        let target = |below: &RelPath| {
            let rest = below.as_str().get(from.as_str().len()..).unwrap_or_default();
            format!("{}{rest}", join_path(&to_name, &to_below))
        };
        let folders = self.folders_in(source, from)?;
        // Everything must be allowed to go where it goes before the first of it does.
        let rule = self.authorize(action, Verb::Write, to, "folder")?;
        let mut sites = Vec::with_capacity(files.len());
        for file in &files {
            sites.push((file, self.open_site(action, Verb::Write, &target(file))?));
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
        let done = carried().map_err(|error| self.without_hidden_name(error));
        let done = self.note_failure(action, Verb::Write, to, done)?;
        if is_move {
            remove_empty(source, from, &[files, folders].concat());
        }
        self.engine.wake(&source.row.name);
        let last = match done.last() {
            Some(done) => done.seq,
            None => crate::journal::last_seq(&self.engine.catalog, there.row.id)?,
        };
        self.folder_reply(&whole.full, last)
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

    fn folder_reply(&self, path: &str, seq: crate::id::Seq) -> Result<WriteReply> {
        Ok(WriteReply {
            path: path.to_owned(),
            version: None,
            size: 0,
            mime_type: String::new(),
            seq: self.show_seq(seq)?,
            created: false,
            previous: None,
        })
    }

    /// A site whose gate, where there is one, this principal may pass.
    pub(super) fn open_site(&self, action: &'static str, verb: Verb, path: &str) -> Result<Site> {
        let refused = || Error::Forbidden {
            principal: self.actor.principal.clone(),
            verb: "approve",
            path: path.to_owned(),
        };
        self.site(action, verb, path, || Err(refused())).map_err(|gated| match gated {
            Gated::Refused(error) => error,
            Gated::Wait(_) => refused(),
        })
    }

    /// Authorizes a change of one path and asks the gates; `act` says what waits where one is closed.
    pub(super) fn site(
        &self,
        action: &'static str,
        verb: Verb,
        path: &str,
        act: impl FnOnce() -> Result<GatedAct>,
    ) -> std::result::Result<Site, Gated> {
        let (name, below) = self.split(path, "file")?;
        if below.is_root() {
            return Err(Gated::Refused(absent_file(path)));
        }
        if verb == Verb::Write {
            check_new_name(&below)?;
        }
        let rule = self.authorize(action, verb, path, "file")?;
        let workspace = self.engine.workspace(&name).ok_or_else(|| absent_file(path))?;
        let full = join_path(&name, &below);
        let mut site = Site { workspace, path: below, full, rule, approved_by: None };
        let policy = self.engine.policy();
        let Some(gate) = policy.gate(verb, &site.full) else { return Ok(site) };
        let decision = self.actor.decide(&policy, Verb::Approve, Target::Path, &site.full);
        if !decision.allowed {
            return Err(Gated::Wait(Box::new(Waiting { act: act()?, gate: gate.id.clone(), site })));
        }
        site.approved_by = Some(self.actor.principal.clone());
        Ok(site)
    }

    fn wait_or_refuse(&self, action: &'static str, gated: Gated) -> Result<Error> {
        match gated {
            Gated::Refused(error) => Err(error),
            Gated::Wait(waiting) => {
                self.ask_approval(action, &waiting.act, &waiting.gate, &waiting.site, None)
            }
        }
    }
}

/// What somebody with `approve` decides about.
pub(super) struct Waiting {
    pub act: GatedAct,
    pub gate: String,
    pub site: Site,
}

/// Why a change can't be done at once.
pub(super) enum Gated {
    /// Never, or not so.
    Refused(Error),
    /// Somebody with `approve` decides.
    Wait(Box<Waiting>),
}

impl From<Error> for Gated {
    fn from(error: Error) -> Self {
        Self::Refused(error)
    }
}

pub(super) fn absent_file(path: &str) -> Error {
    Error::NotFound { what: "file", name: path.to_owned() }
}

/// Names that some systems read as a device, or can't keep, are not made here; what is there already is read all the same.
fn check_new_name(path: &RelPath) -> Result<()> {
    const RESERVED: [&str; 22] = [
        "con", "prn", "aux", "nul", "com1", "com2", "com3", "com4", "com5", "com6", "com7", "com8", "com9",
        "lpt1", "lpt2", "lpt3", "lpt4", "lpt5", "lpt6", "lpt7", "lpt8", "lpt9",
    ];
    for name in path.as_str().split('/').filter(|name| !name.is_empty()) {
        let stem = name.split('.').next().unwrap_or(name).trim_end().to_ascii_lowercase();
        let is_invisible = |c: char| {
            matches!(
                c,
                '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}'
                    | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
                    | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}'
                    | '\u{e0000}'..='\u{e0fff}'
            )
        };
        let expected = if RESERVED.contains(&stem.as_str()) {
            "a name that is no device on any system"
        } else if name.ends_with(|c: char| c == '.' || c.is_whitespace())
            || name.starts_with(char::is_whitespace)
        {
            "a name without a space or dot at its end"
        } else if name.contains(is_invisible) {
            "a name without invisible or direction characters"
        } else {
            continue;
        };
        return Err(Error::Id(crate::id::IdError::Path {
            path: path.as_str().chars().take(200).collect(),
            expected,
        }));
    }
    Ok(())
}

fn apply(path: &str, before: &str, edits: &[TextEdit]) -> Result<String> {
    let mut text = before.to_owned();
    for (idx, edit) in edits.iter().enumerate() {
        let found = if edit.old_text.is_empty() { 0 } else { text.matches(&edit.old_text).count() };
        if found != 1 {
            return Err(Error::EditMismatch { path: path.to_owned(), edit: idx + 1, found });
        }
        text = text.replacen(&edit.old_text, &edit.new_text, 1);
    }
    Ok(text)
}

/// Takes the folders away that are empty now; one that holds something else stays.
pub(super) fn remove_empty(workspace: &OpenWorkspace, folder: &RelPath, files: &[RelPath]) {
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
    for folder in folders {
        // The removal of a folder that is not empty is refused, which is what is wanted.
        let _ = workspace.tree.remove_folder(&folder);
    }
}
