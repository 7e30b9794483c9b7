//! `waypost prune`: forgets old versions.

use clap::Args;
use waypost_engine::api::Retention;

use super::{Globals, Outcome, home};
use crate::output;

const DAY_MS: i64 = 24 * 3600 * 1000;

/// Said below the flags.
const EXAMPLES: &str = "Examples:\n  waypost prune --keep-versions 20 --keep-days 90 --dry-run\n  \
                        waypost prune --keep-days 90";

#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub struct PruneArgs {
    /// Keep so many newest versions of each path
    #[arg(long, value_name = "N", required_unless_present = "keep_days")]
    keep_versions: Option<usize>,
    /// Keep every version that was the newest within so many days
    #[arg(long, value_name = "N")]
    keep_days: Option<u32>,
    /// Only count what would go
    #[arg(long)]
    dry_run: bool,
}

pub fn run(globals: &Globals, args: &PruneArgs) -> Outcome {
    let retention = Retention {
        versions: args.keep_versions,
        age_ms: args.keep_days.map(|days| i64::from(days) * DAY_MS),
    };
    let report = home::owner(globals)?.prune(retention, args.dry_run)?;
    if globals.json {
        output::json(&report)?;
        return Ok(0);
    }
    let did = if report.dry_run { "would forget" } else { "forgot" };
    out!("{did} {} versions, {} bytes", report.versions, report.bytes);
    Ok(0)
}
