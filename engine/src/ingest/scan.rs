use super::plan::{Step, plan};
use super::{Context, IngestError, OnProgress, Progress, Stage};
use crate::catalog::{FileRow, FileState, Tx};
use crate::id::{FileId, RelPath, VersionId};
use crate::journal::{ChangeKind, NewChange};
use crate::store::{Entry, Skipped, StoreError};
use crate::text;

/// Changes written down at once: one sync of the disk for all of them.
const FILES_PER_TRANSACTION: usize = 256;

/// What a scan found.
#[derive(Debug, Clone, Default)]
pub struct ScanReport {
    /// Regular files in the tree.
    pub found: u64,
    /// New files.
    pub created: u64,
    /// Files with other bytes.
    pub updated: u64,
    /// Files that are gone.
    pub deleted: u64,
    /// What the tree holds besides files that can be read.
    pub skipped: Vec<Skipped>,
}

/// Compares the tree with the catalog and writes every difference into catalog and journal, bytes into blobs.
///
/// # Errors
/// [`IngestError`] where the home can't be written; an unreadable file is noted and passed over.
pub fn scan(context: &Context<'_>, on_progress: &mut OnProgress<'_>) -> Result<ScanReport, IngestError> {
    let found = context.tree.walk();
    let known = context.catalog.files(context.workspace.id)?;
    let steps = plan(&found.files, &known);
    let mut report =
        ScanReport { found: found.files.len() as u64, skipped: found.skipped, ..ScanReport::default() };
    let total = steps.len() as u64;
    let mut done = 0;
    on_progress(Progress { stage: Stage::Scanning, done, total });
    for batch in steps.chunks(FILES_PER_TRANSACTION) {
        context.go_on()?;
        let changes: Vec<Seen<'_>> =
            batch.iter().filter_map(|step| look(context, step).transpose()).collect::<Result<_, _>>()?;
        write_down(context, &changes, &mut report)?;
        done += batch.len() as u64;
        on_progress(Progress { stage: Stage::Scanning, done, total });
    }
    Ok(report)
}

/// What reading a file showed.
enum Seen<'a> {
    /// The same bytes under a new modification time.
    Touched { file: FileId, mtime_ns: i64 },
    /// New bytes, or a new reason to skip it.
    Changed { path: &'a RelPath, before: Option<&'a FileRow>, state: FileState },
    /// No longer there.
    Gone(&'a FileRow),
}

fn look<'a>(context: &Context<'_>, step: &Step<'a>) -> Result<Option<Seen<'a>>, IngestError> {
    let (entry, before) = match step {
        Step::Remove(row) => return Ok(Some(Seen::Gone(row))),
        Step::Read(entry, before) => (*entry, *before),
    };
    let (state, is_kept) = match context.tree.read(&entry.path, context.max_file_bytes) {
        Ok(Some((bytes, entry))) => read_state(context, &bytes, &entry)?,
        // It went away between the walk and now; the next scan or the watcher tells.
        Ok(None) => return Ok(before.map(Seen::Gone)),
        Err(error) => (unread_state(entry, &error), false),
    };
    Ok(Some(match before {
        Some(row) if is_kept && row.state.version == state.version => {
            Seen::Touched { file: row.id, mtime_ns: state.mtime_ns }
        }
        _ => Seen::Changed { path: &entry.path, before, state },
    }))
}

fn read_state(context: &Context<'_>, bytes: &[u8], entry: &Entry) -> Result<(FileState, bool), IngestError> {
    let version = context.blobs.put(bytes)?;
    let limits = text::Limits { max_bytes: context.max_file_bytes as usize, ..text::Limits::default() };
    let (mime_type, language, skipped) = match text::extract(entry.path.file_name(), bytes, &limits) {
        Ok(document) => (document.mime_type, document.language, None),
        Err(reason) => (
            text::mime_type(entry.path.file_name(), bytes),
            None,
            Some((reason.code().to_owned(), reason.to_string())),
        ),
    };
    let state = FileState {
        version,
        size_bytes: entry.size_bytes,
        mtime_ns: entry.mtime_ns,
        mime_type,
        language,
        skipped,
    };
    Ok((state, true))
}

/// A file that could not be read keeps the hash of no bytes, so that it is looked at again once it changes.
fn unread_state(entry: &Entry, error: &StoreError) -> FileState {
    let code = if matches!(error, StoreError::TooLarge { .. }) { "too_large" } else { "unreadable" };
    FileState {
        version: VersionId::of(b""),
        size_bytes: entry.size_bytes,
        mtime_ns: entry.mtime_ns,
        mime_type: "application/octet-stream".to_owned(),
        language: None,
        skipped: Some((code.to_owned(), error.to_string())),
    }
}

fn write_down(
    context: &Context<'_>,
    changes: &[Seen<'_>],
    report: &mut ScanReport,
) -> Result<(), IngestError> {
    context.blobs.sync()?;
    context.catalog.write(|tx| changes.iter().try_for_each(|seen| write_one(context, tx, seen, report)))
}

fn write_one(
    context: &Context<'_>,
    tx: &Tx<'_>,
    seen: &Seen<'_>,
    report: &mut ScanReport,
) -> Result<(), IngestError> {
    let mut change = NewChange {
        kind: ChangeKind::Created,
        workspace: context.workspace.id,
        file: FileId(0),
        path: "",
        version: None,
        size_bytes: 0,
        actor: "external",
        occurred_ms: context.clock.now_ms(),
    };
    match seen {
        Seen::Touched { file, mtime_ns } => tx.touch_file(*file, *mtime_ns)?,
        Seen::Gone(row) => {
            report.deleted += 1;
            change.kind = ChangeKind::Deleted;
            change.file = row.id;
            change.path = row.path.as_str();
            tx.append(&change)?;
            tx.remove_file(row.id)?;
        }
        Seen::Changed { path, before, state } => {
            match before {
                Some(row) => {
                    report.updated += 1;
                    change.kind = ChangeKind::Updated;
                    change.file = row.id;
                }
                None => report.created += 1,
            }
            change.path = path.as_str();
            change.version = Some(state.version);
            change.size_bytes = state.size_bytes;
            let seq = tx.append(&change)?;
            let file = tx.put_file(context.workspace.id, path, state, seq)?;
            if before.is_none() {
                tx.name_file(seq, file)?;
            }
        }
    }
    Ok(())
}
