//! What became of what was handed out.

use rusqlite::{OptionalExtension, params};
use serde::Serialize;

use crate::catalog::{Catalog, CatalogError, Tx};

/// How far back an agent's record looks, in tasks.
const RECORD_TASKS: i64 = 50;

/// An intent that was handed to an agent.
#[derive(Debug, Clone, PartialEq)]
pub struct Dispatched {
    /// `tk_…`.
    pub task: String,
    /// Whose inbox it lies in.
    pub agent: String,
    /// The decision that led there; `None` where the asker named the agent.
    pub decision: Option<String>,
    /// Who asked.
    pub principal: String,
    /// What for.
    pub intent: String,
    /// Milliseconds since 1970.
    pub at_ms: i64,
}

/// How a task that was handed out ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum TaskOutcome {
    /// It was done, and nobody was asked.
    Completed,
    /// It was done, and a reviewer was content.
    Accepted,
    /// A reviewer sent it back at least once.
    Rejected,
    /// It was given up.
    Failed,
    /// Its file is gone.
    Gone,
}

impl TaskOutcome {
    /// Its name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Completed => "completed",
            Self::Accepted => "accepted",
            Self::Rejected => "rejected",
            Self::Failed => "failed",
            Self::Gone => "gone",
        }
    }

    /// What it says of whether the intent was for the agent: yes, no, or nothing.
    pub fn verdict(self) -> Option<bool> {
        match self {
            Self::Completed | Self::Accepted => Some(true),
            Self::Rejected => Some(false),
            // A crash says nothing of whether the right one was asked.
            Self::Failed | Self::Gone => None,
        }
    }
}

/// An agent's last tasks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, schemars::JsonSchema)]
pub struct Record {
    /// Done, and not sent back.
    pub done: u32,
    /// Sent back or given up.
    pub troubled: u32,
    /// Handed out and not ended.
    pub open: u32,
}

impl Record {
    /// The share that went well, `[0, 1]`, as if one of two further tasks had: an agent without a past stands at 0.5
    /// (Laplace's rule of succession).
    pub fn success(self) -> f64 {
        f64::from(self.done + 1) / f64::from(self.done + self.troubled + 2)
    }
}

impl Tx<'_> {
    /// Remembers what was handed out.
    ///
    /// # Errors
    /// [`CatalogError::Sqlite`].
    pub fn put_dispatch(&self, dispatched: &Dispatched) -> Result<(), CatalogError> {
        self.sql()
            .prepare_cached(
                "INSERT INTO dispatches (task, agent, decision, principal, intent, at_ms)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            )?
            .execute(params![
                dispatched.task,
                dispatched.agent,
                dispatched.decision,
                dispatched.principal,
                dispatched.intent,
                dispatched.at_ms
            ])?;
        Ok(())
    }

    /// Remembers how it ended; tells whether that was new.
    ///
    /// # Errors
    /// [`CatalogError::Sqlite`].
    pub fn end_dispatch(&self, task: &str, outcome: TaskOutcome, now_ms: i64) -> Result<bool, CatalogError> {
        let changed = self
            .sql()
            .prepare_cached(
                "UPDATE dispatches SET outcome = ?2, ended_ms = ?3 WHERE task = ?1 AND outcome IS NULL",
            )?
            .execute(params![task, outcome.as_str(), now_ms])?;
        Ok(changed == 1)
    }

    /// Forgets what ended before `before_ms`.
    ///
    /// # Errors
    /// [`CatalogError::Sqlite`].
    pub fn forget_dispatches(&self, before_ms: i64) -> Result<(), CatalogError> {
        self.sql().execute("DELETE FROM dispatches WHERE ended_ms < ?1", [before_ms])?;
        Ok(())
    }
}

/// What was handed out and whose tasks have ended, or are gone: their ids.
///
/// # Errors
/// [`CatalogError::Sqlite`].
pub fn ended_dispatches(catalog: &Catalog, limit: usize) -> Result<Vec<Dispatched>, CatalogError> {
    catalog.read(|sql| {
        let mut statement = sql.prepare_cached(
            "SELECT d.task, d.agent, d.decision, d.principal, d.intent, d.at_ms FROM dispatches d
             LEFT JOIN tasks t ON t.id = d.task
             WHERE d.outcome IS NULL AND (t.id IS NULL OR t.state IN ('done', 'failed')) LIMIT ?1",
        )?;
        let rows = statement.query_map([limit as i64], |row| {
            Ok(Dispatched {
                task: row.get(0)?,
                agent: row.get(1)?,
                decision: row.get(2)?,
                principal: row.get(3)?,
                intent: row.get(4)?,
                at_ms: row.get(5)?,
            })
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    })
}

/// An agent's last tasks: those that somebody handed to it, or all.
///
/// # Errors
/// [`CatalogError::Sqlite`].
pub fn record_of(catalog: &Catalog, agent: &str, by: Option<&str>) -> Result<Record, CatalogError> {
    catalog.read(|sql| {
        let mut statement = sql.prepare_cached(
            "SELECT outcome FROM dispatches WHERE agent = ?1 AND (?3 IS NULL OR principal = ?3)
             ORDER BY at_ms DESC LIMIT ?2",
        )?;
        let mut rows = statement.query(params![agent, RECORD_TASKS, by])?;
        let mut record = Record::default();
        while let Some(row) = rows.next()? {
            match row.get::<_, Option<String>>(0)?.as_deref() {
                None => record.open += 1,
                Some("completed" | "accepted") => record.done += 1,
                Some("gone") => {}
                Some(_) => record.troubled += 1,
            }
        }
        Ok(record)
    })
}

/// How many tasks an agent was handed since then, by somebody or in all, and when the first of them, in milliseconds since
/// 1970.
///
/// # Errors
/// [`CatalogError::Sqlite`].
pub fn handed_since(
    catalog: &Catalog,
    agent: &str,
    by: Option<&str>,
    since_ms: i64,
) -> Result<(u32, Option<i64>), CatalogError> {
    catalog.read(|sql| {
        let mut statement = sql.prepare_cached(
            "SELECT count(*), min(at_ms) FROM dispatches
             WHERE agent = ?1 AND at_ms >= ?2 AND (?3 IS NULL OR principal = ?3)",
        )?;
        Ok(statement.query_row(params![agent, since_ms, by], |row| Ok((row.get(0)?, row.get(1)?)))?)
    })
}

/// The decision behind a task, if it was handed out by one.
///
/// # Errors
/// [`CatalogError::Sqlite`].
pub fn dispatched(catalog: &Catalog, task: &str) -> Result<Option<String>, CatalogError> {
    catalog.read(|sql| {
        let mut statement = sql.prepare_cached("SELECT decision FROM dispatches WHERE task = ?1")?;
        let found: Option<Option<String>> = statement.query_row([task], |row| row.get(0)).optional()?;
        Ok(found.flatten())
    })
}
