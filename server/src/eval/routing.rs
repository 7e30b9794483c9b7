//! Routing quality: every query to its route, or to none, with and without the right to abstain.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Result, bail, ensure};
use serde::{Deserialize, Deserializer};
use waypost_engine::embed::{Embedder, Features};
use waypost_engine::route::{
    DEFAULT_MAX_ERROR, Embedded, Entry, EntryKind, Intent, Ranking, Router, Verdict, asked, parts,
};

use super::data::{place, read_some, read_some_numbered};
use super::metrics::{Metrics, auroc, ndcg, shares};
use super::{Results, Speed};
use crate::output;

/// Texts embedded in one call.
const TEXTS_PER_CALL: usize = 64;

/// A route of a set.
#[derive(Debug, Clone, Deserialize)]
pub struct Route {
    route: String,
    #[serde(default)]
    description: String,
    #[serde(default)]
    examples: Vec<String>,
}

impl Route {
    /// Adds what another line says of this route.
    fn take_in(&mut self, other: &Self) {
        if self.description.is_empty() {
            self.description.clone_from(&other.description);
        }
        let new = other.examples.iter().filter(|example| !self.examples.contains(example));
        let new: Vec<String> = new.cloned().collect();
        self.examples.extend(new);
    }
}

/// A query of a routing set: for one route, for several, or for none.
#[derive(Debug, Clone, Deserialize)]
pub struct RoutedQuery {
    text: String,
    /// `Some(None)`: for none, which is to be said.
    #[serde(default, deserialize_with = "said")]
    route: Option<Option<String>>,
    routes: Option<Vec<String>>,
}

/// What stands there, be it null.
fn said<'de, D: Deserializer<'de>>(value: D) -> Result<Option<Option<String>>, D::Error> {
    Option::deserialize(value).map(Some)
}

impl RoutedQuery {
    /// What is asked for.
    fn intent(&self) -> &str {
        asked(&self.text)
    }

    fn gold(&self) -> BTreeMap<String, f64> {
        let routes = self.routes.iter().flatten().chain(self.route.iter().flatten());
        routes.map(|route| (route.clone(), 1.0)).collect()
    }
}

/// The routes of a set; one that stands there several times is one, with all its examples.
pub fn read_routes(path: &Path) -> Result<Vec<Route>> {
    let mut routes: Vec<Route> = Vec::new();
    let mut repeated = BTreeSet::new();
    for route in read_some::<Route>(path, "route")? {
        match routes.iter_mut().find(|known| known.route == route.route) {
            Some(known) => {
                known.take_in(&route);
                repeated.insert(route.route);
            }
            None => routes.push(route),
        }
    }
    if let Some(route) = repeated.first() {
        let (path, n) = (path.display(), repeated.len());
        output::note(&format!(
            "routes that stand in `{path}` more than once: {n}, such as `{route}`; their examples count together"
        ));
    }
    Ok(routes)
}

/// The queries of a set with these routes.
///
/// # Errors
/// Where there is none, or one does not say its route, or is for one that the set does not have.
pub fn read_queries(path: &Path, routes: &[Route]) -> Result<Vec<RoutedQuery>> {
    let names: BTreeSet<&str> = routes.iter().map(|route| route.route.as_str()).collect();
    let queries: Vec<(usize, RoutedQuery)> = read_some_numbered(path, "query")?;
    for (number, query) in &queries {
        ensure!(
            query.route.is_some() || query.routes.is_some(),
            "{}: the query does not say where it goes: expected `route` (null where none fits) or `routes`",
            place(path, *number)
        );
        if let Some(route) = query.gold().keys().find(|route| !names.contains(route.as_str())) {
            bail!("{}: the set has no route `{route}`", place(path, *number));
        }
    }
    Ok(queries.into_iter().map(|(_, query)| query).collect())
}

