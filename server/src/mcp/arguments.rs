use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use waypost_engine::api::{SearchFilters, TextEdit};
use waypost_engine::id::VersionId;
use waypost_engine::search::Mode;
use waypost_engine::tasks::TaskState;

use super::tools::Tool;
use crate::given;
use crate::problem::Problem;

/// Of `search`.
#[derive(Debug, Deserialize)]
pub struct Search {
    pub query: String,
    pub path_prefix: Option<String>,
    pub workspaces: Option<Vec<String>>,
    pub filters: Option<SearchFilters>,
    #[serde(default)]
    pub mode: Mode,
    pub limit: Option<usize>,
    pub wait_for_seq: Option<String>,
    pub as_of: Option<String>,
    pub trust: Option<String>,
    pub max_tokens: Option<usize>,
}

/// Of `ask`.
#[derive(Debug, Deserialize)]
pub struct Ask {
    pub question: String,
    pub path_prefix: Option<String>,
    pub workspaces: Option<Vec<String>>,
    pub wait_for_seq: Option<String>,
    pub as_of: Option<String>,
    pub trust: Option<String>,
    pub generator: Option<String>,
    pub max_tokens: Option<usize>,
}

/// Of `read_file` and `read_text_file`.
#[derive(Debug, Deserialize)]
pub struct ReadFile {
    pub path: String,
    pub start_line: Option<usize>,
    pub start_byte: Option<usize>,
    pub head: Option<usize>,
    pub tail: Option<usize>,
    pub version: Option<String>,
    pub as_of: Option<String>,
    pub max_tokens: Option<usize>,
}

/// Of `request_approval`.
#[derive(Debug, Deserialize)]
pub struct RequestApproval {
    pub path: Option<String>,
    pub request: Option<String>,
    pub approval: Option<String>,
}

/// Of `recall`.
#[derive(Debug, Deserialize)]
pub struct Recall {
    pub query: String,
    pub workspace: Option<String>,
    #[serde(default)]
    pub agents: Vec<String>,
    pub topic: Option<String>,
    pub thread: Option<String>,
    pub limit: Option<usize>,
    pub wait_for_seq: Option<String>,
    pub max_tokens: Option<usize>,
}

/// Of `remember`.
#[derive(Debug, Deserialize)]
pub struct Remember {
    pub text: String,
    pub topic: Option<String>,
    pub source: Option<String>,
    pub workspace: Option<String>,
    pub expires_in_seconds: Option<u64>,
    pub supersedes: Option<String>,
}

/// Of `find_agents`.
#[derive(Debug, Deserialize)]
pub struct FindAgents {
    #[serde(default, alias = "query")]
    pub intent: String,
    pub limit: Option<usize>,
    pub max_tokens: Option<usize>,
}

/// Of `find_tools`.
#[derive(Debug, Deserialize)]
pub struct FindTools {
    #[serde(default, alias = "intent")]
    pub query: String,
    pub limit: Option<usize>,
    pub max_tokens: Option<usize>,
}

/// Of `call_tool`.
#[derive(Debug, Deserialize)]
pub struct CallTool {
    pub tool: String,
    #[serde(default)]
    pub arguments: serde_json::Map<String, Value>,
    pub max_tokens: Option<usize>,
}

/// Of `list_directory`.
#[derive(Debug, Deserialize)]
pub struct ListDirectory {
    pub path: Option<String>,
    pub limit: Option<usize>,
    pub cursor: Option<String>,
    pub max_tokens: Option<usize>,
}

/// Of `list_directory_with_sizes`.
#[derive(Debug, Deserialize)]
pub struct ListWithSizes {
    pub path: String,
    #[serde(default, rename = "sortBy")]
    pub sort_by: SortBy,
    pub max_tokens: Option<usize>,
}

/// What a folder's files are ordered by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SortBy {
    #[default]
    Name,
    Size,
}

/// Of `search_files`.
#[derive(Debug, Deserialize)]
pub struct SearchFiles {
    pub pattern: String,
    pub path: Option<String>,
    #[serde(default, rename = "excludePatterns")]
    pub exclude: Vec<String>,
    pub limit: Option<usize>,
    pub max_tokens: Option<usize>,
}

/// Of `append_message`.
#[derive(Debug, Deserialize)]
pub struct AppendMessage {
    pub thread: String,
    pub role: String,
    pub text: String,
    pub workspace: Option<String>,
}

/// Of `read_thread`.
#[derive(Debug, Deserialize)]
pub struct ReadThread {
    pub thread: String,
    pub workspace: Option<String>,
    pub agent: Option<String>,
    pub limit: Option<usize>,
    pub max_tokens: Option<usize>,
}

/// Of `verify_citations`.
#[derive(Debug, Deserialize)]
pub struct VerifyCitations {
    pub citations: Vec<CitationArgument>,
}

/// What of a citation must be said again; the rest follows from it.
#[derive(Debug, Deserialize)]
pub struct CitationArgument {
    pub path: String,
    pub version: VersionId,
    pub start_byte: usize,
    pub end_byte: usize,
    /// A hit in few words has none; what stands there completes it.
    #[serde(default)]
    pub quote: String,
}

/// Of `copy_file` and `move_file`.
#[derive(Debug, Deserialize)]
pub struct Carry {
    pub source: String,
    pub destination: String,
    pub expected_version: Option<VersionId>,
    pub fence: Option<u64>,
}

