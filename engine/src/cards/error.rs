use thiserror::Error;

/// Why a card can't be taken.
#[derive(Debug, Error)]
pub enum CardError {
    /// A part of it makes no sense; whoever wrote the card can put it right.
    #[error("the card's `{field}` is {found}: expected {expected}")]
    Invalid {
        /// Which part, such as `capabilities[2].name`.
        field: String,
        /// As far as it can be shown.
        found: String,
        /// What would do.
        expected: &'static str,
    },
}
