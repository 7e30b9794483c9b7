//! Arithmetic on vectors: 8-bit quantisation, dot products, and the scan over the rows of a segment.
//!
//! Takes rows `codes: [n, dim] i8` with `scales: [n] f32` (`row ≈ codes × scale`; scale 0: the row has no vector) and
//! gives cosines, for all rows or for the allowed ones, with their mean and deviation in the same pass.
//!
//! Nouns: [`QuantizedQuery`], [`Allowed`], [`ScanStats`].
//!
//! Every variant (portable, AVX2, AVX-512 VNNI) gives the same integer for the same codes, so 8-bit scores are equal on
//! every machine. `f32` dot products are summed in another order by each variant: equal on one machine, within `1e-6`
//! for unit vectors between machines.
//!
//! It knows no file and no graph, and allocates only what it returns.

#![allow(unsafe_code, reason = "vector instructions and prefetching; each use carries its proof")]

use rayon::prelude::*;

/// Largest code in absolute value. -128 is left out so that negation stays in range.
const CODE_MAX: f32 = 127.0;

/// From this many rows to score, a scan is split between threads; below, waking them costs as much as they save.
pub const PARALLEL_MIN_ROWS: usize = 30_000;

/// Rows of one parallel task. A multiple of 64, so that no word of a bitset is shared by two tasks.
const TASK_ROWS: usize = 8_192;

/// Rows of one word of a bitset.
const WORD_ROWS: usize = 64;

/// From this many allowed rows in a word on, the whole word is scored and the others are struck out: reading on without
/// gaps is as quick as leaving every second row out.
const DENSE_ROWS: u32 = 28;

/// Listed rows are fetched into the cache this many rows ahead of their use.
const PREFETCH_AHEAD: usize = 4;

/// Scores are summed in whole steps of 2^-20, so that neither order nor threads nor segments change a sum.
const STEPS: f32 = (1 << 20) as f32;

/// Scores count up to this size in a sum; cosines are at most 1.
const SUM_CLAMP: f32 = 1024.0;

/// Writes a row's 8-bit codes, gives their scale: `row[i] ≈ out[i] as f32 * scale`, `out[i]` in [-127, 127].
///
/// Symmetric, one scale a row: the largest absolute value becomes 127. The scale is 0 where the row is all zero or has
/// a number that is not finite; then all codes are 0 too.
///
/// # Panics
/// Where the two lengths differ.
pub fn quantize(row: &[f32], out: &mut [i8]) -> f32 {
    assert_eq!(row.len(), out.len(), "a row and its codes have the same length");
    let largest = row.iter().fold(0.0, |largest: f32, value| largest.max(value.abs()));
    let scale = largest / CODE_MAX;
    if !scale.is_normal() || row.iter().any(|value| !value.is_finite()) {
        out.fill(0);
        return 0.0;
    }
    for (code, value) in out.iter_mut().zip(row) {
        *code = (value / scale).round().clamp(-CODE_MAX, CODE_MAX) as i8;
    }
    scale
}

/// A query's 8-bit codes, their scale and their sum.
#[derive(Debug, Clone)]
pub struct QuantizedQuery {
    codes: Vec<i8>,
    scale: f32,
    sum: i32,
}

impl QuantizedQuery {
    /// Of `query: [dim] f32`. One that is zero or not finite scores 0 with every row.
    pub fn new(query: &[f32]) -> Self {
        let mut codes = vec![0; query.len()];
        let scale = quantize(query, &mut codes);
        Self::from_codes(codes, scale)
    }

    /// Of codes that exist already, such as those of a stored row.
    pub fn from_codes(codes: Vec<i8>, scale: f32) -> Self {
        let sum = sum_i8(&codes);
        Self { codes, scale, sum }
    }

    /// Numbers in the query.
    pub fn dim(&self) -> usize {
        self.codes.len()
    }
}

/// The rows that a caller may see.
#[derive(Debug, Clone, Copy)]
pub enum Allowed<'a> {
    /// All of them.
    All,
    /// One bit a row, little end first; rows beyond the last word are not allowed.
    Bits(&'a [u64]),
    /// Row numbers, ascending and distinct; those beyond the last row are ignored.
    Ids(&'a [u32]),
}

impl Allowed<'_> {
    /// Whether a row is allowed.
    #[cfg(test)]
    pub fn contains(&self, row: u32) -> bool {
        match self {
            Self::All => true,
            Self::Bits(words) => {
                words.get(row as usize / WORD_ROWS).is_some_and(|word| word >> (row % 64) & 1 == 1)
            }
            Self::Ids(ids) => ids.binary_search(&row).is_ok(),
        }
    }

    /// How many of the rows `0..n_rows` are allowed.
    pub fn count(&self, n_rows: usize) -> usize {
        match self {
            Self::All => n_rows,
            Self::Bits(words) => {
                let n_words = n_rows.div_ceil(WORD_ROWS).min(words.len());
                let ones = |word_idx: usize| {
                    (words[word_idx] & rows_of_word(word_idx, n_rows)).count_ones() as usize
                };
                (0..n_words).map(ones).sum()
            }
            Self::Ids(ids) => ids.partition_point(|id| (*id as usize) < n_rows),
        }
    }
}

