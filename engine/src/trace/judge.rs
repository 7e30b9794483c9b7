//! Decides, over plain data: whether a handover goes too deep, or round in circles.
//!
//! Each hop is a level deeper than the one that caused it, whoever it goes to, and levels are few: what is done for somebody is
//! told by ending its task, and not by another handover. Hops that one causes side by side are no deeper, and may be many.
//! Between two that were joined before, in either direction, a hop has to bring something new: an artifact that the trace has
//! not seen, or words that say or name something that this pair, and the round that led here, have not.

use serde::{Deserialize, Serialize};

use super::likeness::{Likeness, Sketch, mentioned, names, says_nothing};

/// How far a trace may go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Hops along one chain of causes; 8.
    pub max_depth: u32,
    /// Hops between two that were joined before, without new content, one after the other: the last one of them is refused; 3.
    pub max_stale: u32,
    /// Hops of a trace, along all its chains; 512. It bounds what is read to judge one.
    pub max_hops: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self { max_depth: 8, max_stale: 3, max_hops: 512 }
    }
}

/// A handover that has happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hop {
    /// From 1, along the whole trace.
    pub number: u32,
    /// The hop that caused it.
    pub parent: Option<u32>,
    /// From 1, along its chain of causes.
    pub depth: u32,
    /// A principal.
    pub from: String,
    /// A principal.
    pub to: String,
    /// What was said, cut.
    pub text: String,
    /// Hashes of what came along.
    pub artifacts: Vec<String>,
    /// Of the text.
    pub sketch: Option<Sketch>,
    /// Whether it brought something new.
    pub is_new: bool,
}

/// A handover that is to happen.
#[derive(Debug, Clone, Copy)]
pub struct Next<'a> {
    /// The hop that causes it.
    pub parent: Option<u32>,
    /// A principal.
    pub from: &'a str,
    /// A principal.
    pub to: &'a str,
    /// What is said, cut.
    pub text: &'a str,
    /// Hashes of what comes along.
    pub artifacts: &'a [String],
    /// Of the text.
    pub sketch: Option<&'a Sketch>,
}

/// What shows that agents go in circles.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Evidence {
    /// The agents, in the order of the hops that brought nothing new. For whoever decides: it names agents that each other one
    /// need not know.
    pub circle: Vec<String>,
    /// Hops without new content, this one among them.
    pub rounds: u32,
    /// How alike it is to what was said before, at most, in hundredths.
    pub likeness: i32,
    /// Whether only words were compared, for there is no embedding.
    pub degraded: bool,
}

/// What is to be said of a handover.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Judgement {
    /// It may happen.
    Go {
        /// From 1, along its chain of causes.
        depth: u32,
        /// Whether it brings something new.
        is_new: bool,
    },
    /// Its chain is too long.
    HopLimit {
        /// How many are allowed.
        max: u32,
        /// Of what.
        what: &'static str,
    },
    /// It brings nothing new, as others before it.
    Loop {
        /// In words.
        reason: String,
        /// In numbers.
        evidence: Evidence,
    },
}

/// Judges the next hop of a trace by all that were before, oldest first. `since`: a person let the trace go on after this
/// hop; what brought nothing new before counts no more.
pub fn judge(limits: &Limits, hops: &[Hop], since: u32, next: &Next<'_>) -> Judgement {
    if hops.len() as u64 >= u64::from(limits.max_hops) {
        return Judgement::HopLimit { max: limits.max_hops, what: "handovers" };
    }
    let chain = chain_of(hops, next.parent);
    if chain.len() as u64 >= u64::from(limits.max_depth) {
        return Judgement::HopLimit { max: limits.max_depth, what: "handovers in a row" };
    }
    let is_first = !hops.iter().any(|hop| is_same_pair(hop, next));
    let depth = chain.len() as u32 + 1;
    let said = said_before(hops, &chain, next);
    let news = News::of(hops, &said, next);
    if is_first || news.is_new {
        return Judgement::Go { depth, is_new: true };
    }
    let stale = stale_run(hops, &chain, since, next);
    let rounds = stale.len() as u32 + 1;
    if rounds < limits.max_stale {
        return Judgement::Go { depth, is_new: false };
    }
    let circle: Vec<String> = stale
        .iter()
        .rev()
        .map(|hop| hop.from.clone())
        .chain([next.from, next.to].map(str::to_owned))
        .collect();
    let how = if news.by_words { " (judged by words alone: there is no embedding)" } else { "" };
    let reason = format!("{rounds} handovers in a row bring nothing new{how}");
    let likeness = (news.likeness * 100.0).round() as i32;
    let evidence = Evidence { circle, rounds, likeness, degraded: news.by_words };
    Judgement::Loop { reason, evidence }
}

