//! Budgets: who may spend how much, what is about to be spent, and what was.

use std::sync::Arc;

use serde::Serialize;
use serde_json::{Map, Value};

use super::engine::Engine;
use super::error::Result;
use super::keys::fresh_id;
use super::session::Session;
use crate::access::{ADMIN, AccessError, Policy, Verb};
use crate::budget::{
    self, Asker, Budget, BudgetError, Charge, ChargeKind, Counter, Exceeded, Outcome as Asked, Period,
    TargetPattern, Unit, Usage, UsageReport, WARN_SHARE, day_of,
};
use crate::catalog::{CatalogError, Tx};
use crate::clock::rfc3339;
use crate::id::WorkspaceId;
use crate::journal::{EventKind, NewEvent, Outcome};

/// Room for a charge, until it is settled or its deadline passes. It does nothing when it goes: what is forgotten counts
/// as spent at the deadline.
#[must_use = "what is reserved is to be settled or released"]
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reservation {
    /// `rs_…`: who settles it later needs only this.
    pub id: String,
    /// What it holds.
    pub estimate: Usage,
    /// Milliseconds since 1970.
    pub deadline_ms: i64,
}

/// A budget, with what was counted of it for who asks.
#[derive(Debug, Clone, PartialEq, Serialize, schemars::JsonSchema)]
pub struct BudgetInfo {
    /// `bg_…`.
    pub id: String,
    /// A principal, a group whose members share it, or `*`, which each principal has alone.
    pub holder: String,
    /// `{"tool": PATTERN}` or `{"agent": PATTERN}`; null: every act.
    pub target: Option<TargetPattern>,
    /// `day` (UTC) or `trace`.
    pub period: Period,
    /// By unit: `usd` as a decimal text, `tokens`, `calls`, `bytes` as numbers.
    pub limits: Map<String, Value>,
    /// For people.
    pub note: String,
    /// What was counted.
    pub state: BudgetState,
    /// Whether it was new where it was just put.
    #[serde(skip)]
    pub created: bool,
}

/// What was counted of a budget in its period.
#[derive(Debug, Clone, PartialEq, Serialize, schemars::JsonSchema)]
pub struct BudgetState {
    /// Spent, by limited unit.
    pub used: Map<String, Value>,
    /// About to be spent, by limited unit.
    pub reserved: Map<String, Value>,
    /// Neither, by limited unit.
    pub left: Map<String, Value>,
    /// When it begins anew, RFC 3339; null: never.
    pub resets_at: Option<String>,
    /// Units of which [`WARN_SHARE`] percent are gone.
    pub warnings: Vec<Unit>,
}

impl BudgetInfo {
    fn new(budget: &Budget, counter: &Counter, day: i64) -> Self {
        let by_unit = |amount: &dyn Fn(Unit, u64) -> u64| {
            let each = budget.limits.each();
            each.map(|(unit, limit)| (unit.as_str().to_owned(), unit.json(amount(unit, limit)))).collect()
        };
        let taken = |unit| counter.used.of(unit).saturating_add(counter.reserved.of(unit));
        let is_short = |unit, limit: u64| {
            taken(unit) > 0 && taken(unit).saturating_mul(100) >= limit.saturating_mul(WARN_SHARE)
        };
        Self {
            id: budget.id.clone(),
            holder: budget.holder.clone(),
            target: budget.target.clone(),
            period: budget.period,
            limits: by_unit(&|_, limit| limit),
            note: budget.note.clone(),
            state: BudgetState {
                used: by_unit(&|unit, _| counter.used.of(unit)),
                reserved: by_unit(&|unit, _| counter.reserved.of(unit)),
                left: by_unit(&|unit, limit| limit.saturating_sub(taken(unit))),
                resets_at: budget.period.resets_ms(day).map(rfc3339),
                warnings: budget
                    .limits
                    .each()
                    .filter(|(unit, limit)| is_short(*unit, *limit))
                    .map(|(unit, _)| unit)
                    .collect(),
            },
            created: false,
        }
    }
}

