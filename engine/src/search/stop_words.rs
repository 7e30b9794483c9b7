//! Function words, which say nothing of what is asked for.
//!
//! Takes a query's words, gives those to leave out: the list of the one language that most of them belong to, since `die`
//! is an article to one and a verb to another. Documents keep all of theirs, so that phrases work.

/// Which of a query's words carry no meaning.
pub struct StopWords(&'static [&'static str]);

impl StopWords {
    /// The list that fits; English where none does better.
    pub fn of<'a>(words: impl Iterator<Item = &'a str> + Clone) -> Self {
        let held = |list: &[&str]| words.clone().filter(|word| list.binary_search(word).is_ok()).count();
        let others = [GERMAN, SPANISH, FRENCH];
        let best = others.into_iter().rev().max_by_key(|list| held(list));
        // One alone may be a word of an English query, as in `mit license`.
        let best = best.filter(|list| held(list) >= 2 && held(list) > held(ENGLISH));
        Self(best.unwrap_or(ENGLISH))
    }

    /// Whether a word, in small letters, is one. Chinese ones are always.
    pub fn has(&self, word: &str) -> bool {
        self.0.binary_search(&word).is_ok() || CHINESE.binary_search(&word).is_ok()
    }
}

// Each ascending.

const ENGLISH: &[&str] = &[
    "a", "about", "an", "and", "any", "are", "as", "at", "be", "been", "but", "by", "can", "could", "did",
    "do", "does", "for", "from", "had", "has", "have", "how", "i", "if", "in", "into", "is", "it", "its",
    "may", "me", "my", "no", "not", "of", "on", "or", "our", "should", "so", "some", "such", "than", "that",
    "the", "their", "them", "then", "there", "these", "they", "this", "those", "to", "was", "we", "were",
    "what", "when", "where", "which", "who", "whom", "whose", "why", "will", "with", "would", "you", "your",
];

const GERMAN: &[&str] = &[
    "ab", "aber", "als", "am", "an", "auch", "auf", "aus", "bei", "beim", "bis", "da", "das", "dass", "dem",
    "den", "der", "des", "die", "dies", "diese", "dieser", "dieses", "du", "durch", "ein", "eine", "einem",
    "einen", "einer", "eines", "er", "es", "für", "gibt", "haben", "hat", "hatte", "hatten", "ich", "ihr",
    "ihre", "im", "in", "ist", "kann", "kein", "keine", "können", "man", "mein", "mit", "muss", "nach",
    "nicht", "noch", "nur", "oder", "sein", "seine", "sich", "sie", "sind", "so", "um", "und", "uns",
    "unser", "unsere", "vom", "von", "vor", "wann", "war", "waren", "warum", "was", "welche", "welchem",
    "welchen", "welcher", "welches", "wem", "wen", "wenn", "wer", "werden", "wessen", "wie", "wir", "wird",
    "wo", "wurde", "wurden", "zu", "zum", "zur", "über",
];

const SPANISH: &[&str] = &[
    "a", "al", "como", "con", "cual", "cuando", "cuál", "cuáles", "cuándo", "cuánta", "cuántas", "cuánto",
    "cuántos", "cómo", "de", "del", "desde", "donde", "dónde", "e", "el", "ella", "en", "era", "es", "esta",
    "este", "esto", "está", "están", "fue", "fueron", "ha", "hay", "la", "las", "le", "lo", "los", "me",
    "mi", "más", "no", "o", "para", "pero", "por", "porque", "puede", "que", "quién", "quiénes", "qué", "se",
    "ser", "si", "sin", "sobre", "son", "su", "sus", "también", "un", "una", "y", "ya",
];

const FRENCH: &[&str] = &[
    "a", "au", "aux", "avec", "ce", "ces", "cette", "combien", "comment", "dans", "de", "des", "du", "elle",
    "en", "est", "et", "eu", "faut", "il", "ils", "je", "la", "le", "les", "leur", "leurs", "lui", "mais",
    "mes", "mon", "ne", "nos", "notre", "nous", "on", "ont", "ou", "où", "par", "pas", "peut", "plus",
    "pour", "pourquoi", "quand", "que", "quel", "quelle", "quelles", "quels", "qui", "quoi", "sa", "se",
    "ses", "si", "son", "sont", "sur", "un", "une", "vos", "votre", "vous", "y", "à", "été", "être",
];

/// As the pairs and single characters that a text of it is cut into.
const CHINESE: &[&str] = &[
    "了", "什么", "何时", "吗", "呢", "哪个", "哪些", "哪位", "哪里", "多少", "如何", "怎么", "怎样", "是",
    "的", "谁",
];

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(query: &str) -> Vec<&str> {
        let list = StopWords::of(query.split(' '));
        query.split(' ').filter(|word| !list.has(word)).collect()
    }

    #[test]
    fn the_lists_are_sorted() {
        for list in [ENGLISH, GERMAN, SPANISH, FRENCH, CHINESE] {
            assert!(list.is_sorted(), "{list:?}");
        }
    }

    #[test]
    fn a_query_loses_the_function_words_of_its_own_language_alone() {
        for (query, expected) in [
            ("how many people die in a flood", &["many", "people", "die", "flood"][..]),
            ("wie viele menschen sterben in der flut", &["viele", "menschen", "sterben", "flut"]),
            ("was kostet die solaranlage", &["kostet", "solaranlage"]),
            ("cuántos habitantes son de la isla", &["habitantes", "isla"]),
            ("combien coûte le billet", &["coûte", "billet"]),
            ("refund policy", &["refund", "policy"]),
            ("mit license", &["mit", "license"]),
            ("war crimes", &["war", "crimes"]),
            ("men s plus size", &["men", "s", "plus", "size"]),
        ] {
            assert_eq!(kept(query), expected, "{query}");
        }
    }
}
