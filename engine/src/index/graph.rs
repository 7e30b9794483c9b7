//! The flat form of a navigable small-world graph over a segment's rows, and the filter-aware walk through it.
//!
//! Takes bytes that `hnsw` made, wherever they lie (memory, a mapped file); gives the rows nearest to a query among the
//! allowed ones. Opening checks every number, so that a damaged file is an error and never a panic.
//!
//! Nouns: [`Graph`], [`Layer`] (what it is encoded from). It holds links only; rows come from the caller.
//!
//! Layout, little-endian, every part padded with zeros to 8 bytes:
//!
//! ```text
//! header     80 B   magic "WPGRAPH\0" · version u32 · n_rows u32 · n_layers u32 · entry u32 · n_bytes u64 · zeros
//!                   · at 48: BLAKE3 of all bytes but these 32
//! directory         n_layers × (n_nodes u32, n_links u32); layer 0, which has every row, first
//! layer 0           offsets (n_nodes + 1) u32 · links n_links u32
//! layer 1..         nodes n_nodes u32, ascending rows · offsets (n_nodes + 1) u32 · links n_links u32
//! ```
//!
//! The links of a layer's node `i` are the rows `links[offsets[i]..offsets[i + 1]]`. `entry` is a node of the highest
//! layer, or [`NO_ENTRY`] where no row has a vector.
//!
//! Source: Malkov, Yashunin 2016 (arXiv:1603.09320), algorithms 2 and 5. The filter differs from the paper, which has
//! none: see [`Graph::search`].

use std::cell::RefCell;
use std::cmp::Reverse;
use std::collections::BinaryHeap;

use thiserror::Error;

use super::kernels::{self, Allowed, QuantizedQuery, Rows};

/// First bytes of a graph.
const MAGIC: [u8; 8] = *b"WPGRAPH\0";

/// Version of the layout.
pub const VERSION: u32 = 1;

/// Stands for the entry point of a graph without points.
pub const NO_ENTRY: u32 = u32::MAX;

const HEADER_BYTES: usize = 80;
const CHECKSUM_AT: usize = 48;
const CHECKSUM_BYTES: usize = 32;
const ALIGNMENT: usize = 8;

/// Layers that a graph may have; 16 links a node make a ninth one likely from 16^8 rows on only.
const MAX_LAYERS: usize = 16;

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

/// Rows that an unfiltered walk scores per candidate that it keeps: 12 at `ef` 96, at 30,000 and at 100,000 rows.
const SCORED_PER_EF: usize = 12;

/// How many rows the scan scores in the time in which a walk scores one, about: a walk's rows lie scattered in memory.
const WALK_COST: usize = 5;

/// What is wrong with a graph's bytes. The index is derived: rebuild it.
#[derive(Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum GraphError {
    /// Fewer or more bytes than the header tells.
    #[error("the graph has {found} bytes, expected {expected}")]
    Length {
        /// By the header.
        expected: u64,
        /// In hand.
        found: u64,
    },
    /// The bytes are something else.
    #[error("the graph is of another format")]
    Format,
    /// Written by another version of this program.
    #[error("the graph has layout version {found}, expected {VERSION}")]
    Version {
        /// In the header.
        found: u32,
    },
    /// Some byte has changed since the graph was written.
    #[error("the graph does not fit its checksum")]
    Checksum,
    /// The bytes don't start at a multiple of 4 in memory, so that they can't be read in place.
    #[error("the graph is not aligned in memory")]
    Alignment,
    /// A number names a row, node or link that isn't there.
    #[error("the graph's layer {layer} has {what} out of range")]
    Range {
        /// From 0.
        layer: usize,
        /// Which number.
        what: &'static str,
    },
}

/// One layer of a graph that is to be written.
#[derive(Debug, Clone, Default)]
pub struct Layer {
    /// Rows on this layer, ascending. Layer 0 has all rows, those without a vector too.
    pub nodes: Vec<u32>,
    /// The neighbours of each node, rows.
    pub links: Vec<Vec<u32>>,
}

