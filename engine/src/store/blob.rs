use std::collections::HashMap;
use std::fs;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};

use rusqlite::{OptionalExtension, params};

use super::StoreError;
use crate::catalog::{Catalog, CatalogError, Tx};
use crate::id::VersionId;

/// Leads each blob: how the rest is stored.
const RAW: u8 = 0;
const LZ4: u8 = 1;
/// Smaller blobs are stored as they are.
const MIN_COMPRESSED_BYTES: usize = 512;
/// Blobs up to this size, as stored, ride in the transaction of their change: no sync of the disk of their own. SQLite
/// reads blobs of this size at least as fast as the file system does (sqlite.org/intern-v-extern-blob.html).
const MAX_INLINE_BYTES: usize = 64 << 10;

/// Bytes by their BLAKE3 hash. Stored as one code byte (0 raw, 1 LZ4 with its length), then the data: small ones in the
/// catalog, large ones as `blobs/ab/cdef…`.
///
/// A blob file is written aside, and renamed into place; an unfinished one never has a name.
pub struct Blobs {
    root: PathBuf,
    catalog: Arc<Catalog>,
    in_flight: Arc<InFlight>,
}

/// How many staged changes stand on each version: none of these may be forgotten meanwhile.
#[derive(Debug, Default)]
struct InFlight(Mutex<HashMap<VersionId, usize>>);

impl InFlight {
    fn lock(&self) -> MutexGuard<'_, HashMap<VersionId, usize>> {
        self.0.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

/// Bytes that are kept once [`Tx::put_blob`] took them in.
#[derive(Debug)]
pub struct Staged {
    version: VersionId,
    inline: Option<Vec<u8>>,
    in_flight: Arc<InFlight>,
}

impl Drop for Staged {
    fn drop(&mut self) {
        let mut in_flight = self.in_flight.lock();
        if let Some(count) = in_flight.get_mut(&self.version) {
            *count -= 1;
            if *count == 0 {
                in_flight.remove(&self.version);
            }
        }
    }
}

impl Staged {
    /// Their name.
    pub fn version(&self) -> VersionId {
        self.version
    }
}

impl Tx<'_> {
    /// Keeps staged bytes, with everything else of this transaction.
    ///
    /// # Errors
    /// [`CatalogError::Sqlite`].
    pub fn put_blob(&self, staged: &Staged) -> Result<(), CatalogError> {
        if let Some(stored) = &staged.inline {
            self.sql()
                .prepare_cached("INSERT INTO blobs (version, stored) VALUES (?1, ?2) ON CONFLICT DO NOTHING")?
                .execute(params![&staged.version.as_bytes()[..], stored])?;
        }
        Ok(())
    }
}

impl Blobs {
    /// Opens or makes the folder.
    ///
    /// # Errors
    /// [`StoreError::Io`].
    pub fn open(root: &Path, catalog: Arc<Catalog>) -> Result<Self, StoreError> {
        fs::create_dir_all(root).map_err(|error| StoreError::io("make", root, error))?;
        Ok(Self { root: root.to_owned(), catalog, in_flight: Arc::default() })
    }

    fn claim(&self, version: VersionId, inline: Option<Vec<u8>>) -> Staged {
        *self.in_flight.lock().entry(version).or_default() += 1;
        Staged { version, inline, in_flight: Arc::clone(&self.in_flight) }
    }

    fn path(&self, version: VersionId) -> PathBuf {
        let name = version.to_string();
        self.root.join(&name[..2]).join(&name[2..])
    }

    /// Whether the bytes of a version are kept.
    ///
    /// # Errors
    /// [`StoreError::Catalog`].
    pub fn has(&self, version: VersionId) -> Result<bool, StoreError> {
        let inline = self.catalog.read(|sql| -> Result<bool, CatalogError> {
            Ok(sql
                .prepare_cached("SELECT EXISTS (SELECT 1 FROM blobs WHERE version = ?1)")?
                .query_row([&version.as_bytes()[..]], |row| row.get(0))?)
        })?;
        Ok(inline || self.path(version).exists())
    }

    /// Packs bytes and gives them a name. Large ones are on disk afterwards, small ones wait for the transaction. Bytes
    /// that are already kept in a file cost nothing.
    ///
    /// # Errors
    /// [`StoreError::Io`] where the disk refuses.
    pub fn stage(&self, bytes: &[u8]) -> Result<Staged, StoreError> {
        let version = VersionId::of(bytes);
        let stored = pack(bytes);
        if stored.len() <= MAX_INLINE_BYTES {
            return Ok(self.claim(version, Some(stored)));
        }
        // Claimed before it is looked for: from then on nobody forgets it.
        let staged = self.claim(version, None);
        let path = self.path(version);
        if !path.exists() {
            self.write_file(&path, &stored)?;
        }
        Ok(staged)
    }

