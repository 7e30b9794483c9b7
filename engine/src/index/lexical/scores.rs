use crate::index::ChunkRef;
use crate::index::kernels::keep_best;

/// Where fewer than one document in so many stands under a term, scores are listed, and not one kept for each document.
const SPARSE: usize = 16;

/// BM25 of one generation's chunks.
#[derive(Debug)]
pub struct LexicalScores {
    segments: Vec<SegmentScores>,
}

/// BM25 of one segment's documents. Both forms hold the same numbers.
#[derive(Debug, PartialEq)]
pub(super) enum SegmentScores {
    /// Every document's; 0 where no term matches.
    Dense(Vec<f32>),
    /// By document, of those that a term matches.
    Sparse(Vec<(u32, f32)>),
}

impl LexicalScores {
    pub(super) fn new(segments: Vec<SegmentScores>) -> Self {
        Self { segments }
    }

    /// A chunk's score; 0 where no term matches or the chunk is not allowed.
    pub fn of(&self, chunk: ChunkRef) -> f32 {
        let found = match self.segments.get(chunk.segment as usize) {
            None => None,
            Some(SegmentScores::Dense(scores)) => scores.get(chunk.doc as usize).copied(),
            Some(SegmentScores::Sparse(scores)) => {
                let at = scores.binary_search_by_key(&chunk.doc, |(doc, _)| *doc);
                at.ok().map(|at| scores[at].1)
            }
        };
        found.unwrap_or(0.0)
    }

    /// The `n` best above 0 with all that tie with the last of them, in no order.
    pub(super) fn best(&self, n: usize) -> Vec<(ChunkRef, f32)> {
        let mut best = Best { n, cut: 0.0, all: Vec::new(), room: n.saturating_mul(4).max(1024) };
        for (segment, scores) in (0..).zip(&self.segments) {
            let mut offer = |doc, score| best.offer(ChunkRef { segment, doc }, score);
            match scores {
                SegmentScores::Dense(scores) => {
                    (0..).zip(scores).for_each(|(doc, score)| offer(doc, *score));
                }
                SegmentScores::Sparse(scores) => scores.iter().for_each(|(doc, score)| offer(*doc, *score)),
            }
        }
        keep_best(&mut best.all, n);
        best.all
    }
}

/// The best so far, and a score that whatever is still to come has to reach.
struct Best {
    n: usize,
    cut: f32,
    all: Vec<(ChunkRef, f32)>,
    /// When so many have come, the worst of them go.
    room: usize,
}

impl Best {
    fn offer(&mut self, chunk: ChunkRef, score: f32) {
        if score > 0.0 && score >= self.cut {
            self.all.push((chunk, score));
            if self.all.len() >= self.room {
                keep_best(&mut self.all, self.n);
                // Where thousands tie none of them go: looking again at each further one would take their square.
                self.room = self.room.max(self.all.len().saturating_mul(2));
                self.cut = self.all.iter().map(|(_, score)| *score).fold(f32::INFINITY, f32::min);
            }
        }
    }
}

/// Adds up `weight · part(document, frequency)` over the terms that a document stands under, in the terms' order.
pub(super) fn segment_scores<'a>(
    n_docs: usize,
    terms: impl Iterator<Item = (&'a [(u32, u32)], f32)> + Clone,
    part: impl Fn(u32, u32) -> Option<f32>,
) -> SegmentScores {
    let parts =
        || terms.clone().flat_map(|(docs, weight)| docs.iter().map(move |(doc, freq)| (*doc, *freq, weight)));
    let parts = || parts().filter_map(|(doc, freq, weight)| Some((doc, weight * part(doc, freq)?)));
    let n_matches: usize = terms.clone().map(|(docs, _)| docs.len()).sum();
    if n_matches < n_docs / SPARSE {
        let mut listed: Vec<(u32, f32)> = parts().collect();
        listed.sort_by_key(|(doc, _)| *doc); // Stable, so a document's terms stay in their order.
        listed.dedup_by(|next, first| {
            let is_same = next.0 == first.0;
            if is_same {
                first.1 += next.1;
            }
            is_same
        });
        return SegmentScores::Sparse(listed);
    }
    let mut scores = vec![0.0; n_docs];
    parts().for_each(|(doc, score)| scores[doc as usize] += score);
    SegmentScores::Dense(scores)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One look at each tie for each further tie would take ten thousand million of them.
    #[test]
    fn as_many_as_tie_are_kept() {
        let scores = LexicalScores::new(vec![SegmentScores::Dense(vec![1.5; 100_000])]);
        assert_eq!(scores.best(10).len(), 100_000);
    }

    #[test]
    fn listed_scores_are_those_kept_for_each_document() {
        let one: Vec<(u32, u32)> = (0..400).map(|doc| (doc * 7, doc % 5 + 1)).collect();
        let two: Vec<(u32, u32)> = (0..300).map(|doc| (doc * 11, doc % 3 + 1)).collect();
        let terms = [(one.as_slice(), 1.7f32), (two.as_slice(), 0.3), (&[], 9.0)];
        let part = |doc: u32, frequency: u32| {
            (!doc.is_multiple_of(13)).then(|| frequency as f32 / (frequency as f32 + 1.1))
        };
        let sparse = segment_scores(20_000, terms.iter().copied(), part);
        let dense = segment_scores(4_000, terms.iter().copied(), part);
        assert!(matches!((&sparse, &dense), (SegmentScores::Sparse(_), SegmentScores::Dense(_))));
        let (sparse, dense) = (LexicalScores::new(vec![sparse]), LexicalScores::new(vec![dense]));
        for doc in 0..4_000 {
            let chunk = ChunkRef { segment: 0, doc };
            assert_eq!(sparse.of(chunk).to_bits(), dense.of(chunk).to_bits(), "{doc}");
        }
        for n in [0, 1, 10, 500, 5_000] {
            let sorted = |scores: &LexicalScores| {
                let mut best = scores.best(n);
                best.sort_by_key(|(chunk, _)| *chunk);
                best
            };
            assert_eq!(sorted(&sparse), sorted(&dense), "{n}");
        }
        assert_eq!(sparse.of(ChunkRef { segment: 3, doc: 0 }), 0.0);
    }
}
