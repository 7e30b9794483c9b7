use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde::ser::SerializeMap;
use serde::{Deserialize, Serialize, Serializer};
use thiserror::Error;
use waypost_engine::api::{ToolOverride, ToolServer, Trust};

/// What stands for a value that is not shown.
pub const HIDDEN: &str = "(hidden)";
const MAX_NAME_BYTES: usize = 40;
/// For one call at most.
const MAX_TIMEOUT_SECONDS: f64 = 3600.0;
/// Of a result.
const RESULT_BYTES: std::ops::RangeInclusive<usize> = 1024..=(64 << 20);

/// A server of tools, as `[[upstream]]` in `waypost.toml` has it.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// Of a-z, 0-9, `_` and `-`; the first part of its tools' ids.
    pub name: String,
    /// The program and its arguments; no shell reads them.
    pub run: Option<Vec<String>>,
    /// Further variables of the program; a value may name one of ours, `${NAME}`.
    #[serde(default)]
    pub env: BTreeMap<String, String>,
    /// Names of variables of ours that the program gets too.
    #[serde(default)]
    pub pass_env: Vec<String>,
    /// Of a server that is there already, in the place of `run`.
    pub url: Option<String>,
    /// Sent with each request; a value may name a variable of ours, `${NAME}`.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    /// For one call.
    #[serde(default = "default_timeout_seconds")]
    pub timeout_seconds: f64,
    /// More of a result is cut off.
    #[serde(default = "default_max_result_bytes")]
    pub max_result_bytes: usize,
    /// Tools that are listed among our own.
    #[serde(default)]
    pub pinned: BTreeSet<String>,
    /// Whether what it lists first is approved.
    #[serde(default)]
    pub trust: Trust,
    /// What its calls cost.
    #[serde(default)]
    pub price: Price,
    /// What is otherwise for single tools.
    #[serde(default)]
    pub tools: BTreeMap<String, ToolEntry>,
}

/// What calls cost.
#[derive(Debug, Clone, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Price {
    /// Each.
    pub usd_per_call: Option<f64>,
}

/// What is otherwise for one tool.
#[derive(Debug, Clone, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct ToolEntry {
    /// What a call costs.
    pub usd: Option<f64>,
    /// Intents for which it is right.
    #[serde(default)]
    pub examples: Vec<String>,
    /// For one call.
    pub timeout_seconds: Option<f64>,
}

