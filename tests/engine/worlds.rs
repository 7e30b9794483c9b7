//! Non-interference as a law: a random world is built twice, with and without what a principal may not see, and every
//! answer that the principal gets is the same, byte for byte, but for `took_ms` and fresh ids.
//!
//! `WAYPOST_WORLDS` sets the number of worlds, 500 by default; `WAYPOST_WORLD` runs the one of that seed.

use std::collections::BTreeSet;
use std::fmt::{Debug, Write as _};
use std::fs::File;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use serde_json::Value;
use tempfile::TempDir;
use waypost_engine::access::{Effect, Grant, NewToken, Target, Verb};
use waypost_engine::api::{
    AskRequest, Engine, EngineOptions, Error, FindRequest, SearchFilters, SearchRequest, Session,
    WriteOptions,
};
use waypost_engine::change::Expected;
use waypost_engine::clock::Clock;
use waypost_engine::embed::Embedder;
use waypost_engine::id::{VersionId, WorkspaceName, fold};
use waypost_engine::pattern::Pattern;
use waypost_engine::search::{Citation, Mode, Source, parse, search};
use waypost_engine::store::LockMode;

use crate::house::WordTable;

const WHO: &str = "agent:reader";
const WORKSPACES: [&str; 3] = ["alpha", "beta", "gamma"];
const FOLDERS: [&str; 5] = ["open", "closed", "closed/deep", "inbox", "open/mixed"];
const NAMES: [&str; 6] = ["plan.md", "notes.md", "Prices.csv", "log.txt", "brief.md", "main.rs"];
const WORDS: [&str; 16] = [
    "harbour",
    "kettle",
    "lantern",
    "meadow",
    "engine",
    "violin",
    "orchard",
    "anvil",
    "compass",
    "ferry",
    "quagga",
    "zanzibar",
    "money",
    "cash",
    "doctor",
    "physician",
];
/// Patterns that a world's grants are drawn from.
const PATTERNS: [&str; 12] = [
    "/alpha/**",
    "/alpha/open/**",
    "/alpha/open/*",
    "/beta/open/**",
    "/beta/**",
    "/*/open/**",
    "/*/closed/**",
    "/**/deep/**",
    "/alpha/closed/**",
    "/**/*.md",
    "/beta/inbox/**",
    "/gamma/open/plan.md",
];

struct Numbers(u64);

impl Numbers {
    fn below(&mut self, n: usize) -> usize {
        self.0 = self.0.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        ((self.0 >> 33) as usize) % n
    }

    fn pick<'a, T: ?Sized>(&mut self, all: &[&'a T]) -> &'a T {
        all[self.below(all.len())]
    }

    fn path(&mut self) -> String {
        format!("/{}/{}/{}", self.pick(&WORKSPACES), self.pick(&FOLDERS), self.pick(&NAMES))
    }

    fn text(&mut self) -> String {
        let mut text = format!("# {}\n\n", self.pick(&WORDS));
        for _ in 0..3 + self.below(30) {
            text.push_str(self.pick(&WORDS));
            text.push_str(if self.below(6) == 0 { ".\n\n" } else { " " });
        }
        text
    }
}

/// What happens in a world, in order; the same seed gives the same.
enum Happening {
    Write(String, String),
    Move(String, String),
    Delete(String),
    Snapshot(String, String),
    Lock(String),
    Index,
}

struct World {
    grants: Vec<Grant>,
    happenings: Vec<Happening>,
    queries: Vec<String>,
}

impl World {
    fn new(seed: u64) -> Self {
        let mut numbers = Numbers(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ 0xA5A5);
        let mut grants = Vec::new();
        for _ in 0..2 + numbers.below(4) {
            let verbs: BTreeSet<Verb> = match numbers.below(4) {
                0 => [Verb::Write].into(),
                1 => [Verb::Read].into(),
                _ => [Verb::Read, Verb::List].into(),
            };
            let effect = if numbers.below(4) == 0 { Effect::Deny } else { Effect::Allow };
            let pattern = numbers.pick(&PATTERNS).to_owned();
            grants.push(Grant::new(WHO, Target::Path, &[pattern], verbs, effect, "").unwrap());
        }
        let mut happenings = Vec::new();
        for _ in 0..14 {
            let path = numbers.path();
            happenings.push(match numbers.below(12) {
                0 => Happening::Delete(path),
                1 => Happening::Move(path, numbers.path()),
                2 => Happening::Snapshot(
                    numbers.pick(&WORKSPACES).to_owned(),
                    format!("s{}", numbers.below(9)),
                ),
                3 => Happening::Lock(path),
                4 => Happening::Index,
                _ => Happening::Write(path, numbers.text()),
            });
        }
        let queries = (0..3).map(|_| format!("{} {}", numbers.pick(&WORDS), numbers.pick(&WORDS))).collect();
        Self { grants, happenings, queries }
    }

