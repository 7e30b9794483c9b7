//! The exchange: one request, its redirects, one bounded answer.
//!
//! Takes an [`Outgoing`]. Gives an [`Answer`]. Judges each URL on the way; the addresses are `dial`'s.

use std::fmt;
use std::io::Read;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ureq::http::header::{CONTENT_ENCODING, CONTENT_TYPE, HeaderName, HeaderValue, LOCATION, RETRY_AFTER};
use ureq::http::{self, Response, Uri};
use ureq::{Agent, AsSendBody, Body};
use url::Url;

use super::dial::{self, Lookup};
use super::{NetError, Reach};

/// How many redirects are followed at most, whatever the request says.
pub const MAX_HOPS: u8 = 5;

const MAX_URL_BYTES: usize = 8192;

/// A longer deadline is cut to this one, so that instants can't overflow.
const MAX_DEADLINE: Duration = Duration::from_secs(24 * 60 * 60);

/// Headers about the connection and the framing; they are made here.
const OWN_HEADERS: &[&str] = &[
    "accept-encoding",
    "connection",
    "content-length",
    "expect",
    "host",
    "keep-alive",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// Headers that a redirect to another origin keeps; any other may be a secret.
const OPEN_HEADERS: &[&str] = &["accept", "accept-language", "content-type", "user-agent"];

/// The only way out. Clones share their idle connections.
///
/// ```
/// use waypost_engine::net::{Client, NetError, Reach};
///
/// let client = Client::new(Reach::new(&["10.1.2.3".to_owned()])?);
/// assert!(client.check("http://10.1.2.3:8080/hook").is_ok());
/// assert!(matches!(client.check("http://10.1.2.4/"), Err(NetError::Refused { .. })));
/// # Ok::<(), NetError>(())
/// ```
#[derive(Clone)]
pub struct Client {
    reach: Arc<Reach>,
    agent: Agent,
}

/// What to send.
#[derive(Clone, Copy)]
pub struct Outgoing<'a> {
    /// The verb.
    pub method: Method,
    /// Where to; checked as in [`Client::check`].
    pub url: &'a str,
    /// Names and values. Those about the connection and the framing, such as `host`, are refused.
    pub headers: &'a [(&'a str, &'a str)],
    /// The body; none is sent with [`Method::Get`] and [`Method::Delete`].
    pub body: &'a [u8],
    /// For the whole exchange: names, connections, TLS, redirects and the body of the answer.
    pub deadline: Duration,
    /// How much of the answer's body is read.
    pub max_answer_bytes: usize,
    /// Whether a longer answer is cut; else it is an error.
    pub cut: bool,
    /// How many redirects are followed, [`MAX_HOPS`] at most; with 0 a redirect is given back as the answer.
    pub max_hops: u8,
}

/// A verb.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// Read.
    Get,
    /// Deliver a body.
    Post,
    /// Deliver what stands there from then on.
    Put,
    /// Deliver what changes something.
    Patch,
    /// Take something away.
    Delete,
}

/// What came back.
#[derive(Clone, PartialEq, Eq)]
pub struct Answer {
    /// The HTTP status; an error status is an answer too.
    pub status: u16,
    /// The header `content-type`.
    pub content_type: Option<String>,
    /// The header `retry-after`, as it was written: seconds or a date.
    pub retry_after: Option<String>,
    /// The header `location`, as it was written.
    pub location: Option<String>,
    /// The body, at most as long as was asked for.
    pub body: Vec<u8>,
    /// Whether the body was longer.
    pub is_cut: bool,
    /// Where the answer came from, after redirects.
    pub url: Url,
}

impl Client {
    /// A client that reaches public addresses and what is listed.
    pub fn new(reach: Reach) -> Self {
        Self::with_lookup(reach, dial::system_lookup())
    }

    /// As [`Self::new`], with other eyes for names than the system's.
    pub fn with_lookup(reach: Reach, lookup: Lookup) -> Self {
        let reach = Arc::new(reach);
        Self { agent: dial::agent(Arc::clone(&reach), lookup), reach }
    }

