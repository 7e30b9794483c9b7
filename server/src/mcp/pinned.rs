//! Tools of other servers that are listed among our own: as they were approved, under `server.tool`.

use std::sync::Arc;

use rmcp::model::{JsonObject, Tool as Definition};
use serde_json::Value;
use waypost_engine::api::{Session, ToolInfo};

/// Pinned tools at most; clients can't take many more than a hundred tools.
const MAX_PINNED: usize = 64;

/// Those that a session may call, by id.
pub fn definitions(session: &Session) -> Vec<Definition> {
    session.pinned_tools().into_iter().take(MAX_PINNED).map(definition).collect()
}

/// Whether a session is offered one of that name.
pub fn is_offered(session: &Session, name: &str) -> bool {
    session.pinned_tools().iter().take(MAX_PINNED).any(|tool| tool.id.as_str() == name)
}

fn definition(tool: ToolInfo) -> Definition {
    let spec = tool.spec;
    let mut definition = Definition::new(tool.id.to_string(), spec.description, object(spec.input_schema));
    definition.title = spec.title;
    // Its annotations are hints of another server: clients would take them for ours.
    definition
}

fn object(schema: Value) -> Arc<JsonObject> {
    match schema {
        Value::Object(schema) => Arc::new(schema),
        _ => Arc::default(),
    }
}
