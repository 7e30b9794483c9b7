//! The lexical arm: the chunks of some generations together in which the words of a query weigh most.
//!
//! Takes generations with what a scope allows in each; gives the best chunks by BM25, and the score of any other. Noun:
//! [`Bm25Query`]. Documents are taken a window at a time. Terms are read from the heaviest to the lightest, and once the
//! lighter ones together can't lift a chunk among the best, they are only looked up in chunks that the heavier ones put
//! forward; what comes out is what reading all of them gives, to the bit. A chunk's score is added up in that same order
//! of terms wherever it is asked for.
//!
//! Source: Turtle, Flood, «Query evaluation: strategies and optimizations», 1995 (MaxScore).

use std::sync::Arc;

use tantivy::postings::{BlockSegmentPostings, TermInfo};
use tantivy::schema::IndexRecordOption;
use tantivy::{InvertedIndexReader, Term};

use super::damage::guarded;
use super::reader::Segment;
use super::scope::{DocSet, SegmentDocs};
use super::{IndexError, Searcher};
use crate::index::ChunkRef;
use crate::index::bm25::{self, Saturations};
use crate::index::kernels::keep_best;

/// Documents whose scores are added up together; they fit a core's nearest cache.
const WINDOW: usize = 4096;

/// To look a term up under one document takes about as long as to read so many of its postings.
const POSTINGS_PER_LOOK_UP: u64 = 32;

/// A query's terms over some generations together, weighed by how rare they are inside a scope.
pub struct Bm25Query<'a> {
    parts: Vec<Part<'a>>,
    weights: Vec<f32>,
    /// The terms that stand in a scope, heaviest first.
    order: Vec<usize>,
    saturations: Saturations,
}

/// One segment of one generation, and where it keeps each term.
struct Part<'a> {
    source: usize,
    segment_idx: u32,
    segment: &'a Segment,
    inverted: Arc<InvertedIndexReader>,
    terms: Vec<Option<TermInfo>>,
}

/// What a chunk holds of a query.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Held {
    /// BM25; 0 where no term stands in the chunk.
    pub bm25: f32,
    /// The weights of its terms, added up.
    pub weight: f32,
}

/// A chunk of a generation with its BM25.
type Scored = ((usize, ChunkRef), f32);

