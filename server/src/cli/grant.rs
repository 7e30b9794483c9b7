//! `waypost grant`: who may do what, and which rule decides it.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Result;
use clap::{Args, Subcommand};
use serde_json::{Map, Value, json};
use waypost_engine::access::{AccessError, Effect, Grant, Target, Verb};
use waypost_engine::api::{Error, Session};

use super::place::{Ask, At, Place, joined, text};
use super::{Globals, Outcome, REFUSED, find};
use crate::output::{self, BAD, FAINT, GOOD, STRONG};

/// Said below the flags of `waypost grant explain`.
const EXPLAIN_EXAMPLES: &str = "Examples:\n  waypost grant explain agent:signer read /contracts/drafts/nda.md\n  \
                                waypost grant explain agent:coder call git.push --tool --argument branch=main";

/// Said below the list of commands.
const EXAMPLES: &str = "Examples:\n  waypost grant add agent:researcher list,read '/docs/**'\n  \
                        waypost grant list --url http://127.0.0.1:7077 --token wp_…";

#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub struct GrantArgs {
    #[command(flatten)]
    at: At,
    #[command(subcommand)]
    command: GrantCommand,
}

#[derive(Subcommand)]
pub enum GrantCommand {
    /// All grants; what none of them gives is not allowed
    #[command(after_help = "Example: waypost grant list")]
    List,
    /// Give rights, or take them with `--deny`, which wins over every grant that gives
    Add(AddArgs),
    /// One grant
    #[command(after_help = "Example: waypost grant show gr_…")]
    Show {
        /// `gr_…`
        id: String,
    },
    /// Take a grant away
    #[command(after_help = "Example: waypost grant remove gr_…")]
    Remove {
        /// `gr_…`
        id: String,
    },
    /// Whether somebody may do something, and which rule decides; exit code 3 where they may not
    Explain(ExplainArgs),
}

#[derive(Args)]
#[command(after_help = "Example: waypost grant add agent:researcher list,read '/docs/**'")]
pub struct AddArgs {
    /// A principal or a group, such as `agent:researcher` or `group:writers`
    who: String,
    /// What, separated by commas: list, read, write, delete, approve, call (tools), dispatch (agents), admin
    #[arg(value_parser = parse_verbs)]
    verbs: BTreeSet<Verb>,
    /// On what: patterns such as `/docs/**`, or `payments.*` for tools and agents
    #[arg(value_name = "TARGET", required = true)]
    targets: Vec<String>,
    /// Take the rights instead of giving them
    #[arg(long)]
    deny: bool,
    #[command(flatten)]
    kind: TargetArgs,
    /// Only for calls of a tool with such an argument, such as `branch=main` or `repo=acme/*`; of several with one name one
    /// must match, of several names all
    #[arg(long, value_name = "NAME=PATTERN", value_parser = parse_argument)]
    argument: Vec<(String, String)>,
    /// For people
    #[arg(long)]
    note: Option<String>,
}

#[derive(Args)]
#[command(after_help = EXPLAIN_EXAMPLES)]
pub struct ExplainArgs {
    /// Who
    principal: String,
    /// What: list, read, write, delete, approve, call, dispatch or admin
    verb: Verb,
    /// On what: `/workspace/folder/file`, or the id of a tool or agent
    target: String,
    #[command(flatten)]
    kind: TargetArgs,
    /// An argument of the call of a tool; may be given several times
    #[arg(long, value_name = "NAME=VALUE", value_parser = parse_argument)]
    argument: Vec<(String, String)>,
}

/// What a target is, where it is no path.
#[derive(Args)]
pub struct TargetArgs {
    /// The target is a tool
    #[arg(long, conflicts_with = "agent")]
    tool: bool,
    /// The target is an agent
    #[arg(long)]
    agent: bool,
}

impl TargetArgs {
    fn target(&self) -> Target {
        match (self.tool, self.agent) {
            (true, _) => Target::Tool,
            (_, true) => Target::Agent,
            _ => Target::Path,
        }
    }

    /// As a server calls it.
    fn name(&self) -> &'static str {
        match self.target() {
            Target::Path => "path",
            Target::Tool => "tool",
            Target::Agent => "agent",
        }
    }
}

fn parse_argument(text: &str) -> Result<(String, String), String> {
    let pair = text.split_once('=').filter(|(name, _)| !name.is_empty());
    let pair = pair.ok_or("expected NAME=VALUE, such as `branch=main`")?;
    Ok((pair.0.to_owned(), pair.1.to_owned()))
}

fn parse_verbs(text: &str) -> Result<BTreeSet<Verb>, AccessError> {
    text.split(',').map(|word| word.trim().parse::<Verb>()).collect()
}

pub fn run(globals: &Globals, args: &GrantArgs) -> Outcome {
    let place = args.at.place(globals)?;
    match &args.command {
        GrantCommand::List => {
            output::list(globals.json, &place.all(Session::grants, Ask::get(&["grants"]))?, line)?;
        }
        GrantCommand::Add(args) => output::one(globals.json, &add(&place, args)?, line)?,
        GrantCommand::Show { id } => {
            let at_home =
                |session: &Session| find(&session.grants()?, "grant", id, |grant| &grant.id).cloned();
            output::one(globals.json, &place.one(at_home, Ask::get(&["grants", id]))?, line)?;
        }
        GrantCommand::Remove { id } => {
            place.one(|session| session.remove_grant(id), Ask::delete(&["grants", id]))?;
            output::done(globals.json, "removed", id)?;
        }
        GrantCommand::Explain(args) => {
            let explanation = explain(&place, args)?;
            output::one(globals.json, &explanation, print)?;
            return Ok(if explanation["allowed"] == true { 0 } else { REFUSED });
        }
    }
    Ok(0)
}

