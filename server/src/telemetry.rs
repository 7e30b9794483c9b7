//! Counts and times, for Prometheus.
//!
//! Noun: [`Telemetry`], one recorder per server. Labels come from closed sets: routes as they are declared, status
//! codes, modes, stages. No path, query, principal or workspace is ever a label.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::extract::{MatchedPath, Request, State};
use axum::middleware::Next;
use axum::response::Response;
use metrics::{counter, gauge, histogram, with_local_recorder};
use metrics_exporter_prometheus::{BuildError, PrometheusBuilder, PrometheusHandle, PrometheusRecorder};
use tracing::Instrument;

use crate::serve::App;
use crate::spans::{self, TRACEPARENT};

const REQUESTS: &str = "waypost_http_requests_total";
const REQUEST_SECONDS: &str = "waypost_http_request_seconds";
const SEARCH_SECONDS: &str = "waypost_search_seconds";
const TOOL_CALLS: &str = "waypost_mcp_tool_calls_total";
const CHUNKS: &str = "waypost_chunks";
const FILES: &str = "waypost_indexed_files";
const PENDING: &str = "waypost_pending_files";

/// Upper bounds of the latency buckets, in seconds.
const BUCKETS: [f64; 12] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 30.0];

/// A part of the way of a search.
#[derive(Debug, Clone, Copy)]
pub enum Stage {
    /// Waiting for the bridge.
    Queue,
    /// In the engine.
    Engine,
}

/// What a home holds, summed up.
#[derive(Debug, Clone, Copy, Default)]
pub struct Stock {
    /// In all indexes.
    pub chunks: u64,
    /// Whose text is indexed.
    pub indexed_files: u64,
    /// That changed since, or have no vectors yet.
    pub pending_files: u64,
}

/// The counts of one server.
pub struct Telemetry {
    recorder: PrometheusRecorder,
    handle: PrometheusHandle,
}

impl Telemetry {
    /// With everything at zero.
    ///
    /// # Errors
    /// Where the buckets are not valid.
    pub fn new() -> Result<Self, BuildError> {
        let recorder = PrometheusBuilder::new().set_buckets(&BUCKETS)?.build_recorder();
        let handle = recorder.handle();
        Ok(Self { recorder, handle })
    }

    /// Counts an answered request.
    pub fn request(&self, route: &str, method: &'static str, status: u16, took: Duration) {
        let (route, status) = (route.to_owned(), status.to_string());
        with_local_recorder(&self.recorder, || {
            counter!(REQUESTS, "route" => route.clone(), "method" => method, "status" => status.clone())
                .increment(1);
            histogram!(REQUEST_SECONDS, "route" => route, "status" => status).record(took.as_secs_f64());
        });
    }

    /// Times a stage of a search or a question; `action` is `search` or `ask`.
    pub fn stage(&self, action: &'static str, stage: Stage, took: Duration) {
        let stage = match stage {
            Stage::Queue => "queue",
            Stage::Engine => "engine",
        };
        with_local_recorder(&self.recorder, || {
            histogram!(SEARCH_SECONDS, "action" => action, "stage" => stage).record(took.as_secs_f64());
        });
    }

    /// Counts a call of a tool.
    pub fn tool_call(&self, tool: &'static str, failed: bool) {
        let outcome = if failed { "error" } else { "ok" };
        with_local_recorder(&self.recorder, || {
            counter!(TOOL_CALLS, "tool" => tool, "outcome" => outcome).increment(1);
        });
    }

    /// Everything as text, with what the home holds now.
    pub fn render(&self, stock: Stock) -> String {
        with_local_recorder(&self.recorder, || {
            gauge!(CHUNKS).set(stock.chunks as f64);
            gauge!(FILES).set(stock.indexed_files as f64);
            gauge!(PENDING).set(stock.pending_files as f64);
        });
        self.handle.render()
    }

    /// Folds waiting samples into their buckets; without it they pile up between two looks.
    pub fn upkeep(&self) {
        self.handle.run_upkeep();
    }
}

/// Counts and times each request, inside a span that names its route and never its contents.
pub async fn layer(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    let begun = Instant::now();
    let route = request.extensions().get::<MatchedPath>().map_or("unmatched", MatchedPath::as_str).to_owned();
    let method = known_method(request.method().as_str());
    let span = tracing::info_span!(
        "request",
        otel.name = format!("{method} {route}"),
        otel.kind = "server",
        http.route = route,
        http.request.method = method,
        http.response.status_code = tracing::field::Empty,
    );
    spans::adopt(&span, request.headers().get(TRACEPARENT).and_then(|value| value.to_str().ok()));
    let response = next.run(request).instrument(span.clone()).await;
    let (status, took) = (response.status().as_u16(), begun.elapsed());
    span.record("http.response.status_code", status);
    span.in_scope(|| tracing::debug!(status, took_ms = took.as_millis() as u64, "answered"));
    app.telemetry.request(&route, method, status, took);
    response
}

/// Anybody can invent a method; a label may not grow with it.
fn known_method(method: &str) -> &'static str {
    const KNOWN: [&str; 7] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];
    KNOWN.into_iter().find(|known| *known == method).unwrap_or("OTHER")
}
