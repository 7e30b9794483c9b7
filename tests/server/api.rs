use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};
use ureq::tls::{Certificate, RootCerts, TlsConfig};
use waypost::limits::Rate;
use waypost::serve::Edge;
use waypost::tls::TlsFiles;

use crate::outage::Process;
use crate::support::{PATIENCE, Reply, Server, status};

const FILES: &str = "//- a.md\nfine\n";

fn open(server: &Server, path: &str) -> Reply {
    server.ask("GET", path, &[("authorization", "")], "")
}

#[test]
fn the_document_is_openapi_and_needs_no_token() {
    let server = Server::start(FILES);
    let reply = open(&server, "/openapi.json");
    assert_eq!((reply.status, reply.header("content-type")), (200, "application/json"));
    let document = reply.json();
    assert_eq!(document["openapi"], "3.1.0");
    assert_eq!(document["components"]["securitySchemes"]["bearer"]["scheme"], "bearer");
    assert_eq!(document["paths"]["/v1/search"]["post"]["operationId"], "answers.search");
    for (path, methods) in document["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            for code in ["200", "201"] {
                let reply = &operation["responses"][code];
                assert!(
                    reply.is_null() || reply["content"].is_object(),
                    "{method} {path}: {code} holds nothing"
                );
            }
        }
    }
    let cache = std::env::var_os("XDG_CACHE_HOME").map(std::path::PathBuf::from);
    let cache = cache.or_else(|| std::env::var_os("HOME").map(|home| Path::new(&home).join(".cache")));
    let tools = std::env::var_os("WAYPOST_TEST_TOOLS").map(std::path::PathBuf::from);
    let tools = tools.or_else(|| cache.map(|cache| cache.join("waypost/test-tools")));
    let validator = tools.unwrap_or_default().join("venv/bin/openapi-spec-validator");
    if !validator.exists() {
        println!("skipped: no openapi-spec-validator here; `tests/fetch-peers` fetches it");
        return;
    }
    let file = server.folder.path().join("openapi.json");
    std::fs::write(&file, &reply.body).unwrap();
    let checked = Command::new(validator).args(["--schema", "3.1"]).arg(&file).output().unwrap();
    assert!(checked.status.success(), "{}", String::from_utf8_lossy(&checked.stdout));
}

#[test]
fn the_docs_page_brings_everything_it_needs_and_runs_nothing_foreign() {
    let server = Server::start(FILES);
    for (path, kind) in [
        ("/docs", "text/html"),
        ("/docs/", "text/html"),
        ("/docs/docs.js", "text/javascript"),
        ("/docs/docs.css", "text/css"),
    ] {
        let reply = open(&server, path);
        assert_eq!(reply.status, 200);
        assert!(reply.header("content-type").starts_with(kind), "{path}");
        let policy = reply.header("content-security-policy");
        assert!(policy.contains("default-src 'none'") && !policy.contains("unsafe"), "{policy}");
        let text = reply.text();
        for foreign in ["http://", "https://", "innerHTML", "onclick=", "<style", "style=\""] {
            assert!(!text.contains(foreign), "{path} has `{foreign}`");
        }
    }
}

#[test]
fn a_repeated_request_with_its_key_acts_once() {
    let server = Server::start(FILES);
    let keyed = |key: &str, path: &str, body: &str| {
        server.ask("POST", path, &[("idempotency-key", key), ("content-type", "application/json")], body)
    };
    let body = json!({"workspace": "docs", "title": "Write"}).to_string();
    let first = keyed("k-1", "/v1/tasks", &body);
    let again = keyed("k-1", "/v1/tasks", &body);
    assert_eq!((first.status, again.status), (201, 201), "{}", first.text());
    assert_eq!(first.body, again.body);
    assert_eq!((first.header("idempotency-replayed"), again.header("idempotency-replayed")), ("", "true"));
    assert_eq!(again.header("content-type"), "application/json");
    assert_eq!(server.get("/v1/tasks").json()["items"].as_array().unwrap().len(), 1);

    let other = json!({"workspace": "docs", "title": "Read"}).to_string();
    assert_eq!(keyed("k-1", "/v1/tasks", &other).problem(), (422, "idempotency_mismatch".to_owned()));
    assert_eq!(keyed("k-1", "/v1/folders", &body).problem().1, "idempotency_mismatch");
    // A refusal leaves the key free.
    assert_eq!(keyed("k-2", "/v1/tasks", "{}").status, 400);
    assert_eq!(keyed("k-2", "/v1/tasks", &other).status, 201);
    assert_eq!(keyed("a key", "/v1/tasks", &other).problem(), (400, "invalid_idempotency_key".to_owned()));
    // What only asks is asked again.
    let question = json!({"query": "fine"}).to_string();
    keyed("k-3", "/v1/search", &question);
    assert_eq!(keyed("k-3", "/v1/search", &question).header("idempotency-replayed"), "");
}

