//! Threads: appended to, and read from their end.

use std::sync::Arc;

use super::super::changing::WriteOptions;
use super::super::error::{Error, Result};
use super::super::session::Session;
use super::super::workspace::OpenWorkspace;
use super::replies::{AppendMessages, AppendReply, ThreadReply, ThreadRequest};
use super::shelf::{Shelved, Written, absent_memory};
use crate::access::Verb;
use crate::change::{ChangeError, Expected};
use crate::clock::rfc3339;
use crate::id::{RelPath, VersionId, join_path};
use crate::journal::Outcome;
use crate::memory::{
    Kind, MAX_MESSAGE_BYTES, MAX_PART_BYTES, Message, Place, agent_name, check_role, check_thread,
    cut_message, line_of, read_messages, thread_path, window,
};

const APPEND: &str = "memory.append";
const READ: &str = "memory.thread";
/// Messages of one append at most.
const MAX_APPENDED: usize = 100;
/// Messages of one answer where nothing else is asked.
const DEFAULT_SHOWN: usize = 100;
const MAX_SHOWN: usize = 1000;
/// How often an append is tried again when somebody was faster.
const MAX_TRIES: usize = 1000;

/// Where the next messages go.
struct End {
    path: RelPath,
    /// What stands there.
    text: String,
    expected: Expected,
    /// Messages before.
    n_before: u64,
}

impl Session {
    /// Appends messages to a thread, all of them or none; they are durable when this returns. It takes `read` and `write` on the
    /// thread's files.
    ///
    /// # Errors
    /// [`Error::Invalid`]; [`Error::NotFound`] and [`Error::Forbidden`] where a grant is missing; as [`Session::write_file`].
    pub fn append_messages(&self, thread: &str, request: &AppendMessages) -> Result<AppendReply> {
        let checked = check_append(thread, request);
        self.note_failure(APPEND, Verb::Write, "/", checked)?;
        let place =
            self.thread_place(thread, request.workspace.as_deref(), request.agent.as_deref(), Verb::Write);
        let (agent, first) = self.note_failure(APPEND, Verb::Write, "/", place)?;
        self.authorize(APPEND, Verb::Read, &first, "memory")?;
        self.authorize(APPEND, Verb::Write, &first, "memory")?;
        let (name, _) = self.split(&first, "memory")?;
        let workspace = self.engine.workspace(&name).ok_or_else(|| absent_memory(&first))?;
        let mut tries = 0;
        loop {
            tries += 1;
            let end = self.end_of(&workspace, &agent, thread)?;
            let lines = self.lines(request, (&workspace, &agent, thread), end.n_before);
            let full = join_path(&name, &end.path);
            let options = WriteOptions { expected: end.expected, fence: None };
            match self.put(APPEND, &full, format!("{}{lines}", end.text).as_bytes(), &options) {
                Err(Error::Change(ChangeError::VersionConflict { .. })) if tries < MAX_TRIES => {}
                Err(error) => return Err(error),
                Ok(reply) => {
                    return Ok(AppendReply {
                        thread: thread.to_owned(),
                        path: full,
                        version: reply.version.unwrap_or_else(|| VersionId::of(lines.as_bytes())),
                        seq: reply.seq,
                        first: end.n_before + 1,
                        last: end.n_before + request.messages.len() as u64,
                    });
                }
            }
        }
    }

