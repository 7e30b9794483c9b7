use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;

use serde_json::json;
use ureq::tls::{Certificate, RootCerts, TlsConfig};
use waypost::serve::Edge;
use waypost::tls::TlsFiles;

use crate::support::{PATIENCE, Reply, Server};

const FILES: &str = "//- a.md\nfine\n//- secret/b.md\nhidden\n";

fn open(server: &Server, path: &str) -> Reply {
    server.ask("GET", path, &[("authorization", "")], "")
}

/// A browser that signed in: its two halves.
struct Browser<'a> {
    server: &'a Server,
    cookie: String,
    key: String,
    origin: String,
}

impl<'a> Browser<'a> {
    fn sign_in(server: &'a Server, token: &str) -> Self {
        let origin = format!("http://{}", server.address);
        let bearer = format!("Bearer {token}");
        let headers =
            [("authorization", bearer.as_str()), ("origin", &origin), ("sec-fetch-site", "same-origin")];
        let reply = server.ask("POST", "/v1/session", &headers, "");
        assert_eq!(reply.status, 201, "{}", reply.text());
        assert_eq!(reply.header("cache-control"), "no-store");
        let cookie = reply.header("set-cookie").split(';').next().unwrap().to_owned();
        let key = reply.json()["key"].as_str().unwrap().to_owned();
        Self { server, cookie, key, origin }
    }

    fn ask_with(&self, method: &str, path: &str, more: &[(&str, &str)], body: &str) -> Reply {
        let mut headers = vec![("authorization", ""), ("cookie", self.cookie.as_str())];
        headers.extend(more);
        self.server.ask(method, path, &headers, body)
    }

    /// A stream of events that has begun.
    fn events(&self) -> TcpStream {
        let (host, cookie, key) = (self.server.address, &self.cookie, &self.key);
        let mut stream = TcpStream::connect(host).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let head = format!(
            "GET /v1/events HTTP/1.1\r\nHost: {host}\r\nCookie: {cookie}\r\nX-Waypost-Console: {key}\r\n\
             Sec-Fetch-Site: same-origin\r\nConnection: close\r\n\r\n"
        );
        stream.write_all(head.as_bytes()).unwrap();
        let mut begun = [0u8; 15];
        stream.read_exact(&mut begun).unwrap();
        assert_eq!(&begun, b"HTTP/1.1 200 OK");
        stream
    }

    /// As a page of ours asks.
    fn ask(&self, method: &str, path: &str, body: &str) -> Reply {
        let own = [
            ("x-waypost-console", self.key.as_str()),
            ("origin", &self.origin),
            ("content-type", "application/json"),
        ];
        self.ask_with(method, path, &own, body)
    }
}

#[test]
fn the_pages_need_no_token_and_may_do_nothing_but_ask_us() {
    let server = Server::start(FILES);
    let first = open(&server, "/");
    assert_eq!(first.status, 200);
    let page = first.text();
    let named: Vec<&str> =
        page.split("\"/console/").skip(1).filter_map(|rest| rest.split('"').next()).collect();
    assert!(named.contains(&"app.js") && named.contains(&"style.css"), "{named:?}");
    for path in named.iter().map(|name| format!("/console/{name}")).chain(["/".to_owned()]) {
        let reply = open(&server, &path);
        assert_eq!(reply.status, 200, "{path}");
        let policy = reply.header("content-security-policy");
        for rule in [
            "default-src 'none'",
            "script-src 'self'",
            "style-src 'self'",
            "img-src 'self' blob:",
            "connect-src 'self'",
            "frame-ancestors 'none'",
            "base-uri 'none'",
            "form-action 'self'",
        ] {
            assert!(policy.split(';').any(|part| part.trim() == rule), "{path}: {rule} in {policy}");
        }
        assert!(!policy.contains("unsafe") && !policy.contains('*'), "{policy}");
        assert_eq!(reply.header("x-content-type-options"), "nosniff");
        assert_eq!(reply.header("referrer-policy"), "no-referrer");
        assert_eq!(reply.header("cache-control"), "no-cache");
    }
    assert!(open(&server, "/console/app.js").header("content-type").starts_with("text/javascript"));
    for absent in ["/console/", "/console/nothing.js", "/console/../Cargo.toml", "/console/%2e%2e/mod.rs"] {
        assert_eq!(open(&server, absent).status, 404, "{absent}");
    }
}

