/// One URL, one file: made, refreshed, gone on with.
mod single;

/// Addresses, redirects, sizes, rights: what is refused, and what is told of it.
mod refused;

/// A site's section as a folder.
mod sections;

/// Ending one, the tool, the command.
mod surfaces;

use std::net::SocketAddr;
use std::sync::Arc;

use serde_json::{Value, json};
use waypost_engine::api::{Lookup, Reach};

use crate::site::{Asked, ok};
use crate::support::{Reply, Server};
use crate::users::User;

/// Reaches 127.0.0.1 and nothing else that is private.
pub(super) fn server() -> Server {
    Server::start_quick("//- a.md\nAlpha.\n")
}

/// With names of the test's own, and these entries of `net.allow`.
pub(super) fn server_with_names(
    allow: &[&str],
    names: impl Fn(&str) -> Option<&'static str> + Send + Sync + 'static,
) -> Server {
    let lookup: Lookup = Arc::new(move |host, port| match names(host) {
        Some(ip) => Ok(vec![SocketAddr::new(ip.parse().unwrap(), port)]),
        None => Err(std::io::Error::other("the test knows no such name")),
    });
    let allow: Vec<String> = allow.iter().map(|entry| (*entry).to_owned()).collect();
    Server::start_as(
        |docs| std::fs::write(docs.join("a.md"), "Alpha.").unwrap(),
        |options| options.reach(Reach::new(&allow).unwrap()).lookup(lookup),
    )
}

pub(super) fn import(user: &User<'_>, url: &str, path: &str, more: Value) -> Reply {
    let mut body = json!({"url": url, "path": path});
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    user.post("/v1/import", &body)
}

#[track_caller]
pub(super) fn is_absent(server: &Server, path: &str) {
    assert_eq!(server.get(&format!("/v1/files{path}")).status, 404, "{path} was made");
}

pub(super) const PAGE: &str = "# Handbook\n\nInvoices are kept for ten years.\n";

/// Every `import.failed` that a principal is told of.
pub(super) fn failures_told(user: &User<'_>) -> Vec<Value> {
    use waypost_engine::api::EventFilter;
    let session = user.server.engine.session(&user.token).unwrap();
    let filter = EventFilter::new(&[], &["import.failed".to_owned()]).unwrap();
    let page = session.events(None, &filter, 100).unwrap();
    page.items.iter().map(|event| serde_json::to_value(event).unwrap()).collect()
}

/// Answers by its tag: 304 for who has it already.
pub(super) fn tagged(tag: &'static str, body: &'static str) -> impl Fn(&Asked) -> String {
    move |asked| match asked.header("if-none-match") {
        Some(known) if known == tag => {
            format!("HTTP/1.1 304 Same\r\netag: {tag}\r\nconnection: close\r\n\r\n")
        }
        _ => ok("text/plain", &format!("etag: {tag}\r\n"), body),
    }
}

pub(super) const SECTION: &[(&str, &str, &str)] = &[
    ("/robots.txt", "text/plain", "User-agent: *\nDisallow: /docs/private\nDisallow: /docs/internal/\n"),
    (
        "/docs/",
        "text/html",
        "<html><title>Docs</title><a href='guide/'>Guide</a><a href='a.html#top'>A</a><a href='/docs/a.html'>A again</a>\
         <a href='private.html'>P</a><a href='/elsewhere'>E</a><a href='gone.html'>G</a><a href='manual.pdf'>M</a>\
         <a href='mailto:x@example.com'>mail</a><a href='http://other.example/docs/'>O</a></html>",
    ),
    ("/docs/a.html", "text/html", "<html><a href='/docs/'>back</a><a href='guide/'>g</a></html>"),
    ("/docs/guide/", "text/html", "<html><a href='../a.html'>a</a><a href='start'>start</a></html>"),
    (
        "/docs/guide/start",
        "text/html",
        "<html><p>Begin here with the walrus.</p><a href='start'>me</a></html>",
    ),
    ("/docs/manual.pdf", "application/pdf", "%PDF-1.7\nmanual"),
    ("/docs/private.html", "text/html", "<html>private</html>"),
    ("/elsewhere", "text/html", "<html>elsewhere</html>"),
];
