//! Takes handovers between agents, gives whether the next one may happen.
//!
//! Nouns: [`Hop`] (one handover of a trace: from whom, to whom, in which words, caused by which hop), [`Judgement`] (what
//! the pure [`judge`] says of a hop), [`Verdict`] (what became of it: recorded, or refused). Two things are stopped: a
//! chain of handovers that grows too deep, and agents that go in circles without bringing anything new. A trace in which
//! agents went in circles is parked until a person decides. It embeds nothing: whoever hands over brings the embedding.
//!
//! Beside them stands how a trace is named to others, `traceparent`.

mod context;
mod error;
mod judge;
mod likeness;
mod rows;
mod upkeep;

pub use context::{is_trace_id, read_traceparent, traceparent_of};
pub use error::TraceError;
pub use judge::{Evidence, Hop, Judgement, Limits, Next, judge};
pub use likeness::{Likeness, SAME_MEANING, SAME_WORDS, Sketch, mentioned, names, same_words, says_nothing};
pub use rows::{NewHop, StoredHop, TraceRow, TraceState, Verdict, traces_of};
