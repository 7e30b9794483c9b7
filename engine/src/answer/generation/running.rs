//! A draft on its way: whoever writes it has a thread of their own, and whoever reads it waits no longer than they want to.

use std::fmt;
use std::ops::ControlFlow;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::{Duration, Instant};

use super::GenerateError;

/// Events that wait for a slow reader; then writing waits, too.
const MAX_WAITING: usize = 64;
/// How often it is looked at whether somebody still waits.
const LOOK: Duration = Duration::from_millis(50);

/// How long an answer may take.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Whether somebody reads it as it comes.
    pub is_streamed: bool,
    /// From the beginning to the end.
    pub whole: Duration,
    /// Until the first sign of life, and between two of them.
    pub idle: Duration,
}

/// What the writer of a draft tells.
pub(super) enum Event {
    /// It goes on, with nothing to read yet.
    Alive,
    /// The next piece of text.
    Text(String),
    /// How many tokens request and answer took, where that was counted; or why it ended.
    End(Result<Option<u64>, GenerateError>),
}

/// Where the writer of a draft tells it. An error says that nobody reads any longer.
pub(super) type Teller = SyncSender<Event>;

/// A draft that is being written; given up when it goes.
pub struct Running {
    events: Receiver<Event>,
    give_up: Box<dyn Fn() + Send>,
}

impl Running {
    /// For a writer who stops at `give_up`, or soon after.
    pub(super) fn new(give_up: impl Fn() + Send + 'static) -> (Teller, Self) {
        let (teller, events) = sync_channel(MAX_WAITING);
        (teller, Self { events, give_up: Box::new(give_up) })
    }

    /// Reads to the end, or until `on_text` breaks off; gives the tokens that were counted.
    ///
    /// # Errors
    /// [`GenerateError::Late`], [`GenerateError::Idle`], [`GenerateError::Cancelled`], and what the writer failed with.
    pub fn read(
        self,
        limits: &Limits,
        is_cancelled: &dyn Fn() -> bool,
        on_text: &mut dyn FnMut(&str) -> ControlFlow<()>,
    ) -> Result<Option<u64>, GenerateError> {
        let begun = Instant::now();
        let mut last_sign = begun;
        loop {
            match self.events.recv_timeout(LOOK) {
                Ok(Event::Alive) => last_sign = Instant::now(),
                Ok(Event::Text(text)) => {
                    last_sign = Instant::now();
                    if on_text(&text).is_break() {
                        return Ok(None);
                    }
                }
                Ok(Event::End(end)) => return end,
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => {
                    return Err(GenerateError::Thread(std::io::Error::other("it ended in the middle")));
                }
            }
            if is_cancelled() {
                return Err(GenerateError::Cancelled);
            }
            if begun.elapsed() >= limits.whole {
                return Err(GenerateError::Late { after: limits.whole });
            }
            if last_sign.elapsed() >= limits.idle {
                return Err(GenerateError::Idle { after: limits.idle });
            }
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        (self.give_up)();
    }
}

impl fmt::Debug for Running {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Running").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::*;

    const LIMITS: Limits =
        Limits { is_streamed: true, whole: Duration::from_secs(60), idle: Duration::from_secs(60) };

    #[test]
    fn a_draft_is_read_to_its_end_and_given_up_where_nobody_waits() {
        let given_up = Arc::new(AtomicBool::new(false));
        let start = || {
            let given_up = Arc::clone(&given_up);
            Running::new(move || given_up.store(true, Ordering::Release))
        };
        let (teller, running) = start();
        for event in [Event::Alive, Event::Text("One ".into()), Event::Text("two.".into())] {
            teller.send(event).unwrap();
        }
        teller.send(Event::End(Ok(Some(7)))).unwrap();
        let mut read = String::new();
        let mut on_text = |text: &str| {
            read.push_str(text);
            ControlFlow::Continue(())
        };
        assert_eq!(running.read(&LIMITS, &|| false, &mut on_text).unwrap(), Some(7));
        assert_eq!(read, "One two.");

        let (_teller, running) = start();
        given_up.store(false, Ordering::Release);
        let cancelled = running.read(&LIMITS, &|| true, &mut |_| ControlFlow::Continue(()));
        assert!(matches!(cancelled, Err(GenerateError::Cancelled)), "{cancelled:?}");
        assert!(given_up.load(Ordering::Acquire), "the writer is told");
    }

    #[test]
    fn silence_and_length_have_bounds_of_their_own() {
        let short = Duration::from_millis(1);
        let (_teller, running) = Running::new(|| ());
        let idle =
            running.read(&Limits { idle: short, ..LIMITS }, &|| false, &mut |_| ControlFlow::Continue(()));
        assert!(matches!(idle, Err(GenerateError::Idle { .. })), "{idle:?}");
        let (_teller, running) = Running::new(|| ());
        let late =
            running.read(&Limits { whole: short, ..LIMITS }, &|| false, &mut |_| ControlFlow::Continue(()));
        assert!(matches!(late, Err(GenerateError::Late { .. })), "{late:?}");
    }
}
