//! From scores to how often they are right.
//!
//! A router tries itself on examples that were left out (cross-validation): each trial tells the probability that it gave
//! its choice, how familiar the example looked, and whether the choice was right. From those come the threshold of a stated
//! error, and what is too strange to be for anybody here: nothing out of scope is needed for either.
//!
//! Constants were chosen on validation splits.

use super::router::Ranking;

/// An example that was left out, and how it went.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Trial {
    /// The entry that it belongs to.
    pub entry: usize,
    /// The entry that was chosen.
    pub chosen: usize,
    /// The example's place among its entry's documents.
    pub document: usize,
    /// That the choice is right, as the router saw it, `[0, 1]`.
    pub probability: f64,
    /// How familiar it looked; larger is more so.
    pub familiarity: f64,
    /// The largest cosine to the centre of an entry's texts.
    pub centre: f64,
    /// How much it counts: every entry counts the same, the mean being 1.
    pub share: f64,
}

/// What trials say of scores.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Calibration {
    /// Of trials, by confidence, falling: the confidence, and the share of wrong ones down to there.
    errors: Vec<(f64, f64)>,
    /// Familiarity below which 5 % and 50 % of the trials lie; `None` without trials.
    familiar: Option<(f64, f64)>,
    /// How much the trials' word counts beside that of the cosine alone, `[0, 1)`.
    trust: f64,
}

/// Trials that look less familiar than what is taken for known.
const STRANGE: f64 = 0.05;
/// How steeply familiarity turns into knowing.
const STEEPNESS: f64 = 6.0;
/// Without trials: the cosine to the nearest centre where knowing is as likely as not, and how far it reaches.
const UNTRIED: (f64, f64) = (0.30, 0.07);
/// So many trials count as much as the cosine alone: a few, of a few entries, all look alike.
const TRUSTED_TRIALS: f64 = 50.0;
/// What lies between strange and usual, at least.
const MIN_WIDTH: f64 = 4.0;
/// The cosine to a single text where an intent is that text in other words, and how far it reaches.
const SAID: (f64, f64) = (0.85, 0.03);
/// Without enough trials: how many times the stated error the least sure of what is routed may have.
const UNTRIED_ERRORS: f64 = 1.5;
/// Fewer trials fix no threshold.
const MIN_TRIALS: usize = 100;
/// Trials go better than fresh intents, for examples of one entry are like each other: so much of the stated error is
/// used.
const ALLOWANCE: f64 = 0.85;
/// As sure as this that there is one here at all, something may be routed.
pub(super) const KNOWN: f64 = 0.5;

/// A figure of a ranking by which it is decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Measure {
    /// [`Ranking::known`].
    Known,
    /// [`Ranking::probability`]: with too few trials to fix a threshold it is as good as its prior; what is known counts
    /// beside it, and not instead.
    Probability,
    /// [`Ranking::confidence`].
    Confidence,
}

impl Measure {
    /// Its name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Known => "known",
            Self::Probability => "probability",
            Self::Confidence => "confidence",
        }
    }
}

/// What is missing for a decision.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Lack {
    /// What there is too little of.
    pub of: Measure,
    /// How much there is.
    pub has: f64,
    /// How much is asked.
    pub asked: f64,
}

/// How sure a choice is: the order in which intents are routed.
pub(super) fn confidence(probability: f64, known: f64) -> f64 {
    probability.sqrt() * known
}

impl Calibration {
    /// Of a router that could not try itself.
    pub(super) fn untried() -> Self {
        Self { errors: Vec::new(), familiar: None, trust: 0.0 }
    }

    /// Of trials; `is_same` tells which entries do for each other.
    pub(super) fn of(trials: &[Trial], is_same: &dyn Fn(usize, usize) -> bool) -> Self {
        let mut by_familiarity: Vec<&Trial> = trials.iter().collect();
        by_familiarity.sort_by(|a, b| a.familiarity.total_cmp(&b.familiarity));
        let quantile = |share| quantile(&by_familiarity, share);
        let familiar = quantile(STRANGE).zip(quantile(0.5));
        let n_trials = trials.len() as f64;
        let trust = n_trials / (n_trials + TRUSTED_TRIALS);
        let mut calibration = Self { errors: Vec::new(), familiar, trust };
        let rated = trials.iter().map(|trial| {
            let known = calibration.known(trial.familiarity, trial.centre, 0.0);
            (confidence(trial.probability, known), trial)
        });
        let mut rated: Vec<(f64, &Trial)> = rated.collect();
        rated.sort_by(|a, b| b.0.total_cmp(&a.0));
        let (mut wrong, mut all) = (0.0, 0.0);
        for (confidence, trial) in rated {
            all += trial.share;
            wrong += if is_same(trial.entry, trial.chosen) { 0.0 } else { trial.share };
            // As if one more had been tried, and half of it gone wrong.
            calibration.errors.push((confidence, (wrong + 0.5) / (all + 1.0)));
        }
        calibration
    }

