use std::collections::BTreeMap;
use std::io::Read;

use serde_json::{Value, json};

use crate::support::Server;
use crate::users::{User, eventually, text};

const FILES: &str = "\
//- a.md
The heron is grey.
//- b.md
The stork is white.
//- secret/s.md
The egret is hidden.
";

#[test]
fn workspaces_are_made_attached_and_let_go() {
    let server = Server::start(FILES);
    let admin = server.admin();
    let made = admin.post("/v1/workspaces", &json!({"name": "notes"})).is(201).json();
    assert_eq!((&made["attached"], &made["intelligence"]), (&json!(false), &json!(true)), "{made}");
    assert!(text(&made, "id").starts_with("ws_"));
    let check = |request: Value, status: u16, code: &str| {
        admin.post("/v1/workspaces", &request).refuses(status, code);
    };
    check(json!({"name": "notes"}), 409, "already_exists");
    check(json!({"name": "NOTES"}), 409, "name_conflict");
    check(json!({"name": "no/slash"}), 400, "invalid_path");
    check(json!({"name": "away", "folder": "/no/such/folder"}), 400, "invalid_folder");
    let away = admin.post("/v1/workspaces", &json!({"name": "away", "folder": "/no/such/folder"})).json();
    assert!(text(&away, "detail").contains("`/no/such/folder`: No such file"), "{away}");
    check(json!({"name": "x", "colour": "red"}), 400, "invalid_request");

    let folder = server.folder.path().join("elsewhere");
    std::fs::create_dir(&folder).unwrap();
    std::fs::write(folder.join("old.md"), "A pelican was here before.\n").unwrap();
    let attached = admin.post("/v1/workspaces", &json!({"name": "there", "folder": folder})).is(201).json();
    assert_eq!(attached["attached"], true);
    eventually("what was there is indexed", || {
        (admin.found(json!({"query": "pelican"})) == ["/there/old.md"]).then_some(())
    });
    admin.put("/there/new.md", "new\n").is(201);
    admin.delete("/v1/workspaces/there").is(204);
    assert!(folder.join("old.md").exists() && folder.join("new.md").exists(), "an attached folder stays");
    admin.get("/v1/workspaces/there").refuses(404, "not_found");
    assert_eq!(admin.found(json!({"query": "pelican"})), Vec::<String>::new());

    let own = server.folder.path().join("home/workspaces/notes");
    admin.put("/notes/n.md", "n\n").is(201);
    admin.delete("/v1/workspaces/notes?files=keep").is(204);
    assert!(own.join("n.md").exists());
    admin.post("/v1/workspaces", &json!({"name": "notes"})).is(201);
    assert_eq!(admin.read("/notes/n.md").is(200).text(), "n\n", "kept files are there again");
    admin.delete("/v1/workspaces/notes").is(204);
    assert!(!own.exists());
}

#[test]
fn intelligence_is_switched_off_and_on() {
    let server = Server::start(FILES);
    let admin = server.admin();
    let switch = |on: bool| {
        let headers = [("content-type", "application/json")];
        let body = json!({"intelligence": on}).to_string();
        admin.ask("PATCH", "/v1/workspaces/docs", &headers, &body).is(200).json()
    };
    assert_eq!(switch(false)["intelligence"], false);
    assert_eq!(admin.found(json!({"query": "heron"})), Vec::<String>::new());
    assert_eq!(admin.read("/docs/a.md").is(200).text(), "The heron is grey.\n", "files stay");
    let seq = admin.put("/docs/c.md", "A curlew came.\n").is(201).json()["seq"].clone();
    assert_eq!(switch(true)["intelligence"], true);
    let found = |word: &str| admin.found(json!({"query": word, "wait_for_seq": seq}));
    assert_eq!(found("curlew"), ["/docs/c.md"]);
    assert_eq!(found("heron"), ["/docs/a.md"]);
}

/// Takes a snapshot of `docs`; its id.
fn snapshot(user: &User<'_>) -> String {
    named_snapshot(user, "a name")
}

fn named_snapshot(user: &User<'_>, name: &str) -> String {
    let taken = user.post("/v1/snapshots", &json!({"workspace": "docs", "name": name})).is(201).json();
    text(&taken, "id").to_owned()
}

