//! What is wrong with a registry: entries that take each other's intents, that nobody finds, or that take everything.
//!
//! Where there are examples it goes by trials (examples that were left out, and who got them); else by how near
//! descriptions are to each other.

use std::collections::BTreeMap;

use serde::Serialize;

use super::{Router, Trial};

/// Descriptions as near as this are told of even without examples.
const NEAR: f32 = 0.85;
/// From such a share of an entry's trials on that go to one other, the two collide.
const COLLIDING: f64 = 0.2;
/// Fewer trials that go astray say nothing.
const MIN_ASTRAY: usize = 2;
/// From such a share of all trials astray on that go to one entry, it is over-broad, if there are enough others.
const BROAD: f64 = 0.3;
/// Astray trials from which on an entry can be over-broad.
const MIN_BROAD: usize = 5;
/// Trials of an entry from which on it can be dead.
const MIN_DEAD: usize = 2;
/// Examples told with a finding at most.
const MAX_EXAMPLES: usize = 6;
/// Findings at most; the worst come first.
const MAX_FINDINGS: usize = 200;
/// Entries of which every pair is compared at most.
const MAX_COMPARED: usize = 3000;

/// What can be wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Fault {
    /// Two entries say the same of themselves.
    Duplicate,
    /// One gets what is meant for the other.
    Collision,
    /// Its own examples don't find it.
    Dead,
    /// It gets what is meant for many others.
    OverBroad,
    /// It says nothing of itself.
    Undescribed,
}

impl Fault {
    /// Its name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Duplicate => "duplicate",
            Self::Collision => "collision",
            Self::Dead => "dead",
            Self::OverBroad => "over_broad",
            Self::Undescribed => "undescribed",
        }
    }
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Serialize, schemars::JsonSchema)]
pub struct Finding {
    /// What kind.
    pub fault: Fault,
    /// Whose, by id.
    pub entries: Vec<String>,
    /// In a sentence.
    pub detail: String,
    /// For a collision, the examples that tell the two apart best, each with the entry that it is for: more like these
    /// would separate them. Else those that went astray.
    pub examples: Vec<String>,
}

/// How often what is meant for one entry went to another.
#[derive(Debug, Clone, PartialEq, Serialize, schemars::JsonSchema)]
pub struct Confusion {
    /// Meant for.
    pub from: String,
    /// Went to.
    pub to: String,
    /// Trials.
    pub count: usize,
    /// Of all trials of `from`, `[0, 1]`.
    pub share: f64,
}

/// What is wrong with a registry.
#[derive(Debug, Clone, PartialEq, Serialize, schemars::JsonSchema)]
pub struct Lint {
    /// Worst first.
    pub findings: Vec<Finding>,
    /// The confusion matrix without its zeros; what went right is in it too.
    pub confusion: Vec<Confusion>,
    /// Trials.
    pub examples: usize,
    /// The share of trials that went right; `None` without examples.
    pub accuracy: Option<f64>,
}

/// Looks for what is wrong with one entry, by its id.
pub fn lint_of(router: &Router, id: &str) -> Vec<Finding> {
    let Some(place) = router.entries().iter().position(|entry| entry.entry.id == id) else {
        return Vec::new();
    };
    let pairs = (0..router.entries().len()).filter(|other| *other != place);
    let findings = findings(router, pairs.map(|other| (place.min(other), place.max(other))));
    findings.into_iter().filter(|finding| finding.entries.iter().any(|entry| entry == id)).collect()
}

/// Looks for what is wrong.
pub fn lint(router: &Router) -> Lint {
    let table = Table::of(router.trials());
    let n = if router.entries().len() > MAX_COMPARED { 0 } else { router.entries().len() };
    let findings = findings(router, (0..n).flat_map(|a| (a + 1..n).map(move |b| (a, b))));
    let n_right = table.trials.iter().filter(|trial| router.is_same(trial.entry, trial.chosen)).count();
    let n_trials = table.trials.len();
    Lint {
        findings,
        confusion: table.confusion(router),
        examples: n_trials,
        accuracy: (n_trials > 0).then(|| n_right as f64 / n_trials as f64),
    }
}

/// What is wrong, worst first; of descriptions, these pairs are compared.
fn findings(router: &Router, pairs: impl Iterator<Item = (usize, usize)>) -> Vec<Finding> {
    let table = Table::of(router.trials());
    let mut findings = collisions(router, &table);
    findings.extend(near(router, &table, pairs));
    findings.extend(dead(router, &table));
    findings.extend(broad(router, &table));
    findings.extend(undescribed(router));
    findings.sort_by_key(|finding| finding.fault);
    findings.truncate(MAX_FINDINGS);
    findings
}

/// Trials, counted.
struct Table<'a> {
    trials: &'a [Trial],
    /// By entry and choice.
    counts: BTreeMap<(usize, usize), usize>,
    /// By entry.
    totals: BTreeMap<usize, usize>,
}

impl<'a> Table<'a> {
    fn of(trials: &'a [Trial]) -> Self {
        let (mut counts, mut totals) = (BTreeMap::new(), BTreeMap::new());
        for trial in trials {
            *counts.entry((trial.entry, trial.chosen)).or_default() += 1;
            *totals.entry(trial.entry).or_default() += 1;
        }
        Self { trials, counts, totals }
    }

    fn confusion(&self, router: &Router) -> Vec<Confusion> {
        let row = |((from, to), count): (&(usize, usize), &usize)| Confusion {
            from: id(router, *from),
            to: id(router, *to),
            count: *count,
            share: *count as f64 / self.totals[from] as f64,
        };
        self.counts.iter().map(row).collect()
    }

