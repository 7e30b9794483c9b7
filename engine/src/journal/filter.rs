//! Which events somebody wants.

use thiserror::Error;

use super::EventKind;
use crate::id::fold;
use crate::pattern::{Pattern, PatternError};

/// A filter that can't be one.
#[derive(Debug, Error, Clone, PartialEq, Eq)]
pub enum FilterError {
    /// See [`PatternError`].
    #[error(transparent)]
    Pattern(#[from] PatternError),
    /// Nothing of that kind ever happens.
    #[error("`{kind}` is no kind of event: expected some of {known}")]
    Kind {
        /// As it was given, cut to 40 characters.
        kind: String,
        /// What there is.
        known: String,
    },
}

/// Patterns over paths, and kinds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EventFilter {
    /// One of these paths; none: all.
    pub paths: Vec<Pattern>,
    /// One of these kinds, exact or a family such as `file.*`; none: all but `index.updated`, which is only for who names it.
    pub kinds: Vec<String>,
}

impl EventFilter {
    /// Checks patterns and names of kinds.
    ///
    /// # Errors
    /// [`FilterError`].
    pub fn new(paths: &[String], kinds: &[String]) -> Result<Self, FilterError> {
        let paths = paths.iter().map(|text| Pattern::path(text)).collect::<Result<_, _>>()?;
        let names = EventKind::ALL.map(EventKind::as_str);
        for kind in kinds {
            let is_known = match kind.strip_suffix('*') {
                Some("") => true,
                Some(family) => family.ends_with('.') && names.iter().any(|name| name.starts_with(family)),
                None => names.contains(&kind.as_str()),
            };
            if !is_known {
                let kind = kind.chars().take(40).collect();
                return Err(FilterError::Kind { kind, known: names.join(", ") });
            }
        }
        Ok(Self { paths, kinds: kinds.to_vec() })
    }

    /// Whether an event is wanted, by the kind and path under which it is shown.
    pub fn passes(&self, kind: &str, path: &str) -> bool {
        self.wants_kind(kind) && self.wants_path(&fold(path))
    }

    /// Whether an entry of the journal may be wanted; what it is shown as decides later. `folded`: its path.
    pub fn may_pass(&self, kind: &str, folded: &str) -> bool {
        // Of a move somebody may see one end only, and to them something came or went.
        let is_kind = self.wants_kind(kind) || (kind == "file.moved" && self.wants_kind("file.created"));
        is_kind && self.wants_path(folded)
    }

    fn wants_kind(&self, kind: &str) -> bool {
        let is_it = |wanted: &String| match wanted.strip_suffix('*') {
            Some(family) => kind.starts_with(family),
            None => kind == wanted,
        };
        match self.kinds.as_slice() {
            [] => kind != EventKind::IndexUpdated.as_str(),
            kinds => kinds.iter().any(is_it),
        }
    }

    fn wants_path(&self, folded: &str) -> bool {
        self.paths.is_empty() || self.paths.iter().any(|pattern| pattern.matches(folded))
    }
}
