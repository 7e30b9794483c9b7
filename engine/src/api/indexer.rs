use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use super::engine::Engine;
use super::error::{Error, Result};
use super::workspace::OpenWorkspace;
use crate::id::WorkspaceName;
use crate::ingest::{self, IngestError, Watcher};

/// Waiting signals at most; a workspace that is already waiting needs no second one.
const MAX_SIGNALS: usize = 64;
/// How often merged segments are taken up while nothing else happens.
const REFRESH: Duration = Duration::from_secs(5);

/// Keeps every workspace's index up to its files: one thread, which the watchers wake.
///
/// A change interrupts the embedding of others between two slices, so that its words are searchable at once.
pub struct Indexer {
    shared: Arc<Shared>,
    watchers: Mutex<Vec<Watcher>>,
    thread: Option<JoinHandle<()>>,
}

struct Shared {
    /// `None` only wakes the thread.
    signals: SyncSender<Option<WorkspaceName>>,
    interrupted: AtomicBool,
    ended: AtomicBool,
    warnings: Mutex<Vec<String>>,
}

impl Indexer {
    /// Starts the thread and a watcher per workspace; every workspace is looked at first.
    pub fn start(engine: &Arc<Engine>) -> Self {
        let (signals, received) = sync_channel(MAX_SIGNALS);
        let shared = Arc::new(Shared {
            signals,
            interrupted: AtomicBool::new(false),
            ended: AtomicBool::new(false),
            warnings: Mutex::new(Vec::new()),
        });
        let mut watchers = Vec::new();
        for workspace in engine.open_workspaces() {
            let (name, wake) = (workspace.row.name.clone(), Arc::clone(&shared));
            let (watcher, warning) = Watcher::start(workspace.tree.root(), move || wake.signal(&name));
            watchers.push(watcher);
            if let Some(warning) = warning {
                tracing::warn!(workspace = %workspace.row.name, warning, "no events from the file system");
                shared.warn(format!("{}: looked at every 30 s only: {warning}", workspace.row.name));
            }
        }
        let first = engine.workspace_names();
        let (worker_engine, worker_shared) = (Arc::clone(engine), Arc::clone(&shared));
        let thread = std::thread::spawn(move || work(&worker_engine, &worker_shared, &received, first));
        Self { shared, watchers: Mutex::new(watchers), thread: Some(thread) }
    }

    /// Asks for a look at one workspace; returns at once.
    pub fn wake(&self, name: &WorkspaceName) {
        self.shared.signal(name);
    }

    /// What does not work as it should, for an operator.
    pub fn warnings(&self) -> Vec<String> {
        self.shared.warnings.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).clone()
    }
}

impl Drop for Indexer {
    fn drop(&mut self) {
        self.shared.ended.store(true, Ordering::Relaxed);
        self.shared.interrupted.store(true, Ordering::Relaxed);
        self.watchers.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).clear();
        // A full queue wakes the thread as well.
        let _ = self.shared.signals.try_send(None);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Shared {
    fn signal(&self, name: &WorkspaceName) {
        self.interrupted.store(true, Ordering::Relaxed);
        match self.signals.try_send(Some(name.clone())) {
            // A full queue means that the thread will look at everything soon anyway.
            Ok(()) | Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => {}
        }
    }

    fn warn(&self, line: String) {
        let mut warnings = self.warnings.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        if !warnings.contains(&line) && warnings.len() < MAX_SIGNALS {
            warnings.push(line);
        }
    }
}

fn work(
    engine: &Arc<Engine>,
    shared: &Shared,
    signals: &Receiver<Option<WorkspaceName>>,
    first: Vec<WorkspaceName>,
) {
    let mut dirty: BTreeSet<WorkspaceName> = first.into_iter().collect();
    let mut unfinished: BTreeSet<WorkspaceName> = dirty.clone();
    while !shared.ended.load(Ordering::Relaxed) {
        if dirty.is_empty() && unfinished.is_empty() {
            match signals.recv_timeout(REFRESH) {
                Ok(name) => dirty.extend(name),
                Err(RecvTimeoutError::Timeout) => refresh(engine, shared),
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
        shared.interrupted.store(false, Ordering::Relaxed);
        dirty.extend(signals.try_iter().flatten());
        for name in std::mem::take(&mut dirty) {
            if let Some(workspace) = engine.workspace(&name) {
                note(shared, &name, look(engine, shared, &workspace));
                unfinished.insert(name);
            }
        }
        if let Some(name) = unfinished.pop_first()
            && let Some(workspace) = engine.workspace(&name)
        {
            match embed(engine, shared, &workspace) {
                Err(Error::Ingest(IngestError::Cancelled)) => drop(unfinished.insert(name)),
                done => note(shared, &name, done),
            }
        }
    }
}

fn look(engine: &Engine, shared: &Shared, workspace: &OpenWorkspace) -> Result<()> {
    let context = engine.context(workspace, &shared.ended);
    ingest::scan(&context, &mut |_| {})?;
    ingest::catch_up_lexical(&context, &mut |_| {})?;
    workspace.notify();
    Ok(())
}

fn embed(engine: &Engine, shared: &Shared, workspace: &OpenWorkspace) -> Result<()> {
    let context = engine.context(workspace, &shared.interrupted);
    ingest::catch_up_semantic(&context, &mut |_| {})?;
    workspace.notify();
    Ok(())
}

fn refresh(engine: &Engine, shared: &Shared) {
    for workspace in engine.open_workspaces() {
        note(shared, &workspace.row.name, workspace.index.refresh().map_err(Error::from));
    }
}

/// A stage that failed is told once and tried again with the next change.
fn note(shared: &Shared, name: &WorkspaceName, result: Result<()>) {
    match result {
        Ok(()) | Err(Error::Ingest(IngestError::Cancelled)) => {}
        Err(error) => {
            tracing::error!(workspace = %name, %error, "indexing failed");
            shared.warn(format!("{name}: {error}"));
        }
    }
}
