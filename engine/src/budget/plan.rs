//! Decides, over plain data: which budgets bind a charge, and whether they have room for it.

use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::counters::Counter;
use super::error::{BudgetError, Exceeded};
use super::priority::Priority;
use super::usage::{MAX_AMOUNT, Unit, Usage};
use crate::id::fold;
use crate::pattern::Pattern;

/// Milliseconds of a day.
pub const DAY_MS: i64 = 24 * 3600 * 1000;
/// From this share of a limit on, in percent, a budget warns.
pub const WARN_SHARE: u64 = 80;
/// Characters of a note at most.
const MAX_NOTE_CHARS: usize = 500;

/// The UTC day of an instant: days since 1970.
pub fn day_of(ms: i64) -> i64 {
    ms.div_euclid(DAY_MS)
}

/// What a budget is counted over.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Period {
    /// A day in UTC.
    Day,
    /// All that belongs to one trace; it never resets.
    Trace,
}

impl Period {
    /// Its name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Day => "day",
            Self::Trace => "trace",
        }
    }

    /// The name of the one that an instant and a trace belong to.
    pub fn key(self, day: i64, trace: &str) -> String {
        match self {
            Self::Day => day.to_string(),
            Self::Trace => trace.to_owned(),
        }
    }

    /// When that of a day ends, in milliseconds since 1970.
    pub fn resets_ms(self, day: i64) -> Option<i64> {
        (self == Self::Day).then(|| day.saturating_add(1).saturating_mul(DAY_MS))
    }
}

impl FromStr for Period {
    type Err = BudgetError;

    fn from_str(text: &str) -> Result<Self, BudgetError> {
        match text {
            "day" => Ok(Self::Day),
            "trace" => Ok(Self::Trace),
            _ => Err(BudgetError::invalid("period", text, "day or trace")),
        }
    }
}

/// What an act is.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum ChargeKind {
    /// A tool is called.
    Tool,
    /// An agent is handed an intent.
    Dispatch,
    /// A generator answers.
    Ask,
    /// A worker reports what a task took that nobody had reserved for.
    Task,
    /// A file is fetched from a URL.
    Import,
}

impl ChargeKind {
    /// Its name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Tool => "tool",
            Self::Dispatch => "dispatch",
            Self::Ask => "ask",
            Self::Task => "task",
            Self::Import => "import",
        }
    }
}

/// What a budget is narrowed to.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum TargetPattern {
    /// Calls of these tools.
    Tool(Pattern),
    /// Dispatches to these agents.
    Agent(Pattern),
}

impl TargetPattern {
    /// As the catalog has it.
    pub(super) fn parts(&self) -> (&'static str, &str) {
        match self {
            Self::Tool(pattern) => ("tool", pattern.as_str()),
            Self::Agent(pattern) => ("agent", pattern.as_str()),
        }
    }

    fn matches(&self, kind: ChargeKind, target: &str) -> bool {
        let (wanted, pattern) = match self {
            Self::Tool(pattern) => (ChargeKind::Tool, pattern),
            Self::Agent(pattern) => (ChargeKind::Dispatch, pattern),
        };
        kind == wanted && pattern.matches(&fold(target))
    }
}

/// What may be used in one period; `None`: as much as there is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Limits {
    /// Millionths of a dollar.
    pub usd_micros: Option<u64>,
    /// Of models.
    pub tokens: Option<u64>,
    /// Of tools and agents.
    pub calls: Option<u64>,
    /// That are carried.
    pub bytes: Option<u64>,
}

impl Limits {
    /// In the order of [`Unit::ALL`].
    pub fn amounts(&self) -> [Option<u64>; 4] {
        [self.usd_micros, self.tokens, self.calls, self.bytes]
    }

    /// The units that are limited.
    pub fn each(&self) -> impl Iterator<Item = (Unit, u64)> {
        let pairs = Unit::ALL.into_iter().zip(self.amounts());
        pairs.filter_map(|(unit, limit)| limit.map(|limit| (unit, limit)))
    }
}

