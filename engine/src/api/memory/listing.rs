//! Memories as they lie there, and forgetting them.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::super::changing::WriteOptions;
use super::super::engine::Engine;
use super::super::error::{Error, Result};
use super::super::replies::WriteReply;
use super::super::session::Session;
use super::super::workspace::OpenWorkspace;
use super::replies::{MemoryFilter, MemoryInfo};
use super::shelf::{Shelved, is_topic};
use crate::access::Verb;
use crate::change::{ChangeError, Expected};
use crate::clock::rfc3339;
use crate::journal::Outcome;
use crate::memory::{Kind, agent_name, place_of, topic_slug};
use crate::store::StoreError;

const LIST: &str = "memory.list";
const FORGET: &str = "memory.forget";
/// Characters of a note in a list.
const MAX_SHOWN_CHARS: usize = 200;

impl Session {
    /// The notes and threads that may be read, by path.
    ///
    /// # Errors
    /// [`Error::Invalid`]; [`Error::NotFound`] for a workspace that is not there.
    pub fn memories_listed(&self, filter: &MemoryFilter) -> Result<Vec<MemoryInfo>> {
        let listed = self.list_memories(filter);
        let listed = self.note_failure(LIST, Verb::Read, "/", listed)?;
        self.record(LIST, Verb::Read, "/", "", Outcome::Allowed, "scope")?;
        Ok(listed)
    }

    fn list_memories(&self, filter: &MemoryFilter) -> Result<Vec<MemoryInfo>> {
        let agent = filter.agent.as_deref().map(agent_name).transpose()?;
        let topic = filter.topic.as_deref().map(topic_slug).transpose()?;
        let kind = filter.kind.as_deref().map(read_kind).transpose()?;
        let workspaces = match &filter.workspace {
            Some(name) => vec![self.seen_workspace(name)?],
            None => self.seen_workspaces()?,
        };
        let scope = self.scope(Verb::Read);
        let mut out = Vec::new();
        for workspace in workspaces {
            let mut threads: BTreeMap<(String, String), Vec<Shelved>> = BTreeMap::new();
            for shelved in self.shelf(&scope, &workspace, agent)? {
                let place = &shelved.place;
                if kind.is_some_and(|kind| kind != place.kind) || !is_topic(place, topic.as_deref()) {
                    continue;
                }
                match place.kind {
                    Kind::Note => out.extend(self.note_info(&workspace, &shelved, filter.include_expired)?),
                    Kind::Thread => {
                        let key = (place.agent.clone(), place.name.clone());
                        threads.entry(key).or_default().push(shelved);
                    }
                }
            }
            for (_, mut parts) in threads {
                parts.sort_by_key(|part| part.place.part);
                out.extend(self.thread_info(&workspace, &parts)?);
            }
        }
        out.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(out)
    }

    fn note_info(
        &self,
        workspace: &OpenWorkspace,
        shelved: &Shelved,
        include_expired: bool,
    ) -> Result<Option<MemoryInfo>> {
        let Some(kept) = self.note_of(workspace, &shelved.row)? else { return Ok(None) };
        let (head, written) = (&kept.note.head, self.written(&shelved.row)?);
        let expired = head.is_expired(self.now_ms());
        if expired && !include_expired {
            return Ok(None);
        }
        Ok(Some(MemoryInfo {
            text: Some(kept.note.body.chars().take(MAX_SHOWN_CHARS).collect()),
            topic: Some(shelved.place.name.clone()).filter(|topic| !topic.is_empty()),
            tags: head.tags.clone(),
            claims_by: written.other(&head.by),
            at: Some(rfc3339(written.moment(head.at_ms))),
            by: Some(written.by).filter(|by| !by.is_empty()),
            expires_at: head.expires_ms.map(rfc3339),
            expired,
            ..bare("note", shelved)
        }))
    }

