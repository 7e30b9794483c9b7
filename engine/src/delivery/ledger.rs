//! What has to be written down, and the one who writes it: many entries in one transaction, none of which is waited for
//! but by whoever reads them back.

use std::time::Duration;

use super::DeliveryError;
use super::courier::Post;
use super::office::State;
use super::records::Delivery;
use crate::catalog::{Catalog, Tx};
use crate::id::{Seq, WorkspaceId};
use crate::journal::{EventKind, NewEvent};

/// Entries are written together, so long after each other: what a kill makes be brought twice is what was sent meanwhile.
const LEDGER_PACE: Duration = Duration::from_millis(15);
/// A full disk is tried again after so long.
const LEDGER_PATIENCE: Duration = Duration::from_secs(1);

/// Something to write down.
#[derive(Debug, Clone)]
pub enum Entry {
    /// Where a delivery stands now.
    Delivery(Box<Delivery>),
    /// An endpoint is left alone from now on.
    Pause {
        /// Which.
        webhook: String,
        /// Whose.
        owner: String,
        /// Why.
        reason: String,
        /// When, in milliseconds since 1970.
        at_ms: i64,
    },
}

/// How far an endpoint is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// Which endpoint.
    pub webhook: String,
    /// Up to here everything is finished or has a row.
    pub cursor: Seq,
    /// Since when it only failed.
    pub failing_since_ms: Option<i64>,
}

/// Writes entries down, and then the places, which stand on them. It is not synced: what a loss of power undoes is brought
/// again.
///
/// # Errors
/// [`DeliveryError::Catalog`]; nothing is written then.
fn write(catalog: &Catalog, entries: &[Entry], places: &[Place]) -> Result<(), DeliveryError> {
    let ((), unsynced) = catalog.write_unsynced(|tx| {
        places.iter().try_for_each(|place| {
            tx.advance_endpoint(&place.webhook, place.cursor, place.failing_since_ms)
        })?;
        entries.iter().try_for_each(|entry| write_entry(tx, entry))
    })?;
    if entries.iter().any(|entry| matches!(entry, Entry::Pause { .. })) {
        catalog.sync(unsynced)?;
    }
    Ok(())
}

fn write_entry(tx: &Tx<'_>, entry: &Entry) -> Result<(), DeliveryError> {
    match entry {
        Entry::Delivery(delivery) => tx.put_delivery(delivery),
        Entry::Pause { webhook, owner, reason, at_ms } => {
            if tx.pause_endpoint(webhook, reason)? {
                let data = serde_json::json!({"webhook": webhook, "reason": reason}).to_string();
                // It belongs to no workspace, and to its owner alone.
                tx.append_event(&NewEvent {
                    kind: EventKind::WebhookPaused,
                    workspace: WorkspaceId(0),
                    path: "",
                    data: Some(&data),
                    actor: owner,
                    trace: None,
                    occurred_ms: *at_ms,
                })?;
            }
            Ok(())
        }
    }
}

impl Post {
    /// Leaves entries to be written down.
    pub(super) fn enter(&self, state: &mut State, entries: Vec<Entry>) {
        if !entries.is_empty() {
            state.n_entries += entries.len() as u64;
            state.entries.extend(entries);
            self.office.for_ledger.notify_one();
        }
    }

    /// Writes down what is entered, until the end.
    pub(super) fn write_down(&self) {
        loop {
            let (entries, places) = {
                let state = self.office.lock();
                let idle = |state: &mut State| state.entries.is_empty() && !state.ended && !state.has_moved();
                let mut state = self
                    .office
                    .for_ledger
                    .wait_while(state, idle)
                    .unwrap_or_else(|poisoned| poisoned.into_inner());
                if state.ended && state.entries.is_empty() {
                    return;
                }
                (std::mem::take(&mut state.entries), state.places())
            };
            self.write_until_done(&entries, &places);
            self.office.lock().n_written += entries.len() as u64;
            self.office.written.notify_all();
            self.office.for_sender.notify_one();
            // Others that end meanwhile are written together.
            std::thread::sleep(LEDGER_PACE);
        }
    }

    fn write_until_done(&self, entries: &[Entry], places: &[Place]) {
        while let Err(error) = write(&self.catalog, entries, places) {
            tracing::warn!(%error, "deliveries can't be written down; it is tried again");
            if self.office.lock().ended {
                // They are brought again after the next start.
                return;
            }
            std::thread::sleep(LEDGER_PATIENCE);
        }
    }
}
