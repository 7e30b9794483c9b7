//! Settings: flags over `WAYPOST_*` variables over `waypost.toml` over defaults.

mod file;
mod variables;

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde::Serialize;
use waypost::limits::Rate;
use waypost::serve::Edge;
use waypost::tls::TlsFiles;
use waypost::upstream;
use waypost_engine::api::{
    BackgroundSettings, CommandHook, EngineOptions, Error, GenerateSettings, HopLimits, Isolation, ModelFile,
    Reach, Schedule, Workers,
};

use self::file::FileSettings;
pub use self::file::{CommandSettings, ModelFileSettings, Priority};
use self::variables::{count, number, numbers, switch, variable, words};
use crate::cli::Globals;
use crate::logs::{self, LogFormat};

/// A value, and where it comes from.
#[derive(Debug, Clone, Serialize)]
pub struct Setting<T> {
    /// What holds.
    pub value: T,
    /// `flag`, `environment`, `file` or `default`.
    pub from: &'static str,
}

impl<T> Setting<T> {
    /// What is said on the command line holds before all else.
    pub fn put(&mut self, flag: Option<T>) {
        if let Some(value) = flag {
            *self = Self { value, from: "flag" };
        }
    }
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
    /// Whether the files in zip, tar and gzip archives are read.
    pub archives: Setting<bool>,
    /// Address of the server.
    pub listen: Setting<String>,
    /// Host names that a request may give, beside the loopback ones.
    pub allowed_hosts: Setting<Vec<String>>,
    /// Origins that a browser's request may come from.
    pub allowed_origins: Setting<Vec<String>>,
    /// Addresses, ranges and names that webhooks and imports may reach although they are private; others than the owner's may
    /// reach no other.
    pub net_allow: Setting<Vec<String>>,
    /// The wait after each failed delivery; after the last one the event is a dead letter.
    pub webhook_retry_seconds: Setting<Vec<f64>>,
    /// For one delivery as a whole.
    pub webhook_timeout_seconds: Setting<f64>,
    /// An endpoint that only failed for so long is paused.
    pub webhook_pause_after_seconds: Setting<f64>,
    /// The share of routed intents that may go wrong.
    pub route_max_error: Setting<f64>,
    /// Handovers to further agents along one chain of causes.
    pub max_hops: Setting<u32>,
    /// The endpoint of `ask` with `generator: "openai:MODEL"`, such as `http://127.0.0.1:11434/v1`; without one, none of its
    /// models is asked.
    pub generate_url: Setting<Option<String>>,
    /// The environment variable that holds the endpoint's key.
    pub generate_key_env: Setting<Option<String>>,
    /// Models that may be asked for.
    pub generate_models: Setting<Vec<String>>,
    /// For one answer, in seconds; 600 at most, and never more than 25 where it is not streamed.
    pub generate_timeout_s: Setting<f64>,
    /// For the first word of a streamed answer and for each further one, in seconds; 600 at most.
    pub generate_idle_timeout_s: Setting<f64>,
    /// Of one answer.
    pub generate_max_tokens: Setting<u32>,
    /// Models that run in this process; of the file alone, and only in a program that was built with the feature `gguf`.
    pub generate_gguf: Setting<Vec<ModelFileSettings>>,
    /// Threads that embed while the server runs; 0: one for each processor.
    pub indexing_threads: Setting<u32>,
    /// Of these threads.
    pub indexing_priority: Setting<Priority>,
    /// Whether nothing is embedded on battery.
    pub indexing_rest_on_battery: Setting<bool>,
    /// Nothing is embedded while the machine's load of the last minute is above this.
    pub indexing_max_load: Setting<Option<f64>>,
    /// Days after which the journal forgets what nobody needs; 0: it forgets nothing.
    pub journal_days: Setting<u32>,
    /// Which lines the running log has: a level, or parts such as `warn,waypost=debug`.
    pub log_filter: Setting<String>,
    /// How they look.
    pub log_format: Setting<LogFormat>,
    /// A collector of OpenTelemetry spans, such as `http://127.0.0.1:4318`; without one none are made.
    pub otlp: Setting<Option<String>>,
    /// Requests a second of one token; 0: as many as it likes.
    pub requests_per_second: Setting<u32>,
    /// Requests of one token at once; 0: twice the rate.
    pub request_burst: Setting<u32>,
    /// The certificate's chain in a PEM file; with `tls_key` the server speaks TLS.
    pub tls_cert: Setting<Option<PathBuf>>,
    /// The certificate's key in a PEM file.
    pub tls_key: Setting<Option<PathBuf>>,
    /// The issuer of tokens that clients are told of (RFC 9728).
    pub authorization_server: Setting<Option<String>>,
    /// Offer MCP over `/sse` and `/messages` too, for clients that know nothing newer.
    pub mcp_sse: Setting<bool>,
    /// Programs that are started for events; of the file alone.
    pub commands: Setting<Vec<CommandSettings>>,
    /// Servers of tools; of the file alone.
    pub upstreams: Setting<Vec<upstream::Settings>>,
}

