//! What each budget has counted, per holder and period.

use rusqlite::{Connection, OptionalExtension, Row, params};
use serde::{Deserialize, Serialize};

use super::usage::Usage;
use crate::catalog::{CatalogError, Tx};

/// A counter stops here, far from the end of its column.
pub(super) const MOST: i64 = 1_000_000_000_000_000_000;

/// What was counted in one period.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counter {
    /// What was spent.
    pub used: Usage,
    /// What is about to be spent.
    pub reserved: Usage,
    /// Whether somebody was told already that there is too little left.
    pub is_told: bool,
}

/// Which counter.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Key {
    /// The budget's id.
    pub budget: String,
    /// Whose.
    pub who: String,
    /// Of which day or trace.
    pub period: String,
}

/// What a counter shows.
pub(super) fn read(sql: &Connection, key: &Key) -> Result<Counter, CatalogError> {
    let found = sql
        .prepare_cached(
            "SELECT used_usd, used_tokens, used_calls, used_bytes,
                    reserved_usd, reserved_tokens, reserved_calls, reserved_bytes, told
             FROM budget_use WHERE budget = ?1 AND who = ?2 AND period = ?3",
        )?
        .query_row(params![key.budget, key.who, key.period], read_row)
        .optional()?;
    Ok(found.unwrap_or_default())
}

fn read_row(row: &Row<'_>) -> Result<Counter, rusqlite::Error> {
    Ok(Counter { used: amounts_at(row, 0)?, reserved: amounts_at(row, 4)?, is_told: row.get(8)? })
}

/// Four columns in the order of [`super::Unit::ALL`].
pub(super) fn amounts_at(row: &Row<'_>, first: usize) -> Result<Usage, rusqlite::Error> {
    let amounts = [row.get(first)?, row.get(first + 1)?, row.get(first + 2)?, row.get(first + 3)?];
    Ok(Usage::from_amounts(amounts))
}

impl Tx<'_> {
    /// Moves a counter by so much; none goes below nothing.
    pub(super) fn move_counter(
        &self,
        key: &Key,
        used: [i64; 4],
        reserved: [i64; 4],
        now_ms: i64,
    ) -> Result<(), CatalogError> {
        let query = format!(
            "INSERT INTO budget_use (budget, who, period, used_usd, used_tokens, used_calls, used_bytes,
                     reserved_usd, reserved_tokens, reserved_calls, reserved_bytes, updated_ms)
                 VALUES (?1, ?2, ?3, max(?4, 0), max(?5, 0), max(?6, 0), max(?7, 0), max(?8, 0), max(?9, 0),
                         max(?10, 0), max(?11, 0), ?12)
                 ON CONFLICT (budget, who, period) DO UPDATE SET
                     used_usd = min(max(used_usd + ?4, 0), {MOST}), used_tokens = min(max(used_tokens + ?5, 0), {MOST}),
                     used_calls = min(max(used_calls + ?6, 0), {MOST}), used_bytes = min(max(used_bytes + ?7, 0), {MOST}),
                     reserved_usd = min(max(reserved_usd + ?8, 0), {MOST}), reserved_tokens = min(max(reserved_tokens + ?9, 0), {MOST}),
                     reserved_calls = min(max(reserved_calls + ?10, 0), {MOST}), reserved_bytes = min(max(reserved_bytes + ?11, 0), {MOST}),
                     updated_ms = ?12"
        );
        self.sql().prepare_cached(&query)?.execute(params![
            key.budget,
            key.who,
            key.period,
            used[0],
            used[1],
            used[2],
            used[3],
            reserved[0],
            reserved[1],
            reserved[2],
            reserved[3],
            now_ms,
        ])?;
        Ok(())
    }

    /// Notes that somebody was told that there is too little left.
    pub(super) fn mark_told(&self, key: &Key, now_ms: i64) -> Result<(), CatalogError> {
        self.sql()
            .prepare_cached(
                "INSERT INTO budget_use (budget, who, period, told, updated_ms) VALUES (?1, ?2, ?3, 1, ?4)
                 ON CONFLICT (budget, who, period) DO UPDATE SET told = 1",
            )?
            .execute(params![key.budget, key.who, key.period, now_ms])?;
        Ok(())
    }
}
