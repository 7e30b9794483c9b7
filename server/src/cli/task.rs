//! `waypost task`: work that agents hand each other as files.

use clap::Subcommand;
use waypost_engine::api::{NewTask, TaskInfo, TaskState, TasksFilter};

use super::{Globals, Outcome, home};
use crate::output::{self, BAD, FAINT, STRONG};

/// Said below the flags of `waypost task list`.
const LIST_EXAMPLES: &str = "Examples:\n  waypost task list --state review\n  \
                             waypost task list --workspace finance --to agent:data-analyst";

/// Said below the flags of `waypost task add`.
const ADD_EXAMPLES: &str = "Examples:\n  waypost task add office 'Review the Kestrel contract' --capability law --review\n  \
                            waypost task add finance 'Close January' --to agent:data-analyst --due 2026-03-06T12:00:00Z";

#[derive(Subcommand)]
#[command(after_help = "Example: waypost task list --state review")]
pub enum TaskCommand {
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
    #[command(after_help = ADD_EXAMPLES)]
    Add {
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
    },
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

/// A state by its name.
pub fn read_state(text: &str) -> Result<TaskState, String> {
    TaskState::named(text)
        .ok_or_else(|| format!("expected one of {}", TaskState::ALL.map(TaskState::as_str).join(", ")))
}

pub fn run(globals: &Globals, command: &TaskCommand) -> Outcome {
    let session = home::owner(globals)?;
    let task = match command {
        TaskCommand::List { workspace, state, to } => {
            let filter = TasksFilter { workspace: workspace.clone(), state: *state, to: to.clone() };
            output::list(globals.json, &session.tasks(&filter)?, line)?;
            return Ok(0);
        }
        TaskCommand::Show { id } => session.task(id)?,
        TaskCommand::Add { .. } => session.create_task(&new_task(command)?)?,
        TaskCommand::Accept { id } => session.accept_task(id, None)?,
        TaskCommand::Reject { id, reason } => session.reject_task(id, None, reason)?,
        TaskCommand::Cancel { id, reason } => session.cancel_task(id, reason)?,
    };
    if globals.json {
        output::json(&task)?;
        return Ok(0);
    }
    line(&task);
    for note in &task.history {
        let text = |field: &str| output::safe(note[field].as_str().unwrap_or_default());
        let reason = text("reason");
        let reason = if reason.is_empty() { reason } else { format!(": {reason}") };
        anstream::println!("  {FAINT}{}{FAINT:#}  {} {}{reason}", text("at"), text("by"), text("what"));
    }
    for path in &task.artifacts {
        anstream::println!("  {}", output::safe(path));
    }
    Ok(0)
}

fn new_task(command: &TaskCommand) -> anyhow::Result<NewTask> {
    let TaskCommand::Add {
        workspace,
        title,
        payload,
        to,
        capability,
        priority,
        due,
        depends_on,
        review,
        on_trouble,
    } = command
    else {
        anyhow::bail!("only `task add` makes a task");
    };
    let payload = payload.as_deref().map(serde_json::from_str).transpose();
    Ok(NewTask {
        workspace: workspace.clone(),
        title: Some(title.clone()),
        payload: payload.map_err(|error| anyhow::anyhow!("`--payload` is no JSON: {error}"))?,
        to: to.clone(),
        capability: capability.clone(),
        priority: *priority,
        due_at: due.clone(),
        depends_on: depends_on.clone(),
        review: *review,
        on_trouble: on_trouble.clone(),
        ..NewTask::default()
    })
}

fn line(task: &TaskInfo) {
    let held = task.holder.as_ref().map(|holder| format!(", held by {}", output::safe(holder)));
    let to = task.to.as_ref().map(|to| format!(" for {}", output::safe(to)));
    anstream::println!(
        "{STRONG}{}{STRONG:#}  {}  {}{}{}  {FAINT}{} of {} attempts{}{FAINT:#}",
        task.task_id,
        output::safe(&task.path),
        task.state.as_str(),
        to.unwrap_or_default(),
        held.unwrap_or_default(),
        task.attempts,
        task.max_attempts,
        output::aside(&task.title)
    );
    if let Some(error) = &task.last_error {
        anstream::println!("  {BAD}last error{BAD:#}: {}", output::safe(error));
    }
}
