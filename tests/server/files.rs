use std::sync::Barrier;

use serde_json::{Value, json};
use waypost_engine::id::VersionId;

use crate::support::Server;
use crate::users::{User, eventually, text};

const FILES: &str = "\
//- a.md
one
two
three
//- guide/start.md
Install the package.
//- guide/deep/end.md
Remove the package.
";

fn version(text: &str) -> String {
    VersionId::of(text.as_bytes()).to_string()
}

#[test]
fn what_is_put_is_read_back_under_its_version() {
    let server = Server::start(FILES);
    let admin = server.admin();
    let path = "/docs/new/b.md";
    let made = admin.put(path, "first\n").is(201);
    assert_eq!(made.header("etag"), format!("\"{}\"", version("first\n")));
    let told = made.json();
    assert_eq!((&told["path"], &told["size"]), (&json!(path), &json!(6)));
    assert_eq!(
        (text(&told, "version"), text(&told, "mime_type")),
        (&*version("first\n"), "text/markdown"),
        "{told}"
    );
    assert!(
        !text(&told, "seq").is_empty() && told["created"] == true && told["previous"].is_null(),
        "{told}"
    );

    let changed = admin.put(path, "second\n").is(200).json();
    assert_eq!((&changed["created"], text(&changed, "previous")), (&json!(false), &*version("first\n")));
    assert_eq!(admin.read(path).is(200).text(), "second\n");
    let head = server.ask("HEAD", &format!("/v1/files{path}"), &[], "").is(200);
    assert_eq!(head.header("etag"), format!("\"{}\"", version("second\n")));
    let plain = std::fs::read_to_string(server.folder.path().join("docs/new/b.md")).unwrap();
    assert_eq!(plain, "second\n", "the plain tree is the truth");

    let gone = admin.delete(&format!("/v1/files{path}")).is(200).json();
    assert_eq!((&gone["version"], text(&gone, "previous")), (&Value::Null, &*version("second\n")));
    admin.read(path).refuses(404, "not_found");
    admin.delete(&format!("/v1/files{path}")).refuses(404, "not_found");
    assert!(!server.folder.path().join("docs/new/b.md").exists());
    admin.delete("/v1/files/docs/guide").refuses(400, "invalid_request");
    admin.delete("/v1/files/docs/guide?recursive=true").is(200);
    admin.read("/docs/guide/deep/end.md").refuses(404, "not_found");
}

#[test]
fn a_change_stands_on_what_it_says() {
    let server = Server::start("//- a.md\nfirst\n");
    let (old, other) = (format!("\"{}\"", version("first\n")), format!("\"{}\"", version("other")));
    let check = |method: &str, path: &str, headers: &[(&str, &str)], expected: (u16, &str)| {
        let before = server.get("/v1/files/docs/a.md").text();
        let reply = server.ask(method, &format!("/v1/files/docs/{path}"), headers, "newer\n");
        let found = if reply.status < 300 { (reply.status, String::new()) } else { reply.problem() };
        assert_eq!((found.0, found.1.as_str()), expected, "{method} {path} {headers:?}");
        if reply.status >= 300 {
            assert_eq!(server.get("/v1/files/docs/a.md").text(), before, "{headers:?}");
        }
    };
    let conflict = (412, "version_conflict");
    check("PUT", "a.md", &[("if-match", &other)], conflict);
    check("DELETE", "a.md", &[("if-match", &other)], conflict);
    check("PUT", "a.md", &[("if-none-match", "*")], conflict);
    check("PUT", "absent.md", &[("if-match", "*")], conflict);
    check("PUT", "absent.md", &[("if-match", &old)], conflict);
    check("PUT", "a.md", &[("if-match", &old), ("if-none-match", "*")], (400, "invalid_request"));
    check("PUT", "a.md", &[("if-match", "\"short\"")], (412, "version_conflict"));
    let short = server.ask("PUT", "/v1/files/docs/a.md", &[("if-match", "\"6f3c\"")], "x").text();
    assert!(short.contains("gives it in full; what was given is none"), "{short}");
    check("PUT", "a.md", &[("if-none-match", &old)], (400, "invalid_request"));
    check("PUT", "a.md", &[("waypost-fence", "soon")], (400, "invalid_request"));
    check("PUT", "a.md", &[("if-match", &format!("{other}, {old}"))], (200, ""));
    check("PUT", "a.md", &[("if-match", &old)], conflict);
    check("PUT", "a.md", &[("if-match", "*")], (200, ""));
    check("PUT", "b.md", &[("if-none-match", "*")], (201, ""));
}

