//! Reads what a person typed: `"quoted phrase"`, `-not`, `-"not this phrase"`, and `field:value`.
//!
//! Any string is a query. What looks like syntax but isn't (a lone quote, an unknown field, a bare dash) is text.

use std::borrow::Cow;

use unicode_normalization::{UnicodeNormalization, is_nfc};

use crate::catalog::FileFilter;
use crate::clock::parse_rfc3339;
use crate::id::RelPath;
use crate::index::{LexicalQuery, each_term};
use crate::search::stop_words::StopWords;

/// More text than this is cut: no question needs it, and each term costs.
const MAX_QUERY_BYTES: usize = 16 << 10;
/// Terms that are looked up at most.
const MAX_TERMS: usize = 256;

/// A query, read.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ParsedQuery {
    /// The words without the syntax: what is embedded.
    pub text: String,
    /// Terms, phrases and exclusions.
    pub lexical: LexicalQuery,
    /// Conditions on files.
    pub filter: FileFilter,
}

/// Reads a query; never fails.
pub fn parse(input: &str) -> ParsedQuery {
    let input = composed(cut(input, MAX_QUERY_BYTES));
    let mut parsed = ParsedQuery::default();
    let mut words: Vec<&str> = Vec::new();
    let mut rest = input.trim_start();
    while !rest.is_empty() {
        let (negated, body) = match rest.strip_prefix('-') {
            Some(body) if !body.is_empty() && !body.starts_with(char::is_whitespace) => (true, body),
            _ => (false, rest),
        };
        let (token, quoted, after) = next_token(body);
        rest = after.trim_start();
        if quoted || negated {
            let phrase = phrase_terms(token);
            if phrase.is_empty() {
                words.push(token);
            } else if negated {
                parsed.lexical.excluded.push(phrase);
            } else {
                parsed.lexical.required.push(phrase);
                words.push(token);
            }
        } else if !read_field(token, &mut parsed.filter) {
            words.push(token);
        }
    }
    parsed.text = words.join(" ").trim().to_owned();
    parsed.lexical.terms = weighted_terms(&parsed.text);
    parsed
}

/// Reads a query that has no syntax, such as a question.
pub fn parse_plain(input: &str) -> ParsedQuery {
    let text = composed(cut(input, MAX_QUERY_BYTES)).trim().to_owned();
    let terms = weighted_terms(&text);
    ParsedQuery {
        text,
        lexical: LexicalQuery { terms, ..LexicalQuery::default() },
        filter: FileFilter::default(),
    }
}

/// A token, whether it was quoted, and what follows it.
fn next_token(body: &str) -> (&str, bool, &str) {
    if let Some(inner) = body.strip_prefix('"')
        && let Some(end) = inner.find('"')
    {
        return (&inner[..end], true, &inner[end + 1..]);
    }
    let end = body.find(char::is_whitespace).unwrap_or(body.len());
    (&body[..end], false, &body[end..])
}

fn phrase_terms(text: &str) -> Vec<String> {
    let mut phrase = Vec::new();
    each_term(text, |term| {
        if !term.whole {
            phrase.push(term.text);
        }
    });
    phrase
}

/// Whether the token is a condition on files; then it is in the filter.
fn read_field(token: &str, filter: &mut FileFilter) -> bool {
    let Some((field, value)) = token.split_once(':') else { return false };
    let value = value.trim_matches('"');
    if value.is_empty() {
        return false;
    }
    match field {
        "path" | "file" => filter.path_contains = Some(value.to_owned()),
        "ext" => filter.extension = Some(value.trim_start_matches('.').to_owned()),
        "lang" | "language" => filter.language = Some(value.to_owned()),
        "type" | "mime" if value.contains('/') => filter.mime_type = Some(value.to_owned()),
        "in" => match RelPath::new(value) {
            Ok(path) => filter.path_prefix = Some(path),
            Err(_) => return false,
        },
        "after" | "before" => match parse_rfc3339(value) {
            Some(ms) if field == "after" => filter.modified_after_ms = Some(ms),
            Some(ms) => filter.modified_before_ms = Some(ms),
            None => return false,
        },
        _ => return false,
    }
    true
}

/// Each different term once, with how often it was said; words that carry no meaning are left out unless there are
/// no others.
fn weighted_terms(text: &str) -> Vec<(String, f32)> {
    let small = text.to_lowercase();
    let stop_words = StopWords::of(small.split(|letter: char| !letter.is_alphanumeric()));
    let mut all: Vec<(String, f32, bool)> = Vec::new();
    each_term(text, |term| {
        let said = text.get(term.start..term.end).unwrap_or_default().to_lowercase();
        let empty = stop_words.has(&said);
        if let Some((_, count, _)) = all.iter_mut().find(|(other, _, _)| *other == term.text) {
            *count += 1.0;
        } else if all.len() < MAX_TERMS {
            all.push((term.text, 1.0, empty));
        }
    });
    let only_empty = all.iter().all(|(_, _, empty)| *empty);
    all.into_iter()
        .filter(|(_, _, empty)| only_empty || !empty)
        .map(|(text, count, _)| (text, count))
        .collect()
}

/// As names of files are written and models have learned it, however it was typed.
fn composed(text: &str) -> Cow<'_, str> {
    if is_nfc(text) { Cow::Borrowed(text) } else { Cow::Owned(text.nfc().collect()) }
}

fn cut(text: &str, max_bytes: usize) -> &str {
    let mut end = text.len().min(max_bytes);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn terms(input: &str) -> Vec<String> {
        parse(input).lexical.terms.into_iter().map(|(text, _)| text).collect()
    }

    #[test]
    fn the_syntax_is_read() {
        let parsed = parse(r#"retry policy "exponential backoff" -draft ext:md -"old plan""#);
        assert_eq!(parsed.text, "retry policy exponential backoff");
        assert_eq!(parsed.lexical.required, [["exponenti", "backoff"]]);
        assert_eq!(parsed.lexical.excluded, [vec!["draft"], vec!["old", "plan"]]);
        assert_eq!(parsed.filter.extension.as_deref(), Some("md"));
    }

    #[test]
    fn whatever_is_no_syntax_is_text() {
        for input in
            ["\"", "-", "- a", "foo:bar", "a \"b", "::", "-\"", "ext:", "C++ && (x | y)", "\u{0}", ""]
        {
            let parsed = parse(input);
            assert!(parsed.lexical.required.is_empty(), "{input:?} became a phrase");
        }
        assert_eq!(parse("std::vec foo:bar").text, "std::vec foo:bar");
    }

    #[test]
    fn a_query_is_one_however_it_was_typed() {
        let typed = parse("Ka\u{308}ufer \"in Zu\u{308}rich\" path:Gebu\u{308}hr");
        assert_eq!(typed, parse("K\u{e4}ufer \"in Z\u{fc}rich\" path:Geb\u{fc}hr"));
        assert_eq!(typed.filter.path_contains.as_deref(), Some("Geb\u{fc}hr"));
        assert_eq!(parse_plain("Zu\u{308}rich"), parse_plain("Z\u{fc}rich"));
    }

    #[test]
    fn function_words_count_only_where_nothing_else_does() {
        assert_eq!(terms("what is the answer"), ["answer"]);
        assert_eq!(terms("to be or not to be"), ["to", "be", "or", "not"]);
    }
}
