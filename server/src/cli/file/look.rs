//! What `waypost file` shows and leaves as it is.

use clap::Args;
use serde_json::json;
use waypost_engine::api::{FileInfo, FindRequest, ListEntry, TreeEntry, VersionInfo};

use crate::cli::{Globals, NOTHING, Outcome, home};
use crate::output::{self, BAD, FAINT, GOOD, STRONG};

/// Said below the flags of `waypost file read`.
const READ_EXAMPLES: &str = "Examples:\n  waypost file read /finance/policies/travel-policy-2025.md --head 20\n  \
                             waypost file read /marketing/website/faq.md --as-of sn_…";

#[derive(Args)]
#[command(after_help = READ_EXAMPLES)]
pub struct ReadArgs {
    /// Which
    path: String,
    /// The bytes of this version, see `history`
    #[arg(long, value_name = "VERSION", conflicts_with = "as_of")]
    version: Option<String>,
    /// The bytes of then: a snapshot's id, or a `seq`
    #[arg(long, value_name = "SNAPSHOT")]
    as_of: Option<String>,
    /// Only so many lines from the start
    #[arg(long, value_name = "N", conflicts_with = "tail")]
    head: Option<usize>,
    /// Only so many lines up to the end
    #[arg(long, value_name = "N")]
    tail: Option<usize>,
}

/// Said below the flags of `waypost file find`.
const FIND_EXAMPLES: &str = "Examples:\n  waypost file find '**/*.md' --in /engineering\n  \
                             waypost file find certificate -n 20";

#[derive(Args)]
#[command(after_help = FIND_EXAMPLES)]
pub struct FindArgs {
    /// `*` within a name, `**` across folders; a text without either is looked for in the path, in any case
    pattern: String,
    /// Only in this folder
    #[arg(long = "in", value_name = "FOLDER", default_value = "/")]
    folder: String,
    /// Files at most
    #[arg(long, short = 'n', value_name = "N", default_value_t = 1000)]
    limit: usize,
}

pub fn read(globals: &Globals, args: &ReadArgs) -> Outcome {
    let session = home::owner(globals)?;
    let file = session.read_file(&args.path, args.version.as_deref(), args.as_of.as_deref())?;
    let part = match (args.head, args.tail) {
        (Some(n_lines), _) => first_lines(&file.bytes, n_lines),
        (None, Some(n_lines)) => last_lines(&file.bytes, n_lines),
        (None, None) => file.bytes.as_slice(),
    };
    if globals.json {
        output::json(&json!({
            "path": args.path,
            "version": file.version,
            "mime_type": file.mime_type,
            "size": file.bytes.len(),
            "text": std::str::from_utf8(part).ok(),
        }))?;
    } else {
        output::raw(part)?;
    }
    Ok(0)
}

fn first_lines(bytes: &[u8], n_lines: usize) -> &[u8] {
    let len: usize = bytes.split_inclusive(|byte| *byte == b'\n').take(n_lines).map(<[u8]>::len).sum();
    &bytes[..len]
}

fn last_lines(bytes: &[u8], n_lines: usize) -> &[u8] {
    let lines = bytes.split_inclusive(|byte| *byte == b'\n').rev();
    let len: usize = lines.take(n_lines).map(<[u8]>::len).sum();
    &bytes[bytes.len() - len..]
}

pub fn list(globals: &Globals, path: &str) -> Outcome {
    let entries = home::owner(globals)?.list(path)?;
    output::list(globals.json, &entries, |entry: &ListEntry| {
        anstream::println!("{}", named(&entry.name, entry.kind, entry.size));
    })?;
    Ok(0)
}

fn named(name: &str, kind: &str, size_bytes: Option<u64>) -> String {
    match size_bytes {
        _ if kind == "folder" => format!("{STRONG}{}/{STRONG:#}", output::safe(name)),
        Some(size_bytes) => format!("{}  {FAINT}{size_bytes} bytes{FAINT:#}", output::safe(name)),
        None => output::safe(name),
    }
}

pub fn tree(globals: &Globals, path: &str, depth: Option<usize>) -> Outcome {
    let (entries, is_cut) = home::owner(globals)?.tree(path, depth.unwrap_or(usize::MAX), &[])?;
    if globals.json {
        output::json(&json!({"items": entries, "cut": is_cut}))?;
        return Ok(0);
    }
    anstream::println!("{STRONG}{}{STRONG:#}", output::safe(path));
    draw(&entries, "");
    if is_cut {
        anstream::eprintln!("{FAINT}there is more: look into a folder, or less deep with `--depth`{FAINT:#}");
    }
    Ok(0)
}

