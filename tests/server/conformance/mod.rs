/// What the suite prescribes.
mod prescribed;

/// Tools that need something of the client.
mod rounds;

/// The real handler with all of that beside it.
mod handler;

use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use axum::extract::Request;
use axum::http::{HeaderValue, header};
use axum::middleware::{Next, from_fn};
use tokio::sync::{broadcast, oneshot};
use waypost::mcp;
use waypost::serve::{App, Edge, ServeOptions, router_with};
use waypost::upstream::Plan;

use self::handler::Wrapped;
use crate::clients::{run, test_tools_with};
use crate::support::Server;

/// The real routes with the wrapped handler, for one who brings no token; loopback alone, gone with the test.
struct Open {
    address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Open {
    fn of(server: &Server) -> Self {
        let (engine, bearer) = (Arc::clone(&server.engine), format!("Bearer {}", server.token));
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel::<()>();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let options = ServeOptions {
                    listen: address,
                    allowed_hosts: Vec::new(),
                    allowed_origins: Vec::new(),
                    upstreams: Plan::default(),
                    edge: Edge::default(),
                };
                let app = Arc::new(App::new(engine, address, &options).unwrap());
                let real = mcp::Server::for_requests(Arc::clone(&app));
                let triggers = Arc::new(broadcast::channel(16).0);
                let open = move || Wrapped { real: real.for_session(), triggers: Arc::clone(&triggers) };
                let bearer = HeaderValue::from_str(&bearer).unwrap();
                let add = from_fn(move |mut request: Request, next: Next| {
                    request.headers_mut().entry(header::AUTHORIZATION).or_insert(bearer.clone());
                    next.run(request)
                });
                let router = router_with(&app, mcp::http::routes_of(&app, open)).layer(add);
                let listener = tokio::net::TcpListener::from_std(listener).unwrap();
                tokio::select! {
                    served = async { axum::serve(listener, router).await } => served.unwrap(),
                    _ = stopped => {}
                }
            });
        });
        Self { address, stop: Some(stop), thread: Some(thread) }
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            assert!(thread.join().is_ok() || std::thread::panicking(), "the server panicked");
        }
    }
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/server/conformance")
}

/// Runs the scenarios that a revision requires; all of them pass but those that are listed.
fn conforms(revision: &str, required: usize) {
    let Some(tools) = test_tools_with("@modelcontextprotocol/conformance") else { return };
    let server = Server::start("//- a.md\nplain words\n");
    let open = Open::of(&server);
    let results = tempfile::tempdir().unwrap();
    let mut suite = Command::new(tools.join("node"));
    suite.arg(tools.join("node_modules/@modelcontextprotocol/conformance/dist/index.js"));
    suite.args(["server", "--url", &format!("http://{}/mcp", open.address), "--requirements", revision]);
    suite.arg("--expected-failures").arg(folder().join("expected-failures.yaml"));
    suite.arg("-o").arg(results.path());
    let (said, is_done) = run(&mut suite);
    let summary = said.split("=== SUMMARY ===").nth(1).unwrap_or_else(|| panic!("{said}"));
    let scored: Vec<&str> =
        summary.lines().filter(|line| line.starts_with(['✓', '✗'])).take(required).collect();
    let passed = scored.iter().filter(|line| line.starts_with('✓')).count();
    println!("conformance {revision}: {passed} of {} required scenarios pass", scored.len());
    assert!(is_done && passed == required, "{said}");
}

#[test]
fn everything_that_the_newer_era_requires_passes() {
    conforms("2026-07-28", 37);
}

#[test]
fn everything_that_the_older_era_requires_passes() {
    conforms("2025-11-25", 30);
}
