use std::path::Path;
use std::process::Output;

use serde_json::{Value, json as value};

use super::{json, waypost};
use crate::support::Server;
use crate::users::text;

/// A server and a home of its own beside it, in which the same is done.
struct Both {
    server: Server,
}

impl Both {
    fn start() -> Self {
        let server = Server::start("//- a.md\nfine\n");
        let both = Self { server };
        done(&both.at_home(&["workspace", "add", "docs", "--json"]));
        both
    }

    fn folder(&self) -> &Path {
        self.server.folder.path()
    }

    fn at_home(&self, arguments: &[&str]) -> Output {
        waypost(self.folder(), &[arguments, &["--home", "other"]].concat())
    }

    fn at_server(&self, arguments: &[&str]) -> Output {
        self.at_server_as(&self.server.token, arguments)
    }

    fn at_server_as(&self, token: &str, arguments: &[&str]) -> Output {
        let flags = ["--url", &self.server.url(""), "--token", token];
        waypost(self.folder(), &[arguments, &flags].concat())
    }

    /// Does it in both and gives what both say, which is the same.
    fn alike(&self, arguments: &[&str], exit_code: i32) -> Vec<u8> {
        let (here, there) = (self.at_home(arguments), self.at_server(arguments));
        assert_eq!(here.status.code(), Some(exit_code), "{arguments:?}: {}", told(&here));
        assert_eq!(there.status.code(), Some(exit_code), "{arguments:?}: {}", told(&there));
        let shown = |output: &Output| String::from_utf8_lossy(&output.stdout).into_owned();
        assert_eq!(shown(&here), shown(&there), "{arguments:?}");
        there.stdout
    }

    /// As [`Self::alike`], of what can be done twice: for people and as JSON.
    fn said(&self, arguments: &[&str], exit_code: i32) -> Value {
        self.alike(arguments, exit_code);
        self.once(arguments, exit_code)
    }

    fn once(&self, arguments: &[&str], exit_code: i32) -> Value {
        serde_json::from_slice(&self.alike(&[arguments, &["--json"]].concat(), exit_code)).unwrap()
    }
}

