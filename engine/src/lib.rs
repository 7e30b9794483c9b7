//! Waypost's engine: an embedded semantic index over workspaces of plain files.
//!
//! A synchronous library: it knows no async, no protocol and no terminal. Start at [`api::Engine`];
//! `ARCHITECTURE.md` shows the rooms and the two ways through them.

pub mod access;
pub mod answer;
pub mod api;
pub mod budget;
pub mod cards;
pub mod catalog;
pub mod change;
pub mod claims;
pub mod clock;
pub mod delivery;
pub mod embed;
pub mod id;
pub mod import;
pub mod index;
pub mod ingest;
pub mod journal;
pub mod location;
pub mod memory;
pub mod net;
pub mod pattern;
pub mod reader;
pub mod registry;
pub mod route;
pub mod search;
pub mod span;
pub mod store;
pub mod tasks;
pub mod text;
pub mod trace;
