//! `waypost agent`: cards of agents, and what lies before one and jams it.

use std::path::PathBuf;

use anyhow::{Context, Result};
use clap::{Args, Subcommand};
use serde_json::{Value, json};
use waypost_engine::api::{Session, TaskState};
use waypost_engine::budget::show_usd;
use waypost_engine::cards::AgentCard;

use super::place::{Ask, At, Place, items, text};
use super::{Globals, Outcome, input};
use crate::output::{self, BAD, FAINT, STRONG};

/// Said below the flags of `waypost agent add`.
const ADD_EXAMPLES: &str = "Examples:\n  waypost agent add lea.json\n  \
                            waypost agent add https://lea.example/.well-known/agent-card.json --id lea";

/// Said below the list of commands.
const EXAMPLES: &str = "Examples:\n  waypost agent inbox translator-de\n  \
                        waypost agent list --url http://127.0.0.1:7077 --token wp_…";

#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub struct AgentArgs {
    #[command(flatten)]
    at: At,
    #[command(subcommand)]
    command: AgentCommand,
}

#[derive(Subcommand)]
enum AgentCommand {
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
        state: Option<TaskState>,
    },
}

pub fn run(globals: &Globals, args: &AgentArgs) -> Outcome {
    let place = args.at.place(globals)?;
    match &args.command {
        AgentCommand::Add { card, id } => {
            let agent = add(&place, card, id.as_deref())?;
            shown(globals, &agent)?;
        }
        AgentCommand::List => {
            output::list(globals.json, &place.all(Session::agents, Ask::get(&["agents"]))?, agent_line)?;
        }
        AgentCommand::Show { name } => {
            shown(globals, &place.one(|session| session.agent(name), Ask::get(&["agents", name]))?)?;
        }
        AgentCommand::Remove { name } => {
            place.one(|session| session.remove_agent(name), Ask::delete(&["agents", name]))?;
        }
        AgentCommand::Lint => {
            let lint = Ask::post(&["route", "lint"], json!({}));
            return report(globals, &place.one(Session::lint_routes, lint)?);
        }
        AgentCommand::Inbox { name, state } => {
            let ask = Ask::get(&["agents", name, "inbox"]).with("state", state.map(TaskState::as_str));
            output::list(globals.json, &place.all(|session| session.inbox(name, *state), ask)?, line)?;
        }
    }
    Ok(0)
}

fn add(place: &Place, card: &str, id: Option<&str>) -> Result<Value> {
    if card.starts_with("https://") || card.starts_with("http://") {
        let id = id.context("a card from a URL needs `--id NAME`: it says who answers to it here")?;
        let ask = Ask::put(&["agents", id], json!({"card_url": card}));
        return place.one(|session| session.fetch_agent(id, card), ask);
    }
    let bytes = input(Some(&PathBuf::from(card)))?;
    let mut value: Value = serde_json::from_slice(&bytes).with_context(|| format!("`{card}` is no JSON"))?;
    let taken_as = id_of(id, &value)?;
    // It is taken in under the id that is given, whatever the file says.
    if let Some(object) = value.as_object_mut().filter(|_| id.is_some()) {
        object.remove("id");
    }
    let ask = Ask::put(&["agents", &taken_as], value.clone());
    place.one(|session| session.put_agent(&taken_as, &value), ask)
}

fn shown(globals: &Globals, agent: &Value) -> Result<()> {
    if globals.json {
        return output::json(agent);
    }
    print_agent(agent)
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

fn report(globals: &Globals, reply: &Value) -> Outcome {
    if globals.json {
        output::json(reply)?;
    } else {
        print_lint(reply);
    }
    Ok(u8::from(!items(reply, "findings").is_empty()))
}

fn print_lint(reply: &Value) {
    let findings = items(reply, "findings");
    for finding in findings {
        out!("{}", told(finding));
        for example in items(finding, "examples").iter().filter_map(Value::as_str) {
            out!("  {FAINT}{}{FAINT:#}", output::safe(example));
        }
    }
    let checked = match (reply["accuracy"].as_f64(), reply["entries"].as_u64()) {
        (Some(accuracy), _) => {
            format!("{:.1} % of {} examples find their own entry", 100.0 * accuracy, reply["examples"])
        }
        (None, Some(0)) => "no entries".to_owned(),
        (None, Some(1)) => "one entry: nothing to tell it apart from".to_owned(),
        (None, _) => "no examples to check with".to_owned(),
    };
    out!("{FAINT}{} findings · {checked}{FAINT:#}", findings.len());
}

fn agent_line(agent: &Value) {
    let open = agent["standing"]["open_tasks"].as_u64().map(|n_tasks| format!("  {n_tasks} open"));
    out!(
        "{STRONG}{}{STRONG:#}  {}{}",
        output::safe(text(agent, "id")),
        output::safe(text(agent, "name")),
        open.unwrap_or_default()
    );
}

fn print_agent(agent: &Value) -> Result<()> {
    let (card, _) = AgentCard::read(agent)?;
    agent_line(agent);
    out!("  {}", output::safe(&card.description));
    for capability in &card.capabilities {
        out!("  · {}", output::safe(&capability.name));
        print_examples("    ", &capability.examples);
    }
    print_examples("  ", &card.examples);
    if !card.counterexamples.is_empty() {
        out!("  not for it:");
        print_examples("    ", &card.counterexamples);
    }
    let terms = terms(&card);
    if !terms.is_empty() {
        out!("  {}", terms.join(" · "));
    }
    if let Some(reason) = agent["standing"]["unavailable"].as_str() {
        out!("  {BAD}takes nothing now{BAD:#}: {}", output::safe(reason));
    }
    print_findings(items(agent, "lint"));
    Ok(())
}

fn print_examples(indent: &str, examples: &[String]) {
    for example in examples {
        out!("{indent}{FAINT}\"{}\"{FAINT:#}", output::safe(example));
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
pub fn print_findings(findings: &[Value]) {
    for finding in findings {
        out!("  {}", told(finding));
    }
}

fn told(finding: &Value) -> String {
    let entries: Vec<&str> = items(finding, "entries").iter().filter_map(Value::as_str).collect();
    format!(
        "{BAD}{}{BAD:#} {STRONG}{}{STRONG:#}: {}",
        output::safe(text(finding, "fault")),
        output::safe(&entries.join(", ")),
        output::safe(text(finding, "detail"))
    )
}

fn line(entry: &Value) {
    let held = entry["holder"].as_str().map(|holder| format!(", held by {}", output::safe(holder)));
    out!(
        "{STRONG}{}{STRONG:#}  {}  {}{}  {FAINT}{} old, {} attempts{}{FAINT:#}",
        output::safe(text(entry, "task_id")),
        output::safe(text(entry, "path")),
        output::safe(text(entry, "state")),
        held.unwrap_or_default(),
        age(entry["age_seconds"].as_i64().unwrap_or_default()),
        entry["attempts"],
        output::aside(text(entry, "title"))
    );
    super::task::print_trouble(entry);
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
