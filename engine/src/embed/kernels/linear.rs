//! Products with a packed right matrix: the encoder's linear layers and the two products of attention.
//!
//! Takes `x: [rows, n_in]`, gives `y: [rows, n_out]`, `y = x · Wᵀ + bias`, then perhaps GELU. The right matrix lies in
//! panels of [`Isa::panel_width`] columns, each panel `[n_in, width]`, the last one padded with zeros.

use super::isa::Kind;
use super::math::gelu_row;
#[cfg(target_arch = "x86_64")]
use super::tile::{Avx2, Avx512};
use super::tile::{Operands, Portable, Tile};
use super::Isa;

/// Rows that go through all panels together, so that they stay in the second cache.
const BLOCK_ROWS: usize = 112;

/// Steps of the inner dimension per pass, so that the rows of one tile stay in the first cache.
const BLOCK_STEPS: usize = 512;

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
    pub(in crate::embed) fn pack_transposed(&mut self, isa: Isa, rows: &[f32], stride: usize, shape: (usize, usize)) {
        let (n_out, n_in) = shape;
        self.reset(isa, n_in, n_out);
        let width = self.width;
        for (panel_idx, panel) in self.values.chunks_exact_mut(n_in * width).enumerate() {
            let first = panel_idx * width;
            let columns = width.min(n_out - first);
            for column in 0..columns {
                let row = &rows[(first + column) * stride..][..n_in];
                for (slot, &value) in panel[column..].iter_mut().step_by(width).zip(row) {
                    *slot = value;
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
                slots[..columns].copy_from_slice(&rows[step * stride + first..][..columns]);
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
    panels: Panels,
    bias: Vec<f32>,
}

impl Linear {
    /// Packs `weight: [n_out, n_in]`, row-major as the weight files have it, with `bias: [n_out]`.
    ///
    /// # Panics
    /// Where `weight` isn't a multiple of `bias`: the loader has checked shapes.
    pub(in crate::embed) fn new(isa: Isa, weight: &[f32], bias: &[f32]) -> Self {
        let n_in = weight.len() / bias.len();
        assert_eq!(weight.len(), n_in * bias.len(), "the loader has checked the shapes");
        let mut panels = Panels::default();
        panels.pack_transposed(isa, weight, n_in, (bias.len(), n_in));
        let mut bias = bias.to_vec();
        bias.resize(panels.padded_columns(), 0.0);
        Self { isa, panels, bias }
    }

    /// Rows of the weights: the length of a result row.
    pub(in crate::embed) fn n_out(&self) -> usize {
        self.panels.n_out
    }

    /// `y = activation(x · Wᵀ + bias)` with `x: [rows, n_in]` and `y: [rows, n_out]`.
    ///
    /// # Panics
    /// Where `x` and `y` don't have the same number of rows.
    pub(in crate::embed) fn apply(&self, x: &[f32], y: &mut [f32], activation: Activation) {
        let rows = x.len() / self.panels.n_in;
        let n_out = self.panels.n_out;
        product(self.isa, Product {
            left: x,
            left_stride: self.panels.n_in,
            rows,
            panels: &self.panels,
            bias: &self.bias,
            out: y,
            out_stride: n_out,
            out_columns: n_out,
            activation,
        });
    }
}

/// `out = left · panels` for the small products of attention.
///
/// `left: [rows, n_in]` and `out: [rows, n_out]` have row strides in floats. Where `out`'s stride is the number of
/// padded columns, the padding is written too (zeros), which is faster than to leave it out.
///
/// # Panics
/// Where a slice is shorter than its shape.
pub(in crate::embed) fn panel_product(
    isa: Isa,
    (left, left_stride): (&[f32], usize),
    rows: usize,
    panels: &Panels,
    (out, out_stride): (&mut [f32], usize),
) {
    let padded = panels.padded_columns();
    product(isa, Product {
        left,
        left_stride,
        rows,
        panels,
        bias: &[],
        out,
        out_stride,
        out_columns: if out_stride == padded { padded } else { panels.n_out },
        activation: Activation::None,
    });
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
    assert!(product.left.len() >= (rows - 1) * product.left_stride + n_in, "the left matrix is shorter than its shape");
    assert!(
        product.out_stride >= product.out_columns
            && product.out.len() >= (rows - 1) * product.out_stride + product.out_columns,
        "the result is shorter than its shape"
    );
    assert!(product.bias.is_empty() || product.bias.len() == product.panels.padded_columns(), "bias is padded");
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
                                gelu_row::<T>(std::slice::from_raw_parts_mut(c.add(i * product.out_stride), columns));
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
