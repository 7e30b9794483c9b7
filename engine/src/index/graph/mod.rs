//! The flat form of a navigable small-world graph over a segment's rows, and the walk through it.
//!
//! Takes bytes that `hnsw` made, wherever they lie (memory, a mapped file); gives the rows nearest to a query. Opening checks every number, so that a damaged file is an error and never a panic.
//!
//! Nouns: [`Graph`], [`Layer`] (what it is encoded from). It holds links only; rows come from the caller.

mod format;
#[cfg(test)]
mod tests;
mod walk;

pub use format::{Graph, Layer, encode};
pub use walk::{EF_SEARCH, GRAPH_MIN_ROWS, Growing};
