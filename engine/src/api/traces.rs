//! Handovers between agents: each is judged before it happens, and a trace that goes in circles waits for a person.

use std::collections::BTreeMap;

use serde::Serialize;

use super::approvals::GatedAct;
use super::error::{Error, Result};
use super::keys::fresh_id;
use super::session::Session;
use crate::access::{Approval, ApprovalState, NewApproval, Verb};
use crate::budget::{self, Usage};
use crate::catalog::Tx;
use crate::change::ChangeError;
use crate::clock::rfc3339;
use crate::id::{RelPath, WorkspaceId, split_path};
use crate::journal::{EventKind, NewEvent, Outcome};
use crate::trace::{self, Evidence, NewHop, StoredHop, TraceError, TraceRow, TraceState, Verdict};

/// The gate's name of a trace that waits for a person.
const GATE: &str = "loop";

/// Something that is about to be handed to an agent.
#[derive(Debug, Clone, Copy)]
pub struct Handover<'a> {
    /// The agent's principal.
    pub to: &'a str,
    /// What is asked.
    pub text: &'a str,
    /// Versions of the files that come along.
    pub artifacts: &'a [String],
    /// `[dim]` f32, of the text; see [`Session::embed_handover`].
    pub embedding: Option<&'a [f32]>,
    /// The number of the hop that causes it; the newest one to this principal where it is missing.
    pub parent: Option<u32>,
    /// Where its task will lie, `/workspace/…`: whoever has `approve` there decides where agents go in circles; `/`: the
    /// home's owner.
    pub path: &'a str,
}

/// A handover that is recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Recorded {
    /// To be the `parent` of what it causes. Not for showing: it counts handovers of others.
    pub number: u32,
    /// From 1, along its chain of causes.
    pub hop: u32,
}

/// A trace, as far as who asks takes part in it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, schemars::JsonSchema)]
pub struct TraceInfo {
    /// As requests name it.
    pub trace_id: String,
    /// `open`, `parked` or `ended`.
    pub state: TraceState,
    /// What a person decides, or decided.
    pub approval_id: Option<String>,
    /// Why it is parked or ended.
    pub reason: Option<String>,
    /// What was spent on the hops that are shown, as far as it is known.
    pub spent: Usage,
    /// Of who asks, or all for the admin; oldest first.
    pub hops: Vec<HopInfo>,
}

/// A handover, as it is shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, schemars::JsonSchema)]
pub struct HopInfo {
    /// From 1, along its chain of causes.
    pub hop: u32,
    /// Who.
    pub from: String,
    /// To whom.
    pub to: String,
    /// What was asked, cut.
    pub text: String,
    /// Versions of the files that came along.
    pub artifacts: Vec<String>,
    /// Whether it brought something new.
    pub is_new: bool,
    /// RFC 3339.
    pub at: String,
    /// What its task took up to now: as its worker reported, else as the agent's card estimates; null: nothing is known
    /// yet.
    pub spent: Option<Usage>,
}

impl Session {
    /// In the trace that a request names.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a name that can be none.
    pub fn in_trace(self, trace: &str) -> Result<Self> {
        check_trace(trace)?;
        Ok(self.with_trace(trace))
    }

    /// The embedding of what is to be handed over, where the home has a model. To be made before the transaction.
    pub fn embed_handover(&self, text: &str) -> Option<Vec<f32>> {
        let embedder = self.engine.embedder.as_ref()?;
        // Without one, words are compared; the verdict says so.
        match embedder.embed_documents(&[text]) {
            Ok(mut vectors) => vectors.pop(),
            Err(error) => {
                tracing::warn!(%error, "a handover could not be embedded");
                None
            }
        }
    }

    /// Judges a handover and records it where it may happen, in the transaction of the handover itself: of two at once the
    /// second one is judged with the first. Where it may not happen, `refused` says why, and the error undoes the transaction;
    /// then give what stands in `refused` to [`Self::conclude_hop`].
    ///
    /// # Errors
    /// [`ChangeError::Refused`].
    pub(super) fn hop_in(
        &self,
        tx: &Tx<'_>,
        handover: &Handover<'_>,
        reservation: Option<&str>,
        refused: &mut Option<Verdict>,
    ) -> std::result::Result<Recorded, ChangeError> {
        match tx.record_hop(&self.new_hop(handover, reservation), &self.engine.hop_limits)? {
            Verdict::Go { number, hop } => Ok(Recorded { number, hop }),
            verdict => {
                *refused = Some(verdict);
                Err(ChangeError::Refused)
            }
        }
    }

