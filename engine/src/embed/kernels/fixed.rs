//! Linear layers in fixed point: rows and weights as whole numbers of 16 bits, summed exactly in 32.
//!
//! A row is written as `scale · q` with `q` whole numbers and `‖q‖` about [`LENGTH`], and so is each column of the weights.
//! By the inequality of Cauchy and Schwarz no sum of products, however far it got, is larger than `‖q‖ · ‖w‖ < 2³¹`:
//! nothing overflows, whatever the values, and outliers cost no more than their share of the row's length. Each number
//! is off by at most a half, so a product by at most `(√n + 1) / LENGTH` of `‖x‖ · ‖w‖`, in practice by about 2e-4 of it. That leaves the
//! cosine to the vector in f32 above 0.99999, where eight-bit schemes lose the third digit.
//!
//! Twice as many products fit into a register as with f32, and the weights take half the memory.

#![expect(unsafe_code, reason = "calls the micro-kernels; shapes are checked in `apply`")]

use super::Isa;
use super::fixed_tile::{FixedTile, Madd, Operands, Vnni};
use super::isa::Kind;
use super::linear::Activation;
use super::math::gelu_row;

/// The length that rows and columns are scaled to. With the rounding of up to 400,000 values it stays below 2¹⁵,
/// so each number fits into 16 bits and each sum of products into 31.
const LENGTH: f32 = 32_000.0;

/// The squares of a shorter row's values lose digits; it is as good as zeros. (Values above 1e19 have no finite length; the result is not
/// finite then, and is refused as such.)
const SHORTEST: f32 = 1e-15;

/// Adding it to a number below 2²² rounds to a whole number and leaves that, in two's complement, in the low bits.
const ROUND: f32 = 12_582_912.0;

/// Bytes of rows that go through all columns together, so that they stay in the second cache beside a panel.
const BLOCK_BYTES: usize = 128 * 1024;

/// Most values of a tile.
const MAX_TILE: usize = Vnni::ROWS * Vnni::WIDTH;

/// Weights `[n_out, n_in]`, packed by columns in panels of [`Isa::panel_width`]: `[panel][pair of inputs][column][2]`.
#[derive(Debug)]
pub(super) struct Columns {
    values: Vec<i16>,
    /// What a unit is worth in each column; padded to whole panels, as `bias`.
    scales: Vec<f32>,
    n_in: usize,
    n_out: usize,
}

/// Rows in fixed point, `[rows, n_in]` with an even stride; memory that is used again from product to product.
#[derive(Debug, Default)]
pub(in crate::embed) struct FixedRows {
    values: Vec<i16>,
    /// What a unit is worth in each row.
    scales: Vec<f32>,
    stride: usize,
}

impl Columns {
    /// Packs `weight: [n_out, n_in]`, row-major as the weight files have it.
    pub(super) fn pack(isa: Isa, weight: &[f32], n_out: usize) -> Self {
        let width = isa.panel_width();
        let n_in = weight.len() / n_out.max(1);
        let (n_pairs, padded) = (n_in.div_ceil(2), n_out.next_multiple_of(width));
        let (mut values, mut scales) = (vec![0; padded * n_pairs * 2], vec![0.0; padded]);
        let mut column = vec![0; n_pairs * 2];
        for (idx, row) in weight.chunks_exact(n_in.max(1)).enumerate() {
            scales[idx] = to_fixed(row, &mut column);
            let panel = &mut values[idx / width * width * n_pairs * 2..];
            for (pair, two) in column.as_chunks::<2>().0.iter().enumerate() {
                panel[(pair * width + idx % width) * 2..][..2].copy_from_slice(two);
            }
        }
        Self { values, scales, n_in, n_out }
    }

    /// Rows of the weights: the length of a result row.
    pub(super) fn n_out(&self) -> usize {
        self.n_out
    }

