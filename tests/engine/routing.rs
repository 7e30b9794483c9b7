//! Intents and the agents and tools that they go to: decided, explained, learned from, handed on; and what may not be
//! seen changes nothing of it.

use std::sync::Arc;

use proptest::prelude::*;
use serde_json::{Value, json};
use tempfile::TempDir;
use waypost_engine::access::{ApprovalState, Effect, Grant, NewToken, Target, Verb};
use waypost_engine::api::{
    Budget, BudgetLimits, CallOptions, ClaimRequest, Completion, DispatchRequest, Engine, EngineOptions,
    ErrorKind, EventFilter, ExplainRequest, Feedback, Period, RouteOutcome, RouteReply, RouteRequest,
    Session, ToolDeclaration, ToolInfo, ToolServer, ToolSpec, ToolState,
};
use waypost_engine::clock::Clock;
use waypost_engine::route::{EntryKind, Fault};

use crate::house::WordTable;

/// A home with agents, and a model that knows words.
pub struct Mesh {
    folder: TempDir,
    pub engine: Arc<Engine>,
}

impl Mesh {
    pub fn new(agents: &[(&str, Value)]) -> Self {
        let folder = TempDir::new().unwrap();
        let mesh = Self { engine: open(&folder), folder };
        for (id, card) in agents {
            mesh.put(id, card.clone());
        }
        mesh
    }

    pub fn put(&self, id: &str, card: Value) {
        self.owner().put_agent(id, &card).unwrap();
    }

    pub fn owner(&self) -> Session {
        self.engine.owner_session()
    }

    /// A principal that may hand something to some agents.
    pub fn user(&self, id: &str, agents: &[&str]) -> Session {
        let owner = self.owner();
        owner.put_principal(id, None, &[]).unwrap();
        for agent in agents {
            let verbs = [Verb::Dispatch].into();
            let grant =
                Grant::new(id, Target::Agent, &[(*agent).to_owned()], verbs, Effect::Allow, "").unwrap();
            owner.put_grant(&grant).unwrap();
        }
        let token = owner.issue_token(&NewToken { principal: id.to_owned(), ..NewToken::default() }).unwrap();
        self.engine.session(&token.token).unwrap()
    }

    /// Gives an agent what it takes to work on its inbox.
    pub fn worker(&self, agent: &str) -> Session {
        let id = format!("agent:{agent}");
        let session = self.user(&id, &[]);
        let verbs = [Verb::List, Verb::Read, Verb::Write].into();
        let inbox = [format!("/inbox/{agent}/**")];
        let grant = Grant::new(&id, Target::Path, &inbox, verbs, Effect::Allow, "").unwrap();
        self.owner().put_grant(&grant).unwrap();
        session
    }

    fn reopen(self) -> Self {
        let Self { folder, engine } = self;
        drop(engine);
        Self { engine: open(&folder), folder }
    }
}

fn open(folder: &TempDir) -> Arc<Engine> {
    let options = EngineOptions::new(folder.path())
        .embedder(Some(Arc::new(WordTable::new())))
        .clock(Clock::Fixed(1_790_000_000_000));
    Arc::new(Engine::open(options).unwrap())
}

/// An agent with examples that share a subject.
pub fn about(subject: &str, verbs: &[&str]) -> Value {
    let examples: Vec<String> = verbs.iter().map(|verb| format!("{verb} the {subject}")).collect();
    json!({"name": subject, "description": format!("everything about {subject}"), "examples": examples})
}

pub const VERBS: [&str; 6] = ["check", "read", "explain", "compare", "summarise", "translate"];

pub fn three() -> Mesh {
    Mesh::new(&[
        ("contracts", about("contract clauses", &VERBS)),
        ("payments", about("invoice payments", &VERBS)),
        ("weather", about("weather forecast", &VERBS)),
    ])
}

pub fn ask(session: &Session, intent: &str) -> RouteReply {
    session.route(&RouteRequest { intent: intent.to_owned(), ..RouteRequest::default() }).unwrap()
}

