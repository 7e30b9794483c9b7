//! `waypost agent`: cards of agents, and what lies before one and jams it.

use std::path::PathBuf;

use anyhow::Context;
use clap::Subcommand;
use serde_json::Value;
use waypost_engine::api::{AgentInfo, InboxEntry, LintReply};
use waypost_engine::budget::show_usd;
use waypost_engine::cards::AgentCard;
use waypost_engine::route::Finding;

use super::{Globals, Outcome, home, input};
use crate::output::{self, BAD, FAINT, STRONG};

/// Said below the flags of `waypost agent add`.
const ADD_EXAMPLES: &str = "Examples:\n  waypost agent add lea.json\n  \
                            waypost agent add https://lea.example/.well-known/agent-card.json --id lea";

#[derive(Subcommand)]
#[command(after_help = "Example: waypost agent inbox translator-de")]
pub enum AgentCommand {
    /// Register an agent by its card: Waypost's own JSON, or an A2A agent card
    #[command(after_help = ADD_EXAMPLES)]
    Add {
        /// A file, `-` for standard input, or the URL of a card such as `https://host/.well-known/agent-card.json`
        card: String,
        /// `researcher`, or `agent:researcher`; of a file the card's `id`, or its name, where it is missing; a URL needs it
        #[arg(long)]
        id: Option<String>,
    },
    /// List the agents
    #[command(after_help = "Example: waypost agent list")]
    List,
    /// Show an agent's card, and how it stands
    #[command(after_help = "Example: waypost agent show contract-reviewer")]
    Show {
        /// `researcher`, or `agent:researcher`
        name: String,
    },
    /// Forget an agent's card; its principal, grants and inbox stay
    #[command(after_help = "Example: waypost agent remove contract-reviewer")]
    Remove {
        /// `researcher`, or `agent:researcher`
        name: String,
    },
    /// Find collisions, dead and over-broad entries among agents and tools
    #[command(after_help = "Example: waypost agent lint")]
    Lint,
    /// What waits for an agent or is stuck with it, oldest first: age, attempts, last error
    #[command(after_help = "Example: waypost agent inbox translator-de --state pending")]
    Inbox {
        /// `researcher`, or `agent:researcher`
        name: String,
        /// Only in this state: pending, waiting, in-progress, review, done, failed
        #[arg(long, value_parser = super::task::read_state)]
        state: Option<waypost_engine::api::TaskState>,
    },
}

pub fn run(globals: &Globals, command: &AgentCommand) -> Outcome {
    let session = home::owner(globals)?;
    match command {
        AgentCommand::Add { card, id } => {
            let agent = if card.starts_with("https://") || card.starts_with("http://") {
                let id = id
                    .as_deref()
                    .context("a card from a URL needs `--id NAME`: it says who answers to it here")?;
                session.fetch_agent(id, card)?
            } else {
                let bytes = input(Some(&PathBuf::from(card)))?;
                let mut value: Value =
                    serde_json::from_slice(&bytes).with_context(|| format!("`{card}` is no JSON"))?;
                let taken_as = id_of(id.as_deref(), &value)?;
                // It is taken in under the id that is given, whatever the file says.
                if let Some(object) = value.as_object_mut().filter(|_| id.is_some()) {
                    object.remove("id");
                }
                session.put_agent(&taken_as, &value)?
            };
            output::one(globals.json, &agent, print_agent)?;
            Ok(0)
        }
        AgentCommand::List => {
            output::list(globals.json, &session.agents()?, agent_line)?;
            Ok(0)
        }
        AgentCommand::Show { name } => {
            output::one(globals.json, &session.agent(name)?, print_agent)?;
            Ok(0)
        }
        AgentCommand::Remove { name } => {
            session.remove_agent(name)?;
            Ok(0)
        }
        AgentCommand::Lint => lint(globals, &session.lint_routes()?),
        AgentCommand::Inbox { name, state } => {
            output::list(globals.json, &session.inbox(name, *state)?, line)?;
            Ok(0)
        }
    }
}

/// Under which id a card is taken in: the one that is given, the card's own, or its name in small letters.
fn id_of(given: Option<&str>, card: &Value) -> anyhow::Result<String> {
    if let Some(id) = given.or_else(|| card.get("id").and_then(Value::as_str)) {
        return Ok(id.to_owned());
    }
    let name = card.get("name").and_then(Value::as_str).context("the card has no `name`")?;
    let words: Vec<String> = name
        .split(|c: char| !c.is_alphanumeric())
        .filter(|word| !word.is_empty())
        .map(str::to_lowercase)
        .collect();
    Ok(words.join("-"))
}

