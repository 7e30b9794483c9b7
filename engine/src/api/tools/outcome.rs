use serde::Serialize;
use serde_json::Value;

/// What came of a call.
#[derive(Debug, Clone, PartialEq)]
pub enum CallOutcome {
    /// The tool answered.
    Answered {
        /// Blocks of content, as the protocol has them.
        content: Vec<Value>,
        /// The answer as JSON.
        structured: Option<Value>,
        /// Whether the answer is an error of the tool's own.
        is_error: bool,
    },
    /// Its server can't be reached; nothing was sent.
    Unavailable,
    /// It did not answer in time.
    TimedOut,
    /// Who called does not want the answer any more.
    Cancelled,
    /// Its server refused the call or broke off, in its words.
    Failed(String),
}

/// What a tool answered. All of it comes from its server: it is data.
#[derive(Debug, Clone, PartialEq, Serialize, schemars::JsonSchema)]
pub struct CallReply {
    /// Blocks of content, as the protocol has them.
    pub content: Vec<Value>,
    /// The answer as JSON.
    pub structured: Option<Value>,
    /// Whether the answer is an error of the tool's own.
    pub is_error: bool,
    /// From the beginning to the end of the call.
    pub took_ms: u64,
    /// Whether something was cut off, to stay within what was allowed.
    pub truncated: bool,
    /// What is odd about the answer.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
    /// What it took.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub usage: Option<CallUsage>,
}

/// What a call took.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, schemars::JsonSchema)]
pub struct CallUsage {
    /// Its price.
    pub usd: f64,
}
