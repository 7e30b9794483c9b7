use thiserror::Error;

use crate::catalog::CatalogError;

/// Why a handover does not happen.
#[derive(Debug, Error)]
pub enum TraceError {
    /// Agents go in circles. A person decides whether the trace goes on; ending it here is always legal.
    #[error("trace `{trace}` goes in circles: {reason}")]
    Loop {
        /// Which.
        trace: String,
        /// What was seen.
        reason: String,
        /// What a person decides; `None` where one decided against it, for good.
        approval: Option<String>,
    },
    /// The chain of handovers is as long as it may get. Answer with what there is.
    #[error("trace `{trace}` has {max} {what} already, and no more are allowed")]
    HopLimit {
        /// Which.
        trace: String,
        /// How many are allowed.
        max: u32,
        /// Of what: `handovers in a row`, or `handovers` in all.
        what: &'static str,
    },
    /// See [`CatalogError`].
    #[error(transparent)]
    Catalog(#[from] CatalogError),
}
