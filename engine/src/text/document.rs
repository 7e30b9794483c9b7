//! What extraction gives: a text, and the blocks it consists of.

use crate::span::Span;

/// The text of one file and its structure.
///
/// The blocks are in order, do not overlap, are trimmed and never empty; every byte of `text` that is neither white
/// space nor a byte order mark lies in exactly one of them.
#[derive(Debug, Clone, PartialEq, Eq)]
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
    /// Whether `text` is the file's own bytes, so that spans are file offsets.
    pub verbatim: bool,
    /// What was lost or guessed, for people to read.
    pub warnings: Vec<String>,
}

/// A paragraph, list item, table, function …: the smallest thing that chunks prefer to keep whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Block {
    /// Where it stands in the text.
    pub span: Span,
    /// The headings over it, outermost first. A heading's own path includes itself.
    pub headings: Vec<String>,
    /// What it is.
    pub kind: BlockKind,
}

/// What a block is; decides where it may be cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
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
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
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
        }
    }
}

/// How much work one file may cause.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Larger files are skipped.
    pub max_bytes: usize,
    /// Larger source files are cut at blank lines instead of being parsed.
    pub max_syntax_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { max_bytes: 64 << 20, max_syntax_bytes: 1 << 20 }
    }
}
