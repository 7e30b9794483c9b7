//! The audit chain: each record's hash covers the record and the hash before it, and the catalog keeps a sealed head, so
//! that a record that was changed, cut out, cut off at the end or put elsewhere is found.

use rusqlite::{OptionalExtension, Row, params};
use serde::{Deserialize, Serialize};

use crate::catalog::{Catalog, CatalogError, Tx};

/// How an act ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// Done.
    Allowed,
    /// Refused by access.
    Denied,
    /// Waits at a gate.
    Pending,
    /// Allowed, and failed for another reason.
    Failed,
}

impl Outcome {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Allowed, Self::Denied, Self::Pending, Self::Failed];

    /// Its name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Allowed => "allowed",
            Self::Denied => "denied",
            Self::Pending => "pending",
            Self::Failed => "failed",
        }
    }
}

/// What somebody did or tried.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Act {
    /// Who.
    pub principal: String,
    /// By which token; empty for whoever opened the home itself.
    pub token: String,
    /// Such as `file.write` or `search`.
    pub action: &'static str,
    /// The verb that it took.
    pub verb: &'static str,
    /// On what.
    pub path: String,
    /// The version that came of it or was read; empty where there is none.
    pub version: String,
    /// How it ended.
    pub outcome: Outcome,
    /// What decided: a grant's id, `owner`, `token`, `default`, a gate's id, or an error's code.
    pub rule: String,
    /// The request that it belongs to.
    pub trace: String,
}

/// A record of the chain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, schemars::JsonSchema)]
pub struct AuditRow {
    /// Its place, from 1, without gaps.
    pub number: u64,
    /// RFC 3339.
    pub at: String,
    /// Who.
    pub principal: String,
    /// By which token.
    pub token: String,
    /// What was done.
    pub action: String,
    /// By which verb.
    pub verb: String,
    /// On what.
    pub path: String,
    /// Which version.
    pub version: String,
    /// How it ended.
    pub outcome: String,
    /// What decided.
    pub rule: String,
    /// The request.
    pub trace: String,
    /// Of this record and the hash before it, hexadecimal.
    pub hash: String,
    #[serde(skip)]
    at_ms: i64,
}

impl AuditRow {
    /// Milliseconds since 1970.
    pub fn at_ms(&self) -> i64 {
        self.at_ms
    }
}

/// Where the chain does not hold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, schemars::JsonSchema)]
pub struct AuditBreak {
    /// The first record that does not fit.
    pub number: u64,
    /// What is wrong, for a person.
    pub what: String,
}

const COLUMNS: &str =
    "number, at_ms, principal, token, action, verb, path, version, outcome, rule, trace, hash";

impl Tx<'_> {
    /// Appends to the chain. `key` seals its head.
    ///
    /// # Errors
    /// [`CatalogError::Sqlite`].
    pub fn audit(&self, act: &Act, now_ms: i64, key: &[u8; 32]) -> Result<(), CatalogError> {
        self.audit_all(std::iter::once((act, now_ms)), key)
    }

    /// Appends several acts, each with its time in milliseconds since 1970.
    ///
    /// # Errors
    /// [`CatalogError::Sqlite`].
    pub fn audit_all<'a>(
        &self,
        acts: impl Iterator<Item = (&'a Act, i64)>,
        key: &[u8; 32],
    ) -> Result<(), CatalogError> {
        let (mut number, mut before) = self.next_place(key)?;
        let mut insert = self.sql().prepare_cached(&format!(
            "INSERT INTO audit ({COLUMNS}) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)"
        ))?;
        let mut sealed = None;
        for (act, at_ms) in acts {
            let outcome = act.outcome.as_str();
            let parts = [
                &*act.principal,
                &act.token,
                act.action,
                act.verb,
                &act.path,
                &act.version,
                outcome,
                &act.rule,
                &act.trace,
            ];
            let hash = chain(&before, number, at_ms, parts);
            let [principal, token, action, verb, path, version, outcome, rule, trace] = parts;
            insert.execute(params![
                number as i64,
                at_ms,
                principal,
                token,
                action,
                verb,
                path,
                version,
                outcome,
                rule,
                trace,
                &hash[..]
            ])?;
            sealed = Some(head(number, &hash, key));
            (number, before) = (number + 1, hash);
        }
        if let Some(sealed) = sealed {
            self.sql()
                .prepare_cached(
                    "INSERT INTO meta (key, value) VALUES ('audit_head', ?1)
                     ON CONFLICT (key) DO UPDATE SET value = ?1",
                )?
                .execute([sealed])?;
        }
        Ok(())
    }

    /// The chain goes on from its sealed head, never from whatever record is the last one: where records were cut off, a
    /// gap stays for [`verify_audit`] to find.
    fn next_place(&self, key: &[u8; 32]) -> Result<(u64, [u8; 32]), CatalogError> {
        let sealed: Option<String> = self
            .sql()
            .prepare_cached("SELECT value FROM meta WHERE key = 'audit_head'")?
            .query_row([], |row| row.get(0))
            .optional()?;
        if let Some((number, hash)) = sealed.as_deref().and_then(|sealed| read_head(sealed, key)) {
            return Ok((number + 1, hash));
        }
        let last: Option<i64> =
            self.sql().prepare_cached("SELECT max(number) FROM audit")?.query_row([], |row| row.get(0))?;
        // Records without a head were tampered with: a number is left out, which shows.
        Ok(last.map_or((1, [0; 32]), |last| (last as u64 + 2, [0; 32])))
    }
}

