//! `waypost ask QUESTION`.

use clap::Args;
use waypost_engine::api::{AskReply, AskRequest};

use super::search::{PlaceArgs, print_status};
use super::{Globals, NOTHING, Outcome, asking};
use crate::output::{self, FAINT, STRONG};

/// Said below the flags.
const EXAMPLES: &str = "Examples:\n  waypost ask 'When are travel claims due?'\n  \
                        waypost ask 'Who signs contracts?' --workspace legal --json";

#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub struct AskArgs {
    /// In plain words
    #[arg(required = true)]
    question: Vec<String>,
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
    let engine = asking::open(globals, &args.place)?;
    let request = AskRequest {
        question: args.question.join(" "),
        workspaces: args.place.workspaces(),
        path_prefix: args.place.path_prefix.clone(),
        mode: args.place.mode(),
        limit: Some(args.limit),
        generator: args.generator.clone(),
        ..AskRequest::default()
    };
    // No request's deadline holds here, so a model has all of its time.
    let reply = engine.owner_session().ask_telling(&request, &mut |_| {})?;
    if globals.json {
        output::json(&reply)?;
    } else {
        anstream::println!("{}", text(&reply));
        print_status(&reply.index, reply.took_ms, reply.citations.len());
    }
    asking::tell_pending(reply.index.pending_files);
    Ok(if reply.abstained { NOTHING } else { 0 })
}

/// The answer, then where each sentence stands.
pub fn text(reply: &AskReply) -> String {
    let mut told = vec![output::safe(&reply.answer)];
    for cited in &reply.citations {
        let lines = match (&cited.citation.location, cited.citation.lines) {
            (Some(place), _) => output::safe(&format!(", {place}")),
            (None, Some((first, last))) if first == last => format!(":{first}"),
            (None, Some((first, last))) => format!(":{first}-{last}"),
            (None, None) => String::new(),
        };
        told.push(format!(
            "  [{}] {STRONG}{}{lines}{STRONG:#}  {FAINT}{}{FAINT:#}",
            cited.n,
            output::safe(&cited.citation.path),
            output::safe(&cited.citation.headings.join(" › "))
        ));
    }
    told.join("\n")
}
