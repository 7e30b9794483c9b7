//! What `waypost file` shows and leaves as it is.

use anyhow::{Context, Result};
use clap::Args;
use serde_json::{Value, json};
use waypost_engine::api::{Error, FindRequest, Session};

use super::way;
use crate::cli::place::{Ask, At, Place, Server, items, text};
use crate::cli::{Globals, NOTHING, Outcome, raw};
use crate::output::{self, BAD, FAINT, GOOD, STRONG};

/// Paths of one answer of a server at most.
const PAGE_PATHS: usize = 1000;

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

/// A file's bytes, as they are shown.
struct Content {
    bytes: Vec<u8>,
    version: String,
    mime_type: String,
}

pub fn read(globals: &Globals, at: &At, args: &ReadArgs) -> Outcome {
    let file = match at.place(globals)? {
        Place::Home(session) => args.at_home(&session)?,
        Place::Server(server) => args.at_server(&server)?,
    };
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

impl ReadArgs {
    fn at_home(&self, session: &Session) -> Result<Content, Error> {
        let file = session.read_file(&self.path, self.version.as_deref(), self.as_of.as_deref())?;
        Ok(Content { bytes: file.bytes, version: file.version.to_string(), mime_type: file.mime_type })
    }

    fn at_server(&self, server: &Server) -> Result<Content> {
        let query = [("version", self.version.as_deref()), ("as_of", self.as_of.as_deref())];
        let mut incoming = raw::open(server, &way("files", &self.path)?, &query)?;
        let mut bytes = Vec::new();
        raw::copy(&mut incoming, &mut bytes)?;
        let tag = incoming.etag.as_deref().context("the server does not say which version it gave")?;
        let shown = incoming.content_type.as_deref().unwrap_or_default();
        // How a text is written is said there too.
        let mime_type = shown.split_once("; charset=").map_or(shown, |(mime_type, _)| mime_type);
        Ok(Content { bytes, version: tag.trim_matches('"').to_owned(), mime_type: mime_type.to_owned() })
    }
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

pub fn list(globals: &Globals, at: &At, path: &str) -> Outcome {
    let entries = at.place(globals)?.all(|session| session.list(path), Ask::get(&way("list", path)?))?;
    output::list(globals.json, &entries, |entry| out!("{}", named(entry)))?;
    Ok(0)
}

fn named(entry: &Value) -> String {
    let name = output::safe(text(entry, "name"));
    match entry["size"].as_u64() {
        _ if entry["kind"] == "folder" => format!("{STRONG}{name}/{STRONG:#}"),
        Some(n_bytes) => format!("{name}  {FAINT}{n_bytes} bytes{FAINT:#}"),
        None => name,
    }
}

pub fn tree(globals: &Globals, at: &At, path: &str, depth: Option<usize>) -> Outcome {
    let depth = depth.unwrap_or(usize::MAX);
    let tree = match at.place(globals)? {
        place @ Place::Server(_) if matches!(path, "" | "/") => whole_tree(&place, depth)?,
        place => tree_of(&place, path, depth)?,
    };
    let (entries, is_cut) = (items(&tree, "entries"), &tree["cut"]);
    if globals.json {
        output::json(&json!({"items": entries, "cut": is_cut}))?;
        return Ok(0);
    }
    out!("{STRONG}{}{STRONG:#}", output::safe(path));
    draw(entries, "");
    if *is_cut == true {
        err!("{FAINT}there is more: look into a folder, or less deep with `--depth`{FAINT:#}");
    }
    Ok(0)
}

fn tree_of(place: &Place, path: &str, depth: usize) -> Result<Value> {
    let at_home = |session: &Session| -> Result<Value, Error> {
        let (entries, is_cut) = session.tree(path, depth, &[])?;
        Ok(json!({"entries": entries, "cut": is_cut}))
    };
    place.one(at_home, Ask::get(&way("tree", path)?).with("depth", Some(&depth.to_string())))
}

/// The trees of all workspaces of a server; it has no route for them together.
fn whole_tree(place: &Place, depth: usize) -> Result<Value> {
    let (mut entries, mut is_cut) = (Vec::new(), false);
    for entry in place.all(|session| session.list("/"), Ask::get(&["list"]))? {
        let mut shown = json!({"name": entry["name"], "kind": entry["kind"]});
        if depth > 1 {
            let tree = tree_of(place, text(&entry, "path"), depth - 1)?;
            shown["children"] = items(&tree, "entries").into();
            is_cut |= tree["cut"] == true;
        }
        entries.push(shown);
    }
    Ok(json!({"entries": entries, "cut": is_cut}))
}

fn draw(entries: &[Value], indent: &str) {
    for (idx, entry) in entries.iter().enumerate() {
        let is_last = idx + 1 == entries.len();
        let (branch, below) = if is_last { ("└── ", "    ") } else { ("├── ", "│   ") };
        out!("{FAINT}{indent}{branch}{FAINT:#}{}", named(entry));
        draw(items(entry, "children"), &format!("{indent}{below}"));
    }
}

pub fn info(globals: &Globals, at: &At, path: &str) -> Outcome {
    let info = at.place(globals)?.one(|session| session.info(path), Ask::get(&way("info", path)?))?;
    output::one(globals.json, &info, print_info)?;
    Ok(0)
}

fn print_info(info: &Value) {
    out!("{STRONG}{}{STRONG:#}  {}", output::safe(text(info, "path")), output::safe(text(info, "kind")));
    let size = info["size"].as_u64().map(|n_bytes| format!("{n_bytes} bytes"));
    let fact = |name: &str| info[name].as_str().map(str::to_owned);
    let facts = [
        ("size", size),
        ("type", fact("mime_type")),
        ("language", fact("language")),
        ("version", fact("version")),
        ("modified", fact("modified_at")),
        ("approved", fact("approved_by")),
        ("not indexed", fact("skipped")),
        ("seq", fact("seq")),
    ];
    for (name, fact) in facts {
        if let Some(fact) = fact {
            out!("  {FAINT}{name:11}{FAINT:#} {}", output::safe(&fact));
        }
    }
}

pub fn find(globals: &Globals, at: &At, args: &FindArgs) -> Outcome {
    let mut found = args.found(&at.place(globals)?)?;
    found.truncate(args.limit);
    output::list(globals.json, &found, |path| {
        out!("{}", output::safe(path.as_str().unwrap_or_default()));
    })?;
    if !globals.json && found.len() == args.limit {
        err!("{FAINT}there may be more: raise `--limit`{FAINT:#}");
    }
    Ok(if found.is_empty() { NOTHING } else { 0 })
}

impl FindArgs {
    /// The paths; from a server there may be more than were asked for.
    fn found(&self, place: &Place) -> Result<Vec<Value>> {
        let request = FindRequest {
            below: &self.folder,
            pattern: &self.pattern,
            limit: self.limit,
            ..FindRequest::default()
        };
        let page = self.limit.clamp(1, PAGE_PATHS).to_string();
        let ask = Ask::get(&["find"])
            .with("pattern", Some(&self.pattern))
            .with("path", Some(&self.folder))
            .with("limit", Some(&page));
        if self.limit > PAGE_PATHS {
            return place.all(|session| session.find_files(&request), ask);
        }
        let at_home = |session: &Session| -> Result<Value, Error> {
            Ok(json!({"items": session.find_files(&request)?}))
        };
        Ok(items(&place.one(at_home, ask)?, "items").to_vec())
    }
}

pub fn history(globals: &Globals, at: &At, path: &str) -> Outcome {
    let ask = Ask::get(&way("versions", path)?);
    let versions = at.place(globals)?.all(|session| session.versions(path), ask)?;
    output::list(globals.json, &versions, print_version)?;
    Ok(0)
}

fn print_version(past: &Value) {
    let version = past["version"].as_str();
    let size = past["size"].as_u64().map(|n_bytes| format!("  {n_bytes} bytes")).unwrap_or_default();
    let state = match (past["current"] == true, version.is_some() && past["available"] == false) {
        (true, _) => format!("  {GOOD}current{GOOD:#}"),
        (_, true) => format!("  {BAD}pruned{BAD:#}"),
        _ => String::new(),
    };
    out!(
        "{STRONG}{}{STRONG:#}  {}{size}{state}  {FAINT}{} by {}{FAINT:#}",
        output::safe(version.unwrap_or("nothing")),
        output::safe(text(past, "event")),
        output::safe(text(past, "at")),
        output::safe(text(past, "actor"))
    );
    let names = [("approved_by", "approved by"), ("other_path", "moved, other end"), ("path", "then")];
    let told = |(name, said): (&str, &str)| {
        past[name].as_str().map(|value| format!("  {said} {}", output::safe(value)))
    };
    let notes: String = names.into_iter().filter_map(told).collect();
    out!("  {FAINT}seq {}{notes}{FAINT:#}", output::safe(text(past, "seq")));
}

pub fn diff(globals: &Globals, at: &At, path: &str, from: &str, to: Option<&str>) -> Outcome {
    let at_home =
        |session: &Session| -> Result<Value, Error> { Ok(json!({"diff": session.diff(path, from, to)?})) };
    let ask = Ask::get(&way("diff", path)?).with("from", Some(from)).with("to", to);
    let reply = at.place(globals)?.one(at_home, ask)?;
    let diff = text(&reply, "diff");
    if globals.json {
        output::json(&json!({"path": path, "diff": diff}))?;
    } else {
        output::diff(diff)?;
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
