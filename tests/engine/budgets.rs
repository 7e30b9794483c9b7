//! Budgets: no crowd gets through together, nothing that was used is lost, and nobody learns of others.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::{Arc, Barrier};

use proptest::prelude::*;
use serde_json::{Value, json};
use tempfile::TempDir;
use waypost_engine::access::Verb;
use waypost_engine::api::{
    Budget, BudgetError, BudgetInfo, BudgetLimits, Charge, ChargeKind, ClaimRequest, Completion, Engine,
    EngineOptions, Error, Exceeded, Failure, GroupBy, NewTask, Period, Priority, Reservation, Session,
    TargetPattern, Usage, UsageReport, UsageRequest,
};
use waypost_engine::clock::Clock;
use waypost_engine::pattern::Pattern;

use crate::tasks::Works;

const MINUTE: i64 = 60_000;
const DAY: i64 = 24 * 60 * MINUTE;

fn limits(calls: Option<u64>, usd_micros: Option<u64>, tokens: Option<u64>) -> BudgetLimits {
    BudgetLimits { usd_micros, tokens, calls, ..BudgetLimits::default() }
}

fn calls(n: u64) -> BudgetLimits {
    limits(Some(n), None, None)
}

fn put(owner: &Session, holder: &str, period: Period, limits: BudgetLimits) -> BudgetInfo {
    owner.put_budget(&Budget::new(holder, None, period, limits, "").unwrap()).unwrap()
}

fn charge() -> Charge {
    Charge::new(ChargeKind::Tool, "mail.send").priority(Priority::High)
}

fn tokens(n: u64) -> Charge {
    charge().estimate(Usage::call().tokens(n))
}

#[track_caller]
fn exceeded(result: Result<Reservation, Error>) -> Exceeded {
    match result {
        Err(Error::Budget(BudgetError::Exceeded(exceeded))) => *exceeded,
        other => panic!("{other:?}"),
    }
}

/// How many of 64 who ask at once get through; they stay reserved.
fn race(session: &Session) -> usize {
    let start = Barrier::new(64);
    std::thread::scope(|threads| {
        let ask = || {
            start.wait();
            session.reserve(&charge()).is_ok()
        };
        let all: Vec<_> = (0..64).map(|_| threads.spawn(ask)).collect();
        all.into_iter().map(|thread| thread.join().unwrap()).filter(|passed| *passed).count()
    })
}

#[test]
fn of_a_crowd_exactly_as_many_get_through_as_there_is_room_for() {
    let works = Works::new();
    let a = works.user("agent:a", &[]);
    put(&works.owner(), "agent:a", Period::Day, calls(10));
    assert_eq!(race(&a), 10);
    drop(a);
    let works = works.reopen();
    let a = works.session("agent:a");
    assert_eq!(race(&a), 0, "a restart frees nothing");
    put(&works.owner(), "agent:a", Period::Day, calls(20));
    assert_eq!(race(&a), 10, "a higher limit keeps what was counted");
    assert_eq!(works.owner().usage(&UsageRequest::default()).unwrap().total.used, Usage::default());
}

#[test]
fn what_is_settled_counts_as_what_was_used() {
    let works = Works::new();
    let a = works.user("agent:a", &[]);
    put(&works.owner(), "agent:a", Period::Day, limits(None, None, Some(100)));
    let first = a.reserve(&tokens(60)).unwrap();
    let refused = exceeded(a.reserve(&tokens(60)));
    assert_eq!((refused.used, refused.reserved, refused.left, refused.needed), (0, 60, 40, 60));
    a.settle(first, Usage::call().tokens(20), true).unwrap();
    let second = a.reserve(&tokens(60)).unwrap();
    a.settle(second, Usage::call().tokens(95), false).unwrap();
    let refused = exceeded(a.reserve(&tokens(1)));
    assert_eq!(
        (refused.used, refused.reserved, refused.left),
        (115, 0, 0),
        "more than there was, and not lost"
    );
    assert_eq!(
        refused.to_string().split(": ").nth(1).unwrap(),
        "limit 100, used 115, reserved 0, left 0, this takes 1; it resets at 2026-09-22T00:00:00.000Z"
    );
    let total = a.usage(&UsageRequest::default()).unwrap().total;
    assert_eq!((total.used.tokens, total.used.calls, total.failures), (115, 2, 1));
    let third = a.reserve(&charge());
    assert!(third.is_err(), "what says nothing of tokens is not let through when there are none left");
}

