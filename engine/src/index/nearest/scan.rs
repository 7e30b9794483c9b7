//! The scans over allowed rows, block by block, on as many threads as are free.

use std::ops::Range;

use rayon::prelude::*;

use super::SegmentRows;
use crate::index::ChunkRef;
use crate::index::kernels::{self, QuantizedQuery, QuerySketch, ScanStats, keep_best};

/// Words of a bitset in one block: 8,192 rows.
const BLOCK_WORDS: usize = 128;

/// From this many allowed rows on blocks are split between threads; below, waking them costs as much as they save.
const PARALLEL_MIN_ROWS: usize = 30_000;

/// One segment of one generation.
#[derive(Clone, Copy)]
pub struct Part<'a> {
    /// The generation, by its place in the question.
    pub source: usize,
    /// The segment, by its place in the generation.
    pub segment: u32,
    /// Its rows.
    pub rows: SegmentRows<'a>,
}

/// A chunk of a generation with its cosine from 8-bit codes.
pub type Scored = ((usize, ChunkRef), f32);

impl Part<'_> {
    /// Names a row.
    pub fn scored(&self, row: u32, score: f32) -> Scored {
        ((self.source, ChunkRef { segment: self.segment, doc: row }), score)
    }

    /// The allowed rows of some words that have a vector and lie in a sample, ascending.
    fn ids(&self, words: Range<usize>, level: u32) -> Vec<u32> {
        let present = self.rows.vectors.present();
        let sample = self.rows.samples.rows(level);
        let mut ids = Vec::with_capacity(if level == 0 { words.len() * 64 } else { 0 });
        for word_idx in words {
            let of =
                |bits: Option<&[u64]>| bits.map_or(u64::MAX, |bits| bits.get(word_idx).copied().unwrap_or(0));
            let mut word = of(Some(present)) & of(self.rows.allowed) & of(sample);
            while word != 0 {
                ids.push(word_idx as u32 * 64 + word.trailing_zeros());
                word &= word - 1;
            }
        }
        ids
    }

    fn n_words(&self) -> usize {
        self.rows.vectors.present().len()
    }

    /// Allowed rows at most.
    fn max_rows(&self) -> usize {
        let count = |words: &[u64]| words.iter().map(|word| word.count_ones() as usize).sum();
        self.rows.allowed.map_or(self.rows.vectors.n_rows(), count)
    }

    fn score(&self, query: &QuantizedQuery, ids: &[u32]) -> Vec<f32> {
        let mut scores = vec![0.0; ids.len()];
        kernels::score_listed(query, self.rows.vectors.rows(), ids, &mut scores);
        scores
    }
}

/// Does something with the allowed rows of each block; gives what comes of it in the blocks' order.
fn each_block<'p, T: Send>(
    parts: &'p [Part<'p>],
    level: u32,
    work: impl Fn(&'p Part<'p>, Vec<u32>) -> T + Sync,
) -> Vec<T> {
    let blocks: Vec<(&Part<'_>, Range<usize>)> = parts
        .iter()
        .flat_map(|part| {
            let starts = (0..part.n_words()).step_by(BLOCK_WORDS);
            starts.map(move |start| (part, start..(start + BLOCK_WORDS).min(part.n_words())))
        })
        .collect();
    let work = |(part, words): &(&'p Part<'p>, Range<usize>)| work(part, part.ids(words.clone(), level));
    if parts.iter().map(Part::max_rows).sum::<usize>() >> level < PARALLEL_MIN_ROWS {
        blocks.iter().map(work).collect()
    } else {
        blocks.par_iter().map(work).collect()
    }
}

/// Scores every row; gives the best with all that tie with the last of them, and the distribution of all scores.
pub fn exact(parts: &[Part<'_>], query: &QuantizedQuery, n_best: usize) -> (Vec<Scored>, ScanStats) {
    let blocks = each_block(parts, 0, |part, ids| {
        let scores = part.score(query, &ids);
        let mut best: Vec<Scored> =
            ids.iter().zip(&scores).map(|(row, score)| part.scored(*row, *score)).collect();
        keep_best(&mut best, n_best);
        (best, ScanStats::of(&scores))
    });
    blocks.into_iter().fold((Vec::new(), ScanStats::of(&[])), |(mut all, all_stats), (best, stats)| {
        all.extend(best);
        (all, all_stats.merge(stats))
    })
}

/// The distribution of the scores of a sample.
pub fn sampled(parts: &[Part<'_>], query: &QuantizedQuery, level: u32) -> ScanStats {
    let blocks = each_block(parts, level, |part, ids| ScanStats::of(&part.score(query, &ids)));
    blocks.into_iter().fold(ScanStats::of(&[]), ScanStats::merge)
}

/// Compares every row's sketch, and scores the `n_rescored` nearest with all that tie with the last of them; gives the
/// best of these.
pub fn sketched(
    parts: &[Part<'_>],
    query: &[f32],
    codes: &QuantizedQuery,
    n_rescored: usize,
    n_best: usize,
) -> Vec<Scored> {
    let query = QuerySketch::new(query);
    let blocks = each_block(parts, 0, |part, ids| {
        let mut distances = vec![0; ids.len()];
        kernels::distances(&query, part.rows.vectors.sketches(), &ids, &mut distances);
        Compared::new(part, ids, distances, query.max_distance())
    });
    let Some(cut) = cut(&blocks, n_rescored) else { return Vec::new() };
    let rescored = blocks.par_iter().map(|block| {
        let ids = block.within(cut);
        let scores = block.part.score(codes, &ids);
        let mut best: Vec<Scored> =
            ids.iter().zip(&scores).map(|(row, score)| block.part.scored(*row, *score)).collect();
        keep_best(&mut best, n_best);
        best
    });
    rescored.flatten().collect()
}

/// A block's rows with their distances.
struct Compared<'a> {
    part: &'a Part<'a>,
    ids: Vec<u32>,
    distances: Vec<u32>,
    /// Rows at each distance.
    counts: Vec<u32>,
}

impl<'a> Compared<'a> {
    fn new(part: &'a Part<'a>, ids: Vec<u32>, distances: Vec<u32>, max_distance: usize) -> Self {
        let mut counts = vec![0; max_distance + 1];
        distances.iter().for_each(|distance| counts[*distance as usize] += 1);
        Self { part, ids, distances, counts }
    }

    fn within(&self, cut: u32) -> Vec<u32> {
        let near = self.ids.iter().zip(&self.distances).filter(|(_, distance)| **distance <= cut);
        near.map(|(row, _)| *row).collect()
    }
}

/// The smallest distance within which there are `n` rows, over all blocks together, or the largest there is; `None`
/// without rows.
fn cut(blocks: &[Compared<'_>], n: usize) -> Option<u32> {
    let mut counts = blocks.first()?.counts.clone();
    for block in &blocks[1..] {
        counts.iter_mut().zip(&block.counts).for_each(|(all, own)| *all += own);
    }
    let mut n_within = 0;
    let reached = counts.iter().position(|count| {
        n_within += *count as usize;
        n_within >= n
    });
    Some(reached.unwrap_or(counts.len() - 1) as u32)
}