/// Without what differs from call to call.
pub fn timeless(reply: RouteReply) -> Value {
    let mut value = serde_json::to_value(reply).unwrap();
    value["decision_id"] = Value::Null;
    value["took_ms"] = Value::Null;
    value
}

#[test]
fn an_intent_goes_to_the_agent_that_it_is_for() {
    let mesh = three();
    for (intent, agent) in [
        ("please compare these contract clauses", "agent:contracts"),
        ("explain the invoice payments of May", "agent:payments"),
        ("what is the weather forecast", "agent:weather"),
    ] {
        let reply = ask(&mesh.owner(), intent);
        assert_eq!(reply.outcome, RouteOutcome::Routed, "{intent}: {reply:?}");
        assert_eq!(reply.decision.as_ref().unwrap().id, agent, "{intent}");
        assert_eq!(reply.candidates.len(), 3);
        assert!(reply.candidates[0].confidence > reply.candidates[1].confidence);
        assert!(!reply.candidates[0].why.is_empty());
    }
}

#[test]
fn an_intent_for_nobody_goes_nowhere() {
    let mesh = three();
    let reply = ask(&mesh.owner(), "feed my hungry cat tonight");
    assert_eq!((reply.outcome, reply.decision), (RouteOutcome::None, None));
    let empty = Mesh::new(&[]);
    let reply = ask(&empty.owner(), "feed my hungry cat tonight");
    assert_eq!((reply.outcome, reply.candidates.len()), (RouteOutcome::None, 0));
}

#[test]
fn descriptions_alone_are_enough_to_begin_with() {
    let card = |text: &str| json!({"name": "agent", "description": text});
    let mesh =
        Mesh::new(&[("a", card("reviews contracts and licences")), ("b", card("books hotels and flights"))]);
    let reply = ask(&mesh.owner(), "reviews contracts");
    assert_eq!(reply.candidates[0].id, "agent:a", "{reply:?}");
    assert!(reply.candidates[0].confidence > 2.0 * reply.candidates[1].confidence, "{reply:?}");
}

#[test]
fn what_two_could_do_is_asked_about() {
    let mesh = Mesh::new(&[
        ("contracts", about("contract clauses", &VERBS)),
        ("payments", about("invoice payments", &VERBS)),
    ]);
    let reply = ask(&mesh.owner(), "compare contract clauses invoice payments");
    assert_eq!(reply.outcome, RouteOutcome::Ambiguous, "{reply:?}");
    let question = reply.question.unwrap();
    assert!(question.contains("contract clauses") && question.contains("invoice payments"), "{question}");
    let refused = mesh.owner().dispatch(&DispatchRequest {
        intent: "compare contract clauses invoice payments".to_owned(),
        ..DispatchRequest::default()
    });
    assert_eq!(refused.unwrap_err().code(), "ambiguous_route");
}

#[test]
fn parts_of_an_intent_go_to_different_agents() {
    let mesh = three();
    let intent = "check the contract clauses, then explain the weather forecast";
    let reply = ask(&mesh.owner(), intent);
    // Nobody takes all of it.
    assert_eq!((reply.outcome, &reply.decision), (RouteOutcome::Ambiguous, &None), "{reply:?}");
    assert_eq!(reply.together, ["agent:contracts", "agent:weather"]);
    let refused =
        mesh.owner().dispatch(&DispatchRequest { intent: intent.to_owned(), ..DispatchRequest::default() });
    let refused = refused.unwrap_err();
    assert_eq!(refused.code(), "ambiguous_route");
    assert!(
        refused.to_string().contains("\"check the contract clauses\" is for agent:contracts"),
        "{refused}"
    );
    let parts: Vec<(&str, &str)> =
        reply.parts.iter().map(|part| (part.part.as_str(), part.id.as_str())).collect();
    assert_eq!(
        parts,
        [
            ("check the contract clauses", "agent:contracts"),
            ("then explain the weather forecast", "agent:weather")
        ]
    );
}

