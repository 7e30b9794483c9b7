use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::engine::Engine;
use super::session::Session;

/// Ends the waits of a session before their time, for whoever no longer wants the answer.
///
/// It is asked by whoever waits for an event or a task; what was begun is finished, so a task that is claimed at that
/// very moment stays claimed until its lease runs out.
#[derive(Debug, Clone, Default)]
pub struct Stop(Arc<AtomicBool>);

impl Stop {
    /// Whether it was asked for.
    pub(super) fn is_asked(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}

impl Engine {
    /// Ends the waits of the sessions that listen to this.
    pub fn stop(&self, stop: &Stop) {
        stop.0.store(true, Ordering::Release);
        self.news.tell();
    }
}

impl Session {
    /// The same session, whose waits end when they are asked to.
    #[must_use]
    pub fn until(mut self, stop: &Stop) -> Self {
        self.stop = stop.clone();
        self
    }
}
