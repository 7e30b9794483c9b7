use std::path::Path;
use std::process::{Command, Output, Stdio};

use serde_json::Value;

use super::{json, waypost};
use crate::support::bare_command;

fn told(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// As [`waypost`], with a variable of the environment and without `--offline`, for commands that fetch nothing.
fn waypost_with(folder: &Path, (name, text): (&str, &str), arguments: &[&str]) -> Output {
    bare_command()
        .current_dir(folder)
        .env("WAYPOST_MODELS", folder.join("no-models"))
        .env(name, text)
        .args(arguments)
        .output()
        .unwrap()
}

fn indexed() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("a.md"), "A walrus swims in the bay.\n").unwrap();
    assert_eq!(waypost(folder.path(), &["index", "."]).status.code(), Some(0));
    folder
}

#[test]
fn a_server_that_is_not_there_is_not_available() {
    let folder = tempfile::tempdir().unwrap();
    let gone = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let url = format!("http://{gone}");
    // Standard input is at its end: a relay has nothing to send, and says so all the same.
    for command in [&["mcp"][..], &["backup", "home.tar"]] {
        let output = waypost(folder.path(), &[command, &["--url", &url, "--token", "wp_0_0"]].concat());
        assert_eq!(output.status.code(), Some(4), "{command:?}: {}", told(&output));
    }
}

#[test]
fn meaning_alone_takes_a_model() {
    let home = indexed();
    for command in ["search", "ask"] {
        let output = waypost(home.path(), &[command, "walrus", "--mode", "semantic", "--json"]);
        assert_eq!(output.status.code(), Some(4), "{command}: {}", told(&output));
        let error = &json(&output)["error"];
        assert_eq!(error["exit_code"], 4);
        assert!(error["message"].as_str().unwrap().starts_with("no embedding model: "), "{error}");
        assert_eq!(told(&output).matches("is not on this machine").count(), 1, "{}", told(&output));
    }
}

#[test]
fn a_model_that_nobody_knows_is_a_mistake_of_who_names_it() {
    let home = indexed();
    let check = |output: &Output| {
        assert_eq!(output.status.code(), Some(2), "{}", told(output));
        assert_eq!(told(output).matches("unknown model `nosuch`").count(), 1, "{}", told(output));
        assert!(told(output).contains("all-minilm-l6-v2"), "{}", told(output));
    };
    for command in
        [&["search", "walrus"][..], &["index"], &["reindex"], &["token", "list"], &["models", "bench"]]
    {
        check(&waypost(home.path(), &[&["--model", "nosuch"], command].concat()));
    }
    check(&waypost(home.path(), &["models", "pull", "nosuch"]));
    check(&waypost_with(home.path(), ("WAYPOST_MODEL", "nosuch"), &["search", "walrus"]));
    std::fs::write(home.path().join("waypost.toml"), "model = \"nosuch\"\n").unwrap();
    check(&waypost(home.path(), &["ask", "walrus"]));
    let missing =
        waypost(home.path(), &["--model", "all-minilm-l6-v2", "--model-dir", "gone", "search", "walrus"]);
    assert_eq!(missing.status.code(), Some(2), "{}", told(&missing));
    assert!(told(&missing).contains("`gone`"), "{}", told(&missing));
}

