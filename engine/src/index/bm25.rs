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

/// No term frequency counts as much.
pub const MAX_SATURATION: f32 = K1 + 1.0;

/// Frequencies up to here are looked up.
const KNOWN: u32 = 8;

/// What each term frequency in a chunk of each length counts, for one mean length.
pub struct Saturations {
    /// The part of the denominator that depends on a chunk's length alone, for each length code.
    norms: [f32; 256],
    /// By frequency from 1 and length code.
    known: Box<[[f32; 256]; KNOWN as usize]>,
}

impl Saturations {
    /// `decode` gives the length that a code stands for.
    pub fn new(mean_len: f32, decode: impl Fn(u8) -> u32) -> Self {
        let mean_len = if mean_len > 0.0 { mean_len } else { 1.0 };
        let norms = std::array::from_fn(|code| K1 * (1.0 - B + B * decode(code as u8) as f32 / mean_len));
        let mut known = Box::new([[0.0; 256]; KNOWN as usize]);
        for (frequency, row) in (1..).zip(known.iter_mut()) {
            row.iter_mut().zip(&norms).for_each(|(cell, norm)| *cell = saturation(frequency, *norm));
        }
        Self { norms, known }
    }

    /// The saturated term frequency, in `[0, MAX_SATURATION)`.
    #[inline]
    pub fn of(&self, frequency: u32, length_code: u8) -> f32 {
        match self.known.get((frequency as usize).wrapping_sub(1)) {
            Some(row) => row[length_code as usize],
            None => saturation(frequency, self.norms[length_code as usize]),
        }
    }
}

fn saturation(frequency: u32, norm: f32) -> f32 {
    let tf = frequency as f32;
    tf * MAX_SATURATION / (tf + norm)
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
        let saturations = Saturations::new(10.0, u32::from);
        for tf in [1, 3, KNOWN, KNOWN + 1, 300] {
            let score = idf(2, 10) * saturations.of(tf, 20);
            let tf = tf as f32;
            let by_hand = (1.0f32 + 8.5 / 2.5).ln() * tf * 2.2 / (tf + 1.2 * (0.25 + 0.75 * 2.0));
            assert!((score - by_hand).abs() < 1e-5, "{score} against {by_hand}");
        }
    }
}