/// Of `create_directory`, `forget`, `get_file_info` and `read_media_file`.
#[derive(Debug, Deserialize)]
pub struct AtPath {
    pub path: String,
}

/// Of `create_snapshot`.
#[derive(Debug, Deserialize)]
pub struct CreateSnapshot {
    pub workspace: String,
    #[serde(default)]
    pub name: String,
}

/// Of `delete_file`.
#[derive(Debug, Deserialize)]
pub struct DeleteFile {
    pub path: String,
    #[serde(default)]
    pub recursive: bool,
    pub expected_version: Option<VersionId>,
    pub fence: Option<u64>,
}

/// Of `directory_tree`.
#[derive(Debug, Deserialize)]
pub struct DirectoryTree {
    pub path: String,
    pub depth: Option<usize>,
    #[serde(default, rename = "excludePatterns")]
    pub exclude: Vec<String>,
    pub max_tokens: Option<usize>,
}

/// Of `edit_file`.
#[derive(Debug, Deserialize)]
pub struct EditFile {
    pub path: String,
    pub edits: Vec<TextEdit>,
    #[serde(default, rename = "dryRun")]
    pub dry_run: bool,
    pub expected_version: Option<VersionId>,
    pub fence: Option<u64>,
}

/// Of `list_versions`.
#[derive(Debug, Deserialize)]
pub struct ListVersions {
    pub path: String,
    pub limit: Option<usize>,
    pub cursor: Option<String>,
    pub max_tokens: Option<usize>,
}

/// Of `read_multiple_files`.
#[derive(Debug, Deserialize)]
pub struct ReadMultipleFiles {
    pub paths: Vec<String>,
    pub max_tokens: Option<usize>,
}

/// Of `restore_version`.
#[derive(Debug, Deserialize)]
pub struct RestoreVersion {
    pub path: String,
    pub version: String,
    pub expected_version: Option<VersionId>,
}

/// Of `write_file`.
#[derive(Debug, Deserialize)]
pub struct WriteFile {
    pub path: String,
    pub content: String,
    pub expected_version: Option<VersionId>,
    pub fence: Option<u64>,
}

/// Of `publish_event`.
#[derive(Debug, Deserialize)]
pub struct PublishEvent {
    pub workspace: String,
    pub topic: String,
    #[serde(default)]
    pub data: Value,
}

/// Of `wait_for_events`.
#[derive(Debug, Deserialize)]
pub struct WaitForEvents {
    pub after: Option<String>,
    #[serde(default)]
    pub paths: Vec<String>,
    #[serde(default)]
    pub kinds: Vec<String>,
    pub timeout_seconds: Option<u64>,
    pub limit: Option<usize>,
    pub max_tokens: Option<usize>,
}

/// Of `claim_task`.
#[derive(Debug, Deserialize)]
pub struct ClaimTask {
    pub workspace: Option<String>,
    pub task_id: Option<String>,
    #[serde(default)]
    pub capabilities: Vec<String>,
    pub ttl_seconds: Option<u64>,
    pub wait_seconds: Option<u64>,
    pub max_tokens: Option<usize>,
}

/// Of `heartbeat_task`.
#[derive(Debug, Deserialize)]
pub struct HeartbeatTask {
    pub task_id: String,
    pub fence: u64,
    pub ttl_seconds: Option<u64>,
    pub note: Option<String>,
}

/// Of `review_task`.
#[derive(Debug, Deserialize)]
pub struct ReviewTask {
    pub task_id: String,
    pub accept: bool,
    pub reason: Option<String>,
    pub fence: Option<u64>,
}

/// Of `list_tasks`.
#[derive(Debug, Deserialize)]
pub struct ListTasks {
    pub workspace: Option<String>,
    pub state: Option<TaskState>,
    pub to: Option<String>,
    pub limit: Option<usize>,
    pub cursor: Option<String>,
    pub max_tokens: Option<usize>,
}

/// Of `whoami`.
#[derive(Debug, Deserialize)]
pub struct Whoami {}

/// Reads a tool's arguments; an unknown one is refused with the legal names.
pub fn read<T: DeserializeOwned>(tool: Tool, arguments: Value) -> Result<T, Problem> {
    let legal = tool.argument_names();
    let given = arguments.as_object().into_iter().flat_map(|given| given.keys());
    if let Some(unknown) = given.into_iter().find(|name| !legal.contains(name)) {
        let unknown: String = unknown.chars().take(80).collect();
        let legal = if legal.is_empty() {
            "no argument".to_owned()
        } else {
            format!("only `{}`", legal.join("`, `"))
        };
        return Err(Problem::invalid(format!(
            "unknown argument `{unknown}`: `{}` takes {legal}",
            tool.name()
        )));
    }
    given::read(arguments).map_err(|wrong| Problem::invalid(format!("`{}`: {wrong}", tool.name())))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_unknown_argument_is_told_the_legal_ones() {
        let refused = read::<Search>(Tool::Search, json!({"query": "fox", "top_k": 3})).unwrap_err();
        assert_eq!(
            refused.detail,
            "unknown argument `top_k`: `search` takes only \
             `as_of`, `filters`, `limit`, `max_tokens`, `mode`, `path_prefix`, `query`, `trust`, `wait_for_seq`, \
             `workspaces`"
        );
        let refused = read::<Whoami>(Tool::Whoami, json!({"x": 1})).unwrap_err();
        assert_eq!(refused.detail, "unknown argument `x`: `whoami` takes no argument");
    }
}
