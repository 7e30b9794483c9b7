//! The folder of a model on this machine: checked when it is opened, published by one rename.
//!
//! Layout: `CACHE/NAME/` holds the model's files and `waypost-lock.json`, which records each file's size, time of
//! change and SHA-256 as they were when the file was hashed. While size and time agree with the record the hash is
//! believed, which keeps opening fast; else the file is hashed again and held to the record and to the manifest.
//! Whatever lies in `CACHE/.staging-*` is an unfinished download.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::UNIX_EPOCH;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::error::FetchError;
use super::manifest::{FileSpec, ModelSpec};
use super::model_id::hex;
use super::{EmbedError, Progress};

/// Name of the record beside the files.
const LOCK_FILE: &str = "waypost-lock.json";

/// Version of the record.
const LOCK_FORMAT: u32 = 1;

/// Bytes read at once for a hash.
const HASH_BLOCK_BYTES: usize = 1 << 20;

/// What is known of a model's files; the record beside them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Lock {
    format: u32,
    model: String,
    /// Commit on the hub, or version of the package.
    revision: String,
    /// What served the files, in words.
    source: String,
    files: BTreeMap<String, LockedFile>,
}

/// One file as it was when it was hashed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct LockedFile {
    size_bytes: u64,
    /// Nanoseconds since 1970.
    modified_ns: u64,
    sha256: String,
}

/// Where files came from, for the record.
pub(super) struct Origin {
    /// What served them, in words.
    pub(super) source: String,
    /// Commit on the hub, or version of the package.
    pub(super) revision: String,
}

impl Lock {
    fn new(spec: &ModelSpec, origin: Origin) -> Self {
        let Origin { source, revision } = origin;
        Self { format: LOCK_FORMAT, model: spec.name.clone(), revision, source, files: BTreeMap::new() }
    }

    /// The SHA-256 of a file, hex.
    pub(super) fn sha256(&self, file: &str) -> Option<&str> {
        self.files.get(file).map(|file| file.sha256.as_str())
    }
}

/// Checks a folder that was given by hand: every file is hashed and held to the manifest where that pins it.
///
/// # Errors
/// [`EmbedError::MissingFile`], [`EmbedError::Damaged`], [`EmbedError::Io`].
pub(super) fn check_folder(
    folder: &Path,
    spec: &ModelSpec,
    progress: &mut dyn FnMut(Progress),
) -> Result<Lock, EmbedError> {
    let origin = Origin { source: "folder".to_owned(), revision: spec.revision.clone() };
    let mut lock = Lock::new(spec, origin);
    for file in &spec.files {
        progress(Progress::Checking { file: file.name.clone() });
        let found = hash_file(folder, &file.name)?;
        hold_to_manifest(&folder.join(&file.name), file, &found)?;
        lock.files.insert(file.name.clone(), found);
    }
    Ok(lock)
}

/// Checks a cached model; none where there is no such folder.
///
/// # Errors
/// As [`check_folder`]; a folder without a record counts as cached only if the manifest pins its files.
pub(super) fn check_cached(
    folder: &Path,
    spec: &ModelSpec,
    progress: &mut dyn FnMut(Progress),
) -> Result<Option<Lock>, EmbedError> {
    if !folder.exists() {
        return Ok(None);
    }
    let lock_path = folder.join(LOCK_FILE);
    let Some(old) = read_lock(&lock_path)? else {
        if !spec.is_pinned() {
            return Err(EmbedError::MissingFile { path: lock_path });
        }
        let lock = check_folder(folder, spec, progress)?;
        remember(&lock_path, &lock);
        return Ok(Some(lock));
    };
    let mut lock = old.clone();
    for file in &spec.files {
        let found = check_locked(folder, file, old.files.get(&file.name), progress)?;
        lock.files.insert(file.name.clone(), found);
    }
    if lock != old {
        remember(&lock_path, &lock);
    }
    Ok(Some(lock))
}

