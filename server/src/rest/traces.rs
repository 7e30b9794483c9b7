use std::sync::Arc;

use axum::extract::State;
use axum::{Extension, Json};
use waypost_engine::api::{Session, TraceInfo};

use super::extract::{NoParams, Params, Path};
use crate::paging::{Page, PageParams, page_in_order};
use crate::problem::Problem;
use crate::serve::App;

/// `GET /v1/traces`.
pub async fn all(
    State(app): State<Arc<App>>,
    Extension(session): Extension<Session>,
    Params(params): Params<PageParams>,
) -> Result<Json<Page<TraceInfo>>, Problem> {
    let traces = app.bridge.run(move || session.traces()).await?;
    page_in_order(traces, &params).map(Json)
}

/// `GET /v1/traces/{id}`.
pub async fn one(
    State(app): State<Arc<App>>,
    Extension(session): Extension<Session>,
    Path(id): Path<String>,
    Params(NoParams {}): Params<NoParams>,
) -> Result<Json<TraceInfo>, Problem> {
    app.bridge.run(move || session.trace(&id)).await.map(Json)
}
