//! What routing learns: from who says which was right, and from how tasks ended. Each lesson is a text beside its entry's
//! examples, bounded in number, seen by whoever manages the entry, and can be taken back.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::super::engine::Engine;
use super::super::error::{Error, Result};
use super::super::keys::fresh_id;
use super::super::session::Session;
use super::deciding::check_intent;
use super::desk::verb_of;
use crate::access::{ADMIN, Verb};
use crate::catalog::{CatalogError, Tx};
use crate::change::ChangeError;
use crate::journal::Outcome;
use crate::route::{self, Dispatched, Entry, EntryKind, KEPT_MS, Learned, TaskOutcome};
use crate::tasks;

/// Lessons of an entry at most; the oldest of whoever has most of them makes room.
const MAX_LESSONS: usize = 40;
/// Lessons of one principal in an entry at most, so that nobody's word weighs more than a handful of examples.
const MAX_LESSONS_EACH: usize = 5;
/// Ended tasks that are looked at in one go.
const ENDED_AT_ONCE: usize = 200;

/// Which route was right.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Feedback {
    /// The decision that it is about.
    pub decision_id: Option<String>,
    /// Or the intent itself.
    pub intent: Option<String>,
    /// The agent or tool that is right; missing where none is.
    #[serde(alias = "route")]
    pub right: Option<String>,
    /// One that is wrong; the decision's, where it is not the right one.
    pub wrong: Option<String>,
}

/// What was learned.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, schemars::JsonSchema)]
#[non_exhaustive]
pub struct Lesson {
    /// `fb_…`, by which it is taken back.
    pub id: String,
    /// Beside which entry's examples.
    pub entry: String,
    /// The intent.
    pub text: String,
    /// Whether it is for the entry.
    pub is_right: bool,
    /// Who said so.
    pub by: String,
    /// `feedback`, or the outcome of a task.
    pub from: String,
}

impl Session {
    /// Learns which route was right, or that one was wrong.
    ///
    /// # Errors
    /// [`Error::Invalid`] where nothing can be learned; [`Error::NotFound`] for a decision of others, and for an entry that
    /// this principal may not route to.
    pub fn route_feedback(&self, feedback: &Feedback) -> Result<Vec<Lesson>> {
        let decision = match &feedback.decision_id {
            Some(id) => Some(self.own_decision("route.feedback", id)?),
            None => None,
        };
        let intent =
            feedback.intent.clone().or(decision.as_ref().map(|row| row.intent.clone())).unwrap_or_default();
        check_intent(&intent)?;
        let right = feedback.right.as_deref().map(|id| self.routable("right", id)).transpose()?;
        let decided = match decision {
            Some(row) => decided_by(&row.answer)?,
            None => None,
        };
        let wrong = match &feedback.wrong {
            Some(id) => Some(self.routable("wrong", id)?),
            None => decided.filter(|decided| right.as_ref() != Some(decided)),
        };
        let lessons: Vec<_> =
            right.map(|key| (key, true)).into_iter().chain(wrong.map(|key| (key, false))).collect();
        if lessons.is_empty() {
            return Err(Error::Invalid {
                field: "right",
                found: "missing".to_owned(),
                expected: "the id of the agent or tool that is right, or `wrong` with one that is not"
                    .to_owned(),
            });
        }
        let learned = self.engine.change_entries(|tx| -> std::result::Result<Vec<Lesson>, ChangeError> {
            let mut learned = Vec::new();
            for ((kind, id), is_right) in &lessons {
                let lesson = Learned {
                    id: fresh_id("fb"),
                    text: intent.clone(),
                    is_right: *is_right,
                    by: self.actor.principal.clone(),
                    from: "feedback".to_owned(),
                    at_ms: self.now_ms(),
                };
                if let Some(lesson) = learn(tx, *kind, id, lesson, self.now_ms())? {
                    learned.push(lesson);
                }
                self.record_in(tx, "route.feedback", verb_of(*kind).0, id, "", "scope")?;
            }
            Ok(learned)
        })?;
        Ok(learned)
    }