#[test]
fn what_is_released_is_free_again_and_a_second_settling_changes_nothing() {
    let works = Works::new();
    let a = works.user("agent:a", &[]);
    put(&works.owner(), "agent:a", Period::Day, calls(1));
    let reservation = a.reserve(&charge()).unwrap();
    let id = reservation.id.clone();
    a.release(reservation).unwrap();
    assert!(!works.engine.settle_reservation(&id, Usage::call(), true).unwrap());
    let again = a.reserve(&charge()).unwrap();
    assert!(works.engine.settle_reservation(&again.id, Usage::call(), true).unwrap());
    assert!(!works.engine.settle_reservation(&again.id, Usage::call(), true).unwrap());
    assert_eq!(exceeded(a.reserve(&charge())).used, 1);
    assert_eq!(a.usage(&UsageRequest::default()).unwrap().total.used, Usage::call());
}

#[test]
fn a_day_ends_at_midnight_in_utc() {
    let works = Works::new();
    let a = works.user("agent:a", &[]);
    let budget = put(&works.owner(), "agent:a", Period::Day, calls(1));
    assert_eq!(budget.state.resets_at.as_deref(), Some("2026-09-22T00:00:00.000Z"));
    let before_midnight = 1_790_035_200_000 - 1 - 1_790_000_000_000;
    works.pass(before_midnight);
    let late = a.reserve(&charge()).unwrap();
    assert_eq!(exceeded(a.reserve(&charge())).resets_ms, Some(1_790_035_200_000));
    works.pass(1);
    a.settle(late, Usage::call(), true).unwrap();
    let today = a.reserve(&charge()).unwrap();
    a.settle(today, Usage::call(), true).unwrap();
    let days = a.usage(&UsageRequest::default()).unwrap().items;
    let shown: Vec<_> = days.iter().map(|row| (row.day.clone().unwrap(), row.used.calls)).collect();
    let expected = [("2026-09-21".to_owned(), 1), ("2026-09-22".to_owned(), 1)];
    assert_eq!(shown, expected, "what was reserved on a day counts on that day");
}

#[test]
fn members_share_the_budget_of_their_group_and_each_has_that_of_all_alone() {
    let works = Works::new();
    let owner = works.owner();
    let (a, b) = (works.user("agent:a", &[]), works.user("agent:b", &[]));
    owner.put_group("group:g", &BTreeSet::from(["agent:a".to_owned(), "agent:b".to_owned()])).unwrap();
    put(&owner, "group:g", Period::Day, calls(3));
    let all = put(&owner, "*", Period::Day, calls(2));
    let kept: Vec<Reservation> = [&a, &a, &b].map(|who| who.reserve(&charge()).unwrap()).into();
    assert_eq!(exceeded(b.reserve(&charge())).holder, "group:g");
    owner.put_group("group:g", &BTreeSet::from(["agent:a".to_owned()])).unwrap();
    kept.into_iter().for_each(|reservation| a.settle(reservation, Usage::call(), true).unwrap());
    let _second = b.reserve(&charge()).unwrap();
    assert_eq!(exceeded(b.reserve(&charge())).budget, all.id);
    assert_eq!(owner.budget(&all.id, Some("agent:a")).unwrap().state.used["calls"], 2);
    assert_eq!(owner.budget(&all.id, Some("agent:b")).unwrap().state.reserved["calls"], 1);
}

#[test]
fn a_trace_has_its_own_budget_which_never_resets() {
    let works = Works::new();
    let a = works.user("agent:a", &[]);
    put(&works.owner(), "agent:a", Period::Trace, calls(2));
    let traced = a.clone().with_trace("one");
    let _kept = [traced.reserve(&charge()).unwrap(), traced.reserve(&charge()).unwrap()];
    works.pass(3 * DAY);
    assert_eq!(exceeded(traced.reserve(&charge())).resets_ms, None);
    let _other = a.clone().with_trace("two").reserve(&charge()).unwrap();
    assert!(a.reserve(&charge().trace("one")).is_err());
}

