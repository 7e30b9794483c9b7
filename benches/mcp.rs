//! What does MCP add to a search, and does the server hold still under many sessions and many calls?
//!
//! Data: 2,500 files of four sections each, 10,000 chunks of words by Zipf's law, with vectors made of their words; so the
//! query's own embedding costs next to nothing, as with a warm cache. Server and clients share this process and its
//! cores: the clients' work is in the figures. Three questions:
//! 1. one client, one call at a time: `search` in the engine, over REST, over MCP in both eras, in turns (p50, p99);
//! 2. sixty-four sessions, each calling ten times a second, and then as fast as they can (p50, p99);
//! 3. resident memory over 100,000 calls (`WAYPOST_BENCH_CALLS`).
//!
//! `cargo bench --workspace --bench mcp`

mod made;

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::sync::oneshot;
use waypost::serve::{ServeOptions, serve_until};
use waypost_engine::api::{Engine, EngineOptions, Indexer, SearchRequest, Session};
use waypost_engine::embed::Embedder;
use waypost_engine::id::WorkspaceName;

use made::{Numbers, OfWords, write_files};

const N_FILES: usize = 2_500;
const N_QUERIES: usize = 200;
const N_TURNS: usize = 500;
const N_SESSIONS: usize = 64;
const CALLS_A_SECOND: u32 = 10;
const CALLS_OF_ONE: usize = 100;

/// A server in this process.
struct Served {
    engine: Arc<Engine>,
    url: String,
    token: String,
    queries: Vec<String>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<std::thread::JoinHandle<()>>,
    _folder: tempfile::TempDir,
}

impl Served {
    fn start() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let docs = folder.path().join("docs");
        let mut numbers = Numbers(3);
        let n_chunks = write_files(&docs, N_FILES, &mut numbers);
        let embedder: Arc<dyn Embedder> = Arc::new(OfWords::new());
        let options = EngineOptions::new(folder.path().join("home")).embedder(Some(embedder));
        let engine = Arc::new(Engine::open(options).expect("a home"));
        engine.attach(&WorkspaceName::new("docs").expect("a name"), &docs).expect("a workspace");
        let token = engine.issue_admin_token().expect("a token");
        let (stop, stopped) = oneshot::channel::<()>();
        let (tell, told) = std::sync::mpsc::channel();
        let served = Arc::clone(&engine);
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("threads");
            let options = ServeOptions {
                listen: "127.0.0.1:0".parse().expect("an address"),
                allowed_hosts: Vec::new(),
                allowed_origins: Vec::new(),
                upstreams: Default::default(),
                edge: Default::default(),
            };
            let indexer = Indexer::start(&served);
            let on_ready = move |address| tell.send(address).expect("somebody waits");
            let until = async { drop(stopped.await) };
            runtime.block_on(serve_until(served, indexer, options, on_ready, until)).expect("it serves");
        });
        let address: std::net::SocketAddr = told.recv().expect("it starts");
        let queries = (0..N_QUERIES).map(|_| numbers.words(3)).collect();
        let url = format!("http://{address}");
        let served =
            Self { engine, url, token, queries, stop: Some(stop), thread: Some(thread), _folder: folder };
        served.wait_until_indexed(n_chunks);
        served
    }

    fn session(&self) -> Session {
        self.engine.owner_session()
    }

    fn wait_until_indexed(&self, n_chunks: usize) {
        let begun = Instant::now();
        loop {
            let workspace = self.session().workspace("docs").expect("it is there");
            if workspace.index.pending_files == 0 && workspace.indexed_files == N_FILES as u64 {
                println!("{n_chunks} chunks indexed in {:.1} s", begun.elapsed().as_secs_f64());
                return;
            }
            assert!(begun.elapsed() < Duration::from_secs(600), "not indexed in time");
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    fn query(&self, turn: usize) -> &str {
        &self.queries[turn % self.queries.len()]
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
    }
}

/// One client with one connection.
struct Client<'a> {
    served: &'a Served,
    agent: ureq::Agent,
    /// Of the older era; without one each request stands alone.
    session: Option<String>,
}

impl<'a> Client<'a> {
    fn new(served: &'a Served) -> Self {
        let config = ureq::Agent::config_builder().timeout_global(Some(Duration::from_secs(60))).proxy(None);
        Self { served, agent: config.build().new_agent(), session: None }
    }

