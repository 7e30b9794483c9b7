use std::io::Write;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use waypost_engine::api::{ImportRequest, Lookup, Reach, Stop, WriteOptions};

use crate::mcp::Client;
use crate::site::{Asked, Site, ok, redirect, status};
use crate::support::{Reply, Server};
use crate::users::{User, text};

/// Reaches 127.0.0.1 and nothing else that is private.
fn server() -> Server {
    Server::start_quick("//- a.md\nAlpha.\n")
}

/// With names of the test's own, and these entries of `net.allow`.
fn server_with_names(
    allow: &[&str],
    names: impl Fn(&str) -> Option<&'static str> + Send + Sync + 'static,
) -> Server {
    let lookup: Lookup = Arc::new(move |host, port| match names(host) {
        Some(ip) => Ok(vec![SocketAddr::new(ip.parse().unwrap(), port)]),
        None => Err(std::io::Error::other("the test knows no such name")),
    });
    let allow: Vec<String> = allow.iter().map(|entry| (*entry).to_owned()).collect();
    Server::start_as(
        |docs| std::fs::write(docs.join("a.md"), "Alpha.").unwrap(),
        |options| options.reach(Reach::new(&allow).unwrap()).lookup(lookup),
    )
}

fn import(user: &User<'_>, url: &str, path: &str, more: Value) -> Reply {
    let mut body = json!({"url": url, "path": path});
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    user.post("/v1/import", &body)
}

#[track_caller]
fn is_absent(server: &Server, path: &str) {
    assert_eq!(server.get(&format!("/v1/files{path}")).status, 404, "{path} was made");
}

const PAGE: &str = "# Handbook\n\nInvoices are kept for ten years.\n";

#[test]
fn a_url_becomes_a_file_that_says_where_it_came_from() {
    let site =
        Site::start(|_, stream| stream.write_all(ok("text/markdown", "etag: \"v1\"\r\n", PAGE).as_bytes()));
    let server = server();
    let url = site.url("/handbook.md?lang=en");
    let made = import(&server.admin(), &url, "/docs/in/handbook.md", json!({})).is(201);
    let body = made.json();
    assert_eq!(body["path"], "/docs/in/handbook.md");
    assert_eq!(body["status"], "created");
    assert_eq!(body["mime_type"], "text/markdown");
    assert_eq!(body["size"], PAGE.len());
    assert_eq!(body["url"], url);
    assert_eq!(made.header("etag"), format!("\"{}\"", text(&body, "version")));
    assert!(body["seq"].is_string() && text(&body, "fetched_at").ends_with('Z'), "{body}");
    assert_eq!(server.get("/v1/files/docs/in/handbook.md").text(), PAGE);
    let info = server.get("/v1/info/docs/in/handbook.md").json();
    assert_eq!((&info["source_url"], &info["source_etag"]), (&json!(url), &json!("\"v1\"")));
    assert_eq!(info["fetched_at"], body["fetched_at"]);

    let found = server.post("/v1/search", &json!({"query": "invoices", "wait_for_seq": body["seq"]})).json();
    let citation = found["results"][0]["citation"].clone();
    assert_eq!(
        (&citation["source_url"], &citation["fetched_at"]),
        (&json!(url), &body["fetched_at"]),
        "{found}"
    );
    let asked = server.post("/v1/ask", &json!({"question": "Are invoices kept for ten years?"})).json();
    assert_eq!(asked["citations"][0]["source_url"], url, "{asked}");

    // A citation that claims another source is told the known one.
    let mut forged = citation.clone();
    forged["source_url"] = json!("https://elsewhere.example/");
    let verified = server.post("/v1/citations/verify", &json!({"citations": [forged]})).json();
    let verified = verified["results"].get(0).or(verified["items"].get(0)).unwrap_or(&verified[0]).clone();
    assert_eq!(
        (&verified["valid"], &verified["citation"]["source_url"]),
        (&json!(true), &json!(url)),
        "{verified}"
    );

    // Other bytes under the same path came from nowhere.
    server.admin().put("/docs/in/handbook.md", "# Mine\n\nInvoices are shredded.").is(200);
    let info = server.get("/v1/info/docs/in/handbook.md").json();
    assert!(info["source_url"].is_null() && info["fetched_at"].is_null(), "{info}");
}

#[test]
fn a_source_moves_with_its_file_and_not_with_a_copy() {
    let site = Site::pages(&[("/a.md", "text/markdown", PAGE)]);
    let server = server();
    let admin = server.admin();
    admin.post("/v1/workspaces", &json!({"name": "other"})).is(201);
    import(&admin, &site.url("/a.md"), "/docs/one.md", json!({})).is(201);
    let source = |path: &str| server.get(&format!("/v1/info{path}")).is(200).json()["source_url"].clone();
    admin.carry("copy", "/docs/one.md", "/docs/copy.md").is(200);
    assert_eq!(source("/docs/copy.md"), Value::Null);
    admin.carry("move", "/docs/one.md", "/docs/two.md").is(200);
    assert_eq!(source("/docs/two.md"), site.url("/a.md"));
    admin.carry("move", "/docs/two.md", "/other/three.md").is(200);
    assert_eq!(source("/other/three.md"), site.url("/a.md"));
    // Nothing is left behind at the old path.
    admin.put("/docs/two.md", PAGE).is(201);
    assert_eq!(source("/docs/two.md"), Value::Null);
}

