//! Edits by other programs: seen in the tree, and written down like any other change, by `external`.

use serde_json::Value;

use super::{ChangeError, Place, describe, topics};
use crate::catalog::{FileRow, FileState, Tx};
use crate::id::{FileId, RelPath, VersionId};
use crate::journal::{ChangeKind, NewChange};
use crate::store::{Entry, Folder, Staged, StoreError};
use crate::text;

/// The actor of what was not done through Waypost.
const EXTERNAL: &str = "external";

/// What reading a file of the tree showed.
pub struct Seen {
    path: RelPath,
    before: Option<FileRow>,
    after: After,
}

enum After {
    /// The same bytes under a new modification time.
    Touched { entry: Entry },
    /// New bytes, or a new reason to skip it.
    Changed { state: Box<FileState>, staged: Option<Staged>, news: Option<Value> },
    /// No longer there.
    Gone,
    /// There, but left out by an ignore file.
    Ignored,
}

impl Seen {
    /// A file that an ignore file leaves out from now on: it is forgotten like one that is gone.
    pub fn ignored(row: &FileRow) -> Self {
        Self { path: row.path.clone(), before: Some(row.clone()), after: After::Ignored }
    }
}

/// How many files came, changed and went.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SeenCounts {
    /// New files.
    pub created: u64,
    /// Files with other bytes.
    pub updated: u64,
    /// Files that are gone.
    pub deleted: u64,
    /// New files whose name another one has already, but for case or form.
    pub refused: Vec<RelPath>,
}

/// Reads a path of the tree and compares it with what was last seen of it; `None` where nothing differs.
///
/// # Errors
/// Where blobs can't be written. A file that can't be read is noted with its reason.
pub fn look(
    place: &Place<'_>,
    path: &RelPath,
    before: Option<&FileRow>,
) -> Result<Option<Seen>, ChangeError> {
    let seen = |after| Ok(Some(Seen { path: path.clone(), before: before.cloned(), after }));
    let Some(entry) = place.tree.entry(path)? else {
        return if before.is_some() { seen(After::Gone) } else { Ok(None) };
    };
    if before.is_some_and(|row| is_same(row, &entry)) {
        return Ok(None);
    }
    match place.tree.read(path, place.max_file_bytes) {
        Ok(Some((bytes, entry))) => {
            let staged = place.blobs.stage(&bytes)?;
            let is_known = before.is_some_and(|row| row.state.version == staged.version());
            if is_known && before.is_some_and(|row| !is_unread(&row.state)) {
                return seen(After::Touched { entry });
            }
            let state = Box::new(describe(place, path, &bytes, staged.version(), entry.mtime_ns));
            let news = topics::short_json(path, &bytes);
            seen(After::Changed { state, staged: Some(staged), news })
        }
        // It went away between the two looks.
        Ok(None) if before.is_some() => seen(After::Gone),
        Ok(None) => Ok(None),
        Err(error) => {
            let version = hash_of(place, path).unwrap_or(VersionId::UNKNOWN);
            if before.is_some_and(|row| row.state.version == version && version != VersionId::UNKNOWN) {
                return seen(After::Touched { entry });
            }
            let state = Box::new(unread_state(&entry, &error, version));
            seen(After::Changed { state, staged: None, news: None })
        }
    }
}

fn is_same(row: &FileRow, entry: &Entry) -> bool {
    row.state.size_bytes == entry.size_bytes && row.state.mtime_ns == entry.mtime_ns
}

fn is_unread(state: &FileState) -> bool {
    state.skipped.as_ref().is_some_and(|(code, _)| code == "too_large" || code == "unreadable")
}

/// The version of a file that is too large to be held in memory; `None` where it can't be read at all.
fn hash_of(place: &Place<'_>, path: &RelPath) -> Option<VersionId> {
    let (file, _) = place.tree.open_file(path).ok()??;
    let mut hasher = blake3::Hasher::new();
    hasher.update_reader(file).ok()?;
    Some(VersionId::from_bytes(*hasher.finalize().as_bytes()))
}

/// Keeps the bytes of a file that were left in the tree alone, for it is about to be written over or to go.
pub(super) fn keep(place: &Place<'_>, row: &FileRow) -> Result<Option<Staged>, ChangeError> {
    if place.blobs.has(row.state.version)? {
        return Ok(None);
    }
    let Some((mut file, _)) = place.tree.open_file(&row.path)? else { return Ok(None) };
    let staged = place.blobs.stage_file(&mut file)?;
    Ok(Some(staged))
}

/// A file that is too large, or can't be read, is noted with its reason, and looked at again once it changes.
fn unread_state(entry: &Entry, error: &StoreError, version: VersionId) -> FileState {
    let code = if matches!(error, StoreError::TooLarge { .. }) { "too_large" } else { "unreadable" };
    FileState {
        version,
        size_bytes: entry.size_bytes,
        mtime_ns: entry.mtime_ns,
        mime_type: "application/octet-stream".to_owned(),
        language: None,
        skipped: Some((code.to_owned(), error.to_string())),
        notes: String::new(),
        extractor: text::EXTRACTOR_VERSION,
        explicit: false,
        approved_by: None,
    }
}

