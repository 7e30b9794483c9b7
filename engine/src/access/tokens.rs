//! Bearer secrets: shown once, kept as SHA-256, each revocable alone.

use std::collections::BTreeSet;

use rusqlite::{OptionalExtension, Row, params};
use serde::Serialize;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use super::policy::{Limits, Verb};
use super::{ADMIN, AccessError, Actor};
use crate::catalog::{Catalog, CatalogError, Tx};
use crate::clock::rfc3339;
use crate::pattern::Pattern;

/// How exactly the last use is known: writing it down at each use would cost a sync of the disk each time.
const LAST_USE_GRAIN_MS: i64 = 60_000;

/// A token that is to be made.
#[derive(Debug, Clone, Default)]
pub struct NewToken {
    /// Whose.
    pub principal: String,
    /// For people.
    pub name: String,
    /// Milliseconds since 1970; `None`: it does not run out.
    pub expires_ms: Option<i64>,
    /// What it may do of what its principal may.
    pub limits: Limits,
}

/// What is known of a token; never its secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenRow {
    /// The public part, `<id>` in `wp_<id>_<secret>`.
    pub id: String,
    /// Whose.
    pub principal: String,
    /// For people.
    pub name: String,
    /// What it may do of what its principal may.
    pub limits: Limits,
    /// Milliseconds since 1970.
    pub created_ms: i64,
    /// Milliseconds since 1970.
    pub expires_ms: Option<i64>,
    /// Milliseconds since 1970, to the minute.
    pub last_used_ms: Option<i64>,
    /// Milliseconds since 1970.
    pub revoked_ms: Option<i64>,
}

/// The only time that a secret is seen.
#[derive(Clone, Serialize, schemars::JsonSchema)]
pub struct IssuedToken {
    /// The public part.
    pub id: String,
    /// The whole, `wp_<id>_<secret>`.
    pub token: String,
    /// RFC 3339: when it runs out, where it does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<String>,
}

impl Tx<'_> {
    /// Makes a token and gives it, for the only time.
    ///
    /// # Errors
    /// [`AccessError::NotFound`] for a principal that is not known.
    ///
    /// # Panics
    /// Where the operating system has no random numbers to give; nothing safe can be done then.
    pub fn issue_token(&self, new: &NewToken, now_ms: i64) -> Result<IssuedToken, AccessError> {
        let is_known: bool = self.sql().query_row(
            "SELECT EXISTS (SELECT 1 FROM principals WHERE id = ?1)",
            [&new.principal],
            |row| row.get(0),
        )?;
        if !is_known && new.principal != ADMIN {
            return Err(AccessError::NotFound { what: "principal", id: new.principal.clone() });
        }
        let mut random = [0u8; 36];
        getrandom::fill(&mut random).expect("the operating system gives random numbers");
        let (id, secret) = (hex(&random[..4]), hex(&random[4..]));
        let token = format!("wp_{id}_{secret}");
        let (verbs, paths) = write_limits(&new.limits);
        self.sql().execute(
            "INSERT INTO tokens (id, hash, principal, admin, created_ms, name, expires_ms, verbs, paths)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
            params![
                id,
                &digest(&token)[..],
                new.principal,
                new.principal == ADMIN,
                now_ms,
                new.name,
                new.expires_ms,
                verbs,
                paths
            ],
        )?;
        Ok(IssuedToken { id, token, expires_at: new.expires_ms.map(rfc3339) })
    }

    /// Ends a token, for good and at once.
    ///
    /// # Errors
    /// [`AccessError::NotFound`].
    pub fn revoke_token(&self, id: &str, now_ms: i64) -> Result<(), AccessError> {
        let changed = self.sql().execute(
            "UPDATE tokens SET revoked_ms = coalesce(revoked_ms, ?2) WHERE id = ?1",
            params![id, now_ms],
        )?;
        if changed == 0 {
            return Err(AccessError::NotFound { what: "token", id: id.to_owned() });
        }
        self.mark_revocation();
        Ok(())
    }
}

/// All tokens, by principal and age.
///
/// # Errors
/// [`AccessError::Catalog`].
pub fn tokens(catalog: &Catalog) -> Result<Vec<TokenRow>, AccessError> {
    catalog.read(|sql| {
        let query = format!("SELECT {COLUMNS} FROM tokens ORDER BY principal, created_ms, id");
        let mut statement = sql.prepare_cached(&query)?;
        let rows = statement.query_map([], read_row)?;
        let rows: Vec<(TokenRow, Vec<u8>)> = rows.collect::<Result<_, _>>()?;
        Ok(rows.into_iter().map(|(row, _)| row).collect())
    })
}

/// Whose token this is, and how long that may be remembered (milliseconds since 1970); `None` for one that is unknown, revoked or
/// expired.
///
/// # Errors
/// [`AccessError::Catalog`].
pub(super) fn authenticate(
    catalog: &Catalog,
    token: &str,
    now_ms: i64,
) -> Result<Option<(Actor, i64)>, AccessError> {
    let Some(id) = token.strip_prefix("wp_").and_then(|rest| rest.split_once('_')).map(|(id, _)| id) else {
        return Ok(None);
    };
    let Some((row, hash)) = find(catalog, id)? else { return Ok(None) };
    let is_right = bool::from(hash.as_slice().ct_eq(&digest(token)[..]));
    if !is_right {
        return Ok(None);
    }
    let until_ms = row.expires_ms.unwrap_or(i64::MAX).min(now_ms + LAST_USE_GRAIN_MS);
    Ok(admit(catalog, row, now_ms)?.map(|actor| (actor, until_ms)))
}

