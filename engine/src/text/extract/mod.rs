//! One file → one [`Document`].
//!
//! Takes a name, bytes and limits. Finds the type, decodes, and hands the text to the reader of its kind. A reader
//! of text that stays as it is gives [`Structure`] alone; a reader of markup that is rendered gives [`Rendered`].
//! A reader of text never fails: what it cannot follow it reads as plain text, and says so in a warning. A reader of
//! bytes, such as that of PDF, gives a reason where it finds no way. Readers of [isolated](Kind::is_isolated) kinds may
//! still break down over a file that was made to break them: whoever calls [`extract`] for others' files does so in a
//! process of its own.

mod plain;

mod markdown;

mod html;
mod html_depth;
mod html_links;
mod html_text;

mod notebook;

mod markup;

mod rendering;
mod tables;
mod unpack;
mod xml;

mod pdf;

mod docx;
mod office;
mod open_document;
mod pptx;

mod open_sheets;
mod sheet;
mod sheet_pins;
mod spreadsheet;

mod epub;
mod ole;
mod ole_marks;
mod ole_slides;
mod rtf;

mod archive;
mod mail;
mod media;

mod code;
mod grammars;
mod syntax;

mod delimited;
mod json;
mod sections;

pub use html_links::{PageLinks, page_links};

use self::unpack::Allowance;
use super::decode::{BOM, Decoded, decode};
use super::detect::{self, FileType};
use super::document::{Block, Document, Kind, Limits};
use super::language::prose_language;
use super::skip::SkipReason;
use crate::location::Located;
use crate::span::Span;

/// What a reader finds in a text that stays as it is.
#[derive(Debug, Default)]
struct Structure {
    blocks: Vec<Block>,
    title: Option<String>,
    warning: Option<String>,
}

/// What a reader makes of markup that nobody wants to read.
#[derive(Debug, Default)]
struct Rendered {
    text: String,
    structure: Structure,
    language: Option<String>,
    located: Vec<Located>,
    warnings: Vec<String>,
}

/// Reads one file.
///
/// ```
/// # use waypost_engine::text::{Limits, extract};
/// let document = extract("notes.md", b"# Notes\n\nTea at four.", &Limits::default()).unwrap();
/// assert_eq!(document.title.as_deref(), Some("Notes"));
/// assert_eq!(document.blocks[1].headings, ["Notes"]);
/// ```
///
/// # Errors
/// A [`SkipReason`] where the file holds no text that can be indexed.
pub fn extract(name: &str, bytes: &[u8], limits: &Limits) -> Result<Document, SkipReason> {
    let left = std::cell::Cell::new(Allowance::of(limits, bytes.len()));
    extract_within(name, bytes, &Allowance::new(limits, &left))
}

/// Reads a file that came inside of another one.
///
/// # Errors
/// As [`extract`]; [`SkipReason::Explodes`] where files lie in files too deep.
fn nested(name: &str, bytes: &[u8], allowance: &Allowance<'_>) -> Result<Document, SkipReason> {
    extract_within(name, bytes, &allowance.deeper()?)
}

fn extract_within(name: &str, bytes: &[u8], allowance: &Allowance<'_>) -> Result<Document, SkipReason> {
    let limits = allowance.limits();
    if bytes.len() > limits.max_bytes {
        return Err(SkipReason::TooLarge { size: bytes.len(), limit: limits.max_bytes });
    }
    if bytes.is_empty() {
        return Err(SkipReason::Empty);
    }
    let found = detect::file_type(name, bytes);
    let Some(kind) = found.kind else { return Err(unreadable(found)) };
    let document = if kind.reads_bytes() {
        let rendered = read_bytes(name, bytes, found, kind, allowance)?;
        finished(found, kind, rendered, false)
    } else {
        read(found, kind, decode(bytes)?, limits)
    };
    if document.blocks.is_empty() { Err(SkipReason::Empty) } else { Ok(document) }
}

fn unreadable(found: FileType) -> SkipReason {
    if found.mime_type == detect::UNKNOWN {
        return SkipReason::Binary;
    }
    SkipReason::UnsupportedType { mime_type: found.mime_type.to_owned() }
}

fn read(found: FileType, kind: Kind, decoded: Decoded, limits: &Limits) -> Document {
    let mark = if decoded.text.starts_with(BOM) { BOM.len_utf8() } else { 0 };
    let body = &decoded.text[mark..];
    let rendered = match kind {
        Kind::Html => Some(html::read(body)),
        Kind::Notebook => notebook::read(body),
        _ => None,
    };
    let (mut rendered, verbatim) = match rendered {
        Some(rendered) => (rendered, false),
        None => {
            let structure = shifted(read_verbatim(kind, found.language, body, limits), mark);
            let language = found.language.map(code_language);
            (Rendered { text: decoded.text, structure, language, ..Rendered::default() }, decoded.verbatim)
        }
    };
    rendered.warnings = decoded.warning.into_iter().chain(rendered.warnings).collect();
    finished(found, kind, rendered, verbatim)
}

