//! Files as resources, `waypost:///<workspace>/<path>`: listed, read, and followed on the journal.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use percent_encoding::{AsciiSet, CONTROLS, percent_decode_str, utf8_percent_encode};
use rmcp::model::{
    CacheScope, ErrorData, ListResourceTemplatesResult, ListResourcesResult, ReadResourceResult, Resource,
    ResourceContents, ResourceTemplate,
};
use tokio::sync::watch;
use tokio_util::sync::{CancellationToken, DropGuard};
use waypost_engine::api::{Engine, EventFilter, EventInfo, EventsPage, FindRequest, Session};
use waypost_engine::text::named_type;

use crate::blocking::Bridge;
use crate::paging::{PageParams, page};
use crate::problem::Problem;

const SCHEME: &str = "waypost://";
/// The one form that every file's URI has.
pub const TEMPLATE: &str = "waypost:///{workspace}/{+path}";
/// What a path in a URI may not hold as it is (RFC 3986, section 3.3).
const ESCAPED: &AsciiSet = &CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'#')
    .add(b'%')
    .add(b'<')
    .add(b'>')
    .add(b'?')
    .add(b'`')
    .add(b'{')
    .add(b'}');
/// Files of one list.
const MAX_LISTED: usize = 100_000;
/// Larger files are read with `read_file`, in parts.
const MAX_BYTES: usize = 1 << 20;
/// Resources that one session follows at most.
const MAX_FOLLOWED: usize = 256;
/// Events read at once.
const PAGE: usize = 200;
/// Between two words about the list of files, and before the first one: files often come in numbers.
const LIST_PAUSE: Duration = Duration::from_secs(2);
/// How long a client may keep what it was given, in milliseconds.
const TTL_MS: u64 = 5_000;

/// The URI of a file.
pub fn uri_of(path: &str) -> String {
    format!("{SCHEME}{}", utf8_percent_encode(path, ESCAPED))
}

/// The path that a URI names.
fn path_of(uri: &str) -> Option<String> {
    let encoded = uri.strip_prefix(SCHEME).filter(|path| path.starts_with('/'))?;
    percent_decode_str(encoded).decode_utf8().ok().map(Into::into)
}

fn absent(uri: &str) -> ErrorData {
    let shown: String = uri.chars().take(200).collect();
    let data = serde_json::json!({"uri": shown});
    ErrorData::resource_not_found(format!("there is no resource `{shown}`"), Some(data))
}

/// One page of the files that may be listed.
pub fn list(session: &Session, cursor: Option<String>) -> Result<ListResourcesResult, Problem> {
    let paths = session.find_files(&FindRequest { limit: MAX_LISTED, ..FindRequest::default() })?;
    let page = page(paths, &PageParams { limit: None, cursor }, Clone::clone)?;
    // By the name alone: the list looks into no file.
    let resource = |path: &String| {
        let resource = Resource::new(uri_of(path), path.trim_start_matches('/'));
        match named_type(path) {
            Some(mime_type) => resource.with_mime_type(mime_type),
            None => resource,
        }
    };
    let mut list = ListResourcesResult::with_all_items(page.items.iter().map(resource).collect());
    list.next_cursor = page.next_cursor;
    Ok(list.with_ttl_ms(TTL_MS).with_cache_scope(CacheScope::Private))
}

/// The one form that every file's URI has.
pub fn templates() -> ListResourceTemplatesResult {
    let template = ResourceTemplate::new(TEMPLATE, "file")
        .with_title("A file of a workspace")
        .with_description("Text as it is, other bytes in base64; up to 1 MiB");
    ListResourceTemplatesResult::with_all_items(vec![template])
}

/// A file's text, or its bytes in base64.
pub fn read(session: &Session, uri: &str) -> Result<ReadResourceResult, ErrorData> {
    let path = path_of(uri).ok_or_else(|| absent(uri))?;
    let file = session.read_file(&path, None, None).map_err(|_| absent(uri))?;
    if file.bytes.len() > MAX_BYTES {
        let detail = format!("`{uri}` has {} bytes: read it in parts with `read_file`", file.bytes.len());
        return Err(ErrorData::invalid_params(detail, None));
    }
    let contents = match String::from_utf8(file.bytes) {
        Ok(text) => ResourceContents::text(text, uri),
        Err(error) => {
            use base64::Engine as _;
            ResourceContents::blob(base64::engine::general_purpose::STANDARD.encode(error.as_bytes()), uri)
        }
    };
    let contents = contents.with_mime_type(file.mime_type);
    Ok(ReadResourceResult::new(vec![contents]).with_ttl_ms(TTL_MS).with_cache_scope(CacheScope::Private))
}

/// Follows some resources, until it is stopped, its token ends, or nobody listens.
pub struct Follower {
    /// The open home.
    pub engine: Arc<Engine>,
    /// To it.
    pub bridge: Bridge,
    /// Who follows.
    pub session: Session,
    /// Changes when the journal has grown.
    pub news: watch::Receiver<()>,
    /// Changes when somebody's rights may have.
    pub rights: watch::Receiver<()>,
    /// Ends it.
    pub stop: CancellationToken,
}

