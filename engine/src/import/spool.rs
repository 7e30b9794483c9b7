use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::Path;

use super::ImportError;

/// Bytes on their way, in a file without a name: it is gone with the process.
pub(super) struct Spool {
    file: File,
    len: u64,
}

impl Spool {
    pub(super) fn new(folder: &Path) -> Result<Self, ImportError> {
        Ok(Self { file: tempfile::tempfile_in(folder).map_err(spool)?, len: 0 })
    }

    /// How many bytes there are.
    pub(super) fn len(&self) -> u64 {
        self.len
    }

    pub(super) fn append(&mut self, bytes: &[u8]) -> Result<(), ImportError> {
        self.file.write_all(bytes).map_err(spool)?;
        self.len += bytes.len() as u64;
        Ok(())
    }

    /// Begins anew.
    pub(super) fn clear(&mut self) -> Result<(), ImportError> {
        self.file.set_len(0).map_err(spool)?;
        self.file.seek(SeekFrom::Start(0)).map_err(spool)?;
        self.len = 0;
        Ok(())
    }

    pub(super) fn into_bytes(mut self) -> Result<Vec<u8>, ImportError> {
        self.file.seek(SeekFrom::Start(0)).map_err(spool)?;
        let mut bytes = Vec::with_capacity(self.len as usize);
        self.file.read_to_end(&mut bytes).map_err(spool)?;
        Ok(bytes)
    }
}

fn spool(source: std::io::Error) -> ImportError {
    ImportError::Spool { source }
}
