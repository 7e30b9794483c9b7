//! Dot products, each in portable form and with the vector instructions that the processor has.

#![allow(unsafe_code, reason = "vector instructions and prefetching; each use carries its proof")]

use super::quantize::{QuantizedQuery, Rows, sum_i8};

/// Listed rows are fetched into the cache this many rows ahead of their use.
const PREFETCH_AHEAD: usize = 4;

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

/// Dot product; the cosine for unit vectors.
///
/// # Panics
/// Where the lengths differ.
pub fn dot_f32(a: &[f32], b: &[f32]) -> f32 {
    dot_f32_by(Variant::detect(), a, b)
}

/// `b_sum` is the sum of `b`.
#[inline]
pub(super) fn dot_i8_by(variant: Variant, a: &[i8], b: &[i8], b_sum: i32) -> i32 {
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

pub(super) fn dot_f32_by(variant: Variant, a: &[f32], b: &[f32]) -> f32 {
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
pub(super) fn score_block(variant: Variant, query: &QuantizedQuery, rows: Rows<'_>, out: &mut [f32]) {
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
pub(super) fn score_listed_by(
    variant: Variant,
    query: &QuantizedQuery,
    rows: Rows<'_>,
    ids: &[u32],
    out: &mut [f32],
) {
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
fn prefetch<T>(slice: &[T]) {
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

/// Which instructions are used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Variant {
    Portable,
    #[cfg(target_arch = "x86_64")]
    Avx2,
    #[cfg(target_arch = "x86_64")]
    Avx512,
}

impl Variant {
    /// The widest that this processor has; the standard library caches the answer.
    #[inline]
    pub(super) fn detect() -> Self {
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
