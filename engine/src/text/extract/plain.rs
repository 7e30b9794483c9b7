//! Text without known markup: paragraphs, and lines that look like headings.
//!
//! Takes text, gives blocks along blank lines. A heading is guessed only where it stands alone and its form says
//! so: underlined, `== so ==`, all capitals, or numbered. A single line that opens the text is its title. Everything
//! else is prose.

use super::Structure;
use crate::text::document::BlockKind;
use crate::text::outline::{Mark, Outline, lines, tile};

/// A heading is shorter than a sentence.
const MAX_HEADING_BYTES: usize = 80;

/// Titles of papers are long; what is longer than this is a paragraph.
const MAX_TITLE_BYTES: usize = 250;

/// The level of numbered and capital headings without deeper numbers.
const TOP_LEVEL: u8 = 1;

/// Reads plain text, reStructuredText and AsciiDoc.
pub(super) fn read(text: &str) -> Structure {
    let mut marks = Vec::new();
    let mut outline = Outline::default();
    let mut underlines = Underlines::default();
    let mut title = None;
    let rows: Vec<(usize, &str)> = lines(text).collect();
    let line = |idx: usize| rows.get(idx).map_or("", |(_, line)| line.trim_end());
    let mut after_blank = true;
    let mut row = 0;
    while row < rows.len() {
        let (at, this) = (rows[row].0, line(row));
        let mut taken = 1;
        if after_blank && !this.trim().is_empty() {
            let underlined = is_underline(line(row + 1), this);
            let alone = line(row + 1).trim().is_empty();
            let level =
                if underlined { underlines.level(line(row + 1)) } else { lone_level(this).filter(|_| alone) };
            if let Some(level) = level {
                let name = this.trim_matches(['=', '#', ' ']);
                outline.enter(level, name);
                title = title.or_else(|| Some(name.to_owned()));
                marks.push(Mark::new(at, outline.path(), BlockKind::Heading));
                taken += usize::from(underlined);
                let body = rows.get(row + taken).map_or(text.len(), |(at, _)| *at);
                marks.push(Mark::new(body, outline.path(), BlockKind::Prose));
            } else if marks.is_empty() && alone && is_title(this) && rows.len() > row + 2 {
                title = Some(this.trim().to_owned());
                marks.push(Mark::new(at, outline.path(), BlockKind::Heading));
                let body = rows.get(row + taken).map_or(text.len(), |(at, _)| *at);
                marks.push(Mark::new(body, outline.path(), BlockKind::Prose));
            } else {
                marks.push(Mark::new(at, outline.path(), BlockKind::Prose));
            }
        }
        row += taken;
        after_blank = row > 0 && (taken == 2 || line(row - 1).trim().is_empty());
    }
    Structure { blocks: tile(text, marks), title, warning: None }
}

/// The paragraphs of a text: what stands between blank lines.
pub(super) fn paragraphs(text: &str) -> impl Iterator<Item = &str> {
    let (mut start, mut at, mut found) = (0, 0, Vec::new());
    for line in text.split_inclusive('\n') {
        if line.trim().is_empty() {
            found.push(&text[start..at]);
            start = at;
        }
        at += line.len();
    }
    found.push(&text[start..]);
    found.into_iter().map(str::trim).filter(|paragraph| !paragraph.is_empty())
}

/// Whether a line that opens a text, alone, is what the text is called: words, and not a line of code or of a list.
fn is_title(line: &str) -> bool {
    let line = line.trim();
    line.len() <= MAX_TITLE_BYTES
        && line.contains(' ')
        && line.starts_with(char::is_alphanumeric)
        && !line.ends_with([';', '{', '}', ',', ':', '('])
}

/// Levels of underlined headings: the first character seen is the outermost.
#[derive(Default)]
struct Underlines {
    seen: Vec<char>,
}

impl Underlines {
    fn level(&mut self, underline: &str) -> Option<u8> {
        let ch = underline.chars().next()?;
        if !self.seen.contains(&ch) {
            self.seen.push(ch);
        }
        self.seen.iter().position(|seen| *seen == ch).map(|idx| idx as u8 + 1)
    }
}

