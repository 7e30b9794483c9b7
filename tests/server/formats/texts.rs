use serde_json::{Value, json};

use super::made::{eml, pdf, rows, xlsx};
use super::{best, serve, workers};
use crate::support::Server;
use crate::users::{User, text};

const PAGE: &str = "<!doctype html>\n<html>\n<head>\n<style>\np { color: red }\n</style>\n</head>\n<body>\n\n\
                    <h1>Fair</h1>\n<p>The <b>velocipede</b> race begins at nine.</p>\n</body>\n</html>\n";

/// A server with a file of each sort.
fn archive() -> Server {
    let sheet = rows(&[&["Item", "Price"], &["teapot", "12"], &["saucer", "3"]]);
    serve(
        &[
            ("two.pdf", pdf(&["A harbour of lanterns.", "The gondola sleeps\nunder the bridge."])),
            ("a.xlsx", xlsx("Stock", "A1:B3", &sheet)),
            ("a.eml", eml("Lunch", "Bring the rhubarb.", ("list.txt", "Also the quinces."))),
            ("fair.html", PAGE.as_bytes().to_vec()),
            ("plain.md", "# Plan\n\nThe zephyr wakes — early.\n".as_bytes().to_vec()),
        ],
        false,
    )
}

/// The bytes of a text that a citation or a place names.
#[track_caller]
fn cut<'a>(whole: &'a str, part: &Value) -> &'a str {
    let byte = |name: &str| part[name].as_u64().unwrap_or_else(|| panic!("{name} in {part}")) as usize;
    &whole[byte("start_byte")..byte("end_byte")]
}

#[test]
fn the_bytes_and_lines_of_a_citation_are_those_of_the_text() {
    let server = archive();
    for (query, verbatim, kind) in [
        ("gondola", false, "pdf"),
        ("saucer", false, "spreadsheet"),
        ("quinces", false, "mail"),
        ("velocipede", false, "html"),
        ("zephyr", true, "markdown"),
    ] {
        let citation = best(&server, query);
        let path = text(&citation, "path");
        let version = text(&citation, "version");
        for asked in [format!("/v1/text{path}"), format!("/v1/text{path}?version={version}")] {
            let found = server.get(&asked).is(200).json();
            assert_eq!((text(&found, "path"), text(&found, "version")), (path, version), "{found}");
            assert_eq!((&found["verbatim"], text(&found, "kind")), (&json!(verbatim), kind), "{found}");
            let whole = text(&found, "text");
            assert_eq!(cut(whole, &citation), text(&citation, "quote"), "{found}");
            let (first, last) =
                (citation["lines"][0].as_u64().unwrap(), citation["lines"][1].as_u64().unwrap());
            let lines: Vec<&str> =
                whole.lines().skip(first as usize - 1).take((last - first) as usize + 1).collect();
            assert!(lines.join("\n").contains(text(&citation, "quote").trim()), "{citation} in {found}");
        }
    }
    let plain = server.get("/v1/text/docs/plain.md").json();
    assert_eq!(text(&plain, "text"), server.get("/v1/files/docs/plain.md").text());
    assert_eq!((text(&plain, "mime_type"), &plain["places"]), ("text/markdown", &json!([])));
}

#[test]
fn pages_and_sheets_lie_where_their_citations_do() {
    let server = archive();
    let places = |name: &str| {
        let found = server.get(&format!("/v1/text/docs/{name}")).is(200).json();
        let whole = text(&found, "text").to_owned();
        let places = found["places"].as_array().unwrap().clone();
        places
            .into_iter()
            .map(move |place| (cut(&whole, &place).trim().to_owned(), place))
            .collect::<Vec<_>>()
    };
    let pages = places("two.pdf");
    let numbers: Vec<&Value> = pages.iter().map(|(_, place)| &place["page"]).collect();
    assert_eq!(numbers, [&json!(1), &json!(2)], "{pages:?}");
    assert!(pages[0].0.contains("lanterns") && !pages[0].0.contains("gondola"), "{pages:?}");
    let citation = best(&server, "gondola");
    let (_, second) = &pages[1];
    assert!(second["start_byte"].as_u64() <= citation["start_byte"].as_u64(), "{second} {citation}");
    assert!(second["end_byte"].as_u64() >= citation["end_byte"].as_u64(), "{second} {citation}");
    assert!(second["lines"][0].as_u64() <= citation["lines"][0].as_u64(), "{second} {citation}");
    // A sheet is one place, however many rows it has.
    let sheets = places("a.xlsx");
    assert_eq!(sheets.len(), 1, "{sheets:?}");
    assert_eq!((&sheets[0].1["sheet"], &sheets[0].1["range"]), (&json!("Stock"), &json!("A1:B3")));
    let messages = places("a.eml");
    let attached = |(_, place): &&(String, Value)| place["attachment"] == "list.txt";
    assert!(messages.iter().find(attached).is_some_and(|(part, _)| part.contains("quinces")), "{messages:?}");
}

