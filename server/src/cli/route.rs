//! `waypost route INTENT`.

use anyhow::Result;
use clap::{Args, ValueEnum};
use serde::Deserialize;
use waypost_engine::api::{RouteCandidate, RouteOutcome, RouteReply, RouteRequest, Session};
use waypost_engine::route::EntryKind;

use super::home::{self, Fetch};
use super::place::At;
use super::{Globals, NOTHING, Outcome};
use crate::output::{self, BAD, FAINT, GOOD, STRONG};

#[derive(Clone, Copy, ValueEnum)]
enum Kind {
    Agent,
    Tool,
}

/// Said below the flags.
const EXAMPLES: &str = "Examples:\n  waypost route 'translate the press release into German'\n  \
                        waypost route 'transfer 50 euros' --kind tool --explain\n  \
                        waypost route 'transfer 50 euros' --url http://127.0.0.1:7077 --token wp_…";

#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub struct RouteArgs {
    /// What is to be done, in plain words
    #[arg(required = true)]
    intent: Vec<String>,
    #[command(flatten)]
    at: At,
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
    let open = || -> Result<Session> {
        Ok(home::open(&home::locate(globals, None)?, globals, Fetch::Never)?.0.owner_session())
    };
    let place = args.at.place_or(globals, open)?;
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
    let said = place.asked(Session::route, &["route"], serde_json::to_value(&request)?)?;
    let reply = RouteReply::deserialize(&said)?;
    if globals.json {
        output::json(&said)?;
    } else {
        out!("{}", text(&reply));
    }
    Ok(if reply.outcome == RouteOutcome::None { NOTHING } else { 0 })
}

/// The outcome, then who comes into question.
pub fn text(reply: &RouteReply) -> String {
    let mut told = vec![match (&reply.decision, &reply.question) {
        (Some(decision), _) => format!(
            "{GOOD}routed{GOOD:#} to {STRONG}{}{STRONG:#} ({}), {:.0} % sure",
            output::safe(&decision.id),
            output::safe(&decision.name),
            100.0 * decision.confidence
        ),
        (None, Some(question)) => format!("{STRONG}{}{STRONG:#}", output::safe(question)),
        (None, None) if !reply.unavailable.is_empty() => {
            format!(
                "{BAD}none{BAD:#}: {} can do this, and nobody takes it now",
                output::safe(&reply.unavailable.join(", "))
            )
        }
        (None, None) => format!("{BAD}none{BAD:#}: nobody here is known to do this"),
    }];
    for part in &reply.parts {
        told.push(format!("  \"{}\" → {}", output::safe(&part.part), output::safe(&part.id)));
    }
    told.extend(reply.candidates.iter().map(line));
    let degraded = match reply.degraded.is_empty() {
        true => String::new(),
        false => format!(" · without: {}", reply.degraded.join(", ")),
    };
    told.push(format!(
        "{FAINT}{} · at most {} % of routed intents may go wrong · {:.1} ms{degraded}{FAINT:#}",
        reply.decision_id,
        100.0 * reply.max_error,
        reply.took_ms
    ));
    told.join("\n")
}

fn line(candidate: &RouteCandidate) -> String {
    let line = format!(
        "  {:>4.0} %  {}  {FAINT}{}{FAINT:#}",
        100.0 * candidate.confidence,
        output::safe(&candidate.id),
        output::safe(&candidate.why)
    );
    let Some(figures) = &candidate.figures else { return line };
    let cosine = figures.cosine.map_or_else(|| "-".to_owned(), |cosine| format!("{cosine:.3}"));
    format!(
        "{line}\n          {FAINT}cosine {cosine}, head {:.3}, margin {:.3}{FAINT:#}",
        figures.probability, candidate.margin
    )
}