fn explain(place: &Place, args: &ExplainArgs) -> Result<Value> {
    let (target, arguments) = (args.kind.target(), call_arguments(&args.argument));
    if arguments.is_some() && (target, args.verb) != (Target::Tool, Verb::Call) {
        return Err(Error::invalid_call_arguments().into());
    }
    let at_home = |session: &Session| match &arguments {
        Some(arguments) => session.explain_call(&args.principal, &args.target, arguments),
        None => session.explain_grant(&args.principal, args.verb, target, &args.target),
    };
    let ask = Ask::get(&["grants", "explain"])
        .with("principal", Some(&args.principal))
        .with("verb", Some(args.verb.as_str()))
        .with(args.kind.name(), Some(&args.target))
        .with("arguments", arguments.as_ref().map(Value::to_string).as_deref());
    place.one(at_home, ask)
}

/// An object of them; a value that is JSON is that, any other is text.
fn call_arguments(given: &[(String, String)]) -> Option<Value> {
    let value = |text: &String| serde_json::from_str(text).unwrap_or_else(|_| Value::from(text.as_str()));
    (!given.is_empty()).then(|| given.iter().map(|(name, text)| (name.clone(), value(text))).collect())
}

fn add(place: &Place, args: &AddArgs) -> Result<Value> {
    let effect = if args.deny { Effect::Deny } else { Effect::Allow };
    let note = args.note.as_deref().unwrap_or_default();
    let mut arguments: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (name, pattern) in &args.argument {
        arguments.entry(name.clone()).or_default().push(pattern.clone());
    }
    let grant = Grant::new(&args.who, args.kind.target(), &args.targets, args.verbs.clone(), effect, note);
    let grant = grant.and_then(|grant| grant.with_arguments(&arguments)).map_err(Error::from)?;
    let target = args.kind.name();
    let body = json!({
        "to": args.who, target: args.targets, "verbs": args.verbs, "effect": effect, "arguments": arguments,
        "note": note,
    });
    place.one(|session| session.put_grant(&grant).map(|_| &grant), Ask::post(&["grants"], body))
}

fn line(grant: &Value) {
    out!("{STRONG}{}{STRONG:#}  {}", output::safe(text(grant, "id")), output::safe(&sentence(grant)));
}

/// As the engine says it.
fn sentence(grant: &Value) -> String {
    let conditions = grant["arguments"].as_object().into_iter().flat_map(Map::keys);
    let conditions: Vec<String> =
        conditions.map(|name| format!("{name} is {}", joined(&grant["arguments"], name, " or "))).collect();
    let conditions =
        if conditions.is_empty() { String::new() } else { format!(" where {}", conditions.join(", ")) };
    let note = match text(grant, "note") {
        "" => String::new(),
        note => format!(" ({note})"),
    };
    format!(
        "{} {} {} on {} {}{conditions}{note}",
        text(grant, "to"),
        text(grant, "effect"),
        joined(grant, "verbs", ", "),
        text(grant, "target"),
        joined(grant, "patterns", ", ")
    )
}

fn print(explanation: &Value) {
    let (style, outcome) = if explanation["allowed"] == true { (GOOD, "allowed") } else { (BAD, "denied") };
    out!(
        "{style}{outcome}{style:#}  {}  {FAINT}rule {}{FAINT:#}",
        output::safe(text(explanation, "sentence")),
        output::safe(text(explanation, "rule"))
    );
    if let Some(gate) = explanation["gate"].as_str() {
        let gate = output::safe(gate);
        out!("  gate {STRONG}{gate}{STRONG:#} stands before it: the act waits for an approval");
    }
}

#[cfg(test)]
mod tests {
    use waypost_engine::access::describe;

    use super::*;

    #[test]
    fn a_grant_is_told_in_the_words_of_the_engine() {
        let given = BTreeMap::from([
            ("branch".to_owned(), vec!["main".to_owned(), "release/*".to_owned()]),
            ("repo".to_owned(), vec!["acme/*".to_owned()]),
        ]);
        let call = BTreeSet::from([Verb::Call]);
        for (note, arguments) in [("for now", &given), ("", &BTreeMap::new())] {
            let tools = ["git.*".to_owned(), "ci.run".to_owned()];
            let grant = Grant::new("agent:coder", Target::Tool, &tools, call.clone(), Effect::Deny, note)
                .and_then(|grant| grant.with_arguments(arguments))
                .unwrap();
            assert_eq!(sentence(&json!(grant)), describe(&grant));
        }
    }

    #[test]
    fn verbs_are_read_from_one_word() {
        assert_eq!(parse_verbs("write, read").unwrap(), BTreeSet::from([Verb::Read, Verb::Write]));
        for bad in ["", "read,", "read,fly", "READ"] {
            assert!(parse_verbs(bad).is_err(), "{bad:?} was accepted");
        }
    }
}
