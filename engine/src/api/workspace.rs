use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use super::error::Result;
use crate::catalog::{Catalog, WorkspaceRow};
use crate::id::Seq;
use crate::index::WorkspaceIndex;
use crate::store::{Skipped, Tree};

/// What has to have read a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Arm {
    /// Words.
    Lexical,
    /// Words and meaning.
    Both,
}

/// A workspace that is open: its folder and its index.
pub struct OpenWorkspace {
    pub row: WorkspaceRow,
    pub tree: Tree,
    pub index: WorkspaceIndex,
    /// Why the index is another one than would be built now, where it was left so.
    pub stale: Option<String>,
    /// Held by whoever changes files and catalog together.
    pub turn: Mutex<()>,
    /// Set while it is let go: whoever works on it, or waits for it, ends early.
    pub closing: AtomicBool,
    moved: (Mutex<()>, Condvar),
    catalog: Arc<Catalog>,
    /// Whether the catalog knows that the index holds something.
    is_noted: AtomicBool,
    /// What the last look at the tree found that can't be a file here.
    left_out: Mutex<Arc<[Skipped]>>,
}

/// Names that can't be files are remembered up to so many.
const MAX_LEFT_OUT: usize = 1000;

impl OpenWorkspace {
    pub fn new(row: WorkspaceRow, tree: Tree, index: WorkspaceIndex, catalog: Arc<Catalog>) -> Self {
        let (turn, moved) = (Mutex::new(()), (Mutex::new(()), Condvar::new()));
        let (closing, is_noted) = (AtomicBool::new(false), AtomicBool::new(false));
        let left_out = Mutex::new(Arc::from([]));
        let workspace =
            Self { row, tree, index, stale: None, turn, closing, moved, catalog, is_noted, left_out };
        workspace.note_indexed();
        workspace
    }

    /// Keeps what a look at the tree found that can't be a file here.
    pub fn note_left_out(&self, found: &[Skipped]) {
        let kept = found.iter().take(MAX_LEFT_OUT).cloned().collect();
        *self.left_out.lock().unwrap_or_else(|poisoned| poisoned.into_inner()) = kept;
    }

    /// What stands in the tree and can't be a file here, as of the last look; 1,000 names at most.
    pub fn left_out(&self) -> Arc<[Skipped]> {
        Arc::clone(&self.left_out.lock().unwrap_or_else(|poisoned| poisoned.into_inner()))
    }

    /// Tells those who wait that the index has moved on.
    pub fn notify(&self) {
        self.moved.1.notify_all();
        self.note_indexed();
    }

    /// Makes the catalog remember that there was an index: one that is missing later is told from one that never was.
    fn note_indexed(&self) {
        if self.is_noted.load(Ordering::Relaxed) || self.index.position().lexical_seq == 0 {
            return;
        }
        let id = self.row.id;
        let noted = self
            .catalog
            .was_indexed(id)
            .and_then(|was_indexed| if was_indexed { Ok(()) } else { self.catalog.note_indexed(id) });
        match noted {
            Ok(()) => self.is_noted.store(true, Ordering::Relaxed),
            Err(error) => tracing::warn!(workspace = %self.row.name, %error, "an index is not noted"),
        }
    }

    /// Waits until an arm has read up to `seq`; whether it has.
    pub fn wait_for(&self, seq: Seq, arm: Arm, patience: Duration) -> Result<bool> {
        let deadline = Instant::now() + patience;
        let mut guard = self.moved.0.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        loop {
            let position = self.index.position();
            let reached = match arm {
                Arm::Lexical => position.lexical(),
                Arm::Both => position.lexical().min(position.semantic()),
            };
            if reached >= seq {
                return Ok(true);
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() || self.closing.load(Ordering::Relaxed) {
                return Ok(false);
            }
            // A wake-up between the look and the wait would be missed, so no wait is long.
            let step = left.min(Duration::from_millis(50));
            guard = self.moved.1.wait_timeout(guard, step).unwrap_or_else(|poisoned| poisoned.into_inner()).0;
        }
    }
}
