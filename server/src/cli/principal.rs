//! `waypost principal` and `waypost group`: who may act here, and in which groups.

use std::collections::BTreeSet;

use anyhow::Result;
use clap::{Args, Subcommand};
use serde_json::{Value, json};
use waypost_engine::api::{Error, Session};

use super::place::{Ask, At, Place, joined, text};
use super::{Globals, Outcome, find};
use crate::output::{self, FAINT, STRONG};

/// Said below the flags of `waypost principal add`.
const ADD_EXAMPLES: &str = "Examples:\n  waypost principal add agent:drafter\n  \
                            waypost principal add human:marguerite-holt --name 'Marguerite Holt' --group group:finance";

/// Said below the list of commands of `waypost principal`.
const EXAMPLES: &str = "Examples:\n  waypost principal add agent:drafter\n  \
                        waypost principal list --url http://127.0.0.1:7077 --token wp_…";

#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub struct PrincipalArgs {
    #[command(flatten)]
    at: At,
    #[command(subcommand)]
    command: PrincipalCommand,
}

#[derive(Subcommand)]
pub enum PrincipalCommand {
    /// All principals but the home's owner, who is always there
    #[command(after_help = "Example: waypost principal list")]
    List,
    /// Make a principal known, or give a known one another name or more groups
    #[command(after_help = ADD_EXAMPLES)]
    Add {
        /// `agent:NAME`, `human:NAME` or `service:NAME`
        id: String,
        /// For people
        #[arg(long)]
        name: Option<String>,
        /// A group that it is in as well, `group:NAME`; may be given several times
        #[arg(long = "group", value_name = "GROUP")]
        groups: Vec<String>,
    },
    /// One principal
    #[command(after_help = "Example: waypost principal show agent:marketing-writer")]
    Show {
        /// Whom
        id: String,
    },
    /// Forget a principal; its tokens are revoked, its grants go
    #[command(after_help = "Example: waypost principal remove agent:drafter")]
    Remove {
        /// Whom
        id: String,
    },
}

/// Said below the flags of `waypost group set`.
const SET_EXAMPLE: &str =
    "Example: waypost group set group:marketing agent:marketing-writer agent:translator-de";

#[derive(Args)]
#[command(after_help = "Example: waypost group list")]
pub struct GroupArgs {
    #[command(flatten)]
    at: At,
    #[command(subcommand)]
    command: GroupCommand,
}

#[derive(Subcommand)]
pub enum GroupCommand {
    /// All groups with their members
    #[command(after_help = "Example: waypost group list")]
    List,
    /// Set a group's members; without any the group goes
    #[command(after_help = SET_EXAMPLE)]
    Set {
        /// `group:NAME`
        id: String,
        /// Principals
        #[arg(value_name = "MEMBER")]
        members: Vec<String>,
    },
}

pub fn run(globals: &Globals, args: &PrincipalArgs) -> Outcome {
    let place = args.at.place(globals)?;
    match &args.command {
        PrincipalCommand::List => {
            let mut all = place.all(Session::principals, Ask::get(&["principals"]))?;
            all.retain(|principal| principal["built_in"] != true);
            output::list(globals.json, &all, line)?;
        }
        PrincipalCommand::Add { id, name, groups } => {
            output::one(globals.json, &add(&place, id, name.as_deref(), groups)?, line)?;
        }
        PrincipalCommand::Show { id } => {
            let at_home = |session: &Session| {
                find(&session.principals()?, "principal", id, |principal| &principal.id).cloned()
            };
            output::one(globals.json, &place.one(at_home, Ask::get(&["principals", id]))?, line)?;
        }
        PrincipalCommand::Remove { id } => {
            place.one(|session| session.remove_principal(id), Ask::delete(&["principals", id]))?;
            output::done(globals.json, "removed", id)?;
        }
    }
    Ok(0)
}

fn add(place: &Place, id: &str, name: Option<&str>, groups: &[String]) -> Result<Value> {
    let body = json!({"id": id, "name": name.unwrap_or_default(), "groups": groups});
    place.one(|session| session.put_principal(id, name, groups), Ask::post(&["principals"], body))
}

fn line(info: &Value) {
    out!(
        "{STRONG}{}{STRONG:#}{}  {FAINT}{}{FAINT:#}",
        output::safe(text(info, "id")),
        output::aside(text(info, "name")),
        output::safe(&joined(info, "groups", ", "))
    );
}

pub fn run_group(globals: &Globals, args: &GroupArgs) -> Outcome {
    let place = args.at.place(globals)?;
    match &args.command {
        GroupCommand::List => {
            output::list(globals.json, &place.all(groups, Ask::get(&["groups"]))?, group_line)?;
        }
        GroupCommand::Set { id, members } => {
            let members: BTreeSet<String> = members.iter().cloned().collect();
            let at_home = |session: &Session| session.put_group(id, &members).map(|()| group(id, &members));
            let ask = Ask::put(&["groups", id], json!({"members": members}));
            output::one(globals.json, &place.one(at_home, ask)?, group_line)?;
        }
    }
    Ok(0)
}

fn groups(session: &Session) -> Result<Vec<Value>, Error> {
    Ok(session.groups()?.iter().map(|(id, members)| group(id, members)).collect())
}

/// As it is listed.
fn group(id: &str, members: &BTreeSet<String>) -> Value {
    json!({"id": id, "members": members})
}

fn group_line(group: &Value) {
    let members = match joined(group, "members", ", ") {
        members if members.is_empty() => "no members".to_owned(),
        members => members,
    };
    out!("{STRONG}{}{STRONG:#}  {}", output::safe(text(group, "id")), output::safe(&members));
}
