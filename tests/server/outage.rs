//! Webhooks over outages: the server is killed again and again while receivers fail, hang, and take.
//!
//! The long form is `WAYPOST_OUTAGE_EVENTS=10000 cargo nextest run -p waypost --test server outage`.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, ChildStderr, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::receiver::{Answer, Receiver};
use crate::support::bare_command;

/// Paths that are written, each by one writer alone.
const N_PATHS: usize = 40;
const N_WRITERS: usize = 4;

/// The binary, serving a home; killed when it goes.
pub struct Process {
    child: Child,
    pub url: String,
    pub token: Option<String>,
}

impl Process {
    /// With impatient webhooks, which may reach this machine.
    pub fn start(home: &Path, listen: &str) -> Self {
        let variables = [
            ("WAYPOST_NET_ALLOW", "127.0.0.1"),
            ("WAYPOST_WEBHOOK_RETRY_SECONDS", "0.05,0.1,0.2,0.4"),
            ("WAYPOST_WEBHOOK_TIMEOUT_SECONDS", "1"),
            ("WAYPOST_WEBHOOK_PAUSE_AFTER_SECONDS", "15"),
        ];
        Self::start_with(home, listen, &variables, Stdio::null())
    }

    /// With these variables of the environment; its log goes where it is told.
    pub fn start_with(home: &Path, listen: &str, variables: &[(&str, &str)], log: Stdio) -> Self {
        let mut child = bare_command()
            .args(["serve", "--offline", "--json", "--listen", listen, "--home"])
            .arg(home)
            .env("WAYPOST_MODELS", home.join("no-models"))
            .envs(variables.iter().copied())
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let announced: Value = serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}"));
        Self {
            child,
            url: announced["url"].as_str().unwrap().to_owned(),
            token: announced["token"].as_str().map(str::to_owned),
        }
    }

    /// Its log, where that was piped.
    pub fn log(&mut self) -> ChildStderr {
        self.child.stderr.take().unwrap()
    }

    /// Stops it as an operator does; it ends well.
    pub fn stop(&mut self) {
        assert!(Command::new("kill").arg(self.pid().to_string()).status().unwrap().success());
        assert!(self.child.wait().unwrap().success());
    }
}