/// How a server is reached.
#[derive(Debug, Clone, Copy)]
pub enum Transport<'a> {
    /// A program, over its standard input and output.
    Run(&'a [String]),
    /// Streamable HTTP.
    Url(&'a str),
}

/// A setting that makes no sense.
#[derive(Debug, Error)]
#[error("upstream `{upstream}`: `{field}` is {found}: expected {expected}")]
pub struct SettingsError {
    /// Of which server.
    pub upstream: String,
    /// Which setting.
    pub field: &'static str,
    /// As far as it can be shown.
    pub found: String,
    /// What would do.
    pub expected: &'static str,
}

fn default_timeout_seconds() -> f64 {
    60.0
}

fn default_max_result_bytes() -> usize {
    1 << 20
}

impl Settings {
    /// Looks at each setting, and that no two servers have one name.
    ///
    /// # Errors
    /// [`SettingsError`].
    pub fn check_all(all: &[Self]) -> Result<(), SettingsError> {
        let mut names = BTreeSet::new();
        for settings in all {
            settings.check()?;
            if !names.insert(&settings.name) {
                return Err(settings.refuse(
                    "name",
                    settings.name.clone(),
                    "a name that no other server has",
                ));
            }
        }
        Ok(())
    }

    fn check(&self) -> Result<(), SettingsError> {
        let legal = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '_' | '-');
        if self.name.is_empty() || self.name.len() > MAX_NAME_BYTES || !self.name.chars().all(legal) {
            return Err(self.refuse("name", self.name.clone(), "1 to 40 of a-z 0-9 _ -"));
        }
        match (&self.run, &self.url) {
            (Some(run), None) if run.first().is_some_and(|program| !program.is_empty()) => {}
            (None, Some(url)) if url.starts_with("http://") || url.starts_with("https://") => {}
            (None, Some(_)) => return Err(self.refuse("url", HIDDEN.to_owned(), "http:// or https://")),
            _ => {
                return Err(self.refuse(
                    "run",
                    "wrong".to_owned(),
                    "`run = [program, …]`, or `url` in its place",
                ));
            }
        }
        if !RESULT_BYTES.contains(&self.max_result_bytes) {
            let found = self.max_result_bytes.to_string();
            return Err(self.refuse("max_result_bytes", found, "1024 to 67108864"));
        }
        let prices = self.tools.values().filter_map(|tool| tool.usd).chain(self.price.usd_per_call);
        if let Some(usd) = prices.into_iter().find(|usd| !usd.is_finite() || *usd < 0.0) {
            return Err(self.refuse("price", usd.to_string(), "0 or more"));
        }
        let times = self.tools.values().filter_map(|tool| tool.timeout_seconds);
        let is_time = |seconds: &f64| *seconds > 0.0 && *seconds <= MAX_TIMEOUT_SECONDS;
        match times.chain([self.timeout_seconds]).find(|seconds| !is_time(seconds)) {
            Some(seconds) => {
                Err(self.refuse("timeout_seconds", seconds.to_string(), "more than 0, at most 3600"))
            }
            None => Ok(()),
        }
    }

    fn refuse(&self, field: &'static str, found: String, expected: &'static str) -> SettingsError {
        SettingsError { upstream: self.name.clone(), field, found, expected }
    }

    /// How it is reached.
    pub fn transport(&self) -> Transport<'_> {
        match (&self.run, &self.url) {
            (_, Some(url)) => Transport::Url(url),
            (run, None) => Transport::Run(run.as_deref().unwrap_or_default()),
        }
    }

    /// What the engine has to know of it.
    pub fn tool_server(&self) -> ToolServer {
        let tool = |entry: &ToolEntry| ToolOverride {
            usd_per_call: entry.usd,
            examples: entry.examples.clone(),
            timeout: entry.timeout_seconds.map(seconds),
        };
        ToolServer {
            trust: self.trust,
            pinned: self.pinned.clone(),
            usd_per_call: self.price.usd_per_call,
            timeout: seconds(self.timeout_seconds),
            max_result_bytes: self.max_result_bytes,
            tools: self.tools.iter().map(|(name, entry)| (name.clone(), tool(entry))).collect(),
            ..ToolServer::new(&self.name)
        }
    }
}

fn seconds(seconds: f64) -> Duration {
    Duration::try_from_secs_f64(seconds).unwrap_or(Duration::from_secs(60))
}

/// Without what may be secret: values of variables and headers but for the names of variables in them, and what stands in
/// a URL beside host and path.
impl Serialize for Settings {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let hide = |values: &BTreeMap<String, String>| -> BTreeMap<String, String> {
            values.iter().map(|(name, value)| (name.clone(), shown(value))).collect()
        };
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("name", &self.name)?;
        match self.transport() {
            Transport::Run(run) => {
                map.serialize_entry("run", run)?;
                map.serialize_entry("env", &hide(&self.env))?;
                map.serialize_entry("pass_env", &self.pass_env)?;
            }
            Transport::Url(url) => {
                map.serialize_entry("url", &shown_url(url))?;
                map.serialize_entry("headers", &hide(&self.headers))?;
            }
        }
        map.serialize_entry("timeout_seconds", &self.timeout_seconds)?;
        map.serialize_entry("max_result_bytes", &self.max_result_bytes)?;
        map.serialize_entry("pinned", &self.pinned)?;
        map.serialize_entry("trust", &self.trust)?;
        map.serialize_entry("price", &self.price)?;
        map.serialize_entry("tools", &self.tools)?;
        map.end()
    }
}

/// A value with nothing in it but the name of a variable is no secret.
fn shown(value: &str) -> String {
    let name = value.strip_prefix("${").and_then(|rest| rest.strip_suffix('}'));
    if name.is_some_and(|name| !name.contains(['$', '}'])) { value.to_owned() } else { HIDDEN.to_owned() }
}

