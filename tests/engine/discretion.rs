//! What routing tells of others: neither what they asked, nor how much they handed over; and what nobody may undo for them.

use serde_json::json;
use waypost_engine::access::{Effect, Grant, Target, Verb};
use waypost_engine::api::{
    Budget, BudgetLimits, Charge, ChargeKind, ClaimRequest, Completion, DispatchRequest, ErrorKind,
    ExplainRequest, Feedback, Period, RouteOutcome, RouteRequest, Session, ToolDeclaration, Usage,
};
use waypost_engine::route::Fault;

use crate::routing::{Mesh, VERBS, about, ask, three, timeless};

fn teach(session: &Session, intent: &str, is_right: bool) {
    let (agent, intent) = (Some("contracts".to_owned()), Some(intent.to_owned()));
    let (right, wrong) = if is_right { (agent, None) } else { (None, agent) };
    session.route_feedback(&Feedback { intent, right, wrong, ..Feedback::default() }).unwrap();
}

fn dispatch_to(session: &Session, intent: &str, to: &str) -> DispatchResult {
    let request =
        DispatchRequest { intent: intent.to_owned(), to: Some(to.to_owned()), ..DispatchRequest::default() };
    let reply = session.dispatch(&request).map_err(|error| error.code())?;
    Ok((reply.trace_id, reply.hop))
}

type DispatchResult = Result<(String, u32), &'static str>;

fn grant(mesh: &Mesh, to: &str, target: Target, pattern: &str, verb: Verb) {
    let grant = Grant::new(to, target, &[pattern.to_owned()], [verb].into(), Effect::Allow, "").unwrap();
    mesh.owner().put_grant(&grant).unwrap();
}

#[test]
fn what_others_taught_an_agent_is_quoted_to_nobody_else() {
    let mesh = three();
    let reader = mesh.user("agent:drafter", &["agent:*"]);
    teach(&mesh.owner(), "look into the confidential Hartmann merger", true);
    let intent = "look into the Hartmann merger";
    let why = |session: &Session| {
        let reply = ask(session, intent);
        let found = reply.candidates.iter().find(|candidate| candidate.id == "agent:contracts");
        found.unwrap().why.clone()
    };
    assert!(why(&mesh.owner()).contains("confidential Hartmann"), "{}", why(&mesh.owner()));
    assert!(why(&reader).contains("near what it was given before"), "{}", why(&reader));
    let reply = ask(&reader, intent);
    let decision_id = Some(reply.decision_id.clone());
    let request = ExplainRequest {
        intent: Some(intent.to_owned()),
        why: vec!["contracts".to_owned()],
        ..ExplainRequest::default()
    };
    let explained = reader.explain_route(&request).unwrap();
    let again = ExplainRequest { decision_id, why: request.why.clone(), ..ExplainRequest::default() };
    for session in [&reader, &mesh.owner()] {
        assert_eq!(session.explain_route(&again).unwrap().same, Some(true), "it is told in the same words");
    }
    let told = [
        serde_json::to_string(&reply),
        serde_json::to_string(&explained),
        serde_json::to_string(&reader.explain_route(&again).unwrap()),
        serde_json::to_string(&reader.lint_routes().unwrap()),
    ];
    for text in told.map(|text| text.unwrap().to_lowercase()) {
        assert!(!text.contains("hartmann") && !text.contains("merger"), "{text}");
    }
    // One's own words are told.
    teach(&reader, "mend the wobbly stool", true);
    let reply = ask(&reader, "mend the wobbly stool");
    assert!(reply.candidates.iter().any(|candidate| candidate.why.contains("wobbly")), "{reply:?}");
}

#[test]
fn nobody_takes_back_what_another_one_taught() {
    let mesh = three();
    let other = mesh.user("agent:drafter", &["agent:*"]);
    teach(&mesh.owner(), "look into the liability", true);
    teach(&other, "look into the liability", false);
    let said: Vec<(String, bool)> =
        mesh.owner().lessons().unwrap().into_iter().map(|lesson| (lesson.by, lesson.is_right)).collect();
    assert_eq!(said, [("human:admin".to_owned(), true), ("agent:drafter".to_owned(), false)]);
}

