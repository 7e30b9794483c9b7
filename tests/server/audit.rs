use std::cell::Cell;

use serde_json::{Value, json};

use crate::mcp::Client;
use crate::support::{Reply, Server};
use crate::users::{User, text};

const FILES: &str = "\
//- a.md
The heron is grey.
//- secret/s.md
The egret is hidden.
";

/// Does things under traces of their own, and looks at what stands in the log.
struct Log<'a> {
    admin: User<'a>,
    traces: Cell<u32>,
}

impl Log<'_> {
    /// Does one thing; the records of it, as `action verb path outcome rule`.
    fn of(&self, user: &User<'_>, method: &str, path: &str, body: &str) -> (Reply, Vec<String>) {
        self.traces.set(self.traces.get() + 1);
        let trace = format!("{:032x}", self.traces.get());
        let traceparent = format!("00-{trace}-00f067aa0ba902b7-01");
        let kind = if body.starts_with('{') { "application/json" } else { "" };
        let reply = user.ask(method, path, &[("traceparent", &traceparent), ("content-type", kind)], body);
        let records = self.admin.items(&format!("/v1/audit?trace={trace}"));
        for record in &records {
            assert_eq!(
                (text(record, "principal"), text(record, "trace")),
                (user.id.as_str(), trace.as_str())
            );
            assert_eq!(text(record, "token"), user.token.split('_').nth(1).unwrap(), "{record}");
            assert!(!text(record, "at").is_empty() && text(record, "hash").len() == 64, "{record}");
        }
        let shown = |record: &Value| {
            ["action", "verb", "path", "outcome", "rule"]
                .map(|field| text(record, field).to_owned())
                .join(" ")
        };
        (reply, records.iter().map(shown).collect())
    }
}

#[test]
fn every_act_is_recorded_with_what_decided_it() {
    let server = Server::start(FILES);
    let admin = server.admin();
    let agent = server.user("agent:a", &[]);
    let grant = admin.grant("agent:a", "list,read,write,delete /docs/**");
    let deny = admin.grant("agent:a", "!list,read,write /docs/secret/**");
    let gate = admin.post("/v1/gates", &json!({"path": "/docs/gated/**"})).is(201).json();
    let (grant, deny, gate) = (text(&grant, "id"), text(&deny, "id"), text(&gate, "id"));
    let log = Log { admin: server.admin(), traces: Cell::new(0) };
    let check = |method: &str, path: &str, body: &str, status: u16, expected: &[String]| {
        let (reply, records) = log.of(&agent, method, path, body);
        assert_eq!(reply.status, status, "{method} {path}: {}", reply.text());
        assert_eq!(records, expected, "{method} {path}");
    };
    let one = |record: &str, rule: &str| vec![format!("{record} {rule}")];
    check("GET", "/v1/files/docs/a.md", "", 200, &one("file.read read /docs/a.md allowed", grant));
    check(
        "GET",
        "/v1/files/docs/secret/s.md",
        "",
        404,
        &one("file.read read /docs/secret/s.md denied", deny),
    );
    check("GET", "/v1/files/docs/none.md", "", 404, &one("file.read read /docs/none.md failed", "not_found"));
    check("GET", "/v1/files/other/x.md", "", 404, &one("file.read read /other/x.md denied", "default"));
    check("PUT", "/v1/files/docs/n.md", "new", 201, &one("file.write write /docs/n.md allowed", grant));
    check(
        "PUT",
        "/v1/files/docs/secret/n.md",
        "x",
        404,
        &one("file.write write /docs/secret/n.md denied", deny),
    );
    check(
        "PUT",
        "/v1/files/docs/gated/n.md",
        "x",
        403,
        &one("file.write write /docs/gated/n.md pending", gate),
    );
    check("DELETE", "/v1/files/docs/n.md", "", 200, &one("file.delete delete /docs/n.md allowed", grant));
    check("GET", "/v1/list/docs", "", 200, &one("file.list list /docs allowed", "scope"));
    check("GET", "/v1/versions/docs/n.md", "", 200, &one("file.versions read /docs/n.md allowed", grant));
    check("POST", "/v1/search", "{\"query\": \"heron\"}", 200, &one("search read / allowed", "scope"));
    check("POST", "/v1/ask", "{\"question\": \"heron?\"}", 200, &one("ask read / allowed", "scope"));
    check("GET", "/v1/grants", "", 403, &one("grant.list admin / denied", "default"));
    check(
        "POST",
        "/v1/locks",
        "{\"path\": \"/docs/a.md\"}",
        201,
        &one("lock.take write /docs/a.md allowed", grant),
    );
    let moved = json!({"from": "/docs/a.md", "to": "/docs/b.md"}).to_string();
    check("POST", "/v1/move", &moved, 200, &one("file.move write /docs/b.md allowed", grant));
    check("POST", "/v1/move", &moved, 404, &one("file.move read /docs/a.md failed", "not_found"));
    let (_, records) = log.of(&admin, "POST", "/v1/tokens", "{\"principal\": \"agent:a\"}");
    assert_eq!(records, ["token.issue admin agent:a allowed owner"]);
    let (_, records) = log.of(&admin, "POST", "/v1/snapshots", "{\"workspace\": \"docs\"}");
    assert_eq!(records, ["snapshot.take write /docs allowed owner"]);
    let (reply, records) = log.of(&admin, "GET", "/v1/audit/verify", "");
    assert_eq!(records, ["audit.verify admin / allowed owner"]);
    let told = reply.json();
    assert!(
        told["valid"] == true && told["break"].is_null() && told["records"].as_u64() > Some(30),
        "{told}"
    );
}

