//! Acts that wait for somebody with `approve`: kept, decided once, and spent in the transaction of the act itself.

use rusqlite::{OptionalExtension, Row, params};
use serde::{Deserialize, Serialize};

use super::AccessError;
use crate::catalog::{Catalog, Tx};

/// How long an act waits before it can't be granted any more, in milliseconds: a week.
pub const APPROVAL_TTL_MS: i64 = 7 * 24 * 3600 * 1000;

/// Where an approval stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ApprovalState {
    /// Waits.
    Pending,
    /// The act has happened.
    Granted,
    /// Somebody said no.
    Denied,
    /// What was to be approved has changed meanwhile, or it waited too long.
    Stale,
}

impl ApprovalState {
    /// Its name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Granted => "granted",
            Self::Denied => "denied",
            Self::Stale => "stale",
        }
    }

    fn read(text: &str) -> Self {
        match text {
            "pending" => Self::Pending,
            "granted" => Self::Granted,
            "denied" => Self::Denied,
            _ => Self::Stale,
        }
    }
}

/// An act that waits, or did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Approval {
    /// `ap_…`.
    pub id: String,
    /// Where it stands.
    pub state: ApprovalState,
    /// Who wanted it.
    pub requester: String,
    /// The gate's id.
    pub gate: String,
    /// The gated path.
    pub path: String,
    /// The act with the versions that were shown, as JSON.
    pub act: String,
    /// Milliseconds since 1970.
    pub created_ms: i64,
    /// Milliseconds since 1970.
    pub expires_ms: i64,
    /// Milliseconds since 1970.
    pub decided_ms: Option<i64>,
    /// By whom.
    pub decided_by: Option<String>,
    /// In whose words.
    pub reason: Option<String>,
}

/// An act that is to wait.
#[derive(Debug, Clone)]
pub struct NewApproval<'a> {
    /// Who wants it.
    pub requester: &'a str,
    /// The gate's id.
    pub gate: &'a str,
    /// The gated path.
    pub path: &'a str,
    /// As JSON.
    pub act: &'a str,
    /// From outside, so that a run can be repeated.
    pub id: &'a str,
}

const COLUMNS: &str =
    "id, state, requester, gate, path, act, created_ms, expires_ms, decided_ms, decided_by, reason";

impl Tx<'_> {
    /// Leaves an act to wait, and gives its id; the same act of the same requester waits only once.
    ///
    /// # Errors
    /// [`AccessError::Catalog`].
    pub fn request_approval(&self, new: &NewApproval<'_>, now_ms: i64) -> Result<String, AccessError> {
        let hash = blake3::hash(format!("{}\0{}", new.requester, new.act).as_bytes());
        let waiting: Option<String> = self
            .sql()
            .query_row(
                "SELECT id FROM approvals WHERE act_hash = ?1 AND state = 'pending' AND expires_ms > ?2",
                params![&hash.as_bytes()[..], now_ms],
                |row| row.get(0),
            )
            .optional()?;
        if let Some(id) = waiting {
            return Ok(id);
        }
        self.sql().execute(
            "INSERT INTO approvals (id, state, requester, gate, path, act, act_hash, created_ms, expires_ms)
             VALUES (?1, 'pending', ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
            params![
                new.id,
                new.requester,
                new.gate,
                new.path,
                new.act,
                &hash.as_bytes()[..],
                now_ms,
                now_ms + APPROVAL_TTL_MS
            ],
        )?;
        Ok(new.id.to_owned())
    }

    /// An approval, as this transaction sees it.
    ///
    /// # Errors
    /// [`AccessError::Catalog`].
    pub fn approval(&self, id: &str) -> Result<Option<Approval>, AccessError> {
        let query = format!("SELECT {COLUMNS} FROM approvals WHERE id = ?1");
        Ok(self.sql().prepare_cached(&query)?.query_row([id], read_row).optional()?)
    }

    /// What waits of one requester.
    ///
    /// # Errors
    /// [`AccessError::Catalog`].
    pub fn pending_approvals_of(&self, requester: &str) -> Result<Vec<Approval>, AccessError> {
        let query = format!("SELECT {COLUMNS} FROM approvals WHERE requester = ?1 AND state = 'pending'");
        let mut statement = self.sql().prepare_cached(&query)?;
        let rows = statement.query_map([requester], read_row)?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// Closes what waits at one gate for one path or tool, but for this act: it is not what is wanted any more.
    ///
    /// # Errors
    /// [`AccessError::Catalog`].
    pub fn close_approvals_at(
        &self,
        gate: &str,
        path: &str,
        but: Option<&str>,
        reason: &str,
        now_ms: i64,
    ) -> Result<(), AccessError> {
        self.sql().execute(
            "UPDATE approvals SET state = 'stale', reason = ?4, decided_ms = ?5
             WHERE gate = ?1 AND path = ?2 AND state = 'pending' AND act IS NOT ?3",
            params![gate, path, but, reason, now_ms],
        )?;
        Ok(())
    }

    /// Decides an approval that still waits; whether it did.
    ///
    /// # Errors
    /// [`AccessError::Catalog`].
    pub fn decide_approval(
        &self,
        id: &str,
        state: ApprovalState,
        by: &str,
        reason: Option<&str>,
        now_ms: i64,
    ) -> Result<bool, AccessError> {
        let changed = self.sql().execute(
            "UPDATE approvals SET state = ?2, decided_by = ?3, reason = ?4, decided_ms = ?5
             WHERE id = ?1 AND state = 'pending'",
            params![id, state.as_str(), by, reason, now_ms],
        )?;
        Ok(changed == 1)
    }
}

/// All approvals, newest first.
///
/// # Errors
/// [`AccessError::Catalog`].
pub fn approvals(catalog: &Catalog) -> Result<Vec<Approval>, AccessError> {
    catalog.read(|sql| {
        let query = format!("SELECT {COLUMNS} FROM approvals ORDER BY created_ms DESC, rowid DESC");
        let mut statement = sql.prepare_cached(&query)?;
        let rows = statement.query_map([], read_row)?;
        Ok(rows.collect::<Result<_, _>>()?)
    })
}

fn read_row(row: &Row<'_>) -> Result<Approval, rusqlite::Error> {
    let state: String = row.get(1)?;
    Ok(Approval {
        id: row.get(0)?,
        state: ApprovalState::read(&state),
        requester: row.get(2)?,
        gate: row.get(3)?,
        path: row.get(4)?,
        act: row.get(5)?,
        created_ms: row.get(6)?,
        expires_ms: row.get(7)?,
        decided_ms: row.get(8)?,
        decided_by: row.get(9)?,
        reason: row.get(10)?,
    })
}
