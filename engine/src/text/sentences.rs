//! Text → sentences, the unit that an answer quotes.
//!
//! Takes a text and a span, gives the spans of its sentences in order, trimmed, without overlap. Prose ends at
//! `.`, `!`, `?` and their kin in other scripts, but not after abbreviations, initials, numbers in order, or inside numbers; a line
//! break ends a sentence where the next line is not its continuation. Code goes by the line. Rules, no model.

mod abbreviations;
mod ordinals;

use super::document::{Block, Document};
use crate::span::Span;

/// A line shorter than this was not wrapped for its length, so a capital on the next one begins a sentence.
const WRAPPED_LINE_CHARS: usize = 45;

/// The sentences inside `span` of `text`, guessing from its lines what is prose and what is code.
///
/// ```
/// # use waypost_engine::{span::Span, text::sentences};
/// let text = "Dr. Who is in. Is he? Yes.";
/// let found: Vec<_> = sentences(text, Span::new(0, text.len())).iter().filter_map(|s| s.of(text)).collect();
/// assert_eq!(found, ["Dr. Who is in.", "Is he?", "Yes."]);
/// ```
pub fn sentences(text: &str, span: Span) -> Vec<Span> {
    let mut found = Vec::new();
    let mut fenced = false;
    let mut prose: Option<Span> = None;
    for line in lines(text, span) {
        let quote = line.of(text).unwrap_or_default().trim();
        let is_fence = quote.starts_with("```") || quote.starts_with("~~~");
        let continues =
            !is_fence && !fenced && prose.is_some_and(|prose| continues(prose.of(text), line.of(text)));
        if let Some(open) = prose.as_mut().filter(|_| continues) {
            open.end = line.end;
            continue;
        }
        if let Some(open) = prose.take() {
            prose_sentences(text, open, &mut found);
        }
        if fenced || is_fence {
            push(text, line, &mut found);
        } else {
            prose = Some(line);
        }
        fenced ^= is_fence;
    }
    if let Some(open) = prose {
        prose_sentences(text, open, &mut found);
    }
    found
}

/// The sentences inside `span` of a document, which knows where it is code: there, a sentence is a line.
pub fn document_sentences(document: &Document, span: Span) -> Vec<Span> {
    let mut found = Vec::new();
    let mut at = span.start;
    let first = document.blocks.partition_point(|block| block.span.end <= span.start);
    for block in document.blocks[first..].iter().take_while(|block| block.span.start < span.end) {
        let inner = Span::new(block.span.start.max(span.start), block.span.end.min(span.end));
        push_sentences(&document.text, Span::new(at, inner.start.max(at)), false, &mut found);
        push_sentences(&document.text, inner, block.kind.is_line_based(), &mut found);
        at = inner.end;
    }
    push_sentences(&document.text, Span::new(at, span.end), false, &mut found);
    found
}

/// The sentences, or lines, of one block.
pub(super) fn block_sentences(text: &str, block: &Block) -> Vec<Span> {
    let mut found = Vec::new();
    push_sentences(text, block.span, block.kind.is_line_based(), &mut found);
    found
}

fn push_sentences(text: &str, span: Span, by_line: bool, found: &mut Vec<Span>) {
    if by_line {
        lines(text, span).for_each(|line| push(text, line, found));
    } else {
        found.extend(sentences(text, span));
    }
}

fn lines(text: &str, span: Span) -> impl Iterator<Item = Span> {
    let mut at = span.start;
    span.of(text).unwrap_or_default().split_inclusive('\n').map(move |line| {
        at += line.len();
        Span::new(at - line.len(), at)
    })
}

fn push(text: &str, span: Span, found: &mut Vec<Span>) {
    let span = span.trimmed(text);
    if !span.is_empty() {
        found.push(span);
    }
}

/// Whether a line carries on the prose before it, which was only wrapped.
fn continues(before: Option<&str>, line: Option<&str>) -> bool {
    let before = before.unwrap_or_default().trim_end();
    let last = before.rsplit('\n').next().unwrap_or(before).trim();
    let line = line.unwrap_or_default();
    let quote = strip_quote(line);
    let Some(first) = quote.chars().next() else { return false };
    if last.is_empty()
        || last.ends_with(['{', '}', ';', ':'])
        || is_row(last)
        || is_row(quote)
        || is_heading(last)
    {
        return false;
    }
    if ordinals::carries_on(last, quote) {
        return true;
    }
    if begins_item(quote) || is_heading(quote) || is_rule(quote) || is_rule(last) {
        return false;
    }
    let wrapped = last.chars().take(WRAPPED_LINE_CHARS).count() == WRAPPED_LINE_CHARS;
    if !first.is_alphabetic() {
        return wrapped && !first.is_ascii_digit() && !matches!(first, '{' | '}' | '/' | '@' | '<');
    }
    let is_code = line.starts_with("    ") && !starts_with_item(before);
    !is_code && (first.is_lowercase() || wrapped || (!first.is_uppercase() && last.chars().nth(20).is_some()))
}

