//! INTERIM: fixed z-score fusion until the study is in.

use super::arms::{Answers, Candidate, order};

/// The share of the semantic arm in this query's fusion, in `[0, 1]`.
pub fn semantic_weight(answers: &Answers) -> f32 {
    if answers.has_semantic { 0.7 } else { 0.0 }
}

/// Fuses both arms' scores, best first.
pub fn fuse(answers: &Answers) -> Vec<(Candidate, f32)> {
    let weight = semantic_weight(answers);
    let z = |value: f32, mean: f32, std: f32| if std > 0.0 { (value - mean) / std } else { 0.0 };
    let fused = answers
        .candidates
        .iter()
        .map(|candidate| {
            let lexical = z(candidate.bm25, answers.bm25_mean, answers.bm25_std);
            let semantic =
                candidate.cosine.map_or(0.0, |cosine| z(cosine, answers.cosine_mean, answers.cosine_std));
            (*candidate, weight * semantic + (1.0 - weight) * lexical)
        })
        .collect();
    order(fused)
}
