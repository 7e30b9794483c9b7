//! The workers of a process: a few, used for one file after another, and replaced when they break down.
//!
//! Takes a file, gives what a worker made of it. A worker that ends, hangs or talks nonsense costs the file that it had.

use std::io;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{RecvTimeoutError, sync_channel};
use std::sync::{Condvar, Mutex};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process_group};

use super::wire::{self, Reply, Request};
use super::{ReaderError, Reading, Workers, worker};
use crate::text::{Limits, SkipReason};

/// Files of one worker: what its readers leak does not pile up.
const MAX_FILES: usize = 100;

/// Until what a worker answered before it was told everything counts as nonsense.
const GRACE: Duration = Duration::from_secs(1);

/// Workers that wait for work, and how many there are.
#[derive(Default)]
struct Desk {
    idle: Vec<Worker>,
    n_busy: usize,
}

/// A few workers.
pub struct Pool {
    workers: Workers,
    desk: Mutex<Desk>,
    freed: Condvar,
    peak_bytes: AtomicU64,
}

/// How an exchange with a worker ended.
enum Outcome {
    Replied(Reply),
    /// It ended, or said what nobody understands.
    Broke(String),
    TimedOut,
}

impl Pool {
    /// Starts nobody yet.
    pub fn new(workers: Workers) -> Self {
        Self { workers, desk: Mutex::default(), freed: Condvar::new(), peak_bytes: AtomicU64::new(0) }
    }

    /// Reads a file; waits until a worker is free.
    ///
    /// # Errors
    /// [`ReaderError::Start`] where none can be started.
    pub fn read(&self, name: &str, bytes: &[u8], limits: &Limits) -> Result<Reading, ReaderError> {
        let idle = self.take();
        let outcome = self.read_by(idle, name, bytes, limits);
        let mut desk = self.desk.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        desk.n_busy -= 1;
        let reading = outcome.map(|(reading, worker)| {
            desk.idle.extend(worker);
            reading
        });
        drop(desk);
        self.freed.notify_one();
        reading
    }

    /// The most memory that a worker had which answered, in bytes.
    pub fn peak_bytes(&self) -> u64 {
        self.peak_bytes.load(Ordering::Relaxed)
    }

    /// A place among the workers, with one that waits for work where there is one.
    fn take(&self) -> Option<Worker> {
        let mut desk = self.desk.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        while desk.n_busy >= self.workers.n_workers.max(1) {
            desk = self.freed.wait(desk).unwrap_or_else(|poisoned| poisoned.into_inner());
        }
        desk.n_busy += 1;
        desk.idle.pop()
    }

    fn read_by(
        &self,
        idle: Option<Worker>,
        name: &str,
        bytes: &[u8],
        limits: &Limits,
    ) -> Result<(Reading, Option<Worker>), ReaderError> {
        let patience = self.workers.patience;
        let request =
            Request { name: name.to_owned(), limits: limits.clone(), cpu_seconds: patience.as_secs().max(1) };
        let was_used = idle.is_some();
        let mut worker = match idle {
            Some(worker) => worker,
            None => Worker::start(&self.workers)?,
        };
        let begun = Instant::now();
        let mut outcome = worker.exchange(&request, bytes, patience);
        // One that was used before may have broken down over what an earlier file left behind: a fresh one decides, in the
        // time that is left.
        let left = patience.saturating_sub(begun.elapsed());
        if was_used && matches!(outcome, Outcome::Broke(_)) && !left.is_zero() {
            worker = Worker::start(&self.workers)?;
            match worker.exchange(&request, bytes, left) {
                Outcome::TimedOut => {}
                second => outcome = second,
            }
        }
        let reading = match outcome {
            Outcome::Replied(reply) => {
                self.peak_bytes.fetch_max(reply.peak_bytes, Ordering::Relaxed);
                let is_fit = !reply.is_spent
                    && worker.n_files < MAX_FILES
                    && reply.peak_bytes < worker::MAX_MEMORY_BYTES / 2;
                return Ok((reply.reading, is_fit.then_some(worker)));
            }
            Outcome::Broke(detail) => SkipReason::Crashed { detail },
            Outcome::TimedOut => SkipReason::TimedOut { seconds: patience.as_secs() },
        };
        Ok((Err(reading), None))
    }
}

