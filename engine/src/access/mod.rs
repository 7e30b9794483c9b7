//! Takes a token, gives who it is and what they may see.
//!
//! Nouns: [`Principal`], [`Scope`]. Nothing is allowed by default. Today a home knows one kind of principal, its
//! admin, who sees everything; the scope is already what every search is given.

use rusqlite::{OptionalExtension, params};
use serde::Serialize;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use crate::catalog::{Catalog, CatalogError};
use crate::id::{RelPath, WorkspaceName};

/// Who acts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Principal {
    /// Such as `human:admin`.
    pub id: String,
    /// Whether it may do everything.
    pub admin: bool,
}

/// What a principal may read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Scope {
    /// Every workspace.
    Everything,
    /// The files and folders named here, and nothing else.
    Prefixes(Vec<(WorkspaceName, RelPath)>),
}

impl Scope {
    /// Whether a path may be read.
    pub fn allows(&self, workspace: &WorkspaceName, path: &RelPath) -> bool {
        match self {
            Self::Everything => true,
            Self::Prefixes(prefixes) => prefixes.iter().any(|(name, prefix)| {
                name == workspace
                    && (prefix.is_root()
                        || path == prefix
                        || path
                            .as_str()
                            .strip_prefix(prefix.as_str())
                            .is_some_and(|rest| rest.starts_with('/')))
            }),
        }
    }
}

impl Principal {
    /// What it may read.
    pub fn scope(&self) -> Scope {
        if self.admin { Scope::Everything } else { Scope::Prefixes(Vec::new()) }
    }
}

/// Makes a token for a principal and gives it, for the only time: what is kept is its SHA-256.
///
/// # Errors
/// [`CatalogError`] where it can't be kept.
///
/// # Panics
/// Where the operating system has no random numbers to give; nothing safe can be done then.
pub fn issue_token(catalog: &Catalog, principal: &Principal, now_ms: i64) -> Result<String, CatalogError> {
    let mut random = [0u8; 36];
    getrandom::fill(&mut random).expect("the operating system gives random numbers");
    let (id, secret) = (hex(&random[..4]), hex(&random[4..]));
    let token = format!("wp_{id}_{secret}");
    catalog.write(|tx| -> Result<(), CatalogError> {
        tx.sql().execute(
            "INSERT INTO tokens (id, hash, principal, admin, created_ms) VALUES (?1, ?2, ?3, ?4, ?5)",
            params![id, &digest(&token)[..], principal.id, principal.admin, now_ms],
        )?;
        Ok(())
    })?;
    Ok(token)
}

/// Whose token this is; `None` for one that is unknown or revoked.
///
/// # Errors
/// [`CatalogError`].
pub fn authenticate(catalog: &Catalog, token: &str) -> Result<Option<Principal>, CatalogError> {
    let Some(id) = token.strip_prefix("wp_").and_then(|rest| rest.split_once('_')).map(|(id, _)| id) else {
        return Ok(None);
    };
    let row: Option<(Vec<u8>, String, bool)> = catalog.read(|sql| -> Result<_, CatalogError> {
        Ok(sql
            .prepare_cached("SELECT hash, principal, admin FROM tokens WHERE id = ?1 AND revoked_ms IS NULL")?
            .query_row([id], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
            .optional()?)
    })?;
    Ok(row.and_then(|(hash, id, admin)| {
        bool::from(hash.as_slice().ct_eq(&digest(token)[..])).then_some(Principal { id, admin })
    }))
}

/// Whether any token was ever made in this home.
///
/// # Errors
/// [`CatalogError`].
pub fn has_tokens(catalog: &Catalog) -> Result<bool, CatalogError> {
    catalog.read(|sql| Ok(sql.query_row("SELECT EXISTS (SELECT 1 FROM tokens)", [], |row| row.get(0))?))
}

fn digest(token: &str) -> [u8; 32] {
    Sha256::digest(token.as_bytes()).into()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