#[test]
fn a_program_is_told_what_is_wrong_with_its_command_line() {
    let folder = tempfile::tempdir().unwrap();
    let check = |arguments: &[&str], expected: &str| {
        let output = waypost(folder.path(), arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        let error = &json(&output)["error"];
        assert_eq!(error["exit_code"], 2);
        let message = error["message"].as_str().unwrap();
        assert!(message.contains(expected) && !message.contains('\n'), "{message}");
        assert!(told(&output).contains("--help"), "{}", told(&output));
    };
    check(&["search", "--json"], "<QUERY>");
    check(&["nonsense", "--json"], "nonsense");
    check(&["--json", "search", "x", "--mode", "loud"], "possible values: hybrid");
    let plain = waypost(folder.path(), &["search"]);
    assert_eq!((plain.status.code(), plain.stdout.len()), (Some(2), 0));
    let help = waypost(folder.path(), &["search", "--help", "--json"]);
    assert_eq!(help.status.code(), Some(0));
}

#[test]
fn a_question_has_a_word() {
    let home = indexed();
    for (command, field) in [("search", "`query`"), ("ask", "`question`"), ("route", "`intent`")] {
        for typed in ["", "  "] {
            let output = waypost(home.path(), &[command, typed, "--json"]);
            assert_eq!(output.status.code(), Some(2), "{command} {typed:?}: {}", told(&output));
            let message = json(&output)["error"]["message"].as_str().unwrap().to_owned();
            assert!(message.contains(field) && message.contains("without a word: expected"), "{message}");
        }
    }
}

#[test]
fn a_number_that_is_none_is_told_what_is_expected() {
    let folder = tempfile::tempdir().unwrap();
    for (name, expected) in [
        ("WAYPOST_ROUTE_MAX_ERROR", "a share above 0 and below 1"),
        ("WAYPOST_INDEXING_MAX_LOAD", "a load above 0"),
        ("WAYPOST_GENERATE_TIMEOUT_S", "a number of seconds"),
        ("WAYPOST_WEBHOOK_RETRY_SECONDS", "seconds, separated by commas"),
    ] {
        for typed in ["abc", "0.1,x"] {
            let refused = waypost_with(folder.path(), (name, typed), &["config"]);
            assert_eq!(refused.status.code(), Some(2), "{name}: {}", told(&refused));
            let expected = format!("{name} is `{typed}`: expected {expected}");
            assert!(told(&refused).contains(&expected), "{expected}: {}", told(&refused));
        }
    }
}

#[test]
fn help_shows_how_a_command_is_used() {
    let folder = tempfile::tempdir().unwrap();
    for command in [
        "index",
        "search",
        "ask",
        "route",
        "serve",
        "init",
        "config",
        "mcp",
        "eval",
        "models",
        "check",
        "backup",
        "restore",
        "demo",
        "doctor",
        "prune",
        "task",
        "completions",
    ] {
        let help = waypost(folder.path(), &[command, "--help"]);
        let shown = String::from_utf8_lossy(&help.stdout).into_owned();
        assert!(
            shown.contains("Example") && shown.contains(&format!("waypost {command}")),
            "{command}: {shown}"
        );
    }
}

#[test]
fn a_switch_is_on_or_off_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["OFFLINE", "ARCHIVES", "MCP_SSE"] {
        let variable = format!("WAYPOST_{name}");
        let config = |text: &str| waypost_with(folder.path(), (&variable, text), &["config", "--json"]);
        for (text, expected) in [("1", true), ("true", true), ("Yes", true), ("0", false), ("no", false)] {
            let shown = json(&config(text));
            assert_eq!(shown[name.to_lowercase()]["value"], expected, "{variable}={text}");
        }
        let refused = config("maybe");
        assert_eq!(refused.status.code(), Some(2));
        assert!(
            told(&refused).contains(&variable) && told(&refused).contains("`maybe`"),
            "{}",
            told(&refused)
        );
    }
    let nowhere = waypost(folder.path(), &["config", "--home", "nowhere"]);
    assert_eq!(nowhere.status.code(), Some(2), "{}", told(&nowhere));
}

#[test]
fn an_error_is_told_once() {
    let folder = tempfile::tempdir().unwrap();
    let missing = waypost(folder.path(), &["index", "missing"]);
    assert_eq!(told(&missing).matches("No such file").count(), 1, "{}", told(&missing));
    std::fs::write(folder.path().join("a.md"), "fine\n").unwrap();
    let file = waypost(folder.path(), &["index", "a.md"]);
    assert_eq!(file.status.code(), Some(2));
    assert!(told(&file).contains("expected a folder"), "{}", told(&file));
}

