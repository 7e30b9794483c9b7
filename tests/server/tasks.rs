use serde_json::{Value, json};

use crate::mcp::Client;
use crate::support::Server;
use crate::users::{User, eventually, text};

const FILES: &str = "\
//- a.md
The heron is grey.
";

/// What somebody who works may do.
const WORK: &[&str] = &["list,read,write /docs/**"];

/// Asks for a task, and gives it or null.
fn claim(user: &User<'_>, body: Value) -> Value {
    user.post("/v1/tasks/claim", &body).is(200).json()["task"].clone()
}

#[test]
fn a_task_goes_its_way_between_two_users() {
    let server = Server::start(FILES);
    let boss = server.user("human:boss", &["list,read,write,delete,approve /docs/**"]);
    let worker = server.user("agent:worker", WORK);
    let new =
        json!({"workspace": "docs", "title": "Count", "payload": {"n": 3}, "to": "worker", "review": true});
    let made = boss.post("/v1/tasks", &new).is(201).json();
    let id = text(&made, "task_id");
    assert_eq!((text(&made, "id"), text(&made, "state"), text(&made, "to")), (id, "pending", "agent:worker"));
    assert_eq!(text(&made, "path"), format!("/docs/tasks/pending/{id}.json"));
    assert_eq!(claim(&boss, json!({})), Value::Null, "it is for the worker");
    let task = claim(&worker, json!({"workspace": "docs", "lease_seconds": 30}));
    assert_eq!((text(&task, "task_id"), &task["payload"]), (id, &json!({"n": 3})));
    assert_eq!((text(&task, "holder"), text(&task, "workspace")), ("agent:worker", "docs"));
    assert_eq!(text(&task, "path"), format!("/docs/tasks/in-progress/{id}.json"));
    let fence = &task["fence"];
    assert!(fence.is_u64() && task["lease_expires_at"].is_string(), "{task}");
    assert_eq!(claim(&worker, json!({})), Value::Null);
    // The lease holds against writes of others.
    boss.put(text(&task, "path"), "{}").refuses(423, "lock_held");
    boss.put(&format!("/docs/artifacts/{id}/x.md"), "x").refuses(423, "lock_held");
    let kept =
        worker.post("/v1/tasks/heartbeat", &json!({"task_id": id, "fence": fence, "ttl_seconds": 600}));
    assert!(text(&kept.is(200).json(), "lease_expires_at") > text(&task, "lease_expires_at"));
    worker.post("/v1/tasks/heartbeat", &json!({"id": id, "fence": 999})).refuses(409, "lock_expired");
    boss.post("/v1/tasks/complete", &json!({"task_id": id, "fence": fence})).refuses(409, "lock_expired");

    let back = worker
        .post("/v1/tasks/fail", &json!({"task_id": id, "fence": fence, "error": "tired"}))
        .is(200)
        .json();
    assert_eq!((text(&back, "state"), text(&back, "last_error")), ("pending", "tired"));
    // It waits a second; so does the long poll.
    let task = claim(&worker, json!({"wait_seconds": 20}));
    assert!(task["fence"].as_u64() > fence.as_u64(), "{task}");
    let artifacts = json!([{"name": "count.md", "content": "three\n"}]);
    let done = json!({"task_id": id, "fence": task["fence"], "result": {"n": 3}, "artifacts": artifacts});
    let done = worker.post("/v1/tasks/complete", &done).is(200).json();
    assert_eq!((text(&done, "state"), &done["attempts"]), ("review", &json!(2)));
    assert_eq!(
        done["artifacts"],
        json!([format!("/docs/artifacts/{id}/count.md"), format!("/docs/artifacts/{id}/result.json")])
    );
    assert_eq!(boss.read(&format!("/docs/artifacts/{id}/count.md")).is(200).text(), "three\n");
    worker.post("/v1/tasks/accept", &json!({"task_id": id})).refuses(403, "forbidden");
    let rejected =
        boss.post("/v1/tasks/reject", &json!({"task_id": id, "reason": "count again"})).is(200).json();
    assert_eq!(text(&rejected, "state"), "pending");
    let task = claim(&worker, json!({"task_id": id}));
    worker.post("/v1/tasks/complete", &json!({"task_id": id, "fence": task["fence"]})).is(200);
    let accepted = boss.post("/v1/tasks/accept", &json!({"task_id": id})).is(200).json();
    assert_eq!(
        (text(&accepted, "state"), text(&accepted, "path")),
        ("done", format!("/docs/tasks/done/{id}.json").as_str())
    );
    let shown = boss.get(&format!("/v1/tasks/{id}")).is(200).json();
    let what: Vec<&str> =
        shown["history"].as_array().unwrap().iter().map(|past| text(past, "what")).collect();
    assert_eq!(
        what,
        [
            "created",
            "claimed",
            "failed",
            "claimed",
            "completed",
            "rejected",
            "claimed",
            "completed",
            "accepted"
        ]
    );
    assert_eq!(boss.items("/v1/tasks?workspace=docs&state=done").len(), 1);
    assert_eq!(boss.items("/v1/tasks?state=in_progress").len(), 0);
}

