//! Principals, groups, tokens, grants, gates and the policy as a whole.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::{Extension, Json};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use waypost_engine::access::{
    Effect, Gate, Grant, Kind, Limits, NewToken, OneOrMany, PolicyDiff, Target, Verb,
};
use waypost_engine::api::{Error, Explanation, PrincipalInfo, Session, TokenInfo};
use waypost_engine::clock::parse_rfc3339;
use waypost_engine::pattern::Pattern;

use super::extract::{Body, Content, NoParams, Params, Path};
use super::made;
use crate::paging::{Page, PageParams, find, page, page_in_order};
use crate::problem::Problem;
use crate::serve::App;

/// Of `POST /v1/principals`: an id, or a kind and a name to make one of.
#[derive(Debug, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PrincipalRequest {
    id: Option<String>,
    kind: Option<Kind>,
    #[serde(default)]
    name: String,
    #[serde(default)]
    groups: Vec<String>,
}

/// Of `PUT /v1/groups/{id}`.
#[derive(Debug, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GroupRequest {
    members: BTreeSet<String>,
}

/// A group, as it is listed.
#[derive(Debug, Serialize, schemars::JsonSchema)]
pub struct GroupInfo {
    id: String,
    members: BTreeSet<String>,
}

/// Of `POST /v1/tokens`.
#[derive(Debug, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TokenRequest {
    principal: String,
    #[serde(default)]
    name: String,
    #[serde(alias = "expires")]
    expires_at: Option<String>,
    #[serde(alias = "expires_in", alias = "ttl_seconds")]
    expires_in_seconds: Option<u64>,
    verbs: Option<BTreeSet<Verb>>,
    paths: Option<Vec<String>>,
}

/// Of `POST /v1/grants`.
#[derive(Debug, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GrantRequest {
    #[serde(alias = "principal", alias = "group")]
    to: String,
    #[serde(alias = "paths", alias = "pattern")]
    path: Option<OneOrMany>,
    #[serde(alias = "tools")]
    tool: Option<OneOrMany>,
    #[serde(alias = "agents")]
    agent: Option<OneOrMany>,
    #[serde(alias = "verb", deserialize_with = "super::extract::verbs")]
    verbs: BTreeSet<Verb>,
    effect: Option<Effect>,
    #[serde(default, deserialize_with = "crate::given::not_null")]
    arguments: BTreeMap<String, OneOrMany>,
    #[serde(default)]
    note: String,
}

#[derive(Debug, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ExplainParams {
    principal: String,
    verb: Verb,
    path: Option<String>,
    tool: Option<String>,
    agent: Option<String>,
    /// Of a call, as JSON.
    arguments: Option<String>,
}

/// Of `POST /v1/gates`.
#[derive(Debug, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GateRequest {
    #[serde(alias = "pattern")]
    path: String,
    #[serde(default)]
    verbs: BTreeSet<Verb>,
    #[serde(default)]
    note: String,
}

#[derive(Debug, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PolicyParams {
    #[serde(default)]
    keep: bool,
    /// `empty`: the file names nothing on purpose, and everything goes.
    confirm: Option<Confirmed>,
}

/// What is meant as it stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Confirmed {
    /// A policy without a rule.
    Empty,
}

/// Of `GET /v1/whoami`.
#[derive(Debug, Serialize, schemars::JsonSchema)]
pub struct WhoAmI {
    principal: String,
    admin: bool,
    token: String,
}

/// Of `POST /v1/tokens`: the secret, once.
#[derive(Serialize, schemars::JsonSchema)]
pub struct Issued {
    id: String,
    token: String,
    principal: String,
}

/// `GET /v1/whoami`.
pub async fn whoami(
    State(app): State<Arc<App>>,
    Extension(session): Extension<Session>,
    Params(NoParams {}): Params<NoParams>,
) -> Result<Json<WhoAmI>, Problem> {
    let token = session.token_id().to_owned();
    let principal = app.bridge.run(move || Ok::<_, Problem>(session.principal())).await?;
    Ok(Json(WhoAmI { principal: principal.id, admin: principal.admin, token }))
}

/// `GET /v1/principals`.
pub async fn principals(
    State(app): State<Arc<App>>,
    Extension(session): Extension<Session>,
    Params(params): Params<PageParams>,
) -> Result<Json<Page<PrincipalInfo>>, Problem> {
    let principals = app.bridge.run(move || session.principals()).await?;
    page(principals, &params, |principal| principal.id.clone()).map(Json)
}

