//! A home that is moved, copied, or wanted by many at once.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use waypost_engine::api::{Engine, EngineOptions, FindRequest, Indexer, WriteOptions};
use waypost_engine::id::WorkspaceName;
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

fn any() -> WriteOptions {
    WriteOptions::default()
}

fn called(name: &str) -> WorkspaceName {
    WorkspaceName::new(name).unwrap()
}

/// Looks until `done` holds.
fn eventually(what: &str, done: impl Fn() -> bool) {
    let begun = Instant::now();
    while !done() {
        assert!(begun.elapsed() < Duration::from_secs(30), "{what} did not happen");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// A home with the workspace `w`, which is the attached folder `docs` beside it.
fn attached(base: &Path, text: &str) -> Arc<Engine> {
    write(&base.join("docs"), "a.md", text.as_bytes());
    let engine = open(&base.join("home"));
    engine.attach(&name(), &base.join("docs")).unwrap();
    index(&engine);
    engine
}

#[test]
fn what_belongs_to_a_home_is_shown_by_no_workspace() {
    let folder = tempfile::tempdir().unwrap();
    let docs = folder.path().join("docs");
    write(&docs, "waypost.toml", b"# the walrus\n");
    write(&docs, "workspaces/hr/s.md", b"the walrus\n");
    write(&docs, "sub/workspaces.md", b"the narwhal\n");
    let engine = attached(folder.path(), "herons wade\n");
    let session = engine.owner_session();
    assert!(found(&engine, "walrus") > 0, "it is no home yet");
    let snapshot = session.take_snapshot(Some("w"), "before").unwrap().remove(0).id;
    // As `waypost index docs` makes it one.
    fs::create_dir(docs.join(".waypost")).unwrap();
    assert_eq!(found(&engine, "walrus"), 0, "what is found is looked at");
    for path in
        ["/w/waypost.toml", "/w/Waypost.TOML", "/w/workspaces/hr/s.md", "/w/workspaces", "/w/WORKSPACES/x.md"]
    {
        let codes = [
            session.read_file(path, None, None).map(drop),
            session.list(path).map(drop),
            session.info(path).map(drop),
            session.versions(path).map(drop),
            session.write_file(path, b"run", &any()).map(drop),
            session.append_file(path, b"run", &any()).map(drop),
            session.create_folder(path).map(drop),
            session.copy_path("/w/a.md", path, &any()).map(drop),
            session.move_path("/w/a.md", path, &any()).map(drop),
            session.copy_path(path, "/w/b.md", &any()).map(drop),
            session.delete(path, &any(), true).map(drop),
        ];
        for (which, refused) in codes.into_iter().enumerate() {
            assert_eq!(refused.expect_err(path).code(), "not_found", "{which} of {path}");
        }
    }
    let names: Vec<String> = session.list("/w").unwrap().into_iter().map(|entry| entry.name).collect();
    assert_eq!(names, ["sub", "a.md"]);
    let wanted = FindRequest { below: "/w", pattern: "**", exclude: &[], after: None, limit: 100 };
    assert_eq!(session.find_files(&wanted).unwrap(), ["/w/a.md", "/w/sub/workspaces.md"]);
    index(&engine);
    assert_eq!((found(&engine, "walrus"), found(&engine, "narwhal")), (0, 1));
    let mut exported = Vec::new();
    session.export_snapshot(&snapshot, &mut exported).unwrap();
    assert!(!String::from_utf8_lossy(&exported).contains("walrus"), "nor does the past show it");
    assert_eq!(session.clone_snapshot(&snapshot, "copy").unwrap().files.restored, 2);
    session.restore_snapshot(&snapshot).unwrap();
    assert_eq!(fs::read(docs.join("waypost.toml")).unwrap(), b"# the walrus\n");
}

#[test]
fn a_home_that_is_its_own_workspace_shows_none_that_it_keeps() {
    let folder = tempfile::tempdir().unwrap();
    let home = folder.path().join("own");
    make(&home);
    let engine = open(&home);
    engine.create_workspace(&called("hr")).unwrap();
    let session = engine.owner_session();
    session.write_file("/hr/s.md", b"the walrus", &any()).unwrap();
    index(&engine);
    assert_eq!(session.read_file("/w/workspaces/hr/s.md", None, None).unwrap_err().code(), "not_found");
    let request = waypost_engine::api::SearchRequest {
        query: "walrus".to_owned(),
        workspaces: Some(vec!["w".to_owned()]),
        ..Default::default()
    };
    assert!(session.search(&request).unwrap().results.is_empty());
}

#[test]
fn a_folder_in_or_around_another_workspace_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let home = folder.path().join("home");
    let (outer, inner) = (folder.path().join("outer"), folder.path().join("outer/inner"));
    fs::create_dir_all(&inner).unwrap();
    let check = |first: &Path, second: &Path| {
        let engine = open(&home);
        engine.attach(&called("first"), first).unwrap();
        let refused = engine.attach(&called("second"), second).unwrap_err();
        assert_eq!(refused.code(), "invalid_request");
        assert!(refused.to_string().contains("of the workspace `first`"), "{refused}");
        engine.owner_session().remove_workspace("first", false).unwrap();
    };
    check(&outer, &inner);
    check(&inner, &outer);
    let engine = open(&home);
    engine.create_workspace(&called("hr")).unwrap();
    let refused = engine.attach(&called("all"), &home).unwrap_err().to_string();
    assert!(refused.contains("holds the folder of the workspace `hr`"), "{refused}");
    // Also while the folder of the other one is not there.
    engine.attach(&called("first"), &inner).unwrap();
    drop(engine);
    fs::rename(&inner, folder.path().join("away")).unwrap();
    let engine = open(&home);
    assert_eq!(engine.unavailable().len(), 1);
    assert!(engine.attach(&called("second"), &outer).is_err());
}

#[test]
fn folders_that_are_put_into_the_home_are_its_workspaces() {
    let folder = tempfile::tempdir().unwrap();
    let kept = folder.path().join("workspaces");
    for name in ["docs", "my notes", ".git"] {
        fs::create_dir_all(kept.join(name)).unwrap();
    }
    write(&kept, "loose.md", b"no folder\n");
    std::os::unix::fs::symlink("/etc", kept.join("linked")).unwrap();
    let engine = open(folder.path());
    let names = || engine.workspace_names().iter().map(ToString::to_string).collect::<Vec<_>>();
    assert!(names().is_empty(), "who only manages a home takes nothing in");
    let told = engine.take_in_folders().unwrap();
    assert_eq!((names(), told.len()), (vec!["docs".to_owned()], 2), "{told:?}");
    assert!(told[0].contains("`workspaces/linked`") && told[1].contains("`workspaces/my notes`"), "{told:?}");
    assert!(engine.take_in_folders().unwrap().is_empty(), "each is named once");
    // One that was let go stays so until it is made again.
    let session = engine.owner_session();
    session.remove_workspace("docs", false).unwrap();
    engine.take_in_folders().unwrap();
    assert!(names().is_empty());
    engine.create_workspace(&called("docs")).unwrap();
    session.remove_workspace("docs", true).unwrap();
    fs::create_dir(kept.join("docs")).unwrap();
    engine.take_in_folders().unwrap();
    assert_eq!(names(), ["docs"], "another folder of that name");
    // And while it is served.
    let indexer = Indexer::start(&engine);
    write(&kept, "later/a.md", b"herons wade\n");
    eventually("a new folder", || {
        let reply = search(&engine.owner_session(), "herons", Mode::Lexical, 5);
        reply.results.iter().any(|hit| hit.citation.path == "/later/a.md")
    });
    drop(indexer);
}

#[test]
fn folders_that_an_older_home_had_let_go_stay_so() {
    let folder = tempfile::tempdir().unwrap();
    let engine = open(folder.path());
    for name in ["docs", "gone"] {
        engine.create_workspace(&called(name)).unwrap();
    }
    drop(engine);
    // As a home was before it took folders in by itself.
    let catalog = rusqlite::Connection::open(folder.path().join(".waypost/catalog.db")).unwrap();
    let older = "DELETE FROM workspaces WHERE name = 'gone'; DELETE FROM meta WHERE key = 'takes_in'";
    catalog.execute_batch(older).unwrap();
    drop(catalog);
    let engine = open(folder.path());
    let names = || engine.workspace_names().iter().map(ToString::to_string).collect::<Vec<_>>();
    engine.take_in_folders().unwrap();
    assert_eq!(names(), ["docs"]);
    fs::create_dir(folder.path().join("workspaces/later")).unwrap();
    engine.take_in_folders().unwrap();
    assert_eq!(names(), ["docs", "later"]);
}

#[test]
fn nothing_is_written_into_a_folder_that_was_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let engine = attached(folder.path(), "herons\n");
    let (docs, old) = (folder.path().join("docs"), folder.path().join("docs.old"));
    engine.create_workspace(&called("busy")).unwrap();
    let session = engine.owner_session();
    fs::rename(&docs, &old).unwrap();
    let index_of = || engine.index(&name(), &AtomicBool::new(false), &mut |_| {});
    assert_eq!(index_of().unwrap_err().code(), "workspace_moved", "nothing of it is taken for gone");
    write(&docs, "b.md", b"storks\n");
    for refused in [
        session.write_file("/w/new.md", b"kept", &any()).map(drop),
        session.delete("/w/a.md", &any(), false).map(drop),
        session.move_path("/w/a.md", "/w/c.md", &any()).map(drop),
        session.create_folder("/w/new").map(drop),
        index_of().map(drop),
    ] {
        assert_eq!(refused.unwrap_err().code(), "workspace_moved");
    }
    // It is opened anew although something else always has to be done.
    let indexer = Indexer::start(&engine);
    let is_over = AtomicBool::new(false);
    std::thread::scope(|threads| {
        threads.spawn(|| {
            let session = engine.owner_session();
            while !is_over.load(Ordering::Relaxed) {
                session.write_file("/busy/a.md", b"steady", &any()).unwrap();
            }
        });
        let begun = Instant::now();
        while session.write_file("/w/new.md", b"kept", &any()).is_err() {
            if begun.elapsed() > Duration::from_secs(30) {
                is_over.store(true, Ordering::Relaxed);
                panic!("the new folder is not opened");
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        is_over.store(true, Ordering::Relaxed);
    });
    assert_eq!(fs::read(docs.join("new.md")).unwrap(), b"kept");
    assert!(old.join("a.md").exists() && !old.join("new.md").exists());
    eventually("what is there is found", || {
        let reply = search(&session, "storks", Mode::Lexical, 5);
        reply.results.iter().any(|hit| hit.citation.path == "/w/b.md")
    });
    // The new folder is watched.
    fs::write(docs.join("late.md"), "ibises\n").unwrap();
    eventually("what comes later is found", || {
        !search(&session, "ibises", Mode::Lexical, 5).results.is_empty()
    });
    drop(indexer);
}

#[test]
fn a_folder_that_goes_while_it_is_served_is_not_available_until_it_is_back() {
    let folder = tempfile::tempdir().unwrap();
    let engine = attached(folder.path(), "herons\n");
    let (docs, away) = (folder.path().join("docs"), folder.path().join("away"));
    let indexer = Indexer::start(&engine);
    let session = engine.owner_session();
    eventually("the first look", || session.workspace("w").is_ok_and(|info| info.index.pending_files == 0));
    fs::rename(&docs, &away).unwrap();
    let write_one = || session.write_file("/w/b.md", b"lost", &any());
    eventually("it is missed", || {
        assert!(write_one().is_err(), "nothing is written into what was moved away");
        engine.unavailable().len() == 1
    });
    assert!(!away.join("b.md").exists());
    fs::rename(&away, &docs).unwrap();
    eventually("it is back", || write_one().is_ok());
    assert!(engine.unavailable().is_empty() && docs.join("b.md").exists());
    assert_eq!(found(&engine, "herons"), 1, "nothing of it was taken for gone");
    drop(indexer);
}
