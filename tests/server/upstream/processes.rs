use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use super::fixture::{Fixture, is_alive, plan, said, serve, settings, tool, wait_until_gone};
use crate::support::{Server, bare_command};
use crate::users::{eventually, text};

fn pids(fixture: &Fixture) -> Vec<u64> {
    let numbers = |what: &str, field: &str| -> Vec<u64> {
        fixture.log(what).iter().map(|line| line[field].as_u64().unwrap()).collect()
    };
    [numbers("start", "pid"), numbers("child", "child")].concat()
}

#[test]
fn a_dead_server_and_one_that_hangs_leave_the_others() {
    let Some(fixture) = Fixture::new(&[tool("echo", "Repeats.")]) else { return };
    let servers = vec![
        settings(json!({"name": "absent", "run": ["/no/such/program"]})),
        settings(json!({"name": "ended", "run": ["/bin/sh", "-c", "echo broken >&2; exit 3"]})),
        settings(json!({"name": "silent", "run": ["/bin/sleep", "600"]})),
        settings(json!({"name": "noise", "run": ["/bin/sh", "-c", "yes | head -c 1000000; sleep 600"]})),
        settings(json!({"name": "closed", "url": "http://127.0.0.1:9/mcp"})),
        settings(
            json!({"name": "unset", "url": "http://127.0.0.1:9/mcp", "headers": {"X": "${WAYPOST_NO_SUCH}"}}),
        ),
        fixture.settings("fix", json!({})),
    ];
    // It is up before any of them is.
    let server = Server::start_upstreams(plan(servers));
    server.wait_until("fix", "ready");
    assert_eq!(said(&server.admin().call_tool("fix.echo", json!({"a": 1}))), "{\"a\": 1}");
    for name in ["absent", "ended", "closed", "unset"] {
        let down = eventually(name, || Some(server.upstream(name)).filter(|it| it["last_error"].is_string()));
        assert_ne!(down["state"], "ready", "{down}");
    }
    assert!(text(&server.upstream("absent"), "last_error").contains("/no/such/program"));
    assert!(text(&server.upstream("unset"), "last_error").contains("WAYPOST_NO_SUCH"));
    assert_eq!(server.upstream("silent")["state"], "connecting");
    let waiting = server.get("/v1/tools").json();
    assert_eq!(waiting["items"].as_array().unwrap().len(), 1, "{waiting}");
    drop(server);
}

#[test]
fn a_server_that_was_killed_comes_back() {
    let Some(fixture) = Fixture::new(&[tool("echo", "Repeats."), tool("slow", "Takes its time.")]) else {
        return;
    };
    let server = serve(vec![fixture.settings("fix", json!({}))]);
    let admin = server.admin();
    let first = server.upstream("fix")["pid"].as_u64().unwrap();
    admin.call_tool("fix.echo", json!({})).is(200);
    let called = std::thread::scope(|threads| {
        let call = threads.spawn(|| admin.call_tool("fix.slow", json!({"seconds": 60})));
        eventually("the slow call is there", || (fixture.log("call").len() == 2).then_some(()));
        assert!(Command::new("kill").args(["-9", &first.to_string()]).status().unwrap().success());
        call.join().unwrap()
    });
    assert_eq!(called.problem(), (502, "tool_failed".to_owned()), "who was being served is told");
    let again = eventually("it is there again", || {
        let upstream = server.upstream("fix");
        let pid = upstream["pid"].as_u64().filter(|pid| *pid != first);
        (upstream["state"] == "ready" && pid.is_some()).then_some(upstream)
    });
    assert_eq!(again["restarts"], 1, "{again}");
    assert_eq!(said(&admin.call_tool("fix.echo", json!({"b": 2}))), "{\"b\": 2}");
    assert_eq!(admin.tool_ids("?state=quarantined"), Vec::<String>::new(), "it is the same as before");
}

#[test]
fn nothing_is_left_once_we_have_stopped() {
    let Some(plain) = Fixture::new(&[tool("echo", "Repeats.")]) else { return };
    let Some(deaf) = Fixture::new(&[tool("echo", "Repeats.")]) else { return };
    let with_child = settings(json!({"name": "plain", "run": plain.run(&["--child"])}));
    let stubborn = settings(json!({"name": "deaf", "run": deaf.run(&["--deaf", "--child"])}));
    let server = serve(vec![with_child, stubborn]);
    let all = [pids(&plain), pids(&deaf)].concat();
    assert_eq!(all.len(), 4, "{all:?}");
    assert!(all.iter().all(|pid| is_alive(*pid)), "{all:?}");
    let begun = std::time::Instant::now();
    drop(server);
    assert!(begun.elapsed() < std::time::Duration::from_secs(20));
    all.iter().for_each(|pid| wait_until_gone(*pid));
}

#[test]
#[cfg(target_os = "linux")]
fn servers_end_with_us_when_we_are_killed() {
    let Some(fixture) = Fixture::new(&[tool("echo", "Repeats.")]) else { return };
    let home = tempfile::tempdir().unwrap();
    std::fs::create_dir(home.path().join(".waypost")).unwrap();
    // It neither looks at its standard input nor at SIGTERM.
    let run = ["/bin/sh", "-c", "trap '' TERM; echo $$ > pid; while :; do sleep 1; done"];
    let text_of = |run: &[String]| json!(run).to_string();
    let sleeper: Vec<String> = run.iter().map(|word| (*word).to_owned()).collect();
    let toml = format!(
        "[[upstream]]\nname = \"fix\"\nrun = {}\n[[upstream]]\nname = \"sleeper\"\nrun = {}\n",
        text_of(&fixture.run(&["--deaf"])),
        text_of(&sleeper)
    );
    std::fs::write(home.path().join("waypost.toml"), toml).unwrap();
    let mut ours = bare_command()
        .args(["serve", "--offline", "--json", "--listen", "127.0.0.1:0", "--home"])
        .arg(home.path())
        .current_dir(home.path())
        .env("WAYPOST_MODELS", home.path().join("no-models"))
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(ours.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let announced: Value = serde_json::from_str(&line).unwrap();
    assert!(announced["url"].is_string(), "{announced}");
    let fix = fixture.wait_for("start", 0)["pid"].as_u64().unwrap();
    let sleeper: u64 = eventually("the sleeper is there", || {
        std::fs::read_to_string(home.path().join("pid")).ok()?.trim().parse().ok()
    });
    assert!(is_alive(fix) && is_alive(sleeper));
    ours.kill().unwrap();
    ours.wait().unwrap();
    wait_until_gone(fix);
    wait_until_gone(sleeper);
}
