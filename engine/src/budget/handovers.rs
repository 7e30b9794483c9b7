//! What was spent on each handover, beside the ledger, which sums up.

use std::collections::BTreeMap;

use rusqlite::{OptionalExtension, params};

use super::counters::{MOST, amounts_at};
use super::usage::Usage;
use crate::catalog::{Catalog, CatalogError, Tx};

impl Tx<'_> {
    /// Adds to what was spent on the handover that a reservation was made for; less than nothing puts it right.
    pub(super) fn add_to_handover(
        &self,
        reservation: &str,
        used: [i64; 4],
        now_ms: i64,
    ) -> Result<(), CatalogError> {
        if used == [0; 4] {
            return Ok(());
        }
        let query = format!(
            "INSERT INTO handover_use (reservation, usd, tokens, calls, bytes, updated_ms)
             VALUES (?1, max(?2, 0), max(?3, 0), max(?4, 0), max(?5, 0), ?6)
             ON CONFLICT (reservation) DO UPDATE SET
                 usd = min(max(usd + ?2, 0), {MOST}), tokens = min(max(tokens + ?3, 0), {MOST}),
                 calls = min(max(calls + ?4, 0), {MOST}), bytes = min(max(bytes + ?5, 0), {MOST}),
                 updated_ms = ?6"
        );
        let [usd, tokens, calls, bytes] = used;
        self.sql().prepare_cached(&query)?.execute(params![
            reservation,
            usd,
            tokens,
            calls,
            bytes,
            now_ms
        ])?;
        Ok(())
    }
}

/// What was spent up to now on the handovers that these reservations were made for, by reservation; those on which
/// nothing was spent yet are left out.
///
/// # Errors
/// [`CatalogError::Sqlite`].
pub fn spent_on(catalog: &Catalog, reservations: &[&str]) -> Result<BTreeMap<String, Usage>, CatalogError> {
    catalog.read(|sql| {
        let mut statement =
            sql.prepare_cached("SELECT usd, tokens, calls, bytes FROM handover_use WHERE reservation = ?1")?;
        let mut spent = BTreeMap::new();
        for reservation in reservations {
            let used = statement.query_row([reservation], |row| amounts_at(row, 0)).optional()?;
            spent.extend(used.map(|used| ((*reservation).to_owned(), used)));
        }
        Ok(spent)
    })
}