impl Session {
    /// Makes room for what an act will take in every budget that binds it, or in none. Durable when it returns.
    ///
    /// # Errors
    /// [`BudgetError::Exceeded`] with the first budget that has no room.
    pub fn reserve(&self, charge: &Charge) -> Result<Reservation> {
        match self.engine.catalog.write(|tx| self.reserve_in(tx, charge))? {
            Ok(reservation) => Ok(reservation),
            Err(exceeded) => {
                let verb = if charge.kind == ChargeKind::Dispatch { Verb::Dispatch } else { Verb::Call };
                self.record("budget.reserve", verb, &charge.target, "", Outcome::Denied, &exceeded.budget)?;
                Err(BudgetError::Exceeded(exceeded).into())
            }
        }
    }

    /// As [`Self::reserve`], in the transaction of the act itself. Where there is no room the transaction still has to be
    /// committed, or nobody is told of it.
    pub(super) fn reserve_in(
        &self,
        tx: &Tx<'_>,
        charge: &Charge,
    ) -> std::result::Result<std::result::Result<Reservation, Box<Exceeded>>, CatalogError> {
        let policy = self.engine.policy();
        let id = fresh_id("rs");
        match tx.reserve(&id, &self.asker(&policy), &self.trace, charge, self.now_ms())? {
            Asked::Reserved { deadline_ms } => {
                Ok(Ok(Reservation { id, estimate: charge.estimate, deadline_ms }))
            }
            Asked::Exceeded(exceeded) => {
                if exceeded.is_first {
                    self.tell_exceeded(tx, &exceeded)?;
                }
                Ok(Err(exceeded))
            }
        }
    }

    /// Ends a reservation with what was really used: more or less than was estimated.
    ///
    /// # Errors
    /// Where the catalog can't be written; then it counts as spent at its deadline.
    pub fn settle(&self, reservation: Reservation, used: Usage, is_ok: bool) -> Result<()> {
        self.engine.settle_reservation(&reservation.id, used, is_ok).map(drop)
    }

    /// Gives back what was reserved for an act that did not happen.
    ///
    /// # Errors
    /// As [`Self::settle`].
    pub fn release(&self, reservation: Reservation) -> Result<()> {
        self.engine.release_reservation(&reservation.id).map(drop)
    }

    /// Counts what a worker reports for something that nobody had reserved for, against the worker's own budgets.
    pub(super) fn spend_in(
        &self,
        tx: &Tx<'_>,
        report: UsageReport,
        is_ok: bool,
        now_ms: i64,
    ) -> std::result::Result<(), CatalogError> {
        let policy = self.engine.policy();
        let charge = Charge::new(ChargeKind::Task, "tasks").estimate(report.over(Usage::call()));
        tx.spend(&self.asker(&policy), &self.trace, &charge, is_ok, now_ms)
    }

    /// Only this principal and the owner are told; for a budget of a group, that is who met its end first.
    fn tell_exceeded(&self, tx: &Tx<'_>, exceeded: &Exceeded) -> std::result::Result<(), CatalogError> {
        let data = serde_json::json!({
            "budget": exceeded.budget,
            "holder": exceeded.holder,
            "period": exceeded.period,
            "unit": exceeded.unit,
            "limit": exceeded.unit.json(exceeded.limit),
            "resets_at": exceeded.resets_ms.map(rfc3339),
        });
        tx.append_event(&NewEvent {
            kind: EventKind::BudgetExceeded,
            workspace: WorkspaceId(0),
            path: "",
            data: Some(&data.to_string()),
            actor: &self.actor.principal,
            trace: Some(self.cause()),
            occurred_ms: self.now_ms(),
        })?;
        Ok(())
    }

    fn asker<'a>(&'a self, policy: &'a Policy) -> Asker<'a> {
        asker(&self.actor.principal, policy)
    }

