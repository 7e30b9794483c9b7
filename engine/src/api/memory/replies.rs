use serde::{Deserialize, Serialize};

use crate::api::replies::IndexStatus;
use crate::id::VersionId;
use crate::memory::{Likeness, Message};
use crate::search::{Citation, Degraded, Mode};

/// What to do where something like it is known already.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum OnConflict {
    /// What a note of the agent says word for word is not written again; what only seems to be known, and a contradiction, is
    /// written and pointed out.
    #[default]
    Report,
    /// Written whatever is there.
    Keep,
    /// Neither is written, nor what only seems to be known.
    Reject,
    /// Written in the place of the agent's own note that is closest to it, whose text stays as an older version.
    Supersede,
}

/// One source, or several: paths, or `path@version#start-end`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, schemars::JsonSchema)]
#[serde(untagged)]
pub enum Sources {
    /// One.
    One(String),
    /// Several.
    Many(Vec<String>),
}

impl Default for Sources {
    fn default() -> Self {
        Self::Many(Vec::new())
    }
}

impl Sources {
    /// As a list.
    pub fn into_list(self) -> Vec<String> {
        match self {
            Self::One(source) => vec![source],
            Self::Many(sources) => sources,
        }
    }
}

/// Something to remember.
#[derive(Debug, Clone, Default, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RememberRequest {
    /// One fact or a few, in plain sentences; 32 KiB at most.
    pub text: String,
    /// The one where the agent's memory may be written, where it is missing.
    pub workspace: Option<String>,
    /// Whose memory; the asker's own where it is missing.
    pub agent: Option<String>,
    /// Such as `billing` or `billing/late-fees`: becomes folders.
    pub topic: Option<String>,
    /// Further words to tell it by.
    #[serde(default)]
    pub tags: Vec<String>,
    /// Where it comes from.
    #[serde(default)]
    pub source: Sources,
    /// The thread that it comes from.
    pub thread: Option<String>,
    /// It is forgotten after so long.
    pub expires_in_seconds: Option<u64>,
    /// RFC 3339; it is forgotten then.
    pub expires_at: Option<String>,
    /// What to do where something like it is known already.
    #[serde(default)]
    pub on_conflict: OnConflict,
    /// Path of a note in whose place it is written.
    pub supersedes: Option<String>,
}

/// A note that is like the new one.
#[derive(Debug, Clone, PartialEq, Serialize, schemars::JsonSchema)]
pub struct SimilarNote {
    /// Where it is.
    pub path: String,
    /// Its bytes.
    pub version: VersionId,
    /// The sentence that decided.
    pub quote: String,
    /// How close both are, in `[0, 1]`.
    pub score: f32,
    /// What it is to the new one.
    pub kind: Likeness,
    /// What differs, for a contradiction: `value`, `negation`, `state` or `name`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub differs: Option<&'static str>,
}

/// What became of it.
#[derive(Debug, Clone, PartialEq, Serialize, schemars::JsonSchema)]
pub struct RememberReply {
    /// The note; of a duplicate, the one that was there.
    pub path: String,
    /// Its bytes.
    pub version: VersionId,
    /// A `recall` with it as `wait_for_seq` sees the note.
    pub seq: String,
    /// `kept`, `superseded`, `renewed` (it was known, and lasts longer now), `duplicate` or `contradiction`.
    pub status: &'static str,
    /// Whether anything was written.
    pub written: bool,
    /// What is known like it, contradictions first. Found by rules and closeness, and wrong at times.
    pub similar: Vec<SimilarNote>,
    /// What could not be looked at: without a model notes are alike by their words alone.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub degraded: Vec<Degraded>,
}

/// What to remember of.
#[derive(Debug, Clone, Default, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RecallRequest {
    /// In plain words.
    pub query: String,
    /// All that may be read where it is missing.
    pub workspace: Option<String>,
    /// Whose memories; all that may be read where it is missing.
    #[serde(default)]
    pub agents: Vec<String>,
    /// Only notes of this topic, or below it.
    pub topic: Option<String>,
    /// Only notes with all of these.
    #[serde(default)]
    pub tags: Vec<String>,
    /// Only messages of this thread.
    pub thread: Option<String>,
    /// See [`crate::api::SearchRequest`].
    #[serde(default)]
    pub mode: Mode,
    /// 1 to 100; 10 where it is missing.
    pub limit: Option<usize>,
    /// Bounds the texts together.
    pub max_tokens: Option<usize>,
    /// Also what is expired and not forgotten yet.
    #[serde(default)]
    pub include_expired: bool,
    /// Waits until this change is visible.
    pub wait_for_seq: Option<String>,
}

