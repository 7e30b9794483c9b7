//! The one bridge from async requests to the synchronous engine.
//!
//! Nouns: [`Bridge`], [`Wish`]. So many calls run at once, so many more wait, and the next is refused with `busy`. A call that
//! nobody waits for any longer keeps its place until it ends, for its thread is still taken.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::Semaphore;
use waypost_engine::api::{Engine, Stop};

use crate::problem::Problem;

/// That somebody still wants what a call waits for. Dropped before it is fulfilled, the call is told to end.
pub struct Wish {
    engine: Arc<Engine>,
    stop: Stop,
    is_over: bool,
}

impl Wish {
    /// For one call.
    pub fn new(engine: &Arc<Engine>) -> Self {
        Self { engine: Arc::clone(engine), stop: Stop::default(), is_over: false }
    }

    /// What the call's session listens to.
    pub fn stop(&self) -> &Stop {
        &self.stop
    }

    /// The call has come to its end by itself.
    pub fn fulfil(&mut self) {
        self.is_over = true;
    }
}

impl Drop for Wish {
    fn drop(&mut self) {
        if !self.is_over {
            self.engine.stop(&self.stop);
        }
    }
}

/// Runs blocking calls, a bounded number at a time.
#[derive(Debug, Clone)]
pub struct Bridge {
    admitted: Arc<Semaphore>,
    running: Arc<Semaphore>,
}

/// What came back, and how long it waited for its turn.
#[derive(Debug)]
pub struct Done<T> {
    /// Of the call.
    pub value: T,
    /// Before the call began.
    pub queued: Duration,
}

impl Bridge {
    /// With so many calls running and so many more waiting.
    pub fn new(running: usize, waiting: usize) -> Self {
        Self {
            admitted: Arc::new(Semaphore::new(running + waiting)),
            running: Arc::new(Semaphore::new(running)),
        }
    }

    /// Runs a call on a thread where it may block.
    ///
    /// # Errors
    /// `busy` where the queue is full; `internal` where the call panicked; what the call itself refuses.
    pub async fn run<T, E>(&self, call: impl FnOnce() -> Result<T, E> + Send + 'static) -> Result<T, Problem>
    where
        T: Send + 'static,
        E: Into<Problem> + Send + 'static,
    {
        self.run_timed(call).await.map(|done| done.value)
    }

    /// As [`Self::run`], and tells how long the call waited.
    ///
    /// # Errors
    /// As [`Self::run`].
    pub async fn run_timed<T, E>(
        &self,
        call: impl FnOnce() -> Result<T, E> + Send + 'static,
    ) -> Result<Done<T>, Problem>
    where
        T: Send + 'static,
        E: Into<Problem> + Send + 'static,
    {
        let asked = Instant::now();
        let admitted = Arc::clone(&self.admitted).try_acquire_owned().map_err(|_| Problem::busy())?;
        let turn = Arc::clone(&self.running).acquire_owned().await.map_err(|_| Problem::busy())?;
        let queued = asked.elapsed();
        let span = tracing::info_span!("engine");
        let task = tokio::task::spawn_blocking(move || {
            let _places = (admitted, turn);
            span.in_scope(call)
        });
        match task.await {
            Ok(result) => result.map(|value| Done { value, queued }).map_err(Into::into),
            Err(error) => {
                tracing::error!(%error, "a call of the engine panicked");
                Err(Problem::internal())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    #[tokio::test]
    async fn a_full_queue_refuses_with_busy() {
        let bridge = Bridge::new(1, 0);
        let (release, held) = mpsc::channel::<()>();
        let (begin, begun) = tokio::sync::oneshot::channel();
        let first = tokio::spawn({
            let bridge = bridge.clone();
            async move {
                let call = move || {
                    begin.send(()).map_err(|()| Problem::internal())?;
                    held.recv().map_err(|_| Problem::internal())
                };
                bridge.run(call).await
            }
        });
        begun.await.unwrap();
        let refused = bridge.run(|| Ok::<_, Problem>(())).await.unwrap_err();
        assert_eq!(refused.code, "busy");
        release.send(()).unwrap();
        first.await.unwrap().unwrap();
        bridge.run(|| Ok::<_, Problem>(())).await.unwrap();
    }

    #[tokio::test]
    async fn a_panic_is_an_internal_problem_without_details() {
        let bridge = Bridge::new(1, 1);
        let refused = bridge.run(|| -> Result<(), Problem> { panic!("secret") }).await.unwrap_err();
        assert_eq!(refused.code, "internal");
        assert!(!refused.detail.contains("secret"));
    }
}
