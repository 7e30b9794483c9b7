//! From a host to a connection: resolve once, judge every address, dial only judged ones.
//!
//! Takes a [`Reach`]. Gives the `ureq` agent, which can open no other connections. Does not send or read anything.

use std::error::Error;
use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;

use ureq::http::Uri;
use ureq::unversioned::resolver::{ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::{ConnectionDetails, Connector, NextTimeout};
use ureq::unversioned::transport::{RustlsConnector, TcpConnector, Transport};
use ureq::{Agent, config::Config};

use super::{NetError, Reach};

/// How names become addresses: host and port in, all addresses out.
pub type Lookup = Arc<dyn Fn(&str, u16) -> io::Result<Vec<SocketAddr>> + Send + Sync>;

/// How many addresses of one name are dialled; all are judged. `ureq` holds 16 at most.
const MAX_DIALLED: usize = 8;

/// A receiver that stops reading makes each write of the buffer last; a small one keeps the deadline sharp.
const OUTPUT_BUFFER_BYTES: usize = 16 * 1024;

const MAX_HEADER_BYTES: usize = 32 * 1024;
const MAX_IDLE: usize = 8;
const MAX_IDLE_PER_HOST: usize = 2;
const MAX_IDLE_AGE: Duration = Duration::from_secs(10);

/// The system's resolver.
pub(super) fn system_lookup() -> Lookup {
    Arc::new(|host, port| Ok((host, port).to_socket_addrs()?.collect()))
}

/// An agent that reaches what `reach` allows, follows no redirect and knows no proxy.
pub(super) fn agent(reach: Arc<Reach>, lookup: Lookup) -> Agent {
    let config = Config::builder()
        .proxy(None)
        .http_status_as_error(false)
        .max_redirects(0)
        .max_redirects_will_error(false)
        .user_agent(concat!("waypost/", env!("CARGO_PKG_VERSION")))
        .accept_encoding("identity")
        .max_response_header_size(MAX_HEADER_BYTES)
        .output_buffer_size(OUTPUT_BUFFER_BYTES)
        .max_idle_connections(MAX_IDLE)
        .max_idle_connections_per_host(MAX_IDLE_PER_HOST)
        .max_idle_age(MAX_IDLE_AGE)
        .build();
    let connector = ().chain(Dial::default()).chain(Tls::default());
    Agent::with_parts(config, connector, Judge { reach, lookup })
}

/// Resolves, and lets through only what may be reached. `ureq` asks it before each request, also for literal
/// addresses and for pooled connections.
struct Judge {
    reach: Arc<Reach>,
    lookup: Lookup,
}

impl Judge {
    /// Every address of the host, each one judged; one closed address closes the name. The name itself was judged
    /// with its URL.
    fn addresses(&self, uri: &Uri, timeout: NextTimeout) -> Result<Vec<SocketAddr>, ureq::Error> {
        let host = host_of(uri);
        let port = uri.port_u16().unwrap_or(if uri.scheme_str() == Some("https") { 443 } else { 80 });
        let found = match host.parse::<IpAddr>() {
            Ok(address) => vec![SocketAddr::new(address, port)],
            Err(_) => self.look_up(host, port, timeout)?,
        };
        for address in &found {
            self.reach.judge_address(host, address.ip()).map_err(pass_on)?;
        }
        Ok(found)
    }

    /// Asks in a thread of its own, because the system's resolver knows no deadline. A thread that nobody waits for
    /// any more ends when the system's resolver gives up.
    fn look_up(&self, host: &str, port: u16, timeout: NextTimeout) -> Result<Vec<SocketAddr>, ureq::Error> {
        let (sender, receiver) = mpsc::sync_channel(1);
        let (lookup, name) = (Arc::clone(&self.lookup), host.to_owned());
        let fail = |source| pass_on(NetError::Dns { host: host.to_owned(), source });
        thread::Builder::new()
            .name("net-dns".to_owned())
            .spawn(move || sender.send(lookup(&name, port)))
            .map_err(fail)?;
        match receiver.recv_timeout(*timeout.after) {
            Ok(Ok(found)) if !found.is_empty() => Ok(found),
            Ok(Ok(_)) => Err(fail(io::Error::new(io::ErrorKind::NotFound, "it has no address"))),
            Ok(Err(source)) => Err(fail(source)),
            Err(mpsc::RecvTimeoutError::Timeout) => Err(ureq::Error::Timeout(timeout.reason)),
            Err(mpsc::RecvTimeoutError::Disconnected) => Err(fail(io::Error::other("the lookup broke off"))),
        }
    }
}

impl Resolver for Judge {
    fn resolve(
        &self,
        uri: &Uri,
        _: &Config,
        timeout: NextTimeout,
    ) -> Result<ResolvedSocketAddrs, ureq::Error> {
        let mut judged = self.empty();
        for address in self.addresses(uri, timeout)?.into_iter().take(MAX_DIALLED) {
            judged.push(address);
        }
        Ok(judged)
    }
}

impl fmt::Debug for Judge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Judge").field("reach", &self.reach).finish_non_exhaustive()
    }
}

/// TCP whose failures say that they are failures to connect.
#[derive(Debug, Default)]
struct Dial(TcpConnector);

impl<In: Transport> Connector<In> for Dial {
    type Out = <TcpConnector as Connector<In>>::Out;

    fn connect(
        &self,
        details: &ConnectionDetails<'_>,
        chained: Option<In>,
    ) -> Result<Option<Self::Out>, ureq::Error> {
        let connected = self.0.connect(details, chained);
        connected
            .map_err(|error| as_own(error, |source| NetError::Connect { host: owned_host(details), source }))
    }
}

/// TLS for `https`, whose failures say that they are failures of TLS.
#[derive(Debug, Default)]
struct Tls(RustlsConnector);

impl<In: Transport> Connector<In> for Tls {
    type Out = <RustlsConnector as Connector<In>>::Out;

    fn connect(
        &self,
        details: &ConnectionDetails<'_>,
        chained: Option<In>,
    ) -> Result<Option<Self::Out>, ureq::Error> {
        // Each request has its own deadline and thereby, for `ureq`, its own configuration, for which it would build
        // a new TLS state: roots anew, no resumption. What concerns TLS is always the agent's.
        let details = ConnectionDetails {
            uri: details.uri,
            addrs: details.addrs.clone(),
            config: details.config,
            request_level: false,
            resolver: details.resolver,
            now: details.now,
            timeout: details.timeout,
            current_time: Arc::clone(&details.current_time),
            run_connector: Arc::clone(&details.run_connector),
            register_shutdown: Arc::clone(&details.register_shutdown),
        };
        let connected = self.0.connect(&details, chained);
        connected
            .map_err(|error| as_own(error, |source| NetError::Tls { host: owned_host(&details), source }))
    }
}

/// Name or address, without the brackets of IPv6.
pub(super) fn host_of(uri: &Uri) -> &str {
    let host = uri.host().unwrap_or_default();
    host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host)
}

fn owned_host(details: &ConnectionDetails<'_>) -> String {
    host_of(details.uri).to_owned()
}

/// Our own error through `ureq`, unpacked again by the client.
fn pass_on(error: NetError) -> ureq::Error {
    ureq::Error::Other(Box::new(error))
}

fn as_own(error: ureq::Error, wrap: impl FnOnce(Box<dyn Error + Send + Sync>) -> NetError) -> ureq::Error {
    match error {
        ureq::Error::Timeout(_) | ureq::Error::Other(_) => error,
        ureq::Error::Io(source) => pass_on(wrap(Box::new(source))),
        error => pass_on(wrap(Box::new(error))),
    }
}
