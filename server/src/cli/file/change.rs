//! What `waypost file` changes.

use std::path::Path;

use anyhow::Result;
use clap::Args;
use serde_json::{Value, json};
use waypost_engine::api::{Engine, Error, Session, TextEdit, WriteOptions};
use waypost_engine::change::Expected;
use waypost_engine::id::{VersionId, split_path};

use super::way;
use crate::cli::place::{Ask, At, Place, text};
use crate::cli::{Globals, Outcome, check, home, input};
use crate::output::{self, FAINT, STRONG};

/// Said below the flags.
const EXAMPLE: &str =
    "Example: waypost file edit /finance/prices/price-list-2026.csv --old 36.00 --new 38.50 --dry-run";

#[derive(Args)]
#[command(after_help = EXAMPLE)]
pub struct EditArgs {
    /// Which
    path: String,
    /// The text as it stands there, once
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true)]
    old: String,
    /// What takes its place
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true)]
    new: String,
    /// Only show what would change
    #[arg(long)]
    dry_run: bool,
}

pub fn write(
    globals: &Globals,
    at: &At,
    path: &str,
    file: Option<&Path>,
    if_version: Option<&str>,
) -> Outcome {
    let options = standing_on(if_version)?;
    // Read before the home is opened: whoever types on does not keep others from it.
    let bytes = input(file)?;
    let way = way("files", path)?;
    let ask = carrying(Ask::put(&way, Value::Null), &bytes).standing_on(if_version);
    let reply = at.place(globals)?.one(|session| session.write_file(path, &bytes, &options), ask)?;
    print(globals, if reply["created"] == true { "created" } else { "wrote" }, &reply)
}

fn standing_on(version: Option<&str>) -> Result<WriteOptions, Error> {
    let expected = match version {
        Some(version) => Expected::OneOf(vec![VersionId::parse(version)?]),
        None => Expected::Any,
    };
    Ok(WriteOptions { expected, ..WriteOptions::default() })
}

pub fn append(globals: &Globals, at: &At, path: &str, file: Option<&Path>) -> Outcome {
    let bytes = input(file)?;
    let at_home = |session: &Session| session.append_file(path, &bytes, &WriteOptions::default());
    let way = way("append", path)?;
    let reply = at.place(globals)?.one(at_home, carrying(Ask::post(&way, Value::Null), &bytes))?;
    print(globals, if reply["created"] == true { "created" } else { "appended to" }, &reply)
}

fn carrying<'a>(ask: Ask<'a>, bytes: &[u8]) -> Ask<'a> {
    ask.carrying("application/octet-stream", bytes.to_vec()).patiently()
}

pub fn edit(globals: &Globals, at: &At, args: &EditArgs) -> Outcome {
    let (path, dry_run) = (args.path.as_str(), args.dry_run);
    let edit = json!({"old_text": args.old, "new_text": args.new});
    let ask = Ask::post(&["edit"], json!({"path": path, "edits": [edit], "dry_run": dry_run}));
    let edits = [TextEdit { old_text: args.old.clone(), new_text: args.new.clone() }];
    let at_home = |session: &Session| session.edit_file(path, &edits, &WriteOptions::default(), dry_run);
    let reply = at.place(globals)?.one(at_home, ask)?;
    if globals.json {
        output::json(&reply)?;
        return Ok(0);
    }
    output::diff(text(&reply, "diff"))?;
    // Only a change has a place.
    if reply["seq"].is_null() {
        let why = if dry_run { "nothing is written" } else { "nothing changed" };
        err!("{FAINT}{why}{FAINT:#}");
    }
    Ok(0)
}

pub fn move_path(globals: &Globals, at: &At, from: &str, to: &str) -> Outcome {
    let at_home = |session: &Session| session.move_path(from, to, &WriteOptions::default());
    let ask = Ask::post(&["move"], json!({"from": from, "to": to}));
    print(globals, "moved to", &caught_up(globals, at, from)?.one(at_home, ask)?)
}

pub fn copy_path(globals: &Globals, at: &At, from: &str, to: &str) -> Outcome {
    let at_home = |session: &Session| session.copy_path(from, to, &WriteOptions::default());
    let ask = Ask::post(&["copy"], json!({"from": from, "to": to}));
    print(globals, "copied to", &caught_up(globals, at, from)?.one(at_home, ask)?)
}

pub fn delete(globals: &Globals, at: &At, path: &str, recursive: bool) -> Outcome {
    let place = caught_up(globals, at, path)?;
    let ask = Ask::delete(&way("files", path)?).with("recursive", recursive.then_some("true"));
    let reply = place.one(|session| session.delete(path, &WriteOptions::default(), recursive), ask)?;
    let left = place.one(|session| session.info(path), Ask::get(&way("info", path)?));
    if left.is_ok_and(|left| left["kind"] == "folder") {
        err!(
            "{FAINT}note: the folder stays, for something in it is no file here, or left out by an ignore file{FAINT:#}"
        );
    }
    print(globals, "deleted", &reply)
}

pub fn restore(globals: &Globals, at: &At, path: &str, version: &str) -> Outcome {
    let at_home = |session: &Session| session.restore_version(path, version, &WriteOptions::default());
    let ask = Ask::post(&["restore"], json!({"path": path, "version": version}));
    print(globals, "restored", &at.place(globals)?.one(at_home, ask)?)
}

pub fn make_folder(globals: &Globals, at: &At, path: &str) -> Outcome {
    let ask = Ask::post(&["folders"], json!({"path": path}));
    at.place(globals)?.one(|session| session.create_folder(path), ask)?;
    output::done(globals.json, "created", path)?;
    Ok(0)
}

/// Where a change of what may be a folder happens. In a home the files of a folder are taken in first, so that the change
/// leaves out none that another program has written and no server has noticed.
fn caught_up(globals: &Globals, at: &At, path: &str) -> Result<Place> {
    at.place_or(globals, || {
        let engine = home::manage(globals)?;
        let session = engine.owner_session();
        // What is not there is no folder; the change itself says so.
        if session.info(path).is_ok_and(|info| info.kind == "folder") {
            catch_up(&engine, path)?;
        }
        Ok(session)
    })
}

fn catch_up(engine: &Engine, path: &str) -> Result<()> {
    let (workspace, _) = split_path(path).map_err(Error::from)?;
    check::index(engine, &[workspace])
}

fn print(globals: &Globals, did: &str, reply: &Value) -> Outcome {
    if globals.json {
        output::json(reply)?;
        return Ok(0);
    }
    let now = match reply["version"].as_str() {
        Some(version) => {
            let n_bytes = reply["size"].as_u64().unwrap_or_default();
            format!("  {n_bytes} bytes  {FAINT}{}{FAINT:#}", output::safe(version))
        }
        None => String::new(),
    };
    out!("{did} {STRONG}{}{STRONG:#}{now}", output::safe(text(reply, "path")));
    Ok(0)
}
