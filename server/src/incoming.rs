//! Takes a request, holds its body and its answer to their times and its size: whoever sends nothing for long, or says itself
//! that too much will come, is refused at once, and an upload that goes on may take longer than an answer may.
//!
//! Noun: `Times`. Bodies are looked at as they pass; none is read here.

use std::future::{pending, poll_fn};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, Bytes, HttpBody};
use axum::extract::Request;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use hyper::body::{Frame, SizeHint};
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until, timeout};

use crate::problem::Problem;
use crate::serve::{MAX_FILE_BODY_BYTES, REQUEST_TIMEOUT};

/// How long each part of a request may take.
#[derive(Debug, Clone, Copy)]
struct Times {
    /// Without a byte of the body that is waited for.
    idle: Duration,
    /// Until the body is whole.
    body: Duration,
    /// From then on until the answer begins; without one it takes as long as it takes.
    answer: Option<Duration>,
}

const TIMES: Times = Times {
    idle: Duration::from_secs(20),
    body: Duration::from_secs(10 * 60),
    answer: Some(REQUEST_TIMEOUT),
};

/// How long what still comes of a refused body is taken.
const LINGER: Duration = Duration::from_secs(2);

/// How far a body has come.
#[derive(Debug, Clone, Copy)]
enum Coming {
    /// Nobody has asked for what comes next.
    Unasked(Instant),
    /// It is waited for, since then.
    Awaited(Instant),
    /// All of it is there, or nobody wants the rest.
    Done(Instant),
}

/// Refuses what can't be read, and answers for whoever is late.
pub async fn layer(request: Request, next: Next) -> Response {
    if let Err(problem) = readable(request.headers()) {
        linger(request.into_body());
        return problem.into_response();
    }
    // A tool's call has a time of its own, which its server's settings give it, and an import has one of its own as well; a backup takes
    // as long as the home is large.
    let path = request.uri().path();
    let takes_its_time = matches!(path, "/v1/import" | "/v1/backup")
        || (path.starts_with("/v1/tools/") && path.ends_with("/call"));
    let answer = TIMES.answer.filter(|_| !takes_its_time);
    let (request, coming) = watched(request);
    tokio::select! {
        response = next.run(request) => response,
        problem = late(coming, Times { answer, ..TIMES }) => problem.into_response(),
    }
}

/// Whether a body's own length is within a limit.
///
/// # Errors
/// `too_large`.
pub fn fits(headers: &HeaderMap, limit: usize) -> Result<(), Problem> {
    let length = headers.get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok());
    // What is no number never comes so far.
    let length: Option<u64> = length.and_then(|length| length.parse().ok());
    if length.is_some_and(|length| length > limit as u64) { Err(Problem::too_large(limit)) } else { Ok(()) }
}

/// Takes what still comes of a body that was refused, for a while: a client that is cut off in the middle of sending often never reads
/// why.
pub fn linger(mut body: Body) {
    tokio::spawn(async move {
        let drained = async {
            while let Some(Ok(_)) = poll_fn(|context| Pin::new(&mut body).poll_frame(context)).await {}
        };
        let _ = timeout(LINGER, drained).await;
    });
}

/// RFC 9110, section 8.4: what is packed would be taken for what it is not.
fn readable(headers: &HeaderMap) -> Result<(), Problem> {
    fits(headers, MAX_FILE_BODY_BYTES)?;
    let mut codings = headers.get_all(header::CONTENT_ENCODING).iter();
    if codings.all(|coding| coding.is_empty() || coding.as_bytes().eq_ignore_ascii_case(b"identity")) {
        return Ok(());
    }
    let detail = "the body has a `Content-Encoding`: expected it as it is, without one";
    let problem = Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported_type", detail);
    Err(problem.header(header::ACCEPT_ENCODING, HeaderValue::from_static("identity")))
}

/// A request whose body tells how far it has come.
fn watched(request: Request) -> (Request, watch::Receiver<Coming>) {
    let now = Instant::now();
    if request.body().is_end_stream() {
        return (request, watch::channel(Coming::Done(now)).1);
    }
    let (tell, told) = watch::channel(Coming::Unasked(now));
    (request.map(|inner| Body::new(Watched { inner, tell })), told)
}

