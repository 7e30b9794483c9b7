use std::collections::HashMap;
use std::sync::Arc;

use serde::Serialize;

use super::engine::Engine;
use super::error::{Error, Result};
use super::workspace::OpenWorkspace;
use crate::catalog::FileRow;
use crate::id::{FileId, Seq, VersionId, is_unsearched_name};
use crate::index::Searcher;

/// What a check found.
#[derive(Debug, Clone, Default, Serialize, schemars::JsonSchema)]
pub struct CheckReport {
    /// Files compared.
    pub files: u64,
    /// Chunks compared.
    pub chunks: u64,
    /// Records of the audit chain.
    pub acts: u64,
    /// What does not fit.
    pub findings: Vec<Finding>,
    /// What was mended: workspaces whose index was thrown away to be built anew, paths whose bytes were put back, and caches
    /// that were begun anew.
    pub repaired: Vec<String>,
}

/// One thing that does not fit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, schemars::JsonSchema)]
pub struct Finding {
    /// Stable: `audit`, `blob`, `cache`, `catalog`, `index_checksum`, `index_extra`, `index_missing`, `index_rebuilt`,
    /// `index_stale`, `index_version`, `workspace`.
    pub code: &'static str,
    /// Where.
    pub at: String,
    /// What, for a person.
    pub what: String,
}

impl CheckReport {
    fn find(&mut self, code: &'static str, at: impl Into<String>, what: impl Into<String>) {
        self.findings.push(Finding { code, at: at.into(), what: what.into() });
    }
}

/// Compares catalog, blobs, index and audit chain with each other and with themselves.
pub fn check(engine: &Engine, repair: bool) -> Result<CheckReport> {
    let mut report = CheckReport::default();
    check_home(engine, &mut report)?;
    for workspace in engine.open_workspaces() {
        check_blobs(engine, &workspace, repair, &mut report)?;
        let before = report.findings.len();
        match check_index(engine, &workspace, &mut report) {
            // What can't even be read is found, too; nothing behind it is compared.
            Err(Error::Index(error)) => {
                report.find("index_checksum", workspace.row.name.to_string(), error.to_string());
            }
            checked => checked?,
        }
        if repair && report.findings.len() > before {
            report.repaired.push(workspace.row.name.to_string());
            engine.drop_index(workspace)?;
        }
    }
    Ok(report)
}

fn check_home(engine: &Engine, report: &mut CheckReport) -> Result<()> {
    for line in engine.catalog.integrity()? {
        report.find("catalog", "catalog.db", line);
    }
    check_caches(engine, report)?;
    for (name, reason) in engine.unavailable() {
        report.find("workspace", format!("/{name}"), reason);
    }
    engine.auditor.flush()?;
    let (records, broken) = crate::journal::verify_audit(&engine.catalog, &engine.keys.audit)?;
    report.acts = records;
    if let Some(broken) = broken {
        report.find("audit", format!("record {}", broken.number), broken.what);
    }
    Ok(())
}

/// A cache that is damaged is begun anew as soon as that is noticed; here it is told.
fn check_caches(engine: &Engine, report: &mut CheckReport) -> Result<()> {
    let are_vectors_damaged = engine.cache.as_ref().map_or(Ok(false), |cache| cache.check())?;
    let are_texts_damaged = engine.reader.check_cache()?;
    for (file, is_damaged) in [("embeddings.db", are_vectors_damaged), ("texts.db", are_texts_damaged)] {
        if is_damaged {
            let what = format!("it was damaged and is `{file}.damaged` now; an empty one was begun");
            report.find("cache", file, what);
            report.repaired.push(file.to_owned());
        }
    }
    Ok(())
}

fn check_blobs(
    engine: &Engine,
    workspace: &OpenWorkspace,
    repair: bool,
    report: &mut CheckReport,
) -> Result<()> {
    for row in engine.catalog.files(workspace.row.id)? {
        report.files += 1;
        let Some(what) = damage_of(engine, &row) else { continue };
        let at = format!("/{}/{}", workspace.row.name, row.path);
        if repair && put_back(engine, workspace, &row)? {
            report.repaired.push(at.clone());
        }
        report.find("blob", at, what);
    }
    Ok(())
}

/// What is wrong with the kept bytes of a file.
fn damage_of(engine: &Engine, row: &FileRow) -> Option<String> {
    // A file that was too large or could not be read is kept in the tree alone.
    if row.state.skipped.as_ref().is_some_and(|(code, _)| code == "too_large" || code == "unreadable") {
        return None;
    }
    match engine.blobs.get(row.state.version) {
        Ok(Some(_)) => None,
        Ok(None) => Some("its blob is missing".to_owned()),
        Err(error) => Some(error.to_string()),
    }
}

/// Keeps the bytes of a file's version anew, where a file still has them; whether one did.
fn put_back(engine: &Engine, workspace: &OpenWorkspace, row: &FileRow) -> Result<bool> {
    let Some(bytes) = bytes_in_trees(engine, workspace, row)? else { return Ok(false) };
    // A damaged blob would be taken for one that is kept.
    engine.blobs.remove(&[row.state.version])?;
    let staged = engine.blobs.stage(&bytes)?;
    engine.catalog.write(|tx| tx.put_blob(&staged))?;
    Ok(true)
}