    /// The last messages of a thread that fit, oldest first.
    ///
    /// # Errors
    /// [`Error::NotFound`] for a thread that is not there, or may not be read; [`Error::Invalid`].
    pub fn thread(&self, thread: &str, request: &ThreadRequest) -> Result<ThreadReply> {
        let limit = request.limit.unwrap_or(DEFAULT_SHOWN);
        let checked = if (1..=MAX_SHOWN).contains(&limit) {
            check_thread(thread).map_err(Error::from)
        } else {
            let expected = format!("1 to {MAX_SHOWN}");
            Err(Error::Invalid { field: "limit", found: limit.to_string(), expected })
        };
        self.note_failure(READ, Verb::Read, "/", checked)?;
        let place =
            self.thread_place(thread, request.workspace.as_deref(), request.agent.as_deref(), Verb::Read);
        let (agent, first) = self.note_failure(READ, Verb::Read, "/", place)?;
        let (name, _) = self.split(&first, "thread")?;
        let absent = || Error::NotFound { what: "thread", name: first.clone() };
        let rule = self.authorize(READ, Verb::Read, &first, "thread")?;
        let workspace = self.engine.workspace(&name).ok_or_else(absent)?;
        let parts = self.parts_of_thread(&workspace, &agent, thread)?;
        let found = if parts.is_empty() { Err(absent()) } else { Ok(()) };
        self.note_failure(READ, Verb::Read, &first, found)?;
        self.record(READ, Verb::Read, &first, "", Outcome::Allowed, &rule)?;
        let mut messages: Vec<Message> = Vec::new();
        for part in &parts {
            let text = self.text_of_row(&workspace, &part.row)?.unwrap_or_default();
            let written = self.written(&part.row)?;
            let told = |(_, message)| self.told(&workspace, &part.place, &written, message);
            messages.extend(read_messages(&text).into_iter().map(told));
        }
        let n_all = messages.len();
        messages.drain(..n_all.saturating_sub(limit));
        let max_tokens = request.max_tokens.unwrap_or(usize::MAX);
        let window = window(&messages, max_tokens);
        // A last message that is too long by itself is better cut than not told.
        let is_cut = window.start == messages.len() && !messages.is_empty();
        messages.drain(..window.start - usize::from(is_cut));
        messages.iter_mut().take(usize::from(is_cut)).for_each(|last| cut_message(last, max_tokens));
        Ok(ThreadReply {
            thread: thread.to_owned(),
            paths: parts.into_iter().map(|part| part.full).collect(),
            left_out: n_all - messages.len(),
            tokens: messages.iter().map(|message| message.tokens).fold(0, usize::saturating_add),
            cut: is_cut,
            messages,
        })
    }

    /// Whose thread is meant, and the path of its first part.
    fn thread_place(
        &self,
        thread: &str,
        workspace: Option<&str>,
        agent: Option<&str>,
        verb: Verb,
    ) -> Result<(String, String)> {
        let agent = agent_name(agent.unwrap_or(&self.actor.principal))?.to_owned();
        let name = self.memory_workspace(workspace, &agent, verb)?;
        let first = join_path(&name, &thread_path(&agent, thread, 1));
        Ok((agent, first))
    }

    /// The files of a thread that may be read, in order.
    pub(super) fn parts_of_thread(
        &self,
        workspace: &OpenWorkspace,
        agent: &str,
        thread: &str,
    ) -> Result<Vec<Shelved>> {
        let mut parts = self.shelf(&self.scope(Verb::Read), workspace, Some(agent))?;
        parts.retain(|part| part.place.kind == Kind::Thread && part.place.name == thread);
        parts.sort_by_key(|part| part.place.part);
        Ok(parts)
    }

    fn end_of(&self, workspace: &Arc<OpenWorkspace>, agent: &str, thread: &str) -> Result<End> {
        let parts = self.parts_of_thread(workspace, agent, thread)?;
        let Some(last) = parts.last() else {
            let path = thread_path(agent, thread, 1);
            return Ok(End { path, text: String::new(), expected: Expected::Absent, n_before: 0 });
        };
        let bytes =
            workspace.tree.read(&last.row.path, u64::MAX)?.map(|(bytes, _)| bytes).unwrap_or_default();
        let version = VersionId::of(&bytes);
        // What is no text stays as it is, and a new part begins.
        let text = String::from_utf8(bytes).ok();
        let last_message = text.as_deref().and_then(|text| read_messages(text).pop());
        let n_before = match last_message {
            // Whoever may write the file may write any number.
            Some((_, message)) => message.n.min(u64::from(u32::MAX)),
            None => self.count_messages(workspace, &parts)?,
        };
        let Some(mut text) = text.filter(|text| text.len() < MAX_PART_BYTES) else {
            let path = thread_path(agent, thread, last.place.part + 1);
            return Ok(End { path, text: String::new(), expected: Expected::Absent, n_before });
        };
        // Somebody may have left the last line without an end.
        if !text.is_empty() && !text.ends_with('\n') {
            text.push('\n');
        }
        Ok(End { path: last.row.path.clone(), text, expected: Expected::OneOf(vec![version]), n_before })
    }

