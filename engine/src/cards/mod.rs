//! Takes what agents say of themselves, gives it in one form.
//!
//! Noun: [`AgentCard`], read from Waypost's own JSON or from an A2A agent card, and kept in the catalog as [`AgentRow`].
//! It believes nothing: what a card promises is judged by what comes of it, elsewhere.

mod card;
mod error;
mod rows;

pub use card::{AgentCard, Capability, MAX_CARD_BYTES, Price, TaskLimits, agent_id};
pub use error::CardError;
pub use rows::{AgentRow, agent, agents};
