//! The catalog's tables of traces and hops.
//!
//! A trace belongs to who began it: an id that a stranger happens to use too names another trace, so that nobody learns
//! of, stops or lengthens the trace of others. Who was handed something in a trace takes part in it.

use rusqlite::types::Type;
use rusqlite::{Connection, OptionalExtension, Row, params};
use serde::{Deserialize, Serialize};

use super::judge::{Evidence, Hop, Judgement, Limits, Next, judge};
use super::likeness::Sketch;
use crate::catalog::{Catalog, CatalogError, Tx};

/// Characters of a hop's text that are kept and compared.
const MAX_TEXT_CHARS: usize = 4000;
/// Artifacts of a hop that are kept and compared.
const MAX_ARTIFACTS: usize = 100;
/// Characters of a trace's id.
const MAX_ID_CHARS: usize = 256;
/// Traces of one list.
const MAX_LISTED: usize = 200;
/// The newest hops of each trace of a list; of one alone all are read.
const MAX_LISTED_HOPS: usize = 32;

/// Where a trace stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum TraceState {
    /// It goes on.
    Open,
    /// It went in circles, and waits for a person.
    Parked,
    /// A person ended it.
    Ended,
}

impl TraceState {
    /// Its name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Parked => "parked",
            Self::Ended => "ended",
        }
    }

    fn read(text: &str) -> Self {
        match text {
            "open" => Self::Open,
            "parked" => Self::Parked,
            _ => Self::Ended,
        }
    }
}

/// What is known of a trace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TraceRow {
    /// The catalog's number of it.
    pub number: i64,
    /// As requests name it.
    pub id: String,
    /// Who began it.
    pub root: String,
    /// Where it stands.
    pub state: TraceState,
    /// What brought nothing new up to this hop counts no more.
    pub since: u32,
    /// What a person decides, or decided.
    pub approval: Option<String>,
    /// Why it is parked or ended.
    pub reason: String,
    /// Milliseconds since 1970.
    pub created_ms: i64,
    /// Milliseconds since 1970.
    pub updated_ms: i64,
}

/// A handover that is to be recorded.
#[derive(Debug, Clone)]
pub struct NewHop<'a> {
    /// The trace's id.
    pub trace: &'a str,
    /// A principal.
    pub from: &'a str,
    /// A principal.
    pub to: &'a str,
    /// What is said; what is longer than 4,000 characters is compared by its beginning, and by its hash.
    pub text: &'a str,
    /// Hashes of what comes along.
    pub artifacts: &'a [String],
    /// `[dim]` f32, of the text.
    pub embedding: Option<&'a [f32]>,
    /// The hop that causes it, as [`Verdict::Go`] numbered it; the newest one to `from` where it is missing.
    pub parent: Option<u32>,
    /// What was set aside for it.
    pub reservation: Option<&'a str>,
    /// Milliseconds since 1970.
    pub at_ms: i64,
}

/// A hop as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredHop {
    /// What is judged.
    pub hop: Hop,
    /// What was set aside for it.
    pub reservation: Option<String>,
    /// Milliseconds since 1970.
    pub at_ms: i64,
}

/// What became of a handover.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It is recorded.
    Go {
        /// Its number in the trace, to be the `parent` of what it causes. Not for showing: it counts hops of others.
        number: u32,
        /// From 1, along its chain of causes.
        hop: u32,
    },
    /// Its chain is too long; nothing is recorded.
    HopLimit {
        /// How many are allowed.
        max: u32,
        /// Of what.
        what: &'static str,
    },
    /// Agents go in circles; nothing is recorded. The trace is to be parked.
    Loop {
        /// In words.
        reason: String,
        /// In numbers.
        evidence: Evidence,
    },
    /// The trace waits for a person.
    Parked {
        /// What is to be decided.
        approval: Option<String>,
        /// Why.
        reason: String,
    },
    /// A person ended the trace.
    Ended {
        /// Why.
        reason: String,
    },
}

const TRACE: &str = "number, id, root, state, since, approval, reason, created_ms, updated_ms";
const HOP: &str = "number, parent, depth, sender, addressee, text, artifacts, embedding, is_new, at_ms, \
                   reservation";

