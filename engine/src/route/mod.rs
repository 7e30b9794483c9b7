//! Takes an intent and the entries that somebody may see, gives the one that it is for, a question, or an honest none.
//!
//! Nouns: [`Entry`] (an agent or a tool as routing knows it), [`Router`] (fitted over a set of entries), [`Ranking`] (what it
//! says of an intent), [`Verdict`] (what comes of that at a stated error). A router knows its entries and nothing else, so
//! what one may not see changes nothing; the same entries give the same router, and every form of an entry is kept
//! ([`Revision`]), so a decision can be taken again.
//!
//! It does not decide who may see what, embeds nothing, and hands nothing on.

mod asked;
mod book;
mod calibration;
mod described;
mod entry;
mod error;
mod ledger;
mod lexicon;
mod lint;
mod logistic;
mod outcomes;
mod parts;
mod question;
mod router;
mod telling;
mod verdict;
mod weights;

pub use asked::asked;
pub use book::{Embedded, Intent, Spoken};
pub use calibration::{Lack, Measure, Trial};
pub use entry::{Document, Entry, EntryKey, EntryKind, Learned, Role, spoken};
pub use error::RouteError;
pub use ledger::{Book, DecisionRow, KEPT_MS, MAX_DECISIONS, Revision, book, decision, entries};
pub use lint::{Confusion, Fault, Finding, Lint, Passes, lint, lint_of};
pub use outcomes::{Dispatched, Record, TaskOutcome, dispatched, ended_dispatches, handed_since, record_of};
pub use parts::parts;
pub use question::{question, question_of_parts};
pub use router::{Ranking, Router, Scored};
pub use telling::Told;
pub use verdict::Verdict;

/// The share of routed intents that may go wrong where the operator says nothing.
pub const DEFAULT_MAX_ERROR: f64 = 0.05;
