//! Budgets, and what was used.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::{Extension, Json};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use waypost_engine::api::{
    Budget, BudgetInfo, BudgetLimits, Error, GroupBy, Period, Session, TargetPattern, UsageInfo, UsageReport,
    UsageRequest,
};
use waypost_engine::pattern::Pattern;

use super::extract::{Body, NoParams, Params, Path};
use super::made;
use crate::paging::{Page, PageParams, page, page_in_order};
use crate::problem::Problem;
use crate::serve::App;

/// Of `POST /v1/budgets`.
#[derive(Debug, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BudgetRequest {
    #[serde(alias = "to", alias = "principal", alias = "group")]
    holder: String,
    tool: Option<String>,
    agent: Option<String>,
    period: Option<Period>,
    /// By unit: `{"usd": "1.50", "calls": 100}`; or each unit by itself, beside `holder`.
    #[serde(default)]
    limits: UsageReport,
    #[serde(default)]
    usd: Value,
    tokens: Option<u64>,
    calls: Option<u64>,
    bytes: Option<u64>,
    #[serde(default)]
    note: String,
}

impl BudgetRequest {
    fn budget(self) -> Result<Budget, Problem> {
        let pattern =
            |text: &str| Pattern::name(text).map_err(|error| Problem::from(Error::Budget(error.into())));
        let target = match (&self.tool, &self.agent) {
            (None, None) => None,
            (Some(tool), None) => Some(TargetPattern::Tool(pattern(tool)?)),
            (None, Some(agent)) => Some(TargetPattern::Agent(pattern(agent)?)),
            _ => return Err(Problem::invalid("expected at most one of `tool` and `agent`")),
        };
        let beside: UsageReport = serde_json::from_value(json!({"usd": self.usd}))
            .map_err(|error| Problem::invalid(format!("`usd`: {error}")))?;
        let limits = BudgetLimits {
            usd_micros: self.limits.usd_micros.or(beside.usd_micros),
            tokens: self.limits.tokens.or(self.tokens),
            calls: self.limits.calls.or(self.calls),
            bytes: self.limits.bytes.or(self.bytes),
        };
        let period = self.period.unwrap_or(Period::Day);
        Budget::new(&self.holder, target, period, limits, &self.note)
            .map_err(|error| Error::from(error).into())
    }
}

#[derive(Debug, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OneParams {
    principal: Option<String>,
}

/// Of `GET /v1/usage`.
#[derive(Debug, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct UsageParams {
    from: Option<String>,
    to: Option<String>,
    principal: Option<String>,
    group_by: Option<GroupBy>,
    #[schemars(range(min = 1, max = 1000))]
    limit: Option<usize>,
    cursor: Option<String>,
}

/// What was used, a page of it.
#[derive(Debug, Serialize, schemars::JsonSchema)]
pub struct UsagePage {
    from: String,
    to: String,
    group_by: GroupBy,
    #[serde(flatten)]
    page: Page<UsageInfo>,
    /// Of all pages.
    total: UsageInfo,
}

/// `GET /v1/budgets`.
pub async fn all(
    State(app): State<Arc<App>>,
    Extension(session): Extension<Session>,
    Params(params): Params<PageParams>,
) -> Result<Json<Page<BudgetInfo>>, Problem> {
    let budgets = app.bridge.run(move || session.budgets()).await?;
    page(budgets, &params, |budget| budget.id.clone()).map(Json)
}

/// `GET /v1/budgets/{id}`.
pub async fn one(
    State(app): State<Arc<App>>,
    Extension(session): Extension<Session>,
    Path(id): Path<String>,
    Params(params): Params<OneParams>,
) -> Result<Json<BudgetInfo>, Problem> {
    app.bridge.run(move || session.budget(&id, params.principal.as_deref())).await.map(Json)
}

/// `POST /v1/budgets`.
pub async fn put(
    State(app): State<Arc<App>>,
    Extension(session): Extension<Session>,
    Params(NoParams {}): Params<NoParams>,
    Body(request): Body<BudgetRequest>,
) -> Result<(StatusCode, Json<BudgetInfo>), Problem> {
    let budget = request.budget()?;
    let info = app.bridge.run(move || session.put_budget(&budget)).await?;
    Ok((made(info.created), Json(info)))
}

/// `DELETE /v1/budgets/{id}`.
pub async fn remove(
    State(app): State<Arc<App>>,
    Extension(session): Extension<Session>,
    Path(id): Path<String>,
    Params(NoParams {}): Params<NoParams>,
) -> Result<StatusCode, Problem> {
    app.bridge.run(move || session.remove_budget(&id)).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// `GET /v1/usage`.
pub async fn usage(
    State(app): State<Arc<App>>,
    Extension(session): Extension<Session>,
    Params(params): Params<UsageParams>,
) -> Result<Json<UsagePage>, Problem> {
    let group_by = params.group_by.unwrap_or_default();
    let request = UsageRequest { from: params.from, to: params.to, principal: params.principal, group_by };
    let reply = app.bridge.run(move || session.usage(&request)).await?;
    let wanted = PageParams { limit: params.limit, cursor: params.cursor };
    let page = page_in_order(reply.items, &wanted)?;
    Ok(Json(UsagePage { from: reply.from, to: reply.to, group_by, page, total: reply.total }))
}
