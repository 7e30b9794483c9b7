//! The journal forgets what is old and needed by nobody, and nobody mistakes that for the whole past.

use serde_json::json;
use waypost_engine::access::Verb;
use waypost_engine::api::{EventFilter, Retention, SearchRequest, Session, WriteOptions};

use crate::tasks::Works;

const DAY: i64 = 24 * 60 * 60 * 1000;

fn write(session: &Session, path: &str, text: &str) -> String {
    session.write_file(path, text.as_bytes(), &WriteOptions::default()).unwrap().seq
}

fn told(session: &Session, after: Option<&str>) -> (Vec<String>, bool) {
    let page = session.events(after, &EventFilter::default(), 1000).unwrap();
    (page.items.iter().map(|event| format!("{} {}", event.event, event.path)).collect(), page.gap)
}

fn text(session: &Session, path: &str, as_of: Option<&str>) -> waypost_engine::api::Result<Vec<u8>> {
    Ok(session.read_file(path, None, as_of)?.bytes)
}

/// Forgets old versions but the newest of each path, then what of the journal is old.
fn compact(works: &Works) -> usize {
    works.owner().prune(Retention { versions: Some(1), age_ms: None }, false).unwrap();
    works.engine.compact_journal().unwrap()
}

#[test]
fn what_is_old_is_forgotten_and_every_state_that_has_a_name_is_kept() {
    let works = Works::new();
    let owner = works.owner();
    let first = write(&owner, "/w/a.md", "one");
    write(&owner, "/w/gone.md", "short");
    write(&owner, "/w/a.md", "two");
    let snapshot = owner.take_snapshot(Some("w"), "middle").unwrap().remove(0).id;
    owner.delete("/w/gone.md", &WriteOptions::default(), false).unwrap();
    write(&owner, "/w/a.md", "three");
    owner.publish("w", "ticks", &json!({})).unwrap();
    works.pass(91 * DAY);
    let late = write(&owner, "/w/a.md", "four");
    write(&owner, "/w/a.md", "five");

    assert_eq!(
        works.engine.compact_journal().unwrap(),
        1,
        "bytes that are kept keep their history; the tick goes"
    );
    assert_eq!(
        compact(&works),
        1,
        "the first `a.md`; the second is in the snapshot, the third the state of then"
    );
    assert_eq!(compact(&works), 0);

    let events = ["file.created /w/gone.md", "file.updated /w/a.md", "file.deleted /w/gone.md"];
    let since = ["file.updated /w/a.md", "file.updated /w/a.md", "file.updated /w/a.md"];
    assert_eq!(
        told(&owner, None),
        ([&events[..], &since].concat().iter().map(ToString::to_string).collect(), false)
    );
    assert_eq!(text(&owner, "/w/a.md", Some(&snapshot)).unwrap(), b"two");
    assert_eq!(text(&owner, "/w/gone.md", Some(&snapshot)).unwrap(), b"short");
    assert_eq!(text(&owner, "/w/a.md", None).unwrap(), b"five");
    assert_eq!(works.owner().versions("/w/a.md").unwrap().len(), 4);
    // The state of then is no more to be had; one of those days would be a guess.
    let refused = text(&owner, "/w/a.md", Some(&first)).unwrap_err();
    assert!(refused.to_string().contains("a snapshot"), "{refused}");
    assert!(told(&owner, Some(&first)).1, "whoever was away for so long is told");
    assert_eq!(told(&owner, Some(&late)), (vec!["file.updated /w/a.md".to_owned()], false));
    assert!(works.engine.check(false).unwrap().findings.is_empty());
}

#[test]
fn places_that_were_handed_out_stay_what_they_are() {
    let works = Works::new();
    let owner = works.owner();
    let reader = works.user("agent:reader", &[("/w/open/**", &[Verb::Read, Verb::List, Verb::Write])]);
    let old = write(&reader, "/w/open/a.md", "one");
    for n in 0..5 {
        write(&owner, &format!("/w/hidden/{n}.md"), "x");
        write(&reader, "/w/open/a.md", &format!("more {n}"));
    }
    works.pass(91 * DAY);
    let mut places = Vec::new();
    for n in 0..3 {
        places.push(write(&reader, "/w/open/b.md", &format!("b{n}")));
        write(&owner, "/w/hidden/new.md", &format!("{n}"));
    }
    let before: Vec<_> = places.iter().map(|place| told(&reader, Some(place))).collect();
    assert!(compact(&works) >= 5);
    drop((owner, reader));
    let works = works.reopen();
    let reader = works.session("agent:reader");
    let after: Vec<_> = places.iter().map(|place| told(&reader, Some(place))).collect();
    assert_eq!(before, after);
    assert_eq!(before[0].0.len(), 2);
    assert!(told(&reader, Some(&old)).1);
}

#[test]
fn a_place_that_is_forgotten_is_not_taken_for_one_to_come() {
    let works = Works::new();
    let owner = works.owner();
    owner.publish("w", "ticks", &json!({})).unwrap();
    let last = owner.events(None, &EventFilter::default(), 1000).unwrap().next;
    works.pass(91 * DAY);
    assert_eq!(works.engine.compact_journal().unwrap(), 1);
    // What is still to come would be waited for, in vain.
    let request =
        SearchRequest { query: "tick".to_owned(), wait_for_seq: Some(last), ..SearchRequest::default() };
    owner.search(&request).unwrap();
}

#[test]
fn what_a_group_has_not_done_with_stays() {
    use waypost_engine::api::{ConsumeOptions, Start};
    let works = Works::new();
    let owner = works.owner();
    owner.publish("w", "jobs", &json!({"n": 1})).unwrap();
    owner.publish("w", "other", &json!({"n": 2})).unwrap();
    let options = ConsumeOptions { from: Start::Beginning, ..ConsumeOptions::default() };
    assert_eq!(owner.consume("w", "jobs", "group", &options).unwrap().items.len(), 1);
    works.pass(91 * DAY);
    assert_eq!(works.engine.compact_journal().unwrap(), 1);
    assert_eq!(
        owner.consume("w", "jobs", "group", &options).unwrap().items.len(),
        1,
        "its lease has run out"
    );
}
