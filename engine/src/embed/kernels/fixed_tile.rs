//! Micro-kernels in fixed point: one tile of a product, its sums held in registers over the whole inner dimension.
//!
//! `c[i, j] = (sum over k of a[i, k] * b[k, j]) * row_scales[i] * column_scales[j] + bias[j]`, the sum exact in 32 bits. `a` is row-major
//! with any even stride, `b` a packed panel `[pair, WIDTH, 2]`: two steps of the inner dimension lie side by side, for
//! one instruction multiplies both and adds them.
//!
//! Intel, «Intrinsics Guide»: `_mm256_madd_epi16` (VPMADDWD), `_mm512_dpwssd_epi32` (VPDPWSSD).

#![expect(unsafe_code, reason = "vector instructions on raw pointers; proofs stand at each block")]

use std::arch::x86_64::*;

use super::tile::{Avx2, Avx512, Tile, by_rows};

/// Where a tile reads and writes. Strides in values.
#[derive(Clone, Copy)]
pub(super) struct Operands {
    /// Half the inner dimension.
    pub(super) pairs: usize,
    /// First row of the left matrix.
    pub(super) a: *const i16,
    /// Values from one row of `a` to the next.
    pub(super) a_stride: usize,
    /// The packed panel, `[pairs, WIDTH, 2]`.
    pub(super) b: *const i16,
    /// What a unit is worth in each row.
    pub(super) row_scales: *const f32,
    /// What a unit is worth in each column, `[WIDTH]`.
    pub(super) column_scales: *const f32,
    /// Added to each row, `[WIDTH]`.
    pub(super) bias: *const f32,
    /// First row of the result.
    pub(super) c: *mut f32,
    /// Floats from one row of `c` to the next.
    pub(super) c_stride: usize,
}

/// One family of micro-kernels.
pub(super) trait FixedTile {
    /// The family for floats that goes with it.
    type Float: Tile;
    /// Most rows of one tile.
    const ROWS: usize = Self::Float::ROWS;
    /// Columns of one panel.
    const WIDTH: usize = Self::Float::WIDTH;

    /// Computes a tile of `rows` rows.
    ///
    /// # Safety
    /// `1 <= rows <= ROWS`; the processor has the family's instructions; `a` is readable for `rows` rows of `2 * pairs` values,
    /// `b` for `pairs * WIDTH * 2`, `row_scales` for `rows`, `column_scales` and `bias` for `WIDTH`, `c` writable for
    /// `rows` rows of `WIDTH`.
    unsafe fn run(rows: usize, operands: Operands);
}

/// Two steps of the inner dimension of one row, side by side.
///
/// # Safety
/// `at` is readable for two values.
#[inline(always)]
unsafe fn pair(at: *const i16) -> i32 {
    // SAFETY: passed on.
    unsafe { at.cast::<i32>().read_unaligned() }
}

/// AVX2, 6 × 16: multiply and add pairs, then add to the sums.
pub(super) struct Madd;

impl FixedTile for Madd {
    type Float = Avx2;

    #[inline(always)]
    unsafe fn run(rows: usize, operands: Operands) {
        by_rows!(rows, operands, madd, 1, 2, 3, 4, 5, 6)
    }
}

/// # Safety
/// As for [`FixedTile::run`] with `rows = ROWS`.
#[inline]
#[target_feature(enable = "avx2,fma")]
unsafe fn madd<const ROWS: usize>(o: Operands) {
    // SAFETY: row `i < ROWS`, pair `p < pairs` and two vectors of 8 in a panel of 16 columns stay inside the ranges
    // that the caller vouches for; loads and stores are the unaligned kind.
    unsafe {
        let mut sums = [[_mm256_setzero_si256(); 2]; ROWS];
        for p in 0..o.pairs {
            let b = o.b.add(p * Madd::WIDTH * 2).cast::<__m256i>();
            let (b0, b1) = (_mm256_loadu_si256(b), _mm256_loadu_si256(b.add(1)));
            for (i, row) in sums.iter_mut().enumerate() {
                let a = _mm256_set1_epi32(pair(o.a.add(i * o.a_stride + 2 * p)));
                row[0] = _mm256_add_epi32(row[0], _mm256_madd_epi16(a, b0));
                row[1] = _mm256_add_epi32(row[1], _mm256_madd_epi16(a, b1));
            }
        }
        let halves = |from: *const f32| [_mm256_loadu_ps(from), _mm256_loadu_ps(from.add(8))];
        let (scales, bias) = (halves(o.column_scales), halves(o.bias));
        for (i, row) in sums.iter().enumerate() {
            let scale = _mm256_set1_ps(*o.row_scales.add(i));
            for (half, &sum) in row.iter().enumerate() {
                let worth = _mm256_mul_ps(scale, scales[half]);
                let value = _mm256_fmadd_ps(_mm256_cvtepi32_ps(sum), worth, bias[half]);
                _mm256_storeu_ps(o.c.add(i * o.c_stride + 8 * half), value);
            }
        }
    }
}

/// AVX-512 with its neural network instructions, 14 × 32: multiply, add pairs and add to the sums in one.
pub(super) struct Vnni;

impl FixedTile for Vnni {
    type Float = Avx512;

    #[inline(always)]
    unsafe fn run(rows: usize, operands: Operands) {
        by_rows!(rows, operands, vnni, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14)
    }
}

/// # Safety
/// As for [`FixedTile::run`] with `rows = ROWS`.
#[inline]
#[target_feature(enable = "avx512f,avx512vnni")]
unsafe fn vnni<const ROWS: usize>(o: Operands) {
    // SAFETY: row `i < ROWS`, pair `p < pairs` and two vectors of 16 in a panel of 32 columns stay inside the ranges
    // that the caller vouches for; loads and stores are the unaligned kind.
    unsafe {
        let mut sums = [[_mm512_setzero_si512(); 2]; ROWS];
        for p in 0..o.pairs {
            let b = o.b.add(p * Vnni::WIDTH * 2).cast::<__m512i>();
            let (b0, b1) = (_mm512_loadu_si512(b), _mm512_loadu_si512(b.add(1)));
            for (i, row) in sums.iter_mut().enumerate() {
                let a = _mm512_set1_epi32(pair(o.a.add(i * o.a_stride + 2 * p)));
                row[0] = _mm512_dpwssd_epi32(row[0], a, b0);
                row[1] = _mm512_dpwssd_epi32(row[1], a, b1);
            }
        }
        let halves = |from: *const f32| [_mm512_loadu_ps(from), _mm512_loadu_ps(from.add(16))];
        let (scales, bias) = (halves(o.column_scales), halves(o.bias));
        for (i, row) in sums.iter().enumerate() {
            let scale = _mm512_set1_ps(*o.row_scales.add(i));
            for (half, &sum) in row.iter().enumerate() {
                let worth = _mm512_mul_ps(scale, scales[half]);
                let value = _mm512_fmadd_ps(_mm512_cvtepi32_ps(sum), worth, bias[half]);
                _mm512_storeu_ps(o.c.add(i * o.c_stride + 16 * half), value);
            }
        }
    }
}
