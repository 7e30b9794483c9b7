use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::command::{json, waypost};
use crate::outage::Process;
use crate::support::bare_command;

/// No test waits longer for something that must happen.
const PATIENCE: Duration = Duration::from_secs(20);

fn home() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(
        folder.path().join("a.md"),
        "# Travel\n\nClaims for travel are sent to the office within thirty days.\n",
    )
    .unwrap();
    assert_eq!(waypost(folder.path(), &["index", "."]).status.code(), Some(0));
    folder
}

/// What the doctor says of one check.
fn finding(output: &Output, check: &str) -> Value {
    let all = json(output);
    let found = all["findings"].as_array().unwrap().iter().find(|finding| finding["check"] == check).cloned();
    found.unwrap_or_else(|| panic!("nothing of `{check}` in {all}"))
}

#[test]
fn the_doctor_finds_what_is_wrong_and_says_what_to_do() {
    let home = home();
    let doctor = || waypost(home.path(), &["doctor", "--json"]);
    let healthy = doctor();
    assert_eq!(healthy.status.code(), Some(0), "{}", json(&healthy));
    for check in ["disk", "files", "settings", "reading", "home", "index", "webhooks", "tools", "approvals"] {
        assert_eq!(finding(&healthy, check)["state"], "good", "{check}: {}", json(&healthy));
    }
    let model = finding(&healthy, "model");
    assert_eq!(
        (&model["state"], &model["next"]),
        (&"warning".into(), &"fetch it with `waypost models pull`".into())
    );

    let added = json(&waypost(home.path(), &["webhook", "add", "https://hooks.example/x", "--json"]));
    let id = added["id"].as_str().unwrap_or_else(|| panic!("{added}"));
    assert_eq!(waypost(home.path(), &["webhook", "pause", id]).status.code(), Some(0));
    let paused = finding(&doctor(), "webhooks");
    assert_eq!(paused["state"], "warning");
    assert!(paused["says"].as_str().unwrap().contains(id), "{paused}");

    std::fs::write(home.path().join("waypost.toml"), "[route]\nmax_error = 3.0\n").unwrap();
    let broken = doctor();
    assert_eq!(broken.status.code(), Some(1));
    let settings = finding(&broken, "settings");
    assert_eq!(settings["state"], "bad");
    assert!(settings["says"].as_str().unwrap().contains("error rate"), "{settings}");

    let nowhere = tempfile::tempdir().unwrap();
    let lost = waypost(nowhere.path(), &["doctor", "--json"]);
    assert_eq!((lost.status.code(), finding(&lost, "home")["state"].as_str()), (Some(1), Some("bad")));
    assert!(!nowhere.path().join(".waypost").exists(), "looking makes no home");
}

#[test]
fn the_doctor_tells_a_served_home_from_a_broken_one() {
    let home = home();
    let process = Process::start(home.path(), "127.0.0.1:0");
    let address = process.url.trim_start_matches("http://");
    let settings = home.path().join("waypost.toml");
    std::fs::write(settings, format!("listen = \"{address}\"\n")).unwrap();
    let served = waypost(home.path(), &["doctor", "--json"]);
    assert_eq!(served.status.code(), Some(0), "{}", json(&served));
    let found = finding(&served, "home");
    assert!(found["says"].as_str().unwrap().contains("a server answers"), "{found}");
    drop(process);

    let store = file_ending(&home.path().join(".waypost/index"), "store").unwrap();
    let mut bytes = std::fs::read(&store).unwrap();
    let third = bytes.len() / 3;
    bytes[third] ^= 0xff;
    std::fs::write(store, bytes).unwrap();
    let rotten = waypost(home.path(), &["doctor", "--json"]);
    assert_eq!(rotten.status.code(), Some(1), "{}", json(&rotten));
    assert!(finding(&rotten, "home")["next"].as_str().unwrap().contains("waypost check"));
    assert_eq!(waypost(home.path(), &["check", "--repair"]).status.code(), Some(0), "it is built anew");
    assert_eq!(waypost(home.path(), &["search", "travel claims"]).status.code(), Some(0));
    assert_eq!(waypost(home.path(), &["doctor"]).status.code(), Some(0));
}

fn file_ending(folder: &Path, ending: &str) -> Option<PathBuf> {
    let mut entries = std::fs::read_dir(folder).ok()?.flatten().map(|entry| entry.path());
    entries.find_map(|path| match path.is_dir() {
        true => file_ending(&path, ending),
        false => path.extension().is_some_and(|end| end == ending).then_some(path),
    })
}

