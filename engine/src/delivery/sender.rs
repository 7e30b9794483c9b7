//! The threads that send: as many as there is to send, and no more than so many. One endpoint never has more than a few.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::command::{self, KEPT_BYTES};
use super::courier::{Letter, Post, fresh};
use super::ledger::Entry;
use super::line::{Job, Outcome};
use super::office::{Counter, State};
use super::records::{self, Attempt, Delivery, DeliveryState, TIMED_OUT};
use super::schedule::Verdict;
use super::secret::signatures;
use super::{Endpoint, Sink};
use crate::journal;
use crate::net::{Client, Method, NetError, Outgoing};

/// Threads that wait for the next letter.
const MIN_SENDERS: usize = 2;
/// Threads at most; an endpoint that keeps silent has one after its first failures.
const MAX_SENDERS: usize = 96;
/// Where none of them has ended anything for so long, a further one begins.
pub(super) const STUCK: Duration = Duration::from_millis(5);
/// A thread beyond [`MIN_SENDERS`] ends after so long without work.
const IDLE: Duration = Duration::from_secs(10);
/// Entries that wait for the disk; then nothing more is sent.
const MAX_ENTRIES: usize = 4096;
/// Of a thread that sends: what it does may wait for those who write.
#[cfg(target_os = "linux")]
const SENDER_NICENESS: i32 = 10;
/// A letter that can't be written now is tried again after so long, in milliseconds.
const SCRIBE_PATIENCE_MS: i64 = 1000;

/// Sends one letter, once.
pub fn send(client: &Client, sink: &Sink, letter: &Letter, timeout: Duration, now_ms: i64) -> Attempt {
    let url = match sink {
        Sink::Command { argv, timeout_seconds } => {
            let timeout = Duration::from_secs(*timeout_seconds);
            return command::run(argv, &letter.body, &letter.id, timeout, now_ms);
        }
        Sink::Url(url) => url,
    };
    let begun = Instant::now();
    let seconds = now_ms.div_euclid(1000);
    let timestamp = seconds.to_string();
    let signature = signatures(&letter.secrets, &letter.id, seconds, &letter.body);
    let mut headers = vec![
        ("content-type", letter.content_type),
        ("user-agent", concat!("waypost/", env!("CARGO_PKG_VERSION"))),
        ("webhook-id", &letter.id),
        ("webhook-timestamp", &timestamp),
        ("webhook-signature", &signature),
    ];
    headers.extend(letter.traceparent.as_deref().map(|value| ("traceparent", value)));
    let outgoing = Outgoing {
        method: Method::Post,
        url,
        headers: &headers,
        body: &letter.body,
        deadline: timeout,
        max_answer_bytes: KEPT_BYTES,
        cut: true,
        max_hops: 0,
    };
    let mut attempt = Attempt { at_ms: now_ms, ..Attempt::default() };
    match client.send(&outgoing) {
        Ok(answer) => {
            attempt.status = Some(i32::from(answer.status));
            attempt.answer = String::from_utf8_lossy(&answer.body).into_owned();
            attempt.retry_after = answer.retry_after;
        }
        Err(NetError::Timeout { .. }) => attempt.error = Some(TIMED_OUT.to_owned()),
        Err(error) => attempt.error = Some(error.to_string()),
    }
    attempt.took_ms = begun.elapsed().as_millis() as u64;
    attempt
}

impl Post {
    /// Wakes a sender, or starts one, where something may be sent now.
    pub(super) fn call_senders(self: &Arc<Self>, state: &mut State) {
        let now_ms = self.clock.now_ms();
        let n_due = state
            .lines
            .values()
            .filter(|counter| counter.line.wakes_at().is_some_and(|at| at <= now_ms))
            .count();
        for _ in 0..n_due.min(state.n_idle) {
            self.office.for_sender.notify_one();
        }
        // Quick receivers need few threads, which leave the processor to others; silent ones hold a thread each.
        let is_stuck = state.last_end.is_none_or(|last| last.elapsed() >= STUCK);
        let may_grow = state.n_senders < MIN_SENDERS || (is_stuck && state.n_senders < MAX_SENDERS);
        if n_due > state.n_idle && may_grow && !state.ended {
            state.last_end = Some(Instant::now());
            state.n_senders += 1;
            let sender = Arc::clone(self);
            std::thread::spawn(move || sender.send_all());
        }
    }

