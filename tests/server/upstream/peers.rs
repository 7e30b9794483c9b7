use serde_json::{Value, json};

use super::fixture::{said, serve, settings, test_tools};
use crate::mcp::Client;
use crate::users::text;

#[test]
fn the_reference_servers_are_found_and_called() {
    let Some(tools) = test_tools() else { return };
    let modules = tools.join("node_modules/@modelcontextprotocol");
    if !modules.join("server-filesystem").exists() {
        println!("skipped: no reference servers here; `tests/fetch-peers` fetches them");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let shared = folder.path().canonicalize().unwrap();
    std::fs::write(shared.join("note.txt"), "Tea is at four.\n").unwrap();
    let script = |name: &str| modules.join(name).join("dist/index.js").to_string_lossy().into_owned();
    let node = tools.join("node").to_string_lossy().into_owned();
    let server = serve(vec![
        settings(json!({"name": "files", "run": [node, script("server-filesystem"), shared]})),
        settings(json!({"name": "everything", "run": [node, script("server-everything"), "stdio"]})),
    ]);
    let admin = server.admin();
    let ids = admin.tool_ids("");
    for id in ["files.read_text_file", "files.write_file", "everything.echo"] {
        assert!(ids.contains(&id.to_owned()), "{id} in {ids:?}");
    }
    assert_eq!(admin.tool_ids("?state=quarantined"), Vec::<String>::new());

    // Readers read; only what is in one folder may be written, by a rule about the argument.
    let agent = server.user("agent:a", &[]);
    admin.grant_tools("agent:a", "list,call files.read_text_file", json!({}));
    let below = format!("{}/inbox/**", shared.display());
    admin.grant_tools("agent:a", "list,call files.write_file", json!({"path": below}));
    std::fs::create_dir(shared.join("inbox")).unwrap();
    let path = |name: &str| shared.join(name).to_string_lossy().into_owned();
    let read = agent.call_tool("files.read_text_file", json!({"path": path("note.txt")})).is(200);
    assert!(said(&read).contains("Tea is at four."), "{}", read.text());
    agent.call_tool("files.write_file", json!({"path": path("inbox/a.txt"), "content": "x"})).is(200);
    for outside in ["note.txt", "inbox/../note.txt"] {
        let write = json!({"path": path(outside), "content": "gone"});
        agent.call_tool("files.write_file", write).refuses(403, "forbidden");
    }
    assert_eq!(std::fs::read_to_string(shared.join("note.txt")).unwrap(), "Tea is at four.\n");
    agent.call_tool("everything.echo", json!({"message": "x"})).refuses(404, "not_found");

    let client = Client::legacy(&server, "", &server.token);
    let (echoed, is_error) =
        client.call("call_tool", json!({"tool": "everything.echo", "arguments": {"message": "hi"}}));
    assert!(!is_error && text(&echoed["content"][0], "text").contains("hi"), "{echoed}");
    let (found, _) = client.call("find_tools", json!({"query": "echo"}));
    assert_eq!(text(&found["tools"][0], "id"), "everything.echo", "{found}");
    let missing = admin.call_tool("everything.echo", json!({})).is(400).json();
    assert!(text(&missing, "detail").contains("message"), "{missing}");
    let refused: Value =
        admin.call_tool("files.read_text_file", json!({"path": "/etc/passwd"})).is(200).json();
    assert_eq!(refused["is_error"], true, "the server's own guard stands: {refused}");
}
