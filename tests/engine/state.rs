//! State that an operator or an unlucky moment has touched: the audit chain, folders that go whole, workspaces whose folder
//! is lost, files too large to hold, and what subscribers are told.

use std::fs;
use std::time::Duration;

use serde_json::json;
use waypost_engine::access::{Effect, Grant, Limits, NewToken, Target, Verb};
use waypost_engine::api::{
    EngineOptions, EventFilter, Indexer, Retention, SearchRequest, Session, SnapshotDiff, WriteOptions,
};
use waypost_engine::id::VersionId;
use waypost_engine::search::Mode;
use waypost_engine::store::LockMode;

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
    let start = reader.events_from_now().unwrap().next;
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
    let start = session.events_from_now().unwrap().next;
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

#[test]
fn an_approval_shows_its_requester_only_what_they_may_read() {
    let house = House::lexical("//- kept/a.md\nconfidential price\n");
    let owner = house.session();
    let gate =
        waypost_engine::access::Gate::new("/w/kept/**", [Verb::Write, Verb::Delete].into(), "").unwrap();
    owner.put_gate(&gate).unwrap();
    let writer = user(&house, "agent:writer", "/w/kept/**", &[Verb::Write]);
    let refused = writer.write_file("/w/kept/a.md", b"probe", &any()).unwrap_err();
    assert_eq!(refused.code(), "approval_required");
    let shown = serde_json::to_string(&writer.approvals(None).unwrap()).unwrap();
    assert!(shown.contains("pending") && !shown.contains("confidential"), "{shown}");
    assert!(!shown.contains(&VersionId::of(b"confidential price\n").to_string()), "{shown}");
    let full = serde_json::to_string(&owner.approvals(None).unwrap()).unwrap();
    assert!(full.contains("-confidential price"), "{full}");
}

#[test]
fn a_narrowed_token_reaches_nothing_of_its_siblings() {
    let house = House::lexical("//- a.md\nx\n");
    let owner = house.session();
    owner.put_gate(&waypost_engine::access::Gate::new("/w/gated/**", [].into(), "").unwrap()).unwrap();
    let agent = user(&house, "agent:a", "/w/**", &[Verb::Read, Verb::Write]);
    let lock = agent.lock("/w/a.md", LockMode::Exclusive, None).unwrap();
    agent.write_file("/w/gated/b.md", b"x", &any()).unwrap_err();
    let approval = agent.approvals(None).unwrap().remove(0).id;
    let limits = Limits {
        verbs: Some([Verb::Read].into()),
        paths: Some(vec![waypost_engine::pattern::Pattern::path("/w/none").unwrap()]),
    };
    let narrow = |principal: &str| {
        let new = NewToken { principal: principal.to_owned(), limits: limits.clone(), ..NewToken::default() };
        house.engine.session(&owner.issue_token(&new).unwrap().token).unwrap()
    };
    let narrowed = narrow("agent:a");
    assert_eq!(narrowed.unlock(&lock.id).unwrap_err().code(), "not_found");
    assert_eq!(narrowed.extend_lock(&lock.id, None).unwrap_err().code(), "lock_expired");
    assert_eq!(narrowed.withdraw_approval(&approval).unwrap_err().code(), "not_found");
    assert_eq!(narrowed.revoke_token(agent.token_id()).unwrap_err().code(), "not_found");
    assert_eq!(narrowed.tokens().unwrap().len(), 1);
    let admin = narrow("human:admin");
    assert_eq!(admin.revoke_token(agent.token_id()).unwrap_err().code(), "not_found");
    agent.unlock(&lock.id).unwrap();
    narrowed.revoke_token(narrowed.token_id()).unwrap();
}

#[test]
fn a_lock_binds_only_where_its_holder_may_write_and_tells_of_no_hidden_one() {
    let house = House::lexical("//- secret/x.md\nx\n//- open/y.md\ny\n");
    let owner = house.session();
    let agent = user(&house, "agent:a", "/w/**", &[Verb::Read, Verb::Write]);
    let verbs = [Verb::Read, Verb::Write].into();
    let deny =
        Grant::new("agent:a", Target::Path, &["/w/secret/**".to_owned()], verbs, Effect::Deny, "").unwrap();
    owner.put_grant(&deny).unwrap();
    let hidden = owner.lock("/w/secret/x.md", LockMode::Exclusive, None).unwrap();
    agent.lock("/w/**", LockMode::Exclusive, None).unwrap();
    assert!(!agent.locks().unwrap().iter().any(|lock| lock.id == hidden.id));
    owner.write_file("/w/secret/z.md", b"z", &any()).unwrap();
    assert_eq!(owner.write_file("/w/open/y.md", b"z", &any()).unwrap_err().code(), "lock_held");
}

#[test]
fn a_tree_is_shown_so_deep_and_no_deeper() {
    let house = House::lexical("");
    let deep = "d/".repeat(60);
    house.session().create_folder(&format!("/w/{deep}")).unwrap();
    let (mut entries, _) = house.session().tree("/w", 5000, &[]).unwrap();
    let mut depth = 0;
    while let Some(entry) = entries.pop() {
        depth += 1;
        entries = entry.children.unwrap_or_default();
    }
    assert_eq!(depth, 32);
}

#[test]
fn appends_that_stand_on_nothing_all_arrive() {
    let house = House::lexical("//- log.txt\n");
    std::thread::scope(|threads| {
        for client in 0..8 {
            let session = house.session();
            threads.spawn(move || {
                for line in 0..20 {
                    session
                        .append_file("/w/log.txt", format!("{client}-{line}\n").as_bytes(), &any())
                        .unwrap();
                }
            });
        }
    });
    let file = house.session().read_file("/w/log.txt", None, None).unwrap();
    assert_eq!(String::from_utf8(file.bytes).unwrap().lines().filter(|line| !line.is_empty()).count(), 160);
}

