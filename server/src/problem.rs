//! Takes a refusal of the engine or of the server, gives an RFC 9457 answer.
//!
//! Noun: [`Problem`]. The table `status` is the only place where kinds become HTTP, and `hints` the one where codes
//! become advice; MCP reads the same. What a person of the machine needs goes to the log, never into an answer.

use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::{Serialize, Serializer};
use serde_json::Value;
use waypost_engine::access::AccessError;
use waypost_engine::api::{BudgetError, Error, ErrorKind, Exceeded, Period, Priority, TraceError};
use waypost_engine::change::ChangeError;
use waypost_engine::clock::{Clock, rfc3339};
use waypost_engine::store::StoreError;

use crate::hints::{hint, hint_for_missing};

/// Every `code` that a refusal may have.
pub const CODES: &[&str] = &[
    "address_refused",
    "already_exists",
    "ambiguous_route",
    "approval_closed",
    "approval_required",
    "audit_unavailable",
    "body_timeout",
    "budget_exceeded",
    "busy",
    "cancelled",
    "crosses_gate",
    "damaged_backup",
    "damaged_blob",
    "damaged_index",
    "declined",
    "disk_full",
    "edit_mismatch",
    "fetch_failed",
    "fetch_timeout",
    "forbidden",
    "forbidden_host",
    "forbidden_origin",
    "home_in_use",
    "home_read_only",
    "hop_limit",
    "idempotency_in_progress",
    "idempotency_mismatch",
    "idempotency_not_kept",
    "index_behind",
    "internal",
    "invalid_arguments",
    "invalid_card",
    "invalid_folder",
    "invalid_idempotency_key",
    "invalid_json",
    "invalid_path",
    "invalid_pattern",
    "invalid_policy",
    "invalid_range",
    "invalid_request",
    "invalid_secret",
    "invalid_tool",
    "invalid_url",
    "invalid_version",
    "lock_expired",
    "lock_held",
    "loop_detected",
    "method_not_allowed",
    "name_conflict",
    "name_taken",
    "no_route",
    "not_a_file",
    "not_acceptable",
    "not_found",
    "output_failed",
    "outside_section",
    "overlap_running",
    "own_request",
    "own_work",
    "rate_limited",
    "reader_unavailable",
    "refused",
    "robots_refused",
    "route_unavailable",
    "session_not_found",
    "stopping",
    "task_busy",
    "timeout",
    "too_large",
    "too_many_budgets",
    "too_many_webhooks",
    "tool_declared",
    "tool_failed",
    "tool_quarantined",
    "tool_timeout",
    "tool_unavailable",
    "unauthorized",
    "unsupported_type",
    "version_conflict",
    "workspace_busy",
    "workspace_moved",
    "wrong_state",
];

/// A refusal. As JSON it also has `type` and `title`, which follow from code and status.
#[derive(Debug, Clone)]
pub struct Problem {
    /// The HTTP status.
    pub status: StatusCode,
    /// What happened this time.
    pub detail: String,
    /// Stable, for programs.
    pub code: &'static str,
    /// What to do next, where something helps.
    pub hint: Option<&'static str>,
    /// Which kind of thing is not there, where that is what is wrong.
    pub missing: Option<&'static str>,
    /// What waits at a gate.
    pub approval: Option<String>,
    /// Which budget has no room, and how much it has.
    pub(crate) budget: Option<Box<BudgetShown>>,
    /// `allow`, `www-authenticate` and their like.
    pub(crate) headers: Option<Box<HeaderMap>>,
}

/// A budget that has no room, as a client reads it. Amounts of dollars are decimal texts.
#[derive(Debug, Clone, Serialize, schemars::JsonSchema)]
pub(crate) struct BudgetShown {
    id: String,
    holder: String,
    period: Period,
    unit: &'static str,
    limit: Value,
    usable: Value,
    priority: Priority,
    used: Value,
    reserved: Value,
    left: Value,
    needed: Value,
    #[serde(skip)]
    resets_ms: Option<i64>,
}

impl BudgetShown {
    fn of(exceeded: &Exceeded) -> Self {
        let show = |amount| exceeded.unit.json(amount);
        Self {
            id: exceeded.budget.clone(),
            holder: exceeded.holder.clone(),
            period: exceeded.period,
            unit: exceeded.unit.as_str(),
            limit: show(exceeded.limit),
            usable: show(exceeded.usable),
            priority: exceeded.priority,
            used: show(exceeded.used),
            reserved: show(exceeded.reserved),
            left: show(exceeded.left),
            needed: show(exceeded.needed),
            resets_ms: exceeded.resets_ms,
        }
    }
}

