use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

use crate::mcp::Client;
use crate::support::{PATIENCE, Reply, Server, status};
use crate::users::{User, text};

const SECRET: &str = "outsidesecret";

/// `docs` with a file, beside a folder whose name begins alike, with links that lead there.
fn beside_a_secret() -> Server {
    Server::start_with(|docs| {
        let secret = docs.parent().unwrap().join("docs-secret");
        std::fs::create_dir(&secret).unwrap();
        std::fs::write(secret.join("f.md"), SECRET).unwrap();
        std::fs::write(docs.join("a.md"), "plain words\n").unwrap();
        symlink(secret.join("f.md"), docs.join("link.md")).unwrap();
        symlink(&secret, docs.join("linked")).unwrap();
    })
}

/// Every path below a folder, with its bytes, without a step over a link.
fn everything(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let kind = std::fs::symlink_metadata(&path).unwrap().file_type();
        let bytes = if kind.is_file() { std::fs::read(&path).unwrap() } else { Vec::new() };
        found.push((path.to_string_lossy().into_owned(), bytes));
        if kind.is_dir() {
            found.extend(everything(&path));
        }
    }
    found.sort();
    found
}

fn encoded(path: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/-._~".contains(&byte);
    path.bytes()
        .map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") })
        .collect()
}

/// Asks with the bytes of the request line as they are.
fn raw_put(server: &Server, method: &str, path: &str) -> String {
    let (host, token) = (server.address, &server.token);
    server.raw(&format!(
        "{method} {path} HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {token}\r\nConnection: close\r\n\
         Content-Length: 4\r\n\r\nevil"
    ))
}

/// Tries every way to write to a path; all are refused, and nothing anywhere has changed.
fn check_unwritable(server: &Server, path: &str) {
    let admin = server.admin();
    let (docs, secret) = (server.folder.path().join("docs"), server.folder.path().join("docs-secret"));
    let before = (everything(&docs), everything(&secret));
    let refused = |how: &str, status: u16| assert!((400..500).contains(&status), "{how} {path:?}: {status}");
    for (method, route) in [("PUT", "files"), ("DELETE", "files"), ("POST", "append")] {
        for path in [path.to_owned(), encoded(path)] {
            if !path.contains(|c: char| c.is_control() || c == ' ') && path.is_ascii() {
                refused(method, status(&raw_put(server, method, &format!("/v1/{route}{path}"))));
            }
        }
    }
    for (how, body) in [
        ("folders", json!({"path": path})),
        ("edit", json!({"path": path, "edits": [{"old_text": SECRET, "new_text": "evil"}]})),
        ("move", json!({"from": "/docs/a.md", "to": path})),
        ("copy", json!({"from": "/docs/a.md", "to": path})),
        ("move", json!({"from": path, "to": "/docs/got.md"})),
        ("copy", json!({"from": path, "to": "/docs/got.md"})),
        ("restore", json!({"path": path, "version": "0".repeat(64)})),
    ] {
        refused(how, admin.post(&format!("/v1/{how}"), &body).status);
    }
    let client = Client::modern(server, "");
    for (tool, arguments) in [
        ("write_file", json!({"path": path, "content": "evil"})),
        ("move_file", json!({"source": "/docs/a.md", "destination": path})),
        ("copy_file", json!({"source": path, "destination": "/docs/got.md"})),
        ("create_directory", json!({"path": path})),
        ("delete_file", json!({"path": path, "recursive": true})),
    ] {
        let (said, failed) = client.call(tool, arguments);
        assert!(failed && !said.to_string().contains(SECRET), "{tool} {path:?}: {said}");
    }
    assert_eq!((everything(&docs), everything(&secret)), before, "{path:?}");
}

#[test]
fn attacks_1_2_and_3_no_path_leads_out_for_writing() {
    let server = beside_a_secret();
    for path in [
        "/docs/../docs-secret/new.md",
        "/docs/x/../../docs-secret/f.md",
        "/docs/..%2fdocs-secret%2ff.md/../f.md",
        "/docs/..\\docs-secret\\f.md",
        "/docs-secret/f.md",
        "//docs/new.md",
        "/etc/passwd",
        "/docs/link.md",
        "/docs/linked/f.md",
        "/docs/linked/new.md",
        "/docs/linked",
    ] {
        check_unwritable(&server, path);
    }
    assert_eq!(server.get("/v1/files/docs/a.md").is(200).text(), "plain words\n");
}

