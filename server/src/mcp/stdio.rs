//! MCP over standard input and output, for a client that starts this process.

use std::sync::Arc;

use rmcp::ServiceExt;
use rmcp::transport::io::stdio_pipes;
use waypost_engine::api::Engine;

use super::{Server, Toolsets};
use crate::serve::{ServeError, engine_bridge};

/// Answers as the holder of a token, or without one as the home's owner, until the client hangs up.
///
/// # Errors
/// [`ServeError::Toolset`] for a family that is not there, [`ServeError::Stdio`] where the other side does not speak
/// the protocol.
pub async fn serve_stdio(
    engine: Arc<Engine>,
    token: Option<String>,
    toolsets: Option<Vec<String>>,
) -> Result<(), ServeError> {
    let toolsets = match &toolsets {
        Some(names) => Toolsets::read(names.iter().map(String::as_str))?,
        None => Toolsets::default(),
    };
    let server = Server::for_process(engine, token, toolsets, engine_bridge());
    let running = server.serve(stdio_pipes()).await.map_err(|error| ServeError::Stdio(error.into()))?;
    running.waiting().await.map_err(|error| ServeError::Stdio(error.into()))?;
    Ok(())
}