/// The bits of a word that stand for rows below `n_rows`.
fn rows_of_word(word_idx: usize, n_rows: usize) -> u64 {
    match n_rows.saturating_sub(word_idx * WORD_ROWS) {
        0 => 0,
        n @ 1..64 => (1 << n) - 1,
        _ => u64::MAX,
    }
}

/// How the scores of the scanned rows are distributed. Rows that are not allowed or have no vector don't count.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ScanStats {
    /// Rows scored.
    pub n: u64,
    /// Their mean, 0 without rows.
    pub mean: f64,
    /// Their standard deviation (population), 0 without rows.
    pub std: f64,
    /// Their largest, `NEG_INFINITY` without rows.
    pub max: f32,
    sums: Sums,
}

impl ScanStats {
    /// Of these scores; `NEG_INFINITY` and NaN stand for rows without one.
    pub fn of(scores: &[f32]) -> Self {
        let mut sums = Sums::default();
        scores.iter().for_each(|score| sums.add(*score));
        sums.finish()
    }

    /// As if each score stood there so many times: what a sample says of all.
    pub fn repeated(self, times: u64) -> Self {
        let sums = self.sums;
        let times_signed = i64::try_from(times).unwrap_or(i64::MAX);
        let repeated = Sums {
            n: sums.n.saturating_mul(times),
            sum: sums.sum.saturating_mul(times_signed),
            squares: sums.squares.saturating_mul(u128::from(times)),
            max: sums.max,
        };
        repeated.finish()
    }

    /// Of both sets of rows, such as two segments; exact, in whatever order sets are merged.
    pub fn merge(self, other: Self) -> Self {
        self.sums.merge(other.sums).finish()
    }
}

/// Whole-number sums of scores.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Sums {
    n: u64,
    sum: i64,
    squares: u128,
    max: f32,
}

impl Default for Sums {
    fn default() -> Self {
        Self { n: 0, sum: 0, squares: 0, max: f32::NEG_INFINITY }
    }
}

impl Sums {
    #[inline(always)]
    fn add(&mut self, score: f32) {
        if score > f32::NEG_INFINITY {
            let step = (score.clamp(-SUM_CLAMP, SUM_CLAMP) * STEPS) as i64;
            self.n += 1;
            self.sum += step;
            self.squares += u128::from((step * step).unsigned_abs());
            self.max = self.max.max(score);
        }
    }

    fn merge(self, other: Self) -> Self {
        Self {
            n: self.n + other.n,
            sum: self.sum + other.sum,
            squares: self.squares + other.squares,
            max: self.max.max(other.max),
        }
    }

    fn finish(self) -> ScanStats {
        if self.n == 0 {
            return ScanStats { n: 0, mean: 0.0, std: 0.0, max: self.max, sums: self };
        }
        let (n, step) = (self.n as f64, f64::from(STEPS));
        let mean = self.sum as f64 / n;
        let variance = (self.squares as f64 / n - mean * mean).max(0.0);
        ScanStats { n: self.n, mean: mean / step, std: variance.sqrt() / step, max: self.max, sums: self }
    }
}

/// Scores every allowed row against a query: `out[row]` = approximate cosine, `NEG_INFINITY` where the row is not
/// allowed or has no vector.
///
/// `codes: [n, dim] i8`, `scales: [n] f32`, `out: [n] f32`. For unit vectors of 384 numbers the score is within 0.01 of
/// the exact cosine; rescore the best from the exact rows. From [`PARALLEL_MIN_ROWS`] on it runs on rayon's pool, with the same result.
///
/// # Panics
/// Where the lengths don't fit each other.
pub fn scan_i8(
    query: &QuantizedQuery,
    codes: &[i8],
    scales: &[f32],
    dim: usize,
    allowed: Allowed<'_>,
    out: &mut [f32],
) -> ScanStats {
    let rows = Rows::new(codes, scales, dim);
    assert_eq!(query.dim(), dim, "the query has the rows' dimension");
    assert_eq!(out.len(), scales.len(), "one score a row");
    let variant = Variant::detect();
    if allowed.count(scales.len()) < PARALLEL_MIN_ROWS {
        return scan_task(variant, query, rows, 0, allowed, out).finish();
    }
    let tasks = out.par_chunks_mut(TASK_ROWS).enumerate();
    tasks
        .map(|(task_idx, out)| {
            let start = task_idx * TASK_ROWS;
            scan_task(variant, query, rows.slice(start, out.len()), start, allowed, out)
        })
        .reduce(Sums::default, Sums::merge)
        .finish()
}

