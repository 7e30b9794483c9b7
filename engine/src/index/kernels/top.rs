//! The best of many scores.

/// The `k` best scores, best first, ties by lower row. `NEG_INFINITY` and NaN stand for rows without a score.
pub fn top_k(scores: &[f32], k: usize) -> Vec<(u32, f32)> {
    if k == 0 {
        return Vec::new();
    }
    let room = k.saturating_mul(2).clamp(64, scores.len().max(64));
    let mut best: Vec<(u32, f32)> = Vec::with_capacity(room);
    let mut threshold = f32::NEG_INFINITY;
    for (block_idx, block) in scores.chunks(32).enumerate() {
        if !block.iter().fold(false, |any, score| any | (*score > threshold)) {
            continue;
        }
        for (idx, score) in block.iter().enumerate() {
            // Rows come in order, so an equal score that comes later has lost its tie.
            if *score > threshold {
                best.push(((block_idx * 32 + idx) as u32, *score));
            }
            if best.len() == room && room > k {
                best.select_nth_unstable_by(k - 1, best_first);
                best.truncate(k);
                threshold = best[k - 1].1;
            }
        }
    }
    best.sort_unstable_by(best_first);
    best.truncate(k);
    best
}

/// The order of every list of hits: higher scores first, ties by lower row.
pub fn best_first(a: &(u32, f32), b: &(u32, f32)) -> std::cmp::Ordering {
    b.1.total_cmp(&a.1).then(a.0.cmp(&b.0))
}

/// Keeps what ties with or beats the `n`th best score; of fewer, all. The order is lost.
pub fn keep_best<T>(all: &mut Vec<(T, f32)>, n: usize) {
    if n == 0 {
        all.clear();
    } else if all.len() > n {
        let (_, nth, _) = all.select_nth_unstable_by(n - 1, |a, b| b.1.total_cmp(&a.1));
        let cut = nth.1;
        all.retain(|(_, score)| *score >= cut);
    }
}
