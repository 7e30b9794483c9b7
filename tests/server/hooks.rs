use std::time::{Duration, Instant};

use serde_json::json;
use waypost_engine::api::{CommandHook, Engine};

use crate::receiver::Receiver;
use crate::support::{PATIENCE, Server};

fn hook(name: &str, script: &str) -> CommandHook {
    CommandHook {
        name: name.to_owned(),
        argv: ["/bin/sh", "-c", script].map(str::to_owned).into(),
        paths: vec!["/docs/**".to_owned()],
        kinds: vec!["file.created".to_owned()],
        principal: None,
        timeout_seconds: 10,
    }
}

fn wait_for(file: &std::path::Path) -> String {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match std::fs::read_to_string(file) {
            Ok(text) if text.ends_with('\n') => return text,
            _ => assert!(Instant::now() < deadline, "{} never came", file.display()),
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn put(server: &Server, path: &str) {
    assert_eq!(server.ask("PUT", &format!("/v1/files{path}"), &[], "Text.").status, 201);
}

#[test]
fn a_command_of_the_settings_gets_the_event_on_its_standard_input_and_its_output_is_kept() {
    let server = Server::start_quick("//- a.md\nAlpha.\n");
    let out = server.folder.path().join("out");
    let script =
        format!("cat > {0}.part; echo >> {0}.part; mv {0}.part {0}; echo done; exit 0", out.display());
    server.engine.set_commands(&[hook("mail", &script)]).unwrap();
    put(&server, "/docs/b.md");
    let event: serde_json::Value = serde_json::from_str(&wait_for(&out)).unwrap();
    assert_eq!(event["path"], "/docs/b.md");
    let deadline = Instant::now() + PATIENCE;
    loop {
        let page = server.get("/v1/webhooks/cmd_mail/deliveries").json();
        if page["items"][0]["state"] == "delivered" {
            assert_eq!(page["items"][0]["log"][0]["answer"], "done\n", "{page}");
            assert_eq!(page["items"][0]["last_status"], 0);
            break;
        }
        assert!(Instant::now() < deadline, "{page}");
        std::thread::sleep(Duration::from_millis(10));
    }
    let listed = server.get("/v1/webhooks").json();
    assert_eq!(listed["items"][0]["command"][0], "/bin/sh", "{listed}");
}

#[test]
fn a_command_can_be_neither_made_nor_changed_nor_removed_from_outside() {
    let server = Server::start_quick("//- a.md\nAlpha.\n");
    server.engine.set_commands(&[hook("mail", "exit 0")]).unwrap();
    let json = [("content-type", "application/json")];
    for (method, path, body) in [
        ("PATCH", "/v1/webhooks/cmd_mail", "{\"url\": \"https://example.com/\"}"),
        ("DELETE", "/v1/webhooks/cmd_mail", ""),
        ("POST", "/v1/webhooks/cmd_mail/rotate", "{}"),
        ("POST", "/v1/webhooks/cmd_mail/ping", ""),
        ("POST", "/v1/webhooks", "{\"url\": \"https://example.com/\", \"command\": [\"/bin/true\"]}"),
    ] {
        let refused = server.ask(method, path, &json, body);
        assert_eq!(refused.status, 400, "{method} {path}: {}", refused.text());
    }
    assert_eq!(server.get("/v1/webhooks").json()["items"].as_array().unwrap().len(), 1);
}

#[test]
fn a_command_that_leaves_the_settings_is_forgotten_and_one_that_stays_keeps_its_place() {
    let server = Server::start_quick("//- a.md\nAlpha.\n");
    let engine: &Engine = &server.engine;
    let out = server.folder.path().join("out");
    let script = format!("echo again >> {}", out.display());
    engine.set_commands(&[hook("mail", &script), hook("other", "exit 0")]).unwrap();
    put(&server, "/docs/b.md");
    wait_for(&out);
    engine.set_commands(&[hook("mail", &script)]).unwrap();
    put(&server, "/docs/c.md");
    let deadline = Instant::now() + PATIENCE;
    while wait_for(&out) != "again\nagain\n" {
        assert!(Instant::now() < deadline, "{}", wait_for(&out));
        std::thread::sleep(Duration::from_millis(10));
    }
    let listed = server.get("/v1/webhooks").json();
    assert_eq!(listed["items"].as_array().unwrap().len(), 1, "{listed}");
}

#[test]
fn the_webhooks_of_a_principal_that_is_removed_tell_nobody_of_the_next_one() {
    let server = Server::start_quick("//- a.md\nAlpha.\n");
    let (admin, old, new) = (server.admin(), Receiver::willing(), Receiver::willing());
    let rights = &["list,read,write /docs/**"];
    let before = server.user("agent:bob", rights);
    before.post("/v1/webhooks", &json!({"url": old.url()})).is(201);
    put(&server, "/docs/b.md");
    old.wait_for(1);
    server
        .engine
        .set_commands(&[CommandHook { principal: Some("agent:bob".into()), ..hook("mail", "exit 0") }])
        .unwrap();
    admin.delete("/v1/principals/agent:bob").is(204);
    let listed = admin.items("/v1/webhooks");
    assert!(listed.len() == 1 && listed[0]["id"] == "cmd_mail", "the operator's command stays: {listed:?}");
    let after = server.user("agent:bob", rights);
    after.post("/v1/webhooks", &json!({"url": new.url()})).is(201);
    put(&server, "/docs/c.md");
    assert_eq!(new.wait_for(1)[0].path(), "/docs/c.md");
    assert_eq!(old.got().len(), 1);
}
