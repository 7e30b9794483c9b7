//! A second look at the best hits by a model that reads query and text together.
//!
//! No such model can be had from a package index today, so none is built in; whoever has one implements [`Reranker`].

use super::{Degraded, Hit, ParsedQuery};

/// Reads a query and texts together, and says how well each answers it.
pub trait Reranker: Send + Sync {
    /// One score per text, higher is better, all finite.
    ///
    /// # Errors
    /// A sentence for the answer's `degraded`; the order stays as it was.
    fn score(&self, query: &str, texts: &[&str]) -> Result<Vec<f32>, String>;
}

/// Hits that are looked at again.
const DEPTH: usize = 50;

/// Puts the first hits into the reranker's order; the rest keep theirs behind them.
pub fn rerank(reranker: &dyn Reranker, query: &ParsedQuery, hits: &mut [Hit], degraded: &mut Vec<Degraded>) {
    let depth = hits.len().min(DEPTH);
    let texts: Vec<&str> = hits[..depth].iter().map(|hit| hit.record.text.as_str()).collect();
    match reranker.score(&query.text, &texts) {
        Ok(scores) if scores.len() == depth => {
            for (hit, score) in hits[..depth].iter_mut().zip(scores) {
                hit.score = score;
            }
            hits[..depth].sort_by(|a, b| b.score.total_cmp(&a.score));
        }
        Ok(scores) => degraded.push(Degraded {
            stage: "rerank",
            reason: format!(
                "the reranker gave {} scores for {depth} texts; the order is the search's own",
                scores.len()
            ),
        }),
        Err(reason) => degraded.push(Degraded { stage: "rerank", reason }),
    }
}
