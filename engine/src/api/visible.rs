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
    changes: Vec<Shown>,
    read_up_to: Seq,
}

/// A change that the scope shows.
#[derive(Clone, Copy)]
struct Shown {
    seq: Seq,
    workspace: WorkspaceId,
    file: FileId,
    /// Milliseconds since 1970; never before that of the shown change before it, whatever the clock did.
    at_ms: i64,
}

/// A place among the changes that one scope shows: so many of them happened in that millisecond up to it. It depends on
/// nothing that the scope does not show, nor on how much of the past is still kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Position {
    /// Milliseconds since 1970.
    pub at_ms: i64,
    /// From 1; 0 only before everything.
    pub nth: u32,
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
            for touched in new {
                let name = name_of(touched.workspace);
                if name.is_some_and(|name| scope.allows(&format!("/{name}/{}", touched.path))) {
                    self.push(&touched);
                }
            }
        }
    }

    fn push(&mut self, touched: &Touched) {
        let Touched { seq, workspace, file, occurred_ms, .. } = *touched;
        let at_ms = self.changes.last().map_or(occurred_ms, |last| last.at_ms.max(occurred_ms));
        self.changes.push(Shown { seq, workspace, file, at_ms });
    }

    /// How many shown changes there are up to a place in the journal.
    fn up_to(&self, seq: Seq) -> usize {
        self.changes.partition_point(|shown| shown.seq <= seq)
    }

    /// Where the last shown change up to a place in the journal stands among the shown ones.
    pub fn position(&self, seq: Seq) -> Position {
        let up_to = self.up_to(seq);
        let Some(last) = up_to.checked_sub(1).map(|at| self.changes[at]) else { return Position::default() };
        let before = self.changes.partition_point(|shown| shown.at_ms < last.at_ms);
        Position { at_ms: last.at_ms, nth: u32::try_from(up_to - before).unwrap_or(u32::MAX) }
    }

    /// The place of the shown change of a position; that of the last one before it where it is kept no more.
    pub fn seq_of(&self, position: Position) -> Seq {
        let before = self.changes.partition_point(|shown| shown.at_ms < position.at_ms);
        let within = self.changes[before..].partition_point(|shown| shown.at_ms <= position.at_ms);
        let last = before + within.min(position.nth as usize);
        last.checked_sub(1).map_or(Seq(0), |at| self.changes[at].seq)
    }

    /// The last shown change of a workspace up to a place in the journal.
    pub fn last_before(&self, workspace: WorkspaceId, seq: Seq) -> Seq {
        let mut back = self.changes[..self.up_to(seq)].iter().rev();
        let last = back.find(|shown| shown.workspace == workspace && shown.file.0 > 0);
        last.map_or(Seq(0), |shown| shown.seq)
    }

    /// How many different shown files of a workspace changed after a place in the journal.
    pub fn files_after(&self, workspace: WorkspaceId, seq: Seq) -> u64 {
        let after = self.changes[self.up_to(seq)..].iter();
        let of_workspace = after.filter(|shown| shown.workspace == workspace && shown.file.0 > 0);
        let mut files: Vec<FileId> = of_workspace.map(|shown| shown.file).collect();
        files.sort_unstable();
        files.dedup();
        files.len() as u64
    }
}
