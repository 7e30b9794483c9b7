use std::path::Path;

use rusqlite::{Connection, OptionalExtension, params};

use super::CatalogError;
use super::cache::CacheFile;

/// Embeddings by model and by the hash of the text that was embedded, shared by all workspaces of a home.
///
/// A cache in a file of its own: it may be deleted at any time and costs only the embedding again. One that is damaged is set
/// aside, and an empty one begun.
pub struct EmbeddingCache {
    /// With the number of the model.
    file: CacheFile<i64>,
}

impl EmbeddingCache {
    /// Opens the cache for one model (its name and the hash of its weights).
    ///
    /// # Errors
    /// [`CatalogError::Cache`] where the file can't be used.
    pub fn open(path: &Path, model: &str) -> Result<Self, CatalogError> {
        let model = model.to_owned();
        Ok(Self { file: CacheFile::open(path, move |connection| prepare(connection, &model))? })
    }

    /// The embedding of the text with this hash, `[dim] f32`.
    ///
    /// # Errors
    /// [`CatalogError::Cache`].
    pub fn get(&self, text_hash: &[u8; 32]) -> Result<Option<Vec<f32>>, CatalogError> {
        let bytes: Option<Vec<u8>> = self.file.run(|connection, model| {
            connection
                .prepare_cached("SELECT vector FROM embeddings WHERE model = ?1 AND text_hash = ?2")?
                .query_row(params![model, &text_hash[..]], |row| row.get(0))
                .optional()
        })?;
        Ok(bytes.map(|bytes| {
            bytes
                .chunks_exact(4)
                .map(|four| f32::from_le_bytes([four[0], four[1], four[2], four[3]]))
                .collect()
        }))
    }

    /// Remembers embeddings, all or none.
    ///
    /// # Errors
    /// [`CatalogError::Cache`].
    pub fn put(&self, rows: &[([u8; 32], Vec<f32>)]) -> Result<(), CatalogError> {
        self.file.run(|connection, model| {
            let tx = connection.transaction()?;
            {
                let mut statement = tx.prepare_cached(
                    "INSERT OR REPLACE INTO embeddings (model, text_hash, vector) VALUES (?1, ?2, ?3)",
                )?;
                for (text_hash, vector) in rows {
                    let bytes: Vec<u8> = vector.iter().flat_map(|value| value.to_le_bytes()).collect();
                    statement.execute(params![model, &text_hash[..], bytes])?;
                }
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

/// The number of the model.
fn prepare(connection: &Connection, model: &str) -> rusqlite::Result<i64> {
    connection.execute_batch(
        "CREATE TABLE IF NOT EXISTS models (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE) STRICT;
         CREATE TABLE IF NOT EXISTS embeddings (
             model INTEGER NOT NULL, text_hash BLOB NOT NULL, vector BLOB NOT NULL,
             PRIMARY KEY (model, text_hash)) STRICT, WITHOUT ROWID;",
    )?;
    connection.execute("INSERT OR IGNORE INTO models (name) VALUES (?1)", [model])?;
    connection.query_row("SELECT id FROM models WHERE name = ?1", [model], |row| row.get(0))
}
