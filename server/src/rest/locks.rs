use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::{Extension, Json};
use serde::Deserialize;
use waypost_engine::api::{LockInfo, Session};
use waypost_engine::store::LockMode;

use super::extract::{Body, NoParams, Params, Path};
use crate::paging::{Page, PageParams, find, page_in_order};
use crate::problem::Problem;
use crate::serve::App;
use crate::times::ttl;

/// Of `POST /v1/locks`.
#[derive(Debug, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LockRequest {
    #[serde(alias = "pattern")]
    path: String,
    #[serde(default)]
    mode: LockMode,
    ttl_ms: Option<u64>,
    ttl_seconds: Option<u64>,
}

/// Of `POST /v1/locks/{id}/heartbeat`.
#[derive(Debug, Default, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HeartbeatRequest {
    ttl_ms: Option<u64>,
    ttl_seconds: Option<u64>,
}

/// `GET /v1/locks`.
pub async fn all(
    State(app): State<Arc<App>>,
    Extension(session): Extension<Session>,
    Params(params): Params<PageParams>,
) -> Result<Json<Page<LockInfo>>, Problem> {
    let locks = app.bridge.run(move || session.locks()).await?;
    page_in_order(locks, &params).map(Json)
}

/// `GET /v1/locks/{id}`.
pub async fn one(
    State(app): State<Arc<App>>,
    Extension(session): Extension<Session>,
    Path(id): Path<String>,
    Params(NoParams {}): Params<NoParams>,
) -> Result<Json<LockInfo>, Problem> {
    let all = app.bridge.run(move || session.locks()).await?;
    find(all, "lock", &id, |one| &one.id).map(Json)
}

/// `POST /v1/locks`.
pub async fn take(
    State(app): State<Arc<App>>,
    Extension(session): Extension<Session>,
    Params(NoParams {}): Params<NoParams>,
    Body(request): Body<LockRequest>,
) -> Result<(StatusCode, Json<LockInfo>), Problem> {
    let ttl_ms = ttl(request.ttl_ms, request.ttl_seconds, "ttl_seconds")?;
    let lock = app.bridge.run(move || session.lock(&request.path, request.mode, ttl_ms)).await?;
    Ok((StatusCode::CREATED, Json(lock)))
}

/// `POST /v1/locks/{id}/heartbeat`.
pub async fn heartbeat(
    State(app): State<Arc<App>>,
    Extension(session): Extension<Session>,
    Path(id): Path<String>,
    Params(NoParams {}): Params<NoParams>,
    Body(request): Body<HeartbeatRequest>,
) -> Result<Json<LockInfo>, Problem> {
    let ttl_ms = ttl(request.ttl_ms, request.ttl_seconds, "ttl_seconds")?;
    app.bridge.run(move || session.extend_lock(&id, ttl_ms)).await.map(Json)
}

/// `DELETE /v1/locks/{id}`.
pub async fn release(
    State(app): State<Arc<App>>,
    Extension(session): Extension<Session>,
    Path(id): Path<String>,
    Params(NoParams {}): Params<NoParams>,
) -> Result<StatusCode, Problem> {
    app.bridge.run(move || session.unlock(&id)).await?;
    Ok(StatusCode::NO_CONTENT)
}
