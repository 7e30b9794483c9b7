use serde::Serialize;
use serde_json::Value;

use crate::clock::rfc3339;
use crate::tasks::{Past, TaskRow, TaskState};

/// A task, as every surface shows it.
#[derive(Debug, Clone, PartialEq, Serialize, schemars::JsonSchema)]
pub struct TaskInfo {
    /// `tk_…`.
    pub task_id: String,
    /// The same.
    pub id: String,
    /// Where its file is, `/workspace/…`.
    pub path: String,
    /// Its name.
    pub workspace: String,
    /// `pending`, `waiting` (for a person), `in-progress`, `review`, `done` or `failed`.
    pub state: TaskState,
    /// For people.
    pub title: String,
    /// Whatever the worker needs.
    pub payload: Option<Value>,
    /// The principal that it is for.
    pub to: Option<String>,
    /// What it takes.
    pub capability: Option<String>,
    /// Higher first.
    pub priority: i64,
    /// RFC 3339.
    pub due_at: Option<String>,
    /// Ids or file names.
    pub depends_on: Vec<String>,
    /// Claims so far.
    pub attempts: u32,
    /// Claims until it is given up.
    pub max_attempts: u32,
    /// Whether somebody has to accept what was done.
    pub review: bool,
    /// Who has it.
    pub holder: Option<String>,
    /// Larger than that of every lease of it before; whoever has it shows it.
    pub fence: Option<u64>,
    /// RFC 3339.
    pub lease_expires_at: Option<String>,
    /// Who made it.
    pub created_by: String,
    /// RFC 3339.
    pub created_at: String,
    /// RFC 3339.
    pub updated_at: String,
    /// Why it did not go on, last.
    pub last_error: Option<String>,
    /// What a person has to decide.
    pub approval_id: Option<String>,
    /// The routing decision that led to it, where it is shown alone and one did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub decision_id: Option<String>,
    /// What was done with it, oldest first: `at`, `by`, `what`, `reason`.
    pub history: Vec<Value>,
    /// What it brought about, `/workspace/…`.
    pub artifacts: Vec<String>,
    /// The file's text, for whoever claims it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub content: Option<String>,
    /// The place of the change, where this answers one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seq: Option<String>,
}

impl TaskInfo {
    pub(super) fn new(row: TaskRow, workspace: &str) -> Self {
        let path = format!("/{workspace}/{}", row.path);
        let lease = row.lease;
        Self {
            task_id: row.id.clone(),
            id: row.id,
            path,
            workspace: workspace.to_owned(),
            state: row.state,
            title: row.spec.title,
            payload: row.spec.payload,
            to: row.spec.to,
            capability: row.spec.capability,
            priority: row.spec.priority,
            due_at: row.spec.due_ms.map(rfc3339),
            depends_on: row.spec.depends_on,
            attempts: row.attempts,
            max_attempts: row.spec.max_attempts,
            review: row.spec.review,
            fence: lease.as_ref().map(|lease| lease.fence),
            lease_expires_at: lease.as_ref().map(|lease| rfc3339(lease.expires_ms)),
            holder: lease.map(|lease| lease.holder),
            created_by: row.creator,
            created_at: rfc3339(row.created_ms),
            updated_at: rfc3339(row.updated_ms),
            last_error: row.last_error,
            approval_id: row.approval,
            decision_id: None,
            history: row.history.iter().map(Past::shown).collect(),
            artifacts: row.artifacts,
            content: None,
            seq: None,
        }
    }
}

/// A task that lies before an agent.
#[derive(Debug, Clone, PartialEq, Serialize, schemars::JsonSchema)]
pub struct InboxEntry {
    /// `tk_…`.
    pub task_id: String,
    /// The same.
    pub id: String,
    /// Where its file is, `/workspace/…`.
    pub path: String,
    /// For people.
    pub title: String,
    /// As of [`TaskInfo::state`].
    pub state: TaskState,
    /// Since it came.
    pub age_seconds: i64,
    /// Claims so far.
    pub attempts: u32,
    /// Why it did not go on, last.
    pub last_error: Option<String>,
    /// Who has it.
    pub holder: Option<String>,
    /// RFC 3339.
    pub lease_expires_at: Option<String>,
    /// Of its file, in bytes.
    pub size: u64,
}

impl InboxEntry {
    pub(super) fn new(row: TaskRow, workspace: &str, now_ms: i64) -> Self {
        Self {
            path: format!("/{workspace}/{}", row.path),
            task_id: row.id.clone(),
            id: row.id,
            title: row.spec.title,
            state: row.state,
            age_seconds: now_ms.saturating_sub(row.created_ms).max(0) / 1000,
            attempts: row.attempts,
            last_error: row.last_error,
            lease_expires_at: row.lease.as_ref().map(|lease| rfc3339(lease.expires_ms)),
            holder: row.lease.map(|lease| lease.holder),
            size: row.size_bytes,
        }
    }
}