/// A memory.
#[derive(Debug, Clone, Serialize, schemars::JsonSchema)]
pub struct Recalled {
    /// `note` or `message`.
    pub kind: &'static str,
    /// Whose memory it stands in.
    pub agent: String,
    /// What was remembered or said.
    pub text: String,
    /// Of a note.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub topic: Option<String>,
    /// Of a note.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
    /// Where a note comes from.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub source: Vec<String>,
    /// Of a message.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub thread: Option<String>,
    /// Its place in the thread.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub n: Option<u64>,
    /// Of a message.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub role: Option<String>,
    /// Who wrote it.
    pub by: String,
    /// Who the file says it was, where that is somebody else than wrote the file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub claims_by: Option<String>,
    /// When it was written.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub at: Option<String>,
    /// When it is forgotten.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<String>,
    /// Whether its time is over.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub expired: bool,
    /// By which they are ordered: `relevance`, less what its age takes.
    pub score: f32,
    /// How well it bears on the query, about `[0, 1]`.
    pub relevance: f32,
    /// 1 for now, a half after thirty days.
    pub recency: f32,
    /// Where it stands, to be checked later.
    pub citation: Citation,
}

/// Memories, best first.
#[derive(Debug, Clone, Serialize, schemars::JsonSchema)]
pub struct RecallReply {
    /// Best first.
    pub results: Vec<Recalled>,
    /// How many more would have been told but for `max_tokens`.
    pub omitted: usize,
    /// How far the index is.
    pub index: IndexStatus,
    /// Milliseconds.
    pub took_ms: f64,
}

/// A message to append.
#[derive(Debug, Clone, Default, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MessageInput {
    /// `user`, `assistant`, `system`, `tool` or the like.
    pub role: String,
    /// What was said; 64 KiB at most.
    pub text: String,
    /// As the writer counts; as the model counts where it is missing.
    pub tokens: Option<usize>,
}

/// Messages to append.
#[derive(Debug, Clone, Default, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AppendMessages {
    /// See [`RememberRequest`].
    pub workspace: Option<String>,
    /// See [`RememberRequest`].
    pub agent: Option<String>,
    /// In their order; 1 to 100.
    pub messages: Vec<MessageInput>,
}

/// What was appended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, schemars::JsonSchema)]
pub struct AppendReply {
    /// The thread.
    pub thread: String,
    /// The file that holds them.
    pub path: String,
    /// Its bytes.
    pub version: VersionId,
    /// A `recall` with it as `wait_for_seq` sees them.
    pub seq: String,
    /// Place of the first one, from 1.
    pub first: u64,
    /// Place of the last one: how many the thread has.
    pub last: u64,
}

/// Which part of a thread.
#[derive(Debug, Clone, Default, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ThreadRequest {
    /// See [`RememberRequest`].
    pub workspace: Option<String>,
    /// See [`RememberRequest`].
    pub agent: Option<String>,
    /// The last messages that have so many tokens together at most.
    pub max_tokens: Option<usize>,
    /// So many messages at most, 1 to 1,000; 100 where it is missing.
    #[schemars(range(min = 1, max = 1000))]
    pub limit: Option<usize>,
}

/// The end of a thread.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, schemars::JsonSchema)]
pub struct ThreadReply {
    /// Its name.
    pub thread: String,
    /// Its files, oldest first.
    pub paths: Vec<String>,
    /// The last messages that fit, oldest first.
    pub messages: Vec<Message>,
    /// Their tokens together.
    pub tokens: usize,
    /// Whether the last message alone has more than `max_tokens`: then it is told so far as it fits.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub cut: bool,
    /// How many older ones are left out.
    pub left_out: usize,
}

/// Which memories are listed.
#[derive(Debug, Clone, Default, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MemoryFilter {
    /// All that may be seen where it is missing.
    pub workspace: Option<String>,
    /// All that may be seen where it is missing.
    pub agent: Option<String>,
    /// Only notes of this topic, or below it.
    pub topic: Option<String>,
    /// `note` or `thread`.
    pub kind: Option<String>,
    /// Also what is expired and not forgotten yet.
    #[serde(default)]
    pub include_expired: bool,
}

/// A note or a thread, as it is listed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, schemars::JsonSchema)]
pub struct MemoryInfo {
    /// `note` or `thread`.
    pub kind: &'static str,
    /// The note; of a thread, its newest file.
    pub path: String,
    /// Whose memory it stands in.
    pub agent: String,
    /// Of the file.
    pub version: VersionId,
    /// How a note begins.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// Of a note.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub topic: Option<String>,
    /// Of a note.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
    /// Who wrote a note.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    /// Who a note says it was, where that is somebody else than wrote the file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub claims_by: Option<String>,
    /// When the file was written.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub at: Option<String>,
    /// When it is forgotten.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<String>,
    /// Whether its time is over.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub expired: bool,
    /// Of a thread.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub thread: Option<String>,
    /// How many messages a thread has.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub messages: Option<u64>,
}