/// Scores the rows `start..start + out.len()`, which `rows` holds.
fn scan_task(
    variant: Variant,
    query: &QuantizedQuery,
    rows: Rows<'_>,
    start: usize,
    allowed: Allowed<'_>,
    out: &mut [f32],
) -> Sums {
    let mut sums = Sums::default();
    let mut listed = Listed::new(variant, query, rows);
    match allowed {
        Allowed::All => listed.all(0, out, &mut sums),
        Allowed::Bits(words) => {
            for (word_idx, out) in out.chunks_mut(WORD_ROWS).enumerate() {
                let first = word_idx * WORD_ROWS;
                let word =
                    words.get((start + first) / WORD_ROWS).copied().unwrap_or(0) & rows_of_word(0, out.len());
                if word.count_ones() >= DENSE_ROWS || word == rows_of_word(0, out.len()) {
                    listed.masked(first, word, out, &mut sums);
                } else {
                    out.fill(f32::NEG_INFINITY);
                    listed.bits(first as u32, word, out, &mut sums);
                }
            }
        }
        Allowed::Ids(ids) => {
            out.fill(f32::NEG_INFINITY);
            let from = ids.partition_point(|id| (*id as usize) < start);
            let to = ids.partition_point(|id| (*id as usize) < start + out.len());
            for ids in ids[from..to].chunks(WORD_ROWS) {
                listed.ids(start as u32, ids, out, &mut sums);
            }
        }
    }
    sums
}

/// Scores rows word by word, with room for one word of row numbers and scores.
struct Listed<'a> {
    variant: Variant,
    query: &'a QuantizedQuery,
    rows: Rows<'a>,
    ids: [u32; WORD_ROWS],
    scores: [f32; WORD_ROWS],
}

impl<'a> Listed<'a> {
    fn new(variant: Variant, query: &'a QuantizedQuery, rows: Rows<'a>) -> Self {
        Self { variant, query, rows, ids: [0; WORD_ROWS], scores: [0.0; WORD_ROWS] }
    }

    /// All rows from `first` on, as many as `out` holds.
    fn all(&self, first: usize, out: &mut [f32], sums: &mut Sums) {
        score_block(self.variant, self.query, self.rows.slice(first, out.len()), out);
        out.iter().for_each(|score| sums.add(*score));
    }

    /// All rows from `first` on, of which those without a bit are struck out; at most a word's number.
    fn masked(&self, first: usize, word: u64, out: &mut [f32], sums: &mut Sums) {
        score_block(self.variant, self.query, self.rows.slice(first, out.len()), out);
        for (idx, score) in out.iter_mut().enumerate() {
            *score = if word >> idx & 1 == 1 { *score } else { f32::NEG_INFINITY };
            sums.add(*score);
        }
    }

    /// The rows `first + i` for each bit `i` of a word; their scores go to `out[i]`.
    fn bits(&mut self, first: u32, mut word: u64, out: &mut [f32], sums: &mut Sums) {
        let mut n = 0;
        while word != 0 {
            self.ids[n] = first + word.trailing_zeros();
            word &= word - 1;
            n += 1;
        }
        score_listed_by(self.variant, self.query, self.rows, &self.ids[..n], &mut self.scores[..n]);
        for (id, score) in self.ids[..n].iter().zip(&self.scores) {
            out[(id - first) as usize] = *score;
            sums.add(*score);
        }
    }

    /// At most a word's number of rows, numbered from `start` less; their scores go to `out[id - start]`.
    fn ids(&mut self, start: u32, ids: &[u32], out: &mut [f32], sums: &mut Sums) {
        let n = ids.len();
        for (own, id) in self.ids.iter_mut().zip(ids) {
            *own = id - start;
        }
        score_listed_by(self.variant, self.query, self.rows, &self.ids[..n], &mut self.scores[..n]);
        for (id, score) in self.ids[..n].iter().zip(&self.scores) {
            out[*id as usize] = *score;
            sums.add(*score);
        }
    }
}

