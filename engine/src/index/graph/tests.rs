use std::sync::LazyLock;

use super::format::*;
use super::walk::{rank, row_of, score_of};
use crate::index::hnsw;
use crate::index::kernels::{self, QuantizedQuery, Rows, quantize, top_k};

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
    fn recall(&self, ef: usize) -> f64 {
        let (mut n_found, mut n_true) = (0, 0);
        for query in &self.queries {
            let mut scores = vec![0.0; N];
            kernels::scan_i8(query, self.rows(), &mut scores);
            let found = self.graph().search(query, self.rows(), ef, 10);
            assert!(found.is_sorted_by(|a, b| kernels::best_first(a, b).is_lt()));
            assert!(found.iter().all(|(row, score)| scores[*row as usize] == *score));
            let expected = top_k(&scores, 10);
            n_true += expected.len();
            n_found += expected.iter().filter(|hit| found.contains(hit)).count();
        }
        n_found as f64 / n_true as f64
    }
}

#[test]
fn finds_what_the_scan_finds() {
    let recall = SET.recall(64);
    assert!(recall >= 0.95, "{recall}");
}

#[test]
fn a_search_gives_the_same_twice_and_more_rows_keep_the_order() {
    let graph = SET.graph();
    let search = |k| graph.search(&SET.queries[0], SET.rows(), 50, k);
    assert_eq!(search(50), search(50));
    assert_eq!(search(50)[..7], search(7));
    assert!(search(0).is_empty());
}

#[test]
fn a_walk_that_spends_its_budget_gives_way_to_the_scan() {
    let found = SET.graph().search(&SET.queries[0], SET.rows(), N, N);
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
                assert!(graph.search(&query, rows, 2, 2).len() <= 2);
            }
        }
    }
}
