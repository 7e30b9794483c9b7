//! Requests as a part of the trace that their callers name: in `_meta`, or over HTTP.

use axum::http::request::Parts;
use rmcp::RoleServer;
use rmcp::service::RequestContext;
use serde_json::Value;
use tracing::Span;
use waypost_engine::api::Session;

use crate::spans::{self, TRACEPARENT};

/// A session in the trace that its request names in `_meta`; what HTTP names it has already.
pub fn named(session: Session, context: &RequestContext<RoleServer>) -> Session {
    match in_meta(context).and_then(spans::trace_of) {
        Some(trace) => session.with_trace(trace),
        None => session,
    }
}

/// The span of a tool's call, and the session that acts in it.
pub fn call(session: Session, tool: &str, context: &RequestContext<RoleServer>) -> (Session, Span) {
    let span = tracing::info_span!("tool", otel.name = format!("tool {tool}"));
    let headers = context.extensions.get::<Parts>().map(|parts| &parts.headers);
    let sent = headers.and_then(|headers| headers.get(TRACEPARENT)?.to_str().ok());
    spans::adopt(&span, in_meta(context).or(session.traceparent()).or(sent));
    let session = span.in_scope(|| spans::placed(session));
    (session, span)
}

/// One that names nothing counts as missing.
fn in_meta(context: &RequestContext<RoleServer>) -> Option<&str> {
    let traceparent = context.meta.get(TRACEPARENT).and_then(Value::as_str)?;
    spans::trace_of(traceparent).is_some().then_some(traceparent)
}
