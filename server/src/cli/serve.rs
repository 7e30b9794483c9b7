//! `waypost serve` and `waypost mcp`.

use std::net::{SocketAddr, ToSocketAddrs};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use clap::Args;
use serde_json::{Map, Value, json};
use waypost::mcp::stdio::serve_stdio;
use waypost::renewal::Renewed;
use waypost::serve::{ServeOptions, serve};
use waypost::upstream::relay;
use waypost_engine::api::{Engine, Indexer, Supervisor};
use waypost_engine::id::WorkspaceName;

use super::home::{self, Fetch};
use super::{Globals, Outcome};
use crate::config::{self, Config};
use crate::logs;
use crate::output::{self, FAINT, STRONG, Voice};

/// Until calls of the engine that are under way at the end must have ended; what they have not begun is not done.
const LAST_CALLS: Duration = Duration::from_secs(3);

/// Said below the flags of `waypost serve`.
const SERVE_EXAMPLES: &str = "Examples:\n  waypost serve --home ./home\n  \
                              waypost serve --attach docs=./docs --listen 127.0.0.1:8080";

/// Said below the flags of `waypost mcp`.
const MCP_EXAMPLES: &str = "Examples:\n  waypost mcp --home ./home --toolsets files,knowledge\n  \
                            WAYPOST_TOKEN=wp_… waypost mcp --url http://127.0.0.1:7077";

#[derive(Args, Clone)]
#[command(after_help = SERVE_EXAMPLES)]
pub struct ServeArgs {
    /// Address and port; loopback unless you say otherwise
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<String>,
    /// Attach an existing folder as a workspace; may be given several times
    #[arg(long, value_name = "NAME=DIR")]
    attach: Vec<String>,
    /// Speak TLS with this certificate (PEM, its chain after it); with `--tls-key`
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    tls_cert: Option<PathBuf>,
    /// The certificate's key (PEM)
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    tls_key: Option<PathBuf>,
}

/// What a server says of itself once it is there.
pub struct Greeting {
    /// For programs, on one line.
    pub json: bool,
    /// Of the owner; where there is none, the home's first one is made once the server listens.
    pub token: Option<String>,
    /// What a program is told beside it.
    pub more: Map<String, Value>,
    /// A first request, made of the address and the token.
    pub example: Option<fn(&str, &str) -> String>,
}

#[derive(Args)]
#[command(after_help = MCP_EXAMPLES)]
pub struct McpArgs {
    /// Speak for a server that runs already, such as http://127.0.0.1:7077, in place of opening a home
    #[arg(long, requires = "token")]
    url: Option<String>,
    /// Token to act with; without one it acts as the home's owner
    #[arg(long, env = "WAYPOST_TOKEN", hide_env_values = true)]
    token: Option<String>,
    /// Only these families of tools: files, files-reference, history, knowledge, mesh, threads
    #[arg(long, value_delimiter = ',')]
    toolsets: Option<Vec<String>>,
}

pub fn run(globals: &Globals, args: &ServeArgs) -> Outcome {
    let home = home::locate(globals, Some(Path::new(".")))?;
    // What is told while the home is opened stands in the log already.
    let telling = config::load(&home, globals)?.start_telling()?;
    let (engine, mut config) = home::open(&home, globals, Fetch::IfMissing)?;
    args.put_into(&mut config);
    for pair in &args.attach {
        let (name, folder) = split_attach(pair)?;
        engine.attach(&name, &folder)?;
    }
    tell_of_no_workspace(&engine, &home);
    let (globals, args) = (globals.clone(), args.clone());
    let is_json = globals.json;
    let reread = move || {
        let mut config = config::load(&home, &globals)?;
        args.put_into(&mut config);
        Ok(config)
    };
    let greeting = Greeting { json: is_json, token: None, more: Map::new(), example: None };
    run_server((engine, telling), config, reread, greeting)
}

impl ServeArgs {
    fn put_into(&self, config: &mut Config) {
        config.listen.put(self.listen.clone());
        config.tls_cert.put(self.tls_cert.clone().map(Some));
        config.tls_key.put(self.tls_key.clone().map(Some));
    }
}

fn tell_of_no_workspace(engine: &Engine, home: &Path) {
    if engine.workspace_names().is_empty() && engine.unavailable().is_empty() {
        output::note(&format!(
            "this home has no workspace yet; attach one with `--attach NAME=DIR`, or `waypost workspace add NAME DIR --home {}`",
            home.display()
        ));
    }
}

fn split_attach(pair: &str) -> Result<(WorkspaceName, PathBuf)> {
    let Some((name, folder)) = pair.split_once('=') else {
        bail!("`--attach {pair}`: expected NAME=DIR, such as `docs=./docs`");
    };
    let name = WorkspaceName::new(name).map_err(waypost_engine::api::Error::from)?;
    Ok((name, from_home(folder, std::env::home_dir())))
}

/// A shell does not see the `~/` behind `NAME=`.
fn from_home(folder: &str, user: Option<PathBuf>) -> PathBuf {
    match (folder.strip_prefix('~'), user) {
        (Some(rest), Some(user)) if rest.is_empty() || rest.starts_with('/') => {
            user.join(rest.trim_start_matches('/'))
        }
        _ => PathBuf::from(folder),
    }
}

