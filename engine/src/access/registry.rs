//! Principals, groups, grants and gates, as the catalog keeps them.

use std::collections::BTreeSet;

use rusqlite::{Connection, params};

use super::policy::{Effect, Gate, Grant, Policy, Target, Verb, check_group, kind_of};
use super::{ADMIN, AccessError};
use crate::catalog::{Catalog, Tx};

/// Reads everything that decides.
///
/// # Errors
/// [`AccessError`].
pub fn load(catalog: &Catalog) -> Result<Policy, AccessError> {
    catalog.read(read)
}

impl Tx<'_> {
    /// What decides, as this transaction sees it.
    ///
    /// # Errors
    /// [`AccessError`].
    pub fn policy(&self) -> Result<Policy, AccessError> {
        read(self.sql())
    }

    /// Makes a principal known, or gives it another name.
    ///
    /// # Errors
    /// [`AccessError::Invalid`] for an id that can't be one, [`AccessError::NameConflict`] for one of which another one
    /// differs only in case.
    pub fn put_principal(&self, id: &str, name: &str, now_ms: i64) -> Result<(), AccessError> {
        kind_of(id)?;
        if id == ADMIN {
            return Err(AccessError::invalid(
                "principal",
                id,
                "another one; the home's owner is always there",
            ));
        }
        if id.eq_ignore_ascii_case(ADMIN) {
            let (id, other) = (id.to_owned(), ADMIN.to_owned());
            return Err(AccessError::NameConflict { what: "principal", id, other });
        }
        self.check_case("principal", "SELECT id FROM principals WHERE lower(id) = lower(?1)", id)?;
        self.sql().execute(
            "INSERT INTO principals (id, name, created_ms) VALUES (?1, ?2, ?3)
             ON CONFLICT (id) DO UPDATE SET name = ?2",
            params![id, name, now_ms],
        )?;
        Ok(())
    }

    /// Names are folded wherever they stand in a path. An id that is there already stays, whatever else is there.
    fn check_case(&self, what: &'static str, sql: &str, id: &str) -> Result<(), AccessError> {
        let mut statement = self.sql().prepare_cached(sql)?;
        let known = statement.query_map([id], |row| row.get(0))?.collect::<Result<Vec<String>, _>>()?;
        match known.first() {
            Some(other) if !known.iter().any(|known| known == id) => {
                Err(AccessError::NameConflict { what, id: id.to_owned(), other: other.clone() })
            }
            _ => Ok(()),
        }
    }

    /// Forgets a principal with its tokens, memberships and own grants.
    ///
    /// # Errors
    /// [`AccessError::NotFound`].
    pub fn remove_principal(&self, id: &str, now_ms: i64) -> Result<(), AccessError> {
        let sql = self.sql();
        if sql.execute("DELETE FROM principals WHERE id = ?1", [id])? == 0 {
            return Err(AccessError::NotFound { what: "principal", id: id.to_owned() });
        }
        sql.execute("DELETE FROM members WHERE principal = ?1", [id])?;
        sql.execute("DELETE FROM grants WHERE holder = ?1", [id])?;
        sql.execute(
            "UPDATE tokens SET revoked_ms = ?2 WHERE principal = ?1 AND revoked_ms IS NULL",
            params![id, now_ms],
        )?;
        self.mark_revocation();
        Ok(())
    }

    /// Sets a group's members; none removes the group.
    ///
    /// # Errors
    /// [`AccessError::Invalid`] for ids that can't be one, [`AccessError::NotFound`] for a member that is not known,
    /// [`AccessError::NameConflict`].
    pub fn put_group(&self, id: &str, members: &BTreeSet<String>) -> Result<(), AccessError> {
        check_group(id)?;
        if !members.is_empty() {
            self.check_case("group", "SELECT team FROM members WHERE lower(team) = lower(?1)", id)?;
        }
        let sql = self.sql();
        sql.execute("DELETE FROM members WHERE team = ?1", [id])?;
        for member in members {
            let known: bool =
                sql.query_row("SELECT EXISTS (SELECT 1 FROM principals WHERE id = ?1)", [member], |row| {
                    row.get(0)
                })?;
            if !known {
                return Err(AccessError::NotFound { what: "principal", id: member.clone() });
            }
            sql.execute("INSERT INTO members (team, principal) VALUES (?1, ?2)", params![id, member])?;
        }
        Ok(())
    }

    /// Adds a grant; one that is there stays, with the new note.
    ///
    /// # Errors
    /// [`AccessError::NotFound`] where nobody has that name.
    pub fn put_grant(&self, grant: &Grant) -> Result<(), AccessError> {
        let sql = self.sql();
        let known: bool = sql.query_row(
            "SELECT EXISTS (SELECT 1 FROM principals WHERE id = ?1) OR EXISTS (SELECT 1 FROM members WHERE team = ?1)",
            [&grant.to],
            |row| row.get(0),
        )?;
        if !known {
            return Err(AccessError::NotFound { what: "principal or group", id: grant.to.clone() });
        }
        sql.execute(
            "INSERT INTO grants (id, holder, target, patterns, verbs, effect, note, arguments)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
             ON CONFLICT (id) DO UPDATE SET note = ?7",
            params![
                grant.id,
                grant.to,
                text(&grant.target),
                text(&grant.patterns),
                text(&grant.verbs),
                text(&grant.effect),
                grant.note,
                text(&grant.arguments)
            ],
        )?;
        Ok(())
    }

    /// Takes a grant away.
    ///
    /// # Errors
    /// [`AccessError::NotFound`].
    pub fn remove_grant(&self, id: &str) -> Result<(), AccessError> {
        self.remove_row("grant", "DELETE FROM grants WHERE id = ?1", id)
    }

    /// Puts a gate up.
    ///
    /// # Errors
    /// [`AccessError::Catalog`].
    pub fn put_gate(&self, gate: &Gate) -> Result<(), AccessError> {
        self.sql().execute(
            "INSERT INTO gates (id, pattern, verbs, note) VALUES (?1, ?2, ?3, ?4)
             ON CONFLICT (id) DO UPDATE SET note = ?4",
            params![gate.id, gate.pattern.as_str(), text(&gate.verbs), gate.note],
        )?;
        Ok(())
    }

    /// Takes a gate down; what has passed it stays approved.
    ///
    /// # Errors
    /// [`AccessError::NotFound`].
    pub fn remove_gate(&self, id: &str) -> Result<(), AccessError> {
        self.remove_row("gate", "DELETE FROM gates WHERE id = ?1", id)
    }

    fn remove_row(&self, what: &'static str, sql: &str, id: &str) -> Result<(), AccessError> {
        if self.sql().execute(sql, [id])? == 0 {
            return Err(AccessError::NotFound { what, id: id.to_owned() });
        }
        Ok(())
    }
}

