use serde_json::{Value, json};

use crate::mcp::{Client, offered};
use crate::support::Server;
use crate::users::{User, text};

const FILES: &str = "\
//- a.md
one
two
//- guide/start.md
Install the package.
";

fn client<'a>(user: &User<'a>) -> Client<'a> {
    Client::legacy(user.server, "", &user.token)
}

/// Calls a tool that has to work.
#[track_caller]
fn does(client: &Client<'_>, tool: &str, arguments: Value) -> Value {
    let (said, failed) = client.call(tool, arguments);
    assert!(!failed, "{said}");
    said
}

#[test]
fn an_agent_writes_edits_moves_and_brings_back() {
    let server = Server::start(FILES);
    let agent = server.user("agent:a", &["list,read,write,delete /docs/**"]);
    let client = client(&agent);
    let written = does(&client, "write_file", json!({"path": "/docs/n.md", "content": "first heron\n"}));
    let first = text(&written, "version").to_owned();
    let found = does(&client, "search", json!({"query": "heron", "wait_for_seq": written["seq"]}));
    assert_eq!(found["hits"][0]["path"], "/docs/n.md", "{found}");

    let edits = json!([{"oldText": "first", "newText": "second"}]);
    let dry = does(&client, "edit_file", json!({"path": "/docs/n.md", "edits": edits, "dryRun": true}));
    assert!(
        text(&dry, "diff").contains("-first heron\n+second heron\n") && dry["version"].is_null(),
        "{dry}"
    );
    let edited =
        does(&client, "edit_file", json!({"path": "/docs/n.md", "edits": edits, "expected_version": first}));
    assert_eq!(edited["diff"], dry["diff"]);
    let (said, failed) = client.call("edit_file", json!({"path": "/docs/n.md", "edits": edits}));
    assert!(failed && said["code"] == "edit_mismatch" && text(&said, "next").contains("read_file"), "{said}");
    let stale = json!({"path": "/docs/n.md", "content": "x", "expected_version": first});
    let (said, failed) = client.call("write_file", stale);
    assert!(failed && said["code"] == "version_conflict", "{said}");

    does(&client, "move_file", json!({"source": "/docs/n.md", "destination": "/docs/x/m.md"}));
    does(&client, "copy_file", json!({"source": "/docs/x/m.md", "destination": "/docs/x/c.md"}));
    does(&client, "create_directory", json!({"path": "/docs/empty"}));
    does(&client, "delete_file", json!({"path": "/docs/x/m.md"}));
    agent.read("/docs/x/m.md").refuses(404, "not_found");

    let past = does(&client, "list_versions", json!({"path": "/docs/x/m.md"}));
    let events: Vec<&str> =
        past["versions"].as_array().unwrap().iter().map(|past| text(past, "event")).collect();
    assert_eq!(events, ["file.deleted", "file.moved", "file.updated", "file.created"], "{past}");
    assert_eq!(past["versions"][3]["path"], "/docs/n.md", "{past}");
    let back = json!({"path": "/docs/x/m.md", "version": past["versions"][1]["version"]});
    does(&client, "restore_version", back);
    assert_eq!(agent.read("/docs/x/m.md").is(200).text(), "second heron\n");
    does(&client, "restore_version", json!({"path": "/docs/n.md", "version": first}));
    assert_eq!(agent.read("/docs/n.md").is(200).text(), "first heron\n");
    let snapshot = does(&client, "create_snapshot", json!({"workspace": "docs", "name": "as it is"}));
    assert!(text(&snapshot, "id").starts_with("sn_"), "{snapshot}");
    let then = does(&client, "read_file", json!({"path": "/docs/n.md", "as_of": snapshot["id"]}));
    assert_eq!(then["text"], "first heron\n");
}

