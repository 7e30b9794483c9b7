//! Webhooks, their secrets, and what became of each delivery.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::{Extension, Json};
use serde::{Deserialize, Serialize};
use waypost_engine::access::OneOrMany;
use waypost_engine::api::{
    AttemptInfo, DeliveriesPage, DeliveryInfo, DeliveryState, Format, NewWebhook, Replay, Session,
    WebhookChange, WebhookInfo,
};

use super::extract::{Body, NoParams, Params, Path};
use crate::paging::{Page, PageParams, page_in_order};
use crate::problem::Problem;
use crate::serve::App;

/// Deliveries of one page where nothing else is asked, and at most.
const DELIVERIES: (usize, usize) = (100, 1000);

/// Of `POST /v1/webhooks`.
#[derive(Debug, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct WebhookRequest {
    url: String,
    #[serde(default, alias = "description")]
    name: String,
    #[serde(default, alias = "path", alias = "path_glob", alias = "path_globs")]
    paths: Option<OneOrMany>,
    #[serde(default, alias = "kind", alias = "events", alias = "event_types")]
    kinds: Option<OneOrMany>,
    #[serde(default)]
    format: Format,
    secret: Option<String>,
    after: Option<String>,
}

/// Of `PATCH /v1/webhooks/{id}`.
#[derive(Debug, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ChangeRequest {
    url: Option<String>,
    #[serde(alias = "description")]
    name: Option<String>,
    #[serde(alias = "path", alias = "path_glob", alias = "path_globs")]
    paths: Option<OneOrMany>,
    #[serde(alias = "kind", alias = "events", alias = "event_types")]
    kinds: Option<OneOrMany>,
    format: Option<Format>,
    #[serde(alias = "enabled")]
    active: Option<bool>,
    #[serde(default)]
    skip_backlog: bool,
}

/// Of `POST /v1/webhooks/{id}/rotate`.
#[derive(Debug, Default, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RotateRequest {
    overlap_seconds: Option<u64>,
}

/// Of `POST /v1/webhooks/{id}/replay`.
#[derive(Debug, Default, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ReplayRequest {
    #[serde(alias = "since")]
    from: Option<String>,
    #[serde(alias = "until")]
    to: Option<String>,
    state: Option<DeliveryState>,
}

/// How many deliveries were put back into the line.
#[derive(Debug, Serialize, schemars::JsonSchema)]
pub struct Replayed {
    replayed: u64,
}

/// Of `GET /v1/webhooks/{id}/deliveries`.
#[derive(Debug, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DeliveryParams {
    state: Option<DeliveryState>,
    cursor: Option<String>,
    #[schemars(range(min = 1, max = 1000))]
    limit: Option<usize>,
}

/// `GET /v1/webhooks`.
pub async fn all(
    State(app): State<Arc<App>>,
    Extension(session): Extension<Session>,
    Params(params): Params<PageParams>,
) -> Result<Json<Page<WebhookInfo>>, Problem> {
    let webhooks = app.bridge.run(move || session.webhooks()).await?;
    page_in_order(webhooks, &params).map(Json)
}

/// `POST /v1/webhooks`.
pub async fn create(
    State(app): State<Arc<App>>,
    Extension(session): Extension<Session>,
    Params(NoParams {}): Params<NoParams>,
    Body(request): Body<WebhookRequest>,
) -> Result<(StatusCode, Json<WebhookInfo>), Problem> {
    let new = NewWebhook {
        url: request.url,
        name: request.name,
        paths: request.paths.map(OneOrMany::list).unwrap_or_default(),
        kinds: request.kinds.map(OneOrMany::list).unwrap_or_default(),
        format: request.format,
        secret: request.secret,
        after: request.after,
    };
    let made = app.bridge.run(move || session.create_webhook(&new)).await?;
    Ok((StatusCode::CREATED, Json(made)))
}

/// `GET /v1/webhooks/{id}`.
pub async fn one(
    State(app): State<Arc<App>>,
    Extension(session): Extension<Session>,
    Path(id): Path<String>,
    Params(NoParams {}): Params<NoParams>,
) -> Result<Json<WebhookInfo>, Problem> {
    app.bridge.run(move || session.webhook(&id)).await.map(Json)
}