#[test]
fn a_snapshot_is_compared_restored_and_the_restore_undone() {
    let server = Server::start(FILES);
    let admin = server.admin();
    let first = snapshot(&admin);
    admin.put("/docs/a.md", "The heron is blue.\n").is(200);
    admin.delete("/v1/files/docs/b.md").is(200);
    admin.put("/docs/c.md", "A curlew came.\n").is(201);
    let diff = |id: &str, query: &str| admin.get(&format!("/v1/snapshots/{id}/diff{query}")).is(200).json();
    let changes = json!({"added": ["/docs/c.md"], "removed": ["/docs/b.md"], "changed": ["/docs/a.md"]});
    let none = json!({"added": [], "removed": [], "changed": []});
    assert_eq!(diff(&first, ""), changes);
    let second = named_snapshot(&admin, "second");
    assert_eq!(diff(&first, &format!("?with={second}")), changes);
    assert_eq!(diff(&second, ""), none);
    let listed = admin.items("/v1/snapshots");
    let ids: Vec<&str> = listed.iter().map(|snapshot| text(snapshot, "id")).collect();
    assert_eq!(ids, [second.as_str(), first.as_str()], "newest first");
    assert_eq!((text(&listed[0], "name"), text(&listed[0], "actor")), ("second", "human:admin"));

    let restore = |id: &str| admin.post(&format!("/v1/snapshots/{id}/restore"), &json!({})).is(200).json();
    let report = restore(&first);
    assert_eq!((&report["restored"], &report["removed"]), (&json!(2), &json!(1)), "{report}");
    assert_eq!(diff(&first, ""), none);
    assert_eq!(admin.read("/docs/b.md").is(200).text(), "The stork is white.\n");
    let asked = json!({"query": "curlew", "wait_for_seq": report["seq"]});
    assert_eq!(admin.found(asked), Vec::<String>::new());
    restore(text(&report, "before"));
    assert_eq!(diff(&second, ""), none, "undone");

    admin.delete(&format!("/v1/snapshots/{first}")).is(204);
    admin.get(&format!("/v1/snapshots/{first}/diff")).refuses(404, "not_found");
    admin.get("/v1/files/docs/a.md?as_of=sn_none").refuses(404, "not_found");
}

#[test]
fn a_snapshot_goes_by_its_name_which_no_other_one_has() {
    let server = Server::start(FILES);
    let admin = server.admin();
    admin.post("/v1/workspaces", &json!({"name": "apart"})).is(201);
    let first = named_snapshot(&admin, "first");
    admin.put("/docs/c.md", "A curlew came.\n").is(201);
    let seq = text(&admin.put("/docs/d.md", "A dunlin came.\n").is(201).json(), "seq").to_owned();
    named_snapshot(&admin, "second");
    admin.delete("/v1/files/docs/c.md").is(200);

    assert_eq!(text(&admin.get("/v1/snapshots/first").is(200).json(), "id"), first);
    let diff = |path: &str| admin.get(&format!("/v1/snapshots/{path}")).is(200).json();
    let came = json!({"added": ["/docs/c.md", "/docs/d.md"], "removed": [], "changed": []});
    let left = json!({"added": [], "removed": ["/docs/c.md"], "changed": []});
    for path in
        ["first/diff?with=second", "diff?from=first&to=second", &format!("diff?from={first}&to={seq}")]
    {
        assert_eq!(diff(path), came, "{path}");
    }
    for path in ["second/diff", "diff?from=second", &format!("diff?from={seq}&workspace=docs")] {
        assert_eq!(diff(path), left, "{path}");
    }
    // A place in the journal is no state of one workspace, and two workspaces have nothing to compare.
    admin.get(&format!("/v1/snapshots/diff?from={seq}")).refuses(400, "invalid_request");
    let apart = admin.post("/v1/snapshots", &json!({"workspace": "apart", "name": "first"})).is(201).json();
    let apart = text(&apart, "id").to_owned();
    admin.get(&format!("/v1/snapshots/diff?from={first}&to={apart}")).refuses(400, "invalid_request");
    admin.get("/v1/snapshots/diff?from=none").refuses(404, "not_found");

    // A name of two workspaces says which one is meant where the workspace is known.
    admin.get("/v1/snapshots/first").refuses(400, "invalid_request");
    assert_eq!(diff("diff?from=first&to=second&workspace=docs"), came);
    let listed = admin.items("/v1/snapshots?workspace=apart");
    assert_eq!(listed.iter().map(|one| text(one, "id")).collect::<Vec<_>>(), [apart.as_str()]);
    admin.get("/v1/snapshots?workspace=none").refuses(404, "not_found");

    let take = |name: &str| admin.post("/v1/snapshots", &json!({"workspace": "docs", "name": name}));
    take("first").refuses(409, "already_exists");
    for name in ["2026-01-31", "2026-01-31T08:00:00Z", "sq_000000000001", "17", "sn_1"] {
        take(name).refuses(400, "invalid_request");
    }
    take("").is(201);
    take("").is(201);
    admin.delete("/v1/snapshots/second").is(204);
    take("second").is(201);
}

