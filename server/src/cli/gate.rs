//! `waypost gate`: places where a change waits until somebody with `approve` lets it through.

use clap::Subcommand;
use waypost_engine::access::{Gate, Verb};
use waypost_engine::api::Error;

use super::grant::words;
use super::{Globals, Outcome, home};
use crate::output::{self, FAINT, STRONG};

/// Said below the flags of `waypost gate add`.
const ADD_EXAMPLE: &str =
    "Example: waypost gate add '/contracts/approved/**' --verb write --note 'a person reads it first'";

#[derive(Subcommand)]
#[command(after_help = "Example: waypost gate add '/contracts/approved/**'")]
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

pub fn run(globals: &Globals, command: &GateCommand) -> Outcome {
    let session = home::owner(globals)?;
    match command {
        GateCommand::List => output::list(globals.json, &session.gates()?, line)?,
        GateCommand::Add { pattern, verbs, note } => {
            let note = note.as_deref().unwrap_or_default();
            let gate = Gate::new(pattern, verbs.iter().copied().collect(), note).map_err(Error::from)?;
            let (gate, _) = session.put_gate(&gate)?;
            if globals.json {
                output::json(&gate)?;
            } else {
                line(&gate);
            }
        }
        GateCommand::Remove { id } => {
            session.remove_gate(id)?;
            output::done(globals.json, "removed", id)?;
        }
    }
    Ok(0)
}

fn line(gate: &Gate) {
    anstream::println!(
        "{STRONG}{}{STRONG:#}  {} on {}{FAINT}{}{FAINT:#}",
        gate.id,
        words(&gate.verbs),
        output::safe(gate.pattern.as_str()),
        output::aside(&gate.note)
    );
}
