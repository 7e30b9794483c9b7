//! The command line: reads it, does the one thing asked, and ends with the right code.

mod agent;
mod approval;
mod ask;
mod asking;
mod audit;
mod backup;
mod bench;
mod budget;
mod check;
mod demo;
mod doctor;
mod evaluate;
mod failure;
mod file;
mod gate;
mod grant;
mod home;
mod import;
mod index;
mod lock;
mod memory;
mod models;
mod place;
mod policy;
mod principal;
mod prune;
mod raw;
mod reading;
mod route;
mod search;
mod serve;
mod shell;
mod snapshot;
mod task;
#[cfg(test)]
mod tests;
mod token;
mod tool;
mod webhook;
mod workspace;

use std::fmt::Display;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use clap::builder::{OsStringValueParser, TypedValueParser};
use clap::parser::ValueSource;
use clap::{Args, CommandFactory, FromArgMatches, Parser, Subcommand};

use waypost_engine::api::Error;

use crate::output;

/// Nothing found, or a check failed.
pub const NOTHING: u8 = 1;
/// Refused by access.
pub const REFUSED: u8 = 3;
/// Not available: model, network, lock.
pub const UNAVAILABLE: u8 = 4;

/// Said below the list of commands.
const EXAMPLES: &str = "Examples:\n  waypost index ~/notes\n  \
                        waypost ask 'Who approves refunds above 500 euros?' --home ~/notes\n  \
                        waypost serve --home ~/waypost --attach notes=./notes";

/// A semantic index and router for AI agents: files in, cited answers out, offline on a CPU.
#[derive(Parser)]
#[command(name = "waypost", version, propagate_version = true, max_term_width = 100, after_help = EXAMPLES)]
struct Cli {
    #[command(flatten)]
    globals: Globals,
    #[command(subcommand)]
    command: Command,
}

/// Flags of every command.
#[derive(Args, Clone)]
pub struct Globals {
    /// Directory that holds everything; without it the nearest folder upwards with a `.waypost`
    #[arg(long, global = true, env = "WAYPOST_HOME", value_name = "DIR", value_parser = OsStringValueParser::new().map(PathBuf::from))]
    pub home: Option<PathBuf>,
    /// Whether a flag names it, and not the environment.
    #[arg(skip)]
    pub home_is_flag: bool,
    /// Print JSON for programs
    #[arg(long, global = true)]
    pub json: bool,
    /// Fetch nothing, whatever is missing
    #[arg(long, global = true)]
    pub offline: bool,
    /// Embedding model, by its name in `waypost models list`
    #[arg(long, global = true, value_name = "NAME")]
    pub model: Option<String>,
    /// Folder with a model's files, in place of a named one
    #[arg(long, global = true, value_name = "DIR")]
    pub model_dir: Option<PathBuf>,
    /// Private address, range or host name that webhooks and imports may reach; may be given several times
    #[arg(long, global = true, value_name = "HOST")]
    pub net_allow: Vec<String>,
}

#[derive(Subcommand)]
enum Command {
    /// Take the tour: index a small company's files, ask three questions, then serve
    #[command(after_help = "Examples:\n  waypost demo\n  waypost demo --exit --home ./demo")]
    Demo(demo::DemoArgs),
    /// Make a home
    Init(home::InitArgs),
    /// Serve REST and MCP, and keep the index up to its files
    Serve(serve::ServeArgs),
    /// Speak MCP over standard input and output, for desktop clients
    Mcp(serve::McpArgs),
    /// Index a folder, or bring a home's index up to its files
    Index(index::IndexArgs),
    /// Fetch a URL into a path, or the pages of a section into a folder
    Import(import::ImportArgs),
    /// Find passages
    Search(search::SearchArgs),
    /// Answer a question with citations
    Ask(ask::AskArgs),
    /// Find the agent or tool that can do what you want done
    Route(route::RouteArgs),
    /// List, fetch and measure embedding models
    Models(models::ModelsArgs),
    /// Measure quality on a data set
    Eval(evaluate::EvalArgs),
    /// Measure what indexing and searching a folder of your own costs here
    Bench(bench::BenchArgs),
    /// Compare catalog, blobs and index with each other
    Check(check::CheckArgs),
    /// Look at what the home stands on, and say what to do about what is wrong
    #[command(after_help = "Example: waypost doctor --home ./home")]
    Doctor,
    /// Throw the index away and build it from the files
    #[command(after_help = "Example: waypost reindex --home ./home")]
    Reindex,
    /// Write the whole home into one file, while it is served or not
    Backup(backup::BackupArgs),
    /// Make a home of a backup
    Restore(backup::RestoreArgs),
    /// Manage workspaces
    Workspace(workspace::WorkspaceArgs),
    /// Read and change files, their versions and their past
    File(file::FileArgs),
    /// Name states of whole workspaces, compare, restore, clone and export them
    Snapshot(snapshot::SnapshotArgs),
    /// Remember, recall, list and forget what agents know
    Memory(memory::MemoryArgs),
    /// Hold files against the writes of others
    Lock(lock::LockArgs),
    /// Forget old versions; today's files, snapshots and pending approvals keep theirs
    Prune(prune::PruneArgs),
    /// Make, follow and review tasks
    Task(task::TaskArgs),
    /// Register agents by their cards, and see what lies before one
    Agent(agent::AgentArgs),
    /// See, approve and call tools of other servers, and declare tools that have none
    Tool(tool::ToolArgs),
    /// Become another program that ends with the process that started this one
    #[command(hide = true)]
    Guard(tool::GuardArgs),
    /// Read files that come through standard input, with hardly any rights
    #[command(hide = true)]
    ExtractWorker,
    /// Manage who is told of what happens, and see what became of it
    Webhook(webhook::WebhookArgs),
    /// Manage tokens
    Token(token::TokenArgs),
    /// Manage agents, humans and services that may act here
    Principal(principal::PrincipalArgs),
    /// Manage groups of principals
    Group(principal::GroupArgs),
    /// Manage who may do what, and explain what decides
    Grant(grant::GrantArgs),
    /// Manage the places where a change waits for an approval
    Gate(gate::GateArgs),
    /// Compare a policy file with what holds, and make it hold
    Policy(policy::PolicyArgs),
    /// Decide about changes that wait at a gate
    Approval(approval::ApprovalArgs),
    /// Limit what agents may spend, and see what was spent
    Budget(budget::BudgetArgs),
    /// Read and verify the record of every act
    #[command(subcommand)]
    Audit(audit::AuditCommand),
    /// Print the settings that hold, and where each comes from
    #[command(after_help = home::CONFIG_EXAMPLES)]
    Config,
    /// Print what a shell needs to complete commands
    Completions(shell::CompletionsArgs),
    /// Print the manual page, or write a page for each command
    Man(shell::ManArgs),
}

