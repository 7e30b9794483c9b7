//! What goes with a principal: everything that would act in its name, or hold something for it, once it is forgotten. Its
//! files, its memory and its lessons stay, for they were done.

use super::approvals::read_act;
use super::error::Result;
use super::session::Session;
use crate::access::ApprovalState;
use crate::catalog::Tx;

impl Session {
    /// Ends what a principal that is forgotten in this transaction left behind: who is made under the same id later inherits
    /// no webhook, no lock, no task, no request at a gate and no kept answer.
    pub(super) fn part_with(&self, tx: &Tx<'_>, id: &str) -> Result<()> {
        let now_ms = self.now_ms();
        tx.remove_webhooks_of(id)?;
        tx.end_leases_of(id, now_ms)?;
        tx.release_locks_of(id)?;
        tx.forget_replies_of(id)?;
        let by = &self.actor.principal;
        for approval in tx.pending_approvals_of(id)? {
            // What the house asked about a task or a trace is not the principal's own.
            if read_act(&approval).is_ok_and(|act| !act.is_of_the_house()) {
                let reason = Some("its requester is gone");
                tx.decide_approval(&approval.id, ApprovalState::Stale, by, reason, now_ms)?;
            }
        }
        Ok(())
    }
}