/// A line of a quote goes on as it would without the sign.
fn strip_quote(line: &str) -> &str {
    line.trim().trim_start_matches(['>', ' '])
}

fn is_row(line: &str) -> bool {
    line.starts_with('|') || (line.contains(" | ") && line.matches(" | ").count() >= 2) || line.contains('\t')
}

fn is_heading(line: &str) -> bool {
    line.starts_with('#') && line.trim_start_matches('#').starts_with(' ')
}

fn is_rule(line: &str) -> bool {
    let mut signs = line.chars();
    signs.next().is_some_and(|first| "-=*_~+".contains(first) && signs.clone().all(|ch| ch == first))
        && line.len() > 2
}

fn starts_with_item(text: &str) -> bool {
    begins_item(text.trim_start())
}

/// `- `, `* `, `1. `, `a) `, `[^1]: `.
fn begins_item(line: &str) -> bool {
    let Some((marker, _)) = line.split_once([' ', '\t']) else { return false };
    let number = marker.trim_start_matches('(').trim_end_matches(['.', ')']);
    let is_number = number.len() < marker.len()
        && (1..=3).contains(&number.len())
        && (number.bytes().all(|byte| byte.is_ascii_digit()) || number.len() == 1);
    matches!(marker, "-" | "*" | "+" | "•" | "–" | "—" | "·" | "◦" | "▪")
        || is_number
        || marker.starts_with("[^")
}

/// Cuts a run of prose behind its final signs.
fn prose_sentences(text: &str, span: Span, found: &mut Vec<Span>) {
    let Some(run) = span.of(text) else { return };
    let mut start = 0;
    let mut chars = run.char_indices().peekable();
    while let Some((at, ch)) = chars.next() {
        let Some(sign) = Sign::of(ch) else { continue };
        let mut end = at + ch.len_utf8();
        while let Some((next, closer)) = chars.next_if(|(_, next)| closes(*next) || Sign::of(*next).is_some())
        {
            end = next + closer.len_utf8();
        }
        end += note_length(&run[end..]);
        if end > start && ends_sentence(sign, run, start, at, end) {
            push(text, Span::new(span.start + start, span.start + end), found);
            start = end;
        }
    }
    push(text, Span::new(span.start + start, span.end), found);
}

/// Signs that may end a sentence.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Sign {
    /// May also abbreviate, or stand in a number.
    Dot,
    /// Ends a sentence before a space.
    Mark,
    /// Ends a sentence with or without a space.
    Wide,
}

impl Sign {
    fn of(ch: char) -> Option<Self> {
        match ch {
            '.' | '…' => Some(Self::Dot),
            '!' | '?' | '‼' | '⁇' | '⁈' | '⁉' | '؟' | '۔' | '।' | '॥' | '։' => {
                Some(Self::Mark)
            }
            '。' | '！' | '？' | '｡' | '．' | '።' => Some(Self::Wide),
            _ => None,
        }
    }
}

fn closes(ch: char) -> bool {
    matches!(
        ch,
        '"' | '\'' | '”' | '’' | '»' | ')' | ']' | '*' | '_' | '`' | '」' | '』' | '）' | '】' | '》' | '›'
    )
}

/// `[12]` or `[^1]` right behind a sentence belongs to it.
fn note_length(rest: &str) -> usize {
    let mut length = 0;
    while let Some(inner) = rest[length..].strip_prefix('[') {
        let Some(end) = inner.find(']').filter(|end| *end <= 8) else { break };
        if inner.get(end + 1..).is_some_and(|after| after.starts_with(['(', ':'])) {
            break;
        }
        length += end + 2;
    }
    length
}

/// Whether the sign at `at`, closed at `end`, ends the sentence that began at `start`.
fn ends_sentence(sign: Sign, run: &str, start: usize, at: usize, end: usize) -> bool {
    let rest = &run[end..];
    if sign == Sign::Wide {
        return true;
    }
    if !rest.starts_with(char::is_whitespace) {
        return false;
    }
    let next = strip_quote(rest);
    let Some(first) =
        next.chars().find(|ch| !matches!(ch, '"' | '\'' | '“' | '‘' | '«' | '(' | '[' | '*' | '_' | '`'))
    else {
        return false;
    };
    if first.is_lowercase() {
        return false;
    }
    sign != Sign::Dot
        || end > at + 1 && run[at..end].contains(['"', '”', ')', '*'])
        || !abbreviates(run, start, at, next)
}

