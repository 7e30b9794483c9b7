use std::io::Read;
use std::net::TcpStream;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::mcp::Client;
use crate::support::{PATIENCE, Server};
use crate::users::{User, eventually, text};

const FILES: &str = "\
//- a.md
The heron is grey.
//- own/b.md
The stork is white.
";

#[test]
fn a_token_is_shown_once() {
    let server = Server::start(FILES);
    let admin = server.admin();
    let agent = server.user("agent:a", &["read /docs/**"]);
    let issued = admin.issue(json!({"principal": "agent:a", "name": "for the nightly run"}));
    let (id, token) = (text(&issued, "id"), text(&issued, "token"));
    assert!(token.starts_with(&format!("wp_{id}_")), "{issued}");
    agent.with_token(token).read("/docs/a.md").is(200);
    let secret = token.rsplit('_').next().unwrap();
    let listed = admin.get("/v1/tokens").is(200).text();
    assert!(
        listed.contains(id) && listed.contains("for the nightly run") && !listed.contains(secret),
        "{listed}"
    );
    admin.post("/v1/tokens", &json!({"principal": "agent:none"})).refuses(404, "not_found");

    let own = agent.items("/v1/tokens");
    assert_eq!(own.len(), 2, "one's own: {own:?}");
    assert!(own.iter().all(|token| token["principal"] == "agent:a"));
    let admins = text(&admin.items("/v1/tokens").pop().unwrap(), "id").to_owned();
    let others = agent.delete(&format!("/v1/tokens/{admins}"));
    let absent = agent.delete("/v1/tokens/00000000");
    assert_eq!(others.is(404).text().replace(&admins, "00000000"), absent.text());
    agent.delete(&format!("/v1/tokens/{id}")).is(204);
    agent.with_token(token).read("/docs/a.md").refuses(401, "unauthorized");
}

#[test]
fn a_token_only_narrows_what_its_principal_may() {
    let server = Server::start(FILES);
    let admin = server.admin();
    let agent = server.user("agent:a", &["list,read,write /docs/**"]);
    let narrowed = |limits: Value| {
        let mut request = json!({"principal": "agent:a"});
        request.as_object_mut().unwrap().extend(limits.as_object().unwrap().clone());
        agent.with_token(text(&admin.issue(request), "token"))
    };
    let check = |user: &User<'_>, read: (u16, u16), write: (u16, u16)| {
        let statuses = |method: &str| {
            ["a.md", "own/b.md"]
                .map(|path| user.ask(method, &format!("/v1/files/docs/{path}"), &[], "same").status)
        };
        assert_eq!((statuses("GET"), statuses("PUT")), ([read.0, read.1], [write.0, write.1]));
    };
    let reader = narrowed(json!({"paths": ["/docs/own/**"]}));
    assert_eq!(reader.found(json!({"query": "heron stork"})), ["/docs/own/b.md"]);
    check(&narrowed(json!({})), (200, 200), (200, 200));
    check(&narrowed(json!({"verbs": ["read"]})), (200, 200), (403, 403));
    check(&narrowed(json!({"paths": ["/docs/own/**"]})), (404, 200), (404, 200));
    check(&narrowed(json!({"verbs": ["read"], "paths": ["/docs/own/**"]})), (404, 200), (404, 403));
    check(&narrowed(json!({"paths": ["/elsewhere/**"]})), (404, 404), (404, 404));
    // A token can't give what its principal has not.
    check(&narrowed(json!({"verbs": ["read", "admin"], "paths": ["/**"]})), (200, 200), (403, 403));

    let request = json!({"principal": "human:admin", "paths": ["/docs/own/**"]});
    let small_admin = admin.with_token(text(&admin.issue(request), "token"));
    check(&small_admin, (404, 200), (404, 200));
    small_admin.post("/v1/tokens", &json!({"principal": "human:admin"})).refuses(403, "forbidden");
    small_admin.get("/v1/audit").refuses(403, "forbidden");
    for bad in [json!({"paths": ["own/**"]}), json!({"verbs": ["fly"]}), json!({"expires_at": "soon"})] {
        let mut request = json!({"principal": "agent:a"});
        request.as_object_mut().unwrap().extend(bad.as_object().unwrap().clone());
        assert_eq!(admin.post("/v1/tokens", &request).problem().0, 400, "{request}");
    }
}

