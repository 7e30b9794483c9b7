//! A server in this process, and clients of it, as benches over HTTP need them.

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::sync::oneshot;
use waypost::serve::{ServeOptions, serve_until};
use waypost_engine::api::{Engine, Indexer, Session};

/// A server on a port of loopback, until it is dropped.
pub struct Served {
    pub engine: Arc<Engine>,
    pub url: String,
    pub token: String,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Served {
    pub fn start(engine: Engine) -> Self {
        let engine = Arc::new(engine);
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
        Self { engine, url: format!("http://{address}"), token, stop: Some(stop), thread: Some(thread) }
    }

    pub fn session(&self) -> Session {
        self.engine.owner_session()
    }

    /// Waits until so many files of a workspace are in the index, vectors included; gives the time it took.
    pub fn wait_until_indexed(&self, workspace: &str, n_files: usize, at_most: Duration) -> Duration {
        let begun = Instant::now();
        loop {
            let found = self.session().workspace(workspace).expect("it is there");
            if found.index.pending_files == 0 && found.indexed_files == n_files as u64 {
                return begun.elapsed();
            }
            assert!(begun.elapsed() < at_most, "not indexed in time");
            std::thread::sleep(Duration::from_millis(50));
        }
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
pub struct Client {
    url: String,
    token: String,
    agent: ureq::Agent,
    /// Of the older era; without one each request stands alone.
    session: Option<String>,
}

impl Client {
    pub fn new(url: &str, token: &str) -> Self {
        let config = ureq::Agent::config_builder().timeout_global(Some(Duration::from_secs(60))).proxy(None);
        let (url, token) = (url.to_owned(), token.to_owned());
        Self { url, token, agent: config.build().new_agent(), session: None }
    }

    pub fn with_session(url: &str, token: &str) -> Self {
        let mut client = Self::new(url, token);
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
            .post(format!("{}{path}", self.url))
            .header("authorization", format!("Bearer {}", self.token))
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

    /// `POST /v1/search`; the answer as it came.
    pub fn rest(&self, request: &Value) -> String {
        let (said, _) = self.post("/v1/search", request, &[]);
        assert!(said.contains("\"results\":[{"), "{said}");
        said
    }

    /// The tool `search`, in the era of this client.
    pub fn mcp(&self, query: &str) {
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
pub fn timed<T>(act: impl FnOnce() -> T) -> (f64, T) {
    let begun = Instant::now();
    let made = act();
    (begun.elapsed().as_secs_f64() * 1e3, made)
}

/// The value below which this share of all lies.
pub fn percentile(all: &mut [f64], share: f64) -> f64 {
    all.sort_by(f64::total_cmp);
    all[((all.len() - 1) as f64 * share) as usize]
}

/// A line of the process's status, in bytes (proc(5)): `VmHWM`, `RssAnon`, `VmRSS`.
pub fn memory_of(process: u32, line: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    let found = status.lines().find(|text| text.starts_with(line)).unwrap_or_default();
    found.split_whitespace().nth(1).and_then(|kib| kib.parse::<u64>().ok()).unwrap_or(0) * 1024
}
