//! Of tasks.

use serde_json::json;
use waypost_engine::api::Session;

use super::schema::{flag, list, number, text, texts, usage};
use super::{Effect, Family, Spec};

/// A task for oneself.
pub const CLAIM_TASK: Spec = Spec {
    name: "claim_task",
    family: Family::Mesh,
    needs: Session::may_work,
    effect: Effect::Adds,
    title: "Claim a task",
    description: "Take the next task that you may do, under a lease. Give its `fence` to heartbeat_task, complete_task, fail_task. \
                 `task` is null if there is none; `wait_seconds` waits, at most 25.",
    input: || {
        json!({
            "properties": {
                "workspace": text(), "task_id": text(), "capabilities": texts(), "ttl_seconds": number(),
                "wait_seconds": number(), "max_tokens": number(),
            },
        })
    },
    output: || json!({"properties": {"task": {"type": ["object", "null"]}, "why": text()}, "required": ["task"]}),
};

/// A task is done.
pub const COMPLETE_TASK: Spec = Spec {
    name: "complete_task",
    family: Family::Mesh,
    needs: Session::may_work,
    effect: Effect::Adds,
    title: "Complete a task",
    description: "End your task well. `result` and `artifacts` are kept as files beside it.",
    input: || {
        json!({
            "properties": {
                "task_id": text(),
                "fence": number(),
                "result": {},
                "artifacts": {
                    "type": "array",
                    "items": {
                        "type": "object",
                        "properties": {"name": text(), "content": text()},
                        "required": ["name", "content"],
                    },
                },
                "usage": usage(),
            },
            "required": ["task_id", "fence"],
        })
    },
    output: || json!({"properties": {"task_id": text(), "state": text()}, "required": ["task_id", "state"]}),
};

/// Something to do.
pub const CREATE_TASK: Spec = Spec {
    name: "create_task",
    family: Family::Mesh,
    needs: Session::may_create_tasks,
    effect: Effect::Adds,
    title: "Create a task",
    description: "Leave a task for others: for `to`, for whoever has the `capability`, or for anybody. With `inbox` it lies in the \
                 inbox of `to`.",
    input: || {
        json!({
            "properties": {
                "workspace": text(),
                "title": text(),
                "payload": {},
                "to": text(),
                "capability": text(),
                "priority": {"type": "integer", "description": "higher first"},
                "due_at": text(),
                "depends_on": texts(),
                "max_attempts": number(),
                "review": flag(),
                "on_trouble": {"type": "array", "items": text(), "description": "retry, agent:NAME, human"},
                "name": text(),
                "inbox": flag(),
            },
            "required": ["workspace"],
        })
    },
    output: || json!({"properties": {"task_id": text(), "state": text()}, "required": ["task_id", "state"]}),
};

/// A task goes back.
pub const FAIL_TASK: Spec = Spec {
    name: "fail_task",
    family: Family::Mesh,
    needs: Session::may_work,
    effect: Effect::Adds,
    title: "Give a task back",
    description: "Give your task back with the reason. It is tried again later, unless `retry` is false or its attempts are used up.",
    input: || {
        json!({
            "properties": {"task_id": text(), "fence": number(), "error": text(), "retry": flag(), "usage": usage()},
            "required": ["task_id", "fence", "error"],
        })
    },
    output: || json!({"properties": {"task_id": text(), "state": text()}, "required": ["task_id", "state"]}),
};

/// A task is kept.
pub const HEARTBEAT_TASK: Spec = Spec {
    name: "heartbeat_task",
    family: Family::Mesh,
    needs: Session::may_work,
    effect: Effect::Adds,
    title: "Keep a task",
    description: "Keep your task for longer. `lock_expired` means that it is yours no more: stop.",
    input: || {
        json!({
            "properties": {"task_id": text(), "fence": number(), "ttl_seconds": number(), "note": text()},
            "required": ["task_id", "fence"],
        })
    },
    output: || json!({"properties": {"task_id": text(), "state": text()}, "required": ["task_id", "state"]}),
};

/// What is to do.
pub const LIST_TASKS: Spec = Spec {
    name: "list_tasks",
    family: Family::Mesh,
    needs: Session::may_see_tasks,
    effect: Effect::Reads,
    title: "List tasks",
    description: "List tasks, oldest first.",
    input: || {
        json!({
            "properties": {
                "workspace": text(),
                "state": {"enum": ["pending", "waiting", "in-progress", "review", "done", "failed"]},
                "to": text(),
                "limit": number(),
                "cursor": text(),
                "max_tokens": number(),
            },
        })
    },
    output: || json!({"properties": {"tasks": list(), "next_cursor": text()}, "required": ["tasks"]}),
};

/// What was done is judged.
pub const REVIEW_TASK: Spec = Spec {
    name: "review_task",
    family: Family::Mesh,
    needs: Session::may_review,
    effect: Effect::Adds,
    title: "Review a task",
    description: "Accept what was done by another, or send it back with the `reason`.",
    input: || {
        json!({
            "properties": {"task_id": text(), "accept": flag(), "reason": text(), "fence": number()},
            "required": ["task_id", "accept"],
        })
    },
    output: || json!({"properties": {"task_id": text(), "state": text()}, "required": ["task_id", "state"]}),
};
