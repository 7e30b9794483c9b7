//! `waypost index`.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::AtomicBool;
use std::time::Instant;

use anyhow::bail;
use clap::Args;
use serde_json::{Value, json};
use waypost_engine::api::IndexReport;
use waypost_engine::id::WorkspaceName;

use super::home::{self, Fetch};
use super::{Globals, Outcome, UNAVAILABLE};
use crate::output::{self, Bar, FAINT, STRONG};

/// Said below the flags.
const EXAMPLES: &str = "Examples:\n  waypost index ./docs\n  waypost index --explain ./docs/report.pdf";

#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub struct IndexArgs {
    /// The folder; without one every workspace of the home is brought up to its files
    dir: Option<PathBuf>,
    /// Index nothing: show what is read of this file, and what of it is indexed
    #[arg(long, value_name = "FILE", conflicts_with = "dir")]
    explain: Option<PathBuf>,
    /// Name of its workspace; where it is missing the one that the folder has here, or else the folder's own
    #[arg(long, requires = "dir")]
    name: Option<String>,
}

pub fn run(globals: &Globals, args: &IndexArgs) -> Outcome {
    if let Some(file) = &args.explain {
        return super::reading::explain(globals, file);
    }
    let Some(dir) = args.dir.clone() else { return catch_up(globals) };
    if dir.is_file() {
        let file = dir.display();
        bail!(
            "`{file}` is a file: expected a folder (`waypost index --explain FILE` shows what is read of a file)"
        );
    }
    let home = match &globals.home {
        Some(home) => home.clone(),
        None => dir.clone(),
    };
    let folder = dir
        .canonicalize()
        .map_err(|source| waypost_engine::api::Error::Folder { path: dir.clone(), source })?;
    let given = args.name.as_deref().map(WorkspaceName::new).transpose();
    let given = given.map_err(waypost_engine::api::Error::from)?;
    // The folder comes first: where it becomes a home, what is called `workspaces` in it is taken in behind it.
    let (engine, _) = home::open_untaken(&home, globals, Fetch::IfMissing)?;
    let own = || WorkspaceName::from_folder(&folder.file_name().unwrap_or_default().to_string_lossy());
    let name = given.or_else(|| engine.workspace_in(&folder)).unwrap_or_else(own);
    engine.attach(&name, &folder)?;
    home::take_in(&engine)?;
    let mut bar = Bar::new();
    let report = engine.index(&name, &AtomicBool::new(false), &mut |progress| bar.show(progress))?;
    bar.finish();
    let seconds = bar.elapsed().as_secs_f64();
    if globals.json {
        output::json(&shown(&name, &report, seconds))?;
    } else {
        print(&name, &report, seconds);
    }
    Ok(0)
}

/// Brings every workspace of a home up to its files; one that is not available is named, and fails the command.
fn catch_up(globals: &Globals) -> Outcome {
    let (engine, _) = home::open(&home::locate(globals, None)?, globals, Fetch::IfMissing)?;
    let mut bar = Bar::new();
    let mut items = Vec::new();
    for name in engine.workspace_names() {
        let begun = Instant::now();
        let report = engine.index(&name, &AtomicBool::new(false), &mut |progress| bar.show(progress))?;
        let seconds = begun.elapsed().as_secs_f64();
        if globals.json {
            items.push(shown(&name, &report, seconds));
        } else {
            print(&name, &report, seconds);
        }
    }
    bar.finish();
    if globals.json {
        output::json(&json!({"items": items}))?;
    }
    let unavailable = engine.unavailable();
    for (name, reason) in &unavailable {
        output::note(&format!("workspace `{name}` is not available: {reason}"));
    }
    Ok(if unavailable.is_empty() { 0 } else { UNAVAILABLE })
}

/// Every file that is not indexed: in the tree, and by what it holds.
fn skipped(report: &IndexReport) -> Vec<(&str, &str, &str)> {
    let in_tree =
        report.scan.skipped.iter().map(|skip| (skip.path.as_str(), skip.code, skip.reason.as_str()));
    let by_content =
        report.skipped.iter().map(|(path, code, reason)| (path.as_str(), code.as_str(), reason.as_str()));
    in_tree.chain(by_content).collect()
}

fn shown(name: &WorkspaceName, report: &IndexReport, seconds: f64) -> Value {
    let skipped: Vec<_> = skipped(report)
        .into_iter()
        .map(|(path, code, reason)| json!({"path": path, "code": code, "reason": reason}))
        .collect();
    json!({
        "workspace": name,
        "files": report.scan.found,
        "created": report.scan.created,
        "updated": report.scan.updated,
        "deleted": report.scan.deleted,
        "files_indexed": report.files_indexed,
        "chunks": report.chunks,
        "chunks_embedded": report.chunks_embedded,
        "statuses": report.statuses,
        "skipped": skipped,
        "seconds": seconds,
    })
}

fn print(name: &WorkspaceName, report: &IndexReport, seconds: f64) {
    let scan = &report.scan;
    out!(
        "{STRONG}/{name}{STRONG:#}  {} files ({} new, {} changed, {} gone), {} chunks, {} embedded, {seconds:.1} s",
        scan.found,
        scan.created,
        scan.updated,
        scan.deleted,
        report.chunks,
        report.chunks_embedded,
    );
    if report.statuses.failed > 0 {
        out!("{FAINT}  {} could not be read{FAINT:#}", report.statuses.failed);
    }
    let mut by_code: BTreeMap<&str, (usize, &str, &str)> = BTreeMap::new();
    for (path, code, reason) in skipped(report) {
        let entry = by_code.entry(code).or_insert((0, path, reason));
        entry.0 += 1;
    }
    for (code, (count, example, reason)) in by_code {
        let word = if waypost_engine::text::SkipReason::is_failure(code) { "failed" } else { "skipped" };
        let (example, reason) = (output::safe(example), output::safe(reason));
        out!("{FAINT}  {word} {count} · {code} · such as {example}: {reason}{FAINT:#}");
    }
}
