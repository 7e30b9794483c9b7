use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, Weak};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::engine::Engine;
use super::error::{Error, Result};
use super::workspace::OpenWorkspace;
use crate::id::WorkspaceName;
use crate::ingest::{self, Background, CHUNKS_PER_SLICE, IngestError, Turns, Watcher};

/// Warnings kept at most.
const MAX_WARNINGS: usize = 64;
/// A turn of embedding ends after so long; what comes new is heard after each slice.
const TURN: Duration = Duration::from_secs(10);
/// How often merged segments are taken up, and folders looked for that came, went or were replaced; after [`TURN`] at the
/// latest, whatever else happens.
const REFRESH: Duration = Duration::from_secs(5);

/// Keeps every workspace's index up to its files: one thread, which the watchers wake.
///
/// Words go before vectors, and no workspace before the others: of each that is behind one batch is read, of each tree one
/// look is taken, and embedding goes by [`Turns`]. A change ends the turn of others after the slice that is under way, so that it
/// is searchable at once by both arms, whatever else is embedded. How hard embedding works is what [`Background`] says.
pub struct Indexer {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

/// What the thread is told, each workspace once, however often it is named.
#[derive(Default)]
struct News {
    /// Something moved in their folders: look at the trees.
    seen: BTreeSet<WorkspaceName>,
    /// Waypost itself wrote, and made entries in the journal; or the workspace came or went.
    written: BTreeSet<WorkspaceName>,
}

#[derive(Default)]
struct Shared {
    news: Mutex<News>,
    /// There is news, or it is time to end.
    told: Condvar,
    /// Somebody waits: a turn of embedding ends after its slice.
    called: AtomicBool,
    /// What is under way ends.
    halted: AtomicBool,
    ended: AtomicBool,
    warnings: Mutex<Vec<String>>,
}

impl Indexer {
    /// Starts the thread and a watcher per workspace; every workspace is looked at first.
    pub fn start(engine: &Arc<Engine>) -> Self {
        let shared = Arc::new(Shared::default());
        let told = Arc::clone(&shared);
        engine.set_waker(Box::new(move |name| told.tell(|news| &mut news.written, name)));
        let (worker_engine, worker_shared) = (Arc::clone(engine), Arc::clone(&shared));
        let thread = std::thread::spawn(move || Worker::new(worker_engine, worker_shared).work());
        Self { shared, thread: Some(thread) }
    }

    /// Asks for a look at one workspace; returns at once.
    pub fn wake(&self, name: &WorkspaceName) {
        self.shared.tell(|news| &mut news.seen, name);
    }

    /// What does not work as it should, for an operator.
    pub fn warnings(&self) -> Vec<String> {
        self.shared.warnings.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).clone()
    }
}

