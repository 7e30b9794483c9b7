//! From settings to a server that answers.

use std::path::Path;
use std::sync::Once;
use std::time::Duration;

use axum::http::{HeaderMap, HeaderName, HeaderValue};
use reqwest::redirect::Policy;
use rmcp::RoleClient;
use rmcp::model::ProtocolVersion;
use rmcp::service::{ClientLifecycleMode, ClientServiceExt, RunningService};
use rmcp::transport::StreamableHttpClientTransport;
use rmcp::transport::async_rw::AsyncRwTransport;
use rmcp::transport::streamable_http_client::StreamableHttpClientTransportConfig;

use super::error::UpstreamError;
use super::handler::Handler;
use super::process::Process;
use super::settings::{Settings, Transport, expand};

/// Messages at most, whatever the bound on results: a message holds more than the result, and a longer one is lost.
pub(super) const MIN_MESSAGE_BYTES: usize = 16 << 20;
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// A server that has said what it is.
pub struct Connection {
    /// Its loop.
    pub service: RunningService<RoleClient, Handler>,
    /// Where it was started here.
    pub process: Option<Process>,
}

/// Which handshake is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Era {
    /// `initialize`.
    Sessions,
    /// `server/discover`.
    Requests,
}

impl Era {
    /// The other one.
    pub fn other(self) -> Self {
        if self == Self::Sessions { Self::Requests } else { Self::Sessions }
    }

    fn mode(self) -> ClientLifecycleMode {
        match self {
            Self::Sessions => ClientLifecycleMode::Initialize,
            Self::Requests => {
                ClientLifecycleMode::Discover { preferred_versions: vec![ProtocolVersion::V_2026_07_28] }
            }
        }
    }
}

/// Connects; what was started and does not answer is ended when this is dropped.
pub async fn connect(
    settings: &Settings,
    guard: Option<&Path>,
    handler: Handler,
    era: Era,
) -> Result<Connection, UpstreamError> {
    let failed = |error| UpstreamError::Connect(Box::new(error));
    let max_message = settings.max_result_bytes.saturating_mul(4).max(MIN_MESSAGE_BYTES);
    match settings.transport() {
        Transport::Run(run) => {
            let (process, pipes) = Process::start(settings, run, guard)?;
            let transport =
                AsyncRwTransport::new(pipes.stdout, pipes.stdin).with_max_line_length(max_message);
            let service = handler.serve_with_lifecycle(transport, era.mode()).await.map_err(failed)?;
            Ok(Connection { service, process: Some(process) })
        }
        Transport::Url(url) => {
            let config = StreamableHttpClientTransportConfig::with_uri(url)
                .max_sse_event_size(max_message)
                .max_json_response_size(max_message);
            let transport = StreamableHttpClientTransport::with_client(http_client(settings)?, config);
            let service = handler.serve_with_lifecycle(transport, era.mode()).await.map_err(failed)?;
            Ok(Connection { service, process: None })
        }
    }
}

/// With what the settings say, and nothing of a caller; redirects are not followed, for they would carry it elsewhere.
fn http_client(settings: &Settings) -> Result<reqwest::Client, UpstreamError> {
    plain_client(reqwest::Client::builder().default_headers(headers(settings)?))
}

/// For a thread of its own, that may wait.
///
/// # Errors
/// [`UpstreamError::Client`].
pub fn blocking_client(timeout: Duration) -> Result<reqwest::blocking::Client, UpstreamError> {
    provide();
    let builder = reqwest::blocking::Client::builder().redirect(Policy::none()).timeout(timeout);
    Ok(builder.connect_timeout(CONNECT_TIMEOUT).build()?)
}

/// Cryptography for TLS; where another one is there already, it does as well.
fn provide() {
    static PROVIDER: Once = Once::new();
    PROVIDER.call_once(|| drop(rustls::crypto::ring::default_provider().install_default()));
}

/// One that follows nothing and keeps no connection that nobody uses.
pub(super) fn plain_client(builder: reqwest::ClientBuilder) -> Result<reqwest::Client, UpstreamError> {
    provide();
    let builder = builder.redirect(Policy::none()).connect_timeout(CONNECT_TIMEOUT);
    Ok(builder.pool_max_idle_per_host(0).build()?)
}

fn headers(settings: &Settings) -> Result<HeaderMap, UpstreamError> {
    let mut headers = HeaderMap::new();
    for (name, value) in &settings.headers {
        let refused = || UpstreamError::Header { name: name.clone() };
        let value = expand(value, |name| std::env::var(name).ok())
            .map_err(|name| UpstreamError::Variable { name })?;
        let header = HeaderName::from_bytes(name.as_bytes()).map_err(|_| refused())?;
        let mut value = HeaderValue::from_str(&value).map_err(|_| refused())?;
        value.set_sensitive(true);
        headers.insert(header, value);
    }
    Ok(headers)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_speaks_tls_and_refuses_headers_that_are_none() {
        let settings = |headers: &str| -> Settings {
            let text = format!("name = 'far'\nurl = 'https://host/mcp'\n[headers]\n{headers}");
            toml::from_str(&text).unwrap()
        };
        assert!(http_client(&settings("Authorization = 'Bearer x'")).is_ok());
        let refused = http_client(&settings("X = \"a\\nb\"")).unwrap_err();
        assert!(matches!(refused, UpstreamError::Header { .. }), "{refused}");
        let unset = http_client(&settings("X = '${WAYPOST_NO_SUCH}'")).unwrap_err();
        assert_eq!(unset.to_string(), "the environment variable `WAYPOST_NO_SUCH` is not set");
    }
}
