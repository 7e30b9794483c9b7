//! Takes a sentence, gives what can be held against another one: its words, its values, whether it denies.
//!
//! Nouns: [`Claim`] (one sentence, taken apart), [`Conflict`] (why two about the same thing can't both hold). Rules and lists of English words,
//! no model: a heuristic, which sees numbers, dates, names, negations and opposite states, and no reasoning. It embeds
//! nothing; who has vectors weighs them beside it.

mod conflict;
mod values;
mod words;

use std::collections::BTreeSet;

pub use conflict::{Conflict, conflict};
use values::Value;
use words::Word;

use crate::id::fold;

/// Words of one sentence that are looked at; the rest adds nothing to a comparison.
const MAX_WORDS: usize = 200;

/// A sentence, taken apart.
#[derive(Debug, Clone)]
pub struct Claim {
    normal: String,
    words: Vec<Word>,
    /// The place of the first verb: what is before it says of what is spoken.
    verb: Option<usize>,
    denies: bool,
}

impl Claim {
    /// Takes a sentence apart.
    pub fn of(text: &str) -> Self {
        let words = words::read(text, MAX_WORDS);
        let normal = words.iter().map(|word| word.plain.as_str()).collect::<Vec<_>>().join(" ");
        let verb = words.iter().enumerate().skip(1).find(|(_, word)| word.is_verb).map(|(at, _)| at);
        let denies = words.iter().filter(|word| word.is_negator).count() % 2 == 1;
        Self { normal, words, verb, denies }
    }

    /// The sentence without case, punctuation and spacing: two that share it say the same.
    pub fn normal(&self) -> &str {
        &self.normal
    }

    /// Whether it has a word that carries meaning.
    pub fn is_empty(&self) -> bool {
        self.words.is_empty()
    }

    /// Stems of the words that carry meaning.
    pub fn content(&self) -> BTreeSet<&str> {
        self.content_in(0..self.words.len())
    }

    fn content_in(&self, places: std::ops::Range<usize>) -> BTreeSet<&str> {
        let words = self.words[places].iter();
        words.filter(|word| word.is_content()).map(|word| word.stem.as_str()).collect()
    }

    /// Numbers, dates, times and their like.
    fn values(&self) -> Vec<&Value> {
        self.values_in(0..self.words.len())
    }

    fn values_in(&self, places: std::ops::Range<usize>) -> Vec<&Value> {
        self.words[places].iter().filter_map(|word| word.value.as_ref()).collect()
    }

    /// Shared stems over all stems of both, in `[0, 1]` (Jaccard).
    pub fn overlap(&self, other: &Self) -> f32 {
        jaccard(&self.content(), &other.content())
    }

    /// The share of this sentence's words that another text has too, values and names included, in `[0, 1]`; 1 where it
    /// has none.
    pub fn coverage_in(&self, other: &Self) -> f32 {
        let (own, others) = (self.content(), other.content());
        let n_shared = own.iter().filter(|stem| others.contains(*stem)).count();
        if own.is_empty() { 1.0 } else { n_shared as f32 / own.len() as f32 }
    }

    /// Whether every number, date and time of this sentence stands in another text too.
    pub fn values_stand_in(&self, other: &Self) -> bool {
        let others = other.values();
        self.values().iter().all(|value| others.iter().any(|found| found.same_amount(value)))
    }

    /// Whether both say yes, or both say no.
    pub fn agrees_in_denial(&self, other: &Self) -> bool {
        self.denies == other.denies
    }

    /// Whether a name of one is no word of the other. A sentence's first word is never taken for a name.
    pub fn differs_in_names(&self, other: &Self) -> bool {
        let lacks = |one: &Self, other: &Self| {
            let has = |stem: &str| other.words.iter().any(|word| word.stem == stem);
            one.words.iter().any(|word| word.is_name && word.is_content() && !has(&word.stem))
        };
        lacks(self, other) || lacks(other, self)
    }

    /// Whether a number, a date or a time of one is missing in the other.
    pub fn differs_in_values(&self, other: &Self) -> bool {
        !(self.values_stand_in(other) && other.values_stand_in(self))
    }
}

fn jaccard(one: &BTreeSet<&str>, other: &BTreeSet<&str>) -> f32 {
    let n_shared = one.intersection(other).count();
    let n_all = one.len() + other.len() - n_shared;
    if n_all == 0 { 0.0 } else { n_shared as f32 / n_all as f32 }
}

/// A whole text without case, punctuation and spacing.
pub fn normal_form(text: &str) -> String {
    let folded = fold(text);
    let words = folded.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty());
    words.collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_only_looks_different_has_one_normal_form() {
        assert_eq!(normal_form("  Invoices: kept 10 years. "), normal_form("invoices kept 10  YEARS"));
        assert_ne!(normal_form("kept 10 years"), normal_form("kept 11 years"));
    }

    #[test]
    fn a_number_is_one_value_however_it_is_written() {
        let (one, other) =
            (Claim::of("The reserve is £41,250 for ten sensors"), Claim::of("10 sensors: 41250"));
        assert!(other.values_stand_in(&one));
        assert!(!Claim::of("about 41,251").values_stand_in(&one));
    }
}
