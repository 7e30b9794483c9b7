use std::io::Write;
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};

use super::fixture::{Fixture, QUICK, is_alive, plan, said, serve, settings, strict_tool, tool};
use crate::mcp::{Client, in_both_eras, message, offered};
use crate::resources::Stream;
use crate::support::Server;
use crate::users::{eventually, text};

#[test]
fn a_tool_is_found_called_and_written_down() {
    let Some(fixture) = Fixture::new(&[
        strict_tool("echo", json!({"text": {"type": "string", "description": "What to say."}})),
        tool("other", "Weighs parcels."),
    ]) else {
        return;
    };
    let more = json!({"price": {"usd_per_call": 0.5}, "tools": {"echo": {"examples": ["say it again"]}}});
    let server = serve(vec![fixture.settings("fix", more)]);
    let agent = server.tool_agent("agent:a", "fix.*");
    assert_eq!(agent.tool_ids(""), ["fix.echo", "fix.other"]);
    let shown = agent.get("/v1/tools/fix.echo").is(200).json();
    assert_eq!((text(&shown, "server"), text(&shown, "state")), ("fix", "approved"), "{shown}");
    assert_eq!(shown["input_schema"]["required"], json!(["text"]));

    let reply = agent.call_tool("fix.echo", json!({"text": "hello"})).is(200).json();
    assert_eq!(reply["content"], json!([{"type": "text", "text": "{\"text\": \"hello\"}"}]), "{reply}");
    assert_eq!((&reply["is_error"], &reply["truncated"]), (&json!(false), &json!(false)), "{reply}");
    assert_eq!(reply["usage"], json!({"usd": 0.5}));
    assert!(reply["took_ms"].is_u64(), "{reply}");
    let health = server.engine.tool_health("fix.echo").unwrap();
    assert_eq!((health.calls, health.failures, health.available), (1, 0, true));

    let acts = server.admin().items("/v1/audit?principal=agent:a&action=tool.");
    let acts: Vec<(&str, &str, &str)> =
        acts.iter().map(|act| (text(act, "action"), text(act, "path"), text(act, "outcome"))).collect();
    assert!(acts.contains(&("tool.call", "fix.echo", "allowed")), "{acts:?}");
    assert!(acts.contains(&("tool.answer", "fix.echo", "allowed")), "{acts:?}");

    in_both_eras(&server, |client| {
        let (found, is_error) = client.call("find_tools", json!({"query": "weigh a parcel"}));
        assert!(!is_error, "{found}");
        assert_eq!(
            (text(&found["tools"][0], "id"), found["tools"].as_array().unwrap().len()),
            ("fix.other", 1)
        );
        let (found, _) = client.call("find_tools", json!({"query": "say it again"}));
        let argument = &found["tools"][0]["arguments"][0];
        assert_eq!(
            (text(argument, "name"), text(argument, "description")),
            ("text", "What to say."),
            "{found}"
        );
        let call = json!({"tool": "fix.echo", "arguments": {"text": "hello"}});
        let (called, is_error) = client.call("call_tool", call);
        assert!(!is_error && called["content"] == reply["content"], "{called}");
    });
}

#[test]
fn arguments_that_do_not_fit_are_refused_before_anything_is_called() {
    let amount = json!({"amount": {"type": "integer", "maximum": 9}, "to": {"enum": ["a", "b"]}});
    let Some(fixture) = Fixture::new(&[strict_tool("echo", amount)]) else { return };
    let server = serve(vec![fixture.settings("fix", json!({}))]);
    let agent = server.tool_agent("agent:a", "fix.*");
    for (arguments, named, expected) in [
        (json!({"amount": "five", "to": "a"}), "`amount`", "integer"),
        (json!({"amount": 10, "to": "a"}), "`amount`", "9"),
        (json!({"amount": 1, "to": "c"}), "`to`", "\"a\""),
        (json!({"amount": 1}), "fix.echo", "\"to\""),
        (json!({"amount": 1, "to": "a", "more": 1}), "fix.echo", "more"),
    ] {
        let refused = agent.call_tool("fix.echo", arguments.clone());
        assert_eq!(refused.problem(), (400, "invalid_arguments".to_owned()), "{arguments}");
        let body = refused.json();
        let detail = text(&body, "detail");
        assert!(detail.contains(named) && detail.contains(expected), "{arguments}: {detail}");
    }
    let client = Client::legacy(&server, "", &agent.token);
    let (refused, is_error) = client.call("call_tool", json!({"tool": "fix.echo", "arguments": {}}));
    assert!(is_error && text(&refused, "code") == "invalid_arguments", "{refused}");
    assert_eq!(fixture.log("call"), Vec::<Value>::new());
    agent.call_tool("fix.echo", json!({"amount": 1, "to": "b"})).is(200);
}

