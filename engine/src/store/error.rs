use std::io;
use std::path::PathBuf;

use thiserror::Error;

use crate::catalog::CatalogError;

/// What can go wrong with files and blobs.
#[derive(Debug, Error)]
pub enum StoreError {
    /// The file system refused.
    #[error("can't {act} `{path}`: {source}")]
    Io {
        /// What was tried.
        act: &'static str,
        /// On what.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file is larger than the limit for files that are indexed.
    #[error("{size_bytes} bytes are more than the limit of {limit_bytes}; raise `max_file_bytes`")]
    TooLarge {
        /// Of the file.
        size_bytes: u64,
        /// From the settings.
        limit_bytes: u64,
    },
    /// Somebody moved the workspace's folder away, or put another one in its place, while it was open. It is opened anew: try
    /// again.
    #[error(
        "the workspace's folder was moved away or replaced; it is opened anew as soon as it is there: try again"
    )]
    Moved,
    /// A blob's bytes no longer have the hash that names it; restore it from a backup.
    #[error("blob `{version}` is damaged: its bytes hash to `{found}`")]
    DamagedBlob {
        /// Its name.
        version: crate::id::VersionId,
        /// What its bytes give.
        found: crate::id::VersionId,
    },
    /// Somebody's lease covers the path. Wait until it ends, or ask its holder.
    #[error("`{path}` is locked until {}", crate::clock::rfc3339(*until_ms))]
    LockHeld {
        /// As it was asked for.
        path: String,
        /// Milliseconds since 1970.
        until_ms: i64,
    },
    /// The lease ran out, or is another one's. Take a new one, read again, and write with its fence.
    #[error("`{lock}` holds no longer: the lease ran out, was given back, or covers another path")]
    LockExpired {
        /// The lock's id or fence.
        lock: String,
    },
    /// See [`CatalogError`].
    #[error(transparent)]
    Catalog(#[from] CatalogError),
}

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Catalog(error.into())
    }
}

impl StoreError {
    /// Wraps an error of the file system with what was tried on what.
    pub fn io(act: &'static str, path: impl Into<PathBuf>, source: io::Error) -> Self {
        Self::Io { act, path: path.into(), source }
    }
}
