//! Remembering, recalling and conversations, in few tokens.

use serde::Serialize;
use serde_json::{Value, json};
use waypost_engine::api::{
    AppendMessages, MessageInput, RecallRequest, Recalled, RememberRequest, Session, Sources, ThreadRequest,
};

use super::arguments::{self, AppendMessage, AtPath, ReadThread, Recall, Remember};
use super::bound::{budget_bytes, cost, cut, keep_first};
use super::calls::terse_status;
use super::tools::Tool;
use crate::problem::Problem;

/// Bytes of JSON around what is counted.
const FRAME: usize = 160;

/// A memory, without what a model does not need.
#[derive(Debug, Serialize)]
struct Memory {
    text: String,
    path: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    lines: Option<(u32, u32)>,
    by: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    at: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    role: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    source: Vec<String>,
    score: f64,
}

/// A message, without what a model does not need.
#[derive(Debug, Serialize)]
struct Said {
    n: u64,
    role: String,
    text: String,
    by: String,
}

/// Runs a tool of memory.
///
/// # Errors
/// What its arguments or the engine refuse.
pub fn call(session: &Session, tool: Tool, arguments: Value) -> Result<Value, Problem> {
    match tool {
        Tool::AppendMessage => append(session, arguments::read(tool, arguments)?),
        Tool::Forget => {
            let arguments: AtPath = arguments::read(tool, arguments)?;
            let reply = session.forget(&arguments.path)?;
            Ok(json!({"path": reply.path, "seq": reply.seq}))
        }
        Tool::ReadThread => read_thread(session, arguments::read(tool, arguments)?),
        Tool::Recall => recall(session, arguments::read(tool, arguments)?),
        _ => remember(session, arguments::read(tool, arguments)?),
    }
}

fn append(session: &Session, arguments: AppendMessage) -> Result<Value, Problem> {
    let message = MessageInput { role: arguments.role, text: arguments.text, tokens: None };
    let request = AppendMessages {
        workspace: arguments.workspace,
        messages: vec![message],
        ..AppendMessages::default()
    };
    let reply = session.append_messages(&arguments.thread, &request)?;
    Ok(json!({"path": reply.path, "seq": reply.seq, "n": reply.last}))
}

fn read_thread(session: &Session, arguments: ReadThread) -> Result<Value, Problem> {
    let budget = budget_bytes(arguments.max_tokens)?.saturating_sub(FRAME);
    let request = ThreadRequest {
        workspace: arguments.workspace,
        agent: arguments.agent,
        limit: arguments.limit,
        ..ThreadRequest::default()
    };
    let reply = session.thread(&arguments.thread, &request)?;
    let newest_first = reply.messages.into_iter().rev();
    let mut said: Vec<Said> = newest_first
        .map(|message| Said { n: message.n, role: message.role, text: message.text, by: message.by })
        .collect();
    let left_out = reply.left_out + keep_first(&mut said, budget);
    let mut is_cut = false;
    if let [only] = said.as_mut_slice() {
        let over = cost(only).saturating_sub(budget);
        let room = cost(&only.text).saturating_sub(over + 2);
        let whole = only.text.len();
        cut(&mut only.text, room);
        is_cut = only.text.len() < whole;
    }
    said.reverse();
    let mut shown = json!({"messages": said, "left_out": left_out});
    if is_cut {
        shown["cut"] = json!(true);
    }
    Ok(shown)
}

fn remember(session: &Session, arguments: Remember) -> Result<Value, Problem> {
    let request = RememberRequest {
        text: arguments.text,
        workspace: arguments.workspace,
        topic: arguments.topic,
        source: Sources::Many(arguments.source.into_iter().collect()),
        expires_in_seconds: arguments.expires_in_seconds,
        supersedes: arguments.supersedes,
        ..RememberRequest::default()
    };
    let reply = session.remember(&request)?;
    let similar: Vec<Value> = reply
        .similar
        .into_iter()
        .map(|like| json!({"path": like.path, "quote": like.quote, "kind": like.kind, "score": rounded(like.score)}))
        .collect();
    let mut told = json!({
        "path": reply.path,
        "seq": reply.seq,
        "status": reply.status,
        "written": reply.written,
        "similar": similar,
    });
    if !reply.degraded.is_empty() {
        told["degraded"] = json!(reply.degraded);
    }
    Ok(told)
}

fn recall(session: &Session, arguments: Recall) -> Result<Value, Problem> {
    let budget = budget_bytes(arguments.max_tokens)?;
    let request = RecallRequest {
        query: arguments.query,
        workspace: arguments.workspace,
        agents: arguments.agents,
        topic: arguments.topic,
        thread: arguments.thread,
        limit: arguments.limit,
        wait_for_seq: arguments.wait_for_seq,
        ..RecallRequest::default()
    };
    let reply = session.recall(&request)?;
    let index = terse_status(&reply.index);
    let budget = budget.saturating_sub(FRAME + cost(&index));
    let mut memories: Vec<Memory> = reply.results.into_iter().map(terse).collect();
    let omitted = keep_first(&mut memories, budget);
    if let [only] = memories.as_mut_slice() {
        let over = cost(only).saturating_sub(budget);
        let room = cost(&only.text).saturating_sub(over + 2);
        cut(&mut only.text, room);
    }
    let mut shown = json!({"memories": memories, "index": index});
    if omitted > 0 {
        shown["omitted"] = json!(omitted);
    }
    Ok(shown)
}

fn terse(recalled: Recalled) -> Memory {
    Memory {
        text: recalled.text,
        path: recalled.citation.path,
        lines: recalled.citation.lines,
        by: recalled.by,
        at: recalled.at,
        role: recalled.role,
        source: recalled.source,
        score: rounded(recalled.score),
    }
}

fn rounded(score: f32) -> f64 {
    (f64::from(score) * 1e3).round() / 1e3
}
