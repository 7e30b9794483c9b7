use serde_json::{Value, json};

use crate::support::Server;

const FILES: &str = "\
//- billing.md
# Billing

Refunds reach the card within five business days.
//- guide/start.md
# Start

Install the package, then run the first search.
//- guide/zebra.md
# Zebra

The zebra is striped.
";

#[test]
fn a_hit_is_cited_so_that_it_can_be_read_and_verified() {
    let server = Server::start(FILES);
    let reply = server.post("/v1/search", &json!({"query": "refunds card", "explain": true}));
    assert_eq!(reply.status, 200, "{}", reply.text());
    let reply = reply.json();
    let hit = &reply["results"][0];
    let citation = &hit["citation"];
    assert_eq!(citation["path"], "/docs/billing.md", "{reply}");
    assert!(hit["snippet"].as_str().unwrap().contains("Refunds"));
    assert_eq!(reply["index"]["degraded"][0]["stage"], "semantic", "a missing arm is named: {reply}");

    let file = server.get("/v1/files/docs/billing.md");
    let span =
        citation["start_byte"].as_u64().unwrap() as usize..citation["end_byte"].as_u64().unwrap() as usize;
    assert_eq!(std::str::from_utf8(&file.body[span]).unwrap(), citation["quote"]);

    // A hit in few words is enough to be verified: what stands there is told.
    let mut terse = citation.clone();
    for field in ["quote", "workspace"] {
        terse.as_object_mut().unwrap().remove(field);
    }
    let verified = server.post("/v1/citations/verify", &json!({"citations": [terse]})).json();
    let told = &verified["results"][0];
    assert_eq!(
        (&told["valid"], &told["citation"]["quote"]),
        (&json!(true), &citation["quote"]),
        "{verified}"
    );

    let bound = server.post("/v1/search", &json!({"query": "refunds", "max_tokens": 1})).json();
    assert!(
        bound["omitted"].as_u64().is_some_and(|omitted| omitted > 0),
        "what has no room is counted: {bound}"
    );

    let mut changed = citation.clone();
    changed["quote"] = json!("Refunds never come.");
    let verified = server.post("/v1/citations/verify", &json!({"citations": [citation, changed]})).json();
    assert_eq!(verified["results"][0]["valid"], true, "{verified}");
    assert_eq!(verified["results"][0]["status"], "valid");
    assert_eq!(verified["results"][1]["valid"], false);
}

#[test]
fn a_question_is_answered_as_json_and_as_events() {
    let server = Server::start(FILES);
    let question = json!({"question": "When do refunds reach the card?"});
    let reply = server.post("/v1/ask", &question).json();
    for field in ["answer", "citations", "abstained", "confidence", "generator", "took_ms"] {
        assert!(!reply[field].is_null(), "{field} in {reply}");
    }
    let narrow = json!({"question": question["question"], "explain": true, "max_tokens": 1});
    let narrow = server.post("/v1/ask", &narrow).json();
    assert_eq!(narrow["citations"].as_array().map(Vec::len), Some(1), "one sentence in any case: {narrow}");
    assert!(narrow["citations"][0]["ranks"]["bm25"].as_f64().is_some_and(|score| score > 0.0), "{narrow}");
    let headers = [("content-type", "application/json"), ("accept", "text/event-stream")];
    let streamed = server.ask("POST", "/v1/ask", &headers, &question.to_string());
    assert_eq!(streamed.header("content-type"), "text/event-stream; charset=utf-8");
    let text = streamed.text();
    let (told, last) = text.split_once("event: answer\ndata: ").unwrap();
    let data = last.split_once("\n\n").unwrap();
    let answer: Value = serde_json::from_str(data.0).unwrap();
    assert_eq!(answer["answer"], reply["answer"]);
    assert_eq!(data.1, "event: done\ndata: {}\n\n");
    // A comment at once, and each sentence as soon as it is known.
    let sentences = told.strip_prefix(": asked\n\n").unwrap().split_terminator("\n\n");
    let sentences = sentences.map(|event| {
        let data = event.strip_prefix("event: sentence\ndata: ").unwrap();
        serde_json::from_str::<Value>(data).unwrap()["text"].as_str().unwrap().to_owned()
    });
    assert_eq!(sentences.collect::<Vec<_>>().join(" "), reply["answer"].as_str().unwrap());
    // What is refused at once is refused with its status.
    let nobody = json!({"question": "When?", "generator": "openai:x"});
    assert_eq!(server.ask("POST", "/v1/ask", &headers, &nobody.to_string()).problem().0, 400);
}

