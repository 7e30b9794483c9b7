use serde_json::{Value, json};

use crate::mcp::{Client, offered};
use crate::support::Server;
use crate::users::text;

/// The beginning of a picture.
const PICTURE: &[u8] = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR";

const NAMES: [&str; 4] =
    ["list_allowed_directories", "list_directory_with_sizes", "read_media_file", "read_text_file"];

fn start() -> Server {
    Server::start_with(|docs| {
        std::fs::write(docs.join("long.txt"), "one\ntwo\nthree\n").unwrap();
        std::fs::write(docs.join("a.md"), "x").unwrap();
        std::fs::write(docs.join("dot.png"), PICTURE).unwrap();
        std::fs::create_dir(docs.join("guide")).unwrap();
        std::fs::write(docs.join("guide/start.md"), "Install it.\n").unwrap();
    })
}

/// The result of a call, whatever it is.
fn result(client: &Client<'_>, tool: &str, arguments: &Value) -> Value {
    client.request("tools/call", json!({"name": tool, "arguments": arguments}))["result"].clone()
}

/// The text of a result, which is its `content` as well.
#[track_caller]
fn said(result: &Value) -> &str {
    assert_eq!(result["content"][0]["text"], result["structuredContent"]["content"], "{result}");
    text(&result["content"][0], "text")
}

#[test]
fn its_names_answer_in_its_form() {
    let server = start();
    let client = Client::modern(&server, "");
    let read = |arguments: Value| result(&client, "read_text_file", &arguments);
    assert_eq!(said(&read(json!({"path": "/docs/long.txt"}))), "one\ntwo\nthree\n");
    assert_eq!(said(&read(json!({"path": "/docs/long.txt", "head": 2}))), "one\ntwo\n");
    assert_eq!(said(&read(json!({"path": "/docs/long.txt", "tail": 1}))), "three\n");
    let absent = read(json!({"path": "/docs/none.txt"}));
    assert!(
        absent["isError"] == true && text(&absent["content"][0], "text").contains("not_found"),
        "{absent}"
    );

    let list = |arguments: Value| result(&client, "list_directory_with_sizes", &arguments);
    let by_size = list(json!({"path": "/docs", "sortBy": "size"}));
    let lines: Vec<&str> = said(&by_size).lines().collect();
    assert!(lines[0].starts_with("[FILE] dot.png") && lines[0].ends_with("16 B"), "{lines:?}");
    assert!(lines[1].starts_with("[FILE] long.txt") && lines.contains(&"[DIR] guide"), "{lines:?}");
    assert!(lines.contains(&"Total: 3 files, 1 directories"), "{lines:?}");
    assert!(said(&list(json!({"path": "/docs"}))).starts_with("[DIR] guide\n"));
    let wrong = list(json!({"path": "/docs", "sortBy": "colour"}));
    assert!(wrong["isError"] == true, "{wrong}");

    let roots = result(&client, "list_allowed_directories", &json!({}));
    assert_eq!(said(&roots), "Allowed directories:\n/docs");

    let picture = result(&client, "read_media_file", &json!({"path": "/docs/dot.png"}));
    let block = &picture["content"][0];
    assert_eq!((text(block, "type"), text(block, "mimeType")), ("image", "image/png"), "{picture}");
    assert_eq!(text(block, "data"), "iVBORw0KGgoAAAANSUhEUg==");
    assert_eq!(picture["structuredContent"]["size"], 16);
}

#[test]
fn its_names_are_listed_only_where_that_is_asked_and_hidden_with_their_tools() {
    let server = start();
    assert!(!offered(&Client::modern(&server, "")).iter().any(|name| NAMES.contains(&name.as_str())));
    let listed = offered(&Client::modern(&server, "?toolsets=files-reference"));
    assert_eq!(listed, ["whoami", NAMES[0], NAMES[1], NAMES[2], NAMES[3]]);
    // Attack 12: what may not be used answers as what does not exist.
    let ask = |client: &Client<'_>, tool: &str| {
        client
            .request("tools/call", json!({"name": tool, "arguments": {"path": "/docs/long.txt"}}))
            .to_string()
    };
    let mesh = Client::modern(&server, "?toolsets=mesh");
    let writer = server.user("agent:w", &["write /docs/**"]);
    let writer = Client::modern_as(&server, &writer.token);
    for client in [&mesh, &writer] {
        for name in NAMES {
            assert_eq!(ask(client, name).replace(name, "absent"), ask(client, "absent"), "{name}");
        }
    }
    let reader = server.user("agent:r", &["read /docs/guide/**"]);
    let reader = Client::modern_as(&server, &reader.token);
    let hidden = result(&reader, "read_text_file", &json!({"path": "/docs/long.txt"}));
    let absent = result(&reader, "read_text_file", &json!({"path": "/docs/none.txt"}));
    assert_eq!(hidden.to_string().replace("long.txt", "none.txt"), absent.to_string());
}

#[test]
fn its_arguments_are_taken_by_the_tools_of_the_same_names() {
    let server = start();
    let client = Client::modern(&server, "");
    for (tool, arguments) in [
        ("directory_tree", json!({"path": "/docs", "excludePatterns": ["*.png"]})),
        ("search_files", json!({"path": "/docs", "pattern": "*.md", "excludePatterns": ["guide"]})),
        (
            "edit_file",
            json!({"path": "/docs/a.md", "edits": [{"oldText": "x", "newText": "y"}], "dryRun": false}),
        ),
        ("move_file", json!({"source": "/docs/a.md", "destination": "/docs/b.md"})),
        ("read_multiple_files", json!({"paths": ["/docs/b.md", "/docs/long.txt"]})),
        ("create_directory", json!({"path": "/docs/new"})),
        ("write_file", json!({"path": "/docs/new/c.md", "content": "z"})),
        ("list_directory", json!({"path": "/docs/new"})),
        ("get_file_info", json!({"path": "/docs/new/c.md"})),
    ] {
        let (said, failed) = client.call(tool, arguments);
        assert!(!failed, "{tool}: {said}");
    }
}