/// Answers by its tag: 304 for who has it already.
fn tagged(tag: &'static str, body: &'static str) -> impl Fn(&Asked) -> String {
    move |asked| match asked.header("if-none-match") {
        Some(known) if known == tag => {
            format!("HTTP/1.1 304 Same\r\netag: {tag}\r\nconnection: close\r\n\r\n")
        }
        _ => ok("text/plain", &format!("etag: {tag}\r\n"), body),
    }
}

#[test]
fn only_what_has_changed_is_fetched_again() {
    let version = Arc::new(AtomicUsize::new(1));
    let now = Arc::clone(&version);
    let site = Site::start(move |asked, stream| {
        let answer = match now.load(Ordering::Relaxed) {
            1 => tagged("\"one\"", "first")(asked),
            _ => tagged("\"two\"", "second")(asked),
        };
        stream.write_all(answer.as_bytes())
    });
    let server = server();
    let again = |more| import(&server.admin(), &site.url("/a.txt"), "/docs/a.txt", more);
    let made = again(json!({})).is(201).json();
    let same = again(json!({})).is(200).json();
    assert_eq!(site.seen()[1].header("if-none-match"), Some("\"one\""));
    assert_eq!(same["status"], "unchanged");
    for field in ["version", "seq", "size", "fetched_at", "mime_type", "path", "url"] {
        assert_eq!(same[field], made[field], "{field}");
    }
    let whole = again(json!({"refresh": false})).is(200).json();
    assert_eq!((site.seen()[2].header("if-none-match"), &whole["status"]), (None, &json!("unchanged")));
    version.store(2, Ordering::Relaxed);
    let newer = again(json!({})).is(200).json();
    assert_eq!(newer["status"], "updated");
    assert_eq!(server.get("/v1/files/docs/a.txt").text(), "second");
    // What stands there was written by somebody since: nothing is known of it.
    server.admin().put("/docs/a.txt", "mine").is(200);
    let back = again(json!({})).is(200).json();
    assert_eq!((site.seen()[4].header("if-none-match"), &back["status"]), (None, &json!("updated")));
    let events = server.get("/v1/versions/docs/a.txt").json();
    assert_eq!(events["items"].as_array().unwrap().len(), 4, "an unchanged file is no change: {events}");
}

#[test]
fn a_change_stands_on_the_version_that_was_given_and_nothing_is_fetched_where_it_does_not() {
    let site = Site::pages(&[("/a.md", "text/markdown", PAGE)]);
    let server = server();
    let admin = server.admin();
    let stale = "0".repeat(64);
    import(&admin, &site.url("/a.md"), "/docs/a.md", json!({"expected_version": stale}))
        .refuses(412, "version_conflict");
    let body = json!({"url": site.url("/a.md"), "path": "/docs/a.md"}).to_string();
    let headers = [("content-type", "application/json"), ("if-none-match", "*")];
    admin.ask("POST", "/v1/import", &headers, &body).refuses(412, "version_conflict");
    assert!(site.seen().is_empty(), "{:?}", site.seen());
    let current = server.get("/v1/info/docs/a.md").json()["version"].clone();
    import(&admin, &site.url("/a.md"), "/docs/a.md", json!({"expected_version": current})).is(200);
}

#[test]
fn a_body_that_breaks_off_is_gone_on_with() {
    let whole: &'static str = Box::leak("0123456789".repeat(20_000).into_boxed_str());
    let site = Site::start(move |asked, stream| {
        let tag = if asked.path.starts_with("/weak") { "W/\"t\"" } else { "\"t\"" };
        if let Some(range) = asked.header("range") {
            assert_eq!(asked.header("if-range"), Some("\"t\""));
            let from: usize = range.trim_start_matches("bytes=").trim_end_matches('-').parse().unwrap();
            let rest = &whole[from..];
            let (n_rest, n_whole, last) = (rest.len(), whole.len(), whole.len() - 1);
            let head = format!(
                "HTTP/1.1 206 Part\r\ncontent-type: text/plain\r\netag: {tag}\r\ncontent-range: bytes {from}-{last}/{n_whole}\r\ncontent-length: {n_rest}\r\nconnection: close\r\n\r\n"
            );
            stream.write_all(head.as_bytes())?;
            return stream.write_all(rest.as_bytes());
        }
        let answer = ok("text/plain", &format!("etag: {tag}\r\n"), whole);
        let n_sent = if asked.n_before == 0 { answer.len() / 2 } else { answer.len() };
        stream.write_all(&answer.as_bytes()[..n_sent])
    });
    let server = server();
    import(&server.admin(), &site.url("/strong.txt"), "/docs/strong.txt", json!({})).is(201);
    assert_eq!(server.get("/v1/files/docs/strong.txt").text(), whole);
    let range = site.seen()[1].header("range").unwrap().to_owned();
    assert!(range.starts_with("bytes=") && range != "bytes=0-", "{range}");
    // A weak tag names no bytes: all of it is asked for again.
    import(&server.admin(), &site.url("/weak.txt"), "/docs/weak.txt", json!({})).is(201);
    assert_eq!(server.get("/v1/files/docs/weak.txt").text(), whole);
    assert_eq!(site.seen()[3].header("range"), None);
}

