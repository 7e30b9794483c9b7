//! How alike two notes are: whether the new one says the same, or the opposite.
//!
//! Sentences are compared one by one. Two are about the same thing where their vectors or their words are close enough;
//! then a number, name, state or denial that differs is a contradiction, and where nothing differs, no words have changed places and
//! they are very close, they are duplicates. Thresholds were set on half of some hand-written pairs and hold on the other half as
//! `benches/README.md` says: a heuristic that points things out, and is wrong at times. Whether a note need not be written because
//! all of it is there already is not left to it: [`Alike::is_said`] is word for word.

use crate::claims::{self, Claim, Conflict};
use crate::span::Span;
use crate::text;

/// Sentences of one note that are compared.
pub const MAX_PARTS: usize = 8;

/// From this cosine on two sentences may be about the same thing.
const TOPIC_COSINE: f32 = 0.55;
/// From this share of words on they are, whatever the model says, or without one.
const TOPIC_WORDS: f32 = 0.5;
/// From this cosine on two sentences without a difference say the same.
const SAME_COSINE: f32 = 0.85;
/// From this share of words on two sentences without a difference say the same.
const SAME_WORDS: f32 = 0.75;
/// From this cosine on two notes are worth reading together.
const RELATED_COSINE: f32 = 0.6;

/// What a note is to another one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Likeness {
    /// It says what can't hold beside it.
    Contradiction,
    /// It says the same.
    Duplicate,
    /// It speaks of the same thing.
    Related,
}

/// A sentence of a note.
#[derive(Debug, Clone)]
pub struct Part {
    /// In the note's text.
    pub span: Span,
    /// Taken apart.
    pub claim: Claim,
    /// `[dim]` f32, L2-normalised; `None` without a model.
    pub vector: Option<Vec<f32>>,
}

/// How a note is like another one.
#[derive(Debug, Clone, PartialEq)]
pub struct Alike {
    /// What it is.
    pub likeness: Likeness,
    /// The closeness of the two sentences that decided: their cosine, or the share of words without a model; `[0, 1]`.
    pub score: f32,
    /// What differs, for a contradiction.
    pub conflict: Option<Conflict>,
    /// Which sentence of the older note decided.
    pub part: usize,
    /// Whether the older note says the new one word for word, so that nothing is lost without the new one.
    pub is_said: bool,
}

/// The sentences of a note that are compared, with their places.
pub fn sentences_of(body: &str) -> Vec<Span> {
    let mut spans = text::sentences(body, Span::new(0, body.len()));
    spans.truncate(MAX_PARTS);
    spans
}

/// How a new note is like an older one; `None` where they have nothing to do with each other.
pub fn compare(new: &[Part], old: &[Part]) -> Option<Alike> {
    let mut best: Option<Alike> = None;
    let mut n_alike = 0;
    for part in new {
        let mut closest: Option<Alike> = None;
        for (at, other) in old.iter().enumerate() {
            let Some(alike) = relation(part, other, at) else { continue };
            if alike.likeness == Likeness::Contradiction && !is_said_elsewhere(part, old) {
                return Some(alike);
            }
            if closest.as_ref().is_none_or(|best| rank(&alike) > rank(best)) {
                closest = Some(alike);
            }
        }
        n_alike += usize::from(closest.as_ref().is_some_and(|alike| alike.likeness == Likeness::Duplicate));
        if let Some(alike) = closest
            && best.as_ref().is_none_or(|best| alike.score > best.score)
        {
            best = Some(alike);
        }
    }
    let best = best?;
    // One sentence that is known makes no duplicate of a note that says more.
    let likeness = if n_alike == new.len() { Likeness::Duplicate } else { Likeness::Related };
    Some(Alike { likeness, is_said: likeness == Likeness::Duplicate && says_all(old, new), ..best })
}

/// Whether a note says another one word for word, sentence by sentence. Where sentences may have been left out it is not known.
fn says_all(old: &[Part], new: &[Part]) -> bool {
    let is_comparable = new.len() == old.len() && new.len() < MAX_PARTS;
    is_comparable && new.iter().zip(old).all(|(part, other)| part.claim.stands_in(&other.claim))
}

fn rank(alike: &Alike) -> (bool, f32) {
    (alike.likeness == Likeness::Duplicate, alike.score)
}

/// Whether the older note has this very sentence too: then another one beside it contradicts nothing new.
fn is_said_elsewhere(part: &Part, old: &[Part]) -> bool {
    old.iter().any(|other| other.claim.normal() == part.claim.normal())
}

fn relation(one: &Part, other: &Part, at: usize) -> Option<Alike> {
    let words = one.claim.overlap(&other.claim);
    let cosine = one.vector.as_ref().zip(other.vector.as_ref()).map(|(a, b)| dot(a, b));
    let score = cosine.unwrap_or(words).clamp(0.0, 1.0);
    let found = |likeness, conflict| Some(Alike { likeness, score, conflict, part: at, is_said: false });
    if one.claim.normal() == other.claim.normal() {
        let likeness = Likeness::Duplicate;
        return Some(Alike { likeness, score: 1.0, conflict: None, part: at, is_said: false });
    }
    if one.claim.stands_in(&other.claim) {
        return found(Likeness::Duplicate, None);
    }
    let is_topical = words >= TOPIC_WORDS || cosine.is_some_and(|cosine| cosine >= TOPIC_COSINE);
    if !is_topical {
        return None;
    }
    if let Some(conflict) = claims::conflict(&one.claim, &other.claim) {
        return found(Likeness::Contradiction, Some(conflict));
    }
    let is_same = words >= SAME_WORDS || cosine.is_some_and(|cosine| cosine >= SAME_COSINE);
    let differs = one.claim.differs_in_values(&other.claim)
        || one.claim.differs_in_names(&other.claim)
        || !one.claim.agrees_in_denial(&other.claim)
        || one.claim.is_turned_in(&other.claim);
    if is_same && !differs {
        return found(Likeness::Duplicate, None);
    }
    let is_related = cosine.map_or(words >= TOPIC_WORDS, |cosine| cosine >= RELATED_COSINE);
    if is_related { found(Likeness::Related, None) } else { None }
}

fn dot(a: &[f32], b: &[f32]) -> f32 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}
