//! The walk through a graph.
//!
//! Source: Malkov, Yashunin 2016 (arXiv:1603.09320), algorithms 2 and 5.

use std::cell::RefCell;
use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::format::{Graph, LayerView, NO_ENTRY};
use crate::index::kernels::{self, QuantizedQuery, Rows};

/// From this many rows on a segment gets a graph; below, the exact scan answers within about half a millisecond.
///
/// Measured on two shared Zen 4 cores under load (AVX-512 VNNI), one thread, MiniLM-L6 embeddings of 384 numbers (at
/// 100,000 rows half of them are mixtures of two), median of 300 queries, each with exact rescoring of the best 30;
/// in brackets recall@10, which is 1 for the scan:
///
/// | rows | scan | walk, `ef` 40 | `ef` 64 | `ef` 96 |
/// |---|---|---|---|---|
/// | 10,000 | 0.101 ms | 0.032 (.995) | 0.049 (.997) | 0.062 (.998) |
/// | 20,000 | 0.192 ms | 0.056 (.997) | 0.071 (.999) | 0.072 (.999) |
/// | 30,000 | 0.287 ms | 0.046 (.995) | 0.055 (.997) | 0.085 (.998) |
/// | 100,000 | 2.165 ms | 0.080 (.990) | 0.114 (.995) | 0.157 (.997) |
///
/// The walk is ahead from far fewer rows on, but there it saves less than a query notices, and a graph costs about 0.3 ms
/// of processor time a row at each merge.
pub const GRAPH_MIN_ROWS: usize = 30_000;

/// Candidates that a search keeps when the caller has no wish of its own.
pub const EF_SEARCH: usize = 96;

/// How many rows the scan scores in the time in which a walk scores one, about: a walk's rows lie scattered in memory.
const WALK_COST: usize = 5;

impl Graph<'_> {
    /// The best `k` rows with their approximate cosines, best first, ties by lower row. For exact cosines ask for more
    /// than you want and score those again from the exact rows.
    ///
    /// `ef` candidates are kept, at least `k`: more find more and take longer ([`EF_SEARCH`]). Where the walk turns out
    /// to take longer than a scan of all rows, or finds too few, they are scanned, exactly.
    ///
    /// There is no filter: what a walk finds among some rows depends on the others.
    ///
    /// # Panics
    /// Where `rows` are not as many as the graph was built over, or of another dimension than the query.
    pub fn search(&self, query: &QuantizedQuery, rows: Rows<'_>, ef: usize, k: usize) -> Vec<(u32, f32)> {
        assert_eq!(rows.len(), self.n_rows, "the rows that the graph was built over");
        if k == 0 || self.entry == NO_ENTRY {
            return exact(query, rows, k);
        }
        let (ef, budget) = (ef.max(k), self.n_rows / WALK_COST);
        let walked = SCRATCH.with_borrow_mut(|scratch| {
            scratch.reset(self.n_rows);
            let base = Base::Flat(self.layers[0]);
            let walk = Walk { graph: self, base, query, rows, ef, budget };
            let start = walk.descend(scratch);
            walk.beam(start, scratch).then(|| scratch.best(k))
        });
        match walked {
            Some(found) if found.len() >= k.min(self.n_rows) => found,
            _ => exact(query, rows, k),
        }
    }

    /// The best `ef` of the rows that a growing layer 0 links, for building: upper layers and entry point are this
    /// graph's. As [`Graph::search`], without a budget.
    pub fn search_growing(
        &self,
        base: Growing<'_>,
        query: &QuantizedQuery,
        rows: Rows<'_>,
        ef: usize,
    ) -> Vec<(u32, f32)> {
        SCRATCH.with_borrow_mut(|scratch| {
            scratch.reset(self.n_rows);
            let base = Base::Growing(base);
            let walk = Walk { graph: self, base, query, rows, ef, budget: usize::MAX };
            let start = walk.descend(scratch);
            walk.beam(start, scratch);
            scratch.best(ef)
        })
    }
}

/// A layer 0 that is still being built, each row's links in a slot of the same size.
#[derive(Debug, Clone, Copy)]
pub struct Growing<'a> {
    /// `[n_rows, slot] u32`, little-endian as in the file; of each slot the first `n_links` count.
    pub links: &'a [u32],
    /// `[n_rows]`, at most `slot` each.
    pub n_links: &'a [u8],
    /// Links that a row has room for.
    pub slot: usize,
}

/// Where a walk finds the links of layer 0.
#[derive(Clone, Copy)]
enum Base<'a> {
    Flat(LayerView<'a>),
    Growing(Growing<'a>),
}

impl<'a> Base<'a> {
    #[inline]
    fn links_at(&self, row: u32) -> &'a [u32] {
        match self {
            Self::Flat(layer) => layer.links_at(row as usize),
            Self::Growing(Growing { links, n_links, slot }) => {
                let start = row as usize * slot;
                n_links
                    .get(row as usize)
                    .and_then(|n| links.get(start..start + usize::from(*n)))
                    .unwrap_or(&[])
            }
        }
    }
}

/// Scores every row.
fn exact(query: &QuantizedQuery, rows: Rows<'_>, k: usize) -> Vec<(u32, f32)> {
    let mut scores = vec![0.0; rows.len()];
    kernels::scan_i8(query, rows, &mut scores);
    kernels::top_k(&scores, k)
}

