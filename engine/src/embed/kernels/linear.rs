//! Products with a packed right matrix: the encoder's linear layers and the two products of attention.
//!
//! Takes `x: [rows, n_in]`, gives `y: [rows, n_out]`, `y = x · Wᵀ + bias`, then perhaps GELU. The right matrix lies in
//! panels of [`Isa::panel_width`] columns, each panel `[n_in, width]`, the last one padded with zeros.

#![expect(unsafe_code, reason = "calls the micro-kernels; shapes are checked in `product`")]

use super::Isa;
#[cfg(target_arch = "x86_64")]
use super::fixed::{Columns, FixedRows};
use super::isa::Kind;
use super::math::gelu_row;
#[cfg(target_arch = "x86_64")]
use super::tile::{Avx2, Avx512};
use super::tile::{Operands, Portable, Tile};

/// Rows that go through all panels together, so that they stay in the second cache.
const BLOCK_ROWS: usize = 112;

/// Steps of the inner dimension per pass, so that the rows of one tile stay in the first cache.
const BLOCK_STEPS: usize = 512;

/// Columns that are packed side by side; divides every panel's width.
const GROUP: usize = 8;

/// Widest panel of any kernel, for the tile that catches a padded panel.
const MAX_WIDTH: usize = 32;

/// Most rows of any tile.
const MAX_ROWS: usize = 14;

/// What is done to each value after the product.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::embed) enum Activation {
    /// Nothing.
    None,
    /// `x · Φ(x)`, the exact form with the error function.
    Gelu,
}

/// A right matrix `[n_in, n_out]` in panels.
#[derive(Debug, Default)]
pub(in crate::embed) struct Panels {
    values: Vec<f32>,
    n_in: usize,
    n_out: usize,
    width: usize,
}

impl Panels {
    /// Packs the transposed matrix `rows: [n_out, n_in]` with a row stride in floats, reusing the memory.
    ///
    /// # Panics
    /// Where `rows` is shorter than its shape.
    pub(in crate::embed) fn pack_transposed(
        &mut self,
        isa: Isa,
        rows: &[f32],
        stride: usize,
        shape: (usize, usize),
    ) {
        let (n_out, n_in) = shape;
        self.reset(isa, n_in, n_out);
        let width = self.width;
        for (panel_idx, panel) in self.values.chunks_exact_mut(n_in * width).enumerate() {
            let first = panel_idx * width;
            let columns = width.min(n_out - first);
            for column in (0..columns).step_by(GROUP) {
                let row = |offset: usize| &rows[(first + column + offset) * stride..][..n_in];
                if columns - column >= GROUP {
                    interleave(std::array::from_fn::<_, GROUP, _>(row), &mut panel[column..], width);
                } else {
                    (0..columns - column).for_each(|i| interleave([row(i)], &mut panel[column + i..], width));
                }
            }
            clear_padding(panel, width, columns);
        }
    }

    /// Packs the matrix `rows: [n_in, n_out]` with a row stride in floats, reusing the memory.
    ///
    /// # Panics
    /// Where `rows` is shorter than its shape.
    pub(in crate::embed) fn pack(&mut self, isa: Isa, rows: &[f32], stride: usize, shape: (usize, usize)) {
        let (n_in, n_out) = shape;
        self.reset(isa, n_in, n_out);
        let width = self.width;
        for (panel_idx, panel) in self.values.chunks_exact_mut(n_in * width).enumerate() {
            let first = panel_idx * width;
            let columns = width.min(n_out - first);
            for (step, slots) in panel.chunks_exact_mut(width).enumerate() {
                copy_groups(&rows[step * stride + first..][..columns], slots);
            }
            clear_padding(panel, width, columns);
        }
    }

    /// Columns with the padding of the last panel.
    pub(in crate::embed) fn padded_columns(&self) -> usize {
        self.n_out.next_multiple_of(self.width)
    }

    fn reset(&mut self, isa: Isa, n_in: usize, n_out: usize) {
        self.width = isa.panel_width();
        self.n_in = n_in;
        self.n_out = n_out;
        self.values.resize(n_in * n_out.next_multiple_of(self.width), 0.0);
    }
}

