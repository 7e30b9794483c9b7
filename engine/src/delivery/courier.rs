use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::ledger::{Entry, Place};
use super::line::{Line, Posted};
use super::office::{Counter, Office};
use super::records::{self, Delivery, DeliveryState};
use super::schedule::Schedule;
use super::secret::Secret;
use super::sender::STUCK;
use super::{DeliveryError, Endpoint, endpoints};
use crate::catalog::Catalog;
use crate::clock::Clock;
use crate::id::{RelPath, WorkspaceId, WorkspaceName, fold, join_path};
use crate::journal::{self, Event, EventKind};
use crate::net::Client;

/// Events read from the journal at once.
const READ_AT_ONCE: usize = 256;
/// Deliveries that arrived are forgotten after a week, dead letters after 30 days.
const KEPT_MS: (i64, i64) = (7 * 24 * 3600 * 1000, 30 * 24 * 3600 * 1000);
/// How often that is looked at.
const PRUNE_EVERY: Duration = Duration::from_secs(3600);
/// The reader looks at least so often.
const READER_PATIENCE: Duration = Duration::from_secs(10);

/// What is sent.
pub struct Letter {
    /// The event's id: the same in every attempt.
    pub id: String,
    /// Of the body.
    pub content_type: &'static str,
    /// The event.
    pub body: Vec<u8>,
    /// The secrets that are valid now, the newest first.
    pub secrets: Vec<Secret>,
    /// `traceparent` (W3C Trace Context), where the event belongs to a trace of that kind.
    pub traceparent: Option<String>,
}

/// Writes letters, by the rights that an endpoint's owner has at that moment.
pub trait Scribe: Send + Sync {
    /// The letter, or `None` where the owner may not be told.
    ///
    /// # Errors
    /// Where that can't be decided now.
    fn write(&self, endpoint: &Endpoint, event: &Event)
    -> Result<Option<Letter>, Box<dyn std::error::Error>>;

    /// A workspace's name; `None` once it is gone.
    fn name_of(&self, workspace: WorkspaceId) -> Option<WorkspaceName>;
}

/// The threads that bring events. They end when it goes.
pub struct Courier {
    post: Arc<Post>,
    threads: Vec<JoinHandle<()>>,
}

/// What a courier works with.
pub struct Post {
    /// Where it waits.
    pub office: Arc<Office>,
    /// Journal, endpoints and deliveries.
    pub catalog: Arc<Catalog>,
    /// Who writes the letters.
    pub scribe: Box<dyn Scribe>,
    /// The way out.
    pub client: Client,
    /// How patient it is.
    pub schedule: Schedule,
    /// The time.
    pub clock: Clock,
}

impl Courier {
    /// Starts them.
    pub fn start(post: Post) -> Self {
        post.office.lock().ended = false;
        post.office.endpoints_changed();
        let post = Arc::new(post);
        let (reader, writer) = (Arc::clone(&post), Arc::clone(&post));
        let threads =
            vec![std::thread::spawn(move || reader.read()), std::thread::spawn(move || writer.write_down())];
        Self { post, threads }
    }
}

impl Drop for Courier {
    fn drop(&mut self) {
        let office = &self.post.office;
        office.lock().ended = true;
        office.bell.tell();
        for condvar in [&office.for_sender, &office.for_ledger, &office.written] {
            condvar.notify_all();
        }
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
        // Those who send end with what they send, which has a deadline of its own; they own nothing that others wait for.
        office.lock().lines.clear();
    }
}

impl Post {
    fn read(self: &Arc<Self>) {
        let mut pruned: Option<Instant> = None;
        loop {
            let rung = self.office.bell.count();
            if self.take_changes() {
                return;
            }
            if pruned.is_none_or(|last| last.elapsed() >= PRUNE_EVERY) {
                pruned = Some(Instant::now());
                self.prune();
            }
            match self.read_some() {
                Ok(true) => {}
                Ok(false) => self.wait_beyond(rung),
                Err(error) => {
                    tracing::warn!(%error, "the journal can't be read for webhooks; it is tried again");
                    self.wait_beyond(rung);
                }
            }
        }
    }

    /// Takes up what changed about endpoints; whether it is time to end.
    fn take_changes(&self) -> bool {
        {
            let mut state = self.office.lock();
            if state.ended {
                return true;
            }
            if !std::mem::take(&mut state.endpoints_changed) {
                return false;
            }
        }
        if let Err(error) = self.reload() {
            tracing::warn!(%error, "the webhooks can't be read; it is tried again");
            self.office.lock().endpoints_changed = true;
        }
        false
    }

    fn reload(&self) -> Result<(), DeliveryError> {
        // Their places must be those of today before a line is built on them.
        self.office.barrier();
        let rows = endpoints(&self.catalog)?;
        let active: BTreeMap<String, Endpoint> = rows
            .into_iter()
            .filter(Endpoint::is_active)
            .map(|endpoint| (endpoint.id.clone(), endpoint))
            .collect();
        self.office.lock().lines.retain(|id, _| active.contains_key(id));
        for (id, endpoint) in active {
            let mut state = self.office.lock();
            if let Some(counter) = state.lines.get_mut(&id) {
                counter.endpoint = Arc::new(endpoint);
                continue;
            }
            drop(state);
            let counter = self.open(endpoint)?;
            self.office.lock().lines.insert(id, counter);
        }
        self.office.for_sender.notify_one();
        Ok(())
    }

