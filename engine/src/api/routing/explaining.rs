//! Why this one, and why not that one; and a decision taken again over what it was taken over.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::super::error::{Error, Result};
use super::super::session::Session;
use super::deciding::{Asked, Decided, Question, figures, tell};
use super::desk::verb_of;
use super::replies::{Figures, RouteOutcome, RouteReply, RouteRequest};
use crate::access::{ADMIN, Actor, Limits, Verb};
use crate::journal::Outcome;
use crate::registry::ToolState;
use crate::route::{self, DecisionRow, EntryKey, EntryKind, Lack, Measure};

/// Entries that one question may name.
const MAX_NAMED: usize = 20;

/// What is to be explained.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ExplainRequest {
    /// A decision, which is taken again.
    pub decision_id: Option<String>,
    /// Or an intent, which is routed now.
    pub intent: Option<String>,
    /// As for this principal; for who manages the home.
    #[serde(alias = "as")]
    pub principal: Option<String>,
    /// Agents and tools by id: why this one, why not that one.
    #[serde(default)]
    pub why: Vec<String>,
    /// The same.
    #[serde(default)]
    pub why_not: Vec<String>,
}

/// An explanation.
#[derive(Debug, Clone, PartialEq, Serialize, schemars::JsonSchema)]
#[non_exhaustive]
pub struct ExplainReply {
    /// The decision, with the figures of each candidate.
    #[serde(flatten)]
    pub reply: RouteReply,
    /// Whether a decision that was taken again came out the same; missing where nothing was taken again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub same: Option<bool>,
    /// What the criterion has to reach at the stated error.
    pub threshold: f64,
    /// By what it is decided: `confidence`, or `probability` with fewer than a hundred trials. An intent has to be known as
    /// well.
    pub criterion: &'static str,
    /// Those that were asked for.
    pub entries: Vec<Explained>,
}

/// Why one entry was decided for, or not.
#[derive(Debug, Clone, PartialEq, Serialize, schemars::JsonSchema)]
#[non_exhaustive]
pub struct Explained {
    /// As it was asked for.
    pub id: String,
    /// `decided`, `behind`, `below_threshold`, `ambiguous`, `unavailable` or `unknown`; for who manages the home `denied`, and of
    /// a tool that is not in use `quarantined` or `gone`, too.
    pub verdict: &'static str,
    /// In a sentence.
    pub reason: String,
    /// From 1, among the candidates.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rank: Option<usize>,
    /// The figures behind it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub figures: Option<Figures>,
}

impl Session {
    /// Explains a decision that was taken, or takes one and explains it.
    ///
    /// # Errors
    /// [`Error::Invalid`] where neither is named; [`Error::NotFound`] for a decision of others, or one that was forgotten;
    /// [`Error::Forbidden`] for asking as somebody else without managing the home, and [`Error::NotFound`] for somebody who is
    /// not there.
    pub fn explain_route(&self, request: &ExplainRequest) -> Result<ExplainReply> {
        let named: Vec<&String> = request.why.iter().chain(&request.why_not).take(MAX_NAMED).collect();
        let (decided, same) = match (&request.decision_id, &request.intent) {
            (Some(id), _) => {
                let row = self.own_decision("route.explain", id)?;
                let (decided, is_same) = self.replay(&row)?;
                (decided, Some(is_same))
            }
            (None, Some(intent)) => {
                let question =
                    RouteRequest { intent: intent.clone(), explain: true, ..RouteRequest::default() };
                (self.asking_as(request.principal.as_deref())?.decide_route(&question)?, None)
            }
            (None, None) => {
                return Err(Error::Invalid {
                    field: "intent",
                    found: "missing".to_owned(),
                    expected: "an intent, or the `decision_id` of a decision".to_owned(),
                });
            }
        };
        self.record("route.explain", Verb::Dispatch, "/", "", Outcome::Allowed, "scope")?;
        let asker = self.asking_as(request.principal.as_deref())?;
        let entries =
            named.into_iter().map(|id| self.explain_entry(&asker, &decided, id)).collect::<Result<_>>()?;
        let (criterion, threshold) = decided.router.threshold(decided.reply.max_error);
        Ok(ExplainReply { reply: decided.reply, same, threshold, criterion: criterion.as_str(), entries })
    }

    /// This session, or that of another principal as it is without a token.
    fn asking_as(&self, principal: Option<&str>) -> Result<Self> {
        let Some(principal) = principal.filter(|principal| *principal != self.actor.principal) else {
            return Ok(self.clone());
        };
        self.require_admin("route.explain", "/")?;
        if principal != ADMIN && !self.engine.policy().principals.contains_key(principal) {
            let name = principal.chars().take(80).collect();
            let absent = Error::NotFound { what: "principal", name };
            return self.note_failure("route.explain", Verb::Admin, principal, Err(absent));
        }
        let actor = Actor {
            principal: principal.to_owned(),
            token: self.actor.token.clone(),
            is_owner: principal == ADMIN,
            limits: Limits::default(),
        };
        Ok(Self { actor, ..self.clone() })
    }