#[test]
fn the_first_or_last_lines_are_enough() {
    let server = Server::start(FILES);
    let check = |query: &str, expected: &str| {
        assert_eq!(server.get(&format!("/v1/files/docs/a.md?{query}")).is(200).text(), expected, "{query}");
    };
    check("head=2", "one\ntwo\n");
    check("tail=1", "three\n");
    check("head=9", "one\ntwo\nthree\n");
    check("tail=0", "");
    server.get("/v1/files/docs/a.md?head=1&tail=1").refuses(400, "invalid_request");
    let part = server.ask("GET", "/v1/files/docs/a.md?tail=2", &[("range", "bytes=0-2")], "");
    assert_eq!(part.is(206).text(), "two");
}

#[test]
fn appenders_at_the_same_time_lose_nothing() {
    let server = Server::start(FILES);
    let append = |line: &str| server.ask("POST", "/v1/append/docs/log.txt", &[], line);
    append("begin\n").is(201);
    let stale = format!("\"{}\"", version("other"));
    server
        .ask("POST", "/v1/append/docs/log.txt", &[("if-match", &stale)], "no\n")
        .refuses(412, "version_conflict");
    std::thread::scope(|threads| {
        for writer in 0..4 {
            threads.spawn(move || {
                for line in 0..5 {
                    append(&format!("{writer}-{line}\n")).is(200);
                }
            });
        }
    });
    let whole = server.get("/v1/files/docs/log.txt").text();
    let mut lines: Vec<&str> = whole.lines().skip(1).collect();
    lines.sort_unstable();
    let expected: Vec<String> =
        (0..4).flat_map(|writer| (0..5).map(move |line| format!("{writer}-{line}"))).collect();
    assert_eq!(lines, expected);
}

#[test]
fn an_edit_gives_the_difference_back_or_changes_nothing() {
    let server = Server::start(FILES);
    let edit = |fields: Value| {
        let mut request = json!({"path": "/docs/a.md"});
        request.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        server.post("/v1/edit", &request)
    };
    let two = json!([{"old_text": "two", "new_text": "2"}]);
    let dry = edit(json!({"edits": two, "dry_run": true})).is(200).json();
    assert!(text(&dry, "diff").contains("-two\n+2\n") && dry["version"].is_null(), "{dry}");
    assert_eq!(server.get("/v1/files/docs/a.md").text(), "one\ntwo\nthree\n");
    let done = edit(json!({"edits": two})).is(200).json();
    assert_eq!((&done["diff"], text(&done, "version")), (&dry["diff"], &*version("one\n2\nthree\n")));

    let check = |edits: Value, expected: &str| {
        let refused = edit(json!({"edits": edits}));
        refused.refuses(409, "edit_mismatch");
        assert!(refused.text().contains(expected), "{}", refused.text());
        assert_eq!(server.get("/v1/files/docs/a.md").text(), "one\n2\nthree\n", "all or nothing");
    };
    check(json!([{"old_text": "two", "new_text": "x"}]), "edit 1 does not fit");
    check(json!([{"oldText": "e", "newText": "x"}]), "3 times");
    check(json!([{"old_text": "one", "new_text": "1"}, {"old_text": "", "new_text": "x"}]), "edit 2");
    let stale = json!({"edits": [{"old_text": "one", "new_text": "1"}], "expected_version": version("x")});
    edit(stale).refuses(412, "version_conflict");

    // Who writes edits sees no carriage return; the file's lines keep theirs.
    server.admin().put("/docs/a.md", "one\r\ntwo\r\nthree\r\n").is(200);
    edit(json!({"edits": [{"old_text": "one\ntwo", "new_text": "1\n2\n2.5"}]})).is(200);
    edit(json!({"edits": [{"old_text": "three", "new_text": "3\r\n4"}]})).is(200);
    assert_eq!(server.get("/v1/files/docs/a.md").text(), "1\r\n2\r\n2.5\r\n3\r\n4\r\n");
    server.post("/v1/edit", &json!({"path": "/docs/none.md", "edits": []})).refuses(404, "not_found");
}

