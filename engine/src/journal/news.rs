//! Tells those who wait that the journal has grown, or that something else is to be looked at.

use std::sync::{Condvar, Mutex};
use std::time::Instant;

/// Counts the times that it grew.
#[derive(Default)]
pub struct News {
    count: Mutex<u64>,
    changed: Condvar,
}

impl News {
    /// The journal has grown.
    pub fn tell(&self) {
        *self.count.lock().unwrap_or_else(|poisoned| poisoned.into_inner()) += 1;
        self.changed.notify_all();
    }

    /// How often it has grown so far; look at the journal after asking, then wait for more than this.
    pub fn count(&self) -> u64 {
        *self.count.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// Waits until it has grown more often than that, or the deadline has come.
    pub fn wait_beyond(&self, count: u64, deadline: Instant) {
        let now = self.count.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        let left = deadline.saturating_duration_since(Instant::now());
        let waited = self.changed.wait_timeout_while(now, left, |now| *now <= count);
        drop(waited.unwrap_or_else(|poisoned| poisoned.into_inner()));
    }
}
