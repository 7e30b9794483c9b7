//! Whether two messages say the same.

use std::collections::BTreeSet;

use unicode_segmentation::UnicodeSegmentation;

/// From this cosine on, two messages say the same, unless one names something new. In [-1, 1]. With all-MiniLM-L6-v2 rewordings
/// of one request have 0.81 to 0.91, different requests on one subject 0.46 to 0.66; see the test of it.
pub const SAME_MEANING: f32 = 0.80;
/// Without embeddings: from this share of common words on (Jaccard's index over sets of folded words), two messages say the
/// same. In [0, 1].
pub const SAME_WORDS: f32 = 0.60;
/// Words of a message that are compared at most.
const MAX_WORDS: usize = 400;
/// Words that only keep a conversation going, in English, German, French and Spanish. A message of nothing else says nothing
/// new, however it is put. Embeddings don't see that: of six English courtesies no two have a cosine above 0.60, while two
/// remarks about different faults reach 0.63.
const COURTESY: &[&str] = &[
    "a",
    "again",
    "all",
    "am",
    "and",
    "anytime",
    "appreciate",
    "appreciated",
    "are",
    "at",
    "awesome",
    "bye",
    "cheers",
    "could",
    "day",
    "everything",
    "excellent",
    "for",
    "fine",
    "glad",
    "good",
    "goodbye",
    "got",
    "great",
    "happy",
    "have",
    "help",
    "helpful",
    "i",
    "i'm",
    "indeed",
    "is",
    "it",
    "kind",
    "lovely",
    "many",
    "more",
    "most",
    "much",
    "my",
    "nice",
    "no",
    "not",
    "ok",
    "okay",
    "perfect",
    "pleasure",
    "problem",
    "really",
    "so",
    "sure",
    "thank",
    "thanks",
    "that",
    "the",
    "there",
    "to",
    "too",
    "truly",
    "very",
    "was",
    "welcome",
    "well",
    "you",
    "you're",
    "your",
    "yours", // English
    "auch",
    "bitte",
    "dank",
    "danke",
    "gern",
    "gerne",
    "geschehen",
    "jederzeit",
    "kein",
    "keine",
    "nochmal",
    "nochmals",
    "schön",
    "schönen",
    "sehr",
    "tag",
    "vielen",
    "ursache", // German
    "avec",
    "beaucoup",
    "bien",
    "bonne",
    "de",
    "encore",
    "je",
    "journée",
    "merci",
    "plaisir",
    "prie",
    "rien",
    "vous", // French
    "buen",
    "día",
    "favor",
    "gracias",
    "gusto",
    "muchas",
    "nada",
    "por", // Spanish
];
/// Numbers in words: a message may differ from another one by nothing else, and still ask for something else.
const NUMBER_WORDS: &[&str] = &[
    "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve",
    "first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth", "tenth", "next",
    "last",
];

/// A message's embedding as it is kept: a number of bits that is enough to compare it by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sketch(Vec<i8>);

impl Sketch {
    /// Of an embedding `[dim]` f32 of any length; values beyond [`MAX_DIM`](Self::MAX_DIM) are left out. `None` where it has
    /// no direction.
    pub fn of(embedding: &[f32]) -> Option<Self> {
        let kept = &embedding[..embedding.len().min(Self::MAX_DIM)];
        let largest = kept.iter().fold(0.0f32, |largest, value| largest.max(value.abs()));
        if !largest.is_finite() || largest == 0.0 {
            return None;
        }
        Some(Self(kept.iter().map(|value| (value / largest * 127.0).round() as i8).collect()))
    }

    /// Numbers that are kept at most.
    pub const MAX_DIM: usize = 4096;

    /// As bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        self.0.iter().map(|value| value.cast_unsigned()).collect()
    }

    /// From bytes.
    pub fn from_bytes(bytes: &[u8]) -> Self {
        Self(bytes.iter().map(|byte| byte.cast_signed()).collect())
    }

    /// Cosine, in [-1, 1]; `None` for sketches of two models.
    pub fn cosine(&self, other: &Self) -> Option<f32> {
        if self.0.len() != other.0.len() {
            return None;
        }
        let dot =
            |a: &[i8], b: &[i8]| -> i64 { a.iter().zip(b).map(|(a, b)| i64::from(*a) * i64::from(*b)).sum() };
        let lengths = (dot(&self.0, &self.0) as f64 * dot(&other.0, &other.0) as f64).sqrt();
        (lengths > 0.0).then(|| (dot(&self.0, &other.0) as f64 / lengths) as f32)
    }
}

/// How alike two messages are.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Likeness {
    /// In [-1, 1], or in [0, 1] by words.
    pub value: f32,
    /// Whether only words were compared.
    pub by_words: bool,
}

