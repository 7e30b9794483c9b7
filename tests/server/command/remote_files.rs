use std::path::PathBuf;
use std::process::Output;

use serde_json::{Value, json as value};

use super::{json, waypost};
use crate::outage::Process;
use crate::upstream::test_tools;
use crate::users::{eventually, text};

const PLAN: &str = "/docs/notes/plan.md";

/// A home with an empty workspace `docs`, and the binary that serves it.
struct Served {
    folder: tempfile::TempDir,
    server: Process,
    token: String,
}

impl Served {
    /// With these settings.
    fn start(settings: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let home = folder.path().join("home");
        std::fs::create_dir_all(home.join(".waypost")).unwrap();
        std::fs::write(home.join("waypost.toml"), settings).unwrap();
        std::fs::write(folder.path().join("plan.txt"), "one\ntwo\nthree\n").unwrap();
        done(&waypost(folder.path(), &["workspace", "add", "docs", "--home", "home", "--json"]));
        let server = Process::start(&home, "127.0.0.1:0");
        let token = server.token.clone().expect("nobody was told one before");
        Self { folder, server, token }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn at(&self, token: &str, arguments: &[&str]) -> Output {
        let flags = ["--url", &self.server.url, "--token", token];
        waypost(self.folder.path(), &[arguments, &flags].concat())
    }

    fn code(&self, arguments: &[&str]) -> Option<i32> {
        self.at(&self.token, arguments).status.code()
    }

    #[track_caller]
    fn did(&self, arguments: &[&str]) -> Value {
        done(&self.at(&self.token, &[arguments, &["--json"]].concat()))
    }

    /// Stops the server and asks the home the same; it says what the server said, for people and for programs.
    #[track_caller]
    fn tells_alike_at_home(mut self, commands: &[&[&str]]) {
        let commands: Vec<Vec<&str>> = commands.iter().flat_map(|command| in_both_forms(command)).collect();
        let there: Vec<Output> = commands.iter().map(|command| self.at(&self.token, command)).collect();
        self.server.stop();
        for (command, there) in commands.iter().zip(there) {
            let here = waypost(self.folder.path(), &[&command[..], &["--home", "home"]].concat());
            assert_eq!(there.status.code(), here.status.code(), "{command:?}: {}", told(&there));
            assert_eq!(without_places(&there), without_places(&here), "{command:?}");
        }
    }
}

fn in_both_forms<'a>(command: &[&'a str]) -> [Vec<&'a str>; 2] {
    [command.to_vec(), [command, &["--json"]].concat()]
}

