//! What a task's file says: read with patience, for anybody may drop one, and written again when something became of it.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::rows::{Past, TaskRow};
use crate::access::kind_of;
use crate::clock::{parse_rfc3339, rfc3339};

/// Attempts where the file says nothing.
pub const DEFAULT_MAX_ATTEMPTS: u32 = 3;
/// Attempts at most.
pub const MAX_ATTEMPTS: u32 = 100;
/// Larger files are tasks like any other, but nothing is read from them or written into them, in bytes.
pub const MAX_FILE_BYTES: usize = 1 << 20;
/// The first wait after a failure where the file says nothing.
const DEFAULT_RETRY_DELAY_MS: u64 = 1000;
/// Tasks that one may wait for at most.
const MAX_DEPENDENCIES: usize = 100;
/// Characters of a title at most.
const MAX_TITLE_CHARS: usize = 200;

/// What happens after a trouble.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(into = "String", try_from = "String")]
pub enum Trouble {
    /// Anybody may try again.
    Retry,
    /// This agent shall try.
    Reassign(String),
    /// A person decides.
    Human,
}

impl From<Trouble> for String {
    fn from(trouble: Trouble) -> Self {
        match trouble {
            Trouble::Retry => "retry".to_owned(),
            Trouble::Human => "human".to_owned(),
            Trouble::Reassign(principal) => principal,
        }
    }
}

impl TryFrom<String> for Trouble {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        match text.as_str() {
            "retry" => Ok(Self::Retry),
            "human" => Ok(Self::Human),
            other if other.starts_with("agent:") && kind_of(other).is_ok() => Ok(Self::Reassign(text)),
            _ => Err("`retry`, `agent:NAME` or `human`"),
        }
    }
}

/// What is to be done, by whom, and how it goes on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TaskSpec {
    /// For people.
    pub title: String,
    /// The principal that it is for; `None`: whoever can do it.
    pub to: Option<String>,
    /// What it takes.
    pub capability: Option<String>,
    /// Higher first.
    pub priority: i64,
    /// Milliseconds since 1970; orders tasks, and hinders none.
    pub due_ms: Option<i64>,
    /// Ids or file names of tasks of the same workspace that must be done before.
    pub depends_on: Vec<String>,
    /// Claims until it is given up, once `on_trouble` names no step any more.
    pub max_attempts: u32,
    /// Whether somebody has to accept what was done.
    pub review: bool,
    /// What the nth trouble leads to; the last one repeats.
    pub on_trouble: Vec<Trouble>,
    /// The wait after the first failure; it doubles with each further one.
    pub retry_delay_ms: u64,
    /// Whatever the worker needs.
    pub payload: Option<Value>,
}

impl TaskSpec {
    /// Of a file that says nothing.
    pub fn named(title: &str) -> Self {
        Self {
            title: title.chars().take(MAX_TITLE_CHARS).collect(),
            to: None,
            capability: None,
            priority: 0,
            due_ms: None,
            depends_on: Vec::new(),
            max_attempts: DEFAULT_MAX_ATTEMPTS,
            review: false,
            on_trouble: Vec::new(),
            retry_delay_ms: DEFAULT_RETRY_DELAY_MS,
            payload: None,
        }
    }

    /// Of a file, whatever it is. Gives also the id that the file has, and what of it could not be understood.
    pub fn read(name: &str, bytes: &[u8]) -> (Self, Option<String>, Vec<String>) {
        let mut spec = Self::named(name);
        let object = match read_object(bytes) {
            Ok(object) => object,
            // Any file is a task; one that is called JSON was meant to say more.
            Err(reason) if name.to_lowercase().ends_with(".json") => return (spec, None, vec![reason]),
            Err(_) => return (spec, None, Vec::new()),
        };
        let mut reader = Reader { object: &object, notes: Vec::new() };
        if let Some(title) = reader.take("title", "a text", text) {
            spec.title = title.chars().take(MAX_TITLE_CHARS).collect();
        }
        spec.to = reader.take("to", "a principal or an agent's name", |value| address(value.as_str()?));
        spec.capability = reader.take("capability", "a text", text);
        spec.priority = reader.take("priority", "a whole number", Value::as_i64).unwrap_or_default();
        let time = |value: &Value| parse_rfc3339(value.as_str()?);
        spec.due_ms = reader.take("due_at", "an RFC 3339 time", time);
        spec.due_ms = spec.due_ms.or_else(|| reader.take("due", "an RFC 3339 time", time));
        spec.depends_on = reader.take("depends_on", "a list of texts", texts).unwrap_or_default();
        spec.max_attempts = reader.take("max_attempts", "1 to 100", attempts).unwrap_or(DEFAULT_MAX_ATTEMPTS);
        spec.review = reader.take("review", "true or false", Value::as_bool).unwrap_or_default();
        let troubles = |value: &Value| serde_json::from_value(value.clone()).ok();
        spec.on_trouble = reader
            .take("on_trouble", "a list of `retry`, `agent:NAME`, `human`", troubles)
            .unwrap_or_default();
        spec.retry_delay_ms =
            reader.take("retry_delay_ms", "a whole number", Value::as_u64).unwrap_or(DEFAULT_RETRY_DELAY_MS);
        spec.payload = object.get("payload").cloned();
        let id = object.get("id").and_then(Value::as_str).filter(|id| is_task_id(id)).map(str::to_owned);
        (spec, id, reader.notes)
    }

