use std::sync::Barrier;

use serde_json::{Value, json};

use crate::mcp::Client;
use crate::support::{Reply, Server};
use crate::users::{User, eventually, text};

const DRAFT: &str = "/contracts/drafts/nda.md";
const APPROVED: &str = "/contracts/approved/nda.md";

/// The seed case: who drafts can't approve, who approves is a person, who signs sees only what was approved.
struct House<'a> {
    admin: User<'a>,
    drafter: User<'a>,
    lena: User<'a>,
    signer: User<'a>,
}

fn house(server: &Server) -> House<'_> {
    let admin = server.admin();
    admin.post("/v1/workspaces", &json!({"name": "contracts"})).is(201);
    admin
        .post("/v1/gates", &json!({"path": "/contracts/approved/**", "note": "a person reads it first"}))
        .is(201);
    House {
        drafter: server.user("agent:drafter", &["list,read,write,delete /contracts/**"]),
        lena: server.user("human:lena", &["list,read,write,approve /contracts/**"]),
        signer: server.user("agent:signer", &["list,read /contracts/approved/**"]),
        admin,
    }
}

fn start() -> Server {
    Server::start("//- a.md\nfine\n")
}

/// The approval that a change was left to wait for.
#[track_caller]
fn waiting(reply: &Reply) -> String {
    assert_eq!(reply.problem(), (403, "approval_required".to_owned()), "{}", reply.text());
    let id = text(&reply.json(), "approval_id").to_owned();
    assert!(id.starts_with("ap_"), "{id}");
    id
}

fn decide(user: &User<'_>, id: &str, decision: &str) -> Reply {
    user.post(&format!("/v1/approvals/{id}/{decision}"), &json!({"reason": "read it"}))
}

fn state(user: &User<'_>, id: &str) -> String {
    text(&user.get(&format!("/v1/approvals/{id}")).is(200).json(), "state").to_owned()
}

#[test]
fn a_draft_is_approved_by_a_person_and_then_seen_by_the_signer() {
    let server = start();
    let House { drafter, lena, signer, .. } = house(&server);
    drafter.put(DRAFT, "Both parties keep silent.\n").is(201);
    signer.read(DRAFT).refuses(404, "not_found");
    let id = waiting(&drafter.carry("move", DRAFT, APPROVED));
    for _ in 0..3 {
        assert_eq!(waiting(&drafter.carry("move", DRAFT, APPROVED)), id, "the same act waits once");
    }
    assert_eq!(drafter.items("/v1/approvals?state=pending").len(), 1);
    assert_eq!(signer.items("/v1/approvals"), Vec::<Value>::new());
    drafter.read(DRAFT).is(200);
    signer.read(APPROVED).refuses(404, "not_found");

    let shown = lena.get(&format!("/v1/approvals/{id}")).is(200).json();
    assert_eq!((text(&shown, "requester"), text(&shown, "path")), ("agent:drafter", APPROVED), "{shown}");
    assert_eq!((text(&shown["act"], "act"), text(&shown["act"], "from")), ("move", DRAFT), "{shown}");
    assert!(text(&shown, "diff").contains("+Both parties keep silent."), "{shown}");

    let done = decide(&lena, &id, "grant").is(200).json();
    assert_eq!((text(&done, "state"), text(&done["result"], "path")), ("granted", APPROVED), "{done}");
    decide(&lena, &id, "grant").refuses(409, "approval_closed");
    decide(&lena, &id, "deny").refuses(409, "approval_closed");
    assert_eq!(signer.read(APPROVED).is(200).text(), "Both parties keep silent.\n");
    drafter.read(DRAFT).refuses(404, "not_found");
    let history = signer.items(&format!("/v1/versions{APPROVED}"));
    assert_eq!(history.len(), 1, "exactly once: {history:?}");
    assert_eq!(
        (text(&history[0], "actor"), text(&history[0], "approved_by")),
        ("agent:drafter", "human:lena")
    );
    assert!(history[0]["other_path"].is_null(), "where it came from is hidden from the signer");
    let asked = json!({"query": "silent", "wait_for_seq": done["result"]["seq"]});
    assert_eq!(lena.found(asked), [APPROVED]);
    assert_eq!(signer.found(json!({"query": "silent"})), [APPROVED]);
}

