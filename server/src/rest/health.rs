use std::sync::Arc;

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};

use waypost_engine::api::Session;

use super::extract::{NoParams, Params};
use crate::problem::Problem;
use crate::serve::App;
use crate::telemetry::Stock;

/// How it is.
#[derive(serde::Serialize, schemars::JsonSchema)]
pub struct Health {
    status: &'static str,
}

/// `GET /healthz`: the process answers.
pub async fn alive() -> Json<Health> {
    Json(Health { status: "ok" })
}

/// `GET /readyz`: the home is open and the server is not stopping.
pub async fn ready(State(app): State<Arc<App>>) -> Result<Json<Health>, Problem> {
    if app.stop.is_cancelled() {
        return Err(Problem::new(StatusCode::SERVICE_UNAVAILABLE, "stopping", "the server is stopping"));
    }
    Ok(Json(Health { status: "ready" }))
}

/// `GET /metrics`, for whoever may see the whole home: its numbers tell of every file.
pub async fn metrics(
    State(app): State<Arc<App>>,
    Extension(session): Extension<Session>,
    Params(NoParams {}): Params<NoParams>,
) -> Result<Response, Problem> {
    let workspaces =
        app.bridge.run(move || session.may_see_metrics().and_then(|()| session.workspaces())).await?;
    let mut stock = Stock::default();
    for workspace in workspaces {
        stock.chunks += workspace.chunks;
        stock.indexed_files += workspace.indexed_files;
        stock.pending_files += workspace.index.pending_files;
    }
    let kind = [(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")];
    Ok((kind, app.telemetry.render(stock)).into_response())
}
