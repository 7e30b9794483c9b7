//! Entries with their documents made ready: vectors, words.

use super::{Entry, Role};
use crate::embed::Features;
use crate::index;

/// A document of an entry.
#[derive(Debug, Clone, PartialEq)]
pub struct Spoken {
    /// What it says of its entry.
    pub role: Role,
    /// The text itself.
    pub text: String,
    /// `None` without a model.
    pub features: Option<Features>,
    /// As they are indexed, in order.
    pub words: Vec<String>,
    /// Who taught it; `None` for what the entry says of itself.
    pub taught_by: Option<String>,
}

/// An entry in one of its forms, with its documents.
#[derive(Debug, Clone, PartialEq)]
pub struct Embedded {
    /// Of the form.
    pub revision: i64,
    /// The form.
    pub entry: Entry,
    /// In the order of [`Entry::documents`].
    pub documents: Vec<Spoken>,
}

impl Embedded {
    /// With words and without vectors, which whoever has a model sets.
    pub fn new(revision: i64, entry: Entry) -> Self {
        let spoken = entry.documents().into_iter().map(|document| Spoken {
            role: document.role,
            words: words(&document.text),
            text: document.text,
            features: None,
            taught_by: document.taught_by,
        });
        let documents = spoken.collect();
        Self { revision, entry, documents }
    }
}

/// What somebody wants done, made ready.
#[derive(Debug, Clone, PartialEq)]
pub struct Intent {
    /// In a sentence.
    pub text: String,
    /// `None` without a model.
    pub features: Option<Features>,
    /// As they are indexed, in order.
    pub words: Vec<String>,
}

impl Intent {
    /// With words, and with a vector where there is a model.
    pub fn new(text: &str, features: Option<Features>) -> Self {
        Self { words: words(text), text: text.to_owned(), features }
    }
}

fn words(text: &str) -> Vec<String> {
    index::terms(text).into_iter().filter(|term| !term.whole).map(|term| term.text).collect()
}
