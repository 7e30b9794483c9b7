//! Takes HTTP, gives JSON: one file per resource, each a thin translation of one call of the engine.
//!
//! Nouns: `Body`, `Params` and `FilePath`: what a request carries, with every unknown name refused.

mod answers;
mod extract;
mod files;
mod health;
mod range;
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
        .route("/v1/files/{*path}", get(files::read))
        .route("/v1/list", get(workspaces::list_top))
        .route("/v1/list/", get(workspaces::list_top))
        .route("/v1/list/{*path}", get(workspaces::list))
        .route("/v1/workspaces", get(workspaces::all))
        .route("/v1/workspaces/{ws}", get(workspaces::one))
        .route("/metrics", get(health::metrics))
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
