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

/// How long a fence is remembered after its lock was taken, in milliseconds: 90 days, longer than any holder may be late.
const FENCE_MEMORY_MS: i64 = 90 * 24 * 3600 * 1000;

/// What others may hold at the same time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, schemars::JsonSchema)]
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
    /// Larger than that of every lock before that had a path in common.
    pub fence: u64,
    /// Milliseconds since 1970.
    pub created_ms: i64,
    /// Milliseconds since 1970.
    pub expires_ms: i64,
}

/// A lock that is to be taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// `lk_…`.
    pub id: String,
    /// Over paths, `/workspace/…`.
    pub pattern: Pattern,
}

/// Which rows can have a path in common with a pattern: those whose fixed start lies above its own, or below it. Without
/// that, each write would look at every lock of the home.
const NEAR: &str = "base IN (SELECT value FROM json_each(?1)) OR (base >= ?2 AND base < ?3)";

/// What [`NEAR`] is asked with.
struct Near {
    /// The start itself and every folder above it, as a JSON list; the root is the empty text.
    above: String,
    from: String,
    until: String,
}

impl Near {
    fn new(base: &str) -> Self {
        let ends = base.match_indices('/').map(|(at, _)| at).chain([base.len()]);
        let above: std::collections::BTreeSet<&str> = ends.map(|end| &base[..end]).chain([""]).collect();
        Self {
            above: serde_json::json!(above).to_string(),
            from: format!("{base}/"),
            // `0` follows `/`.
            until: format!("{base}0"),
        }
    }
}

/// The fixed start of a pattern, folded; the root is the empty text.
fn base_of(pattern: &Pattern) -> String {
    fold(&pattern.base()).trim_end_matches('/').to_owned()
}

const COLUMNS: &str = "id, pattern, mode, principal, fence, created_ms, expires_ms";

