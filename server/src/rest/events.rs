use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body as HttpBody, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, HeaderName, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use serde::Deserialize;
use serde_json::Value;
use tokio::sync::{OwnedSemaphorePermit, mpsc};
use tokio::time::Instant;
use waypost_engine::api::{Error, EventFilter, EventInfo, EventsPage, Session};

use super::extract::{Body, NoParams, Params, Path};
use crate::problem::Problem;
use crate::serve::App;
use crate::streams::{EVENT_STREAM, Pieces};
use crate::times::patience;

const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");
/// A comment goes out after so long without an event, so that nobody in between thinks the stream is dead.
const KEEP_ALIVE: Duration = Duration::from_secs(15);
/// Events read at once.
const PAGE: usize = 200;
/// Told first where the place that was given lies before what the journal still knows in full.
const GAP: &[u8] = b"event: gap\ndata: {\"hint\":\"older changes may have been forgotten; list the files to see how they stand\"}\n\n";
/// A stream that nobody bounds goes on for so long: a year.
const MAX_STREAM_SECONDS: u64 = 365 * 24 * 60 * 60;
/// Pieces that wait for a slow reader; then reading the journal waits, too.
const MAX_WAITING: usize = 16;
/// Events of one long poll where nothing else is asked.
const DEFAULT_EVENTS: usize = 100;

#[derive(Debug, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EventParams {
    /// A `seq`, or `start` or `0`: from the first event that is remembered.
    after: Option<String>,
    /// Patterns, separated by commas.
    path: Option<String>,
    /// Kinds, separated by commas.
    #[serde(alias = "kind", alias = "event", alias = "events")]
    kinds: Option<String>,
    /// Of a long poll: 0 to 25 seconds. A stream ends after it, and after `limit` events.
    timeout_seconds: Option<u64>,
    limit: Option<usize>,
}

impl EventParams {
    fn filter(&self) -> Result<EventFilter, Problem> {
        let list = |text: &Option<String>| -> Vec<String> {
            let parts = text.as_deref().unwrap_or_default().split(',').map(str::trim);
            parts.filter(|part| !part.is_empty()).map(str::to_owned).collect()
        };
        Ok(EventFilter::new(&list(&self.path), &list(&self.kinds)).map_err(Error::from)?)
    }
}

/// Of `POST /v1/topics/{topic…}`.
#[derive(Debug, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PublishRequest {
    /// Where several may be seen it must be named.
    workspace: Option<String>,
    #[serde(default, alias = "payload")]
    data: Value,
}

/// How long a stream goes on: for ever, where its reader says nothing else.
struct Left {
    events: usize,
    until: Instant,
}

impl Left {
    fn of(params: &EventParams) -> Self {
        let longest = Duration::from_secs(
            params.timeout_seconds.map_or(MAX_STREAM_SECONDS, |seconds| seconds.min(MAX_STREAM_SECONDS)),
        );
        Self { events: params.limit.unwrap_or(usize::MAX), until: Instant::now() + longest }
    }
}

/// `GET /v1/events`: server-sent events from `Last-Event-ID` or `after` on; from now on without either.
pub async fn stream(
    State(app): State<Arc<App>>,
    Extension(session): Extension<Session>,
    Params(params): Params<EventParams>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let filter = params.filter()?;
    let left = Left::of(&params);
    let resumed = headers.get(LAST_EVENT_ID).and_then(|value| value.to_str().ok()).map(str::to_owned);
    let place = Arc::clone(&app.streams).try_acquire_owned().map_err(|_| Problem::busy())?;
    // A place that is none is told before the stream begins.
    let first = {
        let (session, filter, after) = (session.clone(), filter.clone(), resumed.or(params.after));
        app.bridge
            .run(move || match after {
                Some(after) => session.events(Some(&after), &filter, PAGE),
                None => session.events_from_now(),
            })
            .await?
    };
    let (pieces, received) = mpsc::channel(MAX_WAITING);
    tokio::spawn(follow(app, session, filter, first, left, pieces, place));
    let body = HttpBody::from_stream(Pieces(received));
    let kind = [(header::CONTENT_TYPE, EVENT_STREAM), (header::CACHE_CONTROL, "no-store")];
    Ok((kind, body).into_response())
}

