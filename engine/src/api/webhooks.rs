use serde::Serialize;

use super::error::{Error, Result};
use super::events::EventInfo;
use super::keys::fresh_id;
use super::places::Rounding;
use super::session::Session;
use crate::access::{Limits, Verb};
use crate::clock::{parse_rfc3339, rfc3339};
use crate::delivery::{
    self, Attempt, Delivery, DeliveryFilter, DeliveryOrder, DeliveryState, Endpoint, EndpointState, Format,
    Head, Secret, Sink,
};
use crate::id::Seq;
use crate::journal::{self, EventFilter, Outcome};

/// After a rotation the old secret signs as well for a day, unless somebody says otherwise.
const DEFAULT_OVERLAP_SECONDS: u64 = 24 * 3600;
/// The longest such time, in seconds: 30 days.
const MAX_OVERLAP_SECONDS: u64 = 30 * 24 * 3600;
/// Deliveries put back into the line by one request.
const MAX_REPLAYED: usize = 10_000;
/// Deliveries read at once.
const READ_AT_ONCE: usize = 500;
/// Longer names are refused, in characters.
const MAX_NAME: usize = 200;

/// What a webhook is to be.
#[derive(Debug, Clone, Default)]
pub struct NewWebhook {
    /// Where events are posted.
    pub url: String,
    /// For people.
    pub name: String,
    /// One of these paths; none: all.
    pub paths: Vec<String>,
    /// One of these kinds; none: all.
    pub kinds: Vec<String>,
    /// In which form.
    pub format: Format,
    /// `whsec_…`; made here without one.
    pub secret: Option<String>,
    /// A `seq` after which it starts; `start` for all that the journal holds. Without: what happens from now on.
    pub after: Option<String>,
}

/// What is to change about a webhook; what is `None` stays.
#[derive(Debug, Clone, Default)]
pub struct WebhookChange {
    /// Where events are posted.
    pub url: Option<String>,
    /// For people.
    pub name: Option<String>,
    /// One of these paths.
    pub paths: Option<Vec<String>>,
    /// One of these kinds.
    pub kinds: Option<Vec<String>>,
    /// In which form.
    pub format: Option<Format>,
    /// Whether events are brought; those that come meanwhile wait.
    pub active: Option<bool>,
    /// Forgets what waits: only what happens from now on is brought.
    pub skip_backlog: bool,
}

/// A webhook, as it is listed; never its secret.
#[derive(Debug, Clone, Serialize, schemars::JsonSchema)]
pub struct WebhookInfo {
    /// `wh_…`.
    pub id: String,
    /// Whose grants decide what it is told.
    pub owner: String,
    /// For people.
    pub name: String,
    /// Where events are posted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// A program that the operator named, in its place.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub command: Option<Vec<String>>,
    /// One of these paths; empty: all.
    pub paths: Vec<String>,
    /// One of these kinds; empty: all.
    pub kinds: Vec<String>,
    /// In which form.
    pub format: Format,
    /// Whether events are brought.
    pub active: bool,
    /// Why not.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub paused_because: String,
    /// RFC 3339: since when every attempt failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failing_since: Option<String>,
    /// RFC 3339: until when the secret before the last rotation signs as well.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub former_secret_until: Option<String>,
    /// RFC 3339.
    pub created_at: String,
    /// Shown once: when it is made.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret: Option<String>,
}

/// One try, as it is listed.
#[derive(Debug, Clone, Serialize, schemars::JsonSchema)]
pub struct AttemptInfo {
    /// RFC 3339.
    pub at: String,
    /// HTTP status, or a command's exit code.
    pub status: Option<i32>,
    /// Why nothing came back.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// The first kilobyte of what did.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub answer: String,
    /// How long it took.
    pub took_ms: u64,
}