/// Writes `N` rows as columns: value `step` of each side by side, `width` floats apart from step to step.
fn interleave<const N: usize>(rows: [&[f32]; N], panel: &mut [f32], width: usize) {
    let n_steps = rows.iter().map(|row| row.len()).min().unwrap_or(0);
    let rows = rows.map(|row| &row[..n_steps]);
    for (step, slots) in panel.chunks_mut(width).take(n_steps).enumerate() {
        slots[..N].copy_from_slice(&rows.map(|row| row[step]));
    }
}

/// Copies a short row in pieces of a fixed length, which is faster than a call for a length known only at run time.
fn copy_groups(from: &[f32], to: &mut [f32]) {
    let (groups, rest) = from.as_chunks::<GROUP>();
    let (slots, rest_slots) = to.as_chunks_mut::<GROUP>();
    slots.iter_mut().zip(groups).for_each(|(slot, group)| *slot = *group);
    if !rest.is_empty() {
        let rest_slots = slots.get_mut(groups.len()).map_or(rest_slots, |slot| &mut slot[..]);
        rest_slots[..rest.len()].copy_from_slice(rest);
    }
}

/// Sets the padding columns of a panel to zero.
fn clear_padding(panel: &mut [f32], width: usize, columns: usize) {
    if columns < width {
        panel.chunks_exact_mut(width).for_each(|slots| slots[columns..].fill(0.0));
    }
}

/// A linear layer: weights `[n_out, n_in]` and bias `[n_out]`, packed for one instruction set.
#[derive(Debug)]
pub(in crate::embed) struct Linear {
    isa: Isa,
    weights: Weights,
    /// Padded to whole panels.
    bias: Vec<f32>,
}

/// Weights as the kernels read them.
#[derive(Debug)]
enum Weights {
    Floats(Panels),
    #[cfg(target_arch = "x86_64")]
    Fixed(Columns),
}

/// Memory that is used again from product to product: rows in fixed point.
#[derive(Debug, Default)]
pub(in crate::embed) struct LinearScratch {
    #[cfg(target_arch = "x86_64")]
    rows: FixedRows,
}

impl Linear {
    /// Packs `weight: [n_out, n_in]`, row-major as the weight files have it, with `bias: [n_out]`.
    ///
    /// # Panics
    /// Where `weight` isn't a multiple of `bias`: the loader has checked shapes.
    pub(in crate::embed) fn new(isa: Isa, weight: &[f32], bias: &[f32]) -> Self {
        let n_in = weight.len() / bias.len();
        assert_eq!(weight.len(), n_in * bias.len(), "the loader has checked the shapes");
        let weights = Weights::pack(isa, weight, (bias.len(), n_in));
        let mut bias = bias.to_vec();
        bias.resize(bias.len().next_multiple_of(isa.panel_width()), 0.0);
        Self { isa, weights, bias }
    }

    /// Rows of the weights: the length of a result row.
    pub(in crate::embed) fn n_out(&self) -> usize {
        match &self.weights {
            Weights::Floats(panels) => panels.n_out,
            #[cfg(target_arch = "x86_64")]
            Weights::Fixed(columns) => columns.n_out(),
        }
    }

    /// `y = activation(x · Wᵀ + bias)` with `x: [rows, n_in]` and `y: [rows, n_out]`.
    ///
    /// # Panics
    /// Where `x` and `y` don't have the same number of rows.
    pub(in crate::embed) fn apply(
        &self,
        x: &[f32],
        y: &mut [f32],
        activation: Activation,
        scratch: &mut LinearScratch,
    ) {
        #[cfg(not(target_arch = "x86_64"))]
        let _ = scratch;
        match &self.weights {
            #[cfg(target_arch = "x86_64")]
            Weights::Fixed(columns) => {
                columns.apply(self.isa, x, &self.bias, y, activation, &mut scratch.rows);
            }
            Weights::Floats(panels) => product(
                self.isa,
                Product {
                    left: x,
                    left_stride: panels.n_in,
                    rows: x.len() / panels.n_in,
                    panels,
                    bias: &self.bias,
                    out: y,
                    out_stride: panels.n_out,
                    out_columns: panels.n_out,
                    activation,
                },
            ),
        }
    }
}

