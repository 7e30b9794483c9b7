//! What can be said of an entry and an intent, to who may know some of the entry's texts and not others.

use super::book::{Intent, Spoken};
use super::router::Router;
use crate::index::dot_f32;

/// Words that are told of at most.
const MAX_SHARED: usize = 8;

/// What can be said of an entry and an intent to somebody who may not know all of its texts.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Told {
    /// Of the texts that may be known, the place of the one nearest to the intent, and its cosine.
    pub nearest: Option<(usize, f32)>,
    /// Whether another one is nearer.
    pub is_outdone: bool,
    /// Words that the texts that may be known share with the intent.
    pub shared_terms: Vec<String>,
}

impl Router {
    /// Of an entry's texts that speak for it and pass, the place of the one nearest to an intent, and its cosine; the first
    /// of equals; `None` without vectors.
    pub(super) fn nearest(
        &self,
        intent: &Intent,
        entry: usize,
        passes: &dyn Fn(&Spoken) -> bool,
    ) -> Option<(usize, f32)> {
        let vector = &intent.features.as_ref()?.embedding;
        let speaking = self.entries()[entry].documents.iter().enumerate();
        let speaking = speaking.filter(|(_, document)| document.role.speaks() && passes(document));
        let cosine = |document: &Spoken| Some(dot_f32(&document.features.as_ref()?.embedding, vector));
        let nearest = speaking.filter_map(|(at, document)| Some((at, cosine(document)?)));
        nearest.reduce(|best, next| if next.1 > best.1 { next } else { best })
    }

    /// What can be said of an entry and an intent to who may know the texts that pass. Which words tell something is decided
    /// by all of them.
    pub fn told(&self, intent: &Intent, entry: usize, passes: &dyn Fn(&Spoken) -> bool) -> Told {
        let nearest = self.nearest(intent, entry, passes);
        let mut shared_terms = self.shared_terms(intent, entry, passes);
        let is_outdone = match intent.features.is_some() {
            true => self.nearest(intent, entry, &|_| true) != nearest,
            false => self.shared_terms(intent, entry, &|_| true).len() > shared_terms.len(),
        };
        shared_terms.truncate(MAX_SHARED);
        Told { nearest, is_outdone, shared_terms }
    }

    fn shared_terms(&self, intent: &Intent, entry: usize, passes: &dyn Fn(&Spoken) -> bool) -> Vec<String> {
        let documents = self.entries()[entry].documents.iter();
        let known = documents.filter(|document| document.role.speaks() && passes(document));
        let mut own: Vec<&String> = known.flat_map(|document| &document.words).collect();
        own.sort_unstable();
        let mut shared_terms: Vec<String> = Vec::new();
        for word in &intent.words {
            let is_new = !shared_terms.contains(word) && self.words.is_telling(word);
            if is_new && own.binary_search(&word).is_ok() {
                shared_terms.push(word.clone());
            }
        }
        shared_terms
    }
}
