//! Compacts the journal: what is older than the retention, and needed by nobody, is forgotten.

use std::collections::BTreeSet;

use super::engine::Engine;
use super::error::Result;
use crate::delivery;
use crate::id::Seq;
use crate::journal;

/// Entries looked at, and forgotten in one transaction, at most.
const AT_ONCE: usize = 1000;
const DAY_MS: i64 = 24 * 60 * 60 * 1000;

impl Engine {
    /// Forgets entries of the journal from before the retention (`journal_days` of its options), and gives how
    /// many. What stays: the last change of each path then, each change whose bytes are still kept, what a snapshot or a
    /// consumer group needs, what a webhook that is active has not been told of or still lists, and everything since.
    ///
    /// # Errors
    /// Where the catalog or the blobs can't be read or written.
    pub fn compact_journal(&self) -> Result<usize> {
        if self.journal_days == 0 {
            return Ok(0);
        }
        let cutoff_ms = self.clock.now_ms() - i64::from(self.journal_days) * DAY_MS;
        // Readers are told of a gap before there is one.
        journal::note_compacted(&self.catalog, cutoff_ms)?;
        let waiting = self.waiting_for_delivery()?;
        let (mut cursor, mut forgotten) = (Seq(0), 0);
        loop {
            let old = journal::old_entries(&self.catalog, cutoff_ms, cursor, AT_ONCE)?;
            let Some(last) = old.last() else { return Ok(forgotten) };
            cursor = last.seq;
            let mut unneeded = Vec::with_capacity(old.len());
            for entry in old {
                let is_kept = match entry.version {
                    Some(version) => self.blobs.has(version)?,
                    None => false,
                };
                if !is_kept && !waiting.hold(entry.seq) {
                    unneeded.push(entry.seq);
                }
            }
            if !unneeded.is_empty() {
                self.catalog.write(|tx| tx.forget_entries(&unneeded))?;
                forgotten += unneeded.len();
            }
        }
    }

    fn waiting_for_delivery(&self) -> Result<Waiting> {
        let endpoints = delivery::endpoints(&self.catalog)?;
        let active = endpoints.iter().filter(|endpoint| endpoint.is_active());
        let told_up_to = active.map(|endpoint| endpoint.cursor).min().unwrap_or(Seq(u64::MAX));
        Ok(Waiting { told_up_to, listed: delivery::listed(&self.catalog)? })
    }
}

/// What webhooks still need of the journal.
struct Waiting {
    /// So far all active ones are.
    told_up_to: Seq,
    /// Events that have a delivery: it may be tried again.
    listed: BTreeSet<Seq>,
}

impl Waiting {
    fn hold(&self, seq: Seq) -> bool {
        seq > self.told_up_to || self.listed.contains(&seq)
    }
}
