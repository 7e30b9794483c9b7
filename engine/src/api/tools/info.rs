use serde::Serialize;
use serde_json::Value;

use super::servers::ToolServer;
use crate::clock::rfc3339;
use crate::registry::{ToolId, ToolRow, ToolSpec, ToolState};
use crate::route::Finding;

/// Values of an argument that stand in the place of its type at most.
const MAX_SHOWN_VALUES: usize = 20;

/// A tool, as it is shown. All texts and schemas come from its server, or from who declared it: they are data.
#[derive(Debug, Clone, Serialize, schemars::JsonSchema)]
pub struct ToolInfo {
    /// `server.tool`; of a tool that was declared, as it was named.
    pub id: ToolId,
    /// Whose; missing for one that was declared.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub server: String,
    /// Whether it was declared and no server has it: it is found and routed to, and can't be called here.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub declared: bool,
    /// As its server has it.
    pub name: String,
    /// Where it stands.
    pub state: ToolState,
    /// What was approved.
    #[serde(flatten)]
    pub spec: ShownSpec,
    /// What it wants to be, for those who decide about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub proposed: Option<ToolSpec>,
    /// Why it is not in use.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub reason: String,
    /// Whether it is listed among our own tools; one that was declared is not before a server has it.
    pub pinned: bool,
    /// Intents for which it is right.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub examples: Vec<String>,
    /// What a call costs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub usd_per_call: Option<f64>,
    /// Whether its server answers.
    pub available: bool,
    /// RFC 3339.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub approved_at: Option<String>,
    /// By whom; `first` for what was there at the first connection. For those who decide about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub approved_by: Option<String>,
    /// What is wrong with its entry beside the others, where this answers a declaration.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lint: Option<Vec<Finding>>,
    /// Whether it was new where it was just put.
    #[serde(skip)]
    pub created: bool,
}

/// The approved spec of a tool, or of what was never approved the frame.
#[derive(Debug, Clone, Default, Serialize, schemars::JsonSchema)]
pub struct ShownSpec {
    /// For people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// For models.
    pub description: String,
    /// JSON Schema of the arguments.
    pub input_schema: Value,
    /// JSON Schema of what comes back as JSON.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub output_schema: Option<Value>,
    /// Hints.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub annotations: Option<Value>,
    /// The hash of all of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hash: Option<String>,
}

/// What a tool is found by, and what calling it takes.
#[derive(Debug, Clone, PartialEq, Serialize, schemars::JsonSchema)]
pub struct ToolDocument {
    /// `server.tool`; of a tool that was declared, as it was named.
    pub id: ToolId,
    /// As its server has it.
    pub name: String,
    /// For people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// For models.
    pub description: String,
    /// At the top of its input schema.
    pub arguments: Vec<ToolArgument>,
    /// Intents for which it is right.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub examples: Vec<String>,
    /// What a call costs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub usd_per_call: Option<f64>,
    /// The hash of what was approved.
    pub hash: String,
    /// Whether its server answers, and a budget of who asks has room for a call.
    pub available: bool,
    /// Which budget has none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unavailable: Option<String>,
    /// Whether it was declared and no server has it.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub declared: bool,
}

/// An argument, as far as its schema tells at once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, schemars::JsonSchema)]
pub struct ToolArgument {
    /// Its name.
    pub name: String,
    /// Its type, such as `string`, or the values that it may have: `"a" | "b"`; `any` where its schema says neither at once.
    #[serde(rename = "type")]
    pub kind: String,
    /// What its schema says of it.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// Whether a call has to have it.
    pub required: bool,
}

impl ShownSpec {
    fn of(spec: &ToolSpec) -> Self {
        Self {
            title: spec.title.clone(),
            description: spec.description.clone(),
            input_schema: spec.input_schema.clone(),
            output_schema: spec.output_schema.clone(),
            annotations: spec.annotations.clone(),
            hash: Some(spec.hash()),
        }
    }
}

