use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::sync::Arc;

use super::approvals::versions_waiting;
use super::comparing::is_place;
use super::error::{Error, Result};
use super::keys::fresh_id;
use super::replies::{CloneReport, PruneReport, RestoreReport, SnapshotInfo};
use super::session::Session;
use super::sites::Site;
use super::workspace::OpenWorkspace;
use crate::access::{self, Verb};
use crate::change::{self, ChangeError, Expected, Step};
use crate::clock::rfc3339;
use crate::id::{RelPath, Seq, VersionId, WorkspaceId, WorkspaceName, join_path};
use crate::journal::{self, Outcome, PathState};
use crate::store::{self, Snapshot};

/// Longer names of snapshots are refused, in characters.
const MAX_NAME: usize = 200;

/// What old versions are kept for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Retention {
    /// So many newest versions of each path.
    pub versions: Option<usize>,
    /// Every version that was the newest within so many milliseconds.
    pub age_ms: Option<i64>,
}

impl Session {
    /// Names the state of a workspace, or of every workspace that may be changed as a whole. Copies nothing.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Forbidden`]: it takes `write` on the workspace's root; [`ChangeError::Exists`] for a name that
    /// another snapshot of the workspace has.
    pub fn take_snapshot(&self, workspace: Option<&str>, name: &str) -> Result<Vec<SnapshotInfo>> {
        if name.chars().count() > MAX_NAME || name.chars().any(char::is_control) {
            return Err(Error::Invalid {
                field: "name",
                found: "too long, or with control characters".to_owned(),
                expected: format!("at most {MAX_NAME} characters"),
            });
        }
        if is_no_name(name) {
            return Err(Error::Invalid {
                field: "name",
                found: format!("`{name}`, which reads as a time, a `seq` or an id"),
                expected: "a name that can be told from them".to_owned(),
            });
        }
        let workspaces = match workspace {
            Some(name) => vec![self.seen_workspace(name)?],
            None => {
                let may = |workspace: &Arc<OpenWorkspace>| {
                    self.decide(Verb::Write, &format!("/{}", workspace.row.name)).allowed
                };
                self.seen_workspaces()?.into_iter().filter(may).collect()
            }
        };
        if !name.is_empty() {
            workspaces.iter().try_for_each(|workspace| self.check_unused(name, workspace))?;
        }
        workspaces.iter().map(|workspace| self.snapshot_one(workspace, name)).collect()
    }

    /// Refuses a name that would no longer tell which snapshot is meant; of one that may not be seen nothing is told.
    fn check_unused(&self, name: &str, workspace: &OpenWorkspace) -> Result<()> {
        let row = &workspace.row;
        let mut seen = self.seen_snapshots()?.into_iter();
        if seen.any(|(snapshot, _)| snapshot.workspace == row.id && snapshot.name == name) {
            let path = format!("snapshot {name} of /{}", row.name);
            return Err(Error::Change(ChangeError::Exists { path }));
        }
        Ok(())
    }

    fn snapshot_one(&self, workspace: &OpenWorkspace, name: &str) -> Result<SnapshotInfo> {
        let root = format!("/{}", workspace.row.name);
        let rule = self.authorize_seen("snapshot.take", Verb::Write, &root)?;
        self.engine.take_in(workspace)?;
        let id = fresh_id("sn");
        // With the turn taken no write is half way between catalog and tree.
        let turn = self.engine.place(workspace).take_turn();
        let snapshot = self.engine.catalog.write(|tx| {
            // Another one may have taken the name meanwhile; from here on nobody can.
            if !name.is_empty() {
                self.check_unused(name, workspace)?;
            }
            let snapshot =
                tx.take_snapshot(&id, workspace.row.id, name, &self.actor.principal, self.now_ms())?;
            self.record_in(tx, "snapshot.take", Verb::Write, &root, &id, &rule)?;
            Ok::<_, Error>(snapshot)
        })?;
        drop(turn);
        self.show_snapshot(&snapshot, &workspace.row.name)
    }

    fn show_snapshot(&self, snapshot: &Snapshot, workspace: &WorkspaceName) -> Result<SnapshotInfo> {
        Ok(SnapshotInfo {
            id: snapshot.id.clone(),
            workspace: workspace.to_string(),
            name: snapshot.name.clone(),
            seq: self.show_seq(snapshot.seq)?,
            actor: snapshot.actor.clone(),
            created_at: rfc3339(snapshot.created_ms),
        })
    }

    /// The snapshots of all workspaces whose root may be seen, newest first.
    ///
    /// # Errors
    /// Where the catalog can't be read.
    pub fn snapshots(&self) -> Result<Vec<SnapshotInfo>> {
        self.snapshots_of(None)
    }

