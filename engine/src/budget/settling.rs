//! Replaces what was reserved by what was used.
//!
//! A reservation whose deadline has passed counts as spent at its estimate, and is remembered for a while: whoever settles
//! it late puts it right.

use rusqlite::params;

use super::ledger::Line;
use super::plan::ChargeKind;
use super::reserving::Reserved;
use super::usage::{Usage, UsageReport};
use crate::catalog::{CatalogError, Tx};

impl Tx<'_> {
    /// Ends a reservation with what was really used, more or less than was estimated. Whether there was one to settle: a
    /// second settling changes nothing.
    ///
    /// # Errors
    /// [`CatalogError::Sqlite`].
    pub fn settle(&self, id: &str, used: Usage, is_ok: bool, now_ms: i64) -> Result<bool, CatalogError> {
        let Some(reserved) = self.reservation(id)? else { return Ok(false) };
        self.close(id, &reserved, used, is_ok, now_ms)?;
        Ok(true)
    }

    /// As [`Self::settle`], with what was reported; what was not is as it was estimated, unless something was spent on the
    /// reservation already.
    ///
    /// # Errors
    /// [`CatalogError::Sqlite`].
    pub fn settle_reported(
        &self,
        id: &str,
        report: Option<UsageReport>,
        is_ok: bool,
        now_ms: i64,
    ) -> Result<bool, CatalogError> {
        let Some(reserved) = self.reservation(id)? else { return Ok(false) };
        let used = match report {
            Some(report) => report.over(reserved.estimate),
            None if reserved.is_spent => return self.release(id, now_ms),
            None => reserved.estimate,
        };
        self.close(id, &reserved, used, is_ok, now_ms)?;
        Ok(true)
    }

    /// Counts a part of what a reservation is for as spent, and keeps the reservation for what follows: a task that is
    /// tried again takes as much again.
    ///
    /// # Errors
    /// [`CatalogError::Sqlite`].
    pub fn spend_on(
        &self,
        id: &str,
        report: UsageReport,
        is_ok: bool,
        now_ms: i64,
    ) -> Result<bool, CatalogError> {
        let Some(reserved) = self.reservation(id)? else { return Ok(false) };
        let used = minus(report.over(reserved.estimate), reserved.counted());
        for key in &reserved.counters {
            self.move_counter(key, used, [0; 4], now_ms)?;
        }
        self.count(id, &reserved, used, !is_ok, now_ms)?;
        self.sql().execute("UPDATE reservations SET spent = 1 WHERE id = ?1", [id])?;
        Ok(true)
    }

    /// Gives back what is reserved: nothing happened, or nothing more.
    ///
    /// # Errors
    /// [`CatalogError::Sqlite`].
    pub fn release(&self, id: &str, now_ms: i64) -> Result<bool, CatalogError> {
        let Some(reserved) = self.reservation(id)? else { return Ok(false) };
        self.close(id, &reserved, Usage::default(), true, now_ms)?;
        Ok(true)
    }

    fn close(
        &self,
        id: &str,
        reserved: &Reserved,
        used: Usage,
        is_ok: bool,
        now_ms: i64,
    ) -> Result<(), CatalogError> {
        let more = minus(used, reserved.counted());
        let back = minus(Usage::default(), reserved.held());
        for key in &reserved.counters {
            self.move_counter(key, more, back, now_ms)?;
        }
        self.count(id, reserved, more, !is_ok, now_ms)?;
        self.sql().prepare_cached("DELETE FROM reservations WHERE id = ?1")?.execute([id])?;
        Ok(())
    }

    /// Writes down what was spent: in the ledger, and with the handover that it was reserved for.
    fn count(
        &self,
        id: &str,
        reserved: &Reserved,
        used: [i64; 4],
        has_failed: bool,
        now_ms: i64,
    ) -> Result<(), CatalogError> {
        self.add_to_ledger(&line(reserved), used, i64::from(has_failed))?;
        if reserved.kind == ChargeKind::Dispatch.as_str() {
            self.add_to_handover(id, used, now_ms)?;
        }
        Ok(())
    }

    /// Counts an estimate as spent, for nobody has settled it in time.
    pub(super) fn orphan(&self, id: &str, now_ms: i64) -> Result<(), CatalogError> {
        let Some(reserved) = self.reservation(id)?.filter(|reserved| !reserved.is_orphaned) else {
            return Ok(());
        };
        let used = if reserved.is_spent { [0; 4] } else { reserved.estimate.amounts() };
        let back = minus(Usage::default(), reserved.estimate);
        for key in &reserved.counters {
            self.move_counter(key, used, back, now_ms)?;
        }
        self.count(id, &reserved, used, false, now_ms)?;
        self.sql().execute("UPDATE reservations SET state = 'orphaned' WHERE id = ?1", params![id])?;
        Ok(())
    }
}

fn line(reserved: &Reserved) -> Line<'_> {
    Line { principal: &reserved.principal, day: reserved.day, kind: &reserved.kind, target: &reserved.target }
}

fn minus(a: Usage, b: Usage) -> [i64; 4] {
    let (a, b) = (a.amounts(), b.amounts());
    std::array::from_fn(|idx| a[idx] - b[idx])
}
