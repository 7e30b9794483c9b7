use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, RwLock};

use super::auditor::Auditor;
use super::check::{self, CheckReport};
use super::error::{Error, Result};
use super::home::{self, HomeLock, Layout};
use super::keys::{self, Keys};
use super::memory::NoteCache;
use super::past::PastCache;
use super::questions::Questions;
use super::reading::StatusCounts;
use super::routing::RouteDesk;
use super::session::Session;
use super::tasks::Desk;
use super::tools::Toolbox;
use super::visible::VisibleCache;
use super::workspace::OpenWorkspace;
use crate::access::{self, ADMIN, AccessError, Actor, IssuedToken, NewToken, Policy, Proven};
use crate::answer::generation::{GenerateSettings, Generators};
use crate::catalog::{Catalog, EmbeddingCache, FileFilter};
use crate::change::Place;
use crate::clock::Clock;
use crate::delivery::{Office, Schedule};
use crate::embed::Embedder;
use crate::id::{RelPath, WorkspaceName, is_ignore_name, is_secrets_name};
use crate::import::Pace;
use crate::index::{ANALYZER_VERSION, FileSet, Fingerprint, INDEX_FORMAT};
use crate::ingest::{self, BackgroundSettings, Context, OnProgress, ScanReport, Semantic};
use crate::journal::News;
use crate::net::{Client, Lookup, Reach};
use crate::reader::{Isolation, Reader};
use crate::route::DEFAULT_MAX_ERROR;
use crate::search::{Reranker, Source};
use crate::store::Blobs;
use crate::text;
use crate::trace;

/// Larger files are noted and not indexed, unless the settings say otherwise.
pub const DEFAULT_MAX_FILE_BYTES: u64 = 32 << 20;
/// Days after which the journal forgets what nobody needs.
pub const DEFAULT_JOURNAL_DAYS: u32 = 90;

/// How a home is opened.
#[non_exhaustive]
pub struct EngineOptions {
    /// The home's directory; made where it is missing.
    pub home: PathBuf,
    /// The model; `None` leaves lexical search, and every answer says so.
    pub embedder: Option<Arc<dyn Embedder>>,
    /// A second look at the best hits.
    pub reranker: Option<Arc<dyn Reranker>>,
    /// Larger files are noted and not indexed; 32 MiB by default.
    pub max_file_bytes: u64,
    /// Where formats are read whose readers may break down; in this process by default.
    pub isolation: Isolation,
    /// Whether the files in archives are read; they are not by default.
    pub archives: bool,
    /// The time.
    pub clock: Clock,
    /// The home's secret; without one, what the home keeps itself.
    pub secret: Option<[u8; 32]>,
    /// What webhooks and imports may reach although it is private; nothing by default.
    pub reach: Reach,
    /// How names become addresses; `None`: as the system does it.
    pub lookup: Option<Lookup>,
    /// How patient webhooks are.
    pub schedule: Schedule,
    /// The share of routed intents that may go wrong; [`DEFAULT_MAX_ERROR`] by default.
    pub max_error: f64,
    /// Days after which the journal forgets what nobody needs; [`DEFAULT_JOURNAL_DAYS`] by default, 0: nothing.
    pub journal_days: u32,
    /// How far a trace may go.
    pub hop_limits: trace::Limits,
    /// Where answers are generated; nowhere by default.
    pub generate: Option<GenerateSettings>,
    /// How an [`Indexer`](super::Indexer) works.
    pub background: BackgroundSettings,
    /// Whether an index stays as it is that was built with something else than is at hand: for who does not fill it.
    pub leaves_stale: bool,
}

impl EngineOptions {
    /// With every setting at its default and no model.
    pub fn new(home: impl Into<PathBuf>) -> Self {
        Self {
            home: home.into(),
            embedder: None,
            reranker: None,
            max_file_bytes: DEFAULT_MAX_FILE_BYTES,
            isolation: Isolation::default(),
            archives: false,
            clock: Clock::System,
            secret: None,
            reach: Reach::default(),
            lookup: None,
            schedule: Schedule::default(),
            max_error: DEFAULT_MAX_ERROR,
            journal_days: DEFAULT_JOURNAL_DAYS,
            hop_limits: trace::Limits::default(),
            generate: None,
            background: BackgroundSettings::default(),
            leaves_stale: false,
        }
    }

    /// For who manages the home and fills no index: what was built with another model stays as it is.
    #[must_use]
    pub fn leaves_stale(mut self) -> Self {
        self.leaves_stale = true;
        self
    }

