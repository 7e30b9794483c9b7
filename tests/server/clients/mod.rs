use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use waypost_engine::api::{Engine, EngineOptions};
use waypost_engine::id::WorkspaceName;

use crate::mcp::{Client, message};
use crate::support::Server;
use crate::upstream::test_tools;
use crate::users::text;

/// Until a program of others has ended.
const PATIENCE: Duration = Duration::from_secs(180);

const FILES: &str = "\
//- open/a.md
The walrus swims in the open sea.
//- hidden/b.md
The walrus hides.
";

/// Where the fetched programs are, if this npm package is among them.
pub fn test_tools_with(package: &str) -> Option<PathBuf> {
    let tools = test_tools()?;
    let is_there = tools.join("node_modules").join(package).exists();
    if !is_there {
        println!("skipped: `{package}` is not here; `tests/fetch-peers` fetches it");
    }
    is_there.then_some(tools)
}

/// What a program says on standard output, and whether it ended well; killed where it does not end.
pub fn run(command: &mut Command) -> (String, bool) {
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap();
    let mut output = child.stdout.take().unwrap();
    let reader = std::thread::spawn(move || {
        let mut said = String::new();
        output.read_to_string(&mut said).map(|_| said)
    });
    let deadline = Instant::now() + PATIENCE;
    let status = loop {
        if let Some(status) = child.try_wait().unwrap() {
            break status;
        }
        if Instant::now() > deadline {
            child.kill().unwrap();
            panic!("{command:?} did not end in time");
        }
        std::thread::sleep(Duration::from_millis(20));
    };
    (reader.join().unwrap().unwrap(), status.success())
}

/// How a client reaches the server.
enum Way<'a> {
    Http(&'a Server, &'a str),
    Stdio(&'a Home),
    /// Over a process that speaks for the server.
    Relay(&'a Server, &'a str),
}

impl Way<'_> {
    fn target(&self, more: Value) -> String {
        let mut target = match self {
            Self::Http(server, token) => json!({"url": server.url("/mcp"), "token": token}),
            Self::Relay(server, token) => json!({"command": relay(server), "env": {"WAYPOST_TOKEN": token}}),
            Self::Stdio(home) => json!({"command": home.command(), "env": {"WAYPOST_TOKEN": home.token}}),
        };
        target.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        target.to_string()
    }
}

fn relay(server: &Server) -> Vec<String> {
    [env!("CARGO_BIN_EXE_waypost"), "mcp", "--url", &server.url("")].map(str::to_owned).into()
}

/// A home that nobody serves, with a token that reads one folder.
struct Home {
    folder: tempfile::TempDir,
    token: String,
}

impl Home {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let docs = folder.path().join("docs");
        for (path, words) in
            [("open/a.md", "The walrus swims in the open sea.\n"), ("hidden/b.md", "The walrus hides.\n")]
        {
            let path = docs.join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, words).unwrap();
        }
        let engine = Arc::new(Engine::open(EngineOptions::new(folder.path().join("home"))).unwrap());
        engine.attach(&WorkspaceName::new("docs").unwrap(), &docs).unwrap();
        drop(engine);
        let mut home = Self { folder, token: String::new() };
        home.waypost(&["reindex"]);
        home.waypost(&["principal", "add", "agent:reader"]);
        home.waypost(&["grant", "add", "agent:reader", "list,read", "/docs/open/**"]);
        let issued = home.waypost(&["token", "add", "--principal", "agent:reader", "--json"]);
        home.token = text(&serde_json::from_str(&issued).unwrap(), "token").to_owned();
        home
    }

    fn path(&self) -> String {
        self.folder.path().join("home").to_string_lossy().into_owned()
    }

    fn waypost(&self, arguments: &[&str]) -> String {
        let (said, is_done) = run(Command::new(env!("CARGO_BIN_EXE_waypost"))
            .args(["--offline", "--home", &self.path()])
            .args(arguments)
            .env("WAYPOST_MODELS", self.folder.path().join("no-models")));
        assert!(is_done, "{arguments:?}: {said}");
        said
    }

    fn command(&self) -> Vec<String> {
        let models = self.folder.path().join("no-models");
        let run = ["env", &format!("WAYPOST_MODELS={}", models.display()), env!("CARGO_BIN_EXE_waypost")];
        let rest = ["--offline", "--home", &self.path(), "mcp"];
        run.into_iter().chain(rest).map(str::to_owned).collect()
    }
}

