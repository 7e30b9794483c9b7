//! `waypost workspace`: the folders that a home keeps itself, and those that are attached to it.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Result;
use clap::{Subcommand, ValueEnum};
use serde_json::json;
use waypost_engine::api::{Engine, Error, WorkspaceInfo};
use waypost_engine::id::WorkspaceName;

use super::{Globals, Outcome, home};
use crate::output::{self, BAD, FAINT, STRONG};

/// Said below the flags of `waypost workspace add`.
const ADD_EXAMPLES: &str = "Examples:\n  waypost workspace add marketing\n  \
                            waypost workspace add notes ~/notes";

#[derive(Subcommand)]
#[command(after_help = "Example: waypost workspace add notes ~/notes")]
pub enum WorkspaceCommand {
    /// All workspaces
    #[command(after_help = "Example: waypost workspace list --json")]
    List,
    /// Make an empty one in the home, or attach an existing folder
    #[command(after_help = ADD_EXAMPLES)]
    Add {
        /// The first segment of its paths
        name: String,
        /// An existing folder
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

pub fn run(globals: &Globals, command: &WorkspaceCommand) -> Outcome {
    let engine = home::manage(globals)?;
    let session = engine.owner_session();
    match command {
        WorkspaceCommand::List => list(globals, &engine)?,
        WorkspaceCommand::Add { name, folder } => show(globals, &add(&engine, name, folder.as_deref())?)?,
        WorkspaceCommand::Show { name } => show(globals, &session.workspace(name)?)?,
        WorkspaceCommand::Remove { name, files } => remove(globals, &engine, name, *files)?,
        WorkspaceCommand::Intelligence { name, switch } => {
            show(globals, &session.set_intelligence(name, *switch == Switch::On)?)?;
        }
    }
    Ok(0)
}

/// All of them, also those whose folder is not there now.
fn list(globals: &Globals, engine: &Arc<Engine>) -> Result<()> {
    let (infos, lost) = (engine.owner_session().workspaces()?, engine.unavailable());
    if globals.json {
        let mut items = infos.iter().map(serde_json::to_value).collect::<Result<Vec<_>, _>>()?;
        items.extend(lost.iter().map(|(name, reason)| json!({"name": name, "unavailable": reason})));
        return output::json(&json!({"items": items}));
    }
    if !infos.is_empty() || lost.is_empty() {
        output::list(false, &infos, line)?;
    }
    for (name, reason) in &lost {
        anstream::println!("{STRONG}{name}{STRONG:#}  {BAD}not available{BAD:#}: {}", output::safe(reason));
    }
    Ok(())
}

/// What is there already may be added again: a script then need not ask first.
fn add(engine: &Arc<Engine>, name: &str, folder: Option<&Path>) -> Result<WorkspaceInfo> {
    let session = engine.owner_session();
    let checked = WorkspaceName::new(name).map_err(Error::from)?;
    if !engine.workspace_names().contains(&checked) {
        return Ok(session.create_workspace(name, folder, true)?);
    }
    // Nothing is made here; a name that stands for another folder is refused.
    match folder {
        Some(folder) => engine.attach(&checked, folder)?,
        None => engine.create_workspace(&checked)?,
    }
    Ok(session.workspace(name)?)
}

fn remove(globals: &Globals, engine: &Arc<Engine>, name: &str, and_files: bool) -> Result<()> {
    let session = engine.owner_session();
    let is_lost = engine.unavailable().iter().any(|(lost, _)| lost.as_str() == name);
    let (name, attached) = if is_lost {
        (name.to_owned(), true)
    } else {
        let info = session.workspace(name)?;
        (info.name, info.attached)
    };
    session.remove_workspace(&name, and_files)?;
    let deleted = and_files && !attached;
    if globals.json {
        return output::json(&json!({"removed": name, "files_deleted": deleted}));
    }
    let files = match (deleted, is_lost, attached) {
        (true, ..) => "its files are deleted",
        (false, true, _) => "its folder was not there",
        (false, false, true) => "the attached folder stays as it is",
        (false, false, false) => "its files stay where they are, and come back with `waypost workspace add`",
    };
    anstream::println!("removed {STRONG}{}{STRONG:#}  {FAINT}{files}{FAINT:#}", output::safe(&name));
    Ok(())
}

fn line(info: &WorkspaceInfo) {
    let attached = if info.attached { "  attached" } else { "" };
    let index = if info.intelligence { "" } else { "  not indexed" };
    anstream::println!(
        "{STRONG}{}{STRONG:#}  {} files, {} chunks{attached}{index}  {FAINT}{}{FAINT:#}",
        info.name,
        info.indexed_files,
        info.chunks,
        info.id
    );
}

fn show(globals: &Globals, info: &WorkspaceInfo) -> Result<()> {
    if globals.json {
        return output::json(info);
    }
    line(info);
    anstream::println!(
        "  {} bytes, {} files skipped, {} files pending  {FAINT}since {}, seq {}{FAINT:#}",
        info.size_bytes,
        info.skipped_files,
        info.index.pending_files,
        info.created_at,
        info.index.seq
    );
    for degraded in &info.index.degraded {
        anstream::println!(
            "  {FAINT}{} can't run: {}{FAINT:#}",
            degraded.stage,
            output::safe(&degraded.reason)
        );
    }
    Ok(())
}
