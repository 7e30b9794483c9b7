#![allow(clippy::unwrap_used, reason = "a test ends where something it stands on fails")]

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::id::WorkspaceId;

fn posted(seq: u64, key: &str) -> Arc<Posted> {
    of_keys(seq, &[key])
}

fn of_keys(seq: u64, keys: &[&str]) -> Arc<Posted> {
    let event = Event {
        seq: Seq(seq),
        kind: "file.created".to_owned(),
        workspace: WorkspaceId(1),
        path: keys[0].to_owned(),
        version: None,
        gone: None,
        size_bytes: 0,
        mime_type: String::new(),
        other_path: None,
        actor: "human:admin".to_owned(),
        approved_by: None,
        trace: None,
        traceparent: None,
        data: None,
        occurred_ms: 0,
    };
    Arc::new(Posted { event, keys: keys.iter().map(|key| (*key).to_owned()).collect() })
}

fn head(seq: u64, due_ms: i64, keys: &[&str]) -> Head {
    Head { seq: Seq(seq), due_ms, keys: keys.iter().map(|key| (*key).to_owned()).collect() }
}

/// Offers events that all stay in memory.
fn offer(line: &mut Line, events: &[(u64, &[&str])]) {
    for (seq, keys) in events {
        assert!(line.offer(&of_keys(*seq, keys), true).is_empty());
    }
}

fn all_next(line: &mut Line, now_ms: i64) -> Vec<u64> {
    std::iter::from_fn(|| line.next(now_ms)).map(|job| job.seq().0).collect()
}

const DONE: Outcome = Outcome::Finished { next: Vec::new() };

#[test]
fn of_one_path_one_event_is_under_way_and_four_of_all() {
    let mut line = Line::default();
    offer(&mut line, &[(1, &["/a"]), (2, &["/a"]), (3, &["/b"]), (4, &["/c"]), (5, &["/d"]), (6, &["/e"])]);
    let jobs: Vec<Job> = std::iter::from_fn(|| line.next(0)).collect();
    let seqs: Vec<u64> = jobs.iter().map(|job| job.seq().0).collect();
    assert_eq!(seqs, [1, 3, 4, 5]);
    assert_eq!(line.cursor(), Seq(0));
    assert!(line.finish(&jobs[0], DONE).is_empty());
    assert_eq!(line.cursor(), Seq(1));
    // Each path has its turn.
    assert_eq!(line.next(0).unwrap(), Job::Fresh(posted(6, "/e")));
    assert!(line.finish(&jobs[1], DONE).is_empty());
    assert_eq!(line.next(0).unwrap(), Job::Fresh(posted(2, "/a")));
}

#[test]
fn what_follows_a_failure_on_its_path_goes_to_the_table_and_other_paths_go_on() {
    let mut line = Line::default();
    offer(&mut line, &[(1, &["/a"]), (2, &["/a"]), (3, &["/b"])]);
    let first = line.next(0).unwrap();
    assert_eq!(line.next(0).unwrap().seq(), Seq(3), "`/b` goes on");
    assert_eq!(line.finish(&first, Outcome::Held { due_ms: 50 }), [posted(2, "/a")]);
    assert_eq!(line.offer(&posted(4, "/a"), true), [posted(4, "/a")]);
    assert_eq!(line.cursor(), Seq(2), "only `/b` is not finished");
    assert_eq!(line.next(49), None);
    assert_eq!(line.wakes_at(), Some(50));
    assert_eq!(line.next(50), Some(Job::Held(head(1, 50, &["/a"]))));
    assert_eq!(line.n_held(), 0);
}

#[test]
fn what_comes_while_an_event_is_under_way_does_not_overtake_what_came_before() {
    let mut line = Line::default();
    offer(&mut line, &[(1, &["/a"]), (2, &["/a"])]);
    let first = line.next(0).unwrap();
    offer(&mut line, &[(3, &["/a"])]);
    assert!(line.finish(&first, DONE).is_empty());
    assert_eq!(line.next(0), Some(Job::Fresh(posted(2, "/a"))));
}

#[test]
fn what_is_replayed_goes_before_what_waits_and_never_beside_it() {
    let mut line = Line::default();
    offer(&mut line, &[(5, &["/a"])]);
    line.replay(&head(1, 0, &["/a"]));
    let replayed = line.next(0).unwrap();
    assert_eq!(replayed, Job::Held(head(1, 0, &["/a"])));
    assert_eq!(line.next(0), None);
    assert!(line.finish(&replayed, DONE).is_empty());
    assert_eq!(line.next(0), Some(Job::Fresh(posted(5, "/a"))));
}

