//! How well a memory bears on a query, and how much its age counts.

/// After so many days a memory's recency is a half.
pub const HALF_LIFE_DAYS: f64 = 30.0;
/// The part of a score that recency may take away.
pub const RECENCY_SHARE: f32 = 0.25;

const DAY_MS: f64 = 86_400_000.0;

/// In `(0, 1]`: 1 for what is remembered now, and a half after [`HALF_LIFE_DAYS`].
pub fn recency(age_ms: i64) -> f32 {
    (-(age_ms.max(0) as f64) / (HALF_LIFE_DAYS * DAY_MS)).exp2() as f32
}

/// A relevance in `[0, 1]` with the age weighed in: of two that are as relevant the newer one comes first, and no age
/// takes more than [`RECENCY_SHARE`] of it.
pub fn weighed(relevance: f32, recency: f32) -> f32 {
    relevance * (1.0 - RECENCY_SHARE + RECENCY_SHARE * recency)
}

/// The part of a relevance that comes from meaning; the rest is split between words and the search's own order.
const MEANING: f32 = 0.5;
const WORDS: f32 = 0.35;
const ORDER: f32 = 0.15;

/// How well a memory bears on a query, about `[0, 1]`: the share of the query's words that it holds, its cosine, and the
/// place of its hit, from 0. The weights are those of answers. Without a model words stand for the meaning.
pub fn relevance(words: f32, cosine: Option<f32>, rank: usize) -> f32 {
    MEANING * cosine.unwrap_or(words).max(0.0) + WORDS * words + ORDER / (1.0 + 0.5 * rank as f32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn age_halves_and_never_decides_alone() {
        assert!((recency((HALF_LIFE_DAYS * DAY_MS) as i64) - 0.5).abs() < 1e-6);
        assert_eq!(recency(-5), 1.0);
        assert!(weighed(0.8, recency(i64::MAX)) > weighed(0.5, 1.0));
        assert!(weighed(0.8, 0.9) > weighed(0.8, 0.1));
    }
}