/// A limit of somebody.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Budget {
    /// `bg_…`, made from holder, target and period: the same three are one budget, whose limits may change.
    pub id: String,
    /// A principal; a group, whose members share it; or `*`, which each principal has alone.
    pub holder: String,
    /// What it is narrowed to.
    pub target: Option<TargetPattern>,
    /// What it is counted over.
    pub period: Period,
    /// At least one.
    pub limits: Limits,
    /// For people.
    pub note: String,
}

impl Budget {
    /// Checks the parts, but for the holder, and names the whole.
    ///
    /// # Errors
    /// [`BudgetError::Invalid`] where nothing is limited, a limit is too large or the note too long.
    pub fn new(
        holder: &str,
        target: Option<TargetPattern>,
        period: Period,
        limits: Limits,
        note: &str,
    ) -> Result<Self, BudgetError> {
        if limits.each().next().is_none() {
            return Err(BudgetError::invalid("limits", "", "at least one of usd, tokens, calls, bytes"));
        }
        if let Some((_, limit)) = limits.each().find(|(_, limit)| *limit > MAX_AMOUNT) {
            return Err(BudgetError::invalid("limits", &limit.to_string(), format!("at most {MAX_AMOUNT}")));
        }
        if note.chars().count() > MAX_NOTE_CHARS {
            return Err(BudgetError::invalid("note", note, format!("at most {MAX_NOTE_CHARS} characters")));
        }
        let (kind, pattern) = target.as_ref().map_or(("", ""), TargetPattern::parts);
        let mut hasher = blake3::Hasher::new();
        for part in [holder, kind, pattern, period.as_str()] {
            hasher.update(part.as_bytes()).update(&[0]);
        }
        let id = format!("bg_{}", &hasher.finalize().to_hex()[..12]);
        Ok(Self { id, holder: holder.to_owned(), target, period, limits, note: note.to_owned() })
    }

    /// Whether a charge of somebody counts here.
    pub fn binds(&self, asker: &Asker<'_>, kind: ChargeKind, target: &str) -> bool {
        self.binds_somehow(asker) && self.target.as_ref().is_none_or(|narrow| narrow.matches(kind, target))
    }

    /// Whether any charge of somebody may count here.
    pub fn binds_somehow(&self, asker: &Asker<'_>) -> bool {
        asker.holders().any(|holder| holder == self.holder)
    }

    /// Whose count it is: for `*` that of the principal alone.
    pub fn counted_for<'a>(&'a self, principal: &'a str) -> &'a str {
        if self.holder == "*" { principal } else { &self.holder }
    }

    /// What stands against a charge, given what was counted so far. A charge that does not say how much of a unit it takes
    /// is let through until there is nothing left of it.
    pub fn check(&self, counter: &Counter, charge: &Charge, day: i64) -> Result<(), Box<Exceeded>> {
        for (unit, limit) in self.limits.each() {
            let (used, reserved) = (counter.used.of(unit), counter.reserved.of(unit));
            let needed = charge.estimate.of(unit).min(MAX_AMOUNT);
            let (taken, usable) = (used.saturating_add(reserved), charge.priority.usable(limit));
            let is_used_up = needed == 0 && taken > 0 && taken >= usable;
            if taken.saturating_add(needed) <= usable && !is_used_up {
                continue;
            }
            return Err(Box::new(Exceeded {
                budget: self.id.clone(),
                holder: self.holder.clone(),
                period: self.period,
                unit,
                limit,
                usable,
                priority: charge.priority,
                used,
                reserved,
                left: usable.saturating_sub(taken),
                needed,
                resets_ms: self.period.resets_ms(day),
                is_first: !counter.is_told,
            }));
        }
        Ok(())
    }
}

/// Who wants to spend.
#[derive(Debug, Clone)]
pub struct Asker<'a> {
    /// The principal.
    pub principal: &'a str,
    /// The groups that it is in.
    pub groups: Vec<&'a str>,
}

impl Asker<'_> {
    /// Whose budgets bind it.
    pub fn holders(&self) -> impl Iterator<Item = &str> {
        ["*", self.principal].into_iter().chain(self.groups.iter().copied())
    }
}