#[test]
fn attack_4_a_folder_that_is_swapped_with_a_link_leads_nowhere() {
    let server = beside_a_secret();
    let admin = server.admin();
    let (docs, secret) = (server.folder.path().join("docs"), server.folder.path().join("docs-secret"));
    admin.put("/docs/dir/f.md", "inside\n").is(201);
    let is_over = AtomicBool::new(false);
    std::thread::scope(|threads| {
        threads.spawn(|| {
            let (dir, away) = (docs.join("dir"), docs.join("away"));
            while !is_over.load(Ordering::Relaxed) {
                if std::fs::rename(&dir, &away).is_ok() {
                    let is_linked = symlink(&secret, &dir).is_ok();
                    std::thread::yield_now();
                    if is_linked {
                        let _ = std::fs::remove_file(&dir);
                    }
                    // The server may have made the folder anew meanwhile.
                    if std::fs::rename(&away, &dir).is_err() {
                        let _ = std::fs::remove_dir_all(&away);
                    }
                }
            }
        });
        let put_and_read =
            || [admin.put("/docs/dir/f.md", "inside\n").text(), admin.read("/docs/dir/f.md").text()];
        let told: Vec<String> = (0..150).flat_map(|_| put_and_read()).collect();
        is_over.store(true, Ordering::Relaxed);
        let leak = told.iter().find(|answer| answer.contains(SECRET));
        assert_eq!(leak, None, "read through the link");
    });
    let outside = everything(&secret);
    assert_eq!(outside.len(), 1, "{outside:?}");
    assert_eq!(outside[0].1, SECRET.as_bytes());
}

#[test]
fn attacks_5_and_8_names_that_no_file_may_have_are_not_made() {
    let server = beside_a_secret();
    for path in [
        "/docs/a\0b.md",
        "/docs/a\nb.md",
        "/docs/.",
        "/docs/x//y.md",
        "/docs/./y.md",
        "/docs/.waypost/catalog.db",
        "/docs/.Waypost/x",
        "/docs/.waypost-aside-1",
        "/docs/sub/.git/config",
        "/docs/.GIT/hooks/pre-commit",
        "/docs/.git./config",
        "/.waypost/catalog.db",
        "/home/.waypost/keys/home.key",
        "/docs/con.md",
        "/docs/space ",
    ] {
        check_unwritable(&server, path);
    }
    check_unwritable(&server, &format!("/docs/{}", "x".repeat(5000)));
    check_unwritable(&server, &format!("/docs{}", "/x".repeat(2500)));
}

#[test]
fn attack_8_the_homes_own_folder_is_no_workspace() {
    let server = beside_a_secret();
    let admin = server.admin();
    let home = server.folder.path().join("home");
    for (n, below) in [".waypost", ".waypost/keys", ".waypost/blobs"].iter().enumerate() {
        let request = json!({"name": format!("stolen-{n}"), "folder": home.join(below)});
        let refused = admin.post("/v1/workspaces", &request);
        assert!((400..500).contains(&refused.status), "{below}: {}", refused.text());
    }
    symlink(home.join(".waypost"), server.folder.path().join("innocent")).unwrap();
    let request = json!({"name": "stolen", "folder": server.folder.path().join("innocent")});
    let refused = admin.post("/v1/workspaces", &request);
    assert!((400..500).contains(&refused.status), "{}", refused.text());
    assert_eq!(admin.items("/v1/workspaces").len(), 1);
}

