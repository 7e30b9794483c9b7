//! Takes changes and acts, gives them back in one order: the durable record that the index, and later every
//! subscriber, reads with a cursor of its own.
//!
//! Nouns: [`Change`] (an entry as the index reads it), [`Past`] (one as people read it), [`Act`] (an entry of the audit
//! chain). An entry is written in the transaction of the change itself. It delivers nothing.

mod audit;
mod compaction;
mod events;
mod filter;
mod groups;
mod history;
mod kept;
mod news;
mod topics;

pub use audit::{Act, AuditBreak, AuditRow, Outcome, Walk, acts, verify_audit};
pub use compaction::{Old, compacted_ms, note_compacted, old_entries, time_of};
pub use events::{Event, EventKind, NewEvent, event_at, events_after, last_event, last_until, seq_at};
pub use filter::{EventFilter, FilterError};
pub use groups::{Given, Group, GroupKey, MAX_GIVEN, Unfinished, groups, may_have_events, unfinished_events};
pub use history::{Past, PathState, history, life_before, retained, state_at};
pub use kept::{KeptReply, MAX_KEPT, kept_reply};
pub use news::News;
pub use topics::{is_on_topic, topic_of};

use rusqlite::{Row, params};

use crate::catalog::{Catalog, CatalogError, Tx};
use crate::id::{FileId, Seq, VersionId, WorkspaceId};

/// What happened to a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChangeKind {
    /// A path that was not there.
    Created,
    /// Other bytes under the same path.
    Updated,
    /// The path is gone.
    Deleted,
    /// The path is there, with what stood under another one.
    Moved,
}

impl ChangeKind {
    /// The event's name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Created => "file.created",
            Self::Updated => "file.updated",
            Self::Deleted => "file.deleted",
            Self::Moved => "file.moved",
        }
    }
}

/// The request that something belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cause<'a> {
    /// The name of its trace.
    pub trace: &'a str,
    /// Its place in a trace of W3C Trace Context, where it has one: the parent of what others do about it.
    pub traceparent: Option<&'a str>,
}

/// A change that is about to be written down.
#[derive(Debug, Clone)]
pub struct NewChange<'a> {
    /// What happened.
    pub kind: ChangeKind,
    /// Where.
    pub workspace: WorkspaceId,
    /// To which file; [`FileId`] 0 while a created file has none yet.
    pub file: FileId,
    /// Its path then.
    pub path: &'a str,
    /// Its bytes after the change.
    pub version: Option<VersionId>,
    /// The bytes that went with a file that is gone.
    pub gone: Option<VersionId>,
    /// The length of either.
    pub size_bytes: u64,
    /// By content, of either.
    pub mime_type: &'a str,
    /// For a move the other end, `/workspace/…`: where a moved file came from, where a deleted one went.
    pub other_path: Option<&'a str>,
    /// Who did it; `external` for edits by other programs.
    pub actor: &'a str,
    /// Who let it through a gate.
    pub approved_by: Option<&'a str>,
    /// The request that it belongs to.
    pub trace: Option<Cause<'a>>,
    /// Milliseconds since 1970.
    pub occurred_ms: i64,
}

/// An entry of the journal, as far as the index needs it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Change {
    /// Its place in the order.
    pub seq: Seq,
    /// The file that it is about.
    pub file: FileId,
}

impl Tx<'_> {
    /// Writes a change down and gives its place.
    ///
    /// # Errors
    /// [`CatalogError::Sqlite`].
    pub fn append(&self, change: &NewChange<'_>) -> Result<Seq, CatalogError> {
        self.sql()
            .prepare_cached(
                "INSERT INTO journal (kind, workspace, file, path, version, size_bytes, actor, occurred_ms, mime_type,
                                      other_path, approved_by, trace, gone, traceparent)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)",
            )?
            .execute(params![
                change.kind.as_str(),
                change.workspace.0,
                change.file.0 as i64,
                change.path,
                change.version.as_ref().map(|version| &version.as_bytes()[..]),
                change.size_bytes as i64,
                change.actor,
                change.occurred_ms,
                change.mime_type,
                change.other_path,
                change.approved_by,
                change.trace.map(|cause| cause.trace),
                change.gone.as_ref().map(|version| &version.as_bytes()[..]),
                change.trace.and_then(|cause| cause.traceparent),
            ])?;
        self.mark_news();
        Ok(Seq(self.sql().last_insert_rowid() as u64))
    }

    /// Completes the entry of a created file with the number that the catalog gave it.
    ///
    /// # Errors
    /// [`CatalogError::Sqlite`].
    pub fn name_file(&self, seq: Seq, file: FileId) -> Result<(), CatalogError> {
        self.sql()
            .prepare_cached("UPDATE journal SET file = ?2 WHERE seq = ?1")?
            .execute(params![seq.0 as i64, file.0 as i64])?;
        Ok(())
    }
}

