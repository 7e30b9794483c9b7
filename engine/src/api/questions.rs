//! The vectors of what was asked lately: who pages on, narrows a search or asks again need not wait for the model.

use std::num::NonZeroUsize;
use std::sync::{Mutex, PoisonError};

use lru::LruCache;

use crate::search::QueryVector;

/// Questions kept, of all principals together: 1.5 MiB of vectors of 384 numbers.
const MAX_KEPT: NonZeroUsize = NonZeroUsize::new(1024).expect("more than 0");

/// Kept for each principal alone: how long an answer takes must not tell what others have asked.
pub struct Questions {
    kept: Mutex<LruCache<[u8; 32], QueryVector>>,
}

impl Default for Questions {
    fn default() -> Self {
        Self { kept: Mutex::new(LruCache::new(MAX_KEPT)) }
    }
}

impl Questions {
    /// The vector of a text that this principal has asked before.
    pub fn vector(&self, principal: &str, text: &str) -> Option<QueryVector> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner).get(&name(principal, text)).cloned()
    }

    /// Keeps a vector; the one that was asked for the longest time ago makes room.
    pub fn keep(&self, principal: &str, text: &str, vector: &QueryVector) {
        let name = name(principal, text);
        self.kept.lock().unwrap_or_else(PoisonError::into_inner).put(name, vector.clone());
    }
}

fn name(principal: &str, text: &str) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&(principal.len() as u64).to_le_bytes()).update(principal.as_bytes());
    *hasher.update(text.as_bytes()).finalize().as_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_question_is_remembered_for_whoever_asked_it() {
        let questions = Questions::default();
        let tides = QueryVector { values: vec![1.0, 2.0], pieces_per_word: 1.5 };
        questions.keep("agent:a", "tides", &tides);
        assert_eq!(questions.vector("agent:a", "tides").as_ref(), Some(&tides));
        assert_eq!(questions.vector("agent:b", "tides"), None);
        assert_eq!(questions.vector("agent:", "atides"), None, "the two are not run together");
        (0..MAX_KEPT.get()).for_each(|n| questions.keep("agent:a", &n.to_string(), &tides));
        assert_eq!(questions.vector("agent:a", "tides"), None, "the oldest one makes room");
    }
}
