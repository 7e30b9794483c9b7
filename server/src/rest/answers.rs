use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body as HttpBody, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use serde::{Deserialize, Serialize};
use tokio::sync::{OwnedSemaphorePermit, mpsc};
use tokio::task::{JoinError, JoinHandle};
use tracing::Instrument;
use waypost_engine::api::{AskProgress, AskReply, AskRequest, SearchRequest, Session, VerifiedCitation};
use waypost_engine::search::Citation;

use super::extract::{Body, NoParams, Params};
use crate::blocking::{Done, Wish};
use crate::problem::Problem;
use crate::serve::App;
use crate::streams::{EVENT_STREAM, Pieces};
use crate::telemetry::Stage;

/// Citations checked in one request at most: each may read a file.
pub const MAX_CITATIONS: usize = 100;
/// What is refused within it is refused with its status; whoever waits for longer has the beginning of a stream meanwhile.
const FIRST_WORD: Duration = Duration::from_secs(1);
/// A comment goes out after so long without a sentence, so that nobody in between thinks the stream is dead.
const KEEP_ALIVE: Duration = Duration::from_secs(10);
/// Pieces that wait for a slow reader.
const MAX_WAITING: usize = 16;

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
) -> Result<Response, Problem> {
    check_bound(request.max_tokens)?;
    let bridge = if request.wait_for_seq.is_some() { &app.bridge } else { &app.searches };
    let search = move || {
        let reply = session.search(&request)?;
        let written = reply.to_json().map_err(|error| unwritable(&error))?;
        Ok::<_, Problem>((reply.took_ms, written))
    };
    let done = bridge.run_timed(search).await?;
    let (took_ms, written) = done.value;
    app.telemetry.stage("search", Stage::Queue, done.queued);
    app.telemetry.stage("search", Stage::Engine, milliseconds(took_ms));
    Ok(([(header::CONTENT_TYPE, "application/json")], written).into_response())
}

/// `POST /v1/ask`, as JSON or as server-sent events.
pub async fn ask(
    State(app): State<Arc<App>>,
    Extension(session): Extension<Session>,
    Params(NoParams {}): Params<NoParams>,
    headers: HeaderMap,
    Body(request): Body<AskRequest>,
) -> Result<Response, Problem> {
    check_bound(request.max_tokens)?;
    // Who hangs up ends it.
    let mut wish = Wish::new(&app.engine);
    let session = session.until(wish.stop());
    if wants_events(&headers) {
        return stream(app, session, request, wish).await;
    }
    let done = app.bridge.run_timed(move || session.ask(&request)).await;
    wish.fulfil();
    let done = done?;
    count(&app, &done);
    Ok(Json(done.value).into_response())
}

/// Each sentence is an event as soon as it is known to be one of the answer; the whole answer comes last.
async fn stream(
    app: Arc<App>,
    session: Session,
    request: AskRequest,
    wish: Wish,
) -> Result<Response, Problem> {
    let place = Arc::clone(&app.streams).try_acquire_owned().map_err(|_| Problem::busy())?;
    // No more wait here than one answer has sentences.
    let (tell, mut told) = mpsc::unbounded_channel();
    let bridge = app.bridge.clone();
    let ask = move || session.ask_telling(&request, &mut |progress| drop(tell.send(progress)));
    let asking = async move { bridge.run_timed(ask).await };
    let asked = tokio::spawn(asking.instrument(tracing::Span::current()));
    let (pieces, received) = mpsc::channel(MAX_WAITING);
    let _ = pieces.try_send(Bytes::from_static(b": asked\n\n"));
    let first = tokio::time::timeout(FIRST_WORD, told.recv()).await;
    match first {
        // It ended before it was begun: mostly a refusal.
        Ok(None) => {
            let done = joined(asked.await)?;
            count(&app, &done);
            let _ = pieces.try_send(whole(&done.value)?);
        }
        _ => drop(tokio::spawn(follow(app, asked, told, wish, pieces, place))),
    }
    let kind = [(header::CONTENT_TYPE, EVENT_STREAM), (header::CACHE_CONTROL, "no-store")];
    Ok((kind, HttpBody::from_stream(Pieces(received))).into_response())
}

