use std::collections::BTreeSet;
use std::sync::Arc;

use super::super::changing::WriteOptions;
use super::super::error::{Error, Result};
use super::super::session::Session;
use super::super::workspace::OpenWorkspace;
use super::course::{Course, Like, course, outlasts, renewed};
use super::replies::{RememberReply, RememberRequest, SimilarNote};
use super::shelf::{KeptNote, Shelved, absent_memory};
use crate::access::Verb;
use crate::api::asking::Asked;
use crate::change::{ChangeError, Expected};
use crate::claims::{self, Claim, Conflict};
use crate::clock::parse_rfc3339;
use crate::id::{RelPath, VersionId, WorkspaceName, join_path};
use crate::index::FileSet;
use crate::journal::Outcome;
use crate::memory::{
    self, Kind, Likeness, NoteHead, agent_name, compare, note_path, path_beside, place_of, topic_slug,
    write_note,
};
use crate::search::{self, Degraded, Mode};

const ACTION: &str = "memory.remember";
/// Notes that are looked at closely because of their words.
const BY_WORDS: usize = 16;
/// Notes that are looked at closely because of their meaning.
const BY_MEANING: usize = 8;
/// Similar notes that are told at most.
const MAX_SIMILAR: usize = 5;
const MAX_TAGS: usize = 16;
const MAX_TAG_CHARS: usize = 64;
const MAX_SOURCES: usize = 32;
const MAX_SOURCE_CHARS: usize = 1024;
/// A hundred years: longer is for ever.
const MAX_EXPIRY_SECONDS: u64 = 3_155_760_000;
const MAX_TRIES: usize = 100;

/// A note that is to be.
struct Draft {
    name: WorkspaceName,
    agent: String,
    path: RelPath,
    full: String,
    head: NoteHead,
}

/// A note that may be written.
struct Wanted {
    draft: Draft,
    workspace: Arc<OpenWorkspace>,
}

/// A note that is there, beside the new one.
struct Found {
    shelved: Shelved,
    note: Arc<KeptNote>,
}

impl Session {
    /// Keeps a note, and points out what is known like it: what is said already word for word is not piled up, what only seems so
    /// and what contradicts it is told. It takes `read` and `write` on the note's path, and looks only at what the asker may read.
    ///
    /// # Errors
    /// [`Error::Invalid`]; [`Error::NotFound`] and [`Error::Forbidden`] where a grant is missing; as
    /// [`Session::write_file`].
    pub fn remember(&self, request: &RememberRequest) -> Result<RememberReply> {
        let draft = self.note_failure(ACTION, Verb::Write, "/", self.draft(request))?;
        self.authorize(ACTION, Verb::Read, &draft.full, "memory")?;
        let rule = self.authorize(ACTION, Verb::Write, &draft.full, "memory")?;
        let workspace = self.workspace_of(&draft.name);
        let workspace = self.note_failure(ACTION, Verb::Write, &draft.full, workspace)?;
        // What takes longest is done before anybody has to wait for it.
        self.parts_of(&[request.text.trim()]);
        let turn = self.engine.notes.turn(workspace.row.id, &draft.agent);
        let _turn = turn.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        let mut wanted = Wanted { draft, workspace };
        let replaced = request.supersedes.as_deref().map(|path| self.replaced(&wanted, path)).transpose();
        let replaced = self.note_failure(ACTION, Verb::Write, &wanted.draft.full, replaced)?;
        let (like, blind) = self.similar(&wanted, &request.text, replaced.as_ref().map(|(path, _)| path))?;
        let reply = match course(request.on_conflict, &like, replaced, wanted.draft.head.expires_ms) {
            Course::Known { at, status } => {
                let known = &like[at];
                self.record(ACTION, Verb::Write, &known.told.path, "", Outcome::Allowed, &rule)?;
                self.known(&wanted.workspace, known, status, &like)
            }
            Course::Renew { at } => {
                let known = &like[at];
                let replaced = Some((known.path.clone(), known.version));
                wanted.draft.head = renewed(wanted.draft.head, &known.note.note.head);
                self.keep_note(wanted, &request.text, replaced, "renewed", like)
            }
            Course::Write { replaced, status } => {
                self.keep_note(wanted, &request.text, replaced, status, like)
            }
        };
        Ok(RememberReply { degraded: blind.into_iter().collect(), ..reply? })
    }

