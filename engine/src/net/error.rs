use std::error::Error;
use std::io;
use std::net::IpAddr;
use std::time::Duration;

use thiserror::Error;

/// Why there is no answer. No variant carries a path, a query or a header's value, for these hold secrets.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum NetError {
    /// An entry of the setting is none. Correct the setting.
    #[error(
        "`net.allow` has `{entry}`; expected an address such as `10.1.2.3`, a range such as `10.0.0.0/8`, or a \
         whole host name without port"
    )]
    Allow {
        /// As it is written in the setting.
        entry: String,
    },
    /// The URL can't be used by anybody. Correct it.
    #[error("the URL can't be used: {why}")]
    InvalidUrl {
        /// What is wrong and what was expected.
        why: String,
    },
    /// The request's header can't be sent. Leave it out or correct it.
    #[error("the header `{name}` can't be sent: {why}")]
    Header {
        /// Its name, as it was given.
        name: String,
        /// What is wrong.
        why: &'static str,
    },
    /// The place is private. An operator may list it.
    #[error("`{host}` is refused: {why}; to allow it, list the host or its address in `net.allow`")]
    Refused {
        /// Name or address in the URL.
        host: String,
        /// The address that was refused, if it came to that. It isn't in the message: who may ask for a URL must
        /// not learn the addresses of internal names.
        address: Option<IpAddr>,
        /// The rule.
        why: String,
    },
    /// The name has no address now. Check it, or try again later.
    #[error("the name `{host}` can't be resolved: {source}")]
    Dns {
        /// The name.
        host: String,
        /// What the resolver said.
        source: io::Error,
    },
    /// Nobody listens there now. Try again later.
    #[error("can't connect to `{host}`: {source}")]
    Connect {
        /// Name or address in the URL.
        host: String,
        /// What the system said.
        source: Box<dyn Error + Send + Sync>,
    },
    /// No safe channel: mostly a certificate that has expired, is for another name, or is signed by a private
    /// authority. The receiver's operator can mend it.
    #[error("no TLS with `{host}`: {source}")]
    Tls {
        /// Name or address in the URL.
        host: String,
        /// What the handshake said.
        source: Box<dyn Error + Send + Sync>,
    },
    /// The whole exchange, with redirects and body, took too long. Try again later.
    #[error("`{host}` gave no complete answer within {after:?}")]
    Timeout {
        /// Name or address in the last URL.
        host: String,
        /// The request's deadline.
        after: Duration,
    },
    /// The answer is longer than it may be.
    #[error("the answer of `{host}` is larger than the limit of {limit_bytes} bytes")]
    TooLarge {
        /// Name or address in the last URL.
        host: String,
        /// From the request.
        limit_bytes: usize,
    },
    /// The answer is compressed although that was not asked for.
    #[error("the answer of `{host}` has the encoding `{encoding}`, expected none")]
    Encoding {
        /// Name or address in the last URL.
        host: String,
        /// The header `content-encoding`.
        encoding: String,
    },
    /// Redirects went on and on. Give the last URL itself.
    #[error("more than {max_hops} redirects, the last one at `{host}`")]
    TooManyHops {
        /// Name or address in the last URL.
        host: String,
        /// How many were allowed.
        max_hops: u8,
    },
    /// The connection broke, or what came over it is no HTTP. Try again later.
    #[error("the exchange with `{host}` failed: {source}")]
    Protocol {
        /// Name or address in the last URL.
        host: String,
        /// What went wrong.
        source: Box<dyn Error + Send + Sync>,
    },
}

impl NetError {
    /// Whether the same request may succeed later, with nobody changing a setting or the URL.
    pub fn may_pass(&self) -> bool {
        match self {
            Self::Dns { .. }
            | Self::Connect { .. }
            | Self::Tls { .. }
            | Self::Timeout { .. }
            | Self::Protocol { .. } => true,
            Self::Allow { .. }
            | Self::InvalidUrl { .. }
            | Self::Header { .. }
            | Self::Refused { .. }
            | Self::TooLarge { .. }
            | Self::Encoding { .. }
            | Self::TooManyHops { .. } => false,
        }
    }
}
