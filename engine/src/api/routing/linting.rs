//! What is wrong with the registry, as far as one may see it.

use serde::Serialize;

use super::super::error::Result;
use super::super::session::Session;
use crate::access::Verb;
use crate::journal::Outcome;
use crate::route::{self, EntryKey, EntryKind, Lint};

pub use crate::route::Finding;

/// What is wrong with the entries that the asker may route to.
#[derive(Debug, Clone, PartialEq, Serialize, schemars::JsonSchema)]
#[non_exhaustive]
pub struct LintReply {
    /// How many entries were looked at.
    pub entries: usize,
    /// What is wrong.
    #[serde(flatten)]
    pub lint: Lint,
}

impl std::ops::Deref for LintReply {
    type Target = Lint;

    fn deref(&self) -> &Lint {
        &self.lint
    }
}

impl Session {
    /// Looks for collisions, dead and over-broad entries among those that this principal may route to.
    ///
    /// # Errors
    /// Where the catalog can't be read.
    pub fn lint_routes(&self) -> Result<LintReply> {
        let router = self.router(&EntryKind::ALL.into())?;
        self.record("route.lint", Verb::Read, "/", "", Outcome::Allowed, "scope")?;
        let reader = self.reader();
        let lint = route::lint(&router, &|text| reader.knows(text));
        Ok(LintReply { entries: router.entries().len(), lint })
    }

    /// What is wrong about one entry.
    pub(in crate::api) fn lint_entry(&self, key: &EntryKey) -> Result<Vec<Finding>> {
        let router = self.router(&EntryKind::ALL.into())?;
        let reader = self.reader();
        Ok(route::lint_of(&router, &key.1, &|text| reader.knows(text)))
    }
}
