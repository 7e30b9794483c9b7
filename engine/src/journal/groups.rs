//! Consumer groups: each event of a topic is given to one member of a group at a time, under a lease, until it is
//! acknowledged. A group keeps how far it has read, and the events that it gave out or passed over.

use rusqlite::{OptionalExtension, Row, params};

use super::events::{COLUMNS, Event, read_event};
use super::topics::is_on_topic;
use crate::catalog::{Catalog, CatalogError, Tx};
use crate::id::{Seq, WorkspaceId};

/// After so many times an event is parked: it is given to nobody any more, and listed.
pub const MAX_GIVEN: u32 = 10;

/// Which group.
#[derive(Debug, Clone, Copy)]
pub struct GroupKey<'a> {
    /// Where the topic is.
    pub workspace: WorkspaceId,
    /// Below `events/`.
    pub topic: &'a str,
    /// Of the group.
    pub name: &'a str,
}

/// A group of a topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    /// Its name.
    pub name: String,
    /// How far it has read.
    pub cursor: Seq,
    /// Milliseconds since 1970.
    pub created_ms: i64,
}

/// An event that nobody has at the moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Given {
    /// What happened.
    pub event: Event,
    /// How often it was given out so far.
    pub attempts: u32,
}

/// An event that a group has not done with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unfinished {
    /// What happened.
    pub event: Event,
    /// How often it was given out.
    pub attempts: u32,
    /// Whether it is given out no more.
    pub is_parked: bool,
}

