//! `waypost lock`: leases that keep others from writing.

use clap::Subcommand;
use waypost_engine::api::LockInfo;
use waypost_engine::store::LockMode;

use super::{Globals, Outcome, home};
use crate::output::{self, FAINT, STRONG};

#[derive(Subcommand)]
#[command(after_help = "Example: waypost lock take '/marketing/campaigns/**' --ttl 300")]
pub enum LockCommand {
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

pub fn run(globals: &Globals, command: &LockCommand) -> Outcome {
    let session = home::owner(globals)?;
    match command {
        LockCommand::List => output::list(globals.json, &session.locks()?, line)?,
        LockCommand::Take { pattern, shared, ttl } => {
            let mode = if *shared { LockMode::Shared } else { LockMode::Exclusive };
            let ttl_ms = ttl.map(|seconds| seconds.saturating_mul(1000));
            let lock = session.lock(pattern, mode, ttl_ms)?;
            if globals.json {
                output::json(&lock)?;
            } else {
                line(&lock);
            }
        }
        LockCommand::Release { id } => {
            session.unlock(id)?;
            output::done(globals.json, "released", id)?;
        }
    }
    Ok(0)
}

fn line(lock: &LockInfo) {
    let mode = if lock.mode == LockMode::Shared { "shared" } else { "exclusive" };
    anstream::println!(
        "{STRONG}{}{STRONG:#}  {}  {mode}, {}, fence {}  {FAINT}until {}{FAINT:#}",
        lock.id,
        output::safe(&lock.path),
        output::safe(&lock.principal),
        lock.fence,
        lock.expires_at
    );
}
