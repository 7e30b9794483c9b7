//! Takes bytes, keeps them: the plain tree of each workspace, every version that was seen, by its hash, and what holds
//! a state fast: locks and snapshots, and where imported bytes came from.
//!
//! Nouns: [`Tree`] (a workspace's folder, from which nothing leads out), [`Entry`] (a file found in it),
//! [`Blobs`] (bytes by hash), [`Lock`] (a lease on paths), [`Snapshot`] (a named place in the journal), [`Origin`]
//! (the URL of imported bytes). It decides no access and knows no text.

mod blob;
mod error;
mod locks;
mod names;
mod origins;
mod snapshots;
mod tree;

pub use blob::{Blobs, Staged};
pub use error::StoreError;
pub use locks::{Lock, LockMode, Wanted, locks};
pub use origins::{Origin, origin, origins};
pub use snapshots::{Snapshot, snapshot, snapshots};
pub use tree::{Aside, Entry, Folder, Found, Named, Skipped, Tree};
