use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::http::StatusCode;
use axum::{Extension, Json};
use serde::{Deserialize, Serialize};
use waypost_engine::access::OneOrMany;
use waypost_engine::api::{
    ClaimRequest, Completion, Error, Failure, InboxEntry, NewTask, Session, TaskInfo, TasksFilter,
};
use waypost_engine::tasks::TaskState;

use super::extract::{Body, NoParams, Params, Path};
use crate::paging::{Order, Page, PageParams, page, page_in_order};
use crate::problem::Problem;
use crate::serve::App;
use crate::times::{patience, ttl};

#[derive(Debug, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ListParams {
    workspace: Option<String>,
    #[serde(alias = "status")]
    state: Option<TaskState>,
    to: Option<String>,
    /// `oldest` where it is missing.
    order: Option<Order>,
    #[schemars(range(min = 1, max = 1000))]
    limit: Option<usize>,
    cursor: Option<String>,
}

#[derive(Debug, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct InboxParams {
    #[serde(alias = "status")]
    state: Option<TaskState>,
    #[schemars(range(min = 1, max = 1000))]
    limit: Option<usize>,
    cursor: Option<String>,
}

/// Of `POST /v1/tasks/claim`.
#[derive(Debug, Default, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ClaimBody {
    workspace: Option<String>,
    #[serde(alias = "id")]
    task_id: Option<String>,
    /// What the worker can do: one text, or several.
    #[serde(alias = "capability")]
    capabilities: Option<OneOrMany>,
    inbox: Option<bool>,
    ttl_ms: Option<u64>,
    #[serde(alias = "lease_seconds")]
    ttl_seconds: Option<u64>,
    /// 0 to 25 seconds.
    wait_seconds: Option<u64>,
}

/// What a claim gave.
#[derive(Debug, Serialize, schemars::JsonSchema)]
pub struct Claimed {
    task: Option<TaskInfo>,
    /// Where there is none: what keeps the task that was asked for, or else the first one that waits, as far as that can be told.
    #[serde(skip_serializing_if = "Option::is_none")]
    why: Option<String>,
}

/// Of `POST /v1/tasks/heartbeat`.
#[derive(Debug, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HeartbeatBody {
    #[serde(alias = "id")]
    task_id: String,
    fence: u64,
    ttl_ms: Option<u64>,
    #[serde(alias = "lease_seconds")]
    ttl_seconds: Option<u64>,
    note: Option<String>,
}

/// Of `POST /v1/tasks/reject`.
#[derive(Debug, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RejectBody {
    #[serde(alias = "id")]
    task_id: String,
    #[serde(default)]
    reason: String,
    /// Held against that of whoever has the task, where somebody has.
    fence: Option<u64>,
}

/// Of `POST /v1/tasks/cancel`.
#[derive(Debug, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CancelBody {
    #[serde(alias = "id")]
    task_id: String,
    #[serde(default)]
    reason: String,
}

/// Of `POST /v1/tasks/accept`.
#[derive(Debug, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AcceptBody {
    #[serde(alias = "id")]
    task_id: String,
    /// Held against that of whoever has the task, where somebody has.
    fence: Option<u64>,
}

/// `GET /v1/tasks`.
pub async fn all(
    State(app): State<Arc<App>>,
    Extension(session): Extension<Session>,
    Params(params): Params<ListParams>,
) -> Result<Json<Page<TaskInfo>>, Problem> {
    let filter = TasksFilter { workspace: params.workspace, state: params.state, to: params.to };
    let mut tasks = app.bridge.run(move || session.tasks(&filter)).await?;
    let part = PageParams { limit: params.limit, cursor: params.cursor };
    if params.order != Some(Order::Newest) {
        return page_in_order(tasks, &part).map(Json);
    }
    // By a key and not by place: a task that comes between two pages moves no other.
    let key = |task: &TaskInfo| format!("{}{}", reversed(&task.created_at), task.id);
    tasks.sort_by_cached_key(key);
    page(tasks, &part, key).map(Json)
}

/// A time in another writing, in which a later one comes first.
fn reversed(time: &str) -> String {
    time.chars().map(|c| c.to_digit(10).map_or(c, |digit| char::from(b'9' - digit as u8))).collect()
}

/// `GET /v1/tasks/{id}`.
pub async fn one(
    State(app): State<Arc<App>>,
    Extension(session): Extension<Session>,
    Path(id): Path<String>,
    Params(NoParams {}): Params<NoParams>,
) -> Result<Json<TaskInfo>, Problem> {
    app.bridge.run(move || session.task(&id)).await.map(Json)
}

