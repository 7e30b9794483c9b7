//! A file's text, so that whoever follows a citation finds its place.

use std::sync::Arc;

use axum::extract::State;
use axum::{Extension, Json};
use serde::Deserialize;
use waypost_engine::api::{FileText, Session};

use super::extract::{FilePath, Params};
use crate::problem::Problem;
use crate::serve::App;

#[derive(Debug, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TextParams {
    version: Option<String>,
    as_of: Option<String>,
}

/// `GET /v1/text/{path…}`.
pub async fn read(
    State(app): State<Arc<App>>,
    Extension(session): Extension<Session>,
    FilePath(path): FilePath,
    Params(params): Params<TextParams>,
) -> Result<Json<FileText>, Problem> {
    let (version, as_of) = (params.version, params.as_of);
    app.bridge.run(move || session.file_text(&path, version.as_deref(), as_of.as_deref())).await.map(Json)
}