/// One event's way to a webhook.
#[derive(Debug, Clone, Serialize, schemars::JsonSchema)]
pub struct DeliveryInfo {
    /// `dl_…`.
    pub id: String,
    /// `wh_…`.
    pub webhook: String,
    /// `pending`, `delivered` or `dead`.
    pub state: DeliveryState,
    /// The event's id, which is the `webhook-id` of every attempt.
    pub event_id: String,
    /// Such as `file.created`.
    pub event: String,
    /// What it is about.
    pub path: String,
    /// How often it was tried.
    pub attempts: u32,
    /// RFC 3339, while it is pending, was tried, and its webhook is not paused.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_attempt_at: Option<String>,
    /// Of the last try.
    pub last_status: Option<i32>,
    /// Of the last try.
    pub last_error: Option<String>,
    /// The last tries, oldest first.
    pub log: Vec<AttemptInfo>,
    /// RFC 3339.
    pub updated_at: String,
}

/// Some deliveries, newest first.
#[derive(Debug, Clone, Serialize, schemars::JsonSchema)]
pub struct DeliveriesPage {
    /// Newest first.
    pub items: Vec<DeliveryInfo>,
    /// Give it as `cursor` for older ones.
    pub next_cursor: Option<String>,
}

/// Which deliveries to put back into the line.
#[derive(Debug, Clone, Default)]
pub struct Replay {
    /// From here on: a `seq`, or RFC 3339.
    pub from: Option<String>,
    /// Up to here: a `seq`, or RFC 3339.
    pub to: Option<String>,
    /// In this state; dead letters without one.
    pub state: Option<DeliveryState>,
}

impl Session {
    /// Makes a webhook that acts with this principal's grants. The reply has its secret, for the only time.
    ///
    /// # Errors
    /// [`Error::Forbidden`] without `read` anywhere; [`Error::Net`] for a URL that may not be reached;
    /// [`Error::Invalid`], [`Error::Delivery`].
    pub fn create_webhook(&self, new: &NewWebhook) -> Result<WebhookInfo> {
        const ACTION: &str = "webhook.create";
        if !self.may_somewhere(Verb::Read) {
            self.record(ACTION, Verb::Read, "/", "", Outcome::Denied, "default")?;
            let principal = self.actor.principal.clone();
            return Err(Error::Forbidden { principal, verb: "read", path: "/".to_owned() });
        }
        let made = self.check_new(new);
        let (filter, secret, cursor) = self.note_failure(ACTION, Verb::Read, "/", made)?;
        let id = fresh_id("wh");
        let endpoint = Endpoint {
            owner: self.actor.principal.clone(),
            limits: self.actor.limits.clone(),
            name: new.name.clone(),
            sink: Sink::Url(new.url.clone()),
            filter,
            format: new.format,
            secret: self.engine.keys.close(&purpose(&id), secret.bytes()),
            former: None,
            state: EndpointState::Active,
            reason: String::new(),
            failing_since_ms: None,
            cursor,
            created_ms: self.now_ms(),
            id,
        };
        self.keep(ACTION, &endpoint)?;
        Ok(WebhookInfo { secret: Some(secret.shown()), ..show(&endpoint) })
    }

    fn check_new(&self, new: &NewWebhook) -> Result<(EventFilter, Secret, Seq)> {
        self.check_url(&new.url)?;
        check_name(&new.name)?;
        let secret = match &new.secret {
            Some(text) => Secret::read(text)?,
            None => Secret::generate(),
        };
        let cursor = match new.after.as_deref() {
            None | Some("now") => journal::last_event(&self.engine.catalog)?,
            Some(after) => self.place_of(after)?,
        };
        Ok((EventFilter::new(&new.paths, &new.kinds)?, secret, cursor))
    }

    /// Nothing leaves the machine to where its operator did not send it: an agent that is talked into telling the world
    /// finds no way out.
    fn check_url(&self, url: &str) -> Result<()> {
        let client = &self.engine.client;
        if self.is_admin() {
            client.check(url)?
        } else {
            client.check_listed(url)?
        };
        Ok(())
    }

