//! Carries the rows on from the journal, so that a task is what its file is: dropped by anybody, moved by hand, deleted.
//!
//! The journal only tells where to look. What is decided stands on the files and rows of one transaction, so reading a
//! stretch of the journal twice does no harm, and what Waypost's own operations did is found to be in order.

use std::collections::BTreeMap;

use super::lease::{LeaseTerms, drop_lease, take_lease};
use super::queue::{Queue, Spot, TaskState, spot};
use super::reserved::{drop_reserved, settle_reserved};
use super::rows::{TaskFile, TaskRow, version_at};
use super::spec::{MAX_FILE_BYTES, TaskSpec};
use crate::catalog::{Catalog, CatalogError, FileRow, Tx};
use crate::id::{RelPath, Seq, VersionId, WorkspaceId, WorkspaceName, split_path};
use crate::journal::{self, Event, EventKind, NewEvent};
use crate::store::{Blobs, StoreError};

/// Entries of the journal read at once.
const READ_AT_ONCE: usize = 512;
/// Folders in which a file of a queue may lie.
const FOLDERS: [TaskState; 5] =
    [TaskState::Pending, TaskState::InProgress, TaskState::Review, TaskState::Done, TaskState::Failed];

/// What adopting stands on.
pub struct Adoption<'a> {
    /// The home's catalog.
    pub catalog: &'a Catalog,
    /// The home's blobs.
    pub blobs: &'a Blobs,
    /// Milliseconds since 1970.
    pub now_ms: i64,
    /// The lease of a task that was moved by hand to where it is worked on, in milliseconds.
    pub ttl_ms: i64,
    /// The name of a workspace.
    pub name_of: &'a dyn Fn(WorkspaceId) -> Option<WorkspaceName>,
    /// Gives ids of a kind.
    pub fresh_id: &'a dyn Fn(&str) -> String,
}

/// A file of a queue that something happened to.
struct Touched {
    workspace: WorkspaceId,
    name: WorkspaceName,
    path: RelPath,
    spot: Spot,
    /// Where it came from.
    from: Option<RelPath>,
    actor: String,
    at_ms: i64,
}

/// A file of a queue, with what it says.
struct Found {
    version: VersionId,
    bytes: Vec<u8>,
}

/// Reads the journal from a place on, and gives where it ended.
///
/// # Errors
/// Where catalog or blobs can't be read or written.
pub fn adopt(adoption: &Adoption<'_>, mut cursor: Seq) -> Result<Seq, StoreError> {
    loop {
        let events = journal::events_after(adoption.catalog, cursor, READ_AT_ONCE)?;
        let Some(last) = events.last().map(|event| event.seq) else { return Ok(cursor) };
        let is_full = events.len() == READ_AT_ONCE;
        let mut touched = adoption.touched(&events);
        let mut unsettled = Vec::new();
        for (_, touched) in std::mem::take(&mut touched) {
            if let Some(found) = adoption.look(&touched)? {
                unsettled.push((touched, found));
            }
        }
        if !unsettled.is_empty() || is_full {
            adoption.catalog.write(|tx| {
                adoption.settle(tx, &unsettled)?;
                tx.set_task_cursor(last)?;
                Ok::<_, StoreError>(())
            })?;
        }
        cursor = last;
        if !is_full {
            return Ok(cursor);
        }
    }
}