fn finished(found: FileType, kind: Kind, rendered: Rendered, verbatim: bool) -> Document {
    let Rendered { text, structure, language, located, mut warnings } = rendered;
    warnings.extend(structure.warning);
    let language = language.or_else(|| prose_language(&text, &structure.blocks));
    let (title, blocks, mime_type) = (structure.title, structure.blocks, found.mime_type.to_owned());
    Document { text, mime_type, kind, language, title, blocks, located, verbatim, warnings }
}

fn read_bytes(
    name: &str,
    bytes: &[u8],
    found: FileType,
    kind: Kind,
    allowance: &Allowance<'_>,
) -> Result<Rendered, SkipReason> {
    match kind {
        Kind::Pdf => pdf::read(bytes, allowance),
        Kind::Docx | Kind::Pptx if office::is_encrypted(bytes) => Err(SkipReason::Encrypted),
        Kind::Docx => docx::read(bytes, allowance),
        Kind::Pptx => pptx::read(bytes, allowance),
        Kind::Spreadsheet => spreadsheet::read(bytes, allowance),
        Kind::OpenDocument => open_document::read(bytes, allowance),
        Kind::Rtf => rtf::read(bytes, allowance),
        Kind::Doc => ole::read_doc(bytes, allowance),
        Kind::Ppt => ole::read_ppt(bytes, allowance),
        Kind::OutlookMail => ole::read_msg(bytes, allowance),
        Kind::Epub => epub::read(bytes, allowance),
        Kind::Mail => mail::read(bytes, allowance),
        Kind::Mailbox => mail::read_mailbox(bytes, allowance),
        Kind::Archive => archive::read(name, bytes, found.mime_type, allowance),
        _ => Ok(media::read(name, bytes, found.mime_type)),
    }
}

fn read_verbatim(kind: Kind, language: Option<&str>, text: &str, limits: &Limits) -> Structure {
    match kind {
        Kind::Markdown => markdown::read(text),
        Kind::Code => code::read(text, language.unwrap_or_default(), limits),
        Kind::Json | Kind::Notebook => json::read(text),
        Kind::JsonLines => json::read_lines(text),
        Kind::Yaml => sections::read_yaml(text),
        Kind::Toml => sections::read_tables(text),
        Kind::Csv => delimited::read(text),
        Kind::Xml => code::read(text, "xml", limits),
        Kind::Asciidoc => markup::read_asciidoc(text),
        Kind::Latex => markup::read_latex(text),
        Kind::Subtitles => markup::read_subtitles(text),
        _ => plain::read(text),
    }
}

/// Offsets of the body become offsets of the text, which may begin with a mark.
fn shifted(mut structure: Structure, by: usize) -> Structure {
    for block in &mut structure.blocks {
        block.span = Span::new(block.span.start + by, block.span.end + by);
    }
    structure
}

/// The language as people call it; `tsx` is only a way to write TypeScript.
fn code_language(language: &str) -> String {
    if language == "tsx" { "typescript".to_owned() } else { language.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::document::BlockKind;

    fn read(name: &str, content: &str) -> Document {
        extract(name, content.as_bytes(), &Limits::default()).expect(name)
    }

    #[test]
    fn a_byte_order_mark_stays_in_front_of_all_blocks() {
        for name in ["a.md", "a.txt", "a.rs", "a.json", "a.csv", "a.yaml"] {
            let document = read(name, "\u{feff}a: b\n");
            assert!(document.verbatim && document.text.starts_with(BOM));
            assert_eq!(document.blocks[0].span.start, 3, "{name}");
        }
    }

    #[test]
    fn a_limit_is_named() {
        let limits = Limits { max_bytes: 3, ..Limits::default() };
        assert_eq!(extract("a", b"abcd", &limits), Err(SkipReason::TooLarge { size: 4, limit: 3 }));
    }

    #[test]
    fn binary_and_unsupported_are_told_apart() {
        let code = |name, bytes: &[u8]| extract(name, bytes, &Limits::default()).unwrap_err();
        assert_eq!(
            code("notes.md", b"\x89PNG\r\n\x1a\n"),
            SkipReason::UnsupportedType { mime_type: "image/png".into() }
        );
        assert_eq!(code("notes.md", b"\0\x01\x02"), SkipReason::Binary);
        assert_eq!(code("notes.md", b""), SkipReason::Empty);
        assert_eq!(code("notes.html", b"<p></p>"), SkipReason::Empty);
    }

    #[test]
    fn a_notebook_that_is_none_is_read_as_json() {
        let document = read("x.ipynb", "{\"a\": [1, 2]}");
        assert!(document.verbatim);
        assert_eq!(document.blocks[0].kind, BlockKind::Data);
    }
}
