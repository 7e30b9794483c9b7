//! Words as sparse vectors: TF-IDF over the texts of the visible entries and over nothing else.
//!
//! A text's weight of a feature is `(1 + ln n) · idf` with `idf = ln((1 + N) / (1 + df)) + 1`, the whole at length 1
//! (the smoothed form of Salton, Buckley 1988). What no text has still counts in a query's length, at the idf of `df = 0`,
//! so that strange words make a query unlike everything.

use std::collections::BTreeMap;

/// Words that hold sentences together, as they are indexed; sorted.
const FUNCTION_WORDS: [&str; 36] = [
    "all", "and", "ani", "are", "but", "can", "did", "doe", "for", "from", "had", "has", "have", "how",
    "into", "its", "may", "not", "our", "some", "than", "that", "the", "their", "them", "there", "thi",
    "this", "was", "what", "when", "which", "who", "will", "with", "your",
];
/// Words of a lower idf stand in four texts of five.
const TELLING_IDF: f32 = 1.22;

/// A text over a lexicon's features, by feature, ascending.
pub(super) type Sparse = Vec<(u32, f32)>;

/// Which features a text has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Grain {
    /// Words and pairs of neighbours.
    Words,
    /// Words and their pieces of three to five characters, ends marked.
    Pieces,
}

/// The features of some texts, with their idf.
pub(super) struct Lexicon {
    grain: Grain,
    features: BTreeMap<String, u32>,
    idf: Vec<f32>,
    idf_of_none: f32,
}

impl Lexicon {
    /// Of these texts; features of fewer than `min_texts` of them are left out of vectors, though not of lengths.
    pub(super) fn of<'a>(texts: impl Iterator<Item = &'a [String]>, grain: Grain, min_texts: u32) -> Self {
        let mut n_with: BTreeMap<String, u32> = BTreeMap::new();
        let mut n_texts = 0u32;
        for words in texts {
            n_texts += 1;
            for feature in counts(words, grain).into_keys() {
                *n_with.entry(feature).or_default() += 1;
            }
        }
        let idf_with = |n_with: u32| ((1.0 + n_texts as f32) / (1.0 + n_with as f32)).ln() + 1.0;
        let kept: Vec<(String, u32)> =
            n_with.into_iter().filter(|(_, n_with)| *n_with >= min_texts).collect();
        let idf = kept.iter().map(|(_, n_with)| idf_with(*n_with)).collect();
        let features = kept.into_iter().map(|(feature, _)| feature).zip(0..).collect();
        Self { grain, features, idf, idf_of_none: idf_with(0) }
    }

    /// How many features there are.
    pub(super) fn len(&self) -> usize {
        self.idf.len()
    }

    /// Whether a word tells texts apart: it does not stand in almost all of them.
    pub(super) fn is_telling(&self, word: &str) -> bool {
        let idf = self.features.get(word).map_or(self.idf_of_none, |feature| self.idf[*feature as usize]);
        word.chars().count() > 2 && idf > TELLING_IDF && FUNCTION_WORDS.binary_search(&word).is_err()
    }

    /// A text, at length 1.
    pub(super) fn vector(&self, words: &[String]) -> Sparse {
        let mut vector = Sparse::new();
        let mut squares = 0.0;
        for (feature, n) in counts(words, self.grain) {
            let tf = 1.0 + (n as f32).ln();
            let known = self.features.get(&feature);
            let weight = tf * known.map_or(self.idf_of_none, |known| self.idf[*known as usize]);
            squares += weight * weight;
            vector.extend(known.map(|known| (*known, weight)));
        }
        let norm = squares.sqrt();
        vector.iter_mut().for_each(|(_, weight)| *weight /= norm);
        vector.sort_unstable_by_key(|(feature, _)| *feature);
        vector
    }
}

fn counts(words: &[String], grain: Grain) -> BTreeMap<String, u32> {
    let mut counts = BTreeMap::new();
    let mut count = |feature: String| *counts.entry(feature).or_default() += 1;
    for word in words {
        count(word.clone());
    }
    match grain {
        Grain::Words => words.windows(2).for_each(|pair| count(pair.join(" "))),
        Grain::Pieces => words.iter().for_each(|word| pieces(word, &mut count)),
    }
    counts
}

fn pieces(word: &str, count: &mut impl FnMut(String)) {
    let chars: Vec<char> = std::iter::once('_').chain(word.chars()).chain(std::iter::once('_')).collect();
    for n_chars in 3..=5 {
        // The mark tells a piece from a word of the same letters.
        chars
            .windows(n_chars)
            .for_each(|piece| count(std::iter::once('\u{1}').chain(piece.iter().copied()).collect()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The product of two texts, `[0, 1]` at length 1.
    fn dot(a: &[(u32, f32)], b: &[(u32, f32)]) -> f32 {
        let in_b =
            |feature: u32| b.iter().find(|(other, _)| *other == feature).map_or(0.0, |(_, weight)| *weight);
        a.iter().map(|(feature, weight)| weight * in_b(*feature)).sum()
    }

    fn words(text: &str) -> Vec<String> {
        text.split(' ').map(str::to_owned).collect()
    }

    #[test]
    fn a_text_is_like_itself_and_strange_words_make_it_less_so() {
        let texts = ["pay the bill", "book a room", "pay rent"].map(words);
        let lexicon = Lexicon::of(texts.iter().map(Vec::as_slice), Grain::Words, 1);
        let vectors: Vec<Sparse> = texts.iter().map(|text| lexicon.vector(text)).collect();
        assert!((dot(&vectors[0], &vectors[0]) - 1.0).abs() < 1e-6);
        assert_eq!(dot(&vectors[0], &vectors[1]), 0.0);
        let strange = lexicon.vector(&words("pay the bill quickly"));
        let likeness = dot(&strange, &vectors[0]);
        assert!((0.5..0.99).contains(&likeness), "{likeness}");
        assert!(lexicon.vector(&[]).is_empty());
    }

    #[test]
    fn pieces_find_what_words_miss() {
        let texts = ["invoicing"].map(words);
        let of = |grain| {
            let lexicon = Lexicon::of(texts.iter().map(Vec::as_slice), grain, 1);
            dot(&lexicon.vector(&words("invoices")), &lexicon.vector(&texts[0]))
        };
        assert_eq!(of(Grain::Words), 0.0);
        assert!(of(Grain::Pieces) > 0.3);
    }
}
