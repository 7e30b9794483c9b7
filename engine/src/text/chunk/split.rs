//! The last resort: a sentence or line that does not fit is cut between words, then between characters.
//!
//! Takes a span and a limit, gives parts that fit. The size of a part is guessed from the one before it and halved
//! until it fits, so that each byte is counted a few times at most.

use super::Measure;
use crate::span::Span;
use crate::text::words::{char_floor, grapheme_floor};

/// The first guess; right for English prose.
const BYTES_PER_TOKEN: usize = 4;

/// Bytes at the end of a part in which a space, or else a sign, is looked for.
const SEAM_BYTES: usize = 80;

/// Pushes the parts of `span`, each of at most `room` tokens, or of one character where even that has more.
pub(super) fn words(span: Span, room: usize, measure: &Measure<'_>, push: &mut dyn FnMut(Span, usize)) {
    let mut rest = span.trimmed(measure.text);
    let mut guess = room.saturating_mul(BYTES_PER_TOKEN).max(1);
    while !rest.is_empty() {
        let (part, n_tokens) = part(rest, room, &mut guess, measure);
        push(part, n_tokens);
        rest = Span::new(part.end, rest.end).trimmed(measure.text);
    }
}

/// The longest part found at the start of `rest` that fits; `guess` is its likely length and learns from it.
fn part(rest: Span, room: usize, guess: &mut usize, measure: &Measure<'_>) -> (Span, usize) {
    let mut size = *guess;
    loop {
        let part = Span::new(rest.start, seam(measure.text, rest, size)).trimmed(measure.text);
        let n_tokens = measure.count(part);
        if n_tokens <= room || is_single(measure.text, part) {
            let grown = if n_tokens * 5 < room * 4 { size + size / 4 + 1 } else { size };
            *guess = grown.min(room.saturating_mul(BYTES_PER_TOKEN * 4).max(1));
            return (part, n_tokens);
        }
        size = (part.len().min(size) * room / n_tokens).clamp(1, (part.len() - 1).max(1));
    }
}

fn is_single(text: &str, part: Span) -> bool {
    part.of(text).unwrap_or_default().chars().nth(1).is_none()
}

/// Where a part of about `size` bytes ends: before a space, else behind a sign, else between characters.
fn seam(text: &str, rest: Span, size: usize) -> usize {
    let tail = rest.of(text).unwrap_or_default();
    if size >= tail.len() {
        return rest.end;
    }
    let end = grapheme_floor(tail, size);
    // A cluster longer than the part, such as a pile of marks on one letter, is cut between its characters.
    let end = if end > 0 { end } else { char_floor(tail, size) };
    let end = if end > 0 { end } else { tail.chars().next().map_or(tail.len(), char::len_utf8) };
    let from = char_floor(tail, end - SEAM_BYTES.min(end / 2));
    let window = tail.get(from..end).unwrap_or_default();
    let is_space_next = tail[end..].starts_with(char::is_whitespace);
    let seam = match window.rfind(char::is_whitespace) {
        _ if is_space_next => end,
        Some(space) => from + space,
        None => window
            .rfind([',', ';', '}', ')', ']', '>', '、', '，'])
            .map_or(end, |sign| from + sign + window[sign..].chars().next().map_or(1, char::len_utf8)),
    };
    rest.start + if seam > 0 { seam } else { end }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::WordEstimate;

    #[track_caller]
    fn check(text: &str, room: usize, expected: &[&str]) {
        let measure = Measure { text, counter: &WordEstimate, max_tokens: room };
        let mut found = Vec::new();
        words(Span::new(0, text.len()), room, &measure, &mut |span, _| found.push(span.of(text).unwrap()));
        assert_eq!(found, expected);
    }

    #[test]
    fn words_are_kept_where_they_fit() {
        check("aa bb cc dd", 2, &["aa bb", "cc dd"]);
        check("a,b,c", 2, &["a,", "b,", "c"]);
        check("abcdefghij", 1, &["abcd", "efgh", "ij"]);
    }

    #[test]
    fn characters_are_never_cut() {
        check("你好吗", 1, &["你", "好", "吗"]);
        check("👩‍👩‍👧👩‍👩‍👧", 5, &["👩‍👩‍👧", "👩‍👩‍👧"]);
    }
}
