use std::time::Duration;

use serde_json::{Value, json};
use standardwebhooks::Webhook;
use tokio::sync::watch;
use waypost_engine::api::Schedule;

use crate::receiver::{Answer, Got, Receiver};
use crate::support::{PATIENCE, Server};
use crate::users::eventually;

/// Makes a webhook on everything in `docs`; gives its id and secret.
fn subscribe(server: &Server, url: &str, more: &Value) -> (String, String) {
    let mut request = json!({"url": url});
    request.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let made = server.post("/v1/webhooks", &request);
    assert_eq!(made.status, 201, "{}", made.text());
    let made = made.json();
    (made["id"].as_str().unwrap().to_owned(), made["secret"].as_str().unwrap().to_owned())
}

fn put(server: &Server, path: &str, text: &str) {
    let put = server.ask("PUT", &format!("/v1/files{path}"), &[], text);
    assert!(put.status < 300, "{}", put.text());
}

fn is_signed(got: &Got, secret: &str) -> bool {
    let mut headers = ureq::http::HeaderMap::new();
    for (name, value) in [
        ("webhook-id", &got.id),
        ("webhook-timestamp", &got.timestamp),
        ("webhook-signature", &got.signature),
    ] {
        headers.insert(name, value.parse().unwrap());
    }
    Webhook::new(secret).unwrap().verify(&got.body, &headers).is_ok()
}

