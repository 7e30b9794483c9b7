//! Takes a workspace's folder, gives chunks with vectors in its index.
//!
//! Three stages, each of which may be killed at any instant and goes on where it was:
//! [`scan`] compares the tree with the catalog and writes what changed into the journal; [`catch_up_lexical`] reads
//! the journal and makes each changed file's text searchable; [`catch_up_semantic`] reads it again and adds the
//! vectors. A file that can't be read is noted with its reason and stops nobody. It answers no query.

mod background;
mod chunks;
mod error;
mod plan;
mod scan;
mod stages;
mod turns;
mod watch;

pub use background::{Background, BackgroundSettings};
pub use chunks::{Prepared, chunks_of};
pub use error::IngestError;
pub use scan::{ScanReport, scan};
pub use stages::{CHUNKS_PER_SLICE, catch_up_lexical, catch_up_semantic, index_bytes, publish};
pub use turns::Turns;
pub use watch::{IsNews, OnBurst, Watcher};

use std::sync::atomic::{AtomicBool, Ordering};

use crate::catalog::EmbeddingCache;
use crate::change::Place;
use crate::embed::Embedder;
use crate::index::WorkspaceIndex;

/// Everything that the stages work on, for one workspace.
pub struct Context<'a> {
    /// The workspace, its folder, the home's catalog and blobs.
    pub place: Place<'a>,
    /// Its index.
    pub index: &'a WorkspaceIndex,
    /// The model with the home's cache of its vectors; `None`: lexical search only.
    pub semantic: Option<Semantic<'a>>,
    /// Set from outside to end early.
    pub cancelled: &'a AtomicBool,
    /// Set once the workspace is let go: whoever works on it ends early.
    pub closing: &'a AtomicBool,
}

/// What turns chunks into vectors, and remembers them.
#[derive(Clone, Copy)]
pub struct Semantic<'a> {
    /// The model.
    pub embedder: &'a dyn Embedder,
    /// Its vectors so far.
    pub cache: &'a EmbeddingCache,
}

impl Context<'_> {
    /// Gives [`IngestError::Cancelled`] once somebody asked to stop.
    fn go_on(&self) -> Result<(), IngestError> {
        let is_over = [self.cancelled, self.closing].iter().any(|flag| flag.load(Ordering::Relaxed));
        if is_over { Err(IngestError::Cancelled) } else { Ok(()) }
    }
}

/// How far a stage is; `total` is 0 while it is not known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// Which stage.
    pub stage: Stage,
    /// Files or chunks done.
    pub done: u64,
    /// Files or chunks to do.
    pub total: u64,
}

/// The stages in their order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// Files compared with the catalog.
    Scanning,
    /// Files made searchable by their words.
    Reading,
    /// Chunks made searchable by their meaning.
    Embedding,
}

/// Who wants to know how far it is.
pub type OnProgress<'a> = dyn FnMut(Progress) + Send + 'a;
