//! The words of a sentence, each with what it is.

use super::values::{self, Value};
use super::wording::is_code;
use crate::index;

/// One word.
#[derive(Debug, Clone)]
pub struct Word {
    /// Folded, as it was written otherwise.
    pub plain: String,
    /// Its stem.
    pub stem: String,
    /// A number, date, time or rhythm.
    pub value: Option<Value>,
    pub is_negator: bool,
    /// Carries no meaning of its own.
    pub is_function: bool,
    /// A verb that says something of what was named before it.
    pub is_verb: bool,
    /// Begins with a capital, and is not the sentence's first word.
    pub is_name: bool,
}

impl Word {
    pub fn is_content(&self) -> bool {
        !self.is_function && !self.is_negator
    }
}

/// The words of a text in order, `max_words` of them.
pub fn read(text: &str, max_words: usize) -> Vec<Word> {
    let mut words = Vec::new();
    for raw in tokens(text).take(max_words) {
        let is_first = words.is_empty();
        word(raw, is_first, &mut words);
    }
    values::mark(&mut words);
    words
}

fn word(raw: &str, is_first: bool, words: &mut Vec<Word>) {
    let plain = crate::id::fold(raw).replace('\u{2019}', "'");
    // `isn't` denies as `is not` does.
    if let Some(verb) = plain.strip_suffix("n't") {
        let verb = match verb {
            "ca" => "can",
            "wo" => "will",
            "sha" => "shall",
            other => other,
        };
        words.push(plain_word(verb.to_owned(), false));
        words.push(plain_word("not".to_owned(), false));
        return;
    }
    let is_name = !is_first && raw.chars().next().is_some_and(char::is_uppercase);
    let plain = plain.strip_suffix("'s").map(str::to_owned).unwrap_or(plain);
    let mut word = plain_word(plain, is_name);
    if word.value.is_none() && is_code(raw) {
        word.stem = raw.to_owned();
    }
    words.push(word);
}

fn plain_word(plain: String, is_name: bool) -> Word {
    let own = index::terms(&plain).into_iter().find(|term| !term.whole);
    let stem = own.map_or_else(|| plain.clone(), |term| term.text);
    Word {
        value: values::value_of(&plain, is_name),
        is_negator: NEGATORS.contains(&plain.as_str()),
        is_function: FUNCTION_WORDS.contains(&plain.as_str()),
        is_verb: VERBS.contains(&plain.as_str()),
        is_name,
        plain,
        stem,
    }
}

/// Runs of letters and digits; what joins digits (`41,250`, `10:30`, `2026-11-27`, `4.5`) and letters (`don't`) stays inside.
fn tokens(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let start = rest.find(|c: char| c.is_alphanumeric())?;
        let mut end = start;
        let mut before: Option<char> = None;
        let tail = &rest[start..];
        let mut chars = tail.char_indices().peekable();
        while let Some((at, c)) = chars.next() {
            let next = chars.peek().map(|(_, next)| *next);
            let joins = match c {
                ',' | '.' | ':' | '-' => {
                    before.is_some_and(|c| c.is_ascii_digit()) && next.is_some_and(|c| c.is_ascii_digit())
                }
                '\'' | '\u{2019}' => {
                    before.is_some_and(char::is_alphabetic) && next.is_some_and(char::is_alphabetic)
                }
                c => c.is_alphanumeric() || c == '_' || c == '%',
            };
            if !joins {
                break;
            }
            end = start + at + c.len_utf8();
            before = Some(c);
        }
        let token = &rest[start..end];
        rest = &rest[end..];
        Some(token)
    })
}

const NEGATORS: &[&str] = &[
    "no", "not", "never", "none", "nobody", "nothing", "neither", "nor", "cannot", "without", "nowhere",
    "hardly",
];

/// They carry no meaning in a comparison; `only`, `all` and `every` are left out of the list on purpose.
const FUNCTION_WORDS: &[&str] = &[
    "a",
    "about",
    "also",
    "am",
    "an",
    "and",
    "any",
    "are",
    "as",
    "at",
    "be",
    "been",
    "being",
    "but",
    "by",
    "can",
    "could",
    "did",
    "do",
    "does",
    "for",
    "from",
    "had",
    "has",
    "have",
    "he",
    "her",
    "his",
    "how",
    "i",
    "if",
    "in",
    "into",
    "is",
    "it",
    "its",
    "just",
    "may",
    "me",
    "might",
    "must",
    "my",
    "now",
    "of",
    "on",
    "or",
    "our",
    "ours",
    "shall",
    "she",
    "should",
    "so",
    "some",
    "such",
    "than",
    "that",
    "the",
    "their",
    "them",
    "then",
    "there",
    "these",
    "they",
    "this",
    "those",
    "to",
    "us",
    "was",
    "we",
    "were",
    "what",
    "when",
    "where",
    "which",
    "who",
    "whom",
    "whose",
    "why",
    "will",
    "with",
    "would",
    "you",
    "your",
    "currently",
    "please",
    "note",
];

pub(super) const VERBS: &[&str] = &[
    "am", "are", "can", "could", "did", "do", "does", "had", "has", "have", "is", "may", "might", "must",
    "shall", "should", "was", "were", "will", "would", "cannot", "accept", "accepts", "allow", "allows",
    "approves", "begins", "belongs", "comes", "contains", "cost", "costs", "drinks", "drives", "earns",
    "eats", "ends", "expire", "expires", "gets", "goes", "happens", "hates", "holds", "includes", "keep",
    "keeps", "knows", "lasts", "leads", "left", "like", "likes", "lives", "loves", "manages", "meets",
    "moved", "moves", "need", "needs", "opens", "owns", "pays", "prefer", "prefers", "receives", "reports",
    "requires", "returns", "run", "runs", "sends", "sells", "ships", "sits", "sleeps", "speaks", "stands",
    "starts", "stays", "stores", "supports", "takes", "teaches", "use", "uses", "wants", "wears", "weighs",
    "work", "works", "writes", "closes", "arrives", "leaves", "deploys", "listens", "reads",
];
