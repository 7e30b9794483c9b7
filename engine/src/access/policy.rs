//! Decides: a pure function over principals, groups, grants and gates, without a look at any file.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::AccessError;
use super::arguments::{Arguments, Conditions};
use crate::id::fold;
use crate::pattern::{Pattern, PatternError};

/// What one may do with a file, tool or agent.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Verb {
    /// See its name in listings.
    List,
    /// Read it, and find it by search.
    Read,
    /// Make or change it.
    Write,
    /// Take it away.
    Delete,
    /// Pass its gate, and let others pass.
    Approve,
    /// Call it, for tools.
    Call,
    /// Hand it an intent, for agents.
    Dispatch,
    /// Manage who may do what with it.
    Admin,
}

impl Verb {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::List,
        Self::Read,
        Self::Write,
        Self::Delete,
        Self::Approve,
        Self::Call,
        Self::Dispatch,
        Self::Admin,
    ];

    /// Its name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::List => "list",
            Self::Read => "read",
            Self::Write => "write",
            Self::Delete => "delete",
            Self::Approve => "approve",
            Self::Call => "call",
            Self::Dispatch => "dispatch",
            Self::Admin => "admin",
        }
    }
}

impl fmt::Display for Verb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Verb {
    type Err = AccessError;

    fn from_str(text: &str) -> Result<Self, AccessError> {
        Self::ALL
            .into_iter()
            .find(|verb| verb.as_str() == text)
            .ok_or_else(|| AccessError::invalid("verb", text, Self::ALL.map(Self::as_str).join(", ")))
    }
}

/// Whether a grant gives or takes.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Effect {
    /// Gives, unless something takes.
    Allow,
    /// Takes, whatever gives.
    Deny,
}

/// What a grant is about.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Target {
    /// Files and folders, `/workspace/…`.
    Path,
    /// Tools by id.
    Tool,
    /// Agents by id.
    Agent,
}

impl Target {
    fn pattern(self, text: &str) -> Result<Pattern, PatternError> {
        match self {
            Self::Path => Pattern::path(text),
            Self::Tool | Self::Agent => Pattern::name(text),
        }
    }

    fn takes(self, verb: Verb) -> bool {
        match self {
            Self::Path => !matches!(verb, Verb::Call | Verb::Dispatch),
            Self::Tool => matches!(verb, Verb::List | Verb::Read | Verb::Call | Verb::Approve | Verb::Admin),
            Self::Agent => matches!(verb, Verb::List | Verb::Read | Verb::Dispatch | Verb::Admin),
        }
    }
}

/// Principal or group × patterns × verbs × allow or deny.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, schemars::JsonSchema)]
pub struct Grant {
    /// `gr_…`, made from all that follows but the note: the same grant twice is one grant.
    pub id: String,
    /// A principal or a group.
    pub to: String,
    /// What the patterns are over.
    pub target: Target,
    /// One of them must match.
    pub patterns: Vec<Pattern>,
    /// What is given or taken.
    pub verbs: BTreeSet<Verb>,
    /// Which of both.
    pub effect: Effect,
    /// What the arguments of a call must be, for tools.
    #[serde(skip_serializing_if = "Conditions::is_empty")]
    pub arguments: Conditions,
    /// For people.
    pub note: String,
}

impl Grant {
    /// Checks the parts and names the whole.
    ///
    /// # Errors
    /// [`AccessError::Pattern`]; [`AccessError::Invalid`] for no verb, no pattern, or a verb that the target does not take.
    pub fn new(
        to: &str,
        target: Target,
        patterns: &[String],
        verbs: BTreeSet<Verb>,
        effect: Effect,
        note: &str,
    ) -> Result<Self, AccessError> {
        check_holder(to)?;
        if patterns.is_empty() {
            return Err(AccessError::invalid("pattern", "", "at least one pattern"));
        }
        if verbs.is_empty() {
            return Err(AccessError::invalid("verbs", "", "at least one verb"));
        }
        if let Some(verb) = verbs.iter().find(|verb| !target.takes(**verb)) {
            let legal: Vec<&str> =
                Verb::ALL.into_iter().filter(|verb| target.takes(*verb)).map(Verb::as_str).collect();
            return Err(AccessError::invalid("verbs", verb.as_str(), legal.join(", ")));
        }
        let patterns: Vec<Pattern> =
            patterns.iter().map(|text| target.pattern(text)).collect::<Result<_, _>>()?;
        let mut hasher = blake3::Hasher::new();
        for part in [to, &format!("{target:?} {effect:?} {verbs:?}")]
            .into_iter()
            .chain(patterns.iter().map(Pattern::as_str))
        {
            hasher.update(part.as_bytes()).update(&[0]);
        }
        let id = format!("gr_{}", &hasher.finalize().to_hex()[..12]);
        let arguments = Conditions::default();
        Ok(Self { id, to: to.to_owned(), target, patterns, verbs, effect, arguments, note: note.to_owned() })
    }

