//! Leases on paths: shared or exclusive, with an end and a fence number that only grows. The write path asks
//! [`Tx::check_locks`] in its own transaction, so that no holder whose lease ran out can write late.
//!
//! Source of fencing: Kleppmann, «How to do distributed locking», 2016.

use rusqlite::{OptionalExtension, Row, params};
use serde::{Deserialize, Serialize};

use super::StoreError;
use crate::catalog::{Catalog, Tx};
use crate::id::fold;
use crate::pattern::Pattern;

/// What others may hold at the same time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LockMode {
    /// Nothing; only the holder writes.
    #[default]
    Exclusive,
    /// Shared locks; nobody writes but a holder that is alone.
    Shared,
}

impl LockMode {
    fn as_str(self) -> &'static str {
        match self {
            Self::Exclusive => "exclusive",
            Self::Shared => "shared",
        }
    }
}

/// A lease that holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lock {
    /// `lk_…`.
    pub id: String,
    /// Over paths, `/workspace/…`.
    pub pattern: Pattern,
    /// What others may hold.
    pub mode: LockMode,
    /// Whose.
    pub principal: String,
    /// Larger than that of every lock before.
    pub fence: u64,
    /// Milliseconds since 1970.
    pub created_ms: i64,
    /// Milliseconds since 1970.
    pub expires_ms: i64,
}

const COLUMNS: &str = "id, pattern, mode, principal, fence, created_ms, expires_ms";

impl Tx<'_> {
    /// Takes a lock.
    ///
    /// # Errors
    /// [`StoreError::LockHeld`] where another one, of whomever, can't be held at the same time.
    pub fn acquire_lock(
        &self,
        id: &str,
        pattern: &Pattern,
        mode: LockMode,
        principal: &str,
        now_ms: i64,
        ttl_ms: i64,
    ) -> Result<Lock, StoreError> {
        self.sql().execute("DELETE FROM locks WHERE expires_ms <= ?1", [now_ms])?;
        for other in self.live_locks(now_ms)? {
            let both_shared = mode == LockMode::Shared && other.mode == LockMode::Shared;
            if !both_shared && other.pattern.overlaps(pattern) {
                return Err(StoreError::LockHeld { path: pattern.to_string(), until_ms: other.expires_ms });
            }
        }
        let fence = self.next_fence()?;
        let lock = Lock {
            id: id.to_owned(),
            pattern: pattern.clone(),
            mode,
            principal: principal.to_owned(),
            fence,
            created_ms: now_ms,
            expires_ms: now_ms.saturating_add(ttl_ms),
        };
        self.sql().execute(
            &format!("INSERT INTO locks ({COLUMNS}) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)"),
            params![
                lock.id,
                lock.pattern.as_str(),
                mode.as_str(),
                lock.principal,
                lock.fence as i64,
                lock.created_ms,
                lock.expires_ms
            ],
        )?;
        Ok(lock)
    }

    /// The next fence number of the home.
    fn next_fence(&self) -> Result<u64, StoreError> {
        let fence: i64 = self.sql().query_row(
            "INSERT INTO meta (key, value) VALUES ('fence', '1')
             ON CONFLICT (key) DO UPDATE SET value = CAST(value AS INTEGER) + 1
             RETURNING CAST(value AS INTEGER)",
            [],
            |row| row.get(0),
        )?;
        Ok(fence as u64)
    }

    /// Moves a lock's end, counted from now.
    ///
    /// # Errors
    /// [`StoreError::LockExpired`] where it has run out, or is another one's.
    pub fn extend_lock(&self, id: &str, principal: &str, now_ms: i64, ttl_ms: i64) -> Result<Lock, StoreError> {
        let changed = self.sql().execute(
            "UPDATE locks SET expires_ms = ?4 WHERE id = ?1 AND principal = ?2 AND expires_ms > ?3",
            params![id, principal, now_ms, now_ms.saturating_add(ttl_ms)],
        )?;
        let lock = self.lock_by_id(id)?;
        match lock {
            Some(lock) if changed == 1 => Ok(lock),
            _ => Err(StoreError::LockExpired { lock: id.to_owned() }),
        }
    }

    /// Gives a lock back; whether it was there. Without `principal` it is taken from whomever.
    ///
    /// # Errors
    /// [`StoreError::Catalog`].
    pub fn release_lock(&self, id: &str, principal: Option<&str>) -> Result<bool, StoreError> {
        let removed = self.sql().execute(
            "DELETE FROM locks WHERE id = ?1 AND (?2 IS NULL OR principal = ?2)",
            params![id, principal],
        )?;
        Ok(removed == 1)
    }

    /// Whether a principal may change a path, as far as locks go. With a `fence` the write must stand under the living
    /// lock that has it.
    ///
    /// # Errors
    /// [`StoreError::LockHeld`] where another one's lock covers the path, [`StoreError::LockExpired`] where the fence
    /// is that of no living lock of this principal over this path.
    pub fn check_locks(
        &self,
        path: &str,
        principal: &str,
        fence: Option<u64>,
        now_ms: i64,
    ) -> Result<(), StoreError> {
        let folded = fold(path);
        let mut is_fenced = fence.is_none();
        for lock in self.live_locks(now_ms)? {
            if !lock.pattern.matches(&folded) {
                continue;
            }
            if lock.principal != principal {
                return Err(StoreError::LockHeld { path: path.to_owned(), until_ms: lock.expires_ms });
            }
            is_fenced |= fence == Some(lock.fence);
        }
        match fence {
            Some(fence) if !is_fenced => Err(StoreError::LockExpired { lock: format!("fence {fence}") }),
            _ => Ok(()),
        }
    }

    fn live_locks(&self, now_ms: i64) -> Result<Vec<Lock>, StoreError> {
        let query = format!("SELECT {COLUMNS} FROM locks WHERE expires_ms > ?1 ORDER BY fence");
        let mut statement = self.sql().prepare_cached(&query)?;
        let rows = statement.query_map([now_ms], read_row)?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    fn lock_by_id(&self, id: &str) -> Result<Option<Lock>, StoreError> {
        let query = format!("SELECT {COLUMNS} FROM locks WHERE id = ?1");
        Ok(self.sql().prepare_cached(&query)?.query_row([id], read_row).optional()?)
    }
}

/// All locks that hold, oldest first.
///
/// # Errors
/// [`StoreError::Catalog`].
pub fn locks(catalog: &Catalog, now_ms: i64) -> Result<Vec<Lock>, StoreError> {
    catalog.read(|sql| {
        let query = format!("SELECT {COLUMNS} FROM locks WHERE expires_ms > ?1 ORDER BY fence");
        let mut statement = sql.prepare_cached(&query)?;
        let rows = statement.query_map([now_ms], read_row)?;
        Ok(rows.collect::<Result<_, _>>()?)
    })
}

fn read_row(row: &Row<'_>) -> Result<Lock, rusqlite::Error> {
    let pattern: String = row.get(1)?;
    let pattern = Pattern::path(&pattern).map_err(|error| {
        rusqlite::Error::FromSqlConversionFailure(1, rusqlite::types::Type::Text, Box::new(error))
    })?;
    let mode: String = row.get(2)?;
    Ok(Lock {
        id: row.get(0)?,
        pattern,
        mode: if mode == "shared" { LockMode::Shared } else { LockMode::Exclusive },
        principal: row.get(3)?,
        fence: row.get::<_, i64>(4)? as u64,
        created_ms: row.get(5)?,
        expires_ms: row.get(6)?,
    })
}