    /// As a file says it: only what differs from the defaults.
    pub fn write(&self, id: &str) -> Vec<u8> {
        let mut object = Map::new();
        object.insert("id".to_owned(), json!(id));
        object.insert("title".to_owned(), json!(self.title));
        let mut put = |name: &str, is_told: bool, value: Value| {
            if is_told {
                object.insert(name.to_owned(), value);
            }
        };
        put("to", self.to.is_some(), json!(self.to));
        put("capability", self.capability.is_some(), json!(self.capability));
        put("priority", self.priority != 0, json!(self.priority));
        put("due_at", self.due_ms.is_some(), json!(self.due_ms.map(rfc3339)));
        put("depends_on", !self.depends_on.is_empty(), json!(self.depends_on));
        put("max_attempts", self.max_attempts != DEFAULT_MAX_ATTEMPTS, json!(self.max_attempts));
        put("review", self.review, json!(self.review));
        put("on_trouble", !self.on_trouble.is_empty(), json!(self.on_trouble));
        put("retry_delay_ms", self.retry_delay_ms != DEFAULT_RETRY_DELAY_MS, json!(self.retry_delay_ms));
        put("payload", self.payload.is_some(), json!(self.payload));
        pretty(&Value::Object(object))
    }
}

/// The principal of an address: itself, or the agent of that name.
pub fn address(text: &str) -> Option<String> {
    if text.contains(':') {
        return kind_of(text).is_ok().then(|| text.to_owned());
    }
    let agent = format!("agent:{text}");
    kind_of(&agent).is_ok().then_some(agent)
}

/// What a reviewer says, for the file.
#[derive(Debug, Clone, Copy)]
pub struct Note<'a> {
    /// Who.
    pub by: &'a str,
    /// In whose words.
    pub text: &'a str,
    /// Milliseconds since 1970.
    pub at_ms: i64,
}

/// A task's file with what became of the task written into it; `None` where the file is no JSON object, which is left
/// as it is.
pub fn rewrite(bytes: &[u8], row: &TaskRow, note: Option<Note<'_>>) -> Option<Vec<u8>> {
    let mut object = read_object(bytes).ok()?;
    let history: Vec<Value> = row.history.iter().map(Past::shown).collect();
    object.insert("id".to_owned(), json!(row.id));
    object.insert("attempts".to_owned(), json!(row.attempts));
    object.insert("last_error".to_owned(), json!(row.last_error));
    object.insert("history".to_owned(), json!(history));
    if let Some(to) = &row.spec.to {
        object.insert("to".to_owned(), json!(to));
    }
    if let Some(note) = note {
        let note = json!({"at": rfc3339(note.at_ms), "by": note.by, "text": note.text});
        match object.get_mut("review_notes").and_then(Value::as_array_mut) {
            Some(notes) => notes.push(note),
            None => drop(object.insert("review_notes".to_owned(), json!([note]))),
        }
    }
    Some(pretty(&Value::Object(object)))
}

fn pretty(value: &Value) -> Vec<u8> {
    let mut bytes = serde_json::to_vec_pretty(value).expect("a JSON value can be written");
    bytes.push(b'\n');
    bytes
}

/// The object that a file is, or why it is none.
fn read_object(bytes: &[u8]) -> Result<Map<String, Value>, String> {
    const EXPECTED: &str = "expected an object such as `{\"title\": \"Review it\"}`";
    if bytes.len() > MAX_FILE_BYTES {
        return Err(format!("the file was not read: it is larger than {MAX_FILE_BYTES} bytes"));
    }
    match serde_json::from_slice(bytes) {
        Ok(Value::Object(object)) => Ok(object),
        Ok(_) => Err(format!("the file was passed over: its JSON is no object; {EXPECTED}")),
        Err(error) => Err(format!("the file was passed over: it is no JSON ({error}); {EXPECTED}")),
    }
}