/// Quantised rows, whose lengths fit each other.
#[derive(Debug, Clone, Copy)]
pub struct Rows<'a> {
    codes: &'a [i8],
    scales: &'a [f32],
    dim: usize,
}

impl<'a> Rows<'a> {
    /// `codes: [n, dim] i8`, `scales: [n] f32`.
    ///
    /// # Panics
    /// Where `codes` has another length than `n × dim`.
    pub fn new(codes: &'a [i8], scales: &'a [f32], dim: usize) -> Self {
        assert_eq!(
            Some(codes.len()),
            scales.len().checked_mul(dim),
            "each row has one scale and `dim` codes"
        );
        Self { codes, scales, dim }
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.scales.len()
    }

    /// Codes in a row.
    pub fn dim(&self) -> usize {
        self.dim
    }

    /// Whether a row has a vector.
    #[inline]
    pub fn has(&self, row: u32) -> bool {
        self.scales[row as usize] > 0.0
    }

    /// All codes.
    pub fn codes(&self) -> &'a [i8] {
        self.codes
    }

    /// All scales.
    pub fn scales(&self) -> &'a [f32] {
        self.scales
    }

    /// The codes of a row.
    #[inline(always)]
    pub fn codes_of(&self, row: usize) -> &'a [i8] {
        &self.codes[row * self.dim..(row + 1) * self.dim]
    }

    fn slice(&self, start: usize, n: usize) -> Self {
        Self {
            codes: &self.codes[start * self.dim..(start + n) * self.dim],
            scales: &self.scales[start..start + n],
            dim: self.dim,
        }
    }
}

/// Scores some rows: `out[i]` belongs to `ids[i]`; `NEG_INFINITY` for a row without a vector.
///
/// # Panics
/// Where the lengths don't fit each other, or an id is no row.
pub fn score_listed(query: &QuantizedQuery, rows: Rows<'_>, ids: &[u32], out: &mut [f32]) {
    assert_eq!(query.dim(), rows.dim, "the query has the rows' dimension");
    assert_eq!(ids.len(), out.len(), "one score an id");
    score_listed_by(Variant::detect(), query, rows, ids, out);
}

/// Scores stored rows against each other, for building a graph.
#[derive(Debug)]
pub struct PairScorer<'a> {
    variant: Variant,
    rows: Rows<'a>,
    sums: Vec<i32>,
}

impl<'a> PairScorer<'a> {
    /// For these rows; sums up each row's codes once.
    pub fn new(rows: Rows<'a>) -> Self {
        let sums = (0..rows.len()).map(|row| sum_i8(rows.codes_of(row))).collect();
        Self { variant: Variant::detect(), rows, sums }
    }

    /// Approximate cosine of two rows, 0 with a row that has no vector.
    ///
    /// # Panics
    /// Where a number is no row.
    #[inline]
    pub fn score(&self, a: u32, b: u32) -> f32 {
        let (a, b) = (a as usize, b as usize);
        let dot = dot_i8_by(self.variant, self.rows.codes_of(a), self.rows.codes_of(b), self.sums[b]);
        dot as f32 * (self.rows.scales[a] * self.rows.scales[b])
    }
}

/// The `k` best scores, best first, ties by lower row. `NEG_INFINITY` and NaN stand for rows without a score.
pub fn top_k(scores: &[f32], k: usize) -> Vec<(u32, f32)> {
    if k == 0 {
        return Vec::new();
    }
    let room = k.saturating_mul(2).clamp(64, scores.len().max(64));
    let mut best: Vec<(u32, f32)> = Vec::with_capacity(room);
    let mut threshold = f32::NEG_INFINITY;
    for (block_idx, block) in scores.chunks(32).enumerate() {
        if !block.iter().fold(false, |any, score| any | (*score > threshold)) {
            continue;
        }
        for (idx, score) in block.iter().enumerate() {
            // Rows come in order, so an equal score that comes later has lost its tie.
            if *score > threshold {
                best.push(((block_idx * 32 + idx) as u32, *score));
            }
            if best.len() == room && room > k {
                best.select_nth_unstable_by(k - 1, best_first);
                best.truncate(k);
                threshold = best[k - 1].1;
            }
        }
    }
    best.sort_unstable_by(best_first);
    best.truncate(k);
    best
}

/// The order of every list of hits: higher scores first, ties by lower row.
pub fn best_first(a: &(u32, f32), b: &(u32, f32)) -> std::cmp::Ordering {
    b.1.total_cmp(&a.1).then(a.0.cmp(&b.0))
}

/// Dot product; the cosine for unit vectors.
///
/// # Panics
/// Where the lengths differ.
pub fn dot_f32(a: &[f32], b: &[f32]) -> f32 {
    dot_f32_by(Variant::detect(), a, b)
}

