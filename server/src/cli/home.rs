//! Which home a command works on, and the commands that manage it.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use clap::{Args, Subcommand};
use waypost_engine::api::{Engine, EngineOptions};
use waypost_engine::id::WorkspaceName;

use super::{Globals, Outcome};
use crate::config::{self, Config};
use crate::models;
use crate::output::{self, FAINT, STRONG};

#[derive(Args)]
pub struct InitArgs {
    /// The directory; the current one where it is missing
    dir: Option<PathBuf>,
}

#[derive(Subcommand)]
pub enum WorkspaceCommand {
    /// All workspaces
    List,
    /// Make an empty one in the home, or attach an existing folder
    Add {
        /// The first segment of its paths
        name: String,
        /// An existing folder
        #[arg(value_name = "DIR")]
        folder: Option<PathBuf>,
    },
}

#[derive(Subcommand)]
pub enum TokenCommand {
    /// Make a token for the admin; it is shown once
    Add,
}

/// The home that the flags name, or the nearest one upwards, or `otherwise`.
pub fn locate(globals: &Globals, otherwise: Option<&Path>) -> Result<PathBuf> {
    if let Some(home) = &globals.home {
        return Ok(home.clone());
    }
    let here = std::env::current_dir().context("can't tell the current directory")?;
    let start = otherwise.map_or_else(|| here.clone(), |folder| here.join(folder));
    let nearest = start.ancestors().find(|folder| folder.join(".waypost").is_dir());
    match (nearest, otherwise) {
        (Some(home), _) => Ok(home.to_owned()),
        (None, Some(folder)) => Ok(folder.to_owned()),
        (None, None) => bail!(
            "no index here: `{}` and the folders above have no `.waypost`; make one with `waypost index DIR`, or name a home with `--home`",
            here.display()
        ),
    }
}

/// Whether a model may be fetched when it is missing.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Fetch {
    /// A query never touches the network.
    Never,
    /// The operator asked for work that needs one.
    IfMissing,
}

/// Opens a home with its model; says so, once, where there is none.
pub fn open(home: &Path, globals: &Globals, fetch: Fetch) -> Result<(Arc<Engine>, Config)> {
    let config = config::load(home, globals)?;
    let embedder = match models::open(&config, fetch == Fetch::IfMissing) {
        Ok(embedder) => Some(embedder),
        Err(error) => {
            anstream::eprintln!(
                "{FAINT}note: searching by words alone: {}{FAINT:#}",
                output::safe(&error.to_string())
            );
            None
        }
    };
    let options = EngineOptions::new(home).embedder(embedder).max_file_bytes(config.max_file_bytes.value);
    let engine = Arc::new(Engine::open(options)?);
    for line in engine.rebuilt() {
        anstream::eprintln!("{FAINT}note: the index is built anew: {}{FAINT:#}", output::safe(&line));
    }
    Ok((engine, config))
}

pub fn init(globals: &Globals, args: &InitArgs) -> Outcome {
    let home = args.dir.clone().or_else(|| globals.home.clone()).unwrap_or_else(|| PathBuf::from("."));
    let engine = Engine::open(EngineOptions::new(&home))?;
    let token = engine.first_token()?;
    if globals.json {
        output::json(&serde_json::json!({"home": engine.home(), "token": token}))?;
        return Ok(0);
    }
    anstream::println!("{STRONG}{}{STRONG:#} is a home", engine.home().display());
    if let Some(token) = token {
        anstream::println!("admin token, shown once: {token}");
    }
    anstream::println!("next: waypost serve --home {}", engine.home().display());
    Ok(0)
}

pub fn workspace(globals: &Globals, command: &WorkspaceCommand) -> Outcome {
    let home = locate(globals, None)?;
    let (engine, _) = open(&home, globals, Fetch::Never)?;
    if let WorkspaceCommand::Add { name, folder } = command {
        let name = WorkspaceName::new(name).map_err(waypost_engine::api::Error::from)?;
        match folder {
            Some(folder) => engine.attach(&name, folder)?,
            None => engine.create_workspace(&name)?,
        }
    }
    let workspaces = engine.owner_session().workspaces()?;
    if globals.json {
        output::json(&serde_json::json!({"items": workspaces}))?;
        return Ok(0);
    }
    for info in workspaces {
        anstream::println!(
            "{STRONG}{}{STRONG:#}  {} files, {} chunks  {FAINT}{}{FAINT:#}",
            info.name,
            info.indexed_files,
            info.chunks,
            info.id
        );
    }
    Ok(0)
}

pub fn token(globals: &Globals, command: &TokenCommand) -> Outcome {
    let TokenCommand::Add = command;
    let engine = Engine::open(EngineOptions::new(locate(globals, None)?))?;
    let token = engine.issue_admin_token()?;
    if globals.json {
        output::json(&serde_json::json!({"token": token}))?;
    } else {
        anstream::println!("{token}");
    }
    Ok(0)
}

pub fn config(globals: &Globals) -> Outcome {
    let home = locate(globals, Some(Path::new(".")))?;
    let config = config::load(&home, globals)?;
    if globals.json {
        output::json(&config)?;
        return Ok(0);
    }
    let serde_json::Value::Object(settings) = serde_json::to_value(&config)? else { return Ok(0) };
    for (name, setting) in settings {
        anstream::println!(
            "{name:16} {}  {FAINT}{}{FAINT:#}",
            setting["value"],
            setting["from"].as_str().unwrap_or("")
        );
    }
    Ok(0)
}
