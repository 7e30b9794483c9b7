//! What extraction gives: a text, and the blocks it consists of.

use serde::{Deserialize, Serialize};

use crate::location::Located;
use crate::span::Span;

/// The text of one file and its structure.
///
/// The blocks are in order, do not overlap, are trimmed and never empty; every byte of `text` that is neither white
/// space nor a byte order mark lies in exactly one of them.
///
/// It is serialized on its way from a worker process of this same binary and in the cache of read texts, both of
/// which are bound to [`EXTRACTOR_VERSION`](super::EXTRACTOR_VERSION).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Document {
    /// The extracted text; all spans are byte ranges in it.
    pub text: String,
    /// The media type, such as `text/markdown`; by content first, then by name.
    pub mime_type: String,
    /// How the text was read.
    pub kind: Kind,
    /// `en`, `de`, `zh` … for prose where it is certain; `rust`, `python` … for code.
    pub language: Option<String>,
    /// What the document calls itself.
    pub title: Option<String>,
    /// The structure of `text`, in order.
    pub blocks: Vec<Block>,
    /// Pages, slides, cells, chapters: in order and without overlap; empty for formats that have none.
    pub located: Vec<Located>,
    /// Whether `text` is the file's own bytes, so that spans are file offsets.
    pub verbatim: bool,
    /// What was lost or guessed, for people to read.
    pub warnings: Vec<String>,
}

/// A paragraph, list item, table, function …: the smallest thing that chunks prefer to keep whole.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Block {
    /// Where it stands in the text.
    pub span: Span,
    /// The headings over it, outermost first. A heading's own path includes itself.
    pub headings: Vec<String>,
    /// What it is.
    pub kind: BlockKind,
}

/// What a block is; decides where it may be cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum BlockKind {
    /// A heading, or a line that names what follows it; never the last thing of a chunk.
    Heading,
    /// Running text; cut between sentences.
    Prose,
    /// An item of a list; cut between sentences.
    List,
    /// Rows; cut between lines.
    Table,
    /// Source code, preformatted text, program output; cut between blank lines, then lines.
    Code,
    /// Keys and values, records, front matter; cut between lines.
    Data,
}

impl BlockKind {
    /// Whether a line break inside the block carries meaning.
    pub fn is_line_based(self) -> bool {
        matches!(self, Self::Table | Self::Code | Self::Data)
    }
}

/// How a text was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Kind {
    /// CommonMark with tables, footnotes and front matter.
    Markdown,
    /// Text without known markup.
    Plain,
    /// A web page; the text is what a reader sees.
    Html,
    /// XML of any sort, as it stands.
    Xml,
    /// Source code; [`Document::language`] says which.
    Code,
    /// One JSON value.
    Json,
    /// One JSON value a line.
    JsonLines,
    /// YAML.
    Yaml,
    /// TOML, INI and other `[section]` files.
    Toml,
    /// Rows with a delimiter.
    Csv,
    /// A Jupyter notebook; the text is that of its cells.
    Notebook,
    /// AsciiDoc, as it is written.
    Asciidoc,
    /// LaTeX, as it is written.
    Latex,
    /// SubRip or WebVTT subtitles, as they are written.
    Subtitles,
    /// PDF; pages.
    Pdf,
    /// Office Open XML text.
    Docx,
    /// Office Open XML slides, with their notes.
    Pptx,
    /// A spreadsheet of any sort: Excel old and new, OpenDocument.
    Spreadsheet,
    /// OpenDocument text or presentation.
    OpenDocument,
    /// Rich Text Format.
    Rtf,
    /// Word 97 to 2003.
    Doc,
    /// PowerPoint 97 to 2003.
    Ppt,
    /// EPUB; chapters.
    Epub,
    /// One mail, with what came with it.
    Mail,
    /// Many mails in one file.
    Mailbox,
    /// A mail as Outlook saves it.
    OutlookMail,
    /// Files in a file: zip, tar, gzip.
    Archive,
    /// A picture, sound or film: its name and metadata alone.
    Media,
}

impl Kind {
    /// A stable snake_case name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Markdown => "markdown",
            Self::Plain => "plain",
            Self::Html => "html",
            Self::Xml => "xml",
            Self::Code => "code",
            Self::Json => "json",
            Self::JsonLines => "json_lines",
            Self::Yaml => "yaml",
            Self::Toml => "toml",
            Self::Csv => "csv",
            Self::Notebook => "notebook",
            Self::Asciidoc => "asciidoc",
            Self::Latex => "latex",
            Self::Subtitles => "subtitles",
            Self::Pdf => "pdf",
            Self::Docx => "docx",
            Self::Pptx => "pptx",
            Self::Spreadsheet => "spreadsheet",
            Self::OpenDocument => "open_document",
            Self::Rtf => "rtf",
            Self::Doc => "doc",
            Self::Ppt => "ppt",
            Self::Epub => "epub",
            Self::Mail => "mail",
            Self::Mailbox => "mailbox",
            Self::OutlookMail => "outlook_mail",
            Self::Archive => "archive",
            Self::Media => "media",
        }
    }

    /// Whether its reader takes decoded text; the others take bytes, and mail takes either.
    pub(super) fn reads_text(self) -> bool {
        matches!(self, Self::Mail | Self::Mailbox) || !self.is_isolated()
    }

    /// Whether its reader takes the file's bytes as they are.
    pub(super) fn reads_bytes(self) -> bool {
        self.is_isolated()
    }

    /// Whether its reader is kept apart from everything else: formats whose readers are large, take files apart that
    /// unpack to far more than they are, or rest on foreign code that may crash.
    pub fn is_isolated(self) -> bool {
        matches!(
            self,
            Self::Pdf
                | Self::Docx
                | Self::Pptx
                | Self::Spreadsheet
                | Self::OpenDocument
                | Self::Rtf
                | Self::Doc
                | Self::Ppt
                | Self::Epub
                | Self::Mail
                | Self::Mailbox
                | Self::OutlookMail
                | Self::Archive
                | Self::Media
        )
    }
}

/// How much work one file may cause.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// Larger files are skipped.
    pub max_bytes: usize,
    /// Larger source files are cut at blank lines instead of being parsed.
    pub max_syntax_bytes: usize,
    /// Text beyond is left out, with a warning.
    pub max_text_bytes: usize,
    /// What a packed file may unpack to, all its parts and nested ones together.
    pub max_unpacked_bytes: u64,
    /// How many times its own size a packed file may unpack to, beyond its first mebibyte.
    pub max_unpacked_ratio: u64,
    /// Entries of one packed file.
    pub max_entries: usize,
    /// Packed files in packed files: the outermost counts as 1.
    pub max_depth: usize,
    /// Whether the files in zip, tar and gzip archives are read.
    pub archives: bool,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_bytes: 64 << 20,
            max_syntax_bytes: 1 << 20,
            max_text_bytes: 16 << 20,
            max_unpacked_bytes: 256 << 20,
            max_unpacked_ratio: 200,
            max_entries: 20_000,
            max_depth: 3,
            archives: false,
        }
    }
}
