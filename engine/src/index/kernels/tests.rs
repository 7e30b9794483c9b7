use super::dot::{Variant, dot_f32_by, dot_i8_by, score_block, score_listed_by};
use super::quantize::sum_i8;
use super::*;

fn variants() -> Vec<Variant> {
    let mut variants = vec![Variant::Portable];
    #[cfg(target_arch = "x86_64")]
    match Variant::detect() {
        Variant::Portable => {}
        Variant::Avx2 => variants.push(Variant::Avx2),
        Variant::Avx512 => variants.extend([Variant::Avx2, Variant::Avx512]),
    }
    variants
}

/// Deterministic numbers in [-1, 1).
fn numbers(n: usize, seed: u64) -> Vec<f32> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 40) as f32 / (1u64 << 23) as f32 - 1.0
    };
    (0..n).map(|_| next()).collect()
}

fn unit_rows(n: usize, dim: usize, seed: u64) -> Vec<f32> {
    let mut rows = numbers(n * dim, seed);
    for row in rows.chunks_mut(dim) {
        let norm = row.iter().map(|value| value * value).sum::<f32>().sqrt();
        row.iter_mut().for_each(|value| *value /= norm);
    }
    rows
}

struct Set {
    dim: usize,
    rows: Vec<f32>,
    codes: Vec<i8>,
    scales: Vec<f32>,
}

fn set(n: usize, dim: usize) -> Set {
    let rows = unit_rows(n, dim, 7);
    let mut codes = vec![0; rows.len()];
    let quantized = rows.chunks(dim).zip(codes.chunks_mut(dim));
    let mut scales: Vec<f32> = quantized.map(|(row, codes)| quantize(row, codes)).collect();
    scales.iter_mut().skip(3).step_by(11).for_each(|scale| *scale = 0.0);
    Set { dim, rows, codes, scales }
}

impl Set {
    fn rows(&self) -> Rows<'_> {
        Rows::new(&self.codes, &self.scales, self.dim)
    }

    fn scan(&self, query: &QuantizedQuery) -> Vec<f32> {
        let mut out = vec![f32::NAN; self.scales.len()];
        scan_i8(query, self.rows(), &mut out);
        out
    }

    fn brute_force(&self, query: &QuantizedQuery) -> Vec<f32> {
        let score = |row: usize| {
            if self.scales[row] == 0.0 {
                return f32::NEG_INFINITY;
            }
            let codes = &self.codes[row * self.dim..(row + 1) * self.dim];
            let products = codes.iter().zip(&query.codes).map(|(a, b)| i32::from(*a) * i32::from(*b));
            products.sum::<i32>() as f32 * (query.scale * self.scales[row])
        };
        (0..self.scales.len()).map(score).collect()
    }
}

#[test]
fn quantising_is_within_half_a_step_and_refuses_what_is_no_vector() {
    let row = numbers(384, 1);
    let mut codes = [0; 384];
    let scale = quantize(&row, &mut codes);
    for (value, code) in row.iter().zip(codes) {
        assert!((value - f32::from(code) * scale).abs() <= scale * 0.5001);
    }
    for bad in [[0.0; 2], [f32::NAN, 1.0], [1.0, f32::INFINITY], [f32::NEG_INFINITY, 0.0], [1e-45, 0.0]] {
        let mut codes = [1; 2];
        assert_eq!((quantize(&bad, &mut codes), codes), (0.0, [0; 2]), "{bad:?}");
    }
}

#[test]
fn every_variant_gives_the_same_integer() {
    for variant in variants() {
        for dim in [0, 1, 15, 16, 31, 32, 33, 63, 64, 65, 127, 384, 385, 768] {
            let codes =
                |seed| numbers(dim, seed).iter().map(|value| (value * 128.0) as i8).collect::<Vec<_>>();
            let (a, b) = (codes(1), codes(2));
            for (a, b) in [(a, b), (vec![-128; dim], vec![-128; dim]), (vec![-128; dim], vec![127; dim])] {
                let naive: i32 = a.iter().zip(&b).map(|(a, b)| i32::from(*a) * i32::from(*b)).sum();
                assert_eq!(dot_i8_by(variant, &a, &b, sum_i8(&b)), naive, "{variant:?} at {dim}");
            }
        }
    }
}

#[test]
fn every_variant_gives_the_same_float_within_1e_6() {
    for variant in variants() {
        for dim in [1, 7, 16, 32, 33, 100, 384, 768] {
            let rows = unit_rows(2, dim, 5);
            let (a, b) = rows.split_at(dim);
            let naive: f64 = a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum();
            assert!((f64::from(dot_f32_by(variant, a, b)) - naive).abs() < 1e-6, "{variant:?} at {dim}");
        }
    }
}

