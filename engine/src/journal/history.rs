use std::collections::BTreeMap;

use rusqlite::{Row, params};

use crate::catalog::{Catalog, CatalogError};
use crate::id::{RelPath, Seq, VersionId, WorkspaceId};

/// One entry of a path's history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Past {
    /// Its place in the order.
    pub seq: Seq,
    /// `file.created`, `file.updated`, `file.deleted` or `file.moved`.
    pub kind: String,
    /// The bytes after it; `None` where the path was gone.
    pub version: Option<VersionId>,
    /// Their length.
    pub size_bytes: u64,
    /// Who did it.
    pub actor: String,
    /// Who let it through a gate.
    pub approved_by: Option<String>,
    /// The other end of a move.
    pub other_path: Option<String>,
    /// Milliseconds since 1970.
    pub occurred_ms: i64,
}

/// What [`read_past`] reads.
const COLUMNS: &str = "seq, kind, version, size_bytes, actor, approved_by, other_path, occurred_ms";

/// The history of one path, newest first.
///
/// # Errors
/// [`CatalogError::Sqlite`].
pub fn history(catalog: &Catalog, workspace: WorkspaceId, path: &RelPath) -> Result<Vec<Past>, CatalogError> {
    catalog.read(|sql| {
        let mut statement = sql.prepare_cached(&format!(
            "SELECT {COLUMNS} FROM journal WHERE workspace = ?1 AND path = ?2 AND file > 0 ORDER BY seq DESC"
        ))?;
        let rows = statement.query_map(params![workspace.0, path.as_str()], read_past)?;
        Ok(rows.collect::<Result<_, _>>()?)
    })
}

/// What the last file that stood under a path before `seq` went through there, newest first; not what stood there before
/// it, for a number belongs to one file only as long as its path holds it.
///
/// # Errors
/// [`CatalogError::Sqlite`].
pub fn life_before(
    catalog: &Catalog,
    workspace: WorkspaceId,
    path: &RelPath,
    seq: Seq,
) -> Result<Vec<Past>, CatalogError> {
    catalog.read(|sql| {
        let mut statement = sql.prepare_cached(&format!(
            "SELECT {COLUMNS} FROM journal
             WHERE workspace = ?1 AND path = ?2 AND seq < ?3 AND version IS NOT NULL
               AND file = (SELECT file FROM journal WHERE workspace = ?1 AND path = ?2 AND seq < ?3 AND file > 0
                           ORDER BY seq DESC LIMIT 1)
             ORDER BY seq DESC"
        ))?;
        let rows = statement.query_map(params![workspace.0, path.as_str(), seq.0 as i64], read_past)?;
        Ok(rows.collect::<Result<_, _>>()?)
    })
}

fn read_past(row: &Row<'_>) -> Result<Past, rusqlite::Error> {
    Ok(Past {
        seq: Seq(row.get::<_, i64>(0)? as u64),
        kind: row.get(1)?,
        version: row.get::<_, Option<[u8; 32]>>(2)?.map(VersionId::from_bytes),
        size_bytes: row.get::<_, i64>(3)? as u64,
        actor: row.get(4)?,
        approved_by: row.get(5)?,
        other_path: row.get(6)?,
        occurred_ms: row.get(7)?,
    })
}

/// What stood under a path at some time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PathState {
    /// Its bytes.
    pub version: VersionId,
    /// Their length.
    pub size_bytes: u64,
    /// By content; empty for entries of an older format.
    pub mime_type: String,
    /// Who let it through a gate.
    pub approved_by: Option<String>,
    /// Milliseconds since 1970 of the change that made it so.
    pub occurred_ms: i64,
}

/// Every file of a workspace after the change `seq`, by path.
///
/// # Errors
/// [`CatalogError::Sqlite`].
pub fn state_at(
    catalog: &Catalog,
    workspace: WorkspaceId,
    seq: Seq,
) -> Result<BTreeMap<String, PathState>, CatalogError> {
    catalog.read(|sql| {
        // SQLite takes the bare columns of a `max` from the row that holds the maximum.
        let mut statement = sql.prepare_cached(
            "SELECT path, version, size_bytes, mime_type, approved_by, occurred_ms, max(seq) FROM journal
             WHERE workspace = ?1 AND seq <= ?2 AND file > 0 GROUP BY path",
        )?;
        let rows = statement.query_map(params![workspace.0, seq.0 as i64], |row| {
            let version: Option<[u8; 32]> = row.get(1)?;
            let state = version.map(|version| -> Result<PathState, rusqlite::Error> {
                Ok(PathState {
                    version: VersionId::from_bytes(version),
                    size_bytes: row.get::<_, i64>(2)? as u64,
                    mime_type: row.get(3)?,
                    approved_by: row.get(4)?,
                    occurred_ms: row.get(5)?,
                })
            });
            Ok((row.get::<_, String>(0)?, state.transpose()?))
        })?;
        let mut files = BTreeMap::new();
        for row in rows {
            if let (path, Some(state)) = row? {
                files.insert(path, state);
            }
        }
        Ok(files)
    })
}

/// The versions of a workspace that a retention keeps: the `newest` of each path, and every one that was the newest
/// after `cutoff_ms`.
///
/// # Errors
/// [`CatalogError::Sqlite`].
pub fn retained(
    catalog: &Catalog,
    workspace: WorkspaceId,
    newest: Option<usize>,
    cutoff_ms: Option<i64>,
) -> Result<Vec<VersionId>, CatalogError> {
    catalog.read(|sql| {
        let mut statement = sql.prepare_cached(
            "SELECT version FROM (
                 SELECT version,
                        row_number() OVER (PARTITION BY path ORDER BY seq DESC) AS age,
                        lag(occurred_ms) OVER (PARTITION BY path ORDER BY seq DESC) AS replaced_ms
                 FROM journal WHERE workspace = ?1 AND file > 0)
             WHERE version IS NOT NULL
               AND (age <= coalesce(?2, 0) OR (?3 IS NOT NULL AND coalesce(replaced_ms, ?3 + 1) > ?3))",
        )?;
        let newest = newest.map(|newest| i64::try_from(newest).unwrap_or(i64::MAX));
        let rows = statement.query_map(params![workspace.0, newest, cutoff_ms], |row| {
            Ok(VersionId::from_bytes(row.get(0)?))
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    })
}
