//! A home as one archive, as it was at one instant, while everybody goes on working.
//!
//! The instant is that of a copy of the catalog: SQLite reads one state of it, and no writer waits. What the copy names is on disk
//! already, for bytes are synced before the change that names them, and stays there, for nothing is pruned meanwhile. The
//! index and the cache of embeddings are left out: they are made anew from the rest. The last entry lists all others with their
//! hashes, so that an archive that was cut is known as such.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::RwLockReadGuard;

use serde::{Deserialize, Serialize};

use super::engine::Engine;
use super::error::{Error, Result};
use super::session::Session;
use crate::access::Verb;
use crate::catalog::{Catalog, FileRow, WorkspaceRow};
use crate::clock::rfc3339;
use crate::id::{VersionId, join_path};
use crate::journal::Outcome;

/// The archive's form; another one is refused.
pub(super) const FORMAT: u32 = 1;
/// The last entry's name.
pub(super) const MANIFEST: &str = "waypost-backup.json";
/// The other names.
pub(super) const CATALOG: &str = "catalog.db";
pub(super) const SETTINGS: &str = "waypost.toml";

/// What an archive holds; its last entry.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Manifest {
    pub format: u32,
    pub made_by: String,
    pub created_at: String,
    pub workspaces: Vec<BackedUpWorkspace>,
    pub left_out: Vec<String>,
    pub entries: Vec<ArchiveEntry>,
}

/// One workspace of an archive.
#[derive(Debug, Clone, Serialize, Deserialize, schemars::JsonSchema)]
pub struct BackedUpWorkspace {
    /// Its name.
    pub name: String,
    /// For an attached one: the folder that it was.
    pub attached: Option<String>,
    /// How many files it has.
    pub files: u64,
}

/// One file of an archive.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct ArchiveEntry {
    pub name: String,
    pub size: u64,
    pub blake3: String,
}

/// What a backup holds.
#[derive(Debug, Clone, Serialize, schemars::JsonSchema)]
pub struct BackupReport {
    /// RFC 3339: the instant that it shows.
    pub created_at: String,
    /// By name.
    pub workspaces: Vec<BackedUpWorkspace>,
    /// Files of the archive.
    pub entries: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Files that could not be read, and stand in no archive.
    pub left_out: Vec<String>,
}

/// A backup that has its instant and is still to be written. While it lives nothing is pruned.
pub struct Backup<'a> {
    engine: &'a Engine,
    folder: tempfile::TempDir,
    created_ms: i64,
    _kept: RwLockReadGuard<'a, ()>,
}

impl Session {
    /// Writes the whole home as a tar: every change that was acknowledged before is in it, and none by half. It holds the home's
    /// keys.
    ///
    /// # Errors
    /// [`Error::Forbidden`] for all but the admin; [`Error::Output`] where it can't be written.
    pub fn backup(&self, out: &mut dyn Write) -> Result<BackupReport> {
        self.begin_backup()?.write(out)
    }

    /// Takes the instant of a backup.
    ///
    /// # Errors
    /// As [`Self::backup`].
    pub fn begin_backup(&self) -> Result<Backup<'_>> {
        let rule = self.require_admin("home.backup", "/")?;
        for workspace in self.engine.open_workspaces() {
            self.engine.take_in(&workspace)?;
        }
        self.record("home.backup", Verb::Admin, "/", "", Outcome::Allowed, &rule)?;
        self.engine.auditor.flush()?;
        let kept = self.engine.pruning.read().unwrap_or_else(|poisoned| poisoned.into_inner());
        let folder = self.aside()?;
        let created_ms = self.now_ms();
        self.engine.catalog.copy_to(&folder.path().join(CATALOG))?;
        Ok(Backup { engine: &self.engine, folder, created_ms, _kept: kept })
    }

    /// A folder that is swept when the home is opened the next time, should this process be killed.
    fn aside(&self) -> Result<tempfile::TempDir> {
        let past = self.engine.layout.past();
        let in_folder = |source| Error::Folder { path: past.clone(), source };
        fs::create_dir_all(&past).map_err(in_folder)?;
        tempfile::Builder::new().prefix("backup-").tempdir_in(&past).map_err(in_folder)
    }
}

