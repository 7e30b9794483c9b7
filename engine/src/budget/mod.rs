//! Takes what an act will take, gives whether whoever acts may still spend it, and what was spent.
//!
//! Nouns: [`Budget`] (a limit of a principal, a group or everybody alone, per day or trace), [`Charge`] (what an act is
//! expected to take), a reservation (a charge that every budget has made room for, until it is settled), the ledger (what
//! each principal used, by day, kind and target), beside it what each handover took. All budgets that bind an act are checked and reserved in one
//! transaction, so that no crowd gets through together. A reservation that nobody settles counts as spent at its deadline.
//! It decides no access and knows no groups: who asks says which ones they are in.

mod counters;
mod error;
mod handovers;
mod ledger;
mod plan;
mod priority;
mod reserving;
mod rows;
mod settling;
mod upkeep;
mod usage;

pub use counters::Counter;
pub use error::{BudgetError, Exceeded};
pub use handovers::spent_on;
pub use ledger::{GroupBy, UsageFilter, UsageRow, usage};
pub use plan::{
    Asker, Budget, Charge, ChargeKind, DAY_MS, Limits, Period, TargetPattern, WARN_SHARE, day_of,
};
pub use priority::{HIGH_SHARE, LOW_SHARE, NORMAL_SHARE, Priority, priority_schema, read_priority};
pub use reserving::{DEFAULT_TTL_MS, MAX_TTL_MS, Outcome};
pub use rows::{MAX_BUDGETS, budget, budgets, budgets_of, counter};
pub use upkeep::{KEEP_LEDGER_DAYS, has_overdue};
pub use usage::{MAX_AMOUNT, Unit, Usage, UsageReport, read_usd, show_usd};
