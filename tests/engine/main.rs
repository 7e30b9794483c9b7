//! The engine through its front door.

#![allow(clippy::unwrap_used, reason = "a test ends where something it stands on fails")]

mod answers;
mod budgets;
mod compaction;
mod consumers;
mod crash;
mod damage;
mod discretion;
mod freshness;
mod generation;
#[cfg(feature = "gguf")]
mod gguf;
mod homes;
mod house;
mod load;
mod memory;
mod odd_files;
mod ranking;
mod routing;
mod scope;
mod state;
mod supported;
mod tasks;
mod traces;
mod watching;
mod worlds;
