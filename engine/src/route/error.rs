use thiserror::Error;

use crate::catalog::CatalogError;
use crate::embed::EmbedError;

/// Why nothing can be routed, or nothing kept about it.
#[derive(Debug, Error)]
pub enum RouteError {
    /// See [`CatalogError`].
    #[error(transparent)]
    Catalog(#[from] CatalogError),
    /// See [`EmbedError`].
    #[error(transparent)]
    Embed(#[from] EmbedError),
}
