use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{
    DefaultBodyLimit, FromRequest, FromRequestParts, OptionalFromRequest, Path, Query, Request,
};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode, header};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::problem::Problem;
use crate::serve::{MAX_BODY_BYTES, MAX_FILE_BODY_BYTES};

/// A body of JSON, with what is wrong with it said as a problem.
pub struct Body<T>(pub T);

/// The query string; unknown names are refused where `T` refuses them.
pub struct Params<T>(pub T);

/// The rest of the path, decoded: `/<workspace>/<folders>/<file>`.
pub struct FilePath(pub String);

/// A body of any bytes, up to the limit for files.
pub struct Content(pub Bytes);

impl<S: Send + Sync> FromRequest<S> for Content {
    type Rejection = Problem;

    async fn from_request(mut request: Request, state: &S) -> Result<Self, Problem> {
        DefaultBodyLimit::max(MAX_FILE_BODY_BYTES).apply(&mut request);
        let bytes = Bytes::from_request(request, state).await.map_err(|rejection| {
            if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE {
                return Problem::too_large(MAX_FILE_BODY_BYTES);
            }
            unread(&rejection)
        })?;
        Ok(Self(bytes))
    }
}

/// For routes without parameters.
#[derive(Debug, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NoParams {}

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Body<T> {
    type Rejection = Problem;

    async fn from_request(mut request: Request, state: &S) -> Result<Self, Problem> {
        if !is_json(request.headers()) {
            let detail = "the body's `Content-Type` is not JSON";
            return Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported_type", detail));
        }
        DefaultBodyLimit::max(MAX_BODY_BYTES).apply(&mut request);
        let bytes = Bytes::from_request(request, state).await.map_err(|rejection| unread(&rejection))?;
        read_json(&bytes).map(Self)
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

fn unread(rejection: &BytesRejection) -> Problem {
    if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE {
        return Problem::too_large(MAX_BODY_BYTES);
    }
    Problem::invalid("the body ended before it was complete")
}

fn is_json(headers: &HeaderMap) -> bool {
    let value = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let essence = value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    essence == "application/json" || (essence.starts_with("application/") && essence.ends_with("+json"))
}

fn read_json<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Problem> {
    serde_json::from_slice(bytes).map_err(|error| {
        let detail = error.to_string();
        if error.is_data() {
            Problem::invalid(detail)
        } else {
            Problem::new(StatusCode::BAD_REQUEST, "invalid_json", detail)
        }
    })
}

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for Params<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        match Query::<T>::from_request_parts(parts, state).await {
            Ok(Query(params)) => Ok(Self(params)),
            Err(rejection) => Err(Problem::invalid(rejection.body_text())),
        }
    }
}

impl<S: Send + Sync> FromRequestParts<S> for FilePath {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        match Path::<String>::from_request_parts(parts, state).await {
            Ok(Path(path)) => Ok(Self(format!("/{path}"))),
            Err(_) => Err(Problem::new(StatusCode::BAD_REQUEST, "invalid_path", "the path is not UTF-8")),
        }
    }
}
