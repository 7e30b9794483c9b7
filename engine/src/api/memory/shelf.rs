//! What lies in the memories that a scope shows: notes read once per version, and the vectors of their sentences.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex};

use super::super::engine::Engine;
use super::super::error::{Error, Result};
use super::super::session::Session;
use super::super::workspace::OpenWorkspace;
use crate::access::{Scope, Verb};
use crate::catalog::FileRow;
use crate::claims::Claim;
use crate::embed::Embedder;
use crate::id::{RelPath, VersionId, WorkspaceId, WorkspaceName, join_path};
use crate::journal;
use crate::memory::{self, FOLDER, Kind, Note, Part, Place, read_note, sentences_of};
use crate::search::Degraded;

/// Notes kept in memory; beyond it all are read again.
const MAX_KEPT: usize = 20_000;
/// Bytes of a file that is read as a memory at most.
pub(super) const MAX_FILE_BYTES: u64 = 1 << 20;
/// Texts that are embedded in one call.
const BATCH: usize = 32;
/// Turns that are kept though nobody has them.
const MAX_TURNS: usize = 1024;

/// Notes by the version of their file, for whoever may read a file may be told what its bytes say; and whose turn it is to keep one.
#[derive(Default)]
pub struct NoteCache {
    kept: Mutex<HashMap<VersionId, Arc<KeptNote>>>,
    turns: Mutex<HashMap<(WorkspaceId, String), Turn>>,
}

/// Held by who compares a new note with those of one memory and writes it: else two that say the same would not see each other.
pub(super) type Turn = Arc<Mutex<()>>;

/// A note with what a first look at it needs.
pub(super) struct KeptNote {
    pub note: Note,
    /// Stems of its words.
    pub stems: BTreeSet<String>,
    /// See [`crate::claims::normal_form`].
    pub normal: String,
}

impl KeptNote {
    pub(super) fn of(note: Note) -> Self {
        let stems = Claim::of(&note.body).content().into_iter().map(str::to_owned).collect();
        Self { stems, normal: crate::claims::normal_form(&note.body), note }
    }
}

/// Who gave a file the bytes that it has, and when, as the journal has it: what the bytes say of it anybody may have written.
pub(super) struct Written {
    pub by: String,
    pub at_ms: i64,
}

impl Written {
    /// Who the bytes say it was, where that is somebody else.
    pub(super) fn other(&self, claimed: &str) -> Option<String> {
        (!claimed.is_empty() && claimed != self.by).then(|| claimed.to_owned())
    }

    /// When, in milliseconds since 1970: what the bytes say, where that is just before; whoever writes them looks at the clock first.
    pub(super) fn moment(&self, claimed_ms: Option<i64>) -> i64 {
        let is_just_before = |claimed: &i64| (self.at_ms - WRITING_MS..=self.at_ms).contains(claimed);
        claimed_ms.filter(is_just_before).unwrap_or(self.at_ms)
    }
}

/// A memory is written within so long after its text was made, embedding it and waiting for a turn included.
const WRITING_MS: i64 = 60_000;

/// A file of a memory.
pub(super) struct Shelved {
    pub row: FileRow,
    pub place: Place,
    /// With the workspace's name.
    pub full: String,
}

impl Session {
    /// The files of memories of a workspace that a scope shows, below a folder, by path.
    pub(super) fn shelf(
        &self,
        scope: &Scope,
        workspace: &OpenWorkspace,
        agent: Option<&str>,
    ) -> Result<Vec<Shelved>> {
        let folder = RelPath::root().join(FOLDER);
        let folder = agent.map_or_else(|| folder.clone(), |agent| folder.join(agent));
        let rows = self.rows_in(scope, workspace, &folder)?;
        let name = &workspace.row.name;
        let shelve = |row: FileRow| {
            let place = memory::place_of(&row.path)?;
            Some(Shelved { full: join_path(name, &row.path), place, row })
        };
        Ok(rows.into_iter().filter_map(shelve).collect())
    }