#[test]
fn other_bytes_after_a_break_are_taken_whole() {
    let site = Site::start(|asked, stream| {
        let answer = match asked.n_before {
            0 => ok("text/plain", "etag: \"one\"\r\n", &"old ".repeat(10_000)),
            _ => ok("text/plain", "etag: \"two\"\r\n", "new"),
        };
        let n_sent = if asked.n_before == 0 { answer.len() / 2 } else { answer.len() };
        stream.write_all(&answer.as_bytes()[..n_sent])
    });
    let server = server();
    import(&server.admin(), &site.url("/a.txt"), "/docs/new.txt", json!({})).is(201);
    assert_eq!(server.get("/v1/files/docs/new.txt").text(), "new");
}

#[test]
fn a_host_that_always_breaks_off_fails() {
    let site = Site::start(|_, stream| {
        let answer = ok("text/plain", "etag: \"one\"\r\n", &"text ".repeat(10_000));
        stream.write_all(&answer.as_bytes()[..1000])
    });
    let server = server();
    import(&server.admin(), &site.url("/a.txt"), "/docs/new.txt", json!({})).refuses(424, "fetch_failed");
    assert_eq!(site.seen().len(), 4);
    is_absent(&server, "/docs/new.txt");
}

#[test]
fn row_22_an_endless_answer_is_stopped_by_size_and_a_slow_one_by_time() {
    let site = Site::start(|asked, stream| {
        let chunked = "HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ntransfer-encoding: chunked\r\nconnection: close\r\n\r\n";
        match asked.path.as_str() {
            "/announced" => stream.write_all(ok("text/plain", "", &"x".repeat(5000)).as_bytes()),
            "/endless" => {
                stream.write_all(chunked.as_bytes())?;
                loop {
                    stream.write_all(b"400\r\n")?;
                    stream.write_all(&[b'x'; 0x400])?;
                    stream.write_all(b"\r\n")?;
                }
            }
            _ => {
                stream.write_all(chunked.as_bytes())?;
                loop {
                    stream.write_all(b"1\r\nx\r\n")?;
                    std::thread::sleep(Duration::from_millis(50));
                }
            }
        }
    });
    let server = server();
    let admin = server.admin();
    for path in ["/announced", "/endless"] {
        import(&admin, &site.url(path), "/docs/big.txt", json!({"max_bytes": 4000}))
            .refuses(413, "too_large");
    }
    let begun = Instant::now();
    import(&admin, &site.url("/drip"), "/docs/big.txt", json!({"timeout_seconds": 1}))
        .refuses(424, "fetch_timeout");
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
    is_absent(&server, "/docs/big.txt");
    import(&admin, &site.url("/drip"), "/docs/big.txt", json!({"max_bytes": 1u64 << 40}))
        .refuses(400, "invalid_request");
}

#[test]
fn what_is_not_what_it_says_is_refused() {
    let html = "<!doctype html><title>Sign in</title>";
    let site = Site::start(move |asked, stream| {
        let kind = if asked.path == "/liar.pdf" { "application/pdf" } else { "text/html; charset=utf-8" };
        stream.write_all(ok(kind, "", html).as_bytes())
    });
    let server = server();
    let admin = server.admin();
    import(&admin, &site.url("/liar.pdf"), "/docs/a", json!({})).refuses(415, "unsupported_type");
    import(&admin, &site.url("/page"), "/docs/report.pdf", json!({})).refuses(415, "unsupported_type");
    import(&admin, &site.url("/page"), "/docs/a.html", json!({"accept": ["application/pdf"]}))
        .refuses(415, "unsupported_type");
    import(&admin, &site.url("/page"), "/docs/a.html", json!({"accept": ["text/*"]})).is(201);
    is_absent(&server, "/docs/report.pdf");
    let gone = Site::start(|asked, stream| {
        stream.write_all(status(asked.path.trim_start_matches('/').parse().unwrap()).as_bytes())
    });
    for code in ["404", "401", "500"] {
        import(&admin, &gone.url(&format!("/{code}")), "/docs/b", json!({})).refuses(424, "fetch_failed");
    }
}

