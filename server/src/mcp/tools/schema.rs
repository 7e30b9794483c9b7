//! Pieces of schemas that several tools share.

use serde_json::{Value, json};

pub fn text() -> Value {
    json!({"type": "string"})
}

pub fn texts() -> Value {
    json!({"type": "array", "items": text()})
}

pub fn number() -> Value {
    json!({"type": "integer"})
}

pub fn flag() -> Value {
    json!({"type": "boolean"})
}

pub fn list() -> Value {
    json!({"type": "array"})
}

/// Bounds a reply.
pub fn max_tokens() -> Value {
    json!({"type": "integer", "description": "bound on the reply, default 2000"})
}

/// Where to look.
pub fn folder() -> Value {
    json!({"type": "string", "description": "/workspace or /workspace/folder"})
}

/// Optimistic concurrency.
pub fn expected() -> Value {
    json!({"type": "string", "description": "refuse if the file has moved on"})
}

/// Of a lock that one holds.
pub fn fence() -> Value {
    json!({"type": "integer", "description": "of your lock"})
}

/// What a task took.
pub fn usage() -> Value {
    json!({"type": "object", "properties": {"usd": text(), "tokens": number()}})
}
