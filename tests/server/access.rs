use serde_json::{Value, json};

use crate::support::{Reply, Server};
use crate::users::{User, text};

const FILES: &str = "\
//- a.md
The heron is grey.
//- drafts/d.md
The stork is a draft.
//- secret/s.md
The egret is hidden.
//- inbox/old.md
first receipt
";

#[test]
fn nothing_is_allowed_by_default() {
    let server = Server::start(FILES);
    let nobody = server.user("agent:nobody", &[]);
    for path in
        ["/v1/workspaces", "/v1/list", "/v1/snapshots", "/v1/locks", "/v1/approvals", "/v1/find?pattern=*"]
    {
        assert_eq!(nobody.items(path), Vec::<Value>::new(), "{path}");
    }
    assert_eq!(nobody.found(json!({"query": "heron"})), Vec::<String>::new());
    let who = nobody.get("/v1/whoami").is(200).json();
    assert_eq!((text(&who, "principal"), &who["admin"]), ("agent:nobody", &json!(false)));
    for path in
        ["/v1/files/docs/a.md", "/v1/info/docs/a.md", "/v1/list/docs", "/v1/tree/docs", "/v1/workspaces/docs"]
    {
        nobody.get(path).refuses(404, "not_found");
    }
    nobody.put("/docs/new.md", "x").refuses(404, "not_found");
    nobody.delete("/v1/files/docs/a.md").refuses(404, "not_found");
    // Who manages the home is no secret, and the refusal tells nothing else.
    for path in ["principals", "groups", "grants", "gates", "audit", "audit/export", "audit/verify"] {
        nobody.get(&format!("/v1/{path}")).refuses(403, "forbidden");
    }
    for (path, body) in [
        ("workspaces", json!({"name": "mine"})),
        ("principals", json!({"id": "agent:other"})),
        ("tokens", json!({"principal": "agent:nobody"})),
        ("grants", json!({"to": "agent:nobody", "path": "/docs/**", "verbs": ["read"]})),
        ("gates", json!({"path": "/docs/**"})),
        ("prune", json!({"versions": 1})),
    ] {
        nobody.post(&format!("/v1/{path}"), &body).refuses(403, "forbidden");
    }
    assert_eq!(nobody.ask("PUT", "/v1/policy", &[], "").problem().0, 403);
    nobody.read("/docs/a.md").refuses(404, "not_found");
}

#[test]
fn the_homes_owner_is_listed_and_stays() {
    let server = Server::start(FILES);
    let admin = server.admin();
    server.user("agent:a", &[]);
    let shown: Vec<(String, Value)> = admin
        .items("/v1/principals")
        .iter()
        .map(|one| (text(one, "id").to_owned(), one["built_in"].clone()))
        .collect();
    let expected = [("agent:a".to_owned(), json!(false)), ("human:admin".to_owned(), json!(true))];
    assert_eq!(shown, expected);
    assert_eq!(text(&admin.get("/v1/principals/human:admin").is(200).json(), "kind"), "human");
    let refused = admin.delete("/v1/principals/human:admin");
    refused.refuses(400, "invalid_request");
    assert!(text(&refused.json(), "detail").contains("is always there"), "{}", refused.text());
    let grant = json!({"to": "human:admin", "path": "/docs/**", "verbs": ["read"]});
    admin.post("/v1/grants", &grant).refuses(400, "invalid_request");
    admin.get("/v1/whoami").is(200);
}

#[test]
fn a_conflict_tells_no_name_that_may_not_be_read() {
    let server = Server::start("//- shared/Hidden.md\nwalrus\n//- shared/Open.md\nheron\n");
    let agent = server
        .user("agent:a", &["list,read,write /docs/shared/**", "!list,read,write /docs/shared/Hidden.md"]);
    for below in ["hidden.md", "hidden.md/x"] {
        let reply = agent.put(&format!("/docs/shared/{below}"), "x");
        assert!(!reply.text().contains("Hidden"), "{below}: {}", reply.text());
    }
    let reply = agent.put("/docs/shared/open.md", "x");
    assert!(reply.text().contains("Open.md"), "what may be read is named: {}", reply.text());
}

