//! `waypost approval`: changes that wait at a gate, and what is decided about them.

use anyhow::{Context, Result};
use clap::{Subcommand, ValueEnum};
use serde::Serialize;
use waypost_engine::access::ApprovalState;
use waypost_engine::api::{ApprovalInfo, Session, WriteReply};

use super::{Globals, Outcome, home};
use crate::output::{self, FAINT, STRONG};

#[derive(Subcommand)]
#[command(after_help = "Example: waypost approval list --state pending")]
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

/// A request that was decided, and what the change did where it was granted.
#[derive(Serialize)]
struct Decided {
    #[serde(flatten)]
    approval: ApprovalInfo,
    written: Option<WriteReply>,
}

pub fn run(globals: &Globals, command: &ApprovalCommand) -> Outcome {
    let session = home::owner(globals)?;
    match command {
        ApprovalCommand::List { state } => {
            output::list(globals.json, &session.approvals(state.map(StateArg::state))?, line)?;
        }
        ApprovalCommand::Show { id } => {
            let approval = session.approval(id)?;
            if globals.json {
                output::json(&approval)?;
            } else {
                show(&approval)?;
            }
        }
        ApprovalCommand::Grant { id, reason } => decide(globals, &session, id, true, reason.as_deref())?,
        ApprovalCommand::Deny { id, reason } => decide(globals, &session, id, false, reason.as_deref())?,
    }
    Ok(0)
}

fn decide(globals: &Globals, session: &Session, id: &str, grant: bool, reason: Option<&str>) -> Result<()> {
    let is_own = session.approval(id)?.requester == session.principal().id;
    let written = session.decide_approval(id, grant, reason);
    let written =
        if is_own { written.context("nobody decides about a request of their own")? } else { written? };
    let approval = session.approval(id)?;
    if globals.json {
        return output::json(&Decided { approval, written });
    }
    line(&approval);
    Ok(())
}

fn line(approval: &ApprovalInfo) {
    let act = approval.act["act"].as_str().unwrap_or("change");
    anstream::println!(
        "{STRONG}{}{STRONG:#}  {}  {}: {act} {}  {FAINT}{}{FAINT:#}",
        approval.id,
        approval.state.as_str(),
        output::safe(&approval.requester),
        output::safe(&approval.path),
        approval.created_at
    );
}

fn show(approval: &ApprovalInfo) -> Result<()> {
    line(approval);
    match (&approval.decided_by, &approval.decided_at) {
        (Some(by), Some(at)) => {
            let reason = output::aside(approval.reason.as_deref().unwrap_or_default());
            anstream::println!("  {FAINT}decided by {by} {at}{reason}{FAINT:#}");
        }
        _ => anstream::println!(
            "  {FAINT}gate {}, waits until {}{FAINT:#}",
            approval.gate,
            approval.expires_at
        ),
    }
    match &approval.diff {
        Some(diff) => output::diff(diff),
        None => {
            anstream::println!("  {FAINT}what would change can't be shown: no text, or too long{FAINT:#}");
            Ok(())
        }
    }
}
