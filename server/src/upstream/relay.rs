//! Carries MCP between a client that started this process and a server that runs already, in both eras.

use reqwest::{Client, Url};
use rmcp::model::{ClientJsonRpcMessage, ErrorData, JsonRpcMessage, RequestId, ServerJsonRpcMessage};
use rmcp::transport::async_rw::AsyncRwTransport;
use rmcp::transport::io::stdio_pipes;
use rmcp::transport::streamable_http_client::StreamableHttpClientTransportConfig;
use rmcp::transport::{StreamableHttpClientTransport, Transport};
use rmcp::{RoleClient, RoleServer};
use thiserror::Error;
use tokio::sync::mpsc;

use super::connection::{self, MIN_MESSAGE_BYTES};
use super::error::UpstreamError;

/// Refusals that wait to be written at most.
const MAX_REFUSALS: usize = 64;

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

/// Both directions; what can't be sent is answered with why.
async fn carry(
    mut near: impl Transport<RoleServer>,
    mut far: impl Transport<RoleClient>,
) -> Result<(), String> {
    let (refuse, mut refusals) = mpsc::channel::<ServerJsonRpcMessage>(MAX_REFUSALS);
    let mut last = "it ended the connection".to_owned();
    loop {
        tokio::select! {
            said = near.receive() => {
                let Some(said) = said else {
                    let _ = far.close().await;
                    return Ok(());
                };
                let (id, refuse) = (request_id(&said), refuse.clone());
                let sent = far.send(said);
                // A call takes its time; others go past it.
                tokio::spawn(async move {
                    let Err(error) = sent.await else { return };
                    let data = ErrorData::internal_error(format!("the server can't be reached: {error}"), None);
                    let _ = refuse.send(ServerJsonRpcMessage::error(data, id)).await;
                });
            }
            came = far.receive() => {
                let Some(came) = came else { return Err(last) };
                near.send(came).await.map_err(|error| error.to_string())?;
            }
            Some(refusal) = refusals.recv() => {
                if let JsonRpcMessage::Error(error) = &refusal {
                    last = error.error.message.to_string();
                }
                near.send(refusal).await.map_err(|error| error.to_string())?;
            }
        }
    }
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