/// The causes of a hop, the nearest first. Numbers fall along it, so that it ends.
fn chain_of(hops: &[Hop], parent: Option<u32>) -> Vec<&Hop> {
    let find = |number: u32| hops.binary_search_by_key(&number, |hop| hop.number).ok().map(|at| &hops[at]);
    let mut chain: Vec<&Hop> = Vec::new();
    let mut cause = parent.and_then(find);
    while let Some(hop) = cause {
        chain.push(hop);
        cause = hop.parent.filter(|parent| *parent < hop.number).and_then(find);
    }
    chain
}

fn is_same_pair(hop: &Hop, next: &Next<'_>) -> bool {
    (hop.from == next.from && hop.to == next.to) || (hop.from == next.to && hop.to == next.from)
}

/// What this pair has said, and what was said on the way round that led here.
fn said_before<'a>(hops: &'a [Hop], chain: &[&'a Hop], next: &Next<'_>) -> Vec<&'a Hop> {
    let is_on_round = |hop: &Hop| chain.iter().any(|cause| cause.number == hop.number);
    let touches = |hop: &Hop| hop.to == next.to || hop.from == next.from;
    hops.iter().filter(|hop| is_same_pair(hop, next) || (is_on_round(hop) && touches(hop))).collect()
}

/// Whether a hop brings something new.
struct News {
    is_new: bool,
    likeness: f32,
    by_words: bool,
}

impl News {
    fn of(hops: &[Hop], said: &[&Hop], next: &Next<'_>) -> Self {
        let is_known = |hash: &String| hops.iter().any(|hop| hop.artifacts.contains(hash));
        let has_new_artifact = next.artifacts.iter().any(|hash| !is_known(hash));
        let likenesses: Vec<Likeness> = said
            .iter()
            .map(|hop| Likeness::of((next.text, next.sketch), (hop.text.as_str(), hop.sketch.as_ref())))
            .collect();
        let nearest = likenesses.iter().max_by(|a, b| a.value.total_cmp(&b.value));
        let is_said = likenesses.iter().any(|likeness| likeness.is_same()) && !names_more(said, next.text);
        let is_new = has_new_artifact || !(is_said || says_nothing(next.text));
        Self {
            is_new,
            likeness: nearest.map_or(0.0, |nearest| nearest.value),
            by_words: nearest.is_none_or(|nearest| nearest.by_words),
        }
    }
}

/// Whether a text names something that none of some hops has named.
fn names_more(said: &[&Hop], text: &str) -> bool {
    let mut named = names(text);
    for hop in said {
        let known = mentioned(&hop.text);
        named.retain(|name| !known.contains(name));
    }
    !named.is_empty()
}

/// The hops right before, along the chain and between this pair, that brought nothing new; the newest first.
fn stale_run<'a>(hops: &'a [Hop], chain: &[&Hop], since: u32, next: &Next<'_>) -> Vec<&'a Hop> {
    let concerns =
        |hop: &&Hop| is_same_pair(hop, next) || chain.iter().any(|cause| cause.number == hop.number);
    hops.iter().rev().filter(concerns).take_while(|hop| !hop.is_new && hop.number > since).collect()
}
