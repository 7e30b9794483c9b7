//! Takes bytes, keeps them: the plain tree of each workspace, and every version that was seen, by its hash.
//!
//! Nouns: [`Tree`] (a workspace's folder, from which nothing leads out), [`Entry`] (a file found in it),
//! [`Blobs`] (bytes by hash). It decides no access and knows no text.

mod blob;
mod error;
mod tree;

pub use blob::Blobs;
pub use error::StoreError;
pub use tree::{Entry, Found, Skipped, Tree};
