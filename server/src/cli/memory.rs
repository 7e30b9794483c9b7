//! `waypost memory`: what agents remember, as files.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use anyhow::Result;
use clap::{Args, Subcommand, ValueEnum};
use serde_json::{Value, json};
use waypost_engine::api::{AppendMessages, Engine, Error, MemoryFilter, Session, ThreadRequest};
use waypost_engine::id::split_path;

use super::home::{self, Fetch};
use super::place::{Ask, At, Place, items, text};
use super::search::{ModeArg, print_degraded, print_status};
use super::{Globals, NOTHING, Outcome};
use crate::output::{self, BAD, FAINT, STRONG};

/// Said below the list of commands.
const EXAMPLES: &str = "Examples:\n  waypost memory recall 'where is staging hosted' -n 2\n  \
                        waypost memory list --url http://127.0.0.1:7077 --token wp_…";

#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub struct MemoryArgs {
    #[command(flatten)]
    at: At,
    #[command(subcommand)]
    command: MemoryCommand,
}

#[derive(Subcommand)]
enum MemoryCommand {
    /// Keep a note, and be told what is known like it
    Remember(RememberArgs),
    /// Find notes and messages that bear on a query
    Recall(RecallArgs),
    /// Notes and threads, by path
    #[command(after_help = "Example: waypost memory list --topic servers --kind note")]
    List {
        /// Only of this workspace
        #[arg(long, short = 'w')]
        workspace: Option<String>,
        /// Only this agent's
        #[arg(long)]
        agent: Option<String>,
        /// Only notes of this topic, or below it
        #[arg(long)]
        topic: Option<String>,
        /// note or thread
        #[arg(long)]
        kind: Option<String>,
        /// Also what is expired and not forgotten yet
        #[arg(long)]
        expired: bool,
    },
    /// Write a message at the end of a thread; the first one begins it
    Append(AppendArgs),
    /// The last messages of a thread
    #[command(after_help = "Example: waypost memory thread planning --max-tokens 2000")]
    Thread {
        /// Its name
        thread: String,
        /// Where it is
        #[arg(long, short = 'w')]
        workspace: Option<String>,
        /// Whose it is
        #[arg(long)]
        agent: Option<String>,
        /// As many of the last messages as have so many tokens together
        #[arg(long, value_name = "TOKENS")]
        max_tokens: Option<usize>,
    },
    /// Forget a note, or with the path of any of its files a thread; old versions stay until they are pruned
    #[command(after_help = "Example: waypost memory forget /notes/memory/admin/notes/servers/staging.md")]
    Forget {
        /// `/workspace/memory/agent/…`
        path: String,
    },
}

/// Said below the flags of `waypost memory remember`.
const REMEMBER_EXAMPLES: &str = "Examples:\n  waypost memory remember 'The staging server runs in Frankfurt.' --topic servers\n  \
                                 waypost memory remember 'Refunds are paid weekly.' --source /notes/refunds.md";

#[derive(Args)]
#[command(after_help = REMEMBER_EXAMPLES)]
struct RememberArgs {
    /// One fact or a few, in plain sentences
    #[arg(required = true)]
    text: Vec<String>,
    /// Where; the only workspace where it is missing
    #[arg(long, short = 'w')]
    workspace: Option<String>,
    /// Whose memory; your own where it is missing
    #[arg(long)]
    agent: Option<String>,
    /// Such as billing, or billing/late-fees
    #[arg(long)]
    topic: Option<String>,
    /// A further word; may be given several times
    #[arg(long = "tag", value_name = "TAG")]
    tags: Vec<String>,
    /// Where it comes from; may be given several times
    #[arg(long, value_name = "PATH")]
    source: Vec<String>,
    /// Forget it after so many seconds
    #[arg(long, value_name = "SECONDS")]
    expires_in: Option<u64>,
    /// What to do where something like it is known already
    #[arg(long, value_enum, default_value_t = ConflictArg::Report)]
    on_conflict: ConflictArg,
    /// Write it in the place of this note
    #[arg(long, value_name = "PATH")]
    supersedes: Option<String>,
}

#[derive(Args)]
#[command(after_help = "Example: waypost memory append planning 'Who paints the boats?' --role user")]
struct AppendArgs {
    /// The thread's name
    thread: String,
    /// What was said
    #[arg(required = true)]
    text: Vec<String>,
    /// user, assistant, system, tool or the like
    #[arg(long, default_value = "user")]
    role: String,
    /// Where; the only workspace where it is missing
    #[arg(long, short = 'w')]
    workspace: Option<String>,
    /// Whose thread; your own where it is missing
    #[arg(long)]
    agent: Option<String>,
}