/// What a running server takes over when its settings are read again.
const LIVE: [&str; 7] = [
    "allowed_hosts",
    "allowed_origins",
    "commands",
    "request_burst",
    "requests_per_second",
    "tls_cert",
    "tls_key",
];

impl Config {
    /// The settings that are others in `newer`, and that no running server takes over.
    ///
    /// # Errors
    /// Where a path among them is no text.
    pub fn takes_restart(&self, newer: &Self) -> Result<Vec<String>> {
        let (old, new) = (serde_json::to_value(self)?, serde_json::to_value(newer)?);
        let names = old.as_object().into_iter().flat_map(serde_json::Map::keys);
        let has_changed = |name: &&String| old[name.as_str()]["value"] != new[name.as_str()]["value"];
        Ok(names.filter(has_changed).filter(|name| !LIVE.contains(&name.as_str())).cloned().collect())
    }

    /// What an engine needs of it, but for the model.
    ///
    /// # Errors
    /// For an entry of `net_allow` that is none, or a time that is none.
    pub fn engine_options(&self, home: &Path) -> Result<EngineOptions> {
        let reach = Reach::new(&self.net_allow.value).map_err(Error::from)?;
        let waits = self.webhook_retry_seconds.value.iter().map(|seconds| duration(*seconds));
        let schedule = Schedule {
            waits: waits.collect::<Result<_>>()?,
            timeout: duration(self.webhook_timeout_seconds.value)?,
            pause_after: duration(self.webhook_pause_after_seconds.value)?,
        };
        let max_error = self.route_max_error.value;
        if !(0.0..1.0).contains(&max_error) || max_error == 0.0 {
            bail!(
                "`{max_error}` is no error rate of routes: expected a share above 0 and below 1, such as 0.05"
            );
        }
        let options = EngineOptions::new(home).max_file_bytes(self.max_file_bytes.value).max_error(max_error);
        let options = options.archives(self.archives.value).isolation(isolation());
        let hop_limits = HopLimits { max_depth: self.max_hops.value, ..HopLimits::default() };
        let options = options.generate(self.generate_settings()?);
        let options = options.journal_days(self.journal_days.value).background(self.background()?);
        Ok(options.reach(reach).schedule(schedule).hop_limits(hop_limits))
    }

    fn background(&self) -> Result<BackgroundSettings> {
        let max_load = self.indexing_max_load.value;
        if let Some(load) = max_load.filter(|load| !(load.is_finite() && *load > 0.0)) {
            bail!("`{load}` is no `indexing.max_load`: expected a load above 0, such as 4");
        }
        Ok(BackgroundSettings {
            n_threads: self.indexing_threads.value as usize,
            gives_way: self.indexing_priority.value == Priority::Low,
            rests_on_battery: self.indexing_rest_on_battery.value,
            max_load,
        })
    }

    /// Where answers are generated, if anywhere.
    fn generate_settings(&self) -> Result<Option<GenerateSettings>> {
        let url = self.generate_url.value.clone();
        if url.is_none() && !self.generate_models.value.is_empty() {
            bail!("`generate.models` is set and `generate.url` is not: expected both, or neither");
        }
        if url.is_none() && self.generate_gguf.value.is_empty() {
            return Ok(None);
        }
        let key = self.generate_key_env.value.as_deref().map(|name| {
            variable(name).with_context(|| format!("`generate.key_env` names `{name}`, which is not set"))
        });
        let seconds = |name: &str, seconds: f64| {
            Duration::try_from_secs_f64(seconds).with_context(|| {
                format!("`generate.{name}` is no time: expected seconds, above 0 and at most 600")
            })
        };
        let file = |file: &ModelFileSettings| ModelFile {
            name: file.name.clone(),
            model: file.model.clone(),
            tokenizer: file.tokenizer.clone(),
        };
        Ok(Some(GenerateSettings {
            url,
            key: key.transpose()?,
            models: self.generate_models.value.clone(),
            files: self.generate_gguf.value.iter().map(file).collect(),
            timeout: seconds("timeout_s", self.generate_timeout_s.value)?,
            idle_timeout: seconds("idle_timeout_s", self.generate_idle_timeout_s.value)?,
            max_tokens: self.generate_max_tokens.value,
        }))
    }

