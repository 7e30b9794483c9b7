use serde_json::{Value, json};
use waypost_engine::api::{ClaimRequest, Completion, Failure, NewTask, Session, TaskInfo, TasksFilter};

use super::arguments;
use super::bound::{budget_bytes, cost, cut, page_within};
use super::tools::Tool;
use crate::paging::PageParams;
use crate::problem::Problem;
use crate::times::{patience, ttl};

/// Tasks of one reply where nothing else is asked.
const DEFAULT_TASKS: usize = 20;
/// Bytes of JSON around what is counted.
const FRAME: usize = 400;
/// Of a reason in a list; the task's file has all of it.
const MAX_ERROR_BYTES: usize = 200;

/// Runs a tool that has to do with tasks.
pub fn call(session: &Session, tool: Tool, arguments: Value) -> Result<Value, Problem> {
    match tool {
        Tool::ClaimTask => claim(session, arguments::read(tool, arguments)?),
        Tool::CompleteTask => {
            let completion: Completion = arguments::read(tool, arguments)?;
            let done = session.complete_task(&completion)?;
            let mut shown = terse(&done);
            shown["artifacts"] = json!(done.artifacts);
            Ok(shown)
        }
        Tool::CreateTask => {
            let new: NewTask = arguments::read(tool, arguments)?;
            Ok(terse(&session.create_task(&new)?))
        }
        Tool::FailTask => {
            let failure: Failure = arguments::read(tool, arguments)?;
            Ok(terse(&session.fail_task(&failure)?))
        }
        Tool::HeartbeatTask => {
            let given: arguments::HeartbeatTask = arguments::read(tool, arguments)?;
            let ttl_ms = ttl(None, given.ttl_seconds, "ttl_seconds")?;
            let kept = session.heartbeat_task(&given.task_id, given.fence, ttl_ms, given.note.as_deref())?;
            Ok(json!({"task_id": kept.id, "state": kept.state, "lease_expires_at": kept.lease_expires_at}))
        }
        Tool::ReviewTask => {
            let given: arguments::ReviewTask = arguments::read(tool, arguments)?;
            let judged = if given.accept {
                session.accept_task(&given.task_id, given.fence)?
            } else {
                let reason = given.reason.as_deref().unwrap_or_default();
                session.reject_task(&given.task_id, given.fence, reason)?
            };
            Ok(terse(&judged))
        }
        _ => list(session, arguments::read(tool, arguments)?),
    }
}

fn terse(task: &TaskInfo) -> Value {
    let mut shown =
        json!({"task_id": task.id, "path": task.path, "state": task.state, "attempts": task.attempts});
    if let Some(seq) = &task.seq {
        shown["seq"] = json!(seq);
    }
    shown
}

fn claim(session: &Session, given: arguments::ClaimTask) -> Result<Value, Problem> {
    let budget = budget_bytes(given.max_tokens)?.saturating_sub(FRAME);
    let request = ClaimRequest {
        workspace: given.workspace,
        task_id: given.task_id,
        capabilities: given.capabilities,
        ttl_ms: ttl(None, given.ttl_seconds, "ttl_seconds")?,
        inbox: None,
    };
    let patience = patience(given.wait_seconds.unwrap_or_default(), "wait_seconds")?;
    let Some(task) = session.wait_for_task(&request, patience)? else {
        let mut shown = json!({"task": null});
        if let Some(why) = session.why_unclaimed(&request)? {
            shown["why"] = json!(why);
        }
        return Ok(shown);
    };
    let mut shown = terse(&task);
    shown["title"] = json!(task.title);
    shown["fence"] = json!(task.fence);
    shown["lease_expires_at"] = json!(task.lease_expires_at);
    if let Some(error) = &task.last_error {
        shown["last_error"] = json!(error);
    }
    // The payload alone says what is to be done; where there is none, or it is too long, the file's text does.
    match (task.payload, task.content) {
        (Some(payload), _) if cost(&payload) <= budget => shown["payload"] = payload,
        (_, Some(mut content)) => {
            let whole = content.len();
            cut(&mut content, budget);
            if content.len() < whole {
                shown["cut"] = json!(true);
            }
            shown["content"] = json!(content);
        }
        _ => {}
    }
    Ok(json!({"task": shown}))
}

fn list(session: &Session, given: arguments::ListTasks) -> Result<Value, Problem> {
    let budget = budget_bytes(given.max_tokens)?.saturating_sub(FRAME);
    let filter = TasksFilter { workspace: given.workspace, state: given.state, to: given.to };
    let tasks = session.tasks(&filter)?;
    let params = PageParams { limit: Some(given.limit.unwrap_or(DEFAULT_TASKS)), cursor: given.cursor };
    page_within(budget, "tasks", &tasks, params, listed)
}

fn listed(task: &TaskInfo) -> Value {
    let mut shown = terse(task);
    shown["title"] = json!(task.title);
    if let Some(to) = &task.to {
        shown["to"] = json!(to);
    }
    if let Some(holder) = &task.holder {
        shown["holder"] = json!(holder);
    }
    if let Some(mut error) = task.last_error.clone() {
        cut(&mut error, MAX_ERROR_BYTES);
        shown["last_error"] = json!(error);
    }
    shown
}