impl Process {
    /// Of the system.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A client that goes on when the server is away.
#[derive(Clone)]
struct Client {
    url: String,
    token: String,
    agent: ureq::Agent,
}

impl Client {
    fn try_send(&self, method: &str, path: &str, body: &str) -> Option<Value> {
        let request = ureq::http::Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.url))
            .header("authorization", format!("Bearer {}", self.token))
            .header("content-type", "application/json")
            .body(body.as_bytes().to_vec())
            .unwrap();
        let mut response = self.agent.run(request).ok()?;
        let text = response.body_mut().read_to_string().ok()?;
        assert!(response.status().as_u16() < 500 || response.status() == 503, "{path}: {text}");
        response.status().is_success().then(|| serde_json::from_str(&text).unwrap_or(Value::Null))
    }

    fn send(&self, method: &str, path: &str, body: &str) -> Value {
        let deadline = Instant::now() + Duration::from_secs(120);
        loop {
            if let Some(value) = self.try_send(method, path, body) {
                return value;
            }
            assert!(Instant::now() < deadline, "{method} {path} never succeeded");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Every event of the journal of one path family, oldest first: id and path.
    fn events(&self) -> Vec<(String, String)> {
        let mut after = "sq_000000000000".to_owned();
        let mut all = Vec::new();
        loop {
            let query = format!("/v1/events/wait?after={after}&timeout_seconds=0&limit=1000&kinds=file.*");
            let page = self.send("GET", &query, "");
            let items = page["items"].as_array().unwrap();
            for item in items {
                all.push((text(&item["id"]), text(&item["path"])));
            }
            if items.is_empty() {
                return all;
            }
            after = text(&page["next"]);
        }
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("{value} is no text")).to_owned()
}

/// Ids in the order in which they were taken.
type Taken = Arc<Mutex<Vec<(String, String)>>>;

fn taking(fails: impl Fn(usize) -> bool + Send + Sync + 'static) -> (Receiver, Taken) {
    let taken = Taken::default();
    let kept = Arc::clone(&taken);
    let receiver = Receiver::start(move |n, got| {
        if fails(n) {
            return Answer::Status(500);
        }
        kept.lock().unwrap().push((got.id.clone(), got.path()));
        Answer::Status(200)
    });
    (receiver, taken)
}

/// 0 to 99, in no order that fits the retries (the finalizer of SplitMix64).
fn chance(n: usize, receiver: usize) -> u64 {
    let mut mixed = (n * 31 + receiver) as u64 ^ 0x9E37_79B9_7F4A_7C15;
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    (mixed ^ (mixed >> 31)) % 100
}

fn distinct(taken: &Taken) -> usize {
    taken.lock().unwrap().iter().map(|(id, _)| id.as_str()).collect::<BTreeSet<_>>().len()
}

fn wait_for(what: &str, patience: Duration, mut is_done: impl FnMut() -> Result<(), String>) {
    let deadline = Instant::now() + patience;
    while let Err(state) = is_done() {
        assert!(Instant::now() < deadline, "{what}: {state}");
        std::thread::sleep(Duration::from_millis(100));
    }
}

#[test]
fn every_event_arrives_over_kills_failures_and_silence() {
    let n_events: usize =
        std::env::var("WAYPOST_OUTAGE_EVENTS").map_or(400, |text| text.parse().expect("a number"));
    let (n_good, n_flaky, n_silent, n_kills) = if n_events > 1000 { (13, 5, 2, 10) } else { (4, 2, 1, 3) };
    let patience = Duration::from_secs(120 + n_events as u64 / 10);

    let folder = tempfile::tempdir().unwrap();
    let home = folder.path().join("home");
    let mut server = Some(Process::start(&home, "127.0.0.1:0"));
    let (url, token) = {
        let server = server.as_ref().unwrap();
        (server.url.clone(), server.token.clone().unwrap())
    };
    let listen = url.trim_start_matches("http://").to_owned();
    let agent = ureq::Agent::config_builder()
        .http_status_as_error(false)
        .timeout_global(Some(Duration::from_secs(20)))
        .proxy(None)
        .build()
        .new_agent();
    let client = Client { url, token, agent };
    client.send("POST", "/v1/workspaces", "{\"name\": \"docs\"}");

    let mut receivers = Vec::new();
    let mut subscribe = |receiver: Receiver| {
        let made = client.send(
            "POST",
            "/v1/webhooks",
            &json!({"url": receiver.url(), "kinds": "file.*"}).to_string(),
        );
        receivers.push(receiver);
        text(&made["id"])
    };
    let good: Vec<Taken> = (0..n_good)
        .map(|_| {
            let (receiver, taken) = taking(|_| false);
            subscribe(receiver);
            taken
        })
        .collect();
    let flaky: Vec<(String, Taken)> = (0..n_flaky)
        .map(|number| {
            let (receiver, taken) = taking(move |n| chance(n, number) < 40);
            (subscribe(receiver), taken)
        })
        .collect();
    let silent: Vec<String> =
        (0..n_silent).map(|_| subscribe(Receiver::start(|_, _| Answer::Silence))).collect();

    let acknowledged = Arc::new(AtomicUsize::new(0));
    let begun = Instant::now();
    std::thread::scope(|threads| {
        for writer in 0..N_WRITERS {
            let (client, acknowledged) = (client.clone(), Arc::clone(&acknowledged));
            threads.spawn(move || {
                for n in (writer..n_events).step_by(N_WRITERS) {
                    // Each path belongs to one writer.
                    let path = (n / N_WRITERS * N_WRITERS + writer) % N_PATHS;
                    client.send("PUT", &format!("/v1/files/docs/f{path}.md"), &format!("Event {n}."));
                    acknowledged.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        for kill in 1..=n_kills {
            let mark = n_events * kill / (n_kills + 1);
            wait_for("writes", patience, || {
                let count = acknowledged.load(Ordering::Relaxed);
                if count >= mark { Ok(()) } else { Err(format!("{count} of {mark}")) }
            });
            // `kill -9`: nothing is told, nothing is written any more.
            drop(server.take());
            server = Some(Process::start(&home, &listen));
        }
    });
    let written_in = begun.elapsed();

    let events = client.events();
    assert!(events.len() >= n_events, "{} events of {n_events} writes", events.len());
    let places: HashMap<&str, usize> =
        events.iter().enumerate().map(|(place, (id, _))| (id.as_str(), place)).collect();
    for (number, taken) in good.iter().enumerate() {
        wait_for(&format!("good receiver {number}"), patience, || {
            let count = distinct(taken);
            if count >= events.len() { Ok(()) } else { Err(format!("{count} of {}", events.len())) }
        });
    }
    let brought_in = begun.elapsed();
    for (id, taken) in &flaky {
        wait_for("flaky receiver", patience, || {
            // What is not there is a dead letter, or on its way; dead letters are brought by a replay.
            client.send("POST", &format!("/v1/webhooks/{id}/replay"), "{}");
            let count = distinct(taken);
            if count >= events.len() { Ok(()) } else { Err(format!("{count} of {}", events.len())) }
        });
    }

    let mut n_duplicates = 0;
    let mut n_taken = 0;
    for taken in good.iter().chain(flaky.iter().map(|(_, taken)| taken)) {
        let taken = taken.lock().unwrap();
        n_taken += taken.len();
        n_duplicates += taken.len() - taken.iter().map(|(id, _)| id).collect::<BTreeSet<_>>().len();
    }
    for taken in &good {
        let taken = taken.lock().unwrap();
        let mut seen: BTreeSet<&str> = BTreeSet::new();
        let mut last: BTreeMap<&str, usize> = BTreeMap::new();
        for (id, path) in taken.iter().filter(|(id, _)| places.contains_key(id.as_str())) {
            if !seen.insert(id) {
                continue;
            }
            let place = places[id.as_str()];
            let before = last.insert(path, place);
            assert!(before.is_none_or(|before| before < place), "{path}: {place} after {before:?}");
        }
    }
    // A kill has brought again what was sent in the instant before it: four under way to each endpoint, and those whose
    // outcome was not written yet, the more the busier the disk. Of few events that is a larger share.
    let allowed = (n_taken / 100).max(16 * (n_good + n_flaky) * n_kills);
    assert!(n_duplicates < allowed, "{n_duplicates} duplicates of {n_taken}");

    // Those that kept silent are paused by now; somewhere else they get everything.
    for id in &silent {
        wait_for("a silent endpoint is paused", patience, || {
            let webhook = client.send("GET", &format!("/v1/webhooks/{id}"), "");
            if webhook["active"] == false { Ok(()) } else { Err(webhook.to_string()) }
        });
        let (receiver, taken) = taking(|_| false);
        let change = json!({"active": true, "url": receiver.url()}).to_string();
        client.send("PATCH", &format!("/v1/webhooks/{id}"), &change);
        client.send("POST", &format!("/v1/webhooks/{id}/replay"), "{}");
        wait_for("a silent endpoint's backlog", patience, || {
            let count = distinct(&taken);
            if count >= events.len() { Ok(()) } else { Err(format!("{count} of {}", events.len())) }
        });
        receivers.push(receiver);
    }
    println!(
        "{} events of {n_events} writes to {n_good} good, {n_flaky} flaky, {n_silent} silent webhooks over {n_kills} \
         kills: written in {written_in:.1?}, brought to all good ones in {brought_in:.1?}, {n_taken} taken, \
         {n_duplicates} of them twice ({:.3} %)",
        events.len(),
        100.0 * n_duplicates as f64 / n_taken as f64
    );
}