    fn keep(&self, action: &'static str, endpoint: &Endpoint) -> Result<()> {
        let kept = self.engine.catalog.write(|tx| -> Result<()> {
            tx.put_endpoint(endpoint)?;
            Ok(self.record_in(tx, action, Verb::Read, &endpoint.id, "", "owner")?)
        });
        self.note_failure(action, Verb::Read, &endpoint.id, kept)?;
        self.engine.office.endpoints_changed();
        Ok(())
    }

    /// This principal's webhooks, oldest first; for the admin everybody's.
    ///
    /// # Errors
    /// Where the catalog can't be read.
    pub fn webhooks(&self) -> Result<Vec<WebhookInfo>> {
        self.record("webhook.list", Verb::List, "/", "", Outcome::Allowed, "scope")?;
        let all = delivery::endpoints(&self.engine.catalog)?;
        Ok(all.iter().filter(|endpoint| self.reaches_endpoint(endpoint)).map(show).collect())
    }

    /// One webhook.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub fn webhook(&self, id: &str) -> Result<WebhookInfo> {
        Ok(show(&self.own_endpoint("webhook.show", id)?))
    }

    /// A narrowed token reaches only what was made under the same limits.
    fn reaches_endpoint(&self, endpoint: &Endpoint) -> bool {
        let is_whole = self.actor.limits == Limits::default();
        let is_own = endpoint.owner == self.actor.principal;
        (is_own && (is_whole || endpoint.limits == self.actor.limits)) || (is_whole && self.is_admin())
    }

    fn own_endpoint(&self, action: &'static str, id: &str) -> Result<Endpoint> {
        let found = delivery::endpoint(&self.engine.catalog, id)?;
        match found.filter(|endpoint| self.reaches_endpoint(endpoint)) {
            Some(endpoint) => Ok(endpoint),
            None => {
                let absent = Error::NotFound { what: "webhook", name: id.chars().take(80).collect() };
                self.note_failure(action, Verb::Read, id, Err(absent))
            }
        }
    }

    /// As [`Self::own_endpoint`], and no command: that is the operator's.
    fn own_webhook(&self, action: &'static str, id: &str) -> Result<Endpoint> {
        let endpoint = self.own_endpoint(action, id)?;
        if matches!(endpoint.sink, Sink::Command { .. }) {
            return Err(Error::Invalid {
                field: "id",
                found: format!("`{id}`, a command of the server's settings"),
                expected: "a webhook; change a command in `waypost.toml`".to_owned(),
            });
        }
        Ok(endpoint)
    }

    /// Changes a webhook.
    ///
    /// # Errors
    /// As [`Self::create_webhook`]; [`Error::NotFound`].
    pub fn change_webhook(&self, id: &str, change: &WebhookChange) -> Result<WebhookInfo> {
        const ACTION: &str = "webhook.change";
        let mut endpoint = self.own_endpoint(ACTION, id)?;
        let is_switch_only = change.url.is_none()
            && change.name.is_none()
            && change.paths.is_none()
            && change.kinds.is_none()
            && change.format.is_none();
        if !is_switch_only {
            endpoint = self.own_webhook(ACTION, id)?;
        }
        let changed = self.apply_change(&mut endpoint, change);
        self.note_failure(ACTION, Verb::Read, id, changed)?;
        // Whatever is under way must not be overtaken by what is kept here.
        self.engine.office.barrier();
        let skip_to = match change.skip_backlog {
            true => Some(journal::last_event(&self.engine.catalog)?),
            false => None,
        };
        let kept = self.engine.catalog.write(|tx| -> Result<()> {
            tx.put_endpoint(&endpoint)?;
            if let Some(cursor) = skip_to {
                tx.skip_to(id, cursor)?;
            }
            Ok(self.record_in(tx, ACTION, Verb::Read, id, "", "owner")?)
        });
        self.note_failure(ACTION, Verb::Read, id, kept)?;
        self.engine.office.reopen(id);
        Ok(show(&endpoint))
    }

    fn apply_change(&self, endpoint: &mut Endpoint, change: &WebhookChange) -> Result<()> {
        if let Some(url) = &change.url {
            self.check_url(url)?;
            endpoint.sink = Sink::Url(url.clone());
        }
        if let Some(name) = &change.name {
            check_name(name)?;
            endpoint.name.clone_from(name);
        }
        if change.paths.is_some() || change.kinds.is_some() {
            let texts = |endpoint: &Endpoint| -> Vec<String> {
                endpoint.filter.paths.iter().map(ToString::to_string).collect()
            };
            let paths = change.paths.clone().unwrap_or_else(|| texts(endpoint));
            let kinds = change.kinds.clone().unwrap_or_else(|| endpoint.filter.kinds.clone());
            endpoint.filter = EventFilter::new(&paths, &kinds)?;
        }
        if let Some(format) = change.format {
            endpoint.format = format;
        }
        match change.active {
            Some(true) => {
                endpoint.state = EndpointState::Active;
                endpoint.reason.clear();
                endpoint.failing_since_ms = None;
            }
            Some(false) => {
                endpoint.state = EndpointState::Paused;
                endpoint.reason = format!("paused by {}", self.actor.principal);
            }
            None => {}
        }
        Ok(())
    }

    /// Ends a webhook, with all that waits for it.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub fn remove_webhook(&self, id: &str) -> Result<()> {
        const ACTION: &str = "webhook.remove";
        self.own_webhook(ACTION, id)?;
        self.engine.catalog.write(|tx| -> Result<()> {
            tx.remove_endpoint(id)?;
            Ok(self.record_in(tx, ACTION, Verb::Read, id, "", "owner")?)
        })?;
        self.engine.office.endpoints_changed();
        Ok(())
    }

    /// Makes a new secret; the old one signs as well until the overlap ends. The reply has the new one, for the only time.
    /// Without an overlap every older secret ends at once, as where one has leaked.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Invalid`] for more than 30 days; [`delivery::DeliveryError::Overlap`] while the overlap of
    /// the rotation before lasts.
    pub fn rotate_webhook_secret(&self, id: &str, overlap_seconds: Option<u64>) -> Result<WebhookInfo> {
        const ACTION: &str = "webhook.rotate";
        let overlap = overlap_seconds.unwrap_or(DEFAULT_OVERLAP_SECONDS);
        if overlap > MAX_OVERLAP_SECONDS {
            return Err(Error::Invalid {
                field: "overlap_seconds",
                found: overlap.to_string(),
                expected: format!("0 to {MAX_OVERLAP_SECONDS}"),
            });
        }
        let mut endpoint = self.own_webhook(ACTION, id)?;
        let now_ms = self.now_ms();
        let promised =
            endpoint.former.as_ref().map(|(_, until_ms)| *until_ms).filter(|until| *until > now_ms);
        if let Some(until_ms) = promised.filter(|_| overlap > 0) {
            let refused = delivery::DeliveryError::Overlap { until: rfc3339(until_ms) };
            return self.note_failure(ACTION, Verb::Read, id, Err(refused.into()));
        }
        let secret = Secret::generate();
        let sealed = self.engine.keys.close(&purpose(id), secret.bytes());
        let former = std::mem::replace(&mut endpoint.secret, sealed);
        endpoint.former = (overlap > 0).then(|| (former, now_ms + overlap as i64 * 1000));
        self.keep(ACTION, &endpoint)?;
        Ok(WebhookInfo { secret: Some(secret.shown()), ..show(&endpoint) })
    }

    /// Sends a `webhook.ping` now, and says what came back.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub fn ping_webhook(&self, id: &str) -> Result<AttemptInfo> {
        const ACTION: &str = "webhook.ping";
        let endpoint = self.own_webhook(ACTION, id)?;
        self.record(ACTION, Verb::Read, id, "", Outcome::Allowed, "owner")?;
        let attempt = self.engine.ping(&endpoint)?;
        Ok(show_attempt(&attempt))
    }

    /// A webhook's deliveries, newest first; of events that may be read now.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Invalid`] for a cursor that is none.
    pub fn deliveries(
        &self,
        id: &str,
        state: Option<DeliveryState>,
        cursor: Option<&str>,
        limit: usize,
    ) -> Result<DeliveriesPage> {
        let endpoint = self.own_endpoint("webhook.deliveries", id)?;
        let before = cursor.map(|cursor| self.read_delivery(&endpoint, "cursor", cursor)).transpose()?;
        self.record("webhook.deliveries", Verb::Read, id, "", Outcome::Allowed, "owner")?;
        self.engine.office.barrier();
        let mut filter = DeliveryFilter { state, before, ..DeliveryFilter::default() };
        let mut items = Vec::new();
        loop {
            let rows = delivery::deliveries(&self.engine.catalog, id, filter, READ_AT_ONCE)?;
            let n_rows = rows.len();
            for row in rows {
                filter.before = Some(row.seq);
                if let Some(shown) = self.show_delivery(&endpoint, &row)? {
                    items.push(shown);
                }
                if items.len() >= limit.max(1) {
                    let next_cursor = items.last().map(|item: &DeliveryInfo| item.id.clone());
                    return Ok(DeliveriesPage { items, next_cursor });
                }
            }
            if n_rows < READ_AT_ONCE {
                return Ok(DeliveriesPage { items, next_cursor: None });
            }
        }
    }

    fn read_delivery(&self, endpoint: &Endpoint, field: &'static str, shown: &str) -> Result<Seq> {
        self.engine.keys.read_delivery_id(&endpoint.id, shown).ok_or_else(|| Error::Invalid {
            field,
            found: format!("`{}`", shown.chars().take(80).collect::<String>()),
            expected: "the id of a delivery of this webhook".to_owned(),
        })
    }

    fn show_delivery(&self, endpoint: &Endpoint, row: &Delivery) -> Result<Option<DeliveryInfo>> {
        let Some(event) = self.delivered_event(row)? else { return Ok(None) };
        let last = row.log.last();
        let waits = row.state == DeliveryState::Pending && row.attempts > 0 && endpoint.is_active();
        Ok(Some(DeliveryInfo {
            id: self.engine.keys.delivery_id(&row.webhook, row.seq),
            webhook: row.webhook.clone(),
            state: row.state,
            event_id: event.id,
            event: event.event,
            path: event.path,
            attempts: row.attempts,
            next_attempt_at: waits.then(|| rfc3339(row.due_ms)),
            last_status: last.and_then(|attempt| attempt.status),
            last_error: last.and_then(|attempt| attempt.error.clone()),
            log: row.log.iter().map(show_attempt).collect(),
            updated_at: rfc3339(row.updated_ms),
        }))
    }

    fn delivered_event(&self, row: &Delivery) -> Result<Option<EventInfo>> {
        match journal::event_at(&self.engine.catalog, row.seq)? {
            Some(event) => self.show(&event, &self.scope(Verb::Read), &EventFilter::default()),
            None => Ok(None),
        }
    }

    /// Puts one delivery back into the line, to be brought at once with the same id, whatever became of it.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub fn replay_delivery(&self, id: &str, delivery: &str) -> Result<DeliveryInfo> {
        const ACTION: &str = "webhook.replay";
        let endpoint = self.own_endpoint(ACTION, id)?;
        let absent = || Error::NotFound { what: "delivery", name: delivery.chars().take(80).collect() };
        let seq = self.engine.keys.read_delivery_id(id, delivery).ok_or_else(absent)?;
        self.engine.office.barrier();
        let row = delivery::delivery(&self.engine.catalog, id, seq)?.ok_or_else(absent)?;
        if self.show_delivery(&endpoint, &row)?.is_none() {
            return Err(absent());
        }
        let replayed = self.put_back(ACTION, &endpoint, vec![row])?;
        self.show_delivery(&endpoint, &replayed[0])?.ok_or_else(absent)
    }

    /// Puts many back: dead letters, unless another state is asked for. Gives how many; 10,000 at most, the oldest first.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Invalid`] for a bound that is none.
    pub fn replay_deliveries(&self, id: &str, replay: &Replay) -> Result<u64> {
        const ACTION: &str = "webhook.replay";
        let endpoint = self.own_endpoint(ACTION, id)?;
        self.engine.office.barrier();
        let mut filter = DeliveryFilter {
            state: Some(replay.state.unwrap_or(DeliveryState::Dead)),
            before: None,
            from: replay
                .from
                .as_deref()
                .map(|text| self.read_bound("from", text, Rounding::Down))
                .transpose()?,
            to: replay.to.as_deref().map(|text| self.read_bound("to", text, Rounding::Up)).transpose()?,
            order: DeliveryOrder::OldestFirst,
        };
        let mut visible = Vec::new();
        loop {
            let rows = delivery::deliveries(&self.engine.catalog, id, filter, READ_AT_ONCE)?;
            let n_rows = rows.len();
            for row in rows {
                filter.from = Some(Seq(row.seq.0 + 1));
                if visible.len() < MAX_REPLAYED && self.delivered_event(&row)?.is_some() {
                    visible.push(row);
                }
            }
            if n_rows < READ_AT_ONCE || visible.len() >= MAX_REPLAYED {
                break;
            }
        }
        Ok(self.put_back(ACTION, &endpoint, visible)?.len() as u64)
    }

    fn read_bound(&self, field: &'static str, text: &str, rounding: Rounding) -> Result<Seq> {
        match parse_rfc3339(text) {
            Some(at_ms) => Ok(journal::seq_at(&self.engine.catalog, at_ms)?),
            None => self.read_seq(field, text, rounding),
        }
    }

    fn put_back(
        &self,
        action: &'static str,
        endpoint: &Endpoint,
        mut rows: Vec<Delivery>,
    ) -> Result<Vec<Delivery>> {
        let now_ms = self.now_ms();
        for row in &mut rows {
            row.state = DeliveryState::Pending;
            row.attempts = 0;
            row.due_ms = now_ms;
            row.updated_ms = now_ms;
        }
        self.engine.catalog.write(|tx| -> Result<()> {
            rows.iter().try_for_each(|row| tx.put_delivery(row))?;
            Ok(self.record_in(tx, action, Verb::Read, &endpoint.id, "", "owner")?)
        })?;
        let heads: Vec<Head> = rows.iter().map(Delivery::head).collect();
        self.engine.office.replay(&endpoint.id, &heads);
        Ok(rows)
    }
}