/// A row of one sign, about as long as the line over it.
fn is_underline(line: &str, over: &str) -> bool {
    let Some(first) = line.chars().next() else { return false };
    let length = over.chars().count();
    "=-~^\"#*+`.".contains(first)
        && line.chars().all(|ch| ch == first)
        && (3..=MAX_HEADING_BYTES).contains(&line.len())
        && line.len() + 2 >= length
        && line.len() <= length + 8
        && over.chars().any(char::is_alphanumeric)
}

/// The level of a line that stands alone, if its form is that of a heading.
fn lone_level(line: &str) -> Option<u8> {
    if line.len() > MAX_HEADING_BYTES || line.starts_with([' ', '\t']) {
        return None;
    }
    marked_level(line).or_else(|| numbered_level(line)).or_else(|| is_capital(line).then_some(TOP_LEVEL))
}

/// `== Title`, as AsciiDoc and wikis write it.
fn marked_level(line: &str) -> Option<u8> {
    let signs = line.bytes().take_while(|byte| *byte == b'=').count();
    let named = line.get(signs..)?.starts_with(' ') && line.contains(char::is_alphanumeric);
    ((1..=6).contains(&signs) && named).then_some(signs as u8)
}

/// `2.1 Title`: as many numbers, as many levels.
fn numbered_level(line: &str) -> Option<u8> {
    let (number, name) = line.split_once(' ')?;
    let parts: Vec<&str> = number.trim_end_matches('.').split('.').collect();
    let is_number =
        parts.iter().all(|part| matches!(part.len(), 1 | 2) && part.bytes().all(|b| b.is_ascii_digit()));
    let is_name =
        name.trim_start().starts_with(char::is_uppercase) && !name.ends_with(['.', ',', ';', ':', '!', '?']);
    (is_number && is_name && parts.len() <= 6).then_some(parts.len() as u8)
}

/// Capitals only, and at least four of them.
fn is_capital(line: &str) -> bool {
    let letters = line.chars().filter(|ch| ch.is_alphabetic());
    let is_format = line.starts_with("WEBVTT"); // The first line of subtitles names the format.
    letters.clone().all(char::is_uppercase)
        && letters.count() >= 4
        && !line.ends_with(['.', ',', ';'])
        && !is_format
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: &[(&str, &str)]) {
        let structure = read(text);
        let found: Vec<(String, &str)> = structure
            .blocks
            .iter()
            .map(|block| (block.headings.join(" > "), block.span.of(text).unwrap_or_default()))
            .collect();
        let found: Vec<(&str, &str)> = found.iter().map(|(path, quote)| (path.as_str(), *quote)).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn paragraphs_end_at_blank_lines() {
        check("One\nline.\n\n\nTwo.\r\n \r\nThree.", &[("", "One\nline."), ("", "Two."), ("", "Three.")]);
    }

    #[test]
    fn headings_are_guessed_where_their_form_says_so() {
        check(
            "Title\n=====\nBody.\n\nPart\n----\n\nMore.",
            &[
                ("Title", "Title\n====="),
                ("Title", "Body."),
                ("Title > Part", "Part\n----"),
                ("Title > Part", "More."),
            ],
        );
        check(
            "INTRODUCTION\n\nText.\n\n1.2 Scope\n\nText.",
            &[
                ("INTRODUCTION", "INTRODUCTION"),
                ("INTRODUCTION", "Text."),
                ("INTRODUCTION > 1.2 Scope", "1.2 Scope"),
                ("INTRODUCTION > 1.2 Scope", "Text."),
            ],
        );
        check("== Part\n\nText.", &[("Part", "== Part"), ("Part", "Text.")]);
    }

    #[test]
    fn prose_is_not_a_heading() {
        for text in ["OK", "1. Buy milk.", "ALL GOES ON\nin the next line", "a\n--", "  INDENTED TEXT"] {
            assert!(read(text).blocks.iter().all(|block| block.kind == BlockKind::Prose), "{text}");
        }
    }
}