fn lint(globals: &Globals, reply: &LintReply) -> Outcome {
    if globals.json {
        output::json(reply)?;
    } else {
        print_lint(reply);
    }
    Ok(u8::from(!reply.findings.is_empty()))
}

fn print_lint(reply: &LintReply) {
    for finding in &reply.findings {
        anstream::println!(
            "{BAD}{}{BAD:#} {STRONG}{}{STRONG:#}: {}",
            finding.fault.as_str(),
            output::safe(&finding.entries.join(", ")),
            output::safe(&finding.detail)
        );
        for example in &finding.examples {
            anstream::println!("  {FAINT}{}{FAINT:#}", output::safe(example));
        }
    }
    let accuracy = reply.accuracy.map_or_else(
        || "no examples to check with".to_owned(),
        |accuracy| format!("{:.1} % of {} examples find their own entry", 100.0 * accuracy, reply.examples),
    );
    anstream::println!("{FAINT}{} findings · {accuracy}{FAINT:#}", reply.findings.len());
}

fn agent_line(agent: &AgentInfo) {
    let open = agent.standing.as_ref().map(|standing| format!("  {} open", standing.open_tasks));
    anstream::println!(
        "{STRONG}{}{STRONG:#}  {}{}",
        agent.id,
        output::safe(&agent.card.name),
        open.unwrap_or_default()
    );
}

fn print_agent(agent: &AgentInfo) {
    agent_line(agent);
    anstream::println!("  {}", output::safe(&agent.card.description));
    for capability in &agent.card.capabilities {
        anstream::println!("  · {}", output::safe(&capability.name));
        print_examples("    ", &capability.examples);
    }
    print_examples("  ", &agent.card.examples);
    if !agent.card.counterexamples.is_empty() {
        anstream::println!("  not for it:");
        print_examples("    ", &agent.card.counterexamples);
    }
    let told = terms(&agent.card);
    if !told.is_empty() {
        anstream::println!("  {}", told.join(" · "));
    }
    let unavailable = agent.standing.as_ref().and_then(|standing| standing.unavailable.as_ref());
    if let Some(reason) = unavailable {
        anstream::println!("  {BAD}takes nothing now{BAD:#}: {}", output::safe(reason));
    }
    print_findings(agent.lint.as_deref().unwrap_or_default());
}

fn print_examples(indent: &str, examples: &[String]) {
    for example in examples {
        anstream::println!("{indent}{FAINT}\"{}\"{FAINT:#}", output::safe(example));
    }
}

/// What handing it something costs, and how much it takes.
fn terms(card: &AgentCard) -> Vec<String> {
    let price = card.price;
    [
        (price.usd_micros > 0).then(|| format!("{} USD a call", show_usd(price.usd_micros))),
        (price.tokens > 0).then(|| format!("{} tokens a call", price.tokens)),
        card.limits.max_open_tasks.map(|max| format!("at most {max} open tasks")),
        card.limits.tasks_per_hour.map(|max| format!("at most {max} tasks an hour")),
        card.endpoint.as_ref().map(|endpoint| format!("at {}", output::safe(endpoint))),
        card.inbox.as_ref().map(|inbox| format!("inbox in {}", output::safe(inbox))),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// What is wrong with an entry beside the others, below what was taken in.
pub fn print_findings(findings: &[Finding]) {
    for finding in findings {
        anstream::println!(
            "  {BAD}{}{BAD:#} {}: {}",
            finding.fault.as_str(),
            output::safe(&finding.entries.join(", ")),
            output::safe(&finding.detail)
        );
    }
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

    #[test]
    fn price_and_limits_are_told() {
        let card = serde_json::json!({"name": "Lea", "price": {"usd_per_call": 0.09}, "limits": {"max_open_tasks": 3}});
        let (card, _) = waypost_engine::cards::AgentCard::read(&card).unwrap();
        assert_eq!(super::terms(&card), ["0.09 USD a call", "at most 3 open tasks"]);
    }

    #[test]
    fn a_card_says_who_it_is() {
        let id = |given: Option<&str>, card: serde_json::Value| super::id_of(given, &card).unwrap();
        let card = serde_json::json!({"name": "Contract Reviewer (EU)"});
        assert_eq!(id(None, card.clone()), "contract-reviewer-eu");
        assert_eq!(id(Some("lea"), card), "lea");
        assert_eq!(id(None, serde_json::json!({"id": "agent:lea", "name": "Lea"})), "agent:lea");
    }
}
