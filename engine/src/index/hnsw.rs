//! Builds the graph of a segment: hnsw_rs links a first part of the rows and makes the upper layers, the others are
//! inserted into the flat form of layer 0, which `graph` writes down and serves.
//!
//! Takes 8-bit rows, gives bytes for `graph::Graph::open`. The one file that names hnsw_rs.
//!
//! The same rows give the same bytes, on any number of threads and on every machine: hnsw_rs inserts one row after the
//! other with its fixed seed, batches are fixed, and distances are computed from the codes' exact integers. Rows without
//! a vector are left out, and a distance is never NaN nor negative, so none of hnsw_rs's panics and exits is reached.
//!
//! Why not hnsw_rs alone: its parallel insertion isn't repeatable, and inserting one after the other it took 8.5 s of
//! processor time for 10,000 rows of 384 numbers (about 100 s expected for 100,000), nearly all of it in maps and
//! counters of its own rather than in distances. This way 20,000 rows took 5.1 s and 100,000 took 29 s, shared between
//! the threads, with the same recall (two shared Zen 4 cores, MiniLM-L6 embeddings).
//!
//! Source: Malkov, Yashunin 2016 (arXiv:1603.09320). We differ from it: rows inserted later are on layer 0 only.

use std::collections::VecDeque;

use hnsw_rs::prelude::{Distance, Hnsw};
use rayon::prelude::*;

use super::graph::{self, Graph, Growing, Layer};
use super::kernels::{self, PairScorer, QuantizedQuery, Rows};

/// Links of a node on an upper layer, twice as many on layer 0. The paper finds 12 to 48 useful for many dimensions.
pub const M: usize = 16;

/// Candidates that are kept while a row is inserted.
pub const EF_CONSTRUCTION: usize = 200;

/// Rows that hnsw_rs inserts. They carry all upper layers.
const FIRST_ROWS: usize = 2_048;

/// Rows that are inserted at a time afterwards.
const BATCH_ROWS: usize = 512;

/// Links that a row has room for on layer 0.
const SLOT: usize = 2 * M;

/// Layers at most; hnsw_rs's own limit.
const MAX_LAYERS: usize = 16;

/// Links on layer 0 beyond which an unreachable row is hung on the row that was hung there before.
const MAX_DEGREE: usize = 4 * M;

/// The graph over all rows that have a vector, in the flat form of `graph`.
pub fn build(rows: Rows<'_>) -> Vec<u8> {
    let (layers, entry) = link(rows);
    graph::encode(&layers, entry)
}

/// The layers, lowest first, and the entry point, from which every row with a vector can be reached on layer 0.
fn link(rows: Rows<'_>) -> (Vec<Layer>, Option<u32>) {
    let pairs = PairScorer::new(rows);
    let (first, rest) = split(rows);
    let (mut layers, entry) = read_out(&insert(&pairs, &first), rows);
    if let Some(entry) = entry {
        if !rest.is_empty() {
            layers[0].links = grow(&layers, entry, &rest, rows, &pairs);
        }
        link_unreachable(&mut layers[0].links, entry, rows);
    }
    (layers, entry)
}

/// The rows that hnsw_rs inserts, spread evenly over all, and the others; both ascending, both with a vector.
fn split(rows: Rows<'_>) -> (Vec<u32>, Vec<u32>) {
    let all: Vec<u32> = (0..rows.len() as u32).filter(|row| rows.has(*row)).collect();
    let n = all.len();
    let is_first = |idx: usize| n <= FIRST_ROWS || idx * FIRST_ROWS / n != (idx + 1) * FIRST_ROWS / n;
    let (first, rest): (Vec<_>, Vec<_>) = all.into_iter().enumerate().partition(|(idx, _)| is_first(*idx));
    let rows_of = |part: Vec<(usize, u32)>| part.into_iter().map(|(_, row)| row).collect();
    (rows_of(first), rows_of(rest))
}

/// `1 - cosine` of two rows that are named by number.
struct RowDistance<'a> {
    pairs: &'a PairScorer<'a>,
}

impl Distance<u32> for RowDistance<'_> {
    fn eval(&self, a: &[u32], b: &[u32]) -> f32 {
        // `max` gives 0 for NaN too.
        (1.0 - self.pairs.score(a[0], b[0])).max(0.0)
    }
}

fn insert<'a>(pairs: &'a PairScorer<'a>, first: &[u32]) -> Hnsw<'a, u32, RowDistance<'a>> {
    let hnsw = Hnsw::new(M, first.len(), MAX_LAYERS, EF_CONSTRUCTION, RowDistance { pairs });
    for row in first {
        hnsw.insert_slice((&[*row], *row as usize));
    }
    hnsw
}

