//! Tools of other servers, those servers, and tools that were declared.

use std::borrow::Cow;
use std::sync::Arc;

use axum::extract::{FromRequest, Request, State};
use axum::http::StatusCode;
use axum::{Extension, Json};
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};
use waypost_engine::api::{
    CallOptions, CallReply, ServerInfo, Session, ToolDeclaration, ToolInfo, ToolState, ToolsFilter,
};
use waypost_engine::budget::{priority_schema, read_priority};

use super::extract::{Body, NoParams, Params, Path};
use super::made;
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
    #[serde(default, deserialize_with = "read_priority")]
    #[schemars(schema_with = "priority_schema")]
    priority: Option<i64>,
    trace: Option<String>,
}

/// Of `PUT /v1/tools/{id}`: a declaration. What `GET` shows beside one may stand there too, and says nothing.
#[derive(Debug)]
pub struct ToolPut {
    id: Option<String>,
    declaration: ToolDeclaration,
}

/// What `GET /v1/tools/{id}` shows beside a declaration.
const SHOWN: [&str; 11] = [
    "server",
    "declared",
    "state",
    "proposed",
    "reason",
    "available",
    "unavailable",
    "approved_at",
    "approved_by",
    "hash",
    "lint",
];

impl<'de> Deserialize<'de> for ToolPut {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut given = Map::<String, Value>::deserialize(deserializer)?;
        given.retain(|name, _| !SHOWN.contains(&name.as_str()));
        let id = given.remove("id").map(String::deserialize).transpose().map_err(D::Error::custom)?;
        let declaration = ToolDeclaration::deserialize(Value::Object(given)).map_err(D::Error::custom)?;
        Ok(Self { id, declaration })
    }
}

impl JsonSchema for ToolPut {
    fn schema_name() -> Cow<'static, str> {
        ToolDeclaration::schema_name()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        ToolDeclaration::json_schema(generator)
    }
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
    Body(put): Body<ToolPut>,
) -> Result<(StatusCode, Json<ToolInfo>), Problem> {
    if let Some(other) = put.id.filter(|other| *other != id) {
        let other: String = other.chars().take(80).collect();
        return Err(Problem::invalid(format!("`id` is `{other}`: expected `{id}`, as in the URL, or none")));
    }
    let tool = app.bridge.run(move || session.put_tool(&id, put.declaration)).await?;
    Ok((made(tool.created), Json(tool)))
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
        Some(trace) => session.in_trace(trace).map_err(Problem::from)?,
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