#[test]
fn a_page_that_did_not_change_is_not_sent_again_and_large_ones_are_compressed() {
    let server = Server::start(FILES);
    // It comes compressed, so its tag is a weak one.
    let tag = open(&server, "/console/app.js").header("etag").trim_start_matches("W/").to_owned();
    assert!(tag.starts_with('"') && tag.len() > 30, "{tag}");
    for known in [tag.clone(), format!("W/{tag}"), format!("\"other\", {tag}"), "*".to_owned()] {
        let again =
            server.ask("GET", "/console/app.js", &[("authorization", ""), ("if-none-match", &known)], "");
        assert_eq!((again.status, again.body.len()), (304, 0), "{known}");
        assert!(again.header("content-security-policy").contains("default-src 'none'"));
    }
    let other =
        server.ask("GET", "/console/app.js", &[("authorization", ""), ("if-none-match", "\"x\"")], "");
    assert_eq!(other.status, 200);
    let zipped = server.raw_get("/console/style.css", "Accept-Encoding: gzip\r\n").to_lowercase();
    assert!(zipped.contains("\r\ncontent-encoding: gzip"));
}

#[test]
fn a_browser_signs_in_once_and_acts_with_the_rights_of_its_token() {
    let server = Server::start(FILES);
    let token = server.user("agent:reader", &["read,list /docs/a.md"]).token;
    let browser = Browser::sign_in(&server, &token);
    assert!(!browser.cookie.contains(&token) && !browser.key.contains(&token));
    let info = browser.ask("GET", "/v1/session", "").json();
    assert_eq!((&info["principal"], &info["console"]), (&json!("agent:reader"), &json!(true)));
    assert_eq!(browser.ask("GET", "/v1/files/docs/a.md", "").text(), "fine\n");
    assert_eq!(browser.ask("GET", "/v1/files/docs/secret/b.md", "").status, 404);
    assert_eq!(browser.ask("GET", "/v1/audit", "").status, 403);
    let found = browser.ask("POST", "/v1/search", &json!({"query": "hidden"}).to_string()).json();
    assert_eq!(found["results"], json!([]));
    // Signing in and out stands in the audit log.
    assert_eq!(browser.ask("DELETE", "/v1/session", "").status, 204);
    assert_eq!(browser.ask("GET", "/v1/session", "").problem().0, 401);
    let rows = server.get("/v1/audit?principal=agent:reader&action=session.&limit=10").json();
    let acts: Vec<&str> =
        rows["items"].as_array().unwrap().iter().map(|row| row["action"].as_str().unwrap()).collect();
    assert_eq!(acts, ["session.open", "session.close"]);
}