#[test]
fn tasks_are_listed_from_either_end() {
    let server = Server::start(FILES);
    let boss = server.user("human:boss", WORK);
    let make = |title: &str| {
        let made = boss.post("/v1/tasks", &json!({"workspace": "docs", "title": title})).is(201).json();
        text(&made, "task_id").to_owned()
    };
    let made: Vec<String> = ["a", "b", "c", "d", "e"].map(make).into();
    let page = |query: &str| {
        let reply = boss.get(&format!("/v1/tasks?{query}")).is(200).json();
        let items = reply["items"].as_array().unwrap();
        let told =
            items.iter().map(|task| (text(task, "created_at").to_owned(), text(task, "id").to_owned()));
        (told.collect::<Vec<_>>(), reply["next_cursor"].as_str().map(str::to_owned))
    };
    let ids = |told: &[(String, String)]| told.iter().map(|(_, id)| id.clone()).collect::<Vec<_>>();
    let (oldest, _) = page("");
    assert!(oldest.is_sorted_by_key(|(at, _)| at.clone()), "{oldest:?}");
    assert_eq!(page("order=oldest").0, oldest);
    let (newest, end) = page("order=newest");
    assert!(newest.is_sorted_by(|one, next| one.0 >= next.0) && end.is_none(), "{newest:?}");
    let sorted = |mut list: Vec<String>| {
        list.sort();
        list
    };
    assert_eq!(sorted(ids(&newest)), sorted(made));
    // What comes between two pages shows nothing twice, and hides nothing.
    let (first, cursor) = page("order=newest&limit=3");
    let late = make("f");
    let (mut second, end) = page(&format!("order=newest&limit=100&cursor={}", cursor.unwrap()));
    second.retain(|(_, id)| *id != late);
    assert_eq!((ids(&[first, second].concat()), end), (ids(&newest), None));
    assert!(page("order=newest&state=done").0.is_empty());
    boss.get("/v1/tasks?order=random").refuses(400, "invalid_request");
}

#[test]
fn requests_that_make_no_sense_are_refused() {
    let server = Server::start(FILES);
    let (boss, outside) =
        (server.user("human:boss", WORK), server.user("agent:outside", &["read /docs/a.md"]));
    let made =
        boss.post("/v1/tasks", &json!({"workspace": "docs", "title": "x", "name": "x.json"})).is(201).json();
    let check = |route: &str, body: Value, status: u16, code: &str| {
        boss.post(route, &body).refuses(status, code);
    };
    check("/v1/tasks", json!({"title": "x"}), 400, "invalid_request");
    check("/v1/tasks", json!({"workspace": "docs", "colour": "red"}), 400, "invalid_request");
    check("/v1/tasks", json!({"workspace": "docs", "name": "a/b"}), 400, "invalid_request");
    check("/v1/tasks", json!({"workspace": "docs", "name": "x.json"}), 409, "already_exists");
    check("/v1/tasks", json!({"workspace": "docs", "due_at": "soon"}), 400, "invalid_request");
    check("/v1/tasks", json!({"workspace": "docs", "max_attempts": 0}), 400, "invalid_request");
    check("/v1/tasks", json!({"workspace": "docs", "on_trouble": ["cry"]}), 400, "invalid_request");
    check("/v1/tasks", json!({"workspace": "none", "title": "x"}), 404, "not_found");
    check("/v1/tasks/claim", json!({"ttl_ms": 0}), 400, "invalid_request");
    check("/v1/tasks/claim", json!({"workspace": "none"}), 404, "not_found");
    check("/v1/tasks/complete", json!({"task_id": "tk_0", "fence": 1}), 404, "not_found");
    check("/v1/tasks/accept", json!({"task_id": made["id"]}), 409, "wrong_state");
    boss.get("/v1/tasks?state=asleep").refuses(400, "invalid_request");
    // What may not be read is not there.
    let absent = outside.get("/v1/tasks/tk_0").text();
    let hidden = outside.get(&format!("/v1/tasks/{}", text(&made, "id"))).text();
    assert_eq!(hidden.replace(text(&made, "id"), "tk_0"), absent);
    outside.post("/v1/tasks", &json!({"workspace": "docs", "title": "x"})).refuses(404, "not_found");
    assert!(outside.items("/v1/tasks").is_empty());
    let cancelled =
        boss.post("/v1/tasks/cancel", &json!({"task_id": made["id"], "reason": "no"})).is(200).json();
    assert_eq!(text(&cancelled, "state"), "failed");
}