#[test]
fn attack_6_another_form_of_a_name_is_no_way_around_a_rule() {
    let (composed, decomposed) = ("caf\u{e9}", "cafe\u{301}");
    let server = Server::start(&format!("//- {composed}/menu.md\nA walrus menu.\n//- a.md\nplain\n"));
    let admin = server.admin();
    let reader = server.user("agent:reader", &["list,read,write,delete /docs/**"]);
    admin.grant("agent:reader", &format!("!list,read,write,delete /docs/C{}/**", &decomposed[1..]));
    for folder in [composed, decomposed, "CAF\u{c9}", "CAFE\u{301}", "Caf\u{e9}"] {
        let path = format!("/docs/{folder}/menu.md");
        reader.read(&encoded(&path)).refuses(404, "not_found");
        assert_eq!(reader.put(&encoded(&path), "x").problem().0, 404, "{path}");
        reader.carry("move", "/docs/a.md", &path).refuses(404, "not_found");
        reader.carry("copy", &path, "/docs/got.md").refuses(404, "not_found");
        reader.post("/v1/locks", &json!({"path": path})).refuses(404, "not_found");
    }
    assert_eq!(reader.found(json!({"query": "walrus"})), Vec::<String>::new());
    for (path, is_same) in [
        (format!("/docs/{decomposed}/menu.md"), true),
        (format!("/docs/{composed}/MENU.md"), false),
        ("/docs/CAF\u{c9}/menu.md".to_owned(), false),
        ("/docs/CAFE\u{301}/other.md".to_owned(), false),
        ("/docs/A.MD".to_owned(), false),
    ] {
        let reply = admin.put(&encoded(&path), "A walrus menu.\n");
        assert_eq!(reply.status, if is_same { 200 } else { 409 }, "{path}: {}", reply.text());
        if !is_same {
            reply.refuses(409, "name_conflict");
            admin.post("/v1/copy", &json!({"from": "/docs/a.md", "to": path})).refuses(409, "name_conflict");
        }
    }
}

#[test]
fn attack_7_what_is_no_file_holds_nothing_up() {
    let server = Server::start("//- a.md\nplain words\n");
    let admin = server.admin();
    let docs = server.folder.path().join("docs");
    let made = std::process::Command::new("mkfifo").arg(docs.join("pipe.md")).status().unwrap();
    assert!(made.success());
    let _listener = std::os::unix::net::UnixListener::bind(docs.join("socket.md")).unwrap();
    symlink(".", docs.join("loop")).unwrap();
    symlink("/dev/zero", docs.join("zero.md")).unwrap();
    for name in ["pipe.md", "socket.md", "zero.md", "loop/a.md", "loop/loop/a.md"] {
        let path = format!("/docs/{name}");
        for reply in [
            admin.read(&path),
            admin.put(&path, "x"),
            admin.delete(&format!("/v1/files{path}")),
            admin.get(&format!("/v1/info{path}")),
            admin.carry("move", &path, "/docs/moved.md"),
            admin.carry("copy", &path, "/docs/copied.md"),
            admin.carry("move", "/docs/a.md", &path),
        ] {
            assert!((400..500).contains(&reply.status), "{path}: {} {}", reply.status, reply.text());
        }
    }
    let entries = admin.get("/v1/tree/docs?depth=9").is(200).json()["entries"].clone();
    assert_eq!(entries, json!([{"name": "a.md", "kind": "file", "size": 12}]));
    let seq = admin.put("/docs/b.md", "A walrus.\n").is(201).json()["seq"].clone();
    assert_eq!(
        admin.found(json!({"query": "walrus", "wait_for_seq": seq})),
        ["/docs/b.md"],
        "indexing goes on"
    );
}