    /// Takes a lesson back; for who gave it, and for who manages the home.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub fn forget_lesson(&self, id: &str) -> Result<()> {
        let registry = self.engine.registry()?;
        let is_mine =
            |lesson: &Learned| lesson.id == id && (self.is_admin() || lesson.by == self.actor.principal);
        let entry = registry.entries.values().find(|entry| entry.entry.learned.iter().any(is_mine));
        let found = entry.map(|entry| entry.entry.key());
        let absent = || Error::NotFound { what: "lesson", name: id.chars().take(80).collect() };
        let (kind, entry) = self.note_failure("route.forget", Verb::Admin, id, found.ok_or_else(absent))?;
        self.engine.change_entries(|tx| -> std::result::Result<(), ChangeError> {
            if let Some(mut entry) = tx.route_entry(kind, &entry)? {
                entry.learned.retain(|lesson| lesson.id != id);
                tx.put_route_entry(&entry, self.now_ms())?;
            }
            self.record_in(tx, "route.forget", Verb::Admin, &entry, "", "scope")
        })?;
        Ok(())
    }

    /// What was learned: all of it for who manages the home, else one's own lessons.
    ///
    /// # Errors
    /// Where the catalog can't be read.
    pub fn lessons(&self) -> Result<Vec<Lesson>> {
        let registry = self.engine.registry()?;
        self.record("route.lessons", Verb::Read, "/", "", Outcome::Allowed, "scope")?;
        let is_admin = self.is_admin();
        let all = registry.entries.values().flat_map(|entry| {
            entry.entry.learned.iter().map(|lesson| shown(&entry.entry.id, lesson.clone()))
        });
        Ok(all.filter(|lesson| is_admin || lesson.by == self.actor.principal).collect())
    }

    /// An entry that this principal may route to, by its id.
    fn routable(&self, field: &'static str, id: &str) -> Result<(EntryKind, String)> {
        let registry = self.engine.registry()?;
        let policy = self.engine.policy();
        let named = EntryKind::ALL.into_iter().map(|kind| match (kind, id.contains(':')) {
            (EntryKind::Agent, false) => (kind, format!("agent:{id}")),
            _ => (kind, id.to_owned()),
        });
        let is_there = |key: &(EntryKind, String)| {
            let (verb, target) = verb_of(key.0);
            registry.entries.contains_key(key) && self.actor.decide(&policy, verb, target, &key.1).allowed
        };
        let found = named.into_iter().find(is_there);
        let absent = || Error::NotFound { what: "agent or tool", name: id.chars().take(100).collect() };
        self.note_failure(field, Verb::Dispatch, id, found.ok_or_else(absent))
    }

    pub(super) fn own_decision(&self, action: &'static str, id: &str) -> Result<route::DecisionRow> {
        self.engine.auditor.flush()?;
        let row = route::decision(&self.engine.catalog, id)?;
        let row = row.filter(|row| row.principal == self.actor.principal || self.is_admin());
        let absent = || Error::NotFound { what: "decision", name: id.chars().take(80).collect() };
        self.note_failure(action, Verb::Read, id, row.ok_or_else(absent))
    }
}

impl Engine {
    /// Learns from tasks that were handed out and have ended since.
    ///
    /// # Errors
    /// Where the catalog can't be read or written.
    pub fn learn_outcomes(self: &Arc<Self>) -> Result<()> {
        for dispatched in route::ended_dispatches(&self.catalog, ENDED_AT_ONCE)? {
            let outcome = outcome_of(tasks::task(&self.catalog, &dispatched.task)?.as_ref());
            let Some(outcome) = outcome else { continue };
            let now_ms = self.clock.now_ms();
            self.change_entries(|tx| -> std::result::Result<(), CatalogError> {
                if tx.end_dispatch(&dispatched.task, outcome, now_ms)? {
                    learn_from(tx, &dispatched, outcome, now_ms)?;
                }
                Ok(())
            })?;
        }
        Ok(())
    }
}

