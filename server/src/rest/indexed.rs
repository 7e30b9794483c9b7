//! What the index has of each file, and why it has others not.

use std::sync::Arc;

use axum::extract::State;
use axum::{Extension, Json};
use serde::Deserialize;
use waypost_engine::api::{IndexState, IndexedFile, Session};

use super::extract::{FilePath, Params};
use crate::paging::{Page, PageParams, page};
use crate::problem::Problem;
use crate::serve::App;

#[derive(Debug, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ListParams {
    state: Option<IndexState>,
    #[schemars(range(min = 1, max = 1000))]
    limit: Option<usize>,
    cursor: Option<String>,
}

/// `GET /v1/index/{path…}`: of a file, or of all in a folder and below it.
pub async fn all(
    State(app): State<Arc<App>>,
    Extension(session): Extension<Session>,
    FilePath(path): FilePath,
    Params(params): Params<ListParams>,
) -> Result<Json<Page<IndexedFile>>, Problem> {
    let files = app.bridge.run(move || session.indexed_files(&path, params.state)).await?;
    let params = PageParams { limit: params.limit, cursor: params.cursor };
    page(files, &params, |file| file.path.clone()).map(Json)
}
