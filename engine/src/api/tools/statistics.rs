use std::collections::{BTreeMap, VecDeque};

use serde::Serialize;

/// Calls whose times are remembered.
const MAX_TIMES: usize = 64;

/// How a tool's calls have gone since this process began.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, schemars::JsonSchema)]
pub struct ToolHealth {
    /// Calls that have ended.
    pub calls: u64,
    /// Those that brought no answer.
    pub failures: u64,
    /// Those whose answer was an error of the tool's own.
    pub errors: u64,
    /// The median of the last calls that brought an answer.
    pub p50_ms: Option<u64>,
    /// What went wrong last.
    pub last_error: Option<String>,
    /// Whether its server answers.
    pub available: bool,
}

/// What is counted.
#[derive(Debug, Default)]
pub(super) struct Statistics {
    calls: u64,
    failures: u64,
    errors: u64,
    times_ms: VecDeque<u64>,
    last_error: Option<String>,
    /// Of each principal: calls that went well, and all.
    records: BTreeMap<String, (u64, u64)>,
}

impl Statistics {
    /// Notes whose call it was, and how it went.
    pub(super) fn note(&mut self, principal: &str, went_well: bool) {
        let (well, all) = self.records.entry(principal.to_owned()).or_default();
        (*well, *all) = (*well + u64::from(went_well), *all + 1);
    }

    /// Calls that went well, and all: those of one principal, or of everybody.
    pub(super) fn record(&self, by: Option<&str>) -> (u64, u64) {
        let wanted =
            self.records.iter().filter(|(principal, _)| by.is_none_or(|by| by == principal.as_str()));
        wanted.fold((0, 0), |sum, (_, (well, all))| (sum.0 + well, sum.1 + all))
    }

    pub(super) fn answered(&mut self, took_ms: u64, is_error: bool) {
        self.calls += 1;
        self.errors += u64::from(is_error);
        if self.times_ms.len() == MAX_TIMES {
            self.times_ms.pop_front();
        }
        self.times_ms.push_back(took_ms);
    }

    pub(super) fn failed(&mut self, error: String) {
        self.calls += 1;
        self.failures += 1;
        self.last_error = Some(error);
    }

    pub(super) fn show(&self, available: bool) -> ToolHealth {
        let mut times: Vec<u64> = self.times_ms.iter().copied().collect();
        times.sort_unstable();
        ToolHealth {
            calls: self.calls,
            failures: self.failures,
            errors: self.errors,
            p50_ms: times.get(times.len() / 2).copied(),
            last_error: self.last_error.clone(),
            available,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_of_the_last_calls() {
        let mut statistics = Statistics::default();
        assert_eq!(statistics.show(true), ToolHealth { available: true, ..ToolHealth::default() });
        (0..200).for_each(|_| statistics.answered(1000, false));
        (0..MAX_TIMES).for_each(|took| statistics.answered(took as u64, true));
        statistics.failed("gone".to_owned());
        for (who, went_well) in [("a", true), ("b", false), ("a", false)] {
            statistics.note(who, went_well);
        }
        assert_eq!([Some("a"), Some("c"), None].map(|by| statistics.record(by)), [(1, 2), (0, 0), (1, 3)]);
        let shown = statistics.show(false);
        assert_eq!((shown.calls, shown.failures, shown.errors), (265, 1, 64));
        assert_eq!((shown.p50_ms, shown.last_error.as_deref()), (Some(32), Some("gone")));
    }
}
