//! Takes text, gives the terms under which it is found.
//!
//! A word becomes its English stem (Porter 2). An identifier such as `parseHttpHeader` or `max_open_files` becomes
//! itself, whole and lower-cased, and the stems of its parts. Chinese, Japanese and Korean text becomes
//! overlapping pairs of characters. Latin letters lose their accents.
//! Documents and queries go through the same function; it knows no stop words, those are a query's business.

use frostem::{Algorithm, Stemmer};
use unicode_normalization::UnicodeNormalization;

/// Bumped when the same text gives other terms: an index of an older number is rebuilt.
pub const ANALYZER_VERSION: u32 = 1;

/// Longer words are cut: nobody asks for them, and they would fill the dictionary.
const MAX_WORD_CHARS: usize = 80;

/// One term of a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Term {
    /// What is looked up.
    pub text: String,
    /// Place in the order of words; an identifier shares the place of its first part.
    pub position: usize,
    /// Bytes of the text that it stands for, `[start, end)`.
    pub start: usize,
    /// See `start`.
    pub end: usize,
    /// Whether this is the identifier as a whole, beside its parts.
    pub whole: bool,
}

/// All terms of a text, in order.
pub fn terms(text: &str) -> Vec<Term> {
    let mut out = Vec::with_capacity(text.len() / 5);
    each_term(text, |term| out.push(term));
    out
}

/// Calls `emit` for each term of a text, in order.
pub fn each_term(text: &str, mut emit: impl FnMut(Term)) {
    let stemmer = Stemmer::new(Algorithm::English);
    let mut position = 0;
    let mut rest = text.char_indices().peekable();
    while let Some(&(start, c)) = rest.peek() {
        if is_cjk(c) {
            let end = run_end(text, start, is_cjk);
            position = emit_pairs(text, start, end, position, &mut emit);
            while rest.next_if(|(at, _)| *at < end).is_some() {}
        } else if is_word(c) {
            let end = run_end(text, start, |c| is_word(c) && !is_cjk(c));
            position = emit_word(text, start, end, position, &stemmer, &mut emit);
            while rest.next_if(|(at, _)| *at < end).is_some() {}
        } else {
            rest.next();
        }
    }
}

