use std::path::{Path, PathBuf};
use std::sync::mpsc::{RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use notify::{EventKind, RecursiveMode, Watcher as _};

use crate::id::is_private_name;

/// A burst of changes, such as an editor's save by rename, counts as one once it is quiet for this long.
const QUIET: Duration = Duration::from_millis(120);
/// A burst that never ends is looked at all the same after this long.
const PATIENCE: Duration = Duration::from_millis(600);
/// The tree is looked at even without an event: some file systems send none.
const RESCAN: Duration = Duration::from_secs(30);

/// Whether anything about some paths, below the root, is not known yet.
pub type IsNews = Box<dyn Fn(&[PathBuf]) -> bool + Send>;
/// Called after each burst of changes.
pub type OnBurst = Box<dyn FnMut() + Send>;

/// Watches one folder, and calls back after each burst of changes, from a thread of its own.
pub struct Watcher {
    inner: Option<notify::RecommendedWatcher>,
    thread: Option<JoinHandle<()>>,
}

impl Watcher {
    /// Starts watching. The second value says why events can't be had, in which case the folder is looked at
    /// every half minute instead.
    ///
    /// `is_news` says of the paths of an event whether anything about them is not known yet: what Waypost writes itself
    /// makes events, too.
    pub fn start(root: &Path, is_news: IsNews, mut on_burst: OnBurst) -> (Self, Option<String>) {
        // One waiting signal is enough: it stands for any number of changes.
        let (signal, signals) = sync_channel::<()>(1);
        let inner = watch(root, signal.clone(), is_news);
        let (inner, warning) = match inner {
            Ok(inner) => (Some(inner), None),
            Err(error) => (None, Some(error.to_string())),
        };
        // The sender in the watcher keeps the channel open; without a watcher this one would be the last.
        let keep_open = inner.is_none().then_some(signal);
        let thread = std::thread::spawn(move || {
            let _keep_open = keep_open;
            loop {
                match signals.recv_timeout(RESCAN) {
                    Err(RecvTimeoutError::Disconnected) => return,
                    Err(RecvTimeoutError::Timeout) => on_burst(),
                    Ok(()) => {
                        let begun = Instant::now();
                        while begun.elapsed() < PATIENCE && signals.recv_timeout(QUIET).is_ok() {}
                        on_burst();
                    }
                }
            }
        });
        (Self { inner, thread: Some(thread) }, warning)
    }
}

fn watch(root: &Path, signal: SyncSender<()>, is_news: IsNews) -> notify::Result<notify::RecommendedWatcher> {
    let root_for_events = root.to_owned();
    let mut watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
        let matters = match &event {
            Err(_) => true,
            Ok(event) if matches!(event.kind, EventKind::Access(_)) => false,
            Ok(event) => {
                let others: Vec<PathBuf> = event
                    .paths
                    .iter()
                    .filter_map(|path| path.strip_prefix(&root_for_events).ok())
                    .filter(|below| !is_own(below))
                    .map(Path::to_path_buf)
                    .collect();
                event.need_rescan() || (!others.is_empty() && is_news(&others))
            }
        };
        if matters {
            match signal.try_send(()) {
                Ok(()) | Err(TrySendError::Full(())) | Err(TrySendError::Disconnected(())) => {}
            }
        }
    })?;
    watcher.watch(root, RecursiveMode::Recursive)?;
    Ok(watcher)
}

/// Whether a path below the root is none of the workspace's own.
fn is_own(below: &Path) -> bool {
    below.components().any(|part| part.as_os_str().to_str().is_some_and(is_private_name))
}

impl Drop for Watcher {
    fn drop(&mut self) {
        // Dropping the watcher drops the last sender, which ends the thread.
        let watched = self.inner.take().is_some();
        if let Some(thread) = self.thread.take()
            && watched
            && thread.thread().id() != std::thread::current().id()
        {
            let _ = thread.join();
        }
    }
}