#[test]
fn row_19_private_places_are_refused_before_any_connection() {
    // A server of the usual settings: nothing private is open.
    let server = Server::start("//- a.md\nAlpha.\n");
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let port = listener.local_addr().unwrap().port();
    let hosts = [
        "127.0.0.1",
        "localhost",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "[64:ff9b::7f00:1]",
        "2130706433",
        "0x7f000001",
        "0177.0.0.1",
        "127.1",
        "0.0.0.0",
        "10.0.0.1",
        "172.16.0.1",
        "192.168.1.1",
        "169.254.169.254",
        "100.64.0.1",
        "metadata.google.internal",
        "printer.local",
    ];
    for host in hosts {
        let url = format!("http://{host}:{port}/x");
        import(&server.admin(), &url, "/docs/x.md", json!({})).refuses(400, "address_refused");
        let recursive = json!({"recursive": {"depth": 1}});
        import(&server.admin(), &url, "/docs/x", recursive).refuses(400, "address_refused");
    }
    for url in
        ["file:///etc/passwd", "ftp://x.example/", "http://user:pw@x.example/", "gopher://x.example", "x", ""]
    {
        import(&server.admin(), url, "/docs/x.md", json!({})).refuses(400, "invalid_url");
    }
    assert!(listener.accept().is_err(), "nobody was dialled");
    is_absent(&server, "/docs/x.md");
}

#[test]
fn row_20_a_name_that_turns_inward_is_refused_at_each_request() {
    let site = Site::start(|asked, stream| {
        let answer = match asked.path.as_str() {
            "/again" => redirect("/page"),
            _ => ok("text/plain", "", "fine"),
        };
        stream.write_all(answer.as_bytes())
    });
    let n_asked = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&n_asked);
    // Open at first, and inward ever after.
    let server = server_with_names(&["127.0.0.1"], move |_| {
        Some(if counter.fetch_add(1, Ordering::Relaxed) == 0 { "127.0.0.1" } else { "127.0.0.2" })
    });
    let forbidden = TcpListener::bind(("127.0.0.2", site.address.port())).unwrap();
    forbidden.set_nonblocking(true).unwrap();
    let rebinding = |path: &str| site.named("pages.example", path);
    import(&server.admin(), &rebinding("/again"), "/docs/a.txt", json!({})).refuses(400, "address_refused");
    assert_eq!(site.paths(), ["/again"]);
    import(&server.admin(), &rebinding("/page"), "/docs/a.txt", json!({})).refuses(400, "address_refused");
    n_asked.store(0, Ordering::Relaxed);
    import(&server.admin(), &rebinding("/page"), "/docs/a.txt", json!({})).is(201);
    n_asked.store(0, Ordering::Relaxed);
    // Of a section each page is judged anew: here the file of rules was the one that was let in.
    import(&server.admin(), &rebinding("/page"), "/docs/all", json!({"recursive": {}}))
        .refuses(400, "address_refused");
    assert!(forbidden.accept().is_err(), "nobody was dialled");
}

#[test]
fn row_21_redirects_are_followed_outside_and_refused_inward() {
    let forbidden = TcpListener::bind("127.0.0.2:0").unwrap();
    forbidden.set_nonblocking(true).unwrap();
    let inward = forbidden.local_addr().unwrap();
    let site = Site::start(move |asked, stream| {
        let answer = match asked.path.as_str() {
            "/ok" => redirect("/to?x=1#y"),
            "/in" => redirect(&format!("http://{inward}/")),
            "/name" => redirect("http://localhost/"),
            "/file" => redirect("file:///etc/passwd"),
            "/5" => redirect("/4"),
            "/4" => redirect("/3"),
            "/3" => redirect("/2"),
            "/2" => redirect("/1"),
            "/1" => redirect("/to"),
            "/6" => redirect("/5"),
            _ => ok("text/plain", "", "arrived"),
        };
        stream.write_all(answer.as_bytes())
    });
    let server = server();
    let admin = server.admin();
    let made = import(&admin, &site.url("/ok"), "/docs/ok.txt", json!({})).is(201).json();
    assert_eq!(made["url"], site.url("/to?x=1"));
    assert_eq!(server.get("/v1/info/docs/ok.txt").json()["source_url"], site.url("/ok"));
    import(&admin, &site.url("/5"), "/docs/five.txt", json!({})).is(201);
    import(&admin, &site.url("/6"), "/docs/six.txt", json!({})).refuses(424, "fetch_failed");
    for path in ["/in", "/name"] {
        import(&admin, &site.url(path), "/docs/x.txt", json!({})).refuses(400, "address_refused");
    }
    import(&admin, &site.url("/file"), "/docs/x.txt", json!({})).refuses(400, "invalid_url");
    assert!(forbidden.accept().is_err(), "nobody was dialled");
    is_absent(&server, "/docs/x.txt");
}

