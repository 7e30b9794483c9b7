use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use super::servers::{ServerHealth, ServerState, ToolServer};
use super::statistics::{Statistics, ToolHealth};
use crate::api::error::Result;
use crate::api::files::unified_diff;
use crate::catalog::Catalog;
use crate::registry::{self, ToolId, ToolRow, ToolSpec, Validators};

/// Told that what somebody sees of the tools may have changed.
type Listener = Box<dyn Fn() + Send + Sync>;

/// What an engine knows of tools in memory. No lock is held over the catalog.
pub struct Toolbox {
    rows: RwLock<Arc<Vec<ToolRow>>>,
    servers: RwLock<BTreeMap<String, Known>>,
    statistics: Mutex<BTreeMap<ToolId, Statistics>>,
    pub(super) validators: Validators,
    listeners: Mutex<Vec<Listener>>,
    /// Counts what may have changed for those who see tools.
    generation: AtomicU64,
}

/// A server that the operator named.
#[derive(Clone)]
pub(super) struct Known {
    pub settings: Arc<ToolServer>,
    pub health: ServerHealth,
}

impl Toolbox {
    /// With the tools that a catalog keeps, and no server yet.
    pub fn open(catalog: &Catalog) -> Result<Self> {
        let rows = registry::tools(catalog)?;
        Ok(Self {
            rows: RwLock::new(Arc::new(rows)),
            servers: RwLock::default(),
            statistics: Mutex::default(),
            validators: Validators::default(),
            listeners: Mutex::default(),
            generation: AtomicU64::new(1),
        })
    }

    /// Takes up what was changed, and tells those who listen.
    pub(super) fn reload(&self, catalog: &Catalog) -> Result<()> {
        let rows = Arc::new(registry::tools(catalog)?);
        *self.rows.write().unwrap_or_else(PoisonError::into_inner) = rows;
        self.tell();
        Ok(())
    }

    /// Another number after each change of tools or of their servers.
    pub fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    /// Tells those who listen.
    pub fn tell(&self) {
        self.generation.fetch_add(1, Ordering::AcqRel);
        self.listeners.lock().unwrap_or_else(PoisonError::into_inner).iter().for_each(|tell| tell());
    }

    pub(super) fn listen(&self, tell: Listener) {
        self.listeners.lock().unwrap_or_else(PoisonError::into_inner).push(tell);
    }

    /// All tools, by id.
    pub(super) fn rows(&self) -> Arc<Vec<ToolRow>> {
        Arc::clone(&self.rows.read().unwrap_or_else(PoisonError::into_inner))
    }

    pub(super) fn set_servers(&self, servers: Vec<ToolServer>) {
        let known = servers.into_iter().map(|settings| {
            let (name, settings) = (settings.name.clone(), Arc::new(settings));
            (name, Known { settings, health: ServerHealth::default() })
        });
        *self.servers.write().unwrap_or_else(PoisonError::into_inner) = known.collect();
        self.tell();
    }

    pub(super) fn servers(&self) -> Vec<Known> {
        self.servers.read().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }

    pub(super) fn server(&self, name: &str) -> Option<Known> {
        self.servers.read().unwrap_or_else(PoisonError::into_inner).get(name).cloned()
    }

    pub(super) fn set_health(&self, name: &str, health: ServerHealth) {
        if let Some(known) = self.servers.write().unwrap_or_else(PoisonError::into_inner).get_mut(name) {
            known.health = health;
        }
    }

    pub(super) fn is_available(&self, row: &ToolRow) -> bool {
        self.server(&row.server).is_some_and(|known| known.health.state == ServerState::Ready)
    }

    pub(super) fn statistics(&self) -> MutexGuard<'_, BTreeMap<ToolId, Statistics>> {
        self.statistics.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn health(&self, row: &ToolRow) -> ToolHealth {
        let available = self.is_available(row);
        let statistics = self.statistics();
        let none = || ToolHealth { available, ..ToolHealth::default() };
        statistics.get(&row.id).map_or_else(none, |statistics| statistics.show(available))
    }

    /// What a tool wants to be against what was approved, as text in which nothing hides; `None` where it wants
    /// something else by now.
    pub fn difference(&self, id: &ToolId, hash: &str) -> Option<String> {
        let rows = self.rows();
        let row = rows.iter().find(|row| row.id == *id)?;
        let proposed = row.proposed.as_ref().filter(|spec| spec.hash() == hash)?;
        let before = row.approved.as_ref().map(plain).unwrap_or_default();
        Some(unified_diff(&before, &plain(proposed), id.as_str()))
    }
}

/// A spec, line by line.
fn plain(spec: &ToolSpec) -> String {
    let mut text = format!("name: {}\n", spec.name);
    for (what, value) in [("title", spec.title.as_deref()), ("description", Some(&*spec.description))] {
        if let Some(value) = value {
            text.push_str(&format!("{what}:\n"));
            value.lines().for_each(|line| text.push_str(&format!("  {line}\n")));
        }
    }
    for (what, value) in [
        ("input schema", Some(&spec.input_schema)),
        ("output schema", spec.output_schema.as_ref()),
        ("annotations", spec.annotations.as_ref()),
    ] {
        if let Some(value) = value {
            text.push_str(&format!("{what}: {value:#}\n"));
        }
    }
    escape(&text)
}

/// Characters that can't be seen, or that turn what is seen around, as their numbers.
fn escape(text: &str) -> String {
    let is_hidden = |c: char| {
        (c.is_control() && c != '\n')
            || matches!(
                c,
                '\u{ad}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{180e}' | '\u{3164}' | '\u{feff}'
            )
            || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}')
            || matches!(c, '\u{fe00}'..='\u{fe0f}' | '\u{e0000}'..='\u{e0fff}')
    };
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        if is_hidden(c) { shown.extend(c.escape_unicode()) } else { shown.push(c) }
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_would_hide_in_a_difference_is_shown_as_numbers() {
        let hidden = "a\u{1b}[31m\u{202e}b\u{200b}\u{e0041}\tc\nd";
        assert_eq!(escape(hidden), "a\\u{1b}[31m\\u{202e}b\\u{200b}\\u{e0041}\\u{9}c\nd");
    }
}