#[test]
fn how_an_agent_stands_counts_what_the_asker_may_know_of() {
    let mut card = about("contract clauses", &VERBS);
    card["limits"] = json!({"max_open_tasks": 2, "tasks_per_hour": 3});
    let meshes = [three(), three()];
    let readers = meshes.each_ref().map(|mesh| {
        mesh.put("contracts", card.clone());
        mesh.user("agent:drafter", &["agent:*"])
    });
    for number in 0..3 {
        dispatch_to(&meshes[0].owner(), &format!("errand {number}"), "contracts").unwrap();
    }
    let intent = "compare these contract clauses";
    let seen = readers
        .each_ref()
        .map(|reader| (timeless(ask(reader, intent)), reader.agent("contracts").unwrap().standing.unwrap()));
    assert_eq!(seen[0], seen[1], "what others handed over changes nothing");
    assert_eq!((seen[0].1.open_tasks, seen[0].1.available), (0, true));
    // What one handed over oneself counts.
    dispatch_to(&readers[0], "another errand", "contracts").unwrap();
    assert_eq!(readers[0].agent("contracts").unwrap().standing.unwrap().open_tasks, 1);
    // So does all that lies in an inbox that one may read.
    grant(&meshes[0], "agent:drafter", Target::Path, "/inbox/contracts/**", Verb::Read);
    let standing = readers[0].agent("contracts").unwrap().standing.unwrap();
    assert_eq!((standing.open_tasks, standing.available), (4, false));
    let why_not = standing.unavailable.unwrap();
    assert!(why_not.contains("4 tasks in an hour") && why_not.contains("room again at"), "{why_not}");
    assert_eq!(ask(&readers[0], intent).unavailable, ["agent:contracts"]);
}

#[test]
fn what_a_budget_has_no_room_for_is_refused_by_the_budget() {
    let mesh = three();
    let mut card = about("contract clauses", &VERBS);
    card["price"] = json!({"usd_per_call": 0.25});
    mesh.put("contracts", card);
    let asker = mesh.user("agent:asker", &["agent:*"]);
    let limits = BudgetLimits { usd_micros: Some(200_000), ..BudgetLimits::default() };
    mesh.owner().put_budget(&Budget::new("agent:asker", None, Period::Day, limits, "").unwrap()).unwrap();
    let intent = "compare these contract clauses".to_owned();
    let reply = ask(&asker, &intent);
    assert_eq!((reply.outcome, reply.unavailable.len()), (RouteOutcome::None, 1), "{reply:?}");
    assert!(reply.candidates[0].standing.as_ref().unwrap().over_budget, "{reply:?}");
    let refused = asker.dispatch(&DispatchRequest { intent, ..DispatchRequest::default() }).unwrap_err();
    assert_eq!(refused.code(), "budget_exceeded");
}

#[test]
fn a_tool_that_a_budget_has_no_room_for_is_found_and_not_available() {
    let mesh = Mesh::new(&[]);
    let declared = serde_json::from_value::<ToolDeclaration>(about("invoice payments", &VERBS)).unwrap();
    mesh.owner().put_tool("payments.charge", declared).unwrap();
    let caller = mesh.user("agent:caller", &[]);
    grant(&mesh, "agent:caller", Target::Tool, "payments.*", Verb::Call);
    let limits = BudgetLimits { calls: Some(1), ..BudgetLimits::default() };
    mesh.owner().put_budget(&Budget::new("agent:caller", None, Period::Day, limits, "").unwrap()).unwrap();
    let found = || caller.find_tools("check the invoice payments", 5).unwrap().remove(0).unavailable;
    assert_eq!(found(), None);
    let call = Charge::new(ChargeKind::Tool, "payments.charge").estimate(Usage::call());
    let _spent = caller.reserve(&call).unwrap();
    let why_not = found().unwrap();
    assert!(why_not.contains("budget") && why_not.contains("resets at"), "{why_not}");
}

#[test]
fn who_thanks_after_its_work_is_done_stays_in_the_trace() {
    let mesh = three();
    let workers = ["contracts", "weather"].map(|name| {
        let worker = mesh.worker(name);
        grant(&mesh, &format!("agent:{name}"), Target::Agent, "agent:*", Verb::Dispatch);
        (worker, name)
    });
    let work = |session: &Session| {
        let task = session.claim_task(&ClaimRequest::default()).unwrap().unwrap();
        let done = Completion { task_id: task.id, fence: task.fence.unwrap(), ..Completion::default() };
        session.complete_task(&done).unwrap();
    };
    let (trace, _) = dispatch_to(&workers[0].0, "look at the sky of tomorrow", "weather").unwrap();
    let mut handed = Vec::new();
    for turn in 1..4 {
        let ((session, _), (_, to)) = (&workers[turn % 2], &workers[(turn + 1) % 2]);
        work(session);
        handed.push(dispatch_to(session, "Thank you for your help", to));
    }
    assert_eq!(handed, [Ok((trace.clone(), 2)), Ok((trace.clone(), 3)), Err("loop_detected")]);
    // What goes to another one, or names a trace, is something else.
    let (other, hop) = dispatch_to(&workers[1].0, "check the invoice payments", "payments").unwrap();
    assert!(other != trace && hop == 1, "{other} {hop}");
    let request = DispatchRequest {
        intent: "Thank you for your help".to_owned(),
        to: Some("contracts".to_owned()),
        trace: Some("tr_new".to_owned()),
        ..DispatchRequest::default()
    };
    assert_eq!(workers[1].0.dispatch(&request).unwrap().hop, 1);
    let request = DispatchRequest { trace: Some("../../x".to_owned()), ..request };
    assert_eq!(workers[1].0.dispatch(&request).unwrap_err().kind(), ErrorKind::Invalid);
}

