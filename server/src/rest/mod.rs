//! Takes HTTP, gives JSON: one file per resource, each a thin translation of one call of the engine.
//!
//! Nouns: `Body`, `Params` and `FilePath`: what a request carries, with every unknown name refused.

mod access;
mod agents;
mod answers;
mod approvals;
mod audit;
mod backup;
mod budgets;
mod consumers;
mod events;
mod extract;
mod files;
mod health;
mod import;
mod indexed;
mod locks;
mod memory;
pub mod openapi;
mod range;
pub mod repeats;
mod routing;
mod sign;
mod snapshots;
mod tasks;
mod texts;
mod tools;
mod traces;
pub mod unchanged;
mod webhooks;
mod workspaces;

use axum::http::{Method, StatusCode, Uri};
use axum::response::Html;
use serde_json::{Map, Value, json};
use waypost_engine::api::{AskReply, ImportReply, SearchReply, WriteReply};

pub use self::answers::MAX_CITATIONS;
pub(crate) use self::extract::Path;
use self::openapi::{Routes, about};
pub use self::workspaces::list_key;
use crate::console;
use crate::problem::Problem;

/// Routes that need no token, for they tell nothing.
pub fn open_routes() -> Routes {
    Routes::new("about")
        .get("/", console::index, about("The console, for people").media(&["text/html"]))
        .get(
            "/console/{*file}",
            console::file,
            about("What the console is made of").answers(&[200, 304]).media(&["*/*"]),
        )
        .get("/healthz", health::alive, "Whether the process answers")
        .get("/readyz", health::ready, "Whether the home is open and the server is not stopping")
        .get("/openapi.json", openapi::document, about("This document").gives::<Map<String, Value>>())
        .get("/docs/routes", index, about("The routes on one page").media(&["text/html"]))
        .get("/docs", openapi::docs, about("This document, for people").media(&["text/html"]))
        .get("/docs/", openapi::docs, about("The same").media(&["text/html"]))
        .get("/docs/docs.js", openapi::docs_script, about("Its script").media(&["text/javascript"]))
        .get("/docs/docs.css", openapi::docs_style, about("Its style").media(&["text/css"]))
}

/// Routes that act for a principal.
pub fn guarded_routes() -> Routes {
    knowledge_routes()
        .merge(memory_routes())
        .merge(file_routes())
        .merge(tree_routes())
        .merge(import_routes())
        .merge(state_routes())
        .merge(event_routes())
        .merge(webhook_routes())
        .merge(task_routes())
        .merge(consumer_routes())
        .merge(routing_routes())
        .merge(tool_routes())
        .merge(access_routes())
        .merge(grant_routes())
        .merge(approval_routes())
        .merge(budget_routes())
        .merge(observe_routes())
}

fn knowledge_routes() -> Routes {
    let search = about("Ranked passages with citations")
        .only_reads()
        .gives::<SearchReply>()
        .example(json!({"query": "how long are invoices kept", "mode": "hybrid", "limit": 5}));
    let ask = about("A cited answer, or an honest none")
        .only_reads()
        .gives::<AskReply>()
        .media(&["text/event-stream"])
        .example(json!({"question": "How long are invoices kept?"}));
    Routes::new("knowledge")
        .post("/v1/search", answers::search, search)
        .post("/v1/ask", answers::ask, ask)
        .post("/v1/citations/verify", answers::verify, about("Whether citations still hold").only_reads())
}

fn memory_routes() -> Routes {
    let remember = about("Keeps a note; says what is known like it").answers(&[200, 201]).example(json!({
        "text": "Refunds above 500 euros are approved by Marguerite Holt.", "workspace": "docs", "topic": "refunds",
    }));
    let recall = about("Notes and messages that bear on a query, with citations")
        .only_reads()
        .example(json!({"query": "who approves refunds", "limit": 5}));
    let append = about("Appends messages to a thread").creates().example(json!({
        "workspace": "docs", "role": "user", "text": "Who approves refunds?",
    }));
    Routes::new("memory")
        .get("/v1/memory", memory::all, "Notes and threads that may be read")
        .post("/v1/memory/remember", memory::remember, remember)
        .post("/v1/memory/recall", memory::recall, recall)
        .post("/v1/memory/forget", memory::forget, "Forgets a note or a thread")
        .get("/v1/memory/threads/{thread}", memory::thread, "The last messages of a thread that fit")
        .post("/v1/memory/threads/{thread}/messages", memory::append, append)
}