    fn open(&self, endpoint: Endpoint) -> Result<Counter, DeliveryError> {
        static GENERATIONS: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(0);
        let known = records::known_after(&self.catalog, &endpoint.id, endpoint.cursor)?;
        let heads = records::heads(&self.catalog, &endpoint.id)?;
        let line = Line::new(endpoint.cursor, known, heads);
        let failing_since_ms = endpoint.failing_since_ms;
        let written = Place { webhook: endpoint.id.clone(), cursor: endpoint.cursor, failing_since_ms };
        Ok(Counter {
            endpoint: Arc::new(endpoint),
            line,
            generation: GENERATIONS.fetch_add(1, std::sync::atomic::Ordering::Relaxed),
            read_at: None,
            failing_since_ms,
            written,
        })
    }

    /// Reads on for those who are furthest behind; `false` where nobody wants more.
    fn read_some(self: &Arc<Self>) -> Result<bool, DeliveryError> {
        let n_grown = self.office.n_grown.load(Ordering::SeqCst);
        let is_hungry = |counter: &&Counter| counter.is_hungry(n_grown);
        let cursor = {
            let state = self.office.lock();
            state.lines.values().filter(is_hungry).map(|counter| counter.line.read_up_to()).min()
        };
        let Some(cursor) = cursor else { return Ok(false) };
        let events = journal::events_after(&self.catalog, cursor, READ_AT_ONCE)?;
        let is_end = events.len() < READ_AT_ONCE;
        let posted: Vec<Arc<Posted>> = events.into_iter().map(|event| Arc::new(self.posted(event))).collect();
        let mut state = self.office.lock();
        let state = &mut *state;
        let mut spilled = Vec::new();
        for counter in state.lines.values_mut().filter(|counter| counter.line.read_up_to() == cursor) {
            let mut took_all = true;
            for posted in &posted {
                if !counter.line.wants_more() {
                    took_all = false;
                    break;
                }
                let wanted = counter.endpoint.filter.may_pass(&posted.event.kind, posted.path());
                for posted in counter.line.offer(posted, wanted) {
                    spilled.push(Entry::Delivery(Box::new(fresh(&counter.endpoint.id, &posted))));
                }
            }
            if is_end && took_all {
                counter.read_at = Some(n_grown);
            }
        }
        self.enter(state, spilled);
        if state.has_moved() {
            self.office.for_ledger.notify_one();
        }
        self.call_senders(state);
        Ok(true)
    }

    fn posted(&self, event: Event) -> Posted {
        let name = self.scribe.name_of(event.workspace);
        let path = name.zip(RelPath::new(&event.path).ok()).map(|(name, path)| join_path(&name, &path));
        let path = path.map_or_else(String::new, |path| fold(&path));
        let also = kept_with(&event).filter(|also| *also != path);
        Posted { event, keys: std::iter::once(path).chain(also).collect() }
    }

    /// Waits until the bell rings again, or something is due.
    fn wait_beyond(self: &Arc<Self>, rung: u64) {
        let wakes_at = {
            let mut state = self.office.lock();
            self.call_senders(&mut state);
            state.lines.values().filter_map(|counter| counter.line.wakes_at()).min()
        };
        let left = wakes_at.map_or(READER_PATIENCE, |at_ms| {
            // What is due now and not taken yet may need a further sender.
            Duration::from_millis(u64::try_from(at_ms - self.clock.now_ms()).unwrap_or(0)).max(STUCK)
        });
        self.office.bell.wait_beyond(rung, Instant::now() + left.min(READER_PATIENCE));
    }

    fn prune(&self) {
        let now_ms = self.clock.now_ms();
        let pruned = self.catalog.write(|tx| tx.prune_deliveries(now_ms - KEPT_MS.0, now_ms - KEPT_MS.1));
        if let Err(error) = pruned {
            tracing::warn!(%error, "old deliveries can't be forgotten now");
        }
    }
}

/// What else than its path an event keeps its order with: the path that a file came from, or the task that it is about,
/// whose file moves from folder to folder.
fn kept_with(event: &Event) -> Option<String> {
    if let Some(from) = &event.other_path {
        return Some(fold(from));
    }
    let is_of_task = event.kind.starts_with("task.") || event.kind == EventKind::AgentDispatched.as_str();
    let data = event.data.as_deref().filter(|_| is_of_task)?;
    let data: serde_json::Value = serde_json::from_str(data).ok()?;
    Some(format!("task {}", data["task_id"].as_str()?))
}

/// A delivery that was not tried yet.
pub(super) fn fresh(webhook: &str, posted: &Posted) -> Delivery {
    Delivery {
        webhook: webhook.to_owned(),
        seq: posted.event.seq,
        path: posted.path().to_owned(),
        also: posted.keys.get(1).cloned(),
        state: DeliveryState::Pending,
        attempts: 0,
        due_ms: 0,
        log: Vec::new(),
        updated_ms: posted.event.occurred_ms,
    }
}
