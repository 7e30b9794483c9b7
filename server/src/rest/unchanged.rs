//! Tells whoever asks again for what has not changed that it has not: an `ETag` for each JSON answer to a `GET`, and 304
//! where the request names it (RFC 9110, section 13.1.2). The tag is weak: it is a hash of what is said, whatever
//! compresses it afterwards.

use axum::body::{Body, HttpBody, to_bytes};
use axum::extract::Request;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use waypost_engine::id::VersionId;

use crate::problem::Problem;

/// Longer answers go out as they are, in bytes.
const MAX_BYTES: u64 = 4 << 20;

/// Leaves other answers, and those that have a tag of their own, as they are.
pub async fn layer(request: Request, next: Next) -> Response {
    if *request.method() != Method::GET {
        return next.run(request).await;
    }
    let known = request.headers().get(header::IF_NONE_MATCH).cloned();
    let response = next.run(request).await;
    let is_small = response.body().size_hint().upper().is_some_and(|bytes| bytes <= MAX_BYTES);
    if response.status() != StatusCode::OK || !is_small || !may_have_tag(response.headers()) {
        return response;
    }
    let (mut parts, body) = response.into_parts();
    let Ok(bytes) = to_bytes(body, MAX_BYTES as usize).await else {
        return Problem::internal().into_response();
    };
    let tag = format!("W/\"{}\"", &VersionId::of(&bytes).to_string()[..32]);
    let Ok(value) = HeaderValue::from_str(&tag) else { return Problem::internal().into_response() };
    parts.headers.insert(header::ETAG, value);
    if known.is_some_and(|known| names(&known, &tag)) {
        parts.status = StatusCode::NOT_MODIFIED;
        parts.headers.remove(header::CONTENT_TYPE);
        parts.headers.remove(header::CONTENT_LENGTH);
        return Response::from_parts(parts, Body::empty());
    }
    Response::from_parts(parts, Body::from(bytes))
}

fn may_have_tag(headers: &HeaderMap) -> bool {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    kind.is_some_and(|kind| kind.starts_with("application/json")) && !headers.contains_key(header::ETAG)
}

/// Whether a tag stands in a list; weak or not makes no difference here.
pub fn names(list: &HeaderValue, tag: &str) -> bool {
    let plain = |tag: &str| tag.trim().trim_start_matches("W/").to_owned();
    list.to_str().is_ok_and(|list| list.trim() == "*" || list.split(',').any(|one| plain(one) == plain(tag)))
}
