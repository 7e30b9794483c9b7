use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::{Value, json};
use waypost::upstream::{Plan, Settings};

use crate::support::{Reply, Server};
use crate::users::{User, eventually};

/// Where `tests/fetch-peers` puts what these tests need; `None`, and a word about it, where it is not there.
pub fn test_tools() -> Option<PathBuf> {
    let named = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let cache = named("XDG_CACHE_HOME").or_else(|| named("HOME").map(|home| home.join(".cache")));
    let folder = named("WAYPOST_TEST_TOOLS").or_else(|| Some(cache?.join("waypost/test-tools")))?;
    let found = folder.join("venv/bin/python").exists() && folder.join("node").exists();
    if !found {
        println!("skipped: no servers of tools here; `tests/fetch-peers` fetches them");
    }
    found.then_some(folder)
}

/// A server whose tools stand in a file, and that writes down what reaches it.
pub struct Fixture {
    folder: tempfile::TempDir,
    python: PathBuf,
}

/// A tool of it; what it does follows from the beginning of its name.
pub fn tool(name: &str, description: &str) -> Value {
    json!({"name": name, "description": description, "inputSchema": {"type": "object"}})
}

/// A tool that takes exactly these arguments.
#[expect(clippy::needless_pass_by_value, reason = "`json!` is written in the call")]
pub fn strict_tool(name: &str, properties: Value) -> Value {
    let required: Vec<&String> = properties.as_object().unwrap().keys().collect();
    json!({
        "name": name,
        "description": format!("The tool {name}."),
        "inputSchema": {
            "type": "object", "properties": properties, "required": required, "additionalProperties": false,
        },
    })
}

impl Fixture {
    /// With these tools; `None` where Python or its SDK is missing.
    pub fn new(tools: &[Value]) -> Option<Self> {
        let python = test_tools()?.join("venv/bin/python");
        let fixture = Self { folder: tempfile::tempdir().unwrap(), python };
        fixture.list(tools);
        Some(fixture)
    }

    /// Lists these tools from now on, and says so to whoever is connected.
    pub fn list(&self, tools: &[Value]) {
        let aside = self.path("aside.json");
        std::fs::write(&aside, json!(tools).to_string()).unwrap();
        std::fs::rename(aside, self.path("tools.json")).unwrap();
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The program and its arguments, with these more.
    pub fn run(&self, more: &[&str]) -> Vec<String> {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/server/upstream_server.py");
        let parts = [self.python.clone(), script, self.path("tools.json"), self.path("log.jsonl")];
        let parts = parts.iter().map(|part| part.to_string_lossy().into_owned());
        parts.chain(more.iter().map(|word| (*word).to_owned())).collect()
    }

    /// As a setting under a name, with these more.
    #[expect(clippy::needless_pass_by_value, reason = "`json!` is written in the call")]
    pub fn settings(&self, name: &str, more: Value) -> Settings {
        let mut all = json!({"name": name, "run": self.run(&[])});
        all.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        settings(all)
    }

    /// What it wrote down of one kind.
    pub fn log(&self, what: &str) -> Vec<Value> {
        let text = std::fs::read_to_string(self.path("log.jsonl")).unwrap_or_default();
        // The last line may be half written.
        let lines = text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        lines.filter(|line| line["what"] == what).collect()
    }

    /// Waits for the next line of a kind after the first `n`.
    #[track_caller]
    pub fn wait_for(&self, what: &str, n: usize) -> Value {
        eventually(what, || self.log(what).into_iter().nth(n))
    }
}

pub fn settings(all: Value) -> Settings {
    serde_json::from_value(all).unwrap()
}

pub fn plan(servers: Vec<Settings>) -> Plan {
    Settings::check_all(&servers).unwrap();
    Plan { servers, guard: None }
}

/// A server of ours with these, each of which is ready.
pub fn serve(servers: Vec<Settings>) -> Server {
    let names: Vec<String> = servers.iter().map(|settings| settings.name.clone()).collect();
    let server = Server::start_upstreams(plan(servers));
    names.iter().for_each(|name| drop(server.wait_until(name, "ready")));
    server
}

impl Server {
    /// How a server of tools is.
    pub fn upstream(&self, name: &str) -> Value {
        let listed = self.get("/v1/upstreams").json();
        let items = listed["items"].as_array().unwrap_or_else(|| panic!("{listed}"));
        items.iter().find(|item| item["name"] == name).unwrap_or_else(|| panic!("{name} in {listed}")).clone()
    }

    /// Waits until it is so.
    #[track_caller]
    pub fn wait_until(&self, name: &str, state: &str) -> Value {
        eventually(&format!("{name} is {state}"), || {
            let upstream = self.upstream(name);
            (upstream["state"] == state).then_some(upstream)
        })
    }
}

impl User<'_> {
    /// Gives rights on tools: `list,call git.*`; one that begins with `!` denies.
    #[expect(clippy::needless_pass_by_value, reason = "`json!` is written in the call")]
    pub fn grant_tools(&self, to: &str, grant: &str, arguments: Value) {
        let (verbs, tool) = grant.split_once(' ').unwrap();
        let effect = if verbs.starts_with('!') { "deny" } else { "allow" };
        let verbs: Vec<&str> = verbs.trim_start_matches('!').split(',').collect();
        let grant = json!({"to": to, "tool": tool, "verbs": verbs, "effect": effect, "arguments": arguments});
        self.post("/v1/grants", &grant).was_put();
    }

    #[expect(clippy::needless_pass_by_value, reason = "`json!` is written in the call")]
    pub fn call_tool(&self, id: &str, arguments: Value) -> Reply {
        self.post(&format!("/v1/tools/{id}/call"), &json!({"arguments": arguments}))
    }

    /// The ids of tools in a list.
    pub fn tool_ids(&self, query: &str) -> Vec<String> {
        let items = self.items(&format!("/v1/tools{query}"));
        items.iter().map(|item| item["id"].as_str().unwrap().to_owned()).collect()
    }
}

impl Server {
    /// An agent that may see and call everything that matches.
    pub fn tool_agent(&self, name: &str, pattern: &str) -> User<'_> {
        let agent = self.user(name, &[]);
        self.admin().grant_tools(name, &format!("list,read,call {pattern}"), json!({}));
        agent
    }
}

/// The text of the first block of an answer.
#[track_caller]
pub fn said(reply: &Reply) -> String {
    let reply = reply.json();
    reply["content"][0]["text"].as_str().unwrap_or_else(|| panic!("{reply}")).to_owned()
}

/// Whether a process is there and no zombie.
pub fn is_alive(pid: u64) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    // After the name in parentheses comes the state.
    status.rsplit_once(')').is_some_and(|(_, rest)| !rest.trim_start().starts_with(['Z', 'X']))
}

/// Waits until a process is gone.
#[track_caller]
pub fn wait_until_gone(pid: u64) {
    eventually(&format!("process {pid} is gone"), || (!is_alive(pid)).then_some(()));
}

/// A server that is quick to give a call up.
pub const QUICK: Duration = Duration::from_secs(1);