impl Weights {
    fn pack(isa: Isa, weight: &[f32], (n_out, n_in): (usize, usize)) -> Self {
        #[cfg(target_arch = "x86_64")]
        if isa.fixed() {
            return Self::Fixed(Columns::pack(isa, weight, n_out));
        }
        let mut panels = Panels::default();
        panels.pack_transposed(isa, weight, n_in, (n_out, n_in));
        Self::Floats(panels)
    }
}

/// Where [`panel_product`] writes: `[rows, columns]`, rows `stride` floats apart.
pub(in crate::embed) struct Window<'a> {
    /// From the first value on.
    pub(in crate::embed) values: &'a mut [f32],
    /// Floats from one row to the next.
    pub(in crate::embed) stride: usize,
    /// The panels' columns, or their padded columns, which is faster; the padding gets zeros.
    pub(in crate::embed) columns: usize,
}

/// `out = left · panels` for the small products of attention; `left: [rows, n_in]` with a row stride in floats.
///
/// # Panics
/// Where a slice is shorter than its shape.
pub(in crate::embed) fn panel_product(
    isa: Isa,
    (left, left_stride): (&[f32], usize),
    rows: usize,
    panels: &Panels,
    out: Window<'_>,
) {
    assert!(
        out.columns == panels.n_out || out.columns == panels.padded_columns(),
        "all columns, padded or not"
    );
    product(
        isa,
        Product {
            left,
            left_stride,
            rows,
            panels,
            bias: &[],
            out: out.values,
            out_stride: out.stride,
            out_columns: out.columns,
            activation: Activation::None,
        },
    );
}

/// One product, in slices.
struct Product<'a> {
    left: &'a [f32],
    left_stride: usize,
    rows: usize,
    panels: &'a Panels,
    /// Padded to whole panels, or empty.
    bias: &'a [f32],
    out: &'a mut [f32],
    out_stride: usize,
    out_columns: usize,
    activation: Activation,
}

fn product(isa: Isa, product: Product<'_>) {
    let (n_in, rows) = (product.panels.n_in, product.rows);
    if rows == 0 || product.out_columns == 0 {
        return;
    }
    assert!(
        product.left.len() >= (rows - 1) * product.left_stride + n_in,
        "the left matrix is shorter than its shape"
    );
    assert!(
        product.out_stride >= product.out_columns
            && product.out.len() >= (rows - 1) * product.out_stride + product.out_columns,
        "the result is shorter than its shape"
    );
    assert!(
        product.bias.is_empty() || product.bias.len() == product.panels.padded_columns(),
        "bias is padded"
    );
    assert_eq!(product.panels.width, isa.panel_width(), "panels are packed for the kernels that read them");
    // SAFETY: the shapes were checked above, and an `Isa` exists only where the processor has its instructions.
    unsafe {
        match isa.kind() {
            Kind::Portable => blocks::<Portable>(product),
            #[cfg(target_arch = "x86_64")]
            Kind::Avx2 => blocks_avx2(product),
            #[cfg(target_arch = "x86_64")]
            Kind::Avx512 => blocks_avx512(product),
        }
    }
}

/// # Safety
/// As for [`blocks`]; the processor has AVX2 and FMA.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
unsafe fn blocks_avx2(product: Product<'_>) {
    // SAFETY: passed on.
    unsafe { blocks::<Avx2>(product) }
}

/// # Safety
/// As for [`blocks`]; the processor has AVX-512F.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f")]
unsafe fn blocks_avx512(product: Product<'_>) {
    // SAFETY: passed on.
    unsafe { blocks::<Avx512>(product) }
}