/// What a client reads.
#[derive(Serialize)]
struct Shown<'a> {
    #[serde(rename = "type")]
    kind: String,
    title: &'static str,
    status: u16,
    detail: &'a str,
    code: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    approval_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    budget: Option<&'a BudgetShown>,
    #[serde(skip_serializing_if = "Option::is_none")]
    resets_at: Option<String>,
}

impl Serialize for Problem {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let shown = Shown {
            kind: format!("urn:waypost:problem:{}", self.code),
            title: self.status.canonical_reason().unwrap_or("Error"),
            status: self.status.as_u16(),
            detail: &self.detail,
            code: self.code,
            hint: self.hint,
            approval_id: self.approval.as_deref(),
            budget: self.budget.as_deref(),
            resets_at: self.resets_at(),
        };
        shown.serialize(serializer)
    }
}

impl Problem {
    /// A refusal of the server itself.
    pub fn new(status: StatusCode, code: &'static str, detail: impl Into<String>) -> Self {
        let (detail, hint) = (detail.into(), hint(code));
        Self { status, detail, code, hint, missing: None, approval: None, budget: None, headers: None }
    }

    /// A value that makes no sense.
    pub fn invalid(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "invalid_request", detail)
    }

    /// The person at the client did not let it through.
    pub fn declined(path: &str) -> Self {
        let detail = format!("the person who was asked did not let this change of `{path}` through");
        Self::new(StatusCode::FORBIDDEN, "declined", detail)
    }

    /// No valid token.
    pub fn unauthorized(detail: impl Into<String>) -> Self {
        // A plain challenge: one that names OAuth metadata makes some clients drop the token they have.
        Self::new(StatusCode::UNAUTHORIZED, "unauthorized", detail)
            .header(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"))
    }

    /// Nothing there.
    pub fn not_found(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, "not_found", detail)
    }

    /// Too much to do at the moment.
    pub fn busy() -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "busy", "as many requests as fit are waiting already")
            .header(header::RETRY_AFTER, HeaderValue::from_static("1"))
    }

    /// Longer than a request may take.
    pub fn timeout() -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "timeout", "the request took longer than 30 seconds")
            .header(header::RETRY_AFTER, HeaderValue::from_static("1"))
    }

    /// A body that stopped coming.
    pub fn body_timeout() -> Self {
        let detail = "the rest of the body did not come in time";
        Self::new(StatusCode::REQUEST_TIMEOUT, "body_timeout", detail)
    }

    /// A body over the limit.
    pub fn too_large(limit_bytes: usize) -> Self {
        let detail = format!("the body is larger than the limit of {limit_bytes} bytes");
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "too_large", detail)
    }

    /// A defect of ours; the log has the rest.
    pub fn internal() -> Self {
        let detail = "something failed here; the server's log says what";
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", detail)
    }

    fn approval(mut self, error: &Error) -> Self {
        match error {
            Error::ApprovalRequired { approval, .. } => self.approval = Some(approval.clone()),
            Error::Trace(TraceError::Loop { approval, .. }) => self.approval.clone_from(approval),
            _ => {}
        }
        self
    }

    /// When a budget begins anew.
    pub fn resets_at(&self) -> Option<String> {
        self.budget.as_ref().and_then(|budget| budget.resets_ms).map(rfc3339)
    }

    /// RFC 6585, section 4.
    fn exceeded(exceeded: &Exceeded) -> Self {
        let shown = BudgetShown::of(exceeded);
        let mut problem = Self::new(StatusCode::TOO_MANY_REQUESTS, "budget_exceeded", exceeded.to_string());
        problem.budget = Some(Box::new(shown));
        match exceeded.resets_ms {
            Some(resets_ms) => {
                problem.header(header::RETRY_AFTER, HeaderValue::from(seconds_until(resets_ms)))
            }
            None => problem,
        }
    }

    /// With a header on the answer.
    #[must_use]
    pub fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.get_or_insert_default().append(name, value);
        self
    }
}

