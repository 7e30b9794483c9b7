//! The catalog's table of tasks.

use rusqlite::types::Type;
use rusqlite::{OptionalExtension, Row, params};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::queue::TaskState;
use super::spec::TaskSpec;
use crate::catalog::{Catalog, CatalogError, Tx};
use crate::clock::rfc3339;
use crate::id::{RelPath, Seq, VersionId, WorkspaceId};

/// Entries of a history that are kept; the oldest go first.
const MAX_HISTORY: usize = 200;

/// Something that was done with a task.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Past {
    /// Milliseconds since 1970.
    pub at_ms: i64,
    /// The principal.
    pub by: String,
    /// Such as `claimed`.
    pub what: String,
    /// In whose words.
    pub reason: Option<String>,
}

impl Past {
    /// As files and replies have it.
    pub fn shown(&self) -> Value {
        let mut shown = json!({"at": rfc3339(self.at_ms), "by": self.by, "what": self.what});
        if let Some(reason) = &self.reason {
            shown["reason"] = json!(reason);
        }
        shown
    }
}

/// Who has a task, and until when.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lease {
    /// The principal.
    pub holder: String,
    /// Of its locks; larger than that of every lease of the task before.
    pub fence: u64,
    /// Milliseconds since 1970.
    pub expires_ms: i64,
    /// The ids of its locks.
    pub locks: Vec<String>,
}

/// What is known of a task.
#[derive(Debug, Clone, PartialEq)]
pub struct TaskRow {
    /// `tk_…`.
    pub id: String,
    /// In which workspace.
    pub workspace: WorkspaceId,
    /// Where its file is, below the workspace's root.
    pub path: RelPath,
    /// Where it stands.
    pub state: TaskState,
    /// What its file says.
    pub spec: TaskSpec,
    /// Who made it; `external` where another program did.
    pub creator: String,
    /// Claims so far.
    pub attempts: u32,
    /// Failures, rejections and leases that ran out, so far.
    pub troubles: u32,
    /// Who has it.
    pub lease: Option<Lease>,
    /// Who had it last.
    pub worker: Option<String>,
    /// Nobody gets it before this, in milliseconds since 1970; while it waits for a person: it is given up then.
    pub not_before_ms: i64,
    /// What a person has to decide.
    pub approval: Option<String>,
    /// Why it did not go on, last.
    pub last_error: Option<String>,
    /// What was done with it, oldest first.
    pub history: Vec<Past>,
    /// What it brought about, `/workspace/…`.
    pub artifacts: Vec<String>,
    /// Of its file.
    pub version: VersionId,
    /// Of its file.
    pub size_bytes: u64,
    /// Milliseconds since 1970.
    pub created_ms: i64,
    /// Milliseconds since 1970.
    pub updated_ms: i64,
    /// Grows with each change: who acts on a row sees by it whether somebody was faster.
    pub revision: i64,
    /// What was reserved for it; ended with it.
    pub reservation: Option<String>,
}

/// The file of a task.
#[derive(Debug, Clone, PartialEq)]
pub struct TaskFile {
    /// In which workspace.
    pub workspace: WorkspaceId,
    /// Below the workspace's root.
    pub path: RelPath,
    /// Its bytes.
    pub version: VersionId,
    /// Their length.
    pub size_bytes: u64,
}

impl TaskRow {
    /// A task that somebody just made, and nobody has had.
    pub fn new(id: String, file: TaskFile, spec: TaskSpec, creator: &str, created_ms: i64) -> Self {
        let mut row = Self {
            id,
            workspace: file.workspace,
            path: file.path,
            state: TaskState::Pending,
            spec,
            creator: creator.to_owned(),
            attempts: 0,
            troubles: 0,
            lease: None,
            worker: None,
            not_before_ms: 0,
            approval: None,
            last_error: None,
            history: Vec::new(),
            artifacts: Vec::new(),
            version: file.version,
            size_bytes: file.size_bytes,
            created_ms,
            updated_ms: created_ms,
            revision: 0,
            reservation: None,
        };
        row.note(created_ms, creator, "created", None);
        row
    }

    /// What events tell of it.
    pub fn told(&self, reason: Option<&str>) -> Value {
        let mut told = json!({
            "task_id": self.id,
            "title": self.spec.title,
            "state": self.state,
            "attempts": self.attempts,
        });
        if let Some(to) = &self.spec.to {
            told["to"] = json!(to);
        }
        if let Some(reason) = reason {
            told["reason"] = json!(reason);
        }
        told
    }

