use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde::Serialize;

use crate::registry::Trust;

/// What the operator says of a server of tools.
#[derive(Debug, Clone, PartialEq)]
pub struct ToolServer {
    /// Of a-z, 0-9, `_` and `-`; the first part of its tools' ids.
    pub name: String,
    /// Whether what it lists first is approved.
    pub trust: Trust,
    /// Tools that are listed among our own, by their own names.
    pub pinned: BTreeSet<String>,
    /// What a call costs.
    pub usd_per_call: Option<f64>,
    /// For one call.
    pub timeout: Duration,
    /// Of a result.
    pub max_result_bytes: usize,
    /// What is otherwise for single tools, by their own names.
    pub tools: BTreeMap<String, ToolOverride>,
}

impl ToolServer {
    /// With every setting at its default.
    pub fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            trust: Trust::First,
            pinned: BTreeSet::new(),
            usd_per_call: None,
            timeout: Duration::from_secs(60),
            max_result_bytes: 1 << 20,
            tools: BTreeMap::new(),
        }
    }
}

/// What is otherwise for one tool than for its server's others.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ToolOverride {
    /// What a call costs.
    pub usd_per_call: Option<f64>,
    /// Intents for which it is right.
    pub examples: Vec<String>,
    /// For one call.
    pub timeout: Option<Duration>,
}

/// Where a server stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ServerState {
    /// Nobody connects to it in this process.
    #[default]
    Idle,
    /// It is being connected to.
    Connecting,
    /// It answers.
    Ready,
    /// It does not, and is tried again later.
    Down,
}

/// How a server is, in this process.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, schemars::JsonSchema)]
pub struct ServerHealth {
    /// Where it stands.
    pub state: ServerState,
    /// Of a server that was started here.
    pub pid: Option<u32>,
    /// How often it was connected to after the first time.
    pub restarts: u32,
    /// The version of the protocol.
    pub protocol: Option<String>,
    /// What went wrong last.
    pub last_error: Option<String>,
    /// Tools that it listed beyond those that are taken.
    pub left_out: usize,
}

/// A server, for the home's owner.
#[derive(Debug, Clone, Serialize, schemars::JsonSchema)]
pub struct ServerInfo {
    /// Its name.
    pub name: String,
    /// Whether what it lists first is approved.
    pub trust: Trust,
    /// How it is.
    #[serde(flatten)]
    pub health: ServerHealth,
    /// Tools in use.
    pub tools: usize,
    /// Tools that wait for a decision.
    pub quarantined: usize,
}