#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum ConflictArg {
    /// Write no duplicate, point out a contradiction
    Report,
    /// Write it whatever is there
    Keep,
    /// Write neither
    Reject,
    /// Write it in the place of the closest own note
    Supersede,
}

/// Said below the flags of `waypost memory recall`.
const RECALL_EXAMPLES: &str = "Examples:\n  waypost memory recall 'where is staging hosted' -n 2\n  \
                               waypost memory recall refunds --agent researcher --max-tokens 500";

#[derive(Args)]
#[command(after_help = RECALL_EXAMPLES)]
struct RecallArgs {
    /// In plain words
    #[arg(required = true)]
    query: Vec<String>,
    /// Only in this workspace
    #[arg(long, short = 'w')]
    workspace: Option<String>,
    /// Only this agent's; may be given several times
    #[arg(long = "agent", value_name = "AGENT")]
    agents: Vec<String>,
    /// Only notes of this topic, or below it
    #[arg(long)]
    topic: Option<String>,
    /// Only messages of this thread
    #[arg(long)]
    thread: Option<String>,
    /// Which arms answer
    #[arg(long, value_enum, default_value_t = ModeArg::Hybrid)]
    mode: ModeArg,
    /// Memories at most
    #[arg(long, short = 'n', default_value_t = 10)]
    limit: usize,
    /// Bounds the texts together
    #[arg(long, value_name = "TOKENS")]
    max_tokens: Option<usize>,
    /// Also what is expired and not forgotten yet
    #[arg(long)]
    expired: bool,
}

pub fn run(globals: &Globals, args: &MemoryArgs) -> Outcome {
    let at = &args.at;
    match &args.command {
        MemoryCommand::Remember(args) => remember(globals, at, args),
        MemoryCommand::Recall(args) => recall(globals, at, args),
        MemoryCommand::Append(args) => append(globals, at, args),
        MemoryCommand::List { workspace, agent, topic, kind, expired } => {
            let filter = MemoryFilter {
                workspace: workspace.clone(),
                agent: agent.clone(),
                topic: topic.clone(),
                kind: kind.clone(),
                include_expired: *expired,
            };
            let ask = Ask::get(&["memory"])
                .with("workspace", workspace.as_deref())
                .with("agent", agent.as_deref())
                .with("topic", topic.as_deref())
                .with("kind", kind.as_deref())
                .with("include_expired", expired.then_some("true"));
            let listed = at.place(globals)?.all(|session| session.memories_listed(&filter), ask)?;
            output::list(globals.json, &listed, line)?;
            Ok(0)
        }
        MemoryCommand::Thread { thread, workspace, agent, max_tokens } => {
            let request = ThreadRequest {
                workspace: workspace.clone(),
                agent: agent.clone(),
                max_tokens: *max_tokens,
                limit: None,
            };
            let ask = Ask::get(&["memory", "threads", thread])
                .with("workspace", workspace.as_deref())
                .with("agent", agent.as_deref())
                .with("max_tokens", max_tokens.map(|max| max.to_string()).as_deref());
            let reply = at.place(globals)?.one(|session| session.thread(thread, &request), ask)?;
            output::one(globals.json, &reply, print_thread)?;
            Ok(0)
        }
        MemoryCommand::Forget { path } => {
            let ask = Ask::post(&["memory", "forget"], json!({"path": path}));
            at.place(globals)?.one(|session| session.forget(path), ask)?;
            output::done(globals.json, "forgotten", path)?;
            Ok(0)
        }
    }
}

/// Where the memory is, with the model for what is compared and searched; a home with its engine.
fn open(globals: &Globals, at: &At) -> Result<(Place, Option<Arc<Engine>>)> {
    let mut opened = None;
    let place = at.place_or(globals, || {
        let (engine, _) = home::open(&home::locate(globals, None)?, globals, Fetch::Never)?;
        opened = Some(Arc::clone(&engine));
        Ok(engine.owner_session())
    })?;
    Ok((place, opened))
}

fn remember(globals: &Globals, at: &At, args: &RememberArgs) -> Outcome {
    let (place, engine) = open(globals, at)?;
    let body = json!({
        "text": args.text.join(" "),
        "workspace": args.workspace,
        "agent": args.agent,
        "topic": args.topic,
        "tags": args.tags,
        "source": args.source,
        "expires_in_seconds": args.expires_in,
        "on_conflict": args.on_conflict.to_possible_value().map(|name| name.get_name().to_owned()),
        "supersedes": args.supersedes,
    });
    let reply = place.asked(Session::remember, &["memory", "remember"], body).map_err(with_flag)?;
    if reply["written"] == true {
        index(engine, text(&reply, "path"))?;
    }
    output::one(globals.json, &reply, print_kept)?;
    Ok(0)
}

