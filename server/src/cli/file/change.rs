//! What `waypost file` changes.

use std::path::Path;

use anyhow::Result;
use clap::Args;
use waypost_engine::api::{Engine, Error, Session, TextEdit, WriteOptions, WriteReply};
use waypost_engine::change::Expected;
use waypost_engine::id::{VersionId, split_path};

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

pub fn write(globals: &Globals, path: &str, file: Option<&Path>, if_version: Option<&str>) -> Outcome {
    let options = standing_on(if_version)?;
    // Read before the home is opened: whoever types on does not keep others from it.
    let bytes = input(file)?;
    let reply = home::owner(globals)?.write_file(path, &bytes, &options)?;
    print(globals, if reply.created { "created" } else { "wrote" }, &reply)
}

fn standing_on(version: Option<&str>) -> Result<WriteOptions, Error> {
    let expected = match version {
        Some(version) => Expected::OneOf(vec![VersionId::parse(version)?]),
        None => Expected::Any,
    };
    Ok(WriteOptions { expected, ..WriteOptions::default() })
}

pub fn append(globals: &Globals, path: &str, file: Option<&Path>) -> Outcome {
    let bytes = input(file)?;
    let reply = home::owner(globals)?.append_file(path, &bytes, &WriteOptions::default())?;
    print(globals, if reply.created { "created" } else { "appended to" }, &reply)
}

pub fn edit(globals: &Globals, args: &EditArgs) -> Outcome {
    let edits = [TextEdit { old_text: args.old.clone(), new_text: args.new.clone() }];
    let session = home::owner(globals)?;
    let reply = session.edit_file(&args.path, &edits, &WriteOptions::default(), args.dry_run)?;
    if globals.json {
        output::json(&reply)?;
        return Ok(0);
    }
    output::diff(&reply.diff)?;
    if reply.written.is_none() {
        let why = if args.dry_run { "nothing is written" } else { "nothing changed" };
        anstream::eprintln!("{FAINT}{why}{FAINT:#}");
    }
    Ok(0)
}

pub fn move_path(globals: &Globals, from: &str, to: &str) -> Outcome {
    let session = caught_up(globals, from)?;
    print(globals, "moved to", &session.move_path(from, to, &WriteOptions::default())?)
}

pub fn copy_path(globals: &Globals, from: &str, to: &str) -> Outcome {
    let session = caught_up(globals, from)?;
    print(globals, "copied to", &session.copy_path(from, to, &WriteOptions::default())?)
}

pub fn delete(globals: &Globals, path: &str, recursive: bool) -> Outcome {
    let session = caught_up(globals, path)?;
    let reply = session.delete(path, &WriteOptions::default(), recursive)?;
    if is_folder(&session, path) {
        anstream::eprintln!(
            "{FAINT}note: the folder stays, for something in it is no file here, or left out by an ignore file{FAINT:#}"
        );
    }
    print(globals, "deleted", &reply)
}

pub fn restore(globals: &Globals, path: &str, version: &str) -> Outcome {
    let session = home::owner(globals)?;
    print(globals, "restored", &session.restore_version(path, version, &WriteOptions::default())?)
}

pub fn make_folder(globals: &Globals, path: &str) -> Outcome {
    home::owner(globals)?.create_folder(path)?;
    output::done(globals.json, "created", path)?;
    Ok(0)
}

/// Opens the home; where the path is a folder its files are taken in first, so that a change of the whole folder leaves
/// out none that another program has written and no server has noticed.
fn caught_up(globals: &Globals, path: &str) -> Result<Session> {
    let engine = home::manage(globals)?;
    let session = engine.owner_session();
    if is_folder(&session, path) {
        catch_up(&engine, path)?;
    }
    Ok(session)
}

fn catch_up(engine: &Engine, path: &str) -> Result<()> {
    let (workspace, _) = split_path(path).map_err(Error::from)?;
    check::index(engine, &[workspace])
}

/// What is not there is no folder; the change itself says so.
fn is_folder(session: &Session, path: &str) -> bool {
    session.info(path).is_ok_and(|info| info.kind == "folder")
}

fn print(globals: &Globals, did: &str, reply: &WriteReply) -> Outcome {
    if globals.json {
        output::json(reply)?;
        return Ok(0);
    }
    let now = match reply.version {
        Some(version) => format!("  {} bytes  {FAINT}{version}{FAINT:#}", reply.size.unwrap_or_default()),
        None => String::new(),
    };
    anstream::println!("{did} {STRONG}{}{STRONG:#}{now}", output::safe(&reply.path));
    Ok(0)
}
