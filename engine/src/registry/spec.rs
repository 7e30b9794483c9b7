//! What is said of one tool, and the name that it has here.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::error::RegistryError;
use super::schema;

/// Of one server; what is listed beyond that is left out.
pub const MAX_TOOLS: usize = 1000;
/// Of a title and a description together.
pub const MAX_DESCRIPTION_BYTES: usize = 16 << 10;
/// Of each schema and of the annotations, as JSON.
pub const MAX_SCHEMA_BYTES: usize = 64 << 10;
/// Of an id; names of tools of some clients are not longer.
const MAX_ID_BYTES: usize = 128;
/// Of a name as its server has it.
const MAX_NAME_BYTES: usize = 256;

/// `server.tool`, or the plain name of a tool that was declared: legal as the name of a tool for every client.
#[derive(
    Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(try_from = "String", into = "String")]
pub struct ToolId(String);

impl ToolId {
    /// Reads an id.
    ///
    /// # Errors
    /// [`RegistryError::Id`].
    pub fn new(text: &str) -> Result<Self, RegistryError> {
        let has_names = match text.split_once('.') {
            Some((server, tool)) => !server.is_empty() && !tool.is_empty(),
            None => !text.is_empty(),
        };
        if has_names && text.len() <= MAX_ID_BYTES && text.bytes().all(is_plain) {
            return Ok(Self(text.to_owned()));
        }
        Err(RegistryError::Id { found: text.chars().take(80).collect() })
    }

    /// The id of a server's tool. A name that is legal stays as it is; any other gets the beginning of its hash, so that no
    /// two names fall together.
    pub fn of(server: &str, name: &str) -> Self {
        let room = MAX_ID_BYTES - server.len().min(64) - 1;
        let server: String = server.chars().take(64).collect();
        if !name.is_empty() && name.len() <= room && name.bytes().all(is_plain) {
            return Self(format!("{server}.{name}"));
        }
        let plain = name.chars().map(|c| if c.is_ascii() && is_plain(c as u8) { c } else { '_' });
        let plain: String = plain.take(room.min(64) - 9).collect();
        Self(format!("{server}.{plain}_{}", &blake3::hash(name.as_bytes()).to_hex()[..8]))
    }

    /// The first part of two: the server whose tool it is, or would be.
    pub fn server(&self) -> Option<&str> {
        self.0.split_once('.').map(|(server, _)| server)
    }

    /// What follows the server's name.
    pub fn name(&self) -> &str {
        self.0.split_once('.').map_or(&self.0, |(_, name)| name)
    }

    /// As text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

fn is_plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-')
}

impl TryFrom<String> for ToolId {
    type Error = RegistryError;

    fn try_from(text: String) -> Result<Self, RegistryError> {
        Self::new(&text)
    }
}

impl From<ToolId> for String {
    fn from(id: ToolId) -> Self {
        id.0
    }
}

impl fmt::Display for ToolId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What a server, or whoever declares it, says of a tool. All of it is approved or none.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ToolSpec {
    /// As its server has it, if it has one.
    pub name: String,
    /// For people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// For models.
    #[serde(default)]
    pub description: String,
    /// JSON Schema of the arguments.
    pub input_schema: Value,
    /// JSON Schema of what comes back as JSON.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output_schema: Option<Value>,
    /// Hints, such as `readOnlyHint`; nothing is decided by them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub annotations: Option<Value>,
}

/// A tool as a server has just listed it.
pub type UpstreamTool = ToolSpec;

impl ToolSpec {
    /// The BLAKE3 hash of all that is said, as 64 digits; the same for every order of the fields of a schema.
    pub fn hash(&self) -> String {
        let whole = serde_json::to_value(self).expect("texts and JSON can be written");
        blake3::hash(sorted(&whole).to_string().as_bytes()).to_hex().to_string()
    }