#[test]
fn a_file_answers_to_conditions_ranges_and_versions() {
    let server = Server::start(FILES);
    let path = "/v1/files/docs/guide/start.md";
    let whole = server.get(path);
    let etag = whole.header("etag").to_owned();
    let version = etag.trim_matches('"').to_owned();
    assert_eq!(version.len(), 64);
    assert!(whole.header("content-type").starts_with("text/markdown"), "{}", whole.header("content-type"));
    assert_eq!(whole.header("x-content-type-options"), "nosniff");

    let head = server.ask("HEAD", path, &[], "");
    assert_eq!((head.status, head.header("etag"), head.body.len()), (200, etag.as_str(), 0));
    assert_eq!(head.header("content-length"), whole.body.len().to_string());

    let check = |headers: &[(&str, &str)], status: u16, body: &[u8]| {
        let reply = server.ask("GET", path, headers, "");
        assert_eq!(reply.status, status, "{headers:?}");
        assert_eq!(reply.body, body, "{headers:?}");
        reply
    };
    let bytes = &whole.body;
    check(&[("if-none-match", &etag)], 304, b"");
    check(&[("if-none-match", &format!("\"x\", W/{etag}"))], 304, b"");
    check(&[("if-none-match", "\"x\"")], 200, bytes);
    let part = check(&[("range", "bytes=2-6")], 206, b"Start");
    assert_eq!(part.header("content-range"), format!("bytes 2-6/{}", bytes.len()));
    check(&[("range", "bytes=-8")], 206, b"search.\n");
    check(&[("range", "bytes=0-1,3-4")], 200, bytes);
    check(&[("range", "bytes=2-6"), ("if-range", "\"x\"")], 200, bytes);
    let outside = server.ask("GET", path, &[("range", "bytes=9999-")], "");
    assert_eq!(outside.problem(), (416, "invalid_range".to_owned()));
    assert_eq!(outside.header("content-range"), format!("bytes */{}", bytes.len()));
    assert_eq!(server.ask("GET", path, &[("if-match", "\"x\"")], "").problem().0, 412);

    let old = bytes.clone();
    std::fs::write(server.folder.path().join("docs/guide/start.md"), "# Other\n").unwrap();
    assert_eq!(server.get(path).body, b"# Other\n");
    assert_eq!(server.get(&format!("{path}?version={version}")).body, old);
    assert_eq!(server.get(&format!("/v1/files/docs/billing.md?version={version}")).problem().0, 404);
}

#[test]
fn lists_come_in_pages_and_workspaces_tell_their_state() {
    let server = Server::start(FILES);
    let first = server.get("/v1/list/docs?limit=1").json();
    assert_eq!(first["items"], json!([{"name": "guide", "path": "/docs/guide", "kind": "folder"}]));
    let cursor = first["next_cursor"].as_str().unwrap();
    let second = server.get(&format!("/v1/list/docs?limit=1&cursor={cursor}")).json();
    assert_eq!(second["items"][0]["path"], "/docs/billing.md");
    assert_eq!(second["next_cursor"], Value::Null);
    for path in ["/v1/list", "/v1/list/"] {
        assert_eq!(server.get(path).json()["items"][0]["path"], "/docs");
    }

    let all = server.get("/v1/workspaces").json();
    let one = server.get("/v1/workspaces/docs").json();
    assert_eq!(all["items"][0]["id"], one["id"]);
    assert!(one["id"].as_str().unwrap().starts_with("ws_"));
    assert_eq!(one["indexed_files"], 3);
}

