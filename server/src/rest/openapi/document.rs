use std::collections::{BTreeMap, BTreeSet};

use axum::http::Method;
use serde_json::{Map, Value, json};

use super::describe::{Parts, REPLIES, SCHEMAS, Schemas};
use super::{OPERATIONS, Operation};
use crate::problem::{BudgetShown, CODES};

const DESCRIPTION: &str = "Workspaces of plain files with search, cited answers, routing to agents and tools, tasks and \
    events, behind one access gate.\n\nWhat a token may not see answers as what does not exist: `404 not_found`. Refusals are \
    `application/problem+json` (RFC 9457) with a stable `code`. Unknown fields and parameters are refused. Lists take `limit` \
    and `cursor`, and answer `items` and `next_cursor`. `HEAD` works wherever `GET` does. MCP is spoken at `/mcp`.";

const KEY: &str = "Makes a repeated request act once: with the same key, token and request, the reply of the first success \
    comes back for 24 hours, with `Idempotency-Replayed: true`. Another request under the key is refused with 422 \
    `idempotency_mismatch`, a second one while the first runs with 409 `idempotency_in_progress`, and one whose reply is not \
    kept (a secret, or more than 64 KiB) with 409 `idempotency_not_kept`. A refusal leaves the key free. A crash between the \
    act and the keeping of its reply frees it too: then a repetition acts again (at least once).";

/// The operation that a matched route stands for.
pub fn operation_of(method: &Method, path: &str) -> Option<&'static Operation> {
    OPERATIONS.0.iter().find(|operation| operation.method == method && operation.path == path)
}

