mod attacks;
mod beside;
mod documents;
mod fuzz;
mod made;
mod mails;
mod media;
mod programs;
mod sets;
mod texts;

use std::time::Duration;

use serde_json::{Value, json};
use waypost_engine::api::{Isolation, Workers};
use waypost_engine::id::VersionId;
use waypost_engine::reader::{Reader, Reading};
use waypost_engine::text::Limits;

use crate::support::Server;

/// Workers as the server starts them.
pub fn workers() -> Isolation {
    Isolation::Workers(Workers::new([env!("CARGO_BIN_EXE_waypost"), "extract-worker"]))
}

/// A program in place of a worker.
fn instead(script: &str, patience: Duration) -> Isolation {
    let workers = Workers::new(["/bin/sh", "-c", script]);
    Isolation::Workers(Workers { patience, ..workers })
}

/// A reader with a cache of its own.
pub struct Desk {
    reader: Reader,
    _folder: tempfile::TempDir,
}

impl Desk {
    pub fn new(limits: Limits, isolation: Isolation) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let reader = Reader::open(&folder.path().join("texts.db"), limits, isolation).unwrap();
        Self { reader, _folder: folder }
    }

    pub fn read(&self, name: &str, bytes: &[u8]) -> Reading {
        self.reader.read(VersionId::of(bytes), name, bytes).unwrap()
    }
}

/// A server whose workspace `docs` holds these files, read by workers.
pub fn serve(files: &[(&str, Vec<u8>)], archives: bool) -> Server {
    let fill = |docs: &std::path::Path| {
        for (name, bytes) in files {
            std::fs::write(docs.join(name), bytes).unwrap();
        }
    };
    Server::start_as(fill, |options| options.isolation(workers()).archives(archives))
}

#[track_caller]
fn best(server: &Server, query: &str) -> Value {
    let found = server.post("/v1/search", &json!({"query": query, "mode": "lexical"})).json();
    assert!(found["results"][0].is_object(), "{query}: {found}");
    found["results"][0]["citation"].clone()
}

/// Checks a citation: it holds, and does not once any of it is changed.
#[track_caller]
fn check_verifies(server: &Server, citation: &Value) {
    let verdict = |citation: &Value| {
        let answer = server.post("/v1/citations/verify", &json!({"citations": [citation]})).json();
        let items = answer.get("items").or_else(|| answer.get("results")).or_else(|| answer.get("citations"));
        items.and_then(|items| items[0]["valid"].as_bool()).unwrap_or_else(|| panic!("{answer}"))
    };
    assert!(verdict(citation), "{citation}");
    let mut other = citation.clone();
    other["quote"] = format!("{}x", citation["quote"].as_str().unwrap()).into();
    assert!(!verdict(&other), "{other}");
    for (field, wrong) in [
        ("page", json!(99)),
        ("slide", json!(99)),
        ("range", json!("Z9")),
        ("chapter", json!("none")),
        ("message", json!(99)),
    ] {
        if citation.get(field).is_some_and(|value| !value.is_null()) {
            let mut other = citation.clone();
            other[field] = wrong;
            assert!(!verdict(&other), "{other}");
        }
    }
}
