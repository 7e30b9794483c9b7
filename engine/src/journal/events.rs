//! The journal as others follow it: what happened, in order, files and everything else.

use rusqlite::{OptionalExtension, Row, params};

use super::Cause;
use crate::catalog::{Catalog, CatalogError, FileRow, Tx};
use crate::id::{Seq, VersionId, WorkspaceId};

/// Who makes a file's change to be found.
const INDEXER: &str = "indexer";

/// What can happen. Names are a promise.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EventKind {
    /// A path that was not there.
    FileCreated,
    /// Other bytes under the same path.
    FileUpdated,
    /// The path is gone.
    FileDeleted,
    /// A file under another path.
    FileMoved,
    /// An act waits at a gate.
    ApprovalRequested,
    /// It was let through.
    ApprovalGranted,
    /// It was not.
    ApprovalDenied,
    /// Somebody published on a topic.
    TopicPublished,
    /// A task waits for whoever can do it.
    TaskCreated,
    /// Somebody holds it under a lease.
    TaskClaimed,
    /// It is done, or waits for review.
    TaskCompleted,
    /// It could not be done, for now or for good.
    TaskFailed,
    /// A reviewer sent it back.
    TaskRejected,
    /// Its lease ran out, and others may have it.
    TaskExpired,
    /// An intent was handed to an agent; the path is its task's.
    AgentDispatched,
    /// A webhook's endpoint has been dead for so long that it is left alone. Only its owner is told.
    WebhookPaused,
    /// A budget has no room left. Only the principal that met its end is told, and the owner.
    BudgetExceeded,
    /// Agents hand each other the same thing again and again.
    LoopDetected,
    /// What was to be fetched into a path could not be.
    ImportFailed,
    /// A file's last change can be found. There is one for each change of a file, so who wants them names the kind.
    IndexUpdated,
}

impl EventKind {
    /// All of them.
    pub const ALL: [Self; 20] = [
        Self::FileCreated,
        Self::FileUpdated,
        Self::FileDeleted,
        Self::FileMoved,
        Self::ApprovalRequested,
        Self::ApprovalGranted,
        Self::ApprovalDenied,
        Self::TopicPublished,
        Self::TaskCreated,
        Self::TaskClaimed,
        Self::TaskCompleted,
        Self::TaskFailed,
        Self::TaskRejected,
        Self::TaskExpired,
        Self::AgentDispatched,
        Self::WebhookPaused,
        Self::BudgetExceeded,
        Self::LoopDetected,
        Self::ImportFailed,
        Self::IndexUpdated,
    ];

    /// Its name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::FileCreated => "file.created",
            Self::FileUpdated => "file.updated",
            Self::FileDeleted => "file.deleted",
            Self::FileMoved => "file.moved",
            Self::ApprovalRequested => "approval.requested",
            Self::ApprovalGranted => "approval.granted",
            Self::ApprovalDenied => "approval.denied",
            Self::TopicPublished => "topic.published",
            Self::TaskCreated => "task.created",
            Self::TaskClaimed => "task.claimed",
            Self::TaskCompleted => "task.completed",
            Self::TaskFailed => "task.failed",
            Self::TaskRejected => "task.rejected",
            Self::TaskExpired => "task.expired",
            Self::AgentDispatched => "agent.dispatched",
            Self::WebhookPaused => "webhook.paused",
            Self::BudgetExceeded => "budget.exceeded",
            Self::LoopDetected => "loop.detected",
            Self::ImportFailed => "import.failed",
            Self::IndexUpdated => "index.updated",
        }
    }
}

/// Something that happened and is no change of a file.
#[derive(Debug, Clone)]
pub struct NewEvent<'a> {
    /// What.
    pub kind: EventKind,
    /// In which workspace.
    pub workspace: WorkspaceId,
    /// The path that it is about, below the workspace's root: who may read it is told.
    pub path: &'a str,
    /// More, as JSON.
    pub data: Option<&'a str>,
    /// Who did it.
    pub actor: &'a str,
    /// The request that it belongs to.
    pub trace: Option<Cause<'a>>,
    /// Milliseconds since 1970.
    pub occurred_ms: i64,
}

/// An entry of the journal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// Its place in the order.
    pub seq: Seq,
    /// See [`EventKind::as_str`].
    pub kind: String,
    /// In which workspace.
    pub workspace: WorkspaceId,
    /// Below the workspace's root.
    pub path: String,
    /// The bytes after it.
    pub version: Option<VersionId>,
    /// The bytes that a deletion took away; `None` where an older format did not note them.
    pub gone: Option<VersionId>,
    /// The length of either; of what is no change of a file: of the file that stood at the path.
    pub size_bytes: u64,
    /// By content, of the same; empty where there was no file.
    pub mime_type: String,
    /// The other end of a move, `/workspace/…`.
    pub other_path: Option<String>,
    /// Who did it.
    pub actor: String,
    /// Who let it through a gate.
    pub approved_by: Option<String>,
    /// The request that it belongs to.
    pub trace: Option<String>,
    /// See [`Cause::traceparent`].
    pub traceparent: Option<String>,
    /// More, as JSON.
    pub data: Option<String>,
    /// Milliseconds since 1970.
    pub occurred_ms: i64,
}