#[test]
fn grants_give_by_pattern_and_verb_and_a_deny_wins() {
    let server = Server::start(FILES);
    let admin = server.admin();
    let writer = server.user("agent:writer", &["write /docs/drafts/**", "!list,read /docs/secret/**"]);
    let headers = [("content-type", "application/json")];
    let group = json!({"members": ["agent:writer"]}).to_string();
    admin.ask("PUT", "/v1/groups/group:team", &headers, &group).is(200);
    let given = admin.grant("group:team", "list,read /docs/**");

    let check = |method: &str, path: &str, status: u16| {
        let reply = writer.ask(method, &format!("/v1/{path}"), &[], "text");
        assert_eq!(reply.status, status, "{method} {path}: {}", reply.text());
    };
    check("GET", "files/docs/a.md", 200);
    check("GET", "files/docs/secret/s.md", 404);
    check("GET", "list/docs/secret", 404);
    check("PUT", "files/docs/drafts/new.md", 201);
    check("PUT", "files/docs/a.md", 403);
    check("PUT", "files/docs/secret/s.md", 404);
    check("DELETE", "files/docs/drafts/new.md", 403);
    check("DELETE", "files/docs/secret/s.md", 404);
    let names: Vec<Value> =
        writer.items("/v1/list/docs").into_iter().map(|entry| entry["name"].clone()).collect();
    assert_eq!(names, ["drafts", "inbox", "a.md"]);
    assert_eq!(writer.found(json!({"query": "heron egret"})), ["/docs/a.md"]);

    // What the group gives ends with the membership, at once, and comes back with it.
    admin.delete("/v1/groups/group:team").is(204);
    check("GET", "files/docs/a.md", 404);
    check("PUT", "files/docs/drafts/new.md", 200 + 1);
    admin.ask("PUT", "/v1/groups/group:team", &headers, &group).is(200);
    check("GET", "files/docs/a.md", 200);
    admin.delete(&format!("/v1/grants/{}", text(&given, "id"))).is(204);
    check("GET", "files/docs/a.md", 404);
    let stranger = json!({"to": "agent:unknown", "path": "/docs/**", "verbs": ["read"]});
    admin.post("/v1/grants", &stranger).refuses(404, "not_found");
    let call = json!({"to": "agent:writer", "path": "/docs/**", "verbs": ["call"]});
    admin.post("/v1/grants", &call).refuses(400, "invalid_request");
}

#[test]
fn a_folder_admin_gives_rights_below_that_folder_alone() {
    let server = Server::start(FILES);
    let lead = server.user("human:lead", &["list,read,admin /docs/drafts/**"]);
    let helper = server.user("agent:helper", &[]);
    let grant = |path: &str, verbs: Value| {
        lead.post("/v1/grants", &json!({"to": helper.id, "path": path, "verbs": verbs}))
    };
    let given = grant("/docs/drafts/**", json!(["read"])).is(201).json();
    helper.read("/docs/drafts/d.md").is(200);
    grant("/docs/**", json!(["read"])).refuses(403, "forbidden");
    grant("/docs/drafts/**", json!(["admin"])).refuses(403, "forbidden");
    grant("/**", json!(["read"])).refuses(403, "forbidden");
    helper.delete(&format!("/v1/grants/{}", text(&given, "id"))).refuses(403, "forbidden");
    lead.delete(&format!("/v1/grants/{}", text(&given, "id"))).is(204);
    helper.read("/docs/drafts/d.md").refuses(404, "not_found");
}

#[test]
fn a_drop_box_takes_and_tells_nothing() {
    let server = Server::start(FILES);
    let guest = server.user("agent:guest", &["write /docs/inbox/**"]);
    let put = |path: &str, headers: &[(&str, &str)]| {
        guest.ask("PUT", &format!("/v1/files{path}"), headers, "a receipt\n")
    };
    let (over, new) = (put("/docs/inbox/old.md", &[]).is(201), put("/docs/inbox/new.md", &[]).is(201));
    assert_eq!(over.text().replace("old.md", "new.md"), new.text(), "whether something was there or not");
    for path in ["/docs/inbox/old.md", "/docs/inbox/none.md"] {
        guest.read(path).refuses(404, "not_found");
        guest.get(&format!("/v1/versions{path}")).refuses(404, "not_found");
        put(path, &[("if-none-match", "*")]).refuses(403, "forbidden");
        put(path, &[("if-match", "*")]).refuses(403, "forbidden");
        guest.ask("POST", &format!("/v1/append{path}"), &[], "more").refuses(404, "not_found");
        guest.delete(&format!("/v1/files{path}")).refuses(404, "not_found");
    }
    guest.get("/v1/list/docs/inbox").refuses(404, "not_found");
    assert_eq!(guest.found(json!({"query": "receipt"})), Vec::<String>::new());
    assert_eq!(server.admin().read("/docs/inbox/new.md").text(), "a receipt\n");
    assert_eq!(server.admin().items("/v1/versions/docs/inbox/old.md").len(), 2, "what was there is kept");
}

