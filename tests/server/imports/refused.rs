use std::io::Write;
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::{PAGE, failures_told, import, is_absent, server, server_with_names, tagged};
use crate::site::{Site, ok, redirect, status};
use crate::support::Server;
use crate::users::{User, text};

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