    /// As [`Self::stage`], for a file that is too large to be held in memory; it is kept as it is.
    ///
    /// # Errors
    /// [`StoreError::Io`].
    pub fn stage_file(&self, file: &mut fs::File) -> Result<Staged, StoreError> {
        let failed = |error| StoreError::io("keep", &self.root, error);
        let mut aside = tempfile::NamedTempFile::new_in(&self.root).map_err(failed)?;
        let mut hasher = blake3::Hasher::new();
        aside.write_all(&[RAW]).map_err(failed)?;
        let mut buffer = vec![0; 1 << 20];
        loop {
            let n_read = file.read(&mut buffer).map_err(failed)?;
            if n_read == 0 {
                break;
            }
            hasher.update(&buffer[..n_read]);
            aside.write_all(&buffer[..n_read]).map_err(failed)?;
        }
        let version = VersionId::from_bytes(*hasher.finalize().as_bytes());
        let staged = self.claim(version, None);
        let path = self.path(version);
        if !path.exists() {
            self.name_file(aside, &path)?;
        }
        Ok(staged)
    }

    fn write_file(&self, path: &Path, stored: &[u8]) -> Result<(), StoreError> {
        let failed = |error| StoreError::io("write", path, error);
        let mut aside = tempfile::NamedTempFile::new_in(&self.root).map_err(failed)?;
        aside.write_all(stored).map_err(failed)?;
        self.name_file(aside, path)
    }

    fn name_file(&self, aside: tempfile::NamedTempFile, path: &Path) -> Result<(), StoreError> {
        let failed = |error| StoreError::io("write", path, error);
        let folder = path.parent().unwrap_or(&self.root);
        fs::create_dir_all(folder).map_err(failed)?;
        aside.as_file().sync_all().map_err(failed)?;
        aside.persist(path).map_err(|error| failed(error.error))?;
        for folder in [folder, &self.root] {
            fs::File::open(folder).and_then(|folder| folder.sync_all()).map_err(failed)?;
        }
        Ok(())
    }

    /// The bytes of a version, checked against its name; `None` where it was never kept or is pruned.
    ///
    /// # Errors
    /// [`StoreError::DamagedBlob`] where the bytes don't fit the name, [`StoreError::Io`].
    pub fn get(&self, version: VersionId) -> Result<Option<Vec<u8>>, StoreError> {
        let Some(stored) = self.stored(version)? else { return Ok(None) };
        let bytes = match stored.split_first() {
            Some((&RAW, rest)) => rest.to_vec(),
            Some((&LZ4, rest)) => lz4_flex::decompress_size_prepended(rest).unwrap_or_default(),
            _ => Vec::new(),
        };
        let found = VersionId::of(&bytes);
        if found == version { Ok(Some(bytes)) } else { Err(StoreError::DamagedBlob { version, found }) }
    }

    fn stored(&self, version: VersionId) -> Result<Option<Vec<u8>>, StoreError> {
        let inline = self.catalog.read(|sql| -> Result<Option<Vec<u8>>, CatalogError> {
            Ok(sql
                .prepare_cached("SELECT stored FROM blobs WHERE version = ?1")?
                .query_row([&version.as_bytes()[..]], |row| row.get(0))
                .optional()?)
        })?;
        if inline.is_some() {
            return Ok(inline);
        }
        let path = self.path(version);
        match fs::read(&path) {
            Ok(stored) => Ok(Some(stored)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(StoreError::io("read", &path, error)),
        }
    }

    /// Every version whose bytes are kept, with the bytes that it takes on disk.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn all(&self) -> Result<Vec<(VersionId, u64)>, StoreError> {
        let mut all = self.catalog.read(|sql| -> Result<Vec<(VersionId, u64)>, CatalogError> {
            let mut statement = sql.prepare("SELECT version, length(stored) FROM blobs")?;
            let rows = statement.query_map([], |row| {
                Ok((VersionId::from_bytes(row.get(0)?), row.get::<_, i64>(1)? as u64))
            })?;
            Ok(rows.collect::<Result<_, _>>()?)
        })?;
        let failed = |error| StoreError::io("read", &self.root, error);
        for folder in fs::read_dir(&self.root).map_err(failed)?.flatten() {
            let Ok(files) = fs::read_dir(folder.path()) else { continue };
            for file in files.flatten() {
                let name = format!("{}{}", folder.file_name().display(), file.file_name().display());
                if let (Ok(version), Ok(metadata)) = (VersionId::parse(&name), file.metadata()) {
                    all.push((version, metadata.len()));
                }
            }
        }
        Ok(all)
    }