/// Writes a graph down. `layers[0].nodes` is `0..n_rows`; `entry` is a node of the last layer, `None` without points.
pub fn encode(layers: &[Layer], entry: Option<u32>) -> Vec<u8> {
    let mut body = Vec::new();
    for layer in layers {
        let n_links: usize = layer.links.iter().map(Vec::len).sum();
        append(&mut body, [layer.nodes.len() as u32, n_links as u32].into_iter());
    }
    for (level, layer) in layers.iter().enumerate() {
        if level > 0 {
            append(&mut body, layer.nodes.iter().copied());
        }
        let ends = layer.links.iter().scan(0, |end, links| {
            *end += links.len() as u32;
            Some(*end)
        });
        append(&mut body, std::iter::once(0).chain(ends));
        append(&mut body, layer.links.iter().flatten().copied());
    }
    let n_rows = layers.first().map_or(0, |layer| layer.nodes.len());
    let mut bytes = Vec::with_capacity(HEADER_BYTES + body.len());
    bytes.extend_from_slice(&MAGIC);
    for number in [VERSION, n_rows as u32, layers.len() as u32, entry.unwrap_or(NO_ENTRY)] {
        bytes.extend_from_slice(&number.to_le_bytes());
    }
    bytes.extend_from_slice(&((HEADER_BYTES + body.len()) as u64).to_le_bytes());
    bytes.resize(HEADER_BYTES, 0);
    bytes.extend_from_slice(&body);
    let checksum = checksum(&bytes);
    bytes[CHECKSUM_AT..CHECKSUM_AT + CHECKSUM_BYTES].copy_from_slice(checksum.as_bytes());
    bytes
}

fn append(body: &mut Vec<u8>, numbers: impl Iterator<Item = u32>) {
    numbers.for_each(|number| body.extend_from_slice(&number.to_le_bytes()));
    body.resize(body.len().next_multiple_of(ALIGNMENT), 0);
}

/// Of all bytes but the checksum's own.
fn checksum(bytes: &[u8]) -> blake3::Hash {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&bytes[..CHECKSUM_AT]);
    hasher.update(&bytes[CHECKSUM_AT + CHECKSUM_BYTES..]);
    hasher.finalize()
}

/// A graph, borrowed from its bytes.
#[derive(Debug, Clone, Copy)]
pub struct Graph<'a> {
    n_rows: usize,
    entry: u32,
    n_layers: usize,
    layers: [LayerView<'a>; MAX_LAYERS],
}

/// One layer in place. Numbers are little-endian.
#[derive(Debug, Clone, Copy, Default)]
struct LayerView<'a> {
    nodes: &'a [u32],
    offsets: &'a [u32],
    links: &'a [u32],
}

impl<'a> LayerView<'a> {
    /// The neighbours of the node at a place; none where there is no such place.
    #[inline]
    fn links_at(&self, place: usize) -> &'a [u32] {
        let end = |place: usize| self.offsets.get(place).map(|offset| u32::from_le(*offset) as usize);
        let range = end(place).zip(end(place + 1));
        range.and_then(|(start, end)| self.links.get(start..end)).unwrap_or(&[])
    }

    /// The neighbours of a row on an upper layer; none where the row isn't on it.
    fn links_of(&self, row: u32) -> &'a [u32] {
        let place = self.nodes.binary_search_by_key(&row, |node| u32::from_le(*node));
        place.map_or(&[], |place| self.links_at(place))
    }
}

impl<'a> Graph<'a> {
    /// Checks the bytes from end to end, their checksum and every number in them: time in proportion to their length.
    ///
    /// # Errors
    /// [`GraphError`] tells what is wrong; there is no damage that gives a panic.
    pub fn open(bytes: &'a [u8]) -> Result<Self, GraphError> {
        let graph = Self::parse(bytes)?;
        if checksum(bytes).as_bytes()[..] != bytes[CHECKSUM_AT..CHECKSUM_AT + CHECKSUM_BYTES] {
            return Err(GraphError::Checksum);
        }
        graph.check()?;
        Ok(graph)
    }

