use std::fmt;

use thiserror::Error;

use super::plan::Period;
use super::priority::Priority;
use super::usage::Unit;
use crate::catalog::CatalogError;
use crate::clock::rfc3339;
use crate::pattern::PatternError;

/// What can go wrong with budgets.
#[derive(Debug, Error)]
pub enum BudgetError {
    /// There is no room left. Wait until it resets, ask for less, or have its limit raised.
    #[error(transparent)]
    Exceeded(Box<Exceeded>),
    /// A value of a budget or of a report that makes no sense.
    #[error("`{field}` is {found}: expected {expected}")]
    Invalid {
        /// Which value.
        field: &'static str,
        /// As far as it can be shown.
        found: String,
        /// What would do.
        expected: String,
    },
    /// Nothing of that id, or nothing that binds who asks.
    #[error("there is no budget `{id}`")]
    NotFound {
        /// As it was asked for.
        id: String,
    },
    /// As many as there may be. Remove one.
    #[error("there are {max} budgets already, and no more are kept")]
    TooMany {
        /// How many.
        max: usize,
    },
    /// See [`PatternError`].
    #[error(transparent)]
    Pattern(#[from] PatternError),
    /// See [`CatalogError`].
    #[error(transparent)]
    Catalog(#[from] CatalogError),
}

impl BudgetError {
    pub(crate) fn invalid(field: &'static str, found: &str, expected: impl Into<String>) -> Self {
        let found = format!("`{}`", found.chars().take(80).collect::<String>());
        Self::Invalid { field, found, expected: expected.into() }
    }
}

/// Which budget has no room, and when it has again. It always binds who is told of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exceeded {
    /// `bg_…`.
    pub budget: String,
    /// A principal, a group, or `*`.
    pub holder: String,
    /// What it is counted over.
    pub period: Period,
    /// What there is too little of.
    pub unit: Unit,
    /// Its limit.
    pub limit: u64,
    /// What of the limit the priority may use.
    pub usable: u64,
    /// Of the charge.
    pub priority: Priority,
    /// What was spent.
    pub used: u64,
    /// What others are about to spend.
    pub reserved: u64,
    /// What is left of `usable`.
    pub left: u64,
    /// What this takes.
    pub needed: u64,
    /// When it begins anew, in milliseconds since 1970; `None`: never.
    pub resets_ms: Option<i64>,
    /// Whether this is the first refusal of the budget's period.
    pub is_first: bool,
}

impl fmt::Display for Exceeded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let show = |amount| self.unit.show(amount);
        let (unit, period) = (self.unit.as_str(), self.period.as_str());
        write!(f, "budget `{}` of {} has too few {unit} left in this {period}: ", self.budget, self.holder)?;
        write!(f, "limit {}, used {}, reserved {}", show(self.limit), show(self.used), show(self.reserved))?;
        if self.usable < self.limit {
            write!(f, ", {} priority may use {} of it", self.priority.as_str(), show(self.usable))?;
        }
        write!(f, ", left {}, this takes {}", show(self.left), show(self.needed))?;
        match self.resets_ms {
            Some(resets_ms) => write!(f, "; it resets at {}", rfc3339(resets_ms)),
            None => write!(f, "; it never resets"),
        }
    }
}

impl std::error::Error for Exceeded {}