fn file_routes() -> Routes {
    let read = about("A file's bytes")
        .answers(&[200, 206, 304])
        .media(&["*/*"])
        .header("Range", "a part of the bytes: `bytes=0-99`")
        .header("If-None-Match", "answer 304 where this is still the version")
        .header("If-Match", "answer only this version");
    let write = about("Writes a file").answers(&[200, 201]).gives::<WriteReply>().conditions();
    let append = about("Adds bytes at a file's end").answers(&[200, 201]).gives::<WriteReply>().conditions();
    let edit = about("Replaces exact texts in a file").example(
        json!({"path": "/docs/a.md", "edits": [{"old_text": "teh", "new_text": "the"}], "dry_run": true}),
    );
    let carry =
        |summary| about(summary).conditions().example(json!({"from": "/docs/a.md", "to": "/docs/b.md"}));
    Routes::new("files")
        .get("/v1/files/{*path}", files::read, read)
        .put("/v1/files/{*path}", files::write, write)
        .delete("/v1/files/{*path}", files::delete, about("Deletes a file or a folder").conditions())
        .post("/v1/append/{*path}", files::append, append)
        .post("/v1/edit", files::edit, edit)
        .post("/v1/move", files::move_path, carry("Moves a file or a folder, atomically"))
        .post("/v1/copy", files::copy_path, carry("Copies a file or a folder"))
        .post("/v1/restore", files::restore, "Brings an older version back")
        .post("/v1/folders", files::create_folder, about("Makes a folder").answers(&[200, 201]))
}

fn import_routes() -> Routes {
    let import = about("Fetches a URL into a path, or the pages of a section into a folder")
        .answers(&[200, 201])
        .gives::<ImportReply>()
        .conditions()
        .example(json!({"url": "https://example.com/handbook.pdf", "path": "/notes/handbook.pdf"}));
    Routes::new("files").post("/v1/import", import::import, import)
}

fn tree_routes() -> Routes {
    Routes::new("files")
        .get("/v1/text/{*path}", texts::read, "A file's text, in which citations count, with its pages")
        .get("/v1/info/{*path}", files::info, "What is known of a path")
        .get("/v1/tree/{*path}", files::tree, "Everything below a folder, to a depth")
        .get("/v1/find", files::find, "Paths by a pattern of names")
        .get("/v1/versions/{*path}", files::versions, "A file's versions, newest first")
        .get("/v1/diff/{*path}", files::diff, "What changed between two versions")
        .get("/v1/list", workspaces::list_top, "The workspaces, as folders")
        .get("/v1/list/", workspaces::list_top, "The same")
        .get("/v1/list/{*path}", workspaces::list, "What stands in a folder")
}

fn state_routes() -> Routes {
    let create = about("Makes a workspace, or attaches a folder of the machine").creates();
    let take = about("Keeps the state of one workspace, or of all").creates();
    let prune = about("Forgets old versions").example(json!({"versions": 10, "dry_run": true}));
    Routes::new("state")
        .get("/v1/workspaces", workspaces::all, "The workspaces")
        .post("/v1/workspaces", workspaces::create, create.example(json!({"name": "docs"})))
        .get("/v1/workspaces/{ws}", workspaces::one, "One workspace")
        .patch("/v1/workspaces/{ws}", workspaces::update, "Turns `intelligence` on or off")
        .delete(
            "/v1/workspaces/{ws}",
            workspaces::remove,
            "Lets a workspace go; one that is no attached folder goes with its files, unless `files=keep`",
        )
        .get("/v1/index/{*path}", indexed::all, "What the index has of the files below a path")
        .get("/v1/locks", locks::all, "The locks")
        .post("/v1/locks", locks::take, about("Takes a lock on a path or a pattern").creates())
        .get("/v1/locks/{id}", locks::one, "One lock")
        .delete("/v1/locks/{id}", locks::release, "Gives a lock back")
        .post("/v1/locks/{id}/heartbeat", locks::heartbeat, "Keeps a lock longer")
        .get("/v1/snapshots", snapshots::all, "The snapshots")
        .post("/v1/snapshots", snapshots::take, take.example(json!({"workspace": "docs", "name": "before"})))
        .get("/v1/snapshots/diff", snapshots::diff_states, "What differs between two states of a workspace")
        .get("/v1/snapshots/{id}", snapshots::one, "One snapshot, by its id or name")
        .delete("/v1/snapshots/{id}", snapshots::remove, "Forgets a snapshot")
        .post("/v1/snapshots/{id}/restore", snapshots::restore, "Brings a workspace back to it")
        .post("/v1/snapshots/{id}/clone", snapshots::clone, about("Makes a workspace of it").creates())
        .get("/v1/snapshots/{id}/export", snapshots::export, about("As a tar").media(&["application/x-tar"]))
        .get("/v1/snapshots/{id}/diff", snapshots::diff, "What changed since, or up to another one")
        .post("/v1/prune", snapshots::prune, prune)
}

