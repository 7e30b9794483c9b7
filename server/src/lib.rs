//! The network face of Waypost: REST, MCP and what both need, around the synchronous engine.
//!
//! request → [`hosts`] (asked under a name of ours?) → `incoming` (is its body of a size, and does it come?) → [`auth`] (whose token?) → [`rest`] or [`mcp`] → [`blocking`]
//! (the one bridge to the engine) → reply or [`problem`]. [`serve`] puts them together, [`renewal`] changes what may change while it runs; [`telemetry`] counts,
//! [`spans`] tells a collector of traces. [`console`]
//! is a client of [`rest`] that runs in a browser.

pub mod auth;
pub mod blocking;
pub mod console;
pub mod discovery;
mod given;
mod hints;
pub mod hosts;
mod incoming;
pub mod limits;
pub mod mcp;
pub mod paging;
pub mod problem;
pub mod renewal;
pub mod rest;
pub mod serve;
pub mod spans;
pub mod streams;
pub mod telemetry;
mod times;
pub mod tls;
pub mod upstream;
