use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::Value;
use thiserror::Error;

use super::prompt::{self, Passage};
use crate::net::{Client, Method, NetError, Outgoing, Reach, Url};

/// A longer time is refused: a request as a whole has thirty seconds.
pub const MAX_TIMEOUT: Duration = Duration::from_secs(25);
/// Of an answer; the text that is asked for has a small part of it.
const MAX_ANSWER_BYTES: usize = 1 << 20;
/// Requests at once: a slow endpoint must not take everybody's place.
const MAX_RUNNING: usize = 2;
const MAX_ANSWER_TOKENS: u32 = 8192;

/// Where answers are generated; `[generate]` of `waypost.toml`.
#[derive(Clone, Default)]
pub struct GenerateSettings {
    /// Such as `http://127.0.0.1:11434/v1`; `/chat/completions` is added.
    pub url: String,
    /// Sent as a bearer token.
    pub key: Option<String>,
    /// Models that may be asked for.
    pub models: Vec<String>,
    /// For one answer; [`MAX_TIMEOUT`] at most.
    pub timeout: Duration,
    /// Of one answer.
    pub max_tokens: u32,
}

impl fmt::Debug for GenerateSettings {
    /// The key is a secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { url, key, models, timeout, max_tokens } = self;
        f.debug_struct("GenerateSettings")
            .field("url", url)
            .field("has_key", &key.is_some())
            .field("models", models)
            .field("timeout", timeout)
            .field("max_tokens", max_tokens)
            .finish()
    }
}

/// Why there is no generated answer. No text of the endpoint is in it.
#[derive(Debug, Error)]
pub enum GenerateError {
    /// The operator corrects the setting.
    #[error("`generate.{name}` is {found}: expected {expected}")]
    Setting {
        /// Below `[generate]`.
        name: &'static str,
        /// As far as it can be shown.
        found: String,
        /// What would do.
        expected: &'static str,
    },
    /// Not reached, too slow, or too long.
    #[error(transparent)]
    Net(#[from] NetError),
    /// The endpoint refused.
    #[error("the endpoint answered with status {status}, expected 200")]
    Status {
        /// Of HTTP.
        status: u16,
    },
    /// The endpoint does not speak the protocol.
    #[error("the endpoint's answer is no chat completion: {expected} is missing")]
    Shape {
        /// What was looked for.
        expected: &'static str,
    },
    /// As many as may be are under way.
    #[error("{MAX_RUNNING} answers are being generated already; ask again in a moment")]
    Busy,
}

/// What a model wrote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Draft {
    /// Its text.
    pub text: String,
    /// Tokens of request and answer, as the endpoint counted.
    pub tokens: Option<u64>,
}

/// The configured endpoint.
pub struct Generator {
    settings: GenerateSettings,
    url: String,
    client: Client,
    running: AtomicUsize,
}

impl Generator {
    /// Checks the settings. Its own way out reaches the host that the operator named, and public ones; no redirect is followed.
    ///
    /// # Errors
    /// [`GenerateError::Setting`], [`GenerateError::Net`] for a URL that is none.
    pub fn open(settings: GenerateSettings) -> Result<Self, GenerateError> {
        let invalid = |name, found: String, expected| Err(GenerateError::Setting { name, found, expected });
        let base = settings.url.trim().trim_end_matches('/');
        let url = match base.strip_suffix("/chat/completions") {
            Some(_) => base.to_owned(),
            None => format!("{base}/chat/completions"),
        };
        let Some(host) = Url::parse(&url).ok().and_then(|url| url.host_str().map(str::to_owned)) else {
            return invalid(
                "url",
                format!("`{}`", settings.url),
                "a URL such as `http://127.0.0.1:11434/v1`",
            );
        };
        if settings.models.is_empty() || settings.models.iter().any(|model| model.trim().is_empty()) {
            return invalid(
                "models",
                "without a name".to_owned(),
                "the models that may be asked for, such as `[\"llama3.2\"]`",
            );
        }
        if settings.timeout.is_zero() || settings.timeout > MAX_TIMEOUT {
            return invalid("timeout_s", format!("{:?}", settings.timeout), "above 0 and at most 25 seconds");
        }
        if !(1..=MAX_ANSWER_TOKENS).contains(&settings.max_tokens) {
            return invalid("max_tokens", settings.max_tokens.to_string(), "1 to 8192");
        }
        let listed = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        let client = Client::new(Reach::new(&[listed])?);
        client.check(&url)?;
        Ok(Self { settings, url, client, running: AtomicUsize::new(0) })
    }

