//! Tools of other servers, and those that were declared: what they are, who sees and calls them, and how a call begins and
//! ends.
//!
//! Nouns: [`Toolbox`] (what an engine knows of them in memory), [`ToolServer`] (what the operator says of one),
//! [`PendingCall`] (a call that was allowed and has not ended). Nothing here reaches a server: whoever does asks
//! [`Session::begin_call`](super::Session::begin_call) before, and tells `end_call` afterwards what came of it.

mod approving;
mod bounding;
mod calling;
mod declaring;
mod info;
mod looking;
mod outcome;
mod servers;
mod settings;
mod statistics;
mod taking;
mod toolbox;

pub use calling::{CallOptions, PendingCall};
pub use declaring::ToolDeclaration;
pub use info::{ToolArgument, ToolDocument, ToolInfo};
pub use looking::ToolsFilter;
pub use outcome::{CallOutcome, CallReply, CallUsage};
pub use servers::{ServerHealth, ServerInfo, ServerState, ToolOverride, ToolServer};
pub use statistics::ToolHealth;
pub use taking::TakenTools;
pub(super) use toolbox::Toolbox;
