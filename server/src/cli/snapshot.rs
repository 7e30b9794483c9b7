//! `waypost snapshot`: states of whole workspaces.

use std::io::{BufWriter, IsTerminal, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use clap::{Args, Subcommand};
use serde_json::{Value, json};
use waypost_engine::api::{Engine, Error, Session};
use waypost_engine::id::WorkspaceName;

use super::place::{Ask, At, Place, items, text};
use super::{Globals, Outcome, check, home, raw};
use crate::output::{self, BAD, FAINT, GOOD, MATCH, STRONG};

/// Said below the list of commands.
const EXAMPLES: &str = "Examples:\n  waypost snapshot create finance --name 'before the audit'\n  \
                        waypost snapshot list --url http://127.0.0.1:7077 --token wp_…";

#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub struct SnapshotArgs {
    #[command(flatten)]
    at: At,
    #[command(subcommand)]
    command: SnapshotCommand,
}

#[derive(Subcommand)]
enum SnapshotCommand {
    /// All snapshots, newest first
    #[command(after_help = "Example: waypost snapshot list")]
    List,
    /// Name the state of a workspace, or of every workspace; copies nothing
    #[command(visible_alias = "add")]
    #[command(after_help = "Example: waypost snapshot create finance --name 'before the audit'")]
    Create {
        /// Its name or id; all of them where it is missing
        workspace: Option<String>,
        /// For people
        #[arg(long)]
        name: Option<String>,
    },
    /// One snapshot
    #[command(after_help = "Example: waypost snapshot show sn_…")]
    Show {
        /// `sn_…`
        id: String,
    },
    /// What differs between a snapshot and today, or another one of the same workspace
    #[command(after_help = "Example: waypost snapshot diff sn_…")]
    Diff {
        /// `sn_…`
        id: String,
        /// `sn_…`; today where it is missing
        other: Option<String>,
    },
    /// Make a workspace's files again what they were; the state before is a snapshot first
    #[command(after_help = "Example: waypost snapshot restore sn_…")]
    Restore {
        /// `sn_…`
        id: String,
    },
    /// Make a new workspace with the files of a snapshot
    #[command(after_help = "Example: waypost snapshot clone sn_… finance-trial")]
    Clone {
        /// `sn_…`
        id: String,
        /// Of the new workspace
        name: String,
    },
    /// Write a snapshot's files as a tar archive
    #[command(after_help = "Example: waypost snapshot export sn_… finance.tar")]
    Export {
        /// `sn_…`
        id: String,
        /// `-` for standard output
        #[arg(value_name = "FILE.tar")]
        file: PathBuf,
    },
    /// Forget a snapshot; the files stay
    #[command(after_help = "Example: waypost snapshot remove sn_…")]
    Remove {
        /// `sn_…`
        id: String,
    },
}

pub fn run(globals: &Globals, args: &SnapshotArgs) -> Outcome {
    let place = args.at.place_or(globals, || opened(globals, &args.command))?;
    match &args.command {
        SnapshotCommand::List => {
            output::list(globals.json, &place.all(Session::snapshots, Ask::get(&["snapshots"]))?, line)?;
        }
        SnapshotCommand::Create { workspace, name } => {
            let taken = create(&place, workspace.as_deref(), name.as_deref().unwrap_or_default())?;
            output::list(globals.json, &taken, line)?;
        }
        SnapshotCommand::Show { id } => {
            let snapshot = place.one(|session| session.snapshot(id), Ask::get(&["snapshots", id]))?;
            output::one(globals.json, &snapshot, line)?;
        }
        SnapshotCommand::Diff { id, other } => {
            let other = other.as_deref();
            let ask = Ask::get(&["snapshots", id, "diff"]).with("with", other);
            let diff = place.one(|session| session.diff_snapshot(id, other), ask)?;
            output::one(globals.json, &diff, print_diff)?;
        }
        SnapshotCommand::Restore { id } => {
            let ask = Ask::post(&["snapshots", id, "restore"], json!({}));
            let report = place.one(|session| session.restore_snapshot(id), ask)?;
            output::one(globals.json, &report, print_restored)?;
        }
        SnapshotCommand::Clone { id, name } => {
            let ask = Ask::post(&["snapshots", id, "clone"], json!({"name": name}));
            let made = place.one(|session| session.clone_snapshot(id, name), ask)?;
            output::one(globals.json, &made, print_restored)?;
        }
        SnapshotCommand::Export { id, file } => export(globals, &place, id, file)?,
        SnapshotCommand::Remove { id } => {
            place.one(|session| session.remove_snapshot(id), Ask::delete(&["snapshots", id]))?;
            output::done(globals.json, "removed", id)?;
        }
    }
    Ok(0)
}

