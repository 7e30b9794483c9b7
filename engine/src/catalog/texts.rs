use std::path::Path;

use rusqlite::{Connection, OptionalExtension, params};

use super::CatalogError;
use super::cache::CacheFile;
use crate::id::VersionId;

/// What is kept at most, in bytes; the oldest goes first.
const MAX_STORED_BYTES: i64 = 2 << 30;

/// What readers made of versions, packed, shared by all workspaces of a home.
///
/// A cache in a file of its own: it may be deleted at any time and costs only the reading again. One that is damaged is set
/// aside, and an empty one begun. It holds the text of files, and forgets a version's text when the version's bytes are
/// forgotten.
pub struct TextCache {
    file: CacheFile<()>,
    extractor: u32,
}

impl TextCache {
    /// Opens the cache; what another extractor made goes.
    ///
    /// # Errors
    /// [`CatalogError::Cache`] where the file can't be used.
    pub fn open(path: &Path, extractor: u32) -> Result<Self, CatalogError> {
        Ok(Self { file: CacheFile::open(path, move |connection| prepare(connection, extractor))?, extractor })
    }

    /// What was made of a version under a key; the key stands for all else that the outcome depends on.
    ///
    /// # Errors
    /// [`CatalogError::Cache`].
    pub fn get(&self, version: VersionId, key: &[u8]) -> Result<Option<Vec<u8>>, CatalogError> {
        self.file.run(|connection, ()| {
            connection
                .prepare_cached("SELECT stored FROM texts WHERE version = ?1 AND key = ?2")?
                .query_row(params![&version.as_bytes()[..], key], |row| row.get(0))
                .optional()
        })
    }

    /// Remembers what was made of a version.
    ///
    /// # Errors
    /// [`CatalogError::Cache`].
    pub fn put(&self, version: VersionId, key: &[u8], stored: &[u8]) -> Result<(), CatalogError> {
        self.file.run(|connection, ()| {
            connection
                .prepare_cached(
                    "INSERT OR REPLACE INTO texts (version, key, extractor, stored) VALUES (?1, ?2, ?3, ?4)",
                )?
                .execute(params![&version.as_bytes()[..], key, self.extractor, stored])?;
            Ok(())
        })
    }

    /// Forgets all versions that are not to be kept.
    ///
    /// # Errors
    /// [`CatalogError::Cache`].
    pub fn retain(&self, keep: impl Fn(VersionId) -> bool) -> Result<(), CatalogError> {
        self.file.run(|connection, ()| {
            let tx = connection.transaction()?;
            let versions: Vec<[u8; 32]> = tx
                .prepare("SELECT DISTINCT version FROM texts")?
                .query_map([], |row| row.get(0))?
                .collect::<Result<_, _>>()?;
            for version in versions.into_iter().filter(|version| !keep(VersionId::from_bytes(*version))) {
                tx.execute("DELETE FROM texts WHERE version = ?1", [&version[..]])?;
            }
            tx.commit()
        })
    }

    /// Reads the whole file; whether one was set aside because it was damaged since the last time that this was asked.
    ///
    /// # Errors
    /// [`CatalogError::Cache`].
    pub fn check(&self) -> Result<bool, CatalogError> {
        self.file.check()
    }
}

fn prepare(connection: &Connection, extractor: u32) -> rusqlite::Result<()> {
    connection.execute_batch(
        "CREATE TABLE IF NOT EXISTS texts (
             id INTEGER PRIMARY KEY, version BLOB NOT NULL, key BLOB NOT NULL, extractor INTEGER NOT NULL,
             stored BLOB NOT NULL, UNIQUE (version, key)) STRICT;",
    )?;
    connection.execute("DELETE FROM texts WHERE extractor <> ?1", [extractor])?;
    connection.execute(
        "DELETE FROM texts WHERE id IN (
             SELECT id FROM (SELECT id, sum(length(stored)) OVER (ORDER BY id DESC) AS newer FROM texts)
             WHERE newer > ?1)",
        [MAX_STORED_BYTES],
    )?;
    Ok(())
}
