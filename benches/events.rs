//! How soon does a change reach a webhook, and what do many webhooks cost the one who writes?
//!
//! Data: small text files of one workspace, written through the library in this process; receivers are real HTTP servers
//! on loopback, in this process as well, so they take their share of the same two cores. Three questions:
//! 1. at 100 writes a second, the time from the begin of a write to its arrival at one webhook (p50, p99);
//! 2. the same for files that another program writes into the folder;
//! 3. a durable write with 50 matching webhooks against one with none, in turns: as fast as it goes, and at 20 a second.
//!
//! It does not tell what the index costs: no indexer runs but for the second question.
//!
//! `cargo bench --workspace --bench events`

use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::StatusCode;
use waypost_engine::api::{Engine, EngineOptions, Indexer, NewWebhook, Reach, Session, WriteOptions};
use waypost_engine::id::WorkspaceName;

const WRITES_A_SECOND: u32 = 100;
const N_LATENCY: usize = 2000;
const N_OUTSIDE: usize = 40;
const N_WEBHOOKS: usize = 50;
const N_COST: usize = 300;
const ROUNDS: usize = 4;

/// When each path arrived first.
type Arrivals = Arc<Mutex<HashMap<String, Instant>>>;

struct Receiver {
    address: SocketAddr,
    arrivals: Arrivals,
    _runtime: tokio::runtime::Runtime,
}

async fn take(State(arrivals): State<Arrivals>, body: Bytes) -> StatusCode {
    let at = Instant::now();
    let event: serde_json::Value = serde_json::from_slice(&body).expect("an event");
    let path = event["path"].as_str().expect("a path").to_owned();
    arrivals.lock().expect("no panic").entry(path).or_insert(at);
    StatusCode::NO_CONTENT
}

fn receiver() -> Receiver {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("threads");
    let arrivals = Arrivals::default();
    let router = Router::new().fallback(take).with_state(Arc::clone(&arrivals));
    let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).expect("a port");
    let address = listener.local_addr().expect("an address");
    runtime.spawn(async move { axum::serve(listener, router).await });
    Receiver { address, arrivals, _runtime: runtime }
}

fn open(home: &Path) -> Arc<Engine> {
    let reach = Reach::new(&["127.0.0.1".to_owned()]).expect("an address");
    let engine = Arc::new(Engine::open(EngineOptions::new(home).reach(reach)).expect("a home"));
    engine.create_workspace(&WorkspaceName::new("w").expect("a name")).expect("a workspace");
    engine
}

fn subscribe(session: &Session, address: SocketAddr, paths: &str) -> String {
    let new = NewWebhook {
        url: format!("http://{address}/hook"),
        paths: vec![paths.to_owned()],
        ..NewWebhook::default()
    };
    session.create_webhook(&new).expect("a webhook").id
}

fn write(session: &Session, path: &str) {
    session.write_file(path, path.as_bytes(), &WriteOptions::default()).expect("a write");
}

fn wait_for(arrivals: &Arrivals, count: usize) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while arrivals.lock().expect("no panic").len() < count {
        assert!(Instant::now() < deadline, "only {} of {count}", arrivals.lock().expect("no panic").len());
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn at(sorted: &[f64], share: f64) -> f64 {
    sorted[((sorted.len() - 1) as f64 * share) as usize]
}

fn show(name: &str, mut all: Vec<f64>) {
    all.sort_by(f64::total_cmp);
    println!(
        "  {name:44} p50 {:7.2} ms   p99 {:7.2} ms   longest {:7.2} ms",
        at(&all, 0.5),
        at(&all, 0.99),
        at(&all, 1.0)
    );
}

fn delays(begun: &HashMap<String, Instant>, arrivals: &Arrivals) -> Vec<f64> {
    let arrivals = arrivals.lock().expect("no panic");
    begun.iter().map(|(path, begun)| arrivals[path].duration_since(*begun).as_secs_f64() * 1e3).collect()
}

fn latency() {
    let folder = tempfile::tempdir().expect("a folder");
    let engine = open(folder.path());
    let session = engine.owner_session();
    let _courier = engine.start_courier();
    let receiver = receiver();
    subscribe(&session, receiver.address, "/w/**");
    let pace = Duration::from_secs(1) / WRITES_A_SECOND;
    let mut begun = HashMap::new();
    let first = Instant::now();
    for n in 0..N_LATENCY {
        let due = first + pace * n as u32;
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
        let path = format!("/w/f{n}.md");
        begun.insert(path.clone(), Instant::now());
        write(&session, &path);
    }
    wait_for(&receiver.arrivals, N_LATENCY);
    show(&format!("write to arrival, {WRITES_A_SECOND} writes a second"), delays(&begun, &receiver.arrivals));

    let _indexer = Indexer::start(&engine);
    std::thread::sleep(Duration::from_secs(1));
    let mut begun = HashMap::new();
    for n in 0..N_OUTSIDE {
        let name = format!("outside{n}.md");
        begun.insert(format!("/w/{name}"), Instant::now());
        std::fs::write(folder.path().join("workspaces/w").join(name), "Outside.").expect("a file");
        std::thread::sleep(Duration::from_millis(150));
    }
    wait_for(&receiver.arrivals, N_LATENCY + N_OUTSIDE);
    show("edit of another program to arrival", delays(&begun, &receiver.arrivals));
}

/// Milliseconds of each write.
fn times(session: &Session, round: &str, pace: Option<Duration>) -> Vec<f64> {
    let first = Instant::now();
    (0..N_COST)
        .map(|n| {
            if let Some(pace) = pace {
                std::thread::sleep((first + pace * n as u32).saturating_duration_since(Instant::now()));
            }
            let begun = Instant::now();
            write(session, &format!("/w/{round}-{n}.md"));
            begun.elapsed().as_secs_f64() * 1e3
        })
        .collect()
}

/// The mean of the ratios of rounds that follow each other: the disk's mood is that of both.
fn cost(name: &str, pace: Option<Duration>) {
    let mut ratios = Vec::new();
    let (mut all_without, mut all_with) = (Vec::new(), Vec::new());
    for round in 0..ROUNDS {
        let run = |n_webhooks: usize| {
            let folder = tempfile::tempdir().expect("a folder");
            let engine = open(folder.path());
            let session = engine.owner_session();
            let _courier = engine.start_courier();
            let receiver = receiver();
            (0..n_webhooks).for_each(|_| drop(subscribe(&session, receiver.address, "/w/**")));
            times(&session, &format!("warm{round}"), Some(Duration::from_millis(1)));
            times(&session, &format!("r{round}"), pace)
        };
        let (without, with) = (run(0), run(N_WEBHOOKS));
        let mean = |times: &[f64]| times.iter().sum::<f64>() / times.len() as f64;
        ratios.push(mean(&with) / mean(&without));
        all_without.extend(without);
        all_with.extend(with);
    }
    show(&format!("{name}: without webhooks"), all_without);
    show(&format!("{name}: with {N_WEBHOOKS}"), all_with);
    let mean = ratios.iter().sum::<f64>() / ratios.len() as f64;
    println!("  {name}: {mean:.2} x the mean time of one without; rounds {ratios:.2?}");
}

fn main() {
    latency();
    cost("20 writes a second", Some(Duration::from_millis(50)));
    cost("as fast as it goes", None);
}