#[test]
fn the_past_is_read_and_searched() {
    let server = Server::start(FILES);
    let admin = server.admin();
    let then = snapshot(&admin);
    admin.put("/docs/a.md", "The crane is blue.\n").is(200);
    admin.delete("/v1/files/docs/b.md").is(200);
    let seq = admin.put("/docs/c.md", "A curlew came.\n").is(201).json()["seq"].clone();
    let read = |path: &str| admin.get(&format!("/v1/files{path}?as_of={then}"));
    assert_eq!(read("/docs/a.md").is(200).text(), "The heron is grey.\n");
    assert_eq!(read("/docs/b.md").is(200).text(), "The stork is white.\n");
    read("/docs/c.md").refuses(404, "not_found");
    let check = |word: &str, of_then: &[&str], of_today: &[&str]| {
        assert_eq!(admin.found(json!({"query": word, "as_of": then})), of_then, "{word}, then");
        assert_eq!(admin.found(json!({"query": word, "wait_for_seq": seq})), of_today, "{word}, today");
        assert_eq!(
            admin.found(json!({"query": word, "as_of": seq, "wait_for_seq": seq})),
            of_today,
            "{word} at {seq}"
        );
    };
    check("heron", &["/docs/a.md"], &[]);
    check("crane", &[], &["/docs/a.md"]);
    check("stork", &["/docs/b.md"], &[]);
    check("curlew", &[], &["/docs/c.md"]);
    check("egret", &["/docs/secret/s.md"], &["/docs/secret/s.md"]);
    let reader = server.user("agent:reader", &["list,read /docs/**", "!list,read /docs/secret/**"]);
    assert_eq!(reader.found(json!({"query": "egret", "as_of": then})), Vec::<String>::new());
    assert_eq!(reader.found(json!({"query": "stork", "as_of": then})), ["/docs/b.md"]);
}

/// The files of a tar, by name.
fn unpacked(archive: &[u8]) -> BTreeMap<String, String> {
    let mut archive = tar::Archive::new(archive);
    let read = |entry: std::io::Result<tar::Entry<'_, &[u8]>>| {
        let mut entry = entry.unwrap();
        let mut text = String::new();
        entry.read_to_string(&mut text).unwrap();
        (entry.path().unwrap().to_string_lossy().into_owned(), text)
    };
    archive.entries().unwrap().map(read).collect()
}

#[test]
fn a_snapshot_is_carried_away_and_cloned_as_far_as_it_may_be_read() {
    let server = Server::start(FILES);
    let admin = server.admin();
    let id = snapshot(&admin);
    admin.put("/docs/a.md", "changed since\n").is(200);
    let export = |user: &User<'_>| user.get(&format!("/v1/snapshots/{id}/export")).is(200);
    let whole = export(&admin);
    assert_eq!(whole.header("content-type"), "application/x-tar");
    assert_eq!(whole.body, export(&admin).body, "the same bytes each time");
    let file = |name: &str, text: &str| (format!("docs/{name}"), text.to_owned());
    let mut expected = BTreeMap::from([
        file("a.md", "The heron is grey.\n"),
        file("b.md", "The stork is white.\n"),
        file("secret/s.md", "The egret is hidden.\n"),
    ]);
    assert_eq!(unpacked(&whole.body), expected);
    let reader = server.user("agent:reader", &["list,read /docs/**", "!list,read /docs/secret/**"]);
    expected.remove("docs/secret/s.md");
    assert_eq!(unpacked(&export(&reader).body), expected);
    let stranger = server.user("agent:stranger", &[]);
    stranger.get(&format!("/v1/snapshots/{id}/export")).refuses(404, "not_found");

    let clone =
        |user: &User<'_>, name: &str| user.post(&format!("/v1/snapshots/{id}/clone"), &json!({"name": name}));
    clone(&reader, "mine").refuses(403, "forbidden");
    clone(&admin, "docs").refuses(409, "already_exists");
    let report = clone(&admin, "copy").is(201).json();
    assert_eq!((text(&report, "name"), &report["restored"]), ("copy", &json!(3)), "{report}");
    assert_eq!(report["id"], admin.get("/v1/workspaces/copy").is(200).json()["id"]);
    assert_eq!(admin.read("/copy/a.md").is(200).text(), "The heron is grey.\n");
    let asked = json!({"query": "stork", "workspaces": ["copy"], "wait_for_seq": report["seq"]});
    assert_eq!(admin.found(asked), ["/copy/b.md"]);
}

