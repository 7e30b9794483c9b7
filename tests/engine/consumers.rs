//! Consumer groups: each group gets every event of a topic, and each event goes to one member of a group.

use std::time::Duration;

use serde_json::{Value, json};
use waypost_engine::access::{Effect, Grant, Target, Verb};
use waypost_engine::api::{ConsumeOptions, ConsumedEvent, Session, Start, WriteOptions};

use crate::tasks::Works;

fn consume(session: &Session, topic: &str, group: &str, options: &ConsumeOptions) -> Vec<ConsumedEvent> {
    session.consume("w", topic, group, options).unwrap().items
}

fn numbers(events: &[ConsumedEvent]) -> Vec<Value> {
    events.iter().map(|event| event.event.data.clone().unwrap()["n"].clone()).collect()
}

fn ids(events: &[ConsumedEvent]) -> Vec<String> {
    events.iter().map(|event| event.event.id.clone()).collect()
}

fn at_most(limit: usize) -> ConsumeOptions {
    ConsumeOptions { limit: Some(limit), ..ConsumeOptions::default() }
}

#[test]
fn groups_get_all_and_members_share() {
    let works = Works::new();
    let owner = works.owner();
    let (anna, bert) = (works.worker("agent:anna"), works.worker("agent:bert"));
    for n in 0..6 {
        owner.publish("w", "orders", &json!({"n": n})).unwrap();
    }
    owner.publish("w", "orders2", &json!({"n": 99})).unwrap();
    let first = consume(&anna, "orders", "billing", &at_most(2));
    let second = consume(&bert, "orders", "billing", &at_most(2));
    let third = consume(&anna, "orders", "billing", &ConsumeOptions::default());
    assert_eq!(
        [numbers(&first), numbers(&second), numbers(&third)],
        [[json!(0), json!(1)], [json!(2), json!(3)], [json!(4), json!(5)]]
    );
    assert!(consume(&bert, "orders", "billing", &ConsumeOptions::default()).is_empty());
    assert_eq!(
        numbers(&consume(&bert, "orders", "mail", &ConsumeOptions::default())).len(),
        6,
        "another group"
    );
    // What is not acknowledged comes again, to whoever asks.
    assert!(anna.ack("w", "orders", "billing", &ids(&first)).unwrap().is_empty());
    works.pass(30_001);
    let again = consume(&bert, "orders", "billing", &ConsumeOptions::default());
    assert_eq!((numbers(&again), again[0].attempts), (vec![json!(2), json!(3), json!(4), json!(5)], 2));
    assert_eq!(anna.ack("w", "orders", "billing", &ids(&third)).unwrap(), ids(&third), "not hers any more");
    assert!(bert.ack("w", "orders", "billing", &ids(&again)).unwrap().is_empty());
    let groups = owner.consumer_groups("w", "orders").unwrap();
    let lags: Vec<(&str, usize)> = groups.iter().map(|group| (group.group.as_str(), group.lag)).collect();
    assert_eq!(lags, [("billing", 0), ("mail", 6)]);
    anna.remove_consumer_group("w", "orders", "mail").unwrap();
    assert_eq!(anna.remove_consumer_group("w", "orders", "mail").unwrap_err().code(), "not_found");
}

#[test]
fn a_new_group_begins_where_it_is_told() {
    let works = Works::new();
    let owner = works.owner();
    owner.publish("w", "t", &json!({"n": 1})).unwrap();
    let seq = owner.publish("w", "t", &json!({"n": 2})).unwrap().seq;
    let from = |from: Start| ConsumeOptions { from, ..ConsumeOptions::default() };
    assert!(consume(&owner, "t", "now", &from(Start::Now)).is_empty());
    owner.publish("w", "t", &json!({"n": 3})).unwrap();
    assert_eq!(numbers(&consume(&owner, "t", "now", &from(Start::Now))), [json!(3)]);
    assert_eq!(numbers(&consume(&owner, "t", "seq", &from(Start::read(&seq)))), [json!(3)]);
    assert_eq!(numbers(&consume(&owner, "t", "all", &from(Start::read("start")))).len(), 3);
    for (group, options) in [("no space", at_most(1)), ("ok", at_most(0)), ("ok", at_most(101))] {
        assert_eq!(owner.consume("w", "t", group, &options).unwrap_err().code(), "invalid_request");
    }
}

