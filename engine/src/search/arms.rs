//! Asks both arms over all sources, with one set of statistics for all of them together.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{ParsedQuery, SearchError};
use crate::index::{ChunkRef, DocSet, FileSet, LexicalScores, Nearest, Searcher, TermMatches, idf, nearest};

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
    /// Word pieces of the model per word of the query, from 1 up.
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
    vector: Option<&[f32]>,
    wants_lexical: bool,
    pool: usize,
) -> Result<Answers, SearchError> {
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
        ..Answers::default()
    };
    let ask_words = || ask_lexical(sources, query, &scopes, &allowed);
    let ask_meaning = || vector.map(|vector| ask_semantic(sources, vector, &allowed, pool));
    let (lexical, semantic) = if answers.n_chunks < PARALLEL_MIN_CHUNKS {
        (ask_words(), ask_meaning())
    } else {
        rayon::join(ask_words, ask_meaning)
    };
    let lexical = lexical?;
    let lexical_best = if wants_lexical { best(sources, &lexical.scores, pool) } else { Vec::new() };
    answers.bm25_max = lexical_best.first().map_or(0.0, |(source, chunk)| lexical.score(*source, *chunk));
    answers.coverage = lexical.coverage(&lexical_best);
    let mut semantic_best = Vec::new();
    if let Some(semantic) = &semantic {
        let stats = semantic.stats;
        (answers.cosine_mean, answers.cosine_std) = (stats.mean as f32, stats.std as f32);
        semantic_best = semantic.chunks.iter().map(|(source, chunk, _)| (*source, *chunk)).collect();
    }
    answers.candidates = join_arms(sources, vector, &lexical, &lexical_best, &semantic_best);
    answers.term_weights = lexical.weights;
    Ok(answers)
}

/// Below so many chunks one thread has asked both arms before another one would have woken up.
const PARALLEL_MIN_CHUNKS: u64 = 30_000;

/// Lexical hits that are looked at for how much of the query they cover.
const COVERAGE_DEPTH: usize = 3;

struct Lexical {
    /// Per source.
    scores: Vec<LexicalScores>,
    weights: Vec<f32>,
    matches: Vec<TermMatches>,
}

impl Lexical {
    fn score(&self, source: usize, chunk: ChunkRef) -> f32 {
        self.scores[source].of(chunk)
    }

    fn coverage(&self, best: &[(usize, ChunkRef)]) -> f32 {
        let total: f32 = self.weights.iter().sum();
        if total <= 0.0 {
            return 0.0;
        }
        let held = |(source, chunk): &(usize, ChunkRef)| {
            let terms = self.weights.iter().enumerate();
            terms
                .filter(|(term_idx, _)| self.matches[*source].holds(*term_idx, *chunk))
                .map(|(_, weight)| weight)
                .sum()
        };
        best.iter().take(COVERAGE_DEPTH).map(|hit| -> f32 { held(hit) }).fold(0.0, f32::max) / total
    }
}

fn ask_lexical(
    sources: &[Source],
    query: &ParsedQuery,
    scopes: &[Arc<DocSet>],
    allowed: &[Arc<DocSet>],
) -> Result<Lexical, SearchError> {
    let terms = &query.lexical.terms;
    let matches: Vec<TermMatches> = sources
        .iter()
        .zip(scopes)
        .map(|(source, scope)| source.searcher.matches(terms, scope))
        .collect::<Result<_, _>>()?;
    let n_chunks: u64 = scopes.iter().map(|scope| scope.n_chunks).sum();
    let n_terms: u64 = scopes.iter().map(|scope| scope.n_terms).sum();
    let mean_len = if n_chunks == 0 { 0.0 } else { (n_terms as f64 / n_chunks as f64) as f32 };
    let weights: Vec<f32> = terms
        .iter()
        .enumerate()
        .map(|(term_idx, (_, factor))| {
            let n_with_term = matches.iter().map(|matches| matches.n_with_term(term_idx)).sum();
            factor * idf(n_with_term, n_chunks)
        })
        .collect();
    let scores = sources
        .iter()
        .zip(&matches)
        .zip(allowed)
        .map(|((source, matches), allowed)| source.searcher.bm25(matches, &weights, mean_len, allowed))
        .collect();
    Ok(Lexical { scores, weights, matches })
}

fn ask_semantic(sources: &[Source], vector: &[f32], allowed: &[Arc<DocSet>], pool: usize) -> Nearest {
    let scopes: Vec<(&Searcher, &DocSet)> =
        sources.iter().zip(allowed).map(|(source, set)| (source.searcher.as_ref(), set.as_ref())).collect();
    nearest(&scopes, vector, pool)
}

/// The `pool` best over all sources, best first.
fn best(sources: &[Source], scores: &[LexicalScores], pool: usize) -> Vec<(usize, ChunkRef)> {
    let mut all: Vec<(usize, ChunkRef, f32)> = Vec::new();
    for (source_idx, (source, scores)) in sources.iter().zip(scores).enumerate() {
        let found = source.searcher.best(scores, pool);
        all.extend(found.into_iter().map(|(chunk, score)| (source_idx, chunk, score)));
    }
    all.sort_by(|a, b| b.2.total_cmp(&a.2));
    all.truncate(pool);
    all.into_iter().map(|(source, chunk, _)| (source, chunk)).collect()
}

fn join_arms(
    sources: &[Source],
    vector: Option<&[f32]>,
    lexical: &Lexical,
    lexical_best: &[(usize, ChunkRef)],
    semantic_best: &[(usize, ChunkRef)],
) -> Vec<Candidate> {
    let mut by_name = BTreeMap::new();
    let mut put = |(source, chunk): (usize, ChunkRef), rank: u32, is_lexical: bool| {
        let name = (source, sources[source].searcher.place(chunk));
        let candidate = by_name.entry(name).or_insert_with(|| Candidate {
            source,
            chunk,
            bm25: lexical.score(source, chunk),
            cosine: vector.and_then(|vector| sources[source].searcher.cosine(vector, chunk)),
            lexical_rank: None,
            semantic_rank: None,
        });
        if is_lexical {
            candidate.lexical_rank = Some(rank);
        } else {
            candidate.semantic_rank = Some(rank);
        }
    };
    for (rank, found) in (1..).zip(lexical_best) {
        put(*found, rank, true);
    }
    for (rank, found) in (1..).zip(semantic_best) {
        put(*found, rank, false);
    }
    by_name.into_values().collect()
}
