use std::time::{Duration, Instant};

use serde_json::Value;

use super::bounding::bound;
use super::info::usd_per_call;
use super::outcome::{CallOutcome, CallReply, CallUsage};
use super::servers::{ServerState, ToolServer};
use crate::access::Verb;
use crate::api::budgets::Reservation;
use crate::api::error::{Error, Result};
use crate::api::session::Session;
use crate::budget::{Charge, ChargeKind, Priority, Usage};
use crate::journal::Outcome;
use crate::registry::{ToolId, ToolRow, ToolSpec, ToolState};

/// Of what a server says went wrong.
const MAX_TOLD_CHARS: usize = 500;

/// How a call is to be made.
#[derive(Debug, Clone, Copy, Default)]
#[non_exhaustive]
pub struct CallOptions {
    /// Of the answer as JSON; less than the server's setting narrows it.
    pub max_bytes: Option<usize>,
    /// Higher goes first where something is scarce.
    pub priority: Option<i64>,
}

impl CallOptions {
    /// With this bound on the answer.
    #[must_use]
    pub fn max_bytes(mut self, max_bytes: Option<usize>) -> Self {
        self.max_bytes = max_bytes;
        self
    }

    /// With this priority.
    #[must_use]
    pub fn priority(mut self, priority: Option<i64>) -> Self {
        self.priority = priority;
        self
    }
}

/// A call that was allowed, is in the audit log, and has not ended: whoever has it tells [`Session::end_call`] what came
/// of it.
#[derive(Debug)]
#[must_use = "a call that began must be ended"]
pub struct PendingCall {
    /// Which tool.
    pub tool: ToolId,
    /// Whose.
    pub server: String,
    /// As its server has it.
    pub name: String,
    /// What it is called with.
    pub arguments: Value,
    /// Until when it must have answered.
    pub timeout: Duration,
    spec: ToolSpec,
    max_bytes: usize,
    usd: Option<f64>,
    begun: Instant,
    rule: String,
    reservation: Reservation,
}

impl Session {
    /// Begins a call of a tool: decides, checks the arguments against what was approved, and writes it down.
    ///
    /// # Errors
    /// In this order: [`Error::NotFound`] for a tool that may not be seen; [`Error::Forbidden`] where no grant allows it with
    /// these arguments; [`Error::ToolQuarantined`], [`Error::ToolDeclared`], [`Error::ToolUnavailable`];
    /// [`Error::InvalidArguments`].
    pub fn begin_call(&self, id: &str, arguments: Value, options: &CallOptions) -> Result<PendingCall> {
        const ACTION: &str = "tool.call";
        let row = self.seen_tool(ACTION, Verb::Call, id)?;
        let rule = self.allow_call(ACTION, &row, &arguments)?;
        let ready = self.ready(&row, &arguments);
        let (server, spec) = self.note_failure(ACTION, Verb::Call, id, ready)?;
        let usd = usd_per_call(&row, Some(&server));
        let reservation = self.note_failure(ACTION, Verb::Call, id, self.reserve_call(&row, usd, options))?;
        self.record(ACTION, Verb::Call, id, &spec.hash(), Outcome::Allowed, &rule)?;
        let timeout = server.tools.get(&row.name).and_then(|tool| tool.timeout).unwrap_or(server.timeout);
        Ok(PendingCall {
            tool: row.id,
            server: row.server,
            name: row.name,
            arguments,
            timeout,
            spec,
            max_bytes: options.max_bytes.unwrap_or(usize::MAX).min(server.max_result_bytes),
            usd,
            begun: Instant::now(),
            rule,
            reservation,
        })
    }

    /// Ends a call: settles what was set aside for it, counts it, writes down how it ended, and gives the answer within its
    /// bound.
    ///
    /// # Errors
    /// What the outcome says: [`Error::ToolUnavailable`], [`Error::ToolTimeout`], [`Error::ToolCancelled`],
    /// [`Error::ToolFailed`].
    pub fn end_call(&self, call: PendingCall, outcome: CallOutcome) -> Result<CallReply> {
        let took_ms = call.begun.elapsed().as_millis() as u64;
        let ended = self.judge_outcome(&call, outcome, took_ms);
        self.count(&call, &ended, took_ms);
        let (outcome, rule) = match &ended {
            Ok(reply) if reply.is_error => (Outcome::Failed, "tool_error"),
            Ok(_) => (Outcome::Allowed, call.rule.as_str()),
            Err(error) => (Outcome::Failed, error.code()),
        };
        self.record("tool.answer", Verb::Call, call.tool.as_str(), "", outcome, rule)?;
        self.settle_call(call.reservation, &ended)?;
        ended
    }

    /// The rule that allows a call with these arguments.
    fn allow_call(&self, action: &'static str, row: &ToolRow, arguments: &Value) -> Result<String> {
        let decision = self.actor.decide_call(&self.engine.policy(), row.id.as_str(), arguments);
        if decision.allowed {
            return Ok(decision.rule);
        }
        self.record(action, Verb::Call, row.id.as_str(), "", Outcome::Denied, &decision.rule)?;
        let (principal, path) = (self.actor.principal.clone(), row.id.to_string());
        Err(Error::Forbidden { principal, verb: "call", path })
    }

