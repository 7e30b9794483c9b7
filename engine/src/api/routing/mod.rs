//! Routing: agents and their cards, intents and where they go, what is handed on, and what is learned from it.
//!
//! Everything here is made of what the asker may route to and of nothing else: a router is fitted over the visible entries
//! alone, so that a hidden one changes no score, no order and no threshold.

mod agents;
mod deciding;
mod desk;
mod dispatching;
mod explaining;
mod learning;
mod linting;
mod reader;
mod replies;
mod standing;
mod tooling;

pub use agents::AgentInfo;
pub(super) use desk::RouteDesk;
pub use dispatching::{DispatchReply, DispatchRequest};
pub use explaining::{ExplainReply, ExplainRequest};
pub use learning::{Feedback, Lesson};
pub use linting::LintReply;
pub use replies::{Figures, RouteCandidate, RouteOutcome, RoutePart, RouteReply, RouteRequest, Standing};
pub(super) use standing::no_room;
