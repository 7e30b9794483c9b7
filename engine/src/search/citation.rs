//! Takes a place in a document, gives a citation that anybody can check later, byte for byte.

use serde::{Deserialize, Serialize};

use crate::id::VersionId;
use crate::location::{Located, Location, LocationFields, location_of};
use crate::span::{LineIndex, Span};

/// Enough to read a passage again and to prove that it says what is claimed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Citation {
    /// Name of the workspace.
    #[serde(default)]
    pub workspace: String,
    /// `/<workspace>/<path>`.
    pub path: String,
    /// The bytes that were read.
    pub version: VersionId,
    /// First byte of the quote in the extracted text of that version.
    pub start_byte: usize,
    /// One past its last byte.
    pub end_byte: usize,
    /// First and last line of the quote, from 1.
    #[serde(default)]
    pub lines: Option<(u32, u32)>,
    /// `page`, `slide`, `sheet` with `range`, `chapter`, `message` or `entry`, where the format has such places.
    #[serde(flatten)]
    #[schemars(with = "LocationFields")]
    pub location: Option<Location>,
    /// Headings above the quote, outermost first.
    #[serde(default)]
    pub headings: Vec<String>,
    /// The text under the span.
    #[serde(default)]
    pub quote: String,
    /// Where the bytes were imported from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source_url: Option<String>,
    /// RFC 3339: when.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fetched_at: Option<String>,
}

/// What became of a citation.
#[derive(Debug, Clone, PartialEq, Serialize, schemars::JsonSchema)]
#[serde(tag = "status", rename_all = "snake_case")]
pub enum Verdict {
    /// The bytes of that version say it, and it is the newest.
    Valid,
    /// The bytes of that version say it, and the file has moved on; `now` is where the text stands today.
    Stale {
        /// Today's place, where the quote is still in the file.
        now: Option<Box<Citation>>,
    },
    /// The quote is not what that version says, or the version is not known here.
    Invalid {
        /// What was found instead.
        reason: String,
    },
}

impl Citation {
    /// Whether the quote is the text under the span.
    pub fn holds_in(&self, text: &str) -> bool {
        Span::new(self.start_byte, self.end_byte).of(text) == Some(self.quote.as_str())
            && self.start_byte <= self.end_byte
    }

    /// Where the quote stands in another version's text: of all places the one nearest to the old one.
    pub fn reanchor(&self, version: VersionId, text: &str, located: &[Located]) -> Option<Self> {
        if self.quote.is_empty() {
            return None;
        }
        let places = text.match_indices(&self.quote).map(|(at, _)| at);
        let start = places.min_by_key(|at| at.abs_diff(self.start_byte))?;
        let span = Span::new(start, start + self.quote.len());
        Some(Self {
            version,
            start_byte: span.start,
            end_byte: span.end,
            lines: Some(LineIndex::new(text).lines(span)),
            location: location_of(located, span),
            source_url: None,
            fetched_at: None,
            ..self.clone()
        })
    }
}
