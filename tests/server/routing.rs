//! Agents, routes and dispatches over REST.

use std::io::{Read, Write};
use std::net::TcpListener;

use serde_json::{Value, json};
use waypost_engine::api::Reach;

use crate::support::Server;
use crate::users::{User, text};

fn put_agent(user: &User<'_>, id: &str, card: &Value) -> crate::support::Reply {
    let headers = [("content-type", "application/json")];
    user.ask("PUT", &format!("/v1/agents/{id}"), &headers, &card.to_string())
}

fn agent(server: &Server, id: &str, subject: &str) {
    let verbs = ["check", "read", "explain", "compare"];
    let examples: Vec<String> = verbs.iter().map(|verb| format!("{verb} the {subject}")).collect();
    let card = json!({"name": subject, "description": format!("all about {subject}"), "examples": examples});
    put_agent(&server.admin(), id, &card).was_put();
}

fn dispatches(server: &Server, user: &User<'_>, agents: &str) {
    let grant = json!({"to": user.id, "agent": agents, "verbs": ["dispatch"]});
    server.admin().post("/v1/grants", &grant).was_put();
}

fn route(user: &User<'_>, intent: &str) -> Value {
    user.post("/v1/route", &json!({"intent": intent})).is(200).json()
}

const FILES: &str = "//- a.md\nThe heron is grey.\n";

#[test]
fn an_agent_comes_is_routed_to_and_goes() {
    let server = Server::start(FILES);
    let admin = server.admin();
    agent(&server, "lawyer", "contract clauses");
    agent(&server, "meteo", "weather forecast");
    let shown = admin.get("/v1/agents/agent:lawyer").is(200).json();
    assert_eq!((text(&shown, "id"), text(&shown, "name")), ("agent:lawyer", "contract clauses"));
    assert_eq!(admin.items("/v1/agents").len(), 2);

    let reply = route(&admin, "compare the contract clauses");
    assert_eq!(text(&reply, "outcome"), "routed", "{reply}");
    assert_eq!(text(&reply["decision"], "id"), "agent:lawyer");
    // There is no model in this server, and it is said.
    assert_eq!(reply["degraded"], json!(["semantic"]));
    for field in ["kind", "id", "name", "confidence", "margin", "why"] {
        assert!(!reply["candidates"][0][field].is_null(), "{field} in {reply}");
    }
    let again =
        admin.post("/v1/route/explain", &json!({"decision_id": reply["decision_id"], "why": ["lawyer"]}));
    let again = again.is(200).json();
    assert_eq!((&again["same"], text(&again["entries"][0], "verdict")), (&json!(true), "decided"));

    let lint = admin.post("/v1/route/lint", &json!({}));
    assert_eq!(lint.is(200).json()["entries"], 2);
    let learned = json!({"intent": "will it rain", "right": "meteo"});
    let learned = admin.post("/v1/route/feedback", &learned).is(200).json();
    let lesson = text(&learned["learned"][0], "id").to_owned();
    assert_eq!(admin.items("/v1/route/feedback").len(), 1);
    admin.delete(&format!("/v1/route/feedback/{lesson}")).is(204);
    assert_eq!(admin.items("/v1/route/feedback").len(), 0);

    admin.delete("/v1/agents/lawyer").is(204);
    admin.get("/v1/agents/lawyer").refuses(404, "not_found");
    assert_ne!(text(&route(&admin, "compare the contract clauses"), "outcome"), "routed");
}