#[test]
fn an_agent_looks_at_many_files_at_once() {
    let server = Server::start(FILES);
    let agent = server.user("agent:a", &["list,read /docs/**"]);
    let client = client(&agent);
    let paths = json!(["/docs/a.md", "/docs/none.md", "/docs/guide/start.md"]);
    let read = does(&client, "read_multiple_files", json!({"paths": paths}));
    let texts: Vec<Value> =
        read["files"].as_array().unwrap().iter().map(|file| file["text"].clone()).collect();
    assert_eq!(texts, [json!("one\ntwo\n"), Value::Null, json!("Install the package.\n")]);
    assert_eq!(read["files"][1], json!({"path": "/docs/none.md", "error": "not_found"}));
    let (said, failed) = client.call("read_multiple_files", json!({"paths": []}));
    assert!(failed && said["code"] == "invalid_request", "{said}");
    let tree = does(&client, "directory_tree", json!({"path": "/docs"}));
    let expected = json!({"entries": [
        {"name": "guide", "kind": "folder", "children": [{"name": "start.md", "kind": "file", "size": 21}]},
        {"name": "a.md", "kind": "file", "size": 8},
    ]});
    assert_eq!(tree, expected);
    let info = does(&client, "get_file_info", json!({"path": "/docs/a.md"}));
    assert_eq!(
        (text(&info, "kind"), &info["size"], text(&info, "mime_type")),
        ("file", &json!(8), "text/markdown")
    );
}

#[test]
fn the_list_shows_what_the_token_may_use() {
    let server = Server::start(FILES);
    let admin = server.admin();
    let reader = server.user("agent:reader", &["read /docs/**"]);
    let check = |client: &Client<'_>, hidden: &str| {
        // Attack 12: a tool that may not be used answers as one that does not exist.
        let ask = |tool: &str| {
            client.request("tools/call", json!({"name": tool, "arguments": {"path": "/docs/a.md"}}))
        };
        assert_eq!(ask(hidden).to_string().replace(hidden, "absent"), ask("absent").to_string());
        assert!(!offered(client).contains(&hidden.to_owned()), "{hidden}");
    };
    let client_of_reader = client(&reader);
    let reading = [
        "ask",
        "get_file_info",
        "list_tasks",
        "list_versions",
        "read_file",
        "read_multiple_files",
        "recall",
        "request_approval",
        "search",
        "verify_citations",
        "wait_for_events",
        "whoami",
    ];
    assert_eq!(offered(&client_of_reader), reading);
    check(&client_of_reader, "write_file");
    check(&client_of_reader, "delete_file");
    check(&client_of_reader, "list_directory");
    assert_eq!(offered(&client(&server.user("agent:nobody", &[]))), ["whoami"]);
    let guest = client(&server.user("agent:guest", &["write /docs/inbox/**"]));
    check(&guest, "read_file");
    check(&guest, "search");
    does(&guest, "write_file", json!({"path": "/docs/inbox/r.md", "content": "a receipt\n"}));

    // It changes with the grants, in the same session, and a narrowed token shows less.
    admin.grant("agent:reader", "delete /docs/guide/**");
    assert!(offered(&client_of_reader).contains(&"delete_file".to_owned()));
    let narrow = admin.issue(json!({"principal": "agent:reader", "verbs": ["delete"]}));
    assert_eq!(offered(&client(&reader.with_token(text(&narrow, "token")))), ["delete_file", "whoami"]);
}

