use serde_json::{Value, json};
use std::io::Write;

use super::{SECTION, failures_told, import, server, tagged};
use crate::site::{Site, ok, status};
use crate::users::text;

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