    /// With this secret in place of the home's own: what is sealed is then the same in every home.
    #[must_use]
    pub fn secret(mut self, secret: [u8; 32]) -> Self {
        self.secret = Some(secret);
        self
    }

    /// With this model.
    #[must_use]
    pub fn embedder(mut self, embedder: Option<Arc<dyn Embedder>>) -> Self {
        self.embedder = embedder;
        self
    }

    /// With this limit for files that are indexed, in bytes.
    #[must_use]
    pub fn max_file_bytes(mut self, max_file_bytes: u64) -> Self {
        self.max_file_bytes = max_file_bytes;
        self
    }

    /// With other eyes for names than the system's.
    #[must_use]
    pub fn lookup(mut self, lookup: Lookup) -> Self {
        self.lookup = Some(lookup);
        self
    }

    /// With readers of dangerous formats at this place.
    #[must_use]
    pub fn isolation(mut self, isolation: Isolation) -> Self {
        self.isolation = isolation;
        self
    }

    /// With the files in archives read, or not.
    #[must_use]
    pub fn archives(mut self, archives: bool) -> Self {
        self.archives = archives;
        self
    }

    /// With private addresses and names that webhooks and imports may reach.
    #[must_use]
    pub fn reach(mut self, reach: Reach) -> Self {
        self.reach = reach;
        self
    }

    /// With this patience of webhooks.
    #[must_use]
    pub fn schedule(mut self, schedule: Schedule) -> Self {
        self.schedule = schedule;
        self
    }

    /// With this retention of the journal, in days; 0 forgets nothing.
    #[must_use]
    pub fn journal_days(mut self, journal_days: u32) -> Self {
        self.journal_days = journal_days;
        self
    }

    /// With this share of routed intents that may go wrong, `(0, 1)`.
    #[must_use]
    pub fn max_error(mut self, max_error: f64) -> Self {
        self.max_error = max_error;
        self
    }

    /// With background work of this kind.
    #[must_use]
    pub fn background(mut self, background: BackgroundSettings) -> Self {
        self.background = background;
        self
    }

    /// With these limits of traces.
    #[must_use]
    pub fn hop_limits(mut self, hop_limits: trace::Limits) -> Self {
        self.hop_limits = hop_limits;
        self
    }

    /// With these models for generated answers.
    #[must_use]
    pub fn generate(mut self, generate: Option<GenerateSettings>) -> Self {
        self.generate = generate;
        self
    }

    /// With this clock.
    #[must_use]
    pub fn clock(mut self, clock: Clock) -> Self {
        self.clock = clock;
        self
    }
}

/// Told the name of a workspace whose files have changed.
pub(super) type Waker = Box<dyn Fn(&WorkspaceName) + Send + Sync>;

/// An open home. One process has it at a time.
pub struct Engine {
    pub(super) layout: Layout,
    // Before the catalog: it writes down what it has when it is dropped.
    pub(super) auditor: Auditor,
    pub(super) catalog: Arc<Catalog>,
    pub(super) blobs: Blobs,
    pub(super) reader: Reader,
    pub(super) keys: Keys,
    pub(super) visible: VisibleCache,
    pub(super) past: PastCache,
    pub(super) news: Arc<News>,
    pub(super) office: Arc<Office>,
    pub(super) client: Client,
    pub(super) pace: Pace,
    /// Held for reading by who needs old versions to stay, and for writing by who forgets them.
    pub(super) pruning: RwLock<()>,
    pub(super) schedule: Schedule,
    pub(super) hop_limits: trace::Limits,
    pub(super) tasks: Desk,
    pub(super) routing: RouteDesk,
    pub(super) max_error: f64,
    pub(super) journal_days: u32,
    pub(super) background: BackgroundSettings,
    /// Why the background embeds nothing now, where it does not.
    pub(super) resting: Mutex<Option<String>>,
    pub(super) toolbox: Toolbox,
    pub(super) notes: NoteCache,
    pub(super) questions: Questions,
    pub(super) generators: Generators,
    proven: Proven,
    policy: RwLock<Arc<Policy>>,
    waker: RwLock<Option<Waker>>,
    pub(super) embedder: Option<Arc<dyn Embedder>>,
    pub(super) reranker: Option<Arc<dyn Reranker>>,
    pub(super) cache: Option<EmbeddingCache>,
    pub(super) max_file_bytes: u64,
    pub(super) clock: Clock,
    pub(super) workspaces: RwLock<BTreeMap<WorkspaceName, Arc<OpenWorkspace>>>,
    pub(super) unavailable: RwLock<BTreeMap<WorkspaceName, String>>,
    pub(super) rebuilt: RwLock<Vec<String>>,
    pub(super) leaves_stale: bool,
    /// Held by whoever makes, opens or lets go of a workspace.
    pub(super) opening: Mutex<()>,
    /// What stands among the home's workspaces and can't be one, as far as it was told.
    pub(super) passed_over: Mutex<BTreeSet<String>>,
    _lock: HomeLock,
}