    /// Forgets the bytes of some versions, but for those that a change under way stands on.
    ///
    /// # Errors
    /// [`StoreError`]; what is gone by then stays gone.
    pub fn remove(&self, versions: &[VersionId]) -> Result<(), StoreError> {
        // Held until the files are gone: who stages one of them waits, and then finds that it is not there.
        let in_flight = self.in_flight.lock();
        let versions: Vec<VersionId> =
            versions.iter().copied().filter(|version| !in_flight.contains_key(version)).collect();
        self.catalog.write(|tx| -> Result<(), CatalogError> {
            let mut statement = tx.sql().prepare_cached("DELETE FROM blobs WHERE version = ?1")?;
            for version in &versions {
                statement.execute([&version.as_bytes()[..]])?;
            }
            Ok(())
        })?;
        for version in &versions {
            let path = self.path(*version);
            match fs::remove_file(&path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    return Err(StoreError::io("remove", path, error));
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Removes what a crash left half written.
    ///
    /// # Errors
    /// [`StoreError::Io`].
    pub fn sweep(&self) -> Result<(), StoreError> {
        let failed = |error| StoreError::io("read", &self.root, error);
        for entry in fs::read_dir(&self.root).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            if entry.file_type().map_err(failed)?.is_file() {
                fs::remove_file(entry.path())
                    .map_err(|error| StoreError::io("remove", entry.path(), error))?;
            }
        }
        Ok(())
    }
}

fn pack(bytes: &[u8]) -> Vec<u8> {
    let packed = (bytes.len() >= MIN_COMPRESSED_BYTES)
        .then(|| lz4_flex::compress_prepend_size(bytes))
        .filter(|packed| packed.len() < bytes.len() / 10 * 9);
    let (code, data) = packed.as_deref().map_or((RAW, bytes), |packed| (LZ4, packed));
    let mut stored = Vec::with_capacity(data.len() + 1);
    stored.push(code);
    stored.extend_from_slice(data);
    stored
}

#[cfg(test)]
mod tests {
    use super::*;

    fn noise(n_bytes: usize) -> Vec<u8> {
        let mut reader = blake3::Hasher::new().finalize_xof();
        let mut bytes = vec![0; n_bytes];
        reader.fill(&mut bytes);
        bytes
    }

    #[test]
    fn bytes_come_back_and_a_changed_blob_is_noticed() {
        let folder = tempfile::tempdir().unwrap();
        let catalog = Arc::new(Catalog::open(&folder.path().join("catalog.db")).unwrap());
        let blobs = Blobs::open(&folder.path().join("blobs"), Arc::clone(&catalog)).unwrap();
        let keep = |bytes: &[u8]| {
            let staged = blobs.stage(bytes).unwrap();
            catalog.write(|tx| tx.put_blob(&staged)).unwrap();
            staged.version()
        };
        for bytes in [b"".to_vec(), b"short".to_vec(), b"long ".repeat(1000), noise(MAX_INLINE_BYTES + 1)] {
            let version = keep(&bytes);
            assert!(blobs.has(version).unwrap());
            assert_eq!(blobs.get(version).unwrap(), Some(bytes));
        }
        let version = keep(&noise(MAX_INLINE_BYTES * 2));
        fs::write(blobs.path(version), b"\0something else").unwrap();
        assert!(matches!(blobs.get(version), Err(StoreError::DamagedBlob { .. })));
        assert_eq!(blobs.get(VersionId::of(b"never kept")).unwrap(), None);
        let all: Vec<VersionId> = blobs.all().unwrap().into_iter().map(|(version, _)| version).collect();
        assert_eq!(all.len(), 5);
        blobs.remove(&all).unwrap();
        assert!(blobs.all().unwrap().is_empty());
    }

    #[test]
    fn what_a_change_under_way_stands_on_is_not_forgotten() {
        let folder = tempfile::tempdir().unwrap();
        let catalog = Arc::new(Catalog::open(&folder.path().join("catalog.db")).unwrap());
        let blobs = Blobs::open(&folder.path().join("blobs"), catalog).unwrap();
        let bytes = noise(MAX_INLINE_BYTES * 2);
        let first = blobs.stage(&bytes).unwrap();
        let second = blobs.stage(&bytes).unwrap();
        let version = first.version();
        drop(first);
        blobs.remove(&[version]).unwrap();
        assert!(blobs.has(version).unwrap(), "the second change still stands on it");
        drop(second);
        blobs.remove(&[version]).unwrap();
        assert!(!blobs.has(version).unwrap());
        let path = folder.path().join("large");
        fs::write(&path, &bytes).unwrap();
        let staged = blobs.stage_file(&mut fs::File::open(&path).unwrap()).unwrap();
        assert_eq!((staged.version(), blobs.get(version).unwrap()), (version, Some(bytes)));
    }
}
