//! `waypost budget`: who may spend how much in a day or a trace, and what was spent.

use anyhow::{Result, bail};
use clap::{Args, Subcommand};
use serde_json::{Map, Value};
use waypost_engine::api::{
    Budget, BudgetError, BudgetInfo, BudgetLimits, Error, GroupBy, Period, TargetPattern, UsageInfo,
    UsageRequest,
};
use waypost_engine::budget::{read_usd, show_usd};
use waypost_engine::pattern::Pattern;

use super::{Globals, Outcome, home};
use crate::output::{self, BAD, FAINT, STRONG};

#[derive(Subcommand)]
#[command(after_help = "Example: waypost budget usage --group-by principal")]
pub enum BudgetCommand {
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
pub struct AddArgs {
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
pub struct UsageArgs {
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
}

pub fn run(globals: &Globals, command: &BudgetCommand) -> Outcome {
    let session = home::owner(globals)?;
    let info = match command {
        BudgetCommand::List => {
            output::list(globals.json, &session.budgets()?, line)?;
            return Ok(0);
        }
        BudgetCommand::Add(args) => session.put_budget(&args.budget()?)?,
        BudgetCommand::Remove { id } => {
            session.remove_budget(id)?;
            output::done(globals.json, "removed", id)?;
            return Ok(0);
        }
        BudgetCommand::Show { id, principal } => session.budget(id, principal.as_deref())?,
        BudgetCommand::Usage(args) => {
            let request = UsageRequest {
                from: args.from.clone(),
                to: args.to.clone(),
                principal: args.principal.clone(),
                group_by: args.group_by,
            };
            let reply = session.usage(&request)?;
            if globals.json {
                output::json(&reply)?;
            } else {
                reply.items.iter().for_each(usage_line);
                anstream::println!(
                    "{FAINT}{} to {}, in all{FAINT:#}  {}",
                    reply.from,
                    reply.to,
                    sums(&reply.total)
                );
            }
            return Ok(0);
        }
    };
    if globals.json {
        output::json(&info)?;
    } else {
        line(&info);
    }
    Ok(0)
}

fn line(budget: &BudgetInfo) {
    let target = match &budget.target {
        None => String::new(),
        Some(TargetPattern::Tool(pattern)) => format!(" on tool {pattern}"),
        Some(TargetPattern::Agent(pattern)) => format!(" on agent {pattern}"),
    };
    let resets = budget.state.resets_at.as_ref().map(|at| format!("  resets at {at}")).unwrap_or_default();
    anstream::println!(
        "{STRONG}{}{STRONG:#}  {}{} per {}: {}{FAINT}{resets}{}{FAINT:#}",
        budget.id,
        output::safe(&budget.holder),
        output::safe(&target),
        budget.period.as_str(),
        amounts(budget),
        output::aside(&budget.note)
    );
}

/// What is left of what, by unit; red where little is.
fn amounts(budget: &BudgetInfo) -> String {
    let state = &budget.state;
    let shown = budget.limits.keys().map(|unit| {
        let of = |amounts: &Map<String, Value>| plain(&amounts[unit]);
        let text = format!("{} of {} {unit} left", of(&state.left), of(&budget.limits));
        let is_short = state.warnings.iter().any(|short| short.as_str() == unit);
        if is_short { format!("{BAD}{text}{BAD:#}") } else { text }
    });
    shown.collect::<Vec<String>>().join(", ")
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn usage_line(row: &UsageInfo) {
    let keys = [&row.principal, &row.target, &row.kind, &row.day];
    let key = keys.into_iter().flatten().next().map(String::as_str).unwrap_or_default();
    anstream::println!("{STRONG}{}{STRONG:#}  {}", output::safe(key), sums(row));
}

fn sums(row: &UsageInfo) -> String {
    let used = row.used;
    format!(
        "{} calls, {} failed, {} usd, {} tokens, {} bytes",
        used.calls,
        row.failures,
        show_usd(used.usd_micros),
        used.tokens,
        used.bytes
    )
}
