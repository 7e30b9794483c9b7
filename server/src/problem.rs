//! Takes a refusal of the engine or of the server, gives an RFC 9457 answer.
//!
//! Noun: [`Problem`]. The tables `status` and `hint` are the only place where kinds become HTTP and codes
//! become advice; MCP reads the same. What a person of the machine needs goes to the log, never into an answer.

use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::{Serialize, Serializer};
use serde_json::Value;
use waypost_engine::api::{BudgetError, Error, ErrorKind, Exceeded, Period, Priority, TraceError};
use waypost_engine::clock::{Clock, rfc3339};

/// Every `code` that a refusal may have.
pub const CODES: &[&str] = &[
    "address_refused",
    "already_exists",
    "ambiguous_route",
    "approval_closed",
    "approval_required",
    "audit_unavailable",
    "budget_exceeded",
    "busy",
    "cancelled",
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
    "no_route",
    "not_a_file",
    "not_acceptable",
    "not_found",
    "output_failed",
    "outside_section",
    "own_request",
    "own_work",
    "rate_limited",
    "reader_unavailable",
    "refused",
    "robots_refused",
    "session_not_found",
    "stopping",
    "task_busy",
    "timeout",
    "too_large",
    "too_many_budgets",
    "too_many_webhooks",
    "tool_failed",
    "tool_quarantined",
    "tool_timeout",
    "tool_unavailable",
    "unauthorized",
    "unsupported_type",
    "version_conflict",
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
    /// What waits at a gate.
    pub approval: Option<String>,
    /// Which budget has no room, and how much it has.
    pub(crate) budget: Option<Box<BudgetShown>>,
    /// `allow`, `www-authenticate` and their like.
    pub(crate) headers: Vec<(HeaderName, HeaderValue)>,
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
        Self { status, detail, code, hint, approval: None, budget: None, headers: Vec::new() }
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
        let wait_ms = exceeded.resets_ms.map(|resets_ms| resets_ms.saturating_sub(Clock::System.now_ms()));
        let mut problem = Self::new(StatusCode::TOO_MANY_REQUESTS, "budget_exceeded", exceeded.to_string());
        problem.budget = Some(Box::new(shown));
        match wait_ms {
            Some(wait_ms) => {
                problem.header(header::RETRY_AFTER, HeaderValue::from((wait_ms / 1000 + 1).max(1)))
            }
            None => problem,
        }
    }

    /// With a header on the answer.
    #[must_use]
    pub fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.push((name, value));
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

/// The legal next step, by code.
fn hint(code: &str) -> Option<&'static str> {
    Some(match code {
        "invalid_path" => "paths look like `/workspace/folder/file.md`",
        "invalid_version" => "`GET /v1/versions/PATH` lists a file's versions",
        "not_found" => {
            "list a folder with `GET /v1/list/`, or search for it; what may not be read is not listed"
        }
        "no_route" => {
            "name an agent with `to`, or say it in other words; `POST /v1/route` shows who comes into question"
        }
        "ambiguous_route" => "ask the question, or name one of the two with `to`",
        "invalid_card" => {
            "send a card such as `{\"name\", \"description\", \"capabilities\", \"examples\"}`, or an A2A agent card"
        }
        "unauthorized" => "send `Authorization: Bearer wp_…` with a token of this home",
        "unsupported_type" => "send JSON with `Content-Type: application/json`",
        "busy" | "timeout" => "wait a second and ask again, or ask for less",
        "index_behind" => "ask again in a moment, or without `wait_for_seq`",
        "forbidden_host" => "add the name to `allowed_hosts`",
        "forbidden_origin" => "add the origin to `allowed_origins`",
        "forbidden" => "ask an admin for a grant; `waypost grant explain` names the rule that decides",
        "approval_required" => {
            "somebody with `approve` decides, by `waypost approval grant ID` or `POST /v1/approvals/ID/grant`; it then \
             happens by itself"
        }
        "approval_closed" => "ask again: read the file, and repeat the change",
        "version_conflict" => "read the file again and use its newest version",
        "already_exists" => "choose another name, or delete what is there first",
        "name_conflict" => "use the name that is there, or one that differs in more than case and form",
        "not_a_file" => "list the folder above to see what stands there",
        "lock_held" => "wait until the lease ends, or ask its holder",
        "lock_expired" => {
            "take a new lock, read the file again, and write with its fence; a task is another's by now: claim the next one"
        }
        "wrong_state" => "look at the task again with `GET /v1/tasks/ID`",
        "own_work" => "somebody else with `approve`, or the task's creator, reviews it",
        "edit_mismatch" => "read the file again, and give a text that stands in it exactly once",
        "address_refused" => {
            "the server's operator may allow it: `waypost serve --net-allow HOST`, `allow` under `[net]` in `waypost.toml`, or \
             `WAYPOST_NET_ALLOW`; an address, a range such as 10.0.0.0/8, or a host name"
        }
        "budget_exceeded" => {
            "wait until `resets_at`, ask for less, or ask an admin for more; `GET /v1/budgets` shows what is left"
        }
        "fetch_timeout" => "ask again later, or with a longer `timeout_seconds`",
        "robots_refused" => "import single pages that you may use, or ask the site's owner",
        "hop_limit" => "hand nothing on: answer with what there is, or begin anew in a trace of its own",
        "loop_detected" => {
            "stop here: the trace waits for a person, where `approval_id` is told, by `waypost approval grant ID`, or has ended; \
             what brings nothing new is not worth another handover"
        }
        "too_many_budgets" => "remove one with `DELETE /v1/budgets/ID`",
        "invalid_arguments" => "`GET /v1/tools/ID` shows what the tool takes",
        "tool_unavailable" => "wait a moment and ask again; `GET /v1/upstreams` shows the owner why",
        "tool_quarantined" => "look at the difference in `GET /v1/approvals`, and grant or deny it",
        "tool_timeout" => {
            "the tool may have done its work all the same; `timeout_seconds` under `[[upstream]]` gives it longer"
        }
        "idempotency_mismatch" => "take a new key for a new request",
        "idempotency_in_progress" => "wait a second and ask again with the same key and the same request",
        "idempotency_not_kept" => "look at what is there now: the request is done",
        "rate_limited" => {
            "wait for as long as `Retry-After` says; `[limits]` in `waypost.toml` sets how much a token may ask"
        }
        "invalid_secret" => "leave `secret` out to have one made",
        "invalid_pattern" => "patterns look like `/workspace/folder/**`; `*` stays within one name",
        _ => return None,
    })
}

