//! While serving, outside edits are noticed by themselves.

use std::fs;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::json;
use waypost_engine::api::{BackgroundSettings, Engine, EngineOptions, EventFilter, Indexer, WriteOptions};
use waypost_engine::embed::{EmbedError, Embedder, ModelId};
use waypost_engine::id::{VersionId, WorkspaceName};
use waypost_engine::search::Mode;

use crate::house::{self, House, WordTable, name, paths};

/// Looks until `found` holds; how long that took.
fn wait_until(what: &str, found: impl Fn() -> bool) -> Duration {
    let begun = Instant::now();
    while !found() {
        assert!(begun.elapsed() < Duration::from_secs(20), "{what} did not happen");
        std::thread::yield_now();
    }
    begun.elapsed()
}

#[test]
fn edits_saves_by_rename_bursts_and_removals_show_up() {
    let house = House::new("//- a.md\nold words about otters\n");
    let indexer = Indexer::start(&house.engine);
    let hits = |query: &str| -> Vec<String> {
        paths(&house.search_in(query, Mode::Lexical, 100)).into_iter().map(str::to_owned).collect()
    };
    wait_until("the first look", || house.session().workspace("w").unwrap().index.pending_files == 0);

    house.write("b.md", "fresh words about badgers\n");
    let took = wait_until("a new file", || hits("badgers") == ["b.md"]);
    assert!(took < Duration::from_secs(5), "a new file took {took:?}");

    fs::write(house.root().join(".a.md.swp"), "new words about beavers\n").unwrap();
    fs::rename(house.root().join(".a.md.swp"), house.root().join("a.md")).unwrap();
    wait_until("a save by rename", || hits("beavers") == ["a.md"] && hits("otters").is_empty());

    for i in 0..40 {
        house.write(&format!("burst/{i}.md"), &format!("burst number {i} about weasels\n"));
    }
    wait_until("a burst", || hits("weasels").len() == 40);

    fs::remove_dir_all(house.root().join("burst")).unwrap();
    wait_until("a removal", || hits("weasels").is_empty());
    wait_until("the vectors", || house.session().workspace("w").unwrap().index.pending_files == 0);
    assert!(indexer.warnings().is_empty(), "{:?}", indexer.warnings());
    drop(indexer);
    assert_eq!(Arc::strong_count(&house.engine), 1, "the threads have ended");
    assert!(house.engine.check(false).unwrap().findings.is_empty());
}

#[test]
fn who_writes_faster_than_is_read_keeps_nobody_else_waiting() {
    let house = House::new("//- a.md\nfirst\n");
    let session = house.session();
    let mut n_written = 0;
    house.write("b.md", "second\n");
    let mut write_one = |_| {
        assert!(n_written < 20, "what came after the beginning is read in the same turn");
        session.write_file(&format!("/w/late/{n_written}.md"), b"late\n", &WriteOptions::default()).unwrap();
        n_written += 1;
    };
    house.engine.index(&name(), &AtomicBool::new(false), &mut write_one).unwrap();
    let info = session.workspace("w").unwrap();
    assert!(info.index.pending_files > 0, "what is written while a turn ends waits for the next one");
}

#[test]
fn a_query_waits_for_a_change_that_it_names() {
    let house = House::new("//- a.md\nfirst\n");
    let seq = house.session().workspace("w").unwrap().index.seq;
    let request = |seq: String| waypost_engine::api::SearchRequest {
        query: "first".to_owned(),
        wait_for_seq: Some(seq),
        ..Default::default()
    };
    assert_eq!(house.session().search(&request(seq)).unwrap().results.len(), 1);
    let error = house.session().search(&request("nonsense".to_owned())).unwrap_err();
    assert_eq!(error.code(), "invalid_request");
}

#[test]
fn while_embedding_rests_words_are_found_and_the_answer_says_why() {
    let folder = tempfile::tempdir().unwrap();
    // No machine that runs this has less load than that.
    let busy = BackgroundSettings { max_load: Some(-1.0), ..BackgroundSettings::default() };
    let options = EngineOptions::new(folder.path()).embedder(Some(Arc::new(WordTable::new())));
    let engine = Arc::new(Engine::open(options.background(busy)).unwrap());
    engine.create_workspace(&house::name()).unwrap();
    fs::write(folder.path().join("workspaces/w/a.md"), "words about otters\n").unwrap();
    let indexer = Indexer::start(&engine);
    let found = || house::search(&engine.owner_session(), "otters", Mode::Hybrid, 10);
    wait_until("the words are found", || paths(&found()) == ["a.md"]);
    wait_until("the rest is told", || {
        let told = found().index.degraded;
        told.iter().any(|told| told.stage == "index" && told.reason.contains("load"))
    });
    assert_eq!(found().index.pending_files, 1);
    drop(indexer);
}

/// A word table that stops before its first otters until it is let go on, and notes what it embeds.
struct Gate {
    table: WordTable,
    begun: Sender<()>,
    go: Mutex<Receiver<()>>,
    is_open: AtomicBool,
    embedded: Mutex<Vec<String>>,
}

impl Embedder for Gate {
    fn id(&self) -> &ModelId {
        self.table.id()
    }

    fn dim(&self) -> usize {
        self.table.dim()
    }

    fn max_tokens(&self) -> usize {
        self.table.max_tokens()
    }

    fn embed_documents(&self, texts: &[&str]) -> Result<Vec<Vec<f32>>, EmbedError> {
        if texts[0].contains("otters") && !self.is_open.swap(true, Ordering::Relaxed) {
            let _ = self.begun.send(());
            // A test that failed lets it go on as well.
            let _ = self.go.lock().unwrap().recv();
        }
        self.embedded.lock().unwrap().extend(texts.iter().map(|text| (*text).to_owned()));
        self.table.embed_documents(texts)
    }