#[test]
fn a_counterexample_keeps_an_intent_away() {
    let mut card = about("contract clauses", &VERBS);
    let mesh = three();
    let intent = "sign the contract clauses";
    let before = ask(&mesh.owner(), intent);
    assert_eq!(before.candidates[0].id, "agent:contracts");
    card["counterexamples"] = json!([intent]);
    mesh.put("contracts", card);
    let after = ask(&mesh.owner(), intent);
    let share = |reply: &RouteReply| {
        reply.candidates.iter().find(|candidate| candidate.id == "agent:contracts").unwrap().confidence
    };
    assert!(share(&after) < share(&before) / 2.0, "{} and {}", share(&after), share(&before));
    // What is like its own examples still comes.
    assert_eq!(ask(&mesh.owner(), "read the contract clauses").outcome, RouteOutcome::Routed);
}

#[test]
fn of_two_that_say_the_same_the_one_that_is_free_is_asked() {
    let mut card = about("contract clauses", &VERBS);
    card["limits"] = json!({"max_open_tasks": 1});
    let mesh = Mesh::new(&[
        ("first", card.clone()),
        ("second", card),
        ("weather", about("weather forecast", &VERBS)),
    ]);
    let owner = mesh.owner();
    let free = ask(&owner, "read the contract clauses");
    let [first, second] = [&free.candidates[0], &free.candidates[1]];
    assert_eq!(first.confidence, second.confidence, "either will do: {free:?}");
    assert!(first.margin > 0.0 && first.margin == second.margin, "{free:?}");
    let dispatch = || {
        let request =
            DispatchRequest { intent: "read the contract clauses".to_owned(), ..DispatchRequest::default() };
        owner.dispatch(&request)
    };
    assert_eq!(dispatch().unwrap().agent, "agent:first");
    let reply = ask(&owner, "read the contract clauses");
    assert_eq!(reply.decision.as_ref().unwrap().id, "agent:second", "{reply:?}");
    assert_eq!(reply.decision.as_ref().unwrap().confidence, first.confidence, "{reply:?}");
    let busy = reply.candidates.iter().find(|candidate| candidate.id == "agent:first").unwrap();
    assert!(busy.why.contains("not available"), "{}", busy.why);
    assert_eq!(dispatch().unwrap().agent, "agent:second");
    // Nobody is left who takes it now, and it is said who could.
    let reply = ask(&owner, "read the contract clauses");
    assert_eq!((reply.outcome, reply.decision), (RouteOutcome::None, None));
    assert_eq!(reply.unavailable, ["agent:first", "agent:second"]);
    let refused = dispatch().unwrap_err();
    assert_eq!((refused.code(), refused.kind()), ("route_unavailable", ErrorKind::Unavailable));
    assert!(refused.to_string().contains("1 tasks lie before it"), "{refused}");
}

#[test]
fn a_decision_is_taken_again_and_comes_out_the_same() {
    let mesh = three();
    let owner = mesh.owner();
    let reply = ask(&owner, "compare these contract clauses");
    mesh.put("contracts", about("garden flowers", &VERBS));
    mesh.put("zoo", about("wild animals", &VERBS));
    assert_ne!(ask(&owner, "compare these contract clauses").outcome, RouteOutcome::Routed);
    drop(owner);
    let mesh = mesh.reopen();
    let request =
        ExplainRequest { decision_id: Some(reply.decision_id.clone()), ..ExplainRequest::default() };
    let explained = mesh.owner().explain_route(&request).unwrap();
    assert_eq!(explained.same, Some(true));
    assert_eq!(explained.reply.decision.unwrap().id, "agent:contracts");
    assert!(explained.reply.candidates[0].figures.is_some());
    // It is nobody else's to look at.
    let other = mesh.user("human:other", &["agent:*"]);
    assert_eq!(other.explain_route(&request).unwrap_err().kind(), ErrorKind::NotFound);
}

