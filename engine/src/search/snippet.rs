//! Takes a chunk's text and a query, gives an excerpt of whole words around what matched best.

use super::ParsedQuery;
use crate::index::each_term_from;

/// An excerpt is at most this long, without the dots at its ends.
pub const MAX_SNIPPET_BYTES: usize = 280;
/// What an excerpt is laid around is at most this long, so that something stands before and after it.
const MAX_STRETCH_BYTES: usize = MAX_SNIPPET_BYTES * 3 / 4;

/// What of a chunk is shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snippet {
    /// Three dots stand where it was cut.
    pub text: String,
    /// Byte ranges of `text` that hold words of the query, ascending.
    pub highlights: Vec<(usize, usize)>,
    /// Where in the chunk's text the first of them stands.
    pub matched_at: Option<usize>,
}

/// An excerpt around what matched.
pub fn snippet(text: &str, query: &ParsedQuery) -> Snippet {
    let wanted = &query.lexical.terms;
    let begins_one = |c: char| wanted.iter().any(|(wanted, _)| wanted.starts_with(c));
    let mut matched: Vec<(usize, usize, usize)> = Vec::new();
    each_term_from(text, begins_one, |term| {
        // A character alone matches anywhere; pairs show where the words are.
        let is_lone = term.whole && term.text.chars().nth(1).is_none();
        if is_lone && wanted.len() > 1 {
            return;
        }
        let idx = wanted.iter().position(|(wanted, _)| *wanted == term.text);
        matched.extend(idx.map(|idx| (term.start, term.end, idx)));
    });
    let (start, end) = window(text, &matched, wanted.len());
    let body = &text[start..end];
    let mut out = String::with_capacity(body.len() + 8);
    if start > 0 {
        out.push_str("... ");
    }
    let shift = out.len();
    // White space of any kind shows as one blank of the same length, so that offsets keep their meaning.
    out.extend(body.chars().map(|c| if matches!(c, '\n' | '\r' | '\t') { ' ' } else { c }));
    if end < text.len() {
        out.push_str(" ...");
    }
    let inside = matched.iter().filter(|(from, to, _)| *from >= start && *to <= end);
    let highlights = merge(inside.map(|(from, to, _)| (from - start + shift, to - start + shift)));
    let matched_at = highlights.first().map(|(from, _)| from + start - shift);
    Snippet { text: out, highlights, matched_at }
}

/// Where an excerpt begins and ends.
fn window(text: &str, matched: &[(usize, usize, usize)], n_words: usize) -> (usize, usize) {
    let best = best_stretch(matched, n_words);
    let room_before = best.map_or(0, |_| MAX_SNIPPET_BYTES / 5);
    let start = word_start(text, best.unwrap_or(0).saturating_sub(room_before));
    let end = word_end(text, (start + MAX_SNIPPET_BYTES).min(text.len()), start);
    (start, end)
}

/// The first byte of the stretch that holds the most different words of the query, then the most of them, then the earliest.
/// `matched` gives for each the bytes from and to, ascending, and which of `n_words` it is.
fn best_stretch(matched: &[(usize, usize, usize)], n_words: usize) -> Option<usize> {
    let mut best = ((0, 0), None);
    let mut counts = vec![0_usize; n_words];
    let (mut n_different, mut end) = (0, 0);
    for (first, (from, _, word)) in matched.iter().enumerate() {
        while let Some((_, _, word)) = matched.get(end).filter(|(_, to, _)| to - from <= MAX_STRETCH_BYTES) {
            counts[*word] += 1;
            n_different += usize::from(counts[*word] == 1);
            end += 1;
        }
        // A word that is longer than that is in no stretch.
        if end <= first {
            end = first + 1;
            continue;
        }
        if (n_different, end - first) > best.0 {
            best = ((n_different, end - first), Some(*from));
        }
        counts[*word] -= 1;
        n_different -= usize::from(counts[*word] == 0);
    }
    best.1
}

