//! MCP over standard input and output, for a client that starts this process.

use std::sync::Arc;

use rmcp::ServiceExt;
use rmcp::transport::io::stdio_pipes;
use waypost_engine::api::Engine;

use super::lines::Lines;
use super::{Process, Server, Toolsets};
use crate::serve::{ServeError, engine_bridge};
use crate::upstream::{self, Upstreams};

/// Answers as the holder of a token, or without one as the home's owner, until the client hangs up.
///
/// # Errors
/// [`ServeError::Toolset`] for a family that is not there, [`ServeError::Stdio`] where the other side does not speak
/// the protocol.
pub async fn serve_stdio(
    engine: Arc<Engine>,
    token: Option<String>,
    toolsets: Option<Vec<String>>,
    upstreams: upstream::Plan,
) -> Result<(), ServeError> {
    let toolsets = match &toolsets {
        Some(names) => Toolsets::read(names.iter().map(String::as_str))?,
        None => Toolsets::default(),
    };
    let upstreams = Upstreams::start(&engine, &upstreams);
    let process =
        Process { engine, token, toolsets, bridge: engine_bridge(), upstreams: Arc::clone(&upstreams) };
    let ended = converse(Server::for_process(process)).await;
    upstreams.stop().await;
    ended
}

async fn converse(server: Server) -> Result<(), ServeError> {
    let (read, write) = stdio_pipes();
    let running =
        server.serve(Lines::new(read, write)).await.map_err(|error| ServeError::Stdio(error.into()))?;
    running.waiting().await.map_err(|error| ServeError::Stdio(error.into()))?;
    Ok(())
}