#[test]
fn it_is_said_why_this_one_and_why_not_that_one() {
    let mesh = three();
    let reader = mesh.user("human:reader", &["agent:contracts", "agent:weather"]);
    let request = ExplainRequest {
        intent: Some("compare these contract clauses".to_owned()),
        why_not: ["contracts", "agent:weather", "payments", "nobody"].map(str::to_owned).into(),
        ..ExplainRequest::default()
    };
    let verdicts = |session: &Session, request: &ExplainRequest| -> Vec<&'static str> {
        session.explain_route(request).unwrap().entries.iter().map(|entry| entry.verdict).collect()
    };
    assert_eq!(verdicts(&mesh.owner(), &request), ["decided", "behind", "behind", "unknown"]);
    // To who may not ask it, it is as nobody.
    assert_eq!(verdicts(&reader, &request), ["decided", "behind", "unknown", "unknown"]);
    let as_reader = ExplainRequest { principal: Some("human:reader".to_owned()), ..request };
    assert_eq!(verdicts(&mesh.owner(), &as_reader), ["decided", "behind", "denied", "unknown"]);
    assert_eq!(
        reader
            .explain_route(&ExplainRequest { principal: Some("human:admin".to_owned()), ..as_reader })
            .unwrap_err()
            .code(),
        "forbidden"
    );
}

#[test]
fn what_was_right_is_learned_and_can_be_taken_back() {
    let mesh = three();
    let owner = mesh.owner();
    let intent = "look into the liability paragraphs";
    let before = ask(&owner, intent);
    assert_ne!(before.outcome, RouteOutcome::Routed, "{before:?}");
    let learned = owner
        .route_feedback(&Feedback {
            decision_id: Some(before.decision_id),
            right: Some("contracts".to_owned()),
            ..Feedback::default()
        })
        .unwrap();
    assert_eq!((learned.len(), learned[0].entry.as_str()), (1, "agent:contracts"));
    let after = ask(&owner, intent);
    assert_eq!(after.candidates[0].id, "agent:contracts");
    assert!(after.candidates[0].confidence > 0.5, "{after:?}");
    assert_eq!(owner.lessons().unwrap(), learned);
    // Somebody else can't take it back, and does not see it.
    let other = mesh.user("human:other", &["agent:*"]);
    assert_eq!(other.lessons().unwrap(), []);
    assert_eq!(other.forget_lesson(&learned[0].id).unwrap_err().kind(), ErrorKind::NotFound);
    owner.forget_lesson(&learned[0].id).unwrap();
    assert_ne!(ask(&owner, intent).outcome, RouteOutcome::Routed);
}

#[test]
fn an_intent_is_handed_to_the_agent_and_its_end_is_learned_from() {
    let mesh = three();
    let asker = mesh.user("agent:asker", &["agent:*"]);
    let worker = mesh.worker("contracts");
    let request = DispatchRequest {
        intent: "compare these contract clauses".to_owned(),
        payload: Some(json!({"path": "/docs/nda.md"})),
        ..DispatchRequest::default()
    };
    let handed = asker.dispatch(&request).unwrap();
    assert_eq!((handed.agent.as_str(), handed.hop), ("agent:contracts", 1));
    assert!(handed.path.starts_with("/inbox/contracts/"), "{}", handed.path);
    let filter = EventFilter::new(&[], &["agent.dispatched".to_owned()]).unwrap();
    let events = mesh.owner().events(None, &filter, 10).unwrap().items;
    assert_eq!(events[0].data.as_ref().unwrap()["agent"], "agent:contracts");
    assert_eq!(events[0].path, handed.path);
    let task = worker.claim_task(&ClaimRequest::default()).unwrap().unwrap();
    assert_eq!(task.id, handed.task_id);
    assert_eq!(task.payload.as_ref().unwrap()["payload"]["path"], "/docs/nda.md");
    let done = Completion { task_id: task.id, fence: task.fence.unwrap(), ..Completion::default() };
    worker.complete_task(&done).unwrap();
    mesh.engine.learn_outcomes().unwrap();
    let lessons = mesh.owner().lessons().unwrap();
    assert_eq!((lessons.len(), lessons[0].from.as_str(), lessons[0].is_right), (1, "completed", true));
    let agent = mesh.owner().agent("contracts").unwrap();
    assert!(agent.standing.unwrap().success > 0.6);
    // It is learned once.
    mesh.engine.learn_outcomes().unwrap();
    assert_eq!(mesh.owner().lessons().unwrap().len(), 1);
}

