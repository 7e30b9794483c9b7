//! Takes the servers of tools that the operator named, keeps each of them connected, and makes the calls that the engine
//! has allowed.
//!
//! Nouns: [`Upstreams`] (all of them), [`Settings`] (one, as the operator wrote it), [`Call`] (what is to be called). A
//! task keeps one server: connects, lists its tools, lists them again when it says so, and begins anew when it breaks
//! off. No server waits for another, and nobody's start waits for any. What a server says is data; no token of a caller
//! ever reaches one.
//!
//! Beside them [`relay()`] speaks for another Waypost, with the token that its operator gave for exactly that.

mod calls;
mod connection;
mod error;
mod handler;
mod keeper;
mod line;
mod process;
mod relay;
mod settings;
mod waits;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use waypost_engine::api::Engine;

pub use self::calls::{Call, Progress};
pub use self::connection::blocking_client;
pub use self::error::UpstreamError;
use self::keeper::Keeper;
use self::line::Line;
pub use self::relay::{RelayError, relay};
pub use self::settings::{HIDDEN, Settings, SettingsError, ToolEntry, Transport};
use crate::blocking::Bridge;

/// Until every server must have ended after the signal to stop.
const END_PATIENCE: Duration = Duration::from_secs(10);
/// Listings and ends of calls at once.
const MAX_RUNNING: usize = 8;
/// Those that wait for their turn: more than there are connections, so that the end of a call is never refused.
const MAX_WAITING: usize = 16_384;

/// Which servers there are, and how they are started.
#[derive(Debug, Clone, Default)]
pub struct Plan {
    /// Each of another name.
    pub servers: Vec<Settings>,
    /// The program that starts another and ends it when this process is gone; see [`guard`].
    pub guard: Option<PathBuf>,
}

/// All servers of tools.
pub struct Upstreams {
    engine: Arc<Engine>,
    bridge: Bridge,
    lines: BTreeMap<String, Arc<Line>>,
    keepers: Mutex<Vec<JoinHandle<()>>>,
    stop: CancellationToken,
}

impl Upstreams {
    /// Begins to keep the servers of a plan; gives back before any of them is there. Needs a runtime around it.
    pub fn start(engine: &Arc<Engine>, plan: &Plan) -> Arc<Self> {
        engine.set_tool_servers(plan.servers.iter().map(Settings::tool_server).collect());
        let (bridge, stop) = (Bridge::new(MAX_RUNNING, MAX_WAITING), CancellationToken::new());
        let mut lines = BTreeMap::new();
        let mut keepers = Vec::new();
        for settings in &plan.servers {
            let line = Arc::new(Line::default());
            lines.insert(settings.name.clone(), Arc::clone(&line));
            let keeper = Keeper {
                settings: settings.clone(),
                guard: plan.guard.clone(),
                engine: Arc::clone(engine),
                bridge: bridge.clone(),
                line,
                stop: stop.clone(),
            };
            keepers.push(tokio::spawn(keeper.keep()));
        }
        Arc::new(Self { engine: Arc::clone(engine), bridge, lines, keepers: Mutex::new(keepers), stop })
    }

    /// Ends every server, and waits for it as long as may be.
    pub async fn stop(&self) {
        self.stop.cancel();
        let keepers = std::mem::take(&mut *self.keepers.lock().unwrap_or_else(PoisonError::into_inner));
        let all = async {
            for keeper in keepers {
                if let Err(error) = keeper.await {
                    tracing::error!(%error, "the keeper of a server did not end well");
                }
            }
        };
        if tokio::time::timeout(END_PATIENCE, all).await.is_err() {
            tracing::warn!("servers of tools that did not end in time are left to their process groups");
        }
    }
}

impl Drop for Upstreams {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

/// Becomes another program that is killed as soon as `parent`, the process that started this one, is gone: however that
/// ends, and also where the program does not look at its standard input. Gives back only where that fails.
///
/// What the program starts in turn is not killed with it; it ends where it looks at its standard input.
#[cfg(target_os = "linux")]
pub fn guard(parent: i32, argv: &[std::ffi::OsString]) -> std::io::Error {
    use std::os::unix::process::CommandExt;

    let Some((program, arguments)) = argv.split_first() else {
        return std::io::Error::new(std::io::ErrorKind::InvalidInput, "there is no program to start");
    };
    if let Err(error) = rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::KILL))
    {
        return error.into();
    }
    // It may have ended before the line above.
    if rustix::process::getppid().map(rustix::process::Pid::as_raw_pid) != Some(parent) {
        return std::io::Error::other("who started this is gone");
    }
    std::process::Command::new(program).args(arguments).exec()
}

/// As on Linux, but without the kill: no other system offers it.
#[cfg(not(target_os = "linux"))]
pub fn guard(_parent: i32, argv: &[std::ffi::OsString]) -> std::io::Error {
    use std::os::unix::process::CommandExt;

    match argv.split_first() {
        Some((program, arguments)) => std::process::Command::new(program).args(arguments).exec(),
        None => std::io::Error::new(std::io::ErrorKind::InvalidInput, "there is no program to start"),
    }
}
