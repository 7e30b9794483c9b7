//! What the catalog keeps: every form that an entry ever had, and every decision with the forms that it stood on.
//!
//! An entry that changes gets a new revision; nothing is overwritten, so a decision can be taken again later over the very
//! entries that it was taken over. The visible entries of a decision are a *book*: a set of revisions under its hash.

use std::collections::BTreeMap;
use std::sync::Arc;

use rusqlite::{OptionalExtension, Row, params};

use super::{Entry, EntryKey, EntryKind};
use crate::catalog::{Catalog, CatalogError, Tx};

/// Decisions and outdated revisions are kept so long, in milliseconds: 30 days.
pub const KEPT_MS: i64 = 30 * 24 * 60 * 60 * 1000;
/// Decisions that are kept at most; the oldest go first.
pub const MAX_DECISIONS: u64 = 200_000;

/// An entry in one of its forms.
#[derive(Debug, Clone, PartialEq)]
pub struct Revision {
    /// Ascending with time.
    pub number: i64,
    /// The form.
    pub entry: Entry,
}

/// A set of revisions, and the name of the set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Book {
    /// BLAKE3 of the numbers.
    pub hash: [u8; 32],
    /// In the order of their entries.
    pub revisions: Arc<[i64]>,
}

impl Book {
    /// Of these revisions.
    pub fn of(revisions: impl Iterator<Item = i64>) -> Self {
        let revisions: Arc<[i64]> = revisions.collect();
        Self { hash: *blake3::hash(&pack(&revisions)).as_bytes(), revisions }
    }
}

/// What was decided.
#[derive(Debug, Clone, PartialEq)]
pub struct DecisionRow {
    /// `rd_…`.
    pub id: String,
    /// Milliseconds since 1970.
    pub at_ms: i64,
    /// Who asked.
    pub principal: String,
    /// What for.
    pub intent: String,
    /// The rest of the question, JSON.
    pub question: String,
    /// Over which entries, by the name of their book.
    pub book: [u8; 32],
    /// The answer, JSON.
    pub answer: String,
}

impl Tx<'_> {
    /// Takes an entry's new form, unless it has that form already; tells whether it was new.
    ///
    /// # Errors
    /// [`CatalogError::Sqlite`].
    pub fn put_route_entry(&self, entry: &Entry, now_ms: i64) -> Result<bool, CatalogError> {
        let hash = entry.hash();
        let known: Option<Vec<u8>> = self
            .sql()
            .prepare_cached(
                "SELECT hash FROM route_entries WHERE kind = ?1 AND id = ?2 AND until_ms IS NULL",
            )?
            .query_row(params![entry.kind.as_str(), entry.id], |row| row.get(0))
            .optional()?;
        if known.as_deref() == Some(&hash[..]) {
            return Ok(false);
        }
        self.end_route_entry(entry.kind, &entry.id, now_ms)?;
        let body = serde_json::to_string(entry).expect("an entry is plain data");
        self.sql()
            .prepare_cached(
                "INSERT INTO route_entries (kind, id, hash, body, since_ms) VALUES (?1, ?2, ?3, ?4, ?5)",
            )?
            .execute(params![entry.kind.as_str(), entry.id, &hash[..], body, now_ms])?;
        Ok(true)
    }

    /// Takes an entry away; tells whether it was there.
    ///
    /// # Errors
    /// [`CatalogError::Sqlite`].
    pub fn end_route_entry(&self, kind: EntryKind, id: &str, now_ms: i64) -> Result<bool, CatalogError> {
        let changed = self
            .sql()
            .prepare_cached(
                "UPDATE route_entries SET until_ms = ?3 WHERE kind = ?1 AND id = ?2 AND until_ms IS NULL",
            )?
            .execute(params![kind.as_str(), id, now_ms])?;
        Ok(changed > 0)
    }

    /// An entry as it is now.
    ///
    /// # Errors
    /// [`CatalogError::Sqlite`].
    pub fn route_entry(&self, kind: EntryKind, id: &str) -> Result<Option<Entry>, CatalogError> {
        let found = self
            .sql()
            .prepare_cached(
                "SELECT number, body FROM route_entries WHERE kind = ?1 AND id = ?2 AND until_ms IS NULL",
            )?
            .query_row(params![kind.as_str(), id], read_revision)
            .optional()?;
        Ok(found.map(|revision| revision.entry))
    }

    /// The ids of the entries of one kind, as they are now.
    ///
    /// # Errors
    /// [`CatalogError::Sqlite`].
    pub fn route_ids(&self, kind: EntryKind) -> Result<Vec<String>, CatalogError> {
        let mut statement = self.sql().prepare_cached(
            "SELECT id FROM route_entries WHERE kind = ?1 AND until_ms IS NULL ORDER BY id",
        )?;
        let ids = statement.query_map([kind.as_str()], |row| row.get(0))?;
        Ok(ids.collect::<Result<_, _>>()?)
    }

    /// Writes decisions down, with the books that they stand on.
    ///
    /// # Errors
    /// [`CatalogError::Sqlite`].
    pub fn put_decisions<'a>(
        &self,
        decisions: impl Iterator<Item = (&'a DecisionRow, &'a [i64])>,
    ) -> Result<(), CatalogError> {
        let sql = self.sql();
        let mut book =
            sql.prepare_cached("INSERT OR IGNORE INTO route_books (hash, revisions) VALUES (?1, ?2)")?;
        let mut row = sql.prepare_cached(
            "INSERT OR REPLACE INTO route_decisions (id, at_ms, principal, intent, question, book, answer)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        )?;
        for (decision, revisions) in decisions {
            book.execute(params![&decision.book[..], pack(revisions)])?;
            row.execute(params![
                decision.id,
                decision.at_ms,
                decision.principal,
                decision.intent,
                decision.question,
                &decision.book[..],
                decision.answer
            ])?;
        }
        Ok(())
    }

    /// Forgets decisions before `before_ms` and beyond [`MAX_DECISIONS`], then books and outdated revisions that none
    /// stands on.
    ///
    /// # Errors
    /// [`CatalogError::Sqlite`].
    pub fn forget_decisions(&self, before_ms: i64) -> Result<(), CatalogError> {
        let sql = self.sql();
        sql.execute("DELETE FROM route_decisions WHERE at_ms < ?1", [before_ms])?;
        sql.execute(
            "DELETE FROM route_decisions WHERE at_ms < (
                 SELECT at_ms FROM route_decisions ORDER BY at_ms DESC LIMIT 1 OFFSET ?1)",
            [MAX_DECISIONS as i64],
        )?;
        let gone =
            sql.execute("DELETE FROM route_books WHERE hash NOT IN (SELECT book FROM route_decisions)", [])?;
        if gone > 0 {
            sql.execute("DELETE FROM route_entries WHERE until_ms < ?1", [before_ms])?;
        }
        Ok(())
    }
}

