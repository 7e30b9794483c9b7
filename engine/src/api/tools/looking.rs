use std::collections::BTreeMap;

use super::calling::charge;
use super::info::{self, ToolDocument, ToolInfo};
use super::servers::ServerInfo;
use crate::access::{Target, Verb};
use crate::api::engine::Engine;
use crate::api::error::{Error, Result};
use crate::api::routing::no_room;
use crate::api::session::Session;
use crate::journal::Outcome;
use crate::registry::{ToolRow, ToolState};

/// Which tools are listed.
#[derive(Debug, Clone, Default)]
pub struct ToolsFilter {
    /// Those in use without one; others only for who decides about them.
    pub state: Option<ToolState>,
    /// Only this server's.
    pub server: Option<String>,
}

impl Engine {
    /// The tools in use, by id, whoever may call them.
    pub(in crate::api) fn tools_in_use(&self) -> Vec<ToolDocument> {
        let rows = self.toolbox.rows();
        rows.iter().filter(|row| self.is_in_use(row)).filter_map(|row| self.tool_document(row)).collect()
    }

    /// What a call of a tool costs, where that is known.
    pub(in crate::api) fn price_of(&self, id: &str) -> Option<f64> {
        let rows = self.toolbox.rows();
        let row = rows.iter().find(|row| row.id.as_str() == id)?;
        let known = self.toolbox.server(&row.server);
        info::usd_per_call(row, known.as_ref().map(|known| &*known.settings))
    }

    /// Whether a tool was declared, and so has no server that could be away.
    pub(in crate::api) fn is_declared(&self, id: &str) -> bool {
        self.toolbox.rows().iter().any(|row| row.id.as_str() == id && row.is_declared())
    }

    /// Where a tool stands that is known and not in use, and why.
    pub(in crate::api) fn tool_out_of_use(&self, id: &str) -> Option<(ToolState, String)> {
        let rows = self.toolbox.rows();
        let row = rows.iter().find(|row| row.id.as_str() == id && !self.is_in_use(row))?;
        // Of a server that the operator no longer names nothing is listed.
        let state = if row.state == ToolState::Approved { ToolState::Gone } else { row.state };
        Some((state, row.reason.clone()))
    }

    fn is_in_use(&self, row: &ToolRow) -> bool {
        let has_place = row.is_declared() || self.toolbox.server(&row.server).is_some();
        row.state == ToolState::Approved && has_place
    }

    fn tool_document(&self, row: &ToolRow) -> Option<ToolDocument> {
        let known = self.toolbox.server(&row.server);
        let settings = known.as_ref().map(|known| &*known.settings);
        Some(ToolDocument::of(row, row.approved.as_ref()?, settings, self.toolbox.is_available(row)))
    }
}

impl Session {
    /// The tools that this principal may see, by id.
    ///
    /// # Errors
    /// Where the act can't be recorded.
    pub fn tools(&self, filter: &ToolsFilter) -> Result<Vec<ToolInfo>> {
        self.record("tool.list", Verb::List, "/", "", Outcome::Allowed, "scope")?;
        let state = filter.state.unwrap_or(ToolState::Approved);
        let passes = |row: &&ToolRow| {
            row.state == state && filter.server.as_ref().is_none_or(|server| row.server == *server)
        };
        let rows = self.engine.toolbox.rows();
        Ok(rows
            .iter()
            .filter(passes)
            .filter(|row| self.sees_tool(row))
            .map(|row| self.show_tool(row))
            .collect())
    }

