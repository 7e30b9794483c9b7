//! `waypost approval`: changes that wait at a gate, and what is decided about them.

use anyhow::{Context, Result};
use clap::{Args, Subcommand, ValueEnum};
use serde_json::{Value, json};
use waypost_engine::access::ApprovalState;
use waypost_engine::api::Session;

use super::place::{Ask, At, Place, text};
use super::{Globals, Outcome};
use crate::output::{self, FAINT, STRONG};

/// Said below the list of commands.
const EXAMPLES: &str = "Examples:\n  waypost approval list --state pending\n  \
                        waypost approval grant ap_… --url http://127.0.0.1:7077 --token wp_…";

#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub struct ApprovalArgs {
    #[command(flatten)]
    at: At,
    #[command(subcommand)]
    command: ApprovalCommand,
}

#[derive(Subcommand)]
pub enum ApprovalCommand {
    /// Everything that waits or was decided, newest first
    #[command(after_help = "Example: waypost approval list --state pending")]
    List {
        /// Only these
        #[arg(long)]
        state: Option<StateArg>,
    },
    /// One request, with what would change
    #[command(after_help = "Example: waypost approval show ap_…")]
    Show {
        /// `ap_…`
        id: String,
    },
    /// Let a change through; it happens at once. Nobody may grant what they asked for themselves
    #[command(after_help = "Example: waypost approval grant ap_… --reason 'read and agreed'")]
    Grant {
        /// `ap_…`
        id: String,
        /// For who asked
        #[arg(long)]
        reason: Option<String>,
    },
    /// Refuse a change
    #[command(after_help = "Example: waypost approval deny ap_… --reason 'clause 4 is missing'")]
    Deny {
        /// `ap_…`
        id: String,
        /// For who asked
        #[arg(long)]
        reason: Option<String>,
    },
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum StateArg {
    /// Waits
    Pending,
    /// The change has happened
    Granted,
    /// Somebody said no
    Denied,
    /// What was to change has changed meanwhile, or it waited too long
    Stale,
}

impl StateArg {
    fn state(self) -> ApprovalState {
        match self {
            Self::Pending => ApprovalState::Pending,
            Self::Granted => ApprovalState::Granted,
            Self::Denied => ApprovalState::Denied,
            Self::Stale => ApprovalState::Stale,
        }
    }
}

pub fn run(globals: &Globals, args: &ApprovalArgs) -> Outcome {
    let place = args.at.place(globals)?;
    match &args.command {
        ApprovalCommand::List { state } => {
            let state = state.map(StateArg::state);
            let ask = Ask::get(&["approvals"]).with("state", state.map(ApprovalState::as_str));
            output::list(globals.json, &place.all(|session| session.approvals(state), ask)?, line)?;
        }
        ApprovalCommand::Show { id } => {
            let approval = one(&place, id)?;
            if globals.json {
                output::json(&approval)?;
            } else {
                show(&approval)?;
            }
        }
        ApprovalCommand::Grant { id, reason } => decide(globals, &place, id, true, reason.as_deref())?,
        ApprovalCommand::Deny { id, reason } => decide(globals, &place, id, false, reason.as_deref())?,
    }
    Ok(0)
}

fn one(place: &Place, id: &str) -> Result<Value> {
    place.one(|session| session.approval(id), Ask::get(&["approvals", id]))
}

fn decide(globals: &Globals, place: &Place, id: &str, grant: bool, reason: Option<&str>) -> Result<()> {
    let at_home = |session: &Session| -> Result<Value> {
        let is_own = session.approval(id)?.requester == session.principal().id;
        let written = session.decide_approval(id, grant, reason);
        let written =
            if is_own { written.context("nobody decides about a request of their own")? } else { written? };
        Ok(json!({"result": written}))
    };
    let way = ["approvals", id, if grant { "grant" } else { "deny" }];
    let decided = place.one(at_home, Ask::post(&way, json!({"reason": reason})))?;
    let mut approval = one(place, id)?;
    if globals.json {
        // What the change did, where it was granted.
        approval["written"] = decided["result"].clone();
        return output::json(&approval);
    }
    line(&approval);
    Ok(())
}

fn line(approval: &Value) {
    let act = approval["act"]["act"].as_str().unwrap_or("change");
    out!(
        "{STRONG}{}{STRONG:#}  {}  {}: {act} {}  {FAINT}{}{FAINT:#}",
        output::safe(text(approval, "id")),
        output::safe(text(approval, "state")),
        output::safe(text(approval, "requester")),
        output::safe(text(approval, "path")),
        output::safe(text(approval, "created_at"))
    );
}

fn show(approval: &Value) -> Result<()> {
    line(approval);
    match (approval["decided_by"].as_str(), approval["decided_at"].as_str()) {
        (Some(by), Some(at)) => {
            let reason = output::aside(text(approval, "reason"));
            out!("  {FAINT}decided by {by} {at}{reason}{FAINT:#}");
        }
        _ => out!(
            "  {FAINT}gate {}, waits until {}{FAINT:#}",
            output::safe(text(approval, "gate")),
            output::safe(text(approval, "expires_at"))
        ),
    }
    match approval["diff"].as_str() {
        Some(diff) => output::diff(diff),
        None => {
            out!("  {FAINT}what would change can't be shown: no text, or too long{FAINT:#}");
            Ok(())
        }
    }
}
