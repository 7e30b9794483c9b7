//! An agent's card: read with care, for a stranger may have written it.

use serde::{Serialize, Serializer};
use serde_json::{Map, Value};

use super::CardError;
use crate::access::kind_of;

/// Longer cards are refused, in bytes.
pub const MAX_CARD_BYTES: usize = 256 << 10;
/// Characters of a name at most.
const MAX_NAME_CHARS: usize = 100;
/// Characters of a description at most.
const MAX_DESCRIPTION_CHARS: usize = 8000;
/// Characters of an example at most.
const MAX_EXAMPLE_CHARS: usize = 2000;
/// Capabilities of a card at most.
const MAX_CAPABILITIES: usize = 100;
/// Examples in one list at most.
const MAX_EXAMPLES: usize = 500;

/// What an agent says of itself. It is written in a form that [`AgentCard::read`] reads.
#[derive(Debug, Clone, Default, PartialEq, Serialize, schemars::JsonSchema)]
pub struct AgentCard {
    /// For people.
    pub name: String,
    /// What it is for, in a sentence or a few.
    pub description: String,
    /// What it can do.
    pub capabilities: Vec<Capability>,
    /// Intents that are for it.
    pub examples: Vec<String>,
    /// Intents that look like its own, and are not for it.
    pub counterexamples: Vec<String>,
    /// Where it can be reached, if it is reached otherwise than by its inbox.
    pub endpoint: Option<String>,
    /// What handing it an intent costs.
    pub price: Price,
    /// How much it takes.
    pub limits: TaskLimits,
    /// The workspace that its inbox is in; `inbox` where nothing is said.
    pub inbox: Option<String>,
}

/// One thing that an agent can do.
#[derive(Debug, Clone, Default, PartialEq, Serialize, schemars::JsonSchema)]
pub struct Capability {
    /// Such as `contract review`.
    pub name: String,
    /// In a sentence.
    pub description: String,
    /// Intents that ask for it.
    pub examples: Vec<String>,
    /// Further words for it.
    pub tags: Vec<String>,
}

/// What one call takes, as far as it is known beforehand.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, schemars::JsonSchema)]
pub struct Price {
    /// US dollars, to a millionth.
    #[serde(rename = "usd_per_call", serialize_with = "dollars")]
    #[schemars(with = "f64")]
    pub usd_micros: u64,
    /// Tokens of a language model.
    pub tokens: u64,
}

/// How much an agent takes; what is more goes elsewhere while there is somebody else.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, schemars::JsonSchema)]
pub struct TaskLimits {
    /// Tasks that may lie before it at once.
    pub max_open_tasks: Option<u32>,
    /// Tasks in an hour.
    pub tasks_per_hour: Option<u32>,
}

fn dollars<S: Serializer>(usd_micros: &u64, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(*usd_micros as f64 / 1e6)
}

/// The agent of a name or id: `researcher` and `agent:researcher` are the same.
///
/// # Errors
/// [`CardError::Invalid`] for what is no agent's.
pub fn agent_id(text: &str) -> Result<String, CardError> {
    let id = if text.contains(':') { text.to_owned() } else { format!("agent:{text}") };
    if id.starts_with("agent:") && kind_of(&id).is_ok() {
        return Ok(id);
    }
    Err(invalid("id", &Value::from(text), "an agent's name, such as `researcher` or `agent:researcher`"))
}

impl AgentCard {
    /// Reads Waypost's own form, or an A2A agent card (which has `skills`). Gives the names of parts that mean nothing here
    /// as well.
    ///
    /// # Errors
    /// [`CardError::Invalid`] with the part that does not fit.
    pub fn read(value: &Value) -> Result<(Self, Vec<String>), CardError> {
        let object = value.as_object().ok_or_else(|| invalid("card", value, "a JSON object"))?;
        if object.get("skills").is_some_and(Value::is_array) {
            return Ok((read_a2a(object)?, Vec::new()));
        }
        read_own(object)
    }
}