fn event_routes() -> Routes {
    let stream = about("Server-sent events, from now on or from a place on")
        .media(&["text/event-stream"])
        .header("Last-Event-ID", "the `seq` after which to go on");
    let publish = about("Publishes to a topic of a workspace")
        .creates()
        .example(json!({"workspace": "docs", "data": {"build": 7}}));
    Routes::new("events")
        .get("/v1/events", events::stream, stream)
        .get("/v1/events/wait", events::wait, "Waits for events: a long poll")
        .post("/v1/topics/{*topic}", events::publish, publish)
}

fn webhook_routes() -> Routes {
    let create = about("Tells a URL of events; the secret is shown once").creates().secret().example(
        json!({"url": "https://example.com/hook", "paths": ["/docs/**"], "kinds": ["file.created"]}),
    );
    Routes::new("webhooks")
        .get("/v1/webhooks", webhooks::all, "The webhooks")
        .post("/v1/webhooks", webhooks::create, create)
        .get("/v1/webhooks/{id}", webhooks::one, "One webhook")
        .patch("/v1/webhooks/{id}", webhooks::change, "Changes, pauses or resumes a webhook")
        .delete("/v1/webhooks/{id}", webhooks::remove, "Removes a webhook")
        .post("/v1/webhooks/{id}/rotate", webhooks::rotate, about("A new secret, shown once").secret())
        .post("/v1/webhooks/{id}/ping", webhooks::ping, "Sends a test now, and says what came back")
        .post("/v1/webhooks/{id}/replay", webhooks::replay, about("Sends a range again").answers(&[202]))
        .get("/v1/webhooks/{id}/deliveries", webhooks::deliveries, "What arrived, newest first")
        .post(
            "/v1/webhooks/{id}/deliveries/{delivery}/replay",
            webhooks::replay_one,
            about("Sends one delivery again").answers(&[202]),
        )
}

fn task_routes() -> Routes {
    let create =
        about("Makes a task").creates().example(json!({"workspace": "docs", "title": "Write the notes"}));
    Routes::new("tasks")
        .get("/v1/tasks", tasks::all, "The tasks")
        .post("/v1/tasks", tasks::create, create)
        .get("/v1/tasks/{id}", tasks::one, "One task")
        .post("/v1/tasks/claim", tasks::claim, "Takes a task under a lease, or null; may wait for one")
        .post("/v1/tasks/heartbeat", tasks::heartbeat, "Keeps the lease longer")
        .post("/v1/tasks/complete", tasks::complete, "Hands in the result")
        .post("/v1/tasks/fail", tasks::fail, "Gives up, or asks for another try")
        .post("/v1/tasks/reject", tasks::reject, "Sends a result back")
        .post("/v1/tasks/accept", tasks::accept, "Accepts a result")
        .post("/v1/tasks/cancel", tasks::cancel, "Calls a task off")
        .get("/v1/agents/{id}/inbox", tasks::inbox, "What lies before an agent")
}

fn consumer_routes() -> Routes {
    Routes::new("events")
        .get("/v1/consumers", consumers::all, "The groups of a topic")
        .delete("/v1/consumers", consumers::remove, "Forgets a group")
        .post("/v1/consumers/fetch", consumers::fetch, about("Events for a member of a group").only_reads())
        .post("/v1/consumers/ack", consumers::ack, "Says that events are done with")
}

