//! Takes tokens that were shown a moment ago, gives whose they are without asking the disk.
//!
//! What is remembered holds until the token's end, until its use is to be noted again, or until any token is revoked: the catalog counts
//! those. Tokens are found by their SHA-256, so that a comparison tells nothing of a secret.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use super::tokens::{self, digest};
use super::{AccessError, Actor};
use crate::catalog::Catalog;

/// Tokens remembered at once; an actor is some hundred bytes.
const MAX_REMEMBERED: usize = 1024;

/// The tokens that were right.
#[derive(Debug, Default)]
pub struct Proven {
    seen: Mutex<HashMap<[u8; 32], Seen>>,
}

#[derive(Debug)]
struct Seen {
    actor: Actor,
    until_ms: i64,
    n_revocations: u64,
}

impl Proven {
    /// Whose token this is; `None` for one that was not proven lately, which says nothing of whether it is right.
    pub fn recall(&self, catalog: &Catalog, token: &str, now_ms: i64) -> Option<Actor> {
        let name = digest(token);
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let seen = seen.get(&name)?;
        let holds = now_ms < seen.until_ms && seen.n_revocations == catalog.n_revocations();
        holds.then(|| seen.actor.clone())
    }

    /// Whose token this is; `None` for one that is unknown, revoked or expired. Notes that it was used.
    ///
    /// # Errors
    /// [`AccessError::Catalog`].
    pub fn authenticate(
        &self,
        catalog: &Catalog,
        token: &str,
        now_ms: i64,
    ) -> Result<Option<Actor>, AccessError> {
        // Counted before the look: what is revoked in between is not remembered.
        let n_revocations = catalog.n_revocations();
        let Some((actor, until_ms)) = tokens::authenticate(catalog, token, now_ms)? else { return Ok(None) };
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if seen.len() >= MAX_REMEMBERED {
            seen.clear();
        }
        seen.insert(digest(token), Seen { actor: actor.clone(), until_ms, n_revocations });
        Ok(Some(actor))
    }
}
