//! Handovers: agents that go in circles stop, honest work does not, and a person is asked once.

use std::sync::Barrier;

use serde_json::json;
use waypost_engine::access::{ApprovalState, Effect, Grant, Target, Verb};
use waypost_engine::api::{Error, Handover, Recorded, Session, TraceError, TraceState};
use waypost_engine::embed::{Bert, Embedder, Manifest, Sources, resolve};
use waypost_engine::trace::{Likeness, Sketch};

use crate::house::WordTable;
use crate::tasks::Works;

const DAY: i64 = 24 * 3_600_000;

/// Agents that work on one trace.
struct Talk {
    works: Works,
    table: Option<WordTable>,
}

impl Talk {
    /// Compared by words alone.
    fn by_words() -> Self {
        Self { works: Works::new(), table: None }
    }

    /// Compared by embeddings.
    fn by_meaning() -> Self {
        Self { table: Some(WordTable::new()), ..Self::by_words() }
    }

    fn agent(&self, name: &str) -> Session {
        self.works.user(&format!("agent:{name}"), &[]).with_trace("t")
    }

    fn say(&self, from: &Session, to: &str, text: &str) -> Result<Recorded, Error> {
        self.send(from, to, text, &[])
    }

    fn send(&self, from: &Session, to: &str, text: &str, artifacts: &[String]) -> Result<Recorded, Error> {
        self.send_for(None, from, (to, text), artifacts)
    }

    /// Because of an earlier one.
    fn send_for(
        &self,
        parent: Option<u32>,
        from: &Session,
        (to, text): (&str, &str),
        artifacts: &[String],
    ) -> Result<Recorded, Error> {
        let embedding =
            self.table.as_ref().map(|table| table.embed_documents(&[text]).unwrap().pop().unwrap());
        self.works.pass(1000);
        let to = format!("agent:{to}");
        from.hand_over(&Handover {
            to: &to,
            text,
            artifacts,
            embedding: embedding.as_deref(),
            parent,
            path: "/w/inbox/x",
        })
    }

    /// Somebody who may decide.
    fn human(&self) -> Session {
        self.works.user("human:eve", &[("/w/**", &[Verb::Read, Verb::Approve])])
    }

    /// Says one thing after the other, by turns, and gives how many got through.
    fn turns(&self, a: &Session, b: &Session, texts: &[&str]) -> usize {
        let said = texts
            .iter()
            .enumerate()
            .map(|(turn, text)| if turn % 2 == 0 { self.say(a, "b", text) } else { self.say(b, "a", text) });
        said.take_while(Result::is_ok).count()
    }
}

#[track_caller]
fn looped(result: Result<Recorded, Error>) -> (String, Option<String>) {
    match result {
        Err(Error::Trace(TraceError::Loop { reason, approval, .. })) => (reason, approval),
        other => panic!("{other:?}"),
    }
}

const THANKS: [&str; 8] = [
    "Please translate chapter one into French.",
    "Done, the translation is in chapter-one.fr.md.",
    "Thanks!",
    "You're welcome.",
    "Thank you too!",
    "No problem at all, anytime.",
    "Thanks again, have a great day!",
    "You too, bye!",
];

#[test]
fn agents_that_thank_each_other_stop_after_a_few_rounds() {
    for talk in [Talk::by_words(), Talk::by_meaning()] {
        let (a, b) = (talk.agent("a"), talk.agent("b"));
        assert_eq!(talk.turns(&a, &b, &THANKS), 4, "the third handover without content is refused");
        let (reason, approval) = looped(talk.say(&a, "b", "Now translate chapter two."));
        assert!(reason.contains("3 handovers in a row bring nothing new"), "{reason}");
        assert_eq!(reason.contains("by words alone"), talk.table.is_none(), "{reason}");
        assert!(approval.is_some());
    }
}

#[test]
fn the_same_request_again_and_again_is_a_loop() {
    let talk = Talk::by_words();
    let a = talk.agent("a");
    talk.agent("b");
    let said = (0..10).take_while(|_| talk.say(&a, "b", "Translate chapter one.").is_ok()).count();
    assert_eq!(said, 3);
}