#[test]
fn every_refusal_is_a_problem_with_its_code() {
    let server = Server::start(FILES);
    let json_type = ("content-type", "application/json");
    let check = |method: &str, path: &str, headers: &[(&str, &str)], body: &str, expected: (u16, &str)| {
        let reply = server.ask(method, path, headers, body);
        let (status, code) = reply.problem();
        assert_eq!((status, code.as_str()), expected, "{method} {path} {body}");
        reply
    };
    check("GET", "/v1/nothing", &[], "", (404, "not_found"));
    check("GET", "/.well-known/oauth-protected-resource", &[("authorization", "")], "", (404, "not_found"));
    check(
        "GET",
        "/.well-known/oauth-authorization-server/mcp",
        &[("authorization", "")],
        "",
        (404, "not_found"),
    );
    check("GET", "/v1/files/docs/none.md", &[], "", (404, "not_found"));
    check("GET", "/v1/list/nowhere", &[], "", (404, "not_found"));
    check("GET", "/v1/workspaces/nowhere", &[], "", (404, "not_found"));
    check("GET", "/v1/files/docs/%ff", &[], "", (400, "invalid_path"));
    check("GET", "/v1/files/docs/billing.md?version=1", &[], "", (400, "invalid_version"));
    check("GET", "/v1/list/docs?limt=1", &[], "", (400, "invalid_request"));
    check("GET", "/v1/list/docs?cursor=zz", &[], "", (400, "invalid_request"));
    let refused = check("DELETE", "/v1/search", &[], "", (405, "method_not_allowed"));
    assert_eq!(refused.header("allow"), "POST");
    let search = |body: &str, expected| check("POST", "/v1/search", &[json_type], body, expected);
    search("{\"query\": ", (400, "invalid_json"));
    search("{\"query\": 1}", (400, "invalid_request"));
    search("{}", (400, "invalid_request"));
    search("{\"query\": \"a\", \"limit\": 0}", (400, "invalid_request"));
    search("{\"query\": \"a\", \"wait_for_seq\": \"soon\"}", (400, "invalid_request"));
    search("{\"query\": \"a\", \"workspaces\": [\"nowhere\"]}", (404, "not_found"));
    let refused = search("{\"query\": \"a\", \"top_k\": 3}", (400, "invalid_request"));
    assert!(refused.text().contains("unknown field `top_k`"), "{}", refused.text());
    check("POST", "/v1/search", &[("content-type", "text/plain")], "{}", (415, "unsupported_type"));
    check(
        "POST",
        "/v1/ask",
        &[json_type],
        "{\"question\": \"a\", \"generator\": \"x\"}",
        (400, "invalid_request"),
    );
}

#[test]
fn health_is_open_and_metrics_are_not() {
    let server = Server::start(FILES);
    let nobody = [("authorization", "")];
    for path in ["/healthz", "/readyz", "/"] {
        assert_eq!(server.ask("GET", path, &nobody, "").status, 200, "{path}");
    }
    assert_eq!(server.ask("GET", "/metrics", &nobody, "").problem().0, 401);
    server.post("/v1/search", &json!({"query": "zebra"}));
    server.get("/v1/invented/path");
    let text = server.get("/metrics").text();
    for line in [
        "waypost_http_requests_total{route=\"/v1/search\",method=\"POST\",status=\"200\"} 1",
        "waypost_http_requests_total{route=\"unmatched\",method=\"GET\",status=\"404\"} 1",
        "waypost_search_seconds_count{action=\"search\",stage=\"engine\"} 1",
        "waypost_indexed_files 3",
        "waypost_pending_files 0",
    ] {
        assert!(text.contains(line), "{line} in\n{text}");
    }
    assert!(!text.contains("invented"), "no path is a label");
}

#[test]
fn a_place_is_narrowed_by_all_that_is_said_of_it() {
    let server = Server::start(FILES);
    let found = |more: Value| {
        let mut request = json!({"query": "the package zebra refunds", "mode": "lexical"});
        request.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let reply = server.post("/v1/search", &request).json();
        let paths = reply["results"].as_array().unwrap_or_else(|| panic!("{reply}")).iter();
        let mut paths: Vec<String> =
            paths.map(|hit| hit["citation"]["path"].as_str().unwrap().to_owned()).collect();
        paths.sort();
        paths
    };
    let in_guide = ["/docs/guide/start.md", "/docs/guide/zebra.md"];
    for prefix in ["/docs/guide", "/docs/guide/", "docs/guide", "guide", "guide/"] {
        assert_eq!(found(json!({"path_prefix": prefix})), in_guide, "{prefix}");
        assert_eq!(found(json!({"path_prefix": prefix, "workspaces": ["docs"]})), in_guide, "{prefix}");
    }
    for (prefix, query, expected) in [
        ("/docs/guide", "zebra package in:guide/zebra.md", &["/docs/guide/zebra.md"][..]),
        ("/docs/guide/zebra.md", "zebra package in:guide", &["/docs/guide/zebra.md"]),
        ("/docs/guide/zebra.md", "zebra package in:guide/start.md", &[]),
    ] {
        assert_eq!(found(json!({"path_prefix": prefix, "query": query})), expected, "{query}");
    }
    server.post("/v1/workspaces", &json!({"name": "other"}));
    assert_eq!(found(json!({"path_prefix": "/docs/guide", "workspaces": ["other"]})), Vec::<String>::new());
}
