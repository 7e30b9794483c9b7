//! Takes HTTP, gives JSON: one file per resource, each a thin translation of one call of the engine.
//!
//! Nouns: `Body`, `Params` and `FilePath`: what a request carries, with every unknown name refused.

mod access;
mod agents;
mod answers;
mod approvals;
mod audit;
mod budgets;
mod consumers;
mod events;
mod extract;
mod files;
mod health;
mod locks;
mod range;
mod routing;
mod snapshots;
mod tasks;
mod tools;
mod traces;
mod webhooks;
mod workspaces;

use std::sync::Arc;

use axum::Router;
use axum::http::{Method, StatusCode, Uri};
use axum::response::Html;
use axum::routing::{get, post};

pub use self::answers::MAX_CITATIONS;
pub use self::workspaces::list_key;
use crate::problem::Problem;
use crate::serve::App;

/// Routes that need no token, for they tell nothing.
pub fn open_routes() -> Router<Arc<App>> {
    Router::new()
        .route("/", get(index))
        .route("/healthz", get(health::alive))
        .route("/readyz", get(health::ready))
}

/// Routes that act for a principal.
pub fn guarded_routes() -> Router<Arc<App>> {
    Router::new()
        .route("/v1/search", post(answers::search))
        .route("/v1/ask", post(answers::ask))
        .route("/v1/citations/verify", post(answers::verify))
        .merge(file_routes())
        .merge(state_routes())
        .merge(webhook_routes())
        .merge(task_routes())
        .merge(routing_routes())
        .merge(tool_routes())
        .merge(access_routes())
        .route("/metrics", get(health::metrics))
}

fn file_routes() -> Router<Arc<App>> {
    Router::new()
        .route("/v1/files/{*path}", get(files::read).put(files::write).delete(files::delete))
        .route("/v1/append/{*path}", post(files::append))
        .route("/v1/edit", post(files::edit))
        .route("/v1/move", post(files::move_path))
        .route("/v1/copy", post(files::copy_path))
        .route("/v1/restore", post(files::restore))
        .route("/v1/folders", post(files::create_folder))
        .route("/v1/info/{*path}", get(files::info))
        .route("/v1/tree/{*path}", get(files::tree))
        .route("/v1/find", get(files::find))
        .route("/v1/versions/{*path}", get(files::versions))
        .route("/v1/diff/{*path}", get(files::diff))
        .route("/v1/list", get(workspaces::list_top))
        .route("/v1/list/", get(workspaces::list_top))
        .route("/v1/list/{*path}", get(workspaces::list))
}

fn state_routes() -> Router<Arc<App>> {
    Router::new()
        .route("/v1/workspaces", get(workspaces::all).post(workspaces::create))
        .route(
            "/v1/workspaces/{ws}",
            get(workspaces::one).patch(workspaces::update).delete(workspaces::remove),
        )
        .route("/v1/locks", get(locks::all).post(locks::take))
        .route("/v1/locks/{id}", axum::routing::delete(locks::release))
        .route("/v1/locks/{id}/heartbeat", post(locks::heartbeat))
        .route("/v1/snapshots", get(snapshots::all).post(snapshots::take))
        .route("/v1/snapshots/{id}", axum::routing::delete(snapshots::remove))
        .route("/v1/snapshots/{id}/restore", post(snapshots::restore))
        .route("/v1/snapshots/{id}/clone", post(snapshots::clone))
        .route("/v1/snapshots/{id}/export", get(snapshots::export))
        .route("/v1/snapshots/{id}/diff", get(snapshots::diff))
        .route("/v1/prune", post(snapshots::prune))
        .route("/v1/events", get(events::stream))
        .route("/v1/events/wait", get(events::wait))
        .route("/v1/topics/{*topic}", post(events::publish))
}

fn webhook_routes() -> Router<Arc<App>> {
    Router::new()
        .route("/v1/webhooks", get(webhooks::all).post(webhooks::create))
        .route("/v1/webhooks/{id}", get(webhooks::one).patch(webhooks::change).delete(webhooks::remove))
        .route("/v1/webhooks/{id}/rotate", post(webhooks::rotate))
        .route("/v1/webhooks/{id}/ping", post(webhooks::ping))
        .route("/v1/webhooks/{id}/replay", post(webhooks::replay))
        .route("/v1/webhooks/{id}/deliveries", get(webhooks::deliveries))
        .route("/v1/webhooks/{id}/deliveries/{delivery}/replay", post(webhooks::replay_one))
}