/// The newest place in the journal of one workspace; 0 when nothing happened yet.
///
/// # Errors
/// [`CatalogError::Sqlite`].
pub fn last_seq(catalog: &Catalog, workspace: WorkspaceId) -> Result<Seq, CatalogError> {
    catalog.read(|sql| {
        let seq: i64 = sql
            .prepare_cached("SELECT coalesce(max(seq), 0) FROM journal WHERE workspace = ?1 AND file > 0")?
            .query_row([workspace.0], |row| row.get(0))?;
        Ok(Seq(seq as u64))
    })
}

/// The changes of one workspace after `cursor`, oldest first, at most `limit`.
///
/// # Errors
/// [`CatalogError::Sqlite`].
pub fn changes_after(
    catalog: &Catalog,
    workspace: WorkspaceId,
    cursor: Seq,
    limit: usize,
) -> Result<Vec<Change>, CatalogError> {
    catalog.read(|sql| {
        let mut statement = sql.prepare_cached(
            "SELECT seq, file FROM journal WHERE workspace = ?1 AND seq > ?2 AND file > 0 ORDER BY seq LIMIT ?3",
        )?;
        let rows = statement.query_map(params![workspace.0, cursor.0 as i64, limit as i64], read_change)?;
        Ok(rows.collect::<Result<_, _>>()?)
    })
}

/// How many different files changed after `cursor`.
///
/// # Errors
/// [`CatalogError::Sqlite`].
pub fn files_after(catalog: &Catalog, workspace: WorkspaceId, cursor: Seq) -> Result<u64, CatalogError> {
    catalog.read(|sql| {
        let count: i64 = sql
            .prepare_cached(
                "SELECT count(DISTINCT file) FROM journal WHERE workspace = ?1 AND seq > ?2 AND file > 0",
            )?
            .query_row(params![workspace.0, cursor.0 as i64], |row| row.get(0))?;
        Ok(count as u64)
    })
}

/// A change of any workspace, as far as who may see it depends on it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Touched {
    /// Its place in the order.
    pub seq: Seq,
    /// In which workspace.
    pub workspace: WorkspaceId,
    /// The file that it is about.
    pub file: FileId,
    /// Below the workspace's root.
    pub path: String,
    /// Milliseconds since 1970.
    pub occurred_ms: i64,
}

/// The changes of all workspaces after `cursor`, oldest first, at most `limit`.
///
/// # Errors
/// [`CatalogError::Sqlite`].
pub fn touched_after(catalog: &Catalog, cursor: Seq, limit: usize) -> Result<Vec<Touched>, CatalogError> {
    catalog.read(|sql| {
        let mut statement = sql.prepare_cached(
            "SELECT seq, workspace, file, path, occurred_ms FROM journal WHERE seq > ?1 ORDER BY seq LIMIT ?2",
        )?;
        let rows = statement.query_map(params![cursor.0 as i64, limit as i64], |row| {
            Ok(Touched {
                seq: Seq(row.get::<_, i64>(0)? as u64),
                workspace: WorkspaceId(row.get(1)?),
                file: FileId(row.get::<_, i64>(2)? as u64),
                path: row.get(3)?,
                occurred_ms: row.get(4)?,
            })
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    })
}

fn read_change(row: &Row<'_>) -> Result<Change, rusqlite::Error> {
    Ok(Change { seq: Seq(row.get::<_, i64>(0)? as u64), file: FileId(row.get::<_, i64>(1)? as u64) })
}

/// Whether a path of a workspace ever had these bytes.
///
/// # Errors
/// [`CatalogError::Sqlite`].
pub fn had_version(
    catalog: &Catalog,
    workspace: WorkspaceId,
    path: &str,
    version: VersionId,
) -> Result<bool, CatalogError> {
    catalog.read(|sql| {
        Ok(sql
            .prepare_cached(
                "SELECT EXISTS (SELECT 1 FROM journal WHERE workspace = ?1 AND path = ?2 AND version = ?3)",
            )?
            .query_row(params![workspace.0, path, &version.as_bytes()[..]], |row| row.get(0))?)
    })
}

/// Whether a file has changed after `cursor`.
///
/// # Errors
/// [`CatalogError::Sqlite`].
pub fn changed_after(catalog: &Catalog, file: FileId, cursor: Seq) -> Result<bool, CatalogError> {
    catalog.read(|sql| {
        Ok(sql.query_row(
            "SELECT EXISTS (SELECT 1 FROM journal WHERE file = ?1 AND seq > ?2)",
            params![file.0 as i64, cursor.0 as i64],
            |row| row.get(0),
        )?)
    })
}