    /// Adds to the history.
    pub fn note(&mut self, at_ms: i64, by: &str, what: &str, reason: Option<&str>) {
        let (by, what, reason) = (by.to_owned(), what.to_owned(), reason.map(str::to_owned));
        self.history.push(Past { at_ms, by, what, reason });
        let surplus = self.history.len().saturating_sub(MAX_HISTORY);
        self.history.drain(..surplus);
        self.updated_ms = at_ms;
    }
}

/// Which tasks; all conditions hold together.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TaskFilter {
    /// Of one workspace.
    pub workspace: Option<WorkspaceId>,
    /// In one state.
    pub state: Option<TaskState>,
    /// For one principal.
    pub to: Option<String>,
}

const COLUMNS: &str = "id, workspace, path, state, spec, creator, attempts, troubles, lease, worker, not_before_ms, \
                       approval, last_error, history, artifacts, version, size_bytes, created_ms, updated_ms, revision, \
                       reservation";

impl Tx<'_> {
    /// Keeps a task, and counts its revision up.
    ///
    /// # Errors
    /// [`CatalogError::Sqlite`].
    pub fn put_task(&self, row: &mut TaskRow) -> Result<(), CatalogError> {
        row.revision += 1;
        self.sql()
            .prepare_cached(
                "INSERT OR REPLACE INTO tasks (id, workspace, path, state, spec, creator, attempts, troubles, lease, worker,
                     not_before_ms, approval, last_error, history, artifacts, version, size_bytes, created_ms, updated_ms,
                     revision, name, addressee, priority, due_ms, lease_ms, reservation)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21,
                         ?22, ?23, ?24, ?25, ?26)",
            )?
            .execute(params![
                row.id,
                row.workspace.0,
                row.path.as_str(),
                row.state.as_str(),
                to_json(&row.spec),
                row.creator,
                row.attempts,
                row.troubles,
                row.lease.as_ref().map(to_json),
                row.worker,
                row.not_before_ms,
                row.approval,
                row.last_error,
                to_json(&row.history),
                to_json(&row.artifacts),
                &row.version.as_bytes()[..],
                row.size_bytes as i64,
                row.created_ms,
                row.updated_ms,
                row.revision,
                row.path.file_name(),
                row.spec.to,
                row.spec.priority,
                row.spec.due_ms.unwrap_or(i64::MAX),
                row.lease.as_ref().map(|lease| lease.expires_ms),
                row.reservation,
            ])?;
        Ok(())
    }

    /// Forgets a task.
    ///
    /// # Errors
    /// [`CatalogError::Sqlite`].
    pub fn remove_task(&self, id: &str) -> Result<(), CatalogError> {
        self.sql().execute("DELETE FROM tasks WHERE id = ?1", [id])?;
        Ok(())
    }

    /// Ends the leases of a principal: its tasks go back as soon as somebody looks.
    ///
    /// # Errors
    /// [`CatalogError::Sqlite`].
    pub fn end_leases_of(&self, holder: &str, now_ms: i64) -> Result<(), CatalogError> {
        self.sql().execute(
            "UPDATE tasks SET lease_ms = ?2, lease = json_set(lease, '$.expires_ms', ?2), revision = revision + 1
             WHERE state = 'in-progress' AND json_extract(lease, '$.holder') = ?1",
            params![holder, now_ms],
        )?;
        Ok(())
    }

    /// A task, as this transaction sees it.
    ///
    /// # Errors
    /// [`CatalogError::Sqlite`].
    pub fn task(&self, id: &str) -> Result<Option<TaskRow>, CatalogError> {
        let query = format!("SELECT {COLUMNS} FROM tasks WHERE id = ?1");
        Ok(self.sql().prepare_cached(&query)?.query_row([id], read_row).optional()?)
    }

    /// The task whose file stands under a path.
    ///
    /// # Errors
    /// [`CatalogError::Sqlite`].
    pub fn task_at(&self, workspace: WorkspaceId, path: &RelPath) -> Result<Option<TaskRow>, CatalogError> {
        let query = format!("SELECT {COLUMNS} FROM tasks WHERE workspace = ?1 AND path = ?2");
        let mut statement = self.sql().prepare_cached(&query)?;
        Ok(statement.query_row(params![workspace.0, path.as_str()], read_row).optional()?)
    }

    /// Remembers how far the journal was read for tasks.
    pub(super) fn set_task_cursor(&self, cursor: Seq) -> Result<(), CatalogError> {
        self.sql().execute(
            "INSERT INTO meta (key, value) VALUES (?1, ?2) ON CONFLICT (key) DO UPDATE SET value = ?2",
            [CURSOR, &cursor.0.to_string()],
        )?;
        Ok(())
    }
}

