//! `waypost grant`: who may do what, and which rule decides it.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Result;
use clap::{Args, Subcommand};
use serde_json::Value;
use waypost_engine::access::{AccessError, Effect, Grant, Target, Verb, describe};
use waypost_engine::api::{Error, Explanation, Session};

use super::{Globals, Outcome, REFUSED, find, home};
use crate::output::{self, BAD, FAINT, GOOD, STRONG};

/// Said below the flags of `waypost grant explain`.
const EXPLAIN_EXAMPLES: &str = "Examples:\n  waypost grant explain agent:signer read /contracts/drafts/nda.md\n  \
                                waypost grant explain agent:coder call git.push --tool --argument branch=main";

#[derive(Subcommand)]
#[command(after_help = "Example: waypost grant explain agent:signer read /contracts/drafts/nda.md")]
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
    #[command(after_help = EXPLAIN_EXAMPLES)]
    Explain {
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
    },
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
}

fn parse_argument(text: &str) -> Result<(String, String), String> {
    let pair = text.split_once('=').filter(|(name, _)| !name.is_empty());
    let pair = pair.ok_or("expected NAME=VALUE, such as `branch=main`")?;
    Ok((pair.0.to_owned(), pair.1.to_owned()))
}

fn parse_verbs(text: &str) -> Result<BTreeSet<Verb>, AccessError> {
    text.split(',').map(|word| word.trim().parse::<Verb>()).collect()
}

/// Verbs as people read them.
pub fn words(verbs: &BTreeSet<Verb>) -> String {
    let verbs: Vec<&str> = verbs.iter().map(|verb| verb.as_str()).collect();
    verbs.join(", ")
}

pub fn run(globals: &Globals, command: &GrantCommand) -> Outcome {
    let session = home::owner(globals)?;
    match command {
        GrantCommand::List => output::list(globals.json, &session.grants()?, line)?,
        GrantCommand::Add(args) => add(globals, &session, args)?,
        GrantCommand::Show { id } => {
            output::one(globals.json, find(&session.grants()?, "grant", id, |grant| &grant.id)?, line)?;
        }
        GrantCommand::Remove { id } => {
            session.remove_grant(id)?;
            output::done(globals.json, "removed", id)?;
        }
        GrantCommand::Explain { principal, verb, target, kind, argument } => {
            let is_call = kind.target() == Target::Tool && *verb == Verb::Call;
            let explanation = match call_arguments(argument) {
                Some(arguments) if is_call => session.explain_call(principal, target, &arguments)?,
                Some(_) => return Err(Error::invalid_call_arguments().into()),
                None => session.explain_grant(principal, *verb, kind.target(), target)?,
            };
            if globals.json {
                output::json(&explanation)?;
            } else {
                print(&explanation);
            }
            return Ok(if explanation.allowed { 0 } else { REFUSED });
        }
    }
    Ok(0)
}

/// An object of them; a value that is JSON is that, any other is text.
fn call_arguments(given: &[(String, String)]) -> Option<Value> {
    let value = |text: &String| serde_json::from_str(text).unwrap_or_else(|_| Value::from(text.as_str()));
    (!given.is_empty()).then(|| given.iter().map(|(name, text)| (name.clone(), value(text))).collect())
}

fn add(globals: &Globals, session: &Session, args: &AddArgs) -> Result<()> {
    let effect = if args.deny { Effect::Deny } else { Effect::Allow };
    let target = args.kind.target();
    let note = args.note.as_deref().unwrap_or_default();
    let mut arguments: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (name, pattern) in &args.argument {
        arguments.entry(name.clone()).or_default().push(pattern.clone());
    }
    let grant = Grant::new(&args.who, target, &args.targets, args.verbs.clone(), effect, note);
    let grant = grant.and_then(|grant| grant.with_arguments(&arguments)).map_err(Error::from)?;
    session.put_grant(&grant)?;
    if globals.json {
        return output::json(&grant);
    }
    line(&grant);
    Ok(())
}

fn line(grant: &Grant) {
    anstream::println!("{STRONG}{}{STRONG:#}  {}", grant.id, output::safe(&describe(grant)));
}

fn print(explanation: &Explanation) {
    let (style, outcome) = if explanation.allowed { (GOOD, "allowed") } else { (BAD, "denied") };
    anstream::println!(
        "{style}{outcome}{style:#}  {}  {FAINT}rule {}{FAINT:#}",
        output::safe(&explanation.sentence),
        output::safe(&explanation.rule)
    );
    if let Some(gate) = &explanation.gate {
        anstream::println!("  gate {STRONG}{gate}{STRONG:#} stands before it: the act waits for an approval");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn verbs_are_read_from_one_word() {
        assert_eq!(words(&parse_verbs("write, read").unwrap()), "read, write");
        for bad in ["", "read,", "read,fly", "READ"] {
            assert!(parse_verbs(bad).is_err(), "{bad:?} was accepted");
        }
    }
}