impl Backup<'_> {
    /// Writes it.
    ///
    /// # Errors
    /// [`Error::Output`], or where the home can't be read.
    pub fn write(self, out: &mut dyn Write) -> Result<BackupReport> {
        let copy = self.folder.path().join(CATALOG);
        let (workspaces, files) = contents(&copy)?;
        let mut archive = Archive::new(out, self.created_ms / 1000);
        let mut left_out = Vec::new();
        archive.add_path(CATALOG, &copy)?;
        self.add_folder(&mut archive, "keys", self.engine.layout.secret().parent(), &|_| true)?;
        let settings = self.engine.layout.root().join(SETTINGS);
        if settings.is_file() {
            archive.add_path(SETTINGS, &settings)?;
        }
        // What stands in a file of its own needs no second copy: restoring makes a version of it again.
        let current: BTreeSet<String> =
            files.iter().flatten().map(|row| row.state.version.to_string()).collect();
        for blobs in subfolders(&self.engine.layout.blobs())? {
            let name = format!("blobs/{}", blobs.file_name().unwrap_or_default().to_string_lossy());
            self.add_folder(&mut archive, &name, Some(&blobs), &|blob| !current.contains(blob))?;
        }
        for (workspace, rows) in workspaces.iter().zip(&files) {
            for row in rows {
                if !self.add_file(&mut archive, workspace, row)? {
                    left_out.push(join_path(&workspace.name, &row.path));
                }
            }
        }
        let workspaces = workspaces.iter().zip(&files).map(|(workspace, rows)| BackedUpWorkspace {
            name: workspace.name.to_string(),
            attached: workspace.attached.then(|| workspace.root.display().to_string()),
            files: rows.len() as u64,
        });
        let manifest = Manifest {
            format: FORMAT,
            made_by: concat!("waypost ", env!("CARGO_PKG_VERSION")).to_owned(),
            created_at: rfc3339(self.created_ms),
            workspaces: workspaces.collect(),
            left_out,
            entries: std::mem::take(&mut archive.entries),
        };
        archive.finish(&manifest)?;
        Ok(BackupReport {
            created_at: manifest.created_at,
            entries: manifest.entries.len() as u64,
            bytes: manifest.entries.iter().map(|entry| entry.size).sum(),
            workspaces: manifest.workspaces,
            left_out: manifest.left_out,
        })
    }

    /// A file's bytes of that instant; whether they could be had. Bytes that are too large to be kept as a version stand in the tree
    /// alone, and are those of now.
    fn add_file(&self, archive: &mut Archive<'_>, workspace: &WorkspaceRow, row: &FileRow) -> Result<bool> {
        let name = format!("workspaces/{}/{}", workspace.name, row.path);
        if let Some(bytes) = self.engine.blobs.get(row.state.version)? {
            archive.add(&name, bytes.len() as u64, &mut bytes.as_slice())?;
            return Ok(true);
        }
        let Some(open) = self.engine.workspace(&workspace.name) else { return Ok(false) };
        let Some((mut file, entry)) = open.tree.open_file(&row.path)? else { return Ok(false) };
        archive.add(&name, entry.size_bytes, &mut file)?;
        Ok(true)
    }

    /// Adds the files of a folder whose names, joined to the folder's own as a version is, are wanted.
    fn add_folder(
        &self,
        archive: &mut Archive<'_>,
        name: &str,
        folder: Option<&Path>,
        is_wanted: &dyn Fn(&str) -> bool,
    ) -> Result<()> {
        let Some(folder) = folder.filter(|folder| folder.is_dir()) else { return Ok(()) };
        let in_folder = |source| Error::Folder { path: folder.to_owned(), source };
        let mut paths: Vec<PathBuf> = Vec::new();
        for entry in fs::read_dir(folder).map_err(in_folder)? {
            paths.push(entry.map_err(in_folder)?.path());
        }
        paths.sort();
        for path in paths.iter().filter(|path| path.is_file()) {
            let file = path.file_name().unwrap_or_default().to_string_lossy();
            let last = name.rsplit('/').next().unwrap_or_default();
            if is_wanted(&format!("{last}{file}")) {
                archive.add_path(&format!("{name}/{file}"), path)?;
            }
        }
        Ok(())
    }
}

