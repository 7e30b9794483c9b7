//! Carries MCP between a client that started this process and a server that runs already, in both eras.
//!
//! Beside what it carries it knocks once by itself: a client that says nothing, or goes at once, would never learn that nobody is there,
//! or that its token is not known.

use std::future::{Future, poll_fn};
use std::task::Poll;
use std::time::Duration;

use reqwest::{Client, Response, StatusCode, Url, header};
use rmcp::model::{
    ClientJsonRpcMessage, ErrorData, JsonRpcMessage, ProtocolVersion, RequestId, ServerJsonRpcMessage,
};
use rmcp::transport::io::stdio_pipes;
use rmcp::transport::streamable_http_client::{
    AuthRequiredError, InsufficientScopeError, StreamableHttpClientTransportConfig,
};
use rmcp::transport::{StreamableHttpClientTransport, Transport};
use rmcp::{RoleClient, RoleServer};
use serde_json::{Value, json};
use thiserror::Error;
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::connection::{self, MIN_MESSAGE_BYTES};
use super::error::UpstreamError;
use crate::mcp::lines::Lines;

/// Messages on their way to the server at most.
const MAX_UNDER_WAY: usize = 256;
/// Until a server has answered who knocks; one that is only slow is none that is not there.
const KNOCK_PATIENCE: Duration = Duration::from_secs(10);
/// After the server's end, until what was under way must have failed.
const FAREWELL: Duration = Duration::from_secs(2);

/// Where the server does not say it in words of its own.
const UNKNOWN_TOKEN: &str = "the token is not known there, was revoked, or has run out";

/// Why nothing is carried.
#[derive(Debug, Error)]
pub enum RelayError {
    /// Expected something like `http://127.0.0.1:7077`.
    #[error("`{url}` is no address of a server: expected one such as `http://127.0.0.1:7077`")]
    Url {
        /// As it was given.
        url: String,
    },
    /// The token is not known there, was revoked, or may not be used like this.
    #[error("`{url}` refuses the token: {detail}")]
    Refused {
        /// Which server.
        url: String,
        /// In its words.
        detail: String,
    },
    /// What was asked makes no sense to the server, such as a family of tools that is not there.
    #[error("{detail}")]
    Usage {
        /// In its words.
        detail: String,
    },
    /// The client for HTTP can't be made.
    #[error(transparent)]
    Client(#[from] UpstreamError),
    /// The server went away, or never was there.
    #[error("no connection to `{url}`: {detail}")]
    Broken {
        /// Which.
        url: String,
        /// What the connection said.
        detail: String,
    },
}

/// Carries messages between standard input and output and the server at `url`, with a token, until either side ends.
///
/// # Errors
/// [`RelayError::Url`]; [`RelayError::Refused`] and [`RelayError::Usage`] where the server wants none of it;
/// [`RelayError::Broken`] where it ends first.
pub async fn relay(url: &str, token: &str, toolsets: Option<&[String]>) -> Result<(), RelayError> {
    let address = address(url, toolsets).ok_or_else(|| RelayError::Url { url: url.to_owned() })?;
    let shown = address.to_string();
    let config = StreamableHttpClientTransportConfig::with_uri(shown.clone())
        .auth_header(token)
        .max_sse_event_size(MIN_MESSAGE_BYTES)
        .max_json_response_size(MIN_MESSAGE_BYTES);
    // A proxy of the environment would see the token.
    let client: Client = connection::plain_client(Client::builder().no_proxy())?;
    let far = StreamableHttpClientTransport::with_client(client.clone(), config);
    let knocking = tokio::spawn(knock(client, address, token.to_owned()));
    let (read, write) = stdio_pipes();
    let carried = carry(Lines::new(read, write), far).await;
    // What the server itself says is plainer than how the connection ended.
    knocking.await.unwrap_or(Ok(()))?;
    carried.map_err(|ended| match ended {
        Ended::Refused(detail) => RelayError::Refused { url: shown, detail },
        Ended::Broken(detail) => RelayError::Broken { url: shown, detail },
    })
}

/// Asks the server what it is, in the era without sessions, so that nothing stays open there.
async fn knock(client: Client, address: Url, token: String) -> Result<(), RelayError> {
    let version = ProtocolVersion::V_2026_07_28.as_str().to_owned();
    let meta = json!({
        "io.modelcontextprotocol/protocolVersion": version,
        "io.modelcontextprotocol/clientCapabilities": {},
        "io.modelcontextprotocol/clientInfo": {"name": "waypost", "version": env!("CARGO_PKG_VERSION")},
    });
    let body = json!({"jsonrpc": "2.0", "id": 0, "method": "server/discover", "params": {"_meta": meta}});
    let asked = client
        .post(address.clone())
        .bearer_auth(token)
        .header(header::CONTENT_TYPE, "application/json")
        .header(header::ACCEPT, "application/json, text/event-stream")
        .header("MCP-Protocol-Version", version)
        .header("Mcp-Method", "server/discover")
        .timeout(KNOCK_PATIENCE)
        .body(body.to_string());
    let url = address.to_string();
    match asked.send().await {
        Ok(response) => judge(url, response).await,
        Err(error) if error.is_connect() => Err(RelayError::Broken { url, detail: causes(&error) }),
        Err(_) => Ok(()),
    }
}

/// Only what a server of ours refuses is told: another one may not know this era at all.
async fn judge(url: String, response: Response) -> Result<(), RelayError> {
    let status = response.status();
    let kind = response.headers().get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    let is_problem = kind.is_some_and(|kind| kind.starts_with("application/problem+json"));
    if status != StatusCode::UNAUTHORIZED && !is_problem {
        return Ok(());
    }
    let said: Value = serde_json::from_str(&response.text().await.unwrap_or_default()).unwrap_or_default();
    let detail = said["detail"].as_str().unwrap_or(UNKNOWN_TOKEN).to_owned();
    match status {
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Err(RelayError::Refused { url, detail }),
        StatusCode::BAD_REQUEST => Err(RelayError::Usage { detail }),
        _ => Ok(()),
    }
}

/// An error with what it comes from.
fn causes(error: &dyn std::error::Error) -> String {
    let mut said = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        said = format!("{said}: {error}");
        cause = error.source();
    }
    said
}

