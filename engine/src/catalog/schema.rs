//! The catalog's tables, and the steps from each older format to today's.

use rusqlite::Connection;

use super::CatalogError;

/// One step per format; a home at format `n` runs the steps after the `n`th. Never edit a step that was released.
const STEPS: &[&str] = &["
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;
CREATE TABLE workspaces (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    name TEXT NOT NULL UNIQUE,
    root TEXT NOT NULL,
    attached INTEGER NOT NULL,
    intelligence INTEGER NOT NULL DEFAULT 1,
    created_ms INTEGER NOT NULL
) STRICT;
CREATE TABLE files (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    workspace INTEGER NOT NULL REFERENCES workspaces (id) ON DELETE CASCADE,
    path TEXT NOT NULL,
    version BLOB NOT NULL,
    size_bytes INTEGER NOT NULL,
    mtime_ns INTEGER NOT NULL,
    mime_type TEXT NOT NULL DEFAULT '',
    language TEXT,
    skip_code TEXT,
    skip_reason TEXT,
    seq INTEGER NOT NULL,
    UNIQUE (workspace, path)
) STRICT;
CREATE TABLE journal (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    kind TEXT NOT NULL,
    workspace INTEGER NOT NULL,
    file INTEGER NOT NULL,
    path TEXT NOT NULL,
    version BLOB,
    size_bytes INTEGER NOT NULL,
    actor TEXT NOT NULL,
    occurred_ms INTEGER NOT NULL
) STRICT;
CREATE INDEX journal_workspace ON journal (workspace, seq);
CREATE INDEX journal_path ON journal (workspace, path);
CREATE TABLE tokens (
    id TEXT PRIMARY KEY,
    hash BLOB NOT NULL,
    principal TEXT NOT NULL,
    admin INTEGER NOT NULL,
    created_ms INTEGER NOT NULL,
    revoked_ms INTEGER
) STRICT;
"];

/// Brings the file to the newest format, each step in a transaction of its own.
pub fn migrate(connection: &mut Connection) -> Result<(), CatalogError> {
    let known = STEPS.len() as u32;
    let found: u32 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
    if found > known {
        return Err(CatalogError::TooNew { found, known });
    }
    for (step_idx, step) in STEPS.iter().enumerate().skip(found as usize) {
        let tx = connection.transaction()?;
        tx.execute_batch(step)?;
        tx.pragma_update(None, "user_version", step_idx as u32 + 1)?;
        tx.commit()?;
    }
    Ok(())
}
