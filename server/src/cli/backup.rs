//! `waypost backup FILE` and `waypost restore FILE`: a home as one file, while it is served, and back.

use std::fs::File;
use std::io::{BufReader, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use clap::Args;
use waypost_engine::api::{Error, restore_home};
use waypost_engine::net::{Fetch, Method};

use super::place::{At, Refused, Server};
use super::{Globals, NOTHING, Outcome, home};
use crate::output::{self, BAD, FAINT, GOOD, STRONG};

/// For a whole backup over a connection.
const PATIENCE: Duration = Duration::from_secs(24 * 3600);

/// Said below the flags.
const NOTE: &str = "The file holds the home's keys and every version of every file: it is made readable for you alone, and belongs \
                    where only you read it. The index is not in it; it is built anew.\n\nExamples:\n  waypost backup home.tar\n  \
                    waypost backup home.tar --url http://127.0.0.1:7077 --token wp_…";

#[derive(Args)]
#[command(after_help = NOTE)]
pub struct BackupArgs {
    /// Where to; a file that is there is replaced once the new one is whole
    file: PathBuf,
    #[command(flatten)]
    at: At,
}

#[derive(Args)]
#[command(after_help = "Example: waypost restore home.tar ./home")]
pub struct RestoreArgs {
    /// A file of `waypost backup`
    file: PathBuf,
    /// The new home, not there yet or empty; `--home` names it too
    dir: Option<PathBuf>,
}

pub fn run(globals: &Globals, args: &BackupArgs) -> Outcome {
    let folder = args.file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let server = args.at.server(globals)?;
    if server.is_none() {
        check_outside(&home::locate(globals, None)?, folder)?;
    }
    let aside =
        tempfile::Builder::new().prefix(".waypost-backup-").permissions(private()).tempfile_in(folder);
    // What the file is called until it is whole is nobody's business.
    let mut aside = aside
        .map_err(|error| std::io::Error::from(error.kind()))
        .with_context(|| format!("can't write into `{}`", folder.display()))?;
    match &server {
        Some(server) => fetch(server, aside.as_file_mut())?,
        None => {
            home::owner(globals)?.backup(aside.as_file_mut())?;
        }
    }
    aside.as_file().sync_all().context("can't sync the backup")?;
    let size = aside.as_file().metadata()?.len();
    aside.persist(&args.file).with_context(|| format!("can't write `{}`", args.file.display()))?;
    if globals.json {
        output::json(&serde_json::json!({"file": args.file, "size": size}))?;
    } else {
        let shown = output::safe(&args.file.display().to_string());
        out!(
            "{GOOD}wrote{GOOD:#} {STRONG}{shown}{STRONG:#} {FAINT}{size} bytes, readable for you alone{FAINT:#}"
        );
        err!("{FAINT}note: it holds the home's keys{FAINT:#}");
    }
    Ok(0)
}

/// A backup in the home would be part of the next one, and be shown where the home's folder is a workspace.
fn check_outside(home: &Path, folder: &Path) -> Result<()> {
    if let (Ok(home), Ok(folder)) = (home.canonicalize(), folder.canonicalize())
        && folder.starts_with(&home)
    {
        bail!("`{}` lies in the home that is backed up: expected a place outside of it", folder.display());
    }
    Ok(())
}

fn private() -> std::fs::Permissions {
    std::fs::Permissions::from_mode(0o600)
}

/// Asks a running server.
fn fetch(server: &Server, out: &mut File) -> Result<()> {
    let backup = server.route(&["backup"]);
    let mut incoming = server
        .client
        .open(&Fetch {
            method: Method::Post,
            url: backup.as_str(),
            headers: &[server.authorization()],
            deadline: PATIENCE,
            max_hops: 0,
            only_listed: true,
        })
        .map_err(Error::from)?;
    let mut buffer = vec![0; 256 << 10];
    if incoming.status != 200 {
        let n_read = incoming.read(&mut buffer).unwrap_or(0);
        return Err(Refused::of(incoming.status, &buffer[..n_read]).into());
    }
    loop {
        let n_read = incoming.read(&mut buffer).map_err(Error::from)?;
        if n_read == 0 {
            return Ok(());
        }
        out.write_all(&buffer[..n_read]).context("can't write the backup")?;
    }
}

pub fn restore(globals: &Globals, args: &RestoreArgs) -> Outcome {
    let file = File::open(&args.file).with_context(|| format!("can't read `{}`", args.file.display()))?;
    let Some(dir) = args.dir.as_ref().or(globals.home.as_ref()) else {
        bail!("no home is named: give the new folder, as in `waypost restore FILE DIR`");
    };
    let mut file: Box<dyn Read> = Box::new(BufReader::with_capacity(1 << 20, file));
    let restored = restore_home(&mut file, dir)?;
    let globals = Globals { home: Some(restored.home.clone()), ..globals.clone() };
    let findings = home::manage(&globals)?.check(false)?.findings;
    if globals.json {
        output::json(&serde_json::json!({"restored": restored, "findings": findings}))?;
    } else {
        let (at, files) = (output::safe(&restored.home.display().to_string()), restored.entries);
        out!(
            "{GOOD}restored{GOOD:#} {STRONG}{at}{STRONG:#} {FAINT}as of {}, {files} files{FAINT:#}",
            restored.created_at
        );
        for workspace in restored.workspaces.iter().filter(|workspace| workspace.attached.is_some()) {
            let folder = output::safe(workspace.attached.as_deref().unwrap_or_default());
            out!("{FAINT}`{}` was attached at {folder}; the home keeps it now{FAINT:#}", workspace.name);
        }
        for path in &restored.left_out {
            out!("{BAD}missing{BAD:#} {}: it could not be read when the backup was made", output::safe(path));
        }
        for finding in &findings {
            out!(
                "{BAD}{}{BAD:#} {}: {}",
                finding.code,
                output::safe(&finding.at),
                output::safe(&finding.what)
            );
        }
        out!(
            "{FAINT}the index is built by `waypost serve` or `waypost index`, and a search takes the words in before it answers; serve only one of the two homes, for both would deliver to the same webhooks{FAINT:#}"
        );
    }
    Ok(if findings.is_empty() { 0 } else { NOTHING })
}
