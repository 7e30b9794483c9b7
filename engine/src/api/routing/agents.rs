//! The registry's agents: their cards, who may see them, and what routing takes from a card.

use std::collections::BTreeSet;
use std::time::Duration;

use serde::Serialize;
use serde_json::Value;

use super::super::error::{Error, Result};
use super::super::session::Session;
use super::dispatching::INBOX;
use super::linting::Finding;
use super::replies::Standing;
use crate::access::{Effect, Grant, Target, Verb};
use crate::cards::{self, AgentCard, AgentRow, Capability, CardError, MAX_CARD_BYTES};
use crate::change::ChangeError;
use crate::clock::rfc3339;
use crate::id::{RelPath, WorkspaceName, join_path};
use crate::journal::Outcome;
use crate::net::{Method, Outgoing};
use crate::route::{Entry, EntryKind};
use crate::tasks::{Queue, TaskState};

/// For fetching a card as a whole.
const CARD_DEADLINE: Duration = Duration::from_secs(15);
/// Redirects on the way to a card.
const CARD_HOPS: u8 = 3;

/// An agent, as every surface shows it.
#[derive(Debug, Clone, PartialEq, Serialize, schemars::JsonSchema)]
#[non_exhaustive]
pub struct AgentInfo {
    /// Such as `agent:researcher`.
    pub id: String,
    /// What it says of itself.
    #[serde(flatten)]
    pub card: AgentCard,
    /// Where its card was fetched, if it was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// How it stands, for those who may hand it something.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub standing: Option<Standing>,
    /// RFC 3339.
    pub registered_at: String,
    /// RFC 3339.
    pub updated_at: String,
    /// Parts of the card that mean nothing here, where this answers a registration.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub ignored: Vec<String>,
    /// What is wrong with its entry beside the others, where this answers a registration.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lint: Option<Vec<Finding>>,
    /// Whether it was new where it was just put.
    #[serde(skip)]
    pub created: bool,
}

impl Session {
    /// The agents that may be seen, by id.
    ///
    /// # Errors
    /// Where the catalog can't be read.
    pub fn agents(&self) -> Result<Vec<AgentInfo>> {
        let rows = cards::agents(&self.engine.catalog)?;
        self.record("agent.list", Verb::List, "/", "", Outcome::Allowed, "scope")?;
        let seen = rows.into_iter().filter(|row| self.sees_agent(&row.id));
        seen.map(|row| self.agent_info(row)).collect()
    }

    /// One agent.
    ///
    /// # Errors
    /// [`Error::NotFound`], also for one that may not be seen.
    pub fn agent(&self, name: &str) -> Result<AgentInfo> {
        let row = self.seen_agent("agent.read", name)?;
        self.record("agent.read", Verb::Read, &row.id, "", Outcome::Allowed, "scope")?;
        self.agent_info(row)
    }

    /// Takes an agent in, or its new card; tells what its entry does to the others. A new one gets grants on its inbox and on its own
    /// card, which can be taken away like any other.
    ///
    /// # Errors
    /// [`Error::Card`], also for a card that says that it is another agent's; [`Error::Forbidden`], [`Error::NotFound`]: it
    /// takes `admin` on the agent.
    pub fn put_agent(&self, name: &str, card: &Value) -> Result<AgentInfo> {
        let id = cards::agent_id(name)?;
        if let Some(own) = card.get("id").and_then(Value::as_str).filter(|_| card.get("skills").is_none()) {
            let is_same = cards::agent_id(own).is_ok_and(|own| own == id);
            let found = format!("`{}`", own.chars().take(80).collect::<String>());
            let expected = "the id under which it is taken in, or none";
            let other = CardError::Invalid { field: "id".to_owned(), found, expected };
            self.note_failure(
                "agent.put",
                Verb::Admin,
                &id,
                if is_same { Ok(()) } else { Err(other.into()) },
            )?;
        }
        self.put_card(name, card, None)
    }

