//! `waypost demo`: a small company's files, three questions, then the server.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result};
use clap::Args;
use include_dir::{Dir, include_dir};
use serde::Deserialize;
use waypost_engine::api::{AskRequest, Engine};
use waypost_engine::id::WorkspaceName;

use super::home::{self, Fetch};
use super::{Globals, Outcome};
use crate::config::Config;
use crate::output::{FAINT, STRONG};

/// The company; the files are part of the program, so that the tour needs no checkout.
static DEMO: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/../datasets/demo");

#[derive(Args)]
pub struct DemoArgs {
    /// Stop after the tour instead of serving
    #[arg(long)]
    exit: bool,
    /// Address and port of the server
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<String>,
}

#[derive(Deserialize)]
struct Tour {
    questions: Vec<TourQuestion>,
}

#[derive(Deserialize)]
struct TourQuestion {
    question: String,
}

/// One file of the company.
pub struct DemoFile {
    /// First segment of its path.
    pub workspace: String,
    /// The rest.
    pub path: PathBuf,
    /// Its bytes.
    pub bytes: &'static [u8],
}

pub fn run(globals: &Globals, args: &DemoArgs) -> Outcome {
    let home = match &globals.home {
        Some(home) => home.clone(),
        None => demo_home(globals)?,
    };
    std::fs::create_dir_all(&home).with_context(|| format!("can't make `{}`", home.display()))?;
    let names = unpack(&home)?;
    let (engine, config) = home::open(&home, globals, Fetch::IfMissing)?;
    for name in &names {
        engine.create_workspace(name)?;
    }
    anstream::println!(
        "{STRONG}Larkweir Ltd{STRONG:#}, an invented company: {} workspaces in {}",
        names.len(),
        home.display()
    );
    super::check::index_all(&engine)?;
    tour(&engine)?;
    if args.exit {
        return Ok(0);
    }
    serve(engine, &config, globals, args)
}

fn serve(engine: Arc<Engine>, config: &Config, globals: &Globals, args: &DemoArgs) -> Outcome {
    let token = engine.issue_admin_token()?;
    let url = args.listen.as_deref().unwrap_or(&config.listen.value);
    anstream::println!(
        "{FAINT}try: curl -s http://{url}/v1/search -H 'Authorization: Bearer {token}' -H 'Content-Type: application/json' -d '{{\"query\":\"refund policy\",\"limit\":3}}'{FAINT:#}"
    );
    super::serve::run_server(engine, config, args.listen.as_deref(), globals.json, Some(token))
}

/// Kept between runs beside the models, so that the second start has nothing to embed.
fn demo_home(globals: &Globals) -> Result<PathBuf> {
    let config = crate::config::load(Path::new("."), globals)?;
    let models = &config.models.value;
    Ok(models.parent().unwrap_or(models).join("demo"))
}

fn tour(engine: &Arc<Engine>) -> Result<()> {
    let text =
        DEMO.get_file("tour.json").and_then(|file| file.contents_utf8()).context("the demo has no tour")?;
    let tour: Tour = serde_json::from_str(text).context("in the demo's tour.json")?;
    for question in tour.questions {
        anstream::println!("\n{STRONG}?{STRONG:#} {}", question.question);
        let reply = engine
            .owner_session()
            .ask(&AskRequest { question: question.question, ..AskRequest::default() })?;
        super::ask::print(&reply);
        anstream::println!("  {FAINT}{:.1} ms, confidence {:.2}{FAINT:#}", reply.took_ms, reply.confidence);
    }
    anstream::println!();
    Ok(())
}

/// Every file of the company, by path.
pub fn files() -> Vec<DemoFile> {
    let mut out = Vec::new();
    let mut waiting: Vec<&Dir<'_>> = DEMO.get_dir("workspaces").into_iter().collect();
    while let Some(dir) = waiting.pop() {
        waiting.extend(dir.dirs());
        for file in dir.files() {
            let below = file.path().strip_prefix("workspaces").unwrap_or(file.path());
            let mut parts = below.components();
            let Some(workspace) = parts.next() else { continue };
            out.push(DemoFile {
                workspace: workspace.as_os_str().to_string_lossy().into_owned(),
                path: parts.as_path().to_owned(),
                bytes: file.contents(),
            });
        }
    }
    out.sort_by(|a, b| (&a.workspace, &a.path).cmp(&(&b.workspace, &b.path)));
    out
}

/// Writes the files that are not there yet, as they are; gives the workspaces' names.
fn unpack(home: &Path) -> Result<Vec<WorkspaceName>> {
    let mut names: Vec<WorkspaceName> = Vec::new();
    for file in files() {
        let path = home.join("workspaces").join(&file.workspace).join(&file.path);
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder).with_context(|| format!("can't make `{}`", folder.display()))?;
        }
        if !std::fs::read(&path).is_ok_and(|old| old == file.bytes) {
            std::fs::write(&path, file.bytes).with_context(|| format!("can't write `{}`", path.display()))?;
        }
        let name = WorkspaceName::new(&file.workspace)?;
        if !names.contains(&name) {
            names.push(name);
        }
    }
    Ok(names)
}
