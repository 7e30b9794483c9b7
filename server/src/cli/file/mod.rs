//! `waypost file`: files as agents see them, with versions, locks and the audit log.

mod change;
mod look;

use std::path::PathBuf;

use clap::{Args, Subcommand};
use waypost_engine::api::Error;
use waypost_engine::id::split_path;

use super::place::At;
use super::{Globals, Outcome};

/// Said below the list of commands.
const NOTE: &str = "Paths are `/workspace/folder/file`. A change is durable, has a version and stands in the audit log \
                    at once; `waypost search` finds its words at once, and its meaning once `waypost serve` or `waypost index` has taken it in.\n\n\
                    Examples:\n  waypost file read /finance/policies/travel-policy-2025.md\n  \
                    waypost file list /finance --url http://127.0.0.1:7077 --token wp_…";

/// Said below the flags of `waypost file move`.
const MOVE_EXAMPLE: &str =
    "Example: waypost file move /finance/inbox/kestrel.md /finance/contracts/kestrel.md";

#[derive(Args)]
#[command(after_help = NOTE)]
pub struct FileArgs {
    #[command(flatten)]
    at: At,
    #[command(subcommand)]
    command: FileCommand,
}

#[derive(Subcommand)]
enum FileCommand {
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

pub fn run(globals: &Globals, args: &FileArgs) -> Outcome {
    let at = &args.at;
    match &args.command {
        FileCommand::Read(args) => look::read(globals, at, args),
        FileCommand::Write { path, file, if_version } => {
            change::write(globals, at, path, file.as_deref(), if_version.as_deref())
        }
        FileCommand::Edit(args) => change::edit(globals, at, args),
        FileCommand::Append { path, file } => change::append(globals, at, path, file.as_deref()),
        FileCommand::Move { from, to } => change::move_path(globals, at, from, to),
        FileCommand::Copy { from, to } => change::copy_path(globals, at, from, to),
        FileCommand::Delete { path, recursive } => change::delete(globals, at, path, *recursive),
        FileCommand::List { path } => look::list(globals, at, path),
        FileCommand::Tree { path, depth } => look::tree(globals, at, path, *depth),
        FileCommand::Info { path } => look::info(globals, at, path),
        FileCommand::Find(args) => look::find(globals, at, args),
        FileCommand::History { path } => look::history(globals, at, path),
        FileCommand::Diff { path, from, to } => look::diff(globals, at, path, from, to.as_deref()),
        FileCommand::Restore { path, old } => change::restore(globals, at, path, old),
        FileCommand::Mkdir { path } => change::make_folder(globals, at, path),
    }
}

/// The way to a route about a path; `/` is the route alone.
fn way<'a>(route: &'a str, path: &'a str) -> Result<Vec<&'a str>, Error> {
    if !matches!(path, "" | "/") {
        split_path(path)?;
    }
    let names = path.split('/').filter(|name| !name.is_empty());
    Ok(std::iter::once(route).chain(names).collect())
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_path_is_a_way_of_names() {
        for (path, names) in [
            ("/", vec!["list"]),
            ("/docs", vec!["list", "docs"]),
            ("docs/a b/", vec!["list", "docs", "a b"]),
            ("/docs/a/b.md", vec!["list", "docs", "a", "b.md"]),
        ] {
            assert_eq!(super::way("list", path).unwrap(), names, "{path}");
        }
        for path in ["//docs", "/docs//a", "/docs/../a", "/docs/."] {
            assert!(super::way("list", path).is_err(), "{path}");
        }
    }
}