#[test]
fn what_may_not_be_written_is_answered_as_absent_and_never_fetched() {
    let site = Site::pages(&[("/a.md", "text/markdown", PAGE)]);
    let server = server();
    let stranger = server.user("agent:stranger", &["read,list,write /docs/own/**"]);
    let reader = server.user("agent:reader", &["read,list /docs/**"]);
    let url = site.url("/a.md");
    server.admin().put("/docs/secret.md", "Secret.").is(201);
    let there = import(&stranger, &url, "/docs/secret.md", json!({}));
    let absent = import(&stranger, &url, "/docs/nothing.md", json!({}));
    assert_eq!(there.problem(), (404, "not_found".to_owned()));
    assert_eq!(there.text().replace("secret.md", "X"), absent.text().replace("nothing.md", "X"));
    let nowhere = import(&stranger, &url, "/hidden/x.md", json!({}));
    assert_eq!(nowhere.problem(), (404, "not_found".to_owned()));
    import(&stranger, &url, "/docs/all", json!({"recursive": {}})).refuses(404, "not_found");
    import(&reader, &url, "/docs/a.md", json!({})).refuses(403, "forbidden");
    for path in ["/docs/../x", "/docs/.waypost/x", "/docs", "docs\\x"] {
        let refused = import(&server.admin(), &url, path, json!({}));
        assert!((400..405).contains(&refused.status), "{path}: {}", refused.text());
    }
    assert!(site.seen().is_empty(), "{:?}", site.seen());
}

#[test]
fn others_than_the_owner_import_only_from_hosts_that_the_operator_listed() {
    let site = Site::start(|asked, stream| {
        let answer = match asked.path.as_str() {
            "/away" => redirect(&format!(
                "http://other.example:{}/a.txt",
                asked.header("host").unwrap().rsplit(':').next().unwrap()
            )),
            _ => ok("text/plain", "", "fine"),
        };
        stream.write_all(answer.as_bytes())
    });
    let server = server_with_names(&["127.0.0.1", "listed.example"], |_| Some("127.0.0.1"));
    let agent = server.user("agent:writer", &["read,list,write /docs/**"]);
    import(&agent, &site.named("listed.example", "/a.txt"), "/docs/1.txt", json!({})).is(201);
    import(&agent, &site.named("other.example", "/a.txt"), "/docs/2.txt", json!({}))
        .refuses(400, "address_refused");
    import(&agent, &site.named("listed.example", "/away"), "/docs/2.txt", json!({}))
        .refuses(400, "address_refused");
    assert_eq!(site.paths(), ["/a.txt", "/away"]);
    is_absent(&server, "/docs/2.txt");
    import(&server.admin(), &site.named("listed.example", "/away"), "/docs/2.txt", json!({})).is(201);
}

#[test]
fn who_may_write_and_not_read_learns_nothing_of_what_stands_there() {
    let site = Site::start(|asked, stream| stream.write_all(tagged("\"one\"", "first")(asked).as_bytes()));
    let server = server();
    let url = site.url("/a.txt");
    let blind = server.user("agent:blind", &["write /docs/box/**"]);
    let admin = server.admin();
    import(&admin, &url, "/docs/box/there.txt", json!({})).is(201);
    let there = import(&blind, &url, "/docs/box/there.txt", json!({})).is(201).json();
    let new = import(&blind, &url, "/docs/box/new.txt", json!({})).is(201).json();
    assert_eq!((&there["status"], &new["status"]), (&json!("created"), &json!("created")));
    assert!(site.seen().iter().all(|asked| asked.header("if-none-match").is_none()), "{:?}", site.seen());
    // A precondition tells what stands there, so it takes `read`, whatever stands there.
    for path in ["/docs/box/there.txt", "/docs/box/nothing.txt"] {
        import(&blind, &url, path, json!({"expected_version": "0".repeat(64)})).refuses(403, "forbidden");
    }
}

#[test]
fn a_failure_is_an_event_for_those_who_may_read_the_path_and_stands_in_the_log() {
    let site = Site::start(|_, stream| stream.write_all(status(503).as_bytes()));
    let server = server();
    let reader = server.user("agent:reader", &["read,list /docs/in/**"]);
    let stranger = server.user("agent:stranger", &["read,list /docs/other/**"]);
    import(&server.admin(), &site.url("/a.md?token=secret"), "/docs/in/a.md", json!({"trace": "tr_mine"}))
        .refuses(424, "fetch_failed");
    let failed = |user: &User<'_>| failures_told(user);
    let told = failed(&reader);
    assert_eq!(told.len(), 1, "{told:?}");
    assert_eq!(told[0]["path"], "/docs/in/a.md");
    assert_eq!(told[0]["traceId"], "tr_mine");
    assert_eq!(told[0]["data"]["code"], "fetch_failed");
    assert!(!told[0].to_string().contains("secret"), "{told:?}");
    assert_eq!(failed(&stranger), Vec::<Value>::new());
    let audit = server.admin().items("/v1/audit?action=file.import");
    let outcomes: Vec<&str> = audit.iter().map(|act| text(act, "outcome")).collect();
    assert_eq!(outcomes, ["failed"], "{audit:?}");
    assert!(!audit[0].to_string().contains("secret"));
}