/// Takes a lock; what comes back.
fn lock(user: &User<'_>, path: &str, mode: &str) -> crate::support::Reply {
    user.post("/v1/locks", &json!({"path": path, "mode": mode, "ttl_seconds": 60}))
}

#[test]
fn a_lock_holds_the_others_off() {
    let server = Server::start(FILES);
    let all = &["list,read,write,delete /docs/**"];
    let (a, b) = (server.user("agent:a", all), server.user("agent:b", all));
    let held = lock(&a, "/docs/secret/**", "exclusive").is(201).json();
    let path = "/docs/secret/s.md";
    b.put(path, "by b\n").refuses(423, "lock_held");
    b.delete(&format!("/v1/files{path}")).refuses(423, "lock_held");
    b.carry("move", path, "/docs/x.md").refuses(423, "lock_held");
    b.carry("move", "/docs/b.md", "/docs/secret/b.md").refuses(423, "lock_held");
    lock(&b, path, "exclusive").refuses(423, "lock_held");
    lock(&b, path, "shared").refuses(423, "lock_held");
    assert_eq!(b.read(path).is(200).text(), "The egret is hidden.\n", "reading goes on");
    b.put("/docs/b.md", "elsewhere\n").is(200);
    a.put(path, "by a\n").is(200);
    let fence = held["fence"].to_string();
    a.ask("PUT", &format!("/v1/files{path}"), &[("waypost-fence", &fence)], "under the fence\n").is(200);

    let id = text(&held, "id");
    b.delete(&format!("/v1/locks/{id}")).refuses(404, "not_found");
    let beat = |user: &User<'_>, id: &str| {
        user.post(&format!("/v1/locks/{id}/heartbeat"), &json!({"ttl_seconds": 600}))
    };
    beat(&b, id).refuses(409, "lock_expired");
    assert!(text(&beat(&a, id).is(200).json(), "expires_at") > text(&held, "expires_at"));
    a.delete(&format!("/v1/locks/{id}")).is(204);
    beat(&a, id).refuses(409, "lock_expired");
    b.put(path, "by b\n").is(200);
}

#[test]
fn a_lock_is_refused_wherever_its_writes_would_be() {
    let server = Server::start(FILES);
    let wide = server.user("agent:wide", &["list,read,write,delete /docs/**"]);
    let narrow = server.user("agent:narrow", &["write /docs/pub/**"]);
    let beside = server.user("agent:beside", &["list,read,write /docs/**", "!list,read,write /docs/pub/**"]);
    for mode in ["exclusive", "shared"] {
        let held = lock(&wide, "/docs/**", mode).is(201).json();
        for path in ["/docs/pub/a.md", "/docs/pub/**", "/docs/pub/*.md"] {
            lock(&narrow, path, "exclusive").refuses(423, "lock_held");
        }
        lock(&narrow, "/docs/pub/a.md", "shared").is(if mode == "shared" { 201 } else { 423 });
        wide.delete(&format!("/v1/locks/{}", text(&held, "id"))).is(204);
        for lock in narrow.items("/v1/locks") {
            narrow.delete(&format!("/v1/locks/{}", text(&lock, "id"))).is(204);
        }
    }
    // Where its holder may not write a lock binds nobody, and one where one may not write oneself is not told of.
    lock(&narrow, "/docs/pub/a.md", "exclusive").is(201);
    lock(&wide, "/docs/**", "exclusive").refuses(423, "lock_held");
    lock(&beside, "/docs/**", "exclusive").is(201);
    lock(&narrow, "/docs/pub/b.md", "exclusive").is(201);
}

