//! Keeps one server connected, for as long as we run.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use rmcp::RoleClient;
use rmcp::model::{
    ClientRequest, PaginatedRequestParams, PingRequest, ProtocolVersion, SubscriptionFilter, Tool,
};
use rmcp::service::{Peer, ServiceError, Subscription};
use serde_json::Value;
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;
use waypost_engine::api::{Engine, ServerHealth, ServerState, UpstreamTool};

use super::connection::{Connection, Era, connect};
use super::error::UpstreamError;
use super::handler::Handler;
use super::line::{Connected, Line};
use super::process::Process;
use super::settings::Settings;
use super::waits::Waits;
use crate::blocking::Bridge;

/// Until it has said what it is; a program may first have to be fetched.
const CONNECT_PATIENCE: Duration = Duration::from_secs(60);
const LIST_PATIENCE: Duration = Duration::from_secs(30);
const PING_PATIENCE: Duration = Duration::from_secs(20);
const PING_EVERY: Duration = Duration::from_secs(30);
/// After word of a change, so that many at once are one listing.
const RELIST_PAUSE: Duration = Duration::from_millis(100);
/// A server that never says that its list has changed is asked all the same.
const RELIST_EVERY: Duration = Duration::from_secs(300);
/// Between two listings at least, however often a server says that its list has changed.
const RELIST_GAP: Duration = Duration::from_secs(1);
const CLOSE_PATIENCE: Duration = Duration::from_secs(2);
/// A server that was there for so long is tried again at once.
const STEADY: Duration = Duration::from_secs(60);
/// Of a list of tools.
const MAX_PAGES: usize = 100;
const LIST: &str = "list its tools";
const PING: &str = "answer a ping";

/// Keeps one server.
pub struct Keeper {
    /// Of it.
    pub settings: Settings,
    /// Starts programs that end with us.
    pub guard: Option<PathBuf>,
    /// Whose tools they become.
    pub engine: Arc<Engine>,
    /// To it.
    pub bridge: Bridge,
    /// For those who call.
    pub line: Arc<Line>,
    /// Ends it.
    pub stop: CancellationToken,
}

impl Keeper {
    /// Connects, looks after the connection, and begins anew when it breaks off, until it is stopped.
    pub async fn keep(self) {
        let mut waits = Waits::new();
        let mut health = ServerHealth::default();
        let mut era = Era::Sessions;
        loop {
            health.state = ServerState::Connecting;
            self.tell(&health);
            let begun = Instant::now();
            let ended = self.serve(era, &mut health).await;
            self.line.set(None);
            health.pid = None;
            let Err(error) = ended else {
                health.state = ServerState::Idle;
                return self.tell(&health);
            };
            tracing::warn!(server = self.settings.name, %error, "a server of tools is not there");
            if error.is_refused_era() {
                era = era.other();
            }
            health.state = ServerState::Down;
            health.last_error = Some(error.to_string().chars().take(500).collect());
            self.tell(&health);
            if begun.elapsed() > STEADY {
                waits = Waits::new();
            }
            let wait = waits.next(getrandom::u32().unwrap_or(u32::MAX / 2));
            if self.unless_stopped(tokio::time::sleep(wait)).await.is_none() {
                return;
            }
            health.restarts += 1;
        }
    }

    fn tell(&self, health: &ServerHealth) {
        self.engine.set_server_health(&self.settings.name, health.clone());
    }

    /// What something gives, unless we are stopped before.
    async fn unless_stopped<T>(&self, work: impl Future<Output = T>) -> Option<T> {
        tokio::select! {
            () = self.stop.cancelled() => None,
            done = work => Some(done),
        }
    }

    /// One connection, from its beginning to its end; `Ok` where we were stopped.
    async fn serve(&self, era: Era, health: &mut ServerHealth) -> Result<(), UpstreamError> {
        let handler = Handler::default();
        let connecting = connect(&self.settings, self.guard.as_deref(), handler.clone(), era);
        let connecting = timeout(CONNECT_PATIENCE, connecting);
        let Some(connected) = self.unless_stopped(connecting).await else { return Ok(()) };
        let slow = UpstreamError::Slow { what: "connect", seconds: CONNECT_PATIENCE.as_secs() };
        let Connection { mut service, mut process } = connected.map_err(|_| slow)??;
        let peer = service.peer().clone();
        let info = peer.peer_info();
        let protocol = info.map(|info| info.protocol_version.clone());
        health.pid = process.as_ref().and_then(Process::pid);
        health.protocol = protocol.as_ref().map(ToString::to_string);
        let watched =
            self.unless_stopped(self.watch(&peer, &handler, protocol, process.as_mut(), health)).await;
        self.line.set(None);
        if service.close_with_timeout(CLOSE_PATIENCE).await.is_err() {
            tracing::error!(server = self.settings.name, "the loop of a connection did not end well");
        }
        drop(service);
        if let Some(process) = process {
            process.end().await;
        }
        watched.unwrap_or(Ok(()))
    }

