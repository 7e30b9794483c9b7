//! Whose words about an entry somebody may know: what it says of itself is everybody's who may reach it; what it was taught
//! is its teacher's, and that of who manages the home.

use serde::{Deserialize, Serialize};

use super::super::session::Session;
use crate::route::Spoken;

/// For whom an answer is made. It is kept with a decision, so that it is told in the same words again.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Reader {
    principal: String,
    sees_all: bool,
}

impl Reader {
    /// Whether it may know a text.
    pub fn knows(&self, text: &Spoken) -> bool {
        self.sees_all || text.taught_by.as_ref().is_none_or(|teacher| *teacher == self.principal)
    }
}

impl Session {
    /// Who asks, as a reader.
    pub(super) fn reader(&self) -> Reader {
        Reader { principal: self.actor.principal.clone(), sees_all: self.is_admin() }
    }
}