#[test]
fn of_two_who_grant_at_once_one_makes_it_happen() {
    let server = start();
    let House { drafter, lena, .. } = house(&server);
    let otto = server.user("human:otto", &["list,read,write,approve /contracts/**"]);
    for round in 0..8 {
        let (from, to) = (format!("/contracts/drafts/{round}.md"), format!("/contracts/approved/{round}.md"));
        drafter.put(&from, "a clause\n").is(201);
        let id = waiting(&drafter.carry("move", &from, &to));
        let start = Barrier::new(2);
        let grant = |user: &User<'_>| {
            start.wait();
            decide(user, &id, "grant").status
        };
        let statuses = std::thread::scope(|threads| {
            let (a, b) = (threads.spawn(|| grant(&lena)), threads.spawn(|| grant(&otto)));
            [a.join().unwrap(), b.join().unwrap()]
        });
        assert_eq!(
            statuses.iter().filter(|status| **status == 200).count(),
            1,
            "round {round}: {statuses:?}"
        );
        assert_eq!(state(&lena, &id), "granted", "round {round}: {statuses:?}");
        let history = lena.items(&format!("/v1/versions{to}"));
        let events: Vec<&str> = history.iter().filter_map(|past| past["event"].as_str()).collect();
        assert_eq!(events, ["file.moved", "file.created"]);
    }
}

#[test]
fn attack_15_nobody_decides_about_an_act_of_their_own() {
    let server = start();
    let House { admin, drafter, lena, .. } = house(&server);
    drafter.put(DRAFT, "first words\n").is(201);
    let id = waiting(&drafter.carry("copy", DRAFT, APPROVED));
    for decision in ["grant", "deny"] {
        decide(&drafter, &id, decision).refuses(403, "own_request");
    }
    // Not even where the right to approve comes later.
    admin.grant("agent:drafter", "approve /contracts/**");
    decide(&drafter, &id, "grant").refuses(403, "own_request");
    let refused = admin.items("/v1/audit?principal=agent:drafter&outcome=denied&action=approval.");
    assert_eq!(refused.len(), 3, "{refused:?}");
    assert!(refused.iter().all(|act| act["rule"] == "own_request"));
    assert_eq!(state(&lena, &id), "pending");

    // An approval is for what was shown: other bytes are another act.
    let guest = server.user("agent:guest", &["list,read,write /contracts/**"]);
    let first = waiting(&guest.put("/contracts/approved/x.md", "as shown\n"));
    let second = waiting(&guest.put("/contracts/approved/x.md", "otherwise\n"));
    assert_ne!(first, second);
    decide(&lena, &first, "grant").is(200);
    assert_eq!(lena.read("/contracts/approved/x.md").is(200).text(), "as shown\n");
    decide(&lena, &second, "grant").refuses(412, "version_conflict");
    assert_eq!(state(&guest, &second), "stale", "it was about an empty place");
    let other = waiting(&drafter_again(&server).put("/contracts/approved/x.md", "otherwise\n"));
    assert_ne!(other, second, "each asks for themselves");
}

fn drafter_again(server: &Server) -> User<'_> {
    server.user("agent:drafter-two", &["list,read,write /contracts/**"])
}