    /// What became of a handover: recorded, or an error that says why not. A trace that goes in circles is parked here, in a
    /// transaction of its own, and a person is asked, once.
    ///
    /// # Errors
    /// [`TraceError::Loop`], [`TraceError::HopLimit`].
    pub(super) fn conclude_hop(&self, handover: &Handover<'_>, verdict: Verdict) -> Result<Recorded> {
        let trace = self.trace.clone();
        let (reason, approval, code) = match verdict {
            Verdict::Go { number, hop } => return Ok(Recorded { number, hop }),
            Verdict::HopLimit { max, what } => {
                self.record("trace.hop", Verb::Dispatch, handover.to, "", Outcome::Denied, "hop_limit")?;
                return Err(TraceError::HopLimit { trace, max, what }.into());
            }
            Verdict::Ended { reason } => (reason, None, "ended"),
            Verdict::Loop { reason, evidence } => {
                let approval = self.park(handover, &reason, Some(evidence))?;
                (reason, approval, "loop")
            }
            Verdict::Parked { reason, .. } => {
                let approval = self.park(handover, &reason, None)?;
                (reason, approval, "parked")
            }
        };
        self.record("trace.hop", Verb::Dispatch, handover.to, "", Outcome::Denied, code)?;
        Err(TraceError::Loop { trace, reason, approval }.into())
    }

    /// Both steps at once, for a handover that changes nothing else.
    ///
    /// # Errors
    /// As `conclude_hop`.
    pub fn hand_over(&self, handover: &Handover<'_>) -> Result<Recorded> {
        let mut refused = None;
        let recorded = self.engine.catalog.write(|tx| self.hop_in(tx, handover, None, &mut refused));
        match refused {
            Some(verdict) => self.conclude_hop(handover, verdict),
            None => Ok(recorded?),
        }
    }

    fn new_hop<'a>(&'a self, handover: &Handover<'a>, reservation: Option<&'a str>) -> NewHop<'a> {
        NewHop {
            trace: &self.trace,
            from: &self.actor.principal,
            to: handover.to,
            text: handover.text,
            artifacts: handover.artifacts,
            embedding: handover.embedding,
            parent: handover.parent,
            reservation,
            at_ms: self.now_ms(),
        }
    }

    /// Parks a trace, and gives what a person has to decide; nothing where one ended it meanwhile. One question at a time:
    /// a new one is asked only where nobody answered the one before in time.
    fn park(
        &self,
        handover: &Handover<'_>,
        reason: &str,
        evidence: Option<Evidence>,
    ) -> Result<Option<String>> {
        let parked = self.engine.catalog.write(|tx| -> std::result::Result<_, ChangeError> {
            let Some(row) = tx.trace(&self.trace, &self.actor.principal)? else { return Ok(None) };
            if row.state == TraceState::Ended {
                return Ok(None);
            }
            if row.state == TraceState::Parked && self.is_waiting(tx, row.approval.as_deref())? {
                return Ok(row.approval);
            }
            self.ask_about(tx, &row, handover, reason, evidence).map(Some)
        })?;
        Ok(parked)
    }

    fn is_waiting(&self, tx: &Tx<'_>, approval: Option<&str>) -> std::result::Result<bool, ChangeError> {
        let Some(id) = approval else { return Ok(false) };
        let found = tx.approval(id)?;
        let now_ms = self.now_ms();
        Ok(found.is_some_and(|found| found.state == ApprovalState::Pending && found.expires_ms > now_ms))
    }

    fn ask_about(
        &self,
        tx: &Tx<'_>,
        row: &TraceRow,
        handover: &Handover<'_>,
        reason: &str,
        evidence: Option<Evidence>,
    ) -> std::result::Result<String, ChangeError> {
        let (from, now_ms) = (self.actor.principal.as_str(), self.now_ms());
        let act = GatedAct::Trace {
            trace: row.id.clone(),
            root: row.root.clone(),
            path: handover.path.to_owned(),
            from: from.to_owned(),
            to: handover.to.to_owned(),
            reason: reason.to_owned(),
            evidence,
        };
        let act = serde_json::to_string(&act).expect("names and numbers can be written");
        let id = fresh_id("ap");
        let new = NewApproval { requester: from, gate: GATE, path: handover.path, act: &act, id: &id };
        let approval = tx.request_approval(&new, now_ms)?;
        tx.park_trace(row.number, &approval, reason, now_ms)?;
        let data = serde_json::json!({
            "approval": approval, "trace": row.id, "from": from, "to": handover.to, "reason": reason,
        });
        for kind in [EventKind::LoopDetected, EventKind::ApprovalRequested] {
            self.tell_at(tx, kind, handover.path, &data)?;
        }
        self.record_in(tx, "trace.park", Verb::Dispatch, handover.to, "", GATE)?;
        Ok(approval)
    }

    /// Told to who may read at a path; where that lies in no workspace, to this principal and the owner.
    fn tell_at(
        &self,
        tx: &Tx<'_>,
        kind: EventKind,
        path: &str,
        data: &serde_json::Value,
    ) -> std::result::Result<(), ChangeError> {
        let place = split_path(path).ok().and_then(|(name, below)| {
            let workspace = self.engine.workspace(&name)?;
            Some((workspace.row.id, below))
        });
        let (workspace, below) = place.unwrap_or((WorkspaceId(0), RelPath::root()));
        tx.append_event(&NewEvent {
            kind,
            workspace,
            path: below.as_str(),
            data: Some(&data.to_string()),
            actor: &self.actor.principal,
            trace: Some(self.cause()),
            occurred_ms: self.now_ms(),
        })?;
        Ok(())
    }

    /// Lets a parked trace go on, or ends it for good. Exactly one decision counts.
    pub(super) fn decide_parked(
        &self,
        approval: &Approval,
        act: &GatedAct,
        grant: bool,
        reason: Option<&str>,
        rule: &str,
    ) -> Result<()> {
        let GatedAct::Trace { trace, root, .. } = act else { return Ok(()) };
        let (by, now_ms) = (&self.actor.principal, self.now_ms());
        let (state, kind, action) = if grant {
            (ApprovalState::Granted, EventKind::ApprovalGranted, "approval.grant")
        } else {
            (ApprovalState::Denied, EventKind::ApprovalDenied, "approval.deny")
        };
        let decided = self.engine.catalog.write(|tx| -> std::result::Result<bool, ChangeError> {
            if !tx.decide_approval(&approval.id, state, by, reason, now_ms)? {
                return Ok(false);
            }
            if let Some(row) = tx.trace(trace, root)? {
                tx.decide_trace(row.number, &approval.id, grant, now_ms)?;
            }
            let data = serde_json::json!({"approval": approval.id, "trace": trace});
            self.tell_at(tx, kind, &approval.path, &data)?;
            self.record_in(tx, action, Verb::Approve, &approval.path, "", rule)?;
            Ok(true)
        })?;
        if decided {
            return Ok(());
        }
        Err(Error::ApprovalClosed { approval: approval.id.clone(), state: "decided" })
    }

    /// One trace: what this principal handed over and was handed in it; everything for the admin.
    ///
    /// # Errors
    /// [`Error::NotFound`], also for one in which who asks takes no part.
    pub fn trace(&self, id: &str) -> Result<TraceInfo> {
        let absent = || Error::NotFound { what: "trace", name: id.chars().take(80).collect() };
        let found = self.traces_shown(Some(id))?.into_iter().next();
        let found = self.note_failure("trace.read", Verb::Dispatch, id, found.ok_or_else(absent))?;
        self.record("trace.read", Verb::Dispatch, id, "", Outcome::Allowed, "scope")?;
        Ok(found)
    }

    /// The traces in which this principal takes part, the newest first; all for the admin.
    ///
    /// # Errors
    /// Where the catalog can't be read.
    pub fn traces(&self) -> Result<Vec<TraceInfo>> {
        self.record("trace.list", Verb::Dispatch, "/", "", Outcome::Allowed, "scope")?;
        self.traces_shown(None)
    }

    fn traces_shown(&self, id: Option<&str>) -> Result<Vec<TraceInfo>> {
        let own = (!self.is_admin()).then_some(self.actor.principal.as_str());
        let found = trace::traces_of(&self.engine.catalog, id, own)?;
        let hops = found.iter().flat_map(|(_, hops)| hops);
        let reservations: Vec<&str> = hops.filter_map(|hop| hop.reservation.as_deref()).collect();
        let spent = budget::spent_on(&self.engine.catalog, &reservations)?;
        Ok(found.into_iter().map(|found| show_trace(found, &spent)).collect())
    }
}

