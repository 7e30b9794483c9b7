//! One trace through everything: what a caller names over HTTP or in `_meta` stands in tasks, events, the audit log and
//! webhooks, and a trace tells what was spent in it.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::Stdio;

use serde_json::{Value, json};

use crate::command::{json as read, waypost};
use crate::mcp::Client;
use crate::outage::Process;
use crate::receiver::Receiver;
use crate::support::{Server, bare_command};
use crate::users::text;

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const CALLER: &str = "00f067aa0ba902b7";
const CARD: &str = r#"{"name": "meteo", "description": "all about the weather", "price": {"usd": "0.05"}}"#;

fn sent() -> String {
    format!("00-{TRACE}-{CALLER}-01")
}

/// A server whose webhooks may reach this machine.
fn start() -> Server {
    Server::start_quick("//- a.md\nAlpha.\n")
}

fn put_agent(server: &Server, id: &str) {
    let headers = [("content-type", "application/json")];
    server.ask("PUT", &format!("/v1/agents/{id}"), &headers, CARD).was_put();
}

/// The place in the trace that the payload of a task tells; the trace is the one that is named beside it.
#[track_caller]
fn told_in(task: &Value) -> String {
    let trace = &task["payload"]["trace"];
    let told = text(trace, "traceparent");
    let parts: Vec<&str> = told.split('-').collect();
    assert_eq!((parts[0], parts[1], parts[3]), ("00", text(trace, "id"), "01"), "{task}");
    assert!(parts[2].len() == 16 && parts[2] != CALLER, "{task}");
    told.to_owned()
}

#[test]
fn a_trace_that_mcp_names_goes_on_in_task_event_audit_log_and_webhook() {
    let server = start();
    put_agent(&server, "agent:meteo");
    let receiver = Receiver::willing();
    server.admin().post("/v1/webhooks", &json!({"url": receiver.url(), "kinds": "agent.dispatched"})).is(201);
    let client = Client::legacy(&server, "", &server.token);
    let dispatch = |meta: Value| {
        let arguments = json!({"intent": "look at the sky", "to": "meteo"});
        let asked = json!({"name": "dispatch", "arguments": arguments, "_meta": meta});
        let answer = client.request("tools/call", asked);
        answer["result"]["structuredContent"].clone()
    };
    let reply = dispatch(json!({"traceparent": sent()}));
    assert_eq!(text(&reply, "trace_id"), TRACE, "{reply}");
    let task = server.get(&format!("/v1/tasks/{}", text(&reply, "task_id"))).is(200).json();
    assert_eq!(text(&task["payload"]["trace"], "id"), TRACE);
    let told = told_in(&task);
    let events = server.get("/v1/events/wait?after=sq_000000000000&kinds=agent.dispatched").is(200).json();
    assert_eq!(events["items"][0]["traceId"], TRACE, "{events}");
    let acts = server.admin().items(&format!("/v1/audit?trace={TRACE}"));
    assert!(acts.iter().any(|act| act["action"] == "dispatch"), "{acts:?}");
    assert_eq!(receiver.wait_for(1)[0].traceparent, told, "task and webhook name one parent");

    for wrong in ["", "00-xyz-00f067aa0ba902b7-01", "00-00000000000000000000000000000000-00f067aa0ba902b7-01"]
    {
        let reply = dispatch(json!({"traceparent": wrong}));
        assert!(text(&reply, "trace_id").starts_with("tr_"), "`{wrong}`: {reply}");
    }
}

