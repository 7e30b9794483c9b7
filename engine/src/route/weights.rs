//! How much regression, description and words count, fitted on examples that the regression did not see.
//!
//! Minimises `sum of -share · ln softmax(w · f)[right] + |w - prior|² / 2`, which is convex, by damped Newton steps.

use nalgebra::{Matrix3, Vector3};

/// Of the regression's logit, the description's cosine and the words' likeness, before anything is known.
pub(super) const PRIOR: [f64; 3] = [2.0, 4.0, 2.0];
/// The same where no entry has an example.
pub(super) const WITHOUT_EXAMPLES: [f64; 3] = [0.0, 16.0, 8.0];
/// Newton steps at most.
const MAX_STEPS: usize = 25;
/// Shorter steps end it.
const TOLERANCE: f64 = 1e-8;
/// A step is not cut shorter than this.
const SHORTEST: f64 = 1e-4;

/// An example's three features for every class, and its class.
pub(super) struct Sample {
    /// `[n_classes]`.
    pub features: Vec<[f64; 3]>,
    /// The right one.
    pub class: usize,
    /// How much it counts.
    pub share: f64,
}

/// The weights that make the samples' classes likeliest.
pub(super) fn fit(samples: &[&Sample]) -> [f64; 3] {
    let prior = Vector3::from(PRIOR);
    let mut weights = prior;
    for _ in 0..MAX_STEPS {
        let (gradient, hessian) = slopes(samples, &weights, &prior);
        let Some(step) = hessian.cholesky().map(|factors| factors.solve(&gradient)) else { break };
        let before = loss(samples, &weights, &prior);
        let mut length = 1.0;
        while loss(samples, &(weights - step * length), &prior) > before && length > SHORTEST {
            length /= 2.0;
        }
        weights -= step * length;
        if step.amax() < TOLERANCE {
            break;
        }
    }
    weights.into()
}

/// `w · f`.
pub(super) fn score(weights: &[f64; 3], features: &[f64; 3]) -> f64 {
    weights.iter().zip(features).map(|(weight, feature)| weight * feature).sum()
}

fn loss(samples: &[&Sample], weights: &Vector3<f64>, prior: &Vector3<f64>) -> f64 {
    let weights_array: [f64; 3] = (*weights).into();
    let of = |sample: &&Sample| {
        let scores: Vec<f64> =
            sample.features.iter().map(|features| score(&weights_array, features)).collect();
        let largest = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        sample.share
            * (scores.iter().map(|z| (z - largest).exp()).sum::<f64>().ln() + largest - scores[sample.class])
    };
    samples.iter().map(of).sum::<f64>() + (weights - prior).norm_squared() / 2.0
}

fn slopes(samples: &[&Sample], weights: &Vector3<f64>, prior: &Vector3<f64>) -> (Vector3<f64>, Matrix3<f64>) {
    let weights_array: [f64; 3] = (*weights).into();
    let mut gradient = weights - prior;
    let mut hessian = Matrix3::identity();
    for sample in samples {
        let p = softmax(&sample.features.iter().map(|f| score(&weights_array, f)).collect::<Vec<f64>>());
        let mut mean = Vector3::zeros();
        let mut square = Matrix3::zeros();
        for (p, features) in p.iter().zip(&sample.features) {
            let features = Vector3::from(*features);
            mean += features * *p;
            square += features * features.transpose() * *p;
        }
        gradient += (mean - Vector3::from(sample.features[sample.class])) * sample.share;
        hessian += (square - mean * mean.transpose()) * sample.share;
    }
    (gradient, hessian)
}

/// Shares that add up to 1.
pub(super) fn softmax(scores: &[f64]) -> Vec<f64> {
    let largest = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let mut p: Vec<f64> = scores.iter().map(|z| (z - largest).exp()).collect();
    let sum: f64 = p.iter().sum();
    p.iter_mut().for_each(|p| *p /= sum);
    p
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_tells_the_classes_apart_gets_the_weight() {
        let sample = |at: usize| {
            let class = at % 3;
            let noise = ((at * 7919) % 100) as f64 / 100.0;
            let features = (0..3).map(|other| [f64::from(u8::from(other == class)), noise, -noise]).collect();
            Sample { features, class, share: 1.0 }
        };
        let samples: Vec<Sample> = (0..300).map(sample).collect();
        let weights = fit(&samples.iter().collect::<Vec<_>>());
        assert!(weights[0] > 4.0, "{weights:?}");
        // What is the same for all classes says nothing: the prior stays.
        assert!((weights[1] - PRIOR[1]).abs() < 1e-6 && (weights[2] - PRIOR[2]).abs() < 1e-6, "{weights:?}");
    }

    #[test]
    fn without_samples_the_prior_stays() {
        assert_eq!(fit(&[]), PRIOR);
    }
}
