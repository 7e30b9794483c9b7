//! MCP over the older pair of routes, for clients that know nothing else: `GET /sse` opens a stream that first names
//! where to post, `POST /messages` takes one message, and what is said to it comes over the stream (MCP 2024-11-05, HTTP
//! with SSE). Only where the operator has switched it on.
//!
//! A stream is a session of its own, and belongs to the token that it was opened with.

use std::collections::HashMap;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Extension, Request, State};
use axum::http::{StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use rmcp::ServiceExt;
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, DuplexStream, ReadHalf, WriteHalf};
use tokio::sync::{OwnedSemaphorePermit, mpsc};

use super::asker::Streamed;
use super::{Server, http};
use crate::auth::TokenId;
use crate::incoming;
use crate::problem::Problem;
use crate::serve::{App, MAX_BODY_BYTES};
use crate::streams::Pieces;

/// Bytes under way between a session and its stream, either way.
const PIPE_BYTES: usize = 64 << 10;
/// Messages that wait for a session that is busy; then posting is refused.
const MAX_WAITING: usize = 64;
/// A stream on which nothing happens says so often that it is still there.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// Open streams, by their ids.
#[derive(Default)]
struct Streams(Mutex<HashMap<String, Open>>);

struct Open {
    token: TokenId,
    messages: mpsc::Sender<String>,
}

impl Streams {
    fn open(&self) -> std::sync::MutexGuard<'_, HashMap<String, Open>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A stream that is open; forgotten when this goes.
struct Place {
    streams: Arc<Streams>,
    id: String,
    _permit: OwnedSemaphorePermit,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.streams.open().remove(&self.id);
    }
}

/// The two routes, or none where they are switched off.
pub fn routes(app: &Arc<App>) -> Router<Arc<App>> {
    if !app.offers_sse {
        return Router::new();
    }
    Router::new()
        .route("/sse", get(open))
        .route("/messages", post(take))
        .layer(Extension(Arc::new(Streams::default())))
}

/// `GET /sse`.
async fn open(
    State(app): State<Arc<App>>,
    Extension(streams): Extension<Arc<Streams>>,
    Extension(token): Extension<TokenId>,
    request: Request,
) -> Result<Response, Problem> {
    let toolsets = http::toolsets(request.uri())?;
    let secret = crate::auth::bearer(request.headers()).ok_or_else(Problem::internal)?.to_owned();
    let permit = Arc::clone(&app.streams).try_acquire_owned().map_err(|_| Problem::busy())?;
    let id = fresh_id();
    let (messages, waiting) = mpsc::channel(MAX_WAITING);
    streams.open().insert(id.clone(), Open { token, messages });
    let place = Place { streams, id: id.clone(), _permit: permit };
    let (pieces, received) = mpsc::channel(MAX_WAITING);
    let streamed = Streamed { app: Arc::clone(&app), token: secret, toolsets };
    let server = Server::for_stream(streamed);
    tokio::spawn(async move {
        let first = Bytes::from(format!("event: endpoint\ndata: /messages?session_id={id}\n\n"));
        if pieces.send(first).await.is_ok() {
            converse(&app, server, waiting, pieces).await;
        }
        drop(place);
    });
    let kind = [(header::CONTENT_TYPE, "text/event-stream"), (header::CACHE_CONTROL, "no-store")];
    Ok((kind, Body::from_stream(Pieces(received))).into_response())
}

/// `POST /messages?session_id=…`.
async fn take(
    Extension(streams): Extension<Arc<Streams>>,
    Extension(token): Extension<TokenId>,
    uri: Uri,
    request: Request,
) -> Result<StatusCode, Problem> {
    let absent = || Problem {
        hint: Some("open a stream with `GET /sse`"),
        ..Problem::new(StatusCode::NOT_FOUND, "session_not_found", "there is no such session")
    };
    let id = uri.query().and_then(|query| query.strip_prefix("session_id=")).ok_or_else(absent)?;
    let found = streams.open().get(id).filter(|open| open.token == token).map(|open| open.messages.clone());
    let messages = found.ok_or_else(absent)?;
    incoming::fits(request.headers(), MAX_BODY_BYTES)?;
    let body = axum::body::to_bytes(request.into_body(), MAX_BODY_BYTES)
        .await
        .map_err(|_| Problem::too_large(MAX_BODY_BYTES))?;
    // Written anew, a message is one line.
    let message: Value = serde_json::from_slice(&body).map_err(|_| {
        Problem::new(StatusCode::BAD_REQUEST, "invalid_json", "the body is no JSON-RPC message")
    })?;
    messages.try_send(message.to_string()).map_err(|_| Problem::busy())?;
    Ok(StatusCode::ACCEPTED)
}

/// Carries messages between a session and its stream until either ends.
async fn converse(app: &App, server: Server, waiting: mpsc::Receiver<String>, pieces: mpsc::Sender<Bytes>) {
    let (ours, theirs) = tokio::io::duplex(PIPE_BYTES);
    let (said, heard) = tokio::io::split(ours);
    let session = async move {
        match server.serve(theirs).await {
            Ok(running) => drop(running.waiting().await),
            Err(error) => tracing::debug!(%error, "a session did not begin"),
        }
    };
    tokio::select! {
        () = app.stop.cancelled() => {}
        () = pieces.closed() => {}
        () = session => {}
        _ = deliver(waiting, heard) => {}
        _ = stream(said, pieces.clone()) => {}
    }
}

async fn deliver(
    mut waiting: mpsc::Receiver<String>,
    mut session: WriteHalf<DuplexStream>,
) -> io::Result<()> {
    while let Some(mut message) = waiting.recv().await {
        message.push('\n');
        session.write_all(message.as_bytes()).await?;
    }
    Ok(())
}

async fn stream(session: ReadHalf<DuplexStream>, pieces: mpsc::Sender<Bytes>) -> io::Result<()> {
    let mut lines = BufReader::new(session).lines();
    loop {
        let piece = match tokio::time::timeout(KEEP_ALIVE, lines.next_line()).await {
            Err(_) => Bytes::from_static(b": still here\n\n"),
            Ok(line) => match line? {
                Some(line) => Bytes::from(format!("event: message\ndata: {line}\n\n")),
                None => return Ok(()),
            },
        };
        if pieces.send(piece).await.is_err() {
            return Ok(());
        }
    }
}

fn fresh_id() -> String {
    let mut random = [0u8; 16];
    getrandom::fill(&mut random).expect("the operating system gives random numbers");
    random.iter().map(|byte| format!("{byte:02x}")).collect()
}