/// `PATCH /v1/webhooks/{id}`.
pub async fn change(
    State(app): State<Arc<App>>,
    Extension(session): Extension<Session>,
    Path(id): Path<String>,
    Params(NoParams {}): Params<NoParams>,
    Body(request): Body<ChangeRequest>,
) -> Result<Json<WebhookInfo>, Problem> {
    let change = WebhookChange {
        url: request.url,
        name: request.name,
        paths: request.paths.map(OneOrMany::list),
        kinds: request.kinds.map(OneOrMany::list),
        format: request.format,
        active: request.active,
        skip_backlog: request.skip_backlog,
    };
    app.bridge.run(move || session.change_webhook(&id, &change)).await.map(Json)
}

/// `DELETE /v1/webhooks/{id}`.
pub async fn remove(
    State(app): State<Arc<App>>,
    Extension(session): Extension<Session>,
    Path(id): Path<String>,
    Params(NoParams {}): Params<NoParams>,
) -> Result<StatusCode, Problem> {
    app.bridge.run(move || session.remove_webhook(&id)).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// `POST /v1/webhooks/{id}/rotate`: a new secret, shown once.
pub async fn rotate(
    State(app): State<Arc<App>>,
    Extension(session): Extension<Session>,
    Path(id): Path<String>,
    Params(NoParams {}): Params<NoParams>,
    request: Option<Body<RotateRequest>>,
) -> Result<Json<WebhookInfo>, Problem> {
    let overlap = request.and_then(|Body(request)| request.overlap_seconds);
    app.bridge.run(move || session.rotate_webhook_secret(&id, overlap)).await.map(Json)
}

/// `POST /v1/webhooks/{id}/ping`: sends a test now, and says what came back.
pub async fn ping(
    State(app): State<Arc<App>>,
    Extension(session): Extension<Session>,
    Path(id): Path<String>,
    Params(NoParams {}): Params<NoParams>,
) -> Result<Json<AttemptInfo>, Problem> {
    let _place = Arc::clone(&app.streams).try_acquire_owned().map_err(|_| Problem::busy())?;
    app.waits.run(move || session.ping_webhook(&id)).await.map(Json)
}

/// `GET /v1/webhooks/{id}/deliveries`, newest first.
pub async fn deliveries(
    State(app): State<Arc<App>>,
    Extension(session): Extension<Session>,
    Path(id): Path<String>,
    Params(params): Params<DeliveryParams>,
) -> Result<Json<DeliveriesPage>, Problem> {
    let (default, most) = DELIVERIES;
    let limit = params.limit.unwrap_or(default);
    if !(1..=most).contains(&limit) {
        return Err(Problem::invalid(format!("`limit` is {limit}: expected 1 to {most}")));
    }
    let list = move || session.deliveries(&id, params.state, params.cursor.as_deref(), limit);
    app.bridge.run(list).await.map(Json)
}

/// `POST /v1/webhooks/{id}/deliveries/{delivery}/replay`.
pub async fn replay_one(
    State(app): State<Arc<App>>,
    Extension(session): Extension<Session>,
    Path((id, delivery)): Path<(String, String)>,
    Params(NoParams {}): Params<NoParams>,
) -> Result<(StatusCode, Json<DeliveryInfo>), Problem> {
    let replayed = app.bridge.run(move || session.replay_delivery(&id, &delivery)).await?;
    Ok((StatusCode::ACCEPTED, Json(replayed)))
}

/// `POST /v1/webhooks/{id}/replay`: a range, the dead letters of all time without one.
pub async fn replay(
    State(app): State<Arc<App>>,
    Extension(session): Extension<Session>,
    Path(id): Path<String>,
    Params(NoParams {}): Params<NoParams>,
    request: Option<Body<ReplayRequest>>,
) -> Result<(StatusCode, Json<Replayed>), Problem> {
    let Body(request) = request.unwrap_or_else(|| Body(ReplayRequest::default()));
    let replay = Replay { from: request.from, to: request.to, state: request.state };
    let replayed = app.bridge.run(move || session.replay_deliveries(&id, &replay)).await?;
    Ok((StatusCode::ACCEPTED, Json(Replayed { replayed })))
}