#[test]
fn attack_13_ids_of_others_are_ids_of_nothing() {
    let server = Server::start("//- own/a.md\nplain words\n//- other/b.md\nother words\n");
    let admin = server.admin();
    admin.post("/v1/gates", &json!({"path": "/docs/own/gated/**"})).is(201);
    let owner = server.user("agent:owner", &["list,read,write /docs/own/**"]);
    let other = server.user("agent:other", &["list,read,write,delete,approve,admin /docs/other/**"]);
    let lock = owner.post("/v1/locks", &json!({"path": "/docs/own/a.md"})).is(201).json();
    let waiting = owner.put("/docs/own/gated/x.md", "x").json()["approval_id"].clone();
    let snapshot = admin.post("/v1/snapshots", &json!({"workspace": "docs"})).is(201).json();
    let grant = admin.grant("agent:owner", "delete /docs/own/**");
    let token = owner.token.split('_').nth(1).unwrap();
    let check = |id: &str, made_up: &str, routes: &[(&str, &str)]| {
        for (method, route) in routes {
            let ask = |id: &str| -> Reply {
                let body = if route.ends_with("clone") { json!({"name": "x"}) } else { json!({}) };
                let body = if *method == "POST" { body.to_string() } else { String::new() };
                other.ask(method, &route.replace("ID", id), &[("content-type", "application/json")], &body)
            };
            let (theirs, absent) = (ask(id), ask(made_up));
            assert!((400..500).contains(&theirs.status), "{method} {route}: {}", theirs.text());
            assert_eq!(theirs.status, absent.status, "{method} {route}");
            assert_eq!(theirs.text().replace(id, made_up), absent.text(), "{method} {route}");
        }
    };
    let approvals = "/v1/approvals/ID";
    check(
        waiting.as_str().unwrap(),
        "ap_0000000000000000",
        &[
            ("GET", approvals),
            ("DELETE", approvals),
            ("POST", "/v1/approvals/ID/grant"),
            ("POST", "/v1/approvals/ID/deny"),
        ],
    );
    check(
        text(&lock, "id"),
        "lk_0000000000000000",
        &[("DELETE", "/v1/locks/ID"), ("POST", "/v1/locks/ID/heartbeat")],
    );
    check(token, "00000000", &[("DELETE", "/v1/tokens/ID")]);
    check(
        text(&snapshot, "id"),
        "sn_0000000000000000",
        &[
            ("DELETE", "/v1/snapshots/ID"),
            ("GET", "/v1/snapshots/ID/diff"),
            ("GET", "/v1/snapshots/ID/export"),
            ("POST", "/v1/snapshots/ID/restore"),
            ("POST", "/v1/snapshots/ID/clone"),
            ("GET", "/v1/files/docs/other/b.md?as_of=ID"),
        ],
    );
    check(text(&grant, "id"), "gr_000000000000", &[("DELETE", "/v1/grants/ID")]);
    assert_eq!(owner.items("/v1/locks").len(), 1);
    assert_eq!(owner.items("/v1/approvals?state=pending").len(), 1);
    assert_eq!(admin.items("/v1/snapshots").len(), 1);
    owner.read("/docs/own/a.md").is(200);
}

/// Everything that a reader can ask, as it is answered, without what tells only of time.
fn told(reader: &User<'_>) -> Vec<String> {
    let mut answers = Vec::new();
    let mut note = |what: &str, reply: &Reply| {
        let mut body = reply.json();
        if let Some(object) = body.as_object_mut() {
            object.remove("took_ms");
        }
        answers.push(format!("{what} {} {body}", reply.status));
    };
    for query in ["walrus", "plain walrus words", "\"rare walrus\"", "zanzibar", "plain -walrus"] {
        for mode in ["hybrid", "lexical"] {
            note(query, &reader.post("/v1/search", &json!({"query": query, "mode": mode, "explain": true})));
        }
    }
    note("ask", &reader.post("/v1/ask", &json!({"question": "Where is the rare walrus?"})));
    for path in [
        "workspaces",
        "workspaces/docs",
        "list",
        "list/docs",
        "list/docs/open",
        "tree/docs",
        "find?pattern=*.md",
        "info/docs/open/a.md",
        "versions/docs/open/a.md",
        "snapshots",
        "locks",
        "approvals",
        "list/docs/hidden",
        "info/docs/hidden",
        "versions/docs/hidden/h.md",
        "files/docs/hidden/h.md",
    ] {
        if !path.starts_with("files") || reader.get(&format!("/v1/{path}")).status != 200 {
            note(path, &reader.get(&format!("/v1/{path}")));
        }
    }
    answers
}

#[test]
fn attack_16_what_is_hidden_changes_no_answer() {
    let server = Server::start("//- open/a.md\nplain walrus words\n//- open/b.md\nplain words alone\n");
    let admin = server.admin();
    let reader = server.user("agent:reader", &["list,read /docs/open/**"]);
    let before = told(&reader);
    for n in 0..30 {
        admin
            .put(&format!("/docs/hidden/h{n}.md"), &format!("rare walrus walrus zanzibar number {n}\n"))
            .is(201);
    }
    admin.put("/docs/hidden/h.md", "walrus\n").is(201);
    admin.carry("move", "/docs/hidden/h1.md", "/docs/hidden/moved.md").is(200);
    admin.delete("/v1/files/docs/hidden/h2.md").is(200);
    admin.post("/v1/locks", &json!({"path": "/docs/hidden/**"})).is(201);
    admin.post("/v1/snapshots", &json!({"workspace": "docs"})).is(201);
    admin.post("/v1/workspaces", &json!({"name": "another"})).is(201);
    admin.post("/v1/gates", &json!({"path": "/docs/hidden/**"})).is(201);
    let writer = server.user("agent:writer", &["list,read,write /docs/hidden/**"]);
    assert_eq!(writer.put("/docs/hidden/x.md", "x").status, 403);
    let seq = admin.put("/docs/hidden/last.md", "zanzibar\n").is(201).json()["seq"].clone();
    assert!(admin.found(json!({"query": "zanzibar", "wait_for_seq": seq, "limit": 50})).len() > 5);
    assert_eq!(told(&reader), before);
}