impl Engine {
    /// Forgets decisions and ended dispatches that are older than [`KEPT_MS`], and what only they stood on.
    ///
    /// # Errors
    /// Where the catalog can't be written.
    pub fn forget_routing(&self) -> Result<()> {
        let before_ms = self.clock.now_ms() - KEPT_MS;
        self.catalog.write(|tx| -> std::result::Result<(), CatalogError> {
            tx.forget_decisions(before_ms)?;
            tx.forget_dispatches(before_ms)
        })?;
        Ok(())
    }
}

/// The entry that a decision went to, as its answer was kept.
fn decided_by(answer: &str) -> Result<Option<(EntryKind, String)>> {
    let reply: super::RouteReply = serde_json::from_str(answer).map_err(|error| Error::Invalid {
        field: "decision_id",
        found: format!("a decision whose answer can't be read: {error}"),
        expected: "an answer that this program wrote; name what was wrong with `wrong`".to_owned(),
    })?;
    Ok(reply.decision.map(|decision| (decision.kind, decision.id)))
}

/// How a task ended, if it has.
fn outcome_of(row: Option<&tasks::TaskRow>) -> Option<TaskOutcome> {
    let Some(row) = row else { return Some(TaskOutcome::Gone) };
    let was = |what: &str| row.history.iter().any(|past| past.what == what);
    match row.state {
        tasks::TaskState::Done if was("rejected") => Some(TaskOutcome::Rejected),
        tasks::TaskState::Done if was("accepted") => Some(TaskOutcome::Accepted),
        tasks::TaskState::Done => Some(TaskOutcome::Completed),
        tasks::TaskState::Failed if was("rejected") => Some(TaskOutcome::Rejected),
        tasks::TaskState::Failed => Some(TaskOutcome::Failed),
        _ => None,
    }
}

/// A decision that led well is an example more; one that was sent back is a counterexample. Where the asker named the
/// agent nothing was decided, and nothing is learned.
fn learn_from(
    tx: &Tx<'_>,
    dispatched: &Dispatched,
    outcome: TaskOutcome,
    now_ms: i64,
) -> std::result::Result<(), CatalogError> {
    let Some(is_right) = outcome.verdict().filter(|_| dispatched.decision.is_some()) else { return Ok(()) };
    let lesson = Learned {
        id: format!("fb_{}", dispatched.task.trim_start_matches("tk_")),
        text: dispatched.intent.clone(),
        is_right,
        by: dispatched.principal.clone(),
        from: outcome.as_str().to_owned(),
        at_ms: now_ms,
    };
    learn(tx, EntryKind::Agent, &dispatched.agent, lesson, now_ms).map(drop)
}

/// Puts a lesson beside an entry's examples; `None` where the entry is gone, or says so already.
fn learn(
    tx: &Tx<'_>,
    kind: EntryKind,
    id: &str,
    lesson: Learned,
    now_ms: i64,
) -> std::result::Result<Option<Lesson>, CatalogError> {
    let Some(mut entry) = tx.route_entry(kind, id)? else { return Ok(None) };
    if !add(&mut entry, lesson.clone()) {
        return Ok(None);
    }
    tx.put_route_entry(&entry, now_ms)?;
    Ok(Some(shown(id, lesson)))
}