#[test]
fn work_of_low_priority_stops_first() {
    let works = Works::new();
    let a = works.user("agent:a", &[]);
    put(&works.owner(), "agent:a", Period::Day, calls(100));
    let passed = [Priority::Low, Priority::Normal, Priority::High].map(|priority| {
        let asked = (0..200).map(|_| a.reserve(&charge().priority(priority)));
        asked.take_while(Result::is_ok).count()
    });
    assert_eq!(passed, [80, 15, 5]);
    let refused = exceeded(a.reserve(&charge().priority(Priority::Low)));
    assert!(refused.to_string().contains("low priority may use 80 of it, left 0"), "{refused}");
}

#[test]
fn a_narrowed_budget_binds_the_tools_that_it_names() {
    let works = Works::new();
    let a = works.user("agent:a", &[]);
    let target = Some(TargetPattern::Tool(Pattern::name("pay.*").unwrap()));
    let budget = Budget::new("agent:a", target, Period::Day, calls(0), "no payments").unwrap();
    works.owner().put_budget(&budget).unwrap();
    assert_eq!(exceeded(a.reserve(&Charge::new(ChargeKind::Tool, "Pay.card"))).budget, budget.id);
    let _fine = a.reserve(&Charge::new(ChargeKind::Tool, "mail.send")).unwrap();
    let _fine = a.reserve(&Charge::new(ChargeKind::Dispatch, "pay.card")).unwrap();
}

#[test]
fn a_forgotten_reservation_counts_as_spent_at_its_deadline_and_can_be_put_right() {
    let works = Works::new();
    let a = works.user("agent:a", &[]);
    put(&works.owner(), "agent:a", Period::Day, limits(None, None, Some(100)));
    let forgotten = a.reserve(&tokens(60).ttl_ms(1000)).unwrap();
    works.pass(999);
    works.engine.settle_overdue().unwrap();
    assert_eq!(a.budgets().unwrap()[0].state.reserved["tokens"], 60);
    works.pass(1);
    works.engine.settle_overdue().unwrap();
    let state = a.budgets().unwrap()[0].state.clone();
    assert_eq!((&state.used["tokens"], &state.reserved["tokens"]), (&json!(60), &json!(0)));
    assert!(a.reserve(&tokens(50)).is_err(), "never free");
    assert!(works.engine.settle_reservation(&forgotten.id, Usage::call().tokens(10), true).unwrap());
    assert_eq!(a.budgets().unwrap()[0].state.used["tokens"], 10);
    assert_eq!(a.usage(&UsageRequest::default()).unwrap().total.used, Usage::call().tokens(10));
}

const HOME: &str = "WAYPOST_BUDGET_HOME";
const NOON: i64 = 1_790_000_000_000;

fn open_at(home: &Path, clock: Clock) -> Arc<Engine> {
    Arc::new(Engine::open(EngineOptions::new(home).clock(clock)).unwrap())
}

/// Not a test of its own: the process that ends between reserving and settling.
#[test]
#[ignore = "started by `an_end_between_reserving_and_settling_frees_nothing`, which needs a process that ends"]
fn child_reserves() {
    let home = std::env::var(HOME).expect("the parent names the home");
    let engine = open_at(Path::new(&home), Clock::Fixed(NOON));
    let _kept = engine.owner_session().reserve(&tokens(60)).unwrap();
    std::process::abort();
}

