use std::io;
use std::time::Duration;

use thiserror::Error;

use crate::net::NetError;

/// Why there is no generated answer. No text of an endpoint is in it.
#[derive(Debug, Error)]
pub enum GenerateError {
    /// The operator corrects the setting.
    #[error("`generate.{name}` is {found}: expected {expected}")]
    Setting {
        /// Below `[generate]`.
        name: &'static str,
        /// As far as it can be shown.
        found: String,
        /// What would do.
        expected: &'static str,
    },
    /// Not reached, too slow, or too long.
    #[error(transparent)]
    Net(#[from] NetError),
    /// The endpoint refused.
    #[error("the endpoint answered with status {status}, expected 200")]
    Status {
        /// Of HTTP.
        status: u16,
    },
    /// The endpoint does not speak the protocol.
    #[error("the endpoint's answer is no chat completion: {expected} is missing")]
    Shape {
        /// What was looked for.
        expected: &'static str,
    },
    /// The endpoint broke off with an error of its own.
    #[error("the endpoint reported an error in place of a chat completion")]
    Reported,
    /// It takes too long as a whole.
    #[error("no complete answer within {after:?}")]
    Late {
        /// The bound.
        after: Duration,
    },
    /// Nothing came for too long.
    #[error("no further word within {after:?}")]
    Idle {
        /// The bound.
        after: Duration,
    },
    /// Nobody waits for it any longer.
    #[error("nobody waits for the answer any longer")]
    Cancelled,
    /// As many as may be are under way.
    #[error("{max} answers are being generated already; ask again in a moment")]
    Busy {
        /// How many may be.
        max: usize,
    },
    /// The files of a model in this process can't be used. The operator corrects them.
    #[error("the model file `{file}` can't be used: {why}")]
    Model {
        /// Its name alone: who asks need not learn where it lies.
        file: String,
        /// What is wrong with it.
        why: String,
    },
    /// No thread could be started, or it ended in the middle.
    #[error("the thread that generates can't go on: {0}")]
    Thread(#[source] io::Error),
}
