//! An intent, and where it goes.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Instant;

use serde::{Deserialize, Serialize};

use super::super::error::{Error, Result};
use super::super::keys::fresh_id;
use super::super::session::Session;
use super::reader::Reader;
use super::replies::{Figures, RouteCandidate, RouteOutcome, RoutePart, RouteReply, RouteRequest, Standing};
use crate::access::Verb;
use crate::journal::Outcome;
use crate::route::{self, DecisionRow, EntryKind, Intent, Ranking, Router, Scored, Told, Verdict};

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
    /// Who asked.
    #[serde(default)]
    pub reader: Reader,
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
    pub intent: Intent,
    pub reader: Reader,
}

impl Session {
    /// Where an intent goes: to an agent that this principal may hand it to or a tool that it may call now; to one of two,
    /// with the question that tells which; or to nobody here.
    ///
    /// # Errors
    /// [`Error::Invalid`] for an intent without words or with too many, and for a limit of 0.
    pub fn route(&self, request: &RouteRequest) -> Result<RouteReply> {
        Ok(self.decide_route(request)?.reply)
    }

    pub(super) fn decide_route(&self, request: &RouteRequest) -> Result<Decided> {
        let begun = Instant::now();
        check_intent(&request.intent)?;
        check_limit(request.limit)?;
        let kinds = match request.kinds.is_empty() {
            true => BTreeSet::from(EntryKind::ALL),
            false => request.kinds.clone(),
        };
        let router = self.router(&kinds)?;
        let intent = self.engine.read_intent(&request.intent)?;
        let parts = self.engine.read_parts(&request.intent)?;
        let ranking = router.rank(&intent);
        let standings = self.standings(&router, &ranking, limit_of(request))?;
        let (max_error, reader) = (self.engine.max_error, self.reader());
        let asked = Asked { request: request.clone(), max_error, standings, reader };
        let mut reply = self.answer(&asked, &router, &ranking, Question { whole: &intent, parts: &parts });
        reply.took_ms = begun.elapsed().as_secs_f64() * 1000.0;
        self.keep_decision(&asked, &router, &reply)?;
        self.record("route", Verb::Dispatch, "/", "", Outcome::Allowed, "scope")?;
        Ok(Decided { reply, router, ranking, intent, reader: asked.reader })
    }

