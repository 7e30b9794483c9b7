//! Blocks → chunks that fit a model.
//!
//! Takes a [`Document`], a token counter and options; gives [`Chunk`]s in order, without overlap, trimmed, never
//! empty and never over the limit, so that every byte of every block that is not white space is in exactly one. The limit
//! bounds bytes as well ([`MAX_BYTES_PER_TOKEN`]): whatever a model counts, no chunk is longer than that many for each token.
//!
//! Three steps over plain data: [`pieces`] cuts what is too large and counts each piece once, [`plan`] groups
//! pieces by sums of counts, and [`chunk`] counts each group once more as the text it is.

mod pieces;
mod plan;
mod split;

use self::pieces::Piece;
use super::document::{Block, Document};
use super::words::TokenCounter;
use crate::location::{Located, Section, touching};
use crate::span::{LineIndex, Span};

/// So many bytes count as a token at least, for a model may count a word of a million letters as one. No text that people
/// write has so many, so that this moves none of its chunks.
const MAX_BYTES_PER_TOKEN: usize = 24;

/// How chunks are cut.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChunkOptions {
    /// No chunk has more tokens.
    pub max_tokens: usize,
    /// A section with fewer tokens is joined with its neighbours, where they fit together.
    pub min_tokens: usize,
}

impl ChunkOptions {
    /// Options for a limit; sections below three tenths of it are joined.
    pub fn new(max_tokens: usize) -> Self {
        let max_tokens = max_tokens.max(1);
        Self { max_tokens, min_tokens: max_tokens * 3 / 10 }
    }
}

impl Default for ChunkOptions {
    fn default() -> Self {
        Self::new(220)
    }
}

/// A span that is indexed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chunk {
    /// Where it stands in the text.
    pub span: Span,
    /// Its first and last line, from 1.
    pub lines: (u32, u32),
    /// The headings over all of it, outermost first.
    pub headings: Vec<String>,
    /// Its sections, where not all of it stands under the same headings.
    pub sections: Vec<Section>,
    /// Its tokens, by the counter, or more where it holds words without end.
    pub n_tokens: usize,
    /// Its parts of the document's [`located`](Document::located), all of one page, slide, sheet or chapter.
    pub located: Vec<Located>,
}

/// Packs a document's blocks into chunks.
///
/// ```
/// # use waypost_engine::text::{ChunkOptions, Limits, WordEstimate, chunk, extract};
/// let document = extract("a.md", b"# A\n\nOne two.\n", &Limits::default()).unwrap();
/// let chunks = chunk(&document, &WordEstimate, &ChunkOptions::default());
/// assert_eq!((chunks.len(), chunks[0].lines, chunks[0].n_tokens), (1, (1, 3), 5));
/// ```
pub fn chunk(document: &Document, counter: &dyn TokenCounter, options: &ChunkOptions) -> Vec<Chunk> {
    let measure = Measure { text: &document.text, counter, max_tokens: options.max_tokens.max(1) };
    let lines = LineIndex::new(&document.text);
    let mut chunks = Vec::new();
    for blocks in units(document) {
        let pieces = pieces::pieces(blocks, &measure);
        for group in plan::groups(&pieces, options) {
            let headings = plan::common_headings(&pieces[group.clone()]);
            for (span, n_tokens) in fitting(&pieces[group], &measure) {
                let (lines, sections) = (lines.lines(span), sections(blocks, span));
                let (headings, located) = (headings.to_vec(), clipped(&document.located, span));
                chunks.push(Chunk { span, lines, headings, sections, n_tokens, located });
            }
        }
    }
    chunks
}

/// Runs of blocks that stand on one page, slide or sheet: no chunk goes over its edge, so that a citation names one.
fn units(document: &Document) -> impl Iterator<Item = &[Block]> {
    let unit = |block: &Block| touching(&document.located, block.span).first().map(|entry| &entry.location);
    document.blocks.chunk_by(move |one, next| match (unit(one), unit(next)) {
        (Some(one), Some(next)) => one.is_same_unit(next),
        (one, next) => one.is_none() && next.is_none(),
    })
}

/// The sections under a span, where it has several.
fn sections(blocks: &[Block], span: Span) -> Vec<Section> {
    let from = blocks.partition_point(|block| block.span.end <= span.start);
    let inside: Vec<&Block> = blocks[from..].iter().take_while(|block| block.span.start < span.end).collect();
    let begin = inside.chunk_by(|one, next| one.headings == next.headings).filter_map(|run| run.first());
    let sections: Vec<Section> = begin
        .map(|block| Section { start: block.span.start.max(span.start), headings: block.headings.clone() })
        .collect();
    if sections.len() > 1 { sections } else { Vec::new() }
}

fn clipped(located: &[Located], span: Span) -> Vec<Located> {
    let clip = |entry: &Located| Located {
        span: Span::new(entry.span.start.max(span.start), entry.span.end.min(span.end)),
        location: entry.location.clone(),
    };
    touching(located, span).iter().map(clip).collect()
}

/// The text and how it is counted.
struct Measure<'a> {
    text: &'a str,
    counter: &'a dyn TokenCounter,
    max_tokens: usize,
}

impl Measure<'_> {
    /// The tokens of a span. What is too long for any chunk is not counted by the model, which takes its time over it.
    fn count(&self, span: Span) -> usize {
        let least = span.len() / MAX_BYTES_PER_TOKEN;
        if least > self.max_tokens {
            return least;
        }
        self.counter.count(span.of(self.text).unwrap_or_default()).max(least)
    }
}

