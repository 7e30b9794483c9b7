//! The file of a cache: derived, and so set aside and begun anew where it is damaged.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use rusqlite::Connection;

use super::CatalogError;
use super::error::is_damaged;

/// An SQLite file that may go at any time, with what `prepare` gives for it.
pub struct CacheFile<T> {
    path: PathBuf,
    prepare: Prepare<T>,
    state: Mutex<(Connection, T)>,
    was_damaged: AtomicBool,
}

/// Makes the tables where they are missing.
type Prepare<T> = Box<dyn Fn(&Connection) -> rusqlite::Result<T> + Send + Sync>;

impl<T> CacheFile<T> {
    /// Opens or makes the file.
    ///
    /// # Errors
    /// [`CatalogError::Cache`] where it can't be used, [`CatalogError::Aside`].
    pub fn open(
        path: &Path,
        prepare: impl Fn(&Connection) -> rusqlite::Result<T> + Send + Sync + 'static,
    ) -> Result<Self, CatalogError> {
        let prepare: Prepare<T> = Box::new(prepare);
        let mut was_damaged = false;
        let mut opened = connect(path, &prepare);
        if opened.as_ref().is_err_and(is_damaged) {
            set_aside(path)?;
            was_damaged = true;
            opened = connect(path, &prepare);
        }
        let state = opened.map_err(|source| CatalogError::Cache { path: path.to_owned(), source })?;
        let (path, state) = (path.to_owned(), Mutex::new(state));
        Ok(Self { path, prepare, state, was_damaged: AtomicBool::new(was_damaged) })
    }

    /// Runs `act`, and once more on an empty file where the file turns out to be damaged.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn run<R>(
        &self,
        act: impl Fn(&mut Connection, &T) -> rusqlite::Result<R>,
    ) -> Result<R, CatalogError> {
        let mut state = self.state.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        let (connection, prepared) = &mut *state;
        let mut done = act(connection, prepared);
        if done.as_ref().is_err_and(is_damaged) {
            self.begin_anew(&mut state)?;
            let (connection, prepared) = &mut *state;
            done = act(connection, prepared);
        }
        done.map_err(|source| self.failed(source))
    }

    /// Reads the whole file; whether it was found to be damaged, now or since the last time that this was asked.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn check(&self) -> Result<bool, CatalogError> {
        self.run(|connection, _| {
            let first: String = connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
            if first == "ok" { Ok(()) } else { Err(damage(first)) }
        })?;
        Ok(self.was_damaged.swap(false, Ordering::Relaxed))
    }

    fn begin_anew(&self, state: &mut (Connection, T)) -> Result<(), CatalogError> {
        // The last to close a file removes the log beside it, by its name: that has to be before there is a new one.
        let memory = Connection::open_in_memory().map_err(|source| self.failed(source))?;
        drop(std::mem::replace(&mut state.0, memory));
        set_aside(&self.path)?;
        self.was_damaged.store(true, Ordering::Relaxed);
        *state = connect(&self.path, &self.prepare).map_err(|source| self.failed(source))?;
        Ok(())
    }

    fn failed(&self, source: rusqlite::Error) -> CatalogError {
        CatalogError::Cache { path: self.path.clone(), source }
    }
}

fn connect<T>(path: &Path, prepare: &Prepare<T>) -> rusqlite::Result<(Connection, T)> {
    let connection = Connection::open(path)?;
    connection.busy_timeout(std::time::Duration::from_secs(5))?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "NORMAL")?;
    let prepared = prepare(&connection)?;
    Ok((connection, prepared))
}

fn damage(what: String) -> rusqlite::Error {
    rusqlite::Error::SqliteFailure(rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_CORRUPT), Some(what))
}

/// Renames the file to `….damaged`. The log of the old file must not be taken for the new one's.
fn set_aside(path: &Path) -> Result<(), CatalogError> {
    let beside = |ending: &str| {
        let mut name = path.as_os_str().to_owned();
        name.push(ending);
        PathBuf::from(name)
    };
    let failed = |source| CatalogError::Aside { path: path.to_owned(), source };
    fs::rename(path, beside(".damaged")).map_err(failed)?;
    for log in ["-wal", "-shm"] {
        match fs::remove_file(beside(log)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed(error)),
            _ => {}
        }
    }
    tracing::warn!(path = %path.display(), "a damaged cache was set aside, and an empty one begun");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::EmbeddingCache;

    fn filled(path: &Path) {
        let cache = EmbeddingCache::open(path, "model").unwrap();
        let rows: Vec<_> = (0..200_u8).map(|n| ([n; 32], vec![f32::from(n); 500])).collect();
        cache.put(&rows).unwrap();
    }

    /// Everything behind the first `keep` bytes becomes junk.
    fn ruin(path: &Path, keep: usize) {
        let mut bytes = fs::read(path).unwrap();
        assert!(bytes.len() > keep, "the subject is missing");
        bytes[keep..].fill(0xAB);
        fs::write(path, bytes).unwrap();
    }

    #[test]
    fn a_damaged_cache_is_set_aside_when_it_is_opened_or_used() {
        for keep in [0, 4096, 100_000] {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("embeddings.db");
            filled(&path);
            ruin(&path, keep);
            let cache = EmbeddingCache::open(&path, "model").unwrap();
            let found: Vec<_> = (0..200_u8).map(|n| cache.get(&[n; 32]).unwrap()).collect();
            assert!(found.contains(&None), "{keep}: what is damaged is not given");
            assert!(cache.check().unwrap(), "{keep}: the damage is told");
            assert!(!cache.check().unwrap(), "{keep}: and told once");
            assert!(folder.path().join("embeddings.db.damaged").exists(), "{keep}");
            cache.put(&[([7; 32], vec![1.0])]).unwrap();
            assert_eq!(cache.get(&[7; 32]).unwrap(), Some(vec![1.0]), "{keep}");
        }
    }

    #[test]
    fn what_nobody_reads_is_found_by_a_check() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("embeddings.db");
        filled(&path);
        ruin(&path, 100_000);
        let cache = EmbeddingCache::open(&path, "model").unwrap();
        assert!(cache.check().unwrap());
        assert_eq!(cache.get(&[0; 32]).unwrap(), None, "a new one was begun");
    }
}