fn told(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[track_caller]
fn done(output: &Output) -> Value {
    assert_eq!(output.status.code(), Some(0), "{}", told(output));
    json(output)
}

/// Places in the journal are sealed for who reads them.
fn without_places(output: &Output) -> String {
    let shown = String::from_utf8_lossy(&output.stdout).into_owned();
    let mut parts = shown.split("sq_");
    let first = parts.next().unwrap_or_default().to_owned();
    let rest = parts
        .map(|part| part.trim_start_matches(|c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-'));
    rest.fold(first, |all, part| all + "sq_…" + part)
}

#[test]
fn files_are_changed_at_a_server_and_told_as_at_home() {
    let served = Served::start("");
    let written = served.did(&["file", "write", PLAN, "plan.txt"]);
    assert_eq!((&written["created"], &written["size"]), (&true.into(), &14.into()), "{written}");
    let first = text(&written, "version").to_owned();
    let edit = ["file", "edit", PLAN, "--old", "two", "--new", "2"];
    let dry = served.did(&[&edit[..], &["--dry-run"]].concat());
    assert!(text(&dry, "diff").contains("+2\n") && dry["version"].is_null(), "{dry}");
    let second = text(&served.did(&edit), "version").to_owned();
    assert_ne!(first, second);
    assert_eq!(served.code(&["file", "write", PLAN, "plan.txt", "--if-version", &first]), Some(1));
    assert_eq!(served.did(&["file", "append", PLAN, "plan.txt"])["size"], 26);
    assert_eq!(text(&served.did(&["file", "restore", PLAN, &first]), "version"), first);

    served.did(&["file", "copy", PLAN, "/docs/notes/a copy.md"]);
    let moved = served.did(&["file", "move", "/docs/notes/a copy.md", "/docs/kept & moved?.md"]);
    assert_eq!(text(&moved, "path"), "/docs/kept & moved?.md");
    served.did(&["file", "mkdir", "/docs/empty"]);
    served.did(&["file", "write", "/docs/scratch/a.md", "plan.txt"]);
    assert_ne!(served.code(&["file", "delete", "/docs/scratch"]), Some(0), "it is a folder");
    served.did(&["file", "delete", "/docs/scratch", "--recursive"]);
    assert_eq!(served.code(&["file", "info", "/docs/scratch/a.md"]), Some(1));

    let last = served.at(&served.token, &["file", "read", PLAN, "--tail", "1"]);
    assert_eq!(last.stdout, b"three\n", "{}", told(&last));
    assert_eq!(served.at("wp_0_0", &["file", "read", PLAN]).status.code(), Some(3));
    assert_eq!(served.at("wp_0_0", &["file", "write", PLAN, "plan.txt"]).status.code(), Some(3));
    for path in [PLAN, "/docs/kept & moved?.md"] {
        eventually("a file that is indexed", || {
            (served.did(&["file", "info", path])["status"] == "indexed").then_some(())
        });
    }
    served.tells_alike_at_home(&[
        &["file", "list"],
        &["file", "list", "/docs/notes"],
        &["file", "list", "/docs/../docs"],
        &["file", "tree"],
        &["file", "tree", "/", "--depth", "1"],
        &["file", "tree", "/docs", "--depth", "1"],
        &["file", "info", PLAN],
        &["file", "info", "/docs/notes"],
        &["file", "info", "/docs/nothing.md"],
        &["file", "find", "**/*.md"],
        &["file", "find", "md", "-n", "1"],
        &["file", "find", "nothing"],
        &["file", "history", PLAN],
        &["file", "history", "/docs/kept & moved?.md"],
        &["file", "diff", PLAN, &second],
        &["file", "read", "/docs/kept & moved?.md"],
        &["file", "read", PLAN, "--head", "2"],
        &["file", "read", PLAN, "--version", &second],
    ]);
}

#[test]
fn snapshots_and_locks_are_made_at_a_server_and_told_as_at_home() {
    let served = Served::start("");
    served.did(&["file", "write", "/docs/a.md", "plan.txt"]);
    let taken = served.did(&["snapshot", "create", "docs", "--name", "before"]);
    let id = text(&taken["items"][0], "id").to_owned();
    assert_eq!(served.did(&["snapshot", "create"])["items"].as_array().map(Vec::len), Some(1));
    served.did(&["file", "write", "/docs/b.md", "plan.txt"]);
    let diff = served.did(&["snapshot", "diff", &id]);
    assert_eq!((diff["added"].as_array().map(Vec::len), &diff["changed"]), (Some(1), &value!([])), "{diff}");
    let report = served.did(&["snapshot", "restore", &id]);
    assert_eq!(report["removed"], 1, "{report}");
    let before = text(&report, "before").to_owned();
    assert_eq!(served.code(&["file", "info", "/docs/b.md"]), Some(1));
    assert_eq!(text(&served.did(&["snapshot", "clone", &id, "trial"]), "name"), "trial");
    assert_eq!(served.code(&["file", "info", "/trial/a.md"]), Some(0));
    let exported = served.did(&["snapshot", "export", &id, "docs.tar"]);
    assert_eq!(exported["file"], "docs.tar");
    let archive = std::fs::read(served.path("docs.tar")).unwrap();
    assert!(String::from_utf8_lossy(&archive).contains("one\ntwo\nthree\n"));
    // What is there stays where nothing comes.
    assert_eq!(served.code(&["snapshot", "export", "sn_none", "docs.tar"]), Some(1));
    assert_eq!(std::fs::read(served.path("docs.tar")).unwrap(), archive);
    assert_eq!(served.at("wp_0_0", &["snapshot", "export", &id, "docs.tar"]).status.code(), Some(3));

    let lock = served.did(&["lock", "take", "/docs/drafts/**", "--shared", "--ttl", "600"]);
    assert_eq!((text(&lock, "mode"), text(&lock, "path")), ("shared", "/docs/drafts/**"));
    let other = served.did(&["lock", "take", "/docs/a.md"]);
    assert_eq!(text(&other, "mode"), "exclusive");
    served.did(&["lock", "release", text(&other, "id")]);
    assert_eq!(served.did(&["lock", "list"])["items"], value!([lock]));
    assert_eq!(served.code(&["lock", "take", "/docs/a.md", "--ttl", "0"]), Some(2));
    assert_eq!(served.at("wp_0_0", &["lock", "list"]).status.code(), Some(3));
    assert_eq!(served.at("wp_0_0", &["snapshot", "list"]).status.code(), Some(3));
    served.tells_alike_at_home(&[
        &["lock", "list"],
        &["snapshot", "list"],
        &["snapshot", "show", &id],
        &["snapshot", "show", "sn_none"],
        &["snapshot", "diff", &id, &before],
        &["snapshot", "diff", &id],
        &["snapshot", "export", &id, "-"],
    ]);
}

#[test]
fn tools_are_declared_at_a_server_and_told_as_at_home() {
    let served = Served::start("");
    std::fs::write(served.path("schema.json"), "{\"type\": \"object\"}").unwrap();
    let add = ["tool", "add", "mail.send", "--description", "Sends a mail", "--example", "write to Kestrel"];
    let added = served.did(&[&add[..], &["--input-schema", "schema.json"]].concat());
    assert!(added["declared"] == true && added["lint"].is_array(), "{added}");
    served.did(&["tool", "add", "mail.read", "--description", "Reads mails", "--usd-per-call", "0.02"]);
    served.did(&["tool", "add", "mail.drop", "--description", "Drops mails"]);
    served.did(&["tool", "remove", "mail.drop"]);
    assert_eq!(served.at("wp_0_0", &["tool", "list"]).status.code(), Some(3));
    served.tells_alike_at_home(&[
        &["tool", "list"],
        &["tool", "list", "--state", "quarantined"],
        &["tool", "show", "mail.send"],
        &["tool", "show", "mail.read"],
        &["tool", "show", "mail.drop"],
    ]);
}

#[test]
fn tools_are_called_and_decided_about_at_the_server_that_has_them() {
    let Some(tools) = test_tools() else { return };
    let folder = tempfile::tempdir().unwrap();
    let listed = folder.path().join("tools.json");
    let list = |about: &str| {
        let tool = value!({"name": "echo", "description": about, "inputSchema": {"type": "object"}});
        let aside = folder.path().join("aside.json");
        std::fs::write(&aside, value!([tool]).to_string()).unwrap();
        std::fs::rename(aside, &listed).unwrap();
    };
    list("Repeats.");
    let script = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../tests/server/upstream_server.py");
    let run = [tools.join("venv/bin/python"), script, listed.clone(), folder.path().join("log.jsonl")];
    let served = Served::start(&format!("[[upstream]]\nname = \"fix\"\nrun = {}\n", value!(run)));
    let state = |wanted: &str| {
        eventually(wanted, || {
            let shown = served.at(&served.token, &["tool", "show", "fix.echo", "--json"]);
            (shown.status.success() && json(&shown)["state"] == wanted).then_some(())
        });
    };
    let call = ["tool", "call", "fix.echo", "{\"a\": 1}"];
    state("approved");
    assert_eq!(served.did(&call)["content"][0]["text"], "{\"a\": 1}");
    assert_eq!(served.at(&served.token, &call).stdout, b"{\"a\": 1}\n");
    assert_eq!(served.code(&["tool", "approve", "fix.echo"]), Some(1), "nothing is to be decided");

    list("Repeats it all.");
    state("quarantined");
    assert_eq!(served.code(&call), Some(1));
    assert_eq!(served.did(&["tool", "approve", "fix.echo", "--reason", "read it"])["approved"], "fix.echo");
    state("approved");
    assert_eq!(served.did(&call)["is_error"], false);

    list("Repeats everything.");
    state("quarantined");
    assert_eq!(served.did(&["tool", "refuse", "fix.echo"])["refused"], "fix.echo");
    let refused = served.at(&served.token, &["tool", "approve", "fix.echo"]);
    assert!(told(&refused).contains("no approval waits"), "{}", told(&refused));
    assert_eq!(served.code(&["tool", "approve", "fix.nothing"]), Some(1));
    assert_eq!(served.at("wp_0_0", &call).status.code(), Some(3));
}