impl Drop for Indexer {
    fn drop(&mut self) {
        self.shared.end();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Shared {
    /// Ends what is under way.
    fn halt(&self) {
        self.halted.store(true, Ordering::SeqCst);
    }

    /// The flag of what begins now.
    fn begin(&self) -> &AtomicBool {
        self.halted.store(false, Ordering::SeqCst);
        // Looked at afterwards: an end that comes in between is not undone.
        if self.ended.load(Ordering::SeqCst) {
            self.halt();
        }
        &self.halted
    }

    /// Whether whatever embeds has to make room.
    fn is_called(&self) -> bool {
        self.called.load(Ordering::SeqCst) || self.ended.load(Ordering::SeqCst)
    }

    fn news(&self) -> MutexGuard<'_, News> {
        self.news.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// Tells of one workspace.
    fn tell(&self, what: impl FnOnce(&mut News) -> &mut BTreeSet<WorkspaceName>, name: &WorkspaceName) {
        let mut news = self.news();
        let names = what(&mut news);
        if !names.contains(name) {
            names.insert(name.clone());
        }
        self.called.store(true, Ordering::SeqCst);
        self.told.notify_one();
    }

    /// What was told since the last time. Taking it answers the call, too.
    fn take_news(&self) -> News {
        let mut news = self.news();
        self.called.store(false, Ordering::SeqCst);
        std::mem::take(&mut *news)
    }

    /// Waits until there is news, for so long, or until it is time to end.
    fn wait(&self, patience: Duration) {
        let is_quiet = |news: &mut News| {
            news.seen.is_empty() && news.written.is_empty() && !self.ended.load(Ordering::SeqCst)
        };
        drop(self.told.wait_timeout_while(self.news(), patience, is_quiet));
    }

    /// Ends the thread after what it can't break off.
    fn end(&self) {
        let _news = self.news();
        self.ended.store(true, Ordering::SeqCst);
        self.halt();
        self.told.notify_one();
    }

    fn warn(&self, line: String) {
        let mut warnings = self.warnings.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        if !warnings.contains(&line) && warnings.len() < MAX_WARNINGS {
            warnings.push(line);
        }
    }
}

/// The thread's own: who watches what, and what is to do.
struct Worker {
    engine: Arc<Engine>,
    shared: Arc<Shared>,
    /// Each with what it watches: a workspace that is opened anew may stand in another folder of the same name.
    watchers: BTreeMap<WorkspaceName, (Weak<OpenWorkspace>, Watcher)>,
    /// Trees to look at, in their order.
    dirty: VecDeque<WorkspaceName>,
    /// Trees to look at once what gives no signal has been looked after again: they could not be looked at.
    late: BTreeSet<WorkspaceName>,
    /// Journals to read.
    behind: BTreeSet<WorkspaceName>,
    /// Chunks to embed.
    turns: Turns,
    background: Background,
    looked_after: Instant,
}

impl Worker {
    fn new(engine: Arc<Engine>, shared: Arc<Shared>) -> Self {
        Self {
            background: Background::new(engine.background.clone()),
            engine,
            shared,
            watchers: BTreeMap::new(),
            dirty: VecDeque::new(),
            late: BTreeSet::new(),
            behind: BTreeSet::new(),
            turns: Turns::default(),
            looked_after: Instant::now(),
        }
    }

    fn work(mut self) {
        self.watch_all();
        while !self.shared.ended.load(Ordering::Relaxed) {
            if !self.words_wait() && self.turns.is_empty() {
                self.wait();
            }
            if self.looked_after.elapsed() >= REFRESH {
                self.look_after();
                std::mem::take(&mut self.late).into_iter().for_each(|name| self.see(name));
            }
            let News { seen, written } = self.shared.take_news();
            seen.into_iter().for_each(|name| self.see(name));
            self.behind.extend(written);
            self.watch_all();
            for name in std::mem::take(&mut self.behind) {
                self.read(name);
            }
            if let Some(name) = self.dirty.pop_front() {
                self.look(name);
            }
            let rests = if self.turns.is_empty() { None } else { self.background.rests() };
            let has_to_wait = rests.is_some();
            self.engine.rest(rests);
            if !has_to_wait {
                self.take_turn();
            } else if !self.words_wait() {
                self.wait();
            }
        }
    }

    /// Whether something waits to be found by its words.
    fn words_wait(&self) -> bool {
        !self.dirty.is_empty() || !self.behind.is_empty()
    }

    /// Embeds for whoever is next; while words wait only what is done in a moment.
    fn take_turn(&mut self) {
        let most = if self.words_wait() { CHUNKS_PER_SLICE as u64 } else { u64::MAX };
        let engine = &self.engine;
        let load = |name: &WorkspaceName| match engine.workspace(name) {
            Some(workspace) => Some(n_bare(&workspace)).filter(|n_bare| *n_bare <= most),
            None => Some(0),
        };
        let Some(name) = self.turns.next(load) else { return };
        let Some(workspace) = self.engine.workspace(&name) else { return };
        let begun = Instant::now();
        let done = self.embed(&workspace);
        self.turns.took(&name, begun.elapsed());
        match done {
            Err(Error::Ingest(IngestError::Cancelled)) => self.turns.join(name),
            done => note(&self.shared, &name, done),
        }
    }

    /// Looks after what gives no signal.
    fn look_after(&mut self) {
        if let Err(error) = self.engine.reopen() {
            self.shared.warn(error.to_string());
        }
        refresh(&self.engine, &self.shared);
        self.looked_after = Instant::now();
    }

    /// The workspace of a name in the folder that is there now; `None` where that is another one, or gone, and is looked after
    /// first.
    fn current(&mut self, name: &WorkspaceName) -> Option<Arc<OpenWorkspace>> {
        let workspace = self.engine.workspace(name)?;
        if workspace.tree.is_current() {
            return Some(workspace);
        }
        // It can be opened anew only where nobody holds it.
        drop(workspace);
        self.look_after();
        // Where somebody held it, what was to be done is done later.
        if self.engine.workspace(name).is_some() {
            self.late.insert(name.clone());
        }
        None
    }

    /// Waits for news, until it is time to look after what gives none.
    fn wait(&self) {
        self.shared.wait(REFRESH.saturating_sub(self.looked_after.elapsed()));
    }

    fn embed(&self, workspace: &OpenWorkspace) -> Result<()> {
        if !workspace.row.intelligence {
            return Ok(());
        }
        let Self { engine, shared, background, .. } = self;
        let done = background.run(|| {
            let context = engine.context(workspace, shared.begin());
            let begun = Instant::now();
            // A turn ends after a slice and never before its first one, so that each brings something on.
            let mut look_up = |_| {
                if is_over(begun.elapsed(), shared.is_called(), background.rests().is_some()) {
                    shared.halt();
                }
            };
            ingest::catch_up_semantic(&context, &mut look_up)
        });
        workspace.notify();
        done?;
        Ok(())
    }

    /// Lets a tree wait for a look.
    fn see(&mut self, name: WorkspaceName) {
        if !self.dirty.contains(&name) {
            self.dirty.push_back(name);
        }
    }

    /// Looks at a tree; what it found is read next.
    fn look(&mut self, name: WorkspaceName) {
        let Some(workspace) = self.current(&name) else { return };
        let seen = ingest::scan(&self.engine.context(&workspace, self.shared.begin()), &mut |_| {});
        if matches!(seen, Err(IngestError::Cancelled)) {
            // The workspace was to end, and may stay after all.
            self.late.insert(name.clone());
        }
        let seen = seen.map(|report| workspace.note_left_out(&report.skipped));
        note(&self.shared, &name, seen.map_err(Error::from));
        self.behind.insert(name);
    }

    /// Reads one batch of what the journal has of a workspace.
    fn read(&mut self, name: WorkspaceName) {
        let Some(workspace) = self.current(&name) else { return };
        if !workspace.row.intelligence {
            return;
        }
        let shared = &self.shared;
        let context = self.engine.context(&workspace, shared.begin());
        // Where that was the last one, it is not broken off.
        let mut look_up = |_| shared.halt();
        let read = ingest::catch_up_lexical(&context, &mut look_up);
        workspace.notify();
        self.turns.join(name.clone());
        match read {
            Err(IngestError::Cancelled) => drop(self.behind.insert(name)),
            read => note(shared, &name, read.map(drop).map_err(Error::from)),
        }
    }

    /// One watcher for each open workspace; one that is new is looked at first.
    fn watch_all(&mut self) {
        let open = self.engine.open_workspaces();
        self.watchers.retain(|_, (watched, _)| watched.strong_count() > 0);
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
                Box::new(move || told.tell(|news| &mut news.seen, &signalled)),
            );
            if let Some(warning) = warning {
                tracing::warn!(workspace = %name, warning, "no events from the file system");
                self.shared.warn(format!("{name}: looked at every 30 s only: {warning}"));
            }
            self.watchers.insert(name.clone(), (Arc::downgrade(&workspace), watcher));
            self.see(name);
        }
    }
}

/// Whether a turn of embedding ends after the slice that was done: somebody calls, the machine is to rest, or it took long
/// enough, whether others wait or not, for what gives no signal is looked after between turns.
fn is_over(took: Duration, is_called: bool, rests: bool) -> bool {
    is_called || rests || took > TURN
}

/// Chunks of a workspace that have no vector.
fn n_bare(workspace: &OpenWorkspace) -> u64 {
    let searcher = workspace.index.searcher();
    searcher.n_chunks().saturating_sub(searcher.n_vectors())
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_turn_ends_by_a_call_by_rest_or_by_time_alone() {
        assert!(!is_over(Duration::ZERO, false, false));
        assert!(!is_over(TURN, false, false));
        assert!(is_over(TURN + Duration::from_millis(1), false, false));
        assert!(is_over(Duration::ZERO, true, false));
        assert!(is_over(Duration::ZERO, false, true));
    }
}
