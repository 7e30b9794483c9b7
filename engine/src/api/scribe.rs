//! Writes the letters that webhooks bring: what an event's subscriber may be told at that moment.

use std::collections::BTreeSet;
use std::sync::{Arc, Weak};

use serde::Serialize;
use serde_json::json;

use super::engine::Engine;
use super::error::{Error, Result};
use super::events::EventInfo;
use super::keys::{Keys, fresh_id};
use super::session::Session;
use super::webhooks::purpose;
use crate::access::{ADMIN, Actor, Limits, Verb};
use crate::clock::rfc3339;
use crate::delivery::{
    self, Attempt, Courier, Endpoint, EndpointState, Format, Letter, Post, Scribe, Secret, Sink,
};
use crate::id::{WorkspaceId, WorkspaceName};
use crate::journal::{self, Event, EventFilter};
use crate::trace::traceparent_of;

/// A program that is started for events, by the operator's settings alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommandHook {
    /// For people, and for keeping its place in the journal.
    pub name: String,
    /// The program and its arguments; no shell reads them.
    pub argv: Vec<String>,
    /// One of these paths; none: all.
    pub paths: Vec<String>,
    /// One of these kinds; none: all.
    pub kinds: Vec<String>,
    /// With whose rights it is told.
    pub principal: Option<String>,
    /// Then it is ended.
    pub timeout_seconds: u64,
}

/// The letters of one home. It holds the engine only while it writes.
struct HomeScribe(Weak<Engine>);

impl Scribe for HomeScribe {
    fn write(
        &self,
        endpoint: &Endpoint,
        event: &Event,
    ) -> std::result::Result<Option<Letter>, Box<dyn std::error::Error>> {
        let engine = self.0.upgrade().ok_or("the home is closed")?;
        let actor = Actor {
            principal: endpoint.owner.clone(),
            token: String::new(),
            is_owner: endpoint.owner == ADMIN,
            limits: endpoint.limits.clone(),
        };
        let session = Session::new(Arc::clone(&engine), actor);
        let Some(shown) = session.show(event, &session.scope(Verb::Read), &endpoint.filter)? else {
            return Ok(None);
        };
        Ok(Some(engine.letter(endpoint, &shown, event.traceparent.clone())?))
    }

    fn name_of(&self, workspace: WorkspaceId) -> Option<WorkspaceName> {
        self.0.upgrade()?.name_of(workspace)
    }
}

/// The body of Standard Webhooks 1.0, flat: the event's own fields stand beside `type` and `timestamp`.
#[derive(Serialize)]
struct StandardBody<'a> {
    r#type: &'a str,
    timestamp: &'a str,
    #[serde(flatten)]
    event: &'a EventInfo,
}

impl Engine {
    /// Starts to bring events to webhooks; it ends when the result goes.
    pub fn start_courier(self: &Arc<Self>) -> Courier {
        let scribe = HomeScribe(Arc::downgrade(self));
        Courier::start(Post {
            office: Arc::clone(&self.office),
            catalog: Arc::clone(&self.catalog),
            scribe: Box::new(scribe),
            client: self.client.clone(),
            schedule: self.schedule.clone(),
            clock: self.clock,
        })
    }

