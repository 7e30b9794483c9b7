//! `waypost index --explain FILE`: what is read of a file, and what of it is indexed.

use std::path::Path;

use waypost_engine::api::{DocumentExplanation, ReadingExplanation};
use waypost_engine::id::RelPath;
use waypost_engine::store::Tree;

use super::home::{self, Fetch};
use super::{Globals, NOTHING, Outcome};
use crate::output::{self, FAINT, STRONG};

/// Explains a file by the home around it; one that lies in no home is read by an empty one.
pub fn explain(globals: &Globals, file: &Path) -> Outcome {
    let around = file.canonicalize().ok();
    let around =
        around.as_deref().and_then(|file| file.ancestors().find(|folder| folder.join(".waypost").is_dir()));
    let empty = tempfile::tempdir()?;
    let home = globals.home.as_deref().or(around).unwrap_or(empty.path());
    let (engine, _) = home::open(home, globals, Fetch::Never)?;
    let found = engine.explain_reading(file)?;
    let left_out = if found.path.is_none() { left_out(engine.home(), file)? } else { None };
    let code = if found.document.is_some() { 0 } else { NOTHING };
    if globals.json {
        output::json(&as_json(&found, left_out.as_ref())?)?;
    } else {
        print(&found, left_out.as_ref());
    }
    Ok(code)
}

/// Why a scan passes over a file of the home, and what that is called.
struct LeftOut {
    status: &'static str,
    reason: String,
}

/// What a scan of the folder around the file would leave out; a file that lies in no folder of the home is not judged.
fn left_out(home: &Path, file: &Path) -> anyhow::Result<Option<LeftOut>> {
    let Ok(file) = file.canonicalize() else { return Ok(None) };
    let kept = file.strip_prefix(home.join("workspaces")).ok().and_then(|below| below.iter().next());
    let root = kept.map_or_else(|| home.to_owned(), |name| home.join("workspaces").join(name));
    let Some(below) = file.strip_prefix(&root).ok().and_then(Path::to_str) else { return Ok(None) };
    let found = Tree::open(&root)?.walk();
    let path = RelPath::new(below).ok();
    if found.files.iter().any(|entry| path.as_ref() == Some(&entry.path)) {
        return Ok(None);
    }
    let skipped = found.skipped.into_iter().find(|skipped| skipped.path == below);
    Ok(Some(match skipped {
        Some(skipped) => {
            LeftOut { status: "skipped", reason: format!("{}: {}", skipped.code, skipped.reason) }
        }
        None => LeftOut {
            status: "ignored",
            reason: "ignored: a rule of `.gitignore`, `.ignore` or `.waypostignore` leaves it out, or its name does: such files, and \
                     `.env…`, are not indexed, nor what belongs to a home"
                .to_owned(),
        },
    }))
}

fn as_json(found: &ReadingExplanation, left_out: Option<&LeftOut>) -> serde_json::Result<serde_json::Value> {
    let mut told = serde_json::to_value(found)?;
    if let Some(left_out) = left_out {
        told["status"] = left_out.status.into();
        told["reason"] = left_out.reason.as_str().into();
    }
    Ok(told)
}

fn print(found: &ReadingExplanation, left_out: Option<&LeftOut>) {
    let status = serde_json::to_value(found.status).unwrap_or_default();
    let status = left_out.map_or(status.as_str().unwrap_or_default(), |left_out| left_out.status);
    out!(
        "{STRONG}{}{STRONG:#}  {} · {} bytes · {status}",
        output::safe(found.path.as_deref().unwrap_or(&found.name)),
        found.mime_type,
        found.size
    );
    if let Some(reason) = left_out.map(|left_out| &left_out.reason).or(found.reason.as_ref()) {
        out!("  {}", output::safe(reason));
    }
    if let Some(document) = &found.document {
        print_document(document);
    }
}

fn print_document(document: &DocumentExplanation) {
    let or_none = |value: &Option<String>| value.as_deref().map_or_else(|| "none".to_owned(), output::safe);
    out!(
        "  read as {} · language {} · title {} · {} bytes of text in {} blocks",
        document.kind,
        or_none(&document.language),
        or_none(&document.title),
        document.text_bytes,
        document.blocks
    );
    for warning in &document.warnings {
        out!("  warning: {}", output::safe(warning));
    }
    for (ordinal, chunk) in document.chunks.iter().enumerate() {
        let place = chunk.location.as_ref().map(|place| format!(" · {place}")).unwrap_or_default();
        let vector = if chunk.vector { "vector" } else { "no vector" };
        out!(
            "{FAINT}  chunk {ordinal} · bytes {}..{} · lines {}–{} · {} tokens · {vector}{} · {}{FAINT:#}",
            chunk.span.start,
            chunk.span.end,
            chunk.lines.0,
            chunk.lines.1,
            chunk.tokens,
            output::safe(&place),
            output::safe(&chunk.headings.join(" > "))
        );
    }
    out!("");
    for line in document.text.lines() {
        out!("{}", output::safe(line));
    }
    if document.text.len() < document.text_bytes {
        out!("{FAINT}… {} bytes more{FAINT:#}", document.text_bytes - document.text.len());
    }
}
