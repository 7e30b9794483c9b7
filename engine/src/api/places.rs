//! Places in the journal as they are handed out and read back: `seq`.
//!
//! Who reads everything sees the place itself, others its position among the changes that they may read, sealed. What one of
//! them was given means the same to another: an agent that is woken by somebody else's event waits for just that change.

use std::time::{Duration, Instant};

use super::error::{Error, Result};
use super::keys::read_bare;
use super::session::Session;
use super::visible::{Position, Visible};
use super::workspace::{Arm, OpenWorkspace};
use crate::access::{Scope, Verb};
use crate::id::Seq;
use crate::journal;

/// How long a query waits for `wait_for_seq`.
const PATIENCE: Duration = Duration::from_secs(10);

/// What stands in a `seq`.
enum Place {
    /// A place in the journal.
    Exact(Seq),
    /// A position among what the reader itself may see.
    Own(Position),
    /// When a change happened that somebody else was told of, in milliseconds since 1970: its position counts what they may see.
    Within(i64),
}

/// Which of the changes of one millisecond a [`Place::Within`] takes in.
#[derive(Clone, Copy)]
pub(super) enum Rounding {
    /// All of them: for who waits for a change, or asks how things stood after it.
    Up,
    /// None: for who goes on after a change, and would rather see one twice than miss one.
    Down,
}

impl Session {
    /// How a place in the journal is shown to this principal.
    pub(super) fn show_seq(&self, seq: Seq) -> Result<String> {
        let scope = self.scope(Verb::Read);
        let keys = &self.engine.keys;
        if scope.is_everything() {
            return Ok(keys.show_place(seq));
        }
        let position = self.with_journal(&scope, |visible| Ok(visible.position(seq)))?;
        Ok(keys.seal(&scope.name(), position))
    }

    /// Reads what [`Self::show_seq`] gave to anybody.
    pub(super) fn read_seq(&self, field: &'static str, text: &str, rounding: Rounding) -> Result<Seq> {
        let scope = self.scope(Verb::Read);
        let catalog = &self.engine.catalog;
        let position = match self.place(field, text, &scope)? {
            Place::Exact(seq) => return Ok(seq),
            Place::Own(position) => position,
            Place::Within(at_ms) => match rounding {
                Rounding::Up => Position { at_ms, nth: u32::MAX },
                Rounding::Down => Position { at_ms, nth: 0 },
            },
        };
        if scope.is_everything() {
            let until_ms = position.at_ms - i64::from(position.nth == 0);
            return Ok(journal::last_until(catalog, until_ms)?);
        }
        self.with_journal(&scope, |visible| Ok(visible.seq_of(position)))
    }

    /// The place of the last change up to an instant, in milliseconds since 1970, of those that may be read.
    pub(super) fn seq_at(&self, at_ms: i64) -> Result<Seq> {
        let scope = self.scope(Verb::Read);
        if scope.is_everything() {
            return Ok(journal::last_until(&self.engine.catalog, at_ms)?);
        }
        self.with_journal(&scope, |visible| Ok(visible.seq_of(Position { at_ms, nth: u32::MAX })))
    }

    /// When the change at a place happened, in milliseconds since 1970; `None` where nothing is left that tells.
    pub(super) fn time_of_seq(&self, field: &'static str, text: &str) -> Result<Option<i64>> {
        Ok(match self.place(field, text, &self.scope(Verb::Read))? {
            Place::Exact(seq) => journal::time_of(&self.engine.catalog, seq)?,
            Place::Own(position) => Some(position.at_ms),
            Place::Within(at_ms) => Some(at_ms),
        })
    }

    fn place(&self, field: &'static str, text: &str, scope: &Scope) -> Result<Place> {
        let keys = &self.engine.keys;
        let exact = if scope.is_everything() {
            keys.read_place(text).or_else(|| read_bare(text))
        } else {
            keys.read_place(text)
        };
        let sealed = || {
            let (position, is_own) = keys.unseal(&scope.name(), text)?;
            Some(if is_own { Place::Own(position) } else { Place::Within(position.at_ms) })
        };
        exact.map(Place::Exact).or_else(sealed).ok_or_else(|| Error::Invalid {
            field,
            found: format!("`{}`", text.chars().take(60).collect::<String>()),
            expected: "a `seq` that a write, an event or an answer of this home gave".to_owned(),
        })
    }

    pub(super) fn with_journal<T>(
        &self,
        scope: &Scope,
        look: impl FnOnce(&Visible) -> Result<T>,
    ) -> Result<T> {
        self.with_visible(scope, |visible| {
            visible.read_journal(&self.engine.catalog, scope, &|id| self.engine.name_of(id))?;
            look(visible)
        })
    }

    /// Waits until one arm of a workspace's index has read up to a place in the journal.
    pub(super) fn wait(&self, workspace: &OpenWorkspace, seq: Seq, shown: &str, arm: Arm) -> Result<()> {
        // A change of another workspace needs no waiting here; one that is still to come may be of this one.
        let catalog = &self.engine.catalog;
        let is_to_come = seq > journal::last_event(catalog)?;
        let last = if is_to_come { seq } else { journal::last_seq(catalog, workspace.row.id)? };
        let begun = Instant::now();
        if !workspace.row.intelligence || workspace.wait_for(seq.min(last), arm, PATIENCE)? {
            return Ok(());
        }
        Err(Error::IndexBehind { seq: shown.to_owned(), waited_ms: begun.elapsed().as_millis() as u64 })
    }
}