    /// The parent of what its receiver does is the span in which the event came about; where nobody made one, the event
    /// itself. Without a trace of W3C Trace Context there is none.
    fn letter(&self, endpoint: &Endpoint, event: &EventInfo, traceparent: Option<String>) -> Result<Letter> {
        let own = || event.trace_id.as_deref().and_then(|trace| traceparent_of(trace, &event.id));
        let (content_type, body) = match endpoint.format {
            Format::Standard => {
                let body = StandardBody { r#type: &event.event, timestamp: &event.occurred_at, event };
                ("application/json", serde_json::to_vec(&body))
            }
            Format::CloudEvents => ("application/cloudevents+json", serde_json::to_vec(&cloud_event(event))),
        };
        Ok(Letter {
            id: event.id.clone(),
            content_type,
            body: body.expect("an event has only texts and numbers"),
            secrets: self.secrets(endpoint)?,
            traceparent: traceparent.filter(|_| event.trace_id.is_some()).or_else(own),
        })
    }

    /// The secrets that sign now, the newest first.
    fn secrets(&self, endpoint: &Endpoint) -> Result<Vec<Secret>> {
        let now_ms = self.clock.now_ms();
        let former = endpoint.former.as_ref().filter(|(_, until_ms)| now_ms < *until_ms);
        let sealed = Some(&endpoint.secret).into_iter().chain(former.map(|(secret, _)| secret));
        sealed
            .filter(|sealed| !sealed.is_empty())
            .map(|sealed| open_secret(&self.keys, &endpoint.id, sealed))
            .collect()
    }

    /// Sends a test to an endpoint, outside of its line.
    pub(super) fn ping(&self, endpoint: &Endpoint) -> Result<Attempt> {
        let now_ms = self.clock.now_ms();
        let event = EventInfo {
            event: "webhook.ping".to_owned(),
            path: "/".to_owned(),
            mime_type: String::new(),
            size: 0,
            workspace_id: String::new(),
            id: fresh_id("evt"),
            seq: String::new(),
            version: None,
            actor: endpoint.owner.clone(),
            from: None,
            approved_by: None,
            trace_id: None,
            occurred_at: rfc3339(now_ms),
            data: None,
        };
        let letter = self.letter(endpoint, &event, None)?;
        Ok(delivery::send(&self.client, &endpoint.sink, &letter, self.schedule.timeout, now_ms))
    }

    /// Takes the operator's commands in place of those of before; one that has its name already keeps its place in the
    /// journal, a new one begins now.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a command without a program, [`Error::Access`] for a pattern that is none.
    pub fn set_commands(&self, hooks: &[CommandHook]) -> Result<()> {
        let now = journal::last_event(&self.catalog)?;
        let wanted: Vec<Endpoint> = hooks
            .iter()
            .map(|hook| {
                Ok(Endpoint { cursor: now, created_ms: self.clock.now_ms(), ..command_endpoint(hook)? })
            })
            .collect::<Result<_>>()?;
        let ids: BTreeSet<&str> = wanted.iter().map(|endpoint| endpoint.id.as_str()).collect();
        let known = delivery::endpoints(&self.catalog)?;
        let gone = known
            .iter()
            .filter(|known| matches!(known.sink, Sink::Command { .. }) && !ids.contains(known.id.as_str()));
        self.catalog.write(|tx| -> Result<()> {
            gone.into_iter().try_for_each(|gone| tx.remove_endpoint(&gone.id).map(drop))?;
            wanted.iter().try_for_each(|endpoint| tx.put_endpoint(endpoint))?;
            Ok(())
        })?;
        self.office.endpoints_changed();
        Ok(())
    }
}

fn command_endpoint(hook: &CommandHook) -> Result<Endpoint> {
    let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    if hook.argv.is_empty() || hook.name.is_empty() || !hook.name.chars().all(is_name) {
        return Err(Error::Invalid {
            field: "commands",
            found: format!("`{}` with {} arguments", hook.name, hook.argv.len()),
            expected: "a `name` of a-z A-Z 0-9 . _ - and `run` with a program and its arguments".to_owned(),
        });
    }
    Ok(Endpoint {
        id: format!("cmd_{}", hook.name),
        owner: hook.principal.clone().unwrap_or_else(|| ADMIN.to_owned()),
        limits: Limits::default(),
        name: hook.name.clone(),
        sink: Sink::Command { argv: hook.argv.clone(), timeout_seconds: hook.timeout_seconds },
        filter: EventFilter::new(&hook.paths, &hook.kinds)?,
        format: Format::Standard,
        secret: Vec::new(),
        former: None,
        state: EndpointState::Active,
        reason: String::new(),
        failing_since_ms: None,
        cursor: crate::id::Seq(0),
        created_ms: 0,
    })
}

fn open_secret(keys: &Keys, id: &str, sealed: &[u8]) -> Result<Secret> {
    // One that was sealed by another key of the home can't be opened: the key file was changed.
    let bytes = keys.open(&purpose(id), sealed).ok_or(delivery::DeliveryError::Secret)?;
    Ok(Secret::from_bytes(bytes)?)
}

/// CloudEvents 1.0, JSON format, structured mode.
fn cloud_event(event: &EventInfo) -> serde_json::Value {
    let workspace = event.path.split('/').nth(1).unwrap_or_default();
    json!({
        "specversion": "1.0",
        "id": event.id,
        "source": format!("/workspaces/{workspace}"),
        "type": event.event,
        "subject": event.path,
        "time": event.occurred_at,
        "datacontenttype": "application/json",
        "data": event,
    })
}
