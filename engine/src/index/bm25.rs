//! The BM25 score of a term in a chunk.
//!
//! `idf(t) · tf · (K1 + 1) / (tf + K1 · (1 - B + B · len / avg_len))` with
//! `idf(t) = ln(1 + (N - df + 0.5) / (df + 0.5))`; N, df and avg_len are those of the scope that is searched, so a
//! score tells nothing of what lies outside of it.
//!
//! Source: Robertson, Zaragoza, «The Probabilistic Relevance Framework: BM25 and Beyond», 2009; the idf that stays
//! above zero is Lucene's.

/// How fast repeated terms stop counting.
pub const K1: f32 = 1.2;
/// How much long chunks are held back.
pub const B: f32 = 0.75;

/// Inverse document frequency; `n_with_term` of `n_chunks` hold the term. Always above zero.
pub fn idf(n_with_term: u64, n_chunks: u64) -> f32 {
    let n = n_chunks.max(n_with_term) as f64;
    let df = n_with_term as f64;
    (1.0 + (n - df + 0.5) / (df + 0.5)).ln() as f32
}

/// The part of the denominator that depends on a chunk's length alone, for each of the 256 length codes.
pub fn length_norms(avg_len: f32, decode: impl Fn(u8) -> u32) -> [f32; 256] {
    let avg_len = if avg_len > 0.0 { avg_len } else { 1.0 };
    std::array::from_fn(|code| K1 * (1.0 - B + B * decode(code as u8) as f32 / avg_len))
}

/// The saturated term frequency, in `[0, K1 + 1)`.
#[inline]
pub fn saturation(term_frequency: u32, length_norm: f32) -> f32 {
    let tf = term_frequency as f32;
    tf * (K1 + 1.0) / (tf + length_norm)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rare_term_weighs_more_and_a_term_of_every_chunk_still_weighs() {
        assert!(idf(1, 1000) > idf(10, 1000));
        assert!(idf(1000, 1000) > 0.0);
    }

    #[test]
    fn the_formula_gives_the_papers_value() {
        let norms = length_norms(10.0, u32::from);
        let score = idf(2, 10) * saturation(3, norms[20]);
        let by_hand = (1.0f32 + 8.5 / 2.5).ln() * 3.0 * 2.2 / (3.0 + 1.2 * (0.25 + 0.75 * 2.0));
        assert!((score - by_hand).abs() < 1e-6, "{score} against {by_hand}");
    }
}