/// Why the server's side ended.
enum Ended {
    /// It does not take the token, or does no longer.
    Refused(String),
    /// Anything else.
    Broken(String),
}

impl Ended {
    fn of<E: std::error::Error + 'static>(error: &E) -> Self {
        let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
        while let Some(error) = cause {
            if error.is::<AuthRequiredError>() || error.is::<InsufficientScopeError>() {
                return Self::Refused(UNKNOWN_TOKEN.to_owned());
            }
            cause = error.source();
        }
        Self::Broken(error.to_string())
    }

    /// For the client whose message could not be sent.
    fn told(&self) -> String {
        match self {
            Self::Refused(why) => format!("the server refuses the token: {why}"),
            Self::Broken(why) => format!("the server can't be reached: {why}"),
        }
    }
}

/// Both directions, until one side ends; what can't be sent is answered with why.
async fn carry(
    mut near: impl Transport<RoleServer>,
    mut far: impl Transport<RoleClient>,
) -> Result<(), Ended> {
    let gone = |error: String| Ended::Broken(error);
    // A call takes its time; others go past it.
    let mut under_way = JoinSet::new();
    loop {
        tokio::select! {
            said = near.receive(), if under_way.len() < MAX_UNDER_WAY => {
                let Some(said) = said else {
                    // It waits for an era's greeting to end, which will never come from a client that is gone.
                    let _ = timeout(FAREWELL, far.close()).await;
                    return Ok(());
                };
                let mut sending = Box::pin(send(request_id(&said), far.send(said)));
                // What came first is taken up first: a greeting's end must not be overtaken by the request behind it.
                match poll_fn(|context| Poll::Ready(sending.as_mut().poll(context))).await {
                    Poll::Ready(Some(refusal)) => tell(&mut near, &refusal).await.map_err(gone)?,
                    Poll::Ready(None) => {}
                    Poll::Pending => drop(under_way.spawn(sending)),
                }
            }
            came = far.receive() => {
                let Some(came) = came else { break };
                near.send(came).await.map_err(|error| gone(error.to_string()))?;
            }
            Some(sent) = under_way.join_next() => {
                if let Ok(Some(refusal)) = sent {
                    tell(&mut near, &refusal).await.map_err(gone)?;
                }
            }
        }
    }
    // What was under way can only fail now, and the client is told so.
    let mut last = None;
    while let Ok(Some(sent)) = timeout(FAREWELL, under_way.join_next()).await {
        let Ok(Some(refusal)) = sent else { continue };
        tell(&mut near, &refusal).await.map_err(gone)?;
        last = Some(refusal.1);
    }
    Err(last.unwrap_or_else(|| Ended::Broken("it ended the connection".to_owned())))
}

/// A message that could not be sent, and why.
type Refusal = (Option<RequestId>, Ended);

async fn send<E: std::error::Error + 'static>(
    id: Option<RequestId>,
    sent: impl Future<Output = Result<(), E>>,
) -> Option<Refusal> {
    sent.await.err().map(|error| (id, Ended::of(&error)))
}

async fn tell(near: &mut impl Transport<RoleServer>, (id, why): &Refusal) -> Result<(), String> {
    // A notification is answered by nothing.
    let Some(id) = id else { return Ok(()) };
    let data = ErrorData::internal_error(why.told(), None);
    near.send(ServerJsonRpcMessage::error(data, Some(id.clone()))).await.map_err(|error| error.to_string())
}

fn request_id(message: &ClientJsonRpcMessage) -> Option<RequestId> {
    match message {
        JsonRpcMessage::Request(request) => Some(request.id.clone()),
        _ => None,
    }
}

/// `http://host:port` → `http://host:port/mcp?toolsets=…`.
fn address(url: &str, toolsets: Option<&[String]>) -> Option<Url> {
    let mut address = Url::parse(url).ok()?;
    let is_plain = address.username().is_empty() && address.password().is_none();
    if !matches!(address.scheme(), "http" | "https") || !address.has_host() || !is_plain {
        return None;
    }
    if address.path() == "/" {
        address.set_path("/mcp");
    }
    if let Some(toolsets) = toolsets {
        address.query_pairs_mut().append_pair("toolsets", &toolsets.join(","));
    }
    Some(address)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_completed_and_a_wrong_one_refused() {
        let read = |url: &str| address(url, None).map(|url| url.to_string());
        assert_eq!(read("http://127.0.0.1:7077").as_deref(), Some("http://127.0.0.1:7077/mcp"));
        assert_eq!(read("https://host/base/mcp").as_deref(), Some("https://host/base/mcp"));
        let toolsets = ["files".to_owned(), "mesh".to_owned()];
        let narrow = address("http://h:1/", Some(&toolsets)).map(|url| url.to_string());
        assert_eq!(narrow.as_deref(), Some("http://h:1/mcp?toolsets=files%2Cmesh"));
        for url in ["", "127.0.0.1:7077", "ftp://host", "http://user:word@host", "file:///x"] {
            assert_eq!(read(url), None, "{url}");
        }
    }
}