    fn draft(&self, request: &RememberRequest) -> Result<Draft> {
        let agent = agent_name(request.agent.as_deref().unwrap_or(&self.actor.principal))?.to_owned();
        let topic = request.topic.as_deref().map(topic_slug).transpose()?;
        let (tags, source) = (request.tags.clone(), request.source.clone().into_list());
        check_words("tags", &tags, MAX_TAGS, MAX_TAG_CHARS)?;
        check_words("source", &source, MAX_SOURCES, MAX_SOURCE_CHARS)?;
        request.thread.as_deref().map(memory::check_thread).transpose()?;
        let head = NoteHead {
            by: self.actor.principal.clone(),
            at_ms: Some(self.now_ms()),
            trace: self.trace.clone(),
            topic: topic.clone(),
            tags,
            source,
            thread: request.thread.clone(),
            expires_ms: self.expiry(request)?,
            is_marked: true,
            ..NoteHead::default()
        };
        // What can't be written is refused before anything is looked at.
        write_note(&head, &request.text)?;
        let name = self.memory_workspace(request.workspace.as_deref(), &agent, Verb::Write)?;
        let path = note_path(&agent, topic.as_deref(), &request.text);
        let full = join_path(&name, &path);
        Ok(Draft { name, agent, path, full, head })
    }

    fn expiry(&self, request: &RememberRequest) -> Result<Option<i64>> {
        let invalid = |field, found: String, expected: &str| {
            Err(Error::Invalid { field, found, expected: expected.to_owned() })
        };
        match (request.expires_in_seconds, request.expires_at.as_deref()) {
            (None, None) => Ok(None),
            (Some(_), Some(_)) => {
                invalid("expires_at", "given beside `expires_in_seconds`".to_owned(), "one of both")
            }
            (Some(seconds), None) if (1..=MAX_EXPIRY_SECONDS).contains(&seconds) => {
                Ok(Some(self.now_ms() + seconds as i64 * 1000))
            }
            (Some(seconds), None) => {
                invalid("expires_in_seconds", seconds.to_string(), "1 second to a hundred years")
            }
            (None, Some(text)) => match parse_rfc3339(text).filter(|ms| *ms > self.now_ms()) {
                Some(ms) => Ok(Some(ms)),
                None => {
                    let found = format!("`{}`", text.chars().take(40).collect::<String>());
                    invalid("expires_at", found, "a time to come, such as `2030-01-31T00:00:00Z`")
                }
            },
        }
    }

    /// The note in whose place the new one is written.
    fn replaced(&self, wanted: &Wanted, path: &str) -> Result<(RelPath, VersionId)> {
        let (name, below) = self.split(path, "note")?;
        let absent = || Error::NotFound { what: "note", name: path.to_owned() };
        self.authorize(ACTION, Verb::Read, path, "note")?;
        self.authorize(ACTION, Verb::Write, path, "note")?;
        let is_note = place_of(&below).is_some_and(|place| place.kind == Kind::Note);
        if name != wanted.workspace.row.name || !is_note {
            let expected = format!("the path of a note in workspace `{}`", wanted.workspace.row.name);
            let found = format!("`{}`", path.chars().take(200).collect::<String>());
            return Err(Error::Invalid { field: "supersedes", found, expected });
        }
        let (bytes, _) = wanted.workspace.tree.read(&below, u64::MAX)?.ok_or_else(absent)?;
        Ok((below, VersionId::of(&bytes)))
    }

