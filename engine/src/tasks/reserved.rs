//! What was reserved for a task ends with it.

use super::queue::TaskState;
use super::rows::TaskRow;
use crate::budget::UsageReport;
use crate::catalog::{CatalogError, Tx};

/// Counts what a worker reports for a task, and ends its reservation where the task has come to its end: at what was
/// reported, else at its estimate, and for nothing where nobody ever had the task. To be called with the row as it will be,
/// before it is kept. Whether the report was counted.
///
/// # Errors
/// [`CatalogError::Sqlite`].
pub fn settle_reserved(
    tx: &Tx<'_>,
    row: &mut TaskRow,
    report: Option<UsageReport>,
    now_ms: i64,
) -> Result<bool, CatalogError> {
    let Some(id) = row.reservation.clone() else { return Ok(false) };
    let is_over = matches!(row.state, TaskState::Done | TaskState::Failed);
    if !is_over {
        let is_ok = row.state == TaskState::Review;
        return match report {
            Some(report) => tx.spend_on(&id, report, is_ok, now_ms),
            None => Ok(false),
        };
    }
    row.reservation = None;
    let is_ok = row.state == TaskState::Done;
    let was_had = row.attempts > 0 || report.is_some();
    if was_had || is_ok { tx.settle_reported(&id, report, is_ok, now_ms) } else { tx.release(&id, now_ms) }
}

/// Ends the reservation of a task that is no more: its file was taken away.
///
/// # Errors
/// [`CatalogError::Sqlite`].
pub fn drop_reserved(tx: &Tx<'_>, row: &TaskRow, now_ms: i64) -> Result<(), CatalogError> {
    let Some(id) = &row.reservation else { return Ok(()) };
    if row.attempts > 0 {
        tx.settle_reported(id, None, false, now_ms)?;
    } else {
        tx.release(id, now_ms)?;
    }
    Ok(())
}
