//! `waypost webhook`: who is told of what happens, and what became of it.

use clap::Subcommand;
use waypost_engine::api::{
    DeliveryInfo, DeliveryState, Format, NewWebhook, Replay, Session, WebhookChange, WebhookInfo,
};

use super::{Globals, NOTHING, Outcome, home};
use crate::output::{self, BAD, FAINT, GOOD, STRONG};

/// Deliveries listed where nothing else is asked.
const DEFAULT_DELIVERIES: usize = 20;

/// Said below the flags of `waypost webhook add`.
const ADD_EXAMPLE: &str =
    "Example: waypost webhook add https://agent-b.example/wake --path '/outputs/**' --kind file.created";

/// Said below the flags of `waypost webhook replay`.
const REPLAY_EXAMPLES: &str = "Examples:\n  waypost webhook replay wh_…\n  \
                               waypost webhook replay wh_… --from 2026-03-01T00:00:00Z";

#[derive(Subcommand)]
#[command(after_help = "Example: waypost webhook deliveries wh_… --state dead")]
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
        /// So long the old one signs as well; a day where it is missing
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

pub fn run(globals: &Globals, command: &WebhookCommand) -> Outcome {
    let session = home::owner(globals)?;
    let json = globals.json;
    match command {
        WebhookCommand::List => output::list(json, &session.webhooks()?, line)?,
        WebhookCommand::Show { id } => show(json, &session.webhook(id)?)?,
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
            show(json, &session.create_webhook(&new)?)?;
        }
        WebhookCommand::Pause { id } => {
            let change = WebhookChange { active: Some(false), ..WebhookChange::default() };
            show(json, &session.change_webhook(id, &change)?)?;
        }
        WebhookCommand::Resume { id, skip_backlog } => {
            let change =
                WebhookChange { active: Some(true), skip_backlog: *skip_backlog, ..WebhookChange::default() };
            show(json, &session.change_webhook(id, &change)?)?;
        }
        WebhookCommand::Remove { id } => {
            session.remove_webhook(id)?;
            output::done(json, "removed", id)?;
        }
        WebhookCommand::Rotate { id, overlap } => show(json, &session.rotate_webhook_secret(id, *overlap)?)?,
        WebhookCommand::Ping { id } => return ping(json, &session, id),
        WebhookCommand::Deliveries { id, state, limit } => {
            let page = session.deliveries(id, *state, None, *limit)?;
            output::list(json, &page.items, delivery_line)?;
        }
        WebhookCommand::Replay { id, delivery: Some(delivery), .. } => {
            session.replay_delivery(id, delivery)?;
            output::done(json, "replayed", delivery)?;
        }
        WebhookCommand::Replay { id, delivery: None, from, to } => {
            let replay = Replay { from: from.clone(), to: to.clone(), state: None };
            let replayed = session.replay_deliveries(id, &replay)?;
            if json {
                output::json(&serde_json::json!({"replayed": replayed}))?;
            } else {
                anstream::println!("{replayed} put back; they are brought while the server runs");
            }
        }
    }
    Ok(0)
}

fn ping(json: bool, session: &Session, id: &str) -> Outcome {
    let attempt = session.ping_webhook(id)?;
    let arrived = attempt.status.is_some_and(|status| (200..300).contains(&status));
    if json {
        output::json(&attempt)?;
    } else {
        let said = match (&attempt.status, &attempt.error) {
            (Some(status), _) => status.to_string(),
            (None, error) => output::safe(error.as_deref().unwrap_or("nothing")),
        };
        anstream::println!("answered {said} after {} ms", attempt.took_ms);
    }
    Ok(if arrived { 0 } else { NOTHING })
}

fn show(json: bool, webhook: &WebhookInfo) -> anyhow::Result<()> {
    if json {
        return output::json(webhook);
    }
    line(webhook);
    if let Some(secret) = &webhook.secret {
        anstream::println!("secret, shown once: {secret}");
    }
    Ok(())
}

fn line(webhook: &WebhookInfo) {
    let target = match (&webhook.url, &webhook.command) {
        (Some(url), _) => url.clone(),
        (None, command) => command.as_ref().map(|argv| argv.join(" ")).unwrap_or_default(),
    };
    let some = |list: &[String]| if list.is_empty() { "everything".to_owned() } else { list.join(", ") };
    let state = if webhook.active { "active" } else { webhook.paused_because.as_str() };
    anstream::println!(
        "{STRONG}{}{STRONG:#}  {}  {} on {}  {FAINT}{}, {}{}{FAINT:#}",
        webhook.id,
        output::safe(&target),
        some(&webhook.kinds),
        output::safe(&some(&webhook.paths)),
        output::safe(&webhook.owner),
        output::safe(state),
        output::aside(&webhook.name)
    );
}

fn delivery_line(delivery: &DeliveryInfo) {
    let state = match delivery.state {
        DeliveryState::Delivered => format!("{GOOD}delivered{GOOD:#}"),
        DeliveryState::Dead => format!("{BAD}dead{BAD:#}"),
        DeliveryState::Pending => "pending".to_owned(),
    };
    let last = match (delivery.last_status, &delivery.last_error) {
        (Some(status), _) => status.to_string(),
        (None, error) => error.clone().unwrap_or_default(),
    };
    anstream::println!(
        "{}  {state}  {} {}  {FAINT}{} attempts, {}  {}{FAINT:#}",
        delivery.updated_at,
        delivery.event,
        output::safe(&delivery.path),
        delivery.attempts,
        output::safe(&last),
        delivery.id
    );
}
