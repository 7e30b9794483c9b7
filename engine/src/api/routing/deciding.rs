//! An intent, and where it goes.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Instant;

use serde::{Deserialize, Serialize};

use super::super::error::{Error, Result};
use super::super::keys::fresh_id;
use super::super::session::Session;
use super::replies::{Figures, RouteCandidate, RouteOutcome, RoutePart, RouteReply, RouteRequest, Standing};
use crate::access::Verb;
use crate::journal::Outcome;
use crate::route::{self, DecisionRow, EntryKind, Intent, Ranking, Router, Scored, Verdict};

/// Characters of an intent at most.
pub(super) const MAX_INTENT_CHARS: usize = 4000;
/// Candidates where nothing is said.
const DEFAULT_CANDIDATES: usize = 5;
/// Candidates at most.
const MAX_CANDIDATES: usize = 50;

/// A question with everything that its answer depends on, but for the entries.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Asked {
    pub request: RouteRequest,
    /// As the operator stated it then.
    pub max_error: f64,
    /// Of the candidates, in their order.
    pub standings: Vec<Standing>,
}

/// An intent made ready, with its parts.
#[derive(Clone, Copy)]
pub(super) struct Question<'a> {
    pub whole: &'a Intent,
    pub parts: &'a [Intent],
}

/// What was decided, and what it stood on.
pub(super) struct Decided {
    pub reply: RouteReply,
    pub router: Arc<Router>,
    pub ranking: Ranking,
}

impl Session {
    /// Where an intent goes: to an agent that this principal may hand it to or a tool that it may call now; to one of two,
    /// with the question that tells which; or to nobody here.
    ///
    /// # Errors
    /// [`Error::Invalid`] for an intent without words or with too many.
    pub fn route(&self, request: &RouteRequest) -> Result<RouteReply> {
        Ok(self.decide_route(request)?.reply)
    }

    pub(super) fn decide_route(&self, request: &RouteRequest) -> Result<Decided> {
        let begun = Instant::now();
        check_intent(&request.intent)?;
        let kinds = match request.kinds.is_empty() {
            true => BTreeSet::from(EntryKind::ALL),
            false => request.kinds.clone(),
        };
        let router = self.router(&kinds)?;
        let intent = self.engine.read_intent(&request.intent)?;
        let parts = self.engine.read_parts(&request.intent)?;
        let ranking = router.rank(&intent);
        let standings = self.standings(&router, &ranking, limit_of(request))?;
        let asked = Asked { request: request.clone(), max_error: self.engine.max_error, standings };
        let mut reply = self.answer(&asked, &router, &ranking, Question { whole: &intent, parts: &parts });
        reply.took_ms = begun.elapsed().as_secs_f64() * 1000.0;
        self.keep_decision(&asked, &router, &reply)?;
        self.record("route", Verb::Dispatch, "/", "", Outcome::Allowed, "scope")?;
        Ok(Decided { reply, router, ranking })
    }

    /// What one router says, given how its candidates stand: the same in, the same out.
    pub(super) fn answer(
        &self,
        asked: &Asked,
        router: &Router,
        ranking: &Ranking,
        question: Question<'_>,
    ) -> RouteReply {
        let Asked { request, max_error, standings } = asked;
        let max_error = *max_error;
        let able = able(router, ranking, standings);
        let verdict = router.decide(ranking, max_error);
        let order = place(ranking, &able, standings);
        let limit = limit_of(request);
        // Any of those that say the same of themselves will do: what is sure of the best is sure of each of them, by as much as
        // it is surer than of all others. The able ones stand first.
        let is_same = |idx: usize| router.is_same(ranking.scored[0].entry, ranking.scored[idx].entry);
        let candidates: Vec<RouteCandidate> = order
            .iter()
            .enumerate()
            .map(|(at, idx)| {
                let is_able = at < able.len();
                let next = order[at + 1..].iter().find(|next| !(is_able && is_same(**next)));
                let next = next.map_or(0.0, |next| ranking.scored[*next].probability);
                let sure_of = if is_able { 0 } else { *idx };
                candidate(request, router, ranking, (*idx, sure_of), next, standings.get(*idx))
            })
            .take(limit)
            .collect();
        let outcome = outcome_of(verdict, &candidates, &able);
        let decision = candidates.first().filter(|_| outcome == RouteOutcome::Routed).cloned();
        let asked_back = (outcome == RouteOutcome::Ambiguous).then(|| route::question(router, ranking));
        RouteReply {
            decision_id: fresh_id("rd"),
            outcome,
            decision,
            question: asked_back,
            candidates,
            parts: parts_of(router, question.parts, max_error),
            together: together(router, question, limit),
            max_error,
            degraded: self.engine.degraded(),
            took_ms: 0.0,
        }
    }

    fn keep_decision(&self, asked: &Asked, router: &Router, reply: &RouteReply) -> Result<()> {
        let row = DecisionRow {
            id: reply.decision_id.clone(),
            at_ms: self.now_ms(),
            principal: self.actor.principal.clone(),
            intent: asked.request.intent.clone(),
            question: serde_json::to_string(asked).expect("a request is plain data"),
            book: router.book().hash,
            answer: serde_json::to_string(reply).expect("a reply is plain data"),
        };
        self.engine.auditor.keep_decision(row, Arc::clone(&router.book().revisions))
    }
}

