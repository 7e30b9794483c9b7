//! `waypost index --explain FILE`: what is read of a file, and what of it is indexed.

use std::path::Path;

use waypost_engine::api::{DocumentExplanation, ReadingExplanation};

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
    let code = if found.document.is_some() { 0 } else { NOTHING };
    if globals.json {
        output::json(&found)?;
    } else {
        print(&found);
    }
    Ok(code)
}

fn print(found: &ReadingExplanation) {
    let status = serde_json::to_value(found.status).unwrap_or_default();
    let status = status.as_str().unwrap_or_default();
    anstream::println!(
        "{STRONG}{}{STRONG:#}  {} · {} bytes · {status}",
        output::safe(found.path.as_deref().unwrap_or(&found.name)),
        found.mime_type,
        found.size
    );
    if let Some(reason) = &found.reason {
        anstream::println!("  {}", output::safe(reason));
    }
    if let Some(document) = &found.document {
        print_document(document);
    }
}

fn print_document(document: &DocumentExplanation) {
    let or_none = |value: &Option<String>| value.as_deref().map_or_else(|| "none".to_owned(), output::safe);
    anstream::println!(
        "  read as {} · language {} · title {} · {} bytes of text in {} blocks",
        document.kind,
        or_none(&document.language),
        or_none(&document.title),
        document.text_bytes,
        document.blocks
    );
    for warning in &document.warnings {
        anstream::println!("  warning: {}", output::safe(warning));
    }
    for (ordinal, chunk) in document.chunks.iter().enumerate() {
        let place = chunk.location.as_ref().map(|place| format!(" · {place}")).unwrap_or_default();
        let vector = if chunk.vector { "vector" } else { "no vector" };
        anstream::println!(
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
    anstream::println!();
    for line in document.text.lines() {
        anstream::println!("{}", output::safe(line));
    }
    if document.text.len() < document.text_bytes {
        anstream::println!("{FAINT}… {} bytes more{FAINT:#}", document.text_bytes - document.text.len());
    }
}
