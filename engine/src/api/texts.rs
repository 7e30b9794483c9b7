//! The text of a file, as the index reads it and citations count in it.

use serde::Serialize;

use super::error::{Error, Result};
use super::session::Session;
use crate::id::{VersionId, join_path, split_path};
use crate::location::{Located, Location, LocationFields, location_of};
use crate::span::{LineIndex, Span};
use crate::store::StoreError;
use crate::text::SkipReason;

/// What there is to read in a file. Bytes and lines of a citation of this version are those of `text`.
#[derive(Debug, Clone, PartialEq, Serialize, schemars::JsonSchema)]
pub struct FileText {
    /// `/<workspace>/<path>`.
    pub path: String,
    /// The bytes that were read.
    pub version: VersionId,
    /// By content.
    pub mime_type: String,
    /// How it was read: `markdown`, `html`, `pdf`, `spreadsheet` …
    pub kind: &'static str,
    /// Whether the text is the file's own bytes.
    pub verbatim: bool,
    /// What was lost or guessed, for people.
    pub notes: Vec<String>,
    /// Pages, slides, sheets, chapters …, in the text's order; empty for formats that have none.
    pub places: Vec<TextPlace>,
    /// The text.
    pub text: String,
}

/// A part of a text, with the place in the file that it was read from.
#[derive(Debug, Clone, PartialEq, Serialize, schemars::JsonSchema)]
pub struct TextPlace {
    /// First byte in the text.
    pub start_byte: usize,
    /// One past its last byte.
    pub end_byte: usize,
    /// First and last line in the text, from 1.
    pub lines: (u32, u32),
    /// As a citation names it; of a sheet all its cells together.
    #[serde(flatten)]
    #[schemars(with = "LocationFields")]
    pub location: Location,
}

impl Session {
    /// The text of a file: of today's bytes, of those of an older version, or of those of some time ago.
    ///
    /// # Errors
    /// As [`Self::read_file`]; [`StoreError::TooLarge`] for a file that is too large to be indexed, [`Error::NoText`] for one
    /// that gives no text.
    pub fn file_text(&self, path: &str, version: Option<&str>, as_of: Option<&str>) -> Result<FileText> {
        let file = self.read_within(path, version, as_of, self.engine.max_file_bytes)?;
        let (name, below) = split_path(path)?;
        let reading = self.engine.reader.read(file.version, below.file_name(), &file.bytes)?;
        let document = reading.map_err(|reason| refusal(path, reason))?;
        Ok(FileText {
            path: join_path(&name, &below),
            version: file.version,
            mime_type: document.mime_type,
            kind: document.kind.name(),
            verbatim: document.verbatim,
            notes: document.warnings,
            places: places(&document.text, &document.located),
            text: document.text,
        })
    }
}

fn refusal(path: &str, reason: SkipReason) -> Error {
    match reason {
        SkipReason::TooLarge { size, limit } => {
            StoreError::TooLarge { size_bytes: size as u64, limit_bytes: limit as u64 }.into()
        }
        reason => Error::NoText { path: path.to_owned(), reason },
    }
}

/// One for each page, slide, sheet …, for a large sheet has a location for each of its rows.
fn places(text: &str, located: &[Located]) -> Vec<TextPlace> {
    let lines = LineIndex::new(text);
    let place = |unit: &[Located]| {
        let span = Span::new(unit.first()?.span.start, unit.last()?.span.end);
        let location = location_of(unit, span)?;
        Some(TextPlace { start_byte: span.start, end_byte: span.end, lines: lines.lines(span), location })
    };
    located.chunk_by(|one, next| one.location.is_same_unit(&next.location)).filter_map(place).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_of_one_sheet_are_one_place_and_pages_are_their_own() {
        let row = |start: usize, range: &str| Located {
            span: Span::new(start, start + 4),
            location: Location::Sheet { sheet: "S".into(), range: range.parse().unwrap() },
        };
        let page = |start: usize, page: u32| Located {
            span: Span::new(start, start + 4),
            location: Location::Page { page },
        };
        let located = [row(0, "A1:B1"), row(5, "A2:C2"), page(10, 1), page(15, 2)];
        let found = places("a a\nb b b\nc\nd\ne f", &located);
        let shown: Vec<String> = found
            .iter()
            .map(|place| format!("{} {}..{}", place.location, place.start_byte, place.end_byte))
            .collect();
        assert_eq!(shown, ["sheet S, A1:C2 0..9", "page 1 10..14", "page 2 15..19"]);
        assert_eq!(found[0].lines, (1, 2));
    }
}