    /// Reads and judges a URL before it is stored: `http` or `https`, no user, no fragment, an open port, no internal
    /// name, no closed address. Resolves no name; what a name leads to is judged when it is dialled.
    ///
    /// # Errors
    /// [`NetError::InvalidUrl`] if nobody could use it, [`NetError::Refused`] if listing the host would help.
    pub fn check(&self, url: &str) -> Result<Url, NetError> {
        if url.len() > MAX_URL_BYTES {
            let why = format!("it has {} bytes, expected at most {MAX_URL_BYTES}", url.len());
            return Err(NetError::InvalidUrl { why });
        }
        let url = Url::parse(url).map_err(invalid_url)?;
        self.reach.judge_url(&url)?;
        to_uri(&url)?;
        Ok(url)
    }

    /// As [`Self::check`], and the host must be one that the operator listed: for those who may not choose a way out.
    ///
    /// # Errors
    /// As [`Self::check`].
    pub fn check_listed(&self, url: &str) -> Result<Url, NetError> {
        let url = self.check(url)?;
        if self.reach.lists_host(&url) {
            return Ok(url);
        }
        Err(NetError::Refused {
            host: url.host_str().unwrap_or_default().to_owned(),
            address: None,
            why: "only the home's owner may name a host that is not listed".to_owned(),
        })
    }

    /// Sends a request and reads the answer, following redirects if the request says so.
    ///
    /// # Errors
    /// See [`NetError`]; [`NetError::may_pass`] tells what is worth another try.
    pub fn send(&self, request: &Outgoing<'_>) -> Result<Answer, NetError> {
        let deadline = Deadline::start(request.deadline);
        let first = Hop::first(self.check(request.url)?, request)?;
        let (response, url) = self.follow(first, request.max_hops, false, &deadline)?;
        Answer::read(response, url, request, &deadline)
    }

    /// Breaks off what this client and its clones have under way; they send nothing any more.
    pub fn shut(&self) {
        self.agent.clone().shutdown();
    }

    /// The last answer after so many redirects, and where it came from. With `only_listed` each redirect must lead to a
    /// host that the operator listed.
    pub(super) fn follow(
        &self,
        mut hop: Hop<'_>,
        max_hops: u8,
        only_listed: bool,
        deadline: &Deadline,
    ) -> Result<(Response<Body>, Url), NetError> {
        let max_hops = max_hops.min(MAX_HOPS);
        let mut n_hops = 0;
        loop {
            let response = self.exchange(&hop, deadline)?;
            let location = redirect(&response).filter(|_| max_hops > 0);
            let Some(location) = location else { return Ok((response, hop.url)) };
            if n_hops == max_hops {
                return Err(NetError::TooManyHops { host: host_of(&hop.url), max_hops });
            }
            n_hops += 1;
            let next = self.target(&hop.url, &location, only_listed)?;
            hop.follow(next, response.status().as_u16());
        }
    }

    fn exchange(&self, hop: &Hop<'_>, deadline: &Deadline) -> Result<Response<Body>, NetError> {
        let left = deadline.left(&hop.url)?;
        let response = match hop.method {
            Method::Get => self.run(hop.to_http((), "GET")?, left),
            Method::Post => self.run(hop.to_http(hop.body, "POST")?, left),
            Method::Put => self.run(hop.to_http(hop.body, "PUT")?, left),
            Method::Patch => self.run(hop.to_http(hop.body, "PATCH")?, left),
            Method::Delete => self.run(hop.to_http((), "DELETE")?, left),
        };
        response.map_err(|error| deadline.explain(error, &hop.url))
    }

    fn run(
        &self,
        request: http::Request<impl AsSendBody>,
        left: Duration,
    ) -> Result<Response<Body>, ureq::Error> {
        self.agent.run(self.agent.configure_request(request).timeout_global(Some(left)).build())
    }