#[test]
fn a_token_runs_out() {
    let server = Server::start(FILES);
    let admin = server.admin();
    let agent = server.user("agent:a", &["read /docs/**"]);
    let until = |end: Value| agent.with_token(text(&admin.issue(end), "token"));
    let past = json!({"principal": "agent:a", "expires_at": "2020-01-01T00:00:00Z"});
    admin.post("/v1/tokens", &past).refuses(400, "invalid_request");
    let far = until(json!({"principal": "agent:a", "expires_at": "2999-01-01"}));
    far.read("/docs/a.md").is(200);
    let short = until(json!({"principal": "agent:a", "expires_in_seconds": 1}));
    eventually("the token runs out", || (short.read("/docs/a.md").status == 401).then_some(()));
    assert!(short.read("/docs/a.md").text().contains("has run out"));
    let both = json!({"principal": "agent:a", "expires_at": "2999-01-01", "expires_in_seconds": 1});
    admin.post("/v1/tokens", &both).refuses(400, "invalid_request");
}

#[test]
fn attack_9_a_revoked_token_ends_at_once_and_so_do_its_streams() {
    let server = Server::start(FILES);
    let admin = server.admin();
    let agent = server.user("agent:a", &["list,read /docs/**"]);
    let issued = admin.issue(json!({"principal": "agent:a"}));
    let token = text(&issued, "token");
    let client = Client::legacy(&server, "", token);
    let mut stream = TcpStream::connect(server.address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let request = format!(
        "GET /mcp HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer {token}\r\nMcp-Session-Id: {}\r\n\
         Accept: text/event-stream\r\nConnection: close\r\n\r\n",
        server.address,
        client.session()
    );
    std::io::Write::write_all(&mut stream, request.as_bytes()).unwrap();
    let mut first = [0u8; 12];
    stream.read_exact(&mut first).unwrap();
    assert_eq!(&first, b"HTTP/1.1 200", "the stream is open");

    admin.delete(&format!("/v1/tokens/{}", text(&issued, "id"))).is(204);
    let begun = Instant::now();
    let revoked = agent.with_token(token);
    revoked.read("/docs/a.md").refuses(401, "unauthorized");
    revoked.post("/v1/search", &json!({"query": "heron"})).refuses(401, "unauthorized");
    let call = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/list"});
    assert_eq!(client.send(&call, &[]).problem(), (401, "unauthorized".to_owned()));
    agent.read("/docs/a.md").is(200);
    let mut rest = Vec::new();
    stream.read_to_end(&mut rest).unwrap();
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());

    // Who goes takes the tokens along, also the one that was used a moment ago.
    admin.delete("/v1/principals/agent:a").is(204);
    agent.read("/docs/a.md").refuses(401, "unauthorized");
}

#[test]
fn a_principal_that_goes_takes_its_tokens_and_grants_with_it() {
    let server = Server::start(FILES);
    let admin = server.admin();
    let agent = server.user("agent:a", &["read /docs/**"]);
    agent.read("/docs/a.md").is(200);
    admin.delete("/v1/principals/agent:a").is(204);
    agent.read("/docs/a.md").refuses(401, "unauthorized");
    assert_eq!(admin.items("/v1/grants"), Vec::<Value>::new());
    let again = server.user("agent:a", &[]);
    again.read("/docs/a.md").refuses(404, "not_found");
    agent.read("/docs/a.md").refuses(401, "unauthorized");
}
