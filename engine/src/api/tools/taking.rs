use super::servers::{ServerHealth, ToolServer};
use super::statistics::ToolHealth;
use super::toolbox::Known;
use crate::access::NewApproval;
use crate::api::approvals::GatedAct;
use crate::api::engine::Engine;
use crate::api::error::{Error, Result};
use crate::api::keys::fresh_id;
use crate::catalog::Tx;
use crate::id::WorkspaceId;
use crate::journal::{Act, EventKind, NewEvent, Outcome};
use crate::registry::{Change, MAX_TOOLS, ToolRow, ToolState, UpstreamTool, plan};

/// What stands before the use of a tool that nobody has approved as it is, in the place of a gate's id.
pub(super) const QUARANTINE: &str = "quarantine";

/// What became of a server's list.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TakenTools {
    /// Tools that were added or changed their state.
    pub changed: usize,
    /// Of the server's tools, those that wait for a decision.
    pub quarantined: usize,
    /// Tools beyond those that are taken.
    pub left_out: usize,
}

impl Engine {
    /// Says which servers of tools there are; tools of others are nobody's.
    pub fn set_tool_servers(&self, servers: Vec<ToolServer>) {
        self.toolbox.set_servers(servers);
    }

    /// Notes how a server is.
    pub fn set_server_health(&self, server: &str, health: ServerHealth) {
        self.toolbox.set_health(server, health);
    }

    /// How the calls of a tool have gone; `None` for a tool that is not known.
    pub fn tool_health(&self, id: &str) -> Option<ToolHealth> {
        let rows = self.toolbox.rows();
        rows.iter().find(|row| row.id.as_str() == id).map(|row| self.toolbox.health(row))
    }

    /// How many calls of a tool went well, of how many: those of one principal, or all.
    pub(in crate::api) fn tool_record(&self, id: &str, by: Option<&str>) -> (u64, u64) {
        let statistics = self.toolbox.statistics();
        let found = statistics.iter().find(|(tool, _)| tool.as_str() == id);
        found.map_or((0, 0), |(_, statistics)| statistics.record(by))
    }

    /// Calls `tell` whenever what somebody sees of the tools may have changed, by a listing, a decision or a grant; it
    /// must be quick.
    pub fn on_tools_changed(&self, tell: impl Fn() + Send + Sync + 'static) {
        self.toolbox.listen(Box::new(tell));
    }

    /// Takes a server's list of tools. What was never approved, or is not what was approved, is set aside with a request
    /// for approval; what is again as it was approved is used again.
    ///
    /// # Errors
    /// [`Error::NotFound`] for a server that the operator did not name; where the catalog can't be written.
    pub fn take_tools(&self, server: &str, seen: &[UpstreamTool]) -> Result<TakenTools> {
        let known = self.toolbox.server(server);
        let known = known.ok_or_else(|| Error::NotFound { what: "server", name: server.to_owned() })?;
        let now_ms = self.clock.now_ms();
        let taken = self.catalog.write(|tx| self.take_in_tools(tx, &known, seen, now_ms))?;
        if taken.changed > 0 {
            self.toolbox.reload(&self.catalog)?;
        }
        Ok(taken)
    }

    fn take_in_tools(
        &self,
        tx: &Tx<'_>,
        known: &Known,
        seen: &[UpstreamTool],
        now_ms: i64,
    ) -> Result<TakenTools> {
        let server = known.settings.name.as_str();
        let is_first = tx.note_tool_server(server, now_ms)?;
        let changes = plan(server, &tx.tools_under(server)?, seen, known.settings.trust, is_first);
        let changed = tx.change_tools(server, &changes, now_ms)?;
        for change in &changes {
            self.note_change(tx, server, change, now_ms)?;
        }
        let rows = tx.tools_of(server)?;
        let waiting = rows.iter().filter(|row| row.state == ToolState::Quarantined);
        waiting.clone().try_for_each(|row| self.ask_about(tx, row, now_ms))?;
        Ok(TakenTools {
            changed: changed.len(),
            quarantined: waiting.count(),
            left_out: seen.len().saturating_sub(MAX_TOOLS),
        })
    }

    /// Writes a change into the audit chain, and closes what was asked about a tool that wants something else by now.
    fn note_change(&self, tx: &Tx<'_>, server: &str, change: &Change, now_ms: i64) -> Result<()> {
        let (id, _) = change.tool();
        let (action, outcome) = match change {
            Change::Approve(..) => ("tool.take", Outcome::Allowed),
            Change::Quarantine { .. } => ("tool.quarantine", Outcome::Pending),
            Change::Restore(_) => ("tool.restore", Outcome::Allowed),
            Change::Forget(_) => ("tool.gone", Outcome::Allowed),
        };
        let waits = tx.tool(id.as_str())?.and_then(|row| act_of(&row));
        let reason = "the tool wants something else by now";
        tx.close_approvals_at(QUARANTINE, id.as_str(), waits.as_deref(), reason, now_ms)?;
        let act = Act {
            principal: format!("upstream:{server}"),
            token: String::new(),
            action,
            verb: "list",
            path: id.to_string(),
            version: String::new(),
            outcome,
            rule: QUARANTINE.to_owned(),
            trace: String::new(),
        };
        Ok(tx.audit(&act, now_ms, &self.keys.audit)?)
    }

    /// Asks for a decision, unless somebody was asked already, or has refused exactly this.
    fn ask_about(&self, tx: &Tx<'_>, row: &ToolRow, now_ms: i64) -> Result<()> {
        let Some(act) = act_of(row) else { return Ok(()) };
        let id = fresh_id("ap");
        let requester = format!("upstream:{}", row.server);
        let new = NewApproval {
            requester: &requester,
            gate: QUARANTINE,
            path: row.id.as_str(),
            act: &act,
            id: &id,
        };
        if tx.request_approval(&new, now_ms)? == id {
            let data = serde_json::json!({"approval": id, "tool": row.id}).to_string();
            tell_home(tx, EventKind::ApprovalRequested, &data, crate::access::ADMIN, now_ms)?;
        }
        Ok(())
    }
}

/// An event of the home as a whole: whoever did it is told, and the home's owner.
pub(super) fn tell_home(tx: &Tx<'_>, kind: EventKind, data: &str, actor: &str, now_ms: i64) -> Result<()> {
    tx.append_event(&NewEvent {
        kind,
        workspace: WorkspaceId(0),
        path: "",
        data: Some(data),
        actor,
        trace: None,
        occurred_ms: now_ms,
    })?;
    Ok(())
}

/// What is to be decided about a tool that is set aside, as it is kept; `None` where there is nothing to decide.
fn act_of(row: &ToolRow) -> Option<String> {
    let hash = row.proposed.as_ref().filter(|_| row.state == ToolState::Quarantined)?.hash();
    if row.refused.as_ref() == Some(&hash) {
        return None;
    }
    let act = GatedAct::Tool { tool: row.id.clone(), hash, reason: row.reason.clone() };
    Some(serde_json::to_string(&act).expect("names and hashes can be written"))
}
