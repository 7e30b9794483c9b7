//! Takes the journal, gives every event to every endpoint that wants it: at least once, in order per path and task, across
//! moves, until a day has passed.
//!
//! Nouns: [`Endpoint`] (who is told, how, and how far), [`Delivery`] (one event's way to one endpoint), [`Line`] (what
//! waits for one endpoint, in memory), [`Courier`] (the threads that bring it). An endpoint keeps a cursor in the journal:
//! whatever lies at or before it is finished or has a row of its own, so a healthy endpoint costs a row an event, written
//! many at a time, and a change costs nothing. It decides no access: a [`Scribe`] writes each letter, or refuses to.
//!
//! Source of the wire format: Standard Webhooks 1.0.

mod command;
mod courier;
mod endpoint;
mod error;
mod ledger;
mod line;
mod office;
mod records;
mod schedule;
mod secret;
mod sender;

pub use courier::{Courier, Letter, Post, Scribe};
pub use endpoint::{Endpoint, EndpointState, Format, Sink, endpoint, endpoints, endpoints_of};
pub use error::DeliveryError;
pub use line::{Head, Line};
pub use office::Office;
pub use records::{
    Attempt, Delivery, DeliveryFilter, DeliveryOrder, DeliveryState, deliveries, delivery, listed,
};
pub use schedule::Schedule;
pub use secret::{Secret, signatures};
pub use sender::send;