    /// What is needed to call a tool now, with arguments that its schema takes.
    fn ready(&self, row: &ToolRow, arguments: &Value) -> Result<(std::sync::Arc<ToolServer>, ToolSpec)> {
        let tool = || row.id.to_string();
        let spec = row.approved.clone().filter(|_| row.state == ToolState::Approved);
        let spec = spec.ok_or_else(|| Error::ToolQuarantined { tool: tool(), reason: row.reason.clone() })?;
        if row.is_declared() {
            return Err(Error::ToolDeclared { tool: tool() });
        }
        let known = self.engine.toolbox.server(&row.server);
        let known = known.filter(|known| known.health.state == ServerState::Ready);
        let known = known.ok_or_else(|| unavailable(&row.id))?;
        if !arguments.is_object() {
            let expected = "expected an object".to_owned();
            return Err(Error::InvalidArguments { tool: tool(), argument: String::new(), expected });
        }
        match self.engine.toolbox.validators.check(&spec.input_schema, arguments) {
            None => Ok((known.settings, spec)),
            Some(violation) => Err(Error::InvalidArguments {
                tool: tool(),
                argument: violation.argument,
                expected: violation.expected,
            }),
        }
    }

    /// Makes room for a call in every budget that binds it, after all that can refuse it for another reason.
    fn reserve_call(&self, tool: &ToolRow, usd: Option<f64>, options: &CallOptions) -> Result<Reservation> {
        let priority = Priority::of(options.priority.unwrap_or_default());
        self.reserve(&charge(tool.id.as_str(), usd).priority(priority))
    }

    /// Settles what was set aside for a call that has ended: one that never went out costs nothing, and one of which it is
    /// not known what it did costs its price.
    fn settle_call(&self, reservation: Reservation, ended: &Result<CallReply>) -> Result<()> {
        let bytes = match ended {
            Err(Error::ToolUnavailable { .. }) => return self.release(reservation),
            Err(_) => 0,
            Ok(reply) => {
                let content = reply.content.iter().chain(&reply.structured);
                content.map(|value| value.to_string().len() as u64).sum()
            }
        };
        let used = Usage { bytes, ..reservation.estimate };
        let is_ok = ended.as_ref().is_ok_and(|reply| !reply.is_error);
        self.settle(reservation, used, is_ok)
    }

    fn judge_outcome(&self, call: &PendingCall, outcome: CallOutcome, took_ms: u64) -> Result<CallReply> {
        let tool = || call.tool.to_string();
        match outcome {
            CallOutcome::Answered { content, structured, is_error } => {
                Ok(self.tool_answer(call, content, structured, is_error, took_ms))
            }
            CallOutcome::Unavailable => Err(unavailable(&call.tool)),
            CallOutcome::TimedOut => {
                Err(Error::ToolTimeout { tool: tool(), seconds: call.timeout.as_secs() })
            }
            CallOutcome::Cancelled => Err(Error::ToolCancelled { tool: tool() }),
            CallOutcome::Failed(message) => {
                let plain = message.chars().map(|c| if c.is_control() { ' ' } else { c });
                Err(Error::ToolFailed { tool: tool(), message: plain.take(MAX_TOLD_CHARS).collect() })
            }
        }
    }

    fn tool_answer(
        &self,
        call: &PendingCall,
        mut content: Vec<Value>,
        mut structured: Option<Value>,
        is_error: bool,
        took_ms: u64,
    ) -> CallReply {
        let mut warnings = Vec::new();
        if let Some(schema) = call.spec.output_schema.as_ref().filter(|_| !is_error) {
            let value = structured.as_ref().unwrap_or(&Value::Null);
            if let Some(violation) = self.engine.toolbox.validators.check(schema, value) {
                warnings.push(format!("the answer is not what its schema says: {}", violation.expected));
            }
        }
        let truncated = bound(&mut content, &mut structured, call.max_bytes);
        let usage = call.usd.map(|usd| CallUsage { usd });
        CallReply { content, structured, is_error, took_ms, truncated, warnings, usage }
    }

    fn count(&self, call: &PendingCall, ended: &Result<CallReply>, took_ms: u64) {
        let mut statistics = self.engine.toolbox.statistics();
        let of_tool = statistics.entry(call.tool.clone()).or_default();
        match ended {
            Ok(reply) => of_tool.answered(took_ms, reply.is_error),
            // Who does not wait says nothing about the tool.
            Err(Error::ToolCancelled { .. }) => return,
            Err(error) => of_tool.failed(error.to_string()),
        }
        of_tool.note(&self.actor.principal, ended.as_ref().is_ok_and(|reply| !reply.is_error));
    }
}

/// What a call takes, as far as it is known beforehand.
pub(super) fn charge(tool: &str, usd: Option<f64>) -> Charge {
    Charge::new(ChargeKind::Tool, tool).estimate(Usage { usd_micros: micros(usd), ..Usage::call() })
}

/// Millionths of a dollar.
fn micros(usd: Option<f64>) -> u64 {
    (usd.unwrap_or_default().max(0.0) * 1e6).round() as u64
}

fn unavailable(tool: &ToolId) -> Error {
    Error::ToolUnavailable { tool: tool.to_string(), reason: "its server is not connected" }
}
