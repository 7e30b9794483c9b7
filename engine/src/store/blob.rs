use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use super::StoreError;
use crate::id::VersionId;

/// Leads each blob: how the rest is stored.
const RAW: u8 = 0;
const LZ4: u8 = 1;
/// Smaller blobs are stored as they are.
const MIN_COMPRESSED_BYTES: usize = 512;

/// Bytes by their BLAKE3 hash: `blobs/ab/cdef…`, one code byte (0 raw, 1 LZ4 with its length), then the data.
///
/// A blob is written aside, and renamed into place; an unfinished one never has a name. [`Blobs::sync`] makes all
/// blobs since the last call durable at once.
pub struct Blobs {
    root: PathBuf,
}

impl Blobs {
    /// Opens or makes the folder.
    ///
    /// # Errors
    /// [`StoreError::Io`].
    pub fn open(root: &Path) -> Result<Self, StoreError> {
        fs::create_dir_all(root).map_err(|error| StoreError::io("make", root, error))?;
        Ok(Self { root: root.to_owned() })
    }

    fn path(&self, version: VersionId) -> PathBuf {
        let name = version.to_string();
        self.root.join(&name[..2]).join(&name[2..])
    }

    /// Whether a blob of this name is there.
    pub fn has(&self, version: VersionId) -> bool {
        self.path(version).exists()
    }

    /// Keeps bytes and gives their name; bytes that are already kept cost nothing.
    ///
    /// # Errors
    /// [`StoreError::Io`] where the disk refuses.
    pub fn put(&self, bytes: &[u8]) -> Result<VersionId, StoreError> {
        let version = VersionId::of(bytes);
        let path = self.path(version);
        if path.exists() {
            return Ok(version);
        }
        let folder = path.parent().unwrap_or(&self.root);
        let failed = |error| StoreError::io("write", &path, error);
        fs::create_dir_all(folder).map_err(failed)?;
        let mut aside = tempfile::NamedTempFile::new_in(&self.root).map_err(failed)?;
        let packed = (bytes.len() >= MIN_COMPRESSED_BYTES)
            .then(|| lz4_flex::compress_prepend_size(bytes))
            .filter(|packed| packed.len() < bytes.len() / 10 * 9);
        match &packed {
            Some(packed) => aside.write_all(&[LZ4]).and_then(|()| aside.write_all(packed)),
            None => aside.write_all(&[RAW]).and_then(|()| aside.write_all(bytes)),
        }
        .map_err(failed)?;
        aside.persist(&path).map_err(|error| failed(error.error))?;
        Ok(version)
    }

    /// The bytes of a version, checked against its name; `None` where it was never kept or is pruned.
    ///
    /// # Errors
    /// [`StoreError::DamagedBlob`] where the bytes don't fit the name, [`StoreError::Io`].
    pub fn get(&self, version: VersionId) -> Result<Option<Vec<u8>>, StoreError> {
        let path = self.path(version);
        let stored = match fs::read(&path) {
            Ok(stored) => stored,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(StoreError::io("read", &path, error)),
        };
        let bytes = match stored.split_first() {
            Some((&RAW, rest)) => rest.to_vec(),
            Some((&LZ4, rest)) => lz4_flex::decompress_size_prepended(rest).unwrap_or_default(),
            _ => Vec::new(),
        };
        let found = VersionId::of(&bytes);
        if found == version { Ok(Some(bytes)) } else { Err(StoreError::DamagedBlob { version, found }) }
    }

    /// Makes everything written so far durable.
    ///
    /// # Errors
    /// [`StoreError::Io`].
    pub fn sync(&self) -> Result<(), StoreError> {
        let folder = fs::File::open(&self.root).map_err(|error| StoreError::io("open", &self.root, error))?;
        rustix::fs::syncfs(&folder).map_err(|error| StoreError::io("sync", &self.root, error.into()))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_come_back_and_a_changed_blob_is_noticed() {
        let folder = tempfile::tempdir().unwrap();
        let blobs = Blobs::open(folder.path()).unwrap();
        for bytes in [b"".to_vec(), b"short".to_vec(), b"long ".repeat(1000)] {
            let version = blobs.put(&bytes).unwrap();
            assert_eq!(blobs.get(version).unwrap(), Some(bytes));
        }
        let version = blobs.put(b"to be damaged").unwrap();
        fs::write(blobs.path(version), b"\0something else").unwrap();
        assert!(matches!(blobs.get(version), Err(StoreError::DamagedBlob { .. })));
        assert_eq!(blobs.get(VersionId::of(b"never kept")).unwrap(), None);
    }
}