#[test]
fn a_query_by_meaning_waits_for_the_write_that_it_names() {
    let house = House::new("//- a.md\nold words\n");
    let indexer = Indexer::start(&house.engine);
    for round in 0..5 {
        let text = format!("The physician of round {round} waits.\n");
        let path = format!("/w/new{round}.md");
        let seq = house.session().write_file(&path, text.as_bytes(), &any()).unwrap().seq;
        let request = SearchRequest {
            query: format!("doctor of round {round}"),
            mode: Mode::Semantic,
            wait_for_seq: Some(seq),
            ..SearchRequest::default()
        };
        let reply = house.session().search(&request).unwrap();
        assert!(reply.results.iter().any(|hit| hit.citation.path == path), "round {round}");
        assert!(reply.index.degraded.is_empty(), "{:?}", reply.index.degraded);
    }
    drop(indexer);
}

#[test]
fn a_snapshot_comes_back_where_files_and_folders_have_changed_places() {
    let house = House::lexical("//- a\nfile\n//- b/c.md\nin a folder\n");
    let session = house.session();
    // What another program did just now is part of it.
    house.write("late.md", "late\n");
    let snapshot = session.take_snapshot(Some("w"), "before").unwrap().remove(0);
    session.delete("/w/a", &any(), false).unwrap();
    session.delete("/w/b", &any(), true).unwrap();
    session.write_file("/w/a/x.md", b"now a folder", &any()).unwrap();
    session.write_file("/w/b", b"now a file", &any()).unwrap();
    fs::remove_file(house.root().join("late.md")).unwrap();
    let report = session.restore_snapshot(&snapshot.id).unwrap();
    assert_eq!((report.restored, report.removed), (3, 2));
    assert_eq!(fs::read(house.root().join("a")).unwrap(), b"file\n");
    assert_eq!(fs::read(house.root().join("b/c.md")).unwrap(), b"in a folder\n");
    assert_eq!(fs::read(house.root().join("late.md")).unwrap(), b"late\n");
    assert_eq!(session.diff_snapshot(&snapshot.id, None).unwrap(), SnapshotDiff::default());
}

#[test]
fn a_pruned_version_is_named_by_a_search_of_then() {
    let house = House::lexical("//- a.md\nherons wade\n");
    let session = house.session();
    let then = session.write_file("/w/b.md", b"herons stand", &any()).unwrap().seq;
    session.write_file("/w/b.md", b"herons fly", &any()).unwrap();
    let request = SearchRequest { query: "herons".to_owned(), as_of: Some(then), ..SearchRequest::default() };
    house.index();
    assert_eq!(session.search(&request).unwrap().results.len(), 2);
    let report = session.prune(Retention { versions: Some(1), age_ms: None }, false).unwrap();
    assert_eq!(report.versions, 1);
    // The index of then may still be kept; a new home has none.
    let (folder, engine) = (house.folder, house.engine);
    drop(session);
    drop(engine);
    let engine = crate::house::open(folder.path(), None);
    let reply = engine.owner_session().search(&request).unwrap();
    assert_eq!(reply.results.len(), 1);
    assert!(reply.index.degraded.iter().any(|stage| stage.stage == "past"), "{:?}", reply.index.degraded);
}

#[test]
fn a_folder_that_is_put_in_an_others_place_is_opened_anew() {
    let house = House::lexical("//- a.md\nold\n");
    let indexer = Indexer::start(&house.engine);
    let away = house.folder.path().join("workspaces/away");
    fs::rename(house.root(), &away).unwrap();
    fs::create_dir(house.root()).unwrap();
    house.write("new.md", "new\n");
    let begun = std::time::Instant::now();
    while !house.session().list("/w").is_ok_and(|names| names.iter().any(|entry| entry.name == "new.md")) {
        assert!(begun.elapsed() < Duration::from_secs(30), "the new folder is not seen");
        std::thread::yield_now();
    }
    house.session().write_file("/w/more.md", b"more", &any()).unwrap();
    assert!(house.root().join("more.md").exists() && !away.join("more.md").exists());
    drop(indexer);
}

#[test]
fn a_question_is_embedded_once_for_whoever_asks_it() {
    let house = House::new("//- a.md\nherons wade\n//- b.md\nboats sail\n");
    let reader = user(&house, "agent:reader", "/w/**", &[Verb::List, Verb::Read]);
    let embedded_by = |session: &Session, query: &str| {
        let before = house.n_embedded();
        let found = crate::house::search(session, query, Mode::Hybrid, 5);
        assert!(!found.results.is_empty(), "{found:?}");
        house.n_embedded() - before
    };
    assert_eq!(embedded_by(&house.session(), "wading herons"), 1);
    assert_eq!(embedded_by(&house.session(), "wading herons"), 0);
    assert_eq!(embedded_by(&house.session(), "sailing boats"), 1);
    // What somebody else has asked can't be told from how long an answer takes.
    assert_eq!(embedded_by(&reader, "wading herons"), 1);
    let first = crate::house::search(&house.session(), "new words of herons", Mode::Hybrid, 5);
    let again = crate::house::search(&house.session(), "new words of herons", Mode::Hybrid, 5);
    let scores = |reply: &waypost_engine::api::SearchReply| -> Vec<f32> {
        reply.results.iter().map(|hit| hit.score).collect()
    };
    assert_eq!(scores(&first), scores(&again));
}