#[test]
fn shells_and_manuals_know_every_command() {
    let folder = tempfile::tempdir().unwrap();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = waypost(folder.path(), &["completions", shell]);
        let text = String::from_utf8(script.stdout).unwrap();
        assert!(text.contains("snapshot") && text.contains("net-allow"), "{shell}");
    }
    let pages = folder.path().join("man");
    assert_eq!(waypost(folder.path(), &["man", "--dir", "man"]).status.code(), Some(0));
    for page in ["waypost.1", "waypost-search.1", "waypost-webhook-add.1", "waypost-doctor.1"] {
        let text =
            std::fs::read_to_string(pages.join(page)).unwrap_or_else(|error| panic!("{page}: {error}"));
        assert!(text.contains(".SH NAME"), "{page}");
    }
    let printed = waypost(folder.path(), &["man"]);
    assert!(String::from_utf8(printed.stdout).unwrap().contains(".TH waypost 1"));
}

#[test]
fn a_folder_of_ones_own_is_measured_and_left_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let docs = folder.path().join("docs");
    std::fs::create_dir(&docs).unwrap();
    let texts = [
        ("travel.md", "Claims for travel are sent to the office within thirty days of the last one.\n"),
        ("leave.md", "Every member of the company has twenty five days of paid leave in a year.\n"),
    ];
    for (name, text) in texts {
        std::fs::write(docs.join(name), text).unwrap();
    }
    let measured = json(&waypost(folder.path(), &["bench", "docs", "--no-model", "--json"]));
    assert_eq!((&measured["indexing"]["files"], &measured["indexing"]["chunks"]), (&2.into(), &2.into()));
    let lexical = &measured["searching"][0];
    assert_eq!((&lexical["mode"], &lexical["queries"]), (&"lexical".into(), &2.into()));
    assert_eq!((lexical["first"].as_f64(), lexical["found"].as_f64()), (Some(1.0), Some(1.0)));
    assert!(measured["indexing"]["index_bytes"].as_u64().unwrap() > 0, "{measured}");
    assert_eq!(std::fs::read_dir(&docs).unwrap().count(), 2, "nothing is left behind");
    assert_eq!(waypost(folder.path(), &["bench", "nowhere"]).status.code(), Some(2));
}

/// Asks for the workspaces under a host's name, and gives the status.
fn status(process: &Process, token: &str, host: &str) -> u16 {
    let agent: ureq::Agent = ureq::Agent::config_builder().http_status_as_error(false).build().into();
    let request = agent
        .get(format!("{}/v1/workspaces", process.url))
        .header("authorization", format!("Bearer {token}"))
        .header("host", host);
    request.call().unwrap().status().as_u16()
}

#[test]
fn settings_are_read_again_while_the_server_runs() {
    let home = home();
    let settings = home.path().join("waypost.toml");
    let mut process = told(home.path(), &[]);
    let token = process.token.clone().unwrap();
    let mut log = BufReader::new(process.log()).lines();
    let mut logged = |text: &str| assert!(log.any(|line| line.unwrap().contains(text)), "never said: {text}");
    let wait = |host: &str, expected: u16| {
        let deadline = Instant::now() + PATIENCE;
        while status(&process, &token, host) != expected {
            assert!(Instant::now() < deadline, "`{host}` never gave {expected}");
            std::thread::sleep(Duration::from_millis(10));
        }
    };
    let hang_up = || {
        let pid = process.pid().to_string();
        assert!(Command::new("kill").args(["-HUP", &pid]).status().unwrap().success());
    };
    assert_eq!(status(&process, &token, "way.example"), 403);
    std::fs::write(&settings, "allowed_hosts = [\"way.example\"]\n").unwrap();
    hang_up();
    wait("way.example", 200);

    // What can't be read changes nothing, nor does what would switch TLS on.
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/server/tls");
    let (cert, key) = (folder.join("cert.pem"), folder.join("key.pem"));
    let tls = format!("[tls]\ncert = {cert:?}\nkey = {key:?}\n");
    for (wrong, said) in
        [("allowed_hosts = 3\n", "can't be taken"), (tls.as_str(), "TLS begins and ends with a restart")]
    {
        std::fs::write(&settings, wrong).unwrap();
        hang_up();
        logged(said);
        assert_eq!(status(&process, &token, "way.example"), 200, "{wrong}");
    }
    std::fs::write(&settings, "[limits]\nrequests_per_second = 1\nburst = 1\n").unwrap();
    hang_up();
    wait("localhost", 429);
    assert_eq!(status(&process, &token, "way.example"), 403, "the name was taken back");
}

