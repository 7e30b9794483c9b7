use std::path::PathBuf;

use thiserror::Error;

/// What can go wrong with the catalog.
#[derive(Debug, Error)]
pub enum CatalogError {
    /// SQLite refused; the disk may be full or the file damaged. `waypost check` tells more.
    #[error("the catalog can't be read or written: {0}; run `waypost check`")]
    Sqlite(#[from] rusqlite::Error),
    /// The disk did not confirm that a change is durable; it may be there or not after a loss of power.
    #[error("the catalog's log can't be synced: {source}; check the disk")]
    Sync {
        /// Why.
        source: std::io::Error,
    },
    /// The home was made by a newer Waypost: upgrade this one.
    #[error("the home's catalog has format {found}, this program knows up to {known}; use a newer waypost")]
    TooNew {
        /// The format on disk.
        found: u32,
        /// The newest format that this program reads.
        known: u32,
    },
    /// The home's folder can't be made or opened.
    #[error("can't use `{path}` as a home: {source}")]
    Home {
        /// The folder.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
}

impl CatalogError {
    /// Whether the disk has no room left.
    pub fn is_disk_full(&self) -> bool {
        matches!(self, Self::Sqlite(error) if error.sqlite_error_code() == Some(rusqlite::ErrorCode::DiskFull))
    }
}
