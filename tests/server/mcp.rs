use std::path::Path;

use serde_json::{Value, json};

use crate::support::{Reply, Server};

const FILES: &str = "\
//- billing.md
# Billing

Refunds reach the card within five business days.
//- long.txt
one
two
three
four
five
";

/// A client of one era.
pub struct Client<'a> {
    pub server: &'a Server,
    session: Option<String>,
    query: &'a str,
    token: String,
}

impl<'a> Client<'a> {
    /// The era of `initialize` and sessions.
    pub fn legacy(server: &'a Server, query: &'a str, token: &str) -> Self {
        let mut client = Self { server, session: None, query, token: token.to_owned() };
        let hello = json!({"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "test", "version": "1"}});
        let reply =
            client.send(&json!({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": hello}), &[]);
        assert_eq!(reply.status, 200, "{}", reply.text());
        let told = message(&reply);
        assert_eq!(told["result"]["serverInfo"]["name"], "waypost", "{told}");
        client.session = Some(reply.header("mcp-session-id").to_owned());
        let reply = client.send(&json!({"jsonrpc": "2.0", "method": "notifications/initialized"}), &[]);
        assert_eq!(reply.status, 202, "{}", reply.text());
        client
    }

    /// The era of 2026-07-28: every request stands alone.
    pub fn modern(server: &'a Server, query: &'a str) -> Self {
        Self { server, session: None, query, token: server.token.clone() }
    }

    /// The same for the holder of another token.
    pub fn modern_as(server: &'a Server, token: &str) -> Self {
        Self { server, session: None, query: "", token: token.to_owned() }
    }

    pub fn session(&self) -> &str {
        self.session.as_deref().unwrap()
    }

    /// Posts a message as it is.
    pub fn send(&self, body: &Value, more: &[(&str, &str)]) -> Reply {
        let bearer = format!("Bearer {}", self.token);
        let mut headers = vec![
            ("authorization", bearer.as_str()),
            ("content-type", "application/json"),
            ("accept", "application/json, text/event-stream"),
        ];
        if let Some(session) = &self.session {
            headers.push(("mcp-session-id", session));
        }
        headers.extend(more.iter().filter(|(name, _)| *name != "authorization"));
        self.server.ask("POST", &format!("/mcp{}", self.query), &headers, &body.to_string())
    }

    /// Asks, and gives the whole answer.
    pub fn request(&self, method: &str, mut params: Value) -> Value {
        let mut headers = Vec::new();
        let named = if method == "resources/read" { &params["uri"] } else { &params["name"] };
        let name = named.as_str().unwrap_or_default().to_owned();
        if self.session.is_none() {
            params["_meta"] = json!({
                "io.modelcontextprotocol/protocolVersion": "2026-07-28",
                "io.modelcontextprotocol/clientCapabilities": {},
                "io.modelcontextprotocol/clientInfo": {"name": "test", "version": "1"},
            });
            headers.extend([("mcp-protocol-version", "2026-07-28"), ("mcp-method", method)]);
            if !name.is_empty() {
                headers.push(("mcp-name", &name));
            }
        }
        message(&self.send(&json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}), &headers))
    }

    /// Calls a tool; what it says, and whether that is an error.
    #[expect(clippy::needless_pass_by_value, reason = "`json!` is written in the call")]
    pub fn call(&self, tool: &str, arguments: Value) -> (Value, bool) {
        let answer = self.request("tools/call", json!({"name": tool, "arguments": arguments}));
        let result = &answer["result"];
        let text = result["content"][0]["text"].as_str().unwrap_or_else(|| panic!("{answer}"));
        let said: Value = serde_json::from_str(text).unwrap();
        let is_error = result["isError"] == true;
        if !is_error {
            assert_eq!(result["structuredContent"], said, "both forms say the same");
        }
        (said, is_error)
    }
}

/// The JSON-RPC message in a reply, alone or as an event.
pub fn message(reply: &Reply) -> Value {
    let text = reply.text();
    if reply.header("content-type").starts_with("application/json") {
        return serde_json::from_str(&text).unwrap();
    }
    let data = text.lines().filter_map(|line| line.strip_prefix("data: "));
    let mut messages = data.filter_map(|data| serde_json::from_str::<Value>(data).ok());
    messages.rfind(|message| message["id"].is_number()).unwrap_or_else(|| panic!("{} {text}", reply.status))
}

pub fn in_both_eras(server: &Server, check: impl Fn(&Client<'_>)) {
    check(&Client::modern(server, ""));
    check(&Client::legacy(server, "", &server.token));
}

/// The names of listed tools whose hint is so.
fn tools_that<'a>(listed: &'a Value, hint: &str, value: bool) -> Vec<&'a str> {
    let having = listed.as_array().unwrap().iter().filter(|tool| tool["annotations"][hint] == value);
    having.map(|tool| tool["name"].as_str().unwrap()).collect()
}

/// The names of the tools that a client is offered.
pub fn offered(client: &Client<'_>) -> Vec<String> {
    let listed = client.request("tools/list", json!({}));
    let tools = listed["result"]["tools"].as_array().unwrap_or_else(|| panic!("{listed}"));
    tools.iter().map(|tool| tool["name"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn the_tools_are_those_of_the_stored_file() {
    let server = Server::start(FILES);
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/server/tools.json");
    let listed = Client::modern(&server, "").request("tools/list", json!({}))["result"]["tools"].clone();
    let shown = serde_json::to_string_pretty(&listed).unwrap() + "\n";
    if std::env::var_os("UPDATE_SNAPSHOTS").is_some() {
        std::fs::write(&path, &shown).unwrap();
    }
    let stored = std::fs::read_to_string(&path).unwrap();
    assert_eq!(shown, stored, "set UPDATE_SNAPSHOTS=1 where the change is wanted");
    in_both_eras(&server, |client| {
        assert_eq!(client.request("tools/list", json!({}))["result"]["tools"], listed);
    });
    for tool in listed.as_array().unwrap() {
        assert_eq!(tool["inputSchema"]["additionalProperties"], false, "{tool}");
    }
    let changing: Vec<&str> = tools_that(&listed, "readOnlyHint", false);
    assert_eq!(
        changing,
        [
            "call_tool",
            "claim_task",
            "complete_task",
            "copy_file",
            "create_directory",
            "create_snapshot",
            "create_task",
            "delete_file",
            "dispatch",
            "edit_file",
            "fail_task",
            "heartbeat_task",
            "move_file",
            "publish_event",
            "remember",
            "request_approval",
            "restore_version",
            "review_task",
            "url_import",
            "write_file",
        ]
    );
    let adding = [
        "claim_task",
        "complete_task",
        "copy_file",
        "create_directory",
        "create_snapshot",
        "create_task",
        "dispatch",
        "fail_task",
        "heartbeat_task",
        "publish_event",
        "request_approval",
        "review_task",
    ];
    assert_eq!(tools_that(&listed, "destructiveHint", false), adding, "these take nothing away");
}

#[test]
fn the_modern_era_discovers_and_the_list_is_private() {
    let server = Server::start(FILES);
    let client = Client::modern(&server, "");
    let told = client.request("server/discover", json!({}));
    let versions = told["result"]["supportedVersions"].as_array().unwrap_or_else(|| panic!("{told}"));
    assert!(versions.contains(&json!("2026-07-28")) && versions.contains(&json!("2025-11-25")), "{told}");
    assert_eq!(client.request("tools/list", json!({}))["result"]["cacheScope"], "private");
}

#[test]
fn toolsets_narrow_the_list_and_what_can_be_called() {
    let server = Server::start(FILES);
    let client = Client::modern(&server, "?toolsets=files");
    assert_eq!(
        offered(&client),
        [
            "copy_file",
            "create_directory",
            "delete_file",
            "directory_tree",
            "edit_file",
            "get_file_info",
            "list_directory",
            "move_file",
            "read_file",
            "read_multiple_files",
            "search_files",
            "whoami",
            "write_file",
        ]
    );
    let history = Client::modern(&server, "?toolsets=history");
    assert_eq!(offered(&history), ["create_snapshot", "list_versions", "restore_version", "whoami"]);
    // Attack 12: a tool that is not offered answers as one that does not exist.
    let hidden = client.request("tools/call", json!({"name": "search", "arguments": {"query": "a"}}));
    let absent = client.request("tools/call", json!({"name": "absent", "arguments": {"query": "a"}}));
    assert_eq!(hidden.to_string().replace("search", "absent"), absent.to_string());
    let legacy = Client::legacy(&server, "?toolsets=knowledge", &server.token);
    assert_eq!(
        offered(&legacy),
        ["ask", "recall", "remember", "search", "url_import", "verify_citations", "whoami"]
    );
    let reply = server.ask("POST", "/mcp?toolsets=night", &[("content-type", "application/json")], "{}");
    assert_eq!(reply.problem(), (400, "invalid_request".to_owned()));
}

#[test]
fn a_hit_leads_to_the_text_and_back_to_a_verified_citation() {
    let server = Server::start(FILES);
    in_both_eras(&server, |client| {
        let (found, failed) = client.call("search", json!({"query": "refunds card"}));
        assert!(!failed, "{found}");
        let hit = &found["hits"][0];
        assert_eq!(hit["path"], "/docs/billing.md", "{found}");
        assert_eq!(hit["heading"], "Billing");
        let (file, _) = client.call("read_file", json!({"path": hit["path"]}));
        let text = file["text"].as_str().unwrap();
        let at = |name: &str| hit[name].as_u64().unwrap() as usize;
        let quote = &text[at("start_byte")..at("end_byte")];
        let citation = json!({
            "path": hit["path"], "version": hit["version"], "quote": quote,
            "start_byte": hit["start_byte"], "end_byte": hit["end_byte"],
        });
        let (checked, _) = client.call("verify_citations", json!({"citations": [citation]}));
        assert_eq!(checked["results"][0]["status"], "valid", "{checked}");
    });
}

#[test]
fn the_other_tools_answer() {
    let server = Server::start(FILES);
    in_both_eras(&server, |client| {
        let (who, _) = client.call("whoami", json!({}));
        assert_eq!(who["principal"], "human:admin");
        assert_eq!(who["workspaces"], json!(["docs"]));
        let (listed, _) = client.call("list_directory", json!({"path": "/docs", "limit": 1}));
        assert_eq!(listed["entries"][0]["name"], "billing.md");
        let (rest, _) =
            client.call("list_directory", json!({"path": "/docs", "cursor": listed["next_cursor"]}));
        assert_eq!(rest["entries"][0]["name"], "long.txt");
        let (found, _) = client.call("search_files", json!({"pattern": "*.md"}));
        assert_eq!(found, json!({"paths": ["/docs/billing.md"]}));
        let but = json!({"pattern": "", "excludePatterns": ["*.MD", "src"]});
        assert_eq!(client.call("search_files", but).0, json!({"paths": ["/docs/long.txt"]}));
        let but = json!({"path": "/docs", "excludePatterns": ["*.md"]});
        let (tree, _) = client.call("directory_tree", but);
        assert_eq!(tree["entries"].as_array().unwrap().len(), 1, "{tree}");
        let but = json!({"query": "Refunds", "workspaces": ["docs"], "filters": {"extension": "txt"}});
        assert_eq!(client.call("search", but).0["hits"], json!([]));
        let (_, failed) = client.call("ask", json!({"question": "Refunds?", "workspaces": ["none"]}));
        assert!(failed);
        let (answer, failed) = client.call("ask", json!({"question": "When do refunds reach the card?"}));
        assert!(!failed && answer["abstained"].is_boolean(), "{answer}");
    });
}

#[test]
fn a_file_is_read_by_lines_within_the_bound() {
    let server = Server::start_with(|docs| {
        std::fs::write(docs.join("long.txt"), "one\ntwo\nthree\nfour\nfive\n").unwrap();
        let lines: String = (0..2000).map(|line| format!("line number {line}\n")).collect();
        std::fs::write(docs.join("book.txt"), lines).unwrap();
        std::fs::write(docs.join("wide.txt"), "é".repeat(5000)).unwrap();
        std::fs::write(docs.join("raw.bin"), [0u8, 159, 146, 150]).unwrap();
    });
    let client = Client::modern(&server, "");
    let read = |arguments: Value| client.call("read_file", arguments).0;
    let lines =
        |reply: &Value| (reply["text"].as_str().unwrap_or_default().to_owned(), reply["next_line"].clone());
    let path = "/docs/long.txt";
    assert_eq!(lines(&read(json!({"path": path, "head": 2}))), ("one\ntwo\n".to_owned(), json!(3)));
    assert_eq!(lines(&read(json!({"path": path, "tail": 2}))), ("four\nfive\n".to_owned(), Value::Null));
    assert_eq!(
        lines(&read(json!({"path": path, "start_line": 4}))),
        ("four\nfive\n".to_owned(), Value::Null)
    );

    let mut text = String::new();
    let mut next = json!(1);
    while !next.is_null() {
        let reply = read(json!({"path": "/docs/book.txt", "start_line": next, "max_tokens": 1000}));
        assert!(reply.to_string().len() <= 3000, "{}", reply.to_string().len());
        text += reply["text"].as_str().unwrap();
        next = reply["next_line"].clone();
    }
    assert_eq!(text, std::fs::read_to_string(server.folder.path().join("docs/book.txt")).unwrap());
    let wide = read(json!({"path": "/docs/wide.txt", "max_tokens": 200}));
    assert!(wide["cut"].is_string() && wide.to_string().len() <= 600, "{wide}");
    assert_eq!(read(json!({"path": "/docs/raw.bin"}))["code"], "unsupported_type");
}

#[test]
fn a_wrong_argument_is_a_result_that_says_what_is_legal() {
    let server = Server::start(FILES);
    in_both_eras(&server, |client| {
        let check = |tool: &str, arguments: Value, expected: &str| {
            let (said, failed) = client.call(tool, arguments);
            assert!(failed && said.to_string().contains(expected), "{said}");
        };
        check(
            "search",
            json!({"query": "a", "top_k": 3}),
            "takes only `as_of`, `filters`, `limit`, `max_tokens`, `mode`",
        );
        check("search", json!({}), "missing field `query`");
        check("search", json!({"query": "a", "mode": "magic"}), "`hybrid`, `lexical`, `semantic`");
        check("search", json!({"query": "a", "max_tokens": 5}), "200 to 100000");
        check("read_file", json!({"path": "/docs/none.md"}), "search_files");
        check("read_file", json!({"path": "/docs/../x"}), "invalid_path");
        check("read_file", json!({"path": "/docs/long.txt", "head": 1, "tail": 1}), "at most one");
        check("whoami", json!({"verbose": true}), "takes no argument");
    });
}

#[test]
fn replies_keep_to_their_bound() {
    let server = Server::start_with(|docs| {
        for number in 0..40 {
            let text =
                format!("# Note {number}\n\n{}\n", format!("walrus number {number} swims far. ").repeat(12));
            std::fs::write(docs.join(format!("note-{number}.md")), text).unwrap();
        }
    });
    let client = Client::modern(&server, "");
    for max_tokens in [200, 500, 2000] {
        for (tool, mut arguments) in [
            ("search", json!({"query": "walrus", "limit": 40})),
            ("search_files", json!({"pattern": "note"})),
            ("list_directory", json!({"path": "/docs"})),
        ] {
            arguments["max_tokens"] = json!(max_tokens);
            let (reply, failed) = client.call(tool, arguments);
            assert!(!failed, "{reply}");
            assert!(
                reply.to_string().len() <= max_tokens * 3,
                "{tool} {max_tokens}: {}",
                reply.to_string().len()
            );
        }
    }
}

#[test]
fn each_toolset_fits_a_small_prompt() {
    let server = Server::start(FILES);
    // Characters at most; a token counts as four of them.
    let toolsets = [
        ("files", 9_500),
        ("history", 2_500),
        ("knowledge", 6_300),
        ("mesh", 11_000),
        ("files,knowledge", 15_500),
        ("files,history,knowledge,mesh", 27_500),
    ];
    for (names, most) in toolsets {
        let query = format!("?toolsets={names}");
        let client = Client::modern(&server, &query);
        let tools = client.request("tools/list", json!({}))["result"]["tools"].clone();
        let n_chars = tools.to_string().chars().count();
        let n_tools = tools.as_array().map(Vec::len).unwrap_or_default();
        println!("{names}: {n_tools} tools, {n_chars} characters, about {} tokens", n_chars / 4);
        assert!(n_chars <= most, "{names}: {n_chars} of {most} characters");
    }
}