    /// A note as it is now; `None` where the file is gone or is no text.
    pub(super) fn note_of(&self, workspace: &OpenWorkspace, row: &FileRow) -> Result<Option<Arc<KeptNote>>> {
        let cache = &self.engine.notes;
        if let Some(kept) = cache.get(row.state.version) {
            return Ok(Some(kept));
        }
        let Some(text) = self.text_of_row(workspace, row)? else { return Ok(None) };
        let kept = Arc::new(KeptNote::of(read_note(&text)));
        cache.put(VersionId::of(text.as_bytes()), &kept);
        Ok(Some(kept))
    }

    /// Who wrote a memory's file as it is.
    pub(super) fn written(&self, row: &FileRow) -> Result<Written> {
        let event = journal::event_at(&self.engine.catalog, row.seq)?;
        Ok(match event {
            Some(event) => Written { by: event.actor, at_ms: event.occurred_ms },
            None => Written { by: String::new(), at_ms: row.state.mtime_ns / 1_000_000 },
        })
    }

    /// The text of a memory's file; `None` where it is gone, too large or no UTF-8.
    pub(super) fn text_of_row(&self, workspace: &OpenWorkspace, row: &FileRow) -> Result<Option<String>> {
        if row.state.size_bytes > MAX_FILE_BYTES {
            return Ok(None);
        }
        let bytes = workspace.tree.read(&row.path, u64::MAX)?.map(|(bytes, _)| bytes);
        Ok(bytes.and_then(|bytes| String::from_utf8(bytes).ok()))
    }

    /// The workspace in which an agent's memory is meant: the one that is named, or the only one where this principal may read
    /// that memory and do `verb` in it.
    ///
    /// # Errors
    /// [`Error::NotFound`] where no workspace may be seen; [`Error::Invalid`] where several come into question, or none of those
    /// that may be seen does.
    pub(super) fn memory_workspace(
        &self,
        named: Option<&str>,
        agent: &str,
        verb: Verb,
    ) -> Result<WorkspaceName> {
        if let Some(name) = named {
            return match WorkspaceName::new(name) {
                Ok(name) => Ok(name),
                // By its shown id.
                Err(_) => Ok(self.seen_workspace(name)?.row.name.clone()),
            };
        }
        let below = RelPath::root().join(FOLDER).join(agent).join("notes").join("note.md");
        let may = |name: &WorkspaceName| {
            let path = join_path(name, &below);
            [Verb::Read, verb].into_iter().all(|verb| self.decide(verb, &path).allowed)
        };
        let mut names: Vec<WorkspaceName> = self.engine.workspace_names().into_iter().filter(may).collect();
        let missing = |expected| Error::Invalid { field: "workspace", found: "missing".to_owned(), expected };
        match names.len() {
            1 => return Ok(names.remove(0)),
            0 => {}
            _ => return Err(missing(format!("one of {}", shown(&names)))),
        }
        // What may be seen is named: there the right that is missing is told.
        let mut seen: Vec<WorkspaceName> =
            self.seen_workspaces()?.into_iter().map(|seen| seen.row.name.clone()).collect();
        match seen.len() {
            1 => Ok(seen.remove(0)),
            0 => Err(absent_memory(&format!("/<workspace>/{FOLDER}/{agent}"))),
            _ => Err(missing(format!(
                "one where {} has `read` and `{verb}` below `{FOLDER}/{agent}/`, which none of {} is",
                self.actor.principal,
                shown(&seen)
            ))),
        }
    }

    /// The sentences of texts with their vectors, each of which is computed once for the whole home.
    pub(super) fn parts_of(&self, bodies: &[&str]) -> Vec<Vec<Part>> {
        let spans: Vec<Vec<crate::span::Span>> = bodies.iter().map(|body| sentences_of(body)).collect();
        let texts: Vec<&str> = bodies
            .iter()
            .zip(&spans)
            .flat_map(|(body, spans)| spans.iter().filter_map(|span| span.of(body)))
            .collect();
        let mut vectors = self.engine.vectors_of(&texts).into_iter();
        let mut texts = texts.into_iter();
        let mut part = |span| Part {
            span,
            claim: Claim::of(texts.next().unwrap_or_default()),
            vector: vectors.next().flatten(),
        };
        spans.into_iter().map(|spans| spans.into_iter().map(&mut part).collect()).collect()
    }
}