/// Deliveries in a state, as soon as there are so many.
fn deliveries(server: &Server, id: &str, state: &str, count: usize) -> Vec<Value> {
    let deadline = std::time::Instant::now() + crate::support::PATIENCE;
    loop {
        let page = server.get(&format!("/v1/webhooks/{id}/deliveries?state={state}")).json();
        let items = page["items"].as_array().unwrap().clone();
        if items.len() >= count {
            return items;
        }
        assert!(std::time::Instant::now() < deadline, "{page}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn a_change_is_told_with_its_path_and_signed_as_the_standard_has_it() {
    let server = Server::start_quick("//- a.md\nAlpha.\n");
    let receiver = Receiver::willing();
    let (id, secret) = subscribe(&server, &receiver.url(), &json!({"paths": ["/docs/drafts/**"]}));
    put(&server, "/docs/other.md", "Not told.");
    put(&server, "/docs/drafts/blog-post.md", "Told.");
    let got = &receiver.wait_for(1)[0];
    let body = got.json();
    assert_eq!(body["event"], "file.created");
    assert_eq!(body["type"], "file.created");
    assert_eq!(body["path"], "/docs/drafts/blog-post.md");
    assert_eq!(body["mimeType"], "text/markdown");
    assert_eq!(body["size"], 5);
    assert_eq!(body["actor"], "human:admin");
    assert!(body["workspaceId"].as_str().unwrap().starts_with("ws_"));
    assert_eq!(body["id"], got.id.as_str());
    assert!(body["version"].is_string() && body["seq"].is_string() && body["occurredAt"].is_string());
    assert!(is_signed(got, &secret), "{got:?}");
    assert!(!is_signed(&Got { body: b"{}".to_vec(), ..got.clone() }, &secret));
    let delivered = deliveries(&server, &id, "delivered", 1);
    assert_eq!(delivered[0]["attempts"], 1);
    assert_eq!(delivered[0]["last_status"], 204);
    assert_eq!(delivered[0]["path"], "/docs/drafts/blog-post.md");
    assert_eq!(receiver.got().len(), 1, "nothing else was told");
}

#[test]
fn an_event_carries_the_trace_of_the_act_on_to_its_receiver() {
    let server = Server::start_quick("//- a.md\nAlpha.\n");
    let receiver = Receiver::willing();
    subscribe(&server, &receiver.url(), &json!({}));
    let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
    let sent = format!("00-{trace}-00f067aa0ba902b7-01");
    let traced = [("traceparent", sent.as_str())];
    assert!(server.ask("PUT", "/v1/files/docs/b.md", &traced, "Traced.").status < 300);
    let named = [("x-request-id", "by-hand")];
    assert!(server.ask("PUT", "/v1/files/docs/c.md", &named, "Named otherwise.").status < 300);
    let got = receiver.wait_for(2);
    let of = |path: &str| got.iter().find(|got| got.path() == path).unwrap();
    let told: Vec<&str> = of("/docs/b.md").traceparent.split('-').collect();
    assert_eq!((told[0], told[1], told[3]), ("00", trace, "01"), "{told:?}");
    assert!(told[2].len() == 16 && told[2] != "00f067aa0ba902b7", "the event is the parent: {told:?}");
    assert_eq!(of("/docs/c.md").traceparent, "", "a name of another kind is no trace");
}

#[test]
fn edits_of_other_programs_are_told_as_well() {
    let server = Server::start_quick("//- a.md\nAlpha.\n");
    let receiver = Receiver::willing();
    subscribe(&server, &receiver.url(), &json!({"kinds": "file.*"}));
    std::fs::write(server.folder.path().join("docs/outside.md"), "Written by another program.").unwrap();
    let got = &receiver.wait_for(1)[0];
    assert_eq!((got.path().as_str(), got.json()["actor"].as_str()), ("/docs/outside.md", Some("external")));
}

#[test]
fn row_31_a_failure_is_tried_again_with_the_same_id_and_body_and_a_new_timestamp() {
    let server = Server::start_quick("//- a.md\nAlpha.\n");
    let receiver = Receiver::start(|n, _| Answer::Status(if n < 2 { 500 } else { 200 }));
    let (id, secret) = subscribe(&server, &receiver.url(), &json!({}));
    put(&server, "/docs/b.md", "Beta.");
    let got = receiver.wait_for(3);
    assert!(got.iter().all(|one| one.id == got[0].id && one.body == got[0].body), "{got:?}");
    assert!(got.iter().all(|one| is_signed(one, &secret)));
    assert!(got[1].at - got[0].at >= Duration::from_millis(16), "it waits, and varies by a fifth");
    let delivered = &deliveries(&server, &id, "delivered", 1)[0];
    let statuses: Vec<i64> =
        delivered["log"].as_array().unwrap().iter().map(|one| one["status"].as_i64().unwrap()).collect();
    assert_eq!(statuses, [500, 500, 200]);
}

#[test]
fn what_fails_for_good_is_a_dead_letter_and_a_replay_brings_it() {
    let server = Server::start_quick("//- a.md\nAlpha.\n");
    let mood = std::sync::Arc::new(std::sync::atomic::AtomicU16::new(503));
    let told = std::sync::Arc::clone(&mood);
    let receiver =
        Receiver::start(move |_, _| Answer::Status(told.load(std::sync::atomic::Ordering::Relaxed)));
    let (id, _) = subscribe(&server, &receiver.url(), &json!({}));
    put(&server, "/docs/b.md", "Beta.");
    put(&server, "/docs/c.md", "Gamma.");
    let dead = deliveries(&server, &id, "dead", 2);
    assert_eq!(receiver.got().len(), 8, "four attempts each");
    mood.store(200, std::sync::atomic::Ordering::Relaxed);
    let one = dead[0]["id"].as_str().unwrap();
    let replayed = server.post(&format!("/v1/webhooks/{id}/deliveries/{one}/replay"), &json!({}));
    assert_eq!(replayed.status, 202, "{}", replayed.text());
    let again = receiver.wait_for(9);
    assert_eq!(again[8].id, dead[0]["event_id"].as_str().unwrap(), "the id of the event, as before");
    let rest = server.post(&format!("/v1/webhooks/{id}/replay"), &json!({"state": "dead"})).json();
    assert_eq!(rest["replayed"], 1);
    receiver.wait_for(10);
    assert_eq!(deliveries(&server, &id, "delivered", 2).len(), 2);
    let strange = server.post(&format!("/v1/webhooks/{id}/deliveries/dl_00/replay"), &json!({}));
    assert_eq!(strange.problem(), (404, "not_found".to_owned()));
}

#[test]
fn row_32_a_receiver_that_was_away_gets_everything_in_order_of_each_path() {
    let server = Server::start_quick("//- a.md\nAlpha.\n");
    let receiver = Receiver::willing();
    let address = receiver.address;
    let (id, _) = subscribe(&server, &receiver.url(), &json!({}));
    drop(receiver);
    for n in 0..5 {
        put(&server, "/docs/one.md", &format!("One {n}."));
        put(&server, "/docs/two.md", &format!("Two {n}."));
    }
    deliveries(&server, &id, "dead", 1);
    let receiver = Receiver::start_at(address, |_, _| Answer::Status(200));
    server.post(&format!("/v1/webhooks/{id}/replay"), &json!({}));
    let got = receiver.wait_until(|got| {
        let ids: std::collections::BTreeSet<&str> = got.iter().map(|one| one.id.as_str()).collect();
        ids.len() == 10
    });
    for path in ["/docs/one.md", "/docs/two.md"] {
        let seqs: Vec<String> = got
            .iter()
            .filter(|one| one.path() == path)
            .map(|one| one.json()["seq"].as_str().unwrap().to_owned())
            .collect();
        assert_eq!(seqs.len(), 5, "{path}");
    }
}

#[test]
fn of_one_path_nothing_overtakes_a_failure_and_other_paths_go_on() {
    let server = Server::start_quick("//- a.md\nAlpha.\n");
    let receiver = Receiver::start(|n, got| {
        let fails = got.path() == "/docs/slow.md" && n < 3;
        Answer::Status(if fails { 500 } else { 200 })
    });
    subscribe(&server, &receiver.url(), &json!({}));
    for n in 0..4 {
        put(&server, "/docs/slow.md", &format!("Slow {n}."));
    }
    put(&server, "/docs/quick.md", "Quick.");
    let is_end = |got: &[Got]| {
        let last = got.iter().rev().find(|one| one.path() == "/docs/slow.md");
        last.is_some_and(|one| {
            one.json()["size"] == 7 && got.iter().any(|one| one.path() == "/docs/quick.md")
        }) && got.iter().filter(|one| one.path() == "/docs/slow.md").count() >= 5
    };
    let got = receiver.wait_until(is_end);
    let mut order: Vec<String> =
        got.iter().filter(|one| one.path() == "/docs/slow.md").map(|one| one.id.clone()).collect();
    order.dedup();
    let distinct: std::collections::BTreeSet<&String> = order.iter().collect();
    assert_eq!(order.len(), distinct.len(), "an event came back after a later one of its path: {order:?}");
}

/// A server and a receiver that refuses the first event, not before it is told to: so much there is time to act in.
fn start_refused() -> (Server, Receiver, watch::Sender<bool>) {
    let schedule = Schedule {
        waits: vec![Duration::from_millis(20); 3],
        timeout: PATIENCE,
        pause_after: Duration::from_secs(600),
    };
    let server = Server::start_hooked("//- a.md\nAlpha.\n", schedule);
    let (tell, told) = watch::channel(false);
    let mind = move |n, _: &Got| if n == 0 { Answer::Held(told.clone(), 500) } else { Answer::Status(200) };
    (server, Receiver::start(mind), tell)
}

fn told(got: &[Got]) -> Vec<(String, String)> {
    got.iter().map(|one| (one.json()["event"].as_str().unwrap().to_owned(), one.path())).collect()
}

#[test]
fn what_becomes_of_a_moved_file_waits_for_what_was_told_of_it_before() {
    let (server, receiver, tell) = start_refused();
    subscribe(&server, &receiver.url(), &json!({"kinds": "file.*"}));
    put(&server, "/docs/draft.md", "Draft.");
    receiver.wait_for(1);
    let moved = server.post("/v1/move", &json!({"from": "/docs/draft.md", "to": "/docs/final.md"}));
    assert!(moved.status < 300, "{}", moved.text());
    put(&server, "/docs/final.md", "Final.");
    put(&server, "/docs/other.md", "Other.");
    // Another file does not wait.
    receiver.wait_until(|got| got.iter().any(|one| one.path() == "/docs/other.md"));
    tell.send(true).unwrap();
    let got = told(&receiver.wait_for(5));
    let of_file: Vec<(&str, &str)> = got
        .iter()
        .filter(|(_, path)| path != "/docs/other.md")
        .map(|(event, path)| (event.as_str(), path.as_str()))
        .collect();
    let expected = [
        ("file.created", "/docs/draft.md"),
        ("file.created", "/docs/draft.md"),
        ("file.moved", "/docs/final.md"),
        ("file.updated", "/docs/final.md"),
    ];
    assert_eq!(of_file, expected);
}

#[test]
fn what_is_told_of_a_task_comes_in_order_wherever_its_file_lies() {
    let (server, receiver, tell) = start_refused();
    subscribe(&server, &receiver.url(), &json!({"kinds": "task.*"}));
    let made = server.post("/v1/tasks", &json!({"workspace": "docs", "title": "Count"})).json();
    receiver.wait_for(1);
    let claimed = server.post("/v1/tasks/claim", &json!({"task_id": made["task_id"]})).json();
    let done = json!({"task_id": made["task_id"], "fence": claimed["task"]["fence"]});
    let done = server.post("/v1/tasks/complete", &done);
    assert!(done.status < 300, "{}", done.text());
    tell.send(true).unwrap();
    let kinds: Vec<String> = told(&receiver.wait_for(4)).into_iter().map(|(event, _)| event).collect();
    assert_eq!(kinds, ["task.created", "task.created", "task.claimed", "task.completed"]);
}

#[test]
fn row_33_gone_disables_a_redirect_fails_and_silence_fails() {
    let server = Server::start_quick("//- a.md\nAlpha.\n");
    let gone = Receiver::start(|_, _| Answer::Status(410));
    let (gone_id, _) = subscribe(&server, &gone.url(), &json!({}));
    let elsewhere = Receiver::willing();
    let target = elsewhere.url();
    let moved = Receiver::start(move |_, _| Answer::With(301, "location", target.clone()));
    let (moved_id, _) = subscribe(&server, &moved.url(), &json!({}));
    let silent = Receiver::start(|_, _| Answer::Silence);
    let (silent_id, _) = subscribe(&server, &silent.url(), &json!({}));
    let quick = Receiver::willing();
    subscribe(&server, &quick.url(), &json!({}));
    put(&server, "/docs/b.md", "Beta.");
    // One that keeps silent keeps nobody else waiting.
    quick.wait_for(1);
    assert!(silent.wait_for(1)[0].at.elapsed() < Duration::from_secs(2));
    let failed = deliveries(&server, &moved_id, "dead", 1);
    assert_eq!(failed[0]["last_status"], 301);
    assert_eq!(elsewhere.got().len(), 0, "a redirect is never followed");
    let webhook = server.get(&format!("/v1/webhooks/{gone_id}")).json();
    assert_eq!(webhook["active"], false, "{webhook}");
    assert_eq!(gone.got().len(), 1);
    let waiting = &deliveries(&server, &gone_id, "pending", 1)[0];
    assert!(waiting.get("next_attempt_at").is_none(), "nothing is sent while it is paused: {waiting}");
    let dead = deliveries(&server, &silent_id, "dead", 1);
    assert_eq!(dead[0]["last_error"], "timeout");
    // Its owner is told, and can have it go on: nothing was lost.
    let events = server.get("/v1/events/wait?after=sq_000000000000&kinds=webhook.paused").json();
    assert_eq!(events["items"][0]["data"]["webhook"], gone_id.as_str(), "{events}");
    put(&server, "/docs/c.md", "Gamma.");
    let resumed = server.ask(
        "PATCH",
        &format!("/v1/webhooks/{gone_id}"),
        &[("content-type", "application/json")],
        &json!({"active": true, "url": elsewhere.url()}).to_string(),
    );
    assert_eq!(resumed.status, 200, "{}", resumed.text());
    // Its own pause is an event like any other, and belongs to no path.
    let mut paths: Vec<String> = elsewhere.wait_for(3).iter().map(Got::path).collect();
    paths.sort();
    assert_eq!(paths, ["/", "/docs/b.md", "/docs/c.md"]);
}

#[test]
fn row_33_retry_after_is_honoured() {
    let server = Server::start_quick("//- a.md\nAlpha.\n");
    let receiver = Receiver::start(|n, _| match n {
        0 => Answer::With(429, "retry-after", "1".to_owned()),
        _ => Answer::Status(200),
    });
    subscribe(&server, &receiver.url(), &json!({}));
    put(&server, "/docs/b.md", "Beta.");
    let got = receiver.wait_for(2);
    assert!(got[1].at - got[0].at >= Duration::from_millis(990), "{:?}", got[1].at - got[0].at);
}

#[test]
fn row_34_while_a_rotation_overlaps_both_secrets_sign() {
    let server = Server::start_quick("//- a.md\nAlpha.\n");
    let receiver = Receiver::willing();
    let (id, old) = subscribe(&server, &receiver.url(), &json!({}));
    let rotated = server.post(&format!("/v1/webhooks/{id}/rotate"), &json!({"overlap_seconds": 600})).json();
    let new = rotated["secret"].as_str().unwrap().to_owned();
    assert_ne!(old, new);
    put(&server, "/docs/b.md", "Beta.");
    let got = &receiver.wait_for(1)[0];
    assert!(is_signed(got, &old) && is_signed(got, &new), "{}", got.signature);
    // What was promised to the old secret holds, unless all of them are to end at once.
    let refused = server.post(&format!("/v1/webhooks/{id}/rotate"), &json!({}));
    assert_eq!(refused.problem(), (409, "overlap_running".to_owned()));
    let until = rotated["former_secret_until"].as_str().unwrap();
    assert!(
        refused.text().contains(until) && refused.text().contains("overlap_seconds"),
        "{}",
        refused.text()
    );
    server.post(&format!("/v1/webhooks/{id}/rotate"), &json!({"overlap_seconds": 0})).is(200);
    put(&server, "/docs/c.md", "Gamma.");
    let got = &receiver.wait_for(2)[1];
    assert!(!is_signed(got, &old) && !is_signed(got, &new), "the overlap is over");
}

#[test]
fn row_18_a_webhook_is_told_only_of_what_its_owner_may_read_at_that_moment() {
    let server = Server::start_quick("//- open/a.md\nAlpha.\n//- closed/b.md\nBeta.\n");
    let reader = server.user("agent:reader", &["read,list /docs/open/**"]);
    let receiver = Receiver::willing();
    let made = reader.post("/v1/webhooks", &json!({"url": receiver.url()}));
    assert_eq!(made.status, 201, "{}", made.text());
    let id = made.json()["id"].as_str().unwrap().to_owned();
    put(&server, "/docs/closed/secret.md", "Not told.");
    put(&server, "/docs/open/seen.md", "Told.");
    let got = receiver.wait_for(1);
    assert_eq!(got[0].path(), "/docs/open/seen.md");
    // The ledger is written a moment after the letter has arrived.
    eventually("the delivery is listed", || {
        (reader.items(&format!("/v1/webhooks/{id}/deliveries")).len() == 1).then_some(())
    });
    // Rights that are gone end the telling, at once.
    server.admin().grant("agent:reader", "!read /docs/open/**");
    put(&server, "/docs/open/later.md", "Not told either.");
    let watcher = Receiver::willing();
    subscribe(&server, &watcher.url(), &json!({}));
    put(&server, "/docs/open/end.md", "The admin is told of this.");
    watcher.wait_for(1);
    assert_eq!(receiver.got().len(), 1);
    let listed = reader.get(&format!("/v1/webhooks/{id}/deliveries")).json();
    assert_eq!(listed["items"].as_array().unwrap().len(), 0, "{listed}");
}

#[test]
fn row_13_a_webhook_of_another_is_as_one_that_is_not_there() {
    let server = Server::start_quick("//- a.md\nAlpha.\n");
    let receiver = Receiver::willing();
    let (id, _) = subscribe(&server, &receiver.url(), &json!({}));
    let other = server.user("agent:other", &["read /docs/**"]);
    let ask = |method: &str, path: &str, body: &str| {
        let reply = other.ask(method, path, &[("content-type", "application/json")], body);
        (reply.status, reply.text().replace(&id, "ID").replace("wh_0000000000000000", "ID"))
    };
    for (method, tail, body) in [
        ("GET", "", ""),
        ("DELETE", "", ""),
        ("PATCH", "", "{\"active\": false}"),
        ("POST", "/rotate", "{}"),
        ("POST", "/ping", ""),
        ("POST", "/replay", "{}"),
        ("GET", "/deliveries", ""),
    ] {
        let there = ask(method, &format!("/v1/webhooks/{id}{tail}"), body);
        let absent = ask(method, &format!("/v1/webhooks/wh_0000000000000000{tail}"), body);
        assert_eq!(there, absent, "{method} {tail}");
        assert_eq!(there.0, 404);
    }
    assert!(ask("GET", "/v1/webhooks", "").1.contains("\"items\":[]"));
}

#[test]
fn row_19_an_endpoint_on_this_machine_or_network_is_refused_unless_the_operator_lists_it() {
    let server = Server::start("//- a.md\nAlpha.\n");
    for url in [
        "http://127.0.0.1:9/",
        "http://localhost:9/",
        "http://[::1]:9/",
        "http://10.0.0.1/",
        "http://192.168.1.1/",
        "http://169.254.169.254/latest/meta-data/",
        "http://2130706433:9/",
        "http://0x7f.1:9/",
        "http://0177.0.0.1:9/",
        "http://[::ffff:127.0.0.1]:9/",
        "http://[64:ff9b::7f00:1]:9/",
        "http://[2002:7f00:1::]:9/",
        "http://metadata.google.internal/",
        "http://printer.local/",
    ] {
        let refused = server.post("/v1/webhooks", &json!({"url": url}));
        assert_eq!(refused.problem(), (400, "address_refused".to_owned()), "{url}");
        assert!(refused.json()["hint"].as_str().unwrap().contains("--net-allow"), "{url}");
    }
    for url in ["ftp://example.com/", "file:///etc/passwd", "not a url", "https://user:pass@example.com/"] {
        let refused = server.post("/v1/webhooks", &json!({"url": url}));
        assert_eq!(refused.status, 400, "{url}");
    }
    assert_eq!(server.get("/v1/webhooks").json()["items"], json!([]));
}

#[test]
fn an_agent_opens_no_way_out_that_the_operator_did_not_list() {
    let server = Server::start_quick("//- a.md\nAlpha.\n");
    let agent = server.user("agent:a", &["read /docs/**"]);
    let url = json!({"url": "https://evil.example/collect"});
    assert_eq!(agent.post("/v1/webhooks", &url).problem(), (400, "address_refused".to_owned()));
    let made = server.post("/v1/webhooks", &url);
    assert_eq!(made.status, 201, "the owner may: {}", made.text());
    let listed = agent.post("/v1/webhooks", &json!({"url": "http://127.0.0.1:9/"}));
    assert_eq!(listed.status, 201, "{}", listed.text());
    let id = listed.json()["id"].as_str().unwrap().to_owned();
    let headers = [("content-type", "application/json")];
    let moved = agent.ask("PATCH", &format!("/v1/webhooks/{id}"), &headers, &url.to_string());
    assert_eq!(moved.problem(), (400, "address_refused".to_owned()));
}

#[test]
fn a_webhook_is_paused_changed_pinged_and_removed() {
    let server = Server::start_quick("//- a.md\nAlpha.\n");
    let receiver = Receiver::willing();
    let (id, secret) =
        subscribe(&server, &receiver.url(), &json!({"name": "mine", "kinds": ["file.created"]}));
    let patch = |change: Value| {
        let headers = [("content-type", "application/json")];
        server.ask("PATCH", &format!("/v1/webhooks/{id}"), &headers, &change.to_string())
    };
    let ping = server.post(&format!("/v1/webhooks/{id}/ping"), &json!({})).json();
    assert_eq!(ping["status"], 204, "{ping}");
    let pinged = &receiver.wait_for(1)[0];
    assert_eq!(pinged.json()["event"], "webhook.ping");
    assert!(is_signed(pinged, &secret));
    assert_eq!(patch(json!({"active": false})).json()["active"], false);
    put(&server, "/docs/b.md", "Beta.");
    assert_eq!(patch(json!({"active": true, "name": "yours"})).json()["name"], "yours");
    assert_eq!(receiver.wait_for(2)[1].path(), "/docs/b.md", "what came meanwhile was kept");
    patch(json!({"active": false}));
    put(&server, "/docs/c.md", "Gamma.");
    patch(json!({"active": true, "skip_backlog": true}));
    put(&server, "/docs/d.md", "Delta.");
    assert_eq!(receiver.wait_for(3)[2].path(), "/docs/d.md", "and forgotten where that was asked for");
    assert_eq!(patch(json!({"kinds": ["file.eaten"]})).problem(), (400, "invalid_request".to_owned()));
    let shown = server.get("/v1/webhooks").json();
    assert!(!shown.to_string().contains("whsec_"), "{shown}");
    assert_eq!(server.ask("DELETE", &format!("/v1/webhooks/{id}"), &[], "").status, 204);
    assert_eq!(server.get(&format!("/v1/webhooks/{id}")).status, 404);
}

#[test]
fn a_new_webhook_may_begin_with_the_past_and_may_speak_cloud_events() {
    let server = Server::start_quick("//- a.md\nAlpha.\n");
    put(&server, "/docs/b.md", "Beta.");
    let receiver = Receiver::willing();
    subscribe(&server, &receiver.url(), &json!({"after": "start", "format": "cloudevents"}));
    let got = receiver.wait_for(2);
    let mut events: Vec<Value> = got.iter().map(Got::json).collect();
    // Of two paths either may come first.
    events.sort_by_key(|event| event["subject"].to_string());
    let subjects: Vec<&str> = events.iter().map(|event| event["subject"].as_str().unwrap()).collect();
    assert_eq!(subjects, ["/docs/a.md", "/docs/b.md"]);
    assert_eq!(events[0]["specversion"], "1.0");
    assert_eq!(events[0]["source"], "/workspaces/docs");
    assert_eq!(events[1]["data"]["path"], "/docs/b.md");
}

#[test]
fn an_implementation_in_another_language_verifies_the_signatures() {
    const SCRIPT: &str = "import sys, json\n\
        from standardwebhooks.webhooks import Webhook\n\
        sent = json.load(sys.stdin)\n\
        print(Webhook(sent['secret']).verify(sent['body'].encode(), sent['headers'])['path'])";
    let known = std::process::Command::new("python3").args(["-c", "import standardwebhooks"]).output();
    if !known.is_ok_and(|known| known.status.success()) {
        println!("skipped: `pip install standardwebhooks` brings the other implementation");
        return;
    }
    let server = Server::start_quick("//- a.md\nAlpha.\n");
    let receiver = Receiver::willing();
    let (_, secret) = subscribe(&server, &receiver.url(), &json!({}));
    put(&server, "/docs/b.md", "Beta \u{e4}.");
    let got = &receiver.wait_for(1)[0];
    let sent = json!({
        "secret": secret,
        "body": String::from_utf8(got.body.clone()).unwrap(),
        "headers": {
            "webhook-id": got.id, "webhook-timestamp": got.timestamp, "webhook-signature": got.signature
        },
    });
    let verify = |sent: &Value| {
        let mut python = std::process::Command::new("python3")
            .args(["-c", SCRIPT])
            .stdin(std::process::Stdio::piped())
            .stdout(std::process::Stdio::piped())
            .stderr(std::process::Stdio::null())
            .spawn()
            .unwrap();
        std::io::Write::write_all(&mut python.stdin.take().unwrap(), sent.to_string().as_bytes()).unwrap();
        String::from_utf8(python.wait_with_output().unwrap().stdout).unwrap()
    };
    assert_eq!(verify(&sent), "/docs/b.md\n");
    let mut forged = sent.clone();
    forged["body"] = json!(sent["body"].as_str().unwrap().replace("/docs/b.md", "/docs/c.md"));
    assert_eq!(verify(&forged), "", "a body that was changed is not verified");
}
