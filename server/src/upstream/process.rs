//! A server that is a program of ours: started in a process group of its own, ended with all that it started.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command};

use super::error::UpstreamError;
use super::settings::{Settings, expand};

/// Variables that every program gets where we have them: where it finds programs, its own files and its language.
const KEPT_VARIABLES: [&str; 11] =
    ["PATH", "HOME", "LANG", "LC_ALL", "LC_CTYPE", "TMPDIR", "TZ", "USER", "LOGNAME", "SHELL", "TERM"];
/// Until it must end by itself once its standard input is closed, and once more after SIGTERM.
const END_PATIENCE: Duration = Duration::from_secs(2);
/// Of a line that it writes to standard error.
const MAX_LINE_BYTES: usize = 1024;

/// A running program.
pub struct Process {
    child: Child,
    group: Option<Pid>,
}

/// What it is talked to by.
pub struct Pipes {
    /// What it says.
    pub stdout: ChildStdout,
    /// What it is told.
    pub stdin: ChildStdin,
}

impl Process {
    /// Starts the program of a server, through `guard` where there is one.
    pub fn start(
        settings: &Settings,
        run: &[String],
        guard: Option<&Path>,
    ) -> Result<(Self, Pipes), UpstreamError> {
        let program = run.first().cloned().unwrap_or_default();
        let failed = |source| UpstreamError::Start { program: program.clone(), source };
        let mut command = command(run, guard);
        command.env_clear().envs(environment(settings)?);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        // Of a group of its own, so that what it starts ends with it.
        command.process_group(0).kill_on_drop(true);
        let mut child = command.spawn().map_err(failed)?;
        let group = child.id().and_then(|id| Pid::from_raw(id.cast_signed()));
        let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let process = Self { child, group };
        if let Some(stderr) = stderr {
            tokio::spawn(log(settings.name.clone(), stderr));
        }
        match (stdout, stdin) {
            (Some(stdout), Some(stdin)) => Ok((process, Pipes { stdout, stdin })),
            _ => Err(failed(std::io::Error::other("it has no standard input or output"))),
        }
    }

    /// Its number.
    pub fn pid(&self) -> Option<u32> {
        self.child.id()
    }

    /// Waits until it has ended by itself; says how.
    pub async fn ended(&mut self) -> String {
        match self.child.wait().await {
            Ok(status) => status.to_string(),
            Err(error) => error.to_string(),
        }
    }

    /// Ends it, and all that it started: its standard input is closed already, then comes SIGTERM, then SIGKILL.
    pub async fn end(mut self) {
        if tokio::time::timeout(END_PATIENCE, self.child.wait()).await.is_ok() {
            return;
        }
        self.signal(Signal::TERM);
        if tokio::time::timeout(END_PATIENCE, self.child.wait()).await.is_ok() {
            return;
        }
        self.signal(Signal::KILL);
        // It is gone; this only reaps it.
        let _ = tokio::time::timeout(END_PATIENCE, self.child.wait()).await;
    }

    fn signal(&self, signal: Signal) {
        if let Some(group) = self.group {
            // Nobody may be left in the group.
            let _ = kill_process_group(group, signal);
        }
    }
}

impl Drop for Process {
    /// Whatever is left of its group ends now.
    fn drop(&mut self) {
        self.signal(Signal::KILL);
    }
}

fn command(run: &[String], guard: Option<&Path>) -> Command {
    let Some(guard) = guard else {
        let mut command = Command::new(run.first().map_or("", String::as_str));
        command.args(run.iter().skip(1));
        return command;
    };
    let mut command = Command::new(guard);
    command.arg("guard").arg(std::process::id().to_string()).arg("--").args(run);
    command
}

fn environment(settings: &Settings) -> Result<Vec<(String, String)>, UpstreamError> {
    let variable = |name: &str| std::env::var(name).ok();
    let kept = KEPT_VARIABLES.iter().copied().chain(settings.pass_env.iter().map(String::as_str));
    let mut all: Vec<(String, String)> =
        kept.filter_map(|name| Some((name.to_owned(), variable(name)?))).collect();
    for (name, value) in &settings.env {
        let value = expand(value, variable).map_err(|name| UpstreamError::Variable { name })?;
        all.push((name.clone(), value));
    }
    Ok(all)
}

/// Writes what a program says on standard error into our log, line by line, and cuts long ones.
async fn log(server: String, mut stderr: ChildStderr) {
    let mut line = Vec::new();
    let mut piece = [0; 4096];
    while let Some(read) = read_some(&mut stderr, &mut piece).await {
        for byte in &piece[..read] {
            if *byte == b'\n' {
                tracing::info!(server, line = ?String::from_utf8_lossy(&line), "a server of tools says");
                line.clear();
            } else if line.len() < MAX_LINE_BYTES {
                line.push(*byte);
            }
        }
    }
}

async fn read_some(from: &mut (impl AsyncRead + Unpin), piece: &mut [u8]) -> Option<usize> {
    from.read(piece).await.ok().filter(|read| *read > 0)
}