    /// That an intent is for somebody here at all, `[0, 1]`; `nearest` is its cosine to the nearest text of the choice.
    pub(super) fn known(&self, familiarity: f64, centre: f64, nearest: f64) -> f64 {
        let untried = (centre - UNTRIED.0) / UNTRIED.1;
        let tried = self
            .familiar
            .map_or(0.0, |(low, middle)| STEEPNESS * (familiarity - low) / (middle - low).max(MIN_WIDTH));
        let steps = self.trust * tried + (1.0 - self.trust) * untried;
        let steps = steps.max((nearest - SAID.0) / SAID.1);
        1.0 / (1.0 + (-steps).exp())
    }

    /// What a decision needs, beside being known: so much of what.
    pub(super) fn threshold(&self, max_error: f64) -> (Measure, f64) {
        if self.errors.len() < MIN_TRIALS {
            return (Measure::Probability, 1.0 - UNTRIED_ERRORS * max_error);
        }
        let enough = self.errors.iter().rev().find(|(_, error)| *error <= ALLOWANCE * max_error);
        (Measure::Confidence, enough.map_or(1.0, |(confidence, _)| *confidence))
    }

    /// What a ranking lacks for its first to be routed to; `None` where it lacks nothing.
    pub(super) fn lack(&self, ranking: &Ranking, max_error: f64) -> Option<Lack> {
        if ranking.known < KNOWN {
            return Some(Lack { of: Measure::Known, has: ranking.known, asked: KNOWN });
        }
        let (of, asked) = self.threshold(max_error);
        let has = match of {
            Measure::Probability => ranking.probability,
            _ => ranking.confidence,
        };
        (has < asked).then_some(Lack { of, has, asked })
    }
}

/// The familiarity below which such a share of trials lies; `None` without trials.
fn quantile(ascending: &[&Trial], share: f64) -> Option<f64> {
    let total: f64 = ascending.iter().map(|trial| trial.share).sum();
    let mut below = 0.0;
    let reached = ascending.iter().find(|trial| {
        below += trial.share;
        below >= share * total
    });
    reached.map(|trial| trial.familiarity)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Four hundred trials; the more probable, the more familiar, and of the unlikeliest every other one is wrong.
    fn trials() -> Vec<Trial> {
        let trial = |at: usize| Trial {
            entry: 0,
            chosen: usize::from(at < 80 && at.is_multiple_of(2)),
            document: at,
            probability: 0.5 + at as f64 / 800.0,
            familiarity: at as f64,
            centre: 0.3,
            share: 1.0,
        };
        (0..400).map(trial).collect()
    }

    #[test]
    fn a_smaller_error_asks_for_more() {
        let calibration = Calibration::of(&trials(), &|a, b| a == b);
        let asked: Vec<f64> = [0.12, 0.05, 0.02].map(|error| calibration.threshold(error).1).to_vec();
        assert!(asked[0] < asked[1] && asked[1] < asked[2], "{asked:?}");
    }

    #[test]
    fn what_is_routed_in_trials_keeps_the_stated_error() {
        let (trials, calibration) = (trials(), Calibration::of(&trials(), &|a, b| a == b));
        let (of, threshold) = calibration.threshold(0.05);
        assert_eq!(of, Measure::Confidence);
        let routed: Vec<&Trial> = trials
            .iter()
            .filter(|trial| {
                confidence(trial.probability, calibration.known(trial.familiarity, trial.centre, 0.0))
                    >= threshold
            })
            .collect();
        let wrong = routed.iter().filter(|trial| trial.entry != trial.chosen).count();
        assert!(
            routed.len() > 50 && (wrong as f64) < 0.05 * routed.len() as f64,
            "{wrong} of {}",
            routed.len()
        );
    }

    #[test]
    fn a_twentieth_of_the_trials_is_strange() {
        let calibration = Calibration::of(&trials(), &|a, b| a == b);
        let strange = trials()
            .iter()
            .filter(|trial| calibration.known(trial.familiarity, trial.centre, 0.0) < 0.5)
            .count();
        assert!((15..=25).contains(&strange), "{strange}");
    }

    #[test]
    fn without_trials_the_cosine_decides() {
        let calibration = Calibration::untried();
        assert!(calibration.known(0.0, 0.9, 0.0) > 0.99 && calibration.known(0.0, 0.1, 0.0) < 0.1);
        assert_eq!(calibration.threshold(0.05), (Measure::Probability, 1.0 - 1.5 * 0.05));
    }
}
