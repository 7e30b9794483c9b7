//! `waypost tool`: tools of other servers, what is decided about them, and tools that are declared without one.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use clap::{Args, Subcommand, ValueEnum};
use serde_json::{Map, Value, json};
use waypost::serve::engine_bridge;
use waypost::upstream::{self, Call, Upstreams};
use waypost_engine::api::{
    CallOptions, CallReply, Engine, Error, Session, ToolDeclaration, ToolState, ToolsFilter,
};

use super::agent::print_findings;
use super::place::{Ask, At, Place, Server, items, text};
use super::{Globals, NOTHING, Outcome, home, input};
use crate::output::{self, BAD, FAINT, STRONG};

/// Until a server that is started for one call is there.
const READY_PATIENCE: Duration = Duration::from_secs(60);
const READY_LOOK: Duration = Duration::from_millis(20);

/// Said below the flags of `waypost tool list`.
const LIST_EXAMPLES: &str = "Examples:\n  waypost tool list --state quarantined\n  \
                             waypost tool list --server git";

/// Said below the flags of `waypost tool add`.
const ADD_EXAMPLES: &str = "Examples:\n  waypost tool add mail.send --description 'Sends a mail' --example 'write to Kestrel'\n  \
                            waypost tool add calendar.book --description 'Books a room' --input-schema book.json";

/// Said below the list of commands.
const EXAMPLES: &str = "Examples:\n  waypost tool list --state quarantined\n  \
                        waypost tool call git.log --url http://127.0.0.1:7077 --token wp_…";

#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub struct ToolArgs {
    #[command(flatten)]
    at: At,
    #[command(subcommand)]
    command: ToolCommand,
}

#[derive(Subcommand)]
enum ToolCommand {
    /// The tools in use, or those in another state
    #[command(after_help = LIST_EXAMPLES)]
    List {
        /// Only these
        #[arg(long)]
        state: Option<StateArg>,
        /// Only this server's
        #[arg(long)]
        server: Option<String>,
    },
    /// Declare a tool that no server here has, so that it is found and routed to; again, to replace what was said of it
    #[command(after_help = ADD_EXAMPLES)]
    Add {
        /// Such as `create_charge` or `payments.create_charge`
        id: String,
        /// What it does
        #[arg(long)]
        description: String,
        /// An intent for which it is right; may be given several times
        #[arg(long = "example", value_name = "INTENT")]
        examples: Vec<String>,
        /// A file with the JSON Schema of its arguments, or `-` for standard input
        #[arg(long, value_name = "FILE")]
        input_schema: Option<PathBuf>,
        /// What a call costs
        #[arg(long, value_name = "USD")]
        usd_per_call: Option<f64>,
    },
    /// One tool with its schemas, as it was approved, and what it wants to be where that differs
    #[command(after_help = "Example: waypost tool show git.push")]
    Show {
        /// Such as `git.push`
        id: String,
    },
    /// Use a tool as it is now; it was new or has changed. One that was refused is approved at home alone
    #[command(after_help = "Example: waypost tool approve git.push --reason 'the description is clearer'")]
    Approve {
        /// Such as `git.push`
        id: String,
        /// For the record
        #[arg(long)]
        reason: Option<String>,
    },
    /// Leave a tool set aside, and do not ask about it again until it changes
    #[command(after_help = "Example: waypost tool refuse git.push --reason 'it asks for a password now'")]
    Refuse {
        /// Such as `git.push`
        id: String,
        /// For the record
        #[arg(long)]
        reason: Option<String>,
    },
    /// Forget a tool; should a server list it again, it is new
    #[command(after_help = "Example: waypost tool remove payments.refund")]
    Remove {
        /// Such as `git.push`
        id: String,
    },
    /// Call a tool; at home its server is started for that, and ended
    #[command(after_help = "Example: waypost tool call git.log '{\"branch\": \"main\"}'")]
    Call {
        /// Such as `git.push`
        id: String,
        /// A JSON object
        #[arg(default_value = "{}")]
        arguments: String,
    },
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum StateArg {
    /// In use
    Approved,
    /// New or changed, and waits for a decision
    Quarantined,
    /// Not listed by its server any more
    Gone,
}

/// How a program is started that ends with us.
#[derive(Args)]
pub struct GuardArgs {
    /// The process that must be alive
    parent: i32,
    /// The program and its arguments
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, required = true)]
    run: Vec<OsString>,
}