#[test]
fn whoever_goes_on_with_a_task_stays_in_its_trace() {
    let server = start();
    let (first, second) =
        (server.user("agent:first", &[]), server.user("agent:meteo", &["read,write /inbox/**"]));
    for (user, agent) in [(&first, "agent:meteo"), (&second, "agent:echo")] {
        put_agent(&server, agent);
        let grant = json!({"to": user.id, "agent": agent, "verbs": ["dispatch"]});
        server.admin().post("/v1/grants", &grant).was_put();
    }
    let body = json!({"intent": "look at the sky", "to": "meteo"}).to_string();
    let sent = sent();
    let traced = [("content-type", "application/json"), ("traceparent", sent.as_str())];
    let reply = first.ask("POST", "/v1/dispatch", &traced, &body).is(201).json();
    let task = second.post("/v1/tasks/claim", &json!({"task_id": reply["task_id"]})).is(200).json();
    let told = told_in(&task["task"]);
    // It says nothing of a trace: the one of what it works on holds, with the parent that it was told.
    let onward = json!({"intent": "tell the others of the sky", "to": "echo"});
    let reply = second.post("/v1/dispatch", &onward).is(201).json();
    assert_eq!((text(&reply, "trace_id"), &reply["hop"]), (TRACE, &json!(2)));
    let task = server.get(&format!("/v1/tasks/{}", text(&reply, "task_id"))).is(200).json();
    assert_eq!(told_in(&task), told);
}

#[test]
fn a_trace_tells_what_was_spent_in_it() {
    let server = start();
    let worker = server.user("agent:meteo", &["read,write /inbox/**"]);
    put_agent(&server, "agent:meteo");
    let dispatch = |intent: &str| {
        let body = json!({"intent": intent, "to": "meteo", "trace": "t-costs"});
        server.post("/v1/dispatch", &body).is(201).json()
    };
    let done = |reply: &Value, extra: Value| {
        let task = worker.post("/v1/tasks/claim", &json!({"task_id": reply["task_id"]})).is(200).json();
        let mut body = json!({"task_id": reply["task_id"], "fence": task["task"]["fence"]});
        body.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        worker.post("/v1/tasks/complete", &body).is(200);
    };
    let shown = || server.get("/v1/traces/t-costs").is(200).json();
    let first = dispatch("look at the sky");
    let before = shown();
    assert_eq!(
        (&before["hops"][0]["spent"], &before["spent"]["usd"]),
        (&Value::Null, &json!("0")),
        "{before}"
    );
    done(&first, json!({"usage": {"usd": "0.37", "tokens": 1200}}));
    let after = shown();
    assert_eq!(after["hops"][0]["spent"], json!({"usd": "0.37", "tokens": 1200, "calls": 1, "bytes": 0}));
    assert_eq!(after["spent"], after["hops"][0]["spent"], "{after}");
    // Without a report it is what the agent's card says.
    done(&dispatch("measure how much it rained in the hills"), json!({}));
    let both = shown();
    assert_eq!(both["hops"][1]["spent"]["usd"], "0.05", "{both}");
    assert_eq!((&both["spent"]["usd"], &both["spent"]["calls"]), (&json!("0.42"), &json!(2)), "{both}");
    assert_eq!(
        worker.get("/v1/traces/t-costs").is(200).json()["spent"],
        both["spent"],
        "it took part in both"
    );
    assert_eq!(server.admin().items("/v1/traces")[0]["spent"], both["spent"]);
}

/// A JSON answer of a running process, and its status.
fn ask(server: &Process, method: &str, path: &str, headers: &[(&str, &str)], body: &Value) -> (u16, Value) {
    let agent: ureq::Agent = ureq::Agent::config_builder().http_status_as_error(false).build().into();
    let mut request = ureq::http::Request::builder()
        .method(method)
        .uri(format!("{}{path}", server.url))
        .header("authorization", format!("Bearer {}", server.token.as_ref().unwrap()))
        .header("content-type", "application/json");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let reply = if body.is_null() {
        agent.run(request.body(()).unwrap())
    } else {
        agent.run(request.body(body.to_string().into_bytes()).unwrap())
    };
    let mut reply = reply.unwrap();
    let status = reply.status().as_u16();
    (status, serde_json::from_slice(&reply.body_mut().read_to_vec().unwrap()).unwrap_or_default())
}