    /// As [`Self::put_agent`], with the card that lies under a URL.
    ///
    /// # Errors
    /// As [`Self::put_agent`], and [`Error::Net`] where there is no card. Others than the home's owner may only name hosts
    /// that the operator listed.
    pub fn fetch_agent(&self, name: &str, url: &str) -> Result<AgentInfo> {
        let id = cards::agent_id(name)?;
        self.may_manage_agent("agent.put", &id)?;
        let client = &self.engine.client;
        let checked = if self.actor.is_owner { client.check(url) } else { client.check_listed(url) };
        let answer = checked.and_then(|url| {
            client.send(&Outgoing {
                method: Method::Get,
                url: url.as_str(),
                headers: &[("accept", "application/json")],
                body: &[],
                deadline: CARD_DEADLINE,
                max_answer_bytes: MAX_CARD_BYTES,
                cut: false,
                max_hops: CARD_HOPS,
            })
        });
        let answer = self.note_failure("agent.put", Verb::Admin, &id, answer.map_err(Error::from))?;
        let card = serde_json::from_slice::<Value>(&answer.body).ok().filter(|_| answer.status == 200);
        let card = card.ok_or_else(|| CardError::Invalid {
            field: "url".to_owned(),
            found: format!("answered with status {} and {} bytes", answer.status, answer.body.len()),
            expected: "status 200 and a JSON agent card",
        });
        self.put_card(
            name,
            &self.note_failure("agent.put", Verb::Admin, &id, card.map_err(Error::from))?,
            Some(url),
        )
    }

    fn put_card(&self, name: &str, card: &Value, source: Option<&str>) -> Result<AgentInfo> {
        let id = cards::agent_id(name)?;
        let rule = self.may_manage_agent("agent.put", &id)?;
        let read = AgentCard::read(card).map_err(Error::from);
        let (card, ignored) = self.note_failure("agent.put", Verb::Admin, &id, read)?;
        self.may_place_inbox(&id, &card)?;
        let is_new = cards::agent(&self.engine.catalog, &id)?.is_none();
        let own = if is_new { self.own_grants(&id, &card)? } else { Vec::new() };
        let now_ms = self.now_ms();
        let put = self.engine.change_entries(|tx| -> std::result::Result<(), ChangeError> {
            if !tx.policy()?.principals.contains_key(&id) {
                tx.put_principal(&id, &card.name, now_ms)?;
            }
            own.iter().try_for_each(|grant| tx.put_grant(grant))?;
            tx.put_agent(&id, &card, source, now_ms)?;
            let learned = tx.route_entry(EntryKind::Agent, &id)?;
            let mut entry = entry_of(&id, &card);
            entry.learned = learned.map(|entry| entry.learned).unwrap_or_default();
            tx.put_route_entry(&entry, now_ms)?;
            self.record_in(tx, "agent.put", Verb::Admin, &id, "", &rule)
        });
        self.note_failure("agent.put", Verb::Admin, &id, put.map_err(Error::from))?;
        self.engine.reload_policy()?;
        let row = cards::agent(&self.engine.catalog, &id)?;
        let row = row.ok_or_else(|| absent_agent(&id))?;
        let lint = self.lint_entry(&(EntryKind::Agent, id))?;
        Ok(AgentInfo { lint: Some(lint), ignored, created: is_new, ..self.agent_info(row)? })
    }

    /// Forgets an agent's card; its principal, grants and inbox stay.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Forbidden`]: it takes `admin` on the agent.
    pub fn remove_agent(&self, name: &str) -> Result<()> {
        let id = self.seen_agent("agent.remove", name)?.id;
        let rule = self.may_manage_agent("agent.remove", &id)?;
        let now_ms = self.now_ms();
        self.engine.change_entries(|tx| -> std::result::Result<(), ChangeError> {
            tx.remove_agent(&id)?;
            tx.end_route_entry(EntryKind::Agent, &id, now_ms)?;
            self.record_in(tx, "agent.remove", Verb::Admin, &id, "", &rule)
        })?;
        Ok(())
    }

    /// Whether its grants let it hand something to agents, whatever agents there are.
    pub fn may_dispatch(&self) -> bool {
        self.actor.may_with_some(&self.engine.policy(), Verb::Dispatch, Target::Agent)
    }

    /// Whether an agent may be seen: listed, read, or handed something.
    pub(super) fn sees_agent(&self, id: &str) -> bool {
        let policy = self.engine.policy();
        [Verb::List, Verb::Read, Verb::Dispatch, Verb::Admin]
            .into_iter()
            .any(|verb| self.actor.decide(&policy, verb, Target::Agent, id).allowed)
    }

    pub(super) fn seen_agent(&self, action: &'static str, name: &str) -> Result<AgentRow> {
        let row = match cards::agent_id(name) {
            Ok(id) if self.sees_agent(&id) => cards::agent(&self.engine.catalog, &id)?,
            _ => None,
        };
        self.note_failure(action, Verb::Read, name, row.ok_or_else(|| absent_agent(name)))
    }

