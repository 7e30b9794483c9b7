use std::path::Path;
use std::sync::Mutex;

use rusqlite::{Connection, OptionalExtension, params};

use super::CatalogError;

/// Embeddings by model and by the hash of the text that was embedded, shared by all workspaces of a home.
///
/// A cache in a file of its own: it may be deleted at any time and costs only the embedding again.
pub struct EmbeddingCache {
    connection: Mutex<Connection>,
    model: i64,
}

impl EmbeddingCache {
    /// Opens the cache for one model (its name and the hash of its weights).
    ///
    /// # Errors
    /// [`CatalogError::Sqlite`] where the file can't be used.
    pub fn open(path: &Path, model: &str) -> Result<Self, CatalogError> {
        let connection = Connection::open(path)?;
        connection.busy_timeout(std::time::Duration::from_secs(5))?;
        connection.pragma_update(None, "journal_mode", "WAL")?;
        connection.pragma_update(None, "synchronous", "NORMAL")?;
        connection.execute_batch(
            "CREATE TABLE IF NOT EXISTS models (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE) STRICT;
             CREATE TABLE IF NOT EXISTS embeddings (
                 model INTEGER NOT NULL, text_hash BLOB NOT NULL, vector BLOB NOT NULL,
                 PRIMARY KEY (model, text_hash)) STRICT, WITHOUT ROWID;",
        )?;
        connection.execute("INSERT OR IGNORE INTO models (name) VALUES (?1)", [model])?;
        let model =
            connection.query_row("SELECT id FROM models WHERE name = ?1", [model], |row| row.get(0))?;
        Ok(Self { connection: Mutex::new(connection), model })
    }

    /// The embedding of the text with this hash, `[dim] f32`.
    ///
    /// # Errors
    /// [`CatalogError::Sqlite`].
    pub fn get(&self, text_hash: &[u8; 32]) -> Result<Option<Vec<f32>>, CatalogError> {
        let connection = self.connection.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        let bytes: Option<Vec<u8>> = connection
            .prepare_cached("SELECT vector FROM embeddings WHERE model = ?1 AND text_hash = ?2")?
            .query_row(params![self.model, &text_hash[..]], |row| row.get(0))
            .optional()?;
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
    /// [`CatalogError::Sqlite`].
    pub fn put(&self, rows: &[([u8; 32], Vec<f32>)]) -> Result<(), CatalogError> {
        let mut connection = self.connection.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        let tx = connection.transaction()?;
        {
            let mut statement = tx.prepare_cached(
                "INSERT OR REPLACE INTO embeddings (model, text_hash, vector) VALUES (?1, ?2, ?3)",
            )?;
            for (text_hash, vector) in rows {
                let bytes: Vec<u8> = vector.iter().flat_map(|value| value.to_le_bytes()).collect();
                statement.execute(params![self.model, &text_hash[..], bytes])?;
            }
        }
        Ok(tx.commit()?)
    }
}
