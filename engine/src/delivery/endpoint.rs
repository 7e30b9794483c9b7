use rusqlite::{OptionalExtension, Row, params};
use serde::{Deserialize, Serialize};

use super::DeliveryError;
use crate::access::{Limits, read_limits, write_limits};
use crate::catalog::{Catalog, Tx};
use crate::id::Seq;
use crate::journal::EventFilter;

/// Webhooks of one principal at most.
const MAX_OF_ONE: usize = 100;

/// What a delivery's body looks like.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// The event's fields, with `type` and `timestamp` (Standard Webhooks 1.0).
    #[default]
    Standard,
    /// CloudEvents 1.0, structured mode.
    CloudEvents,
}

impl Format {
    fn as_str(self) -> &'static str {
        match self {
            Self::Standard => "standard",
            Self::CloudEvents => "cloudevents",
        }
    }
}

/// How somebody is told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Sink {
    /// A `POST` to a URL.
    Url(String),
    /// A program, named by the server's operator alone; the event comes on its standard input.
    Command {
        /// The program and its arguments.
        argv: Vec<String>,
        /// Then it is ended.
        timeout_seconds: u64,
    },
}

/// Whether events are brought.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EndpointState {
    /// They are.
    Active,
    /// They wait in the journal.
    Paused,
}

impl EndpointState {
    fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Paused => "paused",
        }
    }
}

/// Who is told of what, and how far they were.
#[derive(Debug, Clone)]
pub struct Endpoint {
    /// `wh_…`.
    pub id: String,
    /// The principal whose grants decide what it is told.
    pub owner: String,
    /// What the token narrowed that made it.
    pub limits: Limits,
    /// For people.
    pub name: String,
    /// How.
    pub sink: Sink,
    /// Of what.
    pub filter: EventFilter,
    /// In which form.
    pub format: Format,
    /// The secret, sealed; empty for a command.
    pub secret: Vec<u8>,
    /// The one before, sealed, and when it ends, in milliseconds since 1970.
    pub former: Option<(Vec<u8>, i64)>,
    /// Whether events are brought.
    pub state: EndpointState,
    /// Why it is paused.
    pub reason: String,
    /// Since when it only failed.
    pub failing_since_ms: Option<i64>,
    /// Up to here everything is finished or has a row.
    pub cursor: Seq,
    /// Milliseconds since 1970.
    pub created_ms: i64,
}

impl Endpoint {
    /// Whether events are brought.
    pub fn is_active(&self) -> bool {
        self.state == EndpointState::Active
    }
}

const COLUMNS: &str =
    "id, owner, verbs, within, name, sink, paths, kinds, format, secret, former, former_until_ms,
    state, reason, failing_since_ms, cursor, created_ms";

impl Tx<'_> {
    /// Keeps an endpoint, new or changed. An existing one keeps its place in the journal.
    ///
    /// # Errors
    /// [`DeliveryError::TooMany`] for a new one beyond what a principal may have.
    pub fn put_endpoint(&self, endpoint: &Endpoint) -> Result<(), DeliveryError> {
        let count: i64 = self.sql().query_row(
            "SELECT count(*) FROM webhooks WHERE owner = ?1 AND id != ?2",
            params![endpoint.owner, endpoint.id],
            |row| row.get(0),
        )?;
        if count as usize >= MAX_OF_ONE {
            return Err(DeliveryError::TooMany { owner: endpoint.owner.clone(), limit: MAX_OF_ONE });
        }
        let json = |value: serde_json::Result<String>| value.expect("names can be written");
        let (verbs, within) = write_limits(&endpoint.limits);
        self.sql().execute(
            &format!(
                "INSERT INTO webhooks ({COLUMNS})
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17)
                 ON CONFLICT (id) DO UPDATE SET name = ?5, sink = ?6, paths = ?7, kinds = ?8, format = ?9,
                   secret = ?10, former = ?11, former_until_ms = ?12, state = ?13, reason = ?14,
                   failing_since_ms = ?15"
            ),
            params![
                endpoint.id,
                endpoint.owner,
                verbs,
                within,
                endpoint.name,
                json(serde_json::to_string(&endpoint.sink)),
                json(serde_json::to_string(&endpoint.filter.paths)),
                json(serde_json::to_string(&endpoint.filter.kinds)),
                endpoint.format.as_str(),
                endpoint.secret,
                endpoint.former.as_ref().map(|(secret, _)| secret),
                endpoint.former.as_ref().map(|(_, until_ms)| until_ms),
                endpoint.state.as_str(),
                endpoint.reason,
                endpoint.failing_since_ms,
                endpoint.cursor.0 as i64,
                endpoint.created_ms,
            ],
        )?;
        Ok(())
    }

    /// Forgets an endpoint and its deliveries; whether it was there.
    ///
    /// # Errors
    /// [`DeliveryError::Catalog`].
    pub fn remove_endpoint(&self, id: &str) -> Result<bool, DeliveryError> {
        Ok(self.sql().execute("DELETE FROM webhooks WHERE id = ?1", [id])? == 1)
    }

    /// Forgets a principal's webhooks and their deliveries; a command of the operator's settings stays.
    ///
    /// # Errors
    /// [`DeliveryError::Catalog`].
    pub fn remove_webhooks_of(&self, owner: &str) -> Result<(), DeliveryError> {
        self.sql().execute(
            "DELETE FROM webhooks WHERE owner = ?1 AND json_extract(sink, '$.url') IS NOT NULL",
            [owner],
        )?;
        Ok(())
    }

    /// Moves an active endpoint's place in the journal, and says since when it fails.
    ///
    /// # Errors
    /// [`DeliveryError::Catalog`].
    pub fn advance_endpoint(
        &self,
        id: &str,
        cursor: Seq,
        failing_since_ms: Option<i64>,
    ) -> Result<(), DeliveryError> {
        self.sql()
            .prepare_cached(
                "UPDATE webhooks SET cursor = max(cursor, ?2), failing_since_ms = ?3
                 WHERE id = ?1 AND state = 'active'",
            )?
            .execute(params![id, cursor.0 as i64, failing_since_ms])?;
        Ok(())
    }

    /// Forgets what happened so far: it is told only of what comes after.
    ///
    /// # Errors
    /// [`DeliveryError::Catalog`].
    pub fn skip_to(&self, id: &str, cursor: Seq) -> Result<(), DeliveryError> {
        self.sql().execute("UPDATE webhooks SET cursor = ?2 WHERE id = ?1", params![id, cursor.0 as i64])?;
        Ok(())
    }

    /// Pauses an endpoint; whether it was active.
    ///
    /// # Errors
    /// [`DeliveryError::Catalog`].
    pub fn pause_endpoint(&self, id: &str, reason: &str) -> Result<bool, DeliveryError> {
        let changed = self.sql().execute(
            "UPDATE webhooks SET state = 'paused', reason = ?2 WHERE id = ?1 AND state = 'active'",
            params![id, reason],
        )?;
        Ok(changed == 1)
    }
}

