//! Self-attention over several texts whose token rows stand one after the other.
//!
//! Takes `qkv: [n_tokens, 3 * hidden]` (queries already scaled by `1 / sqrt(head_dim)`), gives
//! `context: [n_tokens, hidden]`. Each text sees only itself: there is no padding and so no mask.
//!
//! Source: Vaswani et al. 2017, section 3.2, computed a few query rows at a time so that scores stay in cache.

use super::kernels::{Isa, Panels, Window, panel_product, softmax_rows};

/// Query rows whose scores are held at once; a multiple of no tile height in particular.
const QUERY_ROWS: usize = 56;

/// Memory that is reused from text to text.
#[derive(Default)]
pub(super) struct AttentionScratch {
    keys: Panels,
    values: Panels,
    scores: Vec<f32>,
}

/// The shape of multi-head attention.
#[derive(Clone, Copy)]
pub(super) struct Heads {
    /// How many.
    pub(super) n: usize,
    /// Floats in one head's row.
    pub(super) dim: usize,
}

/// Attention of one text; `qkv: [n_tokens, 3 * hidden]`, `context: [n_tokens, hidden]`, `hidden = n * dim`.
pub(super) fn attend(
    isa: Isa,
    heads: Heads,
    qkv: &[f32],
    context: &mut [f32],
    scratch: &mut AttentionScratch,
) {
    let hidden = heads.n * heads.dim;
    let stride = 3 * hidden;
    let n_tokens = qkv.len() / stride;
    for first in (0..hidden).step_by(heads.dim) {
        if n_tokens == 0 {
            return;
        }
        scratch.keys.pack_transposed(isa, &qkv[hidden + first..], stride, (n_tokens, heads.dim));
        scratch.values.pack(isa, &qkv[2 * hidden + first..], stride, (n_tokens, heads.dim));
        let columns = scratch.keys.padded_columns();
        for row in (0..n_tokens).step_by(QUERY_ROWS) {
            let rows = QUERY_ROWS.min(n_tokens - row);
            scratch.scores.resize(rows * columns, 0.0);
            let queries = (&qkv[row * stride + first..], stride);
            let scores = Window { values: &mut scratch.scores, stride: columns, columns };
            panel_product(isa, queries, rows, &scratch.keys, scores);
            softmax_rows(isa, &mut scratch.scores, columns, n_tokens);
            let out =
                Window { values: &mut context[row * hidden + first..], stride: hidden, columns: heads.dim };
            panel_product(isa, (&scratch.scores, columns), rows, &scratch.values, out);
        }
    }
}