#[test]
fn what_a_tool_does_is_recorded_too() {
    let server = Server::start(FILES);
    let agent = server.user("agent:a", &["list,read,write /docs/**"]);
    let client = Client::legacy(&server, "", &agent.token);
    client.call("write_file", json!({"path": "/docs/n.md", "content": "x"}));
    client.call("read_file", json!({"path": "/nowhere/n.md"}));
    let records = server.admin().items("/v1/audit?principal=agent:a&action=file.");
    let shown: Vec<[&str; 3]> =
        records.iter().map(|record| ["action", "path", "outcome"].map(|field| text(record, field))).collect();
    assert_eq!(shown, [["file.write", "/docs/n.md", "allowed"], ["file.read", "/nowhere/n.md", "denied"]]);
}

#[test]
fn the_log_is_filtered_paged_and_exported() {
    let server = Server::start(FILES);
    let admin = server.admin();
    let agent = server.user("agent:a", &["list,read /docs/**"]);
    for _ in 0..3 {
        agent.read("/docs/a.md").is(200);
        agent.put("/docs/a.md", "x").refuses(403, "forbidden");
        agent.read("/docs/secret/s.md").is(200);
    }
    let count = |query: &str| admin.items(&format!("/v1/audit?{query}")).len();
    assert_eq!(count("principal=agent:a"), 9);
    assert_eq!(count("principal=agent:a&outcome=denied"), 3);
    assert_eq!(count("principal=agent:a&action=file."), 9);
    assert_eq!(count("principal=agent:a&action=file.read"), 6);
    assert_eq!(count("principal=agent:a&path=/docs/secret"), 3);
    assert_eq!(count("principal=agent:a&path=/docs/secr"), 0, "a path is a folder, not a beginning");
    assert_eq!(count("principal=agent:a&since=2999-01-01"), 0);
    assert_eq!(count("principal=agent:none"), 0);
    assert_eq!(count("principal=agent:a&path=/docs/**/*.md"), 9, "with a star it is a pattern");
    assert_eq!(count("principal=agent:a&path=/DOCS/s*/*"), 3);
    assert_eq!(count("principal=agent:a&verb=write"), 3);
    assert_eq!(count(&format!("token={}", agent.token.split('_').nth(1).unwrap())), 9);
    assert_eq!(count("token=none"), 0);
    assert_eq!(count("principal=agent:a&until=2000-01-01"), 0);
    assert_eq!(count("principal=agent:a&until=2999-01-01&since=2000-01-01"), 9);
    for bad in [
        "limit=0",
        "limit=10001",
        "since=soon",
        "until=soon",
        "colour=red",
        "after=x",
        "outcome=refused",
        "verb=fly",
    ] {
        admin.get(&format!("/v1/audit?{bad}")).refuses(400, "invalid_request");
    }
    admin.get("/v1/audit?path=/docs/**x").refuses(400, "invalid_pattern");
    let (mut numbers, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = admin.get(&format!("/v1/audit?principal=agent:a&limit=2{cursor}")).is(200).json();
        numbers.extend(page["items"].as_array().unwrap().iter().map(|act| act["number"].as_u64().unwrap()));
        let Some(next) = page["next_cursor"].as_str() else { break };
        cursor = format!("&cursor={next}");
    }
    assert_eq!(numbers.len(), 9);
    assert!(numbers.is_sorted(), "oldest first: {numbers:?}");

    let exported = admin.get("/v1/audit/export").is(200);
    assert_eq!(exported.header("content-type"), "application/x-ndjson");
    let lines: Vec<Value> = exported.text().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let all: Vec<u64> = lines.iter().map(|line| line["number"].as_u64().unwrap()).collect();
    assert_eq!(all, (1..=all.len() as u64).collect::<Vec<_>>(), "without gaps");
    assert_eq!(lines.iter().filter(|line| line["principal"] == "agent:a").count(), 9);
    assert_eq!(admin.get("/v1/audit/export?principal=agent:a").text().lines().count(), 9);
}

#[test]
fn the_log_is_for_the_admin_alone() {
    let server = Server::start(FILES);
    let lead = server.user("human:lead", &["list,read,write,delete,approve,admin /docs/**"]);
    for path in ["/v1/audit", "/v1/audit/export", "/v1/audit/verify", "/v1/audit?principal=human:lead"] {
        lead.get(path).refuses(403, "forbidden");
    }
    let refused = server.admin().items("/v1/audit?principal=human:lead&outcome=denied");
    assert_eq!(refused.len(), 4, "the attempts stand in it: {refused:?}");
    server.ask("GET", "/v1/audit", &[("authorization", "")], "").refuses(401, "unauthorized");
}