    /// Where a redirect leads. A fragment is common there and means nothing to a server, so it is dropped.
    fn target(&self, from: &Url, location: &str, only_listed: bool) -> Result<Url, NetError> {
        let mut url = from.join(location).map_err(invalid_url)?;
        url.set_fragment(None);
        if only_listed { self.check_listed(url.as_str()) } else { self.check(url.as_str()) }
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("reach", &self.reach).finish_non_exhaustive()
    }
}

impl fmt::Debug for Outgoing<'_> {
    /// Paths, queries and values of headers may be secrets; they are left out.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { method, url, headers, body, deadline, max_answer_bytes, cut, max_hops } = self;
        let names: Vec<&str> = headers.iter().map(|(name, _)| *name).collect();
        f.debug_struct("Outgoing")
            .field("method", method)
            .field("to", &Url::parse(url).map(|url| origin_of(&url)).unwrap_or_default())
            .field("headers", &names)
            .field("body_bytes", &body.len())
            .field("deadline", deadline)
            .field("max_answer_bytes", max_answer_bytes)
            .field("cut", cut)
            .field("max_hops", max_hops)
            .finish()
    }
}

impl fmt::Debug for Answer {
    /// Bodies, paths and queries may hold secrets; they are left out.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { status, content_type, retry_after, location, body, is_cut, url } = self;
        f.debug_struct("Answer")
            .field("status", status)
            .field("content_type", content_type)
            .field("retry_after", retry_after)
            .field("has_location", &location.is_some())
            .field("body_bytes", &body.len())
            .field("is_cut", is_cut)
            .field("from", &origin_of(url))
            .finish()
    }
}

impl Answer {
    fn read(
        mut response: Response<Body>,
        url: Url,
        request: &Outgoing<'_>,
        deadline: &Deadline,
    ) -> Result<Self, NetError> {
        if !request.cut {
            refuse_encoding(&response, &url)?;
        }
        let limit_bytes = request.max_answer_bytes;
        let too_large = || NetError::TooLarge { host: host_of(&url), limit_bytes };
        let announced = response.body().content_length();
        if !request.cut && announced.is_some_and(|length| length > limit_bytes as u64) {
            return Err(too_large());
        }
        let mut body = Vec::new();
        let reader = response.body_mut().as_reader();
        let one_more = (limit_bytes as u64).saturating_add(1);
        let read = reader.take(one_more).read_to_end(&mut body);
        read.map_err(|error| deadline.explain(error.into(), &url))?;
        let is_cut = body.len() > limit_bytes;
        if is_cut && !request.cut {
            return Err(too_large());
        }
        body.truncate(limit_bytes);
        Ok(Self {
            status: response.status().as_u16(),
            content_type: header(&response, &CONTENT_TYPE),
            retry_after: header(&response, &RETRY_AFTER),
            location: header(&response, &LOCATION),
            body,
            is_cut,
            url,
        })
    }
}

/// One request on the way.
pub(super) struct Hop<'a> {
    url: Url,
    method: Method,
    headers: Vec<(HeaderName, HeaderValue)>,
    body: &'a [u8],
}

impl<'a> Hop<'a> {
    pub(super) fn first(url: Url, request: &Outgoing<'a>) -> Result<Self, NetError> {
        let headers = parse_headers(request.headers)?;
        Ok(Self { url, method: request.method, headers, body: request.body })
    }

    /// A request without a body.
    pub(super) fn bare(method: Method, url: Url, headers: &[(&str, &str)]) -> Result<Self, NetError> {
        Ok(Self { url, method, headers: parse_headers(headers)?, body: &[] })
    }

    /// As browsers do: after 303, and after 301 or 302 to a POST, the next request is a GET.
    fn follow(&mut self, to: Url, status: u16) {
        if self.method == Method::Post && matches!(status, 301..=303) {
            self.method = Method::Get;
            self.headers.retain(|(name, _)| !name.as_str().starts_with("content-"));
        }
        if to.origin() != self.url.origin() {
            self.headers.retain(|(name, _)| OPEN_HEADERS.contains(&name.as_str()));
        }
        self.url = to;
    }

