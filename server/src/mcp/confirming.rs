//! Asks the person at the client before a call goes through a gate that only a person may pass.
//!
//! Takes a call of a principal with `approve` on what it changes: a model drives it, and the grant was meant for the
//! person behind it. Gives leave, a refusal, or the question. A client of the older era is asked in between (MCP
//! 2025-11-25, elicitation), one of the newer era gets the question as its answer and calls again with what it heard
//! (2026-07-28, multi round-trip requests). A client that can't ask is not asked: then the grant alone counts.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use rmcp::RoleServer;
use rmcp::model::{ErrorData, InputRequiredResult, InputResponses, ProtocolVersion, ServerRequest};
use rmcp::service::RequestContext;
use serde_json::{Value, json};
use tokio::time::timeout;
use waypost_engine::access::Verb;
use waypost_engine::api::Session;
use waypost_engine::id::VersionId;

use super::Server;
use super::tools::Tool;
use crate::problem::Problem;

/// How long a person may take.
const PATIENCE: Duration = Duration::from_secs(300);
/// Questions that wait for their answers at once; the oldest goes first.
const MAX_ASKED: usize = 1024;
/// The question's name in a round of the newer era.
const QUESTION: &str = "confirm";

/// What a call may do.
pub enum Leave {
    /// Go on.
    Given,
    /// Ask first, and call again.
    Ask(Box<InputRequiredResult>),
    /// Nothing.
    Refused(Problem),
}

/// What a client of the newer era brings along with a call.
pub struct Round {
    /// What was answered.
    pub responses: Option<InputResponses>,
    /// Of which question.
    pub state: Option<String>,
}

/// Questions of the newer era that were not answered yet, by their state. A restart forgets them: they are asked again.
#[derive(Default)]
pub struct Questions(Mutex<HashMap<String, Asked>>);

struct Asked {
    /// Who asked for what.
    call: VersionId,
    at: Instant,
}

impl Questions {
    fn ask(&self, call: VersionId) -> String {
        let mut random = [0u8; 16];
        getrandom::fill(&mut random).expect("the operating system gives random numbers");
        let state = VersionId::of(&random).to_string();
        let mut asked = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        asked.retain(|_, asked| asked.at.elapsed() < PATIENCE);
        if asked.len() >= MAX_ASKED {
            let oldest = asked.iter().min_by_key(|(_, asked)| asked.at).map(|(state, _)| state.clone());
            oldest.map(|oldest| asked.remove(&oldest));
        }
        asked.insert(state.clone(), Asked { call, at: Instant::now() });
        state
    }

    /// Whether this call was asked about under this state. It counts once.
    fn take(&self, state: &str, call: VersionId) -> bool {
        let mut asked = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        asked.remove(state).is_some_and(|asked| asked.call == call && asked.at.elapsed() < PATIENCE)
    }
}

impl Server {
    /// Whether a call may go on.
    ///
    /// # Errors
    /// For a state that is not of this call.
    pub(super) async fn leave(
        &self,
        session: &Session,
        (tool, arguments): (Tool, &Value),
        round: Round,
        context: &RequestContext<RoleServer>,
    ) -> Result<Leave, ErrorData> {
        let Some((verb, path)) = self.gate_before(session, tool, arguments).await? else {
            return if round.state.is_none() { Ok(Leave::Given) } else { Err(not_ours()) };
        };
        if context.client_capabilities().is_none_or(|can| can.elicitation.is_none()) {
            return Ok(Leave::Given);
        }
        let question = question(tool, &path);
        let is_newer = context
            .protocol_version()
            .is_some_and(|version| version.as_str() >= ProtocolVersion::V_2026_07_28.as_str());
        let answer = if is_newer {
            let call = call_of(session, tool, arguments);
            let Some(state) = round.state else {
                return Ok(Leave::Ask(Box::new(self.asked(question, call)?)));
            };
            if !self.questions.take(&state, call) {
                return Err(not_ours());
            }
            round.responses.and_then(|responses| responses.get(QUESTION).cloned())
        } else {
            ask_between(question, context).await?
        };
        if answer.is_some_and(|answer| lets_through(&answer)) {
            return Ok(Leave::Given);
        }
        let (session, shown) = (session.clone(), path.clone());
        self.run(move || Ok(session.note_declined(verb, &shown)?)).await?;
        Ok(Leave::Refused(Problem::declined(&path)))
    }

