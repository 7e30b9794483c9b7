//! Micro-kernels: one tile of a product, held in registers over the whole inner dimension.
//!
//! `c[i, j] = init[i, j] + sum over k of a[i, k] * b[k, j]` for `rows` rows and one panel of columns. `a` is
//! row-major with any row stride, `b` a packed panel `[k, WIDTH]`. `init` is read before `c` is written, so it may
//! be `c` itself (to go on with a sum) or a bias with row stride 0.
//!
//! Tile shapes follow the register files: 14 × 32 leaves 28 of 32 registers for sums with AVX-512, 6 × 16 leaves 12
//! of 16 with AVX2 (Goto and van de Geijn, «Anatomy of High-Performance Matrix Multiplication», 2008).

#![expect(unsafe_code, reason = "vector instructions on raw pointers; proofs stand at each block")]

/// Where a tile reads and writes. Strides in floats.
#[derive(Clone, Copy)]
pub(super) struct Operands {
    /// Inner dimension.
    pub(super) k: usize,
    /// First row of the left matrix.
    pub(super) a: *const f32,
    /// Floats from one row of `a` to the next.
    pub(super) a_stride: usize,
    /// The packed panel, `[k, WIDTH]`.
    pub(super) b: *const f32,
    /// What the sums start with.
    pub(super) init: *const f32,
    /// Floats from one row of `init` to the next; 0 for a bias.
    pub(super) init_stride: usize,
    /// First row of the result.
    pub(super) c: *mut f32,
    /// Floats from one row of `c` to the next.
    pub(super) c_stride: usize,
}

/// One family of micro-kernels.
pub(super) trait Tile {
    /// Most rows of one tile.
    const ROWS: usize;
    /// Columns of one panel.
    const WIDTH: usize;
    /// Whether `mul_add` is one instruction here.
    const FMA: bool;

    /// Computes a tile of `rows` rows.
    ///
    /// # Safety
    /// `1 <= rows <= ROWS`; the processor has the family's instructions; `a` is readable for `rows` rows of `k`
    /// floats, `b` for `k * WIDTH`, `init` for `rows` rows of `WIDTH`, `c` writable for `rows` rows of `WIDTH`.
    unsafe fn run(rows: usize, operands: Operands);
}

/// Picks the kernel compiled for exactly `rows` rows.
macro_rules! by_rows {
    ($rows:expr, $operands:expr, $kernel:ident, $($n:literal),+) => {
        match $rows {
            $($n => unsafe { $kernel::<$n>($operands) },)+
            _ => unreachable!("a tile has at most ROWS rows"),
        }
    };
}
#[cfg(target_arch = "x86_64")]
pub(super) use by_rows;

/// Plain Rust, 4 × 8.
pub(super) struct Portable;

impl Tile for Portable {
    const ROWS: usize = 4;
    const WIDTH: usize = 8;
    const FMA: bool = cfg!(target_arch = "aarch64");

    #[inline(always)]
    unsafe fn run(rows: usize, operands: Operands) {
        by_rows!(rows, operands, portable, 1, 2, 3, 4)
    }
}

/// # Safety
/// As for [`Tile::run`] with `rows = ROWS`.
#[inline(always)]
unsafe fn portable<const ROWS: usize>(o: Operands) {
    // SAFETY: every access below is inside the ranges that the caller vouches for: row `i < ROWS`, step `p < k`,
    // column `j < WIDTH`.
    unsafe {
        let mut sums = [[0.0f32; Portable::WIDTH]; ROWS];
        for (i, row) in sums.iter_mut().enumerate() {
            for (j, sum) in row.iter_mut().enumerate() {
                *sum = *o.init.add(i * o.init_stride + j);
            }
        }
        for p in 0..o.k {
            let b = std::slice::from_raw_parts(o.b.add(p * Portable::WIDTH), Portable::WIDTH);
            for (i, row) in sums.iter_mut().enumerate() {
                let a = *o.a.add(i * o.a_stride + p);
                for (sum, &b) in row.iter_mut().zip(b) {
                    *sum = if Portable::FMA { a.mul_add(b, *sum) } else { a * b + *sum };
                }
            }
        }
        for (i, row) in sums.iter().enumerate() {
            for (j, &sum) in row.iter().enumerate() {
                *o.c.add(i * o.c_stride + j) = sum;
            }
        }
    }
}