/// Under which the catalog remembers how far the journal was read for tasks.
const CURSOR: &str = "tasks_cursor";

/// How far the journal was read for tasks, as the catalog remembers it; less than what was really read does no harm.
///
/// # Errors
/// [`CatalogError::Sqlite`].
pub fn task_cursor(catalog: &Catalog) -> Result<Seq, CatalogError> {
    Ok(Seq(catalog.meta(CURSOR)?.and_then(|text| text.parse().ok()).unwrap_or_default()))
}

/// The version that the task under a path has, as far as rows know.
pub(super) fn version_at(
    catalog: &Catalog,
    workspace: WorkspaceId,
    path: &RelPath,
) -> Result<Option<VersionId>, CatalogError> {
    catalog.read(|sql| {
        let version: Option<[u8; 32]> = sql
            .prepare_cached("SELECT version FROM tasks WHERE workspace = ?1 AND path = ?2")?
            .query_row(params![workspace.0, path.as_str()], |row| row.get(0))
            .optional()?;
        Ok(version.map(VersionId::from_bytes))
    })
}

/// A task by its id.
///
/// # Errors
/// [`CatalogError::Sqlite`].
pub fn task(catalog: &Catalog, id: &str) -> Result<Option<TaskRow>, CatalogError> {
    catalog.read(|sql| {
        let query = format!("SELECT {COLUMNS} FROM tasks WHERE id = ?1");
        Ok(sql.prepare_cached(&query)?.query_row([id], read_row).optional()?)
    })
}

/// Tasks, oldest first.
///
/// # Errors
/// [`CatalogError::Sqlite`].
pub fn tasks(catalog: &Catalog, filter: &TaskFilter) -> Result<Vec<TaskRow>, CatalogError> {
    catalog.read(|sql| {
        let query = format!(
            "SELECT {COLUMNS} FROM tasks
             WHERE (?1 IS NULL OR workspace = ?1) AND (?2 IS NULL OR state = ?2) AND (?3 IS NULL OR addressee = ?3)
             ORDER BY created_ms, id"
        );
        let mut statement = sql.prepare_cached(&query)?;
        let (workspace, state) = (filter.workspace.map(|id| id.0), filter.state.map(TaskState::as_str));
        let rows = statement.query_map(params![workspace, state, filter.to], read_row)?;
        Ok(rows.collect::<Result<_, _>>()?)
    })
}

/// Calls `take` for each pending task that is for one principal or for anybody, or without a principal for each, in the
/// order in which they are to be done, until it says that it has enough.
///
/// # Errors
/// [`CatalogError::Sqlite`].
pub fn each_pending(
    catalog: &Catalog,
    workspace: Option<WorkspaceId>,
    principal: Option<&str>,
    now_ms: i64,
    take: &mut dyn FnMut(TaskRow) -> bool,
) -> Result<(), CatalogError> {
    catalog.read(|sql| {
        let query = format!(
            "SELECT {COLUMNS} FROM tasks
             WHERE state = 'pending' AND (?1 IS NULL OR workspace = ?1) AND (?2 IS NULL OR addressee IS NULL OR addressee = ?2)
               AND not_before_ms <= ?3
             ORDER BY priority DESC, due_ms, created_ms, id"
        );
        let mut statement = sql.prepare_cached(&query)?;
        let mut rows = statement.query(params![workspace.map(|id| id.0), principal, now_ms])?;
        while let Some(row) = rows.next()? {
            if !take(read_row(row)?) {
                break;
            }
        }
        Ok(())
    })
}