    fn to_http<B>(&self, body: B, method: &'static str) -> Result<http::Request<B>, NetError> {
        let mut request = http::Request::builder().method(method).uri(to_uri(&self.url)?);
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        request.body(body).map_err(invalid_url)
    }
}

/// One deadline for everything a request leads to.
pub(super) struct Deadline {
    started: Instant,
    after: Duration,
}

impl Deadline {
    pub(super) fn start(after: Duration) -> Self {
        Self { started: Instant::now(), after: after.min(MAX_DEADLINE) }
    }

    fn left(&self, url: &Url) -> Result<Duration, NetError> {
        let left = self.after.saturating_sub(self.started.elapsed());
        if left.is_zero() { Err(self.missed(url)) } else { Ok(left) }
    }

    fn missed(&self, url: &Url) -> NetError {
        NetError::Timeout { host: host_of(url), after: self.after }
    }

    /// What an error of `ureq` means here.
    pub(super) fn explain(&self, error: ureq::Error, url: &Url) -> NetError {
        let protocol = |source| NetError::Protocol { host: host_of(url), source };
        match error {
            ureq::Error::Timeout(_) => self.missed(url),
            ureq::Error::Other(source) => match source.downcast::<NetError>() {
                Ok(own) => *own,
                Err(source) => protocol(source),
            },
            ureq::Error::Io(source) => protocol(Box::new(source)),
            error => protocol(Box::new(error)),
        }
    }
}

/// Where a response sends the client, if it is a redirect that can be followed.
fn redirect(response: &Response<Body>) -> Option<String> {
    match response.status().as_u16() {
        301 | 302 | 303 | 307 | 308 => header(response, &LOCATION),
        _ => None,
    }
}

/// The first value of a header, if it is text.
pub(super) fn header(response: &Response<Body>, name: &HeaderName) -> Option<String> {
    String::from_utf8(response.headers().get(name)?.as_bytes().to_vec()).ok()
}

/// An answer that is compressed against our word would be taken for its content. Where `ureq` was built to expand it, it has
/// no such header any more, and the bound is on what it expands to.
pub(super) fn refuse_encoding(response: &Response<Body>, url: &Url) -> Result<(), NetError> {
    match header(response, &CONTENT_ENCODING) {
        Some(encoding) if !encoding.trim().eq_ignore_ascii_case("identity") => {
            Err(NetError::Encoding { host: host_of(url), encoding })
        }
        _ => Ok(()),
    }
}

fn parse_headers(headers: &[(&str, &str)]) -> Result<Vec<(HeaderName, HeaderValue)>, NetError> {
    headers.iter().map(|(name, value)| parse_header(name, value)).collect()
}

fn parse_header(name: &str, value: &str) -> Result<(HeaderName, HeaderValue), NetError> {
    let fail = |why| NetError::Header { name: name.to_owned(), why };
    let parsed: HeaderName = name.parse().map_err(|_| fail("expected letters, digits and `-`"))?;
    if OWN_HEADERS.contains(&parsed.as_str()) {
        return Err(fail("it is set by the client itself"));
    }
    let value =
        value.parse().map_err(|_| fail("expected a value without line breaks and control characters"))?;
    Ok((parsed, value))
}

/// The URL as it is sent. Two parsers that read different hosts in one text are a way around the judgement, so they
/// must agree.
fn to_uri(url: &Url) -> Result<Uri, NetError> {
    let uri: Uri = url.as_str().parse().map_err(invalid_url)?;
    if uri.host() != url.host_str() || uri.port_u16() != url.port() {
        return Err(NetError::InvalidUrl { why: "its host can be read in two ways".to_owned() });
    }
    Ok(uri)
}

fn invalid_url(error: impl fmt::Display) -> NetError {
    NetError::InvalidUrl { why: error.to_string() }
}

fn host_of(url: &Url) -> String {
    url.host_str().unwrap_or_default().to_owned()
}

fn origin_of(url: &Url) -> String {
    url.origin().ascii_serialization()
}