#[test]
fn who_may_not_hand_an_agent_anything_does_not_learn_of_it() {
    let mesh = three();
    let asker = mesh.user("agent:asker", &["agent:weather"]);
    let to = |agent: &str| {
        let (intent, to) = ("compare contract clauses".to_owned(), Some(agent.to_owned()));
        asker.dispatch(&DispatchRequest { intent, to, ..DispatchRequest::default() }).unwrap_err()
    };
    assert_eq!(to("contracts").to_string().replace("contracts", "nobody"), to("nobody").to_string());
    assert_eq!(asker.agent("contracts").unwrap_err().kind(), ErrorKind::NotFound);
    let seen: Vec<String> = asker.agents().unwrap().into_iter().map(|agent| agent.id).collect();
    assert_eq!(seen, ["agent:weather"]);
    // Only who manages an agent changes its card.
    assert_eq!(asker.put_agent("weather", &json!({"name": "x"})).unwrap_err().code(), "forbidden");
    assert_eq!(asker.put_agent("new", &json!({"name": "x"})).unwrap_err().code(), "not_found");
}

#[test]
fn a_card_points_at_no_folder_that_its_writer_may_not_write() {
    let mesh = three();
    let agent = mesh.user("agent:weather", &[]);
    let manage = Grant::new(
        "agent:weather",
        Target::Agent,
        &["agent:weather".to_owned()],
        [Verb::Admin].into(),
        Effect::Allow,
        "",
    );
    mesh.owner().put_grant(&manage.unwrap()).unwrap();
    assert!(agent.put_agent("weather", &about("weather forecast", &VERBS)).is_ok());
    let mut card = about("weather forecast", &VERBS);
    card["inbox"] = json!("finance");
    let refused = agent.put_agent("weather", &card).unwrap_err();
    assert_eq!(refused.to_string(), "agent:weather has no `write` on `/finance/inbox/weather/task.json`");
    assert!(mesh.owner().put_agent("weather", &card).is_ok());
}

#[test]
fn faults_of_a_registry_are_found() {
    let mesh = three();
    mesh.put("twin", about("weather forecast", &VERBS));
    mesh.put("mute", json!({"name": "mute"}));
    let stray: Vec<String> = VERBS.iter().map(|verb| format!("{verb} the invoice payments")).collect();
    mesh.put("thief", json!({"name": "thief", "description": "rockets and planets", "examples": stray}));
    let lint = mesh.owner().lint_routes().unwrap();
    let found = |fault: Fault, id: &str| {
        lint.findings
            .iter()
            .any(|finding| finding.fault == fault && finding.entries.iter().any(|entry| entry == id))
    };
    assert!(found(Fault::Duplicate, "agent:twin"), "{lint:?}");
    assert!(found(Fault::Undescribed, "agent:mute"), "{lint:?}");
    assert!(found(Fault::Collision, "agent:thief") || found(Fault::Dead, "agent:thief"), "{lint:?}");
    assert!(lint.accuracy.unwrap() > 0.4, "{lint:?}");
    assert!(!found(Fault::OverBroad, "agent:contracts"), "{lint:?}");
    let answered = mesh.owner().put_agent("twin", &about("weather forecast", &VERBS)).unwrap();
    assert!(answered.lint.unwrap().iter().any(|finding| finding.fault == Fault::Duplicate));
}

