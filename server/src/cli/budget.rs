//! `waypost budget`: who may spend how much in a day or a trace, and what was spent.

use anyhow::{Result, bail};
use clap::{Args, Subcommand};
use serde_json::{Map, Value, json};
use waypost_engine::api::{
    Budget, BudgetError, BudgetLimits, Error, GroupBy, Period, Session, TargetPattern, UsageRequest,
};
use waypost_engine::budget::read_usd;
use waypost_engine::pattern::Pattern;

use super::place::{Ask, At, Place, items, text};
use super::{Globals, Outcome};
use crate::output::{self, BAD, FAINT, STRONG};

/// Said below the list of commands.
const EXAMPLES: &str = "Examples:\n  waypost budget usage --group-by principal\n  \
                        waypost budget list --url http://127.0.0.1:7077 --token wp_…";

#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub struct BudgetArgs {
    #[command(flatten)]
    at: At,
    #[command(subcommand)]
    command: BudgetCommand,
}

#[derive(Subcommand)]
enum BudgetCommand {
    /// All budgets, with what is left of each
    #[command(after_help = "Example: waypost budget list")]
    List,
    /// Limit what somebody may spend; of a budget with the same holder, target and period the given limits change
    Add(AddArgs),
    /// Take a budget away
    #[command(after_help = "Example: waypost budget remove bg_…")]
    Remove {
        /// `bg_…`
        id: String,
    },
    /// One budget, with what was used and what is left
    #[command(after_help = "Example: waypost budget show bg_… --principal agent:researcher")]
    Show {
        /// `bg_…`
        id: String,
        /// As it stands with this principal, for a budget that everybody has alone
        #[arg(long)]
        principal: Option<String>,
    },
    /// What was used
    Usage(UsageArgs),
}

#[derive(Args)]
#[command(after_help = "Example: waypost budget add agent:researcher --usd 2.50 --calls 200")]
struct AddArgs {
    /// A principal, a group whose members share it, or `*`: each principal alone
    holder: String,
    /// Dollars, such as 2.50
    #[arg(long, value_parser = read_usd)]
    usd: Option<u64>,
    /// Tokens of models
    #[arg(long)]
    tokens: Option<u64>,
    /// Calls of tools and agents
    #[arg(long)]
    calls: Option<u64>,
    /// Bytes that are carried
    #[arg(long)]
    bytes: Option<u64>,
    /// Counted over a `day` (UTC) or a `trace`
    #[arg(long, default_value = "day")]
    period: Period,
    /// Only calls of these tools, such as `payments.*`
    #[arg(long, value_name = "PATTERN", conflicts_with = "agent")]
    tool: Option<String>,
    /// Only dispatches to these agents
    #[arg(long, value_name = "PATTERN")]
    agent: Option<String>,
    /// For people
    #[arg(long, default_value = "")]
    note: String,
}

/// Said below the flags of `waypost budget usage`.
const USAGE_EXAMPLES: &str = "Examples:\n  waypost budget usage --principal agent:researcher --group-by kind\n  \
                              waypost budget usage --from 2026-02-01 --to 2026-02-28";

#[derive(Args)]
#[command(after_help = USAGE_EXAMPLES)]
struct UsageArgs {
    /// The first day, such as 2026-01-31
    #[arg(long, value_name = "DAY")]
    from: Option<String>,
    /// The last day; today where it is missing
    #[arg(long, value_name = "DAY")]
    to: Option<String>,
    /// Only of this principal
    #[arg(long)]
    principal: Option<String>,
    /// Summed up by principal, target, kind or day
    #[arg(long, value_name = "WHAT", default_value = "day")]
    group_by: GroupBy,
}

impl AddArgs {
    fn budget(&self) -> Result<Budget> {
        let limits =
            BudgetLimits { usd_micros: self.usd, tokens: self.tokens, calls: self.calls, bytes: self.bytes };
        if limits.each().next().is_none() {
            bail!("nothing is limited: expected at least one of --usd, --tokens, --calls, --bytes");
        }
        let pattern = |text: &String| Pattern::name(text).map_err(BudgetError::from).map_err(Error::from);
        let target = match (&self.tool, &self.agent) {
            (Some(tool), _) => Some(TargetPattern::Tool(pattern(tool)?)),
            (None, Some(agent)) => Some(TargetPattern::Agent(pattern(agent)?)),
            (None, None) => None,
        };
        let budget = Budget::new(&self.holder, target, self.period, limits, &self.note);
        Ok(budget.map_err(Error::from)?)
    }