#[test]
fn a_circle_of_three_is_a_loop() {
    for talk in [Talk::by_words(), Talk::by_meaning()] {
        let agents = ["a", "b", "c"].map(|name| talk.agent(name));
        let text = "Please have a look at the invoice of March, I can't tell what is wrong with it.";
        let round = (0..30).map(|turn: usize| talk.say(&agents[turn % 3], ["b", "c", "a"][turn % 3], text));
        let results: Vec<_> = round.take(12).collect();
        let passed = results.iter().take_while(|result| result.is_ok()).count();
        assert_eq!(passed, 5, "one round, and two thirds of the second");
        assert!(results[passed..].iter().all(Result::is_err));
        assert_eq!(talk.works.owner().approvals(None).unwrap().len(), 1);
    }
}

const SUBJECTS: [&str; 10] =
    ["parser", "lexer", "cache", "budget", "socket", "migration", "logger", "scheduler", "index", "console"];
const FAULTS: [&str; 4] =
    ["overflows on empty input", "holds its lock across io", "lacks documentation", "leaks descriptors"];

#[test]
fn honest_work_of_many_rounds_is_not_stopped() {
    for talk in [Talk::by_words(), Talk::by_meaning()] {
        let (boss, a, b) = (talk.agent("boss"), talk.agent("a"), talk.agent("b"));
        let order = talk.say(&boss, "a", "Please have all of these faults mended.").unwrap().number;
        for round in 0..20 {
            let (subject, fault) = (SUBJECTS[round % 10], FAULTS[(round / 10 + round) % 4]);
            let text = format!("{subject} {fault}, line {}", 37 * round);
            let asked = talk.send_for(Some(order), &a, ("b", &text), &[]);
            let asked = asked.unwrap_or_else(|error| panic!("round {round}: {error}"));
            // The same words, with another result each time.
            let answer =
                talk.send_for(Some(asked.number), &b, ("a", "Fixed."), &[format!("version-{round}")]);
            let answer = answer.unwrap_or_else(|error| panic!("round {round}: {error}"));
            assert_eq!((asked.hop, answer.hop), (2, 3), "each round is caused by the order");
        }
    }
}

#[test]
fn two_that_go_back_and_forth_end_at_the_hop_limit_whatever_they_say() {
    for talk in [Talk::by_words(), Talk::by_meaning()] {
        let (a, b) = (talk.agent("a"), talk.agent("b"));
        let say = |turn: usize| {
            let text = format!("{} {}, line {}", SUBJECTS[turn % 10], FAULTS[turn % 4], 37 * turn);
            if turn.is_multiple_of(2) { talk.say(&a, "b", &text) } else { talk.say(&b, "a", &text) }
        };
        let hops: Vec<u32> = (0..8).map(|turn| say(turn).unwrap().hop).collect();
        assert_eq!(hops, [1, 2, 3, 4, 5, 6, 7, 8]);
        assert_eq!(say(8).unwrap_err().code(), "hop_limit");
        assert!(talk.works.owner().approvals(None).unwrap().is_empty(), "nobody is asked about that");
    }
}

#[test]
fn many_requests_that_differ_by_what_they_name_are_honest() {
    for talk in [Talk::by_words(), Talk::by_meaning()] {
        let a = talk.agent("a");
        for chapter in ["one", "two", "three", "four", "five", "six", "seven", "eight"] {
            talk.say(&a, "b", &format!("Translate chapter {chapter} into French.")).unwrap();
        }
        for chapter in 9..40 {
            talk.say(&a, "b", &format!("Translate chapter {chapter} into French.")).unwrap();
        }
    }
}

/// Where `WAYPOST_MODELS` holds the default model.
#[test]
fn the_threshold_tells_rewordings_from_other_requests() {
    let found = std::env::var_os("WAYPOST_MODELS").and_then(|cache| {
        resolve(Manifest::built_in().default_model(), &Sources::new(cache), &mut |_| ()).ok()
    });
    let Some(found) = found else {
        println!("skipped: the default model is not in the cache named by WAYPOST_MODELS");
        return;
    };
    let model = Bert::open(&found).unwrap();
    let sketch = |text: &str| Sketch::of(&model.embed_documents(&[text]).unwrap()[0]).unwrap();
    let check = |a: &str, b: &str, expected: bool| {
        let (first, second) = (sketch(a), sketch(b));
        let likeness = Likeness::of((a, Some(&first)), (b, Some(&second)));
        assert_eq!(likeness.is_same(), expected, "{:.2}: {a} | {b}", likeness.value);
    };
    check("Please check the invoice of March.", "Can you have a look at the March invoice?", true);
    check("Translate chapter one into French.", "Could you please put chapter one into French?", true);
    check(
        "I can't tell, please ask the agent that knows about invoices.",
        "I don't know either, could you ask the invoice agent?",
        true,
    );
    check(
        "Please check the invoice of March.",
        "I can't tell, please ask the agent that knows about invoices.",
        false,
    );
    check(
        "cache holds its lock across io, line 3",
        "In src/cache.rs line 40 the lock is held across the fsync; please release it first.",
        false,
    );
    check("parser overflows on empty input, line 12", "lexer overflows on empty input, line 77", false);
}

