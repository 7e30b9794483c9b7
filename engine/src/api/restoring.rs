//! An archive as a home again.
//!
//! Everything is unpacked and checked beside the new home, which gets its name last: there is the whole home, or none. Names in an
//! archive are not trusted: only those that a backup has are taken, each of them checked like a path that somebody sends.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use serde::Serialize;

use super::backup::{
    ArchiveEntry, BackedUpWorkspace, CATALOG, FORMAT, Hashed, MANIFEST, Manifest, SETTINGS, is_version,
};
use super::error::{Error, Result};
use super::home::Layout;
use crate::catalog::{Catalog, FileRow, WorkspaceRow};
use crate::id::{RelPath, WorkspaceName};
use crate::store::Blobs;

/// Bytes of the list of an archive's files at most.
const MAX_MANIFEST_BYTES: u64 = 1 << 30;

/// What was brought back.
#[derive(Debug, Clone, Serialize)]
pub struct RestoredHome {
    /// Where.
    pub home: PathBuf,
    /// RFC 3339: the instant that it shows.
    pub created_at: String,
    /// By name. One that was attached is kept in the home now.
    pub workspaces: Vec<BackedUpWorkspace>,
    /// Files of the archive.
    pub entries: u64,
    /// Files that could not be read when the backup was made.
    pub left_out: Vec<String>,
}

/// Makes a home of an archive. The index is built anew when the home is served or indexed.
///
/// # Errors
/// [`Error::Folder`] where the home is there and not empty; [`Error::Backup`] for an archive that is cut, changed or none.
pub fn restore_home(archive: &mut dyn Read, home: &Path) -> Result<RestoredHome> {
    let in_home = |source| Error::Folder { path: home.to_owned(), source };
    refuse_full(home).map_err(in_home)?;
    let home = std::path::absolute(home).map_err(in_home)?;
    let above = home.parent().unwrap_or(Path::new("/"));
    fs::create_dir_all(above).map_err(in_home)?;
    let aside = tempfile::Builder::new().prefix(".waypost-restore-").tempdir_in(above).map_err(in_home)?;
    let layout = Layout::new(aside.path());
    let manifest = unpack(archive, &layout)?;
    settle(&layout, &home)?;
    fs::rename(aside.path(), &home).map_err(in_home)?;
    // It has another name now, and stays.
    drop(aside.keep());
    Ok(RestoredHome {
        home,
        created_at: manifest.created_at,
        workspaces: manifest.workspaces,
        entries: manifest.entries.len() as u64,
        left_out: manifest.left_out,
    })
}

fn refuse_full(home: &Path) -> io::Result<()> {
    match fs::read_dir(home) {
        Ok(mut entries) => match entries.next() {
            Some(_) => Err(io::Error::other(
                "it is not empty; expected a folder that is not there yet, or an empty one",
            )),
            None => Ok(()),
        },
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}

fn broken(why: impl Into<String>) -> Error {
    Error::Backup { why: why.into() }
}

/// Unpacks the files of an archive, and holds them against its list.
fn unpack(archive: &mut dyn Read, layout: &Layout) -> Result<Manifest> {
    let unread = |error: io::Error| broken(format!("it can't be read ({error})"));
    let mut found: BTreeMap<String, ArchiveEntry> = BTreeMap::new();
    let mut manifest = None;
    let mut tar = tar::Archive::new(archive);
    for entry in tar.entries().map_err(unread)? {
        let mut entry = entry.map_err(unread)?;
        let name = entry.path_bytes().into_owned();
        let name = String::from_utf8(name).map_err(|_| broken("a name in it is no text"))?;
        if entry.header().entry_type() != tar::EntryType::Regular {
            return Err(broken(format!("`{name}` is no file")));
        }
        if name == MANIFEST {
            manifest = Some(read_manifest(&mut entry)?);
            continue;
        }
        let place =
            place_of(&name, layout).ok_or_else(|| broken(format!("`{name}` has no place in a home")))?;
        let kept = keep(&name, &mut entry, &place)?;
        if found.insert(name.clone(), kept).is_some() {
            return Err(broken(format!("`{name}` is there twice")));
        }
    }
    let manifest = manifest.ok_or_else(|| broken("it is cut: the list of its files is missing"))?;
    compare(&manifest, &found)?;
    Ok(manifest)
}

fn read_manifest(entry: &mut dyn Read) -> Result<Manifest> {
    let mut text = Vec::new();
    let unread =
        |error: &dyn std::fmt::Display| broken(format!("the list of its files can't be read ({error})"));
    entry.take(MAX_MANIFEST_BYTES).read_to_end(&mut text).map_err(|error| unread(&error))?;
    let manifest: Manifest = serde_json::from_slice(&text).map_err(|error| unread(&error))?;
    if manifest.format != FORMAT {
        return Err(broken(format!("its format is {}, expected {FORMAT}", manifest.format)));
    }
    Ok(manifest)
}

fn compare(manifest: &Manifest, found: &BTreeMap<String, ArchiveEntry>) -> Result<()> {
    for entry in &manifest.entries {
        match found.get(&entry.name) {
            Some(kept) if kept == entry => {}
            Some(_) => return Err(broken(format!("`{}` has other bytes than its list says", entry.name))),
            None => return Err(broken(format!("`{}` is missing", entry.name))),
        }
    }
    match found.keys().find(|name| !manifest.entries.iter().any(|entry| entry.name == **name)) {
        Some(name) if found.len() != manifest.entries.len() => {
            Err(broken(format!("`{name}` does not stand in its list")))
        }
        _ if !found.contains_key(CATALOG) => Err(broken("it holds no catalog")),
        _ => Ok(()),
    }
}

/// Where a file of an archive belongs; nowhere, if it is none of a backup's.
fn place_of(name: &str, layout: &Layout) -> Option<PathBuf> {
    let is_hex = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte));
    let parts: Vec<&str> = name.splitn(3, '/').collect();
    match parts[..] {
        [CATALOG] => Some(layout.catalog()),
        [SETTINGS] => Some(layout.root().join(SETTINGS)),
        ["keys", file] => {
            RelPath::new(file).ok().map(|file| layout.private().join("keys").join(file.as_str()))
        }
        ["blobs", folder, file]
            if folder.len() == 2 && file.len() == 62 && is_hex(folder) && is_hex(file) =>
        {
            Some(layout.blobs().join(folder).join(file))
        }
        ["workspaces", workspace, path] => {
            let workspace = WorkspaceName::new(workspace).ok()?;
            let path = RelPath::new(path).ok().filter(|path| !path.is_root() && !path.is_hidden())?;
            Some(layout.workspaces().join(workspace.as_str()).join(path.as_str()))
        }
        _ => None,
    }
}

