use std::path::PathBuf;

use thiserror::Error;

/// What can go wrong with the catalog.
#[derive(Debug, Error)]
pub enum CatalogError {
    /// SQLite refused; the disk may be full or the file damaged. `waypost check` tells more, and a backup helps where the
    /// file is damaged.
    #[error("{}", refusal(.0))]
    Sqlite(#[from] rusqlite::Error),
    /// A cache can't be used; it may be deleted.
    #[error("the cache `{path}` can't be read or written: {source}; it may be deleted")]
    Cache {
        /// Its file.
        path: PathBuf,
        /// Why.
        source: rusqlite::Error,
    },
    /// A damaged cache can't be renamed: delete it.
    #[error("the cache `{path}` is damaged and can't be set aside: {source}; delete it")]
    Aside {
        /// Its file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
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
        match self {
            Self::Sqlite(error) | Self::Cache { source: error, .. } => {
                error.sqlite_error_code() == Some(rusqlite::ErrorCode::DiskFull)
            }
            Self::Sync { source } => source.kind() == std::io::ErrorKind::StorageFull,
            _ => false,
        }
    }
}

/// Whether a file holds no SQLite database, or a broken one.
pub(super) fn is_damaged(error: &rusqlite::Error) -> bool {
    use rusqlite::ErrorCode::{DatabaseCorrupt, NotADatabase};
    matches!(error.sqlite_error_code(), Some(DatabaseCorrupt | NotADatabase))
}

fn refusal(error: &rusqlite::Error) -> String {
    if is_damaged(error) {
        return format!(
            "`.waypost/catalog.db` is damaged: {error}; bring a backup back with `waypost restore`"
        );
    }
    format!("the catalog can't be read or written: {error}; run `waypost check`")
}
