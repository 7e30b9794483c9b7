//! `waypost memory`: what agents remember, as files.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use clap::{Args, Subcommand};
use waypost_engine::api::{
    AppendMessages, Engine, MemoryFilter, MemoryInfo, MessageInput, OnConflict, RecallRequest, Recalled,
    RememberReply, RememberRequest, Sources, ThreadRequest,
};
use waypost_engine::id::split_path;

use super::home::{self, Fetch};
use super::search::{ModeArg, print_degraded, print_status};
use super::{Globals, NOTHING, Outcome};
use crate::output::{self, BAD, FAINT, STRONG};

#[derive(Subcommand)]
#[command(after_help = "Example: waypost memory recall 'where is staging hosted' -n 2")]
pub enum MemoryCommand {
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
pub struct RememberArgs {
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
pub struct AppendArgs {
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
pub struct RecallArgs {
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

pub fn run(globals: &Globals, command: &MemoryCommand) -> Outcome {
    match command {
        MemoryCommand::Remember(args) => remember(globals, args),
        MemoryCommand::Recall(args) => recall(globals, args),
        MemoryCommand::Append(args) => append(globals, args),
        MemoryCommand::List { workspace, agent, topic, kind, expired } => {
            let filter = MemoryFilter {
                workspace: workspace.clone(),
                agent: agent.clone(),
                topic: topic.clone(),
                kind: kind.clone(),
                include_expired: *expired,
            };
            output::list(globals.json, &home::owner(globals)?.memories_listed(&filter)?, line)?;
            Ok(0)
        }
        MemoryCommand::Thread { thread, workspace, agent, max_tokens } => {
            let request = ThreadRequest {
                workspace: workspace.clone(),
                agent: agent.clone(),
                max_tokens: *max_tokens,
                limit: None,
            };
            let reply = home::owner(globals)?.thread(thread, &request)?;
            if globals.json {
                output::json(&reply)?;
                return Ok(0);
            }
            if reply.left_out > 0 {
                anstream::println!("{FAINT}{} older messages left out{FAINT:#}", reply.left_out);
            }
            if reply.cut {
                anstream::println!("{FAINT}the last message is longer than that, and cut{FAINT:#}");
            }
            for message in &reply.messages {
                anstream::println!(
                    "{STRONG}{}{STRONG:#} {FAINT}{}{FAINT:#}  {}",
                    output::safe(&message.role),
                    message.n,
                    output::safe(&message.text)
                );
            }
            Ok(0)
        }
        MemoryCommand::Forget { path } => {
            home::owner(globals)?.forget(path)?;
            output::done(globals.json, "forgotten", path)?;
            Ok(0)
        }
    }
}

fn remember(globals: &Globals, args: &RememberArgs) -> Outcome {
    let (engine, _) = home::open(&home::locate(globals, None)?, globals, Fetch::Never)?;
    let request = RememberRequest {
        text: args.text.join(" "),
        workspace: args.workspace.clone(),
        agent: args.agent.clone(),
        topic: args.topic.clone(),
        tags: args.tags.clone(),
        source: Sources::Many(args.source.clone()),
        expires_in_seconds: args.expires_in,
        on_conflict: match args.on_conflict {
            ConflictArg::Report => OnConflict::Report,
            ConflictArg::Keep => OnConflict::Keep,
            ConflictArg::Reject => OnConflict::Reject,
            ConflictArg::Supersede => OnConflict::Supersede,
        },
        supersedes: args.supersedes.clone(),
        ..RememberRequest::default()
    };
    let reply = engine.owner_session().remember(&request)?;
    if reply.written {
        index(&engine, &reply.path)?;
    }
    output::one(globals.json, &reply, print_kept)?;
    Ok(0)
}

fn append(globals: &Globals, args: &AppendArgs) -> Outcome {
    let (engine, _) = home::open(&home::locate(globals, None)?, globals, Fetch::Never)?;
    let message = MessageInput { role: args.role.clone(), text: args.text.join(" "), tokens: None };
    let request = AppendMessages {
        workspace: args.workspace.clone(),
        agent: args.agent.clone(),
        messages: vec![message],
    };
    let reply = engine.owner_session().append_messages(&args.thread, &request)?;
    index(&engine, &reply.path)?;
    output::one(globals.json, &reply, |reply| {
        anstream::println!("{STRONG}{}{STRONG:#}  message {}", output::safe(&reply.path), reply.last);
    })?;
    Ok(0)
}

/// No server runs that would do it, and the next command may recall the note.
fn index(engine: &Arc<Engine>, path: &str) -> anyhow::Result<()> {
    let (workspace, _) = split_path(path)?;
    engine.index(&workspace, &AtomicBool::new(false), &mut |_| {})?;
    Ok(())
}

fn recall(globals: &Globals, args: &RecallArgs) -> Outcome {
    let (engine, _) = home::open(&home::locate(globals, None)?, globals, Fetch::Never)?;
    let request = RecallRequest {
        query: args.query.join(" "),
        workspace: args.workspace.clone(),
        agents: args.agents.clone(),
        topic: args.topic.clone(),
        thread: args.thread.clone(),
        mode: args.mode.mode(),
        limit: Some(args.limit),
        max_tokens: args.max_tokens,
        include_expired: args.expired,
        ..RecallRequest::default()
    };
    let reply = engine.owner_session().recall(&request)?;
    if globals.json {
        output::json(&reply)?;
    } else {
        reply.results.iter().for_each(print_recalled);
        print_status(&reply.index, reply.took_ms, reply.results.len());
    }
    Ok(if reply.results.is_empty() { NOTHING } else { 0 })
}

fn print_kept(reply: &RememberReply) {
    anstream::println!("{STRONG}{}{STRONG:#}  {}", reply.status, output::safe(&reply.path));
    for similar in &reply.similar {
        let kind = match similar.differs {
            Some(differs) => format!("{BAD}contradiction{BAD:#} ({differs})"),
            None => format!("{:?}", similar.kind).to_lowercase(),
        };
        anstream::println!(
            "  {kind} {:.2}  {FAINT}{}{FAINT:#}\n    {}",
            similar.score,
            output::safe(&similar.path),
            output::safe(&similar.quote)
        );
    }
    print_degraded(&reply.degraded);
}

fn print_recalled(recalled: &Recalled) {
    let place = match (recalled.n, &recalled.role) {
        (Some(n), Some(role)) => format!(" message {n} ({})", output::safe(role)),
        _ => String::new(),
    };
    anstream::println!(
        "{:.2}  {}\n      {FAINT}{}{place}  by {}, {}{FAINT:#}",
        recalled.score,
        output::safe(recalled.text.trim()),
        output::safe(&recalled.citation.path),
        output::safe(if recalled.by.is_empty() { "somebody" } else { &recalled.by }),
        output::safe(recalled.at.as_deref().unwrap_or("at some time"))
    );
}

fn line(memory: &MemoryInfo) {
    let what = match (&memory.text, memory.messages) {
        (Some(text), _) => output::safe(text.lines().next().unwrap_or_default()),
        (None, Some(n_messages)) => format!("{n_messages} messages"),
        (None, None) => String::new(),
    };
    let expired = if memory.expired { " (expired)" } else { "" };
    anstream::println!("{STRONG}{}{STRONG:#}{expired}  {FAINT}{what}{FAINT:#}", output::safe(&memory.path));
}
