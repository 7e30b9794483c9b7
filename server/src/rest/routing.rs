use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::{Extension, Json};
use serde::{Deserialize, Serialize};
use waypost_engine::api::{
    DispatchReply, DispatchRequest, ExplainReply, ExplainRequest, Feedback, Lesson, LintReply, RouteReply,
    RouteRequest, Session,
};

use super::extract::{Body, NoParams, Params, Path};
use crate::paging::{Page, PageParams, page_in_order};
use crate::problem::Problem;
use crate::serve::App;

/// What a word of feedback changed.
#[derive(Debug, Serialize, schemars::JsonSchema)]
pub struct Learned {
    learned: Vec<Lesson>,
}

/// A body without anything in it.
#[derive(Debug, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NoFields {}

/// `POST /v1/route`.
pub async fn route(
    State(app): State<Arc<App>>,
    Extension(session): Extension<Session>,
    Params(NoParams {}): Params<NoParams>,
    Body(request): Body<RouteRequest>,
) -> Result<Json<RouteReply>, Problem> {
    app.bridge.run(move || session.route(&request)).await.map(Json)
}

/// `POST /v1/route/explain`.
pub async fn explain(
    State(app): State<Arc<App>>,
    Extension(session): Extension<Session>,
    Params(NoParams {}): Params<NoParams>,
    Body(request): Body<ExplainRequest>,
) -> Result<Json<ExplainReply>, Problem> {
    app.bridge.run(move || session.explain_route(&request)).await.map(Json)
}

/// `POST /v1/route/lint`.
pub async fn lint(
    State(app): State<Arc<App>>,
    Extension(session): Extension<Session>,
    Params(NoParams {}): Params<NoParams>,
    _: Option<Body<NoFields>>,
) -> Result<Json<LintReply>, Problem> {
    app.bridge.run(move || session.lint_routes()).await.map(Json)
}

/// `POST /v1/route/feedback`.
pub async fn feedback(
    State(app): State<Arc<App>>,
    Extension(session): Extension<Session>,
    Params(NoParams {}): Params<NoParams>,
    Body(mut feedback): Body<Feedback>,
) -> Result<Json<Learned>, Problem> {
    // An agent's id begins with what it is; a tool's does not, and some write it so all the same.
    for entry in [&mut feedback.right, &mut feedback.wrong].into_iter().flatten() {
        if let Some(tool) = entry.strip_prefix("tool:") {
            *entry = tool.to_owned();
        }
    }
    let learned = app.bridge.run(move || session.route_feedback(&feedback)).await?;
    Ok(Json(Learned { learned }))
}

/// `GET /v1/route/feedback`: what was learned.
pub async fn lessons(
    State(app): State<Arc<App>>,
    Extension(session): Extension<Session>,
    Params(params): Params<PageParams>,
) -> Result<Json<Page<Lesson>>, Problem> {
    let lessons = app.bridge.run(move || session.lessons()).await?;
    page_in_order(lessons, &params).map(Json)
}

/// `DELETE /v1/route/feedback/{id}`: takes a lesson back.
pub async fn forget(
    State(app): State<Arc<App>>,
    Extension(session): Extension<Session>,
    Params(NoParams {}): Params<NoParams>,
    Path(id): Path<String>,
) -> Result<StatusCode, Problem> {
    app.bridge.run(move || session.forget_lesson(&id)).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// `POST /v1/dispatch`.
pub async fn dispatch(
    State(app): State<Arc<App>>,
    Extension(session): Extension<Session>,
    Params(NoParams {}): Params<NoParams>,
    Body(request): Body<DispatchRequest>,
) -> Result<(StatusCode, Json<DispatchReply>), Problem> {
    let reply = app.bridge.run(move || session.dispatch(&request)).await?;
    Ok((StatusCode::CREATED, Json(reply)))
}