#[test]
fn attack_17_the_past_of_a_hidden_path_is_hidden_too() {
    let server = Server::start(
        "//- open/a.md\nplain words\n//- open/b.md\nwalrus words\n//- hidden/h.md\nrare zanzibar\n",
    );
    let admin = server.admin();
    let reader = server.user("agent:reader", &["list,read /docs", "list,read /docs/open/**"]);
    let first = admin.post("/v1/snapshots", &json!({"workspace": "docs"})).is(201).json();
    let first = text(&first, "id");
    let version = server.get("/v1/files/docs/hidden/h.md").header("etag").trim_matches('"').to_owned();
    admin.delete("/v1/files/docs/hidden/h.md").is(200);
    admin.put("/docs/hidden/new.md", "rare zanzibar\n").is(201);
    admin.carry("move", "/docs/open/b.md", "/docs/hidden/b.md").is(200);

    let left = reader.items("/v1/versions/docs/open/b.md");
    assert_eq!((text(&left[0], "event"), &left[0]["other_path"]), ("file.deleted", &Value::Null), "{left:?}");
    for path in ["/docs/hidden/h.md", "/docs/hidden/new.md", "/docs/hidden/b.md"] {
        reader.get(&format!("/v1/versions{path}")).refuses(404, "not_found");
        reader.get(&format!("/v1/files{path}?version={version}")).refuses(404, "not_found");
        reader.get(&format!("/v1/files{path}?as_of={first}")).refuses(404, "not_found");
        reader.post("/v1/restore", &json!({"path": path, "version": version})).refuses(404, "not_found");
    }
    reader.get(&format!("/v1/files/docs/open/a.md?version={version}")).refuses(404, "not_found");
    let diff = reader.get(&format!("/v1/snapshots/{first}/diff")).is(200).json();
    assert_eq!(diff, json!({"added": [], "removed": ["/docs/open/b.md"], "changed": []}));
    let archive = reader.get(&format!("/v1/snapshots/{first}/export")).is(200).text();
    assert!(archive.contains("walrus") && !archive.contains("hidden") && !archive.contains("zanzibar"));
    assert_eq!(reader.found(json!({"query": "zanzibar", "as_of": first})), Vec::<String>::new());
    let citation = json!({"workspace": "docs", "path": "/docs/hidden/h.md", "version": version, "start_byte": 0, "end_byte": 4, "lines": null, "headings": [], "quote": "rare"});
    let checked = reader.post("/v1/citations/verify", &json!({"citations": [citation]})).is(200).json();
    assert_eq!(text(&checked["results"][0], "status"), "invalid", "{checked}");
    reader.get("/v1/audit?path=/docs/hidden").refuses(403, "forbidden");
}

