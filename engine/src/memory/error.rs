use thiserror::Error;

/// What can't be remembered as it was given. Correct the request.
#[derive(Debug, Error, PartialEq, Eq)]
#[error("`{field}` is {found}: expected {expected}")]
pub struct MemoryError {
    /// Of the request.
    pub field: &'static str,
    /// As far as it can be shown.
    pub found: String,
    /// What would do.
    pub expected: &'static str,
}

impl MemoryError {
    pub(super) fn new(field: &'static str, found: &str, expected: &'static str) -> Self {
        let found = format!("`{}`", found.chars().take(60).collect::<String>());
        Self { field, found, expected }
    }
}