fn run_end(text: &str, start: usize, belongs: impl Fn(char) -> bool) -> usize {
    text[start..].char_indices().find(|(_, c)| !belongs(*c)).map_or(text.len(), |(at, _)| start + at)
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

fn is_cjk(c: char) -> bool {
    matches!(c as u32,
        0x3040..=0x30FF | 0x3400..=0x4DBF | 0x4E00..=0x9FFF | 0xAC00..=0xD7AF | 0xF900..=0xFAFF | 0x20000..=0x3134F)
}

fn emit_pairs(
    text: &str,
    start: usize,
    end: usize,
    mut position: usize,
    emit: &mut impl FnMut(Term),
) -> usize {
    let chars: Vec<(usize, char)> = text[start..end].char_indices().map(|(at, c)| (start + at, c)).collect();
    if let [(at, c)] = chars[..] {
        emit(Term { text: c.to_string(), position, start: at, end, whole: false });
        return position + 1;
    }
    for pair in chars.windows(2) {
        let [(first_at, first), (second_at, second)] = [pair[0], pair[1]];
        let pair_end = second_at + second.len_utf8();
        emit(Term {
            text: [first, second].iter().collect(),
            position,
            start: first_at,
            end: pair_end,
            whole: false,
        });
        position += 1;
    }
    position
}

fn emit_word(
    text: &str,
    start: usize,
    end: usize,
    position: usize,
    stemmer: &Stemmer,
    emit: &mut impl FnMut(Term),
) -> usize {
    let parts = identifier_parts(text, start, end);
    if parts.len() > 1 {
        let whole = fold(text[start..end].trim_matches('_'));
        emit(Term { text: whole, position, start, end, whole: true });
    }
    for (part_idx, (part_start, part_end)) in parts.iter().enumerate() {
        let folded = fold(&text[*part_start..*part_end]);
        let stem = stemmer.stem(&folded).into_owned();
        emit(Term {
            text: stem,
            position: position + part_idx,
            start: *part_start,
            end: *part_end,
            whole: false,
        });
    }
    position + parts.len()
}

/// Cuts at `_`, between lower and upper case, before the last capital of `HTTPServer`, and between letters and digits.
fn identifier_parts(text: &str, start: usize, end: usize) -> Vec<(usize, usize)> {
    let word = &text[start..end];
    if word.bytes().all(|byte| byte.is_ascii_lowercase()) {
        return vec![(start, end)];
    }
    let chars: Vec<(usize, char)> = word.char_indices().map(|(at, c)| (start + at, c)).collect();
    let mut parts = Vec::new();
    let mut part_start = None;
    for (char_idx, (at, c)) in chars.iter().copied().enumerate() {
        if c == '_' {
            if let Some(from) = part_start.take() {
                parts.push((from, at));
            }
            continue;
        }
        let Some(from) = part_start else {
            part_start = Some(at);
            continue;
        };
        let before = chars[char_idx - 1].1;
        let after = chars.get(char_idx + 1).map(|(_, c)| *c);
        let hump = before.is_lowercase() && c.is_uppercase();
        let acronym_end = before.is_uppercase() && c.is_uppercase() && after.is_some_and(char::is_lowercase);
        let digit_edge = before.is_numeric() != c.is_numeric();
        if hump || acronym_end || digit_edge {
            parts.push((from, at));
            part_start = Some(at);
        }
    }
    if let Some(from) = part_start {
        parts.push((from, end));
    }
    parts
}

/// Lower case, compatibility forms made plain, accents of Latin letters dropped, cut to `MAX_WORD_CHARS`.
fn fold(word: &str) -> String {
    if word.is_ascii() {
        return word[..word.len().min(MAX_WORD_CHARS)].to_ascii_lowercase();
    }
    let mut out = String::with_capacity(word.len());
    let mut after_latin = false;
    for c in word.nfkd().take(MAX_WORD_CHARS * 2) {
        if unicode_normalization::char::is_combining_mark(c) && after_latin {
            continue;
        }
        after_latin = c.is_ascii_alphabetic();
        match c {
            'ß' => out.push_str("ss"),
            _ => out.extend(c.to_lowercase()),
        }
    }
    out.nfc().take(MAX_WORD_CHARS).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(text: &str) -> Vec<String> {
        terms(text).into_iter().map(|term| term.text).collect()
    }

    #[test]
    fn words_and_identifiers_are_found_whole_and_in_parts() {
        let cases: &[(&str, &[&str])] = &[
            ("Running fast", &["run", "fast"]),
            ("parseHttpHeader", &["parsehttpheader", "pars", "http", "header"]),
            ("HTTPServer", &["httpserver", "http", "server"]),
            ("max_open_files", &["max_open_files", "max", "open", "file"]),
            ("__init__", &["init"]),
            ("sha256", &["sha256", "sha", "256"]),
            ("café Ärger", &["cafe", "arger"]),
            ("中文搜索", &["中文", "文搜", "搜索"]),
            ("_", &[]),
            ("", &[]),
        ];
        for (text, expected) in cases {
            assert_eq!(texts(text), *expected, "of {text:?}");
        }
    }

    #[test]
    fn each_term_stands_on_the_bytes_that_it_names() {
        let text = "Ünïcode fooBar 中文字 x_y";
        for term in terms(text) {
            assert!(text.get(term.start..term.end).is_some_and(|cut| !cut.is_empty()), "{term:?}");
        }
    }

    #[test]
    fn a_whole_identifier_shares_the_place_of_its_first_part() {
        let places: Vec<(String, usize)> =
            terms("a fooBar b").into_iter().map(|t| (t.text, t.position)).collect();
        let expected = [("a", 0), ("foobar", 1), ("foo", 1), ("bar", 2), ("b", 3)];
        assert_eq!(places, expected.map(|(text, position)| (text.to_owned(), position)));
    }
}
