//! What each principal used: a row per day, kind and target.

use std::str::FromStr;

use rusqlite::params;
use serde::Serialize;

use super::counters::{MOST, amounts_at};
use super::error::BudgetError;
use super::usage::Usage;
use crate::catalog::{Catalog, CatalogError, Tx};

/// Which row of the ledger.
pub(super) struct Line<'a> {
    pub principal: &'a str,
    pub day: i64,
    pub kind: &'a str,
    pub target: &'a str,
}

/// By what a report sums up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, serde::Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum GroupBy {
    /// Who.
    Principal,
    /// On which tool or agent.
    Target,
    /// On what kind of act.
    Kind,
    /// When.
    #[default]
    Day,
}

impl GroupBy {
    /// Its name, which is that of the column too.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Principal => "principal",
            Self::Target => "target",
            Self::Kind => "kind",
            Self::Day => "day",
        }
    }
}

impl FromStr for GroupBy {
    type Err = BudgetError;

    fn from_str(text: &str) -> Result<Self, BudgetError> {
        let all = [Self::Principal, Self::Target, Self::Kind, Self::Day];
        let legal = "principal, target, kind or day";
        all.into_iter()
            .find(|one| one.as_str() == text)
            .ok_or_else(|| BudgetError::invalid("group_by", text, legal))
    }
}

/// Which rows of the ledger.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UsageFilter {
    /// The first day, in days since 1970.
    pub from_day: i64,
    /// The last day, in days since 1970.
    pub to_day: i64,
    /// Of one principal.
    pub principal: Option<String>,
    /// By what it sums up.
    pub group_by: GroupBy,
}

/// A sum of the ledger.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UsageRow {
    /// Of which principal, target, kind or day (in days since 1970).
    pub key: String,
    /// How much.
    pub used: Usage,
    /// How many of them failed.
    pub failures: u64,
}

impl Tx<'_> {
    /// Adds to a row.
    pub(super) fn add_to_ledger(
        &self,
        line: &Line<'_>,
        used: [i64; 4],
        failures: i64,
    ) -> Result<(), CatalogError> {
        if used == [0; 4] && failures == 0 {
            return Ok(());
        }
        let query = format!(
            "INSERT INTO usage_ledger (principal, day, kind, target, usd, tokens, calls, bytes, failures)
             VALUES (?1, ?2, ?3, ?4, max(?5, 0), max(?6, 0), max(?7, 0), max(?8, 0), ?9)
             ON CONFLICT (principal, day, kind, target) DO UPDATE SET
                 usd = min(max(usd + ?5, 0), {MOST}), tokens = min(max(tokens + ?6, 0), {MOST}),
                 calls = min(max(calls + ?7, 0), {MOST}), bytes = min(max(bytes + ?8, 0), {MOST}),
                 failures = failures + ?9"
        );
        let Line { principal, day, kind, target } = line;
        let [usd, tokens, calls, bytes] = used;
        self.sql()
            .prepare_cached(&query)?
            .execute(params![principal, day, kind, target, usd, tokens, calls, bytes, failures])?;
        Ok(())
    }
}

/// Sums of the ledger, by key. They are made here, for a sum of SQLite's ends in an error where it grows too large.
///
/// # Errors
/// [`CatalogError::Sqlite`].
pub fn usage(catalog: &Catalog, filter: &UsageFilter) -> Result<Vec<UsageRow>, CatalogError> {
    catalog.read(|sql| {
        let column = filter.group_by.as_str();
        let query = format!(
            "SELECT CAST({column} AS TEXT), usd, tokens, calls, bytes, failures FROM usage_ledger
             WHERE day BETWEEN ?1 AND ?2 AND (?3 IS NULL OR principal = ?3) ORDER BY {column}"
        );
        let mut statement = sql.prepare_cached(&query)?;
        let rows = statement.query_map(params![filter.from_day, filter.to_day, filter.principal], |row| {
            let failures: i64 = row.get(5)?;
            Ok(UsageRow { key: row.get(0)?, used: amounts_at(row, 1)?, failures: failures.max(0) as u64 })
        })?;
        let mut sums: Vec<UsageRow> = Vec::new();
        for row in rows {
            let row = row?;
            match sums.last_mut().filter(|sum| sum.key == row.key) {
                Some(sum) => sum.add(&row),
                None => sums.push(row),
            }
        }
        Ok(sums)
    })
}

impl UsageRow {
    /// Takes another one's amounts up.
    pub fn add(&mut self, other: &Self) {
        self.used = self.used.plus(other.used);
        self.failures = self.failures.saturating_add(other.failures);
    }
}