impl<'a> Bm25Query<'a> {
    /// Weighs `terms`, each with its factor, inside `scopes`; every statistic is theirs.
    ///
    /// # Errors
    /// [`IndexError`] where the postings can't be read.
    pub fn new(scopes: &[(&'a Searcher, &DocSet)], terms: &[(String, f32)]) -> Result<Self, IndexError> {
        let mut parts = Vec::new();
        let mut n_with_term = vec![0u64; terms.len()];
        for (source, (searcher, scope)) in scopes.iter().enumerate() {
            let first = parts.len();
            guarded("postings", || {
                for (segment_idx, (segment, reader)) in (0..).zip(searcher.readers()) {
                    let inverted = reader.inverted_index(searcher.body())?;
                    let find = |(text, _): &(String, f32)| {
                        inverted.get_term_info(&Term::from_field_text(searcher.body(), text))
                    };
                    let terms = terms.iter().map(find).collect::<Result<_, _>>()?;
                    parts.push(Part { source, segment_idx, segment, inverted, terms });
                }
                for (term_idx, (text, _)) in terms.iter().enumerate() {
                    n_with_term[term_idx] += count(&parts[first..], term_idx, text, scope)?;
                }
                Ok(())
            })?;
        }
        let n_chunks: u64 = scopes.iter().map(|(_, scope)| scope.n_chunks).sum();
        let n_terms: u64 = scopes.iter().map(|(_, scope)| scope.n_terms).sum();
        let mean_len = if n_chunks == 0 { 0.0 } else { (n_terms as f64 / n_chunks as f64) as f32 };
        let weigh = |((_, factor), n): (&(String, f32), &u64)| factor * bm25::idf(*n, n_chunks);
        let weights: Vec<f32> = terms.iter().zip(&n_with_term).map(weigh).collect();
        let mut order: Vec<usize> = (0..terms.len()).filter(|term| n_with_term[*term] > 0).collect();
        order.sort_by(|a, b| weights[*b].total_cmp(&weights[*a]));
        let decode = tantivy::fieldnorm::FieldNormReader::id_to_fieldnorm;
        Ok(Self { parts, weights, order, saturations: Saturations::new(mean_len, decode) })
    }

    /// Each term's weight: its factor times its idf in the scope.
    pub fn weights(&self) -> &[f32] {
        &self.weights
    }

    /// The `n` best allowed chunks that hold a term, best first, ties by generation and by [`Searcher::place`]; `allowed`
    /// has one set for each generation.
    ///
    /// # Errors
    /// [`IndexError`] where the postings can't be read.
    pub fn best(&self, allowed: &[Arc<DocSet>], n: usize) -> Result<Vec<Scored>, IndexError> {
        let mut best = Best::new(n);
        guarded("postings", || {
            for part in &self.parts {
                let docs = &allowed[part.source].segments[part.segment_idx as usize];
                self.offer(part, docs, &mut best)?;
            }
            Ok(())
        })?;
        let place = |(source, chunk): &(usize, ChunkRef)| {
            let part = self.parts.iter().find(|part| part.is_of(*source, *chunk));
            (*source, part.map(|part| part.segment.place(chunk.doc)))
        };
        let order = |a: &Scored, b: &Scored| b.1.total_cmp(&a.1).then_with(|| place(&a.0).cmp(&place(&b.0)));
        let mut best = best.take();
        // Thousands may tie, and only so many are asked for.
        if n > 0 && best.len() > n {
            best.select_nth_unstable_by(n - 1, order);
            best.truncate(n);
        }
        best.sort_unstable_by(order);
        Ok(best)
    }

    /// What each of some chunks holds, in their order.
    ///
    /// # Errors
    /// [`IndexError`] where the postings can't be read.
    pub fn held(&self, chunks: &[(usize, ChunkRef)]) -> Result<Vec<Held>, IndexError> {
        let mut held = vec![Held::default(); chunks.len()];
        let mut wanted: Vec<usize> = (0..chunks.len()).collect();
        wanted.sort_by_key(|idx| chunks[*idx]);
        guarded("postings", || {
            for wanted in wanted.chunk_by(|a, b| {
                let segment = |idx: usize| (chunks[idx].0, chunks[idx].1.segment);
                segment(*a) == segment(*b)
            }) {
                let (source, chunk) = chunks[wanted[0]];
                let Some(part) = self.parts.iter().find(|part| part.is_of(source, chunk)) else { continue };
                for mut term in self.cursors(part)? {
                    for idx in wanted {
                        let doc = chunks[*idx].1.doc;
                        if let Some(frequency) = term.seek(doc) {
                            held[*idx].bm25 += term.weight * self.saturation(part, doc, frequency);
                            held[*idx].weight += term.weight;
                        }
                    }
                }
            }
            Ok(())
        })?;
        Ok(held)
    }

    /// The terms that stand in a segment, heaviest first.
    fn cursors(&self, part: &Part<'_>) -> Result<Vec<Cursor>, IndexError> {
        let found =
            self.order.iter().filter_map(|term| Some((part.terms[*term].as_ref()?, self.weights[*term])));
        found.map(|(info, weight)| Cursor::open(&part.inverted, info, weight)).collect()
    }

    fn saturation(&self, part: &Part<'_>, doc: u32, frequency: u32) -> f32 {
        self.saturations.of(frequency, part.segment.length_of_doc[doc as usize])
    }

    /// Offers what a segment has, in the quicker of two ways.
    fn offer(&self, part: &Part<'_>, allowed: &SegmentDocs, best: &mut Best) -> Result<(), IndexError> {
        let terms = self.cursors(part)?;
        let n_to_read: u64 = terms.iter().map(Cursor::n_postings).sum();
        let n_one_by_one: u64 = terms.iter().map(|term| term.n_postings().min(look_ups_cost(allowed))).sum();
        match &allowed.bits {
            Some(bits) if n_one_by_one * 2 < n_to_read => {
                self.offer_few(part, allowed, bits, terms, best);
            }
            _ => self.offer_read(part, allowed, terms, best),
        }
        Ok(())
    }

    /// Where few documents are allowed: a dense term is looked up under each of them, a rare one is read.
    fn offer_few(
        &self,
        part: &Part<'_>,
        allowed: &SegmentDocs,
        bits: &[u64],
        mut terms: Vec<Cursor>,
        best: &mut Best,
    ) {
        let docs: Vec<u32> = ones(bits).collect();
        for docs in docs.chunks(WINDOW) {
            let (Some(last), mut scores) = (docs.last(), vec![0.0; docs.len()]) else { return };
            for term in &mut terms {
                let weight = term.weight;
                let mut add = |at: usize, doc: u32, frequency: u32| {
                    scores[at] += weight * self.saturation(part, doc, frequency);
                };
                if look_ups_cost(allowed) < term.n_postings() {
                    for (at, doc) in docs.iter().enumerate() {
                        if let Some(frequency) = term.seek(*doc) {
                            add(at, *doc, frequency);
                        }
                    }
                } else {
                    term.read_until(last.saturating_add(1), |doc, frequency| {
                        if allowed.allows(doc)
                            && let Ok(at) = docs.binary_search(&doc)
                        {
                            add(at, doc, frequency);
                        }
                    });
                }
            }
            let found = docs.iter().copied().zip(scores);
            part.offer(best, found.filter(|(_, score)| *score > 0.0));
        }
    }

    /// Where many documents are allowed: MaxScore, a window at a time.
    fn offer_read(&self, part: &Part<'_>, allowed: &SegmentDocs, mut terms: Vec<Cursor>, best: &mut Best) {
        let still = still_to_come(&terms);
        // Sums are rounded at each step; whoever falls short by no more than that may still be one of the best.
        let tolerance = 1.0 - 4.0 * f32::EPSILON * terms.len() as f32;
        let mut window = Window::new();
        let mut found: Vec<(u32, f32)> = Vec::new();
        loop {
            let floor = best.cut * tolerance;
            let n_read = still.iter().position(|still| *still < floor).unwrap_or(terms.len());
            let (read, looked_up) = terms.split_at_mut(n_read);
            let Some(start) = read.iter().filter_map(Cursor::next).min() else { return };
            window.start = start;
            for term in read {
                let weight = term.weight;
                term.read_until(start.saturating_add(WINDOW as u32), |doc, frequency| {
                    window.add(doc, weight * self.saturation(part, doc, frequency));
                });
            }
            window.drain(|doc, score| {
                if score + still[n_read] >= floor && allowed.allows(doc) {
                    found.push((doc, score));
                }
            });
            self.look_up(part, looked_up, &mut found, floor);
            part.offer(best, found.drain(..));
        }
    }

    /// Adds what terms bring to documents, ascending; those that can't reach `floor` any more go.
    fn look_up(&self, part: &Part<'_>, terms: &mut [Cursor], found: &mut Vec<(u32, f32)>, floor: f32) {
        let still = still_to_come(terms);
        for (term, still) in terms.iter_mut().zip(&still[1..]) {
            found.retain_mut(|(doc, score)| {
                if let Some(frequency) = term.seek(*doc) {
                    *score += term.weight * self.saturation(part, *doc, frequency);
                }
                *score + still >= floor
            });
        }
    }
}

/// What it takes to look a term up under every allowed document, as a number of postings that are read in that time.
fn look_ups_cost(allowed: &SegmentDocs) -> u64 {
    u64::from(allowed.n_docs) * POSTINGS_PER_LOOK_UP
}

impl Part<'_> {
    fn offer(&self, best: &mut Best, found: impl Iterator<Item = (u32, f32)>) {
        found.for_each(|(doc, score)| {
            best.offer((self.source, ChunkRef { segment: self.segment_idx, doc }), score);
        });
    }

    fn is_of(&self, source: usize, chunk: ChunkRef) -> bool {
        self.source == source && self.segment_idx == chunk.segment
    }
}

/// What the terms from each one on can add to a score at most; 0 behind the last.
fn still_to_come(terms: &[Cursor]) -> Vec<f32> {
    let mut still = vec![0.0f32; terms.len() + 1];
    for (idx, term) in terms.iter().enumerate().rev() {
        still[idx] = still[idx + 1] + term.weight * bm25::MAX_SATURATION;
    }
    still
}

/// A term is counted in a restricted scope once, if it stands in so many documents.
const COUNTED_ONCE: u32 = 4096;

/// How many chunks of a scope hold a term; `parts` are those of the scope's generation.
fn count(parts: &[Part<'_>], term_idx: usize, text: &str, scope: &DocSet) -> Result<u64, IndexError> {
    let found = || {
        parts
            .iter()
            .zip(&scope.segments)
            .filter_map(|(part, docs)| Some((part, docs, part.terms[term_idx].as_ref()?)))
    };
    let n_to_read: u32 =
        found().filter(|(_, docs, _)| docs.bits.is_some()).map(|(_, _, info)| info.doc_freq).sum();
    if n_to_read >= COUNTED_ONCE
        && let Some(known) = scope.known_count(text)
    {
        return Ok(known);
    }
    let mut n = 0;
    for (part, docs, info) in found() {
        n += match &docs.bits {
            None => u64::from(info.doc_freq),
            Some(bits) => count_allowed(
                part.inverted.read_block_postings_from_terminfo(info, IndexRecordOption::Basic)?,
                docs,
                bits,
            ),
        };
    }
    if n_to_read >= COUNTED_ONCE {
        scope.keep_count(text, n);
    }
    Ok(n)
}

/// A term in more than so many documents for each allowed one is looked up under the allowed ones.
const POSTINGS_PER_ALLOWED: u32 = 16;

fn count_allowed(mut postings: BlockSegmentPostings, docs: &SegmentDocs, bits: &[u64]) -> u64 {
    if docs.n_docs < postings.doc_freq() / POSTINGS_PER_ALLOWED {
        return ones(bits)
            .filter(|doc| {
                let at = postings.seek(*doc);
                postings.doc(at) == *doc
            })
            .count() as u64;
    }
    let mut n = 0;
    while postings.block_len() > 0 {
        n += postings.docs().iter().filter(|doc| docs.allows(**doc)).count() as u64;
        postings.advance();
    }
    n
}

/// The numbers of the bits that are set, ascending.
fn ones(bits: &[u64]) -> impl Iterator<Item = u32> + '_ {
    (0..).zip(bits).flat_map(|(word_idx, word)| {
        let rests = std::iter::successors(Some(*word), |rest| Some(rest & rest.wrapping_sub(1)));
        rests.take_while(|rest| *rest != 0).map(move |rest| word_idx * 64 + rest.trailing_zeros())
    })
}

/// Goes forward through one term's documents, block by block.
struct Cursor {
    postings: BlockSegmentPostings,
    /// In the block, while the term is read and not looked up.
    at: usize,
    weight: f32,
}

impl Cursor {
    fn open(inverted: &InvertedIndexReader, info: &TermInfo, weight: f32) -> Result<Self, IndexError> {
        let postings = inverted.read_block_postings_from_terminfo(info, IndexRecordOption::WithFreqs)?;
        Ok(Self { postings, at: 0, weight })
    }

