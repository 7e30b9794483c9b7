use std::time::{Duration, Instant};

use serde::Serialize;
use serde_json::Value;

use super::error::{Error, Result};
use super::keys::Keys;
use super::places::Rounding;
use super::session::Session;
use crate::access::{Scope, Verb};
use crate::clock::rfc3339;
use crate::id::{RelPath, Seq, VersionId, WorkspaceId, WorkspaceName, join_path};
use crate::journal::{self, Event, EventFilter, EventKind, NewEvent, Outcome};

/// Entries of the journal read at once.
const READ_AT_ONCE: usize = 512;
/// In place of a `seq`: before the first entry of the journal.
const START: &str = "start";
/// Events of one answer at most.
const MAX_EVENTS: usize = 1000;
/// The longest wait for an event.
const MAX_WAIT: Duration = Duration::from_secs(25);
/// Longer data of a published event is refused, in bytes: an event tells where to look, it is no file.
const MAX_DATA_BYTES: usize = 16 << 10;

/// `0` says the same to whoever counts from there.
fn is_start(after: &str) -> bool {
    matches!(after, START | "0")
}

/// Something that happened, as subscribers get it.
#[derive(Debug, Clone, PartialEq, Serialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct EventInfo {
    /// Such as `file.created`.
    pub event: String,
    /// `/<workspace>/<path>`.
    pub path: String,
    /// By content, of the file at `path`; of a deleted one as it was. Empty where no file stands there.
    pub mime_type: String,
    /// Of the same file, in bytes; 0 where there is none.
    pub size: u64,
    /// `ws_…`; empty for what belongs to no workspace.
    pub workspace_id: String,
    /// `evt_…`: the same in every delivery of the same event.
    pub id: String,
    /// Its place, for going on from here.
    pub seq: String,
    /// Hash of the bytes; of a deleted file of those that went.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<VersionId>,
    /// Who did it; `external` for other programs.
    pub actor: String,
    /// Where a moved file came from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// Who let it through a gate.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub approved_by: Option<String>,
    /// The request that it belongs to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trace_id: Option<String>,
    /// RFC 3339.
    pub occurred_at: String,
    /// More, for what is no file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data: Option<Value>,
}

/// Some events, and where to go on.
#[derive(Debug, Clone, PartialEq, Serialize, schemars::JsonSchema)]
pub struct EventsPage {
    /// Oldest first.
    pub items: Vec<EventInfo>,
    /// Give it as `after` for what follows.
    pub next: String,
    /// Whether the place that was given lies before what the journal still knows in full: of changes between the two it
    /// may tell only the last one of a path. List the files to see how they stand.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub gap: bool,
    /// The same for whoever goes on in this process: what may not be seen is not read again each time.
    #[serde(skip)]
    pub cursor: Seq,
}

/// An event as one scope shows it; `None` where it does not.
pub(super) fn show_event(
    event: &Event,
    name: &WorkspaceName,
    scope: &Scope,
    keys: &Keys,
    created_ms: i64,
) -> Option<EventInfo> {
    let path = join_path(name, &RelPath::new(&event.path).ok()?);
    if !scope.allows(&path) {
        return None;
    }
    let other = event.other_path.clone().filter(|other| scope.allows(other));
    let kind = match (event.kind.as_str(), &other) {
        // Whoever sees both ends is told of the move once, at its new place.
        ("file.deleted", Some(_)) => return None,
        ("file.moved", None) => "file.created",
        (kind, _) => kind,
    };
    Some(EventInfo {
        event: kind.to_owned(),
        path,
        mime_type: event.mime_type.clone(),
        size: event.size_bytes,
        workspace_id: keys.workspace_id(name, created_ms),
        id: keys.event_id(event.seq),
        seq: String::new(),
        version: event.version.or(event.gone),
        actor: event.actor.clone(),
        from: other.filter(|_| kind == "file.moved"),
        approved_by: event.approved_by.clone(),
        trace_id: event.trace.clone(),
        occurred_at: rfc3339(event.occurred_ms),
        data: event.data.as_deref().and_then(|data| serde_json::from_str(data).ok()),
    })
}