/// A tool that no server has.
fn declare(session: &Session, id: &str, subject: &str) -> ToolInfo {
    let mut said = about(subject, &VERBS);
    said["usd_per_call"] = json!(0.5);
    session.put_tool(id, serde_json::from_value(said).unwrap()).unwrap()
}

fn routed_tools(session: &Session, intent: &str) -> Vec<String> {
    let kinds = [EntryKind::Tool].into();
    let request = RouteRequest { intent: intent.to_owned(), kinds, ..RouteRequest::default() };
    session.route(&request).unwrap().candidates.into_iter().map(|candidate| candidate.id).collect()
}

#[test]
fn declared_tools_are_routed_to_by_those_who_may_call_them() {
    let mesh = Mesh::new(&[("contracts", about("contract clauses", &VERBS))]);
    let declared = declare(&mesh.owner(), "payments.charge", "invoice payments");
    assert!(declared.declared && declared.lint.is_some(), "{declared:?}");
    let caller = mesh.user("agent:caller", &["agent:*"]);
    let verbs = [Verb::Call].into();
    let tools = ["payments.*".to_owned()];
    let grant = Grant::new("agent:caller", Target::Tool, &tools, verbs, Effect::Allow, "").unwrap();
    mesh.owner().put_grant(&grant).unwrap();
    let reply = ask(&caller, "compare the invoice payments");
    assert_eq!(
        (reply.outcome, reply.decision.unwrap().id.as_str()),
        (RouteOutcome::Routed, "payments.charge")
    );
    // What may not be called changes nothing, however like it is.
    let before = timeless(ask(&caller, "explain the invoice payments"));
    let twin = declare(&mesh.owner(), "pay", "invoice payments");
    assert!(twin.lint.unwrap().iter().any(|finding| finding.fault == Fault::Duplicate));
    assert_eq!(timeless(ask(&caller, "explain the invoice payments")), before);
    assert_eq!(caller.tool("pay").unwrap_err().kind(), ErrorKind::NotFound);
    let called = caller.begin_call("payments.charge", json!({}), &CallOptions::default());
    assert_eq!(called.unwrap_err().code(), "tool_declared");
    drop(caller);
    let mesh = mesh.reopen();
    assert_eq!(routed_tools(&mesh.owner(), "check the invoice payments").len(), 2);
    mesh.owner().forget_tool("pay").unwrap();
    assert_eq!(routed_tools(&mesh.owner(), "check the invoice payments"), ["payments.charge"]);
}

#[test]
fn a_server_takes_over_a_tool_that_was_declared_under_its_name() {
    let mesh = Mesh::new(&[]);
    let owner = mesh.owner();
    for id in ["payments.charge", "payments.refund", "charge"] {
        declare(&owner, id, "invoice payments");
    }
    mesh.engine.set_tool_servers(vec![ToolServer::new("payments")]);
    let listed = ToolSpec {
        name: "charge".to_owned(),
        title: None,
        description: "Charges a card.".to_owned(),
        input_schema: json!({"type": "object"}),
        output_schema: None,
        annotations: None,
    };
    mesh.engine.take_tools("payments", &[listed]).unwrap();
    let taken = owner.tool("payments.charge").unwrap();
    assert_eq!(
        (taken.server.as_str(), taken.declared, taken.state),
        ("payments", false, ToolState::Approved)
    );
    assert_eq!((taken.spec.description.as_str(), taken.usd_per_call), ("Charges a card.", Some(0.5)));
    for id in ["payments.refund", "charge"] {
        assert!(owner.tool(id).unwrap().declared, "{id}");
    }
    let again = ToolDeclaration { description: Some("Mine.".to_owned()), ..ToolDeclaration::default() };
    assert_eq!(owner.put_tool("payments.charge", again).unwrap_err().code(), "invalid_request");
}

