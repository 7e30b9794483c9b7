use thiserror::Error;

use crate::catalog::CatalogError;
use crate::change::ChangeError;
use crate::embed::EmbedError;
use crate::index::IndexError;
use crate::reader::ReaderError;
use crate::store::StoreError;

/// What can stop the indexing of a whole workspace; a single bad file never does.
#[derive(Debug, Error)]
pub enum IngestError {
    /// See [`CatalogError`].
    #[error(transparent)]
    Catalog(#[from] CatalogError),
    /// See [`ChangeError`].
    #[error(transparent)]
    Change(#[from] ChangeError),
    /// See [`StoreError`].
    #[error(transparent)]
    Store(#[from] StoreError),
    /// See [`IndexError`].
    #[error(transparent)]
    Index(#[from] IndexError),
    /// See [`ReaderError`].
    #[error(transparent)]
    Reader(#[from] ReaderError),
    /// See [`EmbedError`].
    #[error(transparent)]
    Embed(#[from] EmbedError),
    /// Somebody asked to stop; everything committed so far stays, the next run goes on from there.
    #[error("indexing was cancelled; the next run goes on from here")]
    Cancelled,
}
