//! Tools as the catalog keeps them.

use rusqlite::{Connection, OptionalExtension, Row, params};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::error::RegistryError;
use super::plan::Change;
use super::spec::{ToolId, ToolSpec};
use crate::catalog::{Catalog, Tx};

/// Where a tool stands.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum ToolState {
    /// It is what somebody approved.
    Approved,
    /// It is new or has changed; nobody uses it until somebody decides.
    Quarantined,
    /// Its server does not list it any more.
    Gone,
}

impl ToolState {
    /// Its name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Approved => "approved",
            Self::Quarantined => "quarantined",
            Self::Gone => "gone",
        }
    }

    fn read(text: &str) -> Self {
        match text {
            "approved" => Self::Approved,
            "gone" => Self::Gone,
            _ => Self::Quarantined,
        }
    }
}

/// What the operator says of a tool, over what the settings file says.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ToolSettings {
    /// Intents for which it is right.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub examples: Option<Vec<String>>,
    /// What one call costs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub usd_per_call: Option<f64>,
    /// Whether it is listed among our own tools.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pinned: Option<bool>,
}

/// What is kept of a tool.
#[derive(Debug, Clone, PartialEq)]
pub struct ToolRow {
    /// `server.tool`, or any id of one that was declared.
    pub id: ToolId,
    /// Whose; empty for one that was declared, which no server lists.
    pub server: String,
    /// As its server has it.
    pub name: String,
    /// Where it stands.
    pub state: ToolState,
    /// What somebody approved last.
    pub approved: Option<ToolSpec>,
    /// What it wants to be, while that differs.
    pub proposed: Option<ToolSpec>,
    /// The hash of a proposal that was refused: nobody is asked about it again.
    pub refused: Option<String>,
    /// Why it is set aside.
    pub reason: String,
    /// See [`ToolSettings`].
    pub settings: ToolSettings,
    /// Milliseconds since 1970.
    pub first_ms: i64,
    /// Milliseconds since 1970.
    pub updated_ms: i64,
    /// Milliseconds since 1970.
    pub approved_ms: Option<i64>,
    /// By whom; `first` for what was there at the first connection.
    pub approved_by: Option<String>,
}

impl ToolRow {
    /// One of which nothing was approved yet.
    pub fn new(id: ToolId, server: &str, name: &str, now_ms: i64) -> Self {
        Self {
            id,
            server: server.to_owned(),
            name: name.to_owned(),
            state: ToolState::Quarantined,
            approved: None,
            proposed: None,
            refused: None,
            reason: String::new(),
            settings: ToolSettings::default(),
            first_ms: now_ms,
            updated_ms: now_ms,
            approved_ms: None,
            approved_by: None,
        }
    }

    /// Whether it was declared and is no server's: known, but called by nobody here.
    pub fn is_declared(&self) -> bool {
        self.server.is_empty()
    }

    /// Takes what is said of it for approved, and for no server's.
    pub fn declare(&mut self, spec: ToolSpec, by: &str, now_ms: i64) {
        self.server.clear();
        self.name.clone_from(&spec.name);
        self.proposed = Some(spec);
        self.approve(by, now_ms);
    }

    /// Whether it is set aside with exactly this proposal.
    pub fn is_waiting(&self, proposed: Option<&ToolSpec>) -> bool {
        self.state == ToolState::Quarantined && self.proposed.as_ref() == proposed
    }

    /// Takes what is proposed for approved.
    pub fn approve(&mut self, by: &str, now_ms: i64) {
        self.approved = self.proposed.take().or_else(|| self.approved.take());
        self.state = ToolState::Approved;
        self.refused = None;
        self.reason = String::new();
        self.approved_ms = Some(now_ms);
        self.approved_by = Some(by.to_owned());
        self.updated_ms = now_ms;
    }

    /// One step of a plan.
    fn change(&mut self, change: &Change, now_ms: i64) {
        self.updated_ms = now_ms;
        match change {
            Change::Approve(_, spec) => {
                self.proposed = Some(spec.clone());
                self.approve("first", now_ms);
            }
            Change::Quarantine { proposed, reason, .. } => {
                self.state = ToolState::Quarantined;
                self.proposed.clone_from(proposed);
                self.reason.clone_from(reason);
            }
            Change::Restore(_) => {
                self.state = ToolState::Approved;
                self.proposed = None;
                self.reason = String::new();
            }
            Change::Forget(_) => {
                self.state = ToolState::Gone;
                self.proposed = None;
                self.reason = "its server does not list it any more".to_owned();
            }
        }
    }
}

impl Change {
    /// Of which tool, and its name where it may be new.
    pub fn tool(&self) -> (&ToolId, Option<&str>) {
        match self {
            Self::Approve(id, spec) => (id, Some(&spec.name)),
            Self::Quarantine { id, name, .. } => (id, Some(name)),
            Self::Restore(id) | Self::Forget(id) => (id, None),
        }
    }
}

/// What a plan makes of a server's rows, by id; one that was declared becomes the server's.
pub(super) fn apply(mut rows: Vec<ToolRow>, server: &str, changes: &[Change], now_ms: i64) -> Vec<ToolRow> {
    for change in changes {
        let (id, name) = change.tool();
        let known = rows.iter().position(|row| row.id == *id);
        let at = known.unwrap_or_else(|| {
            rows.push(ToolRow::new(id.clone(), server, name.unwrap_or_default(), now_ms));
            rows.len() - 1
        });
        let row = &mut rows[at];
        server.clone_into(&mut row.server);
        if let Some(name) = name {
            name.clone_into(&mut row.name);
        }
        row.change(change, now_ms);
    }
    rows.sort_by(|a, b| a.id.cmp(&b.id));
    rows
}