/// What each of them must have seen.
#[track_caller]
fn check(who: &str, said: &str, version: Option<&str>) {
    let seen: Value =
        serde_json::from_str(said.trim()).unwrap_or_else(|error| panic!("{who}: {error}: {said}"));
    let names = |list: &str| -> Vec<String> {
        seen[list].as_array().unwrap().iter().map(|name| name.as_str().unwrap().to_owned()).collect()
    };
    if let Some(version) = version {
        assert_eq!(seen["version"], version, "{who}");
    }
    let tools = names("tools");
    assert!(
        tools.contains(&"search".to_owned()) && !tools.contains(&"write_file".to_owned()),
        "{who}: {tools:?}"
    );
    assert_eq!(names("hits"), ["/docs/open/a.md"], "{who}");
    assert_eq!(names("links"), ["waypost:///docs/open/a.md"], "{who}");
    assert_eq!(seen["read"], "The walrus swims in the open sea.\n", "{who}");
    assert_eq!(seen["denied"], json!({"is_error": true, "code": "not_found"}), "{who}");
    assert_eq!(names("prompts"), ["ask_with_citations"], "{who}");
    assert!(text(&seen, "prompt").contains("Where do they swim?"), "{who}");
    assert_eq!(names("completed"), ["/docs/open/"], "{who}: nothing of the folder that it may not see");
    println!("{who}: speaks {}", seen["version"]);
}

pub fn script(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/server/clients").join(name)
}

fn with_server(check: impl Fn(&Way<'_>, &str)) {
    let server = Server::start(FILES);
    let reader = server.user("agent:reader", &["list,read /docs/open/**"]);
    check(&Way::Http(&server, &reader.token), "http");
    check(&Way::Relay(&server, &reader.token), "relay");
    check(&Way::Stdio(&Home::new()), "stdio");
}

#[test]
fn the_python_sdk_works_in_both_eras_and_over_both_transports() {
    let Some(tools) = test_tools() else { return };
    with_server(|way, name| {
        for (mode, version) in [("auto", "2026-07-28"), ("legacy", "2025-11-25")] {
            let mut python = Command::new(tools.join("venv/bin/python"));
            let (said, is_done) =
                run(python.arg(script("python_sdk.py")).arg(way.target(json!({"mode": mode}))));
            assert!(is_done, "{name} {mode}: {said}");
            check(&format!("python {name} {mode}"), &said, Some(version));
        }
    });
}

#[test]
fn both_typescript_sdks_work_over_both_transports() {
    let Some(tools) = test_tools_with("@modelcontextprotocol/client") else { return };
    with_server(|way, name| {
        for (sdk, mode) in [("client", "auto"), ("client", "legacy"), ("sdk", "legacy")] {
            let mut node = Command::new(tools.join("node"));
            node.arg(script("typescript_sdk.mjs")).arg(&tools);
            let (said, is_done) = run(node.arg(way.target(json!({"sdk": sdk, "mode": mode}))));
            assert!(is_done, "{sdk} {name} {mode}: {said}");
            let version = if mode == "auto" { "2026-07-28" } else { "2025-11-25" };
            check(&format!("typescript {sdk} {name} {mode}"), &said, Some(version));
        }
    });
}

#[test]
fn the_inspector_finds_no_fault_with_the_tools() {
    let Some(tools) = test_tools_with("@modelcontextprotocol/inspector") else { return };
    let inspect = |way: &Way<'_>, more: &[&str]| {
        let mut node = Command::new(tools.join("node"));
        node.arg(tools.join("node_modules/.bin/mcp-inspector"))
            .args(["--cli", "--format", "json", "-q"])
            .args(more);
        match way {
            Way::Http(server, token) => {
                node.args(["--transport", "http", "--server-url", &server.url("/mcp")]);
                node.args(["--header", &format!("Authorization: Bearer {token}")]);
            }
            Way::Stdio(home) => {
                node.args(["-e", &format!("WAYPOST_TOKEN={}", home.token), "--"]).args(home.command());
            }
            Way::Relay(server, token) => {
                node.args(["-e", &format!("WAYPOST_TOKEN={token}"), "--"]).args(relay(server));
            }
        }
        run(&mut node)
    };
    with_server(|way, name| {
        for era in ["modern", "legacy"] {
            let era = ["--protocol-era", era];
            let (listed, is_done) =
                inspect(way, &[&era[..], &["--method", "tools/list", "--strict"]].concat());
            assert!(
                is_done && listed.contains("\"search\"") && !listed.contains("\"write_file\""),
                "{name} {era:?}: {listed}"
            );
            let call = |tool: &str, argument: &str| {
                let call = ["--method", "tools/call", "--tool-name", tool, "--tool-arg", argument];
                inspect(way, &[&era[..], &call[..]].concat()).0
            };
            let found = call("search", "query=walrus");
            assert!(
                found.contains("/docs/open/a.md") && !found.contains("/docs/hidden"),
                "{name} {era:?}: {found}"
            );
            let denied = call("read_file", "path=/docs/hidden/b.md");
            assert!(denied.contains("not_found"), "{name} {era:?}: {denied}");
        }
    });
}

