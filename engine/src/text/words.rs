//! Words, characters and counts of them.
//!
//! Takes text, gives its words, a count of model tokens ([`TokenCounter`]) and boundaries that never cut a
//! character as a reader sees it. Does not normalise, stem or fold.

use std::borrow::Cow;

use unicode_segmentation::{GraphemeCursor, UnicodeSegmentation};

/// Counts the tokens that a model would read, without the special ones it adds around them.
///
/// Counting is the slow part of chunking, so it is asked per block and per chunk, never per character.
pub trait TokenCounter {
    /// The tokens of `text`.
    fn count(&self, text: &str) -> usize;
}

/// A [`TokenCounter`] for when there is no model: close to a word-piece tokenizer, and as fast as reading.
///
/// ```
/// # use waypost_engine::text::{TokenCounter, WordEstimate};
/// assert_eq!(WordEstimate.count("A cat sat."), 4);
/// ```
#[derive(Debug, Clone, Copy, Default)]
pub struct WordEstimate;

/// Letters and digits that one token holds on average, where a word takes several.
const CHARS_PER_TOKEN: usize = 6;

impl TokenCounter for WordEstimate {
    fn count(&self, text: &str) -> usize {
        let mut tokens = 0;
        let mut run = 0;
        for ch in text.chars() {
            if is_ideograph(ch) {
                tokens += 1 + run_tokens(run);
                run = 0;
            } else if ch.is_alphanumeric() {
                run += 1;
            } else {
                tokens += run_tokens(run) + usize::from(!ch.is_whitespace());
                run = 0;
            }
        }
        tokens + run_tokens(run)
    }
}

fn run_tokens(chars: usize) -> usize {
    chars.div_ceil(CHARS_PER_TOKEN)
}

/// Scripts written without spaces, where a character is about a token.
fn is_ideograph(ch: char) -> bool {
    matches!(ch, '\u{2E80}'..='\u{9FFF}' | '\u{AC00}'..='\u{D7AF}' | '\u{F900}'..='\u{FAFF}' | '\u{20000}'..='\u{3FFFF}')
}

/// The words of `text` with their byte offsets, by UAX 29; punctuation and white space are left out.
///
/// ```
/// # use waypost_engine::text::words;
/// assert_eq!(words("It's 3.5 m").collect::<Vec<_>>(), [(0, "It's"), (5, "3.5"), (9, "m")]);
/// ```
pub fn words(text: &str) -> impl Iterator<Item = (usize, &str)> {
    text.unicode_word_indices()
}

/// The last character boundary at or before `at`.
pub(super) fn char_floor(text: &str, at: usize) -> usize {
    (0..=at.min(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0)
}

/// The last boundary between characters as a reader sees them at or before `at`; 0 where there is none.
pub(super) fn grapheme_floor(text: &str, at: usize) -> usize {
    if at >= text.len() {
        return text.len();
    }
    let at = char_floor(text, at);
    let mut cursor = GraphemeCursor::new(at, text.len(), true);
    match cursor.is_boundary(text, 0) {
        Ok(true) => at,
        _ => cursor.prev_boundary(text, 0).ok().flatten().unwrap_or(0),
    }
}

/// A JSON text with its `\uXXXX` read as the characters that they stand for (RFC 8259, section 7); what stands for none stays. It is
/// what such a text says, for searching; a quote keeps the file's own bytes.
pub fn unescaped(json: &str) -> Cow<'_, str> {
    if !json.contains("\\u") {
        return Cow::Borrowed(json);
    }
    let unit = |at: usize| {
        let digits = json.get(at..at + 6)?.strip_prefix("\\u")?;
        digits.bytes().all(|byte| byte.is_ascii_hexdigit()).then(|| u16::from_str_radix(digits, 16).ok())?
    };
    let mut out = String::with_capacity(json.len());
    let mut at = 0;
    while let Some(rest) = json.get(at..).filter(|rest| !rest.is_empty()) {
        let Some(step) = rest.find('\\') else {
            out.push_str(rest);
            break;
        };
        out.push_str(&rest[..step]);
        at += step;
        // A surrogate counts with the one behind it alone; an escaped backslash is no beginning of anything.
        let pair = unit(at).map(|first| (first, unit(at + 6)));
        let read = pair.and_then(|(first, second)| {
            let units = [Some(first), second.filter(|_| (0xD800..0xDC00).contains(&first))];
            let read = char::decode_utf16(units.into_iter().flatten()).next()?.ok()?;
            Some((read, if read.len_utf16() == 2 { 12 } else { 6 }))
        });
        match read {
            Some((read, n_bytes)) => {
                out.push(read);
                at += n_bytes;
            }
            None => {
                let escaped = json[at + 1..].chars().next().map_or(0, char::len_utf8);
                out.push_str(&json[at..at + 1 + escaped]);
                at += 1 + escaped;
            }
        }
    }
    Cow::Owned(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_estimate_counts_pieces_signs_and_ideographs() {
        let cases = [
            ("", 0),
            ("  \n", 0),
            ("cat", 1),
            ("internationalisation", 4),
            ("a-b", 3),
            ("你好。", 3),
            ("x你y", 3),
            ("don't", 3),
        ];
        for (text, expected) in cases {
            assert_eq!(WordEstimate.count(text), expected, "{text:?}");
        }
    }

    #[test]
    fn a_grapheme_is_never_cut() {
        let text = "e\u{301}👩‍👩‍👧x";
        let family = "👩‍👩‍👧".len();
        for (at, floor) in
            [(0, 0), (1, 0), (2, 0), (3, 3), (7, 3), (3 + family, 3 + family), (99, text.len())]
        {
            assert_eq!(grapheme_floor(text, at), floor, "{at}");
        }
    }

    #[test]
    fn escapes_of_json_are_read_where_they_are_some() {
        for (json, said) in [
            (r#"{"city": "M\u00fcnchen"}"#, r#"{"city": "München"}"#),
            (r"\u6771\u4eac", "東京"),
            (r"\ud83d\ude00!", "😀!"),
            (r"\ud83d alone, \u12, \uzzzz, \n, \\u00fc, ü\", r"\ud83d alone, \u12, \uzzzz, \n, \\u00fc, ü\"),
            ("plain", "plain"),
        ] {
            assert_eq!(unescaped(json), said, "{json}");
        }
    }
}