impl Tx<'_> {
    #[expect(clippy::too_many_arguments, reason = "each is one column of the same row, but for the last")]
    /// Takes a lock. Another one stands in the way only where it `concerns` the taker, by the place that both are over.
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
        concerns: &dyn Fn(&Lock, &Pattern) -> bool,
    ) -> Result<Lock, StoreError> {
        let wanted = [Wanted { id: id.to_owned(), pattern: pattern.clone() }];
        let taken = self.acquire_locks(&wanted, mode, principal, now_ms, ttl_ms, concerns)?;
        taken.into_iter().next().ok_or_else(|| StoreError::LockExpired { lock: id.to_owned() })
    }

    /// Takes locks on several patterns under one fence, or none of them.
    ///
    /// # Errors
    /// As [`Self::acquire_lock`].
    pub fn acquire_locks(
        &self,
        wanted: &[Wanted],
        mode: LockMode,
        principal: &str,
        now_ms: i64,
        ttl_ms: i64,
        concerns: &dyn Fn(&Lock, &Pattern) -> bool,
    ) -> Result<Vec<Lock>, StoreError> {
        self.sql().prepare_cached("DELETE FROM locks WHERE expires_ms <= ?1")?.execute([now_ms])?;
        for Wanted { pattern, .. } in wanted {
            for other in self.locks_near(pattern, now_ms)? {
                let both_shared = mode == LockMode::Shared && other.mode == LockMode::Shared;
                let place = other.pattern.meet(pattern);
                if !both_shared && place.is_some_and(|place| concerns(&other, &place)) {
                    return Err(StoreError::LockHeld {
                        path: pattern.to_string(),
                        until_ms: other.expires_ms,
                    });
                }
            }
        }
        let fence = self.next_fence(wanted, now_ms)?;
        let lock = |wanted: &Wanted| Lock {
            id: wanted.id.clone(),
            pattern: wanted.pattern.clone(),
            mode,
            principal: principal.to_owned(),
            fence,
            created_ms: now_ms,
            expires_ms: now_ms.saturating_add(ttl_ms),
        };
        let locks: Vec<Lock> = wanted.iter().map(lock).collect();
        locks.iter().try_for_each(|lock| self.put_lock(lock))?;
        Ok(locks)
    }

    fn put_lock(&self, lock: &Lock) -> Result<(), StoreError> {
        self.sql()
            .prepare_cached(&format!(
                "INSERT INTO locks ({COLUMNS}, base) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)"
            ))?
            .execute(params![
                lock.id,
                lock.pattern.as_str(),
                lock.mode.as_str(),
                lock.principal,
                lock.fence as i64,
                lock.created_ms,
                lock.expires_ms,
                base_of(&lock.pattern),
            ])?;
        Ok(())
    }

    /// A fence above that of every lock before that had a path in common with one of the patterns. It does not count the
    /// home's other locks, which would tell of them.
    fn next_fence(&self, wanted: &[Wanted], now_ms: i64) -> Result<u64, StoreError> {
        self.sql()
            .prepare_cached("DELETE FROM fences WHERE used_ms < ?1")?
            .execute([now_ms - FENCE_MEMORY_MS])?;
        let mut last = 0;
        for Wanted { pattern, .. } in wanted {
            last = last.max(self.last_fence(pattern)?);
        }
        for Wanted { pattern, .. } in wanted {
            self.sql()
                .prepare_cached(
                    "INSERT INTO fences (pattern, fence, used_ms, base) VALUES (?1, ?2, ?3, ?4)
                     ON CONFLICT (pattern) DO UPDATE SET fence = ?2, used_ms = ?3, base = ?4",
                )?
                .execute(params![pattern.as_str(), last + 1, now_ms, base_of(pattern)])?;
        }
        Ok(last as u64 + 1)
    }

    fn last_fence(&self, pattern: &Pattern) -> Result<i64, StoreError> {
        let near = Near::new(&base_of(pattern));
        let query = format!("SELECT pattern, fence FROM fences WHERE {NEAR}");
        let mut statement = self.sql().prepare_cached(&query)?;
        let rows = statement.query_map(params![near.above, near.from, near.until], |row| {
            Ok((row.get::<_, String>(0)?, row.get::<_, i64>(1)?))
        })?;
        let mut last = 0;
        for row in rows {
            let (other, fence) = row?;
            if fence > last && Pattern::path(&other).is_ok_and(|other| other.overlaps(pattern)) {
                last = fence;
            }
        }
        Ok(last)
    }

    /// Moves a lock's end, counted from now.
    ///
    /// # Errors
    /// [`StoreError::LockExpired`] where it has run out, or is another one's.
    pub fn extend_lock(
        &self,
        id: &str,
        principal: &str,
        now_ms: i64,
        ttl_ms: i64,
    ) -> Result<Lock, StoreError> {
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

    /// Gives back every lock of a principal.
    ///
    /// # Errors
    /// [`StoreError::Catalog`].
    pub fn release_locks_of(&self, principal: &str) -> Result<(), StoreError> {
        self.sql().execute("DELETE FROM locks WHERE principal = ?1", [principal])?;
        Ok(())
    }

    /// Whether a principal may change a path, as far as locks go. With a `fence` the write must stand under the living
    /// lock that has it.
    ///
    /// # Errors
    /// [`StoreError::LockHeld`] where another one's lock covers the path, [`StoreError::LockExpired`] where the fence
    /// is that of no living lock of this principal over this path. A lock binds only where its holder `may_write`.
    pub fn check_locks(
        &self,
        path: &str,
        principal: &str,
        fence: Option<u64>,
        now_ms: i64,
        may_write: &dyn Fn(&str, &str) -> bool,
    ) -> Result<(), StoreError> {
        let folded = fold(path);
        let mut is_fenced = fence.is_none();
        for lock in self.locks_above(&folded, now_ms)? {
            if !lock.pattern.matches(&folded) {
                continue;
            }
            if lock.principal != principal {
                if !may_write(&lock.principal, path) {
                    continue;
                }
                return Err(StoreError::LockHeld { path: path.to_owned(), until_ms: lock.expires_ms });
            }
            is_fenced |= fence == Some(lock.fence);
        }
        match fence {
            Some(fence) if !is_fenced => Err(StoreError::LockExpired { lock: format!("fence {fence}") }),
            _ => Ok(()),
        }
    }

    /// Locks that hold and may have a path in common with a pattern.
    fn locks_near(&self, pattern: &Pattern, now_ms: i64) -> Result<Vec<Lock>, StoreError> {
        let near = Near::new(&base_of(pattern));
        let query = format!(
            "SELECT {COLUMNS} FROM locks WHERE ({NEAR}) AND expires_ms > ?4 ORDER BY created_ms, rowid"
        );
        let mut statement = self.sql().prepare_cached(&query)?;
        let rows = statement.query_map(params![near.above, near.from, near.until, now_ms], read_row)?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// Locks that hold and may cover a path.
    fn locks_above(&self, folded: &str, now_ms: i64) -> Result<Vec<Lock>, StoreError> {
        let query = format!(
            "SELECT {COLUMNS} FROM locks WHERE base IN (SELECT value FROM json_each(?1)) AND expires_ms > ?2
             ORDER BY created_ms, rowid"
        );
        let mut statement = self.sql().prepare_cached(&query)?;
        let rows = statement.query_map(params![Near::new(folded).above, now_ms], read_row)?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// The lock of an id, while it holds.
    ///
    /// # Errors
    /// [`StoreError::Catalog`].
    pub fn lock_by_id(&self, id: &str) -> Result<Option<Lock>, StoreError> {
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
        let query = format!("SELECT {COLUMNS} FROM locks WHERE expires_ms > ?1 ORDER BY created_ms, rowid");
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
