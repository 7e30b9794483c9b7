use super::taking::{QUARANTINE, tell_home};
use crate::access::{self, Approval, ApprovalState, Kind, Target, Verb, kind_of};
use crate::api::error::{Error, Result};
use crate::api::session::Session;
use crate::catalog::Tx;
use crate::journal::{EventKind, Outcome};
use crate::registry::{ToolId, ToolRow, ToolState};

/// A decision about one state of a tool.
struct Verdict<'a> {
    hash: &'a str,
    approval: Option<&'a Approval>,
    grant: bool,
    reason: Option<&'a str>,
    rule: &'a str,
}

impl Session {
    /// Takes a tool that is set aside as it is now, or refuses it. Only people and services decide, with `approve` on the
    /// tool; never an agent.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Forbidden`]; [`Error::ApprovalClosed`] for a tool that does not wait.
    pub fn settle_tool(&self, id: &str, grant: bool, reason: Option<&str>) -> Result<()> {
        let row = self.seen_tool("tool.approve", Verb::Approve, id)?;
        let proposed = row.proposed.as_ref().filter(|_| row.state == ToolState::Quarantined);
        let closed = || Error::ApprovalClosed { approval: id.to_owned(), state: row.state.as_str() };
        let hash = proposed.ok_or_else(closed)?.hash();
        let waiting = access::approvals(&self.engine.catalog)?.into_iter().find(|approval| {
            approval.state == ApprovalState::Pending && approval.gate == QUARANTINE && approval.path == id
        });
        let decided = self.decide_tool(&row.id, &hash, waiting.as_ref(), grant, reason);
        self.note_failure("tool.approve", Verb::Approve, id, decided)
    }

    /// Decides about the state of a tool that has this hash, in one transaction with the approval that asked for it.
    pub(in crate::api) fn decide_tool(
        &self,
        id: &ToolId,
        hash: &str,
        approval: Option<&Approval>,
        grant: bool,
        reason: Option<&str>,
    ) -> Result<()> {
        let policy = self.engine.policy();
        let decision = self.actor.decide(&policy, Verb::Approve, Target::Tool, id.as_str());
        let is_agent = kind_of(&self.actor.principal)? == Kind::Agent;
        if !decision.allowed || is_agent {
            let rule = if is_agent { "agents_do_not_approve" } else { decision.rule.as_str() };
            self.record("tool.approve", Verb::Approve, id.as_str(), hash, Outcome::Denied, rule)?;
            let (principal, path) = (self.actor.principal.clone(), id.to_string());
            return Err(Error::Forbidden { principal, verb: "approve", path });
        }
        let verdict = Verdict { hash, approval, grant, reason, rule: &decision.rule };
        let is_current = self.engine.catalog.write(|tx| self.write_verdict(tx, id, &verdict))?;
        self.engine.toolbox.reload(&self.engine.catalog)?;
        if is_current {
            return Ok(());
        }
        let approval = approval.map_or_else(|| id.to_string(), |approval| approval.id.clone());
        Err(Error::ApprovalClosed { approval, state: "stale" })
    }

    /// Whether the tool still was what was decided about; where it was not, the approval is closed and nothing else.
    fn write_verdict(&self, tx: &Tx<'_>, id: &ToolId, verdict: &Verdict<'_>) -> Result<bool> {
        let is_current =
            |row: &ToolRow| row.proposed.as_ref().is_some_and(|spec| spec.hash() == verdict.hash);
        let row = tx.tool(id.as_str())?.filter(is_current);
        self.close_asked(tx, verdict, row.is_some())?;
        let Some(mut row) = row else { return Ok(false) };
        let now_ms = self.now_ms();
        if verdict.grant {
            row.approve(&self.actor.principal, now_ms);
        } else {
            row.refused = Some(verdict.hash.to_owned());
            row.updated_ms = now_ms;
        }
        tx.put_tool(&row)?;
        let (action, kind) = if verdict.grant {
            ("tool.approve", EventKind::ApprovalGranted)
        } else {
            ("tool.refuse", EventKind::ApprovalDenied)
        };
        self.record_in(tx, action, Verb::Approve, id.as_str(), verdict.hash, verdict.rule)?;
        let asked = verdict.approval.map(|approval| approval.id.as_str());
        let data = serde_json::json!({"approval": asked, "tool": id}).to_string();
        tell_home(tx, kind, &data, &self.actor.principal, now_ms)?;
        Ok(true)
    }

    fn close_asked(&self, tx: &Tx<'_>, verdict: &Verdict<'_>, is_current: bool) -> Result<()> {
        let Some(approval) = verdict.approval else { return Ok(()) };
        let state = match (is_current, verdict.grant) {
            (false, _) => ApprovalState::Stale,
            (true, true) => ApprovalState::Granted,
            (true, false) => ApprovalState::Denied,
        };
        let by = self.actor.principal.as_str();
        if tx.decide_approval(&approval.id, state, by, verdict.reason, self.now_ms())? {
            return Ok(());
        }
        Err(Error::ApprovalClosed { approval: approval.id.clone(), state: "decided" })
    }
}
