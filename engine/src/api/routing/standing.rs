//! How those stand who are able: whether they can take something now, how much lies before them, what they cost, and how
//! it went before.

use super::super::engine::Engine;
use super::super::error::Result;
use super::super::session::Session;
use super::replies::Standing;
use crate::budget::{Charge, ChargeKind, Usage};
use crate::cards;
use crate::route::{self, EntryKey, EntryKind, Ranking, Router, Scored};

/// Candidates whose standing is looked up at least, for one of them may do for the best.
const MIN_STANDINGS: usize = 8;

const HOUR_MS: i64 = 60 * 60 * 1000;

impl Standing {
    /// What counts among those that are equally able, larger is better: being there, having succeeded, little work, a low
    /// price. An open task weighs as much as 5 % of success, a cent as much as 1 %.
    pub(super) fn value(&self) -> f64 {
        let there = if self.available { 10.0 } else { 0.0 };
        there + self.success - 0.05 * f64::from(self.open_tasks) - self.price_usd
    }

    /// What asking it once takes, as far as is known.
    pub(super) fn charge(&self, (kind, id): &EntryKey) -> Charge {
        let kind = match kind {
            EntryKind::Agent => ChargeKind::Dispatch,
            EntryKind::Tool => ChargeKind::Tool,
        };
        let usd_micros = (self.price_usd * 1e6).round() as u64;
        Charge::new(kind, id).estimate(Usage { usd_micros, tokens: self.price_tokens, ..Usage::call() })
    }

    /// What of it is worth telling.
    pub(super) fn told(&self) -> Vec<String> {
        let mut told = Vec::new();
        if let Some(reason) = &self.unavailable {
            told.push(format!("not available: {reason}"));
        }
        if self.open_tasks > 0 {
            told.push(format!("{} open", self.open_tasks));
        }
        if (self.success - 0.5).abs() > f64::EPSILON {
            told.push(format!("{:.0} % success", 100.0 * self.success));
        }
        if self.price_usd > 0.0 {
            told.push(format!("{} USD a call", self.price_usd));
        }
        told
    }
}

impl Engine {
    /// How one entry stands.
    pub(super) fn standing(&self, key: &EntryKey) -> Result<Standing> {
        match key.0 {
            EntryKind::Agent => self.agent_standing(&key.1),
            EntryKind::Tool => Ok(self.tool_standing(&key.1)),
        }
    }

    fn agent_standing(&self, id: &str) -> Result<Standing> {
        let mut standing = Standing::from(route::record_of(&self.catalog, id)?);
        let Some(row) = cards::agent(&self.catalog, id)? else { return Ok(standing) };
        standing.price_usd = row.card.price.usd_micros as f64 / 1e6;
        standing.price_tokens = row.card.price.tokens;
        if row.card.max_open_tasks.is_some_and(|max| standing.open_tasks >= max) {
            standing.available = false;
            standing.unavailable =
                Some(format!("{} tasks lie before it, as many as it takes", standing.open_tasks));
        }
        if let Some(max) = row.card.tasks_per_hour {
            let handed = route::handed_since(&self.catalog, id, self.clock.now_ms() - HOUR_MS)?;
            if handed >= max {
                standing.available = false;
                standing.unavailable =
                    Some(format!("it was handed {handed} tasks this hour, as many as it takes"));
            }
        }
        Ok(standing)
    }
}

impl Session {
    /// How the first candidates stand for this principal, in their order.
    pub(super) fn standings(
        &self,
        router: &Router,
        ranking: &Ranking,
        limit: usize,
    ) -> Result<Vec<Standing>> {
        let room = self.room()?;
        let best = ranking.scored.iter().take(limit.max(MIN_STANDINGS));
        let standing = |scored: &Scored| -> Result<Standing> {
            let key = router.entries()[scored.entry].entry.key();
            let mut standing = self.engine.standing(&key)?;
            if let Some(exceeded) = room.refusal(&standing.charge(&key)) {
                standing.available = false;
                standing.unavailable = Some(format!("budget `{}` has no room for it", exceeded.budget));
            }
            Ok(standing)
        };
        best.map(standing).collect()
    }
}
