use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::route::{EntryKind, Record};

/// What somebody wants done.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RouteRequest {
    /// In a sentence.
    pub intent: String,
    /// `agent`, `tool`; both where nothing is said.
    #[serde(default)]
    pub kinds: BTreeSet<EntryKind>,
    /// Candidates at most; 5 where nothing is said.
    pub limit: Option<usize>,
    /// Whether each candidate tells its figures.
    #[serde(default)]
    pub explain: bool,
}

/// Where it goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum RouteOutcome {
    /// To one, which is right but for the stated error.
    Routed,
    /// To one of some, and a question tells which; or to several, each with a part of it.
    Ambiguous,
    /// To nobody here, or to nobody who can take it now.
    None,
}

/// An answer to a [`RouteRequest`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[non_exhaustive]
pub struct RouteReply {
    /// `rd_…`, for feedback, explanation and replay.
    pub decision_id: String,
    /// Whether it was routed.
    pub outcome: RouteOutcome,
    /// To whom, where it was.
    pub decision: Option<RouteCandidate>,
    /// What would tell apart those that come into question, where it is ambiguous.
    pub question: Option<String>,
    /// Those that are for it and can take nothing now, where it is `none` for that reason alone: the candidates say why.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unavailable: Vec<String>,
    /// Who comes into question, best first.
    pub candidates: Vec<RouteCandidate>,
    /// Where an intent has several parts: the ids of those that together do it. Where `parts` tells where each goes these are
    /// theirs; else all, best first, as many as candidates were asked for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub together: Vec<String>,
    /// Where an intent has several parts that go to different ones: where each goes. It is `ambiguous` then, for nobody
    /// takes all of it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub parts: Vec<RoutePart>,
    /// The share of routed intents that may go wrong, as the operator stated it.
    pub max_error: f64,
    /// What could not run, such as `semantic`.
    pub degraded: Vec<String>,
    /// Without the time on the network.
    pub took_ms: f64,
}

/// One that comes into question.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[non_exhaustive]
pub struct RouteCandidate {
    /// `agent` or `tool`.
    pub kind: EntryKind,
    /// `agent:researcher`, `github.create_issue`.
    pub id: String,
    /// For people.
    pub name: String,
    /// How likely it is the right one, `[0, 1]`.
    pub confidence: f64,
    /// Ahead of the next candidate, in confidence; below zero where another standing put it behind.
    pub margin: f64,
    /// In a sentence.
    pub why: String,
    /// Health, load, price and past, as they stood.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub standing: Option<Standing>,
    /// The figures behind it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub figures: Option<Figures>,
}

/// A part of an intent, and where it goes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[non_exhaustive]
pub struct RoutePart {
    /// The words of the intent.
    pub part: String,
    /// To whom.
    pub kind: EntryKind,
    /// Its id.
    pub id: String,
    /// How likely it is the right one for this part, `[0, 1]`.
    pub confidence: f64,
}

/// How one that is able stands.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[non_exhaustive]
pub struct Standing {
    /// Whether it can take something now.
    pub available: bool,
    /// Why not, where it can't.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unavailable: Option<String>,
    /// Whether it is a budget of the asker's that has no room.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub over_budget: bool,
    /// Tasks that lie before it, of those that the asker may know of: what it handed over itself, or all where it may read
    /// the agent's inbox.
    #[serde(default)]
    pub open_tasks: u32,
    /// The share of its last tasks or calls that went well, of the same ones; 0.5 without a past.
    #[serde(default)]
    pub success: f64,
    /// What one call costs, in US dollars.
    #[serde(default)]
    pub price_usd: f64,
    /// What one call takes, in tokens of a language model.
    #[serde(default)]
    pub price_tokens: u64,
}

/// The figures behind a candidate.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[non_exhaustive]
pub struct Figures {
    /// Of its document nearest to the intent, `[-1, 1]`, among those that the asker may know.
    pub cosine: Option<f64>,
    /// What that document is: `description`, `capability`, `example`.
    pub nearest: Option<String>,
    /// The words that these documents share with the intent, as they are indexed.
    pub shared_terms: Vec<String>,
    /// Of the decision head, before calibration, `[0, 1]`.
    pub probability: f64,
}

impl From<Record> for Standing {
    fn from(record: Record) -> Self {
        Self { available: true, open_tasks: record.open, success: record.success(), ..Self::default() }
    }
}
