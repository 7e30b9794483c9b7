//! What becomes of a new note, from what is known like it and what its writer wants done then.

use std::sync::Arc;

use super::replies::{OnConflict, SimilarNote};
use super::shelf::KeptNote;
use crate::id::{RelPath, VersionId};
use crate::memory::{Likeness, NoteHead};

/// A note that is like the new one.
pub(super) struct Like {
    pub told: SimilarNote,
    pub path: RelPath,
    pub version: VersionId,
    pub note: Arc<KeptNote>,
    /// In the memory that is written.
    pub is_own: bool,
    /// It says the new one word for word.
    pub is_said: bool,
    /// It is the new one, but for case, spacing and punctuation.
    pub is_same: bool,
}

/// What becomes of a new note.
pub(super) enum Course {
    /// Nothing is written: this one of the similar notes is told instead.
    Known { at: usize, status: &'static str },
    /// This one of the similar notes is written again, to last longer.
    Renew { at: usize },
    /// It is written, in the place of a note where there is one.
    Write { replaced: Option<(RelPath, VersionId)>, status: &'static str },
}

/// Decides what becomes of a new note that lasts until `expires_ms`. It is left unwritten only where nothing is lost by that: a note
/// that is said already, by one that lasts as long; all else is for its writer to judge.
pub(super) fn course(
    policy: OnConflict,
    like: &[Like],
    replaced: Option<(RelPath, VersionId)>,
    expires_ms: Option<i64>,
) -> Course {
    let first = |likeness: Likeness, own: bool| {
        like.iter().position(|like| like.told.kind == likeness && (like.is_own || !own))
    };
    let contradiction = first(Likeness::Contradiction, false);
    let duplicate = first(Likeness::Duplicate, true).filter(|_| replaced.is_none());
    if matches!(policy, OnConflict::Report | OnConflict::Reject) && replaced.is_none() {
        let known = |like: &Like| like.is_own && like.is_said && outlasts(&like.note.note.head, expires_ms);
        if let Some(at) = like.iter().position(known) {
            return Course::Known { at, status: "duplicate" };
        }
        if let Some(at) = like.iter().position(|like| like.is_own && like.is_same) {
            return Course::Renew { at };
        }
    }
    if policy == OnConflict::Reject {
        if let Some(at) = duplicate {
            return Course::Known { at, status: "duplicate" };
        }
        if let Some(at) = contradiction {
            return Course::Known { at, status: "contradiction" };
        }
    }
    let closest = first(Likeness::Contradiction, true).or(duplicate);
    let closest = closest.filter(|_| policy == OnConflict::Supersede).map(|at| &like[at]);
    let replaced = replaced.or_else(|| closest.map(|like| (like.path.clone(), like.version)));
    let status = match (&replaced, contradiction) {
        (Some(_), _) => "superseded",
        (None, Some(_)) => "contradiction",
        (None, None) => "kept",
    };
    Course::Write { replaced, status }
}

/// Whether a note lasts at least until another time, `None` being for ever.
pub(super) fn outlasts(head: &NoteHead, expires_ms: Option<i64>) -> bool {
    head.expires_ms.is_none_or(|own_ms| expires_ms.is_some_and(|expires_ms| expires_ms <= own_ms))
}

/// The head of a note that is written again: what the new one does not say stays as it was.
pub(super) fn renewed(new: NoteHead, old: &NoteHead) -> NoteHead {
    let either = |new: Vec<String>, old: &Vec<String>| if new.is_empty() { old.clone() } else { new };
    NoteHead {
        topic: old.topic.clone(),
        tags: either(new.tags, &old.tags),
        source: either(new.source, &old.source),
        thread: new.thread.or_else(|| old.thread.clone()),
        ..new
    }
}
