//! `waypost audit`: the record of every act, chained so that no record can be changed or left out unseen.

use clap::{Args, Subcommand};
use serde_json::json;
use waypost_engine::api::{AuditFilter, Session};
use waypost_engine::journal::AuditRow;

use super::{Globals, NOTHING, Outcome, find, home};
use crate::output::{self, BAD, FAINT, GOOD, STRONG};

/// Records that an export reads at once.
const PAGE: usize = 1000;

#[derive(Subcommand)]
#[command(after_help = "Example: waypost audit list --outcome denied --since 2026-03-01")]
pub enum AuditCommand {
    /// Records, oldest first where nothing else is said
    List(Box<ListArgs>),
    /// One record
    #[command(after_help = "Example: waypost audit show 42")]
    Show {
        /// Its number
        number: u64,
    },
    /// Print every record as a line of JSON
    #[command(after_help = "Example: waypost audit export > audit.jsonl")]
    Export,
    /// Walk the whole chain; exit code 1 and the first break where it does not hold
    #[command(after_help = "Example: waypost audit verify")]
    Verify,
}

/// Said below the flags of `waypost audit list`.
const LIST_EXAMPLES: &str = "Examples:\n  waypost audit list --outcome denied --since 2026-03-01\n  \
                             waypost audit list --principal agent:marketing-writer --action file.\n  \
                             waypost audit list --newest -n 20";

#[derive(Args)]
#[command(after_help = LIST_EXAMPLES)]
pub struct ListArgs {
    /// Only what this principal did
    #[arg(long)]
    principal: Option<String>,
    /// Only this action, such as `file.write`, or a family such as `file.`
    #[arg(long)]
    action: Option<String>,
    /// Only what took this verb, such as `write`
    #[arg(long)]
    verb: Option<String>,
    /// Only with the token of this id
    #[arg(long, value_name = "ID")]
    token: Option<String>,
    /// Only on this path and everything below it, or on what matches a pattern such as `/docs/**/*.md`
    #[arg(long)]
    path: Option<String>,
    /// Only what ended so
    #[arg(long, value_parser = ["allowed", "denied", "pending", "failed"])]
    outcome: Option<String>,
    /// Only of this request
    #[arg(long)]
    trace: Option<String>,
    /// Only since then, such as `2026-01-31` or `2026-01-31T12:00:00Z`
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    /// Only up to and with that instant
    #[arg(long, value_name = "TIME")]
    until: Option<String>,
    /// The newest first
    #[arg(long)]
    newest: bool,
    /// Only records after this number; with `--newest` only those before it. The `next_cursor` of an answer is one
    #[arg(long, visible_alias = "cursor", value_name = "N")]
    after: Option<u64>,
    /// Records at most
    #[arg(long, short = 'n', value_name = "N", default_value_t = 100)]
    limit: usize,
}

impl ListArgs {
    fn filter(&self) -> AuditFilter {
        AuditFilter {
            principal: self.principal.clone(),
            token: self.token.clone(),
            action: self.action.clone(),
            verb: self.verb.clone(),
            path: self.path.clone(),
            outcome: self.outcome.clone(),
            trace: self.trace.clone(),
            since: self.since.clone(),
            until: self.until.clone(),
            after: self.after.unwrap_or_default(),
            newest_first: self.newest,
            before: self.after,
            limit: self.limit,
        }
    }
}

pub fn run(globals: &Globals, command: &AuditCommand) -> Outcome {
    let session = home::owner(globals)?;
    match command {
        AuditCommand::List(args) => {
            let rows = session.audit(&args.filter())?;
            let next = rows.last().filter(|_| rows.len() >= args.limit).map(|last| last.number.to_string());
            if globals.json {
                // As `GET /v1/audit` answers.
                output::json(&json!({"items": rows, "next_cursor": next}))?;
                return Ok(0);
            }
            output::list(false, &rows, line)?;
            if let Some(next) = next {
                err!("{FAINT}there may be more: `--after {next}`{FAINT:#}");
            }
            Ok(0)
        }
        AuditCommand::Show { number } => {
            let after = number.saturating_sub(1);
            let rows = session.audit(&AuditFilter { after, limit: 1, ..AuditFilter::default() })?;
            output::one(globals.json, find(&rows, "audit record", number, |row| &row.number)?, line)?;
            Ok(0)
        }
        AuditCommand::Export => export(&session),
        AuditCommand::Verify => verify(globals, &session),
    }
}

fn line(row: &AuditRow) {
    let style = if row.outcome == "allowed" { GOOD } else { BAD };
    out!(
        "{FAINT}{}  {}{FAINT:#}  {STRONG}{}{STRONG:#}  {style}{}{style:#}  {}  {}  {FAINT}{}  {}{FAINT:#}",
        row.number,
        row.at,
        output::safe(&row.principal),
        output::safe(&row.outcome),
        output::safe(&row.action),
        output::safe(&row.path),
        output::safe(&row.rule),
        output::safe(&row.trace)
    );
}

/// A page at a time, for the record may be longer than memory. It ends with what was there when its last page was read,
/// which includes the reading itself.
fn export(session: &Session) -> Outcome {
    let mut filter = AuditFilter { limit: PAGE, ..AuditFilter::default() };
    loop {
        let rows = session.audit(&filter)?;
        rows.iter().try_for_each(output::json)?;
        match rows.last() {
            Some(last) if rows.len() == PAGE => filter.after = last.number,
            _ => return Ok(0),
        }
    }
}

fn verify(globals: &Globals, session: &Session) -> Outcome {
    let (records, broken) = session.verify_audit()?;
    if globals.json {
        // As `GET /v1/audit/verify` answers; `broken` is what `break` was called here before.
        let valid = broken.is_none();
        output::json(&json!({"valid": valid, "records": records, "break": broken, "broken": broken}))?;
    } else if let Some(broken) = &broken {
        out!("{BAD}record {}: {}{BAD:#}  {FAINT}{records} records read{FAINT:#}", broken.number, broken.what);
    } else {
        out!("{GOOD}{records} records, and the chain holds{GOOD:#}");
    }
    Ok(if broken.is_none() { 0 } else { NOTHING })
}
