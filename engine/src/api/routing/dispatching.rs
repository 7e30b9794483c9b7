//! An intent handed to an agent: a task file in its inbox, an event, a place in the trace.

use std::sync::PoisonError;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::super::engine::Engine;
use super::super::error::{Error, Result};
use super::super::keys::fresh_id;
use super::super::session::Session;
use super::super::sites::Site;
use super::super::tasks::{NewTask, PreparedTask, TaskInfo};
use super::super::traces::Handover;
use super::agents::absent_agent;
use super::deciding::check_intent;
use super::replies::{RouteOutcome, RouteReply, RouteRequest};
use crate::access::{Target, Verb};
use crate::budget::{Charge, MAX_TTL_MS, Priority};
use crate::cards::{self, AgentRow};
use crate::id::{RelPath, VersionId, WorkspaceName, join_path};
use crate::journal::{EventKind, NewEvent, Outcome};
use crate::route::{Dispatched, EntryKind};
use crate::tasks::{self, TaskFilter, TaskState};
use crate::trace::traceparent_of;

/// Where inboxes are when a card says nothing.
pub(super) const INBOX: &str = "inbox";

/// What is to be handed on.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DispatchRequest {
    /// In a sentence.
    pub intent: String,
    /// An agent; the one that the intent is routed to where it is missing.
    pub to: Option<String>,
    /// Whatever the agent needs.
    pub payload: Option<Value>,
    /// The trace that it belongs to; that of the task that the asker works on, or else that of the request, where it is
    /// missing.
    pub trace: Option<String>,
    /// Higher first; 0 where it is missing.
    #[serde(default)]
    pub priority: i64,
    /// Whether somebody has to accept what was done.
    #[serde(default)]
    pub review: bool,
}

/// Where it lies now.
#[derive(Debug, Clone, PartialEq, Serialize, schemars::JsonSchema)]
#[non_exhaustive]
pub struct DispatchReply {
    /// `tk_…`.
    pub task_id: String,
    /// Who has it before them.
    pub agent: String,
    /// Of the task's file, `/workspace/…`.
    pub path: String,
    /// Whoever goes on with it brings this along.
    pub trace_id: String,
    /// How many hands the trace has gone through.
    pub hop: u32,
    /// The decision that led there, where one was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub decision_id: Option<String>,
    /// How likely it is the right one, `[0, 1]`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub confidence: Option<f64>,
    /// The place of the change.
    pub seq: Option<String>,
}

impl Session {
    /// Hands an intent to an agent. It takes `dispatch` on the agent and nothing else.
    ///
    /// # Errors
    /// [`Error::NoRoute`] and [`Error::AmbiguousRoute`] where it can't be told to whom; [`Error::NotFound`] for an agent
    /// that is not there or may not be seen; [`Error::Forbidden`]; [`Error::Budget`] without room in a budget;
    /// [`Error::Trace`] where agents go in circles, or too far.
    pub fn dispatch(&self, request: &DispatchRequest) -> Result<DispatchReply> {
        check_intent(&request.intent)?;
        let session = self.in_trace_of(request)?;
        let (agent, decision) = match &request.to {
            Some(to) => (session.dispatchable(to)?, None),
            None => session.dispatched_by_route(request)?,
        };
        session.hand(request, &agent, decision.as_ref())
    }

    fn dispatched_by_route(&self, request: &DispatchRequest) -> Result<(AgentRow, Option<RouteReply>)> {
        let question = RouteRequest {
            intent: request.intent.clone(),
            kinds: [EntryKind::Agent].into(),
            ..RouteRequest::default()
        };
        let reply = self.route(&question)?;
        let refused = |error| {
            self.record("dispatch", Verb::Dispatch, "/", "", Outcome::Failed, "route")?;
            Err(error)
        };
        match (reply.outcome, &reply.decision) {
            (RouteOutcome::Routed, Some(decision)) => {
                let agent = self.dispatchable(&decision.id)?;
                Ok((agent, Some(reply)))
            }
            (RouteOutcome::Ambiguous, _) => refused(Error::AmbiguousRoute {
                question: reply.question.clone().unwrap_or_default(),
                candidates: reply.candidates.iter().take(2).map(|candidate| candidate.id.clone()).collect(),
            }),
            _ => refused(Error::NoRoute { intent: request.intent.chars().take(80).collect() }),
        }
    }

