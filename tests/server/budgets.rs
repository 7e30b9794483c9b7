use serde_json::{Value, json};
use waypost::problem::Problem;
use waypost_engine::api::{Charge, ChargeKind, Handover, Priority, Session, Usage};

use crate::mcp::Client;
use crate::support::{Server, bare_command};
use crate::users::{User, text};

fn start() -> Server {
    Server::start("//- a.md\nfine\n")
}

fn put(admin: &User<'_>, holder: &str, limits: Value) -> String {
    let made = admin.post("/v1/budgets", &json!({"holder": holder, "limits": limits})).was_put().json();
    text(&made, "id").to_owned()
}

/// What a user's request would act as in the engine.
fn session(user: &User<'_>) -> Session {
    user.server.engine.session(&user.token).unwrap()
}

fn charge() -> Charge {
    let estimate = Usage::call().usd_micros(400_000);
    Charge::new(ChargeKind::Tool, "pay.card").priority(Priority::High).estimate(estimate)
}

/// A refusal as REST and MCP answer it.
fn refused(session: &Session) -> Problem {
    Problem::from(session.reserve(&charge()).unwrap_err())
}

#[test]
fn a_budget_is_made_looked_at_changed_and_removed() {
    let server = start();
    let (admin, a, b) = (server.admin(), server.user("agent:a", &[]), server.user("agent:b", &[]));
    let id = put(&admin, "agent:a", json!({"usd": "1.00", "calls": 3}));
    let kept = session(&a).reserve(&charge()).unwrap();
    session(&a).settle(kept, Usage::call().usd_micros(500_000), true).unwrap();
    let _held = session(&a).reserve(&charge()).unwrap();

    let shown = a.get(&format!("/v1/budgets/{id}")).is(200).json();
    assert_eq!(shown["limits"], json!({"usd": "1", "calls": 3}));
    assert_eq!((text(&shown, "holder"), text(&shown, "period")), ("agent:a", "day"), "{shown}");
    let state = &shown["state"];
    assert_eq!(state["used"], json!({"usd": "0.5", "calls": 1}));
    assert_eq!(state["reserved"], json!({"usd": "0.4", "calls": 1}));
    assert_eq!(state["left"], json!({"usd": "0.1", "calls": 1}));
    assert_eq!(state["warnings"], json!(["usd"]));
    assert!(text(state, "resets_at").ends_with("T00:00:00.000Z"), "{state}");

    assert_eq!(a.items("/v1/budgets").len(), 1);
    assert_eq!(b.items("/v1/budgets"), Vec::<Value>::new());
    b.get(&format!("/v1/budgets/{id}")).refuses(404, "not_found");
    b.get("/v1/budgets/bg_000000000000").refuses(404, "not_found");
    a.get(&format!("/v1/budgets/{id}?principal=agent:b")).refuses(403, "forbidden");
    a.post("/v1/budgets", &json!({"holder": "agent:a", "limits": {"calls": 9}})).refuses(403, "forbidden");
    assert_eq!(put(&admin, "agent:a", json!({"usd": 5})), id, "the same budget, with another limit");
    let left = json!({"usd": "4.1", "calls": 1});
    assert_eq!(a.get(&format!("/v1/budgets/{id}")).json()["state"]["left"], left, "the other limit stays");
    a.delete(&format!("/v1/budgets/{id}")).refuses(403, "forbidden");
    admin.delete(&format!("/v1/budgets/{id}")).is(204);
    admin.delete(&format!("/v1/budgets/{id}")).refuses(404, "not_found");
}

#[test]
fn a_budget_that_makes_no_sense_is_refused() {
    let server = start();
    let admin = server.admin();
    server.user("agent:a", &[]);
    for (body, status, code) in [
        (json!({"holder": "agent:a", "limits": {}}), 400, "invalid_request"),
        (json!({"holder": "agent:a", "limits": {"usd": "-1"}}), 400, "invalid_request"),
        (json!({"holder": "agent:a", "limits": {"usd": "much"}}), 400, "invalid_request"),
        (json!({"holder": "agent:a", "limits": {"coins": 1}}), 400, "invalid_request"),
        (json!({"holder": "agent:a", "limits": {"calls": 1}, "period": "year"}), 400, "invalid_request"),
        (
            json!({"holder": "agent:a", "limits": {"calls": 1}, "tool": "x", "agent": "y"}),
            400,
            "invalid_request",
        ),
        (json!({"holder": "agent:a", "limits": {"calls": 1}, "tool": "a/../b"}), 400, "invalid_pattern"),
        (json!({"holder": "agent:nobody", "limits": {"calls": 1}}), 404, "not_found"),
        (json!({"holder": "group:nobody", "limits": {"calls": 1}}), 404, "not_found"),
    ] {
        admin.post("/v1/budgets", &body).refuses(status, code);
    }
    assert_eq!(admin.items("/v1/budgets"), Vec::<Value>::new());
}