/// Blocks of rows, steps of the inner dimension, panels, tiles: outermost first.
///
/// # Safety
/// The slices of `product` are as long as its shape says; the processor has the instructions of `T`.
#[inline(always)]
unsafe fn blocks<T: Tile>(product: Product<'_>) {
    let zeros = [0.0f32; MAX_WIDTH];
    let panels = product.panels;
    for first_row in (0..product.rows).step_by(BLOCK_ROWS) {
        let block_rows = BLOCK_ROWS.min(product.rows - first_row);
        for first_step in (0..panels.n_in).step_by(BLOCK_STEPS) {
            let steps = BLOCK_STEPS.min(panels.n_in - first_step);
            let last = first_step + steps == panels.n_in;
            for (panel_idx, panel) in panels.values.chunks_exact(panels.n_in * T::WIDTH).enumerate() {
                let column = panel_idx * T::WIDTH;
                let columns = T::WIDTH.min(product.out_columns - column);
                let bias = if product.bias.is_empty() { &zeros[..T::WIDTH] } else { &product.bias[column..] };
                let mut row = first_row;
                let n_tiles = block_rows.div_ceil(T::ROWS);
                for tile_idx in 0..n_tiles {
                    let rows = block_rows / n_tiles + usize::from(tile_idx < block_rows % n_tiles);
                    // SAFETY: `row + rows <= product.rows`, `first_step + steps <= n_in` and
                    // `column + columns <= out_columns`, so all offsets are inside the slices; a padded panel goes
                    // through a tile of its own because its result row may be too short for the whole width.
                    unsafe {
                        let c = product.out.as_mut_ptr().add(row * product.out_stride + column);
                        let operands = Operands {
                            k: steps,
                            a: product.left.as_ptr().add(row * product.left_stride + first_step),
                            a_stride: product.left_stride,
                            b: panel.as_ptr().add(first_step * T::WIDTH),
                            init: if first_step == 0 { bias.as_ptr() } else { c },
                            init_stride: if first_step == 0 { 0 } else { product.out_stride },
                            c,
                            c_stride: product.out_stride,
                        };
                        if columns == T::WIDTH {
                            T::run(rows, operands);
                        } else {
                            run_padded::<T>(rows, columns, operands);
                        }
                        if last && product.activation == Activation::Gelu {
                            for i in 0..rows {
                                gelu_row::<T>(std::slice::from_raw_parts_mut(
                                    c.add(i * product.out_stride),
                                    columns,
                                ));
                            }
                        }
                    }
                    row += rows;
                }
            }
        }
    }
}