/// Whether a text may name a trace.
pub(super) fn check_trace(trace: &str) -> Result<()> {
    if trace::is_trace_id(trace) {
        return Ok(());
    }
    Err(Error::Invalid {
        field: "trace",
        found: format!("`{}`", trace.chars().take(80).collect::<String>()),
        expected: "1 to 128 letters, digits, `.`, `_`, `-` and `:`, such as `tr_7fk2`".to_owned(),
    })
}

fn show_trace((row, hops): (TraceRow, Vec<StoredHop>), spent: &BTreeMap<String, Usage>) -> TraceInfo {
    let hops: Vec<HopInfo> = hops.into_iter().map(|hop| show_hop(hop, spent)).collect();
    let is_stopped = row.state != TraceState::Open;
    TraceInfo {
        trace_id: row.id,
        state: row.state,
        approval_id: row.approval.filter(|_| is_stopped),
        reason: Some(row.reason).filter(|_| is_stopped),
        spent: hops.iter().filter_map(|hop| hop.spent).fold(Usage::default(), Usage::plus),
        hops,
    }
}

fn show_hop(stored: StoredHop, spent: &BTreeMap<String, Usage>) -> HopInfo {
    HopInfo {
        hop: stored.hop.depth,
        from: stored.hop.from,
        to: stored.hop.to,
        text: stored.hop.text,
        artifacts: stored.hop.artifacts,
        is_new: stored.hop.is_new,
        at: rfc3339(stored.at_ms),
        spent: stored.reservation.and_then(|reservation| spent.get(&reservation).copied()),
    }
}
