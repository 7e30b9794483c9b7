//! Damage of what is derived is noticed, told and made good from the files; damage of the catalog is told with a way out.

use std::fs;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use waypost_engine::api::{CheckReport, Engine, EngineOptions, SearchRequest, WriteOptions};
use waypost_engine::id::VersionId;
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
    let told = engine.rebuilt().remove(0);
    assert!(told.contains("built with the model") && !told.contains("Some("), "{told}");
}

#[test]
fn who_only_manages_a_home_leaves_an_index_of_another_model_as_it_is() {
    let House { folder, engine, table } = House::new("//- a.md\nherons wade\n");
    drop(engine);
    for _ in 0..2 {
        let other = Arc::new(WordTable::other_model());
        let options = EngineOptions::new(folder.path()).embedder(Some(other)).leaves_stale();
        let engine = Engine::open(options).unwrap();
        assert!(engine.rebuilt().is_empty(), "{:?}", engine.rebuilt());
        let report = engine.check(false).unwrap();
        assert_eq!(codes(&report), ["index_stale"]);
        let what = &report.findings[0].what;
        assert!(what.contains("built with the model") && what.contains("`waypost index`"), "{what}");
    }
    let engine = open(folder.path(), table);
    assert!(engine.rebuilt().is_empty(), "{:?}", engine.rebuilt());
    assert_eq!(search(&engine.owner_session(), "herons", Mode::Semantic, 5).results.len(), 1);
    drop(engine);
    let other = Arc::new(WordTable::other_model());
    let options = EngineOptions::new(folder.path()).embedder(Some(other)).leaves_stale();
    let engine = Engine::open(options).unwrap();
    assert_eq!(engine.check(true).unwrap().repaired, ["w"]);
    index(&engine);
    assert!(engine.check(false).unwrap().findings.is_empty());
}

fn codes(report: &CheckReport) -> Vec<&'static str> {
    report.findings.iter().map(|finding| finding.code).collect()
}

/// A file of the only index in a home, of a segment that is alive.
fn index_file(home: &Path, ending: &str) -> PathBuf {
    let folder = fs::read_dir(home.join(".waypost/index")).unwrap().flatten().next().unwrap().path();
    let alive = fs::read_to_string(folder.join("meta.json")).unwrap().replace('-', "");
    let mut files = fs::read_dir(folder).unwrap().flatten().map(|entry| entry.path());
    let is_wanted = |path: &PathBuf| {
        path.extension().is_some_and(|found| found == ending)
            && alive.contains(path.file_stem().unwrap().to_str().unwrap())
    };
    files.find(is_wanted).expect("the index has such a file")
}

/// Writes 16 bytes over the middle of a file, in place.
fn overwrite(path: &Path) {
    let file = fs::File::options().write(true).open(path).unwrap();
    file.write_all_at(&[0xA7; 16], file.metadata().unwrap().len() / 2).unwrap();
}

/// Asks for words and for a phrase. What comes back does not matter: only that something does.
fn ask_anything(engine: &Arc<Engine>) {
    for query in ["harbour lantern", "\"the harbour\" -\"an anvil\""] {
        let request = SearchRequest { query: query.to_owned(), ..SearchRequest::default() };
        drop(engine.owner_session().search(&request));
    }
}

/// Damages a part of an index, while nobody has it open or while it is open, and has it repaired.
fn repair(ending: &str, is_open: bool) {
    let House { folder, engine, table } = House::new(&fixture());
    let expected =
        serde_json::to_value(search(&engine.owner_session(), "harbour lantern", Mode::Hybrid, 10).results)
            .unwrap();
    let engine = if is_open {
        overwrite(&index_file(folder.path(), ending));
        engine
    } else {
        drop(engine);
        overwrite(&index_file(folder.path(), ending));
        open(folder.path(), table)
    };
    let found = codes(&engine.check(false).unwrap());
    assert!(!found.is_empty() && found.iter().all(|code| code.starts_with("index_")), "{ending}: {found:?}");
    ask_anything(&engine);
    assert_eq!(engine.check(true).unwrap().repaired, ["w"], "{ending}");
    index(&engine);
    let report = engine.check(false).unwrap();
    assert!(report.findings.is_empty(), "{ending}: {:?}", report.findings);
    let found = search(&engine.owner_session(), "harbour lantern", Mode::Hybrid, 10).results;
    assert_eq!(serde_json::to_value(found).unwrap(), expected, "{ending}");
}

#[test]
fn sixteen_bytes_written_over_any_part_of_an_index_are_found_and_repaired() {
    for ending in ["term", "idx", "fast", "fieldnorm", "pos", "store", "vec"] {
        repair(ending, false);
    }
}

#[test]
fn damage_of_an_index_that_is_open_is_no_panic() {
    for ending in ["term", "pos", "store"] {
        repair(ending, true);
    }
}

#[test]
fn an_index_that_is_gone_is_missed_and_one_that_never_was_is_not() {
    let House { folder, engine, table } = House::new(&fixture());
    drop(engine);
    fs::remove_dir_all(folder.path().join(".waypost/index")).unwrap();
    // Nobody fills it, so it is still gone the next time.
    for _ in 0..2 {
        let engine = open(folder.path(), table.clone());
        assert_eq!(codes(&engine.check(false).unwrap()), ["index_missing"]);
    }
    let engine = open(folder.path(), table);
    let report = engine.check(true).unwrap();
    assert_eq!((codes(&report), report.repaired), (vec!["index_missing"], vec!["w".to_owned()]));
    index(&engine);
    assert!(engine.check(false).unwrap().findings.is_empty());

    let house = House::lexical("");
    house.session().write_file("/w/a.md", b"herons", &WriteOptions::default()).unwrap();
    assert!(house.engine.check(false).unwrap().findings.is_empty(), "it is only late");
}

