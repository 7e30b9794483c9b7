use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::mcp::{Client, in_both_eras, offered};
use crate::resources::Stream;
use crate::support::{PATIENCE, Server};
use crate::users::text;

const FILES: &str = "\
//- a.md
one
two
three
//- secret/gold.md
gold
";

#[test]
fn what_is_missing_decides_the_next_step_and_no_tool_is_named_that_is_not_there() {
    let server = Server::start(FILES);
    let everything = Client::modern(&server, "");
    let check = |tool: &str, arguments: Value, expected: &str| {
        let (said, failed) = everything.call(tool, arguments);
        assert!(failed && said["code"] == "not_found", "{tool}: {said}");
        assert!(text(&said, "next").contains(expected), "{tool}: {said}");
    };
    check("read_file", json!({"path": "/docs/none.md"}), "`search_files`");
    check("read_file", json!({"path": "/docs/a.md", "version": "0".repeat(64)}), "`list_versions`");
    check("list_directory", json!({"path": "/zz/folder"}), "lists the workspaces");
    check("call_tool", json!({"tool": "none.tool"}), "`find_tools`");
    check("claim_task", json!({"task_id": "tk_none"}), "`list_tasks`");
    check("request_approval", json!({"approval": "ap_none"}), "`request_approval`");
    check("dispatch", json!({"intent": "write it", "to": "agent:none"}), "`find_agents`");

    let files = Client::modern(&server, "?toolsets=knowledge");
    let (said, failed) = files.call("search", json!({"query": "x", "as_of": "sn_none"}));
    let names = offered(&files);
    let next = said["next"].as_str().unwrap_or_default();
    assert!(failed && !names.contains(&"create_snapshot".to_owned()), "{said}");
    assert!(!next.contains("create_snapshot"), "{said}");
}

#[test]
fn over_rest_a_hint_leads_to_the_list_of_what_is_missing() {
    let server = Server::start(FILES);
    for (path, list) in [
        ("/v1/principals/agent:none", "/v1/principals"),
        ("/v1/budgets/bg_none", "/v1/budgets"),
        ("/v1/traces/none", "/v1/traces"),
        ("/v1/tasks/tk_none", "/v1/tasks"),
        ("/v1/files/docs/none.md", "/v1/list/"),
    ] {
        let refused = server.get(path);
        refused.refuses(404, "not_found");
        assert!(text(&refused.json(), "hint").contains(list), "{path}: {}", refused.text());
    }
}

#[test]
fn a_workspace_that_is_not_there_or_hidden_is_what_is_missing() {
    let server = Server::start(FILES);
    let admin = server.admin();
    admin.post("/v1/workspaces", &json!({"name": "hidden"})).is(201);
    let agent = server.user("agent:a", &["list,read,write /docs/**"]);
    let tries = |workspace: &str| {
        [
            ("create_task", json!({"workspace": workspace, "title": "Do it"})),
            ("publish_event", json!({"workspace": workspace, "topic": "t"})),
            ("url_import", json!({"url": "https://example.com/x", "path": format!("/{workspace}/x.md")})),
            ("write_file", json!({"path": format!("/{workspace}/x.md"), "content": "x"})),
            ("read_file", json!({"path": format!("/{workspace}/x.md")})),
        ]
    };
    for (token, workspace) in [(&agent.token, "hidden"), (&agent.token, "zz"), (&server.token, "zz")] {
        let client = Client::modern_as(&server, token);
        for (tool, arguments) in tries(workspace) {
            let (said, failed) = client.call(tool, arguments);
            let expected = format!("there is no workspace `{workspace}`");
            assert!(failed && text(&said, "message") == expected, "{tool} {workspace}: {said}");
        }
    }
    let (said, _) = Client::modern(&server, "").call("remember", json!({"workspace": "zz", "text": "So."}));
    assert_eq!(text(&said, "message"), "there is no workspace `zz`");
}

