//! The running log: a line on standard error for whatever a person who runs a server should know of. Neither contents of
//! files nor queries nor tokens are ever in it.

use std::io::IsTerminal;

use anyhow::Context;
use serde::{Deserialize, Serialize};
use tracing_subscriber::EnvFilter;

/// What is told where nothing else is asked: what goes wrong anywhere, and what we do.
pub const DEFAULT_FILTER: &str = "warn,waypost=info,waypost_engine=info";

/// How lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people.
    Text,
    /// An object a line.
    Json,
}

impl LogFormat {
    /// By its name.
    pub fn read(name: &str) -> Option<Self> {
        match name {
            "text" => Some(Self::Text),
            "json" => Some(Self::Json),
            _ => None,
        }
    }
}

/// Begins to write what passes the filter (`tracing-subscriber`'s directives, such as `info` or `waypost=debug`).
///
/// # Errors
/// For a filter that is none, or where a log was begun before.
pub fn start(filter: &str, format: LogFormat) -> anyhow::Result<()> {
    let filter = EnvFilter::try_new(filter).with_context(|| {
        format!("`{filter}` is no filter of the log: expected a level such as `info`, or parts such as `warn,waypost=debug`")
    })?;
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let begun = match format {
        LogFormat::Text => lines.with_ansi(std::io::stderr().is_terminal()).try_init(),
        LogFormat::Json => lines.json().flatten_event(true).try_init(),
    };
    begun.map_err(|error| anyhow::anyhow!("the log can't begin: {error}"))
}