#[test]
fn what_may_not_be_seen_answers_as_what_is_not_there() {
    let server = Server::start(FILES);
    let reader = server.user("agent:reader", &["list,read,write,delete /docs/drafts/**"]);
    let other = server.user("agent:other", &["list,read,write /docs/**"]);
    other.post("/v1/locks", &json!({"path": "/docs/secret/s.md"})).is(201);
    server.post("/v1/workspaces", &json!({"name": "vault"})).is(201);
    server.admin().put("/vault/secret/n.md", "a secret").is(201);
    let version = server.get("/v1/files/docs/secret/s.md").header("etag").trim_matches('"').to_owned();
    let check = |method: &str, route: &str, body: Value| {
        let ask = |path: &str| -> Reply {
            let route = route.replace("PATH", path);
            let body = if body.is_null() { String::new() } else { body.to_string().replace("PATH", path) };
            reader.ask(method, &route, &[("content-type", "application/json")], &body)
        };
        let (hidden, absent) = (ask("/docs/secret/s.md"), ask("/docs/secret/n.md"));
        assert_eq!((hidden.status, absent.status), (404, 404), "{method} {route}: {}", hidden.text());
        assert_eq!(hidden.text().replace("s.md", "n.md"), absent.text(), "{method} {route}");
        let (hidden_workspace, absent_workspace) = (ask("/vault/secret/n.md"), ask("/none/secret/n.md"));
        let told = hidden_workspace.text().replace("vault", "none");
        assert_eq!((told, absent_workspace.status), (absent_workspace.text(), 404), "{method} {route}");
        let names = |reply: &Reply| -> Vec<String> {
            reply.headers.keys().map(ToString::to_string).filter(|name| name != "date").collect()
        };
        assert_eq!(names(&hidden), names(&absent), "{method} {route}");
    };
    check("GET", "/v1/filesPATH", Value::Null);
    check("HEAD", "/v1/filesPATH", Value::Null);
    check("GET", &format!("/v1/filesPATH?version={version}"), Value::Null);
    check("PUT", "/v1/filesPATH", json!("text"));
    check("DELETE", "/v1/filesPATH", Value::Null);
    check("POST", "/v1/appendPATH", json!("text"));
    check("GET", "/v1/infoPATH", Value::Null);
    check("GET", "/v1/listPATH", Value::Null);
    check("GET", "/v1/treePATH", Value::Null);
    check("GET", "/v1/versionsPATH", Value::Null);
    check("GET", &format!("/v1/diffPATH?from={version}"), Value::Null);
    check("POST", "/v1/edit", json!({"path": "PATH", "edits": [{"old_text": "a", "new_text": "b"}]}));
    check("POST", "/v1/move", json!({"from": "PATH", "to": "/docs/drafts/x.md"}));
    check("POST", "/v1/copy", json!({"from": "PATH", "to": "/docs/drafts/x.md"}));
    check("POST", "/v1/move", json!({"from": "/docs/drafts/d.md", "to": "PATH"}));
    check("POST", "/v1/copy", json!({"from": "/docs/drafts/d.md", "to": "PATH"}));
    check("POST", "/v1/restore", json!({"path": "PATH", "version": version}));
    check("POST", "/v1/folders", json!({"path": "PATH"}));
    check("POST", "/v1/locks", json!({"path": "PATH"}));
    let workspace = |name: &str| reader.post("/v1/snapshots", &json!({"workspace": name})).text();
    server.admin().post("/v1/workspaces", &json!({"name": "hidden"})).is(201);
    assert_eq!(workspace("hidden").replace("hidden", "absent"), workspace("absent"));
    assert_eq!(reader.items("/v1/locks"), Vec::<Value>::new());
}