#[test]
fn where_spans_are_sent_what_nobody_named_is_one_trace_as_well() {
    let home = tempfile::tempdir().unwrap();
    std::fs::create_dir(home.path().join(".waypost")).unwrap();
    // Nobody takes spans there: they are lost, and the trace goes on all the same.
    let collector = [("WAYPOST_OTLP", "http://127.0.0.1:9")];
    let server = Process::start_with(home.path(), "127.0.0.1:0", &collector, Stdio::null());
    let card: Value = serde_json::from_str(CARD).unwrap();
    assert_eq!(ask(&server, "PUT", "/v1/agents/agent:meteo", &[], &card).0, 201);
    let intent = json!({"intent": "look at the sky", "to": "meteo"});
    let (status, reply) = ask(&server, "POST", "/v1/dispatch", &[], &intent);
    assert_eq!(status, 201, "{reply}");
    let trace = text(&reply, "trace_id").to_owned();
    assert!(trace.len() == 32 && trace.bytes().all(|byte| byte.is_ascii_hexdigit()), "{reply}");
    let task_of = |reply: &Value| {
        ask(&server, "GET", &format!("/v1/tasks/{}", text(reply, "task_id")), &[], &Value::Null).1
    };
    let told = told_in(&task_of(&reply));
    // Whoever was handed it goes on in a span of its own.
    let intent = json!({"intent": "tell the others of the sky", "to": "meteo"});
    let (_, reply) = ask(&server, "POST", "/v1/dispatch", &[("traceparent", &told)], &intent);
    assert_eq!(text(&reply, "trace_id"), trace, "{reply}");
    assert_ne!(told_in(&task_of(&reply)), told, "our span is the parent");
    // A name of another kind still holds.
    let (_, reply) = ask(&server, "POST", "/v1/dispatch", &[("x-request-id", "by-hand")], &intent);
    assert_eq!(text(&reply, "trace_id"), "by-hand");
    assert_eq!(task_of(&reply)["payload"]["trace"]["traceparent"], Value::Null);
}

/// Lists a folder over standard input and output, in the trace of a `traceparent`.
fn list_over_stdio(home: &Path, traceparent: &str) {
    let mut ours = bare_command()
        .args(["mcp", "--offline", "--home"])
        .arg(home)
        .env("WAYPOST_MODELS", home.join("no-models"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut input = ours.stdin.take().unwrap();
    let mut lines = BufReader::new(ours.stdout.take().unwrap()).lines();
    let mut wait_for = |id: u64| loop {
        let message: Value = serde_json::from_str(&lines.next().unwrap().unwrap()).unwrap();
        if message["id"] == id {
            break message;
        }
    };
    let hello = json!({"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "test", "version": "1"}});
    writeln!(input, "{}", json!({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": hello}))
        .unwrap();
    wait_for(1);
    writeln!(input, "{}", json!({"jsonrpc": "2.0", "method": "notifications/initialized"})).unwrap();
    let call =
        json!({"name": "list_directory", "arguments": {"path": "/"}, "_meta": {"traceparent": traceparent}});
    writeln!(input, "{}", json!({"jsonrpc": "2.0", "id": 2, "method": "tools/call", "params": call}))
        .unwrap();
    let listed = wait_for(2);
    assert_ne!(listed["result"]["isError"], true, "{listed}");
    drop(input);
    assert!(ours.wait().unwrap().success());
}

#[test]
fn a_trace_is_named_over_standard_input_and_output_too() {
    let home = tempfile::tempdir().unwrap();
    std::fs::write(home.path().join("a.md"), "Alpha.\n").unwrap();
    assert_eq!(waypost(home.path(), &["index", "."]).status.code(), Some(0));
    list_over_stdio(home.path(), &sent());
    let acts = read(&waypost(home.path(), &["audit", "list", "--trace", TRACE, "--json"]));
    assert!(acts["items"].as_array().is_some_and(|acts| !acts.is_empty()), "{acts}");
}
