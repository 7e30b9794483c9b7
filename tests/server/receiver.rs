use std::net::SocketAddr;
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use serde_json::Value;
use tokio::runtime::Runtime;
use tokio::sync::watch;

use crate::support::PATIENCE;

/// A real HTTP server that is told of events, and ends when it goes.
pub struct Receiver {
    pub address: SocketAddr,
    post: Arc<Post>,
    runtime: Option<Runtime>,
}

/// What came.
#[derive(Debug, Clone)]
pub struct Got {
    pub id: String,
    pub timestamp: String,
    pub signature: String,
    pub traceparent: String,
    pub body: Vec<u8>,
    pub at: Instant,
}

impl Got {
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    pub fn path(&self) -> String {
        let body = self.json();
        body["path"].as_str().or(body["subject"].as_str()).unwrap().to_owned()
    }
}

/// What it answers.
#[derive(Debug, Clone)]
pub enum Answer {
    Status(u16),
    With(u16, &'static str, String),
    /// This status, once it is said that it is time.
    Held(watch::Receiver<bool>, u16),
    Silence,
}

type Mind = dyn Fn(usize, &Got) -> Answer + Send + Sync;

struct Post {
    got: Mutex<Vec<Got>>,
    arrived: Condvar,
    mind: Box<Mind>,
}

impl Receiver {
    /// That answers as `mind` says, by how many came before and by what comes.
    pub fn start(mind: impl Fn(usize, &Got) -> Answer + Send + Sync + 'static) -> Self {
        Self::start_at("127.0.0.1:0".parse().unwrap(), mind)
    }

    /// At one address: to come back after an end.
    pub fn start_at(
        address: SocketAddr,
        mind: impl Fn(usize, &Got) -> Answer + Send + Sync + 'static,
    ) -> Self {
        let post = Arc::new(Post { got: Mutex::default(), arrived: Condvar::new(), mind: Box::new(mind) });
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let router = Router::new().fallback(take).with_state(Arc::clone(&post));
        let listener = runtime.block_on(tokio::net::TcpListener::bind(address)).unwrap();
        let address = listener.local_addr().unwrap();
        runtime.spawn(async move { axum::serve(listener, router).await });
        Self { address, post, runtime: Some(runtime) }
    }

    /// That takes everything.
    pub fn willing() -> Self {
        Self::start(|_, _| Answer::Status(204))
    }

    pub fn url(&self) -> String {
        format!("http://{}/hook", self.address)
    }

    /// Waits until so many came, and gives all.
    pub fn wait_for(&self, count: usize) -> Vec<Got> {
        self.wait_until(|got| got.len() >= count)
    }

    pub fn wait_until(&self, enough: impl Fn(&[Got]) -> bool) -> Vec<Got> {
        let got = self.post.got.lock().unwrap();
        let (got, waited) = self.post.arrived.wait_timeout_while(got, PATIENCE, |got| !enough(got)).unwrap();
        let paths: Vec<String> = got.iter().map(Got::path).collect();
        assert!(!waited.timed_out(), "only {} came: {paths:?}", got.len());
        got.clone()
    }

    pub fn got(&self) -> Vec<Got> {
        self.post.got.lock().unwrap().clone()
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_timeout(Duration::ZERO);
        }
    }
}

async fn take(State(post): State<Arc<Post>>, headers: HeaderMap, body: Bytes) -> Response {
    let header = |name: &str| headers.get(name).map_or("", |value| value.to_str().unwrap()).to_owned();
    let got = Got {
        id: header("webhook-id"),
        timestamp: header("webhook-timestamp"),
        signature: header("webhook-signature"),
        traceparent: header("traceparent"),
        body: body.to_vec(),
        at: Instant::now(),
    };
    let answer = {
        let mut all = post.got.lock().unwrap();
        let answer = (post.mind)(all.len(), &got);
        all.push(got);
        post.arrived.notify_all();
        answer
    };
    match answer {
        Answer::Status(status) => StatusCode::from_u16(status).unwrap().into_response(),
        Answer::With(status, name, value) => {
            (StatusCode::from_u16(status).unwrap(), [(name, value)]).into_response()
        }
        Answer::Held(mut is_time, status) => {
            is_time.wait_for(|is_time| *is_time).await.unwrap();
            StatusCode::from_u16(status).unwrap().into_response()
        }
        Answer::Silence => std::future::pending().await,
    }
}
