use serde_json::{Value, json};

use crate::mcp::{Client, in_both_eras};
use crate::support::Server;
use crate::users::{User, text};

const FILES: &str = "\
//- a.md
# Animals

The walrus came.
//- note.txt
The heron went.
";

fn send(user: &User<'_>, method: &str, path: &str, body: &Value) -> crate::support::Reply {
    user.ask(method, path, &[("content-type", "application/json")], &body.to_string())
}

#[test]
fn a_part_does_not_take_the_place_of_the_whole_file() {
    let server = Server::start(FILES);
    let admin = server.admin();
    let before = admin.read("/docs/a.md").is(200).text();
    for (method, route) in [("PUT", "files"), ("POST", "append")] {
        let part = [("content-range", "bytes 0-3/26")];
        let refused = admin.ask(method, &format!("/v1/{route}/docs/a.md"), &part, "Part");
        refused.refuses(400, "invalid_request");
        assert!(text(&refused.json(), "hint").contains("/v1/append"), "{}", refused.text());
    }
    assert_eq!(admin.read("/docs/a.md").text(), before);
}

#[test]
fn a_value_of_a_wrong_type_is_told_with_its_name_and_what_may_be() {
    let server = Server::start(FILES);
    let admin = server.admin();
    for (path, body, name, may_be) in [
        ("/v1/search", json!({"query": "x", "mode": 5}), "mode", "hybrid"),
        ("/v1/search", json!({"query": "x", "limit": "3"}), "limit", "whole number"),
        ("/v1/search", json!({"query": "x", "workspaces": [1]}), "workspaces", "list of names"),
        ("/v1/route", json!({"intent": "x", "kinds": [5]}), "kinds", "agent"),
        ("/v1/tokens", json!({"principal": "agent:a", "verbs": [null]}), "verbs", "read"),
        ("/v1/webhooks", json!({"url": "https://example.com/x", "format": 1}), "format", "cloudevents"),
        ("/v1/approvals/ap_none", json!({"decision": 1}), "decision", "grant"),
    ] {
        let refused = admin.post(path, &body);
        refused.refuses(400, "invalid_request");
        let told = text(&refused.json(), "detail").to_owned();
        assert!(told.contains(&format!("`{name}`")) && told.contains(may_be), "{body}: {told}");
    }
    let json_body = [("content-type", "application/json")];
    admin.ask("POST", "/v1/search", &json_body, "{\"mode\": }").refuses(400, "invalid_json");
    let twice = admin.ask("POST", "/v1/search", &json_body, "{\"query\": \"a\", \"query\": \"b\"}");
    twice.refuses(400, "invalid_request");
    assert!(twice.text().contains("`query` is given twice"), "{}", twice.text());
    for twice in [
        "{\"query\": \"a\", \"query\": \"b\", \"limit\": null}",
        "{\"query\": \"a\", \"mode\": null, \"filters\": {\"author\": \"a\", \"author\": \"b\"}}",
    ] {
        let refused = admin.ask("POST", "/v1/search", &json_body, twice);
        refused.refuses(400, "invalid_request");
        assert!(refused.text().contains("is given twice"), "{}", refused.text());
    }
}

#[test]
fn a_null_is_as_good_as_nothing() {
    let server = Server::start(FILES);
    let admin = server.admin();
    let nulls = json!({"query": "walrus", "mode": null, "explain": null, "limit": null, "filters": null});
    assert_eq!(admin.found(nulls), ["/docs/a.md"]);
    admin.post("/v1/snapshots", &json!({"workspace": "docs", "name": null})).is(201);
    let made = admin.post("/v1/workspaces", &json!({"name": "more", "intelligence": null})).is(201).json();
    assert_eq!(made["intelligence"], true, "{made}");
    admin.post("/v1/route", &json!({"intent": "x", "kinds": null, "explain": null})).is(200);
    let note = json!({"text": "The walrus came.", "workspace": "docs", "tags": null, "on_conflict": null});
    let agent = server.user("agent:a", &["list,read,write /docs/memory/a/**"]);
    agent.post("/v1/memory/remember", &note).is(201);
    let task = json!({"workspace": "docs", "title": "Count", "priority": null, "review": null});
    admin.post("/v1/tasks", &task).is(201);
    admin.post("/v1/search", &json!({"query": "walrus", "mdoe": null})).refuses(400, "invalid_request");
    let grant = json!({"to": "agent:a", "tool": "pay.*", "verbs": ["call"], "arguments": null});
    admin.post("/v1/grants", &grant).refuses(400, "invalid_request");
    in_both_eras(&server, |client| {
        let (found, failed) = client.call("search", json!({"query": "walrus", "mode": null, "limit": null}));
        assert!(!failed && found["hits"][0]["path"] == "/docs/a.md", "{found}");
    });
}