/// Serves an open engine, whose log has begun, until it is told to stop; at SIGHUP the settings are read again.
pub fn run_server(
    (engine, telling): (Arc<Engine>, logs::Telling),
    config: Config,
    reread: impl Fn() -> Result<Config> + Send + Sync + 'static,
    greeting: Greeting,
) -> Outcome {
    let options = options(&config)?;
    let scheme = if options.edge.tls.is_some() { "https" } else { "http" };
    if options.edge.tls.is_none() && !options.listen.ip().is_loopback() {
        tracing::warn!(
            "tokens and files go over the network as they are: speak TLS with `--tls-cert` and `--tls-key`, or through a proxy \
             that does, and keep this address from everybody else"
        );
    }
    engine.set_commands(&config.command_hooks())?;
    let indexer = Indexer::start(&engine);
    let reread = Arc::new(move || renew(&config, reread()).map_err(|error| output::causes(&error)));
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let served = Arc::clone(&engine);
    let on_ready = move |address| announce(scheme, address, &served, greeting);
    runtime.block_on(serve(engine, indexer, options, reread, on_ready))?;
    runtime.shutdown_timeout(LAST_CALLS);
    drop(telling);
    Ok(0)
}

/// Where the server listens.
pub fn address(config: &Config) -> Result<SocketAddr> {
    let listen = &config.listen.value;
    let first = listen.to_socket_addrs().ok().and_then(|mut addresses| addresses.next());
    first.with_context(|| format!("`{listen}` is no address: expected one such as 127.0.0.1:7077"))
}

fn options(config: &Config) -> Result<ServeOptions> {
    Ok(ServeOptions {
        listen: address(config)?,
        allowed_hosts: config.allowed_hosts.value.clone(),
        allowed_origins: config.allowed_origins.value.clone(),
        upstreams: config.upstream_plan(),
        edge: config.edge()?,
    })
}

/// The newer settings that a running server takes over; the others are named, for they take a restart.
fn renew(before: &Config, newer: Result<Config>) -> Result<Renewed> {
    let newer = newer?;
    let renewed = Renewed { options: options(&newer)?, commands: newer.command_hooks() };
    for setting in before.takes_restart(&newer)? {
        tracing::warn!(setting, "this setting has changed, and holds from the next start on");
    }
    Ok(renewed)
}

fn announce(scheme: &str, address: SocketAddr, engine: &Engine, greeting: Greeting) {
    let url = format!("{scheme}://{address}");
    let Greeting { json, token, more: mut told, example } = greeting;
    let token = token.or_else(|| first_token(engine));
    if let (Some(example), Some(token)) = (example, &token) {
        Voice::new(json).say(format!("{FAINT}try: {}{FAINT:#}", example(&url, token)));
    }
    if json {
        told.insert("url".to_owned(), json!(url));
        told.insert("mcp".to_owned(), json!(format!("{url}/mcp")));
        told.insert("token".to_owned(), json!(token));
        // A line that can't be printed has no reader, and the server is up all the same.
        let _ = output::json(&told);
        return;
    }
    out!("serving {STRONG}{url}{STRONG:#} (console there, REST under /v1, MCP at /mcp); stop with Ctrl-C");
    if let Some(token) = token {
        out!("admin token, shown once: {token}");
    }
}

/// Made no earlier than it can be told: it is shown once, and a server that can't listen would lose it.
fn first_token(engine: &Engine) -> Option<String> {
    engine.first_token().unwrap_or_else(|error| {
        let why = output::causes(&error.into());
        output::note(&format!("no admin token was made, make one with `waypost token add`: {why}"));
        None
    })
}

pub fn run_mcp(globals: &Globals, args: &McpArgs) -> Outcome {
    if let (Some(url), Some(token)) = (&args.url, &args.token) {
        // How its connection ends is told below, in words of ours.
        let _telling = logs::start("warn,rmcp=off", logs::LogFormat::Text, None)?;
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
        let carried = runtime.block_on(relay(url, token, args.toolsets.as_deref()));
        // Reading from standard input can't be given up; nothing is left to be done.
        runtime.shutdown_background();
        carried?;
        return Ok(0);
    }
    let home = home::locate(globals, Some(Path::new(".")))?;
    let _telling = config::load(&home, globals)?.start_telling()?;
    let (engine, config) = home::open(&home, globals, Fetch::IfMissing)?;
    engine.set_commands(&config.command_hooks())?;
    if let Some(token) = &args.token {
        // A token that is none is told before anything starts.
        engine.session(token)?;
    }
    let indexer = Indexer::start(&engine);
    let (courier, supervisor) = (engine.start_courier(), Supervisor::start(&engine));
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let (token, toolsets) = (args.token.clone(), args.toolsets.clone());
    runtime.block_on(serve_stdio(Arc::clone(&engine), token, toolsets, config.upstream_plan()))?;
    drop((indexer, courier, supervisor));
    Ok(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tilde_stands_for_the_users_folder() {
        let user = || Some(PathBuf::from("/home/ana"));
        for (given, expected) in
            [("~/notes", "/home/ana/notes"), ("~", "/home/ana"), ("./a~/b", "./a~/b"), ("~bob/x", "~bob/x")]
        {
            assert_eq!(from_home(given, user()), PathBuf::from(expected), "{given}");
        }
        assert_eq!(from_home("~/notes", None), PathBuf::from("~/notes"));
        assert_eq!(split_attach("notes=./notes").unwrap().1, PathBuf::from("./notes"));
        assert!(split_attach("~/notes").is_err());
    }
}