    /// How the server meets the outside.
    ///
    /// # Errors
    /// A certificate without its key, or an authorization server that is no URL.
    pub fn edge(&self) -> Result<Edge> {
        let tls = match (&self.tls_cert.value, &self.tls_key.value) {
            (None, None) => None,
            (Some(cert), Some(key)) => Some(TlsFiles { cert: cert.clone(), key: key.clone() }),
            _ => bail!("TLS needs both a certificate and its key: `--tls-cert` and `--tls-key`"),
        };
        let authorization_server = self.authorization_server.value.clone();
        if let Some(issuer) = authorization_server.as_ref().filter(|issuer| !issuer.starts_with("https://")) {
            bail!(
                "`{issuer}` is no authorization server: expected its issuer, such as `https://login.example`"
            );
        }
        let rate = Rate { per_second: self.requests_per_second.value, burst: self.request_burst.value };
        Ok(Edge { rate, tls, authorization_server, sse: self.mcp_sse.value })
    }

    /// Begins the running log, and spans where somebody takes them.
    ///
    /// # Errors
    /// As [`logs::start`].
    pub fn start_telling(&self) -> Result<logs::Telling> {
        logs::start(&self.log_filter.value, self.log_format.value, self.otlp.value.as_deref())
    }

    /// The servers of tools, and how they are started so that they end with us.
    pub fn upstream_plan(&self) -> upstream::Plan {
        let guard = std::env::current_exe().ok().filter(|_| cfg!(target_os = "linux"));
        upstream::Plan { servers: self.upstreams.value.clone(), guard }
    }

    /// The programs that are started for events.
    pub fn command_hooks(&self) -> Vec<CommandHook> {
        let hook = |command: &CommandSettings| CommandHook {
            name: command.name.clone(),
            argv: command.run.clone(),
            paths: command.paths.clone(),
            kinds: command.kinds.clone(),
            principal: command.principal.clone(),
            timeout_seconds: command.timeout_seconds,
        };
        self.commands.value.iter().map(hook).collect()
    }
}

/// Workers are this same program. Under Linux it is named by what runs now, and not by a path where a newer one may lie.
pub fn isolation() -> Isolation {
    let program =
        if cfg!(target_os = "linux") { Ok("/proc/self/exe".into()) } else { std::env::current_exe() };
    match program {
        Ok(program) => Isolation::Workers(Workers::new([program.into_os_string(), "extract-worker".into()])),
        Err(_) => Isolation::InProcess,
    }
}

fn duration(seconds: f64) -> Result<Duration> {
    Duration::try_from_secs_f64(seconds)
        .with_context(|| format!("`{seconds}` is no time of a webhook: expected seconds, 0 or more"))
}

