//! One call, from the decision about it to its end.

use std::sync::Arc;
use std::time::Duration;

use rmcp::RoleClient;
use rmcp::model::{CallToolRequest, CallToolRequestParams, ClientRequest, RequestMetaObject, ServerResult};
use rmcp::service::{PeerRequestOptions, RequestHandle, ServiceError};
use serde_json::Value;
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout, timeout_at};
use tokio_util::sync::CancellationToken;
use tracing::Instrument;
use waypost_engine::api::{CallOptions, CallOutcome, CallReply, PendingCall, Session};

use super::Upstreams;
use super::line::Line;
use crate::blocking::Bridge;
use crate::problem::Problem;
use crate::spans;

/// Until the word that a call is over must have left us.
const CANCEL_PATIENCE: Duration = Duration::from_secs(2);

/// What is to be called.
#[derive(Debug)]
pub struct Call {
    /// Its id, such as `git.push`.
    pub tool: String,
    /// An object.
    pub arguments: Value,
    /// How.
    pub options: CallOptions,
    /// Who is told how far it is.
    pub progress: Option<mpsc::Sender<Progress>>,
}

/// How far a call is.
#[derive(Debug, Clone, PartialEq)]
pub struct Progress {
    /// So much is done.
    pub progress: f64,
    /// Of so much.
    pub total: Option<f64>,
    /// In the server's words.
    pub message: Option<String>,
}

impl Upstreams {
    /// Makes a call in the name of a session. Where this is dropped, the call is cancelled at its server; it is ended in
    /// the engine either way.
    ///
    /// # Errors
    /// What the engine says of the beginning or the end of the call.
    pub async fn call(
        self: &Arc<Self>,
        bridge: Bridge,
        session: Session,
        call: Call,
    ) -> Result<CallReply, Problem> {
        let cancel = CancellationToken::new();
        let guard = cancel.clone().drop_guard();
        let this = Arc::clone(self);
        let made = async move { this.make(bridge, session, call, cancel).await };
        let task = tokio::spawn(made.in_current_span());
        let reply = task.await.unwrap_or_else(|error| {
            tracing::error!(%error, "a call of a tool panicked");
            Err(Problem::internal())
        });
        guard.disarm();
        reply
    }

    async fn make(
        &self,
        bridge: Bridge,
        session: Session,
        call: Call,
        cancel: CancellationToken,
    ) -> Result<CallReply, Problem> {
        let Call { tool, arguments, options, progress } = call;
        let asker = session.clone();
        let pending = bridge.run(move || asker.begin_call(&tool, arguments, &options)).await?;
        let line = self.lines.get(&pending.server).cloned();
        let outcome = match line {
            Some(line) => perform(&line, &pending, progress, &cancel).await,
            None => CallOutcome::Unavailable,
        };
        self.bridge.run(move || session.end_call(pending, outcome)).await
    }

    /// The engine whose tools these are.
    pub fn engine(&self) -> &Arc<waypost_engine::api::Engine> {
        &self.engine
    }
}

/// Sends a call to its server, and waits for what comes first: the answer, the end of its time, or of its caller.
async fn perform(
    line: &Line,
    call: &PendingCall,
    progress: Option<mpsc::Sender<Progress>>,
    cancel: &CancellationToken,
) -> CallOutcome {
    let deadline = Instant::now() + call.timeout;
    let Some(connected) = line.connected() else { return CallOutcome::Unavailable };
    let sent = async {
        let place = line.places.acquire().await.ok();
        let options = PeerRequestOptions::no_options();
        let handle = connected.peer.send_cancellable_request(request(call), options).await;
        (place, handle)
    };
    let (_place, mut handle) = tokio::select! {
        () = cancel.cancelled() => return CallOutcome::Cancelled,
        sent = timeout_at(deadline, sent) => match sent {
            Err(_) => return CallOutcome::TimedOut,
            Ok((_, Err(error))) => return failed(error),
            Ok((place, Ok(handle))) => (place, handle),
        },
    };
    let _listening = progress.map(|sender| connected.listeners.listen(handle.progress_token.clone(), sender));
    tokio::select! {
        answer = &mut handle.rx => match answer {
            Ok(Ok(result)) => answered(result),
            Ok(Err(error)) => failed(error),
            Err(_) => failed(ServiceError::TransportClosed),
        },
        () = tokio::time::sleep_until(deadline) => {
            tell_cancelled(handle, "its time is over").await;
            CallOutcome::TimedOut
        }
        () = cancel.cancelled() => {
            tell_cancelled(handle, "who called does not wait any more").await;
            CallOutcome::Cancelled
        }
    }
}

/// Nothing of the caller but the arguments, and which span of ours this is a part of, where spans are sent.
fn request(call: &PendingCall) -> ClientRequest {
    let arguments = call.arguments.as_object().cloned().unwrap_or_default();
    let mut params = CallToolRequestParams::new(call.name.clone()).with_arguments(arguments);
    if let Some(parent) = spans::traceparent() {
        let mut meta = RequestMetaObject::new();
        meta.0.set_traceparent(parent);
        params.meta = Some(meta);
    }
    ClientRequest::CallToolRequest(CallToolRequest::new(params))
}

async fn tell_cancelled(handle: RequestHandle<RoleClient>, reason: &str) {
    let told = timeout(CANCEL_PATIENCE, handle.cancel(Some(reason.to_owned()))).await;
    if !matches!(told, Ok(Ok(()))) {
        tracing::debug!("a server could not be told that a call is over");
    }
}

fn answered(result: ServerResult) -> CallOutcome {
    let answer = match result {
        ServerResult::CallToolResult(answer) => answer,
        ServerResult::EmptyResult(_) => {
            return CallOutcome::Answered { content: Vec::new(), structured: None, is_error: false };
        }
        ServerResult::InputRequiredResult(_) => {
            return CallOutcome::Failed("it asks its caller something, which can't be passed on".to_owned());
        }
        ServerResult::CreateTaskResult(_) => {
            return CallOutcome::Failed("it answers with a task, which can't be passed on".to_owned());
        }
        _ => return CallOutcome::Failed("its answer is no result of a tool".to_owned()),
    };
    CallOutcome::Answered {
        content: answer.content.iter().filter_map(|block| serde_json::to_value(block).ok()).collect(),
        structured: answer.structured_content,
        is_error: answer.is_error.unwrap_or(false),
    }
}

fn failed(error: ServiceError) -> CallOutcome {
    match error {
        ServiceError::McpError(error) => CallOutcome::Failed(error.message.into_owned()),
        ServiceError::TransportClosed | ServiceError::TransportSend(_) => {
            CallOutcome::Failed("the connection to it broke off".to_owned())
        }
        ServiceError::Cancelled { .. } => CallOutcome::Failed("it cancelled the call".to_owned()),
        _ => CallOutcome::Failed("its answer can't be read".to_owned()),
    }
}