    /// How many messages a thread has.
    pub(super) fn count_messages(&self, workspace: &OpenWorkspace, parts: &[Shelved]) -> Result<u64> {
        let mut n_messages = 0;
        for part in parts {
            let text = self.text_of_row(workspace, &part.row)?.unwrap_or_default();
            n_messages += read_messages(&text).len() as u64;
        }
        Ok(n_messages)
    }

    fn lines(
        &self,
        request: &AppendMessages,
        (workspace, agent, thread): (&OpenWorkspace, &str, &str),
        n_before: u64,
    ) -> String {
        let at = rfc3339(self.now_ms());
        let line = |(n, input): (u64, &super::MessageInput)| {
            let message = Message {
                n,
                role: input.role.clone(),
                text: input.text.clone(),
                tokens: input.tokens.unwrap_or_else(|| self.count_tokens(&input.text)),
                by: self.actor.principal.clone(),
                claims_by: None,
                at: at.clone(),
                trace: self.trace.clone(),
                seal: String::new(),
            };
            line_of(&Message { seal: self.seal_of(workspace, (agent, thread), &message), ..message })
        };
        (n_before + 1..).zip(&request.messages).map(line).collect()
    }

    /// Proves that this home wrote a message at its place: everybody who may write the file may write a line that says so.
    fn seal_of(&self, workspace: &OpenWorkspace, (agent, thread): (&str, &str), message: &Message) -> String {
        let Message { n, role, text, tokens, by, claims_by: _, at, trace, seal: _ } = message;
        let said =
            serde_json::json!([workspace.row.id.0, agent, thread, n, role, text, tokens, by, at, trace]);
        self.engine.keys.proof("message", said.to_string().as_bytes())
    }

    /// A message of a thread as it may be told: what this home did not write is by whoever wrote the file.
    pub(super) fn told(
        &self,
        workspace: &OpenWorkspace,
        place: &Place,
        written: &Written,
        message: Message,
    ) -> Message {
        let seal = String::new();
        if message.seal == self.seal_of(workspace, (&place.agent, &place.name), &message) {
            return Message { claims_by: None, seal, ..message };
        }
        let (by, at) = (written.by.clone(), rfc3339(written.at_ms));
        let claims_by = written.other(&message.by);
        Message { by, claims_by, at, trace: String::new(), seal, ..message }
    }

    /// What a text takes of a bound in tokens: as many as the model counts, and no fewer than one for each four characters,
    /// for it counts a word without end as one.
    pub(in crate::api) fn count_tokens(&self, text: &str) -> usize {
        match &self.engine.embedder {
            // Two of them mark the start and the end of a whole input.
            Some(embedder) => {
                let n_counted = embedder.count_tokens(text).saturating_sub(2);
                n_counted.max(text.chars().count() / 4).max(1)
            }
            None => text.len().div_ceil(4).max(1),
        }
    }
}

fn check_append(thread: &str, request: &AppendMessages) -> Result<()> {
    check_thread(thread)?;
    let n_messages = request.messages.len();
    if !(1..=MAX_APPENDED).contains(&n_messages) {
        let (found, expected) = (format!("{n_messages} items"), format!("1 to {MAX_APPENDED} messages"));
        return Err(Error::Invalid { field: "messages", found, expected });
    }
    for message in &request.messages {
        check_role(&message.role)?;
        if message.text.trim().is_empty() {
            let (found, expected) = ("empty".to_owned(), "what was said".to_owned());
            return Err(Error::Invalid { field: "text", found, expected });
        }
        if message.text.len() > MAX_MESSAGE_BYTES {
            let found = format!("{} bytes long", message.text.len());
            return Err(Error::Invalid { field: "text", found, expected: "64 KiB at most".to_owned() });
        }
    }
    Ok(())
}
