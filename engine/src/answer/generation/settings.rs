//! What the operator allows: which models may answer, and how long they may take.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::endpoint::Endpoint;
use super::running::Limits;
use super::{GenerateError, Generator};

/// An answer that is not streamed gets no longer: a request as a whole has thirty seconds.
pub const MAX_UNSTREAMED: Duration = Duration::from_secs(25);
/// No answer gets longer.
pub const MAX_TIMEOUT: Duration = Duration::from_secs(600);
const MAX_ANSWER_TOKENS: u32 = 8192;

/// Where answers are generated; `[generate]` of `waypost.toml`.
#[derive(Clone)]
pub struct GenerateSettings {
    /// Such as `http://127.0.0.1:11434/v1`; `/chat/completions` is added. None: no endpoint.
    pub url: Option<String>,
    /// Sent as a bearer token.
    pub key: Option<String>,
    /// Models of the endpoint that may be asked for.
    pub models: Vec<String>,
    /// Models that run in this process.
    pub files: Vec<ModelFile>,
    /// For one answer as a whole; [`MAX_TIMEOUT`] at most, and [`MAX_UNSTREAMED`] where it is not streamed.
    pub timeout: Duration,
    /// For the first word of a streamed answer, and for each further one.
    pub idle_timeout: Duration,
    /// Of one answer.
    pub max_tokens: u32,
}

/// A model in the GGUF format, which runs in this process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelFile {
    /// It is asked for as `gguf:NAME`.
    pub name: String,
    /// The `.gguf` file.
    pub model: PathBuf,
    /// Its tokenizer; `tokenizer.json` beside the model where nothing is said.
    pub tokenizer: Option<PathBuf>,
}

impl Default for GenerateSettings {
    /// Without any model.
    fn default() -> Self {
        Self {
            url: None,
            key: None,
            models: Vec::new(),
            files: Vec::new(),
            timeout: Duration::from_secs(120),
            idle_timeout: Duration::from_secs(60),
            max_tokens: 512,
        }
    }
}

impl fmt::Debug for GenerateSettings {
    /// The key is a secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { url, key, models, files, timeout, idle_timeout, max_tokens } = self;
        f.debug_struct("GenerateSettings")
            .field("url", url)
            .field("has_key", &key.is_some())
            .field("models", models)
            .field("files", files)
            .field("timeout", timeout)
            .field("idle_timeout", idle_timeout)
            .field("max_tokens", max_tokens)
            .finish()
    }
}

/// Every generator that may be asked for.
#[derive(Debug)]
pub struct Generators {
    all: Vec<Arc<dyn Generator>>,
    timeout: Duration,
    idle_timeout: Duration,
    max_tokens: u32,
}

impl Generators {
    /// Checks the settings; nothing is reached and no model is loaded yet.
    ///
    /// # Errors
    /// [`GenerateError::Setting`], [`GenerateError::Net`] for a URL that is none.
    pub fn open(settings: GenerateSettings) -> Result<Self, GenerateError> {
        let GenerateSettings { url, key, models, files, timeout, idle_timeout, max_tokens } = settings;
        for (name, time) in [("timeout_s", timeout), ("idle_timeout_s", idle_timeout)] {
            if time.is_zero() || time > MAX_TIMEOUT {
                return Err(invalid(name, format!("{time:?}"), "above 0 and at most 600 seconds"));
            }
        }
        if !(1..=MAX_ANSWER_TOKENS).contains(&max_tokens) {
            return Err(invalid("max_tokens", max_tokens.to_string(), "1 to 8192"));
        }
        let mut all = match url {
            Some(url) => Endpoint::open(&url, key, models)?,
            None => Vec::new(),
        };
        all.extend(open_files(files)?);
        Ok(Self { all, timeout, idle_timeout, max_tokens })
    }

    /// The generator of a name such as `openai:llama3.2`, where it may be asked for.
    pub fn find(&self, name: &str) -> Option<&dyn Generator> {
        self.all.iter().map(|generator| &**generator).find(|generator| generator.name() == name)
    }

    /// What may be asked for.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.all.iter().map(|generator| generator.name())
    }

    /// Tokens of one answer at most.
    pub fn max_tokens(&self) -> u32 {
        self.max_tokens
    }

    /// How long an answer may take.
    pub fn limits(&self, is_streamed: bool) -> Limits {
        let whole = if is_streamed { self.timeout } else { self.timeout.min(MAX_UNSTREAMED) };
        Limits { is_streamed, whole, idle: if is_streamed { self.idle_timeout } else { whole } }
    }
}

pub(super) fn invalid(name: &'static str, found: String, expected: &'static str) -> GenerateError {
    GenerateError::Setting { name, found, expected }
}

#[cfg(feature = "gguf")]
fn open_files(files: Vec<ModelFile>) -> Result<Vec<Arc<dyn Generator>>, GenerateError> {
    let open = |file| super::gguf::LocalModel::open(file).map(|model| Arc::new(model) as Arc<dyn Generator>);
    files.into_iter().map(open).collect()
}

#[cfg(not(feature = "gguf"))]
fn open_files(files: Vec<ModelFile>) -> Result<Vec<Arc<dyn Generator>>, GenerateError> {
    match files.first() {
        None => Ok(Vec::new()),
        Some(file) => Err(invalid(
            "gguf",
            format!("set for `{}`", file.name),
            "nothing there: this program was built without the feature `gguf`",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings() -> GenerateSettings {
        GenerateSettings {
            url: Some("http://localhost:11434/v1/".to_owned()),
            key: Some("sk-secret".to_owned()),
            models: vec!["m".to_owned()],
            ..GenerateSettings::default()
        }
    }

    #[test]
    fn settings_are_checked_and_the_key_is_not_shown() {
        let generators = Generators::open(settings()).unwrap();
        assert_eq!(generators.names().collect::<Vec<_>>(), ["openai:m"]);
        assert!(generators.find("openai:m").is_some() && generators.find("m").is_none());
        assert!(!format!("{generators:?} {:?}", settings()).contains("sk-secret"));
        for (name, broken) in [
            ("url", GenerateSettings { url: Some("localhost".to_owned()), ..settings() }),
            ("models", GenerateSettings { models: Vec::new(), ..settings() }),
            ("timeout_s", GenerateSettings { timeout: Duration::from_secs(601), ..settings() }),
            ("idle_timeout_s", GenerateSettings { idle_timeout: Duration::ZERO, ..settings() }),
            ("max_tokens", GenerateSettings { max_tokens: 0, ..settings() }),
        ] {
            let error = Generators::open(broken).unwrap_err().to_string();
            assert!(error.contains(&format!("generate.{name}")), "{error}");
        }
    }

    #[test]
    fn only_what_is_streamed_may_take_longer_than_a_request() {
        let patient = GenerateSettings { timeout: Duration::from_secs(300), ..settings() };
        let generators = Generators::open(patient).unwrap();
        assert_eq!(generators.limits(true).whole, Duration::from_secs(300));
        assert_eq!(generators.limits(false).whole, MAX_UNSTREAMED);
        let hasty = GenerateSettings { timeout: Duration::from_secs(5), ..settings() };
        assert_eq!(Generators::open(hasty).unwrap().limits(false).whole, Duration::from_secs(5));
    }
}
