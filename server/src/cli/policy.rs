//! `waypost policy`: principals, groups, grants and gates as one file.

use std::path::PathBuf;

use anyhow::{Context, Result};
use clap::{Args, Subcommand};
use serde_json::Value;

use super::place::{Ask, At, items};
use super::{Globals, NOTHING, Outcome};
use crate::output::{self, BAD, FAINT, GOOD};

/// Said below the list of commands.
const EXAMPLES: &str = "Examples:\n  waypost policy diff policy.toml\n  \
                        waypost policy diff policy.toml --url http://127.0.0.1:7077 --token wp_…";

#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub struct PolicyArgs {
    #[command(flatten)]
    at: At,
    #[command(subcommand)]
    command: PolicyCommand,
}

#[derive(Subcommand)]
pub enum PolicyCommand {
    /// What a policy file would change; exit code 1 where it would change anything
    #[command(after_help = "Example: waypost policy diff policy.toml")]
    Diff {
        /// TOML with `[[principal]]`, `[[group]]`, `[[grant]]` and `[[gate]]`; `-` for standard input
        file: PathBuf,
    },
    /// Make a policy file hold, and nothing else; tokens of principals that go are revoked
    #[command(after_help = "Example: waypost policy apply policy.toml --keep")]
    Apply {
        /// As for `diff`
        file: PathBuf,
        /// Take nothing away that the file does not name
        #[arg(long)]
        keep: bool,
        /// The file names nothing on purpose: every principal, grant and gate goes
        #[arg(long)]
        empty: bool,
    },
}

pub fn run(globals: &Globals, args: &PolicyArgs) -> Outcome {
    let (PolicyCommand::Diff { file } | PolicyCommand::Apply { file, .. }) = &args.command;
    let text = String::from_utf8(super::input(Some(file))?)
        .with_context(|| format!("`{}` is no policy: expected UTF-8 text", file.display()))?;
    let place = args.at.place(globals)?;
    let carried = |ask: Ask<'static>| ask.carrying("text/plain", text.clone().into_bytes());
    match &args.command {
        PolicyCommand::Diff { .. } => {
            let ask = carried(Ask::post(&["policy", "diff"], Value::Null));
            let diff = place.one(|session| session.diff_policy(&text), ask)?;
            print(globals, &diff, "it is what holds")?;
            Ok(if is_empty(&diff) { 0 } else { NOTHING })
        }
        PolicyCommand::Apply { keep, empty, .. } => {
            let ask = carried(Ask::put(&["policy"], Value::Null))
                .with("keep", keep.then_some("true"))
                .with("confirm", empty.then_some("empty"));
            let diff = place.one(|session| session.apply_policy(&text, *keep, *empty), ask)?;
            print(globals, &diff, "nothing changed")?;
            Ok(0)
        }
    }
}

fn is_empty(diff: &Value) -> bool {
    items(diff, "added").is_empty() && items(diff, "removed").is_empty()
}

fn print(globals: &Globals, diff: &Value, where_empty: &str) -> Result<()> {
    if globals.json {
        return output::json(diff);
    }
    let lines = |name: &str| items(diff, name).iter().filter_map(Value::as_str).map(output::safe);
    for line in lines("removed") {
        out!("{BAD}- {line}{BAD:#}");
    }
    for line in lines("added") {
        out!("{GOOD}+ {line}{GOOD:#}");
    }
    if is_empty(diff) {
        err!("{FAINT}{where_empty}{FAINT:#}");
    }
    Ok(())
}
