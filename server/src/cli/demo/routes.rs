//! Routing, live: the same intent goes to whoever the asker may ask, and to nobody where there is nobody.

use std::sync::Arc;

use anyhow::{Context, Result};
use include_dir::Dir;
use serde::Serialize;
use serde_json::Value;
use waypost_engine::api::{DispatchRequest, Engine, RouteReply, RouteRequest, Session};
use waypost_engine::route::EntryKind;

use super::Tokens;
use crate::cli::route;
use crate::output::{self, FAINT, STRONG, Voice};

/// Who wants what done.
const INTENTS: [(&str, &str); 4] = [
    ("human:marguerite-holt", "find me somebody who reviews the draft agreement with Elbufer"),
    ("human:marguerite-holt", "May Jonah claim his first class ticket?"),
    ("agent:marketing-writer", "find me somebody who reviews the draft agreement with Elbufer"),
    ("agent:marketing-writer", "Put the press release into German, please"),
];

/// The principals that need a token.
pub const ASKING: [&str; 2] = ["human:marguerite-holt", "agent:marketing-writer"];

/// Takes the company's agents in by their cards.
pub fn register(engine: &Arc<Engine>, cards: &Dir<'_>) -> Result<usize> {
    let owner = engine.owner_session();
    for file in cards.files() {
        let card: Value = serde_json::from_slice(file.contents()).context("in a card of the demo")?;
        let id = card["id"].as_str().context("a card of the demo has no id")?;
        owner.put_agent(id, &card)?;
    }
    Ok(cards.files().count())
}

/// An intent of the tour, and where it goes.
#[derive(Serialize)]
pub struct Routed {
    intent: &'static str,
    #[serde(rename = "as")]
    principal: &'static str,
    #[serde(flatten)]
    reply: RouteReply,
}

/// Routes, and hands the last intent on.
pub fn show(engine: &Arc<Engine>, tokens: &Tokens, voice: Voice) -> Result<Vec<Routed>> {
    let mut routed = Vec::new();
    for (principal, intent) in INTENTS {
        let session = session(engine, tokens, principal)?;
        voice.say(format!("{STRONG}→{STRONG:#} {intent}  {FAINT}as {principal}{FAINT:#}"));
        let request = RouteRequest {
            intent: intent.to_owned(),
            kinds: [EntryKind::Agent].into(),
            limit: Some(2),
            ..RouteRequest::default()
        };
        let reply = session.route(&request)?;
        voice.say(route::text(&reply));
        routed.push(Routed { intent, principal, reply });
    }
    let (principal, intent) = INTENTS[INTENTS.len() - 1];
    let request = DispatchRequest { intent: intent.to_owned(), ..DispatchRequest::default() };
    match session(engine, tokens, principal)?.dispatch(&request) {
        Ok(sent) => voice.say(format!(
            "{STRONG}>{STRONG:#} {principal} dispatches it: {} lies in {}\n",
            sent.task_id,
            output::safe(&sent.path)
        )),
        // The tour was taken so often that the agent has enough to do, or the same was asked again and again.
        Err(error) => voice.say(format!("{STRONG}>{STRONG:#} {}\n", output::safe(&error.to_string()))),
    }
    Ok(routed)
}

fn session(engine: &Arc<Engine>, tokens: &Tokens, principal: &str) -> Result<Session> {
    let token = tokens.get(principal).context("everybody in the tour has a token")?;
    Ok(engine.session(token)?)
}