    fn n_postings(&self) -> u64 {
        u64::from(self.postings.doc_freq())
    }

    /// The first document that was not given yet.
    fn next(&self) -> Option<u32> {
        self.postings.docs().get(self.at).copied()
    }

    /// Gives every document below `end` that was not given yet, with the term's frequency in it.
    fn read_until(&mut self, end: u32, mut give: impl FnMut(u32, u32)) {
        loop {
            let (docs, frequencies) = (self.postings.docs(), self.postings.freqs());
            let Some(last) = docs.last() else { return };
            let until = if *last < end { docs.len() } else { docs.partition_point(|doc| *doc < end) };
            for (doc, frequency) in docs.iter().zip(frequencies).take(until).skip(self.at) {
                give(*doc, *frequency);
            }
            if until < docs.len() {
                self.at = until;
                return;
            }
            self.postings.advance();
            self.at = 0;
        }
    }

    /// The term's frequency in a document; documents are asked for in ascending order.
    fn seek(&mut self, doc: u32) -> Option<u32> {
        let at = self.postings.seek(doc);
        (self.postings.doc(at) == doc).then(|| self.postings.freq(at))
    }
}

/// The scores of some documents side by side.
struct Window {
    start: u32,
    scores: Vec<f32>,
    /// A bit for each document that has a score.
    touched: [u64; WINDOW / 64],
}

impl Window {
    fn new() -> Self {
        Self { start: 0, scores: vec![0.0; WINDOW], touched: [0; WINDOW / 64] }
    }

