//! Keeps what is counted small, and counts what nobody settled.

use rusqlite::params;

use super::plan::{DAY_MS, day_of};
use crate::catalog::{Catalog, CatalogError, Tx};

/// Rows of the ledger, and what was spent on handovers, are kept for so many days.
pub const KEEP_LEDGER_DAYS: i64 = 400;
/// What a period has counted is kept for so long after it last grew: longer than any reservation lives.
const KEEP_COUNTERS_MS: i64 = 40 * DAY_MS;
/// A reservation that nobody settled can be put right for so long after its deadline.
const KEEP_ORPHANS_MS: i64 = 30 * DAY_MS;
/// Reservations that are given up at once.
const BATCH: usize = 1000;

/// Whether a reservation was not settled in time.
///
/// # Errors
/// [`CatalogError::Sqlite`].
pub fn has_overdue(catalog: &Catalog, now_ms: i64) -> Result<bool, CatalogError> {
    catalog.read(|sql| {
        let query = "SELECT EXISTS (SELECT 1 FROM reservations WHERE state = 'open' AND deadline_ms <= ?1)";
        Ok(sql.prepare_cached(query)?.query_row([now_ms], |row| row.get(0))?)
    })
}

impl Tx<'_> {
    /// Counts the reservations as spent whose deadline has passed, some at once; whether there may be more.
    ///
    /// # Errors
    /// [`CatalogError::Sqlite`].
    pub fn orphan_overdue(&self, now_ms: i64) -> Result<bool, CatalogError> {
        let overdue: Vec<String> = {
            let mut statement = self.sql().prepare_cached(
                "SELECT id FROM reservations WHERE state = 'open' AND deadline_ms <= ?1
                 ORDER BY deadline_ms, id LIMIT ?2",
            )?;
            let rows = statement.query_map(params![now_ms, BATCH as i64], |row| row.get(0))?;
            rows.collect::<Result<_, _>>()?
        };
        for id in &overdue {
            self.orphan(id, now_ms)?;
        }
        Ok(overdue.len() == BATCH)
    }

    /// Forgets what is too old to matter: rows of the ledger and of handovers, counters, and reservations that were given up.
    ///
    /// # Errors
    /// [`CatalogError::Sqlite`].
    pub fn prune_budgets(&self, now_ms: i64) -> Result<usize, CatalogError> {
        let sql = self.sql();
        let oldest_day = day_of(now_ms) - KEEP_LEDGER_DAYS;
        let lines = sql.execute("DELETE FROM usage_ledger WHERE day < ?1", [oldest_day])?;
        let counters =
            sql.execute("DELETE FROM budget_use WHERE updated_ms < ?1", [now_ms - KEEP_COUNTERS_MS])?;
        let orphans = sql.execute(
            "DELETE FROM reservations WHERE state = 'orphaned' AND deadline_ms < ?1",
            [now_ms - KEEP_ORPHANS_MS],
        )?;
        let handovers = sql.execute(
            "DELETE FROM handover_use WHERE updated_ms < ?1",
            [now_ms - KEEP_LEDGER_DAYS * DAY_MS],
        )?;
        Ok(lines + counters + orphans + handovers)
    }
}