    /// What was meant for `from` and went to `to`, as texts.
    fn astray(&self, router: &Router, is_astray: impl Fn(&Trial) -> bool) -> Vec<String> {
        let astray = self.trials.iter().filter(|trial| is_astray(trial)).take(MAX_EXAMPLES);
        astray.map(|trial| told(router, trial.entry, trial.document)).collect()
    }
}

fn id(router: &Router, entry: usize) -> String {
    router.entries()[entry].entry.id.clone()
}

fn told(router: &Router, entry: usize, document: usize) -> String {
    let embedded = &router.entries()[entry];
    format!("{}: {}", embedded.entry.id, embedded.documents[document].text)
}

fn collisions(router: &Router, table: &Table<'_>) -> Vec<Finding> {
    let mut pairs: BTreeMap<(usize, usize), usize> = BTreeMap::new();
    for ((from, to), count) in &table.counts {
        let is_much = *count >= MIN_ASTRAY && *count as f64 >= COLLIDING * table.totals[from] as f64;
        if from != to && is_much {
            *pairs.entry((*from.min(to), *from.max(to))).or_default() += count;
        }
    }
    let mut pairs: Vec<_> = pairs.into_iter().collect();
    pairs.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    let finding = |((a, b), count): ((usize, usize), usize)| Finding {
        fault: Fault::Collision,
        entries: vec![id(router, a), id(router, b)],
        detail: format!(
            "{count} of {} examples of one went to the other when they were left out; more examples like these would separate them",
            table.totals.get(&a).unwrap_or(&0) + table.totals.get(&b).unwrap_or(&0)
        ),
        examples: separating(router, a, b),
    };
    pairs.into_iter().map(finding).collect()
}

/// Of two entries, the examples that lie farthest towards their own.
fn separating(router: &Router, a: usize, b: usize) -> Vec<String> {
    let mut sides: Vec<String> = Vec::new();
    for (own, other) in [(a, b), (b, a)] {
        let mut margins: Vec<(usize, f32)> = router.margins(own, other);
        margins.sort_by(|x, y| y.1.total_cmp(&x.1).then(x.0.cmp(&y.0)));
        sides.extend(
            margins.into_iter().take(MAX_EXAMPLES / 2).map(|(document, _)| told(router, own, document)),
        );
    }
    sides
}

/// Pairs whose descriptions are near to each other, where trials did not say so already.
fn near(router: &Router, table: &Table<'_>, pairs: impl Iterator<Item = (usize, usize)>) -> Vec<Finding> {
    let mut found = Vec::new();
    for (a, b) in pairs {
        let is_tried = table.totals.contains_key(&a) && table.totals.contains_key(&b);
        let Some(cosine) = router.nearness(a, b).filter(|cosine| *cosine >= NEAR) else { continue };
        let entries = vec![id(router, a), id(router, b)];
        if router.is_same(a, b) {
            let detail = format!(
                "they say the same of themselves (cosine {cosine:.2}); either is taken for the other"
            );
            found.push(Finding { fault: Fault::Duplicate, entries, detail, examples: Vec::new() });
        } else if !is_tried {
            let detail = format!(
                "their descriptions are near to each other (cosine {cosine:.2}); examples would tell them apart"
            );
            found.push(Finding {
                fault: Fault::Collision,
                entries,
                detail,
                examples: separating(router, a, b),
            });
        }
    }
    found
}

fn dead(router: &Router, table: &Table<'_>) -> Vec<Finding> {
    let is_dead = |(entry, total): &(&usize, &usize)| {
        **total >= MIN_DEAD && !table.counts.contains_key(&(**entry, **entry))
    };
    let finding = |(entry, total): (&usize, &usize)| Finding {
        fault: Fault::Dead,
        entries: vec![id(router, *entry)],
        detail: format!("none of its {total} examples found it when they were left out"),
        examples: table.astray(router, |trial| trial.entry == *entry),
    };
    table.totals.iter().filter(is_dead).map(finding).collect()
}

fn broad(router: &Router, table: &Table<'_>) -> Vec<Finding> {
    let mut takes: BTreeMap<usize, (usize, usize)> = BTreeMap::new();
    for ((_, to), count) in table.counts.iter().filter(|((from, to), _)| from != to) {
        let (n_trials, n_others) = takes.entry(*to).or_default();
        (*n_trials, *n_others) = (*n_trials + count, *n_others + 1);
    }
    let n_astray: usize = takes.values().map(|(n_trials, _)| n_trials).sum();
    let is_broad = |(_, (n_trials, n_others)): &(&usize, &(usize, usize))| {
        *n_trials >= MIN_BROAD && *n_others >= 3 && *n_trials as f64 >= BROAD * n_astray as f64
    };
    let finding = |(entry, (n_trials, n_others)): (&usize, &(usize, usize))| Finding {
        fault: Fault::OverBroad,
        entries: vec![id(router, *entry)],
        detail: format!("it got {n_trials} examples of {n_others} others, of {n_astray} that went astray"),
        examples: table.astray(router, |trial| trial.chosen == *entry && trial.entry != *entry),
    };
    takes.iter().filter(is_broad).map(finding).collect()
}

fn undescribed(router: &Router) -> Vec<Finding> {
    let says_nothing = router.entries().iter().filter(|embedded| {
        let entry = &embedded.entry;
        entry.description.trim().is_empty() && entry.examples.is_empty() && entry.capabilities.is_empty()
    });
    let finding = |entry: &std::sync::Arc<super::Embedded>| Finding {
        fault: Fault::Undescribed,
        entries: vec![entry.entry.id.clone()],
        detail: "it has neither a description nor an example: only its name speaks for it".to_owned(),
        examples: Vec::new(),
    };
    says_nothing.map(finding).collect()
}
