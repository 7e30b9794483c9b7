//! Consumer groups over topics: each event of a topic goes to one member of each group, until that one says that it has
//! done with it.

use std::time::{Duration, Instant};

use serde::Serialize;

use super::error::{Error, Result};
use super::events::{EventInfo, show_event};
use super::places::Rounding;
use super::session::Session;
use crate::access::{Scope, Verb, check_group};
use crate::catalog::Tx;
use crate::change::ChangeError;
use crate::clock::rfc3339;
use crate::id::{Seq, WorkspaceId, WorkspaceName};
use crate::journal::{self, Event, GroupKey, MAX_GIVEN, Outcome};

/// A lease's length where nothing else is asked, in milliseconds.
const DEFAULT_LEASE_MS: u64 = 30_000;
/// The longest lease, in milliseconds.
const MAX_LEASE_MS: u64 = 3_600_000;
/// Events of one answer where nothing else is asked.
const DEFAULT_EVENTS: usize = 10;
/// Events of one answer at most.
const MAX_EVENTS: usize = 100;
/// The longest wait.
const MAX_WAIT: Duration = Duration::from_secs(25);
/// A wait looks again after so long even if nothing is told: a lease that ran out makes no entry in the journal.
const LOOK_AGAIN: Duration = Duration::from_secs(1);
/// Events of a topic read in one transaction at most, of which many may be none of the member's.
const MAX_READ: usize = 2000;

/// Where a group begins to read that is not there yet.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Start {
    /// With the first event.
    #[default]
    Beginning,
    /// With what comes from now on.
    Now,
    /// After a place.
    After(String),
}

impl Start {
    /// Reads `start`, `now` or a `seq`.
    pub fn read(text: &str) -> Self {
        match text {
            "start" => Self::Beginning,
            "now" => Self::Now,
            seq => Self::After(seq.to_owned()),
        }
    }
}

/// How a member takes events.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ConsumeOptions {
    /// Counts only where the group is new.
    pub from: Start,
    /// 1 to 100; 10 where it is missing.
    pub limit: Option<usize>,
    /// Until an event is given to others; 30 seconds where it is missing, an hour at most.
    pub lease_ms: Option<u64>,
    /// How long to wait for the first event, 25 seconds at the longest.
    pub wait: Duration,
}

/// An event that was given to a member.
#[derive(Debug, Clone, PartialEq, Serialize, schemars::JsonSchema)]
pub struct ConsumedEvent {
    /// What happened.
    #[serde(flatten)]
    pub event: EventInfo,
    /// How often it was given out, this time counted.
    pub attempts: u32,
    /// RFC 3339; others get it then.
    pub expires_at: String,
}

/// What a member got.
#[derive(Debug, Clone, PartialEq, Serialize, schemars::JsonSchema)]
pub struct Consumed {
    /// Oldest first.
    pub items: Vec<ConsumedEvent>,
}

/// An event that a group gave up on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, schemars::JsonSchema)]
pub struct UnfinishedEvent {
    /// `evt_…`.
    pub id: String,
    /// Where it was published.
    pub path: String,
    /// How often it was given out.
    pub attempts: u32,
}

/// A consumer group, as far as its topic's events may be read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, schemars::JsonSchema)]
pub struct GroupInfo {
    /// Its name.
    pub group: String,
    /// Its topic.
    pub topic: String,
    /// Of the topic.
    pub workspace: String,
    /// Events that nobody has done with yet.
    pub lag: usize,
    /// Those of them that were given out so often that nobody gets them any more.
    pub parked: Vec<UnfinishedEvent>,
    /// RFC 3339.
    pub created_at: String,
}

/// A topic that may be read.
struct Topic {
    workspace: WorkspaceId,
    name: WorkspaceName,
    created_ms: i64,
    /// Below `events/`, in its one spelling.
    topic: String,
    path: String,
    rule: String,
}

/// An event that goes to a member, before it is shown.
struct Given {
    event: Event,
    info: EventInfo,
    attempts: u32,
}

