use std::io::Write;
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

use crate::attacks::everything;
use crate::mcp::Client;
use crate::support::{Reply, Server};
use crate::users::{User, text};

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
fn a_citation_of_a_moved_file_is_followed_as_far_as_its_asker_may_read() {
    let server = Server::start("//- open/a.md\nplain words\n//- hidden/h.md\nother words\n");
    let admin = server.admin();
    let reader = server.user("agent:reader", &["list,read /docs", "list,read /docs/open/**"]);
    let version = server.get("/v1/files/docs/open/a.md").header("etag").trim_matches('"').to_owned();
    let citation = json!({"workspace": "docs", "path": "/docs/open/a.md", "version": version, "start_byte": 0, "end_byte": 5, "lines": null, "headings": [], "quote": "plain"});
    // Where its text stands, for one who asks.
    let now = |user: &User<'_>| {
        let checked = user.post("/v1/citations/verify", &json!({"citations": [citation]})).is(200).json();
        let told = &checked["results"][0];
        assert_eq!((&told["valid"], &told["stale"]), (&json!(true), &json!(true)), "{checked}");
        told["now"]["path"].clone()
    };
    admin.carry("move", "/docs/open/a.md", "/docs/open/b.md").is(200);
    assert_eq!(now(&reader), json!("/docs/open/b.md"));
    admin.carry("move", "/docs/open/b.md", "/docs/hidden/c.md").is(200);
    assert_eq!((now(&reader), now(&admin)), (Value::Null, json!("/docs/hidden/c.md")));
    // What went through a hidden place has not come from anywhere; a file of the same bytes is found like any other.
    admin.carry("move", "/docs/hidden/c.md", "/docs/open/d.md").is(200);
    admin.put("/docs/open/d.md", "plain words, and more\n").is(200);
    assert_eq!((now(&reader), now(&admin)), (Value::Null, json!("/docs/open/d.md")));
    admin.put("/docs/open/copy.md", "plain words\n").is(201);
    assert_eq!(now(&reader), json!("/docs/open/copy.md"));
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
