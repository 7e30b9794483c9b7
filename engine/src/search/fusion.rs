//! Both arms' scores of the same chunks become one, by a weight that follows the query.
//!
//! `score = z + w · b`, where `z` is a chunk's cosine in standard deviations above the mean of all cosines in the scope,
//! and `b` its BM25 over the best BM25 in the scope. The weight of the words follows the query:
//!
//! `w = A · p · c / T^1.5`
//!
//! It rises with `p`, the word pieces per word of the query (how foreign it is to the model), and with `c`, the share of
//! the query's weight that the best lexical hits hold; it falls with `T`, the best `z` (how far the best meaning stands
//! out). Own formula: the form was chosen over some 40 rankings of seven families of data, leaving each family out in
//! turn; `A` is where the objective of that choice peaks. A fixed weight loses up to ten points of nDCG@10 where one arm
//! is far better than the other; `benches/README.md` has the comparison, and what the choice has seen.

use super::arms::{Answers, Candidate, order};

/// The weight of the words at `p = c = T = 1`.
const A: f32 = 44.0;
/// Power of `T`.
const PEAK_POWER: f32 = 1.5;
/// Bounds of `p`.
const PIECES: (f32, f32) = (1.0, 6.0);
/// Coverage counts as at least this.
const MIN_COVERAGE: f32 = 0.05;

/// The share of the semantic arm in this query's fusion, in `[0, 1]`: what its best hit brings, over what the best hits
/// of both bring.
pub fn semantic_weight(answers: &Answers) -> f32 {
    if !answers.has_semantic {
        return 0.0;
    }
    let best = best_z(answers).max(0.0);
    let words = if answers.bm25_max > 0.0 { word_weight(answers) } else { 0.0 };
    if best + words > 0.0 { best / (best + words) } else { 0.5 }
}

/// Fuses both arms' scores, best first.
pub fn fuse(answers: &Answers) -> Vec<(Candidate, f32)> {
    if !answers.has_semantic {
        return answers.by_bm25();
    }
    let weight = word_weight(answers);
    let fused = answers
        .candidates
        .iter()
        .map(|candidate| {
            // A chunk whose vector is still to come stands where an average one would.
            let meaning = candidate.cosine.map_or(0.0, |cosine| z(answers, cosine));
            let words = if answers.bm25_max > 0.0 { candidate.bm25 / answers.bm25_max } else { 0.0 };
            (*candidate, meaning + weight * words)
        })
        .collect();
    order(fused)
}

fn word_weight(answers: &Answers) -> f32 {
    let pieces = answers.pieces_per_word.clamp(PIECES.0, PIECES.1);
    A * pieces * answers.coverage.max(MIN_COVERAGE) / best_z(answers).max(1.0).powf(PEAK_POWER)
}

fn best_z(answers: &Answers) -> f32 {
    let best =
        answers.candidates.iter().filter_map(|candidate| candidate.cosine).fold(f32::NEG_INFINITY, f32::max);
    if best.is_finite() { z(answers, best) } else { 0.0 }
}

fn z(answers: &Answers, cosine: f32) -> f32 {
    if answers.cosine_std > 0.0 { (cosine - answers.cosine_mean) / answers.cosine_std } else { 0.0 }
}