#[test]
fn the_cookie_is_hidden_from_scripts_and_worth_nothing_alone() {
    let server = Server::start(FILES);
    let bearer = format!("Bearer {}", server.token);
    let reply = server.ask("POST", "/v1/session", &[("authorization", &bearer)], "");
    let cookie = reply.header("set-cookie").to_owned();
    for part in ["HttpOnly", "SameSite=Strict", "Path=/"] {
        assert!(cookie.split("; ").any(|found| found == part), "{part} in {cookie}");
    }
    assert!(!cookie.contains("Secure") && !cookie.contains("Domain"), "{cookie}");
    let browser = Browser::sign_in(&server, &server.token);
    let own = browser.origin.as_str();
    let key = ("x-waypost-console", browser.key.as_str());
    let refused = |more: &[(&str, &str)], expected: u16| {
        for (method, path) in [("GET", "/v1/whoami"), ("POST", "/v1/search"), ("DELETE", "/v1/session")] {
            let reply = browser.ask_with(method, path, more, "");
            assert_eq!(reply.problem().0, expected, "{method} {more:?}");
        }
    };
    refused(&[], 401);
    refused(&[("origin", own)], 401);
    refused(&[("origin", own), ("x-waypost-console", "1")], 401);
    refused(&[key, ("sec-fetch-site", "cross-site")], 403);
    refused(&[key, ("sec-fetch-site", "same-site")], 403);
    // A page that the operator lets ask with tokens of its own has no use of a sign-in.
    refused(&[key, ("origin", "https://app.example")], 403);
    refused(&[key, ("origin", "https://evil.example")], 403);
    let unnamed = browser.ask_with("POST", "/v1/search", &[key], "{}");
    assert_eq!(unnamed.problem(), (403, "forbidden_origin".to_owned()));
    for path in ["/mcp", "/metrics"] {
        assert_eq!(browser.ask("GET", path, "").problem().0, 401, "{path}");
        assert_eq!(browser.ask("POST", path, "{}").status / 100, 4, "{path}");
    }
    let wrong =
        [("authorization", "Bearer wp_00000000_00"), ("cookie", &browser.cookie), key, ("origin", own)];
    assert_eq!(
        server.ask("GET", "/v1/whoami", &wrong, "").problem().0,
        401,
        "a wrong token is not made good"
    );
    // A sign-in opens no other one.
    assert_eq!(browser.ask("POST", "/v1/session", "").problem().0, 401);
    assert_eq!(browser.ask("GET", "/v1/whoami", "").status, 200);
}

#[test]
fn a_page_of_others_signs_nobody_in() {
    let server = Server::start(FILES);
    let bearer = format!("Bearer {}", server.token);
    let headers = [("authorization", bearer.as_str()), ("origin", "https://app.example")];
    let reply = server.ask("POST", "/v1/session", &headers, "");
    assert_eq!(reply.problem(), (403, "forbidden_origin".to_owned()));
    assert_eq!(reply.header("set-cookie"), "");
}

#[test]
fn a_revoked_token_ends_its_sign_ins_and_their_streams_at_once() {
    let server = Server::start(FILES);
    let token = server.user("agent:reader", &["read,list /docs/**"]).token;
    let browser = Browser::sign_in(&server, &token);
    assert_eq!(browser.ask("GET", "/v1/whoami", "").status, 200);
    let id = token.split('_').nth(1).unwrap().to_owned();
    let mut stream = browser.events();
    assert_eq!(server.ask("DELETE", &format!("/v1/tokens/{id}"), &[], "").status, 204);
    assert_eq!(browser.ask("GET", "/v1/whoami", "").problem().0, 401);
    ends(&mut stream);
}

#[test]
fn signing_out_ends_the_streams_of_other_windows() {
    let server = Server::start(FILES);
    let browser = Browser::sign_in(&server, &server.token);
    let mut stream = browser.events();
    assert_eq!(browser.ask("DELETE", "/v1/session", "").status, 204);
    assert_eq!(browser.ask("GET", "/v1/whoami", "").problem().0, 401);
    ends(&mut stream);
}

/// Reads to the end, which has to come in time.
fn ends(stream: &mut TcpStream) {
    let mut rest = Vec::new();
    stream.read_to_end(&mut rest).expect("the stream ends before its reader's patience");
}

