//! Makes room for a charge in every budget that binds it, or in none.

use rusqlite::types::Type;
use rusqlite::{OptionalExtension, Row, params};

use super::counters::{self, Key, amounts_at};
use super::error::Exceeded;
use super::plan::{Asker, Charge, day_of};
use super::rows::{binding, key};
use super::usage::Usage;
use crate::catalog::{CatalogError, Tx};

/// For how long a charge is reserved where nothing else is asked, in milliseconds.
pub const DEFAULT_TTL_MS: u64 = 600_000;
/// The longest reservation, in milliseconds: thirty days, for what a task may take.
pub const MAX_TTL_MS: u64 = 30 * 24 * 3600 * 1000;
/// Characters of a target or trace that are kept.
const MAX_NAME_CHARS: usize = 256;

/// What asking for room gives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It is reserved until then, in milliseconds since 1970; settle it.
    Reserved {
        /// The deadline.
        deadline_ms: i64,
    },
    /// Nothing is reserved.
    Exceeded(Box<Exceeded>),
}

/// A charge that is reserved, or was not settled in time.
pub(super) struct Reserved {
    pub principal: String,
    pub kind: String,
    pub target: String,
    pub estimate: Usage,
    pub counters: Vec<Key>,
    pub day: i64,
    /// Whether something was spent on it already, so that its estimate is only room for more.
    pub is_spent: bool,
    /// Whether its deadline has passed, and its estimate counts as spent.
    pub is_orphaned: bool,
}

impl Reserved {
    /// What of it counts as spent already, beside what was reported.
    pub fn counted(&self) -> Usage {
        if self.is_orphaned && !self.is_spent { self.estimate } else { Usage::default() }
    }

    /// What of it is still held against others.
    pub fn held(&self) -> Usage {
        if self.is_orphaned { Usage::default() } else { self.estimate }
    }
}

const COLUMNS: &str = "principal, kind, target, usd, tokens, calls, bytes, counters, day, spent, state";

impl Tx<'_> {
    /// Reserves a charge under an id, if all budgets that bind it have room; else says which has not, and notes that it was
    /// said. Also what no budget binds is reserved, so that it stands in the ledger whatever happens.
    ///
    /// # Errors
    /// [`CatalogError::Sqlite`].
    pub fn reserve(
        &self,
        id: &str,
        asker: &Asker<'_>,
        trace: &str,
        charge: &Charge,
        now_ms: i64,
    ) -> Result<Outcome, CatalogError> {
        let (day, trace) = (day_of(now_ms), short(charge.trace.as_deref().unwrap_or(trace)));
        let target = short(&charge.target);
        let mut counters = Vec::new();
        for budget in binding(self.sql(), asker)? {
            if !budget.binds(asker, charge.kind, &target) {
                continue;
            }
            let key = key(&budget, asker.principal, day, &trace);
            let counter = counters::read(self.sql(), &key)?;
            if let Err(exceeded) = budget.check(&counter, charge, day) {
                if exceeded.is_first {
                    self.mark_told(&key, now_ms)?;
                }
                return Ok(Outcome::Exceeded(exceeded));
            }
            counters.push(key);
        }
        let estimate = charge.estimate.amounts();
        for key in &counters {
            self.move_counter(key, [0; 4], estimate, now_ms)?;
        }
        let ttl_ms = charge.ttl_ms.unwrap_or(DEFAULT_TTL_MS).clamp(1, MAX_TTL_MS);
        let deadline_ms = now_ms.saturating_add(ttl_ms as i64);
        self.sql()
            .prepare_cached(
                "INSERT INTO reservations (id, principal, kind, target, priority, trace, usd, tokens, calls, bytes,
                                           counters, day, deadline_ms, created_ms)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)",
            )?
            .execute(params![
                id,
                asker.principal,
                charge.kind.as_str(),
                target,
                charge.priority.as_str(),
                trace,
                estimate[0],
                estimate[1],
                estimate[2],
                estimate[3],
                serde_json::to_string(&counters).expect("names can be written"),
                day,
                deadline_ms,
                now_ms,
            ])?;
        Ok(Outcome::Reserved { deadline_ms })
    }

    /// A reservation that was not settled yet.
    pub(super) fn reservation(&self, id: &str) -> Result<Option<Reserved>, CatalogError> {
        let query = format!("SELECT {COLUMNS} FROM reservations WHERE id = ?1");
        Ok(self.sql().prepare_cached(&query)?.query_row([id], read_row).optional()?)
    }

    /// Counts what somebody has used without asking before, in every budget that binds it and in the ledger. Nothing is
    /// checked: it has happened.
    ///
    /// # Errors
    /// [`CatalogError::Sqlite`].
    pub fn spend(
        &self,
        asker: &Asker<'_>,
        trace: &str,
        charge: &Charge,
        is_ok: bool,
        now_ms: i64,
    ) -> Result<(), CatalogError> {
        let (day, trace, target) = (day_of(now_ms), short(trace), short(&charge.target));
        let used = charge.estimate.amounts();
        for budget in binding(self.sql(), asker)? {
            if budget.binds(asker, charge.kind, &target) {
                let key = key(&budget, asker.principal, day, &trace);
                self.move_counter(&key, used, [0; 4], now_ms)?;
            }
        }
        let line = super::ledger::Line {
            principal: asker.principal,
            day,
            kind: charge.kind.as_str(),
            target: &target,
        };
        self.add_to_ledger(&line, used, i64::from(!is_ok))
    }
}

fn short(text: &str) -> String {
    text.chars().take(MAX_NAME_CHARS).collect()
}

fn read_row(row: &Row<'_>) -> Result<Reserved, rusqlite::Error> {
    let counters: String = row.get(7)?;
    let unread = |error| rusqlite::Error::FromSqlConversionFailure(7, Type::Text, Box::new(error));
    let state: String = row.get(10)?;
    Ok(Reserved {
        principal: row.get(0)?,
        kind: row.get(1)?,
        target: row.get(2)?,
        estimate: amounts_at(row, 3)?,
        counters: serde_json::from_str(&counters).map_err(unread)?,
        day: row.get(8)?,
        is_spent: row.get(9)?,
        is_orphaned: state != "open",
    })
}
