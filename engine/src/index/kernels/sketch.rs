//! Sketches: one bit a number, by which most rows are passed over before their 8-bit codes are read.
//!
//! A row's sketch has the signs of its numbers: bit `i`, little end first, is set where number `i` is not negative; bits
//! beyond the last number are 0. It depends on that row alone. A query keeps 4 bits a number, as four planes of one bit
//! each. The distance `Σ 2^plane · ones(sketch ^ plane)` falls as `Σ sign · number` of the query rises, which follows
//! the cosine: among 100,000 embeddings of 384 numbers (MiniLM-L6, half of them mixtures of two) the 1,000 nearest by it
//! hold all of the true ten and 98.7 % of the true 200; with one bit a number in the query too, 93.3 % of them.
//!
//! Source: the one-sided estimate of RaBitQ (Gao, Long 2024, arXiv:2405.12497) without its rotation and its factor for
//! each row, which changed nothing on these embeddings (98.8 %).
//!
//! Every variant gives the same whole number.

#![allow(unsafe_code, reason = "vector instructions; each use carries its proof")]

/// Bits of a query's number.
const PLANES: usize = 4;

/// Largest level of a query's number.
const LEVEL_MAX: f32 = ((1 << PLANES) - 1) as f32;

/// Words of the widest register; a plane is padded to a multiple.
const LANES: usize = 8;

/// Words of a sketch of `dim` numbers.
pub fn sketch_words(dim: usize) -> usize {
    dim.div_ceil(64)
}

/// Writes a row's sketch. `row: [dim] f32`, `out: [sketch_words(dim)]`.
pub fn sketch(row: &[f32], out: &mut [u64]) {
    for (word, numbers) in out.iter_mut().zip(row.chunks(64)) {
        *word = numbers.iter().rev().fold(0, |word, number| word << 1 | u64::from(*number >= 0.0));
    }
}

/// The sketches of a segment's rows.
#[derive(Debug, Clone, Copy)]
pub struct Sketches<'a> {
    words: &'a [u64],
    n_words: usize,
}

impl<'a> Sketches<'a> {
    /// `words: [n, sketch_words(dim)]`.
    pub fn new(words: &'a [u64], dim: usize) -> Self {
        Self { words, n_words: sketch_words(dim) }
    }

    #[inline(always)]
    fn of(&self, row: u32) -> &'a [u64] {
        let start = row as usize * self.n_words;
        &self.words[start..start + self.n_words]
    }
}

/// A query's four planes.
#[derive(Debug, Clone)]
pub struct QuerySketch {
    /// `[padded words, PLANES]`.
    planes: Vec<[u64; PLANES]>,
    /// `[padded words / LANES, PLANES, LANES]`: the same, as registers hold them.
    lanes: Vec<[[u64; LANES]; PLANES]>,
    n_words: usize,
}

impl QuerySketch {
    /// Of `query: [dim] f32`. Levels lie evenly between minus and plus the largest absolute value.
    pub fn new(query: &[f32]) -> Self {
        let largest = query.iter().fold(0.0, |largest: f32, value| largest.max(value.abs()));
        let n_words = sketch_words(query.len());
        let mut planes = vec![[0; PLANES]; n_words.next_multiple_of(LANES)];
        for (number_idx, value) in query.iter().enumerate() {
            // A query without direction has NaN here, and 0 as every level.
            let level = ((value / largest + 1.0) * (LEVEL_MAX / 2.0)).round().clamp(0.0, LEVEL_MAX) as u64;
            for (plane, word) in planes[number_idx / 64].iter_mut().enumerate() {
                *word |= (level >> plane & 1) << (number_idx % 64);
            }
        }
        let lanes = planes.as_chunks::<LANES>().0.iter();
        let lanes = lanes.map(|words| std::array::from_fn(|plane| words.map(|word| word[plane]))).collect();
        Self { planes, lanes, n_words }
    }

    /// No distance is larger.
    pub fn max_distance(&self) -> usize {
        self.n_words * 64 * ((1 << PLANES) - 1)
    }
}

/// Distances of some rows to a query: `out[i]` belongs to `ids[i]`.
///
/// # Panics
/// Where the lengths don't fit each other, or an id is no row.
pub fn distances(query: &QuerySketch, sketches: Sketches<'_>, ids: &[u32], out: &mut [u32]) {
    distances_by(Variant::detect(), query, sketches, ids, out);
}

fn distances_by(variant: Variant, query: &QuerySketch, sketches: Sketches<'_>, ids: &[u32], out: &mut [u32]) {
    assert_eq!(query.n_words, sketches.n_words, "the query has the rows' dimension");
    assert_eq!(ids.len(), out.len(), "one distance an id");
    match variant {
        Variant::Portable => each(query, sketches, ids, out),
        #[cfg(target_arch = "x86_64")]
        // SAFETY: `detect` gives this variant only where the processor counts bits.
        Variant::Popcnt => unsafe { x86::each_popcnt(query, sketches, ids, out) },
        #[cfg(target_arch = "x86_64")]
        // SAFETY: `detect` gives this variant only where the processor has AVX-512 F and VPOPCNTDQ.
        Variant::Avx512 => unsafe { x86::each_avx512(query, sketches, ids, out) },
    }
}

