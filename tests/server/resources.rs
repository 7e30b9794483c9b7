use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::time::Instant;

use serde_json::{Value, json};

use crate::mcp::{Client, in_both_eras};
use crate::support::{PATIENCE, Server};

const FILES: &str = "\
//- open/a b.md
Alpha.
//- closed/c.md
Gamma.
";

/// A stream of events that stays open.
pub struct Stream(BufReader<TcpStream>);

impl Stream {
    pub fn open(server: &Server, method: &str, headers: &str, body: &str) -> Self {
        Self::open_as((server, &server.token), method, headers, body)
    }

    pub fn open_as((server, token): (&Server, &str), method: &str, headers: &str, body: &str) -> Self {
        let mut stream = TcpStream::connect(server.address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let host = server.address;
        write!(
            stream,
            "{method} /mcp HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {token}\r\n\
             Accept: application/json, text/event-stream\r\nContent-Type: application/json\r\n\
             Content-Length: {}\r\n{headers}\r\n{body}",
            body.len()
        )
        .unwrap();
        Self(BufReader::new(stream))
    }

    /// Reads until a message of this method comes.
    pub fn wait_for(&mut self, method: &str) -> Value {
        let mut line = String::new();
        let deadline = Instant::now() + PATIENCE;
        loop {
            assert!(Instant::now() < deadline, "`{method}` never came");
            line.clear();
            assert_ne!(self.0.read_line(&mut line).unwrap(), 0, "the stream ended before `{method}`");
            let Some(data) = line.trim().strip_prefix("data: ") else { continue };
            let Ok(message) = serde_json::from_str::<Value>(data) else { continue };
            if message["method"] == method {
                return message;
            }
        }
    }
}

fn put(server: &Server, path: &str, text: &str) {
    assert!(server.ask("PUT", &format!("/v1/files{path}"), &[], text).status < 300);
}

#[test]
fn files_are_listed_and_read_as_resources_in_both_eras() {
    let server = Server::start(FILES);
    in_both_eras(&server, |client| {
        let listed = client.request("resources/list", json!({}));
        let uris: Vec<&str> = listed["result"]["resources"]
            .as_array()
            .unwrap_or_else(|| panic!("{listed}"))
            .iter()
            .map(|resource| resource["uri"].as_str().unwrap())
            .collect();
        assert_eq!(uris, ["waypost:///docs/closed/c.md", "waypost:///docs/open/a%20b.md"]);
        let read = client.request("resources/read", json!({"uri": uris[1]}));
        let contents = &read["result"]["contents"][0];
        assert_eq!((&contents["text"], &contents["mimeType"]), (&json!("Alpha.\n"), &json!("text/markdown")));
        let templates = client.request("resources/templates/list", json!({}));
        assert_eq!(
            templates["result"]["resourceTemplates"][0]["uriTemplate"],
            "waypost:///{workspace}/{+path}"
        );
        for uri in ["waypost:///docs/none.md", "waypost:///docs/../x", "file:///etc/passwd"] {
            let refused = client.request("resources/read", json!({"uri": uri}));
            assert!(refused["error"]["code"].is_number(), "{uri}: {refused}");
        }
    });
}

#[test]
fn what_may_not_be_read_is_no_resource() {
    let server = Server::start(FILES);
    let reader = server.user("agent:reader", &["read,list /docs/open/**"]);
    let client = Client::legacy(&server, "", &reader.token);
    let listed = client.request("resources/list", json!({}));
    assert_eq!(listed["result"]["resources"].as_array().unwrap().len(), 1, "{listed}");
    let told = |uri: &str| {
        let answer = client.request("resources/read", json!({"uri": uri}));
        answer["error"].to_string().replace(uri, "URI")
    };
    assert_eq!(told("waypost:///docs/closed/c.md"), told("waypost:///docs/closed/none.md"));
}

#[test]
fn a_resource_that_is_followed_tells_of_its_changes_in_the_newer_era() {
    let server = Server::start(FILES);
    let uris = ["waypost:///docs/open/a%20b.md", "waypost:///docs/later.md"];
    let request = json!({"jsonrpc": "2.0", "id": 7, "method": "subscriptions/listen", "params": {
        "notifications": {"resourceSubscriptions": uris},
        "_meta": {
            "io.modelcontextprotocol/protocolVersion": "2026-07-28",
            "io.modelcontextprotocol/clientCapabilities": {},
            "io.modelcontextprotocol/clientInfo": {"name": "test", "version": "1"},
        },
    }});
    let headers = "MCP-Protocol-Version: 2026-07-28\r\nMcp-Method: subscriptions/listen\r\n";
    let mut stream = Stream::open(&server, "POST", headers, &request.to_string());
    stream.wait_for("notifications/subscriptions/acknowledged");
    // Following begins a moment after it was acknowledged; one of the writes is after that.
    let is_over = std::sync::atomic::AtomicBool::new(false);
    let written = std::thread::scope(|threads| {
        let writer = threads.spawn(|| {
            // More than anybody waits for.
            for n in 0..3000 {
                put(&server, "/docs/closed/c.md", "Not followed.");
                put(&server, "/docs/open/a b.md".replace(' ', "%20").as_str(), &format!("Alpha {n}."));
                if is_over.load(std::sync::atomic::Ordering::Relaxed) {
                    return n;
                }
                std::thread::sleep(std::time::Duration::from_millis(20));
            }
            0
        });
        let told = stream.wait_for("notifications/resources/updated");
        is_over.store(true, std::sync::atomic::Ordering::Relaxed);
        assert_eq!(told["params"]["uri"], uris[0], "{told}");
        writer.join().unwrap()
    });
    assert!(written < 3000);
    put(&server, "/docs/later.md", "Now it is there.");
    loop {
        let told = stream.wait_for("notifications/resources/updated");
        if told["params"]["uri"] == uris[1] {
            break;
        }
        assert_eq!(told["params"]["uri"], uris[0]);
    }
}

#[test]
fn a_resource_that_is_followed_tells_of_its_changes_in_the_older_era() {
    let server = Server::start(FILES);
    let client = Client::legacy(&server, "", &server.token);
    let headers = format!("Mcp-Session-Id: {}\r\n", client.session());
    let mut stream = Stream::open(&server, "GET", &headers, "");
    let uri = "waypost:///docs/closed/c.md";
    let subscribed = client.request("resources/subscribe", json!({"uri": uri}));
    assert!(subscribed["result"].is_object(), "{subscribed}");
    let is_over = std::sync::atomic::AtomicBool::new(false);
    let told = std::thread::scope(|threads| {
        threads.spawn(|| {
            // More than anybody waits for.
            for n in 0..3000 {
                if is_over.load(std::sync::atomic::Ordering::Relaxed) {
                    return;
                }
                put(&server, "/docs/closed/c.md", &format!("Gamma {n}."));
                std::thread::sleep(std::time::Duration::from_millis(20));
            }
        });
        let told = stream.wait_for("notifications/resources/updated");
        is_over.store(true, std::sync::atomic::Ordering::Relaxed);
        told
    });
    assert_eq!(told["params"]["uri"], uri);
    let ended = client.request("resources/unsubscribe", json!({"uri": uri}));
    assert!(ended["result"].is_object(), "{ended}");
}
