//! Takes a question's hits, gives sentences that answer it, each with a citation, or abstains.
//!
//! Extractive: what is said stands in a file, byte for byte; nothing is written anew. Only where the operator has configured a
//! model and somebody asks for it, that writes, and what its passages do not support is dropped ([`generation`]). Nouns: [`Answer`],
//! [`Support`] (a sentence and how well it bears on the question). It searches nothing itself.

mod confidence;
pub mod generation;
mod passages;

use std::sync::Arc;

use crate::embed::Embedder;
use crate::search::{Degraded, Hits};
use crate::span::Span;

pub use passages::Support;

/// An answer, or why there is none.
#[derive(Debug, Clone)]
pub struct Answer {
    /// With `[n]` marks; none where abstained.
    pub sentences: Vec<String>,
    /// Where they stand, in the marks' order.
    pub supports: Vec<Support>,
    /// Whether the evidence was too weak to answer.
    pub abstained: bool,
    /// That the cited sentences answer the question, in `[0, 1]`.
    pub confidence: f32,
    /// Stages that could not run.
    pub degraded: Vec<Degraded>,
}

/// How an answer is made.
#[derive(Debug, Clone, Copy)]
pub struct AnswerOptions {
    /// Sentences at most.
    pub max_quotes: usize,
    /// Below this confidence nothing is said.
    pub min_confidence: f32,
}

impl Default for AnswerOptions {
    fn default() -> Self {
        Self { max_quotes: 3, min_confidence: confidence::DEFAULT_MIN }
    }
}

/// Hits whose sentences are weighed.
pub const HITS_READ: usize = 6;

/// Answers from hits, best first.
pub fn answer(hits: &Hits, embedder: Option<&Arc<dyn Embedder>>, options: &AnswerOptions) -> Answer {
    let mut degraded = hits.degraded.clone();
    let evidence = passages::best(hits, embedder, options.max_quotes, &mut degraded);
    let confidence = confidence::of(&evidence);
    let supports = evidence.supports;
    if supports.is_empty() || confidence < options.min_confidence {
        return Answer { sentences: Vec::new(), supports: Vec::new(), abstained: true, confidence, degraded };
    }
    let sentences = supports
        .iter()
        .enumerate()
        .map(|(idx, support)| format!("{} [{}]", one_line(&support.quote), idx + 1))
        .collect();
    Answer { sentences, supports, abstained: false, confidence, degraded }
}

/// A text on one line.
pub(crate) fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Moves a span inside a chunk to its place in the whole text.
pub(crate) fn in_document(chunk: Span, inner: Span) -> Span {
    Span::new(chunk.start + inner.start, chunk.start + inner.end)
}