#[test]
fn a_file_that_is_dropped_publishes() {
    let works = Works::new();
    let owner = works.owner();
    owner.write_file("/w/events/orders/o-1.json", br#"{"n": 1}"#, &WriteOptions::default()).unwrap();
    works.drop_file("events/orders.json", r#"{"n": 2}"#);
    works.drop_file("events/other.json", "{}");
    works.scan();
    owner.write_file("/w/draft.bin", b"\x00\x01", &WriteOptions::default()).unwrap();
    owner.move_path("/w/draft.bin", "/w/events/orders/blob.bin", &WriteOptions::default()).unwrap();
    let events = consume(&owner, "orders", "g", &ConsumeOptions::default());
    let told: Vec<(&Value, &Value)> = events
        .iter()
        .map(|event| {
            let data = event.event.data.as_ref().unwrap();
            (&data["file"], &data["data"])
        })
        .collect();
    let expected = [
        (json!("/w/events/orders/o-1.json"), json!({"n": 1})),
        (json!("/w/events/orders.json"), json!({"n": 2})),
        (json!("/w/events/orders/blob.bin"), Value::Null),
    ];
    assert_eq!(told, expected.each_ref().map(|(file, data)| (file, data)));
    assert!(events.iter().all(|event| event.event.event == "topic.published"));
}

#[test]
fn what_may_not_be_read_is_left_to_others_and_never_told() {
    let works = Works::new();
    let owner = works.owner();
    let (anna, bert) = (works.worker("agent:anna"), works.worker("agent:bert"));
    let pattern = ["/w/events/orders/secret/**".to_owned()];
    let deny = Grant::new("agent:anna", Target::Path, &pattern, [Verb::Read].into(), Effect::Deny, "");
    owner.put_grant(&deny.unwrap()).unwrap();
    for (path, n) in [("orders/1.json", 1), ("orders/secret/2.json", 2), ("orders/3.json", 3)] {
        let text = json!({"n": n}).to_string();
        owner.write_file(&format!("/w/events/{path}"), text.as_bytes(), &WriteOptions::default()).unwrap();
    }
    let numbers = |events: &[ConsumedEvent]| -> Vec<Value> {
        events.iter().map(|event| event.event.data.clone().unwrap()["data"]["n"].clone()).collect()
    };
    assert_eq!(numbers(&consume(&anna, "orders", "g", &ConsumeOptions::default())), [json!(1), json!(3)]);
    assert_eq!(anna.consumer_groups("w", "orders").unwrap()[0].lag, 2, "of three, she sees two");
    assert_eq!(numbers(&consume(&bert, "orders", "g", &ConsumeOptions::default())), [json!(2)]);
    let outside = works.user("agent:outside", &[("/w/docs/**", &[Verb::Read])]);
    let refused = |who: &Session, workspace: &str, topic: &str| {
        who.consume(workspace, topic, "g", &ConsumeOptions::default()).unwrap_err().to_string()
    };
    assert_eq!(refused(&outside, "w", "orders").replace("orders", "none"), refused(&outside, "w", "none"));
    // A workspace of which nothing may be seen, and one that is not there.
    let nobody = works.user("agent:nobody", &[]);
    assert_eq!(refused(&nobody, "w", "orders"), "there is no workspace `w`");
    assert_eq!(refused(&nobody, "none", "orders"), "there is no workspace `none`");
    assert_eq!(refused(&owner, "none", "orders"), "there is no workspace `none`");
}

#[test]
fn an_event_that_nobody_gets_done_is_parked() {
    let works = Works::new();
    let owner = works.owner();
    owner.publish("w", "t", &json!({"n": 1})).unwrap();
    for round in 1..=10 {
        let events = consume(&owner, "t", "g", &ConsumeOptions::default());
        assert_eq!(events[0].attempts, round);
        works.pass(30_001);
    }
    assert!(consume(&owner, "t", "g", &ConsumeOptions::default()).is_empty());
    let group = owner.consumer_groups("w", "t").unwrap().remove(0);
    assert_eq!((group.parked.len(), group.parked[0].attempts), (1, 10));
}

#[test]
fn a_member_waits_for_the_next_event() {
    let works = Works::new();
    let member = works.worker("agent:anna");
    let waiting = std::thread::spawn(move || {
        let options = ConsumeOptions { wait: Duration::from_secs(20), ..ConsumeOptions::default() };
        consume(&member, "t", "g", &options)
    });
    works.owner().publish("w", "t", &json!({"n": 1})).unwrap();
    assert_eq!(numbers(&waiting.join().unwrap()), [json!(1)]);
}
