//! How does the whole product grow: chunks, workspaces, principals? Asked over HTTP, of a server in a process of its own.
//!
//! Data: files of four sections with words by Zipf's law, and vectors made of their words, so that a million chunks are
//! there in minutes; what embedding costs is told by `waypost models bench`. The queries' own embedding is in the times
//! where `WAYPOST_MODELS` names the folder of the models: the real model reads each query, and the vector of words
//! goes on. Clients run on the same cores as the server.
//!
//! `cargo bench --workspace --bench scale`: sizes by `WAYPOST_BENCH_CHUNKS` (1000,10000), workspaces by
//! `WAYPOST_BENCH_WORKSPACES` (1,10,100), principals by `WAYPOST_BENCH_PRINCIPALS` (1,1000), both over 10,000 chunks. One
//! line of JSON each, appended to the file that `WAYPOST_BENCH_REPORT` names; `benches/peers/plots.py` draws them. `WAYPOST_BENCH_EXPORT` names a
//! folder that gets the texts, vectors and queries of the last size of all, for `benches/peers/products.py`.

mod made;
#[path = "made/served.rs"]
#[expect(dead_code, reason = "it asks over REST alone, of a server that has its index")]
mod served;

use std::collections::HashMap;
use std::io::{BufRead, BufReader, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use waypost_engine::access::{Effect, Grant, NewToken, Target, Verb};
use waypost_engine::api::{Engine, EngineOptions};
use waypost_engine::embed::{Bert, EmbedError, Embedder, Manifest, ModelId, Sources, resolve};
use waypost_engine::id::WorkspaceName;

use made::{Numbers, OfWords, write_files};
use served::{Client, Served, memory_of, percentile, timed};

const SECTIONS: usize = 4;
const N_QUERIES: usize = 300;
const WARM_UP: usize = 30;
const N_CLIENTS: usize = 2;
const DIM: usize = 384;
/// Chunks under growing numbers of workspaces and principals.
const CHUNKS: usize = 10_000;
/// Queries whose true ten nearest are looked up.
const N_EXACT: usize = 50;
/// What says to this program that it is the server.
const SERVE: &str = "WAYPOST_SCALE_SERVE";

/// Vectors of words; where it is wanted, the texts are kept, and queries are read by the real model as well.
struct Made {
    words: OfWords,
    kept: Option<Mutex<Vec<String>>>,
    model: Option<Bert>,
}

impl Made {
    fn new(keep: bool, with_model: bool) -> Arc<Self> {
        let model = with_model.then(real_model).flatten();
        Arc::new(Self { words: OfWords::new(), kept: keep.then(Mutex::default), model })
    }
}

impl Embedder for Made {
    fn id(&self) -> &ModelId {
        self.words.id()
    }
    fn dim(&self) -> usize {
        self.words.dim()
    }
    fn max_tokens(&self) -> usize {
        self.words.max_tokens()
    }
    fn embed_documents(&self, texts: &[&str]) -> Result<Vec<Vec<f32>>, EmbedError> {
        if let Some(kept) = &self.kept {
            kept.lock().expect("no panic").extend(texts.iter().map(|text| (*text).to_owned()));
        }
        self.words.embed_documents(texts)
    }
    fn embed_query(&self, text: &str) -> Result<Vec<f32>, EmbedError> {
        if let Some(model) = &self.model {
            std::hint::black_box(model.embed_query(text)?);
        }
        self.words.embed_query(text)
    }
    fn count_tokens(&self, text: &str) -> usize {
        self.words.count_tokens(text)
    }
}

fn real_model() -> Option<Bert> {
    let sources = Sources::new(std::env::var_os("WAYPOST_MODELS")?).network(false);
    let resolved = resolve(Manifest::built_in().default_model(), &sources, &mut |_| {});
    Some(Bert::open(&resolved.expect("the model that WAYPOST_MODELS names")).expect("it opens"))
}

fn open(home: &Path, embedder: Arc<Made>) -> Engine {
    Engine::open(EngineOptions::new(home).embedder(Some(embedder))).expect("a home")
}

/// A home, and what filling it took.
struct Home {
    folder: tempfile::TempDir,
    ingest_s: f64,
    texts: Vec<String>,
}

impl Home {
    fn fill(n_chunks: usize, n_workspaces: usize, keep: bool) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let home = folder.path().join("home");
        let embedder = Made::new(keep, false);
        let engine = Arc::new(open(&home, Arc::clone(&embedder)));
        let mut numbers = Numbers(3);
        let mut took = Duration::ZERO;
        for workspace in 0..n_workspaces {
            let name = WorkspaceName::new(&format!("w{workspace}")).expect("a name");
            let n_files = n_chunks / SECTIONS / n_workspaces;
            write_files(&home.join("workspaces").join(name.as_str()), n_files, &mut numbers);
            let begun = Instant::now();
            engine.create_workspace(&name).expect("a workspace");
            engine.index(&name, &AtomicBool::new(false), &mut |_| {}).expect("an index");
            took += begun.elapsed();
        }
        drop(engine);
        let kept = embedder.kept.as_ref().map(|kept| std::mem::take(&mut *kept.lock().expect("no panic")));
        Self { folder, ingest_s: took.as_secs_f64(), texts: kept.unwrap_or_default() }
    }

    fn home(&self) -> PathBuf {
        self.folder.path().join("home")
    }

    /// Bytes of the home without the files that it is over.
    fn disk_bytes(&self) -> u64 {
        let all = walk(&self.home()) - walk(&self.home().join("workspaces"));
        all.max(0) as u64
    }

    /// So many principals, each of whom may read three folders; gives the token of the last.
    fn govern(&self, n_principals: usize) -> String {
        let engine = Arc::new(open(&self.home(), Made::new(false, false)));
        let owner = engine.owner_session();
        let mut token = String::new();
        for number in 0..n_principals {
            let id = format!("agent:a{number}");
            owner.put_principal(&id, None, &[]).expect("a principal");
            let folders: Vec<String> =
                (0..3).map(|n| format!("/w0/d{}/**", (number * 7 + n * 11) % 50)).collect();
            let verbs = [Verb::Read].into_iter().collect();
            let grant = Grant::new(&id, Target::Path, &folders, verbs, Effect::Allow, "").expect("a grant");
            owner.put_grant(&grant).expect("a grant");
            let new = NewToken { principal: id, ..NewToken::default() };
            token = owner.issue_token(&new).expect("a token").token;
        }
        token
    }
}