    fn send_all(self: &Arc<Self>) {
        give_way();
        while let Some((endpoint, generation, job)) = self.next_job() {
            self.bring(&endpoint, generation, &job);
        }
    }

    fn next_job(self: &Arc<Self>) -> Option<(Arc<Endpoint>, u64, Job)> {
        let mut state = self.office.lock();
        loop {
            if state.ended {
                state.n_senders -= 1;
                return None;
            }
            if state.entries.len() < MAX_ENTRIES
                && let Some(job) = state.pick(self.clock.now_ms())
            {
                self.call_senders(&mut state);
                return Some(job);
            }
            state.n_idle += 1;
            let (woken, timeout) = self
                .office
                .for_sender
                .wait_timeout(state, IDLE)
                .unwrap_or_else(|poisoned| poisoned.into_inner());
            state = woken;
            state.n_idle -= 1;
            if timeout.timed_out() && state.n_senders > MIN_SENDERS {
                state.n_senders -= 1;
                return None;
            }
        }
    }

    fn bring(self: &Arc<Self>, endpoint: &Arc<Endpoint>, generation: u64, job: &Job) {
        match self.try_to_bring(endpoint, generation, job) {
            Ok(()) => {}
            Err(error) => {
                tracing::warn!(webhook = %endpoint.id, %error, "a delivery can't be made now; it is tried again");
                let due_ms = self.clock.now_ms() + SCRIBE_PATIENCE_MS;
                let known = match job {
                    Job::Fresh(posted) => Some(Delivery { due_ms, ..fresh(&endpoint.id, posted) }),
                    Job::Held(_) => None,
                };
                self.end(endpoint, generation, job, known, Outcome::Held { due_ms }, None);
            }
        }
    }

    fn try_to_bring(
        self: &Arc<Self>,
        endpoint: &Arc<Endpoint>,
        generation: u64,
        job: &Job,
    ) -> Result<(), Box<dyn std::error::Error>> {
        let (event, mut delivery, next) = match job {
            Job::Fresh(posted) => (Some(posted.event.clone()), fresh(&endpoint.id, posted), Vec::new()),
            Job::Held(head) => {
                self.office.barrier();
                let next = records::next_heads(&self.catalog, &endpoint.id, &head.keys, head.seq)?;
                let delivery = records::delivery(&self.catalog, &endpoint.id, head.seq)?;
                let Some(waiting) = delivery.filter(|found| found.state == DeliveryState::Pending) else {
                    // It was finished meanwhile.
                    self.end(endpoint, generation, job, None, Outcome::Finished { next }, None);
                    return Ok(());
                };
                (journal::event_at(&self.catalog, waiting.seq)?, waiting, next)
            }
        };
        let letter = match &event {
            Some(event) => self.scribe.write(endpoint, event)?,
            None => None,
        };
        let Some(letter) = letter else {
            // Nobody is told of it, its owner neither; a row that is there says no more than that it is over.
            let known = matches!(job, Job::Held(_)).then(|| {
                delivery.state = DeliveryState::Dead;
                delivery
            });
            self.end(endpoint, generation, job, known, Outcome::Finished { next }, None);
            return Ok(());
        };
        let now_ms = self.clock.now_ms();
        let attempt = send(&self.client, &endpoint.sink, &letter, self.schedule.timeout, now_ms);
        let chance = chance(&letter.id, delivery.attempts);
        let ended_ms = self.clock.now_ms();
        let verdict = self.schedule.judge(delivery.attempts + 1, &attempt, ended_ms, chance);
        delivery.note(attempt);
        let outcome = match verdict {
            Verdict::Delivered => {
                delivery.state = DeliveryState::Delivered;
                Outcome::Finished { next }
            }
            Verdict::Dead => {
                delivery.state = DeliveryState::Dead;
                Outcome::Finished { next }
            }
            Verdict::Later { wait_ms, .. } => {
                delivery.due_ms = ended_ms + wait_ms;
                Outcome::Held { due_ms: delivery.due_ms }
            }
            // It stands as before, for when the endpoint is there again.
            Verdict::Gone => {
                delivery.due_ms = ended_ms;
                Outcome::Held { due_ms: ended_ms }
            }
        };
        self.end(endpoint, generation, job, Some(delivery), outcome, Some(verdict));
        Ok(())
    }

