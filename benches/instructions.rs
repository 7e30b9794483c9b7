//! How many instructions do the hot paths take? Counted, not timed, so that a busy machine changes nothing.
//!
//! `instructions prepare DIR` makes a home with 2,000 files of four sections, 8,000 chunks of words by Zipf's law with a vector
//! of each. `instructions run DIR PATH N` opens it and takes the path N times; the difference between two N is what
//! the path itself takes, whatever the opening took. `benches/instructions` runs both under callgrind and compares with
//! the counts that are kept in `benches/instructions.toml`.

mod made;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use waypost_engine::api::{AskRequest, Engine, EngineOptions, SearchRequest, Session};
use waypost_engine::embed::{Bert, Embedder, Manifest, Resolved, Sources, resolve};
use waypost_engine::id::WorkspaceName;
use waypost_engine::search::Mode;

use made::{Numbers, OfWords, write_files};

const N_FILES: usize = 2_000;
const WORDS: usize = 90;
/// Words of what is embedded: about as many word pieces as a chunk has at most.
const EMBEDDED_WORDS: usize = 160;

fn open(folder: &Path) -> Arc<Engine> {
    let options = EngineOptions::new(folder.join("home")).embedder(Some(Arc::new(OfWords::new())));
    Arc::new(Engine::open(options).expect("a home"))
}

fn workspace(folder: &Path) -> PathBuf {
    folder.join("home").join("workspaces").join("docs")
}

fn prepare(folder: &Path) {
    let docs = workspace(folder);
    let mut numbers = Numbers(3);
    write_files(&docs, N_FILES, &mut numbers);
    let (engine, name) = (open(folder), WorkspaceName::new("docs").expect("a name"));
    engine.create_workspace(&name).expect("a workspace");
    engine.index(&name, &AtomicBool::new(false), &mut |_| {}).expect("an index");
}

/// A different query each time, the same ones in every run.
fn queries(n: usize) -> Vec<String> {
    let mut numbers = Numbers(5);
    (0..n).map(|_| numbers.words(3)).collect()
}

fn search(session: &Session, mode: Mode, n: usize) {
    for query in queries(n) {
        let request = SearchRequest { query, mode, ..SearchRequest::default() };
        std::hint::black_box(session.search(&request).expect("hits"));
    }
}

fn ask(session: &Session, n: usize) {
    for question in queries(n) {
        let request = AskRequest { question, ..AskRequest::default() };
        std::hint::black_box(session.ask(&request).expect("an answer"));
    }
}

/// The real model, on one thread: a chunk's text, or a question.
fn embed(n: usize, words: usize, is_query: bool) {
    let models = std::env::var("WAYPOST_MODELS").expect("WAYPOST_MODELS names the folder of the models");
    let manifest = Manifest::built_in();
    let sources = Sources::new(models).network(false);
    let resolved: Resolved = resolve(manifest.default_model(), &sources, &mut |_| {}).expect("a model");
    let model = Bert::open(&resolved).expect("a model");
    let mut numbers = Numbers(7);
    for _ in 0..n {
        let text = numbers.words(words);
        if is_query {
            std::hint::black_box(model.embed_query(&text).expect("a vector"));
        } else {
            std::hint::black_box(model.embed_documents(&[&text]).expect("a vector"));
        }
    }
}

/// One changed file after the other, indexed each time.
fn change(folder: &Path, n: usize) {
    let (engine, name) = (open(folder), WorkspaceName::new("docs").expect("a name"));
    let mut numbers = Numbers(9);
    for turn in 0..n {
        let text = format!("# Part\n\n{}\n", numbers.words(WORDS));
        let path = workspace(folder).join("d0").join(format!("new{turn}.md"));
        std::fs::write(path, text).expect("a file");
        engine.index(&name, &AtomicBool::new(false), &mut |_| {}).expect("an index");
    }
}

fn run(folder: &Path, path: &str, n: usize) {
    match path {
        "search_hybrid" => search(&open(folder).owner_session(), Mode::Hybrid, n),
        "search_lexical" => search(&open(folder).owner_session(), Mode::Lexical, n),
        "search_semantic" => search(&open(folder).owner_session(), Mode::Semantic, n),
        "ask" => ask(&open(folder).owner_session(), n),
        "index_a_change" => change(folder, n),
        "embed_a_query" => embed(n, 8, true),
        "embed_a_chunk" => embed(n, EMBEDDED_WORDS, false),
        other => panic!("there is no path `{other}`"),
    }
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["prepare", folder] => prepare(Path::new(folder)),
        ["run", folder, path, n] => run(Path::new(folder), path, n.parse().expect("a number")),
        // `cargo bench` and `cargo test` run it, too; counting is for `benches/instructions`.
        _ => println!("benches/instructions counts; this alone measures nothing"),
    }
}