#[test]
fn what_is_replayed_hastens_what_goes_before_it() {
    let mut line = Line::new(Seq(9), BTreeSet::new(), vec![head(3, 1000, &["/a"])]);
    line.replay(&head(7, 10, &["/a"]));
    assert_eq!(line.next(10), Some(Job::Held(head(3, 10, &["/a"]))));
}

#[test]
fn a_move_waits_for_both_of_its_paths_and_both_wait_for_it() {
    let mut line = Line::default();
    offer(&mut line, &[(1, &["/a"]), (2, &["/b", "/a"]), (3, &["/b"]), (4, &["/a"])]);
    let first = line.next(0).unwrap();
    assert_eq!((first.seq(), line.next(0)), (Seq(1), None));
    assert!(line.finish(&first, DONE).is_empty());
    let moved = line.next(0).unwrap();
    assert_eq!((moved.seq(), line.next(0)), (Seq(2), None));
    assert!(line.finish(&moved, DONE).is_empty());
    let mut after = all_next(&mut line, 0);
    after.sort_unstable();
    assert_eq!(after, [3, 4]);
}

#[test]
fn a_failure_before_a_move_holds_what_the_file_becomes() {
    let mut line = Line::default();
    offer(&mut line, &[(1, &["/a"]), (2, &["/b", "/a"]), (3, &["/b"]), (4, &["/c"])]);
    let first = line.next(0).unwrap();
    let to_table = line.finish(&first, Outcome::Held { due_ms: 50 });
    assert_eq!(to_table, [of_keys(2, &["/b", "/a"]), posted(3, "/b")]);
    assert_eq!(all_next(&mut line, 0), [4], "another file goes on");
    assert_eq!(line.offer(&posted(5, "/b"), true), [posted(5, "/b")]);
    let again = line.next(50).unwrap();
    assert_eq!((again.seq(), line.next(50)), (Seq(1), None));
    let next = vec![head(2, 0, &["/b", "/a"])];
    assert!(line.finish(&again, Outcome::Finished { next }).is_empty());
    assert_eq!(line.next(50), Some(Job::Held(head(2, 0, &["/b", "/a"]))));
}

#[test]
fn a_move_out_of_the_table_waits_for_what_is_older_in_memory() {
    let mut line = Line::new(Seq(1), BTreeSet::new(), vec![head(1, 50, &["/a"])]);
    offer(&mut line, &[(2, &["/b"])]);
    let older = line.next(0).unwrap();
    let moved = of_keys(3, &["/b", "/a"]);
    assert_eq!(line.offer(&moved, true), [moved]);
    let first = line.next(50).unwrap();
    let next = vec![head(3, 0, &["/b", "/a"])];
    assert!(line.finish(&first, Outcome::Finished { next }).is_empty());
    assert_eq!(line.next(50), None, "`/b` is still under way");
    assert!(line.finish(&older, DONE).is_empty());
    assert_eq!(line.next(50).unwrap().seq(), Seq(3));
}

#[test]
fn an_endpoint_that_fails_is_tried_with_one_event_at_a_time_after_a_while() {
    let mut line = Line::default();
    (1..=6).for_each(|seq| assert!(line.offer(&posted(seq, &format!("/{seq}")), true).is_empty()));
    for _ in 0..3 {
        line.failed();
    }
    line.cool(10);
    assert_eq!(line.next(9), None);
    assert!(line.next(10).is_some());
    assert_eq!(line.next(10), None);
    line.succeeded();
    assert!(line.next(10).is_some());
}

/// The table: per event its keys, and whether it waits.
type Table = BTreeMap<Seq, (Vec<String>, bool)>;

/// The oldest of a key that waits in the table, but for one event.
fn oldest(table: &Table, key: &String, but: Option<Seq>) -> Option<Head> {
    let mut rows = table.iter();
    let (seq, (keys, _)) =
        rows.find(|(seq, (keys, waits))| *waits && keys.contains(key) && Some(**seq) != but)?;
    Some(Head { seq: *seq, due_ms: 0, keys: keys.clone() })
}