    /// As a server takes it.
    fn body(&self, budget: &Budget) -> Value {
        let limits = budget.limits.each().map(|(unit, amount)| (unit.as_str().to_owned(), unit.json(amount)));
        json!({
            "holder": self.holder,
            "tool": self.tool,
            "agent": self.agent,
            "period": self.period,
            "limits": Value::Object(limits.collect()),
            "note": self.note,
        })
    }
}

pub fn run(globals: &Globals, args: &BudgetArgs) -> Outcome {
    let place = args.at.place(globals)?;
    let budget = match &args.command {
        BudgetCommand::List => {
            output::list(globals.json, &place.all(Session::budgets, Ask::get(&["budgets"]))?, line)?;
            return Ok(0);
        }
        BudgetCommand::Remove { id } => {
            place.one(|session| session.remove_budget(id), Ask::delete(&["budgets", id]))?;
            output::done(globals.json, "removed", id)?;
            return Ok(0);
        }
        BudgetCommand::Usage(args) => {
            output::one(globals.json, &usage(&place, args)?, print_usage)?;
            return Ok(0);
        }
        BudgetCommand::Add(args) => {
            let budget = args.budget()?;
            let ask = Ask::post(&["budgets"], args.body(&budget));
            place.one(|session| session.put_budget(&budget), ask)?
        }
        BudgetCommand::Show { id, principal } => {
            let ask = Ask::get(&["budgets", id]).with("principal", principal.as_deref());
            place.one(|session| session.budget(id, principal.as_deref()), ask)?
        }
    };
    output::one(globals.json, &budget, line)?;
    Ok(0)
}

fn usage(place: &Place, args: &UsageArgs) -> Result<Value> {
    let request = UsageRequest {
        from: args.from.clone(),
        to: args.to.clone(),
        principal: args.principal.clone(),
        group_by: args.group_by,
    };
    let ask = Ask::get(&["usage"])
        .with("from", args.from.as_deref())
        .with("to", args.to.as_deref())
        .with("principal", args.principal.as_deref())
        .with("group_by", Some(args.group_by.as_str()));
    match place {
        Place::Home(_) => place.one(|session| session.usage(&request), ask),
        Place::Server(server) => server.whole(ask),
    }
}

fn print_usage(reply: &Value) {
    for row in items(reply, "items") {
        let keys = ["principal", "target", "kind", "day"];
        let key = keys.iter().find_map(|key| row[*key].as_str()).unwrap_or_default();
        out!("{STRONG}{}{STRONG:#}  {}", output::safe(key), sums(row));
    }
    let (from, to) = (output::safe(text(reply, "from")), output::safe(text(reply, "to")));
    out!("{FAINT}{from} to {to}, in all{FAINT:#}  {}", sums(&reply["total"]));
}

fn sums(row: &Value) -> String {
    let amount = |unit: &str| plain(&row[unit]);
    format!(
        "{} calls, {} failed, {} usd, {} tokens, {} bytes",
        amount("calls"),
        amount("failures"),
        amount("usd"),
        amount("tokens"),
        amount("bytes")
    )
}

fn line(budget: &Value) {
    let target = ["tool", "agent"]
        .iter()
        .find_map(|kind| Some(format!(" on {kind} {}", budget["target"][*kind].as_str()?)))
        .unwrap_or_default();
    let state = &budget["state"];
    let resets =
        state["resets_at"].as_str().map(|at| format!("  resets at {}", output::safe(at))).unwrap_or_default();
    out!(
        "{STRONG}{}{STRONG:#}  {}{} per {}: {}{FAINT}{resets}{}{FAINT:#}",
        output::safe(text(budget, "id")),
        output::safe(text(budget, "holder")),
        output::safe(&target),
        output::safe(text(budget, "period")),
        amounts(&budget["limits"], state),
        output::aside(text(budget, "note"))
    );
}

/// What is left of what, by unit; red where little is.
fn amounts(limits: &Value, state: &Value) -> String {
    let shown = limits.as_object().into_iter().flat_map(Map::iter).map(|(unit, limit)| {
        let text = format!("{} of {} {} left", plain(&state["left"][unit]), plain(limit), output::safe(unit));
        let is_short = items(state, "warnings").iter().any(|short| short == unit.as_str());
        if is_short { format!("{BAD}{text}{BAD:#}") } else { text }
    });
    shown.collect::<Vec<String>>().join(", ")
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), output::safe)
}
