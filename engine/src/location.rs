//! Where a passage stands, as a person would look it up: page, slide, sheet and cells, chapter, message.
//!
//! Takes spans of an extracted text with their [`Location`]s, gives the location of any part of it
//! ([`location_of`]). Formats without such places, such as Markdown, have none.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::span::Span;

/// A place in a file that people can turn to. In JSON its fields stand beside the byte span of a citation, those of a place
/// inside of another one beside them.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "LocationFields", into = "LocationFields")]
pub enum Location {
    /// Of a document with pages.
    Page {
        /// Counted from 1.
        page: u32,
    },
    /// Of a presentation; its notes belong to it.
    Slide {
        /// Counted from 1.
        slide: u32,
    },
    /// Of a spreadsheet.
    Sheet {
        /// Its name.
        sheet: String,
        /// The cells.
        range: CellRange,
    },
    /// Of a book.
    Chapter {
        /// Its title.
        chapter: String,
    },
    /// Of a mailbox or of a single mail.
    Message {
        /// Counted from 1.
        message: u32,
        /// What came with it, by the way to it; missing for the message itself.
        attachment: Option<String>,
        /// Where in that: a page, a slide, cells or a chapter.
        inner: Option<Box<Location>>,
    },
    /// Of an archive.
    Entry {
        /// Its path inside.
        entry: String,
        /// Where in that: anything but another entry.
        inner: Option<Box<Location>>,
    },
}

/// The fields that a [`Location`] may have, as they are read and written and as a schema shows them.
#[derive(Default, Serialize, Deserialize, schemars::JsonSchema)]
pub struct LocationFields {
    /// Of a document with pages, from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    page: Option<u32>,
    /// Of a presentation, from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    slide: Option<u32>,
    /// The name of a spreadsheet's sheet.
    #[serde(skip_serializing_if = "Option::is_none")]
    sheet: Option<String>,
    /// The cells of the sheet, such as `A2:F9`.
    #[serde(skip_serializing_if = "Option::is_none")]
    range: Option<String>,
    /// The title of a book's chapter.
    #[serde(skip_serializing_if = "Option::is_none")]
    chapter: Option<String>,
    /// Of a mailbox, from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<u32>,
    /// What came with the message.
    #[serde(skip_serializing_if = "Option::is_none")]
    attachment: Option<String>,
    /// The path of an archive's entry.
    #[serde(skip_serializing_if = "Option::is_none")]
    entry: Option<String>,
}

impl From<Location> for LocationFields {
    fn from(location: Location) -> Self {
        let mut fields = Self::default();
        let mut rest = Some(Box::new(location));
        while let Some(location) = rest.take() {
            match *location {
                Location::Page { page } => fields.page = Some(page),
                Location::Slide { slide } => fields.slide = Some(slide),
                Location::Sheet { sheet, range } => {
                    (fields.sheet, fields.range) = (Some(sheet), Some(range.to_string()));
                }
                Location::Chapter { chapter } => fields.chapter = Some(chapter),
                Location::Message { message, attachment, inner } => {
                    (fields.message, fields.attachment, rest) = (Some(message), attachment, inner);
                }
                Location::Entry { entry, inner } => (fields.entry, rest) = (Some(entry), inner),
            }
        }
        fields
    }
}

impl TryFrom<LocationFields> for Location {
    type Error = &'static str;

    fn try_from(fields: LocationFields) -> Result<Self, &'static str> {
        let range: Option<CellRange> = fields.range.and_then(|range| range.parse().ok());
        let sheet = || Some(Self::Sheet { sheet: fields.sheet?, range: range? });
        let page = fields.page.map(|page| Self::Page { page });
        let part = page.or_else(|| fields.slide.map(|slide| Self::Slide { slide })).or_else(sheet);
        let mut found = part.or_else(|| fields.chapter.map(|chapter| Self::Chapter { chapter }));
        if let Some(message) = fields.message {
            let (attachment, inner) = (fields.attachment, found.map(Box::new));
            found = Some(Self::Message { message, attachment, inner });
        }
        if let Some(entry) = fields.entry {
            found = Some(Self::Entry { entry, inner: found.map(Box::new) });
        }
        found.ok_or("expected `page`, `slide`, `sheet` with `range`, `chapter`, `message` or `entry`")
    }
}

impl Location {
    /// A place in what came with a message under this name: `forwarded.eml/list.txt` is the list that came with the mail that
    /// came with it, and what lies in an archive is named by its path there.
    pub fn in_attachment(message: u32, name: &str, inner: Option<&Self>) -> Self {
        let (below, inner) = inner.map(Self::way).unwrap_or_default();
        let attachment = Some(if below.is_empty() { name.to_owned() } else { format!("{name}/{below}") });
        Self::Message { message, attachment, inner }
    }

    /// A place in the entry of this path in an archive; the entries of one that lies there itself are named by the way to them.
    pub fn in_entry(path: &str, inner: Option<&Self>) -> Self {
        match inner {
            Some(Self::Entry { entry, inner }) => {
                Self::Entry { entry: format!("{path}/{entry}"), inner: inner.clone() }
            }
            inner => Self::Entry { entry: path.to_owned(), inner: inner.cloned().map(Box::new) },
        }
    }