    /// The budgets that bind this principal, by id; all for the admin.
    ///
    /// # Errors
    /// Where the catalog can't be read.
    pub fn budgets(&self) -> Result<Vec<BudgetInfo>> {
        self.engine.settle_overdue()?;
        self.record("budget.list", Verb::Admin, "/", "", Outcome::Allowed, "scope")?;
        let (policy, is_admin) = (self.engine.policy(), self.is_admin());
        let budgets = if is_admin {
            budget::budgets(&self.engine.catalog)?
        } else {
            budget::budgets_of(&self.engine.catalog, &self.asker(&policy))?
        };
        budgets.iter().map(|budget| self.show_budget(budget, &self.actor.principal)).collect()
    }

    /// The budgets that bind this principal itself, whatever else it may see.
    ///
    /// # Errors
    /// Where the catalog can't be read.
    pub fn own_budgets(&self) -> Result<Vec<BudgetInfo>> {
        let policy = self.engine.policy();
        let budgets = budget::budgets_of(&self.engine.catalog, &self.asker(&policy))?;
        budgets.iter().map(|budget| self.show_budget(budget, &self.actor.principal)).collect()
    }

    /// One budget; the admin may ask how it stands with another principal, which matters for one that everybody has alone.
    ///
    /// # Errors
    /// [`BudgetError::NotFound`], also for one that does not bind who asks; [`Error::Forbidden`](super::error::Error::Forbidden) for asking about others.
    pub fn budget(&self, id: &str, principal: Option<&str>) -> Result<BudgetInfo> {
        let principal = principal.unwrap_or(&self.actor.principal);
        if principal != self.actor.principal {
            self.require_admin("budget.read", principal)?;
        }
        self.engine.settle_overdue()?;
        let policy = self.engine.policy();
        let is_admin = self.is_admin();
        let found = budget::budget(&self.engine.catalog, id)?;
        let seen = found.filter(|budget| is_admin || budget.binds_somehow(&self.asker(&policy)));
        let absent = || BudgetError::NotFound { id: id.chars().take(80).collect() }.into();
        let budget = self.note_failure("budget.read", Verb::Admin, id, seen.ok_or_else(absent))?;
        self.record("budget.read", Verb::Admin, id, "", Outcome::Allowed, "scope")?;
        self.show_budget(&budget, principal)
    }

    /// What the budgets that bind this principal have room for now.
    pub(super) fn room(&self) -> Result<Room> {
        let (policy, day) = (self.engine.policy(), day_of(self.now_ms()));
        let budgets = budget::budgets_of(&self.engine.catalog, &self.asker(&policy))?;
        let count = |budget: Budget| -> Result<(Budget, Counter)> {
            let principal = &self.actor.principal;
            let counter = budget::counter(&self.engine.catalog, &budget, principal, day, &self.trace)?;
            Ok((budget, counter))
        };
        let counted = budgets.into_iter().map(count).collect::<Result<_>>()?;
        Ok(Room { principal: self.actor.principal.clone(), policy, counted, day })
    }

    fn show_budget(&self, budget: &Budget, principal: &str) -> Result<BudgetInfo> {
        let day = day_of(self.now_ms());
        let counter = budget::counter(&self.engine.catalog, budget, principal, day, &self.trace)?;
        Ok(BudgetInfo::new(budget, &counter, day))
    }

    /// Adds a budget; of one with the same holder, target and period the limits that are given change, the
    /// others and what was counted stay: nobody loosens a limit by setting another one.
    ///
    /// # Errors
    /// [`Error::Forbidden`](super::error::Error::Forbidden) for all but the admin; [`AccessError::NotFound`] for a holder that is not known;
    /// [`BudgetError::TooMany`].
    pub fn put_budget(&self, budget: &Budget) -> Result<BudgetInfo> {
        let rule = self.require_admin("budget.put", &budget.id)?;
        let policy = self.engine.policy();
        let is_known = matches!(budget.holder.as_str(), "*" | ADMIN)
            || policy.principals.contains_key(&budget.holder)
            || policy.groups.contains_key(&budget.holder);
        let is_new = budget::budget(&self.engine.catalog, &budget.id)?.is_none();
        let put = self.engine.catalog.write(|tx| -> Result<()> {
            if !is_known {
                let id = budget.holder.chars().take(80).collect();
                return Err(AccessError::NotFound { what: "principal or group", id }.into());
            }
            tx.put_budget(budget, self.now_ms())?;
            Ok(self.record_in(tx, "budget.put", Verb::Admin, &budget.id, "", &rule)?)
        });
        self.note_failure("budget.put", Verb::Admin, &budget.id, put)?;
        // With the limits that it had before.
        let whole = budget::budget(&self.engine.catalog, &budget.id)?;
        let shown = self.show_budget(whole.as_ref().unwrap_or(budget), &self.actor.principal)?;
        Ok(BudgetInfo { created: is_new, ..shown })
    }

