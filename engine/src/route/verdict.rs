//! What comes of a ranking: one of the entries, a question between some, or nobody.

use super::Role;
use super::calibration::{KNOWN, Lack, Measure};
use super::router::{Ranking, Router, TOLD};

/// Candidates that have so much between them, when none has it alone, are worth a question.
const ENOUGH_TOGETHER: f64 = 0.8;
/// From this share of the first one's probability on, who has one of its examples too stands beside it.
const BESIDE: f64 = 0.5;

/// What comes of a ranking at a stated error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// The first.
    Routed,
    /// One of some, and a question tells which.
    Ambiguous,
    /// Nobody here.
    None,
}

impl Router {
    /// What comes of a ranking when at most `max_error` of what is routed may go wrong.
    pub fn decide(&self, ranking: &Ranking, max_error: f64) -> Verdict {
        if self.lack(ranking, max_error).is_none() {
            return Verdict::Routed;
        }
        let first = ranking.scored.first().map_or(0.0, |scored| scored.probability);
        if ranking.known < KNOWN || first >= ENOUGH_TOGETHER {
            return Verdict::None;
        }
        match share_of(ranking, &self.rivals(ranking)) >= ENOUGH_TOGETHER {
            true => Verdict::Ambiguous,
            false => Verdict::None,
        }
    }

    /// What a ranking lacks for its first to be routed to when at most `max_error` of what is routed may go wrong; `None`
    /// where it lacks nothing.
    pub fn lack(&self, ranking: &Ranking, max_error: f64) -> Option<Lack> {
        self.calibration.lack(ranking, max_error)
    }

    /// What a decision needs, beside being known, when at most `max_error` of what is routed may go wrong: so much of what.
    pub fn threshold(&self, max_error: f64) -> (Measure, f64) {
        self.calibration.threshold(max_error)
    }

    /// Those that a question would tell apart, by their places in a ranking: the first two; or, where more than two have an
    /// example of the first word by word and stand beside it, all of these.
    pub fn rivals(&self, ranking: &Ranking) -> Vec<usize> {
        let two: Vec<usize> = (0..ranking.scored.len().min(2)).collect();
        let Some(first) = ranking.scored.first() else { return two };
        let beside = ranking.scored.iter().take(TOLD).enumerate();
        let beside = beside.take_while(|(_, scored)| scored.probability >= BESIDE * first.probability);
        let equals = beside.filter(|(_, scored)| self.has_example_of(scored.entry, first.entry));
        let equals: Vec<usize> = equals.map(|(at, _)| at).collect();
        if equals.len() > 2 && share_of(ranking, &equals) > share_of(ranking, &two) { equals } else { two }
    }

    /// Whether one of an entry's examples is one of another's, word by word.
    fn has_example_of(&self, entry: usize, other: usize) -> bool {
        let examples = |entry: usize| {
            self.entries()[entry].documents.iter().filter(|document| document.role == Role::Example)
        };
        let is_same = |a: &str, b: &str| a.trim().eq_ignore_ascii_case(b.trim());
        entry == other
            || examples(entry).any(|own| examples(other).any(|text| is_same(&text.text, &own.text)))
    }
}

/// What some of a ranking have together.
fn share_of(ranking: &Ranking, places: &[usize]) -> f64 {
    places.iter().map(|place| ranking.scored[*place].probability).sum()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::super::{Embedded, Entry, EntryKind, Scored};
    use super::*;

    fn entry(id: &str, examples: &[&str]) -> Arc<Embedded> {
        let entry = Entry {
            kind: EntryKind::Agent,
            id: id.to_owned(),
            name: id.to_owned(),
            description: format!("the desk of {id}"),
            capabilities: Vec::new(),
            examples: examples.iter().map(|example| (*example).to_owned()).collect(),
            counterexamples: Vec::new(),
            learned: Vec::new(),
        };
        Arc::new(Embedded::new(1, entry))
    }

    fn ranking(probabilities: &[f64], known: f64) -> Ranking {
        let scored = probabilities.iter().enumerate().map(|(entry, probability)| Scored {
            entry,
            probability: *probability,
            likeness: 0.0,
            cosine: None,
            nearest: None,
        });
        let probability = probabilities[0];
        Ranking { scored: scored.collect(), probability, confidence: probability * known, known }
    }

    #[test]
    fn of_many_that_share_an_example_the_question_is_about_all() {
        let same = ["pay the bill", "book a room"];
        let entries =
            vec![entry("a", &same), entry("b", &same), entry("c", &["Pay the bill "]), entry("d", &["x y"])];
        let router = Router::fit(entries);
        let check = |probabilities: &[f64], known, verdict, rivals: &[usize]| {
            let ranking = ranking(probabilities, known);
            assert_eq!(router.decide(&ranking, 0.05), verdict, "{probabilities:?}");
            assert_eq!(router.rivals(&ranking), rivals, "{probabilities:?}");
        };
        check(&[0.31, 0.3, 0.29, 0.1], 0.9, Verdict::Ambiguous, &[0, 1, 2]);
        check(&[0.31, 0.3, 0.29, 0.1], 0.4, Verdict::None, &[0, 1, 2]);
        check(&[0.5, 0.4, 0.06, 0.04], 0.9, Verdict::Ambiguous, &[0, 1]);
        check(&[0.5, 0.2, 0.1, 0.2], 0.9, Verdict::None, &[0, 1]);
        check(&[0.95, 0.03, 0.01, 0.01], 0.9, Verdict::Routed, &[0, 1]);
    }

    #[test]
    fn what_is_missing_is_what_is_asked_for() {
        let router = Router::fit(vec![entry("a", &["pay the bill"]), entry("b", &["book a room"])]);
        let lack = |probability, known| router.lack(&ranking(&[probability, 0.01], known), 0.05);
        assert_eq!(lack(0.95, 0.9), None);
        let (of, asked) = router.threshold(0.05);
        assert_eq!(of, Measure::Probability);
        assert_eq!(lack(0.9, 0.9), Some(Lack { of, has: 0.9, asked }));
        assert_eq!(lack(0.9, 0.3), Some(Lack { of: Measure::Known, has: 0.3, asked: KNOWN }));
    }
}
