use std::sync::Arc;

use axum::Extension;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use waypost_engine::api::{FileContent, Session};

use super::extract::{FilePath, Params};
use super::range::{Part, part};
use crate::problem::Problem;
use crate::serve::App;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReadParams {
    version: Option<String>,
}

/// `GET` and `HEAD /v1/files/{path…}`.
pub async fn read(
    State(app): State<Arc<App>>,
    Extension(session): Extension<Session>,
    method: Method,
    FilePath(path): FilePath,
    Params(params): Params<ReadParams>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let file = app.bridge.run(move || session.read_file(&path, params.version.as_deref())).await?;
    answer(file, &method, &headers)
}

fn answer(file: FileContent, method: &Method, headers: &HeaderMap) -> Result<Response, Problem> {
    let etag = format!("\"{}\"", file.version);
    if text(headers, header::IF_MATCH).is_some_and(|tags| !names(tags, &etag, false)) {
        let detail = format!("the file's version is `{}`, none of those in `If-Match`", file.version);
        return Err(Problem::new(StatusCode::PRECONDITION_FAILED, "version_conflict", detail));
    }
    if text(headers, header::IF_NONE_MATCH).is_some_and(|tags| names(tags, &etag, true)) {
        return Ok(with_headers(StatusCode::NOT_MODIFIED.into_response(), &etag, None));
    }
    let is_same = text(headers, header::IF_RANGE).is_none_or(|tag| tag.trim() == etag);
    let wanted = text(headers, header::RANGE).filter(|_| is_same && *method == Method::GET);
    let len = file.bytes.len();
    let bytes = Bytes::from(file.bytes);
    let mime = Some(file.mime_type.as_str());
    match part(wanted, len) {
        Part::Whole => Ok(with_headers(Body::from(bytes).into_response(), &etag, mime)),
        Part::Some(range) => {
            let shown = format!("bytes {}-{}/{len}", range.start, range.end - 1);
            let response = (StatusCode::PARTIAL_CONTENT, Body::from(bytes.slice(range))).into_response();
            Ok(with_value(with_headers(response, &etag, mime), header::CONTENT_RANGE, &shown))
        }
        Part::Unsatisfiable => {
            let detail = format!("the file has {len} bytes: none lie in the range");
            let problem = Problem::new(StatusCode::RANGE_NOT_SATISFIABLE, "invalid_range", detail);
            Ok(with_value(problem.into_response(), header::CONTENT_RANGE, &format!("bytes */{len}")))
        }
    }
}

/// Whether a list of tags names this one, or any; `If-None-Match` compares weakly, `If-Match` strongly.
fn names(tags: &str, etag: &str, weakly: bool) -> bool {
    tags.trim() == "*"
        || tags.split(',').map(str::trim).any(|tag| {
            let tag = if weakly { tag.strip_prefix("W/").unwrap_or(tag) } else { tag };
            tag == etag
        })
}

/// A file is somebody else's text: a browser must neither guess what it is nor run it.
fn with_headers(mut response: Response, etag: &str, mime: Option<&str>) -> Response {
    let headers = response.headers_mut();
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static("sandbox; default-src 'none'"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("private, no-cache"));
    headers.insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    let response = with_value(response, header::ETAG, etag);
    match mime {
        Some(mime) if mime.starts_with("text/") => {
            with_value(response, header::CONTENT_TYPE, &format!("{mime}; charset=utf-8"))
        }
        Some(mime) => with_value(response, header::CONTENT_TYPE, mime),
        None => response,
    }
}

fn with_value(mut response: Response, name: HeaderName, value: &str) -> Response {
    if let Ok(value) = HeaderValue::from_str(value) {
        response.headers_mut().insert(name, value);
    }
    response
}

fn text(headers: &HeaderMap, name: HeaderName) -> Option<&str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}