fn told(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn done(output: &Output) -> Value {
    assert_eq!(output.status.code(), Some(0), "{}", told(output));
    json(output)
}

#[test]
fn principals_and_groups_are_told_alike_at_a_server_and_at_home() {
    let both = Both::start();
    let drafter = ["principal", "add", "agent:drafter", "--name", "Drafts", "--group", "group:writers"];
    let made = both.said(&drafter, 0);
    assert_eq!((text(&made, "name"), &made["groups"]), ("Drafts", &value!(["group:writers"])));
    assert_eq!(both.said(&["principal", "add", "agent:drafter"], 0), made, "it keeps its name");
    assert_eq!(both.said(&["principal", "list"], 0)["items"], value!([made]));
    assert_eq!(both.said(&["principal", "show", "human:admin"], 0)["built_in"], true);
    both.alike(&["principal", "show", "agent:nobody"], 1);
    both.alike(&["principal", "add", "nobody"], 2);

    let group = both.said(&["group", "set", "group:readers", "agent:drafter"], 0);
    assert_eq!(group, value!({"id": "group:readers", "members": ["agent:drafter"]}));
    assert_eq!(both.said(&["group", "list"], 0)["items"][0], group);
    both.said(&["group", "set", "group:readers"], 0);
    assert_eq!(both.said(&["group", "list"], 0)["items"].as_array().map(Vec::len), Some(1));
    both.once(&["principal", "remove", "agent:drafter"], 0);
    assert_eq!(both.said(&["principal", "list"], 0)["items"], value!([]));
}

#[test]
fn grants_and_gates_are_told_alike_at_a_server_and_at_home() {
    let both = Both::start();
    both.once(&["principal", "add", "agent:coder"], 0);
    let call = ["grant", "add", "agent:coder", "call", "git.*", "--tool", "--argument", "branch=main"];
    let denied = both.said(&[&call[..], &["--deny", "--note", "by hand"]].concat(), 0);
    assert_eq!((text(&denied, "effect"), &denied["arguments"]["branch"]), ("deny", &value!(["main"])));
    let given = both.said(&["grant", "add", "agent:coder", "read,write", "/docs/**"], 0);
    assert_eq!(both.said(&["grant", "list"], 0)["items"].as_array().map(Vec::len), Some(2));
    assert_eq!(both.said(&["grant", "show", text(&given, "id")], 0), given);
    both.alike(&["grant", "add", "agent:coder", "call", "/docs/**"], 2);

    let gate = both.said(&["gate", "add", "/docs/approved/**", "--verb", "write", "--note", "read first"], 0);
    assert_eq!(both.said(&["gate", "list"], 0)["items"], value!([gate]));
    let explain = |arguments: &[&str], code| {
        both.said(&[&["grant", "explain", "agent:coder"], arguments].concat(), code)
    };
    assert_eq!(explain(&["write", "/docs/approved/a.md"], 0)["gate"], gate["id"]);
    assert_eq!(explain(&["delete", "/docs/a.md"], 3)["rule"], "default");
    let to_main = ["call", "git.push", "--tool", "--argument", "branch=main"];
    assert_eq!(explain(&to_main, 3)["rule"], denied["id"]);
    both.alike(&["grant", "explain", "agent:coder", "read", "/docs/a.md", "--argument", "a=b"], 2);

    both.once(&["gate", "remove", text(&gate, "id")], 0);
    both.once(&["grant", "remove", text(&given, "id")], 0);
    both.once(&["grant", "remove", text(&denied, "id")], 0);
    assert_eq!(both.said(&["grant", "list"], 0)["items"], value!([]));
    assert_eq!(explain(&["write", "/docs/approved/a.md"], 3)["rule"], "default");
}

const POLICY: &str = r#"
[[principal]]
id = "agent:signer"
[[grant]]
to = "agent:signer"
path = "/docs/approved/**"
verbs = ["list", "read"]
[[gate]]
path = "/docs/approved/**"
"#;

#[test]
fn a_policy_is_compared_and_made_to_hold_at_a_server_as_at_home() {
    let both = Both::start();
    both.once(&["principal", "add", "agent:drafter"], 0);
    std::fs::write(both.folder().join("policy.toml"), POLICY).unwrap();
    let diff = both.said(&["policy", "diff", "policy.toml"], 1);
    assert_eq!(diff["removed"].as_array().map(Vec::len), Some(1), "{diff}");
    let kept = both.once(&["policy", "apply", "policy.toml", "--keep"], 0);
    assert_eq!((&kept["added"], &kept["removed"]), (&diff["added"], &value!([])));
    assert_eq!(both.once(&["policy", "apply", "policy.toml"], 0)["removed"], diff["removed"]);
    both.said(&["policy", "diff", "policy.toml"], 0);

    std::fs::write(both.folder().join("empty.toml"), "").unwrap();
    both.alike(&["policy", "apply", "empty.toml"], 2);
    both.once(&["policy", "apply", "empty.toml", "--empty"], 0);
    assert_eq!(both.said(&["principal", "list"], 0)["items"], value!([]));
    std::fs::write(both.folder().join("broken.toml"), "[[grant").unwrap();
    both.alike(&["policy", "diff", "broken.toml"], 2);
}

#[test]
fn workspaces_are_made_and_removed_at_a_server_as_at_home() {
    let both = Both::start();
    let alike = |arguments: &[&str]| {
        let arguments = [arguments, &["--json"]].concat();
        let (here, there) = (done(&both.at_home(&arguments)), done(&both.at_server(&arguments)));
        for name in ["name", "attached", "intelligence", "indexed_files", "removed", "files_deleted"] {
            assert_eq!(here[name], there[name], "{name} of {arguments:?}");
        }
        there
    };
    for _ in 0..2 {
        assert_eq!(alike(&["workspace", "add", "marketing"])["attached"], false, "also again");
    }
    let notes = ["here", "there"].map(|name| both.folder().join(name));
    for folder in &notes {
        std::fs::create_dir(folder).unwrap();
    }
    let [here, there] = notes.each_ref().map(|folder| folder.to_str().unwrap());
    done(&both.at_home(&["workspace", "add", "notes", here, "--json"]));
    let attached = done(&both.at_server(&["workspace", "add", "notes", there, "--json"]));
    assert_eq!(attached["attached"], true);
    assert_eq!(both.at_server(&["workspace", "add", "notes"]).status.code(), Some(1), "it is another one");
    let relative = both.at_server(&["workspace", "add", "more", "notes"]);
    assert_eq!(relative.status.code(), Some(2), "{}", told(&relative));
    assert!(told(&relative).contains("whole path"), "{}", told(&relative));

    assert_eq!(alike(&["workspace", "intelligence", "marketing", "off"])["intelligence"], false);
    assert_eq!(alike(&["workspace", "show", "marketing"])["indexed_files"], 0);
    let shown = both.at_server(&["workspace", "show", "marketing"]);
    let shown = String::from_utf8_lossy(&shown.stdout).into_owned();
    assert!(shown.starts_with("marketing  0 files, 0 chunks  not indexed  ws_"), "{shown}");
    assert!(shown.contains("\n  0 bytes, 0 files skipped, 0 files pending  since "), "{shown}");
    assert_eq!(alike(&["workspace", "remove", "marketing", "--files"])["files_deleted"], true);
    assert_eq!(alike(&["workspace", "remove", "notes"])["files_deleted"], false);
    assert!(notes.iter().all(|folder| folder.is_dir()));
    let listed = alike(&["workspace", "list"]);
    assert_eq!(listed["items"].as_array().map(Vec::len), Some(1), "{listed}");
    both.alike(&["workspace", "show", "marketing"], 1);
    both.alike(&["workspace", "remove", "marketing"], 1);
}

#[test]
fn what_a_server_refuses_is_refused_here() {
    let both = Both::start();
    std::fs::write(both.folder().join("policy.toml"), POLICY).unwrap();
    let reader = both.server.user("agent:reader", &["list,read /docs/**"]);
    for command in [
        &["principal", "list"][..],
        &["group", "set", "group:owners", "agent:reader"],
        &["grant", "add", "agent:reader", "write", "/docs/**"],
        &["gate", "add", "/docs/**"],
        &["policy", "apply", "policy.toml"],
        &["workspace", "add", "mine"],
        &["workspace", "remove", "docs"],
    ] {
        for token in [reader.token.as_str(), "wp_0_0"] {
            let refused = both.at_server_as(token, command);
            assert_eq!(refused.status.code(), Some(3), "{command:?}: {}", told(&refused));
        }
    }
    assert_eq!(done(&both.at_server(&["gate", "list", "--json"]))["items"], value!([]));
    assert_eq!(done(&both.at_server(&["workspace", "list", "--json"]))["items"][0]["name"], "docs");
}
