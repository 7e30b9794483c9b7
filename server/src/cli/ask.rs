//! `waypost ask QUESTION`.

use clap::Args;
use waypost_engine::api::{AskReply, AskRequest};

use super::home::{self, Fetch};
use super::search::{PlaceArgs, print_status};
use super::{Globals, NOTHING, Outcome};
use crate::output::{self, FAINT, STRONG};

#[derive(Args)]
pub struct AskArgs {
    /// In plain words
    #[arg(required = true)]
    question: Vec<String>,
    #[command(flatten)]
    place: PlaceArgs,
    /// `openai:MODEL` of the endpoint under `[generate]` in `waypost.toml`; quotes alone without it
    #[arg(long, value_name = "GENERATOR")]
    generator: Option<String>,
    /// Quotes at most
    #[arg(long, short = 'n', default_value_t = 3)]
    limit: usize,
}

pub fn run(globals: &Globals, args: &AskArgs) -> Outcome {
    let (engine, _) = home::open(&home::existing(globals)?, globals, Fetch::Never)?;
    let request = AskRequest {
        question: args.question.join(" "),
        workspaces: args.place.workspaces(),
        path_prefix: args.place.path_prefix.clone(),
        mode: args.place.mode(),
        limit: Some(args.limit),
        generator: args.generator.clone(),
        ..AskRequest::default()
    };
    let reply = engine.owner_session().ask(&request)?;
    if globals.json {
        output::json(&reply)?;
    } else {
        print(&reply);
        print_status(&reply.index, reply.took_ms, reply.citations.len());
    }
    Ok(if reply.abstained { NOTHING } else { 0 })
}

/// The answer, then where each sentence stands.
pub fn print(reply: &AskReply) {
    anstream::println!("{}", output::safe(&reply.answer));
    for cited in &reply.citations {
        let lines = match (&cited.citation.location, cited.citation.lines) {
            (Some(place), _) => output::safe(&format!(", {place}")),
            (None, Some((first, last))) if first == last => format!(":{first}"),
            (None, Some((first, last))) => format!(":{first}-{last}"),
            (None, None) => String::new(),
        };
        anstream::println!(
            "  [{}] {STRONG}{}{lines}{STRONG:#}  {FAINT}{}{FAINT:#}",
            cited.n,
            output::safe(&cited.citation.path),
            output::safe(&cited.citation.headings.join(" › "))
        );
    }
}
