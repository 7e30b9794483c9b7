//! `waypost webhook`: who is told of what happens, and what became of it.

use anyhow::Result;
use clap::{Args, Subcommand};
use serde_json::{Value, json};
use waypost_engine::api::{DeliveryState, Format, NewWebhook, Replay, Session, WebhookChange};

use super::place::{Ask, At, Place, text};
use super::{Globals, NOTHING, Outcome};
use crate::output::{self, BAD, FAINT, GOOD, STRONG};

/// Deliveries listed where nothing else is asked.
const DEFAULT_DELIVERIES: usize = 20;

/// Said below the flags of `waypost webhook add`.
const ADD_EXAMPLE: &str =
    "Example: waypost webhook add https://agent-b.example/wake --path '/outputs/**' --kind file.created";

/// Said below the flags of `waypost webhook replay`.
const REPLAY_EXAMPLES: &str = "Examples:\n  waypost webhook replay wh_…\n  \
                               waypost webhook replay wh_… --from 2026-03-01T00:00:00Z";

/// Said below the list of commands.
const EXAMPLES: &str = "Examples:\n  waypost webhook deliveries wh_… --state dead\n  \
                        waypost webhook list --url http://127.0.0.1:7077 --token wp_…";

#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub struct WebhookArgs {
    #[command(flatten)]
    at: At,
    #[command(subcommand)]
    command: WebhookCommand,
}

#[derive(Subcommand)]
pub enum WebhookCommand {
    /// All webhooks
    #[command(after_help = "Example: waypost webhook list")]
    List,
    /// One webhook
    #[command(after_help = "Example: waypost webhook show wh_…")]
    Show {
        /// `wh_…`
        id: String,
    },
    /// Make a webhook; its secret is shown once
    #[command(after_help = ADD_EXAMPLE)]
    Add {
        /// Where events are posted
        url: String,
        /// Only of these paths, such as `/outputs/research/**`; may be given several times
        #[arg(long = "path", value_name = "PATTERN")]
        paths: Vec<String>,
        /// Only of these kinds, such as `file.created` or `task.*`; may be given several times
        #[arg(long = "kind", value_name = "KIND")]
        kinds: Vec<String>,
        /// For people
        #[arg(long, default_value = "")]
        name: String,
        /// Send CloudEvents 1.0
        #[arg(long)]
        cloudevents: bool,
        /// Begin with everything that has happened, not only with what comes
        #[arg(long)]
        from_start: bool,
    },
    /// Keep events back until it is resumed
    #[command(after_help = "Example: waypost webhook pause wh_…")]
    Pause {
        /// `wh_…`
        id: String,
    },
    /// Bring events again, with those that came meanwhile
    #[command(after_help = "Example: waypost webhook resume wh_… --skip-backlog")]
    Resume {
        /// `wh_…`
        id: String,
        /// Forget what came meanwhile
        #[arg(long)]
        skip_backlog: bool,
    },
    /// End a webhook
    #[command(after_help = "Example: waypost webhook remove wh_…")]
    Remove {
        /// `wh_…`
        id: String,
    },
    /// Make a new secret, shown once
    #[command(after_help = "Example: waypost webhook rotate wh_… --overlap 3600")]
    Rotate {
        /// `wh_…`
        id: String,
        /// So long the old one signs as well; a day where it is missing, `0` ends it at once
        #[arg(long, value_name = "SECONDS")]
        overlap: Option<u64>,
    },
    /// Send a test now
    #[command(after_help = "Example: waypost webhook ping wh_…")]
    Ping {
        /// `wh_…`
        id: String,
    },
    /// What arrived and what did not, newest first
    #[command(after_help = "Example: waypost webhook deliveries wh_… --state dead")]
    Deliveries {
        /// `wh_…`
        id: String,
        /// Only in this state: pending, delivered, dead
        #[arg(long, value_parser = read_state)]
        state: Option<DeliveryState>,
        /// So many
        #[arg(long, default_value_t = DEFAULT_DELIVERIES)]
        limit: usize,
    },
    /// Bring one delivery again, or, without one, every dead letter
    #[command(after_help = REPLAY_EXAMPLES)]
    Replay {
        /// `wh_…`
        id: String,
        /// `dl_…`
        delivery: Option<String>,
        /// From this time or `seq` on
        #[arg(long, conflicts_with = "delivery")]
        from: Option<String>,
        /// Up to this time or `seq`
        #[arg(long, conflicts_with = "delivery")]
        to: Option<String>,
    },
}

fn read_state(text: &str) -> Result<DeliveryState, String> {
    DeliveryState::read(text).ok_or_else(|| "expected pending, delivered or dead".to_owned())
}