    /// What is known like a text, among the notes of the workspace that the asker may read, contradictions first; and why that
    /// was found by words alone, where it was.
    fn similar(
        &self,
        wanted: &Wanted,
        text: &str,
        except: Option<&RelPath>,
    ) -> Result<(Vec<Like>, Option<Degraded>)> {
        let candidates = self.candidates(wanted, text, except)?;
        let bodies: Vec<&str> = std::iter::once(text.trim())
            .chain(candidates.iter().map(|found| found.note.note.body.as_str()))
            .collect();
        let mut parts = self.parts_of(&bodies).into_iter();
        let new = parts.next().unwrap_or_default();
        let blind = new.iter().any(|part| part.vector.is_none()).then(|| self.engine.blindness());
        let normal = claims::normal_form(text);
        let mut like: Vec<Like> = Vec::new();
        for (found, old) in candidates.iter().zip(parts) {
            let body = &found.note.note.body;
            let same = found.note.normal == normal && (!normal.is_empty() || body == text.trim());
            let quote =
                |at: usize| old.get(at).and_then(|part| part.span.of(body)).unwrap_or(body).to_owned();
            let alike = compare(&new, &old);
            let is_said = same || alike.as_ref().is_some_and(|alike| alike.is_said);
            let told = match alike {
                _ if same => (Likeness::Duplicate, 1.0, quote(0), None),
                Some(alike) => (alike.likeness, alike.score, quote(alike.part), alike.conflict.map(differs)),
                None => continue,
            };
            let (kind, score, quote, differs) = told;
            let (path, version) = (found.shelved.full.clone(), found.shelved.row.state.version);
            like.push(Like {
                told: SimilarNote { path, version, quote, score: (score * 1e3).round() / 1e3, kind, differs },
                path: found.shelved.row.path.clone(),
                version,
                note: Arc::clone(&found.note),
                is_own: found.shelved.place.agent == wanted.draft.agent,
                is_said,
                is_same: same,
            });
        }
        like.sort_by(|a, b| {
            let closer = b.told.score.total_cmp(&a.told.score);
            a.told.kind.cmp(&b.told.kind).then(closer).then_with(|| a.told.path.cmp(&b.told.path))
        });
        Ok((like, blind))
    }

    /// The notes that are worth a close look: those that share most words, straight from the files, and those that the index finds
    /// near.
    fn candidates(&self, wanted: &Wanted, text: &str, except: Option<&RelPath>) -> Result<Vec<Found>> {
        let scope = self.scope(Verb::Read);
        let now_ms = self.now_ms();
        let claim = Claim::of(text);
        let stems: BTreeSet<&str> = claim.content();
        let mut all: Vec<(f32, Found)> = Vec::new();
        for shelved in self.shelf(&scope, &wanted.workspace, None)? {
            if shelved.place.kind != Kind::Note || Some(&shelved.row.path) == except {
                continue;
            }
            let Some(note) = self.note_of(&wanted.workspace, &shelved.row)? else { continue };
            if note.note.head.is_expired(now_ms) {
                continue;
            }
            let n_shared = stems.iter().filter(|stem| note.stems.contains(**stem)).count();
            let n_least = stems.len().min(note.stems.len()).max(1);
            let share = if note.normal == claim.normal() { 2.0 } else { n_shared as f32 / n_least as f32 };
            all.push((share, Found { shelved, note }));
        }
        let near = self.near(wanted, text, &all)?;
        all.sort_by(|(a, one), (b, other)| {
            b.total_cmp(a).then_with(|| one.shelved.full.cmp(&other.shelved.full))
        });
        let mut n_by_words = 0;
        all.retain(|(share, found)| {
            let by_words = *share > 0.0 && n_by_words < BY_WORDS;
            n_by_words += usize::from(by_words);
            by_words || near.contains(&found.shelved.row.path)
        });
        Ok(all.into_iter().map(|(_, found)| found).collect())
    }

    fn near(&self, wanted: &Wanted, text: &str, all: &[(f32, Found)]) -> Result<BTreeSet<RelPath>> {
        if self.engine.embedder.is_none() || all.len() <= BY_WORDS {
            return Ok(all.iter().map(|(_, found)| found.shelved.row.path.clone()).collect());
        }
        let files = FileSet::new(all.iter().map(|(_, found)| found.shelved.row.id).collect());
        let asked = [Asked::live(Arc::clone(&wanted.workspace), Some(Arc::new(files)))];
        let query = search::parse_plain(text);
        let hits = self.find(&asked, &query, Mode::Semantic, BY_MEANING)?;
        Ok(hits.hits.iter().filter_map(|hit| RelPath::new(&hit.record.path).ok()).collect())
    }