impl Tx<'_> {
    /// Writes down something that is no change of a file, with what the catalog knows of the file at its path.
    ///
    /// # Errors
    /// [`CatalogError::Sqlite`].
    pub fn append_event(&self, event: &NewEvent<'_>) -> Result<Seq, CatalogError> {
        self.sql()
            .prepare_cached(
                "INSERT INTO journal (kind, workspace, file, path, size_bytes, mime_type, actor, occurred_ms, trace, data,
                                      traceparent)
                 VALUES (?1, ?2, 0, ?3,
                         coalesce((SELECT size_bytes FROM files WHERE workspace = ?2 AND path = ?3), 0),
                         coalesce((SELECT mime_type FROM files WHERE workspace = ?2 AND path = ?3), ''),
                         ?4, ?5, ?6, ?7, ?8)",
            )?
            .execute(params![
                event.kind.as_str(),
                event.workspace.0,
                event.path,
                event.actor,
                event.occurred_ms,
                event.trace.map(|cause| cause.trace),
                event.data,
                event.trace.and_then(|cause| cause.traceparent),
            ])?;
        self.mark_news();
        Ok(Seq(self.sql().last_insert_rowid() as u64))
    }

    /// Adds that a file of a workspace can be found as it is now. It is no change of the file.
    ///
    /// # Errors
    /// [`CatalogError::Sqlite`].
    pub fn append_indexed(
        &self,
        workspace: WorkspaceId,
        row: &FileRow,
        occurred_ms: i64,
    ) -> Result<(), CatalogError> {
        self.sql()
            .prepare_cached(
                "INSERT INTO journal (kind, workspace, file, path, version, size_bytes, mime_type, actor, occurred_ms)
                 VALUES (?1, ?2, 0, ?3, ?4, ?5, ?6, ?7, ?8)",
            )?
            .execute(params![
                EventKind::IndexUpdated.as_str(),
                workspace.0,
                row.path.as_str(),
                &row.state.version.as_bytes()[..],
                row.state.size_bytes as i64,
                row.state.mime_type,
                INDEXER,
                occurred_ms,
            ])?;
        self.mark_news();
        Ok(())
    }
}

/// What [`read_event`] reads.
pub(super) const COLUMNS: &str = "seq, kind, workspace, path, version, size_bytes, mime_type, other_path, actor, \
                                  approved_by, trace, data, occurred_ms, gone, traceparent";

/// The entries of all workspaces after `cursor`, oldest first, at most `limit`.
///
/// # Errors
/// [`CatalogError::Sqlite`].
pub fn events_after(catalog: &Catalog, cursor: Seq, limit: usize) -> Result<Vec<Event>, CatalogError> {
    catalog.read(|sql| {
        let query = format!("SELECT {COLUMNS} FROM journal WHERE seq > ?1 ORDER BY seq LIMIT ?2");
        let mut statement = sql.prepare_cached(&query)?;
        let rows = statement.query_map(params![cursor.0 as i64, limit as i64], read_event)?;
        Ok(rows.collect::<Result<_, _>>()?)
    })
}

/// The entry of one place.
///
/// # Errors
/// [`CatalogError::Sqlite`].
pub fn event_at(catalog: &Catalog, seq: Seq) -> Result<Option<Event>, CatalogError> {
    catalog.read(|sql| {
        let query = format!("SELECT {COLUMNS} FROM journal WHERE seq = ?1");
        Ok(sql.prepare_cached(&query)?.query_row([seq.0 as i64], read_event).optional()?)
    })
}

/// The first place at or after an instant, in milliseconds since 1970; one beyond the end where there is none.
///
/// # Errors
/// [`CatalogError::Sqlite`].
pub fn seq_at(catalog: &Catalog, at_ms: i64) -> Result<Seq, CatalogError> {
    catalog.read(|sql| {
        let seq: i64 = sql.query_row(
            "SELECT coalesce((SELECT seq FROM journal WHERE occurred_ms >= ?1 ORDER BY seq LIMIT 1),
                             (SELECT coalesce(max(seq), 0) + 1 FROM journal))",
            [at_ms],
            |row| row.get(0),
        )?;
        Ok(Seq(seq as u64))
    })
}

/// The last place up to an instant, in milliseconds since 1970, that instant included.
///
/// # Errors
/// [`CatalogError::Sqlite`].
pub fn last_until(catalog: &Catalog, at_ms: i64) -> Result<Seq, CatalogError> {
    catalog.read(|sql| {
        let query = "SELECT seq FROM journal WHERE occurred_ms <= ?1 ORDER BY seq DESC LIMIT 1";
        let seq: Option<i64> = sql.prepare_cached(query)?.query_row([at_ms], |row| row.get(0)).optional()?;
        Ok(Seq(seq.unwrap_or(0) as u64))
    })
}

/// The newest place that the journal ever gave, in any workspace: also where what stood there is forgotten.
///
/// # Errors
/// [`CatalogError::Sqlite`].
pub fn last_event(catalog: &Catalog) -> Result<Seq, CatalogError> {
    catalog.read(|sql| {
        let seq: i64 = sql
            .prepare_cached("SELECT coalesce(max(seq), 0) FROM sqlite_sequence WHERE name = 'journal'")?
            .query_row([], |row| row.get(0))?;
        Ok(Seq(seq as u64))
    })
}

pub(super) fn read_event(row: &Row<'_>) -> Result<Event, rusqlite::Error> {
    Ok(Event {
        seq: Seq(row.get::<_, i64>(0)? as u64),
        kind: row.get(1)?,
        workspace: WorkspaceId(row.get(2)?),
        path: row.get(3)?,
        version: row.get::<_, Option<[u8; 32]>>(4)?.map(VersionId::from_bytes),
        size_bytes: row.get::<_, i64>(5)? as u64,
        mime_type: row.get(6)?,
        other_path: row.get(7)?,
        actor: row.get(8)?,
        approved_by: row.get(9)?,
        trace: row.get(10)?,
        data: row.get(11)?,
        occurred_ms: row.get(12)?,
        gone: row.get::<_, Option<[u8; 32]>>(13)?.map(VersionId::from_bytes),
        traceparent: row.get(14)?,
    })
}
