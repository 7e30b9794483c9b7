//! AsciiDoc, LaTeX and subtitles: blocks along their headings, as they are written.
//!
//! Takes text, gives blocks with the text's own spans. Works by line and never fails on bad syntax.

use super::Structure;
use crate::text::document::BlockKind;
use crate::text::outline::{Mark, Outline, clean_heading, lines, tile};

/// Cues are grouped until a block has so many bytes.
const GROUP_BYTES: usize = 256;

/// Blocks of AsciiDoc: sections, paragraphs, delimited blocks, lists.
pub(super) fn read_asciidoc(text: &str) -> Structure {
    let mut page = Page::default();
    let mut fence: Option<&str> = None;
    for (at, line) in lines(text) {
        let line = line.trim_end();
        if fence.is_some_and(|open| open == line) {
            fence = None;
            page.ends = true;
        } else if fence.is_some() {
        } else if is_fence(line) {
            fence = Some(line);
            page.mark(at, if line.starts_with('|') { BlockKind::Table } else { BlockKind::Code });
        } else if let Some((level, title)) = asciidoc_heading(line) {
            page.heading(at, level, title);
        } else {
            page.line(at, line);
        }
    }
    page.finish(text)
}

/// Lines that open and close a block: four or more of one sign, or a table's.
fn is_fence(line: &str) -> bool {
    let ch = line.chars().next().unwrap_or(' ');
    line == "|===" || (line.len() >= 4 && "-.=*_+/".contains(ch) && line.chars().all(|other| other == ch))
}

fn asciidoc_heading(line: &str) -> Option<(u8, &str)> {
    let signs = line.bytes().take_while(|byte| *byte == b'=').count();
    let title = line[signs..].strip_prefix(' ')?.trim();
    ((1..=6).contains(&signs) && !title.is_empty()).then_some((signs as u8, title))
}

/// Blocks of LaTeX: sections, paragraphs.
pub(super) fn read_latex(text: &str) -> Structure {
    const SECTIONS: &[(&str, u8)] = &[
        ("part", 1),
        ("chapter", 2),
        ("section", 3),
        ("subsection", 4),
        ("subsubsection", 5),
        ("paragraph", 6),
    ];
    let mut page = Page::default();
    for (at, line) in lines(text) {
        let trimmed = line.trim_start();
        let command = trimmed.strip_prefix('\\').unwrap_or_default();
        let argument = |name: &str| argument(command.strip_prefix(name)?);
        if let Some(title) = argument("title") {
            page.title = page.title.take().or(Some(clean_heading(&title)));
        }
        match SECTIONS.iter().find_map(|(name, level)| Some((*level, argument(name)?))) {
            Some((level, title)) => page.heading(at, level, &title),
            None => page.line(at, line),
        }
    }
    page.finish(text)
}

/// What stands in the braces behind a command, up to the one that closes them on the same line.
fn argument(rest: &str) -> Option<String> {
    let rest = rest.strip_prefix('*').unwrap_or(rest);
    let rest = if rest.starts_with('[') { rest.split_once(']')?.1 } else { rest };
    let inner = rest.strip_prefix('{')?;
    let mut depth = 1;
    let end = inner.char_indices().find(|(_, ch)| {
        depth += i32::from(*ch == '{') - i32::from(*ch == '}');
        depth == 0
    });
    Some(inner[..end.map_or(inner.len(), |(at, _)| at)].replace(['{', '}'], ""))
}

/// Blocks of subtitles: a few cues each, with their times.
pub(super) fn read_subtitles(text: &str) -> Structure {
    let mut marks = Vec::new();
    let (mut group_end, mut after_blank) = (0, true);
    for (at, line) in lines(text) {
        let is_blank = line.trim().is_empty();
        if after_blank && !is_blank && at >= group_end {
            marks.push(Mark::new(at, Vec::new(), BlockKind::Data));
            group_end = at + GROUP_BYTES;
        }
        after_blank = is_blank;
    }
    Structure { blocks: tile(text, marks), title: None, warning: None }
}

/// Marks under headings, by line.
#[derive(Default)]
struct Page {
    marks: Vec<Mark>,
    outline: Outline,
    title: Option<String>,
    /// Whether the line before ended a block.
    ends: bool,
    is_open: bool,
}

impl Page {
    fn mark(&mut self, at: usize, kind: BlockKind) {
        self.marks.push(Mark::new(at, self.outline.path(), kind));
        (self.ends, self.is_open) = (false, true);
    }

    fn heading(&mut self, at: usize, level: u8, title: &str) {
        self.outline.enter(level, title);
        self.title = self.title.take().or_else(|| Some(clean_heading(title)));
        self.mark(at, BlockKind::Heading);
        self.ends = true;
    }

    fn line(&mut self, at: usize, line: &str) {
        if line.trim().is_empty() {
            self.ends = true;
        } else if self.ends || !self.is_open {
            let is_item = line.trim_start().starts_with(['*', '-', '.']) && line.contains(' ');
            self.mark(at, if is_item { BlockKind::List } else { BlockKind::Prose });
        }
    }

    fn finish(self, text: &str) -> Structure {
        Structure { blocks: tile(text, self.marks), title: self.title, warning: None }
    }
}
