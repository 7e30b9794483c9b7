//! Who asks, and what their requests are answered with.

use std::sync::Arc;

use axum::http::request::Parts;
use rmcp::model::{ErrorData, Extensions};
use waypost_engine::api::{Engine, Session};

use super::Toolsets;
use crate::blocking::Bridge;
use crate::serve::App;
use crate::upstream::Upstreams;

/// Who asks.
#[derive(Clone)]
pub enum Asker {
    /// Each HTTP request brings its own token.
    Request(Arc<App>),
    /// Who opened a stream, with the token that they did it with.
    Stream(Arc<Streamed>),
    /// The process that started us.
    Process(Arc<Process>),
}

/// What one principal on a stream of its own works with.
pub struct Streamed {
    /// What every request may use.
    pub app: Arc<App>,
    /// Looked at anew for each request.
    pub token: String,
    /// What is offered.
    pub toolsets: Toolsets,
}

/// What one principal on standard input and output works with.
pub struct Process {
    /// The open home.
    pub engine: Arc<Engine>,
    /// Without one it is the home's owner.
    pub token: Option<String>,
    /// What is offered.
    pub toolsets: Toolsets,
    /// To the engine.
    pub bridge: Bridge,
    /// Servers of tools.
    pub upstreams: Arc<Upstreams>,
}

impl Asker {
    /// What every request of the network may use; a process has no network.
    pub fn app(&self) -> Option<&Arc<App>> {
        match self {
            Self::Request(app) => Some(app),
            Self::Stream(streamed) => Some(&streamed.app),
            Self::Process(_) => None,
        }
    }

    /// The open home.
    pub fn engine(&self) -> &Arc<Engine> {
        match self {
            Self::Request(app) => &app.engine,
            Self::Stream(streamed) => &streamed.app.engine,
            Self::Process(process) => &process.engine,
        }
    }

    /// To the engine.
    pub fn bridge(&self) -> &Bridge {
        match self {
            Self::Request(app) => &app.bridge,
            Self::Stream(streamed) => &streamed.app.bridge,
            Self::Process(process) => &process.bridge,
        }
    }

    /// Servers of tools.
    pub fn upstreams(&self) -> &Arc<Upstreams> {
        match self {
            Self::Request(app) => &app.upstreams,
            Self::Stream(streamed) => &streamed.app.upstreams,
            Self::Process(process) => &process.upstreams,
        }
    }

    /// As whom a request acts, and what it wants to be offered.
    pub async fn who(&self, extensions: &Extensions) -> Result<(Session, Toolsets), ErrorData> {
        match self {
            Self::Request(_) => {
                of_request(extensions).ok_or_else(|| ErrorData::internal_error("no principal", None))
            }
            Self::Stream(streamed) => {
                let (engine, token) = (Arc::clone(&streamed.app.engine), streamed.token.clone());
                let session = streamed.app.tokens.run(move || engine.session(&token)).await;
                let session = session.map_err(|problem| ErrorData::invalid_request(problem.detail, None))?;
                Ok((session, streamed.toolsets))
            }
            Self::Process(process) => {
                let (engine, token) = (Arc::clone(&process.engine), process.token.clone());
                let session = process.bridge.run(move || match token {
                    Some(token) => engine.session(&token),
                    None => Ok(engine.owner_session()),
                });
                let session =
                    session.await.map_err(|problem| ErrorData::invalid_request(problem.detail, None))?;
                Ok((session, process.toolsets))
            }
        }
    }
}

fn of_request(extensions: &Extensions) -> Option<(Session, Toolsets)> {
    let parts = extensions.get::<Parts>()?;
    let session = parts.extensions.get::<Session>().cloned()?;
    Some((session, parts.extensions.get::<Toolsets>().copied().unwrap_or_default()))
}
