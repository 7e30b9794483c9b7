//! Measures of rankings. Gains are linear, as in `trec_eval`: nDCG after Järvelin, Kekäläinen 2002, discounted by
//! `log2(rank + 1)`.

use std::collections::BTreeMap;

/// nDCG of the first `k`, in `[0, 1]`; `relevant` must not be empty.
pub fn ndcg(ranked: &[String], relevant: &BTreeMap<String, f64>, k: usize) -> f64 {
    let discount = |rank_idx: usize| ((rank_idx + 2) as f64).log2();
    let gained: f64 = ranked
        .iter()
        .take(k)
        .enumerate()
        .map(|(rank_idx, id)| relevant.get(id).copied().unwrap_or(0.0) / discount(rank_idx))
        .sum();
    let mut ideal: Vec<f64> = relevant.values().copied().collect();
    ideal.sort_by(|a, b| b.total_cmp(a));
    let best: f64 = ideal.iter().take(k).enumerate().map(|(rank_idx, gain)| gain / discount(rank_idx)).sum();
    if best > 0.0 { gained / best } else { 0.0 }
}

/// The share of the relevant documents among the first `k`, in `[0, 1]`.
pub fn recall(ranked: &[String], relevant: &BTreeMap<String, f64>, k: usize) -> f64 {
    let found = ranked.iter().take(k).filter(|id| relevant.contains_key(*id)).count();
    if relevant.is_empty() { 0.0 } else { found as f64 / relevant.len() as f64 }
}

/// One over the rank of the first relevant document among the first `k`, or 0.
pub fn reciprocal_rank(ranked: &[String], relevant: &BTreeMap<String, f64>, k: usize) -> f64 {
    let first = ranked.iter().take(k).position(|id| relevant.contains_key(id));
    first.map_or(0.0, |rank_idx| 1.0 / (rank_idx + 1) as f64)
}

/// The chance that one of `higher` scores above one of `lower`, ties counting half (Mann, Whitney 1947).
pub fn auroc(higher: &[f64], lower: &[f64]) -> f64 {
    let mut all: Vec<(f64, bool)> =
        higher.iter().map(|score| (*score, true)).chain(lower.iter().map(|score| (*score, false))).collect();
    all.sort_by(|a, b| a.0.total_cmp(&b.0));
    let (mut wins, mut below) = (0.0, 0.0);
    for tied in all.chunk_by(|a, b| a.0 == b.0) {
        let n_lower = tied.iter().filter(|(_, is_higher)| !is_higher).count() as f64;
        wins += (tied.len() as f64 - n_lower) * (below + n_lower / 2.0);
        below += n_lower;
    }
    wins / (higher.len() as f64 * lower.len() as f64)
}

/// Figures by name; `None`: there was nothing to measure it by. The table has a column for it all the same, JSON has no member.
pub type Metrics = BTreeMap<String, Option<f64>>;

/// Each part as its share of a whole, by name. A share of nothing would read as perfect, or as none.
pub fn shares<'a>(shares: impl IntoIterator<Item = (&'a str, f64, f64)>) -> Metrics {
    let share = |part: f64, whole: f64| (whole > 0.0).then(|| part / whole);
    shares.into_iter().map(|(name, part, whole)| (name.to_owned(), share(part, whole))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_measures_give_what_is_computed_by_hand() {
        let ranked = ["a", "b", "c"].map(str::to_owned);
        let relevant = BTreeMap::from([("b".to_owned(), 1.0), ("z".to_owned(), 1.0)]);
        let expected = (1.0 / 3f64.log2()) / (1.0 + 1.0 / 3f64.log2());
        assert!((ndcg(&ranked, &relevant, 10) - expected).abs() < 1e-12);
        assert!((recall(&ranked, &relevant, 10) - 0.5).abs() < 1e-12);
        assert!((reciprocal_rank(&ranked, &relevant, 10) - 0.5).abs() < 1e-12);
        assert_eq!(reciprocal_rank(&ranked, &relevant, 1), 0.0);
    }

    #[test]
    fn auroc_counts_pairs() {
        assert_eq!(auroc(&[0.9, 0.5], &[0.1, 0.5]), 3.5 / 4.0);
        assert_eq!(auroc(&[1.0], &[0.0]), 1.0);
    }

    #[test]
    fn a_share_of_nothing_is_no_figure() {
        let shares = shares([("half", 1.0, 2.0), ("none", 0.0, 0.0)]);
        assert_eq!(shares, Metrics::from([("half".to_owned(), Some(0.5)), ("none".to_owned(), None)]));
    }
}