#[test]
fn an_end_between_reserving_and_settling_frees_nothing() {
    let home = TempDir::new().unwrap();
    let budget = {
        let engine = open_at(home.path(), Clock::Fixed(NOON));
        put(&engine.owner_session(), "*", Period::Day, limits(None, None, Some(100)))
    };
    let ended = Command::new(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact", "budgets::child_reserves"])
        .env(HOME, home.path())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .unwrap();
    assert!(!ended.success());
    let look = |at_ms| {
        let engine = open_at(home.path(), Clock::Fixed(at_ms));
        let owner = engine.owner_session();
        assert!(owner.reserve(&tokens(50)).is_err());
        let state = owner.budget(&budget.id, None).unwrap().state;
        (state.used["tokens"].clone(), state.reserved["tokens"].clone())
    };
    assert_eq!(look(NOON + 599_999), (json!(0), json!(60)), "before its deadline it is held");
    assert_eq!(look(NOON + 600_000), (json!(60), json!(0)), "after it, spent");
}

#[test]
fn budgets_of_others_change_nothing() {
    let answers = |with_others: bool| -> Value {
        let works = Works::new();
        let owner = works.owner();
        let (a, b) = (works.user("agent:a", &[]), works.user("agent:b", &[]));
        put(&owner, "agent:a", Period::Day, calls(2));
        put(&owner, "*", Period::Day, calls(5));
        if with_others {
            put(&owner, "agent:b", Period::Day, calls(1));
            owner.put_group("group:h", &BTreeSet::from(["agent:b".to_owned()])).unwrap();
            put(&owner, "group:h", Period::Trace, calls(1));
            let _kept = b.reserve(&charge()).unwrap();
            assert!(b.reserve(&charge()).is_err());
        }
        let _kept = a.reserve(&charge()).unwrap();
        let others = [
            a.budget("bg_000000000000", None).unwrap_err().to_string(),
            a.usage(&UsageRequest { principal: Some("agent:b".to_owned()), ..UsageRequest::default() })
                .unwrap_err()
                .to_string(),
        ];
        let filter = waypost_engine::api::EventFilter::default();
        let events = a.events(None, &filter, 100).unwrap().items.len();
        json!([a.budgets().unwrap(), a.usage(&UsageRequest::default()).unwrap(), others, events])
    };
    assert_eq!(answers(false), answers(true));
}

#[test]
fn only_the_admin_makes_budgets_and_only_for_those_who_are_there() {
    let works = Works::new();
    let a = works.user("agent:a", &[]);
    let budget = |holder: &str| Budget::new(holder, None, Period::Day, calls(1), "").unwrap();
    assert_eq!(a.put_budget(&budget("agent:a")).unwrap_err().code(), "forbidden");
    assert_eq!(works.owner().put_budget(&budget("agent:nobody")).unwrap_err().code(), "not_found");
    let made = works.owner().put_budget(&budget("agent:a")).unwrap();
    assert_eq!(a.remove_budget(&made.id).unwrap_err().code(), "forbidden");
    works.owner().remove_budget(&made.id).unwrap();
    assert_eq!(works.owner().remove_budget(&made.id).unwrap_err().code(), "not_found");
}

#[test]
fn the_end_of_a_budget_is_told_once_in_its_period_and_to_whom_it_concerns() {
    let works = Works::new();
    let (a, b) = (works.user("agent:a", &[]), works.user("agent:b", &[]));
    put(&works.owner(), "agent:a", Period::Day, calls(0));
    (0..3).for_each(|_| assert!(a.reserve(&charge()).is_err()));
    let told = |who: &Session| {
        let filter = waypost_engine::api::EventFilter::new(&[], &["budget.exceeded".to_owned()]).unwrap();
        who.events(None, &filter, 100).unwrap().items.len()
    };
    assert_eq!([told(&a), told(&b), told(&works.owner())], [1, 0, 1]);
    assert_eq!(works.events("budget.exceeded")[0]["unit"], "calls");
    works.pass(DAY);
    assert!(a.reserve(&charge()).is_err());
    assert_eq!(told(&a), 2);
}

fn task_with(works: &Works, owner: &Session, retries: u32) -> String {
    let reservation = owner.reserve(&tokens(100).ttl_ms(DAY as u64)).unwrap();
    let new = NewTask {
        workspace: "w".to_owned(),
        max_attempts: Some(retries),
        retry_delay_ms: Some(0),
        reservation: Some(reservation.id),
        ..NewTask::default()
    };
    let made = owner.create_task(&new).unwrap();
    assert!(works.exists("tasks/pending"));
    made.id
}

fn report(tokens: u64) -> Option<UsageReport> {
    Some(UsageReport { tokens: Some(tokens), ..UsageReport::default() })
}

#[test]
fn a_task_settles_what_was_reserved_for_it() {
    let works = Works::new();
    let owner = works.owner();
    let worker = works.worker("agent:w");
    let budget = put(&owner, "human:admin", Period::Day, limits(None, None, Some(10_000)));
    let state = || {
        let state = owner.budget(&budget.id, None).unwrap().state;
        (state.used["tokens"].as_u64().unwrap(), state.reserved["tokens"].as_u64().unwrap())
    };
    let claim = || worker.claim_task(&ClaimRequest::default()).unwrap().unwrap();
    let complete = |usage| {
        let task = claim();
        let (task_id, fence) = (task.id, task.fence.unwrap());
        worker.complete_task(&Completion { task_id, fence, usage, ..Completion::default() }).unwrap();
    };
    let fail = |usage| {
        let task = claim();
        let (task_id, fence, error) = (task.id, task.fence.unwrap(), "no".to_owned());
        worker.fail_task(&Failure { task_id, fence, error, retry: None, usage }).unwrap();
    };
    task_with(&works, &owner, 3);
    assert_eq!(state(), (0, 100));
    complete(report(7));
    assert_eq!(state(), (7, 0), "as reported");
    task_with(&works, &owner, 3);
    complete(None);
    assert_eq!(state(), (107, 0), "as estimated");
    task_with(&works, &owner, 2);
    fail(report(30));
    assert_eq!(state(), (137, 100), "spent, and held for the next attempt");
    fail(report(1));
    assert_eq!(state(), (138, 0), "given up");
    let id = task_with(&works, &owner, 3);
    owner.cancel_task(&id, "not needed").unwrap();
    assert_eq!(state(), (138, 0), "nobody ever had it");
    let id = task_with(&works, &owner, 3);
    claim();
    owner.cancel_task(&id, "too slow").unwrap();
    assert_eq!(state(), (238, 0), "somebody had it");
    task_with(&works, &owner, 1);
    claim();
    works.pass(2 * MINUTE);
    works.engine.expire_tasks().unwrap();
    assert_eq!(state(), (338, 0), "expired for good");
    let mine = worker.usage(&UsageRequest::default()).unwrap().total;
    assert_eq!(mine.used, Usage::default(), "it is who handed it over that pays");
}

#[test]
fn what_nobody_reserved_for_counts_against_the_worker() {
    let works = Works::new();
    let worker = works.worker("agent:w");
    works.owner().create_task(&NewTask { workspace: "w".to_owned(), ..NewTask::default() }).unwrap();
    let task = worker.claim_task(&ClaimRequest::default()).unwrap().unwrap();
    let usage = report(12);
    let (task_id, fence) = (task.id, task.fence.unwrap());
    worker.complete_task(&Completion { task_id, fence, usage, ..Completion::default() }).unwrap();
    let by_kind = UsageRequest { group_by: GroupBy::Kind, ..UsageRequest::default() };
    let used = worker.usage(&by_kind).unwrap();
    assert_eq!((used.items[0].kind.as_deref(), used.items[0].used.tokens), (Some("task"), 12));
}

#[test]
fn no_request_says_what_was_reserved_for_a_task() {
    let given = json!({"workspace": "w", "reservation": "rs_1"});
    let refused = serde_json::from_value::<NewTask>(given).unwrap_err().to_string();
    assert!(refused.contains("unknown field `reservation`"), "{refused}");
    let works = Works::new();
    works.drop_file("tasks/pending/x.json", r#"{"title": "x", "reservation": "rs_1"}"#);
    works.scan();
    works.engine.adopt_tasks().unwrap();
    works.owner().cancel_task(&works.owner().tasks(&Default::default()).unwrap()[0].id, "no").unwrap();
}

#[test]
fn what_is_old_is_forgotten() {
    let works = Works::new();
    let a = works.user("agent:a", &[]);
    put(&works.owner(), "agent:a", Period::Day, calls(1));
    let spent = a.reserve(&charge()).unwrap();
    a.settle(spent, Usage::call(), true).unwrap();
    let ever = UsageRequest { from: Some("2020-01-01".to_owned()), ..UsageRequest::default() };
    works.pass(399 * DAY);
    works.engine.prune_counted().unwrap();
    assert_eq!(a.usage(&ever).unwrap().total.used, Usage::call());
    works.pass(2 * DAY);
    works.engine.prune_counted().unwrap();
    assert_eq!(a.usage(&ever).unwrap().total.used, Usage::default());
}

#[derive(Debug, Clone)]
enum Step {
    Reserve { who: usize, target: usize, tokens: u64, ttl_ms: u64 },
    Settle { which: usize, tokens: u64, is_ok: bool },
    Release { which: usize },
    Wait { ms: i64 },
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0..3usize, 0..2usize, 0..40u64, 1..2000u64)
            .prop_map(|(who, target, tokens, ttl_ms)| Step::Reserve { who, target, tokens, ttl_ms }),
        3 => (0..8usize, 0..60u64, any::<bool>())
            .prop_map(|(which, tokens, is_ok)| Step::Settle { which, tokens, is_ok }),
        1 => (0..8usize).prop_map(|which| Step::Release { which }),
        2 => (0..1500i64).prop_map(|ms| Step::Wait { ms }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    /// Whatever is settled, released or forgotten, in any order: the ledger is the sum of it, and so are the counters.
    #[test]
    fn the_ledger_adds_up(steps in prop::collection::vec(step(), 1..40)) {
        let works = Works::new();
        let owner = works.owner();
        let names = ["agent:a", "agent:b", "agent:c"];
        let users = names.map(|name| works.user(name, &[]));
        let budget = put(&owner, "*", Period::Day, limits(None, None, Some(300)));
        // What a reservation counts for: until it is settled its estimate, once its deadline has passed.
        let mut open: Vec<(usize, usize, Reservation)> = Vec::new();
        let mut spent: BTreeMap<(usize, usize), u64> = BTreeMap::new();
        let mut now_ms = NOON;
        for step in steps {
            match step {
                Step::Reserve { who, target, tokens, ttl_ms } => {
                    let charge = Charge::new(ChargeKind::Tool, ["x", "y"][target])
                        .estimate(Usage::default().tokens(tokens))
                        .ttl_ms(ttl_ms);
                    if let Ok(reservation) = users[who].reserve(&charge) {
                        open.push((who, target, reservation));
                    }
                }
                Step::Settle { which, tokens, is_ok } if which < open.len() => {
                    let (who, target, reservation) = open.remove(which);
                    *spent.entry((who, target)).or_default() += tokens;
                    users[who].settle(reservation, Usage::default().tokens(tokens), is_ok).unwrap();
                }
                Step::Release { which } if which < open.len() => {
                    let (who, _, reservation) = open.remove(which);
                    users[who].release(reservation).unwrap();
                }
                Step::Wait { ms } => {
                    works.pass(ms);
                    now_ms += ms;
                    works.engine.settle_overdue().unwrap();
                }
                _ => {}
            }
        }
        works.engine.settle_overdue().unwrap();
        for (who, name) in names.iter().enumerate() {
            let late = |target: usize| -> u64 {
                let mine = open.iter().filter(|(w, t, r)| *w == who && *t == target && r.deadline_ms <= now_ms);
                mine.map(|(_, _, reservation)| reservation.estimate.tokens).sum()
            };
            let expected: u64 = [0, 1].map(|t| spent.get(&(who, t)).copied().unwrap_or_default() + late(t)).iter().sum();
            let held: u64 = open.iter().filter(|(w, _, r)| *w == who && r.deadline_ms > now_ms)
                .map(|(_, _, reservation)| reservation.estimate.tokens).sum();
            let request = UsageRequest { principal: Some((*name).to_owned()), group_by: GroupBy::Target, ..UsageRequest::default() };
            let report = owner.usage(&request).unwrap();
            prop_assert_eq!(report.total.used.tokens, expected);
            let by_target: u64 = report.items.iter().map(|row| row.used.tokens).sum();
            prop_assert_eq!(by_target, expected);
            let state = owner.budget(&budget.id, Some(name)).unwrap().state;
            prop_assert_eq!(&state.used["tokens"], &json!(expected));
            prop_assert_eq!(&state.reserved["tokens"], &json!(held));
        }
    }
}

#[test]
fn verbs_are_not_needed_to_be_told_of_ones_own_budget() {
    let works = Works::new();
    let a = works.user("agent:a", &[("/w/x", &[Verb::Read])]);
    let made = put(&works.owner(), "agent:a", Period::Day, limits(Some(3), Some(1_500_000), None));
    let shown = a.budget(&made.id, None).unwrap();
    assert_eq!(json!(shown.limits), json!({"usd": "1.5", "calls": 3}));
    let _kept = a.reserve(&charge().estimate(Usage::call().usd_micros(1_200_000))).unwrap();
    let state = serde_json::to_value(a.budget(&made.id, None).unwrap().state).unwrap();
    assert_eq!(state["left"], json!({"usd": "0.3", "calls": 2}));
    assert_eq!(state["warnings"], json!(["usd"]));
}
