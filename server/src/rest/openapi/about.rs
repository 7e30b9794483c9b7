use schemars::{JsonSchema, Schema};
use serde_json::Value;

use super::describe::Schemas;

/// What a handler's signature can't say of its route.
#[derive(Default)]
pub struct About {
    /// One line.
    pub summary: &'static str,
    /// Of a success; the signature's usual one where it is empty.
    pub statuses: Vec<u16>,
    /// The reply's schema where the handler answers with bytes of its own.
    pub reply: Option<fn(&mut Schemas) -> Schema>,
    /// The kind of those bytes, where it is not JSON.
    pub media: Vec<&'static str>,
    /// The body's schema where the handler reads the request itself.
    pub body: Option<fn(&mut Schemas) -> Schema>,
    /// The kind of a body of any bytes.
    pub body_media: Option<&'static str>,
    /// Headers that the handler reads: name, meaning.
    pub headers: Vec<(&'static str, &'static str)>,
    /// A body that works.
    pub example: Option<Value>,
    /// Changes nothing although it is a `POST`.
    pub only_reads: bool,
    /// Its reply holds a secret that is shown once.
    pub is_secret: bool,
}

/// Begins with the summary.
pub fn about(summary: &'static str) -> About {
    About { summary, ..About::default() }
}

impl From<&'static str> for About {
    fn from(summary: &'static str) -> Self {
        about(summary)
    }
}

impl About {
    /// Answers so where it succeeds.
    pub fn answers(mut self, statuses: &[u16]) -> Self {
        self.statuses = statuses.to_vec();
        self
    }

    /// Makes something: 201.
    pub fn creates(self) -> Self {
        self.answers(&[201])
    }

    /// Answers with such JSON.
    pub fn gives<T: JsonSchema>(mut self) -> Self {
        self.reply = Some(Schemas::output::<T>);
        self
    }

    /// Answers with such bytes, beside JSON where [`Self::gives`] says so.
    pub fn media(mut self, kinds: &[&'static str]) -> Self {
        self.media = kinds.to_vec();
        self
    }

    /// Takes such JSON.
    pub fn takes<T: JsonSchema>(mut self) -> Self {
        self.body = Some(Schemas::input::<T>);
        self
    }

    /// Takes such bytes.
    pub fn takes_media(mut self, kind: &'static str) -> Self {
        self.body_media = Some(kind);
        self
    }

    /// Reads this header.
    pub fn header(mut self, name: &'static str, meaning: &'static str) -> Self {
        self.headers.push((name, meaning));
        self
    }

    /// The conditions that a change of a file may stand under.
    pub fn conditions(self) -> Self {
        self.header("If-Match", "change only this version; `*`: only what is there")
            .header("If-None-Match", "`*`: only where nothing is there")
            .header("Waypost-Fence", "the `fence` of a lock that the change stands under")
    }

    /// With a body that works.
    pub fn example(mut self, body: Value) -> Self {
        self.example = Some(body);
        self
    }

    /// A `POST` that only asks.
    pub fn only_reads(mut self) -> Self {
        self.only_reads = true;
        self
    }

    /// Its reply must be kept nowhere.
    pub fn secret(mut self) -> Self {
        self.is_secret = true;
        self
    }
}
