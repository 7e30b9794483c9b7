//! Asks both arms over all sources, with one set of statistics for all of them together.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{ParsedQuery, QueryVector, SearchError};
use crate::index::{Bm25Query, ChunkRef, DocSet, FileSet, Nearest, Searcher, nearest};

/// One workspace's generation, and the files of it that may be seen.
pub struct Source {
    /// The generation.
    pub searcher: Arc<Searcher>,
    /// `None`: every file.
    pub files: Option<Arc<FileSet>>,
}

/// A chunk that at least one arm put forward, with what both arms say of it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Candidate {
    /// Index into the sources.
    pub source: usize,
    /// In that source's generation.
    pub chunk: ChunkRef,
    /// BM25; 0 where no term matches.
    pub bm25: f32,
    /// Exact cosine; `None` where the chunk has no vector.
    pub cosine: Option<f32>,
    /// From 1.
    pub lexical_rank: Option<u32>,
    /// From 1.
    pub semantic_rank: Option<u32>,
}

/// What both arms say.
#[derive(Debug, Default)]
pub struct Answers {
    /// By source and chunk name, so that ties are always broken alike.
    pub candidates: Vec<Candidate>,
    /// Each term's weight: its factor times its idf in the scope.
    pub term_weights: Vec<f32>,
    /// Allowed chunks.
    pub n_chunks: u64,
    /// Allowed chunks with a vector.
    pub n_scored: u64,
    /// How all cosines in the scope are distributed.
    pub cosine_mean: f32,
    /// See `cosine_mean`.
    pub cosine_std: f32,
    /// The best BM25 in the scope; 0 where nothing matches.
    pub bm25_max: f32,
    /// The largest share of the query's weight that one of the [`COVERAGE_DEPTH`] best lexical hits holds, in `[0, 1]`.
    pub coverage: f32,
    /// See [`QueryVector::pieces_per_word`]; 1 where the semantic arm was not asked.
    pub pieces_per_word: f32,
    /// Whether the semantic arm was asked.
    pub has_semantic: bool,
}

impl Answers {
    /// By BM25, best first; only what matches.
    pub fn by_bm25(&self) -> Vec<(Candidate, f32)> {
        order(self.candidates.iter().filter(|c| c.bm25 > 0.0).map(|c| (*c, c.bm25)).collect())
    }

    /// By cosine, best first; only what has a vector.
    pub fn by_cosine(&self) -> Vec<(Candidate, f32)> {
        order(self.candidates.iter().filter_map(|c| Some((*c, c.cosine?))).collect())
    }
}

/// Best first; ties stay in the candidates' own order.
pub fn order(mut ranked: Vec<(Candidate, f32)>) -> Vec<(Candidate, f32)> {
    ranked.sort_by(|a, b| b.1.total_cmp(&a.1));
    ranked
}

/// Collects the `pool` best of each arm.
pub fn ask(
    sources: &[Source],
    query: &ParsedQuery,
    question: Option<&QueryVector>,
    wants_lexical: bool,
    pool: usize,
) -> Result<Answers, SearchError> {
    let vector = question.map(|question| question.values.as_slice());
    let scopes: Vec<Arc<DocSet>> =
        sources.iter().map(|source| source.searcher.doc_set(source.files.as_deref())).collect();
    let allowed: Vec<Arc<DocSet>> = sources
        .iter()
        .zip(&scopes)
        .map(|(source, scope)| source.searcher.narrow(scope, &query.lexical))
        .collect::<Result<_, _>>()?;
    let mut answers = Answers {
        n_chunks: allowed.iter().map(|set| set.n_chunks).sum(),
        n_scored: if vector.is_some() { allowed.iter().map(|set| set.n_vectors).sum() } else { 0 },
        has_semantic: vector.is_some(),
        pieces_per_word: question.map_or(1.0, |question| question.pieces_per_word),
        ..Answers::default()
    };
    let ask_words = || ask_lexical(sources, query, &scopes, &allowed, if wants_lexical { pool } else { 0 });
    let ask_meaning = || vector.map(|vector| ask_semantic(sources, vector, &allowed, pool));
    let (lexical, semantic) = if answers.n_chunks < PARALLEL_MIN_CHUNKS {
        (ask_words(), ask_meaning())
    } else {
        rayon::join(ask_words, ask_meaning)
    };
    let Lexical { words, best } = lexical?;
    answers.bm25_max = best.first().map_or(0.0, |(_, score)| *score);
    answers.coverage = coverage(&words, &best)?;
    let mut semantic_best = Vec::new();
    if let Some(semantic) = &semantic {
        let stats = semantic.stats;
        (answers.cosine_mean, answers.cosine_std) = (stats.mean as f32, stats.std as f32);
        semantic_best = semantic.chunks.iter().map(|(source, chunk, _)| (*source, *chunk)).collect();
    }
    answers.candidates = join_arms(sources, vector, &words, &best, &semantic_best)?;
    answers.term_weights = words.weights().to_vec();
    Ok(answers)
}

