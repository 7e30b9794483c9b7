use rusqlite::{Connection, OptionalExtension, Row, params};
use std::path::{Path, PathBuf};

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

/// Under this key the catalog keeps where the home was.
const HOME: &str = "home";

/// Under this key the catalog keeps that a workspace's index has held something.
fn indexed_key(workspace: WorkspaceId) -> String {
    format!("indexed/{workspace}")
}

/// Under this key the catalog keeps that a workspace was let go, and its folder stayed in the home.
fn let_go_key(name: &WorkspaceName) -> String {
    format!("let_go/{name}")
}

/// Under this key the catalog keeps that folders of the home are taken in by themselves. A home that is new has it from the
/// start; an older one does not know what was let go.
const TAKES_IN: &str = "takes_in";

/// Where a folder is after its home has moved; `None` where it stays.
fn moved(root: &Path, before: &Path, home: &Path) -> Option<PathBuf> {
    let below = root.strip_prefix(before).ok()?;
    // A home that was restored below the one that it is a copy of, and has its folders already.
    let is_here = home.starts_with(before) && root.starts_with(home);
    // Joined with nothing, a path would get a slash at its end.
    (!is_here).then(|| if below.as_os_str().is_empty() { home.to_owned() } else { home.join(below) })
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

    /// Where the home was when it was opened the last time.
    ///
    /// # Errors
    /// [`CatalogError::Sqlite`].
    pub fn home(&self) -> Result<Option<PathBuf>, CatalogError> {
        Ok(self.meta(HOME)?.map(PathBuf::from))
    }

    /// Whether a workspace's index has held something: one that is empty now was lost.
    ///
    /// # Errors
    /// [`CatalogError::Sqlite`].
    pub fn was_indexed(&self, workspace: WorkspaceId) -> Result<bool, CatalogError> {
        Ok(self.meta(&indexed_key(workspace))?.is_some())
    }

    /// Whether the workspace of a name was let go, and its folder stayed in the home.
    ///
    /// # Errors
    /// [`CatalogError::Sqlite`].
    pub fn was_let_go(&self, name: &WorkspaceName) -> Result<bool, CatalogError> {
        Ok(self.meta(&let_go_key(name))?.is_some())
    }

    /// Whether it is known what of the home's folders was let go.
    ///
    /// # Errors
    /// [`CatalogError::Sqlite`].
    pub fn takes_in(&self) -> Result<bool, CatalogError> {
        Ok(self.meta(TAKES_IN)?.is_some())
    }

    /// Notes that a workspace's index holds something.
    ///
    /// # Errors
    /// [`CatalogError::Sqlite`].
    pub fn note_indexed(&self, workspace: WorkspaceId) -> Result<(), CatalogError> {
        self.set_meta(&indexed_key(workspace), "1")
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
        root: &Path,
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
        self.forget_let_go(name)?;
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
        self.expect_no_index(workspace)
    }

    fn expect_no_index(&self, workspace: WorkspaceId) -> Result<(), CatalogError> {
        self.sql().execute("DELETE FROM meta WHERE key = ?1", [indexed_key(workspace)])?;
        Ok(())
    }

    /// Notes where the home is. The folders of workspaces that lie in it are where it was before: they move with it.
    ///
    /// # Errors
    /// [`CatalogError::Sqlite`].
    pub fn move_home(&self, home: &Path) -> Result<(), CatalogError> {
        let here = home.to_string_lossy();
        let before: Option<String> = self
            .sql()
            .query_row("SELECT value FROM meta WHERE key = ?1", [HOME], |row| row.get(0))
            .optional()?;
        if before.as_deref() == Some(&*here) {
            return Ok(());
        }
        if let Some(before) = before {
            self.move_roots(Path::new(&before), home)?;
        }
        self.set_meta(HOME, &here)
    }

    fn move_roots(&self, before: &Path, home: &Path) -> Result<(), CatalogError> {
        let mut statement = self.sql().prepare("SELECT id, root FROM workspaces")?;
        let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
        for (id, root) in rows.collect::<Result<Vec<(i64, String)>, _>>()? {
            if let Some(root) = moved(Path::new(&root), before, home) {
                let root = root.to_string_lossy();
                self.sql().execute("UPDATE workspaces SET root = ?2 WHERE id = ?1", params![id, root])?;
            }
        }
        Ok(())
    }

    /// Gives a workspace the folder that the home keeps for it. No index is expected there.
    ///
    /// # Errors
    /// [`CatalogError::Sqlite`].
    pub fn rehome(&self, workspace: WorkspaceId, root: &Path) -> Result<(), CatalogError> {
        self.expect_no_index(workspace)?;
        self.sql().execute(
            "UPDATE workspaces SET root = ?2, attached = 0 WHERE id = ?1",
            params![workspace.0, root.to_string_lossy()],
        )?;
        Ok(())
    }

    /// Notes that a workspace is let go although its folder stays in the home: it is not taken in again by itself.
    ///
    /// # Errors
    /// [`CatalogError::Sqlite`].
    pub fn let_go(&self, name: &WorkspaceName) -> Result<(), CatalogError> {
        self.set_meta(&let_go_key(name), "1")
    }

    /// Forgets that a workspace was let go: its folder is gone, or it is made again.
    ///
    /// # Errors
    /// [`CatalogError::Sqlite`].
    pub fn forget_let_go(&self, name: &WorkspaceName) -> Result<(), CatalogError> {
        self.sql().execute("DELETE FROM meta WHERE key = ?1", [let_go_key(name)])?;
        Ok(())
    }

    /// Notes that it is known what of the home's folders was let go.
    ///
    /// # Errors
    /// [`CatalogError::Sqlite`].
    pub fn note_takes_in(&self) -> Result<(), CatalogError> {
        self.set_meta(TAKES_IN, "1")
    }

    /// Forgets a workspace with its files; what the journal tells of it stays.
    ///
    /// # Errors
    /// [`CatalogError::Sqlite`].
    pub fn remove_workspace(&self, workspace: WorkspaceId) -> Result<(), CatalogError> {
        self.sql().execute("DELETE FROM snapshots WHERE workspace = ?1", [workspace.0])?;
        self.sql().execute("DELETE FROM workspaces WHERE id = ?1", [workspace.0])?;
        self.expect_no_index(workspace)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_in_a_home_move_with_it_and_no_others() {
        let check = |root: &str, (before, home): (&str, &str), expected: Option<&str>| {
            let found = moved(Path::new(root), Path::new(before), Path::new(home));
            assert_eq!(found.as_deref().and_then(Path::to_str), expected, "{root} from {before} to {home}");
        };
        check("/a", ("/a", "/b"), Some("/b"));
        check("/a/docs", ("/a", "/b/c"), Some("/b/c/docs"));
        check("/ab", ("/a", "/b"), None);
        check("/elsewhere", ("/a", "/b"), None);
        check("/a/b/docs", ("/a/b", "/a"), Some("/a/docs"));
        check("/a", ("/a", "/a/copy"), Some("/a/copy"));
        check("/a/copy/workspaces/w", ("/a", "/a/copy"), None);
    }
}