fn walk(folder: &Path) -> i64 {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries
        .map(|entry| match entry.metadata() {
            Ok(metadata) if metadata.is_dir() => walk(&entry.path()),
            Ok(metadata) => metadata.len() as i64,
            Err(_) => 0,
        })
        .sum()
}

/// This program again, as a server.
struct Running {
    child: Child,
    url: String,
    token: String,
    start_ms: f64,
}

impl Running {
    fn start(home: &Path, with_model: bool) -> Self {
        let begun = Instant::now();
        let program = std::env::current_exe().expect("this program");
        let mut child = Command::new(program)
            .env(SERVE, home)
            .env("WAYPOST_SCALE_MODEL", if with_model { "1" } else { "" })
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("a server");
        let mut line = String::new();
        BufReader::new(child.stdout.take().expect("it is piped")).read_line(&mut line).expect("an address");
        let (url, token) = line.trim().split_once(' ').expect("an address and a token");
        let (url, token) = (url.to_owned(), token.to_owned());
        Client::new(&url, &token).rest(&json!({"query": "w1 w2"}));
        Self { child, url, token, start_ms: begun.elapsed().as_secs_f64() * 1e3 }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        drop(self.child.wait());
    }
}

fn serve(home: &Path) {
    let with_model = std::env::var("WAYPOST_SCALE_MODEL").is_ok_and(|text| !text.is_empty());
    let served = Served::start(open(home, Made::new(false, with_model)));
    println!("{} {}", served.url, served.token);
    // Until the other end lets go.
    std::io::stdin().lines().for_each(drop);
}

/// A different query each time, none asked twice: no cache of queries helps.
fn queries(n: usize, seed: u64) -> Vec<String> {
    let mut numbers = Numbers(seed);
    (0..n).map(|number| numbers.words(3 + number % 6)).collect()
}

/// Times of hybrid searches by one client, and searches a second of two at once.
fn ask(url: &str, token: &str) -> (Vec<f64>, f64) {
    let client = Client::new(url, token);
    let hybrid = |client: &Client, query: &String| drop(client.rest(&json!({"query": query})));
    queries(WARM_UP, 11).iter().for_each(|query| hybrid(&client, query));
    let times = queries(N_QUERIES, 13).iter().map(|query| timed(|| hybrid(&client, query)).0).collect();
    let begun = Instant::now();
    std::thread::scope(|scope| {
        for number in 0..N_CLIENTS {
            scope.spawn(move || {
                let client = Client::new(url, token);
                queries(N_QUERIES, 17 + number as u64).iter().for_each(|query| hybrid(&client, query));
            });
        }
    });
    (times, (N_CLIENTS * N_QUERIES) as f64 / begun.elapsed().as_secs_f64())
}

/// One line of the report: a home served and asked.
fn measure(home: &Home, what: &str, n: usize, token: Option<&str>) -> Value {
    let with_model = std::env::var_os("WAYPOST_MODELS").is_some();
    let server = Running::start(&home.home(), with_model);
    let (mut times, per_second) = ask(&server.url, token.unwrap_or(&server.token));
    let recall = recall(home, &server);
    let line = json!({
        "what": what, "n": n, "ingest_s": home.ingest_s, "open_ms": server.start_ms,
        "p50_ms": percentile(&mut times, 0.5), "p99_ms": percentile(&mut times, 0.99),
        "per_second": per_second, "clients": N_CLIENTS, "queries": N_QUERIES, "embeds_queries": with_model,
        "memory_bytes": memory_of(server.child.id(), "RssAnon"), "resident_bytes": memory_of(server.child.id(), "VmRSS"),
        "disk_bytes": home.disk_bytes(), "recall_at_10": recall,
    });
    println!("{line}");
    if let Some(path) = std::env::var_os("WAYPOST_BENCH_REPORT") {
        let file = std::fs::OpenOptions::new().create(true).append(true).open(path).expect("the report");
        writeln!(&file, "{line}").expect("the report");
    }
    line
}