#[test]
fn attack_27_too_much_or_nothing_at_all_holds_nobody_up() {
    let server = Server::start("//- a.md\nplain words\n");
    let (host, token) = (server.address, &server.token);
    let idle: Vec<TcpStream> = (0..300).map(|_| TcpStream::connect(server.address).unwrap()).collect();
    let half: Vec<TcpStream> = (0..50)
        .map(|_| {
            let mut stream = TcpStream::connect(server.address).unwrap();
            stream.write_all(b"GET /v1/work").unwrap();
            stream
        })
        .collect();
    for (method, route) in [("PUT", "files/docs/big.md"), ("POST", "append/docs/big.md")] {
        let mut stream = TcpStream::connect(server.address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let size = (64 << 20) + 1;
        let head = format!(
            "{method} /v1/{route} HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {token}\r\n\
             Connection: close\r\nContent-Length: {size}\r\n\r\n"
        );
        stream.write_all(head.as_bytes()).unwrap();
        // The other side may close before it has read everything; what it said before counts.
        let _ = stream.write_all(&vec![b'x'; size]);
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        let answer = String::from_utf8_lossy(&answer);
        assert_eq!(status(&answer), 413, "{route}");
        assert!(answer.contains("\"too_large\""), "{answer}");
    }
    server.get("/v1/files/docs/big.md").refuses(404, "not_found");
    assert_eq!(server.get("/v1/files/docs/a.md").is(200).text(), "plain words\n", "others are still served");
    drop((idle, half));
}

#[test]
fn attack_30_names_that_deceive_are_not_made_and_not_shown_as_they_are() {
    let server = beside_a_secret();
    for name in [
        "a\u{1b}[31mred.md",
        "invoice\u{202e}fdp.exe",
        "zero\u{200b}width.md",
        "\u{feff}bom.md",
        "x\u{2066}y.md",
    ] {
        check_unwritable(&server, &format!("/docs/{name}"));
    }
    let named = server.post("/v1/snapshots", &json!({"workspace": "docs", "name": "a\u{1b}[31m"}));
    named.refuses(400, "invalid_request");

    let folder = tempfile::tempdir().unwrap();
    let docs = folder.path().join("docs");
    std::fs::create_dir(&docs).unwrap();
    std::fs::write(docs.join("invoice\u{202e}fdp.md"), "a walrus\u{1b}[31m was\u{202e} here\n").unwrap();
    let run = |arguments: &[&str]| {
        let output = std::process::Command::new(env!("CARGO_BIN_EXE_waypost"))
            .current_dir(&docs)
            .env_remove("WAYPOST_HOME")
            .env("WAYPOST_MODELS", folder.path().join("no-models"))
            .arg("--offline")
            .args(arguments)
            .output()
            .unwrap();
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
    };
    run(&["index", "."]);
    let shown = run(&["search", "walrus"]);
    assert!(shown.contains("invoice"), "{shown}");
    assert!(!shown.contains(['\u{1b}', '\u{202e}']), "{shown:?}");
}

/// What the process logs.
#[derive(Clone, Default)]
struct Captured(Arc<Mutex<Vec<u8>>>);

impl Write for Captured {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[test]
fn attack_35_no_secret_stands_where_it_could_be_read_again() {
    let captured = Captured::default();
    let writer = captured.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_writer(move || writer.clone())
        .finish();
    tracing::subscriber::set_global_default(subscriber).unwrap();
    let server = Server::start("//- a.md\nplain words\n");
    let admin = server.admin();
    let agent = server.user("agent:a", &["list,read,write /docs/**"]);
    let revoked = admin.issue(json!({"principal": "agent:a", "name": "revoked"}));
    admin.delete(&format!("/v1/tokens/{}", text(&revoked, "id"))).is(204);
    let tokens = [admin.token.clone(), agent.token.clone(), text(&revoked, "token").to_owned()];
    let mut seen = Vec::new();
    for token in &tokens {
        let user = agent.with_token(token);
        for path in
            ["tokens", "principals", "grants", "whoami", "audit", "audit/export", "workspaces", "list/docs"]
        {
            seen.extend(user.get(&format!("/v1/{path}")).body);
        }
        // Where a client puts its token by mistake.
        seen.extend(user.get(&format!("/v1/list/docs?token={token}")).body);
        seen.extend(
            server.ask("GET", "/v1/whoami", &[("authorization", &format!("Basic {token}"))], "").body,
        );
        seen.extend(user.put("/docs/n.md", "no secret\n").body);
        seen.extend(user.post("/v1/search", &json!({"query": "plain"})).body);
    }
    Client::legacy(&server, "", &agent.token).call("whoami", json!({}));
    seen.extend(server.get("/metrics").body);
    seen.extend(admin.get("/v1/audit/export").is(200).body);
    let home: Vec<u8> =
        everything(&server.folder.path().join("home")).into_iter().flat_map(|(_, bytes)| bytes).collect();
    drop(server);
    let logs = captured.0.lock().unwrap().clone();
    assert!(String::from_utf8_lossy(&logs).contains("answered"), "logs are captured");
    for token in &tokens {
        let secret = token.rsplit('_').next().unwrap().as_bytes();
        for (place, bytes) in [("answers", &seen), ("logs", &logs), ("the home", &home)] {
            let found = bytes.windows(secret.len()).position(|window| window == secret);
            let around =
                found.map(|at| String::from_utf8_lossy(&bytes[at.saturating_sub(200)..at]).into_owned());
            assert_eq!(around, None, "a secret in {place}");
        }
    }
}