    /// For those calls of tools alone whose arguments are so. They say nothing about `list` and `read`: where such a
    /// grant gives these too, it gives them whatever a call's arguments would be.
    ///
    /// # Errors
    /// [`AccessError::Invalid`] for conditions on something else than calls of tools; [`AccessError::Pattern`].
    pub fn with_arguments(mut self, arguments: &BTreeMap<String, Vec<String>>) -> Result<Self, AccessError> {
        if arguments.is_empty() {
            return Ok(self);
        }
        self.check_condition()?;
        self.arguments = Conditions::new(arguments)?;
        let hash = blake3::hash(format!("{} {}", self.id, self.arguments).as_bytes());
        self.id = format!("gr_{}", &hash.to_hex()[..12]);
        Ok(self)
    }

    fn check_condition(&self) -> Result<(), AccessError> {
        let is_legal = |verb: &Verb| match self.effect {
            Effect::Allow => matches!(verb, Verb::List | Verb::Read | Verb::Call),
            Effect::Deny => *verb == Verb::Call,
        };
        if self.target != Target::Tool || !self.verbs.contains(&Verb::Call) {
            return Err(AccessError::invalid("arguments", &self.to, "a grant about `call` on tools"));
        }
        if let Some(verb) = self.verbs.iter().find(|verb| !is_legal(verb)) {
            let expected = "`call` alone beside `arguments`; where it allows, `list` and `read` too";
            return Err(AccessError::invalid("verbs", verb.as_str(), expected));
        }
        Ok(())
    }
}

/// A place that only those with `approve` may pass; others leave a pending approval.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, schemars::JsonSchema)]
pub struct Gate {
    /// `gt_…`, made from pattern and verbs.
    pub id: String,
    /// Over paths.
    pub pattern: Pattern,
    /// What takes an approval there; `write` covers moving and copying into it.
    pub verbs: BTreeSet<Verb>,
    /// For people.
    pub note: String,
}

impl Gate {
    /// Checks the parts and names the whole; without verbs it stands before every change.
    ///
    /// # Errors
    /// [`AccessError::Pattern`], or [`AccessError::Invalid`] for verbs other than `write` and `delete`.
    pub fn new(pattern: &str, mut verbs: BTreeSet<Verb>, note: &str) -> Result<Self, AccessError> {
        if verbs.is_empty() {
            verbs.extend([Verb::Write, Verb::Delete]);
        }
        if let Some(verb) = verbs.iter().find(|verb| !matches!(verb, Verb::Write | Verb::Delete)) {
            return Err(AccessError::invalid("verbs", verb.as_str(), "write, delete"));
        }
        let pattern = Pattern::path(pattern)?;
        let hash = blake3::hash(format!("{pattern} {verbs:?}").as_bytes());
        let id = format!("gt_{}", &hash.to_hex()[..12]);
        Ok(Self { id, pattern, verbs, note: note.to_owned() })
    }
}

/// The kinds of principal.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// A program that decides for itself.
    Agent,
    /// A person.
    Human,
    /// A program that does as it is told.
    Service,
}