/// Every `import.failed` that a principal is told of.
fn failures_told(user: &User<'_>) -> Vec<Value> {
    use waypost_engine::api::EventFilter;
    let session = user.server.engine.session(&user.token).unwrap();
    let filter = EventFilter::new(&[], &["import.failed".to_owned()]).unwrap();
    let page = session.events(None, &filter, 100).unwrap();
    page.items.iter().map(|event| serde_json::to_value(event).unwrap()).collect()
}

#[test]
fn bytes_count_in_budgets() {
    let site = Site::pages(&[("/a.txt", "text/plain", "0123456789")]);
    let server = server_with_names(&["127.0.0.1", "listed.example"], |_| Some("127.0.0.1"));
    let agent = server.user("agent:writer", &["read,list,write /docs/**"]);
    server.admin().post("/v1/budgets", &json!({"holder": "agent:writer", "limits": {"bytes": 10}})).is(201);
    let url = site.named("listed.example", "/a.txt");
    import(&agent, &url, "/docs/1.txt", json!({})).is(201);
    let usage = agent.get("/v1/usage?group_by=kind").is(200).json();
    assert_eq!(usage["items"][0]["kind"], "import", "{usage}");
    assert_eq!((&usage["total"]["bytes"], &usage["total"]["calls"]), (&json!(10), &json!(1)), "{usage}");
    import(&agent, &url, "/docs/2.txt", json!({})).refuses(429, "budget_exceeded");
    assert_eq!(site.seen().len(), 1);
}

const SECTION: &[(&str, &str, &str)] = &[
    ("/robots.txt", "text/plain", "User-agent: *\nDisallow: /docs/private\nDisallow: /docs/internal/\n"),
    (
        "/docs/",
        "text/html",
        "<html><title>Docs</title><a href='guide/'>Guide</a><a href='a.html#top'>A</a><a href='/docs/a.html'>A again</a>\
         <a href='private.html'>P</a><a href='/elsewhere'>E</a><a href='gone.html'>G</a><a href='manual.pdf'>M</a>\
         <a href='mailto:x@example.com'>mail</a><a href='http://other.example/docs/'>O</a></html>",
    ),
    ("/docs/a.html", "text/html", "<html><a href='/docs/'>back</a><a href='guide/'>g</a></html>"),
    ("/docs/guide/", "text/html", "<html><a href='../a.html'>a</a><a href='start'>start</a></html>"),
    (
        "/docs/guide/start",
        "text/html",
        "<html><p>Begin here with the walrus.</p><a href='start'>me</a></html>",
    ),
    ("/docs/manual.pdf", "application/pdf", "%PDF-1.7\nmanual"),
    ("/docs/private.html", "text/html", "<html>private</html>"),
    ("/elsewhere", "text/html", "<html>elsewhere</html>"),
];

fn paths_of(reply: &Value) -> Vec<String> {
    reply["items"].as_array().unwrap().iter().map(|item| text(item, "path").to_owned()).collect()
}

#[test]
fn a_section_is_walked_once_within_its_folder_and_its_rules() {
    let site = Site::pages(SECTION);
    let server = server();
    let admin = server.admin();
    let reply =
        import(&admin, &site.url("/docs/"), "/docs/site", json!({"recursive": {"depth": 3}})).is(200).json();
    assert_eq!(
        paths_of(&reply),
        [
            "/docs/site/index.html",
            "/docs/site/guide/index.html",
            "/docs/site/a.html",
            "/docs/site/manual.pdf",
            "/docs/site/guide/start.html",
        ],
        "{reply}"
    );
    let failures: Vec<(&str, &str)> = reply["failures"]
        .as_array()
        .unwrap()
        .iter()
        .map(|failure| (text(failure, "code"), text(failure, "path")))
        .collect();
    assert_eq!(
        failures,
        [("robots_refused", "/docs/site/private.html"), ("fetch_failed", "/docs/site/gone.html")],
        "{reply}"
    );
    let mut asked = site.paths();
    asked.sort();
    let n_asked = asked.len();
    asked.dedup();
    assert_eq!(n_asked, asked.len(), "each page once: {:?}", site.paths());
    assert!(!asked.iter().any(|path| path.contains("private") || path.contains("elsewhere")), "{asked:?}");
    assert_eq!(failures_told(&admin).len(), 1, "what a site asks to be left alone is nobody's failure");
    let found =
        server.post("/v1/search", &json!({"query": "walrus", "wait_for_seq": reply["items"][4]["seq"]}));
    let found = found.json();
    let citation = &found["results"][0]["citation"];
    assert_eq!(citation["source_url"], site.url("/docs/guide/start"), "{found}");

    let cut = import(&admin, &site.url("/docs/"), "/docs/two", json!({"recursive": {"max_pages": 2}}))
        .is(200)
        .json();
    assert_eq!((paths_of(&cut).len(), &cut["cut"]), (2, &json!("max_pages")), "{cut}");
    let shallow =
        import(&admin, &site.url("/docs/"), "/docs/one", json!({"recursive": {"depth": 0}})).is(200).json();
    assert_eq!(paths_of(&shallow), ["/docs/one/index.html"]);
    let wide = json!({"recursive": {"depth": 1, "same_prefix": false}, "accept": ["application/pdf"]});
    let wide = import(&admin, &site.url("/docs/"), "/docs/wide", wide).is(200).json();
    assert_eq!(paths_of(&wide), ["/docs/wide/manual.pdf"], "{wide}");
    import(&admin, &site.url("/docs/private.html"), "/docs/p", json!({"recursive": {}}))
        .refuses(403, "robots_refused");
    // A page that somebody names is no walk.
    import(&admin, &site.url("/docs/private.html"), "/docs/p.html", json!({})).is(201);
}

