//! `waypost demo`: a small company's files, three questions, intents that find their agents, one agent waking another, then
//! the server.

mod handover;
mod routes;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result};
use clap::Args;
use include_dir::{Dir, include_dir};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use waypost_engine::access::{ADMIN, NewToken};
use waypost_engine::api::{AskReply, AskRequest, Engine};
use waypost_engine::id::WorkspaceName;

use super::home::{self, Fetch};
use super::serve::Greeting;
use super::{Globals, Outcome};
use crate::config::Config;
use crate::output::{self, FAINT, STRONG, Voice};

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
    expect: Vec<Asking>,
}

#[derive(Deserialize)]
struct Asking {
    #[serde(rename = "as")]
    principal: String,
}

/// The name of the tokens that the tour makes, so that the next one can end them.
const TOKEN_NAME: &str = "demo";

/// Who asks in the tour, each with a token.
type Tokens = BTreeMap<String, String>;

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
    // The two agents of the tour listen on this machine.
    let mut globals = globals.clone();
    globals.net_allow.push("127.0.0.1".to_owned());
    let globals = &globals;
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
    let voice = Voice::new(globals.json);
    voice.say(format!(
        "{STRONG}Larkweir Ltd{STRONG:#}, an invented company: {} workspaces in {}",
        names.len(),
        home.display()
    ));
    super::check::index_all(&engine)?;
    let tour = read_tour()?;
    let tokens = admit(&engine, &tour)?;
    let cards = DEMO.get_dir("agents").context("the demo has no agents")?;
    let n_agents = routes::register(&engine, cards)?;
    voice.say(format!("{FAINT}{n_agents} agents registered by their cards{FAINT:#}"));
    let told = Told {
        home: engine.home().to_owned(),
        questions: show(&engine, tour, &tokens, voice)?,
        intents: routes::show(&engine, &tokens, voice)?,
        principals: tokens.keys().cloned().collect(),
        tokens,
    };
    let [writer, reader] = handover::AGENTS.map(|agent| told.tokens.get(agent).map_or("", String::as_str));
    handover::show(&engine, writer, reader, voice)?;
    if args.exit {
        // The agents have written meanwhile, and no server comes that would take it in.
        super::check::index_all(&engine)?;
        return told.print(globals);
    }
    for (principal, token) in &told.tokens {
        voice.say(format!("{principal:24} {FAINT}{token}{FAINT:#}"));
    }
    serve(engine, config, &told, globals, args)
}

/// What a program is told of the tour.
#[derive(Serialize)]
struct Told {
    home: PathBuf,
    principals: Vec<String>,
    tokens: Tokens,
    questions: Vec<Answered>,
    intents: Vec<routes::Routed>,
}

/// A question of the tour, and what it came to.
#[derive(Serialize)]
struct Answered {
    question: String,
    #[serde(rename = "as")]
    principal: String,
    #[serde(flatten)]
    reply: AskReply,
}

impl Told {
    /// Nobody serves the home, so there is no address.
    fn print(&self, globals: &Globals) -> Outcome {
        if globals.json {
            let mut told = self.fields()?;
            told.insert("url".to_owned(), Value::Null);
            output::json(&told)?;
        }
        Ok(0)
    }

    fn fields(&self) -> Result<Map<String, Value>> {
        match serde_json::to_value(self)? {
            Value::Object(fields) => Ok(fields),
            _ => Ok(Map::new()),
        }
    }
}

fn serve(
    engine: Arc<Engine>,
    mut config: Config,
    told: &Told,
    globals: &Globals,
    args: &DemoArgs,
) -> Outcome {
    let token = new_token(&engine, ADMIN)?;
    config.listen.put(args.listen.clone());
    let (home, globals, listen) = (told.home.clone(), globals.clone(), args.listen.clone());
    let more = told.fields()?;
    let greeting = Greeting { json: globals.json, token: Some(token), more, example: Some(first_search) };
    let reread = move || {
        let mut config = crate::config::load(&home, &globals)?;
        config.listen.put(listen.clone());
        Ok(config)
    };
    let telling = config.start_telling()?;
    super::serve::run_server((engine, telling), config, reread, greeting)
}

fn first_search(url: &str, token: &str) -> String {
    format!(
        "curl -s {url}/v1/search -H 'Authorization: Bearer {token}' -H 'Content-Type: application/json' -d '{{\"query\":\"refund policy\",\"limit\":3}}'"
    )
}

/// Kept between runs beside the models, so that the second start has nothing to embed.
fn demo_home(globals: &Globals) -> Result<PathBuf> {
    let config = crate::config::load(Path::new("."), globals)?;
    let models = &config.models.value;
    Ok(models.parent().unwrap_or(models).join("demo"))
}

fn text_of(name: &str) -> Result<&'static str> {
    let file = DEMO.get_file(name).and_then(|file| file.contents_utf8());
    file.with_context(|| format!("the demo has no {name}"))
}

fn read_tour() -> Result<Tour> {
    serde_json::from_str(text_of("tour.json")?).context("in the demo's tour.json")
}

/// Lets the company's people and agents in, by its own grants, and gives a token to each who asks in the tour.
fn admit(engine: &Arc<Engine>, tour: &Tour) -> Result<Tokens> {
    let owner = engine.owner_session();
    owner.apply_policy(text_of("grants.toml")?, true, false)?;
    for token in owner.tokens()?.iter().filter(|token| token.name == TOKEN_NAME && token.revoked_at.is_none())
    {
        owner.revoke_token(&token.id)?;
    }
    let mut tokens = Tokens::new();
    let asking = tour.questions.iter().flat_map(|question| &question.expect);
    for principal in
        asking.map(|asking| asking.principal.as_str()).chain(handover::AGENTS).chain(routes::ASKING)
    {
        if !tokens.contains_key(principal) {
            tokens.insert(principal.to_owned(), new_token(engine, principal)?);
        }
    }
    Ok(tokens)
}

fn new_token(engine: &Arc<Engine>, principal: &str) -> Result<String> {
    let new =
        NewToken { principal: principal.to_owned(), name: TOKEN_NAME.to_owned(), ..NewToken::default() };
    Ok(engine.owner_session().issue_token(&new)?.token)
}

fn show(engine: &Arc<Engine>, tour: Tour, tokens: &Tokens, voice: Voice) -> Result<Vec<Answered>> {
    let mut answered = Vec::new();
    for TourQuestion { question, expect } in tour.questions {
        for Asking { principal } in expect {
            let token = tokens.get(&principal).context("everybody in the tour has a token")?;
            voice.say(format!("\n{STRONG}?{STRONG:#} {question}  {FAINT}as {principal}{FAINT:#}"));
            let request = AskRequest { question: question.clone(), ..AskRequest::default() };
            let reply = engine.session(token)?.ask(&request)?;
            let cited = reply.citations.iter().map(|cited| (cited.n as u64, cited.citation.clone()));
            voice.say(super::ask::told(&reply.answer, &cited.collect::<Vec<_>>()));
            let (took_ms, confidence) = (reply.took_ms, reply.confidence);
            voice.say(format!("  {FAINT}{took_ms:.1} ms, confidence {confidence:.2}{FAINT:#}"));
            answered.push(Answered { question: question.clone(), principal, reply });
        }
    }
    voice.say("");
    Ok(answered)
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