#[test]
fn shared_locks_stand_beside_each_other() {
    let server = Server::start(FILES);
    let all = &["list,read,write,delete /docs/**"];
    let (a, b) = (server.user("agent:a", all), server.user("agent:b", all));
    let first = lock(&a, "/docs/a.md", "shared").is(201).json();
    let second = lock(&b, "/docs/a.md", "shared").is(201).json();
    lock(&b, "/docs/*.md", "exclusive").refuses(423, "lock_held");
    a.put("/docs/a.md", "x\n").refuses(423, "lock_held");
    b.put("/docs/a.md", "x\n").refuses(423, "lock_held");
    a.delete(&format!("/v1/locks/{}", text(&first, "id"))).is(204);
    b.put("/docs/a.md", "alone now\n").is(200);
    server.admin().delete(&format!("/v1/locks/{}", text(&second, "id"))).is(204);
    assert_eq!(b.items("/v1/locks"), Vec::<Value>::new(), "the admin may take anybody's");
    for field in ["ttl_ms", "ttl_seconds"] {
        let refused = a.post("/v1/locks", &json!({"path": "/docs/a.md", field: 0}));
        refused.refuses(400, "invalid_request");
        assert!(
            text(&refused.json(), "detail").starts_with(&format!("`{field}` is 0")),
            "{}",
            refused.text()
        );
    }
    a.post("/v1/locks", &json!({"path": "docs/a.md"})).refuses(400, "invalid_pattern");
}

#[test]
fn who_comes_after_the_end_of_a_lease_is_told() {
    let server = Server::start(FILES);
    let all = &["list,read,write,delete /docs/**"];
    let (late, next) = (server.user("agent:late", all), server.user("agent:next", all));
    let lease = late.post("/v1/locks", &json!({"path": "/docs/a.md", "ttl_ms": 1})).is(201).json();
    eventually("the lease ends", || late.items("/v1/locks").is_empty().then_some(()));
    let write = |user: &User<'_>, fence: &Value| {
        user.ask("PUT", "/v1/files/docs/a.md", &[("waypost-fence", &fence.to_string())], "late\n")
    };
    write(&late, &lease["fence"]).refuses(409, "lock_expired");
    let newer = lock(&next, "/docs/a.md", "exclusive").is(201).json();
    assert!(newer["fence"].as_u64() > lease["fence"].as_u64(), "{newer} after {lease}");
    write(&late, &lease["fence"]).refuses(423, "lock_held");
    write(&next, &lease["fence"]).refuses(409, "lock_expired");
    write(&next, &newer["fence"]).is(200);
}

#[test]
fn pruning_keeps_what_somebody_needs() {
    let server = Server::start("//- a.md\nfirst\n");
    let admin = server.admin();
    let mut versions = vec![server.get("/v1/files/docs/a.md").header("etag").trim_matches('"').to_owned()];
    snapshot(&admin);
    for text_of in ["second\n", "third\n"] {
        versions.push(text(&admin.put("/docs/a.md", text_of).is(200).json(), "version").to_owned());
    }
    let prune = |request: Value| admin.post("/v1/prune", &request);
    prune(json!({})).refuses(400, "invalid_request");
    server
        .user("agent:a", &["admin /docs/**"])
        .post("/v1/prune", &json!({"versions": 1}))
        .refuses(403, "forbidden");
    let read = |version: &String| admin.get(&format!("/v1/files/docs/a.md?version={version}")).status;
    let counted = prune(json!({"versions": 1, "dry_run": true})).is(200).json();
    assert_eq!((&counted["versions"], &counted["dry_run"]), (&json!(1), &json!(true)), "{counted}");
    assert_eq!(versions.iter().map(read).collect::<Vec<_>>(), [200, 200, 200], "only counted");
    assert_eq!(prune(json!({"versions": 1})).is(200).json()["versions"], 1);
    assert_eq!(
        versions.iter().map(read).collect::<Vec<_>>(),
        [200, 404, 200],
        "the snapshot holds the first"
    );
    let listed = admin.items("/v1/versions/docs/a.md");
    let kept: Vec<bool> = listed.iter().map(|past| past["available"] == true).collect();
    assert_eq!(kept, [true, false, true]);
}