thread_local! {
    /// Each thread's room for a walk, so that a search allocates nothing but its answer.
    static SCRATCH: RefCell<Scratch> = RefCell::default();
}

/// Room for one walk. A scored row is one number, [`rank`].
#[derive(Default)]
struct Scratch {
    n_rows: usize,
    visited: Vec<u64>,
    candidates: BinaryHeap<u64>,
    found: BinaryHeap<Reverse<u64>>,
    batch: Vec<u32>,
    scores: Vec<f32>,
}

impl Scratch {
    fn reset(&mut self, n_rows: usize) {
        self.n_rows = n_rows;
        self.visited.clear();
        self.visited.resize(n_rows.div_ceil(64), 0);
        self.candidates.clear();
        self.found.clear();
    }

    /// Marks a row, tells whether it is the first time. Numbers that are no row count as seen.
    #[inline]
    fn visit(&mut self, row: u32) -> bool {
        if row as usize >= self.n_rows {
            return false;
        }
        let word = &mut self.visited[row as usize / 64];
        let is_new = *word >> (row % 64) & 1 == 0;
        *word |= 1 << (row % 64);
        is_new
    }

    /// Scores the rows of the batch.
    fn score(&mut self, query: &QuantizedQuery, rows: Rows<'_>) {
        self.scores.resize(self.batch.len(), 0.0);
        kernels::score_listed(query, rows, &self.batch, &mut self.scores);
    }

    fn best(&mut self, k: usize) -> Vec<(u32, f32)> {
        let mut best: Vec<u64> = self.found.drain().map(|Reverse(rank)| rank).collect();
        best.sort_unstable_by_key(|rank| Reverse(*rank));
        best.iter().take(k).map(|rank| (row_of(*rank), score_of(*rank))).collect()
    }
}

/// A scored row as one number that is larger for the better: score, then lower row.
#[inline]
pub(super) fn rank(score: f32, row: u32) -> u64 {
    let bits = score.to_bits();
    let ascending = if bits >> 31 == 1 { !bits } else { bits | 1 << 31 };
    u64::from(ascending) << 32 | u64::from(!row)
}

pub(super) fn row_of(rank: u64) -> u32 {
    !(rank as u32)
}

pub(super) fn score_of(rank: u64) -> f32 {
    let ascending = (rank >> 32) as u32;
    f32::from_bits(if ascending >> 31 == 1 { ascending & !(1 << 31) } else { !ascending })
}

/// One search.
struct Walk<'w> {
    graph: &'w Graph<'w>,
    base: Base<'w>,
    query: &'w QuantizedQuery,
    rows: Rows<'w>,
    ef: usize,
    /// Rows that may be scored before the walk gives up.
    budget: usize,
}

impl Walk<'_> {
    /// Goes down the upper layers, on each to the node nearest to the query.
    fn descend(&self, scratch: &mut Scratch) -> u64 {
        scratch.batch.clear();
        scratch.batch.push(self.graph.entry);
        scratch.score(self.query, self.rows);
        let mut best = rank(scratch.scores[0], self.graph.entry);
        for layer in self.graph.layers[1..self.graph.n_layers].iter().rev() {
            loop {
                scratch.batch.clear();
                let links = layer.links_of(row_of(best)).iter().map(|row| u32::from_le(*row));
                scratch.batch.extend(links.filter(|row| (*row as usize) < self.graph.n_rows));
                scratch.score(self.query, self.rows);
                let ranks = scratch.batch.iter().zip(&scratch.scores).map(|(row, score)| rank(*score, *row));
                match ranks.max() {
                    Some(next) if next > best => best = next,
                    _ => break,
                }
            }
        }
        best
    }

    /// Walks layer 0 from a scored row; `false` where the budget was spent.
    fn beam(&self, start: u64, scratch: &mut Scratch) -> bool {
        let mut n_scored = 0;
        scratch.visit(row_of(start));
        self.offer(start, scratch);
        while let Some(next) = scratch.candidates.pop() {
            if scratch.found.len() >= self.ef && scratch.found.peek().is_some_and(|worst| next < worst.0) {
                break;
            }
            self.gather(row_of(next), scratch);
            n_scored += scratch.batch.len();
            if n_scored > self.budget {
                return false;
            }
            self.offer_batch(scratch);
        }
        true
    }

    /// Scores the batch and offers it.
    fn offer_batch(&self, scratch: &mut Scratch) {
        scratch.score(self.query, self.rows);
        for idx in 0..scratch.batch.len() {
            self.offer(rank(scratch.scores[idx], scratch.batch[idx]), scratch);
        }
    }

    /// Fills the batch with the neighbours of a row that haven't been visited.
    fn gather(&self, row: u32, scratch: &mut Scratch) {
        scratch.batch.clear();
        for near in self.base.links_at(row).iter().map(|row| u32::from_le(*row)) {
            if scratch.visit(near) {
                scratch.batch.push(near);
            }
        }
    }

    /// Keeps a scored row where it is good enough: as a candidate, and, where it has a vector, as found.
    fn offer(&self, rank: u64, scratch: &mut Scratch) {
        let is_full = scratch.found.len() >= self.ef;
        if is_full && scratch.found.peek().is_some_and(|worst| rank < worst.0) {
            return;
        }
        scratch.candidates.push(rank);
        if self.rows.has(row_of(rank)) {
            scratch.found.push(Reverse(rank));
            if is_full {
                scratch.found.pop();
            }
        }
    }
}