impl Follower {
    /// Calls `tell` with the URI of each one that changed, came or went; `false` ends it. Whether its reader may know is decided at each
    /// change: what may not be read is never told of, as what is not there, and what may be read later is told of from then on.
    pub async fn follow<F: Future<Output = bool>>(mut self, uris: Vec<String>, tell: impl Fn(String) -> F) {
        let followed: BTreeMap<String, String> =
            uris.into_iter().take(MAX_FOLLOWED).filter_map(|uri| Some((path_of(&uri)?, uri))).collect();
        let Some(mut page) = self.present().await else { return };
        loop {
            let changed = changed_uris(&followed, &page.items);
            for uri in changed {
                if !tell(uri).await {
                    return;
                }
            }
            if page.items.len() < PAGE {
                tokio::select! {
                    () = self.stop.cancelled() => return,
                    news = self.news.changed() => {
                        if news.is_err() {
                            return;
                        }
                    }
                }
            }
            let Some(next) = self.go_on(page, &["file.*"]).await else { return };
            page = next;
        }
    }

    /// Calls `tell` when the list of files is another one, by a file that came or went or by a right: soon, and once for all that changed
    /// meanwhile. `false` ends it.
    pub async fn follow_list<F: Future<Output = bool>>(mut self, tell: impl Fn() -> F) {
        let Some(mut page) = self.present().await else { return };
        let mut listable = self.session.listable();
        loop {
            let is_full = page.items.len() >= PAGE;
            let now = self.session.listable();
            let is_other = std::mem::replace(&mut listable, now) != now || !page.items.is_empty();
            if is_other && !tell().await {
                return;
            }
            if !is_full {
                tokio::select! {
                    () = self.stop.cancelled() => return,
                    news = self.news.changed() => if news.is_err() { return },
                    news = self.rights.changed() => if news.is_err() { return },
                }
            }
            // A client asks for the whole list again.
            tokio::select! {
                () = self.stop.cancelled() => return,
                () = tokio::time::sleep(LIST_PAUSE) => {}
            }
            let Some(next) = self.go_on(page, &["file.created", "file.deleted", "file.moved"]).await else {
                return;
            };
            page = next;
        }
    }

    async fn present(&self) -> Option<EventsPage> {
        let session = self.session.clone();
        self.bridge.run(move || session.events_from_now()).await.ok()
    }

    /// What came after a page, as far as it may be seen now; nothing where the token has ended.
    async fn go_on(&self, mut page: EventsPage, kinds: &[&str]) -> Option<EventsPage> {
        let (engine, session, cursor) = (Arc::clone(&self.engine), self.session.clone(), page.cursor);
        let kinds = kinds.iter().map(|kind| (*kind).to_owned()).collect();
        let read = self.bridge.run(move || {
            let token = session.token_id();
            if !token.is_empty() && !engine.is_token_alive(token)? {
                return Ok(None);
            }
            session.events_from(cursor, &EventFilter { paths: Vec::new(), kinds }, PAGE).map(Some)
        });
        match read.await {
            Ok(next) => next,
            // A busy engine is asked again with the next news; nothing is missed.
            Err(problem) if problem.code == "busy" => {
                page.items.clear();
                Some(page)
            }
            Err(_) => None,
        }
    }
}

fn changed_uris(followed: &BTreeMap<String, String>, events: &[EventInfo]) -> Vec<String> {
    let mut changed = Vec::new();
    for path in events.iter().flat_map(|event| [Some(&event.path), event.from.as_ref()]).flatten() {
        if let Some(uri) = followed.get(path).filter(|uri| !changed.contains(*uri)) {
            changed.push(uri.clone());
        }
    }
    changed
}

/// What a session of the protocol's older era follows; it ends with the session.
pub struct Subscriptions {
    open: Mutex<BTreeMap<String, DropGuard>>,
    end: CancellationToken,
    _ends: DropGuard,
}

impl Default for Subscriptions {
    fn default() -> Self {
        let end = CancellationToken::new();
        Self { open: Mutex::default(), _ends: end.clone().drop_guard(), end }
    }
}

impl Subscriptions {
    /// Cancelled when the session ends.
    pub fn end(&self) -> CancellationToken {
        self.end.clone()
    }

    /// Notes one; gives what ends it, or nothing where there are too many.
    pub fn open(&self, uri: &str) -> Option<CancellationToken> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if open.len() >= MAX_FOLLOWED && !open.contains_key(uri) {
            return None;
        }
        let stop = CancellationToken::new();
        open.insert(uri.to_owned(), stop.clone().drop_guard());
        Some(stop)
    }

    /// Ends one; one that is not there has ended already.
    pub fn close(&self, uri: &str) {
        self.open.lock().unwrap_or_else(PoisonError::into_inner).remove(uri);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_becomes_a_uri_and_back() {
        for path in ["/docs/a.md", "/docs/ä b#c%20?.md", "/docs/{x}"] {
            let uri = uri_of(path);
            assert!(uri.starts_with("waypost:///docs/"), "{uri}");
            assert!(!uri.contains([' ', '#', '?', '{']), "{uri}");
            assert_eq!(path_of(&uri).as_deref(), Some(path));
        }
        for uri in ["file:///etc/passwd", "waypost://docs/a.md", "waypost:docs", "waypost:///docs/%ff"] {
            assert_eq!(path_of(uri), None, "{uri}");
        }
    }
}