/// Word by word. Inlined into each variant, so that bits are counted with its instructions.
#[inline(always)]
fn each(query: &QuerySketch, sketches: Sketches<'_>, ids: &[u32], out: &mut [u32]) {
    for (out, id) in out.iter_mut().zip(ids) {
        let mut sums = [0u32; PLANES];
        for (word, planes) in sketches.of(*id).iter().zip(&query.planes) {
            for (sum, plane) in sums.iter_mut().zip(planes) {
                *sum += (word ^ plane).count_ones();
            }
        }
        *out = sums.iter().rev().fold(0, |total, sum| total * 2 + sum);
    }
}

/// Which instructions are used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Variant {
    Portable,
    #[cfg(target_arch = "x86_64")]
    Popcnt,
    #[cfg(target_arch = "x86_64")]
    Avx512,
}

impl Variant {
    /// The widest that this processor has; the standard library caches the answer.
    fn detect() -> Self {
        #[cfg(target_arch = "x86_64")]
        {
            use std::arch::is_x86_feature_detected as has;
            if has!("avx512f") && has!("avx512vpopcntdq") {
                return Self::Avx512;
            }
            if has!("popcnt") {
                return Self::Popcnt;
            }
        }
        Self::Portable
    }
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::x86_64::*;

    use super::{LANES, QuerySketch, Sketches, each};

    #[target_feature(enable = "popcnt")]
    pub fn each_popcnt(query: &QuerySketch, sketches: Sketches<'_>, ids: &[u32], out: &mut [u32]) {
        each(query, sketches, ids, out);
    }

    #[target_feature(enable = "avx512f,avx512vpopcntdq")]
    pub fn each_avx512(query: &QuerySketch, sketches: Sketches<'_>, ids: &[u32], out: &mut [u32]) {
        for (out, id) in out.iter_mut().zip(ids) {
            let mut total = _mm512_setzero_si512();
            for (words, planes) in sketches.of(*id).chunks(LANES).zip(&query.lanes) {
                let mask = ((1u16 << words.len()) - 1) as __mmask8;
                // SAFETY: only the words of the slice that the mask names are read; a plane is a whole register long.
                let (words, planes) = unsafe {
                    let words = _mm512_maskz_loadu_epi64(mask, words.as_ptr().cast());
                    (words, planes.each_ref().map(|plane| _mm512_loadu_epi64(plane.as_ptr().cast())))
                };
                let [one, two, four, eight] =
                    planes.map(|plane| _mm512_popcnt_epi64(_mm512_xor_si512(words, plane)));
                let upper = _mm512_add_epi64(four, _mm512_slli_epi64::<1>(eight));
                let lower = _mm512_add_epi64(one, _mm512_slli_epi64::<1>(two));
                total = _mm512_add_epi64(total, _mm512_add_epi64(lower, _mm512_slli_epi64::<2>(upper)));
            }
            *out = _mm512_reduce_add_epi64(total) as u32;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn variants() -> Vec<Variant> {
        let mut variants = vec![Variant::Portable];
        #[cfg(target_arch = "x86_64")]
        {
            if std::arch::is_x86_feature_detected!("popcnt") {
                variants.push(Variant::Popcnt);
            }
            if Variant::detect() == Variant::Avx512 {
                variants.push(Variant::Avx512);
            }
        }
        variants
    }

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

    fn sketches_of(rows: &[f32], dim: usize) -> Vec<u64> {
        let mut words = vec![0; rows.len() / dim * sketch_words(dim)];
        let sketches = words.chunks_mut(sketch_words(dim));
        rows.chunks(dim).zip(sketches).for_each(|(row, out)| sketch(row, out));
        words
    }

    #[test]
    fn a_distance_is_what_its_definition_says_in_every_variant() {
        for dim in [1, 63, 64, 65, 384, 512, 513, 768, 1024, 1100] {
            let (rows, query) = (numbers(20 * dim, 3), numbers(dim, 4));
            let words = sketches_of(&rows, dim);
            let largest = query.iter().fold(0.0, |largest: f32, value| largest.max(value.abs()));
            // Level and sign count 15 - level for a set bit, level for an unset one.
            let cost = |(number, value): (&f32, &f32)| {
                let level = ((value / largest + 1.0) * 7.5).round() as u32;
                if *number >= 0.0 { 15 - level } else { level }
            };
            let expected: Vec<u32> =
                rows.chunks(dim).map(|row| row.iter().zip(&query).map(cost).sum()).collect();
            let query = QuerySketch::new(&query);
            let ids: Vec<u32> = (0..20).rev().collect();
            for variant in variants() {
                let mut out = vec![0; 20];
                distances_by(variant, &query, Sketches::new(&words, dim), &ids, &mut out);
                out.reverse();
                assert_eq!(out, expected, "{variant:?} at {dim}");
                assert!(out.iter().all(|distance| *distance as usize <= query.max_distance()));
            }
        }
    }

    #[test]
    fn no_numbers_and_no_direction_have_distances_too() {
        for query in [vec![], vec![0.0; 70], vec![f32::NAN; 70], vec![f32::INFINITY; 70]] {
            let words = vec![u64::MAX; sketch_words(query.len())];
            let mut out = [0];
            let sketches = Sketches::new(&words, query.len());
            distances(&QuerySketch::new(&query), sketches, &[0], &mut out);
            assert!(out[0] as usize <= QuerySketch::new(&query).max_distance());
        }
    }
}