pub fn run(globals: &Globals, args: &ToolArgs) -> Outcome {
    if let ToolCommand::Call { id, arguments } = &args.command {
        return call(globals, &args.at, id, arguments);
    }
    let place = args.at.place(globals)?;
    match &args.command {
        ToolCommand::List { state, server } => {
            let filter = ToolsFilter { state: state.map(StateArg::state), server: server.clone() };
            let ask = Ask::get(&["tools"])
                .with("state", filter.state.map(ToolState::as_str))
                .with("server", server.as_deref());
            output::list(globals.json, &place.all(|session| session.tools(&filter), ask)?, line)?;
        }
        ToolCommand::Add { id, description, examples, input_schema, usd_per_call } => {
            let declaration = json!({
                "description": description,
                "examples": (!examples.is_empty()).then_some(examples),
                "input_schema": input_schema.as_deref().map(read_schema).transpose()?,
                "usd_per_call": usd_per_call,
            });
            output::one(globals.json, &declare(&place, id, declaration)?, |tool| {
                line(tool);
                print_findings(items(tool, "lint"));
            })?;
        }
        ToolCommand::Show { id } => show(globals, &one(&place, id)?)?,
        ToolCommand::Approve { id, reason } => settle(globals, &place, id, true, reason.as_deref())?,
        ToolCommand::Refuse { id, reason } => settle(globals, &place, id, false, reason.as_deref())?,
        ToolCommand::Remove { id } => {
            place.one(|session| session.forget_tool(id), Ask::delete(&["tools", id]))?;
            output::done(globals.json, "removed", id)?;
        }
        ToolCommand::Call { .. } => {}
    }
    Ok(0)
}

pub fn run_guard(args: &GuardArgs) -> Outcome {
    Err(upstream::guard(args.parent, &args.run)).context("can't become the program")
}

impl StateArg {
    fn state(self) -> ToolState {
        match self {
            Self::Approved => ToolState::Approved,
            Self::Quarantined => ToolState::Quarantined,
            Self::Gone => ToolState::Gone,
        }
    }
}

fn read_schema(file: &Path) -> Result<Map<String, Value>> {
    serde_json::from_slice(&input(Some(file))?)
        .with_context(|| format!("`{}` is no JSON Schema: expected a JSON object", file.display()))
}

fn one(place: &Place, id: &str) -> Result<Value> {
    place.one(|session| session.tool(id), Ask::get(&["tools", id]))
}

fn declare(place: &Place, id: &str, declaration: Value) -> Result<Value> {
    let put: ToolDeclaration = serde_json::from_value(declaration.clone())?;
    place.one(|session| session.put_tool(id, put), Ask::put(&["tools", id], declaration))
}

fn settle(globals: &Globals, place: &Place, id: &str, grant: bool, reason: Option<&str>) -> Result<()> {
    let approval = match place {
        Place::Home(_) => String::new(),
        Place::Server(server) => approval_of(place, server, id)?,
    };
    let way = ["approvals", &approval, if grant { "grant" } else { "deny" }];
    let ask = Ask::post(&way, json!({"reason": reason}));
    place.one(|session| session.settle_tool(id, grant, reason), ask)?;
    output::done(globals.json, if grant { "approved" } else { "refused" }, id)
}

/// By which a server decides about a tool.
fn approval_of(place: &Place, server: &Server, id: &str) -> Result<String> {
    let tool = one(place, id)?;
    let waiting = server.whole(Ask::get(&["approvals"]).with("state", Some("pending")))?;
    let is_about = |approval: &&Value| text(approval, "path") == id && approval["act"]["act"] == "tool";
    if let Some(approval) = items(&waiting, "items").iter().find(is_about) {
        return Ok(text(approval, "id").to_owned());
    }
    match serde_json::from_value(tool["state"].clone())? {
        ToolState::Quarantined => bail!(
            "no approval waits for `{}`: it was refused, or is not for you to decide; with the server stopped it is decided at the home",
            output::safe(id)
        ),
        state => Err(Error::ApprovalClosed { approval: id.to_owned(), state: state.as_str() }.into()),
    }
}