impl Adoption<'_> {
    /// The files of queues that some events are about, each once.
    fn touched(&self, events: &[Event]) -> BTreeMap<(WorkspaceId, String), Touched> {
        let mut touched = BTreeMap::new();
        for event in events.iter().filter(|event| event.kind.starts_with("file.")) {
            let Some(name) = (self.name_of)(event.workspace) else { continue };
            let Ok(path) = RelPath::new(&event.path) else { continue };
            let Some(spot) = spot(&name, &path) else { continue };
            let from = event.other_path.as_deref().filter(|_| event.kind == "file.moved");
            let from = from.and_then(|from| split_path(from).ok());
            let from = from.filter(|(other, _)| *other == name).map(|(_, below)| below);
            let one = Touched {
                workspace: event.workspace,
                name,
                path,
                spot,
                from,
                actor: event.actor.clone(),
                at_ms: event.occurred_ms,
            };
            touched.insert((event.workspace, event.path.clone()), one);
        }
        touched
    }

    /// What has to be carried on: `None` where file and row agree; in it nothing where the file is gone.
    fn look(&self, touched: &Touched) -> Result<Option<Option<Found>>, StoreError> {
        let file = self.catalog.file(touched.workspace, &touched.path)?;
        let known = version_at(self.catalog, touched.workspace, &touched.path)?;
        if file.as_ref().map(|file| file.state.version) == known {
            return Ok(None);
        }
        let Some(file) = file else { return Ok(Some(None)) };
        let is_short = file.state.size_bytes <= MAX_FILE_BYTES as u64;
        let bytes = if is_short { self.blobs.get(file.state.version)? } else { None };
        Ok(Some(Some(Found { version: file.state.version, bytes: bytes.unwrap_or_default() })))
    }

    fn settle(&self, tx: &Tx<'_>, unsettled: &[(Touched, Option<Found>)]) -> Result<(), StoreError> {
        // What is there comes first: a file that was moved takes its row along before the row is missed.
        for (touched, found) in unsettled {
            let Some(found) = found else { continue };
            let file = tx.file(touched.workspace, &touched.path)?;
            // What has moved on meanwhile is told by a later entry.
            if let Some(file) = file.filter(|file| file.state.version == found.version) {
                self.settle_present(tx, touched, &file, found)?;
            }
        }
        for (touched, found) in unsettled {
            if found.is_none() && tx.file(touched.workspace, &touched.path)?.is_none() {
                self.settle_absent(tx, touched)?;
            }
        }
        Ok(())
    }

    fn settle_present(
        &self,
        tx: &Tx<'_>,
        touched: &Touched,
        file: &FileRow,
        found: &Found,
    ) -> Result<(), StoreError> {
        if let Some(row) = tx.task_at(touched.workspace, &touched.path)? {
            return self.refresh(tx, row, touched, file, found);
        }
        match origin(tx, touched)? {
            Some(row) => self.follow(tx, row, touched, &touched.spot, &touched.path, file),
            None => self.create(tx, touched, file, found),
        }
    }

    /// Takes up what was changed about a task while nobody works on it.
    fn refresh(
        &self,
        tx: &Tx<'_>,
        mut row: TaskRow,
        touched: &Touched,
        file: &FileRow,
        found: &Found,
    ) -> Result<(), StoreError> {
        if row.version == found.version {
            return Ok(());
        }
        if matches!(row.state, TaskState::Pending | TaskState::Waiting) {
            let (spec, _, notes) = TaskSpec::read(&touched.spot.name, &found.bytes);
            row.spec = addressed(spec, &touched.spot.queue);
            if row.attempts == 0 {
                row.last_error = None;
            }
            row.last_error = unread(&notes).or(row.last_error.take());
            row.note(self.now_ms, &touched.actor, "changed", None);
            notes.iter().for_each(|note| row.note(self.now_ms, &touched.actor, "noted", Some(note)));
        }
        (row.version, row.size_bytes) = (file.state.version, file.state.size_bytes);
        Ok(tx.put_task(&mut row)?)
    }

    /// A file that lies in another folder now: its task stands where the folder says.
    fn follow(
        &self,
        tx: &Tx<'_>,
        mut row: TaskRow,
        touched: &Touched,
        spot: &Spot,
        path: &RelPath,
        file: &FileRow,
    ) -> Result<(), StoreError> {
        let is_again = matches!(row.state, TaskState::Review | TaskState::Done | TaskState::Failed);
        drop_lease(tx, &mut row)?;
        row.path = path.clone();
        (row.version, row.size_bytes) = (file.state.version, file.state.size_bytes);
        if let Some(to) = spot.queue.addressee() {
            row.spec.to = Some(to);
        }
        if is_again && spot.state == TaskState::Pending {
            // Whoever puts it back by hand gives it all its attempts again.
            (row.attempts, row.troubles, row.last_error) = (0, 0, None);
        }
        (row.not_before_ms, row.approval) = (0, None);
        row.note(self.now_ms, &touched.actor, "moved", Some(path.as_str()));
        self.enter(tx, &mut row, touched, spot.state)?;
        settle_reserved(tx, &mut row, None, self.now_ms)?;
        tx.put_task(&mut row)?;
        let kind = match spot.state {
            TaskState::Pending | TaskState::Waiting => EventKind::TaskCreated,
            TaskState::InProgress => EventKind::TaskClaimed,
            TaskState::Review | TaskState::Done => EventKind::TaskCompleted,
            TaskState::Failed => EventKind::TaskFailed,
        };
        self.tell(tx, kind, &row, touched)
    }

    /// A file that nobody knows yet.
    fn create(
        &self,
        tx: &Tx<'_>,
        touched: &Touched,
        file: &FileRow,
        found: &Found,
    ) -> Result<(), StoreError> {
        let (spec, id, notes) = TaskSpec::read(&touched.spot.name, &found.bytes);
        // A copy of a task's file is a task of its own.
        let id = match id {
            Some(id) if tx.task(&id)?.is_none() => id,
            _ => (self.fresh_id)("tk"),
        };
        let file = TaskFile {
            workspace: touched.workspace,
            path: touched.path.clone(),
            version: file.state.version,
            size_bytes: file.state.size_bytes,
        };
        let spec = addressed(spec, &touched.spot.queue);
        let mut row = TaskRow::new(id, file, spec, &touched.actor, touched.at_ms);
        row.last_error = unread(&notes);
        notes.iter().for_each(|note| row.note(touched.at_ms, &touched.actor, "noted", Some(note)));
        self.enter(tx, &mut row, touched, touched.spot.state)?;
        tx.put_task(&mut row)?;
        if touched.spot.state == TaskState::Pending {
            self.tell(tx, EventKind::TaskCreated, &row, touched)?;
        }
        Ok(())
    }

    /// A file that is gone: its task goes as well, unless the file lies in another folder of the queue.
    fn settle_absent(&self, tx: &Tx<'_>, touched: &Touched) -> Result<(), StoreError> {
        let Some(mut row) = tx.task_at(touched.workspace, &touched.path)? else { return Ok(()) };
        for state in FOLDERS {
            let path = touched.spot.queue.path(state, &touched.spot.name);
            if let Some(file) = tx.file(touched.workspace, &path)?
                && tx.task_at(touched.workspace, &path)?.is_none()
            {
                let spot = Spot { state, ..touched.spot.clone() };
                return self.follow(tx, row, touched, &spot, &path, &file);
            }
        }
        drop_lease(tx, &mut row)?;
        drop_reserved(tx, &row, self.now_ms)?;
        Ok(tx.remove_task(&row.id)?)
    }

    fn enter(
        &self,
        tx: &Tx<'_>,
        row: &mut TaskRow,
        touched: &Touched,
        state: TaskState,
    ) -> Result<(), StoreError> {
        row.state = state;
        if state != TaskState::InProgress {
            return Ok(());
        }
        let terms = LeaseTerms {
            principal: &touched.actor,
            now_ms: self.now_ms,
            ttl_ms: self.ttl_ms,
            fresh_id: self.fresh_id,
            // Whoever put it there passed the locks of others already.
            concerns: &|_, _| false,
        };
        take_lease(tx, row, &touched.name, &terms)
    }

    fn tell(&self, tx: &Tx<'_>, kind: EventKind, row: &TaskRow, touched: &Touched) -> Result<(), StoreError> {
        tx.append_event(&NewEvent {
            kind,
            workspace: row.workspace,
            path: row.path.as_str(),
            data: Some(&row.told(None).to_string()),
            actor: &touched.actor,
            trace: None,
            occurred_ms: self.now_ms,
        })?;
        Ok(())
    }
}

/// What of a task's file could not be understood, as whoever looks at the task first sees it.
fn unread(notes: &[String]) -> Option<String> {
    (!notes.is_empty()).then(|| notes.join("; "))
}

fn addressed(spec: TaskSpec, queue: &Queue) -> TaskSpec {
    TaskSpec { to: queue.addressee().or(spec.to.clone()), ..spec }
}

/// The task whose file this was under another name: where the journal says that it came from, or in another folder of the
/// queue, from which it is gone.
fn origin(tx: &Tx<'_>, touched: &Touched) -> Result<Option<TaskRow>, CatalogError> {
    let folders = FOLDERS.map(|state| touched.spot.queue.path(state, &touched.spot.name));
    for path in touched.from.iter().chain(&folders).filter(|path| **path != touched.path) {
        if tx.file(touched.workspace, path)?.is_none()
            && let Some(row) = tx.task_at(touched.workspace, path)?
        {
            return Ok(Some(row));
        }
    }
    Ok(None)
}
