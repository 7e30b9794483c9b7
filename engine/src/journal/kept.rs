use rusqlite::{OptionalExtension, params};

use crate::catalog::{Catalog, CatalogError, Tx};

/// How long a reply is kept: 24 hours.
const KEPT_MS: i64 = 24 * 60 * 60 * 1000;
/// Replies kept for one principal at most; the oldest goes first.
pub const MAX_KEPT: u32 = 4096;

/// What was answered to a request that came with a key of its own, so that asking again acts no second time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptReply {
    /// A hash of the request, and of whose token asked.
    pub request: [u8; 32],
    /// Of HTTP.
    pub status: u16,
    /// Of the body.
    pub mime_type: String,
    /// Empty without one.
    pub etag: String,
    /// None where it must not or can't be kept: then only that the request was done is known.
    pub body: Option<Vec<u8>>,
}

/// The reply under a key, while it is not too old.
pub fn kept_reply(
    catalog: &Catalog,
    principal: &str,
    key: &str,
    now_ms: i64,
) -> Result<Option<KeptReply>, CatalogError> {
    let text = "SELECT request, status, mime_type, etag, body FROM kept_replies
        WHERE principal = ?1 AND key = ?2 AND kept_ms > ?3";
    catalog.read(|sql| {
        let read = |row: &rusqlite::Row<'_>| {
            Ok(KeptReply {
                request: row.get(0)?,
                status: row.get(1)?,
                mime_type: row.get(2)?,
                etag: row.get(3)?,
                body: row.get(4)?,
            })
        };
        let mut statement = sql.prepare_cached(text)?;
        Ok(statement.query_row(params![principal, key, now_ms - KEPT_MS], read).optional()?)
    })
}

impl Tx<'_> {
    /// Keeps a reply, in place of an older one under the same key.
    pub(crate) fn keep_reply(
        &self,
        principal: &str,
        key: &str,
        reply: &KeptReply,
        now_ms: i64,
    ) -> Result<(), CatalogError> {
        let KeptReply { request, status, mime_type, etag, body } = reply;
        self.sql()
            .prepare_cached(
                "INSERT OR REPLACE INTO kept_replies (principal, key, request, status, mime_type, etag, body, kept_ms)
                VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
            )?
            .execute(params![principal, key, request, status, mime_type, etag, body, now_ms])?;
        self.sql()
            .prepare_cached(
                "DELETE FROM kept_replies WHERE number IN (SELECT number FROM kept_replies WHERE principal = ?1
                ORDER BY kept_ms DESC, number DESC LIMIT -1 OFFSET ?2)",
            )?
            .execute(params![principal, MAX_KEPT])?;
        Ok(())
    }

    /// Forgets the replies to one principal.
    pub(crate) fn forget_replies_of(&self, principal: &str) -> Result<(), CatalogError> {
        self.sql().execute("DELETE FROM kept_replies WHERE principal = ?1", [principal])?;
        Ok(())
    }

    /// Forgets the replies that are too old.
    pub(crate) fn prune_kept_replies(&self, now_ms: i64) -> Result<(), CatalogError> {
        self.sql().execute("DELETE FROM kept_replies WHERE kept_ms <= ?1", params![now_ms - KEPT_MS])?;
        Ok(())
    }
}
