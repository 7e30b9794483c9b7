use super::plan::{Step, plan};
use super::{Context, IngestError, OnProgress, Progress, Stage};
use crate::change::{self, Seen};
use crate::store::Skipped;

/// Files looked at before what differs is written down: one transaction for all of them.
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

/// Compares the tree with the catalog and writes every difference into catalog and journal, bytes into blobs. What a
/// kill left half done is made good first.
///
/// # Errors
/// [`IngestError`] where the home can't be written; an unreadable file is noted and passed over.
pub fn scan(context: &Context<'_>, on_progress: &mut OnProgress<'_>) -> Result<ScanReport, IngestError> {
    let place = &context.place;
    place.tree.check_current()?;
    let walk = || place.tree.walk_while(|| context.go_on().is_ok()).ok_or(IngestError::Cancelled);
    let mut found = walk()?;
    if !found.left.is_empty() {
        let turn = place.take_turn();
        change::recover(place, &found.left)?;
        drop(turn);
        found = walk()?;
    }
    // The walk goes by the folder's name: what it found of another one says nothing of what is gone.
    place.tree.check_current()?;
    let known = place.catalog.files(place.workspace.id)?;
    let steps = plan(&found.files, &known);
    let mut report =
        ScanReport { found: found.files.len() as u64, skipped: found.skipped, ..ScanReport::default() };
    let total = steps.len() as u64;
    let mut done = 0;
    on_progress(Progress { stage: Stage::Scanning, done, total });
    for batch in steps.chunks(FILES_PER_TRANSACTION) {
        let seen: Vec<Seen> =
            batch.iter().filter_map(|step| look(context, step).transpose()).collect::<Result<_, _>>()?;
        let turn = place.take_turn();
        let counts = change::take_in(place, &seen)?;
        drop(turn);
        report.created += counts.created;
        report.updated += counts.updated;
        report.deleted += counts.deleted;
        report.skipped.extend(counts.refused.iter().map(|path| Skipped {
            path: path.as_str().to_owned(),
            code: "name_conflict",
            reason:
                "its name differs only in case or form from one that is there already; rename it".to_owned(),
        }));
        done += batch.len() as u64;
        on_progress(Progress { stage: Stage::Scanning, done, total });
    }
    Ok(report)
}

fn look(context: &Context<'_>, step: &Step<'_>) -> Result<Option<Seen>, IngestError> {
    context.go_on()?;
    match step {
        Step::Read(entry, before) => Ok(change::look(&context.place, &entry.path, *before)?),
        // What was written through Waypost stays, whatever an ignore file says.
        Step::Remove(row) if row.state.explicit => Ok(change::look(&context.place, &row.path, Some(row))?),
        Step::Remove(row) => Ok(Some(Seen::ignored(row))),
    }
}