/// `GET /v1/agents/{id}/inbox`.
pub async fn inbox(
    State(app): State<Arc<App>>,
    Extension(session): Extension<Session>,
    Path(id): Path<String>,
    Params(params): Params<InboxParams>,
) -> Result<Json<Page<InboxEntry>>, Problem> {
    let entries = app.bridge.run(move || session.inbox(&id, params.state)).await?;
    page_in_order(entries, &PageParams { limit: params.limit, cursor: params.cursor }).map(Json)
}

/// `POST /v1/tasks`.
pub async fn create(
    State(app): State<Arc<App>>,
    Extension(session): Extension<Session>,
    Params(NoParams {}): Params<NoParams>,
    Body(request): Body<NewTask>,
) -> Result<(StatusCode, Json<TaskInfo>), Problem> {
    let task = app.bridge.run(move || session.create_task(&request)).await?;
    Ok((StatusCode::CREATED, Json(task)))
}

/// `POST /v1/tasks/claim`: a task, or null; waits for one where that is asked.
pub async fn claim(
    State(app): State<Arc<App>>,
    Extension(session): Extension<Session>,
    Params(NoParams {}): Params<NoParams>,
    body: Option<Body<ClaimBody>>,
) -> Result<Json<Claimed>, Problem> {
    let body = body.map(|Body(body)| body).unwrap_or_default();
    let request = ClaimRequest {
        workspace: body.workspace,
        task_id: body.task_id,
        capabilities: body.capabilities.map(OneOrMany::list).unwrap_or_default(),
        ttl_ms: ttl(body.ttl_ms, body.ttl_seconds, "ttl_seconds")?,
        inbox: body.inbox,
    };
    let claimed = match body.wait_seconds.filter(|seconds| *seconds > 0) {
        None => app.bridge.run(move || claimed(&session, &request, Duration::ZERO)).await?,
        Some(seconds) => {
            let patience = patience(seconds, "wait_seconds")?;
            app.wait(session, move |session| claimed(session, &request, patience)).await?
        }
    };
    Ok(Json(claimed))
}

fn claimed(session: &Session, request: &ClaimRequest, patience: Duration) -> Result<Claimed, Error> {
    let task = session.wait_for_task(request, patience)?;
    let why = if task.is_none() { session.why_unclaimed(request)? } else { None };
    Ok(Claimed { task, why })
}

/// `POST /v1/tasks/heartbeat`.
pub async fn heartbeat(
    State(app): State<Arc<App>>,
    Extension(session): Extension<Session>,
    Params(NoParams {}): Params<NoParams>,
    Body(body): Body<HeartbeatBody>,
) -> Result<Json<TaskInfo>, Problem> {
    let ttl_ms = ttl(body.ttl_ms, body.ttl_seconds, "ttl_seconds")?;
    let extend = move || session.heartbeat_task(&body.task_id, body.fence, ttl_ms, body.note.as_deref());
    app.bridge.run(extend).await.map(Json)
}

/// `POST /v1/tasks/complete`.
pub async fn complete(
    State(app): State<Arc<App>>,
    Extension(session): Extension<Session>,
    Params(NoParams {}): Params<NoParams>,
    Body(completion): Body<Completion>,
) -> Result<Json<TaskInfo>, Problem> {
    app.bridge.run(move || session.complete_task(&completion)).await.map(Json)
}

/// `POST /v1/tasks/fail`.
pub async fn fail(
    State(app): State<Arc<App>>,
    Extension(session): Extension<Session>,
    Params(NoParams {}): Params<NoParams>,
    Body(failure): Body<Failure>,
) -> Result<Json<TaskInfo>, Problem> {
    app.bridge.run(move || session.fail_task(&failure)).await.map(Json)
}

/// `POST /v1/tasks/reject`.
pub async fn reject(
    State(app): State<Arc<App>>,
    Extension(session): Extension<Session>,
    Params(NoParams {}): Params<NoParams>,
    Body(body): Body<RejectBody>,
) -> Result<Json<TaskInfo>, Problem> {
    let reject = move || session.reject_task(&body.task_id, body.fence, &body.reason);
    app.bridge.run(reject).await.map(Json)
}

/// `POST /v1/tasks/accept`.
pub async fn accept(
    State(app): State<Arc<App>>,
    Extension(session): Extension<Session>,
    Params(NoParams {}): Params<NoParams>,
    Body(body): Body<AcceptBody>,
) -> Result<Json<TaskInfo>, Problem> {
    app.bridge.run(move || session.accept_task(&body.task_id, body.fence)).await.map(Json)
}

/// `POST /v1/tasks/cancel`.
pub async fn cancel(
    State(app): State<Arc<App>>,
    Extension(session): Extension<Session>,
    Params(NoParams {}): Params<NoParams>,
    Body(body): Body<CancelBody>,
) -> Result<Json<TaskInfo>, Problem> {
    app.bridge.run(move || session.cancel_task(&body.task_id, &body.reason)).await.map(Json)
}
