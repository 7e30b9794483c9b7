//! Takes what servers say that their tools are, gives which of it holds: tools are used as somebody approved them, and a
//! tool that has changed since is set aside. A tool that no server lists may be declared; a server that lists it takes it over.
//!
//! Nouns: [`ToolSpec`] (what is said of one tool), [`ToolRow`] (what is kept of it), [`Change`] (what follows from
//! a listing; [`plan`] is a pure function), [`Validators`] (schemas, compiled once). It calls no tool and decides no access.

mod error;
mod plan;
mod rows;
mod schema;
mod spec;

pub use error::RegistryError;
pub use plan::{Change, Trust, plan};
pub use rows::{ToolRow, ToolSettings, ToolState, tools};
pub use schema::{Validators, Violation};
pub use spec::{MAX_DESCRIPTION_BYTES, MAX_SCHEMA_BYTES, MAX_TOOLS, ToolId, ToolSpec, UpstreamTool};
