//! How those stand who are able: whether they can take something now, how much lies before them, what they cost, and how
//! it went before. All of that as far as who asks may know: who may read an agent's inbox knows of all that lies there, and
//! anybody else of what it handed over itself.

use super::super::error::Result;
use super::super::session::Session;
use super::agents::inbox_of;
use super::replies::Standing;
use crate::access::Verb;
use crate::budget::{Charge, ChargeKind, Exceeded, Usage};
use crate::cards::{self, AgentRow};
use crate::clock::rfc3339;
use crate::pattern::Pattern;
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

impl Session {
    /// How one entry stands.
    pub(super) fn standing(&self, key: &EntryKey) -> Result<Standing> {
        match key.0 {
            EntryKind::Agent => self.agent_standing(&key.1),
            EntryKind::Tool => Ok(self.tool_standing(&key.1)),
        }
    }

    fn agent_standing(&self, id: &str) -> Result<Standing> {
        let catalog = &self.engine.catalog;
        let row = cards::agent(catalog, id)?;
        let knows_all = row.as_ref().is_some_and(|row| self.sees_inbox(row));
        let by = (!knows_all).then_some(self.actor.principal.as_str());
        let mut standing = Standing::from(route::record_of(catalog, id, by)?);
        let Some(row) = row else { return Ok(standing) };
        standing.price_usd = row.card.price.usd_micros as f64 / 1e6;
        standing.price_tokens = row.card.price.tokens;
        if row.card.limits.max_open_tasks.is_some_and(|max| standing.open_tasks >= max) {
            standing.available = false;
            standing.unavailable =
                Some(format!("{} tasks lie before it, as many as it takes", standing.open_tasks));
        }
        if let Some(max) = row.card.limits.tasks_per_hour {
            let (handed, first_ms) = route::handed_since(catalog, id, by, self.now_ms() - HOUR_MS)?;
            if handed >= max {
                standing.available = false;
                let again = first_ms
                    .map(|first_ms| format!("; there is room again at {}", rfc3339(first_ms + HOUR_MS)));
                standing.unavailable = Some(format!(
                    "it was handed {handed} tasks in an hour, as many as it takes{}",
                    again.unwrap_or_default()
                ));
            }
        }
        Ok(standing)
    }

    /// Whether all that lies before an agent may be known to this principal.
    fn sees_inbox(&self, agent: &AgentRow) -> bool {
        let reads_all = |folder: String| self.scope(Verb::Read).holds_all(&Pattern::literal(&folder, true));
        self.is_admin() || inbox_of(&agent.id, &agent.card).is_ok_and(reads_all)
    }

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
            let mut standing = self.standing(&key)?;
            let exceeded = room.refusal(&standing.charge(&key)).filter(|_| standing.available);
            if let Some(exceeded) = exceeded {
                standing.available = false;
                standing.over_budget = true;
                standing.unavailable = Some(no_room(&exceeded));
            }
            Ok(standing)
        };
        best.map(standing).collect()
    }
}

/// Why a budget lets nothing through, in words.
pub(in crate::api) fn no_room(exceeded: &Exceeded) -> String {
    let again = exceeded.resets_ms.map(|resets_ms| format!("; it resets at {}", rfc3339(resets_ms)));
    format!("budget `{}` has no room for it{}", exceeded.budget, again.unwrap_or_default())
}