    fn thread_info(&self, workspace: &OpenWorkspace, parts: &[Shelved]) -> Result<Option<MemoryInfo>> {
        let Some(last) = parts.last() else { return Ok(None) };
        Ok(Some(MemoryInfo {
            thread: Some(last.place.name.clone()),
            messages: Some(self.count_messages(workspace, parts)?),
            at: Some(rfc3339(self.written(&last.row)?.at_ms)),
            ..bare("thread", last)
        }))
    }

    /// Forgets a note, or with the path of any of its files a whole thread; old versions stay until they are pruned. It takes
    /// `delete`.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Forbidden`]; as [`Session::delete`].
    pub fn forget(&self, path: &str) -> Result<WriteReply> {
        let (name, below) = self.split(path, "memory")?;
        let absent = || Error::NotFound { what: "memory", name: path.to_owned() };
        let place = self.note_failure(FORGET, Verb::Delete, path, place_of(&below).ok_or_else(absent))?;
        if place.kind == Kind::Note {
            return self.delete(path, &WriteOptions::default(), false);
        }
        let workspace = self.engine.workspace(&name).filter(|_| self.decide(Verb::Read, path).allowed);
        let workspace = self.note_failure(FORGET, Verb::Delete, path, workspace.ok_or_else(absent))?;
        let mut gone = None;
        // From the end, so that what is left is a thread at any time.
        for part in self.parts_of_thread(&workspace, &place.agent, &place.name)?.into_iter().rev() {
            gone = Some(self.delete(&part.full, &WriteOptions::default(), false)?);
        }
        self.note_failure(FORGET, Verb::Delete, path, gone.ok_or_else(absent))
    }
}

impl Engine {
    /// Forgets notes whose time is over: only those that were written as notes, and none that a gate or a lock holds.
    ///
    /// # Errors
    /// Where catalog or tree can't be read or written.
    pub fn forget_expired(self: &Arc<Self>) -> Result<()> {
        let house = self.house_session();
        let (scope, now_ms) = (house.scope(Verb::Read), self.clock.now_ms());
        for workspace in self.open_workspaces() {
            for shelved in house.shelf(&scope, &workspace, None)? {
                if shelved.place.kind != Kind::Note {
                    continue;
                }
                let Some(kept) = house.note_of(&workspace, &shelved.row)? else { continue };
                let head = &kept.note.head;
                if !head.is_marked
                    || !head.is_expired(now_ms)
                    || self.policy().gate(Verb::Delete, &shelved.full).is_some()
                {
                    continue;
                }
                let expected = Expected::OneOf(vec![shelved.row.state.version]);
                match house.delete(&shelved.full, &WriteOptions { expected, fence: None }, false) {
                    // Somebody holds it, or was faster; there is a next time.
                    Ok(_)
                    | Err(
                        Error::NotFound { .. }
                        | Error::Change(
                            ChangeError::VersionConflict { .. }
                            | ChangeError::Missing { .. }
                            | ChangeError::Store(StoreError::LockHeld { .. }),
                        ),
                    ) => {}
                    Err(error) => return Err(error),
                }
            }
        }
        Ok(())
    }
}

fn read_kind(text: &str) -> Result<Kind> {
    match text {
        "note" => Ok(Kind::Note),
        "thread" => Ok(Kind::Thread),
        other => {
            let found = format!("`{}`", other.chars().take(40).collect::<String>());
            Err(Error::Invalid { field: "kind", found, expected: "`note` or `thread`".to_owned() })
        }
    }
}

fn bare(kind: &'static str, shelved: &Shelved) -> MemoryInfo {
    MemoryInfo {
        kind,
        path: shelved.full.clone(),
        agent: shelved.place.agent.clone(),
        version: shelved.row.state.version,
        text: None,
        topic: None,
        tags: Vec::new(),
        by: None,
        claims_by: None,
        at: None,
        expires_at: None,
        expired: false,
        thread: None,
        messages: None,
    }
}