#[test]
fn of_two_movers_of_one_file_exactly_one_wins() {
    let server = Server::start(FILES);
    let admin = server.admin();
    for round in 0..12 {
        let from = format!("/docs/queue/{round}.txt");
        admin.put(&from, "a task\n").is(201);
        let start = Barrier::new(2);
        let moved = |to: String| {
            start.wait();
            let reply = admin.carry("move", &from, &to);
            if reply.status == 200 {
                return Some(to);
            }
            let (status, code) = reply.problem();
            assert!(
                matches!((status, &*code), (404, "not_found") | (412, "version_conflict")),
                "{status} {code}"
            );
            None
        };
        let winners: Vec<String> = std::thread::scope(|threads| {
            let a = threads.spawn(|| moved(format!("/docs/taken/{round}-a.txt")));
            let b = threads.spawn(|| moved(format!("/docs/taken/{round}-b.txt")));
            [a.join().unwrap(), b.join().unwrap()].into_iter().flatten().collect()
        });
        assert_eq!(winners.len(), 1, "round {round}: {winners:?}");
        admin.read(&from).refuses(404, "not_found");
        assert_eq!(admin.read(&winners[0]).is(200).text(), "a task\n");
    }
    assert_eq!(admin.items("/v1/list/docs/taken").len(), 12, "none was doubled");
}

#[test]
fn files_and_folders_are_moved_and_copied() {
    let server = Server::start(FILES);
    let admin = server.admin();
    admin.post("/v1/workspaces", &json!({"name": "other"})).is(201);
    let moved = admin.carry("move", "/docs/a.md", "/docs/b.md").is(200).json();
    assert_eq!(
        (text(&moved, "path"), text(&moved, "version")),
        ("/docs/b.md", &*version("one\ntwo\nthree\n"))
    );
    admin.read("/docs/a.md").refuses(404, "not_found");
    admin.carry("copy", "/docs/b.md", "/other/x/b.md").is(200);
    assert_eq!(admin.read("/other/x/b.md").text(), admin.read("/docs/b.md").text());
    admin.carry("move", "/docs/b.md", "/other/b.md").is(200);
    admin.read("/docs/b.md").refuses(404, "not_found");
    admin.carry("move", "/docs/guide", "/other/manual").is(200);
    assert_eq!(admin.read("/other/manual/deep/end.md").is(200).text(), "Remove the package.\n");
    assert_eq!(admin.items("/v1/list/docs"), Vec::<Value>::new());

    let check = |how: &str, from: &str, to: &str, expected: (u16, &str)| {
        admin.carry(how, from, to).refuses(expected.0, expected.1);
    };
    check("move", "/other/b.md", "/other/x/b.md", (409, "already_exists"));
    check("copy", "/other/b.md", "/other/x/b.md", (409, "already_exists"));
    check("move", "/other/b.md", "/other/b.md", (409, "already_exists"));
    check("move", "/other/none.md", "/other/c.md", (404, "not_found"));
    check("copy", "/other/b.md", "/nowhere/b.md", (404, "not_found"));
    check("move", "/other/manual", "/other/manual/deep/below", (400, "invalid_request"));
    let stale = json!({"from": "/other/b.md", "to": "/other/c.md", "expected_version": version("x")});
    admin.post("/v1/move", &stale).refuses(412, "version_conflict");
    let history = admin.items("/v1/versions/other/manual/start.md");
    assert_eq!(text(&history[0], "event"), "file.moved");
    assert_eq!(text(&history[0], "other_path"), "/docs/guide/start.md");
}