    /// The folders above a path, but for the workspace, whose own names may be seen.
    fn shown_folders(&self, path: &str) -> Vec<String> {
        let mut folders = Vec::new();
        let mut at = path;
        while let Some((above, _)) = at.rsplit_once('/') {
            at = above;
            if at.matches('/').count() >= 2 && self.shows(at) {
                folders.push(at.to_owned());
            }
        }
        folders
    }

    /// Whether the principal may read a path or see its name; what it may only write is not seen.
    fn shows(&self, path: &str) -> bool {
        self.allows(&[Verb::Read, Verb::List], path)
    }

    fn allows(&self, verbs: &[Verb], path: &str) -> bool {
        let folded = fold(path);
        verbs.iter().any(|verb| {
            let any = |effect| {
                self.grants.iter().any(|grant| {
                    grant.effect == effect
                        && grant.verbs.contains(verb)
                        && grant.patterns.iter().any(|pattern: &Pattern| pattern.matches(&folded))
                })
            };
            any(Effect::Allow) && !any(Effect::Deny)
        })
    }
}

struct Home {
    _folder: TempDir,
    engine: Arc<Engine>,
    session: Session,
    table: Arc<WordTable>,
}

/// In memory where there is such a place: these tests are about answers, not about disks.
fn folder() -> TempDir {
    let memory = Path::new("/dev/shm");
    if memory.is_dir() { TempDir::new_in(memory).unwrap() } else { TempDir::new().unwrap() }
}

fn build(world: &World, with_hidden: bool) -> Home {
    let folder = folder();
    let table = Arc::new(WordTable::new());
    let embedder: Arc<dyn Embedder> = Arc::clone(&table) as _;
    let mut options = EngineOptions::new(folder.path())
        .embedder(Some(embedder))
        .clock(Clock::Fixed(1_790_000_000_000))
        .secret([7; 32]);
    options.max_file_bytes = 1 << 20;
    let engine = Arc::new(Engine::open(options).unwrap());
    let owner = engine.owner_session();
    // A workspace without anything to see, and into which nothing may be written, is itself one of the hidden things.
    let is_shown = |name: &&&str| {
        let inside = Pattern::path(&format!("/{name}/**")).unwrap();
        let may_write = world.grants.iter().any(|grant| {
            grant.verbs.contains(&Verb::Write)
                && grant.patterns.iter().any(|pattern| pattern.overlaps(&inside))
        });
        with_hidden
            || may_write
            || world.shows(&format!("/{name}"))
            || world.happenings.iter().any(|happening| match happening {
                Happening::Write(path, _) | Happening::Move(_, path) => {
                    path.starts_with(&format!("/{name}/"))
                        && (world.shows(path) || !world.shown_folders(path).is_empty())
                }
                _ => false,
            })
    };
    // A folder whose own name may be seen is there, whatever it holds.
    let make_folders = |path: &str| {
        for folder in world.shown_folders(path) {
            owner.create_folder(&folder).unwrap();
        }
    };
    for name in WORKSPACES.iter().filter(is_shown) {
        owner.create_workspace(name, None, true).unwrap();
    }
    owner.put_principal(WHO, None, &[]).unwrap();
    for grant in &world.grants {
        owner.put_grant(grant).unwrap();
    }
    let token = owner.issue_token(&NewToken { principal: WHO.to_owned(), ..NewToken::default() }).unwrap();
    // What was moved out of sight, or came from there, is known by its bytes.
    let mut bytes = std::collections::BTreeMap::new();
    for happening in &world.happenings {
        let seen = |path: &str| with_hidden || world.shows(path);
        match happening {
            Happening::Write(path, text) => {
                if seen(path) {
                    owner.write_file(path, text.as_bytes(), &WriteOptions::default()).unwrap();
                } else {
                    make_folders(path);
                }
                bytes.insert(path.clone(), text.clone());
            }
            Happening::Move(from, to) => {
                if bytes.contains_key(to) || from == to {
                    continue;
                }
                let Some(text) = bytes.remove(from) else { continue };
                if with_hidden || (world.shows(from) && world.shows(to)) {
                    owner.move_path(from, to, &WriteOptions::default()).unwrap();
                } else if world.shows(from) {
                    owner.delete(from, &WriteOptions::default(), false).unwrap();
                    make_folders(to);
                } else if world.shows(to) {
                    owner.write_file(to, text.as_bytes(), &WriteOptions::default()).unwrap();
                } else {
                    make_folders(to);
                }
                bytes.insert(to.clone(), text);
            }
            Happening::Delete(path) => {
                if bytes.remove(path).is_some() && seen(path) {
                    owner.delete(path, &WriteOptions::default(), false).unwrap();
                }
            }
            Happening::Snapshot(workspace, name) => {
                if engine.workspace_names().iter().any(|known| known.as_str() == workspace) {
                    // Its name may be taken there.
                    let _ = owner.take_snapshot(Some(workspace), name);
                }
            }
            // Who may write somewhere is concerned by a lock there.
            Happening::Lock(path) => {
                if seen(path) || world.allows(&[Verb::Write], path) {
                    let _ = owner.lock(path, LockMode::Shared, Some(3_600_000));
                }
            }
            Happening::Index => index(&engine),
        }
    }
    settle_times(folder.path());
    index(&engine);
    let session = engine.session(&token.token).unwrap().with_trace("trace");
    Home { _folder: folder, engine, session, table }
}

