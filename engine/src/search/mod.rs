//! Takes a query and a scope, gives ranked hits.
//!
//! One way for every surface: read the query, ask both arms inside the scope, fuse, take copies together;
//! [`snippet`] cuts an excerpt of a hit that is shown. Nouns: [`SearchRequest`], [`Source`] (one workspace's generation and what
//! may be seen of it), [`Hit`].
//! It decides no access and reads no files; whoever calls it drops the hits whose file has changed since.

mod arms;
pub mod citation;
mod collapse;
mod error;
mod fusion;
mod query;
mod rerank;
mod snippet;
mod stop_words;

use std::sync::Arc;

use serde::{Deserialize, Serialize};

pub use arms::Source;
pub use citation::Citation;
pub use error::SearchError;
pub use query::{ParsedQuery, parse, parse_plain};
pub use rerank::Reranker;
pub use snippet::{Snippet, snippet};

use crate::embed::Embedder;
use crate::index::{ChunkRecord, ChunkRef};

/// Which arms answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// Both, fused.
    #[default]
    Hybrid,
    /// BM25 alone.
    Lexical,
    /// Embeddings alone.
    Semantic,
}

/// What is asked of the index.
#[derive(Debug, Clone)]
pub struct SearchRequest<'a> {
    /// As [`parse`] read it.
    pub query: &'a ParsedQuery,
    /// Which arms.
    pub mode: Mode,
    /// Hits at most.
    pub limit: usize,
    /// The query as the model reads it, where that is known already.
    pub vector: Option<QueryVector>,
}

/// A query as the model reads it.
#[derive(Debug, Clone, PartialEq)]
pub struct QueryVector {
    /// Its embedding, `[dim] f32`, of length 1.
    pub values: Vec<f32>,
    /// Word pieces of the model per word of the query, from 1 up: how foreign the query is to the model.
    pub pieces_per_word: f32,
}

/// One hit.
#[derive(Debug, Clone)]
pub struct Hit {
    /// Index into the sources.
    pub source: usize,
    /// The chunk in that source's generation.
    pub chunk: ChunkRef,
    /// What is stored with it.
    pub record: ChunkRecord,
    /// In the mode's own unit, comparable within one answer: the fused score, BM25 from 0 up, cosine in `[-1, 1]`.
    pub score: f32,
    /// Where each arm saw it.
    pub ranks: Ranks,
    /// Other places with the same text: source and path.
    pub copies: Vec<(usize, String)>,
}

/// A hit's place in each arm, for `explain`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, schemars::JsonSchema)]
pub struct Ranks {
    /// From 1; `None` where the arm did not find it among its best.
    pub lexical: Option<u32>,
    /// From 1.
    pub semantic: Option<u32>,
    /// BM25 inside the scope.
    pub bm25: f32,
    /// Cosine of query and chunk, where the chunk has a vector.
    pub cosine: Option<f32>,
    /// The share of the semantic arm in this query's fusion, in `[0, 1]`.
    pub semantic_weight: f32,
}

/// The hits, and which arm could not answer.
#[derive(Debug, Clone, Default)]
pub struct Hits {
    /// Best first.
    pub hits: Vec<Hit>,
    /// Arms that should have answered and could not, with the reason.
    pub degraded: Vec<Degraded>,
    /// Each term of the query with its weight in the scope: how rare it is, times how often it was said.
    pub terms: Vec<(String, f32)>,
    /// The query as the model reads it, where there is one.
    pub vector: Option<QueryVector>,
}

/// An arm that could not run, wholly or for a part of the files.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, schemars::JsonSchema)]
pub struct Degraded {
    /// `semantic`, `lexical`, `rerank` or `generator`; `index`, `past` or `workspace` for what could not be asked at all.
    pub stage: &'static str,
    /// For a person, with what to do.
    pub reason: String,
}

impl Degraded {
    /// Nothing was compared by meaning.
    pub fn no_model() -> Self {
        let reason = "no embedding model is installed; get one with `waypost models pull`".to_owned();
        Self { stage: "semantic", reason }
    }

    /// There was nothing to compare with.
    fn no_words(mode: Mode) -> Self {
        let stage = if mode == Mode::Semantic { "semantic" } else { "lexical" };
        let reason = "the query has no word to look for: expected one beside its conditions and exclusions";
        Self { stage, reason: reason.to_owned() }
    }
}

/// Hits that both arms look at; more than any limit that is asked in practice, so that the limit changes no order.
const POOL: usize = 200;

/// Answers a query over some workspaces.
///
/// # Errors
/// [`SearchError`] where an index can't be read. A model that fails is no error: the answer names it in `degraded`.
pub fn search(
    sources: &[Source],
    embedder: Option<&Arc<dyn Embedder>>,
    reranker: Option<&dyn Reranker>,
    request: &SearchRequest<'_>,
) -> Result<Hits, SearchError> {
    let mut out = Hits::default();
    let pool = POOL.max(request.limit.saturating_mul(2));
    let vector = match &request.vector {
        _ if request.mode == Mode::Lexical => None,
        Some(known) => Some(known.clone()),
        None => query_vector(embedder, request, &mut out.degraded),
    };
    let wants_lexical = request.mode != Mode::Semantic;
    if request.query.text.is_empty() {
        out.degraded.push(Degraded::no_words(request.mode));
    }
    let answers = arms::ask(sources, request.query, vector.as_ref(), wants_lexical, pool)?;
    if vector.is_some() && answers.n_chunks > answers.n_scored {
        let n_bare = answers.n_chunks - answers.n_scored;
        out.degraded.push(Degraded {
            stage: "semantic",
            reason: format!(
                "{n_bare} of {} chunks have no vector yet; they are found by their words",
                answers.n_chunks
            ),
        });
    }
    let ranked = match request.mode {
        Mode::Lexical => answers.by_bm25(),
        Mode::Semantic => answers.by_cosine(),
        Mode::Hybrid => fusion::fuse(&answers),
    };
    let mut hits = collapse::hits(sources, &answers, ranked, request.limit)?;
    if let Some(reranker) = reranker {
        rerank::rerank(reranker, request.query, &mut hits, &mut out.degraded);
    }
    let names = request.query.lexical.terms.iter().map(|(text, _)| text.clone());
    out.terms = names.zip(answers.term_weights.iter().copied()).collect();
    out.vector = vector;
    out.hits = hits;
    Ok(out)
}

/// See [`QueryVector::pieces_per_word`].
fn pieces_per_word(embedder: &dyn Embedder, text: &str) -> f32 {
    // Two tokens mark the start and the end.
    let n_pieces = embedder.count_tokens(text).saturating_sub(2);
    let n_words =
        text.split(|c: char| !c.is_alphanumeric() && c != '_').filter(|word| !word.is_empty()).count();
    if n_words == 0 { 1.0 } else { n_pieces as f32 / n_words as f32 }
}

fn query_vector(
    embedder: Option<&Arc<dyn Embedder>>,
    request: &SearchRequest<'_>,
    degraded: &mut Vec<Degraded>,
) -> Option<QueryVector> {
    let text = &request.query.text;
    if text.is_empty() {
        return None;
    }
    let Some(embedder) = embedder else {
        degraded.push(Degraded::no_model());
        return None;
    };
    match embedder.embed_query(text) {
        Ok(values) => Some(QueryVector { values, pieces_per_word: pieces_per_word(embedder.as_ref(), text) }),
        Err(error) => {
            degraded.push(Degraded { stage: "semantic", reason: error.to_string() });
            None
        }
    }
}
