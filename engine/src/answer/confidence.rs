//! That the cited sentences answer the question: a logistic function of three plain facts.
//!
//! By how much the best sentence stands out of the rest says most: where nothing answers, many sentences bear on the subject
//! alike. Fitted on questions with an answer and without (`benches/README.md`), but for the intercept, which refuses two thirds of
//! those without; the number is an order, not a probability.

use super::Support;
use super::passages::Evidence;

/// Below this the answer is an honest none.
pub const DEFAULT_MIN: f32 = 0.5;

const INTERCEPT: f32 = -4.6;
const COSINE: f32 = 4.1;
const WORDS: f32 = 2.0;
const MARGIN: f32 = 6.7;

/// Without a model words alone have to do.
const INTERCEPT_OF_WORDS: f32 = -5.0;
const WORDS_ALONE: f32 = 11.0;

/// In `[0, 1]`.
pub fn of(evidence: &Evidence) -> f32 {
    let best = |of: fn(&Support) -> Option<f32>| evidence.supports.iter().filter_map(of).reduce(f32::max);
    let Some(words) = best(|support| Some(support.words)) else { return 0.0 };
    let logit = match best(|support| support.cosine) {
        Some(cosine) => INTERCEPT + COSINE * cosine + WORDS * words + MARGIN * evidence.margin,
        None => INTERCEPT_OF_WORDS + WORDS_ALONE * words,
    };
    1.0 / (1.0 + (-logit).exp())
}
