//! Words a refusal for a model: what was wrong, and the legal next step.

use rmcp::model::{CallToolResult, ContentBlock};
use serde_json::json;

use crate::problem::Problem;

/// A refusal is a result, so that the model reads it and can do better.
pub fn refusal(problem: &Problem) -> CallToolResult {
    let mut shown = json!({"code": problem.code, "message": problem.detail});
    if let Some(approval) = &problem.approval {
        shown["approval_id"] = json!(approval);
    }
    if let Some(resets_at) = problem.resets_at() {
        shown["resets_at"] = json!(resets_at);
    }
    if let Some(next) = next_step(problem.code) {
        shown["next"] = json!(next);
    }
    CallToolResult::error(vec![ContentBlock::text(shown.to_string())])
}

/// The legal next step of a model, by code.
fn next_step(code: &str) -> Option<&'static str> {
    Some(match code {
        "invalid_path" => {
            "use a path such as `/workspace/folder/file.md`; `list_directory` with `/` lists the workspaces"
        }
        "not_found" => "find the path with `search_files` or `list_directory`",
        "approval_required" => {
            "tell the user: a person decides, and the change then happens by itself; do not call again"
        }
        "declined" => "tell the user that nothing was done; do not try other ways",
        "budget_exceeded" => "do without it, or go on after `resets_at`; do not call again before",
        "hop_limit" => "hand nothing on: answer with what there is",
        "loop_detected" => {
            "stop: end your task with what there is; a person decides whether the trace goes on"
        }
        "forbidden" => "tell the user which right is missing; do not try other ways",
        "version_conflict" => "read_file again, then repeat the change with its new version",
        "already_exists" => "choose another path, or delete what is there",
        "name_conflict" => "use the name that is there already",
        "lock_held" => "wait and call again, or work on something else",
        "lock_expired" => {
            "take a new lock, read_file again, then repeat; a task is another's by now: claim the next one"
        }
        "wrong_state" => "look at it again with `list_tasks`",
        "own_work" => "leave it to somebody else",
        "no_route" => "tell the user that nobody here does this, or name an agent of `find_agents` with `to`",
        "ambiguous_route" => "ask the user this question, then call again with `to`",
        "edit_mismatch" => "read_file again and give an `oldText` that stands there exactly once",
        "index_behind" => "call again in a moment, or without `wait_for_seq`",
        "busy" | "timeout" => "call again in a moment, or ask for less",
        "invalid_arguments" => {
            "call `find_tools` for what the tool takes, and repeat the call with what was expected"
        }
        "tool_unavailable" => "call again in a moment, or use another tool",
        "tool_timeout" => "the tool may have done its work all the same: look before you call it again",
        "tool_failed" => "tell the user what the tool's server said",
        "tool_quarantined" => "tell the user: a person approves the tool as it is now",
        "unsupported_type" => "use `search` with this path as `path_prefix`",
        "internal" | "damaged_blob" | "damaged_index" => "tell the user; calling again will not help",
        _ => return None,
    })
}