#[test]
fn keys_are_those_of_a_principal_and_secrets_are_kept_nowhere() {
    let server = Server::start(FILES);
    let user = server.user("agent:writer", &["list,read,write /docs/**"]);
    let key = [("idempotency-key", "same")];
    let put = |text: &str| server.ask("PUT", "/v1/files/docs/b.md", &key, text);
    assert_eq!(put("one").status, 201);
    let again = put("one");
    assert_eq!((again.status, again.header("idempotency-replayed")), (201, "true"));
    assert!(again.header("etag").starts_with('"'));
    // Another principal has keys of its own; another token of the same one may have narrower rights.
    assert_eq!(user.ask("PUT", "/v1/files/docs/c.md", &key, "one").status, 201);
    let narrow = server.admin().issue(json!({"principal": "agent:writer", "verbs": ["read"]}));
    let narrow = user.with_token(narrow["token"].as_str().unwrap());
    let refused = narrow.ask("PUT", "/v1/files/docs/c.md", &key, "one");
    assert_eq!(refused.problem(), (422, "idempotency_mismatch".to_owned()));

    let issue = || {
        let headers = [("idempotency-key", "token"), ("content-type", "application/json")];
        server.ask("POST", "/v1/tokens", &headers, &json!({"principal": "agent:writer"}).to_string())
    };
    let secret = issue().json()["token"].as_str().unwrap().to_owned();
    assert_eq!(issue().problem(), (409, "idempotency_not_kept".to_owned()));
    let catalog = server.folder.path().join("home/.waypost");
    for file in std::fs::read_dir(catalog).unwrap().flatten().filter(|file| file.path().is_file()) {
        let bytes = std::fs::read(file.path()).unwrap();
        let found = bytes.windows(secret.len()).any(|window| window == secret.as_bytes());
        assert!(!found, "{} holds the secret", file.path().display());
    }
}

#[test]
fn a_key_is_remembered_by_a_server_that_was_killed() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(folder.path().join("workspaces/docs")).unwrap();
    let agent = ureq::Agent::config_builder().timeout_global(Some(PATIENCE)).proxy(None).build().new_agent();
    let ask = |process: &Process, token: &str| {
        let request = ureq::http::Request::post(format!("{}/v1/tasks", process.url))
            .header("authorization", format!("Bearer {token}"))
            .header("idempotency-key", "once")
            .header("content-type", "application/json")
            .body(json!({"workspace": "docs", "title": "Write"}).to_string())
            .unwrap();
        let mut response = agent.run(request).unwrap();
        let is_replayed = response.headers().contains_key("idempotency-replayed");
        (response.body_mut().read_to_string().unwrap(), is_replayed)
    };
    let process = Process::start(folder.path(), "127.0.0.1:0");
    let token = process.token.clone().unwrap();
    let (first, is_replayed) = ask(&process, &token);
    assert!(!is_replayed);
    // Dropped is killed.
    drop(process);
    let process = Process::start(folder.path(), "127.0.0.1:0");
    assert_eq!(ask(&process, &token), (first, true));
}

#[test]
fn of_two_requests_with_one_key_at_once_one_acts() {
    let server = Server::start(FILES);
    let (host, token) = (server.address, &server.token);
    let mut slow = TcpStream::connect(host).unwrap();
    slow.set_read_timeout(Some(PATIENCE)).unwrap();
    let head = format!(
        "PUT /v1/files/docs/slow.md HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {token}\r\n\
         Idempotency-Key: slow\r\nExpect: 100-continue\r\nContent-Length: 10\r\nConnection: close\r\n\r\n"
    );
    slow.write_all(head.as_bytes()).unwrap();
    // The server asks for the body only when it has taken the key.
    let mut go_on = [0; 25];
    slow.read_exact(&mut go_on).unwrap();
    assert_eq!(&go_on, b"HTTP/1.1 100 Continue\r\n\r\n");
    let reply = server.ask("PUT", "/v1/files/docs/quick.md", &[("idempotency-key", "slow")], "now");
    assert_eq!(reply.problem(), (409, "idempotency_in_progress".to_owned()), "{}", reply.text());
    assert_eq!(reply.header("retry-after"), "1");
    slow.write_all(b"first-then").unwrap();
    let mut answer = String::new();
    slow.read_to_string(&mut answer).unwrap();
    assert_eq!(status(&answer), 201, "{answer}");
    assert_eq!(server.ask("GET", "/v1/files/docs/quick.md", &[], "").status, 404);
}