/// Metrics by mode, and speed. Without a model there is the lexical mode alone.
pub fn run(
    routes: &[Route],
    queries: &[RoutedQuery],
    shots: Option<usize>,
    embedder: Option<&Arc<dyn Embedder>>,
) -> Result<(Results, Speed)> {
    let (mut results, mut speed) = (Results::new(), Speed::new());
    let mut entries: Vec<Embedded> =
        (1..).zip(routes).map(|(revision, route)| Embedded::new(revision, entry(route, shots))).collect();
    let begun = Instant::now();
    if let Some(embedder) = embedder {
        embed_entries(embedder.as_ref(), &mut entries)?;
    }
    let intents = intents(embedder.map(Arc::as_ref), queries)?;
    speed.insert("embedding_seconds".to_owned(), begun.elapsed().as_secs_f64());
    let modes: &[&str] = if embedder.is_some() { &["lexical", "semantic", "hybrid"] } else { &["lexical"] };
    for mode in modes {
        let begun = Instant::now();
        let router = Router::fit(entries.iter().map(|entry| Arc::new(only(mode, entry))).collect());
        let refit = begun.elapsed().as_secs_f64();
        let asked: Vec<Asked> = intents.iter().map(|asked| asked.only(mode)).collect();
        let begun = Instant::now();
        let rankings: Vec<Ranking> = asked.iter().map(|asked| router.rank(&asked.whole)).collect();
        let routing = begun.elapsed().as_secs_f64();
        results.insert((*mode).to_owned(), measure(&router, queries, &asked, &rankings));
        if mode == modes.last().expect("there is a mode") {
            speed.insert("refit_seconds".to_owned(), refit);
            speed.insert("queries_per_second".to_owned(), queries.len() as f64 / routing);
        }
    }
    speed.insert("queries".to_owned(), queries.len() as f64);
    Ok((results, speed))
}

fn entry(route: &Route, shots: Option<usize>) -> Entry {
    let n_examples = shots.unwrap_or(usize::MAX);
    Entry {
        kind: EntryKind::Tool,
        id: route.route.clone(),
        name: route.route.clone(),
        description: route.description.clone(),
        capabilities: Vec::new(),
        examples: route.examples.iter().take(n_examples).cloned().collect(),
        counterexamples: Vec::new(),
        learned: Vec::new(),
    }
}

/// A query made ready, with its parts.
struct Asked {
    whole: Intent,
    parts: Vec<Intent>,
}

impl Asked {
    /// As one arm alone sees it.
    fn only(&self, mode: &str) -> Self {
        let parts = self.parts.iter().map(|part| only_intent(mode, part)).collect();
        Self { whole: only_intent(mode, &self.whole), parts }
    }

    /// Ids of the entries, best first: for one, or for several together.
    fn ids(&self, router: &Router, ranking: &Ranking, is_several: bool) -> Vec<String> {
        let id = |place: usize| router.entries()[place].entry.id.clone();
        if is_several && !self.parts.is_empty() {
            return router.together(&self.whole, &self.parts).into_iter().map(id).collect();
        }
        ranking.scored.iter().map(|scored| id(scored.entry)).collect()
    }
}

/// Sets the documents' features.
fn embed_entries(embedder: &dyn Embedder, entries: &mut [Embedded]) -> Result<()> {
    let mut documents: Vec<_> = entries.iter_mut().flat_map(|entry| &mut entry.documents).collect();
    for some in documents.chunks_mut(TEXTS_PER_CALL) {
        let texts: Vec<&str> = some.iter().map(|document| document.text.as_str()).collect();
        let features = embedder.embed_intents(&texts)?;
        for (document, features) in some.iter_mut().zip(features) {
            document.features = Some(features);
        }
    }
    Ok(())
}

fn intents(embedder: Option<&dyn Embedder>, queries: &[RoutedQuery]) -> Result<Vec<Asked>> {
    let texts: Vec<&str> = queries
        .iter()
        .flat_map(|query| std::iter::once(query.intent()).chain(parts(query.intent())))
        .collect();
    let mut features: Vec<Option<Features>> = Vec::with_capacity(texts.len());
    for some in texts.chunks(TEXTS_PER_CALL) {
        match embedder {
            Some(embedder) => features.extend(embedder.embed_intents(some)?.into_iter().map(Some)),
            None => features.extend(some.iter().map(|_| None)),
        }
    }
    let mut ready = texts.iter().zip(features).map(|(text, features)| Intent::new(text, features));
    let mut asked = Vec::with_capacity(queries.len());
    for query in queries {
        let Some(whole) = ready.next() else { break };
        let parts = ready.by_ref().take(parts(query.intent()).len()).collect();
        asked.push(Asked { whole, parts });
    }
    Ok(asked)
}

