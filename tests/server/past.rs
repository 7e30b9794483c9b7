use serde_json::{Value, json};
use waypost_engine::id::VersionId;

use crate::support::Server;
use crate::users::{User, text};

fn version(text: &str) -> String {
    VersionId::of(text.as_bytes()).to_string()
}

/// Event, version and earlier path of each entry of a path's history, newest first.
fn history(user: &User<'_>, path: &str) -> Vec<(String, Value, Value)> {
    let entry =
        |past: &Value| (text(past, "event").to_owned(), past["version"].clone(), past["path"].clone());
    user.items(&format!("/v1/versions{path}")).iter().map(entry).collect()
}

fn at(event: &str, text: &str, path: Option<&str>) -> (String, Value, Value) {
    (event.to_owned(), json!(version(text)), json!(path))
}

#[test]
fn a_file_keeps_its_history_over_its_moves() {
    let server = Server::start("//- other.md\nother\n");
    let admin = server.admin();
    admin.post("/v1/workspaces", &json!({"name": "kept"})).is(201);
    // What stood under the name before is another file's history.
    admin.put("/docs/a.md", "a forerunner\n").is(201);
    admin.delete("/v1/files/docs/a.md").is(200);
    admin.put("/docs/a.md", "first\n").is(201);
    admin.put("/docs/a.md", "second\n").is(200);
    admin.carry("move", "/docs/a.md", "/docs/b.md").is(200);
    admin.put("/docs/b.md", "third\n").is(200);
    admin.carry("move", "/docs/b.md", "/kept/c.md").is(200);
    admin.put("/docs/a.md", "a stranger\n").is(201);
    let path = "/kept/c.md";
    let expected = [
        at("file.moved", "third\n", None),
        at("file.updated", "third\n", Some("/docs/b.md")),
        at("file.moved", "second\n", Some("/docs/b.md")),
        at("file.updated", "second\n", Some("/docs/a.md")),
        at("file.created", "first\n", Some("/docs/a.md")),
    ];
    assert_eq!(history(&admin, path), expected);
    let newest = &admin.items(&format!("/v1/versions{path}"))[0];
    assert_eq!((&newest["current"], &newest["other_path"]), (&json!(true), &json!("/docs/b.md")));

    let first = version("first\n");
    assert_eq!(admin.read(&format!("{path}?version={first}")).is(200).text(), "first\n");
    let difference = admin.get(&format!("/v1/diff{path}?from={first}")).is(200).json();
    assert!(text(&difference, "diff").contains("-first\n+third\n"), "{difference}");
    for other in ["a forerunner\n", "a stranger\n"] {
        admin.read(&format!("{path}?version={}", version(other))).refuses(404, "not_found");
    }
    admin.post("/v1/restore", &json!({"path": path, "version": first})).is(200);
    assert_eq!(admin.read(path).is(200).text(), "first\n");
    assert_eq!(history(&admin, path)[0], at("file.updated", "first\n", None));
}

#[test]
fn a_file_that_goes_to_and_fro_tells_each_step_once() {
    let server = Server::start("//- other.md\nother\n");
    let admin = server.admin();
    admin.put("/docs/a.md", "x\n").is(201);
    for (from, to) in [("a", "b"), ("b", "a"), ("a", "b")] {
        admin.carry("move", &format!("/docs/{from}.md"), &format!("/docs/{to}.md")).is(200);
    }
    let told = history(&admin, "/docs/b.md");
    let came = |path: Option<&str>| at("file.moved", "x\n", path);
    let left = |path: Option<&str>| ("file.deleted".to_owned(), Value::Null, json!(path));
    let expected = [
        came(None),
        came(Some("/docs/a.md")),
        left(None),
        came(None),
        at("file.created", "x\n", Some("/docs/a.md")),
    ];
    assert_eq!(told, expected);
}

#[test]
fn a_history_begins_where_the_file_came_from_a_hidden_place() {
    let server = Server::start("//- other.md\nother\n");
    let admin = server.admin();
    let reader = server.user("agent:reader", &["list,read,write /docs/open/**"]);
    admin.put("/docs/open/a.md", "draft\n").is(201);
    admin.carry("move", "/docs/open/a.md", "/docs/secret/b.md").is(200);
    admin.put("/docs/secret/b.md", "secret\n").is(200);
    admin.put("/docs/secret/b.md", "told\n").is(200);
    admin.carry("move", "/docs/secret/b.md", "/docs/open/c.md").is(200);
    assert_eq!(history(&admin, "/docs/open/c.md").len(), 5);
    assert_eq!(history(&reader, "/docs/open/c.md"), [at("file.created", "told\n", None)]);
    for hidden in ["draft\n", "secret\n"] {
        let (path, version) = ("/docs/open/c.md", version(hidden));
        admin.read(&format!("{path}?version={version}")).is(200);
        reader.read(&format!("{path}?version={version}")).refuses(404, "not_found");
        let request = json!({"path": path, "version": version});
        reader.post("/v1/restore", &request).refuses(404, "not_found");
    }
}

#[test]
fn a_deletion_is_told_with_what_went() {
    let server = Server::start("//- a.md\nAlpha.\n");
    server.admin().delete("/v1/files/docs/a.md").is(200);
    let told = server.raw_get("/v1/events?after=0&limit=1&kinds=file.deleted", "");
    let data = told.lines().find_map(|line| line.strip_prefix("data: "));
    let event: Value = serde_json::from_str(data.unwrap_or_else(|| panic!("{told}"))).unwrap();
    assert_eq!((text(&event, "event"), text(&event, "path")), ("file.deleted", "/docs/a.md"));
    assert_eq!((text(&event, "mimeType"), &event["size"]), ("text/markdown", &json!(7)), "{event}");
    assert_eq!(text(&event, "version"), version("Alpha.\n"));
    assert!(text(&event, "workspaceId").starts_with("ws_"), "{event}");
    let at = text(&event, "occurredAt");
    assert!(at.len() == "2026-01-31T00:00:00.000Z".len() && at.ends_with('Z'), "{at}");
}