/// The share of the true ten nearest that a semantic search finds; `None` where the texts were not kept.
fn recall(home: &Home, server: &Running) -> Option<f64> {
    if home.texts.is_empty() {
        return None;
    }
    let words = OfWords::new();
    let texts: Vec<&str> = home.texts.iter().map(String::as_str).collect();
    let vectors = words.embed_documents(&texts).expect("vectors");
    let row_of: HashMap<&str, usize> =
        texts.iter().enumerate().map(|(row, text)| (tail(text), row)).collect();
    let client = Client::new(&server.url, &server.token);
    let mut n_found = 0;
    for query in queries(N_EXACT, 13) {
        let vector = words.embed_query(&query).expect("a vector");
        let cosine = |row: &Vec<f32>| row.iter().zip(&vector).map(|(a, b)| a * b).sum::<f32>();
        let mut exact: Vec<(f32, usize)> =
            vectors.iter().enumerate().map(|(row, values)| (cosine(values), row)).collect();
        exact.select_nth_unstable_by(10, |a, b| b.0.total_cmp(&a.0));
        let said = client.rest(&json!({"query": query, "mode": "semantic", "limit": 10}));
        let said: Value = serde_json::from_str(&said).expect("json");
        let found: Vec<usize> = said["results"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|hit| row_of.get(tail(hit["citation"]["quote"].as_str()?)).copied())
            .collect();
        n_found += exact[..10].iter().filter(|(_, row)| found.contains(row)).count();
    }
    Some(n_found as f64 / (N_EXACT * 10) as f64)
}

/// What tells one chunk from all others: its last words.
fn tail(text: &str) -> &str {
    let text = text.trim_end();
    &text[text.len().saturating_sub(80)..]
}

/// Texts, vectors and queries, as `benches/peers/products.py` reads them.
fn export(folder: &Path, home: &Home, line: &Value) {
    std::fs::create_dir_all(folder).expect("a folder");
    let file = |name: &str| BufWriter::new(std::fs::File::create(folder.join(name)).expect("a file"));
    let words = OfWords::new();
    let write_vectors = |name: &str, texts: &[&str]| {
        let mut out = file(name);
        for vector in words.embed_documents(texts).expect("vectors") {
            assert_eq!(vector.len(), DIM);
            vector.iter().for_each(|value| out.write_all(&value.to_le_bytes()).expect("a value"));
        }
    };
    let texts: Vec<&str> = home.texts.iter().map(String::as_str).collect();
    let mut out = file("texts.jsonl");
    for (row, text) in texts.iter().enumerate() {
        writeln!(out, "{}", json!({"path": format!("{row}"), "text": text})).expect("a line");
    }
    write_vectors("vectors.f32", &texts);
    let asked = queries(N_QUERIES, 13);
    let mut out = file("queries.jsonl");
    asked.iter().for_each(|query| writeln!(out, "{}", json!({"text": query})).expect("a line"));
    write_vectors("query_vectors.f32", &asked.iter().map(String::as_str).collect::<Vec<_>>());
    let mut line = line.clone();
    line["rows"] = json!(texts.len());
    line["start_ms"] = line["open_ms"].clone();
    std::fs::write(folder.join("waypost.json"), line.to_string()).expect("a file");
}

fn numbers_of(name: &str, otherwise: &str) -> Vec<usize> {
    let text = std::env::var(name).unwrap_or_else(|_| otherwise.to_owned());
    text.split(',').filter_map(|number| number.trim().parse().ok()).collect()
}

fn main() {
    if let Some(home) = std::env::var_os(SERVE) {
        return serve(Path::new(&home));
    }
    // `cargo test` runs benches too, to see that they build; the measuring is for `cargo bench`.
    if !std::env::args().any(|argument| argument == "--bench") {
        return;
    }
    let export_to = std::env::var_os("WAYPOST_BENCH_EXPORT").map(PathBuf::from);
    for n_chunks in numbers_of("WAYPOST_BENCH_CHUNKS", "1000,10000") {
        let home = Home::fill(n_chunks, 1, export_to.is_some());
        let line = measure(&home, "chunks", n_chunks, None);
        if let Some(folder) = &export_to {
            export(folder, &home, &line);
        }
    }
    for n_workspaces in numbers_of("WAYPOST_BENCH_WORKSPACES", "1,10,100") {
        measure(&Home::fill(CHUNKS, n_workspaces, false), "workspaces", n_workspaces, None);
    }
    for n_principals in numbers_of("WAYPOST_BENCH_PRINCIPALS", "1,1000") {
        let home = Home::fill(CHUNKS, 1, false);
        let token = home.govern(n_principals);
        measure(&home, "principals", n_principals, Some(&token));
    }
}