#[test]
fn what_has_changed_since_or_is_refused_does_not_happen() {
    let server = start();
    let House { admin, drafter, lena, .. } = house(&server);
    drafter.put(DRAFT, "first words\n").is(201);
    let ask = || waiting(&drafter.carry("move", DRAFT, APPROVED));
    let stays = |id: &str, expected: &str| {
        assert_eq!(state(&drafter, id), expected);
        drafter.read(DRAFT).is(200);
        lena.read(APPROVED).refuses(404, "not_found");
    };
    let stale = ask();
    drafter.put(DRAFT, "other words\n").is(200);
    let outdated = decide(&lena, &stale, "grant");
    outdated.refuses(412, "version_conflict");
    assert!(text(&outdated.json(), "hint").contains("whoever asked"), "{}", outdated.text());
    stays(&stale, "stale");

    let denied = ask();
    assert_ne!(denied, stale, "asked anew");
    decide(&lena, &denied, "deny").is(200);
    stays(&denied, "denied");
    decide(&lena, &denied, "grant").refuses(409, "approval_closed");

    let withdrawn = ask();
    let refused = lena.delete(&format!("/v1/approvals/{withdrawn}"));
    refused.refuses(403, "forbidden");
    assert!(text(&refused.json(), "hint").contains("/deny"), "{}", refused.text());
    drafter.delete(&format!("/v1/approvals/{withdrawn}")).is(204);
    decide(&lena, &withdrawn, "grant").refuses(409, "approval_closed");

    // With the rights that the requester still has: at the new place, and at the old one.
    for lost in
        ["!write /contracts/approved/**", "!delete /contracts/drafts/**", "!read /contracts/drafts/**"]
    {
        let id = ask();
        let deny = admin.grant("agent:drafter", lost);
        decide(&lena, &id, "grant").refuses(403, "forbidden");
        admin.delete(&format!("/v1/grants/{}", text(&deny, "id"))).is(204);
        stays(&id, "stale");
    }
    let id = ask();
    admin.delete("/v1/principals/agent:drafter").is(204);
    decide(&lena, &id, "grant").refuses(409, "approval_closed");
    lena.read(APPROVED).refuses(404, "not_found");
}

#[test]
fn every_way_into_a_gated_folder_is_gated() {
    let server = start();
    let House { drafter, lena, .. } = house(&server);
    drafter.put(DRAFT, "a draft\n").is(201);
    let first = lena.put(APPROVED, "approved\n").is(201).json();
    lena.put(APPROVED, "approved twice\n").is(200);
    let gated = "/contracts/approved";
    waiting(&drafter.put(&format!("{gated}/new.md"), "x"));
    waiting(&drafter.put(APPROVED, "x"));
    waiting(&drafter.ask("POST", &format!("/v1/append{APPROVED}"), &[], "x"));
    waiting(
        &drafter
            .post("/v1/edit", &json!({"path": APPROVED, "edits": [{"old_text": "twice", "new_text": "x"}]})),
    );
    waiting(&drafter.post("/v1/restore", &json!({"path": APPROVED, "version": first["version"]})));
    waiting(&drafter.carry("move", DRAFT, &format!("{gated}/moved.md")));
    waiting(&drafter.carry("copy", DRAFT, &format!("{gated}/copied.md")));
    // Case does not lead around it, and a folder goes through file by file.
    waiting(&drafter.put("/contracts/APPROVED/y.md", "x"));
    for how in ["move", "copy"] {
        let refused = drafter.carry(how, "/contracts/drafts", &format!("{gated}/all"));
        refused.refuses(403, "crosses_gate");
        let refused = refused.json();
        assert!(text(&refused, "detail").contains("gt_") && text(&refused, "hint").contains("one by one"));
    }
    let listed = lena.items("/v1/list/contracts/approved");
    assert_eq!(listed.len(), 1, "{listed:?}");
    assert_eq!(lena.read(APPROVED).text(), "approved twice\n");
}