/// What one indexing run did.
#[derive(Debug, Clone, Default)]
pub struct IndexReport {
    /// Of the tree.
    pub scan: ScanReport,
    /// Files whose text was indexed anew.
    pub files_indexed: u64,
    /// Chunks that were embedded; the others were known.
    pub chunks_embedded: u64,
    /// Chunks in the index.
    pub chunks: u64,
    /// How many files are how far.
    pub statuses: StatusCounts,
    /// Files skipped and failed, by code, with the reason of each.
    pub skipped: Vec<(String, String, String)>,
}

impl Engine {
    /// Opens or makes a home, and every workspace in it.
    ///
    /// # Errors
    /// [`Error::HomeInUse`], [`Error::Folder`], or what catalog and index give.
    pub fn open(options: EngineOptions) -> Result<Self> {
        let in_folder = |source| home::refused(&options.home, source);
        std::fs::create_dir_all(&options.home).map_err(in_folder)?;
        let root = options.home.canonicalize().map_err(in_folder)?;
        let layout = Layout::new(&root);
        let lock = home::take(&layout)?;
        let catalog = Arc::new(Catalog::open(&layout.catalog())?);
        let blobs = Blobs::open(&layout.blobs(), Arc::clone(&catalog))?;
        blobs.sweep()?;
        let limits = text::Limits {
            max_bytes: usize::try_from(options.max_file_bytes).unwrap_or(usize::MAX),
            archives: options.archives,
            ..text::Limits::default()
        };
        let reader = Reader::open(&layout.texts(), limits, options.isolation)?;
        let secret = match options.secret {
            Some(secret) => secret,
            None => keys::open_secret(&layout.secret())?,
        };
        let keys = Keys::derive(&secret);
        let policy = RwLock::new(Arc::new(access::load(&catalog)?));
        let toolbox = Toolbox::open(&catalog)?;
        let cache = match &options.embedder {
            Some(embedder) => Some(EmbeddingCache::open(&layout.embeddings(), &embedder.id().to_string())?),
            None => None,
        };
        let client = match options.lookup {
            Some(lookup) => Client::with_lookup(options.reach, lookup),
            None => Client::new(options.reach),
        };
        let engine = Self {
            layout,
            auditor: Auditor::start(Arc::clone(&catalog), keys.audit),
            catalog,
            blobs,
            reader,
            keys,
            visible: VisibleCache::default(),
            past: PastCache::default(),
            news: Arc::new(News::default()),
            office: Arc::new(Office::default()),
            client,
            pace: Pace::default(),
            pruning: RwLock::default(),
            schedule: options.schedule,
            hop_limits: options.hop_limits,
            tasks: Desk::default(),
            routing: RouteDesk::default(),
            max_error: options.max_error,
            journal_days: options.journal_days,
            background: options.background,
            resting: Mutex::default(),
            toolbox,
            notes: NoteCache::default(),
            questions: Questions::default(),
            generators: Generators::open(options.generate.unwrap_or_default())?,
            policy,
            proven: Proven::default(),
            waker: RwLock::new(None),
            embedder: options.embedder,
            reranker: options.reranker,
            cache,
            max_file_bytes: options.max_file_bytes,
            clock: options.clock,
            workspaces: RwLock::new(BTreeMap::new()),
            unavailable: RwLock::new(BTreeMap::new()),
            rebuilt: RwLock::new(Vec::new()),
            leaves_stale: options.leaves_stale,
            opening: Mutex::default(),
            passed_over: Mutex::default(),
            _lock: lock,
        };
        engine.sweep_past();
        let news = Arc::clone(&engine.news);
        engine.catalog.on_news(move || news.tell());
        let office = Arc::clone(&engine.office);
        engine.catalog.on_news(move || office.tell());
        for row in engine.catalog.workspaces()? {
            let row = engine.in_this_home(row)?;
            engine.open_if_there(row)?;
        }
        Ok(engine)
    }

