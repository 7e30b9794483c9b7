//! What `waypost.toml` says. Noun: [`FileSettings`].

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow};
use serde::{Deserialize, Serialize};
use waypost::upstream;

use crate::logs::LogFormat;

/// What `waypost.toml` may hold, beside the home's `.waypost` folder.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct FileSettings {
    pub(super) model: Option<String>,
    pub(super) model_dir: Option<PathBuf>,
    pub(super) models: Option<PathBuf>,
    pub(super) offline: Option<bool>,
    pub(super) max_file_bytes: Option<u64>,
    pub(super) listen: Option<String>,
    pub(super) allowed_hosts: Option<Vec<String>>,
    pub(super) allowed_origins: Option<Vec<String>>,
    #[serde(default)]
    pub(super) net: NetSettings,
    #[serde(default)]
    pub(super) webhooks: WebhookSettings,
    #[serde(default)]
    pub(super) route: RouteSettings,
    #[serde(default)]
    pub(super) traces: TraceSettings,
    #[serde(default)]
    pub(super) generate: GenerateFileSettings,
    #[serde(default)]
    pub(super) mcp: McpSettings,
    #[serde(default)]
    pub(super) indexing: IndexingSettings,
    #[serde(default)]
    pub(super) journal: JournalSettings,
    #[serde(default)]
    pub(super) log: LogSettings,
    #[serde(default)]
    pub(super) telemetry: TelemetrySettings,
    #[serde(default)]
    pub(super) limits: LimitSettings,
    #[serde(default)]
    pub(super) tls: TlsSettings,
    #[serde(default)]
    pub(super) auth: AuthSettings,
    #[serde(default)]
    pub(super) command: Vec<CommandSettings>,
    #[serde(default)]
    pub(super) upstream: Vec<upstream::Settings>,
    pub(super) archives: Option<bool>,
}

/// What may be reached although it is private, and by those who are not the home's owner.
#[derive(Debug, Default, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct NetSettings {
    pub(super) allow: Option<Vec<String>>,
}

/// How patient webhooks are.
#[derive(Debug, Default, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct WebhookSettings {
    pub(super) retry_seconds: Option<Vec<f64>>,
    pub(super) timeout_seconds: Option<f64>,
    pub(super) pause_after_seconds: Option<f64>,
}

/// How sure routing has to be.
#[derive(Debug, Default, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RouteSettings {
    pub(super) max_error: Option<f64>,
}

/// How far agents may hand things on.
#[derive(Debug, Default, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct TraceSettings {
    pub(super) max_hops: Option<u32>,
}

/// Where answers are generated.
#[derive(Debug, Default, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct GenerateFileSettings {
    pub(super) url: Option<String>,
    pub(super) key_env: Option<String>,
    pub(super) models: Option<Vec<String>>,
    pub(super) timeout_s: Option<f64>,
    pub(super) idle_timeout_s: Option<f64>,
    pub(super) max_tokens: Option<u32>,
    #[serde(default)]
    pub(super) gguf: Vec<ModelFileSettings>,
}

/// A model in the GGUF format that runs in this process; `[[generate.gguf]]`.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct ModelFileSettings {
    /// It is asked for as `gguf:NAME`.
    pub name: String,
    /// Its `.gguf` file; below the home where it is not absolute.
    pub model: PathBuf,
    /// Its tokenizer; `tokenizer.json` beside the model without one.
    #[serde(default)]
    pub tokenizer: Option<PathBuf>,
}

/// How a server embeds what changes.
#[derive(Debug, Default, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct IndexingSettings {
    pub(super) threads: Option<u32>,
    pub(super) priority: Option<Priority>,
    pub(super) rest_on_battery: Option<bool>,
    pub(super) max_load: Option<f64>,
}

/// Of background work, beside everything else that the machine does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Priority {
    /// Questions and other programs go first.
    Low,
    /// As every other program.
    Normal,
}

/// How long what happened is remembered.
#[derive(Debug, Default, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct JournalSettings {
    pub(super) days: Option<u32>,
}

/// Who is told what requests did.
#[derive(Debug, Default, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct TelemetrySettings {
    pub(super) otlp: Option<String>,
}

/// What the running log tells.
#[derive(Debug, Default, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct LogSettings {
    pub(super) filter: Option<String>,
    pub(super) format: Option<LogFormat>,
}

/// How often a token may ask.
#[derive(Debug, Default, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct LimitSettings {
    pub(super) requests_per_second: Option<u32>,
    pub(super) burst: Option<u32>,
}

/// PEM files.
#[derive(Debug, Default, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct TlsSettings {
    pub(super) cert: Option<PathBuf>,
    pub(super) key: Option<PathBuf>,
}

/// Ways to speak MCP.
#[derive(Debug, Default, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct McpSettings {
    pub(super) sse: Option<bool>,
}

/// Who issues tokens.
#[derive(Debug, Default, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct AuthSettings {
    pub(super) authorization_server: Option<String>,
}

/// A program that is started for events.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct CommandSettings {
    /// It keeps its place in the journal under this name.
    pub name: String,
    /// The program and its arguments; no shell reads them.
    pub run: Vec<String>,
    /// Patterns; none: all paths.
    #[serde(default)]
    pub paths: Vec<String>,
    /// Kinds of event; none: all.
    #[serde(default)]
    pub kinds: Vec<String>,
    /// The principal with whose rights it is told; the admin without one.
    #[serde(default, rename = "as")]
    pub principal: Option<String>,
    /// Then it is ended.
    #[serde(default = "default_command_seconds")]
    pub timeout_seconds: u64,
}

fn default_command_seconds() -> u64 {
    60
}

impl FileSettings {
    /// Reads a file; one that is not there says nothing.
    ///
    /// # Errors
    /// Where it can't be read, or says something unknown.
    pub(super) fn read(path: &Path) -> Result<Self> {
        let text = match std::fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Self::default()),
            Err(error) => return Err(error).with_context(|| format!("can't read `{}`", path.display())),
        };
        let read = toml::from_str(&text).map_err(|error| misread(&text, &error));
        let file: Self = read.with_context(|| format!("in `{}`", path.display()))?;
        upstream::Settings::check_all(&file.upstream).with_context(|| format!("in `{}`", path.display()))?;
        Ok(file)
    }
}

/// What is wrong with the settings, and where. Neither the line nor a value of it is shown: it may be a secret.
fn misread(text: &str, error: &toml::de::Error) -> anyhow::Error {
    let message = without_value(error.message());
    let Some(before) = error.span().and_then(|span| text.get(..span.start)) else {
        return anyhow!(message);
    };
    let line = before.rsplit('\n').next().unwrap_or_default();
    let (line_number, column) = (before.matches('\n').count() + 1, line.chars().count() + 1);
    anyhow!("line {line_number}, column {column}: {message}")
}

/// `invalid type: string "secret", expected a map` → `invalid type: string, expected a map`.
fn without_value(message: &str) -> String {
    let is_of_value = message.starts_with("invalid type: ") || message.starts_with("invalid value: ");
    match (message.split_once(" \""), message.rsplit_once("\", expected ")) {
        (Some((what, _)), Some((_, expected))) if is_of_value => format!("{what}, expected {expected}"),
        _ => message.lines().collect::<Vec<_>>().join(", "),
    }
}
