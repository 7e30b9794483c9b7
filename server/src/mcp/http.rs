//! MCP over streamable HTTP at `/mcp`.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::to_bytes;
use axum::extract::{Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use rmcp::ServerHandler;
use rmcp::transport::streamable_http_server::session::local::LocalSessionManager;
use rmcp::transport::streamable_http_server::{StreamableHttpServerConfig, StreamableHttpService};

use super::sessions::Bindings;
use super::{Server, Toolsets};
use crate::auth::TokenId;
use crate::incoming;
use crate::problem::Problem;
use crate::serve::{App, MAX_BODY_BYTES};
use crate::streams;

const SESSION: HeaderName = HeaderName::from_static("mcp-session-id");
const VERSION: HeaderName = HeaderName::from_static("mcp-protocol-version");
/// The first revision whose streams begin with an event without data (SEP-1699); clients of older ones take it for a broken message.
const PRIMING_SINCE: &str = "2025-11-25";
/// Only requests of the newer era, which has no sessions, carry it.
const METHOD: HeaderName = HeaderName::from_static("mcp-method");
/// A session that is not used for so long is closed; many clients do not open a new one by themselves.
const SESSION_IDLE: Duration = Duration::from_secs(2 * 60 * 60);
/// Of a refusal that rmcp words; more is no refusal.
const MAX_REFUSAL_BYTES: usize = 4096;

/// The route `/mcp`.
pub fn routes(app: &Arc<App>) -> Router<Arc<App>> {
    let server = Server::for_requests(Arc::clone(app));
    routes_of(app, move || server.for_session())
}

/// The same with another handler, which `open` makes for each session, or for each request of the newer era.
pub fn routes_of<H: ServerHandler>(
    app: &Arc<App>,
    open: impl Fn() -> H + Send + Sync + 'static,
) -> Router<Arc<App>> {
    let mut manager = LocalSessionManager::default();
    manager.session_config.keep_alive = Some(SESSION_IDLE);
    let manager = Arc::new(manager);
    // Host and Origin were checked before, for every route alike.
    let config = StreamableHttpServerConfig::default()
        .disable_allowed_hosts()
        .disable_allowed_origins()
        .with_max_request_body_bytes(MAX_BODY_BYTES)
        .with_cancellation_token(app.stop.child_token());
    let service = StreamableHttpService::new(move || Ok(open()), Arc::clone(&manager), config);
    let bindings = Arc::new(Bindings::new(manager));
    Router::new().route_service("/mcp", service).route_layer(from_fn_with_state(bindings, layer))
}

/// Reads the toolsets, holds sessions to their tokens, and words rmcp's refusals as problems.
async fn layer(State(bindings): State<Arc<Bindings>>, request: Request, next: Next) -> Response {
    // The body can't be shared between threads, so only the head is looked at while others may wait.
    let (mut head, body) = request.into_parts();
    accept_what_is_given(&mut head);
    let knows_priming =
        head.headers.get(VERSION).is_some_and(|version| version.as_bytes() >= PRIMING_SINCE.as_bytes());
    let is_end = head.method == Method::DELETE;
    match admit(&bindings, &head).await {
        Ok((toolsets, token)) => {
            let mut request = Request::from_parts(head, body);
            request.extensions_mut().insert(toolsets);
            let is_new = !request.headers().contains_key(SESSION);
            let mut response = next.run(request).await;
            if response.status() == StatusCode::ACCEPTED && is_end {
                // The session is gone, not about to go.
                *response.status_mut() = StatusCode::NO_CONTENT;
            }
            if !knows_priming {
                response = streams::without_priming(response);
            }
            if let Some(session) = session_id(response.headers()).filter(|_| is_new) {
                bindings.bind(session, token);
            }
            as_problem(response).await
        }
        Err(problem) => {
            incoming::linger(body);
            problem.into_response()
        }
    }
}

/// Who accepts anything accepts what this transport answers with.
fn accept_what_is_given(head: &mut Parts) {
    let accepts = head.headers.get(header::ACCEPT).map(|value| value.to_str().unwrap_or_default());
    if accepts.is_none_or(|accepts| accepts.contains("*/*")) {
        let both = HeaderValue::from_static("application/json, text/event-stream");
        head.headers.insert(header::ACCEPT, both);
    }
}

async fn admit(bindings: &Bindings, head: &Parts) -> Result<(Toolsets, TokenId), Problem> {
    incoming::fits(&head.headers, MAX_BODY_BYTES)?;
    let toolsets = toolsets(&head.uri)?;
    let token = head.extensions.get::<TokenId>().cloned().ok_or_else(Problem::internal)?;
    let headers = &head.headers;
    if headers.contains_key(SESSION) {
        let is_own = session_id(headers).is_some_and(|session| bindings.belongs(session, &token));
        if !is_own {
            let problem =
                Problem::new(StatusCode::NOT_FOUND, "session_not_found", "there is no such session");
            return Err(Problem { hint: Some("start a new one with `initialize`"), ..problem });
        }
    } else if head.method == Method::POST && !headers.contains_key(METHOD) && !bindings.has_room(&token).await
    {
        return Err(Problem {
            detail: "this token has too many open sessions".to_owned(),
            ..Problem::busy()
        });
    }
    Ok((toolsets, token))
}

fn session_id(headers: &HeaderMap) -> Option<&str> {
    let mut values = headers.get_all(SESSION).iter();
    let value = values.next()?.to_str().ok();
    value.filter(|_| values.next().is_none())
}

pub(super) fn toolsets(uri: &Uri) -> Result<Toolsets, Problem> {
    let mut toolsets = Toolsets::default();
    for pair in uri.query().unwrap_or_default().split('&').filter(|pair| !pair.is_empty()) {
        match pair.split_once('=') {
            Some(("toolsets", names)) => {
                let names = names.replace("%2C", ",").replace("%2c", ",");
                toolsets =
                    Toolsets::read(names.split(',')).map_err(|error| Problem::invalid(error.to_string()))?;
            }
            _ => return Err(Problem::invalid("unknown parameter: `/mcp` takes only `toolsets`")),
        }
    }
    Ok(toolsets)
}

/// rmcp answers what is no JSON-RPC in plain text; everything else of ours is a problem.
async fn as_problem(response: Response) -> Response {
    let status = response.status();
    let kind =
        response.headers().get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    if !(status.is_client_error() || status.is_server_error()) || kind.starts_with("application/") {
        return response;
    }
    let allow = response.headers().get(header::ALLOW).cloned();
    let body = to_bytes(response.into_body(), MAX_REFUSAL_BYTES).await.unwrap_or_default();
    let problem = reword(status, &String::from_utf8_lossy(&body));
    match allow {
        Some(allow) => problem.header(header::ALLOW, allow).into_response(),
        None => problem.into_response(),
    }
}

fn reword(status: StatusCode, text: &str) -> Problem {
    match status {
        StatusCode::NOT_FOUND => Problem::new(status, "session_not_found", text),
        StatusCode::METHOD_NOT_ALLOWED => {
            Problem::new(status, "method_not_allowed", "`/mcp` does not take this method")
        }
        StatusCode::NOT_ACCEPTABLE => Problem::new(status, "not_acceptable", text),
        StatusCode::PAYLOAD_TOO_LARGE => Problem::too_large(MAX_BODY_BYTES),
        // A body that is no JSON-RPC comes as 415 too.
        StatusCode::UNSUPPORTED_MEDIA_TYPE if !text.contains("Content-Type must be") => {
            Problem::new(StatusCode::BAD_REQUEST, "invalid_json", "the body is no JSON-RPC message")
        }
        StatusCode::UNSUPPORTED_MEDIA_TYPE => Problem::new(status, "unsupported_type", text),
        _ if status.is_server_error() => {
            tracing::error!(%status, text, "the protocol failed");
            Problem::internal()
        }
        _ => Problem { status, ..Problem::invalid(text) },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn toolsets_come_from_the_query_and_nothing_else_may() {
        let read = |uri: &'static str| toolsets(&Uri::from_static(uri)).map(Toolsets::names);
        assert_eq!(read("/mcp").unwrap(), ["files", "history", "knowledge", "mesh"]);
        assert_eq!(read("/mcp?toolsets=files").unwrap(), ["files"]);
        assert_eq!(read("/mcp?toolsets=files%2Cknowledge").unwrap(), ["files", "knowledge"]);
        for uri in ["/mcp?toolsets=", "/mcp?toolsets=night", "/mcp?token=x", "/mcp?toolsets"] {
            assert_eq!(read(uri).unwrap_err().code, "invalid_request", "{uri}");
        }
    }
}
