//! Markdown → blocks along its top-level elements.
//!
//! Takes text, gives blocks with the text's own spans: headings, paragraphs, items of lists, tables, code, front
//! matter. What stands inside a quote or an item belongs to it, headings too. Does not render: a citation quotes
//! the source as it is written.

use pulldown_cmark::{Event, HeadingLevel, MetadataBlockKind, Options, Parser, Tag, TagEnd};

use super::Structure;
use crate::text::document::{Block, BlockKind};
use crate::text::outline::{Mark, Outline, tile};

/// Blocks and title of a Markdown text.
pub(super) fn read(text: &str) -> Structure {
    let mut reader = Reader::default();
    for (event, range) in Parser::new_ext(text, options()).into_offset_iter() {
        reader.event(event, range.start, range.end);
    }
    let title = front_matter_title(text, &reader.marks).or(reader.title);
    Structure { blocks: tile(text, reader.marks), title, warning: None }
}

/// Blocks of a piece of Markdown inside another document, under the headings that are open there.
pub(super) fn read_into(text: &str, outline: &mut Outline) -> Structure {
    let mut reader = Reader { outline: std::mem::take(outline), ..Reader::default() };
    for (event, range) in Parser::new_ext(text, options()).into_offset_iter() {
        reader.event(event, range.start, range.end);
    }
    *outline = reader.outline;
    let blocks: Vec<Block> = tile(text, reader.marks);
    Structure { blocks, title: reader.title, warning: None }
}

fn options() -> Options {
    Options::ENABLE_TABLES
        | Options::ENABLE_FOOTNOTES
        | Options::ENABLE_STRIKETHROUGH
        | Options::ENABLE_TASKLISTS
        | Options::ENABLE_YAML_STYLE_METADATA_BLOCKS
        | Options::ENABLE_PLUSES_DELIMITED_METADATA_BLOCKS
        | Options::ENABLE_HEADING_ATTRIBUTES
        | Options::ENABLE_MATH
}

/// Turns events into marks; only what is at the top, or one step below a list, begins a block.
#[derive(Default)]
struct Reader {
    marks: Vec<Mark>,
    outline: Outline,
    title: Option<String>,
    depth: usize,
    in_list: bool,
    heading: Option<(u8, usize, String)>,
}

impl Reader {
    fn event(&mut self, event: Event<'_>, start: usize, end: usize) {
        match event {
            Event::Start(tag) => self.start(&tag, start, end),
            Event::End(tag) => self.end(tag, end),
            Event::Text(text) | Event::Code(text) | Event::InlineMath(text) => self.heading_text(&text),
            Event::SoftBreak | Event::HardBreak => self.heading_text(" "),
            Event::Rule if self.depth == 0 => self.mark(start, BlockKind::Prose),
            _ => {}
        }
    }

    fn start(&mut self, tag: &Tag<'_>, start: usize, end: usize) {
        match (self.depth, tag) {
            (0, Tag::Heading { level, .. }) => {
                self.heading = Some((level_number(*level), start, String::new()))
            }
            (0, Tag::List(_)) => {
                self.in_list = true;
                self.mark(start, BlockKind::List);
            }
            (1, Tag::Item) if self.in_list => self.mark(start, BlockKind::List),
            (0, _) => {
                self.mark(start, kind_of(tag));
                self.mark(end, BlockKind::Prose);
            }
            _ => {}
        }
        self.depth += 1;
    }

    fn end(&mut self, tag: TagEnd, end: usize) {
        self.depth = self.depth.saturating_sub(1);
        if self.depth > 0 {
            return;
        }
        if let Some((level, start, title)) = self.heading.take() {
            self.outline.enter(level, &title);
            if self.title.is_none() && !title.trim().is_empty() {
                self.title = Some(crate::text::outline::clean_heading(&title));
            }
            self.mark(start, BlockKind::Heading);
            self.mark(end, BlockKind::Prose);
        } else if matches!(tag, TagEnd::List(_)) {
            self.in_list = false;
            self.mark(end, BlockKind::Prose);
        }
    }

