use super::info::ToolInfo;
use crate::access::Verb;
use crate::api::error::{Error, Result};
use crate::api::session::Session;
use crate::catalog::Tx;
use crate::registry::ToolSettings;

/// Examples of a tool at most.
const MAX_EXAMPLES: usize = 100;
/// Of one example.
const MAX_EXAMPLE_BYTES: usize = 1024;

impl Session {
    /// Sets what the operator says of a tool, over what the settings file says.
    ///
    /// # Errors
    /// [`Error::Forbidden`] for all but the admin, [`Error::NotFound`]; [`Error::Invalid`] for a price below 0, or for
    /// too many or too long examples.
    pub fn configure_tool(&self, id: &str, settings: &ToolSettings) -> Result<ToolInfo> {
        let rule = self.require_admin("tool.configure", id)?;
        check(settings)?;
        let row = self.seen_tool("tool.configure", Verb::Admin, id)?;
        self.engine.catalog.write(|tx| -> Result<()> {
            let Some(mut row) = tx.tool(row.id.as_str())? else { return Err(absent(id)) };
            row.settings = settings.clone();
            tx.put_tool(&row)?;
            self.note(tx, "tool.configure", id, &rule)
        })?;
        self.engine.toolbox.reload(&self.engine.catalog)?;
        self.tool(id)
    }

    /// Forgets a tool: should a server list it again, it is new.
    ///
    /// # Errors
    /// [`Error::Forbidden`] for all but the admin, [`Error::NotFound`].
    pub fn forget_tool(&self, id: &str) -> Result<()> {
        let rule = self.require_admin("tool.forget", id)?;
        self.seen_tool("tool.forget", Verb::Admin, id)?;
        let now_ms = self.now_ms();
        self.engine.catalog.write(|tx| -> Result<()> {
            if !tx.remove_tool(id)? {
                return Err(absent(id));
            }
            tx.close_approvals_at(super::taking::QUARANTINE, id, None, "the tool was forgotten", now_ms)?;
            self.note(tx, "tool.forget", id, &rule)
        })?;
        self.engine.toolbox.reload(&self.engine.catalog)
    }

    fn note(&self, tx: &Tx<'_>, action: &'static str, id: &str, rule: &str) -> Result<()> {
        Ok(self.record_in(tx, action, Verb::Admin, id, "", rule)?)
    }
}

fn absent(id: &str) -> Error {
    Error::NotFound { what: "tool", name: id.to_owned() }
}

pub(super) fn check(settings: &ToolSettings) -> Result<()> {
    let refuse = |field, found: String, expected: &str| {
        Err(Error::Invalid { field, found, expected: expected.to_owned() })
    };
    if let Some(usd) = settings.usd_per_call.filter(|usd| !usd.is_finite() || *usd < 0.0) {
        return refuse("usd_per_call", format!("`{usd}`"), "0 or more");
    }
    let examples = settings.examples.as_deref().unwrap_or_default();
    if examples.len() > MAX_EXAMPLES || examples.iter().any(|example| example.len() > MAX_EXAMPLE_BYTES) {
        return refuse("examples", format!("{} texts", examples.len()), "at most 100 of at most 1024 bytes");
    }
    Ok(())
}