#[test]
fn under_tls_the_cookie_is_secure_and_of_this_host_alone() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/server/tls");
    let files = TlsFiles { cert: folder.join("cert.pem"), key: folder.join("key.pem") };
    let pem = std::fs::read(folder.join("ca.pem")).unwrap();
    let server = Server::start_edge(Edge { tls: Some(files), ..Edge::default() });
    let roots = RootCerts::Specific(std::sync::Arc::new(vec![Certificate::from_pem(&pem).unwrap()]));
    let agent = ureq::Agent::config_builder()
        .tls_config(TlsConfig::builder().root_certs(roots).build())
        .timeout_global(Some(PATIENCE))
        .proxy(None)
        .build()
        .new_agent();
    let url = format!("https://localhost:{}/v1/session", server.address.port());
    let bearer = format!("Bearer {}", server.token);
    let reply = agent.post(&url).header("authorization", bearer).send_empty().unwrap();
    let cookie = reply.headers().get("set-cookie").unwrap().to_str().unwrap().to_owned();
    assert!(cookie.starts_with("__Host-waypost-") && cookie.contains("; Secure"), "{cookie}");
}

#[test]
fn the_index_tells_of_each_file_what_may_be_seen() {
    let server = Server::start_with(|docs| {
        std::fs::create_dir(docs.join("secret")).unwrap();
        std::fs::write(docs.join("a.md"), "plain words").unwrap();
        std::fs::write(docs.join("b.bin"), [0u8, 159, 146, 150]).unwrap();
        std::fs::write(docs.join("secret/c.md"), "hidden words").unwrap();
    });
    let told = |path: &str| {
        let items = server.get(path).json()["items"].as_array().unwrap().clone();
        let line = |item: &serde_json::Value| {
            format!("{} {}", item["path"].as_str().unwrap(), item["state"].as_str().unwrap())
        };
        items.iter().map(line).collect::<Vec<_>>()
    };
    assert_eq!(
        told("/v1/index/docs"),
        ["/docs/a.md indexed", "/docs/b.bin skipped", "/docs/secret/c.md indexed"]
    );
    assert_eq!(told("/v1/index/docs?state=skipped"), ["/docs/b.bin skipped"]);
    assert_eq!(told("/v1/index/docs/secret"), ["/docs/secret/c.md indexed"]);
    assert_eq!(told("/v1/index/docs/a.md"), ["/docs/a.md indexed"]);
    let reason = &server.get("/v1/index/docs/b.bin").json()["items"][0];
    assert!(reason["code"].is_string() && reason["reason"].is_string(), "{reason}");
    let token = server.user("agent:reader", &["read,list /docs/a.md"]).token;
    let bearer = format!("Bearer {token}");
    let as_reader = |path: &str| server.ask("GET", path, &[("authorization", &bearer)], "");
    assert_eq!(as_reader("/v1/index/docs").json()["items"].as_array().unwrap().len(), 1);
    let (hidden, absent) = (as_reader("/v1/index/docs/secret/c.md"), as_reader("/v1/index/docs/secret/x.md"));
    assert_eq!((hidden.status, absent.status), (404, 404));
    assert_eq!(as_reader("/v1/index/docs/secret").status, 404);
    assert_eq!(as_reader("/v1/index/nothing").status, 404);
}

#[test]
fn the_audit_log_can_be_read_from_its_end() {
    let server = Server::start(FILES);
    for _ in 0..5 {
        server.get("/v1/files/docs/a.md");
    }
    let page = |query: &str| {
        let reply = server.get(&format!("/v1/audit?action=file.read&{query}")).json();
        let numbers = reply["items"].as_array().unwrap().iter().map(|row| row["number"].as_u64().unwrap());
        (numbers.collect::<Vec<_>>(), reply["next_cursor"].as_str().unwrap_or_default().to_owned())
    };
    let (oldest, _) = page("");
    assert!(oldest.len() >= 5 && oldest.is_sorted());
    let (first, cursor) = page("order=newest&limit=3");
    let (second, _) = page(&format!("order=newest&limit=100&cursor={cursor}"));
    let mut both = [first, second].concat();
    both.reverse();
    assert_eq!(both, oldest);
}
