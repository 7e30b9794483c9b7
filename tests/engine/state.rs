//! State that an operator or an unlucky moment has touched: the audit chain, folders that go whole, workspaces whose folder
//! is lost, files too large to hold, and what subscribers are told.

use std::fs;
use std::time::Duration;

use serde_json::json;
use waypost_engine::access::{Effect, Grant, NewToken, Target, Verb};
use waypost_engine::api::{EngineOptions, EventFilter, Session, WriteOptions};
use waypost_engine::id::VersionId;

use crate::house::House;

fn any() -> WriteOptions {
    WriteOptions::default()
}

/// A principal that may do so much below a pattern.
fn user(house: &House, id: &str, pattern: &str, verbs: &[Verb]) -> Session {
    let owner = house.session();
    owner.put_principal(id, None, &[]).unwrap();
    let verbs = verbs.iter().copied().collect();
    let grant = Grant::new(id, Target::Path, &[pattern.to_owned()], verbs, Effect::Allow, "").unwrap();
    owner.put_grant(&grant).unwrap();
    let token = owner.issue_token(&NewToken { principal: id.to_owned(), ..NewToken::default() }).unwrap();
    house.engine.session(&token.token).unwrap()
}

#[test]
fn a_changed_cut_or_reordered_audit_log_is_found() {
    let tamper = |sql: &str| {
        let house = House::lexical("");
        for n in 0..6 {
            house.session().write_file(&format!("/w/{n}.md"), b"x", &any()).unwrap();
        }
        assert_eq!(house.session().verify_audit().unwrap().1, None);
        let folder = house.folder;
        drop(house.engine);
        let catalog = rusqlite::Connection::open(folder.path().join(".waypost/catalog.db")).unwrap();
        catalog.execute_batch(sql).unwrap();
        drop(catalog);
        let engine = crate::house::open(folder.path(), None);
        // Records that come afterwards must not heal what was done.
        engine.owner_session().write_file("/w/later.md", b"x", &any()).unwrap();
        let found = engine.owner_session().verify_audit().unwrap().1.is_some();
        let checked = engine.check(false).unwrap().findings.iter().any(|finding| finding.code == "audit");
        assert_eq!(found, checked, "{sql}");
        found
    };
    assert!(!tamper("SELECT 1;"));
    for sql in [
        "UPDATE audit SET principal = 'agent:other' WHERE number = 3;",
        "UPDATE audit SET outcome = 'denied' WHERE number = 2;",
        "DELETE FROM audit WHERE number = 3;",
        "DELETE FROM audit WHERE number = 1;",
        "DELETE FROM audit WHERE number > 3;",
        "DELETE FROM audit WHERE number = (SELECT max(number) FROM audit);",
        "DELETE FROM audit;",
        "DELETE FROM meta WHERE key = 'audit_head';",
        "UPDATE audit SET number = -1 WHERE number = 2; UPDATE audit SET number = 2 WHERE number = 3;
         UPDATE audit SET number = 3 WHERE number = -1;",
    ] {
        assert!(tamper(sql), "not found: {sql}");
    }
}

#[test]
fn a_folder_moves_as_a_whole_or_not_at_all() {
    let house = House::lexical("//- d/x.md\none\n//- d/y.md\ntwo\n//- d/in/z.md\nthree\n//- e/y.md\nother\n");
    let session = house.session();
    fs::create_dir(house.root().join("d/empty")).unwrap();
    let refused = session.move_path("/w/d", "/w/e", &any()).unwrap_err();
    assert_eq!(refused.code(), "already_exists");
    for path in ["d/x.md", "d/y.md", "d/in/z.md", "e/y.md"] {
        assert!(house.root().join(path).exists(), "{path} has moved");
    }
    session.move_path("/w/d", "/w/f", &any()).unwrap();
    assert!(!house.root().join("d").exists());
    for path in ["f/x.md", "f/y.md", "f/in/z.md", "f/empty"] {
        assert!(house.root().join(path).exists(), "{path} is missing");
    }
    // An empty folder is a folder as well.
    session.move_path("/w/f/empty", "/w/g", &any()).unwrap();
    assert!(house.root().join("g").is_dir() && !house.root().join("f/empty").exists());
    session.copy_path("/w/f", "/w/h", &any()).unwrap();
    assert_eq!(fs::read(house.root().join("h/in/z.md")).unwrap(), b"three\n");
    session.delete("/w/f", &any(), true).unwrap();
    assert!(!house.root().join("f").exists());
    assert!(house.engine.check(false).unwrap().findings.is_empty());
}

#[test]
fn a_workspace_whose_folder_is_lost_keeps_nobody_from_the_others() {
    let house = House::lexical("//- a.md\nherons\n");
    let other = tempfile::tempdir().unwrap();
    let attached = other.path().join("docs");
    fs::create_dir(&attached).unwrap();
    house.session().create_workspace("docs", Some(&attached), true).unwrap();
    // Something that is no folder is refused, and not remembered.
    let file = other.path().join("file");
    fs::write(&file, "x").unwrap();
    let refused = house.session().create_workspace("file", Some(&file), true).unwrap_err();
    assert_eq!(refused.code(), "invalid_folder");
    for own in [house.folder.path().join(".waypost"), house.root(), other.path().to_owned()] {
        let refused = house.session().create_workspace("own", Some(&own), true).unwrap_err();
        assert_eq!(refused.code(), "invalid_request", "{}", own.display());
    }
    let folder = house.folder;
    drop(house.engine);
    fs::remove_dir_all(&attached).unwrap();
    let engine = crate::house::open(folder.path(), None);
    assert_eq!(engine.unavailable().len(), 1);
    assert!(engine.check(false).unwrap().findings.iter().any(|finding| finding.code == "workspace"));
    assert_eq!(engine.owner_session().list("/w").unwrap().len(), 1);
    engine.owner_session().remove_workspace("docs", true).unwrap();
    assert!(engine.unavailable().is_empty());
}