/// Below so many chunks one thread has asked both arms before another one would have woken up.
const PARALLEL_MIN_CHUNKS: u64 = 30_000;

/// Lexical hits that are looked at for how much of the query they cover.
const COVERAGE_DEPTH: usize = 3;

struct Lexical<'a> {
    words: Bm25Query<'a>,
    /// Best first.
    best: Vec<((usize, ChunkRef), f32)>,
}

fn ask_lexical<'a>(
    sources: &'a [Source],
    query: &ParsedQuery,
    scopes: &[Arc<DocSet>],
    allowed: &[Arc<DocSet>],
    pool: usize,
) -> Result<Lexical<'a>, SearchError> {
    let scopes: Vec<(&Searcher, &DocSet)> = pairs(sources, scopes);
    let words = Bm25Query::new(&scopes, &query.lexical.terms)?;
    let best = if pool > 0 { words.best(allowed, pool)? } else { Vec::new() };
    Ok(Lexical { words, best })
}

/// See [`Answers::coverage`].
fn coverage(words: &Bm25Query<'_>, best: &[((usize, ChunkRef), f32)]) -> Result<f32, SearchError> {
    let total: f32 = words.weights().iter().sum();
    if total <= 0.0 {
        return Ok(0.0);
    }
    let first: Vec<_> = best.iter().take(COVERAGE_DEPTH).map(|(chunk, _)| *chunk).collect();
    Ok(words.held(&first)?.iter().map(|held| held.weight).fold(0.0, f32::max) / total)
}

fn pairs<'a, 'b>(sources: &'a [Source], sets: &'b [Arc<DocSet>]) -> Vec<(&'a Searcher, &'b DocSet)> {
    sources.iter().zip(sets).map(|(source, set)| (source.searcher.as_ref(), set.as_ref())).collect()
}

fn ask_semantic(sources: &[Source], vector: &[f32], allowed: &[Arc<DocSet>], pool: usize) -> Nearest {
    nearest(&pairs(sources, allowed), vector, pool)
}

fn join_arms(
    sources: &[Source],
    vector: Option<&[f32]>,
    words: &Bm25Query<'_>,
    lexical_best: &[((usize, ChunkRef), f32)],
    semantic_best: &[(usize, ChunkRef)],
) -> Result<Vec<Candidate>, SearchError> {
    let mut by_name = BTreeMap::new();
    let name = |(source, chunk): (usize, ChunkRef)| (source, sources[source].searcher.place(chunk));
    let candidate = |(source, chunk): (usize, ChunkRef), bm25| Candidate {
        source,
        chunk,
        bm25,
        cosine: vector.and_then(|vector| sources[source].searcher.cosine(vector, chunk)),
        lexical_rank: None,
        semantic_rank: None,
    };
    for (rank, (found, bm25)) in (1..).zip(lexical_best) {
        by_name.insert(name(*found), Candidate { lexical_rank: Some(rank), ..candidate(*found, *bm25) });
    }
    for ((rank, found), held) in (1..).zip(semantic_best).zip(words.held(semantic_best)?) {
        let known = by_name.entry(name(*found)).or_insert_with(|| candidate(*found, held.bm25));
        known.semantic_rank = Some(rank);
    }
    Ok(by_name.into_values().collect())
}