/// What a webhook's secret is sealed for.
pub(super) fn purpose(id: &str) -> String {
    format!("secret of {id}")
}

fn check_name(name: &str) -> Result<()> {
    if name.chars().count() <= MAX_NAME && !name.chars().any(char::is_control) {
        return Ok(());
    }
    Err(Error::Invalid {
        field: "name",
        found: format!("{} characters", name.chars().count()),
        expected: format!("at most {MAX_NAME}, none of them a control character"),
    })
}

fn show(endpoint: &Endpoint) -> WebhookInfo {
    let (url, command) = match &endpoint.sink {
        Sink::Url(url) => (Some(url.clone()), None),
        Sink::Command { argv, .. } => (None, Some(argv.clone())),
    };
    WebhookInfo {
        id: endpoint.id.clone(),
        owner: endpoint.owner.clone(),
        name: endpoint.name.clone(),
        url,
        command,
        paths: endpoint.filter.paths.iter().map(ToString::to_string).collect(),
        kinds: endpoint.filter.kinds.clone(),
        format: endpoint.format,
        active: endpoint.is_active(),
        paused_because: endpoint.reason.clone(),
        failing_since: endpoint.failing_since_ms.map(rfc3339),
        former_secret_until: endpoint.former.as_ref().map(|(_, until_ms)| rfc3339(*until_ms)),
        created_at: rfc3339(endpoint.created_ms),
        secret: None,
    }
}

fn show_attempt(attempt: &Attempt) -> AttemptInfo {
    AttemptInfo {
        at: rfc3339(attempt.at_ms),
        status: attempt.status,
        error: attempt.error.clone(),
        answer: attempt.answer.clone(),
        took_ms: attempt.took_ms,
    }
}