    async fn gate_before(
        &self,
        session: &Session,
        tool: Tool,
        arguments: &Value,
    ) -> Result<Option<(Verb, String)>, ErrorData> {
        let sites = sites(tool, arguments);
        if sites.is_empty() {
            return Ok(None);
        }
        let session = session.clone();
        self.run(move || Ok(sites.into_iter().find(|(verb, path)| session.opens_gate(*verb, path)))).await
    }

    fn asked(&self, question: Value, call: VersionId) -> Result<InputRequiredResult, ErrorData> {
        let asked = json!({
            "resultType": "input_required",
            "inputRequests": {QUESTION: question},
            "requestState": self.questions.ask(call),
        });
        serde_json::from_value(asked).map_err(|error| ErrorData::internal_error(error.to_string(), None))
    }
}

/// What a call would change, as far as a gate may stand before it.
fn sites(tool: Tool, arguments: &Value) -> Vec<(Verb, String)> {
    let of = |verb: Verb, name: &str| arguments[name].as_str().map(|path| (verb, path.to_owned()));
    let found = match tool {
        Tool::WriteFile | Tool::EditFile | Tool::RestoreVersion | Tool::UrlImport => {
            [of(Verb::Write, "path"), None]
        }
        Tool::DeleteFile => [of(Verb::Delete, "path"), None],
        Tool::CopyFile => [of(Verb::Write, "destination"), None],
        Tool::MoveFile => [of(Verb::Write, "destination"), of(Verb::Delete, "source")],
        _ => [None, None],
    };
    found.into_iter().flatten().collect()
}

/// Another principal, token, tool or argument is another call.
fn call_of(session: &Session, tool: Tool, arguments: &Value) -> VersionId {
    let call = json!([session.principal_id(), session.token_id(), tool.name(), arguments]);
    VersionId::of(call.to_string().as_bytes())
}

/// The path is shown as JSON, so that no sign in it can play another part.
fn question(tool: Tool, path: &str) -> Value {
    let path: String = json!(path).to_string().chars().flat_map(shown).collect();
    json!({
        "method": "elicitation/create",
        "params": {
            "mode": "form",
            "message": format!("A gate stands before {path}: a person decides. Let this `{}` through?", tool.name()),
            "requestedSchema": {
                "type": "object",
                "properties": {"let_through": {"type": "boolean", "title": "Let it through"}},
                "required": ["let_through"],
            },
        },
    })
}

/// Signs that change how others are read are written out.
fn shown(sign: char) -> Vec<char> {
    if sign == ' ' || sign.is_alphanumeric() || sign.is_ascii_graphic() {
        vec![sign]
    } else {
        sign.escape_unicode().collect()
    }
}

async fn ask_between(
    question: Value,
    context: &RequestContext<RoleServer>,
) -> Result<Option<Value>, ErrorData> {
    let request: ServerRequest = serde_json::from_value(question)
        .map_err(|error| ErrorData::internal_error(error.to_string(), None))?;
    let asked = tokio::select! {
        asked = timeout(PATIENCE, context.peer.send_request(request)) => asked,
        () = context.ct.cancelled() => return Ok(None),
    };
    // Who can't be asked after all, or does not answer, lets nothing through.
    Ok(asked.ok().and_then(Result::ok).map(|answer| json!(answer)))
}

fn lets_through(answer: &Value) -> bool {
    answer["action"] == "accept" && answer["content"]["let_through"] == true
}

fn not_ours() -> ErrorData {
    ErrorData::invalid_params(
        "this `requestState` belongs to no question about this call: call without it",
        None,
    )
}
