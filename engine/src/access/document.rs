//! A policy as a TOML file: read, compared with what holds, and made to hold.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::policy::{Effect, Gate, Grant, Kind, Policy, Target, Verb, check_group, kind_of};
use super::{ADMIN, AccessError};
use crate::catalog::Tx;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    #[serde(default)]
    principal: Vec<PrincipalEntry>,
    #[serde(default)]
    group: Vec<GroupEntry>,
    #[serde(default)]
    grant: Vec<GrantEntry>,
    #[serde(default)]
    gate: Vec<GateEntry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PrincipalEntry {
    id: String,
    kind: Option<Kind>,
    #[serde(default)]
    name: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct GroupEntry {
    id: String,
    members: BTreeSet<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct GrantEntry {
    to: String,
    path: Option<OneOrMany>,
    tool: Option<OneOrMany>,
    agent: Option<OneOrMany>,
    verbs: BTreeSet<Verb>,
    effect: Option<Effect>,
    #[serde(default)]
    arguments: BTreeMap<String, OneOrMany>,
    #[serde(default)]
    note: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct GateEntry {
    path: String,
    #[serde(default)]
    verbs: BTreeSet<Verb>,
    #[serde(default)]
    note: String,
}

/// One text, or several: patterns are written either way.
#[derive(Debug, Clone, Deserialize, schemars::JsonSchema)]
#[serde(untagged)]
pub enum OneOrMany {
    /// One.
    One(String),
    /// Several.
    Many(Vec<String>),
}

impl OneOrMany {
    /// As a list.
    pub fn list(self) -> Vec<String> {
        match self {
            Self::One(text) => vec![text],
            Self::Many(texts) => texts,
        }
    }
}

/// Reads a policy file. Every name is checked; a grant to somebody that the file does not name is an error.
///
/// # Errors
/// [`AccessError::Document`] with line and column; [`AccessError::Pattern`], [`AccessError::Invalid`],
/// [`AccessError::NotFound`] for what it says.
pub fn read_policy(text: &str) -> Result<Policy, AccessError> {
    let document: Document =
        toml::from_str(text).map_err(|error| AccessError::Document(error.to_string().trim().to_owned()))?;
    let mut policy = Policy::default();
    for entry in document.principal {
        let kind = kind_of(&entry.id)?;
        if entry.kind.is_some_and(|given| given != kind) {
            return Err(AccessError::invalid("kind", &entry.id, "the kind that the id begins with"));
        }
        if entry.id != ADMIN {
            policy.principals.insert(entry.id, entry.name);
        }
    }
    for entry in document.group {
        check_group(&entry.id)?;
        if let Some(stranger) = entry.members.iter().find(|id| !policy.principals.contains_key(*id)) {
            return Err(AccessError::NotFound { what: "principal", id: stranger.clone() });
        }
        policy.groups.insert(entry.id, entry.members);
    }
    for entry in document.grant {
        let grant = read_grant(entry)?;
        if !policy.principals.contains_key(&grant.to) && !policy.groups.contains_key(&grant.to) {
            return Err(AccessError::NotFound { what: "principal or group", id: grant.to });
        }
        policy.grants.push(grant);
    }
    for entry in document.gate {
        policy.gates.push(Gate::new(&entry.path, entry.verbs, &entry.note)?);
    }
    policy.grants.sort_by(|a, b| a.id.cmp(&b.id));
    policy.grants.dedup_by(|a, b| a.id == b.id);
    policy.gates.sort_by(|a, b| a.id.cmp(&b.id));
    policy.gates.dedup_by(|a, b| a.id == b.id);
    Ok(policy)
}

/// Whether a policy file that can be read names nobody, allows nothing and has no gate: more often a file that was lost on the way than
/// one that is meant.
pub fn says_nothing(text: &str) -> bool {
    toml::from_str(text).is_ok_and(|document: Document| {
        let Document { principal, group, grant, gate } = document;
        principal.is_empty() && group.is_empty() && grant.is_empty() && gate.is_empty()
    })
}

fn read_grant(entry: GrantEntry) -> Result<Grant, AccessError> {
    let mut targets = [(Target::Path, entry.path), (Target::Tool, entry.tool), (Target::Agent, entry.agent)]
        .into_iter()
        .filter_map(|(target, patterns)| Some((target, patterns?.list())));
    let (Some((target, patterns)), None) = (targets.next(), targets.next()) else {
        return Err(AccessError::invalid("grant", &entry.to, "exactly one of path, tool, agent"));
    };
    let effect = entry.effect.unwrap_or(Effect::Allow);
    let arguments = entry.arguments.into_iter().map(|(name, patterns)| (name, patterns.list())).collect();
    Grant::new(&entry.to, target, &patterns, entry.verbs, effect, &entry.note)?.with_arguments(&arguments)
}

/// What would change, one line each, as people read it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, schemars::JsonSchema)]
pub struct PolicyDiff {
    /// Comes.
    pub added: Vec<String>,
    /// Goes.
    pub removed: Vec<String>,
}

impl PolicyDiff {
    /// Whether nothing would change.
    pub fn is_empty(&self) -> bool {
        self.added.is_empty() && self.removed.is_empty()
    }
}

/// Compares what holds with what shall hold.
pub fn diff(now: &Policy, then: &Policy) -> PolicyDiff {
    let (now, then) = (lines(now), lines(then));
    let only = |a: &BTreeMap<String, String>, b: &BTreeMap<String, String>| {
        a.iter().filter(|(key, line)| b.get(*key) != Some(line)).map(|(_, line)| line.clone()).collect()
    };
    PolicyDiff { added: only(&then, &now), removed: only(&now, &then) }
}

fn lines(policy: &Policy) -> BTreeMap<String, String> {
    let mut lines = BTreeMap::new();
    for (id, name) in &policy.principals {
        lines.insert(format!("1 {id}"), format!("principal {id}{}", noted(name)));
    }
    for (id, members) in &policy.groups {
        let members: Vec<&str> = members.iter().map(String::as_str).collect();
        lines.insert(format!("2 {id}"), format!("group {id}: {}", members.join(", ")));
    }
    for grant in &policy.grants {
        lines.insert(format!("3 {}", grant.id), describe(grant));
    }
    for gate in &policy.gates {
        let verbs: Vec<&str> = gate.verbs.iter().map(|verb| verb.as_str()).collect();
        lines.insert(
            format!("4 {}", gate.id),
            format!("gate {} before {}{}", gate.pattern, verbs.join(", "), noted(&gate.note)),
        );
    }
    lines
}

/// One grant as a sentence: `group:finance allow read, list on path /finance/**`, and for calls of tools
/// `… deny call on tool git.push where branch is main or release/*`.
pub fn describe(grant: &Grant) -> String {
    let verbs: Vec<&str> = grant.verbs.iter().map(|verb| verb.as_str()).collect();
    let patterns: Vec<&str> = grant.patterns.iter().map(|pattern| pattern.as_str()).collect();
    let effect = if grant.effect == Effect::Allow { "allow" } else { "deny" };
    let target = match grant.target {
        Target::Path => "path",
        Target::Tool => "tool",
        Target::Agent => "agent",
    };
    let arguments =
        if grant.arguments.is_empty() { String::new() } else { format!(" where {}", grant.arguments) };
    format!(
        "{} {effect} {} on {target} {}{arguments}{}",
        grant.to,
        verbs.join(", "),
        patterns.join(", "),
        noted(&grant.note)
    )
}

fn noted(note: &str) -> String {
    if note.is_empty() { String::new() } else { format!(" ({note})") }
}

impl Tx<'_> {
    /// Makes a policy hold, and nothing else; with `keep` nothing that holds is taken away. Tokens of principals that
    /// go are revoked.
    ///
    /// # Errors
    /// [`AccessError`].
    pub fn apply_policy(&self, then: &Policy, keep: bool, now_ms: i64) -> Result<PolicyDiff, AccessError> {
        let now = self.policy()?;
        let mut diff = diff(&now, then);
        if keep {
            diff.removed.clear();
        } else {
            for grant in now.grants.iter().filter(|grant| !then.grants.iter().any(|new| new.id == grant.id)) {
                self.remove_grant(&grant.id)?;
            }
            for gate in now.gates.iter().filter(|gate| !then.gates.iter().any(|new| new.id == gate.id)) {
                self.remove_gate(&gate.id)?;
            }
            for group in now.groups.keys().filter(|group| !then.groups.contains_key(*group)) {
                self.put_group(group, &BTreeSet::new())?;
            }
            for id in now.principals.keys().filter(|id| !then.principals.contains_key(*id)) {
                self.remove_principal(id, now_ms)?;
            }
        }
        for (id, name) in &then.principals {
            self.put_principal(id, name, now_ms)?;
        }
        for (id, members) in &then.groups {
            self.put_group(id, members)?;
        }
        for grant in &then.grants {
            self.put_grant(grant)?;
        }
        for gate in &then.gates {
            self.put_gate(gate)?;
        }
        Ok(diff)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const POLICY: &str = r#"
        [[principal]]
        id = "agent:drafter"
        kind = "agent"
        [[group]]
        id = "group:writers"
        members = ["agent:drafter"]
        [[grant]]
        to = "group:writers"
        path = ["/contracts/drafts/**", "/inbox/**"]
        verbs = ["write"]
        [[gate]]
        path = "/contracts/approved/**"
    "#;

    #[test]
    fn a_policy_is_read_and_compared() {
        let policy = read_policy(POLICY).unwrap();
        assert_eq!(policy.grants.len(), 1);
        let added = diff(&Policy::default(), &policy).added;
        assert_eq!(
            added,
            [
                "principal agent:drafter",
                "group group:writers: agent:drafter",
                "group:writers allow write on path /contracts/drafts/**, /inbox/**",
                "gate /contracts/approved/** before write, delete",
            ]
        );
        assert!(diff(&policy, &policy).is_empty());
    }

    #[test]
    fn conditions_on_arguments_are_part_of_a_grant() {
        let text = |arguments: &str| {
            let head = "[[principal]]\nid = \"agent:x\"\n[[grant]]\nto = \"agent:x\"\neffect = \"deny\"\n";
            format!("{head}tool = \"git.push\"\nverbs = [\"call\"]\n{arguments}")
        };
        let plain = read_policy(&text("")).unwrap();
        let narrow = read_policy(&text("arguments = { branch = [\"main\", \"release/*\"] }")).unwrap();
        assert_ne!(plain.grants[0].id, narrow.grants[0].id);
        assert_eq!(
            describe(&narrow.grants[0]),
            "agent:x deny call on tool git.push where branch is main or release/*"
        );
        assert_eq!(diff(&plain, &narrow).added.len(), 1);
    }

    #[test]
    fn a_policy_with_a_fault_says_which() {
        for (text, expected) in [
            (
                "[[grant]]\nto = \"agent:x\"\npath = \"/a\"\nverbs = [\"read\"]",
                "no principal or group `agent:x`",
            ),
            ("[[principal]]\nid = \"x\"", "`principal` is `x`"),
            (
                "[[principal]]\nid = \"agent:x\"\n[[grant]]\nto = \"agent:x\"\nverbs = [\"read\"]",
                "exactly one of",
            ),
            ("[[principal]]\nid = \"agent:x\"\nrole = \"y\"", "unknown field `role`"),
        ] {
            let error = read_policy(text).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
    }
}