/// All tools, by id.
///
/// # Errors
/// [`RegistryError`].
pub fn tools(catalog: &Catalog) -> Result<Vec<ToolRow>, RegistryError> {
    catalog.read(|sql| read_where(sql, "1", ""))
}

impl Tx<'_> {
    /// All tools of a server, by id.
    ///
    /// # Errors
    /// [`RegistryError`].
    pub fn tools_of(&self, server: &str) -> Result<Vec<ToolRow>, RegistryError> {
        read_where(self.sql(), "server = ?1", server)
    }

    /// As [`Self::tools_of`], with the tools that were declared under the server's name.
    ///
    /// # Errors
    /// [`RegistryError`].
    pub fn tools_under(&self, server: &str) -> Result<Vec<ToolRow>, RegistryError> {
        let declared = "(server = '' AND substr(id, 1, length(?1) + 1) = ?1 || '.')";
        read_where(self.sql(), &format!("(server = ?1 OR {declared})"), server)
    }

    /// A tool.
    ///
    /// # Errors
    /// [`RegistryError`].
    pub fn tool(&self, id: &str) -> Result<Option<ToolRow>, RegistryError> {
        Ok(read_where(self.sql(), "id = ?1", id)?.pop())
    }

    /// Notes that a server has listed its tools; whether that was the first time.
    ///
    /// # Errors
    /// [`RegistryError::Catalog`].
    pub fn note_tool_server(&self, server: &str, now_ms: i64) -> Result<bool, RegistryError> {
        let known: Option<i64> = self
            .sql()
            .query_row("SELECT first_ms FROM tool_servers WHERE name = ?1", [server], |row| row.get(0))
            .optional()?;
        if known.is_none() {
            self.sql().execute(
                "INSERT INTO tool_servers (name, first_ms) VALUES (?1, ?2)",
                params![server, now_ms],
            )?;
        }
        Ok(known.is_none())
    }

    /// Does what a plan says; the rows that changed, as they are now.
    ///
    /// # Errors
    /// [`RegistryError`].
    pub fn change_tools(
        &self,
        server: &str,
        changes: &[Change],
        now_ms: i64,
    ) -> Result<Vec<ToolRow>, RegistryError> {
        let rows = apply(self.tools_under(server)?, server, changes, now_ms);
        let is_changed = |row: &ToolRow| changes.iter().any(|change| change.tool().0 == &row.id);
        let changed: Vec<ToolRow> = rows.into_iter().filter(is_changed).collect();
        changed.iter().try_for_each(|row| self.put_tool(row))?;
        Ok(changed)
    }

    /// Writes a tool's row.
    ///
    /// # Errors
    /// [`RegistryError::Catalog`].
    pub fn put_tool(&self, row: &ToolRow) -> Result<(), RegistryError> {
        self.sql().execute(
            "INSERT INTO tools (id, server, name, state, approved, proposed, refused, reason, settings, first_ms,
                updated_ms, approved_ms, approved_by)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)
             ON CONFLICT (id) DO UPDATE SET server = ?2, name = ?3, state = ?4, approved = ?5, proposed = ?6,
                refused = ?7, reason = ?8, settings = ?9, updated_ms = ?11, approved_ms = ?12, approved_by = ?13",
            params![
                row.id.as_str(),
                row.server,
                row.name,
                row.state.as_str(),
                row.approved.as_ref().map(text),
                row.proposed.as_ref().map(text),
                row.refused,
                row.reason,
                text(&row.settings),
                row.first_ms,
                row.updated_ms,
                row.approved_ms,
                row.approved_by,
            ],
        )?;
        Ok(())
    }

    /// Forgets a tool: listed again, it is new. Whether it was there.
    ///
    /// # Errors
    /// [`RegistryError::Catalog`].
    pub fn remove_tool(&self, id: &str) -> Result<bool, RegistryError> {
        Ok(self.sql().execute("DELETE FROM tools WHERE id = ?1", [id])? == 1)
    }
}

fn read_where(sql: &Connection, filter: &str, value: &str) -> Result<Vec<ToolRow>, RegistryError> {
    let query = format!(
        "SELECT id, server, name, state, approved, proposed, refused, reason, settings, first_ms, updated_ms,
            approved_ms, approved_by FROM tools WHERE {filter} AND ?1 = ?1 ORDER BY id"
    );
    let mut statement = sql.prepare_cached(&query)?;
    let mut rows = statement.query([value])?;
    let mut tools = Vec::new();
    while let Some(row) = rows.next()? {
        tools.push(read_row(row)?);
    }
    Ok(tools)
}

fn read_row(row: &Row<'_>) -> Result<ToolRow, RegistryError> {
    let id: String = row.get(0)?;
    let spec = |column: Option<String>| column.map(|text| parse(&id, &text)).transpose();
    Ok(ToolRow {
        server: row.get(1)?,
        name: row.get(2)?,
        state: ToolState::read(&row.get::<_, String>(3)?),
        approved: spec(row.get(4)?)?,
        proposed: spec(row.get(5)?)?,
        refused: row.get(6)?,
        reason: row.get(7)?,
        settings: parse(&id, &row.get::<_, String>(8)?)?,
        first_ms: row.get(9)?,
        updated_ms: row.get(10)?,
        approved_ms: row.get(11)?,
        approved_by: row.get(12)?,
        id: ToolId::new(&id)?,
    })
}

fn text(value: &impl Serialize) -> String {
    serde_json::to_string(value).expect("texts and JSON can be written")
}

fn parse<T: DeserializeOwned>(id: &str, text: &str) -> Result<T, RegistryError> {
    serde_json::from_str(text).map_err(|source| RegistryError::Row { tool: id.to_owned(), source })
}
