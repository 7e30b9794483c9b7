//! The three patterns of work over files, end to end: agents are woken by real receivers, which die and come back.

use serde_json::{Value, json};

use crate::receiver::{Answer, Got, Receiver};
use crate::support::{PATIENCE, Server};
use crate::users::User;

fn subscribe(user: &User<'_>, receiver: &Receiver, more: &Value) -> String {
    let mut request = json!({"url": receiver.url()});
    request.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let made = user.post("/v1/webhooks", &request);
    assert_eq!(made.status, 201, "{}", made.text());
    made.json()["id"].as_str().unwrap().to_owned()
}

/// Waits until an answer satisfies.
fn until(what: &str, mut ask: impl FnMut() -> Value, enough: impl Fn(&Value) -> bool) -> Value {
    let deadline = std::time::Instant::now() + PATIENCE;
    loop {
        let value = ask();
        if enough(&value) {
            return value;
        }
        assert!(std::time::Instant::now() < deadline, "{what}: {value}");
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
}

#[test]
fn drop_off_survives_the_death_of_whoever_is_woken() {
    let server = Server::start_quick("//- a.md\nAlpha.\n");
    let writer = server.user("agent:a", &["read,write /docs/outputs/research/**"]);
    let reader =
        server.user("agent:b", &["read /docs/outputs/research/**", "read,write /docs/outputs/summaries/**"]);
    let receiver = Receiver::start(|_, _| Answer::Silence);
    let address = receiver.address;
    let webhook = subscribe(&reader, &receiver, &json!({"paths": ["/docs/outputs/research/**"]}));
    assert_eq!(writer.put("/docs/outputs/research/report-1.md", "Long report.").status, 201);
    // B dies with the event in its hands, before it has answered.
    let lost = receiver.wait_for(1)[0].clone();
    drop(receiver);
    let waiting = until(
        "the delivery waits",
        || reader.get(&format!("/v1/webhooks/{webhook}/deliveries")).json(),
        |page| page["items"][0]["attempts"].as_u64().is_some_and(|attempts| attempts > 0),
    );
    assert_ne!(waiting["items"][0]["state"], "delivered");
    assert_eq!(reader.read("/docs/outputs/research/report-1.md").text(), "Long report.", "the file stays");
    // It comes back, is told again of the same event, and does its part.
    let receiver = Receiver::start_at(address, |_, _| Answer::Status(200));
    reader.post(&format!("/v1/webhooks/{webhook}/replay"), &json!({}));
    let told = receiver.wait_for(1)[0].clone();
    assert_eq!((&told.id, told.path()), (&lost.id, "/docs/outputs/research/report-1.md".to_owned()));
    let report = reader.read(&told.path()).text();
    assert_eq!(reader.put("/docs/outputs/summaries/summary-1.md", &report[..4]).status, 201);
    assert_eq!(writer.read("/docs/outputs/summaries/summary-1.md").status, 404, "A may not see it");
}

#[test]
fn a_supervisors_task_outlives_its_worker_and_comes_back_with_its_history() {
    let server = Server::start_quick("//- a.md\nAlpha.\n");
    let desk = &["read,write /docs/tasks/**", "read,write /docs/artifacts/**"];
    let boss = server.user("human:boss", &["read,write,approve /docs/tasks/**", "read /docs/artifacts/**"]);
    let (first, second) = (server.user("agent:one", desk), server.user("agent:two", desk));
    let receiver = Receiver::willing();
    subscribe(&first, &receiver, &json!({"kinds": ["task.*"], "paths": ["/docs/tasks/**"]}));
    // A file that is just dropped is a task.
    let task =
        json!({"title": "Review the contract", "capability": "law", "max_attempts": 5, "review": true});
    assert_eq!(boss.put("/docs/tasks/pending/contract.json", &task.to_string()).status, 201);
    let is_kind = |kind: &'static str| move |got: &[Got]| got.iter().any(|one| one.json()["event"] == kind);
    receiver.wait_until(is_kind("task.created"));
    let claim = |user: &User<'_>, ttl_ms: u64| {
        let request = json!({"workspace": "docs", "capabilities": ["law"], "ttl_ms": ttl_ms});
        user.post("/v1/tasks/claim", &request).json()["task"].clone()
    };
    let held = claim(&first, 300);
    assert_eq!(held["path"], "/docs/tasks/in-progress/contract.json", "{held}");
    let id = held["task_id"].as_str().unwrap();
    assert_eq!(claim(&second, 300), Value::Null, "one has it");
    // The first worker dies. Its lease runs out, and the task goes back by itself.
    receiver.wait_until(is_kind("task.expired"));
    let again = until("the second one gets it", || claim(&second, 60_000), |task| !task.is_null());
    assert!(again["fence"].as_u64() > held["fence"].as_u64(), "{again}");
    // The first one wakes up late: what it writes is refused.
    let late = first.ask(
        "PUT",
        &format!("/v1/files/docs/artifacts/{id}/result.md"),
        &[("waypost-fence", &held["fence"].to_string())],
        "Too late.",
    );
    assert!(matches!(late.status, 409 | 423), "{}", late.text());
    let complete = |user: &User<'_>, task: &Value, text: &str| {
        let artifact = json!([{"name": "result.md", "content": text}]);
        let request = json!({"task_id": id, "fence": task["fence"], "artifacts": artifact});
        user.post("/v1/tasks/complete", &request)
    };
    assert_eq!(complete(&first, &held, "Too late.").status, 409);
    assert_eq!(complete(&second, &again, "Looks fine.").json()["state"], "review");
    assert_eq!(boss.read(&format!("/docs/artifacts/{id}/result.md")).text(), "Looks fine.");
    // The reviewer sends it back, with the reason in the file and in the history.
    let rejected = boss.post("/v1/tasks/reject", &json!({"task_id": id, "reason": "Clause 4 is missing"}));
    assert_eq!(rejected.json()["state"], "pending", "{}", rejected.text());
    let file = boss.read("/docs/tasks/pending/contract.json").text();
    assert!(file.contains("Clause 4 is missing"), "{file}");
    let last = claim(&second, 60_000);
    assert_eq!(last["attempts"], 3);
    complete(&second, &last, "Clause 4: fine.");
    let accepted = boss.post("/v1/tasks/accept", &json!({"task_id": id})).json();
    assert_eq!(accepted["path"], "/docs/tasks/done/contract.json", "{accepted}");
    let whats: Vec<&str> =
        accepted["history"].as_array().unwrap().iter().filter_map(|note| note["what"].as_str()).collect();
    assert!(whats.contains(&"rejected") && whats.contains(&"accepted"), "{whats:?}");
    receiver.wait_until(|got| {
        let completed = got.iter().filter(|one| one.json()["event"] == "task.completed");
        completed.count() >= 3
    });
}

