use serde_json::json;

use super::fixture::{Fixture, serve, strict_tool, tool};
use crate::mcp::{Client, offered};
use crate::support::Reply;
use crate::users::text;

#[test]
fn coding_agents_may_read_repositories_but_not_push_to_main() {
    let push = json!({"repo": {"type": "string"}, "branch": {"type": "string"}});
    let repo = json!({"repo": {"type": "string"}});
    let Some(fixture) = Fixture::new(&[strict_tool("echo_push", push), strict_tool("echo_read", repo)])
    else {
        return;
    };
    let server = serve(vec![fixture.settings("git", json!({}))]);
    let admin = server.admin();
    let coder = server.user("agent:coder", &[]);
    admin.grant_tools("agent:coder", "list,read,call git.*", json!({"repo": "acme/*"}));
    admin.grant_tools("agent:coder", "!call git.echo_push", json!({"branch": ["main", "release/*"]}));

    coder.call_tool("git.echo_read", json!({"repo": "acme/web"})).is(200);
    coder.call_tool("git.echo_push", json!({"repo": "acme/web", "branch": "feature"})).is(200);
    for (tool, arguments) in [
        ("git.echo_push", json!({"repo": "acme/web", "branch": "main"})),
        ("git.echo_push", json!({"repo": "acme/web", "branch": "MAIN"})),
        ("git.echo_push", json!({"repo": "acme/web", "branch": "release/2"})),
        ("git.echo_push", json!({"repo": "other/web", "branch": "feature"})),
        ("git.echo_read", json!({"repo": "acme/../other"})),
        // What can't be judged is denied, before the schema says that it is wrong.
        ("git.echo_push", json!({"repo": "acme/web"})),
        ("git.echo_push", json!({"repo": "acme/web", "branch": ["main"]})),
        ("git.echo_push", json!({"repo": "acme/web", "branch": null})),
    ] {
        coder.call_tool(tool, arguments).refuses(403, "forbidden");
    }
    assert_eq!(fixture.log("call").len(), 2);
    // Nothing of this concerns the tool's visibility.
    assert_eq!(coder.tool_ids(""), ["git.echo_push", "git.echo_read"]);

    let explain = |arguments: &str| {
        let query =
            format!("/v1/grants/explain?principal=agent:coder&verb=call&tool=git.echo_push{arguments}");
        coder.get(&query).is(200).json()
    };
    assert_eq!(explain("")["allowed"], true);
    let denied = explain("&arguments=%7B%22repo%22:%22acme/web%22,%22branch%22:%22main%22%7D");
    assert_eq!(denied["allowed"], false, "{denied}");
    assert!(text(&denied, "sentence").contains("where branch is main or release/*"), "{denied}");
}

#[test]
fn conditions_are_for_calls_of_tools_alone() {
    let server = crate::support::Server::start("//- a.md\nfine\n");
    let admin = server.admin();
    admin.post("/v1/principals", &json!({"id": "agent:a"})).is(201);
    for grant in [
        json!({"to": "agent:a", "path": "/docs/**", "verbs": ["read"], "arguments": {"a": "b"}}),
        json!({"to": "agent:a", "tool": "git.*", "verbs": ["list"], "arguments": {"a": "b"}}),
        json!({"to": "agent:a", "tool": "git.*", "verbs": ["call", "admin"], "arguments": {"a": "b"}}),
        json!({"to": "agent:a", "tool": "git.*", "verbs": ["call", "list"], "effect": "deny", "arguments": {"a": "b"}}),
        json!({"to": "agent:a", "tool": "git.*", "verbs": ["call"], "arguments": {"a": []}}),
    ] {
        assert_eq!(admin.post("/v1/grants", &grant).status, 400, "{grant}");
    }
}

/// An answer without the tool's name.
fn bare(reply: &Reply, name: &str) -> String {
    format!("{} {}", reply.status, reply.text().replace(name, "TOOL"))
}

#[test]
fn a_tool_that_may_not_be_seen_answers_as_one_that_is_not_there() {
    let Some(fixture) = Fixture::new(&[tool("echo_open", "Open."), tool("echo_shut", "Shut.")]) else {
        return;
    };
    let server = serve(vec![fixture.settings("fix", json!({"pinned": ["echo_shut"]}))]);
    let agent = server.tool_agent("agent:a", "fix.echo_open");
    let nobody = server.user("agent:nobody", &[]);
    for user in [&agent, &nobody] {
        let both = |ask: &dyn Fn(&str) -> Reply| {
            let [shut, none] = ["fix.echo_shut", "fix.echo_none"].map(|name| bare(&ask(name), name));
            assert_eq!(shut, none, "{}", user.id);
            assert!(shut.starts_with("404"), "{shut}");
        };
        both(&|name| user.get(&format!("/v1/tools/{name}")));
        both(&|name| user.call_tool(name, json!({"a": 1})));
        both(&|name| user.post(&format!("/v1/tools/{name}/call"), &json!({"arguments": {"branch": ["x"]}})));
        let client = Client::legacy(&server, "", &user.token);
        let said = |name: &str| {
            let call = |call| client.request("tools/call", call).to_string().replace(name, "TOOL");
            let through = call(json!({"name": "call_tool", "arguments": {"tool": name, "arguments": {}}}));
            let direct = call(json!({"name": name, "arguments": {}}));
            format!("{through} {direct}")
        };
        assert_eq!(said("fix.echo_shut"), said("fix.echo_none"));
        assert!(!offered(&client).contains(&"fix.echo_shut".to_owned()));
    }
    assert_eq!(agent.tool_ids(""), ["fix.echo_open"]);
    assert_eq!(nobody.tool_ids(""), Vec::<String>::new());
    let client = Client::legacy(&server, "", &agent.token);
    let (found, _) = client.call("find_tools", json!({"query": "open shut"}));
    assert!(!found.to_string().contains("shut") && found.to_string().contains("fix.echo_open"), "{found}");
    // Who may call no tool is not offered to.
    let names = offered(&Client::legacy(&server, "", &nobody.token));
    assert!(!names.iter().any(|name| name == "call_tool" || name == "find_tools"), "{names:?}");
    agent.get("/v1/upstreams").refuses(403, "forbidden");
    agent.ask("DELETE", "/v1/tools/fix.echo_open", &[], "").refuses(403, "forbidden");

    // A token that is narrowed reaches no tool beyond it.
    let narrow = server.admin().issue(json!({"principal": "agent:a", "verbs": ["list", "read"]}));
    let narrow = agent.with_token(text(&narrow, "token"));
    assert_eq!(narrow.tool_ids(""), ["fix.echo_open"]);
    narrow.call_tool("fix.echo_open", json!({})).refuses(403, "forbidden");
    let paths = server.admin().issue(json!({"principal": "agent:a", "paths": ["/docs/**"]}));
    assert_eq!(agent.with_token(text(&paths, "token")).tool_ids(""), Vec::<String>::new());
}