impl Tx<'_> {
    /// Judges a handover by what this transaction sees, and records it where it may happen: of two at once the second one is
    /// judged with the first.
    ///
    /// # Errors
    /// [`CatalogError::Sqlite`].
    pub fn record_hop(&self, new: &NewHop<'_>, limits: &Limits) -> Result<Verdict, CatalogError> {
        let trace = self.trace_for(new)?;
        match trace.state {
            TraceState::Open => {}
            TraceState::Parked => {
                return Ok(Verdict::Parked { approval: trace.approval, reason: trace.reason });
            }
            TraceState::Ended => return Ok(Verdict::Ended { reason: trace.reason }),
        }
        let hops: Vec<Hop> =
            hops_of(self.sql(), trace.number)?.into_iter().map(|stored| stored.hop).collect();
        let newest_to = || hops.iter().rev().find(|hop| hop.to == new.from).map(|hop| hop.number);
        let parent =
            new.parent.filter(|parent| hops.iter().any(|hop| hop.number == *parent)).or_else(newest_to);
        let text: String = new.text.chars().take(MAX_TEXT_CHARS).collect();
        let artifacts = &new.artifacts[..new.artifacts.len().min(MAX_ARTIFACTS)];
        let sketch = new.embedding.and_then(Sketch::of);
        let next =
            Next { parent, from: new.from, to: new.to, text: &text, artifacts, sketch: sketch.as_ref() };
        match judge(limits, &hops, trace.since, &next) {
            Judgement::HopLimit { max, what } => Ok(Verdict::HopLimit { max, what }),
            Judgement::Loop { reason, evidence } => Ok(Verdict::Loop { reason, evidence }),
            Judgement::Go { depth, is_new } => {
                let number = hops.last().map_or(1, |hop| hop.number + 1);
                let stored = StoredHop {
                    hop: Hop {
                        number,
                        parent,
                        depth,
                        from: new.from.to_owned(),
                        to: new.to.to_owned(),
                        artifacts: artifacts.to_vec(),
                        text,
                        sketch,
                        is_new,
                    },
                    reservation: new.reservation.map(str::to_owned),
                    at_ms: new.at_ms,
                };
                self.insert_hop(trace.number, &stored, new.text)?;
                Ok(Verdict::Go { number, hop: depth })
            }
        }
    }

    /// The trace of an id in which somebody takes part, as this transaction sees it.
    ///
    /// # Errors
    /// [`CatalogError::Sqlite`].
    pub fn trace(&self, id: &str, principal: &str) -> Result<Option<TraceRow>, CatalogError> {
        find(self.sql(), id, principal)
    }

    fn trace_for(&self, new: &NewHop<'_>) -> Result<TraceRow, CatalogError> {
        if let Some(trace) = find(self.sql(), new.trace, new.from)? {
            return Ok(trace);
        }
        let id: String = new.trace.chars().take(MAX_ID_CHARS).collect();
        self.sql()
            .prepare_cached(
                "INSERT INTO traces (id, root, created_ms, updated_ms) VALUES (?1, ?2, ?3, ?3)
                 ON CONFLICT (id, root) DO NOTHING",
            )?
            .execute(params![id, new.from, new.at_ms])?;
        let query = format!("SELECT {TRACE} FROM traces WHERE id = ?1 AND root = ?2");
        Ok(self.sql().prepare_cached(&query)?.query_row([&id, new.from], read_trace)?)
    }

    fn insert_hop(&self, trace: i64, stored: &StoredHop, text: &str) -> Result<(), CatalogError> {
        let hop = &stored.hop;
        self.sql()
            .prepare_cached(
                "INSERT INTO hops (trace, number, parent, depth, sender, addressee, text, text_hash, artifacts, embedding,
                                   is_new, at_ms, reservation)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)",
            )?
            .execute(params![
                trace,
                hop.number,
                hop.parent,
                hop.depth,
                hop.from,
                hop.to,
                hop.text,
                &blake3::hash(text.as_bytes()).as_bytes()[..],
                serde_json::to_string(&hop.artifacts).expect("texts can be written"),
                hop.sketch.as_ref().map(Sketch::to_bytes),
                hop.is_new,
                stored.at_ms,
                stored.reservation,
            ])?;
        self.sql()
            .prepare_cached("UPDATE traces SET updated_ms = ?2 WHERE number = ?1")?
            .execute(params![trace, stored.at_ms])?;
        Ok(())
    }

    /// Stops a trace until the approval is decided.
    ///
    /// # Errors
    /// [`CatalogError::Sqlite`].
    pub fn park_trace(
        &self,
        number: i64,
        approval: &str,
        reason: &str,
        now_ms: i64,
    ) -> Result<(), CatalogError> {
        self.sql().execute(
            "UPDATE traces SET state = 'parked', approval = ?2, reason = ?3, updated_ms = ?4 WHERE number = ?1",
            params![number, approval, reason, now_ms],
        )?;
        Ok(())
    }

    /// Lets a parked trace go on, with all its rounds again, or ends it for good; whether it waited for this approval.
    ///
    /// # Errors
    /// [`CatalogError::Sqlite`].
    pub fn decide_trace(
        &self,
        number: i64,
        approval: &str,
        goes_on: bool,
        now_ms: i64,
    ) -> Result<bool, CatalogError> {
        let state = if goes_on { TraceState::Open } else { TraceState::Ended };
        let changed = self.sql().execute(
            "UPDATE traces SET state = ?3, updated_ms = ?4,
                 since = (SELECT coalesce(max(number), 0) FROM hops WHERE trace = ?1)
             WHERE number = ?1 AND state = 'parked' AND approval = ?2",
            params![number, approval, state.as_str(), now_ms],
        )?;
        Ok(changed == 1)
    }
}