    /// Whether a model may be asked for.
    pub fn has_model(&self, model: &str) -> bool {
        self.settings.models.iter().any(|known| known == model)
    }

    /// The models that may be asked for.
    pub fn models(&self) -> &[String] {
        &self.settings.models
    }

    /// Tokens of one answer at most.
    pub fn max_tokens(&self) -> u32 {
        self.settings.max_tokens
    }

    /// Lets a model answer.
    ///
    /// # Errors
    /// [`GenerateError`]; nothing is tried again.
    pub fn draft(
        &self,
        model: &str,
        question: &str,
        passages: &[Passage<'_>],
    ) -> Result<Draft, GenerateError> {
        let _place = Place::take(&self.running).ok_or(GenerateError::Busy)?;
        let body = prompt::body(model, self.settings.max_tokens, question, passages).to_string();
        let bearer = self.settings.key.as_ref().map(|key| format!("Bearer {key}"));
        let mut headers = vec![("content-type", "application/json"), ("accept", "application/json")];
        headers.extend(bearer.as_deref().map(|bearer| ("authorization", bearer)));
        let answer = self.client.send(&Outgoing {
            method: Method::Post,
            url: &self.url,
            headers: &headers,
            body: body.as_bytes(),
            deadline: self.settings.timeout,
            max_answer_bytes: MAX_ANSWER_BYTES,
            cut: false,
            max_hops: 0,
        })?;
        if answer.status != 200 {
            return Err(GenerateError::Status { status: answer.status });
        }
        read(&answer.body)
    }
}

impl fmt::Debug for Generator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Generator").field("settings", &self.settings).finish_non_exhaustive()
    }
}

fn read(body: &[u8]) -> Result<Draft, GenerateError> {
    let shape = |expected| GenerateError::Shape { expected };
    let body: Value = serde_json::from_slice(body).map_err(|_| shape("JSON"))?;
    let content = body["choices"][0]["message"]["content"].as_str();
    let content = content.ok_or_else(|| shape("`choices[0].message.content`"))?;
    // What a model thinks before it answers is no answer.
    let text = content.rsplit_once("</think>").map_or(content, |(_, answer)| answer);
    Ok(Draft { text: text.trim().to_owned(), tokens: body["usage"]["total_tokens"].as_u64() })
}

/// One of the few that run at once.
struct Place<'a>(&'a AtomicUsize);

impl<'a> Place<'a> {
    fn take(running: &'a AtomicUsize) -> Option<Self> {
        let free = |n: usize| (n < MAX_RUNNING).then_some(n + 1);
        running.fetch_update(Ordering::AcqRel, Ordering::Acquire, free).ok().map(|_| Self(running))
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings() -> GenerateSettings {
        GenerateSettings {
            url: "http://localhost:11434/v1/".to_owned(),
            key: Some("sk-secret".to_owned()),
            models: vec!["m".to_owned()],
            timeout: Duration::from_secs(5),
            max_tokens: 100,
        }
    }

    #[test]
    fn settings_are_checked_and_the_key_is_not_shown() {
        let generator = Generator::open(settings()).unwrap();
        assert_eq!(generator.url, "http://localhost:11434/v1/chat/completions");
        assert!(!format!("{generator:?}").contains("sk-secret"));
        for (name, broken) in [
            ("url", GenerateSettings { url: "localhost".to_owned(), ..settings() }),
            ("models", GenerateSettings { models: Vec::new(), ..settings() }),
            ("timeout_s", GenerateSettings { timeout: Duration::from_secs(26), ..settings() }),
            ("max_tokens", GenerateSettings { max_tokens: 0, ..settings() }),
        ] {
            let error = Generator::open(broken).unwrap_err().to_string();
            assert!(error.contains(&format!("generate.{name}")), "{error}");
        }
    }

    #[test]
    fn an_answer_is_read_and_anything_else_refused() {
        let body = r#"{"choices":[{"message":{"role":"assistant","content":"<think>hm</think> Yes. [1]"}}],"usage":{"total_tokens":7}}"#;
        assert_eq!(read(body.as_bytes()).unwrap(), Draft { text: "Yes. [1]".to_owned(), tokens: Some(7) });
        for body in ["", "<html>", "{}", r#"{"choices":[]}"#, r#"{"choices":[{"message":{"content":null}}]}"#]
        {
            assert!(matches!(read(body.as_bytes()), Err(GenerateError::Shape { .. })), "{body}");
        }
    }
}