/// Adds a lesson within the bounds; tells whether it says something new.
fn add(entry: &mut Entry, lesson: Learned) -> bool {
    let texts = if lesson.is_right { &entry.examples } else { &entry.counterexamples };
    let is_own = |other: &Learned| other.by == lesson.by && other.text == lesson.text;
    let said_already = |other: &Learned| is_own(other) && other.is_right == lesson.is_right;
    if texts.contains(&lesson.text) || entry.learned.iter().any(said_already) {
        return false;
    }
    // The newest word of each about an intent counts; nobody takes back what another one said.
    entry.learned.retain(|other| !is_own(other));
    let n_of = |by: &str| entry.learned.iter().filter(|other| other.by == by).count();
    let makes_room = if lesson.by != ADMIN && n_of(&lesson.by) >= MAX_LESSONS_EACH {
        Some(lesson.by.clone())
    } else if entry.learned.len() >= MAX_LESSONS {
        // Of several that have as many, the one who spoke first.
        let most = entry.learned.iter().map(|other| n_of(&other.by)).max();
        entry.learned.iter().find(|other| Some(n_of(&other.by)) == most).map(|other| other.by.clone())
    } else {
        None
    };
    let oldest = makes_room.and_then(|by| entry.learned.iter().position(|other| other.by == by));
    if let Some(at) = oldest {
        entry.learned.remove(at);
    }
    entry.learned.push(lesson);
    true
}

fn shown(entry: &str, lesson: Learned) -> Lesson {
    let Learned { id, text, is_right, by, from, at_ms: _ } = lesson;
    Lesson { id, entry: entry.to_owned(), text, is_right, by, from }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lesson(text: &str, by: &str, is_right: bool) -> Learned {
        let (text, by) = (text.to_owned(), by.to_owned());
        Learned { id: format!("fb_{text}"), text, is_right, by, from: "feedback".to_owned(), at_ms: 0 }
    }

    fn entry() -> Entry {
        Entry {
            kind: EntryKind::Agent,
            id: "agent:a".to_owned(),
            name: "a".to_owned(),
            description: String::new(),
            capabilities: Vec::new(),
            examples: vec!["known".to_owned()],
            counterexamples: Vec::new(),
            learned: Vec::new(),
        }
    }

    #[test]
    fn one_voice_is_bounded_and_the_newest_word_counts() {
        let mut entry = entry();
        assert!(!add(&mut entry, lesson("known", "agent:x", true)));
        for idx in 0..8 {
            assert!(add(&mut entry, lesson(&format!("t{idx}"), "agent:x", true)));
        }
        let texts: Vec<&str> = entry.learned.iter().map(|lesson| lesson.text.as_str()).collect();
        assert_eq!(texts, ["t3", "t4", "t5", "t6", "t7"]);
        let about_t5 = |entry: &Entry| -> Vec<(String, bool)> {
            let about = entry.learned.iter().filter(|lesson| lesson.text == "t5");
            about.map(|lesson| (lesson.by.clone(), lesson.is_right)).collect()
        };
        assert!(add(&mut entry, lesson("t5", "agent:x", false)));
        assert_eq!(about_t5(&entry), [("agent:x".to_owned(), false)]);
        // Another one's word stands beside it.
        assert!(add(&mut entry, lesson("t5", "agent:y", true)));
        assert_eq!(about_t5(&entry), [("agent:x".to_owned(), false), ("agent:y".to_owned(), true)]);
    }

    #[test]
    fn who_has_most_makes_room() {
        let mut entry = entry();
        let of =
            |by: &str, n: usize| (0..n).map(|at| lesson(&format!("{by} {at}"), by, true)).collect::<Vec<_>>();
        assert!(add(&mut entry, lesson("early", "agent:early", true)));
        of(ADMIN, 39).into_iter().for_each(|lesson| assert!(add(&mut entry, lesson)));
        for at in 0..20 {
            let by = format!("agent:{}", at / 4);
            assert!(add(&mut entry, lesson(&format!("late {at}"), &by, true)));
        }
        assert_eq!(entry.learned.len(), MAX_LESSONS);
        assert_eq!(entry.learned[0].text, "early", "who said little keeps it");
        assert_eq!(entry.learned.iter().filter(|lesson| lesson.by == ADMIN).count(), 19);
    }

    #[test]
    fn an_entry_holds_so_many_lessons() {
        let mut entry = entry();
        for idx in 0..100 {
            add(&mut entry, lesson(&format!("t{idx}"), &format!("agent:{idx}"), true));
        }
        assert_eq!(entry.learned.len(), MAX_LESSONS);
        assert_eq!(entry.learned[0].text, "t60");
    }
}