#[test]
fn an_index_that_was_thrown_away_is_told_until_it_is_built_anew() {
    let House { folder, engine, table } = House::new(&fixture());
    drop(engine);
    overwrite(&index_file(folder.path(), "term"));
    let first = open(folder.path(), table.clone());
    assert_eq!(codes(&first.check(false).unwrap()), ["index_rebuilt"]);
    drop(first);
    assert_eq!(codes(&open(folder.path(), table).check(false).unwrap()), ["index_missing"]);
}

#[test]
fn a_damaged_cache_is_set_aside_told_once_and_costs_no_hit() {
    let House { folder, engine, table } = House::new(&fixture());
    drop(engine);
    let private = folder.path().join(".waypost");
    for file in ["embeddings.db", "texts.db"] {
        fs::write(private.join(file), "junk\n").unwrap();
    }
    let engine = open(folder.path(), table);
    let report = engine.check(false).unwrap();
    assert_eq!(codes(&report), ["cache", "cache"]);
    assert_eq!(report.repaired, ["embeddings.db", "texts.db"]);
    assert!(engine.check(false).unwrap().findings.is_empty());
    for file in ["embeddings.db.damaged", "texts.db.damaged"] {
        assert_eq!(fs::read_to_string(private.join(file)).unwrap(), "junk\n");
    }
    write(&folder.path().join("workspaces/w"), "new.md", b"the walrus\n");
    index(&engine);
    assert_eq!(search(&engine.owner_session(), "walrus", Mode::Lexical, 5).results.len(), 1);
}

#[test]
fn a_damaged_catalog_is_named_with_the_way_out() {
    let House { folder, engine, .. } = House::lexical("//- a.md\nherons\n");
    drop(engine);
    let private = folder.path().join(".waypost");
    fs::write(private.join("catalog.db"), "junk\n").unwrap();
    // Its log alone would bring it back.
    for log in ["catalog.db-wal", "catalog.db-shm"] {
        let _ = fs::remove_file(private.join(log));
    }
    let error =
        Engine::open(EngineOptions::new(folder.path())).err().expect("there is no catalog").to_string();
    assert!(error.contains("catalog.db") && error.contains("waypost restore"), "{error}");
}

/// Text that does not shrink, so that it becomes a blob of its own file.
fn noise() -> Vec<u8> {
    let mut reader = blake3::Hasher::new().finalize_xof();
    let mut bytes = vec![0; 90_000];
    reader.fill(&mut bytes);
    bytes.iter().map(|byte| b'!' + byte % 90).collect()
}

fn blob_file(home: &Path, bytes: &[u8]) -> PathBuf {
    let version = VersionId::of(bytes).to_string();
    home.join(".waypost/blobs").join(&version[..2]).join(&version[2..])
}

#[test]
fn a_blob_is_put_back_from_a_file_that_has_its_bytes() {
    let large = noise();
    let house = House::lexical("//- small.md\nherons wade\n");
    for path in ["large.txt", "twin.txt"] {
        write(&house.root(), path, &large);
    }
    house.index();
    let (home, engine) = (house.folder.path(), &house.engine);
    let check = |expected: &[&str]| {
        assert_eq!(codes(&engine.check(false).unwrap()), vec!["blob"; expected.len()], "{expected:?}");
        let mut repaired = engine.check(true).unwrap().repaired;
        repaired.sort();
        repaired.dedup();
        assert_eq!(repaired, expected[..1], "one file's repair is its twin's as well");
        assert!(engine.check(false).unwrap().findings.is_empty(), "{expected:?}");
    };
    let blob = blob_file(home, &large);
    fs::remove_file(&blob).unwrap();
    check(&["/w/large.txt", "/w/twin.txt"]);
    overwrite(&blob);
    check(&["/w/large.txt", "/w/twin.txt"]);
    // Its own file has other bytes by now.
    fs::remove_file(&blob).unwrap();
    house.write("large.txt", "written over\n");
    check(&["/w/large.txt", "/w/twin.txt"]);
    let catalog = rusqlite::Connection::open(home.join(".waypost/catalog.db")).unwrap();
    let small = VersionId::of(b"herons wade\n");
    let sql = "UPDATE blobs SET stored = x'0000' WHERE version = ?1";
    assert_eq!(catalog.execute(sql, [&small.as_bytes()[..]]).unwrap(), 1);
    check(&["/w/small.md"]);
}

#[test]
fn a_blob_whose_bytes_are_nowhere_is_not_put_back() {
    let house = House::lexical("");
    write(&house.root(), "large.txt", &noise());
    house.index();
    fs::remove_file(blob_file(house.folder.path(), &noise())).unwrap();
    house.write("large.txt", "written over\n");
    let report = house.engine.check(true).unwrap();
    assert_eq!((codes(&report), report.repaired), (vec!["blob"], Vec::<String>::new()));
}