/// `b_sum` is the sum of `b`.
#[inline]
fn dot_i8_by(variant: Variant, a: &[i8], b: &[i8], b_sum: i32) -> i32 {
    assert_eq!(a.len(), b.len(), "two vectors of one length");
    match variant {
        Variant::Portable => portable::dot_i8(a, b),
        #[cfg(target_arch = "x86_64")]
        // SAFETY: `detect` gives this variant only where the processor has AVX2 and FMA.
        Variant::Avx2 => unsafe { x86::dot_i8_avx2(a, b) },
        #[cfg(target_arch = "x86_64")]
        // SAFETY: `detect` gives this variant only where the processor has AVX-512 F, BW and VNNI.
        Variant::Avx512 => unsafe { x86::dot_i8_avx512(a, b, b_sum) },
    }
}

fn dot_f32_by(variant: Variant, a: &[f32], b: &[f32]) -> f32 {
    assert_eq!(a.len(), b.len(), "two vectors of one length");
    match variant {
        Variant::Portable => portable::dot_f32(a, b),
        #[cfg(target_arch = "x86_64")]
        // SAFETY: `detect` gives this variant only where the processor has AVX2 and FMA.
        Variant::Avx2 => unsafe { x86::dot_f32_avx2(a, b) },
        #[cfg(target_arch = "x86_64")]
        // SAFETY: `detect` gives this variant only where the processor has AVX-512 F, BW and VNNI.
        Variant::Avx512 => unsafe { x86::dot_f32_avx512(a, b) },
    }
}

/// Scores consecutive rows into `out`, one each.
fn score_block(variant: Variant, query: &QuantizedQuery, rows: Rows<'_>, out: &mut [f32]) {
    match variant {
        Variant::Portable => {
            score_each(query, rows, 0..rows.len(), out, |row| portable::dot_i8(row, &query.codes))
        }
        #[cfg(target_arch = "x86_64")]
        // SAFETY: `detect` gives this variant only where the processor has AVX2 and FMA.
        Variant::Avx2 => unsafe { x86::score_block_avx2(query, rows, out) },
        #[cfg(target_arch = "x86_64")]
        // SAFETY: `detect` gives this variant only where the processor has AVX-512 F, BW and VNNI.
        Variant::Avx512 => unsafe { x86::score_block_avx512(query, rows, out) },
    }
}

/// Scores listed rows; `out[i]` belongs to `ids[i]`.
fn score_listed_by(variant: Variant, query: &QuantizedQuery, rows: Rows<'_>, ids: &[u32], out: &mut [f32]) {
    for id in ids.iter().take(PREFETCH_AHEAD) {
        prefetch(rows.codes_of(*id as usize));
    }
    match variant {
        Variant::Portable => {
            score_each(query, rows, ahead(rows, ids), out, |row| portable::dot_i8(row, &query.codes));
        }
        #[cfg(target_arch = "x86_64")]
        // SAFETY: `detect` gives this variant only where the processor has AVX2 and FMA.
        Variant::Avx2 => unsafe { x86::score_listed_avx2(query, rows, ids, out) },
        #[cfg(target_arch = "x86_64")]
        // SAFETY: `detect` gives this variant only where the processor has AVX-512 F, BW and VNNI.
        Variant::Avx512 => unsafe { x86::score_listed_avx512(query, rows, ids, out) },
    }
}

/// Scores the rows that an iterator names. Inlined into each variant, so that `dot` is inlined with its instructions.
#[inline(always)]
fn score_each(
    query: &QuantizedQuery,
    rows: Rows<'_>,
    ids: impl Iterator<Item = usize>,
    out: &mut [f32],
    dot: impl Fn(&[i8]) -> i32,
) {
    for (out, row) in out.iter_mut().zip(ids) {
        let scale = rows.scales[row];
        let score = dot(rows.codes_of(row)) as f32 * (query.scale * scale);
        *out = if scale > 0.0 { score } else { f32::NEG_INFINITY };
    }
}

/// The ids, each of which has the row some places ahead fetched.
#[inline(always)]
fn ahead<'a>(rows: Rows<'a>, ids: &'a [u32]) -> impl Iterator<Item = usize> + 'a {
    ids.iter().enumerate().map(move |(idx, id)| {
        if let Some(ahead) = ids.get(idx + PREFETCH_AHEAD) {
            prefetch(rows.codes_of(*ahead as usize));
        }
        *id as usize
    })
}