    /// Finds the parts of bytes that [`Graph::open`] has accepted before, in no time. Bytes that it would refuse give an
    /// error or a graph that finds the wrong rows, still without a panic.
    ///
    /// # Errors
    /// [`GraphError`] where header and sizes are wrong.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, GraphError> {
        let found = bytes.len() as u64;
        if bytes.len() < HEADER_BYTES {
            return Err(GraphError::Length { expected: HEADER_BYTES as u64, found });
        }
        if bytes[..8] != MAGIC {
            return Err(GraphError::Format);
        }
        let number = |at: usize| u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
        let version = number(8);
        if version != VERSION {
            return Err(GraphError::Version { found: version });
        }
        let (n_rows, n_layers, entry) = (number(12) as usize, number(16) as usize, number(20));
        let expected = u64::from(number(24)) | u64::from(number(28)) << 32;
        if expected != found {
            return Err(GraphError::Length { expected, found });
        }
        if !(1..=MAX_LAYERS).contains(&n_layers) {
            return Err(GraphError::Range { layer: 0, what: "the number of layers" });
        }
        let mut parts = Parts { rest: &bytes[HEADER_BYTES..] };
        let cut = |layer: usize| move || GraphError::Range { layer, what: "a size" };
        let directory = parts.take(2 * n_layers)?.ok_or_else(cut(0))?;
        let mut layers = [LayerView::default(); MAX_LAYERS];
        for (level, sizes) in directory.chunks_exact(2).enumerate() {
            let (n_nodes, n_links) = (u32::from_le(sizes[0]) as usize, u32::from_le(sizes[1]) as usize);
            let nodes = if level == 0 { &[] } else { parts.take(n_nodes)?.ok_or_else(cut(level))? };
            let offsets = parts.take(n_nodes.saturating_add(1))?.ok_or_else(cut(level))?;
            let links = parts.take(n_links)?.ok_or_else(cut(level))?;
            layers[level] = LayerView { nodes, offsets, links };
        }
        if !parts.rest.is_empty() || layers[0].offsets.len() != n_rows + 1 {
            return Err(GraphError::Range { layer: 0, what: "the number of rows" });
        }
        if entry as usize >= n_rows && entry != NO_ENTRY {
            return Err(GraphError::Range { layer: n_layers - 1, what: "the entry point" });
        }
        Ok(Self { n_rows, entry, n_layers, layers })
    }

    /// Checks entry point, offsets, nodes and links.
    fn check(&self) -> Result<(), GraphError> {
        let is_row = |row: &u32| (u32::from_le(*row) as usize) < self.n_rows;
        for (layer, view) in self.layers[..self.n_layers].iter().enumerate() {
            let check =
                |is_right: bool, what| if is_right { Ok(()) } else { Err(GraphError::Range { layer, what }) };
            let ends =
                (view.offsets.first().copied(), view.offsets.last().map(|end| u32::from_le(*end) as usize));
            check(ends == (Some(0), Some(view.links.len())), "an offset")?;
            check(view.offsets.is_sorted_by_key(|offset| u32::from_le(*offset)), "an offset")?;
            check(view.links.iter().all(is_row), "a link")?;
            check(view.nodes.iter().all(is_row), "a node")?;
            check(view.nodes.is_sorted_by(|a, b| u32::from_le(*a) < u32::from_le(*b)), "a node")?;
        }
        let top = self.n_layers - 1;
        let is_on_top = match top {
            0 => true,
            _ => self.layers[top].nodes.binary_search_by_key(&self.entry, |node| u32::from_le(*node)).is_ok(),
        };
        if is_on_top { Ok(()) } else { Err(GraphError::Range { layer: top, what: "the entry point" }) }
    }

    /// Rows that the graph was built over, those without a vector included.
    pub fn n_rows(&self) -> usize {
        self.n_rows
    }

    /// The best `k` rows among the allowed ones with their approximate cosines, best first, ties by lower row. Fewer
    /// where fewer are allowed; for exact cosines ask for more than you want and score those again from the exact rows.
    ///
    /// `ef` candidates are kept, at least `k`: more find more and take longer ([`EF_SEARCH`]). The walk goes through
    /// rows that are not allowed and collects only allowed ones. Where a walk would take longer than a scan of the
    /// allowed rows, or turns out to, or finds too few, they are scanned, exactly. In our measurements no filter took
    /// more than 1.6 times the exact scan, and none found less than an unfiltered search.
    ///
    /// Stepping over rows that are not allowed without scoring them (ACORN-1: Patel and others 2024, arXiv:2403.04871)
    /// was tried: no faster at 20 and 30 % allowed, and where the allowed rows lie together, away from the query, its
    /// recall@10 fell to .976 where this walk keeps .997 (100,000 rows, `ef` 96, 30 % allowed).
    ///
    /// # Panics
    /// Where `rows` are not as many as the graph was built over, or of another dimension than the query.
    pub fn search(
        &self,
        query: &QuantizedQuery,
        rows: Rows<'_>,
        allowed: Allowed<'_>,
        ef: usize,
        k: usize,
    ) -> Vec<(u32, f32)> {
        assert_eq!(rows.len(), self.n_rows, "the rows that the graph was built over");
        let ef = ef.max(k).max(1);
        let n_allowed = allowed.count(self.n_rows);
        // A walk that looks for every hundredth row has to score a hundred times as many.
        let n_scored = SCORED_PER_EF.saturating_mul(ef).saturating_mul(self.n_rows) / n_allowed.max(1);
        let budget = n_allowed / WALK_COST;
        let is_few = n_allowed < self.n_rows && n_scored >= budget;
        if k == 0 || self.entry == NO_ENTRY || is_few {
            return exact(query, rows, allowed, k);
        }
        let walked = SCRATCH.with_borrow_mut(|scratch| {
            scratch.reset(self.n_rows, allowed);
            let base = Base::Flat(self.layers[0]);
            let walk = Walk { graph: self, base, query, rows, ef, budget };
            let start = walk.descend(scratch);
            walk.beam(start, scratch).then(|| scratch.best(k))
        });
        match walked {
            Some(found) if found.len() >= k.min(n_allowed) => found,
            _ => exact(query, rows, allowed, k),
        }
    }

    /// The best `ef` of the rows that a growing layer 0 links, for building: upper layers and entry point are this
    /// graph's. As [`Graph::search`], without a filter.
    pub fn search_growing(
        &self,
        base: Growing<'_>,
        query: &QuantizedQuery,
        rows: Rows<'_>,
        ef: usize,
    ) -> Vec<(u32, f32)> {
        SCRATCH.with_borrow_mut(|scratch| {
            scratch.reset(self.n_rows, Allowed::All);
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

/// The parts of a graph's bytes, one after the other.
struct Parts<'a> {
    rest: &'a [u8],
}

impl<'a> Parts<'a> {
    /// The next numbers; `None` where fewer are left.
    fn take(&mut self, n: usize) -> Result<Option<&'a [u32]>, GraphError> {
        let Some(n_bytes) = n.checked_mul(4) else { return Ok(None) };
        let padded = n_bytes.next_multiple_of(ALIGNMENT);
        let Some((part, rest)) = self.rest.split_at_checked(padded) else { return Ok(None) };
        self.rest = rest;
        bytemuck::try_cast_slice(&part[..n_bytes]).map(Some).map_err(|_| GraphError::Alignment)
    }
}

/// Scores every allowed row.
fn exact(query: &QuantizedQuery, rows: Rows<'_>, allowed: Allowed<'_>, k: usize) -> Vec<(u32, f32)> {
    let mut scores = vec![0.0; rows.len()];
    kernels::scan_i8(query, rows.codes(), rows.scales(), rows.dim(), allowed, &mut scores);
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
    /// A copy of the allowed rows; empty: all.
    allowed: Vec<u64>,
    candidates: BinaryHeap<u64>,
    found: BinaryHeap<Reverse<u64>>,
    batch: Vec<u32>,
    scores: Vec<f32>,
}

impl Scratch {
    fn reset(&mut self, n_rows: usize, allowed: Allowed<'_>) {
        let n_words = n_rows.div_ceil(64);
        self.n_rows = n_rows;
        self.visited.clear();
        self.visited.resize(n_words, 0);
        self.candidates.clear();
        self.found.clear();
        self.allowed.clear();
        match allowed {
            Allowed::All => {}
            Allowed::Bits(words) => {
                self.allowed.extend_from_slice(&words[..n_words.min(words.len())]);
                self.allowed.resize(n_words.max(1), 0);
            }
            Allowed::Ids(ids) => {
                self.allowed.resize(n_words.max(1), 0);
                for id in &ids[..allowed.count(n_rows)] {
                    self.allowed[*id as usize / 64] |= 1 << (id % 64);
                }
            }
        }
    }

    #[inline]
    fn is_allowed(&self, row: u32) -> bool {
        self.allowed.is_empty() || self.allowed[row as usize / 64] >> (row % 64) & 1 == 1
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
fn rank(score: f32, row: u32) -> u64 {
    let bits = score.to_bits();
    let ascending = if bits >> 31 == 1 { !bits } else { bits | 1 << 31 };
    u64::from(ascending) << 32 | u64::from(!row)
}

fn row_of(rank: u64) -> u32 {
    !(rank as u32)
}

fn score_of(rank: u64) -> f32 {
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
    /// Goes down the upper layers, on each to the node nearest to the query; the filter doesn't count there.
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

    /// Keeps a scored row where it is good enough: as a candidate, and, where it is allowed, as found.
    fn offer(&self, rank: u64, scratch: &mut Scratch) {
        let is_full = scratch.found.len() >= self.ef;
        if is_full && scratch.found.peek().is_some_and(|worst| rank < worst.0) {
            return;
        }
        scratch.candidates.push(rank);
        let row = row_of(rank);
        if scratch.is_allowed(row) && self.rows.has(row) {
            scratch.found.push(Reverse(rank));
            if is_full {
                scratch.found.pop();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::LazyLock;

    use super::super::hnsw;
    use super::super::kernels::{quantize, top_k};
    use super::*;

    const N: usize = 5_000;
    const DIM: usize = 24;

    /// A clustered set with its graph, made once.
    struct Set {
        codes: Vec<i8>,
        scales: Vec<f32>,
        queries: Vec<QuantizedQuery>,
        bytes: Vec<u64>,
    }

    static SET: LazyLock<Set> = LazyLock::new(|| {
        let vectors = clustered(N + 50, DIM);
        let mut codes = vec![0; N * DIM];
        let quantized = vectors.chunks(DIM).zip(codes.chunks_mut(DIM));
        let mut scales: Vec<f32> = quantized.map(|(row, codes)| quantize(row, codes)).collect();
        scales.iter_mut().step_by(97).for_each(|scale| *scale = 0.0);
        let queries = vectors.chunks(DIM).skip(N).map(QuantizedQuery::new).collect();
        let bytes = words(&hnsw::build(Rows::new(&codes, &scales, DIM)));
        Set { codes, scales, queries, bytes }
    });

    fn words(bytes: &[u8]) -> Vec<u64> {
        bytes.as_chunks::<8>().0.iter().map(|word| u64::from_ne_bytes(*word)).collect()
    }

    /// Rows around centres that lie everywhere, `[n, dim]`; quantising norms them well enough.
    fn clustered(n: usize, dim: usize) -> Vec<f32> {
        let mut state = 0x9E37_79B9_7F4A_7C15u64;
        let mut next = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 40) as f32 / (1u64 << 23) as f32 - 1.0
        };
        let centres: Vec<f32> = (0..100 * dim).map(|_| next()).collect();
        let mut rows = Vec::with_capacity(n * dim);
        for row in 0..n {
            let centre = row * 37 % 100 * dim;
            let values: Vec<f32> =
                centres[centre..centre + dim].iter().map(|value| value + 0.7 * next()).collect();
            let norm = values.iter().map(|value| value * value).sum::<f32>().sqrt();
            rows.extend(values.iter().map(|value| value / norm));
        }
        rows
    }

    impl Set {
        fn rows(&self) -> Rows<'_> {
            Rows::new(&self.codes, &self.scales, DIM)
        }

        fn graph(&self) -> Graph<'_> {
            Graph::open(bytemuck::cast_slice(&self.bytes)).unwrap()
        }

        /// Share of the true ten that a search finds, over all queries; every hit is checked.
        fn recall(&self, allowed: Allowed<'_>, ef: usize) -> f64 {
            let (mut n_found, mut n_true) = (0, 0);
            for query in &self.queries {
                let mut scores = vec![0.0; N];
                kernels::scan_i8(query, &self.codes, &self.scales, DIM, allowed, &mut scores);
                let found = self.graph().search(query, self.rows(), allowed, ef, 10);
                assert!(found.is_sorted_by(|a, b| kernels::best_first(a, b).is_lt()));
                assert!(
                    found
                        .iter()
                        .all(|(row, score)| allowed.contains(*row) && scores[*row as usize] == *score)
                );
                let expected = top_k(&scores, 10);
                n_true += expected.len();
                n_found += expected.iter().filter(|hit| found.contains(hit)).count();
            }
            if n_true == 0 { 1.0 } else { n_found as f64 / n_true as f64 }
        }
    }

    #[test]
    fn finds_what_the_scan_finds() {
        let recall = SET.recall(Allowed::All, 64);
        assert!(recall >= 0.95, "{recall}");
    }

    #[test]
    fn a_filter_is_kept_and_few_allowed_rows_are_all_found() {
        for (percent, least) in [(80, 0.95), (50, 0.95), (5, 1.0), (1, 1.0), (0, 1.0)] {
            let ids: Vec<u32> =
                (0..N as u32).filter(|row| row.wrapping_mul(2_654_435_761) >> 16 < percent * 655).collect();
            let mut bits = vec![0u64; N.div_ceil(64)];
            ids.iter().for_each(|id| bits[*id as usize / 64] |= 1 << (id % 64));
            // `ef` 10 keeps the walk from giving way to the scan at once.
            for allowed in [Allowed::Ids(&ids), Allowed::Bits(&bits)] {
                let recall = SET.recall(allowed, 10);
                assert!(recall >= least, "{percent} %: {recall}");
            }
        }
        assert_eq!(SET.recall(Allowed::Bits(&[]), 10), 1.0);
    }

    #[test]
    fn a_filter_far_from_the_query_still_finds() {
        for centre in [30, 50] {
            let ids: Vec<u32> = (0..N as u32).filter(|row| (row * 37 % 100).abs_diff(centre) < 28).collect();
            let recall = SET.recall(Allowed::Ids(&ids), 10);
            assert!(recall >= 0.95, "{recall}");
        }
    }

    #[test]
    fn a_search_gives_the_same_twice_and_more_rows_keep_the_order() {
        let graph = SET.graph();
        let search = |k| graph.search(&SET.queries[0], SET.rows(), Allowed::All, 50, k);
        assert_eq!(search(50), search(50));
        assert_eq!(search(50)[..7], search(7));
        assert!(search(0).is_empty());
    }

    #[test]
    fn a_walk_that_spends_its_budget_gives_way_to_the_scan() {
        let found = SET.graph().search(&SET.queries[0], SET.rows(), Allowed::All, N, N);
        assert_eq!(found.len(), SET.scales.iter().filter(|scale| **scale > 0.0).count());
    }

    #[test]
    fn ranks_keep_score_and_row() {
        let scores = [f32::NEG_INFINITY, -1.5, -0.0, 0.0, 1e-9, 0.5, f32::INFINITY];
        let ranks: Vec<u64> = scores.iter().flat_map(|score| [rank(*score, 9), rank(*score, 2)]).collect();
        assert!(ranks.is_sorted());
        for score in scores {
            let rank = rank(score, 77);
            assert_eq!((score_of(rank).to_bits(), row_of(rank)), (score.to_bits(), 77));
        }
    }

    fn small() -> Vec<u8> {
        let layer0 = Layer { nodes: vec![0, 1, 2], links: vec![vec![1], vec![0, 2], vec![1]] };
        encode(&[layer0, Layer { nodes: vec![1], links: vec![vec![]] }], Some(1))
    }

    fn open(bytes: &[u8]) -> Result<usize, GraphError> {
        Graph::open(bytemuck::cast_slice(&words(bytes))).map(|graph| graph.n_rows())
    }

    #[test]
    fn every_changed_byte_is_noticed() {
        let bytes = small();
        assert_eq!(open(&bytes), Ok(3));
        for at in 0..bytes.len() {
            for change in [1, 0x80, 0xFF] {
                let mut bytes = bytes.clone();
                bytes[at] ^= change;
                assert!(open(&bytes).is_err(), "byte {at}");
            }
        }
        let big: &[u8] = bytemuck::cast_slice(&SET.bytes);
        for at in (0..big.len()).step_by(big.len() / 50 + 1) {
            let mut bytes = big.to_vec();
            bytes[at] ^= 1 << (at % 8);
            assert!(open(&bytes).is_err(), "byte {at}");
        }
    }

    #[test]
    fn a_cut_file_is_an_error() {
        let bytes = small();
        for n in 0..bytes.len() {
            let mut room = vec![0u64; bytes.len().div_ceil(8)];
            let room: &mut [u8] = bytemuck::cast_slice_mut(&mut room);
            room[..n].copy_from_slice(&bytes[..n]);
            assert!(Graph::open(&room[..n]).is_err(), "{n} bytes");
        }
        let mut longer = bytes;
        longer.extend([0; 8]);
        assert!(matches!(open(&longer), Err(GraphError::Length { .. })));
    }

    /// Changes bytes and makes the checksum fit again, as a hostile writer would.
    fn forged(at: usize, number: u32) -> Vec<u8> {
        let mut bytes = small();
        bytes[at..at + 4].copy_from_slice(&number.to_le_bytes());
        let sum = checksum(&bytes);
        bytes[CHECKSUM_AT..CHECKSUM_AT + CHECKSUM_BYTES].copy_from_slice(sum.as_bytes());
        bytes
    }

    #[test]
    fn numbers_out_of_range_are_errors_though_the_checksum_fits() {
        assert!(matches!(open(&forged(8, 2)), Err(GraphError::Version { found: 2 })));
        for (at, what) in [(12, "rows"), (16, "layers"), (20, "entry"), (24, "bytes"), (28, "bytes")] {
            for number in [5, 7, u32::MAX, 1 << 31] {
                assert!(open(&forged(at, number)).is_err(), "{what} = {number}");
            }
        }
        // No forged number anywhere may panic, when opened or, unchecked, when searched.
        let codes = [1i8, 2, 3];
        let rows = Rows::new(&codes, &[0.1; 3], 1);
        let query = QuantizedQuery::new(&[1.0]);
        for at in (HEADER_BYTES..small().len()).step_by(4).chain([20]) {
            for number in [0, 1, 2, 3, 7, u32::MAX, 1 << 31] {
                let bytes = words(&forged(at, number));
                let bytes = bytemuck::cast_slice(&bytes);
                let _ = Graph::open(bytes);
                if let Ok(graph) = Graph::parse(bytes) {
                    assert!(graph.search(&query, rows, Allowed::All, 2, 2).len() <= 2);
                }
            }
        }
    }
}