#[test]
fn scan_is_brute_force() {
    for (n, dim) in [(0, 8), (1, 384), (64, 33), (1000, 40), (40_001, 8)] {
        let set = set(n, dim);
        let query = QuantizedQuery::new(&unit_rows(1, dim, 9));
        assert_eq!(set.scan(&query), set.brute_force(&query), "{n} rows");
    }
}

#[test]
fn every_variant_scans_alike() {
    let set = set(100, 70);
    let query = QuantizedQuery::new(&unit_rows(1, 70, 9));
    let ids: Vec<u32> = (0..100).rev().step_by(3).collect();
    let (rows, expected) = (set.rows(), set.brute_force(&query));
    for variant in variants() {
        let (mut all, mut listed) = (vec![0.0; 100], vec![0.0; ids.len()]);
        score_block(variant, &query, rows, &mut all);
        score_listed_by(variant, &query, rows, &ids, &mut listed);
        assert_eq!(all, expected, "{variant:?}");
        assert_eq!(listed, ids.iter().map(|id| expected[*id as usize]).collect::<Vec<_>>(), "{variant:?}");
    }
}

#[test]
fn statistics_are_those_of_the_scores_and_merge_exactly() {
    let scores = numbers(5000, 3);
    let stats = ScanStats::of(&scores);
    let mean = scores.iter().map(|score| f64::from(*score)).sum::<f64>() / 5000.0;
    let variance = scores.iter().map(|score| (f64::from(*score) - mean).powi(2)).sum::<f64>() / 5000.0;
    assert!((stats.mean - mean).abs() < 2e-6 && (stats.std - variance.sqrt()).abs() < 2e-6);
    assert_eq!(stats.max, scores.iter().copied().fold(f32::MIN, f32::max));
    let parts: Vec<ScanStats> = scores.chunks(777).map(ScanStats::of).collect();
    assert_eq!(parts.iter().rev().copied().reduce(ScanStats::merge), Some(stats));
    assert_eq!(ScanStats::of(&[f32::NAN, f32::NEG_INFINITY]).n, 0);
}

#[test]
fn top_k_is_the_head_of_the_sorted_scores() {
    let mut scores: Vec<f32> = numbers(3000, 4).iter().map(|score| (score * 50.0).round()).collect();
    scores[17] = f32::NAN;
    scores[18] = f32::NEG_INFINITY;
    let scored = |row: &(u32, f32)| row.1 > f32::NEG_INFINITY;
    let mut sorted: Vec<(u32, f32)> = (0..).zip(scores.iter().copied()).filter(scored).collect();
    sorted.sort_by(best_first);
    for k in [0, 1, 2, 10, 31, 32, 33, 64, 1000, 2998, 2999, 3000, usize::MAX] {
        assert_eq!(top_k(&scores, k), sorted[..k.min(sorted.len())], "k = {k}");
    }
    assert!(top_k(&[], 5).is_empty());
}

#[test]
fn the_best_are_kept_with_all_that_tie() {
    let scores: Vec<f32> = numbers(500, 4).iter().map(|score| (score * 9.0).round()).collect();
    let mut sorted = scores.clone();
    sorted.sort_by(|a, b| b.total_cmp(a));
    for n in [0, 1, 2, 100, 499, 500, 501] {
        let mut kept: Vec<(usize, f32)> = scores.iter().copied().enumerate().collect();
        keep_best(&mut kept, n);
        let cut = n.checked_sub(1).map_or(f32::INFINITY, |last| sorted[last.min(499)]);
        kept.sort_by_key(|(idx, _)| *idx);
        let expected = scores.iter().copied().enumerate().filter(|(_, score)| *score >= cut);
        assert_eq!(kept, expected.collect::<Vec<_>>(), "{n}");
    }
}

#[test]
fn rescoring_the_best_thirty_finds_the_exact_ten() {
    let set = set(3000, 384);
    for seed in 0..20 {
        let query = unit_rows(1, 384, 100 + seed);
        let scores = set.scan(&QuantizedQuery::new(&query));
        let exact = |row: usize| dot_f32(&query, &set.rows[row * 384..(row + 1) * 384]);
        let best = top_k(&scores, 30);
        let mut found: Vec<(u32, f32)> = best.iter().map(|(row, _)| (*row, exact(*row as usize))).collect();
        found.sort_by(best_first);
        let has = |row: &usize| set.scales[*row] > 0.0;
        let mut expected: Vec<(u32, f32)> =
            (0..3000).filter(has).map(|row| (row as u32, exact(row))).collect();
        expected.sort_by(best_first);
        assert_eq!(found[..10], expected[..10]);
        assert!(found.iter().all(|(row, score)| (scores[*row as usize] - score).abs() < 0.01));
    }
}