    /// The files that lie in each other, as a path, and the place in the innermost of them.
    fn way(&self) -> (String, Option<Box<Self>>) {
        match self {
            Self::Message { attachment: None, .. } => (String::new(), None),
            Self::Message { attachment: Some(path), inner, .. } => (path.clone(), inner.clone()),
            Self::Entry { entry, inner } => {
                let (below, inner) = inner.as_deref().map(Self::way).unwrap_or_default();
                (if below.is_empty() { entry.clone() } else { format!("{entry}/{below}") }, inner)
            }
            part => (String::new(), Some(Box::new(part.clone()))),
        }
    }

    /// Whether both are one page, slide, sheet, chapter …: a chunk stays inside of one.
    pub fn is_same_unit(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Sheet { sheet, .. }, Self::Sheet { sheet: other, .. }) => sheet == other,
            (
                Self::Message { message, attachment, inner: Some(inner) },
                Self::Message { message: other, attachment: same, inner: Some(more) },
            ) => message == other && attachment == same && inner.is_same_unit(more),
            (Self::Entry { entry, inner: Some(inner) }, Self::Entry { entry: other, inner: Some(more) }) => {
                entry == other && inner.is_same_unit(more)
            }
            _ => self == other,
        }
    }

    /// Takes the other one in: of one sheet the cells around both, else nothing changes.
    fn take_in(&mut self, other: &Self) {
        if !self.is_same_unit(other) {
            return;
        }
        match (self, other) {
            (Self::Sheet { range, .. }, Self::Sheet { range: more, .. }) => *range = range.around(more),
            (Self::Message { inner: Some(inner), .. }, Self::Message { inner: Some(more), .. })
            | (Self::Entry { inner: Some(inner), .. }, Self::Entry { inner: Some(more), .. }) => {
                inner.take_in(more);
            }
            _ => {}
        }
    }
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Page { page } => write!(f, "page {page}"),
            Self::Slide { slide } => write!(f, "slide {slide}"),
            Self::Sheet { sheet, range } => write!(f, "sheet {sheet}, {range}"),
            Self::Chapter { chapter } => write!(f, "chapter {chapter}"),
            Self::Message { message, attachment, inner } => {
                write!(f, "message {message}")?;
                attachment.iter().try_for_each(|name| write!(f, ", {name}"))?;
                inner.iter().try_for_each(|inner| write!(f, ", {inner}"))
            }
            Self::Entry { entry, inner } => {
                write!(f, "entry {entry}")?;
                inner.iter().try_for_each(|inner| write!(f, ", {inner}"))
            }
        }
    }
}

/// A rectangle of cells, both corners included; written as `B2:D9`, or `B2` where it is one cell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct CellRange {
    /// Row and column of the upper left corner, from 0.
    pub first: (u32, u32),
    /// Row and column of the lower right corner, from 0.
    pub last: (u32, u32),
}

impl CellRange {
    /// The smallest rectangle that holds both.
    pub fn around(&self, other: &Self) -> Self {
        Self {
            first: (self.first.0.min(other.first.0), self.first.1.min(other.first.1)),
            last: (self.last.0.max(other.last.0), self.last.1.max(other.last.1)),
        }
    }
}

impl fmt::Display for CellRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_cell(f, self.first)?;
        if self.first == self.last {
            return Ok(());
        }
        f.write_str(":")?;
        write_cell(f, self.last)
    }
}

fn write_cell(f: &mut fmt::Formatter<'_>, (row, column): (u32, u32)) -> fmt::Result {
    let (mut letters, mut rest) = (Vec::new(), u64::from(column) + 1);
    while rest > 0 {
        letters.push(char::from(b'A' + ((rest - 1) % 26) as u8));
        rest = (rest - 1) / 26;
    }
    letters.iter().rev().try_for_each(|letter| write!(f, "{letter}"))?;
    write!(f, "{}", u64::from(row) + 1)
}

/// A text that is no range of cells.
#[derive(Debug, thiserror::Error)]
#[error("`{0}` is no range of cells; expected one such as `B2:D9`")]
pub struct NotARange(String);

impl FromStr for CellRange {
    type Err = NotARange;

    fn from_str(text: &str) -> Result<Self, NotARange> {
        let (first, last) = text.split_once(':').unwrap_or((text, text));
        let cells = read_cell(first).zip(read_cell(last));
        let (first, last) = cells.ok_or_else(|| NotARange(text.chars().take(40).collect()))?;
        Ok(Self { first, last })
    }
}

fn read_cell(text: &str) -> Option<(u32, u32)> {
    let digits = text.find(|ch: char| ch.is_ascii_digit())?;
    let (letters, digits) = text.split_at(digits);
    let column = letters.bytes().try_fold(0_u32, |sum, letter| {
        let value = letter.is_ascii_uppercase().then(|| u32::from(letter - b'A') + 1)?;
        sum.checked_mul(26)?.checked_add(value)
    });
    Some((digits.parse::<u32>().ok()?.checked_sub(1)?, column?.checked_sub(1)?))
}