fn hand(session: &Session, intent: &str, to: &str, trace: &str) -> Result<u32, &'static str> {
    let request = DispatchRequest {
        intent: intent.to_owned(),
        to: Some(to.to_owned()),
        trace: Some(trace.to_owned()),
        ..DispatchRequest::default()
    };
    session.dispatch(&request).map(|reply| reply.hop).map_err(|error| error.code())
}

#[test]
fn two_agents_that_thank_each_other_stop_and_a_person_is_asked_once() {
    let mesh = three();
    let (one, other) = (mesh.user("agent:contracts", &["agent:*"]), mesh.user("agent:weather", &["agent:*"]));
    let thanks = ["Thank you!", "You're welcome, thank you too!"];
    let mut refused = Vec::new();
    for round in 0..8 {
        let (session, to) = if round % 2 == 0 { (&one, "weather") } else { (&other, "contracts") };
        refused.extend(hand(session, thanks[round % 2], to, "tr_polite").err());
    }
    assert!(refused.len() >= 3 && refused.iter().all(|code| *code == "loop_detected"), "{refused:?}");
    let loops = EventFilter::new(&[], &["loop.detected".to_owned()]).unwrap();
    assert_eq!(mesh.owner().events(None, &loops, 10).unwrap().items.len(), 1);
    let waiting = mesh.owner().approvals(Some(ApprovalState::Pending)).unwrap();
    assert_eq!(waiting.len(), 1, "{waiting:?}");
    // What was refused left nothing: no task, no reservation.
    let inboxes = ["contracts", "weather"].map(|agent| mesh.owner().inbox(agent, None).unwrap().len());
    assert_eq!(inboxes.iter().sum::<usize>(), 8 - refused.len());
    mesh.owner().decide_approval(&waiting[0].id, true, None).unwrap();
    assert!(hand(&one, "Thank you!", "weather", "tr_polite").is_ok());
}

#[test]
fn a_chain_of_agents_ends_somewhere() {
    let names: Vec<String> = (0..12).map(|number| format!("a{number}")).collect();
    let mesh = Mesh::new(&[]);
    for name in &names {
        mesh.put(name, json!({"name": name, "description": format!("the agent {name}")}));
    }
    let codes: Vec<_> = names
        .windows(2)
        .map(|pair| {
            let session = mesh.user(&format!("agent:{}", pair[0]), &["agent:*"]);
            hand(&session, &format!("pass it on, {} to {}", pair[0], pair[1]), &pair[1], "tr_far")
        })
        .collect();
    let ended = codes.iter().position(Result::is_err).unwrap();
    let counted: Vec<_> = (1..=ended as u32).map(Ok).collect();
    assert_eq!(codes[..ended], counted);
    assert_eq!((ended, codes[ended]), (8, Err("hop_limit")), "{codes:?}");
}

#[test]
fn what_an_agent_hands_on_while_it_works_belongs_to_the_same_trace() {
    let mesh = three();
    let boss = mesh.user("human:boss", &["agent:*"]);
    let worker = mesh.worker("contracts");
    let grant = Grant::new(
        "agent:contracts",
        Target::Agent,
        &["agent:*".to_owned()],
        [Verb::Dispatch].into(),
        Effect::Allow,
        "",
    );
    mesh.owner().put_grant(&grant.unwrap()).unwrap();
    let to = |session: &Session, agent: &str| {
        let (intent, to) = (format!("do something, {agent}"), Some(agent.to_owned()));
        session.dispatch(&DispatchRequest { intent, to, ..DispatchRequest::default() }).unwrap()
    };
    let first = to(&boss, "contracts");
    worker.claim_task(&ClaimRequest::default()).unwrap().unwrap();
    let second = to(&worker, "weather");
    assert_eq!((second.trace_id, second.hop), (first.trace_id, 2));
}

