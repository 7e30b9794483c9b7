//! `waypost token`: the secrets by which principals are known.

use std::collections::BTreeSet;

use anyhow::Result;
use clap::{Args, Subcommand};
use serde_json::{Value, json};
use waypost_engine::access::{ADMIN, AccessError, Limits, NewToken, Verb};
use waypost_engine::api::{Error, Session};
use waypost_engine::clock::{Clock, parse_rfc3339, rfc3339};
use waypost_engine::pattern::Pattern;

use super::place::{Ask, At, Place, text};
use super::{Globals, Outcome, find};
use crate::output::{self, BAD, FAINT, STRONG};

/// Said below the list of commands.
const EXAMPLES: &str = "Examples:\n  waypost token add --principal agent:researcher --expires 30d\n  \
                        waypost token list --url http://127.0.0.1:7077 --token wp_…";

#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub struct TokenArgs {
    #[command(flatten)]
    at: At,
    #[command(subcommand)]
    command: TokenCommand,
}

#[derive(Subcommand)]
pub enum TokenCommand {
    /// All tokens, without their secrets
    #[command(after_help = "Example: waypost token list")]
    List,
    /// Make a token; it is shown once
    Add(AddArgs),
    /// One token, without its secret
    #[command(after_help = "Example: waypost token show 8c1f…")]
    Show {
        /// Its public part: `ID` in `wp_ID_SECRET`
        id: String,
    },
    /// End a token, at once and everywhere
    #[command(visible_alias = "remove")]
    #[command(after_help = "Example: waypost token revoke 8c1f…")]
    Revoke {
        /// Its public part: `ID` in `wp_ID_SECRET`
        id: String,
    },
}

#[derive(Args)]
#[command(after_help = "Example: waypost token add --principal agent:researcher --expires 30d --verb read")]
pub struct AddArgs {
    /// Whose
    #[arg(long, value_name = "PRINCIPAL", default_value = ADMIN)]
    principal: String,
    /// For people
    #[arg(long)]
    name: Option<String>,
    /// When it runs out: `30d` or `12h` from now, or a time such as `2026-12-31T00:00:00Z`; else it does not
    #[arg(long, value_name = "TIME", value_parser = parse_expiry)]
    expires: Option<i64>,
    /// Only this of what its principal may do; may be given several times
    #[arg(long = "verb", value_name = "VERB")]
    verbs: Vec<Verb>,
    /// Only below this pattern, such as `/docs/**`; may be given several times
    #[arg(long = "path", value_name = "PATTERN")]
    paths: Vec<String>,
}

pub fn run(globals: &Globals, args: &TokenArgs) -> Outcome {
    let place = args.at.place(globals)?;
    match &args.command {
        TokenCommand::List => {
            let tokens = place.all(Session::tokens, Ask::get(&["tokens"]))?;
            output::list(globals.json, &tokens, line)?;
        }
        TokenCommand::Add(args) => add(globals, &place, args)?,
        TokenCommand::Show { id } => {
            let at_home =
                |session: &Session| find(&session.tokens()?, "token", id, |token| &token.id).cloned();
            output::one(globals.json, &place.one(at_home, Ask::get(&["tokens", id]))?, line)?;
        }
        TokenCommand::Revoke { id } => {
            place.one(|session| session.revoke_token(id), Ask::delete(&["tokens", id]))?;
            output::done(globals.json, "revoked", id)?;
        }
    }
    Ok(0)
}

fn add(globals: &Globals, place: &Place, args: &AddArgs) -> Result<()> {
    let new = NewToken {
        principal: args.principal.clone(),
        name: args.name.clone().unwrap_or_default(),
        expires_ms: args.expires,
        limits: args.limits()?,
    };
    let body = json!({
        "principal": new.principal, "name": new.name, "expires_at": new.expires_ms.map(rfc3339),
        "verbs": new.limits.verbs, "paths": new.limits.paths,
    });
    let issued = place.one(|session| session.issue_token(&new), Ask::post(&["tokens"], body))?;
    if globals.json {
        return output::json(&issued);
    }
    out!("{}", text(&issued, "token"));
    Ok(())
}

