use crate::catalog::{CatalogError, Tx};

const DAY_MS: i64 = 24 * 3600 * 1000;
/// Hops, and traces that go on, are kept for so long after their last hop.
const KEEP_MS: i64 = 30 * DAY_MS;
/// That a trace is parked or ended is kept for so long.
const KEEP_DECISIONS_MS: i64 = 400 * DAY_MS;

impl Tx<'_> {
    /// Forgets old traces. That one was stopped is remembered far longer than what was said in it.
    ///
    /// # Errors
    /// [`CatalogError::Sqlite`].
    pub fn prune_traces(&self, now_ms: i64) -> Result<usize, CatalogError> {
        let sql = self.sql();
        let old = sql.execute(
            "DELETE FROM traces WHERE state = 'open' AND updated_ms < ?1 OR updated_ms < ?2",
            [now_ms - KEEP_MS, now_ms - KEEP_DECISIONS_MS],
        )?;
        let hops = sql.execute(
            "DELETE FROM hops WHERE trace IN (SELECT number FROM traces WHERE updated_ms < ?1)",
            [now_ms - KEEP_MS],
        )?;
        Ok(old + hops)
    }
}
