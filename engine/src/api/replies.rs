//! What goes in and what comes out, as every surface shows it. Field names are a promise.

use serde::{Deserialize, Serialize};

use crate::id::{Seq, VersionId};
use crate::search::citation::Verdict;
use crate::search::{Citation, Degraded, Mode, Ranks};

/// Conditions on files; all hold together.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SearchFilters {
    /// Exact, or a family such as `text/*`.
    pub mime_type: Option<String>,
    /// Natural or programming language: `en`, `rust`.
    pub language: Option<String>,
    /// The name's ending, without its dot.
    pub extension: Option<String>,
    /// RFC 3339, exclusive.
    pub modified_after: Option<String>,
    /// RFC 3339, exclusive.
    pub modified_before: Option<String>,
}

/// A search.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SearchRequest {
    /// Words, `"phrases"`, `-exclusions`, `field:value`.
    pub query: String,
    /// Names; all that may be read where it is missing.
    pub workspaces: Option<Vec<String>>,
    /// A folder or file: `/workspace/folder`, or below each of `workspaces`.
    pub path_prefix: Option<String>,
    /// `hybrid`, `lexical` or `semantic`.
    #[serde(default)]
    pub mode: Mode,
    /// 1 to 1,000; 10 where it is missing.
    pub limit: Option<usize>,
    /// Conditions on files.
    pub filters: Option<SearchFilters>,
    /// Waits until this change is visible.
    pub wait_for_seq: Option<String>,
    /// Shows what each arm says.
    #[serde(default)]
    pub explain: bool,
    /// Bounds the reply, counted as the model counts.
    pub max_tokens: Option<usize>,
    /// Reads the query as plain words: quotes, dashes and colons mean nothing.
    #[serde(default)]
    pub plain: bool,
}

/// A question.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AskRequest {
    /// In plain words.
    pub question: String,
    /// See [`SearchRequest`].
    pub workspaces: Option<Vec<String>>,
    /// See [`SearchRequest`].
    pub path_prefix: Option<String>,
    /// See [`SearchRequest`].
    #[serde(default)]
    pub mode: Mode,
    /// Quotes at most; 1 to 10, 3 where it is missing.
    pub limit: Option<usize>,
    /// See [`SearchRequest`].
    pub filters: Option<SearchFilters>,
    /// See [`SearchRequest`].
    pub wait_for_seq: Option<String>,
    /// Only `extractive` is built in.
    pub generator: Option<String>,
}

/// How far the index is, for the workspaces that were asked.
#[derive(Debug, Clone, Serialize)]
pub struct IndexStatus {
    /// Every change up to here is in the answer.
    pub seq: String,
    /// Files that changed since, or have no vectors yet.
    pub pending_files: u64,
    /// Stages that could not run.
    pub degraded: Vec<Degraded>,
}

/// One hit.
#[derive(Debug, Clone, Serialize)]
pub struct SearchHit {
    /// Where it stands, to be checked later.
    pub citation: Citation,
    /// An excerpt around what matched.
    pub snippet: String,
    /// Byte ranges in the snippet that hold words of the query.
    pub highlights: Vec<[usize; 2]>,
    /// Comparable within one answer.
    pub score: f32,
    /// By content.
    pub mime_type: String,
    /// The document's title.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// Other paths with the same text.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub copies: Vec<String>,
    /// With `explain`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ranks: Option<Ranks>,
}

/// The hits.
#[derive(Debug, Clone, Serialize)]
pub struct SearchReply {
    /// Best first.
    pub results: Vec<SearchHit>,
    /// How far the index is.
    pub index: IndexStatus,
    /// Milliseconds.
    pub took_ms: f64,
}

/// A citation with its mark in the answer.
#[derive(Debug, Clone, Serialize)]
pub struct NumberedCitation {
    /// The mark.
    pub n: usize,
    /// Where it stands.
    #[serde(flatten)]
    pub citation: Citation,
}

/// The answer.
#[derive(Debug, Clone, Serialize)]
pub struct AskReply {
    /// Sentences with `[n]` marks; where abstained, a sentence that says so.
    pub answer: String,
    /// In the marks' order.
    pub citations: Vec<NumberedCitation>,
    /// Whether the evidence was too weak.
    pub abstained: bool,
    /// That the cited sentences answer the question, in `[0, 1]`.
    pub confidence: f32,
    /// Who wrote it.
    pub generator: String,
    /// How far the index is.
    pub index: IndexStatus,
    /// Milliseconds.
    pub took_ms: f64,
}

/// A citation, checked.
#[derive(Debug, Clone, Serialize)]
pub struct VerifiedCitation {
    /// As it was given.
    pub citation: Citation,
    /// Whether the bytes of that version say it.
    pub valid: bool,
    /// Whether the file has moved on since.
    pub stale: bool,
    /// `valid`, `stale` or `invalid`, with today's place or the reason.
    #[serde(flatten)]
    pub verdict: Verdict,
}

/// A workspace, as it is listed.
#[derive(Debug, Clone, Serialize)]
pub struct WorkspaceInfo {
    /// `ws_…`.
    pub id: String,
    /// First segment of its paths.
    pub name: String,
    /// Whether it is an attached folder.
    pub attached: bool,
    /// Whether its files are indexed.
    pub intelligence: bool,
    /// RFC 3339.
    pub created_at: String,
    /// Files whose text is indexed.
    pub indexed_files: u64,
    /// Files that are skipped with a reason.
    pub skipped_files: u64,
    /// Of all files.
    pub size_bytes: u64,
    /// In the index.
    pub chunks: u64,
    /// How far the index is.
    pub index: IndexStatus,
}

/// A name in a folder.
#[derive(Debug, Clone, Serialize)]
pub struct ListEntry {
    /// Last segment.
    pub name: String,
    /// `/<workspace>/<path>`.
    pub path: String,
    /// `file` or `folder`.
    pub kind: &'static str,
    /// Of a file, in bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub size: Option<u64>,
}

/// A file's bytes.
#[derive(Debug, Clone)]
pub struct FileContent {
    /// The bytes of that version.
    pub bytes: Vec<u8>,
    /// Their hash.
    pub version: VersionId,
    /// By content.
    pub mime_type: String,
}

/// How a place in the journal is handed out: opaque, and in order only for us.
pub fn show_seq(seq: Seq) -> String {
    format!("sq_{:012x}", seq.0)
}

/// Reads what [`show_seq`] gave.
pub fn read_seq(text: &str) -> Option<Seq> {
    u64::from_str_radix(text.strip_prefix("sq_")?, 16).ok().map(Seq)
}
