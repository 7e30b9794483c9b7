use std::path::PathBuf;
use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::{Extension, Json};
use serde::Deserialize;
use waypost_engine::api::{ListEntry, Session, WorkspaceInfo};

use super::extract::{Body, FilePath, NoParams, Params, Path};
use crate::paging::{Page, PageParams, page};
use crate::problem::Problem;
use crate::serve::App;

/// `GET /v1/workspaces`.
pub async fn all(
    State(app): State<Arc<App>>,
    Extension(session): Extension<Session>,
    Params(params): Params<PageParams>,
) -> Result<Json<Page<WorkspaceInfo>>, Problem> {
    let workspaces = app.bridge.run(move || session.workspaces()).await?;
    page(workspaces, &params, |workspace| workspace.name.clone()).map(Json)
}

/// `GET /v1/workspaces/{ws}`.
pub async fn one(
    State(app): State<Arc<App>>,
    Extension(session): Extension<Session>,
    Path(name): Path<String>,
    Params(NoParams {}): Params<NoParams>,
) -> Result<Json<WorkspaceInfo>, Problem> {
    app.bridge.run(move || session.workspace(&name)).await.map(Json)
}

/// Of `POST /v1/workspaces`; with a `folder` of this machine that one is attached.
#[derive(Debug, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct WorkspaceRequest {
    name: String,
    #[serde(alias = "path", alias = "attach")]
    folder: Option<PathBuf>,
    #[serde(default = "on")]
    intelligence: bool,
}

fn on() -> bool {
    true
}

/// Of `PATCH /v1/workspaces/{ws}`.
#[derive(Debug, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct WorkspacePatch {
    intelligence: bool,
}

#[derive(Debug, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RemoveParams {
    files: Option<FilesWord>,
}

/// What becomes of the files of a workspace that Waypost made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum FilesWord {
    Delete,
    Keep,
}

/// `POST /v1/workspaces`.
pub async fn create(
    State(app): State<Arc<App>>,
    Extension(session): Extension<Session>,
    Params(NoParams {}): Params<NoParams>,
    Body(request): Body<WorkspaceRequest>,
) -> Result<(StatusCode, Json<WorkspaceInfo>), Problem> {
    let create =
        move || session.create_workspace(&request.name, request.folder.as_deref(), request.intelligence);
    Ok((StatusCode::CREATED, Json(app.bridge.run(create).await?)))
}

/// `PATCH /v1/workspaces/{ws}`.
pub async fn update(
    State(app): State<Arc<App>>,
    Extension(session): Extension<Session>,
    Path(name): Path<String>,
    Params(NoParams {}): Params<NoParams>,
    Body(patch): Body<WorkspacePatch>,
) -> Result<Json<WorkspaceInfo>, Problem> {
    app.bridge.run(move || session.set_intelligence(&name, patch.intelligence)).await.map(Json)
}

/// `DELETE /v1/workspaces/{ws}`: an attached folder is only let go; one that Waypost made goes with its files, unless
/// `files=keep`.
pub async fn remove(
    State(app): State<Arc<App>>,
    Extension(session): Extension<Session>,
    Path(name): Path<String>,
    Params(params): Params<RemoveParams>,
) -> Result<StatusCode, Problem> {
    let and_files = params.files != Some(FilesWord::Keep);
    app.bridge.run(move || session.remove_workspace(&name, and_files)).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// `GET /v1/list/`: the workspaces, as folders.
pub async fn list_top(
    app: State<Arc<App>>,
    session: Extension<Session>,
    params: Params<PageParams>,
) -> Result<Json<Page<ListEntry>>, Problem> {
    list(app, session, FilePath("/".to_owned()), params).await
}

/// `GET /v1/list/{path…}`.
pub async fn list(
    State(app): State<Arc<App>>,
    Extension(session): Extension<Session>,
    FilePath(path): FilePath,
    Params(params): Params<PageParams>,
) -> Result<Json<Page<ListEntry>>, Problem> {
    let entries = app.bridge.run(move || session.list(&path)).await?;
    page(entries, &params, list_key).map(Json)
}

/// Folders first, then by name, as the engine lists them.
pub fn list_key(entry: &ListEntry) -> String {
    let rank = if entry.kind == "folder" { '0' } else { '1' };
    format!("{rank}{}", entry.name)
}