/// Puts the document together; the first `n_open` operations need no token.
pub fn assemble(operations: &[Operation], n_open: usize) -> Value {
    let mut schemas = Schemas::new();
    let mut paths: BTreeMap<String, Map<String, Value>> = BTreeMap::new();
    for (operation_idx, operation) in operations.iter().enumerate() {
        // The same list under a second spelling.
        if operation.path.len() > 1 && operation.path.ends_with('/') {
            continue;
        }
        let shown = show(operation, operation_idx < n_open, &mut schemas);
        let methods = paths.entry(operation.path.replace("{*", "{")).or_default();
        methods.insert(operation.method.as_str().to_ascii_lowercase(), shown);
    }
    schemas.outputs.subschema_for::<BudgetShown>();
    let mut paths = json!(paths);
    let schemas = join(schemas, &mut paths);
    let mut tags: Vec<&str> = Vec::new();
    for operation in operations {
        if !tags.contains(&operation.tag) {
            tags.push(operation.tag);
        }
    }
    let tags: Vec<Value> = tags.into_iter().map(|name| json!({"name": name})).collect();
    json!({
        "openapi": "3.1.0",
        "jsonSchemaDialect": "https://json-schema.org/draft/2020-12/schema",
        "info": {
            "title": "Waypost",
            "version": env!("CARGO_PKG_VERSION"),
            "description": DESCRIPTION,
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "security": [{"bearer": []}],
        "tags": tags,
        "paths": paths,
        "components": components(schemas),
    })
}

fn components(mut schemas: Map<String, Value>) -> Value {
    schemas.insert("Problem".to_owned(), problem());
    let content = json!({"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}});
    let text = json!({"type": "string"});
    json!({
        "schemas": schemas,
        "securitySchemes": {"bearer": {
            "type": "http", "scheme": "bearer",
            "description": "a token of this home, `wp_<id>_<secret>`; only the header counts",
        }},
        "parameters": {"IdempotencyKey": {
            "name": "Idempotency-Key", "in": "header", "required": false, "description": KEY,
            "schema": {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!-~]+$"},
        }},
        "responses": {
            "Problem": {"description": "refused; `code` says why", "content": content},
            "Unauthorized": {
                "description": "no valid token", "content": content, "headers": {"WWW-Authenticate": {"schema": text}},
            },
            "TooMany": {
                "description": "the token asks too often (`rate_limited`), or a budget has no room (`budget_exceeded`)",
                "content": content, "headers": {"Retry-After": {"schema": text}},
            },
        },
    })
}

/// RFC 9457, with the codes that may stand in it.
fn problem() -> Value {
    json!({
        "type": "object",
        "description": "a refusal; more codes may come, none changes its meaning",
        "properties": {
            "type": {"type": "string", "description": "`urn:waypost:problem:<code>`"},
            "title": {"type": "string"},
            "status": {"type": "integer", "minimum": 400, "maximum": 599},
            "detail": {"type": "string", "description": "what happened this time"},
            "code": {"type": "string", "enum": CODES, "description": "stable, for programs"},
            "hint": {"type": "string", "description": "what to do next"},
            "approval_id": {"type": "string", "description": "what waits at a gate"},
            "budget": {"$ref": "#/components/schemas/BudgetShown"},
            "resets_at": {"type": "string", "format": "date-time"},
        },
        "required": ["type", "title", "status", "detail", "code"],
    })
}

fn show(operation: &Operation, is_open: bool, schemas: &mut Schemas) -> Value {
    let parts = (operation.describe)(schemas);
    let mut shown = Map::new();
    shown.insert("tags".to_owned(), json!([operation.tag]));
    shown.insert("summary".to_owned(), json!(operation.about.summary));
    shown.insert("operationId".to_owned(), json!(operation_id(operation)));
    let parameters = parameters(operation, &parts);
    if !parameters.is_empty() {
        shown.insert("parameters".to_owned(), Value::Array(parameters));
    }
    if let Some(body) = body(operation, &parts, schemas) {
        shown.insert("requestBody".to_owned(), body);
    }
    shown.insert("responses".to_owned(), responses(operation, parts, is_open, schemas));
    if is_open {
        shown.insert("security".to_owned(), json!([]));
    }
    Value::Object(shown)
}

/// `waypost::rest::files::read` → `files.read`.
fn operation_id(operation: &Operation) -> String {
    let below = operation.handler.split("rest::").last().unwrap_or(operation.handler);
    below.replace("::", ".")
}

fn parameters(operation: &Operation, parts: &Parts) -> Vec<Value> {
    let named = operation.path.split('{').skip(1).filter_map(|rest| rest.split('}').next());
    let mut all: Vec<Value> = named
        .map(|name| {
            let (name, description) = match name.strip_prefix('*') {
                Some(name) => (name, "with its slashes: `workspace/folder/file.md`"),
                None => (name, "as it was answered before"),
            };
            let schema = json!({"type": "string", "minLength": 1});
            json!({"name": name, "in": "path", "required": true, "description": description, "schema": schema})
        })
        .collect();
    all.extend(parts.parameters.iter().cloned());
    for (name, meaning) in &operation.about.headers {
        let schema = json!({"type": "string"});
        all.push(json!({"name": name, "in": "header", "required": false, "description": meaning, "schema": schema}));
    }
    if operation.is_keyed() {
        all.push(json!({"$ref": "#/components/parameters/IdempotencyKey"}));
    }
    all
}

fn body(operation: &Operation, parts: &Parts, schemas: &mut Schemas) -> Option<Value> {
    if parts.takes_bytes {
        let kind = operation.about.body_media.unwrap_or("application/octet-stream");
        return Some(json!({"required": true, "content": {kind: {"schema": {}}}}));
    }
    let given = operation.about.body.map(|schema| (schema(schemas), true));
    let (schema, is_required) = given.or_else(|| parts.body.clone())?;
    let mut media = json!({"schema": schema});
    if let (Some(example), Some(media)) = (&operation.about.example, media.as_object_mut()) {
        media.insert("example".to_owned(), example.clone());
    }
    Some(json!({"required": is_required, "content": {"application/json": media}}))
}

fn responses(operation: &Operation, parts: Parts, is_open: bool, schemas: &mut Schemas) -> Value {
    let mut content = Map::new();
    if let Some(schema) = operation.about.reply.map(|schema| schema(schemas)).or(parts.reply) {
        content.insert("application/json".to_owned(), json!({"schema": schema}));
    }
    for kind in &operation.about.media {
        content.insert((*kind).to_owned(), json!({"schema": {}}));
    }
    let usual = [parts.status];
    let statuses = if operation.about.statuses.is_empty() { &usual[..] } else { &operation.about.statuses };
    let mut all = Map::new();
    for status in statuses {
        let mut reply = json!({"description": "done"});
        if let (false, Some(reply)) = (content.is_empty() || *status == 304, reply.as_object_mut()) {
            reply.insert("content".to_owned(), json!(content));
        }
        all.insert(status.to_string(), reply);
    }
    if !is_open {
        all.insert("401".to_owned(), json!({"$ref": "#/components/responses/Unauthorized"}));
        all.insert("429".to_owned(), json!({"$ref": "#/components/responses/TooMany"}));
    }
    all.insert("default".to_owned(), json!({"$ref": "#/components/responses/Problem"}));
    Value::Object(all)
}

/// One set of schemas out of both: a type that is read and written in two ways stands there twice.
fn join(mut schemas: Schemas, paths: &mut Value) -> Map<String, Value> {
    let mut joined = schemas.inputs.take_definitions(true);
    let outputs = schemas.outputs.take_definitions(true);
    let differing = differing(&joined, &outputs);
    let prefix = format!("#{REPLIES}/");
    let rename = |reference: &str| -> Option<String> {
        let name = reference.strip_prefix(&prefix)?;
        let ending = if differing.contains(name) { "Reply" } else { "" };
        Some(format!("#{SCHEMAS}/{name}{ending}"))
    };
    rewrite(paths, &rename);
    for (name, mut schema) in outputs {
        rewrite(&mut schema, &rename);
        let ending = if differing.contains(&name) { "Reply" } else { "" };
        joined.insert(format!("{name}{ending}"), schema);
    }
    joined
}

/// Names that stand on both sides and mean another thing on each, by themselves or by what they refer to.
fn differing(inputs: &Map<String, Value>, outputs: &Map<String, Value>) -> BTreeSet<String> {
    let texts: BTreeMap<&String, String> =
        outputs.iter().map(|(name, schema)| (name, schema.to_string().replace(REPLIES, SCHEMAS))).collect();
    let mut differing: BTreeSet<String> = BTreeSet::new();
    loop {
        let before = differing.len();
        for (name, text) in &texts {
            let Some(input) = inputs.get(*name).map(Value::to_string) else { continue };
            let refers = |other: &String| text.contains(&format!("{SCHEMAS}/{other}\""));
            if input != *text || differing.iter().any(refers) {
                differing.insert((*name).clone());
            }
        }
        if differing.len() == before {
            return differing;
        }
    }
}

fn rewrite(value: &mut Value, rename: &dyn Fn(&str) -> Option<String>) {
    match value {
        Value::Object(object) => {
            if let Some(Value::String(reference)) = object.get_mut("$ref")
                && let Some(renamed) = rename(reference)
            {
                *reference = renamed;
            }
            object.values_mut().for_each(|value| rewrite(value, rename));
        }
        Value::Array(items) => items.iter_mut().for_each(|value| rewrite(value, rename)),
        _ => {}
    }
}

impl Operation {
    /// Whether `Idempotency-Key` counts.
    pub fn is_keyed(&self) -> bool {
        self.method != Method::GET && !self.about.only_reads
    }
}
