use thiserror::Error;

use crate::catalog::CatalogError;

/// Why a webhook can't be kept or an event not be brought.
#[derive(Debug, Error)]
pub enum DeliveryError {
    /// See [`CatalogError`].
    #[error(transparent)]
    Catalog(#[from] CatalogError),
    /// A secret that can't be one.
    #[error("the secret is none: expected `whsec_` and base64 of 24 to 64 bytes")]
    Secret,
    /// The secret before the last rotation signs still, and only one of before is kept. Wait, or end it on purpose.
    #[error(
        "the secret before the last rotation signs until {until}, as was promised: rotate after that, or with \
         `overlap_seconds` 0, which ends every older secret at once"
    )]
    Overlap {
        /// RFC 3339.
        until: String,
    },
    /// More than one principal may have.
    #[error("{owner} has {limit} webhooks already; remove one first")]
    TooMany {
        /// Whose.
        owner: String,
        /// At most.
        limit: usize,
    },
}

impl From<rusqlite::Error> for DeliveryError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Catalog(error.into())
    }
}