#[test]
fn a_window_without_a_line_is_refused_and_paths_are_told_in_one_spelling() {
    let server = Server::start(FILES);
    let client = Client::modern(&server, "");
    for wrong in [json!({"head": 0}), json!({"tail": 0}), json!({"start_line": 9999})] {
        let mut arguments = wrong.clone();
        arguments["path"] = json!("/docs/a.md");
        let (said, failed) = client.call("read_file", arguments);
        assert!(failed && said["code"] == "invalid_request", "{wrong}: {said}");
    }
    let (said, _) = client.call("read_file", json!({"path": "/docs/a.md", "start_line": 9999}));
    assert!(text(&said, "message").contains("3 lines"), "{said}");
    let (read, _) = client.call("read_file", json!({"path": "docs/a.md", "start_line": 3}));
    assert_eq!((text(&read, "path"), text(&read, "text")), ("/docs/a.md", "three\n"));
}

#[test]
fn a_long_line_is_read_on_from_its_byte() {
    let long = "wält rus ".repeat(300);
    let server = Server::start(&format!("//- long.txt\n{long}\nlast\n"));
    in_both_eras(&server, |client| {
        let read = |more: Value| {
            let mut arguments = json!({"path": "/docs/long.txt", "max_tokens": 300});
            arguments.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            let (part, failed) = client.call("read_file", arguments);
            assert!(!failed && part.to_string().len() <= 900, "{part}");
            part
        };
        let mut part = read(json!({}));
        assert!(part["cut"].is_string() && part["next_line"] == 2, "{part}");
        let mut whole = text(&part, "text").to_owned();
        while let Some(next) = part["next_byte"].as_u64() {
            assert_eq!(next as usize, whole.len());
            part = read(json!({"start_byte": next}));
            whole += text(&part, "text");
        }
        assert_eq!(whole, format!("{long}\nlast\n"));
        assert_eq!((&part["lines"][1], &part["total_lines"]), (&json!(2), &json!(2)), "{part}");
        // Within a character, beyond the end, beside another place.
        for wrong in
            [json!({"start_byte": 2}), json!({"start_byte": 99999}), json!({"start_byte": 0, "head": 1})]
        {
            let mut arguments = wrong.clone();
            arguments["path"] = json!("/docs/long.txt");
            let (said, failed) = client.call("read_file", arguments);
            assert!(failed && said["code"] == "invalid_request", "{wrong}: {said}");
        }
    });
}

#[test]
fn a_hit_is_enough_to_be_verified() {
    let server = Server::start(FILES);
    in_both_eras(&server, |client| {
        let (found, _) = client.call("search", json!({"query": "gold"}));
        let (verified, failed) = client.call("verify_citations", json!({"citations": [found["hits"][0]]}));
        assert!(!failed && verified["results"][0]["status"] == "valid", "{found}: {verified}");
    });
}

#[test]
fn what_is_wrong_with_an_argument_is_told_in_words_of_json() {
    let server = Server::start(FILES);
    let client = Client::modern(&server, "");
    let check = |tool: &str, arguments: Value, expected: &str| {
        let (said, failed) = client.call(tool, arguments);
        assert!(failed && text(&said, "message").contains(expected), "{tool}: {said}");
    };
    check(
        "search",
        json!({"query": "x", "limit": "3"}),
        "`limit`: invalid type: string \"3\", expected a whole number",
    );
    check("search", json!({"query": "x", "mode": 5}), "`mode`: unknown value `5`, expected one of `hybrid`");
    check("search", json!({"query": "x", "filters": []}), "expected an object");
    check("find_tools", json!({"query": "x", "intent": "y"}), "given twice, or under two of its names");
    check("publish_event", json!({"workspace": "docs", "topic": ""}), "`topic` is ``");
    let (made, failed) = client.call("create_task", json!({"workspace": "docs"}));
    assert!(!failed && made["task_id"].is_string(), "{made}");
    let unknown = client.request("tools/none", json!({}));
    assert_eq!(text(&unknown["error"], "message"), "there is no method `tools/none`");
    let listed = client.request("resources/list", json!({}))["result"]["resources"].clone();
    assert_eq!(listed[0]["mimeType"], "text/markdown", "{listed}");
}

