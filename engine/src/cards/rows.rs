use rusqlite::{OptionalExtension, Row, params};

use super::AgentCard;
use crate::catalog::{Catalog, CatalogError, Tx};

/// An agent, as the catalog keeps it.
#[derive(Debug, Clone, PartialEq)]
pub struct AgentRow {
    /// Such as `agent:researcher`.
    pub id: String,
    /// What it says of itself.
    pub card: AgentCard,
    /// Where the card was fetched, if it was.
    pub source: Option<String>,
    /// Milliseconds since 1970.
    pub created_ms: i64,
    /// Milliseconds since 1970.
    pub updated_ms: i64,
}

impl Tx<'_> {
    /// Takes an agent in, or its new card.
    ///
    /// # Errors
    /// [`CatalogError::Sqlite`].
    pub fn put_agent(
        &self,
        id: &str,
        card: &AgentCard,
        source: Option<&str>,
        now_ms: i64,
    ) -> Result<(), CatalogError> {
        let text = serde_json::to_string(card).expect("a card is plain data");
        self.sql().execute(
            "INSERT INTO agents (id, card, source, created_ms, updated_ms) VALUES (?1, ?2, ?3, ?4, ?4)
             ON CONFLICT (id) DO UPDATE SET card = ?2, source = ?3, updated_ms = ?4",
            params![id, text, source, now_ms],
        )?;
        Ok(())
    }

    /// Forgets an agent's card; tells whether there was one.
    ///
    /// # Errors
    /// [`CatalogError::Sqlite`].
    pub fn remove_agent(&self, id: &str) -> Result<bool, CatalogError> {
        Ok(self.sql().execute("DELETE FROM agents WHERE id = ?1", [id])? == 1)
    }
}

/// One agent.
///
/// # Errors
/// [`CatalogError::Sqlite`].
pub fn agent(catalog: &Catalog, id: &str) -> Result<Option<AgentRow>, CatalogError> {
    catalog.read(|sql| {
        let mut statement =
            sql.prepare_cached("SELECT id, card, source, created_ms, updated_ms FROM agents WHERE id = ?1")?;
        Ok(statement.query_row([id], read_row).optional()?)
    })
}

/// All agents, by id.
///
/// # Errors
/// [`CatalogError::Sqlite`].
pub fn agents(catalog: &Catalog) -> Result<Vec<AgentRow>, CatalogError> {
    catalog.read(|sql| {
        let mut statement =
            sql.prepare_cached("SELECT id, card, source, created_ms, updated_ms FROM agents ORDER BY id")?;
        let rows = statement.query_map([], read_row)?;
        Ok(rows.collect::<Result<_, _>>()?)
    })
}

fn read_row(row: &Row<'_>) -> Result<AgentRow, rusqlite::Error> {
    let card: String = row.get(1)?;
    let unreadable = |error: Box<dyn std::error::Error + Send + Sync>| {
        rusqlite::Error::FromSqlConversionFailure(1, rusqlite::types::Type::Text, error)
    };
    let card: serde_json::Value = serde_json::from_str(&card).map_err(|error| unreadable(error.into()))?;
    let (card, _) = AgentCard::read(&card).map_err(|error| unreadable(error.into()))?;
    Ok(AgentRow {
        id: row.get(0)?,
        card,
        source: row.get(2)?,
        created_ms: row.get(3)?,
        updated_ms: row.get(4)?,
    })
}
