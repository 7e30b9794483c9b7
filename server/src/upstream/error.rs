use thiserror::Error;

/// Why a server of tools is not there. It stands in the owner's list of servers; nobody else is told more than that.
#[derive(Debug, Error)]
pub enum UpstreamError {
    /// The program can't be started; see `run` in the settings.
    #[error("can't start `{program}`: {source}")]
    Start {
        /// As the settings name it.
        program: String,
        /// Why.
        source: std::io::Error,
    },
    /// A variable that the settings name is not set.
    #[error("the environment variable `{name}` is not set")]
    Variable {
        /// Which.
        name: String,
    },
    /// A header that can't be one; its value is not shown.
    #[error("the header `{name}` can't be sent: expected a name and a value of printable ASCII")]
    Header {
        /// Which.
        name: String,
    },
    /// The client for HTTP can't be made.
    #[error("no HTTP client: {0}")]
    Client(#[from] reqwest::Error),
    /// The other side does not speak the protocol, or not to us.
    #[error("no connection: {0}")]
    Connect(Box<rmcp::service::ClientInitializeError>),
    /// It did not say in time what it is.
    #[error("it did not {what} within {seconds} s")]
    Slow {
        /// `connect`, `list its tools` or `answer a ping`.
        what: &'static str,
        /// How long it had.
        seconds: u64,
    },
    /// A request failed.
    #[error("it did not {what}: {source}")]
    Request {
        /// `list its tools` or `answer a ping`.
        what: &'static str,
        /// Why.
        source: Box<rmcp::ServiceError>,
    },
    /// Its list of tools has no end.
    #[error("its list of tools has more than {pages} pages")]
    Endless {
        /// So many were read.
        pages: usize,
    },
    /// Its tools could not be taken; the log says why.
    #[error("its tools could not be taken: {0}")]
    Taking(String),
    /// Its process ended.
    #[error("its process ended: {0}")]
    Exited(String),
    /// The connection broke off.
    #[error("the connection broke off")]
    Closed,
}

impl UpstreamError {
    /// Whether the other side refused this era of the protocol, so that another may do.
    pub(super) fn is_refused_era(&self) -> bool {
        use rmcp::service::ClientInitializeError::{JsonRpcError, NoCompatibleProtocolVersion};
        matches!(self, Self::Connect(error) if matches!(**error, JsonRpcError(_) | NoCompatibleProtocolVersion { .. }))
    }
}