#[test]
fn a_verdict_may_name_a_fence_and_stands_once_it_is_given() {
    let server = Server::start(FILES);
    let boss = server.user("human:boss", &["list,read,write,approve /docs/**"]);
    let worker = server.user("agent:worker", WORK);
    let new = json!({"workspace": "docs", "title": "Count", "review": true, "due": "2030-01-31T00:00:00Z"});
    let made = boss.post("/v1/tasks", &new).is(201).json();
    assert!(text(&made, "due_at").starts_with("2030-01-31T00:00:00"), "{made}");
    let id = text(&made, "task_id");
    let judge = |verdict: &str, fence: &Value| {
        let mut body = json!({"task_id": id, "fence": fence});
        if verdict == "reject" {
            body["reason"] = json!("count again");
        }
        boss.post(&format!("/v1/tasks/{verdict}"), &body)
    };
    let work = || {
        let task = claim(&worker, json!({}));
        // Somebody has it: another fence is that of another lease, and this one is not done yet.
        judge("reject", &json!(999_999)).refuses(409, "lock_expired");
        judge("accept", &json!(999_999)).refuses(409, "lock_expired");
        judge("reject", &task["fence"]).refuses(409, "wrong_state");
        worker.post("/v1/tasks/complete", &json!({"task_id": id, "fence": task["fence"]})).is(200);
        task["fence"].clone()
    };
    let fence = work();
    assert_eq!(text(&judge("reject", &fence).is(200).json(), "state"), "pending");
    let fence = work();
    judge("accept", &fence).is(200);
    let refused = judge("reject", &fence);
    refused.refuses(409, "wrong_state");
    assert!(text(&refused.json(), "detail").contains("make a new task"), "{}", refused.text());
    assert_eq!(text(&boss.get(&format!("/v1/tasks/{id}")).is(200).json(), "state"), "done");
}

#[test]
fn who_gets_no_task_is_told_why() {
    let server = Server::start(FILES);
    let boss = server.user("human:boss", &["list,read,write,approve /docs/**"]);
    let worker = server.user("agent:worker", WORK);
    let looker = server.user("agent:looker", &["list,read /docs/tasks/**"]);
    let outside = server.user("agent:outside", &["list,read,write /docs/inbox/**"]);
    let make = |more: Value| {
        let mut new = json!({"workspace": "docs", "title": "Sue"});
        new.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        text(&boss.post("/v1/tasks", &new).is(201).json(), "task_id").to_owned()
    };
    let check = |user: &User<'_>, body: Value, expected: &str| {
        let told = user.post("/v1/tasks/claim", &body).is(200).json();
        assert_eq!(told["task"], Value::Null, "{told}");
        assert!(text(&told, "why").contains(expected), "{expected}: {told}");
    };
    let law = make(json!({"capability": "law"}));
    check(&worker, json!({}), "takes the capability `law`");
    check(&worker, json!({"task_id": law}), "name it in `capabilities`");
    let for_boss = make(json!({"to": "human:boss", "priority": -1}));
    check(&worker, json!({"task_id": for_boss}), "is for `human:boss`");
    let after = make(json!({"depends_on": [law]}));
    check(&worker, json!({"task_id": after}), &format!("waits until `{law}` is done"));
    let missing = format!("takes `write` on `/docs/tasks/in-progress/{law}.json`");
    check(&looker, json!({"task_id": law, "capabilities": ["law"]}), &missing);
    // Who sees none of them is told nothing.
    let told = outside.post("/v1/tasks/claim", &json!({})).is(200).json();
    assert_eq!(told, json!({"task": null}));
    // One word will do.
    assert_eq!(text(&claim(&worker, json!({"capability": "law"})), "task_id"), law);
    check(&worker, json!({"task_id": law, "capability": "law"}), "is in-progress");

    // Where all that waits is for others, or is tried again later, that is said.
    check(&worker, json!({}), "waits until");
    boss.post("/v1/tasks/cancel", &json!({"task_id": after, "reason": "done by hand"})).is(200);
    check(&worker, json!({}), "is for `human:boss`");

    // A right that is missing where results go is named, too.
    let clerk = server.user("agent:clerk", &["list,read,write /docs/tasks/**"]);
    make(json!({"to": "clerk"}));
    let task = claim(&clerk, json!({}));
    let done = json!({"task_id": task["task_id"], "fence": task["fence"], "result": 3});
    let refused = clerk.post("/v1/tasks/complete", &done);
    refused.refuses(403, "forbidden");
    assert!(text(&refused.json(), "detail").contains("`write` on `/docs/artifacts/"), "{}", refused.text());
}

