//! Why a file is not indexed.

/// Why a file gives no text. None of these is a failure of the engine: the file stays stored and readable.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
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
        }
    }
}