#[test]
fn the_examples_of_clients_ask_and_have_their_citations_checked() {
    let Some(tools) = test_tools_with("@modelcontextprotocol/client") else { return };
    let server = Server::start(FILES);
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/clients");
    // Node looks for packages beside the file.
    let folder = tempfile::tempdir().unwrap();
    for name in ["ask.ts", "package.json"] {
        std::fs::copy(examples.join("typescript").join(name), folder.path().join(name)).unwrap();
    }
    std::os::unix::fs::symlink(tools.join("node_modules"), folder.path().join("node_modules")).unwrap();
    let python = (tools.join("venv/bin/python"), examples.join("python/ask.py"));
    for (program, script) in [python, (tools.join("node"), folder.path().join("ask.ts"))] {
        let mut command = Command::new(program);
        command.arg(&script).arg("Where does the walrus swim?");
        let (said, is_done) =
            run(command.env("WAYPOST_URL", server.url("")).env("WAYPOST_TOKEN", &server.token));
        assert!(is_done, "{}: {said}", script.display());
        assert!(said.contains("The walrus swims in the open sea."), "{said}");
        assert!(said.contains("[1] /docs/open/a.md: valid"), "{said}");
    }
}

#[test]
fn a_relay_that_reaches_no_server_says_so_and_ends() {
    let server = Server::start("//- a.md\nfine\n");
    let gone = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let hello = json!({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {
        "protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "test", "version": "1"},
    }});
    for (url, token, why, code) in [
        (format!("http://{gone}"), server.token.as_str(), "can't be reached", 4),
        (server.url(""), "wp_0_0", "refuses the token", 3),
    ] {
        let mut relay = Command::new(env!("CARGO_BIN_EXE_waypost"))
            .args(["mcp", "--url", &url])
            .env("WAYPOST_TOKEN", token)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // Standard input stays open: it ends by itself.
        let mut input = relay.stdin.take().unwrap();
        writeln!(input, "{hello}").unwrap();
        let ended = relay.wait_with_output().unwrap();
        drop(input);
        let said: Value =
            serde_json::from_slice(&ended.stdout).unwrap_or_else(|error| panic!("{error}: {ended:?}"));
        assert!(text(&said["error"], "message").contains(why), "{said}");
        assert_eq!(ended.status.code(), Some(code), "{ended:?}");
        let stderr = String::from_utf8_lossy(&ended.stderr);
        assert!(!stderr.contains(token) && !stderr.contains("rmcp"), "{ended:?}");
    }
    // Standard input is at its end: it is told all the same.
    let run = |url: &str, token: &str, more: &[&str]| {
        let mut relay = Command::new(env!("CARGO_BIN_EXE_waypost"));
        relay.args(["mcp", "--url", url]).args(more).env("WAYPOST_TOKEN", token).stdin(Stdio::null());
        let ended = relay.output().unwrap();
        (ended.status.code(), String::from_utf8_lossy(&ended.stderr).into_owned())
    };
    assert_eq!(run("127.0.0.1:7077", "x", &[]).0, Some(2));
    let (code, said) = run(&server.url(""), &server.token, &["--toolsets", "nope"]);
    assert!(code == Some(2) && said.contains("there is no toolset `nope`"), "{code:?} {said}");
    let (code, said) = run(&server.url(""), "wp_0_0", &[]);
    assert!(code == Some(3) && said.contains("not known"), "{code:?} {said}");
    assert_eq!(run(&server.url(""), &server.token, &[]).0, Some(0));
}

/// A gate, and a person with a token that passes it.
fn with_gate(check: impl Fn(&Server, &str)) {
    let server = Server::start("//- drafts/a.md\nkeep silent\n//- drafts/b.md\nspeak\n");
    let admin = server.admin();
    admin.post("/v1/gates", &json!({"path": "/docs/approved/**"})).is(201);
    let lena = server.user("human:lena", &["list,read,write,delete,approve /docs/**"]);
    check(&server, &lena.token);
}

