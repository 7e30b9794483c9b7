use std::sync::Arc;

use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use serde::Deserialize;
use waypost_engine::api::{ImportReply, ImportRequest, ImportStatus, Recursive, Session};
use waypost_engine::id::VersionId;

use super::extract::{Body, NoParams, Params};
use super::files::carried_on;
use crate::blocking::Wish;
use crate::problem::Problem;
use crate::serve::App;

/// Of `POST /v1/import`.
#[derive(Debug, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ImportBody {
    url: String,
    path: String,
    recursive: Option<Recursive>,
    #[serde(default = "yes")]
    refresh: bool,
    expected_version: Option<VersionId>,
    fence: Option<u64>,
    #[schemars(range(min = 1, max = 67_108_864))]
    max_bytes: Option<u64>,
    #[serde(default)]
    accept: Vec<String>,
    #[schemars(range(min = 1, max = 600))]
    timeout_seconds: Option<u64>,
    trace: Option<String>,
}

fn yes() -> bool {
    true
}

/// `POST /v1/import`.
pub async fn import(
    State(app): State<Arc<App>>,
    Extension(session): Extension<Session>,
    Params(NoParams {}): Params<NoParams>,
    headers: HeaderMap,
    Body(body): Body<ImportBody>,
) -> Result<Response, Problem> {
    let options = carried_on(&headers, body.expected_version, body.fence)?;
    let request = ImportRequest {
        url: body.url,
        path: body.path,
        recursive: body.recursive,
        refresh: body.refresh,
        max_bytes: body.max_bytes,
        accept: body.accept,
        timeout_seconds: body.timeout_seconds,
    };
    let session = match &body.trace {
        Some(trace) => session.with_trace(trace),
        None => session,
    };
    // Who hangs up ends it.
    let mut wish = Wish::new(&app.engine);
    let session = session.until(wish.stop());
    let reply = app.imports.run(move || session.import(&request, &options, &mut |_| {})).await;
    wish.fulfil();
    Ok(shown(reply?))
}

fn shown(reply: ImportReply) -> Response {
    let (status, etag) = match &reply {
        ImportReply::File(file) if file.status == ImportStatus::Created => {
            (StatusCode::CREATED, Some(file.version))
        }
        ImportReply::File(file) => (StatusCode::OK, Some(file.version)),
        ImportReply::Section(_) => (StatusCode::OK, None),
    };
    let mut response = (status, Json(reply)).into_response();
    let etag = etag.and_then(|version| HeaderValue::from_str(&format!("\"{version}\"")).ok());
    if let Some(etag) = etag {
        response.headers_mut().insert(header::ETAG, etag);
    }
    response
}
