use std::sync::Arc;

use axum::extract::{Path, State};
use axum::{Extension, Json};
use waypost_engine::api::{ListEntry, Session, WorkspaceInfo};

use super::extract::{FilePath, NoParams, Params};
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