/// Sends what happens until the reader hangs up or the server stops.
async fn follow(
    app: Arc<App>,
    session: Session,
    filter: EventFilter,
    mut page: EventsPage,
    mut left: Left,
    pieces: mpsc::Sender<Bytes>,
    _place: OwnedSemaphorePermit,
) {
    let mut news = app.news.clone();
    let mut n_revocations = app.engine.n_revocations();
    if page.gap && pieces.send(Bytes::from_static(GAP)).await.is_err() {
        return;
    }
    loop {
        // What happened after a token was taken away is not told any more.
        if std::mem::replace(&mut n_revocations, app.engine.n_revocations()) != n_revocations {
            let (engine, token) = (Arc::clone(&app.engine), session.token_id().to_owned());
            if !matches!(app.tokens.run(move || engine.is_token_alive(&token)).await, Ok(true)) {
                return;
            }
        }
        for event in &page.items {
            if left.events == 0 || pieces.send(piece(event)).await.is_err() {
                return;
            }
            left.events -= 1;
        }
        if left.events == 0 {
            return;
        }
        let was_full = page.items.len() >= PAGE;
        if !was_full {
            let quiet = tokio::select! {
                () = app.stop.cancelled() => return,
                () = pieces.closed() => return,
                () = tokio::time::sleep_until(left.until) => return,
                changed = news.changed() => {
                    if changed.is_err() {
                        return;
                    }
                    false
                }
                () = tokio::time::sleep(KEEP_ALIVE) => true,
            };
            if quiet && pieces.send(Bytes::from_static(b": still here\n\n")).await.is_err() {
                return;
            }
        }
        let (session, filter, cursor) = (session.clone(), filter.clone(), page.cursor);
        match app.bridge.run(move || session.events_from(cursor, &filter, PAGE)).await {
            Ok(next) => page = next,
            // A busy engine is asked again with the next news; the reader misses nothing.
            Err(problem) if problem.code == "busy" => page.items.clear(),
            Err(problem) => {
                tracing::warn!(code = problem.code, "a stream of events ended");
                return;
            }
        }
    }
}

fn piece(event: &EventInfo) -> Bytes {
    let data = serde_json::to_string(event).expect("an event has only texts and numbers");
    Bytes::from(format!("id: {}\nevent: {}\ndata: {data}\n\n", event.seq, event.event))
}

/// `GET /v1/events/wait`: what happened after a place, waiting for the first event.
pub async fn wait(
    State(app): State<Arc<App>>,
    Extension(session): Extension<Session>,
    Params(params): Params<EventParams>,
) -> Result<Json<EventsPage>, Problem> {
    let filter = params.filter()?;
    let patience = patience(params.timeout_seconds.unwrap_or(20), "timeout_seconds")?;
    let limit = params.limit.unwrap_or(DEFAULT_EVENTS);
    let after = params.after;
    app.wait(session, move |session| session.wait_for_events(after.as_deref(), &filter, limit, patience))
        .await
        .map(Json)
}

/// `POST /v1/topics/{topic…}`.
pub async fn publish(
    State(app): State<Arc<App>>,
    Extension(session): Extension<Session>,
    Path(topic): Path<String>,
    Params(NoParams {}): Params<NoParams>,
    Body(request): Body<PublishRequest>,
) -> Result<(StatusCode, Json<EventInfo>), Problem> {
    let publish = move || {
        let workspace = session.workspace_or_only(request.workspace.as_deref())?;
        session.publish(&workspace, &topic, &request.data)
    };
    Ok((StatusCode::CREATED, Json(app.bridge.run(publish).await?)))
}
