//! Takes a request with an `Idempotency-Key`, gives the reply that the same request had before, if it had one.
//!
//! Noun: [`Repeats`], the keys whose requests are under way. Kept is only a success: a refusal changed nothing, and the
//! key stays free. The act runs to its end and its reply is kept even when the client has hung up meanwhile.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

use axum::body::{Body, Bytes, HttpBody, to_bytes};
use axum::extract::{FromRequest, MatchedPath, Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use waypost_engine::api::{KeptReply, Session};
use waypost_engine::id::VersionId;

use super::extract::Content;
use super::openapi::operation_of;
use crate::problem::Problem;
use crate::serve::App;

const KEY: HeaderName = HeaderName::from_static("idempotency-key");
const REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");
const FENCE: HeaderName = HeaderName::from_static("waypost-fence");
/// Bytes of a key at most.
const MAX_KEY_BYTES: usize = 255;
/// Bytes of a kept body at most.
const MAX_BODY_BYTES: u64 = 64 << 10;
/// Requests with a key under way at once.
const MAX_UNDER_WAY: usize = 1024;

/// Which keys are in use at this moment, by principal. A restart ends them all.
#[derive(Debug, Clone, Default)]
pub struct Repeats(Arc<Mutex<HashSet<(String, String)>>>);

/// A key in use; free again when this goes.
struct Place {
    repeats: Repeats,
    name: (String, String),
}

impl Drop for Place {
    fn drop(&mut self) {
        self.repeats.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.name);
    }
}

impl Repeats {
    fn take(&self, principal: String, key: String) -> Result<Place, Problem> {
        let mut under_way = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if under_way.len() >= MAX_UNDER_WAY {
            return Err(Problem::busy());
        }
        let name = (principal, key);
        if !under_way.insert(name.clone()) {
            let detail = "a request with this `Idempotency-Key` is under way";
            return Err(Problem::new(StatusCode::CONFLICT, "idempotency_in_progress", detail)
                .header(header::RETRY_AFTER, HeaderValue::from_static("1")));
        }
        Ok(Place { repeats: self.clone(), name })
    }
}

/// Lets requests without a key, and those that change nothing, through as they are.
pub async fn layer(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    let operation = request
        .extensions()
        .get::<MatchedPath>()
        .and_then(|path| operation_of(request.method(), path.as_str()))
        .filter(|operation| operation.is_keyed());
    let session = request.extensions().get::<Session>().cloned();
    let (Some(operation), Some(session), true) = (operation, session, request.headers().contains_key(KEY))
    else {
        return next.run(request).await;
    };
    let done = match read_key(request.headers()) {
        Ok(key) => once(app, session, key, operation.about.is_secret, request, next).await,
        Err(problem) => Err(problem),
    };
    done.unwrap_or_else(IntoResponse::into_response)
}

fn read_key(headers: &HeaderMap) -> Result<String, Problem> {
    let mut values = headers.get_all(KEY).iter();
    let key = values.next().and_then(|value| value.to_str().ok()).unwrap_or_default();
    let is_plain = key.bytes().all(|byte| byte.is_ascii_graphic());
    if key.is_empty() || key.len() > MAX_KEY_BYTES || !is_plain || values.next().is_some() {
        let detail = format!(
            "`Idempotency-Key` is no key: expected 1 to {MAX_KEY_BYTES} visible ASCII characters, once"
        );
        return Err(Problem::new(StatusCode::BAD_REQUEST, "invalid_idempotency_key", detail));
    }
    Ok(key.to_owned())
}