impl Likeness {
    /// By meaning where both have an embedding of one model, else by words.
    pub fn of(a: (&str, Option<&Sketch>), b: (&str, Option<&Sketch>)) -> Self {
        let by_meaning = a.1.zip(b.1).and_then(|(a, b)| a.cosine(b));
        match by_meaning {
            Some(value) => Self { value, by_words: false },
            None => Self { value: same_words(a.0, b.0), by_words: true },
        }
    }

    /// Whether they say the same.
    pub fn is_same(self) -> bool {
        self.value >= if self.by_words { SAME_WORDS } else { SAME_MEANING }
    }
}

fn words(text: &str) -> BTreeSet<String> {
    text.unicode_words().take(MAX_WORDS).map(|word| word.replace('’', "'").to_lowercase()).collect()
}

/// The names in a text, folded: words with a digit or an inner mark (`v2`, `a_b`, `src/x.rs`), numbers in words, and words with
/// a capital letter that begin no sentence. «Translate chapter two» is as like «translate chapter one» as any rewording of it
/// (0.94 against 0.91), and asks for something else.
pub fn names(text: &str) -> BTreeSet<String> {
    let mut begins = true;
    let mut names = BTreeSet::new();
    for piece in text.split_whitespace().take(MAX_WORDS) {
        let word = piece.trim_matches(|c: char| !c.is_alphanumeric());
        let folded = word.replace('’', "'").to_lowercase();
        let is_marked = word.chars().any(|c| c.is_numeric() || matches!(c, '_' | '/' | '.' | ':' | '#'));
        let is_capital = !begins && word.chars().count() > 1 && word.starts_with(char::is_uppercase);
        let is_plain = folded.is_empty() || folded.starts_with("i'") || COURTESY.contains(&folded.as_str());
        if !is_plain && (is_marked || is_capital || NUMBER_WORDS.contains(&folded.as_str())) {
            names.insert(folded);
        }
        begins = piece.ends_with(['.', '!', '?', ':']);
    }
    names
}

/// The words and names of a text, folded: what it has mentioned in any way.
pub fn mentioned(text: &str) -> BTreeSet<String> {
    let mut mentioned = words(text);
    mentioned.extend(names(text));
    mentioned
}

/// Jaccard's index of the words of two texts, in [0, 1]; two texts without words are the same.
pub fn same_words(a: &str, b: &str) -> f32 {
    let (a, b) = (words(a), words(b));
    let (common, all) = (a.intersection(&b).count(), a.union(&b).count());
    if all == 0 { 1.0 } else { common as f32 / all as f32 }
}

/// Whether a text is nothing but courtesy.
pub fn says_nothing(text: &str) -> bool {
    words(text).iter().all(|word| COURTESY.contains(&word.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn courtesy_is_told_from_content() {
        for text in [
            "Thanks!",
            "You're welcome :)",
            "thank you too",
            "No problem at all",
            "🙏",
            "",
            "You’re very welcome!",
            "Danke schön!",
            "De rien.",
            "¡Muchas gracias!",
        ] {
            assert!(says_nothing(text), "{text:?}");
        }
        for text in
            ["Thanks, now translate chapter 2", "no, the total is wrong", "Danke, jetzt Kapitel zwei", "42"]
        {
            assert!(!says_nothing(text), "{text:?}");
        }
    }

    #[test]
    fn what_is_named_is_found() {
        for (text, expected) in [
            ("Translate chapter two into French.", vec!["french", "two"]),
            ("Thanks! I'm glad, and I'll be back.", vec![]),
            ("Fix src/a.rs line 40, not v2.", vec!["40", "src/a.rs", "v2"]),
            ("Please. Check it. You're welcome", vec![]),
        ] {
            assert_eq!(names(text).into_iter().collect::<Vec<_>>(), expected, "{text}");
        }
    }

    #[test]
    fn a_sketch_keeps_the_direction() {
        let a = Sketch::of(&[0.3, -0.4, 0.5]).unwrap();
        assert_eq!(Sketch::from_bytes(&a.to_bytes()), a);
        assert!(a.cosine(&Sketch::of(&[0.6, -0.8, 1.0]).unwrap()).unwrap() > 0.999);
        assert!(a.cosine(&Sketch::of(&[-0.3, 0.4, -0.5]).unwrap()).unwrap() < -0.999);
        assert_eq!(a.cosine(&Sketch::of(&[1.0]).unwrap()), None);
        assert_eq!((Sketch::of(&[0.0]), Sketch::of(&[f32::NAN, 1.0]).is_some()), (None, true));
    }
}