#[test]
fn a_slow_tool_is_given_up_and_told_so() {
    let Some(fixture) = Fixture::new(&[tool("slow", "Takes its time."), tool("echo", "Repeats.")]) else {
        return;
    };
    let more = json!({"tools": {"slow": {"timeout_seconds": QUICK.as_secs_f64()}}});
    let server = serve(vec![fixture.settings("fix", more)]);
    server.admin().call_tool("fix.slow", json!({"seconds": 60})).refuses(504, "tool_timeout");
    assert_eq!(text(&fixture.wait_for("cancelled", 0), "tool"), "slow");
    assert_eq!(
        said(&server.admin().call_tool("fix.echo", json!({"still": "there"}))),
        "{\"still\": \"there\"}"
    );
    let health = server.engine.tool_health("fix.slow").unwrap();
    assert_eq!((health.calls, health.failures), (1, 1));
    assert!(health.last_error.unwrap().contains("fix.slow"));
}

#[test]
fn who_does_not_wait_any_more_ends_the_call_at_its_server() {
    let Some(fixture) = Fixture::new(&[tool("slow", "Takes its time.")]) else { return };
    let server = serve(vec![fixture.settings("fix", json!({}))]);

    // A client of the routes that hangs up.
    let mut stream = TcpStream::connect(server.address).unwrap();
    let body = json!({"arguments": {"seconds": 60}}).to_string();
    let head = format!(
        "POST /v1/tools/fix.slow/call HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer {}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
        server.address,
        server.token,
        body.len()
    );
    stream.write_all((head + &body).as_bytes()).unwrap();
    fixture.wait_for("call", 0);
    drop(stream);
    fixture.wait_for("cancelled", 0);

    // A client of the protocol that says so.
    let client = Client::legacy(&server, "", &server.token);
    let call = json!({"jsonrpc": "2.0", "id": 9, "method": "tools/call", "params": {
        "name": "call_tool", "arguments": {"tool": "fix.slow", "arguments": {"seconds": 60}},
    }});
    let headers = format!(
        "Mcp-Session-Id: {}\r\nAccept: application/json, text/event-stream\r\nContent-Type: application/json\r\n",
        client.session()
    );
    let mut stream = TcpStream::connect(server.address).unwrap();
    let body = call.to_string();
    let head = format!(
        "POST /mcp HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer {}\r\nContent-Length: {}\r\n{headers}\r\n",
        server.address,
        server.token,
        body.len()
    );
    stream.write_all((head + &body).as_bytes()).unwrap();
    fixture.wait_for("call", 1);
    let cancel = json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 9}});
    client.send(&cancel, &[]).is(202);
    fixture.wait_for("cancelled", 1);
    eventually("the calls are written down as cancelled", || {
        let acts = server.admin().items("/v1/audit?action=tool.answer");
        (acts.iter().filter(|act| text(act, "rule") == "cancelled").count() == 2).then_some(())
    });
}

#[test]
fn a_huge_answer_is_bounded() {
    let Some(fixture) = Fixture::new(&[tool("huge", "Says much.")]) else { return };
    let server =
        serve(vec![fixture.settings("fix", json!({"max_result_bytes": 10_000, "pinned": ["huge"]}))]);
    let admin = server.admin();
    let small = admin.call_tool("fix.huge", json!({"bytes": 5000})).is(200).json();
    assert_eq!(small["truncated"], false, "{small}");
    let huge = admin.call_tool("fix.huge", json!({"bytes": 5_000_000})).is(200);
    assert!(huge.body.len() < 11_000 && huge.body.len() > 9_000, "{} bytes", huge.body.len());
    assert_eq!(huge.json()["truncated"], true);
    let request = json!({"arguments": {"bytes": 5_000_000}, "max_tokens": 300});
    let bounded = admin.post("/v1/tools/fix.huge/call", &request).is(200);
    assert!(bounded.body.len() < 1100, "{}", bounded.text());
    in_both_eras(&server, |client| {
        let call = json!({"tool": "fix.huge", "arguments": {"bytes": 100_000}, "max_tokens": 300});
        let (reply, is_error) = client.call("call_tool", call);
        assert!(!is_error && reply["truncated"] == true, "{reply}");
        assert!(reply.to_string().len() <= 900, "{} bytes", reply.to_string().len());
        let call = json!({"name": "fix.huge", "arguments": {"bytes": 100_000}});
        let pinned = client.request("tools/call", call);
        assert!(
            pinned.to_string().len() < 11_000 && pinned.to_string().contains("[cut"),
            "{}",
            pinned.to_string().len()
        );
    });
}