#[test]
fn a_mistake_in_the_settings_is_named_by_its_place_and_never_shown() {
    let home = home();
    let settings = home.path().join("waypost.toml");
    let upstream = "[[upstream]]\nname = \"far\"\nurl = \"https://far.example/mcp\"\n";
    let wrong = [
        ("header = { Authorization = \"Bearer SEKRET123\" }\n", "line 4, column 1: unknown field `header`"),
        (
            "headers = \"Bearer SEKRET123, expected\"\n",
            "line 4, column 11: invalid type: string, expected a map",
        ),
        ("headers = { Authorization = Bearer SEKRET123 }\n", "line 4, column "),
    ];
    let mut process = told(home.path(), &[]);
    let hang_up = |pid: u32| {
        assert!(Command::new("kill").args(["-HUP", &pid.to_string()]).status().unwrap().success());
    };
    let mut log = BufReader::new(process.log()).lines();
    for (line, expected) in wrong {
        std::fs::write(&settings, format!("{upstream}{line}")).unwrap();
        let refused = waypost(home.path(), &["config"]);
        let said = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert!(said.contains(expected) && said.contains("waypost.toml"), "{said}");
        assert!(!said.contains("SEKRET"), "{said}");
        hang_up(process.pid());
        let said = log.find_map(|line| line.ok().filter(|line| line.contains("can't be taken"))).unwrap();
        assert!(said.contains(expected) && !said.contains("SEKRET"), "{said}");
    }
}

#[test]
fn every_line_of_a_json_log_is_an_object() {
    let home = tempfile::tempdir().unwrap();
    std::fs::create_dir(home.path().join(".waypost")).unwrap();
    let mut server = told(home.path(), &[("WAYPOST_LOG_FORMAT", "json")]);
    let mut written = server.log();
    server.stop();
    let mut log = String::new();
    written.read_to_string(&mut log).unwrap();
    let lines = log.lines().map(|line| {
        serde_json::from_str::<Value>(line).unwrap_or_else(|error| panic!("{error}: {line} in {log}"))
    });
    let messages: Vec<String> =
        lines.map(|line| line["message"].as_str().unwrap_or_default().to_owned()).collect();
    assert!(messages.iter().any(|message| message.contains("has no workspace yet")), "{messages:?}");
    assert!(messages.iter().any(|message| message == "stopped"), "{messages:?}");
}

#[test]
fn a_server_that_says_it_is_there_can_be_stopped_at_once() {
    let home = home();
    for _ in 0..4 {
        // It ends well, as an operator's stop has it, and not by the signal.
        Process::start(home.path(), "127.0.0.1:0").stop();
    }
}

#[test]
fn the_tour_names_the_address_that_is_served() {
    let folder = tempfile::tempdir().unwrap();
    let mut tour = bare_command()
        .args(["demo", "--offline", "--listen", "127.0.0.1:0", "--home"])
        .arg(folder.path().join("demo"))
        .env("WAYPOST_MODELS", folder.path().join("no-models"))
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(tour.stdout.take().unwrap()).lines().map_while(Result::ok);
    let tried = lines.find(|line| line.contains("try: curl")).unwrap();
    let serving = lines.find(|line| line.contains("serving http")).unwrap();
    let address = |line: &str| {
        let rest = line.split("http://").nth(1).unwrap();
        rest.split(['/', ' ']).next().unwrap().to_owned()
    };
    assert_eq!(address(&tried), address(&serving));
    assert!(!address(&tried).ends_with(":0"), "{tried}");
    assert!(Command::new("kill").arg(tour.id().to_string()).status().unwrap().success());
    assert!(tour.wait().unwrap().success());
}

#[test]
fn every_command_that_a_reader_is_told_of_is_there() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut pages = vec![root.join("README.md"), root.join("examples/README.md")];
    let guide = std::fs::read_dir(root.join("server/guide/src")).unwrap().flatten();
    pages.extend(guide.map(|entry| entry.path()));
    let mut told = std::collections::BTreeSet::new();
    for page in pages {
        let text = std::fs::read_to_string(&page).unwrap();
        let lines = text.lines().filter_map(|line| line.strip_prefix("$ waypost "));
        told.extend(lines.map(|line| {
            let is_name = |word: &&str| {
                word.starts_with(|c: char| c.is_ascii_lowercase())
                    && word.chars().all(|c| c.is_ascii_lowercase() || c == '-')
            };
            line.split_whitespace().take(2).take_while(is_name).map(str::to_owned).collect::<Vec<_>>()
        }));
    }
    assert!(told.len() > 30, "{told:?}");
    let folder = tempfile::tempdir().unwrap();
    for mut words in told {
        words.push("--help".to_owned());
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let helped = waypost(folder.path(), &words);
        assert_eq!(helped.status.code(), Some(0), "{words:?}: {}", String::from_utf8_lossy(&helped.stderr));
    }
}

