//! Byte ranges in extracted text, and the lines they stand on.

use serde::{Deserialize, Serialize};

/// A half-open byte range `[start, end)` in an extracted text, always on UTF-8 boundaries.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, schemars::JsonSchema,
)]
pub struct Span {
    /// First byte.
    pub start: usize,
    /// One past the last byte.
    pub end: usize,
}

impl Span {
    /// The range `[start, end)`; an inverted pair becomes the empty range at `start`.
    pub fn new(start: usize, end: usize) -> Self {
        Self { start, end: end.max(start) }
    }

    /// Length in bytes.
    pub fn len(&self) -> usize {
        self.end - self.start
    }

    /// Whether the range holds no byte.
    pub fn is_empty(&self) -> bool {
        self.start == self.end
    }

    /// The text under the range, or `None` where it does not fit `text` or cuts a character.
    pub fn of<'a>(&self, text: &'a str) -> Option<&'a str> {
        text.get(self.start..self.end)
    }

    /// The same text without white space at either end.
    pub fn trimmed(&self, text: &str) -> Self {
        let Some(inner) = self.of(text) else { return *self };
        let start = self.start + (inner.len() - inner.trim_start().len());
        Self::new(start, start + inner.trim().len())
    }
}

/// The starts of a text's lines, for turning byte offsets into line numbers.
#[derive(Debug, Clone)]
pub struct LineIndex {
    starts: Vec<usize>,
}

impl LineIndex {
    /// Reads the line starts of `text` once.
    pub fn new(text: &str) -> Self {
        let mut starts = vec![0];
        starts.extend(text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n').map(|(idx, _)| idx + 1));
        Self { starts }
    }

    /// The line of a byte offset, counted from 1.
    pub fn line(&self, offset: usize) -> u32 {
        self.starts.partition_point(|start| *start <= offset) as u32
    }

    /// First and last line of a span, counted from 1, both included.
    pub fn lines(&self, span: Span) -> (u32, u32) {
        let last = span.end.saturating_sub(1).max(span.start);
        (self.line(span.start), self.line(last))
    }
}