    /// `y = activation(x · Wᵀ + bias)`; `x: [rows, n_in]`, `y: [rows, n_out]`, `bias` padded to whole panels.
    ///
    /// # Panics
    /// Where a slice is shorter than its shape.
    pub(super) fn apply(
        &self,
        isa: Isa,
        x: &[f32],
        bias: &[f32],
        y: &mut [f32],
        activation: Activation,
        rows: &mut FixedRows,
    ) {
        let n_rows = x.len() / self.n_in.max(1);
        assert!(y.len() >= n_rows * self.n_out, "the result is shorter than its shape");
        assert!(bias.len() == self.scales.len(), "bias is padded");
        rows.take(isa, x, self.n_in);
        let product = Product { columns: self, bias, rows, out: y, activation };
        // SAFETY: the shapes were checked above, and an `Isa` of a kind exists only where the processor has its
        // instructions; one for fixed point is never the portable kind.
        unsafe {
            match isa.kind() {
                Kind::Avx512 => blocks_vnni(product),
                _ => blocks_madd(product),
            }
        }
    }
}

/// Whether the kernels give on this processor what plain arithmetic gives, for a small product with every kind of edge: they are offered where
/// they were seen to, for not every processor was at hand when they were written.
pub(super) fn agree(isa: Isa) -> bool {
    const SHAPE: (usize, usize, usize) = (Vnni::ROWS + 3, 37, Vnni::WIDTH + 5);
    let (n_rows, n_in, n_out) = SHAPE;
    let values =
        |n: usize, step: usize| -> Vec<f32> { (0..n).map(|i| (i * step % 61) as f32 / 30.0 - 1.0).collect() };
    let (x, weight) = (values(n_rows * n_in, 17), values(n_out * n_in, 23));
    let columns = Columns::pack(isa, &weight, n_out);
    let (bias, mut y) = (vec![0.25; columns.scales.len()], vec![f32::NAN; n_rows * n_out]);
    columns.apply(isa, &x, &bias, &mut y, Activation::None, &mut FixedRows::default());
    y.iter().enumerate().all(|(idx, found)| {
        let (row, column) = (&x[idx / n_out * n_in..][..n_in], &weight[idx % n_out * n_in..][..n_in]);
        let exact = row.iter().zip(column).map(|(a, b)| a * b).sum::<f32>() + 0.25;
        (found - exact).abs() < 0.02
    })
}

impl FixedRows {
    fn take(&mut self, isa: Isa, x: &[f32], n_in: usize) {
        self.stride = n_in.next_multiple_of(2);
        let n_rows = x.len() / n_in.max(1);
        self.values.resize(n_rows * self.stride, 0);
        self.scales.resize(n_rows, 0.0);
        // SAFETY: as in `Columns::apply`.
        unsafe {
            match isa.kind() {
                Kind::Avx512 => rows_avx512(x, n_in, self),
                _ => rows_avx2(x, n_in, self),
            }
        }
    }
}

/// # Safety
/// The processor has AVX2 and FMA.
#[target_feature(enable = "avx2,fma")]
unsafe fn rows_avx2(x: &[f32], n_in: usize, rows: &mut FixedRows) {
    to_fixed_rows(x, n_in, rows);
}

/// # Safety
/// The processor has AVX-512F.
#[target_feature(enable = "avx512f")]
unsafe fn rows_avx512(x: &[f32], n_in: usize, rows: &mut FixedRows) {
    to_fixed_rows(x, n_in, rows);
}

#[inline(always)]
fn to_fixed_rows(x: &[f32], n_in: usize, rows: &mut FixedRows) {
    let each = x.chunks_exact(n_in.max(1)).zip(rows.values.chunks_exact_mut(rows.stride.max(1)));
    for ((row, fixed), scale) in each.zip(&mut rows.scales) {
        *scale = to_fixed(row, fixed);
    }
}

