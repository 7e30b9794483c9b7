use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Output, Stdio};

use serde_json::{Value, json};

use super::fixture::{Fixture, tool, wait_until_gone};
use crate::outage::Process;
use crate::support::bare_command;
use crate::users::{eventually, text};

/// A home whose settings name the fixture as `fix`, with further lines.
fn home(fixture: &Fixture, more: &str) -> tempfile::TempDir {
    let home = tempfile::tempdir().unwrap();
    std::fs::create_dir(home.path().join(".waypost")).unwrap();
    let toml = format!("[[upstream]]\nname = \"fix\"\nrun = {}\n{more}\n", json!(fixture.run(&[])));
    std::fs::write(home.path().join("waypost.toml"), toml).unwrap();
    home
}

fn command(home: &Path) -> Command {
    let mut command = bare_command();
    command
        .args(["--offline", "--home"])
        .arg(home)
        .env("WAYPOST_MODELS", home.join("no-models"))
        .env("SECRET_OF_OURS", "geheim")
        .env("KEY_FOR_IT", "ihres");
    command
}

fn waypost(home: &Path, arguments: &[&str]) -> Output {
    command(home).args(arguments).output().unwrap()
}

#[track_caller]
fn reply(output: &Output) -> Value {
    let text = String::from_utf8_lossy(&output.stdout);
    serde_json::from_str(&text)
        .unwrap_or_else(|error| panic!("{error}: {text} {}", String::from_utf8_lossy(&output.stderr)))
}

#[test]
fn what_a_server_of_tools_does_is_a_part_of_the_callers_trace() {
    let Some(fixture) = Fixture::new(&[tool("echo", "Repeats.")]) else { return };
    let home = home(&fixture, "");
    // Nobody takes spans there: they are lost, and the trace goes on all the same.
    let collector = [("WAYPOST_OTLP", "http://127.0.0.1:9")];
    let server = Process::start_with(home.path(), "127.0.0.1:0", &collector, Stdio::null());
    let (trace, parent) = ("4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7");
    let agent: ureq::Agent = ureq::Agent::config_builder().http_status_as_error(false).build().into();
    eventually("a call that is answered", || {
        let asked = agent
            .post(format!("{}/v1/tools/fix.echo/call", server.url))
            .header("authorization", format!("Bearer {}", server.token.as_ref().unwrap()))
            .header("traceparent", format!("00-{trace}-{parent}-01"));
        (asked.send_json(json!({"arguments": {}})).unwrap().status() == 200).then_some(())
    });
    let told = fixture.wait_for("call", 0);
    let told: Vec<&str> = text(&told, "traceparent").split('-').collect();
    assert_eq!((told[0], told[1], told[3]), ("00", trace, "01"), "{told:?}");
    assert!(told[2].len() == 16 && told[2] != parent, "our span is the parent: {told:?}");
}

#[test]
fn a_call_over_mcp_is_a_part_of_its_callers_trace() {
    let Some(fixture) = Fixture::new(&[tool("echo", "Repeats.")]) else { return };
    let home = home(&fixture, "pinned = [\"echo\"]");
    let collector = [("WAYPOST_OTLP", "http://127.0.0.1:9")];
    let server = Process::start_with(home.path(), "127.0.0.1:0", &collector, Stdio::null());
    let agent: ureq::Agent = ureq::Agent::config_builder().http_status_as_error(false).build().into();
    let bearer = format!("Bearer {}", server.token.as_ref().unwrap());
    let call = |name: &str, arguments: Value, traceparent: &str| {
        let params = json!({"name": name, "arguments": arguments, "_meta": {
            "io.modelcontextprotocol/protocolVersion": "2026-07-28",
            "io.modelcontextprotocol/clientCapabilities": {},
            "io.modelcontextprotocol/clientInfo": {"name": "test", "version": "1"},
            "traceparent": traceparent,
        }});
        let asked = agent
            .post(format!("{}/mcp", server.url))
            .header("authorization", &bearer)
            .header("accept", "application/json, text/event-stream")
            .header("mcp-protocol-version", "2026-07-28")
            .header("mcp-method", "tools/call")
            .header("mcp-name", name);
        let body = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params});
        let answer = asked.send_json(body).unwrap().body_mut().read_to_string().unwrap();
        answer.contains("\"isError\":false").then_some(())
    };
    let told = |n: usize| -> Vec<String> {
        let told = fixture.wait_for("call", n);
        text(&told, "traceparent").split('-').map(str::to_owned).collect()
    };
    let parent = "00f067aa0ba902b7";
    let traces = ["4bf92f3577b34da6a3ce929d0e0e4736", "0af7651916cd43dd8448eb211c80319c"];
    let through = json!({"tool": "fix.echo", "arguments": {}});
    eventually("a call that is answered", || {
        call("call_tool", through.clone(), &format!("00-{}-{parent}-01", traces[0]))
    });
    eventually("a pinned tool that answers", || {
        call("fix.echo", json!({}), &format!("00-{}-{parent}-01", traces[1]))
    });
    let assert_called = |trace: &str| {
        let mut acts = agent
            .get(format!("{}/v1/audit?trace={trace}", server.url))
            .header("authorization", &bearer)
            .call()
            .unwrap();
        let acts = acts.body_mut().read_json::<Value>().unwrap();
        assert_eq!(acts["items"][0]["path"], "fix.echo", "{acts}");
    };
    for (n, trace) in traces.iter().enumerate() {
        let told = told(n);
        assert_eq!((told[0].as_str(), told[1].as_str()), ("00", *trace), "{told:?}");
        assert!(told[2].len() == 16 && told[2] != parent, "our span is the parent: {told:?}");
        assert_called(trace);
    }
    // Whoever names none gives one as well: that of the log is the one that is told.
    eventually("a call without a trace", || call("call_tool", through.clone(), ""));
    assert_called(&told(2)[1]);
}