    /// Looks after an open connection until it breaks off.
    async fn watch(
        &self,
        peer: &Peer<RoleClient>,
        handler: &Handler,
        protocol: Option<ProtocolVersion>,
        process: Option<&mut Process>,
        health: &mut ServerHealth,
    ) -> Result<(), UpstreamError> {
        let mut subscription = None;
        if protocol.as_ref() >= Some(&ProtocolVersion::V_2026_07_28) {
            let wanted = SubscriptionFilter::builder().tools_list_changed().build();
            // A server without it has a list that never changes.
            subscription = peer.listen(wanted).await.ok();
        }
        self.list(peer, health).await?;
        self.line.set(Some(Connected { peer: peer.clone(), listeners: Arc::clone(&handler.listeners) }));
        tracing::info!(server = self.settings.name, pid = health.pid, "a server of tools is there");
        let mut last_list = Instant::now();
        let mut pings = tokio::time::interval_at(Instant::now() + PING_EVERY, PING_EVERY);
        let mut lists = tokio::time::interval_at(Instant::now() + RELIST_EVERY, RELIST_EVERY);
        let mut exit = std::pin::pin!(exit(process));
        loop {
            tokio::select! {
                how = &mut exit => return Err(UpstreamError::Exited(how)),
                () = closed(peer) => return Err(UpstreamError::Closed),
                () = changed(handler, subscription.as_mut()) => {
                    let gap = RELIST_GAP.saturating_sub(last_list.elapsed());
                    tokio::time::sleep(gap.max(RELIST_PAUSE)).await;
                    self.list(peer, health).await?;
                    last_list = Instant::now();
                }
                _ = lists.tick() => self.list(peer, health).await?,
                _ = pings.tick() => self.ping(peer, protocol.as_ref()).await?,
            }
        }
    }

    /// Reads the list of tools, and gives it to the engine.
    async fn list(&self, peer: &Peer<RoleClient>, health: &mut ServerHealth) -> Result<(), UpstreamError> {
        let slow = |_| UpstreamError::Slow { what: LIST, seconds: LIST_PATIENCE.as_secs() };
        let tools = timeout(LIST_PATIENCE, read_list(peer)).await.map_err(slow)??;
        let seen: Vec<UpstreamTool> = tools.into_iter().map(spec).collect();
        let (engine, server) = (Arc::clone(&self.engine), self.settings.name.clone());
        let taken = self.bridge.run(move || engine.take_tools(&server, &seen)).await;
        let taken = taken.map_err(|problem| UpstreamError::Taking(problem.detail))?;
        health.state = ServerState::Ready;
        health.left_out = taken.left_out;
        self.tell(health);
        if taken.changed > 0 {
            let (changed, quarantined) = (taken.changed, taken.quarantined);
            tracing::info!(server = self.settings.name, changed, quarantined, "its tools were taken");
        }
        Ok(())
    }

    /// Whether it is alive; who answers a call is.
    async fn ping(
        &self,
        peer: &Peer<RoleClient>,
        protocol: Option<&ProtocolVersion>,
    ) -> Result<(), UpstreamError> {
        // The newer era has no ping.
        if !self.line.is_quiet() || protocol >= Some(&ProtocolVersion::V_2026_07_28) {
            return Ok(());
        }
        let ping = peer.send_request(ClientRequest::PingRequest(PingRequest::default()));
        match timeout(PING_PATIENCE, ping).await {
            Err(_) if self.line.is_quiet() => {
                Err(UpstreamError::Slow { what: PING, seconds: PING_PATIENCE.as_secs() })
            }
            // A refusal is an answer.
            Ok(Ok(_) | Err(ServiceError::McpError(_))) | Err(_) => Ok(()),
            Ok(Err(source)) => Err(UpstreamError::Request { what: PING, source: Box::new(source) }),
        }
    }
}

async fn exit(process: Option<&mut Process>) -> String {
    match process {
        Some(process) => process.ended().await,
        None => std::future::pending().await,
    }
}

/// Ends once the connection is closed.
async fn closed(peer: &Peer<RoleClient>) {
    let mut looks = tokio::time::interval(Duration::from_millis(250));
    while !peer.is_transport_closed() {
        looks.tick().await;
    }
}

/// Ends once the server has said that its list has changed, in either era's way.
async fn changed(handler: &Handler, subscription: Option<&mut Subscription>) {
    let told = async {
        match subscription {
            Some(subscription) => match subscription.next().await {
                Ok(Some(_)) => {}
                Ok(None) | Err(_) => std::future::pending().await,
            },
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        () = handler.relist.notified() => {}
        () = told => {}
    }
}

async fn read_list(peer: &Peer<RoleClient>) -> Result<Vec<Tool>, UpstreamError> {
    let mut tools = Vec::new();
    let mut cursor = None;
    for _ in 0..MAX_PAGES {
        let params = PaginatedRequestParams::default().with_cursor(cursor);
        let page = peer.list_tools(Some(params)).await;
        let page = page.map_err(|source| UpstreamError::Request { what: LIST, source: Box::new(source) })?;
        tools.extend(page.tools);
        cursor = page.next_cursor;
        if cursor.is_none() {
            return Ok(tools);
        }
    }
    Err(UpstreamError::Endless { pages: MAX_PAGES })
}

fn spec(tool: Tool) -> UpstreamTool {
    let object = |schema: &rmcp::model::JsonObject| Value::Object(schema.clone());
    UpstreamTool {
        name: tool.name.into_owned(),
        title: tool.title,
        description: tool.description.map(std::borrow::Cow::into_owned).unwrap_or_default(),
        input_schema: object(&tool.input_schema),
        output_schema: tool.output_schema.as_deref().map(object),
        annotations: tool.annotations.and_then(|annotations| serde_json::to_value(annotations).ok()),
    }
}
