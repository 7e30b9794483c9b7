//! Routing, live: the same intent goes to whoever the asker may ask, and to nobody where there is nobody.

use std::sync::Arc;

use anyhow::{Context, Result};
use include_dir::Dir;
use serde_json::Value;
use waypost_engine::api::{DispatchRequest, Engine, RouteRequest, Session};
use waypost_engine::route::EntryKind;

use super::Tokens;
use crate::cli::route;
use crate::output::{self, FAINT, STRONG};

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

/// Routes, and hands the last intent on.
pub fn show(engine: &Arc<Engine>, tokens: &Tokens) -> Result<()> {
    for (principal, intent) in INTENTS {
        let session = session(engine, tokens, principal)?;
        anstream::println!("{STRONG}→{STRONG:#} {intent}  {FAINT}as {principal}{FAINT:#}");
        let request = RouteRequest {
            intent: intent.to_owned(),
            kinds: [EntryKind::Agent].into(),
            limit: Some(2),
            ..RouteRequest::default()
        };
        route::print(&session.route(&request)?);
    }
    let (principal, intent) = INTENTS[INTENTS.len() - 1];
    let request = DispatchRequest { intent: intent.to_owned(), ..DispatchRequest::default() };
    match session(engine, tokens, principal)?.dispatch(&request) {
        Ok(sent) => anstream::println!(
            "{STRONG}>{STRONG:#} {principal} dispatches it: {} lies in {}\n",
            sent.task_id,
            output::safe(&sent.path)
        ),
        // The tour was taken so often that the agent has enough to do, or the same was asked again and again.
        Err(error) => anstream::println!("{STRONG}>{STRONG:#} {}\n", output::safe(&error.to_string())),
    }
    Ok(())
}

fn session(engine: &Arc<Engine>, tokens: &Tokens, principal: &str) -> Result<Session> {
    let token = tokens.get(principal).context("everybody in the tour has a token")?;
    Ok(engine.session(token)?)
}