fn index(engine: &Engine) {
    for name in engine.workspace_names() {
        engine.index(&name, &AtomicBool::new(false), &mut |_| {}).unwrap();
    }
}

/// Gives every file the same modification time: that of the machine would tell two worlds apart.
fn settle_times(home: &Path) {
    let mut waiting = vec![home.join("workspaces")];
    while let Some(folder) = waiting.pop() {
        // A home without workspaces has no such folder.
        for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
            if entry.file_type().unwrap().is_dir() {
                waiting.push(entry.path());
            } else {
                let file = File::options().write(true).open(entry.path()).unwrap();
                file.set_modified(SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000)).unwrap();
            }
        }
    }
}

/// Everything that the principal can ask, with its answers, one a line.
fn answers(world: &World, home: &Home) -> Vec<String> {
    let mut log = Log { lines: Vec::new() };
    let session = &home.session;
    log.note("workspaces", session.workspaces());
    log.note("locks", session.locks());
    log.note("approvals", session.approvals(None));
    log.note("principals", session.principals());
    log.note("audit", session.audit(&waypost_engine::api::AuditFilter { limit: 10, ..Default::default() }));
    let snapshots = session.snapshots();
    let ids: Vec<(String, String)> = snapshots
        .iter()
        .flatten()
        .map(|snapshot| (snapshot.id.clone(), format!("{} {}", snapshot.workspace, snapshot.name)))
        .collect();
    log.note("snapshots", snapshots);
    log.note("list /", session.list("/"));
    for workspace in WORKSPACES {
        log.note(&format!("workspace {workspace}"), session.workspace(workspace));
        log.note(&format!("list {workspace}"), session.list(&format!("/{workspace}")));
        log.note(&format!("tree {workspace}"), session.tree(&format!("/{workspace}"), 9, &[]));
        log.note(&format!("index {workspace}"), session.indexed_files(&format!("/{workspace}"), None));
        for folder in FOLDERS {
            let path = format!("/{workspace}/{folder}");
            log.note(&format!("list {path}"), session.list(&path));
            log.note(&format!("info {path}"), session.info(&path));
            log.note(&format!("index {path}"), session.indexed_files(&path, None));
            for name in NAMES {
                let path = format!("{path}/{name}");
                log.note(&format!("info {path}"), session.info(&path));
                let read = session.read_file(&path, None, None);
                let read = read.map(|file| (file.version, file.mime_type, String::from_utf8(file.bytes)));
                log.note(&format!("read {path}"), read);
                log.note(&format!("versions {path}"), session.versions(&path));
            }
        }
    }
    let everything = FindRequest { pattern: "*", limit: 1000, ..FindRequest::default() };
    log.note("find", session.find_files(&everything));
    log.note("find md", session.find_files(&FindRequest { pattern: "**/*.md", limit: 3, ..everything }));
    for query in &world.queries {
        ask_all(&mut log, session, query, &ids);
    }
    let hidden = Citation {
        workspace: "gamma".to_owned(),
        path: "/gamma/closed/plan.md".to_owned(),
        version: VersionId::of(b"x"),
        start_byte: 0,
        end_byte: 1,
        lines: None,
        location: None,
        headings: Vec::new(),
        quote: "x".to_owned(),
        source_url: None,
        fetched_at: None,
    };
    log.note("verify", session.verify(vec![hidden]));
    for (id, name) in &ids {
        log.note(&format!("diff {name}"), session.diff_snapshot(id, None));
        let mut archive = Vec::new();
        log.note(&format!("export {name}"), session.export_snapshot(id, &mut archive).map(|()| archive));
        log.note(&format!("restore {name}"), session.restore_snapshot("sn_0000000000000000"));
    }
    try_all(&mut log, session);
    log.lines
}