#[test]
fn folders_are_made_looked_through_and_described() {
    let server = Server::start(FILES);
    let admin = server.admin();
    for (path, status) in [("/docs/empty/inner", 201), ("/docs/empty", 200)] {
        let made = admin.post("/v1/folders", &json!({"path": path})).is(status).json();
        assert_eq!((text(&made, "path"), &made["created"]), (path, &json!(status == 201)), "{made}");
        assert_eq!((text(&made, "kind"), &made["size"]), ("folder", &Value::Null), "{made}");
        assert!(text(&made, "seq").starts_with("sq_"), "{made}");
    }
    let refused = admin.put("/docs/empty/", "a file?\n");
    refused.refuses(400, "invalid_path");
    assert!(text(&refused.json(), "detail").contains("/v1/folders"), "{}", refused.text());
    admin.carry("copy", "/docs/a.md", "/docs/empty/").refuses(400, "invalid_path");
    admin.post("/v1/folders", &json!({"path": "/docs/a.md"})).refuses(409, "already_exists");
    admin.post("/v1/folders", &json!({"path": "/docs/a.md/b"})).refuses(409, "not_a_file");
    let folder = admin.get("/v1/info/docs/empty").is(200).json();
    assert_eq!(folder, json!({"path": "/docs/empty", "kind": "folder"}));
    let file = admin.get("/v1/info/docs/guide/start.md").is(200).json();
    assert_eq!((text(&file, "kind"), &file["size"]), ("file", &json!(21)), "{file}");
    assert_eq!(text(&file, "version"), version("Install the package.\n"));
    admin.get("/v1/info/docs/none").refuses(404, "not_found");

    let tree = admin.get("/v1/tree/docs?depth=2").is(200).json();
    let expected = json!([
        {"name": "empty", "kind": "folder", "children": [{"name": "inner", "kind": "folder"}]},
        {"name": "guide", "kind": "folder", "children": [
            {"name": "deep", "kind": "folder"},
            {"name": "start.md", "kind": "file", "size": 21},
        ]},
        {"name": "a.md", "kind": "file", "size": 14},
    ]);
    assert_eq!((&tree["entries"], &tree["cut"]), (&expected, &json!(false)));
    let find = |query: &str| admin.items(&format!("/v1/find?{query}"));
    assert_eq!(find("pattern=START"), ["/docs/guide/start.md"]);
    assert_eq!(find("pattern=guide/**/*.md&path=/docs"), ["/docs/guide/deep/end.md", "/docs/guide/start.md"]);
    // A pattern that begins with `/` is about paths as answers and grants write them.
    assert_eq!(find("pattern=/docs/**/end.md"), ["/docs/guide/deep/end.md"]);
    assert_eq!(find("pattern=/docs/a.md"), ["/docs/a.md"]);
    assert_eq!(find("pattern=/DOCS/guide/*"), ["/docs/guide/start.md"]);
    assert_eq!(find("pattern=/guide/**"), Vec::<Value>::new());
    let first = admin.get("/v1/find?pattern=*.md&limit=2").is(200).json();
    assert_eq!(first["items"], json!(["/docs/a.md", "/docs/guide/deep/end.md"]));
    let rest = format!("/v1/find?pattern=*.md&limit=2&cursor={}", text(&first, "next_cursor"));
    let rest = admin.get(&rest).is(200).json();
    assert_eq!((&rest["items"], &rest["next_cursor"]), (&json!(["/docs/guide/start.md"]), &Value::Null));
    admin.get("/v1/find?pattern=x&limit=0").refuses(400, "invalid_request");
}

