//! The front door: everything that a command, a route or a tool can ask of the engine.
//!
//! Nouns: [`Engine`] (an open home), [`Session`] (what one principal does with it), requests and replies.
//! An action authorizes, acts, and answers; nothing here knows HTTP, MCP or a terminal.

mod check;
mod engine;
mod error;
mod home;
mod indexer;
mod replies;
mod session;
mod workspace;

pub use check::{CheckReport, Finding};
pub use engine::{Engine, EngineOptions, IndexReport};
pub use error::{Error, ErrorKind, Result};
pub use indexer::Indexer;
pub use replies::{
    AskReply, AskRequest, FileContent, IndexStatus, ListEntry, NumberedCitation, SearchFilters, SearchHit,
    SearchReply, SearchRequest, VerifiedCitation, WorkspaceInfo,
};
pub use session::Session;
