use std::sync::Arc;

use serde::Serialize;

use super::engine::Engine;
use super::error::{Error, Result};
use super::workspace::OpenWorkspace;
use crate::catalog::FileRow;
use crate::id::FileId;

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
    /// Workspaces whose index was thrown away to be built anew.
    pub repaired: Vec<String>,
}

/// One thing that does not fit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, schemars::JsonSchema)]
pub struct Finding {
    /// Stable: `audit`, `catalog`, `blob`, `index_checksum`, `index_extra`, `index_missing`, `index_rebuilt`, `index_version`,
    /// `workspace`.
    pub code: &'static str,
    /// Where.
    pub at: String,
    /// What, for a person.
    pub what: String,
}

/// Compares catalog, blobs, index and audit chain with each other and with themselves.
pub fn check(engine: &Engine, repair: bool) -> Result<CheckReport> {
    let mut report = CheckReport::default();
    for line in engine.catalog.integrity()? {
        report.findings.push(Finding { code: "catalog", at: "catalog.db".to_owned(), what: line });
    }
    for (name, reason) in engine.unavailable() {
        report.findings.push(Finding { code: "workspace", at: format!("/{name}"), what: reason });
    }
    engine.auditor.flush()?;
    let (records, broken) = crate::journal::verify_audit(&engine.catalog, &engine.keys.audit)?;
    report.acts = records;
    if let Some(broken) = broken {
        let at = format!("record {}", broken.number);
        report.findings.push(Finding { code: "audit", at, what: broken.what });
    }
    for workspace in engine.open_workspaces() {
        let before = report.findings.len();
        match check_workspace(engine, &workspace, &mut report) {
            // What can't even be read is found, too; nothing behind it is compared.
            Err(Error::Index(error)) => {
                let at = workspace.row.name.to_string();
                report.findings.push(Finding { code: "index_checksum", at, what: error.to_string() });
            }
            checked => checked?,
        }
        let is_index_bad = report.findings[before..].iter().any(|finding| finding.code.starts_with("index"));
        if repair && is_index_bad {
            report.repaired.push(workspace.row.name.to_string());
            engine.drop_index(workspace)?;
        }
    }
    Ok(report)
}

fn check_workspace(engine: &Engine, workspace: &Arc<OpenWorkspace>, report: &mut CheckReport) -> Result<()> {
    let name = &workspace.row.name;
    for file in workspace.index.damaged_files()? {
        let what = "its bytes do not fit their checksum".to_owned();
        report.findings.push(Finding { code: "index_checksum", at: format!("{name}: {file}"), what });
    }
    let rows = engine.catalog.files(workspace.row.id)?;
    if !workspace.row.intelligence {
        report.files += rows.len() as u64;
        rows.iter().for_each(|row| check_blob(engine, row, name.as_str(), report));
        return Ok(());
    }
    let searcher = workspace.index.searcher();
    let position = searcher.position().lexical();
    let was_rebuilt = engine.rebuilt().iter().any(|line| line.starts_with(&format!("{name}: ")));
    if was_rebuilt && position < crate::journal::last_seq(&engine.catalog, workspace.row.id)? {
        let what = "the index was thrown away and has not caught up with the files yet".to_owned();
        report.findings.push(Finding { code: "index_rebuilt", at: name.to_string(), what });
    }
    let indexed = searcher.files();
    let find = |file: FileId| rows.iter().find(|row| row.id == file);
    for row in &rows {
        report.files += 1;
        check_blob(engine, row, name.as_str(), report);
    }
    for (file, n_chunks) in &indexed {
        report.chunks += u64::from(*n_chunks);
        let Some(row) = find(*file) else {
            // A file that went after the index last read the journal is only late, not wrong.
            if !crate::journal::changed_after(&engine.catalog, *file, position)? {
                let what = "the index has chunks of a file that the catalog does not know".to_owned();
                report.findings.push(Finding {
                    code: "index_extra",
                    at: format!("{name}: file {}", file.0),
                    what,
                });
            }
            continue;
        };
        for (place, chunk) in searcher.chunks_of(*file)?.into_iter().enumerate() {
            let record = searcher.record(chunk)?;
            let in_order = searcher.key(chunk).ordinal as usize == place;
            if row.seq <= position && (record.version != row.state.version || !in_order) {
                let what = format!("chunk {place} is of another version, or out of order");
                report.findings.push(Finding {
                    code: "index_version",
                    at: format!("/{name}/{}", row.path),
                    what,
                });
            }
        }
    }
    let has_chunks = |file: FileId| indexed.binary_search_by_key(&file, |(file, _)| *file).is_ok();
    for row in rows.iter().filter(|row| row.seq <= position && row.state.skipped.is_none()) {
        if !has_chunks(row.id) && has_text(engine, row)? {
            let what = "the index has no chunk of it".to_owned();
            report.findings.push(Finding {
                code: "index_missing",
                at: format!("/{name}/{}", row.path),
                what,
            });
        }
    }
    Ok(())
}

/// Whether a file has anything to index: one with nothing but white space has no chunk.
fn has_text(engine: &Engine, row: &FileRow) -> Result<bool> {
    let Ok(Some(bytes)) = engine.blobs.get(row.state.version) else { return Ok(false) };
    let document = engine.reader.read(row.state.version, row.path.file_name(), &bytes)?;
    Ok(document.is_ok_and(|document| {
        document
            .blocks
            .iter()
            .any(|block| block.span.of(&document.text).is_some_and(|text| !text.trim().is_empty()))
    }))
}

fn check_blob(engine: &Engine, row: &FileRow, name: &str, report: &mut CheckReport) {
    // A file that was too large or could not be read is kept in the tree alone.
    if row.state.skipped.as_ref().is_some_and(|(code, _)| code == "too_large" || code == "unreadable") {
        return;
    }
    let what = match engine.blobs.get(row.state.version) {
        Ok(Some(_)) => return,
        Ok(None) => "its blob is missing".to_owned(),
        Err(error) => error.to_string(),
    };
    report.findings.push(Finding { code: "blob", at: format!("/{name}/{}", row.path), what });
}
