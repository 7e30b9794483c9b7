use std::io;

use thiserror::Error;

use crate::net::NetError;

/// Why nothing was imported. No variant carries a path or a query of a URL, for these may hold secrets.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ImportError {
    /// See [`NetError`].
    #[error(transparent)]
    Net(#[from] NetError),
    /// The host has no such page, or does not give it to everybody. Check the URL; what needs a sign-in can't be imported.
    #[error("`{host}` answered with status {status}, expected 200")]
    Status {
        /// Name or address in the last URL.
        host: String,
        /// The HTTP status.
        status: u16,
    },
    /// More than may be imported. Raise `max_bytes`, as far as the server lets.
    #[error("what `{host}` sends is larger than the limit of {limit_bytes} bytes")]
    TooLarge {
        /// Name or address in the last URL.
        host: String,
        /// From the request.
        limit_bytes: u64,
    },
    /// The bytes are not what was said or asked for.
    #[error("what `{host}` sends is {found}, expected {expected}")]
    Type {
        /// Name or address in the last URL.
        host: String,
        /// A media type, and where it was read.
        found: String,
        /// What would do.
        expected: String,
    },
    /// The host asks programs not to read this.
    #[error(
        "`{host}` asks programs not to read this (robots.txt); import single pages that you may use instead"
    )]
    Robots {
        /// Name or address in the URL.
        host: String,
    },
    /// The page lies elsewhere than its link said.
    #[error("the page leads out of the section, to `{host}`")]
    Outside {
        /// Where to.
        host: String,
    },
    /// Whoever asked does not want it any more.
    #[error("the import was cancelled")]
    Cancelled,
    /// The time for the whole import is up.
    #[error("the import took longer than {seconds} s")]
    TooLong {
        /// What it had.
        seconds: u64,
    },
    /// What comes can't be kept on its way.
    #[error("can't keep what comes: {source}")]
    Spool {
        /// What the system said.
        source: io::Error,
    },
}

impl ImportError {
    /// The stable code, for programs.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Net(NetError::Refused { .. }) => "address_refused",
            Self::Net(NetError::Timeout { .. }) | Self::TooLong { .. } => "fetch_timeout",
            Self::Net(NetError::TooLarge { .. }) | Self::TooLarge { .. } => "too_large",
            Self::Net(NetError::InvalidUrl { .. } | NetError::Allow { .. } | NetError::Header { .. }) => {
                "invalid_url"
            }
            Self::Net(_) | Self::Status { .. } => "fetch_failed",
            Self::Type { .. } => "unsupported_type",
            Self::Robots { .. } => "robots_refused",
            Self::Outside { .. } => "outside_section",
            Self::Cancelled => "cancelled",
            Self::Spool { .. } => "internal",
        }
    }
}
