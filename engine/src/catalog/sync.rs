//! Group commit: writers that finish about together share one sync of SQLite's write-ahead log.
//!
//! A commit in WAL mode has written its frames to the log when it returns; it is durable once the log is synced
//! (sqlite.org/wal.html, «Performance considerations»). A checkpoint syncs the log before it copies it, so a log that was
//! begun anew meanwhile holds nothing older that still waits.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::{Condvar, Mutex, MutexGuard};

use super::CatalogError;

/// A commit that is not durable yet.
#[must_use = "the change is durable only after `Catalog::sync`"]
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Unsynced {
    number: u64,
    is_news: bool,
}

impl Unsynced {
    /// Whether the journal has grown.
    pub(super) fn is_news(self) -> bool {
        self.is_news
    }
}

/// The log, and how far it is durable.
pub struct GroupSync {
    path: PathBuf,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    log: Option<File>,
    written: u64,
    synced: u64,
    is_syncing: bool,
}

impl GroupSync {
    /// For the log of the catalog at `path`.
    pub fn new(path: &Path) -> Self {
        let mut log = path.as_os_str().to_owned();
        log.push("-wal");
        Self { path: log.into(), state: Mutex::default(), changed: Condvar::new() }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// Notes a commit whose frames are in the log.
    pub fn written(&self, is_news: bool) -> Unsynced {
        let mut state = self.lock();
        state.written += 1;
        Unsynced { number: state.written, is_news }
    }

    /// Waits until a commit is durable; whoever finds nobody at it syncs for all that were written by then.
    ///
    /// # Errors
    /// [`CatalogError::Sync`].
    pub fn sync(&self, unsynced: Unsynced) -> Result<(), CatalogError> {
        let mut state = self.lock();
        while state.synced < unsynced.number {
            if state.is_syncing {
                state = self.changed.wait(state).unwrap_or_else(|poisoned| poisoned.into_inner());
                continue;
            }
            state.is_syncing = true;
            let (up_to, log) = (state.written, state.log.take());
            drop(state);
            let outcome = self.sync_log(log);
            state = self.lock();
            state.is_syncing = false;
            self.changed.notify_all();
            match outcome {
                Ok(log) => {
                    state.log = Some(log);
                    state.synced = state.synced.max(up_to);
                }
                Err(source) => return Err(CatalogError::Sync { source }),
            }
        }
        Ok(())
    }

    fn sync_log(&self, log: Option<File>) -> std::io::Result<File> {
        let log = match log {
            Some(log) => log,
            None => {
                let log = File::options().write(true).open(&self.path)?;
                // Its name must be durable, too.
                if let Some(folder) = self.path.parent() {
                    File::open(folder)?.sync_all()?;
                }
                log
            }
        };
        log.sync_data()?;
        Ok(log)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::Catalog;

    #[test]
    fn everybody_who_waits_is_synced() {
        let folder = tempfile::tempdir().unwrap();
        let catalog = Catalog::open(&folder.path().join("catalog.db")).unwrap();
        std::thread::scope(|threads| {
            for thread in 0..8 {
                let catalog = &catalog;
                threads.spawn(move || {
                    for number in 0..20 {
                        catalog.set_meta(&format!("{thread}"), &number.to_string()).unwrap();
                    }
                });
            }
        });
        let state = catalog.log.lock();
        assert_eq!((state.written, state.synced), (160, 160));
    }

    #[test]
    fn a_log_that_can_not_be_synced_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let log = GroupSync::new(&folder.path().join("none.db"));
        let unsynced = log.written(false);
        assert!(matches!(log.sync(unsynced), Err(CatalogError::Sync { .. })));
    }
}
