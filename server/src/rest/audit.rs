use std::sync::Arc;

use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use serde::{Deserialize, Serialize};
use waypost_engine::api::{AuditFilter, Session};
use waypost_engine::journal::{AuditBreak, AuditRow};

use super::extract::{NoParams, Params};
use crate::paging::{Order, Page};
use crate::problem::Problem;
use crate::serve::App;

/// Records of one answer where nothing else is asked, and at most.
const DEFAULT_LIMIT: usize = 100;
const MAX_LIMIT: usize = 10_000;
/// Records of one export; with `after` the next one goes on.
const MAX_EXPORTED: usize = 1_000_000;

#[derive(Debug, Default, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AuditParams {
    principal: Option<String>,
    /// A token's id.
    token: Option<String>,
    /// Exact, or a family such as `file.`.
    action: Option<String>,
    verb: Option<String>,
    /// A path with everything below it, or a pattern such as `/docs/**/*.md`.
    path: Option<String>,
    /// `allowed`, `denied`, `pending` or `failed`.
    outcome: Option<String>,
    trace: Option<String>,
    since: Option<String>,
    /// Up to and with this instant.
    until: Option<String>,
    /// Records after this number; also the cursor.
    #[serde(alias = "cursor")]
    after: Option<u64>,
    /// Of a list; the cursor is then the last number of the answer before.
    order: Option<Order>,
    limit: Option<usize>,
}

/// Of `GET /v1/audit/verify`.
#[derive(Debug, Serialize, schemars::JsonSchema)]
pub struct Verified {
    valid: bool,
    records: u64,
    /// The first record that does not hold.
    r#break: Option<AuditBreak>,
}

impl AuditParams {
    fn filter(self, default: usize) -> Result<AuditFilter, Problem> {
        let limit = self.limit.unwrap_or(default);
        let most = default.max(MAX_LIMIT);
        if !(1..=most).contains(&limit) {
            return Err(Problem::invalid(format!("`limit` is {limit}: expected 1 to {most}")));
        }
        let newest_first = self.order == Some(Order::Newest);
        Ok(AuditFilter {
            principal: self.principal,
            token: self.token,
            action: self.action,
            verb: self.verb,
            path: self.path,
            outcome: self.outcome,
            trace: self.trace,
            since: self.since,
            until: self.until,
            after: self.after.unwrap_or(0),
            newest_first,
            before: self.after,
            limit,
        })
    }
}

/// `GET /v1/audit`, oldest first unless `order` says otherwise.
pub async fn list(
    State(app): State<Arc<App>>,
    Extension(session): Extension<Session>,
    Params(params): Params<AuditParams>,
) -> Result<Json<Page<AuditRow>>, Problem> {
    let filter = params.filter(DEFAULT_LIMIT)?;
    let limit = filter.limit;
    let items = app.bridge.run(move || session.audit(&filter)).await?;
    let next_cursor = items.last().filter(|_| items.len() >= limit).map(|row| row.number.to_string());
    Ok(Json(Page { items, next_cursor }))
}

/// `GET /v1/audit/export`: JSON lines, oldest first.
pub async fn export(
    State(app): State<Arc<App>>,
    Extension(session): Extension<Session>,
    Params(params): Params<AuditParams>,
) -> Result<Response, Problem> {
    let mut filter = AuditFilter { newest_first: false, ..params.filter(MAX_EXPORTED)? };
    let wanted = filter.limit;
    let read = move || {
        let mut all = Vec::new();
        while all.len() < wanted {
            filter.limit = MAX_LIMIT.min(wanted - all.len());
            let rows = session.audit(&filter)?;
            let Some(last) = rows.last() else { break };
            filter.after = last.number;
            let is_last = rows.len() < filter.limit;
            all.extend(rows);
            if is_last {
                break;
            }
        }
        Ok::<_, waypost_engine::api::Error>(all)
    };
    let rows = app.bridge.run(read).await?;
    let mut lines = String::new();
    for row in rows {
        match serde_json::to_string(&row) {
            Ok(line) => lines.extend([line.as_str(), "\n"]),
            Err(error) => {
                tracing::error!(%error, "a record can't be written");
                return Err(Problem::internal());
            }
        }
    }
    Ok(([(header::CONTENT_TYPE, "application/x-ndjson")], lines).into_response())
}

/// `GET /v1/audit/verify`.
pub async fn verify(
    State(app): State<Arc<App>>,
    Extension(session): Extension<Session>,
    Params(NoParams {}): Params<NoParams>,
) -> Result<Json<Verified>, Problem> {
    let (records, broken) = app.bridge.run(move || session.verify_audit()).await?;
    Ok(Json(Verified { valid: broken.is_none(), records, r#break: broken }))
}