/// Parts of Waypost's own form, what it is shown with, and how limits were shown before they had a part of their own.
const PARTS: [&str; 21] = [
    "id",
    "name",
    "description",
    "capabilities",
    "examples",
    "counterexamples",
    "endpoint",
    "url",
    "price",
    "limits",
    "inbox",
    "version",
    "tags",
    "source",
    "standing",
    "registered_at",
    "updated_at",
    "ignored",
    "lint",
    "max_open_tasks",
    "tasks_per_hour",
];
const PRICE_PARTS: [&str; 6] = ["usd", "usd_per_call", "amount_usd", "usd_micros", "per", "tokens"];
const LIMIT_PARTS: [&str; 4] = ["max_open_tasks", "max_concurrent_tasks", "tasks_per_hour", "timeout_s"];

fn read_own(object: &Map<String, Value>) -> Result<(AgentCard, Vec<String>), CardError> {
    let fields = Fields { object, within: String::new() };
    let nothing = Map::new();
    let part = |name: &str| -> Result<Fields<'_>, CardError> {
        Ok(Fields { object: fields.object(name)?.unwrap_or(&nothing), within: format!("{name}.") })
    };
    let (price, limits) = (part("price")?, part("limits")?);
    let ignored = fields.others(&PARTS).chain(price.others(&PRICE_PARTS)).chain(limits.others(&LIMIT_PARTS));
    let mut ignored: Vec<String> = ignored.collect();
    ignored.sort_unstable();
    let card = AgentCard {
        name: fields.name("name")?,
        description: fields.text("description", MAX_DESCRIPTION_CHARS)?.unwrap_or_default(),
        capabilities: fields.capabilities("capabilities")?,
        examples: fields.texts("examples", MAX_EXAMPLES, MAX_EXAMPLE_CHARS)?,
        counterexamples: fields.texts("counterexamples", MAX_EXAMPLES, MAX_EXAMPLE_CHARS)?,
        endpoint: fields.text("endpoint", MAX_EXAMPLE_CHARS)?.or(fields.text("url", MAX_EXAMPLE_CHARS)?),
        price: price.price()?,
        limits: TaskLimits {
            max_open_tasks: limits
                .count("max_open_tasks")?
                .or(limits.count("max_concurrent_tasks")?)
                .or(fields.count("max_open_tasks")?),
            tasks_per_hour: limits.count("tasks_per_hour")?.or(fields.count("tasks_per_hour")?),
        },
        inbox: fields.text("inbox", MAX_NAME_CHARS)?,
    };
    Ok((card, ignored))
}

/// The agent card of the A2A protocol, section "AgentCard"; parts that say nothing of what it can do are left out.
fn read_a2a(object: &Map<String, Value>) -> Result<AgentCard, CardError> {
    let fields = Fields { object, within: String::new() };
    let first_interface =
        object.get("supportedInterfaces").and_then(|list| list.get(0)?.get("url")?.as_str());
    let endpoint = match first_interface {
        Some(url) => Some(url.to_owned()),
        None => fields.text("url", MAX_EXAMPLE_CHARS)?,
    };
    Ok(AgentCard {
        name: fields.name("name")?,
        description: fields.text("description", MAX_DESCRIPTION_CHARS)?.unwrap_or_default(),
        capabilities: fields.capabilities("skills")?,
        endpoint,
        ..AgentCard::default()
    })
}

/// Parts of an object, each read by what is expected of it.
struct Fields<'a> {
    object: &'a Map<String, Value>,
    within: String,
}

impl<'a> Fields<'a> {
    fn invalid(&self, name: &str, expected: &'static str) -> CardError {
        let found = self.object.get(name).unwrap_or(&Value::Null);
        invalid(&format!("{}{name}", self.within), found, expected)
    }

    /// The names of parts that are not known.
    fn others(&self, known: &'a [&str]) -> impl Iterator<Item = String> {
        let unknown = self.object.keys().filter(move |name| !known.contains(&name.as_str()));
        unknown.map(|name| format!("{}{}", self.within, name.chars().take(60).collect::<String>()))
    }