    /// Why the tool can't be taken as it is; a person can't approve it either.
    pub fn fault(&self) -> Option<String> {
        let too_long = |what: &str, found: usize, limit: usize| {
            (found > limit).then(|| format!("{what} has {found} bytes: expected at most {limit}"))
        };
        let size = |value: &Value| value.to_string().len();
        let told = self.description.len() + self.title.as_ref().map_or(0, String::len);
        too_long("the name", self.name.len(), MAX_NAME_BYTES)
            .or_else(|| too_long("the description", told, MAX_DESCRIPTION_BYTES))
            .or_else(|| too_long("the input schema", size(&self.input_schema), MAX_SCHEMA_BYTES))
            .or_else(|| {
                too_long("the output schema", self.output_schema.as_ref().map_or(0, size), MAX_SCHEMA_BYTES)
            })
            .or_else(|| {
                too_long("the annotations", self.annotations.as_ref().map_or(0, size), MAX_SCHEMA_BYTES)
            })
            .or_else(|| {
                schema::fault(&self.input_schema).map(|why| format!("the input schema is none: {why}"))
            })
            .or_else(|| {
                let why = self.output_schema.as_ref().and_then(schema::fault)?;
                Some(format!("the output schema is none: {why}"))
            })
    }
}

/// The same value with the fields of every object in order, however its writer had them.
fn sorted(value: &Value) -> Value {
    match value {
        Value::Array(items) => items.iter().map(sorted).collect(),
        Value::Object(fields) => {
            let mut fields: Vec<(&String, &Value)> = fields.iter().collect();
            fields.sort_by_key(|(name, _)| *name);
            fields.into_iter().map(|(name, value)| (name.clone(), sorted(value))).collect()
        }
        plain => plain.clone(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn spec(description: &str, input_schema: Value) -> ToolSpec {
        ToolSpec {
            name: "echo".to_owned(),
            title: None,
            description: description.to_owned(),
            input_schema,
            output_schema: None,
            annotations: None,
        }
    }

    #[test]
    fn legal_names_stay_and_others_are_told_apart() {
        assert_eq!(ToolId::of("git", "push").as_str(), "git.push");
        assert_eq!(ToolId::of("git", "repo.Push-2").as_str(), "git.repo.Push-2");
        let odd = ["", "a b", "a/b", "a\u{1b}[31mb", "é", "ü", &"x".repeat(400), &"x".repeat(401)];
        let ids: std::collections::BTreeSet<ToolId> =
            odd.iter().map(|name| ToolId::of("git", name)).collect();
        assert_eq!(ids.len(), odd.len(), "{ids:?}");
        for id in &ids {
            assert_eq!(ToolId::new(id.as_str()).unwrap(), *id);
        }
        for bad in ["", ".", ".x", "git.", "git.a b", "git.é", "é", &"x".repeat(129)] {
            assert!(ToolId::new(bad).is_err(), "{bad:?} was accepted");
        }
        let parts = |id: &str| {
            let id = ToolId::new(id).unwrap();
            (id.server().map(str::to_owned), id.name().to_owned())
        };
        assert_eq!(parts("git.repo.push"), (Some("git".to_owned()), "repo.push".to_owned()));
        assert_eq!(parts("create_charge"), (None, "create_charge".to_owned()));
    }

    #[test]
    fn the_hash_covers_everything_and_no_order() {
        let schema = json!({"type": "object", "properties": {"a": {}, "b": {}}});
        let first = spec("says", schema.clone());
        let other: Value =
            serde_json::from_str(r#"{"properties": {"b": {}, "a": {}}, "type": "object"}"#).unwrap();
        assert_eq!(first.hash(), spec("says", other).hash());
        for changed in [
            spec("says more", schema.clone()),
            spec("says", json!({"type": "object"})),
            ToolSpec { title: Some("x".to_owned()), ..first.clone() },
            ToolSpec { output_schema: Some(json!({})), ..first.clone() },
            ToolSpec { annotations: Some(json!({"readOnlyHint": true})), ..first.clone() },
        ] {
            assert_ne!(first.hash(), changed.hash(), "{changed:?}");
        }
    }

    #[test]
    fn what_is_too_large_or_no_schema_has_a_fault() {
        let object = json!({"type": "object"});
        assert_eq!(spec("fine", object.clone()).fault(), None);
        let long = "x".repeat(MAX_DESCRIPTION_BYTES + 1);
        for (bad, expected) in [
            (spec(&long, object.clone()), "the description has"),
            (spec("", json!({"const": "x".repeat(MAX_SCHEMA_BYTES)})), "the input schema has"),
            (spec("", json!({"type": "nonsense"})), "the input schema is none"),
            (spec("", json!({"$ref": "https://example.com/schema.json"})), "the input schema is none"),
            (
                ToolSpec { output_schema: Some(json!({"type": 5})), ..spec("", object) },
                "the output schema is none",
            ),
        ] {
            let fault = bad.fault().unwrap_or_default();
            assert!(fault.starts_with(expected), "{fault}");
        }
    }
}