#[test]
fn what_a_task_names_has_to_be_there() {
    let server = Server::start(FILES);
    let admin = server.admin();
    let boss = server.user("human:boss", &["list,read,write,approve /docs/**"]);
    let make = |user: &User<'_>, more: Value| {
        let mut new = json!({"workspace": "docs", "title": "Sue"});
        new.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        user.post("/v1/tasks", &new)
    };
    let unknown = make(&boss, json!({"depends_on": ["tk_nope"]}));
    unknown.refuses(400, "invalid_request");
    assert!(text(&unknown.json(), "detail").starts_with("`depends_on` is `tk_nope`"), "{}", unknown.text());
    let ghost = make(&admin, json!({"to": "agent:ghost"}));
    ghost.refuses(404, "not_found");
    assert!(text(&ghost.json(), "detail").contains("`agent:ghost`"), "{}", ghost.text());
    make(&boss, json!({"to": "agent:ghost"})).is(201);
    make(&admin, json!({"to": "human:admin"})).is(201);
    let trouble = make(&boss, json!({"on_trouble": ["cry"]}));
    assert!(!trouble.text().contains("expected expected"), "{}", trouble.text());
}

#[test]
fn each_trouble_leads_where_its_step_says_whatever_the_limit_of_attempts() {
    let server = Server::start(FILES);
    let boss = server.user("human:boss", &["list,read,write,approve /docs/**"]);
    let (one, two) = (server.user("agent:w1", WORK), server.user("agent:w2", WORK));
    let new = json!({"workspace": "docs", "title": "Sue", "retry_delay_ms": 1, "on_trouble": ["retry", "agent:w2", "human"]});
    let made = boss.post("/v1/tasks", &new).is(201).json();
    for worker in [&one, &one, &two] {
        let task = claim(worker, json!({"wait_seconds": 20}));
        let failed = json!({"task_id": made["task_id"], "fence": task["fence"], "error": "no"});
        worker.post("/v1/tasks/fail", &failed).is(200);
    }
    let task = boss.get(&format!("/v1/tasks/{}", text(&made, "task_id"))).is(200).json();
    assert_eq!(text(&task, "state"), "waiting", "{task}");
    boss.post(&format!("/v1/approvals/{}/grant", text(&task, "approval_id")), &json!({})).is(200);
}

#[test]
fn a_dropped_file_that_can_not_be_read_as_a_task_says_so() {
    let server = Server::start(FILES);
    let folder = server.folder.path().join("docs/tasks/pending");
    std::fs::create_dir_all(&folder).unwrap();
    for (name, bytes) in [
        ("cut.json", "{\"title\": "),
        ("list.json", "[1]"),
        ("typed.json", "{\"priority\": \"high\"}"),
        ("note.txt", "Buy milk."),
    ] {
        std::fs::write(folder.join(name), bytes).unwrap();
    }
    for (name, expected) in [
        ("cut.json", "no JSON"),
        ("list.json", "no object"),
        ("typed.json", "`priority` was passed over"),
        ("note.txt", "nothing: any other file is a task as it is"),
    ] {
        eventually(name, || {
            let tasks = server.admin().items("/v1/tasks");
            let task = tasks.iter().find(|task| text(task, "path").ends_with(name))?;
            let told = task["last_error"].as_str().unwrap_or(expected).to_owned();
            (told.contains(expected) && task["last_error"].is_null() == (name == "note.txt")).then_some(())
        });
    }
}

