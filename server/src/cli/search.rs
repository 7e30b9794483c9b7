//! `waypost search QUERY`.

use clap::Args;
use waypost_engine::api::{IndexStatus, SearchHit, SearchRequest};
use waypost_engine::id::WorkspaceName;
use waypost_engine::search::{Degraded, Mode};

use super::{Globals, NOTHING, Outcome, asking};
use crate::output::{self, FAINT, MATCH, STRONG};

/// Said below the flags.
const EXAMPLES: &str = "Examples:\n  waypost search refund policy\n  \
                        waypost search '\"thirty days\" -draft ext:md' --workspace docs --limit 3";

#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub struct SearchArgs {
    /// Words, "phrases", -exclusions, field:value (path, ext, lang, type, in, after, before)
    #[arg(required = true)]
    query: Vec<String>,
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
    let engine = asking::open(globals, &args.place)?;
    let request = SearchRequest {
        query: args.query.join(" "),
        workspaces: args.place.workspaces(),
        path_prefix: args.place.path_prefix.clone(),
        mode: args.place.mode(),
        limit: Some(args.limit),
        explain: args.explain,
        ..SearchRequest::default()
    };
    let reply = engine.owner_session().search(&request)?;
    if globals.json {
        output::json(&reply)?;
    } else {
        reply.results.iter().for_each(print);
        print_status(&reply.index, reply.took_ms, reply.results.len());
    }
    asking::tell_pending(reply.index.pending_files);
    Ok(if reply.results.is_empty() { NOTHING } else { 0 })
}

fn print(hit: &SearchHit) {
    let lines = match (&hit.citation.location, hit.citation.lines) {
        (Some(place), _) => output::safe(&format!(", {place}")),
        (None, Some((first, _))) => format!(":{first}"),
        (None, None) => String::new(),
    };
    let headings = hit.citation.headings.join(" › ");
    anstream::println!(
        "{STRONG}{}{lines}{STRONG:#}  {FAINT}{:.3}  {}{FAINT:#}",
        output::safe(&hit.citation.path),
        hit.score,
        output::safe(&headings)
    );
    anstream::println!("  {}", marked(&hit.snippet, &hit.highlights));
    if let Some(ranks) = &hit.ranks {
        let rank = |rank: Option<u32>| rank.map_or_else(|| "–".to_owned(), |rank| format!("#{rank}"));
        anstream::println!(
            "  {FAINT}words {} (bm25 {:.2}) · meaning {} (cosine {:.3}) · weight of meaning {:.2}{FAINT:#}",
            rank(ranks.lexical),
            ranks.bm25,
            rank(ranks.semantic),
            ranks.cosine.unwrap_or(f32::NAN),
            ranks.semantic_weight
        );
    }
    for copy in &hit.copies {
        anstream::println!("  {FAINT}also in {}{FAINT:#}", output::safe(copy));
    }
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
pub fn print_status(index: &IndexStatus, took_ms: f64, n_found: usize) {
    let found = if n_found == 0 { "nothing found · ".to_owned() } else { String::new() };
    let pending = if index.pending_files > 0 {
        format!(" · {} files pending", index.pending_files)
    } else {
        String::new()
    };
    anstream::println!("{FAINT}{found}{took_ms:.1} ms{pending}{FAINT:#}");
    print_degraded(&index.degraded);
}

/// Names what could not run.
pub fn print_degraded(stages: &[Degraded]) {
    for degraded in stages {
        let reason = output::safe(&degraded.reason);
        anstream::println!("{FAINT}{} did not run: {reason}{FAINT:#}", degraded.stage);
    }
}