#[test]
fn a_folder_is_made_behind_a_gate_and_what_many_files_cross_says_so() {
    let server = start();
    let House { admin, drafter, lena, .. } = house(&server);
    let made = drafter.post("/v1/folders", &json!({"path": "/contracts/approved/2026/"})).is(201).json();
    assert_eq!((text(&made, "path"), &made["created"]), ("/contracts/approved/2026", &json!(true)), "{made}");
    assert!(made["seq"].is_string() && made["version"].is_null(), "{made}");
    let client = Client::legacy(&server, "", &drafter.token);
    client.call("create_directory", json!({"path": "/contracts/approved/2027"}));
    assert_eq!(lena.items("/v1/list/contracts/approved").len(), 2);
    waiting(&drafter.put("/contracts/approved/2026/x.md", "x"));

    // A restore changes many files as one.
    let taken = admin.post("/v1/snapshots", &json!({"workspace": "contracts"})).is(201).json();
    lena.put(APPROVED, "approved\n").is(201);
    let restore = format!("/v1/snapshots/{}/restore", text(&taken, "id"));
    drafter.post(&restore, &json!({})).refuses(403, "crosses_gate");
    assert_eq!(lena.read(APPROVED).is(200).text(), "approved\n");
    // So does taking a folder away.
    drafter.delete("/v1/files/contracts/approved?recursive=true").refuses(403, "crosses_gate");
}

#[test]
fn a_gate_that_is_put_up_again_keeps_its_note() {
    let server = start();
    let admin = server.admin();
    let put = |body: Value| admin.post("/v1/gates", &body);
    let first = put(json!({"path": "/docs/kept/**", "note": "legal reads it"})).is(201).json();
    let again = put(json!({"path": "/docs/kept/**"})).is(200).json();
    assert_eq!(first, again);
    let noted = put(json!({"path": "/docs/kept/**", "note": "finance reads it"})).is(200).json();
    assert_eq!((text(&noted, "note"), &noted["id"]), ("finance reads it", &first["id"]));
    assert_eq!(admin.items("/v1/gates"), [noted]);
}

#[test]
fn a_gate_without_verbs_stands_before_every_change() {
    let server = start();
    let admin = server.admin();
    let agent = server.user("agent:a", &["list,read,write,delete /docs/**"]);
    agent.put("/docs/kept/k.md", "keep me\n").is(201);
    let gate = admin.post("/v1/gates", &json!({"path": "/docs/kept/**"})).is(201).json();
    assert_eq!(gate["verbs"], json!(["write", "delete"]), "{gate}");
    waiting(&agent.put("/docs/kept/new.md", "new\n"));
    waiting(&agent.delete("/v1/files/docs/kept/k.md"));
    assert_eq!(agent.read("/docs/kept/k.md").is(200).text(), "keep me\n");
}

#[test]
fn a_gate_before_delete_holds_what_stands_there() {
    let server = start();
    let admin = server.admin();
    admin.post("/v1/gates", &json!({"path": "/docs/kept/**", "verbs": ["delete"]})).is(201);
    let agent = server.user("agent:a", &["list,read,write,delete /docs/**"]);
    let kept = "/docs/kept/k.md";
    agent.put(kept, "keep me\n").is(201);
    let id = waiting(&agent.delete(&format!("/v1/files{kept}")));
    agent.delete("/v1/files/docs/kept?recursive=true").refuses(403, "crosses_gate");
    agent.carry("move", "/docs/kept", "/docs/away").refuses(403, "crosses_gate");
    // Taking it out is deleting it there, so it waits as well.
    waiting(&agent.carry("move", kept, "/docs/away.md"));
    assert_eq!(agent.read(kept).is(200).text(), "keep me\n");
    decide(&admin, &id, "grant").is(200);
    agent.read(kept).refuses(404, "not_found");
}

