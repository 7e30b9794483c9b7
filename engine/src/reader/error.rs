use std::path::PathBuf;

use crate::catalog::CatalogError;

/// What keeps files from being read at all; what a single file holds never does.
#[derive(Debug, thiserror::Error)]
pub enum ReaderError {
    /// The program of the workers is missing, or the machine has no room for another process: try again.
    #[error("no worker can be started by `{program}`: {source}")]
    Start {
        /// What was run.
        program: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// The cache of texts can't be used; it may be deleted.
    #[error(transparent)]
    Cache(#[from] CatalogError),
}
