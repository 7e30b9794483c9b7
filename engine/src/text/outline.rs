//! Headings and cuts on the way to blocks.
//!
//! Takes the offsets where something new begins ([`Mark`]) and gives blocks that cover the text ([`tile`]);
//! [`Outline`] keeps the path of headings meanwhile. Does not look at the text's meaning.

use super::document::{Block, BlockKind};
use crate::span::Span;

/// Longer headings are cut; a path is shown, stored and embedded with every chunk.
const MAX_HEADING_CHARS: usize = 120;

/// The headings that are open at a point of a document.
#[derive(Debug, Default)]
pub(super) struct Outline {
    open: Vec<(u8, String)>,
}

impl Outline {
    /// Opens a heading of a level (1 is outermost) and closes those of the same or a deeper level.
    pub(super) fn enter(&mut self, level: u8, title: &str) {
        self.open.retain(|(open, _)| *open < level);
        let title = clean_heading(title);
        if !title.is_empty() {
            self.open.push((level, title));
        }
    }

    /// The open headings, outermost first.
    pub(super) fn path(&self) -> Vec<String> {
        self.open.iter().map(|(_, title)| title.clone()).collect()
    }
}

/// One line of at most [`MAX_HEADING_CHARS`] characters, with single spaces.
pub(super) fn clean_heading(title: &str) -> String {
    shortened(title, MAX_HEADING_CHARS)
}

/// One line of at most `max_chars` characters, with single spaces.
pub(super) fn shortened(title: &str, max_chars: usize) -> String {
    let mut clean = String::new();
    for word in title.split_whitespace() {
        if !clean.is_empty() {
            clean.push(' ');
        }
        clean.push_str(word);
        if clean.len() > 4 * max_chars {
            break;
        }
    }
    match clean.char_indices().nth(max_chars) {
        Some((end, _)) => format!("{}…", clean[..end].trim_end()),
        None => clean,
    }
}

/// An offset where a block begins; it ends where the next one begins.
#[derive(Debug)]
pub(super) struct Mark {
    /// Byte offset, on a character boundary.
    pub(super) at: usize,
    /// The block's headings.
    pub(super) headings: Vec<String>,
    /// The block's kind.
    pub(super) kind: BlockKind,
}

impl Mark {
    /// A mark with these fields.
    pub(super) fn new(at: usize, headings: Vec<String>, kind: BlockKind) -> Self {
        Self { at, headings, kind }
    }
}

/// Blocks from one mark to the next, trimmed, without the empty ones. Of marks at one offset the last one counts.
pub(super) fn tile(text: &str, mut marks: Vec<Mark>) -> Vec<Block> {
    marks.sort_by_key(|mark| mark.at);
    if marks.first().is_none_or(|mark| mark.at > 0) {
        marks.insert(0, Mark::new(0, Vec::new(), BlockKind::Prose));
    }
    let ends: Vec<usize> = marks.iter().skip(1).map(|mark| mark.at).chain([text.len()]).collect();
    let blocks = marks.into_iter().zip(ends).map(|(mark, end)| Block {
        span: Span::new(mark.at, end).trimmed(text),
        headings: mark.headings,
        kind: mark.kind,
    });
    blocks.filter(|block| !block.span.is_empty()).collect()
}

/// The lines of `text` with their offsets, without line breaks.
pub(super) fn lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut at = 0;
    text.split_inclusive('\n').map(move |line| {
        let start = at;
        at += line.len();
        (start, line.trim_end_matches(['\n', '\r']))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deeper_headings_nest_and_equal_ones_replace() {
        let mut outline = Outline::default();
        let steps: [(u8, &str, &[&str]); 5] = [
            (1, "A", &["A"]),
            (3, "A.0.1", &["A", "A.0.1"]),
            (2, "A.1", &["A", "A.1"]),
            (2, "  A.2\n x ", &["A", "A.2 x"]),
            (1, "B", &["B"]),
        ];
        for (level, title, path) in steps {
            outline.enter(level, title);
            assert_eq!(outline.path(), path);
        }
    }

    #[test]
    fn marks_become_blocks_that_leave_nothing_out() {
        let text = "intro\n\n# a\nx  \n\n  y";
        let marks = vec![
            Mark::new(11, vec!["a".into()], BlockKind::Prose),
            Mark::new(7, vec!["a".into()], BlockKind::Heading),
        ];
        let blocks = tile(text, marks);
        let quotes: Vec<_> = blocks.iter().filter_map(|block| block.span.of(text)).collect();
        assert_eq!(quotes, ["intro", "# a", "x  \n\n  y"]);
    }
}
