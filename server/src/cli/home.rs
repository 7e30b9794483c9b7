//! Which home a command works on and how it is opened, `waypost init` and `waypost config`.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use clap::Args;
use waypost::upstream;
use waypost_engine::api::{Engine, Error, Session};
use waypost_engine::embed::Embedder;

use super::{Globals, Outcome};
use crate::config::{self, Config};
use crate::output::{self, FAINT, STRONG};
use crate::{logs, models};

/// Said below the flags of `waypost config`.
pub const CONFIG_EXAMPLES: &str =
    "Examples:\n  waypost config --home ./home\n  WAYPOST_OFFLINE=yes waypost config --json";

/// What to do while a server has the home.
const TAKEN: &str = "a server has this home open: ask that one, with `--url` and `--token`, which `approval`, `backup`, `mcp`, `token` \
                     and `webhook` take, or over REST";

#[derive(Args)]
#[command(after_help = "Example: waypost init ./home")]
pub struct InitArgs {
    /// The directory; the current one where it is missing
    dir: Option<PathBuf>,
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

/// As [`locate`], for a command that only reads: a home that is none is not made one.
pub fn existing(globals: &Globals) -> Result<PathBuf> {
    let home = locate(globals, None)?;
    if !home.join(".waypost").is_dir() {
        bail!(
            "`{}` is no home: it has no `.waypost`; make it one with `waypost index DIR` or `waypost init`",
            home.display()
        );
    }
    Ok(home)
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
    let embedder = model(&config, fetch)?;
    Ok((open_with(home, &config, embedder)?, config))
}

/// The model; says so where there is none.
///
/// # Errors
/// Where the settings name none that there could be.
pub fn model(config: &Config, fetch: Fetch) -> Result<Option<Arc<dyn Embedder>>> {
    models::check(config)?;
    Ok(match models::open(config, fetch == Fetch::IfMissing) {
        Ok(embedder) => Some(embedder),
        Err(error) => {
            output::note(&format!("searching by words alone: {error}"));
            None
        }
    })
}

/// Opens a home with this model.
pub fn open_with(home: &Path, config: &Config, embedder: Option<Arc<dyn Embedder>>) -> Result<Arc<Engine>> {
    let options = config.engine_options(home)?.embedder(embedder);
    let engine = Engine::open(options).map_err(|error| match error {
        // Nearly always a server has it.
        Error::HomeInUse { .. } => anyhow::Error::new(error).context(TAKEN),
        error => error.into(),
    })?;
    let engine = Arc::new(engine);
    engine.set_tool_servers(config.upstreams.value.iter().map(upstream::Settings::tool_server).collect());
    // Where there is a log, the engine has told it there.
    for line in engine.rebuilt().iter().filter(|_| logs::format().is_none()) {
        output::note(&format!("the index is built anew: {line}"));
    }
    Ok(engine)
}

/// Opens a home for a command that searches nothing. The model comes along all the same: a home that is opened without
/// the one that its vectors are from takes its indexes for stale and throws them away.
pub fn open_quietly(home: &Path, globals: &Globals) -> Result<(Arc<Engine>, Config)> {
    let config = config::load(home, globals)?;
    models::check(&config)?;
    let embedder = models::open(&config, false).ok();
    Ok((open_with(home, &config, embedder)?, config))
}

/// Opens the home for a command that manages it.
pub fn manage(globals: &Globals) -> Result<Arc<Engine>> {
    Ok(manage_with_config(globals)?.0)
}

/// As [`manage`], with the settings.
pub fn manage_with_config(globals: &Globals) -> Result<(Arc<Engine>, Config)> {
    open_quietly(&locate(globals, None)?, globals)
}

/// Opens the home for what its owner does in it.
pub fn owner(globals: &Globals) -> Result<Session> {
    Ok(manage(globals)?.owner_session())
}

pub fn init(globals: &Globals, args: &InitArgs) -> Outcome {
    let home = args.dir.clone().or_else(|| globals.home.clone()).unwrap_or_else(|| PathBuf::from("."));
    let (engine, _) = open_quietly(&home, globals)?;
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

pub fn config(globals: &Globals) -> Outcome {
    let home = locate(globals, Some(Path::new(".")))?;
    if !home.is_dir() {
        bail!("there is no folder `{}`: expected a home", home.display());
    }
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
