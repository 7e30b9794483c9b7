//! What is wrong with a registry: entries that take each other's intents, that nobody finds, or that take everything.
//!
//! Where there are examples it goes by trials (examples that were left out, and who got them); else by how near
//! descriptions are to each other. An entry is over-broad where it gets many trials of others, or where what it says of
//! itself suits the examples of all others. Texts are told of only as far as who asks may know them.

use std::collections::BTreeMap;

use serde::Serialize;

use super::{Role, Router, Spoken, Trial};

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
/// Other entries from which on an entry's words can suit too many.
const MIN_SUITED: usize = 3;
/// From such a share of an other one's examples on, its words suit that one.
const SUITED: f64 = 0.5;
/// Next to the one whose example it is, an entry's words suit an example from this share of that one's score on.
const SUITS: f64 = 0.4;
/// From such a share of all others on that its words suit, an entry is over-broad.
const BROADLY_SUITED: f64 = 0.8;
/// Trials of an entry from which on it can be dead.
const MIN_DEAD: usize = 2;
/// Examples told with a finding at most.
const MAX_EXAMPLES: usize = 6;
/// Findings at most; the worst come first.
const MAX_FINDINGS: usize = 200;
/// Entries of which every pair is compared at most.
const MAX_COMPARED: usize = 3000;
/// Examples of one entry that are held against what others say of themselves.
const MAX_TRIED: usize = 8;
/// Entries × entries × examples that are held against each other at most, some tenths of a second.
const MAX_CELLS: usize = 1_000_000;

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

/// Whether who asks may know a text.
pub type Passes<'a> = &'a dyn Fn(&Spoken) -> bool;

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

/// Looks for what is wrong with one entry, by its id; tells of the texts that pass.
pub fn lint_of(router: &Router, id: &str, passes: Passes<'_>) -> Vec<Finding> {
    let Some(place) = router.entries().iter().position(|entry| entry.entry.id == id) else {
        return Vec::new();
    };
    let pairs = (0..router.entries().len()).filter(|other| *other != place);
    let findings = findings(router, pairs.map(|other| (place.min(other), place.max(other))), passes);
    findings.into_iter().filter(|finding| finding.entries.iter().any(|entry| entry == id)).collect()
}

/// Looks for what is wrong; tells of the texts that pass.
pub fn lint(router: &Router, passes: Passes<'_>) -> Lint {
    let table = Table::of(router.trials());
    let n = if router.entries().len() > MAX_COMPARED { 0 } else { router.entries().len() };
    let findings = findings(router, (0..n).flat_map(|a| (a + 1..n).map(move |b| (a, b))), passes);
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
fn findings(
    router: &Router,
    pairs: impl Iterator<Item = (usize, usize)>,
    passes: Passes<'_>,
) -> Vec<Finding> {
    let table = Table::of(router.trials());
    let mut findings = collisions(router, &table, passes);
    findings.extend(near(router, &table, pairs, passes));
    findings.extend(shared_examples(router, passes));
    findings.extend(dead(router, &table, passes));
    let broad = broad(router, &table, passes);
    let is_told = |finding: &Finding| broad.iter().any(|other| other.entries == finding.entries);
    let suiting: Vec<Finding> = suiting(router, passes).into_iter().filter(|it| !is_told(it)).collect();
    findings.extend(broad.into_iter().chain(suiting));
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
    fn astray(&self, router: &Router, passes: Passes<'_>, is_astray: impl Fn(&Trial) -> bool) -> Vec<String> {
        let astray = self.trials.iter().filter(|trial| is_astray(trial));
        astray
            .filter_map(|trial| told(router, (trial.entry, trial.document), passes))
            .take(MAX_EXAMPLES)
            .collect()
    }
}

fn id(router: &Router, entry: usize) -> String {
    router.entries()[entry].entry.id.clone()
}

/// A text with the entry that it is for, where it may be known.
fn told(router: &Router, (entry, document): (usize, usize), passes: Passes<'_>) -> Option<String> {
    let embedded = &router.entries()[entry];
    let text = Some(&embedded.documents[document]).filter(|text| passes(text))?;
    Some(format!("{}: {}", embedded.entry.id, text.text))
}

fn collisions(router: &Router, table: &Table<'_>, passes: Passes<'_>) -> Vec<Finding> {
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
        examples: separating(router, (a, b), passes),
    };
    pairs.into_iter().map(finding).collect()
}

/// Of two entries, the examples that lie farthest towards their own.
fn separating(router: &Router, (a, b): (usize, usize), passes: Passes<'_>) -> Vec<String> {
    let mut sides: Vec<String> = Vec::new();
    for (own, other) in [(a, b), (b, a)] {
        let mut margins: Vec<(usize, f32)> = router.margins(own, other);
        margins.sort_by(|x, y| y.1.total_cmp(&x.1).then(x.0.cmp(&y.0)));
        let known = margins.into_iter().filter_map(|(document, _)| told(router, (own, document), passes));
        sides.extend(known.take(MAX_EXAMPLES / 2));
    }
    sides
}

