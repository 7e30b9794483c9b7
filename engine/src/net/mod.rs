//! The only outbound socket: one HTTP request to a place that may be reached.
//!
//! Takes a request ([`Outgoing`]) and what may be reached although it is private ([`Reach`], the setting
//! `net.allow`). Gives an [`Answer`] whose size and time are bounded, or a [`NetError`] that says why not. What is large
//! is asked for by a [`Fetch`] and read as it comes ([`Incoming`]).
//!
//! Every address is judged (`address`) after the name is resolved and right before it is dialled (`dial`), on each
//! hop of a redirect anew; so neither a name that changes its address nor a redirect leads inside.
//!
//! Does not retry, sign, decompress, keep cookies or read a proxy from the environment; does not know webhooks or
//! imports.

mod address;
mod client;
mod dial;
mod error;
mod incoming;
#[cfg(test)]
mod tests;

pub use address::Reach;
pub use client::{Answer, Client, MAX_HOPS, Method, Outgoing};
pub use dial::Lookup;
pub use error::NetError;
pub use incoming::{Fetch, Incoming};
pub use url::Url;