fn check_locked(
    folder: &Path,
    file: &FileSpec,
    locked: Option<&LockedFile>,
    progress: &mut dyn FnMut(Progress),
) -> Result<LockedFile, EmbedError> {
    let path = folder.join(&file.name);
    let (size_bytes, modified_ns) = stamp(&path)?;
    if let Some(locked) = locked {
        if locked.size_bytes != size_bytes {
            return Err(damaged(
                &path,
                format!("{} bytes", locked.size_bytes),
                format!("{size_bytes} bytes"),
            ));
        }
        if locked.modified_ns == modified_ns {
            hold_to_manifest(&path, file, locked)?;
            return Ok(locked.clone());
        }
    }
    progress(Progress::Checking { file: file.name.clone() });
    let found = hash_file(folder, &file.name)?;
    hold_to_manifest(&path, file, &found)?;
    match locked {
        Some(locked) if locked.sha256 != found.sha256 => {
            Err(damaged(&path, locked.sha256.clone(), found.sha256))
        }
        _ => Ok(found),
    }
}

/// A folder for one download; removed with all that is in it unless it is published.
pub(super) struct Staging {
    cache: PathBuf,
    path: PathBuf,
}

impl Staging {
    /// Makes the folder inside the cache, so that publishing is a rename.
    ///
    /// # Errors
    /// [`FetchError::Io`].
    pub(super) fn new(cache: &Path, model: &str) -> Result<Self, FetchError> {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = cache.join(format!(".staging-{model}-{}-{count}", std::process::id()));
        fs::create_dir_all(&path).map_err(|source| FetchError::io("make the folder", &path, source))?;
        Ok(Self { cache: cache.to_owned(), path })
    }

    /// Where the files go: directly in here, by the manifest's names; whatever else is here is thrown away.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Checks every file against the manifest, writes the record and renames the whole into the cache.
    ///
    /// A model that is there already (a refresh, or another process was faster) is replaced.
    ///
    /// # Errors
    /// [`FetchError::WrongBytes`], [`FetchError::Io`]; then the cache is as it was.
    pub(super) fn publish(
        &self,
        spec: &ModelSpec,
        origin: Origin,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<Lock, FetchError> {
        let done = self.path.join("done");
        fs::create_dir(&done).map_err(|source| FetchError::io("make the folder", &done, source))?;
        let mut lock = Lock::new(spec, origin);
        for file in &spec.files {
            progress(Progress::Checking { file: file.name.clone() });
            lock.files.insert(file.name.clone(), self.accept(file, &done)?);
        }
        let lock_path = done.join(LOCK_FILE);
        write_lock(&lock_path, &lock).map_err(|source| FetchError::io("write", &lock_path, source))?;
        sync_folder(&done)?;
        self.swap_in(&done, &self.cache.join(&spec.name))?;
        sync_folder(&self.cache)?;
        Ok(lock)
    }

    /// Moves one file to `done` after its size and hash were found right.
    fn accept(&self, file: &FileSpec, done: &Path) -> Result<LockedFile, FetchError> {
        let path = self.path.join(&file.name);
        let io = |source| FetchError::io("check", &path, source);
        let found = hash_path(&path).map_err(io)?;
        if let Some((expected, found)) = difference(file, &found) {
            return Err(FetchError::WrongBytes { file: file.name.clone(), expected, found });
        }
        File::open(&path).and_then(|file| file.sync_all()).map_err(io)?;
        fs::rename(&path, done.join(&file.name)).map_err(|source| FetchError::io("move", &path, source))?;
        Ok(found)
    }

    fn swap_in(&self, done: &Path, target: &Path) -> Result<(), FetchError> {
        let io = |source| FetchError::io("publish", target, source);
        if target.exists() {
            fs::rename(target, self.path.join("replaced")).map_err(io)?;
        }
        fs::rename(done, target).map_err(io)
    }
}

impl Drop for Staging {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.path) {
            tracing::warn!(path = %self.path.display(), %error, "unfinished download was not removed");
        }
    }
}

