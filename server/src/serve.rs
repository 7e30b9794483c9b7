//! Puts the server together and runs it until it is told to stop.
//!
//! Nouns: [`ServeOptions`], [`App`] (what every request may use). Layers, outermost first: count and time, catch
//! panics, hosts, times and sizes, and on all but a few routes the token.

use std::any::Any;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use axum::Router;
use axum::extract::Request;
use axum::http::{Extensions, HeaderMap, HeaderValue, Method, StatusCode, Version, header};
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use thiserror::Error;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, watch};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tower_http::CompressionLevel;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::compression::CompressionLayer;
use tower_http::compression::predicate::{Predicate, SizeAbove};
use waypost_engine::api::{Engine, Indexer, Session, Supervisor};

use crate::blocking::{Bridge, Wish};
use crate::console::Sign;
use crate::discovery::Discovery;
use crate::hosts::{self, Hosts};
use crate::limits::{Limits, Rate};
use crate::problem::Problem;
use crate::renewal::{Renewal, Reread};
use crate::rest::repeats::{self, Repeats};
use crate::rest::unchanged;
use crate::telemetry::{self, Telemetry};
use crate::tls::{self, TlsError, TlsFiles};
use crate::upstream::{self, Upstreams};
use crate::{auth, discovery, incoming, mcp, rest};

/// Bytes of a request's body at most.
pub const MAX_BODY_BYTES: usize = 2 << 20;
/// Bytes of a file that is put at most: it is held in memory while it is written.
pub const MAX_FILE_BODY_BYTES: usize = 64 << 20;
/// Until a request that is there as a whole must be answered; a stream's end may come later.
pub const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);
/// Until a request's headers must be there; also how long an idle connection is kept.
const HEADER_TIMEOUT: Duration = Duration::from_secs(15);
/// Connections at once; the next one waits to be accepted.
const MAX_CONNECTIONS: usize = 4096;
/// Until open requests must end after the signal to stop. Those that wait for something end at once; whoever keeps us (a service
/// manager, a container) often waits no more than 10 seconds in all.
const GRACE: Duration = Duration::from_secs(5);
/// Streams of events and long polls at once.
const MAX_STREAMS: usize = 256;
/// Imports at once, and those that wait for their turn.
const MAX_IMPORTS: usize = 8;
const MAX_WAITING_IMPORTS: usize = 32;
/// Engine calls that wait for their turn at most.
const MAX_WAITING: usize = 256;
/// Smaller answers are not worth the time.
const MIN_COMPRESSED_BYTES: u64 = 4096;
const UPKEEP: Duration = Duration::from_secs(5);
/// After an `accept` that failed, so that a lack of file descriptors does not spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Where to listen, and under which names.
#[derive(Debug, Clone)]
pub struct ServeOptions {
    /// Port 0 takes a free one.
    pub listen: SocketAddr,
    /// Names beside loopback and the address: `name` or `name:port`.
    pub allowed_hosts: Vec<String>,
    /// Pages of other servers that may ask: `https://name`.
    pub allowed_origins: Vec<String>,
    /// Servers of tools.
    pub upstreams: upstream::Plan,
    /// How the outside is met.
    pub edge: Edge,
}

/// How the outside is met.
#[derive(Debug, Clone, Default)]
pub struct Edge {
    /// How often a token may ask.
    pub rate: Rate,
    /// Speak TLS with these.
    pub tls: Option<TlsFiles>,
    /// The issuer of tokens that clients may be told of (RFC 9728).
    pub authorization_server: Option<String>,
    /// Offer MCP over `/sse` and `/messages` too.
    pub sse: bool,
}