fn shown_url(url: &str) -> String {
    let plain = url.split(['?', '#']).next().unwrap_or_default();
    let Some((scheme, rest)) = plain.split_once("://") else { return HIDDEN.to_owned() };
    let (host, path) = rest.split_once('/').map_or((rest, ""), |(host, path)| (host, path));
    let host = host.rsplit('@').next().unwrap_or_default();
    format!("{scheme}://{host}/{path}")
}

/// A value with the variables that it names, `${NAME}`, in place.
///
/// # Errors
/// The name of the first one that is not set.
pub(super) fn expand(value: &str, variable: impl Fn(&str) -> Option<String>) -> Result<String, String> {
    let mut whole = String::new();
    let mut rest = value;
    while let Some((before, after)) = rest.split_once("${") {
        let Some((name, after)) = after.split_once('}') else { break };
        whole.push_str(before);
        whole.push_str(&variable(name).ok_or_else(|| name.to_owned())?);
        rest = after;
    }
    whole.push_str(rest);
    Ok(whole)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Settings, String> {
        let value: toml::Value = toml::from_str(text).map_err(|error| error.to_string())?;
        let settings: Settings = value.try_into().map_err(|error: toml::de::Error| error.to_string())?;
        Settings::check_all(std::slice::from_ref(&settings)).map_err(|error| error.to_string())?;
        Ok(settings)
    }

    #[test]
    fn settings_are_read_and_their_faults_named() {
        let git =
            read("name = 'git'\nrun = ['git-mcp']\n[price]\nusd_per_call = 0.01\n[tools.push]\nusd = 1")
                .unwrap();
        assert_eq!((git.trust, git.timeout_seconds), (Trust::First, 60.0));
        assert_eq!(git.tool_server().tools["push"].usd_per_call, Some(1.0));
        for (text, expected) in [
            ("name = 'Git'\nrun = ['x']", "`name`"),
            ("name = 'git'", "`run`"),
            ("name = 'git'\nrun = []", "`run`"),
            ("name = 'git'\nrun = ['x']\nurl = 'http://x'", "`run`"),
            ("name = 'git'\nurl = 'file:///etc'", "`url`"),
            ("name = 'git'\nrun = ['x']\nmax_result_bytes = 1", "`max_result_bytes`"),
            ("name = 'git'\nrun = ['x']\ntimeout_seconds = 0", "`timeout_seconds`"),
            ("name = 'git'\nrun = ['x']\n[price]\nusd_per_call = -1.0", "`price`"),
            ("name = 'git'\nrun = ['x']\nshell = true", "unknown field `shell`"),
            ("name = 'git'\nrun = ['x']\ntrust = 'all'", "unknown variant"),
        ] {
            let error = read(text).unwrap_err();
            assert!(error.contains(expected), "{text}: {error}");
        }
    }

    #[test]
    fn what_may_be_secret_is_not_shown() {
        let text = "name = 'x'\nurl = 'https://me:geheim@host/mcp?key=geheim'\n[headers]\nAuthorization = 'Bearer geheim'\nX = '${TOKEN}'";
        let shown = serde_json::to_string(&read(text).unwrap()).unwrap();
        assert!(!shown.contains("geheim"), "{shown}");
        assert!(shown.contains("https://host/mcp") && shown.contains("${TOKEN}"), "{shown}");
        let text = "name = 'x'\nrun = ['x']\n[env]\nKEY = 'geheim'";
        assert!(!serde_json::to_string(&read(text).unwrap()).unwrap().contains("geheim"));
    }

    #[test]
    fn variables_are_put_in_place() {
        let known = |name: &str| (name == "KEY").then(|| "k${KEY}".to_owned());
        assert_eq!(expand("Bearer ${KEY}!", known).unwrap(), "Bearer k${KEY}!", "once, and no further");
        assert_eq!(expand("$KEY ${", known).unwrap(), "$KEY ${");
        assert_eq!(expand("${OTHER}", known).unwrap_err(), "OTHER");
    }
}
