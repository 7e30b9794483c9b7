//! Tasks as files: dropped, claimed, ended, reviewed, and taken back from whoever is late.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tempfile::TempDir;
use waypost_engine::access::{ApprovalState, Effect, Gate, Grant, NewToken, Target, Verb};
use waypost_engine::api::{
    Artifact, ClaimRequest, Completion, Engine, EngineOptions, EventFilter, Failure, NewTask, Session,
    Supervisor, TaskInfo, TasksFilter, WriteOptions,
};
use waypost_engine::clock::Clock;
use waypost_engine::tasks::TaskState;

const NOON: i64 = 1_790_000_000_000;
const MINUTE: i64 = 60_000;
const ALL: [Verb; 5] = [Verb::List, Verb::Read, Verb::Write, Verb::Delete, Verb::Approve];

/// A home with a workspace `w`, whose clock stands until it is set.
pub struct Works {
    pub folder: TempDir,
    pub engine: Arc<Engine>,
    time: &'static AtomicI64,
}

impl Works {
    pub fn new() -> Self {
        let folder = TempDir::new().unwrap();
        let time = Box::leak(Box::new(AtomicI64::new(NOON)));
        let engine = open(folder.path(), time);
        Self { folder, engine, time }
    }

    pub fn owner(&self) -> Session {
        self.engine.owner_session()
    }

    /// A principal that may do so much below patterns.
    pub fn user(&self, id: &str, grants: &[(&str, &[Verb])]) -> Session {
        user(&self.engine, id, grants)
    }

    /// A principal that is there already, by another token.
    pub fn session(&self, id: &str) -> Session {
        let new = NewToken { principal: id.to_owned(), ..NewToken::default() };
        self.engine.session(&self.owner().issue_token(&new).unwrap().token).unwrap()
    }

    pub fn worker(&self, id: &str) -> Session {
        self.user(id, &[("/w/**", &[Verb::List, Verb::Read, Verb::Write])])
    }

    pub fn pass(&self, ms: i64) {
        self.time.fetch_add(ms, Ordering::Relaxed);
    }

    pub fn exists(&self, path: &str) -> bool {
        self.file(path).exists()
    }

    fn file(&self, path: &str) -> std::path::PathBuf {
        self.folder.path().join("workspaces/w").join(path)
    }

    /// What another program does: it takes a scan to be seen.
    pub fn drop_file(&self, path: &str, text: &str) {
        fs::create_dir_all(self.file(path).parent().unwrap()).unwrap();
        fs::write(self.file(path), text).unwrap();
    }

    fn json(&self, path: &str) -> Value {
        serde_json::from_slice(&fs::read(self.file(path)).unwrap()).unwrap()
    }

    pub fn scan(&self) {
        crate::house::index(&self.engine);
    }

    /// As after the end of the process.
    pub fn reopen(self) -> Self {
        let Self { folder, engine, time } = self;
        drop(engine);
        let engine = open(folder.path(), time);
        Self { folder, engine, time }
    }

    pub fn events(&self, kind: &str) -> Vec<Value> {
        let filter = EventFilter::new(&[], &[kind.to_owned()]).unwrap();
        let page = self.owner().events(None, &filter, 1000).unwrap();
        page.items.into_iter().map(|event| event.data.unwrap()).collect()
    }
}

/// A principal that may do so much below patterns.
pub fn user(engine: &Arc<Engine>, id: &str, grants: &[(&str, &[Verb])]) -> Session {
    let owner = engine.owner_session();
    owner.put_principal(id, None, &[]).unwrap();
    for (pattern, verbs) in grants {
        let verbs = verbs.iter().copied().collect();
        let grant = Grant::new(id, Target::Path, &[(*pattern).to_owned()], verbs, Effect::Allow, "").unwrap();
        owner.put_grant(&grant).unwrap();
    }
    let token = owner.issue_token(&NewToken { principal: id.to_owned(), ..NewToken::default() }).unwrap();
    engine.session(&token.token).unwrap()
}

fn open(home: &Path, time: &'static AtomicI64) -> Arc<Engine> {
    let options = EngineOptions::new(home).clock(Clock::Set(time));
    let engine = Engine::open(options).unwrap();
    engine.create_workspace(&crate::house::name()).unwrap();
    Arc::new(engine)
}