/// Pairs whose descriptions are near to each other, where trials did not say so already.
fn near(
    router: &Router,
    table: &Table<'_>,
    pairs: impl Iterator<Item = (usize, usize)>,
    passes: Passes<'_>,
) -> Vec<Finding> {
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
                examples: separating(router, (a, b), passes),
            });
        }
    }
    found
}

/// Entries that have examples in common, word by word: no router can do right by both. Those that say the same of themselves
/// are told of already.
fn shared_examples(router: &Router, passes: Passes<'_>) -> Vec<Finding> {
    let mut owners: BTreeMap<String, BTreeMap<usize, usize>> = BTreeMap::new();
    for (entry, embedded) in router.entries().iter().enumerate() {
        let documents = embedded.documents.iter().enumerate();
        for (at, text) in documents.filter(|(_, text)| text.role == Role::Example && passes(text)) {
            let words = text.text.to_lowercase().split_whitespace().collect::<Vec<_>>().join(" ");
            owners.entry(words).or_default().entry(entry).or_insert(at);
        }
    }
    let mut groups: BTreeMap<Vec<usize>, Vec<String>> = BTreeMap::new();
    for of_text in owners.into_values().filter(|of_text| of_text.len() > 1) {
        let entries: Vec<usize> = of_text.keys().copied().collect();
        if entries.windows(2).any(|pair| !router.is_same(pair[0], pair[1])) {
            let told = of_text.first_key_value().and_then(|(entry, at)| told(router, (*entry, *at), passes));
            groups.entry(entries).or_default().extend(told);
        }
    }
    let finding = |(entries, texts): (Vec<usize>, Vec<String>)| Finding {
        fault: Fault::Collision,
        entries: entries.into_iter().map(|entry| id(router, entry)).collect(),
        detail: format!(
            "they have {} in common: what is meant for one can't be told from what is meant for the other",
            if texts.len() == 1 { "an example".to_owned() } else { format!("{} examples", texts.len()) }
        ),
        examples: texts.into_iter().take(MAX_EXAMPLES).collect(),
    };
    groups.into_iter().map(finding).collect()
}

/// Entries whose own words suit the examples of almost all others nearly as well as those others' words do.
fn suiting(router: &Router, passes: Passes<'_>) -> Vec<Finding> {
    let n = router.entries().len();
    if n <= MIN_SUITED || n * n * MAX_TRIED > MAX_CELLS {
        return Vec::new();
    }
    let mut n_owners = vec![0usize; n];
    let mut suited: BTreeMap<usize, Vec<(usize, usize)>> = BTreeMap::new();
    for owner in 0..n {
        let suited_by = router.suited(owner, MAX_TRIED, passes);
        let Some((first, _)) = suited_by.first() else { continue };
        for other in (0..n).filter(|other| *other != owner && !router.is_same(*other, owner)) {
            n_owners[other] += 1;
            let suits = |scores: &[f64]| {
                scores[other] > 0.0
                    && scores[other] >= SUITS * scores[owner]
                    && is_second(scores, owner, other)
            };
            let n_suited = suited_by.iter().filter(|(_, scores)| suits(scores)).count();
            if n_suited as f64 >= SUITED * suited_by.len() as f64 {
                suited.entry(other).or_default().push((owner, *first));
            }
        }
    }
    let is_broad = |(entry, owners): &(usize, Vec<(usize, usize)>)| {
        owners.len() >= MIN_SUITED && owners.len() as f64 >= BROADLY_SUITED * n_owners[*entry] as f64
    };
    let finding = |(entry, owners): (usize, Vec<(usize, usize)>)| Finding {
        fault: Fault::OverBroad,
        entries: vec![id(router, entry)],
        detail: format!(
            "what it says of itself suits the examples of {} others of {}; say what it does not do, or less",
            owners.len(),
            n_owners[entry]
        ),
        examples: owners
            .into_iter()
            .filter_map(|text| told(router, text, passes))
            .take(MAX_EXAMPLES)
            .collect(),
    };
    suited.into_iter().filter(is_broad).map(finding).collect()
}

/// Whether nobody but the one whose example it is has a higher score.
fn is_second(scores: &[f64], owner: usize, entry: usize) -> bool {
    (0..scores.len()).all(|other| other == owner || scores[other] <= scores[entry])
}

fn dead(router: &Router, table: &Table<'_>, passes: Passes<'_>) -> Vec<Finding> {
    let is_dead = |(entry, total): &(&usize, &usize)| {
        **total >= MIN_DEAD && !table.counts.contains_key(&(**entry, **entry))
    };
    let finding = |(entry, total): (&usize, &usize)| Finding {
        fault: Fault::Dead,
        entries: vec![id(router, *entry)],
        detail: format!("none of its {total} examples found it when they were left out"),
        examples: table.astray(router, passes, |trial| trial.entry == *entry),
    };
    table.totals.iter().filter(is_dead).map(finding).collect()
}

fn broad(router: &Router, table: &Table<'_>, passes: Passes<'_>) -> Vec<Finding> {
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
        examples: table.astray(router, passes, |trial| trial.chosen == *entry && trial.entry != *entry),
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
