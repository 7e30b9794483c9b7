use serde_json::{Value, json};

use super::fixture::{Fixture, serve, tool};
use crate::command::{json as printed, waypost};
use crate::mcp::{Client, in_both_eras, offered};
use crate::support::{Reply, Server};
use crate::users::{User, text};

const FILES: &str = "//- a.md\nfine\n";

impl User<'_> {
    fn put_tool(&self, id: &str, said: &Value) -> Reply {
        let headers = [("content-type", "application/json")];
        self.ask("PUT", &format!("/v1/tools/{id}"), &headers, &said.to_string())
    }
}

fn about(subject: &str) -> Value {
    let verbs = ["check", "create", "explain", "compare"];
    let examples: Vec<String> = verbs.iter().map(|verb| format!("{verb} the {subject}")).collect();
    json!({"title": subject, "description": format!("all about {subject}"), "examples": examples})
}

fn two_declared() -> Server {
    let server = Server::start(FILES);
    let mut charge = about("customer charge");
    charge["inputSchema"] = json!({"type": "object", "properties": {"amount": {"type": "integer"}}});
    charge["usd_per_call"] = json!(0.5);
    charge["pinned"] = json!(true);
    server.admin().put_tool("create_charge", &charge).is(201);
    server.admin().put_tool("post.weigh", &about("parcel weight")).is(201);
    server
}

fn candidates(user: &User<'_>, intent: &str) -> Vec<String> {
    let reply = user.post("/v1/route", &json!({"intent": intent, "kinds": ["tool"]})).is(200).json();
    let candidates = reply["candidates"].as_array().unwrap();
    candidates.iter().map(|candidate| text(candidate, "id").to_owned()).collect()
}

#[test]
fn a_tool_that_no_server_has_is_declared_found_replaced_and_removed() {
    let server = two_declared();
    let admin = server.admin();
    let shown = admin.get("/v1/tools/create_charge").is(200).json();
    assert_eq!((&shown["declared"], text(&shown, "state")), (&json!(true), "approved"), "{shown}");
    assert_eq!((text(&shown, "name"), text(&shown, "approved_by")), ("create_charge", "human:admin"));
    assert_eq!((&shown["server"], &shown["available"]), (&Value::Null, &json!(false)), "{shown}");
    assert_eq!(shown["input_schema"]["properties"]["amount"]["type"], "integer", "{shown}");
    assert_eq!(admin.tool_ids(""), ["create_charge", "post.weigh"]);

    let routed = admin.post("/v1/route", &json!({"intent": "compare the customer charge", "explain": true}));
    let routed = routed.is(200).json();
    assert_eq!(text(&routed, "outcome"), "routed", "{routed}");
    assert_eq!(
        (text(&routed["decision"], "id"), text(&routed["decision"], "kind")),
        ("create_charge", "tool")
    );
    let standing = &routed["candidates"][0]["standing"];
    assert_eq!((&standing["available"], &standing["price_usd"]), (&json!(true), &json!(0.5)), "{routed}");
    let why =
        json!({"intent": "compare the customer charge", "why": ["create_charge"], "why_not": ["post.weigh"]});
    let explained = admin.post("/v1/route/explain", &why).is(200).json();
    let verdicts: Vec<&str> =
        explained["entries"].as_array().unwrap().iter().map(|entry| text(entry, "verdict")).collect();
    assert_eq!(verdicts, ["decided", "behind"], "{explained}");
    assert_eq!(admin.post("/v1/route/lint", &json!({})).is(200).json()["entries"], 2);
    in_both_eras(&server, |client| {
        let (found, is_error) = client.call("find_tools", json!({"query": "explain the parcel weight"}));
        assert!(!is_error, "{found}");
        let first = &found["tools"][0];
        assert_eq!((text(first, "id"), &first["declared"]), ("post.weigh", &json!(true)), "{found}");
    });

    // What is put last holds, and the answer tells what it does to the others.
    let twin = admin.put_tool("create_charge", &about("parcel weight")).is(200).json();
    assert!(twin["lint"].is_array() && shown["lint"].is_null(), "{twin}");
    assert_eq!(
        (text(&twin, "description"), &twin["usd_per_call"]),
        ("all about parcel weight", &Value::Null)
    );
    // Without a description what the operator says of it changes, and nothing else.
    let priced = admin.put_tool("create_charge", &json!({"usd_per_call": 2})).is(200).json();
    assert_eq!(
        (text(&priced, "description"), &priced["usd_per_call"]),
        ("all about parcel weight", &json!(2.0))
    );

    admin.delete("/v1/tools/create_charge").is(204);
    admin.get("/v1/tools/create_charge").refuses(404, "not_found");
    assert_eq!(candidates(&admin, "explain the parcel weight"), ["post.weigh"]);
    let acts = admin.items("/v1/audit?action=tool.");
    for action in ["tool.declare", "tool.configure", "tool.forget"] {
        let is_told = |act: &Value| act["action"] == action && act["path"] == "create_charge";
        assert!(acts.iter().any(is_told), "{action}: {acts:?}");
    }
}

#[test]
fn who_may_not_call_a_declared_tool_does_not_learn_of_it() {
    let server = two_declared();
    let agent = server.tool_agent("agent:a", "create_*");
    assert_eq!(agent.tool_ids(""), ["create_charge"]);
    assert_eq!(candidates(&agent, "explain the parcel weight"), ["create_charge"]);
    let bare = |reply: Reply, id: &str| format!("{} {}", reply.status, reply.text().replace(id, "TOOL"));
    for (hidden, absent) in [
        (agent.get("/v1/tools/post.weigh"), agent.get("/v1/tools/post.none")),
        (agent.call_tool("post.weigh", json!({})), agent.call_tool("post.none", json!({}))),
    ] {
        assert_eq!(hidden.status, 404);
        assert_eq!(bare(hidden, "post.weigh"), bare(absent, "post.none"));
    }
    for id in ["create_charge", "post.weigh", "post.none"] {
        agent.put_tool(id, &about("dog food")).refuses(403, "forbidden");
        agent.put_tool(id, &json!({})).refuses(403, "forbidden");
    }
    agent.delete("/v1/tools/create_charge").refuses(403, "forbidden");
}

