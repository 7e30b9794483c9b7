//! Takes the routes as they are declared, gives the router and its OpenAPI 3.1 document: what a handler's signature says
//! is told from the signature, the rest by the words beside the route.
//!
//! Nouns: [`Routes`] (a group of routes, served and described), [`About`] (what a signature can't say). MCP at `/mcp`
//! describes itself and stands in no document here.

mod about;
mod describe;
mod document;
#[cfg(test)]
mod tests;

use std::sync::{Arc, LazyLock};

use axum::Router;
use axum::handler::Handler;
use axum::http::{HeaderValue, Method, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodFilter, on};
use serde_json::Value;

pub use self::about::{About, about};
use self::describe::{Described, Parts, Schemas};
pub use self::document::operation_of;
use crate::serve::App;

/// Routes of one group of the document.
pub struct Routes {
    tag: &'static str,
    router: Router<Arc<App>>,
    operations: Vec<Operation>,
}

/// One method on one route.
pub struct Operation {
    /// Such as `GET`.
    pub method: Method,
    /// As axum writes it: `/v1/files/{*path}`.
    pub path: &'static str,
    /// The words beside it.
    pub about: About,
    tag: &'static str,
    handler: &'static str,
    describe: fn(&mut Schemas) -> Parts,
}

impl Routes {
    /// An empty group.
    pub fn new(tag: &'static str) -> Self {
        Self { tag, router: Router::new(), operations: Vec::new() }
    }

    /// Adds a `GET`, and the `HEAD` that comes with it.
    pub fn get<H, T, A>(self, path: &'static str, handler: H, about: impl Into<About>) -> Self
    where
        H: Handler<T, Arc<App>> + Described<A>,
        T: 'static,
    {
        self.add(MethodFilter::GET, Method::GET, path, handler, about.into())
    }

    /// Adds a `POST`.
    pub fn post<H, T, A>(self, path: &'static str, handler: H, about: impl Into<About>) -> Self
    where
        H: Handler<T, Arc<App>> + Described<A>,
        T: 'static,
    {
        self.add(MethodFilter::POST, Method::POST, path, handler, about.into())
    }

    /// Adds a `PUT`.
    pub fn put<H, T, A>(self, path: &'static str, handler: H, about: impl Into<About>) -> Self
    where
        H: Handler<T, Arc<App>> + Described<A>,
        T: 'static,
    {
        self.add(MethodFilter::PUT, Method::PUT, path, handler, about.into())
    }

    /// Adds a `PATCH`.
    pub fn patch<H, T, A>(self, path: &'static str, handler: H, about: impl Into<About>) -> Self
    where
        H: Handler<T, Arc<App>> + Described<A>,
        T: 'static,
    {
        self.add(MethodFilter::PATCH, Method::PATCH, path, handler, about.into())
    }

    /// Adds a `DELETE`.
    pub fn delete<H, T, A>(self, path: &'static str, handler: H, about: impl Into<About>) -> Self
    where
        H: Handler<T, Arc<App>> + Described<A>,
        T: 'static,
    {
        self.add(MethodFilter::DELETE, Method::DELETE, path, handler, about.into())
    }

    /// Both groups.
    pub fn merge(mut self, other: Self) -> Self {
        self.router = self.router.merge(other.router);
        self.operations.extend(other.operations);
        self
    }

    /// What is served.
    pub fn router(self) -> Router<Arc<App>> {
        self.router
    }

    fn add<H, T, A>(
        mut self,
        filter: MethodFilter,
        method: Method,
        path: &'static str,
        handler: H,
        about: About,
    ) -> Self
    where
        H: Handler<T, Arc<App>> + Described<A>,
        T: 'static,
    {
        let name = std::any::type_name::<H>();
        self.router = self.router.route(path, on(filter, handler));
        let describe = <H as Described<A>>::describe;
        self.operations.push(Operation { method, path, about, tag: self.tag, handler: name, describe });
        self
    }
}

/// Every operation: first those that need no token.
static OPERATIONS: LazyLock<(Vec<Operation>, usize)> = LazyLock::new(|| {
    let mut operations = super::open_routes().operations;
    let n_open = operations.len();
    operations.extend(super::guarded_routes().operations);
    (operations, n_open)
});

/// The document.
pub static DOCUMENT: LazyLock<Value> = LazyLock::new(|| {
    let (operations, n_open) = &*OPERATIONS;
    document::assemble(operations, *n_open)
});

static TEXT: LazyLock<(String, HeaderValue)> = LazyLock::new(|| {
    let text = DOCUMENT.to_string();
    let tag = format!("\"{}\"", &blake3_hex(&text)[..32]);
    (text, HeaderValue::from_str(&tag).expect("hexadecimal digits are plain text"))
});

fn blake3_hex(text: &str) -> String {
    waypost_engine::id::VersionId::of(text.as_bytes()).to_string()
}

/// `GET /openapi.json`.
pub async fn document() -> Response {
    let (text, tag) = &*TEXT;
    let kind = HeaderValue::from_static("application/json");
    let fresh = HeaderValue::from_static("no-cache");
    let headers = [(header::CONTENT_TYPE, kind), (header::CACHE_CONTROL, fresh), (header::ETAG, tag.clone())];
    (headers, text.as_str()).into_response()
}

/// `GET /docs`: the document for people, from this server alone.
pub async fn docs() -> Response {
    page(include_str!("docs.html"), "text/html; charset=utf-8")
}

/// `GET /docs/docs.js`.
pub async fn docs_script() -> Response {
    page(include_str!("docs.js"), "text/javascript; charset=utf-8")
}

/// `GET /docs/docs.css`.
pub async fn docs_style() -> Response {
    page(include_str!("docs.css"), "text/css; charset=utf-8")
}

fn page(text: &'static str, kind: &'static str) -> Response {
    const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; base-uri 'none'; \
                          form-action 'none'; frame-ancestors 'none'";
    let headers = [
        (header::CONTENT_TYPE, kind),
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::CACHE_CONTROL, "no-cache"),
    ];
    (headers, text).into_response()
}