    fn end(
        self: &Arc<Self>,
        endpoint: &Endpoint,
        generation: u64,
        job: &Job,
        delivery: Option<Delivery>,
        outcome: Outcome,
        verdict: Option<Verdict>,
    ) {
        let now_ms = self.clock.now_ms();
        let mut state = self.office.lock();
        let state = &mut *state;
        state.last_end = Some(Instant::now());
        let mut entries: Vec<Entry> =
            delivery.into_iter().map(|delivery| Entry::Delivery(Box::new(delivery))).collect();
        let counter = state.lines.get_mut(&endpoint.id);
        // The reader has to look where something waits for a time, or room was made for more.
        let mut rings =
            verdict != Some(Verdict::Delivered) || outcome != Outcome::Finished { next: Vec::new() };
        if let Some(counter) = counter.filter(|counter| counter.generation == generation) {
            let to_table = counter.line.finish(job, outcome);
            entries
                .extend(to_table.iter().map(|posted| Entry::Delivery(Box::new(fresh(&endpoint.id, posted)))));
            rings |= counter.is_hungry(self.office.n_grown.load(Ordering::SeqCst));
            let pause = verdict.and_then(|verdict| self.weigh(counter, verdict, now_ms));
            if let Some(reason) = pause {
                let (webhook, owner) = (endpoint.id.clone(), endpoint.owner.clone());
                entries.push(Entry::Pause { webhook, owner, reason, at_ms: now_ms });
                // Its place is written down with the entry, before it is forgotten here.
                state.leaving.push(counter.place());
                state.lines.remove(&endpoint.id);
            }
        }
        self.enter(state, entries);
        self.call_senders(state);
        if rings {
            self.office.bell.tell();
        }
    }

    /// What an attempt says about its endpoint; a reason where it is paused.
    fn weigh(&self, counter: &mut Counter, verdict: Verdict, now_ms: i64) -> Option<String> {
        if verdict == Verdict::Delivered {
            counter.line.succeeded();
            counter.failing_since_ms = None;
            return None;
        }
        if verdict == Verdict::Gone {
            return Some("the endpoint answered 410 Gone".to_owned());
        }
        let failures = counter.line.failed();
        let cool_ms = self.schedule.cool_ms(failures);
        if cool_ms > 0 {
            counter.line.cool(now_ms + cool_ms);
        }
        if let Verdict::Later { wait_ms, all: true } = verdict {
            counter.line.cool(now_ms + wait_ms);
        }
        let since_ms = *counter.failing_since_ms.get_or_insert(now_ms);
        let is_dead = now_ms - since_ms >= self.schedule.pause_after.as_millis() as i64 && failures > 1;
        is_dead.then(|| format!("every delivery failed since {}", crate::clock::rfc3339(since_ms)))
    }
}

/// Lets whoever writes go first where there are more threads than cores.
fn give_way() {
    // On Linux this is the priority of this thread alone; elsewhere it would be that of the process.
    #[cfg(target_os = "linux")]
    if let Err(error) = rustix::process::setpriority_process(None, SENDER_NICENESS) {
        tracing::debug!(%error, "a sender can't lower its priority");
    }
}

/// In [0, 1), the same for the same attempt: a run can be repeated.
fn chance(id: &str, attempts: u32) -> f64 {
    let hash = blake3::hash(format!("{id} {attempts}").as_bytes());
    let bytes: [u8; 4] = hash.as_bytes()[..4].try_into().expect("a hash has 32 bytes");
    f64::from(u32::from_le_bytes(bytes)) / (f64::from(u32::MAX) + 1.0)
}
