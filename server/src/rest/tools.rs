//! Tools of other servers, those servers, and tools that were declared.

use std::sync::Arc;

use axum::extract::{FromRequest, Path, Request, State};
use axum::http::StatusCode;
use axum::{Extension, Json};
use serde::Deserialize;
use serde_json::{Map, Value};
use waypost_engine::api::{
    CallOptions, CallReply, ServerInfo, Session, ToolDeclaration, ToolInfo, ToolState, ToolsFilter,
};

use super::extract::{Body, NoParams, Params};
use crate::mcp::budget_bytes;
use crate::paging::{Page, PageParams, page};
use crate::problem::Problem;
use crate::serve::{App, REQUEST_TIMEOUT};
use crate::upstream::Call;

#[derive(Debug, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ListParams {
    state: Option<ToolState>,
    server: Option<String>,
    #[schemars(range(min = 1, max = 1000))]
    limit: Option<usize>,
    cursor: Option<String>,
}

/// Of `POST /v1/tools/{id}/call`.
#[derive(Debug, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CallRequest {
    #[serde(default)]
    arguments: Map<String, Value>,
    max_tokens: Option<usize>,
    priority: Option<i64>,
    trace: Option<String>,
}

/// `GET /v1/tools`.
pub async fn all(
    State(app): State<Arc<App>>,
    Extension(session): Extension<Session>,
    Params(params): Params<ListParams>,
) -> Result<Json<Page<ToolInfo>>, Problem> {
    let filter = ToolsFilter { state: params.state, server: params.server };
    let tools = app.bridge.run(move || session.tools(&filter)).await?;
    let params = PageParams { limit: params.limit, cursor: params.cursor };
    page(tools, &params, |tool| tool.id.to_string()).map(Json)
}

/// `GET /v1/tools/{id}`.
pub async fn one(
    State(app): State<Arc<App>>,
    Extension(session): Extension<Session>,
    Path(id): Path<String>,
    Params(NoParams {}): Params<NoParams>,
) -> Result<Json<ToolInfo>, Problem> {
    app.bridge.run(move || session.tool(&id)).await.map(Json)
}

/// `PUT /v1/tools/{id}`: with a description a tool that no server has, else what the operator says of one.
pub async fn put(
    State(app): State<Arc<App>>,
    Extension(session): Extension<Session>,
    Path(id): Path<String>,
    Params(NoParams {}): Params<NoParams>,
    Body(put): Body<ToolDeclaration>,
) -> Result<Json<ToolInfo>, Problem> {
    app.bridge.run(move || session.put_tool(&id, put)).await.map(Json)
}

/// `DELETE /v1/tools/{id}`.
pub async fn forget(
    State(app): State<Arc<App>>,
    Extension(session): Extension<Session>,
    Path(id): Path<String>,
    Params(NoParams {}): Params<NoParams>,
) -> Result<StatusCode, Problem> {
    app.bridge.run(move || session.forget_tool(&id)).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// `POST /v1/tools/{id}/call`. A client that hangs up cancels the call.
pub async fn call(
    State(app): State<Arc<App>>,
    Extension(session): Extension<Session>,
    Path(id): Path<String>,
    Params(NoParams {}): Params<NoParams>,
    request: Request,
) -> Result<Json<CallReply>, Problem> {
    // The call has its own time; its request has the usual one.
    let body = Body::<CallRequest>::from_request(request, &());
    let body = tokio::time::timeout(REQUEST_TIMEOUT, body).await;
    let Body(request) = body.map_err(|_| Problem::timeout())??;
    let max_bytes = request.max_tokens.map(|tokens| budget_bytes(Some(tokens))).transpose()?;
    let options = CallOptions::default().max_bytes(max_bytes).priority(request.priority);
    let session = match &request.trace {
        Some(trace) => session.with_trace(trace),
        None => session,
    };
    let call = Call { tool: id, arguments: Value::Object(request.arguments), options, progress: None };
    app.upstreams.call(app.bridge.clone(), session, call).await.map(Json)
}

/// `GET /v1/upstreams`.
pub async fn servers(
    State(app): State<Arc<App>>,
    Extension(session): Extension<Session>,
    Params(params): Params<PageParams>,
) -> Result<Json<Page<ServerInfo>>, Problem> {
    let servers = app.bridge.run(move || session.tool_servers()).await?;
    page(servers, &params, |server| server.name.clone()).map(Json)
}