/// The kind of a principal's id.
///
/// # Errors
/// [`AccessError::Invalid`] for an id that is not `agent:NAME`, `human:NAME` or `service:NAME`.
pub fn kind_of(id: &str) -> Result<Kind, AccessError> {
    let kind = match id.split_once(':') {
        Some(("agent", name)) if is_name(name) => Kind::Agent,
        Some(("human", name)) if is_name(name) => Kind::Human,
        Some(("service", name)) if is_name(name) => Kind::Service,
        _ => {
            return Err(AccessError::invalid(
                "principal",
                id,
                "`agent:NAME`, `human:NAME` or `service:NAME`, NAME of a-z A-Z 0-9 . _ - (at most 64)",
            ));
        }
    };
    Ok(kind)
}

/// Checks the id of a group, `group:NAME`.
///
/// # Errors
/// [`AccessError::Invalid`].
pub fn check_group(id: &str) -> Result<(), AccessError> {
    if id.strip_prefix("group:").is_some_and(is_name) {
        return Ok(());
    }
    Err(AccessError::invalid("group", id, "`group:NAME`, NAME of a-z A-Z 0-9 . _ - (at most 64)"))
}

fn check_holder(id: &str) -> Result<(), AccessError> {
    if id.starts_with("group:") { check_group(id) } else { kind_of(id).map(drop) }
}

fn is_name(name: &str) -> bool {
    let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    !name.is_empty() && name.len() <= 64 && name.chars().all(legal)
}

/// Everything that decides, at one instant.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Policy {
    /// By id, with a name for people.
    pub principals: BTreeMap<String, String>,
    /// Group to members.
    pub groups: BTreeMap<String, BTreeSet<String>>,
    /// By id.
    pub grants: Vec<Grant>,
    /// By id.
    pub gates: Vec<Gate>,
}

/// What a token may do of what its principal may; `None`: all of it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, schemars::JsonSchema)]
pub struct Limits {
    /// Verbs.
    pub verbs: Option<BTreeSet<Verb>>,
    /// Patterns over paths; with any of them, tools and agents are out of reach.
    pub paths: Option<Vec<Pattern>>,
}

impl Limits {
    fn exclude(&self, verb: Verb, target: Target, folded: &str) -> bool {
        self.verbs.as_ref().is_some_and(|verbs| !verbs.contains(&verb))
            || self.paths.as_ref().is_some_and(|paths| {
                target != Target::Path || !paths.iter().any(|pattern| pattern.matches(folded))
            })
    }
}

/// The outcome, and what decided it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, schemars::JsonSchema)]
pub struct Decision {
    /// Whether it may be done.
    pub allowed: bool,
    /// A grant's id, `owner`, `token`, or `default` (nothing gives it).
    pub rule: String,
}

/// What one principal may do by one verb, over paths: rules that are left once everybody else's are gone.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Scope {
    everything: bool,
    allow: Vec<Pattern>,
    deny: Vec<Pattern>,
    within: Option<Vec<Pattern>>,
}

impl Scope {
    /// Every path.
    pub fn everything() -> Self {
        Self { everything: true, ..Self::default() }
    }

    pub(super) fn of_owner(limits: &Limits, verb: Verb) -> Self {
        match limits {
            Limits { verbs: Some(verbs), .. } if !verbs.contains(&verb) => Self::default(),
            Limits { paths: None, .. } => Self::everything(),
            Limits { paths: Some(paths), .. } => Self { allow: paths.clone(), ..Self::default() },
        }
    }

    /// Whether every path is in it.
    pub fn is_everything(&self) -> bool {
        self.everything
    }

    /// Whether no path can be in it.
    pub fn is_nothing(&self) -> bool {
        !self.everything && self.allow.is_empty()
    }

    /// Whether a path, `/workspace/…`, is in it.
    pub fn allows(&self, path: &str) -> bool {
        self.everything || self.allows_folded(&fold(path))
    }

    /// Whether it may hold a path that a pattern names, be it there or not.
    pub fn meets(&self, place: &Pattern) -> bool {
        let is_within = |allow: &Pattern| match &self.within {
            Some(within) => within.iter().any(|within| within.overlaps(place) && within.overlaps(allow)),
            None => true,
        };
        let is_given = || self.allow.iter().any(|allow| allow.overlaps(place) && is_within(allow));
        self.everything || (is_given() && !self.deny.iter().any(|deny| deny.covers(place)))
    }

