//! An intent handed to an agent: a task file in its inbox, an event, a place in the trace.

use std::sync::PoisonError;

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Value, json};

use super::super::engine::Engine;
use super::super::error::{Error, Result};
use super::super::keys::fresh_id;
use super::super::session::Session;
use super::super::sites::Site;
use super::super::tasks::{NewTask, PreparedTask, TaskInfo};
use super::super::traces::{Handover, check_trace};
use super::agents::absent_agent;
use super::deciding::check_intent;
use super::replies::{RouteCandidate, RouteOutcome, RouteReply, RouteRequest};
use crate::access::{Target, Verb};
use crate::budget::{Charge, ChargeKind, MAX_TTL_MS, Priority, Usage, priority_schema, read_priority};
use crate::cards::{self, AgentRow};
use crate::id::{RelPath, VersionId, WorkspaceName, join_path};
use crate::journal::{EventKind, NewEvent, Outcome};
use crate::route::{Dispatched, EntryKind};
use crate::tasks::{self, TaskFilter, TaskRow, TaskState};
use crate::trace::traceparent_of;

/// Where inboxes are when a card says nothing.
pub(super) const INBOX: &str = "inbox";
/// For so long after a task has ended, what is handed back to who made it belongs to its trace, in milliseconds.
const LINGERING_MS: i64 = 10 * 60 * 1000;

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
    /// The trace that it belongs to; where it is missing, that of the task that the asker works on, or of one that it has just
    /// ended for the agent that this goes to, or else that of the request.
    pub trace: Option<String>,
    /// Higher first, or `low`, `normal`, `high`; 0, which is normal, where it is missing.
    #[serde(default, deserialize_with = "priority")]
    #[schemars(schema_with = "priority_schema")]
    pub priority: i64,
    /// Whether somebody has to accept what was done.
    #[serde(default)]
    pub review: bool,
}

fn priority<'de, D: Deserializer<'de>>(given: D) -> std::result::Result<i64, D::Error> {
    Ok(read_priority(given)?.unwrap_or_default())
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
    /// [`Error::NoRoute`] and [`Error::AmbiguousRoute`] where it can't be told to whom; [`Error::RouteUnavailable`] where who
    /// can do it takes nothing now; [`Error::Invalid`] for a trace that can be none; [`Error::NotFound`] for an agent that is not there or may not be seen; [`Error::Forbidden`]; [`Error::Budget`] without room in a budget;
    /// [`Error::Trace`] where agents go in circles, or too far.
    pub fn dispatch(&self, request: &DispatchRequest) -> Result<DispatchReply> {
        check_intent(&request.intent)?;
        request.trace.as_deref().map_or(Ok(()), check_trace)?;
        let at_work = self.trace_at_work()?;
        let goes_on = request.trace.is_some() || at_work.is_some();
        let session = self.joining(request.trace.as_deref(), &at_work.unwrap_or_default());
        let (agent, decision) = match &request.to {
            Some(to) => (session.dispatchable(to)?, None),
            None => session.dispatched_by_route(request)?,
        };
        let ended = if goes_on { None } else { self.trace_ended(&agent.id)? };
        let session = match ended {
            Some(ended) => session.joining(None, &ended),
            None => session,
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
                candidates: asked_about(&reply),
            }),
            _ if !reply.unavailable.is_empty() => {
                // What a budget has no room for, the budget refuses: by the priority of this, and with what is left.
                let over_budget = able(&reply).find(|candidate| is_over_budget(candidate));
                match over_budget.map(|candidate| candidate.id.clone()) {
                    Some(id) => Ok((self.dispatchable(&id)?, Some(reply))),
                    None => refused(Error::RouteUnavailable {
                        agents: reply.unavailable.clone(),
                        reason: why_not(&reply),
                    }),
                }
            }
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
        let reservation = self.reserve(&charge_of(request, agent))?;
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

    /// In the trace that a request names, or else in that which a task's payload tells of. Whoever is handed something is told
    /// whose child it is: of the span of this request where that is in the trace, or else of what the task is a child of; where
    /// nobody makes spans, of one that stands for the handover.
    fn joining(&self, named: Option<&str>, task: &Value) -> Self {
        let mut session = self.clone();
        if let Some(trace) = named.or(task["id"].as_str()) {
            session = session.with_trace(trace);
        }
        if session.traceparent().is_none()
            && let Some(parent) = task["traceparent"].as_str()
        {
            session = session.in_span(parent);
        }
        if session.traceparent().is_none()
            && let Some(parent) = traceparent_of(&session.trace, &fresh_id("sp"))
        {
            session = session.in_span(&parent);
        }
        session
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
        Ok(held.last().and_then(trace_told))
    }

    /// The trace of the task that this principal ended last for an agent, where that was just now: who thanks, asks back or goes
    /// on after its work is done does not begin anew, or two that answer each other in circles would never be noticed.
    fn trace_ended(&self, agent: &str) -> Result<Option<Value>> {
        let since_ms = self.now_ms() - LINGERING_MS;
        let ended = tasks::last_ended(&self.engine.catalog, &self.actor.principal, agent, since_ms)?;
        Ok(ended.as_ref().and_then(trace_told))
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

/// What handing something to an agent takes; it is settled when the task ends.
fn charge_of(request: &DispatchRequest, agent: &AgentRow) -> Charge {
    let price = agent.card.price;
    let estimate = Usage { usd_micros: price.usd_micros, tokens: price.tokens, ..Usage::call() };
    let charge = Charge::new(ChargeKind::Dispatch, &agent.id).estimate(estimate);
    charge.priority(Priority::of(request.priority)).ttl_ms(MAX_TTL_MS)
}

/// What a task's payload tells of its trace.
fn trace_told(row: &TaskRow) -> Option<Value> {
    row.spec.payload.as_ref()?.get("trace").cloned()
}

/// Those that a question asks about.
fn asked_about(reply: &RouteReply) -> Vec<String> {
    if reply.parts.is_empty() {
        return reply.candidates.iter().take(2).map(|candidate| candidate.id.clone()).collect();
    }
    reply.parts.iter().map(|part| part.id.clone()).collect()
}

/// Those that could do it, were they there.
fn able(reply: &RouteReply) -> impl Iterator<Item = &RouteCandidate> {
    reply.candidates.iter().filter(|candidate| reply.unavailable.contains(&candidate.id))
}

fn is_over_budget(candidate: &RouteCandidate) -> bool {
    candidate.standing.as_ref().is_some_and(|standing| standing.over_budget)
}

fn why_not(reply: &RouteReply) -> String {
    let reason = |candidate: &RouteCandidate| candidate.standing.as_ref()?.unavailable.clone();
    able(reply).find_map(reason).unwrap_or_default()
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
