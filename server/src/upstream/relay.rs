//! Carries MCP between a client that started this process and a server that runs already, in both eras.

use std::future::{Future, poll_fn};
use std::task::Poll;
use std::time::Duration;

use reqwest::{Client, Url};
use rmcp::model::{ClientJsonRpcMessage, ErrorData, JsonRpcMessage, RequestId, ServerJsonRpcMessage};
use rmcp::transport::async_rw::AsyncRwTransport;
use rmcp::transport::io::stdio_pipes;
use rmcp::transport::streamable_http_client::StreamableHttpClientTransportConfig;
use rmcp::transport::{StreamableHttpClientTransport, Transport};
use rmcp::{RoleClient, RoleServer};
use thiserror::Error;
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::connection::{self, MIN_MESSAGE_BYTES};
use super::error::UpstreamError;

/// Messages on their way to the server at most.
const MAX_UNDER_WAY: usize = 256;
/// After the server's end, until what was under way must have failed.
const FAREWELL: Duration = Duration::from_secs(2);

/// Why nothing is carried.
#[derive(Debug, Error)]
pub enum RelayError {
    /// Expected something like `http://127.0.0.1:7077`.
    #[error("`{url}` is no address of a server: expected one such as `http://127.0.0.1:7077`")]
    Url {
        /// As it was given.
        url: String,
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
/// [`RelayError::Url`]; [`RelayError::Broken`] where the server ends first.
pub async fn relay(url: &str, token: &str, toolsets: Option<&[String]>) -> Result<(), RelayError> {
    let address = address(url, toolsets).ok_or_else(|| RelayError::Url { url: url.to_owned() })?;
    let shown = address.to_string();
    let config = StreamableHttpClientTransportConfig::with_uri(shown.clone())
        .auth_header(token)
        .max_sse_event_size(MIN_MESSAGE_BYTES)
        .max_json_response_size(MIN_MESSAGE_BYTES);
    // A proxy of the environment would see the token.
    let client: Client = connection::plain_client(Client::builder().no_proxy())?;
    let far = StreamableHttpClientTransport::with_client(client, config);
    let (read, write) = stdio_pipes();
    carry(AsyncRwTransport::new_server(read, write), far)
        .await
        .map_err(|detail| RelayError::Broken { url: shown, detail })
}

/// Both directions, until one side ends; what can't be sent is answered with why.
async fn carry(
    mut near: impl Transport<RoleServer>,
    mut far: impl Transport<RoleClient>,
) -> Result<(), String> {
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
                    Poll::Ready(Some(refusal)) => tell(&mut near, refusal).await?,
                    Poll::Ready(None) => {}
                    Poll::Pending => drop(under_way.spawn(sending)),
                }
            }
            came = far.receive() => {
                let Some(came) = came else { break };
                near.send(came).await.map_err(|error| error.to_string())?;
            }
            Some(sent) = under_way.join_next() => {
                if let Ok(Some(refusal)) = sent {
                    tell(&mut near, refusal).await?;
                }
            }
        }
    }
    // What was under way can only fail now, and the client is told so.
    let mut last = None;
    while let Ok(Some(sent)) = timeout(FAREWELL, under_way.join_next()).await {
        let Ok(Some(refusal)) = sent else { continue };
        last = Some(refusal.1.clone());
        tell(&mut near, refusal).await?;
    }
    Err(last.unwrap_or_else(|| "it ended the connection".to_owned()))
}

/// A message that could not be sent, and why.
type Refusal = (Option<RequestId>, String);

async fn send<E: std::error::Error>(
    id: Option<RequestId>,
    sent: impl Future<Output = Result<(), E>>,
) -> Option<Refusal> {
    sent.await.err().map(|error| (id, error.to_string()))
}

async fn tell(near: &mut impl Transport<RoleServer>, (id, why): Refusal) -> Result<(), String> {
    // A notification is answered by nothing.
    let Some(id) = id else { return Ok(()) };
    let data = ErrorData::internal_error(format!("the server can't be reached: {why}"), None);
    near.send(ServerJsonRpcMessage::error(data, Some(id))).await.map_err(|error| error.to_string())
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
