//! What people write in more than one way, and what they take for granted.

use serde_json::{Value, json};

use crate::support::Server;
use crate::users::text;

const FILES: &str = "\
//- handbook.md
# Handbook

Welcome to the house.

## Parking

Bicycles are parked behind the gate.

## Canteen

Lunch is served from noon to two.
//- places.json
{\"city\": \"M\\u00fcnchen\", \"station\": \"\\u6771\\u4eac\"}
";

#[test]
fn a_citation_names_the_section_that_its_words_stand_in() {
    let server = Server::start(FILES);
    let found = server.post("/v1/search", &json!({"query": "lunch noon"})).json();
    assert_eq!(found["results"][0]["citation"]["headings"], json!(["Handbook", "Canteen"]), "{found}");
    let asked = server.post("/v1/ask", &json!({"question": "Where are bicycles parked?"})).json();
    let citation = &asked["citations"][0];
    assert_eq!(citation["headings"], json!(["Handbook", "Parking"]), "{asked}");
    let verified = server.post("/v1/citations/verify", &json!({"citations": [citation]})).json();
    assert_eq!(verified["results"][0]["valid"], true, "{verified}");
}

#[test]
fn escaped_words_of_json_are_found_and_quoted_as_they_stand() {
    let server = Server::start(FILES);
    for word in ["münchen", "東京"] {
        let found = server.post("/v1/search", &json!({"query": word})).json();
        let citation = &found["results"][0]["citation"];
        assert_eq!(citation["path"], "/docs/places.json", "{word}: {found}");
        assert!(text(citation, "quote").contains("M\\u00fcnchen"), "{citation}");
    }
}

#[test]
fn what_is_sure_to_be_meant_is_understood() {
    let server = Server::start(FILES);
    let admin = server.admin();
    let user = server.user("agent:a", &[]);
    // One verb, one workspace, a topic of the only workspace there is.
    let grant = json!({"to": "agent:a", "path": "/docs/**", "verbs": "list,read"});
    assert_eq!(admin.post("/v1/grants", &grant).is(201).json()["verbs"], json!(["list", "read"]));
    assert_eq!(user.found(json!({"query": "lunch", "workspaces": "docs"})), ["/docs/handbook.md"]);
    let told = admin.post("/v1/topics/builds", &json!({"payload": {"build": 7}})).is(201).json();
    assert_eq!((text(&told, "path"), &told["data"]), ("/docs/events/builds", &json!({"build": 7})));
    let listed = user.post("/v1/search", &json!({"query": "x", "filters": ["md"]}));
    listed.refuses(400, "invalid_request");
    assert!(!listed.text().contains("struct"), "{}", listed.text());

    // What can be seen and not be changed is forbidden, not absent.
    let intelligence = [("content-type", "application/json")];
    let refused = user.ask("PATCH", "/v1/workspaces/docs", &intelligence, r#"{"intelligence": false}"#);
    refused.refuses(403, "forbidden");
    user.post("/v1/snapshots", &json!({"workspace": "docs"})).refuses(403, "forbidden");
    admin.read("/docs/handbook.md?version=zz").refuses(400, "invalid_version");
    let unknown = admin.read(&format!("/docs/handbook.md?version={}", "0".repeat(64)));
    unknown.refuses(404, "not_found");
    assert!(unknown.text().contains("/v1/versions/"), "{}", unknown.text());

    // Each thing of a list by its id.
    admin.post("/v1/snapshots", &json!({"workspace": "docs", "name": "before"})).is(201);
    admin.post("/v1/locks", &json!({"path": "/docs/x.md", "mode": "exclusive"})).is(201);
    for list in ["principals", "tokens", "grants", "locks", "snapshots"] {
        let first = admin.items(&format!("/v1/{list}")).remove(0);
        let one = admin.get(&format!("/v1/{list}/{}", text(&first, "id"))).is(200).json();
        assert_eq!(one["id"], first["id"], "{list}");
        admin.get(&format!("/v1/{list}/none")).refuses(404, "not_found");
    }
}

#[test]
fn a_state_is_named_by_its_snapshot_or_its_time() {
    let server = Server::start(FILES);
    let admin = server.admin();
    let reader = server.user("agent:r", &["list,read /docs/**"]);
    admin.put("/docs/a.md", "the walrus came\n").is(201);
    let taken = admin.post("/v1/snapshots", &json!({"workspace": "docs", "name": "first"})).is(201).json();
    // The next change lies in a later millisecond than the one that is asked for.
    let at = text(&taken, "created_at").to_owned();
    while admin.post("/v1/snapshots", &json!({"workspace": "docs"})).is(201).json()["created_at"]
        == taken["created_at"]
    {}
    admin.put("/docs/a.md", "the heron came\n").is(200);
    for user in [&admin, &reader] {
        for as_of in ["first", text(&taken, "id"), &at] {
            assert_eq!(
                user.read(&format!("/docs/a.md?as_of={as_of}")).is(200).text(),
                "the walrus came\n",
                "{as_of}"
            );
            assert_eq!(user.found(json!({"query": "walrus", "as_of": as_of})), ["/docs/a.md"], "{as_of}");
        }
        let refused = user.read("/docs/a.md?as_of=never");
        refused.refuses(400, "invalid_request");
        assert!(refused.text().contains("snapshot"), "{}", refused.text());
    }
}

#[test]
fn a_fence_counts_however_it_is_named() {
    let server = Server::start(FILES);
    let admin = server.admin();
    let lock = admin.post("/v1/locks", &json!({"path": "/docs/held.md", "mode": "exclusive"})).is(201).json();
    let fence = lock["fence"].as_u64().unwrap();
    let put = |query: &str, header: &str, fence: u64| {
        admin
            .ask("PUT", &format!("/v1/files/docs/held.md{query}"), &[(header, &fence.to_string())], "x\n")
            .status
    };
    for header in ["waypost-fence", "x-waypost-fence", "fence"] {
        assert!(put("", header, fence) < 300, "{header}");
        assert_eq!(put("", header, fence + 7), 409, "{header}");
    }
    assert!(put(&format!("?fence={fence}"), "accept", 0) < 300);
    assert_eq!(put(&format!("?fence={}", fence + 7), "accept", 0), 409);
}

#[test]
fn a_limit_is_not_loosened_by_another_one() {
    let server = Server::start(FILES);
    let admin = server.admin();
    server.user("agent:a", &[]);
    let put = |more: Value| {
        let mut request = json!({"principal": "agent:a"});
        request.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        admin.post("/v1/budgets", &request).was_put().json()["limits"].clone()
    };
    assert_eq!(put(json!({"limits": {"usd": "2.50"}})), json!({"usd": "2.5"}));
    assert_eq!(put(json!({"calls": 9})), json!({"usd": "2.5", "calls": 9}));
    assert_eq!(put(json!({"usd": 1.5})), json!({"usd": "1.5", "calls": 9}));
    admin
        .post("/v1/budgets", &json!({"principal": "agent:a", "usd": "much"}))
        .refuses(400, "invalid_request");
    admin.post("/v1/budgets", &json!({"principal": "agent:a"})).refuses(400, "invalid_request");
}

#[test]
fn an_agent_works_on_what_is_handed_to_it() {
    let server = Server::start(FILES);
    let admin = server.admin();
    let card =
        json!({"name": "Lea", "description": "Reviews contracts", "examples": ["review the contract"]});
    let put = admin.ask("PUT", "/v1/agents/lea", &[("content-type", "application/json")], &card.to_string());
    put.is(201);
    let token = admin.issue(json!({"principal": "agent:lea"}));
    let lea = admin.with_token(text(&token, "token"));
    assert_eq!(text(&lea.get("/v1/agents/lea").is(200).json(), "name"), "Lea");
    assert_eq!(lea.items("/v1/workspaces"), Vec::<Value>::new(), "nothing but its inbox is its own");
    let handed =
        admin.post("/v1/dispatch", &json!({"intent": "review the contract", "to": "lea"})).is(201).json();
    assert_eq!(lea.items("/v1/agents/lea/inbox").len(), 1);
    let task = lea.post("/v1/tasks/claim", &json!({})).is(200).json()["task"].clone();
    assert_eq!(task["id"], handed["task_id"], "{task}");
    let done = json!({"task_id": task["id"], "fence": task["fence"]});
    lea.post("/v1/tasks/complete", &done).is(200);
    // What was given can be taken away, and does not come back with a new card.
    for grant in admin.items("/v1/grants").iter().filter(|grant| grant["to"] == "agent:lea") {
        admin.delete(&format!("/v1/grants/{}", text(grant, "id"))).is(204);
    }
    admin.ask("PUT", "/v1/agents/lea", &[("content-type", "application/json")], &card.to_string()).is(200);
    assert_eq!(lea.items("/v1/agents/lea/inbox"), Vec::<Value>::new());
    lea.get("/v1/agents/lea").refuses(404, "not_found");
}

#[test]
fn a_stream_begins_with_what_happened_and_ends_where_it_is_told_to() {
    let server = Server::start(FILES);
    let told = server.raw_get("/v1/events?after=0&limit=2&kinds=file.created", "");
    let kinds: Vec<&str> = told.lines().filter_map(|line| line.strip_prefix("event: ")).collect();
    assert_eq!(kinds, ["file.created", "file.created"], "{told}");
    let quiet = server.raw_get("/v1/events?kinds=file.moved&timeout_seconds=0", "");
    assert!(quiet.starts_with("HTTP/1.1 200") && !quiet.contains("event:"), "{quiet}");
}

#[test]
fn who_accepts_anything_is_answered_and_an_end_is_an_end() {
    let server = Server::start(FILES);
    let hello = json!({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {
        "protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "test", "version": "1"},
    }});
    let json_body = ("content-type", "application/json");
    let opened = server.ask("POST", "/mcp", &[json_body, ("accept", "*/*")], &hello.to_string());
    assert_eq!(opened.status, 200, "{}", opened.text());
    let first = opened.text().lines().find_map(|line| line.strip_prefix("data:").map(str::to_owned));
    assert!(first.is_some_and(|data| data.contains("serverInfo")), "{}", opened.text());
    let session = opened.header("mcp-session-id").to_owned();
    let session = [("mcp-session-id", session.as_str()), ("mcp-protocol-version", "2025-06-18")];
    let said = json!({"jsonrpc": "2.0", "method": "notifications/initialized"});
    let both = ("accept", "application/json, text/event-stream");
    let heard = server.ask("POST", "/mcp", &[&session[..], &[json_body, both]].concat(), &said.to_string());
    assert_eq!(heard.status, 202);
    let list = json!({"jsonrpc": "2.0", "id": 2, "method": "tools/list"});
    let listed = server.ask("POST", "/mcp", &[&session[..], &[json_body, both]].concat(), &list.to_string());
    let datas: Vec<String> = listed
        .text()
        .lines()
        .filter_map(|line| Some(line.strip_prefix("data:")?.trim().to_owned()))
        .collect();
    assert!(!datas.is_empty() && datas.iter().all(|data| data.starts_with('{')), "{}", listed.text());
    assert_eq!(server.ask("DELETE", "/mcp", &session, "").status, 204);
}

#[test]
fn a_decision_may_be_called_what_the_verb_is_called() {
    let server = Server::start(FILES);
    let admin = server.admin();
    let asker = server.user("agent:a", &["list,read /docs/**"]);
    for (decision, state) in [("approve", "granted"), ("reject", "denied")] {
        let request = json!({"path": "/docs/handbook.md", "reason": format!("May it be {state}?")});
        let asked = asker.post("/v1/approvals", &request).is(201).json();
        let id = text(&asked, "id");
        admin.post(&format!("/v1/approvals/{id}/{decision}"), &json!({})).is(200);
        assert_eq!(text(&asker.get(&format!("/v1/approvals/{id}")).is(200).json(), "state"), state);
    }
}

#[test]
fn a_charset_is_told_where_it_is_known() {
    let server = Server::start_with(|docs| {
        std::fs::write(docs.join("a.md"), "café\n").unwrap();
        std::fs::write(docs.join("latin.txt"), b"caf\xe9 cr\xe8me br\xfbl\xe9e, un d\xe9jeuner\n").unwrap();
        let wide = "\u{feff}herons wade\n".encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<u8>>();
        std::fs::write(docs.join("wide.txt"), wide).unwrap();
    });
    for (name, kind) in [
        ("a.md", "text/markdown; charset=utf-8"),
        ("a.md?tail=1", "text/markdown; charset=utf-8"),
        ("latin.txt", "text/plain"),
        ("wide.txt", "text/plain; charset=utf-16"),
    ] {
        let reply = server.get(&format!("/v1/files/docs/{name}"));
        assert_eq!((reply.status, reply.header("content-type")), (200, kind), "{name}");
    }
}
