use super::approvals::GatedAct;
use super::error::{Error, Result};
use super::files::unified_diff;
use super::replies::{EditReply, TextEdit, WriteReply};
use super::session::Session;
use super::sites::{Gated, Site, Waiting, absent_file};
use super::workspace::OpenWorkspace;
use crate::access::{self, Verb};
use crate::catalog::Tx;
use crate::change::{self, Author, ChangeError, Done, Expected, Step};
use crate::id::{RelPath, VersionId, join_path};
use crate::journal::{self, Outcome};
use crate::text;

/// How often a change that stands on no version is tried again when somebody was faster.
const MAX_TRIES: usize = 1000;

/// What a change stands on.
#[derive(Debug, Clone, Default)]
pub struct WriteOptions {
    /// What must stand under the path.
    pub expected: Expected,
    /// The fence of the lock that it stands under.
    pub fence: Option<u64>,
}

/// Runs inside the transaction of a change.
pub(super) type Also<'a> = &'a mut dyn FnMut(&Tx<'_>, &Done) -> std::result::Result<(), ChangeError>;

impl Session {
    /// Puts bytes under a path.
    ///
    /// # Errors
    /// [`Error::Forbidden`], [`Error::NotFound`], [`Error::ApprovalRequired`], or a [`ChangeError`]: version, lock, name.
    pub fn write_file(&self, path: &str, bytes: &[u8], options: &WriteOptions) -> Result<WriteReply> {
        self.put("file.write", path, bytes, options)
    }

    pub(super) fn put(
        &self,
        action: &'static str,
        path: &str,
        bytes: &[u8],
        options: &WriteOptions,
    ) -> Result<WriteReply> {
        self.put_also(action, path, bytes, options, &mut |_, _| Ok(()))
    }

    /// As [`Self::put`], and `also` runs in the transaction of the change. What waits at a gate happens without it.
    pub(super) fn put_also(
        &self,
        action: &'static str,
        path: &str,
        bytes: &[u8],
        options: &WriteOptions,
        also: Also<'_>,
    ) -> Result<WriteReply> {
        self.check_precondition(Verb::Write, path, options)?;
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
        let mut put = || -> Result<Vec<Done>> {
            let prepared = change::prepare(&place, &site.path, bytes, site.approved_by.as_deref())?;
            let expected = options.expected.clone();
            let step = Step::Put { place, path: site.path.clone(), expected, prepared, from: None };
            self.execute_also(action, Verb::Write, vec![step], &site, options.fence, also)
        };
        let done = put().map_err(|error| self.without_hidden_name(error));
        let done = self.note_failure(action, Verb::Write, path, done)?;
        self.reply(path, done.first())
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
        self.execute_also(action, verb, steps, site, fence, &mut |_, _| Ok(()))
    }

    /// As [`Self::execute`], and `also` runs in the transaction for each step.
    fn execute_also(
        &self,
        action: &'static str,
        verb: Verb,
        steps: Vec<Step<'_>>,
        site: &Site,
        fence: Option<u64>,
        also: Also<'_>,
    ) -> Result<Vec<Done>> {
        let policy = self.engine.policy();
        let author = Author {
            principal: &self.actor.principal,
            approved_by: site.approved_by.as_deref(),
            fence,
            trace: Some(self.cause()),
            may_write: &|principal, path| access::may_write(&policy, principal, path),
        };
        let done = change::execute(steps, author, &mut |tx, done| {
            done.iter().try_for_each(|done| {
                let version =
                    done.after.or(done.before).map(|version| version.to_string()).unwrap_or_default();
                also(tx, done)?;
                self.record_in(tx, action, verb, &done.path, &version, &site.rule)
            })
        });
        // Also where it was refused: what another program did there was taken in before, and whoever keeps the indexes opens a
        // folder anew that was moved.
        self.engine.wake(&site.workspace.row.name);
        Ok(done?)
    }

    /// A precondition tells what stands there, so it takes `read`: who may only put files into a drop box learns nothing of
    /// what lies there. Without one a file is put there whatever stands there, which stays among its versions, and the
    /// answer is the same. What has no right to the change itself is refused later, as anywhere.
    ///
    /// Something that can't be written over is told all the same, for one tree can't hold both: a folder where a file shall
    /// be, a file where a folder shall be, and a name that differs only in case.
    pub(super) fn check_precondition(&self, verb: Verb, path: &str, options: &WriteOptions) -> Result<()> {
        if options.expected == Expected::Any || self.decide(Verb::Read, path).allowed {
            return Ok(());
        }
        if !self.decide(verb, path).allowed {
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
            kind: None,
            version: done.after,
            size: Some(done.size_bytes),
            mime_type: done.mime_type.clone(),
            seq: self.show_seq(done.seq)?,
            created: done.created || !may_read,
            previous: done.before.filter(|_| may_read),
        })
    }

    pub(super) fn version_at(&self, path: &str) -> Result<Option<VersionId>> {
        let (name, below) = self.split(path, "file")?;
        let workspace = self.engine.workspace(&name).filter(|_| !below.is_root());
        let Some(workspace) = workspace else { return Ok(None) };
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
                let conflict = Error::Change(ChangeError::VersionConflict {
                    path: path.to_owned(),
                    expected: options.expected.told(),
                    found: format!("version `{}`", file.version),
                });
                return self.note_failure("file.edit", Verb::Write, path, Err(conflict));
            }
            let before = String::from_utf8(file.bytes).map_err(|_| Error::Invalid {
                field: "path",
                found: format!("`{path}`, which is {}", file.mime_type),
                expected: "a UTF-8 text file".to_owned(),
            });
            let before = self.note_failure("file.edit", Verb::Write, path, before)?;
            let after = self.note_failure("file.edit", Verb::Write, path, apply(path, &before, edits))?;
            let diff = unified_diff(&before, &after, path);
            if dry_run || after == before {
                return Ok(EditReply { path: Some(path.to_owned()), diff, written: None });
            }
            let standing_on =
                WriteOptions { expected: Expected::OneOf(vec![file.version]), ..options.clone() };
            match self.put("file.edit", path, after.as_bytes(), &standing_on) {
                Err(Error::Change(ChangeError::VersionConflict { .. }))
                    if options.expected == Expected::Any && tries < MAX_TRIES => {}
                written => return Ok(EditReply { path: None, diff, written: Some(written?) }),
            }
        }
    }

    /// Adds bytes at a file's end; makes the file where there is none. No bytes change nothing of one that is there.
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
            if let Some(before) = before.as_ref().filter(|_| bytes.is_empty()) {
                return self.as_it_stands(path, &workspace, &below, before, options);
            }
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

    /// The answer to a change that changes nothing: what stands there, where it stands as it was expected to.
    fn as_it_stands(
        &self,
        path: &str,
        workspace: &OpenWorkspace,
        below: &RelPath,
        bytes: &[u8],
        options: &WriteOptions,
    ) -> Result<WriteReply> {
        let version = VersionId::of(bytes);
        let is_expected = match &options.expected {
            Expected::Any | Expected::Present => true,
            Expected::Absent => false,
            Expected::OneOf(versions) => versions.contains(&version),
        };
        if !is_expected {
            let (expected, found) = (options.expected.told(), format!("version `{version}`"));
            let conflict = ChangeError::VersionConflict { path: path.to_owned(), expected, found };
            return self.note_failure("file.append", Verb::Write, path, Err(conflict.into()));
        }
        let row = self.engine.catalog.file(workspace.row.id, below)?;
        let seq = match &row {
            Some(row) => row.seq,
            None => journal::last_event(&self.engine.catalog)?,
        };
        self.record("file.append", Verb::Write, path, &version.to_string(), Outcome::Allowed, "unchanged")?;
        Ok(WriteReply {
            path: join_path(&workspace.row.name, below),
            kind: None,
            version: Some(version),
            size: Some(bytes.len() as u64),
            mime_type: text::mime_type(below.file_name(), bytes),
            seq: self.show_seq(seq)?,
            created: false,
            previous: Some(version),
        })
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
        self.check_precondition(Verb::Delete, path, options)?;
        if self.is_folder(&name, &below)? {
            return self.delete_folder(path, &name, &below, recursive, options);
        }
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
}

fn apply(path: &str, before: &str, edits: &[TextEdit]) -> Result<String> {
    let mut text = before.to_owned();
    // Who reads lines seldom sees how they end; what is put in ends as the lines of the file do.
    let n_lines = before.matches('\n').count();
    let in_crlf = n_lines > 0 && before.matches("\r\n").count() == n_lines;
    let as_file = |given: &str| match in_crlf {
        true => given.replace("\r\n", "\n").replace('\n', "\r\n"),
        false => given.to_owned(),
    };
    for (idx, edit) in edits.iter().enumerate() {
        let (old_text, new_text) = (as_file(&edit.old_text), as_file(&edit.new_text));
        let found = if old_text.is_empty() { 0 } else { text.matches(&old_text).count() };
        if found != 1 {
            return Err(Error::EditMismatch { path: path.to_owned(), edit: idx + 1, found });
        }
        text = text.replacen(&old_text, &new_text, 1);
    }
    Ok(text)
}