    fn heading_text(&mut self, text: &str) {
        if let Some((_, _, title)) = &mut self.heading {
            title.push_str(text);
        }
    }

    fn mark(&mut self, at: usize, kind: BlockKind) {
        self.marks.push(Mark::new(at, self.outline.path(), kind));
    }
}

fn kind_of(tag: &Tag<'_>) -> BlockKind {
    match tag {
        Tag::CodeBlock(_) | Tag::HtmlBlock => BlockKind::Code,
        Tag::Table(_) => BlockKind::Table,
        Tag::MetadataBlock(MetadataBlockKind::YamlStyle | MetadataBlockKind::PlusesStyle) => BlockKind::Data,
        _ => BlockKind::Prose,
    }
}

fn level_number(level: HeadingLevel) -> u8 {
    level as u8
}

/// `title: …` or `title = …` of the front matter.
fn front_matter_title(text: &str, marks: &[Mark]) -> Option<String> {
    let front = marks.iter().find(|mark| mark.kind == BlockKind::Data)?;
    let lines = text.get(front.at..)?.lines().skip(1).take_while(|line| *line != "---" && *line != "+++");
    let value = lines.filter_map(|line| line.strip_prefix("title")).find_map(|rest| {
        let rest = rest.trim_start();
        rest.strip_prefix(':').or_else(|| rest.strip_prefix('='))
    })?;
    let value = value.trim().trim_matches(['"', '\'']);
    (!value.is_empty()).then(|| crate::text::outline::clean_heading(value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: &[(BlockKind, &str, &str)]) {
        let structure = read(text);
        let paths: Vec<String> = structure.blocks.iter().map(|block| block.headings.join(" > ")).collect();
        let found: Vec<(BlockKind, &str, &str)> = structure
            .blocks
            .iter()
            .zip(&paths)
            .map(|(block, path)| (block.kind, path.as_str(), block.span.of(text).unwrap_or_default()))
            .collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn headings_open_sections() {
        use BlockKind::{Heading, Prose};
        check(
            "intro\n\n# A `b`\ntext\n\nSub\n---\nmore\n\n# C",
            &[
                (Prose, "", "intro"),
                (Heading, "A b", "# A `b`"),
                (Prose, "A b", "text"),
                (Heading, "A b > Sub", "Sub\n---"),
                (Prose, "A b > Sub", "more"),
                (Heading, "C", "# C"),
            ],
        );
    }

    #[test]
    fn elements_keep_their_kind_and_nothing_is_lost() {
        use BlockKind::{Code, Data, List, Prose, Table};
        check(
            "---\ntitle: T\n---\n\n- one\n  - deep\n- two\n\n| a | b |\n|---|---|\n| 1 | 2 |\n\n```sh\nls\n\nls\n```\n\n[ref]: http://x\n\n> # quoted\n> text\n\n[^1]: note\n",
            &[
                (Data, "", "---\ntitle: T\n---"),
                (List, "", "- one\n  - deep"),
                (List, "", "- two"),
                (Table, "", "| a | b |\n|---|---|\n| 1 | 2 |"),
                (Code, "", "```sh\nls\n\nls\n```"),
                (Prose, "", "[ref]: http://x"),
                (Prose, "", "> # quoted\n> text"),
                (Prose, "", "[^1]: note"),
            ],
        );
    }

    #[test]
    fn the_title_is_that_of_the_front_matter_or_the_first_heading() {
        let cases = [
            ("---\ntitle: \"A: b\"\n---\n# H", Some("A: b")),
            ("+++\ntitle = 'T'\n+++\n# H", Some("T")),
            ("text\n\n## H *x*\n\n# I", Some("H x")),
            ("text", None),
        ];
        for (text, expected) in cases {
            assert_eq!(read(text).title.as_deref(), expected, "{text}");
        }
    }
}