#[test]
fn what_is_dropped_into_an_inbox_lies_before_its_agent() {
    let server = Server::start(FILES);
    let bob = server.user("agent:bob", WORK);
    let inbox = server.folder.path().join("docs/inbox/bob");
    std::fs::create_dir_all(&inbox).unwrap();
    std::fs::write(inbox.join("mail.txt"), "a letter\n").unwrap();
    let task = eventually("the letter is a task", || {
        Some(claim(&bob, json!({"inbox": true}))).filter(Value::is_object)
    });
    assert_eq!((text(&task, "content"), text(&task, "created_by")), ("a letter\n", "external"));
    for id in ["bob", "agent:bob"] {
        let items = bob.items(&format!("/v1/agents/{id}/inbox"));
        assert_eq!((items.len(), text(&items[0], "state"), &items[0]["size"]), (1, "in-progress", &json!(9)));
        assert!(items[0]["age_seconds"].is_i64() && items[0]["holder"] == "agent:bob", "{items:?}");
    }
}

#[test]
fn a_topic_is_read_by_groups() {
    let server = Server::start(FILES);
    let user = server.user("agent:a", WORK);
    user.put("/docs/events/orders/1.json", r#"{"n": 1}"#).is(201);
    user.post("/v1/topics/orders", &json!({"workspace": "docs", "data": {"n": 2}})).is(201);
    let group = json!({"workspace": "docs", "topic": "orders", "group": "g"});
    let fetch = |more: Value| {
        let mut body = group.clone();
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        user.post("/v1/consumers/fetch", &body)
    };
    let items = fetch(json!({"lease_seconds": 60})).is(200).json()["items"].clone();
    assert_eq!(
        (&items[0]["data"]["data"], &items[1]["data"]),
        (&json!({"n": 1}), &json!({"n": 2})),
        "{items}"
    );
    assert_eq!((&items[0]["event"], &items[0]["attempts"]), (&json!("topic.published"), &json!(1)));
    let ack =
        json!({"workspace": "docs", "topic": "orders", "group": "g", "ids": [items[0]["id"], "evt_none"]});
    assert_eq!(
        user.post("/v1/consumers/ack", &ack).is(200).json(),
        json!({"acked": 1, "lost": ["evt_none"]})
    );
    let groups = user.items("/v1/consumers?workspace=docs&topic=orders");
    assert_eq!((text(&groups[0], "group"), &groups[0]["lag"]), ("g", &json!(1)));
    fetch(json!({"from": "nowhere", "group": "h"})).refuses(400, "invalid_request");
    fetch(json!({"topic": "../a"})).refuses(400, "invalid_path");
    user.delete("/v1/consumers?workspace=docs&topic=orders&group=g").is(204);
    let outside = server.user("agent:outside", &["read /docs/a.md"]);
    outside.post("/v1/consumers/fetch", &group).refuses(404, "not_found");
}

#[test]
fn an_agent_works_by_its_tools() {
    let server = Server::start(FILES);
    let (worker, reviewer) =
        (server.user("agent:worker", WORK), server.user("agent:eve", &["list,read,write,approve /docs/**"]));
    let (worker, reviewer) =
        (Client::legacy(&server, "", &worker.token), Client::legacy(&server, "", &reviewer.token));
    let does = |client: &Client<'_>, tool: &str, arguments: Value| {
        let (said, failed) = client.call(tool, arguments);
        assert!(!failed, "{tool}: {said}");
        said
    };
    let new = json!({"workspace": "docs", "title": "Count", "payload": {"n": 3}, "review": true});
    let made = does(&reviewer, "create_task", new);
    let id = text(&made, "task_id");
    let task = does(&worker, "claim_task", json!({}))["task"].clone();
    assert_eq!((text(&task, "task_id"), &task["payload"]), (id, &json!({"n": 3})));
    does(&worker, "heartbeat_task", json!({"task_id": id, "fence": task["fence"], "note": "halfway"}));
    assert_eq!(does(&worker, "claim_task", json!({})), json!({"task": null}));
    let listed = does(&worker, "list_tasks", json!({"state": "in-progress"}));
    assert_eq!(text(&listed["tasks"][0], "holder"), "agent:worker");
    let done = does(&worker, "complete_task", json!({"task_id": id, "fence": task["fence"], "result": 3}));
    assert_eq!(text(&done, "state"), "review");
    let (said, failed) =
        worker.call("fail_task", json!({"task_id": id, "fence": task["fence"], "error": "late"}));
    assert!(failed && said["code"] == "lock_expired" && text(&said, "next").contains("claim"), "{said}");
    let verdict = json!({"task_id": id, "accept": true, "fence": task["fence"]});
    let accepted = does(&reviewer, "review_task", verdict);
    assert_eq!(text(&accepted, "state"), "done");
    let (said, failed) = worker.call("claim_task", json!({"speed": 1}));
    assert!(failed && text(&said, "message").contains("unknown argument `speed`"), "{said}");
}
