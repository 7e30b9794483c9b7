//! `waypost file`: files as agents see them, with versions, locks and the audit log.

mod change;
mod look;

use std::path::PathBuf;

use clap::Subcommand;

use super::{Globals, Outcome};

/// Said below the list of commands.
const NOTE: &str = "Paths are `/workspace/folder/file`. A change is durable, has a version and stands in the audit log \
                    at once; `waypost search` finds its words at once, and its meaning once `waypost serve` or `waypost index` has taken it in.\n\n\
                    Example: waypost file read /finance/policies/travel-policy-2025.md";

/// Said below the flags of `waypost file move`.
const MOVE_EXAMPLE: &str =
    "Example: waypost file move /finance/inbox/kestrel.md /finance/contracts/kestrel.md";

#[derive(Subcommand)]
#[command(after_help = NOTE)]
pub enum FileCommand {
    /// Write a file's bytes to standard output, of today or of some time ago
    #[command(disable_version_flag = true)]
    Read(look::ReadArgs),
    /// Put bytes under a path
    #[command(after_help = "Example: waypost file write /marketing/press/launch.md launch.md")]
    Write {
        /// Where
        path: String,
        /// Whose bytes; standard input where it is missing
        file: Option<PathBuf>,
        /// Only where this version stands there
        #[arg(long, value_name = "VERSION")]
        if_version: Option<String>,
    },
    /// Replace a text that stands in a file exactly once
    Edit(change::EditArgs),
    /// Add bytes at the end of a file, or make it
    #[command(after_help = "Example: waypost file append /engineering/runbooks/alert-backlog.md more.md")]
    Append {
        /// Where
        path: String,
        /// Whose bytes; standard input where it is missing
        file: Option<PathBuf>,
    },
    /// Give a file or folder another path
    #[command(after_help = MOVE_EXAMPLE)]
    Move {
        /// Its path
        from: String,
        /// Its new path; nothing may stand there
        to: String,
    },
    /// Put a file or folder under another path too
    #[command(after_help = "Example: waypost file copy /marketing/brand /marketing/brand-2026")]
    Copy {
        /// Its path
        from: String,
        /// The copy's path; nothing may stand there
        to: String,
    },
    /// Take a file away; its versions stay readable until they are pruned
    #[command(after_help = "Example: waypost file delete /engineering/scratch --recursive")]
    Delete {
        /// Which
        path: String,
        /// A folder, with everything in it
        #[arg(long, short = 'r')]
        recursive: bool,
    },
    /// What a folder holds
    #[command(after_help = "Example: waypost file list /engineering/incidents")]
    List {
        /// Which; all workspaces where it is missing
        #[arg(default_value = "/", hide_default_value = true)]
        path: String,
    },
    /// A folder with everything in it
    #[command(after_help = "Example: waypost file tree /engineering --depth 2")]
    Tree {
        /// Which; all workspaces where it is missing
        #[arg(default_value = "/", hide_default_value = true)]
        path: String,
        /// Folders deep at most
        #[arg(long, value_name = "N")]
        depth: Option<usize>,
    },
    /// What is known of a file or folder
    #[command(after_help = "Example: waypost file info /finance/policies/travel-policy-2025.md")]
    Info {
        /// Which
        path: String,
    },
    /// Find files by their path, as of the last indexing: a glob such as `**/*.md`, or a part of it
    Find(look::FindArgs),
    /// All versions of a path, newest first
    #[command(after_help = "Example: waypost file history /marketing/website/faq.md")]
    History {
        /// Which
        path: String,
    },
    /// What changed between two versions of a text file
    #[command(after_help = "Example: waypost file diff /marketing/website/faq.md 6f3c…")]
    Diff {
        /// Which
        path: String,
        /// A version, see `history`
        from: String,
        /// A version; today's where it is missing
        to: Option<String>,
    },
    /// Make an older version the newest one again
    #[command(after_help = "Example: waypost file restore /marketing/website/faq.md 6f3c…")]
    Restore {
        /// Which
        path: String,
        /// See `history`
        #[arg(value_name = "VERSION")]
        old: String,
    },
    /// Make a folder, and those above it
    #[command(after_help = "Example: waypost file mkdir /marketing/outputs/research")]
    Mkdir {
        /// Which
        path: String,
    },
}

pub fn run(globals: &Globals, command: &FileCommand) -> Outcome {
    match command {
        FileCommand::Read(args) => look::read(globals, args),
        FileCommand::Write { path, file, if_version } => {
            change::write(globals, path, file.as_deref(), if_version.as_deref())
        }
        FileCommand::Edit(args) => change::edit(globals, args),
        FileCommand::Append { path, file } => change::append(globals, path, file.as_deref()),
        FileCommand::Move { from, to } => change::move_path(globals, from, to),
        FileCommand::Copy { from, to } => change::copy_path(globals, from, to),
        FileCommand::Delete { path, recursive } => change::delete(globals, path, *recursive),
        FileCommand::List { path } => look::list(globals, path),
        FileCommand::Tree { path, depth } => look::tree(globals, path, *depth),
        FileCommand::Info { path } => look::info(globals, path),
        FileCommand::Find(args) => look::find(globals, args),
        FileCommand::History { path } => look::history(globals, path),
        FileCommand::Diff { path, from, to } => look::diff(globals, path, from, to.as_deref()),
        FileCommand::Restore { path, old } => change::restore(globals, path, old),
        FileCommand::Mkdir { path } => change::make_folder(globals, path),
    }
}
