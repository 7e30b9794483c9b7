//! Arithmetic on vectors: 8-bit quantisation, dot products, sketches, and how scores are distributed.
//!
//! Takes rows `codes: [n, dim] i8` with `scales: [n] f32` (`row ≈ codes × scale`; scale 0: the row has no vector) and
//! gives cosines, for all rows or for listed ones.
//!
//! Nouns: [`QuantizedQuery`], [`Rows`], [`ScanStats`]; [`QuerySketch`] and [`Sketches`], one bit a number.
//!
//! Every variant (portable, AVX2, AVX-512 VNNI) gives the same integer for the same codes, so 8-bit scores are equal on
//! every machine. `f32` dot products are summed in another order by each variant: equal on one machine, within `1e-6`
//! for unit vectors between machines.
//!
//! It knows no file and no graph, and allocates only what it returns.

mod dot;
mod quantize;
mod scan;
mod sketch;
mod stats;
#[cfg(test)]
mod tests;
mod top;

pub use dot::{PairScorer, dot_f32, score_listed};
pub use quantize::{QuantizedQuery, Rows, quantize};
pub use scan::scan_i8;
pub use sketch::{QuerySketch, Sketches, distances, sketch, sketch_words};
pub use stats::ScanStats;
pub use top::{best_first, keep_best, top_k};