#[test]
fn a_file_too_large_to_hold_has_its_own_version_and_is_kept_before_it_goes() {
    let folder = tempfile::tempdir().unwrap();
    let options = EngineOptions::new(folder.path()).max_file_bytes(1000);
    let engine = std::sync::Arc::new(waypost_engine::api::Engine::open(options).unwrap());
    engine.create_workspace(&crate::house::name()).unwrap();
    let large = vec![b'x'; 5000];
    fs::write(folder.path().join("workspaces/w/large.txt"), &large).unwrap();
    fs::write(folder.path().join("workspaces/w/empty.txt"), b"").unwrap();
    crate::house::index(&engine);
    let session = engine.owner_session();
    let info = session.info("/w/large.txt").unwrap();
    assert_eq!(info.version, Some(VersionId::of(&large)));
    session.write_file("/w/large.txt", b"small", &any()).unwrap();
    let versions = session.versions("/w/large.txt").unwrap();
    assert_eq!(versions[1].version, Some(VersionId::of(&large)));
    assert!(versions[1].available, "the large bytes were kept before they were written over");
    let old = session.read_file("/w/large.txt", Some(&VersionId::of(&large).to_string()), None).unwrap();
    assert_eq!(old.bytes, large);
    assert!(engine.check(false).unwrap().findings.is_empty());
}

#[test]
fn subscribers_are_told_in_order_of_what_they_may_read_and_nothing_else() {
    let house = House::lexical("//- open/a.md\nfirst\n//- closed/b.md\nsecret\n");
    let reader = user(&house, "agent:reader", "/w/open/**", &[Verb::Read, Verb::List]);
    let owner = house.session();
    let start = reader.now().unwrap();
    owner.write_file("/w/open/a.md", b"changed", &any()).unwrap();
    owner.write_file("/w/closed/b.md", b"changed", &any()).unwrap();
    owner.move_path("/w/open/a.md", "/w/open/c.md", &any()).unwrap();
    owner.move_path("/w/closed/b.md", "/w/open/d.md", &any()).unwrap();
    owner.move_path("/w/open/d.md", "/w/closed/e.md", &any()).unwrap();
    owner.publish("w", "open-news", &json!({"hidden": true})).unwrap();
    house.write("open/outside.md", "by another program\n");
    house.index();
    let shown = |session: &Session, after: &str| -> Vec<(String, String)> {
        let page = session.events(Some(after), &EventFilter::default(), 100).unwrap();
        page.items.into_iter().map(|event| (event.event, event.path)).collect()
    };
    let expected = [
        ("file.updated", "/w/open/a.md"),
        ("file.moved", "/w/open/c.md"),
        ("file.created", "/w/open/d.md"),
        ("file.deleted", "/w/open/d.md"),
        ("file.created", "/w/open/outside.md"),
    ];
    let expected = expected.map(|(event, path)| (event.to_owned(), path.to_owned()));
    assert_eq!(shown(&reader, &start), expected);
    // Page by page the same, and ids stay the same.
    let (mut after, mut paged) = (start.clone(), Vec::new());
    loop {
        let page = reader.events(Some(&after), &EventFilter::default(), 2).unwrap();
        if page.items.is_empty() {
            break;
        }
        paged.extend(page.items.into_iter().map(|event| event.id));
        after = page.next;
    }
    let whole = reader.events(Some(&start), &EventFilter::default(), 100).unwrap();
    assert_eq!(paged, whole.items.into_iter().map(|event| event.id).collect::<Vec<_>>());
    let filter = EventFilter::new(&["/w/open/*".to_owned()], &["file.moved".to_owned()]).unwrap();
    assert_eq!(reader.events(Some(&start), &filter, 100).unwrap().items.len(), 1);
    assert!(EventFilter::new(&[], &["file.eaten".to_owned()]).is_err());
}

#[test]
fn who_waits_is_woken_by_what_happens_next() {
    let house = House::lexical("//- a.md\nfirst\n");
    let (session, writer) = (house.session(), house.session());
    let start = session.now().unwrap();
    let nothing =
        session.wait_for_events(Some(&start), &EventFilter::default(), 10, Duration::from_millis(1)).unwrap();
    assert!(nothing.items.is_empty());
    let page = std::thread::scope(|threads| {
        let waiting = threads.spawn(|| {
            session
                .wait_for_events(Some(&start), &EventFilter::default(), 10, Duration::from_secs(20))
                .unwrap()
        });
        writer.write_file("/w/b.md", b"news", &any()).unwrap();
        waiting.join().unwrap()
    });
    assert_eq!(page.items[0].path, "/w/b.md");
}