fn chain(before: &[u8; 32], number: u64, at_ms: i64, parts: [&str; 9]) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new();
    hasher.update(before).update(&number.to_le_bytes()).update(&at_ms.to_le_bytes());
    for part in parts {
        hasher.update(&(part.len() as u64).to_le_bytes()).update(part.as_bytes());
    }
    *hasher.finalize().as_bytes()
}

/// `<number> <hash> <seal>`.
fn head(number: u64, hash: &[u8; 32], key: &[u8; 32]) -> String {
    let mut hasher = blake3::Hasher::new_keyed(key);
    hasher.update(b"audit head").update(&number.to_le_bytes()).update(hash);
    format!("{number} {} {}", blake3::Hash::from_bytes(*hash).to_hex(), hasher.finalize().to_hex())
}

/// What a head says; `None` where its seal does not hold.
fn read_head(sealed: &str, key: &[u8; 32]) -> Option<(u64, [u8; 32])> {
    let mut parts = sealed.split(' ');
    let number = parts.next()?.parse().ok()?;
    let hash = *blake3::Hash::from_hex(parts.next()?).ok()?.as_bytes();
    (head(number, &hash, key) == sealed).then_some((number, hash))
}

/// Where a walk over the records begins, and which way it goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Walk {
    /// After this number, oldest first.
    After(u64),
    /// Before this number, newest first; from the end where there is none.
    Before(Option<u64>),
}

/// Records on a walk, at most `limit`; `only` decides which.
///
/// # Errors
/// [`CatalogError::Sqlite`].
pub fn acts(
    catalog: &Catalog,
    walk: Walk,
    limit: usize,
    only: impl Fn(&AuditRow) -> bool,
) -> Result<Vec<AuditRow>, CatalogError> {
    let (bound, which) = match walk {
        Walk::After(number) => (i64::try_from(number).unwrap_or(i64::MAX), "number > ?1 ORDER BY number"),
        Walk::Before(number) => {
            let number = number.and_then(|number| i64::try_from(number).ok()).unwrap_or(i64::MAX);
            (number, "number < ?1 ORDER BY number DESC")
        }
    };
    catalog.read(|sql| {
        let query = format!("SELECT {COLUMNS} FROM audit WHERE {which}");
        let mut statement = sql.prepare_cached(&query)?;
        let mut rows = statement.query([bound])?;
        let mut found = Vec::new();
        while let Some(row) = rows.next()? {
            let row = read_row(row)?;
            if only(&row) {
                found.push(row);
            }
            if found.len() >= limit {
                break;
            }
        }
        Ok(found)
    })
}

/// Walks the whole chain; the number of records, and the first place where it does not hold.
///
/// # Errors
/// [`CatalogError::Sqlite`] where it can't even be read.
pub fn verify_audit(catalog: &Catalog, key: &[u8; 32]) -> Result<(u64, Option<AuditBreak>), CatalogError> {
    catalog.read(|sql| {
        let query = format!("SELECT {COLUMNS} FROM audit ORDER BY number");
        let mut statement = sql.prepare(&query)?;
        let mut rows = statement.query([])?;
        let (mut count, mut before) = (0, [0u8; 32]);
        while let Some(row) = rows.next()? {
            let stored: [u8; 32] = row.get(11)?;
            let row = read_row(row)?;
            count += 1;
            let broken = |what: &str| Some(AuditBreak { number: row.number, what: what.to_owned() });
            if row.number != count {
                return Ok((count, broken("records before it are missing")));
            }
            let parts = [
                &*row.principal,
                &row.token,
                &row.action,
                &row.verb,
                &row.path,
                &row.version,
                &row.outcome,
                &row.rule,
                &row.trace,
            ];
            if chain(&before, row.number, row.at_ms, parts) != stored {
                return Ok((count, broken("the record or one before it was changed")));
            }
            before = stored;
        }
        let sealed: Option<String> = sql
            .query_row("SELECT value FROM meta WHERE key = 'audit_head'", [], |row| row.get(0))
            .optional()?;
        let expected = (count > 0).then(|| head(count, &before, key));
        let broken = (sealed != expected)
            .then(|| AuditBreak { number: count + 1, what: "records at the end are missing".to_owned() });
        Ok((count, broken))
    })
}

fn read_row(row: &Row<'_>) -> Result<AuditRow, rusqlite::Error> {
    let at_ms: i64 = row.get(1)?;
    let hash: [u8; 32] = row.get(11)?;
    Ok(AuditRow {
        number: row.get::<_, i64>(0)? as u64,
        at: crate::clock::rfc3339(at_ms),
        principal: row.get(2)?,
        token: row.get(3)?,
        action: row.get(4)?,
        verb: row.get(5)?,
        path: row.get(6)?,
        version: row.get(7)?,
        outcome: row.get(8)?,
        rule: row.get(9)?,
        trace: row.get(10)?,
        hash: blake3::Hash::from_bytes(hash).to_hex().to_string(),
        at_ms,
    })
}
