//! Signing a browser in to the console, and out.

use std::sync::Arc;
use std::time::Instant;

use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use serde::Serialize;
use waypost_engine::api::Session;

use super::extract::{NoParams, Params};
use crate::auth::TokenId;
use crate::console::sign::{Signed, check_page};
use crate::problem::Problem;
use crate::serve::App;

/// Of `POST /v1/session`. The other half comes as a cookie.
#[derive(Debug, Serialize, schemars::JsonSchema)]
pub struct Opened {
    principal: String,
    admin: bool,
    /// For the header `X-Waypost-Console`, shown once.
    key: String,
    /// Until it ends at the latest; unused, it ends sooner.
    expires_in_seconds: u64,
}

/// Of `GET /v1/session`.
#[derive(Debug, Serialize, schemars::JsonSchema)]
pub struct SessionInfo {
    principal: String,
    admin: bool,
    /// The public id of the token that it stands for.
    token: String,
    /// Whether a sign-in signed this request, and no token.
    console: bool,
}

/// `POST /v1/session`: takes the bearer token, once.
pub async fn open(
    State(app): State<Arc<App>>,
    Extension(session): Extension<Session>,
    Extension(token): Extension<TokenId>,
    signed: Option<Extension<Signed>>,
    Params(NoParams {}): Params<NoParams>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    // One sign-in may not lengthen itself for ever: each begins with a token.
    if signed.is_some() {
        return Err(Problem::unauthorized("expected one bearer token"));
    }
    // A script that has a token is no browser; a page of others that has one still signs nobody in here.
    if headers.contains_key(header::ORIGIN) {
        check_page(&Method::POST, &headers)?;
    }
    let noted = move || session.record_sign(true).map(|()| session.principal());
    let principal = app.bridge.run(noted).await?;
    let opened = app.sign.open(&token, Instant::now());
    let kept_nowhere = (header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    let reply = Opened {
        principal: principal.id,
        admin: principal.admin,
        key: opened.key,
        expires_in_seconds: opened.lasts.as_secs(),
    };
    let cookie = (header::SET_COOKIE, opened.cookie);
    Ok((StatusCode::CREATED, [cookie, kept_nowhere], Json(reply)).into_response())
}

/// `GET /v1/session`.
pub async fn one(
    State(app): State<Arc<App>>,
    Extension(session): Extension<Session>,
    signed: Option<Extension<Signed>>,
    Params(NoParams {}): Params<NoParams>,
) -> Result<Json<SessionInfo>, Problem> {
    let token = session.token_id().to_owned();
    let principal = app.bridge.run(move || Ok::<_, Problem>(session.principal())).await?;
    let console = signed.is_some();
    Ok(Json(SessionInfo { principal: principal.id, admin: principal.admin, token, console }))
}

/// `DELETE /v1/session`. With a token there is nothing to end.
pub async fn close(
    State(app): State<Arc<App>>,
    Extension(session): Extension<Session>,
    signed: Option<Extension<Signed>>,
    Params(NoParams {}): Params<NoParams>,
) -> Result<Response, Problem> {
    let Some(Extension(signed)) = signed else { return Ok(StatusCode::NO_CONTENT.into_response()) };
    let cookie = app.sign.close(&signed);
    app.bridge.run(move || session.record_sign(false)).await?;
    Ok((StatusCode::NO_CONTENT, [(header::SET_COOKIE, cookie)]).into_response())
}
