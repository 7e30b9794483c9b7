//! Takes a sentence, gives what can be held against another one: its words, its values, whether it denies.
//!
//! Nouns: [`Claim`] (one sentence, taken apart), [`Conflict`] (why two about the same thing can't both hold). Rules and lists of English words,
//! no model. Two questions, with two ways to err: [`Claim::stands_in`] is strict, and rather misses that a sentence is said by another one
//! than takes it for said; [`conflict`] is a heuristic, which sees numbers, dates, names, negations and opposite states, and no
//! reasoning. It embeds nothing; who has vectors weighs them beside it.

mod conflict;
mod small_words;
mod values;
mod wording;
mod words;

use std::collections::BTreeSet;

pub use conflict::{Conflict, conflict};
use values::Value;
use wording::{Wording, is_code};
use words::Word;

use crate::id::fold;

/// Words of one sentence that are looked at; the rest adds nothing to a comparison.
const MAX_WORDS: usize = 200;

/// A sentence, taken apart.
#[derive(Debug, Clone)]
pub struct Claim {
    normal: String,
    words: Vec<Word>,
    wording: Wording,
    /// The place of the first verb: what is before it says of what is spoken.
    verb: Option<usize>,
    denies: bool,
}

impl Claim {
    /// Takes a sentence apart.
    pub fn of(text: &str) -> Self {
        let words = words::read(text, MAX_WORDS);
        let verb = words.iter().enumerate().skip(1).find(|(_, word)| word.is_verb).map(|(at, _)| at);
        let denies = words.iter().filter(|word| word.is_negator).count() % 2 == 1;
        let wording = Wording::of(text, MAX_WORDS);
        Self { normal: normal_form(text), words, wording, verb, denies }
    }

    /// See [`normal_form`].
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

    /// Whether another sentence says this one, word for word: the same words in the same order, of which only whole clauses without a
    /// condition, denial or doubt may be left out.
    pub fn stands_in(&self, other: &Self) -> bool {
        self.wording.stands_in(&other.wording)
    }

    /// Whether it denies, restricts, doubts, or tells what others say: then what comes after it may not stand for itself.
    pub fn is_hedged(&self) -> bool {
        self.wording.is_hedged()
    }

    /// Whether the words that both share change places so that it may matter, as in `Anna leads Ben` and `Ben leads Anna`. What
    /// stands last in one may stand first in the other (`on Sundays it is closed`), and one phrase may stand elsewhere (`the API's
    /// rate limit`), unless a word such as `before` or `over` says that it matters what stands on which side.
    pub fn is_turned_in(&self, other: &Self) -> bool {
        let (first, second) = (self.order_of_shared(other), other.order_of_shared(self));
        if is_rotation(&first, &second) || self.is_passive() != other.is_passive() {
            return false;
        }
        let n_before = first.iter().zip(&second).take_while(|(a, b)| a == b).count();
        let n_behind = first.iter().rev().zip(second.iter().rev()).take_while(|(a, b)| a == b).count();
        let middle = n_before..first.len() - n_behind;
        self.has_sides() || other.has_sides() || !is_rotation(&first[middle.clone()], &second[middle])
    }

    /// Whether it may be a passive, whose words stand the other way round: `Ben is led by Anna`.
    fn is_passive(&self) -> bool {
        self.words.iter().any(|word| word.plain == "by")
    }

    fn has_sides(&self) -> bool {
        self.words.iter().any(|word| small_words::SIDES.contains(&word.plain.as_str()))
    }

    /// The stems that another sentence has too, each where it stands first.
    fn order_of_shared(&self, other: &Self) -> Vec<&str> {
        let others = other.content();
        let mut order: Vec<&str> = Vec::new();
        for word in self.words.iter().filter(|word| word.is_content()) {
            if others.contains(word.stem.as_str()) && !order.contains(&word.stem.as_str()) {
                order.push(&word.stem);
            }
        }
        order
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

/// Whether one list is the other with its end put first; a list is one of itself.
fn is_rotation(first: &[&str], second: &[&str]) -> bool {
    first == second
        || (1..first.len()).any(|at| {
            let (head, tail) = first.split_at(at);
            second.iter().eq(tail.iter().chain(head))
        })
}

fn jaccard(one: &BTreeSet<&str>, other: &BTreeSet<&str>) -> f32 {
    let n_shared = one.intersection(other).count();
    let n_all = one.len() + other.len() - n_shared;
    if n_all == 0 { 0.0 } else { n_shared as f32 / n_all as f32 }
}

/// A whole text without spacing, without the punctuation around its words and without the case of plain ones: two that share it say the
/// same. A code such as `aB3xQ9` keeps its case, and a sign such as `€` or `+` stays.
pub fn normal_form(text: &str) -> String {
    let words = text.split_whitespace().map(|word| word.trim_matches(|c: char| AROUND_WORDS.contains(c)));
    let words = words.filter(|word| !word.is_empty());
    words.map(|word| if is_code(word) { word.to_owned() } else { fold(word) }).collect::<Vec<_>>().join(" ")
}

/// Punctuation that changes nothing of what a sentence says.
const AROUND_WORDS: &str = ".,;:!\"'“”„‘’()[]…";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_only_looks_different_has_one_normal_form() {
        assert_eq!(normal_form("  Invoices: kept 10 years. "), normal_form("invoices kept 10  years"));
        for (one, other) in [
            ("kept 10 years", "kept 11 years"),
            ("The key is aB3xQ9.", "The key is Ab3xq9."),
            ("Version 2.1", "Version 2.10"),
            ("It is written in C++.", "It is written in C#."),
            ("It costs €5.", "It costs $5."),
        ] {
            assert_ne!(normal_form(one), normal_form(other));
        }
    }

    #[test]
    fn a_number_is_one_value_however_it_is_written() {
        let (one, other) =
            (Claim::of("The reserve is £41,250 for ten sensors"), Claim::of("10 sensors: 41250"));
        assert!(other.values_stand_in(&one));
        assert!(!Claim::of("about 41,251").values_stand_in(&one));
    }

    #[test]
    fn words_that_change_places_are_seen_and_a_part_that_goes_to_the_end_is_not_one() {
        let is_turned = |one: &str, other: &str| Claim::of(one).is_turned_in(&Claim::of(other));
        assert!(is_turned("Anna reports to Boris.", "Boris reports to Anna."));
        assert!(is_turned(
            "Use port 80 for staging and 90 for tests.",
            "Use port 90 for staging and 80 for tests."
        ));
        assert!(!is_turned(
            "On public holidays the shop is closed.",
            "The shop is closed on public holidays."
        ));
        assert!(!is_turned("The shop is closed.", "The small shop is closed on Sundays."));
        assert!(!is_turned(
            "The API rate limit is 100 requests.",
            "The rate limit of the API is 100 requests."
        ));
        assert!(is_turned(
            "Deploy the database before the web server.",
            "Deploy the web server before the database."
        ));
        assert!(!is_turned("Payments are processed by Stripe.", "Stripe processes the payments."));
        assert!(is_turned("Rita prefers coffee over tea.", "Rita prefers tea over coffee."));
    }
}
