//! A body that is read as it comes: for what is too large to be held, or is to be given up half way.
//!
//! Takes a [`Fetch`], or an [`Outgoing`] with a body of its own. Gives an [`Incoming`], once the head of the last answer is there. Whoever reads it bounds its size.

use std::fmt;
use std::io::Read;
use std::time::Duration;

use ureq::BodyReader;
use ureq::http::header::{CONTENT_RANGE, CONTENT_TYPE, ETAG, LAST_MODIFIED};
use url::Url;

use super::client::{Deadline, Hop, header, refuse_encoding};
use super::{Client, Method, NetError, Outgoing};

/// What to read.
#[derive(Clone, Copy)]
pub struct Fetch<'a> {
    /// The verb; no body is sent with either.
    pub method: Method,
    /// Where from; checked as in [`Client::check`].
    pub url: &'a str,
    /// Names and values. Those about the connection and the framing, such as `host`, are refused.
    pub headers: &'a [(&'a str, &'a str)],
    /// For the whole exchange: names, connections, TLS, redirects and the body to its end.
    pub deadline: Duration,
    /// How many redirects are followed; [`MAX_HOPS`](super::MAX_HOPS) at most.
    pub max_hops: u8,
    /// Whether the host, and that of each redirect, must be one that the operator listed.
    pub only_listed: bool,
}

/// An answer whose body is still to be read.
pub struct Incoming {
    /// The HTTP status; an error status is an answer too.
    pub status: u16,
    /// Where the answer comes from, after redirects.
    pub url: Url,
    /// The header `content-type`.
    pub content_type: Option<String>,
    /// How long the body is, in bytes, where it was said.
    pub length: Option<u64>,
    /// The header `etag`, as it was written.
    pub etag: Option<String>,
    /// The header `last-modified`, as it was written.
    pub last_modified: Option<String>,
    /// The header `content-range`, as it was written.
    pub content_range: Option<String>,
    body: BodyReader<'static>,
    deadline: Deadline,
}

impl Client {
    /// Sends a request and gives its answer as soon as its head is there.
    ///
    /// # Errors
    /// See [`NetError`].
    pub fn open(&self, fetch: &Fetch<'_>) -> Result<Incoming, NetError> {
        let deadline = Deadline::start(fetch.deadline);
        let url = if fetch.only_listed { self.check_listed(fetch.url)? } else { self.check(fetch.url)? };
        let first = Hop::bare(fetch.method, url, fetch.headers)?;
        self.incoming(first, fetch.max_hops, fetch.only_listed, deadline)
    }

    /// As [`Self::send`], and gives the answer as soon as its head is there.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn begin(&self, request: &Outgoing<'_>) -> Result<Incoming, NetError> {
        let deadline = Deadline::start(request.deadline);
        let first = Hop::first(self.check(request.url)?, request)?;
        self.incoming(first, request.max_hops, false, deadline)
    }

    fn incoming(
        &self,
        first: Hop<'_>,
        max_hops: u8,
        only_listed: bool,
        deadline: Deadline,
    ) -> Result<Incoming, NetError> {
        let (response, url) = self.follow(first, max_hops, only_listed, &deadline)?;
        refuse_encoding(&response, &url)?;
        Ok(Incoming {
            status: response.status().as_u16(),
            url,
            content_type: header(&response, &CONTENT_TYPE),
            length: response.body().content_length(),
            etag: header(&response, &ETAG),
            last_modified: header(&response, &LAST_MODIFIED),
            content_range: header(&response, &CONTENT_RANGE),
            body: response.into_body().into_reader(),
            deadline,
        })
    }
}

impl Incoming {
    /// Reads what has come into `buffer` and gives how many bytes; 0 at the end.
    ///
    /// # Errors
    /// [`NetError::Timeout`] at the deadline, [`NetError::Protocol`] where the body breaks off.
    pub fn read(&mut self, buffer: &mut [u8]) -> Result<usize, NetError> {
        self.body.read(buffer).map_err(|error| self.deadline.explain(error.into(), &self.url))
    }

    /// The host that answered.
    pub fn host(&self) -> &str {
        self.url.host_str().unwrap_or_default()
    }
}

impl fmt::Debug for Incoming {
    /// Paths and queries may hold secrets; they are left out.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Incoming")
            .field("status", &self.status)
            .field("host", &self.host())
            .field("content_type", &self.content_type)
            .field("length", &self.length)
            .finish_non_exhaustive()
    }
}
