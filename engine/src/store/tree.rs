use std::collections::HashSet;
use std::io::{self, Read, Write};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::SystemTime;

use ignore::WalkBuilder;
use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, Stat};
use rustix::io::Errno;

use super::StoreError;
use super::names::held_as;
use crate::id::{RelPath, is_home_name, is_private_name, is_unsearched_name};

/// How names of files on their way into the tree begin.
const ASIDE: &str = ".waypost-aside-";
/// What makes a folder a home.
const HOME_MARK: &str = ".waypost";
/// How a folder is opened that only leads to what it holds: it can be neither read nor synced, and whoever watches it is told
/// nothing (open(2), `O_PATH`).
#[cfg(target_os = "linux")]
const LEADS: OFlags = OFlags::PATH;
#[cfg(not(target_os = "linux"))]
const LEADS: OFlags = OFlags::RDONLY;

/// A workspace's folder. Everything is opened below it one name at a time, and no link is ever followed, so that no
/// link, no `..` and no folder that is swapped meanwhile leads out of it or past a grant. Paths are in composed form;
/// what the disk spells decomposed is found under them, and keeps its spelling until it is moved. What belongs to a home that
/// lies in it is not there, whatever is asked of it; see [`Tree::is_of_home`].
pub struct Tree {
    root: PathBuf,
    dir: OwnedFd,
    in_flight: Mutex<HashSet<String>>,
}

/// Everything that a walk found.
#[derive(Debug, Default)]
pub struct Found {
    /// Regular files, by path.
    pub files: Vec<Entry>,
    /// What can't be a file here, and why.
    pub skipped: Vec<Skipped>,
    /// Files that a crash left aside.
    pub left: Vec<RelPath>,
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
    /// Stable: `symlink`, `not_a_file`, `not_utf8`, `unreadable`, `bad_name`, `name_conflict`.
    pub code: &'static str,
    /// For a person.
    pub reason: String,
}

/// A name in a folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Named {
    /// Without its folder.
    pub name: String,
    /// Whether it is a folder.
    pub is_folder: bool,
    /// Of a file, in bytes.
    pub size_bytes: u64,
}

/// A written file that has no name in the tree yet. Dropped without [`Tree::publish`] it is gone.
pub struct Aside<'a> {
    tree: &'a Tree,
    folder: OwnedFd,
    name: String,
    file: std::fs::File,
    /// What it will be once it is published.
    pub entry: Entry,
    is_published: bool,
}

/// A folder in which names have changed.
pub struct Folder {
    folder: OwnedFd,
    path: RelPath,
}

impl Folder {
    /// Makes its names durable.
    ///
    /// # Errors
    /// [`StoreError::Io`].
    pub fn sync(&self) -> Result<(), StoreError> {
        rustix::fs::fsync(&self.folder)
            .map_err(|error| StoreError::io("sync", self.path.as_str(), error.into()))
    }
}

impl Aside<'_> {
    /// Makes its bytes durable.
    ///
    /// # Errors
    /// [`StoreError::Io`].
    pub fn sync(&self) -> Result<(), StoreError> {
        self.file.sync_all().map_err(|error| StoreError::io("sync", self.entry.path.as_str(), error))
    }
}

impl Drop for Aside<'_> {
    fn drop(&mut self) {
        if !self.is_published {
            // What can't be removed now is swept by the next scan.
            let _ = rustix::fs::unlinkat(&self.folder, &self.name, AtFlags::empty());
        }
        self.tree.in_flight().remove(&self.name);
    }
}