/// Ready once the request has taken too long.
async fn late(mut coming: watch::Receiver<Coming>, times: Times) -> Problem {
    let began = Instant::now();
    loop {
        let seen = *coming.borrow_and_update();
        let deadline = match seen {
            Coming::Unasked(since) | Coming::Done(since) => times.answer.map(|answer| since + answer),
            Coming::Awaited(since) => Some((since + times.idle).min(began + times.body)),
        };
        tokio::select! {
            () = moved(&mut coming) => {}
            () = reached(deadline) => return match seen {
                Coming::Awaited(_) => Problem::body_timeout(),
                Coming::Unasked(_) | Coming::Done(_) => Problem::timeout(),
            },
        }
    }
}

/// Ready once the body is elsewhere; never, where it is gone.
async fn moved(coming: &mut watch::Receiver<Coming>) {
    if coming.changed().await.is_err() {
        pending().await
    }
}

async fn reached(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => sleep_until(deadline).await,
        None => pending().await,
    }
}

/// A body that tells how far it has come.
struct Watched {
    inner: Body,
    tell: watch::Sender<Coming>,
}

impl HttpBody for Watched {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let polled = Pin::new(&mut self.inner).poll_frame(context);
        let now = Instant::now();
        self.tell.send_if_modified(|coming| {
            let next = match (&polled, *coming) {
                // It is waited for since the first time that there was nothing.
                (Poll::Pending, Coming::Awaited(_)) => return false,
                (Poll::Pending, _) => Coming::Awaited(now),
                (Poll::Ready(Some(Ok(_))), _) => Coming::Unasked(now),
                (Poll::Ready(_), _) => Coming::Done(now),
            };
            *coming = next;
            true
        });
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        self.tell.send_replace(Coming::Done(Instant::now()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const QUICK: Times = Times {
        idle: Duration::from_millis(400),
        body: Duration::from_secs(60),
        answer: Some(Duration::from_millis(500)),
    };

    fn at(coming: Coming) -> (watch::Sender<Coming>, impl Future<Output = Problem>) {
        let (tell, told) = watch::channel(coming);
        (tell, late(told, QUICK))
    }

    #[tokio::test]
    async fn a_body_that_stalls_is_told_apart_from_an_answer_that_takes_long() {
        let now = Instant::now();
        let (_open, stalled) = at(Coming::Awaited(now));
        assert_eq!(stalled.await.code, "body_timeout");
        let (_open, slow) = at(Coming::Done(now));
        assert_eq!(slow.await.code, "timeout");
        // A body that nobody reads any more is no reason to wait less, or for ever.
        let (gone, slow) = at(Coming::Done(now));
        drop(gone);
        assert_eq!(slow.await.code, "timeout");
    }

    #[tokio::test]
    async fn a_body_that_goes_on_is_waited_for() {
        let began = Instant::now();
        let (tell, late) = at(Coming::Awaited(began));
        let goes_on = async {
            for _ in 0..12 {
                tokio::time::sleep(Duration::from_millis(50)).await;
                tell.send_replace(Coming::Awaited(Instant::now()));
            }
            std::future::pending::<()>().await;
        };
        tokio::select! {
            problem = late => assert_eq!(problem.code, "body_timeout"),
            () = goes_on => {}
        }
        assert!(began.elapsed() > Duration::from_millis(700), "{:?}", began.elapsed());
    }

    #[test]
    fn a_length_or_a_coding_that_will_not_do_is_refused_at_once() {
        let check = |name: header::HeaderName, value: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(name, HeaderValue::from_static(value));
            readable(&headers).err().map(|problem| problem.code)
        };
        assert_eq!(check(header::CONTENT_LENGTH, "99999999999"), Some("too_large"));
        assert_eq!(check(header::CONTENT_LENGTH, "12"), None);
        assert_eq!(check(header::CONTENT_ENCODING, "gzip"), Some("unsupported_type"));
        assert_eq!(check(header::CONTENT_ENCODING, "Identity"), None);
    }
}