#[test]
fn a_refusal_says_which_budget_what_is_left_and_when_it_resets() {
    let server = start();
    let a = server.user("agent:a", &[]);
    let id = put(&server.admin(), "agent:a", json!({"usd": "0.5"}));
    let _held = session(&a).reserve(&charge()).unwrap();
    let problem = refused(&session(&a));
    let body = serde_json::to_value(&problem).unwrap();
    assert_eq!((&body["status"], &body["code"]), (&json!(429), &json!("budget_exceeded")), "{body}");
    let budget = &body["budget"];
    let amounts = ["limit", "used", "reserved", "left", "needed"].map(|field| text(budget, field));
    assert_eq!((text(budget, "id"), amounts), (id.as_str(), ["0.5", "0", "0.4", "0.1", "0.4"]));
    assert!(text(&body, "resets_at").ends_with("T00:00:00.000Z"), "{body}");
    assert!(text(&body, "hint").contains("resets_at"), "{body}");
    let events = server.get("/v1/events/wait?after=sq_000000000000&kinds=budget.exceeded").json();
    assert_eq!(events["items"].as_array().map(Vec::len), Some(1), "{events}");
    assert_eq!(
        (&events["items"][0]["actor"], &events["items"][0]["data"]["budget"]),
        (&json!("agent:a"), &json!(id))
    );
}