#[test]
fn a_condition_on_files_is_understood_or_refused() {
    let server = Server::start(FILES);
    let admin = server.admin();
    for extension in ["md", ".md"] {
        let query = json!({"query": "walrus heron", "filters": {"extension": extension}});
        assert_eq!(admin.found(query), ["/docs/a.md"], "{extension}");
    }
    for filters in [json!({"language": "english"}), json!({"language": "nope"}), json!({"mime_type": "nope"})]
    {
        let refused = admin.post("/v1/search", &json!({"query": "walrus", "filters": filters}));
        refused.refuses(400, "invalid_request");
        assert!(refused.text().contains("such as"), "{}", refused.text());
    }
    for filters in [json!({"language": "EN"}), json!({"language": "rust"}), json!({"mime_type": "text/*"})] {
        admin.post("/v1/search", &json!({"query": "walrus", "filters": filters})).is(200);
    }
    admin.post("/v1/search", &json!({"query": "walrus", "max_tokens": 0})).refuses(400, "invalid_request");
}

#[test]
fn what_was_made_answers_otherwise_than_what_was_there() {
    let server = Server::start(FILES);
    let admin = server.admin();
    server.user("agent:a", &[]);
    let grant = json!({"to": "agent:a", "path": "/docs/**", "verbs": ["read"]});
    let budget = json!({"holder": "agent:a", "limits": {"calls": 5}});
    let tool = json!({"description": "Charges a card", "examples": ["charge the card"]});
    for (method, path, body) in [
        ("POST", "/v1/principals", json!({"id": "agent:b"})),
        ("POST", "/v1/grants", grant),
        ("POST", "/v1/budgets", budget),
        ("POST", "/v1/folders", json!({"path": "/docs/made"})),
        ("PUT", "/v1/agents/writer", json!({"name": "Writer", "description": "Writes notes", "price": null})),
        ("PUT", "/v1/tools/charge", tool),
    ] {
        let first = send(&admin, method, path, &body).is(201).json();
        assert!(first["created"].is_null() || path == "/v1/folders", "{first}");
        send(&admin, method, path, &body).is(200);
    }
    let folder = admin.carry("move", "/docs/made", "/docs/moved").is(200).json();
    assert_eq!((text(&folder, "kind"), text(&folder, "path")), ("folder", "/docs/moved"), "{folder}");
    assert!(folder.get("size").is_none() && folder.get("mime_type").is_none(), "{folder}");
}

#[test]
fn a_lock_has_a_place_and_says_when_to_come_back() {
    let server = Server::start(FILES);
    let admin = server.admin();
    let nowhere = admin.post("/v1/locks", &json!({"path": "/nowhere/**"}));
    nowhere.refuses(404, "not_found");
    assert!(nowhere.text().contains("workspace `nowhere`"), "{}", nowhere.text());
    let user = server.user("agent:a", &["list,read,write /docs/**"]);
    admin.post("/v1/locks", &json!({"path": "/docs/a.md", "ttl_seconds": 600})).is(201);
    let held = user.put("/docs/a.md", "mine\n");
    held.refuses(423, "lock_held");
    let seconds: u64 = held.header("retry-after").parse().unwrap();
    assert!((1..=601).contains(&seconds), "{seconds}");
}

#[test]
fn a_wait_longer_than_one_may_is_refused_and_not_cut() {
    let server = Server::start(FILES);
    let admin = server.admin();
    admin.get("/v1/events/wait?timeout_seconds=26").refuses(400, "invalid_request");
    admin.post("/v1/tasks/claim", &json!({"wait_seconds": 26})).refuses(400, "invalid_request");
    let fetch = json!({"workspace": "docs", "topic": "t", "group": "g", "wait_seconds": 26});
    admin.post("/v1/consumers/fetch", &fetch).refuses(400, "invalid_request");
    let client = Client::modern(&server, "");
    for (tool, arguments, field) in [
        ("wait_for_events", json!({"timeout_seconds": 26}), "`timeout_seconds`"),
        ("claim_task", json!({"wait_seconds": 26}), "`wait_seconds`"),
        ("claim_task", json!({"ttl_seconds": 0}), "`ttl_seconds`"),
    ] {
        let (said, failed) = client.call(tool, arguments);
        assert!(failed && text(&said, "message").contains(field), "{tool}: {said}");
    }
}

