//! Which texts go through the encoder together.
//!
//! Takes token counts, gives batches of indices: similar lengths together, longest first, each batch within a token
//! budget. A pure plan; computes nothing.

/// Tokens of one batch. More makes a product no faster, but the activations leave the second cache; fewer read the
/// weights more often.
pub(super) const BATCH_TOKENS: usize = 512;

/// Fewest tokens for which a batch is worth a thread of its own.
const MIN_BATCH_TOKENS: usize = 64;

/// Batches of indices into `n_tokens`, to be worked on by `n_threads` threads.
///
/// Every index comes exactly once. A text longer than the budget makes a batch of its own.
pub(super) fn plan(n_tokens: &[usize], n_threads: usize) -> Vec<Vec<usize>> {
    let total: usize = n_tokens.iter().sum();
    let budget = total.div_ceil(n_threads.max(1)).clamp(MIN_BATCH_TOKENS, BATCH_TOKENS);
    let mut order: Vec<usize> = (0..n_tokens.len()).collect();
    order.sort_by_key(|&text_idx| (std::cmp::Reverse(n_tokens[text_idx]), text_idx));

    let mut batches: Vec<Vec<usize>> = Vec::new();
    let mut filled = usize::MAX;
    for text_idx in order {
        match batches.last_mut() {
            Some(batch) if filled.saturating_add(n_tokens[text_idx]) <= budget => batch.push(text_idx),
            _ => {
                batches.push(vec![text_idx]);
                filled = 0;
            }
        }
        filled += n_tokens[text_idx];
    }
    batches
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(n_tokens: &[usize], n_threads: usize, expected: &[&[usize]]) {
        assert_eq!(plan(n_tokens, n_threads), expected, "{n_tokens:?} on {n_threads} threads");
    }

    #[test]
    fn batches_keep_the_budget_and_lose_nothing() {
        check(&[], 2, &[]);
        check(&[5], 2, &[&[0]]);
        check(&[300, 10, 250, 212], 1, &[&[0], &[2, 3, 1]]);
        check(&[600, 20], 1, &[&[0], &[1]]);
        check(&[40, 30, 20], 1, &[&[0, 1, 2]]);
        check(&[40, 30, 20], 2, &[&[0], &[1, 2]]);
    }
}