#[test]
fn a_person_at_a_client_that_can_ask_is_asked_before_a_gate_is_passed() {
    let Some(tools) = test_tools() else { return };
    let stories = [
        ("auto", json!("accept"), 1, None),
        ("legacy", json!("accept"), 1, None),
        ("auto", json!("decline"), 1, Some("declined")),
        ("legacy", json!("decline"), 1, Some("declined")),
        ("legacy", json!("refuse"), 1, Some("declined")),
        ("legacy", Value::Null, 0, None),
    ];
    for (mode, answer, asked, refused) in stories {
        with_gate(|server, token| {
            let story = json!({
                "mode": mode, "url": server.url("/mcp"), "token": token, "answer": answer,
                "source": "/docs/drafts/a.md", "destination": "/docs/approved/a.md",
            });
            let mut python = Command::new(tools.join("venv/bin/python"));
            let (said, is_done) = run(python.arg(script("python_approving.py")).arg(story.to_string()));
            assert!(is_done, "{story}: {said}");
            let seen: Value = serde_json::from_str(said.trim()).unwrap();
            assert_eq!(seen["asked"].as_array().unwrap().len(), asked, "{story}: {seen}");
            assert_eq!(seen["said"]["code"].as_str(), refused, "{story}: {seen}");
            let (here, gone) =
                if refused.is_some() { ("drafts", "approved") } else { ("approved", "drafts") };
            let admin = server.admin();
            admin.read(&format!("/docs/{here}/a.md")).is(200);
            admin.read(&format!("/docs/{gone}/a.md")).refuses(404, "not_found");
            let declined = admin.items("/v1/audit?principal=human:lena&outcome=denied&action=gate.");
            assert_eq!(declined.len(), usize::from(refused.is_some()), "{story}");
        });
    }
}

#[test]
fn attack_14_an_answer_counts_for_its_own_question_once() {
    with_gate(|server, token| {
        let other = server.user("human:otto", &["list,read,write,delete,approve /docs/**"]);
        let call = |token: &str, destination: &str, state: Option<&str>| {
            let mut params = json!({
                "name": "copy_file",
                "arguments": {"source": "/docs/drafts/a.md", "destination": destination},
                "_meta": {
                    "io.modelcontextprotocol/protocolVersion": "2026-07-28",
                    "io.modelcontextprotocol/clientCapabilities": {"elicitation": {"form": {}}},
                    "io.modelcontextprotocol/clientInfo": {"name": "test", "version": "1"},
                },
            });
            if let Some(state) = state {
                params["requestState"] = json!(state);
                let yes = json!({"action": "accept", "content": {"let_through": true}});
                params["inputResponses"] = json!({"confirm": yes});
            }
            let headers = [
                ("mcp-protocol-version", "2026-07-28"),
                ("mcp-method", "tools/call"),
                ("mcp-name", "copy_file"),
            ];
            let client = Client::modern_as(server, token);
            message(&client.send(
                &json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}),
                &headers,
            ))
        };
        let ask = || {
            let asked = call(token, "/docs/approved/a.md", None);
            assert_eq!(asked["result"]["resultType"], "input_required", "{asked}");
            let message = text(&asked["result"]["inputRequests"]["confirm"]["params"], "message").to_owned();
            assert!(message.contains("\"/docs/approved/a.md\""), "{message}");
            text(&asked["result"], "requestState").to_owned()
        };
        let refuses = |token: &str, destination: &str, state: &str| {
            let refused = call(token, destination, Some(state));
            assert_eq!(refused["error"]["code"], -32602, "{refused}");
        };
        refuses(token, "/docs/approved/a.md", "made up");
        refuses(&other.token, "/docs/approved/a.md", &ask());
        refuses(token, "/docs/approved/b.md", &ask());
        refuses(token, "/docs/drafts/c.md", &ask());
        let state = ask();
        let done = call(token, "/docs/approved/a.md", Some(&state));
        assert!(done["result"]["isError"] != true && done["error"].is_null(), "{done}");
        refuses(token, "/docs/approved/a.md", &state);
        let admin = server.admin();
        admin.read("/docs/approved/a.md").is(200);
        admin.read("/docs/approved/b.md").refuses(404, "not_found");
    });
}