/// An event that belongs to no workspace and to one principal.
fn show_home_event(event: &Event, keys: &Keys) -> EventInfo {
    EventInfo {
        event: event.kind.clone(),
        path: "/".to_owned(),
        mime_type: String::new(),
        size: 0,
        workspace_id: String::new(),
        id: keys.event_id(event.seq),
        seq: String::new(),
        version: None,
        actor: event.actor.clone(),
        from: None,
        approved_by: None,
        trace_id: None,
        occurred_at: rfc3339(event.occurred_ms),
        data: event.data.as_deref().and_then(|data| serde_json::from_str(data).ok()),
    }
}

impl Session {
    /// An event as it is told to this principal; `None` where it is not, or not wanted.
    pub(super) fn show(
        &self,
        event: &Event,
        scope: &Scope,
        filter: &EventFilter,
    ) -> Result<Option<EventInfo>> {
        let keys = &self.engine.keys;
        let shown = if event.workspace == WorkspaceId(0) {
            let is_own = scope.is_everything() || event.actor == self.actor.principal;
            is_own.then(|| show_home_event(event, keys))
        } else {
            let named = self.engine.workspace_named(event.workspace);
            named.and_then(|(name, created_ms)| show_event(event, &name, scope, keys, created_ms))
        };
        let Some(mut shown) = shown.filter(|shown| filter.passes(&shown.event, &shown.path)) else {
            return Ok(None);
        };
        shown.seq = self.show_seq(event.seq)?;
        Ok(Some(shown))
    }

    /// Where the journal stands now, without an event: for who wants only what comes after.
    ///
    /// # Errors
    /// Where the catalog can't be read.
    pub fn events_from_now(&self) -> Result<EventsPage> {
        let cursor = journal::last_event(&self.engine.catalog)?;
        Ok(EventsPage { items: Vec::new(), next: self.show_seq(cursor)?, gap: false, cursor })
    }

    /// What happened after a place, as far as this principal may read it; from the beginning without one, or after `start`.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a place that is none.
    pub fn events(&self, after: Option<&str>, filter: &EventFilter, limit: usize) -> Result<EventsPage> {
        let cursor = self.place_of(after.unwrap_or(START))?;
        let gap = self.has_gap(after)?;
        Ok(EventsPage { gap, ..self.events_from(cursor, filter, limit)? })
    }

    /// [`START`], or the place that a `seq` names.
    pub(super) fn place_of(&self, after: &str) -> Result<Seq> {
        if is_start(after) { Ok(Seq(0)) } else { self.read_seq("after", after, Rounding::Down) }
    }

    /// Whether entries after a place may have been forgotten. It is decided by time alone: by when the change at that
    /// place happened.
    pub(super) fn has_gap(&self, after: Option<&str>) -> Result<bool> {
        let Some(after) = after else { return Ok(false) };
        if is_start(after) {
            // Of a workspace that is younger nothing was old enough.
            let first_ms = self.seen_workspaces()?.iter().map(|workspace| workspace.row.created_ms).min();
            return if first_ms.is_none() { Ok(false) } else { self.has_gap_before(first_ms) };
        }
        self.has_gap_before(self.time_of_seq("after", after)?)
    }

    /// The same for an instant, in milliseconds since 1970; `None`: nothing is left that tells of one.
    pub(super) fn has_gap_before(&self, at_ms: Option<i64>) -> Result<bool> {
        let compacted_ms = journal::compacted_ms(&self.engine.catalog)?;
        Ok(compacted_ms.is_some_and(|compacted_ms| at_ms.is_none_or(|at_ms| at_ms < compacted_ms)))
    }

