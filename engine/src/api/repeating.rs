//! Requests that are repeated under a key of their own.

use super::error::Result;
use super::session::Session;
use crate::journal::{self, KeptReply};

impl Session {
    /// What was answered to a request of this principal under a key, in the last 24 hours.
    ///
    /// # Errors
    /// Where the catalog can't be read.
    pub fn kept_reply(&self, key: &str) -> Result<Option<KeptReply>> {
        Ok(journal::kept_reply(&self.engine.catalog, &self.actor.principal, key, self.now_ms())?)
    }

    /// Keeps an answer under a key, durably once this returns. The act itself was durable before: a crash in between
    /// leaves the act without its answer.
    ///
    /// # Errors
    /// Where the catalog can't be written.
    pub fn keep_reply(&self, key: &str, reply: &KeptReply) -> Result<()> {
        let (principal, now_ms) = (&self.actor.principal, self.now_ms());
        self.engine.catalog.write(|tx| Ok(tx.keep_reply(principal, key, reply, now_ms)?))
    }
}
