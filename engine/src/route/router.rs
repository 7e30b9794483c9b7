//! The router: fitted over the entries that one may see, it ranks them for an intent and says how sure it is.
//!
//! An intent's score for an entry is `z = w · (Z, cd, cl)`: the logit `Z` of a logistic regression over embedding, middle
//! view and words, trained on the entries' examples and descriptions; the cosine `cd` to what the entry says of itself;
//! and the likeness `cl` to its words. The three weights are fitted on examples that the regression did not see, which is
//! what makes `softmax(z)` a probability. Where no entry has an example there is no regression, and the weights are
//! constants. A counterexample that is nearer to the intent than all that speaks for its entry takes away from the score.
//!
//! Constants were chosen on the validation splits of two public sets together, at 0 to 100 examples a route.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::book::{Embedded, Intent, Spoken};
use super::calibration::{Calibration, Trial, confidence};
use super::described::{Described, unit};
use super::lexicon::{Grain, Lexicon, Sparse};
use super::logistic::{Logistic, Rows};
use super::weights::{self, Sample, softmax};
use super::{Book, Role};
use crate::embed::Features;
use crate::index::dot_f32;

/// How much words count beside the embedding, as a share of squared length; the middle view counts as much as that.
const WORDS_SHARE: f32 = 0.7;
/// How much the nearest centre counts in how familiar an intent is, beside the largest score.
const CENTRE_SHARE: f64 = 10.0;
/// What being nearer to a counterexample than to an entry's own texts costs, for each unit of cosine.
const COUNTER_COST: f64 = 60.0;
/// From so many rows on words of a single row are left out.
const RARE_MIN_ROWS: usize = 1000;
/// Rows × classes that a regression is fitted over at most: some seconds of one core.
const MAX_CELLS: usize = 4_000_000;
/// Entries that are all scored; of more, only the nearest.
const SCORED_ALL: usize = 2000;
/// Examples of an entry are left out in so many turns.
const FOLDS: usize = 5;
/// From so many examples on there are twice as many turns, of which only the first are taken.
const MANY_EXAMPLES: usize = 4000;
/// Trials that are enough to fit three weights and a curve.
const MAX_TRIALS: usize = 1500;
/// Descriptions nearer to each other than this speak of the same.
const SAME: f32 = 0.95;
/// Candidates whose nearest text is looked up.
pub(super) const TOLD: usize = 50;

/// Ranks entries for intents.
pub struct Router {
    entries: Vec<Arc<Embedded>>,
    book: Book,
    dim: usize,
    pub(super) words: Lexicon,
    described: Described,
    fitted: Fitted,
    weights: [f64; 3],
    pub(super) calibration: Calibration,
    trials: Vec<Trial>,
}

/// What is fitted on rows.
struct Fitted {
    head: Option<Logistic>,
    /// The mean of an entry's rows, `[dim]`, L2-normalised; empty without vectors.
    centres: Vec<Vec<f32>>,
}

/// A text that speaks for an entry.
#[derive(Clone, Copy)]
struct Row<'a> {
    entry: usize,
    document: usize,
    text: &'a Spoken,
    /// Its number among its entry's examples.
    example: Option<usize>,
}

/// An example that was left out.
struct LeftOut {
    sample: Sample,
    document: usize,
    centre: f64,
}

/// How entries share an intent among them.
struct Shares {
    /// Ascending.
    entries: Vec<usize>,
    /// Of all entries, whether they are candidates or not.
    likenesses: Vec<f32>,
    /// One for each of them.
    probabilities: Vec<f64>,
    /// The same by what they say of themselves alone.
    described: Vec<f64>,
    familiarity: f64,
    centre: f64,
}

impl Shares {
    /// The square roots of both shares: a small share still counts.
    fn roots(&self) -> impl Iterator<Item = (usize, (f64, f64))> {
        let both = self.probabilities.iter().zip(&self.described);
        self.entries.iter().zip(both).map(|(entry, (with, without))| (*entry, (with.sqrt(), without.sqrt())))
    }

    fn values(&self) -> BTreeMap<usize, f64> {
        self.roots().map(|(entry, (with, without))| (entry, with + without)).collect()
    }
}

