//! Takes what shall change, or has changed, and gives it its place: catalog row, journal entry, bytes and audit record in
//! one transaction, with the plain tree in step.
//!
//! Nouns: [`Place`] (a workspace that is changed), [`Step`] (one file's part of a change), [`Done`] (what came of it),
//! [`Seen`] (an edit by another program). One way for every writer:
//!
//! 1. Bytes are staged and written beside their place, outside of any turn ([`prepare`]).
//! 2. In the workspace's turn, edits of other programs under the same paths are taken in first, so that nothing is lost.
//! 3. One transaction checks versions, names and locks, and writes everything down ([`execute`]).
//! 4. The files written aside get their names; the turn ends, and log and folders are synced. A kill before that is made
//!    good by the next scan, from what lies aside ([`recover`]).
//!
//! It decides no access and indexes nothing.

mod error;
mod execute;
mod external;
mod prepare;
mod topics;

pub use error::ChangeError;
pub use execute::{Author, Done, Expected, Step, execute};
pub use external::{Seen, SeenCounts, look, recover, take_in};
pub use prepare::{Prepared, describe, prepare};

use std::sync::{Mutex, MutexGuard};

use crate::catalog::{Catalog, WorkspaceRow};
use crate::clock::Clock;
use crate::reader::Reader;
use crate::store::{Blobs, Tree};

/// A workspace that is changed.
#[derive(Clone, Copy)]
pub struct Place<'a> {
    /// Which.
    pub workspace: &'a WorkspaceRow,
    /// Its folder.
    pub tree: &'a Tree,
    /// Whoever changes row and tree together holds this: it is what makes the two one step for others. No sync of the
    /// disk is waited for under it.
    pub turn: &'a Mutex<()>,
    /// The home's catalog.
    pub catalog: &'a Catalog,
    /// The home's blobs.
    pub blobs: &'a Blobs,
    /// What reads files, and what it reads apart.
    pub reader: &'a Reader,
    /// Larger files are noted and not read, in bytes.
    pub max_file_bytes: u64,
    /// The time of what is written down.
    pub clock: Clock,
}

impl<'a> Place<'a> {
    /// Waits for the workspace's turn.
    pub fn take_turn(&self) -> MutexGuard<'a, ()> {
        self.turn.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}