#[test]
fn what_is_found_is_bounded() {
    let words = "Weighs parcels. ".repeat(800);
    let tools = [tool("a", &words), tool("b", &words)];
    let Some(fixture) = Fixture::new(&tools) else { return };
    let server = serve(vec![fixture.settings("fix", json!({}))]);
    let client = Client::modern(&server, "");
    let (found, _) = client.call("find_tools", json!({"query": "parcels", "max_tokens": 300}));
    assert!(found.to_string().len() <= 900, "{} bytes", found.to_string().len());
    assert_eq!((text(&found["tools"][0], "id"), &found["omitted"]), ("fix.a", &json!(1)), "{found}");
}

#[test]
fn an_answer_that_breaks_its_schema_is_given_with_a_warning_and_an_error_as_an_error() {
    let mut odd = tool("odd", "Miscounts.");
    odd["outputSchema"] = json!({"type": "object", "properties": {"count": {"type": "integer"}}});
    let Some(fixture) = Fixture::new(&[odd, tool("fail", "Fails.")]) else { return };
    let server = serve(vec![fixture.settings("fix", json!({}))]);
    let reply = server.admin().call_tool("fix.odd", json!({})).is(200).json();
    assert_eq!(reply["structured"], json!({"count": "not a number"}), "{reply}");
    assert!(reply["warnings"][0].as_str().unwrap().contains("integer"), "{reply}");
    let failed = server.admin().call_tool("fix.fail", json!({})).is(200).json();
    assert_eq!((&failed["is_error"], &failed["content"][0]["text"]), (&json!(true), &json!("it went wrong")));
    let health = server.engine.tool_health("fix.fail").unwrap();
    assert_eq!((health.failures, health.errors), (0, 1));
}

#[test]
fn progress_reaches_a_client_that_asks_for_it() {
    let Some(fixture) = Fixture::new(&[tool("progress", "Tells how far it is.")]) else { return };
    let server = serve(vec![fixture.settings("fix", json!({}))]);
    let client = Client::legacy(&server, "", &server.token);
    let call = |meta: Value| {
        let arguments = json!({"tool": "fix.progress", "arguments": {}});
        let params = json!({"name": "call_tool", "arguments": arguments, "_meta": meta});
        client.send(&json!({"jsonrpc": "2.0", "id": 3, "method": "tools/call", "params": params}), &[])
    };
    let reply = call(json!({"progressToken": "mine"}));
    assert_eq!(message(&reply)["result"]["isError"], false, "{}", reply.text());
    let told = reply.text();
    assert!(told.contains("notifications/progress") && told.contains("\"mine\""), "{told}");
    assert!(!call(json!({})).text().contains("notifications/progress"));
}

#[test]
fn pinned_tools_stand_among_ours_and_the_list_follows() {
    let pinned = strict_tool("echo", json!({"text": {"type": "string"}}));
    let Some(fixture) = Fixture::new(&[pinned, tool("other", "Not pinned.")]) else { return };
    let server = serve(vec![fixture.settings("fix", json!({"pinned": ["echo"]}))]);
    in_both_eras(&server, |client| {
        let names = offered(client);
        assert!(
            names.contains(&"fix.echo".to_owned()) && !names.contains(&"fix.other".to_owned()),
            "{names:?}"
        );
        let answer = client.request("tools/call", json!({"name": "fix.echo", "arguments": {"text": "x"}}));
        assert_eq!(answer["result"]["content"][0]["text"], "{\"text\": \"x\"}", "{answer}");
        let refused = client.request("tools/call", json!({"name": "fix.echo", "arguments": {}}));
        assert_eq!(refused["result"]["isError"], true, "{refused}");
        let unpinned = client.request("tools/call", json!({"name": "fix.other", "arguments": {}}));
        assert!(unpinned["error"]["code"].is_number(), "{unpinned}");
    });
    let narrow = Client::legacy(&server, "?toolsets=files", &server.token);
    assert!(!offered(&narrow).contains(&"fix.echo".to_owned()));

    // In the older era a session is told, in the newer one who listens; who sees none of it is told nothing.
    let client = Client::legacy(&server, "", &server.token);
    let headers = format!("Mcp-Session-Id: {}\r\n", client.session());
    let mut older = Stream::open(&server, "GET", &headers, "");
    let request = json!({"jsonrpc": "2.0", "id": 7, "method": "subscriptions/listen", "params": {
        "notifications": {"toolsListChanged": true},
        "_meta": {
            "io.modelcontextprotocol/protocolVersion": "2026-07-28",
            "io.modelcontextprotocol/clientCapabilities": {},
            "io.modelcontextprotocol/clientInfo": {"name": "test", "version": "1"},
        },
    }});
    let headers = "MCP-Protocol-Version: 2026-07-28\r\nMcp-Method: subscriptions/listen\r\n";
    let mut newer = Stream::open(&server, "POST", headers, &request.to_string());
    newer.wait_for("notifications/subscriptions/acknowledged");
    // Following begins a moment after it was acknowledged; one of the changes is after that.
    let is_over = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|threads| {
        threads.spawn(|| {
            for n in 0..3000 {
                if is_over.load(std::sync::atomic::Ordering::Relaxed) {
                    return;
                }
                let settings = json!({"pinned": n % 2 == 0}).to_string();
                let json = [("content-type", "application/json")];
                server.ask("PUT", "/v1/tools/fix.other", &json, &settings).is(200);
                std::thread::sleep(std::time::Duration::from_millis(20));
            }
        });
        newer.wait_for("notifications/tools/list_changed");
        older.wait_for("notifications/tools/list_changed");
        is_over.store(true, std::sync::atomic::Ordering::Relaxed);
    });
}

