use std::sync::Arc;

use axum::extract::State;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use serde::{Deserialize, Serialize};
use waypost_engine::api::{
    CloneReport, PruneReport, RestoreReport, Retention, Session, SnapshotDiff, SnapshotInfo,
};

use super::extract::{Body, NoParams, Params, Path};
use crate::paging::{Page, PageParams, page_in_order};
use crate::problem::Problem;
use crate::serve::App;

/// Of `GET /v1/snapshots`.
#[derive(Debug, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ListParams {
    /// Of this one alone.
    workspace: Option<String>,
    #[schemars(range(min = 1, max = 1000))]
    limit: Option<usize>,
    cursor: Option<String>,
}

/// Of `GET /v1/snapshots/diff`. A state is a snapshot's id or name, and where `workspace` is named also a `seq` or a time.
#[derive(Debug, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct StatesParams {
    /// The state before.
    from: String,
    /// The state after; today where it is missing.
    #[serde(alias = "with")]
    to: Option<String>,
    workspace: Option<String>,
}

/// Of `POST /v1/snapshots`; without a workspace every one that may be changed as a whole.
#[derive(Debug, Default, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SnapshotRequest {
    workspace: Option<String>,
    #[serde(default)]
    name: String,
}

/// Of `POST /v1/snapshots/{id}/clone`.
#[derive(Debug, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CloneRequest {
    #[serde(alias = "workspace")]
    name: String,
}

/// Of `POST /v1/snapshots`: one where a workspace was named, a list otherwise.
#[derive(Debug, Serialize, schemars::JsonSchema)]
#[serde(untagged)]
pub enum Taken {
    One(Box<SnapshotInfo>),
    All { items: Vec<SnapshotInfo> },
}

#[derive(Debug, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DiffParams {
    #[serde(alias = "to")]
    with: Option<String>,
}

/// Of `POST /v1/prune`.
#[derive(Debug, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PruneRequest {
    versions: Option<usize>,
    days: Option<u32>,
    #[serde(default)]
    dry_run: bool,
}

/// `GET /v1/snapshots`.
pub async fn all(
    State(app): State<Arc<App>>,
    Extension(session): Extension<Session>,
    Params(params): Params<ListParams>,
) -> Result<Json<Page<SnapshotInfo>>, Problem> {
    let ListParams { workspace, limit, cursor } = params;
    let snapshots = app.bridge.run(move || session.snapshots_of(workspace.as_deref())).await?;
    page_in_order(snapshots, &PageParams { limit, cursor }).map(Json)
}

/// `GET /v1/snapshots/{id}`, by its id or name, as for all routes below it.
pub async fn one(
    State(app): State<Arc<App>>,
    Extension(session): Extension<Session>,
    Path(id): Path<String>,
    Params(NoParams {}): Params<NoParams>,
) -> Result<Json<SnapshotInfo>, Problem> {
    app.bridge.run(move || session.snapshot(&id)).await.map(Json)
}

/// `POST /v1/snapshots`.
pub async fn take(
    State(app): State<Arc<App>>,
    Extension(session): Extension<Session>,
    Params(NoParams {}): Params<NoParams>,
    Body(request): Body<SnapshotRequest>,
) -> Result<(StatusCode, Json<Taken>), Problem> {
    let is_one = request.workspace.is_some();
    let take = move || session.take_snapshot(request.workspace.as_deref(), &request.name);
    let mut taken = app.bridge.run(take).await?;
    let taken = match (is_one, taken.pop()) {
        (true, Some(snapshot)) => Taken::One(Box::new(snapshot)),
        (_, last) => {
            taken.extend(last);
            Taken::All { items: taken }
        }
    };
    Ok((StatusCode::CREATED, Json(taken)))
}

/// `DELETE /v1/snapshots/{id}`.
pub async fn remove(
    State(app): State<Arc<App>>,
    Extension(session): Extension<Session>,
    Path(id): Path<String>,
    Params(NoParams {}): Params<NoParams>,
) -> Result<StatusCode, Problem> {
    app.bridge.run(move || session.remove_snapshot(&id)).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// `GET /v1/snapshots/diff`.
pub async fn diff_states(
    State(app): State<Arc<App>>,
    Extension(session): Extension<Session>,
    Params(params): Params<StatesParams>,
) -> Result<Json<SnapshotDiff>, Problem> {
    let StatesParams { from, to, workspace } = params;
    let diff = move || session.diff_states(&from, to.as_deref(), workspace.as_deref());
    app.bridge.run(diff).await.map(Json)
}

/// `GET /v1/snapshots/{id}/diff`.
pub async fn diff(
    State(app): State<Arc<App>>,
    Extension(session): Extension<Session>,
    Path(id): Path<String>,
    Params(params): Params<DiffParams>,
) -> Result<Json<SnapshotDiff>, Problem> {
    app.bridge.run(move || session.diff_snapshot(&id, params.with.as_deref())).await.map(Json)
}

/// `POST /v1/snapshots/{id}/restore`.
pub async fn restore(
    State(app): State<Arc<App>>,
    Extension(session): Extension<Session>,
    Path(id): Path<String>,
    Params(NoParams {}): Params<NoParams>,
) -> Result<Json<RestoreReport>, Problem> {
    app.bridge.run(move || session.restore_snapshot(&id)).await.map(Json)
}

/// `POST /v1/snapshots/{id}/clone`.
pub async fn clone(
    State(app): State<Arc<App>>,
    Extension(session): Extension<Session>,
    Path(id): Path<String>,
    Params(NoParams {}): Params<NoParams>,
    Body(request): Body<CloneRequest>,
) -> Result<(StatusCode, Json<CloneReport>), Problem> {
    let report = app.bridge.run(move || session.clone_snapshot(&id, &request.name)).await?;
    Ok((StatusCode::CREATED, Json(report)))
}

/// `GET /v1/snapshots/{id}/export`.
pub async fn export(
    State(app): State<Arc<App>>,
    Extension(session): Extension<Session>,
    Path(id): Path<String>,
    Params(NoParams {}): Params<NoParams>,
) -> Result<Response, Problem> {
    let archive = app
        .bridge
        .run(move || {
            let mut archive = Vec::new();
            session.export_snapshot(&id, &mut archive).map(|()| archive)
        })
        .await?;
    let mut response = archive.into_response();
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/x-tar"));
    Ok(response)
}

/// `POST /v1/prune`.
pub async fn prune(
    State(app): State<Arc<App>>,
    Extension(session): Extension<Session>,
    Params(NoParams {}): Params<NoParams>,
    Body(request): Body<PruneRequest>,
) -> Result<Json<PruneReport>, Problem> {
    let age_ms = request.days.map(|days| i64::from(days) * 24 * 3600 * 1000);
    let retention = Retention { versions: request.versions, age_ms };
    app.bridge.run(move || session.prune(retention, request.dry_run)).await.map(Json)
}