#[test]
fn a_crowd_hands_out_no_more_than_its_budget() {
    let mesh =
        Mesh::new(&[("dear", json!({"name": "dear", "description": "does it", "price": {"usd": "0.25"}}))]);
    let asker = mesh.user("agent:asker", &["agent:dear"]);
    let limits = BudgetLimits { usd_micros: Some(2_500_000), ..BudgetLimits::default() };
    let budget = Budget::new("agent:asker", None, Period::Day, limits, "").unwrap();
    mesh.owner().put_budget(&budget).unwrap();
    let codes: Vec<Option<&'static str>> = std::thread::scope(|scope| {
        let calls: Vec<_> = (0..64)
            .map(|number| {
                let asker = asker.clone();
                scope.spawn(move || {
                    let request = DispatchRequest {
                        intent: format!("errand {number}"),
                        to: Some("dear".to_owned()),
                        priority: 1,
                        ..DispatchRequest::default()
                    };
                    asker.dispatch(&request).err().map(|error| error.code())
                })
            })
            .collect();
        calls.into_iter().map(|call| call.join().unwrap()).collect()
    });
    assert_eq!(codes.iter().filter(|code| code.is_none()).count(), 10, "{codes:?}");
    assert!(codes.iter().flatten().all(|code| *code == "budget_exceeded"), "{codes:?}");
    assert_eq!(mesh.owner().inbox("dear", None).unwrap().len(), 10);
    // Who has no money left is not routed there either, and is told why.
    let reply = ask(&asker, "does it");
    assert_eq!(reply.decision, None);
    assert!(reply.candidates[0].why.contains("budget"), "{reply:?}");
}

/// Subjects that hidden and visible agents are drawn from.
const SUBJECTS: [&str; 6] = [
    "contract clauses",
    "invoice payments",
    "weather forecast",
    "garden flowers",
    "train tickets",
    "cat food",
];

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    /// A home with further agents that somebody may not see answers that somebody as a home without them.
    #[test]
    fn agents_that_may_not_be_seen_change_nothing(
        visible in proptest::collection::btree_set(0usize..6, 1..4),
        hidden in proptest::collection::vec((0usize..6, 0usize..7, any::<bool>()), 1..4),
        subject in 0usize..6,
    ) {
        let (with, without) = (Mesh::new(&[]), Mesh::new(&[]));
        let names: Vec<String> = visible.iter().map(|at| format!("seen{at}")).collect();
        for mesh in [&with, &without] {
            for (at, name) in visible.iter().zip(&names) {
                mesh.put(name, about(SUBJECTS[*at], &VERBS[..at + 1]));
            }
        }
        for (number, (at, n_verbs, has_counter)) in hidden.iter().enumerate() {
            let mut card = about(SUBJECTS[*at], &VERBS[..*n_verbs.min(&VERBS.len())]);
            if *has_counter {
                card["counterexamples"] = json!([format!("check the {}", SUBJECTS[subject])]);
            }
            with.put(&format!("hidden{number}"), card);
        }
        let grants: Vec<String> = names.iter().map(|name| format!("agent:{name}")).collect();
        let grants: Vec<&str> = grants.iter().map(String::as_str).collect();
        let users = [&with, &without].map(|mesh| mesh.user("human:reader", &grants));
        let intent = format!("check the {} please", SUBJECTS[subject]);
        let answers = users.each_ref().map(|user| timeless(ask(user, &intent)));
        prop_assert_eq!(&answers[0], &answers[1]);
        let explained = users.each_ref().map(|user| {
            let request = ExplainRequest {
                intent: Some(intent.clone()),
                why_not: vec!["hidden0".to_owned()],
                ..ExplainRequest::default()
            };
            let explained = user.explain_route(&request).unwrap();
            (timeless(explained.reply), explained.threshold.to_bits(), explained.entries)
        });
        prop_assert_eq!(&explained[0], &explained[1]);
        let lint = users.each_ref().map(|user| user.lint_routes().unwrap());
        prop_assert_eq!(&lint[0], &lint[1]);
    }
}