#[cfg(target_arch = "x86_64")]
pub(super) use x86::{Avx2, Avx512};

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::x86_64::*;

    use super::{Operands, Tile};

    /// AVX2 and FMA, 6 × 16.
    pub(in super::super) struct Avx2;

    impl Tile for Avx2 {
        const ROWS: usize = 6;
        const WIDTH: usize = 16;
        const FMA: bool = true;

        #[inline(always)]
        unsafe fn run(rows: usize, operands: Operands) {
            by_rows!(rows, operands, avx2, 1, 2, 3, 4, 5, 6)
        }
    }

    /// # Safety
    /// As for [`Tile::run`] with `rows = ROWS`.
    #[inline]
    #[target_feature(enable = "avx2,fma")]
    unsafe fn avx2<const ROWS: usize>(o: Operands) {
        // SAFETY: row `i < ROWS`, step `p < k` and two vectors of 8 in a panel of 16 columns stay inside the ranges
        // that the caller vouches for; loads and stores are the unaligned kind.
        unsafe {
            let mut sums = [[_mm256_setzero_ps(); 2]; ROWS];
            for (i, row) in sums.iter_mut().enumerate() {
                let init = o.init.add(i * o.init_stride);
                *row = [_mm256_loadu_ps(init), _mm256_loadu_ps(init.add(8))];
            }
            for p in 0..o.k {
                let b = o.b.add(p * Avx2::WIDTH);
                let (b0, b1) = (_mm256_loadu_ps(b), _mm256_loadu_ps(b.add(8)));
                for (i, row) in sums.iter_mut().enumerate() {
                    let a = _mm256_broadcast_ss(&*o.a.add(i * o.a_stride + p));
                    row[0] = _mm256_fmadd_ps(a, b0, row[0]);
                    row[1] = _mm256_fmadd_ps(a, b1, row[1]);
                }
            }
            for (i, row) in sums.iter().enumerate() {
                let c = o.c.add(i * o.c_stride);
                _mm256_storeu_ps(c, row[0]);
                _mm256_storeu_ps(c.add(8), row[1]);
            }
        }
    }

    /// AVX-512F, 14 × 32.
    pub(in super::super) struct Avx512;

    impl Tile for Avx512 {
        const ROWS: usize = 14;
        const WIDTH: usize = 32;
        const FMA: bool = true;

        #[inline(always)]
        unsafe fn run(rows: usize, operands: Operands) {
            by_rows!(rows, operands, avx512, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14)
        }
    }

    /// # Safety
    /// As for [`Tile::run`] with `rows = ROWS`.
    #[inline]
    #[target_feature(enable = "avx512f")]
    unsafe fn avx512<const ROWS: usize>(o: Operands) {
        // SAFETY: row `i < ROWS`, step `p < k` and two vectors of 16 in a panel of 32 columns stay inside the ranges
        // that the caller vouches for; loads and stores are the unaligned kind; a prefetch never faults.
        unsafe {
            let mut sums = [[_mm512_setzero_ps(); 2]; ROWS];
            for (i, row) in sums.iter_mut().enumerate() {
                let init = o.init.add(i * o.init_stride);
                *row = [_mm512_loadu_ps(init), _mm512_loadu_ps(init.add(16))];
            }
            for p in 0..o.k {
                let b = o.b.add(p * Avx512::WIDTH);
                let (b0, b1) = (_mm512_loadu_ps(b), _mm512_loadu_ps(b.add(16)));
                for (i, row) in sums.iter_mut().enumerate() {
                    let a = _mm512_set1_ps(*o.a.add(i * o.a_stride + p));
                    row[0] = _mm512_fmadd_ps(a, b0, row[0]);
                    row[1] = _mm512_fmadd_ps(a, b1, row[1]);
                }
            }
            for (i, row) in sums.iter().enumerate() {
                let c = o.c.add(i * o.c_stride);
                _mm512_storeu_ps(c, row[0]);
                _mm512_storeu_ps(c.add(16), row[1]);
            }
        }
    }
}
