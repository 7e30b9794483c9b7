use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::{Value, json};

use super::{PAGE, import, is_absent, server, tagged};
use crate::site::{Site, ok, status};
use crate::users::text;

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