fn read(sql: &Connection) -> Result<Policy, AccessError> {
    let mut policy = Policy::default();
    let mut rows = sql.prepare_cached("SELECT id, name FROM principals")?;
    for row in rows.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))? {
        let (id, name) = row?;
        policy.principals.insert(id, name);
    }
    let mut rows = sql.prepare_cached("SELECT team, principal FROM members")?;
    for row in rows.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))? {
        let (group, member): (String, String) = row?;
        policy.groups.entry(group).or_default().insert(member);
    }
    let mut rows = sql.prepare_cached(
        "SELECT holder, target, patterns, verbs, effect, note, arguments FROM grants ORDER BY id",
    )?;
    let columns = rows.query_map([], |row| {
        let column = |idx| row.get::<_, String>(idx);
        Ok([column(0)?, column(1)?, column(2)?, column(3)?, column(4)?, column(5)?, column(6)?])
    })?;
    for row in columns {
        let [to, target, patterns, verbs, effect, note, arguments] = row?;
        let patterns: Vec<String> = parse("grant", &patterns)?;
        let (target, effect): (Target, Effect) = (parse("grant", &target)?, parse("grant", &effect)?);
        let grant = Grant::new(&to, target, &patterns, parse("grant", &verbs)?, effect, &note)?;
        policy.grants.push(grant.with_arguments(&parse("grant", &arguments)?)?);
    }
    let mut rows = sql.prepare_cached("SELECT pattern, verbs, note FROM gates ORDER BY id")?;
    let columns = rows.query_map([], |row| {
        Ok([row.get::<_, String>(0)?, row.get::<_, String>(1)?, row.get::<_, String>(2)?])
    })?;
    for row in columns {
        let [pattern, verbs, note] = row?;
        let verbs: BTreeSet<Verb> = parse("gate", &verbs)?;
        policy.gates.push(Gate::new(&pattern, verbs, &note)?);
    }
    Ok(policy)
}

fn text(value: &impl serde::Serialize) -> String {
    serde_json::to_string(value).expect("names and lists of names can be written")
}

fn parse<T: serde::de::DeserializeOwned>(what: &'static str, text: &str) -> Result<T, AccessError> {
    serde_json::from_str(text)
        .map_err(|error| AccessError::invalid(what, text, format!("what this program wrote ({error})")))
}
