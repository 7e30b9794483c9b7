//! Blocks → pieces that each fit.
//!
//! Takes blocks, gives pieces with their counts: a block as a whole where it fits, else its paragraphs, sentences
//! or lines, and only then parts of these. A block behind a heading leaves room for it.

use super::{Measure, split};
use crate::span::Span;
use crate::text::document::{Block, BlockKind};
use crate::text::sentences::block_sentences;

/// A block or a part of one, small enough for a chunk.
#[derive(Debug, Clone, Copy)]
pub(super) struct Piece<'a> {
    /// Where it stands in the text.
    pub(super) span: Span,
    /// The headings of its block.
    pub(super) headings: &'a [String],
    /// Its tokens.
    pub(super) n_tokens: usize,
    /// Whether it must not end a chunk.
    pub(super) is_heading: bool,
}

/// The pieces of all blocks, in order.
pub(super) fn pieces<'a>(blocks: &'a [Block], measure: &Measure<'_>) -> Vec<Piece<'a>> {
    let mut pieces: Vec<Piece<'a>> = Vec::with_capacity(blocks.len());
    let mut heading_tokens = 0;
    for block in blocks {
        let is_heading = block.kind == BlockKind::Heading;
        let room = room_for(measure.max_tokens, heading_tokens);
        let from = pieces.len();
        push_block(block, room, measure, &mut pieces);
        let whole = pieces.len() == from + 1;
        heading_tokens = if is_heading && whole { heading_tokens + pieces[from].n_tokens } else { 0 };
        if let Some(piece) = pieces.last_mut().filter(|_| whole) {
            piece.is_heading = is_heading;
        }
    }
    pieces
}

/// What headings leave of a chunk; headings that take most of it are not waited for.
fn room_for(max_tokens: usize, heading_tokens: usize) -> usize {
    if heading_tokens * 2 <= max_tokens { max_tokens - heading_tokens } else { max_tokens }
}

fn push_block<'a>(block: &'a Block, room: usize, measure: &Measure<'_>, pieces: &mut Vec<Piece<'a>>) {
    let mut push = |span: Span, n_tokens: usize| {
        pieces.push(Piece { span, headings: &block.headings, n_tokens, is_heading: false });
    };
    let mut waiting = vec![(block.span, Cut::Whole)];
    while let Some((span, cut)) = waiting.pop() {
        let n_tokens = measure.count(span);
        if n_tokens <= room {
            push(span, n_tokens);
            continue;
        }
        let part = Block { span, headings: Vec::new(), kind: block.kind };
        match cut.next(block.kind) {
            Some(Cut::Paragraphs) => {
                waiting.extend(paragraphs(measure.text, span).map(|part| (part, Cut::Paragraphs)).rev())
            }
            Some(cut) => {
                waiting.extend(block_sentences(measure.text, &part).into_iter().map(|part| (part, cut)).rev())
            }
            None => split::words(span, room, measure, &mut push),
        }
    }
}

/// How far a block has been cut down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Cut {
    Whole,
    Paragraphs,
    Sentences,
}

impl Cut {
    /// The next finer cut; `None` where only words are left.
    fn next(self, kind: BlockKind) -> Option<Self> {
        match self {
            Self::Whole if kind.is_line_based() => Some(Self::Paragraphs),
            Self::Whole | Self::Paragraphs => Some(Self::Sentences),
            Self::Sentences => None,
        }
    }
}

/// The parts of `span` between blank lines.
fn paragraphs(text: &str, span: Span) -> impl DoubleEndedIterator<Item = Span> {
    let mut parts = Vec::new();
    let (mut start, mut at) = (span.start, span.start);
    for line in span.of(text).unwrap_or_default().split_inclusive('\n') {
        if line.trim().is_empty() {
            parts.push(Span::new(start, at).trimmed(text));
            start = at;
        }
        at += line.len();
    }
    parts.push(Span::new(start, span.end).trimmed(text));
    parts.into_iter().filter(|part| !part.is_empty())
}