    fn may_manage_agent(&self, action: &'static str, id: &str) -> Result<String> {
        let decision = self.actor.decide(&self.engine.policy(), Verb::Admin, Target::Agent, id);
        if decision.allowed {
            return Ok(decision.rule);
        }
        self.record(action, Verb::Admin, id, "", Outcome::Denied, &decision.rule)?;
        if !self.sees_agent(id) {
            return Err(absent_agent(id));
        }
        let (principal, path) = (self.actor.principal.clone(), id.to_owned());
        Err(Error::Forbidden { principal, verb: "admin", path })
    }

    /// Whoever hands the agent something writes into the inbox that its card names: so only who may write there names it.
    fn may_place_inbox(&self, id: &str, card: &AgentCard) -> Result<()> {
        if card.inbox.is_none() {
            return Ok(());
        }
        let path = format!("{}/task.json", inbox_of(id, card)?);
        let decision = self.decide(Verb::Write, &path);
        if decision.allowed {
            return Ok(());
        }
        self.record("agent.put", Verb::Write, &path, "", Outcome::Denied, &decision.rule)?;
        Err(Error::Forbidden { principal: self.actor.principal.clone(), verb: "write", path })
    }

    /// What a new agent may do from the start, as far as whoever takes it in may do so: work on its inbox, and see its own card.
    fn own_grants(&self, id: &str, card: &AgentCard) -> Result<Vec<Grant>> {
        let folder = inbox_of(id, card)?;
        let path = format!("{folder}/task.json");
        let verbs = [Verb::List, Verb::Read, Verb::Write].into_iter();
        let verbs: BTreeSet<Verb> = verbs.filter(|verb| self.decide(*verb, &path).allowed).collect();
        let grant = |target, pattern: String, verbs| {
            Grant::new(id, target, &[pattern], verbs, Effect::Allow, "given when the agent was taken in")
        };
        let card = grant(Target::Agent, id.to_owned(), BTreeSet::from([Verb::List, Verb::Read]));
        let inbox = (!verbs.is_empty()).then(|| grant(Target::Path, format!("{folder}/**"), verbs));
        Ok([Some(card), inbox].into_iter().flatten().collect::<std::result::Result<_, _>>()?)
    }

    fn agent_info(&self, row: AgentRow) -> Result<AgentInfo> {
        let may_hand =
            self.actor.decide(&self.engine.policy(), Verb::Dispatch, Target::Agent, &row.id).allowed;
        let standing =
            if may_hand { Some(self.standing(&(EntryKind::Agent, row.id.clone()))?) } else { None };
        Ok(AgentInfo {
            id: row.id,
            card: row.card,
            source: row.source,
            standing,
            registered_at: rfc3339(row.created_ms),
            updated_at: rfc3339(row.updated_ms),
            ignored: Vec::new(),
            lint: None,
            created: false,
        })
    }
}

/// The folder of an agent's inbox, `/workspace/…`.
pub(super) fn inbox_of(id: &str, card: &AgentCard) -> Result<String> {
    let workspace = WorkspaceName::new(card.inbox.as_deref().unwrap_or(INBOX))?;
    let queue = Queue::inbox(&workspace, id.trim_start_matches("agent:"));
    let task = queue.path(TaskState::Pending, "task.json");
    Ok(join_path(&workspace, &task.parent().unwrap_or_else(RelPath::root)))
}

/// What routing takes from a card.
fn entry_of(id: &str, card: &AgentCard) -> Entry {
    let examples = card.capabilities.iter().flat_map(|capability| &capability.examples);
    Entry {
        kind: EntryKind::Agent,
        id: id.to_owned(),
        name: card.name.clone(),
        description: card.description.clone(),
        capabilities: card.capabilities.iter().map(capability_text).collect(),
        examples: card.examples.iter().chain(examples).cloned().collect(),
        counterexamples: card.counterexamples.clone(),
        learned: Vec::new(),
    }
}

fn capability_text(capability: &Capability) -> String {
    let mut text = capability.name.clone();
    if !capability.description.is_empty() {
        text = format!("{text}: {}", capability.description);
    }
    if !capability.tags.is_empty() {
        text = format!("{text} ({})", capability.tags.join(", "));
    }
    text
}

pub(super) fn absent_agent(name: &str) -> Error {
    Error::NotFound { what: "agent", name: name.chars().take(100).collect() }
}
