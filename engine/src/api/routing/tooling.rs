//! Tools as entries: what routing takes from them, and how they are found.

use std::sync::atomic::Ordering;

use super::super::engine::Engine;
use super::super::error::Result;
use super::super::session::Session;
use super::super::tools::ToolDocument;
use super::replies::Standing;
use crate::catalog::CatalogError;
use crate::route::{Entry, EntryKind, Intent, Scored};

/// Arguments that speak for a tool at most.
const MAX_ARGUMENTS: usize = 12;
/// What has less than this share of the best one's is not worth showing.
const WORTH: f64 = 0.01;

impl Engine {
    /// Takes up what has changed about tools since it was last looked.
    pub(super) fn sync_tools(&self) -> Result<()> {
        let generation = self.toolbox.generation();
        if self.routing.tools.load(Ordering::Acquire) == generation {
            return Ok(());
        }
        let used = self.tools_in_use();
        let now_ms = self.clock.now_ms();
        self.change_entries(|tx| -> std::result::Result<(), CatalogError> {
            for id in tx.route_ids(EntryKind::Tool)? {
                if used.iter().all(|tool| tool.id.as_str() != id) {
                    tx.end_route_entry(EntryKind::Tool, &id, now_ms)?;
                }
            }
            for tool in &used {
                let known = tx.route_entry(EntryKind::Tool, tool.id.as_str())?;
                let learned = known.map(|entry| entry.learned).unwrap_or_default();
                tx.put_route_entry(&Entry { learned, ..entry_of(tool) }, now_ms)?;
            }
            Ok(())
        })?;
        self.routing.tools.store(generation, Ordering::Release);
        Ok(())
    }
}

impl Session {
    /// How a tool stands: whether its server answers, how its calls went (one's own, or all for who manages the home), what
    /// one costs. One that was declared is called elsewhere, where nobody knows here whether it answers: it counts as being
    /// there.
    pub(super) fn tool_standing(&self, id: &str) -> Standing {
        let Some(health) = self.engine.tool_health(id) else { return Standing::default() };
        let by = (!self.is_admin()).then_some(self.actor.principal.as_str());
        let (went_well, calls) = self.engine.tool_record(id, by);
        let available = health.available || self.engine.is_declared(id);
        Standing {
            available,
            unavailable: (!available).then(|| "its server is not connected".to_owned()),
            success: (went_well + 1) as f64 / (calls + 2) as f64,
            price_usd: self.engine.price_of(id).unwrap_or_default(),
            ..Standing::default()
        }
    }

    /// The ids of the tools that a query is about, best first, of those that this principal may call.
    pub(in crate::api) fn rank_tools(&self, query: &str) -> Result<Vec<String>> {
        let router = self.router(&[EntryKind::Tool].into())?;
        let intent = self.engine.read_intent(query)?;
        let parts: Vec<Intent> = self.engine.read_parts(query)?;
        let id = |place: usize| router.entries()[place].entry.id.clone();
        if !parts.is_empty() {
            return Ok(router.together(&intent, &parts).into_iter().map(id).collect());
        }
        let ranking = router.rank(&intent);
        let best = ranking.scored.first().map_or(0.0, |scored| scored.probability);
        // Without a model only words speak, and who shares none says nothing.
        let speaks = |scored: &&Scored| intent.features.is_some() || scored.likeness > 0.0;
        let worth = ranking.scored.iter().filter(|scored| scored.probability >= WORTH * best).filter(speaks);
        Ok(worth.map(|scored| id(scored.entry)).collect())
    }
}

/// What routing takes from a tool. Everything that is said of it was approved.
fn entry_of(tool: &ToolDocument) -> Entry {
    let arguments: Vec<String> = tool
        .arguments
        .iter()
        .take(MAX_ARGUMENTS)
        .map(|argument| match argument.description.as_str() {
            "" => argument.name.clone(),
            description => format!("{} ({description})", argument.name),
        })
        .collect();
    let takes = (!arguments.is_empty()).then(|| format!("takes {}", arguments.join(", ")));
    Entry {
        kind: EntryKind::Tool,
        id: tool.id.to_string(),
        name: tool.title.clone().unwrap_or_else(|| tool.name.clone()),
        description: tool.description.clone(),
        capabilities: takes.into_iter().collect(),
        examples: tool.examples.clone(),
        counterexamples: Vec::new(),
        learned: Vec::new(),
    }
}