#[test]
fn an_explanation_names_the_rule_that_decides() {
    let server = Server::start(FILES);
    let admin = server.admin();
    let agent = server.user("agent:a", &["list,read,write /docs/**"]);
    let deny = admin.grant("agent:a", "!read /docs/secret/**");
    admin.post("/v1/gates", &json!({"path": "/docs/drafts/**"})).is(201);
    let explain = |user: &User<'_>, who: &str, verb: &str, path: &str| {
        user.get(&format!("/v1/grants/explain?principal={who}&verb={verb}&path={path}"))
    };
    let told = |verb: &str, path: &str| explain(&agent, "agent:a", verb, path).is(200).json();
    let denied = told("read", "/docs/secret/s.md");
    assert_eq!((&denied["allowed"], &denied["rule"]), (&json!(false), &deny["id"]), "{denied}");
    assert_eq!(text(&denied, "sentence"), "agent:a deny read on path /docs/secret/**");
    assert_eq!(text(&told("delete", "/docs/a.md"), "rule"), "default");
    let gated = told("write", "/docs/drafts/d.md");
    assert!(gated["allowed"] == true && text(&gated, "gate").starts_with("gt_"), "{gated}");
    let unknown = explain(&admin, "agent:none", "read", "/docs");
    unknown.refuses(404, "not_found");
    assert_eq!(text(&unknown.json(), "detail"), "there is no principal `agent:none`");
    explain(&agent, "human:admin", "read", "/docs/a.md").refuses(403, "forbidden");
    admin.get("/v1/grants/explain?principal=agent:a&verb=fly&path=/docs").refuses(400, "invalid_request");
}

#[test]
fn an_id_that_differs_only_in_case_is_no_other_one() {
    let server = Server::start(FILES);
    let admin = server.admin();
    server.user("agent:bob", &[]);
    let headers = [("content-type", "application/json")];
    let group = |id: &str| {
        let members = json!({"members": ["agent:bob"]}).to_string();
        admin.ask("PUT", &format!("/v1/groups/{id}"), &headers, &members)
    };
    group("group:team").is(200);
    for (id, other) in [("agent:BOB", "agent:bob"), ("human:Admin", "human:admin")] {
        let refused = admin.post("/v1/principals", &json!({"id": id}));
        refused.refuses(409, "name_conflict");
        assert!(text(&refused.json(), "detail").contains(&format!("`{other}`")), "{}", refused.text());
    }
    admin
        .post("/v1/principals", &json!({"id": "agent:bob", "groups": ["group:TEAM"]}))
        .refuses(409, "name_conflict");
    group("group:Team").refuses(409, "name_conflict");
    // The same ones again are no others, and what is removed is in nobody's way.
    group("group:team").is(200);
    admin.post("/v1/principals", &json!({"id": "agent:bob", "name": "Bob"})).is(200);
    admin.delete("/v1/principals/agent:bob").is(204);
    admin.post("/v1/principals", &json!({"id": "agent:BOB"})).is(201);
}

#[test]
fn nothing_of_a_removed_principal_comes_alive_with_its_id() {
    let server = Server::start(FILES);
    let admin = server.admin();
    admin.post("/v1/gates", &json!({"path": "/docs/drafts/**"})).is(201);
    let work = &["list,read,write,delete /docs/**"];
    let bob = server.user("agent:bob", work);
    let eve = server.user("agent:eve", work);
    let lock = bob.post("/v1/locks", &json!({"path": "/docs/a.md", "ttl_seconds": 600})).is(201).json();
    let waiting = text(&bob.put("/docs/drafts/new.md", "x").json(), "approval_id").to_owned();
    let made = admin.post("/v1/tasks", &json!({"workspace": "docs", "title": "Count"})).is(201).json();
    let claim = |user: &User<'_>| user.post("/v1/tasks/claim", &json!({"ttl_seconds": 600})).is(200).json();
    assert_eq!(claim(&bob)["task"]["task_id"], made["task_id"]);
    let keyed = |user: &User<'_>| {
        let headers = [("content-type", "application/json"), ("idempotency-key", "k-1")];
        user.ask("POST", "/v1/folders", &headers, &json!({"path": "/docs/made"}).to_string()).was_put()
    };
    let first = keyed(&bob).json();
    assert_eq!(keyed(&bob).json(), first);

    admin.delete("/v1/principals/agent:bob").is(204);
    let again = server.user("agent:bob", work);
    assert_eq!(again.items("/v1/locks"), Vec::<Value>::new());
    admin.get(&format!("/v1/locks/{}", text(&lock, "id"))).refuses(404, "not_found");
    eve.put("/docs/a.md", "the way is free\n").is(200);
    assert_eq!(text(&admin.get(&format!("/v1/approvals/{waiting}")).is(200).json(), "state"), "stale");
    let task = claim(&eve);
    assert_eq!(task["task"]["task_id"], made["task_id"], "{task}");
    assert_eq!(keyed(&again).json()["created"], false, "it is answered anew");
}

