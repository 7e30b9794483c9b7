use thiserror::Error;

use crate::index::IndexError;

/// What can stop a search.
#[derive(Debug, Error)]
pub enum SearchError {
    /// See [`IndexError`].
    #[error(transparent)]
    Index(#[from] IndexError),
}
