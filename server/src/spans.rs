//! Sends what requests did as OpenTelemetry spans to a collector (OTLP over HTTP, as JSON), where the operator names one.
//!
//! A span has a route, a method, a status, or a tool's name; never a path, a query or a principal. A request that comes
//! with `traceparent` (W3C Trace Context) is a part of its sender's trace.

use std::collections::HashMap;
use std::time::Duration;

use opentelemetry::propagation::{Extractor, TextMapPropagator};
use opentelemetry::trace::TracerProvider;
use opentelemetry_otlp::{Protocol, SpanExporter, WithExportConfig, WithHttpConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::SdkTracerProvider;
use thiserror::Error;
use tracing::{Span, Subscriber};
use tracing_opentelemetry::OpenTelemetrySpanExt;
use tracing_subscriber::Layer;
use tracing_subscriber::registry::LookupSpan;
use waypost_engine::api::Session;
use waypost_engine::trace::read_traceparent;

use crate::upstream;

/// The header, and the field of `_meta` in MCP.
pub(crate) const TRACEPARENT: &str = "traceparent";
/// For one batch; a collector that takes longer loses it.
const EXPORT_TIMEOUT: Duration = Duration::from_secs(5);

/// Why no spans can be sent.
#[derive(Debug, Error)]
#[error(
    "spans can't be sent to `{url}`: {reason}; expected the address of a collector, such as `http://127.0.0.1:4318`"
)]
pub struct SpansError {
    url: String,
    reason: String,
}

/// Sends spans for as long as it lives, and the last of them when it goes.
pub struct Spans(SdkTracerProvider);

impl Spans {
    /// To the collector at `url`, under `/v1/traces`.
    ///
    /// # Errors
    /// [`SpansError`] for an address that is none.
    pub fn to(url: &str) -> Result<Self, SpansError> {
        let failed = |reason: String| SpansError { url: url.to_owned(), reason };
        if !url.starts_with("http://") && !url.starts_with("https://") {
            return Err(failed("it does not begin with http:// or https://".to_owned()));
        }
        let client = upstream::blocking_client(EXPORT_TIMEOUT).map_err(|error| failed(error.to_string()))?;
        let exporter = SpanExporter::builder()
            .with_http()
            .with_protocol(Protocol::HttpJson)
            .with_endpoint(format!("{}/v1/traces", url.trim_end_matches('/')))
            .with_timeout(EXPORT_TIMEOUT)
            .with_http_client(client)
            .build()
            .map_err(|error| failed(error.to_string()))?;
        let resource = Resource::builder_empty()
            .with_service_name("waypost")
            .with_attribute(opentelemetry::KeyValue::new("service.version", env!("CARGO_PKG_VERSION")))
            .build();
        Ok(Self(SdkTracerProvider::builder().with_batch_exporter(exporter).with_resource(resource).build()))
    }

    /// What hands spans over.
    pub fn layer<S: Subscriber + for<'a> LookupSpan<'a>>(&self) -> impl Layer<S> + use<S> {
        tracing_opentelemetry::layer()
            .with_tracer(self.0.tracer("waypost"))
            .with_location(false)
            .with_threads(false)
            .with_tracked_inactivity(false)
    }
}

impl Drop for Spans {
    fn drop(&mut self) {
        if let Err(error) = self.0.shutdown() {
            tracing::warn!(%error, "the last spans could not be sent");
        }
    }
}

/// Makes a span a part of the trace that a `traceparent` names.
pub(crate) fn adopt(span: &Span, traceparent: Option<&str>) {
    if let Some(traceparent) = traceparent.filter(|text| trace_of(text).is_some()) {
        // Where nobody sends spans there is nothing to be a part of.
        let _ = span.set_parent(TraceContextPropagator::new().extract(&Parent(traceparent)));
    }
}

/// The id of the trace that a `traceparent` names.
pub(crate) fn trace_of(traceparent: &str) -> Option<&str> {
    read_traceparent(traceparent).map(|(trace, _)| trace)
}

/// A session as a part of what is done now, so that its acts and all that follows from them belong to the same trace.
pub(crate) fn placed(session: Session) -> Session {
    match traceparent() {
        Some(traceparent) => session.in_span(&traceparent),
        None => session,
    }
}

/// The `traceparent` of what is done now, for whoever is asked to do a part of it; `None` where nobody sends spans.
pub(crate) fn traceparent() -> Option<String> {
    let mut told = HashMap::new();
    TraceContextPropagator::new().inject_context(&Span::current().context(), &mut told);
    told.remove(TRACEPARENT)
}

/// The one field that is read of a sender's context.
struct Parent<'a>(&'a str);

impl Extractor for Parent<'_> {
    fn get(&self, name: &str) -> Option<&str> {
        (name == TRACEPARENT).then_some(self.0)
    }

    fn keys(&self) -> Vec<&str> {
        vec![TRACEPARENT]
    }
}
