//! The catalog's table of budgets.

use rusqlite::types::Type;
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::counters::{self, Counter, Key};
use super::error::BudgetError;
use super::plan::{Asker, Budget, Limits, Period, TargetPattern};
use crate::catalog::{Catalog, CatalogError, Tx};
use crate::pattern::Pattern;

/// Budgets that are kept at most.
pub const MAX_BUDGETS: usize = 1000;

const COLUMNS: &str = "holder, target_kind, pattern, period, usd, tokens, calls, bytes, note";

impl Tx<'_> {
    /// Adds a budget; of one that is there the limits and the note change, and what was counted stays.
    ///
    /// # Errors
    /// [`BudgetError::TooMany`].
    pub fn put_budget(&self, budget: &Budget, now_ms: i64) -> Result<(), BudgetError> {
        let query = "SELECT count(*) FROM budgets WHERE id != ?1";
        let n_others: i64 = self.sql().query_row(query, [&budget.id], |row| row.get(0))?;
        if n_others >= MAX_BUDGETS as i64 {
            return Err(BudgetError::TooMany { max: MAX_BUDGETS });
        }
        let (kind, pattern) = budget.target.as_ref().map(TargetPattern::parts).unzip();
        let limits = budget.limits.amounts().map(|limit| limit.map(|limit| limit as i64));
        self.sql().execute(
            "INSERT INTO budgets (id, holder, target_kind, pattern, period, usd, tokens, calls, bytes, note, created_ms)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)
             ON CONFLICT (id) DO UPDATE SET usd = coalesce(?6, usd), tokens = coalesce(?7, tokens), calls = coalesce(?8, calls),
                                            bytes = coalesce(?9, bytes), note = ?10",
            params![
                budget.id,
                budget.holder,
                kind,
                pattern,
                budget.period.as_str(),
                limits[0],
                limits[1],
                limits[2],
                limits[3],
                budget.note,
                now_ms,
            ],
        )?;
        Ok(())
    }

    /// Takes a budget away. What it has counted is kept until it is old, for whoever puts it back.
    ///
    /// # Errors
    /// [`BudgetError::NotFound`].
    pub fn remove_budget(&self, id: &str) -> Result<(), BudgetError> {
        if self.sql().execute("DELETE FROM budgets WHERE id = ?1", [id])? == 0 {
            return Err(BudgetError::NotFound { id: id.chars().take(80).collect() });
        }
        Ok(())
    }
}

impl From<rusqlite::Error> for BudgetError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Catalog(error.into())
    }
}

/// All budgets, by id.
///
/// # Errors
/// [`CatalogError::Sqlite`].
pub fn budgets(catalog: &Catalog) -> Result<Vec<Budget>, CatalogError> {
    catalog.read(|sql| {
        let query = format!("SELECT {COLUMNS} FROM budgets ORDER BY id");
        let mut statement = sql.prepare_cached(&query)?;
        let rows = statement.query_map([], read_budget)?;
        Ok(rows.collect::<Result<_, _>>()?)
    })
}

/// A budget by its id.
///
/// # Errors
/// [`CatalogError::Sqlite`].
pub fn budget(catalog: &Catalog, id: &str) -> Result<Option<Budget>, CatalogError> {
    catalog.read(|sql| {
        let query = format!("SELECT {COLUMNS} FROM budgets WHERE id = ?1");
        Ok(sql.prepare_cached(&query)?.query_row([id], read_budget).optional()?)
    })
}

/// The budgets that may bind somebody, by id.
///
/// # Errors
/// [`CatalogError::Sqlite`].
pub fn budgets_of(catalog: &Catalog, asker: &Asker<'_>) -> Result<Vec<Budget>, CatalogError> {
    catalog.read(|sql| binding(sql, asker))
}

/// As [`budgets_of`], within a transaction.
pub(super) fn binding(sql: &Connection, asker: &Asker<'_>) -> Result<Vec<Budget>, CatalogError> {
    let query = format!("SELECT {COLUMNS} FROM budgets WHERE holder = ?1");
    let mut statement = sql.prepare_cached(&query)?;
    let mut found = Vec::new();
    for holder in asker.holders() {
        for budget in statement.query_map([holder], read_budget)? {
            found.push(budget?);
        }
    }
    found.sort_by(|a: &Budget, b: &Budget| a.id.cmp(&b.id));
    Ok(found)
}

/// What a budget has counted for a principal, on a day or in a trace.
///
/// # Errors
/// [`CatalogError::Sqlite`].
pub fn counter(
    catalog: &Catalog,
    budget: &Budget,
    principal: &str,
    day: i64,
    trace: &str,
) -> Result<Counter, CatalogError> {
    catalog.read(|sql| counters::read(sql, &key(budget, principal, day, trace)))
}

pub(super) fn key(budget: &Budget, principal: &str, day: i64, trace: &str) -> Key {
    Key {
        budget: budget.id.clone(),
        who: budget.counted_for(principal).to_owned(),
        period: budget.period.key(day, trace),
    }
}

fn read_budget(row: &Row<'_>) -> Result<Budget, rusqlite::Error> {
    let (kind, pattern): (Option<String>, Option<String>) = (row.get(1)?, row.get(2)?);
    let target = kind.zip(pattern).map(|(kind, pattern)| read_target(&kind, &pattern)).transpose()?;
    let limit = |idx| row.get::<_, Option<i64>>(idx).map(|limit| limit.map(|limit| limit.max(0) as u64));
    let limits = Limits { usd_micros: limit(4)?, tokens: limit(5)?, calls: limit(6)?, bytes: limit(7)? };
    let (holder, period, note): (String, String, String) = (row.get(0)?, row.get(3)?, row.get(8)?);
    let period: Period = period.parse().map_err(|error| unread(3, error))?;
    Budget::new(&holder, target, period, limits, &note).map_err(|error| unread(4, error))
}

fn read_target(kind: &str, pattern: &str) -> Result<TargetPattern, rusqlite::Error> {
    let pattern = Pattern::name(pattern).map_err(|error| unread(2, error.into()))?;
    Ok(if kind == "agent" { TargetPattern::Agent(pattern) } else { TargetPattern::Tool(pattern) })
}

fn unread(column: usize, error: BudgetError) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(column, Type::Text, Box::new(error))
}