#[test]
fn a_token_reaches_something_and_a_group_needs_no_prefix() {
    let server = Server::start(FILES);
    let admin = server.admin();
    server.user("agent:a", &[]);
    for narrowed in [json!({"paths": []}), json!({"verbs": []})] {
        let mut request = json!({"principal": "agent:a"});
        request.as_object_mut().unwrap().extend(narrowed.as_object().unwrap().clone());
        let refused = admin.post("/v1/tokens", &request);
        refused.refuses(400, "invalid_request");
        assert!(refused.text().contains("is empty"), "{}", refused.text());
    }
    let crew = send(&admin, "PUT", "/v1/groups/crew", &json!({"members": ["agent:a"]})).is(200).json();
    assert_eq!(text(&crew, "id"), "group:crew");
    let b = admin.post("/v1/principals", &json!({"id": "agent:b", "groups": ["crew"]})).is(201).json();
    assert_eq!(b["groups"], json!(["group:crew"]), "{b}");
    let asked = json!({"path": "/docs/a.md", "request": "May it stay?"});
    let asker = server.user("agent:asker", &["list,read /docs/**"]);
    let asked = asker.post("/v1/approvals", &asked).is(201).json();
    assert_eq!(text(&asked, "gate"), "", "it waits at none: {asked}");
    let decided =
        admin.post(&format!("/v1/approvals/{}", text(&asked, "id")), &json!({"decision": "approved"}));
    assert_eq!(text(&decided.is(200).json(), "state"), "granted");
    send(&admin, "PUT", "/v1/tools/charge", &json!({"description": "Charges a card"})).is(201);
    let feedback = json!({"intent": "take the money", "right": "tool:charge"});
    let learned = admin.post("/v1/route/feedback", &feedback).is(200).json();
    assert!(text(&learned["learned"][0], "entry").ends_with("charge"), "{learned}");
}

#[test]
fn an_answer_names_its_request_as_the_audit_log_does() {
    let server = Server::start(FILES);
    let admin = server.admin();
    let named = admin.ask("GET", "/v1/files/docs/a.md", &[("x-request-id", "r-7")], "");
    assert_eq!(named.header("x-request-id"), "r-7");
    let plain = admin.read("/docs/none.md");
    plain.refuses(404, "not_found");
    let id = plain.header("x-request-id").to_owned();
    assert!(!id.is_empty());
    for (id, outcome) in [("r-7", "allowed"), (id.as_str(), "failed")] {
        let acts = admin.items(&format!("/v1/audit?trace={id}"));
        assert!(acts.iter().any(|act| act["action"] == "file.read" && act["outcome"] == outcome), "{acts:?}");
    }
}

#[test]
fn a_path_that_is_none_is_told_as_it_was_given_and_why() {
    let server = Server::start(FILES);
    let admin = server.admin();
    let check = |reply: crate::support::Reply, words: &str| {
        reply.refuses(400, "invalid_path");
        assert!(reply.text().contains(words), "{words}: {}", reply.text());
    };
    check(admin.put("/docs/.git/config", "x"), "not for files of a workspace");
    check(admin.post("/v1/folders", &json!({"path": "/docs/.waypost"})), "not for files of a workspace");
    check(admin.post("/v1/folders", &json!({"path": "/docs/a//b"})), "`/docs/a//b`");
    let version = "0".repeat(64);
    let missing = admin.read(&format!("/docs/a.md?version={version}"));
    missing.refuses(404, "not_found");
    assert_eq!(text(&missing.json(), "detail"), format!("there is no version `{version}` of `/docs/a.md`"));
    let slash = admin.get("/v1/workspaces/");
    slash.refuses(404, "not_found");
    assert!(text(&slash.json(), "hint").contains("no `/` at their end"), "{}", slash.text());
}
