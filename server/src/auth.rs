//! Takes the `Authorization` header, gives the session of the token's principal; without one, 401.
//!
//! Nouns: [`Session`] of the engine and [`TokenId`], both found in the request's extensions afterwards. Only the
//! header counts: a token in the URL or in a cookie is no token. Pages of the console sign their requests in a way of
//! their own, on routes under `/v1/` alone; then [`Signed`] is there as well.

use std::sync::Arc;
use std::time::Instant;

use axum::extract::{Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use waypost_engine::api::Session;

use crate::console::sign::Signed;
use crate::discovery::Discovery;
use crate::problem::Problem;
use crate::serve::App;
use crate::spans::{self, TRACEPARENT};
use crate::streams;

/// A caller's name for its request; what the answer says of it stands in the audit log as well.
const REQUEST_ID: &str = "x-request-id";
/// Longer than any token of ours.
const MAX_TOKEN_BYTES: usize = 256;

/// The public part of a token that was checked: it tells two tokens apart and proves nothing.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct TokenId(String);

impl TokenId {
    /// As text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// `wp_<id>_<secret>` → `<id>`.
    pub(crate) fn of(token: &str) -> Option<Self> {
        let (id, _) = token.strip_prefix("wp_")?.split_once('_')?;
        Some(Self(id.to_owned()))
    }
}

/// Lets only requests with a valid token through, and tells the rest of the way whose it is.
pub async fn layer(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    // The body can't be shared between threads, so only the head is looked at while others may wait.
    let (mut head, body) = request.into_parts();
    match authenticate(&app, &head).await {
        Ok((session, id, signed)) => {
            let session = match trace(&head.headers) {
                Some(trace) => session.with_trace(trace),
                None => session,
            };
            let session = spans::placed(session);
            let trace = HeaderValue::from_str(session.trace_id());
            head.extensions.insert(session);
            head.extensions.insert(id.clone());
            if let Some(signed) = signed.clone() {
                head.extensions.insert(signed);
            }
            let mut response = match app.limits.load().take(&id, Instant::now()) {
                Ok(()) => next.run(Request::from_parts(head, body)).await,
                Err(problem) => problem.into_response(),
            };
            // By this name the audit log knows the request.
            if let Ok(trace) = trace {
                response.headers_mut().insert(REQUEST_ID, trace);
            }
            streams::bound_to_token(&app, &id, signed, response)
        }
        Err(problem) => challenged(&app, &head, problem).into_response(),
    }
}

/// With the place of the metadata in the challenge, where there is one.
fn challenged(app: &App, head: &Parts, mut problem: Problem) -> Problem {
    let challenge = |discovery: &Discovery| discovery.challenge(head.uri.path(), &head.headers);
    let Some(challenge) = app.discovery.as_ref().and_then(challenge) else { return problem };
    let told = problem.headers.as_mut().and_then(|headers| headers.get_mut(header::WWW_AUTHENTICATE));
    if let Some(told) = told {
        *told = challenge;
    }
    problem
}

/// The caller's name for what it does: the trace id of `traceparent` (W3C Trace Context), or `x-request-id`. Without
/// either it has that of its own span, where spans are sent.
fn trace(headers: &HeaderMap) -> Option<&str> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let traced = text(TRACEPARENT).and_then(spans::trace_of);
    traced.or_else(|| text(REQUEST_ID).filter(|id| !id.is_empty()))
}

async fn authenticate(app: &App, head: &Parts) -> Result<(Session, TokenId, Option<Signed>), Problem> {
    // A request that shows a token, even a wrong one, is not signed by a cookie as well.
    if !head.headers.contains_key(header::AUTHORIZATION) {
        let signed = app.sign.check(head, Instant::now())?;
        let (engine, id) = (Arc::clone(&app.engine), signed.token.clone());
        let session = app.tokens.run(move || engine.session_of_token(id.as_str())).await?;
        return Ok((session, signed.token.clone(), Some(signed)));
    }
    let token = bearer(&head.headers).ok_or_else(|| Problem::unauthorized("expected one bearer token"))?;
    let unknown = || Problem::unauthorized("the token is not known here, was revoked, or has run out");
    let id = TokenId::of(token).ok_or_else(unknown)?;
    if let Some(session) = app.engine.known_session(token) {
        return Ok((session, id, None));
    }
    let (engine, token) = (Arc::clone(&app.engine), token.to_owned());
    let session = app.tokens.run(move || engine.session(&token)).await?;
    Ok((session, id, None))
}

pub(crate) fn bearer(headers: &HeaderMap) -> Option<&str> {
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let value = values.next()?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    let is_one = values.next().is_none() && !token.is_empty() && token.len() <= MAX_TOKEN_BYTES;
    let is_plain = token.bytes().all(|byte| byte.is_ascii_graphic());
    (scheme.eq_ignore_ascii_case("bearer") && is_one && is_plain).then_some(token)
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    #[test]
    fn only_one_plain_bearer_token_counts() {
        for (values, expected) in [
            (&["Bearer wp_1_a"][..], Some("wp_1_a")),
            (&["bEaReR wp_1_a"], Some("wp_1_a")),
            (&["Bearer  wp_1_a"], None),
            (&["Bearer wp_1_a x"], None),
            (&["Bearer "], None),
            (&["Bearer"], None),
            (&["Basic wp_1_a"], None),
            (&["wp_1_a"], None),
            (&["Bearer wp_1_a", "Bearer wp_2_b"], None),
            (&[], None),
        ] {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(header::AUTHORIZATION, HeaderValue::from_static(value));
            }
            assert_eq!(bearer(&headers), expected, "{values:?}");
        }
    }
}
