//! Why a file is not indexed.

use serde::{Deserialize, Serialize};

/// Why a file gives no text. None of these is a failure of the engine: the file stays stored and readable. A file with one
/// that [is a failure](Self::is_failure) should have given text; it is tried again once the file or the extractor changes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
#[non_exhaustive]
pub enum SkipReason {
    /// Nothing, or only white space.
    #[error("the file holds no text")]
    Empty,
    /// Bytes of no known type that are not text.
    #[error("the file is binary and of no known type")]
    Binary,
    /// The operator can raise the limit.
    #[error("the file has {size} bytes, more than the limit of {limit}")]
    TooLarge {
        /// The file's bytes.
        size: usize,
        /// [`Limits::max_bytes`](super::Limits::max_bytes).
        limit: usize,
    },
    /// A known type that nothing here reads.
    #[error("files of type `{mime_type}` cannot be read as text")]
    UnsupportedType {
        /// The type found.
        mime_type: String,
    },
    /// It looks like text, but no encoding gives readable characters.
    #[error("the file is not readable text in any known encoding, `{encoding}` came closest")]
    Undecodable {
        /// The best guess.
        encoding: String,
    },
    /// It needs a password.
    #[error("the file is encrypted and can't be read without its password")]
    Encrypted,
    /// Pictures of pages, which would have to be recognised first.
    #[error("none of its {pages} pages holds text, perhaps a scan")]
    Scanned {
        /// How many.
        pages: usize,
    },
    /// The operator can allow archives.
    #[error("archives of type `{mime_type}` are not opened unless the setting `archives` allows it")]
    ArchiveNotAllowed {
        /// The type found.
        mime_type: String,
    },
    /// Its reader could not make sense of it.
    #[error("the file is damaged, or is not what it seems: {detail}")]
    Damaged {
        /// What the reader said.
        detail: String,
    },
    /// It unpacks to more than is allowed.
    #[error("the file unpacks to too much: {detail}")]
    Explodes {
        /// Which limit, and how far it went.
        detail: String,
    },
    /// Its reader broke down; nothing else was harmed.
    #[error("the reader of this format broke down over the file: {detail}")]
    Crashed {
        /// How it ended.
        detail: String,
    },
    /// Its reader did not come to an end.
    #[error("reading the file took longer than {seconds} s")]
    TimedOut {
        /// The limit.
        seconds: u64,
    },
}

impl SkipReason {
    /// A stable snake_case code.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Empty => "empty",
            Self::Binary => "binary",
            Self::TooLarge { .. } => "too_large",
            Self::UnsupportedType { .. } => "unsupported_type",
            Self::Undecodable { .. } => "undecodable",
            Self::Encrypted => "encrypted",
            Self::Scanned { .. } => "scanned",
            Self::ArchiveNotAllowed { .. } => "archive_not_allowed",
            Self::Damaged { .. } => "damaged",
            Self::Explodes { .. } => "explodes",
            Self::Crashed { .. } => "crashed",
            Self::TimedOut { .. } => "timed_out",
        }
    }

    /// Whether a file with this [`code`](Self::code) should have given text, and did not.
    pub fn is_failure(code: &str) -> bool {
        matches!(code, "damaged" | "explodes" | "crashed" | "timed_out" | "unreadable")
    }

    /// A file that its reader could not follow; the detail is shortened to what a person reads.
    pub(super) fn damaged(detail: impl std::fmt::Display) -> Self {
        Self::Damaged { detail: super::outline::shortened(&detail.to_string(), 200) }
    }
}