#[test]
fn every_setting_that_there_is_stands_in_the_guide() {
    let folder = tempfile::tempdir().unwrap();
    let settings = json(&waypost(folder.path(), &["config", "--json"]));
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("guide/src/operation.md");
    let page = std::fs::read_to_string(page).unwrap();
    // The table of the file's keys names variables too, and those are named like what `config` prints.
    let of_the_file = |name: &str| matches!(name, "commands" | "upstreams" | "generate_gguf");
    for name in settings.as_object().unwrap().keys().filter(|name| !of_the_file(name.as_str())) {
        let variable = format!("`WAYPOST_{}`", name.to_uppercase());
        assert!(page.contains(&variable), "{variable}");
    }
}

/// A server whose log is kept.
fn told(home: &Path, variables: &[(&str, &str)]) -> Process {
    Process::start_with(home, "127.0.0.1:0", variables, Stdio::piped())
}

fn search(server: &Process, headers: &[(&str, &str)]) {
    let agent: ureq::Agent = ureq::Agent::config_builder().http_status_as_error(false).build().into();
    let asked = agent.post(format!("{}/v1/search", server.url));
    let asked = headers.iter().fold(asked, |asked, (name, value)| asked.header(*name, *value));
    let asked = asked.header("authorization", format!("Bearer {}", server.token.as_ref().unwrap()));
    let reply = asked.send_json(serde_json::json!({"query": "thirty days of zanzibar"}));
    assert_eq!(reply.unwrap().status(), 200);
}

#[test]
fn the_log_tells_what_happens_and_no_secret() {
    let home = home();
    let mut server =
        told(home.path(), &[("WAYPOST_LOG_FILTER", "waypost=debug"), ("WAYPOST_LOG_FORMAT", "json")]);
    search(&server, &[]);
    let (token, mut written) = (server.token.clone().unwrap(), server.log());
    server.stop();
    let mut log = String::new();
    written.read_to_string(&mut log).unwrap();
    let lines: Vec<Value> = log.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    let says = |message: &str| lines.iter().any(|line| line["message"] == message);
    assert!(says("serving") && says("answered") && says("stopped"), "{log}");
    let secret = token.rsplit('_').next().unwrap();
    assert!(!log.contains(secret) && !log.contains("zanzibar") && !log.contains("thirty"), "{log}");
}

#[test]
fn spans_of_requests_belong_to_their_senders_trace() {
    let home = home();
    let collector = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", collector.local_addr().unwrap());
    let mut server = told(home.path(), &[("WAYPOST_OTLP", &address)]);
    let (trace, parent) = ("4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7");
    search(&server, &[("traceparent", &format!("00-{trace}-{parent}-01"))]);
    let taking = std::thread::spawn(move || {
        let (mut stream, _) = collector.accept().unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut reader = BufReader::new(stream.try_clone().unwrap());
        let (mut head, mut length) = (String::new(), 0);
        loop {
            let mut line = String::new();
            reader.read_line(&mut line).unwrap();
            if line.trim().is_empty() {
                break;
            }
            if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                length = value.trim().parse().unwrap();
            }
            head.push_str(&line);
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body).unwrap();
        stream
            .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Type: application/json\r\n\r\n{}")
            .unwrap();
        (head, String::from_utf8(body).unwrap())
    });
    server.stop();
    let (head, body) = taking.join().unwrap();
    assert!(head.starts_with("POST /v1/traces "), "{head}");
    let sent: Value = serde_json::from_str(&body).unwrap();
    let spans =
        sent["resourceSpans"][0]["scopeSpans"][0]["spans"].as_array().unwrap_or_else(|| panic!("{body}"));
    let request =
        spans.iter().find(|span| span["name"] == "POST /v1/search").unwrap_or_else(|| panic!("{body}"));
    assert_eq!((&request["traceId"], &request["parentSpanId"]), (&trace.into(), &parent.into()));
    let engine =
        spans.iter().find(|span| span["name"] == "engine" && span["parentSpanId"] == request["spanId"]);
    assert!(engine.is_some_and(|span| span["traceId"] == trace), "{body}");
    assert!(!body.contains("zanzibar") && !body.contains("thirty"), "{body}");
}

#[test]
fn a_relay_ends_with_its_client_wherever_that_stopped() {
    let home = home();
    let process = Process::start(home.path(), "127.0.0.1:0");
    let mut relay = bare_command()
        .args(["mcp", "--url", &process.url])
        .env("WAYPOST_TOKEN", process.token.as_ref().unwrap())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = relay.stdin.take().unwrap();
    let hello = r#"{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"t","version":"1"}}}"#;
    writeln!(input, "{hello}").unwrap();
    let mut answer = String::new();
    BufReader::new(relay.stdout.take().unwrap()).read_line(&mut answer).unwrap();
    assert!(answer.contains("serverInfo"), "{answer}");
    // It goes before it has said that it is ready.
    drop(input);
    let deadline = Instant::now() + PATIENCE;
    while relay.try_wait().unwrap().is_none() {
        if Instant::now() > deadline {
            let _ = relay.kill();
            panic!("it never ended");
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}