/// The bytes of a file's version, under its own path or any other that has the same.
fn bytes_in_trees(engine: &Engine, workspace: &OpenWorkspace, row: &FileRow) -> Result<Option<Vec<u8>>> {
    if let Some(bytes) = bytes_at(workspace, row) {
        return Ok(Some(bytes));
    }
    for other in engine.open_workspaces() {
        let rows = engine.catalog.files(other.row.id)?;
        let mut alike = rows.iter().filter(|found| found.state.version == row.state.version);
        if let Some(bytes) = alike.find_map(|found| bytes_at(&other, found)) {
            return Ok(Some(bytes));
        }
    }
    Ok(None)
}

fn bytes_at(workspace: &OpenWorkspace, row: &FileRow) -> Option<Vec<u8>> {
    let (bytes, _) = workspace.tree.read(&row.path, row.state.size_bytes).ok()??;
    (VersionId::of(&bytes) == row.state.version).then_some(bytes)
}

fn check_index(engine: &Engine, workspace: &Arc<OpenWorkspace>, report: &mut CheckReport) -> Result<()> {
    let name = &workspace.row.name;
    let damaged = workspace.index.damaged_files()?;
    for file in &damaged {
        report.find("index_checksum", format!("{name}: {file}"), "its bytes do not fit their checksum");
    }
    // What stands in damaged files says nothing.
    if !damaged.is_empty() || !workspace.row.intelligence {
        return Ok(());
    }
    if let Some(reason) = &workspace.stale {
        report.find("index_stale", name.to_string(), format!("{reason}; `waypost index` builds it anew"));
        return Ok(());
    }
    let rows = engine.catalog.files(workspace.row.id)?;
    let searcher = workspace.index.searcher();
    check_progress(engine, workspace, &rows, searcher.position().lexical(), report)?;
    let indexed = searcher.files();
    check_chunks(engine, workspace, (&rows, &indexed), &searcher, report)?;
    check_missing(engine, workspace, (&rows, &indexed), searcher.position().lexical(), report)
}

/// An index that was thrown away, or is gone, and has not been built anew.
fn check_progress(
    engine: &Engine,
    workspace: &OpenWorkspace,
    rows: &[FileRow],
    position: Seq,
    report: &mut CheckReport,
) -> Result<()> {
    let (name, id) = (&workspace.row.name, workspace.row.id);
    let rebuilt = engine.rebuilt();
    let reason = rebuilt.iter().find_map(|line| line.strip_prefix(&format!("{name}: ")));
    if let Some(reason) = reason
        && position < crate::journal::last_seq(&engine.catalog, id)?
    {
        let what = format!("the index was thrown away and has not caught up with the files yet: {reason}");
        report.find("index_rebuilt", name.to_string(), what);
    } else if position == Seq(0) && engine.catalog.was_indexed(id)? {
        for row in rows.iter().filter(|row| row.state.skipped.is_none()) {
            if has_text(engine, row)? {
                let what = "the index is gone, and has not been built anew";
                report.find("index_missing", name.to_string(), what);
                break;
            }
        }
    }
    Ok(())
}

/// Files of the catalog, and files of the index with how many chunks each has.
type Files<'a> = (&'a [FileRow], &'a [(FileId, u32)]);

fn check_chunks(
    engine: &Engine,
    workspace: &OpenWorkspace,
    (rows, indexed): Files<'_>,
    searcher: &Searcher,
    report: &mut CheckReport,
) -> Result<()> {
    let name = &workspace.row.name;
    let position = searcher.position().lexical();
    let by_id: HashMap<FileId, &FileRow> = rows.iter().map(|row| (row.id, row)).collect();
    for (file, n_chunks) in indexed {
        report.chunks += u64::from(*n_chunks);
        let Some(row) = by_id.get(file) else {
            // A file that went after the index last read the journal is only late, not wrong.
            if !crate::journal::changed_after(&engine.catalog, *file, position)? {
                let what = "the index has chunks of a file that the catalog does not know";
                report.find("index_extra", format!("{name}: file {}", file.0), what);
            }
            continue;
        };
        for (place, chunk) in searcher.chunks_of(*file)?.into_iter().enumerate() {
            let record = searcher.record(chunk)?;
            let in_order = searcher.key(chunk).ordinal as usize == place;
            if row.seq <= position && (record.version != row.state.version || !in_order) {
                let what = format!("chunk {place} is of another version, or out of order");
                report.find("index_version", format!("/{name}/{}", row.path), what);
            }
        }
    }
    Ok(())
}

fn check_missing(
    engine: &Engine,
    workspace: &OpenWorkspace,
    (rows, indexed): Files<'_>,
    position: Seq,
    report: &mut CheckReport,
) -> Result<()> {
    let has_chunks = |file: FileId| indexed.binary_search_by_key(&file, |(file, _)| *file).is_ok();
    for row in rows.iter().filter(|row| row.seq <= position && row.state.skipped.is_none()) {
        if !has_chunks(row.id) && has_text(engine, row)? {
            let at = format!("/{}/{}", workspace.row.name, row.path);
            report.find("index_missing", at, "the index has no chunk of it");
        }
    }
    Ok(())
}

/// Whether a file has anything to index: one with nothing but white space has no chunk, and some are not indexed by their name.
fn has_text(engine: &Engine, row: &FileRow) -> Result<bool> {
    if is_unsearched_name(row.path.file_name()) {
        return Ok(false);
    }
    let Ok(Some(bytes)) = engine.blobs.get(row.state.version) else { return Ok(false) };
    let document = engine.reader.read(row.state.version, row.path.file_name(), &bytes)?;
    Ok(document.is_ok_and(|document| {
        document
            .blocks
            .iter()
            .any(|block| block.span.of(&document.text).is_some_and(|text| !text.trim().is_empty()))
    }))
}
