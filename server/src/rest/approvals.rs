use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::{Extension, Json};
use serde::{Deserialize, Serialize};
use waypost_engine::access::ApprovalState;
use waypost_engine::api::{ApprovalInfo, Session, WriteReply};

use super::extract::{Body, NoParams, Params, Path};
use crate::paging::{Page, PageParams, page_in_order};
use crate::problem::Problem;
use crate::serve::App;

#[derive(Debug, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ListParams {
    state: Option<ApprovalState>,
    #[schemars(range(min = 1, max = 1000))]
    limit: Option<usize>,
    cursor: Option<String>,
}

/// Of `POST /v1/approvals/{id}/grant` and `/deny`.
#[derive(Debug, Default, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Reason {
    reason: Option<String>,
}

/// Of `POST /v1/approvals/{id}`.
#[derive(Debug, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DecisionRequest {
    decision: DecisionWord,
    reason: Option<String>,
}

#[derive(Debug, Clone, Copy, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum DecisionWord {
    #[serde(alias = "granted", alias = "approve", alias = "approved")]
    Grant,
    #[serde(alias = "denied", alias = "reject", alias = "rejected")]
    Deny,
}

/// Of `POST /v1/approvals`.
#[derive(Debug, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NewRequest {
    /// What it is about, a file or folder that the asker may read.
    path: String,
    /// What is to be decided.
    #[serde(alias = "reason")]
    request: String,
}

/// What became of a decision.
#[derive(Debug, Serialize, schemars::JsonSchema)]
pub struct Settled {
    id: String,
    state: ApprovalState,
    /// What was done.
    result: Option<WriteReply>,
}

/// `GET /v1/approvals`.
pub async fn all(
    State(app): State<Arc<App>>,
    Extension(session): Extension<Session>,
    Params(params): Params<ListParams>,
) -> Result<Json<Page<ApprovalInfo>>, Problem> {
    let approvals = app.bridge.run(move || session.approvals(params.state)).await?;
    page_in_order(approvals, &PageParams { limit: params.limit, cursor: params.cursor }).map(Json)
}

/// `POST /v1/approvals`.
pub async fn request(
    State(app): State<Arc<App>>,
    Extension(session): Extension<Session>,
    Params(NoParams {}): Params<NoParams>,
    Body(new): Body<NewRequest>,
) -> Result<(StatusCode, Json<ApprovalInfo>), Problem> {
    let approval = app.bridge.run(move || session.request_approval(&new.path, &new.request)).await?;
    Ok((StatusCode::CREATED, Json(approval)))
}

/// `GET /v1/approvals/{id}`.
pub async fn one(
    State(app): State<Arc<App>>,
    Extension(session): Extension<Session>,
    Path(id): Path<String>,
    Params(NoParams {}): Params<NoParams>,
) -> Result<Json<ApprovalInfo>, Problem> {
    app.bridge.run(move || session.approval(&id)).await.map(Json)
}

/// `POST /v1/approvals/{id}`.
pub async fn decide(
    app: State<Arc<App>>,
    session: Extension<Session>,
    id: Path<String>,
    Params(NoParams {}): Params<NoParams>,
    Body(request): Body<DecisionRequest>,
) -> Result<Json<Settled>, Problem> {
    let is_grant = matches!(request.decision, DecisionWord::Grant);
    settle(app, session, id, is_grant, request.reason).await
}

/// `POST /v1/approvals/{id}/grant`.
pub async fn grant(
    app: State<Arc<App>>,
    session: Extension<Session>,
    id: Path<String>,
    reason: Option<Body<Reason>>,
) -> Result<Json<Settled>, Problem> {
    settle(app, session, id, true, reason.and_then(|Body(body)| body.reason)).await
}

/// `POST /v1/approvals/{id}/deny`.
pub async fn deny(
    app: State<Arc<App>>,
    session: Extension<Session>,
    id: Path<String>,
    reason: Option<Body<Reason>>,
) -> Result<Json<Settled>, Problem> {
    settle(app, session, id, false, reason.and_then(|Body(body)| body.reason)).await
}

/// `POST /v1/approvals/{id}/approve`.
pub async fn approve(
    app: State<Arc<App>>,
    session: Extension<Session>,
    id: Path<String>,
    reason: Option<Body<Reason>>,
) -> Result<Json<Settled>, Problem> {
    grant(app, session, id, reason).await
}

/// `POST /v1/approvals/{id}/reject`.
pub async fn reject(
    app: State<Arc<App>>,
    session: Extension<Session>,
    id: Path<String>,
    reason: Option<Body<Reason>>,
) -> Result<Json<Settled>, Problem> {
    deny(app, session, id, reason).await
}

async fn settle(
    State(app): State<Arc<App>>,
    Extension(session): Extension<Session>,
    Path(id): Path<String>,
    is_grant: bool,
    reason: Option<String>,
) -> Result<Json<Settled>, Problem> {
    let shown = id.clone();
    let decide = move || session.decide_approval(&id, is_grant, reason.as_deref());
    let result = app.bridge.run(decide).await.map_err(for_who_decides)?;
    let state = if is_grant { ApprovalState::Granted } else { ApprovalState::Denied };
    Ok(Json(Settled { id: shown, state, result }))
}

/// What a change can't stand on is mended by who asked for it, not by who decides.
fn for_who_decides(problem: Problem) -> Problem {
    let hint = match (problem.code, problem.missing) {
        ("version_conflict" | "already_exists", _) | ("not_found", Some("file")) => {
            "the approval is `stale` now: whoever asked for it reads the file again and repeats the change, which asks anew"
        }
        ("approval_closed", _) => {
            "`GET /v1/approvals/ID` shows what became of it; whoever asked for it repeats the change, which asks anew"
        }
        _ => return problem,
    };
    Problem { hint: Some(hint), ..problem }
}

/// `DELETE /v1/approvals/{id}`: who asked takes it back.
pub async fn withdraw(
    State(app): State<Arc<App>>,
    Extension(session): Extension<Session>,
    Path(id): Path<String>,
    Params(NoParams {}): Params<NoParams>,
) -> Result<StatusCode, Problem> {
    let withdrawn = app.bridge.run(move || session.withdraw_approval(&id)).await;
    withdrawn.map_err(|problem| match problem.code {
        "forbidden" => Problem {
            hint: Some("only who asked takes a request back; who has `approve` ends it with `POST /v1/approvals/ID/deny`"),
            ..problem
        },
        _ => problem,
    })?;
    Ok(StatusCode::NO_CONTENT)
}