    /// One tool.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub fn tool(&self, id: &str) -> Result<ToolInfo> {
        let row = self.seen_tool("tool.read", Verb::Read, id)?;
        self.record("tool.read", Verb::Read, id, "", Outcome::Allowed, "scope")?;
        Ok(self.show_tool(&row))
    }

    /// The tools that this principal may call and that are listed among our own, by id; none that no server has.
    pub fn pinned_tools(&self) -> Vec<ToolInfo> {
        let rows = self.engine.toolbox.rows();
        let pinned = rows.iter().filter(|row| {
            let known = self.engine.toolbox.server(&row.server);
            let is_pinned = info::is_pinned(row, known.as_ref().map(|known| &*known.settings));
            is_pinned && !row.is_declared() && self.may_call_tool(row)
        });
        pinned.map(|row| self.show_tool(row)).collect()
    }

    /// Whether its grants let it call tools, whatever tools there are.
    pub fn may_call_tools(&self) -> bool {
        self.actor.may_with_some(&self.engine.policy(), Verb::Call, Target::Tool)
    }

    /// What this principal may call now, by id: for whoever chooses between tools.
    pub fn callable_tools(&self) -> Vec<ToolDocument> {
        let rows = self.engine.toolbox.rows();
        let callable = rows.iter().filter(|row| self.may_call_tool(row));
        callable.filter_map(|row| self.engine.tool_document(row)).collect()
    }

    /// The tools that a query is about, best first: all that may be called where nothing is asked.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a limit of 0; where the act can't be recorded.
    pub fn find_tools(&self, query: &str, limit: usize) -> Result<Vec<ToolDocument>> {
        if limit == 0 {
            let (found, expected) = ("`0`".to_owned(), "at least 1".to_owned());
            return Err(Error::Invalid { field: "limit", found, expected });
        }
        self.record("tool.find", Verb::List, "/", "", Outcome::Allowed, "scope")?;
        let callable = self.callable_tools();
        let found: Vec<ToolDocument> = if query.chars().any(char::is_alphanumeric) {
            let mut by_id: BTreeMap<String, ToolDocument> =
                callable.into_iter().map(|tool| (tool.id.to_string(), tool)).collect();
            self.rank_tools(query)?.iter().filter_map(|id| by_id.remove(id)).take(limit).collect()
        } else {
            callable.into_iter().take(limit).collect()
        };
        let room = self.room()?;
        let with_room = |mut tool: ToolDocument| {
            if let Some(exceeded) = room.refusal(&charge(tool.id.as_str(), tool.usd_per_call)) {
                tool.available = false;
                tool.unavailable = Some(no_room(&exceeded));
            }
            tool
        };
        Ok(found.into_iter().map(with_room).collect())
    }

    /// The servers of tools, by name.
    ///
    /// # Errors
    /// [`Error::Forbidden`] for all but the admin.
    pub fn tool_servers(&self) -> Result<Vec<ServerInfo>> {
        let rule = self.require_admin("upstream.list", "/")?;
        self.record("upstream.list", Verb::Admin, "/", "", Outcome::Allowed, &rule)?;
        let rows = self.engine.toolbox.rows();
        let servers = self.engine.toolbox.servers().into_iter().map(|known| {
            let in_state = |state| {
                rows.iter().filter(|row| row.server == known.settings.name && row.state == state).count()
            };
            ServerInfo {
                tools: in_state(ToolState::Approved),
                quarantined: in_state(ToolState::Quarantined),
                name: known.settings.name.clone(),
                trust: known.settings.trust,
                health: known.health,
            }
        });
        Ok(servers.collect())
    }

    /// The row of a tool that may be seen; others are told as absent.
    pub(super) fn seen_tool(&self, action: &'static str, verb: Verb, id: &str) -> Result<ToolRow> {
        let rows = self.engine.toolbox.rows();
        let row = rows.iter().find(|row| row.id.as_str() == id).filter(|row| self.sees_tool(row));
        if let Some(row) = row {
            return Ok(row.clone());
        }
        let name: String = id.chars().take(128).collect();
        let rule = self.on_tool(verb, &name).rule;
        self.record(action, verb, &name, "", Outcome::Denied, &rule)?;
        Err(Error::NotFound { what: "tool", name })
    }

    /// Whether a tool may be seen: one in use by whoever may list, read or call it, any other by who decides about it.
    fn sees_tool(&self, row: &ToolRow) -> bool {
        if self.decides_about(row) {
            return true;
        }
        self.engine.is_in_use(row)
            && [Verb::List, Verb::Read, Verb::Call]
                .iter()
                .any(|verb| self.on_tool(*verb, row.id.as_str()).allowed)
    }

    /// Whether it may be called, with some arguments at least.
    fn may_call_tool(&self, row: &ToolRow) -> bool {
        self.engine.is_in_use(row) && self.on_tool(Verb::Call, row.id.as_str()).allowed
    }

    fn decides_about(&self, row: &ToolRow) -> bool {
        self.on_tool(Verb::Approve, row.id.as_str()).allowed
    }

    fn on_tool(&self, verb: Verb, id: &str) -> crate::access::Decision {
        self.actor.decide(&self.engine.policy(), verb, Target::Tool, id)
    }

    pub(super) fn show_tool(&self, row: &ToolRow) -> ToolInfo {
        let toolbox = &self.engine.toolbox;
        let known = toolbox.server(&row.server);
        let settings = known.as_ref().map(|known| &*known.settings);
        ToolInfo::of(row, settings, toolbox.is_available(row), self.decides_about(row))
    }
}