    /// Whether it holds every path that a pattern names, be it there or not.
    pub fn holds_all(&self, place: &Pattern) -> bool {
        let covers = |patterns: &[Pattern]| patterns.iter().any(|pattern| pattern.covers(place));
        let is_given = covers(&self.allow) && self.within.as_deref().is_none_or(covers);
        self.everything || (is_given && !self.deny.iter().any(|deny| deny.overlaps(place)))
    }

    /// Whether a path that a pattern names is in both, be it there or not.
    pub fn shares(&self, other: &Self, place: &Pattern) -> bool {
        let mut places = self.parts(place).into_iter().flat_map(|part| other.parts(&part));
        places.any(|part| !self.deny.iter().chain(&other.deny).any(|deny| deny.covers(&part)))
    }

    /// What of a place its rules give, before those that take.
    fn parts(&self, place: &Pattern) -> Vec<Pattern> {
        if self.everything {
            return vec![place.clone()];
        }
        let given = self.allow.iter().filter_map(|allow| allow.meet(place));
        match &self.within {
            None => given.collect(),
            Some(within) => {
                given.flat_map(|part| within.iter().filter_map(move |within| within.meet(&part))).collect()
            }
        }
    }

    /// Whether a path may be in both.
    pub fn overlaps(&self, other: &Self) -> bool {
        match (self.everything, other.everything) {
            (true, _) => !other.is_nothing(),
            (_, true) => !self.is_nothing(),
            _ => self.allow.iter().any(|one| other.allow.iter().any(|allow| allow.overlaps(one))),
        }
    }

    /// The first names of paths in it, where its rules spell them out.
    pub fn tops(&self) -> BTreeSet<String> {
        let top = |allow: &Pattern| allow.base().split('/').nth(1).map(str::to_owned);
        self.allow.iter().filter_map(top).filter(|top| !top.is_empty()).collect()
    }

    fn allows_folded(&self, folded: &str) -> bool {
        let any = |patterns: &[Pattern]| patterns.iter().any(|pattern| pattern.matches(folded));
        any(&self.allow) && !any(&self.deny) && self.within.as_deref().is_none_or(any)
    }

    /// The same for scopes with the same rules.
    pub fn name(&self) -> [u8; 32] {
        let mut hasher = blake3::Hasher::new();
        hasher.update(&[u8::from(self.everything)]);
        for (mark, patterns) in [(1, Some(&self.allow)), (2, Some(&self.deny)), (3, self.within.as_ref())] {
            hasher.update(&[mark, u8::from(patterns.is_some())]);
            for pattern in patterns.into_iter().flatten() {
                hasher.update(fold(pattern.as_str()).as_bytes()).update(&[0]);
            }
        }
        *hasher.finalize().as_bytes()
    }
}

