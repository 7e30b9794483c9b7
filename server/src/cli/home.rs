//! Which home a command works on and how it is opened, `waypost init` and `waypost config`.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use clap::Args;
use waypost::upstream;
use waypost_engine::api::{Engine, EngineOptions, Error, Session};
use waypost_engine::embed::Embedder;

use super::{Globals, Outcome, failure};
use crate::config::{self, Config};
use crate::output::{self, BAD, FAINT, STRONG};
use crate::{logs, models};

/// Said below the flags of `waypost config`.
pub const CONFIG_EXAMPLES: &str =
    "Examples:\n  waypost config --home ./home\n  WAYPOST_OFFLINE=yes waypost config --json";

/// What to do while a server has the home.
const TAKEN: &str = "a server has this home open: ask that one, with `--url http://127.0.0.1:7077` and `--token wp_…`, or over REST \
                     where the command takes no `--url`";

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
    let (engine, config) = open_untaken(home, globals, fetch)?;
    take_in(&engine)?;
    Ok((engine, config))
}

/// As [`open`], without the folders that are new in the home: see [`take_in`].
pub fn open_untaken(home: &Path, globals: &Globals, fetch: Fetch) -> Result<(Arc<Engine>, Config)> {
    let config = config::load(home, globals)?;
    let embedder = model(&config, fetch)?;
    Ok((open_with(home, &config, embedder)?, config))
}

/// Makes workspaces of the folders that were put into the home's `workspaces` by hand; says which can't be one.
pub fn take_in(engine: &Engine) -> Result<()> {
    let passed_over = engine.take_in_folders()?;
    // Where there is a log, the engine has told it there.
    for line in passed_over.iter().filter(|_| logs::format().is_none()) {
        output::note(line);
    }
    Ok(())
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
    start(config, config.engine_options(home)?.embedder(embedder))
}

fn start(config: &Config, options: EngineOptions) -> Result<Arc<Engine>> {
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

/// Opens a home for a command that searches and fills nothing: an index that was built with something else stays as it is.
/// The model comes along all the same, so that this can be told.
pub fn open_quietly(home: &Path, globals: &Globals) -> Result<(Arc<Engine>, Config)> {
    let config = config::load(home, globals)?;
    models::check(&config)?;
    let embedder = models::open(&config, false).ok();
    let options = config.engine_options(home)?.embedder(embedder).leaves_stale();
    Ok((start(&config, options)?, config))
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
    let kept = engine.home().join("workspaces");
    std::fs::create_dir_all(&kept).map_err(|source| Error::Folder { path: kept, source })?;
    let token = engine.first_token()?;
    if globals.json {
        output::json(&serde_json::json!({"home": engine.home(), "token": token}))?;
        return Ok(0);
    }
    out!("{STRONG}{}{STRONG:#} is a home", engine.home().display());
    if let Some(token) = token {
        out!("admin token, shown once: {token}");
    }
    out!("next: waypost serve --home {}", engine.home().display());
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
        return Ok(check_settings(&home, &config));
    }
    let serde_json::Value::Object(settings) = serde_json::to_value(&config)? else { return Ok(0) };
    for (name, setting) in settings {
        out!("{name:16} {}  {FAINT}{}{FAINT:#}", setting["value"], setting["from"].as_str().unwrap_or(""));
    }
    Ok(check_settings(&home, &config))
}

/// Says what of the settings can't hold; the exit code.
fn check_settings(home: &Path, config: &Config) -> u8 {
    let checked = || -> Result<()> {
        config.engine_options(home)?;
        config.edge()?;
        super::serve::address(config)?;
        models::check(config)
    };
    let Err(error) = checked() else { return 0 };
    err!("{BAD}error{BAD:#}: {}", output::safe(&output::causes(&error)));
    failure::exit_code(&error)
}