/// Writes a row in whole numbers and gives what a unit is worth: 0 for a row of zeros, NaN or infinity where the row is not finite, so that
/// its products are not either. What is behind the row's end gets zeros.
#[inline(always)]
fn to_fixed(row: &[f32], fixed: &mut [i16]) -> f32 {
    let length = super::math::lane_sum(row, |x| x * x).sqrt();
    if length < SHORTEST {
        fixed.fill(0);
        return 0.0;
    }
    let units = LENGTH / length;
    let (values, padding) = fixed.split_at_mut(row.len());
    for (value, &x) in values.iter_mut().zip(row) {
        *value = (x * units + ROUND).to_bits() as i16;
    }
    padding.fill(0);
    length / LENGTH
}

/// One product.
struct Product<'a> {
    columns: &'a Columns,
    bias: &'a [f32],
    rows: &'a FixedRows,
    out: &'a mut [f32],
    activation: Activation,
}

/// # Safety
/// As for [`blocks`]; the processor has AVX2 and FMA.
#[target_feature(enable = "avx2,fma")]
unsafe fn blocks_madd(product: Product<'_>) {
    // SAFETY: passed on.
    unsafe { blocks::<Madd>(product) }
}

/// # Safety
/// As for [`blocks`]; the processor has AVX-512F and its vector neural network instructions.
#[target_feature(enable = "avx512f,avx512vnni")]
unsafe fn blocks_vnni(product: Product<'_>) {
    // SAFETY: passed on.
    unsafe { blocks::<Vnni>(product) }
}

/// Blocks of rows, panels, tiles: outermost first.
///
/// # Safety
/// `out` holds a row of `n_out` for each of `rows`, `bias` and `scales` are padded to panels of `T::WIDTH`; the processor has the
/// instructions of `T`.
#[inline(always)]
unsafe fn blocks<T: FixedTile>(product: Product<'_>) {
    let Product { columns, bias, rows, out, activation } = product;
    let (n_rows, stride, n_out) = (rows.scales.len(), rows.stride, columns.n_out);
    // A padded panel's tile is written here, for its result row may be too short.
    let mut aside = [0.0f32; MAX_TILE];
    let per_block = (BLOCK_BYTES / (stride * size_of::<i16>()).max(1)).max(1).next_multiple_of(T::ROWS);
    for first in (0..n_rows).step_by(per_block) {
        let block_rows = per_block.min(n_rows - first);
        let n_tiles = block_rows.div_ceil(T::ROWS);
        for (panel_idx, panel) in columns.values.chunks_exact((stride * T::WIDTH).max(1)).enumerate() {
            let column = panel_idx * T::WIDTH;
            let width = T::WIDTH.min(n_out - column);
            let mut row = first;
            for tile_idx in 0..n_tiles {
                let tile_rows = block_rows / n_tiles + usize::from(tile_idx < block_rows % n_tiles);
                // SAFETY: `row + tile_rows <= n_rows`, `column + WIDTH` is within the padded scales and bias, and a whole
                // tile fits aside.
                unsafe {
                    let c = out.as_mut_ptr().add(row * n_out + column);
                    let whole = width == T::WIDTH;
                    let (to, to_stride) = if whole { (c, n_out) } else { (aside.as_mut_ptr(), T::WIDTH) };
                    T::run(
                        tile_rows,
                        Operands {
                            pairs: stride / 2,
                            a: rows.values.as_ptr().add(row * stride),
                            a_stride: stride,
                            b: panel.as_ptr(),
                            row_scales: rows.scales.as_ptr().add(row),
                            column_scales: columns.scales.as_ptr().add(column),
                            bias: bias.as_ptr().add(column),
                            c: to,
                            c_stride: to_stride,
                        },
                    );
                    for i in 0..tile_rows {
                        let result = std::slice::from_raw_parts_mut(to.add(i * to_stride), width);
                        if activation == Activation::Gelu {
                            gelu_row::<T::Float>(result);
                        }
                        if !whole {
                            std::ptr::copy_nonoverlapping(result.as_ptr(), c.add(i * n_out), width);
                        }
                    }
                }
                row += tile_rows;
            }
        }
    }
}