    /// Takes a decision again, over the entries and standings that it was taken over; tells whether it came out the same.
    fn replay(&self, row: &DecisionRow) -> Result<(Decided, bool)> {
        let forgotten = || Error::NotFound { what: "decision", name: row.id.clone() };
        let asked: Asked = serde_json::from_str(&row.question).map_err(|_| forgotten())?;
        let stored: RouteReply = serde_json::from_str(&row.answer).map_err(|_| forgotten())?;
        let revisions = route::book(&self.engine.catalog, &row.book)?.ok_or_else(forgotten)?;
        let entries = revisions.into_iter().map(|revision| (revision.number, revision.entry)).collect();
        let entries = self.engine.embed_entries(entries)?.into_iter().map(Arc::new).collect();
        let router = self.engine.router_over(entries);
        let intent = self.engine.read_intent(&asked.request.intent)?;
        let parts = self.engine.read_parts(&asked.request.intent)?;
        let question = Question { whole: &intent, parts: &parts };
        let ranking = router.rank(&intent);
        let again = self.answer(&asked, &router, &ranking, question);
        let again = RouteReply { decision_id: stored.decision_id.clone(), took_ms: stored.took_ms, ..again };
        let is_same = again == stored;
        let request = RouteRequest { explain: true, ..asked.request.clone() };
        let reader = asked.reader.clone();
        let shown = self.answer(&Asked { request, ..asked }, &router, &ranking, question);
        let reply = RouteReply { decision_id: again.decision_id, took_ms: again.took_ms, ..shown };
        Ok((Decided { reply, router, ranking, intent, reader }, is_same))
    }

    fn explain_entry(&self, asker: &Self, decided: &Decided, id: &str) -> Result<Explained> {
        let Decided { reply, router, ranking, intent, reader } = decided;
        let found = ranking.scored.iter().position(|scored| {
            let entry = &router.entries()[scored.entry].entry;
            entry.id == id || entry.id.strip_prefix("agent:") == Some(id)
        });
        let Some(at) = found else { return self.explain_absent(asker, id) };
        let scored = &ranking.scored[at];
        let told = router.entries()[scored.entry].entry.id.as_str();
        let candidate = reply.candidates.iter().find(|candidate| candidate.id == told);
        let standing = candidate.and_then(|candidate| candidate.standing.as_ref());
        let is_decided = reply.decision.as_ref().is_some_and(|decision| decision.id == told);
        let best = reply.candidates.first().map_or("nothing", |candidate| candidate.id.as_str());
        let lack = router.lack(ranking, reply.max_error);
        let (verdict, reason) = match standing.and_then(|standing| standing.unavailable.clone()) {
            _ if is_decided => {
                ("decided", candidate.map(|candidate| candidate.why.clone()).unwrap_or_default())
            }
            Some(why) => ("unavailable", why),
            None if is_asked_about(decided, told, at) => {
                ("ambiguous", reply.question.clone().unwrap_or_default())
            }
            None => match lack.filter(|_| at == 0) {
                Some(lack) => ("below_threshold", below(lack)),
                None => ("behind", behind(scored.probability, ranking.scored[0].probability, best)),
            },
        };
        let figures = Some(figures(router, scored, &tell(router, intent, scored, reader)));
        Ok(Explained { id: id.to_owned(), verdict, reason, rank: Some(at + 1), figures })
    }

    /// Why something is no candidate at all. Only who manages the home learns of a rule; to others what they may not
    /// see is not there.
    fn explain_absent(&self, asker: &Self, id: &str) -> Result<Explained> {
        let unknown = "nothing of that name may be asked here".to_owned();
        let absent =
            |verdict, reason| Ok(Explained { id: id.to_owned(), verdict, reason, rank: None, figures: None });
        if !self.is_admin() {
            return absent("unknown", unknown);
        }
        let keys: [EntryKey; 3] = [
            (EntryKind::Agent, id.to_owned()),
            (EntryKind::Agent, format!("agent:{id}")),
            (EntryKind::Tool, id.to_owned()),
        ];
        let registry = self.engine.registry()?;
        let known = keys.iter().find(|key| registry.entries.contains_key(*key));
        let Some((kind, id)) = known else {
            return match self.engine.tool_out_of_use(id) {
                Some((ToolState::Quarantined, why)) => {
                    absent("quarantined", format!("it is set aside until somebody decides about it: {why}"))
                }
                Some((ToolState::Gone, _)) => {
                    absent("gone", "its server does not list it any more".to_owned())
                }
                _ => absent("unknown", "it is not registered".to_owned()),
            };
        };
        let (verb, target) = verb_of(*kind);
        let decision = asker.actor.decide(&self.engine.policy(), verb, target, id);
        match decision.allowed {
            true => absent("behind", "too far from the intent to be a candidate".to_owned()),
            false => absent("denied", format!("rule `{}` decides about `{verb}`", decision.rule)),
        }
    }
}

/// Whether the question that was asked back is about an entry, by its id and its place in the ranking.
fn is_asked_about(decided: &Decided, id: &str, at: usize) -> bool {
    let Decided { reply, router, ranking, .. } = decided;
    reply.outcome == RouteOutcome::Ambiguous
        && match reply.parts.is_empty() {
            true => router.rivals(ranking).contains(&at),
            false => reply.parts.iter().any(|part| part.id == id),
        }
}

fn below(lack: Lack) -> String {
    let Lack { of, has, asked } = lack;
    match of {
        Measure::Known => format!(
            "it is the best, and what is asked for is unlike what anybody here is for: known at {has:.3}, where {asked:.3} \
             is asked"
        ),
        _ => format!("it is the best, at a {} of {has:.3}; {asked:.3} is asked", of.as_str()),
    }
}

fn behind(own: f64, best: f64, name: &str) -> String {
    format!("it scores {own:.3}, and {name} {best:.3}")
}