#[test]
fn a_tool_is_listed_where_its_act_would_be_allowed() {
    let server = Server::start(FILES);
    let check = |name: &str, grants: &[&str], listed: &[&str], hidden: &[&str]| {
        let names = offered(&client(&server.user(&format!("agent:{name}"), grants)));
        for tool in listed {
            assert!(names.iter().any(|name| name == tool), "{grants:?} should list {tool}: {names:?}");
        }
        for tool in hidden {
            assert!(!names.iter().any(|name| name == tool), "{grants:?} should not list {tool}: {names:?}");
        }
    };
    let work = ["claim_task", "heartbeat_task", "complete_task", "fail_task"];
    let changes = ["write_file", "edit_file", "copy_file", "move_file", "restore_version"];
    let apart = ["create_snapshot", "publish_event", "create_task", "remember"];
    let all = [&work[..], &changes, &apart, &["recall", "list_tasks", "review_task"]].concat();
    check("all", &["list,read,write /docs/**"], &all, &["delete_file", "dispatch", "call_tool"]);
    let elsewhere = [&work[..], &apart, &["recall", "list_tasks", "review_task"]].concat();
    check("guide", &["list,read,write /docs/guide/**"], &changes, &elsewhere);
    check("box", &["write /docs/guide/**"], &["write_file"], &["edit_file", "copy_file", "move_file"]);
    check("split", &["read /docs/a.md", "write /docs/guide/**"], &["copy_file"], &["edit_file", "move_file"]);
    check("topic", &["write /docs/events/orders"], &["publish_event"], &["create_snapshot", "create_task"]);
    let tasks = "list,read,write /docs/tasks/**";
    check("tasks", &[tasks], &[&work[..], &["create_task", "list_tasks"]].concat(), &apart[..2]);
    check("looks", &["list,read /docs/tasks/**"], &["list_tasks"], &[&work[..], &["review_task"]].concat());
    check("judge", &["read,approve /docs/tasks/**"], &["list_tasks", "review_task"], &work);
    let inbox = "list,read,write /docs/inbox/inbox/**";
    check("inbox", &[inbox], &[&work[..], &["create_task", "list_tasks"]].concat(), &apart[..2]);
    check("other", &[inbox], &["create_task"], &work);
    check("notes", &["list,read,write /docs/memory/notes/**"], &["remember", "recall"], &apart[..3]);
    check("foreign", &["list,read,write /docs/memory/notes/**"], &["recall"], &["remember"]);
    // What a deny leaves nothing of is not listed, and neither is what the token leaves out.
    let denied = ["list,read,write /**", "!write /docs/events/**", "!write /docs"];
    check("denied", &denied, &["create_task", "write_file"], &["publish_event", "create_snapshot"]);
    let wide = server.user("agent:wide", &["list,read,write /docs/**"]);
    let narrow = server.admin().issue(json!({"principal": "agent:wide", "paths": ["/docs/events/**"]}));
    let names = offered(&client(&wide.with_token(text(&narrow, "token"))));
    let is_listed = |tool: &str| names.iter().any(|name| name == tool);
    assert!(is_listed("publish_event") && !is_listed("create_task") && !is_listed("remember"), "{names:?}");

    // What is listed works.
    let admin = server.admin();
    let topic = client(&server.user("agent:publisher", &["write /docs/events/orders"]));
    does(&topic, "publish_event", json!({"workspace": "docs", "topic": "orders", "data": {}}));
    let keeper = client(&server.user("agent:keeper", &["list,write /docs"]));
    does(&keeper, "create_snapshot", json!({"workspace": "docs"}));
    assert_eq!(admin.items("/v1/snapshots").len(), 1);
}

#[test]
fn a_call_that_needs_a_person_names_what_waits() {
    let server = Server::start(FILES);
    let admin = server.admin();
    admin.post("/v1/gates", &json!({"path": "/docs/approved/**"})).is(201);
    let agent = server.user("agent:a", &["list,read,write,delete /docs/**"]);
    let client = client(&agent);
    let ask = || {
        let move_it = json!({"source": "/docs/a.md", "destination": "/docs/approved/a.md"});
        let (said, failed) = client.call("move_file", move_it);
        assert!(failed && said["code"] == "approval_required", "{said}");
        assert!(text(&said, "next").contains("a person decides"), "{said}");
        text(&said, "approval_id").to_owned()
    };
    let id = ask();
    assert_eq!(ask(), id, "asking again asks for the same");
    let (said, failed) = client.call("write_file", json!({"path": "/docs/approved/b.md", "content": "x"}));
    assert!(failed && said["code"] == "approval_required", "{said}");
    admin.post(&format!("/v1/approvals/{id}/grant"), &json!({})).is(200);
    let past = does(&client, "list_versions", json!({"path": "/docs/approved/a.md"}));
    assert_eq!(past["versions"][0]["approved_by"], "human:admin", "{past}");
    let reader =
        server.user("agent:reader", &["list,read,write /docs/guide/**", "!write /docs/guide/start.md"]);
    let (said, failed) =
        self::client(&reader).call("write_file", json!({"path": "/docs/guide/start.md", "content": "x"}));
    assert!(failed && said["code"] == "forbidden" && said["approval_id"].is_null(), "{said}");
}
