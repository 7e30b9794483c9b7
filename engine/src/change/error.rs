use thiserror::Error;

use crate::access::AccessError;
use crate::catalog::CatalogError;
use crate::store::StoreError;

/// Why a change did not happen; nothing of it has.
#[derive(Debug, Error)]
pub enum ChangeError {
    /// Somebody was faster. Read the file again and use its newest version.
    #[error("`{path}` has {found}: expected {expected}")]
    VersionConflict {
        /// Which file.
        path: String,
        /// What the change stood on.
        expected: String,
        /// `version …` or `no file`.
        found: String,
    },
    /// Nothing is there.
    #[error("there is no file `{path}`")]
    Missing {
        /// Which file.
        path: String,
    },
    /// Something is there already. Choose another name, or say that it shall be replaced.
    #[error("`{path}` is there already")]
    Exists {
        /// Which path.
        path: String,
    },
    /// Another name differs only in case or in the form of its letters. Use that one, or a name that differs more.
    #[error("`{path}` differs only in case or form from `{other}`, which is there already")]
    NameConflict {
        /// As it was asked for.
        path: String,
        /// Which is there.
        other: String,
    },
    /// A folder, a link or a device stands where a file shall be, or a file where a folder shall be.
    #[error("`{path}` is not a file, or something above it is not a folder")]
    NotAFile {
        /// Which path.
        path: String,
    },
    /// Something stands in the way that the asker may not see; more is not told. Choose another name.
    #[error("nothing can be made at `{path}`: expected another name")]
    Taken {
        /// As it was asked for.
        path: String,
    },
    /// What was to happen in the same transaction may not; whoever asked for it knows why.
    #[error("what was to happen along with the change was refused")]
    Refused,
    /// See [`StoreError`].
    #[error(transparent)]
    Store(#[from] StoreError),
    /// See [`AccessError`].
    #[error(transparent)]
    Access(#[from] AccessError),
    /// See [`CatalogError`].
    #[error(transparent)]
    Catalog(#[from] CatalogError),
}
