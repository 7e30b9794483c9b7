//! The scan over all rows, on one thread or on several.

use rayon::prelude::*;

use super::dot::{Variant, score_block};
use super::quantize::{QuantizedQuery, Rows};

/// From this many rows on a scan is split between threads; below, waking them costs as much as they save.
const PARALLEL_MIN_ROWS: usize = 30_000;

/// Rows of one parallel task.
const TASK_ROWS: usize = 8_192;

/// Scores every row against a query: `out[row]` = approximate cosine, `NEG_INFINITY` where the row has no vector.
///
/// For unit vectors of 384 numbers the score is within 0.01 of the exact cosine; rescore the best from the exact rows.
///
/// # Panics
/// Where the lengths don't fit each other.
pub fn scan_i8(query: &QuantizedQuery, rows: Rows<'_>, out: &mut [f32]) {
    assert_eq!(query.dim(), rows.dim, "the query has the rows' dimension");
    assert_eq!(out.len(), rows.len(), "one score a row");
    let variant = Variant::detect();
    if rows.len() < PARALLEL_MIN_ROWS {
        return score_block(variant, query, rows, out);
    }
    out.par_chunks_mut(TASK_ROWS).enumerate().for_each(|(task_idx, out)| {
        score_block(variant, query, rows.slice(task_idx * TASK_ROWS, out.len()), out);
    });
}