impl AddArgs {
    fn limits(&self) -> Result<Limits, Error> {
        let verbs: BTreeSet<Verb> = self.verbs.iter().copied().collect();
        let paths = self.paths.iter().map(|text| Pattern::path(text)).collect::<Result<Vec<_>, _>>();
        let paths = paths.map_err(AccessError::from)?;
        Ok(Limits {
            verbs: (!verbs.is_empty()).then_some(verbs),
            paths: (!paths.is_empty()).then_some(paths),
        })
    }
}

fn line(token: &Value) {
    let is_over = |at: &str| parse_rfc3339(at).is_some_and(|at_ms| at_ms <= Clock::System.now_ms());
    let state = match (token["revoked_at"].as_str(), token["expires_at"].as_str()) {
        (Some(at), _) => format!("{BAD}revoked {at}{BAD:#}"),
        (None, Some(at)) if is_over(at) => format!("{BAD}ran out {at}{BAD:#}"),
        (None, Some(at)) => format!("until {at}"),
        (None, None) => "does not run out".to_owned(),
    };
    let used =
        token["last_used_at"].as_str().map_or_else(|| "never used".to_owned(), |at| format!("used {at}"));
    out!(
        "{STRONG}{}{STRONG:#}  {}{}  {state}{}  {FAINT}{used}{FAINT:#}",
        output::safe(text(token, "id")),
        output::safe(text(token, "principal")),
        output::aside(text(token, "name")),
        narrowed(&token["limits"])
    );
}

fn narrowed(limits: &Value) -> String {
    let listed = |name: &str, before: &str| {
        let items = limits[name].as_array()?.iter().filter_map(Value::as_str).map(output::safe);
        Some(format!("  {before} {}", items.collect::<Vec<_>>().join(", ")))
    };
    listed("verbs", "only").into_iter().chain(listed("paths", "on")).collect()
}

/// When something ends, in milliseconds since 1970: a time, or a length from now.
fn parse_expiry(text: &str) -> Result<i64, String> {
    let now_ms = Clock::System.now_ms();
    let Some(at_ms) = parse_rfc3339(text) else {
        return Ok(now_ms.saturating_add(parse_ttl(text)?));
    };
    if at_ms > now_ms { Ok(at_ms) } else { Err("that time is over: expected one to come".to_owned()) }
}

/// A length of time in milliseconds: a whole number above 0 and `s`, `m`, `h`, `d` or `w`.
fn parse_ttl(text: &str) -> Result<i64, String> {
    let refuse = || "expected a length such as `30d` or `12h`, or a time such as `2026-12-31`".to_owned();
    let unit_ms: i64 = match text.chars().last() {
        Some('s') => 1000,
        Some('m') => 60 * 1000,
        Some('h') => 3600 * 1000,
        Some('d') => 24 * 3600 * 1000,
        Some('w') => 7 * 24 * 3600 * 1000,
        _ => return Err(refuse()),
    };
    let digits = &text[..text.len() - 1];
    let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    let count: Option<i64> = is_number.then(|| digits.parse().ok()).flatten();
    count.and_then(|count| count.checked_mul(unit_ms)).filter(|ttl_ms| *ttl_ms > 0).ok_or_else(refuse)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_of_time_are_read_strictly() {
        for (text, expected) in
            [("30d", 2_592_000_000), ("12h", 43_200_000), ("90s", 90_000), ("1w", 604_800_000)]
        {
            assert_eq!(parse_ttl(text), Ok(expected), "{text}");
        }
        for text in
            ["", "d", "0d", "-1d", "+1d", "1.5h", "1 d", "12", "1y", "1dd", "1é", "9223372036854775807d"]
        {
            assert!(parse_ttl(text).is_err(), "{text:?} was accepted");
        }
    }

    #[test]
    fn an_expiry_lies_ahead() {
        assert!(parse_expiry("2001-01-01T00:00:00Z").is_err());
        assert!(parse_expiry("2001-01-01").is_err());
        assert_eq!(parse_expiry("9000-01-01T00:00:00Z"), Ok(221_845_392_000_000));
        assert!(parse_expiry("1h").is_ok_and(|at_ms| at_ms > Clock::System.now_ms()));
    }
}
