use thiserror::Error;

use super::spec::ToolId;
use crate::catalog::CatalogError;

/// What can go wrong with the registry of tools.
#[derive(Debug, Error)]
pub enum RegistryError {
    /// A tool's id that can't be one.
    #[error(
        "`{found}` is no id of a tool: expected `tool` or `server.tool`, of a-z A-Z 0-9 . _ - (at most 128)"
    )]
    Id {
        /// As far as it can be shown.
        found: String,
    },
    /// What was said of a tool that is declared can't be taken.
    #[error("the tool `{tool}` can't be declared: {fault}")]
    Spec {
        /// Which.
        tool: ToolId,
        /// Why, for people.
        fault: String,
    },
    /// A row that this program did not write.
    #[error("the row of tool `{tool}` can't be read: {source}")]
    Row {
        /// Which.
        tool: String,
        /// Why.
        source: serde_json::Error,
    },
    /// See [`CatalogError`].
    #[error(transparent)]
    Catalog(#[from] CatalogError),
}

impl From<rusqlite::Error> for RegistryError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Catalog(error.into())
    }
}
