//! `waypost policy`: principals, groups, grants and gates as one file.

use std::path::PathBuf;

use anyhow::{Context, Result};
use clap::Subcommand;
use waypost_engine::access::PolicyDiff;

use super::{Globals, NOTHING, Outcome, home};
use crate::output::{self, BAD, FAINT, GOOD};

#[derive(Subcommand)]
#[command(after_help = "Example: waypost policy diff policy.toml")]
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

pub fn run(globals: &Globals, command: &PolicyCommand) -> Outcome {
    let (PolicyCommand::Diff { file } | PolicyCommand::Apply { file, .. }) = command;
    let text = String::from_utf8(super::input(Some(file))?)
        .with_context(|| format!("`{}` is no policy: expected UTF-8 text", file.display()))?;
    let session = home::owner(globals)?;
    match command {
        PolicyCommand::Diff { .. } => {
            let diff = session.diff_policy(&text)?;
            print(globals, &diff, "it is what holds")?;
            Ok(if diff.is_empty() { 0 } else { NOTHING })
        }
        PolicyCommand::Apply { keep, empty, .. } => {
            print(globals, &session.apply_policy(&text, *keep, *empty)?, "nothing changed")?;
            Ok(0)
        }
    }
}

fn print(globals: &Globals, diff: &PolicyDiff, where_empty: &str) -> Result<()> {
    if globals.json {
        return output::json(diff);
    }
    for line in &diff.removed {
        anstream::println!("{BAD}- {}{BAD:#}", output::safe(line));
    }
    for line in &diff.added {
        anstream::println!("{GOOD}+ {}{GOOD:#}", output::safe(line));
    }
    if diff.is_empty() {
        anstream::eprintln!("{FAINT}{where_empty}{FAINT:#}");
    }
    Ok(())
}