#[test]
fn who_asks_sees_only_whom_they_may_ask() {
    let server = Server::start(FILES);
    agent(&server, "lawyer", "contract clauses");
    agent(&server, "meteo", "weather forecast");
    let asker = server.user("agent:asker", &[]);
    assert_eq!(route(&asker, "compare the contract clauses")["candidates"], json!([]));
    dispatches(&server, &asker, "agent:meteo");
    let ids = |reply: Value| -> Vec<String> {
        let candidates = reply["candidates"].as_array().unwrap();
        candidates.iter().map(|candidate| text(candidate, "id").to_owned()).collect()
    };
    assert_eq!(ids(route(&asker, "compare the contract clauses")), ["agent:meteo"]);
    let to = |agent: &str| asker.post("/v1/dispatch", &json!({"intent": "look at it", "to": agent}));
    let (hidden, absent) = (to("lawyer"), to("nobody"));
    assert_eq!(hidden.status, 404);
    assert_eq!(hidden.text().replace("lawyer", "nobody"), absent.text());
    asker.get("/v1/agents/lawyer").refuses(404, "not_found");
    put_agent(&asker, "meteo", &json!({"name": "mine"})).refuses(403, "forbidden");
    let sent = asker.post("/v1/dispatch", &json!({"intent": "read the weather forecast"})).is(201).json();
    assert_eq!((text(&sent, "agent"), &sent["hop"]), ("agent:meteo", &json!(1)));
    assert!(text(&sent, "path").starts_with("/inbox/meteo/"), "{sent}");
    assert!(sent["task_id"].is_string() && sent["trace_id"].is_string() && sent["decision_id"].is_string());
    asker.post("/v1/dispatch", &json!({"intent": "feed the cat"})).refuses(404, "no_route");
}

#[test]
fn a_card_that_makes_no_sense_is_refused_with_its_part() {
    let server = Server::start(FILES);
    let admin = server.admin();
    let refused = put_agent(&admin, "x", &json!({"name": "x", "price": {"usd": "much"}}));
    assert!(refused.text().contains("price.usd"), "{}", refused.text());
    refused.refuses(400, "invalid_card");
    put_agent(&admin, "human:x", &json!({"name": "x"})).refuses(400, "invalid_card");
    admin.post("/v1/route", &json!({"intent": " "})).refuses(400, "invalid_request");
    admin.post("/v1/route", &json!({"intent": "x", "limits": 3})).refuses(400, "invalid_request");
}

#[test]
fn a_card_is_fetched_from_where_it_lies() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let card =
        json!({"protocolVersion": "0.3.0", "name": "Lea", "description": "Reads contracts.", "version": "1",
        "url": "https://lea.example/a2a", "skills": [{"id": "r", "name": "contract review", "description": "",
        "tags": [], "examples": ["check this NDA"]}]})
        .to_string();
    let served = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut request = [0; 4096];
        let n = stream.read(&mut request).unwrap();
        let head = format!(
            "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\n",
            card.len()
        );
        stream.write_all(format!("{head}Connection: close\r\n\r\n{card}").as_bytes()).unwrap();
        String::from_utf8_lossy(&request[..n]).into_owned()
    });
    let reach = Reach::new(&["127.0.0.1".to_owned()]).unwrap();
    let server = Server::start_as(|docs| std::fs::write(docs.join("a.md"), "x").unwrap(), |o| o.reach(reach));
    let url = format!("http://{address}/.well-known/agent-card.json");
    let put = put_agent(&server.admin(), "lea", &json!({"card_url": url})).is(201).json();
    assert_eq!((text(&put, "name"), text(&put, "source")), ("Lea", url.as_str()));
    assert_eq!(text(&put["capabilities"][0], "name"), "contract review");
    assert!(served.join().unwrap().starts_with("GET /.well-known/agent-card.json"));
    // The way out is guarded here as everywhere.
    let metadata = json!({"card_url": "http://169.254.169.254/latest"});
    put_agent(&server.admin(), "lea", &metadata).refuses(400, "address_refused");
}