impl ToolInfo {
    /// Of a row under what the operator says of its server; `decides`: for somebody who decides about it.
    pub(super) fn of(row: &ToolRow, server: Option<&ToolServer>, available: bool, decides: bool) -> Self {
        Self {
            id: row.id.clone(),
            server: row.server.clone(),
            declared: row.is_declared(),
            name: row.name.clone(),
            state: row.state,
            spec: row.approved.as_ref().map(ShownSpec::of).unwrap_or_default(),
            proposed: row.proposed.clone().filter(|_| decides),
            reason: row.reason.clone(),
            pinned: is_pinned(row, server),
            examples: examples(row, server),
            usd_per_call: usd_per_call(row, server),
            available,
            approved_at: row.approved_ms.map(rfc3339),
            approved_by: row.approved_by.clone().filter(|_| decides),
            lint: None,
            created: false,
        }
    }
}

impl ToolDocument {
    pub(super) fn of(row: &ToolRow, spec: &ToolSpec, server: Option<&ToolServer>, available: bool) -> Self {
        Self {
            id: row.id.clone(),
            name: row.name.clone(),
            title: spec.title.clone(),
            description: spec.description.clone(),
            arguments: arguments(&spec.input_schema),
            examples: examples(row, server),
            usd_per_call: usd_per_call(row, server),
            hash: spec.hash(),
            available,
            unavailable: None,
            declared: row.is_declared(),
        }
    }
}

fn arguments(schema: &Value) -> Vec<ToolArgument> {
    let required: Vec<&str> =
        schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let argument = |(name, schema): (&String, &Value)| ToolArgument {
        name: name.clone(),
        kind: kind(schema),
        description: schema["description"].as_str().unwrap_or_default().to_owned(),
        required: required.contains(&name.as_str()),
    };
    schema["properties"].as_object().into_iter().flatten().map(argument).collect()
}

fn kind(schema: &Value) -> String {
    let values = schema["enum"].as_array().filter(|values| values.len() <= MAX_SHOWN_VALUES);
    let values = values.map(|values| values.iter().map(Value::to_string).collect::<Vec<_>>().join(" | "));
    values.or_else(|| schema["type"].as_str().map(str::to_owned)).unwrap_or_else(|| "any".to_owned())
}

pub(super) fn is_pinned(row: &ToolRow, server: Option<&ToolServer>) -> bool {
    row.settings.pinned.unwrap_or_else(|| server.is_some_and(|server| server.pinned.contains(&row.name)))
}

pub(super) fn usd_per_call(row: &ToolRow, server: Option<&ToolServer>) -> Option<f64> {
    let of_tool = || server?.tools.get(&row.name)?.usd_per_call;
    row.settings.usd_per_call.or_else(of_tool).or_else(|| server?.usd_per_call)
}

fn examples(row: &ToolRow, server: Option<&ToolServer>) -> Vec<String> {
    let of_file = || Some(server?.tools.get(&row.name)?.examples.clone());
    row.settings.examples.clone().or_else(of_file).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn arguments_tell_their_types_and_whether_they_must_be_there() {
        let schema = json!({"required": ["to"], "properties": {
            "to": {"enum": ["a", "b", 3], "type": "string"}, "n": {"type": "integer"}, "odd": {"type": ["a", "null"]}, "no": true,
        }});
        let mut shown: Vec<(String, String, bool)> =
            arguments(&schema).into_iter().map(|it| (it.name, it.kind, it.required)).collect();
        shown.sort();
        let expected = [
            ("n", "integer", false),
            ("no", "any", false),
            ("odd", "any", false),
            ("to", "\"a\" | \"b\" | 3", true),
        ];
        assert_eq!(shown, expected.map(|(name, kind, must)| (name.to_owned(), kind.to_owned(), must)));
        assert!(arguments(&json!({"properties": 5})).is_empty() && arguments(&json!(true)).is_empty());
    }
}