fn enter(table: &mut Table, spilled: Vec<Arc<Posted>>) {
    table.extend(spilled.into_iter().map(|posted| (posted.event.seq, (posted.keys.clone(), true))));
}

/// A receiver and a table, played by the test, with several jobs under way that end in any order: whatever fails, each
/// event arrives once and in order of all its keys. Gives the events as they arrived.
fn play(all: &[Arc<Posted>], chances: &[u8], restart_at: usize) -> Vec<u64> {
    let mut table = Table::new();
    let mut arrived: Vec<u64> = Vec::new();
    // Each with what comes after it in the table, which a sender looks up before it sends.
    let mut jobs: Vec<(Job, Vec<Head>)> = Vec::new();
    let mut line = Line::default();
    let mut chances = chances.iter().cycle().copied();
    for step in 0..100_000 {
        let now_ms = step as i64;
        let chance = chances.next().unwrap_or(0);
        if step == restart_at {
            // What is under way is lost; nothing of it was written down.
            jobs.clear();
            let cursor = line.cursor();
            let known = table.keys().copied().filter(|seq| *seq > cursor).collect();
            let keys: BTreeSet<&String> = all.iter().flat_map(|posted| &posted.keys).collect();
            let heads = keys.into_iter().filter_map(|key| oldest(&table, key, None)).collect();
            line = Line::new(cursor, known, heads);
        }
        let next = all.iter().find(|posted| posted.event.seq > line.read_up_to());
        if let Some(next) = next.filter(|_| line.wants_more() && chance % 3 != 0) {
            enter(&mut table, line.offer(next, true));
        }
        if chance % 5 != 1 {
            jobs.extend(line.next(now_ms).map(|job| {
                let next = match &job {
                    Job::Fresh(_) => Vec::new(),
                    Job::Held(head) => {
                        head.keys.iter().filter_map(|key| oldest(&table, key, Some(head.seq))).collect()
                    }
                };
                (job, next)
            }));
        }
        if chance % 2 == 0 && !jobs.is_empty() {
            let (job, next) = jobs.remove(usize::from(chance) % jobs.len());
            let (seq, keys) = (job.seq(), job.keys().to_vec());
            let outcome = if chance % 7 < 2 {
                table.insert(seq, (keys, true));
                Outcome::Held { due_ms: now_ms + 2 }
            } else {
                arrived.push(seq.0);
                table.insert(seq, (keys, false));
                Outcome::Finished { next }
            };
            enter(&mut table, line.finish(&job, outcome));
        }
        let is_over = table.len() == all.len() && table.values().all(|(_, waits)| !waits);
        if is_over && jobs.is_empty() && line.cursor() == Seq(all.len() as u64) {
            return arrived;
        }
    }
    panic!("it never ends");
}

proptest! {
    #[test]
    fn each_event_arrives_once_and_in_order_of_its_keys(
        events in proptest::collection::vec((0u8..5, 0u8..10), 1..80),
        chances in proptest::collection::vec(any::<u8>(), 50..400),
        restart_at in 1usize..300,
    ) {
        // Something of everything has to be among the chances, or nothing moves.
        let chances: Vec<u8> = chances.into_iter().chain(0..=209).collect();
        // A path, and for half of them a second one.
        let keys_of = |(path, from): &(u8, u8)| {
            let from = Some(*from).filter(|from| *from < 5 && from != path);
            [Some(*path), from].into_iter().flatten().map(|key| format!("/{key}")).collect::<Vec<_>>()
        };
        let keys: Vec<Vec<String>> = events.iter().map(keys_of).collect();
        let all: Vec<Arc<Posted>> = (1..).zip(&keys).map(|(seq, keys)| {
            of_keys(seq, &keys.iter().map(String::as_str).collect::<Vec<_>>())
        }).collect();
        let arrived = play(&all, &chances, restart_at);
        for key in 0..5 {
            let key = format!("/{key}");
            let has_it = |seq: &&u64| keys[**seq as usize - 1].contains(&key);
            let of_key: Vec<u64> = arrived.iter().filter(has_it).copied().collect();
            prop_assert!(of_key.is_sorted(), "{:?}", of_key);
        }
        let distinct: BTreeSet<u64> = arrived.iter().copied().collect();
        prop_assert_eq!((arrived.len(), distinct.len()), (events.len(), events.len()));
    }
}
