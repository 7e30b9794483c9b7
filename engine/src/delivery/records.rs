use std::collections::BTreeSet;

use rusqlite::{OptionalExtension, Row, params};
use serde::{Deserialize, Serialize};

use super::DeliveryError;
use super::line::Head;
use crate::catalog::{Catalog, Tx};
use crate::id::Seq;

/// Attempts remembered of one delivery.
const MAX_LOG: usize = 16;

/// Where a delivery stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum DeliveryState {
    /// It is brought, again or for the first time, when its time has come and nothing older of its path waits.
    Pending,
    /// It arrived.
    Delivered,
    /// Every attempt failed; it can be replayed.
    Dead,
}

impl DeliveryState {
    /// Its name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Delivered => "delivered",
            Self::Dead => "dead",
        }
    }

    /// Of that name.
    pub fn read(text: &str) -> Option<Self> {
        [Self::Pending, Self::Delivered, Self::Dead].into_iter().find(|state| state.as_str() == text)
    }
}

/// One try to bring an event.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attempt {
    /// Milliseconds since 1970.
    pub at_ms: i64,
    /// HTTP status, or the exit code of a command.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<i32>,
    /// Why nothing came back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// The first kilobyte of the answer, or of a command's output.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub answer: String,
    /// How long it took.
    pub took_ms: u64,
    /// What the receiver asked for.
    #[serde(skip)]
    pub retry_after: Option<String>,
    /// Whether a command ended with 0.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_command: bool,
}

impl Attempt {
    /// Whether it arrived: 2xx, or exit code 0.
    pub fn is_success(&self) -> bool {
        match self.status {
            Some(code) if self.is_command => code == 0,
            Some(code) => (200..300).contains(&code),
            None => false,
        }
    }

    /// Whether the receiver kept silent.
    pub fn is_timeout(&self) -> bool {
        self.error.as_deref() == Some(TIMED_OUT)
    }
}

/// The error of an attempt that nobody answered in time.
pub(super) const TIMED_OUT: &str = "timeout";

/// One event's way to one endpoint. Its key begins with the event: what many are told lies together, so that writing it
/// down touches few pages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    /// The endpoint's id.
    pub webhook: String,
    /// The event.
    pub seq: Seq,
    /// What keeps its order: the event's path, folded.
    pub path: String,
    /// What else does, where something does.
    pub also: Option<String>,
    /// Where it stands.
    pub state: DeliveryState,
    /// Attempts so far.
    pub attempts: u32,
    /// Not before, in milliseconds since 1970.
    pub due_ms: i64,
    /// The last attempts, oldest first.
    pub log: Vec<Attempt>,
    /// Milliseconds since 1970.
    pub updated_ms: i64,
}

impl Delivery {
    /// Its place among what waits.
    pub fn head(&self) -> Head {
        let keys = std::iter::once(self.path.clone()).chain(self.also.clone()).collect();
        Head { seq: self.seq, due_ms: self.due_ms, keys }
    }

    /// Notes an attempt.
    pub(super) fn note(&mut self, attempt: Attempt) {
        self.attempts += 1;
        self.updated_ms = attempt.at_ms;
        if self.log.len() >= MAX_LOG {
            self.log.remove(0);
        }
        self.log.push(attempt);
    }
}

/// In which order.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum DeliveryOrder {
    /// As they are listed.
    #[default]
    NewestFirst,
    /// As they are brought.
    OldestFirst,
}

/// Which deliveries.
#[derive(Debug, Clone, Copy, Default)]
pub struct DeliveryFilter {
    /// In this state.
    pub state: Option<DeliveryState>,
    /// Older than this event.
    pub before: Option<Seq>,
    /// From this event on.
    pub from: Option<Seq>,
    /// Up to this event.
    pub to: Option<Seq>,
    /// In which order.
    pub order: DeliveryOrder,
}

const COLUMNS: &str = "webhook, seq, path, state, attempts, due_ms, log, updated_ms, also";

impl Tx<'_> {
    /// Writes a delivery down, over what was known of it; nothing where its endpoint is gone.
    ///
    /// # Errors
    /// [`DeliveryError::Catalog`].
    pub fn put_delivery(&self, delivery: &Delivery) -> Result<(), DeliveryError> {
        let log = serde_json::to_string(&delivery.log).expect("texts and numbers can be written");
        self.sql()
            .prepare_cached(&format!(
                "INSERT INTO deliveries ({COLUMNS})
                 SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9 WHERE EXISTS (SELECT 1 FROM webhooks WHERE id = ?1)
                 ON CONFLICT (seq, webhook) DO UPDATE
                 SET state = ?4, attempts = ?5, due_ms = ?6, log = ?7, updated_ms = ?8"
            ))?
            .execute(params![
                delivery.webhook,
                delivery.seq.0 as i64,
                delivery.path,
                delivery.state.as_str(),
                delivery.attempts,
                delivery.due_ms,
                log,
                delivery.updated_ms,
                delivery.also,
            ])?;
        Ok(())
    }

    /// Forgets deliveries that arrived before one instant, and dead letters from before another.
    ///
    /// # Errors
    /// [`DeliveryError::Catalog`].
    pub fn prune_deliveries(&self, delivered_ms: i64, dead_ms: i64) -> Result<usize, DeliveryError> {
        // One that lies behind the cursor is what keeps an event from being brought twice.
        Ok(self.sql().execute(
            "DELETE FROM deliveries
             WHERE ((state = 'delivered' AND updated_ms < ?1) OR (state = 'dead' AND updated_ms < ?2))
               AND seq <= (SELECT cursor FROM webhooks WHERE id = webhook)",
            params![delivered_ms, dead_ms],
        )?)
    }
}

