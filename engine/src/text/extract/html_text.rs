//! The page that rendered HTML becomes: text with blocks, written front to back.
//!
//! Takes words, breaks and headings in reading order, gives text in which white space is collapsed and elements
//! stand on lines of their own. Knows nothing of tags.

use crate::span::Span;
use crate::text::document::{Block, BlockKind};
use crate::text::outline::Outline;

/// A page under construction.
#[derive(Debug, Default)]
pub(super) struct Page {
    text: String,
    blocks: Vec<Block>,
    outline: Outline,
    /// Where the open block begins.
    start: usize,
    kind: Option<BlockKind>,
    /// What the open block's first word is to follow.
    lead: String,
    /// White space that is due before the next word.
    space: bool,
}

impl Page {
    /// Ends the open block and sets what the next one is; `None` is prose.
    pub(super) fn block(&mut self, kind: Option<BlockKind>) {
        self.close();
        self.kind = kind;
    }

    /// Ends the open block as a heading of `level`.
    pub(super) fn heading(&mut self, level: u8) {
        let title = self.text.get(self.start..).unwrap_or_default().to_owned();
        if title.trim().is_empty() {
            return;
        }
        self.outline.enter(level, &title);
        self.kind = Some(BlockKind::Heading);
        self.close();
    }

    /// Sets what the open block's first word follows, such as the marker of a list item.
    pub(super) fn lead(&mut self, lead: String) {
        self.lead = lead;
    }

    /// Adds running text; any white space in it is one space.
    pub(super) fn words(&mut self, text: &str) {
        for word in text.split_inclusive(|ch: char| ch.is_ascii_whitespace() || ch == '\u{a0}') {
            let bare = word.trim_end_matches(|ch: char| ch.is_ascii_whitespace() || ch == '\u{a0}');
            if !bare.is_empty() {
                self.text.push_str(&std::mem::take(&mut self.lead));
                if self.space && !self.at_line_start() && !self.text.ends_with(' ') {
                    self.text.push(' ');
                }
                // Places where a word may be broken are no part of it.
                self.text.extend(bare.chars().filter(|ch| !matches!(ch, '\u{ad}' | '\u{200b}')));
                self.space = false;
            }
            self.space |= bare.len() < word.len();
        }
    }

    /// Adds text as it stands.
    pub(super) fn verbatim(&mut self, text: &str) {
        self.text.push_str(text);
        self.space = false;
    }

    /// Begins a new line inside the open block.
    pub(super) fn line(&mut self) {
        self.space = false;
        if !self.at_line_start() {
            self.text.push('\n');
        }
    }

    /// The text and its blocks.
    pub(super) fn finish(mut self) -> (String, Vec<Block>) {
        self.close();
        (self.text, self.blocks)
    }

    fn at_line_start(&self) -> bool {
        self.text.len() == self.start || self.text.ends_with('\n')
    }

    fn close(&mut self) {
        let span = Span::new(self.start, self.text.len()).trimmed(&self.text);
        let kind = self.kind.take().unwrap_or(BlockKind::Prose);
        if span.is_empty() {
            self.text.truncate(self.start);
        } else {
            self.text.truncate(span.end);
            self.blocks.push(Block { span, headings: self.outline.path(), kind });
            self.text.push_str(if kind == BlockKind::List { "\n" } else { "\n\n" });
        }
        self.start = self.text.len();
        self.lead.clear();
        self.space = false;
    }
}
