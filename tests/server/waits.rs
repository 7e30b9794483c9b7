use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use waypost_engine::api::{ClaimRequest, EventFilter, Stop};

use crate::mcp::Client;
use crate::resources::Stream;
use crate::support::{PATIENCE, Server};
use crate::users::{eventually, text};

const FILES: &str = "//- a.md\nplain words\n";
/// Far less than the longest wait.
const SOON: Duration = Duration::from_secs(12);

/// A request of the newer era, with what its headers must say.
fn modern(method: &str, mut params: Value, more: Value) -> (String, String) {
    let mut meta = json!({
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientCapabilities": {},
        "io.modelcontextprotocol/clientInfo": {"name": "test", "version": "1"},
    });
    meta.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    params["_meta"] = meta;
    let name = params["name"].as_str().map(|name| format!("Mcp-Name: {name}\r\n")).unwrap_or_default();
    let headers = format!("MCP-Protocol-Version: 2026-07-28\r\nMcp-Method: {method}\r\n{name}");
    (headers, json!({"jsonrpc": "2.0", "id": 7, "method": method, "params": params}).to_string())
}

/// Calls of a tool that ended with a refusal, as the server counts them.
fn refused_calls(server: &Server, tool: &str) -> usize {
    let told = server.get("/metrics").text();
    let line = |line: &&str| line.contains(&format!("tool=\"{tool}\"")) && line.contains("error");
    told.lines().find(line).and_then(|line| line.rsplit(' ').next()?.parse().ok()).unwrap_or_default()
}

#[test]
fn a_wait_ends_when_it_is_told_to() {
    let server = Server::start(FILES);
    let check = |wait: &(dyn Fn(&Stop) + Sync)| {
        let stop = Stop::default();
        let began = Instant::now();
        std::thread::scope(|threads| {
            let waiting = threads.spawn(|| wait(&stop));
            server.engine.stop(&stop);
            waiting.join().unwrap();
        });
        assert!(began.elapsed() < SOON, "{:?}", began.elapsed());
    };
    let session = |stop: &Stop| server.engine.owner_session().until(stop);
    let patience = Duration::from_secs(25);
    check(&|stop| {
        let page = session(stop).wait_for_events(None, &EventFilter::default(), 10, patience).unwrap();
        assert!(page.items.is_empty());
    });
    check(&|stop| {
        assert_eq!(session(stop).wait_for_task(&ClaimRequest::default(), patience).unwrap(), None);
    });
}

#[test]
fn a_server_that_stops_answers_those_who_wait() {
    let server = Server::start(FILES);
    let ask = |line: &str, body: &str| {
        let mut stream = TcpStream::connect(server.address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let (host, token, size) = (server.address, &server.token, body.len());
        write!(
            stream,
            "{line} HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {token}\r\nConnection: close\r\n\
             Content-Type: application/json\r\nContent-Length: {size}\r\n\r\n{body}"
        )
        .unwrap();
        stream
    };
    let waiting = [
        (ask("GET /v1/events/wait?timeout_seconds=25", ""), "\"items\":[]"),
        (ask("POST /v1/tasks/claim", r#"{"wait_seconds": 25}"#), "\"task\":null"),
    ];
    let admin = server.admin();
    for action in ["event.wait", "task.claim"] {
        eventually("the wait has begun", || {
            let records = admin.items(&format!("/v1/audit?action={action}"));
            (!records.is_empty()).then_some(())
        });
    }
    let began = Instant::now();
    drop(server);
    assert!(began.elapsed() < SOON, "{:?}", began.elapsed());
    for (mut stream, expected) in waiting {
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 200") && answer.contains(expected), "{answer}");
    }
}

#[test]
fn a_client_that_goes_or_cancels_ends_what_it_waits_for() {
    let server = Server::start(FILES);
    let waiting = json!({"name": "wait_for_events", "arguments": {"timeout_seconds": 25}});
    let began = Instant::now();

    // In the newer era a closed stream is the cancellation. Progress shows that the wait has begun.
    let (headers, body) = modern("tools/call", waiting.clone(), json!({"progressToken": "p"}));
    let mut stream = Stream::open(&server, "POST", &headers, &body);
    let first = stream.wait_for("notifications/progress");
    let second = stream.wait_for("notifications/progress");
    let progress = |sign: &Value| sign["params"]["progress"].as_f64().unwrap();
    assert!(progress(&first) > 0.0 && progress(&second) > progress(&first), "{first} {second}");
    drop(stream);
    eventually("the wait was given up", || (refused_calls(&server, "wait_for_events") == 1).then_some(()));
    assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());

    // In the older era a notification is.
    let began = Instant::now();
    let client = Client::legacy(&server, "", &server.token);
    let headers = format!("Mcp-Session-Id: {}\r\n", client.session());
    let mut call = waiting;
    call["_meta"] = json!({"progressToken": "q"});
    let call = json!({"jsonrpc": "2.0", "id": 77, "method": "tools/call", "params": call}).to_string();
    let mut stream = Stream::open(&server, "POST", &headers, &call);
    stream.wait_for("notifications/progress");
    let cancel = json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 77}});
    assert_eq!(client.send(&cancel, &[]).status, 202);
    eventually("the wait was given up", || (refused_calls(&server, "wait_for_events") == 2).then_some(()));
    assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
}

