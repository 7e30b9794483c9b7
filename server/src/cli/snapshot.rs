//! `waypost snapshot`: states of whole workspaces.

use std::io::{BufWriter, IsTerminal, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use clap::Subcommand;
use serde_json::json;
use waypost_engine::api::{Engine, Error, RestoreReport, Session, SnapshotDiff, SnapshotInfo};
use waypost_engine::id::WorkspaceName;

use super::{Globals, Outcome, check, find, home};
use crate::output::{self, BAD, FAINT, GOOD, MATCH, STRONG};

#[derive(Subcommand)]
#[command(after_help = "Example: waypost snapshot create finance --name 'before the audit'")]
pub enum SnapshotCommand {
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

pub fn run(globals: &Globals, command: &SnapshotCommand) -> Outcome {
    let engine = home::manage(globals)?;
    let session = engine.owner_session();
    match command {
        SnapshotCommand::List => output::list(globals.json, &session.snapshots()?, line)?,
        SnapshotCommand::Create { workspace, name } => {
            let name = name.as_deref().unwrap_or_default();
            create(globals, &engine, workspace.as_deref(), name)?;
        }
        SnapshotCommand::Show { id } => {
            output::one(
                globals.json,
                find(&session.snapshots()?, "snapshot", id, |snapshot| &snapshot.id)?,
                line,
            )?;
        }
        SnapshotCommand::Diff { id, other } => {
            if other.is_none() {
                catch_up(&engine, id)?;
            }
            print_diff(globals, &session.diff_snapshot(id, other.as_deref())?)?;
        }
        SnapshotCommand::Restore { id } => {
            catch_up(&engine, id)?;
            print_restored(globals, &session.restore_snapshot(id)?)?;
        }
        SnapshotCommand::Clone { id, name } => {
            let made = session.clone_snapshot(id, name)?;
            if globals.json { output::json(&made)? } else { print_restored(globals, &made.files)? }
        }
        SnapshotCommand::Export { id, file } => export(globals, &session, id, file)?,
        SnapshotCommand::Remove { id } => {
            session.remove_snapshot(id)?;
            output::done(globals.json, "removed", id)?;
        }
    }
    Ok(0)
}

/// What other programs have written is part of the state; no server was there to notice it.
fn create(globals: &Globals, engine: &Arc<Engine>, workspace: Option<&str>, name: &str) -> Result<()> {
    let session = engine.owner_session();
    match workspace {
        Some(workspace) => index(engine, &session.workspace(workspace)?.name)?,
        None => check::index_all(engine)?,
    }
    output::list(globals.json, &session.take_snapshot(workspace, name)?, line)
}

/// Takes in what other programs have written to a snapshot's workspace since a server last looked.
fn catch_up(engine: &Arc<Engine>, id: &str) -> Result<()> {
    let snapshots = engine.owner_session().snapshots()?;
    // One that is not there is refused by the command itself.
    match snapshots.iter().find(|snapshot| snapshot.id == id) {
        Some(snapshot) => index(engine, &snapshot.workspace),
        None => Ok(()),
    }
}

fn index(engine: &Engine, workspace: &str) -> Result<()> {
    check::index(engine, &[WorkspaceName::new(workspace).map_err(Error::from)?])
}

fn line(snapshot: &SnapshotInfo) {
    anstream::println!(
        "{STRONG}{}{STRONG:#}  {}{}  {FAINT}{} by {}, seq {}{FAINT:#}",
        snapshot.id,
        snapshot.workspace,
        output::aside(&snapshot.name),
        snapshot.created_at,
        output::safe(&snapshot.actor),
        snapshot.seq
    );
}

fn print_diff(globals: &Globals, diff: &SnapshotDiff) -> Result<()> {
    if globals.json {
        return output::json(diff);
    }
    for path in &diff.removed {
        anstream::println!("{BAD}- {}{BAD:#}", output::safe(path));
    }
    for path in &diff.added {
        anstream::println!("{GOOD}+ {}{GOOD:#}", output::safe(path));
    }
    for path in &diff.changed {
        anstream::println!("{MATCH}~ {}{MATCH:#}", output::safe(path));
    }
    if *diff == SnapshotDiff::default() {
        anstream::eprintln!("{FAINT}nothing differs{FAINT:#}");
    }
    Ok(())
}

fn print_restored(globals: &Globals, report: &RestoreReport) -> Result<()> {
    if globals.json {
        return output::json(report);
    }
    anstream::println!(
        "{} files written, {} removed  {FAINT}seq {}{FAINT:#}",
        report.restored,
        report.removed,
        report.seq
    );
    if !report.before.is_empty() {
        anstream::println!("undo it with `waypost snapshot restore {}`", report.before);
    }
    for path in &report.pruned {
        anstream::println!("{BAD}{}{BAD:#}: its bytes of then are pruned", output::safe(path));
    }
    Ok(())
}

fn export(globals: &Globals, session: &Session, id: &str, file: &Path) -> Result<()> {
    if file == Path::new("-") {
        let out = std::io::stdout().lock();
        if out.is_terminal() {
            bail!("an archive is nothing for a terminal: name a file, or send it on with `|` or `>`");
        }
        let mut out = BufWriter::new(out);
        session.export_snapshot(id, &mut out)?;
        return Ok(out.flush()?);
    }
    export_to(session, id, file)?;
    if globals.json {
        return output::json(&json!({"id": id, "file": file}));
    }
    anstream::println!("wrote {STRONG}{}{STRONG:#}", output::safe(&file.to_string_lossy()));
    Ok(())
}

/// Written aside first, so that a file of that name stays whole where the export fails.
fn export_to(session: &Session, id: &str, file: &Path) -> Result<()> {
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let unwritable = || format!("can't write `{}`", file.display());
    let mut aside = tempfile::Builder::new()
        .prefix(".waypost-export-")
        // As any new file: what the umask leaves of it.
        .permissions(std::fs::Permissions::from_mode(0o666))
        .tempfile_in(folder)
        .with_context(unwritable)?;
    let mut out = BufWriter::new(aside.as_file_mut());
    session.export_snapshot(id, &mut out)?;
    out.flush().with_context(unwritable)?;
    drop(out);
    aside.as_file().sync_all().with_context(unwritable)?;
    aside.persist(file).map_err(|refused| refused.error).with_context(unwritable)?;
    Ok(())
}
