//! What does MCP add to a search, and does the server hold still under many sessions and many calls?
//!
//! Data: 2,500 files of four sections each, 10,000 chunks of words by Zipf's law, with vectors made of their words; so the
//! query's own embedding costs next to nothing, as with a warm cache. Server and clients share this process and its
//! cores: the clients' work is in the figures. Three questions:
//! 1. one client, one call at a time: `search` in the engine, over REST, over MCP in both eras, and beside them an exchange
//!    of the same bytes with a server that does nothing, in turns (p50, p99);
//! 2. sixty-four sessions, each calling once, twice and four times a second, and then as fast as they can (p50, p99);
//! 3. resident memory over 100,000 calls (`WAYPOST_BENCH_CALLS`).
//!
//! `cargo bench --workspace --bench mcp`

mod made;
#[path = "made/served.rs"]
mod served;

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::serve::ListenerExt as _;
use serde_json::{Value, json};
use waypost_engine::api::{Engine, EngineOptions, SearchRequest};
use waypost_engine::embed::Embedder;
use waypost_engine::id::WorkspaceName;

use made::{Numbers, OfWords, write_files};
use served::{Client, Served, memory_of, percentile, timed};

const N_FILES: usize = 2_500;
const N_QUERIES: usize = 200;
const N_TURNS: usize = 500;
const N_SESSIONS: usize = 64;
/// Calls of one session in a second, which is what an agent does that thinks about what it finds; `None`: one after the other.
const PACES: [Option<u32>; 5] = [Some(1), Some(2), Some(4), Some(8), None];
const CALLS_OF_ONE: usize = 40;

/// The server over its files, and what is asked of it.
struct Asked {
    served: Served,
    queries: Vec<String>,
    _folder: tempfile::TempDir,
}

impl Asked {
    fn start() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let docs = folder.path().join("docs");
        let mut numbers = Numbers(3);
        let n_chunks = write_files(&docs, N_FILES, &mut numbers);
        let embedder: Arc<dyn Embedder> = Arc::new(OfWords::new());
        let options = EngineOptions::new(folder.path().join("home")).embedder(Some(embedder));
        let engine = Engine::open(options).expect("a home");
        engine.attach(&WorkspaceName::new("docs").expect("a name"), &docs).expect("a workspace");
        let served = Served::start(engine);
        let took = served.wait_until_indexed("docs", N_FILES, Duration::from_secs(600));
        println!("{n_chunks} chunks indexed in {:.1} s", took.as_secs_f64());
        Self { served, queries: (0..N_QUERIES).map(|_| numbers.words(3)).collect(), _folder: folder }
    }

    fn query(&self, turn: usize) -> &str {
        &self.queries[turn % self.queries.len()]
    }

    fn client(&self) -> Client {
        Client::with_session(&self.served.url, &self.served.token)
    }
}

fn show(name: &str, mut all: Vec<f64>) -> f64 {
    let mut at = |share: f64| percentile(&mut all, share);
    println!("  {name:52} p50 {:7.2} ms   p99 {:7.2} ms   longest {:7.2} ms", at(0.5), at(0.99), at(1.0));
    at(0.5)
}

/// A server that reads what it is sent and answers always the same: what HTTP costs on this machine. Gives its address.
fn bare(answer: String) -> String {
    let (tell, told) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("threads");
        runtime.block_on(async move {
            let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
            tell.send(listener.local_addr().expect("an address")).expect("somebody waits");
            let answer = move |_: String| std::future::ready(answer.clone());
            let app = axum::Router::new().route("/v1/search", axum::routing::post(answer));
            let listener = listener.tap_io(|stream| stream.set_nodelay(true).expect("a socket"));
            axum::serve(listener, app).await.expect("it serves");
        });
    });
    format!("http://{}", told.recv().expect("it starts"))
}

fn in_turns(asked: &Asked) {
    let session = asked.served.session();
    let (older, newer) = (asked.client(), Client::new(&asked.served.url, &asked.served.token));
    let engine = |query: &str| {
        let request = SearchRequest { query: query.to_owned(), ..SearchRequest::default() };
        assert!(!session.search(&request).expect("hits").results.is_empty());
    };
    let bare = Client::new(&bare(newer.rest(&json!({"query": asked.query(0)}))), &asked.served.token);
    let mut times: [Vec<f64>; 6] = Default::default();
    for turn in 0..N_TURNS + N_QUERIES {
        let query = asked.query(turn);
        let alone = timed(|| engine(query)).0;
        let (rest, said) = timed(|| newer.rest(&json!({"query": query})));
        let said: Value = serde_json::from_str(&said).expect("json");
        let inside = said["took_ms"].as_f64().expect("its time");
        let exchange = timed(|| bare.rest(&json!({"query": query}))).0;
        let took =
            [alone, exchange, inside, rest, timed(|| newer.mcp(query)).0, timed(|| older.mcp(query)).0];
        // The first time over all queries warms up.
        if turn >= N_QUERIES {
            times.iter_mut().zip(took).for_each(|(times, took)| times.push(took));
        }
    }
    println!("one client, one call at a time, {N_TURNS} searches each, in turns:");
    let [engine, exchange, inside, rest, newer, older] = times;
    let engine = show("the engine itself", engine);
    show("an exchange of the same bytes, nothing done", exchange);
    show("the engine in the server, for REST", inside);
    let others = [("REST", rest), ("MCP 2026-07-28", newer), ("MCP 2025-11-25, a session", older)];
    for (name, times) in others {
        let p50 = show(name, times);
        println!("    adds {:.2} ms at p50", p50 - engine);
    }
}

fn crowd(asked: &Asked, clients: &[Client], pace: Option<Duration>) -> Vec<f64> {
    let begun = Instant::now();
    let run = |number: usize| {
        let client = &clients[number];
        let first = Instant::now();
        let mut times = Vec::with_capacity(CALLS_OF_ONE);
        for call in 0..CALLS_OF_ONE {
            if let Some(pace) = pace {
                let due = first + pace * call as u32 + pace * number as u32 / N_SESSIONS as u32;
                std::thread::sleep(due.saturating_duration_since(Instant::now()));
            }
            times.push(timed(|| client.mcp(asked.query(number * 31 + call))).0);
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

fn memory(asked: &Asked, n_calls: usize) {
    println!("resident memory over {n_calls} calls of four clients, clients and server together:");
    let per_step = n_calls / 5;
    for step in 0..=5 {
        println!(
            "  after {:7} calls {:7.1} MiB",
            step * per_step,
            memory_of(std::process::id(), "VmRSS") as f64 / (1 << 20) as f64
        );
        if step < 5 {
            std::thread::scope(|scope| {
                for number in 0..4 {
                    scope.spawn(move || {
                        let client = asked.client();
                        (0..per_step / 4).for_each(|call| client.mcp(asked.query(number * 31 + call)));
                    });
                }
            });
        }
    }
}

fn main() {
    let n_calls =
        std::env::var("WAYPOST_BENCH_CALLS").ok().and_then(|text| text.parse().ok()).unwrap_or(100_000);
    let asked = Asked::start();
    in_turns(&asked);
    println!("{N_SESSIONS} sessions:");
    let clients: Vec<Client> = (0..N_SESSIONS).map(|_| asked.client()).collect();
    for pace in PACES {
        let name = pace.map_or("as fast as they can".to_owned(), |n| format!("{n} calls a second each"));
        let times = crowd(&asked, &clients, pace.map(|n| Duration::from_secs(1) / n));
        show(&name, times);
    }
    memory(&asked, n_calls);
}
