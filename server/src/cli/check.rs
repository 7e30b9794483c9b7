//! `waypost check` and `waypost reindex`.

use std::sync::atomic::AtomicBool;

use clap::Args;
use waypost_engine::api::Engine;
use waypost_engine::id::WorkspaceName;

use super::home::{self, Fetch};
use super::{Globals, NOTHING, Outcome};
use crate::output::{self, BAD, Bar, FAINT, GOOD};

/// Said below the flags.
const EXAMPLES: &str = "Examples:\n  waypost check --home ./home\n  waypost check --repair";

#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub struct CheckArgs {
    /// Build anew what does not hold
    #[arg(long)]
    repair: bool,
}

pub fn run(globals: &Globals, args: &CheckArgs) -> Outcome {
    let (engine, _) = home::open_quietly(&home::locate(globals, None)?, globals)?;
    let report = engine.check(args.repair)?;
    if args.repair {
        index_all(&engine)?;
    }
    if globals.json {
        output::json(&report)?;
    } else {
        for finding in &report.findings {
            out!(
                "{BAD}{}{BAD:#} {}: {}",
                finding.code,
                output::safe(&finding.at),
                output::safe(&finding.what)
            );
        }
        out!(
            "{FAINT}compared {} files, {} chunks, {} acts{FAINT:#}",
            report.files,
            report.chunks,
            report.acts
        );
        if report.findings.is_empty() {
            out!("{GOOD}everything fits{GOOD:#}");
        }
        for what in &report.repaired {
            out!("{GOOD}repaired{GOOD:#} {}", output::safe(what));
        }
    }
    let is_sound = report.findings.is_empty() || (args.repair && engine.check(false)?.findings.is_empty());
    Ok(if is_sound { 0 } else { NOTHING })
}

pub fn reindex(globals: &Globals) -> Outcome {
    let (engine, _) = home::open(&home::locate(globals, None)?, globals, Fetch::IfMissing)?;
    engine.drop_indexes()?;
    index_all(&engine)?;
    let chunks: u64 = engine.owner_session().workspaces()?.iter().map(|info| info.chunks).sum();
    if globals.json {
        output::json(&serde_json::json!({"chunks": chunks}))?;
    } else {
        out!("{chunks} chunks");
    }
    Ok(0)
}

/// Brings every workspace up to its files.
pub fn index_all(engine: &Engine) -> anyhow::Result<()> {
    index(engine, &engine.workspace_names())
}

/// Brings some workspaces up to their files.
pub fn index(engine: &Engine, workspaces: &[WorkspaceName]) -> anyhow::Result<()> {
    let mut bar = Bar::new();
    for name in workspaces {
        engine.index(name, &AtomicBool::new(false), &mut |progress| bar.show(progress))?;
    }
    bar.finish();
    Ok(())
}