/// Opens the home. What other programs have written is part of the state of today; where that is asked about it is taken in
/// first, for no server was there to notice it.
fn opened(globals: &Globals, command: &SnapshotCommand) -> Result<Session> {
    let engine = home::manage(globals)?;
    let session = engine.owner_session();
    match command {
        SnapshotCommand::Create { workspace: Some(workspace), .. } => {
            index(&engine, &session.workspace(workspace)?.name)?;
        }
        SnapshotCommand::Create { workspace: None, .. } => check::index_all(&engine)?,
        SnapshotCommand::Diff { id, other: None } | SnapshotCommand::Restore { id } => {
            // One that is not there is refused by the command itself.
            if let Ok(snapshot) = session.snapshot(id) {
                index(&engine, &snapshot.workspace)?;
            }
        }
        _ => {}
    }
    Ok(session)
}

fn index(engine: &Engine, workspace: &str) -> Result<()> {
    check::index(engine, &[WorkspaceName::new(workspace).map_err(Error::from)?])
}

fn create(place: &Place, workspace: Option<&str>, name: &str) -> Result<Vec<Value>> {
    let at_home = |session: &Session| -> Result<Value, Error> {
        Ok(json!({"items": session.take_snapshot(workspace, name)?}))
    };
    let ask = Ask::post(&["snapshots"], json!({"workspace": workspace, "name": name}));
    let taken = place.one(at_home, ask)?;
    // A server that was asked for one gives that one.
    Ok(if taken["items"].is_array() { items(&taken, "items").to_vec() } else { vec![taken] })
}

fn line(snapshot: &Value) {
    out!(
        "{STRONG}{}{STRONG:#}  {}{}  {FAINT}{} by {}, seq {}{FAINT:#}",
        output::safe(text(snapshot, "id")),
        output::safe(text(snapshot, "workspace")),
        output::aside(text(snapshot, "name")),
        output::safe(text(snapshot, "created_at")),
        output::safe(text(snapshot, "actor")),
        output::safe(text(snapshot, "seq"))
    );
}

fn print_diff(diff: &Value) {
    let paths = |which: &str| -> Vec<String> {
        items(diff, which).iter().filter_map(Value::as_str).map(output::safe).collect()
    };
    let (removed, added, changed) = (paths("removed"), paths("added"), paths("changed"));
    removed.iter().for_each(|path| out!("{BAD}- {path}{BAD:#}"));
    added.iter().for_each(|path| out!("{GOOD}+ {path}{GOOD:#}"));
    changed.iter().for_each(|path| out!("{MATCH}~ {path}{MATCH:#}"));
    if removed.is_empty() && added.is_empty() && changed.is_empty() {
        err!("{FAINT}nothing differs{FAINT:#}");
    }
}

fn print_restored(report: &Value) {
    let (restored, removed) = (&report["restored"], &report["removed"]);
    let seq = output::safe(text(report, "seq"));
    out!("{restored} files written, {removed} removed  {FAINT}seq {seq}{FAINT:#}");
    let before = output::safe(text(report, "before"));
    if !before.is_empty() {
        out!("undo it with `waypost snapshot restore {before}`");
    }
    for path in items(report, "pruned").iter().filter_map(Value::as_str) {
        out!("{BAD}{}{BAD:#}: its bytes of then are pruned", output::safe(path));
    }
}

fn export(globals: &Globals, place: &Place, id: &str, file: &Path) -> Result<()> {
    if file == Path::new("-") {
        let out = std::io::stdout().lock();
        if out.is_terminal() {
            bail!("an archive is nothing for a terminal: name a file, or send it on with `|` or `>`");
        }
        let mut out = BufWriter::new(out);
        write_archive(place, id, &mut out)?;
        return Ok(out.flush()?);
    }
    export_to(place, id, file)?;
    if globals.json {
        return output::json(&json!({"id": id, "file": file}));
    }
    out!("wrote {STRONG}{}{STRONG:#}", output::safe(&file.to_string_lossy()));
    Ok(())
}

fn write_archive(place: &Place, id: &str, out: &mut dyn Write) -> Result<()> {
    match place {
        Place::Home(session) => Ok(session.export_snapshot(id, out)?),
        Place::Server(server) => raw::copy(&mut raw::open(server, &["snapshots", id, "export"], &[])?, out),
    }
}

/// Written aside first, so that a file of that name stays whole where the export fails.
fn export_to(place: &Place, id: &str, file: &Path) -> Result<()> {
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let unwritable = || format!("can't write `{}`", file.display());
    let mut aside = tempfile::Builder::new()
        .prefix(".waypost-export-")
        // As any new file: what the umask leaves of it.
        .permissions(std::fs::Permissions::from_mode(0o666))
        .tempfile_in(folder)
        .with_context(unwritable)?;
    let mut out = BufWriter::new(aside.as_file_mut());
    write_archive(place, id, &mut out)?;
    out.flush().with_context(unwritable)?;
    drop(out);
    aside.as_file().sync_all().with_context(unwritable)?;
    aside.persist(file).map_err(|refused| refused.error).with_context(unwritable)?;
    Ok(())
}