#[test]
fn what_changes_nothing_is_no_change() {
    let server = Server::start(FILES);
    let admin = server.admin();
    let made = admin.put("/docs/log.md", "one\n").is(201).json();
    let append = |headers: &[(&str, &str)]| admin.ask("POST", "/v1/append/docs/log.md", headers, "");
    let same = append(&[]).is(200).json();
    for field in ["path", "version", "seq", "size"] {
        assert_eq!(same[field], made[field], "{field}: {same}");
    }
    assert_eq!(same["created"], false);
    append(&[("if-match", &format!("\"{}\"", version("other\n")))]).refuses(412, "version_conflict");
    assert_eq!(admin.items("/v1/versions/docs/log.md").len(), 1);
    // Of a dry run the path is told, too.
    let edit = |dry_run: bool| {
        let edits = json!([{"old_text": "one", "new_text": "two"}]);
        let request = json!({"path": "/docs/log.md", "edits": edits, "dry_run": dry_run});
        admin.post("/v1/edit", &request).is(200)
    };
    assert_eq!(text(&edit(true).json(), "path"), "/docs/log.md");
    let written = edit(false);
    assert_eq!(text(&written.json(), "path"), "/docs/log.md");
    assert_eq!(written.text().matches("\"path\"").count(), 1, "{}", written.text());

    let refused = admin.ask("PUT", "/v1/files/docs/log.md", &[("if-match", "\"bad\"")], "x");
    refused.refuses(412, "version_conflict");
    assert!(
        text(&refused.json(), "detail").contains("expected the version of a file, as the `ETag`"),
        "{}",
        refused.text()
    );
}

/// Event, version and actor of each entry of a path's history, newest first.
fn history(user: &User<'_>, path: &str) -> Vec<(String, Value, String)> {
    let entry = |past: &Value| {
        (text(past, "event").to_owned(), past["version"].clone(), text(past, "actor").to_owned())
    };
    user.items(&format!("/v1/versions{path}")).iter().map(entry).collect()
}

#[test]
fn a_deleted_file_has_its_versions_and_comes_back() {
    let server = Server::start(FILES);
    let admin = server.admin();
    let path = "/docs/plan.md";
    let seq = admin.put(path, "first\nsame\n").is(201).json()["seq"].clone();
    admin.put(path, "second\nsame\n").is(200);
    admin.delete(&format!("/v1/files{path}")).is(200);
    let (first, second) = (version("first\nsame\n"), version("second\nsame\n"));
    let by_admin = |event: &str, version: Value| (event.to_owned(), version, "human:admin".to_owned());
    let expected = [
        by_admin("file.deleted", Value::Null),
        by_admin("file.updated", json!(second)),
        by_admin("file.created", json!(first)),
    ];
    assert_eq!(history(&admin, path), expected);
    let all = admin.items(&format!("/v1/versions{path}"));
    assert!(all.iter().all(|past| past["current"] == false), "{all:?}");
    assert_eq!(admin.get(&format!("/v1/files{path}?version={first}")).is(200).text(), "first\nsame\n");
    let as_of = format!("/v1/files{path}?as_of={}", seq.as_str().unwrap());
    assert_eq!(admin.get(&as_of).is(200).text(), "first\nsame\n");
    let difference = admin.get(&format!("/v1/diff{path}?from={first}&to={second}")).is(200).json();
    assert!(text(&difference, "diff").contains("-first\n+second\n same\n"), "{difference}");

    let restore =
        |path: &str, version: &str| admin.post("/v1/restore", &json!({"path": path, "version": version}));
    restore("/docs/a.md", &first).refuses(404, "not_found");
    restore(path, "nonsense").refuses(400, "invalid_version");
    assert_eq!(text(&restore(path, &first).is(200).json(), "version"), first);
    assert_eq!(admin.read(path).is(200).text(), "first\nsame\n");
    assert_eq!(history(&admin, path)[0], by_admin("file.created", json!(first)));
    assert_eq!(admin.items(&format!("/v1/versions{path}"))[0]["current"], true);
}