fn append(globals: &Globals, at: &At, args: &AppendArgs) -> Outcome {
    let (place, engine) = open(globals, at)?;
    let body = json!({
        "workspace": args.workspace,
        "agent": args.agent,
        "messages": [{"role": args.role, "text": args.text.join(" ")}],
    });
    let thread = &args.thread;
    let at_home = |session: &Session, request: &AppendMessages| session.append_messages(thread, request);
    let reply = place.asked(at_home, &["memory", "threads", thread, "messages"], body).map_err(with_flag)?;
    index(engine, text(&reply, "path"))?;
    output::one(globals.json, &reply, |reply| {
        out!("{STRONG}{}{STRONG:#}  message {}", output::safe(text(reply, "path")), reply["last"]);
    })?;
    Ok(0)
}

/// In a home with several workspaces the flag is named to whoever left it out.
fn with_flag(error: anyhow::Error) -> anyhow::Error {
    match error.downcast_ref() {
        Some(Error::Invalid { field: "workspace", .. }) => error.context("`-w` names the workspace"),
        _ => error,
    }
}

/// In a home no server runs that would do it, and the next command may recall the note.
fn index(engine: Option<Arc<Engine>>, path: &str) -> Result<()> {
    let Some(engine) = engine else { return Ok(()) };
    let (workspace, _) = split_path(path)?;
    engine.index(&workspace, &AtomicBool::new(false), &mut |_| {})?;
    Ok(())
}

fn recall(globals: &Globals, at: &At, args: &RecallArgs) -> Outcome {
    let (place, _) = open(globals, at)?;
    let body = json!({
        "query": args.query.join(" "),
        "workspace": args.workspace,
        "agents": args.agents,
        "topic": args.topic,
        "thread": args.thread,
        "mode": args.mode.mode(),
        "limit": args.limit,
        "max_tokens": args.max_tokens,
        "include_expired": args.expired,
    });
    let reply = place.asked(Session::recall, &["memory", "recall"], body)?;
    let recalled = items(&reply, "results");
    if globals.json {
        output::json(&reply)?;
    } else {
        recalled.iter().for_each(print_recalled);
        print_status(&reply, recalled.len());
    }
    Ok(if recalled.is_empty() { NOTHING } else { 0 })
}

fn print_kept(reply: &Value) {
    let path = output::safe(text(reply, "path"));
    out!("{STRONG}{}{STRONG:#}  {path}", output::safe(text(reply, "status")));
    for similar in items(reply, "similar") {
        let kind = match similar["differs"].as_str() {
            Some(differs) => format!("{BAD}contradiction{BAD:#} ({})", output::safe(differs)),
            None => output::safe(text(similar, "kind")),
        };
        out!(
            "  {kind} {:.2}  {FAINT}{}{FAINT:#}\n    {}",
            similar["score"].as_f64().unwrap_or_default(),
            output::safe(text(similar, "path")),
            output::safe(text(similar, "quote"))
        );
    }
    print_degraded(items(reply, "degraded"));
}

fn print_thread(reply: &Value) {
    if let Some(left_out @ 1..) = reply["left_out"].as_u64() {
        out!("{FAINT}{left_out} older messages left out{FAINT:#}");
    }
    if reply["cut"] == true {
        out!("{FAINT}the last message is longer than that, and cut{FAINT:#}");
    }
    for message in items(reply, "messages") {
        out!(
            "{STRONG}{}{STRONG:#} {FAINT}{}{FAINT:#}  {}",
            output::safe(text(message, "role")),
            message["n"],
            output::safe(text(message, "text"))
        );
    }
}

fn print_recalled(recalled: &Value) {
    let place = match (recalled["n"].as_u64(), recalled["role"].as_str()) {
        (Some(n), Some(role)) => format!(" message {n} ({})", output::safe(role)),
        _ => String::new(),
    };
    let by = Some(text(recalled, "by")).filter(|by| !by.is_empty()).unwrap_or("somebody");
    out!(
        "{:.2}  {}\n      {FAINT}{}{place}  by {}, {}{FAINT:#}",
        recalled["score"].as_f64().unwrap_or_default(),
        output::safe(text(recalled, "text").trim()),
        output::safe(text(&recalled["citation"], "path")),
        output::safe(by),
        output::safe(recalled["at"].as_str().unwrap_or("at some time"))
    );
}

fn line(memory: &Value) {
    let what = match (memory["text"].as_str(), memory["messages"].as_u64()) {
        (Some(text), _) => output::safe(text.lines().next().unwrap_or_default()),
        (None, Some(n_messages)) => format!("{n_messages} messages"),
        (None, None) => String::new(),
    };
    let expired = if memory["expired"] == true { " (expired)" } else { "" };
    let path = output::safe(text(memory, "path"));
    out!("{STRONG}{path}{STRONG:#}{expired}  {FAINT}{what}{FAINT:#}");
}
