//! What of the home one scope shows: its files and its changes, compiled once and then only carried on.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use crate::access::Scope;
use crate::catalog::{Catalog, CatalogError};
use crate::id::{FileId, Seq, WorkspaceId, WorkspaceName};
use crate::index::FileSet;
use crate::journal::{self, Touched};

/// Scopes kept; more than the principals that usually act at the same time.
const MAX_KEPT: usize = 128;
/// Changes read from the journal at once.
const CHANGES_PER_READ: usize = 4096;

/// What every kept scope shows.
#[derive(Default)]
pub struct VisibleCache {
    kept: Mutex<Vec<Kept>>,
}

/// A scope's name, and what it shows.
type Kept = ([u8; 32], Arc<Mutex<Visible>>);

/// What one scope shows. Files are numbered as they come and a number keeps its path, so what was once decided holds.
#[derive(Default)]
pub struct Visible {
    files: BTreeMap<WorkspaceId, Files>,
    changes: Vec<(Seq, WorkspaceId, FileId)>,
    read_up_to: Seq,
}

struct Files {
    read_up_to: FileId,
    shown: Arc<FileSet>,
}

impl VisibleCache {
    /// What a scope shows, as far as it was looked at.
    pub fn of(&self, scope: &Scope) -> Arc<Mutex<Visible>> {
        let name = scope.name();
        let mut kept = self.kept.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        if let Some(at) = kept.iter().position(|(other, _)| *other == name) {
            // The one used last goes last.
            let found = kept.remove(at);
            let visible = Arc::clone(&found.1);
            kept.push(found);
            return visible;
        }
        if kept.len() >= MAX_KEPT {
            kept.remove(0);
        }
        let visible = Arc::default();
        kept.push((name, Arc::clone(&visible)));
        visible
    }
}

impl Visible {
    /// All files of a workspace that the scope shows; some of them may be gone.
    ///
    /// # Errors
    /// [`CatalogError`].
    pub fn files(
        &mut self,
        catalog: &Catalog,
        scope: &Scope,
        workspace: WorkspaceId,
        name: &WorkspaceName,
    ) -> Result<Arc<FileSet>, CatalogError> {
        let none = || Files { read_up_to: FileId(0), shown: Arc::new(FileSet::new(Vec::new())) };
        let files = self.files.entry(workspace).or_insert_with(none);
        let new = catalog.paths_after(workspace, files.read_up_to)?;
        if let Some((last, _)) = new.last() {
            files.read_up_to = *last;
            let shown = new.iter().filter(|(_, path)| scope.allows(&format!("/{name}/{path}")));
            let shown: Vec<FileId> = shown.map(|(id, _)| *id).collect();
            if !shown.is_empty() {
                files.shown = Arc::new(FileSet::new([files.shown.ids(), &shown].concat()));
            }
        }
        Ok(Arc::clone(&files.shown))
    }

    /// Reads the journal to its end. `name_of` gives a workspace's name; one that is gone shows nothing.
    ///
    /// # Errors
    /// [`CatalogError`].
    pub fn read_journal(
        &mut self,
        catalog: &Catalog,
        scope: &Scope,
        name_of: &dyn Fn(WorkspaceId) -> Option<WorkspaceName>,
    ) -> Result<(), CatalogError> {
        loop {
            let new: Vec<Touched> = journal::touched_after(catalog, self.read_up_to, CHANGES_PER_READ)?;
            let Some(last) = new.last() else { return Ok(()) };
            self.read_up_to = last.seq;
            let shown = new.iter().filter(|touched| {
                name_of(touched.workspace)
                    .is_some_and(|name| scope.allows(&format!("/{name}/{}", touched.path)))
            });
            self.changes.extend(shown.map(|touched| (touched.seq, touched.workspace, touched.file)));
        }
    }

    /// How many shown changes there are up to a place in the journal.
    pub fn rank(&self, seq: Seq) -> u64 {
        self.changes.partition_point(|(other, _, _)| *other <= seq) as u64
    }

    /// The place of the shown change of a rank; the last one's for a rank beyond.
    pub fn seq_of(&self, rank: u64) -> Seq {
        let last = usize::try_from(rank).unwrap_or(usize::MAX).min(self.changes.len());
        last.checked_sub(1).map_or(Seq(0), |at| self.changes[at].0)
    }

    /// The last shown change of a workspace up to a place in the journal.
    pub fn last_before(&self, workspace: WorkspaceId, seq: Seq) -> Seq {
        let up_to = self.rank(seq) as usize;
        let last =
            self.changes[..up_to].iter().rev().find(|(_, other, file)| *other == workspace && file.0 > 0);
        last.map_or(Seq(0), |(seq, _, _)| *seq)
    }

    /// How many different shown files of a workspace changed after a place in the journal.
    pub fn files_after(&self, workspace: WorkspaceId, seq: Seq) -> u64 {
        let after = &self.changes[self.rank(seq) as usize..];
        let mut files: Vec<FileId> = after
            .iter()
            .filter(|(_, other, file)| *other == workspace && file.0 > 0)
            .map(|(_, _, file)| *file)
            .collect();
        files.sort_unstable();
        files.dedup();
        files.len() as u64
    }
}
