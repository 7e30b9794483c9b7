//! Finding and calling tools of other servers.

use rmcp::RoleServer;
use rmcp::model::{CallToolResult, ContentBlock, ProgressNotificationParam};
use rmcp::service::RequestContext;
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tracing::Instrument;
use waypost_engine::api::{CallOptions, CallReply, Session, ToolDocument};

use super::arguments::{self, FindTools};
use super::bound::{budget_bytes, cost, cut, keep_first};
use super::refusals::refusal;
use super::tools::Tool;
use super::{Server, Toolsets, traced};
use crate::problem::Problem;
use crate::upstream::{Call, Progress};

const DEFAULT_FOUND: usize = 10;
const MAX_FOUND: usize = 100;
/// Bytes of JSON around what is counted.
const FRAME: usize = 160;
/// Steps of progress that wait for a client at most.
const MAX_PROGRESS: usize = 16;

/// Tools that a query is about. What servers say of them stands in data alone.
pub fn find(session: &Session, arguments: &FindTools) -> Result<Value, Problem> {
    let budget = budget_bytes(arguments.max_tokens)?.saturating_sub(FRAME);
    let limit = arguments.limit.unwrap_or(DEFAULT_FOUND);
    if !(1..=MAX_FOUND).contains(&limit) {
        return Err(Problem::invalid(format!("`limit` is {limit}: expected 1 to {MAX_FOUND}")));
    }
    let mut tools = session.find_tools(&arguments.query, limit)?;
    let omitted = keep_first(&mut tools, budget);
    if let [only] = tools.as_mut_slice() {
        shorten(only, budget);
    }
    let mut shown = json!({"tools": tools});
    if omitted > 0 {
        shown["omitted"] = json!(omitted);
    }
    Ok(shown)
}

/// Cuts what its server says of a tool, so that the first of them fits always.
fn shorten(tool: &mut ToolDocument, budget: usize) {
    let over = cost(tool).saturating_sub(budget);
    let room = cost(&tool.description).saturating_sub(over + 2);
    cut(&mut tool.description, room);
    if cost(tool) > budget {
        tool.examples.clear();
        tool.arguments.iter_mut().for_each(|argument| argument.description.clear());
    }
    while cost(tool) > budget && tool.arguments.pop().is_some() {}
}

impl Server {
    /// `call_tool`: the answer as data, within `max_tokens`.
    pub(super) async fn call_upstream(
        &self,
        (session, toolsets): (Session, Toolsets),
        arguments: Value,
        context: &RequestContext<RoleServer>,
    ) -> CallToolResult {
        let asker = session.clone();
        let reply = async {
            let arguments: arguments::CallTool = arguments::read(Tool::CallTool, arguments)?;
            let budget = budget_bytes(arguments.max_tokens)?.saturating_sub(FRAME);
            let options = CallOptions::default().max_bytes(Some(budget));
            let (session, span) = traced::call(session, Tool::CallTool.name(), context);
            let call = (arguments.tool, Value::Object(arguments.arguments), options);
            self.make_call(session, call, context).instrument(span).await
        };
        let reply = reply.await;
        if let Some(app) = self.asker.app() {
            app.telemetry.tool_call(Tool::CallTool.name(), reply.is_err());
        }
        match reply {
            Ok(reply) => CallToolResult::structured(terse(reply)),
            Err(problem) => refusal(&problem, &asker, toolsets),
        }
    }

    /// A pinned tool: the answer as the tool gives it.
    pub(super) async fn call_pinned(
        &self,
        (session, toolsets): (Session, Toolsets),
        name: &str,
        arguments: Value,
        context: &RequestContext<RoleServer>,
    ) -> CallToolResult {
        let asker = session.clone();
        let (session, span) = traced::call(session, name, context);
        let call = (name.to_owned(), arguments, CallOptions::default());
        match self.make_call(session, call, context).instrument(span).await {
            Ok(reply) => native(reply),
            Err(problem) => refusal(&problem, &asker, toolsets),
        }
    }

    async fn make_call(
        &self,
        session: Session,
        (tool, arguments, options): (String, Value, CallOptions),
        context: &RequestContext<RoleServer>,
    ) -> Result<CallReply, Problem> {
        let call = Call { tool, arguments, options, progress: pass_on(context) };
        let call = self.asker.upstreams().call(self.asker.bridge().clone(), session, call);
        tokio::select! {
            reply = call => reply,
            // What is dropped is cancelled at its server.
            () = context.ct.cancelled() => Err(Problem::timeout()),
        }
    }
}

/// Passes progress on to a client that asked for it; strictly rising, as the protocol wants it.
fn pass_on(context: &RequestContext<RoleServer>) -> Option<mpsc::Sender<Progress>> {
    let token = context.meta.get_progress_token()?;
    let peer = context.peer.clone();
    let (sender, mut steps) = mpsc::channel::<Progress>(MAX_PROGRESS);
    tokio::spawn(async move {
        let mut last = f64::NEG_INFINITY;
        while let Some(step) = steps.recv().await {
            if step.progress <= last {
                continue;
            }
            last = step.progress;
            let mut params = ProgressNotificationParam::new(token.clone(), step.progress);
            params.total = step.total;
            params.message = step.message;
            if peer.notify_progress(params).await.is_err() {
                return;
            }
        }
    });
    Some(sender)
}

/// What is as it should be needs no words.
fn terse(reply: CallReply) -> Value {
    let mut shown = json!({"content": reply.content, "is_error": reply.is_error, "took_ms": reply.took_ms});
    if let Some(structured) = reply.structured {
        shown["structured"] = structured;
    }
    if reply.truncated {
        shown["truncated"] = json!(true);
    }
    if !reply.warnings.is_empty() {
        shown["warnings"] = json!(reply.warnings);
    }
    if let Some(usage) = reply.usage {
        shown["usage"] = json!(usage);
    }
    shown
}

fn native(reply: CallReply) -> CallToolResult {
    let block = |block: Value| {
        let text = block.to_string();
        serde_json::from_value::<ContentBlock>(block).unwrap_or_else(|_| ContentBlock::text(text))
    };
    let mut content: Vec<ContentBlock> = reply.content.into_iter().map(block).collect();
    if reply.truncated {
        content.push(ContentBlock::text("[cut: the answer was longer than is allowed]"));
    }
    let mut result =
        if reply.is_error { CallToolResult::error(content) } else { CallToolResult::success(content) };
    result.structured_content = reply.structured;
    result
}