/// An endpoint's deliveries.
///
/// # Errors
/// [`DeliveryError::Catalog`].
pub fn deliveries(
    catalog: &Catalog,
    webhook: &str,
    filter: DeliveryFilter,
    limit: usize,
) -> Result<Vec<Delivery>, DeliveryError> {
    let as_i64 = |seq: Option<Seq>, default: i64| seq.map_or(default, |seq| seq.0 as i64);
    // Written out, for an index over some states is used only where the query names the state.
    let of_state = filter.state.map_or_else(String::new, |state| format!("AND state = '{}'", state.as_str()));
    let order = if filter.order == DeliveryOrder::OldestFirst { "ASC" } else { "DESC" };
    catalog.read(|sql| {
        let mut statement = sql.prepare_cached(&format!(
            "SELECT {COLUMNS} FROM deliveries
             WHERE webhook = ?1 {of_state} AND seq < ?2 AND seq >= ?3 AND seq <= ?4
             ORDER BY seq {order} LIMIT ?5"
        ))?;
        let rows = statement.query_map(
            params![
                webhook,
                as_i64(filter.before, i64::MAX),
                as_i64(filter.from, 0),
                as_i64(filter.to, i64::MAX),
                limit as i64
            ],
            read_row,
        )?;
        Ok(rows.collect::<Result<_, _>>()?)
    })
}

/// One delivery.
///
/// # Errors
/// [`DeliveryError::Catalog`].
pub fn delivery(catalog: &Catalog, webhook: &str, seq: Seq) -> Result<Option<Delivery>, DeliveryError> {
    catalog.read(|sql| {
        let query = format!("SELECT {COLUMNS} FROM deliveries WHERE webhook = ?1 AND seq = ?2");
        let mut statement = sql.prepare_cached(&query)?;
        Ok(statement.query_row(params![webhook, seq.0 as i64], read_row).optional()?)
    })
}

/// Of each of these keys the oldest that waits, but for one event.
pub(super) fn next_heads(
    catalog: &Catalog,
    webhook: &str,
    keys: &[String],
    but: Seq,
) -> Result<Vec<Head>, DeliveryError> {
    catalog.read(|sql| {
        let mut heads = Vec::new();
        for key in keys {
            // Two questions, each of which has an index of its own.
            for column in ["path", "also"] {
                let mut statement = sql.prepare_cached(&format!(
                    "SELECT {COLUMNS} FROM deliveries
                     WHERE webhook = ?1 AND {column} = ?2 AND state = 'pending' AND seq <> ?3 ORDER BY seq LIMIT 1"
                ))?;
                let oldest = statement.query_row(params![webhook, key, but.0 as i64], read_row).optional()?;
                heads.extend(oldest.map(|delivery| delivery.head()));
            }
        }
        Ok(heads)
    })
}

/// Of each key the oldest that waits.
pub(super) fn heads(catalog: &Catalog, webhook: &str) -> Result<Vec<Head>, DeliveryError> {
    let oldest_by = |column: &str| {
        format!(
            "SELECT min(seq) FROM deliveries
             WHERE webhook = ?1 AND state = 'pending' AND {column} IS NOT NULL GROUP BY {column}"
        )
    };
    catalog.read(|sql| {
        let mut statement = sql.prepare_cached(&format!(
            "SELECT {COLUMNS} FROM deliveries WHERE webhook = ?1 AND seq IN ({} UNION {})",
            oldest_by("path"),
            oldest_by("also")
        ))?;
        let rows = statement.query_map([webhook], |row| read_row(row).map(|delivery| delivery.head()))?;
        Ok(rows.collect::<Result<_, _>>()?)
    })
}

/// What is known already of events after a place.
pub(super) fn known_after(
    catalog: &Catalog,
    webhook: &str,
    cursor: Seq,
) -> Result<BTreeSet<Seq>, DeliveryError> {
    catalog.read(|sql| {
        let mut statement =
            sql.prepare_cached("SELECT seq FROM deliveries WHERE webhook = ?1 AND seq > ?2")?;
        let rows = statement
            .query_map(params![webhook, cursor.0 as i64], |row| Ok(Seq(row.get::<_, i64>(0)? as u64)))?;
        Ok(rows.collect::<Result<_, _>>()?)
    })
}

/// The events of which some endpoint has a delivery.
///
/// # Errors
/// [`DeliveryError::Catalog`].
pub fn listed(catalog: &Catalog) -> Result<BTreeSet<Seq>, DeliveryError> {
    catalog.read(|sql| {
        let mut statement = sql.prepare_cached("SELECT DISTINCT seq FROM deliveries")?;
        let seqs = statement.query_map([], |row| Ok(Seq(row.get::<_, i64>(0)? as u64)))?;
        Ok(seqs.collect::<Result<_, _>>()?)
    })
}

fn read_row(row: &Row<'_>) -> Result<Delivery, rusqlite::Error> {
    let state: String = row.get(3)?;
    let log: String = row.get(6)?;
    let unreadable = |column, error: Box<dyn std::error::Error + Send + Sync>| {
        rusqlite::Error::FromSqlConversionFailure(column, rusqlite::types::Type::Text, error)
    };
    Ok(Delivery {
        webhook: row.get(0)?,
        seq: Seq(row.get::<_, i64>(1)? as u64),
        path: row.get(2)?,
        state: DeliveryState::read(&state).unwrap_or(DeliveryState::Dead),
        attempts: row.get(4)?,
        due_ms: row.get(5)?,
        log: serde_json::from_str(&log).map_err(|error| unreadable(6, Box::new(error)))?,
        updated_ms: row.get(7)?,
        also: row.get(8)?,
    })
}
