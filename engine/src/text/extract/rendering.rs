//! The text that a document without one becomes, written front to back.
//!
//! Takes headings, blocks and places in reading order, gives a [`Rendered`] text in which each block stands on lines
//! of its own. Keeps within a limit: what comes later is left out, and a warning says so. Knows no format.

use super::{Rendered, Structure};
use crate::location::{Located, Location, touching};
use crate::span::Span;
use crate::text::document::{Block, BlockKind, Document, Kind};
use crate::text::outline::{Outline, clean_heading};
use crate::text::words::char_floor;

/// Warnings beyond are counted, not told.
const MAX_WARNINGS: usize = 20;

/// A text under construction.
#[derive(Debug)]
pub(super) struct Rendering {
    text: String,
    blocks: Vec<Block>,
    located: Vec<Located>,
    outline: Outline,
    title: Option<String>,
    language: Option<String>,
    warnings: Vec<String>,
    max_bytes: usize,
    is_full: bool,
}

impl Rendering {
    /// A text of at most so many bytes.
    pub(super) fn new(max_bytes: usize) -> Self {
        Self {
            text: String::new(),
            blocks: Vec::new(),
            located: Vec::new(),
            outline: Outline::default(),
            title: None,
            language: None,
            warnings: Vec::new(),
            max_bytes,
            is_full: false,
        }
    }

    /// Names the document; the first name holds.
    pub(super) fn title(&mut self, title: &str) {
        let title = clean_heading(title);
        if self.title.is_none() && !title.is_empty() {
            self.title = Some(title);
        }
    }

    /// Tells what was lost or guessed.
    pub(super) fn warn(&mut self, warning: String) {
        if self.warnings.len() < MAX_WARNINGS && !self.warnings.contains(&warning) {
            self.warnings.push(warning);
        }
    }

    /// Opens a heading and writes it as a block.
    pub(super) fn heading(&mut self, level: u8, text: &str) {
        if !text.trim().is_empty() {
            self.outline.enter(level, text);
            self.block(text, BlockKind::Heading);
        }
    }

    /// Opens a heading without writing it: what the place is called, where the text itself does not say so.
    pub(super) fn enter(&mut self, level: u8, text: &str) {
        self.outline.enter(level, text);
    }

    /// Writes a block; nothing where it holds nothing to read.
    pub(super) fn block(&mut self, text: &str, kind: BlockKind) {
        self.put(text, kind);
    }

    /// As [`block`](Self::block), and gives what stands in the text by then.
    pub(super) fn put(&mut self, text: &str, kind: BlockKind) -> &str {
        let headings = self.outline.path();
        self.block_under(text, kind, headings)
    }

    fn block_under(&mut self, text: &str, kind: BlockKind, headings: Vec<String>) -> &str {
        let clean = cleaned(text);
        let mut kept = clean.trim();
        let start = self.text.len();
        let room = self.max_bytes.saturating_sub(start);
        if kept.len() > room && !self.is_full {
            self.fill();
            kept = kept[..char_floor(kept, room)].trim_end();
        } else if self.is_full {
            kept = "";
        }
        if kept.is_empty() {
            return "";
        }
        self.text.push_str(kept);
        let span = Span::new(start, self.text.len());
        self.blocks.push(Block { span, headings, kind });
        self.text.push_str(if kind == BlockKind::List { "\n" } else { "\n\n" });
        &self.text[span.start..span.end]
    }

    /// Whether the limit is reached, so that reading on is for nothing.
    pub(super) fn is_full(&self) -> bool {
        self.is_full
    }

    /// The end of what is written so far.
    pub(super) fn len(&self) -> usize {
        self.text.len()
    }

    /// Says where everything written since `start`, an earlier [`len`](Self::len), stands.
    pub(super) fn locate(&mut self, start: usize, location: Location) {
        let span = Span::new(start, self.text.trim_end().len().max(start));
        if !span.is_empty() {
            self.located.push(Located { span, location });
        }
    }

    /// Says where a part of the text stands.
    pub(super) fn locate_span(&mut self, span: Span, location: Location) {
        if !span.is_empty() {
            self.located.push(Located { span, location });
        }
    }

    /// Writes the text of a file that came inside of this one under the headings that are open, each part at the place that
    /// `outer` makes of its own. `name` is said with what was lost of it.
    pub(super) fn append(
        &mut self,
        document: &Document,
        name: &str,
        outer: impl Fn(Option<&Location>) -> Location,
    ) {
        for block in &document.blocks {
            let start = self.len();
            let n_written = self.append_block(&document.text, block);
            match touching(&document.located, block.span) {
                // Rows that stand in one block keep their cells, as long as they stand as they did.
                parts @ [_, _, ..] if n_written == block.span.len() => {
                    let at =
                        |byte: usize| start + byte.clamp(block.span.start, block.span.end) - block.span.start;
                    for part in parts {
                        let span = Span::new(at(part.span.start), at(part.span.end));
                        self.locate_span(span, outer(Some(&part.location)));
                    }
                }
                parts => self.locate_on(start, outer(parts.first().map(|part| &part.location))),
            }
        }
        for warning in &document.warnings {
            // What is said of each picture is said once.
            let is_general = document.kind == Kind::Media;
            self.warn(if is_general { warning.clone() } else { format!("{name}: {warning}") });
        }
    }

    /// Writes a block of another text under the headings that are open and its own; gives its length here.
    fn append_block(&mut self, text: &str, block: &Block) -> usize {
        let headings = self.outline.path().into_iter().chain(block.headings.iter().cloned()).collect();
        self.block_under(block.span.of(text).unwrap_or_default(), block.kind, headings).len()
    }

    /// As [`locate`](Self::locate); what follows at the same place makes one span with it.
    fn locate_on(&mut self, start: usize, location: Location) {
        let from = match self.located.last() {
            Some(last) if last.location == location => last.span.start,
            _ => return self.locate(start, location),
        };
        self.located.pop();
        self.locate(from, location);
    }

    /// Writes a text that was rendered elsewhere and is a part of this one.
    pub(super) fn append_rendered(&mut self, rendered: Rendered) {
        let Rendered { text, structure, language, warnings, .. } = rendered;
        for block in &structure.blocks {
            self.append_block(&text, block);
        }
        structure.warning.into_iter().chain(warnings).for_each(|warning| self.warn(warning));
        self.language = self.language.take().or(language);
    }

    /// What was written.
    pub(super) fn finish(mut self) -> Rendered {
        self.text.truncate(self.text.trim_end().len());
        let structure = Structure { blocks: self.blocks, title: self.title, warning: None };
        Rendered {
            text: self.text,
            structure,
            language: self.language,
            located: self.located,
            warnings: self.warnings,
        }
    }

    fn fill(&mut self) {
        self.is_full = true;
        let limit = self.max_bytes;
        // Said in front of all others, for it matters most.
        self.warnings.insert(0, format!("only the first {limit} bytes of its text are read"));
    }
}

/// Text as lines: other line ends become `\n`, control characters go.
fn cleaned(text: &str) -> String {
    let mut clean = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    while let Some(ch) = chars.next() {
        match ch {
            '\r' if chars.peek() == Some(&'\n') => {}
            '\r' | '\u{b}' | '\u{c}' | '\u{2028}' | '\u{2029}' => clean.push('\n'),
            '\n' | '\t' => clean.push(ch),
            '\u{ad}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}' => {}
            _ if ch.is_control() => {}
            _ => clean.push(ch),
        }
    }
    clean
}
