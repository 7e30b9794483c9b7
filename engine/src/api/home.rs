use std::fs::{self, File};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

use super::error::{Error, Result};
use crate::id::WorkspaceId;

/// Where everything of a home is.
#[derive(Debug, Clone)]
pub struct Layout {
    root: PathBuf,
}

impl Layout {
    /// For a home directory that exists.
    pub fn new(root: &Path) -> Self {
        Self { root: root.to_owned() }
    }

    /// The home itself.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Workspaces that the home keeps itself.
    pub fn workspaces(&self) -> PathBuf {
        self.root.join("workspaces")
    }

    /// What is not the users' own.
    pub fn private(&self) -> PathBuf {
        self.root.join(".waypost")
    }

    /// The catalog.
    pub fn catalog(&self) -> PathBuf {
        self.private().join("catalog.db")
    }

    /// The home's secret.
    pub fn secret(&self) -> PathBuf {
        self.private().join("keys").join("home.key")
    }

    /// Indexes of past states; they may go at any time.
    pub fn past(&self) -> PathBuf {
        self.private().join("past")
    }

    /// The cache of embeddings.
    pub fn embeddings(&self) -> PathBuf {
        self.private().join("embeddings.db")
    }

    /// What readers made of files.
    pub fn texts(&self) -> PathBuf {
        self.private().join("texts.db")
    }

    /// Bytes by hash.
    pub fn blobs(&self) -> PathBuf {
        self.private().join("blobs")
    }

    /// The index of one workspace.
    pub fn index(&self, workspace: WorkspaceId) -> PathBuf {
        self.private().join("index").join(workspace.to_string())
    }
}

/// Keeps other processes off the home for as long as it lives; a process that dies gives it up.
pub struct HomeLock {
    _file: File,
}

/// How long a home is waited for that another process has; a command is done with it sooner.
const PATIENCE: Duration = Duration::from_secs(3);
/// Between two looks.
const STEP: Duration = Duration::from_millis(20);

/// Why a home can't be used, from what the file system says.
pub fn refused(home: &Path, source: io::Error) -> Error {
    match source.kind() {
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
            Error::ReadOnlyHome { home: home.to_owned(), source }
        }
        _ => Error::Folder { path: home.to_owned(), source },
    }
}

/// Makes the home's private folder, and takes the home.
///
/// # Errors
/// [`Error::Folder`] where it can't be made, [`Error::ReadOnlyHome`] where nothing can be written, [`Error::HomeInUse`] where another
/// process keeps it.
pub fn take(layout: &Layout) -> Result<HomeLock> {
    let in_folder = |source| refused(layout.root(), source);
    fs::create_dir_all(layout.private()).map_err(in_folder)?;
    // Secrets, and every version of every file: nobody else's business on this machine.
    fs::set_permissions(layout.private(), fs::Permissions::from_mode(0o700)).map_err(in_folder)?;
    let path = layout.private().join("lock");
    let file = File::options().create(true).truncate(false).write(true).open(path).map_err(in_folder)?;
    match lock(&file, Instant::now() + PATIENCE) {
        Ok(()) => Ok(HomeLock { _file: file }),
        Err(Errno::WOULDBLOCK) => Err(Error::HomeInUse { home: layout.root().to_owned() }),
        Err(error) => Err(in_folder(error.into())),
    }
}

fn lock(file: &File, deadline: Instant) -> rustix::io::Result<()> {
    loop {
        match flock(file, FlockOperation::NonBlockingLockExclusive) {
            Err(Errno::WOULDBLOCK) if Instant::now() < deadline => std::thread::sleep(STEP),
            done => return done,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::error::ErrorKind;
    use super::*;

    #[test]
    fn a_home_that_can_not_be_written_is_told_apart_from_one_that_is_none() {
        for (why, code, kind) in [
            (io::ErrorKind::ReadOnlyFilesystem, "home_read_only", ErrorKind::Unavailable),
            (io::ErrorKind::PermissionDenied, "home_read_only", ErrorKind::Unavailable),
            (io::ErrorKind::NotADirectory, "invalid_folder", ErrorKind::Invalid),
        ] {
            let error = refused(Path::new("/a/home"), why.into());
            assert_eq!((error.code(), error.kind()), (code, kind), "{error}");
            assert!(error.to_string().contains("`/a/home`"), "{error}");
        }
    }
}