/// The fixture over HTTP; killed when it goes.
struct Remote {
    child: Child,
    port: u64,
}

impl Remote {
    fn start(fixture: &Fixture) -> Self {
        Self::start_with(fixture, &[])
    }

    fn start_with(fixture: &Fixture, more: &[&str]) -> Self {
        let run = fixture.run(&[&["--http"], more].concat());
        let child = Command::new(&run[0]).args(&run[1..]).stdout(Stdio::null()).spawn().unwrap();
        let port = fixture.wait_for("port", 0)["port"].as_u64().unwrap();
        Self { child, port }
    }

    fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }
}

impl Drop for Remote {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn a_server_over_http_gets_its_own_headers_and_nothing_of_the_caller() {
    let Some(fixture) = Fixture::new(&[tool("echo", "Repeats."), tool("slow", "Takes its time.")]) else {
        return;
    };
    let remote = Remote::start(&fixture);
    let headers = json!({"Authorization": "Bearer theirs", "X-Home": "${HOME}"});
    let server = serve(vec![settings(json!({
        "name": "far", "url": remote.url("/mcp"), "headers": headers, "tools": {"slow": {"timeout_seconds": QUICK.as_secs_f64()}},
    }))]);
    let agent = server.tool_agent("agent:a", "far.*");
    assert_eq!(said(&agent.call_tool("far.echo", json!({"a": 1}))), "{\"a\": 1}");
    agent.call_tool("far.slow", json!({"seconds": 60})).refuses(504, "tool_timeout");
    fixture.wait_for("cancelled", 0);
    let requests = fixture.log("request");
    assert!(requests.len() > 3, "{requests:?}");
    let home = std::env::var("HOME").unwrap();
    for request in &requests {
        let headers = &request["headers"];
        assert_eq!((text(headers, "authorization"), text(headers, "x-home")), ("Bearer theirs", &*home));
        assert!(!request.to_string().contains(&agent.token), "{request}");
    }
    let calls = fixture.log("call");
    assert!(calls.iter().all(|call| !call.to_string().contains("agent:a")), "{calls:?}");
    assert!(is_alive(u64::from(remote.child.id())));

    // It is listed again when it says so.
    fixture.list(&[tool("echo", "Repeats."), tool("more", "Is new.")]);
    let admin = server.admin();
    eventually("the list is read again", || {
        admin.tool_ids("?state=quarantined").contains(&"far.more".to_owned()).then_some(())
    });
}

#[test]
fn a_server_of_the_newer_era_alone_is_called_as_well() {
    let Some(fixture) = Fixture::new(&[tool("echo", "Repeats.")]) else { return };
    let remote = Remote::start_with(&fixture, &["--modern"]);
    let server = serve(vec![settings(json!({"name": "new", "url": remote.url("/mcp")}))]);
    assert_eq!(text(&server.upstream("new"), "protocol"), "2026-07-28");
    assert_eq!(said(&server.admin().call_tool("new.echo", json!({"a": 1}))), "{\"a\": 1}");
}

#[test]
fn a_redirect_is_not_followed() {
    let Some(fixture) = Fixture::new(&[tool("echo", "Repeats.")]) else { return };
    let remote = Remote::start(&fixture);
    let far =
        settings(json!({"name": "far", "url": remote.url("/elsewhere"), "headers": {"X-Key": "theirs"}}));
    let server = Server::start_upstreams(plan(vec![far]));
    server.wait_until("far", "down");
    let paths: Vec<Value> =
        fixture.log("request").into_iter().map(|request| request["path"].clone()).collect();
    assert!(!paths.is_empty() && paths.iter().all(|path| path == "/elsewhere"), "{paths:?}");
    server.admin().call_tool("far.echo", json!({})).refuses(404, "not_found");
}
