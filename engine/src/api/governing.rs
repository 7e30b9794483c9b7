use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::error::{Error, Result};
use super::session::Session;
use crate::access::{
    self, AccessError, Actor, Gate, Grant, IssuedToken, Kind, Limits, NewToken, PolicyDiff, Target, Verb,
    describe, kind_of,
};
use crate::catalog::Tx;
use crate::clock::rfc3339;
use crate::journal::Outcome;

/// Why the home's owner is given nothing.
const NEEDS_NOTHING: &str = "another one; the home's owner may do everything already";

/// A principal, as it is listed.
#[derive(Debug, Clone, Serialize, schemars::JsonSchema)]
pub struct PrincipalInfo {
    /// `agent:…`, `human:…` or `service:…`.
    pub id: String,
    /// What it begins with.
    pub kind: Kind,
    /// For people.
    pub name: String,
    /// The groups that it is in.
    pub groups: Vec<String>,
    /// Whether it is the home's owner, who is always there and may do everything.
    pub built_in: bool,
    /// Whether it was new where it was just put.
    #[serde(skip)]
    pub created: bool,
}

/// A token, as it is listed; never its secret.
#[derive(Debug, Clone, Serialize, schemars::JsonSchema)]
pub struct TokenInfo {
    /// The public part.
    pub id: String,
    /// Whose.
    pub principal: String,
    /// For people.
    pub name: String,
    /// What it may do of what its principal may.
    pub limits: Limits,
    /// RFC 3339.
    pub created_at: String,
    /// RFC 3339.
    pub expires_at: Option<String>,
    /// RFC 3339, to the minute.
    pub last_used_at: Option<String>,
    /// RFC 3339.
    pub revoked_at: Option<String>,
}

/// Whether a principal may do something, and what decides it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, schemars::JsonSchema)]
pub struct Explanation {
    /// Who.
    pub principal: String,
    /// What.
    pub verb: Verb,
    /// On what.
    pub target: String,
    /// The outcome.
    pub allowed: bool,
    /// The deciding grant's id, `owner`, or `default`: nothing grants it.
    pub rule: String,
    /// The rule as a sentence.
    pub sentence: String,
    /// The gate that has to be passed as well, where there is one and the principal has no `approve`.
    pub gate: Option<String>,
}

