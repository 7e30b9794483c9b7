//! Where a command acts: in a home that it opens itself, or at a server that has the home open.
//!
//! Takes what is to be done in both forms, a call of the engine and a request to `/v1`, gives what either answers, as JSON. Nouns:
//! [`Place`], [`Server`], [`Ask`].

use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use clap::Args;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use thiserror::Error;
use waypost_engine::api::{Error as EngineError, Session};
use waypost_engine::net::{Client, Method, Outgoing, Reach, Url};

use super::{Globals, home};

/// Longer than a server takes for an answer.
const PATIENCE: Duration = Duration::from_secs(40);
/// For a file over a slow connection, or for a tool.
pub const LONG_PATIENCE: Duration = Duration::from_secs(2 * 3600);
/// Of an answer; a page of a list is far shorter.
const MAX_ANSWER_BYTES: usize = 16 << 20;
/// Pages of a list that are asked for at most.
const MAX_PAGES: usize = 10_000;
/// The status of an answer that has nothing to say.
const NO_CONTENT: u16 = 204;
/// Items of a page, from the second one on: as many as a server gives.
const PAGE_ITEMS: &str = "1000";

/// The flags that name a server.
#[derive(Args, Clone)]
pub struct At {
    /// Ask the server that has the home open, such as http://127.0.0.1:7077, in place of opening a home;
    /// without `--url` and `--home`, `WAYPOST_URL` names it
    #[arg(id = "server_url", long = "url", global = true, value_name = "URL")]
    url: Option<String>,
    /// Token to act with there; without it, `WAYPOST_TOKEN` has it
    #[arg(id = "server_token", long = "token", global = true, value_name = "T")]
    token: Option<String>,
}

impl At {
    /// The server that is named, or else the home, opened for its owner.
    pub fn place(&self, globals: &Globals) -> Result<Place> {
        self.place_or(globals, || home::owner(globals))
    }

    /// As [`Self::place`], where the home is opened in a way of its own.
    pub fn place_or(&self, globals: &Globals, open: impl FnOnce() -> Result<Session>) -> Result<Place> {
        match self.server(globals)? {
            Some(server) => Ok(Place::Server(server)),
            None => Ok(Place::Home(Box::new(open()?))),
        }
    }

    /// The server that is named.
    pub fn server(&self, globals: &Globals) -> Result<Option<Server>> {
        let Some(url) = self.url.clone().or_else(|| usual_server(globals)) else {
            ensure!(
                self.token.is_none(),
                "`--token` is for a server, and none is named: expected `--url`, or `WAYPOST_URL` without `--home`"
            );
            return Ok(None);
        };
        let token = self.token.clone().or_else(|| set_to("WAYPOST_TOKEN"));
        Server::at(&url, token.as_deref()).map(Some)
    }
}

/// The server that the environment names, where no flag names a home.
fn usual_server(globals: &Globals) -> Option<String> {
    if globals.home_is_flag { None } else { set_to("WAYPOST_URL") }
}