#[test]
fn an_artifact_that_was_there_already_is_nothing_new() {
    let talk = Talk::by_words();
    let (a, b) = (talk.agent("a"), talk.agent("b"));
    let same = ["v1".to_owned()];
    talk.send(&a, "b", "Fix it.", &same).unwrap();
    let said = (0..10).take_while(|turn| {
        let (who, to) = if turn % 2 == 0 { (&b, "a") } else { (&a, "b") };
        talk.send(who, to, "Fix it.", &same).is_ok()
    });
    assert_eq!(said.count(), 2);
}

#[test]
fn a_chain_of_agents_ends_at_the_hop_limit() {
    let talk = Talk::by_words();
    let names: Vec<String> = (0..10).map(|n| format!("n{n}")).collect();
    let agents: Vec<Session> = names.iter().map(|name| talk.agent(name)).collect();
    for n in 0..8 {
        let hop = talk.say(&agents[n], &names[n + 1], "Do this.").unwrap().hop;
        assert_eq!(hop, n as u32 + 1);
    }
    let refused = talk.say(&agents[8], &names[9], "Do this.").unwrap_err();
    assert_eq!(refused.code(), "hop_limit");
    assert!(refused.to_string().contains("8 handovers in a row"), "{refused}");
    assert!(talk.works.owner().approvals(None).unwrap().is_empty(), "nobody is asked about that");
    talk.say(&agents[0], &names[9], "Do that.").unwrap();
}

#[test]
fn of_a_crowd_in_one_trace_no_more_get_through_than_of_a_queue() {
    let talk = Talk::by_words();
    let a = talk.agent("a");
    let start = Barrier::new(16);
    let passed = std::thread::scope(|threads| {
        let ask = || {
            start.wait();
            talk.say(&a, "b", "Translate chapter one.").is_ok()
        };
        let all: Vec<_> = (0..16).map(|_| threads.spawn(ask)).collect();
        all.into_iter().map(|thread| thread.join().unwrap()).filter(|passed| *passed).count()
    });
    assert_eq!(passed, 3);
    assert_eq!(talk.works.owner().approvals(None).unwrap().len(), 1, "one question, whoever asks");
    assert_eq!(talk.works.events("loop.detected").len(), 1);
}

#[test]
fn a_person_lets_a_trace_go_on_with_all_its_rounds() {
    let talk = Talk::by_words();
    let (a, b, eve) = (talk.agent("a"), talk.agent("b"), talk.human());
    talk.turns(&a, &b, &THANKS);
    let (_, approval) = looped(talk.say(&b, "a", "Anything else?"));
    let id = approval.unwrap();
    for _ in 0..5 {
        assert_eq!(looped(talk.say(&a, "b", "Something new entirely.")).1.as_ref(), Some(&id));
    }
    assert_eq!(eve.approvals(Some(ApprovalState::Pending)).unwrap().len(), 1);
    let shown = eve.approval(&id).unwrap().act;
    assert_eq!((&shown["act"], &shown["trace"]), (&json!("trace"), &json!("t")));
    let circle = json!(["agent:a", "agent:b", "agent:a", "agent:b"]);
    assert_eq!(shown["evidence"]["circle"], circle, "{shown}");
    assert_eq!(a.trace("t").unwrap().state, TraceState::Parked);
    assert!(a.withdraw_approval(&id).is_err(), "who is in it can't spare a person the decision");

    eve.decide_approval(&id, true, Some("one more round")).unwrap();
    assert_eq!(eve.decide_approval(&id, true, None).unwrap_err().code(), "approval_closed");
    assert_eq!(a.trace("t").unwrap().state, TraceState::Open);
    let again: Vec<bool> = (0..3).map(|_| talk.say(&a, "b", "Thanks!").is_ok()).collect();
    assert_eq!(again, [true, true, false], "as many rounds as at the beginning");
    let (_, second) = looped(talk.say(&a, "b", "Thanks!"));
    assert_ne!(second.unwrap(), id);
}