impl Session {
    /// Changes who may do what, records it in the same transaction, and makes it hold at once.
    fn govern<T>(
        &self,
        action: &'static str,
        path: &str,
        rule: &str,
        change: impl FnOnce(&Tx<'_>) -> std::result::Result<T, AccessError>,
    ) -> Result<T> {
        let changed = self.engine.catalog.write(|tx| -> Result<(T, bool)> {
            let before = tx.policy()?.principals;
            let value = change(tx)?;
            let after = tx.policy()?.principals;
            let gone: Vec<&String> = before.keys().filter(|id| !after.contains_key(*id)).collect();
            gone.iter().try_for_each(|id| self.part_with(tx, id))?;
            self.record_in(tx, action, Verb::Admin, path, "", rule)?;
            Ok((value, !gone.is_empty()))
        });
        let (value, has_gone) = self.note_failure(action, Verb::Admin, path, changed)?;
        self.engine.reload_policy()?;
        if has_gone {
            self.engine.office.endpoints_changed();
        }
        Ok(value)
    }

    /// Whether the numbers of the whole home may be seen.
    ///
    /// # Errors
    /// [`Error::Forbidden`] for all but the admin.
    pub fn may_see_metrics(&self) -> Result<()> {
        let rule = self.require_admin("metrics.read", "/")?;
        self.record("metrics.read", Verb::Admin, "/", "", Outcome::Allowed, &rule)
    }

    /// All principals, by id, the home's owner among them.
    ///
    /// # Errors
    /// [`Error::Forbidden`] for all but the admin.
    pub fn principals(&self) -> Result<Vec<PrincipalInfo>> {
        let rule = self.require_admin("principal.list", "/")?;
        self.record("principal.list", Verb::Admin, "/", "", Outcome::Allowed, &rule)?;
        let policy = self.engine.policy();
        let mut all = policy.principals.clone();
        all.insert(access::ADMIN.to_owned(), "the home's owner".to_owned());
        all.into_iter()
            .map(|(id, name)| {
                let groups = policy.groups.iter().filter(|(_, members)| members.contains(&id));
                let groups = groups.map(|(group, _)| group.clone()).collect();
                let (kind, built_in) = (kind_of(&id)?, id == access::ADMIN);
                Ok(PrincipalInfo { id, kind, name, groups, built_in, created: false })
            })
            .collect()
    }

    /// Makes a principal known, in these groups besides those it is in; without a name it keeps the one it has.
    ///
    /// # Errors
    /// [`Error::Forbidden`] for all but the admin; [`AccessError::Invalid`] for an id that can't be one.
    pub fn put_principal(&self, id: &str, name: Option<&str>, groups: &[String]) -> Result<PrincipalInfo> {
        let rule = self.require_admin("principal.put", id)?;
        let now_ms = self.now_ms();
        let policy = self.engine.policy();
        let known = policy.principals.get(id).cloned();
        let is_new = known.is_none() && id != access::ADMIN;
        let name = name.map_or(known.unwrap_or_default(), str::to_owned);
        let mut teams = policy.groups.clone();
        self.govern("principal.put", id, &rule, |tx| {
            tx.put_principal(id, &name, now_ms)?;
            for group in groups {
                let members = teams.entry(group.clone()).or_default();
                members.insert(id.to_owned());
                tx.put_group(group, members)?;
            }
            Ok(())
        })?;
        let mut all = self.principals()?.into_iter();
        all.find(|info| info.id == id)
            .map(|info| PrincipalInfo { created: is_new, ..info })
            .ok_or_else(|| Error::NotFound { what: "principal", name: id.to_owned() })
    }

    /// Forgets a principal with its tokens, grants and webhooks, and all else that would act in its name.
    ///
    /// # Errors
    /// [`Error::Forbidden`] for all but the admin, [`AccessError::NotFound`]; [`AccessError::Invalid`] for the home's owner.
    pub fn remove_principal(&self, id: &str) -> Result<()> {
        let rule = self.require_admin("principal.remove", id)?;
        let now_ms = self.now_ms();
        self.govern("principal.remove", id, &rule, |tx| {
            check_not_owner("principal", id, "another one; the home's owner is always there")?;
            tx.remove_principal(id, now_ms)
        })
    }

    /// All groups with their members.
    ///
    /// # Errors
    /// [`Error::Forbidden`] for all but the admin.
    pub fn groups(&self) -> Result<BTreeMap<String, BTreeSet<String>>> {
        let rule = self.require_admin("group.list", "/")?;
        self.record("group.list", Verb::Admin, "/", "", Outcome::Allowed, &rule)?;
        Ok(self.engine.policy().groups.clone())
    }

    /// Sets a group's members; none removes the group.
    ///
    /// # Errors
    /// [`Error::Forbidden`] for all but the admin; [`AccessError`].
    pub fn put_group(&self, id: &str, members: &BTreeSet<String>) -> Result<()> {
        let rule = self.require_admin("group.put", id)?;
        self.govern("group.put", id, &rule, |tx| {
            members.iter().try_for_each(|member| check_not_owner("members", member, NEEDS_NOTHING))?;
            tx.put_group(id, members)
        })
    }

    /// All tokens for the admin, one's own for everybody else.
    ///
    /// # Errors
    /// Where the catalog can't be read.
    pub fn tokens(&self) -> Result<Vec<TokenInfo>> {
        let is_admin = self.is_admin();
        self.record("token.list", Verb::Admin, "/", "", Outcome::Allowed, "scope")?;
        let all = access::tokens(&self.engine.catalog)?.into_iter();
        // A narrowed token sees itself.
        let is_narrowed = self.actor.limits != Limits::default();
        let seen = all.filter(|token| {
            is_admin
                || token.id == self.actor.token
                || (!is_narrowed && token.principal == self.actor.principal)
        });
        Ok(seen
            .map(|token| TokenInfo {
                id: token.id,
                principal: token.principal,
                name: token.name,
                limits: token.limits,
                created_at: rfc3339(token.created_ms),
                expires_at: token.expires_ms.map(rfc3339),
                last_used_at: token.last_used_ms.map(rfc3339),
                revoked_at: token.revoked_ms.map(rfc3339),
            })
            .collect())
    }

    /// Makes a token and gives it, for the only time.
    ///
    /// # Errors
    /// [`Error::Forbidden`] for all but the admin, and for an admin whose own token is narrowed; [`AccessError::NotFound`].
    pub fn issue_token(&self, new: &NewToken) -> Result<IssuedToken> {
        let rule = self.require_admin("token.issue", &new.principal)?;
        if self.actor.limits != Limits::default() || (new.principal == access::ADMIN && !self.actor.is_owner)
        {
            return Err(Error::Forbidden {
                principal: self.actor.principal.clone(),
                verb: "admin",
                path: new.principal.clone(),
            });
        }
        let now_ms = self.now_ms();
        self.govern("token.issue", &new.principal, &rule, |tx| tx.issue_token(new, now_ms))
    }

    /// Ends a token, at once and everywhere; everybody may end their own.
    ///
    /// # Errors
    /// [`AccessError::NotFound`], also for tokens of others.
    pub fn revoke_token(&self, id: &str) -> Result<()> {
        let absent = || Error::NotFound { what: "token", name: id.chars().take(80).collect() };
        let all = access::tokens(&self.engine.catalog)?;
        let token = all.into_iter().find(|token| token.id == id).ok_or_else(absent)?;
        let is_narrowed = self.actor.limits != Limits::default();
        let is_own =
            token.id == self.actor.token || (!is_narrowed && token.principal == self.actor.principal);
        if !is_own && (is_narrowed || !self.is_admin()) {
            self.record("token.revoke", Verb::Admin, id, "", Outcome::Denied, "default")?;
            return Err(absent());
        }
        let now_ms = self.now_ms();
        self.govern("token.revoke", id, "owner", |tx| tx.revoke_token(id, now_ms))
    }

    /// All grants, by id.
    ///
    /// # Errors
    /// [`Error::Forbidden`] for all but the admin.
    pub fn grants(&self) -> Result<Vec<Grant>> {
        let rule = self.require_admin("grant.list", "/")?;
        self.record("grant.list", Verb::Admin, "/", "", Outcome::Allowed, &rule)?;
        Ok(self.engine.policy().grants.clone())
    }

    /// Adds a grant; whether it was new. Whoever has `admin` on a folder may give and take rights below it, but for `admin` itself.
    ///
    /// # Errors
    /// [`Error::Forbidden`], [`AccessError`].
    pub fn put_grant(&self, grant: &Grant) -> Result<bool> {
        let rule = self.may_manage("grant.put", grant)?;
        self.govern("grant.put", &grant.id, &rule, |tx| {
            check_not_owner("to", &grant.to, NEEDS_NOTHING)?;
            let is_new = tx.policy()?.grants.iter().all(|known| known.id != grant.id);
            tx.put_grant(grant)?;
            Ok(is_new)
        })
    }

    /// Takes a grant away.
    ///
    /// # Errors
    /// [`Error::Forbidden`], [`AccessError::NotFound`].
    pub fn remove_grant(&self, id: &str) -> Result<()> {
        let policy = self.engine.policy();
        let Some(grant) = policy.grants.iter().find(|grant| grant.id == id) else {
            self.require_admin("grant.remove", id)?;
            return Err(Error::NotFound { what: "grant", name: id.chars().take(80).collect() });
        };
        let rule = self.may_manage("grant.remove", grant)?;
        self.govern("grant.remove", id, &rule, |tx| tx.remove_grant(id))
    }

    fn may_manage(&self, action: &'static str, grant: &Grant) -> Result<String> {
        if self.actor.limits != Limits::default() {
            self.record(action, Verb::Admin, &grant.id, "", Outcome::Denied, "token")?;
            let (principal, path) = (self.actor.principal.clone(), grant.id.clone());
            return Err(Error::Forbidden { principal, verb: "admin", path });
        }
        let is_local = grant.target == Target::Path && !grant.verbs.contains(&Verb::Admin);
        let below = |pattern: &crate::pattern::Pattern| {
            let base = pattern.base();
            base != "/" && self.decide(Verb::Admin, &base).allowed
        };
        if is_local && grant.patterns.iter().all(below) {
            return Ok("folder_admin".to_owned());
        }
        self.require_admin(action, &grant.id)
    }

    /// Which rule decides what a principal may do with a path, tool or agent. Everybody may ask about themselves.
    ///
    /// # Errors
    /// [`Error::Forbidden`] for asking about others without being the admin, [`Error::NotFound`] for whom nobody knows.
    pub fn explain_grant(
        &self,
        principal: &str,
        verb: Verb,
        target: Target,
        name: &str,
    ) -> Result<Explanation> {
        self.explain(principal, verb, target, name, None)
    }

    /// Which rule decides whether a principal may call a tool with these arguments. Everybody may ask about themselves.
    ///
    /// # Errors
    /// As [`Self::explain_grant`].
    pub fn explain_call(
        &self,
        principal: &str,
        tool: &str,
        arguments: &serde_json::Value,
    ) -> Result<Explanation> {
        self.explain(principal, Verb::Call, Target::Tool, tool, Some(arguments))
    }

    fn explain(
        &self,
        principal: &str,
        verb: Verb,
        target: Target,
        name: &str,
        arguments: Option<&serde_json::Value>,
    ) -> Result<Explanation> {
        if principal != self.actor.principal {
            self.require_admin("grant.explain", principal)?;
            let is_known =
                principal == access::ADMIN || self.engine.policy().principals.contains_key(principal);
            if !is_known {
                let absent =
                    Error::NotFound { what: "principal", name: principal.chars().take(80).collect() };
                return self.note_failure("grant.explain", Verb::Admin, name, Err(absent));
            }
        }
        self.record("grant.explain", Verb::Admin, name, "", Outcome::Allowed, "scope")?;
        let policy = self.engine.policy();
        let actor = Actor {
            principal: principal.to_owned(),
            token: String::new(),
            is_owner: principal == access::ADMIN,
            limits: Limits::default(),
        };
        let decision = match arguments {
            Some(arguments) => actor.decide_call(&policy, name, arguments),
            None => actor.decide(&policy, verb, target, name),
        };
        let sentence = match policy.grants.iter().find(|grant| grant.id == decision.rule) {
            Some(grant) => describe(grant),
            None if decision.rule == "owner" => "the home's owner may do everything".to_owned(),
            None => {
                format!("no grant gives {principal} `{verb}` on `{name}`, and nothing is allowed by default")
            }
        };
        let gate = policy.gate(verb, name).filter(|_| target == Target::Path && decision.allowed);
        let gate = gate.filter(|_| !actor.decide(&policy, Verb::Approve, target, name).allowed);
        Ok(Explanation {
            principal: principal.to_owned(),
            verb,
            target: name.to_owned(),
            allowed: decision.allowed,
            rule: decision.rule,
            sentence,
            gate: gate.map(|gate| gate.id.clone()),
        })
    }

    /// All gates, by id.
    ///
    /// # Errors
    /// [`Error::Forbidden`] for all but the admin.
    pub fn gates(&self) -> Result<Vec<Gate>> {
        let rule = self.require_admin("gate.list", "/")?;
        self.record("gate.list", Verb::Admin, "/", "", Outcome::Allowed, &rule)?;
        Ok(self.engine.policy().gates.clone())
    }

    /// Puts a gate up; one that is there keeps its note, unless another one is given. Gives it as it stands now, and whether
    /// it is new.
    ///
    /// # Errors
    /// [`Error::Forbidden`] for all but the admin.
    pub fn put_gate(&self, gate: &Gate) -> Result<(Gate, bool)> {
        let rule = self.require_admin("gate.put", gate.pattern.as_str())?;
        self.govern("gate.put", gate.pattern.as_str(), &rule, |tx| {
            let known = tx.policy()?.gates.into_iter().find(|known| known.id == gate.id);
            let is_new = known.is_none();
            let note = known.map(|known| known.note).filter(|_| gate.note.is_empty());
            let gate = Gate { note: note.unwrap_or_else(|| gate.note.clone()), ..gate.clone() };
            tx.put_gate(&gate)?;
            Ok((gate, is_new))
        })
    }

    /// Takes a gate down.
    ///
    /// # Errors
    /// [`Error::Forbidden`] for all but the admin, [`AccessError::NotFound`].
    pub fn remove_gate(&self, id: &str) -> Result<()> {
        let rule = self.require_admin("gate.remove", id)?;
        self.govern("gate.remove", id, &rule, |tx| tx.remove_gate(id))
    }

    /// What a policy file would change.
    ///
    /// # Errors
    /// [`Error::Forbidden`] for all but the admin; [`AccessError`] for what the file says.
    pub fn diff_policy(&self, text: &str) -> Result<PolicyDiff> {
        let rule = self.require_admin("policy.diff", "/")?;
        self.record("policy.diff", Verb::Admin, "/", "", Outcome::Allowed, &rule)?;
        let then = access::read_policy(text)?;
        Ok(access::diff(&self.engine.policy(), &then))
    }

    /// Makes a policy file hold, and nothing else; with `keep` nothing that holds is taken away.
    ///
    /// # Errors
    /// As [`Self::diff_policy`]; [`Error::Access`] for a policy that names nothing, where that is not said to be meant and something
    /// would go.
    pub fn apply_policy(&self, text: &str, keep: bool, may_be_empty: bool) -> Result<PolicyDiff> {
        let rule = self.require_admin("policy.apply", "/")?;
        let then = access::read_policy(text)?;
        if !keep && !may_be_empty && access::says_nothing(text) {
            return Err(Error::Access(AccessError::Invalid {
                field: "policy",
                found: "empty, which would take every principal, grant and gate away".to_owned(),
                expected:
                    "TOML with `[[principal]]`, `[[group]]`, `[[grant]]` or `[[gate]]`; where it is meant, \
                           `?confirm=empty` or `--empty`"
                        .to_owned(),
            }));
        }
        let now_ms = self.now_ms();
        self.govern("policy.apply", "/", &rule, |tx| tx.apply_policy(&then, keep, now_ms))
    }
}

fn check_not_owner(
    field: &'static str,
    id: &str,
    expected: &'static str,
) -> std::result::Result<(), AccessError> {
    if id == access::ADMIN { Err(AccessError::invalid(field, id, expected)) } else { Ok(()) }
}