fn draw(entries: &[TreeEntry], indent: &str) {
    for (idx, entry) in entries.iter().enumerate() {
        let is_last = idx + 1 == entries.len();
        let (branch, below) = if is_last { ("└── ", "    ") } else { ("├── ", "│   ") };
        anstream::println!("{FAINT}{indent}{branch}{FAINT:#}{}", named(&entry.name, entry.kind, entry.size));
        draw(entry.children.as_deref().unwrap_or_default(), &format!("{indent}{below}"));
    }
}

pub fn info(globals: &Globals, path: &str) -> Outcome {
    let info = home::owner(globals)?.info(path)?;
    if globals.json {
        output::json(&info)?;
    } else {
        print_info(&info);
    }
    Ok(0)
}

fn print_info(info: &FileInfo) {
    anstream::println!("{STRONG}{}{STRONG:#}  {}", output::safe(&info.path), info.kind);
    let facts = [
        ("size", info.size.map(|size| format!("{size} bytes"))),
        ("type", info.mime_type.clone()),
        ("language", info.language.clone()),
        ("version", info.version.map(|version| version.to_string())),
        ("modified", info.modified_at.clone()),
        ("approved", info.approved_by.clone()),
        ("not indexed", info.skipped.clone()),
        ("seq", info.seq.clone()),
    ];
    for (name, fact) in facts {
        if let Some(fact) = fact {
            anstream::println!("  {FAINT}{name:11}{FAINT:#} {}", output::safe(&fact));
        }
    }
}

pub fn find(globals: &Globals, args: &FindArgs) -> Outcome {
    let found = home::owner(globals)?.find_files(&FindRequest {
        below: &args.folder,
        pattern: &args.pattern,
        limit: args.limit,
        ..FindRequest::default()
    })?;
    output::list(globals.json, &found, |path: &String| anstream::println!("{}", output::safe(path)))?;
    if !globals.json && found.len() == args.limit {
        anstream::eprintln!("{FAINT}there may be more: raise `--limit`{FAINT:#}");
    }
    Ok(if found.is_empty() { NOTHING } else { 0 })
}

pub fn history(globals: &Globals, path: &str) -> Outcome {
    let versions = home::owner(globals)?.versions(path)?;
    output::list(globals.json, &versions, print_version)?;
    Ok(0)
}

fn print_version(past: &VersionInfo) {
    let version = past.version.map_or_else(|| "nothing".to_owned(), |version| version.to_string());
    let size = past.size.map(|size| format!("  {size} bytes")).unwrap_or_default();
    let state = match (past.current, past.version.is_some() && !past.available) {
        (true, _) => format!("  {GOOD}current{GOOD:#}"),
        (_, true) => format!("  {BAD}pruned{BAD:#}"),
        _ => String::new(),
    };
    anstream::println!(
        "{STRONG}{version}{STRONG:#}  {}{size}{state}  {FAINT}{} by {}{FAINT:#}",
        past.event,
        past.at,
        output::safe(&past.actor)
    );
    let approved = past.approved_by.iter().map(|by| format!("  approved by {}", output::safe(by)));
    let other = past.other_path.iter().map(|path| format!("  moved, other end {}", output::safe(path)));
    let then = past.path.iter().map(|path| format!("  then {}", output::safe(path)));
    let notes: String = approved.chain(other).chain(then).collect();
    anstream::println!("  {FAINT}seq {}{notes}{FAINT:#}", past.seq);
}

pub fn diff(globals: &Globals, path: &str, from: &str, to: Option<&str>) -> Outcome {
    let diff = home::owner(globals)?.diff(path, from, to)?;
    if globals.json {
        output::json(&json!({"path": path, "diff": diff}))?;
    } else {
        output::diff(&diff)?;
    }
    Ok(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_counted_from_either_end() {
        for (text, n_lines, first, last) in [
            ("a\nb\nc\n", 2, "a\nb\n", "b\nc\n"),
            ("a\nb", 1, "a\n", "b"),
            ("a\n\n", 1, "a\n", "\n"),
            ("a", 5, "a", "a"),
            ("a\nb\n", 0, "", ""),
            ("", 1, "", ""),
        ] {
            assert_eq!(first_lines(text.as_bytes(), n_lines), first.as_bytes(), "{text:?}");
            assert_eq!(last_lines(text.as_bytes(), n_lines), last.as_bytes(), "{text:?}");
        }
    }
}