#[test]
fn what_is_shown_of_a_card_can_be_put_again() {
    let server = Server::start(FILES);
    let admin = server.admin();
    let card = json!({"name": "Lea", "description": "Reads contracts.", "examples": ["check this NDA"],
        "price": {"usd_per_call": 0.09}, "limits": {"max_open_tasks": 3, "tasks_per_hour": 9}});
    put_agent(&admin, "lea", &card).is(201);
    let shown = admin.get("/v1/agents/lea").is(200).json();
    assert_eq!(shown["price"], json!({"usd_per_call": 0.09, "tokens": 0}), "{shown}");
    assert_eq!(shown["limits"], card["limits"], "{shown}");
    let again = put_agent(&admin, "lea", &shown).is(200).json();
    assert_eq!(again["ignored"], Value::Null, "{again}");
    for part in ["name", "description", "examples", "price", "limits"] {
        assert_eq!(again[part], shown[part], "{part}");
    }
    put_agent(&admin, "omar", &shown).refuses(400, "invalid_card");

    let headers = [("content-type", "application/json")];
    let put = |body: &Value| admin.ask("PUT", "/v1/tools/mail.send", &headers, &body.to_string());
    put(&json!({"description": "Sends a mail", "examples": ["write to Kestrel"], "usd_per_call": 0.5}))
        .is(201);
    let mut shown = admin.get("/v1/tools/mail.send").is(200).json();
    let again = put(&shown).is(200).json();
    assert_eq!(
        (&again["description"], &again["usd_per_call"]),
        (&json!("Sends a mail"), &json!(0.5)),
        "{again}"
    );
    shown["id"] = json!("mail.other");
    put(&shown).refuses(400, "invalid_request");
    put(&json!({"description": "Sends a mail", "mood": 1})).refuses(400, "invalid_request");
}

#[test]
fn what_makes_no_sense_is_refused_and_a_priority_has_a_name() {
    let server = Server::start(FILES);
    let admin = server.admin();
    agent(&server, "lawyer", "contract clauses");
    admin.post("/v1/route/lint", &json!({"foo": 1})).refuses(400, "invalid_request");
    assert_eq!(admin.ask("POST", "/v1/route/lint", &[], "").is(200).json()["entries"], 1);
    admin.post("/v1/route", &json!({"intent": "x", "limit": 0})).refuses(400, "invalid_request");
    let explain = json!({"intent": "x", "principal": "human:nobody"});
    admin.post("/v1/route/explain", &explain).refuses(404, "not_found");
    let dispatch = |more: Value| {
        let mut body = json!({"intent": "read the clauses", "to": "lawyer"});
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        admin.post("/v1/dispatch", &body)
    };
    dispatch(json!({"trace": "../../x"})).refuses(400, "invalid_request");
    dispatch(json!({"priority": "urgent"})).refuses(400, "invalid_request");
    for (given, priority) in [(json!("low"), -1), (json!("high"), 1), (json!(5), 5), (json!(null), 0)] {
        let sent = dispatch(json!({"priority": given, "trace": format!("tr_{priority}")})).is(201).json();
        let task = admin.get(&format!("/v1/tasks/{}", text(&sent, "task_id"))).is(200).json();
        assert_eq!(task["priority"], priority, "{task}");
    }
}

#[test]
fn who_can_do_it_and_takes_nothing_now_is_named() {
    let server = Server::start(FILES);
    let admin = server.admin();
    let verbs = ["check", "read", "explain", "compare"];
    let examples: Vec<String> = verbs.iter().map(|verb| format!("{verb} the contract clauses")).collect();
    let card = json!({"name": "lawyer", "description": "all about contract clauses", "examples": examples,
        "limits": {"max_open_tasks": 1}});
    put_agent(&admin, "lawyer", &card).was_put();
    agent(&server, "meteo", "weather forecast");
    let body = json!({"intent": "compare the contract clauses"});
    admin.post("/v1/dispatch", &body).is(201);
    let reply = route(&admin, "compare the contract clauses");
    assert_eq!(
        (text(&reply, "outcome"), &reply["unavailable"]),
        ("none", &json!(["agent:lawyer"])),
        "{reply}"
    );
    assert_eq!(reply["candidates"][0]["standing"]["available"], false, "{reply}");
    let refused = admin.post("/v1/dispatch", &body);
    assert!(refused.text().contains("agent:lawyer") && refused.text().contains("as many as it takes"));
    refused.refuses(503, "route_unavailable");
    // In its inbox it may lie all the same.
    admin.post("/v1/dispatch", &json!({"intent": "compare the contract clauses", "to": "lawyer"})).is(201);
}