/// The record, or none where there is none or it is of another format.
fn read_lock(path: &Path) -> Result<Option<Lock>, EmbedError> {
    let bytes = match fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(source) => return Err(EmbedError::io("read", path, source)),
    };
    Ok(serde_json::from_slice(&bytes).ok().filter(|lock: &Lock| lock.format == LOCK_FORMAT))
}

fn write_lock(path: &Path, lock: &Lock) -> io::Result<()> {
    let aside = path.with_extension(format!("{}.tmp", std::process::id()));
    fs::write(&aside, serde_json::to_vec_pretty(lock)?)?;
    File::open(&aside)?.sync_all()?;
    fs::rename(aside, path)
}

/// Writes the record where the folder lets us; without it the next opening only hashes again.
fn remember(path: &Path, lock: &Lock) {
    if let Err(error) = write_lock(path, lock) {
        tracing::debug!(path = %path.display(), %error, "the record of a model was not written");
    }
}

fn hold_to_manifest(path: &Path, file: &FileSpec, found: &LockedFile) -> Result<(), EmbedError> {
    difference(file, found).map_or(Ok(()), |(expected, found)| Err(damaged(path, expected, found)))
}

/// What the manifest expects and what is there, where they differ.
fn difference(file: &FileSpec, found: &LockedFile) -> Option<(String, String)> {
    if let Some(size) = file.size_bytes.filter(|&size| size != found.size_bytes) {
        return Some((format!("{size} bytes"), format!("{} bytes", found.size_bytes)));
    }
    let expected = file.sha256.as_ref().filter(|expected| **expected != found.sha256)?;
    Some((format!("sha256 {expected}"), format!("sha256 {}", found.sha256)))
}

fn damaged(path: &Path, expected: String, found: String) -> EmbedError {
    EmbedError::Damaged { path: path.to_owned(), expected, found }
}

fn hash_file(folder: &Path, name: &str) -> Result<LockedFile, EmbedError> {
    let path = folder.join(name);
    hash_path(&path).map_err(|source| match source.kind() {
        io::ErrorKind::NotFound => EmbedError::MissingFile { path },
        _ => EmbedError::io("read", path, source),
    })
}

/// Size, time and SHA-256 of a file.
fn hash_path(path: &Path) -> io::Result<LockedFile> {
    let (size_bytes, modified_ns) = stamp_of(path)?;
    Ok(LockedFile { size_bytes, modified_ns, sha256: sha256_of(path)? })
}

/// SHA-256 of a file, lower-case hex.
pub(super) fn sha256_of(path: &Path) -> io::Result<String> {
    let mut file = File::open(path)?;
    let mut hasher = Sha256::new();
    let mut block = vec![0; HASH_BLOCK_BYTES];
    loop {
        match file.read(&mut block)? {
            0 => return Ok(hex(&hasher.finalize())),
            n_bytes => hasher.update(&block[..n_bytes]),
        }
    }
}

fn stamp(path: &Path) -> Result<(u64, u64), EmbedError> {
    stamp_of(path).map_err(|source| match source.kind() {
        io::ErrorKind::NotFound => EmbedError::MissingFile { path: path.to_owned() },
        _ => EmbedError::io("read", path, source),
    })
}

/// Size in bytes and time of change in nanoseconds since 1970.
fn stamp_of(path: &Path) -> io::Result<(u64, u64)> {
    let metadata = fs::metadata(path)?;
    let since_epoch = metadata.modified()?.duration_since(UNIX_EPOCH).unwrap_or_default();
    Ok((metadata.len(), u64::try_from(since_epoch.as_nanos()).unwrap_or(u64::MAX)))
}

fn sync_folder(path: &Path) -> Result<(), FetchError> {
    // Only Unix can sync a folder; elsewhere a rename is as durable as the system makes it.
    if cfg!(unix) {
        File::open(path)
            .and_then(|folder| folder.sync_all())
            .map_err(|source| FetchError::io("sync", path, source))?;
    }
    Ok(())
}
