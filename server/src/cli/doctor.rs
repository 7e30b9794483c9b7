//! `waypost doctor`: looks at what a home stands on, and says what to do about what is wrong.

use std::net::{TcpStream, ToSocketAddrs};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Result;
use rustix::process::{Resource, getrlimit};
use serde::Serialize;
use waypost_engine::access::ApprovalState;
use waypost_engine::api::{Engine, Error, Isolation, ToolState, ToolsFilter, WorkspaceInfo};
use waypost_engine::id::VersionId;
use waypost_engine::reader::Reader;
use waypost_engine::text::Limits;

use super::{Globals, NOTHING, Outcome, home};
use crate::config::{self, Config};
use crate::models;
use crate::output::{self, BAD, FAINT, GOOD, MATCH, STRONG};

/// Less room than this and a write may soon fail.
const LITTLE_ROOM_BYTES: u64 = 1 << 30;
/// A connection, a segment of the index and a worker take one each.
const FEW_FILES: u64 = 1024;
/// Until whoever listens at the server's address must have taken the connection.
const KNOCK: Duration = Duration::from_millis(500);

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum State {
    Good,
    /// It works, but for something.
    Warning,
    /// Something does not work.
    Bad,
}

/// What was looked at, and how it is.
#[derive(Debug, Serialize)]
struct Finding {
    check: &'static str,
    state: State,
    says: String,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
}

impl Finding {
    fn good(check: &'static str, says: impl Into<String>) -> Self {
        Self { check, state: State::Good, says: says.into(), next: None }
    }

    fn warning(check: &'static str, says: impl Into<String>, next: impl Into<String>) -> Self {
        Self { check, state: State::Warning, says: says.into(), next: Some(next.into()) }
    }

    fn bad(check: &'static str, says: impl Into<String>, next: impl Into<String>) -> Self {
        Self { check, state: State::Bad, says: says.into(), next: Some(next.into()) }
    }
}

pub fn run(globals: &Globals) -> Outcome {
    let home = home::locate(globals, Some(Path::new(".")))?;
    let home = home.canonicalize().unwrap_or(home);
    let findings = look(&home, globals);
    if globals.json {
        output::json(&serde_json::json!({"home": home, "findings": findings}))?;
    } else {
        print(&home, &findings);
    }
    Ok(if findings.iter().any(|finding| finding.state == State::Bad) { NOTHING } else { 0 })
}

fn print(home: &Path, findings: &[Finding]) {
    out!("{STRONG}{}{STRONG:#}", output::safe(&home.display().to_string()));
    for finding in findings {
        let (style, word) = match finding.state {
            State::Good => (GOOD, "good"),
            State::Warning => (MATCH, "look"),
            State::Bad => (BAD, "bad "),
        };
        out!("{style}{word}{style:#} {:10} {}", finding.check, output::safe(&finding.says));
        if let Some(next) = &finding.next {
            out!("     {:10} {FAINT}{}{FAINT:#}", "", output::safe(next));
        }
    }
}

/// From the ground up: what stands on something broken is not looked at.
fn look(home: &Path, globals: &Globals) -> Vec<Finding> {
    if !home.join(".waypost").is_dir() {
        let says = format!("`{}` is no home: it has no `.waypost`", home.display());
        return vec![Finding::bad("home", says, "make one with `waypost init`, or name one with `--home`")];
    }
    let mut findings = vec![room(home), open_files()];
    let config = match settings(home, globals) {
        Ok(config) => config,
        Err(error) => {
            let next = "mend `waypost.toml` or the variable that it names; `waypost config` shows what holds";
            findings.push(Finding::bad("settings", output::causes(&error), next));
            return findings;
        }
    };
    findings.push(Finding::good("settings", "they can be read, and fit together"));
    findings.push(model(&config));
    findings.push(workers());
    match home::open_quietly(home, globals) {
        Ok((engine, _)) => {
            findings.push(address(&config));
            match inside(&engine) {
                Ok(inside) => findings.extend(inside),
                Err(error) => findings.push(broken_home(&error)),
            }
        }
        Err(error) if matches!(error.downcast_ref(), Some(Error::HomeInUse { .. })) => {
            findings.push(served(&config));
        }
        Err(error) => findings.push(broken_home(&error)),
    }
    findings
}

