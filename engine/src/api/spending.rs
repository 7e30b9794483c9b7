//! What was used, as people read it.

use serde::Serialize;

use super::error::{Error, Result};
use super::session::Session;
use crate::access::Verb;
use crate::budget::{self, DAY_MS, GroupBy, Usage, UsageFilter, UsageRow, day_of};
use crate::clock::{parse_rfc3339, rfc3339};
use crate::journal::Outcome;

/// Days of a report where nothing else is asked.
const DEFAULT_DAYS: i64 = 30;

/// Which part of the ledger.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UsageRequest {
    /// The first day, such as `2026-01-31`; thirty days with the last one where it is missing.
    pub from: Option<String>,
    /// The last day; today where it is missing.
    pub to: Option<String>,
    /// Whose; one's own where it is missing, and everybody's for the admin.
    pub principal: Option<String>,
    /// By what it sums up.
    pub group_by: GroupBy,
}

/// A sum of the ledger. Exactly one of the first four is told, or none in a total.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, schemars::JsonSchema)]
pub struct UsageInfo {
    /// Who.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub principal: Option<String>,
    /// Which tool or agent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
    /// `tool`, `dispatch`, `ask`, `task` or `import`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// In UTC.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub day: Option<String>,
    /// `usd` as a decimal text, `tokens`, `calls`, `bytes`.
    #[serde(flatten)]
    pub used: Usage,
    /// How many of the calls failed.
    pub failures: u64,
}

/// What was used between two days.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, schemars::JsonSchema)]
pub struct UsageReply {
    /// The first day.
    pub from: String,
    /// The last day.
    pub to: String,
    /// By what it sums up.
    pub group_by: GroupBy,
    /// By key, ascending.
    pub items: Vec<UsageInfo>,
    /// Of all items.
    pub total: UsageInfo,
}

impl Session {
    /// What was used. Everybody sees their own; the admin that of everybody.
    ///
    /// # Errors
    /// [`Error::Forbidden`] for asking about others; [`Error::Invalid`] for a day that is none.
    pub fn usage(&self, request: &UsageRequest) -> Result<UsageReply> {
        let is_admin = self.is_admin();
        let principal = request.principal.clone().or((!is_admin).then(|| self.actor.principal.clone()));
        if principal.as_ref().is_some_and(|principal| *principal != self.actor.principal) {
            self.require_admin("usage.read", "/")?;
        }
        self.engine.settle_overdue()?;
        let today = day_of(self.now_ms());
        let to_day = read_day("to", request.to.as_deref())?.unwrap_or(today);
        let from_day = read_day("from", request.from.as_deref())?.unwrap_or(to_day - DEFAULT_DAYS + 1);
        self.record("usage.read", Verb::Admin, "/", "", Outcome::Allowed, "scope")?;
        let filter = UsageFilter { from_day, to_day, principal, group_by: request.group_by };
        let rows = budget::usage(&self.engine.catalog, &filter)?;
        let mut total = UsageRow { key: String::new(), used: Usage::default(), failures: 0 };
        rows.iter().for_each(|row| total.add(row));
        Ok(UsageReply {
            from: show_day(from_day),
            to: show_day(to_day),
            group_by: request.group_by,
            items: rows.into_iter().map(|row| show_row(row, request.group_by)).collect(),
            total: UsageInfo { used: total.used, failures: total.failures, ..UsageInfo::default() },
        })
    }
}

fn show_row(row: UsageRow, group_by: GroupBy) -> UsageInfo {
    let mut info = UsageInfo { used: row.used, failures: row.failures, ..UsageInfo::default() };
    match group_by {
        GroupBy::Principal => info.principal = Some(row.key),
        GroupBy::Target => info.target = Some(row.key),
        GroupBy::Kind => info.kind = Some(row.key),
        GroupBy::Day => info.day = row.key.parse().ok().map(show_day),
    }
    info
}

fn read_day(field: &'static str, text: Option<&str>) -> Result<Option<i64>> {
    let Some(text) = text else { return Ok(None) };
    let ms = parse_rfc3339(text).ok_or_else(|| Error::Invalid {
        field,
        found: format!("`{}`", text.chars().take(40).collect::<String>()),
        expected: "a day such as `2026-01-31`".to_owned(),
    })?;
    Ok(Some(day_of(ms)))
}

fn show_day(day: i64) -> String {
    rfc3339(day.saturating_mul(DAY_MS)).chars().take(10).collect()
}