#[test]
fn a_search_for_what_is_approved_keeps_to_what_passed_a_gate() {
    let server = start();
    let House { admin, drafter, lena, signer } = house(&server);
    drafter.put(DRAFT, "The indemnity is a draft.\n").is(201);
    lena.put("/contracts/approved/one.md", "The indemnity is settled.\n").is(201);
    let seq =
        lena.put("/contracts/approved/two.md", "The indemnity is settled twice.\n").is(201).json()["seq"]
            .clone();
    let found = |user: &User<'_>, trust: Value| {
        let mut paths = user.found(json!({"query": "indemnity", "trust": trust}));
        paths.sort();
        paths
    };
    assert_eq!(lena.found(json!({"query": "indemnity", "wait_for_seq": seq})).len(), 3);
    let both = ["/contracts/approved/one.md", "/contracts/approved/two.md"];
    assert_eq!(found(&lena, json!("approved")), both);
    assert_eq!(found(&signer, json!("approved")), both);
    assert_eq!(text(&lena.get("/v1/info/contracts/approved/one.md").json(), "approved_by"), "human:lena");
    lena.post("/v1/search", &json!({"query": "x", "trust": "blind"})).refuses(400, "invalid_request");

    // Another program's edit has passed no gate, nor has a copy that was taken out.
    let file = server.folder.path().join("home/workspaces/contracts/approved/one.md");
    std::fs::write(file, "The indemnity was changed behind everybody's back.\n").unwrap();
    eventually("the edit is seen", || (found(&lena, json!("approved")) == both[1..]).then_some(()));
    let seq = drafter.carry("copy", both[1], "/contracts/drafts/two.md").is(200).json()["seq"].clone();
    assert_eq!(
        drafter.found(json!({"query": "indemnity", "wait_for_seq": seq, "trust": "approved"})),
        both[1..]
    );
    assert!(admin.get("/v1/info/contracts/drafts/two.md").is(200).json()["approved_by"].is_null());
}

#[test]
fn a_person_is_asked_about_something_and_the_asker_is_told() {
    let server = start();
    let House { admin, drafter, lena, signer } = house(&server);
    let put = drafter.put(DRAFT, "Both parties keep silent.\n").is(201).json();
    let request = json!({"path": DRAFT, "request": "May this go to the other side?"});
    signer.post("/v1/approvals", &request).refuses(404, "not_found");
    let asked = drafter.post("/v1/approvals", &request).is(201).json();
    let id = text(&asked, "id").to_owned();
    assert_eq!((text(&asked, "state"), text(&asked["act"], "act")), ("pending", "request"));
    assert_eq!(drafter.post("/v1/approvals", &request).is(201).json()["id"], id.as_str(), "once is enough");
    assert_eq!(
        text(&lena.get(&format!("/v1/approvals/{id}")).json()["act"], "reason"),
        "May this go to the other side?"
    );
    signer.get(&format!("/v1/approvals/{id}")).refuses(404, "not_found");
    decide(&drafter, &id, "grant").refuses(403, "own_request");
    assert_eq!(admin.items("/v1/approvals?state=pending").len(), 1);
    decide(&lena, &id, "grant").is(200);
    assert_eq!(state(&drafter, &id), "granted");
    let told =
        drafter.get(&format!("/v1/events/wait?after={}&kinds=approval.granted", text(&put, "seq"))).is(200);
    assert_eq!(told.json()["items"][0]["data"]["approval"], id.as_str());

    // What was shown is what is decided about.
    let second = json!({"path": DRAFT, "request": "And now?"});
    let id = text(&drafter.post("/v1/approvals", &second).is(201).json(), "id").to_owned();
    drafter.put(DRAFT, "Only one party keeps silent.\n").is(200);
    decide(&lena, &id, "grant").refuses(409, "approval_closed");
    assert_eq!(state(&drafter, &id), "stale");

    for empty in ["", "  \n"] {
        drafter
            .post("/v1/approvals", &json!({"path": DRAFT, "request": empty}))
            .refuses(400, "invalid_request");
    }
}

#[test]
fn an_agent_asks_and_looks_how_it_stands_over_mcp() {
    let server = start();
    let House { drafter, lena, .. } = house(&server);
    drafter.put(DRAFT, "Both parties keep silent.\n").is(201);
    let client = Client::modern_as(&server, &drafter.token);
    let call = |arguments: Value| client.call("request_approval", arguments);
    let (asked, failed) = call(json!({"path": DRAFT, "request": "Fine?"}));
    assert!(!failed, "{asked}");
    let id = text(&asked, "approval").to_owned();
    assert_eq!(text(&asked, "state"), "pending");
    decide(&lena, &id, "deny").is(200);
    let stands = json!({"approval": id, "state": "denied", "reason": "read it"});
    assert_eq!(call(json!({"approval": id})), (stands, false));
    assert!(call(json!({"approval": id, "path": DRAFT})).1);
}