    fn with_session(served: &'a Served) -> Self {
        let mut client = Self::new(served);
        let hello = json!({"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "bench", "version": "1"}});
        let (said, session) = client.post(
            "/mcp",
            &json!({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": hello}),
            &[],
        );
        assert!(said.contains("waypost"), "{said}");
        client.session = session;
        client.post("/mcp", &json!({"jsonrpc": "2.0", "method": "notifications/initialized"}), &[]);
        client
    }

    fn post(&self, path: &str, body: &Value, more: &[(&str, &str)]) -> (String, Option<String>) {
        let mut request = self
            .agent
            .post(format!("{}{path}", self.served.url))
            .header("authorization", format!("Bearer {}", self.served.token))
            .header("content-type", "application/json")
            .header("accept", "application/json, text/event-stream");
        if let Some(session) = &self.session {
            request = request.header("mcp-session-id", session);
        }
        for (name, value) in more {
            request = request.header(*name, *value);
        }
        let mut response = request.send(body.to_string()).expect("an answer");
        let session =
            response.headers().get("mcp-session-id").and_then(|id| id.to_str().ok()).map(str::to_owned);
        (response.body_mut().read_to_string().expect("a text"), session)
    }

    fn rest(&self, query: &str) {
        let (said, _) = self.post("/v1/search", &json!({"query": query}), &[]);
        assert!(said.contains("\"results\":[{"), "{said}");
    }

    fn mcp(&self, query: &str) {
        let mut params = json!({"name": "search", "arguments": {"query": query}});
        let mut more = Vec::new();
        if self.session.is_none() {
            params["_meta"] = json!({
                "io.modelcontextprotocol/protocolVersion": "2026-07-28",
                "io.modelcontextprotocol/clientCapabilities": {},
                "io.modelcontextprotocol/clientInfo": {"name": "bench", "version": "1"},
            });
            more = vec![
                ("mcp-protocol-version", "2026-07-28"),
                ("mcp-method", "tools/call"),
                ("mcp-name", "search"),
            ];
        }
        let call = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params});
        let (said, _) = self.post("/mcp", &call, &more);
        assert!(said.contains("structuredContent") && !said.contains("\"isError\":true"), "{said}");
    }
}

/// Milliseconds that `act` takes.
fn timed(act: impl FnOnce()) -> f64 {
    let begun = Instant::now();
    act();
    begun.elapsed().as_secs_f64() * 1e3
}

fn show(name: &str, mut all: Vec<f64>) -> f64 {
    all.sort_by(f64::total_cmp);
    let at = |share: f64| all[((all.len() - 1) as f64 * share) as usize];
    println!("  {name:52} p50 {:7.2} ms   p99 {:7.2} ms   longest {:7.2} ms", at(0.5), at(0.99), at(1.0));
    at(0.5)
}

fn in_turns(served: &Served) {
    let session = served.session();
    let (older, newer) = (Client::with_session(served), Client::new(served));
    let engine = |query: &str| {
        let request = SearchRequest { query: query.to_owned(), ..SearchRequest::default() };
        assert!(!session.search(&request).expect("hits").results.is_empty());
    };
    let mut times: [Vec<f64>; 4] = Default::default();
    for turn in 0..N_TURNS + N_QUERIES {
        let query = served.query(turn);
        let took = [
            timed(|| engine(query)),
            timed(|| newer.rest(query)),
            timed(|| newer.mcp(query)),
            timed(|| older.mcp(query)),
        ];
        // The first time over all queries warms up.
        if turn >= N_QUERIES {
            times.iter_mut().zip(took).for_each(|(times, took)| times.push(took));
        }
    }
    println!("one client, one call at a time, {N_TURNS} searches each, in turns:");
    let [engine, rest, newer, older] = times;
    let engine = show("the engine itself", engine);
    let others = [("REST", rest), ("MCP 2026-07-28", newer), ("MCP 2025-11-25, a session", older)];
    for (name, times) in others {
        let p50 = show(name, times);
        println!("    adds {:.2} ms at p50", p50 - engine);
    }
}

fn crowd(served: &Served, pace: Option<Duration>) -> Vec<f64> {
    let begun = Instant::now();
    let run = |number: usize| {
        let client = Client::with_session(served);
        let first = Instant::now();
        let mut times = Vec::with_capacity(CALLS_OF_ONE);
        for call in 0..CALLS_OF_ONE {
            if let Some(pace) = pace {
                let due = first + pace * call as u32 + pace * number as u32 / N_SESSIONS as u32;
                std::thread::sleep(due.saturating_duration_since(Instant::now()));
            }
            times.push(timed(|| client.mcp(served.query(number * 31 + call))));
        }
        times
    };
    let all: Vec<f64> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..N_SESSIONS).map(|number| scope.spawn(move || run(number))).collect();
        threads.into_iter().flat_map(|thread| thread.join().expect("no panic")).collect()
    });
    println!("    {:.0} calls a second", all.len() as f64 / begun.elapsed().as_secs_f64());
    all
}

/// Resident memory of this process in MiB (proc(5), `statm`, pages of 4 KiB).
fn resident_mib() -> f64 {
    let text = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages: f64 = text.split(' ').nth(1).and_then(|pages| pages.parse().ok()).unwrap_or(f64::NAN);
    pages * 4.0 / 1024.0
}

fn memory(served: &Served, n_calls: usize) {
    println!("resident memory over {n_calls} calls of four clients, clients and server together:");
    let per_step = n_calls / 5;
    for step in 0..=5 {
        println!("  after {:7} calls {:7.1} MiB", step * per_step, resident_mib());
        if step < 5 {
            std::thread::scope(|scope| {
                for number in 0..4 {
                    scope.spawn(move || {
                        let client = Client::with_session(served);
                        (0..per_step / 4).for_each(|call| client.mcp(served.query(number * 31 + call)));
                    });
                }
            });
        }
    }
}

fn main() {
    let n_calls =
        std::env::var("WAYPOST_BENCH_CALLS").ok().and_then(|text| text.parse().ok()).unwrap_or(100_000);
    let served = Served::start();
    in_turns(&served);
    println!("{N_SESSIONS} sessions:");
    show("ten calls a second each", crowd(&served, Some(Duration::from_secs(1) / CALLS_A_SECOND)));
    show("as fast as they can", crowd(&served, None));
    memory(&served, n_calls);
}