/// Writes one file; what is not the users' own is for nobody else's eyes.
fn keep(name: &str, entry: &mut dyn Read, place: &Path) -> Result<ArchiveEntry> {
    let in_place = |source| Error::Folder { path: place.to_owned(), source };
    fs::create_dir_all(place.parent().unwrap_or(place)).map_err(in_place)?;
    let mode = if name.starts_with("workspaces/") { 0o644 } else { 0o600 };
    let mut file = File::options().write(true).create_new(true).mode(mode).open(place).map_err(in_place)?;
    let mut hashed = Hashed { inner: entry, hasher: blake3::Hasher::new(), n_bytes: 0 };
    io::copy(&mut hashed, &mut file).map_err(|error| broken(format!("`{name}` can't be read ({error})")))?;
    file.flush().and_then(|()| file.sync_all()).map_err(in_place)?;
    let blake3 = hashed.hasher.finalize().to_hex().to_string();
    Ok(ArchiveEntry { name: name.to_owned(), size: hashed.n_bytes, blake3 })
}

/// Makes the unpacked catalog that of a home in its new place.
fn settle(layout: &Layout, home: &Path) -> Result<()> {
    let in_private = |source| Error::Folder { path: layout.private(), source };
    fs::set_permissions(layout.private(), fs::Permissions::from_mode(0o700)).map_err(in_private)?;
    fs::create_dir_all(layout.workspaces()).map_err(in_private)?;
    let catalog = Arc::new(Catalog::open(&layout.catalog())?);
    let blobs = Blobs::open(&layout.blobs(), Arc::clone(&catalog))?;
    for workspace in catalog.workspaces()? {
        let here = layout.workspaces().join(workspace.name.as_str());
        fs::create_dir_all(&here).map_err(in_private)?;
        for row in catalog.files(workspace.id)? {
            settle_file(&catalog, &blobs, &workspace, &here, &row)?;
        }
        let root = Layout::new(home).workspaces().join(workspace.name.as_str());
        catalog.write(|tx| tx.rehome(workspace.id, &root))?;
    }
    Ok(())
}

/// Gives a file its time, and its bytes a version where the archive had them once only.
fn settle_file(
    catalog: &Catalog,
    blobs: &Blobs,
    workspace: &WorkspaceRow,
    here: &Path,
    row: &FileRow,
) -> Result<()> {
    let path = here.join(row.path.as_str());
    let in_path = |source| Error::Folder { path: path.clone(), source };
    let Ok(file) = File::options().write(true).open(&path) else {
        // It was left out: the next look at the folder finds that it is gone.
        return Ok(());
    };
    if !blobs.has(row.state.version)? {
        let bytes = fs::read(&path).map_err(in_path)?;
        if is_version(&bytes, row.state.version) {
            let staged = blobs.stage(&bytes)?;
            catalog.write(|tx| tx.put_blob(&staged))?;
        } else if row.state.skipped.is_none() {
            return Err(broken(format!(
                "`/{}/{}` is not the version that its catalog names",
                workspace.name, row.path
            )));
        }
    }
    let time = SystemTime::UNIX_EPOCH + Duration::from_nanos(u64::try_from(row.state.mtime_ns).unwrap_or(0));
    file.set_modified(time).map_err(in_path)
}