#[test]
fn tools_are_called_listed_and_approved_by_command() {
    let Some(fixture) = Fixture::new(&[tool("echo", "Repeats."), tool("env", "Tells its environment.")])
    else {
        return;
    };
    let home = home(
        &fixture,
        "pass_env = [\"KEY_FOR_IT\"]\nenv = { OWN = \"x-${KEY_FOR_IT}\", HIDE = \"geheimer\" }",
    );
    let called = reply(&waypost(home.path(), &["tool", "call", "fix.echo", "{\"a\": 1}", "--json"]));
    assert_eq!(called["content"][0]["text"], "{\"a\": 1}", "{called}");
    let called = reply(&waypost(home.path(), &["tool", "call", "fix.env", "--json"]));
    let environment: Value = serde_json::from_str(text(&called["content"][0], "text")).unwrap();
    assert_eq!((text(&environment, "KEY_FOR_IT"), text(&environment, "OWN")), ("ihres", "x-ihres"));
    assert!(environment["PATH"].is_string() && environment["SECRET_OF_OURS"].is_null(), "{environment}");
    assert!(environment["WAYPOST_MODELS"].is_null(), "{environment}");

    let listed = reply(&waypost(home.path(), &["tool", "list", "--json"]));
    let ids: Vec<&str> = listed["items"].as_array().unwrap().iter().map(|tool| text(tool, "id")).collect();
    assert_eq!(ids, ["fix.echo", "fix.env"]);
    fixture.list(&[tool("echo", "Repeats it all."), tool("env", "Tells its environment.")]);
    let refused = waypost(home.path(), &["tool", "call", "fix.echo"]);
    assert!(String::from_utf8_lossy(&refused.stderr).contains("tool_quarantined"), "{refused:?}");
    let waiting = reply(&waypost(home.path(), &["tool", "list", "--state", "quarantined", "--json"]));
    assert_eq!(text(&waiting["items"][0], "id"), "fix.echo");
    assert_eq!(waypost(home.path(), &["tool", "approve", "fix.echo"]).status.code(), Some(0));
    let shown = reply(&waypost(home.path(), &["tool", "show", "fix.echo", "--json"]));
    assert_eq!((text(&shown, "state"), text(&shown, "description")), ("approved", "Repeats it all."));
    assert_eq!(waypost(home.path(), &["tool", "call", "fix.echo"]).status.code(), Some(0));

    let config = waypost(home.path(), &["config", "--json"]);
    let told = String::from_utf8_lossy(&config.stdout);
    assert!(told.contains("(hidden)") && told.contains("\"fix\"") && !told.contains("geheim"), "{told}");

    assert_eq!(waypost(home.path(), &["principal", "add", "agent:coder"]).status.code(), Some(0));
    let grant = ["grant", "add", "agent:coder", "call", "--tool", "fix.*"];
    assert_eq!(waypost(home.path(), &[&grant[..], &["--argument", "a=1"]].concat()).status.code(), Some(0));
    let explain = ["grant", "explain", "agent:coder", "call", "--tool", "fix.echo", "--argument"];
    assert_eq!(waypost(home.path(), &[&explain[..], &["a=1"]].concat()).status.code(), Some(0));
    assert_eq!(waypost(home.path(), &[&explain[..], &["a=2"]].concat()).status.code(), Some(3));
}

#[test]
fn standard_input_and_output_has_the_tools_too() {
    let Some(fixture) = Fixture::new(&[tool("echo", "Repeats.")]) else { return };
    let home = home(&fixture, "pinned = [\"echo\"]");
    let mut ours = command(home.path())
        .arg("mcp")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut input = ours.stdin.take().unwrap();
    let mut lines = BufReader::new(ours.stdout.take().unwrap()).lines();
    let mut send = |message: Value| writeln!(input, "{message}").unwrap();
    let mut next = |wanted: &dyn Fn(&Value) -> bool| loop {
        let message: Value = serde_json::from_str(&lines.next().unwrap().unwrap()).unwrap();
        if wanted(&message) {
            break message;
        }
    };
    send(json!({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {
        "protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "test", "version": "1"},
    }}));
    let hello = next(&|message| message["id"] == 1);
    assert_eq!(hello["result"]["capabilities"]["tools"]["listChanged"], true, "{hello}");
    send(json!({"jsonrpc": "2.0", "method": "notifications/initialized"}));
    // Whether the list changed before or after this client was there, it is told in the end.
    let call = |id: u64| json!({"jsonrpc": "2.0", "id": id, "method": "tools/call", "params": {"name": "fix.echo", "arguments": {"a": 1}}});
    fixture.wait_for("start", 0);
    let mut id = 10;
    let answer = loop {
        send(call(id));
        let answer = next(&|message| message["id"] == id);
        let is_there = answer["result"]["isError"] == false;
        if is_there {
            break answer;
        }
        id += 1;
        assert!(id < 3000, "{answer}");
        std::thread::sleep(std::time::Duration::from_millis(20));
    };
    assert_eq!(answer["result"]["content"][0]["text"], "{\"a\": 1}");
    let pid = fixture.log("start")[0]["pid"].as_u64().unwrap();
    drop(input);
    assert!(ours.wait().unwrap().success());
    wait_until_gone(pid);
}