/// The workspaces of a catalog's copy, each with its files.
fn contents(copy: &Path) -> Result<(Vec<WorkspaceRow>, Vec<Vec<FileRow>>)> {
    let catalog = Catalog::open(copy)?;
    let workspaces = catalog.workspaces()?;
    let files = workspaces
        .iter()
        .map(|workspace| catalog.files(workspace.id))
        .collect::<std::result::Result<_, _>>()?;
    Ok((workspaces, files))
}

fn subfolders(folder: &Path) -> Result<Vec<PathBuf>> {
    let in_folder = |source| Error::Folder { path: folder.to_owned(), source };
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).map_err(in_folder)? {
        let path = entry.map_err(in_folder)?.path();
        if path.is_dir() {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

/// A tar that notes what goes into it.
struct Archive<'a> {
    tar: tar::Builder<&'a mut dyn Write>,
    mtime: u64,
    entries: Vec<ArchiveEntry>,
}

impl<'a> Archive<'a> {
    fn new(out: &'a mut dyn Write, created_seconds: i64) -> Self {
        let mtime = u64::try_from(created_seconds).unwrap_or(0);
        Self { tar: tar::Builder::new(out), mtime, entries: Vec::new() }
    }

    fn add_path(&mut self, name: &str, path: &Path) -> Result<()> {
        let in_folder = |source| Error::Folder { path: path.to_owned(), source };
        let mut file = File::open(path).map_err(in_folder)?;
        let size = file.metadata().map_err(in_folder)?.len();
        self.add(name, size, &mut file)
    }

    /// Adds exactly `size` bytes: a file that has become shorter meanwhile is an error, for the tar would be none.
    fn add(&mut self, name: &str, size: u64, bytes: &mut dyn Read) -> Result<()> {
        let mut header = tar::Header::new_gnu();
        header.set_size(size);
        header.set_mode(0o600);
        header.set_mtime(self.mtime);
        header.set_entry_type(tar::EntryType::Regular);
        let mut hashed = Hashed { inner: bytes.take(size), hasher: blake3::Hasher::new(), n_bytes: 0 };
        self.tar.append_data(&mut header, name, &mut hashed).map_err(output)?;
        if hashed.n_bytes != size {
            return Err(output(io::Error::new(
                io::ErrorKind::UnexpectedEof,
                format!("`{name}` became shorter"),
            )));
        }
        let blake3 = hashed.hasher.finalize().to_hex().to_string();
        self.entries.push(ArchiveEntry { name: name.to_owned(), size, blake3 });
        Ok(())
    }

    fn finish(mut self, manifest: &Manifest) -> Result<()> {
        let text = serde_json::to_vec_pretty(manifest).expect("names and numbers can be written");
        self.add(MANIFEST, text.len() as u64, &mut text.as_slice())?;
        self.tar.into_inner().and_then(|out| out.flush()).map_err(output)
    }
}

fn output(source: io::Error) -> Error {
    Error::Output { what: "the backup", source }
}

/// Hashes what passes.
pub(super) struct Hashed<R> {
    pub inner: R,
    pub hasher: blake3::Hasher,
    pub n_bytes: u64,
}

impl<R: Read> Read for Hashed<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n_read = self.inner.read(buffer)?;
        self.hasher.update(&buffer[..n_read]);
        self.n_bytes += n_read as u64;
        Ok(n_read)
    }
}

/// Whether some bytes are a version.
pub(super) fn is_version(bytes: &[u8], version: VersionId) -> bool {
    VersionId::of(bytes) == version
}