/// Sends what is told until the answer is whole, the reader hangs up or the server stops.
async fn follow(
    app: Arc<App>,
    asked: JoinHandle<Result<Done<AskReply>, Problem>>,
    mut told: mpsc::UnboundedReceiver<AskProgress>,
    mut wish: Wish,
    pieces: mpsc::Sender<Bytes>,
    _place: OwnedSemaphorePermit,
) {
    loop {
        let piece = tokio::select! {
            () = app.stop.cancelled() => return,
            () = pieces.closed() => return,
            progress = told.recv() => match progress {
                None => break,
                Some(AskProgress::Sentence(text)) => event("sentence", &serde_json::json!({"text": text})),
                Some(AskProgress::Begun) => continue,
            },
            () = tokio::time::sleep(KEEP_ALIVE) => Bytes::from_static(b": still here\n\n"),
        };
        if pieces.send(piece).await.is_err() {
            return;
        }
    }
    let ended = joined(asked.await).and_then(|done| {
        count(&app, &done);
        whole(&done.value)
    });
    wish.fulfil();
    let last = ended.unwrap_or_else(|problem| {
        let problem = serde_json::to_value(&problem).unwrap_or_default();
        event("error", &problem)
    });
    // A reader who went meanwhile misses nothing.
    let _ = pieces.send(last).await;
}

fn joined(ended: Result<Result<Done<AskReply>, Problem>, JoinError>) -> Result<Done<AskReply>, Problem> {
    ended.unwrap_or_else(|error| {
        tracing::error!(%error, "a streamed answer panicked");
        Err(Problem::internal())
    })
}

fn count(app: &App, done: &Done<AskReply>) {
    app.telemetry.stage("ask", Stage::Queue, done.queued);
    app.telemetry.stage("ask", Stage::Engine, milliseconds(done.value.took_ms));
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

/// The first hit or sentence stays whatever the bound; without any room nothing is asked for.
fn check_bound(max_tokens: Option<usize>) -> Result<(), Problem> {
    match max_tokens {
        Some(0) => Err(Problem::invalid("`max_tokens` is 0: expected 1 or more")),
        _ => Ok(()),
    }
}

/// Whether events are named, and no less welcome than JSON (RFC 9110, section 12.5.1).
fn wants_events(headers: &HeaderMap) -> bool {
    let accepted = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
    let accepted: Vec<(String, f32)> = accepted.flat_map(|value| value.split(',')).map(weighed).collect();
    // The most exact name of a kind counts.
    let weight = |names: &[&str]| {
        names
            .iter()
            .find_map(|name| accepted.iter().find(|(kind, _)| kind == name).map(|(_, weight)| *weight))
    };
    let events = weight(&["text/event-stream"]).unwrap_or_default();
    let json = weight(&["application/json", "application/*", "*/*"]).unwrap_or_default();
    events > 0.0 && events >= json
}

/// One kind of an `Accept` header, and how welcome it is: 1 where nothing is said.
fn weighed(kind: &str) -> (String, f32) {
    let mut parts = kind.split(';').map(str::trim);
    let name = parts.next().unwrap_or_default().to_ascii_lowercase();
    let weight = parts.find_map(|part| part.strip_prefix("q=").or_else(|| part.strip_prefix("Q=")));
    (name, weight.and_then(|weight| weight.parse().ok()).unwrap_or(1.0))
}

fn event(name: &str, data: &serde_json::Value) -> Bytes {
    Bytes::from(format!("event: {name}\ndata: {data}\n\n"))
}

/// The whole answer, and the end.
fn whole(reply: &AskReply) -> Result<Bytes, Problem> {
    let answer = serde_json::to_string(reply).map_err(|error| unwritable(&error))?;
    Ok(Bytes::from(format!("event: answer\ndata: {answer}\n\nevent: done\ndata: {{}}\n\n")))
}

fn unwritable(error: &serde_json::Error) -> Problem {
    tracing::error!(%error, "an answer can't be written");
    Problem::internal()
}

pub(super) fn milliseconds(ms: f64) -> Duration {
    Duration::try_from_secs_f64(ms / 1e3).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_sent_to_whoever_wants_them_as_much() {
        let check = |accept: &'static str, expected: bool| {
            let mut headers = HeaderMap::new();
            headers.insert(header::ACCEPT, axum::http::HeaderValue::from_static(accept));
            assert_eq!(wants_events(&headers), expected, "{accept}");
        };
        check("text/event-stream", true);
        check("application/json, text/event-stream", true);
        check("text/event-stream;q=0.5, application/json", false);
        check("text/event-stream; q=0.5, application/json;q=0.4", true);
        check("text/event-stream;q=0.1, */*;q=0.8", false);
        check("text/event-stream;q=0", false);
        check("application/json", false);
        check("*/*", false);
    }
}