    fn get(&self, name: &str) -> Option<&'a Value> {
        self.object.get(name).filter(|value| !value.is_null())
    }

    fn text(&self, name: &str, max_chars: usize) -> Result<Option<String>, CardError> {
        let Some(value) = self.get(name) else { return Ok(None) };
        let text = value.as_str().map(str::trim).filter(|text| text.chars().count() <= max_chars);
        text.map(|text| Some(text.to_owned()))
            .ok_or_else(|| self.invalid(name, "a text, and not too long a one"))
    }

    fn name(&self, name: &str) -> Result<String, CardError> {
        let text = self.text(name, MAX_NAME_CHARS)?.filter(|text| !text.is_empty());
        text.ok_or_else(|| self.invalid(name, "a name of 1 to 100 characters"))
    }

    fn whole(&self, name: &str) -> Result<Option<u64>, CardError> {
        let Some(value) = self.get(name) else { return Ok(None) };
        value.as_u64().map(Some).ok_or_else(|| self.invalid(name, "a whole number, 0 or more"))
    }

    fn count(&self, name: &str) -> Result<Option<u32>, CardError> {
        Ok(self.whole(name)?.map(|n| u32::try_from(n).unwrap_or(u32::MAX)))
    }

    fn object(&self, name: &str) -> Result<Option<&'a Map<String, Value>>, CardError> {
        let Some(value) = self.get(name) else { return Ok(None) };
        value.as_object().map(Some).ok_or_else(|| self.invalid(name, "an object"))
    }

    fn texts(&self, name: &str, max_texts: usize, max_chars: usize) -> Result<Vec<String>, CardError> {
        let Some(value) = self.get(name) else { return Ok(Vec::new()) };
        let read = |value: &Value| {
            // An example may stand beside the arguments that it leads to.
            let text = value.as_str().or_else(|| value.get("intent")?.as_str())?.trim();
            (!text.is_empty() && text.chars().count() <= max_chars).then(|| text.to_owned())
        };
        let texts = value.as_array().filter(|list| list.len() <= max_texts);
        let texts = texts.and_then(|list| list.iter().map(read).collect());
        texts.ok_or_else(|| self.invalid(name, "a list of texts, neither empty nor too long"))
    }

    fn capabilities(&self, name: &str) -> Result<Vec<Capability>, CardError> {
        let Some(value) = self.get(name) else { return Ok(Vec::new()) };
        let list = value.as_array().filter(|list| list.len() <= MAX_CAPABILITIES);
        let list = list.ok_or_else(|| self.invalid(name, "a list of at most 100 capabilities"))?;
        list.iter()
            .enumerate()
            .map(|(idx, value)| read_capability(value, &format!("{}{name}[{idx}]", self.within)))
            .collect()
    }

    fn price(&self) -> Result<Price, CardError> {
        let named = ["usd", "usd_per_call", "amount_usd"].into_iter().find(|name| self.get(name).is_some());
        let usd_micros = match named {
            None => self.whole("usd_micros")?.unwrap_or_default(),
            Some(name) => read_usd(&self.object[name])
                .ok_or_else(|| self.invalid(name, "an amount in US dollars such as `0.02`, 0 or more"))?,
        };
        Ok(Price { usd_micros, tokens: self.whole("tokens")?.unwrap_or_default() })
    }
}

/// Dollars, as a number or as text, in millionths.
fn read_usd(value: &Value) -> Option<u64> {
    let dollars = value.as_f64().or_else(|| value.as_str()?.trim().parse().ok())?;
    let micros = (dollars * 1e6).round();
    (0.0..=1e15).contains(&micros).then_some(micros as u64)
}

fn read_capability(value: &Value, within: &str) -> Result<Capability, CardError> {
    if let Some(name) = value.as_str().map(str::trim).filter(|name| !name.is_empty()) {
        return Ok(Capability { name: name.chars().take(MAX_NAME_CHARS).collect(), ..Capability::default() });
    }
    let object =
        value.as_object().ok_or_else(|| invalid(within, value, "a text, or an object with a `name`"))?;
    let fields = Fields { object, within: format!("{within}.") };
    Ok(Capability {
        name: fields.name("name")?,
        description: fields.text("description", MAX_DESCRIPTION_CHARS)?.unwrap_or_default(),
        examples: fields.texts("examples", MAX_EXAMPLES, MAX_EXAMPLE_CHARS)?,
        tags: fields.texts("tags", MAX_EXAMPLES, MAX_NAME_CHARS)?,
    })
}