    /// An agent that this principal may hand something to.
    fn dispatchable(&self, name: &str) -> Result<AgentRow> {
        let id = cards::agent_id(name)?;
        let decision = self.actor.decide(&self.engine.policy(), Verb::Dispatch, Target::Agent, &id);
        if !decision.allowed {
            self.record("dispatch", Verb::Dispatch, &id, "", Outcome::Denied, &decision.rule)?;
            let (principal, path) = (self.actor.principal.clone(), id.clone());
            let forbidden = Error::Forbidden { principal, verb: "dispatch", path };
            return Err(if self.sees_agent(&id) { forbidden } else { absent_agent(name) });
        }
        let row = cards::agent(&self.engine.catalog, &id)?;
        self.note_failure("dispatch", Verb::Dispatch, &id, row.ok_or_else(|| absent_agent(name)))
    }

    /// Puts a task into an agent's inbox: room in the budgets first, then task, place in the trace and event in one change.
    fn hand(
        &self,
        request: &DispatchRequest,
        agent: &AgentRow,
        decision: Option<&RouteReply>,
    ) -> Result<DispatchReply> {
        self.engine.adopt_tasks()?;
        let workspace = self.engine.inbox_workspace(agent)?;
        let mut task = self.prepare_task(&self.inbox_task(request, agent, &workspace))?;
        let site = self.inbox_site(&workspace, &task.path, &agent.id)?;
        let reservation = self.reserve(&self.charge_of(request, agent)?)?;
        task.reservation = Some(reservation.id.clone());
        let dispatched = Dispatched {
            task: task.id.clone(),
            agent: agent.id.clone(),
            decision: decision.map(|reply| reply.decision_id.clone()),
            principal: self.actor.principal.clone(),
            intent: request.intent.clone(),
            at_ms: self.now_ms(),
        };
        match self.put_dispatched(request, &site, task, &dispatched) {
            Ok((info, hop)) => Ok(self.dispatch_reply(info, hop, decision)),
            Err(error) => {
                self.release(reservation)?;
                self.note_failure("dispatch", Verb::Dispatch, &agent.id, Err(error))
            }
        }
    }

    fn put_dispatched(
        &self,
        request: &DispatchRequest,
        site: &Site,
        task: PreparedTask,
        dispatched: &Dispatched,
    ) -> Result<(TaskInfo, u32)> {
        let payload = request.payload.as_ref().map(|payload| payload.to_string());
        // Whatever comes along is something new, unless it came along before.
        let artifacts: Vec<String> =
            payload.iter().map(|payload| VersionId::of(payload.as_bytes()).to_string()).collect();
        let embedding = self.embed_handover(&request.intent);
        let handover = Handover {
            to: &dispatched.agent,
            text: &request.intent,
            artifacts: &artifacts,
            embedding: embedding.as_deref(),
            parent: None,
            path: &site.full,
        };
        let reservation = task.reservation.clone();
        let (mut refused, mut hop) = (None, 0);
        let put = self.put_task(site, task, ("dispatch", Verb::Dispatch), &mut |tx, row| {
            hop = self.hop_in(tx, &handover, reservation.as_deref(), &mut refused)?.hop;
            tx.put_dispatch(dispatched)?;
            let data =
                json!({"task_id": row.id, "agent": dispatched.agent, "hop": hop, "title": row.spec.title});
            tx.append_event(&NewEvent {
                kind: EventKind::AgentDispatched,
                workspace: row.workspace,
                path: row.path.as_str(),
                data: Some(&data.to_string()),
                actor: &self.actor.principal,
                trace: Some(self.cause()),
                occurred_ms: row.created_ms,
            })?;
            Ok(())
        });
        if let Some(verdict) = refused {
            self.conclude_hop(&handover, verdict)?;
        }
        put.map(|info| (info, hop)).map_err(|error| self.without_hidden_name(error))
    }