fn shown(names: &[WorkspaceName]) -> String {
    let names: Vec<String> = names.iter().take(20).map(|name| format!("`{name}`")).collect();
    names.join(", ")
}

/// Nothing there, or nothing that the asker may see.
pub(super) fn absent_memory(name: &str) -> Error {
    Error::NotFound { what: "memory", name: name.to_owned() }
}

impl NoteCache {
    fn get(&self, version: VersionId) -> Option<Arc<KeptNote>> {
        self.kept.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).get(&version).cloned()
    }

    fn put(&self, version: VersionId, note: &Arc<KeptNote>) {
        let mut kept = self.kept.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        if kept.len() >= MAX_KEPT {
            kept.clear();
        }
        kept.insert(version, Arc::clone(note));
    }

    /// The turn of an agent's memory in a workspace.
    pub(super) fn turn(&self, workspace: WorkspaceId, agent: &str) -> Turn {
        let mut turns = self.turns.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        if turns.len() >= MAX_TURNS {
            turns.retain(|_, turn| Arc::strong_count(turn) > 1);
        }
        Arc::clone(turns.entry((workspace, agent.to_owned())).or_default())
    }
}

impl Engine {
    /// The embeddings of texts, in their order, from the home's cache where they are known; `None` without a model, or where it
    /// fails: words decide then, and [`Self::blindness`] tells it.
    pub(super) fn vectors_of(&self, texts: &[&str]) -> Vec<Option<Vec<f32>>> {
        let Some((embedder, cache)) = self.embedder.as_deref().zip(self.cache.as_ref()) else {
            return vec![None; texts.len()];
        };
        let hashes: Vec<[u8; 32]> =
            texts.iter().map(|text| *blake3::hash(text.as_bytes()).as_bytes()).collect();
        let known = |hash| {
            // A cache that can't be read costs only time.
            cache.get(hash).unwrap_or_else(|error| {
                tracing::warn!(%error, "a kept embedding could not be read");
                None
            })
        };
        let mut vectors: Vec<Option<Vec<f32>>> = hashes.iter().map(known).collect();
        let missing: Vec<usize> = (0..texts.len()).filter(|at| vectors[*at].is_none()).collect();
        for batch in missing.chunks(BATCH) {
            let Some(computed) = embed(embedder, batch, texts) else { break };
            let rows: Vec<([u8; 32], Vec<f32>)> =
                batch.iter().zip(computed).map(|(at, vector)| (hashes[*at], vector)).collect();
            // A cache that can't be written costs only time.
            if let Err(error) = cache.put(&rows) {
                tracing::warn!(%error, "embeddings could not be kept");
            }
            for (at, (_, vector)) in batch.iter().zip(rows) {
                vectors[*at] = Some(vector);
            }
        }
        vectors
    }

    /// Why a text has no embedding.
    pub(super) fn blindness(&self) -> Degraded {
        if self.embedder.is_none() {
            return Degraded::no_model();
        }
        let reason =
            "the embedding model failed: only words were compared; the server's log says why".to_owned();
        Degraded { stage: "semantic", reason }
    }
}

fn embed(embedder: &dyn Embedder, batch: &[usize], texts: &[&str]) -> Option<Vec<Vec<f32>>> {
    let batch: Vec<&str> = batch.iter().map(|at| texts[*at]).collect();
    match embedder.embed_documents(&batch) {
        Ok(vectors) => Some(vectors),
        Err(error) => {
            tracing::warn!(%error, "notes could not be embedded; words decide");
            None
        }
    }
}

/// Whether a note's topic is a topic or lies below it.
pub(super) fn is_topic(place: &Place, wanted: Option<&str>) -> bool {
    let Some(wanted) = wanted else { return true };
    place.kind == Kind::Note
        && place.name.strip_prefix(wanted).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}