    /// As [`Self::events`], from the cursor of a page before.
    ///
    /// # Errors
    /// Where the catalog can't be read.
    pub fn events_from(&self, mut cursor: Seq, filter: &EventFilter, limit: usize) -> Result<EventsPage> {
        let limit = limit.clamp(1, MAX_EVENTS);
        let scope = self.scope(Verb::Read);
        let mut items = Vec::new();
        loop {
            let read = journal::events_after(&self.engine.catalog, cursor, READ_AT_ONCE)?;
            let n_read = read.len();
            for event in read {
                cursor = event.seq;
                let Some(shown) = self.show(&event, &scope, filter)? else { continue };
                items.push(shown);
                if items.len() >= limit {
                    return Ok(EventsPage { items, next: self.show_seq(cursor)?, gap: false, cursor });
                }
            }
            if n_read < READ_AT_ONCE {
                return Ok(EventsPage { items, next: self.show_seq(cursor)?, gap: false, cursor });
            }
        }
    }

    /// As [`Self::events`], and waits for the first one, at most so long; 25 seconds at the longest.
    ///
    /// # Errors
    /// As [`Self::events`].
    pub fn wait_for_events(
        &self,
        after: Option<&str>,
        filter: &EventFilter,
        limit: usize,
        patience: Duration,
    ) -> Result<EventsPage> {
        let deadline = Instant::now() + patience.min(MAX_WAIT);
        // Without a place only what comes from now on is waited for.
        let mut cursor = match after {
            Some(after) => self.place_of(after)?,
            None => self.events_from_now()?.cursor,
        };
        let gap = self.has_gap(after)?;
        self.record("event.wait", Verb::Read, "/", "", Outcome::Allowed, "scope")?;
        loop {
            let news = self.engine.news.count();
            let page = self.events_from(cursor, filter, limit)?;
            if !page.items.is_empty() || Instant::now() >= deadline || self.stop.is_asked() {
                return Ok(EventsPage { gap, ..page });
            }
            cursor = page.cursor;
            self.engine.news.wait_beyond(news, deadline);
        }
    }

    /// Publishes on a topic of a workspace: every subscriber who may read `/<workspace>/events/<topic>` is told.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Forbidden`]: it takes `write` on that path; [`Error::Invalid`] for data that is too
    /// long.
    pub fn publish(&self, workspace: &str, topic: &str, data: &Value) -> Result<EventInfo> {
        if topic.trim_matches('/').is_empty() {
            let expected = "a name such as `builds`, or `builds/nightly`".to_owned();
            return Err(Error::Invalid { field: "topic", found: format!("`{topic}`"), expected });
        }
        let path = format!("/{workspace}/events/{topic}");
        let (name, below) = self.split(&path, "topic")?;
        let rule = self.authorize("event.publish", Verb::Write, &path, "topic")?;
        let open = self.workspace_of(&name)?;
        let text = data.to_string();
        if text.len() > MAX_DATA_BYTES {
            return Err(Error::Invalid {
                field: "data",
                found: format!("{} bytes", text.len()),
                expected: format!("at most {MAX_DATA_BYTES}; put more into a file and publish its path"),
            });
        }
        let event = NewEvent {
            kind: EventKind::TopicPublished,
            workspace: open.row.id,
            path: below.as_str(),
            data: Some(&text),
            actor: &self.actor.principal,
            trace: Some(self.cause()),
            occurred_ms: self.now_ms(),
        };
        let seq = self.engine.catalog.write(|tx| {
            let seq = tx.append_event(&event)?;
            self.record_in(tx, "event.publish", Verb::Write, &path, "", &rule)?;
            Ok::<_, crate::change::ChangeError>(seq)
        })?;
        Ok(EventInfo {
            event: event.kind.as_str().to_owned(),
            path,
            mime_type: String::new(),
            size: 0,
            workspace_id: self.engine.keys.workspace_id(&name, open.row.created_ms),
            id: self.engine.keys.event_id(seq),
            seq: self.show_seq(seq)?,
            version: None,
            actor: self.actor.principal.clone(),
            from: None,
            approved_by: None,
            trace_id: Some(self.trace.clone()),
            occurred_at: rfc3339(event.occurred_ms),
            data: Some(data.clone()),
        })
    }
}
