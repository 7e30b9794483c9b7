//! Where the bytes of imported files came from. An origin belongs to a path and to one version: of other bytes under the same path
//! it says nothing. It moves with its file; a copy has none.

use rusqlite::{Connection, OptionalExtension, params};

use crate::catalog::{Catalog, CatalogError, Tx};
use crate::id::{RelPath, VersionId, WorkspaceId, WorkspaceName};

/// Where some bytes came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// The bytes.
    pub version: VersionId,
    /// As it was asked for; ask for it again to learn whether there is anything newer.
    pub url: String,
    /// What the host called these bytes.
    pub etag: Option<String>,
    /// Since when they are so, as the host wrote it.
    pub last_modified: Option<String>,
    /// Milliseconds since 1970.
    pub fetched_ms: i64,
}

impl Tx<'_> {
    /// Notes where a path's bytes came from, in place of what was noted before.
    ///
    /// # Errors
    /// [`CatalogError::Sqlite`].
    pub fn put_origin(
        &self,
        workspace: WorkspaceId,
        path: &RelPath,
        origin: &Origin,
    ) -> Result<(), CatalogError> {
        self.sql()
            .prepare_cached(
                "INSERT OR REPLACE INTO origins (workspace, path, version, url, etag, last_modified, fetched_ms)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
            )?
            .execute(params![
                workspace.0,
                path.as_str(),
                &origin.version.as_bytes()[..],
                origin.url,
                origin.etag,
                origin.last_modified,
                origin.fetched_ms,
            ])?;
        Ok(())
    }

    /// Gives a moved file's origin its new path; a file that had none leaves none there.
    ///
    /// # Errors
    /// [`CatalogError::Sqlite`].
    pub fn move_origin(
        &self,
        from: (&WorkspaceName, &RelPath),
        to: (WorkspaceId, &RelPath),
    ) -> Result<(), CatalogError> {
        let ((from_name, from_path), (to_workspace, to_path)) = (from, to);
        self.sql()
            .prepare_cached("DELETE FROM origins WHERE workspace = ?1 AND path = ?2")?
            .execute(params![to_workspace.0, to_path.as_str()])?;
        self.sql()
            .prepare_cached(
                "UPDATE origins SET workspace = ?3, path = ?4
                 WHERE workspace = (SELECT id FROM workspaces WHERE name = ?1) AND path = ?2",
            )?
            .execute(params![from_name.as_str(), from_path.as_str(), to_workspace.0, to_path.as_str()])?;
        Ok(())
    }
}

/// Where the bytes of a path came from, whichever stand there now.
///
/// # Errors
/// [`CatalogError::Sqlite`].
pub fn origin(
    catalog: &Catalog,
    workspace: WorkspaceId,
    path: &RelPath,
) -> Result<Option<Origin>, CatalogError> {
    catalog.read(|sql| find(sql, workspace, path))
}

/// As [`origin`] for each of several paths, in their order.
///
/// # Errors
/// [`CatalogError::Sqlite`].
pub fn origins(
    catalog: &Catalog,
    wanted: &[(WorkspaceId, RelPath)],
) -> Result<Vec<Option<Origin>>, CatalogError> {
    catalog.read_at_once(|sql| wanted.iter().map(|(workspace, path)| find(sql, *workspace, path)).collect())
}

fn find(sql: &Connection, workspace: WorkspaceId, path: &RelPath) -> Result<Option<Origin>, CatalogError> {
    let mut statement = sql.prepare_cached(
        "SELECT version, url, etag, last_modified, fetched_ms FROM origins WHERE workspace = ?1 AND path = ?2",
    )?;
    let row = statement.query_row(params![workspace.0, path.as_str()], |row| {
        Ok(Origin {
            version: VersionId::from_bytes(row.get(0)?),
            url: row.get(1)?,
            etag: row.get(2)?,
            last_modified: row.get(3)?,
            fetched_ms: row.get(4)?,
        })
    });
    Ok(row.optional()?)
}
