use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::{Extension, Json};
use serde_json::Value;
use waypost_engine::api::{AgentInfo, Session};

use super::extract::{Body, NoParams, Params, Path};
use super::made;
use crate::given;
use crate::paging::{Page, PageParams, page};
use crate::problem::Problem;
use crate::serve::App;

/// `GET /v1/agents`.
pub async fn all(
    State(app): State<Arc<App>>,
    Extension(session): Extension<Session>,
    Params(params): Params<PageParams>,
) -> Result<Json<Page<AgentInfo>>, Problem> {
    let agents = app.bridge.run(move || session.agents()).await?;
    page(agents, &params, |agent| agent.id.clone()).map(Json)
}

/// `GET /v1/agents/{id}`.
pub async fn one(
    State(app): State<Arc<App>>,
    Extension(session): Extension<Session>,
    Params(NoParams {}): Params<NoParams>,
    Path(id): Path<String>,
) -> Result<Json<AgentInfo>, Problem> {
    app.bridge.run(move || session.agent(&id)).await.map(Json)
}

/// `PUT /v1/agents/{id}`: a card, or `{"card_url": "https://…"}` where one lies.
pub async fn put(
    State(app): State<Arc<App>>,
    Extension(session): Extension<Session>,
    Params(NoParams {}): Params<NoParams>,
    Path(id): Path<String>,
    Body(mut card): Body<Value>,
) -> Result<(StatusCode, Json<AgentInfo>), Problem> {
    given::drop_nulls(&mut card);
    let url = card.as_object().filter(|object| object.len() == 1).and_then(|object| object.get("card_url"));
    let url = url.and_then(Value::as_str).map(str::to_owned);
    let put = move || match url {
        Some(url) => session.fetch_agent(&id, &url),
        None => session.put_agent(&id, &card),
    };
    let agent = app.bridge.run(put).await?;
    Ok((made(agent.created), Json(agent)))
}

/// `DELETE /v1/agents/{id}`.
pub async fn remove(
    State(app): State<Arc<App>>,
    Extension(session): Extension<Session>,
    Params(NoParams {}): Params<NoParams>,
    Path(id): Path<String>,
) -> Result<StatusCode, Problem> {
    app.bridge.run(move || session.remove_agent(&id)).await?;
    Ok(StatusCode::NO_CONTENT)
}