/// A variable of the environment; one that is empty counts as not set.
fn set_to(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// Where a command acts.
pub enum Place {
    /// As its owner.
    Home(Box<Session>),
    /// As the holder of a token.
    Server(Server),
}

impl Place {
    /// What the home gives, or the server answers.
    pub fn one<T: Serialize, E: Into<anyhow::Error>>(
        &self,
        at_home: impl FnOnce(&Session) -> Result<T, E>,
        ask: Ask<'_>,
    ) -> Result<Value> {
        match self {
            Self::Home(session) => said(&at_home(session).map_err(Into::into)?),
            Self::Server(server) => server.ask(ask),
        }
    }

    /// As [`Self::one`], of a request that is one body for both.
    pub fn asked<R: DeserializeOwned, T: Serialize>(
        &self,
        at_home: impl FnOnce(&Session, &R) -> Result<T, EngineError>,
        way: &[&str],
        body: Value,
    ) -> Result<Value> {
        match self {
            Self::Home(session) => said(&at_home(session, &serde_json::from_value(body)?)?),
            Self::Server(server) => server.ask(Ask::post(way, body)),
        }
    }

    /// As [`Self::one`], of lists: all items.
    pub fn all<T: Serialize, E: Into<anyhow::Error>>(
        &self,
        at_home: impl FnOnce(&Session) -> Result<Vec<T>, E>,
        ask: Ask<'_>,
    ) -> Result<Vec<Value>> {
        match self {
            Self::Home(session) => at_home(session).map_err(Into::into)?.iter().map(said).collect(),
            Self::Server(server) => Ok(taken(&mut server.whole(ask)?)),
        }
    }
}

/// A request to `/v1`.
#[derive(Clone)]
pub struct Ask<'a> {
    method: Method,
    way: Vec<&'a str>,
    query: Vec<(&'static str, String)>,
    body: Option<(&'static str, Vec<u8>)>,
    if_match: Option<String>,
    patience: Duration,
}

impl<'a> Ask<'a> {
    fn new(method: Method, way: &[&'a str], body: Option<Value>) -> Self {
        let body = body.map(|body| ("application/json", body.to_string().into_bytes()));
        Self { method, way: way.to_vec(), query: Vec::new(), body, if_match: None, patience: PATIENCE }
    }

    /// Reads; each part of the way is one name.
    pub fn get(way: &[&'a str]) -> Self {
        Self::new(Method::Get, way, None)
    }

    /// Does something.
    pub fn post(way: &[&'a str], body: Value) -> Self {
        Self::new(Method::Post, way, Some(body))
    }

    /// Puts something in its place.
    pub fn put(way: &[&'a str], body: Value) -> Self {
        Self::new(Method::Put, way, Some(body))
    }

    /// Changes something.
    pub fn patch(way: &[&'a str], body: Value) -> Self {
        Self::new(Method::Patch, way, Some(body))
    }

    /// Takes something away.
    pub fn delete(way: &[&'a str]) -> Self {
        Self::new(Method::Delete, way, None)
    }

    /// With a body that is no JSON.
    pub fn carrying(mut self, media_type: &'static str, body: Vec<u8>) -> Self {
        self.body = Some((media_type, body));
        self
    }

    /// Only where this version stands there.
    pub fn standing_on(mut self, version: Option<&str>) -> Self {
        self.if_match = version.map(|version| format!("\"{version}\""));
        self
    }

    /// What may take its time.
    pub fn patiently(mut self) -> Self {
        self.patience = LONG_PATIENCE;
        self
    }

    /// With a parameter, where there is a value for it.
    pub fn with(mut self, name: &'static str, value: Option<&str>) -> Self {
        self.query.retain(|(known, _)| *known != name);
        self.query.extend(value.map(|value| (name, value.to_owned())));
        self
    }
}

/// What a server did not want.
#[derive(Debug, Error)]
#[error("{detail}")]
pub struct Refused {
    /// Its status.
    pub status: u16,
    /// Of a problem; what has none did not come from Waypost.
    pub code: Option<String>,
    /// In its words.
    detail: String,
}

impl Refused {
    /// Of an answer that is a problem, or is none.
    pub fn of(status: u16, body: &[u8]) -> Self {
        let said: Value = serde_json::from_slice(body).unwrap_or_default();
        let detail = said["detail"].as_str().map_or_else(
            || format!("the server answered {status}, and nothing that Waypost says"),
            str::to_owned,
        );
        Self { status, code: said["code"].as_str().map(str::to_owned), detail }
    }
}

/// A server that has a home open. What was named by the operator may be asked, wherever it is.
pub struct Server {
    /// For what is read as it comes.
    pub client: Client,
    url: Url,
    bearer: String,
}

impl Server {
    /// At an address of scheme, host and port; it is not repeated where it is another, for a word to keep may stand in it.
    fn at(url: &str, token: Option<&str>) -> Result<Self> {
        let address = Url::parse(url).ok().filter(is_plain).context(
            "that is no URL of a server: expected scheme, host and port alone, such as http://127.0.0.1:7077",
        )?;
        let host = address.host_str().unwrap_or_default().trim_matches(['[', ']']).to_owned();
        let client = Client::new(Reach::new(&[host]).map_err(EngineError::from)?);
        Ok(Self { client, url: address, bearer: format!("Bearer {}", token.unwrap_or_default()) })
    }

    /// The header that names who asks.
    pub fn authorization(&self) -> (&'static str, &str) {
        ("authorization", &self.bearer)
    }

    /// The address of a route; each part of the way is one name.
    pub fn route(&self, way: &[&str]) -> Url {
        let mut url = self.url.clone();
        url.set_query(None);
        if let Ok(mut path) = url.path_segments_mut() {
            path.clear().push("v1").extend(way);
        }
        url
    }

    /// A list with the items of all its pages.
    pub fn whole(&self, mut ask: Ask<'_>) -> Result<Value> {
        let mut list = self.ask(ask.clone())?;
        let (mut items, mut cursor) = (taken(&mut list), cursor_of(&list));
        for _ in 1..MAX_PAGES {
            let Some(after) = cursor else { break };
            ask = ask.with("cursor", Some(&after)).with("limit", Some(PAGE_ITEMS));
            let mut page = self.ask(ask.clone())?;
            items.append(&mut taken(&mut page));
            cursor = cursor_of(&page);
        }
        if let Some(list) = list.as_object_mut() {
            list.insert("items".to_owned(), items.into());
            list.remove("next_cursor");
        }
        Ok(list)
    }

    /// As [`Self::route`], of names that a person gave.
    pub fn route_of(&self, way: &[&str]) -> Result<Url> {
        // In an address they would lead elsewhere.
        match way.iter().find(|name| matches!(**name, "" | "." | "..")) {
            Some(name) => bail!("`{name}` is no name"),
            None => Ok(self.route(way)),
        }
    }

    /// What it answers.
    pub fn ask(&self, ask: Ask<'_>) -> Result<Value> {
        let mut url = self.route_of(&ask.way)?;
        if !ask.query.is_empty() {
            url.query_pairs_mut().extend_pairs(&ask.query);
        }
        let mut headers = vec![self.authorization()];
        headers.extend(ask.body.as_ref().map(|(media_type, _)| ("content-type", *media_type)));
        headers.extend(ask.if_match.as_deref().map(|version| ("if-match", version)));
        let answer = self
            .client
            .send(&Outgoing {
                method: ask.method,
                url: url.as_str(),
                headers: &headers,
                body: ask.body.as_ref().map_or(&[], |(_, body)| body),
                deadline: ask.patience,
                max_answer_bytes: MAX_ANSWER_BYTES,
                cut: false,
                max_hops: 0,
            })
            .map_err(EngineError::from)?;
        if !(200..300).contains(&answer.status) {
            return Err(Refused::of(answer.status, &answer.body).into());
        }
        if answer.status == NO_CONTENT {
            return Ok(Value::Null);
        }
        serde_json::from_slice(&answer.body).map_err(|_| Refused::of(answer.status, &[]).into())
    }
}

fn is_plain(url: &Url) -> bool {
    let is_bare = url.path() == "/" && url.query().is_none() && url.fragment().is_none();
    let is_anonymous = url.username().is_empty() && url.password().is_none();
    matches!(url.scheme(), "http" | "https") && url.has_host() && is_bare && is_anonymous
}

/// As a server says it, so that both are told alike: a figure has the digits that it is printed with.
fn said(value: &impl Serialize) -> Result<Value> {
    Ok(serde_json::from_str(&serde_json::to_string(value)?)?)
}

fn cursor_of(list: &Value) -> Option<String> {
    list["next_cursor"].as_str().map(str::to_owned)
}

/// The items of a list, which has none from then on.
fn taken(list: &mut Value) -> Vec<Value> {
    match list.get_mut("items").map(Value::take) {
        Some(Value::Array(items)) => items,
        _ => Vec::new(),
    }
}

/// A text of an answer; empty where there is none.
pub fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value[name].as_str().unwrap_or_default()
}

/// The items of a list of an answer; none where there is no list.
pub fn items<'a>(value: &'a Value, name: &str) -> &'a [Value] {
    value[name].as_array().map_or(&[], Vec::as_slice)
}

/// The texts of a list of an answer, in one.
pub fn joined(value: &Value, name: &str, between: &str) -> String {
    let texts: Vec<&str> = items(value, name).iter().filter_map(Value::as_str).collect();
    texts.join(between)
}