fn broken_home(error: &anyhow::Error) -> Finding {
    Finding::bad(
        "home",
        output::causes(error),
        "compare it with `waypost check`, or `waypost restore` a backup",
    )
}

fn settings(home: &Path, globals: &Globals) -> Result<Config> {
    let config = config::load(home, globals)?;
    config.engine_options(home)?;
    config.edge()?;
    models::check(&config)?;
    Ok(config)
}

fn room(home: &Path) -> Finding {
    match rustix::fs::statvfs(home) {
        Ok(disk) => {
            let free_bytes = disk.f_bavail.saturating_mul(disk.f_frsize);
            let says = format!("{:.1} GiB free where the home lies", free_bytes as f64 / f64::from(1 << 30));
            if free_bytes < LITTLE_ROOM_BYTES {
                return Finding::warning("disk", says, "make room: `waypost prune` gives old versions back");
            }
            Finding::good("disk", says)
        }
        Err(error) => {
            Finding::bad("disk", format!("can't be asked for its room: {error}"), "see to the disk")
        }
    }
}

fn open_files() -> Finding {
    let most = getrlimit(Resource::Nofile).current;
    match most {
        Some(most) if most < FEW_FILES => {
            let says = format!("this process may open {most} files");
            Finding::warning("files", says, format!("allow {FEW_FILES} or more, such as by `ulimit -n`"))
        }
        Some(most) => Finding::good("files", format!("this process may open {most} at once")),
        None => Finding::good("files", "this process may open as many as it likes"),
    }
}

fn model(config: &Config) -> Finding {
    let begun = Instant::now();
    let embedder = match models::open(config, false) {
        Ok(embedder) => embedder,
        Err(error) => {
            let says = format!("searching by words alone: {error}");
            return Finding::warning("model", says, "fetch it with `waypost models pull`");
        }
    };
    let opened = begun.elapsed();
    let begun = Instant::now();
    match embedder.embed_query("who reviews contracts") {
        Ok(_) => {
            let (opened, embedded) = (opened.as_secs_f64() * 1e3, begun.elapsed().as_secs_f64() * 1e3);
            Finding::good(
                "model",
                format!("{} opened in {opened:.0} ms, a query embedded in {embedded:.1} ms", embedder.id()),
            )
        }
        Err(error) => Finding::bad("model", error.to_string(), "fetch it anew with `waypost models pull`"),
    }
}

/// Reads a small document the way that an index run does.
fn workers() -> Finding {
    let isolation = config::isolation();
    let is_apart = matches!(isolation, Isolation::Workers(_));
    let text = b"{\\rtf1 waypost}";
    let read = || -> Result<()> {
        let folder = tempfile::tempdir()?;
        let reader = Reader::open(&folder.path().join("texts.db"), Limits::default(), isolation)?;
        match reader.read(VersionId::of(text), "sample.rtf", text)? {
            Ok(_) => Ok(()),
            Err(reason) => anyhow::bail!("{reason}"),
        }
    };
    match read() {
        Ok(()) if is_apart => Finding::good("reading", "documents are read in worker processes"),
        Ok(()) => Finding::warning(
            "reading",
            "documents are read in this process: one that breaks its reader takes the server along",
            "run under Linux, where the program can start itself again",
        ),
        Err(error) => {
            Finding::bad("reading", output::causes(&error), "see whether this user may start processes")
        }
    }
}

fn knock(config: &Config) -> bool {
    let addresses = config.listen.value.to_socket_addrs().into_iter().flatten();
    addresses.into_iter().any(|address| TcpStream::connect_timeout(&address, KNOCK).is_ok())
}

fn address(config: &Config) -> Finding {
    let listen = &config.listen.value;
    if knock(config) {
        let says = format!("another program listens at {listen}");
        return Finding::warning(
            "address",
            says,
            "choose another with `listen`, or `waypost serve --listen`",
        );
    }
    Finding::good("address", format!("{listen} is free"))
}