#[test]
fn on_the_bus_everybody_is_told_and_who_comes_later_hears_the_past() {
    let server = Server::start_quick("//- a.md\nAlpha.\n");
    let bus = &["read,write /docs/events/**"];
    let (shop, mail, crm) =
        (server.user("agent:shop", bus), server.user("agent:mail", bus), server.user("agent:crm", bus));
    let mail_receiver = Receiver::willing();
    let crm_receiver = Receiver::willing();
    let crm_address = crm_receiver.address;
    let topic = json!({"kinds": ["topic.published"], "paths": ["/docs/events/**"]});
    subscribe(&mail, &mail_receiver, &topic);
    let crm_webhook = subscribe(&crm, &crm_receiver, &topic);
    drop(crm_receiver);
    // Dropping a file publishes; so does the call.
    assert_eq!(shop.put("/docs/events/user-signup.json", "{\"user\": 1}").status, 201);
    let published = shop.post("/v1/topics/user-signup", &json!({"workspace": "docs", "data": {"user": 2}}));
    assert_eq!(published.status, 201, "{}", published.text());
    let told = mail_receiver.wait_for(2);
    assert!(told.iter().all(|one| one.json()["event"] == "topic.published"), "{told:?}");
    // One subscriber was away; the other did not notice, and nothing is lost.
    let crm_receiver = Receiver::start_at(crm_address, |_, _| Answer::Status(200));
    crm.post(&format!("/v1/webhooks/{crm_webhook}/replay"), &json!({}));
    crm_receiver.wait_until(|got| {
        let mut ids: Vec<&str> = got.iter().map(|one| one.id.as_str()).collect();
        ids.sort_unstable();
        ids.dedup();
        ids.len() == 2
    });
    // Somebody new hears the past, and two members of one group share it.
    let late = server.user("agent:late", bus);
    let late_receiver = Receiver::willing();
    let mut from_start = topic.clone();
    from_start["after"] = json!("start");
    subscribe(&late, &late_receiver, &from_start);
    late_receiver.wait_for(2);
    let fetch = |user: &User<'_>| {
        let request = json!({"workspace": "docs", "topic": "user-signup", "group": "billing", "limit": 1});
        user.post("/v1/consumers/fetch", &request).json()["items"].clone()
    };
    let (one, two) = (fetch(&mail), fetch(&crm));
    assert_eq!((one.as_array().unwrap().len(), two.as_array().unwrap().len()), (1, 1), "{one} {two}");
    assert_ne!(one[0]["id"], two[0]["id"], "each has another one");
    assert_eq!(fetch(&late), json!([]), "and a third has nothing");
}