impl Tx<'_> {
    /// How far a group has read; `None` where there is no such group.
    ///
    /// # Errors
    /// [`CatalogError::Sqlite`].
    pub fn consumer_cursor(&self, key: GroupKey<'_>) -> Result<Option<Seq>, CatalogError> {
        let cursor: Option<i64> = self
            .sql()
            .prepare_cached(
                "SELECT cursor FROM consumer_groups WHERE workspace = ?1 AND topic = ?2 AND name = ?3",
            )?
            .query_row(params![key.workspace.0, key.topic, key.name], |row| row.get(0))
            .optional()?;
        Ok(cursor.map(|cursor| Seq(cursor as u64)))
    }

    /// Makes a group, or notes how far one has read.
    ///
    /// # Errors
    /// [`CatalogError::Sqlite`].
    pub fn put_consumer_group(
        &self,
        key: GroupKey<'_>,
        cursor: Seq,
        now_ms: i64,
    ) -> Result<(), CatalogError> {
        self.sql()
            .prepare_cached(
                "INSERT INTO consumer_groups (workspace, topic, name, cursor, created_ms) VALUES (?1, ?2, ?3, ?4, ?5)
                 ON CONFLICT (workspace, topic, name) DO UPDATE SET cursor = ?4",
            )?
            .execute(params![key.workspace.0, key.topic, key.name, cursor.0 as i64, now_ms])?;
        Ok(())
    }

    /// Forgets a group; whether it was there.
    ///
    /// # Errors
    /// [`CatalogError::Sqlite`].
    pub fn remove_consumer_group(&self, key: GroupKey<'_>) -> Result<bool, CatalogError> {
        let removed = self.sql().execute(
            "DELETE FROM consumer_groups WHERE workspace = ?1 AND topic = ?2 AND name = ?3",
            params![key.workspace.0, key.topic, key.name],
        )?;
        Ok(removed == 1)
    }

    /// Calls `take` for each event that the group gave to nobody, or whose lease ran out, oldest first, until it says
    /// that it has enough.
    ///
    /// # Errors
    /// [`CatalogError::Sqlite`].
    pub fn each_free_event(
        &self,
        key: GroupKey<'_>,
        now_ms: i64,
        take: &mut dyn FnMut(Given) -> bool,
    ) -> Result<(), CatalogError> {
        let query = format!(
            "SELECT {}, pending.attempts FROM consumer_pending AS pending JOIN journal ON journal.seq = pending.seq
             WHERE pending.workspace = ?1 AND pending.topic = ?2 AND pending.name = ?3 AND pending.parked = 0
               AND pending.lease_ms <= ?4
             ORDER BY pending.seq",
            of_journal()
        );
        let mut statement = self.sql().prepare_cached(&query)?;
        let mut rows = statement.query(params![key.workspace.0, key.topic, key.name, now_ms])?;
        while let Some(row) = rows.next()? {
            let given = Given { event: read_event(row)?, attempts: row.get(N_COLUMNS)? };
            if !take(given) {
                break;
            }
        }
        Ok(())
    }

    /// The events of a topic after a place, oldest first, at most `limit`.
    ///
    /// # Errors
    /// [`CatalogError::Sqlite`].
    pub fn topic_events_after(
        &self,
        workspace: WorkspaceId,
        topic: &str,
        cursor: Seq,
        limit: usize,
    ) -> Result<Vec<Event>, CatalogError> {
        let mut statement = self.sql().prepare_cached(&topic_query(COLUMNS))?;
        let path = format!("events/{topic}");
        let mut rows = statement.query(params![workspace.0, cursor.0 as i64, path])?;
        let mut events = Vec::new();
        while let Some(row) = rows.next()? {
            let event = read_event(row)?;
            if is_on_topic(&event.path, topic) {
                events.push(event);
            }
            if events.len() >= limit {
                break;
            }
        }
        Ok(events)
    }

    /// Notes who has an event until when; a `lease_ms` of 0 leaves it to whoever comes next.
    ///
    /// # Errors
    /// [`CatalogError::Sqlite`].
    pub fn give_event(
        &self,
        key: GroupKey<'_>,
        seq: Seq,
        event_id: &str,
        member: &str,
        lease_ms: i64,
        attempts: u32,
    ) -> Result<(), CatalogError> {
        self.sql()
            .prepare_cached(
                "INSERT INTO consumer_pending (workspace, topic, name, seq, event, member, lease_ms, attempts)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
                 ON CONFLICT (workspace, topic, name, seq) DO UPDATE SET member = ?6, lease_ms = ?7, attempts = ?8",
            )?
            .execute(params![
                key.workspace.0,
                key.topic,
                key.name,
                seq.0 as i64,
                event_id,
                member,
                lease_ms,
                attempts
            ])?;
        Ok(())
    }

    /// Gives an event to nobody any more.
    ///
    /// # Errors
    /// [`CatalogError::Sqlite`].
    pub fn park_event(&self, key: GroupKey<'_>, seq: Seq) -> Result<(), CatalogError> {
        self.sql().execute(
            "UPDATE consumer_pending SET parked = 1 WHERE workspace = ?1 AND topic = ?2 AND name = ?3 AND seq = ?4",
            params![key.workspace.0, key.topic, key.name, seq.0 as i64],
        )?;
        Ok(())
    }

    /// Notes that a member has done with an event; whether it was the member's.
    ///
    /// # Errors
    /// [`CatalogError::Sqlite`].
    pub fn ack_event(&self, key: GroupKey<'_>, event_id: &str, member: &str) -> Result<bool, CatalogError> {
        let removed = self.sql().execute(
            "DELETE FROM consumer_pending
             WHERE workspace = ?1 AND topic = ?2 AND name = ?3 AND event = ?4 AND member = ?5 AND attempts > 0",
            params![key.workspace.0, key.topic, key.name, event_id, member],
        )?;
        Ok(removed == 1)
    }
}

/// Columns of the journal in a query over two tables.
fn of_journal() -> String {
    COLUMNS.split(", ").map(|column| format!("journal.{}", column.trim())).collect::<Vec<_>>().join(", ")
}

/// How many columns [`read_event`] reads.
const N_COLUMNS: usize = 15;

