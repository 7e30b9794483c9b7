//! `waypost workspace`: the folders that a home keeps itself, and those that are attached to it.

use std::path::{Path, PathBuf};

use anyhow::{Result, ensure};
use clap::{Args, Subcommand, ValueEnum};
use serde_json::{Value, json};
use waypost_engine::api::{Engine, Error, Session, WorkspaceInfo};
use waypost_engine::id::WorkspaceName;

use super::place::{Ask, At, Place, Refused, items, text};
use super::{Globals, Outcome, home};
use crate::output::{self, BAD, FAINT, STRONG};

/// Said below the flags of `waypost workspace add`.
const ADD_EXAMPLES: &str = "Examples:\n  waypost workspace add marketing\n  \
                            waypost workspace add notes ~/notes";

/// Said below the list of commands.
const EXAMPLES: &str = "Examples:\n  waypost workspace add notes ~/notes\n  \
                        waypost workspace list --url http://127.0.0.1:7077 --token wp_…";

#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub struct WorkspaceArgs {
    #[command(flatten)]
    at: At,
    #[command(subcommand)]
    command: WorkspaceCommand,
}

#[derive(Subcommand)]
pub enum WorkspaceCommand {
    /// All workspaces
    #[command(after_help = "Example: waypost workspace list --json")]
    List,
    /// Make an empty one in the home, or attach an existing folder
    #[command(after_help = ADD_EXAMPLES)]
    Add {
        /// The first segment of its paths
        name: String,
        /// An existing folder; with `--url` the whole path of one of the server's machine
        #[arg(value_name = "DIR")]
        folder: Option<PathBuf>,
    },
    /// One workspace, with how far its index is
    #[command(after_help = "Example: waypost workspace show finance")]
    Show {
        /// Its name or id
        name: String,
    },
    /// Forget a workspace; an attached folder is detached and stays as it is
    #[command(after_help = "Example: waypost workspace remove notes")]
    Remove {
        /// Its name or id
        name: String,
        /// Delete its folder too, where Waypost made it
        #[arg(long)]
        files: bool,
    },
    /// Switch the index of a workspace on or off; its files and versions stay
    #[command(after_help = "Example: waypost workspace intelligence finance off")]
    Intelligence {
        /// Its name or id
        name: String,
        /// Whether its files are indexed
        switch: Switch,
    },
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Switch {
    /// Files are indexed, and found by search
    On,
    /// Files are kept, and not indexed
    Off,
}

pub fn run(globals: &Globals, args: &WorkspaceArgs) -> Outcome {
    let mut engine = None;
    let place = args.at.place_or(globals, || Ok(engine.insert(home::manage(globals)?).owner_session()))?;
    let engine = engine.as_deref();
    match &args.command {
        WorkspaceCommand::List => list(globals, &place, engine)?,
        WorkspaceCommand::Add { name, folder } => {
            show(globals, &add(&place, engine, name, folder.as_deref())?)?;
        }
        WorkspaceCommand::Show { name } => show(globals, &named(&place, name)?)?,
        WorkspaceCommand::Remove { name, files } => remove(globals, &place, name, *files)?,
        WorkspaceCommand::Intelligence { name, switch } => {
            let is_on = *switch == Switch::On;
            let ask = Ask::patch(&["workspaces", name], json!({"intelligence": is_on}));
            show(globals, &place.one(|session| session.set_intelligence(name, is_on), ask)?)?;
        }
    }
    Ok(0)
}

fn named(place: &Place, name: &str) -> Result<Value> {
    place.one(|session| session.workspace(name), Ask::get(&["workspaces", name]))
}

/// All of them, at home also those whose folder is not there now.
fn list(globals: &Globals, place: &Place, engine: Option<&Engine>) -> Result<()> {
    let mut infos = place.all(Session::workspaces, Ask::get(&["workspaces"]))?;
    let lost = engine.map(Engine::unavailable).unwrap_or_default();
    if globals.json {
        infos.extend(lost.iter().map(|(name, reason)| json!({"name": name, "unavailable": reason})));
        return output::json(&json!({"items": infos}));
    }
    if !infos.is_empty() || lost.is_empty() {
        output::list(false, &infos, line)?;
    }
    for (name, reason) in &lost {
        out!("{STRONG}{name}{STRONG:#}  {BAD}not available{BAD:#}: {}", output::safe(reason));
    }
    Ok(())
}

/// What is there already may be added again: a script then need not ask first.
fn add(place: &Place, engine: Option<&Engine>, name: &str, folder: Option<&Path>) -> Result<Value> {
    if let (Place::Server(_), Some(folder)) = (place, folder) {
        ensure!(
            folder.is_absolute(),
            "`{}` is no whole path: expected that of a folder of the server's machine, such as `/srv/notes`",
            folder.display()
        );
    }
    let ask = Ask::post(&["workspaces"], json!({"name": name, "folder": folder}));
    let made = place.one(|session| add_here(session, engine, name, folder), ask);
    match made {
        Err(error) if folder.is_none() && is_refused(&error, "already_exists") => {
            named(place, name).ok().filter(|info| info["attached"] == false).ok_or(error)
        }
        made => made,
    }
}

fn add_here(
    session: &Session,
    engine: Option<&Engine>,
    name: &str,
    folder: Option<&Path>,
) -> Result<WorkspaceInfo, Error> {
    let checked = WorkspaceName::new(name)?;
    let Some(engine) = engine.filter(|engine| engine.workspace_names().contains(&checked)) else {
        return session.create_workspace(name, folder, true);
    };
    // Nothing is made here; a name that stands for another folder is refused.
    match folder {
        Some(folder) => engine.attach(&checked, folder)?,
        None => engine.create_workspace(&checked)?,
    }
    session.workspace(name)
}

/// Whether a server refused it for this reason.
fn is_refused(error: &anyhow::Error, code: &str) -> bool {
    error.downcast_ref::<Refused>().is_some_and(|refused| refused.code.as_deref() == Some(code))
}

fn remove(globals: &Globals, place: &Place, name: &str, and_files: bool) -> Result<()> {
    // One whose folder is not there can't be seen, and is still to be let go.
    let seen = match named(place, name) {
        Err(error) if is_absent(&error) => None,
        info => Some(info?),
    };
    let name = seen.as_ref().map_or(name, |info| text(info, "name"));
    let attached = seen.as_ref().is_none_or(|info| info["attached"] == true);
    let word = if and_files { "delete" } else { "keep" };
    let ask = Ask::delete(&["workspaces", name]).with("files", Some(word));
    place.one(|session| session.remove_workspace(name, and_files), ask)?;
    let deleted = and_files && !attached;
    if globals.json {
        return output::json(&json!({"removed": name, "files_deleted": deleted}));
    }
    let files = match (deleted, seen.is_none(), attached) {
        (true, ..) => "its files are deleted",
        (false, true, _) => "its folder was not there",
        (false, false, true) => "the attached folder stays as it is",
        (false, false, false) => "its files stay where they are, and come back with `waypost workspace add`",
    };
    out!("removed {STRONG}{}{STRONG:#}  {FAINT}{files}{FAINT:#}", output::safe(name));
    Ok(())
}

fn is_absent(error: &anyhow::Error) -> bool {
    matches!(error.downcast_ref(), Some(Error::NotFound { .. })) || is_refused(error, "not_found")
}

fn line(info: &Value) {
    let attached = if info["attached"] == true { "  attached" } else { "" };
    let index = if info["intelligence"] == false { "  not indexed" } else { "" };
    out!(
        "{STRONG}{}{STRONG:#}  {} files, {} chunks{attached}{index}  {FAINT}{}{FAINT:#}",
        output::safe(text(info, "name")),
        info["indexed_files"],
        info["chunks"],
        output::safe(text(info, "id"))
    );
}

fn show(globals: &Globals, info: &Value) -> Result<()> {
    if globals.json {
        return output::json(info);
    }
    line(info);
    let index = &info["index"];
    out!(
        "  {} bytes, {} files skipped, {} files pending  {FAINT}since {}, seq {}{FAINT:#}",
        info["size_bytes"],
        info["skipped_files"],
        index["pending_files"],
        output::safe(text(info, "created_at")),
        output::safe(text(index, "seq"))
    );
    for degraded in items(index, "degraded") {
        let (stage, reason) = (text(degraded, "stage"), text(degraded, "reason"));
        out!("  {FAINT}{} can't run: {}{FAINT:#}", output::safe(stage), output::safe(reason));
    }
    Ok(())
}
