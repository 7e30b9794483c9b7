//! What can be routed to, and the texts that speak for it.

use serde::{Deserialize, Serialize};

/// The kinds of entry.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum EntryKind {
    /// Takes tasks.
    Agent,
    /// Is called.
    Tool,
}

impl EntryKind {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Agent, Self::Tool];

    /// Its name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Agent => "agent",
            Self::Tool => "tool",
        }
    }

    /// The kind of a name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == name)
    }
}

/// Kind and id: what an entry is known by.
pub type EntryKey = (EntryKind, String);

/// An agent or a tool, as far as routing knows it. Equal entries give equal routes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// Which kind.
    pub kind: EntryKind,
    /// `agent:researcher`, `github.create_issue`.
    pub id: String,
    /// For people.
    pub name: String,
    /// What it is for.
    pub description: String,
    /// What it can do, a text each.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub capabilities: Vec<String>,
    /// Intents that are for it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub examples: Vec<String>,
    /// Intents that look like its own, and are not for it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub counterexamples: Vec<String>,
    /// What was learned from outcomes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub learned: Vec<Learned>,
}

/// An intent that turned out to be for an entry, or not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Learned {
    /// `fb_…`, by which it is taken back.
    pub id: String,
    /// The intent.
    pub text: String,
    /// Whether it is for the entry.
    pub is_right: bool,
    /// Who said so.
    pub by: String,
    /// `feedback`, or the outcome of a task: `completed`, `accepted`, `rejected`, `failed`.
    pub from: String,
    /// Milliseconds since 1970.
    pub at_ms: i64,
}

/// What a document says of its entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Its name, as one would say it.
    Name,
    /// What it is for, without the name.
    Purpose,
    /// Name and purpose.
    Description,
    /// One thing that it can do.
    Capability,
    /// An intent that is for it.
    Example,
    /// An intent that is not.
    Counterexample,
}

impl Role {
    /// Whether it is a text of its own that speaks for its entry.
    pub fn speaks(self) -> bool {
        matches!(self, Self::Description | Self::Capability | Self::Example)
    }

    /// How much a router goes by it when it is fitted.
    pub(super) fn weight(self) -> f32 {
        match self {
            Self::Description | Self::Capability | Self::Example => 1.0,
            Self::Name | Self::Purpose => 0.5,
            Self::Counterexample => 0.0,
        }
    }

    /// Its name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Name => "name",
            Self::Purpose => "purpose",
            Self::Description => "description",
            Self::Capability => "capability",
            Self::Example => "example",
            Self::Counterexample => "counterexample",
        }
    }
}

/// A text that speaks for an entry, or against it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Document {
    /// How.
    pub role: Role,
    /// What is embedded and what terms are taken from.
    pub text: String,
    /// Who taught it; `None` for what the entry says of itself.
    pub taught_by: Option<String>,
}

impl Entry {
    /// What it is known by.
    pub fn key(&self) -> EntryKey {
        (self.kind, self.id.clone())
    }

    /// Its texts: name, purpose and both together, then capabilities, examples and counterexamples, learned ones last.
    pub fn documents(&self) -> Vec<Document> {
        let name = spoken(&self.name);
        let purpose = self.description.trim().to_owned();
        let description = if purpose.is_empty() { name.clone() } else { format!("{name}: {purpose}") };
        let of = |role, text: &String| Document { role, text: text.clone(), taught_by: None };
        let taught = |role: Role| {
            let learned =
                self.learned.iter().filter(move |learned| learned.is_right == (role == Role::Example));
            learned.map(move |learned| Document {
                taught_by: Some(learned.by.clone()),
                ..of(role, &learned.text)
            })
        };
        let mut documents =
            vec![of(Role::Name, &name), of(Role::Purpose, &purpose), of(Role::Description, &description)];
        documents.extend(self.capabilities.iter().map(|text| of(Role::Capability, text)));
        documents
            .extend(self.examples.iter().map(|text| of(Role::Example, text)).chain(taught(Role::Example)));
        let against = self.counterexamples.iter().map(|text| of(Role::Counterexample, text));
        documents.extend(against.chain(taught(Role::Counterexample)));
        documents.retain(|document| !document.text.trim().is_empty());
        documents
    }

    /// What makes it another one, BLAKE3 of its JSON.
    pub fn hash(&self) -> [u8; 32] {
        let text = serde_json::to_vec(self).expect("an entry is plain data");
        *blake3::hash(&text).as_bytes()
    }
}

/// A name as one would say it: `create_pull-request` and `createPullRequest` become three words.
pub fn spoken(name: &str) -> String {
    let mut out = String::with_capacity(name.len() + 8);
    let mut before = ' ';
    for c in name.chars() {
        let c = if matches!(c, '_' | '-' | '.' | '/' | ':') { ' ' } else { c };
        if c.is_uppercase() && before.is_lowercase() {
            out.push(' ');
        }
        if c != ' ' || before != ' ' {
            out.push(c);
        }
        before = c;
    }
    out.trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_spoken() {
        let spoken = ["create_pull-request", "createPullRequest", "PDF reader", "__x__"].map(spoken);
        assert_eq!(spoken, ["create pull request", "create Pull Request", "PDF reader", "x"]);
    }

    #[test]
    fn documents_come_in_their_order() {
        let learned = |text: &str, is_right| Learned {
            id: "fb_1".to_owned(),
            text: text.to_owned(),
            is_right,
            by: "human:a".to_owned(),
            from: "feedback".to_owned(),
            at_ms: 0,
        };
        let entry = Entry {
            kind: EntryKind::Tool,
            id: "git.push".to_owned(),
            name: "push".to_owned(),
            description: "Sends commits.".to_owned(),
            capabilities: vec!["remote".to_owned()],
            examples: vec!["send it".to_owned(), " ".to_owned()],
            counterexamples: vec!["open a door".to_owned()],
            learned: vec![learned("no", false), learned("yes", true)],
        };
        let texts: Vec<String> = entry.documents().into_iter().map(|document| document.text).collect();
        assert_eq!(
            texts,
            [
                "push",
                "Sends commits.",
                "push: Sends commits.",
                "remote",
                "send it",
                "yes",
                "open a door",
                "no"
            ]
        );
    }
}