    pub(super) fn fingerprint(&self) -> Fingerprint {
        Fingerprint {
            format: INDEX_FORMAT,
            analyzer: ANALYZER_VERSION,
            extractor: text::EXTRACTOR_VERSION,
            chunker: text::CHUNKER_VERSION,
            model: self.embedder.as_ref().map(|embedder| embedder.id().to_string()),
            dim: self.embedder.as_ref().map_or(0, |embedder| embedder.dim()),
        }
    }

    /// The home's directory.
    pub fn home(&self) -> &Path {
        self.layout.root()
    }

    /// The model, where there is one.
    pub fn embedder(&self) -> Option<&Arc<dyn Embedder>> {
        self.embedder.as_ref()
    }

    /// Indexes that were thrown away when the home was opened, each with its reason; they fill again by themselves.
    pub fn rebuilt(&self) -> Vec<String> {
        self.rebuilt.read().unwrap_or_else(|poisoned| poisoned.into_inner()).clone()
    }

    pub(super) fn workspace(&self, name: &WorkspaceName) -> Option<Arc<OpenWorkspace>> {
        self.workspaces.read().unwrap_or_else(|poisoned| poisoned.into_inner()).get(name).cloned()
    }

    pub(super) fn open_workspaces(&self) -> Vec<Arc<OpenWorkspace>> {
        self.workspaces.read().unwrap_or_else(|poisoned| poisoned.into_inner()).values().cloned().collect()
    }

    /// The names of all workspaces, ascending.
    pub fn workspace_names(&self) -> Vec<WorkspaceName> {
        self.workspaces.read().unwrap_or_else(|poisoned| poisoned.into_inner()).keys().cloned().collect()
    }

    /// Whether a path is shown to nobody, whatever stands there.
    pub(super) fn is_private(&self, name: &WorkspaceName, path: &RelPath) -> bool {
        path.is_hidden() || self.workspace(name).is_some_and(|workspace| workspace.tree.is_of_home(path))
    }

    /// Notes why the background embeds nothing now, or that it does.
    pub(super) fn rest(&self, why: Option<String>) {
        *self.resting.lock().unwrap_or_else(|poisoned| poisoned.into_inner()) = why;
    }