#[test]
fn a_change_tells_nobody_what_they_may_not_read() {
    let server = Server::start("//- box/a.md\nhidden\n//- box/in/b.md\nhidden\n");
    let admin = server.admin();
    let cleaner = server.user("agent:cleaner", &["delete /docs/box/**"]);
    let stranger = server.user("agent:stranger", &["list,read /docs/elsewhere/**"]);
    let stale = format!("\"{}\"", version("x"));
    for path in ["/docs/box/a.md", "/docs/box/in", "/docs/box/none"] {
        let delete = |user: &User<'_>| {
            user.ask("DELETE", &format!("/v1/files{path}?recursive=true"), &[("if-match", &stale)], "")
        };
        delete(&cleaner).refuses(403, "forbidden");
        delete(&stranger).refuses(404, "not_found");
    }
    let guest = server.user("agent:guest", &["write /docs/box/**", "list,read,write,delete /docs/own/**"]);
    let clash = guest.post("/v1/folders", &json!({"path": "/docs/box/IN"}));
    clash.refuses(409, "name_taken");
    assert!(!clash.text().contains("`in`"), "{}", clash.text());
    // What is moved into a drop box lands there, be there something or not, and loses nothing.
    for to in ["/docs/box/a.md", "/docs/box/new.md"] {
        guest.put("/docs/own/x.md", "a receipt\n").is(201);
        let moved = guest.carry("move", "/docs/own/x.md", to).is(200).json();
        assert_eq!((&moved["created"], &moved["previous"]), (&json!(true), &Value::Null), "{to}");
        assert_eq!(admin.read(to).is(200).text(), "a receipt\n");
    }
    let hidden = format!("/docs/box/a.md?version={}", version("hidden\n"));
    assert_eq!(admin.read(&hidden).is(200).text(), "hidden\n");
}

#[test]
fn a_folder_that_is_emptied_tells_nothing_of_what_is_hidden_in_it() {
    let server = Server::start(
        "//- p/v.md\nseen\n//- p/in/v.md\nseen\n//- q/v.md\nseen\n//- q/in/v.md\nseen\n//- q/in/sec.md\nhidden\n",
    );
    let admin = server.admin();
    let agent = server
        .user("agent:a", &["list,read,write,delete /docs/**", "!list,read,write,delete /docs/**/sec.md"]);
    let told = |folder: &str| {
        let folder = format!("/docs/{folder}");
        let replies = [
            agent.get(&format!("/v1/list{folder}")),
            agent.get(&format!("/v1/list{folder}/in")),
            agent.put(&format!("{folder}/in"), "x"),
        ];
        replies.map(|reply| format!("{} {}", reply.status, reply.text().replace(&folder, "FOLDER")))
    };
    for folder in ["p", "q"] {
        agent.carry("move", &format!("/docs/{folder}"), &format!("/docs/moved-{folder}")).is(200);
    }
    assert_eq!(told("p"), told("q"));
    assert_eq!(admin.read("/docs/q/in/sec.md").is(200).text(), "hidden\n");
    for folder in ["p", "q"] {
        agent.put(&format!("/docs/{folder}/v.md"), "again\n").is(201);
        agent.delete(&format!("/v1/files/docs/{folder}?recursive=true")).is(200);
    }
    assert_eq!(told("p"), told("q"));
    // Who sees everything below takes the folder away with its files.
    let whole = server.user("agent:whole", &["list,read,write,delete /docs/**"]);
    whole.carry("move", "/docs/moved-p", "/docs/last").is(200);
    whole.get("/v1/list/docs/moved-p").refuses(404, "not_found");
}

#[test]
fn what_stands_in_the_way_unseen_is_told_alike_whatever_it_is() {
    let server = Server::start(
        "//- box/seen.md\nhidden\n//- box/inner/x.md\nhidden\n//- own/File.md\nmine\n//- own/deep/y.md\nmine\n",
    );
    let agent = server.user(
        "agent:a",
        &["write /docs/box/**", "list,read,write,delete /docs/own/**", "!list,read /docs/own/deep/**"],
    );
    let put = |path: &str| agent.put(path, "x");
    let folder = |path: &str| agent.post("/v1/folders", &json!({"path": path}));
    let hidden = [
        (put("/docs/box/Seen.md"), "/docs/box/Seen.md"),
        (put("/docs/box/seen.md/x.md"), "/docs/box/seen.md/x.md"),
        (put("/docs/box/inner"), "/docs/box/inner"),
        (put("/docs/box/INNER/y.md"), "/docs/box/INNER/y.md"),
        (put("/docs/own/deep"), "/docs/own/deep"),
        (folder("/docs/box/seen.md"), "/docs/box/seen.md"),
        (folder("/docs/box/seen.md/x"), "/docs/box/seen.md/x"),
    ];
    for (reply, path) in hidden {
        reply.refuses(409, "name_taken");
        assert_eq!(
            text(&reply.json(), "detail"),
            format!("nothing can be made at `{path}`: expected another name")
        );
    }
    // What may be seen is named.
    put("/docs/own/file.md").refuses(409, "name_conflict");
    put("/docs/own/File.md/x").refuses(409, "not_a_file");
    folder("/docs/own/File.md").refuses(409, "already_exists");
}
