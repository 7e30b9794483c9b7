use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde_json::json;

use crate::mcp::Client;
use crate::support::{PATIENCE, Server, bare_command, status};

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
pub fn everything(folder: &Path) -> Vec<(String, Vec<u8>)> {
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
fn attack_27_a_body_that_says_it_is_too_long_or_never_comes_is_refused() {
    let server = Server::start("//- a.md\nplain words\n");
    let ask = |line: &str, header: &str, body: &str| {
        let (host, token) = (server.address, &server.token);
        server.raw(&format!(
            "{line} HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {token}\r\nConnection: close\r\n\
             Content-Type: application/json\r\n{header}\r\n\r\n{body}"
        ))
    };
    let check = |answer: &str, code: u16, word: &str| {
        assert!(status(answer) == code && answer.contains(&format!("\"{word}\"")), "{answer}");
        assert!(answer.to_lowercase().contains("content-type: application/problem+json"), "{answer}");
    };
    let began = Instant::now();
    for (line, size) in [
        ("PUT /v1/files/docs/big.bin", "99999999999"),
        ("POST /mcp", "3000000"),
        ("POST /v1/search", "3000000"),
        ("PUT /v1/policy", "99999999"),
    ] {
        check(&ask(line, &format!("Content-Length: {size}"), "{"), 413, "too_large");
    }
    check(
        &ask("POST /v1/search", "Content-Encoding: gzip\r\nContent-Length: 2", "{}"),
        415,
        "unsupported_type",
    );
    assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
    // What was begun and does not go on is told so, and is no fault of the server's.
    std::thread::scope(|threads| {
        for line in ["POST /v1/search", "POST /mcp", "PUT /v1/files/docs/slow.md"] {
            threads.spawn(move || check(&ask(line, "Content-Length: 100", "{"), 408, "body_timeout"));
        }
    });
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
        let output = bare_command()
            .current_dir(&docs)
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