#[test]
fn a_section_is_refreshed_and_its_links_are_followed_again() {
    let site = Site::start(|asked, stream| {
        let answer = match asked.path.as_str() {
            "/docs/" => tagged("\"root\"", "<html><a href='b.html'>b</a></html>")(asked)
                .replace("text/plain", "text/html"),
            "/docs/b.html" => tagged("\"b\"", "<html>b</html>")(asked).replace("text/plain", "text/html"),
            _ => status(404),
        };
        stream.write_all(answer.as_bytes())
    });
    let server = server();
    let walk = || {
        import(&server.admin(), &site.url("/docs/"), "/docs/site", json!({"recursive": {}})).is(200).json()
    };
    let first = walk();
    assert_eq!(paths_of(&first), ["/docs/site/index.html", "/docs/site/b.html"], "{first}");
    let again = walk();
    let states: Vec<&str> =
        again["items"].as_array().unwrap().iter().map(|item| text(item, "status")).collect();
    assert_eq!(states, ["unchanged", "unchanged"], "{again}");
}

#[test]
fn a_site_whose_rules_cannot_be_had_is_left_alone() {
    let site = Site::start(|asked, stream| {
        let answer =
            if asked.path == "/robots.txt" { status(500) } else { ok("text/html", "", "<html>x</html>") };
        stream.write_all(answer.as_bytes())
    });
    let server = server();
    import(&server.admin(), &site.url("/docs/"), "/docs/site", json!({"recursive": {}}))
        .refuses(403, "robots_refused");
    assert_eq!(site.paths(), ["/robots.txt"]);
}

#[test]
fn a_walk_ends_at_its_deadline_and_keeps_what_it_has() {
    let site = Site::start(|asked, stream| {
        let answer = match asked.path.as_str() {
            "/robots.txt" => status(404),
            path => ok("text/html", "", &format!("<html><a href='{path}x'>on</a></html>")),
        };
        stream.write_all(answer.as_bytes())
    });
    let server = server();
    let more = json!({"recursive": {"depth": 10}, "timeout_seconds": 1});
    let reply = import(&server.admin(), &site.url("/d/"), "/docs/site", more).is(200).json();
    assert!(!paths_of(&reply).is_empty() && paths_of(&reply).len() < 11, "{reply}");
    assert!(reply["cut"] == "timeout" || paths_of(&reply).len() == 11, "{reply}");
}

#[test]
fn who_does_not_want_it_any_more_ends_it() {
    let site = Site::start(|_, stream| {
        stream.write_all(ok("text/plain", "", &"x".repeat(9_000_000)).as_bytes()[..100].as_ref())?;
        loop {
            stream.write_all(&[b'x'; 1000])?;
            std::thread::sleep(Duration::from_millis(5));
        }
    });
    let server = server();
    let stop = Stop::default();
    let session = server.engine.owner_session().until(&stop);
    let request = ImportRequest::new(site.url("/a.txt"), "/docs/x.txt");
    let mut n_told = 0;
    let refused = session.import(&request, &WriteOptions::default(), &mut |progress| {
        n_told += 1;
        assert_eq!(progress.total_bytes, Some(9_000_000));
        if n_told == 3 {
            server.engine.stop(&stop);
        }
    });
    assert_eq!(refused.unwrap_err().code(), "cancelled");
    assert_eq!(n_told, 3);
    is_absent(&server, "/docs/x.txt");
    assert_eq!(failures_told(&server.admin()).len(), 1);
}

