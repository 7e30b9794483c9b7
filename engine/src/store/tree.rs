use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use cap_std::ambient_authority;
use cap_std::fs::{Dir, Metadata};
use ignore::WalkBuilder;

use super::StoreError;
use crate::id::RelPath;

/// A workspace's folder. Everything is opened below it, one step at a time, so that no link, no `..` and no
/// folder that is swapped meanwhile leads out of it.
pub struct Tree {
    root: PathBuf,
    dir: Dir,
}

/// Everything that a walk found.
#[derive(Debug, Default)]
pub struct Found {
    /// Regular files, by path.
    pub files: Vec<Entry>,
    /// What can't be a file here, and why.
    pub skipped: Vec<Skipped>,
}

/// A regular file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Below the root.
    pub path: RelPath,
    /// In bytes.
    pub size_bytes: u64,
    /// In nanoseconds since 1970.
    pub mtime_ns: i64,
}

/// Something in the tree that is not read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Skipped {
    /// As far as it can be shown.
    pub path: String,
    /// Stable: `symlink`, `not_a_file`, `not_utf8`, `unreadable`, `bad_name`.
    pub code: &'static str,
    /// For a person.
    pub reason: String,
}

impl Tree {
    /// Opens a folder.
    ///
    /// # Errors
    /// [`StoreError::Io`] where it is missing or may not be read.
    pub fn open(root: &Path) -> Result<Self, StoreError> {
        let failed = |error| StoreError::io("open", root, error);
        let dir = Dir::open_ambient_dir(root, ambient_authority()).map_err(failed)?;
        Ok(Self { root: root.to_owned(), dir })
    }

    /// The folder.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// All files, by path, without those that `.gitignore` or `.waypostignore` leave out, and without Waypost's
    /// own folder. Links are not followed.
    pub fn walk(&self) -> Found {
        let mut found = Found::default();
        let walk = WalkBuilder::new(&self.root)
            .hidden(false)
            .follow_links(false)
            .require_git(false)
            .add_custom_ignore_filename(".waypostignore")
            .filter_entry(|entry| !matches!(entry.file_name().to_str(), Some(".waypost" | ".git")))
            .sort_by_file_name(|a, b| a.cmp(b))
            .build();
        for entry in walk {
            match entry {
                Ok(entry) if entry.file_type().is_none_or(|kind| kind.is_dir()) => {}
                Ok(entry) => self.sort_entry(&entry, &mut found),
                Err(error) => found.skipped.push(Skipped {
                    path: String::new(),
                    code: "unreadable",
                    reason: error.to_string(),
                }),
            }
        }
        found.files.sort_by(|a, b| a.path.cmp(&b.path));
        found
    }

    fn sort_entry(&self, entry: &ignore::DirEntry, found: &mut Found) {
        let below = entry.path().strip_prefix(&self.root).unwrap_or(entry.path());
        let shown = below.to_string_lossy().into_owned();
        let mut skip =
            |code, reason: String| found.skipped.push(Skipped { path: shown.clone(), code, reason });
        let Some(kind) = entry.file_type() else { return };
        if kind.is_symlink() {
            return skip("symlink", "links are not followed".to_owned());
        }
        if !kind.is_file() {
            return skip("not_a_file", "neither a file nor a folder".to_owned());
        }
        let Some(text) = below.to_str() else {
            return skip("not_utf8", "its name is not UTF-8".to_owned());
        };
        let path = match RelPath::new(text) {
            Ok(path) => path,
            Err(error) => return skip("bad_name", error.to_string()),
        };
        if path.as_str() != text {
            return skip("bad_name", "its name is not in composed form (NFC); rename it".to_owned());
        }
        match entry.metadata() {
            Ok(metadata) => found.files.push(Entry {
                path,
                size_bytes: metadata.len(),
                mtime_ns: metadata.modified().map_or(0, to_ns),
            }),
            Err(error) => skip("unreadable", error.to_string()),
        }
    }

