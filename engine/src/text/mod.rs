//! Bytes → text → chunks, and nothing else.
//!
//! Takes the name and the bytes of one file. Gives a [`Document`]: its text, and [`Block`]s that cover the text in
//! order; then [`chunk`] packs the blocks into [`Chunk`]s that a model can embed, and [`sentences`] cuts any span
//! into the sentences that an answer quotes. What cannot be read comes back as a [`SkipReason`].
//!
//! Every function here is pure: the same bytes give the same spans, on every machine. The room reads no file,
//! knows no model (see [`TokenCounter`]) and keeps nothing.
//!
//! What is stored carries [`EXTRACTOR_VERSION`] and [`CHUNKER_VERSION`]; data of another version is stale.

mod document;
mod skip;

mod decode;
mod detect;
mod language;
mod outline;

mod extract;

mod sentences;
mod words;

mod chunk;

pub use chunk::{Chunk, ChunkOptions, chunk};
pub use detect::{is_isolated, mime_type, named_type};
pub use document::{Block, BlockKind, Document, Kind, Limits};
pub use extract::{PageLinks, extract, page_links};
pub use language::is_language;
pub use sentences::{document_sentences, sentences};
pub use skip::SkipReason;
pub use words::{TokenCounter, WordEstimate, unescaped, words};

/// What was lost or guessed in a document, a line each, as it is noted beside the file.
pub fn notes(document: &Document) -> String {
    document.warnings.join("\n")
}

/// Raised whenever the text, blocks or fields that [`extract`] gives for the same bytes change.
pub const EXTRACTOR_VERSION: u32 = 6;

/// Raised whenever the spans that [`chunk`] gives for the same document change.
pub const CHUNKER_VERSION: u32 = 5;

#[cfg(test)]
mod laws;
