use std::path::PathBuf;

use thiserror::Error;

use crate::catalog::CatalogError;
use crate::id::IdError;
use crate::index::IndexError;
use crate::ingest::IngestError;
use crate::search::SearchError;
use crate::store::StoreError;

/// Everything that the engine can refuse, for any surface.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum Error {
    /// A name or path that can't be one.
    #[error(transparent)]
    Id(#[from] IdError),
    /// Nothing there, or nothing that the asker may see: both answer alike.
    #[error("there is no {what} `{name}`")]
    NotFound {
        /// `workspace`, `file`, `folder` or `version`.
        what: &'static str,
        /// As it was asked for.
        name: String,
    },
    /// A value of a request that makes no sense.
    #[error("`{field}` is {found}: expected {expected}")]
    Invalid {
        /// Of the request.
        field: &'static str,
        /// As far as it can be shown.
        found: String,
        /// What would do.
        expected: String,
    },
    /// The token is unknown or revoked.
    #[error("the token is not known here, or was revoked")]
    Unauthorized,
    /// Another process works on this home.
    #[error("`{home}` is in use by another waypost process; end it, or talk to it with `--url`")]
    HomeInUse {
        /// The home.
        home: PathBuf,
    },
    /// The index has not read that far within the time that was given.
    #[error(
        "the index has not caught up with `{seq}` within {waited_ms} ms; ask again, or without `wait_for_seq`"
    )]
    IndexBehind {
        /// What was waited for.
        seq: String,
        /// How long.
        waited_ms: u64,
    },
    /// The folder can't be used as a home or as a workspace.
    #[error("can't use `{path}`: {source}")]
    Folder {
        /// Which folder.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// See [`CatalogError`].
    #[error(transparent)]
    Catalog(#[from] CatalogError),
    /// See [`StoreError`].
    #[error(transparent)]
    Store(#[from] StoreError),
    /// See [`IndexError`].
    #[error(transparent)]
    Index(#[from] IndexError),
    /// See [`IngestError`].
    #[error(transparent)]
    Ingest(#[from] IngestError),
    /// See [`SearchError`].
    #[error(transparent)]
    Search(#[from] SearchError),
}

/// The few kinds of error, from which each surface takes its status.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorKind {
    /// The request makes no sense.
    Invalid,
    /// Nothing there.
    NotFound,
    /// Who asks is not known.
    Unauthorized,
    /// Too much of something.
    Exhausted,
    /// Not now; trying again may help.
    Unavailable,
    /// Stored data is damaged.
    Corrupt,
    /// A defect of ours, or of the machine.
    Internal,
}

impl Error {
    /// The kind.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Id(_) | Self::Invalid { .. } => ErrorKind::Invalid,
            Self::NotFound { .. } => ErrorKind::NotFound,
            Self::Unauthorized => ErrorKind::Unauthorized,
            Self::HomeInUse { .. } | Self::IndexBehind { .. } => ErrorKind::Unavailable,
            Self::Store(StoreError::TooLarge { .. }) => ErrorKind::Exhausted,
            Self::Store(StoreError::DamagedBlob { .. }) | Self::Index(IndexError::Damaged { .. }) => {
                ErrorKind::Corrupt
            }
            Self::Folder { .. } => ErrorKind::Invalid,
            _ => ErrorKind::Internal,
        }
    }

    /// Stable, for programs; never reused for something else.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Id(_) => "invalid_path",
            Self::NotFound { .. } => "not_found",
            Self::Invalid { .. } => "invalid_request",
            Self::Unauthorized => "unauthorized",
            Self::HomeInUse { .. } => "home_in_use",
            Self::IndexBehind { .. } => "index_behind",
            Self::Folder { .. } => "invalid_folder",
            Self::Store(StoreError::TooLarge { .. }) => "too_large",
            Self::Store(StoreError::DamagedBlob { .. }) => "damaged_blob",
            Self::Index(IndexError::Damaged { .. }) => "damaged_index",
            Self::Ingest(IngestError::Cancelled) => "cancelled",
            _ => "internal",
        }
    }
}

/// What the api gives.
pub type Result<T> = std::result::Result<T, Error>;