fn invalid(field: &str, found: &Value, expected: &'static str) -> CardError {
    let found = match found {
        Value::Null => "missing".to_owned(),
        other => format!("`{}`", other.to_string().chars().take(80).collect::<String>()),
    };
    CardError::Invalid { field: field.to_owned(), found, expected }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn both_forms_give_one() {
        let own = json!({"name": "Lea", "description": "Reads contracts.",
            "capabilities": [{"name": "contract review", "examples": ["check this NDA"]}, "redlining"],
            "counterexamples": ["write a contract"], "price": {"usd": "0.02"}, "limits": {"max_concurrent_tasks": 3, "mood": 1}, "moood": 2});
        let (card, ignored) = AgentCard::read(&own).unwrap();
        assert_eq!(ignored, ["limits.mood", "moood"]);
        assert_eq!(card.capabilities[1].name, "redlining");
        assert_eq!((card.price.usd_micros, card.limits.max_open_tasks), (20_000, Some(3)));
        let a2a = json!({"protocolVersion": "0.3.0", "name": "Lea", "description": "Reads contracts.", "version": "1",
            "url": "https://lea.example/a2a", "capabilities": {"streaming": true}, "defaultInputModes": ["text/plain"],
            "skills": [{"id": "r", "name": "contract review", "description": "d", "tags": ["law"],
                "examples": ["check this NDA"]}]});
        let (read, _) = AgentCard::read(&a2a).unwrap();
        assert_eq!(read.capabilities[0].examples, card.capabilities[0].examples);
        assert_eq!(read.endpoint.as_deref(), Some("https://lea.example/a2a"));
    }

    #[test]
    fn what_is_written_is_read_as_it_was() {
        let card = json!({"name": "Lea", "description": "Reads contracts.", "examples": ["check this NDA"],
            "capabilities": [{"name": "contract review", "description": "d", "examples": ["is it fine?"], "tags": ["law"]}],
            "counterexamples": ["write a contract"], "price": {"usd_per_call": 0.09, "tokens": 7}, "endpoint": "https://lea.example",
            "limits": {"max_open_tasks": 3, "tasks_per_hour": 9}, "inbox": "office"});
        let (card, _) = AgentCard::read(&card).unwrap();
        let written = serde_json::to_value(&card).unwrap();
        assert_eq!(
            (&written["price"]["usd_per_call"], &written["limits"]["max_open_tasks"]),
            (&json!(0.09), &json!(3))
        );
        assert_eq!(AgentCard::read(&written).unwrap(), (card.clone(), Vec::new()));
        // As it was written once.
        let mut before = written;
        before["price"] = json!({"usd_micros": 90_000, "tokens": 7});
        before.as_object_mut().unwrap().remove("limits");
        before["max_open_tasks"] = json!(3);
        before["tasks_per_hour"] = json!(9);
        assert_eq!(AgentCard::read(&before).unwrap(), (card, Vec::new()));
        let empty = AgentCard { name: "x".to_owned(), ..AgentCard::default() };
        assert_eq!(AgentCard::read(&serde_json::to_value(&empty).unwrap()).unwrap().0, empty);
    }

    #[test]
    fn what_does_not_fit_is_named() {
        let refused = |value: Value| AgentCard::read(&value).unwrap_err().to_string();
        assert!(refused(json!([])).contains("JSON object"));
        assert!(refused(json!({"description": "x"})).contains("`name` is missing"));
        assert!(
            refused(json!({"name": "x", "capabilities": [{"description": "d"}]}))
                .contains("capabilities[0].name")
        );
        assert!(refused(json!({"name": "x", "price": {"usd": -1}})).contains("price.usd"));
        assert!(refused(json!({"name": "x", "examples": [""]})).contains("examples"));
    }

    #[test]
    fn an_agent_has_one_id() {
        assert_eq!(agent_id("lea").unwrap(), "agent:lea");
        assert_eq!(agent_id("agent:lea").unwrap(), "agent:lea");
        assert!(agent_id("human:lea").is_err());
        assert!(agent_id("").is_err());
    }
}