    #[inline]
    fn add(&mut self, doc: u32, score: f32) {
        let at = (doc - self.start) as usize;
        self.scores[at] += score;
        self.touched[at / 64] |= 1 << (at % 64);
    }

    /// Gives each document with its score, ascending; none is left.
    fn drain(&mut self, mut give: impl FnMut(u32, f32)) {
        for at in ones(&self.touched) {
            give(self.start + at, std::mem::take(&mut self.scores[at as usize]));
        }
        self.touched.fill(0);
    }
}

/// The best so far, and a score that whatever is still to come has to reach.
struct Best {
    n: usize,
    cut: f32,
    all: Vec<Scored>,
    /// When so many have come, the worst of them go.
    room: usize,
}

impl Best {
    fn new(n: usize) -> Self {
        Self { n, cut: 0.0, all: Vec::new(), room: n.saturating_mul(2).max(256) }
    }

    fn offer(&mut self, chunk: (usize, ChunkRef), score: f32) {
        if score >= self.cut {
            self.all.push((chunk, score));
            if self.all.len() >= self.room {
                keep_best(&mut self.all, self.n);
                // Where thousands tie none of them go: looking again at each further one would take their square.
                self.room = self.room.max(self.all.len().saturating_mul(2));
                self.cut = self.all.iter().map(|(_, score)| *score).fold(f32::INFINITY, f32::min);
            }
        }
    }