#[test]
fn a_policy_file_is_compared_and_made_to_hold() {
    let server = Server::start(FILES);
    let admin = server.admin();
    let before = server.user("agent:before", &["read /docs/**"]);
    let policy = include_str!("../../datasets/demo/grants.toml");
    let apply = |query: &str| admin.ask("PUT", &format!("/v1/policy{query}"), &[], policy);
    let diff = || admin.ask("POST", "/v1/policy/diff", &[], policy).is(200).json();
    let n_added = diff()["added"].as_array().unwrap().len();
    let n_declared =
        ["[[principal]]\n", "[[group]]\n", "[[grant]]\n"].map(|entry| policy.matches(entry).count());
    assert_eq!(n_added, n_declared.iter().sum::<usize>());
    assert_eq!(diff()["removed"].as_array().unwrap().len(), 2, "a principal and its grant");

    apply("?keep=true").is(200);
    before.read("/docs/a.md").is(200);
    apply("").is(200);
    assert_eq!(diff(), json!({"added": [], "removed": []}));
    before.read("/docs/a.md").refuses(401, "unauthorized");
    let check = |principal: &str, verb: &str, path: &str, expected: bool| {
        let query = format!("principal={principal}&verb={verb}&path={path}");
        let told = admin.get(&format!("/v1/grants/explain?{query}")).is(200).json();
        assert_eq!(told["allowed"], expected, "{told}");
    };
    check("agent:data-analyst", "read", "/finance/reports/2026-01-month-end.md", true);
    check("agent:data-analyst", "read", "/finance/payroll/2026-02-payroll-by-department.csv", false);
    check("human:marguerite-holt", "read", "/finance/payroll/2026-02-payroll-by-department.csv", true);
    check("service:ci", "write", "/finance/inbox/receipt.pdf", true);
    check("service:ci", "read", "/finance/inbox/receipt.pdf", false);
    check("agent:marketing-writer", "write", "/marketing/press/new.md", false);

    for (broken, code) in [
        ("[[grant]]\nto = \"agent:x\"\npath = \"/a\"\nverbs = [\"read\"]", "not_found"),
        ("[[principal]]\nid = \"agent:x\"\nrole = \"y\"", "invalid_policy"),
        ("[[principal", "invalid_policy"),
    ] {
        let reply = admin.ask("PUT", "/v1/policy", &[], broken);
        assert_eq!(reply.problem().1, code, "{}", reply.text());
    }
    assert_eq!(diff(), json!({"added": [], "removed": []}), "a broken file changes nothing");
    // No bytes at all are TOML, too: whoever forgot the body must not lose everybody.
    for empty in ["", "# to be written\n", "grant = []\n"] {
        let reply = admin.ask("PUT", "/v1/policy", &[], empty);
        assert_eq!(reply.problem().0, 400, "{}", reply.text());
        assert!(reply.text().contains("confirm=empty"), "{}", reply.text());
    }
    assert_eq!(diff(), json!({"added": [], "removed": []}), "an empty file changes nothing");
    let nothing = admin.ask("PUT", "/v1/policy?confirm=empty", &[], "").is(200).json();
    assert_eq!(nothing["removed"].as_array().map(Vec::len), Some(n_added), "{nothing}");
}