/// The layers, lowest first, and the entry point.
fn read_out(hnsw: &Hnsw<'_, u32, RowDistance<'_>>, rows: Rows<'_>) -> (Vec<Layer>, Option<u32>) {
    let points = hnsw.get_point_indexation();
    let top = usize::from(points.get_max_level_observed());
    let mut layers = vec![Layer::default(); top + 1];
    layers[0].nodes = (0..rows.len() as u32).collect();
    layers[0].links = vec![Vec::new(); rows.len()];
    let mut entry = None;
    for level in 0..=top {
        for point in points.get_layer_iterator(level) {
            let row = point.get_origin_id() as u32;
            if level == top {
                entry = entry.or(Some(row));
            }
            // A point also notes neighbours on layers above its own, where it isn't found: they are left out.
            for (layer_idx, near) in point.get_neighborhood_id().into_iter().take(level + 1).enumerate() {
                let mut links: Vec<u32> =
                    near.iter().map(|near| near.d_id as u32).filter(|near| *near != row).collect();
                dedup(&mut links);
                if layer_idx == 0 {
                    layers[0].links[row as usize] = links;
                } else {
                    layers[layer_idx].nodes.push(row);
                    layers[layer_idx].links.push(links);
                }
            }
        }
    }
    layers[1..].iter_mut().for_each(sort);
    (layers, entry)
}

/// Keeps the first of equal rows.
fn dedup(links: &mut Vec<u32>) {
    let mut kept = Vec::with_capacity(links.len());
    links.retain(|link| {
        let is_new = !kept.contains(link);
        kept.push(*link);
        is_new
    });
}

/// Brings a layer's nodes into ascending order.
fn sort(layer: &mut Layer) {
    let links = std::mem::take(&mut layer.links);
    let mut nodes: Vec<(u32, Vec<u32>)> = layer.nodes.drain(..).zip(links).collect();
    nodes.sort_unstable_by_key(|(node, _)| *node);
    (layer.nodes, layer.links) = nodes.into_iter().unzip();
}

/// Inserts the remaining rows into layer 0, gives all its links.
fn grow(layers: &[Layer], entry: u32, rest: &[u32], rows: Rows<'_>, pairs: &PairScorer<'_>) -> Vec<Vec<u32>> {
    let upper = aligned(&graph::encode(layers, Some(entry)));
    let upper = Graph::parse(bytemuck::cast_slice(&upper)).expect("the graph was encoded a line above");
    let mut growth = Growth::new(&layers[0].links, rows, pairs);
    for batch in rest.chunks(BATCH_ROWS) {
        growth.insert(&upper, batch);
    }
    growth.into_links()
}

/// The same bytes at an address that numbers can be read from; their length is a multiple of 8.
fn aligned(bytes: &[u8]) -> Vec<u64> {
    let (words, _) = bytes.as_chunks::<8>();
    words.iter().map(|word| u64::from_ne_bytes(*word)).collect()
}

/// Layer 0 while rows are inserted by batches. A batch searches the graph as it was before, on all threads, and is then
/// linked; a row sees the earlier rows of its own batch by comparing with each. So threads don't change the result.
struct Growth<'a> {
    rows: Rows<'a>,
    pairs: &'a PairScorer<'a>,
    /// Little-endian, as [`Growing`] wants them.
    links: Vec<u32>,
    n_links: Vec<u8>,
}

impl<'a> Growth<'a> {
    fn new(first: &[Vec<u32>], rows: Rows<'a>, pairs: &'a PairScorer<'a>) -> Self {
        let (links, n_links) = (vec![0; first.len() * SLOT], vec![0; first.len()]);
        let mut growth = Self { rows, pairs, links, n_links };
        first
            .iter()
            .enumerate()
            .for_each(|(row, links)| growth.set(row as u32, &links[..links.len().min(SLOT)]));
        growth
    }

