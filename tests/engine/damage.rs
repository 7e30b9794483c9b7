//! A damaged index is noticed when it is opened, and built anew from the files.

use std::fs;
use std::sync::Arc;

use waypost_engine::search::Mode;

use crate::house::{House, WordTable, index, library, open, search, write};

fn fixture() -> String {
    library(30).into_iter().map(|(path, text)| format!("//- {path}\n{text}")).collect()
}

#[test]
fn a_flipped_byte_or_a_missing_file_costs_a_rebuild_and_nothing_else() {
    let house = House::new(&fixture());
    let expected = serde_json::to_value(&house.search("harbour lantern").results).unwrap();
    let (folder, table) = (house.folder, house.table.clone().unwrap());
    drop(house.engine);
    let index_folder =
        fs::read_dir(folder.path().join(".waypost/index")).unwrap().flatten().next().unwrap().path();
    for ending in ["vec", "json", "removed"] {
        let victim = fs::read_dir(&index_folder)
            .unwrap()
            .flatten()
            .map(|entry| entry.path())
            .filter(|path| path.is_file())
            .find(|path| match ending {
                "vec" => path.extension().is_some_and(|found| found == "vec"),
                "json" => path.ends_with("meta.json"),
                _ => path.extension().is_some_and(|found| found == "term"),
            })
            .expect("the index has such a file");
        if ending == "removed" {
            fs::remove_file(&victim).unwrap();
        } else {
            let mut bytes = fs::read(&victim).unwrap();
            let middle = bytes.len() / 2;
            bytes[middle] ^= 0x55;
            fs::write(&victim, bytes).unwrap();
        }
        let engine = open(folder.path(), Some(Arc::clone(&table)));
        assert_eq!(engine.rebuilt().len(), 1, "{ending}: the damage was noticed");
        index(&engine);
        let found = search(&engine.owner_session(), "harbour lantern", Mode::Hybrid, 10);
        assert_eq!(serde_json::to_value(&found.results).unwrap(), expected, "{ending}");
        assert!(engine.check(false).unwrap().findings.is_empty());
    }
}

#[test]
fn a_second_process_is_told_that_the_home_is_in_use() {
    let house = House::new("//- a.md\ntext\n");
    let second =
        waypost_engine::api::Engine::open(waypost_engine::api::EngineOptions::new(house.folder.path()));
    let error = second.err().expect("the home is taken");
    assert_eq!(error.code(), "home_in_use");
}

#[test]
fn without_its_model_an_index_stays_and_with_another_one_it_is_built_anew() {
    let house = House::new("//- a.md\nherons wade\n");
    let folder = house.folder;
    drop(house.engine);
    drop(house.table);
    let engine = open(folder.path(), None);
    assert!(engine.rebuilt().is_empty(), "{:?}", engine.rebuilt());
    write(&folder.path().join("workspaces/w"), "b.md", b"herons stand\n");
    index(&engine);
    assert_eq!(search(&engine.owner_session(), "herons", Mode::Lexical, 5).results.len(), 2);
    drop(engine);
    // The vectors are still there, and those that came without one get theirs.
    let table = Arc::new(WordTable::new());
    let engine = open(folder.path(), Some(Arc::clone(&table)));
    assert!(engine.rebuilt().is_empty(), "{:?}", engine.rebuilt());
    index(&engine);
    assert_eq!(table.n_embedded.load(std::sync::atomic::Ordering::Relaxed), 1);
    assert_eq!(search(&engine.owner_session(), "herons", Mode::Semantic, 5).results.len(), 2);
    drop(engine);
    let engine = open(folder.path(), Some(Arc::new(WordTable::other_model())));
    assert!(engine.rebuilt()[0].contains("built with"), "{:?}", engine.rebuilt());
}
