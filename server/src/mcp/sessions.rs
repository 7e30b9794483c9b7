//! Binds each session of the protocol's older era to the token that opened it: rmcp itself takes any id from anybody
//! with a valid token.
//!
//! Noun: [`Bindings`]. A session of another token answers as one that does not exist.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use rmcp::transport::streamable_http_server::session::local::LocalSessionManager;

use crate::auth::TokenId;

/// Open sessions of one token at most.
const MAX_PER_TOKEN: usize = 256;

/// Which token opened which session.
pub struct Bindings {
    manager: Arc<LocalSessionManager>,
    owners: Mutex<HashMap<String, TokenId>>,
}

impl Bindings {
    /// For the sessions that `manager` keeps.
    pub fn new(manager: Arc<LocalSessionManager>) -> Self {
        Self { manager, owners: Mutex::new(HashMap::new()) }
    }

    /// Whether this token opened this session.
    pub fn belongs(&self, session: &str, token: &TokenId) -> bool {
        self.owners.lock().unwrap_or_else(PoisonError::into_inner).get(session) == Some(token)
    }

    /// Notes a session that was just opened.
    pub fn bind(&self, session: &str, token: TokenId) {
        self.owners.lock().unwrap_or_else(PoisonError::into_inner).insert(session.to_owned(), token);
    }

    /// Whether the token may open a further session; forgets those that have ended.
    pub async fn has_room(&self, token: &TokenId) -> bool {
        let open = self.manager.sessions.read().await;
        let mut owners = self.owners.lock().unwrap_or_else(PoisonError::into_inner);
        owners.retain(|session, _| open.contains_key(session.as_str()));
        owners.values().filter(|owner| *owner == token).count() < MAX_PER_TOKEN
    }
}
