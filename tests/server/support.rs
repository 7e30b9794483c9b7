use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use serde_json::Value;
use tokio::sync::oneshot;
use waypost::serve::{Edge, ServeOptions, serve_until};
use waypost::upstream::Plan;
use waypost_engine::api::{Engine, EngineOptions, Indexer, Reach, Schedule};
use waypost_engine::id::WorkspaceName;

/// Until something that must happen has happened.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// A server with one workspace `docs`, stopped when it goes.
pub struct Server {
    pub address: SocketAddr,
    pub token: String,
    pub engine: Arc<Engine>,
    pub folder: tempfile::TempDir,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

/// What came back.
#[derive(Debug)]
pub struct Reply {
    pub status: u16,
    pub headers: ureq::http::HeaderMap,
    pub body: Vec<u8>,
}

impl Reply {
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.text()))
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// Status and code of a problem, after a look at its form.
    pub fn problem(&self) -> (u16, String) {
        assert_eq!(self.header("content-type"), "application/problem+json", "{}", self.text());
        let body = self.json();
        assert_eq!(body["status"], self.status, "{body}");
        for field in ["type", "title", "detail", "code"] {
            assert!(body[field].is_string(), "{field} in {body}");
        }
        (self.status, body["code"].as_str().unwrap().to_owned())
    }
}

impl Server {
    /// With the files of a fixture, each after a line `//- path`, all of them indexed.
    pub fn start(fixture: &str) -> Self {
        Self::start_with(|docs| write_fixture(docs, fixture))
    }

    /// With whatever `fill` puts into the folder of `docs`.
    pub fn start_with(fill: impl FnOnce(&Path)) -> Self {
        Self::start_as(fill, |options| options)
    }

    /// As [`Self::start`], with webhooks that may reach this machine and lose no time.
    pub fn start_quick(fixture: &str) -> Self {
        let schedule = Schedule {
            waits: [20, 40, 80].map(Duration::from_millis).into(),
            timeout: Duration::from_secs(2),
            pause_after: Duration::from_secs(600),
        };
        Self::start_hooked(fixture, schedule)
    }

    /// As [`Self::start`], with webhooks that may reach this machine and are as patient as this.
    pub fn start_hooked(fixture: &str, schedule: Schedule) -> Self {
        Self::start_as(
            |docs| write_fixture(docs, fixture),
            |options| options.reach(Reach::new(&["127.0.0.1".to_owned()]).unwrap()).schedule(schedule),
        )
    }

    /// With whatever `fill` puts into the folder of `docs`, and other settings.
    pub fn start_as(fill: impl FnOnce(&Path), settings: impl FnOnce(EngineOptions) -> EngineOptions) -> Self {
        Self::start_whole(fill, settings, Plan::default(), Edge::default())
    }

    /// With one file and these servers of tools.
    pub fn start_upstreams(upstreams: Plan) -> Self {
        Self::start_whole(
            |docs| write_fixture(docs, "//- a.md\nfine\n"),
            |options| options,
            upstreams,
            Edge::default(),
        )
    }

    /// With one file and this edge.
    pub fn start_edge(edge: Edge) -> Self {
        let fill = |docs: &Path| write_fixture(docs, "//- a.md\nfine\n");
        Self::start_whole(fill, |options| options, Plan::default(), edge)
    }

