use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::{DOCUMENT, OPERATIONS};
use crate::problem::CODES;

/// Every `"/…"` in the source of the routes is one, spelt as the document spells it.
fn declared() -> BTreeSet<String> {
    let source =
        include_str!("../mod.rs").split("/// Whatever is not declared above").next().unwrap_or_default();
    let literals = source.split("\"/").skip(1).filter_map(|rest| rest.split('"').next());
    let is_route = |text: &&str| {
        let first = text.split('/').next().unwrap_or_default();
        !text.contains(' ')
            && matches!(
                first,
                "" | "v1" | "console" | "healthz" | "readyz" | "metrics" | "docs" | "openapi.json"
            )
    };
    let routes = literals.filter(is_route).filter(|text| text.is_empty() || !text.ends_with('/'));
    routes
        .filter(|text| !text.starts_with("docs/**") && *text != "docs/a.md" && *text != "docs/b.md")
        .filter(|text| !text.starts_with("docs/published"))
        .map(|text| format!("/{}", text.replace("{*", "{")))
        .collect()
}

#[test]
fn every_route_stands_in_the_document_and_the_other_way_round() {
    let described: BTreeSet<String> = DOCUMENT["paths"].as_object().unwrap().keys().cloned().collect();
    assert_eq!(described, declared());
    let n_operations: usize = DOCUMENT["paths"]
        .as_object()
        .unwrap()
        .values()
        .map(|methods| methods.as_object().unwrap().len())
        .sum();
    let served =
        OPERATIONS.0.iter().filter(|operation| !operation.path.ends_with('/') || operation.path == "/");
    assert_eq!(n_operations, served.count(), "no two handlers for one method of a route");
}

#[test]
fn every_reference_leads_somewhere_and_every_operation_has_its_own_name() {
    let mut names = BTreeSet::new();
    for (path, methods) in DOCUMENT["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            let name = operation["operationId"].as_str().unwrap().to_owned();
            assert!(names.insert(name.clone()), "{method} {path}: `{name}` is taken");
            assert!(!operation["summary"].as_str().unwrap().is_empty(), "{method} {path} has a summary");
        }
    }
    each_reference(&DOCUMENT, &mut |reference| {
        let pointer = reference.strip_prefix('#').expect("all stand in the document");
        assert!(DOCUMENT.pointer(pointer).is_some(), "`{reference}` leads nowhere");
    });
}

fn each_reference(value: &Value, check: &mut impl FnMut(&str)) {
    match value {
        Value::Object(object) => {
            if let Some(Value::String(reference)) = object.get("$ref") {
                check(reference);
            }
            object.values().for_each(|value| each_reference(value, check));
        }
        Value::Array(items) => items.iter().for_each(|value| each_reference(value, check)),
        _ => {}
    }
}

#[test]
fn every_example_is_a_body_that_its_schema_takes() {
    let mut n_examples = 0;
    for (path, methods) in DOCUMENT["paths"].as_object().unwrap() {
        for operation in methods.as_object().unwrap().values() {
            let media = &operation["requestBody"]["content"]["application/json"];
            let Some(example) = media.get("example") else { continue };
            n_examples += 1;
            let schema = json!({"allOf": [media["schema"]], "components": DOCUMENT["components"]});
            let validator = jsonschema::validator_for(&schema).unwrap();
            let errors: Vec<String> = validator.iter_errors(example).map(|error| error.to_string()).collect();
            assert!(errors.is_empty(), "{path}: {errors:?}");
        }
    }
    assert!(n_examples >= 15, "{n_examples}");
}

#[test]
fn every_code_of_a_refusal_is_in_the_list() {
    let listed: BTreeSet<&str> = CODES.iter().copied().collect();
    assert_eq!(listed.len(), CODES.len());
    assert!(CODES.is_sorted());
    let engine = include_str!("../../../../engine/src/api/error.rs");
    let codes = engine.split("=> \"").skip(1).filter_map(|rest| rest.split('"').next());
    for code in codes.filter(|code| code.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_')) {
        assert!(listed.contains(code), "`{code}`");
    }
}
