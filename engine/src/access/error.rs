use thiserror::Error;

use crate::catalog::CatalogError;
use crate::pattern::PatternError;

/// What can go wrong with principals, tokens, grants and approvals.
#[derive(Debug, Error)]
pub enum AccessError {
    /// See [`PatternError`].
    #[error(transparent)]
    Pattern(#[from] PatternError),
    /// A value of a principal, token, grant or gate that makes no sense.
    #[error("`{field}` is {found}: expected {expected}")]
    Invalid {
        /// Which value.
        field: &'static str,
        /// As far as it can be shown.
        found: String,
        /// What would do.
        expected: String,
    },
    /// Nothing of that name.
    #[error("there is no {what} `{id}`")]
    NotFound {
        /// `principal`, `token`, `grant`, `gate` or `approval`.
        what: &'static str,
        /// As it was asked for.
        id: String,
    },
    /// Another one's id differs only in case, and both would share what is found by name: an inbox, a memory, rules.
    #[error(
        "{what} `{id}` differs only in case from `{other}`, which is there already: expected that one, or another name"
    )]
    NameConflict {
        /// `principal` or `group`.
        what: &'static str,
        /// As it was to be.
        id: String,
        /// Which is there.
        other: String,
    },
    /// A policy file that can't be read; the message has line and column.
    #[error("the policy can't be read: {0}")]
    Document(String),
    /// See [`CatalogError`].
    #[error(transparent)]
    Catalog(#[from] CatalogError),
}

impl AccessError {
    pub(crate) fn invalid(field: &'static str, found: &str, expected: impl Into<String>) -> Self {
        let found = format!("`{}`", found.chars().take(80).collect::<String>());
        Self::Invalid { field, found, expected: expected.into() }
    }
}

impl From<rusqlite::Error> for AccessError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Catalog(error.into())
    }
}
