//! Asks a person to decide about something that no act at a gate stands for.

use super::approvals::GatedAct;
use super::error::{Error, Result};
use super::replies::ApprovalInfo;
use super::session::Session;
use super::sites::Site;
use crate::access::{self, Approval, ApprovalState, Verb};
use crate::id::{VersionId, join_path};
use crate::journal::Outcome;

/// Longer requests are refused, in bytes: details belong into a file.
const MAX_REQUEST_BYTES: usize = 4000;
/// Requests of one principal that may wait at once.
const MAX_WAITING: usize = 100;

impl Session {
    /// Leaves a request for whoever has `approve` on a path, about it as it stands; the same request again gives the one
    /// that waits. Nothing happens by itself when it is granted: `approval.granted` or `approval.denied` tells its
    /// requester, who goes on or does not.
    ///
    /// # Errors
    /// [`Error::NotFound`] where the path may not be read; [`Error::Invalid`] for a request that is empty or too long, or
    /// where too many wait.
    pub fn request_approval(&self, path: &str, request: &str) -> Result<ApprovalInfo> {
        let request = request.trim();
        if request.is_empty() || request.len() > MAX_REQUEST_BYTES {
            return Err(Error::Invalid {
                field: "request",
                found: format!("{} bytes", request.len()),
                expected: format!("what is to be decided, in 1 to {MAX_REQUEST_BYTES} bytes"),
            });
        }
        let (name, below) = self.split(path, "file")?;
        let rule = self.authorize("approval.request", Verb::Read, path, "file")?;
        let absent = || Error::NotFound { what: "workspace", name: name.to_string() };
        let workspace = self.engine.workspace(&name).ok_or_else(absent)?;
        self.check_waiting()?;
        let full = join_path(&name, &below);
        let version = self.version_at(&full)?;
        let act = GatedAct::Request { path: full.clone(), version, reason: request.to_owned() };
        let site = Site::bare(&workspace, &below, &full);
        match self.ask_approval("approval.request", &act, &rule, &site, None)? {
            Error::ApprovalRequired { approval, .. } => self.approval(&approval),
            error => Err(error),
        }
    }

    fn check_waiting(&self) -> Result<()> {
        let all = access::approvals(&self.engine.catalog)?;
        let own = all.iter().filter(|one| one.requester == self.actor.principal);
        let waiting = own.filter(|one| one.state == ApprovalState::Pending && one.expires_ms > self.now_ms());
        if waiting.count() < MAX_WAITING {
            return Ok(());
        }
        Err(Error::Invalid {
            field: "request",
            found: format!("{MAX_WAITING} requests of `{}` that wait already", self.actor.principal),
            expected: "some of them decided or taken back first".to_owned(),
        })
    }

    /// Notes what was decided about a request, as long as its path stands as it was shown.
    pub(super) fn decide_request(
        &self,
        approval: &Approval,
        shown: Option<VersionId>,
        grant: bool,
        reason: Option<&str>,
        rule: &str,
    ) -> Result<()> {
        if grant && self.version_at(&approval.path)? != shown {
            self.close_approval(approval, ApprovalState::Stale, Some("the file has changed since"))?;
            return Err(Error::ApprovalClosed { approval: approval.id.clone(), state: "stale" });
        }
        let (action, state) = if grant {
            ("approval.grant", ApprovalState::Granted)
        } else {
            ("approval.deny", ApprovalState::Denied)
        };
        self.close_approval(approval, state, reason)?;
        self.record(action, Verb::Approve, &approval.path, "", Outcome::Allowed, rule)
    }
}
