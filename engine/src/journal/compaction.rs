//! What of the journal is old and needed by nobody: every change of a path but the last one, once its bytes are gone
//! too, and every event that is no change of a file.
//!
//! Takes an instant and gives places that may be forgotten; whoever calls keeps those whose bytes are still there and
//! those that somebody is still to be told of. What stays is a compacted journal: a reader from the very beginning sees
//! each path as it stood at that instant, and every change since.

use rusqlite::{OptionalExtension, params};

use crate::catalog::{Catalog, CatalogError, Tx};
use crate::id::{Seq, VersionId};

/// Under this key the catalog keeps up to which instant the journal was compacted.
const COMPACTED: &str = "journal_compacted_ms";

/// An entry that may be forgotten.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Old {
    /// Its place.
    pub seq: Seq,
    /// The bytes that it tells of.
    pub version: Option<VersionId>,
}

/// Entries after `cursor` from before `cutoff_ms` that neither the state of a path then, nor a snapshot, nor a consumer
/// group needs; oldest first, at most `limit`.
///
/// # Errors
/// [`CatalogError::Sqlite`].
pub fn old_entries(
    catalog: &Catalog,
    cutoff_ms: i64,
    cursor: Seq,
    limit: usize,
) -> Result<Vec<Old>, CatalogError> {
    catalog.read(|sql| {
        let mut statement = sql.prepare_cached(
            "SELECT seq, CASE WHEN file > 0 THEN version END FROM journal AS entry
             WHERE seq > ?2 AND occurred_ms < ?1
               AND NOT EXISTS (SELECT 1 FROM consumer_pending AS pending WHERE pending.seq = entry.seq)
               AND (file = 0
                    OR (EXISTS (SELECT 1 FROM journal AS later
                                WHERE later.workspace = entry.workspace AND later.path = entry.path AND later.file > 0
                                  AND later.seq > entry.seq AND later.occurred_ms < ?1)
                        AND NOT EXISTS (SELECT 1 FROM snapshots
                                        WHERE snapshots.workspace = entry.workspace AND snapshots.seq >= entry.seq
                                          AND NOT EXISTS (
                                              SELECT 1 FROM journal AS later
                                              WHERE later.workspace = entry.workspace AND later.path = entry.path
                                                AND later.file > 0 AND later.seq > entry.seq
                                                AND later.seq <= snapshots.seq))))
             ORDER BY seq LIMIT ?3",
        )?;
        let rows = statement.query_map(params![cutoff_ms, cursor.0 as i64, limit as i64], |row| {
            Ok(Old {
                seq: Seq(row.get::<_, i64>(0)? as u64),
                version: row.get::<_, Option<[u8; 32]>>(1)?.map(VersionId::from_bytes),
            })
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    })
}

/// Up to which instant the journal was compacted, in milliseconds since 1970; `None`: never.
///
/// # Errors
/// [`CatalogError::Sqlite`].
pub fn compacted_ms(catalog: &Catalog) -> Result<Option<i64>, CatalogError> {
    Ok(catalog.meta(COMPACTED)?.and_then(|text| text.parse().ok()))
}

/// When the last entry up to a place was written, in milliseconds since 1970; `None` where none is left.
///
/// # Errors
/// [`CatalogError::Sqlite`].
pub fn time_of(catalog: &Catalog, seq: Seq) -> Result<Option<i64>, CatalogError> {
    catalog.read(|sql| {
        Ok(sql
            .prepare_cached("SELECT occurred_ms FROM journal WHERE seq <= ?1 ORDER BY seq DESC LIMIT 1")?
            .query_row([seq.0 as i64], |row| row.get(0))
            .optional()?)
    })
}

impl Tx<'_> {
    /// Forgets entries.
    ///
    /// # Errors
    /// [`CatalogError::Sqlite`].
    pub(crate) fn forget_entries(&self, seqs: &[Seq]) -> Result<(), CatalogError> {
        let mut statement = self.sql().prepare_cached("DELETE FROM journal WHERE seq = ?1")?;
        for seq in seqs {
            statement.execute([seq.0 as i64])?;
        }
        Ok(())
    }
}

/// Notes that entries from before an instant may be missing. It never goes back.
///
/// # Errors
/// [`CatalogError::Sqlite`].
pub fn note_compacted(catalog: &Catalog, cutoff_ms: i64) -> Result<(), CatalogError> {
    let until = compacted_ms(catalog)?.map_or(cutoff_ms, |last| last.max(cutoff_ms));
    catalog.set_meta(COMPACTED, &until.to_string())
}