#[test]
fn a_name_that_is_no_text_is_refused_as_everything_is() {
    let server = Server::start(FILES);
    let document = open(&server, "/openapi.json").json();
    let (host, token) = (server.address, &server.token);
    let mut n_asked = 0;
    for (path, operations) in document["paths"].as_object().unwrap() {
        let Some((before, rest)) = path.split_once('{') else { continue };
        let after = rest.split_once('}').unwrap().1.replace(['{', '}'], "");
        for method in operations.as_object().unwrap().keys().filter(|name| *name != "parameters") {
            let method = method.to_uppercase();
            let answer = server.raw(&format!(
                "{method} {before}%ff{after} HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {token}\r\n\
                 Connection: close\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{{}}"
            ));
            assert_eq!(status(&answer), 400, "{method} {path}: {answer}");
            assert!(answer.contains("application/problem+json"), "{method} {path}: {answer}");
            n_asked += 1;
        }
    }
    assert!(n_asked > 50, "{n_asked}");
}

#[test]
fn large_texts_are_compressed_and_files_and_streams_are_not() {
    let server = Server::start(FILES);
    let zip = [("accept-encoding", "gzip")];
    let raw = |path: &str| server.raw_get(path, "Accept-Encoding: gzip\r\n").to_lowercase();
    assert!(raw("/openapi.json").contains("\r\ncontent-encoding: gzip"));
    assert!(!raw("/healthz").contains("content-encoding"));
    let text = "line\n".repeat(1000);
    assert_eq!(server.ask("PUT", "/v1/files/docs/long.md", &[], &text).status, 201);
    let file = server.ask("GET", "/v1/files/docs/long.md", &zip, "");
    assert_eq!((file.header("content-encoding"), file.body.len()), ("", text.len()));
    let plain = server.raw_get("/openapi.json", "").to_lowercase();
    assert!(!plain.contains("content-encoding"));
    // A strong tag stands for exactly these bytes.
    assert!(plain.contains("\r\netag: \"") && raw("/openapi.json").contains("\r\netag: w/\""));
}

#[test]
fn pages_of_others_may_read_only_where_the_operator_allows_them() {
    let server = Server::start(FILES);
    let preflight = |origin: &str| {
        let headers = [
            ("authorization", ""),
            ("origin", origin),
            ("access-control-request-method", "PUT"),
            ("access-control-request-headers", "authorization, if-match"),
        ];
        server.ask("OPTIONS", "/v1/files/docs/a.md", &headers, "")
    };
    let allowed = preflight("https://app.example");
    assert_eq!((allowed.status, allowed.header("access-control-allow-origin")), (204, "https://app.example"));
    assert!(allowed.header("access-control-allow-methods").contains("PUT"));
    assert!(allowed.header("access-control-allow-headers").contains("authorization"));
    assert_eq!(allowed.header("access-control-allow-credentials"), "");
    let refused = preflight("https://evil.example");
    assert_eq!((refused.status, refused.header("access-control-allow-origin")), (403, ""));
    let read = server.ask("GET", "/v1/files/docs/a.md", &[("origin", "https://app.example")], "");
    assert_eq!(read.header("access-control-allow-origin"), "https://app.example");
    assert!(read.header("access-control-expose-headers").contains("etag"));
    assert_eq!(server.get("/v1/files/docs/a.md").header("access-control-allow-origin"), "");
}

#[test]
fn a_token_that_asks_too_often_waits() {
    let server = Server::start_edge(Edge { rate: Rate { per_second: 1, burst: 5 }, ..Edge::default() });
    let replies: Vec<Reply> = (0..12).map(|_| server.get("/v1/whoami")).collect();
    let refused = replies.iter().find(|reply| reply.status == 429).expect("one is refused");
    assert_eq!(refused.problem().1, "rate_limited");
    let wait: u64 = refused.header("retry-after").parse().unwrap();
    assert!((1..=2).contains(&wait));
    assert_eq!(open(&server, "/healthz").status, 200, "what needs no token has no bucket");
}