fn ask_all(log: &mut Log, session: &Session, query: &str, snapshots: &[(String, String)]) {
    for mode in [Mode::Hybrid, Mode::Lexical, Mode::Semantic] {
        let request = SearchRequest {
            query: query.to_owned(),
            mode,
            limit: Some(20),
            explain: true,
            ..SearchRequest::default()
        };
        log.note(&format!("search {mode:?} {query}"), session.search(&request));
    }
    let narrowed = |change: &dyn Fn(&mut SearchRequest)| {
        let mut request = SearchRequest { query: query.to_owned(), ..SearchRequest::default() };
        change(&mut request);
        session.search(&request)
    };
    for prefix in ["/gamma", "/alpha/closed", "/beta/open"] {
        let found = narrowed(&|request| request.path_prefix = Some(prefix.to_owned()));
        log.note(&format!("search in {prefix} {query}"), found);
    }
    let found = narrowed(&|request| request.workspaces = Some(vec!["gamma".to_owned()]));
    log.note(&format!("search workspace {query}"), found);
    let filters = SearchFilters { extension: Some("md".to_owned()), ..SearchFilters::default() };
    log.note(&format!("search md {query}"), narrowed(&|request| request.filters = Some(filters.clone())));
    log.note(
        &format!("search trusted {query}"),
        narrowed(&|request| request.trust = Some("approved".to_owned())),
    );
    for (id, name) in snapshots {
        let found = narrowed(&|request| request.as_of = Some(id.clone()));
        log.note(&format!("search as of {name} {query}"), found);
        let read = session.read_file("/alpha/open/plan.md", None, Some(id));
        log.note(&format!("read as of {name}"), read.map(|file| file.version));
    }
    let question = AskRequest { question: format!("Where is the {query}?"), ..AskRequest::default() };
    log.note(&format!("ask {query}"), session.ask(&question));
}

/// Attempts to change things, seen and not; in both worlds they have the same effect on what is seen.
fn try_all(log: &mut Log, session: &Session) {
    for path in
        ["/alpha/open/new.md", "/alpha/closed/plan.md", "/beta/inbox/drop.md", "/gamma/closed/notes.md"]
    {
        let any = WriteOptions::default();
        let absent = WriteOptions { expected: Expected::Absent, ..WriteOptions::default() };
        log.note(&format!("write if absent {path}"), session.write_file(path, b"dropped violin", &absent));
        log.note(&format!("write {path}"), session.write_file(path, b"dropped violin", &any));
        log.note(&format!("append {path}"), session.append_file(path, b"more", &any));
        log.note(
            &format!("lock {path}"),
            session.lock(path, LockMode::Exclusive, Some(1000)).map(|lock| lock.path),
        );
        log.note(&format!("move {path}"), session.move_path(path, "/alpha/open/moved.md", &any));
        log.note(&format!("copy {path}"), session.copy_path(path, "/beta/inbox/copied.md", &any));
        log.note(&format!("delete {path}"), session.delete(path, &any, false));
        log.note(&format!("folder {path}"), session.create_folder(&format!("{path}.d")));
    }
    log.note("snapshot", session.take_snapshot(None, "all").map(|taken| taken.len()));
    log.note("workspaces after", session.workspaces());
}

