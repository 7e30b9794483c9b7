use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::process::Command;

use serde_json::{Value, json};
use waypost::serve::Edge;

use crate::clients::{run, script, test_tools_with};
use crate::support::{PATIENCE, Server};
use crate::users::text;

fn with_pair() -> Server {
    Server::start_edge(Edge { sse: true, ..Edge::default() })
}

/// A stream of the older pair, and where it says to post.
struct Pair {
    stream: BufReader<TcpStream>,
    messages: String,
}

impl Pair {
    fn open(server: &Server, token: &str) -> Self {
        let mut stream = TcpStream::connect(server.address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let host = server.address;
        write!(stream, "GET /sse HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {token}\r\n\r\n").unwrap();
        let mut pair = Self { stream: BufReader::new(stream), messages: String::new() };
        pair.messages = pair.next("endpoint").expect("the stream is open");
        pair
    }

    /// The data of the next event of a kind; `None` where the stream ends.
    fn next(&mut self, kind: &str) -> Option<String> {
        let mut is_kind = false;
        let mut line = String::new();
        loop {
            line.clear();
            if self.stream.read_line(&mut line).unwrap() == 0 {
                return None;
            }
            if let Some(event) = line.trim_end().strip_prefix("event: ") {
                is_kind = event == kind;
            }
            if let Some(data) = line.trim_end().strip_prefix("data: ").filter(|_| is_kind) {
                return Some(data.to_owned());
            }
        }
    }

    /// Posts a message, and reads what is said to it.
    fn ask(&mut self, server: &Server, token: &str, message: &Value) -> Value {
        let reply = post(server, token, &self.messages, message);
        assert_eq!(reply.status, 202, "{}", reply.text());
        serde_json::from_str(&self.next("message").expect("an answer")).unwrap()
    }

    fn greet(&mut self, server: &Server, token: &str) {
        let hello = json!({"protocolVersion": "2024-11-05", "capabilities": {}, "clientInfo": {"name": "old", "version": "1"}});
        let told = self.ask(
            server,
            token,
            &json!({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": hello}),
        );
        assert_eq!(told["result"]["protocolVersion"], "2024-11-05", "{told}");
        let ready = json!({"jsonrpc": "2.0", "method": "notifications/initialized"});
        assert_eq!(post(server, token, &self.messages, &ready).status, 202);
    }
}

fn post(server: &Server, token: &str, path: &str, message: &Value) -> crate::support::Reply {
    let bearer = format!("Bearer {token}");
    let headers = [("authorization", bearer.as_str()), ("content-type", "application/json")];
    server.ask("POST", path, &headers, &message.to_string())
}

#[test]
fn a_client_of_the_oldest_kind_works_over_its_two_routes() {
    let server = with_pair();
    let reader = server.user("agent:reader", &["list,read /docs/**"]);
    let mut pair = Pair::open(&server, &reader.token);
    pair.greet(&server, &reader.token);
    let call = json!({"name": "read_file", "arguments": {"path": "/docs/a.md"}});
    let told = pair.ask(
        &server,
        &reader.token,
        &json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": call}),
    );
    assert_eq!(told["result"]["structuredContent"]["text"], "fine\n", "{told}");
    let call = json!({"name": "write_file", "arguments": {"path": "/docs/b.md", "content": "x"}});
    let told = pair.ask(
        &server,
        &reader.token,
        &json!({"jsonrpc": "2.0", "id": 2, "method": "tools/call", "params": call}),
    );
    assert!(text(&told["error"], "message").contains("unknown tool"), "{told}");
    let reply = server.ask(
        "POST",
        &pair.messages,
        &[("authorization", &format!("Bearer {}", reader.token))],
        "no json",
    );
    assert_eq!(reply.problem(), (400, "invalid_json".to_owned()));
}

#[test]
fn attacks_9_and_11_a_stream_belongs_to_its_token_and_ends_with_it() {
    let server = with_pair();
    let owner = server.user("agent:owner", &["list,read /docs/**"]);
    let other = server.user("agent:other", &["list,read /docs/**"]);
    let mut pair = Pair::open(&server, &owner.token);
    pair.greet(&server, &owner.token);
    let ping = json!({"jsonrpc": "2.0", "id": 1, "method": "ping"});
    assert_eq!(
        post(&server, &other.token, &pair.messages, &ping).problem(),
        (404, "session_not_found".to_owned())
    );
    let made_up = "/messages?session_id=00000000000000000000000000000000";
    assert_eq!(post(&server, &owner.token, made_up, &ping).problem(), (404, "session_not_found".to_owned()));
    assert_eq!(server.ask("GET", "/sse", &[("authorization", "Bearer wp_0_0")], "").status, 401);
    let id = owner.token.split('_').nth(1).unwrap();
    server.admin().delete(&format!("/v1/tokens/{id}")).is(204);
    assert_eq!(pair.next("message"), None, "the stream has ended");
}

#[test]
fn without_the_setting_there_are_no_such_routes() {
    let server = Server::start("//- a.md\nfine\n");
    assert_eq!(server.get("/sse").problem(), (404, "not_found".to_owned()));
    assert_eq!(server.post("/messages", &json!({})).problem(), (404, "not_found".to_owned()));
}

#[test]
fn the_older_typescript_sdk_works_over_its_two_routes() {
    let Some(tools) = test_tools_with("@modelcontextprotocol/sdk") else { return };
    let server = with_pair();
    let reader = server.user("agent:reader", &["list,read /docs/**"]);
    let target = json!({"url": server.url("/sse"), "token": reader.token});
    let mut node = Command::new(tools.join("node"));
    let (said, is_done) = run(node.arg(script("typescript_sse.mjs")).arg(&tools).arg(target.to_string()));
    assert!(is_done, "{said}");
    let seen: Value = serde_json::from_str(said.trim()).unwrap();
    assert_eq!(seen["text"], "fine\n", "{seen}");
    assert!(!seen["tools"].as_array().unwrap().contains(&json!("write_file")), "{seen}");
}
