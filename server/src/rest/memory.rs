use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::{Extension, Json};
use serde::Deserialize;
use waypost_engine::api::{
    AppendMessages, AppendReply, MemoryFilter, MemoryInfo, MessageInput, RecallReply, RecallRequest,
    RememberReply, RememberRequest, Session, ThreadReply, ThreadRequest, WriteReply,
};

use super::extract::{Body, NoParams, Params, Path};
use crate::paging::{Page, PageParams, page};
use crate::problem::Problem;
use crate::serve::App;
use crate::telemetry::Stage;

/// Of `GET /v1/memory`.
#[derive(Debug, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ListParams {
    workspace: Option<String>,
    agent: Option<String>,
    topic: Option<String>,
    /// `note` or `thread`.
    kind: Option<String>,
    #[serde(default)]
    include_expired: bool,
    #[schemars(range(min = 1, max = 1000))]
    limit: Option<usize>,
    cursor: Option<String>,
}

/// Of `POST /v1/memory/threads/{thread}/messages`: one message, or several under `messages`.
#[derive(Debug, Default, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AppendBody {
    workspace: Option<String>,
    agent: Option<String>,
    role: Option<String>,
    text: Option<String>,
    tokens: Option<usize>,
    #[serde(default)]
    messages: Vec<MessageInput>,
}

/// Of `POST /v1/memory/forget`.
#[derive(Debug, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ForgetBody {
    /// A note, or any file of a thread, which then goes as a whole.
    path: String,
}

/// `GET /v1/memory`.
pub async fn all(
    State(app): State<Arc<App>>,
    Extension(session): Extension<Session>,
    Params(params): Params<ListParams>,
) -> Result<Json<Page<MemoryInfo>>, Problem> {
    let filter = MemoryFilter {
        workspace: params.workspace,
        agent: params.agent,
        topic: params.topic,
        kind: params.kind,
        include_expired: params.include_expired,
    };
    let listed = app.bridge.run(move || session.memories_listed(&filter)).await?;
    let params = PageParams { limit: params.limit, cursor: params.cursor };
    page(listed, &params, |memory| memory.path.clone()).map(Json)
}

/// `POST /v1/memory/remember`.
pub async fn remember(
    State(app): State<Arc<App>>,
    Extension(session): Extension<Session>,
    Params(NoParams {}): Params<NoParams>,
    Body(request): Body<RememberRequest>,
) -> Result<(StatusCode, Json<RememberReply>), Problem> {
    let reply = app.bridge.run(move || session.remember(&request)).await?;
    let status = if reply.written { StatusCode::CREATED } else { StatusCode::OK };
    Ok((status, Json(reply)))
}

/// `POST /v1/memory/recall`.
pub async fn recall(
    State(app): State<Arc<App>>,
    Extension(session): Extension<Session>,
    Params(NoParams {}): Params<NoParams>,
    Body(request): Body<RecallRequest>,
) -> Result<Json<RecallReply>, Problem> {
    let done = app.bridge.run_timed(move || session.recall(&request)).await?;
    app.telemetry.stage("recall", Stage::Queue, done.queued);
    app.telemetry.stage("recall", Stage::Engine, super::answers::milliseconds(done.value.took_ms));
    Ok(Json(done.value))
}

/// `POST /v1/memory/forget`.
pub async fn forget(
    State(app): State<Arc<App>>,
    Extension(session): Extension<Session>,
    Params(NoParams {}): Params<NoParams>,
    Body(request): Body<ForgetBody>,
) -> Result<Json<WriteReply>, Problem> {
    app.bridge.run(move || session.forget(&request.path)).await.map(Json)
}

/// `POST /v1/memory/threads/{thread}/messages`.
pub async fn append(
    State(app): State<Arc<App>>,
    Extension(session): Extension<Session>,
    Path(thread): Path<String>,
    Params(NoParams {}): Params<NoParams>,
    Body(body): Body<AppendBody>,
) -> Result<(StatusCode, Json<AppendReply>), Problem> {
    let request = body.read()?;
    let reply = app.bridge.run(move || session.append_messages(&thread, &request)).await?;
    Ok((StatusCode::CREATED, Json(reply)))
}

/// `GET /v1/memory/threads/{thread}`.
pub async fn thread(
    State(app): State<Arc<App>>,
    Extension(session): Extension<Session>,
    Path(thread): Path<String>,
    Params(request): Params<ThreadRequest>,
) -> Result<Json<ThreadReply>, Problem> {
    app.bridge.run(move || session.thread(&thread, &request)).await.map(Json)
}

impl AppendBody {
    fn read(self) -> Result<AppendMessages, Problem> {
        let Self { workspace, agent, role, text, tokens, mut messages } = self;
        match (role, text) {
            (Some(role), Some(text)) if messages.is_empty() => {
                messages.push(MessageInput { role, text, tokens })
            }
            (None, None) if tokens.is_none() && !messages.is_empty() => {}
            _ => {
                let expected = "expected one message as `role` and `text`, or several as `messages`";
                return Err(Problem::invalid(expected));
            }
        }
        Ok(AppendMessages { workspace, agent, messages })
    }
}
