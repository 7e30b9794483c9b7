//! Takes an answer that is a stream, and ends it soon after the token that it was asked with has ended, or the sign-in.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use axum::body::{Body, Bytes, HttpBody};
use axum::http::header;
use axum::response::Response;
use tokio::sync::{mpsc, oneshot};

use crate::auth::TokenId;
use crate::console::sign::Signed;
use crate::serve::App;

/// How often a stream's token is looked at.
const LOOK: Duration = Duration::from_secs(1);

/// Gives other answers back as they are.
pub fn bound_to_token(
    app: &Arc<App>,
    token: &TokenId,
    signed: Option<Signed>,
    response: Response,
) -> Response {
    let kind = response.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    if !kind.is_some_and(|kind| kind.starts_with("text/event-stream")) {
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

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<hyper::body::Frame<Bytes>, axum::Error>>> {
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