struct Log {
    lines: Vec<String>,
}

impl Log {
    fn note<T: Debug>(&mut self, what: &str, answer: Result<T, Error>) {
        let mut line = format!("{what}: ");
        match answer {
            Ok(value) => write!(line, "{value:?}").unwrap(),
            Err(error) => write!(line, "{} {error}", error.code()).unwrap(),
        }
        self.lines.push(redacted(&line));
    }
}

/// Without what may differ: times of the machine, and ids that are fresh each time.
fn redacted(line: &str) -> String {
    let mut out = String::new();
    let mut rest = line;
    while let Some(at) = rest.find("took_ms: ") {
        out.push_str(&rest[..at]);
        let after = &rest[at + 9..];
        rest = &after[after.find([' ', ',', '}']).unwrap_or(after.len())..];
    }
    out.push_str(rest);
    let mut clean = String::new();
    let mut rest = out.as_str();
    while let Some(at) = ["sn_", "lk_", "ap_"].iter().filter_map(|kind| rest.find(kind)).min() {
        clean.push_str(&rest[..at + 3]);
        rest = rest[at + 3..].trim_start_matches(|c: char| c.is_ascii_hexdigit());
    }
    clean.push_str(rest);
    clean
}

type Asker = fn(&World, &Home) -> Vec<String>;

/// The first answer that differs between a world with and without its hidden part.
fn difference(seed: u64, ask: Asker) -> Option<String> {
    let world = World::new(seed);
    let (with, without) = (build(&world, true), build(&world, false));
    let (with, without) = (ask(&world, &with), ask(&world, &without));
    assert_eq!(with.len(), without.len(), "world {seed}");
    let differing = with.iter().zip(&without).find(|(with, without)| with != without);
    differing.map(|(with, without)| format!("world {seed}\nwith    {with}\nwithout {without}"))
}

#[test]
fn what_may_not_be_seen_changes_no_answer() {
    let number = |name| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    if let Some(seed) = number("WAYPOST_WORLD") {
        assert_eq!(difference(seed, answers), None);
        return;
    }
    let total = number("WAYPOST_WORLDS").unwrap_or(500);
    let next = AtomicU64::new(0);
    std::thread::scope(|threads| {
        for _ in 0..2 {
            threads.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= total {
                        return;
                    }
                    if let Some(difference) = difference(seed, answers) {
                        panic!("{difference}");
                    }
                }
            });
        }
    });
}

/// A planted leak: hits are taken out after the search, so that BM25 counts everybody's files.
fn leaky_answers(world: &World, home: &Home) -> Vec<String> {
    let mut lines = Vec::new();
    for name in WORKSPACES {
        let name = WorkspaceName::new(name).unwrap();
        for query in &world.queries {
            let Ok(source) = home.engine.source(&name, None) else { continue };
            let source: Source = source;
            let embedder = Arc::clone(&home.table) as Arc<dyn Embedder>;
            let parsed = parse(query);
            let request = waypost_engine::search::SearchRequest {
                query: &parsed,
                mode: Mode::Lexical,
                limit: 50,
                vector: None,
            };
            let hits = search(&[source], Some(&embedder), None, &request).unwrap();
            let shown = hits.hits.iter().filter(|hit| world.shows(&format!("/{name}/{}", hit.record.path)));
            let shown: Vec<Value> =
                shown.map(|hit| serde_json::json!([hit.record.path, hit.score])).collect();
            lines.push(format!("{query}: {}", Value::from(shown)));
        }
    }
    // Worlds differ in their number of workspaces; what is compared are lines with hits.
    lines.retain(|line| !line.ends_with("[]"));
    lines
}

#[test]
fn a_search_that_counts_everybodys_files_is_caught() {
    let caught = (0..60).any(|seed| {
        let world = World::new(seed);
        leaky_answers(&world, &build(&world, true)) != leaky_answers(&world, &build(&world, false))
    });
    assert!(caught, "the law does not notice global statistics");
}