/// How an entry does for an intent.
#[derive(Debug, Clone, PartialEq)]
pub struct Scored {
    /// Its place in [`Router::entries`].
    pub entry: usize,
    /// That it is the right one, if one here is, `[0, 1]`.
    pub probability: f64,
    /// Of what it says of itself to the intent, word by word, `[0, 1]`.
    pub likeness: f32,
    /// Of its text nearest to the intent, `[-1, 1]`; of the first candidates alone.
    pub cosine: Option<f32>,
    /// That text's place in its documents.
    pub nearest: Option<usize>,
}

/// Entries for an intent, best first.
#[derive(Debug, Clone, PartialEq)]
pub struct Ranking {
    /// Ties by place.
    pub scored: Vec<Scored>,
    /// That the first is right, or one that does for it, if one here is, `[0, 1]`.
    pub probability: f64,
    /// How sure it is that the first is right and that there is one here at all, `[0, 1]`.
    pub confidence: f64,
    /// How sure it is that there is one here at all, `[0, 1]`; 5 % of what is for somebody here stay below a half.
    pub known: f64,
}

impl Router {
    /// Fits a router over entries, which should stand in the order of their keys.
    pub fn fit(entries: Vec<Arc<Embedded>>) -> Self {
        let dim = entries.iter().flat_map(|entry| &entry.documents).find_map(|document| {
            let features = document.features.as_ref()?;
            Some(features.embedding.len())
        });
        let rows = rows_of(&entries);
        let is_large = entries.len() > SCORED_ALL;
        let min_texts = if rows.len() > RARE_MIN_ROWS { 2 } else { 1 };
        let words = Lexicon::of(rows.iter().map(|row| row.text.words.as_slice()), Grain::Words, min_texts);
        let described = Described::of(&entries, dim.unwrap_or_default(), is_large);
        let mut router = Self {
            dim: dim.unwrap_or_default(),
            words,
            described,
            fitted: Fitted { head: None, centres: Vec::new() },
            weights: weights::WITHOUT_EXAMPLES,
            calibration: Calibration::untried(),
            trials: Vec::new(),
            book: Book::of(entries.iter().map(|entry| entry.revision)),
            entries: Vec::new(),
        };
        router.learn(&rows, &entries);
        router.entries = entries;
        router
    }