impl Tree {
    /// Opens a folder.
    ///
    /// # Errors
    /// [`StoreError::Io`] where it is missing or may not be read.
    pub fn open(root: &Path) -> Result<Self, StoreError> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let dir = rustix::fs::open(root, flags, Mode::empty())
            .map_err(|error| StoreError::io("open", root, error.into()))?;
        Ok(Self { root: root.to_owned(), dir, in_flight: Mutex::new(HashSet::new()) })
    }

    /// Whether the folder's path still leads to the folder that was opened.
    pub fn is_current(&self) -> bool {
        match (rustix::fs::fstat(&self.dir), rustix::fs::stat(&self.root)) {
            (Ok(opened), Ok(named)) => (opened.st_dev, opened.st_ino) == (named.st_dev, named.st_ino),
            _ => false,
        }
    }

    /// Refuses to go on in a folder that its path no longer leads to: what is written there would be lost.
    ///
    /// # Errors
    /// [`StoreError::Moved`].
    pub fn check_current(&self) -> Result<(), StoreError> {
        if self.is_current() { Ok(()) } else { Err(StoreError::Moved) }
    }

    /// The folder.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Whether a path is, or lies in, what belongs to a home whose folder is this tree's root or is in it; see
    /// [`is_home_name`]. No workspace shows that.
    pub fn is_of_home(&self, path: &RelPath) -> bool {
        let mut end = 0;
        for name in path.as_str().split('/') {
            if is_home_name(name) && self.is_home(&path.as_str()[..end]) {
                return true;
            }
            end += name.len() + 1;
        }
        false
    }

    /// Whether a folder is a home; one that can't be looked into counts as one.
    fn is_home(&self, folder: &str) -> bool {
        match self.open_below(folder, LEADS) {
            Ok(Some(at)) => has_mark(&at),
            Ok(None) => false,
            Err(_) => true,
        }
    }

    fn in_flight(&self) -> std::sync::MutexGuard<'_, HashSet<String>> {
        self.in_flight.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// All files that may be indexed, by path: without those that `.gitignore` or `.waypostignore` leave out, without such files
    /// themselves, and without Waypost's own folder. Links are not followed.
    pub fn walk(&self) -> Found {
        self.walk_while(|| true).unwrap_or_default()
    }

    /// As [`Self::walk`]; `None` where it was told to end before it was through, for part of a tree says nothing of what is gone.
    pub fn walk_while(&self, goes_on: impl Fn() -> bool) -> Option<Found> {
        let mut found = Found::default();
        let walk = WalkBuilder::new(&self.root)
            .hidden(false)
            .follow_links(false)
            .require_git(false)
            .add_custom_ignore_filename(".waypostignore")
            .filter_entry(|entry| entry.depth() == 0 || may_be_shown(entry.path()))
            .sort_by_file_name(|a, b| a.cmp(b))
            .build();
        for entry in walk {
            if !goes_on() {
                return None;
            }
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
        Some(found)
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
        if path.as_str() != text && !self.leads_to(&path, entry.path()) {
            return if self.is_taken(&path).unwrap_or(false) {
                let reason =
                    format!("its name differs only in form from `{path}`, which is there already; rename it");
                skip("name_conflict", reason)
            } else {
                let reason = format!(
                    "its name is in no normal form of Unicode; rename it to `{path}`, in composed form (NFC)"
                );
                skip("bad_name", reason)
            };
        }
        if is_unsearched_name(path.file_name()) {
            return;
        }
        if path.file_name().starts_with(ASIDE) {
            if !self.in_flight().contains(path.file_name()) {
                found.left.push(path);
            }
            return;
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

    /// Whether a path, whose names are in composed form, leads to what stands on the disk under names that are not.
    fn leads_to(&self, path: &RelPath, place: &Path) -> bool {
        match (self.stat(path), rustix::fs::lstat(place)) {
            (Ok(Some(found)), Ok(meant)) => (found.st_dev, found.st_ino) == (meant.st_dev, meant.st_ino),
            _ => false,
        }
    }

    /// What is at a path now; `None` where there is no regular file.
    ///
    /// # Errors
    /// [`StoreError::Io`] where the file system refuses for another reason.
    pub fn entry(&self, path: &RelPath) -> Result<Option<Entry>, StoreError> {
        let stat = self.stat(path)?.filter(|stat| kind(stat) == FileType::RegularFile);
        Ok(stat.map(|stat| to_entry(path, &stat)))
    }

    /// Whether there is a folder.
    ///
    /// # Errors
    /// As [`Self::entry`].
    pub fn is_folder(&self, path: &RelPath) -> Result<bool, StoreError> {
        Ok(path.is_root() || self.stat(path)?.is_some_and(|stat| kind(&stat) == FileType::Directory))
    }

    /// Whether a file can stand at a path: nothing but a file is there, and no file, link or device where a folder above
    /// it would be.
    ///
    /// # Errors
    /// As [`Self::entry`].
    pub fn can_hold_file(&self, path: &RelPath) -> Result<bool, StoreError> {
        if self.is_of_home(path) {
            return Ok(false);
        }
        if self.stat(path)?.is_some_and(|stat| kind(&stat) != FileType::RegularFile) {
            return Ok(false);
        }
        let mut above = path.parent();
        while let Some(folder) = above.filter(|folder| !folder.is_root()) {
            match self.stat(&folder)? {
                Some(stat) => return Ok(kind(&stat) == FileType::Directory),
                None => above = folder.parent(),
            }
        }
        Ok(true)
    }

    /// Whether anything is there, whatever it is.
    ///
    /// # Errors
    /// As [`Self::entry`].
    pub fn is_taken(&self, path: &RelPath) -> Result<bool, StoreError> {
        Ok(self.stat(path)?.is_some())
    }

    fn stat(&self, path: &RelPath) -> Result<Option<Stat>, StoreError> {
        let failed = |error: Errno| StoreError::io("look at", path.as_str(), error.into());
        let Some(folder) = self.folder_above(path, LEADS)? else { return Ok(None) };
        match rustix::fs::statat(&folder, &*held_as(&folder, path.file_name()), AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => Ok(Some(stat)),
            Err(error) if is_absent(error) => Ok(None),
            Err(error) => Err(failed(error)),
        }
    }

    /// The folder that holds a path; `None` where it, or one above it, is none, or is a link, and for what is a home's.
    fn folder_above(&self, path: &RelPath, access: OFlags) -> Result<Option<OwnedFd>, StoreError> {
        match path.parent() {
            Some(_) if self.is_of_home(path) => Ok(None),
            Some(parent) => self.folder(&parent, access),
            None => self.folder(path, access),
        }
    }

    fn folder(&self, path: &RelPath, access: OFlags) -> Result<Option<OwnedFd>, StoreError> {
        if self.is_of_home(path) { Ok(None) } else { self.open_below(path.as_str(), access) }
    }

    fn open_below(&self, path: &str, access: OFlags) -> Result<Option<OwnedFd>, StoreError> {
        let failed = |error: Errno| StoreError::io("open", path, error.into());
        let mut at = self.dir.try_clone().map_err(|error| StoreError::io("open", &self.root, error))?;
        for name in path.split('/').filter(|name| !name.is_empty()) {
            at = match open_folder(&at, name, access) {
                Ok(next) => next,
                Err(error) if is_absent(error) => return Ok(None),
                Err(error) => return Err(failed(error)),
            };
        }
        Ok(Some(at))
    }

    /// Opens a regular file for reading; `None` where there is none. Nothing that could block is opened.
    ///
    /// # Errors
    /// [`StoreError::Io`].
    pub fn open_file(&self, path: &RelPath) -> Result<Option<(std::fs::File, Entry)>, StoreError> {
        let failed = |error: io::Error| StoreError::io("read", path.as_str(), error);
        let Some(folder) = self.folder_above(path, LEADS)? else { return Ok(None) };
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let file =
            match rustix::fs::openat(&folder, &*held_as(&folder, path.file_name()), flags, Mode::empty()) {
                Ok(file) => file,
                // A socket gives ENXIO.
                Err(error) if is_absent(error) || error == Errno::NXIO => return Ok(None),
                Err(error) => return Err(failed(error.into())),
            };
        let stat = rustix::fs::fstat(&file).map_err(|error| failed(error.into()))?;
        if kind(&stat) != FileType::RegularFile {
            return Ok(None);
        }
        Ok(Some((std::fs::File::from(file), to_entry(path, &stat))))
    }

    /// Reads a whole file of at most `limit_bytes`, with what it was when it was opened; `None` where there is none.
    ///
    /// # Errors
    /// [`StoreError::TooLarge`], or [`StoreError::Io`].
    pub fn read(&self, path: &RelPath, limit_bytes: u64) -> Result<Option<(Vec<u8>, Entry)>, StoreError> {
        let Some((file, entry)) = self.open_file(path)? else { return Ok(None) };
        let too_large = |size_bytes| StoreError::TooLarge { size_bytes, limit_bytes };
        if entry.size_bytes > limit_bytes {
            return Err(too_large(entry.size_bytes));
        }
        let mut bytes = Vec::with_capacity(entry.size_bytes as usize);
        // One byte more than the limit tells a file that grows while it is read.
        let n_read = file
            .take(limit_bytes.saturating_add(1))
            .read_to_end(&mut bytes)
            .map_err(|error| StoreError::io("read", path.as_str(), error))?;
        if n_read as u64 > limit_bytes {
            return Err(too_large(n_read as u64));
        }
        Ok(Some((bytes, entry)))
    }

    /// The names in a folder that can be shown, folders first; `None` where there is no folder.
    ///
    /// # Errors
    /// [`StoreError::Io`] where it may not be read.
    pub fn list(&self, path: &RelPath) -> Result<Option<Vec<Named>>, StoreError> {
        let failed = |error: Errno| StoreError::io("list", path.as_str(), error.into());
        let Some(folder) = self.folder(path, OFlags::RDONLY)? else { return Ok(None) };
        let is_home = has_mark(&folder);
        let mut names = Vec::new();
        for entry in Dir::read_from(&folder).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            let Ok(spelled) = entry.file_name().to_str() else { continue };
            // What can't be asked for by a path is not shown, either.
            let Ok(name) = RelPath::new(spelled) else { continue };
            let is_hidden = is_private_name(spelled) || (is_home && is_home_name(spelled));
            if is_hidden || *held_as(&folder, name.as_str()) != *spelled {
                continue;
            }
            let Ok(stat) = rustix::fs::statat(&folder, spelled, AtFlags::SYMLINK_NOFOLLOW) else { continue };
            let is_folder = kind(&stat) == FileType::Directory;
            if is_folder || kind(&stat) == FileType::RegularFile {
                let size_bytes = if is_folder { 0 } else { stat.st_size as u64 };
                names.push(Named { name: name.as_str().to_owned(), is_folder, size_bytes });
            }
        }
        names.sort_by(|a, b| b.is_folder.cmp(&a.is_folder).then_with(|| a.name.cmp(&b.name)));
        Ok(Some(names))
    }

    /// Writes bytes beside the place where [`Self::publish`] puts them; makes the folders above it.
    ///
    /// # Errors
    /// [`StoreError::Io`] where the disk refuses, or something that is no folder stands in the way.
    pub fn write_aside(&self, path: &RelPath, bytes: &[u8]) -> Result<Aside<'_>, StoreError> {
        let failed = |error: io::Error| StoreError::io("write", path.as_str(), error);
        self.check_no_home("write", path)?;
        let folder = self.make_folder(&path.parent().unwrap_or_else(|| path.clone()))?;
        let held = held_as(&folder, path.file_name());
        let mode = match rustix::fs::statat(&folder, &*held, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) if kind(&stat) == FileType::RegularFile => Mode::from_raw_mode(stat.st_mode & 0o777),
            _ => Mode::from_raw_mode(0o644),
        };
        let mut random = [0u8; 8];
        getrandom::fill(&mut random).map_err(|error| failed(io::Error::other(error)))?;
        let name = format!("{ASIDE}{:016x}", u64::from_le_bytes(random));
        self.in_flight().insert(name.clone());
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = match rustix::fs::openat(&folder, &name, flags, mode) {
            Ok(file) => std::fs::File::from(file),
            Err(error) => {
                self.in_flight().remove(&name);
                return Err(failed(error.into()));
            }
        };
        let entry = Entry { path: path.clone(), size_bytes: bytes.len() as u64, mtime_ns: 0 };
        let mut aside = Aside { tree: self, folder, name, file, entry, is_published: false };
        aside.file.write_all(bytes).map_err(failed)?;
        aside.entry.mtime_ns = aside.file.metadata().and_then(|data| data.modified()).map_or(0, to_ns);
        Ok(aside)
    }

    /// Gives a written file its name, in one step; durable once the folder is synced.
    ///
    /// # Errors
    /// [`StoreError::Io`], also where a folder stands there.
    pub fn publish(&self, mut aside: Aside<'_>) -> Result<Folder, StoreError> {
        let path = aside.entry.path.clone();
        let failed = |error: io::Error| StoreError::io("write", path.as_str(), error);
        let held = held_as(&aside.folder, path.file_name());
        rustix::fs::renameat(&aside.folder, &aside.name, &aside.folder, &*held)
            .map_err(|error| failed(error.into()))?;
        aside.is_published = true;
        Ok(Folder { folder: aside.folder.try_clone().map_err(failed)?, path: path.clone() })
    }

    /// Takes a file away; durable once the folder is synced. `None` where it is gone already.
    ///
    /// # Errors
    /// [`StoreError::Io`].
    pub fn remove(&self, path: &RelPath) -> Result<Option<Folder>, StoreError> {
        let Some(folder) = self.folder_above(path, OFlags::RDONLY)? else { return Ok(None) };
        match rustix::fs::unlinkat(&folder, &*held_as(&folder, path.file_name()), AtFlags::empty()) {
            Ok(()) => Ok(Some(Folder { folder, path: path.clone() })),
            Err(error) if is_absent(error) => Ok(None),
            Err(error) => Err(StoreError::io("remove", path.as_str(), error.into())),
        }
    }

    /// Takes an empty folder away.
    ///
    /// # Errors
    /// [`StoreError::Io`] where it holds something.
    pub fn remove_folder(&self, path: &RelPath) -> Result<(), StoreError> {
        let failed = |error: Errno| StoreError::io("remove", path.as_str(), error.into());
        let Some(folder) = self.folder_above(path, OFlags::RDONLY)? else { return Ok(()) };
        let held = held_as(&folder, path.file_name());
        rustix::fs::unlinkat(&folder, &*held, AtFlags::REMOVEDIR).map_err(failed)?;
        rustix::fs::fsync(&folder).map_err(failed)
    }

    /// Gives a file another name below the same root; durable once both folders are synced. Makes the folders above the new
    /// one.
    ///
    /// # Errors
    /// [`StoreError::Io`], also where something stands at `to` already.
    pub fn rename(&self, from: &RelPath, to: &RelPath) -> Result<[Folder; 2], StoreError> {
        let failed = |error: Errno| StoreError::io("move", from.as_str(), error.into());
        let source = self.folder_above(from, OFlags::RDONLY)?.ok_or_else(|| failed(Errno::NOENT))?;
        self.check_no_home("move", to)?;
        let target = self.make_folder(&to.parent().unwrap_or_else(|| to.clone()))?;
        let held = held_as(&target, to.file_name());
        if rustix::fs::statat(&target, &*held, AtFlags::SYMLINK_NOFOLLOW).is_ok() {
            return Err(failed(Errno::EXIST));
        }
        let held = held_as(&source, from.file_name());
        rustix::fs::renameat(&source, &*held, &target, to.file_name()).map_err(failed)?;
        Ok([Folder { folder: target, path: to.clone() }, Folder { folder: source, path: from.clone() }])
    }

    /// Makes a folder and those above it, durably, and opens it.
    ///
    /// # Errors
    /// [`StoreError::Io`] where something that is no folder stands in the way.
    pub fn make_folder(&self, path: &RelPath) -> Result<OwnedFd, StoreError> {
        let failed = |error: Errno| StoreError::io("make", path.as_str(), error.into());
        self.check_no_home("make", path)?;
        let mut at = self.dir.try_clone().map_err(|error| StoreError::io("open", &self.root, error))?;
        for name in path.as_str().split('/').filter(|name| !name.is_empty()) {
            at = match open_folder(&at, name, OFlags::RDONLY) {
                Ok(next) => next,
                Err(Errno::NOENT) => {
                    match rustix::fs::mkdirat(&at, name, Mode::from_raw_mode(0o755)) {
                        Ok(()) => rustix::fs::fsync(&at).map_err(failed)?,
                        Err(Errno::EXIST) => {}
                        Err(error) => return Err(failed(error)),
                    }
                    open_folder(&at, name, OFlags::RDONLY).map_err(failed)?
                }
                Err(error) => return Err(failed(error)),
            };
        }
        Ok(at)
    }

    fn check_no_home(&self, act: &'static str, path: &RelPath) -> Result<(), StoreError> {
        if self.is_of_home(path) {
            return Err(StoreError::io(act, path.as_str(), io::ErrorKind::PermissionDenied.into()));
        }
        Ok(())
    }

    /// What stands where a folder, or one above it, would be made, under a name that differs only in case or form.
    /// Costs nothing where the folder is there.
    ///
    /// # Errors
    /// [`StoreError::Io`].
    pub fn folder_clash(&self, folder: &RelPath) -> Result<Option<String>, StoreError> {
        if self.is_folder(folder)? {
            return Ok(None);
        }
        let mut at = RelPath::root();
        for name in folder.as_str().split('/') {
            let next = at.join(name);
            if !self.is_taken(&next)? {
                let folded = crate::id::fold(name);
                // The name itself may have come meanwhile.
                let names = self.list(&at)?.unwrap_or_default().into_iter().map(|named| named.name);
                return Ok(names
                    .filter(|other| other != name)
                    .find(|other| crate::id::fold(other) == folded));
            }
            at = next;
        }
        Ok(None)
    }
}

