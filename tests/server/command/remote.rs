use std::process::Output;

use serde_json::{Value, json as value};

use super::{json, waypost};
use crate::support::Server;
use crate::users::text;

fn told(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Runs the binary against a server, as the holder of a token.
fn at(server: &Server, token: &str, arguments: &[&str]) -> Output {
    let flags = ["--url", &server.url(""), "--token", token, "--json"];
    waypost(server.folder.path(), &[arguments, &flags].concat())
}

fn done(output: &Output) -> Value {
    assert_eq!(output.status.code(), Some(0), "{}", told(output));
    json(output)
}

#[test]
fn an_approval_is_listed_shown_and_decided_while_the_server_runs() {
    let server = Server::start("//- a.md\nfine\n");
    let admin = server.admin();
    admin.post("/v1/gates", &value!({"path": "/docs/approved/**"})).is(201);
    let drafter = server.user("agent:drafter", &["list,read,write /docs/**"]);
    let waiting = |name: &str| {
        let reply = drafter.put(&format!("/docs/approved/{name}.md"), "Both keep silent.\n").json();
        text(&reply, "approval_id").to_owned()
    };
    let (good, bad) = (waiting("good"), waiting("bad"));
    let run = |arguments: &[&str]| at(&server, &server.token, arguments);

    let listed = done(&run(&["approval", "list", "--state", "pending"]));
    assert_eq!(listed["items"].as_array().map(Vec::len), Some(2), "{listed}");
    let shown = done(&run(&["approval", "show", &good]));
    assert_eq!(
        (text(&shown, "path"), text(&shown, "requester")),
        ("/docs/approved/good.md", "agent:drafter")
    );
    let granted = done(&run(&["approval", "grant", &good, "--reason", "read it"]));
    assert_eq!((text(&granted, "state"), text(&granted, "reason")), ("granted", "read it"));
    assert_eq!(granted["written"]["path"], "/docs/approved/good.md", "{granted}");
    assert_eq!(text(&done(&run(&["approval", "deny", &bad])), "state"), "denied");
    admin.read("/docs/approved/good.md").is(200);
    admin.read("/docs/approved/bad.md").is(404);

    // As somebody unknown, about what is not there, and without JSON.
    assert_eq!(at(&server, "wp_0_0", &["approval", "list"]).status.code(), Some(3));
    assert_eq!(run(&["approval", "show", "ap_none"]).status.code(), Some(1));
    let plain = waypost(
        server.folder.path(),
        &["approval", "show", &good, "--url", &server.url(""), "--token", &server.token],
    );
    assert!(String::from_utf8_lossy(&plain.stdout).contains("granted  agent:drafter: write"), "{plain:?}");
}

#[test]
fn tokens_and_webhooks_are_made_and_ended_while_the_server_runs() {
    let server = Server::start_quick("//- a.md\nfine\n");
    server.user("agent:a", &["list,read /docs/**"]);
    let run = |arguments: &[&str]| done(&at(&server, &server.token, arguments));

    let made = run(&["token", "add", "--principal", "agent:a", "--expires", "1h", "--verb", "list"]);
    let (id, token) = (text(&made, "id").to_owned(), text(&made, "token").to_owned());
    let with_it =
        || server.ask("GET", "/v1/whoami", &[("authorization", &format!("Bearer {token}"))], "").status;
    assert_eq!(with_it(), 200);
    let shown = run(&["token", "show", &id]);
    assert_eq!((text(&shown, "principal"), &shown["limits"]["verbs"]), ("agent:a", &value!(["list"])));
    let listed = run(&["token", "list"]);
    assert!(listed["items"].as_array().unwrap().iter().any(|token| token["id"] == id), "{listed}");
    run(&["token", "revoke", &id]);
    assert_eq!(with_it(), 401);

    let hook = run(&["webhook", "add", "http://127.0.0.1:8999/wake", "--kind", "file.created"]);
    let id = text(&hook, "id").to_owned();
    assert!(text(&hook, "secret").starts_with("whsec_"));
    assert_eq!(run(&["webhook", "pause", &id])["active"], false);
    assert_eq!(run(&["webhook", "resume", &id])["active"], true);
    assert_eq!(run(&["webhook", "show", &id])["kinds"], value!(["file.created"]));
    assert!(run(&["webhook", "deliveries", &id])["items"].is_array());
    run(&["webhook", "remove", &id]);
    assert_eq!(run(&["webhook", "list"])["items"], value!([]));
}

#[test]
fn a_home_that_a_server_has_leads_to_the_server() {
    let server = Server::start("//- a.md\nfine\n");
    let home = server.folder.path().join("home");
    for command in [&["approval", "list"][..], &["principal", "list"], &["task", "list"]] {
        let flags = ["--home", home.to_str().unwrap()];
        let refused = waypost(server.folder.path(), &[command, &flags].concat());
        assert_eq!(refused.status.code(), Some(4), "{}", told(&refused));
        assert!(told(&refused).contains("`--url`"), "{}", told(&refused));
    }
}