#[test]
fn a_text_is_told_to_those_who_may_read_the_file() {
    let server = archive();
    let admin = server.admin();
    admin.put("/docs/secret/s.md", "The egret is hidden.\n").is(201);
    let reader = server.user("agent:reader", &["list,read /docs/**", "!read,list /docs/secret/**"]);
    let lister = server.user("agent:lister", &["list /docs/**"]);
    let ask = |user: &User<'_>, path: &str| user.get(&format!("/v1/text{path}"));
    let version = admin.get("/v1/info/docs/secret/s.md").json()["version"].as_str().unwrap().to_owned();
    for query in [String::new(), format!("?version={version}")] {
        let hidden = ask(&reader, &format!("/docs/secret/s.md{query}"));
        let absent = ask(&reader, &format!("/docs/secret/x.md{query}"));
        hidden.refuses(404, "not_found");
        assert_eq!(hidden.text().replace("s.md", "x.md"), absent.text());
        // A version alone is no key to a file, neither under its own name nor under another one.
        ask(&reader, &format!("/docs/plain.md?version={version}")).refuses(404, "not_found");
    }
    ask(&lister, "/docs/plain.md").refuses(404, "not_found");
    ask(&reader, "/docs/plain.md").is(200);
    ask(&reader, "/nowhere/plain.md").refuses(404, "not_found");
    assert_eq!(server.ask("GET", "/v1/text/docs/plain.md", &[("authorization", "")], "").status, 401);
    let acts = admin.items("/v1/audit?principal=agent:reader&action=file.read");
    assert!(
        acts.iter().any(|row| row["path"] == "/docs/plain.md" && row["outcome"] == "allowed"),
        "{acts:?}"
    );
}

#[test]
fn older_texts_are_read_by_their_version_or_their_time() {
    let server = archive();
    let admin = server.admin();
    let first = admin.put("/docs/a.md", "the walrus came\n").is(201).json();
    admin.post("/v1/snapshots", &json!({"workspace": "docs", "name": "before"})).is(201);
    admin.put("/docs/a.md", "the heron came\n").is(200);
    let told = |query: &str| {
        text(&admin.get(&format!("/v1/text/docs/a.md{query}")).is(200).json(), "text").to_owned()
    };
    let version = text(&first, "version");
    assert_eq!(told(""), "the heron came\n");
    assert_eq!(told(&format!("?version={version}")), "the walrus came\n");
    assert_eq!(told("?as_of=before"), "the walrus came\n");
    admin.get("/v1/text/docs/a.md?version=zz").refuses(400, "invalid_version");
    admin.get(&format!("/v1/text/docs/a.md?version={}", "0".repeat(64))).refuses(404, "not_found");
    admin.get(&format!("/v1/text/docs/a.md?version={version}&as_of=before")).refuses(400, "invalid_request");
    admin.get("/v1/text/docs/a.md?colour=red").refuses(400, "invalid_request");
    // A file that is gone is read as it was.
    admin.delete("/v1/files/docs/a.md").is(200);
    assert_eq!(told(&format!("?version={version}")), "the walrus came\n");
    admin.get("/v1/text/docs/a.md").refuses(404, "not_found");
}

#[test]
fn what_gives_no_text_is_refused_with_the_reason() {
    let fill = |docs: &std::path::Path| {
        std::fs::write(docs.join("plain.md"), "Something to read.\n").unwrap();
        std::fs::write(docs.join("b.bin"), [0u8, 159, 146, 150]).unwrap();
        std::fs::write(docs.join("empty.md"), "").unwrap();
        std::fs::write(docs.join("scan.pdf"), pdf(&["", ""])).unwrap();
        std::fs::write(docs.join("long.txt"), "words ".repeat(1000)).unwrap();
    };
    let server = Server::start_as(fill, |options| options.isolation(workers()).max_file_bytes(4000));
    for (name, reason) in [("b.bin", "binary"), ("empty.md", "no text"), ("scan.pdf", "scan")] {
        let refused = server.get(&format!("/v1/text/docs/{name}"));
        refused.refuses(415, "unsupported_type");
        let told = refused.json();
        assert!(text(&told, "detail").contains(reason), "{told}");
        assert!(text(&told, "detail").contains(name) && text(&told, "hint").contains("/v1/files/"), "{told}");
    }
    let refused = server.get("/v1/text/docs/long.txt");
    refused.refuses(413, "too_large");
    assert!(text(&refused.json(), "detail").contains("6000 bytes"), "{}", refused.text());
    assert_eq!(server.get("/v1/files/docs/long.txt").is(200).body.len(), 6000);
    server.get("/v1/text/docs").refuses(404, "not_found");
}