/// Writes down what was seen, in one transaction. Whatever has moved on since it was looked at is passed over: who
/// moved it on wrote it down, or will be seen next time. The caller holds the workspace's turn.
///
/// # Errors
/// Where the catalog can't be written; nothing is written down then.
pub fn take_in(place: &Place<'_>, all: &[Seen]) -> Result<SeenCounts, ChangeError> {
    if all.is_empty() {
        return Ok(SeenCounts::default());
    }
    place.catalog.write(|tx| {
        let mut counts = SeenCounts::default();
        for seen in all {
            let now = tx.file(place.workspace.id, &seen.path)?;
            if is_unmoved(now.as_ref(), seen.before.as_ref()) && is_still(place, seen)? {
                write_down(place, tx, seen, &mut counts)?;
            }
        }
        Ok(counts)
    })
}

/// Whether a row is what it was; what its reader has noted meanwhile changes nothing of the file.
fn is_unmoved(now: Option<&FileRow>, before: Option<&FileRow>) -> bool {
    let place = |row: &FileRow| (row.id, row.seq, row.state.version, row.state.mtime_ns);
    now.map(place) == before.map(place)
}

fn is_still(place: &Place<'_>, seen: &Seen) -> Result<bool, ChangeError> {
    let now = place.tree.entry(&seen.path)?;
    let is = |size_bytes, mtime_ns| {
        now.as_ref().is_some_and(|now| now.size_bytes == size_bytes && now.mtime_ns == mtime_ns)
    };
    Ok(match &seen.after {
        After::Gone => now.is_none(),
        After::Ignored => true,
        After::Touched { entry } => is(entry.size_bytes, entry.mtime_ns),
        After::Changed { state, .. } => is(state.size_bytes, state.mtime_ns),
    })
}

fn write_down(
    place: &Place<'_>,
    tx: &Tx<'_>,
    seen: &Seen,
    counts: &mut SeenCounts,
) -> Result<(), ChangeError> {
    let mut change = NewChange {
        kind: ChangeKind::Created,
        workspace: place.workspace.id,
        file: seen.before.as_ref().map_or(FileId(0), |row| row.id),
        path: seen.path.as_str(),
        version: None,
        gone: None,
        size_bytes: 0,
        mime_type: "",
        other_path: None,
        actor: EXTERNAL,
        approved_by: None,
        trace: None,
        occurred_ms: place.clock.now_ms(),
    };
    match (&seen.after, &seen.before) {
        (After::Touched { entry }, Some(row)) => tx.touch_file(row.id, entry.mtime_ns)?,
        (After::Gone | After::Ignored, Some(row)) => {
            counts.deleted += 1;
            change.kind = ChangeKind::Deleted;
            change.gone = Some(row.state.version);
            change.size_bytes = row.state.size_bytes;
            change.mime_type = &row.state.mime_type;
            tx.append(&change)?;
            tx.remove_file(row.id)?;
        }
        (After::Changed { state, staged, news }, before) => {
            if before.is_none() && tx.name_clash(place.workspace.id, &seen.path)?.is_some() {
                counts.refused.push(seen.path.clone());
                return Ok(());
            }
            if let Some(staged) = staged {
                tx.put_blob(staged)?;
            }
            if before.is_some() {
                counts.updated += 1;
                change.kind = ChangeKind::Updated;
            } else {
                counts.created += 1;
            }
            change.version = Some(state.version);
            change.size_bytes = state.size_bytes;
            change.mime_type = &state.mime_type;
            let seq = tx.append(&change)?;
            let file = tx.put_file(place.workspace.id, &seen.path, state, seq)?;
            if before.is_none() {
                tx.name_file(seq, file)?;
            }
            topics::publish(tx, place, &seen.path, state, news.as_ref(), EXTERNAL, None)?;
        }
        (After::Touched { .. } | After::Gone | After::Ignored, None) => {}
    }
    Ok(())
}

/// Makes good what a kill left aside: bytes that were written down and not yet published get their name, anything else
/// goes. The caller holds the workspace's turn.
///
/// # Errors
/// Where tree or catalog can't be read or written.
pub fn recover(place: &Place<'_>, left: &[RelPath]) -> Result<(), ChangeError> {
    for aside in left {
        let Some((bytes, entry)) = place.tree.read(aside, u64::MAX)? else { continue };
        let version = VersionId::of(&bytes);
        let folder = aside.parent();
        let rows = place.catalog.files(place.workspace.id)?;
        let owner = rows.iter().find(|row| {
            row.path.parent() == folder
                && row.state.version == version
                && row.state.mtime_ns == entry.mtime_ns
        });
        let unpublished = match owner {
            Some(row) => place.tree.entry(&row.path)?.is_none_or(|now| !is_same(row, &now)).then_some(row),
            None => None,
        };
        if let Some(row) = unpublished {
            place.tree.remove(&row.path)?;
            place.tree.rename(aside, &row.path)?.iter().try_for_each(Folder::sync)?;
        } else if let Some(folder) = place.tree.remove(aside)? {
            folder.sync()?;
        }
    }
    Ok(())
}
