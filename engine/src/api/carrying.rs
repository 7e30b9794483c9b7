//! Files under another path: moved or copied, one by one.

use super::approvals::GatedAct;
use super::changing::WriteOptions;
use super::error::{Error, Result};
use super::replies::WriteReply;
use super::session::Session;
use super::sites::{Site, absent_file};
use super::workspace::OpenWorkspace;
use crate::access::Verb;
use crate::change::{self, ChangeError, Done, Expected, Step};
use crate::id::{RelPath, VersionId, join_path};

impl Session {
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
    pub(super) fn carry_steps<'a>(
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
}
