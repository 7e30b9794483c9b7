//! `waypost route INTENT`.

use clap::{Args, ValueEnum};
use waypost_engine::api::{RouteCandidate, RouteOutcome, RouteReply, RouteRequest};
use waypost_engine::route::EntryKind;

use super::home::{self, Fetch};
use super::{Globals, NOTHING, Outcome};
use crate::output::{self, BAD, FAINT, GOOD, STRONG};

#[derive(Clone, Copy, ValueEnum)]
enum Kind {
    Agent,
    Tool,
}

#[derive(Args)]
pub struct RouteArgs {
    /// What is to be done, in plain words
    #[arg(required = true)]
    intent: Vec<String>,
    /// Only agents, or only tools
    #[arg(long)]
    kind: Option<Kind>,
    /// Candidates at most
    #[arg(long, short = 'n', default_value_t = 5)]
    limit: usize,
    /// Show the figures behind each candidate
    #[arg(long)]
    explain: bool,
}

pub fn run(globals: &Globals, args: &RouteArgs) -> Outcome {
    let (engine, _) = home::open(&home::locate(globals, None)?, globals, Fetch::Never)?;
    let kinds = args.kind.map(|kind| match kind {
        Kind::Agent => EntryKind::Agent,
        Kind::Tool => EntryKind::Tool,
    });
    let request = RouteRequest {
        intent: args.intent.join(" "),
        kinds: kinds.into_iter().collect(),
        limit: Some(args.limit),
        explain: args.explain,
    };
    let reply = engine.owner_session().route(&request)?;
    if globals.json {
        output::json(&reply)?;
    } else {
        print(&reply);
    }
    Ok(if reply.outcome == RouteOutcome::None { NOTHING } else { 0 })
}

/// The outcome, then who comes into question.
pub fn print(reply: &RouteReply) {
    match (&reply.decision, &reply.question) {
        (Some(decision), _) => anstream::println!(
            "{GOOD}routed{GOOD:#} to {STRONG}{}{STRONG:#} ({}), {:.0} % sure",
            output::safe(&decision.id),
            output::safe(&decision.name),
            100.0 * decision.confidence
        ),
        (None, Some(question)) => anstream::println!("{STRONG}{}{STRONG:#}", output::safe(question)),
        (None, None) => anstream::println!("{BAD}none{BAD:#}: nobody here is known to do this"),
    }
    for part in &reply.parts {
        anstream::println!("  \"{}\" → {}", output::safe(&part.part), output::safe(&part.id));
    }
    reply.candidates.iter().for_each(line);
    let degraded = match reply.degraded.is_empty() {
        true => String::new(),
        false => format!(" · without: {}", reply.degraded.join(", ")),
    };
    anstream::println!(
        "{FAINT}{} · at most {} % of routed intents may go wrong · {:.1} ms{degraded}{FAINT:#}",
        reply.decision_id,
        100.0 * reply.max_error,
        reply.took_ms
    );
}

fn line(candidate: &RouteCandidate) {
    anstream::println!(
        "  {:>4.0} %  {}  {FAINT}{}{FAINT:#}",
        100.0 * candidate.confidence,
        output::safe(&candidate.id),
        output::safe(&candidate.why)
    );
    if let Some(figures) = &candidate.figures {
        let cosine = figures.cosine.map_or_else(|| "-".to_owned(), |cosine| format!("{cosine:.3}"));
        anstream::println!(
            "          {FAINT}cosine {cosine}, head {:.3}, margin {:.3}{FAINT:#}",
            figures.probability,
            candidate.margin
        );
    }
}