/// Takes fields that have the right type; the others are noted, and count as absent.
struct Reader<'a> {
    object: &'a Map<String, Value>,
    notes: Vec<String>,
}

impl Reader<'_> {
    fn take<T>(&mut self, name: &str, expected: &str, read: impl FnOnce(&Value) -> Option<T>) -> Option<T> {
        let value = self.object.get(name).filter(|value| !value.is_null())?;
        let taken = read(value);
        if taken.is_none() {
            self.notes.push(format!("`{name}` was passed over: expected {expected}"));
        }
        taken
    }
}

fn text(value: &Value) -> Option<String> {
    value.as_str().map(str::to_owned)
}

fn texts(value: &Value) -> Option<Vec<String>> {
    let texts: Vec<String> = value.as_array()?.iter().map(text).collect::<Option<_>>()?;
    (texts.len() <= MAX_DEPENDENCIES).then_some(texts)
}

fn attempts(value: &Value) -> Option<u32> {
    let attempts = u32::try_from(value.as_u64()?).ok()?;
    (1..=MAX_ATTEMPTS).contains(&attempts).then_some(attempts)
}

fn is_task_id(text: &str) -> bool {
    text.strip_prefix("tk_")
        .is_some_and(|digits| digits.len() == 16 && digits.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_file_is_a_task() {
        for bytes in [&b"Buy milk."[..], b"", b"[1, 2]", b"{\"title\":", b"\xff\xfe"] {
            let (spec, id, notes) = TaskSpec::read("note.txt", bytes);
            assert_eq!((spec, id, notes), (TaskSpec::named("note.txt"), None, Vec::new()));
        }
    }

    #[test]
    fn a_file_that_is_called_json_and_is_none_is_noted() {
        for (bytes, expected) in
            [(&b"{\"title\": "[..], "no JSON"), (b"[1]", "no object"), (b"Buy milk.", "no JSON")]
        {
            let (spec, id, notes) = TaskSpec::read("note.JSON", bytes);
            assert_eq!((spec, id), (TaskSpec::named("note.JSON"), None));
            assert!(notes.len() == 1 && notes[0].contains(expected), "{expected}: {notes:?}");
        }
    }

    #[test]
    fn what_is_badly_typed_is_noted_and_counts_as_absent() {
        let bytes = br#"{"title": 3, "priority": "high", "to": "bob", "due_at": "soon", "max_attempts": 0,
                        "on_trouble": ["retry", "cry"], "review": true, "extra": 1}"#;
        let (spec, _, notes) = TaskSpec::read("x.json", bytes);
        let expected =
            TaskSpec { to: Some("agent:bob".to_owned()), review: true, ..TaskSpec::named("x.json") };
        assert_eq!(spec, expected);
        let named: Vec<&str> = notes.iter().filter_map(|note| note.split('`').nth(1)).collect();
        assert_eq!(named, ["title", "priority", "due_at", "max_attempts", "on_trouble"]);
    }

    #[test]
    fn a_time_is_due_under_either_name() {
        for name in ["due", "due_at"] {
            let bytes = format!("{{\"{name}\": \"2026-09-21T13:46:40Z\"}}");
            let (spec, _, notes) = TaskSpec::read("x.json", bytes.as_bytes());
            assert_eq!((spec.due_ms, notes), (parse_rfc3339("2026-09-21T13:46:40Z"), Vec::new()), "{name}");
        }
    }

    #[test]
    fn what_is_written_is_read_again() {
        let spec = TaskSpec {
            to: Some("human:eve".to_owned()),
            capability: Some("translate".to_owned()),
            priority: -2,
            due_ms: Some(1_790_000_000_000),
            depends_on: vec!["a.json".to_owned()],
            max_attempts: 5,
            review: true,
            on_trouble: vec![Trouble::Retry, Trouble::Reassign("agent:b".to_owned()), Trouble::Human],
            retry_delay_ms: 7,
            payload: Some(json!({"n": 1})),
            ..TaskSpec::named("a title")
        };
        let id = "tk_0123456789abcdef";
        assert_eq!(TaskSpec::read("x", &spec.write(id)), (spec, Some(id.to_owned()), Vec::new()));
    }
}