/// The HTTP status of each kind of engine error.
fn status(kind: ErrorKind) -> StatusCode {
    match kind {
        ErrorKind::Invalid => StatusCode::BAD_REQUEST,
        ErrorKind::NotFound => StatusCode::NOT_FOUND,
        ErrorKind::Unauthorized => StatusCode::UNAUTHORIZED,
        ErrorKind::Denied => StatusCode::FORBIDDEN,
        ErrorKind::Conflict => StatusCode::CONFLICT,
        ErrorKind::Precondition => StatusCode::PRECONDITION_FAILED,
        ErrorKind::Exhausted => StatusCode::PAYLOAD_TOO_LARGE,
        ErrorKind::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        ErrorKind::Corrupt | ErrorKind::Internal => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

/// When the lock in the way ends, in milliseconds since 1970, unless its holder keeps it longer.
fn lock_end(error: &Error) -> i64 {
    match error {
        Error::Store(StoreError::LockHeld { until_ms, .. })
        | Error::Change(ChangeError::Store(StoreError::LockHeld { until_ms, .. })) => *until_ms,
        _ => 0,
    }
}

/// As `Retry-After` says it: whole seconds, at least one.
fn seconds_until(ms: i64) -> i64 {
    (ms.saturating_sub(Clock::System.now_ms()) / 1000 + 1).max(1)
}

/// What is not there, by the kind of thing.
fn missing(error: &Error) -> Option<&'static str> {
    match error {
        Error::NotFound { what, .. } | Error::Access(AccessError::NotFound { what, .. }) => Some(*what),
        Error::Budget(BudgetError::NotFound { .. }) => Some("budget"),
        Error::Change(ChangeError::Missing { .. }) => Some("file"),
        _ => None,
    }
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        if let Error::Budget(BudgetError::Exceeded(exceeded)) = &error {
            return Self::exceeded(exceeded);
        }
        if let Some(what) = missing(&error) {
            let hint = hint_for_missing(what);
            return Self { hint, missing: Some(what), ..Self::not_found(error.to_string()) };
        }
        let (kind, code) = (error.kind(), error.code());
        let is_ours = match kind {
            ErrorKind::Corrupt | ErrorKind::Internal => true,
            // Its text names a folder of this machine. One that can't be attached was named by the home's owner.
            _ => code == "home_in_use",
        };
        if is_ours {
            tracing::error!(code, %error, "a request failed");
        }
        match kind {
            ErrorKind::Unauthorized => Self::unauthorized(error.to_string()),
            _ if is_ours => Self { detail: Self::internal().detail, ..Self::new(status(kind), code, "") },
            // The request was fine and so is this server: what it depends on is not (RFC 4918, section 11.4).
            _ if matches!(code, "fetch_failed" | "fetch_timeout") => {
                Self::new(StatusCode::FAILED_DEPENDENCY, code, error.to_string())
            }
            _ if code == "tool_timeout" => Self::new(StatusCode::GATEWAY_TIMEOUT, code, error.to_string()),
            _ if code == "tool_failed" => Self::new(StatusCode::BAD_GATEWAY, code, error.to_string()),
            _ if code == "unsupported_type" => {
                let is_file = matches!(error, Error::NoText { .. });
                let hint = is_file.then_some("`GET /v1/files/PATH` gives the file's bytes");
                Self { hint, ..Self::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, code, error.to_string()) }
            }
            ErrorKind::Unavailable => Self::new(status(kind), code, error.to_string())
                .header(header::RETRY_AFTER, HeaderValue::from_static("1")),
            // RFC 4918, section 11.3.
            _ if code == "lock_held" => {
                let problem = Self::new(StatusCode::LOCKED, code, error.to_string());
                problem.header(header::RETRY_AFTER, HeaderValue::from(seconds_until(lock_end(&error))))
            }
            _ => Self::new(status(kind), code, error.to_string()),
        }
        .approval(&error)
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let body = serde_json::to_vec(&self).expect("a problem has only texts and numbers");
        let mut response = (self.status, body).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        headers.extend(self.headers.map(|headers| *headers).unwrap_or_default());
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_engine_error_keeps_its_code_and_takes_the_status_of_its_kind() {
        let absent = Error::NotFound { what: "file", name: "/docs/a.md".to_owned() };
        let problem = Problem::from(absent);
        assert_eq!((problem.status, problem.code), (StatusCode::NOT_FOUND, "not_found"));
        assert_eq!(problem.detail, "there is no file `/docs/a.md`");
    }

    #[test]
    fn a_workspace_in_use_may_be_asked_for_again() {
        let problem = Problem::from(Error::WorkspaceBusy { name: "docs".to_owned() });
        assert_eq!((problem.status, problem.code), (StatusCode::SERVICE_UNAVAILABLE, "workspace_busy"));
        assert!(problem.headers.unwrap().contains_key(header::RETRY_AFTER));
    }

    #[test]
    fn a_folder_of_this_machine_is_not_told() {
        let problem = Problem::from(Error::HomeInUse { home: "/secret/home".into() });
        let body = serde_json::to_string(&problem).unwrap();
        assert!(!body.contains("secret"), "{body}");
    }
}
