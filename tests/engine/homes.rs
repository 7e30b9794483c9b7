//! A home that is moved, copied, or wanted by many at once.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use waypost_engine::api::{Engine, EngineOptions};
use waypost_engine::search::Mode;

use crate::house::{House, index, name, paths, search, write};

fn open(home: &Path) -> Arc<Engine> {
    Arc::new(Engine::open(EngineOptions::new(home)).unwrap())
}

/// A home whose workspace is its own folder, as `waypost index` makes it.
fn make(home: &Path) {
    fs::create_dir(home).unwrap();
    write(home, "a.md", b"herons wade\n");
    let engine = open(home);
    engine.attach(&name(), home).unwrap();
    index(&engine);
}

fn found(engine: &Arc<Engine>, query: &str) -> usize {
    assert!(engine.unavailable().is_empty(), "{:?}", engine.unavailable());
    paths(&search(&engine.owner_session(), query, Mode::Lexical, 5)).len()
}

#[test]
fn a_home_that_is_moved_finds_its_files_where_they_are() {
    let folder = tempfile::tempdir().unwrap();
    let (before, after) = (folder.path().join("mv1"), folder.path().join("mv2"));
    make(&before);
    fs::rename(&before, &after).unwrap();
    let engine = open(&after);
    assert_eq!(found(&engine, "herons"), 1);
    write(&after, "b.md", b"herons stand\n");
    index(&engine);
    assert_eq!(found(&engine, "herons"), 2);
    assert!(engine.rebuilt().is_empty() && engine.check(false).unwrap().findings.is_empty());
    drop(engine);
    fs::rename(&after, &before).unwrap();
    assert_eq!(found(&open(&before), "herons"), 2, "and back");
}

#[test]
fn a_copy_of_a_home_answers_from_its_own_files() {
    let folder = tempfile::tempdir().unwrap();
    // The copy lies beside its original, or in it.
    for (case, below) in ["copy", "original/copy"].into_iter().enumerate() {
        let base = folder.path().join(case.to_string());
        fs::create_dir(&base).unwrap();
        let (original, copy, aside) = (base.join("original"), base.join(below), base.join("aside"));
        make(&original);
        let copied = Command::new("cp").arg("-r").args([&original, &aside]).status().unwrap();
        assert!(copied.success());
        fs::rename(&aside, &copy).unwrap();
        fs::write(original.join("a.md"), "the original\n").unwrap();
        let engine = open(&copy);
        let read = engine.owner_session().read_file("/w/a.md", None, None).unwrap();
        assert_eq!(read.bytes, b"herons wade\n", "{below}");
        fs::write(copy.join("a.md"), "the copied walrus\n").unwrap();
        index(&engine);
        assert_eq!((found(&engine, "walrus"), found(&engine, "original")), (1, 0), "{below}");
        drop(engine);
        let read = open(&original).owner_session().read_file("/w/a.md", None, None).unwrap();
        assert_eq!(read.bytes, b"the original\n", "{below}");
    }
}

#[test]
fn a_workspace_inside_the_home_moves_with_it() {
    let House { folder, engine, .. } = House::lexical("//- a.md\nherons wade\n");
    drop(engine);
    let place = tempfile::tempdir().unwrap();
    let after = place.path().join("home");
    fs::rename(folder.keep(), &after).unwrap();
    assert_eq!(found(&open(&after), "herons"), 1);
}

#[test]
fn six_that_come_at_once_take_turns() {
    let House { folder, engine, .. } = House::lexical("//- a.md\nherons wade\n");
    drop(engine);
    std::thread::scope(|threads| {
        for _ in 0..6 {
            threads.spawn(|| assert_eq!(found(&open(folder.path()), "herons"), 1));
        }
    });
}