/// `GET /v1/principals/{id}`.
pub async fn principal(
    State(app): State<Arc<App>>,
    Extension(session): Extension<Session>,
    Path(id): Path<String>,
    Params(NoParams {}): Params<NoParams>,
) -> Result<Json<PrincipalInfo>, Problem> {
    let all = app.bridge.run(move || session.principals()).await?;
    find(all, "principal", &id, |one| &one.id).map(Json)
}

/// `POST /v1/principals`.
pub async fn put_principal(
    State(app): State<Arc<App>>,
    Extension(session): Extension<Session>,
    Params(NoParams {}): Params<NoParams>,
    Body(request): Body<PrincipalRequest>,
) -> Result<(StatusCode, Json<PrincipalInfo>), Problem> {
    let id = match (request.id, request.kind) {
        (Some(id), None) => id,
        (Some(id), Some(kind)) if id.contains(':') && id.starts_with(prefix(kind)) => id,
        (Some(id), Some(kind)) if !id.contains(':') => format!("{}{id}", prefix(kind)),
        (None, Some(kind)) if !request.name.is_empty() => format!("{}{}", prefix(kind), request.name),
        _ => return Err(Problem::invalid("expected `id`, such as `agent:researcher`, or `kind` and `name`")),
    };
    let name = Some(request.name).filter(|name| !name.is_empty());
    let groups: Vec<String> = request.groups.into_iter().map(group_id).collect();
    let put = move || session.put_principal(&id, name.as_deref(), &groups);
    let principal = app.bridge.run(put).await?;
    Ok((made(principal.created), Json(principal)))
}

fn prefix(kind: Kind) -> &'static str {
    match kind {
        Kind::Agent => "agent:",
        Kind::Human => "human:",
        Kind::Service => "service:",
    }
}