#[test]
fn usage_is_ones_own_and_the_admin_sees_all() {
    let server = start();
    let (a, b) = (server.user("agent:a", &[]), server.user("agent:b", &[]));
    for (user, times) in [(&a, 2), (&b, 1)] {
        for _ in 0..times {
            let kept = session(user).reserve(&charge()).unwrap();
            session(user).settle(kept, Usage::call().usd_micros(1), false).unwrap();
        }
    }
    let own = a.get("/v1/usage?group_by=target").is(200).json();
    assert_eq!(own["items"][0]["target"], "pay.card");
    assert_eq!(
        (&own["total"]["calls"], &own["total"]["failures"], &own["total"]["usd"]),
        (&json!(2), &json!(2), &json!("0.000002"))
    );
    a.get("/v1/usage?principal=agent:b").refuses(403, "forbidden");
    a.get("/v1/usage?from=soon").refuses(400, "invalid_request");
    a.get("/v1/usage?group_by=mood").refuses(400, "invalid_request");
    let all = server.admin().get("/v1/usage?group_by=principal").is(200).json();
    let shown: Vec<_> = all["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| (text(row, "principal"), row["calls"].clone()))
        .collect();
    assert_eq!(shown, [("agent:a", json!(2)), ("agent:b", json!(1))]);
    assert_eq!(server.admin().get("/v1/usage?to=2001-01-01").is(200).json()["items"], json!([]));
}

#[test]
fn who_am_i_tells_what_is_left() {
    let server = start();
    let a = server.user("agent:a", &[]);
    let ask = || Client::legacy(&server, "", &a.token).call("whoami", json!({})).0;
    assert!(ask().get("budget").is_none());
    put(&server.admin(), "*", json!({"calls": 4}));
    let _held = session(&a).reserve(&charge()).unwrap();
    assert_eq!(ask()["budget"][0]["left"], json!({"calls": 3}));
}

#[test]
fn a_worker_reports_what_a_task_took() {
    let server = start();
    let worker = server.user("agent:w", &["list,read,write /docs/**"]);
    let report = |verb: &str, extra: Value| {
        server.admin().post("/v1/tasks", &json!({"workspace": "docs"})).is(201);
        let task = worker.post("/v1/tasks/claim", &json!({})).is(200).json()["task"].clone();
        let mut body =
            json!({"task_id": task["id"], "fence": task["fence"], "usage": {"usd": "0.02", "tokens": 1200}});
        body.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        worker.post(&format!("/v1/tasks/{verb}"), &body).is(200);
    };
    report("complete", json!({}));
    report("fail", json!({"error": "no", "retry": false}));
    let used = worker.get("/v1/usage?group_by=kind").is(200).json();
    assert_eq!((&used["items"][0]["kind"], &used["items"][0]["tokens"]), (&json!("task"), &json!(2400)));
    assert_eq!((&used["total"]["usd"], &used["total"]["failures"]), (&json!("0.04"), &json!(1)));
    let given = json!({"workspace": "docs", "reservation": "rs_1"});
    server.admin().post("/v1/tasks", &given).refuses(400, "invalid_request");
}

#[test]
fn a_trace_that_goes_in_circles_waits_for_a_person() {
    let server = start();
    let (a, x) = (server.user("agent:a", &[]), server.user("agent:x", &[]));
    let lena = server.user("human:lena", &["read,approve /docs/**"]);
    let hand = |text: &str| {
        let handover = Handover {
            to: "agent:b",
            text,
            artifacts: &[],
            embedding: None,
            parent: None,
            path: "/docs/inbox/b",
        };
        session(&a).with_trace("t-1").hand_over(&handover)
    };
    let passed = (0..9).take_while(|_| hand("Look at it.").is_ok()).count();
    assert_eq!(passed, 3);
    let body = serde_json::to_value(Problem::from(hand("Look at it.").unwrap_err())).unwrap();
    assert_eq!((&body["status"], &body["code"]), (&json!(409), &json!("loop_detected")), "{body}");
    let id = text(&body, "approval_id");
    let shown = a.get("/v1/traces/t-1").is(200).json();
    assert_eq!((text(&shown, "state"), text(&shown, "approval_id")), ("parked", id), "{shown}");
    assert_eq!(shown["hops"].as_array().unwrap().len(), 3);
    x.get("/v1/traces/t-1").refuses(404, "not_found");
    assert_eq!(a.items("/v1/traces").len(), 1);
    assert_eq!(lena.items("/v1/approvals?state=pending").len(), 1);
    lena.post(&format!("/v1/approvals/{id}/grant"), &json!({"reason": "once more"})).is(200);
    lena.post(&format!("/v1/approvals/{id}/deny"), &json!({})).refuses(409, "approval_closed");
    hand("Look at it.").unwrap();
    assert_eq!(text(&a.get("/v1/traces/t-1").json(), "state"), "open");
}

#[test]
fn the_command_line_manages_budgets() {
    let folder = tempfile::tempdir().unwrap();
    let run = |arguments: &[&str]| {
        let output = bare_command()
            .current_dir(folder.path())
            .env("WAYPOST_MODELS", folder.path().join("no-models"))
            .args(["--offline", "--home", ".", "--json"])
            .args(arguments)
            .output()
            .unwrap();
        let value: Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
        (output.status.code().unwrap(), value)
    };
    run(&["init"]);
    assert_eq!(run(&["principal", "add", "agent:a"]).0, 0);
    let (code, made) =
        run(&["budget", "add", "agent:a", "--usd", "2.50", "--calls", "10", "--tool", "pay.*"]);
    assert_eq!(code, 0, "{made}");
    assert_eq!((&made["limits"]["usd"], &made["target"]["tool"]), (&json!("2.5"), &json!("pay.*")));
    let id = text(&made, "id");
    assert_eq!(run(&["budget", "list"]).1["items"].as_array().unwrap().len(), 1);
    assert_eq!(run(&["budget", "show", id]).1["state"]["left"]["calls"], 10);
    assert_eq!(run(&["budget", "usage", "--group-by", "kind"]).1["items"], json!([]));
    assert_eq!(run(&["budget", "add", "agent:a"]).0, 2);
    assert_eq!(run(&["budget", "add", "agent:b", "--calls", "1"]).0, 1);
    assert_eq!(run(&["budget", "remove", id]).0, 0);
    assert_eq!(run(&["budget", "show", id]).0, 1);
}