    pub(super) fn rests(&self) -> Option<String> {
        self.resting.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).clone()
    }

    pub(super) fn context<'a>(
        &'a self,
        workspace: &'a OpenWorkspace,
        cancelled: &'a AtomicBool,
    ) -> Context<'a> {
        let semantic = self.embedder.as_deref().zip(self.cache.as_ref());
        Context {
            place: self.place(workspace),
            index: &workspace.index,
            semantic: semantic.map(|(embedder, cache)| Semantic { embedder, cache }),
            cancelled,
            closing: &workspace.closing,
        }
    }

    pub(super) fn place<'a>(&'a self, workspace: &'a OpenWorkspace) -> Place<'a> {
        Place {
            workspace: &workspace.row,
            tree: &workspace.tree,
            turn: &workspace.turn,
            catalog: &self.catalog,
            blobs: &self.blobs,
            reader: &self.reader,
            max_file_bytes: self.max_file_bytes,
            clock: self.clock,
        }
    }

    /// What decides now.
    pub(super) fn policy(&self) -> Arc<Policy> {
        Arc::clone(&self.policy.read().unwrap_or_else(|poisoned| poisoned.into_inner()))
    }

    /// Takes up what was changed about principals, grants and gates.
    pub(super) fn reload_policy(&self) -> Result<()> {
        let policy = Arc::new(access::load(&self.catalog)?);
        *self.policy.write().unwrap_or_else(|poisoned| poisoned.into_inner()) = policy;
        self.toolbox.tell();
        Ok(())
    }

    pub(super) fn set_waker(&self, waker: Waker) {
        *self.waker.write().unwrap_or_else(|poisoned| poisoned.into_inner()) = Some(waker);
    }

    /// Tells whoever keeps the indexes that a workspace's files have changed.
    pub(super) fn wake(&self, name: &WorkspaceName) {
        if let Some(waker) = self.waker.read().unwrap_or_else(|poisoned| poisoned.into_inner()).as_ref() {
            waker(name);
        }
    }

    /// Takes in what other programs did to a workspace's files, without indexing it.
    pub(super) fn take_in(&self, workspace: &OpenWorkspace) -> Result<()> {
        let never = AtomicBool::new(false);
        let scan = ingest::scan(&self.context(workspace, &never), &mut |_| {})?;
        workspace.note_left_out(&scan.skipped);
        self.wake(&workspace.row.name);
        Ok(())
    }

    /// Brings one workspace's index up to its files as they are now, in this thread.
    ///
    /// # Errors
    /// [`Error::NotFound`], or what the stages give; everything committed so far stays.
    pub fn index(
        &self,
        name: &WorkspaceName,
        cancelled: &AtomicBool,
        on_progress: &mut OnProgress<'_>,
    ) -> Result<IndexReport> {
        let workspace = self
            .workspace(name)
            .ok_or_else(|| Error::NotFound { what: "workspace", name: name.to_string() })?;
        let context = self.context(&workspace, cancelled);
        let scan = ingest::scan(&context, on_progress)?;
        workspace.note_left_out(&scan.skipped);
        let is_on = workspace.row.intelligence;
        let files_indexed = if is_on { ingest::catch_up_lexical(&context, on_progress)? } else { 0 };
        workspace.notify();
        let chunks_embedded = if is_on { ingest::catch_up_semantic(&context, on_progress)? } else { 0 };
        workspace.notify();
        Ok(IndexReport {
            scan,
            files_indexed,
            chunks_embedded,
            chunks: workspace.index.searcher().n_chunks(),
            statuses: self.status_counts(&workspace)?,
            skipped: self.skipped(&workspace)?,
        })
    }

    /// As [`Self::index`], for words alone: what it finds has no vectors yet.
    ///
    /// # Errors
    /// As [`Self::index`].
    pub fn index_words(&self, name: &WorkspaceName, on_progress: &mut OnProgress<'_>) -> Result<()> {
        let workspace = self
            .workspace(name)
            .ok_or_else(|| Error::NotFound { what: "workspace", name: name.to_string() })?;
        let never = AtomicBool::new(false);
        let context = self.context(&workspace, &never);
        workspace.note_left_out(&ingest::scan(&context, on_progress)?.skipped);
        if workspace.row.intelligence {
            ingest::catch_up_lexical(&context, on_progress)?;
        }
        workspace.notify();
        Ok(())
    }

    fn skipped(&self, workspace: &OpenWorkspace) -> Result<Vec<(String, String, String)>> {
        let rows = self.catalog.files(workspace.row.id)?;
        Ok(rows
            .into_iter()
            .filter_map(|row| {
                row.state.skipped.map(|(code, reason)| (row.path.as_str().to_owned(), code, reason))
            })
            .collect())
    }

    /// Compares catalog, blobs, index and tree; with `repair` an index that fails is built anew.
    ///
    /// # Errors
    /// Where they can't even be read.
    pub fn check(&self, repair: bool) -> Result<CheckReport> {
        check::check(self, repair)
    }

    /// Throws the index of every workspace away; the next indexing run builds it from the files.
    ///
    /// # Errors
    /// Where the folders can't be emptied.
    pub fn drop_indexes(&self) -> Result<()> {
        for workspace in self.open_workspaces() {
            self.drop_index(workspace)?;
        }
        Ok(())
    }

    /// One workspace's newest generation with the files that pass a filter: for whoever calls [`crate::search`] itself.
    ///
    /// # Errors
    /// [`Error::NotFound`], or where the catalog can't be read.
    pub fn source(&self, name: &WorkspaceName, filter: Option<&FileFilter>) -> Result<Source> {
        let absent = || Error::NotFound { what: "workspace", name: name.to_string() };
        let workspace = self.workspace(name).ok_or_else(absent)?;
        let files = match filter {
            Some(filter) => Some(Arc::new(FileSet::new(self.catalog.file_ids(workspace.row.id, filter)?))),
            None => None,
        };
        Ok(Source { searcher: workspace.index.searcher(), files })
    }

    /// Makes the home's first token, for its admin; `None` where one was made before.
    ///
    /// # Errors
    /// Where it can't be kept.
    pub fn first_token(&self) -> Result<Option<String>> {
        if access::has_tokens(&self.catalog)? { Ok(None) } else { self.issue_admin_token().map(Some) }
    }

    /// Makes a further token for the admin. Whoever can open the home may have one.
    ///
    /// # Errors
    /// Where it can't be kept.
    pub fn issue_admin_token(&self) -> Result<String> {
        let new = NewToken { principal: ADMIN.to_owned(), ..NewToken::default() };
        let now_ms = self.clock.now_ms();
        let issued = self
            .catalog
            .write(|tx| -> std::result::Result<IssuedToken, AccessError> { tx.issue_token(&new, now_ms) })?;
        Ok(issued.token)
    }

    /// What the holder of a token does.
    ///
    /// # Errors
    /// [`Error::Unauthorized`].
    pub fn session(self: &Arc<Self>, token: &str) -> Result<Session> {
        let actor = self.proven.authenticate(&self.catalog, token, self.clock.now_ms())?;
        Ok(Session::new(Arc::clone(self), actor.ok_or(Error::Unauthorized)?))
    }

    /// As [`Self::session`], for a token that was right a moment ago: asks no disk, so it never waits. `None` says nothing of the token.
    pub fn known_session(self: &Arc<Self>, token: &str) -> Option<Session> {
        let actor = self.proven.recall(&self.catalog, token, self.clock.now_ms())?;
        Some(Session::new(Arc::clone(self), actor))
    }

    /// What somebody does who has shown a token's secret before, by the token's public id. For whoever keeps that proof:
    /// nothing is proven here.
    ///
    /// # Errors
    /// [`Error::Unauthorized`] once the token has run out or was revoked.
    pub fn session_of_token(self: &Arc<Self>, id: &str) -> Result<Session> {
        let actor = access::readmit(&self.catalog, id, self.clock.now_ms())?;
        Ok(Session::new(Arc::clone(self), actor.ok_or(Error::Unauthorized)?))
    }

    /// Whether a token may still be used: for streams that outlive the request that began them.
    ///
    /// # Errors
    /// Where the catalog can't be read.
    pub fn is_token_alive(&self, id: &str) -> Result<bool> {
        Ok(access::is_token_alive(&self.catalog, id, self.clock.now_ms())?)
    }

    /// Goes up with each change that took a token from somebody: what was known of tokens before may have changed.
    pub fn n_revocations(&self) -> u64 {
        self.catalog.n_revocations()
    }

    /// What whoever can open the home's files does: everything.
    pub fn owner_session(self: &Arc<Self>) -> Session {
        Session::new(Arc::clone(self), Actor::owner())
    }

    /// Whether what stands under a path of a workspace's folder is not what the catalog says of it.
    pub(super) fn is_news(&self, name: &WorkspaceName, below: &Path) -> bool {
        let Some(workspace) = self.workspace(name) else { return false };
        // What can't be judged is news: the scan says what is wrong with it.
        let Some(Ok(path)) = below.to_str().map(RelPath::new) else { return true };
        let (Ok(entry), Ok(row), Ok(is_folder)) = (
            workspace.tree.entry(&path),
            self.catalog.file(workspace.row.id, &path),
            workspace.tree.is_folder(&path),
        ) else {
            return true;
        };
        match (entry, row) {
            (Some(entry), Some(row)) => {
                entry.size_bytes != row.state.size_bytes || entry.mtime_ns != row.state.mtime_ns
            }
            // No walk finds it.
            (Some(_), None) => !is_secrets_name(path.file_name()),
            (None, None) => {
                // One that said what to leave out has no row, and may have gone.
                is_folder
                    || is_ignore_name(path.file_name())
                    || self.catalog.has_files_below(workspace.row.id, &path).unwrap_or(true)
            }
            _ => true,
        }
    }

    /// Calls `tell` after each change of the journal; it must be quick.
    pub fn on_news(&self, tell: impl Fn() + Send + Sync + 'static) {
        self.catalog.on_news(tell);
    }

    /// The name of an open workspace and when it was made, by its number.
    pub(super) fn workspace_named(&self, id: crate::id::WorkspaceId) -> Option<(WorkspaceName, i64)> {
        let workspaces = self.workspaces.read().unwrap_or_else(|poisoned| poisoned.into_inner());
        let found = workspaces.values().find(|workspace| workspace.row.id == id)?;
        Some((found.row.name.clone(), found.row.created_ms))
    }

    /// The name of a workspace by its number.
    pub(super) fn name_of(&self, id: crate::id::WorkspaceId) -> Option<WorkspaceName> {
        let workspaces = self.workspaces.read().unwrap_or_else(|poisoned| poisoned.into_inner());
        workspaces
            .values()
            .find(|workspace| workspace.row.id == id)
            .map(|workspace| workspace.row.name.clone())
    }
}
