use std::process::Output;

use serde_json::{Value, json as value};

use super::{json, waypost};
use crate::outage::Process;
use crate::support::{Server, bare_command};
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
        assert!(told(&refused).contains("`--url http://"), "{}", told(&refused));
        assert!(told(&refused).contains("`--token wp_"), "{}", told(&refused));
    }
}

const TRAVEL: &str = "//- travel.md\n# Travel\n\nClaims are sent within thirty days.\n";

#[test]
fn questions_are_put_to_the_server_that_has_the_home() {
    let server = Server::start(TRAVEL);
    let run = |arguments: &[&str]| at(&server, &server.token, arguments);
    let found = done(&run(&["search", "claims thirty days", "--explain"]));
    assert_eq!(found["results"][0]["citation"]["path"], "/docs/travel.md");
    assert_eq!(run(&["search", "zanzibar"]).status.code(), Some(1));
    assert_eq!(run(&["search", "claims", "--limit", "0"]).status.code(), Some(2));
    let asked = done(&run(&["ask", "When are claims sent?"]));
    assert_eq!(asked["citations"][0]["quote"], "Claims are sent within thirty days.");
    assert_eq!(at(&server, "wp_0_0", &["ask", "When are claims sent?"]).status.code(), Some(3));

    // As it is printed at home.
    let there = ["--url", &server.url(""), "--token", &server.token];
    let shown = |arguments: &[&str]| {
        let output = waypost(server.folder.path(), &[arguments, &there[..]].concat());
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    let printed = shown(&["ask", "When are claims sent?"]);
    assert!(printed.lines().any(|line| line == "  [1] /docs/travel.md:3  Travel"), "{printed}");
    let printed = shown(&["search", "claims thirty days"]);
    assert!(printed.starts_with("/docs/travel.md:1  ") && printed.contains("  Travel\n"), "{printed}");
}

#[test]
fn the_environment_names_a_server_and_a_flag_a_home() {
    let server = Server::start(TRAVEL);
    let run_in = |usual_home: &str, flags: &[&str]| {
        bare_command()
            .current_dir(server.folder.path())
            .envs([("WAYPOST_URL", server.url("")), ("WAYPOST_TOKEN", server.token.clone())])
            .env("WAYPOST_HOME", usual_home)
            .args(["--offline", "--json", "task", "list"])
            .args(flags)
            .output()
            .unwrap()
    };
    let run = |flags: &[&str]| run_in("home", flags);
    assert!(done(&run(&[]))["items"].is_array());
    let home = server.folder.path().join("home");
    assert_eq!(run(&["--home", home.to_str().unwrap()]).status.code(), Some(4), "it is held");
    assert_eq!(run(&["--home", "home"]).status.code(), Some(4), "a flag is one, whatever it says");
    assert!(done(&run(&["--home", "other"]))["items"].is_array(), "a token names no server");
    assert!(done(&run_in("", &[]))["items"].is_array());
    let unserved = run(&["--home", "other", "--token", "wp_0_0"]);
    assert_eq!(unserved.status.code(), Some(2), "{}", told(&unserved));
    assert!(told(&unserved).contains("`--token`"), "{}", told(&unserved));
}

#[test]
fn a_server_is_named_by_scheme_host_and_port_alone() {
    let folder = tempfile::tempdir().unwrap();
    for url in [
        "127.0.0.1:7077",
        "http://x:secret@127.0.0.1:1",
        "http://127.0.0.1:1/secret",
        "http://127.0.0.1:1/?secret",
    ] {
        let refused = waypost(folder.path(), &["task", "list", "--url", url]);
        assert_eq!(refused.status.code(), Some(2), "{}", told(&refused));
        assert!(!told(&refused).contains("secret"), "{}", told(&refused));
    }
    for name in ["", ".", ".."] {
        let refused = waypost(folder.path(), &["agent", "show", name, "--url", "http://127.0.0.1:1"]);
        assert!(told(&refused).contains("is no name"), "{}", told(&refused));
    }
}

#[test]
fn agents_and_tasks_are_managed_while_the_server_runs() {
    let server = Server::start(TRAVEL);
    let run = |arguments: &[&str]| at(&server, &server.token, arguments);
    let card = value!({
        "name": "Lea", "description": "Reviews contracts.",
        "capabilities": [{"name": "contract review", "examples": ["check this NDA"]}],
    });
    std::fs::write(server.folder.path().join("lea.json"), card.to_string()).unwrap();
    assert_eq!(text(&done(&run(&["agent", "add", "lea.json"])), "id"), "agent:lea");
    assert_eq!(done(&run(&["agent", "list"]))["items"][0]["name"], "Lea");
    assert_eq!(text(&done(&run(&["agent", "show", "lea"])), "description"), "Reviews contracts.");
    assert_eq!(json(&run(&["agent", "lint"]))["entries"], 1);
    assert!(json(&run(&["route", "check this NDA"]))["outcome"].is_string());
    let there = ["--url", &server.url(""), "--token", &server.token];
    let plain = |arguments: &[&str]| {
        let output = waypost(server.folder.path(), &[arguments, &there[..]].concat());
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    let shown = plain(&["agent", "show", "lea"]);
    assert!(shown.contains("  · contract review\n    \"check this NDA\""), "{shown}");
    assert!(plain(&["agent", "lint"]).contains("one entry: nothing to tell it apart from"));

    let task = done(&run(&["task", "add", "docs", "Review the contract", "--payload", "{\"page\": 3}"]));
    let id = text(&task, "task_id").to_owned();
    assert_eq!(task["payload"]["page"], 3, "{task}");
    let listed = done(&run(&["task", "list", "--workspace", "docs", "--state", "pending"]));
    assert_eq!(text(&listed["items"][0], "task_id"), id);
    assert!(plain(&["task", "show", &id]).contains("0 of 3 attempts  Review the contract"));
    assert_eq!(text(&done(&run(&["task", "cancel", &id, "done by hand"])), "task_id"), id);
    assert_eq!(run(&["task", "add", "docs", "x", "--payload", "{"]).status.code(), Some(2));
    assert_eq!(done(&run(&["agent", "inbox", "lea"]))["items"], value!([]));
    assert_eq!(run(&["agent", "remove", "lea"]).status.code(), Some(0));
    assert_eq!(done(&run(&["agent", "list"]))["items"], value!([]));
}

#[test]
fn budgets_and_memories_are_kept_while_the_server_runs() {
    let server = Server::start(TRAVEL);
    let run = |arguments: &[&str]| at(&server, &server.token, arguments);
    let made = done(&run(&["budget", "add", "*", "--usd", "2.50", "--calls", "5", "--tool", "git.*"]));
    let id = text(&made, "id").to_owned();
    assert_eq!((&made["limits"]["calls"], &made["target"]["tool"]), (&5.into(), &"git.*".into()), "{made}");
    assert_eq!(text(&done(&run(&["budget", "show", &id])), "holder"), "*");
    let there = ["--url", &server.url(""), "--token", &server.token];
    let plain = waypost(server.folder.path(), &[&["budget", "list"][..], &there[..]].concat());
    let shown = String::from_utf8_lossy(&plain.stdout).into_owned();
    assert!(shown.contains("* on tool git.* per day: ") && shown.contains("5 of 5 calls left"), "{shown}");
    let used = done(&run(&["budget", "usage", "--group-by", "principal"]));
    assert_eq!((&used["items"], &used["total"]["calls"]), (&value!([]), &0.into()), "{used}");
    done(&run(&["budget", "remove", &id]));
    assert_eq!(done(&run(&["budget", "list"]))["items"], value!([]));

    let kept = done(&run(&["memory", "remember", "The staging server runs in Frankfurt."]));
    assert_eq!(text(&kept, "status"), "kept");
    let path = text(&kept, "path").to_owned();
    assert_eq!(text(&done(&run(&["memory", "list"]))["items"][0], "path"), path);
    assert!(json(&run(&["memory", "recall", "where is staging hosted"]))["results"].is_array());
    assert_eq!(done(&run(&["memory", "append", "planning", "Who paints the boats?"]))["last"], 1);
    let thread = done(&run(&["memory", "thread", "planning", "--max-tokens", "500"]));
    assert_eq!(text(&thread["messages"][0], "text"), "Who paints the boats?");
    assert_eq!(text(&done(&run(&["memory", "forget", &path])), "forgotten"), path);
}

#[test]
fn the_first_token_waits_for_a_server_that_can_listen() {
    let folder = tempfile::tempdir().unwrap();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let listen = taken.local_addr().unwrap().to_string();
    let refused = waypost(folder.path(), &["serve", "--home", "home", "--listen", &listen]);
    assert_eq!(refused.status.code(), Some(4), "{}", told(&refused));
    assert!(!String::from_utf8_lossy(&refused.stdout).contains("wp_"));
    let server = Process::start(&folder.path().join("home"), "127.0.0.1:0");
    let token = server.token.clone().expect("nobody was told one before");
    let shown = waypost(folder.path(), &["task", "list", "--json", "--url", &server.url, "--token", &token]);
    assert!(done(&shown)["items"].is_array());
}