/// Asks the processor to bring a slice into its cache; changes nothing that can be observed.
#[inline(always)]
pub fn prefetch<T>(slice: &[T]) {
    #[cfg(target_arch = "x86_64")]
    {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        let bytes = slice.as_ptr().cast::<i8>();
        for at in (0..size_of_val(slice)).step_by(64) {
            // SAFETY: the address lies inside the slice, and prefetching reads nothing that the program sees.
            unsafe { _mm_prefetch::<_MM_HINT_T0>(bytes.add(at)) };
        }
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = slice;
}

fn sum_i8(codes: &[i8]) -> i32 {
    codes.iter().map(|code| i32::from(*code)).sum()
}

/// Which instructions are used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Variant {
    Portable,
    #[cfg(target_arch = "x86_64")]
    Avx2,
    #[cfg(target_arch = "x86_64")]
    Avx512,
}

impl Variant {
    /// The widest that this processor has; the standard library caches the answer.
    #[inline]
    fn detect() -> Self {
        #[cfg(target_arch = "x86_64")]
        {
            use std::arch::is_x86_feature_detected as has;
            if has!("avx512f") && has!("avx512bw") && has!("avx512vnni") {
                return Self::Avx512;
            }
            if has!("avx2") && has!("fma") {
                return Self::Avx2;
            }
        }
        Self::Portable
    }
}

/// Plain loops, in a form that compilers turn into whatever vector instructions the target has at least.
mod portable {
    const LANES: usize = 16;

    #[inline(always)]
    pub fn dot_i8(a: &[i8], b: &[i8]) -> i32 {
        let products = a.iter().zip(b).map(|(a, b)| i32::from(*a) * i32::from(*b));
        products.fold(0, i32::wrapping_add)
    }

    pub fn dot_f32(a: &[f32], b: &[f32]) -> f32 {
        let (a, a_rest) = a.as_chunks::<LANES>();
        let (b, b_rest) = b.as_chunks::<LANES>();
        let mut lanes = [0.0f32; LANES];
        for (a, b) in a.iter().zip(b) {
            for lane in 0..LANES {
                lanes[lane] += a[lane] * b[lane];
            }
        }
        let rest: f32 = a_rest.iter().zip(b_rest).map(|(a, b)| a * b).sum();
        lanes.iter().sum::<f32>() + rest
    }
}