    /// What one router says, given how its candidates stand: the same in, the same out.
    pub(super) fn answer(
        &self,
        asked: &Asked,
        router: &Router,
        ranking: &Ranking,
        question: Question<'_>,
    ) -> RouteReply {
        let Asked { request, max_error, standings, reader } = asked;
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
                let told = tell(router, question.whole, &ranking.scored[*idx], reader);
                let shown = candidate(router, ranking, (*idx, sure_of), next, (&told, standings.get(*idx)));
                let figures = request.explain.then(|| figures(router, &ranking.scored[*idx], &told));
                RouteCandidate { figures, ..shown }
            })
            .take(limit)
            .collect();
        let parts = parts_of(router, question.parts, max_error);
        let outcome = outcome_of(verdict, &able, &parts);
        let decision = candidates.first().filter(|_| outcome == RouteOutcome::Routed).cloned();
        let is_taken = verdict == Verdict::Routed && outcome == RouteOutcome::None;
        RouteReply {
            decision_id: fresh_id("rd"),
            outcome,
            decision,
            question: (outcome == RouteOutcome::Ambiguous).then(|| asked_back(router, ranking, &parts)),
            unavailable: if is_taken { equals(router, ranking, standings) } else { Vec::new() },
            candidates,
            together: together(router, question, &parts, limit),
            parts,
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

pub(super) fn check_limit(limit: Option<usize>) -> Result<()> {
    if limit != Some(0) {
        return Ok(());
    }
    let expected = format!("1 to {MAX_CANDIDATES}, or none");
    Err(Error::Invalid { field: "limit", found: "`0`".to_owned(), expected })
}

/// The ids of those that together do an intent of several parts: the parts' own where they are for several, else all by how
/// they do for the whole and for a part; none where it has one part.
fn together(router: &Router, question: Question<'_>, parts: &[RoutePart], limit: usize) -> Vec<String> {
    if question.parts.is_empty() {
        return Vec::new();
    }
    if !parts.is_empty() {
        return parts.iter().map(|part| part.id.clone()).collect();
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

/// The ids of those that are as able as the best, there or not.
fn equals(router: &Router, ranking: &Ranking, standings: &[Standing]) -> Vec<String> {
    let looked_at = ranking.scored.iter().take(standings.len());
    let equal = looked_at.filter(|scored| router.is_same(ranking.scored[0].entry, scored.entry));
    equal.map(|scored| router.entries()[scored.entry].entry.id.clone()).collect()
}

/// What is to be asked of who asks.
fn asked_back(router: &Router, ranking: &Ranking, parts: &[RoutePart]) -> String {
    if parts.is_empty() {
        return route::question(router, ranking);
    }
    let parts: Vec<(&str, &str)> = parts.iter().map(|part| (part.part.as_str(), part.id.as_str())).collect();
    route::question_of_parts(&parts)
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

/// What comes of a verdict when the able ones stand as they do. What has parts for several is for none of them as a whole.
fn outcome_of(verdict: Verdict, able: &[usize], parts: &[RoutePart]) -> RouteOutcome {
    match verdict {
        _ if !parts.is_empty() => RouteOutcome::Ambiguous,
        Verdict::Routed if able.is_empty() => RouteOutcome::None,
        Verdict::Routed => RouteOutcome::Routed,
        Verdict::Ambiguous => RouteOutcome::Ambiguous,
        Verdict::None => RouteOutcome::None,
    }
}

fn candidate(
    router: &Router,
    ranking: &Ranking,
    (idx, sure_of): (usize, usize),
    next: f64,
    (told, standing): (&Told, Option<&Standing>),
) -> RouteCandidate {
    let (scored, probability) = (&ranking.scored[idx], ranking.scored[sure_of].probability);
    let entry = &router.entries()[scored.entry].entry;
    RouteCandidate {
        kind: entry.kind,
        id: entry.id.clone(),
        name: entry.name.clone(),
        confidence: if sure_of == 0 { ranking.confidence } else { probability.min(ranking.confidence) },
        margin: probability - next,
        why: why(router, scored, told, standing),
        standing: standing.cloned(),
        figures: None,
    }
}

/// What a reader may know of why an entry scores as it does.
pub(super) fn tell(router: &Router, intent: &Intent, scored: &Scored, reader: &Reader) -> Told {
    router.told(intent, scored.entry, &|text| reader.knows(text))
}

pub(super) fn figures(router: &Router, scored: &Scored, told: &Told) -> Figures {
    let documents = &router.entries()[scored.entry].documents;
    Figures {
        cosine: told.nearest.map(|(_, cosine)| f64::from(cosine)),
        nearest: told.nearest.map(|(document, _)| documents[document].role.as_str().to_owned()),
        shared_terms: told.shared_terms.clone(),
        probability: scored.probability,
    }
}

/// In a sentence, made of figures and of words of the entry's that may be known.
fn why(router: &Router, scored: &Scored, told: &Told, standing: Option<&Standing>) -> String {
    const MAX_SHOWN: usize = 80;
    let entry = &router.entries()[scored.entry];
    let mut reasons = Vec::new();
    if told.is_outdone {
        reasons.push("near what it was given before".to_owned());
    } else if let Some((document, cosine)) = told.nearest {
        let document = &entry.documents[document];
        let text: String = document.text.chars().take(MAX_SHOWN).collect();
        reasons.push(format!("near its {} \"{text}\" ({cosine:.2})", document.role.as_str()));
    }
    if !told.shared_terms.is_empty() {
        reasons.push(format!("shares {}", told.shared_terms.join(", ")));
    }
    if let Some(standing) = standing {
        reasons.extend(standing.told());
    }
    reasons.join("; ")
}