fn new(name: &str) -> NewTask {
    NewTask { workspace: "w".to_owned(), name: Some(name.to_owned()), ..NewTask::default() }
}

fn claim(session: &Session) -> Option<TaskInfo> {
    session.claim_task(&ClaimRequest::default()).unwrap()
}

/// Claims what must be there.
#[track_caller]
fn take(session: &Session, name: &str) -> TaskInfo {
    let task = claim(session).unwrap_or_else(|| panic!("{name} can't be claimed"));
    assert_eq!(task.path.rsplit('/').next(), Some(name));
    task
}

fn complete(session: &Session, task: &TaskInfo) -> waypost_engine::api::Result<TaskInfo> {
    let (task_id, fence) = (task.id.clone(), task.fence.unwrap());
    let result = Some(json!({"ok": true}));
    session.complete_task(&Completion { task_id, fence, result, artifacts: Vec::new(), usage: None })
}

fn fail(session: &Session, task: &TaskInfo, error: &str) -> TaskInfo {
    let (task_id, fence) = (task.id.clone(), task.fence.unwrap());
    session.fail_task(&Failure { task_id, fence, error: error.to_owned(), retry: None, usage: None }).unwrap()
}

fn said(task: &TaskInfo) -> Vec<&str> {
    task.history.iter().map(|past| past["what"].as_str().unwrap()).collect()
}

