//! A workspace's state of some time ago, made searchable: what has changed since gets a small index of its own, beside
//! today's.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex};

use super::engine::Engine;
use super::error::Result;
use super::workspace::OpenWorkspace;
use crate::catalog::FileRow;
use crate::change::describe;
use crate::id::{FileId, RelPath, Seq};
use crate::index::{Searcher, WorkspaceIndex};
use crate::ingest;
use crate::journal::{self, PathState};

/// Indexes of past states that are kept for the next question.
const MAX_KEPT: usize = 4;

/// What a workspace held after some change.
pub struct Past {
    /// Files that still are as they were then.
    pub still: Vec<FileRow>,
    /// The others.
    pub index: Arc<PastIndex>,
}

/// An index of files that have changed since, or are gone; their numbers mean nothing outside of it.
pub struct PastIndex {
    name: [u8; 32],
    /// By number.
    pub rows: Vec<FileRow>,
    /// Files whose bytes of then are pruned: they can't be searched any more.
    pub pruned: Vec<RelPath>,
    index: Option<WorkspaceIndex>,
    folder: PathBuf,
}

impl PastIndex {
    /// Its one generation.
    pub fn searcher(&self) -> Arc<Searcher> {
        self.index.as_ref().expect("it is there until it is dropped").searcher()
    }
}

impl Drop for PastIndex {
    fn drop(&mut self) {
        if let Some(index) = self.index.take() {
            let _ = index.close();
        }
        // What stays is swept when the home is opened the next time.
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// The indexes that are kept.
#[derive(Default)]
pub struct PastCache {
    kept: Mutex<Vec<Arc<PastIndex>>>,
    building: Mutex<u64>,
}

impl Engine {
    /// What a workspace held after the change `seq`.
    ///
    /// # Errors
    /// Where catalog, blobs or index can't be read or written.
    pub(super) fn past(&self, workspace: &OpenWorkspace, seq: Seq) -> Result<Past> {
        let states = self.states_at(workspace, seq)?;
        let mut today: BTreeMap<String, FileRow> = self
            .catalog
            .files(workspace.row.id)?
            .into_iter()
            .map(|row| (row.path.as_str().to_owned(), row))
            .collect();
        let (mut still, mut changed) = (Vec::new(), Vec::new());
        for (path, state) in states {
            match today.remove(&path) {
                Some(mut row) if row.state.version == state.version => {
                    row.state.approved_by = state.approved_by;
                    still.push(row);
                }
                _ => changed.push((path, state)),
            }
        }
        Ok(Past { still, index: self.past_index(workspace, &changed)? })
    }

    /// What stood under each path of a workspace after the change `seq`, but for what it shows to nobody.
    ///
    /// # Errors
    /// Where the catalog can't be read.
    pub(super) fn states_at(
        &self,
        workspace: &OpenWorkspace,
        seq: Seq,
    ) -> Result<BTreeMap<String, PathState>> {
        let mut states = journal::state_at(&self.catalog, workspace.row.id, seq)?;
        states.retain(|path, _| RelPath::new(path).is_ok_and(|path| !workspace.tree.is_of_home(&path)));
        Ok(states)
    }

    fn past_index(&self, workspace: &OpenWorkspace, files: &[(String, PathState)]) -> Result<Arc<PastIndex>> {
        let mut hasher = blake3::Hasher::new();
        hasher.update(&workspace.row.id.0.to_le_bytes());
        for (path, state) in files {
            hasher.update(path.as_bytes()).update(state.version.as_bytes());
            hasher.update(&[u8::from(state.approved_by.is_some())]);
        }
        let name = *hasher.finalize().as_bytes();
        let find = || {
            let kept = self.past.kept.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
            kept.iter().find(|past| past.name == name).cloned()
        };
        if let Some(found) = find() {
            return Ok(found);
        }
        // One is built at a time; whoever waited may find theirs ready.
        let mut number = self.past.building.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        if let Some(found) = find() {
            return Ok(found);
        }
        *number += 1;
        let folder = self.layout.past().join(number.to_string());
        let built = Arc::new(self.build_past(workspace, files, name, folder)?);
        let mut kept = self.past.kept.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        if kept.len() >= MAX_KEPT {
            kept.remove(0);
        }
        kept.push(Arc::clone(&built));
        Ok(built)
    }

    fn build_past(
        &self,
        workspace: &OpenWorkspace,
        files: &[(String, PathState)],
        name: [u8; 32],
        folder: PathBuf,
    ) -> Result<PastIndex> {
        let cancelled = AtomicBool::new(false);
        let (index, _) = WorkspaceIndex::open(&folder, &self.fingerprint())?;
        let context = ingest::Context { index: &index, ..self.context(workspace, &cancelled) };
        let (mut rows, mut pruned) = (Vec::with_capacity(files.len()), Vec::new());
        for (path, state) in files {
            let Ok(path) = RelPath::new(path) else { continue };
            let Some(bytes) = self.blobs.get(state.version)? else {
                pruned.push(path);
                continue;
            };
            let mtime_ns = state.occurred_ms.saturating_mul(1_000_000);
            let mut described = describe(&context.place, &path, &bytes, state.version, mtime_ns);
            described.approved_by.clone_from(&state.approved_by);
            let id = FileId(rows.len() as u64 + 1);
            let row = FileRow { id, path, state: described, seq: Seq(0) };
            ingest::index_bytes(&context, &row, &bytes)?;
            rows.push(row);
        }
        ingest::publish(&context)?;
        Ok(PastIndex { name, rows, pruned, index: Some(index), folder })
    }

    /// Removes what an earlier process left of past indexes.
    pub(super) fn sweep_past(&self) {
        let folder = self.layout.past();
        if folder.exists()
            && let Err(error) = std::fs::remove_dir_all(&folder)
        {
            tracing::warn!(%error, "indexes of past states can't be removed");
        }
    }
}