    /// The answer where nothing is written.
    fn known(
        &self,
        workspace: &OpenWorkspace,
        known: &Like,
        status: &'static str,
        like: &[Like],
    ) -> Result<RememberReply> {
        let row = self.engine.catalog.file(workspace.row.id, &known.path)?;
        let seq = row.map(|row| row.seq).ok_or_else(|| absent_memory(&known.told.path))?;
        Ok(RememberReply {
            path: known.told.path.clone(),
            version: known.version,
            seq: self.show_seq(seq)?,
            status,
            written: false,
            similar: told(like),
            degraded: Vec::new(),
        })
    }

    fn keep_note(
        &self,
        wanted: Wanted,
        text: &str,
        replaced: Option<(RelPath, VersionId)>,
        status: &'static str,
        like: Vec<Like>,
    ) -> Result<RememberReply> {
        let Wanted { draft, workspace } = wanted;
        let mut head = draft.head;
        let contradicts = like.iter().filter(|like| {
            let is_replaced = replaced.as_ref().is_some_and(|(path, _)| *path == like.path);
            like.told.kind == Likeness::Contradiction && !is_replaced
        });
        head.contradicts = contradicts.take(MAX_SIMILAR).map(|like| like.told.path.clone()).collect();
        head.supersedes = replaced.as_ref().map(|(_, version)| version.to_string());
        let (mut path, mut expected) = match replaced {
            Some((path, version)) => (path, Expected::OneOf(vec![version])),
            None => (draft.path.clone(), Expected::Absent),
        };
        let bytes = write_note(&head, text)?;
        let mut tries = 0;
        loop {
            tries += 1;
            let full = join_path(&draft.name, &path);
            let options = WriteOptions { expected: expected.clone(), fence: None };
            let conflict = match self.put(ACTION, &full, bytes.as_bytes(), &options) {
                Ok(reply) => {
                    let version = reply.version.unwrap_or_else(|| VersionId::of(bytes.as_bytes()));
                    let (seq, similar) = (reply.seq, told(&like));
                    return Ok(RememberReply {
                        path: full,
                        version,
                        seq,
                        status,
                        written: true,
                        similar,
                        degraded: Vec::new(),
                    });
                }
                Err(error @ Error::Change(ChangeError::VersionConflict { .. })) => error,
                Err(error) => return Err(error),
            };
            if expected != Expected::Absent || tries >= MAX_TRIES {
                return Err(conflict);
            }
            // Somebody wrote the same words meanwhile, what stood there has expired, or it says something else by now.
            let Some(row) = self.engine.catalog.file(workspace.row.id, &path)? else { continue };
            let there = self.note_of(&workspace, &row)?;
            let is_expired = there.as_ref().is_some_and(|there| there.note.head.is_expired(self.now_ms()));
            let is_same = there.as_ref().is_some_and(|there| there.normal == claims::normal_form(text));
            if !is_expired && !is_same {
                path = path_beside(&draft.path, tries);
                continue;
            }
            let lasts = there.is_some_and(|there| outlasts(&there.note.head, head.expires_ms));
            if status == "kept" && !is_expired && lasts {
                let (version, seq) = (row.state.version, self.show_seq(row.seq)?);
                let (status, similar) = ("duplicate", told(&like));
                return Ok(RememberReply {
                    path: full,
                    version,
                    seq,
                    status,
                    written: false,
                    similar,
                    degraded: Vec::new(),
                });
            }
            expected = Expected::OneOf(vec![row.state.version]);
        }
    }
}

fn told(like: &[Like]) -> Vec<SimilarNote> {
    like.iter().take(MAX_SIMILAR).map(|like| like.told.clone()).collect()
}

fn differs(conflict: Conflict) -> &'static str {
    match conflict {
        Conflict::Value => "value",
        Conflict::Negation => "negation",
        Conflict::State => "state",
        Conflict::Name => "name",
    }
}

fn check_words(field: &'static str, words: &[String], max: usize, max_chars: usize) -> Result<()> {
    let too_long = words.iter().any(|word| word.trim().is_empty() || word.chars().count() > max_chars);
    if words.len() <= max && !too_long {
        return Ok(());
    }
    let found = format!("{} items", words.len());
    let expected = format!("at most {max}, none of them empty or longer than {max_chars} characters");
    Err(Error::Invalid { field, found, expected })
}