#[test]
fn a_person_ends_a_trace_for_good() {
    let talk = Talk::by_words();
    let (a, b, eve) = (talk.agent("a"), talk.agent("b"), talk.human());
    talk.turns(&a, &b, &THANKS);
    let id = looped(talk.say(&a, "b", "Hello?")).1.unwrap();
    eve.decide_approval(&id, false, Some("enough")).unwrap();
    for who in [&a, &b] {
        let (_, approval) = looped(talk.say(who, "c", "Something entirely new."));
        assert_eq!(approval, None);
    }
    assert_eq!(a.trace("t").unwrap().state, TraceState::Ended);
    let Talk { works, .. } = talk;
    drop((a, b, eve));
    let works = works.reopen();
    works.engine.prune_counted().unwrap();
    works.pass(60 * DAY);
    works.engine.prune_counted().unwrap();
    let a = works.session("agent:a").with_trace("t");
    let talk = Talk { works, table: None };
    assert_eq!(looped(talk.say(&a, "b", "Still there?")).1, None);
    talk.say(&a.clone().with_trace("u"), "b", "A new trace is another one.").unwrap();
}

#[test]
fn who_nobody_answers_is_asked_again() {
    let talk = Talk::by_words();
    let (a, b) = (talk.agent("a"), talk.agent("b"));
    talk.turns(&a, &b, &THANKS);
    let first = looped(talk.say(&a, "b", "Hello?")).1.unwrap();
    talk.works.pass(8 * DAY);
    let second = looped(talk.say(&a, "b", "Hello?")).1.unwrap();
    assert_ne!(first, second);
    assert_eq!(looped(talk.say(&b, "a", "Hello?")).1.unwrap(), second);
}

#[test]
fn a_stranger_neither_sees_nor_stops_a_trace() {
    let alone = |with_stranger: bool| {
        let talk = Talk::by_words();
        let (a, b, x) = (talk.agent("a"), talk.agent("b"), talk.agent("x"));
        talk.say(&a, "b", "Translate chapter one.").unwrap();
        if with_stranger {
            let said = (0..9).filter(|_| talk.say(&x, "b", "Translate chapter one.").is_ok()).count();
            assert_eq!(said, 3);
            assert!(x.trace("t").unwrap().hops.iter().all(|hop| hop.from == "agent:x"));
        }
        let hops: Vec<u32> = ["Which language?", "Of which book?"]
            .iter()
            .map(|text| talk.say(&a, "b", text).unwrap().hop)
            .collect();
        assert!(talk.agent("y").trace("t").is_err());
        let shown = a.trace("t").unwrap();
        drop(b);
        (hops, shown.state, shown.hops.len(), a.traces().unwrap().len())
    };
    assert_eq!(alone(true), alone(false));
}

#[test]
fn one_sees_of_a_trace_what_one_handed_over_or_was_handed() {
    let talk = Talk::by_words();
    let (a, b, c) = (talk.agent("a"), talk.agent("b"), talk.agent("c"));
    talk.say(&a, "b", "Write a report.").unwrap();
    talk.say(&b, "c", "Look up the numbers of March.").unwrap();
    talk.say(&c, "b", "They are 4 and 5.").unwrap();
    let seen = |who: &Session| {
        who.trace("t").unwrap().hops.into_iter().map(|hop| (hop.hop, hop.to)).collect::<Vec<_>>()
    };
    let to = |name: &str| format!("agent:{name}");
    assert_eq!(seen(&a), [(1, to("b"))]);
    assert_eq!(seen(&c), [(2, to("c")), (3, to("b"))]);
    assert_eq!(seen(&talk.works.owner()).len(), 3);
}

#[test]
fn only_whoever_has_approve_where_it_lies_decides() {
    let talk = Talk::by_words();
    let (a, b) = (talk.agent("a"), talk.agent("b"));
    let grant = |to: &str, pattern: &str| {
        let verbs = [Verb::Read, Verb::Approve].into();
        let grant = Grant::new(to, Target::Path, &[pattern.to_owned()], verbs, Effect::Allow, "").unwrap();
        talk.works.owner().put_grant(&grant).unwrap();
    };
    grant("agent:a", "/w/**");
    grant("agent:b", "/w/other/**");
    talk.turns(&a, &b, &THANKS);
    let id = looped(talk.say(&a, "b", "Hello?")).1.unwrap();
    assert_eq!(a.decide_approval(&id, true, None).unwrap_err().code(), "own_request");
    assert_eq!(b.decide_approval(&id, true, None).unwrap_err().code(), "not_found");
    talk.works.owner().decide_approval(&id, true, None).unwrap();
}