#[test]
fn a_file_that_is_dropped_by_anybody_can_be_claimed_at_once() {
    let works = Works::new();
    let worker = works.worker("agent:worker");
    works
        .owner()
        .write_file("/w/tasks/pending/put.json", br#"{"title": "Put"}"#, &WriteOptions::default())
        .unwrap();
    let put = take(&worker, "put.json");
    assert_eq!((put.title.as_str(), put.created_by.as_str(), put.attempts), ("Put", "human:admin", 1));
    assert_eq!(put.content.as_deref(), Some(r#"{"title": "Put"}"#));
    works.drop_file("tasks/pending/note.txt", "Buy milk.\n");
    works.drop_file("tasks/pending/.keep", "");
    works.scan();
    let note = take(&worker, "note.txt");
    assert_eq!((note.title.as_str(), note.created_by.as_str()), ("note.txt", "external"));
    assert!(works.exists("tasks/in-progress/note.txt") && !works.exists("tasks/pending/note.txt"));
    // A move is a drop as well.
    works
        .owner()
        .write_file("/w/draft.json", br#"{"title": "Moved", "priority": "high"}"#, &WriteOptions::default())
        .unwrap();
    works
        .owner()
        .move_path("/w/draft.json", "/w/tasks/pending/moved.json", &WriteOptions::default())
        .unwrap();
    let moved = take(&worker, "moved.json");
    assert_eq!(said(&moved), ["created", "noted", "claimed"], "what could not be read is noted");
    assert!(claim(&worker).is_none());
    let created: Vec<Value> = works.events("task.created");
    let titles: Vec<&str> = created.iter().map(|data| data["title"].as_str().unwrap()).collect();
    assert_eq!(titles, ["Put", "note.txt", "Moved"]);
}

#[test]
fn a_task_is_made_claimed_kept_and_completed() {
    let works = Works::new();
    let (boss, worker) = (works.user("human:boss", &[("/w/**", &ALL)]), works.worker("agent:worker"));
    let made = boss
        .create_task(&NewTask {
            title: Some("Count".to_owned()),
            payload: Some(json!({"n": 3})),
            ..new("count.json")
        })
        .unwrap();
    assert_eq!(
        works.json("tasks/pending/count.json"),
        json!({"id": made.id, "title": "Count", "payload": {"n": 3}})
    );
    assert_eq!(boss.create_task(&new("count.json")).unwrap_err().code(), "already_exists");
    let task = take(&worker, "count.json");
    assert_eq!(
        (&task.id, &task.payload, task.holder.as_deref()),
        (&made.id, &Some(json!({"n": 3})), Some("agent:worker"))
    );
    works.pass(50_000);
    let kept = worker.heartbeat_task(&task.id, task.fence.unwrap(), None, Some("halfway")).unwrap();
    assert!(kept.lease_expires_at > task.lease_expires_at, "{:?}", kept.lease_expires_at);
    works.pass(50_000);
    assert!(claim(&worker).is_none(), "the lease was extended");
    let artifact = Artifact { name: "notes/a.md".to_owned(), content: "three\n".to_owned() };
    let completion = Completion {
        usage: None,
        task_id: task.id.clone(),
        fence: task.fence.unwrap(),
        result: Some(json!({"n": 3})),
        artifacts: vec![artifact],
    };
    let done = worker.complete_task(&completion).unwrap();
    assert_eq!((done.state, done.path.as_str()), (TaskState::Done, "/w/tasks/done/count.json"));
    let artifacts =
        [format!("/w/artifacts/{}/notes/a.md", task.id), format!("/w/artifacts/{}/result.json", task.id)];
    assert_eq!(done.artifacts, artifacts);
    assert_eq!(works.json(&format!("artifacts/{}/result.json", task.id)), json!({"n": 3}));
    assert_eq!(said(&done), ["created", "claimed", "noted", "completed"]);
    assert_eq!(worker.complete_task(&completion).unwrap_err().code(), "lock_expired");
    let told = works.events("task.completed");
    assert_eq!((&told[0]["task_id"], &told[0]["artifacts"]), (&json!(task.id), &json!(artifacts)));
    assert!(works.owner().locks().unwrap().is_empty(), "the lease is given back");
    assert!(works.engine.check(false).unwrap().findings.is_empty());
    // The journal leads to the same rows again.
    drop((boss, worker));
    let works = works.reopen();
    assert_eq!(works.owner().task(&task.id).unwrap().state, TaskState::Done);
    assert_eq!(works.owner().tasks(&TasksFilter::default()).unwrap().len(), 1);
}

#[test]
fn who_is_late_is_refused_and_the_next_has_a_higher_fence() {
    let works = Works::new();
    let (first, second) = (works.worker("agent:first"), works.worker("agent:second"));
    works.owner().create_task(&new("x.json")).unwrap();
    let late = take(&first, "x.json");
    let path = "/w/tasks/in-progress/x.json";
    let artifact = format!("/w/artifacts/{}/a.md", late.id);
    let write = |session: &Session, path: &str, fence: Option<u64>| {
        session.write_file(path, b"{}", &WriteOptions { fence, ..WriteOptions::default() })
    };
    assert_eq!(write(&second, path, None).unwrap_err().code(), "lock_held");
    assert_eq!(write(&second, &artifact, None).unwrap_err().code(), "lock_held");
    write(&first, path, late.fence).unwrap();
    write(&first, &artifact, late.fence).unwrap();
    works.pass(MINUTE + 1);
    assert_eq!(write(&first, path, late.fence).unwrap_err().code(), "lock_expired");
    let task = take(&second, "x.json");
    assert!(task.fence > late.fence, "{:?} {:?}", task.fence, late.fence);
    assert_eq!((task.attempts, said(&task)), (2, vec!["created", "claimed", "expired", "claimed"]));
    for refused in [
        write(&first, path, late.fence).map(drop),
        write(&first, path, None).map(drop),
        write(&first, &artifact, late.fence).map(drop),
        first.heartbeat_task(&late.id, late.fence.unwrap(), None, None).map(drop),
        complete(&first, &late).map(drop),
    ] {
        let code = refused.unwrap_err().code();
        assert!(matches!(code, "lock_expired" | "lock_held"), "{code}");
    }
    complete(&second, &task).unwrap();
    assert_eq!(works.events("task.expired").len(), 1);
    // The same principal under an old fence is as late as any other.
    works.owner().create_task(&new("y.json")).unwrap();
    let old = take(&first, "y.json");
    works.pass(MINUTE + 1);
    let again = take(&first, "y.json");
    assert_eq!(complete(&first, &old).unwrap_err().code(), "lock_expired");
    complete(&first, &again).unwrap();
}

#[test]
fn a_failure_is_tried_again_later_and_given_up_at_last() {
    let works = Works::new();
    let worker = works.worker("agent:worker");
    works
        .owner()
        .create_task(&NewTask { max_attempts: Some(2), payload: Some(json!(1)), ..new("x.json") })
        .unwrap();
    let back = fail(&worker, &take(&worker, "x.json"), "no network");
    assert_eq!((back.state, back.last_error.as_deref()), (TaskState::Pending, Some("no network")));
    let file = works.json("tasks/pending/x.json");
    assert_eq!(
        (&file["attempts"], &file["last_error"], &file["payload"]),
        (&json!(1), &json!("no network"), &json!(1))
    );
    assert_eq!(file["history"][2]["reason"], "no network");
    assert!(claim(&worker).is_none(), "it waits");
    works.pass(1001);
    let over = fail(&worker, &take(&worker, "x.json"), "still none");
    assert_eq!((over.state, over.attempts), (TaskState::Failed, 2));
    assert!(works.exists("tasks/failed/x.json") && !works.exists("tasks/in-progress/x.json"));
    works.pass(10 * MINUTE);
    assert!(claim(&worker).is_none());
    // Whoever puts it back by hand gives it all its attempts again.
    fs::rename(works.file("tasks/failed/x.json"), works.file("tasks/pending/x.json")).unwrap();
    works.scan();
    let again = take(&worker, "x.json");
    assert_eq!((again.id, again.attempts), (over.id, 1));
    // A file that is no JSON is left as it is.
    works.drop_file("tasks/pending/note.txt", "milk\n");
    works.scan();
    let task = take(&worker, "note.txt");
    let (task_id, fence) = (task.id, task.fence.unwrap());
    worker
        .fail_task(&Failure { task_id, fence, error: "no".to_owned(), retry: Some(false), usage: None })
        .unwrap();
    assert_eq!(fs::read(works.file("tasks/failed/note.txt")).unwrap(), b"milk\n");
}

#[test]
fn nobody_takes_a_task_through_a_gate_without_the_right_to_pass_it() {
    let works = Works::new();
    let gate = Gate::new("/w/tasks/done/**", BTreeSet::new(), "").unwrap();
    works.owner().put_gate(&gate).unwrap();
    let (creator, worker) = (works.worker("agent:creator"), works.worker("agent:worker"));
    let reviewer = works.user("human:reviewer", &[("/w/**", &ALL)]);
    creator.create_task(&NewTask { review: true, ..new("x.json") }).unwrap();
    let task = worker.claim_task(&ClaimRequest::default()).unwrap().unwrap();
    let done = Completion { task_id: task.id.clone(), fence: task.fence.unwrap(), ..Completion::default() };
    assert_eq!(worker.complete_task(&done).unwrap().state, TaskState::Review);
    // Its creator may accept it elsewhere; here that would be a way around the gate.
    assert_eq!(creator.accept_task(&task.id, None).unwrap_err().code(), "forbidden");
    assert!(works.exists("tasks/review/x.json"));
    assert_eq!(reviewer.accept_task(&task.id, None).unwrap().state, TaskState::Done);
    let versions = works.owner().versions("/w/tasks/done/x.json").unwrap();
    assert_eq!(versions[0].approved_by.as_deref(), Some("human:reviewer"));
}

#[test]
fn what_was_done_is_reviewed_by_somebody_else() {
    let works = Works::new();
    let reviewer = works.user("human:eve", &[("/w/**", &ALL)]);
    let worker = works.user("agent:worker", &[("/w/**", &ALL)]);
    let other = works.worker("agent:other");
    let made = works.owner().create_task(&NewTask { review: true, ..new("x.json") }).unwrap();
    assert_eq!(reviewer.accept_task(&made.id, None).unwrap_err().code(), "wrong_state");
    let done = complete(&worker, &take(&worker, "x.json")).unwrap();
    assert_eq!(done.state, TaskState::Review);
    assert_eq!(worker.accept_task(&made.id, None).unwrap_err().code(), "own_work");
    assert_eq!(other.accept_task(&made.id, None).unwrap_err().code(), "forbidden");
    let back = reviewer.reject_task(&made.id, None, "too short").unwrap();
    assert_eq!((back.state, back.last_error.as_deref()), (TaskState::Pending, Some("too short")));
    let file = works.json("tasks/pending/x.json");
    assert_eq!(
        (&file["review_notes"][0]["text"], &file["review_notes"][0]["by"]),
        (&json!("too short"), &json!("human:eve"))
    );
    complete(&worker, &take(&worker, "x.json")).unwrap();
    let accepted = reviewer.accept_task(&made.id, None).unwrap();
    assert_eq!(accepted.path, "/w/tasks/done/x.json");
    // What was accepted stays so, until somebody puts its file back.
    let refused = reviewer.reject_task(&made.id, None, "wrong").unwrap_err();
    assert!(refused.code() == "wrong_state" && refused.to_string().contains("new task"), "{refused}");
    assert!(works.exists("tasks/done/x.json"));
    // What nobody had to accept can be sent back, as often as there are attempts.
    let free = works.owner().create_task(&NewTask { max_attempts: Some(2), ..new("y.json") }).unwrap();
    for state in [TaskState::Pending, TaskState::Failed] {
        assert_eq!(complete(&worker, &take(&worker, "y.json")).unwrap().state, TaskState::Done);
        assert_eq!(reviewer.reject_task(&free.id, None, "wrong").unwrap().state, state);
    }
    assert_eq!(works.events("task.rejected").len(), 2);
}

#[test]
fn tasks_come_in_their_order_to_whom_they_are_for() {
    let works = Works::new();
    let owner = works.owner();
    let (anna, bert) = (works.worker("agent:anna"), works.worker("agent:bert"));
    owner.create_task(&new("plain.json")).unwrap();
    works.pass(1);
    owner.create_task(&new("later.json")).unwrap();
    owner
        .create_task(&NewTask { due_at: Some("2027-01-02T00:00:00Z".to_owned()), ..new("due2.json") })
        .unwrap();
    owner
        .create_task(&NewTask { due_at: Some("2027-01-01T00:00:00Z".to_owned()), ..new("due1.json") })
        .unwrap();
    owner.create_task(&NewTask { priority: 5, to: Some("bert".to_owned()), ..new("bert.json") }).unwrap();
    owner
        .create_task(&NewTask { priority: 9, capability: Some("french".to_owned()), ..new("french.json") })
        .unwrap();
    owner
        .create_task(&NewTask { priority: 8, depends_on: vec!["due1.json".to_owned()], ..new("after.json") })
        .unwrap();
    let due = take(&anna, "due1.json");
    take(&anna, "due2.json");
    take(&bert, "bert.json");
    take(&anna, "plain.json");
    complete(&anna, &due).unwrap();
    take(&bert, "after.json");
    take(&bert, "later.json");
    assert!(claim(&anna).is_none() && claim(&bert).is_none());
    let french = ClaimRequest { capabilities: vec!["french".to_owned()], ..ClaimRequest::default() };
    assert_eq!(anna.claim_task(&french).unwrap().unwrap().path, "/w/tasks/in-progress/french.json");
}

#[test]
fn a_trouble_leads_where_the_task_says() {
    let works = Works::new();
    let (anna, bert) = (works.worker("agent:anna"), works.worker("agent:bert"));
    let eve = works.user("human:eve", &[("/w/**", &ALL)]);
    let steps = ["retry", "agent:bert", "human"].map(str::to_owned).to_vec();
    let made = works
        .owner()
        .create_task(&NewTask { max_attempts: Some(5), on_trouble: steps, ..new("x.json") })
        .unwrap();
    fail(&anna, &take(&anna, "x.json"), "one");
    works.pass(MINUTE);
    let reassigned = fail(&anna, &take(&anna, "x.json"), "two");
    assert_eq!(reassigned.to.as_deref(), Some("agent:bert"));
    assert_eq!(works.json("tasks/pending/x.json")["to"], "agent:bert");
    assert!(claim(&anna).is_none());
    let waiting = fail(&bert, &take(&bert, "x.json"), "three");
    assert_eq!((waiting.state, waiting.path.as_str()), (TaskState::Waiting, "/w/tasks/pending/x.json"));
    assert!(claim(&bert).is_none());
    let approval = waiting.approval_id.unwrap();
    assert_eq!(bert.withdraw_approval(&approval).unwrap_err().code(), "forbidden");
    assert_eq!(bert.decide_approval(&approval, true, None).unwrap_err().code(), "own_request");
    let shown = eve.approval(&approval).unwrap();
    assert_eq!((&shown.act["act"], &shown.act["reason"]), (&json!("task"), &json!("three")));
    eve.decide_approval(&approval, true, Some("go on")).unwrap();
    assert_eq!(eve.decide_approval(&approval, true, None).unwrap_err().code(), "approval_closed");
    let waiting = fail(&bert, &take(&bert, "x.json"), "four");
    eve.decide_approval(&waiting.approval_id.unwrap(), false, Some("enough")).unwrap();
    let over = works.owner().task(&made.id).unwrap();
    assert_eq!((over.state, over.path.as_str()), (TaskState::Failed, "/w/tasks/failed/x.json"));
    let denied = works.owner().approvals(Some(ApprovalState::Denied)).unwrap();
    assert_eq!(denied.len(), 1);
    // Where nobody decides, it is given up.
    works.owner().create_task(&NewTask { on_trouble: vec!["human".to_owned()], ..new("y.json") }).unwrap();
    let waiting = fail(&anna, &take(&anna, "y.json"), "no");
    works.pass(8 * 24 * 60 * MINUTE);
    works.engine.expire_tasks().unwrap();
    assert_eq!(works.owner().task(&waiting.id).unwrap().state, TaskState::Failed);
}

#[test]
fn of_many_workers_each_task_goes_to_one() {
    const WORKERS: usize = 32;
    const TASKS: usize = 1000;
    let works = Works::new();
    for n in 0..TASKS {
        works.drop_file(&format!("tasks/pending/{n:04}.json"), &format!("{{\"payload\": {n}}}"));
    }
    works.scan();
    let begun = Instant::now();
    let done = Mutex::new(Vec::new());
    let workers: Vec<Session> = (0..WORKERS).map(|n| works.worker(&format!("agent:w{n}"))).collect();
    std::thread::scope(|threads| {
        for worker in &workers {
            let done = &done;
            threads.spawn(move || {
                while let Some(task) = claim(worker) {
                    complete(worker, &task).unwrap();
                    done.lock().unwrap().push(task.payload.unwrap().as_u64().unwrap());
                }
            });
        }
    });
    println!("{TASKS} tasks by {WORKERS} workers in {:.2} s", begun.elapsed().as_secs_f64());
    let mut done = done.into_inner().unwrap();
    done.sort_unstable();
    assert_eq!(done, (0..TASKS as u64).collect::<Vec<_>>());
    let left = works.owner().tasks(&TasksFilter::default()).unwrap();
    assert!(
        left.len() == TASKS && left.iter().all(|task| task.state == TaskState::Done && task.attempts == 1)
    );
    assert_eq!(works.events("task.claimed").len(), TASKS);
}

#[test]
fn an_agent_that_runs_many_times_does_each_task_of_its_inbox_once() {
    const TASKS: usize = 60;
    let works = Works::new();
    for n in 0..TASKS {
        works.drop_file(&format!("inbox/bob/{n}.txt"), "x");
    }
    works.scan();
    let bob = works.worker("agent:bob");
    let claimed = Mutex::new(Vec::new());
    std::thread::scope(|threads| {
        for _ in 0..8 {
            threads.spawn(|| {
                while let Some(task) = claim(&bob) {
                    claimed.lock().unwrap().push(task.id.clone());
                    complete(&bob, &task).unwrap();
                }
            });
        }
    });
    let claimed = claimed.into_inner().unwrap();
    let different: BTreeSet<&String> = claimed.iter().collect();
    assert_eq!((claimed.len(), different.len()), (TASKS, TASKS));
}

#[test]
fn a_task_that_may_not_be_read_is_not_there() {
    let works = Works::new();
    let other = works.user("agent:other", &[("/w/docs/**", &ALL)]);
    let reader = works.user(
        "agent:reader",
        &[("/w/tasks/pending/open.json", &[Verb::Read]), ("/w/tasks/in-progress/**", &[Verb::Write])],
    );
    let made = works.owner().create_task(&new("hidden.json")).unwrap();
    works.owner().create_task(&new("open.json")).unwrap();
    let absent = other.task("tk_0000000000000000").unwrap_err();
    for session in [&other, &reader] {
        let hidden = session.task(&made.id).unwrap_err();
        assert_eq!(hidden.code(), absent.code());
        assert_eq!(hidden.to_string().replace(&made.id, "tk_0000000000000000"), absent.to_string());
        assert_eq!(session.cancel_task(&made.id, "x").unwrap_err().code(), "not_found");
    }
    assert!(claim(&other).is_none() && other.tasks(&TasksFilter::default()).unwrap().is_empty());
    let seen = reader.tasks(&TasksFilter::default()).unwrap();
    assert_eq!(seen.len(), 1);
    // Reading a task is not enough to have it, nor is being allowed to write where it goes.
    assert!(
        works
            .user("agent:looker", &[("/w/tasks/**", &[Verb::Read])])
            .claim_task(&ClaimRequest::default())
            .unwrap()
            .is_none()
    );
    assert!(claim(&reader).is_some() && claim(&reader).is_none());
    // Nobody learns of a hidden task by waiting for it.
    let spy =
        works.user("agent:spy", &[("/w/tasks/pending/spy*", &ALL), ("/w/tasks/in-progress/spy*", &ALL)]);
    let refused = |id: &str| {
        let error =
            spy.create_task(&NewTask { depends_on: vec![id.to_owned()], ..new("spy.json") }).unwrap_err();
        (error.code(), error.to_string().replace(id, "ID"))
    };
    assert_eq!(refused(&made.id), refused("tk_0000000000000000"));
    assert_eq!(refused(&made.id).0, "invalid_request");
    let waiting = format!("{{\"depends_on\": [\"{}\"]}}", made.id);
    spy.write_file("/w/tasks/pending/spy.json", waiting.as_bytes(), &WriteOptions::default()).unwrap();
    let task = works
        .owner()
        .claim_task(&ClaimRequest { task_id: Some(made.id), ..ClaimRequest::default() })
        .unwrap()
        .unwrap();
    complete(&works.owner(), &task).unwrap();
    assert!(claim(&spy).is_none());
}

#[test]
fn an_inbox_shows_what_jams_it() {
    let works = Works::new();
    let bob = works.user("agent:bob", &[("/w/inbox/bob/**", &ALL)]);
    let eve = works.user("agent:eve", &[("/w/**", &ALL)]);
    works.drop_file("inbox/bob/mail.txt", "a letter\n");
    works.scan();
    assert!(claim(&eve).is_none(), "it is for bob");
    let task = take(&bob, "mail.txt");
    assert_eq!((task.path.as_str(), task.content.as_deref()), ("/w/inbox/bob/mail.txt", Some("a letter\n")));
    works.pass(30_000);
    let inbox = bob.inbox("bob", None).unwrap();
    assert_eq!(inbox.len(), 1);
    let entry = &inbox[0];
    assert_eq!((entry.age_seconds, entry.size, entry.state), (30, 9, TaskState::InProgress));
    assert_eq!((entry.holder.as_deref(), entry.attempts), (Some("agent:bob"), 1));
    let back = fail(&bob, &task, "can't read");
    assert_eq!((back.path.as_str(), back.state), ("/w/inbox/bob/mail.txt", TaskState::Pending));
    assert_eq!(bob.inbox("agent:bob", None).unwrap()[0].last_error.as_deref(), Some("can't read"));
    works.pass(MINUTE);
    let done = complete(&bob, &take(&bob, "mail.txt")).unwrap();
    assert_eq!(done.path, "/w/inbox/bob/done/mail.txt");
    assert!(bob.inbox("bob", None).unwrap().is_empty());
    // Made for it, and a second one of the same name.
    let made =
        eve.create_task(&NewTask { to: Some("bob".to_owned()), inbox: true, ..new("mail.txt") }).unwrap();
    assert_eq!(made.path, "/w/inbox/bob/mail.txt");
    let done = complete(&bob, &take(&bob, "mail.txt")).unwrap();
    assert_eq!(done.path, format!("/w/inbox/bob/done/mail.{}.txt", made.id));
    assert_eq!(eve.create_task(&NewTask { inbox: true, ..new("x") }).unwrap_err().code(), "invalid_request");
}

#[test]
fn everything_goes_on_after_the_process_ended() {
    let works = Works::new();
    let worker = works.worker("agent:worker");
    works.owner().create_task(&new("held.json")).unwrap();
    let held = take(&worker, "held.json");
    works.owner().create_task(&NewTask { retry_delay_ms: Some(5000), ..new("failed.json") }).unwrap();
    fail(&worker, &take(&worker, "failed.json"), "no");
    works.owner().write_file("/w/tasks/pending/unseen.json", b"{}", &WriteOptions::default()).unwrap();
    drop(worker);
    works.pass(1);
    let works = works.reopen();
    works.drop_file("tasks/pending/dropped.json", "{}");
    works.scan();
    let worker = works.user("agent:worker", &[]);
    let names: BTreeSet<String> =
        [take(&worker, "unseen.json"), take(&worker, "dropped.json")].map(|task| task.id).into();
    assert_eq!(names.len(), 2);
    assert!(claim(&worker).is_none(), "one is held, one waits");
    complete(&worker, &held).unwrap();
    works.pass(5001);
    take(&worker, "failed.json");
}

#[test]
fn what_is_done_by_hand_counts() {
    let works = Works::new();
    let worker = works.worker("agent:worker");
    works.drop_file("tasks/pending/x.json", "{}");
    works.scan();
    let id = works.owner().tasks(&TasksFilter::default()).unwrap()[0].id.clone();
    let to = |from: &str, to: &str| {
        fs::create_dir_all(works.file(to).parent().unwrap()).unwrap();
        fs::rename(works.file(from), works.file(to)).unwrap();
        works.scan();
        works.owner().task(&id).unwrap()
    };
    let taken = to("tasks/pending/x.json", "tasks/in-progress/x.json");
    assert_eq!(
        (taken.state, taken.holder.as_deref(), taken.attempts),
        (TaskState::InProgress, Some("external"), 1)
    );
    assert!(claim(&worker).is_none());
    works.pass(MINUTE + 1);
    take(&worker, "x.json");
    let done = to("tasks/in-progress/x.json", "tasks/done/x.json");
    assert_eq!((done.state, done.holder), (TaskState::Done, None));
    assert!(works.owner().locks().unwrap().is_empty());
    // Waypost's own move counts the same, and a file that goes takes its task along.
    works
        .owner()
        .move_path("/w/tasks/done/x.json", "/w/tasks/pending/y.json", &WriteOptions::default())
        .unwrap();
    assert_eq!(works.owner().task(&id).unwrap().path, "/w/tasks/pending/y.json");
    works
        .owner()
        .write_file("/w/tasks/pending/y.json", br#"{"title": "New"}"#, &WriteOptions::default())
        .unwrap();
    assert_eq!(works.owner().task(&id).unwrap().title, "New");
    fs::remove_file(works.file("tasks/pending/y.json")).unwrap();
    works.scan();
    assert_eq!(works.owner().task(&id).unwrap_err().code(), "not_found");
}

#[test]
fn a_task_is_cancelled_by_its_creator_whoever_has_it() {
    let works = Works::new();
    let (boss, worker) = (works.worker("human:boss"), works.worker("agent:worker"));
    let made = boss.create_task(&new("x.json")).unwrap();
    let task = take(&worker, "x.json");
    assert_eq!(worker.cancel_task(&made.id, "no").unwrap_err().code(), "forbidden");
    let cancelled = boss.cancel_task(&made.id, "not needed").unwrap();
    assert_eq!((cancelled.state, cancelled.last_error.as_deref()), (TaskState::Failed, Some("not needed")));
    assert_eq!(complete(&worker, &task).unwrap_err().code(), "lock_expired");
    assert_eq!(boss.cancel_task(&made.id, "again").unwrap_err().code(), "wrong_state");
    assert!(works.owner().locks().unwrap().is_empty());
}

#[test]
fn a_supervisor_brings_back_what_nobody_keeps() {
    let works = Works::new();
    let supervisor = Supervisor::start(&works.engine);
    works.owner().create_task(&new("x.json")).unwrap();
    let worker = works.worker("agent:worker");
    let task = take(&worker, "x.json");
    let after = works.owner().events_from_now().unwrap().next;
    works.pass(MINUTE + 1);
    let filter = EventFilter::new(&[], &["task.expired".to_owned()]).unwrap();
    let page = works.owner().wait_for_events(Some(&after), &filter, 1, Duration::from_secs(20)).unwrap();
    assert_eq!(page.items[0].data.as_ref().unwrap()["task_id"], task.id);
    drop(supervisor);
}
