//! `waypost agent`: what lies before an agent, and what jams it.

use clap::Subcommand;
use waypost_engine::api::InboxEntry;

use super::{Globals, Outcome, home};
use crate::output::{self, BAD, FAINT, STRONG};

#[derive(Subcommand)]
pub enum AgentCommand {
    /// What waits for an agent or is stuck with it, oldest first: age, attempts, last error
    Inbox {
        /// `researcher`, or `agent:researcher`
        name: String,
        /// Only in this state: pending, waiting, in-progress, review, done, failed
        #[arg(long, value_parser = super::task::read_state)]
        state: Option<waypost_engine::api::TaskState>,
    },
}

pub fn run(globals: &Globals, command: &AgentCommand) -> Outcome {
    let AgentCommand::Inbox { name, state } = command;
    let entries = home::owner(globals)?.inbox(name, *state)?;
    output::list(globals.json, &entries, line)?;
    Ok(0)
}

fn line(entry: &InboxEntry) {
    let held = entry.holder.as_ref().map(|holder| format!(", held by {}", output::safe(holder)));
    anstream::println!(
        "{STRONG}{}{STRONG:#}  {}  {}{}  {FAINT}{} old, {} attempts{}{FAINT:#}",
        entry.task_id,
        output::safe(&entry.path),
        entry.state.as_str(),
        held.unwrap_or_default(),
        age(entry.age_seconds),
        entry.attempts,
        output::aside(&entry.title)
    );
    if let Some(error) = &entry.last_error {
        anstream::println!("  {BAD}last error{BAD:#}: {}", output::safe(error));
    }
}

/// As people say it: the two largest units.
fn age(seconds: i64) -> String {
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3600 % 24, seconds / 60 % 60);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds} s"),
        (0, 0, _) => format!("{minutes} min {} s", seconds % 60),
        (0, ..) => format!("{hours} h {minutes} min"),
        _ => format!("{days} d {hours} h"),
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn an_age_is_told_in_two_units() {
        let shown = [5, 125, 3700, 200_000].map(super::age);
        assert_eq!(shown, ["5 s", "2 min 5 s", "1 h 1 min", "2 d 7 h"]);
    }
}
