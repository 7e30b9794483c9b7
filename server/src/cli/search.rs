//! `waypost search QUERY`.

use anyhow::Result;
use clap::Args;
use serde::Deserialize;
use serde_json::{Value, json};
use waypost_engine::api::Session;
use waypost_engine::id::WorkspaceName;
use waypost_engine::search::{Citation, Mode};

use super::place::{At, items, text};
use super::{Globals, NOTHING, Outcome, asking};
use crate::output::{self, FAINT, MATCH, STRONG};

/// Said below the flags.
const EXAMPLES: &str = "Examples:\n  waypost search refund policy\n  \
                        waypost search '\"thirty days\" -draft ext:md' --workspace docs --limit 3\n  \
                        waypost search 'invoice type:text/csv after:2026-01-31' --url http://127.0.0.1:7077";

#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub struct SearchArgs {
    /// Words, "phrases", -exclusions, and conditions on files: path:PART, ext:md, lang:en or lang:rust, type:text/csv
    /// or type:image/*, in:FOLDER, after:2026-01-31, before:2026-01-31T12:00:00Z; whatever has another form is a word
    #[arg(required = true)]
    query: Vec<String>,
    #[command(flatten)]
    at: At,
    #[command(flatten)]
    place: PlaceArgs,
    /// Hits at most
    #[arg(long, short = 'n', default_value_t = 10)]
    limit: usize,
    /// Show what each arm says
    #[arg(long)]
    explain: bool,
}

/// Where to look, and how.
#[derive(Args)]
pub struct PlaceArgs {
    /// Only this workspace; may be given several times
    #[arg(long, short = 'w')]
    pub workspace: Vec<String>,
    /// Only this folder or file
    #[arg(long, value_name = "PATH")]
    pub path_prefix: Option<String>,
    /// Which arms answer
    #[arg(long, value_enum, default_value_t = ModeArg::Hybrid)]
    pub mode: ModeArg,
}

#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum ModeArg {
    /// Words and meaning
    Hybrid,
    /// Words alone
    Lexical,
    /// Meaning alone
    Semantic,
}

impl PlaceArgs {
    pub fn workspaces(&self) -> Option<Vec<String>> {
        (!self.workspace.is_empty()).then(|| self.workspace.clone())
    }

    pub fn mode(&self) -> Mode {
        self.mode.mode()
    }

    /// Whether a workspace may be among those that are asked; an id says nothing of a name.
    pub fn may_be_in(&self, name: &WorkspaceName) -> bool {
        let names = |asked: &String| asked.starts_with("ws_") || asked == name.as_str();
        self.workspace.is_empty() || self.workspace.iter().any(names)
    }
}

impl ModeArg {
    pub fn mode(self) -> Mode {
        match self {
            Self::Hybrid => Mode::Hybrid,
            Self::Lexical => Mode::Lexical,
            Self::Semantic => Mode::Semantic,
        }
    }
}

pub fn run(globals: &Globals, args: &SearchArgs) -> Outcome {
    let query = asking::typed(&args.query, "query")?;
    let place = args.at.place_or(globals, || Ok(asking::open(globals, &args.place)?.owner_session()))?;
    let body = json!({
        "query": query,
        "workspaces": args.place.workspaces(),
        "path_prefix": args.place.path_prefix,
        "mode": args.place.mode(),
        "limit": args.limit,
        "explain": args.explain,
    });
    let reply = place.asked(Session::search, &["search"], body)?;
    let hits = items(&reply, "results");
    if globals.json {
        output::json(&reply)?;
    } else {
        hits.iter().try_for_each(print)?;
        print_status(&reply, hits.len());
    }
    asking::tell_pending(&place, &reply);
    Ok(if hits.is_empty() { NOTHING } else { 0 })
}

fn print(hit: &Value) -> Result<()> {
    let citation = Citation::deserialize(&hit["citation"])?;
    out!(
        "{STRONG}{}{STRONG:#}  {FAINT}{:.3}{}{FAINT:#}",
        standing(&citation, false),
        hit["score"].as_f64().unwrap_or_default(),
        output::aside(&citation.headings.join(" › "))
    );
    let highlights = Vec::<[usize; 2]>::deserialize(&hit["highlights"])?;
    out!("  {}", marked(text(hit, "snippet"), &highlights));
    let ranks = &hit["ranks"];
    if !ranks.is_null() {
        let rank = |arm: &str| ranks[arm].as_u64().map_or_else(|| "–".to_owned(), |rank| format!("#{rank}"));
        let figure = |name: &str| ranks[name].as_f64().unwrap_or(f64::NAN);
        out!(
            "  {FAINT}words {} (bm25 {:.2}) · meaning {} (cosine {:.3}) · weight of meaning {:.2}{FAINT:#}",
            rank("lexical"),
            figure("bm25"),
            rank("semantic"),
            figure("cosine"),
            figure("semantic_weight")
        );
    }
    for copy in items(hit, "copies").iter().filter_map(Value::as_str) {
        out!("  {FAINT}also in {}{FAINT:#}", output::safe(copy));
    }
    Ok(())
}

/// The file and where in it: a place such as a page, or lines, all of them or the first one.
pub fn standing(citation: &Citation, all_lines: bool) -> String {
    let place = match (&citation.location, citation.lines) {
        (Some(place), _) => format!(", {place}"),
        (None, Some((first, last))) if all_lines && first != last => format!(":{first}-{last}"),
        (None, Some((first, _))) => format!(":{first}"),
        (None, None) => String::new(),
    };
    output::safe(&format!("{}{place}", citation.path))
}

fn marked(snippet: &str, highlights: &[[usize; 2]]) -> String {
    let mut out = String::new();
    let mut at = 0;
    for [from, to] in highlights {
        let (Some(before), Some(word)) = (snippet.get(at..*from), snippet.get(*from..*to)) else { continue };
        out.push_str(&output::safe(before));
        out.push_str(&format!("{MATCH}{}{MATCH:#}", output::safe(word)));
        at = *to;
    }
    out.push_str(&output::safe(snippet.get(at..).unwrap_or_default()));
    out
}

/// How far the index is and what could not run, on one line.
pub fn print_status(reply: &Value, n_found: usize) {
    let found = if n_found == 0 { "nothing found · " } else { "" };
    let pending = match reply["index"]["pending_files"].as_u64() {
        Some(n_files) if n_files > 0 => format!(" · {n_files} files pending"),
        _ => String::new(),
    };
    let took_ms = reply["took_ms"].as_f64().unwrap_or_default();
    out!("{FAINT}{found}{took_ms:.1} ms{pending}{FAINT:#}");
    print_degraded(items(&reply["index"], "degraded"));
}

/// Names what could not run.
pub fn print_degraded(stages: &[Value]) {
    for degraded in stages {
        let (stage, reason) = (text(degraded, "stage"), text(degraded, "reason"));
        out!("{FAINT}{} did not run: {}{FAINT:#}", output::safe(stage), output::safe(reason));
    }
}
