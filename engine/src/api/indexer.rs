use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use super::engine::Engine;
use super::error::{Error, Result};
use super::workspace::OpenWorkspace;
use crate::id::WorkspaceName;
use crate::ingest::{self, Background, IngestError, Watcher};

/// Waiting signals at most; a workspace that is already waiting needs no second one.
const MAX_SIGNALS: usize = 64;
/// How often merged segments are taken up while nothing else happens.
const REFRESH: Duration = Duration::from_secs(5);

/// Keeps every workspace's index up to its files: one thread, which the watchers wake.
///
/// A change interrupts the embedding of others between two slices, so that its words are searchable at once. Embedding itself goes as
/// [`Background`] says.
pub struct Indexer {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

/// What wakes the thread.
enum Signal {
    /// Something moved in a workspace's folder: look at its tree.
    Seen(WorkspaceName),
    /// Waypost itself wrote, and made an entry in the journal; or the workspace came or went.
    Written(WorkspaceName),
    /// Time to end.
    End,
}

struct Shared {
    signals: SyncSender<Signal>,
    interrupted: AtomicBool,
    /// A signal found no room: everything is to be looked at.
    overflown: AtomicBool,
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
            overflown: AtomicBool::new(false),
            ended: AtomicBool::new(false),
            warnings: Mutex::new(Vec::new()),
        });
        let told = Arc::clone(&shared);
        engine.set_waker(Box::new(move |name| told.signal(Signal::Written(name.clone()))));
        let (worker_engine, worker_shared) = (Arc::clone(engine), Arc::clone(&shared));
        let thread = std::thread::spawn(move || Worker::new(worker_engine, worker_shared).work(&received));
        Self { shared, thread: Some(thread) }
    }

    /// Asks for a look at one workspace; returns at once.
    pub fn wake(&self, name: &WorkspaceName) {
        self.shared.signal(Signal::Seen(name.clone()));
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
        // A full queue wakes the thread as well.
        let _ = self.shared.signals.try_send(Signal::End);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Shared {
    fn signal(&self, signal: Signal) {
        self.interrupted.store(true, Ordering::Relaxed);
        match self.signals.try_send(signal) {
            Ok(()) | Err(TrySendError::Disconnected(_)) => {}
            Err(TrySendError::Full(_)) => self.overflown.store(true, Ordering::Relaxed),
        }
    }

    fn warn(&self, line: String) {
        let mut warnings = self.warnings.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        if !warnings.contains(&line) && warnings.len() < MAX_SIGNALS {
            warnings.push(line);
        }
    }
}

/// The thread's own: who watches what, and what is to do.
struct Worker {
    engine: Arc<Engine>,
    shared: Arc<Shared>,
    watchers: BTreeMap<WorkspaceName, (PathBuf, Watcher)>,
    /// Trees to look at.
    dirty: BTreeSet<WorkspaceName>,
    /// Journals to read.
    behind: BTreeSet<WorkspaceName>,
    /// Chunks to embed.
    unfinished: BTreeSet<WorkspaceName>,
    background: Background,
}

impl Worker {
    fn new(engine: Arc<Engine>, shared: Arc<Shared>) -> Self {
        Self {
            background: Background::new(engine.background.clone()),
            engine,
            shared,
            watchers: BTreeMap::new(),
            dirty: BTreeSet::new(),
            behind: BTreeSet::new(),
            unfinished: BTreeSet::new(),
        }
    }

    fn work(mut self, signals: &Receiver<Signal>) {
        self.watch_all();
        while !self.shared.ended.load(Ordering::Relaxed) {
            if self.dirty.is_empty() && self.behind.is_empty() && self.unfinished.is_empty() {
                self.wait(signals);
            }
            self.shared.interrupted.store(false, Ordering::Relaxed);
            signals.try_iter().for_each(|signal| self.take(signal));
            if self.shared.overflown.swap(false, Ordering::Relaxed) {
                self.dirty.extend(self.engine.workspace_names());
            }
            self.watch_all();
            for name in std::mem::take(&mut self.behind) {
                self.each(name, |worker, workspace| read(&worker.engine, &worker.shared, workspace));
            }
            for name in std::mem::take(&mut self.dirty) {
                self.each(name, |worker, workspace| look(&worker.engine, &worker.shared, workspace));
            }
            let rests = if self.unfinished.is_empty() { None } else { self.background.rests() };
            let has_to_wait = rests.is_some();
            self.engine.rest(rests);
            if has_to_wait {
                self.wait(signals);
            } else if let Some(name) = self.unfinished.pop_first()
                && let Some(workspace) = self.engine.workspace(&name)
            {
                match self.embed(&workspace) {
                    Err(Error::Ingest(IngestError::Cancelled)) => drop(self.unfinished.insert(name)),
                    done => note(&self.shared, &name, done),
                }
            }
        }
    }

    /// Waits for a signal, and looks after what needs none.
    fn wait(&mut self, signals: &Receiver<Signal>) {
        match signals.recv_timeout(REFRESH) {
            Ok(signal) => self.take(signal),
            Err(RecvTimeoutError::Timeout) => {
                if let Err(error) = self.engine.reopen() {
                    self.shared.warn(error.to_string());
                }
                refresh(&self.engine, &self.shared);
            }
            Err(RecvTimeoutError::Disconnected) => self.shared.ended.store(true, Ordering::Relaxed),
        }
    }

    fn embed(&self, workspace: &OpenWorkspace) -> Result<()> {
        if !workspace.row.intelligence {
            return Ok(());
        }
        let Self { engine, shared, background, .. } = self;
        background.run(|| {
            let context = engine.context(workspace, &shared.interrupted);
            // What has to rest ends between two slices, and begins again where it was.
            let mut look_up = |_| {
                if background.rests().is_some() {
                    shared.interrupted.store(true, Ordering::Relaxed);
                }
            };
            ingest::catch_up_semantic(&context, &mut look_up)
        })?;
        workspace.notify();
        Ok(())
    }

    fn take(&mut self, signal: Signal) {
        match signal {
            Signal::Seen(name) => drop(self.dirty.insert(name)),
            Signal::Written(name) => drop(self.behind.insert(name)),
            Signal::End => {}
        }
    }

    fn each(&mut self, name: WorkspaceName, act: impl Fn(&Self, &OpenWorkspace) -> Result<()>) {
        if let Some(workspace) = self.engine.workspace(&name) {
            note(&self.shared, &name, act(self, &workspace));
            self.unfinished.insert(name);
        }
    }

    /// One watcher for each open workspace; one that is new is looked at first.
    fn watch_all(&mut self) {
        let open = self.engine.open_workspaces();
        self.watchers.retain(|name, (root, _)| {
            open.iter().any(|workspace| workspace.row.name == *name && workspace.row.root == *root)
        });
        for workspace in open {
            let name = workspace.row.name.clone();
            if self.watchers.contains_key(&name) {
                continue;
            }
            let (told, engine) = (Arc::clone(&self.shared), Arc::downgrade(&self.engine));
            let watched = name.clone();
            let is_news = move |paths: &[PathBuf]| {
                engine.upgrade().is_some_and(|engine| paths.iter().any(|path| engine.is_news(&watched, path)))
            };
            let signalled = name.clone();
            let (watcher, warning) = Watcher::start(
                workspace.tree.root(),
                Box::new(is_news),
                Box::new(move || told.signal(Signal::Seen(signalled.clone()))),
            );
            if let Some(warning) = warning {
                tracing::warn!(workspace = %name, warning, "no events from the file system");
                self.shared.warn(format!("{name}: looked at every 30 s only: {warning}"));
            }
            self.watchers.insert(name.clone(), (workspace.row.root.clone(), watcher));
            self.dirty.insert(name);
        }
    }
}

/// Reads what the journal has, for a workspace that Waypost itself wrote to.
fn read(engine: &Engine, shared: &Shared, workspace: &OpenWorkspace) -> Result<()> {
    if !workspace.row.intelligence {
        return Ok(());
    }
    let context = engine.context(workspace, &shared.ended);
    ingest::catch_up_lexical(&context, &mut |_| {})?;
    workspace.notify();
    Ok(())
}

fn look(engine: &Engine, shared: &Shared, workspace: &OpenWorkspace) -> Result<()> {
    let context = engine.context(workspace, &shared.ended);
    workspace.note_left_out(&ingest::scan(&context, &mut |_| {})?.skipped);
    read(engine, shared, workspace)
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