#[test]
fn the_criterion_that_decided_is_told() {
    let mesh = Mesh::new(&[
        ("contracts", about("contract clauses", &VERBS)),
        ("payments", about("invoice payments", &VERBS)),
    ]);
    let explain = |intent: &str, why: &[&str]| {
        let why = why.iter().map(|id| (*id).to_owned()).collect();
        let request = ExplainRequest { intent: Some(intent.to_owned()), why, ..ExplainRequest::default() };
        mesh.owner().explain_route(&request)
    };
    let between = explain("compare contract clauses invoice payments", &["contracts", "payments"]).unwrap();
    let verdicts: Vec<&str> = between.entries.iter().map(|entry| entry.verdict).collect();
    assert_eq!((verdicts, between.criterion), (vec!["ambiguous", "ambiguous"], "probability"));
    assert!((between.threshold - 0.925).abs() < 1e-9, "{}", between.threshold);
    let first = explain("feed my hungry cat tonight", &[]).unwrap().reply.candidates.remove(0).id;
    let strange = explain("feed my hungry cat tonight", &[&first]).unwrap().entries.remove(0);
    assert_eq!(strange.verdict, "below_threshold");
    assert!(strange.reason.contains("is asked"), "{}", strange.reason);
    let nobody = ExplainRequest {
        intent: Some("x".to_owned()),
        principal: Some("human:nobody".to_owned()),
        ..ExplainRequest::default()
    };
    assert_eq!(mesh.owner().explain_route(&nobody).unwrap_err().kind(), ErrorKind::NotFound);
    let none = RouteRequest { intent: "x".to_owned(), limit: Some(0), ..RouteRequest::default() };
    assert_eq!(mesh.owner().route(&none).unwrap_err().kind(), ErrorKind::Invalid);
}

#[test]
fn examples_in_common_and_words_that_suit_everybody_are_found() {
    let mesh = three();
    let card = json!({"name": "copy", "description": "rockets and planets",
        "examples": ["Check the contract clauses", "fly to the moon"]});
    mesh.put("copy", card);
    let lint = mesh.owner().lint_routes().unwrap();
    let in_common = lint.findings.iter().find(|finding| finding.detail.contains("in common")).unwrap();
    assert_eq!(in_common.fault, Fault::Collision);
    assert_eq!(in_common.entries, ["agent:contracts", "agent:copy"]);
    assert_eq!(in_common.examples, ["agent:contracts: check the contract clauses"]);

    let card = |name: &str, description: &str, subject: &str| {
        let examples: Vec<String> = VERBS.iter().map(|verb| format!("{verb} the {subject}")).collect();
        json!({"name": name, "description": description, "examples": examples})
    };
    let mesh = Mesh::new(&[
        (
            "legal",
            card("legal", "looks at whatever somebody sends about contract clauses", "contract clauses"),
        ),
        (
            "finance",
            card("finance", "takes care of every question concerning invoice payments", "invoice payments"),
        ),
        (
            "meteo",
            card("meteo", "knows and tells how tomorrow will be: weather forecast", "weather forecast"),
        ),
    ]);
    let broad = |mesh: &Mesh| -> Vec<String> {
        let findings = mesh.owner().lint_routes().unwrap().lint.findings;
        let broad = findings.into_iter().filter(|finding| finding.fault == Fault::OverBroad);
        broad.flat_map(|finding| finding.entries).collect()
    };
    assert_eq!(broad(&mesh), Vec::<String>::new());
    let all =
        json!({"name": "helper", "description": "contract clauses, invoice payments, weather forecast"});
    let answered = mesh.owner().put_agent("all", &all).unwrap();
    assert_eq!(broad(&mesh), ["agent:all"]);
    assert!(answered.lint.unwrap().iter().any(|finding| finding.fault == Fault::OverBroad));
}