impl Session {
    /// Takes events of a topic for a group, and waits for the first one. Each event is given to one member at a time; what
    /// is not acknowledged in time is given again, ten times at most. A group that is not there is made.
    ///
    /// # Errors
    /// [`Error::NotFound`]: it takes `read` on `/<workspace>/events/<topic>`; [`Error::Invalid`].
    pub fn consume(
        &self,
        workspace: &str,
        topic: &str,
        group: &str,
        options: &ConsumeOptions,
    ) -> Result<Consumed> {
        let (limit, lease_ms) = check_options(options)?;
        check_name(group)?;
        let open = self.topic("topic.consume", workspace, topic)?;
        let start = match &options.from {
            Start::Beginning => Seq(0),
            Start::Now => journal::last_event(&self.engine.catalog)?,
            Start::After(seq) => self.read_seq("from", seq, Rounding::Down)?,
        };
        let key = GroupKey { workspace: open.workspace, topic: &open.topic, name: group };
        let deadline = Instant::now() + options.wait.min(MAX_WAIT);
        loop {
            let news = self.engine.news.count();
            let items = self.take_events(&open, key, start, limit, lease_ms)?;
            let now = Instant::now();
            if !items.is_empty() || now >= deadline || self.stop.is_asked() {
                return Ok(Consumed { items });
            }
            self.engine.news.wait_beyond(news, deadline.min(now + LOOK_AGAIN));
        }
    }

    fn take_events(
        &self,
        topic: &Topic,
        key: GroupKey<'_>,
        start: Seq,
        limit: usize,
        lease_ms: i64,
    ) -> Result<Vec<ConsumedEvent>> {
        let now_ms = self.now_ms();
        if !journal::may_have_events(&self.engine.catalog, key, now_ms)? {
            return Ok(Vec::new());
        }
        let (scope, until_ms) = (self.scope(Verb::Read), now_ms.saturating_add(lease_ms));
        let (given, unsynced) = self.engine.catalog.write_unsynced(|tx| {
            let given = self.give(tx, topic, key, start, limit, &scope)?;
            for one in &given {
                let member = &self.actor.principal;
                tx.give_event(key, one.event.seq, &one.info.id, member, until_ms, one.attempts)?;
            }
            if !given.is_empty() {
                self.record_in(tx, "topic.consume", Verb::Read, &topic.path, "", &topic.rule)?;
            }
            Ok::<_, ChangeError>(given)
        })?;
        // A loss of power that forgets only how far was read does no harm.
        if !given.is_empty() {
            self.engine.catalog.sync(unsynced)?;
        }
        let shown = given.into_iter().map(|mut one| {
            one.info.seq = self.show_seq(one.event.seq)?;
            Ok(ConsumedEvent { event: one.info, attempts: one.attempts, expires_at: rfc3339(until_ms) })
        });
        shown.collect()
    }

    /// Chooses events: first those that came back, then new ones. What this member may not read is left to others, and
    /// what was given out too often is parked.
    fn give(
        &self,
        tx: &Tx<'_>,
        topic: &Topic,
        key: GroupKey<'_>,
        start: Seq,
        limit: usize,
        scope: &Scope,
    ) -> std::result::Result<Vec<Given>, ChangeError> {
        let show = |event: &Event| show_event(event, &topic.name, scope, &self.engine.keys, topic.created_ms);
        let now_ms = self.now_ms();
        let (mut given, mut worn) = (Vec::new(), Vec::new());
        tx.each_free_event(key, now_ms, &mut |free| {
            if free.attempts >= MAX_GIVEN {
                worn.push(free.event.seq);
            } else if let Some(info) = show(&free.event) {
                given.push(Given { info, event: free.event, attempts: free.attempts + 1 });
            }
            given.len() < limit
        })?;
        worn.into_iter().try_for_each(|seq| tx.park_event(key, seq))?;
        let known = tx.consumer_cursor(key)?;
        let mut cursor = known.unwrap_or(start);
        if known.is_none() {
            tx.put_consumer_group(key, cursor, now_ms)?;
        }
        let mut n_read = 0;
        while given.len() < limit && n_read < MAX_READ {
            let events = tx.topic_events_after(key.workspace, key.topic, cursor, limit - given.len())?;
            let Some(last) = events.last().map(|event| event.seq) else { break };
            n_read += events.len();
            cursor = last;
            for event in events {
                match show(&event) {
                    Some(info) => given.push(Given { info, event, attempts: 1 }),
                    None => tx.give_event(key, event.seq, &self.engine.keys.event_id(event.seq), "", 0, 0)?,
                }
            }
        }
        tx.put_consumer_group(key, cursor, now_ms)?;
        Ok(given)
    }