impl Policy {
    fn rules_for<'a>(
        &'a self,
        principal: &'a str,
        verb: Verb,
        target: Target,
    ) -> impl Iterator<Item = &'a Grant> {
        self.grants.iter().filter(move |grant| {
            grant.target == target
                && grant.verbs.contains(&verb)
                && (grant.to == principal
                    || self.groups.get(&grant.to).is_some_and(|members| members.contains(principal)))
        })
    }

    /// What a principal may do by a verb, over paths.
    pub fn scope(&self, principal: &str, limits: &Limits, verb: Verb) -> Scope {
        if limits.verbs.as_ref().is_some_and(|verbs| !verbs.contains(&verb)) {
            return Scope::default();
        }
        let mut scope = Scope { within: limits.paths.clone(), ..Scope::default() };
        for grant in self.rules_for(principal, verb, Target::Path) {
            let side = if grant.effect == Effect::Allow { &mut scope.allow } else { &mut scope.deny };
            side.extend(grant.patterns.iter().cloned());
        }
        scope
    }

    /// Decides about one path, tool or agent: a deny that matches wins, then an allow; else nothing is allowed. For a call
    /// of a tool it says whether there are arguments with which it is allowed; [`Self::decide_call`] knows them.
    pub fn decide(
        &self,
        principal: &str,
        limits: &Limits,
        verb: Verb,
        target: Target,
        name: &str,
    ) -> Decision {
        self.decide_with(principal, limits, (verb, target, name), Arguments::Open)
    }

    /// Whether something is given by a verb on any tool or agent at all; a deny of single ones takes nothing of that.
    pub fn gives_any(&self, principal: &str, limits: &Limits, verb: Verb, target: Target) -> bool {
        self.principals.contains_key(principal)
            && !limits.exclude(verb, target, "")
            && self.rules_for(principal, verb, target).any(|grant| grant.effect == Effect::Allow)
    }

    /// Decides about one call of a tool, with its arguments.
    pub fn decide_call(
        &self,
        principal: &str,
        limits: &Limits,
        tool: &str,
        arguments: &serde_json::Value,
    ) -> Decision {
        self.decide_with(principal, limits, (Verb::Call, Target::Tool, tool), Arguments::Given(arguments))
    }

    fn decide_with(
        &self,
        principal: &str,
        limits: &Limits,
        (verb, target, name): (Verb, Target, &str),
        arguments: Arguments<'_>,
    ) -> Decision {
        let denied = |rule: &str| Decision { allowed: false, rule: rule.to_owned() };
        if !self.principals.contains_key(principal) {
            return denied("default");
        }
        let folded = fold(name);
        if limits.exclude(verb, target, &folded) {
            return denied("token");
        }
        let matching = |effect: Effect| {
            self.rules_for(principal, verb, target).find(|grant| {
                grant.effect == effect
                    && grant.patterns.iter().any(|pattern| pattern.matches(&folded))
                    && (verb != Verb::Call || grant.arguments.hold(effect, arguments))
            })
        };
        match (matching(Effect::Deny), matching(Effect::Allow)) {
            (Some(deny), _) => denied(&deny.id),
            (None, Some(allow)) => Decision { allowed: true, rule: allow.id.clone() },
            (None, None) => denied("default"),
        }
    }

    /// The gate before an act, where there is one.
    pub fn gate(&self, verb: Verb, path: &str) -> Option<&Gate> {
        let folded = fold(path);
        self.gates.iter().find(|gate| gate.verbs.contains(&verb) && gate.pattern.matches(&folded))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grant(to: &str, path: &str, verbs: &[Verb], effect: Effect) -> Grant {
        Grant::new(to, Target::Path, &[path.to_owned()], verbs.iter().copied().collect(), effect, "").unwrap()
    }

    fn policy() -> Policy {
        let mut policy = Policy::default();
        policy.principals.insert("agent:a".to_owned(), String::new());
        policy.groups.insert("group:g".to_owned(), BTreeSet::from(["agent:a".to_owned()]));
        policy.grants = vec![
            grant("group:g", "/w/**", &[Verb::Read, Verb::List], Effect::Allow),
            grant("agent:a", "/w/Secret/**", &[Verb::Read], Effect::Deny),
            grant("agent:a", "/inbox/**", &[Verb::Write], Effect::Allow),
        ];
        policy
    }

    #[test]
    fn nothing_by_default_and_a_deny_wins() {
        let policy = policy();
        let limits = Limits::default();
        let allowed =
            |who: &str, verb, path: &str| policy.decide(who, &limits, verb, Target::Path, path).allowed;
        assert!(allowed("agent:a", Verb::Read, "/w/x.md"));
        assert!(!allowed("agent:a", Verb::Read, "/w/secret/x.md"));
        assert!(allowed("agent:a", Verb::List, "/w/secret/x.md"));
        assert!(!allowed("agent:a", Verb::Write, "/w/x.md"));
        assert!(
            allowed("agent:a", Verb::Write, "/inbox/x.md") && !allowed("agent:a", Verb::Read, "/inbox/x.md")
        );
        assert!(!allowed("agent:b", Verb::Read, "/w/x.md"));
        let scope = policy.scope("agent:a", &limits, Verb::Read);
        assert!(scope.allows("/w/x.md") && !scope.allows("/w/SECRET/x.md") && !scope.allows("/inbox/x.md"));
    }

    #[test]
    fn a_token_only_narrows() {
        let policy = policy();
        let limits = Limits {
            verbs: Some(BTreeSet::from([Verb::Read])),
            paths: Some(vec![Pattern::path("/w/a/**").unwrap()]),
        };
        let decide = |verb, path| policy.decide("agent:a", &limits, verb, Target::Path, path);
        assert!(decide(Verb::Read, "/w/a/x").allowed);
        assert_eq!(decide(Verb::Read, "/w/b/x").rule, "token");
        assert_eq!(decide(Verb::List, "/w/a/x").rule, "token");
        let scope = policy.scope("agent:a", &limits, Verb::Read);
        assert!(scope.allows("/w/a/x") && !scope.allows("/w/b/x"));
        assert!(policy.scope("agent:a", &limits, Verb::List).is_nothing());
    }

    #[test]
    fn a_scope_meets_a_place_where_something_of_it_is_left() {
        let mut policy = policy();
        let place = |text: &str| Pattern::path(text).unwrap();
        let limits = Limits::default();
        let scope = policy.scope("agent:a", &limits, Verb::Read);
        assert!(scope.meets(&place("/w/tasks/*")) && scope.meets(&place("/w")));
        assert!(!scope.meets(&place("/w/secret/*")) && !scope.meets(&place("/inbox/*")));
        assert_eq!(scope.tops(), BTreeSet::from(["w".to_owned()]));
        assert!(!scope.overlaps(&policy.scope("agent:a", &limits, Verb::Write)));
        policy.grants.push(grant("agent:a", "/w/drafts/**", &[Verb::Write], Effect::Allow));
        assert!(scope.overlaps(&policy.scope("agent:a", &limits, Verb::Write)));
        let narrow = Limits { paths: Some(vec![place("/w/a/**")]), ..Limits::default() };
        let scope = policy.scope("agent:a", &narrow, Verb::Read);
        assert!(scope.meets(&place("/w/a/*")) && !scope.meets(&place("/w/tasks/*")));
    }

    #[test]
    fn a_scope_holds_all_of_a_place_where_no_rule_takes_anything_of_it() {
        let policy = policy();
        let place = |text: &str| Pattern::path(text).unwrap();
        let scope = policy.scope("agent:a", &Limits::default(), Verb::Read);
        assert!(scope.holds_all(&place("/w/a/**")) && scope.holds_all(&place("/w/a.md")));
        assert!(!scope.holds_all(&place("/w/**")), "something of it is denied");
        assert!(!scope.holds_all(&place("/inbox/**")) && Scope::everything().holds_all(&place("/**")));
    }

    #[test]
    fn two_scopes_share_a_place_where_both_have_something_of_it() {
        let mut policy = policy();
        for (to, path, effect) in [
            ("agent:h", "/w/**", Effect::Allow),
            ("agent:r", "/w/pub/**", Effect::Allow),
            ("agent:r", "/w/pub/own/**", Effect::Deny),
        ] {
            policy.grants.push(grant(to, path, &[Verb::Write], effect));
        }
        let of = |who| policy.scope(who, &Limits::default(), Verb::Write);
        for (path, expected) in [
            ("/w/pub/a.md", true),
            ("/w/pub/**", true),
            ("/w/**", true),
            ("/w/*/a.md", true),
            ("/w/pub/own/a.md", false),
            ("/w/pub/own/**", false),
            ("/w/other/**", false),
            ("/inbox/**", false),
        ] {
            let place = Pattern::path(path).unwrap();
            assert_eq!(of("agent:h").shares(&of("agent:r"), &place), expected, "{path}");
            assert_eq!(of("agent:r").shares(&of("agent:h"), &place), expected, "{path}");
        }
    }

    #[test]
    fn the_same_grant_has_the_same_id() {
        let first = grant("agent:a", "/w/**", &[Verb::Read], Effect::Allow);
        assert_eq!(first.id, grant("agent:a", "/w/**", &[Verb::Read], Effect::Allow).id);
        assert_ne!(first.id, grant("agent:a", "/w/**", &[Verb::Read], Effect::Deny).id);
    }
}
