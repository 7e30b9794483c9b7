use serde_json::Value;

use super::{ChangeError, Place, topics};
use crate::catalog::{FileState, UNREAD};
use crate::id::{RelPath, VersionId, join_path};
use crate::store::{Aside, Staged};
use crate::text;

/// A file's new bytes, on disk under no name yet.
pub struct Prepared<'a> {
    /// What the catalog will say of them.
    pub state: FileState,
    /// Kept with the transaction.
    pub staged: Staged,
    /// Published after it.
    pub aside: Aside<'a>,
    /// What subscribers of its topic are told of the bytes.
    pub(super) news: Option<Value>,
}

/// Stages bytes and writes them beside their place.
///
/// # Errors
/// [`ChangeError::NameConflict`]; [`ChangeError::NotAFile`] where a folder or a link stands in the way; [`ChangeError::Store`] where the disk refuses.
pub fn prepare<'a>(
    place: &Place<'a>,
    path: &RelPath,
    bytes: &[u8],
    approved_by: Option<&str>,
) -> Result<Box<Prepared<'a>>, ChangeError> {
    let not_a_file = || ChangeError::NotAFile { path: join_path(&place.workspace.name, path) };
    if !place.tree.can_hold_file(path)? {
        return Err(not_a_file());
    }
    let folder = path.parent().unwrap_or_else(RelPath::root);
    if let Some(other) = place.tree.folder_clash(&folder)? {
        return Err(ChangeError::NameConflict { path: join_path(&place.workspace.name, path), other });
    }
    let staged = place.blobs.stage(bytes)?;
    let aside = place.tree.write_aside(path, bytes).map_err(|error| match &error {
        crate::store::StoreError::Io { source, .. } if is_in_the_way(source) => not_a_file(),
        _ => ChangeError::Store(error),
    })?;
    let mut state = describe(place, path, bytes, staged.version(), aside.entry.mtime_ns);
    state.explicit = true;
    state.approved_by = approved_by.map(str::to_owned);
    let news = topics::short_json(path, bytes);
    Ok(Box::new(Prepared { state, staged, aside, news }))
}

fn is_in_the_way(error: &std::io::Error) -> bool {
    matches!(error.kind(), std::io::ErrorKind::NotADirectory | std::io::ErrorKind::AlreadyExists)
        || error.raw_os_error() == Some(rustix::io::Errno::LOOP.raw_os_error())
}

/// What the catalog says of some bytes: type, language, and whether they are indexed. Files that are read apart are only
/// looked at here: no writer waits for their readers.
pub fn describe(
    place: &Place<'_>,
    path: &RelPath,
    bytes: &[u8],
    version: VersionId,
    mtime_ns: i64,
) -> FileState {
    let name = path.file_name();
    let is_apart = place.reader.is_apart(name, bytes);
    let reading = (!is_apart).then(|| text::extract(name, bytes, place.reader.limits()));
    let skipped = reading.as_ref().and_then(|reading| reading.as_ref().err());
    let skipped = skipped.map(|reason| (reason.code().to_owned(), reason.to_string()));
    let document = reading.and_then(Result::ok);
    FileState {
        version,
        size_bytes: bytes.len() as u64,
        mtime_ns,
        mime_type: text::mime_type(name, bytes),
        language: document.as_ref().and_then(|document| document.language.clone()),
        skipped,
        notes: document.map(|document| text::notes(&document)).unwrap_or_default(),
        extractor: if is_apart { UNREAD } else { text::EXTRACTOR_VERSION },
        explicit: false,
        approved_by: None,
    }
}
