//! `waypost ask QUESTION`.

use anyhow::Result;
use clap::Args;
use serde::Deserialize;
use serde_json::{Value, json};
use waypost_engine::api::{AskRequest, Session};
use waypost_engine::search::Citation;

use super::place::{At, items, text};
use super::search::{PlaceArgs, print_status, standing};
use super::{Globals, NOTHING, Outcome, asking};
use crate::output::{self, FAINT, STRONG};

/// Said below the flags.
const EXAMPLES: &str = "Examples:\n  waypost ask 'When are travel claims due?'\n  \
                        waypost ask 'Who signs contracts?' --workspace legal --json\n  \
                        waypost ask 'Who signs contracts?' --url http://127.0.0.1:7077 --token wp_…";

#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub struct AskArgs {
    /// In plain words
    #[arg(required = true)]
    question: Vec<String>,
    #[command(flatten)]
    at: At,
    #[command(flatten)]
    place: PlaceArgs,
    /// `openai:MODEL` or `gguf:NAME`, as `[generate]` in `waypost.toml` names them; quotes alone without it
    #[arg(long, value_name = "GENERATOR")]
    generator: Option<String>,
    /// Quotes at most
    #[arg(long, short = 'n', default_value_t = 3)]
    limit: usize,
}

pub fn run(globals: &Globals, args: &AskArgs) -> Outcome {
    let question = asking::typed(&args.question, "question")?;
    let place = args.at.place_or(globals, || Ok(asking::open(globals, &args.place)?.owner_session()))?;
    let body = json!({
        "question": question,
        "workspaces": args.place.workspaces(),
        "path_prefix": args.place.path_prefix,
        "mode": args.place.mode(),
        "limit": args.limit,
        "generator": args.generator,
    });
    // At home no request's deadline holds, so a model has all of its time.
    let at_home = |session: &Session, request: &AskRequest| session.ask_telling(request, &mut |_| {});
    let reply = place.asked(at_home, &["ask"], body)?;
    let cited = items(&reply, "citations");
    if globals.json {
        output::json(&reply)?;
    } else {
        let citations = cited.iter().map(numbered).collect::<Result<Vec<_>>>()?;
        out!("{}", told(text(&reply, "answer"), &citations));
        print_status(&reply, cited.len());
    }
    asking::tell_pending(&place, &reply);
    Ok(if reply["abstained"] == true { NOTHING } else { 0 })
}

fn numbered(cited: &Value) -> Result<(u64, Citation)> {
    Ok((cited["n"].as_u64().unwrap_or_default(), Citation::deserialize(cited)?))
}

/// The answer, then where each sentence stands, by its mark.
pub fn told(answer: &str, citations: &[(u64, Citation)]) -> String {
    let line = |(n, citation): &(u64, Citation)| {
        let headings = output::aside(&citation.headings.join(" › "));
        format!("  [{n}] {STRONG}{}{STRONG:#}{FAINT}{headings}{FAINT:#}", standing(citation, true))
    };
    let lines: Vec<String> = [output::safe(answer)].into_iter().chain(citations.iter().map(line)).collect();
    lines.join("\n")
}
