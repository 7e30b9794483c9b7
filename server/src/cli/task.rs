//! `waypost task`: work that agents hand each other as files.

use anyhow::{Context, Result};
use clap::{Args, Subcommand};
use serde_json::{Value, json};
use waypost_engine::api::{Session, TaskState, TasksFilter};

use super::place::{Ask, At, Place, items, text};
use super::{Globals, Outcome};
use crate::output::{self, BAD, FAINT, STRONG};

/// Said below the flags of `waypost task list`.
const LIST_EXAMPLES: &str = "Examples:\n  waypost task list --state review\n  \
                             waypost task list --workspace finance --to agent:data-analyst";

/// Said below the flags of `waypost task add`.
const ADD_EXAMPLES: &str = "Examples:\n  waypost task add office 'Review the Kestrel contract' --capability law --review\n  \
                            waypost task add finance 'Close January' --to agent:data-analyst --due 2026-03-06T12:00:00Z";

/// Said below the list of commands.
const EXAMPLES: &str = "Examples:\n  waypost task list --state review\n  \
                        waypost task list --url http://127.0.0.1:7077 --token wp_…";

#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub struct TaskArgs {
    #[command(flatten)]
    at: At,
    #[command(subcommand)]
    command: TaskCommand,
}

#[derive(Subcommand)]
enum TaskCommand {
    /// Tasks, oldest first
    #[command(after_help = LIST_EXAMPLES)]
    List {
        /// Only of this workspace
        #[arg(long)]
        workspace: Option<String>,
        /// Only in this state: pending, waiting, in-progress, review, done, failed
        #[arg(long, value_parser = read_state)]
        state: Option<TaskState>,
        /// Only for this principal
        #[arg(long)]
        to: Option<String>,
    },
    /// One task, with what was done with it
    #[command(after_help = "Example: waypost task show tk_…")]
    Show {
        /// `tk_…`
        id: String,
    },
    /// Make a task: a file in `tasks/pending/` of the workspace
    Add(AddArgs),
    /// Accept what was done
    #[command(after_help = "Example: waypost task accept tk_…")]
    Accept {
        /// `tk_…`
        id: String,
    },
    /// Send a task back that was done
    #[command(after_help = "Example: waypost task reject tk_… 'Clause 4 is missing.'")]
    Reject {
        /// `tk_…`
        id: String,
        /// What has to be better
        reason: String,
    },
    /// Give a task up
    #[command(after_help = "Example: waypost task cancel tk_… 'It was done by hand.'")]
    Cancel {
        /// `tk_…`
        id: String,
        /// Why
        reason: String,
    },
}

#[derive(Args)]
#[command(after_help = ADD_EXAMPLES)]
struct AddArgs {
    /// The workspace
    workspace: String,
    /// For people
    title: String,
    /// What the worker needs, as JSON
    #[arg(long, value_name = "JSON")]
    payload: Option<String>,
    /// Only for this principal
    #[arg(long)]
    to: Option<String>,
    /// Only for who can do this
    #[arg(long)]
    capability: Option<String>,
    /// Higher first
    #[arg(long, default_value_t = 0, allow_negative_numbers = true)]
    priority: i64,
    /// RFC 3339
    #[arg(long, value_name = "TIME")]
    due: Option<String>,
    /// After this task; may be given several times
    #[arg(long = "after", value_name = "TASK")]
    depends_on: Vec<String>,
    /// Somebody has to accept what was done
    #[arg(long)]
    review: bool,
    /// retry, agent:NAME or human, for the first, second, … trouble; may be given several times
    #[arg(long = "on-trouble", value_name = "STEP")]
    on_trouble: Vec<String>,
}

/// A state by its name.
pub fn read_state(text: &str) -> Result<TaskState, String> {
    TaskState::named(text)
        .ok_or_else(|| format!("expected one of {}", TaskState::ALL.map(TaskState::as_str).join(", ")))
}

pub fn run(globals: &Globals, args: &TaskArgs) -> Outcome {
    let place = args.at.place(globals)?;
    if let TaskCommand::List { workspace, state, to } = &args.command {
        let filter = TasksFilter { workspace: workspace.clone(), state: *state, to: to.clone() };
        let ask = Ask::get(&["tasks"])
            .with("workspace", workspace.as_deref())
            .with("state", state.map(TaskState::as_str))
            .with("to", to.as_deref());
        output::list(globals.json, &place.all(|session| session.tasks(&filter), ask)?, line)?;
        return Ok(0);
    }
    output::one(globals.json, &act(&place, &args.command)?, show)?;
    Ok(0)
}

/// Looks at a task or does something with it; gives it as it is then.
fn act(place: &Place, command: &TaskCommand) -> Result<Value> {
    match command {
        TaskCommand::List { .. } => Ok(Value::Null),
        TaskCommand::Show { id } => place.one(|session| session.task(id), Ask::get(&["tasks", id])),
        TaskCommand::Add(args) => place.asked(Session::create_task, &["tasks"], args.body()?),
        TaskCommand::Accept { id } => place.one(
            |session| session.accept_task(id, None),
            Ask::post(&["tasks", "accept"], json!({"task_id": id})),
        ),
        TaskCommand::Reject { id, reason } => place.one(
            |session| session.reject_task(id, None, reason),
            Ask::post(&["tasks", "reject"], json!({"task_id": id, "reason": reason})),
        ),
        TaskCommand::Cancel { id, reason } => place.one(
            |session| session.cancel_task(id, reason),
            Ask::post(&["tasks", "cancel"], json!({"task_id": id, "reason": reason})),
        ),
    }
}

impl AddArgs {
    fn body(&self) -> Result<Value> {
        let payload = self.payload.as_deref().map(serde_json::from_str::<Value>).transpose();
        Ok(json!({
            "workspace": self.workspace,
            "title": self.title,
            "payload": payload.context("`--payload` is no JSON")?,
            "to": self.to,
            "capability": self.capability,
            "priority": self.priority,
            "due_at": self.due,
            "depends_on": self.depends_on,
            "review": self.review,
            "on_trouble": self.on_trouble,
        }))
    }
}

fn show(task: &Value) {
    line(task);
    for note in items(task, "history") {
        let said = |field: &str| output::safe(text(note, field));
        let reason = said("reason");
        let reason = if reason.is_empty() { reason } else { format!(": {reason}") };
        out!("  {FAINT}{}{FAINT:#}  {} {}{reason}", said("at"), said("by"), said("what"));
    }
    for path in items(task, "artifacts").iter().filter_map(Value::as_str) {
        out!("  {}", output::safe(path));
    }
}

fn line(task: &Value) {
    let held = task["holder"].as_str().map(|holder| format!(", held by {}", output::safe(holder)));
    let to = task["to"].as_str().map(|to| format!(" for {}", output::safe(to)));
    out!(
        "{STRONG}{}{STRONG:#}  {}  {}{}{}  {FAINT}{} of {} attempts{}{FAINT:#}",
        output::safe(text(task, "task_id")),
        output::safe(text(task, "path")),
        output::safe(text(task, "state")),
        to.unwrap_or_default(),
        held.unwrap_or_default(),
        task["attempts"],
        task["max_attempts"],
        output::aside(text(task, "title"))
    );
    print_trouble(task);
}

/// What went wrong with a task the last time, where something did.
pub fn print_trouble(task: &Value) {
    if let Some(error) = task["last_error"].as_str() {
        out!("  {BAD}last error{BAD:#}: {}", output::safe(error));
    }
}