async fn once(
    app: Arc<App>,
    session: Session,
    key: String,
    is_secret: bool,
    request: Request,
    next: Next,
) -> Result<Response, Problem> {
    let place = app.repeats.take(session.principal_id().to_owned(), key.clone())?;
    let (parts, body) = request.into_parts();
    let head = Request::from_parts(parts.clone(), body);
    let Content(body) = Content::from_request(head, &()).await?;
    let hash = fingerprint(&session, &parts, &body);
    let (asking, asked) = (session.clone(), key.clone());
    if let Some(kept) = app.bridge.run(move || asking.kept_reply(&asked)).await? {
        return replay(kept, hash);
    }
    let request = Request::from_parts(parts, Body::from(body));
    // A task of its own: who hangs up and asks again must find what was done.
    let act = tokio::spawn(async move {
        let _place = place;
        let response = next.run(request).await;
        keep(&app, session, key, hash, is_secret, response).await
    });
    act.await.map_err(|error| {
        tracing::error!(%error, "a request with a key panicked");
        Problem::internal()
    })
}

/// Two requests with one fingerprint ask for the same thing by the same token.
fn fingerprint(session: &Session, parts: &axum::http::request::Parts, body: &Bytes) -> [u8; 32] {
    let mut head = Vec::new();
    let mut add = |bytes: &[u8]| {
        head.extend_from_slice(&(bytes.len() as u64).to_le_bytes());
        head.extend_from_slice(bytes);
    };
    add(session.token_id().as_bytes());
    add(parts.method.as_str().as_bytes());
    add(parts.uri.path_and_query().map_or("", |target| target.as_str()).as_bytes());
    for name in [header::CONTENT_TYPE, header::IF_MATCH, header::IF_NONE_MATCH, FENCE] {
        add(parts.headers.get(name).map_or(b"", |value| value.as_bytes()));
    }
    add(VersionId::of(body).as_bytes());
    *VersionId::of(&head).as_bytes()
}

fn replay(kept: KeptReply, hash: [u8; 32]) -> Result<Response, Problem> {
    if kept.request != hash {
        let detail = "another request was made with this `Idempotency-Key`, or by another token";
        return Err(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "idempotency_mismatch", detail));
    }
    let Some(body) = kept.body else {
        let detail = "the request was done before; its reply holds a secret, or was too large to be kept";
        return Err(Problem::new(StatusCode::CONFLICT, "idempotency_not_kept", detail));
    };
    let status = StatusCode::from_u16(kept.status).map_err(|_| Problem::internal())?;
    let mut response = (status, body).into_response();
    let headers = response.headers_mut();
    headers.remove(header::CONTENT_TYPE);
    for (name, value) in [(header::CONTENT_TYPE, kept.mime_type), (header::ETAG, kept.etag)] {
        if let Some(value) = HeaderValue::from_str(&value).ok().filter(|value| !value.is_empty()) {
            headers.insert(name, value);
        }
    }
    headers.insert(REPLAYED, HeaderValue::from_static("true"));
    Ok(response)
}

/// Keeps a success, and gives it on. The act is done: that its reply can't be kept is for the log.
async fn keep(
    app: &App,
    session: Session,
    key: String,
    request: [u8; 32],
    is_secret: bool,
    response: Response,
) -> Response {
    if !response.status().is_success() {
        return response;
    }
    let is_small = response.body().size_hint().upper().is_some_and(|bytes| bytes <= MAX_BODY_BYTES);
    let (parts, body) = response.into_parts();
    let (kept, body) = if is_small && !is_secret {
        match to_bytes(body, MAX_BODY_BYTES as usize).await {
            Ok(bytes) => (Some(bytes.to_vec()), Body::from(bytes)),
            Err(_) => return Problem::internal().into_response(),
        }
    } else {
        (None, body)
    };
    let text = |name| parts.headers.get(name).and_then(|value: &HeaderValue| value.to_str().ok());
    let reply = KeptReply {
        request,
        status: parts.status.as_u16(),
        mime_type: text(header::CONTENT_TYPE).unwrap_or_default().to_owned(),
        etag: text(header::ETAG).unwrap_or_default().to_owned(),
        body: kept,
    };
    if let Err(problem) = app.bridge.run(move || session.keep_reply(&key, &reply)).await {
        tracing::warn!(code = problem.code, "a reply was not kept under its key");
    }
    Response::from_parts(parts, body)
}
