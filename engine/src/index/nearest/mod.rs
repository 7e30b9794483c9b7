//! The semantic arm: the chunks of some generations together that are nearest to a query.
//!
//! Takes generations with what a scope allows in each; gives the best chunks by 8-bit cosine, and how the cosines of all
//! allowed chunks are distributed. Noun: [`Nearest`]. The caller scores the best again, from the exact rows.
//!
//! There are three ways, all over the allowed rows of all segments of all generations together:
//!
//! - *exact*: every row's 8-bit codes are scored; while there are few;
//! - *sketch*: every row's [sketch](crate::index::kernels::QuerySketch) is compared, and the nearest are scored;
//! - *walk*: in a query that nothing restricts, the segments with a graph are walked through.
//!
//! **What is found inside a restricted scope depends on the allowed rows alone.** The way is chosen by their number over
//! all generations, never by a segment's; what is kept of the sketches is cut by one distance for all of them, and all
//! rows at that distance stay; rows enter the sample by their own place; sums are whole numbers; ties are broken by
//! place. So neither hidden rows nor the segments in which rows lie change a hit, its score or the distribution. A graph
//! was linked over hidden rows too, and is no way there.

mod sample;
mod scan;
#[cfg(test)]
mod tests;

pub use sample::Samples;

use scan::{Part, Scored};

use super::kernels::{QuantizedQuery, ScanStats, keep_best};
use super::vector::MappedVectors;
use super::{ChunkRef, DocSet, Searcher};

/// What the semantic arm finds.
#[derive(Debug)]
pub struct Nearest {
    /// The generation by its place in the question, the chunk, and its cosine within about 0.01; best first, ties by
    /// generation and by [`Searcher::place`].
    pub chunks: Vec<(usize, ChunkRef, f32)>,
    /// The distribution of all allowed chunks' cosines; in large scopes that of a sample.
    pub stats: ScanStats,
}

/// Where one way ends and the other begins.
#[derive(Debug, Clone, Copy)]
struct Limits {
    /// Allowed rows with a vector from which on sketches spare the scan, and a sample stands for all.
    sketch_min_rows: u64,
    /// Rows that are scored after the sketches, at least.
    min_rescored: usize,
    /// Rows in the sample, at least.
    sample_rows: u64,
}

impl Limits {
    /// Measured on one of two shared Zen 4 cores (AVX-512 VNNI and VPOPCNTDQ), 100,000 rows of 384 numbers in files of
    /// four, of which scattered files are allowed, median of 400 queries for 200 hits:
    ///
    /// | allowed rows | all scored | sketches, 1,024 scored, and the sample |
    /// |---|---|---|
    /// | 10,000 | 0.30 ms | 0.33 ms |
    /// | 20,000 | 0.68 ms | 0.38 ms |
    /// | 30,000 | 0.94 ms | 0.57 ms |
    /// | 50,000 | 2.35 ms | 0.59 ms |
    /// | 100,000 | 2.73 ms | 0.89 ms |
    ///
    /// Of 4,096 independent rows the mean is within 0.016 standard deviations of that of all, two times out of three.
    const DEFAULT: Self = Self { sketch_min_rows: 20_000, min_rescored: 1024, sample_rows: 4096 };

    /// Rows that the sketches leave over, at least: more where more hits are asked or the scope is large.
    fn n_rescored(&self, n_rows: u64, n_best: usize) -> usize {
        let share = usize::try_from(n_rows / 100).unwrap_or(usize::MAX);
        self.min_rescored.max(n_best.saturating_mul(5)).max(share)
    }
}

/// One segment's rows, of which some are allowed.
#[derive(Clone, Copy)]
pub struct SegmentRows<'a> {
    /// The vectors.
    pub vectors: &'a MappedVectors,
    /// Samples of these rows.
    pub samples: &'a Samples,
    /// One bit a row, little end first; `None` allows all.
    pub allowed: Option<&'a [u64]>,
}

/// The `n_best` chunks nearest to a query, `[dim] f32`, L2-normalised, over all generations together.
pub fn nearest(scopes: &[(&Searcher, &DocSet)], query: &[f32], n_best: usize) -> Nearest {
    nearest_by(Limits::DEFAULT, scopes, query, n_best)
}

fn nearest_by(limits: Limits, scopes: &[(&Searcher, &DocSet)], query: &[f32], n_best: usize) -> Nearest {
    let parts = parts(scopes, query.len());
    let n_rows: u64 = scopes.iter().map(|(_, set)| set.n_vectors).sum();
    let codes = QuantizedQuery::new(query);
    let (mut found, stats) = if n_rows < limits.sketch_min_rows {
        scan::exact(&parts, &codes, n_best)
    } else {
        let level = sample::level(n_rows, limits.sample_rows);
        let n_rescored = limits.n_rescored(n_rows, n_best);
        let may_walk = scopes.iter().all(|(_, set)| !set.is_restricted);
        rayon::join(
            || {
                let (mut found, rest) =
                    if may_walk { walk(&parts, &codes, n_best) } else { Default::default() };
                let rest = if may_walk { &rest } else { &parts };
                found.extend(scan::sketched(rest, query, &codes, n_rescored, n_best));
                found
            },
            || scan::sampled(&parts, &codes, level),
        )
    };
    keep_best(&mut found, n_best);
    let mut chunks: Vec<(usize, ChunkRef, f32)> =
        found.into_iter().map(|((source, chunk), score)| (source, chunk, score)).collect();
    let place = |(source, chunk, _): &(usize, ChunkRef, f32)| (*source, scopes[*source].0.place(*chunk));
    chunks.sort_by(|a, b| b.2.total_cmp(&a.2).then_with(|| place(a).cmp(&place(b))));
    chunks.truncate(n_best);
    Nearest { chunks, stats }
}

/// All segments of all generations; none of those whose vectors have another dimension.
fn parts<'a>(scopes: &[(&'a Searcher, &'a DocSet)], dim: usize) -> Vec<Part<'a>> {
    let mut parts = Vec::new();
    for (source, (searcher, set)) in scopes.iter().enumerate() {
        for (segment, rows) in (0..).zip(searcher.segment_rows(set)) {
            if rows.vectors.dim() == dim {
                parts.push(Part { source, segment, rows });
            }
        }
    }
    parts
}

/// Walks the segments that have a graph and nothing but allowed rows; gives the others back.
fn walk<'a>(parts: &[Part<'a>], query: &QuantizedQuery, n_best: usize) -> (Vec<Scored>, Vec<Part<'a>>) {
    let (mut found, mut rest) = (Vec::new(), Vec::new());
    for part in parts {
        match part.rows.allowed.is_none().then(|| part.rows.vectors.walk(query, n_best)).flatten() {
            Some(rows) => found.extend(rows.into_iter().map(|(row, score)| part.scored(row, score))),
            None => rest.push(*part),
        }
    }
    (found, rest)
}