/// Computes the tile of a padded panel aside and copies the columns that count.
///
/// # Safety
/// As for [`Tile::run`], except that rows of `init` (unless its stride is 0) and of `c` have only `columns` floats.
#[inline(always)]
unsafe fn run_padded<T: Tile>(rows: usize, columns: usize, mut operands: Operands) {
    let mut aside = [0.0f32; MAX_ROWS * MAX_WIDTH];
    let (c, c_stride) = (operands.c, operands.c_stride);
    // SAFETY: `rows * WIDTH` floats fit into `aside`; the rows of `c` are touched in their first `columns` only.
    unsafe {
        if operands.init_stride != 0 {
            for i in 0..rows {
                let from = operands.init.add(i * operands.init_stride);
                std::ptr::copy_nonoverlapping(from, aside.as_mut_ptr().add(i * T::WIDTH), columns);
            }
            operands.init = aside.as_ptr();
            operands.init_stride = T::WIDTH;
        }
        operands.c = aside.as_mut_ptr();
        operands.c_stride = T::WIDTH;
        T::run(rows, operands);
        for i in 0..rows {
            std::ptr::copy_nonoverlapping(aside.as_ptr().add(i * T::WIDTH), c.add(i * c_stride), columns);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Small numbers without a pattern that a wrong index would keep.
    fn values(n: usize, seed: usize) -> Vec<f32> {
        (0..n).map(|i| ((i * 7919 + seed * 104_729) % 2003) as f32 / 1001.0 - 1.0).collect()
    }

    fn check(rows: usize, n_in: usize, n_out: usize) {
        let (x, weight, bias) = (values(rows * n_in, 1), values(n_out * n_in, 2), values(n_out, 3));
        for isa in Isa::available() {
            let mut y = vec![f32::NAN; rows * n_out];
            let mut scratch = LinearScratch::default();
            Linear::new(isa, &weight, &bias).apply(&x, &mut y, Activation::None, &mut scratch);
            for (idx, &found) in y.iter().enumerate() {
                let (row, column) = (idx / n_out, idx % n_out);
                let pairs = x[row * n_in..][..n_in].iter().zip(&weight[column * n_in..][..n_in]);
                let exact =
                    pairs.map(|(a, b)| f64::from(*a) * f64::from(*b)).sum::<f64>() + f64::from(bias[column]);
                let error = (f64::from(found) - exact).abs();
                let length = |values: &[f32]| values.iter().map(|x| x * x).sum::<f32>().sqrt();
                let lengths = length(&x[row * n_in..][..n_in]) * length(&weight[column * n_in..][..n_in]);
                let in_fixed_point = ((n_in as f32).sqrt() + 2.0) / 32_000.0 * lengths;
                let allowed = 1e-6 * n_in as f64 + if isa.fixed() { f64::from(in_fixed_point) } else { 0.0 };
                assert!(error < allowed, "{} {rows}×{n_in}×{n_out} at {idx}: {found}, {exact}", isa.name());
            }
        }
    }

    #[test]
    fn every_shape_of_tile_and_block_is_right() {
        for rows in [0, 1, 2, 3, 5, 6, 7, 13, 14, 15, 29, BLOCK_ROWS, BLOCK_ROWS + 1] {
            check(rows, 20, 40);
        }
        for n_out in [1, 7, 8, 9, 16, 31, 32, 33, 70] {
            check(17, 5, n_out);
        }
        for n_in in [1, BLOCK_STEPS, BLOCK_STEPS + 1, 2 * BLOCK_STEPS + 3] {
            check(15, n_in, 37);
        }
    }

    #[test]
    fn no_values_make_a_sum_overflow_or_vanish() {
        let product = |x: &[f32], weight: &[f32], isa| {
            let mut y = [0.0];
            Linear::new(isa, weight, &[0.5]).apply(
                x,
                &mut y,
                Activation::None,
                &mut LinearScratch::default(),
            );
            y[0]
        };
        // A row and a column of one direction have the largest sum that their lengths allow.
        let alike = values(3072, 6).iter().map(|x| x * 1e6).collect::<Vec<_>>();
        let mut outlier = vec![1e-3; 384];
        outlier[7] = 1e3;
        for isa in Isa::available() {
            let name = isa.name();
            let expected = alike.iter().map(|x| f64::from(*x) * f64::from(*x)).sum::<f64>();
            let ratio = f64::from(product(&alike, &alike, isa)) / expected;
            assert!((ratio - 1.0).abs() < 1e-3, "{name}: {ratio}");
            assert!((product(&outlier, &outlier, isa) / 1e6 - 1.0).abs() < 1e-3, "{name}");
            assert_eq!(product(&[0.0; 9], &values(9, 7), isa), 0.5, "{name}");
            assert_eq!(product(&values(9, 7), &[0.0; 9], isa), 0.5, "{name}");
            for broken in [f32::NAN, f32::INFINITY] {
                assert!(!product(&[1.0, broken, 1.0], &[1.0; 3], isa).is_finite(), "{name}");
                assert!(!product(&[1.0; 3], &[1.0, broken, 1.0], isa).is_finite(), "{name}");
            }
        }
    }

    #[test]
    fn panels_of_a_window_leave_its_neighbours_alone() {
        // Two heads of 3 columns in rows of 6; the product of one must not touch the other.
        let (left, right) = (values(4 * 5, 4), values(5 * 6, 5));
        for isa in Isa::available() {
            let mut panels = Panels::default();
            panels.pack(isa, &right[3..], 6, (5, 3));
            let mut out = [9.0; 4 * 6];
            panel_product(
                isa,
                (&left, 5),
                4,
                &panels,
                Window { values: &mut out[3..], stride: 6, columns: 3 },
            );
            for (row, out) in out.chunks_exact(6).enumerate() {
                assert_eq!(out[..3], [9.0; 3], "{}", isa.name());
                for column in 3..6 {
                    let exact: f32 = (0..5).map(|k| left[row * 5 + k] * right[k * 6 + column]).sum();
                    assert!((out[column] - exact).abs() < 1e-5, "{}", isa.name());
                }
            }
        }
    }

    #[test]
    fn gelu_comes_after_the_bias_and_once() {
        for isa in Isa::available() {
            let weight = vec![0.0; 600 * 3];
            let (x, mut y) = (vec![1.0; 2 * 600], vec![0.0; 2 * 3]);
            let layer = Linear::new(isa, &weight, &[1.0, -1.0, 0.0]);
            layer.apply(&x, &mut y, Activation::Gelu, &mut LinearScratch::default());
            for row in y.chunks_exact(3) {
                let expected = [0.841_344_7, -0.158_655_26, 0.0];
                assert!(
                    row.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-6),
                    "{}: {row:?}",
                    isa.name()
                );
            }
        }
    }
}
