//! `waypost lock`: leases that keep others from writing.

use anyhow::Result;
use clap::{Args, Subcommand};
use serde_json::{Value, json};
use waypost_engine::api::Session;
use waypost_engine::store::LockMode;

use super::place::{Ask, At, Place, text};
use super::{Globals, Outcome};
use crate::output::{self, FAINT, STRONG};

/// Said below the list of commands.
const EXAMPLES: &str = "Examples:\n  waypost lock take '/marketing/campaigns/**' --ttl 300\n  \
                        waypost lock list --url http://127.0.0.1:7077 --token wp_…";

#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub struct LockArgs {
    #[command(flatten)]
    at: At,
    #[command(subcommand)]
    command: LockCommand,
}

#[derive(Subcommand)]
enum LockCommand {
    /// All locks that hold
    #[command(after_help = "Example: waypost lock list")]
    List,
    /// Take a lock; while it holds, nobody else can write there
    #[command(after_help = "Example: waypost lock take '/marketing/campaigns/**' --ttl 300")]
    Take {
        /// A path or a pattern, such as `/docs/plan.md` or `/docs/drafts/**`
        pattern: String,
        /// Let others take shared locks there too
        #[arg(long)]
        shared: bool,
        /// How long it holds; a minute where it is missing
        #[arg(long, value_name = "SECONDS")]
        ttl: Option<u64>,
    },
    /// Give a lock back, whoever holds it
    #[command(after_help = "Example: waypost lock release lk_…")]
    Release {
        /// `lk_…`
        id: String,
    },
}

pub fn run(globals: &Globals, args: &LockArgs) -> Outcome {
    let place = args.at.place(globals)?;
    match &args.command {
        LockCommand::List => {
            output::list(globals.json, &place.all(Session::locks, Ask::get(&["locks"]))?, line)?;
        }
        LockCommand::Take { pattern, shared, ttl } => {
            let mode = if *shared { LockMode::Shared } else { LockMode::Exclusive };
            output::one(globals.json, &take(&place, pattern, mode, *ttl)?, line)?;
        }
        LockCommand::Release { id } => {
            place.one(|session| session.unlock(id), Ask::delete(&["locks", id]))?;
            output::done(globals.json, "released", id)?;
        }
    }
    Ok(0)
}

fn take(place: &Place, pattern: &str, mode: LockMode, ttl_s: Option<u64>) -> Result<Value> {
    let ttl_ms = ttl_s.map(|seconds| seconds.saturating_mul(1000));
    let ask = Ask::post(&["locks"], json!({"path": pattern, "mode": mode, "ttl_ms": ttl_ms}));
    place.one(|session| session.lock(pattern, mode, ttl_ms), ask)
}

fn line(lock: &Value) {
    out!(
        "{STRONG}{}{STRONG:#}  {}  {}, {}, fence {}  {FAINT}until {}{FAINT:#}",
        output::safe(text(lock, "id")),
        output::safe(text(lock, "path")),
        output::safe(text(lock, "mode")),
        output::safe(text(lock, "principal")),
        lock["fence"],
        output::safe(text(lock, "expires_at"))
    );
}