/// Where to look for what is not there, for all but files and folders.
fn hint_for_missing(what: &str) -> Option<&'static str> {
    Some(match what {
        "memory" => {
            "an agent's memory takes a grant: `waypost grant add AGENT list,read,write /WORKSPACE/memory/NAME/**`"
        }
        "workspace" => "`GET /v1/workspaces` lists those that you may see",
        "version" => "`GET /v1/versions/PATH` lists the versions that the file had there",
        "snapshot" => "`GET /v1/snapshots` lists those that you may see",
        "token" => "`GET /v1/tokens` lists them, for an admin",
        "grant" => "`GET /v1/grants` lists them, for an admin",
        "principal" | "principal or group" => {
            "`GET /v1/principals` and `GET /v1/groups` list them, for an admin"
        }
        "lock" => "`GET /v1/locks` lists those that you may see; one that has run out is gone",
        "approval" => "`GET /v1/approvals` lists those that you may see",
        "webhook" => "`GET /v1/webhooks` lists yours",
        "agent" => "`GET /v1/agents` lists those that you may see",
        "tool" => "`GET /v1/tools` lists those that you may use",
        "task" => "`GET /v1/tasks` lists those that you may see",
        _ => return None,
    })
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        if let Error::Budget(BudgetError::Exceeded(exceeded)) = &error {
            return Self::exceeded(exceeded);
        }
        if let Error::NotFound { what, .. } = &error
            && let Some(hint) = hint_for_missing(what)
        {
            return Self { hint: Some(hint), ..Self::not_found(error.to_string()) };
        }
        let (kind, code) = (error.kind(), error.code());
        if matches!(error, Error::ToolDeclared { .. }) {
            // Waiting brings no server.
            let hint = "call it where it is, or have the operator name its server; `GET /v1/tools/ID` says what it takes";
            return Self { hint: Some(hint), ..Self::new(status(kind), code, error.to_string()) };
        }
        let is_ours = match kind {
            ErrorKind::Corrupt | ErrorKind::Internal => true,
            // Their texts name folders of this machine.
            _ => matches!(code, "home_in_use" | "invalid_folder"),
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
            _ if code == "lock_held" => Self::new(StatusCode::LOCKED, code, error.to_string()),
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
        headers.extend(self.headers);
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
    fn a_folder_of_this_machine_is_not_told() {
        let source = std::io::Error::other("broken");
        let problem = Problem::from(Error::Folder { path: "/secret/home".into(), source });
        let body = serde_json::to_string(&problem).unwrap();
        assert!(!body.contains("secret"), "{body}");
    }
}
