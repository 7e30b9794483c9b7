use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, Method, StatusCode};
use axum::response::{Html, Response};
use axum::{Extension, Json};
use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde_json::{Value, json};

use super::super::extract::{Body, Content, FilePath, Params, Path};
use crate::problem::Problem;
use crate::serve::App;

/// Where the schemas of replies stand until both are joined.
pub const REPLIES: &str = "/components/replies";
/// Where schemas stand in the document.
pub const SCHEMAS: &str = "/components/schemas";

/// Collects the schemas of bodies and of replies: the same type may read more than it writes.
pub struct Schemas {
    /// Of what is read.
    pub inputs: SchemaGenerator,
    /// Of what is written.
    pub outputs: SchemaGenerator,
}

impl Schemas {
    /// With none yet.
    pub fn new() -> Self {
        let settings = |path: &'static str| {
            SchemaSettings::draft2020_12().with(|settings| {
                settings.definitions_path = path.into();
                settings.meta_schema = None;
            })
        };
        Self {
            inputs: settings(SCHEMAS).for_deserialize().into_generator(),
            outputs: settings(REPLIES).for_serialize().into_generator(),
        }
    }

    /// Of a body.
    pub fn input<T: JsonSchema>(&mut self) -> Schema {
        self.inputs.subschema_for::<T>()
    }

    /// Of a reply.
    pub fn output<T: JsonSchema>(&mut self) -> Schema {
        self.outputs.subschema_for::<T>()
    }
}

/// What a signature says.
#[derive(Default)]
pub struct Parts {
    /// Of the query string.
    pub parameters: Vec<Value>,
    /// JSON, and whether it must be there.
    pub body: Option<(Schema, bool)>,
    /// Any bytes.
    pub takes_bytes: bool,
    /// JSON.
    pub reply: Option<Schema>,
    /// The usual status of a success.
    pub status: u16,
}

/// A handler whose signature can be told.
pub trait Described<Args> {
    /// What it takes and gives.
    fn describe(schemas: &mut Schemas) -> Parts;
}

/// An argument of a handler.
pub trait Input {
    /// Adds what it stands for.
    fn describe(_: &mut Parts, _: &mut Schemas) {}
}

/// What a handler gives.
pub trait Output {
    /// Adds what it stands for.
    fn describe(parts: &mut Parts, schemas: &mut Schemas);
}

impl Input for State<Arc<App>> {}
impl<T> Input for Extension<T> {}
impl<T> Input for Option<Extension<T>> {}
impl Input for HeaderMap {}
impl Input for Method {}
impl Input for Request {}
// The route's own text names what stands in it.
impl<T> Input for Path<T> {}
impl Input for FilePath {}

impl Input for Content {
    fn describe(parts: &mut Parts, _: &mut Schemas) {
        parts.takes_bytes = true;
    }
}

impl<T: JsonSchema> Input for Body<T> {
    fn describe(parts: &mut Parts, schemas: &mut Schemas) {
        parts.body = Some((schemas.input::<T>(), true));
    }
}

impl<T: JsonSchema> Input for Option<Body<T>> {
    fn describe(parts: &mut Parts, schemas: &mut Schemas) {
        parts.body = Some((schemas.input::<T>(), false));
    }
}

impl<T: JsonSchema> Input for Params<T> {
    fn describe(parts: &mut Parts, schemas: &mut Schemas) {
        let schema = T::json_schema(&mut schemas.inputs);
        let Some(properties) = schema.get("properties").and_then(Value::as_object) else { return };
        let required = schema.get("required").and_then(Value::as_array).cloned().unwrap_or_default();
        for (name, property) in properties {
            let mut schema = property.clone();
            let description = schema.as_object_mut().and_then(|schema| schema.remove("description"));
            without_null(&mut schema);
            let is_required = required.iter().any(|word| word == name);
            let mut shown = json!({"name": name, "in": "query", "required": is_required, "schema": schema});
            let description = description.or_else(|| usual(name).map(Value::from));
            if let (Some(description), Some(shown)) = (description, shown.as_object_mut()) {
                shown.insert("description".to_owned(), description);
            }
            parts.parameters.push(shown);
        }
    }
}

/// What a parameter means on every route that takes it.
fn usual(name: &str) -> Option<&'static str> {
    Some(match name {
        "limit" => "items of one answer at most",
        "cursor" => "the `next_cursor` of the answer before",
        "workspace" => "the name of one",
        "version" => "the hash of the bytes, as `ETag` and `/v1/versions` tell it",
        "as_of" => "the id of a snapshot, or a `seq`",
        "head" | "tail" => "so many lines of it",
        _ => return None,
    })
}

/// A query string has no null: what is not wanted is left out.
fn without_null(schema: &mut Value) {
    let Some(object) = schema.as_object_mut() else { return };
    if let Some(Value::Array(kinds)) = object.get_mut("type") {
        kinds.retain(|kind| kind != "null");
        if let [kind] = &kinds[..] {
            let kind = kind.clone();
            object.insert("type".to_owned(), kind);
        }
    }
    let Some(Value::Array(mut choices)) = object.remove("anyOf") else { return };
    choices.retain(|choice| choice.get("type").is_none_or(|kind| kind != "null"));
    match (choices.pop(), choices.is_empty()) {
        (Some(Value::Object(only)), true) => object.extend(only),
        (last, _) => {
            choices.extend(last);
            object.insert("anyOf".to_owned(), Value::Array(choices));
        }
    }
}

impl<T: JsonSchema> Output for Json<T> {
    fn describe(parts: &mut Parts, schemas: &mut Schemas) {
        parts.status = 200;
        parts.reply = Some(schemas.output::<T>());
    }
}

impl<T: Output> Output for (StatusCode, T) {
    fn describe(parts: &mut Parts, schemas: &mut Schemas) {
        T::describe(parts, schemas);
    }
}

impl Output for StatusCode {
    fn describe(parts: &mut Parts, _: &mut Schemas) {
        parts.status = 204;
    }
}

impl Output for Response {
    fn describe(parts: &mut Parts, _: &mut Schemas) {
        parts.status = 200;
    }
}

impl Output for Html<&'static str> {
    fn describe(parts: &mut Parts, _: &mut Schemas) {
        parts.status = 200;
    }
}

// Every route may refuse, and all refuse alike.
impl<T: Output> Output for Result<T, Problem> {
    fn describe(parts: &mut Parts, schemas: &mut Schemas) {
        T::describe(parts, schemas);
    }
}

macro_rules! described {
    ($($argument:ident)*) => {
        impl<F, Answer, $($argument,)*> Described<($($argument,)*)> for F
        where
            F: Fn($($argument),*) -> Answer,
            Answer: Future,
            Answer::Output: Output,
            $($argument: Input,)*
        {
            fn describe(schemas: &mut Schemas) -> Parts {
                let mut parts = Parts::default();
                $($argument::describe(&mut parts, schemas);)*
                <Answer::Output as Output>::describe(&mut parts, schemas);
                parts
            }
        }
    };
}

described!();
described!(A);
described!(A B);
described!(A B C);
described!(A B C D);
described!(A B C D E);
described!(A B C D E G);
