//! Takes chunks with their vectors, gives hits of one generation: the derived index of one workspace.
//!
//! Nouns: [`WorkspaceIndex`] (the open index and its one writer), [`Searcher`] (one immutable generation),
//! [`FileSet`] (what a scope allows) and [`DocSet`] (that in a generation). The arms: [`Bm25Query`] and [`nearest`]. One
//! commit publishes both arms. It can be thrown away and rebuilt from the plain tree; it knows no paths' permissions, only
//! the files that a scope names.

mod bm25;
mod error;
mod graph;
mod hnsw;
mod kernels;
mod lexical;
mod nearest;
mod table;
mod terms;
mod vector;

pub use error::IndexError;
pub use kernels::{ScanStats, dot_f32};
pub use lexical::{Bm25Query, DocSet, FileSet, Held, LexicalQuery, Searcher, Stale, WorkspaceIndex};
pub use nearest::{Nearest, nearest};
pub use table::VectorTable;
pub use terms::{ANALYZER_VERSION, Term, each_term, each_term_from, terms};

use serde::{Deserialize, Serialize};

use crate::id::{FileId, Seq, VersionId};
use crate::location::{Located, Section};
use crate::span::Span;

/// What makes an index stale: where any of it differs from today's, the index is rebuilt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fingerprint {
    /// Format of this index.
    pub format: u32,
    /// See [`ANALYZER_VERSION`].
    pub analyzer: u32,
    /// The extractor's version.
    pub extractor: u32,
    /// The chunker's version.
    pub chunker: u32,
    /// Model name and the hash of its weights; `None` where the home has no model.
    pub model: Option<String>,
    /// Numbers in a vector; 0 without a model.
    pub dim: usize,
}

impl Fingerprint {
    /// Whether an index that was built so does for what is wanted now. Without a model any model does: its vectors wait.
    pub fn does_for(&self, wanted: &Self) -> bool {
        let is_model_wanted = wanted.model.is_some() || self.format != wanted.format;
        let as_wanted = Self { model: wanted.model.clone(), dim: wanted.dim, ..self.clone() };
        if is_model_wanted { self == wanted } else { as_wanted == *wanted }
    }
}

/// Bumped when the files of an index change their meaning.
pub const INDEX_FORMAT: u32 = 3;

/// How far an index has read the journal; stored in the commit itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Position {
    /// Counts the commits.
    pub generation: u64,
    /// Every change up to here is in the lexical arm.
    pub lexical_seq: u64,
    /// Every change up to here has its vectors.
    pub semantic_seq: u64,
    /// What the index was built with.
    pub fingerprint: Fingerprint,
}

impl Position {
    /// Everything up to this change is visible in the lexical arm.
    pub fn lexical(&self) -> Seq {
        Seq(self.lexical_seq)
    }

    /// Everything up to this change is visible in both arms.
    pub fn semantic(&self) -> Seq {
        Seq(self.semantic_seq)
    }
}

/// One chunk on its way into the index.
#[derive(Debug, Clone)]
pub struct NewChunk {
    /// The file that it belongs to.
    pub file: FileId,
    /// Its place in the file, from 0.
    pub ordinal: u32,
    /// What is searched: title and headings that the text lacks, then the text.
    pub indexed_text: String,
    /// `[dim] f32`, L2-normalised; `None` until the semantic arm has caught up.
    pub vector: Option<Vec<f32>>,
    /// What a hit shows.
    pub record: ChunkRecord,
}

/// What is stored with a chunk, enough for a citation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ChunkRecord {
    /// Below the workspace's root.
    pub path: String,
    /// The bytes that the chunk was cut from.
    pub version: VersionId,
    /// In the extracted text.
    pub span: Span,
    /// First and last line, from 1.
    pub lines: (u32, u32),
    /// Pages, slides, cells … of `span`, in order; empty for formats without them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub located: Vec<Located>,
    /// Over all of it, outermost first.
    pub headings: Vec<String>,
    /// Its sections, where not all of it stands under the same headings.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sections: Vec<Section>,
    /// The document's title.
    pub title: Option<String>,
    /// By content.
    pub mime_type: String,
    /// Natural or programming language.
    pub language: Option<String>,
    /// The text under `span`.
    pub text: String,
}

impl ChunkRecord {
    /// The headings over a place of the extracted text, outermost first.
    pub fn headings_at(&self, at: usize) -> &[String] {
        let section = self.sections.iter().rev().find(|section| section.start <= at);
        section.map_or(&self.headings, |section| &section.headings)
    }
}

/// A chunk of one generation: segment and document number; meaningless to any other searcher.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ChunkRef {
    /// Index into the generation's segments.
    pub segment: u32,
    /// Document of that segment.
    pub doc: u32,
}

/// A chunk's name that outlives generations.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ChunkKey {
    /// The file.
    pub file: FileId,
    /// The chunk's place in it.
    pub ordinal: u32,
}