/// Every entry as it is now, by kind and id.
///
/// # Errors
/// [`CatalogError::Sqlite`].
pub fn entries(catalog: &Catalog) -> Result<BTreeMap<EntryKey, Revision>, CatalogError> {
    catalog.read(|sql| {
        let mut statement =
            sql.prepare_cached("SELECT number, body FROM route_entries WHERE until_ms IS NULL")?;
        let rows = statement.query_map([], read_revision)?;
        rows.map(|revision| Ok(revision.map(|revision| (revision.entry.key(), revision))?)).collect()
    })
}

/// One decision.
///
/// # Errors
/// [`CatalogError::Sqlite`].
pub fn decision(catalog: &Catalog, id: &str) -> Result<Option<DecisionRow>, CatalogError> {
    catalog.read(|sql| {
        let mut statement = sql.prepare_cached(
            "SELECT id, at_ms, principal, intent, question, book, answer FROM route_decisions WHERE id = ?1",
        )?;
        Ok(statement.query_row([id], read_decision).optional()?)
    })
}

/// The entries of a book, in the order of their numbers; `None` where it was forgotten, or one of them.
///
/// # Errors
/// [`CatalogError::Sqlite`].
pub fn book(catalog: &Catalog, hash: &[u8; 32]) -> Result<Option<Vec<Revision>>, CatalogError> {
    catalog.read(|sql| {
        let packed: Option<Vec<u8>> = sql
            .prepare_cached("SELECT revisions FROM route_books WHERE hash = ?1")?
            .query_row([&hash[..]], |row| row.get(0))
            .optional()?;
        let Some(packed) = packed else { return Ok(None) };
        let mut statement = sql.prepare_cached("SELECT number, body FROM route_entries WHERE number = ?1")?;
        let revisions = unpack(&packed).into_iter();
        let found = revisions.map(|number| Ok(statement.query_row([number], read_revision).optional()?));
        found.collect::<Result<Option<Vec<Revision>>, CatalogError>>()
    })
}

fn pack(revisions: &[i64]) -> Vec<u8> {
    revisions.iter().flat_map(|number| number.to_le_bytes()).collect()
}

fn unpack(bytes: &[u8]) -> Vec<i64> {
    let numbers = bytes.chunks_exact(8).map(|eight| eight.try_into().expect("chunks of eight"));
    numbers.map(i64::from_le_bytes).collect()
}

fn read_revision(row: &Row<'_>) -> Result<Revision, rusqlite::Error> {
    let body: String = row.get(1)?;
    let unreadable =
        |error| rusqlite::Error::FromSqlConversionFailure(1, rusqlite::types::Type::Text, Box::new(error));
    Ok(Revision { number: row.get(0)?, entry: serde_json::from_str(&body).map_err(unreadable)? })
}

fn read_decision(row: &Row<'_>) -> Result<DecisionRow, rusqlite::Error> {
    let book: Vec<u8> = row.get(5)?;
    Ok(DecisionRow {
        id: row.get(0)?,
        at_ms: row.get(1)?,
        principal: row.get(2)?,
        intent: row.get(3)?,
        question: row.get(4)?,
        book: book.try_into().unwrap_or_default(),
        answer: row.get(6)?,
    })
}