/// The next start of a word at or after a place, or the place itself moved onto a character.
fn word_start(text: &str, mut at: usize) -> usize {
    while !text.is_char_boundary(at) {
        at += 1;
    }
    if at == 0 {
        return 0;
    }
    let mut near_end = (at + 40).min(text.len());
    while !text.is_char_boundary(near_end) {
        near_end -= 1;
    }
    let near = &text[at..near_end];
    near_boundary(near).map_or(at, |step| at + step)
}

fn near_boundary(near: &str) -> Option<usize> {
    let blank = near.char_indices().find(|(_, c)| c.is_whitespace())?;
    Some(blank.0 + blank.1.len_utf8())
}

/// The last end of a word at or before a place.
fn word_end(text: &str, mut at: usize, start: usize) -> usize {
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    if at == text.len() {
        return at;
    }
    let cut = text[start..at].trim_end_matches(|c: char| !c.is_whitespace()).trim_end().len();
    if cut * 2 > at - start { start + cut } else { at }
}

/// Takes together what overlaps; ranges come in the order of their starts.
fn merge(ranges: impl Iterator<Item = (usize, usize)>) -> Vec<(usize, usize)> {
    let mut out: Vec<(usize, usize)> = Vec::new();
    for (from, to) in ranges {
        match out.last_mut() {
            Some(last) if from < last.1 => last.1 = last.1.max(to),
            _ => out.push((from, to)),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::search::parse;

    proptest! {
        #[test]
        fn the_best_stretch_is_the_best_of_all(
            steps in prop::collection::vec((0..80_usize, 1..260_usize, 0..4_usize), 0..40),
        ) {
            let mut at = 0;
            let matched: Vec<(usize, usize, usize)> =
                steps.into_iter().map(|(step, length, word)| { at += step; (at, at + length, word) }).collect();
            let stretches = matched.iter().enumerate().map(|(first, (from, ..))| {
                let inside = matched[first..].iter().take_while(|(_, to, _)| to - from <= MAX_STRETCH_BYTES);
                let words: Vec<usize> = inside.map(|(_, _, word)| *word).collect();
                let different: std::collections::BTreeSet<usize> = words.iter().copied().collect();
                ((different.len(), words.len()), std::cmp::Reverse(first), *from)
            });
            let best = stretches.max().filter(|((_, n), ..)| *n > 0).map(|(_, _, from)| from);
            prop_assert_eq!(best_stretch(&matched, 4), best);
        }
    }

    #[test]
    fn the_excerpt_shows_what_matched_and_marks_it() {
        let text = format!(
            "{} The retry budget is five attempts.\n{}",
            "filler words ".repeat(60),
            "tail ".repeat(90)
        );
        let Snippet { text: excerpt, highlights, matched_at } =
            snippet(&text, &parse("retry budget attempts"));
        let marked: Vec<&str> = highlights.iter().map(|(from, to)| &excerpt[*from..*to]).collect();
        assert_eq!(marked, ["retry", "budget", "attempts"]);
        assert_eq!(matched_at, text.find("retry"));
        assert!(
            excerpt.starts_with("... ")
                && excerpt.ends_with(" ...")
                && excerpt.len() < MAX_SNIPPET_BYTES + 16
        );
    }

    #[test]
    fn any_text_and_query_give_an_excerpt() {
        for text in
            ["", "x", &"ä".repeat(500), &"中文".repeat(300), &"a b\u{0}\n".repeat(200), "\u{301}\u{301}"]
        {
            for query in ["", "a", "中文", "ä", "\"", "b \"a b\""] {
                let excerpt = snippet(text, &parse(query));
                assert!(
                    excerpt.highlights.iter().all(|(from, to)| excerpt.text.get(*from..*to).is_some()),
                    "{text:?} {query:?}"
                );
                assert!(excerpt.highlights.is_sorted_by(|a, b| a.1 <= b.0), "{text:?} {query:?}");
            }
        }
    }
}
