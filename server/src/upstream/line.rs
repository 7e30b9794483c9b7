use std::sync::{Arc, PoisonError, RwLock};

use rmcp::RoleClient;
use rmcp::service::Peer;
use tokio::sync::Semaphore;

use super::handler::Listeners;

/// Calls to one server at once; the next one waits within its own time.
const MAX_CALLS: usize = 32;

/// The way to one server, while there is one.
pub struct Line {
    connected: RwLock<Option<Connected>>,
    /// For calls.
    pub places: Semaphore,
}

/// A server that answers.
#[derive(Clone)]
pub struct Connected {
    /// To it.
    pub peer: Peer<RoleClient>,
    /// Who waits for the progress of what.
    pub listeners: Arc<Listeners>,
}

impl Default for Line {
    fn default() -> Self {
        Self { connected: RwLock::default(), places: Semaphore::new(MAX_CALLS) }
    }
}

impl Line {
    /// Whom to ask.
    pub fn connected(&self) -> Option<Connected> {
        self.connected.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Opens or closes the way.
    pub fn set(&self, connected: Option<Connected>) {
        *self.connected.write().unwrap_or_else(PoisonError::into_inner) = connected;
    }

    /// Whether nobody calls just now.
    pub fn is_quiet(&self) -> bool {
        self.places.available_permits() == MAX_CALLS
    }
}