/// Whether the dot at `at` belongs to the word before it and the sentence goes on with `next`.
fn abbreviates(run: &str, start: usize, at: usize, next: &str) -> bool {
    let before = &run[start..at];
    let word_start = before
        .rfind(|ch: char| ch.is_whitespace() || matches!(ch, '(' | '[' | '"' | '“' | '/'))
        .map_or(0, |idx| idx + before[idx..].chars().next().map_or(1, char::len_utf8));
    let word = &before[word_start..];
    let is_first = before[..word_start].trim().is_empty();
    if ordinals::goes_on(&before[..word_start], word, next) {
        return true;
    }
    if word.bytes().all(|byte| byte.is_ascii_digit()) && !word.is_empty() {
        return is_first && word.len() <= 3; // The number of a list item.
    }
    abbreviations::goes_on(word, next)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(expected: &[&str]) {
        check_joined(&expected.join(" "), expected);
    }

    #[track_caller]
    fn check_joined(text: &str, expected: &[&str]) {
        let found = sentences(text, Span::new(0, text.len()));
        let found: Vec<_> = found.iter().map(|span| span.of(text).unwrap()).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn prose() {
        check(&["One two.", "Three!", "Four?", "Five"]);
        check(&["Dr. Smith paid 3.50 USD, e.g. for tea.", "He left."]);
        check(&["The U.S. Senate met.", "J. R. R. Tolkien wrote.", "See Fig. 3 and p. 12."]);
        check(&["He moved to the U.S.", "The house was big."]);
        check(&["It was 1999.", "Then came 2000."]);
        check(&["He said \"stop.\"", "She did (really).", "Good…", "Next."]);
        check(&["Buy milk, eggs, etc.", "Then go home."]);
        check(&["It has bills.[1][2]", "They quack.", "Use std::fmt.", "See a.b.c for more."]);
        check(&["wait... what is it?", "Version 1.2.3 is out.", "Das ist z.B. Tee.", "Gut."]);
        check(&["What?!", "No."]);
    }

    #[test]
    fn numbers_in_order_go_on_and_others_end() {
        for whole in [
            "Resturlaub verfällt am 31. Oktober.",
            "Der Termin ist am 5. März um zehn.",
            "Vom 9. bis 20. Mai ist geschlossen, und vom 9.–20. Mai auch.",
            "Offen vom 9. – 20. Juni, bis 27. Juni und am 5. und 6. Dez. 2026.",
            "Auf dem 2. Platz lag der 1. FC.",
            "Zum 100. Geburtstag im 3. Stock, seit dem 1. Quartal.",
            "Frist: 5. 3. 2024 oder am 5. 3. des Jahres.",
            "Mødet er den 5. maj og den 17. mai.",
            "Schůze je 5. května.",
            "Das kostet z. B. Geld, i. d. R. Millionen, d. h. fünf Mio. Euro.",
        ] {
            check(&[whole]);
        }
        let wrapped = "Der Resturlaub verfällt am\n31. Oktober des Jahres.";
        check_joined(wrapped, &[wrapped]);
        check_joined("Fristen am See\n1. Mai\n2. Juni", &["Fristen am See", "1. Mai", "2. Juni"]);
        check(&["It stands in section 3.", "The next one says more."]);
        check(&["I am 31.", "Ana is 40."]);
        check(&["It was chapter 9.", "May I go on?"]);
        check(&["Es kamen 12.", "Danach gingen alle."]);
        check(&["Der Termin ist am 5.", "Bitte kommen."]);
        check(&["Der Umsatz betrug 5 Mio.", "Das ist viel."]);
        check(&["See item B-12.", "Oktober is a brand."]);
        check(&["It began in 1999.", "August was warm."]);
    }

    #[test]
    fn other_scripts() {
        check_joined("你好。这是什么？好！", &["你好。", "这是什么？", "好！"]);
        check_joined("「はい。」と言った。次。", &["「はい。」", "と言った。", "次。"]);
        check(&["यह एक वाक्य है।", "दूसरा।"]);
        check(&["Привет, мир.", "Как дела?"]);
    }

    #[test]
    fn line_breaks() {
        let wrapped = "A sentence that is long enough to have been wrapped\nby Hand. And\nmore of it.";
        check_joined(
            wrapped,
            &["A sentence that is long enough to have been wrapped\nby Hand.", "And\nmore of it."],
        );
        check_joined(
            "- one\n- two\n  goes on\n1. three\n2. Four",
            &["- one", "- two\n  goes on", "1. three", "2. Four"],
        );
        check_joined("# Head\ntext\n\nmore", &["# Head", "text", "more"]);
        check_joined("| a | b |\n| c | d |", &["| a | b |", "| c | d |"]);
        check_joined("Roses are red\nViolets are blue", &["Roses are red", "Violets are blue"]);
        check_joined("let a = 1;\nlet b = a;\nfn x() {\n}", &["let a = 1;", "let b = a;", "fn x() {", "}"]);
        check_joined("Run:\n```\na b\nc d\n```\nDone.", &["Run:", "```", "a b", "c d", "```", "Done."]);
        check_joined(
            "> quoted words that go\n> on here. New\n> one.",
            &["> quoted words that go\n> on here.", "New\n> one."],
        );
    }

    #[test]
    fn a_span_bounds_its_sentences() {
        let text = "One. Two. Three.";
        assert_eq!(sentences(text, Span::new(5, 9)), [Span::new(5, 9)]);
        assert_eq!(sentences(text, Span::new(4, 4)), []);
        assert_eq!(sentences(text, Span::new(0, 999)), []);
    }
}
