//! The scan over all allowed rows, on one thread or on several.

use rayon::prelude::*;

use super::allowed::{Allowed, WORD_ROWS, rows_of_word};
use super::dot::{Variant, score_block, score_listed_by};
use super::quantize::{QuantizedQuery, Rows};
use super::stats::{ScanStats, Sums};

/// From this many rows to score, a scan is split between threads; below, waking them costs as much as they save.
pub const PARALLEL_MIN_ROWS: usize = 30_000;

/// Rows of one parallel task. A multiple of 64, so that no word of a bitset is shared by two tasks.
const TASK_ROWS: usize = 8_192;

/// From this many allowed rows in a word on, the whole word is scored and the others are struck out: reading on without
/// gaps is as quick as leaving every second row out.
const DENSE_ROWS: u32 = 28;

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
