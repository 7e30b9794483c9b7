//! Settings: flags over `WAYPOST_*` variables over `waypost.toml` over defaults.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use crate::cli::Globals;

/// What `waypost.toml` may hold, beside the home's `.waypost` folder.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct FileSettings {
    model: Option<String>,
    model_dir: Option<PathBuf>,
    models: Option<PathBuf>,
    offline: Option<bool>,
    max_file_bytes: Option<u64>,
    listen: Option<String>,
    allowed_hosts: Option<Vec<String>>,
    allowed_origins: Option<Vec<String>>,
}

/// A value, and where it comes from.
#[derive(Debug, Clone, Serialize)]
pub struct Setting<T> {
    /// What holds.
    pub value: T,
    /// `flag`, `environment`, `file` or `default`.
    pub from: &'static str,
}

/// What holds.
#[derive(Debug, Clone, Serialize)]
pub struct Config {
    /// Name of the model in the manifest.
    pub model: Setting<Option<String>>,
    /// A folder with a model's files, in place of the named one.
    pub model_dir: Setting<Option<PathBuf>>,
    /// Where fetched models are kept.
    pub models: Setting<PathBuf>,
    /// Whether nothing may be fetched.
    pub offline: Setting<bool>,
    /// Larger files are noted and not indexed.
    pub max_file_bytes: Setting<u64>,
    /// Address of the server.
    pub listen: Setting<String>,
    /// Host names that a request may give, beside the loopback ones.
    pub allowed_hosts: Setting<Vec<String>>,
    /// Origins that a browser's request may come from.
    pub allowed_origins: Setting<Vec<String>>,
}

/// Reads the settings for a home.
///
/// # Errors
/// Where the file can't be read, or says something unknown.
pub fn load(home: &Path, globals: &Globals) -> Result<Config> {
    let path = home.join("waypost.toml");
    let file: FileSettings = match std::fs::read_to_string(&path) {
        Ok(text) => toml::from_str(&text).with_context(|| format!("in `{}`", path.display()))?,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => FileSettings::default(),
        Err(error) => return Err(error).with_context(|| format!("can't read `{}`", path.display())),
    };
    let words = |text: String| text.split(',').map(|word| word.trim().to_owned()).collect::<Vec<String>>();
    let offline = variable("WAYPOST_OFFLINE").map(|text| !matches!(text.as_str(), "" | "0" | "false"));
    let max_file_bytes = match variable("WAYPOST_MAX_FILE_BYTES") {
        Some(text) => Some(text.parse().context("WAYPOST_MAX_FILE_BYTES is no number of bytes")?),
        None => None,
    };
    Ok(Config {
        model: pick(
            globals.model.clone().map(Some),
            variable("WAYPOST_MODEL").map(Some),
            file.model.map(Some),
            None,
        ),
        model_dir: pick(
            globals.model_dir.clone().map(Some),
            variable("WAYPOST_MODEL_DIR").map(|text| Some(text.into())),
            file.model_dir.map(Some),
            None,
        ),
        models: pick(None, variable("WAYPOST_MODELS").map(PathBuf::from), file.models, default_models()),
        offline: pick(globals.offline.then_some(true), offline, file.offline, false),
        max_file_bytes: pick(None, max_file_bytes, file.max_file_bytes, 32 << 20),
        listen: pick(None, variable("WAYPOST_LISTEN"), file.listen, "127.0.0.1:7077".to_owned()),
        allowed_hosts: pick(
            None,
            variable("WAYPOST_ALLOWED_HOSTS").map(words),
            file.allowed_hosts,
            Vec::new(),
        ),
        allowed_origins: pick(
            None,
            variable("WAYPOST_ALLOWED_ORIGINS").map(words),
            file.allowed_origins,
            Vec::new(),
        ),
    })
}

fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|text| !text.is_empty())
}

fn pick<T>(flag: Option<T>, environment: Option<T>, file: Option<T>, default: T) -> Setting<T> {
    if let Some(value) = flag {
        return Setting { value, from: "flag" };
    }
    if let Some(value) = environment {
        return Setting { value, from: "environment" };
    }
    match file {
        Some(value) => Setting { value, from: "file" },
        None => Setting { value: default, from: "default" },
    }
}

/// Models are shared by all homes of a user: they are large, and the same everywhere.
fn default_models() -> PathBuf {
    let base = variable("XDG_CACHE_HOME").map(PathBuf::from);
    let base = base.or_else(|| variable("HOME").map(|home| Path::new(&home).join(".cache")));
    base.unwrap_or_else(std::env::temp_dir).join("waypost").join("models")
}