/// An entry as one arm alone sees it.
fn only(mode: &str, entry: &Embedded) -> Embedded {
    let mut entry = entry.clone();
    for document in &mut entry.documents {
        match mode {
            "lexical" => document.features = None,
            "semantic" => document.words.clear(),
            _ => {}
        }
    }
    entry
}

fn only_intent(mode: &str, intent: &Intent) -> Intent {
    let mut intent = intent.clone();
    match mode {
        "lexical" => intent.features = None,
        "semantic" => intent.words.clear(),
        _ => {}
    }
    intent
}

fn measure(router: &Router, queries: &[RoutedQuery], asked: &[Asked], rankings: &[Ranking]) -> Metrics {
    let mut tally = Tally::default();
    let (mut inside, mut outside) = (Vec::new(), Vec::new());
    for ((query, asked), ranking) in queries.iter().zip(asked).zip(rankings) {
        let gold = query.gold();
        let ranked = asked.ids(router, ranking, gold.len() > 1);
        if gold.is_empty() {
            outside.push(ranking.confidence)
        } else {
            inside.push(ranking.confidence)
        }
        tally.add(&gold, &ranked, router.decide(ranking, DEFAULT_MAX_ERROR));
    }
    let mut metrics = tally.metrics();
    let has_both = !inside.is_empty() && !outside.is_empty();
    metrics.insert("auroc".to_owned(), has_both.then(|| auroc(&inside, &outside)));
    metrics
}

/// Counts over queries.
#[derive(Default)]
struct Tally {
    inside: f64,
    outside: f64,
    hit_1: f64,
    hit_5: f64,
    all_5: f64,
    ndcg_5: f64,
    routed: f64,
    routed_inside: f64,
    right: f64,
    ambiguous: f64,
    none: f64,
    none_outside: f64,
}

impl Tally {
    fn add(&mut self, gold: &BTreeMap<String, f64>, ranked: &[String], verdict: Verdict) {
        let one = |holds: bool| f64::from(u8::from(holds));
        let is_hit = |id: &String| gold.contains_key(id);
        let is_outside = gold.is_empty();
        self.inside += one(!is_outside);
        self.outside += one(is_outside);
        self.hit_1 += one(ranked.first().is_some_and(is_hit));
        self.hit_5 += one(ranked.iter().take(5).any(is_hit));
        let found = ranked.iter().take(5).filter(|id| is_hit(id)).count();
        self.all_5 += one(!is_outside && found == gold.len());
        self.ndcg_5 += if is_outside { 0.0 } else { ndcg(ranked, gold, 5) };
        let is_routed = verdict == Verdict::Routed;
        self.routed += one(is_routed);
        self.routed_inside += one(is_routed && !is_outside);
        self.right += one(is_routed && ranked.first().is_some_and(is_hit));
        self.ambiguous += one(verdict == Verdict::Ambiguous && !is_outside);
        self.none += one(!is_routed);
        self.none_outside += one(!is_routed && is_outside);
    }

    fn metrics(&self) -> Metrics {
        shares([
            ("accuracy", self.hit_1, self.inside),
            ("hit@1", self.hit_1, self.inside),
            ("hit@5", self.hit_5, self.inside),
            ("all@5", self.all_5, self.inside),
            ("ndcg@5", self.ndcg_5, self.inside),
            ("stated_error", DEFAULT_MAX_ERROR, 1.0),
            ("coverage", self.routed_inside, self.inside),
            ("error", self.routed_inside - self.right, self.routed_inside),
            ("error_with_oos", self.routed - self.right, self.routed),
            ("ambiguous", self.ambiguous, self.inside),
            ("oos_recall", self.none_outside, self.outside),
            ("oos_precision", self.none_outside, if self.outside > 0.0 { self.none } else { 0.0 }),
        ])
    }
}
