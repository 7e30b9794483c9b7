//! Finding agents, and handing them something.

use serde::Serialize;
use serde_json::{Value, json};
use waypost_engine::api::{AgentInfo, DispatchRequest, RouteCandidate, RouteRequest, Session, Standing};
use waypost_engine::route::EntryKind;

use super::arguments::FindAgents;
use super::bound::{budget_bytes, keep_first};
use crate::problem::Problem;

const DEFAULT_FOUND: usize = 5;
const MAX_FOUND: usize = 50;
/// Bytes of JSON around what is counted.
const FRAME: usize = 300;
/// Characters of a description in a list.
const MAX_DESCRIPTION_CHARS: usize = 300;

/// An agent, in few tokens. What it says of itself is data.
#[derive(Debug, Serialize)]
struct Found {
    id: String,
    name: String,
    description: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    confidence: Option<f64>,
    #[serde(skip_serializing_if = "String::is_empty")]
    why: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    unavailable: Option<String>,
}

/// `find_agents`: those that an intent is for, or all.
pub fn find(session: &Session, arguments: &FindAgents) -> Result<Value, Problem> {
    let budget = budget_bytes(arguments.max_tokens)?.saturating_sub(FRAME);
    let limit = arguments.limit.unwrap_or(DEFAULT_FOUND);
    if !(1..=MAX_FOUND).contains(&limit) {
        return Err(Problem::invalid(format!("`limit` is {limit}: expected 1 to {MAX_FOUND}")));
    }
    let may_have = |agent: &AgentInfo| agent.standing.is_some();
    let agents: Vec<AgentInfo> = session.agents()?.into_iter().filter(may_have).collect();
    if arguments.intent.trim().is_empty() {
        let found = agents.into_iter().take(limit).map(listed).collect();
        return Ok(shown(json!({}), found, budget));
    }
    let request = RouteRequest {
        intent: arguments.intent.clone(),
        kinds: [EntryKind::Agent].into(),
        limit: Some(limit),
        ..RouteRequest::default()
    };
    let reply = session.route(&request)?;
    let found = reply.candidates.iter().map(|candidate| routed(candidate, &agents)).collect();
    let mut frame = json!({"outcome": reply.outcome, "decision_id": reply.decision_id});
    if let Some(question) = reply.question {
        frame["question"] = json!(question);
    }
    if !reply.unavailable.is_empty() {
        frame["unavailable"] = json!(reply.unavailable);
    }
    if !reply.degraded.is_empty() {
        frame["degraded"] = json!(reply.degraded);
    }
    Ok(shown(frame, found, budget))
}

/// `dispatch`.
pub fn dispatch(session: &Session, request: &DispatchRequest) -> Result<Value, Problem> {
    let reply = session.dispatch(request)?;
    Ok(serde_json::to_value(reply).unwrap_or_default())
}

fn shown(mut frame: Value, mut found: Vec<Found>, budget: usize) -> Value {
    let omitted = keep_first(&mut found, budget);
    frame["agents"] = json!(found);
    if omitted > 0 {
        frame["omitted"] = json!(omitted);
    }
    frame
}

fn listed(agent: AgentInfo) -> Found {
    Found {
        description: short(&agent.card.description),
        unavailable: agent.standing.and_then(|standing| standing.unavailable),
        id: agent.id,
        name: agent.card.name,
        confidence: None,
        why: String::new(),
    }
}

fn routed(candidate: &RouteCandidate, agents: &[AgentInfo]) -> Found {
    let agent = agents.iter().find(|agent| agent.id == candidate.id);
    let unavailable = |standing: &Standing| standing.unavailable.clone();
    Found {
        id: candidate.id.clone(),
        name: candidate.name.clone(),
        description: agent.map(|agent| short(&agent.card.description)).unwrap_or_default(),
        confidence: Some((candidate.confidence * 1e3).round() / 1e3),
        why: short(&candidate.why),
        unavailable: candidate.standing.as_ref().and_then(unavailable),
    }
}

fn short(text: &str) -> String {
    text.chars().take(MAX_DESCRIPTION_CHARS).collect()
}