    fn start_whole(
        fill: impl FnOnce(&Path),
        settings: impl FnOnce(EngineOptions) -> EngineOptions,
        upstreams: Plan,
        edge: Edge,
    ) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let docs = folder.path().join("docs");
        std::fs::create_dir(&docs).unwrap();
        fill(&docs);
        let engine =
            Arc::new(Engine::open(settings(EngineOptions::new(folder.path().join("home")))).unwrap());
        engine.attach(&WorkspaceName::new("docs").unwrap(), &docs).unwrap();
        let token = engine.issue_admin_token().unwrap();
        let is_tls = edge.tls.is_some();
        let (stop, stopped) = oneshot::channel::<()>();
        let (tell, told) = std::sync::mpsc::channel();
        let served = Arc::clone(&engine);
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
            let options = ServeOptions {
                listen: "127.0.0.1:0".parse().unwrap(),
                allowed_hosts: vec!["waypost.example".to_owned()],
                allowed_origins: vec!["https://app.example".to_owned()],
                upstreams,
                edge,
            };
            let indexer = Indexer::start(&served);
            let on_ready = move |address| tell.send(address).unwrap();
            let until = async { drop(stopped.await) };
            runtime.block_on(serve_until(served, indexer, options, on_ready, until)).unwrap();
        });
        let address = told.recv_timeout(PATIENCE).unwrap();
        let server = Self { address, token, engine, folder, stop: Some(stop), thread: Some(thread) };
        if !is_tls {
            server.wait_until_indexed();
        }
        server
    }

    fn wait_until_indexed(&self) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let workspace = self.get("/v1/workspaces/docs").json();
            if workspace["index"]["pending_files"] == 0 && workspace["indexed_files"] != 0 {
                return;
            }
            assert!(Instant::now() < deadline, "not indexed in time: {workspace}");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// What its owner is told of a file.
    pub fn session_info(&self, path: &str) -> waypost_engine::api::FileInfo {
        self.engine.owner_session().info(path).unwrap()
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// Asks with the token, unless the headers name another.
    pub fn ask(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Reply {
        let bearer = format!("Bearer {}", self.token);
        let mut request = ureq::http::Request::builder().method(method).uri(self.url(path));
        if !headers.iter().any(|(name, _)| *name == "authorization") {
            request = request.header("authorization", bearer);
        }
        for (name, value) in headers.iter().filter(|(_, value)| !value.is_empty()) {
            request = request.header(*name, *value);
        }
        let agent = agent();
        let response = if body.is_empty() {
            agent.run(request.body(()).unwrap()).unwrap()
        } else {
            agent.run(request.body(body.as_bytes().to_vec()).unwrap()).unwrap()
        };
        let (parts, mut body) = response.into_parts();
        let body = body.read_to_vec().unwrap();
        Reply { status: parts.status.as_u16(), headers: parts.headers, body }
    }

    pub fn get(&self, path: &str) -> Reply {
        self.ask("GET", path, &[], "")
    }

    pub fn post(&self, path: &str, body: &Value) -> Reply {
        self.ask("POST", path, &[("content-type", "application/json")], &body.to_string())
    }

    /// Sends bytes as they are, for what no client library would send; gives everything that comes back.
    pub fn raw(&self, request: &str) -> String {
        let mut stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = Vec::new();
        // The other side may close before it has read everything; what it said before counts.
        let _ = stream.read_to_end(&mut answer);
        String::from_utf8_lossy(&answer).into_owned()
    }

    /// A `GET` of a path as it is, with further header lines.
    pub fn raw_get(&self, path: &str, lines: &str) -> String {
        let (host, token) = (self.address, &self.token);
        self.raw(&format!(
            "GET {path} HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {token}\r\nConnection: close\r\n{lines}\r\n"
        ))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let ended = thread.join();
            assert!(ended.is_ok() || std::thread::panicking(), "the server panicked");
        }
    }
}

/// The status of a raw answer.
pub fn status(answer: &str) -> u16 {
    answer
        .split(' ')
        .nth(1)
        .and_then(|code| code.parse().ok())
        .unwrap_or_else(|| panic!("no answer: {answer:?}"))
}

/// The binary, with nothing in its environment that names a home or a server of whoever runs the tests.
pub fn bare_command() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_waypost"));
    command.env_remove("WAYPOST_HOME").env_remove("WAYPOST_URL").env_remove("WAYPOST_TOKEN");
    command
}

fn agent() -> ureq::Agent {
    ureq::Agent::config_builder()
        .http_status_as_error(false)
        .timeout_global(Some(PATIENCE))
        .proxy(None)
        .build()
        .new_agent()
}

fn write_fixture(root: &Path, fixture: &str) {
    for part in fixture.split("//- ").skip(1) {
        let (path, text) = part.split_once('\n').unwrap();
        let path = root.join(path.trim());
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
}