#[test]
fn an_ignored_file_is_explained_as_one() {
    let home = indexed();
    let write = |name: &str, text: &str| std::fs::write(home.path().join(name), text).unwrap();
    write(".gitignore", "secret.md\n");
    write("secret.md", "A heron.\n");
    write("new.md", "An osprey.\n");
    let explained = |name: &str| json(&waypost(home.path(), &["index", "--explain", name, "--json"]));
    let secret = explained("secret.md");
    assert_eq!(secret["status"], "ignored", "{secret}");
    assert!(secret["reason"].as_str().unwrap().contains(".gitignore"), "{secret}");
    assert_eq!(explained("new.md")["status"], "pending");
    assert_eq!(explained("a.md")["status"], "indexed");
}

#[test]
fn the_tour_is_one_object_for_programs() {
    let folder = tempfile::tempdir().unwrap();
    let toured = waypost(folder.path(), &["demo", "--exit", "--json", "--home", "demo"]);
    assert_eq!(toured.status.code(), Some(0), "{}", told(&toured));
    let tour = json(&toured);
    assert!(tour["home"].as_str().unwrap().ends_with("demo"), "{tour}");
    assert_eq!(tour["url"], Value::Null, "nobody serves it");
    let first = &tour["questions"][0];
    assert!(
        first["question"].is_string() && first["as"].is_string() && first["answer"].is_string(),
        "{first}"
    );
    for principal in tour["principals"].as_array().unwrap() {
        let token = tour["tokens"][principal.as_str().unwrap()].as_str().unwrap();
        assert!(token.starts_with("wp_"), "{principal}");
    }
    assert!(told(&toured).contains("Larkweir Ltd"), "people read it on standard error");
    let listed = json(&waypost(folder.path(), &["workspace", "list", "--json", "--home", "demo"]));
    for workspace in listed["items"].as_array().unwrap() {
        assert_eq!(workspace["index"]["pending_files"], 0, "its agents wrote too: {workspace}");
    }
}

#[test]
fn a_home_that_may_only_be_read_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let run = |program: &str, arguments: &[&str]| {
        let mut command = Command::new(program);
        command.args(arguments).arg(folder.path()).stderr(Stdio::null());
        command.status().is_ok_and(|status| status.success())
    };
    // A disk that is mounted for reading, or, for who may mount none, files without the right to write.
    let is_mounted = run("mount", &["-t", "tmpfs", "-o", "size=64m", "tmpfs"]);
    let closed: &[&str] = if is_mounted { &["mount", "-o", "remount,ro"] } else { &["chmod", "-R", "a-w"] };
    let opened: &[&str] = if is_mounted { &["umount", "-l"] } else { &["chmod", "-R", "u+w"] };
    std::fs::write(folder.path().join("a.md"), "A walrus swims in the bay.\n").unwrap();
    let indexed = waypost(folder.path(), &["index", "."]);
    run(closed[0], &closed[1..]);
    let is_closed = std::fs::write(folder.path().join("probe"), "x").is_err();
    let asked = ["search", "ask", "index"].map(|command| {
        let words: &[&str] =
            if command == "index" { &["index", ".", "--json"] } else { &[command, "walrus", "--json"] };
        waypost(folder.path(), words)
    });
    run(opened[0], &opened[1..]);
    assert_eq!(indexed.status.code(), Some(0), "{}", told(&indexed));
    if !is_closed {
        println!("skipped: no rights to mount a disk, and no way to be refused");
        return;
    }
    for output in asked {
        assert_eq!(output.status.code(), Some(4), "{}", told(&output));
        let message = json(&output)["error"]["message"].as_str().unwrap().to_owned();
        assert!(message.contains("is read-only") && message.contains("`--home`"), "{message}");
    }
}