#[test]
fn a_grant_changes_the_lists_of_whoever_listens_in_both_eras() {
    let server = Server::start(FILES);
    let reader = server.user("agent:reader", &["list,read /docs/**"]);
    let as_reader = (&server, reader.token.as_str());
    let wishes = json!({"notifications": {"toolsListChanged": true, "promptsListChanged": true}});
    let (headers, body) = modern("subscriptions/listen", wishes, json!({}));
    let mut newer = Stream::open_as(as_reader, "POST", &headers, &body);
    newer.wait_for("notifications/subscriptions/acknowledged");
    let client = Client::legacy(&server, "", &reader.token);
    let headers = format!("Mcp-Session-Id: {}\r\n", client.session());
    let mut older = Stream::open_as(as_reader, "GET", &headers, "");

    // Following begins a moment after it was acknowledged; one of the changes is after that.
    let is_over = Arc::new(AtomicBool::new(false));
    std::thread::scope(|threads| {
        let over = Arc::clone(&is_over);
        let admin = server.admin();
        threads.spawn(move || {
            let deadline = Instant::now() + PATIENCE;
            while !over.load(Ordering::Relaxed) && Instant::now() < deadline {
                let grant = admin.grant("agent:reader", "write /docs/**");
                std::thread::sleep(Duration::from_millis(20));
                assert!(admin.delete(&format!("/v1/grants/{}", text(&grant, "id"))).status < 300);
                std::thread::sleep(Duration::from_millis(20));
            }
        });
        for stream in [&mut newer, &mut older] {
            stream.wait_for("notifications/tools/list_changed");
            stream.wait_for("notifications/prompts/list_changed");
        }
        is_over.store(true, Ordering::Relaxed);
    });
}

#[test]
fn what_is_still_to_come_is_waited_for_and_then_refused() {
    let server = Server::start(FILES);
    let request = json!({"query": "walrus", "wait_for_seq": "sq_ffffffffffff"});
    let problem = server.post("/v1/search", &request).problem();
    assert_eq!(problem.1, "index_behind", "it must not pass for a change that is in the answer");
}

#[test]
fn who_asks_for_it_is_told_when_a_change_can_be_found() {
    let server = Server::start(FILES);
    let agent = server.user("agent:a", &["list,read,write /docs/open/**"]);
    let spy = server.user("agent:spy", &["list,read /docs/a.md"]);
    agent.put("/docs/open/new.md", "the walrus sleeps\n").is(201);
    let told = agent.get("/v1/events/wait?after=start&kinds=index.updated&timeout_seconds=20").is(200).json();
    let event = &told["items"][0];
    assert_eq!((&event["event"], &event["path"]), (&"index.updated".into(), &"/docs/open/new.md".into()));
    assert_eq!((&event["size"], &event["mimeType"]), (&18.into(), &"text/markdown".into()), "{event}");
    let found = agent.post("/v1/search", &json!({"query": "walrus"})).is(200).json();
    assert_eq!(found["results"][0]["citation"]["version"], event["version"]);
    // Who names no kind is told of the change alone, and who may not read it of nothing.
    let all = agent.get("/v1/events/wait?after=0&timeout_seconds=0").is(200).json();
    let kinds: Vec<&str> =
        all["items"].as_array().unwrap().iter().map(|item| item["event"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["file.created"]);
    let hidden = spy.get("/v1/events/wait?after=start&kinds=*&timeout_seconds=0").is(200).json();
    assert!(hidden["items"].as_array().unwrap().iter().all(|item| item["path"] == "/docs/a.md"), "{hidden}");
}