/// As [`super::Proven::authenticate`], for somebody who has proven the token before, and is known since by its public id.
///
/// # Errors
/// [`AccessError::Catalog`].
pub fn readmit(catalog: &Catalog, id: &str, now_ms: i64) -> Result<Option<Actor>, AccessError> {
    match find(catalog, id)? {
        Some((row, _)) => admit(catalog, row, now_ms),
        None => Ok(None),
    }
}

/// Whoever a token stands for while it is alive; notes that it was used.
fn admit(catalog: &Catalog, row: TokenRow, now_ms: i64) -> Result<Option<Actor>, AccessError> {
    if !is_alive(&row, now_ms) {
        return Ok(None);
    }
    if row.last_used_ms.is_none_or(|last| now_ms - last >= LAST_USE_GRAIN_MS) {
        let noted = catalog.write(|tx| -> Result<(), CatalogError> {
            tx.sql().execute("UPDATE tokens SET last_used_ms = ?2 WHERE id = ?1", params![row.id, now_ms])?;
            Ok(())
        });
        // A full disk must not keep readers out.
        if let Err(error) = noted {
            tracing::warn!(%error, "the last use of a token can't be noted");
        }
    }
    Ok(Some(Actor {
        is_owner: row.principal == ADMIN,
        principal: row.principal,
        token: row.id,
        limits: row.limits,
    }))
}

/// Whether a token may still be used.
///
/// # Errors
/// [`AccessError::Catalog`].
pub fn is_token_alive(catalog: &Catalog, id: &str, now_ms: i64) -> Result<bool, AccessError> {
    Ok(find(catalog, id)?.is_some_and(|(row, _)| is_alive(&row, now_ms)))
}

/// Whether any token was ever made in this home.
///
/// # Errors
/// [`AccessError::Catalog`].
pub fn has_tokens(catalog: &Catalog) -> Result<bool, AccessError> {
    catalog.read(|sql| Ok(sql.query_row("SELECT EXISTS (SELECT 1 FROM tokens)", [], |row| row.get(0))?))
}

const COLUMNS: &str =
    "id, principal, name, created_ms, expires_ms, last_used_ms, revoked_ms, verbs, paths, hash";

fn find(catalog: &Catalog, id: &str) -> Result<Option<(TokenRow, Vec<u8>)>, AccessError> {
    catalog.read(|sql| {
        let query = format!("SELECT {COLUMNS} FROM tokens WHERE id = ?1");
        Ok(sql.prepare_cached(&query)?.query_row([id], read_row).optional()?)
    })
}

fn is_alive(row: &TokenRow, now_ms: i64) -> bool {
    row.revoked_ms.is_none() && row.expires_ms.is_none_or(|expires| now_ms < expires)
}

fn read_row(row: &Row<'_>) -> Result<(TokenRow, Vec<u8>), rusqlite::Error> {
    let token = TokenRow {
        id: row.get(0)?,
        principal: row.get(1)?,
        name: row.get(2)?,
        limits: read_limits(row, 7)?,
        created_ms: row.get(3)?,
        expires_ms: row.get(4)?,
        last_used_ms: row.get(5)?,
        revoked_ms: row.get(6)?,
    };
    Ok((token, row.get(9)?))
}

/// Limits as two columns: verbs and patterns, as JSON.
pub(crate) fn write_limits(limits: &Limits) -> (Option<String>, Option<String>) {
    let json = |value: serde_json::Result<String>| value.expect("names can be written");
    let verbs = limits.verbs.as_ref().map(|verbs| json(serde_json::to_string(verbs)));
    let paths = limits.paths.as_ref().map(|paths| json(serde_json::to_string(paths)));
    (verbs, paths)
}

/// Reads what [`write_limits`] gave, from a column and the one after it.
pub(crate) fn read_limits(row: &Row<'_>, column: usize) -> Result<Limits, rusqlite::Error> {
    let unreadable = |column, error: Box<dyn std::error::Error + Send + Sync>| {
        rusqlite::Error::FromSqlConversionFailure(column, rusqlite::types::Type::Text, error)
    };
    let verbs: Option<String> = row.get(column)?;
    let paths: Option<String> = row.get(column + 1)?;
    let verbs: Option<BTreeSet<Verb>> = verbs
        .map(|text| serde_json::from_str(&text))
        .transpose()
        .map_err(|error| unreadable(column, Box::new(error)))?;
    let paths: Option<Vec<String>> = paths
        .map(|text| serde_json::from_str(&text))
        .transpose()
        .map_err(|error| unreadable(column + 1, Box::new(error)))?;
    let paths = paths
        .map(|paths| paths.iter().map(|text| Pattern::path(text)).collect::<Result<Vec<_>, _>>())
        .transpose()
        .map_err(|error| unreadable(column + 1, Box::new(error)))?;
    Ok(Limits { verbs, paths })
}

pub(super) fn digest(token: &str) -> [u8; 32] {
    Sha256::digest(token.as_bytes()).into()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