    fn links(&self, row: u32) -> impl Iterator<Item = u32> + '_ {
        let start = row as usize * SLOT;
        let links = &self.links[start..start + usize::from(self.n_links[row as usize])];
        links.iter().map(|link| u32::from_le(*link))
    }

    fn set(&mut self, row: u32, links: &[u32]) {
        let start = row as usize * SLOT;
        for (slot, link) in self.links[start..start + SLOT].iter_mut().zip(links) {
            *slot = link.to_le();
        }
        self.n_links[row as usize] = links.len() as u8;
    }

    fn into_links(self) -> Vec<Vec<u32>> {
        (0..self.n_links.len() as u32).map(|row| self.links(row).collect()).collect()
    }

    fn insert(&mut self, upper: &Graph<'_>, batch: &[u32]) {
        let chosen: Vec<Vec<u32>> = (0..batch.len())
            .into_par_iter()
            .map(|idx| self.choose(upper, batch[idx], &batch[..idx]))
            .collect();
        let mut back: Vec<(u32, u32)> = Vec::new();
        for (row, links) in batch.iter().zip(&chosen) {
            self.set(*row, links);
            back.extend(links.iter().map(|link| (*link, *row)));
        }
        back.sort_unstable();
        let groups: Vec<&[(u32, u32)]> = back.chunk_by(|a, b| a.0 == b.0).collect();
        let changed: Vec<Vec<u32>> = groups.par_iter().map(|group| self.with_back_links(group)).collect();
        groups.iter().zip(&changed).for_each(|(group, links)| self.set(group[0].0, links));
    }

    /// The links of a new row.
    fn choose(&self, upper: &Graph<'_>, row: u32, earlier: &[u32]) -> Vec<u32> {
        let query = QuantizedQuery::from_codes(
            self.rows.codes_of(row as usize).to_vec(),
            self.rows.scales()[row as usize],
        );
        let base = Growing { links: &self.links, n_links: &self.n_links, slot: SLOT };
        let mut near = upper.search_growing(base, &query, self.rows, EF_CONSTRUCTION);
        let mut scores = vec![0.0; earlier.len()];
        kernels::score_listed(&query, self.rows, earlier, &mut scores);
        near.extend(earlier.iter().copied().zip(scores));
        near.sort_unstable_by(kernels::best_first);
        near.truncate(EF_CONSTRUCTION);
        self.diverse(&near)
    }

    /// The links of a row that was chosen by new rows, pairs `(row, new row)`.
    fn with_back_links(&self, group: &[(u32, u32)]) -> Vec<u32> {
        let row = group[0].0;
        let mut links: Vec<u32> = self.links(row).collect();
        for (_, new) in group {
            if !links.contains(new) {
                links.push(*new);
            }
        }
        if links.len() <= SLOT {
            return links;
        }
        let mut near: Vec<(u32, f32)> =
            links.iter().map(|link| (*link, self.pairs.score(row, *link))).collect();
        near.sort_unstable_by(kernels::best_first);
        self.diverse(&near)
    }

    /// Of rows with their scores, best first, those that are nearer to the centre than to any one kept before: at most
    /// a slot's number (the paper's algorithm 4 without extension).
    fn diverse(&self, near: &[(u32, f32)]) -> Vec<u32> {
        let mut kept: Vec<u32> = Vec::with_capacity(SLOT);
        for (row, score) in near {
            if kept.len() == SLOT {
                break;
            }
            if kept.iter().all(|other| self.pairs.score(*row, *other) < *score) {
                kept.push(*row);
            }
        }
        kept
    }
}

/// Adds a link to every row that can't be reached from the entry point on layer 0, from the nearest that can.
fn link_unreachable(links: &mut [Vec<u32>], entry: u32, rows: Rows<'_>) {
    let mut reached = Reached { is_reached: vec![false; links.len()], queue: VecDeque::new() };
    reached.spread(entry, links);
    let mut last_hung: Vec<Option<u32>> = vec![None; links.len()];
    for row in (0..links.len() as u32).filter(|row| rows.has(*row)) {
        if reached.is_reached[row as usize] {
            continue;
        }
        let own = links[row as usize].iter().copied().find(|near| reached.is_reached[*near as usize]);
        let near = own.unwrap_or_else(|| nearest(row, &reached.is_reached, rows).unwrap_or(entry));
        let is_full = links[near as usize].len() >= MAX_DEGREE;
        let from = last_hung[near as usize].filter(|_| is_full).unwrap_or(near);
        last_hung[near as usize] = Some(row);
        links[from as usize].push(row);
        reached.spread(row, links);
    }
}

/// Rows that can be reached.
struct Reached {
    is_reached: Vec<bool>,
    queue: VecDeque<u32>,
}

impl Reached {
    /// Marks a row and all that can be reached from it.
    fn spread(&mut self, row: u32, links: &[Vec<u32>]) {
        self.is_reached[row as usize] = true;
        self.queue.push_back(row);
        while let Some(row) = self.queue.pop_front() {
            for near in &links[row as usize] {
                if !std::mem::replace(&mut self.is_reached[*near as usize], true) {
                    self.queue.push_back(*near);
                }
            }
        }
    }
}

/// The reached row that is nearest to a row.
fn nearest(row: u32, is_reached: &[bool], rows: Rows<'_>) -> Option<u32> {
    let ids: Vec<u32> =
        (0..).zip(is_reached).filter(|(_, is_reached)| **is_reached).map(|(id, _)| id).collect();
    let query = QuantizedQuery::from_codes(rows.codes_of(row as usize).to_vec(), rows.scales()[row as usize]);
    let mut scores = vec![0.0; ids.len()];
    kernels::score_listed(&query, rows, &ids, &mut scores);
    kernels::top_k(&scores, 1).first().map(|(at, _)| ids[*at as usize])
}