/// Names of a topic lie between `events/T.` and `events/T0`: `/` and `.` are neighbours.
fn topic_query(columns: &str) -> String {
    format!(
        "SELECT {columns} FROM journal
         WHERE kind = 'topic.published' AND workspace = ?1 AND seq > ?2
           AND (path = ?3 OR (path >= ?3 || '.' AND path < ?3 || '0'))
         ORDER BY seq"
    )
}

/// The groups of a topic, by name.
///
/// # Errors
/// [`CatalogError::Sqlite`].
pub fn groups(catalog: &Catalog, workspace: WorkspaceId, topic: &str) -> Result<Vec<Group>, CatalogError> {
    catalog.read(|sql| {
        let mut statement = sql.prepare_cached(
            "SELECT name, cursor, created_ms FROM consumer_groups WHERE workspace = ?1 AND topic = ?2 ORDER BY name",
        )?;
        let rows = statement.query_map(params![workspace.0, topic], |row| {
            Ok(Group { name: row.get(0)?, cursor: Seq(row.get::<_, i64>(1)? as u64), created_ms: row.get(2)? })
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    })
}

/// What a group has not done with, oldest first: given out, passed over, parked, and what it has not read yet.
///
/// # Errors
/// [`CatalogError::Sqlite`].
pub fn unfinished_events(
    catalog: &Catalog,
    key: GroupKey<'_>,
    cursor: Seq,
) -> Result<Vec<Unfinished>, CatalogError> {
    catalog.read(|sql| {
        let query = format!(
            "SELECT {}, pending.attempts, pending.parked
             FROM consumer_pending AS pending JOIN journal ON journal.seq = pending.seq
             WHERE pending.workspace = ?1 AND pending.topic = ?2 AND pending.name = ?3 ORDER BY pending.seq",
            of_journal()
        );
        let mut statement = sql.prepare_cached(&query)?;
        let read = |row: &Row<'_>| {
            Ok(Unfinished {
                event: read_event(row)?,
                attempts: row.get(N_COLUMNS)?,
                is_parked: row.get(N_COLUMNS + 1)?,
            })
        };
        let rows = statement.query_map(params![key.workspace.0, key.topic, key.name], read)?;
        let mut events: Vec<Unfinished> = rows.collect::<Result<_, _>>()?;
        let mut statement = sql.prepare_cached(&topic_query(COLUMNS))?;
        let path = format!("events/{}", key.topic);
        let rows = statement.query_map(params![key.workspace.0, cursor.0 as i64, path], read_event)?;
        for event in rows {
            let event = event?;
            if is_on_topic(&event.path, key.topic) {
                events.push(Unfinished { event, attempts: 0, is_parked: false });
            }
        }
        Ok(events)
    })
}

/// Whether a group may have something to give: so that nobody who only waits writes anything.
///
/// # Errors
/// [`CatalogError::Sqlite`].
pub fn may_have_events(catalog: &Catalog, key: GroupKey<'_>, now_ms: i64) -> Result<bool, CatalogError> {
    catalog.read(|sql| {
        let cursor: Option<i64> = sql
            .prepare_cached(
                "SELECT cursor FROM consumer_groups WHERE workspace = ?1 AND topic = ?2 AND name = ?3",
            )?
            .query_row(params![key.workspace.0, key.topic, key.name], |row| row.get(0))
            .optional()?;
        // A group that is not there yet is made.
        let Some(cursor) = cursor else { return Ok(true) };
        let is_free: bool = sql
            .prepare_cached(
                "SELECT EXISTS (SELECT 1 FROM consumer_pending
                 WHERE workspace = ?1 AND topic = ?2 AND name = ?3 AND parked = 0 AND lease_ms <= ?4)",
            )?
            .query_row(params![key.workspace.0, key.topic, key.name, now_ms], |row| row.get(0))?;
        if is_free {
            return Ok(true);
        }
        let path = format!("events/{}", key.topic);
        Ok(sql
            .prepare_cached(&format!("SELECT EXISTS ({})", topic_query("1")))?
            .query_row(params![key.workspace.0, cursor, path], |row| row.get(0))?)
    })
}