    /// What is at a path now; `None` where there is no regular file.
    ///
    /// # Errors
    /// [`StoreError::Io`] where the file system refuses for another reason.
    pub fn entry(&self, path: &RelPath) -> Result<Option<Entry>, StoreError> {
        match self.dir.symlink_metadata(path.as_str()) {
            Ok(metadata) if metadata.is_file() => Ok(Some(to_entry(path, &metadata))),
            Ok(_) => Ok(None),
            Err(error) if is_absent(&error) => Ok(None),
            Err(error) => Err(StoreError::io("look at", path.as_str(), error)),
        }
    }

    /// Reads a whole file of at most `limit_bytes`, with what it was when it was opened; `None` where there is none.
    ///
    /// # Errors
    /// [`StoreError::TooLarge`], or [`StoreError::Io`].
    pub fn read(&self, path: &RelPath, limit_bytes: u64) -> Result<Option<(Vec<u8>, Entry)>, StoreError> {
        let failed = |error| StoreError::io("read", path.as_str(), error);
        let regular = match self.dir.symlink_metadata(path.as_str()) {
            Ok(metadata) => metadata.is_file(),
            Err(error) if is_absent(&error) => return Ok(None),
            Err(error) => return Err(failed(error)),
        };
        if !regular {
            return Ok(None);
        }
        let file = match self.dir.open(path.as_str()) {
            Ok(file) => file,
            Err(error) if is_absent(&error) => return Ok(None),
            Err(error) => return Err(failed(error)),
        };
        let metadata = file.metadata().map_err(failed)?;
        if !metadata.is_file() {
            return Ok(None);
        }
        let too_large = |size_bytes| StoreError::TooLarge { size_bytes, limit_bytes };
        if metadata.len() > limit_bytes {
            return Err(too_large(metadata.len()));
        }
        let mut bytes = Vec::with_capacity(metadata.len() as usize);
        // One byte more than the limit tells a file that grows while it is read.
        let n_read = file.take(limit_bytes + 1).read_to_end(&mut bytes).map_err(failed)?;
        if n_read as u64 > limit_bytes {
            return Err(too_large(n_read as u64));
        }
        Ok(Some((bytes, to_entry(path, &metadata))))
    }

    /// The names in a folder, folders first: name, whether it is a folder, and a file's size.
    ///
    /// # Errors
    /// [`StoreError::Io`] where it is no folder or may not be read.
    pub fn list(&self, path: &RelPath) -> Result<Vec<(String, bool, u64)>, StoreError> {
        let failed = |error| StoreError::io("list", path.as_str(), error);
        let inner = if path.is_root() { "." } else { path.as_str() };
        let mut names = Vec::new();
        for entry in self.dir.read_dir(inner).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            let Ok(name) = entry.file_name().into_string() else { continue };
            let kind = entry.file_type().map_err(failed)?;
            if name == ".waypost" || !(kind.is_dir() || kind.is_file()) {
                continue;
            }
            let size = if kind.is_file() { entry.metadata().map_or(0, |metadata| metadata.len()) } else { 0 };
            names.push((name, kind.is_dir(), size));
        }
        names.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
        Ok(names)
    }
}

/// Whether nothing is there that may be had. A path that a link would lead out of the folder is one of these: the
/// refusal comes from the sandbox, and so without a number of the operating system.
fn is_absent(error: &io::Error) -> bool {
    match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => true,
        io::ErrorKind::PermissionDenied => error.raw_os_error().is_none(),
        _ => false,
    }
}

fn to_entry(path: &RelPath, metadata: &Metadata) -> Entry {
    let mtime_ns = metadata.modified().map_or(0, |time| to_ns(time.into_std()));
    Entry { path: path.clone(), size_bytes: metadata.len(), mtime_ns }
}

fn to_ns(time: SystemTime) -> i64 {
    match time.duration_since(SystemTime::UNIX_EPOCH) {
        Ok(since) => i64::try_from(since.as_nanos()).unwrap_or(i64::MAX),
        Err(before) => -i64::try_from(before.duration().as_nanos()).unwrap_or(i64::MAX),
    }
}
