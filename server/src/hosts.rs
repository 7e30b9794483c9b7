//! Decides whether a request was meant for this server: its `Host` must be a name of ours, and its `Origin`, where a
//! browser sends one, must be a page of ours.
//!
//! Noun: [`Hosts`]. Without it, any web page could reach a server on loopback by pointing its own name there (DNS
//! rebinding). Nothing here knows tokens.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::uri::Authority;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use crate::problem::Problem;
use crate::serve::App;

const LOOPBACK: [&str; 3] = ["localhost", "127.0.0.1", "::1"];

/// What a page of an allowed origin may do. No cookies: a token is sent in its header, by whoever has it.
const METHODS: &str = "GET, HEAD, POST, PUT, PATCH, DELETE";
const ALLOWED: &str = "authorization, content-type, accept, if-match, if-none-match, range, last-event-id, waypost-fence, \
                       idempotency-key, traceparent, x-request-id, mcp-session-id, mcp-protocol-version, mcp-method, mcp-name";
const EXPOSED: &str =
    "etag, content-range, retry-after, idempotency-replayed, mcp-session-id, www-authenticate";

/// The names and pages of this server.
#[derive(Debug, Clone)]
pub struct Hosts {
    names: Vec<Name>,
    origins: Vec<Origin>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Name {
    host: String,
    port: Option<u16>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Origin {
    scheme: String,
    name: Name,
    any_port: bool,
}

impl Hosts {
    /// Loopback, the address that is listened on, and what the operator adds: `name`, `name:port`;
    /// `https://name`, `https://name:port`, `https://name:*`.
    pub fn new(listen: SocketAddr, allowed_hosts: &[String], allowed_origins: &[String]) -> Self {
        let any_port = |host: &str| Name { host: host.to_owned(), port: None };
        let mut names: Vec<Name> = LOOPBACK.map(any_port).into();
        if !listen.ip().is_unspecified() {
            names.push(any_port(&listen.ip().to_string()));
        }
        names.extend(allowed_hosts.iter().filter_map(|text| Name::read(text.trim())));
        let origins = allowed_origins.iter().filter_map(|text| Origin::read(text.trim())).collect();
        Self { names, origins }
    }

    /// Whether the request may go on.
    ///
    /// # Errors
    /// A problem with status 400 for a missing or broken `Host`, 403 for a foreign one or a foreign `Origin`.
    pub fn check(&self, uri: &Uri, headers: &HeaderMap) -> Result<(), Problem> {
        let host = one_host(uri, headers)?;
        if !self.names.iter().any(|name| name.admits(&host)) {
            let detail = "this server does not answer under the name in `Host`";
            return Err(Problem::new(StatusCode::FORBIDDEN, "forbidden_host", detail));
        }
        let mut origins = headers.get_all(header::ORIGIN).iter();
        let Some(origin) = origins.next() else { return Ok(()) };
        let origin = origin.to_str().ok().and_then(Origin::read);
        let is_ours = origins.next().is_none() && origin.is_some_and(|origin| self.admits(&origin, &host));
        if is_ours {
            return Ok(());
        }
        let detail = "requests from pages of this `Origin` are not answered";
        Err(Problem::new(StatusCode::FORBIDDEN, "forbidden_origin", detail))
    }

    /// The `Origin` of a request that was let through, where the operator allowed it: our own pages need no permission.
    fn foreign_page(&self, headers: &HeaderMap) -> Option<HeaderValue> {
        let value = headers.get(header::ORIGIN)?;
        let origin = Origin::read(value.to_str().ok()?)?;
        self.origins.iter().any(|allowed| allowed.admits(&origin)).then(|| value.clone())
    }

    fn admits(&self, origin: &Origin, host: &Name) -> bool {
        let is_own_page =
            self.names.iter().any(|name| name.admits(&origin.name)) && origin.name.port == host.port;
        is_own_page || self.origins.iter().any(|allowed| allowed.admits(origin))
    }
}

impl Name {
    fn read(text: &str) -> Option<Self> {
        let bare = text.trim_start_matches('[').trim_end_matches(']');
        if bare.parse::<std::net::Ipv6Addr>().is_ok() {
            return Some(Self { host: bare.to_ascii_lowercase(), port: None });
        }
        let authority = Authority::try_from(text).ok()?;
        // Whoever sends `user@host` wants to be read in two ways.
        (!text.contains('@')).then(|| Self::of(&authority))
    }

    fn of(authority: &Authority) -> Self {
        let host = authority.host().trim_start_matches('[').trim_end_matches(']');
        Self { host: host.trim_end_matches('.').to_ascii_lowercase(), port: authority.port_u16() }
    }

    /// A name without a port admits every port.
    fn admits(&self, asked: &Self) -> bool {
        self.host == asked.host && (self.port.is_none() || self.port == asked.port)
    }
}

impl Origin {
    /// `null` and everything without scheme and host is none.
    fn read(text: &str) -> Option<Self> {
        let (scheme, rest) = text.split_once("://")?;
        let (rest, any_port) = rest.strip_suffix(":*").map_or((rest, false), |rest| (rest, true));
        let is_web = scheme.eq_ignore_ascii_case("http") || scheme.eq_ignore_ascii_case("https");
        let name = Name::read(rest.trim_end_matches('/'))?;
        is_web.then(|| Self { scheme: scheme.to_ascii_lowercase(), name, any_port })
    }

    fn admits(&self, asked: &Self) -> bool {
        self.scheme == asked.scheme
            && self.name.host == asked.name.host
            && (self.any_port || self.name.port == asked.name.port)
    }
}

/// The one name that a request is for; a target that names another host than the header is none.
fn one_host(uri: &Uri, headers: &HeaderMap) -> Result<Name, Problem> {
    let broken = || Problem::invalid("expected one valid `Host` header");
    let mut hosts = headers.get_all(header::HOST).iter();
    let host = hosts.next().and_then(|host| host.to_str().ok()).and_then(Name::read).ok_or_else(broken)?;
    let agrees = uri.authority().is_none_or(|authority| Name::of(authority) == host);
    if hosts.next().is_some() || !agrees { Err(broken()) } else { Ok(host) }
}

/// Lets only requests through that were meant for this server, and tells a browser which pages may read the answer.
pub async fn layer(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    let hosts = app.hosts.load_full();
    if let Err(problem) = hosts.check(request.uri(), request.headers()) {
        return problem.into_response();
    }
    let Some(page) = hosts.foreign_page(request.headers()) else { return next.run(request).await };
    let asks_first = *request.method() == Method::OPTIONS
        && request.headers().contains_key(header::ACCESS_CONTROL_REQUEST_METHOD);
    let mut response =
        if asks_first { StatusCode::NO_CONTENT.into_response() } else { next.run(request).await };
    let headers = response.headers_mut();
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, page);
    headers.append(header::VARY, HeaderValue::from_static("origin"));
    headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static(EXPOSED));
    if asks_first {
        headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static(METHODS));
        headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, HeaderValue::from_static(ALLOWED));
        headers.insert(header::ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("600"));
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(host: &str, origin: Option<&str>) -> &'static str {
        let listen = "192.0.2.7:7077".parse().unwrap();
        let names = ["waypost.example".to_owned(), "exact.example:8443".to_owned()];
        let pages = ["https://app.example".to_owned(), "http://tool.example:*".to_owned()];
        let hosts = Hosts::new(listen, &names, &pages);
        let mut headers = HeaderMap::new();
        headers.insert(header::HOST, host.parse().unwrap());
        if let Some(origin) = origin {
            headers.insert(header::ORIGIN, origin.parse().unwrap());
        }
        hosts.check(&Uri::from_static("/v1/search"), &headers).map_or_else(|problem| problem.code, |()| "ok")
    }

    #[test]
    fn only_names_of_ours_are_answered() {
        for (host, expected) in [
            ("127.0.0.1:7077", "ok"),
            ("LOCALHOST", "ok"),
            ("localhost.:7077", "ok"),
            ("[::1]:7077", "ok"),
            ("192.0.2.7:7077", "ok"),
            ("waypost.example", "ok"),
            ("exact.example:8443", "ok"),
            ("exact.example:80", "forbidden_host"),
            ("evil.example", "forbidden_host"),
            ("127.0.0.1.evil.example", "forbidden_host"),
            ("evil.example@127.0.0.1", "invalid_request"),
        ] {
            assert_eq!(check(host, None), expected, "{host}");
        }
    }

    #[test]
    fn only_pages_of_ours_may_ask() {
        for (origin, expected) in [
            ("http://127.0.0.1:7077", "ok"),
            ("http://localhost:7077", "ok"),
            ("http://127.0.0.1:3000", "forbidden_origin"),
            ("https://app.example", "ok"),
            ("http://app.example", "forbidden_origin"),
            ("https://app.example:444", "forbidden_origin"),
            ("http://tool.example:5173", "ok"),
            ("null", "forbidden_origin"),
            ("https://evil.example", "forbidden_origin"),
            ("file://", "forbidden_origin"),
        ] {
            assert_eq!(check("127.0.0.1:7077", Some(origin)), expected, "{origin}");
        }
    }
}
