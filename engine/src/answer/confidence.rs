//! That the cited sentences answer the question: a logistic function of three plain facts.
//!
//! The weights were set by hand and looked at on one set (`benches/README.md`); they are not a fit, and the number is an
//! order, not a probability.

use super::Support;
use crate::search::Hits;

/// Below this the answer is an honest none.
pub const DEFAULT_MIN: f32 = 0.5;

const INTERCEPT: f32 = -5.0;
const BEST_COSINE: f32 = 5.0;
const HIT_COSINE: f32 = 2.5;
const WORDS: f32 = 3.5;

/// In `[0, 1]`.
pub fn of(hits: &Hits, supports: &[Support]) -> f32 {
    let words = supports.iter().map(|support| support.words).fold(0.0, f32::max);
    let cosine = supports.iter().filter_map(|support| support.cosine).fold(f32::NEG_INFINITY, f32::max);
    let hit_cosine = hits.hits.iter().filter_map(|hit| hit.ranks.cosine).fold(f32::NEG_INFINITY, f32::max);
    let (cosine, hit_cosine) = if cosine.is_finite() { (cosine, hit_cosine) } else { (words, words) };
    let logit = INTERCEPT + BEST_COSINE * cosine + HIT_COSINE * hit_cosine.max(0.0) + WORDS * words;
    if supports.is_empty() { 0.0 } else { 1.0 / (1.0 + (-logit).exp()) }
}