fn routing_routes() -> Routes {
    let put = about("Registers an agent by its card, Waypost's own or A2A's").answers(&[200, 201]).example(json!({
        "name": "Writer", "description": "Writes release notes", "examples": ["write the notes of this week"],
    }));
    let route = about("The agent or tool that can do it, a question, or none")
        .only_reads()
        .example(json!({"intent": "write the release notes", "limit": 3}));
    Routes::new("routing")
        .get("/v1/agents", agents::all, "The agents")
        .get("/v1/agents/{id}", agents::one, "One agent")
        .put("/v1/agents/{id}", agents::put, put)
        .delete("/v1/agents/{id}", agents::remove, "Removes an agent")
        .post("/v1/route", routing::route, route)
        .post("/v1/route/explain", routing::explain, about("Why this one, and why not that one").only_reads())
        .post("/v1/route/lint", routing::lint, about("What is wrong with the registry").only_reads())
        .get("/v1/route/feedback", routing::lessons, "What was learned")
        .post("/v1/route/feedback", routing::feedback, "Says which route was right")
        .delete("/v1/route/feedback/{id}", routing::forget, "Takes a lesson back")
        .post("/v1/dispatch", routing::dispatch, about("Hands an intent to an agent").creates())
}

fn tool_routes() -> Routes {
    let put = about("Declares a tool that no server has, or says what a tool costs and how it is shown")
        .answers(&[200, 201])
        .example(json!({
            "description": "Charges a customer's card", "examples": ["charge the card on file"], "usd_per_call": 0.02,
        }));
    let call = about("Calls a tool").takes::<tools::CallRequest>().example(json!({"arguments": {}}));
    Routes::new("tools")
        .get("/v1/tools", tools::all, "The tools of other servers, and those that were declared")
        .get("/v1/tools/{id}", tools::one, "One tool, as it was approved")
        .put("/v1/tools/{id}", tools::put, put)
        .delete("/v1/tools/{id}", tools::forget, "Forgets a tool that is gone, or that was declared")
        .post("/v1/tools/{id}/call", tools::call, call)
        .get("/v1/upstreams", tools::servers, "The servers of tools, and how they are")
}

fn access_routes() -> Routes {
    let put =
        about("Makes or changes a principal").answers(&[200, 201]).example(json!({"id": "agent:writer"}));
    let issue = about("A new token; its secret is shown once").creates().secret();
    let open = about("Signs a browser in to the console, with a cookie and a key for its header")
        .creates()
        .gives::<sign::Opened>();
    let close = about("Signs out").answers(&[204]);
    Routes::new("access")
        .get("/v1/session", sign::one, "Who is signed in, and until when")
        .post("/v1/session", sign::open, open.secret())
        .delete("/v1/session", sign::close, close)
        .get("/v1/whoami", access::whoami, "Who the token stands for")
        .get("/v1/principals", access::principals, "The principals")
        .post("/v1/principals", access::put_principal, put)
        .get("/v1/principals/{id}", access::principal, "One principal")
        .delete("/v1/principals/{id}", access::remove_principal, "Removes a principal and all its rights")
        .get("/v1/groups", access::groups, "The groups")
        .put("/v1/groups/{id}", access::put_group, "Says who is in a group")
        .delete("/v1/groups/{id}", access::remove_group, "Empties a group")
        .get("/v1/tokens", access::tokens, "The tokens, without their secrets")
        .post("/v1/tokens", access::issue_token, issue.example(json!({"principal": "agent:writer"})))
        .get("/v1/tokens/{id}", access::token, "One token, without its secret")
        .delete("/v1/tokens/{id}", access::revoke_token, "Revokes a token")
}

fn grant_routes() -> Routes {
    let put = about("Allows or denies something")
        .answers(&[200, 201])
        .example(json!({"to": "agent:writer", "path": "/docs/**", "verbs": ["list", "read"]}));
    let gate = about("Changes below it need an approval")
        .answers(&[200, 201])
        .example(json!({"path": "/docs/published/**"}));
    let policy = |summary| about(summary).takes_media("text/plain");
    Routes::new("access")
        .get("/v1/grants", access::grants, "The grants")
        .post("/v1/grants", access::put_grant, put)
        .get("/v1/grants/explain", access::explain, "Which rule decides")
        .get("/v1/grants/{id}", access::grant, "One grant")
        .delete("/v1/grants/{id}", access::remove_grant, "Removes a grant")
        .get("/v1/gates", access::gates, "The gates")
        .post("/v1/gates", access::put_gate, gate)
        .delete("/v1/gates/{id}", access::remove_gate, "Removes a gate")
        .put("/v1/policy", access::apply_policy, policy("Who may do what, as one file"))
        .post("/v1/policy/diff", access::diff_policy, policy("What such a file would change").only_reads())
}