pub fn run(globals: &Globals, args: &WebhookArgs) -> Outcome {
    let place = args.at.place(globals)?;
    let json = globals.json;
    match &args.command {
        WebhookCommand::List => {
            output::list(json, &place.all(Session::webhooks, Ask::get(&["webhooks"]))?, line)?;
        }
        WebhookCommand::Show { id } => {
            show(json, &place.one(|session| session.webhook(id), Ask::get(&["webhooks", id]))?)?;
        }
        WebhookCommand::Add { url, paths, kinds, name, cloudevents, from_start } => {
            let new = NewWebhook {
                url: url.clone(),
                name: name.clone(),
                paths: paths.clone(),
                kinds: kinds.clone(),
                format: if *cloudevents { Format::CloudEvents } else { Format::Standard },
                secret: None,
                after: from_start.then(|| "start".to_owned()),
            };
            let body = json!({
                "url": new.url, "name": new.name, "paths": new.paths, "kinds": new.kinds, "format": new.format,
                "after": new.after,
            });
            let ask = Ask::post(&["webhooks"], body);
            show(json, &place.one(|session| session.create_webhook(&new), ask)?)?;
        }
        WebhookCommand::Pause { id } => show(json, &switch(&place, id, false, false)?)?,
        WebhookCommand::Resume { id, skip_backlog } => show(json, &switch(&place, id, true, *skip_backlog)?)?,
        WebhookCommand::Remove { id } => {
            place.one(|session| session.remove_webhook(id), Ask::delete(&["webhooks", id]))?;
            output::done(json, "removed", id)?;
        }
        WebhookCommand::Rotate { id, overlap } => {
            let ask = Ask::post(&["webhooks", id, "rotate"], json!({"overlap_seconds": overlap}));
            show(json, &place.one(|session| session.rotate_webhook_secret(id, *overlap), ask)?)?;
        }
        WebhookCommand::Ping { id } => {
            let ask = Ask::post(&["webhooks", id, "ping"], json!({}));
            return ping(json, &place.one(|session| session.ping_webhook(id), ask)?);
        }
        WebhookCommand::Deliveries { id, state, limit } => {
            let at_home = |session: &Session| session.deliveries(id, *state, None, *limit);
            let ask = Ask::get(&["webhooks", id, "deliveries"])
                .with("state", state.map(DeliveryState::as_str))
                .with("limit", Some(&limit.to_string()));
            let page = place.one(|session| at_home(session).map(|page| json!({"items": page.items})), ask)?;
            output::list(
                json,
                page["items"].as_array().map(Vec::as_slice).unwrap_or_default(),
                delivery_line,
            )?;
        }
        WebhookCommand::Replay { id, delivery: Some(delivery), .. } => {
            let ask = Ask::post(&["webhooks", id, "deliveries", delivery, "replay"], json!({}));
            place.one(|session| session.replay_delivery(id, delivery).map(drop), ask)?;
            output::done(json, "replayed", delivery)?;
        }
        WebhookCommand::Replay { id, delivery: None, from, to } => {
            let replay = Replay { from: from.clone(), to: to.clone(), state: None };
            let at_home = |session: &Session| session.replay_deliveries(id, &replay);
            let ask = Ask::post(&["webhooks", id, "replay"], json!({"from": from, "to": to}));
            let told = place.one(|session| at_home(session).map(|n| json!({"replayed": n})), ask)?;
            if json {
                output::json(&json!({"replayed": told["replayed"]}))?;
            } else {
                out!("{} put back; they are brought while the server runs", told["replayed"]);
            }
        }
    }
    Ok(0)
}

fn switch(place: &Place, id: &str, active: bool, skip_backlog: bool) -> Result<Value> {
    let change = WebhookChange { active: Some(active), skip_backlog, ..WebhookChange::default() };
    let ask = Ask::patch(&["webhooks", id], json!({"active": active, "skip_backlog": skip_backlog}));
    place.one(|session| session.change_webhook(id, &change), ask)
}

fn ping(json: bool, attempt: &Value) -> Outcome {
    let status = attempt["status"].as_i64();
    if json {
        output::json(attempt)?;
    } else {
        let said = match (status, attempt["error"].as_str()) {
            (Some(status), _) => status.to_string(),
            (None, error) => output::safe(error.unwrap_or("nothing")),
        };
        out!("answered {said} after {} ms", attempt["took_ms"]);
    }
    Ok(if status.is_some_and(|status| (200..300).contains(&status)) { 0 } else { NOTHING })
}

fn show(json: bool, webhook: &Value) -> Result<()> {
    if json {
        return output::json(webhook);
    }
    line(webhook);
    if let Some(secret) = webhook["secret"].as_str() {
        out!("secret, shown once: {secret}");
    }
    Ok(())
}

fn line(webhook: &Value) {
    let listed = |name: &str, between: &str| {
        let items = webhook[name].as_array().into_iter().flatten().filter_map(Value::as_str);
        items.collect::<Vec<_>>().join(between)
    };
    let some = |list: String| if list.is_empty() { "everything".to_owned() } else { list };
    let target = webhook["url"].as_str().map_or_else(|| listed("command", " "), str::to_owned);
    let is_active = webhook["active"].as_bool().unwrap_or_default();
    let state = if is_active { "active" } else { text(webhook, "paused_because") };
    out!(
        "{STRONG}{}{STRONG:#}  {}  {} on {}  {FAINT}{}, {}{}{FAINT:#}",
        output::safe(text(webhook, "id")),
        output::safe(&target),
        some(listed("kinds", ", ")),
        output::safe(&some(listed("paths", ", "))),
        output::safe(text(webhook, "owner")),
        output::safe(state),
        output::aside(text(webhook, "name"))
    );
}

fn delivery_line(delivery: &Value) {
    let state = match text(delivery, "state") {
        "delivered" => format!("{GOOD}delivered{GOOD:#}"),
        "dead" => format!("{BAD}dead{BAD:#}"),
        other => other.to_owned(),
    };
    let last = match delivery["last_status"].as_i64() {
        Some(status) => status.to_string(),
        None => text(delivery, "last_error").to_owned(),
    };
    out!(
        "{}  {state}  {} {}  {FAINT}{} attempts, {}  {}{FAINT:#}",
        output::safe(text(delivery, "updated_at")),
        output::safe(text(delivery, "event")),
        output::safe(text(delivery, "path")),
        delivery["attempts"],
        output::safe(&last),
        output::safe(text(delivery, "id"))
    );
}