/// The tasks of a workspace that have an id or a file name, newest first: their paths and states.
///
/// # Errors
/// [`CatalogError::Sqlite`].
pub fn newest_named(
    catalog: &Catalog,
    workspace: WorkspaceId,
    name: &str,
) -> Result<Vec<(RelPath, TaskState)>, CatalogError> {
    catalog.read(|sql| {
        let mut statement = sql.prepare_cached(
            "SELECT path, state, created_ms, id FROM tasks WHERE workspace = ?1 AND name = ?2
             UNION
             SELECT path, state, created_ms, id FROM tasks WHERE workspace = ?1 AND id = ?2
             ORDER BY created_ms DESC, id",
        )?;
        let rows = statement
            .query_map(params![workspace.0, name], |row| Ok((read_path(row, 0)?, read_state(row, 1)?)))?;
        Ok(rows.collect::<Result<_, _>>()?)
    })
}

/// The task that changed last, not before an instant, of those that one principal was given by another and works on no more.
///
/// # Errors
/// [`CatalogError::Sqlite`].
pub fn last_ended(
    catalog: &Catalog,
    to: &str,
    creator: &str,
    since_ms: i64,
) -> Result<Option<TaskRow>, CatalogError> {
    catalog.read(|sql| {
        let query = format!(
            "SELECT {COLUMNS} FROM tasks
             WHERE state IN ('review', 'done', 'failed') AND addressee = ?1 AND creator = ?2 AND updated_ms >= ?3
             ORDER BY updated_ms DESC, id LIMIT 1"
        );
        Ok(sql.prepare_cached(&query)?.query_row(params![to, creator, since_ms], read_row).optional()?)
    })
}

/// Tasks whose lease has run out, and those for which no person has decided in time.
///
/// # Errors
/// [`CatalogError::Sqlite`].
pub fn overdue(catalog: &Catalog, now_ms: i64) -> Result<Vec<TaskRow>, CatalogError> {
    catalog.read(|sql| {
        let query = format!(
            "SELECT {COLUMNS} FROM tasks WHERE state = 'in-progress' AND coalesce(lease_ms, 0) <= ?1
             UNION ALL SELECT {COLUMNS} FROM tasks WHERE state = 'waiting' AND not_before_ms <= ?1"
        );
        let mut statement = sql.prepare_cached(&query)?;
        let rows = statement.query_map([now_ms], read_row)?;
        Ok(rows.collect::<Result<_, _>>()?)
    })
}

fn to_json(value: &impl Serialize) -> String {
    serde_json::to_string(value).expect("names, numbers and JSON can be written")
}

fn read_row(row: &Row<'_>) -> Result<TaskRow, rusqlite::Error> {
    let lease: Option<String> = row.get(8)?;
    Ok(TaskRow {
        id: row.get(0)?,
        workspace: WorkspaceId(row.get(1)?),
        path: read_path(row, 2)?,
        state: read_state(row, 3)?,
        spec: read_json(4, &row.get::<_, String>(4)?)?,
        creator: row.get(5)?,
        attempts: row.get(6)?,
        troubles: row.get(7)?,
        lease: lease.map(|lease| read_json(8, &lease)).transpose()?,
        worker: row.get(9)?,
        not_before_ms: row.get(10)?,
        approval: row.get(11)?,
        last_error: row.get(12)?,
        history: read_json(13, &row.get::<_, String>(13)?)?,
        artifacts: read_json(14, &row.get::<_, String>(14)?)?,
        version: VersionId::from_bytes(row.get(15)?),
        size_bytes: row.get::<_, i64>(16)? as u64,
        created_ms: row.get(17)?,
        updated_ms: row.get(18)?,
        revision: row.get(19)?,
        reservation: row.get(20)?,
    })
}

fn read_path(row: &Row<'_>, column: usize) -> Result<RelPath, rusqlite::Error> {
    let text: String = row.get(column)?;
    RelPath::new(&text)
        .map_err(|error| rusqlite::Error::FromSqlConversionFailure(column, Type::Text, Box::new(error)))
}

fn read_state(row: &Row<'_>, column: usize) -> Result<TaskState, rusqlite::Error> {
    let text: String = row.get(column)?;
    TaskState::named(&text).ok_or_else(|| {
        rusqlite::Error::FromSqlConversionFailure(column, Type::Text, format!("`{text}` is no state").into())
    })
}

fn read_json<T: DeserializeOwned>(column: usize, text: &str) -> Result<T, rusqlite::Error> {
    serde_json::from_str(text)
        .map_err(|error| rusqlite::Error::FromSqlConversionFailure(column, Type::Text, Box::new(error)))
}
