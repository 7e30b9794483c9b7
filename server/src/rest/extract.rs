use std::collections::BTreeSet;

use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{
    DefaultBodyLimit, FromRequest, FromRequestParts, OptionalFromRequest, Path as RawPath, Query, Request,
};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode, header};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer};
use serde_json::Value;
use waypost_engine::access::Verb;

use crate::given::{self, Once, in_plain_words};
use crate::incoming;
use crate::problem::Problem;
use crate::serve::{MAX_BODY_BYTES, MAX_FILE_BODY_BYTES};

/// A body of JSON, with what is wrong with it said as a problem.
pub struct Body<T>(pub T);

/// The query string; unknown names are refused where `T` refuses them.
pub struct Params<T>(pub T);

/// What stands in the route's places, such as `{id}`, decoded.
pub struct Path<T>(pub T);

/// The rest of the path, decoded: `/<workspace>/<folders>/<file>`.
pub struct FilePath(pub String);

/// A body of any bytes, up to the limit for files.
pub struct Content(pub Bytes);

impl<S: Send + Sync> FromRequest<S> for Content {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        whole(request, MAX_FILE_BODY_BYTES, state).await.map(Self)
    }
}

/// For routes without parameters.
#[derive(Debug, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NoParams {}

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Body<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        if !is_json(request.headers()) {
            let detail = "the body's `Content-Type` is not JSON";
            return Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported_type", detail));
        }
        read_json(&whole(request, MAX_BODY_BYTES, state).await?).map(Self)
    }
}

impl<T: DeserializeOwned, S: Send + Sync> OptionalFromRequest<S> for Body<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Option<Self>, Problem> {
        if !request.headers().contains_key(header::CONTENT_TYPE) {
            return Ok(None);
        }
        <Self as FromRequest<S>>::from_request(request, state).await.map(Some)
    }
}

/// A body up to a limit; one that says itself that it is longer is refused before it comes.
async fn whole<S: Send + Sync>(mut request: Request, limit: usize, state: &S) -> Result<Bytes, Problem> {
    if let Err(problem) = incoming::fits(request.headers(), limit) {
        incoming::linger(request.into_body());
        return Err(problem);
    }
    DefaultBodyLimit::max(limit).apply(&mut request);
    Bytes::from_request(request, state).await.map_err(|rejection| unread(&rejection, limit))
}

fn unread(rejection: &BytesRejection, limit: usize) -> Problem {
    if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE {
        return Problem::too_large(limit);
    }
    Problem::invalid("the body ended before it was complete")
}

fn is_json(headers: &HeaderMap) -> bool {
    let value = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let essence = value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    essence == "application/json" || (essence.starts_with("application/") && essence.ends_with("+json"))
}

fn read_json<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Problem> {
    let wrong = match serde_json::from_slice(bytes) {
        Ok(read) => return Ok(read),
        Err(wrong) => wrong,
    };
    let given: Value = serde_json::from_slice(bytes).map_err(|error| {
        Problem::new(StatusCode::BAD_REQUEST, "invalid_json", in_plain_words(&error.to_string()))
    })?;
    let has_nulls = given.as_object().is_some_and(|members| members.values().any(Value::is_null));
    // A name that stands there twice is lost on the way.
    if let Err(twice) = serde_json::from_slice::<Once>(bytes) {
        return Err(Problem::invalid(in_plain_words(&twice.to_string())));
    }
    let said = match given::read(given) {
        Ok(read) if has_nulls => return Ok(read),
        Ok::<T, _>(_) => in_plain_words(&wrong.to_string()),
        Err(said) => said,
    };
    Err(Problem::invalid(said))
}

/// Verbs as a list, or in one text, separated by commas.
pub fn verbs<'de, D: Deserializer<'de>>(given: D) -> Result<BTreeSet<Verb>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged, expecting = "expected a list of verbs, such as [\"list\", \"read\"]")]
    enum Given {
        Many(Vec<String>),
        One(String),
    }
    let words = match Given::deserialize(given)? {
        Given::Many(words) => words,
        Given::One(text) => text.split(',').map(|word| word.trim().to_owned()).collect(),
    };
    words.iter().map(|word| word.parse().map_err(serde::de::Error::custom)).collect()
}

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for Params<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        match Query::<T>::from_request_parts(parts, state).await {
            Ok(Query(params)) => Ok(Self(params)),
            Err(rejection) => Err(Problem::invalid(in_plain_words(&rejection.body_text()))),
        }
    }
}

impl<S: Send + Sync> FromRequestParts<S> for FilePath {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let Path(path) = Path::<String>::from_request_parts(parts, state).await?;
        Ok(Self(format!("/{path}")))
    }
}

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for Path<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        match RawPath::<T>::from_request_parts(parts, state).await {
            Ok(RawPath(places)) => Ok(Self(places)),
            Err(_) => Err(Problem::new(StatusCode::BAD_REQUEST, "invalid_path", "the path is not UTF-8")),
        }
    }
}