/// `DELETE /v1/principals/{id}`.
pub async fn remove_principal(
    State(app): State<Arc<App>>,
    Extension(session): Extension<Session>,
    Path(id): Path<String>,
    Params(NoParams {}): Params<NoParams>,
) -> Result<StatusCode, Problem> {
    app.bridge.run(move || session.remove_principal(&id)).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// A group by its name alone.
fn group_id(name: String) -> String {
    if name.is_empty() || name.contains(':') { name } else { format!("group:{name}") }
}

/// `GET /v1/groups`.
pub async fn groups(
    State(app): State<Arc<App>>,
    Extension(session): Extension<Session>,
    Params(params): Params<PageParams>,
) -> Result<Json<Page<GroupInfo>>, Problem> {
    let groups = app.bridge.run(move || session.groups()).await?;
    let groups = groups.into_iter().map(|(id, members)| GroupInfo { id, members }).collect();
    page(groups, &params, |group: &GroupInfo| group.id.clone()).map(Json)
}

/// `PUT /v1/groups/{id}`.
pub async fn put_group(
    State(app): State<Arc<App>>,
    Extension(session): Extension<Session>,
    Path(id): Path<String>,
    Params(NoParams {}): Params<NoParams>,
    Body(request): Body<GroupRequest>,
) -> Result<Json<GroupInfo>, Problem> {
    let group = GroupInfo { id: group_id(id), members: request.members };
    let put = move || session.put_group(&group.id, &group.members).map(|()| group);
    app.bridge.run(put).await.map(Json)
}

/// `DELETE /v1/groups/{id}`.
pub async fn remove_group(
    State(app): State<Arc<App>>,
    Extension(session): Extension<Session>,
    Path(id): Path<String>,
    Params(NoParams {}): Params<NoParams>,
) -> Result<StatusCode, Problem> {
    app.bridge.run(move || session.put_group(&group_id(id), &BTreeSet::new())).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// `GET /v1/tokens`.
pub async fn tokens(
    State(app): State<Arc<App>>,
    Extension(session): Extension<Session>,
    Params(params): Params<PageParams>,
) -> Result<Json<Page<TokenInfo>>, Problem> {
    let tokens = app.bridge.run(move || session.tokens()).await?;
    page_in_order(tokens, &params).map(Json)
}

/// `GET /v1/tokens/{id}`.
pub async fn token(
    State(app): State<Arc<App>>,
    Extension(session): Extension<Session>,
    Path(id): Path<String>,
    Params(NoParams {}): Params<NoParams>,
) -> Result<Json<TokenInfo>, Problem> {
    let all = app.bridge.run(move || session.tokens()).await?;
    find(all, "token", &id, |one| &one.id).map(Json)
}

/// `POST /v1/tokens`: the only answer that ever holds the secret.
pub async fn issue_token(
    State(app): State<Arc<App>>,
    Extension(session): Extension<Session>,
    Params(NoParams {}): Params<NoParams>,
    Body(request): Body<TokenRequest>,
) -> Result<(StatusCode, Json<Issued>), Problem> {
    let new = read_token(request)?;
    let principal = new.principal.clone();
    let issued = app.bridge.run(move || session.issue_token(&new)).await?;
    Ok((StatusCode::CREATED, Json(Issued { id: issued.id, token: issued.token, principal })))
}

fn read_token(request: TokenRequest) -> Result<NewToken, Problem> {
    let now_ms = waypost_engine::clock::Clock::System.now_ms();
    let expires_ms = match (request.expires_at, request.expires_in_seconds) {
        (None, None) => None,
        (Some(at), None) => Some(parse_rfc3339(&at).ok_or_else(|| {
            Problem::invalid("`expires_at` is no time: expected one such as `2026-12-31T00:00:00Z`")
        })?),
        (None, Some(seconds)) => {
            Some(now_ms.saturating_add(i64::try_from(seconds).unwrap_or(i64::MAX).saturating_mul(1000)))
        }
        (Some(_), Some(_)) => {
            return Err(Problem::invalid("expected at most one of `expires_at` and `expires_in_seconds`"));
        }
    };
    if expires_ms.is_some_and(|expires_ms| expires_ms <= now_ms) {
        return Err(Problem::invalid("the token would have run out before it is used"));
    }
    let paths = request
        .paths
        .map(|paths| paths.iter().map(|text| Pattern::path(text)).collect::<Result<Vec<_>, _>>())
        .transpose()
        .map_err(|error| Problem::from(Error::Access(error.into())))?;
    let is_empty = [
        ("verbs", request.verbs.as_ref().is_some_and(BTreeSet::is_empty)),
        ("paths", paths.as_ref().is_some_and(Vec::is_empty)),
    ];
    if let Some((field, _)) = is_empty.iter().find(|(_, is_empty)| *is_empty) {
        return Err(Problem::invalid(format!(
            "`{field}` is empty, and the token would reach nothing: expected at least one, or none of it for all that its \
             principal may do"
        )));
    }
    let limits = Limits { verbs: request.verbs, paths };
    Ok(NewToken { principal: request.principal, name: request.name, expires_ms, limits })
}

/// `DELETE /v1/tokens/{id}`.
pub async fn revoke_token(
    State(app): State<Arc<App>>,
    Extension(session): Extension<Session>,
    Path(id): Path<String>,
    Params(NoParams {}): Params<NoParams>,
) -> Result<StatusCode, Problem> {
    app.bridge.run(move || session.revoke_token(&id)).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// `GET /v1/grants`.
pub async fn grants(
    State(app): State<Arc<App>>,
    Extension(session): Extension<Session>,
    Params(params): Params<PageParams>,
) -> Result<Json<Page<Grant>>, Problem> {
    let grants = app.bridge.run(move || session.grants()).await?;
    page(grants, &params, |grant| grant.id.clone()).map(Json)
}

/// `GET /v1/grants/{id}`.
pub async fn grant(
    State(app): State<Arc<App>>,
    Extension(session): Extension<Session>,
    Path(id): Path<String>,
    Params(NoParams {}): Params<NoParams>,
) -> Result<Json<Grant>, Problem> {
    let all = app.bridge.run(move || session.grants()).await?;
    find(all, "grant", &id, |one| &one.id).map(Json)
}

/// `POST /v1/grants`.
pub async fn put_grant(
    State(app): State<Arc<App>>,
    Extension(session): Extension<Session>,
    Params(NoParams {}): Params<NoParams>,
    Body(request): Body<GrantRequest>,
) -> Result<(StatusCode, Json<Grant>), Problem> {
    let (target, patterns) = match (request.path, request.tool, request.agent) {
        (Some(paths), None, None) => (Target::Path, paths.list()),
        (None, Some(tools), None) => (Target::Tool, tools.list()),
        (None, None, Some(agents)) => (Target::Agent, agents.list()),
        _ => return Err(Problem::invalid("expected exactly one of `path`, `tool`, `agent`")),
    };
    let effect = request.effect.unwrap_or(Effect::Allow);
    let arguments = request.arguments.into_iter().map(|(name, patterns)| (name, patterns.list())).collect();
    let grant = Grant::new(&request.to, target, &patterns, request.verbs, effect, &request.note)
        .and_then(|grant| grant.with_arguments(&arguments))
        .map_err(Error::from)?;
    let put = move || session.put_grant(&grant).map(|is_new| (grant, is_new));
    let (grant, is_new) = app.bridge.run(put).await?;
    Ok((made(is_new), Json(grant)))
}

/// `DELETE /v1/grants/{id}`.
pub async fn remove_grant(
    State(app): State<Arc<App>>,
    Extension(session): Extension<Session>,
    Path(id): Path<String>,
    Params(NoParams {}): Params<NoParams>,
) -> Result<StatusCode, Problem> {
    app.bridge.run(move || session.remove_grant(&id)).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// `GET /v1/grants/explain`.
pub async fn explain(
    State(app): State<Arc<App>>,
    Extension(session): Extension<Session>,
    Params(params): Params<ExplainParams>,
) -> Result<Json<Explanation>, Problem> {
    let (target, name) = match (params.path, params.tool, params.agent) {
        (Some(path), None, None) => (Target::Path, path),
        (None, Some(tool), None) => (Target::Tool, tool),
        (None, None, Some(agent)) => (Target::Agent, agent),
        _ => return Err(Problem::invalid("expected exactly one of `path`, `tool`, `agent`")),
    };
    let arguments = params.arguments.as_deref().map(call_arguments).transpose()?;
    let explain = move || match &arguments {
        Some(arguments) if target == Target::Tool && params.verb == Verb::Call => {
            session.explain_call(&params.principal, &name, arguments)
        }
        Some(_) => Err(Error::invalid_call_arguments()),
        None => session.explain_grant(&params.principal, params.verb, target, &name),
    };
    app.bridge.run(explain).await.map(Json)
}

fn call_arguments(text: &str) -> Result<Value, Problem> {
    serde_json::from_str(text).ok().filter(Value::is_object).ok_or_else(|| {
        Problem::invalid("`arguments` is no JSON object: expected one such as `{\"branch\":\"main\"}`")
    })
}

/// `GET /v1/gates`.
pub async fn gates(
    State(app): State<Arc<App>>,
    Extension(session): Extension<Session>,
    Params(params): Params<PageParams>,
) -> Result<Json<Page<Gate>>, Problem> {
    let gates = app.bridge.run(move || session.gates()).await?;
    page(gates, &params, |gate| gate.id.clone()).map(Json)
}

/// `POST /v1/gates`.
pub async fn put_gate(
    State(app): State<Arc<App>>,
    Extension(session): Extension<Session>,
    Params(NoParams {}): Params<NoParams>,
    Body(request): Body<GateRequest>,
) -> Result<(StatusCode, Json<Gate>), Problem> {
    let gate = Gate::new(&request.path, request.verbs, &request.note).map_err(Error::from)?;
    let (gate, is_new) = app.bridge.run(move || session.put_gate(&gate)).await?;
    Ok((made(is_new), Json(gate)))
}

/// `DELETE /v1/gates/{id}`.
pub async fn remove_gate(
    State(app): State<Arc<App>>,
    Extension(session): Extension<Session>,
    Path(id): Path<String>,
    Params(NoParams {}): Params<NoParams>,
) -> Result<StatusCode, Problem> {
    app.bridge.run(move || session.remove_gate(&id)).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// `POST /v1/policy/diff`, with a policy file as the body.
pub async fn diff_policy(
    State(app): State<Arc<App>>,
    Extension(session): Extension<Session>,
    Params(NoParams {}): Params<NoParams>,
    Content(bytes): Content,
) -> Result<Json<PolicyDiff>, Problem> {
    let text = policy_text(&bytes)?;
    app.bridge.run(move || session.diff_policy(&text)).await.map(Json)
}

/// `PUT /v1/policy`, with a policy file as the body.
pub async fn apply_policy(
    State(app): State<Arc<App>>,
    Extension(session): Extension<Session>,
    Params(params): Params<PolicyParams>,
    Content(bytes): Content,
) -> Result<Json<PolicyDiff>, Problem> {
    let text = policy_text(&bytes)?;
    let may_be_empty = params.confirm == Some(Confirmed::Empty);
    app.bridge.run(move || session.apply_policy(&text, params.keep, may_be_empty)).await.map(Json)
}

fn policy_text(bytes: &[u8]) -> Result<String, Problem> {
    String::from_utf8(bytes.to_vec()).map_err(|_| Problem::invalid("the policy is not UTF-8 text"))
}