    fn inbox_task(&self, request: &DispatchRequest, agent: &AgentRow, workspace: &WorkspaceName) -> NewTask {
        let mut trace = json!({"id": self.trace, "from": self.actor.principal});
        if let Some(traceparent) = self.traceparent() {
            trace["traceparent"] = json!(traceparent);
        }
        let mut payload = json!({"intent": request.intent, "trace": trace});
        if let Some(given) = &request.payload {
            payload["payload"] = given.clone();
        }
        NewTask {
            workspace: workspace.to_string(),
            title: Some(request.intent.clone()),
            payload: Some(payload),
            to: Some(agent.id.clone()),
            priority: request.priority,
            review: request.review,
            inbox: true,
            ..NewTask::default()
        }
    }

    /// What handing something to an agent takes; it is settled when the task ends.
    fn charge_of(&self, request: &DispatchRequest, agent: &AgentRow) -> Result<Charge> {
        let key = (EntryKind::Agent, agent.id.clone());
        let priority = match request.priority {
            ..0 => Priority::Low,
            0 => Priority::Normal,
            1.. => Priority::High,
        };
        Ok(self.engine.standing(&key)?.charge(&key).priority(priority).ttl_ms(MAX_TTL_MS))
    }

    /// In the trace that a request names, or else in that of the task at work. Whoever is handed something is told whose
    /// child it is: of the span of this request where that is in the trace, or else of what the task at work is a child of; where
    /// nobody makes spans, of one that stands for the handover.
    fn in_trace_of(&self, request: &DispatchRequest) -> Result<Self> {
        let at_work = self.trace_at_work()?.unwrap_or_default();
        let mut session = self.clone();
        if let Some(trace) = request.trace.as_deref().or(at_work["id"].as_str()) {
            session = session.with_trace(trace);
        }
        if session.traceparent().is_none()
            && let Some(parent) = at_work["traceparent"].as_str()
        {
            session = session.in_span(parent);
        }
        if session.traceparent().is_none()
            && let Some(parent) = traceparent_of(&session.trace, &fresh_id("sp"))
        {
            session = session.in_span(&parent);
        }
        Ok(session)
    }

    /// The trace of the task that this principal works on, as its payload tells of it, if it works on one that was handed to it:
    /// what it hands on belongs there even if it does not say so.
    fn trace_at_work(&self) -> Result<Option<Value>> {
        let filter = TaskFilter {
            to: Some(self.actor.principal.clone()),
            state: Some(TaskState::InProgress),
            workspace: None,
        };
        let held = tasks::tasks(&self.engine.catalog, &filter)?;
        let trace = held.last().and_then(|row| row.spec.payload.as_ref()?.get("trace"));
        Ok(trace.cloned())
    }

    fn dispatch_reply(&self, info: TaskInfo, hop: u32, decision: Option<&RouteReply>) -> DispatchReply {
        DispatchReply {
            task_id: info.task_id,
            agent: info.to.unwrap_or_default(),
            path: info.path,
            trace_id: self.trace.clone(),
            hop,
            decision_id: decision.map(|reply| reply.decision_id.clone()),
            confidence: decision.and_then(|reply| Some(reply.decision.as_ref()?.confidence)),
            seq: info.seq,
        }
    }

    /// The place of a task in an agent's inbox, by the right to hand it something. A gate there is not passed so.
    fn inbox_site(&self, workspace: &WorkspaceName, path: &RelPath, agent: &str) -> Result<Site> {
        let full = join_path(workspace, path);
        let open = self.engine.workspace(workspace);
        let open = open.ok_or_else(|| Error::NotFound { what: "workspace", name: workspace.to_string() })?;
        let approved_by = self.pass_gate("dispatch", Verb::Dispatch, &full)?;
        let rule = self.actor.decide(&self.engine.policy(), Verb::Dispatch, Target::Agent, agent).rule;
        Ok(Site { rule, approved_by, ..Site::bare(&open, path, &full) })
    }
}

impl Engine {
    /// The workspace of an agent's inbox, made where it is missing and the card names none.
    fn inbox_workspace(&self, agent: &AgentRow) -> Result<WorkspaceName> {
        let name = WorkspaceName::new(agent.card.inbox.as_deref().unwrap_or(INBOX))?;
        if agent.card.inbox.is_none() {
            // One at a time: of two that make it at once the second would find it half made.
            let _turn = self.routing.inbox_turn.lock().unwrap_or_else(PoisonError::into_inner);
            if self.workspace(&name).is_none() {
                self.create_workspace(&name)?;
            }
        }
        Ok(name)
    }
}