pub(super) fn check_intent(text: &str) -> Result<()> {
    let n_chars = text.chars().count();
    if n_chars <= MAX_INTENT_CHARS && text.chars().any(char::is_alphanumeric) {
        return Ok(());
    }
    Err(Error::Invalid {
        field: "intent",
        found: if n_chars > MAX_INTENT_CHARS {
            format!("{n_chars} characters")
        } else {
            "without a word".to_owned()
        },
        expected: format!("a sentence, at most {MAX_INTENT_CHARS} characters"),
    })
}

/// The ids of those that together do an intent of several parts; none where it has one.
fn together(router: &Router, question: Question<'_>, limit: usize) -> Vec<String> {
    if question.parts.is_empty() {
        return Vec::new();
    }
    let ordered = router.together(question.whole, question.parts).into_iter().take(limit);
    ordered.map(|place| router.entries()[place].entry.id.clone()).collect()
}

/// Where the parts of an intent go, when there are several and they go to different places.
fn parts_of(router: &Router, parts: &[Intent], max_error: f64) -> Vec<RoutePart> {
    let mut told: Vec<RoutePart> = Vec::new();
    for part in parts {
        let ranking = router.rank(part);
        let best = ranking.scored.first().filter(|_| router.decide(&ranking, max_error) == Verdict::Routed);
        let Some(entry) = best.map(|best| &router.entries()[best.entry].entry) else { continue };
        if told.iter().all(|other| (other.kind, &other.id) != (entry.kind, &entry.id)) {
            let (kind, id) = (entry.kind, entry.id.clone());
            told.push(RoutePart { part: part.text.clone(), kind, id, confidence: ranking.confidence });
        }
    }
    if told.len() > 1 { told } else { Vec::new() }
}

/// Those that are as able as the best and there, by their places in the ranking: itself, and who says the same of itself.
fn able(router: &Router, ranking: &Ranking, standings: &[Standing]) -> Vec<usize> {
    let Some(best) = ranking.scored.first() else { return Vec::new() };
    let is_able = |(scored, standing): (&Scored, &Standing)| {
        standing.available && router.is_same(best.entry, scored.entry)
    };
    let all = ranking.scored.iter().zip(standings).enumerate();
    all.filter(|(_, both)| is_able(*both)).map(|(at, _)| at).collect()
}

fn limit_of(request: &RouteRequest) -> usize {
    request.limit.unwrap_or(DEFAULT_CANDIDATES).clamp(1, MAX_CANDIDATES)
}

/// The order in which candidates are told: those that are as able as the best, by how they stand; the rest by confidence.
fn place(ranking: &Ranking, able: &[usize], standings: &[Standing]) -> Vec<usize> {
    let mut order: Vec<usize> = able.to_vec();
    order.sort_by(|a, b| {
        let (first, second) = (&standings[*a], &standings[*b]);
        second.value().total_cmp(&first.value()).then(a.cmp(b))
    });
    order.extend((0..ranking.scored.len()).filter(|idx| !able.contains(idx)));
    order
}

/// What comes of a verdict when the able ones stand as they do.
fn outcome_of(verdict: Verdict, candidates: &[RouteCandidate], able: &[usize]) -> RouteOutcome {
    match verdict {
        Verdict::Routed if candidates.is_empty() || able.is_empty() => RouteOutcome::None,
        Verdict::Routed => RouteOutcome::Routed,
        Verdict::Ambiguous => RouteOutcome::Ambiguous,
        Verdict::None => RouteOutcome::None,
    }
}

fn candidate(
    request: &RouteRequest,
    router: &Router,
    ranking: &Ranking,
    (idx, sure_of): (usize, usize),
    next: f64,
    standing: Option<&Standing>,
) -> RouteCandidate {
    let (scored, probability) = (&ranking.scored[idx], ranking.scored[sure_of].probability);
    let entry = &router.entries()[scored.entry].entry;
    RouteCandidate {
        kind: entry.kind,
        id: entry.id.clone(),
        name: entry.name.clone(),
        confidence: if sure_of == 0 { ranking.confidence } else { probability.min(ranking.confidence) },
        margin: probability - next,
        why: why(router, scored, standing),
        standing: standing.cloned(),
        figures: request.explain.then(|| figures(router, scored)),
    }
}

pub(super) fn figures(router: &Router, scored: &Scored) -> Figures {
    let nearest =
        scored.nearest.map(|document| router.entries()[scored.entry].documents[document].role.as_str());
    Figures {
        cosine: scored.cosine.map(f64::from),
        nearest: nearest.map(str::to_owned),
        shared_terms: scored.shared_terms.clone(),
        probability: scored.probability,
    }
}

/// In a sentence, made of figures and of the entry's own words.
fn why(router: &Router, scored: &Scored, standing: Option<&Standing>) -> String {
    const MAX_SHOWN: usize = 80;
    let entry = &router.entries()[scored.entry];
    let mut reasons = Vec::new();
    if let Some((document, cosine)) = scored.nearest.zip(scored.cosine) {
        let document = &entry.documents[document];
        let text: String = document.text.chars().take(MAX_SHOWN).collect();
        reasons.push(format!("near its {} \"{text}\" ({cosine:.2})", document.role.as_str()));
    }
    if !scored.shared_terms.is_empty() {
        reasons.push(format!("shares {}", scored.shared_terms.join(", ")));
    }
    if let Some(standing) = standing {
        reasons.extend(standing.told());
    }
    reasons.join("; ")
}