    fn learn(&mut self, rows: &[Row<'_>], entries: &[Arc<Embedded>]) {
        let n_examples = rows.iter().filter(|row| row.example.is_some()).count();
        self.fitted = self.fit_rows(rows, entries.len(), n_examples > 0);
        if n_examples == 0 {
            return;
        }
        if self.fitted.head.is_none() {
            // Too many for a regression: examples speak through their centres alone.
            return;
        }
        self.weights = weights::PRIOR;
        let left_out = self.cross_fit(rows, entries.len(), n_examples);
        if left_out.is_empty() {
            return;
        }
        let samples: Vec<&Sample> = left_out.iter().map(|out| &out.sample).collect();
        self.weights = weights::fit(&samples);
        self.trials = left_out.iter().map(|out| self.trial(out)).collect();
        self.calibration = Calibration::of(&self.trials, &|a, b| self.is_same(a, b));
    }

    /// Examples that were left out in turn, with what a router says of them that was fitted on the others.
    fn cross_fit(&self, rows: &[Row<'_>], n_classes: usize, n_examples: usize) -> Vec<LeftOut> {
        let mut n_of = vec![0; n_classes];
        rows.iter().filter(|row| row.example.is_some()).for_each(|row| n_of[row.entry] += 1);
        let n_folds = if n_examples <= MANY_EXAMPLES { FOLDS } else { 2 * FOLDS };
        // The only example of an entry is never left out.
        let fold_of = |row: &Row<'_>| {
            let number = row.example.filter(|_| n_of[row.entry] > 1)?;
            Some(number % n_folds.min(n_of[row.entry]))
        };
        let mut left_out = Vec::new();
        for fold in 0..n_folds {
            let (out, kept): (Vec<&Row<'_>>, Vec<&Row<'_>>) =
                rows.iter().partition(|row| fold_of(row) == Some(fold));
            if out.is_empty() {
                continue;
            }
            let kept: Vec<Row<'_>> = kept.into_iter().copied().collect();
            let fitted = self.fit_rows(&kept, n_classes, true);
            for row in out {
                let (features, centre) = self.features(&fitted, row.text);
                let sample = Sample { features, class: row.entry, share: 1.0 };
                left_out.push(LeftOut { sample, document: row.document, centre });
            }
            if left_out.len() >= MAX_TRIALS {
                break;
            }
        }
        balance(&mut left_out, n_classes);
        left_out
    }

    fn trial(&self, out: &LeftOut) -> Trial {
        let scores: Vec<f64> =
            out.sample.features.iter().map(|features| weights::score(&self.weights, features)).collect();
        let chosen = first_largest(&scores);
        Trial {
            entry: out.sample.class,
            chosen,
            document: out.document,
            probability: softmax(&scores)[chosen],
            familiarity: scores[chosen] + CENTRE_SHARE * out.centre,
            centre: out.centre,
            share: out.sample.share,
        }
    }

    fn fit_rows(&self, rows: &[Row<'_>], n_classes: usize, has_examples: bool) -> Fitted {
        let is_fitted = has_examples && n_classes > 1 && rows.len() * n_classes <= MAX_CELLS;
        let head = is_fitted.then(|| {
            let mut totals = vec![0.0; n_classes];
            rows.iter().for_each(|row| totals[row.entry] += row.text.role.weight());
            // Every entry counts the same, however much is said for it.
            let each = rows.len() as f32 / totals.iter().filter(|total| **total > 0.0).count() as f32;
            let mut set = Rows::default();
            for row in rows {
                set.dense.extend(self.dense(row.text.features.as_ref()));
                set.sparse.push(self.sparse(&row.text.words));
                set.classes.push(row.entry);
                set.weights.push(row.text.role.weight() / totals[row.entry] * each);
            }
            Logistic::fit(&set, self.n_dense(), self.words.len(), n_classes)
        });
        Fitted { head, centres: self.centres(rows, n_classes) }
    }

    /// The mean of each entry's rows, at length 1.
    fn centres(&self, rows: &[Row<'_>], n_classes: usize) -> Vec<Vec<f32>> {
        let mut sums = vec![vec![0.0; self.dim]; n_classes];
        let central = rows.iter().filter(|row| !matches!(row.text.role, Role::Name | Role::Purpose));
        for row in central {
            if let Some(features) = &row.text.features {
                sums[row.entry].iter_mut().zip(&features.embedding).for_each(|(sum, x)| *sum += x);
            }
        }
        sums.into_iter().map(unit).collect()
    }

    fn n_dense(&self) -> usize {
        2 * self.dim + 1
    }

    /// Embedding, middle view and a 1 for the intercept.
    fn dense(&self, features: Option<&Features>) -> Vec<f32> {
        let mut dense = Vec::with_capacity(self.n_dense());
        if let Some(features) = features {
            dense.extend(&features.embedding);
            dense.extend(features.middle.iter().flatten());
        }
        dense.resize(self.n_dense() - 1, 0.0);
        dense.push(1.0);
        dense
    }

    fn sparse(&self, words: &[String]) -> Sparse {
        let mut sparse = self.words.vector(words);
        sparse.iter_mut().for_each(|(_, weight)| *weight *= WORDS_SHARE.sqrt());
        sparse
    }

    /// The three features of every entry for a text, and the largest cosine to a centre.
    fn features(&self, fitted: &Fitted, text: &Spoken) -> (Vec<[f64; 3]>, f64) {
        let intent =
            Intent { text: String::new(), features: text.features.clone(), words: text.words.clone() };
        let all: Vec<usize> = (0..fitted.centres.len()).collect();
        self.features_of(fitted, &intent, &all, &self.described.likenesses(&intent))
    }

    fn features_of(
        &self,
        fitted: &Fitted,
        intent: &Intent,
        entries: &[usize],
        likenesses: &[f32],
    ) -> (Vec<[f64; 3]>, f64) {
        let vector = intent.features.as_ref().map(|features| features.embedding.as_slice());
        let head = fitted.head.as_ref();
        let logits =
            head.map(|head| head.logits(&self.dense(intent.features.as_ref()), &self.sparse(&intent.words)));
        let features = entries.iter().map(|entry| {
            let logit = logits.as_ref().map_or(0.0, |logits| logits[*entry]);
            let mut cosine = vector.map_or(0.0, |vector| self.described.cosine(*entry, vector));
            if logits.is_none() {
                cosine = vector.map_or(0.0, |vector| dot_f32(&fitted.centres[*entry], vector)).max(cosine);
            }
            [f64::from(logit), f64::from(cosine), f64::from(likenesses[*entry])]
        });
        let features = features.collect();
        // Without vectors the likeness of words stands for the nearness of meaning.
        let near = entries.iter().map(|entry| match vector {
            Some(vector) => dot_f32(&fitted.centres[*entry], vector),
            None => likenesses[*entry],
        });
        (features, f64::from(near.fold(0.0, f32::max)))
    }

    /// The entries, in the order in which they were given.
    pub fn entries(&self) -> &[Arc<Embedded>] {
        &self.entries
    }

    /// Their revisions.
    pub fn book(&self) -> &Book {
        &self.book
    }

    /// How examples did that were left out; none without examples, or with very many entries.
    pub fn trials(&self) -> &[Trial] {
        &self.trials
    }

    /// Ranks the entries for an intent.
    pub fn rank(&self, intent: &Intent) -> Ranking {
        let shares = self.shares(intent);
        if shares.entries.is_empty() {
            return Ranking { scored: Vec::new(), probability: 0.0, known: 0.0, confidence: 0.0 };
        }
        let mut ranked: Vec<(usize, f64)> =
            shares.entries.iter().copied().zip(shares.probabilities.iter().copied()).collect();
        ranked.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
        let best = ranked[0].0;
        let probability = ranked.iter().filter(|(entry, _)| self.is_same(best, *entry)).map(|(_, p)| p).sum();
        let scored = ranked.into_iter().enumerate();
        let scored: Vec<Scored> = scored
            .map(|(at, (entry, p))| self.scored(intent, (entry, p, shares.likenesses[entry]), at < TOLD))
            .collect();
        let nearest = scored[0].cosine.map_or(0.0, f64::from);
        let known = self.calibration.known(shares.familiarity, shares.centre, nearest);
        Ranking { scored, probability, known, confidence: confidence(probability, known) }
    }

    /// The entries that together do an intent of several parts, in the order in which they do best for the whole or for a
    /// part; by their places.
    pub fn together(&self, whole: &Intent, parts: &[Intent]) -> Vec<usize> {
        let values = self.values(&self.shares(whole), parts);
        let mut ordered: Vec<(usize, f64)> = values.into_iter().collect();
        ordered.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
        ordered.into_iter().map(|(entry, _)| entry).collect()
    }

    /// What entries are worth for an intent and its parts: with examples and without, for the whole and for the part that
    /// they do best for.
    fn values(&self, whole: &Shares, parts: &[Intent]) -> BTreeMap<usize, f64> {
        let mut values = whole.values();
        let mut best: BTreeMap<usize, (f64, f64)> = BTreeMap::new();
        for shares in parts.iter().map(|part| self.shares(part)) {
            for (entry, both) in shares.roots() {
                let kept = best.entry(entry).or_default();
                *kept = (kept.0.max(both.0), kept.1.max(both.1));
            }
        }
        for (entry, (with, without)) in best {
            *values.entry(entry).or_default() += with + without;
        }
        values
    }

    fn shares(&self, intent: &Intent) -> Shares {
        let likenesses = self.described.likenesses(intent);
        let entries = self.described.candidates(intent, &likenesses);
        let (features, centre) = self.features_of(&self.fitted, intent, &entries, &likenesses);
        let score = |weights: &[f64; 3]| -> Vec<f64> {
            let both = features.iter().zip(&entries);
            both.map(|(features, entry)| weights::score(weights, features) - self.counter(*entry, intent))
                .collect()
        };
        let scores = score(&self.weights);
        let largest = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        Shares {
            probabilities: softmax(&scores),
            described: softmax(&score(&weights::WITHOUT_EXAMPLES)),
            familiarity: largest + CENTRE_SHARE * centre,
            centre,
            entries,
            likenesses,
        }
    }

    /// Whether two entries say the same of themselves, so that either will do.
    pub fn is_same(&self, a: usize, b: usize) -> bool {
        a == b || self.described.between(a, b).is_some_and(|cosine| cosine >= SAME)
    }

    /// How near two entries' descriptions are to each other, `[-1, 1]`; `None` without vectors.
    pub fn nearness(&self, a: usize, b: usize) -> Option<f32> {
        self.described.between(a, b)
    }

    /// Of an entry's examples: how much nearer each is to its own centre than to another's; none without vectors.
    pub(super) fn margins(&self, own: usize, other: usize) -> Vec<(usize, f32)> {
        let documents = self.entries[own].documents.iter().enumerate();
        let examples = documents.filter(|(_, document)| document.role == Role::Example);
        let margin = |document: &Spoken| {
            let vector = &document.features.as_ref()?.embedding;
            let centres = &self.fitted.centres;
            Some(dot_f32(vector, &centres[own]) - dot_f32(vector, &centres[other]))
        };
        examples.filter_map(|(at, document)| Some((at, margin(document)?))).collect()
    }

    /// What an entry's counterexamples take away from its score.
    fn counter(&self, entry: usize, intent: &Intent) -> f64 {
        let Some(vector) = intent.features.as_ref().map(|features| features.embedding.as_slice()) else {
            return 0.0;
        };
        let documents = &self.entries[entry].documents;
        if documents.iter().all(|document| document.role != Role::Counterexample) {
            return 0.0;
        }
        let nearest = |is_counter: bool| {
            let of =
                documents.iter().filter(|document| (document.role == Role::Counterexample) == is_counter);
            let cosines =
                of.filter_map(|document| Some(dot_f32(&document.features.as_ref()?.embedding, vector)));
            cosines.fold(-1.0, f32::max)
        };
        COUNTER_COST * f64::from((nearest(true) - nearest(false)).max(0.0))
    }

    fn scored(
        &self,
        intent: &Intent,
        (entry, probability, likeness): (usize, f64, f32),
        is_told: bool,
    ) -> Scored {
        let nearest = is_told.then(|| self.nearest(intent, entry, &|_| true)).flatten();
        let (nearest, cosine) = nearest.unzip();
        Scored { entry, probability, likeness, cosine, nearest }
    }

    /// For each of the first examples of an entry that pass: its place, and how well each entry suits it by what that says of
    /// itself alone, `[n]`.
    pub(super) fn suited(
        &self,
        entry: usize,
        most: usize,
        passes: &dyn Fn(&Spoken) -> bool,
    ) -> Vec<(usize, Vec<f64>)> {
        let documents = self.entries[entry].documents.iter().enumerate();
        let examples = documents.filter(|(_, text)| text.role == Role::Example && passes(text));
        let scores = |text: &Spoken| -> Vec<f64> {
            let intent =
                Intent { text: String::new(), features: text.features.clone(), words: text.words.clone() };
            let vector = intent.features.as_ref().map(|features| features.embedding.as_slice());
            let likenesses = self.described.likenesses(&intent).into_iter().enumerate();
            let score = |(entry, likeness): (usize, f32)| {
                let cosine = vector.map_or(0.0, |vector| self.described.cosine(entry, vector));
                weights::score(&weights::WITHOUT_EXAMPLES, &[0.0, f64::from(cosine), f64::from(likeness)])
            };
            likenesses.map(score).collect()
        };
        examples.take(most).map(|(document, text)| (document, scores(text))).collect()
    }
}

/// The texts that a router is fitted on, entry by entry; examples are numbered.
fn rows_of(entries: &[Arc<Embedded>]) -> Vec<Row<'_>> {
    let mut rows = Vec::new();
    for (entry, embedded) in entries.iter().enumerate() {
        let mut n_examples = 0;
        for (document, text) in
            embedded.documents.iter().enumerate().filter(|(_, text)| text.role.weight() > 0.0)
        {
            let example = (text.role == Role::Example).then_some(n_examples);
            n_examples += usize::from(example.is_some());
            rows.push(Row { entry, document, text, example });
        }
    }
    rows
}

/// Makes every entry count the same, the mean being 1.
fn balance(left_out: &mut [LeftOut], n_classes: usize) {
    let mut n_of = vec![0usize; n_classes];
    left_out.iter().for_each(|out| n_of[out.sample.class] += 1);
    let n_tried = n_of.iter().filter(|n| **n > 0).count();
    let each = left_out.len() as f64 / n_tried.max(1) as f64;
    left_out.iter_mut().for_each(|out| out.sample.share = each / n_of[out.sample.class] as f64);
}

/// The place of the largest; of equals the first.
fn first_largest(scores: &[f64]) -> usize {
    (1..scores.len()).fold(0, |best, at| if scores[at] > scores[best] { at } else { best })
}
