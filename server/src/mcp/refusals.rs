//! Words a refusal for a model: what was wrong, and the legal next step.

use rmcp::model::{CallToolResult, ContentBlock};
use serde_json::json;
use waypost_engine::api::Session;

use super::tools::Tool;
use super::{Toolsets, is_offered};
use crate::problem::Problem;

/// A refusal is a result, so that the model reads it and can do better. It is sent to no tool that it does not have.
pub fn refusal(problem: &Problem, session: &Session, toolsets: Toolsets) -> CallToolResult {
    let mut shown = json!({"code": problem.code, "message": problem.detail});
    if let Some(approval) = &problem.approval {
        shown["approval_id"] = json!(approval);
    }
    if let Some(resets_at) = problem.resets_at() {
        shown["resets_at"] = json!(resets_at);
    }
    let steps = match problem.missing {
        Some(what) => steps_to_find(what),
        None => next_steps(problem.code),
    };
    let can = |(tools, _): &&Step| tools.iter().all(|tool| is_offered(*tool, session, toolsets));
    if let Some((_, next)) = steps.iter().find(can) {
        shown["next"] = json!(next);
    }
    CallToolResult::error(vec![ContentBlock::text(shown.to_string())])
}

/// What to do, and the tools that it takes.
type Step = (&'static [Tool], &'static str);

/// How to find what exists of a kind of which something does not; the first one counts whose tools are there.
fn steps_to_find(what: &str) -> &'static [Step] {
    match what {
        "file" | "folder" | "file or folder" => &[
            (&[Tool::SearchFiles], "find the path with `search_files` or `list_directory`"),
            (&[Tool::Search], "find the path with `search`"),
        ],
        "workspace" => &[
            (&[Tool::ListDirectory], "`list_directory` with `/` lists the workspaces"),
            (&[Tool::Whoami], "`whoami` lists the workspaces"),
        ],
        "version" => &[(&[Tool::ListVersions], "`list_versions` lists the versions that there are")],
        "snapshot" => {
            &[(&[Tool::CreateSnapshot], "take one with `create_snapshot`, or use the id that one gave")]
        }
        "tool" => &[(&[Tool::FindTools], "find the tool with `find_tools`")],
        "agent" => &[(&[Tool::FindAgents], "find the agent with `find_agents`")],
        "agent or tool" => &[(&[Tool::FindAgents, Tool::FindTools], "use `find_agents` or `find_tools`")],
        "task" => &[(&[Tool::ListTasks], "`list_tasks` lists the tasks")],
        "approval" => &[(
            &[Tool::RequestApproval],
            "use the `approval_id` of a refusal, or the `approval` that `request_approval` gave",
        )],
        "memory" | "note" | "thread" => &[(&[Tool::Recall], "find it with `recall`")],
        _ => &[],
    }
}

/// The legal next step of a model, by code; the first one counts whose tools are there.
fn next_steps(code: &str) -> &'static [Step] {
    match code {
        "invalid_path" => &[
            (
                &[Tool::ListDirectory],
                "use a path such as `/workspace/folder/file.md`; `list_directory` with `/` lists the workspaces",
            ),
            (
                &[Tool::Whoami],
                "use a path such as `/workspace/folder/file.md`; `whoami` lists the workspaces",
            ),
        ],
        "approval_required" => &[(
            &[],
            "tell the user: a person decides, and the change then happens by itself; do not call again",
        )],
        "declined" => &[(&[], "tell the user that nothing was done; do not try other ways")],
        "budget_exceeded" => &[(&[], "do without it, or go on after `resets_at`; do not call again before")],
        "hop_limit" => &[(&[], "hand nothing on: answer with what there is")],
        "loop_detected" => {
            &[(&[], "stop: end your task with what there is; a person decides whether the trace goes on")]
        }
        "forbidden" => &[(&[], "tell the user which right is missing; do not try other ways")],
        "version_conflict" => &[
            (&[Tool::ReadFile], "read_file again, then repeat the change with its new version"),
            (&[], "read it again, then repeat the change with its new version"),
        ],
        "already_exists" => &[(&[], "choose another path, or delete what is there")],
        "name_conflict" => &[(&[], "use the name that is there already")],
        "name_taken" => &[(&[], "choose another path")],
        "crosses_gate" => &[(
            &[],
            "go file by file: each change leaves an approval to wait, and happens once a person grants it",
        )],
        "lock_held" => &[(&[], "wait and call again, or work on something else")],
        "lock_expired" => &[
            (
                &[Tool::ReadFile],
                "take a new lock, read_file again, then repeat; a task is another's by now: claim the next one",
            ),
            (&[], "a task is another's by now: claim the next one"),
        ],
        "wrong_state" => &[(&[Tool::ListTasks], "look at it again with `list_tasks`")],
        "own_work" => &[(&[], "leave it to somebody else")],
        "no_route" => &[
            (
                &[Tool::FindAgents],
                "tell the user that nobody here does this, or name an agent of `find_agents` with `to`",
            ),
            (&[], "tell the user that nobody here does this"),
        ],
        "ambiguous_route" => {
            &[(&[], "ask the user this question, then call again with `to`, or for each part by itself")]
        }
        "route_unavailable" => {
            &[(&[], "call again later, or with `to` to put it into the agent's inbox all the same")]
        }
        "edit_mismatch" => {
            &[(&[Tool::ReadFile], "read_file again and give an `oldText` that stands there exactly once")]
        }
        "index_behind" => &[(&[], "call again in a moment, or without `wait_for_seq`")],
        "busy" | "timeout" => &[(&[], "call again in a moment, or ask for less")],
        "invalid_arguments" => &[(
            &[Tool::FindTools],
            "call `find_tools` for what the tool takes, and repeat the call with what was expected",
        )],
        "tool_declared" => &[(&[], "call it where it is, or use another tool: waiting brings no server")],
        "tool_unavailable" => &[(&[], "call again in a moment, or use another tool")],
        "tool_timeout" => {
            &[(&[], "the tool may have done its work all the same: look before you call it again")]
        }
        "tool_failed" => &[(&[], "tell the user what the tool's server said")],
        "tool_quarantined" => &[(&[], "tell the user: a person approves the tool as it is now")],
        "unsupported_type" => &[(&[Tool::Search], "use `search` with this path as `path_prefix`")],
        "internal" | "damaged_blob" | "damaged_index" => {
            &[(&[], "tell the user; calling again will not help")]
        }
        _ => &[],
    }
}