#[test]
fn histories_and_waits_are_bounded_and_go_on_where_they_were_cut() {
    let server = Server::start(FILES);
    let client = Client::modern(&server, "");
    let admin = server.admin();
    for n in 0..12 {
        admin.put("/docs/a.md", &format!("version {n}\n")).is(200);
    }
    let mut arguments = json!({"path": "/docs/a.md", "max_tokens": 200});
    let mut versions = Vec::new();
    loop {
        let (page, failed) = client.call("list_versions", arguments.clone());
        assert!(!failed && page.to_string().len() <= 600, "{page}");
        versions.extend(page["versions"].as_array().unwrap().clone());
        if page["next_cursor"].is_null() {
            break;
        }
        arguments["cursor"] = page["next_cursor"].clone();
    }
    assert_eq!(versions.len(), 13, "{versions:?}");

    let mut arguments =
        json!({"after": "start", "kinds": ["file.updated"], "timeout_seconds": 0, "max_tokens": 300});
    let mut ids = std::collections::BTreeSet::new();
    loop {
        let (page, failed) = client.call("wait_for_events", arguments.clone());
        assert!(!failed && page.to_string().len() <= 900, "{page}");
        let events = page["events"].as_array().unwrap();
        if events.is_empty() {
            break;
        }
        for event in events {
            assert!(ids.insert(text(event, "id").to_owned()), "told twice: {event}");
        }
        arguments["after"] = page["next"].clone();
    }
    assert_eq!(ids.len(), 12);
}

#[test]
fn parameters_of_a_wrong_form_are_told_apart_from_an_unknown_method() {
    let server = Server::start(FILES);
    in_both_eras(&server, |client| {
        let wrong = client.request("tools/call", json!({"name": "whoami", "arguments": []}));
        assert_eq!(wrong["error"]["code"], -32602, "{wrong}");
        assert!(text(&wrong["error"], "message").contains("`arguments` as an object"), "{wrong}");
        assert_eq!(client.request("tools/none", json!({}))["error"]["code"], -32601);
    });
}

#[test]
fn a_grant_opens_what_was_subscribed_before_it_and_tells_of_the_list() {
    let server = Server::start(FILES);
    let reader = server.user("agent:reader", &["list,read /docs/a.md"]);
    let client = Client::legacy(&server, "", &reader.token);
    let headers = format!("Mcp-Session-Id: {}\r\n", client.session());
    let mut stream = Stream::open_as((&server, reader.token.as_str()), "GET", &headers, "");
    let uri = "waypost:///docs/secret/gold.md";
    assert!(client.request("resources/subscribe", json!({"uri": uri}))["result"].is_object());
    // Following begins a moment after it was asked for; one of the changes is after that.
    let until_told = |method: &str, stream: &mut Stream, change: &(dyn Fn(u32) + Sync)| {
        let (is_over, deadline) = (AtomicBool::new(false), Instant::now() + PATIENCE);
        std::thread::scope(|threads| {
            threads.spawn(|| {
                for n in 0.. {
                    if is_over.load(Ordering::Relaxed) || Instant::now() > deadline {
                        return;
                    }
                    change(n);
                    std::thread::sleep(Duration::from_millis(20));
                }
            });
            let told = stream.wait_for(method);
            is_over.store(true, Ordering::Relaxed);
            told
        })
    };
    let admin = server.admin();
    until_told("notifications/resources/list_changed", &mut stream, &|_| {
        let grant = admin.grant("agent:reader", "list,read /docs/secret/**");
        std::thread::sleep(Duration::from_millis(20));
        assert!(admin.delete(&format!("/v1/grants/{}", text(&grant, "id"))).status < 300);
    });
    admin.grant("agent:reader", "list,read /docs/secret/**");
    let told = until_told("notifications/resources/updated", &mut stream, &|n| {
        admin.put("/docs/secret/gold.md", &format!("silver {n}\n")).is(200);
    });
    assert_eq!(told["params"]["uri"], uri, "{told}");
    let hello = json!({"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}});
    let hello = client.server.ask(
        "POST",
        "/mcp",
        &[("content-type", "application/json"), ("accept", "application/json, text/event-stream")],
        &json!({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": hello}).to_string(),
    );
    let capabilities = crate::mcp::message(&hello)["result"]["capabilities"].clone();
    assert_eq!(capabilities["resources"]["listChanged"], true, "{capabilities}");
    assert!(capabilities["logging"].is_null(), "{capabilities}");
}
