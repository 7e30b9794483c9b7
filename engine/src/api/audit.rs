//! The audit log, read back: which records, and whether the chain holds.

use std::str::FromStr;

use super::error::Result;
use super::session::Session;
use crate::access::{AccessError, Verb};
use crate::clock::parse_rfc3339;
use crate::id::fold;
use crate::journal::{self, AuditBreak, AuditRow, Outcome, Walk};
use crate::pattern::Pattern;

/// Which records of the audit log.
#[derive(Debug, Clone, Default)]
pub struct AuditFilter {
    /// Exact.
    pub principal: Option<String>,
    /// The id of the token that was shown; exact.
    pub token: Option<String>,
    /// Exact, or a family such as `file.`.
    pub action: Option<String>,
    /// A verb, such as `write`.
    pub verb: Option<String>,
    /// A path, and everything below it; with `*` or `?` a pattern.
    pub path: Option<String>,
    /// `allowed`, `denied`, `pending`, `failed`.
    pub outcome: Option<String>,
    /// Exact.
    pub trace: Option<String>,
    /// RFC 3339, inclusive.
    pub since: Option<String>,
    /// RFC 3339, inclusive.
    pub until: Option<String>,
    /// Records after this number; without meaning where the newest come first.
    pub after: u64,
    /// The newest first.
    pub newest_first: bool,
    /// Records before this number, where the newest come first.
    pub before: Option<u64>,
    /// Records at most.
    pub limit: usize,
}

/// A filter whose values were checked.
struct Wanted<'a> {
    filter: &'a AuditFilter,
    place: Option<Place<'a>>,
    since_ms: Option<i64>,
    until_ms: Option<i64>,
}

enum Place<'a> {
    Below(&'a str),
    Matching(Pattern),
}

impl AuditFilter {
    fn check(&self) -> Result<Wanted<'_>> {
        if let Some(outcome) = &self.outcome
            && !Outcome::ALL.iter().any(|known| known.as_str() == outcome)
        {
            let expected = Outcome::ALL.map(Outcome::as_str).join(", ");
            return Err(AccessError::invalid("outcome", outcome, expected).into());
        }
        if let Some(verb) = &self.verb {
            Verb::from_str(verb)?;
        }
        let place = match &self.path {
            None => None,
            Some(path) if path.contains(['*', '?']) => {
                Some(Place::Matching(Pattern::path(path).map_err(AccessError::from)?))
            }
            Some(path) => Some(Place::Below(path.trim_end_matches('/'))),
        };
        let (since_ms, until_ms) = (time("since", self.since.as_ref())?, time("until", self.until.as_ref())?);
        Ok(Wanted { filter: self, place, since_ms, until_ms })
    }
}

fn time(field: &'static str, text: Option<&String>) -> Result<Option<i64>> {
    let read = |text: &String| {
        let expected = "a time such as `2026-01-31T00:00:00Z`";
        parse_rfc3339(text).ok_or_else(|| AccessError::invalid(field, text, expected))
    };
    Ok(text.map(read).transpose()?)
}

impl Wanted<'_> {
    fn passes(&self, row: &AuditRow) -> bool {
        let filter = self.filter;
        let same =
            |wanted: &Option<String>, found: &str| wanted.as_ref().is_none_or(|wanted| wanted == found);
        let is_action = |action: &String| {
            row.action == *action || (action.ends_with('.') && row.action.starts_with(action.as_str()))
        };
        let is_there = |place: &Place<'_>| match place {
            Place::Below(path) => {
                row.path.strip_prefix(path).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
            }
            Place::Matching(pattern) => pattern.matches(&fold(&row.path)),
        };
        same(&filter.principal, &row.principal)
            && same(&filter.token, &row.token)
            && same(&filter.verb, &row.verb)
            && same(&filter.outcome, &row.outcome)
            && same(&filter.trace, &row.trace)
            && filter.action.as_ref().is_none_or(is_action)
            && self.place.as_ref().is_none_or(is_there)
            && self.since_ms.is_none_or(|since_ms| row.at_ms() >= since_ms)
            && self.until_ms.is_none_or(|until_ms| row.at_ms() <= until_ms)
    }
}

impl Session {
    /// Records of the audit log, oldest first unless the filter says otherwise.
    ///
    /// # Errors
    /// [`super::Error::Forbidden`] for all but the admin; [`AccessError::Invalid`] for a value of the filter that can't be one.
    pub fn audit(&self, filter: &AuditFilter) -> Result<Vec<AuditRow>> {
        let rule = self.require_admin("audit.read", "/")?;
        let wanted = self.note_failure("audit.read", Verb::Admin, "/", filter.check())?;
        self.record("audit.read", Verb::Admin, "/", "", Outcome::Allowed, &rule)?;
        self.engine.auditor.flush()?;
        let walk = if filter.newest_first { Walk::Before(filter.before) } else { Walk::After(filter.after) };
        let passes = |row: &AuditRow| wanted.passes(row);
        Ok(journal::acts(&self.engine.catalog, walk, filter.limit.max(1), passes)?)
    }

    /// Walks the whole audit chain; the number of records, and where it does not hold.
    ///
    /// # Errors
    /// [`super::Error::Forbidden`] for all but the admin.
    pub fn verify_audit(&self) -> Result<(u64, Option<AuditBreak>)> {
        let rule = self.require_admin("audit.verify", "/")?;
        self.record("audit.verify", Verb::Admin, "/", "", Outcome::Allowed, &rule)?;
        self.engine.auditor.flush()?;
        Ok(journal::verify_audit(&self.engine.catalog, &self.engine.keys.audit)?)
    }
}