    /// As [`Self::snapshots`], of one workspace where it is named.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub fn snapshots_of(&self, workspace: Option<&str>) -> Result<Vec<SnapshotInfo>> {
        let only = workspace.map(|name| self.seen_workspace(name)).transpose()?;
        self.record("snapshot.list", Verb::List, "/", "", Outcome::Allowed, "scope")?;
        let is_of = |snapshot: &Snapshot| only.as_ref().is_none_or(|only| only.row.id == snapshot.workspace);
        let seen = self.seen_snapshots()?.into_iter().filter(|(snapshot, _)| is_of(snapshot));
        seen.map(|(snapshot, name)| self.show_snapshot(&snapshot, &name)).collect()
    }

    /// The snapshot of an id, or of a name that no other one has.
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::Invalid`] for a name of several.
    pub fn snapshot(&self, asked: &str) -> Result<SnapshotInfo> {
        let (snapshot, workspace) = self.open_snapshot(asked)?;
        let root = format!("/{}", workspace.row.name);
        self.record("snapshot.read", Verb::List, &root, &snapshot.id, Outcome::Allowed, "scope")?;
        self.show_snapshot(&snapshot, &workspace.row.name)
    }

    /// Newest first, each with its workspace's name.
    fn seen_snapshots(&self) -> Result<Vec<(Snapshot, WorkspaceName)>> {
        let all = store::snapshots(&self.engine.catalog)?.into_iter();
        let named = all.filter_map(|snapshot| {
            let name = self.engine.name_of(snapshot.workspace)?;
            Some((snapshot, name))
        });
        Ok(named.filter(|(_, name)| self.may_see_snapshots(name)).collect())
    }

    fn may_see_snapshots(&self, workspace: &WorkspaceName) -> bool {
        let root = format!("/{workspace}");
        [Verb::List, Verb::Read].into_iter().any(|verb| self.decide(verb, &root).allowed)
    }

    /// The snapshot of an id, or of a name, of all workspaces or of one.
    pub(super) fn seen_snapshot(&self, asked: &str, of: Option<WorkspaceId>) -> Result<Snapshot> {
        let shown = || asked.chars().take(80).collect::<String>();
        let absent = || Error::NotFound { what: "snapshot", name: shown() };
        if let Some(snapshot) = store::snapshot(&self.engine.catalog, asked)? {
            let name = self.engine.name_of(snapshot.workspace).ok_or_else(absent)?;
            return if self.may_see_snapshots(&name) { Ok(snapshot) } else { Err(absent()) };
        }
        let seen = self.seen_snapshots()?.into_iter().map(|(snapshot, _)| snapshot);
        let mut named = seen.filter(|snapshot| {
            !asked.is_empty() && snapshot.name == asked && of.is_none_or(|of| of == snapshot.workspace)
        });
        let found = named.next().ok_or_else(absent)?;
        if named.next().is_some() {
            return Err(Error::Invalid {
                field: "snapshot",
                found: format!("`{}`, the name of several", shown()),
                expected: "the id of one".to_owned(),
            });
        }
        Ok(found)
    }

    /// The place of the newest snapshot of a name, of those that may be seen.
    pub(super) fn snapshot_named(&self, name: &str) -> Result<Option<Seq>> {
        let seen = self.seen_snapshots()?.into_iter();
        let mut named = seen.filter(|(snapshot, _)| snapshot.name == name);
        Ok(named.next().map(|(snapshot, _)| snapshot.seq))
    }

    pub(super) fn open_snapshot(&self, id: &str) -> Result<(Snapshot, Arc<OpenWorkspace>)> {
        let absent = || Error::NotFound { what: "snapshot", name: id.chars().take(80).collect() };
        let seen = self.seen_snapshot(id, None);
        let snapshot = self.note_failure("snapshot.read", Verb::Read, id, seen)?;
        let name = self.engine.name_of(snapshot.workspace).ok_or_else(absent)?;
        let workspace = self.engine.workspace(&name).ok_or_else(absent)?;
        Ok((snapshot, workspace))
    }

    /// Forgets a snapshot; the files stay.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Forbidden`].
    pub fn remove_snapshot(&self, id: &str) -> Result<()> {
        let (snapshot, workspace) = self.open_snapshot(id)?;
        let id = snapshot.id.as_str();
        let root = format!("/{}", workspace.row.name);
        let rule = self.authorize("snapshot.remove", Verb::Write, &root, "snapshot")?;
        self.engine.catalog.write(|tx| -> std::result::Result<(), crate::change::ChangeError> {
            tx.remove_snapshot(id)?;
            self.record_in(tx, "snapshot.remove", Verb::Write, &root, id, &rule)
        })?;
        Ok(())
    }

    /// The files of a workspace after a change, or of today, that this principal may read.
    pub(super) fn states(
        &self,
        workspace: &OpenWorkspace,
        seq: Option<Seq>,
    ) -> Result<BTreeMap<String, PathState>> {
        let seq = match seq {
            Some(seq) => seq,
            None => journal::last_seq(&self.engine.catalog, workspace.row.id)?,
        };
        let scope = self.scope(Verb::Read);
        let mut states = self.engine.states_at(workspace, seq)?;
        states.retain(|path, _| scope.allows(&format!("/{}/{path}", workspace.row.name)));
        Ok(states)
    }

    /// Makes a workspace's files again what they were, as far as this principal may read them; a snapshot of the state
    /// before is taken first, so that this can be undone.
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::Forbidden`] where one of the files that would change may not be changed: none is then.
    pub fn restore_snapshot(&self, id: &str) -> Result<RestoreReport> {
        let (snapshot, workspace) = self.open_snapshot(id)?;
        let root = format!("/{}", workspace.row.name);
        let rule = self.authorize("snapshot.restore", Verb::Write, &root, "snapshot")?;
        self.engine.take_in(&workspace)?;
        let then = self.states(&workspace, Some(snapshot.seq))?;
        let now = self.states(&workspace, None)?;
        let mut report = RestoreReport::default();
        let place = self.engine.place(&workspace);
        let (mut removals, mut puts) = (Vec::new(), Vec::new());
        for path in now.keys().filter(|path| !then.contains_key(*path)) {
            removals.push(self.restored_site(Verb::Delete, &format!("{root}/{path}"))?);
        }
        for (path, state) in &then {
            if now.get(path).is_some_and(|now| now.version == state.version) {
                continue;
            }
            let site = self.restored_site(Verb::Write, &format!("{root}/{path}"))?;
            match self.engine.blobs.get(state.version)? {
                Some(bytes) => puts.push((site, bytes)),
                None => report.pruned.push(site.full),
            }
        }
        // Everything is allowed: now the state before gets its name.
        report.before = self.snapshot_one(&workspace, &format!("before restoring {}", snapshot.id))?.id;
        let site = Site {
            workspace: Arc::clone(&workspace),
            path: RelPath::root(),
            full: root,
            rule,
            approved_by: None,
        };
        // What goes, goes first: a folder may stand where a file was, and the other way round.
        let remove =
            |site: &Site| Step::Remove { place, path: site.path.clone(), expected: Expected::Any, to: None };
        report.removed = removals.len() as u64;
        let steps = removals.iter().map(remove).collect();
        let mut done = self.execute("snapshot.restore", Verb::Write, steps, &site, None)?;
        let gone: Vec<RelPath> = removals.into_iter().map(|site| site.path).collect();
        for folder in gone.iter().filter_map(RelPath::parent).filter(|folder| !folder.is_root()) {
            self.remove_empty(&workspace, &folder, &gone);
        }
        report.restored = puts.len() as u64;
        let steps = puts.iter().map(|(site, bytes)| {
            let prepared = change::prepare(&place, &site.path, bytes, site.approved_by.as_deref())?;
            Ok(Step::Put { place, path: site.path.clone(), expected: Expected::Any, prepared, from: None })
        });
        let steps = steps.collect::<Result<Vec<_>>>()?;
        done.extend(self.execute("snapshot.restore", Verb::Write, steps, &site, None)?);
        let last = match done.last() {
            Some(done) => done.seq,
            None => journal::last_event(&self.engine.catalog)?,
        };
        report.seq = self.show_seq(last)?;
        Ok(report)
    }

    fn restored_site(&self, verb: Verb, path: &str) -> Result<Site> {
        let site = self.site_of_many("snapshot.restore", verb, path);
        match site {
            Err(error @ Error::CrossesGate { .. }) => {
                self.note_failure("snapshot.restore", verb, path, Err(error))
            }
            other => other,
        }
    }

    /// Makes a new workspace with the files that a snapshot shows to this principal.
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::Forbidden`] for who may not make workspaces; [`Error::Invalid`] for a name that is taken.
    pub fn clone_snapshot(&self, id: &str, name: &str) -> Result<CloneReport> {
        let (snapshot, workspace) = self.open_snapshot(id)?;
        let made = self.create_workspace(name, None, true)?;
        let mut report = RestoreReport::default();
        let new = self.seen_workspace(name)?;
        let place = self.engine.place(&new);
        let mut steps = Vec::new();
        for (path, state) in self.states(&workspace, Some(snapshot.seq))? {
            let path = RelPath::new(&path)?;
            let Some(bytes) = self.engine.blobs.get(state.version)? else {
                report.pruned.push(join_path(&workspace.row.name, &path));
                continue;
            };
            report.restored += 1;
            let prepared = change::prepare(&place, &path, &bytes, None)?;
            steps.push(Step::Put { place, path, expected: Expected::Absent, prepared, from: None });
        }
        let site = Site {
            workspace: Arc::clone(&new),
            path: RelPath::new("")?,
            full: format!("/{name}"),
            rule: "owner".to_owned(),
            approved_by: None,
        };
        let done = self.execute("snapshot.clone", Verb::Write, steps, &site, None)?;
        report.seq = self.show_seq(done.last().map_or(Seq(0), |done| done.seq))?;
        Ok(CloneReport { id: made.id, name: made.name, files: report })
    }

    /// Writes a snapshot's files, as far as they may be read, as a tar that GNU and BSD tar read: by path, the same bytes for the
    /// same snapshot. A version that was pruned is an error, never passed over.
    ///
    /// # Errors
    /// [`Error::NotFound`], or what the writer gives.
    pub fn export_snapshot(&self, id: &str, out: &mut dyn Write) -> Result<()> {
        let (snapshot, workspace) = self.open_snapshot(id)?;
        let root = format!("/{}", workspace.row.name);
        self.record("snapshot.export", Verb::Read, &root, &snapshot.id, Outcome::Allowed, "scope")?;
        let failed = |source| Error::Output { what: "the archive", source };
        let mut archive = tar::Builder::new(out);
        for (path, state) in self.states(&workspace, Some(snapshot.seq))? {
            let bytes = self
                .engine
                .blobs
                .get(state.version)?
                .ok_or_else(|| Error::NotFound { what: "version", name: state.version.to_string() })?;
            let mut header = tar::Header::new_gnu();
            header.set_size(bytes.len() as u64);
            header.set_mode(0o644);
            header.set_mtime(u64::try_from(state.occurred_ms / 1000).unwrap_or(0));
            header.set_entry_type(tar::EntryType::Regular);
            let name = format!("{}/{path}", workspace.row.name);
            archive.append_data(&mut header, name, bytes.as_slice()).map_err(failed)?;
        }
        archive.finish().map_err(failed)
    }

    /// Forgets old versions that nothing needs any more: no file of today, no snapshot, no pending approval, and not the
    /// retention. With `dry_run` it only counts.
    ///
    /// # Errors
    /// [`Error::Forbidden`] for all but the admin.
    pub fn prune(&self, retention: Retention, dry_run: bool) -> Result<PruneReport> {
        let rule = self.require_admin("version.prune", "/")?;
        if retention == Retention::default() {
            return Err(Error::Invalid {
                field: "retention",
                found: "neither a count nor an age".to_owned(),
                expected: "versions or days to keep".to_owned(),
            });
        }
        // A backup under way needs what it has named; it holds up no writer, so it is waited for before any turn is taken.
        let _kept = self.engine.pruning.write().unwrap_or_else(|poisoned| poisoned.into_inner());
        // What was staged for a change that is under way must not go: all turns are taken.
        let workspaces = self.engine.open_workspaces();
        let places: Vec<_> = workspaces.iter().map(|workspace| self.engine.place(workspace)).collect();
        let _turns: Vec<_> = places.iter().map(change::Place::take_turn).collect();
        let mut needed = self.needed_versions(retention)?;
        needed.extend(versions_waiting(&access::approvals(&self.engine.catalog)?));
        let unneeded: Vec<(VersionId, u64)> =
            self.engine.blobs.all()?.into_iter().filter(|(version, _)| !needed.contains(version)).collect();
        let report = PruneReport {
            versions: unneeded.len() as u64,
            bytes: unneeded.iter().map(|(_, bytes)| bytes).sum(),
            dry_run,
        };
        if !dry_run {
            let versions: Vec<VersionId> = unneeded.into_iter().map(|(version, _)| version).collect();
            self.engine.blobs.remove(&versions)?;
            let gone: BTreeSet<VersionId> = versions.into_iter().collect();
            self.engine.reader.retain(|version| !gone.contains(&version))?;
            self.record("version.prune", Verb::Admin, "/", "", Outcome::Allowed, &rule)?;
        }
        Ok(report)
    }

    fn needed_versions(&self, retention: Retention) -> Result<BTreeSet<VersionId>> {
        let mut needed = BTreeSet::new();
        let catalog = &self.engine.catalog;
        for workspace in self.engine.open_workspaces() {
            let rows = catalog.files(workspace.row.id)?;
            needed.extend(rows.into_iter().map(|row| row.state.version));
            let cutoff = retention.age_ms.map(|age_ms| self.now_ms() - age_ms);
            needed.extend(journal::retained(catalog, workspace.row.id, retention.versions, cutoff)?);
        }
        for snapshot in store::snapshots(catalog)? {
            let states = journal::state_at(catalog, snapshot.workspace, snapshot.seq)?;
            needed.extend(states.into_values().map(|state| state.version));
        }
        Ok(needed)
    }
}

/// Whether a text could not be told from what names a state otherwise.
fn is_no_name(text: &str) -> bool {
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    is_place(text) || is_number || text.starts_with("sn_")
}