/// The spans that a group becomes: one, unless its text has more tokens than its pieces have together.
fn fitting(pieces: &[Piece<'_>], measure: &Measure<'_>) -> Vec<(Span, usize)> {
    let mut fitting = Vec::new();
    let mut waiting = vec![pieces];
    while let Some(pieces) = waiting.pop() {
        let (Some(first), Some(last)) = (pieces.first(), pieces.last()) else { continue };
        let span = Span::new(first.span.start, last.span.end);
        let n_tokens = if pieces.len() == 1 { first.n_tokens } else { measure.count(span) };
        if n_tokens <= measure.max_tokens || pieces.len() == 1 {
            fitting.push((span, n_tokens));
        } else {
            let (front, back) = pieces.split_at(plan::middle(pieces));
            waiting.extend([back, front]);
        }
    }
    fitting
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::{Limits, WordEstimate, extract};

    #[track_caller]
    fn check(name: &str, content: &str, max_tokens: usize, expected: &[(&str, &str)]) {
        let document = extract(name, content.as_bytes(), &Limits::default()).unwrap();
        let chunks = chunk(&document, &WordEstimate, &ChunkOptions::new(max_tokens));
        let paths: Vec<String> = chunks.iter().map(|chunk| chunk.headings.join(" > ")).collect();
        let quotes = chunks.iter().map(|chunk| chunk.span.of(&document.text).unwrap());
        let found: Vec<(&str, &str)> = paths.iter().map(String::as_str).zip(quotes).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn blocks_of_a_section_are_spread_evenly() {
        check(
            "a.md",
            "# A\n\none two\n\nthree four\n\nfive six\n\nseven eight\n",
            9,
            &[("A", "# A\n\none two\n\nthree four"), ("A", "five six\n\nseven eight")],
        );
    }

    #[test]
    fn small_sections_are_joined_under_their_parent() {
        check(
            "a.md",
            "# A\n\n## B\n\none\n\n## C\n\ntwo\n",
            20,
            &[("A", "# A\n\n## B\n\none\n\n## C\n\ntwo")],
        );
    }

    #[test]
    fn a_chunk_of_several_sections_knows_where_each_begins() {
        let text = "# A\n\n## B\n\none\n\n## C\n\ntwo\n\nthree\n";
        let document = extract("a.md", text.as_bytes(), &Limits::default()).unwrap();
        let chunks = chunk(&document, &WordEstimate, &ChunkOptions::new(20));
        let [only] = chunks.as_slice() else { panic!("{chunks:?}") };
        let sections = only.sections.iter().map(|section| (section.start, section.headings.join(" > ")));
        let expected = [("# A", "A"), ("## B", "A > B"), ("## C", "A > C")];
        assert!(
            sections.eq(expected.map(|(begin, path)| (text.find(begin).unwrap(), path.to_owned()))),
            "{only:?}"
        );
        let alone = extract("a.md", b"# A\n\none\n", &Limits::default()).unwrap();
        assert_eq!(chunk(&alone, &WordEstimate, &ChunkOptions::new(20))[0].sections, []);
    }

    #[test]
    fn a_heading_goes_with_what_follows() {
        check(
            "a.md",
            "# A\n\none two three four\n\n## B\n\nfive six seven eight\n",
            9,
            &[("A", "# A\n\none two three four"), ("A > B", "## B\n\nfive six seven eight")],
        );
        check(
            "a.md",
            "# A\n\n## B\n\none two three four five\n",
            10,
            &[("A > B", "# A\n\n## B\n\none two three four five")],
        );
    }

    #[test]
    fn large_paragraphs_are_cut_between_sentences_then_words() {
        check(
            "a.txt",
            "One two three. Four five six. Seven eight.",
            8,
            &[("", "One two three. Four five six."), ("", "Seven eight.")],
        );
        check("a.txt", "one two three four five six", 4, &[("", "one two three"), ("", "four five six")]);
    }

    #[test]
    fn words_without_end_are_cut_though_they_count_as_one() {
        /// As the models do: a word is a token, however long it is. Tells how much it has counted.
        #[derive(Default)]
        struct Unknown(std::cell::Cell<usize>);
        impl TokenCounter for Unknown {
            fn count(&self, text: &str) -> usize {
                self.0.set(self.0.get() + text.len());
                text.split_whitespace().count()
            }
        }
        let word = "w".repeat(1 << 20);
        for (name, text) in [
            ("a.md", format!("# Logo\n\nlogo {word}\n\nThe end.")),
            ("a.txt", word.clone()),
            ("a.csv", format!("name,data\nlogo,{word}\n")),
            ("a.json", format!("{{\"logo\": \"{word}\"}}")),
        ] {
            let document = extract(name, text.as_bytes(), &Limits::default()).unwrap();
            let counter = Unknown::default();
            let chunks = chunk(&document, &counter, &ChunkOptions::new(220));
            let longest = chunks.iter().map(|chunk| chunk.span.len()).max().unwrap();
            assert!(longest < 221 * MAX_BYTES_PER_TOKEN, "{name}: {longest}");
            assert!(counter.0.get() < 3 * text.len(), "{name}: {} bytes were counted", counter.0.get());
            assert!(chunks.iter().all(|chunk| chunk.n_tokens <= 220), "{name}");
        }
    }

    #[test]
    fn a_counter_that_dislikes_joins_is_obeyed() {
        /// Counts a line break as three tokens.
        struct Breaks;
        impl TokenCounter for Breaks {
            fn count(&self, text: &str) -> usize {
                WordEstimate.count(text) + 3 * text.matches('\n').count()
            }
        }
        let document = extract("a.txt", b"one\n\ntwo\n\nthree\n\nfour", &Limits::default()).unwrap();
        let chunks = chunk(&document, &Breaks, &ChunkOptions::new(7));
        assert!(chunks.iter().all(|chunk| chunk.n_tokens <= 7));
        assert_eq!(chunks.len(), 4);
    }
}