fn served(config: &Config) -> Finding {
    let listen = &config.listen.value;
    if knock(config) {
        let says = format!("it is open in another process, and a server answers at {listen}");
        return Finding::good("home", says);
    }
    Finding::warning(
        "home",
        format!("it is open in another process, and nobody listens at {listen}"),
        "that may be `waypost mcp`, or a server at an address given by hand; stop it to look inside",
    )
}

/// What an open home says of itself.
fn inside(engine: &Arc<Engine>) -> Result<Vec<Finding>> {
    Ok(vec![fit(engine)?, index(engine)?, webhooks(engine)?, tools(engine)?, approvals(engine)?])
}

fn fit(engine: &Engine) -> Result<Finding> {
    let report = engine.check(false)?;
    let Some(first) = report.findings.first() else {
        return Ok(Finding::good("home", format!("{} files and {} acts fit", report.files, report.acts)));
    };
    let says = format!("{} things do not fit, such as {}: {}", report.findings.len(), first.at, first.what);
    Ok(Finding::bad("home", says, "see them with `waypost check`; `--repair` builds anew what can be"))
}

fn index(engine: &Arc<Engine>) -> Result<Finding> {
    let workspaces = engine.owner_session().workspaces()?;
    if workspaces.is_empty() {
        return Ok(Finding::warning(
            "index",
            "there is no workspace",
            "attach a folder: `waypost workspace add`",
        ));
    }
    let sum = |count: fn(&WorkspaceInfo) -> u64| workspaces.iter().map(count).sum::<u64>();
    let (files, skipped) = (sum(|info| info.indexed_files), sum(|info| info.skipped_files));
    let pending = sum(|info| info.index.pending_files);
    let says = format!(
        "{} workspaces, {files} files in {} chunks, {skipped} left out, {pending} on their way",
        workspaces.len(),
        sum(|info| info.chunks)
    );
    if pending > 0 {
        return Ok(Finding::warning(
            "index",
            says,
            "a server brings them in by itself; `waypost index` does it now",
        ));
    }
    Ok(Finding::good("index", says))
}

fn webhooks(engine: &Arc<Engine>) -> Result<Finding> {
    let webhooks = engine.owner_session().webhooks()?;
    let paused: Vec<_> = webhooks.iter().filter(|webhook| !webhook.paused_because.is_empty()).collect();
    let failing = webhooks.iter().filter(|webhook| webhook.failing_since.is_some()).count();
    if let Some(first) = paused.first() {
        let says = format!("{} paused, such as {}: {}", paused.len(), first.id, first.paused_because);
        let next = "see why with `waypost webhook deliveries ID`, then `waypost webhook resume ID`";
        return Ok(Finding::warning("webhooks", says, next));
    }
    if failing > 0 {
        let says = format!("{failing} of {} fail at present", webhooks.len());
        return Ok(Finding::warning("webhooks", says, "see why with `waypost webhook deliveries ID`"));
    }
    Ok(Finding::good("webhooks", format!("{}, none paused", webhooks.len())))
}

fn tools(engine: &Arc<Engine>) -> Result<Finding> {
    let session = engine.owner_session();
    let count = |state| session.tools(&ToolsFilter { state, server: None }).map(|tools| tools.len());
    let (held, used) = (count(Some(ToolState::Quarantined))?, count(None)?);
    if held > 0 {
        let says = format!("{held} are new or have changed, and wait for an approval; {used} in use");
        return Ok(Finding::warning("tools", says, "see them with `waypost tool list --state quarantined`"));
    }
    Ok(Finding::good("tools", format!("{used} of other servers in use")))
}

fn approvals(engine: &Arc<Engine>) -> Result<Finding> {
    let waiting = engine.owner_session().approvals(Some(ApprovalState::Pending))?.len();
    if waiting > 0 {
        let says = format!("{waiting} wait for a person");
        return Ok(Finding::warning(
            "approvals",
            says,
            "decide with `waypost approval list` and `grant` or `deny`",
        ));
    }
    Ok(Finding::good("approvals", "none waits"))
}