/// Reads the settings for a home.
///
/// # Errors
/// Where the file can't be read, or says something unknown.
pub fn load(home: &Path, globals: &Globals) -> Result<Config> {
    let file = FileSettings::read(&home.join("waypost.toml"))?;
    let offline = switch("WAYPOST_OFFLINE")?;
    let archives = switch("WAYPOST_ARCHIVES")?;
    let log_format = match variable("WAYPOST_LOG_FORMAT") {
        Some(text) => Some(
            LogFormat::read(&text)
                .with_context(|| format!("WAYPOST_LOG_FORMAT is `{text}`: expected `text` or `json`"))?,
        ),
        None => None,
    };
    let priority = match variable("WAYPOST_INDEXING_PRIORITY").as_deref() {
        Some("low") => Some(Priority::Low),
        Some("normal") => Some(Priority::Normal),
        Some(text) => bail!("WAYPOST_INDEXING_PRIORITY is `{text}`: expected `low` or `normal`"),
        None => None,
    };
    let (usual, generating) = (Schedule::default(), GenerateSettings::default());
    let below_home = |mut file: ModelFileSettings| {
        file.model = home.join(file.model);
        file.tokenizer = file.tokenizer.map(|tokenizer| home.join(tokenizer));
        file
    };
    let gguf: Vec<ModelFileSettings> = file.generate.gguf.into_iter().map(below_home).collect();
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
        max_file_bytes: pick(None, count("WAYPOST_MAX_FILE_BYTES", "bytes")?, file.max_file_bytes, 32 << 20),
        archives: pick(None, archives, file.archives, false),
        listen: pick(None, variable("WAYPOST_LISTEN"), file.listen, "127.0.0.1:7077".to_owned()),
        allowed_hosts: pick(None, words("WAYPOST_ALLOWED_HOSTS"), file.allowed_hosts, Vec::new()),
        allowed_origins: pick(None, words("WAYPOST_ALLOWED_ORIGINS"), file.allowed_origins, Vec::new()),
        net_allow: pick(
            (!globals.net_allow.is_empty()).then(|| globals.net_allow.clone()),
            words("WAYPOST_NET_ALLOW"),
            file.net.allow,
            Vec::new(),
        ),
        webhook_retry_seconds: pick(
            None,
            numbers("WAYPOST_WEBHOOK_RETRY_SECONDS", "seconds")?,
            file.webhooks.retry_seconds,
            usual.waits.iter().map(Duration::as_secs_f64).collect(),
        ),
        webhook_timeout_seconds: pick(
            None,
            number("WAYPOST_WEBHOOK_TIMEOUT_SECONDS", "a number of seconds")?,
            file.webhooks.timeout_seconds,
            usual.timeout.as_secs_f64(),
        ),
        webhook_pause_after_seconds: pick(
            None,
            number("WAYPOST_WEBHOOK_PAUSE_AFTER_SECONDS", "a number of seconds")?,
            file.webhooks.pause_after_seconds,
            usual.pause_after.as_secs_f64(),
        ),
        route_max_error: pick(
            None,
            number("WAYPOST_ROUTE_MAX_ERROR", "a share above 0 and below 1, such as 0.05")?,
            file.route.max_error,
            waypost_engine::route::DEFAULT_MAX_ERROR,
        ),
        max_hops: pick(
            None,
            count("WAYPOST_MAX_HOPS", "handovers")?,
            file.traces.max_hops,
            HopLimits::default().max_depth,
        ),
        indexing_threads: pick(None, count("WAYPOST_INDEXING_THREADS", "threads")?, file.indexing.threads, 0),
        indexing_priority: pick(None, priority, file.indexing.priority, Priority::Low),
        indexing_rest_on_battery: pick(
            None,
            switch("WAYPOST_INDEXING_REST_ON_BATTERY")?,
            file.indexing.rest_on_battery,
            false,
        ),
        indexing_max_load: pick(
            None,
            number("WAYPOST_INDEXING_MAX_LOAD", "a load above 0, such as 4")?.map(Some),
            file.indexing.max_load.map(Some),
            None,
        ),
        journal_days: pick(
            None,
            count("WAYPOST_JOURNAL_DAYS", "days")?,
            file.journal.days,
            waypost_engine::api::DEFAULT_JOURNAL_DAYS,
        ),
        generate_url: pick(
            None,
            variable("WAYPOST_GENERATE_URL").map(Some),
            file.generate.url.map(Some),
            None,
        ),
        generate_key_env: pick(
            None,
            variable("WAYPOST_GENERATE_KEY_ENV").map(Some),
            file.generate.key_env.map(Some),
            None,
        ),
        generate_models: pick(None, words("WAYPOST_GENERATE_MODELS"), file.generate.models, Vec::new()),
        generate_timeout_s: pick(
            None,
            number("WAYPOST_GENERATE_TIMEOUT_S", "a number of seconds")?,
            file.generate.timeout_s,
            generating.timeout.as_secs_f64(),
        ),
        generate_idle_timeout_s: pick(
            None,
            number("WAYPOST_GENERATE_IDLE_TIMEOUT_S", "a number of seconds")?,
            file.generate.idle_timeout_s,
            generating.idle_timeout.as_secs_f64(),
        ),
        generate_max_tokens: pick(
            None,
            count("WAYPOST_GENERATE_MAX_TOKENS", "tokens")?,
            file.generate.max_tokens,
            generating.max_tokens,
        ),
        generate_gguf: pick(None, None, (!gguf.is_empty()).then_some(gguf), Vec::new()),
        log_filter: pick(
            None,
            variable("WAYPOST_LOG_FILTER"),
            file.log.filter,
            logs::DEFAULT_FILTER.to_owned(),
        ),
        log_format: pick(None, log_format, file.log.format, LogFormat::Text),
        otlp: pick(None, variable("WAYPOST_OTLP").map(Some), file.telemetry.otlp.map(Some), None),
        requests_per_second: pick(
            None,
            count("WAYPOST_REQUESTS_PER_SECOND", "requests")?,
            file.limits.requests_per_second,
            Rate::default().per_second,
        ),
        request_burst: pick(
            None,
            count("WAYPOST_REQUEST_BURST", "requests")?,
            file.limits.burst,
            Rate::default().burst,
        ),
        tls_cert: pick(
            None,
            variable("WAYPOST_TLS_CERT").map(|text| Some(text.into())),
            file.tls.cert.map(|path| Some(home.join(path))),
            None,
        ),
        tls_key: pick(
            None,
            variable("WAYPOST_TLS_KEY").map(|text| Some(text.into())),
            file.tls.key.map(|path| Some(home.join(path))),
            None,
        ),
        authorization_server: pick(
            None,
            variable("WAYPOST_AUTHORIZATION_SERVER").map(Some),
            file.auth.authorization_server.map(Some),
            None,
        ),
        mcp_sse: pick(None, switch("WAYPOST_MCP_SSE")?, file.mcp.sse, false),
        commands: pick(None, None, (!file.command.is_empty()).then_some(file.command), Vec::new()),
        upstreams: pick(None, None, (!file.upstream.is_empty()).then_some(file.upstream), Vec::new()),
    })
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