/// What an act is expected to take.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Charge {
    /// What it is.
    pub kind: ChargeKind,
    /// The tool's or agent's id.
    pub target: String,
    /// What it will take, as far as is known.
    pub estimate: Usage,
    /// How much it matters.
    pub priority: Priority,
    /// The trace that it belongs to; that of the session where it is missing.
    pub trace: Option<String>,
    /// After so many milliseconds it counts as spent, unless it was settled;
    /// [`DEFAULT_TTL_MS`](super::DEFAULT_TTL_MS) where it is missing, [`MAX_TTL_MS`](super::MAX_TTL_MS) at most.
    pub ttl_ms: Option<u64>,
}

impl Charge {
    /// One call, of normal priority.
    pub fn new(kind: ChargeKind, target: &str) -> Self {
        Self {
            kind,
            target: target.to_owned(),
            estimate: Usage::call(),
            priority: Priority::Normal,
            trace: None,
            ttl_ms: None,
        }
    }

    /// That is expected to take so much.
    #[must_use]
    pub fn estimate(mut self, estimate: Usage) -> Self {
        self.estimate = estimate;
        self
    }

    /// That matters so much.
    #[must_use]
    pub fn priority(mut self, priority: Priority) -> Self {
        self.priority = priority;
        self
    }

    /// Of another trace than the session's.
    #[must_use]
    pub fn trace(mut self, trace: &str) -> Self {
        self.trace = Some(trace.to_owned());
        self
    }

    /// That may take so long to be settled.
    #[must_use]
    pub fn ttl_ms(mut self, ttl_ms: u64) -> Self {
        self.ttl_ms = Some(ttl_ms);
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn budget(calls: u64) -> Budget {
        let limits = Limits { calls: Some(calls), ..Limits::default() };
        Budget::new("agent:a", None, Period::Day, limits, "").unwrap()
    }

    #[test]
    fn low_priority_stops_first_and_small_limits_are_not_cut_to_nothing() {
        assert_eq!([0, 1, 10, 100].map(|limit| Priority::Low.usable(limit)), [0, 1, 8, 80]);
        assert_eq!([0, 1, 10, 100].map(|limit| Priority::Normal.usable(limit)), [0, 1, 10, 95]);
        assert_eq!([0, 1, 10, 100].map(|limit| Priority::High.usable(limit)), [0, 1, 10, 100]);
    }

    #[test]
    fn what_says_nothing_of_a_unit_passes_until_it_is_used_up() {
        let limits = Limits { usd_micros: Some(100), ..Limits::default() };
        let budget = Budget::new("agent:a", None, Period::Day, limits, "").unwrap();
        let check = |used: u64, needed: u64| {
            let counter = Counter { used: Usage::default().usd_micros(used), ..Counter::default() };
            let charge = Charge::new(ChargeKind::Tool, "t").priority(Priority::High);
            budget.check(&counter, &charge.estimate(Usage::call().usd_micros(needed)), 0).is_ok()
        };
        assert!(check(99, 0) && !check(100, 0) && !check(101, 0));
        assert!(check(99, 1) && !check(99, 2));
    }

    #[test]
    fn a_budget_is_named_by_holder_target_and_period() {
        assert_eq!(budget(1).id, budget(2).id);
        let limits = Limits { calls: Some(1), ..Limits::default() };
        let other = Budget::new("agent:a", None, Period::Trace, limits, "").unwrap();
        assert_ne!(other.id, budget(1).id);
        assert!(Budget::new("agent:a", None, Period::Day, Limits::default(), "").is_err());
    }

    #[test]
    fn a_narrowed_budget_binds_what_it_names() {
        let limits = Limits { calls: Some(1), ..Limits::default() };
        let target = TargetPattern::Tool(Pattern::name("pay.*").unwrap());
        let budget = Budget::new("group:g", Some(target), Period::Day, limits, "").unwrap();
        let member = Asker { principal: "agent:a", groups: vec!["group:g"] };
        let other = Asker { principal: "agent:a", groups: vec![] };
        assert!(budget.binds(&member, ChargeKind::Tool, "pay.card"));
        assert!(!budget.binds(&member, ChargeKind::Tool, "mail.send"));
        assert!(!budget.binds(&member, ChargeKind::Dispatch, "pay.card"));
        assert!(!budget.binds(&other, ChargeKind::Tool, "pay.card"));
    }
}