#[test]
fn edits_of_other_programs_become_versions_too() {
    let server = Server::start(FILES);
    let admin = server.admin();
    let file = server.folder.path().join("docs/a.md");
    std::fs::write(&file, "from outside\n").unwrap();
    let newest = eventually("the watcher sees the edit", || {
        let newest = history(&admin, "/docs/a.md").remove(0);
        (newest.1 == version("from outside\n")).then_some(newest)
    });
    assert_eq!((newest.0.as_str(), newest.2.as_str()), ("file.updated", "external"));
    // Without waiting for the watcher: what stood there is taken in before it is written over.
    std::fs::write(&file, "unseen so far, and longer\n").unwrap();
    admin.put("/docs/a.md", "by the api\n").is(200);
    let (newest, before) = (&history(&admin, "/docs/a.md")[0], &history(&admin, "/docs/a.md")[1]);
    assert_eq!((&newest.1, newest.2.as_str()), (&json!(version("by the api\n")), "human:admin"));
    assert_eq!((&before.1, before.2.as_str()), (&json!(version("unseen so far, and longer\n")), "external"));
}

#[test]
fn a_search_that_waits_finds_a_write_at_once() {
    let server = Server::start(FILES);
    let writer = server.user("agent:writer", &["list,read,write,delete /docs/own/**"]);
    for user in [&server.admin(), &writer] {
        for round in 0..5 {
            let path = format!("/docs/own/note-{round}.md");
            let waited = |seq: &Value, word: &str| user.found(json!({"query": word, "wait_for_seq": seq}));
            let word = format!("heron{round}x");
            let seq = user.put(&path, &format!("A {word} stands here.\n")).json()["seq"].clone();
            assert!(seq.as_str().unwrap().starts_with("sq_"), "{seq}");
            assert_eq!(waited(&seq, &word), [path.as_str()]);
            let to = format!("/docs/own/moved-{round}.md");
            let seq = user.carry("move", &path, &to).is(200).json()["seq"].clone();
            assert_eq!(waited(&seq, &word), [to.as_str()]);
            let seq = user.delete(&format!("/v1/files{to}")).is(200).json()["seq"].clone();
            assert_eq!(waited(&seq, &word), Vec::<String>::new());
        }
    }
}

#[test]
fn a_seq_that_was_given_to_somebody_else_names_the_same_change() {
    let server = Server::start(FILES);
    let admin = server.admin();
    let writer = server.user("agent:writer", &["list,read,write /docs/own/**"]);
    let reader = server.user("agent:reader", &["list,read /docs/**", "!list,read /docs/guide/**"]);
    let pairs = [(&admin, &reader), (&writer, &reader), (&writer, &admin), (&admin, &writer)];
    for (round, (by, to)) in pairs.into_iter().enumerate() {
        let path = format!("/docs/own/told-{round}.md");
        let word = format!("plover{round}x");
        let seq = by.put(&path, &format!("A {word} stands here.\n")).json()["seq"].clone();
        assert_eq!(to.found(json!({"query": word, "wait_for_seq": seq}))[0], path);
        let shown = seq.as_str().unwrap();
        let then = to.read(&format!("{path}?as_of={shown}")).is(200).text();
        assert_eq!(then, format!("A {word} stands here.\n"));
        // Who goes on after it may see it again, and misses nothing.
        by.put("/docs/own/next.md", &word).is(if round == 0 { 201 } else { 200 });
        let told = to.get(&format!("/v1/events/wait?after={shown}")).json();
        let paths: Vec<&Value> =
            told["items"].as_array().unwrap().iter().map(|event| &event["path"]).collect();
        assert!(paths.contains(&&json!("/docs/own/next.md")), "{told}");
        assert!(!paths.contains(&&json!("/docs/a.md")), "what was long before is not told again: {told}");
    }
    // A place that nobody was given tells how many changes there are.
    let shown = admin.put("/docs/own/last.md", "x\n").json()["seq"].clone();
    let bare = &shown.as_str().unwrap()[..15];
    admin.found(json!({"query": "x", "wait_for_seq": bare}));
    for made_up in [bare, "sq_00000000ffff"] {
        let request = json!({"query": "x", "wait_for_seq": made_up});
        reader.post("/v1/search", &request).refuses(400, "invalid_request");
    }
}
