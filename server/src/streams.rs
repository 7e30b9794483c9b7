//! Takes an answer that is a stream, and ends it soon after the token that it was asked with has ended, or the sign-in.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use axum::body::{Body, Bytes, HttpBody};
use axum::http::header;
use axum::response::Response;
use hyper::body::Frame;
use tokio::sync::{mpsc, oneshot};

use crate::auth::TokenId;
use crate::console::sign::Signed;
use crate::serve::App;

/// Of server-sent events; they are UTF-8 in any case, which not every program knows.
pub const EVENT_STREAM: &str = "text/event-stream; charset=utf-8";
/// How often a stream's token is looked at.
const LOOK: Duration = Duration::from_secs(1);

/// Gives other answers back as they are.
pub fn bound_to_token(
    app: &Arc<App>,
    token: &TokenId,
    signed: Option<Signed>,
    response: Response,
) -> Response {
    if !is_stream(&response) {
        return response;
    }
    let (ended, end) = oneshot::channel();
    let (app, token) = (Arc::clone(app), token.clone());
    tokio::spawn(async move {
        let mut looks = tokio::time::interval(LOOK);
        let mut ended = ended;
        loop {
            tokio::select! {
                // The stream ended by itself.
                () = ended.closed() => return,
                _ = looks.tick() => {}
            }
            if signed.as_ref().is_some_and(|signed| !app.sign.is_open(signed, Instant::now())) {
                let _ = ended.send(());
                return;
            }
            let (engine, id) = (Arc::clone(&app.engine), token.as_str().to_owned());
            let alive = app.tokens.run(move || engine.is_token_alive(&id)).await;
            // A catalog that can't be read now tells nothing; the next look will.
            if matches!(alive, Ok(false)) {
                let _ = ended.send(());
                return;
            }
        }
    });
    response.map(|inner| Body::new(Until { inner, end: Some(end) }))
}

/// Leaves out the event without data that a stream may begin with, for clients that expect a message in each.
pub fn without_priming(response: Response) -> Response {
    if !is_stream(&response) {
        return response;
    }
    response.map(|inner| Body::new(Unprimed { inner, has_begun: false }))
}

fn is_stream(response: &Response) -> bool {
    let kind = response.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    kind.is_some_and(|kind| kind.starts_with("text/event-stream"))
}

/// A stream whose first event is looked at.
struct Unprimed {
    inner: Body,
    has_begun: bool,
}

impl HttpBody for Unprimed {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<NextFrame>> {
        loop {
            let frame = std::task::ready!(Pin::new(&mut self.inner).poll_frame(context));
            if self.has_begun {
                return Poll::Ready(frame);
            }
            let Some(Ok(frame)) = frame else { return Poll::Ready(frame) };
            self.has_begun = true;
            match frame.into_data() {
                Ok(data) => {
                    let rest = data.slice(priming_len(&data)..);
                    if !rest.is_empty() {
                        return Poll::Ready(Some(Ok(Frame::data(rest))));
                    }
                }
                Err(frame) => return Poll::Ready(Some(Ok(frame))),
            }
        }
    }
}

/// Bytes of a first event that says nothing; 0 where it says something.
fn priming_len(data: &[u8]) -> usize {
    let Some(end) = data.windows(2).position(|pair| pair == b"\n\n") else { return 0 };
    let mut lines = data[..end].split(|byte| *byte == b'\n');
    let says_nothing = lines
        .all(|line| line.trim_ascii() == b"data:" || line.starts_with(b"id:") || line.starts_with(b"retry:"));
    if says_nothing { end + 2 } else { 0 }
}

/// What a body gives next.
type NextFrame = Result<Frame<Bytes>, axum::Error>;

/// Pieces of a body, as they come over a channel.
pub struct Pieces(pub mpsc::Receiver<Bytes>);

impl futures_core::Stream for Pieces {
    type Item = Result<Bytes, Infallible>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.0.poll_recv(context).map(|piece| piece.map(Ok))
    }
}

/// A body that ends early once it is told to.
struct Until {
    inner: Body,
    end: Option<oneshot::Receiver<()>>,
}

impl HttpBody for Until {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<NextFrame>> {
        let is_over = match &mut self.end {
            None => true,
            // An end that is dropped without a word is no end.
            Some(end) => matches!(Pin::new(end).poll(context), Poll::Ready(Ok(()))),
        };
        if is_over {
            self.end = None;
            return Poll::Ready(None);
        }
        Pin::new(&mut self.inner).poll_frame(context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_event_that_says_nothing_is_left_out() {
        for (data, expected) in [
            ("id: 0\nretry: 3000\ndata: \n\n", 26),
            ("data:\nid: 0\n\nevent: message\ndata: {}\n\n", 13),
            ("data: {}\n\n", 0),
            ("event: message\ndata: {}\n\n", 0),
            ("id: 0\ndata: ", 0),
            (": still here\n\n", 0),
        ] {
            assert_eq!(priming_len(data.as_bytes()), expected, "{data:?}");
        }
    }
}
