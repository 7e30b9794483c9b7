use std::io::{self, Write};
use std::sync::Arc;

use axum::Extension;
use axum::body::{Body as HttpBody, Bytes};
use axum::extract::State;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use tokio::sync::{mpsc, oneshot};
use waypost_engine::api::Session;

use super::extract::{NoParams, Params};
use crate::problem::Problem;
use crate::serve::App;

/// Bytes of one piece of the answer.
const PIECE_BYTES: usize = 256 << 10;
/// Pieces on their way to the client; a slow one holds up the archive, and nobody else.
const PIECES: usize = 4;

/// `POST /v1/backup`: the whole home as a tar. An answer that breaks off is known as such: its list comes last.
pub async fn backup(
    State(app): State<Arc<App>>,
    Extension(session): Extension<Session>,
    Params(NoParams {}): Params<NoParams>,
) -> Result<Response, Problem> {
    let (pieces, received) = mpsc::channel(PIECES);
    let (tell, told) = oneshot::channel();
    let bridge = app.imports.clone();
    tokio::spawn(async move { bridge.run(move || make(&session, tell, pieces)).await });
    // A refusal is an answer; what comes later can only break the answer off. No word at all: there was no place.
    told.await.map_err(|_| Problem::busy())??;
    let mut response = HttpBody::from_stream(Received(received)).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/x-tar"));
    headers.insert(
        header::CONTENT_DISPOSITION,
        HeaderValue::from_static("attachment; filename=\"waypost-backup.tar\""),
    );
    Ok(response)
}

type Piece = Result<Bytes, io::Error>;

fn make(
    session: &Session,
    tell: oneshot::Sender<Result<(), Problem>>,
    pieces: mpsc::Sender<Piece>,
) -> Result<(), Problem> {
    let begun = match session.begin_backup() {
        Ok(begun) => begun,
        Err(error) => {
            drop(tell.send(Err(error.into())));
            return Ok(());
        }
    };
    if tell.send(Ok(())).is_err() {
        return Ok(());
    }
    let mut pipe = Pipe { pieces, waiting: Vec::with_capacity(PIECE_BYTES) };
    if let Err(error) = begun.write(&mut pipe) {
        tracing::warn!(%error, "a backup ended before it was whole");
        drop(pipe.pieces.blocking_send(Err(io::Error::other("the backup ended before it was whole"))));
    }
    Ok(())
}

/// Writes into the answer.
struct Pipe {
    pieces: mpsc::Sender<Piece>,
    waiting: Vec<u8>,
}

impl Pipe {
    fn send(&mut self) -> io::Result<()> {
        let piece = std::mem::replace(&mut self.waiting, Vec::with_capacity(PIECE_BYTES));
        self.pieces
            .blocking_send(Ok(Bytes::from(piece)))
            .map_err(|_| io::Error::new(io::ErrorKind::BrokenPipe, "the client has hung up"))
    }
}

impl Write for Pipe {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.waiting.extend_from_slice(bytes);
        if self.waiting.len() >= PIECE_BYTES {
            self.send()?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.waiting.is_empty() { Ok(()) } else { self.send() }
    }
}

/// The pieces as a stream.
struct Received(mpsc::Receiver<Piece>);

impl futures_core::Stream for Received {
    type Item = Piece;

    fn poll_next(
        mut self: std::pin::Pin<&mut Self>,
        context: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Self::Item>> {
        self.0.poll_recv(context)
    }
}
