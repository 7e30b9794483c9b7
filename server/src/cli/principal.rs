//! `waypost principal` and `waypost group`: who may act here, and in which groups.

use std::collections::BTreeSet;

use anyhow::Result;
use clap::Subcommand;
use serde::Serialize;
use waypost_engine::api::{PrincipalInfo, Session};

use super::{Globals, Outcome, find, home};
use crate::output::{self, FAINT, STRONG};

/// Said below the flags of `waypost principal add`.
const ADD_EXAMPLES: &str = "Examples:\n  waypost principal add agent:drafter\n  \
                            waypost principal add human:marguerite-holt --name 'Marguerite Holt' --group group:finance";

#[derive(Subcommand)]
#[command(after_help = "Example: waypost principal add agent:drafter")]
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

#[derive(Subcommand)]
#[command(after_help = "Example: waypost group list")]
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

/// A group, as it is listed.
#[derive(Serialize)]
struct Group {
    id: String,
    members: BTreeSet<String>,
}

pub fn run(globals: &Globals, command: &PrincipalCommand) -> Outcome {
    let session = home::owner(globals)?;
    match command {
        PrincipalCommand::List => {
            let mut all = session.principals()?;
            all.retain(|principal| !principal.built_in);
            output::list(globals.json, &all, line)?;
        }
        PrincipalCommand::Add { id, name, groups } => add(globals, &session, id, name.as_deref(), groups)?,
        PrincipalCommand::Show { id } => {
            let all = session.principals()?;
            output::one(globals.json, find(&all, "principal", id, |principal| &principal.id)?, line)?;
        }
        PrincipalCommand::Remove { id } => {
            session.remove_principal(id)?;
            output::done(globals.json, "removed", id)?;
        }
    }
    Ok(0)
}

fn add(globals: &Globals, session: &Session, id: &str, name: Option<&str>, groups: &[String]) -> Result<()> {
    let info = session.put_principal(id, name, groups)?;
    if globals.json {
        return output::json(&info);
    }
    line(&info);
    Ok(())
}

fn line(info: &PrincipalInfo) {
    anstream::println!(
        "{STRONG}{}{STRONG:#}{}  {FAINT}{}{FAINT:#}",
        info.id,
        output::aside(&info.name),
        info.groups.join(", ")
    );
}

pub fn run_group(globals: &Globals, command: &GroupCommand) -> Outcome {
    let session = home::owner(globals)?;
    match command {
        GroupCommand::List => {
            let groups = session.groups()?.into_iter();
            let groups: Vec<Group> = groups.map(|(id, members)| Group { id, members }).collect();
            output::list(globals.json, &groups, group_line)?;
        }
        GroupCommand::Set { id, members } => {
            let group = Group { id: id.clone(), members: members.iter().cloned().collect() };
            session.put_group(&group.id, &group.members)?;
            if globals.json {
                output::json(&group)?;
            } else {
                group_line(&group);
            }
        }
    }
    Ok(0)
}

fn group_line(group: &Group) {
    let members: Vec<&str> = group.members.iter().map(String::as_str).collect();
    let members = if members.is_empty() { "no members".to_owned() } else { members.join(", ") };
    anstream::println!("{STRONG}{}{STRONG:#}  {members}", group.id);
}
