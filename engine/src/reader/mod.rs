//! Bytes → text, with the dangerous part kept apart.
//!
//! Takes a version's name and bytes, gives the [`Document`] that `text` makes of them, or why there is none. Text is read
//! in place. Formats whose readers may break down are read in a worker process of the same program ([`Isolation`]): it is
//! handed the bytes through a pipe, has little memory and time, can open nothing, and ends with whoever started it. Which
//! command starts a worker is told from outside. What was made of a version is kept, so that a file is taken apart once,
//! and no query waits for that; a file over which its reader broke down is not tried again until it changes.
//!
//! It decides nothing about a file's place, and indexes nothing.

mod error;
mod pool;
mod wire;
mod worker;

pub use error::ReaderError;
pub use worker::work;

use std::ffi::OsString;
use std::path::Path;
use std::time::Duration;

use self::pool::Pool;
use crate::catalog::TextCache;
use crate::id::VersionId;
use crate::text::{self, Document, Limits, SkipReason};

/// Where formats are read whose readers may break down.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Isolation {
    /// In this process: a reader that aborts takes it along, and one that hangs keeps its thread. For programs that know
    /// their files, and for tests.
    #[default]
    InProcess,
    /// In worker processes.
    Workers(Workers),
}

/// How worker processes are started, and how patient one is with them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Workers {
    /// Program and arguments; the program calls [`work`].
    pub command: Vec<OsString>,
    /// Workers at the same time.
    pub n_workers: usize,
    /// For one file.
    pub patience: Duration,
}

impl Workers {
    /// Two workers with ten seconds for a file.
    pub fn new(command: impl IntoIterator<Item = impl Into<OsString>>) -> Self {
        let command = command.into_iter().map(Into::into).collect();
        Self { command, n_workers: 2, patience: Duration::from_secs(10) }
    }
}

/// What was made of a file, or why nothing was.
pub type Reading = Result<Document, SkipReason>;

/// Reads files; one for a home.
pub struct Reader {
    limits: Limits,
    pool: Option<Pool>,
    cache: TextCache,
    /// A part of each key: what the outcome depends on beside bytes and name.
    limits_key: Vec<u8>,
}

impl Reader {
    /// A reader that keeps what it read in the file `cache`.
    ///
    /// # Errors
    /// [`ReaderError::Cache`] where the file can't be used.
    pub fn open(cache: &Path, limits: Limits, isolation: Isolation) -> Result<Self, ReaderError> {
        let cache = TextCache::open(cache, text::EXTRACTOR_VERSION)?;
        let pool = match isolation {
            Isolation::InProcess => None,
            Isolation::Workers(workers) => Some(Pool::new(workers)),
        };
        let limits_key = serde_json::to_vec(&limits).unwrap_or_default();
        Ok(Self { limits, pool, cache, limits_key })
    }

    /// The limits that hold for each file.
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// Whether files of this name and content are read apart, and so not at once.
    pub fn is_apart(&self, name: &str, bytes: &[u8]) -> bool {
        bytes.len() <= self.limits.max_bytes && text::is_isolated(name, bytes)
    }

    /// Reads a file; `version` is the hash of `bytes`.
    ///
    /// # Errors
    /// [`ReaderError`] where no worker can be started or the cache can't be used. That a file can't be read is no error
    /// but an outcome.
    pub fn read(&self, version: VersionId, name: &str, bytes: &[u8]) -> Result<Reading, ReaderError> {
        if !self.is_apart(name, bytes) {
            return Ok(text::extract(name, bytes, &self.limits));
        }
        let key = self.key(name);
        if let Some(kept) = self.cache.get(version, &key)?.and_then(|stored| unpacked(&stored)) {
            return Ok(kept);
        }
        let reading = match &self.pool {
            Some(pool) => pool.read(name, bytes, &self.limits)?,
            None => in_process(name, bytes, &self.limits),
        };
        self.cache.put(version, &key, &packed(&reading))?;
        Ok(reading)
    }

    /// The most memory that a worker had which answered, in bytes; 0 without workers.
    pub fn peak_worker_bytes(&self) -> u64 {
        self.pool.as_ref().map_or(0, Pool::peak_bytes)
    }

    /// Forgets the texts of versions that are not to be kept.
    ///
    /// # Errors
    /// [`ReaderError::Cache`].
    pub fn retain(&self, keep: impl Fn(VersionId) -> bool) -> Result<(), ReaderError> {
        Ok(self.cache.retain(keep)?)
    }

    /// Reads all that is kept; whether it was damaged and begun anew since the last time that this was asked.
    ///
    /// # Errors
    /// [`ReaderError::Cache`].
    pub fn check_cache(&self) -> Result<bool, ReaderError> {
        Ok(self.cache.check()?)
    }

    /// Of a name only what says how to read a file counts, but for formats whose text is made of the name.
    fn key(&self, name: &str) -> [u8; 32] {
        let mut hasher = blake3::Hasher::new();
        hasher.update(&self.limits_key).update(b"\0").update(name.as_bytes());
        *hasher.finalize().as_bytes()
    }
}

/// Reads a file here and now; a reader that panics costs this file.
fn in_process(name: &str, bytes: &[u8], limits: &Limits) -> Reading {
    let read = || text::extract(name, bytes, limits);
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(read))
        .unwrap_or_else(|_| Err(SkipReason::Crashed { detail: "it panicked".to_owned() }))
}

fn packed(reading: &Reading) -> Vec<u8> {
    lz4_flex::compress_prepend_size(&serde_json::to_vec(reading).unwrap_or_default())
}

/// `None` where the cache is damaged: then the file is read again.
fn unpacked(stored: &[u8]) -> Option<Reading> {
    serde_json::from_slice(&lz4_flex::decompress_size_prepended(stored).ok()?).ok()
}
