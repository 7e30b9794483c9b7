use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::{Extension, Json};
use serde::{Deserialize, Serialize};
use waypost_engine::api::{ConsumeOptions, Consumed, GroupInfo, Session, Start};

use super::extract::{Body, NoParams, Params};
use crate::paging::{Page, PageParams, page_in_order};
use crate::problem::Problem;
use crate::serve::App;
use crate::times::{patience, ttl};

/// Of `POST /v1/consumers/fetch`.
#[derive(Debug, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FetchRequest {
    workspace: String,
    topic: String,
    group: String,
    /// `start`, `now` or a `seq`.
    from: Option<String>,
    limit: Option<usize>,
    lease_ms: Option<u64>,
    lease_seconds: Option<u64>,
    /// 0 to 25 seconds.
    #[serde(default)]
    wait_seconds: u64,
}

/// Of `POST /v1/consumers/ack`.
#[derive(Debug, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AckRequest {
    workspace: String,
    topic: String,
    group: String,
    ids: Vec<String>,
}

#[derive(Debug, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ListParams {
    workspace: String,
    topic: String,
    #[schemars(range(min = 1, max = 1000))]
    limit: Option<usize>,
    cursor: Option<String>,
}

#[derive(Debug, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GroupParams {
    workspace: String,
    topic: String,
    group: String,
}

/// Of `POST /v1/consumers/ack`.
#[derive(Debug, Serialize, schemars::JsonSchema)]
pub struct Acked {
    acked: usize,
    /// Ids that were not, or no longer, the caller's.
    lost: Vec<String>,
}

/// `POST /v1/consumers/fetch`: events for a member of a group; waits for one where that is asked.
pub async fn fetch(
    State(app): State<Arc<App>>,
    Extension(session): Extension<Session>,
    Params(NoParams {}): Params<NoParams>,
    Body(request): Body<FetchRequest>,
) -> Result<Json<Consumed>, Problem> {
    let options = ConsumeOptions {
        from: request.from.as_deref().map(Start::read).unwrap_or_default(),
        limit: request.limit,
        lease_ms: ttl(request.lease_ms, request.lease_seconds, "lease_seconds")?,
        wait: patience(request.wait_seconds, "wait_seconds")?,
    };
    let waits = request.wait_seconds > 0;
    let fetch = move |session: &Session| {
        session.consume(&request.workspace, &request.topic, &request.group, &options)
    };
    if waits {
        return app.wait(session, fetch).await.map(Json);
    }
    app.bridge.run(move || fetch(&session)).await.map(Json)
}

/// `POST /v1/consumers/ack`.
pub async fn ack(
    State(app): State<Arc<App>>,
    Extension(session): Extension<Session>,
    Params(NoParams {}): Params<NoParams>,
    Body(request): Body<AckRequest>,
) -> Result<Json<Acked>, Problem> {
    let n_ids = request.ids.len();
    let ack = move || session.ack(&request.workspace, &request.topic, &request.group, &request.ids);
    let lost = app.bridge.run(ack).await?;
    Ok(Json(Acked { acked: n_ids - lost.len(), lost }))
}

/// `GET /v1/consumers`.
pub async fn all(
    State(app): State<Arc<App>>,
    Extension(session): Extension<Session>,
    Params(params): Params<ListParams>,
) -> Result<Json<Page<GroupInfo>>, Problem> {
    let page = PageParams { limit: params.limit, cursor: params.cursor };
    let groups = app.bridge.run(move || session.consumer_groups(&params.workspace, &params.topic)).await?;
    page_in_order(groups, &page).map(Json)
}

/// `DELETE /v1/consumers`.
pub async fn remove(
    State(app): State<Arc<App>>,
    Extension(session): Extension<Session>,
    Params(params): Params<GroupParams>,
) -> Result<StatusCode, Problem> {
    let remove = move || session.remove_consumer_group(&params.workspace, &params.topic, &params.group);
    app.bridge.run(remove).await?;
    Ok(StatusCode::NO_CONTENT)
}
