//! The running log: a line on standard error for whatever a person who runs a server should know of. Neither contents of
//! files nor queries nor tokens are ever in it.

use std::io::IsTerminal;
use std::sync::OnceLock;

use anyhow::Context;
use serde::{Deserialize, Serialize};
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer};
use waypost::spans::Spans;

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

/// How the lines of the log look, once it was begun.
static BEGUN: OnceLock<LogFormat> = OnceLock::new();

/// How the lines of the log look, if one was begun. Where they are objects a program reads them, and nothing else may be
/// told beside them.
pub fn format() -> Option<LogFormat> {
    BEGUN.get().copied()
}

/// What runs until the end.
pub struct Telling {
    _spans: Option<Spans>,
}

/// Begins to write what passes the filter (`tracing-subscriber`'s directives, such as `info` or `waypost=debug`), and to
/// send spans where a collector is named. Both end when what is given goes.
///
/// # Errors
/// For a filter or an address that is none, or where a log was begun before.
pub fn start(filter: &str, format: LogFormat, otlp: Option<&str>) -> anyhow::Result<Telling> {
    let filter = EnvFilter::try_new(filter).with_context(|| {
        format!("`{filter}` is no filter of the log: expected a level such as `info`, or parts such as `warn,waypost=debug`")
    })?;
    let spans = otlp.map(Spans::to).transpose()?;
    let text = || tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
    let lines = match format {
        LogFormat::Text => text().with_ansi(std::io::stderr().is_terminal()).boxed(),
        LogFormat::Json => text().json().flatten_event(true).boxed(),
    };
    let sent = spans.as_ref().map(|spans| spans.layer().with_filter(LevelFilter::INFO));
    tracing_subscriber::registry()
        .with(lines.with_filter(filter))
        .with(sent)
        .try_init()
        .map_err(|error| anyhow::anyhow!("the log can't begin: {error}"))?;
    BEGUN.get_or_init(|| format);
    Ok(Telling { _spans: spans })
}
