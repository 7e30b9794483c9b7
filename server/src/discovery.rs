//! Tells clients who issues tokens for this server (RFC 9728), where the operator named somebody.
//!
//! Noun: [`Discovery`]. Without it these paths end where every unknown one does, and must: a client that finds metadata
//! there drops the token it was given. It checks no token: what counts here is a token of this home.

use std::sync::Arc;

use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, header};
use axum::routing::get;
use axum::{Json, Router};
use serde::Serialize;

use crate::problem::Problem;
use crate::serve::{App, Edge};

const PATH: &str = "/.well-known/oauth-protected-resource";
/// The resource that has metadata of its own.
const MCP: &str = "/mcp";

/// Who issues tokens, and under which scheme this server is reached.
#[derive(Debug, Clone)]
pub struct Discovery {
    issuer: String,
    scheme: &'static str,
}

/// RFC 9728, section 2.
#[derive(Serialize)]
struct Metadata {
    resource: String,
    authorization_servers: [String; 1],
    bearer_methods_supported: [&'static str; 1],
    resource_name: &'static str,
}

impl Discovery {
    /// None where nobody is named.
    pub fn of(edge: &Edge) -> Option<Self> {
        let scheme = if edge.tls.is_some() { "https" } else { "http" };
        edge.authorization_server.clone().map(|issuer| Self { issuer, scheme })
    }

    /// The challenge of a path, which names the metadata of what was asked: of `/mcp`, or of the server as a whole.
    pub fn challenge(&self, path: &str, headers: &HeaderMap) -> Option<HeaderValue> {
        let resource = if path == MCP { MCP } else { "" };
        let text =
            format!("Bearer resource_metadata=\"{}://{}{PATH}{resource}\"", self.scheme, host(headers));
        HeaderValue::from_str(&text).ok()
    }
}

/// It was checked before: a name of ours.
fn host(headers: &HeaderMap) -> &str {
    headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default()
}

/// The metadata's two paths, or none.
pub fn routes(app: &App) -> Router<Arc<App>> {
    match app.discovery {
        None => Router::new(),
        Some(_) => Router::new().route(PATH, get(of_the_server)).route(&format!("{PATH}{MCP}"), get(of_mcp)),
    }
}

async fn of_the_server(State(app): State<Arc<App>>, headers: HeaderMap) -> Result<Json<Metadata>, Problem> {
    metadata(&app, &headers, "")
}

async fn of_mcp(State(app): State<Arc<App>>, headers: HeaderMap) -> Result<Json<Metadata>, Problem> {
    metadata(&app, &headers, MCP)
}

/// Names the resource whose path its own follows (RFC 9728, section 3.3).
fn metadata(app: &App, headers: &HeaderMap, resource: &str) -> Result<Json<Metadata>, Problem> {
    let discovery = app.discovery.as_ref().ok_or_else(Problem::internal)?;
    Ok(Json(Metadata {
        resource: format!("{}://{}{resource}", discovery.scheme, host(headers)),
        authorization_servers: [discovery.issuer.clone()],
        bearer_methods_supported: ["header"],
        resource_name: "Waypost",
    }))
}