/// One worker process.
struct Worker {
    child: Child,
    stdin: ChildStdin,
    stdout: ChildStdout,
    n_files: usize,
    /// Whether its end was waited for: from then on its number may be another's.
    is_reaped: bool,
}

impl Worker {
    fn start(workers: &Workers) -> Result<Self, ReaderError> {
        let program = PathBuf::from(workers.command.first().cloned().unwrap_or_default());
        let failed = |source| ReaderError::Start { program: program.clone(), source };
        let mut command = Command::new(&program);
        command.args(workers.command.iter().skip(1));
        // No secret of ours is in its environment. One arena is enough for a thread, and its memory is bounded.
        command.env_clear().env("MALLOC_ARENA_MAX", "1");
        command.process_group(0);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().map_err(failed)?;
        match (child.stdin.take(), child.stdout.take()) {
            (Some(stdin), Some(stdout)) => Ok(Self { child, stdin, stdout, n_files: 0, is_reaped: false }),
            _ => Err(failed(io::Error::other("it has no standard input or output"))),
        }
    }

    fn exchange(&mut self, request: &Request, bytes: &[u8], patience: Duration) -> Outcome {
        self.n_files += 1;
        let (child, stdin, stdout) = (&self.child, &mut self.stdin, &mut self.stdout);
        let (told, replies) = sync_channel(1);
        let (sent, all_sent) = sync_channel(1);
        let received = std::thread::scope(|scope| {
            // A worker that reads nothing would hold up whoever writes, and one that says nothing whoever reads.
            scope.spawn(move || {
                // Nobody waits for it any more once the worker was ended.
                let _ = sent.send(wire::send(stdin, request, bytes).is_ok());
            });
            scope.spawn(move || drop(told.send(wire::reply(stdout))));
            let received = replies.recv_timeout(patience);
            let is_done = matches!(received, Ok(Ok(Some(_))));
            if !is_done || all_sent.recv_timeout(GRACE) != Ok(true) {
                // Ends both threads: the pipes close with the worker.
                kill(child);
            }
            received
        });
        match received {
            Ok(Ok(Some(reply))) => Outcome::Replied(reply),
            Err(RecvTimeoutError::Timeout) => Outcome::TimedOut,
            Ok(Err(error)) if error.kind() != io::ErrorKind::UnexpectedEof => {
                Outcome::Broke(format!("its worker did not make sense: {error}"))
            }
            _ => {
                self.is_reaped = true;
                ended(self.child.wait())
            }
        }
    }
}

/// Ends a worker with all that it may have started.
fn kill(child: &Child) {
    // Fails where nobody is left.
    let _ = kill_process_group(Pid::from_child(child), Signal::KILL);
}

/// What the end of a worker says of the file that it had.
fn ended(status: io::Result<ExitStatus>) -> Outcome {
    use std::os::unix::process::ExitStatusExt;
    let signal = status.as_ref().ok().and_then(ExitStatusExt::signal);
    let name = Signal::from_named_raw;
    match signal.and_then(name) {
        Some(Signal::XCPU) => Outcome::TimedOut,
        Some(Signal::ABORT) => Outcome::Broke("its worker aborted, perhaps for want of memory".to_owned()),
        Some(Signal::SEGV | Signal::BUS) => {
            Outcome::Broke("its worker ran out of stack, or touched memory that is not its own".to_owned())
        }
        _ => Outcome::Broke(match status {
            Ok(status) => format!("its worker ended ({status})"),
            Err(error) => format!("its worker ended ({error})"),
        }),
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        // One that is idle has nothing to finish.
        if !self.is_reaped {
            kill(&self.child);
            let _ = self.child.wait();
        }
    }
}