/// All endpoints, oldest first.
///
/// # Errors
/// [`DeliveryError::Catalog`].
pub fn endpoints(catalog: &Catalog) -> Result<Vec<Endpoint>, DeliveryError> {
    catalog.read(|sql| {
        let query = format!("SELECT {COLUMNS} FROM webhooks ORDER BY created_ms, rowid");
        let mut statement = sql.prepare_cached(&query)?;
        let rows = statement.query_map([], read_row)?;
        Ok(rows.collect::<Result<_, _>>()?)
    })
}

/// One principal's, oldest first.
///
/// # Errors
/// [`DeliveryError::Catalog`].
pub fn endpoints_of(catalog: &Catalog, owner: &str) -> Result<Vec<Endpoint>, DeliveryError> {
    let mut all = endpoints(catalog)?;
    all.retain(|endpoint| endpoint.owner == owner);
    Ok(all)
}

/// One endpoint.
///
/// # Errors
/// [`DeliveryError::Catalog`].
pub fn endpoint(catalog: &Catalog, id: &str) -> Result<Option<Endpoint>, DeliveryError> {
    catalog.read(|sql| {
        let query = format!("SELECT {COLUMNS} FROM webhooks WHERE id = ?1");
        Ok(sql.prepare_cached(&query)?.query_row([id], read_row).optional()?)
    })
}

fn read_row(row: &Row<'_>) -> Result<Endpoint, rusqlite::Error> {
    let unreadable = |column: usize, error: Box<dyn std::error::Error + Send + Sync>| {
        rusqlite::Error::FromSqlConversionFailure(column, rusqlite::types::Type::Text, error)
    };
    let text = |column: usize| row.get::<_, String>(column);
    let list = |column: usize| -> Result<Vec<String>, rusqlite::Error> {
        serde_json::from_str(&text(column)?).map_err(|error| unreadable(column, Box::new(error)))
    };
    let filter = EventFilter::new(&list(6)?, &list(7)?).map_err(|error| unreadable(6, Box::new(error)))?;
    let former: Option<Vec<u8>> = row.get(10)?;
    Ok(Endpoint {
        id: row.get(0)?,
        owner: row.get(1)?,
        limits: read_limits(row, 2)?,
        name: row.get(4)?,
        sink: serde_json::from_str(&text(5)?).map_err(|error| unreadable(5, Box::new(error)))?,
        filter,
        format: if text(8)? == Format::CloudEvents.as_str() { Format::CloudEvents } else { Format::Standard },
        secret: row.get(9)?,
        former: former.zip(row.get(11)?),
        state: if text(12)? == EndpointState::Active.as_str() {
            EndpointState::Active
        } else {
            EndpointState::Paused
        },
        reason: row.get(13)?,
        failing_since_ms: row.get(14)?,
        cursor: Seq(row.get::<_, i64>(15)? as u64),
        created_ms: row.get(16)?,
    })
}
