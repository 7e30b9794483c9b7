use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use serde::{Deserialize, Serialize};
use waypost_engine::api::{AskReply, AskRequest, SearchReply, SearchRequest, Session, VerifiedCitation};
use waypost_engine::search::Citation;

use super::extract::{Body, NoParams, Params};
use crate::problem::Problem;
use crate::serve::App;
use crate::telemetry::Stage;

/// Citations checked in one request at most: each may read a file.
pub const MAX_CITATIONS: usize = 100;

/// What `POST /v1/citations/verify` takes.
#[derive(Debug, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct VerifyRequest {
    citations: Vec<Citation>,
}

/// What it answers, in the order that was asked.
#[derive(Debug, Serialize, schemars::JsonSchema)]
pub struct VerifyReply {
    results: Vec<VerifiedCitation>,
}

/// `POST /v1/search`.
pub async fn search(
    State(app): State<Arc<App>>,
    Extension(session): Extension<Session>,
    Params(NoParams {}): Params<NoParams>,
    Body(request): Body<SearchRequest>,
) -> Result<Json<SearchReply>, Problem> {
    let done = app.bridge.run_timed(move || session.search(&request)).await?;
    app.telemetry.stage("search", Stage::Queue, done.queued);
    app.telemetry.stage("search", Stage::Engine, milliseconds(done.value.took_ms));
    Ok(Json(done.value))
}

/// `POST /v1/ask`, as JSON or as server-sent events.
pub async fn ask(
    State(app): State<Arc<App>>,
    Extension(session): Extension<Session>,
    Params(NoParams {}): Params<NoParams>,
    headers: HeaderMap,
    Body(request): Body<AskRequest>,
) -> Result<Response, Problem> {
    let done = app.bridge.run_timed(move || session.ask(&request)).await?;
    app.telemetry.stage("ask", Stage::Queue, done.queued);
    app.telemetry.stage("ask", Stage::Engine, milliseconds(done.value.took_ms));
    if wants_events(&headers) { events(&done.value) } else { Ok(Json(done.value).into_response()) }
}

/// `POST /v1/citations/verify`.
pub async fn verify(
    State(app): State<Arc<App>>,
    Extension(session): Extension<Session>,
    Params(NoParams {}): Params<NoParams>,
    Body(request): Body<VerifyRequest>,
) -> Result<Json<VerifyReply>, Problem> {
    if request.citations.len() > MAX_CITATIONS {
        let found = request.citations.len();
        return Err(Problem::invalid(format!(
            "`citations` has {found} items: expected at most {MAX_CITATIONS}"
        )));
    }
    let results = app.bridge.run(move || session.verify(request.citations)).await?;
    Ok(Json(VerifyReply { results }))
}

fn wants_events(headers: &HeaderMap) -> bool {
    let accepted = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
    accepted.flat_map(|value| value.split(',')).any(|kind| kind.trim().starts_with("text/event-stream"))
}

/// The whole answer is one event: the extractive generator has it at once. Of a model's answer each sentence comes before it as
/// soon as it is checked, which takes the whole draft.
fn events(reply: &AskReply) -> Result<Response, Problem> {
    let answer = serde_json::to_string(reply).map_err(|error| {
        tracing::error!(%error, "an answer can't be written");
        Problem::internal()
    })?;
    let kind = [(header::CONTENT_TYPE, "text/event-stream"), (header::CACHE_CONTROL, "no-store")];
    let sentences: String = reply
        .sentences
        .iter()
        .map(|sentence| format!("event: sentence\ndata: {}\n\n", serde_json::json!({"text": sentence})))
        .collect();
    Ok((kind, format!("{sentences}event: answer\ndata: {answer}\n\nevent: done\ndata: {{}}\n\n"))
        .into_response())
}

pub(super) fn milliseconds(ms: f64) -> Duration {
    Duration::try_from_secs_f64(ms / 1e3).unwrap_or_default()
}