    /// The `n` best with all that tie with the last of them, in no order.
    fn take(mut self) -> Vec<Scored> {
        keep_best(&mut self.all, self.n);
        self.all
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// One look at each tie for each further tie would take ten thousand million of them.
    #[test]
    fn as_many_as_tie_are_kept() {
        let mut best = Best::new(10);
        (0..100_000).for_each(|doc| best.offer((0, ChunkRef { segment: 0, doc }), 1.5));
        assert_eq!(best.take().len(), 100_000);
    }

    proptest! {
        #[test]
        fn the_cut_loses_none_of_the_best(scores in prop::collection::vec(0u8..60, 0..3000), n in 1usize..40) {
            let mut best = Best::new(n);
            let chunk = |doc| (0, ChunkRef { segment: 0, doc });
            (0..).zip(&scores).for_each(|(doc, score)| best.offer(chunk(doc), f32::from(*score)));
            let mut sorted = scores.clone();
            sorted.sort_unstable_by(|a, b| b.cmp(a));
            let cut = sorted.get(n - 1).copied().unwrap_or(0);
            let expected = scores.iter().filter(|score| **score >= cut).count();
            prop_assert_eq!(best.take().len(), expected);
        }

        #[test]
        fn the_bits_of_a_set_are_its_numbers(numbers in prop::collection::btree_set(0u32..400, 0..60)) {
            let mut bits = vec![0u64; 7];
            numbers.iter().for_each(|number| bits[*number as usize / 64] |= 1 << (number % 64));
            prop_assert_eq!(ones(&bits).collect::<Vec<_>>(), numbers.into_iter().collect::<Vec<_>>());
        }
    }
}
