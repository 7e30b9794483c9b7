//! Takes a token, gives who it is and what they may do.
//!
//! Nouns: [`Actor`] (who acts, by which token), [`Policy`] (principals, groups, grants and gates at one instant),
//! [`Scope`] (what one actor may do by one verb, compiled), [`Approval`] (an act that waits at a gate). Nothing is
//! allowed by default, and a deny wins. It opens no file: it decides over names alone, so that what is denied and what
//! does not exist are decided alike.

mod approvals;
mod arguments;
mod document;
mod error;
mod policy;
mod proven;
mod registry;
mod tokens;

pub use approvals::{APPROVAL_TTL_MS, Approval, ApprovalState, NewApproval, approvals};
pub use arguments::Conditions;
pub use document::{OneOrMany, PolicyDiff, describe, diff, read_policy, says_nothing};
pub use error::AccessError;
pub use policy::{
    Decision, Effect, Gate, Grant, Kind, Limits, Policy, Scope, Target, Verb, check_group, kind_of,
};
pub use proven::Proven;
pub use registry::load;
pub use tokens::{IssuedToken, NewToken, TokenRow, has_tokens, is_token_alive, readmit, tokens};
pub(crate) use tokens::{read_limits, write_limits};

/// The home's owner: whoever can open its files anyway.
pub const ADMIN: &str = "human:admin";

/// Whether a principal, with all that it has, may write a path.
pub fn may_write(policy: &Policy, principal: &str, path: &str) -> bool {
    principal == ADMIN
        || policy.decide(principal, &Limits::default(), Verb::Write, Target::Path, path).allowed
}

/// Where a principal, with all that it has, may write.
pub fn writes_of(policy: &Policy, principal: &str) -> Scope {
    if principal == ADMIN {
        return Scope::everything();
    }
    policy.scope(principal, &Limits::default(), Verb::Write)
}

/// Who acts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Actor {
    /// Such as `agent:researcher`.
    pub principal: String,
    /// The token's id; empty for whoever opened the home itself.
    pub token: String,
    /// Whether everything is allowed that the token does not narrow.
    pub is_owner: bool,
    /// What the token narrows.
    pub limits: Limits,
}

impl Actor {
    /// Whoever opened the home itself.
    pub fn owner() -> Self {
        Self { principal: ADMIN.to_owned(), token: String::new(), is_owner: true, limits: Limits::default() }
    }

    /// Decides about one path, tool or agent.
    pub fn decide(&self, policy: &Policy, verb: Verb, target: Target, name: &str) -> Decision {
        if !self.is_owner {
            return policy.decide(&self.principal, &self.limits, verb, target, name);
        }
        let folded = crate::id::fold(name);
        let is_in = self.limits.verbs.as_ref().is_none_or(|verbs| verbs.contains(&verb))
            && self.limits.paths.as_ref().is_none_or(|paths| {
                target == Target::Path && paths.iter().any(|pattern| pattern.matches(&folded))
            });
        Decision { allowed: is_in, rule: if is_in { "owner" } else { "token" }.to_owned() }
    }

    /// Decides about one call of a tool, with its arguments.
    pub fn decide_call(&self, policy: &Policy, tool: &str, arguments: &serde_json::Value) -> Decision {
        if self.is_owner {
            return self.decide(policy, Verb::Call, Target::Tool, tool);
        }
        policy.decide_call(&self.principal, &self.limits, tool, arguments)
    }

    /// Whether there may be a tool or an agent with which it may do something by a verb.
    pub fn may_with_some(&self, policy: &Policy, verb: Verb, target: Target) -> bool {
        if self.is_owner {
            return self.decide(policy, verb, target, "").allowed;
        }
        policy.gives_any(&self.principal, &self.limits, verb, target)
    }

    /// What it may do by one verb, over paths.
    pub fn scope(&self, policy: &Policy, verb: Verb) -> Scope {
        if self.is_owner {
            Scope::of_owner(&self.limits, verb)
        } else {
            policy.scope(&self.principal, &self.limits, verb)
        }
    }
}
