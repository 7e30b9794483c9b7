use std::path::PathBuf;

use thiserror::Error;

/// What can go wrong with an index. It is derived: `waypost reindex` makes a new one from the files.
#[derive(Debug, Error)]
pub enum IndexError {
    /// The engine below refused; a full disk is the usual reason.
    #[error("the index can't be read or written: {0}")]
    Engine(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// A file of the index is missing, cut or changed. It is rebuilt from the plain files.
    #[error("the index is damaged: `{file}` {what}")]
    Damaged {
        /// Name of the file inside the index.
        file: String,
        /// What is wrong with it.
        what: String,
    },
    /// The folder can't be made, read or removed.
    #[error("can't use `{path}` for the index: {source}")]
    Folder {
        /// The folder.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A vector of another length than the index was made for.
    #[error("a vector has {found} numbers, the index was made for {expected}")]
    Dimension {
        /// Of the index.
        expected: usize,
        /// Of the vector.
        found: usize,
    },
}