    fn embed_query(&self, text: &str) -> Result<Vec<f32>, EmbedError> {
        self.table.embed_query(text)
    }

    fn count_tokens(&self, text: &str) -> usize {
        self.table.count_tokens(text)
    }
}

/// Chunks that are embedded between two looks at who waits.
const SLICE: usize = 64;

/// Embeds a pile of 300 files in `aa`, stops in its first slice, and lets `act` go on from there, with an empty `zz` beside it.
fn beside_a_pile(act: impl FnOnce(&Arc<Engine>, Sender<()>, &Gate)) {
    let folder = tempfile::tempdir().unwrap();
    let ((begun, has_begun), (go, gone)) = (channel(), channel());
    let gate = Arc::new(Gate {
        table: WordTable::new(),
        begun,
        go: Mutex::new(gone),
        is_open: AtomicBool::new(false),
        embedded: Mutex::default(),
    });
    let embedder = Arc::clone(&gate) as Arc<dyn Embedder>;
    let engine = Arc::new(Engine::open(EngineOptions::new(folder.path()).embedder(Some(embedder))).unwrap());
    for name in ["aa", "zz"] {
        engine.create_workspace(&WorkspaceName::new(name).unwrap()).unwrap();
    }
    for i in 0..300 {
        house::write(
            &folder.path().join("workspaces/aa"),
            &format!("{i}.md"),
            format!("otters {i}\n").as_bytes(),
        );
    }
    let indexer = Indexer::start(&engine);
    has_begun.recv_timeout(Duration::from_secs(20)).expect("the pile is embedded");
    act(&engine, go, &gate);
    drop(indexer);
}

#[test]
fn a_write_is_found_by_both_arms_before_the_pile_of_another_workspace() {
    beside_a_pile(|engine, go, gate| {
        let session = engine.owner_session();
        let seq = session.write_file("/zz/a.md", b"badgers\n", &WriteOptions::default()).unwrap().seq;
        go.send(()).unwrap();
        let request = waypost_engine::api::SearchRequest {
            query: "badgers".to_owned(),
            workspaces: Some(vec!["zz".to_owned()]),
            wait_for_seq: Some(seq),
            ..Default::default()
        };
        assert_eq!(session.search(&request).unwrap().results.len(), 1);
        let n_before = {
            let embedded = gate.embedded.lock().unwrap();
            embedded.iter().position(|text| text.contains("badgers")).expect("it has a vector")
        };
        assert!(n_before <= 2 * SLICE, "{n_before} chunks of the pile came first");
        wait_until("the pile is embedded too", || session.workspace("aa").unwrap().index.pending_files == 0);
        let embedded = gate.embedded.lock().unwrap();
        assert_eq!(embedded.len(), 301, "nothing is embedded twice");
    });
}

#[test]
fn a_workspace_that_is_indexed_can_be_let_go_at_once() {
    beside_a_pile(|engine, go, gate| {
        let session = engine.owner_session();
        std::thread::scope(|threads| {
            let removed = threads.spawn(|| session.remove_workspace("aa", true));
            let names = || engine.workspace_names();
            wait_until("it is shown no longer", || !names().iter().any(|name| name.as_str() == "aa"));
            go.send(()).unwrap();
            removed.join().unwrap().unwrap();
        });
        assert_eq!(
            gate.embedded.lock().unwrap().len(),
            SLICE,
            "the slice that was under way is the last one"
        );
        assert_eq!(session.workspace("aa").unwrap_err().code(), "not_found");
    });
}

#[test]
fn what_is_told_of_a_file_says_what_it_is_or_was() {
    let house = House::lexical("//- a.md\nfirst\n//- b.md\nsecond!\n//- c.md\nthird\n");
    let (session, any) = (house.session(), WriteOptions::default());
    let start = session.events_from_now().unwrap().next;
    session.delete("/w/a.md", &any, false).unwrap();
    // By another program.
    fs::remove_file(house.root().join("b.md")).unwrap();
    house.index();
    session.move_path("/w/c.md", "/w/d.md", &any).unwrap();
    session.write_file("/w/events/orders/1.md", b"an order\n", &any).unwrap();
    session.publish("w", "builds", &json!({"build": 7})).unwrap();
    let told = session.events(Some(&start), &EventFilter::default(), 100).unwrap().items;
    assert!(told.iter().all(|event| event.workspace_id.starts_with("ws_")), "{told:?}");
    let shown: Vec<_> = told
        .iter()
        .map(|event| (event.event.as_str(), event.path.as_str(), event.mime_type.as_str(), event.size))
        .collect();
    let expected = [
        ("file.deleted", "/w/a.md", "text/markdown", 6),
        ("file.deleted", "/w/b.md", "text/markdown", 8),
        ("file.moved", "/w/d.md", "text/markdown", 6),
        ("file.created", "/w/events/orders/1.md", "text/markdown", 9),
        ("topic.published", "/w/events/orders/1.md", "text/markdown", 9),
        ("topic.published", "/w/events/builds", "", 0),
    ];
    assert_eq!(shown, expected);
    let versions: Vec<_> = told.iter().take(3).map(|event| event.version).collect();
    let expected = ["first\n", "second!\n", "third\n"].map(|text| Some(VersionId::of(text.as_bytes())));
    assert_eq!(versions, expected);
    // Its path has no version any more, whatever its last event tells.
    assert_eq!(session.versions("/w/a.md").unwrap()[0].version, None);
    assert!(session.versions("/w/a.md").unwrap()[0].size.is_none());
}