/// The same with vector instructions. Loads never leave their slice: each is bounded by the shorter length.
#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::x86_64::*;

    use super::{QuantizedQuery, Rows, ahead, score_each};

    #[target_feature(enable = "avx2,fma")]
    pub fn score_block_avx2(query: &QuantizedQuery, rows: Rows<'_>, out: &mut [f32]) {
        score_each(query, rows, 0..rows.len(), out, |row| dot_i8_avx2(row, &query.codes));
    }

    #[target_feature(enable = "avx2,fma")]
    pub fn score_listed_avx2(query: &QuantizedQuery, rows: Rows<'_>, ids: &[u32], out: &mut [f32]) {
        score_each(query, rows, ahead(rows, ids), out, |row| dot_i8_avx2(row, &query.codes));
    }

    #[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
    pub fn score_block_avx512(query: &QuantizedQuery, rows: Rows<'_>, out: &mut [f32]) {
        score_each(query, rows, 0..rows.len(), out, |row| dot_i8_avx512(row, &query.codes, query.sum));
    }

    #[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
    pub fn score_listed_avx512(query: &QuantizedQuery, rows: Rows<'_>, ids: &[u32], out: &mut [f32]) {
        score_each(query, rows, ahead(rows, ids), out, |row| dot_i8_avx512(row, &query.codes, query.sum));
    }

    /// Widens both sides to 16 bits, where no product of codes overflows, not even (-128)².
    #[inline]
    #[target_feature(enable = "avx2,fma")]
    pub fn dot_i8_avx2(a: &[i8], b: &[i8]) -> i32 {
        let n = a.len().min(b.len());
        let mut sums = [_mm256_setzero_si256(); 2];
        let mut at = 0;
        while at + 32 <= n {
            for (half, sum) in sums.iter_mut().enumerate() {
                // SAFETY: 16 codes from `at + 16 * half` on lie below `at + 32 <= n`, inside both slices.
                let (a, b) = unsafe {
                    let offset = at + 16 * half;
                    (
                        _mm_loadu_si128(a.as_ptr().add(offset).cast()),
                        _mm_loadu_si128(b.as_ptr().add(offset).cast()),
                    )
                };
                let products = _mm256_madd_epi16(_mm256_cvtepi8_epi16(a), _mm256_cvtepi8_epi16(b));
                *sum = _mm256_add_epi32(*sum, products);
            }
            at += 32;
        }
        let sum = _mm256_add_epi32(sums[0], sums[1]);
        let sum = _mm_add_epi32(_mm256_castsi256_si128(sum), _mm256_extracti128_si256::<1>(sum));
        let sum = _mm_add_epi32(sum, _mm_shuffle_epi32::<0b01_00_11_10>(sum));
        let sum = _mm_add_epi32(sum, _mm_shuffle_epi32::<0b10_11_00_01>(sum));
        _mm_cvtsi128_si32(sum).wrapping_add(super::portable::dot_i8(&a[at..n], &b[at..n]))
    }

    /// `vpdpbusd` wants one side unsigned: `a + 128`, which adds `128 × sum(b)`, taken off at the end.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
    pub fn dot_i8_avx512(a: &[i8], b: &[i8], b_sum: i32) -> i32 {
        let n = a.len().min(b.len());
        let flip = _mm512_set1_epi8(i8::MIN);
        let mut sums = [_mm512_setzero_si512(); 2];
        let mut at = 0;
        while at + 64 <= n {
            // SAFETY: 64 codes from `at` on lie below `n`, inside both slices.
            let (a, b) =
                unsafe { (_mm512_loadu_epi8(a.as_ptr().add(at)), _mm512_loadu_epi8(b.as_ptr().add(at))) };
            sums[0] = _mm512_dpbusd_epi32(sums[0], _mm512_xor_si512(a, flip), b);
            sums.swap(0, 1);
            at += 64;
        }
        if at < n {
            let mask = (1u64 << (n - at)) - 1;
            // SAFETY: only the `n - at` codes that the mask names are read.
            let (a, b) = unsafe {
                (
                    _mm512_maskz_loadu_epi8(mask, a.as_ptr().add(at)),
                    _mm512_maskz_loadu_epi8(mask, b.as_ptr().add(at)),
                )
            };
            sums[0] = _mm512_dpbusd_epi32(sums[0], _mm512_xor_si512(a, flip), b);
        }
        let sum = _mm512_reduce_add_epi32(_mm512_add_epi32(sums[0], sums[1]));
        sum.wrapping_sub(b_sum.wrapping_mul(128))
    }

    #[target_feature(enable = "avx2,fma")]
    pub fn dot_f32_avx2(a: &[f32], b: &[f32]) -> f32 {
        let n = a.len().min(b.len());
        let mut sums = [_mm256_setzero_ps(); 4];
        let mut at = 0;
        while at + 32 <= n {
            for (part, sum) in sums.iter_mut().enumerate() {
                // SAFETY: 8 numbers from `at + 8 * part` on lie below `at + 32 <= n`, inside both slices.
                let (a, b) = unsafe {
                    (
                        _mm256_loadu_ps(a.as_ptr().add(at + 8 * part)),
                        _mm256_loadu_ps(b.as_ptr().add(at + 8 * part)),
                    )
                };
                *sum = _mm256_fmadd_ps(a, b, *sum);
            }
            at += 32;
        }
        let sum = _mm256_add_ps(_mm256_add_ps(sums[0], sums[1]), _mm256_add_ps(sums[2], sums[3]));
        let sum = _mm_add_ps(_mm256_castps256_ps128(sum), _mm256_extractf128_ps::<1>(sum));
        let sum = _mm_add_ps(sum, _mm_movehl_ps(sum, sum));
        let sum = _mm_add_ss(sum, _mm_movehdup_ps(sum));
        _mm_cvtss_f32(sum) + super::portable::dot_f32(&a[at..n], &b[at..n])
    }

    #[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
    pub fn dot_f32_avx512(a: &[f32], b: &[f32]) -> f32 {
        let n = a.len().min(b.len());
        let mut sums = [_mm512_setzero_ps(); 2];
        let mut at = 0;
        while at + 32 <= n {
            for (part, sum) in sums.iter_mut().enumerate() {
                // SAFETY: 16 numbers from `at + 16 * part` on lie below `at + 32 <= n`, inside both slices.
                let (a, b) = unsafe {
                    (
                        _mm512_loadu_ps(a.as_ptr().add(at + 16 * part)),
                        _mm512_loadu_ps(b.as_ptr().add(at + 16 * part)),
                    )
                };
                *sum = _mm512_fmadd_ps(a, b, *sum);
            }
            at += 32;
        }
        let sum = _mm512_reduce_add_ps(_mm512_add_ps(sums[0], sums[1]));
        sum + super::portable::dot_f32(&a[at..n], &b[at..n])
    }
}