    /// Says that this member has done with events; gives the ids of those that were not, or no longer, its own.
    ///
    /// # Errors
    /// As [`Self::consume`].
    pub fn ack(&self, workspace: &str, topic: &str, group: &str, ids: &[String]) -> Result<Vec<String>> {
        check_name(group)?;
        let open = self.topic("topic.ack", workspace, topic)?;
        let key = GroupKey { workspace: open.workspace, topic: &open.topic, name: group };
        self.engine
            .catalog
            .write(|tx| {
                let mut lost = Vec::new();
                for id in ids {
                    if !tx.ack_event(key, id, &self.actor.principal)? {
                        lost.push(id.clone());
                    }
                }
                self.record_in(tx, "topic.ack", Verb::Read, &open.path, "", &open.rule)?;
                Ok::<_, ChangeError>(lost)
            })
            .map_err(Error::from)
    }

    /// The groups of a topic, by name; counted is only what this principal may read.
    ///
    /// # Errors
    /// As [`Self::consume`].
    pub fn consumer_groups(&self, workspace: &str, topic: &str) -> Result<Vec<GroupInfo>> {
        let open = self.topic("topic.groups", workspace, topic)?;
        self.record("topic.groups", Verb::Read, &open.path, "", Outcome::Allowed, &open.rule)?;
        let scope = self.scope(Verb::Read);
        let groups = journal::groups(&self.engine.catalog, open.workspace, &open.topic)?;
        let shown = groups.into_iter().map(|group| {
            let key = GroupKey { workspace: open.workspace, topic: &open.topic, name: &group.name };
            let mut lag = 0;
            let mut parked = Vec::new();
            for one in journal::unfinished_events(&self.engine.catalog, key, group.cursor)? {
                let info = show_event(&one.event, &open.name, &scope, &self.engine.keys, open.created_ms);
                let Some(info) = info else { continue };
                lag += 1;
                if one.is_parked {
                    parked.push(UnfinishedEvent { id: info.id, path: info.path, attempts: one.attempts });
                }
            }
            let (topic, workspace) = (open.topic.clone(), open.name.to_string());
            let created_at = rfc3339(group.created_ms);
            Ok(GroupInfo { group: group.name, topic, workspace, lag, parked, created_at })
        });
        shown.collect()
    }

    /// Forgets a group of a topic.
    ///
    /// # Errors
    /// As [`Self::consume`]; [`Error::NotFound`] for a group that is not there.
    pub fn remove_consumer_group(&self, workspace: &str, topic: &str, group: &str) -> Result<()> {
        let open = self.topic("topic.forget", workspace, topic)?;
        let key = GroupKey { workspace: open.workspace, topic: &open.topic, name: group };
        let is_removed = self.engine.catalog.write(|tx| {
            let is_removed = tx.remove_consumer_group(key)?;
            self.record_in(tx, "topic.forget", Verb::Read, &open.path, "", &open.rule)?;
            Ok::<_, ChangeError>(is_removed)
        })?;
        if is_removed {
            return Ok(());
        }
        Err(Error::NotFound { what: "consumer group", name: group.chars().take(80).collect() })
    }

    fn topic(&self, action: &'static str, workspace: &str, topic: &str) -> Result<Topic> {
        let path = format!("/{workspace}/events/{topic}");
        let (name, below) = self.split(&path, "topic")?;
        let rule = self.authorize(action, Verb::Read, &path, "topic")?;
        let absent = || Error::NotFound { what: "topic", name: path.clone() };
        let open = self.workspace_of(&name)?;
        let topic = below.as_str().strip_prefix("events/").ok_or_else(absent)?.to_owned();
        Ok(Topic { workspace: open.row.id, name, created_ms: open.row.created_ms, topic, path, rule })
    }
}

fn check_options(options: &ConsumeOptions) -> Result<(usize, i64)> {
    let limit = options.limit.unwrap_or(DEFAULT_EVENTS);
    if !(1..=MAX_EVENTS).contains(&limit) {
        let (found, expected) = (limit.to_string(), format!("1 to {MAX_EVENTS}"));
        return Err(Error::Invalid { field: "limit", found, expected });
    }
    let lease_ms = options.lease_ms.unwrap_or(DEFAULT_LEASE_MS);
    if !(1..=MAX_LEASE_MS).contains(&lease_ms) {
        let (found, expected) = (lease_ms.to_string(), format!("1 to {MAX_LEASE_MS}"));
        return Err(Error::Invalid { field: "lease_ms", found, expected });
    }
    Ok((limit, lease_ms as i64))
}

/// Names of consumer groups are made as those of principals.
fn check_name(group: &str) -> Result<()> {
    check_group(&format!("group:{group}")).map_err(|_| Error::Invalid {
        field: "group",
        found: format!("`{}`", group.chars().take(80).collect::<String>()),
        expected: "a name of a-z A-Z 0-9 . _ - (at most 64)".to_owned(),
    })
}
