//! Snapshots: a name for a place in the journal. Taking one copies nothing; its versions are kept from pruning.

use rusqlite::{OptionalExtension, Row, params};

use crate::catalog::{Catalog, CatalogError, Tx};
use crate::id::{Seq, WorkspaceId};

/// A workspace's state that has a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    /// `sn_…`.
    pub id: String,
    /// Of which workspace.
    pub workspace: WorkspaceId,
    /// For people.
    pub name: String,
    /// Everything up to this change is in it.
    pub seq: Seq,
    /// Who took it.
    pub actor: String,
    /// Milliseconds since 1970.
    pub created_ms: i64,
}

const COLUMNS: &str = "id, workspace, name, seq, actor, created_ms";

impl Tx<'_> {
    /// Names a workspace's state of now.
    ///
    /// # Errors
    /// [`CatalogError::Sqlite`].
    pub fn take_snapshot(
        &self,
        id: &str,
        workspace: WorkspaceId,
        name: &str,
        actor: &str,
        now_ms: i64,
    ) -> Result<Snapshot, CatalogError> {
        self.sql().execute(
            "INSERT INTO snapshots (id, workspace, name, seq, actor, created_ms)
             VALUES (?1, ?2, ?3, (SELECT coalesce(max(seq), 0) FROM journal WHERE workspace = ?2), ?4, ?5)",
            params![id, workspace.0, name, actor, now_ms],
        )?;
        let query = format!("SELECT {COLUMNS} FROM snapshots WHERE id = ?1");
        Ok(self.sql().query_row(&query, [id], read_row)?)
    }

    /// Forgets a snapshot; whether it was there.
    ///
    /// # Errors
    /// [`CatalogError::Sqlite`].
    pub fn remove_snapshot(&self, id: &str) -> Result<bool, CatalogError> {
        Ok(self.sql().execute("DELETE FROM snapshots WHERE id = ?1", [id])? == 1)
    }
}

/// All snapshots, newest first.
///
/// # Errors
/// [`CatalogError::Sqlite`].
pub fn snapshots(catalog: &Catalog) -> Result<Vec<Snapshot>, CatalogError> {
    catalog.read(|sql| {
        let query = format!("SELECT {COLUMNS} FROM snapshots ORDER BY created_ms DESC, rowid DESC");
        let mut statement = sql.prepare_cached(&query)?;
        let rows = statement.query_map([], read_row)?;
        Ok(rows.collect::<Result<_, _>>()?)
    })
}

/// The snapshot of an id.
///
/// # Errors
/// [`CatalogError::Sqlite`].
pub fn snapshot(catalog: &Catalog, id: &str) -> Result<Option<Snapshot>, CatalogError> {
    catalog.read(|sql| {
        let query = format!("SELECT {COLUMNS} FROM snapshots WHERE id = ?1");
        Ok(sql.prepare_cached(&query)?.query_row([id], read_row).optional()?)
    })
}

fn read_row(row: &Row<'_>) -> Result<Snapshot, rusqlite::Error> {
    Ok(Snapshot {
        id: row.get(0)?,
        workspace: WorkspaceId(row.get(1)?),
        name: row.get(2)?,
        seq: Seq(row.get::<_, i64>(3)? as u64),
        actor: row.get(4)?,
        created_ms: row.get(5)?,
    })
}