fn task_routes() -> Router<Arc<App>> {
    Router::new()
        .route("/v1/tasks", get(tasks::all).post(tasks::create))
        .route("/v1/tasks/{id}", get(tasks::one))
        .route("/v1/tasks/claim", post(tasks::claim))
        .route("/v1/tasks/heartbeat", post(tasks::heartbeat))
        .route("/v1/tasks/complete", post(tasks::complete))
        .route("/v1/tasks/fail", post(tasks::fail))
        .route("/v1/tasks/reject", post(tasks::reject))
        .route("/v1/tasks/accept", post(tasks::accept))
        .route("/v1/tasks/cancel", post(tasks::cancel))
        .route("/v1/agents/{id}/inbox", get(tasks::inbox))
        .route("/v1/consumers", get(consumers::all).delete(consumers::remove))
        .route("/v1/consumers/fetch", post(consumers::fetch))
        .route("/v1/consumers/ack", post(consumers::ack))
}

fn routing_routes() -> Router<Arc<App>> {
    Router::new()
        .route("/v1/agents", get(agents::all))
        .route("/v1/agents/{id}", get(agents::one).put(agents::put).delete(agents::remove))
        .route("/v1/route", post(routing::route))
        .route("/v1/route/explain", post(routing::explain))
        .route("/v1/route/lint", post(routing::lint))
        .route("/v1/route/feedback", get(routing::lessons).post(routing::feedback))
        .route("/v1/route/feedback/{id}", axum::routing::delete(routing::forget))
        .route("/v1/dispatch", post(routing::dispatch))
}

fn tool_routes() -> Router<Arc<App>> {
    Router::new()
        .route("/v1/tools", get(tools::all))
        .route("/v1/tools/{id}", get(tools::one).put(tools::configure).delete(tools::forget))
        .route("/v1/tools/{id}/call", post(tools::call))
        .route("/v1/upstreams", get(tools::servers))
}

fn access_routes() -> Router<Arc<App>> {
    Router::new()
        .route("/v1/whoami", get(access::whoami))
        .route("/v1/principals", get(access::principals).post(access::put_principal))
        .route("/v1/principals/{id}", axum::routing::delete(access::remove_principal))
        .route("/v1/groups", get(access::groups))
        .route("/v1/groups/{id}", axum::routing::put(access::put_group).delete(access::remove_group))
        .route("/v1/tokens", get(access::tokens).post(access::issue_token))
        .route("/v1/tokens/{id}", axum::routing::delete(access::revoke_token))
        .route("/v1/grants", get(access::grants).post(access::put_grant))
        .route("/v1/grants/explain", get(access::explain))
        .route("/v1/grants/{id}", axum::routing::delete(access::remove_grant))
        .route("/v1/gates", get(access::gates).post(access::put_gate))
        .route("/v1/gates/{id}", axum::routing::delete(access::remove_gate))
        .route("/v1/policy", axum::routing::put(access::apply_policy))
        .route("/v1/policy/diff", post(access::diff_policy))
        .route("/v1/approvals", get(approvals::all))
        .route("/v1/approvals/{id}", get(approvals::one).post(approvals::decide).delete(approvals::withdraw))
        .route("/v1/approvals/{id}/grant", post(approvals::grant))
        .route("/v1/approvals/{id}/deny", post(approvals::deny))
        .route("/v1/budgets", get(budgets::all).post(budgets::put))
        .route("/v1/budgets/{id}", get(budgets::one).delete(budgets::remove))
        .route("/v1/usage", get(budgets::usage))
        .route("/v1/traces", get(traces::all))
        .route("/v1/traces/{id}", get(traces::one))
        .route("/v1/audit", get(audit::list))
        .route("/v1/audit/export", get(audit::export))
        .route("/v1/audit/verify", get(audit::verify))
}

/// Whatever is not declared above. Discovery paths of OAuth end here too, and must: a client that finds metadata
/// there drops the token it was given.
pub async fn unknown_route(method: Method, uri: Uri) -> Problem {
    Problem {
        hint: Some("`/` lists the routes"),
        ..Problem::not_found(format!("there is no route `{method} {}`", shown(&uri)))
    }
}

/// A route, asked in a way that it does not know; the `Allow` header says which it does.
pub async fn wrong_method(method: Method, uri: Uri) -> Problem {
    let detail = format!("`{}` does not take `{method}`", shown(&uri));
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", detail)
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