#[test]
fn with_a_certificate_the_server_speaks_tls_alone() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/server/tls");
    let files = TlsFiles { cert: folder.join("cert.pem"), key: folder.join("key.pem") };
    let pem = std::fs::read(folder.join("ca.pem")).unwrap();
    let server = Server::start_edge(Edge { tls: Some(files.clone()), ..Edge::default() });
    let root = Certificate::from_pem(&pem).unwrap();
    let roots = RootCerts::Specific(std::sync::Arc::new(vec![root]));
    let agent = ureq::Agent::config_builder()
        .tls_config(TlsConfig::builder().root_certs(roots).build())
        .timeout_global(Some(PATIENCE))
        .proxy(None)
        .build()
        .new_agent();
    let url = format!("https://localhost:{}/healthz", server.address.port());
    let reply = agent.get(&url).call().unwrap().body_mut().read_to_string().unwrap();
    assert_eq!(serde_json::from_str::<Value>(&reply).unwrap(), json!({"status": "ok"}));
    let plain = server.raw("GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n");
    assert!(!plain.contains("HTTP/1.1"), "{plain:?}");
    let swapped = TlsFiles { cert: files.key, key: files.cert };
    assert!(waypost::tls::acceptor(&swapped).is_err());
}

#[test]
fn metadata_stands_there_only_where_somebody_issues_tokens() {
    let issuer = "https://login.example";
    let server =
        Server::start_edge(Edge { authorization_server: Some(issuer.to_owned()), ..Edge::default() });
    let place = "/.well-known/oauth-protected-resource";
    for (asked, resource) in [("/v1/whoami", ""), ("/mcp", "/mcp")] {
        let metadata = open(&server, &format!("{place}{resource}")).json();
        assert_eq!(metadata["authorization_servers"], json!([issuer]));
        assert_eq!(metadata["resource"], format!("http://{}{resource}", server.address));
        // Whoever is refused is led to the metadata of what it asked.
        let challenge = format!("Bearer resource_metadata=\"http://{}{place}{resource}\"", server.address);
        assert_eq!(open(&server, asked).header("www-authenticate"), challenge);
    }
    let plain = Server::start(FILES);
    assert_eq!(open(&plain, "/.well-known/oauth-protected-resource").status, 404);
    assert_eq!(open(&plain, "/v1/whoami").header("www-authenticate"), "Bearer");
}

#[test]
fn deep_json_is_refused_and_head_answers_as_get_does() {
    let server = Server::start(FILES);
    let deep = format!("{{\"query\": {}1{}}}", "[".repeat(100_000), "]".repeat(100_000));
    let reply = server.ask("POST", "/v1/search", &[("content-type", "application/json")], &deep);
    assert_eq!(reply.status, 400);
    let deep_data = format!("{{\"workspace\": \"docs\", \"data\": {}1{}}}", "[".repeat(200), "]".repeat(200));
    let reply = server.ask("POST", "/v1/topics/t", &[("content-type", "application/json")], &deep_data);
    assert_eq!(reply.problem(), (400, "invalid_json".to_owned()));
    for path in ["/v1/list/docs", "/v1/workspaces", "/openapi.json", "/v1/files/docs/a.md"] {
        let (get, head) = (server.get(path), server.ask("HEAD", path, &[], ""));
        assert_eq!((head.status, head.header("content-type")), (get.status, get.header("content-type")));
        assert!(head.body.is_empty());
    }
    let host = server.address;
    let answer = server.raw(&format!("GET /v1/whoami HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"));
    assert_eq!(status(&answer), 401);
}

#[test]
fn who_asks_again_for_what_has_not_changed_is_told_so() {
    let server = Server::start(FILES);
    for path in ["/v1/workspaces", "/v1/list/docs", "/v1/approvals", "/v1/audit?limit=1"] {
        let first = server.get(path);
        let tag = first.header("etag").to_owned();
        assert!(first.status == 200 && tag.starts_with("W/\""), "{path}: {tag}");
        let again = server.ask("GET", path, &[("if-none-match", &format!("\"other\", {tag}"))], "");
        assert_eq!((again.status, again.body.len(), again.header("etag")), (304, 0, tag.as_str()), "{path}");
        assert_eq!(server.ask("GET", path, &[("if-none-match", "\"other\"")], "").status, 200, "{path}");
    }
    let before = server.get("/v1/list/docs").header("etag").to_owned();
    assert_eq!(server.ask("PUT", "/v1/files/docs/new.md", &[], "new").status, 201);
    let after = server.ask("GET", "/v1/list/docs", &[("if-none-match", &before)], "");
    assert_eq!(after.status, 200);
    assert_ne!(after.header("etag"), before);
    assert_eq!(server.get("/v1/list/docs/nowhere").header("etag"), "");
}
