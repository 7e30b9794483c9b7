use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use super::completion::Completion;
use super::prompt::{self, Prompt};
use super::running::{Event, Limits, Running, Teller};
use super::settings::invalid;
use super::{GenerateError, Generator};
use crate::net::{Client, Method, NetError, Outgoing, Reach, Url};

/// How a model of an endpoint is named, before its own name.
const SCHEME: &str = "openai:";
/// Of an answer that comes at once; the text that is asked for has a small part of it.
const MAX_ANSWER_BYTES: usize = 1 << 20;
/// Of a stream, in which each token has an event of its own.
const MAX_STREAM_BYTES: usize = 16 << 20;
/// Requests at once: a slow endpoint must not take everybody's place.
const MAX_RUNNING: usize = 2;
const BUFFER_BYTES: usize = 16 << 10;

/// The configured endpoint.
pub(super) struct Endpoint {
    url: String,
    key: Option<String>,
    reach: Reach,
    running: Arc<AtomicUsize>,
}

impl Endpoint {
    /// Checks the settings, and gives a generator for each model. The way out reaches the host that the operator named, and
    /// public ones; no redirect is followed.
    ///
    /// # Errors
    /// [`GenerateError::Setting`], [`GenerateError::Net`] for a URL that is none.
    pub(super) fn open(
        url: &str,
        key: Option<String>,
        models: Vec<String>,
    ) -> Result<Vec<Arc<dyn Generator>>, GenerateError> {
        let base = url.trim().trim_end_matches('/');
        let whole = match base.strip_suffix("/chat/completions") {
            Some(_) => base.to_owned(),
            None => format!("{base}/chat/completions"),
        };
        let Some(host) = Url::parse(&whole).ok().and_then(|url| url.host_str().map(str::to_owned)) else {
            return Err(invalid("url", format!("`{url}`"), "a URL such as `http://127.0.0.1:11434/v1`"));
        };
        if models.is_empty() || models.iter().any(|model| model.trim().is_empty()) {
            let expected = "the models that may be asked for, such as `[\"llama3.2\"]`";
            return Err(invalid("models", "without a name".to_owned(), expected));
        }
        let listed = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        let reach = Reach::new(&[listed])?;
        Client::new(reach.clone()).check(&whole)?;
        let endpoint = Arc::new(Self { url: whole, key, reach, running: Arc::default() });
        let model = |model: String| {
            let name = format!("{SCHEME}{model}");
            Arc::new(EndpointModel { endpoint: Arc::clone(&endpoint), model, name }) as Arc<dyn Generator>
        };
        Ok(models.into_iter().map(model).collect())
    }
}

/// One model of the endpoint.
struct EndpointModel {
    endpoint: Arc<Endpoint>,
    model: String,
    name: String,
}

impl Generator for EndpointModel {
    fn name(&self) -> &str {
        &self.name
    }

    fn start(&self, prompt: &Prompt<'_>, limits: &Limits) -> Result<Running, GenerateError> {
        let endpoint = &self.endpoint;
        let place = Place::take(&endpoint.running).ok_or(GenerateError::Busy { max: MAX_RUNNING })?;
        // With connections of its own, so that giving up this one breaks off no other.
        let client = Client::new(endpoint.reach.clone());
        let exchange = Exchange {
            client: client.clone(),
            url: endpoint.url.clone(),
            bearer: endpoint.key.as_ref().map(|key| format!("Bearer {key}")),
            body: prompt::body(&self.model, prompt, limits.is_streamed).to_string(),
            deadline: limits.whole,
            max_bytes: if limits.is_streamed { MAX_STREAM_BYTES } else { MAX_ANSWER_BYTES },
            _place: place,
        };
        let (teller, running) = Running::new(move || client.shut());
        let write = move || {
            let end = exchange.run(&teller);
            // Nobody reads any longer: nobody misses it.
            let _ = teller.send(Event::End(end));
        };
        thread::Builder::new().name("generate".to_owned()).spawn(write).map_err(GenerateError::Thread)?;
        Ok(running)
    }
}

impl fmt::Debug for EndpointModel {
    /// The key is a secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EndpointModel")
            .field("url", &self.endpoint.url)
            .field("model", &self.model)
            .finish_non_exhaustive()
    }
}

/// One request and its answer.
struct Exchange {
    client: Client,
    url: String,
    bearer: Option<String>,
    body: String,
    deadline: Duration,
    max_bytes: usize,
    _place: Place,
}

impl Exchange {
    /// Nothing is tried again.
    fn run(self, teller: &Teller) -> Result<Option<u64>, GenerateError> {
        let mut headers =
            vec![("content-type", "application/json"), ("accept", "application/json, text/event-stream")];
        headers.extend(self.bearer.as_deref().map(|bearer| ("authorization", bearer)));
        let mut answer = self.client.begin(&Outgoing {
            method: Method::Post,
            url: &self.url,
            headers: &headers,
            body: self.body.as_bytes(),
            deadline: self.deadline,
            max_answer_bytes: self.max_bytes,
            cut: false,
            max_hops: 0,
        })?;
        if answer.status != 200 {
            return Err(GenerateError::Status { status: answer.status });
        }
        let tell = |event| teller.send(event).map_err(|_| GenerateError::Cancelled);
        let mut completion = Completion::default();
        let mut buffer = vec![0; BUFFER_BYTES];
        let mut n_bytes = 0;
        while !completion.is_done() {
            let n_read = answer.read(&mut buffer)?;
            n_bytes += n_read;
            if n_read == 0 {
                break;
            }
            if n_bytes > self.max_bytes {
                let host = answer.host().to_owned();
                return Err(NetError::TooLarge { host, limit_bytes: self.max_bytes }.into());
            }
            let text = completion.push(&buffer[..n_read])?;
            tell(if text.is_empty() { Event::Alive } else { Event::Text(text) })?;
        }
        let (text, tokens) = completion.finish()?;
        if !text.is_empty() {
            tell(Event::Text(text))?;
        }
        Ok(tokens)
    }
}

/// One of the few that run at once.
struct Place(Arc<AtomicUsize>);

impl Place {
    fn take(running: &Arc<AtomicUsize>) -> Option<Self> {
        let free = |n: usize| (n < MAX_RUNNING).then_some(n + 1);
        running.fetch_update(Ordering::AcqRel, Ordering::Acquire, free).ok()?;
        Some(Self(Arc::clone(running)))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}