fn approval_routes() -> Routes {
    let decide = about("Grants or denies").example(json!({"decision": "grant", "reason": "looks right"}));
    let request = about("Asks a person to decide about something")
        .creates()
        .example(json!({"path": "/contracts/drafts/nda.md", "request": "May this go out as it is?"}));
    Routes::new("access")
        .get("/v1/approvals", approvals::all, "What waits for somebody with `approve`, and what did")
        .post("/v1/approvals", approvals::request, request)
        .get("/v1/approvals/{id}", approvals::one, "One approval")
        .post("/v1/approvals/{id}", approvals::decide, decide)
        .delete("/v1/approvals/{id}", approvals::withdraw, "Takes one's own request back")
        .post("/v1/approvals/{id}/grant", approvals::grant, "Grants, and does it")
        .post("/v1/approvals/{id}/deny", approvals::deny, "Denies")
        .post("/v1/approvals/{id}/approve", approvals::approve, "The same as `grant`")
        .post("/v1/approvals/{id}/reject", approvals::reject, "The same as `deny`")
}

fn budget_routes() -> Routes {
    let put = about("What may be spent")
        .answers(&[200, 201])
        .example(json!({"holder": "agent:writer", "limits": {"usd": "1.50"}}));
    Routes::new("budgets")
        .get("/v1/budgets", budgets::all, "The budgets, and what is left of them")
        .post("/v1/budgets", budgets::put, put)
        .get("/v1/budgets/{id}", budgets::one, "One budget")
        .delete("/v1/budgets/{id}", budgets::remove, "Removes a budget")
        .get("/v1/usage", budgets::usage, "What was used")
}

fn observe_routes() -> Routes {
    Routes::new("observability")
        .get("/v1/traces", traces::all, "Who handed what to whom")
        .get("/v1/traces/{id}", traces::one, "One trace")
        .get("/v1/audit", audit::list, "What was done and refused, oldest first")
        .get("/v1/audit/export", audit::export, about("The same, as lines").media(&["application/x-ndjson"]))
        .get("/v1/audit/verify", audit::verify, "Whether the chain holds")
        .post(
            "/v1/backup",
            backup::backup,
            about("The whole home as a tar, as it is now").only_reads().media(&["application/x-tar"]),
        )
        .get("/metrics", health::metrics, about("For Prometheus").media(&["text/plain"]))
}

/// Whatever is not declared above. Discovery paths of OAuth end here too, and must: a client that finds metadata
/// there drops the token it was given.
pub async fn unknown_route(method: Method, uri: Uri) -> Problem {
    let hint = match uri.path() {
        path if path.len() > 1 && path.ends_with('/') => {
            "routes have no `/` at their end; `/docs/routes` lists them"
        }
        _ => "`/docs/routes` lists the routes",
    };
    Problem {
        hint: Some(hint),
        ..Problem::not_found(format!("there is no route `{method} {}`", shown(&uri)))
    }
}

/// A route, asked in a way that it does not know; the `Allow` header says which it does.
pub async fn wrong_method(method: Method, uri: Uri) -> Problem {
    let detail = format!("`{}` does not take `{method}`", shown(&uri));
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", detail)
}

/// Of something that is there now: 201 where it was not before.
fn made(is_new: bool) -> StatusCode {
    if is_new { StatusCode::CREATED } else { StatusCode::OK }
}

fn shown(uri: &Uri) -> String {
    uri.path().chars().take(200).collect()
}

async fn index() -> Html<&'static str> {
    Html(include_str!("index.html"))
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_index_page_names_every_route() {
        let (index, source) = (include_str!("index.html"), include_str!("mod.rs"));
        let literals = source.split("\"/").skip(1).filter_map(|rest| rest.split('"').next());
        let routes: Vec<String> = literals
            .filter(|route| route.starts_with("v1/") && !route.ends_with('/'))
            .map(|route| format!("/{}", route.replace("{*", "{")))
            .collect();
        assert!(routes.len() > 40, "{routes:?}");
        for route in routes {
            assert!(index.contains(&format!(" {route}</code>")), "{route} is not on the index page");
        }
    }
}