impl Serialize for CellRange {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for CellRange {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// A part of an extracted text with its place in the file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Located {
    /// In the extracted text.
    pub span: Span,
    /// In the file.
    pub location: Location,
}

/// Where a section of an extracted text begins.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Section {
    /// In the extracted text.
    pub start: usize,
    /// The headings over it, outermost first.
    pub headings: Vec<String>,
}

/// The location of `span`: of all that it touches together; `None` where the format has none. `located` is in order.
pub fn location_of(located: &[Located], span: Span) -> Option<Location> {
    let mut touched = touching(located, span).iter();
    let mut location = touched.next()?.location.clone();
    touched.for_each(|next| location.take_in(&next.location));
    Some(location)
}

/// The entries of `located` that share a byte with `span`. They are in order and do not overlap.
pub fn touching(located: &[Located], span: Span) -> &[Located] {
    let from = located.partition_point(|entry| entry.span.end <= span.start);
    let to = located.partition_point(|entry| entry.span.start < span.end);
    &located[from..to.max(from)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_written_as_spreadsheets_do() {
        for text in ["A1", "B2:D9", "Z1:AA1", "XFD1048576", "ZZ10:AAA11"] {
            assert_eq!(text.parse::<CellRange>().unwrap().to_string(), text);
        }
        for text in ["", "A", "1", "A0", "a1", "A1:", "ZZZZZZZZZZ1", "A99999999999"] {
            assert!(text.parse::<CellRange>().is_err(), "{text}");
        }
    }

    #[test]
    fn cells_of_one_sheet_are_taken_together() {
        let row = |start: usize, range: &str| Located {
            span: Span::new(start, start + 5),
            location: Location::Sheet { sheet: "S".into(), range: range.parse().unwrap() },
        };
        let rows = [row(0, "A1:C1"), row(5, "A2:B2"), row(10, "A3:D3")];
        let at = |start, end| location_of(&rows, Span::new(start, end)).map(|found| found.to_string());
        assert_eq!(at(6, 9).as_deref(), Some("sheet S, A2:B2"));
        assert_eq!(at(4, 11).as_deref(), Some("sheet S, A1:D3"));
        assert_eq!(at(15, 20), None);
    }

    #[test]
    fn json_carries_the_fields_alone() {
        let sheet = Location::Sheet { sheet: "A".into(), range: "B2:C3".parse().unwrap() };
        let mail = Location::in_attachment(2, "a.pdf", Some(&Location::Page { page: 3 }));
        let cases = [
            (Location::Page { page: 3 }, r#"{"page":3}"#),
            (Location::in_attachment(1, "a.txt", None), r#"{"message":1,"attachment":"a.txt"}"#),
            (Location::in_entry("a.xlsx", Some(&sheet)), r#"{"sheet":"A","range":"B2:C3","entry":"a.xlsx"}"#),
            (
                Location::in_entry("a.eml", Some(&mail)),
                r#"{"page":3,"message":2,"attachment":"a.pdf","entry":"a.eml"}"#,
            ),
            (
                Location::in_attachment(1, "a.zip", Some(&Location::in_entry("a.eml", Some(&mail)))),
                r#"{"page":3,"message":1,"attachment":"a.zip/a.eml/a.pdf"}"#,
            ),
            (
                Location::Sheet { sheet: "A".into(), range: "B2".parse().unwrap() },
                r#"{"sheet":"A","range":"B2"}"#,
            ),
        ];
        for (location, json) in cases {
            assert_eq!(serde_json::to_string(&location).unwrap(), json);
            assert_eq!(serde_json::from_str::<Location>(json).unwrap(), location);
        }
        for json in ["{}", r#"{"sheet":"A"}"#, r#"{"sheet":"A","range":"?"}"#, r#"{"attachment":"a.pdf"}"#] {
            assert!(serde_json::from_str::<Location>(json).is_err(), "{json}");
        }
    }

    #[test]
    fn a_place_in_a_file_that_came_in_another_one_is_told_with_the_way_to_it() {
        let row = |range: &str| Location::Sheet { sheet: "S".into(), range: range.parse().unwrap() };
        let located: Vec<Located> = ["A1:B1", "A2:C2"]
            .iter()
            .zip([0, 5])
            .map(|(range, start)| Located {
                span: Span::new(start, start + 5),
                location: Location::in_attachment(1, "a.xlsx", Some(&row(range))),
            })
            .collect();
        assert!(located[0].location.is_same_unit(&located[1].location));
        let whole = location_of(&located, Span::new(0, 10)).unwrap();
        assert_eq!(whole.to_string(), "message 1, a.xlsx, sheet S, A1:C2");
        let other = Location::in_attachment(1, "b.xlsx", Some(&row("A1")));
        assert!(!located[0].location.is_same_unit(&other));
        let deep = Location::in_entry(
            "a.zip",
            Some(&Location::in_entry("b/a.pdf", Some(&Location::Page { page: 2 }))),
        );
        assert_eq!(deep.to_string(), "entry a.zip/b/a.pdf, page 2");
    }
}
