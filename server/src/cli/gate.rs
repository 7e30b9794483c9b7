//! `waypost gate`: places where a change waits until somebody with `approve` lets it through.

use clap::{Args, Subcommand};
use serde_json::{Value, json};
use waypost_engine::access::{Gate, Verb};
use waypost_engine::api::{Error, Session};

use super::place::{Ask, At, joined, text};
use super::{Globals, Outcome};
use crate::output::{self, FAINT, STRONG};

/// Said below the flags of `waypost gate add`.
const ADD_EXAMPLE: &str =
    "Example: waypost gate add '/contracts/approved/**' --verb write --note 'a person reads it first'";

/// Said below the list of commands.
const EXAMPLES: &str = "Examples:\n  waypost gate add '/contracts/approved/**'\n  \
                        waypost gate list --url http://127.0.0.1:7077 --token wp_…";

#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub struct GateArgs {
    #[command(flatten)]
    at: At,
    #[command(subcommand)]
    command: GateCommand,
}

#[derive(Subcommand)]
pub enum GateCommand {
    /// All gates
    #[command(after_help = "Example: waypost gate list")]
    List,
    /// Put a gate up: a change there waits for an approval, unless who makes it has `approve`
    #[command(after_help = ADD_EXAMPLE)]
    Add {
        /// Over paths, such as `/contracts/approved/**`
        pattern: String,
        /// What waits: write (also moving and copying into it) or delete; both where none is given
        #[arg(long = "verb", value_name = "VERB")]
        verbs: Vec<Verb>,
        /// For people
        #[arg(long)]
        note: Option<String>,
    },
    /// Take a gate down; what has passed it stays approved
    #[command(after_help = "Example: waypost gate remove gt_…")]
    Remove {
        /// `gt_…`
        id: String,
    },
}

pub fn run(globals: &Globals, args: &GateArgs) -> Outcome {
    let place = args.at.place(globals)?;
    match &args.command {
        GateCommand::List => {
            output::list(globals.json, &place.all(Session::gates, Ask::get(&["gates"]))?, line)?;
        }
        GateCommand::Add { pattern, verbs, note } => {
            let note = note.as_deref().unwrap_or_default();
            let gate = Gate::new(pattern, verbs.iter().copied().collect(), note).map_err(Error::from)?;
            let body = json!({"path": pattern, "verbs": gate.verbs, "note": note});
            let at_home = |session: &Session| session.put_gate(&gate).map(|(gate, _)| gate);
            output::one(globals.json, &place.one(at_home, Ask::post(&["gates"], body))?, line)?;
        }
        GateCommand::Remove { id } => {
            place.one(|session| session.remove_gate(id), Ask::delete(&["gates", id]))?;
            output::done(globals.json, "removed", id)?;
        }
    }
    Ok(0)
}

fn line(gate: &Value) {
    out!(
        "{STRONG}{}{STRONG:#}  {} on {}{FAINT}{}{FAINT:#}",
        output::safe(text(gate, "id")),
        output::safe(&joined(gate, "verbs", ", ")),
        output::safe(text(gate, "pattern")),
        output::aside(text(gate, "note"))
    );
}