#[cfg(test)]
mod tests {
    use super::super::kernels::quantize;
    use super::*;

    const DIM: usize = 16;

    struct Set {
        codes: Vec<i8>,
        scales: Vec<f32>,
    }

    fn set(rows: impl Iterator<Item = [f32; DIM]>) -> Set {
        let (mut codes, mut scales) = (Vec::new(), Vec::new());
        for row in rows {
            let norm = row.iter().map(|value| value * value).sum::<f32>().sqrt();
            let start = codes.len();
            codes.resize(start + DIM, 0);
            scales.push(quantize(&row.map(|value| value / norm), &mut codes[start..]));
        }
        Set { codes, scales }
    }

    fn random(n: usize) -> Set {
        let mut state = 1u64;
        let mut next = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 40) as f32 / (1u64 << 23) as f32 - 1.0
        };
        set((0..n).map(|_| std::array::from_fn(|_| next())))
    }

    impl Set {
        fn rows(&self) -> Rows<'_> {
            Rows::new(&self.codes, &self.scales, DIM)
        }

        /// Builds, opens and searches with every row in turn: each must find itself or its equal.
        fn check(&self, step: usize) {
            let bytes = aligned(&build(self.rows()));
            let graph = Graph::open(bytemuck::cast_slice(&bytes)).unwrap();
            assert_eq!(graph.n_rows(), self.scales.len());
            for row in (0..self.scales.len()).step_by(step) {
                let codes = self.rows().codes_of(row).to_vec();
                let query = QuantizedQuery::from_codes(codes.clone(), self.scales[row]);
                let found = graph.search(&query, self.rows(), 32, 3);
                assert_eq!(found.len(), 3.min(self.scales.iter().filter(|scale| **scale > 0.0).count()));
                if self.scales[row] > 0.0 {
                    assert_eq!(self.rows().codes_of(found[0].0 as usize), codes, "row {row}");
                }
            }
        }
    }

    #[test]
    fn small_and_odd_sets_have_graphs() {
        random(0).check(1);
        random(1).check(1);
        random(2).check(1);
        set(std::iter::repeat_n([0.0; DIM], 70)).check(1);
        set(std::iter::repeat_n([f32::NAN; DIM], 3)).check(1);
        let mut gaps = random(300);
        gaps.scales.iter_mut().skip(1).step_by(3).for_each(|scale| *scale = 0.0);
        gaps.check(1);
    }

    #[test]
    fn equal_rows_are_all_reached() {
        let n = FIRST_ROWS + 600;
        let equal = set(std::iter::repeat_n([1.0; DIM], n));
        assert_reached(&link(equal.rows()), n);
    }

    fn assert_reached((layers, entry): &(Vec<Layer>, Option<u32>), n: usize) {
        let links = &layers[0].links;
        let mut reached = Reached { is_reached: vec![false; n], queue: VecDeque::new() };
        reached.spread(entry.unwrap(), links);
        assert!(reached.is_reached.iter().all(|is_reached| *is_reached));
        assert!(links.iter().all(|links| links.len() <= MAX_DEGREE + 1));
    }

    #[test]
    fn the_same_rows_give_the_same_bytes_on_any_number_of_threads() {
        let set = random(FIRST_ROWS + 700);
        let pool = |n| rayon::ThreadPoolBuilder::new().num_threads(n).build().unwrap();
        let build = |n| pool(n).install(|| build(set.rows()));
        assert!(build(1) == build(3));
    }

    #[test]
    fn rows_are_split_evenly_and_none_is_lost() {
        let mut set = random(3 * FIRST_ROWS);
        set.scales[5] = 0.0;
        let (first, rest) = split(set.rows());
        assert_eq!(first.len(), FIRST_ROWS);
        let mut all = [first.clone(), rest].concat();
        all.sort_unstable();
        assert!(all.into_iter().eq((0..set.scales.len() as u32).filter(|row| *row != 5)));
        assert!(first.windows(2).all(|pair| (1..=5).contains(&(pair[1] - pair[0]))));
    }

    #[test]
    fn rows_that_nothing_links_are_linked() {
        let set = random(200);
        let mut links: Vec<Vec<u32>> = vec![Vec::new(); 200];
        links[7] = vec![3];
        link_unreachable(&mut links, 0, set.rows());
        let layer = Layer { nodes: (0..200).collect(), links };
        assert_reached(&(vec![layer], Some(0)), 200);
    }
}
