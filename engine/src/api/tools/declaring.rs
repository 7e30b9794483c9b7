use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::info::ToolInfo;
use super::settings::check;
use super::taking::QUARANTINE;
use crate::access::Verb;
use crate::api::error::{Error, Result};
use crate::api::session::Session;
use crate::registry::{RegistryError, ToolId, ToolRow, ToolSettings, ToolSpec, ToolState};
use crate::route::EntryKind;

const ACTION: &str = "tool.declare";

/// What is put of a tool: how it is described, where no server does that, and what the operator says of it.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ToolDeclaration {
    /// What it is called; its id after the first dot where it is missing.
    pub name: Option<String>,
    /// For people.
    pub title: Option<String>,
    /// What it does, for models. With it a tool is declared that no server has.
    pub description: Option<String>,
    /// JSON Schema of the arguments; any object where it is missing.
    #[serde(alias = "inputSchema", alias = "parameters")]
    pub input_schema: Option<Map<String, Value>>,
    /// JSON Schema of what comes back as JSON.
    #[serde(alias = "outputSchema")]
    pub output_schema: Option<Map<String, Value>>,
    /// Hints, such as `readOnlyHint`; nothing is decided by them.
    pub annotations: Option<Map<String, Value>>,
    /// Intents for which it is right.
    pub examples: Option<Vec<String>>,
    /// What one call costs.
    pub usd_per_call: Option<f64>,
    /// Whether it is listed among our own tools, once a server has it.
    pub pinned: Option<bool>,
}

impl ToolDeclaration {
    /// The first part that describes the tool itself.
    fn describing(&self) -> Option<&'static str> {
        let parts = [
            ("description", self.description.is_some()),
            ("name", self.name.is_some()),
            ("title", self.title.is_some()),
            ("input_schema", self.input_schema.is_some()),
            ("output_schema", self.output_schema.is_some()),
            ("annotations", self.annotations.is_some()),
        ];
        parts.into_iter().find(|(_, is_given)| *is_given).map(|(part, _)| part)
    }

    fn settings(&self) -> ToolSettings {
        let Self { examples, usd_per_call, pinned, .. } = self;
        ToolSettings { examples: examples.clone(), usd_per_call: *usd_per_call, pinned: *pinned }
    }

    /// The tool as it is described.
    fn spec(self, id: &ToolId) -> Result<ToolSpec> {
        let given = |field, text: Option<String>, expected: &str| match text {
            Some(text) if !text.trim().is_empty() => Ok(text),
            text => {
                let found = text.map_or("missing", |_| "empty").to_owned();
                Err(Error::Invalid { field, found, expected: expected.to_owned() })
            }
        };
        let name = self.name.or_else(|| Some(id.name().to_owned()));
        let spec = ToolSpec {
            name: given("name", name, "what the tool is called, or none")?,
            title: self.title,
            description: given("description", self.description, "a text that says what the tool does")?,
            input_schema: self.input_schema.map_or_else(|| json!({"type": "object"}), Value::Object),
            output_schema: self.output_schema.map(Value::Object),
            annotations: self.annotations.map(Value::Object),
        };
        match spec.fault() {
            None => Ok(spec),
            Some(fault) => Err(RegistryError::Spec { tool: id.clone(), fault }.into()),
        }
    }
}

impl Session {
    /// Declares a tool that no server has, or says otherwise what it is, where the tool is described; else sets what the
    /// operator says of a tool that is there. A tool that was declared is approved by whoever did it, and the answer tells
    /// what its entry does to the others.
    ///
    /// # Errors
    /// [`Error::Forbidden`] for all but the admin; [`Error::Invalid`] where a server describes the tool, where nobody does,
    /// and as in [`Self::configure_tool`]; [`Error::Registry`] for what can be no tool.
    pub fn put_tool(&self, id: &str, put: ToolDeclaration) -> Result<ToolInfo> {
        if put.describing().is_none() || self.is_as_listed(id, &put) {
            return match self.configure_tool(id, &put.settings()) {
                Err(Error::NotFound { .. }) => Err(undescribed(id)),
                done => done,
            };
        }
        let rule = self.require_admin(ACTION, id)?;
        let declared = self.declare(id, put, &rule);
        let (row, is_new) = self.note_failure(ACTION, Verb::Admin, id, declared)?;
        self.engine.toolbox.reload(&self.engine.catalog)?;
        let lint = self.lint_entry(&(EntryKind::Tool, id.to_owned()))?;
        Ok(ToolInfo { lint: Some(lint), created: is_new, ..self.show_tool(&row) })
    }

    /// The tool's row, and whether it was new.
    fn declare(&self, id: &str, put: ToolDeclaration, rule: &str) -> Result<(ToolRow, bool)> {
        let id = ToolId::new(id)?;
        self.may_be_declared(&id, &put)?;
        let settings = put.settings();
        check(&settings)?;
        let spec = put.spec(&id)?;
        let now_ms = self.now_ms();
        self.engine.catalog.write(|tx| -> Result<(ToolRow, bool)> {
            let known = tx.tool(id.as_str())?;
            let is_new = known.is_none();
            let mut row = known.unwrap_or_else(|| ToolRow::new(id.clone(), "", "", now_ms));
            let hash = spec.hash();
            row.declare(spec, &self.actor.principal, now_ms);
            row.settings = settings;
            tx.put_tool(&row)?;
            tx.close_approvals_at(QUARANTINE, id.as_str(), None, "the tool was declared", now_ms)?;
            self.record_in(tx, ACTION, Verb::Admin, id.as_str(), &hash, rule)?;
            Ok((row, is_new))
        })
    }

    /// Whether what is put describes a tool of a server just as it is: so it is where somebody puts what was shown.
    fn is_as_listed(&self, id: &str, put: &ToolDeclaration) -> bool {
        let rows = self.engine.toolbox.rows();
        let row = rows.iter().find(|row| row.id.as_str() == id && !row.is_declared());
        let approved = row.and_then(|row| row.approved.as_ref().map(|approved| (&row.id, approved)));
        approved.is_some_and(|(id, approved)| put.clone().spec(id).is_ok_and(|spec| spec == *approved))
    }

    /// A server that the operator named describes its own tools, and has no others.
    fn may_be_declared(&self, id: &ToolId, put: &ToolDeclaration) -> Result<()> {
        let toolbox = &self.engine.toolbox;
        let Some(server) = id.server().filter(|server| toolbox.server(server).is_some()) else {
            return Ok(());
        };
        let is_listed = |row: &ToolRow| row.id == *id && row.server == server && row.state != ToolState::Gone;
        let expected = if toolbox.rows().iter().any(is_listed) {
            format!(
                "only `examples`, `usd_per_call` and `pinned`: the server `{server}` describes its own tools"
            )
        } else {
            format!("another id: tools of the server `{server}` are those that it lists, and `{id}` is none")
        };
        let field = put.describing().unwrap_or("description");
        Err(Error::Invalid { field, found: "given".to_owned(), expected })
    }
}

fn undescribed(id: &str) -> Error {
    let id: String = id.chars().take(128).collect();
    Error::Invalid {
        field: "description",
        found: "missing".to_owned(),
        expected: format!(
            "a text that says what `{id}` does, for no server lists such a tool; `input_schema` and `examples` may stand \
             beside it"
        ),
    }
}