/// The traces in which somebody takes part, or all, those first in which they did something last; of one id, or of all. With the hops that were theirs, or
/// all; of many traces only the newest.
///
/// # Errors
/// [`CatalogError::Sqlite`].
pub fn traces_of(
    catalog: &Catalog,
    id: Option<&str>,
    principal: Option<&str>,
) -> Result<Vec<(TraceRow, Vec<StoredHop>)>, CatalogError> {
    catalog.read(|sql| {
        let query = format!(
            "SELECT {TRACE} FROM traces t
             WHERE (?1 IS NULL OR id = ?1)
               AND (?2 IS NULL OR root = ?2 OR EXISTS
                    (SELECT 1 FROM hops WHERE hops.trace = t.number AND hops.addressee = ?2))
             ORDER BY (SELECT max(at_ms) FROM hops
                       WHERE hops.trace = t.number AND (?2 IS NULL OR sender = ?2 OR addressee = ?2)) DESC, id, root
             LIMIT ?3"
        );
        let mut statement = sql.prepare_cached(&query)?;
        let rows = statement.query_map(params![id, principal, MAX_LISTED as i64], read_trace)?;
        let rows: Vec<TraceRow> = rows.collect::<Result<_, _>>()?;
        rows.into_iter()
            .map(|row| {
                let most = if id.is_some() { usize::MAX } else { MAX_LISTED_HOPS };
                let hops = newest_hops(sql, row.number, principal, most)?;
                Ok((row, hops))
            })
            .collect()
    })
}

/// Of one id: what somebody began, else the newest in which they were handed something. So nobody draws the trace of
/// another into one of their own by handing them something under its id.
fn find(sql: &Connection, id: &str, principal: &str) -> Result<Option<TraceRow>, CatalogError> {
    let id: String = id.chars().take(MAX_ID_CHARS).collect();
    let query = format!(
        "SELECT {TRACE} FROM traces t
         WHERE id = ?1 AND (root = ?2 OR EXISTS
               (SELECT 1 FROM hops WHERE hops.trace = t.number AND hops.addressee = ?2))
         ORDER BY root = ?2 DESC, number DESC LIMIT 1"
    );
    Ok(sql.prepare_cached(&query)?.query_row([&id, principal], read_trace).optional()?)
}

/// The newest hops of a trace, of somebody or all; oldest first.
fn newest_hops(
    sql: &Connection,
    trace: i64,
    principal: Option<&str>,
    most: usize,
) -> Result<Vec<StoredHop>, CatalogError> {
    let query = format!(
        "SELECT {HOP} FROM hops WHERE trace = ?1 AND (?2 IS NULL OR sender = ?2 OR addressee = ?2)
         ORDER BY number DESC LIMIT ?3"
    );
    let mut statement = sql.prepare_cached(&query)?;
    let most = i64::try_from(most).unwrap_or(i64::MAX);
    let rows = statement.query_map(params![trace, principal, most], read_hop)?;
    let mut hops: Vec<StoredHop> = rows.collect::<Result<_, _>>()?;
    hops.reverse();
    Ok(hops)
}

fn hops_of(sql: &Connection, trace: i64) -> Result<Vec<StoredHop>, CatalogError> {
    let query = format!("SELECT {HOP} FROM hops WHERE trace = ?1 ORDER BY number");
    let mut statement = sql.prepare_cached(&query)?;
    let rows = statement.query_map([trace], read_hop)?;
    Ok(rows.collect::<Result<_, _>>()?)
}

fn read_trace(row: &Row<'_>) -> Result<TraceRow, rusqlite::Error> {
    let state: String = row.get(3)?;
    Ok(TraceRow {
        number: row.get(0)?,
        id: row.get(1)?,
        root: row.get(2)?,
        state: TraceState::read(&state),
        since: row.get(4)?,
        approval: row.get(5)?,
        reason: row.get(6)?,
        created_ms: row.get(7)?,
        updated_ms: row.get(8)?,
    })
}

fn read_hop(row: &Row<'_>) -> Result<StoredHop, rusqlite::Error> {
    let artifacts: String = row.get(6)?;
    let unread = |error| rusqlite::Error::FromSqlConversionFailure(6, Type::Text, Box::new(error));
    let embedding: Option<Vec<u8>> = row.get(7)?;
    Ok(StoredHop {
        hop: Hop {
            number: row.get(0)?,
            parent: row.get(1)?,
            depth: row.get(2)?,
            from: row.get(3)?,
            to: row.get(4)?,
            text: row.get(5)?,
            artifacts: serde_json::from_str(&artifacts).map_err(unread)?,
            sketch: embedding.as_deref().map(Sketch::from_bytes),
            is_new: row.get(8)?,
        },
        at_ms: row.get(9)?,
        reservation: row.get(10)?,
    })
}
