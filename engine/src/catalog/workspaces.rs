use rusqlite::{Connection, OptionalExtension, Row, params};
use std::path::PathBuf;

use super::{Catalog, CatalogError, Tx};
use crate::id::{WorkspaceId, WorkspaceName};

/// What is known of a workspace.
#[derive(Debug, Clone)]
pub struct WorkspaceRow {
    /// Its number; shown as `ws_…`.
    pub id: WorkspaceId,
    /// The first segment of its paths.
    pub name: WorkspaceName,
    /// The folder with its plain files.
    pub root: PathBuf,
    /// Whether the folder existed before and is only attached.
    pub attached: bool,
    /// Whether its files are indexed.
    pub intelligence: bool,
    /// Milliseconds since 1970.
    pub created_ms: i64,
}

const COLUMNS: &str = "id, name, root, attached, intelligence, created_ms";

impl Catalog {
    /// All workspaces, by name.
    ///
    /// # Errors
    /// [`CatalogError::Sqlite`].
    pub fn workspaces(&self) -> Result<Vec<WorkspaceRow>, CatalogError> {
        self.read(|sql| {
            let mut statement =
                sql.prepare_cached(&format!("SELECT {COLUMNS} FROM workspaces ORDER BY name"))?;
            let rows = statement.query_map([], read_row)?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
    }
}

impl Tx<'_> {
    /// Adds a workspace, or gives back the one of that name.
    ///
    /// # Errors
    /// [`CatalogError::Sqlite`].
    pub fn put_workspace(
        &self,
        name: &WorkspaceName,
        root: &std::path::Path,
        attached: bool,
        now_ms: i64,
    ) -> Result<WorkspaceRow, CatalogError> {
        if let Some(row) = find(self.sql(), name)? {
            return Ok(row);
        }
        self.sql().execute(
            "INSERT INTO workspaces (name, root, attached, created_ms) VALUES (?1, ?2, ?3, ?4)",
            params![name.as_str(), root.to_string_lossy(), attached, now_ms],
        )?;
        find(self.sql(), name)?.ok_or(CatalogError::Sqlite(rusqlite::Error::QueryReturnedNoRows))
    }
}

impl Tx<'_> {
    /// Switches the indexing of a workspace's files.
    ///
    /// # Errors
    /// [`CatalogError::Sqlite`].
    pub fn set_intelligence(&self, workspace: WorkspaceId, intelligence: bool) -> Result<(), CatalogError> {
        self.sql().execute(
            "UPDATE workspaces SET intelligence = ?2 WHERE id = ?1",
            params![workspace.0, intelligence],
        )?;
        Ok(())
    }

    /// Gives a workspace the folder that the home keeps for it.
    ///
    /// # Errors
    /// [`CatalogError::Sqlite`].
    pub fn rehome(&self, workspace: WorkspaceId, root: &std::path::Path) -> Result<(), CatalogError> {
        self.sql().execute(
            "UPDATE workspaces SET root = ?2, attached = 0 WHERE id = ?1",
            params![workspace.0, root.to_string_lossy()],
        )?;
        Ok(())
    }

    /// Forgets a workspace with its files; what the journal tells of it stays.
    ///
    /// # Errors
    /// [`CatalogError::Sqlite`].
    pub fn remove_workspace(&self, workspace: WorkspaceId) -> Result<(), CatalogError> {
        self.sql().execute("DELETE FROM snapshots WHERE workspace = ?1", [workspace.0])?;
        self.sql().execute("DELETE FROM workspaces WHERE id = ?1", [workspace.0])?;
        Ok(())
    }
}

fn find(sql: &Connection, name: &WorkspaceName) -> Result<Option<WorkspaceRow>, CatalogError> {
    let query = format!("SELECT {COLUMNS} FROM workspaces WHERE name = ?1");
    Ok(sql.prepare_cached(&query)?.query_row([name.as_str()], read_row).optional()?)
}

fn read_row(row: &Row<'_>) -> Result<WorkspaceRow, rusqlite::Error> {
    let name: String = row.get(1)?;
    let name = WorkspaceName::new(&name).map_err(|error| {
        rusqlite::Error::FromSqlConversionFailure(1, rusqlite::types::Type::Text, Box::new(error))
    })?;
    Ok(WorkspaceRow {
        id: WorkspaceId(row.get(0)?),
        name,
        root: PathBuf::from(row.get::<_, String>(2)?),
        attached: row.get(3)?,
        intelligence: row.get(4)?,
        created_ms: row.get(5)?,
    })
}