/// Whether a walk goes on with what stands at a place: with nothing private, but with files on their way into the tree.
fn may_be_shown(place: &Path) -> bool {
    let Some(name) = place.file_name().and_then(|name| name.to_str()) else { return true };
    let is_of_home = || {
        let mark = place.parent().map(|folder| folder.join(HOME_MARK));
        is_home_name(name) && mark.is_some_and(|mark| mark.symlink_metadata().is_ok())
    };
    name.starts_with(ASIDE) || !(is_private_name(name) || is_of_home())
}

/// Whether an open folder is a home; one that can't be looked into counts as one.
fn has_mark(folder: &OwnedFd) -> bool {
    match rustix::fs::statat(folder, HOME_MARK, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(_) => true,
        Err(error) => !is_absent(error),
    }
}

fn open_folder(at: &OwnedFd, name: &str, access: OFlags) -> Result<OwnedFd, Errno> {
    let flags = access | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    rustix::fs::openat(at, &*held_as(at, name), flags, Mode::empty())
}

fn kind(stat: &Stat) -> FileType {
    FileType::from_raw_mode(stat.st_mode)
}

/// Whether nothing is there that may be had. A link gives ELOOP, a link or file in place of a folder ENOTDIR.
fn is_absent(error: Errno) -> bool {
    matches!(error, Errno::NOENT | Errno::NOTDIR | Errno::LOOP | Errno::NAMETOOLONG)
}

#[expect(clippy::useless_conversion, reason = "the fields' types differ between systems")]
fn to_entry(path: &RelPath, stat: &Stat) -> Entry {
    let (seconds, nanos) = (i64::from(stat.st_mtime), i64::try_from(stat.st_mtime_nsec).unwrap_or(0));
    let mtime_ns = seconds.saturating_mul(1_000_000_000).saturating_add(nanos);
    Entry { path: path.clone(), size_bytes: stat.st_size as u64, mtime_ns }
}

fn to_ns(time: SystemTime) -> i64 {
    match time.duration_since(SystemTime::UNIX_EPOCH) {
        Ok(since) => i64::try_from(since.as_nanos()).unwrap_or(i64::MAX),
        Err(before) => -i64::try_from(before.duration().as_nanos()).unwrap_or(i64::MAX),
    }
}