#[cfg(test)]
mod tests {
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
        fn scan(&self, query: &QuantizedQuery, allowed: Allowed<'_>) -> (Vec<f32>, ScanStats) {
            let mut out = vec![f32::NAN; self.scales.len()];
            let stats = scan_i8(query, &self.codes, &self.scales, self.dim, allowed, &mut out);
            (out, stats)
        }

        fn brute_force(&self, query: &QuantizedQuery, is_allowed: impl Fn(u32) -> bool) -> Vec<f32> {
            let score = |row: usize| {
                if !is_allowed(row as u32) || self.scales[row] == 0.0 {
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
                for (a, b) in [(a, b), (vec![-128; dim], vec![-128; dim]), (vec![-128; dim], vec![127; dim])]
                {
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
    fn scan_is_brute_force_for_every_kind_of_allowed() {
        for (n, dim) in [(0, 8), (1, 384), (64, 33), (1000, 40), (40_001, 8)] {
            let set = set(n, dim);
            let query = QuantizedQuery::new(&unit_rows(1, dim, 9));
            let is_allowed = |row: u32| {
                row.wrapping_mul(2_654_435_761) >> 28 < 5
                    || (128..256).contains(&row)
                    || row < 256 && row.is_multiple_of(2)
            };
            let ids: Vec<u32> = (0..n as u32).filter(|row| is_allowed(*row)).collect();
            let mut bits = vec![0u64; n.div_ceil(64)];
            ids.iter().for_each(|id| bits[*id as usize / 64] |= 1 << (id % 64));
            let cases = [
                Allowed::All,
                Allowed::Bits(&bits),
                Allowed::Ids(&ids),
                Allowed::Bits(&[]),
                Allowed::Ids(&[]),
            ];
            for allowed in cases {
                let expected = set.brute_force(&query, |row| allowed.contains(row));
                let (out, stats) = set.scan(&query, allowed);
                assert_eq!(out, expected, "{n} rows");
                assert_eq!(stats, ScanStats::of(&expected));
                assert_eq!(allowed.count(n), (0..n as u32).filter(|row| allowed.contains(*row)).count());
            }
        }
    }

    #[test]
    fn every_variant_scans_alike() {
        let set = set(100, 70);
        let query = QuantizedQuery::new(&unit_rows(1, 70, 9));
        let ids: Vec<u32> = (0..100).rev().step_by(3).collect();
        let rows = Rows::new(&set.codes, &set.scales, set.dim);
        let expected = set.brute_force(&query, |_| true);
        for variant in variants() {
            let (mut all, mut listed) = (vec![0.0; 100], vec![0.0; ids.len()]);
            score_block(variant, &query, rows, &mut all);
            score_listed_by(variant, &query, rows, &ids, &mut listed);
            assert_eq!(all, expected, "{variant:?}");
            assert_eq!(
                listed,
                ids.iter().map(|id| expected[*id as usize]).collect::<Vec<_>>(),
                "{variant:?}"
            );
        }
    }

    #[test]
    fn ids_and_bits_beyond_the_last_row_are_ignored() {
        let set = set(70, 8);
        let query = QuantizedQuery::new(&unit_rows(1, 8, 9));
        let (by_ids, _) = set.scan(&query, Allowed::Ids(&[69, 70, 5000]));
        let (by_bits, _) = set.scan(&query, Allowed::Bits(&[0, u64::MAX << 5, 7]));
        assert_eq!(by_ids, by_bits);
        assert_eq!(Allowed::Bits(&[0, u64::MAX << 5, 7]).count(70), 1);
        assert_eq!(Allowed::Ids(&[69, 70, 5000]).count(70), 1);
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
    fn rescoring_the_best_thirty_finds_the_exact_ten() {
        let set = set(3000, 384);
        for seed in 0..20 {
            let query = unit_rows(1, 384, 100 + seed);
            let (scores, _) = set.scan(&QuantizedQuery::new(&query), Allowed::All);
            let exact = |row: usize| dot_f32(&query, &set.rows[row * 384..(row + 1) * 384]);
            let best = top_k(&scores, 30);
            let mut found: Vec<(u32, f32)> =
                best.iter().map(|(row, _)| (*row, exact(*row as usize))).collect();
            found.sort_by(best_first);
            let has = |row: &usize| set.scales[*row] > 0.0;
            let mut expected: Vec<(u32, f32)> =
                (0..3000).filter(has).map(|row| (row as u32, exact(row))).collect();
            expected.sort_by(best_first);
            assert_eq!(found[..10], expected[..10]);
            assert!(found.iter().all(|(row, score)| (scores[*row as usize] - score).abs() < 0.01));
        }
    }
}
