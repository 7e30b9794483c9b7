//! The console at `/`: pages of ours for people, which ask the public API and nothing else.
//!
//! Takes a request for a page, gives one of the files that are part of the program; the signing in that the pages need is in
//! [`sign`]. Nouns: [`Sign`] (who is signed in), `Asset` (a file, its kind and its tag). It knows no private route: what a
//! page shows, any client with the same token may read.

pub mod sign;

use std::collections::BTreeMap;
use std::sync::LazyLock;

use axum::body::Bytes;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use include_dir::{Dir, include_dir};
use waypost_engine::id::VersionId;

use crate::problem::Problem;
use crate::rest::{Path, unchanged};

pub use self::sign::Sign;

/// The pages, as they are; no step of a build changes them.
static WEB: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/src/console/web");

/// What a page may do: run our scripts, ask our server, show pictures that it has fetched itself, and nothing else.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; connect-src 'self'; \
                      frame-ancestors 'none'; base-uri 'none'; form-action 'self'";

struct Asset {
    kind: &'static str,
    tag: HeaderValue,
    bytes: &'static [u8],
}

/// By name below `web`, such as `app.js`.
static ASSETS: LazyLock<BTreeMap<String, Asset>> = LazyLock::new(|| {
    let mut assets = BTreeMap::new();
    let mut waiting = vec![&WEB];
    while let Some(folder) = waiting.pop() {
        waiting.extend(folder.dirs());
        for file in folder.files() {
            let name = file.path().to_string_lossy().into_owned();
            let hash = VersionId::of(file.contents()).to_string();
            let tag = HeaderValue::from_str(&format!("\"{}\"", &hash[..32]))
                .expect("hexadecimal digits are plain text");
            let asset = Asset { kind: kind_of(&name), tag, bytes: file.contents() };
            assets.insert(name, asset);
        }
    }
    assets
});

fn kind_of(name: &str) -> &'static str {
    match name.rsplit_once('.').map(|(_, ending)| ending) {
        Some("html") => "text/html; charset=utf-8",
        Some("js") => "text/javascript; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("svg") => "image/svg+xml",
        _ => "application/octet-stream",
    }
}

/// `GET /`.
pub async fn index(headers: HeaderMap) -> Response {
    answer("index.html", &headers)
}

/// `GET /console/{file…}`.
pub async fn file(Path(name): Path<String>, headers: HeaderMap) -> Response {
    answer(&name, &headers)
}

fn answer(name: &str, asked: &HeaderMap) -> Response {
    let Some(asset) = ASSETS.get(name) else {
        return Problem::not_found("the console has no such file").into_response();
    };
    let fixed = HeaderValue::from_static;
    let headers = [
        (header::CONTENT_TYPE, fixed(asset.kind)),
        (header::ETAG, asset.tag.clone()),
        // Asked for again each time, and then answered without a body: a newer program has newer pages.
        (header::CACHE_CONTROL, fixed("no-cache")),
        (header::CONTENT_SECURITY_POLICY, fixed(POLICY)),
        (header::X_CONTENT_TYPE_OPTIONS, fixed("nosniff")),
        (header::REFERRER_POLICY, fixed("no-referrer")),
        (header::HeaderName::from_static("cross-origin-opener-policy"), fixed("same-origin")),
        (header::HeaderName::from_static("cross-origin-resource-policy"), fixed("same-origin")),
    ];
    let known = asked.get(header::IF_NONE_MATCH);
    if known.is_some_and(|known| asset.tag.to_str().is_ok_and(|tag| unchanged::names(known, tag))) {
        return (StatusCode::NOT_MODIFIED, headers).into_response();
    }
    (headers, Bytes::from_static(asset.bytes)).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Ways from a text to a script or to markup; of none of them there is a use in the pages.
    const FORBIDDEN: [&str; 14] = [
        "innerHTML",
        "outerHTML",
        "insertAdjacentHTML",
        "createContextualFragment",
        "DOMParser",
        "parseHTMLUnsafe",
        "setHTMLUnsafe",
        "document.write",
        "eval(",
        "Function(",
        "srcdoc",
        "javascript:",
        "http://",
        "https://",
    ];

    #[test]
    fn no_page_can_turn_a_text_into_markup_or_asks_anybody_else() {
        assert!(ASSETS.len() > 10, "{}", ASSETS.len());
        for (name, asset) in &*ASSETS {
            let text = std::str::from_utf8(asset.bytes).unwrap();
            // The one name space that an SVG has to state; it is asked of nobody.
            let text = text.replace("http://www.w3.org/2000/svg", "");
            for forbidden in FORBIDDEN {
                assert!(!text.contains(forbidden), "{name} has `{forbidden}`");
            }
            for handler in [" onclick=", " onload=", " onerror=", " style=\"", "<style", "<script>"] {
                assert!(!text.contains(handler), "{name} has `{handler}`");
            }
            assert!(text.lines().count() < 400, "{name} is too long to be read");
        }
    }

    #[test]
    fn every_file_that_a_page_names_is_there() {
        for (name, asset) in &*ASSETS {
            let text = std::str::from_utf8(asset.bytes).unwrap();
            let folder = name.rsplit_once('/').map_or("", |(folder, _)| folder);
            let imported = text.split("from \"./").chain(text.split("import(\"./")).skip(1);
            for rest in imported.filter(|rest| rest.contains(".js\"")) {
                let Some((file, _)) = rest.split_once('"') else { continue };
                let path = if folder.is_empty() { file.to_owned() } else { format!("{folder}/{file}") };
                if file.ends_with(".js") && !file.contains(char::is_whitespace) {
                    assert!(ASSETS.contains_key(&path), "{name} imports {path}");
                }
            }
            for rest in text.split("\"/console/").skip(1) {
                let file = rest.split('"').next().unwrap();
                assert!(ASSETS.contains_key(file), "{name} names {file}");
            }
        }
    }
}