    /// Takes a budget away.
    ///
    /// # Errors
    /// [`Error::Forbidden`](super::error::Error::Forbidden) for all but the admin; [`BudgetError::NotFound`].
    pub fn remove_budget(&self, id: &str) -> Result<()> {
        let rule = self.require_admin("budget.remove", id)?;
        let removed = self.engine.catalog.write(|tx| -> Result<()> {
            tx.remove_budget(id)?;
            Ok(self.record_in(tx, "budget.remove", Verb::Admin, id, "", &rule)?)
        });
        self.note_failure("budget.remove", Verb::Admin, id, removed)
    }
}

/// What one principal's budgets have room for, as of one instant. Nothing is reserved by looking.
pub(super) struct Room {
    principal: String,
    policy: Arc<Policy>,
    counted: Vec<(Budget, Counter)>,
    day: i64,
}

impl Room {
    /// The budget that has no room for a charge, if one has none.
    pub(super) fn refusal(&self, charge: &Charge) -> Option<Box<Exceeded>> {
        let asker = asker(&self.principal, &self.policy);
        let mut binding =
            self.counted.iter().filter(|(budget, _)| budget.binds(&asker, charge.kind, &charge.target));
        binding.find_map(|(budget, counter)| budget.check(counter, charge, self.day).err())
    }
}

fn asker<'a>(principal: &'a str, policy: &'a Policy) -> Asker<'a> {
    let groups = policy.groups.iter().filter(|(_, members)| members.contains(principal));
    Asker { principal, groups: groups.map(|(group, _)| group.as_str()).collect() }
}

impl Engine {
    /// As [`Session::settle`], by the reservation's id, for what ends long after it began. Whether there was one: a second
    /// settling changes nothing. One whose deadline has passed is put right.
    ///
    /// # Errors
    /// Where the catalog can't be written.
    pub fn settle_reservation(&self, id: &str, used: Usage, is_ok: bool) -> Result<bool> {
        let now_ms = self.clock.now_ms();
        self.catalog.write(|tx| Ok(tx.settle(id, used, is_ok, now_ms)?))
    }

    /// As [`Session::release`], by the reservation's id.
    ///
    /// # Errors
    /// Where the catalog can't be written.
    pub fn release_reservation(&self, id: &str) -> Result<bool> {
        let now_ms = self.clock.now_ms();
        self.catalog.write(|tx| Ok(tx.release(id, now_ms)?))
    }

    /// Counts reservations as spent whose deadline has passed.
    ///
    /// # Errors
    /// Where the catalog can't be read or written.
    pub fn settle_overdue(&self) -> Result<()> {
        let now_ms = self.clock.now_ms();
        while budget::has_overdue(&self.catalog, now_ms)?
            && self.catalog.write(|tx| -> Result<bool> { Ok(tx.orphan_overdue(now_ms)?) })?
        {}
        Ok(())
    }

    /// Forgets old counters, rows of the ledger, traces and kept replies.
    ///
    /// # Errors
    /// Where the catalog can't be written.
    pub fn prune_counted(&self) -> Result<()> {
        let now_ms = self.clock.now_ms();
        self.catalog.write(|tx| -> Result<()> {
            tx.prune_budgets(now_ms)?;
            tx.prune_traces(now_ms)?;
            tx.prune_kept_replies(now_ms)?;
            Ok(())
        })
    }
}