fn line(tool: &Value) {
    let state = Some(text(tool, "state")).filter(|state| *state != ToolState::Approved.as_str());
    let declared = if tool["declared"] == true { "  declared" } else { "" };
    let about = text(tool, "description").lines().next().unwrap_or_default();
    out!(
        "{STRONG}{}{STRONG:#}{BAD}{}{BAD:#}{}{FAINT}{declared}{}{FAINT:#}",
        output::safe(text(tool, "id")),
        output::aside(state.unwrap_or_default()),
        output::aside(text(tool, "reason")),
        output::aside(about)
    );
}

fn show(globals: &Globals, tool: &Value) -> Result<()> {
    if globals.json {
        return output::json(tool);
    }
    line(tool);
    let whole = serde_json::to_string_pretty(tool)?;
    for line in whole.lines() {
        out!("  {}", output::safe(line));
    }
    Ok(())
}

fn call(globals: &Globals, at: &At, id: &str, arguments: &str) -> Outcome {
    let arguments: Value = serde_json::from_str(arguments).context("the arguments are no JSON")?;
    let reply = match at.server(globals)? {
        Some(server) => {
            let body = json!({"arguments": arguments});
            server.ask(Ask::post(&["tools", id, "call"], body).patiently())?
        }
        None => serde_json::to_value(call_at_home(globals, id, arguments)?)?,
    };
    output::one(globals.json, &reply, print)?;
    Ok(if reply["is_error"] == true { NOTHING } else { 0 })
}

fn call_at_home(globals: &Globals, id: &str, arguments: Value) -> Result<CallReply> {
    let (engine, config) = home::manage_with_config(globals)?;
    if engine.owner_session().tool(id).is_ok_and(|tool| tool.declared) {
        return Err(Error::ToolDeclared { tool: id.to_owned() }.into());
    }
    let mut plan = config.upstream_plan();
    let server = id.split('.').next().unwrap_or_default();
    plan.servers.retain(|settings| settings.name == server);
    if plan.servers.is_empty() {
        bail!(
            "there is no server `{}` of tools: `[[upstream]]` in `waypost.toml` names them",
            output::safe(server)
        );
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let upstreams = Upstreams::start(&engine, &plan);
        let reply = call_once(&engine, &upstreams, id, arguments).await;
        upstreams.stop().await;
        reply
    })
}

async fn call_once(
    engine: &Arc<Engine>,
    upstreams: &Arc<Upstreams>,
    id: &str,
    arguments: Value,
) -> Result<CallReply> {
    let session = engine.owner_session();
    wait_until_ready(&session).await?;
    let call = Call { tool: id.to_owned(), arguments, options: CallOptions::default(), progress: None };
    let reply = upstreams.call(engine_bridge(), session, call).await;
    reply.map_err(|problem| anyhow::anyhow!("{} ({})", problem.detail, problem.code))
}

/// Waits for the one server of the plan.
async fn wait_until_ready(session: &Session) -> Result<()> {
    let deadline = Instant::now() + READY_PATIENCE;
    loop {
        let servers = session.tool_servers()?;
        let Some(server) = servers.first() else { return Ok(()) };
        match (server.health.state, &server.health.last_error) {
            (waypost_engine::api::ServerState::Ready, _) => return Ok(()),
            (_, Some(error)) => bail!("the server `{}` is not there: {error}", server.name),
            _ if Instant::now() > deadline => bail!("the server `{}` is not there in time", server.name),
            _ => tokio::time::sleep(READY_LOOK).await,
        }
    }
}

fn print(reply: &Value) {
    for block in items(reply, "content") {
        match block["text"].as_str() {
            Some(text) => text.lines().for_each(|line| out!("{}", output::safe(line))),
            None => out!("{}", output::safe(&block.to_string())),
        }
    }
    if reply["truncated"] == true {
        err!("{FAINT}cut: the answer was longer than is allowed{FAINT:#}");
    }
}