#[test]
fn a_call_of_a_declared_tool_says_that_it_has_no_server() {
    let server = two_declared();
    let agent = server.tool_agent("agent:a", "create_charge");
    let refused = agent.call_tool("create_charge", json!({"amount": 5}));
    refused.refuses(409, "tool_declared");
    let detail = text(&refused.json(), "detail").to_owned();
    assert!(detail.contains("without a server") && detail.contains("[[upstream]]"), "{detail}");
    assert_eq!(refused.header("retry-after"), "", "waiting brings no server");
    let client = Client::legacy(&server, "", &agent.token);
    let (refused, is_error) = client.call("call_tool", json!({"tool": "create_charge", "arguments": {}}));
    assert!(is_error && text(&refused, "code") == "tool_declared", "{refused}");
    // It is pinned, and still nothing that could be called.
    assert!(!offered(&client).contains(&"create_charge".to_owned()));
    let direct = client.request("tools/call", json!({"name": "create_charge", "arguments": {}}));
    assert!(direct["error"]["code"].is_number(), "{direct}");
    // Calls that never were speak against no tool.
    let again = json!({"intent": "compare the customer charge", "explain": true});
    let routed = agent.post("/v1/route", &again).is(200).json();
    assert_eq!(routed["candidates"][0]["standing"]["success"], 0.5, "{routed}");
}

#[test]
fn a_declaration_that_makes_no_sense_says_what_would() {
    let server = Server::start(FILES);
    let admin = server.admin();
    for said in [json!({}), json!({"usd_per_call": 1}), json!({"title": "x"}), json!({"description": " "})] {
        let refused = admin.put_tool("payments.create_charge", &said);
        refused.refuses(400, "invalid_request");
        assert!(refused.text().contains("`description` is"), "{said}: {}", refused.text());
    }
    for (said, code) in [
        (json!({"description": "x", "usd_per_call": -1}), "invalid_request"),
        (json!({"description": "x", "inputs": {}}), "invalid_request"),
        (json!({"description": "x", "input_schema": true}), "invalid_request"),
        (json!({"description": "x", "parameters": {"type": "nonsense"}}), "invalid_tool"),
    ] {
        admin.put_tool("payments.create_charge", &said).refuses(400, code);
    }
    for id in ["a%20b", ".x", "x."] {
        admin.put_tool(id, &json!({"description": "x"})).refuses(400, "invalid_tool");
    }
    assert_eq!(admin.tool_ids(""), Vec::<String>::new());
}

#[test]
fn a_server_describes_its_own_tools() {
    let Some(fixture) = Fixture::new(&[tool("echo", "Repeats.")]) else { return };
    let server = serve(vec![fixture.settings("fix", json!({}))]);
    let admin = server.admin();
    let listed = admin.put_tool("fix.echo", &json!({"description": "Says it again."}));
    listed.refuses(400, "invalid_request");
    assert!(listed.text().contains("describes its own tools"), "{}", listed.text());
    let other = admin.put_tool("fix.other", &json!({"description": "Says it again."}));
    other.refuses(400, "invalid_request");
    assert!(other.text().contains("another id"), "{}", other.text());
    let priced = admin.put_tool("fix.echo", &json!({"usd_per_call": 0.25})).is(200).json();
    assert_eq!((text(&priced, "description"), text(&priced, "server")), ("Repeats.", "fix"), "{priced}");
    assert_eq!((&priced["usd_per_call"], &priced["declared"]), (&json!(0.25), &Value::Null), "{priced}");
    admin.put_tool("fix", &json!({"description": "Mends things."})).is(201);
    assert_eq!(admin.tool_ids(""), ["fix", "fix.echo"]);
}

#[test]
fn tools_are_declared_by_command() {
    let folder = tempfile::tempdir().unwrap();
    assert_eq!(waypost(folder.path(), &["init", "."]).status.code(), Some(0));
    std::fs::write(folder.path().join("schema.json"), "{\"type\": \"object\", \"required\": [\"amount\"]}")
        .unwrap();
    let run = |arguments: &[&str]| waypost(folder.path(), &[&["tool"], arguments].concat());
    let add = ["add", "payments.create_charge", "--description", "Charges a card", "--usd-per-call", "0.02"];
    let more = ["--example", "charge the card", "--input-schema", "schema.json", "--json"];
    let added = printed(&run(&[&add[..], &more].concat()));
    assert!(added["declared"] == true && added["lint"].is_array(), "{added}");
    let shown = printed(&run(&["show", "payments.create_charge", "--json"]));
    assert_eq!((text(&shown, "name"), text(&shown, "description")), ("create_charge", "Charges a card"));
    assert_eq!(shown["input_schema"]["required"], json!(["amount"]), "{shown}");
    assert_eq!((&shown["examples"], &shown["usd_per_call"]), (&json!(["charge the card"]), &json!(0.02)));
    let called = run(&["call", "payments.create_charge"]);
    let told = String::from_utf8_lossy(&called.stderr).into_owned();
    assert!(!called.status.success() && told.contains("without a server"), "{told}");
    assert_eq!(run(&["remove", "payments.create_charge"]).status.code(), Some(0));
    assert_eq!(printed(&run(&["list", "--json"]))["items"], json!([]));
}