/// Why the server could not start or go on.
#[derive(Debug, Error)]
pub enum ServeError {
    /// The address is taken or not ours; choose another with `--listen`.
    #[error("can't listen on `{address}`: {source}")]
    Bind {
        /// As it was asked for.
        address: SocketAddr,
        /// Why.
        source: io::Error,
    },
    /// Certificate or key can't be used.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// No such family of tools.
    #[error(transparent)]
    Toolset(#[from] mcp::UnknownToolset),
    /// The histogram's bounds are not valid: a defect of ours.
    #[error("can't count requests: {0}")]
    Telemetry(#[from] metrics_exporter_prometheus::BuildError),
    /// The other side of standard input and output does not speak MCP.
    #[error("can't start MCP on standard input and output: {0}")]
    Stdio(Box<dyn std::error::Error + Send + Sync>),
}

/// What every request may use.
pub struct App {
    /// The open home.
    pub engine: Arc<Engine>,
    /// To the engine.
    pub bridge: Bridge,
    /// For searches that wait for nothing: as many as there are cores, in the order in which they came, so that none of a crowd
    /// waits much longer than the others.
    pub searches: Bridge,
    /// To the engine for those who wait for something to happen: they take nobody's place.
    pub waits: Bridge,
    /// To the engine for imports and backups, which wait for others on the network.
    pub imports: Bridge,
    /// To the engine for tokens alone, so that a full queue of searches keeps nobody out.
    pub tokens: Bridge,
    /// Open streams of events.
    pub streams: Arc<Semaphore>,
    /// Changes when the journal has grown.
    pub news: watch::Receiver<()>,
    /// Changes when somebody may see other tools than before.
    pub tool_news: watch::Receiver<()>,
    /// Servers of tools.
    pub upstreams: Arc<Upstreams>,
    /// Who is signed in to the console.
    pub sign: Sign,
    /// How often a token may ask.
    pub limits: ArcSwap<Limits>,
    /// Requests with a key of their own that are under way.
    pub repeats: Repeats,
    /// Where clients learn who issues tokens, where somebody does.
    pub discovery: Option<Discovery>,
    /// Whether MCP is offered over `/sse` and `/messages` too.
    pub offers_sse: bool,
    /// Counts.
    pub telemetry: Telemetry,
    /// Names of ours.
    pub hosts: ArcSwap<Hosts>,
    /// That is listened on.
    address: SocketAddr,
    /// Cancelled when the server stops.
    pub stop: CancellationToken,
}

impl App {
    /// For an open home that is served at an address. Its servers of tools are started.
    ///
    /// # Errors
    /// [`ServeError::Telemetry`].
    pub fn new(engine: Arc<Engine>, address: SocketAddr, options: &ServeOptions) -> Result<Self, ServeError> {
        let (tell, news) = watch::channel(());
        engine.on_news(move || tell.send_modify(|()| {}));
        let (tell, tool_news) = watch::channel(());
        engine.on_tools_changed(move || tell.send_modify(|()| {}));
        Ok(Self {
            upstreams: Upstreams::start(&engine, &options.upstreams),
            tool_news,
            engine,
            bridge: engine_bridge(),
            searches: Bridge::new(cores(), MAX_WAITING),
            waits: Bridge::new(MAX_STREAMS, 0),
            imports: Bridge::new(MAX_IMPORTS, MAX_WAITING_IMPORTS),
            streams: Arc::new(Semaphore::new(MAX_STREAMS)),
            news,
            tokens: Bridge::new(4, MAX_WAITING),
            sign: Sign::new(address, options.edge.tls.is_some()),
            limits: ArcSwap::from_pointee(Limits::new(options.edge.rate)),
            repeats: Repeats::default(),
            discovery: Discovery::of(&options.edge),
            offers_sse: options.edge.sse,
            telemetry: Telemetry::new()?,
            hosts: ArcSwap::from_pointee(Hosts::new(
                address,
                &options.allowed_hosts,
                &options.allowed_origins,
            )),
            address,
            stop: CancellationToken::new(),
        })
    }

    /// Runs a call that waits for something to happen: until it has, its time is over, whoever asks has gone, or the server stops,
    /// and then with what there is.
    ///
    /// # Errors
    /// `busy` where too many wait; what the call itself refuses.
    pub async fn wait<T, E>(
        &self,
        session: Session,
        call: impl FnOnce(&Session) -> Result<T, E> + Send + 'static,
    ) -> Result<T, Problem>
    where
        T: Send + 'static,
        E: Into<Problem> + Send + 'static,
    {
        let _place = Arc::clone(&self.streams).try_acquire_owned().map_err(|_| Problem::busy())?;
        let mut wish = Wish::new(&self.engine);
        let session = session.until(wish.stop());
        let mut called = std::pin::pin!(self.waits.run(move || call(&session)));
        let result = tokio::select! {
            result = &mut called => result,
            () = self.stop.cancelled() => {
                self.engine.stop(wish.stop());
                called.await
            }
        };
        wish.fulfil();
        result
    }

    /// Takes what of the options may change while the server runs: who is let in, and how often.
    pub fn renew(&self, options: &ServeOptions) {
        let hosts = Hosts::new(self.address, &options.allowed_hosts, &options.allowed_origins);
        self.hosts.store(Arc::new(hosts));
        self.limits.store(Arc::new(Limits::new(options.edge.rate)));
    }
}

/// A call may sleep until the index has caught up, so there are more places than cores.
pub fn engine_bridge() -> Bridge {
    Bridge::new((4 * cores()).max(8), MAX_WAITING)
}

fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// Binds, calls `on_ready` with the address, and serves until SIGINT or SIGTERM. At SIGHUP the options are read again.
///
/// # Errors
/// [`ServeError::Bind`].
pub async fn serve(
    engine: Arc<Engine>,
    indexer: Indexer,
    options: ServeOptions,
    reread: Reread,
    on_ready: impl FnOnce(SocketAddr) + Send,
) -> Result<(), ServeError> {
    let stop = stop_signal();
    run(engine, indexer, options, Renewal::at_hangup(reread), on_ready, stop).await
}

/// As [`serve`], until `stop` is ready, with options that stay.
///
/// # Errors
/// As [`serve`].
pub async fn serve_until(
    engine: Arc<Engine>,
    indexer: Indexer,
    options: ServeOptions,
    on_ready: impl FnOnce(SocketAddr) + Send,
    stop: impl Future<Output = ()> + Send,
) -> Result<(), ServeError> {
    run(engine, indexer, options, Renewal::never(), on_ready, stop).await
}

async fn run(
    engine: Arc<Engine>,
    indexer: Indexer,
    options: ServeOptions,
    renewal: Renewal,
    on_ready: impl FnOnce(SocketAddr) + Send,
    stop: impl Future<Output = ()> + Send,
) -> Result<(), ServeError> {
    let tls = options.edge.tls.as_ref().map(tls::acceptor).transpose()?;
    let failed = |source| ServeError::Bind { address: options.listen, source };
    let listener = TcpListener::bind(options.listen).await.map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;
    let (supervisor, courier) = (Supervisor::start(&engine), engine.start_courier());
    let app = Arc::new(App::new(engine, address, &options)?);
    on_ready(address);
    tracing::info!(%address, "serving");
    accept(&listener, tls, renewal, &app, stop).await;
    app.upstreams.stop().await;
    // Its thread may be in the middle of a file; waiting for it must not hold up this one.
    let ended = tokio::task::spawn_blocking(move || drop((indexer, supervisor, courier))).await;
    if let Err(error) = ended {
        tracing::error!(%error, "a background thread did not end well");
    }
    tracing::info!("stopped");
    Ok(())
}

/// Every route with its layers.
pub fn router(app: &Arc<App>) -> Router {
    router_with(app, mcp::http::routes(app).merge(mcp::pair::routes(app)))
}

/// The same with other routes of MCP.
pub fn router_with(app: &Arc<App>, mcp: Router<Arc<App>>) -> Router {
    let guarded = rest::guarded_routes()
        .router()
        .merge(mcp)
        .method_not_allowed_fallback(rest::wrong_method)
        .route_layer(from_fn(unchanged::layer))
        .route_layer(from_fn_with_state(Arc::clone(app), repeats::layer))
        .route_layer(from_fn_with_state(Arc::clone(app), auth::layer));
    rest::open_routes()
        .router()
        .method_not_allowed_fallback(rest::wrong_method)
        .merge(guarded)
        .merge(discovery::routes(app))
        .fallback(rest::unknown_route)
        .layer(from_fn(incoming::layer))
        // Most clients are near: what a better packing saves them is less than it costs them.
        .layer(
            CompressionLayer::new()
                .quality(CompressionLevel::Fastest)
                .compress_when(SizeAbove::new(MIN_COMPRESSED_BYTES).and(is_compressible)),
        )
        .layer(from_fn(tag_as_sent))
        .layer(from_fn(plain_head))
        .layer(from_fn_with_state(Arc::clone(app), hosts::layer))
        .layer(CatchPanicLayer::custom(panicked))
        .layer(from_fn_with_state(Arc::clone(app), telemetry::layer))
        .with_state(Arc::clone(app))
}

/// An answer without a body is not compressed: some clients would look for the end of nothing.
async fn plain_head(mut request: Request, next: Next) -> Response {
    if *request.method() == Method::HEAD {
        request.headers_mut().remove(header::ACCEPT_ENCODING);
    }
    next.run(request).await
}

/// What is compressed is not the bytes that a strong tag stands for (RFC 9110, section 8.8.3.3); a weak one stands for what they say.
async fn tag_as_sent(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    if !headers.contains_key(header::CONTENT_ENCODING) {
        return response;
    }
    let tag = headers.get(header::ETAG).and_then(|tag| tag.to_str().ok());
    let weak = tag
        .filter(|tag| tag.starts_with('"'))
        .and_then(|tag| HeaderValue::from_str(&format!("W/{tag}")).ok());
    if let Some(weak) = weak {
        headers.insert(header::ETAG, weak);
    }
    response
}

/// JSON and text. A file goes as it is: its parts and its `ETag` are those of its own bytes; and a stream
/// of events would wait in the compressor.
fn is_compressible(_: StatusCode, _: Version, headers: &HeaderMap, _: &Extensions) -> bool {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim();
    let is_text = kind.starts_with("text/") || kind == "application/x-ndjson" || kind.ends_with("json");
    is_text && kind != "text/event-stream" && !headers.contains_key(header::ACCEPT_RANGES)
}

#[expect(clippy::needless_pass_by_value, reason = "the layer hands the box over")]
fn panicked(cause: Box<dyn Any + Send>) -> Response {
    let text =
        cause.downcast_ref::<&str>().copied().or_else(|| cause.downcast_ref::<String>().map(String::as_str));
    tracing::error!(panic = text.unwrap_or("without a text"), "a request panicked");
    Problem::internal().into_response()
}

async fn accept(
    listener: &TcpListener,
    mut tls: Option<TlsAcceptor>,
    mut renewal: Renewal,
    app: &Arc<App>,
    stop: impl Future<Output = ()> + Send,
) {
    let router = router(app);
    let places = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let graceful = GracefulShutdown::new();
    let mut upkeep = tokio::time::interval(UPKEEP);
    let mut stop = std::pin::pin!(stop);
    let next = async || {
        let place = Arc::clone(&places).acquire_owned().await;
        (listener.accept().await, place)
    };
    loop {
        let (accepted, place) = tokio::select! {
            () = &mut stop => break,
            _ = upkeep.tick() => {
                app.telemetry.upkeep();
                continue;
            }
            () = renewal.is_due() => {
                renewal.apply(app, &mut tls).await;
                continue;
            }
            next = next() => next,
        };
        match accepted {
            Ok((stream, _)) => {
                // An answer that goes out in two pieces would wait for the other side's acknowledgment, 40 ms long.
                if let Err(error) = stream.set_nodelay(true) {
                    tracing::debug!(%error, "a connection keeps small pieces back");
                }
                let (watcher, router, tls) = (graceful.watcher(), router.clone(), tls.clone());
                tokio::spawn(async move {
                    // A client that hangs up in the middle is no event.
                    match tls {
                        None => drop(watcher.watch(converse(stream, router)).await),
                        Some(tls) => {
                            let shaken = tokio::time::timeout(HEADER_TIMEOUT, tls.accept(stream)).await;
                            if let Ok(Ok(stream)) = shaken {
                                drop(watcher.watch(converse(stream, router)).await);
                            }
                        }
                    }
                    drop(place);
                });
            }
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    app.stop.cancel();
    if tokio::time::timeout(GRACE, graceful.shutdown()).await.is_err() {
        tracing::warn!("requests that did not end in time were cut off");
    }
}

type Connection<S> = http1::Connection<TokioIo<S>, TowerToHyperService<Router>>;

fn converse<S: AsyncRead + AsyncWrite + Unpin>(stream: S, router: Router) -> Connection<S> {
    let service = TowerToHyperService::new(router);
    let mut builder = http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(HEADER_TIMEOUT);
    builder.serve_connection(TokioIo::new(stream), service)
}

/// SIGINT or SIGTERM, heard from now on and not only once somebody waits: whoever reads that the server is there may stop it
/// at once.
fn stop_signal() -> impl Future<Output = ()> + Send {
    use tokio::signal::unix::{SignalKind, signal};
    let heard = (signal(SignalKind::interrupt()), signal(SignalKind::terminate()));
    async move {
        match heard {
            (Ok(mut interrupt), Ok(mut terminate)) => {
                tokio::select! {
                    _ = interrupt.recv() => {}
                    _ = terminate.recv() => {}
                }
            }
            (interrupt, terminate) => {
                let error = interrupt.err().or(terminate.err());
                tracing::warn!(?error, "signals can't be heard; end the process to stop it");
                std::future::pending::<()>().await;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use axum::http::StatusCode;

    use super::*;

    #[tokio::test]
    async fn a_panic_answers_without_its_text() {
        let response = panicked(Box::new("secret"));
        assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);
        let body = axum::body::to_bytes(response.into_body(), 4096).await.unwrap();
        let body = String::from_utf8(body.to_vec()).unwrap();
        assert!(body.contains("\"internal\"") && !body.contains("secret"), "{body}");
    }
}