/// What a command gives: the exit code, or an error that is printed.
pub type Outcome = anyhow::Result<u8>;

/// Reads the command line and runs it.
pub fn run() -> ExitCode {
    let cli = match read() {
        Ok(cli) => cli,
        Err(error) => return failure::tell_usage(&error),
    };
    let json = cli.globals.json;
    match dispatch(cli).and_then(|code| output::written().map(|()| code)) {
        Ok(code) => ExitCode::from(code),
        Err(error) => failure::tell(&error, json),
    }
}

fn read() -> Result<Cli, clap::Error> {
    let mut command = Cli::command();
    let matches = command.try_get_matches_from_mut(std::env::args_os())?;
    let mut cli = Cli::from_arg_matches(&matches).map_err(|error| error.format(&mut command))?;
    let globals = &mut cli.globals;
    // A variable that is set to nothing counts as not set, as everywhere.
    globals.home = globals.home.take().filter(|home| !home.as_os_str().is_empty());
    let is_flag = matches.value_source("home") == Some(ValueSource::CommandLine);
    globals.home_is_flag = is_flag && globals.home.is_some();
    Ok(cli)
}

fn dispatch(cli: Cli) -> Outcome {
    let globals = cli.globals;
    match cli.command {
        Command::Demo(args) => demo::run(&globals, &args),
        Command::Init(args) => home::init(&globals, &args),
        Command::Serve(args) => serve::run(&globals, &args),
        Command::Mcp(args) => serve::run_mcp(&globals, &args),
        Command::Index(args) => index::run(&globals, &args),
        Command::Import(args) => import::run(&globals, &args),
        Command::Search(args) => search::run(&globals, &args),
        Command::Ask(args) => ask::run(&globals, &args),
        Command::Route(args) => route::run(&globals, &args),
        Command::Models(args) => models::run(&globals, &args),
        Command::Eval(args) => evaluate::run(&globals, &args),
        Command::Bench(args) => bench::run(&globals, &args),
        Command::Check(args) => check::run(&globals, &args),
        Command::Doctor => doctor::run(&globals),
        Command::Backup(args) => backup::run(&globals, &args),
        Command::Restore(args) => backup::restore(&globals, &args),
        Command::Reindex => check::reindex(&globals),
        Command::Workspace(args) => workspace::run(&globals, &args),
        Command::File(args) => file::run(&globals, &args),
        Command::Snapshot(args) => snapshot::run(&globals, &args),
        Command::Memory(args) => memory::run(&globals, &args),
        Command::Lock(args) => lock::run(&globals, &args),
        Command::Prune(args) => prune::run(&globals, &args),
        Command::Task(args) => task::run(&globals, &args),
        Command::Agent(args) => agent::run(&globals, &args),
        Command::Tool(args) => tool::run(&globals, &args),
        Command::Guard(args) => tool::run_guard(&args),
        Command::ExtractWorker => Ok(waypost_engine::reader::work()),
        Command::Webhook(args) => webhook::run(&globals, &args),
        Command::Token(args) => token::run(&globals, &args),
        Command::Principal(args) => principal::run(&globals, &args),
        Command::Group(args) => principal::run_group(&globals, &args),
        Command::Grant(args) => grant::run(&globals, &args),
        Command::Gate(args) => gate::run(&globals, &args),
        Command::Policy(args) => policy::run(&globals, &args),
        Command::Approval(args) => approval::run(&globals, &args),
        Command::Budget(args) => budget::run(&globals, &args),
        Command::Audit(command) => audit::run(&globals, &command),
        Command::Config => home::config(&globals),
        Command::Completions(args) => shell::completions(&args),
        Command::Man(args) => shell::man(&globals, &args),
    }
}

/// The bytes of a file, or of standard input where none is named, or `-`.
pub fn input(file: Option<&Path>) -> anyhow::Result<Vec<u8>> {
    match file {
        Some(file) if file != Path::new("-") => {
            std::fs::read(file).with_context(|| format!("can't read `{}`", file.display()))
        }
        _ => {
            let mut bytes = Vec::new();
            std::io::stdin().lock().read_to_end(&mut bytes).context("can't read standard input")?;
            Ok(bytes)
        }
    }
}

/// The one thing of a list that has an id.
fn find<'a, T, I>(
    items: &'a [T],
    what: &'static str,
    id: &I,
    id_of: impl Fn(&T) -> &I,
) -> Result<&'a T, Error>
where
    I: PartialEq + Display,
{
    items.iter().find(|item| id_of(item) == id).ok_or_else(|| Error::NotFound { what, name: id.to_string() })
}