#[test]
fn agents_import_by_a_tool_that_tells_how_far_it_is() {
    let site = Site::start(|_, stream| {
        let answer = ok("text/plain", "", &"0123456789".repeat(100_000));
        for part in answer.as_bytes().chunks(200_000) {
            stream.write_all(part)?;
            std::thread::sleep(Duration::from_millis(150));
        }
        Ok(())
    });
    let server = server();
    let client = Client::legacy(&server, "", &server.token);
    let arguments = json!({"url": site.url("/a.txt"), "path": "/docs/big.txt"});
    let params = json!({"name": "url_import", "arguments": arguments, "_meta": {"progressToken": "p1"}});
    let call = json!({"jsonrpc": "2.0", "id": 7, "method": "tools/call", "params": params});
    let reply = client.send(&call, &[]);
    let said: Vec<Value> = reply
        .text()
        .lines()
        .filter_map(|line| serde_json::from_str(line.strip_prefix("data:")?.trim()).ok())
        .collect();
    let signs: Vec<&Value> = said.iter().filter(|one| one["method"] == "notifications/progress").collect();
    assert!(!signs.is_empty(), "{said:?}");
    let amounts: Vec<f64> = signs.iter().map(|sign| sign["params"]["progress"].as_f64().unwrap()).collect();
    assert!(amounts.is_sorted_by(|a, b| a < b), "{amounts:?}");
    assert!(signs.iter().all(|sign| sign["params"]["total"] == 1_000_000.0), "{signs:?}");
    let result = &said.iter().find(|one| one["id"] == 7).unwrap()["result"]["structuredContent"];
    assert_eq!(
        (&result["status"], &result["path"]),
        (&json!("created"), &json!("/docs/big.txt")),
        "{said:?}"
    );
    let (refused, is_error) =
        client.call("url_import", json!({"url": "http://10.0.0.1/", "path": "/docs/x"}));
    assert!(is_error && refused["code"] == "address_refused", "{refused}");
    let (section, _) = client.call(
        "url_import",
        json!({"url": Site::pages(SECTION).url("/docs/"), "path": "/docs/site", "recursive": {"depth": 1}}),
    );
    assert_eq!(section["items"].as_array().map(Vec::len), Some(4), "{section}");
    assert_eq!(section["failures"][0]["code"], "robots_refused", "{section}");
}

#[test]
fn a_client_that_hangs_up_ends_its_import() {
    let (tell, told) = std::sync::mpsc::channel();
    let tell = std::sync::Mutex::new(tell);
    let site = Site::start(move |_, stream| {
        stream.write_all(ok("text/plain", "", &"x".repeat(9_000_000)).as_bytes()[..100].as_ref())?;
        loop {
            if let Err(error) = stream.write_all(&[b'x'; 100]) {
                tell.lock().unwrap().send(()).unwrap();
                return Err(error);
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    });
    let server = server();
    let body = json!({"url": site.url("/a.txt"), "path": "/docs/x.txt"}).to_string();
    let mut stream = std::net::TcpStream::connect(server.address).unwrap();
    let (token, length, host) = (&server.token, body.len(), server.address);
    let head = format!(
        "POST /v1/import HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {token}\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n"
    );
    stream.write_all((head + &body).as_bytes()).unwrap();
    crate::users::eventually("the site is asked", || (!site.seen().is_empty()).then_some(()));
    drop(stream);
    told.recv_timeout(crate::support::PATIENCE).unwrap();
    is_absent(&server, "/docs/x.txt");
}

#[test]
fn the_command_imports_and_tells_by_its_exit_code_what_came_of_it() {
    let site = Site::pages(SECTION);
    let folder = tempfile::tempdir().unwrap();
    let waypost = |arguments: &[&str]| {
        let output = std::process::Command::new(env!("CARGO_BIN_EXE_waypost"))
            .env_remove("WAYPOST_HOME")
            .env("WAYPOST_MODELS", folder.path().join("no-models"))
            .arg("--home")
            .arg(folder.path().join("home"))
            .args(arguments)
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let last: Value = serde_json::from_str(text.lines().next().unwrap_or_default()).unwrap_or_default();
        (output.status.code(), last)
    };
    waypost(&["init"]);
    waypost(&["workspace", "add", "docs"]);
    let (code, made) =
        waypost(&["import", &site.url("/docs/a.html"), "/docs/a.html", "--net-allow", "127.0.0.1", "--json"]);
    assert_eq!((code, &made["status"]), (Some(0), &json!("created")), "{made}");
    let all =
        ["import", &site.url("/docs/"), "/docs/all", "--recursive", "--net-allow", "127.0.0.1", "--json"];
    let (code, made) = waypost(&all);
    assert_eq!((code, made["items"].as_array().map(Vec::len)), (Some(0), Some(5)), "{made}");
    let (code, refused) = waypost(&["import", &site.url("/docs/"), "/docs/b", "--json"]);
    assert_eq!(code, Some(2), "an address that is not allowed: {refused}");
    let gone = site.url("/docs/gone.html");
    let (code, refused) = waypost(&["import", &gone, "/docs/b", "--net-allow", "127.0.0.1", "--json"]);
    assert_eq!(code, Some(4), "{refused}");
}
